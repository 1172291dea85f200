//! Asking: one question many times by some clients, each waiting for its answer before it asks again, parameters drawn from the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::answers::Canonical;
use crate::data::DataSet;
use crate::dialect::Dialect;
use crate::encode::parse_messages;
use crate::histogram::{Histogram, Latency};
use crate::process::Usage;
use crate::progress::Progress;
use crate::queries::{Asking, Extent, Protocol, Query};
use crate::random::Random;
use crate::system::{Session, System};
use crate::wire::{Answer, ask_prepared, message, push_string};

/// How long and how often each question is asked.
#[derive(Clone, Copy)]
pub struct Pace {
    pub clients: usize,
    pub protocol: Protocol,
    /// Askings of a question, of all clients together; fewer where time runs out first.
    pub count_max: u64,
    pub seconds_max: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub query: String,
    pub clients: usize,
    pub protocol: String,
    /// The very first asking, before anything is warm.
    pub first_ms: f64,
    pub latency: Latency,
    pub per_second: f64,
    /// Rows and bytes of an answer, on average; bytes only where it comes over the wire.
    pub rows: f64,
    pub bytes: f64,
    pub server_cpu_ms: Option<f64>,
}

/// Ready messages of one asking.
pub struct Ready {
    pub sql: String,
    pub messages: Vec<u8>,
    /// The prepared statement's text, by its name; `None` for a simple query.
    prepare: Option<String>,
}

/// Parameters that a client goes round in: more would cost memory and change nothing.
const ASKINGS_MAX: u64 = 1_000;

/// The askings of one client, encoded before the clock runs.
pub fn askings(
    query: &Query,
    dialect: &Dialect,
    set: &DataSet,
    extent: Extent,
    protocol: Protocol,
    client: u64,
    count: u64,
) -> Result<Vec<Ready>> {
    let mut random = Random::new(extent.seed, &[query.path(), client]);
    (0..count.clamp(1, ASKINGS_MAX))
        .map(|_| {
            let asking = query.asking(dialect, set, extent, protocol, &mut random)?;
            Ok(ready(query, asking, protocol))
        })
        .collect()
}

fn ready(query: &Query, asking: Asking, protocol: Protocol) -> Ready {
    match protocol {
        Protocol::Simple => {
            let mut messages = Vec::new();
            message(&mut messages, b'Q', |out| push_string(out, &asking.sql));
            Ready {
                sql: asking.sql,
                messages,
                prepare: None,
            }
        }
        Protocol::Prepared => Ready {
            messages: ask_prepared(query.name, &asking.parameters),
            prepare: Some(asking.sql.clone()),
            sql: asking.sql,
        },
    }
}

/// Prepares what these askings need on this connection.
pub async fn prepare(session: &mut Session, query: &Query, askings: &[Ready]) -> Result<()> {
    let Session::Wire(wire) = session else { return Ok(()) };
    if let Some(statement) = askings.first().and_then(|asking| asking.prepare.as_ref()) {
        wire.send(&parse_messages(query.name, statement)).await?;
    }
    Ok(())
}

/// What an asking of this question answers, to be compared: `number` chooses the parameters.
pub async fn answer(
    system: &System,
    database: &str,
    set: &DataSet,
    extent: Extent,
    query: &Query,
    number: u64,
) -> Result<Canonical> {
    let mut random = Random::new(extent.seed, &[query.path(), CHECK_PATH, number]);
    let asking = query.asking(&system.dialect, set, extent, Protocol::Simple, &mut random)?;
    let mut session = system.session(database).await?;
    Ok(Canonical::of(session.rows(&asking.sql).await?))
}

/// Keeps what is compared apart from what is timed.
const CHECK_PATH: u64 = 0x6368;

/// Times one question.
pub async fn ask(
    system: &System,
    database: &str,
    set: &DataSet,
    extent: Extent,
    query: &Query,
    pace: Pace,
) -> Result<Figures> {
    // An embedded system is one connection in one process, which takes no parameters apart from the text.
    let (clients, protocol) = match system.is_embedded() {
        true => (1, Protocol::Simple),
        false => (pace.clients, pace.protocol),
    };
    let progress = Progress::start(
        &format!("{}: {}", system.dialect.name, query.name),
        pace.count_max,
        "queries",
    );
    let mut workers = Vec::new();
    for client in 0..clients as u64 {
        let askings = askings(query, &system.dialect, set, extent, protocol, client, pace.count_max)?;
        let mut session = system.session(database).await?;
        prepare(&mut session, query, &askings).await?;
        workers.push((session, askings));
    }
    let (session, first) = &mut workers[0];
    let (_, first_time) = session.ask(&first[0].sql, &first[0].messages).await?;
    for (session, askings) in &mut workers {
        session.ask(&askings[0].sql, &askings[0].messages).await?;
    }
    let before = system.pid.map(Usage::of);
    let start = Instant::now();
    let deadline = start + Duration::from_secs_f64(pace.seconds_max);
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|(session, askings)| tokio::spawn(ask_all(session, askings, pace.count_max, deadline, progress.counter())))
        .collect();
    let mut times = Histogram::default();
    let mut sum = Answer::default();
    for task in tasks {
        let (more, answers) = task.await??;
        times.add(&more);
        sum.rows += answers.rows;
        sum.bytes += answers.bytes;
    }
    let elapsed = start.elapsed().as_secs_f64();
    let used = system
        .pid
        .map(Usage::of)
        .zip(before)
        .map(|(after, before)| after.since(before));
    let count = times.count() as f64;
    Ok(Figures {
        query: query.name.to_owned(),
        clients,
        protocol: match system.is_embedded() {
            true => "library".into(),
            false => format!("{protocol:?}").to_lowercase(),
        },
        first_ms: first_time.as_secs_f64() * 1e3,
        latency: times.latency(),
        per_second: count / elapsed,
        rows: sum.rows as f64 / count,
        bytes: sum.bytes as f64 / count,
        server_cpu_ms: used.map(|usage| usage.cpu_seconds * 1e3 / count),
    })
}

/// Asks until all clients together have asked often enough, or time is over; at least once.
async fn ask_all(
    mut session: Session,
    askings: Vec<Ready>,
    count_max: u64,
    deadline: Instant,
    done: Arc<AtomicU64>,
) -> Result<(Histogram, Answer)> {
    let mut times = Histogram::default();
    let mut sum = Answer::default();
    // The first was asked to warm up.
    for asking in askings.iter().cycle().skip(1) {
        if times.count() > 0 && (Instant::now() >= deadline || done.load(Ordering::Relaxed) >= count_max) {
            break;
        }
        let (answer, time) = session.ask(&asking.sql, &asking.messages).await?;
        times.record(time);
        sum.rows += answer.rows;
        sum.bytes += answer.bytes;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok((times, sum))
}

/// The answers of the first system that was asked, which those of others are compared with.
#[derive(Default)]
pub struct Reference {
    system: String,
    answers: BTreeMap<(String, u64), Canonical>,
}

/// Askings of each question that are compared; of one that reads everything one.
fn compared(query: &Query) -> u64 {
    if query.is_heavy { 1 } else { 3 }
}

impl Reference {
    /// Compares the answers to a question with the reference, or makes them the reference; what is different.
    pub async fn check(
        &mut self,
        system: &System,
        database: &str,
        set: &DataSet,
        extent: Extent,
        query: &Query,
    ) -> Result<Option<String>> {
        for number in 0..compared(query) {
            let found = answer(system, database, set, extent, query, number).await?;
            let key = (query.name.to_owned(), number);
            match self.answers.get(&key) {
                Some(reference) => {
                    if let Some(difference) = reference.difference(&found) {
                        return Ok(Some(format!("not the answer of {}: {difference:.400}", self.system)));
                    }
                }
                None => {
                    if self.answers.is_empty() {
                        self.system = system.dialect.name.clone();
                    }
                    self.answers.insert(key, found);
                }
            }
        }
        Ok(None)
    }
}
