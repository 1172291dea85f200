//! tokio-postgres beyond the scenario of all drivers: parameter types of an INSERT, binary COPY, statements in flight together.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures::SinkExt;
use integration_tests::Server;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

const CREATE: &str =
    "CREATE TABLE readings (ts timestamptz NOT NULL, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real,
    f8 double precision, t text, raw bytea, tl timestamp, d date, j jsonb, device text, PRIMARY KEY (device, ts))";
const COLUMNS: &str = "ts, b, i2, i4, i8, f4, f8, t, raw, tl, d, j, device";

#[derive(Debug, PartialEq)]
struct Row {
    ts: DateTime<Utc>,
    b: Option<bool>,
    i2: Option<i16>,
    i4: Option<i32>,
    i8: Option<i64>,
    f4: Option<f32>,
    f8: Option<f64>,
    t: Option<String>,
    raw: Option<Vec<u8>>,
    tl: Option<NaiveDateTime>,
    d: Option<NaiveDate>,
    j: Option<serde_json::Value>,
    device: String,
}

impl Row {
    fn empty(second: i64, device: &str) -> Row {
        Row {
            ts: time(second),
            b: None,
            i2: None,
            i4: None,
            i8: None,
            f4: None,
            f8: None,
            t: None,
            raw: None,
            tl: None,
            d: None,
            j: None,
            device: device.into(),
        }
    }

    fn read(row: &tokio_postgres::Row) -> Row {
        Row {
            ts: row.get(0),
            b: row.get(1),
            i2: row.get(2),
            i4: row.get(3),
            i8: row.get(4),
            f4: row.get(5),
            f8: row.get(6),
            t: row.get(7),
            raw: row.get(8),
            tl: row.get(9),
            d: row.get(10),
            j: row.get(11),
            device: row.get(12),
        }
    }

    /// In the order of COLUMNS.
    fn parameters(&self) -> [&(dyn ToSql + Sync); 13] {
        [
            &self.ts,
            &self.b,
            &self.i2,
            &self.i4,
            &self.i8,
            &self.f4,
            &self.f8,
            &self.t,
            &self.raw,
            &self.tl,
            &self.d,
            &self.j,
            &self.device,
        ]
    }
}

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_366_400 + second, 123_456_000).expect("a valid time")
}

fn rows() -> Vec<Row> {
    let local = time(5).naive_utc();
    let full = Row {
        b: Some(true),
        i2: Some(i16::MIN),
        i4: Some(i32::MAX),
        i8: Some(i64::MIN),
        f4: Some(1.5),
        f8: Some(0.1),
        t: Some("naïve 日本 'q' \\ \t\n".into()),
        raw: Some((0..=255).collect()),
        tl: Some(local),
        d: Some(local.date()),
        j: Some(serde_json::json!({"a": [1, null, {"b": "ü"}]})),
        ..Row::empty(0, "d'1")
    };
    vec![full, Row::empty(1, "d2")]
}

async fn stored(client: &tokio_postgres::Client, table: &str) -> Vec<Row> {
    let select = format!("SELECT {COLUMNS} FROM {table} ORDER BY ts");
    let found = client.query(&select, &[]).await.expect("the rows are read");
    found.iter().map(Row::read).collect()
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
    for row in &rows() {
        let count = client
            .execute(&insert, &row.parameters())
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
    for row in &rows() {
        writer.as_mut().write(&row.parameters()).await.expect("a row is sent");
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

/// A value's bytes as they travel, of whatever type.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Raw, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[tokio::test]
async fn names_of_objects_are_oids_in_binary() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    let created = "CREATE TABLE readings (ts timestamptz PRIMARY KEY, v int)";
    client.batch_execute(created).await.expect("the table is made");
    let query = "SELECT 'readings'::regclass, 'readings'::regclass::oid, 'int4'::regtype, 'pg_catalog'::regnamespace,
        'postgres'::regrole, NULL::regclass, 'readings'::regclass::text, $1::regclass";
    let oid: u32 = client
        .query_one("SELECT oid FROM pg_class WHERE relname = 'readings'", &[])
        .await
        .expect("the table is listed")
        .get(0);
    let row = client
        .query_one(query, &[&Raw(oid.to_be_bytes().to_vec())])
        .await
        .expect("the names are read");
    let raw = |column: usize| row.get::<_, Option<Raw>>(column).map(|Raw(bytes)| bytes);
    assert_eq!(row.columns()[0].type_(), &Type::REGCLASS);
    assert_eq!(raw(0), Some(words(&[oid])));
    assert_eq!(row.get::<_, u32>(1), oid);
    assert_eq!(raw(2), Some(words(&[23])));
    assert_eq!(raw(3), Some(words(&[11])));
    assert_eq!(raw(4), Some(words(&[10])));
    assert_eq!(raw(5), None);
    assert_eq!(row.get::<_, &str>(6), "readings");
    assert_eq!(raw(7), Some(words(&[oid])));
}

#[tokio::test]
async fn parameters_may_be_arrays_of_arrays() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    let two_by_two = |element: &Type, values: [&[u8]; 4]| {
        let mut bytes = words(&[2, 0, element.oid(), 2, 1, 2, 1]);
        for value in values {
            bytes.extend(words(&[value.len() as u32]));
            bytes.extend(value);
        }
        Raw(bytes)
    };
    let numbers = [1_u32, 2, 3, 4].map(|number| number.to_be_bytes());
    let floats = [0.5_f64, -1e300, f64::INFINITY, 4.0].map(|float| float.to_be_bytes());
    let integers = two_by_two(&Type::INT4, [&numbers[0], &numbers[1], &numbers[2], &numbers[3]]);
    let floats = two_by_two(&Type::FLOAT8, [&floats[0], &floats[1], &floats[2], &floats[3]]);
    let texts = two_by_two(&Type::TEXT, [b"a", b"b c", b"it's \"d\\\\\"", b"NULL"]);
    let row = client
        .query_one(
            "SELECT $1::int4[], ($1::int4[])[2][1], array_ndims($1::int4[]), $1::int4[] = $5::int4[], $2::float8[], $3::text[], $4::int4",
            &[&integers, &floats, &texts, &7_i32, &integers],
        )
        .await
        .expect("arrays are taken");
    assert_eq!(row.get::<_, Raw>(0), integers);
    assert_eq!(row.get::<_, i32>(1), 3);
    assert_eq!(row.get::<_, i32>(2), 2);
    assert!(row.get::<_, bool>(3));
    assert_eq!(row.get::<_, Raw>(4), floats);
    assert_eq!(row.get::<_, Raw>(5), texts);
    assert_eq!(row.get::<_, i32>(6), 7);
    // The same statement takes an array of one dimension next.
    let measure = client.prepare("SELECT array_dims($1::int4[])").await;
    let measure = measure.expect("the query is prepared");
    let dimensions = async |array: &(dyn ToSql + Sync)| -> String {
        let row = client.query_one(&measure, &[array]).await;
        row.expect("the array is taken").get(0)
    };
    assert_eq!(dimensions(&integers).await, "[1:2][1:2]");
    assert_eq!(dimensions(&vec![5, 6, 7]).await, "[1:3]");
    assert_eq!(dimensions(&integers).await, "[1:2][1:2]");
}

#[tokio::test]
async fn records_in_binary_tell_the_types_of_their_values() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    let row = client.query_one("SELECT ROW(1::int, 'a', NULL::bigint)", &[]).await;
    let mut expected = words(&[3, 23, 4, 1, 25, 1]);
    expected.push(b'a');
    expected.extend(words(&[20, u32::MAX]));
    assert_eq!(row.expect("the record is read").get::<_, Raw>(0), Raw(expected));
}
