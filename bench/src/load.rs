//! Loading: makes the tables and devices, encodes, sends, counts what arrived, settles.
//!
//!     prepare -> encode (every connection's units, side by side) -> send (the clock runs here) -> verify -> settle
//!
//! Each connection loads devices of its own, as gateways do, so that rows in order are in order for every device. What does not fit into memory
//! is encoded while it is sent, on threads whose CPU time is told apart.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::data::{DataSet, Kind, LOST_TOGETHER, Order, Rows, Stream, Totals};
use crate::dialect::fill;
use crate::encode::{Encoder, Way, as_double, parse_messages, prepared_name};
use crate::histogram::{Histogram, Latency};
use crate::process::{MemoryWatch, Usage, thread_cpu_seconds};
use crate::progress::Progress;
use crate::system::System;
use crate::wire::Wire;

/// What is loaded, and how.
#[derive(Clone)]
pub struct Plan {
    pub set: Arc<DataSet>,
    pub seed: u64,
    pub devices: u32,
    pub ticks: i64,
    pub order: Order,
    pub way: Way,
    pub unit_rows: usize,
    pub connections: usize,
    /// Devices are not made before; each row brings its device's tags.
    pub tags_in_rows: bool,
    /// Whether bytes on disk are counted before and after files are merged.
    pub settles: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub data: String,
    pub way: String,
    pub devices: u32,
    pub connections: usize,
    pub unit_rows: usize,
    pub late_percent: f64,
    pub twice_percent: f64,
    /// Rows that are there in the end.
    pub rows: u64,
    pub sent_rows: u64,
    pub seconds: f64,
    pub rows_per_second: f64,
    /// From sending a unit to its acknowledgement.
    pub acknowledged: Latency,
    pub devices_made_per_second: Option<f64>,
    pub server_cpu_seconds: Option<f64>,
    pub client_cpu_seconds: f64,
    /// Of making and encoding rows, before the clock or beside it.
    pub generator_cpu_seconds: f64,
    pub is_encoded_beside: bool,
    pub peak_memory_bytes: Option<u64>,
    pub wire_bytes: u64,
    /// Eight bytes for each value and time.
    pub raw_bytes: u64,
    /// Until the load was acknowledged, and until it was settled.
    pub written_bytes: Option<u64>,
    pub written_settled_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub disk_settled_bytes: Option<u64>,
    pub settle_seconds: Option<f64>,
    pub settle_cpu_seconds: Option<f64>,
}

impl Figures {
    /// Bytes written until settled for each byte of values.
    pub fn write_amplification(&self) -> Option<f64> {
        let written = self.written_settled_bytes.or(self.written_bytes)?;
        (written > 0).then(|| written as f64 / self.raw_bytes as f64)
    }

    /// Of data files, settled: before that, rows may still be in memory and in logs.
    pub fn bytes_per_row(&self) -> Option<f64> {
        Some(self.disk_settled_bytes? as f64 / self.rows as f64)
    }
}

/// One piece of work: sent and answered as a whole.
pub struct Unit {
    pub table: usize,
    pub rows: u64,
    pub bytes: Vec<u8>,
}

/// Everything an encoder thread needs, owned, so that it can be a thread.
pub struct Units {
    set: Arc<DataSet>,
    way: Way,
    unit_rows: usize,
    first_device: u32,
    tags: Vec<Vec<Vec<String>>>,
    tag_kinds: Vec<Vec<Kind>>,
    prefixes: Vec<String>,
    targets: Vec<String>,
}

impl Units {
    pub fn new(system: &System, plan: &Plan, devices: Range<u32>) -> Units {
        let dialect = &system.dialect;
        let set = plan.set.clone();
        let tags = (0..set.tables.len())
            .map(|table| match plan.tags_in_rows {
                true => devices
                    .clone()
                    .map(|device| {
                        let tags = set.tag_values(table, plan.seed, device);
                        dialect.row_tags(&set, &set.device_name(device), &tags)
                    })
                    .collect(),
                false => Vec::new(),
            })
            .collect();
        let targets = set
            .tables
            .iter()
            .map(|table| dialect.load_target(&set, table, plan.tags_in_rows))
            .collect();
        let prefixes = set
            .tables
            .iter()
            .map(|table| dialect.name_prefix(&set, table))
            .collect();
        Units {
            way: plan.way,
            unit_rows: plan.unit_rows,
            first_device: devices.start,
            tags,
            tag_kinds: set.tables.iter().map(|table| dialect.tag_kinds(&set, table)).collect(),
            prefixes,
            targets,
            set,
        }
    }

    fn encoder(&self, table: usize) -> Encoder<'_> {
        Encoder {
            set: &self.set,
            table: &self.set.tables[table],
            way: self.way,
            name_prefix: &self.prefixes[table],
            target: &self.targets[table],
            tags: &self.tags[table],
            tag_kinds: &self.tag_kinds[table],
            first_device: self.first_device,
        }
    }

    pub fn statements(&self) -> Vec<String> {
        (0..self.set.tables.len())
            .map(|table| self.encoder(table).statement())
            .collect()
    }

    /// Encodes a whole stream, handing on each unit; stops when nobody takes them any more.
    pub fn run(&self, stream: &mut Stream<'_>, mut hand_on: impl FnMut(Unit) -> bool) {
        let mut waiting = vec![Rows::default(); self.set.tables.len()];
        let mut goes_on = true;
        while goes_on {
            goes_on = stream.tick(&mut waiting);
            for (table, rows) in waiting.iter_mut().enumerate() {
                let mut first = 0;
                while rows.len() - first >= self.unit_rows || (!goes_on && first < rows.len()) {
                    let last = (first + self.unit_rows).min(rows.len());
                    if !hand_on(self.unit(table, rows, first..last)) {
                        return;
                    }
                    first = last;
                }
                rows.drop_first(first, self.set.tables[table].fields.len());
            }
        }
    }

    fn unit(&self, table: usize, rows: &Rows, range: Range<usize>) -> Unit {
        Unit {
            table,
            rows: range.len() as u64,
            bytes: self.encoder(table).unit(rows, range),
        }
    }
}

/// The devices of each connection. Where entries get lost in batches of ten devices, shares do not cut a batch.
pub fn shares(set: &DataSet, devices: u32, connections: usize) -> Vec<Range<u32>> {
    let step = if set.is_lossy { LOST_TOGETHER } else { 1 };
    let bound = |number: u64| -> u32 {
        let bound = u64::from(devices) * number / connections as u64;
        if number == connections as u64 {
            devices
        } else {
            bound as u32 / step * step
        }
    };
    (0..connections as u64)
        .map(|number| bound(number)..bound(number + 1))
        .filter(|share| !share.is_empty())
        .collect()
}

/// Makes the database with its tables and devices; how many devices a second.
pub async fn prepare(system: &System, database: &str, plan: &Plan) -> Result<Option<f64>> {
    system.create_database(database).await?;
    let mut session = system.session(database).await?;
    for table in &plan.set.tables {
        for statement in system.dialect.create(&plan.set, table) {
            session.execute(&statement).await?;
        }
    }
    if plan.tags_in_rows {
        return Ok(None);
    }
    // Devices of one statement. An embedded system writes a file for each.
    let batch = if system.is_embedded() { 10_000 } else { 1_000 };
    let count = u64::from(plan.devices) * plan.set.tables.len() as u64;
    let progress = Progress::start(&format!("{}: devices", system.dialect.name), count, "devices");
    let start = Instant::now();
    for (number, table) in plan.set.tables.iter().enumerate() {
        for first in (0..plan.devices).step_by(batch as usize) {
            let devices: Vec<(String, Vec<String>)> = (first..(first + batch).min(plan.devices))
                .map(|device| {
                    (
                        plan.set.device_name(device),
                        plan.set.tag_values(number, plan.seed, device),
                    )
                })
                .collect();
            let statement = system.dialect.create_devices(&plan.set, table, &devices);
            session.execute(&statement).await?;
            progress.counter().fetch_add(devices.len() as u64, Ordering::Relaxed);
        }
    }
    Ok(Some(count as f64 / start.elapsed().as_secs_f64()))
}

/// A whole load into a new database.
pub async fn load(system: &System, database: &str, plan: &Plan) -> Result<Figures> {
    let devices_made_per_second = prepare(system, database, plan).await?;
    let data_bytes = || system.disk_bytes().map(|(_, data)| data);
    let disk_before = data_bytes().unwrap_or(0);
    let watch = system.pid.map(MemoryWatch::start);
    let before = system.pid.map(Usage::of);
    let sent = match system.is_embedded() {
        true => send_files(system, database, plan).await?,
        false => send(system, database, plan).await?,
    };
    let loaded = system.pid.map(Usage::of);
    let peak_memory_bytes = watch.map(MemoryWatch::peak_bytes);
    verify(system, database, plan, &sent.totals).await?;
    let disk_bytes = data_bytes().map(|bytes| bytes.saturating_sub(disk_before));
    let settling = system.pid.map(Usage::of);
    let settle_seconds = match plan.settles {
        true => Some(settle(system, database, plan).await?),
        false => None,
    };
    let settled = system.pid.map(Usage::of);
    let used = |after: Option<Usage>| Some(after?.since(before?));
    let rows: u64 = sent.totals.iter().map(|table| table.rows).sum();
    let widths = plan.set.tables.iter().map(|table| table.fields.len() as u64 + 1);
    let raw_bytes = sent
        .totals
        .iter()
        .zip(widths)
        .map(|(table, width)| table.rows * width * 8)
        .sum();
    let seconds = sent.time.as_secs_f64();
    Ok(Figures {
        data: plan.set.name.to_owned(),
        way: if system.is_embedded() {
            "files".into()
        } else {
            plan.way.title().into()
        },
        devices: plan.devices,
        connections: sent.connections,
        unit_rows: plan.unit_rows,
        late_percent: plan.order.late * 100.0,
        twice_percent: plan.order.twice * 100.0,
        rows,
        sent_rows: sent.totals.iter().map(|table| table.sent).sum(),
        seconds,
        rows_per_second: rows as f64 / seconds,
        acknowledged: sent.acknowledged.latency(),
        devices_made_per_second,
        server_cpu_seconds: used(loaded).map(|usage| usage.cpu_seconds),
        client_cpu_seconds: sent.client_cpu_seconds,
        generator_cpu_seconds: sent.generator_cpu_seconds,
        is_encoded_beside: sent.is_encoded_beside,
        peak_memory_bytes,
        wire_bytes: sent.bytes,
        raw_bytes,
        written_bytes: used(loaded).map(|usage| usage.written_bytes),
        written_settled_bytes: settle_seconds
            .and_then(|_| used(settled))
            .map(|usage| usage.written_bytes),
        disk_bytes,
        disk_settled_bytes: settle_seconds
            .and_then(|_| data_bytes())
            .map(|bytes| bytes.saturating_sub(disk_before)),
        settle_seconds,
        settle_cpu_seconds: settle_seconds
            .and_then(|_| Some(settled?.since(settling?)))
            .map(|usage| usage.cpu_seconds),
    })
}

struct Sent {
    connections: usize,
    totals: Vec<Totals>,
    time: Duration,
    bytes: u64,
    acknowledged: Histogram,
    client_cpu_seconds: f64,
    generator_cpu_seconds: f64,
    is_encoded_beside: bool,
}

/// What an encoder thread tells when it has ended.
struct Encoded {
    totals: Vec<Totals>,
    cpu_seconds: f64,
}

/// Starts a thread for each share that encodes into a channel of this many units.
fn encode(system: &System, plan: &Plan, room: usize) -> (Vec<Connection>, Vec<std::thread::JoinHandle<Encoded>>) {
    let mut connections = Vec::new();
    let mut threads = Vec::new();
    for devices in shares(&plan.set, plan.devices, plan.connections) {
        let (sender, receiver) = tokio::sync::mpsc::channel(room);
        let units = Units::new(system, plan, devices.clone());
        connections.push(Connection {
            statements: units.statements(),
            units: receiver,
        });
        let plan = plan.clone();
        threads.push(std::thread::spawn(move || {
            let mut stream = Stream::new(&plan.set, plan.seed, devices, plan.ticks, plan.order);
            units.run(&mut stream, |unit| sender.blocking_send(unit).is_ok());
            Encoded {
                totals: stream.totals(),
                cpu_seconds: thread_cpu_seconds(),
            }
        }));
    }
    (connections, threads)
}

/// What one connection sends.
struct Connection {
    statements: Vec<String>,
    units: tokio::sync::mpsc::Receiver<Unit>,
}

/// Units that wait for a connection while they are encoded beside it.
const UNITS_WAITING: usize = 8;

/// Share of the free memory that encoded rows may take.
const MEMORY_SHARE: f64 = 0.4;

/// Whether all encoded rows fit into memory.
fn fits(plan: &Plan) -> bool {
    let columns: usize = plan.set.tables.iter().map(|table| table.fields.len() + 6).sum();
    let bytes = plan.devices as f64 * plan.ticks as f64 * columns as f64 * 13.0;
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes: f64 = free
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(1e6);
    bytes < kilobytes * 1_024.0 * MEMORY_SHARE
}

/// Sends everything and waits until all of it is acknowledged.
async fn send(system: &System, database: &str, plan: &Plan) -> Result<Sent> {
    let underway = begin(system, database, plan).await?;
    let start = underway.start;
    let mut sent = underway.finish().await?;
    if system.dialect.shows_later {
        wait_for_rows(system, database, plan, &sent.totals).await?;
        sent.time = start.elapsed();
    }
    Ok(sent)
}

/// A load that goes on.
pub struct Underway {
    progress: Progress,
    tasks: Vec<tokio::task::JoinHandle<Result<(Histogram, u64)>>>,
    /// Those that still encode, beside the connections; none where all was encoded before the clock ran.
    encoders: Vec<std::thread::JoinHandle<Encoded>>,
    encoded: Vec<Encoded>,
    own: Usage,
    start: Instant,
}

/// Encodes, connects and begins to send.
pub async fn begin(system: &System, database: &str, plan: &Plan) -> Result<Underway> {
    let is_encoded_before = fits(plan);
    let room = if is_encoded_before {
        usize::MAX >> 3
    } else {
        UNITS_WAITING
    };
    let (connections, mut encoders) = encode(system, plan, room);
    let mut encoded = Vec::new();
    if is_encoded_before {
        let _progress = Progress::start(&format!("encoding {} rows", plan.set.name), 0, "rows");
        encoded = tokio::task::block_in_place(|| join(std::mem::take(&mut encoders)))?;
    }
    let label = format!("{}: {}", system.dialect.name, plan.way.title());
    let nominal = u64::from(plan.devices) * plan.ticks as u64 * plan.set.tables.len() as u64;
    let progress = Progress::start(&label, nominal, "rows");
    let mut wires = Vec::new();
    for connection in &connections {
        let mut wire = system.wire(database).await?;
        if matches!(plan.way, Way::Prepared | Way::Single) {
            for (table, statement) in plan.set.tables.iter().zip(&connection.statements) {
                wire.send(&parse_messages(&prepared_name(table), statement)).await?;
            }
        }
        wires.push(wire);
    }
    let own = Usage::own();
    let start = Instant::now();
    let tasks = connections
        .into_iter()
        .zip(wires)
        .map(|(connection, wire)| tokio::spawn(send_all(connection, wire, plan.way, progress.counter())))
        .collect();
    Ok(Underway {
        progress,
        tasks,
        encoders,
        encoded,
        own,
        start,
    })
}

fn join(encoders: Vec<std::thread::JoinHandle<Encoded>>) -> Result<Vec<Encoded>> {
    let ended: std::thread::Result<Vec<Encoded>> = encoders.into_iter().map(|thread| thread.join()).collect();
    Ok(ended.map_err(|_| "an encoder thread panicked")?)
}

impl Underway {
    /// Rows that are acknowledged so far.
    pub fn acknowledged_rows(&self) -> u64 {
        self.progress.counter().load(Ordering::Relaxed)
    }

    /// Waits until nobody sends any more, because the server is gone; rows that were acknowledged until then.
    pub async fn abandon(self) -> u64 {
        let counter = self.progress.counter();
        for task in self.tasks {
            // That it failed is what was wanted.
            let _ = task.await;
        }
        counter.load(Ordering::Relaxed)
    }

    async fn finish(mut self) -> Result<Sent> {
        let connections = self.tasks.len();
        let mut acknowledged = Histogram::default();
        let mut bytes = 0;
        for task in self.tasks {
            let (times, sent) = task.await??;
            acknowledged.add(&times);
            bytes += sent;
        }
        let time = self.start.elapsed();
        let is_encoded_beside = !self.encoders.is_empty();
        self.encoded.extend(join(self.encoders)?);
        let generator_cpu_seconds = self.encoded.iter().map(|encoded| encoded.cpu_seconds).sum();
        let beside = if is_encoded_beside { generator_cpu_seconds } else { 0.0 };
        Ok(Sent {
            connections,
            totals: add_up(&self.encoded),
            time,
            bytes,
            acknowledged,
            client_cpu_seconds: Usage::own().since(self.own).cpu_seconds - beside,
            generator_cpu_seconds,
            is_encoded_beside,
        })
    }
}

async fn send_all(
    mut connection: Connection,
    mut wire: Wire,
    way: Way,
    done: Arc<AtomicU64>,
) -> Result<(Histogram, u64)> {
    let mut times = Histogram::default();
    let mut bytes = 0;
    while let Some(unit) = connection.units.recv().await {
        let start = Instant::now();
        send_unit(&mut wire, way, &connection.statements[unit.table], &unit.bytes).await?;
        times.record(start.elapsed());
        bytes += unit.bytes.len() as u64;
        done.fetch_add(unit.rows, Ordering::Relaxed);
    }
    Ok((times, bytes))
}

pub async fn send_unit(wire: &mut Wire, way: Way, statement: &str, bytes: &[u8]) -> Result<()> {
    match way {
        Way::CopyText | Way::CopyBinary => wire.copy(statement, bytes).await?,
        Way::Insert | Way::Prepared | Way::Single => {
            wire.send(bytes).await?;
        }
    }
    Ok(())
}

fn add_up(encoded: &[Encoded]) -> Vec<Totals> {
    let mut totals = encoded[0].totals.clone();
    for more in &encoded[1..] {
        for (total, more) in totals.iter_mut().zip(&more.totals) {
            total.add(more);
        }
    }
    totals
}

/// Embedded systems read what COPY text would have sent from files.
async fn send_files(system: &System, database: &str, plan: &Plan) -> Result<Sent> {
    let mut session = system.session(database).await?;
    let units = Units::new(
        system,
        &Plan {
            connections: 1,
            way: Way::CopyText,
            unit_rows: FILE_ROWS,
            ..plan.clone()
        },
        0..plan.devices,
    );
    let mut stream = Stream::new(&plan.set, plan.seed, 0..plan.devices, plan.ticks, plan.order);
    let cpu_before = thread_cpu_seconds();
    let mut files = Vec::new();
    let mut failure = None;
    units.run_text(&mut stream, |table, text| {
        let written = system.file(&format!("load_{}.tsv", files.len())).and_then(|file| {
            std::fs::write(&file, &text)?;
            Ok(file)
        });
        match written {
            Ok(file) => files.push((table, file, text.len() as u64)),
            Err(error) => failure = Some(error),
        }
        failure.is_none()
    });
    if let Some(error) = failure {
        return Err(error);
    }
    let generator_cpu_seconds = thread_cpu_seconds() - cpu_before;
    let progress = Progress::start(&format!("{}: files", system.dialect.name), files.len() as u64, "files");
    let mut acknowledged = Histogram::default();
    let mut time = Duration::ZERO;
    let mut bytes = 0;
    for (table, file, size) in files {
        let table = &plan.set.tables[table];
        let took = session.execute(&system.dialect.load_file(table, &file)?).await?;
        acknowledged.record(took);
        time += took;
        bytes += size;
        std::fs::remove_file(&file)?;
        progress.counter().fetch_add(1, Ordering::Relaxed);
    }
    Ok(Sent {
        connections: 1,
        totals: stream.totals(),
        time,
        bytes,
        acknowledged,
        client_cpu_seconds: 0.0,
        generator_cpu_seconds,
        is_encoded_beside: false,
    })
}

/// Rows of a file: enough that a library's parallel reader has work.
const FILE_ROWS: usize = 1_000_000;

impl Units {
    /// Like `run`, with plain lines and no messages around them.
    fn run_text(&self, stream: &mut Stream<'_>, mut hand_on: impl FnMut(usize, Vec<u8>) -> bool) {
        let mut waiting = vec![Rows::default(); self.set.tables.len()];
        let mut goes_on = true;
        while goes_on {
            goes_on = stream.tick(&mut waiting);
            for (table, rows) in waiting.iter_mut().enumerate() {
                let is_due = rows.len() >= self.unit_rows || (!goes_on && rows.len() > 0);
                if is_due && !hand_on(table, self.encoder(table).text(rows, 0..rows.len())) {
                    return;
                }
                if is_due {
                    *rows = Rows::default();
                }
            }
        }
    }
}

/// Every row is there, once where the system keeps one row for a key, and the sums of all fields are those of the generator.
pub async fn verify(system: &System, database: &str, plan: &Plan, totals: &[Totals]) -> Result<()> {
    let mut session = system.session(database).await?;
    for (table, total) in plan.set.tables.iter().zip(totals) {
        let keeps_twice = system.dialect.keeps_twice && plan.order.twice > 0.0;
        let expected = if keeps_twice { total.sent } else { total.rows };
        let mut sums = Vec::new();
        for field in &table.fields {
            sums.push(fill(system.dialect.word("sum")?, &[("field", &field.name)]));
        }
        let sql = format!("SELECT count(*), {} FROM {}", sums.join(", "), table.name);
        let rows = session.rows(&sql).await?;
        let row = rows.first().ok_or("no answer to a count")?;
        let found: u64 = row.first().cloned().flatten().unwrap_or_default().parse()?;
        if found != expected {
            return Err(format!(
                "{}: {} holds {found} rows of {expected}",
                system.dialect.name, table.name
            )
            .into());
        }
        if keeps_twice {
            continue;
        }
        for ((field, sum), cell) in table.fields.iter().zip(&total.sums).zip(&row[1..]) {
            let found: f64 = cell.as_deref().unwrap_or("0").parse()?;
            let expected = *sum as f64 / as_double(field, 1).recip();
            // A double keeps 15 digits of a sum; a real seven of each value.
            let tolerance = if field.kind == Kind::Real { 1e-6 } else { 1e-9 };
            if (found - expected).abs() > tolerance * expected.abs().max(1.0) {
                let place = format!("{}.{}", table.name, field.name);
                return Err(format!("{}: sum of {place} is {found}, not {expected}", system.dialect.name).into());
            }
        }
    }
    Ok(())
}

/// How long rows may take to be seen after they were acknowledged.
const SHOWN_WITHIN: Duration = Duration::from_secs(600);

async fn wait_for_rows(system: &System, database: &str, plan: &Plan, totals: &[Totals]) -> Result<()> {
    let start = Instant::now();
    let mut session = system.session(database).await?;
    for (table, total) in plan.set.tables.iter().zip(totals) {
        loop {
            let rows = session.rows(&format!("SELECT count(*) FROM {}", table.name)).await?;
            let found: u64 = rows
                .into_iter()
                .flatten()
                .flatten()
                .next()
                .unwrap_or_default()
                .parse()?;
            if found >= total.rows {
                break;
            }
            if start.elapsed() > SHOWN_WITHIN {
                return Err(format!("{} shows {found} rows of {}", table.name, total.rows).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(())
}

pub async fn settle(system: &System, database: &str, plan: &Plan) -> Result<f64> {
    let progress = Progress::start(&format!("{}: settling", system.dialect.name), 0, "");
    let mut session = system.session(database).await?;
    let start = Instant::now();
    for statement in system.dialect.settle(&plan.set, database) {
        session.execute(&statement).await?;
    }
    drop(progress);
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_in_one_share() {
        for (devices, connections) in [(100, 1), (100, 3), (7, 4), (4_000, 16), (25, 2)] {
            for name in ["cpu-only", "iot"] {
                let set = DataSet::by_name(name).expect("a known data set");
                let shares = shares(&set, devices, connections);
                let all: Vec<u32> = shares.iter().flat_map(Clone::clone).collect();
                assert_eq!(all, (0..devices).collect::<Vec<u32>>());
                assert!(!set.is_lossy || shares.iter().all(|share| share.start % LOST_TOGETHER == 0));
            }
        }
    }
}
