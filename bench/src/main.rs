//! `make bench`: rows per second into and out of Taospg over loopback, and of PostgreSQL beside it where it is installed.
//!
//! The client sends what it has encoded beforehand (`wire.rs`), so both cores belong to the server as far as loopback allows. Every figure
//! counts rows that are committed (fsync before acknowledgement) and queryable, and that were counted afterwards.

mod data;
mod target;
mod wire;

use std::io::Result;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use data::{Generator, METRICS};
use target::Target;
use wire::{Wire, message, push_bind_execute, push_string};

#[derive(Parser)]
#[command(about = "Measures rows per second into and out of a server")]
struct Arguments {
    /// The taospg binary.
    #[arg(long)]
    server: PathBuf,
    /// Hosts that report.
    #[arg(long, default_value_t = 4_000)]
    hosts: usize,
    /// Rows for COPY text, bytes on disk and the scans; 4,000 hosts x 12 hours by default.
    #[arg(long, default_value_t = 17_280_000)]
    rows: usize,
    /// Rows for each of the other ways in, and for PostgreSQL.
    #[arg(long, default_value_t = 1_000_000)]
    few_rows: usize,
    /// Connections that load side by side.
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Leaves PostgreSQL out.
    #[arg(long)]
    no_postgres: bool,
    #[arg(long, default_value_t = 123)]
    seed: u64,
}

/// Rows of one COPY, and of one pipelined batch and INSERT: what the loaders of published benchmarks use.
const COPY_ROWS: usize = 100_000;
const STATEMENT_ROWS: usize = 1_000;

#[derive(Clone, Copy, PartialEq)]
enum Path {
    CopyText,
    CopyBinary,
    Insert,
    Prepared,
}

const PATHS: [(Path, &str); 4] = [
    (Path::CopyText, "COPY text"),
    (Path::CopyBinary, "COPY binary"),
    (Path::Insert, "multi-row INSERT, 1,000 rows"),
    (Path::Prepared, "prepared INSERT, 1,000 in flight"),
];

fn column_list() -> String {
    format!("tbname, ts, {}", METRICS.join(", "))
}

impl Path {
    /// Rows that are loaded on this way where COPY text loads `most`.
    fn rows(self, most: usize, arguments: &Arguments) -> usize {
        match self {
            Path::CopyText => most,
            _ => arguments.few_rows,
        }
    }

    /// The units of work: each is sent and answered as a whole.
    fn encode(self, rows: &mut Generator, count: usize) -> Vec<Vec<u8>> {
        let unit_rows = match self {
            Path::CopyText | Path::CopyBinary => COPY_ROWS,
            Path::Insert | Path::Prepared => STATEMENT_ROWS,
        };
        let mut units = Vec::new();
        let mut left = count;
        while left > 0 {
            let size = unit_rows.min(left);
            units.push(self.encode_unit(rows.take_rows(size)));
            left -= size;
        }
        units
    }

    fn encode_unit(self, rows: impl Iterator<Item = data::Row>) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Path::CopyText | Path::CopyBinary => {
                let mut payload = Vec::new();
                if self == Path::CopyBinary {
                    payload.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
                }
                for row in rows {
                    if self == Path::CopyText {
                        data::push_text(&mut payload, &row);
                    } else {
                        payload.extend_from_slice(&12_u16.to_be_bytes());
                        data::push_binary_fields(&mut payload, &row);
                    }
                }
                if self == Path::CopyBinary {
                    payload.extend_from_slice(&(-1_i16).to_be_bytes());
                }
                // 64 KiB a message, as libpq sends large COPY data.
                for chunk in payload.chunks(65_536) {
                    message(&mut out, b'd', |out| out.extend_from_slice(chunk));
                }
            }
            Path::Insert => message(&mut out, b'Q', |out| {
                out.extend_from_slice(format!("INSERT INTO cpu ({}) VALUES ", column_list()).as_bytes());
                for (number, row) in rows.enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    data::push_values(out, &row);
                }
                out.push(0);
            }),
            Path::Prepared => {
                for row in rows {
                    push_bind_execute(&mut out, "load", 12, |out| data::push_binary_fields(out, &row));
                }
                message(&mut out, b'S', |_| {});
            }
        }
        out
    }

    async fn send(self, wire: &mut Wire, unit: &[u8]) -> Result<()> {
        match self {
            Path::CopyText => {
                wire.copy(&format!("COPY cpu ({}) FROM STDIN", column_list()), unit)
                    .await
            }
            Path::CopyBinary => {
                wire.copy(
                    &format!("COPY cpu ({}) FROM STDIN (FORMAT binary)", column_list()),
                    unit,
                )
                .await
            }
            Path::Insert | Path::Prepared => wire.send(unit).await.map(|_| ()),
        }
    }
}

trait TakeRows {
    fn take_rows(&mut self, count: usize) -> std::iter::Take<&mut Self>
    where
        Self: Sized;
}

impl TakeRows for Generator {
    fn take_rows(&mut self, count: usize) -> std::iter::Take<&mut Generator> {
        self.by_ref().take(count)
    }
}

/// Loads into a new database; returns rows per second.
async fn load(target: &Target, path: Path, database: &str, arguments: &Arguments, rows: usize) -> Result<f64> {
    let mut setup = Wire::connect(target.port, target.user, "postgres").await?;
    setup.query(&format!("CREATE DATABASE {database}")).await?;
    let mut setup = Wire::connect(target.port, target.user, database).await?;
    setup.query(&target.create_table()).await?;
    if target.name == "Taospg" {
        // Devices are known before they report; a load that also makes tables is another case.
        for first in (0..arguments.hosts).step_by(STATEMENT_ROWS) {
            let last = (first + STATEMENT_ROWS).min(arguments.hosts);
            let tables: Vec<String> = (first..last)
                .map(|host| format!("host_{host} USING cpu TAGS ('region {}')", host % 9))
                .collect();
            setup.query(&format!("CREATE TABLE {}", tables.join(" "))).await?;
        }
    }
    let mut generator = Generator::new(arguments.seed, arguments.hosts);
    let units = path.encode(&mut generator, rows);
    let mut shares: Vec<Vec<Vec<u8>>> = (0..arguments.connections).map(|_| Vec::new()).collect();
    for (number, unit) in units.into_iter().enumerate() {
        shares[number % arguments.connections].push(unit);
    }
    let mut loaders = Vec::new();
    for share in shares {
        let mut wire = Wire::connect(target.port, target.user, database).await?;
        if path == Path::Prepared {
            let places: Vec<String> = (1..=12).map(|place| format!("${place}")).collect();
            let mut parse = Vec::new();
            message(&mut parse, b'P', |out| {
                push_string(out, "load");
                push_string(
                    out,
                    &format!("INSERT INTO cpu ({}) VALUES ({})", column_list(), places.join(", ")),
                );
                out.extend_from_slice(&[0, 0]);
            });
            message(&mut parse, b'S', |_| {});
            wire.send(&parse).await?;
        }
        loaders.push((wire, share));
    }
    let start = Instant::now();
    let tasks: Vec<_> = loaders
        .into_iter()
        .map(|(mut wire, share)| {
            tokio::spawn(async move {
                for unit in share {
                    path.send(&mut wire, &unit).await?;
                }
                Result::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(std::io::Error::other)??;
    }
    let seconds = start.elapsed().as_secs_f64();
    verify(target, database, rows).await?;
    Ok(rows as f64 / seconds)
}

/// Every row sent is there.
async fn verify(target: &Target, database: &str, rows: usize) -> Result<()> {
    let dsn = format!(
        "host=127.0.0.1 port={} user={} dbname={database}",
        target.port, target.user
    );
    let (client, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls)
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let found = client
        .query_one("SELECT count(*) FROM cpu", &[])
        .await
        .map_err(std::io::Error::other)?;
    let found: i64 = found.get(0);
    if found != rows as i64 {
        return Err(std::io::Error::other(format!(
            "{} holds {found} rows of {rows}",
            target.name
        )));
    }
    Ok(())
}

/// Median seconds of five runs after one that warms up.
async fn median_seconds(target: &Target, database: &str, query: &str) -> Result<f64> {
    let mut wire = Wire::connect(target.port, target.user, database).await?;
    wire.query(query).await?;
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        wire.query(query).await?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[2])
}

/// The queries, by the names TSBS gives them where it has one.
fn queries() -> [(&'static str, String); 6] {
    let averages: Vec<String> = METRICS.iter().map(|metric| format!("avg({metric})")).collect();
    let maxima: Vec<String> = METRICS.iter().map(|metric| format!("max({metric})")).collect();
    let hour = "ts >= '2026-01-01 00:11:23.456+00' AND ts < '2026-01-01 01:11:23.456+00'";
    [
        ("count(*)", "SELECT count(*) FROM cpu".into()),
        ("scan: ten maxima", format!("SELECT {} FROM cpu", maxima.join(", "))),
        (
            "double-groupby-all",
            format!(
                "SELECT date_trunc('hour', ts) AS hour, tbname, {} FROM cpu GROUP BY hour, tbname ORDER BY hour, tbname",
                averages.join(", ")
            ),
        ),
        (
            "single-groupby-1-1-1",
            format!(
                "SELECT date_trunc('minute', ts) AS minute, max(usage_user) FROM cpu WHERE tbname = 'host_7' AND {hour} GROUP BY minute ORDER BY minute"
            ),
        ),
        (
            "lastpoint",
            "SELECT DISTINCT ON (tbname) * FROM cpu ORDER BY tbname, ts DESC".into(),
        ),
        (
            "high-cpu-1",
            format!("SELECT * FROM cpu WHERE usage_user > 90 AND tbname = 'host_7' AND {hour}"),
        ),
    ]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let work = std::env::temp_dir().join(format!("taospg-bench-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let outcome = run(&arguments, &work).await;
    let _ = std::fs::remove_dir_all(&work);
    outcome
}

/// One server at a time, so that what one still does in the background is not on the other's bill.
async fn run(arguments: &Arguments, work: &std::path::Path) -> Result<()> {
    println!(
        "{} hosts, {} connections, ten metrics a row; fsync before acknowledgement\n",
        arguments.hosts, arguments.connections
    );
    let taospg = Target::taospg(&arguments.server, work.join("taospg"))?;
    let ours = measure(&taospg, arguments, arguments.rows).await?;
    let resident = taospg.resident_bytes() / 1_000_000;
    drop(taospg);
    let postgres = match arguments.no_postgres {
        true => None,
        false => Target::postgres(work.join("postgres"))?,
    };
    let theirs = match &postgres {
        Some(postgres) => Some(measure(postgres, arguments, arguments.few_rows).await?),
        None => None,
    };

    println!("| way in | rows | Taospg rows/s | PostgreSQL rows/s | ratio |\n|---|---|---|---|---|");
    for (number, (path, name)) in PATHS.into_iter().enumerate() {
        let ours = ours.rows_per_second[number];
        let beside = match &theirs {
            Some(theirs) => {
                let theirs = theirs.rows_per_second[number];
                format!("{theirs:.0} | {:.1}x", ours / theirs)
            }
            None => "not measured | ".into(),
        };
        println!(
            "| {name} | {} | {ours:.0} | {beside} |",
            path.rows(arguments.rows, arguments)
        );
    }
    println!(
        "\n| question | Taospg ms ({} rows) | PostgreSQL ms ({} rows) |\n|---|---|---|",
        arguments.rows, arguments.few_rows
    );
    for (number, (name, _)) in queries().into_iter().enumerate() {
        let ours = ours.seconds[number];
        let beside = match &theirs {
            Some(theirs) => format!("{:.2}", theirs.seconds[number] * 1e3),
            None => "not measured".into(),
        };
        let rate = arguments.rows as f64 / ours / 1e6;
        println!("| {name} | {:.2} ({rate:.1} M rows/s) | {beside} |", ours * 1e3);
    }
    println!("\nresident memory at the end: {resident} MB");
    Ok(())
}

/// What was measured of one server, in the order of `PATHS` and of `queries`.
struct Figures {
    rows_per_second: Vec<f64>,
    seconds: Vec<f64>,
}

/// Loads on every way, COPY text with `rows`, and asks every question of what that loaded.
async fn measure(target: &Target, arguments: &Arguments, rows: usize) -> Result<Figures> {
    let mut rows_per_second = Vec::new();
    for (number, (path, name)) in PATHS.into_iter().enumerate() {
        let rows = path.rows(rows, arguments);
        eprintln!("{}: {name}, {rows} rows", target.name);
        rows_per_second.push(load(target, path, &format!("load_{number}"), arguments, rows).await?);
        if path == Path::CopyText && target.name == "Taospg" {
            settle(target, arguments, rows).await?;
        }
    }
    let mut seconds = Vec::new();
    for (name, query) in queries() {
        eprintln!("{}: {name}", target.name);
        seconds.push(median_seconds(target, "load_0", &query).await?);
    }
    Ok(Figures {
        rows_per_second,
        seconds,
    })
}

/// Flushes and compacts, then says what a row costs on disk.
async fn settle(taospg: &Target, arguments: &Arguments, rows: usize) -> Result<()> {
    let mut wire = Wire::connect(taospg.port, taospg.user, "load_0").await?;
    let resident = taospg.resident_bytes() / 1_000_000;
    let start = Instant::now();
    wire.query("CHECKPOINT").await?;
    let flushed = start.elapsed().as_secs_f64();
    let bytes = taospg.data_bytes() as f64 / rows as f64;
    let start = Instant::now();
    wire.query("COMPACT DATABASE load_0").await?;
    let compacted = start.elapsed().as_secs_f64();
    let settled = taospg.data_bytes() as f64 / rows as f64;
    verify(taospg, "load_0", rows).await?;
    eprintln!(
        "resident after loading: {resident} MB; flush {flushed:.1} s, {bytes:.2} bytes a row of {} hosts; compaction {compacted:.1} s, {settled:.2} bytes a row",
        arguments.hosts
    );
    Ok(())
}
