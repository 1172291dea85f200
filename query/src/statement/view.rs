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
    pub security_invoker: bool,
}

/// ALTER VIEW … SET and RESET.
#[derive(Debug)]
pub(crate) struct AlterView {
    pub if_exists: bool,
    pub name: TableName,
    pub security_invoker: bool,
}

/// After CREATE.
pub(super) fn parse_create(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let or_replace = cursor.take(&["or", "replace"]);
    if or_replace && ["function", "procedure", "trigger", "rule", "aggregate"].contains(&&*cursor.peek().value) {
        let what = format!("CREATE {}", cursor.peek().value.to_ascii_uppercase());
        return Err(cursor.unsupported(&what));
    }
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
    let security_invoker = match cursor.take_word("with") {
        true => parse_options(cursor)?,
        false => false,
    };
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
        security_invoker,
    })))
}

/// `(security_invoker [= true])`, the one option there is.
fn parse_options(cursor: &mut Cursor<'_>) -> Result<bool, QueryError> {
    let mut security_invoker = false;
    cursor.list(|cursor| {
        let byte = cursor.byte();
        let name = cursor.name()?;
        if name != "security_invoker" {
            let message = format!("option {name} of a view is not supported");
            return Err(cursor.error_at(byte, ErrorKind::FeatureNotSupported, message));
        }
        security_invoker = true;
        if cursor.take_symbol("=") {
            let byte = cursor.byte();
            let value = super::create::parameter_value(cursor)?;
            security_invoker = match value.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => true,
                "false" | "off" | "no" | "0" => false,
                other => {
                    let message = format!("invalid value for boolean option \"security_invoker\": {other}");
                    return Err(cursor.error_at(byte, ErrorKind::InvalidParameterValue, message));
                }
            };
        }
        Ok(())
    })?;
    Ok(security_invoker)
}

/// At VIEW, after ALTER.
pub(super) fn parse_alter(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["view"])?;
    let if_exists = cursor.take(&["if", "exists"]);
    let name = cursor.table_name()?;
    if cursor.at_word("owner") {
        return super::role::parse_owner(cursor, super::Owned::View(name));
    }
    let security_invoker = if cursor.take_word("set") {
        parse_options(cursor)?
    } else if cursor.take_word("reset") {
        parse_options(cursor)?;
        false
    } else {
        return Err(cursor
            .unsupported("this change of a view")
            .with_hint("CREATE OR REPLACE VIEW changes its query"));
    };
    Ok(Command::AlterView(AlterView {
        if_exists,
        name,
        security_invoker,
    }))
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
