//! Roles: CREATE, ALTER and DROP ROLE, USER and GROUP, REASSIGN and DROP OWNED.
//!
//! Leaves to others: GRANT, REVOKE and ALTER DEFAULT PRIVILEGES (`grant.rs`).

use super::cursor::Cursor;
use super::grant::{DefaultPrivileges, Grants};
use super::lexer::TokenKind;
use super::set::{parse_value, setting_name};
use super::{Command, TableName};
use crate::{ErrorKind, QueryError};

/// A role as a statement names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RoleName {
    Named(String),
    CurrentUser,
    SessionUser,
    /// PUBLIC, everybody.
    Public,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RoleOption {
    Superuser(bool),
    CreateDatabase(bool),
    CreateRole(bool),
    Inherit(bool),
    Login(bool),
    Replication(bool),
    BypassRls(bool),
    ConnectionLimit(i32),
    /// `None`: no password.
    Password(Option<Secret>),
    ValidUntil(String),
    /// IN ROLE: groups that the role joins.
    InRole(Vec<RoleName>),
    /// ROLE and ADMIN: members of the new role.
    Members {
        names: Vec<RoleName>,
        admin: bool,
    },
}

/// A password; not to be shown by accident.
#[derive(Clone, PartialEq)]
pub(crate) struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[derive(Debug)]
pub(crate) enum RoleCommand {
    Create {
        name: String,
        options: Vec<RoleOption>,
    },
    Alter {
        name: RoleName,
        options: Vec<RoleOption>,
    },
    Rename {
        from: String,
        to: String,
    },
    /// ALTER ROLE or DATABASE … SET; `None` of a value is DEFAULT, `None` of a name RESET ALL.
    Set {
        of: SettingOf,
        setting: Option<String>,
        value: Option<String>,
    },
    /// ALTER DEFAULT PRIVILEGES.
    Defaults(DefaultPrivileges),
    Drop {
        if_exists: bool,
        names: Vec<RoleName>,
    },
    /// GRANT role TO role, and REVOKE; with the command tag, for ALTER GROUP does the same.
    Membership {
        grant: bool,
        groups: Vec<RoleName>,
        members: Vec<RoleName>,
        /// WITH ADMIN OPTION, or ADMIN OPTION FOR.
        admin: bool,
        /// GRANTED BY.
        granted_by: Option<RoleName>,
        tag: &'static str,
    },
    Grants(Grants),
    /// ALTER TABLE or DATABASE … OWNER TO.
    Owner {
        of: Owned,
        to: RoleName,
    },
    ReassignOwned {
        from: Vec<RoleName>,
        to: RoleName,
    },
    DropOwned {
        of: Vec<RoleName>,
    },
}

/// Whose sessions begin with a setting.
#[derive(Debug)]
pub(crate) enum SettingOf {
    /// `None`: every role.
    Role {
        name: Option<RoleName>,
        /// Of sessions in this one alone.
        database: Option<String>,
    },
    Database(String),
}

#[derive(Debug)]
pub(crate) enum Owned {
    Table(TableName),
    View(TableName),
    Database(String),
}

impl RoleCommand {
    /// The command tag.
    pub fn tag(&self) -> &'static str {
        match self {
            RoleCommand::Create { .. } => "CREATE ROLE",
            RoleCommand::Set {
                of: SettingOf::Database(_),
                ..
            } => "ALTER DATABASE",
            RoleCommand::Alter { .. } | RoleCommand::Rename { .. } | RoleCommand::Set { .. } => "ALTER ROLE",
            RoleCommand::Defaults(_) => "ALTER DEFAULT PRIVILEGES",
            RoleCommand::Drop { .. } => "DROP ROLE",
            RoleCommand::Membership { tag, .. } => tag,
            RoleCommand::Grants(Grants { grant: true, .. }) => "GRANT",
            RoleCommand::Grants(_) => "REVOKE",
            RoleCommand::Owner {
                of: Owned::Table(_), ..
            } => "ALTER TABLE",
            RoleCommand::Owner { of: Owned::View(_), .. } => "ALTER VIEW",
            RoleCommand::Owner { .. } => "ALTER DATABASE",
            RoleCommand::ReassignOwned { .. } => "REASSIGN OWNED",
            RoleCommand::DropOwned { .. } => "DROP OWNED",
        }
    }

    /// Whether its text has a password in it.
    pub fn has_secret(&self) -> bool {
        match self {
            RoleCommand::Create { options, .. } | RoleCommand::Alter { options, .. } => options
                .iter()
                .any(|option| matches!(option, RoleOption::Password(Some(_)))),
            _ => false,
        }
    }
}

/// After CREATE: `ROLE | USER | GROUP name [WITH] options`.
pub(super) fn parse_create(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    // A user may log in unless it says otherwise.
    let login = cursor.next().value == "user";
    let name = new_name(cursor)?;
    cursor.take_word("with");
    let mut options = vec![RoleOption::Login(login)];
    options.extend(parse_options(cursor, true)?);
    Ok(Command::Role(RoleCommand::Create { name, options }))
}

/// After ALTER.
pub(super) fn parse_alter(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let group = cursor.next().value == "group";
    if cursor.take_word("all") {
        let database = in_database(cursor)?;
        return parse_setting(cursor, SettingOf::Role { name: None, database });
    }
    let byte = cursor.byte();
    let name = role_name(cursor)?;
    if let Some(word) = cursor.take_any(&["add", "drop"]).filter(|_| group) {
        cursor.expect(&["user"])?;
        return Ok(Command::Role(RoleCommand::Membership {
            grant: word == "add",
            groups: vec![name],
            members: role_names(cursor)?,
            admin: false,
            granted_by: None,
            tag: "ALTER ROLE",
        }));
    }
    if cursor.take(&["rename", "to"]) {
        let RoleName::Named(from) = name else {
            let message = "the current role cannot be renamed under that name";
            return Err(cursor.error_at(byte, ErrorKind::FeatureNotSupported, message));
        };
        let to = new_name(cursor)?;
        return Ok(Command::Role(RoleCommand::Rename { from, to }));
    }
    if cursor.at_word("in") || cursor.at_word("set") || cursor.at_word("reset") {
        let database = in_database(cursor)?;
        let name = Some(name);
        return parse_setting(cursor, SettingOf::Role { name, database });
    }
    cursor.take_word("with");
    let options = parse_options(cursor, false)?;
    Ok(Command::Role(RoleCommand::Alter { name, options }))
}

/// `IN DATABASE d`
fn in_database(cursor: &mut Cursor<'_>) -> Result<Option<String>, QueryError> {
    match cursor.take(&["in", "database"]) {
        true => Ok(Some(cursor.name()?)),
        false => Ok(None),
    }
}

/// `SET name TO value`, `RESET name`, `RESET ALL`.
pub(super) fn parse_setting(cursor: &mut Cursor<'_>, of: SettingOf) -> Result<Command, QueryError> {
    if cursor.take_word("reset") {
        let setting = match cursor.take_word("all") {
            true => None,
            false => Some(setting_name(cursor)?),
        };
        let value = None;
        return Ok(Command::Role(RoleCommand::Set { of, setting, value }));
    }
    cursor.expect(&["set"])?;
    let (setting, value) = parse_value(cursor)?;
    let setting = Some(setting);
    Ok(Command::Role(RoleCommand::Set { of, setting, value }))
}

/// After DROP.
pub(super) fn parse_drop(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.next();
    let if_exists = cursor.take(&["if", "exists"]);
    let names = role_names(cursor)?;
    Ok(Command::Role(RoleCommand::Drop { if_exists, names }))
}

/// DROP OWNED BY.
pub(super) fn parse_drop_owned(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["owned", "by"])?;
    let of = role_names(cursor)?;
    cursor.take_any(&["cascade", "restrict"]);
    Ok(Command::Role(RoleCommand::DropOwned { of }))
}

/// REASSIGN OWNED BY … TO ….
pub(super) fn parse_reassign(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["reassign", "owned", "by"])?;
    let from = role_names(cursor)?;
    cursor.expect(&["to"])?;
    let to = role_name(cursor)?;
    Ok(Command::Role(RoleCommand::ReassignOwned { from, to }))
}

/// After `ALTER TABLE t` or `ALTER DATABASE d`: OWNER TO role.
pub(super) fn parse_owner(cursor: &mut Cursor<'_>, of: Owned) -> Result<Command, QueryError> {
    cursor.expect(&["owner", "to"])?;
    let to = role_name(cursor)?;
    Ok(Command::Role(RoleCommand::Owner { of, to }))
}

fn parse_options(cursor: &mut Cursor<'_>, creating: bool) -> Result<Vec<RoleOption>, QueryError> {
    let mut options: Vec<RoleOption> = Vec::new();
    while !cursor.at_end() {
        let byte = cursor.byte();
        let option = parse_option(cursor, creating)?;
        let same = |other: &RoleOption| std::mem::discriminant(other) == std::mem::discriminant(&option);
        if options.iter().any(same) && !matches!(option, RoleOption::Members { .. }) {
            return Err(cursor.error_at(byte, ErrorKind::SyntaxError, "conflicting or redundant options"));
        }
        options.push(option);
    }
    Ok(options)
}

fn parse_option(cursor: &mut Cursor<'_>, creating: bool) -> Result<RoleOption, QueryError> {
    let byte = cursor.byte();
    let word = match cursor.peek().kind {
        TokenKind::Word => cursor.next().value.into_owned(),
        _ => return Err(cursor.error()),
    };
    Ok(match word.as_str() {
        "superuser" => RoleOption::Superuser(true),
        "nosuperuser" => RoleOption::Superuser(false),
        "createdb" => RoleOption::CreateDatabase(true),
        "nocreatedb" => RoleOption::CreateDatabase(false),
        "createrole" => RoleOption::CreateRole(true),
        "nocreaterole" => RoleOption::CreateRole(false),
        "inherit" => RoleOption::Inherit(true),
        "noinherit" => RoleOption::Inherit(false),
        "login" => RoleOption::Login(true),
        "nologin" => RoleOption::Login(false),
        "replication" => RoleOption::Replication(true),
        "noreplication" => RoleOption::Replication(false),
        "bypassrls" => RoleOption::BypassRls(true),
        "nobypassrls" => RoleOption::BypassRls(false),
        "connection" => {
            cursor.expect(&["limit"])?;
            let negative = cursor.take_symbol("-");
            let limit: i32 = cursor.integer()?;
            let limit = if negative { -limit } else { limit };
            if limit < -1 {
                let message = format!("invalid connection limit: {limit}");
                return Err(cursor.error_at(byte, ErrorKind::InvalidParameterValue, message));
            }
            RoleOption::ConnectionLimit(limit)
        }
        "encrypted" | "password" => {
            if word == "encrypted" {
                cursor.expect(&["password"])?;
            }
            match cursor.take_word("null") {
                true => RoleOption::Password(None),
                false => RoleOption::Password(Some(Secret(cursor.string()?))),
            }
        }
        "valid" => {
            cursor.expect(&["until"])?;
            RoleOption::ValidUntil(cursor.string()?)
        }
        "in" if creating => {
            if cursor.take_any(&["role", "group"]).is_none() {
                return Err(cursor.error());
            }
            RoleOption::InRole(role_names(cursor)?)
        }
        "role" | "user" | "admin" if creating => RoleOption::Members {
            names: role_names(cursor)?,
            admin: word == "admin",
        },
        "unencrypted" => {
            let message = "UNENCRYPTED PASSWORD is no longer supported";
            let error = cursor.error_at(byte, ErrorKind::FeatureNotSupported, message);
            return Err(error.with_hint("Remove UNENCRYPTED to store the password in encrypted form instead."));
        }
        _ => {
            let message = format!("unrecognized role option \"{word}\"");
            return Err(cursor.error_at(byte, ErrorKind::SyntaxError, message));
        }
    })
}

/// The name of a role that is to be.
fn new_name(cursor: &mut Cursor<'_>) -> Result<String, QueryError> {
    let byte = cursor.byte();
    let quoted = cursor.peek().kind == TokenKind::QuotedName;
    let name = cursor.name()?;
    let reserved = |message: String| cursor.error_at(byte, ErrorKind::ReservedName, message);
    match name.as_str() {
        "public" | "none" => Err(reserved(format!("role name \"{name}\" is reserved"))),
        "current_user" | "current_role" | "session_user" if !quoted => {
            let message = format!("{} cannot be used as a role name here", name.to_ascii_uppercase());
            Err(reserved(message))
        }
        _ if name.starts_with("pg_") => {
            let error = reserved(format!("role name \"{name}\" is reserved"));
            Err(error.with_detail("Role names starting with \"pg_\" are reserved."))
        }
        _ => Ok(name),
    }
}

pub(super) fn role_name(cursor: &mut Cursor<'_>) -> Result<RoleName, QueryError> {
    let quoted = cursor.peek().kind == TokenKind::QuotedName;
    // GRANT … TO GROUP g, as of old.
    if !quoted && cursor.at_word("group") && matches!(cursor.peek_second().kind, TokenKind::Word) {
        cursor.next();
    }
    let name = cursor.name()?;
    Ok(match name.as_str() {
        "current_user" | "current_role" if !quoted => RoleName::CurrentUser,
        "session_user" if !quoted => RoleName::SessionUser,
        "public" if !quoted => RoleName::Public,
        _ => RoleName::Named(name),
    })
}

pub(super) fn role_names(cursor: &mut Cursor<'_>) -> Result<Vec<RoleName>, QueryError> {
    let mut names = vec![role_name(cursor)?];
    while cursor.take_symbol(",") {
        names.push(role_name(cursor)?);
    }
    Ok(names)
}
