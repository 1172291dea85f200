//! CREATE INDEX and DROP INDEX. An index has no bytes: rows are ordered by their table and time, tags are in memory, blocks carry their smallest
//! and largest values. A unique one of a keyed table is a rule that its rows keep; others say which columns rows are looked up by, which
//! `create_hypertable` takes for the columns that tell series apart.

use std::sync::Arc;

use taospg_catalog::{Index, Table, TableChange};

use super::{database_of, find, tell_immediate};
use crate::ingest::keyed;
use crate::statement::{CreateIndex, TableName};
use crate::{ErrorKind, QueryError, Session};

pub(super) async fn create(session: &mut Session, create: &CreateIndex) -> Result<String, QueryError> {
    let found = find(session, &create.table)?;
    let table = found.table().clone();
    if found.child().is_some() {
        let message = format!("\"{}\" is a table of supertable \"{}\"", create.table.name, table.name);
        return Err(QueryError::new(ErrorKind::WrongObjectType, message).at_name(&create.table));
    }
    session.must_own(&found.thing(&create.table.name))?;
    let columns = columns(&table, create)?;
    let whole = columns.len() == create.columns.len();
    let name = match &create.name {
        Some(name) => name.clone(),
        None => free_name(session, found.database.oid, &table, create),
    };
    if is_taken(session, found.database.oid, &name) {
        let message = format!("relation \"{name}\" already exists");
        if create.if_not_exists {
            session.tell("42P07", format!("{message}, skipping"));
            return Ok("CREATE INDEX".into());
        }
        return Err(QueryError::new(ErrorKind::DuplicateTable, message));
    }
    let index = Index {
        name: name.clone(),
        columns,
        unique: create.unique,
    };
    if create.unique {
        if !whole || create.partial {
            let message = "a unique index on an expression or on a part of the rows is not supported";
            return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
        }
        check_unique(session, &table, &index).await?;
    } else {
        let message = format!(
            "index \"{name}\" takes no room: rows are ordered by table and time, tags are in memory, and blocks know their extremes"
        );
        session.tell("00000", message);
    }
    session
        .engine()
        .catalog()
        .alter_table(table.oid, &[TableChange::AddIndex(index)])?;
    tell_immediate(session, "CREATE INDEX");
    Ok("CREATE INDEX".into())
}

/// The columns that are named; expressions are left out.
fn columns(table: &Table, create: &CreateIndex) -> Result<Vec<String>, QueryError> {
    let mut columns = Vec::new();
    for (name, character) in &create.columns {
        let Some(name) = name else { continue };
        if !table.declared().iter().any(|column| column.name == *name) {
            let message = format!("column \"{name}\" does not exist");
            return Err(QueryError::new(ErrorKind::UndefinedColumn, message).with_position(*character));
        }
        columns.push(name.clone());
    }
    Ok(columns)
}

/// A keyed table keeps any rule; rows of a time series are unique by table and time, whether somebody says so or not.
async fn check_unique(session: &mut Session, table: &Arc<Table>, index: &Index) -> Result<(), QueryError> {
    if table.is_keyed() {
        session.lock_keyed(table).await?;
        return keyed::check_unique(session, table, &index.name, &index.columns).await;
    }
    let mut key = table.tags.iter().chain([table.time_column()]);
    if key.all(|column| index.columns.contains(&column.name)) {
        return Ok(());
    }
    let message = "a unique index that leaves out the time or a tag is not supported";
    let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
    Err(error.with_hint("rows of a time series are unique by table and time"))
}

fn is_taken(session: &Session, database_oid: u32, name: &str) -> bool {
    let catalog = session.engine().catalog();
    catalog.relation(database_oid, name).is_some()
        || catalog.view(database_oid, name).is_some()
        || with_index(session, database_oid, name).is_some()
}

fn with_index(session: &Session, database_oid: u32, name: &str) -> Option<Arc<Table>> {
    let tables = session.engine().catalog().tables(database_oid);
    let has = |table: &Arc<Table>| table.indexes.iter().any(|index| index.name == name);
    tables.into_iter().find(has)
}

/// PostgreSQL's name for an index without one.
fn free_name(session: &Session, database_oid: u32, table: &Table, create: &CreateIndex) -> String {
    let parts = create.columns.iter().map(|(name, _)| name.as_deref().unwrap_or("expr"));
    let parts: Vec<&str> = std::iter::once(table.name.as_str()).chain(parts).collect();
    let base = format!("{}_idx", parts.join("_"));
    let numbered = (1..).map(|number| format!("{base}{number}"));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    names
        .find(|name| !is_taken(session, database_oid, name))
        .unwrap_or_default()
}

pub(super) fn drop(session: &mut Session, if_exists: bool, names: &[TableName]) -> Result<String, QueryError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let database = database_of(session, name)?;
        match with_index(session, database.oid, &name.name) {
            Some(table) => {
                let thing = crate::access::Thing::Table {
                    table: table.oid,
                    child: None,
                    database: database.oid,
                    name: &table.name,
                };
                session.must_own(&thing)?;
                found.push((table.oid, name.name.clone()));
            }
            None if if_exists => {
                session.tell("00000", format!("index \"{}\" does not exist, skipping", name.name));
            }
            None => {
                let message = format!("index \"{}\" does not exist", name.name);
                return Err(QueryError::new(ErrorKind::UndefinedObject, message).at_name(name));
            }
        }
    }
    for (table, name) in found {
        let change = TableChange::DropIndex { name };
        session.engine().catalog().alter_table(table, &[change])?;
    }
    tell_immediate(session, "DROP INDEX");
    Ok("DROP INDEX".into())
}
