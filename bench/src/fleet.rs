//! `taospg-bench fleet`: what very many devices cost one server. It makes and loads them, asks about them, starts again over them, and is killed
//! in the middle of a load.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;
use crate::ask::{Pace, ask};
use crate::data::{DataSet, Order};
use crate::encode::Way;
use crate::load::{self, Plan, load};
use crate::process::memory_bytes;
use crate::queries::{Extent, Protocol, chosen};
use crate::report::{Machine, QueryReport, aligned, megabytes, query_table, short, table};
use crate::run::work_directory;
use crate::system::{End, Programs, Started, System};

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    programs: Programs,
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    devices: u32,
    /// Rows of a load, rounded up to whole ticks
    #[arg(long, default_value_t = 5_000_000)]
    rows: u64,
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Seconds that a question is asked for at most
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Writes what was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What was measured.
#[derive(Serialize)]
struct Figures {
    machine: Machine,
    load: load::Figures,
    memory: Memory,
    queries: Vec<QueryReport>,
    /// After an end as its operator would end it.
    restart: Restart,
    /// After SIGKILL while rows came in at full speed.
    recovery: Restart,
}

/// Resident bytes of the server.
#[derive(Serialize)]
struct Memory {
    just_started: u64,
    loaded: u64,
    settled: u64,
    started_over_devices: u64,
}

#[derive(Serialize)]
struct Restart {
    /// From the start of the process until it listens, and until it has counted its rows.
    listening_ms: f64,
    answered_ms: f64,
    acknowledged_rows: u64,
    found_rows: u64,
}

const QUESTIONS: [&str; 6] = [
    "count",
    "newest-row",
    "lastpoint",
    "single-groupby-1-1-1",
    "tag-filter",
    "tag-groups",
];

/// Often enough that a load is killed near its middle.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub async fn fleet(arguments: &Arguments) -> Result<()> {
    let work = work_directory(&arguments.programs)?;
    let outcome = match System::start("taospg", &arguments.programs, &work)? {
        Started::Runs(mut system) => measure(&mut system, arguments).await,
        Started::Absent(reason) => Err(reason.into()),
    };
    let _ = std::fs::remove_dir_all(&work);
    let figures = outcome?;
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&figures)?)?;
    }
    println!("{}", aligned(&figures.markdown()));
    Ok(())
}

async fn measure(system: &mut System, arguments: &Arguments) -> Result<Figures> {
    let machine = Machine::here();
    let memory = |system: &System| system.pid.map_or(0, memory_bytes);
    let just_started = memory(system);
    let plan = Plan {
        set: Arc::new(DataSet::by_name("cpu-only").ok_or("cpu-only is in the list")?),
        seed: arguments.seed,
        devices: arguments.devices,
        ticks: arguments.rows.div_ceil(u64::from(arguments.devices)) as i64,
        order: Order::IN_ORDER,
        way: Way::CopyText,
        unit_rows: Way::CopyText.unit_rows(),
        connections: arguments.connections,
        tags_in_rows: false,
        settles: false,
    };
    let load = load(system, "fleet", &plan).await?;
    let loaded = memory(system);
    load::settle(system, "fleet", &plan).await?;
    let settled = memory(system);
    let queries = ask_all(system, &plan, arguments.seconds).await?;
    system.end(End::Asked)?;
    let restart = start_again(system, arguments, "fleet", load.rows).await?;
    if restart.found_rows != load.rows {
        return Err(format!("{} rows of {} after a restart", restart.found_rows, load.rows).into());
    }
    let started_over_devices = memory(system);
    system.drop_database("fleet", &plan.set).await?;
    Ok(Figures {
        machine,
        load,
        memory: Memory {
            just_started,
            loaded,
            settled,
            started_over_devices,
        },
        queries,
        restart,
        recovery: kill(system, arguments, &plan).await?,
    })
}

async fn ask_all(system: &System, plan: &Plan, seconds: f64) -> Result<Vec<QueryReport>> {
    let extent = Extent {
        seed: plan.seed,
        devices: plan.devices,
        ticks: plan.ticks,
    };
    let pace = Pace {
        clients: 1,
        protocol: Protocol::Prepared,
        count_max: 1_000,
        seconds_max: seconds,
    };
    let mut reports = Vec::new();
    for query in chosen(&plan.set, &QUESTIONS.map(str::to_owned))? {
        let figures = ask(system, "fleet", &plan.set, extent, query, pace).await?;
        reports.push(QueryReport {
            data: plan.set.name.to_owned(),
            query: query.name.to_owned(),
            problem: None,
            figures: Some(figures),
        });
    }
    Ok(reports)
}

/// Starts the server and waits for its first answer, which counts all rows.
async fn start_again(
    system: &mut System,
    arguments: &Arguments,
    database: &str,
    acknowledged_rows: u64,
) -> Result<Restart> {
    let start = Instant::now();
    tokio::task::block_in_place(|| system.start_again(&arguments.programs))?;
    let listening = start.elapsed();
    let mut session = system.session(database).await?;
    let rows = session.rows("SELECT count(*) FROM cpu").await?;
    let answered = start.elapsed();
    let count = rows.into_iter().flatten().flatten().next();
    Ok(Restart {
        listening_ms: listening.as_secs_f64() * 1e3,
        answered_ms: answered.as_secs_f64() * 1e3,
        acknowledged_rows,
        found_rows: count.ok_or("no answer to a count")?.parse()?,
    })
}

/// Kills the server when half of a load is acknowledged. Every row that was acknowledged has to be there afterwards, and none that nobody sent:
/// at most the units that were under way come on top.
async fn kill(system: &mut System, arguments: &Arguments, plan: &Plan) -> Result<Restart> {
    load::prepare(system, "killed", plan).await?;
    let underway = load::begin(system, "killed", plan).await?;
    let half = u64::from(plan.devices) * plan.ticks as u64 / 2;
    while underway.acknowledged_rows() < half {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    system.end(End::Killed)?;
    let acknowledged = underway.abandon().await;
    let recovery = start_again(system, arguments, "killed", acknowledged).await?;
    let most = acknowledged + (plan.connections * plan.unit_rows) as u64;
    match (acknowledged..=most).contains(&recovery.found_rows) {
        true => Ok(recovery),
        false => Err(format!("{} rows after a kill, {acknowledged} acknowledged", recovery.found_rows).into()),
    }
}

impl Figures {
    fn markdown(&self) -> String {
        let machine = &self.machine;
        let load = &self.load;
        let per_device = (self.memory.started_over_devices
            - self.memory.just_started.min(self.memory.started_over_devices)) as f64
            / f64::from(load.devices);
        let seconds = |ms: f64| format!("{:.2} s", ms / 1e3);
        let row = |what: &str, figure: String| vec![what.to_owned(), figure];
        let mut rows = vec![
            row("devices", short(f64::from(load.devices))),
            row(
                "made by CREATE TABLE, a second",
                load.devices_made_per_second.map_or_else(|| "-".into(), short),
            ),
            row("rows", short(load.rows as f64)),
            row("COPY text, rows/s", short(load.rows_per_second)),
            row(
                "peak memory while rows came",
                load.peak_memory_bytes.map_or_else(|| "-".into(), megabytes),
            ),
            row("memory just started, empty", megabytes(self.memory.just_started)),
            row("memory after the load", megabytes(self.memory.loaded)),
            row("memory when all is in files", megabytes(self.memory.settled)),
            row("memory started again", megabytes(self.memory.started_over_devices)),
            row("of that for each device, bytes", short(per_device)),
        ];
        for (what, restart) in [
            ("restart", &self.restart),
            ("kill -9 in the middle of a load", &self.recovery),
        ] {
            rows.push(row(&format!("{what}: until it listens"), seconds(restart.listening_ms)));
            rows.push(row(
                &format!("{what}: until all rows are counted"),
                seconds(restart.answered_ms),
            ));
            rows.push(row(
                &format!("{what}: rows acknowledged, found"),
                format!("{}, {}", restart.acknowledged_rows, restart.found_rows),
            ));
        }
        let queries: Vec<(&str, &QueryReport)> = self.queries.iter().map(|query| ("Taospg", query)).collect();
        format!(
            "Machine: {}, {} cores, {} memory, Linux {}, load average {:.2} at the start.\n\n{}\n{}",
            machine.processor,
            machine.cores,
            megabytes(machine.memory_bytes),
            machine.kernel,
            machine.load_average,
            table(&["what", "figure"], &rows),
            query_table(&queries)
        )
    }
}
