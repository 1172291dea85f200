//! GRANT and REVOKE of roles and of privileges, on things and on their columns, and ALTER DEFAULT PRIVILEGES.

use taospg_catalog::Privileges;

use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::role::{RoleCommand, RoleName, role_name, role_names};
use super::{Command, TableName, table_names};
use crate::{ErrorKind, QueryError};

/// GRANT or REVOKE of privileges.
#[derive(Debug)]
pub(crate) struct Grants {
    pub grant: bool,
    /// `None`: all that there are for the kind of thing.
    pub privileges: Option<Privileges>,
    /// Privileges on single columns.
    pub columns: Vec<ColumnPrivileges>,
    pub things: Things,
    pub roles: Vec<RoleName>,
    /// WITH GRANT OPTION, or GRANT OPTION FOR.
    pub grant_option: bool,
    /// GRANTED BY.
    pub granted_by: Option<RoleName>,
    pub cascade: bool,
}

/// `SELECT (a, b)`
#[derive(Debug)]
pub(crate) struct ColumnPrivileges {
    pub privileges: Privileges,
    /// Names with their places in the statement, as characters from 1.
    pub columns: Vec<(String, usize)>,
}

/// ALTER DEFAULT PRIVILEGES: what tables and views that are yet to be made begin with.
#[derive(Debug)]
pub(crate) struct DefaultPrivileges {
    /// Whose; none: the current role's.
    pub of: Vec<RoleName>,
    /// IN SCHEMA public.
    pub in_schema: bool,
    pub grants: Grants,
}

#[derive(Debug)]
pub(crate) enum Things {
    Tables(Vec<TableName>),
    AllTables,
    Databases(Vec<String>),
    /// `public`, in the connected database.
    Schema,
}

/// GRANT and REVOKE, of roles and of privileges.
pub(super) fn parse_grant(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let grant = cursor.next().value == "grant";
    let admin_for = !grant && cursor.take(&["admin", "option", "for"]);
    let option_for = !grant && !admin_for && cursor.take(&["grant", "option", "for"]);
    let start = cursor.mark();
    let words = parse_words(cursor)?;
    if !cursor.at_word("on") {
        cursor.return_to(start);
        return parse_membership(cursor, grant, admin_for);
    }
    cursor.next();
    let (privileges, columns) = privileges_of(cursor, &words)?;
    let things = parse_things(cursor)?;
    let of_table = matches!(things, Things::Tables(_));
    if let (false, Some(column)) = (of_table, words.iter().find(|word| !word.columns.is_empty())) {
        let message = "column privileges are only valid for relations";
        return Err(cursor.error_at(column.byte, ErrorKind::InvalidGrantOperation, message));
    }
    cursor.expect(&[if grant { "to" } else { "from" }])?;
    let roles = role_names(cursor)?;
    let with = grant && cursor.take(&["with", "grant", "option"]);
    let granted_by = granted_by(cursor)?;
    let cascade = !grant && cursor.take_any(&["cascade", "restrict"]) == Some("cascade");
    Ok(Command::Role(RoleCommand::Grants(Grants {
        grant,
        privileges,
        columns,
        things,
        roles,
        grant_option: with || option_for,
        granted_by,
        cascade,
    })))
}

/// A privilege's word, its place, and the columns that it is of.
struct Word {
    word: String,
    byte: usize,
    columns: Vec<(String, usize)>,
}

/// `SELECT, UPDATE (a, b)`, up to ON.
fn parse_words(cursor: &mut Cursor<'_>) -> Result<Vec<Word>, QueryError> {
    let mut words: Vec<Word> = Vec::new();
    loop {
        let byte = cursor.byte();
        let word = cursor.name()?;
        // ALL PRIVILEGES is one.
        if words.is_empty() && word == "all" {
            cursor.take_word("privileges");
        }
        let columns = match cursor.at_symbol("(") {
            true => cursor.list(|cursor| {
                let place = cursor.character();
                Ok((cursor.name()?, place))
            })?,
            false => Vec::new(),
        };
        words.push(Word { word, byte, columns });
        if !cursor.take_symbol(",") {
            return Ok(words);
        }
    }
}

/// Privileges on the whole thing, `None` for all there are; and those on columns.
fn privileges_of(
    cursor: &Cursor<'_>,
    words: &[Word],
) -> Result<(Option<Privileges>, Vec<ColumnPrivileges>), QueryError> {
    let mut whole = Some(Privileges::NONE);
    let mut columns = Vec::new();
    for Word {
        word,
        byte,
        columns: of,
    } in words
    {
        let privileges = match word == "all" && words.len() == 1 {
            true => None,
            false => Some(privilege(cursor, word, *byte)?),
        };
        if of.is_empty() {
            whole = match (whole, privileges) {
                (Some(whole), Some(more)) => Some(whole.with(more)),
                _ => None,
            };
            continue;
        }
        let privileges = privileges.unwrap_or(Privileges::ALL_OF_COLUMN);
        let strange = privileges.without(Privileges::ALL_OF_COLUMN);
        if !strange.is_empty() {
            let word = word.to_ascii_uppercase();
            let message = format!("invalid privilege type {word} for column");
            return Err(cursor.error_at(*byte, ErrorKind::InvalidGrantOperation, message));
        }
        columns.push(ColumnPrivileges {
            privileges,
            columns: of.clone(),
        });
    }
    Ok((whole, columns))
}

/// After ALTER: `DEFAULT PRIVILEGES [FOR ROLE r] [IN SCHEMA public] GRANT … ON TABLES TO …`.
pub(super) fn parse_defaults(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["default", "privileges"])?;
    let (mut of, mut in_schema) = (Vec::new(), false);
    loop {
        if cursor.take(&["for", "role"]) || cursor.take(&["for", "user"]) {
            of = role_names(cursor)?;
        } else if cursor.take(&["in", "schema"]) {
            schema(cursor)?;
            in_schema = true;
        } else {
            break;
        }
    }
    let grant = match cursor.take_any(&["grant", "revoke"]) {
        Some(word) => word == "grant",
        None => return Err(cursor.error()),
    };
    let option_for = !grant && cursor.take(&["grant", "option", "for"]);
    let words = parse_words(cursor)?;
    if let Some(word) = words.iter().find(|word| !word.columns.is_empty()) {
        let message = "default privileges cannot be set for columns";
        return Err(cursor.error_at(word.byte, ErrorKind::InvalidGrantOperation, message));
    }
    let (privileges, columns) = privileges_of(cursor, &words)?;
    cursor.expect(&["on"])?;
    if !cursor.take_word("tables") {
        let hint = "tables and views are all that a role can make here: ON TABLES";
        return Err(cursor.unsupported("a default privilege on these").with_hint(hint));
    }
    if let Some(word) = words.iter().zip(privileges).find_map(|(word, all)| {
        let strange = all.without(Privileges::ALL_OF_TABLE);
        (!strange.is_empty()).then_some(word)
    }) {
        let message = format!("invalid privilege type {} for relation", word.word.to_ascii_uppercase());
        return Err(cursor.error_at(word.byte, ErrorKind::InvalidGrantOperation, message));
    }
    cursor.expect(&[if grant { "to" } else { "from" }])?;
    let roles = role_names(cursor)?;
    let with = grant && cursor.take(&["with", "grant", "option"]);
    let cascade = !grant && cursor.take_any(&["cascade", "restrict"]) == Some("cascade");
    let grants = Grants {
        grant,
        privileges,
        columns,
        things: Things::AllTables,
        roles,
        grant_option: with || option_for,
        granted_by: None,
        cascade,
    };
    Ok(Command::Role(RoleCommand::Defaults(DefaultPrivileges {
        of,
        in_schema,
        grants,
    })))
}

fn parse_membership(cursor: &mut Cursor<'_>, grant: bool, admin_for: bool) -> Result<Command, QueryError> {
    let groups = role_names(cursor)?;
    cursor.expect(&[if grant { "to" } else { "from" }])?;
    let members = role_names(cursor)?;
    let mut admin = admin_for;
    if grant && cursor.take_word("with") {
        if !cursor.at_word("admin") {
            return Err(cursor.unsupported("this option of a membership"));
        }
        cursor.next();
        admin = match cursor.take_any(&["option", "true", "false"]) {
            Some(word) => word != "false",
            None => return Err(cursor.error()),
        };
    }
    let granted_by = granted_by(cursor)?;
    cursor.take_any(&["cascade", "restrict"]);
    Ok(Command::Role(RoleCommand::Membership {
        grant,
        groups,
        members,
        admin,
        granted_by,
        tag: if grant { "GRANT ROLE" } else { "REVOKE ROLE" },
    }))
}

fn privilege(cursor: &Cursor<'_>, word: &str, byte: usize) -> Result<Privileges, QueryError> {
    // TEMP is TEMPORARY.
    let word = if word == "temp" { "temporary" } else { word };
    let mut list = Privileges::LIST.iter();
    match list.find(|(_, name, _)| name.eq_ignore_ascii_case(word)) {
        Some((privilege, ..)) => Ok(*privilege),
        None => {
            let message = format!("unrecognized privilege type \"{word}\"");
            Err(cursor.error_at(byte, ErrorKind::SyntaxError, message))
        }
    }
}

fn parse_things(cursor: &mut Cursor<'_>) -> Result<Things, QueryError> {
    if cursor.take(&["all", "tables", "in", "schema"]) {
        return schema(cursor).map(|()| Things::AllTables);
    }
    if cursor.at_word("all") {
        return Err(cursor.unsupported("a privilege on all of these"));
    }
    if cursor.take_word("schema") {
        return schema(cursor).map(|()| Things::Schema);
    }
    if cursor.take_word("database") {
        let mut names = vec![cursor.name()?];
        while cursor.take_symbol(",") {
            names.push(cursor.name()?);
        }
        return Ok(Things::Databases(names));
    }
    let another = [
        "sequence",
        "function",
        "procedure",
        "routine",
        "language",
        "domain",
        "type",
        "tablespace",
        "foreign",
        "large",
        "parameter",
    ];
    let second_is_a_name = matches!(cursor.peek_second().kind, TokenKind::Word | TokenKind::QuotedName)
        && !cursor.peek_second().is_word("to")
        && !cursor.peek_second().is_word("from");
    if second_is_a_name && another.contains(&&*cursor.peek().value) {
        return Err(cursor.unsupported("a privilege on anything but tables, databases and schemas"));
    }
    if second_is_a_name {
        cursor.take_any(&["table", "stable"]);
    }
    table_names(cursor).map(Things::Tables)
}

/// The one schema there is.
fn schema(cursor: &mut Cursor<'_>) -> Result<(), QueryError> {
    let byte = cursor.byte();
    let name = cursor.name()?;
    if name == "public" && !cursor.at_symbol(",") {
        return Ok(());
    }
    let message = format!("schema \"{name}\" does not exist");
    Err(cursor.error_at(byte, ErrorKind::InvalidSchemaName, message))
}

/// `GRANTED BY role`
fn granted_by(cursor: &mut Cursor<'_>) -> Result<Option<RoleName>, QueryError> {
    match cursor.take(&["granted", "by"]) {
        true => Ok(Some(role_name(cursor)?)),
        false => Ok(None),
    }
}
