//! create_hypertable and what else says which columns tell series apart: they become tags while the table is empty.

use taospg_catalog::{TableChange, TableKind};

use super::arguments::Arguments;
use super::{Found, Series, Value, is_timestamp, series_columns, table_of};
use crate::{ErrorKind, QueryError, Session, plan};

pub(super) async fn hypertable(
    session: &mut Session,
    arguments: &Arguments<'_>,
) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    let table = found.table().clone();
    session.must_own(&found.thing(&table.name))?;
    let time = arguments
        .dimension("time_column_name")?
        .map(|dimension| dimension.column);
    let time = time.unwrap_or_else(|| table.time_column().name.clone());
    check_time(&found, &time)?;
    let named = arguments
        .dimension("partitioning_column")?
        .map(|dimension| dimension.column);
    let named: Vec<String> = named.into_iter().collect();
    check_columns(&found, &named)?;
    let created = divide(session, &found, &time, &named, arguments.flag("migrate_data")).await?;
    if arguments.get("chunk_time_interval").is_some() {
        let (name, days) = (
            &found.database.name,
            found.database.options.group_span_ms / super::DAY_MS,
        );
        session.tell(
            "00000",
            format!(
                "file groups of database \"{name}\" span {days} days, as its DAYS says, whatever chunk_time_interval is"
            ),
        );
    }
    Ok(vec![vec![
        Value::Number(i64::from(table.oid)),
        Value::Text("public".into()),
        Value::Text(table.name.clone()),
        Value::Flag(created),
    ]])
}

/// Of a second dimension by hash, its column tells series apart, too.
pub(super) async fn add_dimension(
    session: &mut Session,
    arguments: &Arguments<'_>,
) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    let table = found.table().clone();
    session.must_own(&found.thing(&table.name))?;
    let Some(dimension) = arguments.dimension("column_name")? else {
        return Err(QueryError::new(
            ErrorKind::NullValueNotAllowed,
            "add_dimension needs the name of a column",
        ));
    };
    check_columns(&found, std::slice::from_ref(&dimension.column))?;
    let by_hash = dimension.hashed || arguments.get("number_partitions").is_some();
    let is_tag = table.tags.iter().any(|tag| tag.name == dimension.column);
    if !by_hash && !is_tag {
        let message = "a second dimension by range is not supported";
        let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
        return Err(error.with_hint("file groups span time alone; columns that tell series apart are added by_hash"));
    }
    let mut columns: Vec<String> = table.tags.iter().map(|tag| tag.name.clone()).collect();
    if !is_tag {
        columns.push(dimension.column.clone());
        let time = table.time_column().name.clone();
        retag(session, &found, &time, &columns).await?;
    }
    Ok(vec![vec![
        Value::Number(i64::from(table.oid)),
        Value::Text("public".into()),
        Value::Text(table.name.clone()),
        Value::Text(dimension.column),
        Value::Flag(!is_tag),
    ]])
}

/// `ALTER TABLE … SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')`.
pub(crate) async fn compress(session: &mut Session, found: &Found, segment_by: &[String]) -> Result<(), QueryError> {
    session.tell("00000", "blocks are always compressed, column by column");
    let table = found.table().clone();
    if segment_by.is_empty() || table.kind == TableKind::Super || table.is_keyed() {
        return Ok(());
    }
    check_columns(found, segment_by)?;
    let time = table.time_column().name.clone();
    divide(session, found, &time, segment_by, false).await?;
    Ok(())
}

/// `CREATE TABLE … WITH (tsdb.hypertable, tsdb.partition_column = 'time')`, the table just made.
pub(crate) async fn create_with_options(session: &mut Session, found: &Found) -> Result<(), QueryError> {
    let time = found.table().time_column().name.clone();
    divide(session, found, &time, &[], false).await?;
    Ok(())
}

fn check_time(found: &Found, time: &str) -> Result<(), QueryError> {
    let table = found.table();
    let Some(column) = table.declared().into_iter().find(|column| column.name == time) else {
        let message = format!("column \"{time}\" does not exist");
        return Err(QueryError::new(ErrorKind::UndefinedColumn, message));
    };
    if !is_timestamp(column.sql_type) {
        let message = format!(
            "column \"{time}\" is of type {}, which is no time",
            column.sql_type.display_name()
        );
        let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
        return Err(error.with_hint("the time of rows is a timestamp"));
    }
    if table.time_column().name != time {
        let own = &table.time_column().name;
        let message = format!(
            "the time of table \"{}\" is column \"{own}\", not \"{time}\"",
            table.name
        );
        let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
        return Err(error.with_hint("name the column first in CREATE TABLE, or in its PRIMARY KEY"));
    }
    Ok(())
}

fn check_columns(found: &Found, names: &[String]) -> Result<(), QueryError> {
    let declared = found.table().declared();
    match names
        .iter()
        .find(|name| !declared.iter().any(|column| column.name == **name))
    {
        None => Ok(()),
        Some(name) => {
            let message = format!("column \"{name}\" does not exist");
            Err(QueryError::new(ErrorKind::UndefinedColumn, message))
        }
    }
}

/// Makes the columns that tell series apart tags, where they are not; says what it did. Whether anything changed.
async fn divide(
    session: &mut Session,
    found: &Found,
    time: &str,
    named: &[String],
    migrate: bool,
) -> Result<bool, QueryError> {
    let table = found.table();
    let name = &table.name;
    if table.kind == TableKind::Super {
        let is_tag = |column: &String| table.tags.iter().any(|tag| tag.name == *column);
        if let Some(column) = named.iter().find(|column| !is_tag(column)) {
            let message = format!("column \"{column}\" of supertable \"{name}\" is not a tag");
            let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
            return Err(error.with_hint("rows are kept apart by the tags, which the table has already"));
        }
        let tags: Vec<&str> = table.tags.iter().map(|tag| tag.name.as_str()).collect();
        session.tell(
            "00000",
            format!("\"{name}\" is a supertable already; its tags: {}", tags.join(", ")),
        );
        return Ok(false);
    }
    match series_columns(table, time, named) {
        Series::One => {
            session.tell(
                "00000",
                format!("\"{name}\" is one series: it has one row of one time, and a row of a time that is there already is merged into it"),
            );
            Ok(false)
        }
        Series::Unknown => {
            let message = format!("nothing tells which series the rows of table \"{name}\" are of");
            let error = QueryError::new(ErrorKind::ObjectNotInPrerequisiteState, message);
            Err(error
                .with_detail("A table keeps one row of one time, so rows of several devices would be merged.")
                .with_hint(format!(
                    "name the column: create_hypertable('{name}', '{time}', partitioning_column => '…'), or CREATE INDEX ON {name} (…, {time}) first; \
                     a table of one series needs no create_hypertable"
                )))
        }
        Series::Columns(columns) => {
            if migrate && !is_empty(session, found).await? {
                let message = "migrate_data into a supertable is not supported";
                let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
                return Err(error.with_hint(format!("make an empty table, then INSERT INTO it SELECT * FROM {name}")));
            }
            retag(session, found, time, &columns).await?;
            Ok(true)
        }
    }
}

/// Gives an empty table tags.
async fn retag(session: &mut Session, found: &Found, time: &str, columns: &[String]) -> Result<(), QueryError> {
    let table = found.table();
    let name = &table.name;
    if columns.len() + 1 >= table.declared().len() {
        let message = format!("table \"{name}\" would have no column besides its time and its tags");
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
    }
    session.hold_accumulated()?;
    let engine = session.engine().clone();
    let _alone = engine.definitions().write().await;
    if !is_empty(session, found).await? {
        let message = format!("table \"{name}\" is not empty");
        let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
        return Err(error.with_hint(
            "columns become tags while there are no rows: make an empty table, create_hypertable it, then INSERT … SELECT",
        ));
    }
    let change = TableChange::MakeTags {
        names: columns.to_vec(),
    };
    engine.catalog().alter_table(table.oid, &[change])?;
    // Rows that others hold for the one series are refused when they commit.
    engine.count_drop();
    let tags = columns.join(", ");
    session.tell(
        "00000",
        format!(
            "\"{name}\" is a supertable with tags ({tags}) and time \"{time}\" now: each set of tags is a table, which keeps one row of one time"
        ),
    );
    Ok(())
}

async fn is_empty(session: &Session, found: &Found) -> Result<bool, QueryError> {
    use futures::StreamExt;
    let mut rows = plan::matching_rows(session, found.table(), None, None, &[], &[], &[]).await?;
    while let Some(batch) = rows.next().await {
        if batch.map_err(plan::errors::translate)?.num_rows() > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
