//! DROP of kinds of objects that there are none of: programs clear the ground with `DROP TYPE IF EXISTS`.

use super::cursor::Cursor;
use super::{Command, TableName, table_names};
use crate::{ErrorKind, QueryError};

/// What is to be dropped, and is not there.
#[derive(Debug)]
pub(crate) struct DropMissing {
    /// As PostgreSQL names the kind in messages: a domain is a type.
    pub kind: &'static str,
    /// The command tag.
    pub tag: &'static str,
    /// Without IF EXISTS.
    pub error: ErrorKind,
    pub if_exists: bool,
    pub names: Vec<TableName>,
}

/// At the kind.
pub(super) fn parse_drop(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let (kind, tag, error) = match &*cursor.next().value {
        "materialized" => {
            cursor.expect(&["view"])?;
            ("materialized view", "DROP MATERIALIZED VIEW", ErrorKind::UndefinedTable)
        }
        "sequence" => ("sequence", "DROP SEQUENCE", ErrorKind::UndefinedTable),
        "domain" => ("type", "DROP DOMAIN", ErrorKind::UndefinedObject),
        _ => ("type", "DROP TYPE", ErrorKind::UndefinedObject),
    };
    let if_exists = cursor.take(&["if", "exists"]);
    let names = table_names(cursor)?;
    cursor.take_any(&["cascade", "restrict"]);
    Ok(Command::DropMissing(DropMissing {
        kind,
        tag,
        error,
        if_exists,
        names,
    }))
}
