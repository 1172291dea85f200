//! `make bench` and `make bench-full`: every system that is installed, one after the other, through the same loads and questions.
//!
//! One system at a time, so that what one still does in the background is not on another's bill. The first system's answers are the reference
//! that those of the others are compared with before they are timed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Result;
use crate::ask::{self, Pace, Reference, ask};
use crate::data::{DataSet, Order};
use crate::encode::Way;
use crate::load::{self, Plan, load};
use crate::mixed::{Rates, mixed};
use crate::process::memory_bytes;
use crate::queries::{Extent, Protocol, Query, chosen, queries_of};
use crate::report::{LoadReport, Machine, QueryReport, Report, SystemReport, aligned};
use crate::system::{Programs, Started, System};

/// PostgreSQL first: its answers are the reference where it is installed.
pub const SYSTEMS: [&str; 6] = ["postgresql", "timescaledb", "questdb", "duckdb", "clickhouse", "taospg"];

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    programs: Programs,
    /// Systems to measure; those that are not installed are left out, which is said
    #[arg(long, value_delimiter = ',', default_values = SYSTEMS)]
    systems: Vec<String>,
    /// The tables of docs/benchmarks.md: 4,000 hosts, up to a million devices, disorder, iot, medians of five (hours)
    #[arg(long)]
    full: bool,
    /// How often each load and question is repeated; the median is told
    #[arg(long)]
    repeat: Option<usize>,
    /// Hosts that the questions are about
    #[arg(long)]
    hosts: Option<u32>,
    /// Hours of data that the questions are about
    #[arg(long, default_value_t = 13.0)]
    hours: f64,
    /// Rows of each load other than the one that the questions are about
    #[arg(long)]
    rows: Option<u64>,
    /// Seconds that a question is asked for at most
    #[arg(long)]
    seconds: Option<f64>,
    #[arg(long, default_value_t = 2)]
    connections: usize,
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Prints Markdown tables with machine and versions
    #[arg(long)]
    markdown: bool,
    /// Writes everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How much is measured.
struct Scale {
    hosts: u32,
    hours: f64,
    rows: u64,
    single_rows: u64,
    repeats: usize,
    pace_seconds: f64,
    is_full: bool,
}

impl Arguments {
    fn scale(&self) -> Scale {
        let (hosts, rows, repeats, pace_seconds) = match self.full {
            true => (4_000, 2_000_000, 5, 10.0),
            false => (400, 300_000, 1, 1.0),
        };
        Scale {
            hosts: self.hosts.unwrap_or(hosts),
            hours: self.hours,
            rows: self.rows.unwrap_or(rows),
            single_rows: if self.full {
                50_000
            } else {
                self.rows.unwrap_or(rows).min(4_000)
            },
            repeats: self.repeat.unwrap_or(repeats).max(1),
            pace_seconds: self.seconds.unwrap_or(pace_seconds),
            is_full: self.full,
        }
    }

    fn plan(&self, set: &str, devices: u32, ticks: i64, way: Way) -> Result<Plan> {
        Ok(Plan {
            set: Arc::new(DataSet::by_name(set).ok_or_else(|| format!("no data set \"{set}\""))?),
            seed: self.seed,
            devices,
            ticks: ticks.max(1),
            order: Order::IN_ORDER,
            way,
            unit_rows: way.unit_rows(),
            connections: self.connections,
            tags_in_rows: false,
            settles: false,
        })
    }
}

/// A load that is measured for itself, and questions about it.
struct Case {
    name: String,
    plan: Plan,
    asks: &'static [&'static str],
}

/// What is asked of more devices than other questions are about.
const FLEET_QUESTIONS: [&str; 4] = ["count", "newest-row", "lastpoint", "single-groupby-1-1-1"];

/// The loads besides those that questions are asked of.
fn cases(arguments: &Arguments, scale: &Scale) -> Result<Vec<Case>> {
    let ticks = |devices: u32, rows: u64| (rows / u64::from(devices)) as i64;
    let hosts = if scale.is_full { 4_000 } else { scale.hosts };
    let mut cases = Vec::new();
    let mut add = |name: &str, plan: Plan| {
        cases.push(Case {
            name: name.to_owned(),
            plan,
            asks: &[],
        });
    };
    for way in [Way::CopyBinary, Way::Insert, Way::Prepared] {
        add(
            way.title(),
            arguments.plan("cpu-only", hosts, ticks(hosts, scale.rows), way)?,
        );
    }
    let single = arguments.plan("cpu-only", hosts, ticks(hosts, scale.single_rows), Way::Single)?;
    add(
        "single-row commits, 16 clients",
        Plan {
            connections: 16,
            ..single
        },
    );
    let copy = |devices| arguments.plan("cpu-only", devices, ticks(devices, scale.rows), Way::CopyText);
    let disorders: &[(f64, f64)] = match scale.is_full {
        true => &[(0.01, 0.0), (0.1, 0.0), (0.5, 0.0), (0.0, 0.1)],
        false => &[(0.1, 0.0)],
    };
    for (late, twice) in disorders {
        let order = Order {
            late: *late,
            twice: *twice,
            ..Order::IN_ORDER
        };
        let name = match *twice > 0.0 {
            true => format!("COPY text, {:.0} % sent twice", twice * 100.0),
            false => format!("COPY text, {:.0} % late", late * 100.0),
        };
        add(&name, Plan { order, ..copy(hosts)? });
    }
    if scale.is_full {
        for devices in [100, 4_000, 100_000, 1_000_000] {
            add(&format!("COPY text, {devices} devices"), copy(devices)?);
        }
        let new = Plan {
            tags_in_rows: true,
            ..arguments.plan("cpu-only", 1_000_000, 1, Way::CopyText)?
        };
        add("COPY text, 1000000 new devices, a row of each", new);
        for set in ["devops", "meters"] {
            add(
                &format!("COPY text, {set}"),
                arguments.plan(set, 4_000, ticks(4_000, scale.rows / 4), Way::CopyText)?,
            );
        }
        add(
            "COPY text, tsm",
            arguments.plan("tsm", 100, ticks(100, scale.rows / 10), Way::CopyText)?,
        );
    }
    for case in &mut cases {
        if case.plan.devices > scale.hosts {
            case.asks = &FLEET_QUESTIONS;
        }
    }
    Ok(cases)
}

pub async fn run(arguments: &Arguments) -> Result<()> {
    let scale = arguments.scale();
    let work = work_directory(&arguments.programs)?;
    let outcome = run_in(arguments, &scale, &work).await;
    let _ = std::fs::remove_dir_all(&work);
    let report = outcome?;
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    match arguments.markdown {
        true => println!("{}", report.markdown()),
        false => println!("{}", aligned(&report.markdown())),
    }
    match report.problems() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(format!("some answers were wrong or failed:\n{}", problems.join("\n")).into()),
    }
}

/// A directory of this run below the one that was asked for.
pub fn work_directory(programs: &Programs) -> Result<PathBuf> {
    let parent = programs.work.clone().unwrap_or_else(std::env::temp_dir);
    let work = parent.join(format!("taospg-bench-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    Ok(work)
}

async fn run_in(arguments: &Arguments, scale: &Scale, work: &Path) -> Result<Report> {
    let machine = Machine::here();
    if !machine.is_quiet() {
        eprintln!(
            "others are at work (load average {:.2}): figures will be too low",
            machine.load_average
        );
    }
    let mut report = Report {
        machine,
        command: std::env::args().collect::<Vec<_>>().join(" "),
        repeats: scale.repeats,
        systems: Vec::new(),
        skipped: Vec::new(),
    };
    let mut references = References::default();
    for key in &arguments.systems {
        match System::start(key, &arguments.programs, work)? {
            Started::Runs(system) => {
                let measured = measure(&system, arguments, scale, &mut references).await;
                report
                    .systems
                    .push(measured.map_err(|error| format!("{}: {error}", system.dialect.name))?);
            }
            Started::Absent(reason) => {
                eprintln!("left out: {reason}");
                report.skipped.push(reason);
            }
        }
    }
    Ok(report)
}

/// Reference answers, one list for each data set that is asked about.
#[derive(Default)]
struct References {
    cpu: Reference,
    iot: Reference,
}

async fn measure(
    system: &System,
    arguments: &Arguments,
    scale: &Scale,
    references: &mut References,
) -> Result<SystemReport> {
    // An embedded system's process has not loaded it yet.
    let idle_memory_bytes = system.pid.filter(|_| !system.is_embedded()).map(memory_bytes);
    let mut report = SystemReport {
        name: system.dialect.name.clone(),
        version: system.version().await?,
        durability: system.dialect.durability.clone(),
        idle_memory_bytes,
        ..SystemReport::default()
    };
    let hour_ticks = |set: &DataSet| (scale.hours * 3_600e6) as i64 / set.step_micros;
    // Files are COPY text, which is how embedded systems take rows.
    let way = match system.is_embedded() || system.dialect.takes(Way::CopyText) {
        true => Way::CopyText,
        false => Way::Prepared,
    };
    let cpu = arguments.plan("cpu-only", scale.hosts, 1, way)?;
    let cpu = Plan {
        ticks: hour_ticks(&cpu.set),
        settles: true,
        ..cpu
    };
    let figures = median_load(system, &cpu, scale.repeats, "cpu").await?;
    report.loads.push(load_report(system, way.title(), Ok(figures)));
    // Questions while nothing else is in the system, then the other loads.
    ask_all(system, "cpu", &cpu, scale, &mut references.cpu, &mut report).await?;
    if !system.is_embedded() {
        report
            .mixed
            .push(mixed(system, "cpu", &beside(&cpu), &narrow(&cpu.set), rates(scale)).await?);
    }
    system.drop_database("cpu", &cpu.set).await?;

    let iot_trucks = if scale.is_full { 4_000 } else { scale.hosts / 4 };
    let iot_hours = if scale.is_full { 25.0 } else { scale.hours };
    let iot = arguments.plan("iot", iot_trucks.max(1), (iot_hours * 360.0) as i64, way)?;
    let iot = Plan { settles: true, ..iot };
    let figures = median_load(system, &iot, 1, "iot").await?;
    report
        .loads
        .push(load_report(system, &format!("{}, iot", way.title()), Ok(figures)));
    ask_all(system, "iot", &iot, scale, &mut references.iot, &mut report).await?;
    system.drop_database("iot", &iot.set).await?;

    for case in cases(arguments, scale)? {
        let is_possible = match system.is_embedded() {
            // One way in, by files: what differs is the data.
            true => case.plan.way == Way::CopyText,
            false => system.dialect.takes(case.plan.way),
        };
        let is_possible = is_possible && (!case.plan.tags_in_rows || system.dialect.takes_tags_in_rows());
        if is_possible {
            let outcome = median_load(system, &case.plan, scale.repeats, "load_case").await;
            let is_loaded = outcome.is_ok();
            report.loads.push(load_report(system, &case.name, outcome));
            if is_loaded {
                ask_fleet(system, "load_case", &case, scale, &mut report).await?;
            }
            system.drop_database("load_case", &case.plan.set).await?;
        }
    }
    Ok(report)
}

fn load_report(system: &System, case: &str, outcome: Result<load::Figures>) -> LoadReport {
    let problem = outcome.as_ref().err().map(ToString::to_string);
    LoadReport {
        // An embedded system reads the same rows from files.
        case: match system.is_embedded() {
            true => case.replace(Way::CopyText.title(), "files"),
            false => case.to_owned(),
        },
        problem,
        figures: outcome.ok(),
    }
}

/// The load of median speed. The last one's database stays.
async fn median_load(system: &System, plan: &Plan, repeats: usize, database: &str) -> Result<load::Figures> {
    let mut all = Vec::new();
    for repeat in 0..repeats {
        if repeat > 0 {
            system.drop_database(database, &plan.set).await?;
        }
        all.push(load(system, database, plan).await?);
    }
    all.sort_by(|a, b| a.rows_per_second.total_cmp(&b.rows_per_second));
    Ok(all.swap_remove(repeats / 2))
}

/// Every question of the data set by one client; those about few devices by 16 too.
async fn ask_all(
    system: &System,
    database: &str,
    plan: &Plan,
    scale: &Scale,
    reference: &mut Reference,
    report: &mut SystemReport,
) -> Result<()> {
    let extent = Extent {
        seed: plan.seed,
        devices: plan.devices,
        ticks: plan.ticks,
    };
    for query in queries_of(&plan.set) {
        let mut add = |outcome: std::result::Result<ask::Figures, String>| {
            let (figures, problem) = match outcome {
                Ok(figures) => (Some(figures), None),
                Err(problem) => (None, Some(problem)),
            };
            report.queries.push(QueryReport {
                data: plan.set.name.to_owned(),
                query: query.name.to_owned(),
                problem,
                figures,
            });
        };
        match reference.check(system, database, &plan.set, extent, query).await {
            Ok(None) => {}
            Ok(Some(difference)) => {
                add(Err(difference));
                continue;
            }
            Err(error) => {
                add(Err(error.to_string()));
                continue;
            }
        }
        let mut clients = vec![1];
        if !query.is_heavy && !system.is_embedded() {
            clients.push(16);
        }
        for clients in clients {
            let pace = Pace {
                clients,
                protocol: Protocol::Prepared,
                count_max: 20_000,
                seconds_max: scale.pace_seconds,
            };
            add(median_ask(system, database, plan, extent, query, pace, scale.repeats)
                .await
                .map_err(|error| error.to_string()));
        }
    }
    Ok(())
}

/// A few questions about many devices, each by one client. Their answers were compared with fewer devices.
async fn ask_fleet(
    system: &System,
    database: &str,
    case: &Case,
    scale: &Scale,
    report: &mut SystemReport,
) -> Result<()> {
    let plan = &case.plan;
    let extent = Extent {
        seed: plan.seed,
        devices: plan.devices,
        ticks: plan.ticks,
    };
    let pace = Pace {
        clients: 1,
        protocol: Protocol::Prepared,
        count_max: 20_000,
        seconds_max: scale.pace_seconds,
    };
    for name in case.asks {
        let query = chosen(&plan.set, &[(*name).to_owned()])?[0];
        let outcome = median_ask(system, database, plan, extent, query, pace, scale.repeats).await;
        report.queries.push(QueryReport {
            data: format!("{} of {} devices", plan.set.name, plan.devices),
            query: query.name.to_owned(),
            problem: outcome.as_ref().err().map(ToString::to_string),
            figures: outcome.ok(),
        });
    }
    Ok(())
}

async fn median_ask(
    system: &System,
    database: &str,
    plan: &Plan,
    extent: Extent,
    query: &Query,
    pace: Pace,
    repeats: usize,
) -> Result<ask::Figures> {
    let mut all = Vec::new();
    let pace = Pace {
        seconds_max: pace.seconds_max / repeats as f64,
        ..pace
    };
    for _ in 0..repeats {
        all.push(ask(system, database, &plan.set, extent, query, pace).await?);
    }
    let first_ms = all[0].first_ms;
    all.sort_by(|a, b| a.latency.p50_ms.total_cmp(&b.latency.p50_ms));
    Ok(ask::Figures {
        first_ms,
        ..all.swap_remove(repeats / 2)
    })
}

/// What goes on while questions are asked: small inserts of the ticks that follow.
fn beside(plan: &Plan) -> Plan {
    Plan {
        way: Way::Insert,
        unit_rows: 500,
        connections: 2,
        ..plan.clone()
    }
}

fn narrow(set: &DataSet) -> Vec<&'static Query> {
    queries_of(set)
        .into_iter()
        .filter(|query| query.name.starts_with("single-groupby") || query.name == "newest-row")
        .collect()
}

fn rates(scale: &Scale) -> Rates {
    Rates {
        rows: if scale.is_full { 50_000.0 } else { 10_000.0 },
        queries: 100.0,
        seconds: if scale.is_full { 60.0 } else { 5.0 * scale.pace_seconds },
        clients: 4,
        protocol: Protocol::Prepared,
    }
}
