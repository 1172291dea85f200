//! One load, one list of questions, one mixture: the commands for people who have a server and want to know.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::Result;
use crate::ask::{Pace, ask};
use crate::data::{DATA_SETS, DataSet, Order, Rows, Stream};
use crate::encode::{Encoder, Way};
use crate::load::{self, Plan};
use crate::mixed::Rates;
use crate::queries::{Extent, Protocol, chosen};
use crate::report::{LoadReport, QueryReport, aligned, load_table, mixed_table, query_table};
use crate::run::work_directory;
use crate::system::{Programs, Started, System};

/// Which system.
#[derive(clap::Args, Clone, Debug)]
struct Target {
    /// taospg, postgresql, timescaledb, questdb, duckdb, clickhouse, or a dialect's file
    #[arg(long, default_value = "taospg")]
    system: String,
    /// A server that runs already: postgres://user:password@host:port. Without it one is started for the occasion
    #[arg(long)]
    url: Option<String>,
    /// The local process of that server, to tell its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    #[command(flatten)]
    programs: Programs,
    /// The database, made by a load
    #[arg(long, default_value = "bench")]
    database: String,
    /// Writes what was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Which rows.
#[derive(clap::Args, Clone, Debug)]
struct Data {
    /// cpu-only, devops, iot, meters or tsm
    #[arg(long, default_value = "cpu-only", value_parser = DATA_SETS.iter().map(|(name, _)| *name).collect::<Vec<_>>())]
    data: String,
    /// Devices that report
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..))]
    devices: u32,
    /// Rows of each table, rounded up to whole ticks
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Hours of data, instead of a number of rows
    #[arg(long)]
    hours: Option<f64>,
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Percent of rows that come late
    #[arg(long, default_value_t = 0.0)]
    late: f64,
    /// How late at most, in minutes of data time
    #[arg(long, default_value_t = 60.0)]
    lateness: f64,
    /// Percent of rows that are sent twice
    #[arg(long, default_value_t = 0.0)]
    twice: f64,
}

impl Data {
    fn set(&self) -> Result<DataSet> {
        Ok(DataSet::by_name(&self.data).ok_or_else(|| format!("no data set \"{}\"", self.data))?)
    }

    fn ticks(&self, set: &DataSet) -> i64 {
        match self.hours {
            Some(hours) => ((hours * 3_600e6) as i64 / set.step_micros).max(1),
            None => self.rows.div_ceil(u64::from(self.devices)).max(1) as i64,
        }
    }

    fn order(&self, set: &DataSet) -> Order {
        Order {
            late: self.late / 100.0,
            late_ticks_max: ((self.lateness * 60e6) as i64 / set.step_micros).max(1),
            twice: self.twice / 100.0,
        }
    }
}

/// How they travel.
#[derive(clap::Args, Clone, Debug)]
struct Sending {
    /// The way in
    #[arg(long, value_enum, default_value_t = Way::CopyText)]
    way: Way,
    /// Rows of a COPY, of an INSERT, of a pipeline; what is customary for the way if not given
    #[arg(long)]
    unit_rows: Option<usize>,
    /// Connections that load, each the devices of its share
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Devices are not made before: their rows bring their tags (Taospg)
    #[arg(long)]
    tags_in_rows: bool,
}

fn plan(data: &Data, sending: &Sending, system: &System) -> Result<Plan> {
    let set = data.set()?;
    if sending.tags_in_rows && !system.dialect.takes_tags_in_rows() {
        return Err(format!(
            "{} keeps tags in a table of their own: no --tags-in-rows",
            system.dialect.name
        )
        .into());
    }
    if !system.is_embedded() && !system.dialect.takes(sending.way) {
        return Err(format!("{} has no {}", system.dialect.name, sending.way.title()).into());
    }
    Ok(Plan {
        seed: data.seed,
        devices: data.devices,
        ticks: data.ticks(&set),
        order: data.order(&set),
        way: sending.way,
        unit_rows: sending.unit_rows.unwrap_or(sending.way.unit_rows()).max(1),
        connections: sending.connections.max(1),
        tags_in_rows: sending.tags_in_rows,
        settles: true,
        set: Arc::new(set),
    })
}

impl Target {
    /// Does the work with the system, which ends with it if it was started here.
    async fn with<T>(&self, work: impl AsyncFnOnce(&System) -> Result<T>) -> Result<T> {
        if let Some(url) = &self.url {
            return work(&System::attach(&self.system, url, self.pid)?).await;
        }
        let directory = work_directory(&self.programs)?;
        let outcome = match System::start(&self.system, &self.programs, &directory) {
            Ok(Started::Runs(system)) => work(&system).await,
            Ok(Started::Absent(reason)) => Err(reason.into()),
            Err(error) => Err(error),
        };
        let _ = std::fs::remove_dir_all(directory);
        outcome
    }

    fn write(&self, figures: &impl Serialize) -> Result<()> {
        if let Some(file) = &self.json {
            std::fs::write(file, serde_json::to_string_pretty(figures)?)?;
        }
        Ok(())
    }
}

#[derive(clap::Args, Clone, Debug)]
pub struct LoadArguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    sending: Sending,
}

pub async fn load(arguments: &LoadArguments) -> Result<()> {
    let target = &arguments.target;
    target
        .with(async |system| {
            let plan = plan(&arguments.data, &arguments.sending, system)?;
            let figures = load::load(system, &target.database, &plan).await?;
            let report = LoadReport {
                case: format!("{}, {}", figures.way, figures.data),
                problem: None,
                figures: Some(figures),
            };
            println!("{}", aligned(&load_table(&[(&system.dialect.name, &report)])));
            target.write(&report)
        })
        .await
}

#[derive(clap::Args, Clone, Debug)]
pub struct QueryArguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    data: Data,
    /// Questions by name; all of the data set if none is given
    #[arg(long, value_delimiter = ',')]
    queries: Vec<String>,
    #[arg(long, default_value_t = 1)]
    clients: usize,
    #[arg(long, value_enum, default_value_t = Protocol::Prepared)]
    protocol: Protocol,
    /// Askings of each question at most
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// Seconds for each question at most
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Loads the data first, also into a server that runs already
    #[arg(long)]
    load: bool,
}

/// What a load before questions is like.
const QUIET_LOAD: Sending = Sending {
    way: Way::CopyText,
    unit_rows: None,
    connections: 2,
    tags_in_rows: false,
};

fn loading(system: &System) -> Sending {
    let way = [Way::CopyText, Way::Insert]
        .into_iter()
        .find(|way| system.dialect.takes(*way));
    Sending {
        way: way.unwrap_or(Way::CopyText),
        ..QUIET_LOAD
    }
}

pub async fn query(arguments: &QueryArguments) -> Result<()> {
    let target = &arguments.target;
    let queries = chosen(&arguments.data.set()?, &arguments.queries)?;
    target
        .with(async |system| {
            let plan = plan(&arguments.data, &loading(system), system)?;
            if arguments.load || target.url.is_none() {
                load::load(system, &target.database, &plan).await?;
            }
            let extent = Extent {
                seed: plan.seed,
                devices: plan.devices,
                ticks: plan.ticks,
            };
            let pace = Pace {
                clients: arguments.clients.max(1),
                protocol: arguments.protocol,
                count_max: arguments.count.max(1),
                seconds_max: arguments.seconds,
            };
            let mut reports = Vec::new();
            for query in &queries {
                let outcome = ask(system, &target.database, &plan.set, extent, query, pace).await;
                let problem = outcome.as_ref().err().map(ToString::to_string);
                reports.push(QueryReport {
                    data: plan.set.name.to_owned(),
                    query: query.name.to_owned(),
                    problem,
                    figures: outcome.ok(),
                });
            }
            let rows: Vec<(&str, &QueryReport)> = reports
                .iter()
                .map(|report| (system.dialect.name.as_str(), report))
                .collect();
            println!("{}", aligned(&query_table(&rows)));
            target.write(&reports)?;
            match reports
                .iter()
                .find_map(|report| Some((&report.query, report.problem.as_ref()?)))
            {
                Some((query, problem)) => Err(format!("{query}: {problem}").into()),
                None => Ok(()),
            }
        })
        .await
}

#[derive(clap::Args, Clone, Debug)]
pub struct MixedArguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    sending: Sending,
    /// Rows a second that are loaded after those that are there
    #[arg(long, default_value_t = 10_000.0)]
    row_rate: f64,
    /// Questions a second
    #[arg(long, default_value_t = 100.0)]
    query_rate: f64,
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Connections that ask
    #[arg(long, default_value_t = 4)]
    clients: usize,
    #[arg(long, value_enum, default_value_t = Protocol::Prepared)]
    protocol: Protocol,
    /// Questions by name, asked in turn
    #[arg(long, value_delimiter = ',', default_values = ["newest-row"])]
    queries: Vec<String>,
}

pub async fn mixed(arguments: &MixedArguments) -> Result<()> {
    let target = &arguments.target;
    let queries = chosen(&arguments.data.set()?, &arguments.queries)?;
    target
        .with(async |system| {
            let before = plan(&arguments.data, &loading(system), system)?;
            load::load(system, &target.database, &before).await?;
            let beside = plan(&arguments.data, &arguments.sending, system)?;
            let rates = Rates {
                rows: arguments.row_rate,
                queries: arguments.query_rate,
                seconds: arguments.seconds,
                clients: arguments.clients.max(1),
                protocol: arguments.protocol,
            };
            let figures = crate::mixed::mixed(system, &target.database, &beside, &queries, rates).await?;
            println!("{}", aligned(&mixed_table(&[(&system.dialect.name, &figures)])));
            target.write(&figures)
        })
        .await
}

#[derive(clap::Args, Clone, Debug)]
pub struct DataArguments {
    #[command(flatten)]
    data: Data,
    /// The table, where the data set has several; the first if not given
    #[arg(long)]
    table: Option<String>,
}

pub fn data(arguments: &DataArguments) -> Result<()> {
    let set = arguments.data.set()?;
    let table = match &arguments.table {
        None => 0,
        Some(name) => {
            let found = set.tables.iter().position(|table| table.name == name);
            found.ok_or_else(|| format!("data set {} has no table \"{name}\"", set.name))?
        }
    };
    let encoder = Encoder {
        set: &set,
        table: &set.tables[table],
        way: Way::CopyText,
        name_prefix: "",
        target: "",
        tags: &[],
        tag_kinds: &[],
        first_device: 0,
    };
    let ticks = arguments.data.ticks(&set);
    let order = arguments.data.order(&set);
    let mut stream = Stream::new(&set, arguments.data.seed, 0..arguments.data.devices, ticks, order);
    let mut out = std::io::stdout().lock();
    let mut goes_on = true;
    while goes_on {
        let mut rows = vec![Rows::default(); set.tables.len()];
        goes_on = stream.tick(&mut rows);
        out.write_all(&encoder.text(&rows[table], 0..rows[table].len()))?;
    }
    Ok(())
}
