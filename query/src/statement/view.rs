//! CREATE VIEW and DROP VIEW.

use datafusion::sql::sqlparser::ast;

use super::cursor::Cursor;
use super::{Command, TableName, parse_with_sqlparser, table_names};
use crate::{ErrorKind, QueryError};

/// A view to make.
#[derive(Debug)]
pub(crate) struct CreateView {
    pub or_replace: bool,
    pub name: TableName,
    /// Names for its first columns.
    pub columns: Vec<String>,
    pub query: Box<ast::Query>,
}

/// After CREATE.
pub(super) fn parse_create(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let or_replace = cursor.take(&["or", "replace"]);
    if cursor.at_word("materialized") {
        let hint = "CREATE VIEW makes a view that is computed when it is asked";
        return Err(cursor.unsupported("a materialized view").with_hint(hint));
    }
    if cursor.take_any(&["temp", "temporary"]).is_some() {
        let hint = "CREATE VIEW makes one that stays";
        return Err(cursor.unsupported("a temporary view").with_hint(hint));
    }
    if cursor.at_word("recursive") {
        let hint = "WITH RECURSIVE inside of the view does the same";
        return Err(cursor.unsupported("CREATE RECURSIVE VIEW").with_hint(hint));
    }
    cursor.expect(&["view"])?;
    let name = cursor.table_name()?;
    let columns = match cursor.at_symbol("(") {
        true => cursor.list(|cursor| cursor.name())?,
        false => Vec::new(),
    };
    if cursor.at_word("with") {
        return Err(cursor.unsupported("an option of a view"));
    }
    cursor.expect(&["as"])?;
    let (text, start) = (cursor.text(), cursor.byte());
    // Spaces in the place of what stands before keep the places in errors right.
    let blank = |char: char| if char == '\n' { '\n' } else { ' ' };
    let padded: String = text[..start].chars().map(blank).chain(text[start..].chars()).collect();
    let ast::Statement::Query(query) = parse_with_sqlparser(&padded)? else {
        return Err(cursor.error_at(start, ErrorKind::SyntaxError, "a view is made of a query"));
    };
    while !cursor.at_end() {
        cursor.next();
    }
    Ok(Command::CreateView(Box::new(CreateView {
        or_replace,
        name,
        columns,
        query,
    })))
}

/// At VIEW.
pub(super) fn parse_drop(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["view"])?;
    let if_exists = cursor.take(&["if", "exists"]);
    let names = table_names(cursor)?;
    let cascade = cursor.take_any(&["cascade", "restrict"]) == Some("cascade");
    Ok(Command::DropViews {
        if_exists,
        names,
        cascade,
    })
}
