//! CREATE, DROP, TRUNCATE and DISCARD of temporary tables. All of them are part of the transaction.

use taospg_catalog::{Column, Index, KEYED_TIME, SqlType, Table, TableKind};

use super::table::Definition;
use super::{Picture, TemporaryTable, next_oid};
use crate::access::Thing;
use crate::ingest::keyed::{Constraint, serial_default};
use crate::statement::{ColumnDefinition, CreateTemporary, TableName};
use crate::{ErrorKind, QueryError, Session};

/// As PostgreSQL has it.
const COLUMNS_MAX: usize = 1_600;

/// What a table that is being filled by CREATE TABLE … AS is called; no client can write it.
pub(crate) const UNNAMED: &str = "\u{1}unnamed";

pub(crate) fn create(session: &mut Session, create: &CreateTemporary) -> Result<String, QueryError> {
    let name = &create.name;
    if session.temporary(name).is_some() {
        let message = format!("relation \"{}\" already exists", name.name);
        if create.if_not_exists {
            session.tell("42P07", format!("{message}, skipping"));
            return Ok("CREATE TABLE".into());
        }
        return Err(QueryError::new(ErrorKind::DuplicateTable, message).at_name(name));
    }
    if create.columns.len() > COLUMNS_MAX {
        let message = format!("tables can have at most {COLUMNS_MAX} columns");
        return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message));
    }
    let database = session.database()?;
    session.may(&Thing::Database(&database), taospg_catalog::Privileges::TEMPORARY)?;
    let columns = std::iter::once(hidden_time()).chain(
        create
            .columns
            .iter()
            .zip(1..)
            .map(|(column, attnum)| new_column(&name.name, column, attnum)),
    );
    let constraint = |name: String, columns: &Vec<String>| Constraint {
        name,
        columns: columns.clone(),
    };
    let unique = create.unique.iter();
    let unique: Vec<Constraint> = unique
        .map(|columns| constraint(format!("{}_{}_key", name.name, columns.join("_")), columns))
        .collect();
    let next = create.columns.len() as u16 + 1;
    let table = Table {
        oid: next_oid(),
        database_oid: database.oid,
        name: name.name.clone(),
        kind: TableKind::Plain,
        version: 0,
        columns: columns.collect(),
        tags: Vec::new(),
        series: None,
        comment: None,
        keep: None,
        indexes: unique
            .iter()
            .map(|rule| Index {
                name: rule.name.clone(),
                columns: rule.columns.clone(),
                unique: true,
            })
            .collect(),
        child_prefix: String::new(),
        next_column_id: next,
        next_attnum: next,
    };
    let key = create.key.as_ref();
    let key = key.map(|columns| constraint(format!("{}_pkey", name.name), columns));
    let owner = session.identity().actor.current;
    let definition = Definition::new(table, &database, owner, create.on_commit, key, unique);
    let picture = session.temporaries().picture();
    session.put_temporary(picture.with_rows(TemporaryTable::new(definition)))?;
    Ok("CREATE TABLE".into())
}

/// The time that every table has to those who read rows for it; nobody sees it.
fn hidden_time() -> Column {
    Column {
        id: 0,
        name: KEYED_TIME.into(),
        sql_type: SqlType::Timestamptz,
        not_null: true,
        attnum: 0,
        default: None,
        comment: None,
    }
}

fn new_column(table: &str, column: &ColumnDefinition, attnum: u16) -> Column {
    Column {
        id: attnum,
        name: column.name.clone(),
        sql_type: column.column_type.postgres(),
        not_null: column.not_null || column.serial,
        attnum,
        default: match column.serial {
            true => Some(serial_default(table, &column.name)),
            false => column.default.as_ref().map(|default| default.text.clone()),
        },
        comment: None,
    }
}

/// Gives the table that has been filled its name.
pub(crate) fn name(session: &mut Session, name: &str) -> Result<(), QueryError> {
    let mut picture = (*session.temporaries().picture()).clone();
    if let Some(table) = picture.remove(UNNAMED) {
        picture = picture.with_rows(table.renamed(name));
    }
    session.put_temporary(picture)
}

/// Drops the tables of these names; all are there.
pub(crate) fn drop(session: &mut Session, names: &[&TableName]) -> Result<(), QueryError> {
    let mut picture = (*session.temporaries().picture()).clone();
    for name in names {
        picture.remove(&name.name);
    }
    session.put_temporary(picture)
}

pub(crate) fn truncate(session: &mut Session, names: &[&TableName]) -> Result<(), QueryError> {
    let mut picture = (*session.temporaries().picture()).clone();
    for name in names {
        if let Some(table) = session.temporary(name) {
            picture = picture.with_rows(table.emptied());
        }
    }
    session.put_temporary(picture)
}

/// DISCARD TEMP.
pub(crate) fn discard(session: &mut Session) -> Result<(), QueryError> {
    match session.temporaries().picture().is_empty() {
        true => Ok(()),
        false => session.put_temporary(Picture::default()),
    }
}
