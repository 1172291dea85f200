//! Rows about roles and memberships, the rights in `relacl` and its like, and functions about who asks.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;
use taospg_catalog::{Database, Grant, Role};

use super::cell::{Cell, Kind};
use super::functions::{SystemFunction, oid, or_null};
use super::privileges;
use super::session_functions::Shared;
use super::snapshot::{Listed, Snapshot};
use crate::access::{Identity, Thing, grants, refused};
use crate::plan::errors::wrap;

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
    let who = WHO.iter().map(|(name, _)| *name);
    privileges::names().chain(who).chain([OWNER_NAME]).map(str::to_owned)
}

/// A function about who asks and what roles may.
pub(super) fn function(name: &str, shared: &Arc<Shared>) -> Option<ScalarUDF> {
    let shared = shared.clone();
    if let Some(function) = privileges::function(name, &shared) {
        return Some(function);
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
