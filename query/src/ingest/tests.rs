//! COPY and VALUES against rows that are known, without a server around them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array};
use arrow::util::display::array_value_to_string;
use chrono_tz::Tz;
use proptest::prelude::*;
use taospg_catalog::{ChildRef, Column, Database, DatabaseOptions, SeriesRef, SqlType, Table, TableKind};
use taospg_storage::{Change, VnodeId};

use super::accumulator::Accumulator;
use super::copy::CopyFormat;
use super::copy_binary::BinaryReader;
use super::copy_rows::{CopyRows, Route};
use super::copy_text::{Dialect, LineReader};
use super::insert_rows::Standalone;
use super::names::Names;
use super::target::{ColumnName, Field, Place, Target};
use super::time::TimeReader;
use crate::{ErrorKind, Format, Parameter, QueryError};

const NOW_NS: i64 = 1_760_000_000_000_000_000;
const SUPERTABLE: u32 = 16_500;

fn column(id: u16, name: &str, sql_type: SqlType) -> Column {
    Column {
        id,
        name: name.into(),
        sql_type,
        not_null: id == 0,
        attnum: id + 1,
        default: None,
        comment: None,
    }
}

/// meters: time, metrics of many types, tags location and group_id.
fn meters() -> Target {
    let columns = vec![
        column(0, "ts", SqlType::Timestamptz),
        column(1, "current", SqlType::Double),
        column(2, "voltage", SqlType::Integer),
        column(3, "phase", SqlType::Real),
        column(4, "note", SqlType::Varchar(12)),
        column(5, "ok", SqlType::Boolean),
        column(6, "price", SqlType::Numeric { precision: 8, scale: 2 }),
        column(7, "seen", SqlType::Timestamp),
        column(8, "day", SqlType::Date),
        column(9, "raw", SqlType::Bytea),
    ];
    let table = Table {
        oid: SUPERTABLE,
        database_oid: 1,
        name: "meters".into(),
        kind: TableKind::Super,
        version: 1,
        columns,
        tags: vec![
            column(10, "location", SqlType::Text),
            column(11, "group_id", SqlType::Integer),
        ],
        series: None,
        comment: None,
        child_prefix: String::new(),
        next_column_id: 12,
        next_attnum: 13,
    };
    let database = Database {
        oid: 1,
        name: "power".into(),
        options: DatabaseOptions::default(),
        vnodes: vec![1, 2],
    };
    Target {
        database: Arc::new(database),
        table: Arc::new(table),
        place: Place::Supertable,
        name: "meters".into(),
    }
}

/// Tables d0 to d9 exist, every other in vnode 2.
struct FakeNames;

fn child(number: u32) -> ChildRef {
    ChildRef {
        oid: 20_000 + number,
        supertable: SUPERTABLE,
        slot: number,
        series: SeriesRef {
            vnode: 1 + number % 2,
            series: number,
        },
    }
}

impl Names for FakeNames {
    fn find(&mut self, name: &str) -> Option<ChildRef> {
        match name.strip_prefix('d')?.parse() {
            Ok(number) if number < 10 => Some(child(number)),
            _ => None,
        }
    }

    fn find_derived(&mut self, table: &Table, tags: &[ArrayRef]) -> Option<ChildRef> {
        let name = self.derived_name(table, tags);
        (name == "meters.oslo.1").then(|| child(1))
    }

    fn derived_name(&mut self, table: &Table, tags: &[ArrayRef]) -> String {
        let tags: Vec<String> = tags.iter().map(|tag| array_value_to_string(tag, 0).unwrap()).collect();
        format!("{}.{}", table.name, tags.join("."))
    }

    fn place(&mut self, name: &str) -> Result<u32, QueryError> {
        Ok(1 + name.len() as u32 % 2)
    }
}

/// A row as it would be stored: table (by its number, or its name when it is new), time, and the columns that are not null.
type Row = (String, i64, BTreeMap<u16, String>);

/// All rows that would be held, vnode by vnode.
fn rows(accumulator: &mut Accumulator) -> Vec<Row> {
    let new_names = accumulator.new_tables.names_for_test();
    let created: Vec<SeriesRef> = (0..new_names.len())
        .map(|number| SeriesRef {
            vnode: 0,
            series: 1_000 + number as u32,
        })
        .collect();
    let changes = accumulator.families.take(&created);
    changes
        .into_iter()
        .flat_map(|(vnode, changes)| vnode_rows(vnode, changes, &new_names))
        .collect()
}

fn vnode_rows(vnode: VnodeId, changes: Vec<Change>, new_names: &[String]) -> Vec<Row> {
    let mut found = Vec::new();
    for change in changes {
        let Change::Rows(rows) = change else {
            panic!("only rows")
        };
        for row in 0..rows.len() {
            let series = rows.series[row];
            let name = match series.checked_sub(1_000) {
                Some(new) => new_names[new as usize].clone(),
                None => {
                    assert_eq!(vnode.0, 1 + series % 2, "series {series} lives in the other vnode");
                    format!("d{series}")
                }
            };
            let values = rows.columns.iter().filter(|(_, array)| array.is_valid(row));
            let values = values.map(|(id, array)| (id.0, array_value_to_string(array, row).unwrap()));
            found.push((name, rows.times[row], values.collect()));
        }
    }
    found
}

fn reader() -> TimeReader {
    TimeReader::new(&DatabaseOptions::default(), Tz::UTC, NOW_NS)
}

fn text_format() -> CopyFormat {
    CopyFormat::Text {
        delimiter: b'\t',
        null: "\\N".into(),
        header: false,
    }
}

fn csv_format() -> CopyFormat {
    CopyFormat::Csv {
        delimiter: b',',
        quote: b'"',
        escape: b'"',
        null: String::new(),
        header: false,
    }
}

/// Copies the pieces in: rows by vnode, and their number.
fn copy(format: &CopyFormat, columns: &[&str], pieces: &[&[u8]]) -> Result<(Vec<Row>, u64), QueryError> {
    let target = meters();
    let columns: Vec<ColumnName> = columns.iter().map(|name| ((*name).to_owned(), None)).collect();
    let fields = target.fields((!columns.is_empty()).then_some(columns.as_slice()))?;
    let route = match fields.iter().position(|field| *field == Field::TableName) {
        Some(field) => Route::Named(field),
        None => Route::Tagged,
    };
    let width = fields.len();
    let mut gathered = CopyRows::new(target, fields, route, reader(), Vec::new());
    let names: &mut dyn Names = &mut FakeNames;
    match Dialect::new(format) {
        Some(dialect) => {
            let header = matches!(
                format,
                CopyFormat::Csv { header: true, .. } | CopyFormat::Text { header: true, .. }
            );
            let mut lines = LineReader::new(dialect, header, width);
            for piece in pieces {
                lines.feed(&mut gathered, names, piece)?;
            }
            lines.finish(&mut gathered, names)?;
        }
        None => {
            let mut binary = BinaryReader::new(width);
            for piece in pieces {
                binary.feed(&mut gathered, names, piece)?;
            }
            binary.finish(&mut gathered)?;
        }
    }
    Ok((rows(&mut gathered.accumulator), gathered.count))
}

fn row(name: &str, time: i64, values: &[(u16, &str)]) -> Row {
    (
        name.into(),
        time,
        values.iter().map(|(id, value)| (*id, (*value).to_owned())).collect(),
    )
}

const TIME: i64 = 1_767_323_045_000_000;

#[test]
fn copy_text_reads_names_nulls_and_escapes() {
    let data = b"d1\t2026-01-02 03:04:05\t10.5\t220\tab\\tc\\\\\n\
        d2\t2026-01-02 03:04:05+00\t\\N\t-1\t\\N\n\
        new\t2026-01-02T03:04:06Z\t1e2\t7\tx\r\n\
        \\.\nignored";
    let (rows, count) = copy(&text_format(), &["tbname", "ts", "current", "voltage", "note"], &[data]).unwrap();
    assert_eq!(count, 3);
    assert_eq!(
        rows,
        [
            row("d2", TIME, &[(2, "-1")]),
            row("d1", TIME, &[(1, "10.5"), (2, "220"), (4, "ab\tc\\")]),
            row("new", TIME + 1_000_000, &[(1, "100.0"), (2, "7"), (4, "x")]),
        ]
    );
}

#[test]
fn copy_without_names_finds_tables_by_their_tags() {
    let columns = ["location", "ts", "group_id", "voltage"];
    let data =
        b"oslo\t2026-01-02 03:04:05\t1\t5\noslo\t2026-01-02 03:04:05\t\\N\t6\noslo\t2026-01-02 03:04:05\t01\t7\n";
    let (rows, _) = copy(&text_format(), &columns, &[data]).unwrap();
    let find = |voltage: &str| {
        rows.iter()
            .find(|(_, _, values)| values[&2] == voltage)
            .unwrap()
            .0
            .clone()
    };
    assert_eq!(find("5"), "d1");
    assert_eq!(find("7"), "d1");
    assert_eq!(find("6"), "meters.oslo.");
}

#[test]
fn copy_csv_reads_quotes_headers_and_newlines_inside() {
    let format = CopyFormat::Csv {
        delimiter: b';',
        quote: b'"',
        escape: b'"',
        null: String::new(),
        header: true,
    };
    let data = b"name;\"when\n\";note\nd1;2026-01-02 03:04:05;\"a\"\"b\n;\"\n\"d2\";\"2026-01-02 03:04:05\";\nd3;2026-01-02 03:04:05;\"\"";
    let (rows, _) = copy(&format, &["tbname", "ts", "note"], &[data]).unwrap();
    assert_eq!(
        rows,
        [
            row("d2", TIME, &[]),
            row("d1", TIME, &[(4, "a\"b\n;")]),
            row("d3", TIME, &[(4, "")]),
        ]
    );
}

fn refused(format: &CopyFormat, columns: &[&str], data: &[u8]) -> (ErrorKind, String, String) {
    let error = copy(format, columns, &[data]).unwrap_err();
    (error.kind, error.message, error.context.unwrap_or_default())
}

#[test]
fn copy_errors_name_line_and_column() {
    use ErrorKind::*;
    let columns = &["tbname", "ts", "voltage"];
    let good = "d1\t2026-01-02 03:04:05\t1\n";
    let refused = |line: &str| {
        refused(
            &text_format(),
            columns,
            format!("{good}{good}{line}\n{good}").as_bytes(),
        )
    };
    for (line, kind, message, context) in [
        (
            "d1\t2026-01-02 03:04:05\tx",
            InvalidTextRepresentation,
            "invalid input syntax for type integer: \"x\"",
            "COPY meters, line 3, column voltage: \"x\"",
        ),
        (
            "d1\t2026-01-02 03:04:05\t99999999999",
            NumericValueOutOfRange,
            "value \"99999999999\" is out of range for type integer",
            "COPY meters, line 3, column voltage: \"99999999999\"",
        ),
        (
            "d1\tnever\t1",
            InvalidDatetimeFormat,
            "invalid input syntax for type timestamp with time zone: \"never\"",
            "COPY meters, line 3, column ts: \"never\"",
        ),
        (
            "d1\t\\N\t1",
            NotNullViolation,
            "null value in column \"ts\" of relation \"meters\" violates not-null constraint",
            "COPY meters, line 3",
        ),
        (
            "d1\t2026-01-02 03:04:05",
            BadCopyFileFormat,
            "missing data for column \"voltage\"",
            "COPY meters, line 3: \"d1\t2026-01-02 03:04:05\"",
        ),
        (
            "d1\t2026-01-02 03:04:05\t1\t2",
            BadCopyFileFormat,
            "extra data after last expected column",
            "COPY meters, line 3: \"d1\t2026-01-02 03:04:05\t1\t2\"",
        ),
        (
            "d1\t1870-01-01 00:00:00\t1",
            DatetimeFieldOverflow,
            "time 1870-01-01 00:00:00+00 is outside of the database's KEEP",
            "COPY meters, line 3, column ts",
        ),
        (
            "\\N\t2026-01-02 03:04:05\t1",
            NotNullViolation,
            "null value in column \"tbname\" of relation \"meters\" violates not-null constraint",
            "COPY meters, line 3",
        ),
    ] {
        assert_eq!(refused(line), (kind, message.to_owned(), context.to_owned()), "{line}");
    }
    let (kind, message, _) = self::refused(&csv_format(), columns, b"d1,\"2026");
    assert_eq!(
        (kind, message.as_str()),
        (BadCopyFileFormat, "unterminated CSV quoted field")
    );
    let error = copy(&text_format(), &["ts", "nothing"], &[]).unwrap_err();
    assert_eq!(
        error.message,
        "column \"nothing\" of relation \"meters\" does not exist"
    );
    let error = copy(&text_format(), &["ts", "ts"], &[]).unwrap_err();
    assert_eq!(error.message, "column \"ts\" specified more than once");
}

#[test]
fn numbers_that_mean_null_are_null() {
    let format = CopyFormat::Text {
        delimiter: b',',
        null: "-999".into(),
        header: false,
    };
    let (rows, _) = copy(
        &format,
        &["tbname", "ts", "voltage"],
        &[b"d1,2026-01-02 03:04:05,-999\n"],
    )
    .unwrap();
    assert_eq!(rows, [row("d1", TIME, &[])]);
}

#[test]
fn binary_copies_check_their_frame() {
    let refused = |data: &[u8]| refused(&CopyFormat::Binary, &["tbname", "ts"], data).1;
    let header = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    assert_eq!(refused(b""), "COPY file signature not recognized");
    assert_eq!(
        refused(b"PGCOPY\n\xff\r\nx\0\0\0\0\0\0\0\0"),
        "COPY file signature not recognized"
    );
    assert_eq!(
        refused(b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0"),
        "unrecognized critical flags in COPY file header"
    );
    let with = |rest: &[u8]| refused(&[&header[..], rest].concat());
    assert_eq!(with(&[0, 3]), "row field count is 3, expected 2");
    assert_eq!(with(&[0, 2, 0, 0, 0, 9, b'd']), "unexpected EOF in COPY data");
    assert_eq!(with(&[0, 2, 0xff, 0, 0, 0]), "invalid field size");
    assert_eq!(with(&[0xff, 0xff, 0]), "received copy data after EOF marker");
    let short_time = [0, 2, 0, 0, 0, 2, b'd', b'1', 0, 0, 0, 4, 0, 0, 0, 0];
    assert_eq!(with(&short_time), "incorrect binary data format");
}

/// A random row for table, time and the nine metrics.
#[derive(Clone, Debug)]
struct Sample {
    table: u8,
    microseconds: i64,
    current: Option<f64>,
    voltage: Option<i32>,
    phase: Option<f32>,
    note: Option<String>,
    ok: Option<bool>,
    price: Option<i32>,
    seen: Option<i64>,
    day: Option<i32>,
    raw: Option<Vec<u8>>,
}

const SAMPLE_COLUMNS: [&str; 11] = [
    "note", "ts", "current", "tbname", "voltage", "phase", "ok", "price", "seen", "day", "raw",
];

fn sample() -> impl Strategy<Value = Sample> {
    let second = 1_600_000_000i64..1_800_000_000;
    let metrics = (
        proptest::option::of(prop_oneof![
            any::<f64>().prop_filter("finite, and a zero has no sign in SQL", |v| v.is_finite() && *v != 0.0),
            (-999i32..999).prop_map(|v| f64::from(v) / 10.0)
        ]),
        proptest::option::of(any::<i32>()),
        proptest::option::of(prop_oneof![
            -1000f32..1000.0,
            any::<f32>().prop_filter("finite", |v| v.is_finite() && *v != 0.0)
        ]),
        proptest::option::of("[ -~äé€\n\r\t\\\\\",]{0,12}"),
        proptest::option::of(any::<bool>()),
        proptest::option::of(-9_999_999i32..9_999_999),
        proptest::option::of(0i64..4_000_000_000_000_000),
        proptest::option::of(-20_000i32..40_000),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
    );
    (0u8..14, second, 0i64..1_000_000, metrics).prop_map(|(table, second, fraction, metrics)| {
        let (current, voltage, phase, note, ok, price, seen, day, raw) = metrics;
        Sample {
            table,
            microseconds: second * 1_000_000 + fraction,
            current,
            voltage,
            phase,
            note,
            ok,
            price,
            seen,
            day,
            raw,
        }
    })
}

fn time_text(microseconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(microseconds).unwrap();
    time.format("%Y-%m-%d %H:%M:%S%.f").to_string()
}

impl Sample {
    /// Its fields as text, before a format escapes them, in the order of `SAMPLE_COLUMNS`.
    fn fields(&self) -> Vec<Option<String>> {
        vec![
            self.note.clone(),
            Some(time_text(self.microseconds) + "+00"),
            self.current.map(|value| value.to_string()),
            Some(format!("d{}", self.table)),
            self.voltage.map(|value| value.to_string()),
            self.phase.map(|value| value.to_string()),
            self.ok.map(|value| if value { "t" } else { "f" }.to_owned()),
            self.price.map(price_text),
            self.seen.map(time_text),
            self.day.map(day_text),
            self.raw.as_ref().map(|bytes| format!("\\x{}", hex(bytes))),
        ]
    }

    fn binary_fields(&self) -> Vec<Option<Vec<u8>>> {
        let since_2000 = |microseconds: i64| (microseconds - 946_684_800_000_000).to_be_bytes().to_vec();
        vec![
            self.note.clone().map(String::into_bytes),
            Some(since_2000(self.microseconds)),
            self.current.map(|value| value.to_be_bytes().to_vec()),
            Some(format!("d{}", self.table).into_bytes()),
            self.voltage.map(|value| value.to_be_bytes().to_vec()),
            self.phase.map(|value| value.to_be_bytes().to_vec()),
            self.ok.map(|value| vec![u8::from(value)]),
            self.price.map(binary_price),
            self.seen.map(since_2000),
            self.day.map(|days| (days - 10_957).to_be_bytes().to_vec()),
            self.raw.clone(),
        ]
    }

    fn row(&self) -> Row {
        let mut values = BTreeMap::new();
        let mut put = |id: u16, value: Option<String>| {
            if let Some(value) = value {
                values.insert(id, value);
            }
        };
        put(1, self.current.map(|value| shown(Float64Array::from(vec![value]))));
        put(2, self.voltage.map(|value| value.to_string()));
        put(3, self.phase.map(|value| shown(Float32Array::from(vec![value]))));
        put(4, self.note.clone());
        put(5, self.ok.map(|value| value.to_string()));
        put(6, self.price.map(price_text));
        put(7, self.seen.map(|value| time_text(value).replace(' ', "T")));
        put(8, self.day.map(day_text));
        put(9, self.raw.as_ref().map(|bytes| hex(bytes)));
        (format!("d{}", self.table), self.microseconds, values)
    }
}

/// A value as Arrow displays it, so that the comparison is about values and not about how they are written.
fn shown(array: impl Array + 'static) -> String {
    let array: ArrayRef = Arc::new(array);
    array_value_to_string(&array, 0).unwrap()
}

fn price_text(cents: i32) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}

fn binary_price(cents: i32) -> Vec<u8> {
    let magnitude = cents.unsigned_abs();
    let digits = [
        magnitude / 100 / 10_000,
        magnitude / 100 % 10_000,
        magnitude % 100 * 100,
    ];
    let sign: u16 = if cents < 0 { 0x4000 } else { 0 };
    let mut bytes = Vec::new();
    for word in [3u16, 1, sign, 2]
        .into_iter()
        .chain(digits.into_iter().map(|digit| digit as u16))
    {
        bytes.extend(word.to_be_bytes());
    }
    bytes
}

fn day_text(days: i32) -> String {
    chrono::NaiveDate::from_epoch_days(days).unwrap().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn render_text(samples: &[Sample]) -> Vec<u8> {
    let mut data = String::new();
    for sample in samples {
        let fields: Vec<String> = sample
            .fields()
            .into_iter()
            .map(|field| match field {
                None => "\\N".to_owned(),
                Some(text) => text
                    .replace('\\', "\\\\")
                    .replace('\t', "\\t")
                    .replace('\n', if text.len() % 2 == 0 { "\\n" } else { "\\\n" })
                    .replace('\r', "\\r"),
            })
            .collect();
        data.push_str(&fields.join("\t"));
        data.push('\n');
    }
    data.into_bytes()
}

fn render_csv(samples: &[Sample]) -> Vec<u8> {
    let mut data = String::new();
    for (number, sample) in samples.iter().enumerate() {
        let fields: Vec<String> = sample
            .fields()
            .into_iter()
            .map(|field| match field {
                None => String::new(),
                Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) || number % 3 == 0 => {
                    format!("\"{}\"", text.replace('"', "\"\""))
                }
                Some(text) => text,
            })
            .collect();
        data.push_str(&fields.join(","));
        data.push_str(if number % 2 == 0 { "\r\n" } else { "\n" });
    }
    data.into_bytes()
}

fn render_binary(samples: &[Sample]) -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x03ext".to_vec();
    for sample in samples {
        let fields = sample.binary_fields();
        data.extend((fields.len() as i16).to_be_bytes());
        for field in fields {
            match field {
                None => data.extend((-1i32).to_be_bytes()),
                Some(bytes) => {
                    data.extend((bytes.len() as i32).to_be_bytes());
                    data.extend(bytes);
                }
            }
        }
    }
    data.extend((-1i16).to_be_bytes());
    data
}

/// As a VALUES list.
fn render_values(samples: &[Sample]) -> String {
    let mut sql = format!("INSERT INTO meters ({}) VALUES ", SAMPLE_COLUMNS.join(", "));
    for (number, sample) in samples.iter().enumerate() {
        let fields: Vec<String> = sample
            .fields()
            .into_iter()
            .enumerate()
            .map(|(column, field)| match field {
                None => "NULL".to_owned(),
                Some(text) if matches!(column, 2 | 4 | 5 | 7) => text,
                Some(text) if matches!(column, 6) => (text == "t").to_string(),
                Some(text) if number % 2 == 0 => format!("'{}'", text.replace('\'', "''")),
                Some(text) => format!("$q${text}$q$"),
            })
            .collect();
        sql.push_str(if number > 0 { ", (" } else { "(" });
        sql.push_str(&fields.join(if number % 2 == 0 { "," } else { " , " }));
        sql.push(')');
    }
    sql
}

/// What the rows must be, by vnode and then in their order.
fn expected(samples: &[Sample]) -> Vec<Row> {
    let mut by_vnode: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
    for sample in samples {
        let name = format!("d{}", sample.table);
        let vnode = match FakeNames.find(&name) {
            Some(child) => child.series.vnode,
            None => FakeNames.place(&name).unwrap(),
        };
        by_vnode.entry(vnode).or_default().push(sample.row());
    }
    by_vnode.into_values().flatten().collect()
}

/// Cuts data at these places.
fn pieces<'a>(data: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (data.len() + 1)).collect();
    cuts.extend([0, data.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &data[pair[0]..pair[1]]).collect()
}

fn inserted(sql: &str, parameter_types: &[u32], parameters: &[Parameter]) -> Result<Vec<Row>, QueryError> {
    let mut accumulator = Accumulator::default();
    let (statement, _) = super::insert::parse(sql)?.expect("an INSERT");
    let insert = Standalone::new(&statement, meters(), Tz::UTC, NOW_NS)?;
    insert.insert(parameter_types, parameters, &mut FakeNames, &mut accumulator)?;
    Ok(rows(&mut accumulator))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the format and wherever the data is cut, the same rows come out.
    #[test]
    fn all_formats_give_the_same_rows(samples in proptest::collection::vec(sample(), 1..12),
                                      cuts in proptest::collection::vec(any::<usize>(), 0..12)) {
        let wanted = expected(&samples);
        for (format, data) in [
            (text_format(), render_text(&samples)),
            (csv_format(), render_csv(&samples)),
            (CopyFormat::Binary, render_binary(&samples)),
        ] {
            let (rows, count) = copy(&format, &SAMPLE_COLUMNS, &pieces(&data, &cuts)).unwrap();
            prop_assert_eq!(&rows, &wanted, "{:?}", format);
            prop_assert_eq!(count, samples.len() as u64);
        }
        prop_assert_eq!(inserted(&render_values(&samples), &[], &[]).unwrap(), wanted);
    }

    /// Nothing a client sends makes a reader panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\t'), Just(b'\n'), Just(b','), Just(b'"'), Just(b'\\')], 0..200),
                                     cuts in proptest::collection::vec(any::<usize>(), 0..4)) {
        for format in [text_format(), csv_format(), CopyFormat::Binary] {
            let _ = copy(&format, &["tbname", "ts", "voltage"], &pieces(&bytes, &cuts));
        }
        let framed = [&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..], &bytes].concat();
        let _ = copy(&CopyFormat::Binary, &["tbname", "ts", "voltage"], &pieces(&framed, &cuts));
    }
}

#[test]
fn chunks_that_fill_up_keep_every_row() {
    let lines: Vec<String> = (0..40_000)
        .map(|n| format!("d{}\t2026-01-02 03:04:05.{n:06}\t{n}\n", n % 7))
        .collect();
    let (rows, count) = copy(
        &text_format(),
        &["tbname", "ts", "voltage"],
        &[lines.concat().as_bytes()],
    )
    .unwrap();
    assert_eq!((rows.len(), count), (40_000, 40_000));
    let mut voltages: HashMap<String, Vec<i64>> = HashMap::new();
    for (name, _, values) in rows {
        voltages.entry(name).or_default().push(values[&2].parse().unwrap());
    }
    for (name, values) in voltages {
        let number: i64 = name[1..].parse().unwrap();
        assert!(values.iter().all(|value| value % 7 == number));
        assert!(values.is_sorted());
    }
}

fn bind(format: Format, value: &[u8]) -> Parameter {
    Parameter {
        format,
        value: Some(bytes::Bytes::copy_from_slice(value)),
    }
}

#[test]
fn parameters_of_declared_types_are_assigned() {
    let sql = "INSERT INTO meters (tbname, ts, current, voltage, note, ok) VALUES ($1, $2, $3, $4, $5, $6)";
    let parameters = [
        bind(Format::Text, b"d1"),
        bind(Format::Binary, &(TIME - 946_684_800_000_000).to_be_bytes()),
        bind(Format::Binary, &7i16.to_be_bytes()),
        bind(Format::Text, b"2.5"),
        Parameter {
            format: Format::Binary,
            value: None,
        },
        bind(Format::Binary, &[1]),
    ];
    let rows = inserted(sql, &[25, 1184, 21, 1700, 25, 16], &parameters).unwrap();
    assert_eq!(rows, [row("d1", TIME, &[(1, "7.0"), (2, "3"), (5, "true")])]);
    let error = inserted(sql, &[25, 1184, 20, 1700, 25, 16], &parameters).unwrap_err();
    assert_eq!(error.message, "incorrect binary data format in bind parameter 3");
    assert_eq!(error.kind, ErrorKind::InvalidBinaryRepresentation);
}

#[test]
fn values_take_literals_of_every_kind() {
    let sql = "INSERT INTO meters (tbname, ts, current, voltage, seen) VALUES \
        ('d1', timestamp '2026-01-02 03:04:05', '1.5'::float8, 2.5, '2026-01-02 03:04:05'),\
        ('d1', 1767323045000001, 1, -3, now() - interval '1 s'),\
        ('d1', '2026-01-02 03:04:05.000002'::timestamptz, .5, NULL, DEFAULT)";
    assert_eq!(
        inserted(sql, &[], &[]).unwrap(),
        [
            row("d1", TIME, &[(1, "1.5"), (2, "3"), (7, "2026-01-02T03:04:05")]),
            row("d1", TIME + 1, &[(1, "1.0"), (2, "-3"), (7, "2025-10-09T08:53:19")]),
            row("d1", TIME + 2, &[(1, "0.5")]),
        ]
    );
}

#[test]
fn values_errors_are_those_of_postgres() {
    use ErrorKind::*;
    for (values, kind, message, position) in [
        (
            "(1, 2, 3, 4)",
            SyntaxError,
            "INSERT has more expressions than target columns",
            None,
        ),
        (
            "('d1', now())",
            SyntaxError,
            "INSERT has more target columns than expressions",
            None,
        ),
        (
            "('d1', now(), 'x')",
            InvalidTextRepresentation,
            "invalid input syntax for type integer: \"x\"",
            Some(63),
        ),
        (
            "('d1', now(), 3000000000)",
            NumericValueOutOfRange,
            "integer out of range",
            None,
        ),
        (
            "('d1', now(), true)",
            DatatypeMismatch,
            "column \"voltage\" is of type integer but expression is of type boolean",
            None,
        ),
        (
            "('d1', NULL, 1)",
            NotNullViolation,
            "null value in column \"ts\" of relation \"meters\" violates not-null constraint",
            None,
        ),
        (
            "('d1', '1870-01-01', 1)",
            DatetimeFieldOverflow,
            "time 1870-01-01 00:00:00+00 is outside of the database's KEEP",
            None,
        ),
        ("('', now(), 1)", InvalidName, "a table's name must not be empty", None),
    ] {
        let error = inserted(
            &format!("INSERT INTO meters (tbname, ts, voltage) VALUES {values}"),
            &[],
            &[],
        )
        .unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{values}");
        if position.is_some() {
            assert_eq!(error.position.map(|place| place as usize), position, "{values}");
        }
    }
    let error = inserted("INSERT INTO meters (tbname, voltage) VALUES ('d1', 1)", &[], &[]).unwrap_err();
    assert_eq!(error.kind, NotNullViolation);
    let error = inserted("INSERT INTO meters (ts, c) VALUES (now(), 1)", &[], &[]).unwrap_err();
    assert_eq!((error.kind, error.position), (UndefinedColumn, Some(25)));
}
