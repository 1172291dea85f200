//! Rows and functions about roles, memberships and rights, from the catalog's roles as they are now.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;
use taospg_catalog::{Database, Grant, Privileges, Role};

use super::cell::{Cell, Kind};
use super::functions::{SystemFunction, oid, or_null, text};
use super::session_functions::Shared;
use super::snapshot::{Listed, Snapshot};
use crate::access::{Identity, Thing, grants, refused};
use crate::plan::errors::wrap;
use crate::{ErrorKind, QueryError};

/// Tables that show verifiers: their rows are for superusers.
pub(super) const SECRET: [&str; 2] = ["pg_authid", "pg_shadow"];

/// What stands for a password where it may not be seen.
const HIDDEN: &str = "********";

pub(super) const PG_ROLES: &[&str] = &[
    "rolname",
    "rolsuper",
    "rolinherit",
    "rolcreaterole",
    "rolcreatedb",
    "rolcanlogin",
    "rolreplication",
    "rolconnlimit",
    "rolpassword",
    "rolvaliduntil",
    "rolbypassrls",
    "rolconfig",
    "oid",
];

pub(super) fn roles(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |role: &Role| {
        vec![
            role.name.as_str().into(),
            role.superuser.into(),
            role.inherit.into(),
            role.create_role.into(),
            role.create_database.into(),
            role.login.into(),
            role.replication.into(),
            i64::from(role.connection_limit).into(),
            HIDDEN.into(),
            or_null(role.valid_until_us),
            role.bypass_rls.into(),
            config(role),
            role.oid.into(),
        ]
    };
    snapshot.identity.roles.all().map(|role| row(role)).collect()
}

pub(super) const PG_AUTHID: &[&str] = &[
    "oid",
    "rolname",
    "rolsuper",
    "rolinherit",
    "rolcreaterole",
    "rolcreatedb",
    "rolcanlogin",
    "rolreplication",
    "rolbypassrls",
    "rolconnlimit",
    "rolpassword",
    "rolvaliduntil",
];

pub(super) fn authids(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |role: &Role| {
        vec![
            role.oid.into(),
            role.name.as_str().into(),
            role.superuser.into(),
            role.inherit.into(),
            role.create_role.into(),
            role.create_database.into(),
            role.login.into(),
            role.replication.into(),
            role.bypass_rls.into(),
            i64::from(role.connection_limit).into(),
            verifier(role),
            or_null(role.valid_until_us),
        ]
    };
    snapshot.identity.roles.all().map(|role| row(role)).collect()
}

/// Settings of a role as `rolconfig` has them: `TimeZone=UTC`.
fn config(role: &Role) -> Cell {
    if role.settings.is_empty() {
        return Cell::Null;
    }
    let settings = role.settings.iter();
    Cell::Texts(settings.map(|(name, value)| format!("{name}={value}")).collect())
}

fn verifier(role: &Role) -> Cell {
    or_null(role.verifier.as_ref().map(|verifier| verifier.0.as_str()))
}

pub(super) const PG_USER: &[&str] = &[
    "usename",
    "usesysid",
    "usecreatedb",
    "usesuper",
    "userepl",
    "usebypassrls",
    "passwd",
    "valuntil",
    "useconfig",
];

pub(super) fn users(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    user_rows(snapshot, |_| HIDDEN.into())
}

/// pg_shadow: pg_user with the verifiers.
pub(super) fn shadows(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    user_rows(snapshot, verifier)
}

fn user_rows(snapshot: &Snapshot, password: fn(&Role) -> Cell) -> Vec<Vec<Cell>> {
    let row = |role: &Role| {
        vec![
            role.name.as_str().into(),
            role.oid.into(),
            role.create_database.into(),
            role.superuser.into(),
            role.replication.into(),
            role.bypass_rls.into(),
            password(role),
            or_null(role.valid_until_us),
            config(role),
        ]
    };
    let users = snapshot.identity.roles.all().filter(|role| role.login);
    users.map(|role| row(role)).collect()
}

pub(super) const PG_GROUP: &[&str] = &["groname", "grosysid", "grolist"];

pub(super) fn groups(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let all = || snapshot.identity.roles.all();
    let mut members: HashMap<u32, Vec<i64>> = HashMap::new();
    for role in all() {
        for membership in &role.member_of {
            members.entry(membership.role).or_default().push(role.oid.into());
        }
    }
    let row = |role: &Role| {
        let members = members.get(&role.oid).cloned().unwrap_or_default();
        vec![role.name.as_str().into(), role.oid.into(), Cell::Numbers(members)]
    };
    all().filter(|role| !role.login).map(|role| row(role)).collect()
}

pub(super) const PG_AUTH_MEMBERS: &[&str] = &["roleid", "member", "grantor", "admin_option"];

pub(super) fn members(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for role in snapshot.identity.roles.all() {
        for membership in &role.member_of {
            rows.push(vec![
                membership.role.into(),
                role.oid.into(),
                membership.grantor.into(),
                membership.admin.into(),
            ]);
        }
    }
    rows
}

impl Snapshot {
    /// `relowner`: a child table belongs to its supertable's owner.
    pub fn owner_of(&self, oid: u32) -> u32 {
        self.identity.roles.owner_of(oid)
    }

    pub fn relacl(&self, listed: &Listed) -> Cell {
        let granted_as = listed.oid;
        self.acl(granted_as, |access| access.grants.as_deref())
    }

    pub fn acl_of_view(&self, oid: u32) -> Cell {
        self.acl(oid, |access| access.grants.as_deref())
    }

    pub fn datacl(&self, database: &Database) -> Cell {
        self.acl(database.oid, |access| access.grants.as_deref())
    }

    /// Of schema `public` of the connected database. As in PostgreSQL its rights from the start are spelled out.
    pub fn nspacl(&self) -> Cell {
        let database = &self.session.database;
        let roles = &self.identity.roles;
        let owner = roles.owner_of(database.oid);
        let said = roles
            .access(database.oid)
            .and_then(|access| access.schema_grants.clone());
        let start = || {
            let mut start = Thing::Schema(database).from_the_start(owner).to_vec();
            start.reverse();
            start
        };
        Cell::Texts(grants::acl(roles, &said.unwrap_or_else(start)))
    }

    fn acl(&self, oid: u32, grants_of: fn(&taospg_catalog::Access) -> Option<&[Grant]>) -> Cell {
        let roles = &self.identity.roles;
        match roles.access(oid).and_then(|access| grants_of(access)) {
            Some(list) => Cell::Texts(grants::acl(roles, list)),
            None => Cell::Null,
        }
    }

    /// The connected database, a table of it, or nothing.
    fn thing<'a>(&'a self, listed: &'a Listed) -> Thing<'a> {
        Thing::Table {
            table: listed.table.oid,
            child: listed.is_child.then_some(listed.oid),
            database: self.session.database.oid,
            name: &listed.name,
        }
    }

    /// Who a privilege function asks about: the role given as name or OID, or who runs the query.
    fn asked_about(&self, value: Option<&ScalarValue>) -> Result<Option<Identity>> {
        let Some(value) = value else {
            return Ok(Some(self.identity.clone()));
        };
        let roles = &self.identity.roles;
        let Some(name) = text(std::slice::from_ref(value), 0) else {
            return Ok(None);
        };
        if value.try_as_str().is_none() {
            let role = name.parse().ok().and_then(|oid| roles.role(oid));
            return Ok(role.map(|role| self.identity.of_role(role)));
        }
        match (roles.named(&name), name.as_str()) {
            (Some(role), _) => Ok(Some(self.identity.of_role(role))),
            // What everybody may, a role with no rights of its own may.
            (None, "public") => Ok(Some(self.identity.of_role(&Role::new("public")))),
            (None, _) => Err(wrap(QueryError::new(
                ErrorKind::UndefinedObject,
                format!("role \"{name}\" does not exist"),
            ))),
        }
    }
}

/// `SELECT, INSERT WITH GRANT OPTION`: each with whether it is about giving it on.
fn wanted(text: &str) -> Result<Vec<(Privileges, bool)>> {
    let mut found = Vec::new();
    for word in text.split(',') {
        let word = word.trim().to_ascii_uppercase();
        let (word, grantable) = match word.strip_suffix(" WITH GRANT OPTION") {
            Some(word) => (word.trim(), true),
            None => (word.as_str(), false),
        };
        let word = if word == "TEMP" { "TEMPORARY" } else { word };
        match Privileges::LIST.iter().find(|(_, name, _)| *name == word) {
            Some((privilege, ..)) => found.push((*privilege, grantable)),
            None => {
                return Err(wrap(QueryError::new(
                    ErrorKind::InvalidParameterValue,
                    format!("unrecognized privilege type: \"{word}\""),
                )));
            }
        }
    }
    Ok(found)
}

/// Whether it has one of the privileges in the list.
fn holds(identity: &Identity, thing: &Thing<'_>, list: &str) -> Result<Cell> {
    let held = identity.privileges(thing);
    let owner = identity.has_role(identity.roles.owner_of(thing.owned_as()));
    let grantable = || {
        let roles = &identity.roles;
        let of = |oid: u32| {
            let access = roles.access(oid);
            let grants = access.and_then(|access| match thing {
                Thing::Schema(_) => access.schema_grants.as_deref(),
                _ => access.grants.as_deref(),
            });
            let mine = grants.unwrap_or_default().iter();
            let mine = mine.filter(|grant| identity.held.contains(&grant.grantee));
            mine.fold(Privileges::NONE, |all, grant| all.with(grant.grantable))
        };
        match thing {
            Thing::Table { child: Some(child), .. } => of(*child).with(of(thing.owned_as())),
            _ => of(thing.owned_as()),
        }
    };
    let has = |(privilege, on): &(Privileges, bool)| match on {
        false => held.contains(*privilege),
        true => owner || grantable().contains(*privilege),
    };
    Ok(wanted(list)?.iter().any(has).into())
}

type Ask = fn(&Snapshot, &Identity, &[ScalarValue]) -> Result<Cell>;

/// `has_…_privilege([role,] thing, privilege)` and their like: name, arguments without the role, and the answer.
const ASKS: &[(&str, usize, Ask)] = &[
    ("has_table_privilege", 2, table_privilege),
    ("has_any_column_privilege", 2, table_privilege),
    ("has_column_privilege", 3, column_privilege),
    ("has_database_privilege", 2, database_privilege),
    ("has_schema_privilege", 2, schema_privilege),
    ("pg_has_role", 2, role_privilege),
    // Everybody may use what the server brings.
    ("has_function_privilege", 2, always),
    ("has_language_privilege", 2, always),
    ("has_type_privilege", 2, always),
    ("has_tablespace_privilege", 2, always),
    ("has_sequence_privilege", 2, always),
];

fn always(_: &Snapshot, _: &Identity, values: &[ScalarValue]) -> Result<Cell> {
    Ok(or_null(text(values, 0).map(|_| true)))
}

fn table_privilege(snapshot: &Snapshot, identity: &Identity, values: &[ScalarValue]) -> Result<Cell> {
    privilege_on_table(snapshot, identity, values, 1)
}

fn column_privilege(snapshot: &Snapshot, identity: &Identity, values: &[ScalarValue]) -> Result<Cell> {
    privilege_on_table(snapshot, identity, values, 2)
}

fn privilege_on_table(snapshot: &Snapshot, identity: &Identity, values: &[ScalarValue], list: usize) -> Result<Cell> {
    let (Some(table), Some(list)) = (text(values, 0), text(values, list)) else {
        return Ok(Cell::Null);
    };
    let by_name = values.first().is_some_and(|value| value.try_as_str().is_some());
    let found = match by_name {
        true => snapshot.oid_of_name(&table),
        false => oid(values, 0),
    };
    if let Some(view) = snapshot.views.iter().find(|view| Some(view.oid) == found) {
        return holds(identity, &crate::ddl::view_thing(view), &list);
    }
    match found.and_then(|oid| snapshot.listed(oid)) {
        Some(listed) if listed.temporary.is_some() => Ok(true.into()),
        Some(listed) => holds(identity, &snapshot.thing(&listed), &list),
        None => match found.and_then(super::tables::by_oid).map(|table| table.name) {
            Some(name) => {
                let readable = !SECRET.contains(&name) || identity.superuser;
                let reads = wanted(&list)?
                    .iter()
                    .any(|(privilege, _)| *privilege == Privileges::SELECT);
                Ok((readable && (reads || identity.superuser)).into())
            }
            None if by_name => Err(wrap(QueryError::new(
                ErrorKind::UndefinedTable,
                format!("relation \"{table}\" does not exist"),
            ))),
            None => Ok(Cell::Null),
        },
    }
}

fn database_privilege(snapshot: &Snapshot, identity: &Identity, values: &[ScalarValue]) -> Result<Cell> {
    let (Some(name), Some(list)) = (text(values, 0), text(values, 1)) else {
        return Ok(Cell::Null);
    };
    let by_name = values.first().is_some_and(|value| value.try_as_str().is_some());
    let is_it = |database: &&Arc<Database>| match by_name {
        true => database.name == name,
        false => oid(values, 0) == Some(database.oid),
    };
    match snapshot.databases.iter().find(is_it) {
        Some(database) => holds(identity, &Thing::Database(database), &list),
        None if by_name => Err(wrap(QueryError::new(
            ErrorKind::InvalidCatalogName,
            format!("database \"{name}\" does not exist"),
        ))),
        None => Ok(Cell::Null),
    }
}

fn schema_privilege(snapshot: &Snapshot, identity: &Identity, values: &[ScalarValue]) -> Result<Cell> {
    let (Some(name), Some(list)) = (text(values, 0), text(values, 1)) else {
        return Ok(Cell::Null);
    };
    let of_system = [
        "pg_catalog".to_string(),
        "information_schema".to_string(),
        super::snapshot::PG_CATALOG_OID.to_string(),
        super::snapshot::INFORMATION_SCHEMA_OID.to_string(),
    ];
    if of_system.contains(&name) {
        let uses = wanted(&list)?
            .iter()
            .any(|(privilege, _)| *privilege == Privileges::USAGE);
        return Ok((uses || identity.superuser).into());
    }
    match name == "public" || name == super::snapshot::PUBLIC_OID.to_string() {
        true => holds(identity, &Thing::Schema(&snapshot.session.database), &list),
        false if name.parse::<u32>().is_ok() => Ok(Cell::Null),
        false => Err(wrap(QueryError::new(
            ErrorKind::InvalidSchemaName,
            format!("schema \"{name}\" does not exist"),
        ))),
    }
}

/// `pg_has_role([role,] role, 'MEMBER' | 'USAGE')`.
fn role_privilege(snapshot: &Snapshot, identity: &Identity, values: &[ScalarValue]) -> Result<Cell> {
    let (Some(of), Some(list)) = (snapshot.asked_about(values.first())?, text(values, 1)) else {
        return Ok(Cell::Null);
    };
    let of = of.actor.current;
    let member = || {
        let all = identity.roles.memberships(identity.actor.current, false);
        identity.superuser || all.contains(&of)
    };
    let mut answer = false;
    for word in list.split(',') {
        answer |= match word.trim().to_ascii_uppercase().as_str() {
            "USAGE" => identity.has_role(of),
            "MEMBER" => member(),
            "USAGE WITH ADMIN OPTION"
            | "MEMBER WITH ADMIN OPTION"
            | "USAGE WITH GRANT OPTION"
            | "MEMBER WITH GRANT OPTION" => {
                let held = identity.held.iter().filter_map(|held| identity.roles.role(*held));
                let mut memberships = held.flat_map(|role| &role.member_of);
                identity.superuser || memberships.any(|membership| membership.role == of && membership.admin)
            }
            other => {
                return Err(wrap(QueryError::new(
                    ErrorKind::InvalidParameterValue,
                    format!("unrecognized privilege type: \"{other}\""),
                )));
            }
        };
    }
    Ok(answer.into())
}

/// Functions about who asks: their names, and whether they tell of the session or of the role that it acts as.
const WHO: &[(&str, bool)] = &[
    ("current_user", false),
    ("current_role", false),
    ("user", false),
    ("session_user", true),
];

const OWNER_NAME: &str = "pg_get_userbyid";

pub(super) fn names() -> impl Iterator<Item = String> {
    let asks = ASKS.iter().map(|(name, ..)| *name);
    let who = WHO.iter().map(|(name, _)| *name);
    asks.chain(who).chain([OWNER_NAME]).map(str::to_owned)
}

/// A function about who asks and what roles may.
pub(super) fn function(name: &str, shared: &Arc<Shared>) -> Option<ScalarUDF> {
    let shared = shared.clone();
    if let Some((name, arguments, ask)) = ASKS.iter().find(|(own, ..)| *own == name) {
        let body = move |values: &[ScalarValue]| {
            let snapshot = shared.snapshot();
            let (role, rest) = match values.len() > *arguments {
                true => (values.first(), values.get(1..).unwrap_or_default()),
                false => (None, values),
            };
            match snapshot.asked_about(role)? {
                Some(identity) => ask(&snapshot, &identity, rest),
                None => Ok(Cell::Null),
            }
        };
        return Some(SystemFunction::udf(
            name,
            &[*arguments, arguments + 1],
            Kind::Bool,
            body,
        ));
    }
    if let Some((name, of_session)) = WHO.iter().find(|(own, _)| *own == name) {
        let body = move |_: &[ScalarValue]| {
            let snapshot = shared.snapshot();
            let Identity { actor, roles, .. } = &snapshot.identity;
            let oid = if *of_session { actor.session } else { actor.current };
            Ok(roles.name_of(oid).into())
        };
        return Some(SystemFunction::udf(name, &[0], Kind::Name, body));
    }
    (name == OWNER_NAME).then(|| {
        SystemFunction::udf(OWNER_NAME, &[1], Kind::Name, move |values| {
            let snapshot = shared.snapshot();
            Ok(or_null(oid(values, 0).map(|oid| snapshot.identity.roles.name_of(oid))))
        })
    })
}

/// Refuses a table of verifiers to who is no superuser.
pub(super) fn check_secret(name: &str, identity: &Identity) -> Result<()> {
    match SECRET.contains(&name) && !identity.superuser {
        true => Err(wrap(refused(format!("permission denied for table {name}")))),
        false => Ok(()),
    }
}
