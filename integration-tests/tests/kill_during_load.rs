//! kill -9 at random moments of a load: every acknowledged statement is there whole, nothing is there that nobody sent, and no statement is
//! there in part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::SinkExt;
use integration_tests::Server;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio_postgres::Client;

const KILLS: usize = 50;
/// Devices of each writer: enough that a statement touches every vnode.
const DEVICES: i64 = 8;

/// How a writer sends a statement of some rows.
#[derive(Clone, Copy)]
enum Writer {
    SingleRow,
    ManyRows,
    Copy,
    /// Two inserts between BEGIN and COMMIT.
    Transaction,
}

const WRITERS: [Writer; 4] = [Writer::SingleRow, Writer::ManyRows, Writer::Copy, Writer::Transaction];

impl Writer {
    fn rows(self) -> i64 {
        match self {
            Writer::SingleRow => 1,
            Writer::ManyRows => 60,
            Writer::Copy => 400,
            Writer::Transaction => 20,
        }
    }

    async fn write(self, client: &Client, number: usize, batch: i64) -> Result<(), tokio_postgres::Error> {
        let rows = 0..self.rows();
        match self {
            Writer::SingleRow | Writer::ManyRows => client.batch_execute(&insert(number, batch, rows)).await,
            Writer::Copy => {
                let copy = "COPY load (tbname, ts, batch, row, value, writer) FROM STDIN";
                let sink = client.copy_in::<_, Bytes>(copy).await?;
                let mut sink = std::pin::pin!(sink);
                let mut text = String::new();
                for row in rows {
                    let (device, time, value) = contents(number, batch, row);
                    text += &format!("{device}\t{time}\t{batch}\t{row}\t{value}\t{number}\n");
                }
                sink.send(Bytes::from(text)).await?;
                sink.finish().await.map(|_| ())
            }
            Writer::Transaction => {
                client.batch_execute("BEGIN").await?;
                client.batch_execute(&insert(number, batch, 0..self.rows() / 2)).await?;
                client
                    .batch_execute(&insert(number, batch, self.rows() / 2..self.rows()))
                    .await?;
                client.batch_execute("COMMIT").await
            }
        }
    }
}

/// What row `row` of a batch holds: device, time and value.
fn contents(writer: usize, batch: i64, row: i64) -> (String, String, f64) {
    let micros = batch * 1_000 + row;
    let time = format!(
        "2026-01-01 {:02}:{:02}:{:02}.{:06}+00",
        micros / 3_600_000_000,
        micros / 60_000_000 % 60,
        micros / 1_000_000 % 60,
        micros % 1_000_000
    );
    (
        format!("w{writer}_{}", row % DEVICES),
        time,
        batch as f64 * 0.5 + row as f64,
    )
}

fn insert(writer: usize, batch: i64, rows: std::ops::Range<i64>) -> String {
    let values: Vec<String> = rows
        .map(|row| {
            let (device, time, value) = contents(writer, batch, row);
            format!("('{device}', '{time}', {batch}, {row}, {value}, {writer})")
        })
        .collect();
    format!(
        "INSERT INTO load (tbname, ts, batch, row, value, writer) VALUES {}",
        values.join(", ")
    )
}

/// Batches by writer and number.
#[derive(Default)]
struct Ledger {
    sent: BTreeSet<(usize, i64)>,
    acknowledged: BTreeSet<(usize, i64)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_statements_survive_whole() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Server::start();
    let setup = server.connect("postgres").await;
    let create = "CREATE STABLE load (ts TIMESTAMP, batch BIGINT, row INT, value DOUBLE) TAGS (writer INT)";
    setup.batch_execute(create).await.expect("the supertable is made");

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let next_batch = Arc::new(AtomicI64::new(0));
    for kill in 0..KILLS {
        let (acknowledged, mut acknowledgements) = mpsc::unbounded_channel();
        let mut writers = Vec::new();
        for (number, writer) in WRITERS.into_iter().enumerate() {
            let client = server.connect("postgres").await;
            let (ledger, next_batch, acknowledged) = (ledger.clone(), next_batch.clone(), acknowledged.clone());
            writers.push(tokio::spawn(async move {
                loop {
                    let batch = next_batch.fetch_add(1, Ordering::Relaxed);
                    ledger.lock().expect("no writer panics").sent.insert((number, batch));
                    if writer.write(&client, number, batch).await.is_err() {
                        return;
                    }
                    ledger
                        .lock()
                        .expect("no writer panics")
                        .acknowledged
                        .insert((number, batch));
                    let _ = acknowledged.send(());
                }
            }));
        }
        drop(acknowledged);
        for _ in 0..random.random_range(1..200) {
            acknowledgements
                .recv()
                .await
                .expect("the writers go on until the server dies");
        }
        if random.random_bool(0.3) {
            // Kill in the middle of a flush: sent, not waited for.
            let flusher = server.connect("postgres").await;
            tokio::spawn(async move { flusher.batch_execute("CHECKPOINT").await });
            for _ in 0..random.random_range(1..20) {
                acknowledgements
                    .recv()
                    .await
                    .expect("the writers go on until the server dies");
            }
        }
        server.kill();
        for writer in writers {
            writer.await.expect("a writer ends when its server dies");
        }
        server.start_again();
        if random.random_bool(0.2) {
            server.kill_and_start_again();
        }
        let found = found(&server).await;
        check(&ledger.lock().expect("no writer panics"), &found, kill, seed);
    }
}

/// Rows, sum of row numbers and sum of values of each batch.
async fn found(server: &Server) -> BTreeMap<(usize, i64), (i64, i64, f64)> {
    let client = server.connect("postgres").await;
    let query = "SELECT writer, batch, count(*), sum(row)::bigint, sum(value) FROM load GROUP BY writer, batch";
    let rows = client
        .query(query, &[])
        .await
        .expect("the load can be read after a kill");
    rows.iter()
        .map(|row| {
            let writer: i32 = row.get(0);
            let key = (usize::try_from(writer).expect("writers are counted from 0"), row.get(1));
            (key, (row.get(2), row.get(3), row.get(4)))
        })
        .collect()
}

fn check(ledger: &Ledger, found: &BTreeMap<(usize, i64), (i64, i64, f64)>, kill: usize, seed: u64) {
    for key in &ledger.acknowledged {
        assert!(
            found.contains_key(key),
            "acknowledged batch {key:?} is gone after kill {kill}, seed {seed}"
        );
    }
    for (key, rows) in found {
        assert!(
            ledger.sent.contains(key),
            "nobody sent batch {key:?}, kill {kill}, seed {seed}"
        );
        let count = WRITERS[key.0].rows();
        let numbers = count * (count - 1) / 2;
        let whole = (count, numbers, key.1 as f64 * 0.5 * count as f64 + numbers as f64);
        assert_eq!(
            *rows, whole,
            "batch {key:?} is not whole after kill {kill}, seed {seed}"
        );
    }
}
