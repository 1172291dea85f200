//! Chunks: the file groups of a database, as far as they hold rows of a table. Rows that are still in memory are in none.

use std::collections::BTreeMap;
use std::time::SystemTime;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use taospg_catalog::{Database, Precision, Privileges, Table, TableKind};
use taospg_storage::{Change, FamilyId, SeriesSet, StorageError, TimeRange, VnodeId};

use super::arguments::Arguments;
use super::{Value, group_start, table_of};
use crate::ingest::time::TimeReader;
use crate::{Engine, ErrorKind, QueryError, Session, plan};

/// A file group that holds rows of a table.
pub(crate) struct Chunk {
    /// Its first time, and the first after it, in the database's precision.
    pub start: i64,
    pub end: i64,
}

/// By time; what KEEP has expired whole is none.
pub(crate) fn chunks_of(engine: &Engine, database: &Database, table: &Table) -> Result<Vec<Chunk>, StorageError> {
    let span = crate::translate::vnode_options(&database.options).group_span;
    let family = FamilyId(table.oid);
    let mut found: BTreeMap<i64, ()> = BTreeMap::new();
    for vnode in &database.vnodes {
        let view = engine.storage().view(VnodeId(*vnode))?;
        for (start, ..) in engine.storage().statistics(VnodeId(*vnode))?.file_groups {
            let Some(range) = TimeRange::new(start, start.saturating_add(span - 1)) else {
                continue;
            };
            if view.file_groups(family, range) > 0 {
                found.insert(start, ());
            }
        }
    }
    let chunk = |start: i64| Chunk {
        start,
        end: start.saturating_add(span),
    };
    let first = crate::keep::first(database, table, crate::engine::nanoseconds(SystemTime::now()));
    Ok(found.into_keys().map(chunk).filter(|chunk| chunk.end > first).collect())
}

/// `cpu 2026-01-01 00:00:00+00`: table and first time.
pub(crate) fn chunk_name(reader: &TimeReader, table: &str, chunk: &Chunk) -> String {
    format!("{table} {}", reader.format(chunk.start))
}

fn name(session: &Session, database: &Database, table: &Table, chunk: &Chunk) -> String {
    let reader = TimeReader::new(&database.options, chrono_tz::Tz::UTC, session.transaction_time_ns());
    chunk_name(&reader, &table.name, chunk)
}

/// The chunks that lie whole before `older_than` and after `newer_than`.
struct Bounds {
    before: Option<i64>,
    after: Option<i64>,
}

impl Bounds {
    async fn new(session: &Session, database: &Database, arguments: &Arguments<'_>) -> Result<Bounds, QueryError> {
        for parameter in ["created_before", "created_after"] {
            if arguments.get(parameter).is_some() {
                let message = format!("{parameter} is not supported: it is not kept when a file group was made");
                return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
            }
        }
        let moment = async |parameter: &str| match arguments.get(parameter) {
            None => Ok(None),
            Some(value) => moment(session, database, value).await.map(Some),
        };
        Ok(Bounds {
            before: moment("older_than").await?,
            after: moment("newer_than").await?,
        })
    }

    fn hold(&self, chunk: &Chunk) -> bool {
        self.before.is_none_or(|before| chunk.end <= before) && self.after.is_none_or(|after| chunk.start >= after)
    }
}

/// A moment, or how long ago it is, in the database's precision.
async fn moment(session: &Session, database: &Database, value: &Expr) -> Result<i64, QueryError> {
    let unit = match database.options.precision {
        Precision::Millisecond => TimeUnit::Millisecond,
        Precision::Microsecond => TimeUnit::Microsecond,
        Precision::Nanosecond => TimeUnit::Nanosecond,
    };
    let instant = DataType::Timestamp(unit, Some("UTC".into()));
    let is_span = matches!(value, Expr::Interval(_)) || value.to_string().to_ascii_lowercase().ends_with("::interval");
    let value = match is_span {
        false => plan::constant(session, value, &instant).await?,
        true => {
            let text = format!("now() - ({value})");
            let parsed = Parser::new(&PostgreSqlDialect {})
                .try_with_sql(&text)
                .and_then(|mut parser| parser.parse_expr());
            let ago = parsed.map_err(|error| QueryError::new(ErrorKind::SyntaxError, error.to_string()))?;
            plan::constant(session, &ago, &instant).await?
        }
    };
    match value {
        ScalarValue::TimestampMillisecond(Some(value), _)
        | ScalarValue::TimestampMicrosecond(Some(value), _)
        | ScalarValue::TimestampNanosecond(Some(value), _) => Ok(value),
        _ => Err(QueryError::new(
            ErrorKind::InvalidParameterValue,
            "a moment is needed, or an interval before now",
        )),
    }
}

pub(super) async fn show(session: &mut Session, arguments: &Arguments<'_>) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    let table = found.table().clone();
    session.may_with(&found, &table.name, Privileges::SELECT)?;
    let bounds = Bounds::new(session, &found.database, arguments).await?;
    let chunks = chunks_of(session.engine(), &found.database, &table)?;
    let shown = chunks.iter().filter(|chunk| bounds.hold(chunk));
    Ok(shown
        .map(|chunk| vec![Value::Text(name(session, &found.database, &table, chunk))])
        .collect())
}

/// Deletes what lies in whole file groups before the moment, in memory too.
pub(super) async fn drop(session: &mut Session, arguments: &Arguments<'_>) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    let table = found.table().clone();
    session.must_own(&found.thing(&table.name))?;
    let bounds = Bounds::new(session, &found.database, arguments).await?;
    if bounds.before.is_none() && bounds.after.is_none() {
        let message = "invalid time range for dropping chunks";
        let error = QueryError::new(ErrorKind::InvalidParameterValue, message);
        return Err(error.with_hint("At least one of older_than and newer_than must be provided."));
    }
    let chunks = chunks_of(session.engine(), &found.database, &table)?;
    let names: Vec<Vec<Value>> = chunks
        .iter()
        .filter(|chunk| bounds.hold(chunk))
        .map(|chunk| vec![Value::Text(name(session, &found.database, &table, chunk))])
        .collect();
    let span = crate::translate::vnode_options(&found.database.options).group_span;
    let first = bounds.after.map_or(i64::MIN, |after| {
        group_start(&found.database, after.saturating_add(span - 1))
    });
    let last = bounds
        .before
        .map_or(i64::MAX, |before| group_start(&found.database, before) - 1);
    let Some(time) = TimeRange::new(first, last) else {
        return Ok(names);
    };
    let family = FamilyId(table.oid);
    let mut changes: BTreeMap<VnodeId, Vec<Change>> = BTreeMap::new();
    let vnodes = match (table.kind, table.series) {
        (TableKind::Plain, Some(series)) => vec![series.vnode],
        _ => found.database.vnodes.clone(),
    };
    for vnode in vnodes {
        changes.entry(VnodeId(vnode)).or_default().push(Change::Delete {
            family,
            series: SeriesSet::All,
            time,
        });
    }
    session.hold(changes)?;
    Ok(names)
}

pub(super) fn detailed_size(session: &Session, arguments: &Arguments<'_>) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    let table = found.table();
    let mut bytes = 0;
    for vnode in &found.database.vnodes {
        let size = session
            .engine()
            .storage()
            .view(VnodeId(*vnode))?
            .family_size(FamilyId(table.oid))?;
        bytes += size.file_bytes + size.memory_bytes;
    }
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok(vec![vec![
        Value::Number(bytes),
        Value::Number(0),
        Value::Number(0),
        Value::Number(bytes),
        Value::Null,
    ]])
}
