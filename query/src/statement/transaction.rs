//! BEGIN, COMMIT, ROLLBACK, savepoints, and the modes of a transaction.

use super::Command;
use super::cursor::Cursor;
use crate::QueryError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TransactionCommand {
    /// With the command tag: BEGIN or START TRANSACTION.
    Begin {
        modes: TransactionModes,
        tag: &'static str,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    RollbackTo(String),
    Release(String),
}

/// What a transaction is asked to be; `None` is as the session's defaults say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TransactionModes {
    pub isolation: Option<&'static str>,
    pub read_only: Option<bool>,
    pub deferrable: Option<bool>,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let first = cursor.next();
    let command = match &*first.value {
        "begin" => {
            cursor.take_any(&["work", "transaction"]);
            let modes = parse_modes(cursor)?;
            TransactionCommand::Begin { modes, tag: "BEGIN" }
        }
        "start" => {
            cursor.expect(&["transaction"])?;
            let modes = parse_modes(cursor)?;
            TransactionCommand::Begin {
                modes,
                tag: "START TRANSACTION",
            }
        }
        "commit" | "end" => {
            if cursor.at_word("prepared") {
                return Err(cursor.unsupported("a prepared transaction"));
            }
            let chain = parse_chain(cursor)?;
            TransactionCommand::Commit { chain }
        }
        "savepoint" => TransactionCommand::Savepoint(cursor.name()?),
        "release" => {
            cursor.take_word("savepoint");
            TransactionCommand::Release(cursor.name()?)
        }
        _ => {
            if cursor.at_word("prepared") {
                return Err(cursor.unsupported("a prepared transaction"));
            }
            cursor.take_any(&["work", "transaction"]);
            match cursor.take_word("to") {
                true => {
                    cursor.take_word("savepoint");
                    TransactionCommand::RollbackTo(cursor.name()?)
                }
                false => {
                    let chain = parse_chain(cursor)?;
                    TransactionCommand::Rollback { chain }
                }
            }
        }
    };
    Ok(Command::Transaction(command))
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`
fn parse_chain(cursor: &mut Cursor<'_>) -> Result<bool, QueryError> {
    cursor.take_any(&["work", "transaction"]);
    if !cursor.take_word("and") {
        return Ok(false);
    }
    let no = cursor.take_word("no");
    cursor.expect(&["chain"])?;
    Ok(!no)
}

/// Modes to the end, with commas between or not.
pub(super) fn parse_modes(cursor: &mut Cursor<'_>) -> Result<TransactionModes, QueryError> {
    let mut modes = TransactionModes::default();
    while !cursor.at_end() {
        if cursor.take(&["isolation", "level"]) {
            modes.isolation = Some(match () {
                _ if cursor.take_word("serializable") => "serializable",
                _ if cursor.take(&["repeatable", "read"]) => "repeatable read",
                _ if cursor.take(&["read", "committed"]) => "read committed",
                _ if cursor.take(&["read", "uncommitted"]) => "read uncommitted",
                _ => return Err(cursor.error()),
            });
        } else if cursor.take(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if cursor.take(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if cursor.take_word("deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.take(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else if cursor.at_word("snapshot") {
            return Err(cursor.unsupported("an exported snapshot"));
        } else {
            return Err(cursor.error());
        }
        cursor.take_symbol(",");
    }
    Ok(modes)
}
