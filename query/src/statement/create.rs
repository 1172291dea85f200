//! CREATE TABLE in PostgreSQL's form, CREATE STABLE … TAGS (…), and CREATE TABLE … USING … TAGS (…).

use taospg_catalog::{KEYED_TIME, Keep, SqlType, TableKind};

use super::cursor::{Cursor, SourceExpr};
use super::lexer::TokenKind;
use super::types::{self, ColumnType};
use super::{Command, OnCommit, TableName};
use crate::{ErrorKind, QueryError};

/// Words that end a column's DEFAULT expression.
const AFTER_DEFAULT: &[&str] = &[
    "not",
    "null",
    "primary",
    "unique",
    "check",
    "references",
    "default",
    "constraint",
    "comment",
    "generated",
    "collate",
    "encode",
    "compress",
    "level",
];

/// A column or tag as it was written.
/// CREATE TABLE … AS and SELECT … INTO.
#[derive(Debug)]
pub(crate) struct CreateTableAs {
    pub if_not_exists: bool,
    pub name: TableName,
    /// Its text.
    pub query: String,
    pub with_data: bool,
    /// Of a temporary table what COMMIT does to it.
    pub temporary: Option<OnCommit>,
}

#[derive(Clone, Debug)]
pub(crate) struct ColumnDefinition {
    pub name: String,
    /// Character of the statement.
    pub character: usize,
    pub column_type: ColumnType,
    pub not_null: bool,
    pub default: Option<SourceExpr>,
    pub primary_key: bool,
    pub unique: bool,
    /// SERIAL, or GENERATED AS IDENTITY: rows that do not say otherwise get the next number.
    pub serial: bool,
}

/// A supertable or plain table to make.
#[derive(Debug)]
pub(crate) struct CreateTable {
    pub if_not_exists: bool,
    pub name: TableName,
    /// Whether the TDengine spelling was used: its types mean what they mean there.
    pub tdengine: bool,
    /// In declared order, with whether each is a tag.
    pub declared: Vec<(ColumnDefinition, bool)>,
    /// Name of the time column; [`KEYED_TIME`] of a table without one.
    pub time: String,
    /// Columns of each UNIQUE, with their characters.
    pub unique: Vec<Vec<(String, usize)>>,
    /// WITH (tsdb.hypertable): columns that tell series apart become tags.
    pub hypertable: bool,
    /// KEEP, or WITH (keep = …).
    pub keep: Option<Keep>,
    pub comment: Option<String>,
}

impl CreateTable {
    pub fn kind(&self) -> TableKind {
        match self.declared.iter().any(|(_, is_tag)| *is_tag) {
            true => TableKind::Super,
            false => TableKind::Plain,
        }
    }
}

/// One `name USING supertable [(tags)] TAGS (values)`.
#[derive(Debug)]
pub(crate) struct CreateChild {
    pub if_not_exists: bool,
    pub name: TableName,
    pub supertable: TableName,
    /// Names of the tags that are given; all in declared order when left out.
    pub tags: Option<Vec<(String, usize)>>,
    pub values: Vec<SourceExpr>,
}

/// What follows the column list.
#[derive(Default)]
pub(super) struct TableParts {
    pub columns: Vec<ColumnDefinition>,
    /// PRIMARY KEY (a, b): names with their characters.
    pub key: Option<Vec<(String, usize)>>,
    /// UNIQUE (a, b).
    pub unique: Vec<Vec<(String, usize)>>,
    /// WITH (tags = …).
    tags: Option<Vec<(String, usize)>>,
    hypertable: bool,
    keep: Option<Keep>,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let stable = cursor.next().value == "stable";
    let if_not_exists = cursor.take(&["if", "not", "exists"]);
    let name = cursor.table_name()?;
    if cursor.at_word("using") {
        return parse_children(cursor, if_not_exists, name);
    }
    if cursor.at_word("as") {
        return parse_from_query(cursor, if_not_exists, name, None);
    }
    if name.schema.as_deref() == Some(super::temporary::SCHEMA) {
        return super::temporary::parse_definition(cursor, if_not_exists, name);
    }
    if cursor.at_word("partition") || cursor.at_word("of") {
        return Err(cursor
            .unsupported("a declared partition")
            .with_hint("a supertable keeps each device and each time span apart by itself"));
    }
    let mut parts = parse_columns(cursor)?;
    let mut tags = None;
    let mut comment = None;
    while !cursor.at_end() {
        if cursor.take_word("tags") {
            tags = Some(cursor.list(parse_column)?);
        } else if cursor.take_word("with") {
            parse_storage_parameters(cursor, &mut parts)?;
        } else if cursor.take_word("without") {
            cursor.expect(&["oids"])?;
        } else if cursor.take_word("keep") {
            cursor.take_symbol("=");
            parts.keep = Some(super::keep::parse(cursor)?);
        } else if cursor.take_word("comment") {
            cursor.take_symbol("=");
            comment = Some(cursor.string()?);
        } else if [
            "as",
            "partition",
            "inherits",
            "tablespace",
            "sma",
            "ttl",
            "rollup",
            "on",
        ]
        .contains(&&*cursor.peek().value)
        {
            let what = format!("CREATE TABLE … {}", cursor.peek().value.to_ascii_uppercase());
            return Err(cursor.unsupported(&what));
        } else {
            return Err(cursor.error());
        }
    }
    let (tag_names, hypertable, keep) = (parts.tags.take(), parts.hypertable, parts.keep);
    if stable && tags.is_none() && tag_names.is_none() && parts.key.is_none() {
        return Err(cursor.error().with_hint("a supertable has tags: TAGS (name type, …)"));
    }
    let tdengine = stable || tags.is_some();
    let inline = parts.columns.iter().filter(|column| column.unique);
    let mut unique: Vec<_> = inline
        .map(|column| vec![(column.name.clone(), column.character)])
        .collect();
    unique.append(&mut parts.unique);
    let (declared, time) = match tags {
        Some(tags) => {
            let declared = declared_with_tags(cursor, parts, tags, tag_names)?;
            let time = declared
                .first()
                .map(|(column, _)| column.name.clone())
                .unwrap_or_default();
            (declared, time)
        }
        None => declared_by_key(cursor, parts, tag_names)?,
    };
    check_names(declared.iter().map(|(column, _)| column))?;
    check_keyed(&declared, &time, &unique)?;
    if keep.is_some() && time == KEYED_TIME {
        let message = format!("table \"{}\" has no time that KEEP could count from", name.name);
        return Err(QueryError::new(ErrorKind::WrongObjectType, message).at_name(&name));
    }
    Ok(Command::CreateTable(Box::new(CreateTable {
        if_not_exists,
        name,
        tdengine,
        declared,
        time,
        unique,
        hypertable,
        keep,
        comment,
    })))
}

/// What only a table that is known by its key can have.
fn check_keyed(
    declared: &[(ColumnDefinition, bool)],
    time: &str,
    unique: &[Vec<(String, usize)>],
) -> Result<(), QueryError> {
    for (name, character) in unique.iter().flatten() {
        if !declared.iter().any(|(column, _)| column.name == *name) {
            let message = format!("column \"{name}\" named in key does not exist");
            return Err(QueryError::new(ErrorKind::UndefinedColumn, message).with_position(*character));
        }
    }
    let unsupported = |character: usize, message: &str| {
        let error = QueryError::new(ErrorKind::FeatureNotSupported, message).with_position(character);
        Err(error.with_hint("rows of a time series are unique by table and time"))
    };
    if time != KEYED_TIME {
        if let Some((_, character)) = unique.iter().flatten().next() {
            return unsupported(
                *character,
                "a UNIQUE constraint in a table with a time is not supported",
            );
        }
        if let Some((column, _)) = declared.iter().find(|(column, _)| column.serial) {
            return unsupported(
                column.character,
                "a SERIAL column in a table with a time is not supported",
            );
        }
    }
    match declared.iter().find(|(column, is_tag)| column.serial && !is_tag) {
        Some((column, _)) => Err(QueryError::new(
            ErrorKind::FeatureNotSupported,
            "a SERIAL column that is not the primary key is not supported",
        )
        .with_position(column.character)),
        None => Ok(()),
    }
}

pub(super) fn refused(character: usize, message: impl Into<String>) -> QueryError {
    QueryError::new(ErrorKind::InvalidTableDefinition, message).with_position(character)
}

pub(super) fn check_names<'a>(declared: impl Iterator<Item = &'a ColumnDefinition>) -> Result<(), QueryError> {
    let mut seen = std::collections::HashSet::new();
    for column in declared {
        if !seen.insert(column.name.as_str()) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(QueryError::new(ErrorKind::DuplicateColumn, message).with_position(column.character));
        }
        if column.name == "tbname" {
            return Err(refused(
                column.character,
                "column name \"tbname\" is reserved: it is the table's name",
            ));
        }
    }
    Ok(())
}

fn is_timestamp(column_type: ColumnType) -> bool {
    use taospg_catalog::SqlType::{Timestamp, Timestamptz};
    matches!(
        column_type,
        ColumnType::BareTimestamp | ColumnType::Sql(Timestamp) | ColumnType::Sql(Timestamptz)
    )
}

/// `(ts TIMESTAMP, …) TAGS (…)`: the first column is the time.
fn declared_with_tags(
    cursor: &Cursor<'_>,
    parts: TableParts,
    tags: Vec<ColumnDefinition>,
    tag_names: Option<Vec<(String, usize)>>,
) -> Result<Vec<(ColumnDefinition, bool)>, QueryError> {
    // A key of the time alone says nothing new.
    let first = parts.columns.first();
    let names_tags = |key: &Vec<(String, usize)>| {
        key.iter()
            .any(|(name, _)| first.is_none_or(|first| first.name != *name))
    };
    if tag_names.is_some() || parts.key.as_ref().is_some_and(names_tags) {
        return Err(cursor.error_at(
            0,
            ErrorKind::InvalidTableDefinition,
            "tags are named twice: by TAGS and by a key or WITH",
        ));
    }
    if let Some(first) = first.filter(|first| !is_timestamp(first.column_type)) {
        let error = refused(
            first.character,
            format!("first column \"{}\" is not a timestamp", first.name),
        );
        return Err(error.with_hint("the first column of a supertable is its time"));
    }
    let columns = parts.columns.into_iter().map(|column| (column, false));
    Ok(columns.chain(tags.into_iter().map(|tag| (tag, true))).collect())
}

/// PostgreSQL's form: of the key, the timestamp is the time and the others are tags; without a key the first timestamp is the time.
fn declared_by_key(
    cursor: &Cursor<'_>,
    parts: TableParts,
    tag_names: Option<Vec<(String, usize)>>,
) -> Result<(Vec<(ColumnDefinition, bool)>, String), QueryError> {
    let TableParts { mut columns, key, .. } = parts;
    let inline: Vec<_> = columns.iter().filter(|column| column.primary_key).collect();
    let key = match (key, inline.as_slice()) {
        (Some(_), [again, ..]) | (None, [_, again, ..]) => {
            return Err(refused(
                again.character,
                "multiple primary keys for a table are not allowed",
            ));
        }
        (None, [column]) => Some(vec![(column.name.clone(), column.character)]),
        (key, _) => key,
    };
    for (name, character) in key.iter().chain(&tag_names).flatten() {
        if !columns.iter().any(|column| column.name == *name) {
            let message = format!("column \"{name}\" named in key does not exist");
            return Err(QueryError::new(ErrorKind::UndefinedColumn, message).with_position(*character));
        }
    }
    let in_key = |name: &str| key.iter().flatten().any(|(part, _)| part == name);
    let named_tag = |name: &str| tag_names.iter().flatten().any(|(tag, _)| tag == name);
    let mut times = columns
        .iter()
        .filter(|column| is_timestamp(column.column_type) && !named_tag(&column.name));
    let time = match &key {
        Some(_) => {
            let mut of_key = times.filter(|column| in_key(&column.name));
            match (of_key.next(), of_key.next()) {
                (Some(time), None) => time.name.clone(),
                (Some(_), Some(second)) => {
                    let message = format!("primary key has a second timestamp, \"{}\"", second.name);
                    return Err(refused(second.character, message)
                        .with_hint("the key's one timestamp is the time of a row, the others are tags"));
                }
                // Known by its key alone.
                (None, _) => KEYED_TIME.to_string(),
            }
        }
        None => match times.next() {
            Some(time) => time.name.clone(),
            None => {
                let character = columns.first().map_or(cursor.character(), |column| column.character);
                let error = refused(character, "a table needs a timestamp column or a primary key");
                let hint =
                    "rows are known by their time, as in (ts timestamptz, …), or by their key, as in PRIMARY KEY (id)";
                return Err(error.with_hint(hint));
            }
        },
    };
    for column in columns
        .iter_mut()
        .filter(|column| in_key(&column.name) && (column.name == time || time == KEYED_TIME))
    {
        column.not_null = true;
    }
    let is_tag = |column: &ColumnDefinition| column.name != time && (in_key(&column.name) || named_tag(&column.name));
    let declared = columns
        .into_iter()
        .map(|column| (is_tag(&column), column))
        .map(|(tag, column)| (column, tag))
        .collect();
    Ok((declared, time))
}

/// `(column type constraints, …, PRIMARY KEY (…))`
pub(super) fn parse_columns(cursor: &mut Cursor<'_>) -> Result<TableParts, QueryError> {
    let mut parts = TableParts::default();
    cursor.expect_symbol("(")?;
    loop {
        parse_column_or_constraint(cursor, &mut parts)?;
        if !cursor.take_symbol(",") {
            break;
        }
    }
    cursor.expect_symbol(")")?;
    Ok(parts)
}

fn parse_column_or_constraint(cursor: &mut Cursor<'_>, parts: &mut TableParts) -> Result<(), QueryError> {
    let mark = cursor.mark();
    if cursor.take_word("constraint") {
        cursor.name()?;
    }
    if cursor.take(&["primary", "key"]) {
        if parts.key.is_some() {
            return Err(cursor.error_at(
                cursor.byte(),
                ErrorKind::InvalidTableDefinition,
                "multiple primary keys for a table are not allowed",
            ));
        }
        parts.key = Some(cursor.list(|cursor| {
            let character = cursor.character();
            Ok((cursor.name()?, character))
        })?);
        return Ok(());
    }
    if cursor.at_word("unique") && cursor.peek_second().is_symbol("(") {
        cursor.next();
        let columns = cursor.list(|cursor| {
            let character = cursor.character();
            Ok((cursor.name()?, character))
        })?;
        parts.unique.push(columns);
        return Ok(());
    }
    let constraints = ["foreign", "check", "exclude"];
    let brackets = cursor.peek_second().is_symbol("(") || cursor.peek_second().is_word("key");
    if cursor.peek().kind == TokenKind::Word && constraints.contains(&&*cursor.peek().value) && brackets {
        let what = format!("a {} constraint", cursor.peek().value.to_ascii_uppercase());
        return Err(cursor.unsupported(&what).with_hint("rows are unique by table and time"));
    }
    if cursor.at_word("like") {
        return Err(cursor.unsupported("CREATE TABLE (LIKE …)"));
    }
    cursor.return_to(mark);
    parts.columns.push(parse_column(cursor)?);
    Ok(())
}

/// `name type [NOT NULL] [DEFAULT x] …`
pub(super) fn parse_column(cursor: &mut Cursor<'_>) -> Result<ColumnDefinition, QueryError> {
    let character = cursor.character();
    let name = cursor.name()?;
    let (column_type, serial) = match serial(cursor) {
        Some(sql_type) => (ColumnType::Sql(sql_type), true),
        None => (types::parse(cursor)?, false),
    };
    let mut column = ColumnDefinition {
        name,
        character,
        column_type,
        not_null: false,
        default: None,
        primary_key: false,
        unique: false,
        serial,
    };
    loop {
        if cursor.take_word("constraint") {
            cursor.name()?;
        } else if cursor.take(&["not", "null"]) {
            column.not_null = true;
        } else if cursor.take_word("null") {
        } else if cursor.take_word("default") {
            column.default = Some(cursor.expression(AFTER_DEFAULT)?);
        } else if cursor.take(&["primary", "key"]) {
            column.primary_key = true;
            column.not_null = true;
        } else if cursor.take_word("collate") {
            let collation = cursor.table_name()?;
            if !["C", "c", "POSIX", "posix", "default", "ucs_basic"].contains(&collation.name.as_str()) {
                let message = format!("collation \"{}\" is not supported", collation.name);
                let error = QueryError::new(ErrorKind::FeatureNotSupported, message).at_name(&collation);
                return Err(error.with_hint("text is compared by code point: \"C\""));
            }
        } else if cursor.take_word("comment") {
            // TDengine's comment on a column; kept nowhere, and nothing depends on it.
            cursor.string()?;
        } else if cursor.take_any(&["encode", "compress", "level"]).is_some() {
            // The codec of a block is chosen by what is smallest.
            cursor.string()?;
        } else if cursor.take_word("unique") {
            column.unique = true;
        } else if cursor.take(&["generated", "always", "as", "identity"])
            || cursor.take(&["generated", "by", "default", "as", "identity"])
        {
            column.serial = true;
            column.not_null = true;
        } else if ["check", "references", "generated", "composite"].contains(&&*cursor.peek().value) {
            let what = format!("{} on a column", cursor.peek().value.to_ascii_uppercase());
            return Err(cursor.unsupported(&what));
        } else {
            return Ok(column);
        }
    }
}

/// The type of a SERIAL column.
fn serial(cursor: &mut Cursor<'_>) -> Option<SqlType> {
    let word = cursor.take_any(&["serial", "serial4", "bigserial", "serial8", "smallserial", "serial2"])?;
    Some(match word {
        "serial" | "serial4" => SqlType::Integer,
        "bigserial" | "serial8" => SqlType::BigInt,
        _ => SqlType::SmallInt,
    })
}

/// `WITH (tags = 'a, b')`, or TimescaleDB's `WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.segmentby = 'device')`.
fn parse_storage_parameters(cursor: &mut Cursor<'_>, parts: &mut TableParts) -> Result<(), QueryError> {
    cursor.list(|cursor| {
        let byte = cursor.byte();
        let mut name = cursor.name()?;
        let timescale = matches!(name.as_str(), "tsdb" | "timescaledb") && cursor.take_symbol(".");
        if timescale {
            name = cursor.name()?;
        }
        let character = cursor.character();
        if name == "keep" && !timescale && cursor.take_symbol("=") {
            parts.keep = Some(super::keep::parse(cursor)?);
            return Ok(());
        }
        let value = match cursor.take_symbol("=") {
            true => Some(parameter_value(cursor)?),
            false => None,
        };
        let named = |value: &str| listed(value).into_iter().map(|name| (name, character)).collect();
        match (name.as_str(), value) {
            ("tags", Some(value)) if !timescale => parts.tags = Some(named(&value)),
            ("hypertable", value) if timescale => parts.hypertable = value.is_none_or(|value| value != "false"),
            ("segmentby" | "compress_segmentby", Some(value)) if timescale => parts.tags = Some(named(&value)),
            // The time is the first timestamp or the key's; DAYS and the order of rows are as they are.
            (
                "partition_column" | "orderby" | "chunk_interval" | "columnstore" | "enable_columnstore" | "compress",
                _,
            ) if timescale => {}
            ("create_default_indexes", _) if timescale => {}
            _ => {
                let message = format!("unrecognized parameter \"{name}\"");
                return Err(cursor
                    .error_at(byte, ErrorKind::InvalidParameterValue, message)
                    .with_hint("the parameters are tags = 'a, b', keep = '30 days' and those of TimescaleDB, such as tsdb.hypertable"));
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// A string, a word or a number.
pub(super) fn parameter_value(cursor: &mut Cursor<'_>) -> Result<String, QueryError> {
    match cursor.peek().kind {
        TokenKind::Word | TokenKind::Number => Ok(cursor.next().value.into_owned()),
        _ => cursor.string(),
    }
}

/// `a, "B"`: the names, folded where they are not quoted.
pub(super) fn listed(list: &str) -> Vec<String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(
            |name| match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
                Some(quoted) => quoted.to_string(),
                None => name.to_ascii_lowercase(),
            },
        )
        .collect()
}

/// AS query [WITH [NO] DATA]
pub(super) fn parse_from_query(
    cursor: &mut Cursor<'_>,
    if_not_exists: bool,
    name: TableName,
    temporary: Option<OnCommit>,
) -> Result<Command, QueryError> {
    cursor.expect(&["as"])?;
    let (text, start) = (cursor.text(), cursor.byte());
    let mut end = text.len();
    let mut with_data = true;
    while !cursor.at_end() {
        let byte = cursor.byte();
        if cursor.take(&["with", "data"]) {
            end = byte;
        } else if cursor.take(&["with", "no", "data"]) {
            (end, with_data) = (byte, false);
        } else {
            cursor.next();
        }
    }
    Ok(Command::CreateTableAs(CreateTableAs {
        if_not_exists,
        name,
        query: text[start..end].trim().to_string(),
        with_data,
        temporary,
    }))
}

/// `d1 USING st TAGS (…) [IF NOT EXISTS] d2 USING st TAGS (…) …`, with commas between or not.
fn parse_children(cursor: &mut Cursor<'_>, if_not_exists: bool, name: TableName) -> Result<Command, QueryError> {
    let mut children = vec![parse_child(cursor, if_not_exists, name)?];
    cursor.take_symbol(",");
    while !cursor.at_end() {
        let if_not_exists = cursor.take(&["if", "not", "exists"]);
        let name = cursor.table_name()?;
        children.push(parse_child(cursor, if_not_exists, name)?);
        cursor.take_symbol(",");
    }
    Ok(Command::CreateChildren(children))
}

fn parse_child(cursor: &mut Cursor<'_>, if_not_exists: bool, name: TableName) -> Result<CreateChild, QueryError> {
    cursor.expect(&["using"])?;
    let supertable = cursor.table_name()?;
    let tags = match cursor.at_symbol("(") {
        true => Some(cursor.list(|cursor| {
            let character = cursor.character();
            Ok((cursor.name()?, character))
        })?),
        false => None,
    };
    cursor.expect(&["tags"])?;
    let byte = cursor.byte();
    let values = cursor.list(|cursor| cursor.expression(&[]))?;
    if let Some(tags) = tags.as_ref().filter(|tags| tags.len() != values.len()) {
        let message = format!("{} tags are named and {} values given", tags.len(), values.len());
        return Err(cursor.error_at(byte, ErrorKind::SyntaxError, message));
    }
    Ok(CreateChild {
        if_not_exists,
        name,
        supertable,
        tags,
        values,
    })
}
