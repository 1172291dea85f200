//! COPY and VALUES against rows that are known, without a server around them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::util::display::array_value_to_string;
use chrono_tz::Tz;
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

mod insert_text;
mod samples;

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
        name: "power".into(),
        options: DatabaseOptions::default(),
        vnodes: vec![1, 2],
    };
    Target {
        temporary: None,
        keyed: None,
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

fn inserted(sql: &str, parameter_types: &[u32], parameters: &[Parameter]) -> Result<Vec<Row>, QueryError> {
    let mut accumulator = Accumulator::default();
    let (statement, _) = super::insert::parse(sql)?.expect("an INSERT");
    let insert = Standalone::new(&statement, meters(), Tz::UTC, NOW_NS)?;
    insert.insert(parameter_types, parameters, &mut FakeNames, &mut accumulator)?;
    Ok(rows(&mut accumulator))
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
