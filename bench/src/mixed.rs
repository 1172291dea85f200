//! Loading and asking at once, each at a rate that does not wait: the i-th statement is due at i / rate, and its latency counts from then, so
//! that a server that stalls is not asked less for it (no coordinated omission).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::ask;
use crate::data::Stream;
use crate::encode::{Way, parse_messages, prepared_name};
use crate::histogram::{Histogram, Latency};
use crate::load::{Plan, Unit, Units, send_unit, shares};
use crate::process::{MemoryWatch, Usage};
use crate::progress::Progress;
use crate::queries::{Extent, Protocol, Query};
use crate::random::Random;
use crate::system::{Session, System};

#[derive(Clone, Copy)]
pub struct Rates {
    /// Rows a second, in units of the plan's size; 0 loads nothing.
    pub rows: f64,
    /// Questions a second, of all kinds together; 0 asks nothing.
    pub queries: f64,
    pub seconds: f64,
    /// Connections that ask.
    pub clients: usize,
    pub protocol: Protocol,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub seconds: f64,
    pub rows_per_second_intended: f64,
    pub rows_per_second: f64,
    pub rows: u64,
    /// From the moment a unit was due to its acknowledgement.
    pub acknowledged: Latency,
    pub queries_per_second_intended: f64,
    pub queries_per_second: f64,
    /// From the moment a question was due to its answer.
    pub latency: Latency,
    pub latency_of: BTreeMap<String, Latency>,
    pub server_cpu_seconds: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
}

/// The rhythm of something that happens `rate` times a second: which comes next, and when it is due.
struct Rhythm {
    next: AtomicU64,
    start: Instant,
    rate: f64,
    count: u64,
}

impl Rhythm {
    fn new(start: Instant, rate: f64, seconds: f64) -> Arc<Rhythm> {
        Arc::new(Rhythm {
            next: AtomicU64::new(0),
            start,
            rate,
            count: (rate * seconds) as u64,
        })
    }

    /// Takes the next place, waits until it is due, and says which and when; `None` when all are taken.
    async fn next(&self) -> Option<(u64, Instant)> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        if place >= self.count {
            return None;
        }
        let due = self.start + Duration::from_secs_f64(place as f64 / self.rate);
        tokio::time::sleep_until(due.into()).await;
        Some((place, due))
    }
}

/// Runs against a database that holds the plan's first `plan.ticks` ticks; what is loaded comes after them.
pub async fn mixed(
    system: &System,
    database: &str,
    plan: &Plan,
    queries: &[&'static Query],
    rates: Rates,
) -> Result<Figures> {
    if system.is_embedded() {
        return Err(format!(
            "{} is no server: it cannot load and answer at once here",
            system.dialect.name
        )
        .into());
    }
    let extent = Extent {
        seed: plan.seed,
        devices: plan.devices,
        ticks: plan.ticks,
    };
    let loads = loaders(system, database, plan, rates).await?;
    let asks = askers(system, database, plan, queries, extent, rates).await?;
    let watch = system.pid.map(MemoryWatch::start);
    let before = system.pid.map(Usage::of);
    let progress = Progress::start(
        &format!("{}: mixed", system.dialect.name),
        (rates.queries * rates.seconds) as u64,
        "queries",
    );
    let start = Instant::now();
    let unit_rhythm = rates.rows / plan.unit_rows as f64 / loads.len().max(1) as f64;
    let load_tasks: Vec<_> = loads
        .into_iter()
        .map(|load| tokio::spawn(load.run(Rhythm::new(start, unit_rhythm, rates.seconds))))
        .collect();
    let rhythm = Rhythm::new(start, rates.queries, rates.seconds);
    let ask_tasks: Vec<_> = asks
        .into_iter()
        .map(|ask| tokio::spawn(ask.run(rhythm.clone(), progress.counter())))
        .collect();
    let mut acknowledged = Histogram::default();
    let mut rows = 0;
    for task in load_tasks {
        let (times, sent) = task.await??;
        acknowledged.add(&times);
        rows += sent;
    }
    let load_seconds = start.elapsed().as_secs_f64();
    let mut by_query: BTreeMap<String, Histogram> = BTreeMap::new();
    for task in ask_tasks {
        for (name, times) in task.await?? {
            by_query.entry(name).or_default().add(&times);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut all = Histogram::default();
    by_query.values().for_each(|times| all.add(times));
    let used = system
        .pid
        .map(Usage::of)
        .zip(before)
        .map(|(after, before)| after.since(before));
    Ok(Figures {
        seconds,
        rows_per_second_intended: rates.rows,
        rows_per_second: rows as f64 / load_seconds,
        rows,
        acknowledged: acknowledged.latency(),
        queries_per_second_intended: rates.queries,
        queries_per_second: all.count() as f64 / seconds,
        latency: all.latency(),
        latency_of: by_query
            .into_iter()
            .map(|(name, times)| (name, times.latency()))
            .collect(),
        server_cpu_seconds: used.map(|usage| usage.cpu_seconds),
        peak_memory_bytes: watch.map(MemoryWatch::peak_bytes),
    })
}

/// A connection that loads, with all it will send.
struct Loader {
    wire: crate::wire::Wire,
    way: Way,
    statements: Vec<String>,
    units: Vec<Unit>,
}

async fn loaders(system: &System, database: &str, plan: &Plan, rates: Rates) -> Result<Vec<Loader>> {
    let mut loaders = Vec::new();
    if rates.rows <= 0.0 {
        return Ok(loaders);
    }
    let shares = shares(&plan.set, plan.devices, plan.connections);
    let rows = rates.rows * rates.seconds / shares.len() as f64;
    let units_count = (rows / plan.unit_rows as f64) as usize + 1;
    for devices in shares {
        let units = Units::new(system, plan, devices.clone());
        // Each device gives a row a tick; where entries get lost a fifth more ticks make up for them.
        let ticks = (units_count * plan.unit_rows) as i64 / i64::from(devices.end - devices.start) * 6 / 5 + 2;
        let mut stream = Stream::new(&plan.set, plan.seed, devices, plan.ticks + ticks, plan.order);
        stream.skip_to(plan.ticks);
        let mut ready = Vec::new();
        units.run(&mut stream, |unit| {
            ready.push(unit);
            ready.len() < units_count
        });
        let statements = units.statements();
        let mut wire = system.wire(database).await?;
        if matches!(plan.way, Way::Prepared | Way::Single) {
            for (table, statement) in plan.set.tables.iter().zip(&statements) {
                wire.send(&parse_messages(&prepared_name(table), statement)).await?;
            }
        }
        loaders.push(Loader {
            wire,
            way: plan.way,
            statements,
            units: ready,
        });
    }
    Ok(loaders)
}

impl Loader {
    async fn run(mut self, rhythm: Arc<Rhythm>) -> Result<(Histogram, u64)> {
        let mut times = Histogram::default();
        let mut rows = 0;
        while let Some((place, due)) = rhythm.next().await {
            let Some(unit) = self.units.get(place as usize) else {
                break;
            };
            send_unit(&mut self.wire, self.way, &self.statements[unit.table], &unit.bytes).await?;
            times.record(due.elapsed());
            rows += unit.rows;
        }
        Ok((times, rows))
    }
}

/// A connection that asks: every kind of question, prepared, in an order drawn from the seed.
struct Asker {
    session: Session,
    kinds: Vec<(&'static str, Vec<ask::Ready>)>,
    random: Random,
}

/// Parameters of each kind of question that a client goes round in.
const ASKINGS: u64 = 100;

async fn askers(
    system: &System,
    database: &str,
    plan: &Plan,
    queries: &[&'static Query],
    extent: Extent,
    rates: Rates,
) -> Result<Vec<Asker>> {
    let mut askers = Vec::new();
    if rates.queries <= 0.0 {
        return Ok(askers);
    }
    for client in 0..rates.clients as u64 {
        let mut session = system.session(database).await?;
        let mut kinds = Vec::new();
        for query in queries {
            let askings = ask::askings(
                query,
                &system.dialect,
                &plan.set,
                extent,
                rates.protocol,
                client,
                ASKINGS,
            )?;
            ask::prepare(&mut session, query, &askings).await?;
            session.ask(&askings[0].sql, &askings[0].messages).await?;
            kinds.push((query.name, askings));
        }
        askers.push(Asker {
            session,
            kinds,
            random: Random::new(plan.seed, &[MIXED_PATH, client]),
        });
    }
    Ok(askers)
}

/// Keeps the order of questions apart from other sequences.
const MIXED_PATH: u64 = 0x6d69;

impl Asker {
    async fn run(mut self, rhythm: Arc<Rhythm>, done: Arc<AtomicU64>) -> Result<BTreeMap<String, Histogram>> {
        let mut times: BTreeMap<String, Histogram> = BTreeMap::new();
        while let Some((_, due)) = rhythm.next().await {
            let (name, askings) = self.random.pick(&self.kinds);
            let asking = self.random.pick(askings);
            self.session.ask(&asking.sql, &asking.messages).await?;
            times.entry((*name).to_owned()).or_default().record(due.elapsed());
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(times)
    }
}
