//! Rows per second of the readers that stand between the wire and storage, one thread, ten metrics a row and 4,000 tables in turn.
//!
//! `cargo bench -p taospg-query --bench ingest [-- NAME]`: those whose name contains NAME.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::ArrayRef;
use chrono_tz::Tz;
use taospg_catalog::{ChildRef, Column, Database, DatabaseOptions, SeriesRef, SqlType, Table, TableKind};
use taospg_query::ingest::accumulator::Accumulator;
use taospg_query::ingest::copy_binary::BinaryReader;
use taospg_query::ingest::copy_rows::{CopyRows, Route};
use taospg_query::ingest::copy_text::{Dialect, LineReader};
use taospg_query::ingest::insert;
use taospg_query::ingest::insert_rows::Standalone;
use taospg_query::ingest::names::Names;
use taospg_query::ingest::target::{ColumnName, Place, Target};
use taospg_query::ingest::time::TimeReader;
use taospg_query::{CopyFormat, Format, Parameter, QueryError};

const ROWS: usize = 400_000;
const TABLES: usize = 4_000;
/// As much as one read of a socket gives.
const PIECE_BYTES: usize = 64 << 10;
const NOW_NS: i64 = 1_760_000_000_000_000_000;
const SUPERTABLE: u32 = 16_500;
/// The best counts: the machine may do other things meanwhile.
const ROUNDS: usize = 10;

struct Tables(std::collections::HashMap<String, ChildRef>);

impl Names for Tables {
    fn find(&mut self, name: &str) -> Option<ChildRef> {
        self.0.get(name).copied()
    }

    fn find_derived(&mut self, _: &Table, _: &[ArrayRef]) -> Option<ChildRef> {
        None
    }

    fn derived_name(&mut self, _: &Table, _: &[ArrayRef]) -> String {
        String::new()
    }

    fn place(&mut self, _: &str) -> Result<u32, QueryError> {
        Ok(1)
    }
}

fn tables() -> Tables {
    let child = |number: usize| ChildRef {
        oid: 20_000 + number as u32,
        supertable: SUPERTABLE,
        slot: number as u32,
        series: SeriesRef {
            vnode: 1 + number as u32 % 2,
            series: number as u32 / 2,
        },
    };
    Tables(
        (0..TABLES)
            .map(|number| (format!("host_{number}"), child(number)))
            .collect(),
    )
}

fn target() -> Target {
    let column = |id: u16, name: String, sql_type| Column {
        id,
        name,
        sql_type,
        not_null: id == 0,
        attnum: id + 1,
        default: None,
        comment: None,
    };
    let mut columns = vec![column(0, "ts".into(), SqlType::Timestamptz)];
    columns.extend((1..=10).map(|id| column(id, format!("m{id}"), SqlType::Double)));
    let table = Table {
        oid: SUPERTABLE,
        database_oid: 1,
        name: "cpu".into(),
        kind: TableKind::Super,
        version: 1,
        columns,
        tags: vec![column(11, "region".into(), SqlType::Text)],
        indexes: Vec::new(),
        keep: None,
        series: None,
        comment: None,
        child_prefix: String::new(),
        next_column_id: 12,
        next_attnum: 13,
    };
    let database = Database {
        oid: 1,
        name: "benchmark".into(),
        options: DatabaseOptions::default(),
        vnodes: vec![1, 2],
    };
    Target {
        temporary: None,
        keyed: None,
        database: Arc::new(database),
        table: Arc::new(table),
        place: Place::Supertable,
        name: "cpu".into(),
    }
}

fn columns() -> Vec<ColumnName> {
    let metrics = (1..=10).map(|id| format!("m{id}"));
    ["tbname".to_owned(), "ts".to_owned()]
        .into_iter()
        .chain(metrics)
        .map(|name| (name, None))
        .collect()
}

fn gathered() -> CopyRows {
    let target = target();
    let fields = target.fields(Some(&columns())).expect("the columns are the table's");
    let times = TimeReader::new(&target.database.options, Tz::UTC, NOW_NS);
    CopyRows::new(target, fields, Route::Named(0), times, Vec::new())
}

/// A row's table, seconds and metrics: integers that walk between 0 and 100, as TSBS has them.
fn sample(row: usize) -> (usize, i64, [u32; 10]) {
    let mut metrics = [0; 10];
    for (index, metric) in metrics.iter_mut().enumerate() {
        *metric = ((row.wrapping_mul(2_654_435_761) >> (index + 4)) % 101) as u32;
    }
    (row % TABLES, 1_700_000_000 + 10 * (row / TABLES) as i64, metrics)
}

fn time_text(seconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp(seconds, 0).expect("a time of this century");
    time.format("%Y-%m-%d %H:%M:%S+00").to_string()
}

fn lines(delimiter: char) -> Vec<u8> {
    let mut data = String::new();
    for row in 0..ROWS {
        let (table, seconds, metrics) = sample(row);
        data.push_str(&format!("host_{table}{delimiter}{}", time_text(seconds)));
        metrics
            .iter()
            .for_each(|metric| data.push_str(&format!("{delimiter}{metric}")));
        data.push('\n');
    }
    data.into_bytes()
}

fn binary() -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for row in 0..ROWS {
        let (table, seconds, metrics) = sample(row);
        let name = format!("host_{table}");
        data.extend(12i16.to_be_bytes());
        data.extend((name.len() as i32).to_be_bytes());
        data.extend(name.bytes());
        data.extend(8i32.to_be_bytes());
        data.extend(((seconds - 946_684_800) * 1_000_000).to_be_bytes());
        for metric in metrics {
            data.extend(8i32.to_be_bytes());
            data.extend(f64::from(metric).to_be_bytes());
        }
    }
    data.extend((-1i16).to_be_bytes());
    data
}

/// INSERT statements of 1,000 rows.
fn statements() -> Vec<String> {
    let names: Vec<String> = columns().into_iter().map(|(name, _)| name).collect();
    (0..ROWS / 1_000)
        .map(|statement| {
            let rows: Vec<String> = (statement * 1_000..(statement + 1) * 1_000)
                .map(|row| {
                    let (table, seconds, metrics) = sample(row);
                    let metrics: Vec<String> = metrics.iter().map(u32::to_string).collect();
                    format!("('host_{table}', '{}', {})", time_text(seconds), metrics.join(", "))
                })
                .collect();
            format!("INSERT INTO cpu ({}) VALUES {}", names.join(", "), rows.join(", "))
        })
        .collect()
}

fn report(name: &str, bytes: usize, mut run: impl FnMut() -> u64) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(run(), ROWS as u64, "{name} lost rows");
            start.elapsed()
        })
        .min()
        .expect("there is a round");
    let seconds = best.as_secs_f64();
    println!(
        "{name:<24} {:>6.2} M rows/s  {:>6.0} ns/row  {:>5.0} MB/s",
        ROWS as f64 / seconds / 1e6,
        seconds * 1e9 / ROWS as f64,
        bytes as f64 / seconds / 1e6
    );
}

fn copy_lines(format: &CopyFormat, data: &[u8], names: &mut dyn Names) -> u64 {
    let mut rows = gathered();
    let dialect = Dialect::new(format).expect("a format of lines");
    let mut reader = LineReader::new(dialect, false, rows.fields.len());
    for piece in data.chunks(PIECE_BYTES) {
        reader.feed(&mut rows, names, piece).expect("good data");
    }
    reader.finish(&mut rows, names).expect("good data");
    rows.accumulator.families.take(&[]);
    rows.count
}

fn main() {
    let mut names = tables();
    let text = lines('\t');
    let format = CopyFormat::Text {
        delimiter: b'\t',
        null: "\\N".into(),
        header: false,
    };
    report("COPY text", text.len(), || copy_lines(&format, &text, &mut names));

    let csv = lines(',');
    let format = CopyFormat::Csv {
        delimiter: b',',
        quote: b'"',
        escape: b'"',
        null: String::new(),
        header: false,
    };
    report("COPY csv", csv.len(), || copy_lines(&format, &csv, &mut names));

    let data = binary();
    report("COPY binary", data.len(), || {
        let mut rows = gathered();
        let mut reader = BinaryReader::new(rows.fields.len());
        for piece in data.chunks(PIECE_BYTES) {
            reader.feed(&mut rows, &mut names, piece).expect("good data");
        }
        reader.finish(&mut rows).expect("good data");
        rows.accumulator.families.take(&[]);
        rows.count
    });

    let sql = statements();
    let bytes = sql.iter().map(String::len).sum();
    report("INSERT parse only", bytes, || {
        let parsed = sql
            .iter()
            .map(|sql| insert::parse(sql).expect("good SQL").map_or(0, |_| 1_000));
        parsed.sum()
    });
    report("INSERT of 1,000 rows", bytes, || {
        let insert = |sql: &String| {
            let (statement, _) = insert::parse(sql).expect("good SQL").expect("an INSERT");
            let insert = Standalone::new(&statement, target(), Tz::UTC, NOW_NS).expect("known columns");
            let mut rows = Accumulator::default();
            let count = insert.insert(&[], &[], &mut names, &mut rows).expect("good rows");
            rows.families.take(&[]);
            count
        };
        sql.iter().map(insert).sum()
    });

    let names_list: Vec<String> = columns().into_iter().map(|(name, _)| name).collect();
    let places: Vec<String> = (1..=12).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO cpu ({}) VALUES ({})",
        names_list.join(", "),
        places.join(", ")
    );
    let (statement, _) = insert::parse(&sql).expect("good SQL").expect("an INSERT");
    let types = [&[25, 1184][..], &[701; 10]].concat();
    let bind = |bytes: &[u8]| Parameter {
        format: Format::Binary,
        value: Some(bytes::Bytes::copy_from_slice(bytes)),
    };
    let rows: Vec<Vec<Parameter>> = (0..ROWS)
        .map(|row| {
            let (table, seconds, metrics) = sample(row);
            let mut parameters = vec![
                bind(format!("host_{table}").as_bytes()),
                bind(&((seconds - 946_684_800) * 1_000_000).to_be_bytes()),
            ];
            parameters.extend(metrics.map(|metric| bind(&f64::from(metric).to_be_bytes())));
            parameters
        })
        .collect();
    let prepared = Standalone::new(&statement, target(), Tz::UTC, NOW_NS).expect("known columns");
    report("prepared INSERT, binary", 147 * ROWS, || {
        let mut accumulator = Accumulator::default();
        let mut count = 0;
        for parameters in &rows {
            count += prepared
                .insert(&types, parameters, &mut names, &mut accumulator)
                .expect("good rows");
        }
        accumulator.families.take(&[]);
        count
    });
}
