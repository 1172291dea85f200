//! CREATE TEMPORARY TABLE: PostgreSQL's form alone. Such a table needs no time and no key.

use super::create::{ColumnDefinition, check_names, parse_columns, parse_from_query, refused};
use super::cursor::Cursor;
use super::{Command, TableName};
use crate::{ErrorKind, QueryError};

/// The schema of a session's own temporary tables, as it is written.
pub(super) const SCHEMA: &str = "pg_temp";

/// What COMMIT does to a temporary table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnCommit {
    #[default]
    PreserveRows,
    DeleteRows,
    Drop,
}

impl OnCommit {
    /// As it is written.
    pub fn clause(self) -> &'static str {
        match self {
            OnCommit::PreserveRows => "ON COMMIT PRESERVE ROWS",
            OnCommit::DeleteRows => "ON COMMIT DELETE ROWS",
            OnCommit::Drop => "ON COMMIT DROP",
        }
    }
}

/// A temporary table to make.
#[derive(Debug)]
pub(crate) struct CreateTemporary {
    pub if_not_exists: bool,
    pub name: TableName,
    pub columns: Vec<ColumnDefinition>,
    /// PRIMARY KEY.
    pub key: Option<Vec<String>>,
    /// Columns of each UNIQUE.
    pub unique: Vec<Vec<String>>,
    pub on_commit: OnCommit,
}

/// From the word after CREATE on.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.take_any(&["global", "local"]);
    if cursor.take_any(&["temp", "temporary"]).is_none() {
        return Err(cursor.error());
    }
    if cursor.at_word("view") || cursor.at_word("recursive") {
        return Err(cursor
            .unsupported("a temporary view")
            .with_hint("CREATE VIEW makes one that stays"));
    }
    if cursor.at_word("sequence") {
        return Err(cursor.unsupported("CREATE SEQUENCE"));
    }
    cursor.expect(&["table"])?;
    let if_not_exists = cursor.take(&["if", "not", "exists"]);
    let name = cursor.table_name()?;
    if let Some(schema) = name.schema.as_deref().filter(|schema| !is_temporary(schema)) {
        let message = format!("cannot create temporary relation in non-temporary schema \"{schema}\"");
        return Err(QueryError::new(ErrorKind::InvalidTableDefinition, message).at_name(&name));
    }
    parse_definition(cursor, if_not_exists, name)
}

/// Whether a schema is that of some session's temporary tables.
fn is_temporary(schema: &str) -> bool {
    schema == SCHEMA || schema.starts_with("pg_temp_")
}

/// What follows the name.
pub(super) fn parse_definition(
    cursor: &mut Cursor<'_>,
    if_not_exists: bool,
    name: TableName,
) -> Result<Command, QueryError> {
    if cursor.at_word("using") {
        return Err(cursor
            .unsupported("a temporary table of a supertable")
            .with_hint("CREATE TABLE … USING makes a durable one"));
    }
    if !cursor.at_symbol("(") {
        let on_commit = parse_on_commit(cursor)?;
        return parse_from_query(cursor, if_not_exists, name, Some(on_commit));
    }
    let mut parts = parse_columns(cursor)?;
    let on_commit = parse_on_commit(cursor)?;
    if cursor.at_word("as") {
        return Err(cursor.unsupported("CREATE TABLE … AS with a list of columns"));
    }
    if ["with", "inherits", "partition", "tablespace", "tags"].contains(&&*cursor.peek().value) {
        let what = format!("CREATE TEMPORARY TABLE … {}", cursor.peek().value.to_ascii_uppercase());
        return Err(cursor.unsupported(&what));
    }
    check_names(parts.columns.iter())?;
    let key = key_of(&mut parts.columns, parts.key)?;
    let inline = parts.columns.iter().filter(|column| column.unique);
    let mut unique: Vec<Vec<String>> = inline.map(|column| vec![column.name.clone()]).collect();
    for columns in parts.unique {
        unique.push(known(&parts.columns, columns)?);
    }
    Ok(Command::CreateTemporary(Box::new(CreateTemporary {
        if_not_exists,
        name,
        columns: parts.columns,
        key,
        unique,
        on_commit,
    })))
}

fn parse_on_commit(cursor: &mut Cursor<'_>) -> Result<OnCommit, QueryError> {
    if !cursor.take(&["on", "commit"]) {
        return Ok(OnCommit::default());
    }
    if cursor.take_word("drop") {
        Ok(OnCommit::Drop)
    } else if cursor.take(&["delete", "rows"]) {
        Ok(OnCommit::DeleteRows)
    } else {
        cursor.expect(&["preserve", "rows"])?;
        Ok(OnCommit::PreserveRows)
    }
}

/// The columns of the primary key, which are not null.
fn key_of(
    columns: &mut [ColumnDefinition],
    key: Option<Vec<(String, usize)>>,
) -> Result<Option<Vec<String>>, QueryError> {
    let inline: Vec<&ColumnDefinition> = columns.iter().filter(|column| column.primary_key).collect();
    let key = match (key, inline.as_slice()) {
        (Some(_), [again, ..]) | (None, [_, again, ..]) => {
            return Err(refused(
                again.character,
                "multiple primary keys for a table are not allowed",
            ));
        }
        (None, [column]) => vec![(column.name.clone(), column.character)],
        (Some(key), []) => key,
        (None, []) => return Ok(None),
    };
    let key = known(columns, key)?;
    for column in columns.iter_mut().filter(|column| key.contains(&column.name)) {
        column.not_null = true;
    }
    Ok(Some(key))
}

/// The names, if there are such columns.
fn known(columns: &[ColumnDefinition], names: Vec<(String, usize)>) -> Result<Vec<String>, QueryError> {
    for (name, character) in &names {
        if !columns.iter().any(|column| column.name == *name) {
            let message = format!("column \"{name}\" named in key does not exist");
            return Err(QueryError::new(ErrorKind::UndefinedColumn, message).with_position(*character));
        }
    }
    Ok(names.into_iter().map(|(name, _)| name).collect())
}
