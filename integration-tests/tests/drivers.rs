//! Unmodified drivers insert with parameters, read every type back in text and binary, and COPY in.

use std::process::Command;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures::SinkExt;
use integration_tests::{Server, tools};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

fn run(mut command: Command) {
    let output = command
        .output()
        .expect("the driver's runtime is installed: run the tests by `make test`");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn python(script: &str) {
    let server = Server::start();
    let mut command = Command::new(tools().join("python/bin/python"));
    command
        .arg("-B")
        .arg(format!("{}/drivers/python/{script}", env!("CARGO_MANIFEST_DIR")));
    command.arg(server.port().to_string());
    run(command);
}

#[test]
fn psycopg() {
    python("try_psycopg.py");
}

#[test]
fn asyncpg() {
    python("try_asyncpg.py");
}

#[test]
fn sqlalchemy_core() {
    python("try_sqlalchemy.py");
}

#[test]
fn node_postgres() {
    let server = Server::start();
    let mut command = Command::new("node");
    command.arg(format!("{}/drivers/node/try_pg.js", env!("CARGO_MANIFEST_DIR")));
    command
        .arg(server.port().to_string())
        .env("NODE_PATH", tools().join("node/node_modules"));
    run(command);
}

const CREATE: &str =
    "CREATE TABLE readings (ts timestamptz NOT NULL, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real,
    f8 double precision, t text, raw bytea, tl timestamp, d date, j jsonb, device text, PRIMARY KEY (device, ts))";
const COLUMNS: &str = "ts, b, i2, i4, i8, f4, f8, t, raw, tl, d, j, device";

type Row = (
    DateTime<Utc>,
    Option<bool>,
    Option<i16>,
    Option<i32>,
    Option<i64>,
    Option<f32>,
    Option<f64>,
    Option<String>,
    Option<Vec<u8>>,
    Option<NaiveDateTime>,
    Option<NaiveDate>,
    Option<serde_json::Value>,
    String,
);

fn rows() -> Vec<Row> {
    let time = |second: i64| DateTime::from_timestamp(1_772_366_400 + second, 123_456_000).expect("a valid time");
    let local = time(5).naive_utc();
    vec![
        (
            time(0),
            Some(true),
            Some(i16::MIN),
            Some(i32::MAX),
            Some(i64::MIN),
            Some(1.5),
            Some(0.1),
            Some("naïve 日本 'q' \\ \t\n".into()),
            Some((0..=255).collect()),
            Some(local),
            Some(local.date()),
            Some(serde_json::json!({"a": [1, null, {"b": "ü"}]})),
            "d'1".into(),
        ),
        (
            time(1),
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            "d2".into(),
        ),
    ]
}

async fn stored(client: &tokio_postgres::Client, table: &str) -> Vec<Row> {
    let select = format!("SELECT {COLUMNS} FROM {table} ORDER BY ts");
    let found = client.query(&select, &[]).await.expect("the rows are read");
    found
        .iter()
        .map(|r| {
            (
                r.get(0),
                r.get(1),
                r.get(2),
                r.get(3),
                r.get(4),
                r.get(5),
                r.get(6),
                r.get(7),
                r.get(8),
                r.get(9),
                r.get(10),
                r.get(11),
                r.get(12),
            )
        })
        .collect()
}

#[tokio::test]
async fn tokio_postgres_driver() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    client.batch_execute(CREATE).await.expect("the table is made");
    let insert =
        format!("INSERT INTO readings ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)");
    let insert = client.prepare(&insert).await.expect("an INSERT is prepared");
    let types = [
        Type::TIMESTAMPTZ,
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::TEXT,
        Type::BYTEA,
        Type::TIMESTAMP,
        Type::DATE,
        Type::JSONB,
        Type::TEXT,
    ];
    assert_eq!(insert.params(), types);
    for r in &rows() {
        let count = client
            .execute(
                &insert,
                &[
                    &r.0, &r.1, &r.2, &r.3, &r.4, &r.5, &r.6, &r.7, &r.8, &r.9, &r.10, &r.11, &r.12,
                ],
            )
            .await
            .expect("a row is inserted");
        assert_eq!(count, 1);
    }
    assert_eq!(stored(&client, "readings").await, rows());

    client
        .batch_execute(&CREATE.replace("readings", "copied"))
        .await
        .expect("the table is made");
    let sink = client
        .copy_in(&format!("COPY copied ({COLUMNS}) FROM STDIN BINARY"))
        .await
        .expect("a COPY begins");
    let writer = BinaryCopyInWriter::new(sink, &types);
    let mut writer = std::pin::pin!(writer);
    for r in &rows() {
        let row = writer.as_mut();
        row.write(&[
            &r.0, &r.1, &r.2, &r.3, &r.4, &r.5, &r.6, &r.7, &r.8, &r.9, &r.10, &r.11, &r.12,
        ])
        .await
        .expect("a row is sent");
    }
    assert_eq!(writer.finish().await.expect("the COPY ends"), 2);
    assert_eq!(stored(&client, "copied").await, rows());

    let sink = client
        .copy_in::<_, Bytes>("COPY copied (device, ts, i4) FROM STDIN CSV")
        .await
        .expect("a COPY begins");
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"d3,2026-01-01T00:00:00Z,7\n"))
        .await
        .expect("data is sent");
    assert_eq!(sink.finish().await.expect("the COPY ends"), 1);
    let seven = client
        .query_one("SELECT i4 FROM copied WHERE device = $1", &[&"d3"])
        .await
        .expect("the row is read");
    assert_eq!(seven.get::<_, i32>(0), 7);
}

#[tokio::test]
async fn statements_in_flight_together_are_one_transaction() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    client
        .batch_execute("CREATE TABLE p (ts timestamptz, v int, PRIMARY KEY (ts))")
        .await
        .expect("the table is made");
    let insert = client
        .prepare("INSERT INTO p VALUES ($1, $2)")
        .await
        .expect("an INSERT is prepared");
    let sends = (0..500).map(|second| {
        let (client, insert) = (&client, &insert);
        async move {
            let time = DateTime::from_timestamp(1_772_366_400 + second, 0).expect("a valid time");
            client.execute(insert, &[&time, &(second as i32)]).await
        }
    });
    for answer in futures::future::join_all(sends).await {
        assert_eq!(answer.expect("a row is inserted"), 1);
    }
    let sum = client
        .query_one("SELECT count(*), sum(v)::bigint FROM p", &[])
        .await
        .expect("the rows are read");
    assert_eq!((sum.get::<_, i64>(0), sum.get::<_, i64>(1)), (500, 124_750));
}
