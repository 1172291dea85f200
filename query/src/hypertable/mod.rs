//! TimescaleDB's functions over our tables, so that its tools and benchmarks run.
//!
//! | there | here |
//! |---|---|
//! | hypertable | a supertable, or a plain table where all rows are of one series |
//! | chunk | a file group, as far as it holds rows of the table |
//! | retention policy | KEEP of the table |
//! | chunk interval, compression | DAYS of the database; blocks are always compressed |
//!
//! A hypertable has any number of rows of one time, a table of ours has one. So the columns that tell series apart become tags
//! ([`series_columns`]): then every row has a table to be in, and none is lost. Where nothing tells them apart the call is refused.
//!
//! Leaves to others: what the calls look like (`statement/hypertable.rs`), what is only looked at (`system/`).

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use taospg_catalog::{Database, SqlType, Table};

use crate::ddl::{Found, find};
use crate::statement::HypertableCall;
use crate::{ErrorKind, QueryError, ResultField, RowSet, Session};

mod arguments;
mod chunks;
mod create;
mod retention;

use arguments::Arguments;
pub(crate) use chunks::{Chunk, chunk_name, chunks_of};
pub(crate) use create::{compress, create_with_options};

const BOOL: u32 = 16;
const INT8: u32 = 20;
const INT4: u32 = 23;
const TEXT: u32 = 25;

/// A value of a result.
enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    Null,
}

/// The columns of a call's result when it stands in FROM; of one column it is the same everywhere.
fn columns(function: &str) -> &'static [(&'static str, u32)] {
    match function {
        "create_hypertable" | "create_distributed_hypertable" => &[
            ("hypertable_id", INT4),
            ("schema_name", TEXT),
            ("table_name", TEXT),
            ("created", BOOL),
        ],
        "add_dimension" => &[
            ("dimension_id", INT4),
            ("schema_name", TEXT),
            ("table_name", TEXT),
            ("column_name", TEXT),
            ("created", BOOL),
        ],
        "hypertable_detailed_size" => &[
            ("table_bytes", INT8),
            ("index_bytes", INT8),
            ("toast_bytes", INT8),
            ("total_bytes", INT8),
            ("node_name", TEXT),
        ],
        "add_retention_policy" => &[("add_retention_policy", INT4)],
        "add_compression_policy" => &[("add_compression_policy", INT4)],
        "add_columnstore_policy" => &[("add_columnstore_policy", INT4)],
        "add_reorder_policy" => &[("add_reorder_policy", INT4)],
        "show_chunks" => &[("show_chunks", TEXT)],
        "drop_chunks" => &[("drop_chunks", TEXT)],
        "set_chunk_time_interval" => &[("set_chunk_time_interval", TEXT)],
        "set_integer_now_func" => &[("set_integer_now_func", TEXT)],
        "remove_retention_policy" => &[("remove_retention_policy", TEXT)],
        "remove_compression_policy" => &[("remove_compression_policy", TEXT)],
        "remove_columnstore_policy" => &[("remove_columnstore_policy", TEXT)],
        "remove_reorder_policy" => &[("remove_reorder_policy", TEXT)],
        "compress_chunk" => &[("compress_chunk", TEXT)],
        _ => &[("decompress_chunk", TEXT)],
    }
}

/// The result's columns as the client sees them: in the SELECT list several are one record.
pub(crate) fn fields(call: &HypertableCall) -> Arc<[ResultField]> {
    let field = |(name, type_oid): (&str, u32)| ResultField {
        name: name.to_string(),
        type_oid,
        type_modifier: -1,
        table_oid: 0,
        attnum: 0,
    };
    shown(call).into_iter().map(field).collect()
}

fn shown(call: &HypertableCall) -> Vec<(&'static str, u32)> {
    let columns = columns(call.function);
    match call.in_from || columns.len() == 1 {
        true => columns.to_vec(),
        false => vec![(call.function, TEXT)],
    }
}

/// Does what the call says.
pub(crate) async fn execute(session: &mut Session, call: &HypertableCall) -> Result<RowSet, QueryError> {
    let arguments = Arguments::new(call)?;
    let rows = match call.function {
        "create_hypertable" | "create_distributed_hypertable" => create::hypertable(session, &arguments).await?,
        "add_dimension" => create::add_dimension(session, &arguments).await?,
        "show_chunks" => chunks::show(session, &arguments).await?,
        "drop_chunks" => chunks::drop(session, &arguments).await?,
        "hypertable_detailed_size" => chunks::detailed_size(session, &arguments)?,
        "compress_chunk" | "decompress_chunk" => {
            session.tell("00000", "blocks are always compressed, column by column");
            vec![vec![arguments.text(0).map_or(Value::Null, Value::Text)]]
        }
        "add_retention_policy" => retention::add(session, &arguments).await?,
        "remove_retention_policy" => retention::remove(session, &arguments).await?,
        function => note(session, function, &arguments)?,
    };
    answer(call, rows)
}

/// Policies and intervals belong to the database here: says which of its settings stands in their place.
fn note(session: &mut Session, function: &str, arguments: &Arguments) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    session.must_own(&found.thing(&found.table().name))?;
    let name = &found.database.name;
    let days = found.database.options.group_span_ms / DAY_MS;
    match function {
        "set_chunk_time_interval" => session.tell(
            "00000",
            format!(
                "file groups of database \"{name}\" span {days} days, as its DAYS says: the interval is left as it is"
            ),
        ),
        "add_compression_policy" | "add_columnstore_policy" => {
            session.tell(
                "00000",
                "blocks are always compressed, column by column: no policy is needed",
            );
        }
        "add_reorder_policy" => session.tell(
            "00000",
            "rows are ordered by table and time as they are: no policy is needed",
        ),
        _ => session.tell(
            "00000",
            format!("there is no policy of table \"{}\" to change", found.table().name),
        ),
    }
    Ok(vec![vec![match columns(function)[0].1 {
        INT4 => Value::Number(i64::from(found.table().oid)),
        _ => Value::Text(String::new()),
    }]])
}

pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The table that the first argument names.
fn table_of(session: &Session, arguments: &Arguments) -> Result<Found, QueryError> {
    let name = arguments.table()?;
    let found = find(session, &name)?;
    match found.child() {
        None if found.table().is_keyed() => {
            let message = format!("table \"{}\" has no time", name.name);
            Err(QueryError::new(ErrorKind::WrongObjectType, message))
        }
        None => Ok(found),
        Some(_) => {
            let message = format!("\"{}\" is a table of supertable \"{}\"", name.name, found.table().name);
            Err(QueryError::new(ErrorKind::WrongObjectType, message))
        }
    }
}

fn answer(call: &HypertableCall, rows: Vec<Vec<Value>>) -> Result<RowSet, QueryError> {
    let shown = shown(call);
    let rows: Vec<Vec<Value>> = match shown.len() == columns(call.function).len() {
        true => rows,
        false => rows.into_iter().map(|row| vec![Value::Text(record(&row))]).collect(),
    };
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(shown.len());
    let mut of_schema = Vec::with_capacity(shown.len());
    for (place, (name, type_oid)) in shown.iter().enumerate() {
        let values = rows.iter().map(|row| row.get(place).unwrap_or(&Value::Null));
        let number = |value: &Value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        };
        let array: ArrayRef = match *type_oid {
            INT8 => Arc::new(values.map(number).collect::<Int64Array>()),
            INT4 => {
                let small = |value| number(value).and_then(|number| i32::try_from(number).ok());
                Arc::new(values.map(small).collect::<Int32Array>())
            }
            BOOL => {
                let flag = |value: &Value| match value {
                    Value::Flag(flag) => Some(*flag),
                    _ => None,
                };
                Arc::new(values.map(flag).collect::<BooleanArray>())
            }
            _ => {
                let text = |value: &Value| match value {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                };
                Arc::new(values.map(text).collect::<StringArray>())
            }
        };
        let data_type = array.data_type().clone();
        of_schema.push(Field::new(*name, data_type, true));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(of_schema));
    let batch = RecordBatch::try_new(schema.clone(), arrays);
    let batch = batch.map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
    Ok(RowSet {
        fields: fields(call),
        schema: schema.clone(),
        stream: Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::iter([Ok(batch)]),
        )),
        tag: "SELECT",
    })
}

/// `(16390,public,cpu,t)`
fn record(row: &[Value]) -> String {
    let part = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => if *flag { "t" } else { "f" }.to_string(),
        Value::Null => String::new(),
    };
    format!("({})", row.iter().map(part).collect::<Vec<_>>().join(","))
}

/// Which columns tell the series of a table apart.
#[derive(Debug, PartialEq)]
enum Series {
    /// These become tags.
    Columns(Vec<String>),
    /// All rows are of one series.
    One,
    /// There may be several rows of one time, and nothing tells which they are.
    Unknown,
}

/// What is named with the call; else what an index has beside the time; else the columns of text, which in a table of measurements are
/// labels. A table of nothing but measured values is one series. Whole numbers may be either: nobody but the user knows.
fn series_columns(table: &Table, time: &str, named: &[String]) -> Series {
    let others = |columns: &[String]| -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for column in columns.iter().filter(|column| *column != time) {
            if !found.contains(column) {
                found.push(column.clone());
            }
        }
        found
    };
    if !named.is_empty() {
        return Series::Columns(others(named));
    }
    // Of an index on one value and the time, as of (cpu, time), which a benchmark may ask for, floats are no labels.
    let is_label = |name: &String| {
        let column = table.declared().into_iter().find(|column| column.name == *name);
        column.is_some_and(|column| {
            name == time
                || !matches!(
                    column.sql_type,
                    SqlType::Real | SqlType::Double | SqlType::Numeric { .. }
                )
        })
    };
    let indexes = table.indexes.iter();
    let mut useful =
        indexes.filter(|index| index.columns.iter().any(|column| column == time) && index.columns.iter().all(is_label));
    if let Some(index) = useful.find(|index| index.columns.len() > 1) {
        return Series::Columns(others(&index.columns));
    }
    let metrics = || table.columns.iter().filter(|column| column.name != time);
    let is_text = |sql_type: SqlType| matches!(sql_type, SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_));
    let texts: Vec<String> = metrics()
        .filter(|column| is_text(column.sql_type))
        .map(|column| column.name.clone())
        .collect();
    if !texts.is_empty() && texts.len() < metrics().count() {
        return Series::Columns(texts);
    }
    let is_whole = |sql_type: SqlType| matches!(sql_type, SqlType::SmallInt | SqlType::Integer | SqlType::BigInt);
    match texts.is_empty() && !metrics().any(|column| is_whole(column.sql_type)) {
        true => Series::One,
        false => Series::Unknown,
    }
}

/// The first time of the file group that a time is in.
pub(crate) fn group_start(database: &Database, time: i64) -> i64 {
    let span = crate::translate::vnode_options(&database.options).group_span.max(1);
    time.div_euclid(span).saturating_mul(span)
}

/// The time column's type as clients name it.
fn is_timestamp(data_type: SqlType) -> bool {
    matches!(data_type, SqlType::Timestamptz | SqlType::Timestamp)
}

#[cfg(test)]
mod tests {
    use taospg_catalog::{Column, Index, TableKind};

    use super::*;

    fn table(columns: &[(&str, SqlType)], index: &[&str]) -> Table {
        let column = |(number, (name, sql_type)): (u16, &(&str, SqlType))| Column {
            id: number,
            name: name.to_string(),
            sql_type: *sql_type,
            not_null: false,
            attnum: number + 1,
            default: None,
            comment: None,
        };
        Table {
            oid: 16_390,
            database_oid: 16_384,
            name: "conditions".into(),
            kind: TableKind::Plain,
            version: 1,
            columns: (0..).zip(columns).map(column).collect(),
            tags: Vec::new(),
            series: None,
            comment: None,
            keep: None,
            indexes: vec![Index {
                name: "i".into(),
                columns: index.iter().map(|name| name.to_string()).collect(),
                unique: false,
            }],
            child_prefix: "conditions".into(),
            next_column_id: 9,
            next_attnum: 9,
        }
    }

    #[test]
    fn series_are_told_apart_by_what_the_user_says_first_and_by_text_last() {
        use SqlType::{Double, Integer, Text, Timestamptz};
        let time = ("time", Timestamptz);
        let columns = |names: &[&str]| Series::Columns(names.iter().map(|name| name.to_string()).collect());
        let both = [time, ("device", Text), ("room", Text), ("id", Integer), ("t", Double)];
        let found = |columns: &[(&str, SqlType)], index: &[&str], named: &[&str]| {
            let named: Vec<String> = named.iter().map(|name| name.to_string()).collect();
            series_columns(&table(columns, index), "time", &named)
        };
        assert_eq!(found(&both, &["id", "time"], &["room"]), columns(&["room"]));
        assert_eq!(found(&both, &["id", "time"], &[]), columns(&["id"]));
        assert_eq!(found(&both, &["time"], &[]), columns(&["device", "room"]));
        assert_eq!(found(&both, &["t", "time"], &[]), columns(&["device", "room"]));
        assert_eq!(found(&[time, ("t", Double)], &["time"], &[]), Series::One);
        assert_eq!(
            found(&[time, ("id", Integer), ("t", Double)], &["time"], &[]),
            Series::Unknown
        );
        assert_eq!(found(&[time, ("message", Text)], &["time"], &[]), Series::Unknown);
    }
}
