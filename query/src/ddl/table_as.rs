//! CREATE TABLE … AS and SELECT … INTO: a table made for a query's columns, then filled by an INSERT of that query.
//!
//! A table has one row for a key. So rows of the query that would share one are refused, instead of becoming one.

use std::sync::Arc;

use taospg_catalog::Table;

use super::{Found, database_of, try_find_durable};
use crate::pg_type::oid;
use crate::statement::{CreateTableAs, OnCommit, TableName};
use crate::temporary::define;
use crate::{ErrorKind, Outcome, QueryError, ResultField, Session, pg_type};

pub(super) async fn create(session: &mut Session, create: &CreateTableAs) -> Result<String, QueryError> {
    let name = &create.name;
    if let Some(on_commit) = create.temporary {
        return create_temporary(session, create, on_commit).await;
    }
    if try_find_durable(session, name)?.is_some() {
        let message = format!("relation \"{}\" already exists", name.name);
        if create.if_not_exists {
            session.tell("42P07", format!("{message}, skipping"));
            return Ok("CREATE TABLE AS".into());
        }
        return Err(QueryError::new(ErrorKind::DuplicateTable, message).at_name(name));
    }
    let fields = fields(session, &create.query).await?;
    let written = written_name(session, name)?;
    run(session, &definition(session, &written, &fields)?).await?;
    if !create.with_data {
        return Ok("CREATE TABLE AS".into());
    }
    let list: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
    let insert = format!("INSERT INTO {written} ({}) {}", list.join(", "), create.query);
    let filled = match run(session, &insert).await {
        Ok(rows) => check_rows(session, &written, rows).await,
        Err(error) => Err(error),
    };
    match filled {
        Ok(rows) => Ok(format!("SELECT {rows}")),
        Err(error) => {
            // The table was made by this statement, and goes with it.
            if let Some(found) = try_find_durable(session, name)? {
                let found: Found = found;
                super::table::drop_one(session, &found).await?;
            }
            Err(error)
        }
    }
}

/// What of it was made is undone by the transaction.
async fn create_temporary(
    session: &mut Session,
    create: &CreateTableAs,
    on_commit: OnCommit,
) -> Result<String, QueryError> {
    let name = &create.name;
    if session.temporary(name).is_some() {
        let message = format!("relation \"{}\" already exists", name.name);
        if create.if_not_exists {
            session.tell("42P07", format!("{message}, skipping"));
            return Ok("CREATE TABLE AS".into());
        }
        return Err(QueryError::new(ErrorKind::DuplicateTable, message).at_name(name));
    }
    let fields = fields(session, &create.query).await?;
    // The query may read a table that this one will hide.
    let written = format!("pg_temp.{}", quoted(define::UNNAMED));
    let columns = fields
        .iter()
        .map(|field| format!("{} {}", quoted(&field.name), column_type(field)));
    let columns: Vec<String> = columns.collect();
    let definition = format!(
        "CREATE TEMPORARY TABLE {written} ({}) {}",
        columns.join(", "),
        on_commit.clause()
    );
    run(session, &definition).await?;
    let mut tag = "CREATE TABLE AS".to_string();
    if create.with_data {
        let list: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
        let (list, query) = (list.join(", "), cast_numerics(&create.query, &fields, &list));
        let insert = format!("INSERT INTO {written} ({list}) {query}");
        tag = format!("SELECT {}", run(session, &insert).await?);
    }
    define::name(session, &name.name)?;
    Ok(tag)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn written_name(session: &Session, name: &TableName) -> Result<String, QueryError> {
    let database = database_of(session, name)?;
    Ok(format!("{}.public.{}", quoted(&database.name), quoted(&name.name)))
}

async fn fields(session: &mut Session, query: &str) -> Result<Arc<[ResultField]>, QueryError> {
    let statements = session.parse(query)?;
    let [statement] = statements.as_slice() else {
        return Err(QueryError::new(ErrorKind::SyntaxError, "a table is made of one query"));
    };
    let prepared = Box::pin(session.prepare(statement, &[])).await?;
    let fields = prepared.fields.clone().filter(|_| prepared.parameter_types.is_empty());
    let fields = fields
        .ok_or_else(|| QueryError::new(ErrorKind::SyntaxError, "a table is made of a query without parameters"))?;
    if let Some(record) = fields.iter().find(|field| field.type_oid == oid::RECORD) {
        let message = format!("column \"{}\" has pseudo-type record", record.name);
        return Err(QueryError::new(ErrorKind::InvalidTableDefinition, message));
    }
    Ok(fields)
}

/// Runs a statement of ours; answers with the number in its tag.
async fn run(session: &mut Session, sql: &str) -> Result<u64, QueryError> {
    let statements = session.parse(sql)?;
    let mut rows = 0;
    for statement in &statements {
        let prepared = Box::pin(session.prepare(statement, &[])).await?;
        if let Outcome::Complete(tag) = Box::pin(session.execute(&prepared, &[])).await? {
            rows = tag.rsplit(' ').next().and_then(|rows| rows.parse().ok()).unwrap_or(0);
        }
    }
    Ok(rows)
}

/// Whether as many rows are there as were given.
async fn check_rows(session: &mut Session, written: &str, given: u64) -> Result<u64, QueryError> {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use futures::StreamExt;

    let statements = session.parse(&format!("SELECT count(*) FROM {written}"))?;
    let mut there = 0;
    for statement in &statements {
        let prepared = Box::pin(session.prepare(statement, &[])).await?;
        if let Outcome::Rows(mut rows) = Box::pin(session.execute(&prepared, &[])).await? {
            while let Some(batch) = rows.stream.next().await {
                let batch = batch.map_err(crate::plan::errors::translate)?;
                let counts = batch.column(0).as_primitive_opt::<Int64Type>();
                there += counts.map_or(0, |counts| counts.values().iter().sum());
            }
        }
    }
    if u64::try_from(there) == Ok(given) {
        return Ok(given);
    }
    let message = "several rows of the query have the same key";
    let hint =
        "a table has one row for each time and tags: CREATE TABLE … PRIMARY KEY (tags, time), then INSERT … SELECT";
    Err(QueryError::new(ErrorKind::UniqueViolation, message)
        .with_detail(format!("{given} rows have {there} different keys"))
        .with_hint(hint))
}

/// The table's definition in SQL.
fn definition(session: &Session, written: &str, fields: &[ResultField]) -> Result<String, QueryError> {
    let is_time = |field: &&ResultField| matches!(field.type_oid, oid::TIMESTAMPTZ | oid::TIMESTAMP);
    let Some(time) = fields.iter().find(is_time) else {
        let message = "a table needs a time, and the query has no timestamp";
        return Err(QueryError::new(ErrorKind::InvalidTableDefinition, message)
            .with_hint("select a timestamp, such as now() AS ts"));
    };
    let mut key: Vec<String> = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    for field in fields {
        if is_tag(session, field) {
            key.push(quoted(&field.name));
        }
        columns.push(format!("{} {}", quoted(&field.name), column_type(field)));
    }
    key.push(quoted(&time.name));
    Ok(format!(
        "CREATE TABLE {written} ({}, PRIMARY KEY ({}))",
        columns.join(", "),
        key.join(", ")
    ))
}

/// The query with numerics that have digits of their own cast to their columns' type.
fn cast_numerics(query: &str, fields: &[ResultField], names: &[String]) -> String {
    let is_open = |field: &ResultField| field.type_oid == oid::NUMERIC && field.type_modifier == -1;
    if !fields.iter().any(is_open) {
        return query.to_string();
    }
    let value = |(field, name): (&ResultField, &String)| match is_open(field) {
        true => format!("{name}::{}", column_type(field)),
        false => name.clone(),
    };
    let values: Vec<String> = fields.iter().zip(names).map(value).collect();
    format!(
        "SELECT {} FROM ({query}) AS source ({})",
        values.join(", "),
        names.join(", ")
    )
}

fn column_type(field: &ResultField) -> String {
    match field.type_oid {
        oid::UNKNOWN | oid::NAME | oid::CHAR | oid::UUID | oid::JSON => "text".to_string(),
        oid::OID => "bigint".to_string(),
        oid::BPCHAR => match field.type_modifier {
            -1 => "text".to_string(),
            modifier => format!("character({})", modifier - 4),
        },
        // Digits that no column has are those of numeric without any.
        oid::NUMERIC => match field.type_modifier {
            -1 => "numeric(38, 10)".to_string(),
            modifier => format!("numeric({}, {})", (modifier - 4) >> 16, (modifier - 4) & 0xffff),
        },
        other => pg_type::type_name(other),
    }
}

/// Whether a column of the result is a tag of a supertable, unchanged.
fn is_tag(session: &Session, field: &ResultField) -> bool {
    let table: Option<Arc<Table>> = session.engine().catalog().table_by_oid(field.table_oid);
    table.is_some_and(|table| {
        table
            .tags
            .iter()
            .any(|tag| i64::from(tag.attnum) == i64::from(field.attnum))
    })
}
