//! SHOW and DESCRIBE: of settings as in PostgreSQL, of tables and databases as in TDengine.

use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::{Command, TableName};
use crate::QueryError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Show {
    Databases,
    /// Supertables.
    Stables {
        database: Option<String>,
        like: Option<String>,
    },
    /// Child tables and plain tables.
    Tables {
        database: Option<String>,
        like: Option<String>,
        /// `SHOW NORMAL TABLES`, `SHOW CHILD TABLES`.
        kind: TablesKind,
    },
    /// A child's tags with their values, or a supertable's tags.
    Tags(TableName),
    CreateTable(TableName),
    CreateDatabase(String),
    Describe(TableName),
    Vgroups {
        database: Option<String>,
    },
    Vnodes,
    /// Functions beside those that DataFusion brings.
    Functions {
        like: Option<String>,
    },
    /// `SHOW name`, `SHOW ALL`.
    Setting(String),
    AllSettings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TablesKind {
    All,
    Plain,
    Child,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    if cursor.next().value != "show" {
        cursor.take_word("table");
        return Ok(Command::Show(Show::Describe(cursor.table_name()?)));
    }
    Ok(Command::Show(parse_show(cursor)?))
}

fn parse_show(cursor: &mut Cursor<'_>) -> Result<Show, QueryError> {
    if cursor.take_any(&["databases", "schemas"]).is_some() {
        return Ok(Show::Databases);
    }
    if cursor.take_any(&["stables", "supertables"]).is_some() {
        let (database, like) = parse_from_like(cursor)?;
        return Ok(Show::Stables { database, like });
    }
    let kind = match (
        cursor.peek().kind,
        &*cursor.peek().value,
        cursor.peek_second().is_word("tables"),
    ) {
        (TokenKind::Word, "tables", _) => Some(TablesKind::All),
        (TokenKind::Word, "normal", true) => Some(TablesKind::Plain),
        (TokenKind::Word, "child", true) => Some(TablesKind::Child),
        _ => None,
    };
    if let Some(kind) = kind {
        cursor.take_any(&["normal", "child"]);
        cursor.take_word("tables");
        let (database, like) = parse_from_like(cursor)?;
        return Ok(Show::Tables { database, like, kind });
    }
    // `SHOW power.tables`
    if cursor.peek_second().is_symbol(".") {
        let mark = cursor.mark();
        let name = cursor.table_name()?;
        let (database, like) = (name.schema.clone(), None);
        match name.name.as_str() {
            "tables" => {
                return Ok(Show::Tables {
                    database,
                    like,
                    kind: TablesKind::All,
                });
            }
            "stables" => return Ok(Show::Stables { database, like }),
            "vgroups" => return Ok(Show::Vgroups { database }),
            _ => cursor.return_to(mark),
        }
    }
    if cursor.take_word("tags") {
        if cursor.take_any(&["from", "in"]).is_none() {
            return Err(cursor.error());
        }
        return Ok(Show::Tags(cursor.table_name()?));
    }
    if cursor.take_word("create") {
        if cursor.take_word("database") {
            return Ok(Show::CreateDatabase(cursor.name()?));
        }
        return match cursor.take_any(&["table", "stable"]) {
            Some(_) => Ok(Show::CreateTable(cursor.table_name()?)),
            None => Err(cursor.error()),
        };
    }
    if cursor.take_word("columns") {
        if cursor.take_any(&["from", "in"]).is_none() {
            return Err(cursor.error());
        }
        return Ok(Show::Describe(cursor.table_name()?));
    }
    if cursor.take_word("vgroups") {
        let database = parse_from(cursor)?;
        return Ok(Show::Vgroups { database });
    }
    if cursor.take_word("vnodes") {
        return Ok(Show::Vnodes);
    }
    if cursor.take_word("functions") {
        let like = parse_like(cursor)?;
        return Ok(Show::Functions { like });
    }
    parse_setting(cursor)
}

fn parse_setting(cursor: &mut Cursor<'_>) -> Result<Show, QueryError> {
    if cursor.take_word("all") {
        return Ok(Show::AllSettings);
    }
    if cursor.take(&["time", "zone"]) {
        return Ok(Show::Setting("TimeZone".into()));
    }
    if cursor.take(&["transaction", "isolation", "level"]) {
        return Ok(Show::Setting("transaction_isolation".into()));
    }
    if cursor.take(&["session", "authorization"]) {
        return Ok(Show::Setting("session_authorization".into()));
    }
    Ok(Show::Setting(super::set::setting_name(cursor)?))
}

/// `[FROM database] [LIKE 'pattern']`
fn parse_from_like(cursor: &mut Cursor<'_>) -> Result<(Option<String>, Option<String>), QueryError> {
    Ok((parse_from(cursor)?, parse_like(cursor)?))
}

fn parse_from(cursor: &mut Cursor<'_>) -> Result<Option<String>, QueryError> {
    let from = cursor.take_any(&["from", "in"]).is_some();
    from.then(|| cursor.name()).transpose()
}

fn parse_like(cursor: &mut Cursor<'_>) -> Result<Option<String>, QueryError> {
    cursor.take_word("like").then(|| cursor.string()).transpose()
}
