//! CREATE INDEX and DROP INDEX.

use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::{Command, TableName, table_names};
use crate::QueryError;

/// An index to make.
#[derive(Debug)]
pub(crate) struct CreateIndex {
    pub unique: bool,
    pub if_not_exists: bool,
    /// `None`: made of the names of table and columns.
    pub name: Option<String>,
    pub table: TableName,
    /// With their characters; `None` is an expression.
    pub columns: Vec<(Option<String>, usize)>,
    /// WHERE: of some rows only.
    pub partial: bool,
}

/// After CREATE.
pub(super) fn parse_create(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let unique = cursor.take_word("unique");
    cursor.expect(&["index"])?;
    cursor.take_word("concurrently");
    let if_not_exists = cursor.take(&["if", "not", "exists"]);
    let name = match cursor.at_word("on") {
        true => None,
        false => Some(cursor.name()?),
    };
    cursor.expect(&["on"])?;
    cursor.take_word("only");
    let table = cursor.table_name()?;
    if cursor.take_word("using") {
        cursor.name()?;
    }
    let columns = cursor.list(parse_column)?;
    if cursor.take_word("include") {
        cursor.list(Cursor::name)?;
    }
    if cursor.take(&["nulls", "not", "distinct"]) {
        return Err(cursor.unsupported("NULLS NOT DISTINCT"));
    }
    cursor.take(&["nulls", "distinct"]);
    if cursor.take_word("with") {
        cursor.list(|cursor| skip_item(cursor))?;
    }
    if cursor.take_word("tablespace") {
        cursor.name()?;
    }
    let partial = cursor.take_word("where");
    if partial {
        cursor.expression(&[])?;
    }
    Ok(Command::CreateIndex(Box::new(CreateIndex {
        unique,
        if_not_exists,
        name,
        table,
        columns,
        partial,
    })))
}

/// A column with its order and operator class, or an expression.
fn parse_column(cursor: &mut Cursor<'_>) -> Result<(Option<String>, usize), QueryError> {
    let character = cursor.character();
    let named = matches!(cursor.peek().kind, TokenKind::Word | TokenKind::QuotedName);
    if !named || cursor.peek_second().is_symbol("(") {
        skip_item(cursor)?;
        return Ok((None, character));
    }
    let name = cursor.name()?;
    skip_item(cursor)?;
    Ok((Some(name), character))
}

/// To the comma or bracket that ends it.
fn skip_item(cursor: &mut Cursor<'_>) -> Result<(), QueryError> {
    let mut depth = 0;
    while depth > 0 || !(cursor.at_symbol(",") || cursor.at_symbol(")")) {
        if cursor.at_end() {
            return Err(cursor.error());
        }
        if cursor.at_symbol("(") {
            depth += 1;
        } else if cursor.at_symbol(")") {
            depth -= 1;
        }
        cursor.next();
    }
    Ok(())
}

/// At INDEX, after DROP.
pub(super) fn parse_drop(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["index"])?;
    cursor.take_word("concurrently");
    let if_exists = cursor.take(&["if", "exists"]);
    let names = table_names(cursor)?;
    cursor.take_any(&["cascade", "restrict"]);
    Ok(Command::DropIndexes { if_exists, names })
}
