//! SET, RESET and DISCARD.

use super::Command;
use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::transaction::{TransactionModes, parse_modes};
use crate::QueryError;

/// How long a SET lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetScope {
    Session,
    /// To the end of the transaction.
    Local,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SetCommand {
    /// `None`: TO DEFAULT.
    Value {
        scope: SetScope,
        name: String,
        value: Option<String>,
    },
    Reset(String),
    ResetAll,
    /// SET TRANSACTION …
    Transaction(TransactionModes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION …
    SessionCharacteristics(TransactionModes),
    /// SET SESSION AUTHORIZATION: `None` is back to who logged in. With the command tag.
    Authorization {
        scope: SetScope,
        user: Option<String>,
        tag: &'static str,
    },
    /// SET ROLE: `None` is back to the session's user.
    Role {
        scope: SetScope,
        role: Option<String>,
        tag: &'static str,
    },
    /// SET CONSTRAINTS: there are none to defer.
    Constraints,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discard {
    All,
    Plans,
    Sequences,
    Temporary,
}

pub(super) fn parse_discard(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["discard"])?;
    match cursor.take_any(&["all", "plans", "sequences", "temp", "temporary"]) {
        Some("all") => Ok(Command::Discard(Discard::All)),
        Some("plans") => Ok(Command::Discard(Discard::Plans)),
        Some("sequences") => Ok(Command::Discard(Discard::Sequences)),
        Some(_) => Ok(Command::Discard(Discard::Temporary)),
        None => Err(cursor.error()),
    }
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let command = match cursor.next().value == "reset" {
        true => parse_reset(cursor)?,
        false => parse_set(cursor)?,
    };
    Ok(Command::Set(command))
}

fn parse_reset(cursor: &mut Cursor<'_>) -> Result<SetCommand, QueryError> {
    if cursor.take_word("all") {
        return Ok(SetCommand::ResetAll);
    }
    if cursor.take(&["time", "zone"]) {
        return Ok(SetCommand::Reset("TimeZone".into()));
    }
    if cursor.take(&["session", "authorization"]) {
        return Ok(SetCommand::Authorization {
            scope: SetScope::Session,
            user: None,
            tag: "RESET",
        });
    }
    if cursor.take_word("role") {
        return Ok(SetCommand::Role {
            scope: SetScope::Session,
            role: None,
            tag: "RESET",
        });
    }
    Ok(SetCommand::Reset(setting_name(cursor)?))
}

fn parse_set(cursor: &mut Cursor<'_>) -> Result<SetCommand, QueryError> {
    if cursor.take(&["session", "characteristics", "as", "transaction"]) {
        return Ok(SetCommand::SessionCharacteristics(parse_modes(cursor)?));
    }
    if cursor.take_word("transaction") {
        return Ok(SetCommand::Transaction(parse_modes(cursor)?));
    }
    if cursor.take_word("constraints") {
        while !cursor.at_end() {
            cursor.next();
        }
        return Ok(SetCommand::Constraints);
    }
    if cursor.take(&["session", "authorization"]) {
        return parse_authorization(cursor, SetScope::Session);
    }
    let scope = match cursor.take_any(&["session", "local"]) {
        Some("local") => SetScope::Local,
        _ => SetScope::Session,
    };
    if cursor.take(&["session", "authorization"]) {
        return parse_authorization(cursor, scope);
    }
    let value = |name: &str, value| {
        Ok(SetCommand::Value {
            scope,
            name: name.to_string(),
            value,
        })
    };
    if cursor.at_word("role") && !cursor.peek_second().is_symbol("=") && !cursor.peek_second().is_word("to") {
        cursor.next();
        let role = match cursor.take_word("none") || cursor.take_word("default") {
            true => None,
            false => Some(parse_word(cursor)?),
        };
        return Ok(SetCommand::Role {
            scope,
            role,
            tag: "SET",
        });
    }
    if cursor.take(&["time", "zone"]) {
        return value("TimeZone", parse_zone(cursor)?);
    }
    if cursor.take_word("names") {
        let names = match cursor.at_end() || cursor.take_word("default") {
            true => None,
            false => Some(parse_word(cursor)?),
        };
        return value("client_encoding", names);
    }
    if cursor.take_word("schema") {
        let schema = cursor.string()?;
        return value("search_path", Some(schema));
    }
    let (name, words) = parse_value(cursor)?;
    // Who one is, as a setting.
    let who = words.clone().filter(|who| who != "none");
    match name.as_str() {
        "role" => Ok(SetCommand::Role {
            scope,
            role: who,
            tag: "SET",
        }),
        "session_authorization" => Ok(SetCommand::Authorization {
            scope,
            user: words,
            tag: "SET",
        }),
        _ => value(&name, words),
    }
}

/// `name = value`, `name TO value, value`; `None` is DEFAULT.
pub(super) fn parse_value(cursor: &mut Cursor<'_>) -> Result<(String, Option<String>), QueryError> {
    let name = setting_name(cursor)?;
    if !cursor.take_symbol("=") {
        cursor.expect(&["to"])?;
    }
    if cursor.take_word("default") {
        return Ok((name, None));
    }
    if name.eq_ignore_ascii_case("timezone") && cursor.at_word("interval") {
        return Ok(("TimeZone".into(), parse_zone(cursor)?));
    }
    let mut list = vec![parse_word(cursor)?];
    while cursor.take_symbol(",") {
        list.push(parse_word(cursor)?);
    }
    Ok((name, Some(list.join(", "))))
}

/// Names of settings have dots, and a few are keywords.
pub(super) fn setting_name(cursor: &mut Cursor<'_>) -> Result<String, QueryError> {
    let mut name = cursor.name()?;
    while cursor.take_symbol(".") {
        name.push('.');
        name.push_str(&cursor.name()?);
    }
    Ok(name)
}

fn parse_authorization(cursor: &mut Cursor<'_>, scope: SetScope) -> Result<SetCommand, QueryError> {
    let user = match cursor.take_word("default") {
        true => None,
        false => Some(parse_word(cursor)?),
    };
    Ok(SetCommand::Authorization {
        scope,
        user,
        tag: "SET",
    })
}

/// A value: text, a bare word, a number with its sign.
fn parse_word(cursor: &mut Cursor<'_>) -> Result<String, QueryError> {
    let sign = match () {
        _ if cursor.take_symbol("-") => "-",
        _ if cursor.take_symbol("+") => "+",
        _ => "",
    };
    let token = cursor.peek().clone();
    match token.kind {
        TokenKind::Number => {}
        TokenKind::Text | TokenKind::Word | TokenKind::QuotedName if sign.is_empty() => {}
        _ => return Err(cursor.error()),
    }
    cursor.next();
    Ok(format!("{sign}{}", token.value))
}

/// `LOCAL`, `DEFAULT`, `'Europe/Berlin'`, `-7`, `INTERVAL '+02:00' HOUR TO MINUTE`.
fn parse_zone(cursor: &mut Cursor<'_>) -> Result<Option<String>, QueryError> {
    if cursor.take_any(&["local", "default"]).is_some() {
        return Ok(None);
    }
    if cursor.take_word("interval") {
        let offset = cursor.string()?;
        if cursor.take_word("hour") && cursor.take_word("to") {
            cursor.expect(&["minute"])?;
        }
        // Counted east of Greenwich, which a quoted offset is not.
        return Ok(Some(format!("<{offset}>")));
    }
    parse_word(cursor).map(Some)
}
