//! `has_…_privilege([role,] thing, privilege)`: what a role may do to a thing, told by name or by OID.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;
use taospg_catalog::{Database, Privileges, Role};

use super::cell::{Cell, Kind};
use super::functions::{SystemFunction, oid, or_null, text};
use super::roles::SECRET;
use super::session_functions::Shared;
use super::snapshot::{INFORMATION_SCHEMA_OID, Listed, PG_CATALOG_OID, PUBLIC_OID, Snapshot};
use crate::access::{Identity, Thing};
use crate::ddl::view_thing;
use crate::plan::errors::wrap;
use crate::{ErrorKind, QueryError};

/// One question: who is asked about, and the arguments without the role. The thing is the first of them, the list of privileges the last.
struct Question<'a> {
    snapshot: &'a Snapshot,
    identity: &'a Identity,
    values: &'a [ScalarValue],
}

type Answer = fn(&Question<'_>) -> Result<Cell>;

/// Name, arguments without the role, and the answer.
const FUNCTIONS: &[(&str, usize, Answer)] = &[
    ("has_table_privilege", 2, table_privilege),
    ("has_any_column_privilege", 2, any_column_privilege),
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

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// The function of that name.
pub(super) fn function(name: &str, shared: &Arc<Shared>) -> Option<ScalarUDF> {
    let (name, arguments, answer) = FUNCTIONS.iter().find(|(own, ..)| *own == name)?;
    let shared = shared.clone();
    let body = move |values: &[ScalarValue]| {
        let snapshot = shared.snapshot();
        let (role, values) = match values.len() > *arguments {
            true => (values.first(), values.get(1..).unwrap_or_default()),
            false => (None, values),
        };
        match snapshot.asked_about(role)? {
            Some(identity) => answer(&Question {
                snapshot: &snapshot,
                identity: &identity,
                values,
            }),
            None => Ok(Cell::Null),
        }
    };
    let counts = &[*arguments, arguments + 1];
    Some(SystemFunction::udf(name, counts, Kind::Bool, body))
}

/// What a thing that the catalog knows is, to a question.
enum Told<T> {
    It(T),
    /// By an OID that there is not: the answer is NULL.
    Nothing,
}

impl Question<'_> {
    /// The thing by name, or its OID as text.
    fn thing(&self) -> Option<String> {
        text(self.values, 0)
    }

    fn is_named(&self) -> bool {
        self.values.first().is_some_and(|value| value.try_as_str().is_some())
    }

    fn list(&self) -> Option<String> {
        text(self.values, self.values.len().checked_sub(1)?)
    }

    /// What was found, or why not: of a name that there is not an error.
    fn told<T>(&self, found: Option<T>, missing: impl FnOnce(&str) -> QueryError) -> Result<Told<T>> {
        match (found, self.is_named()) {
            (Some(found), _) => Ok(Told::It(found)),
            (None, true) => Err(wrap(missing(&self.thing().unwrap_or_default()))),
            (None, false) => Ok(Told::Nothing),
        }
    }

    /// Whether one of the privileges asked for is among these. `grantable`: those of them that it may give on.
    fn holds(&self, held: Privileges, grantable: impl Fn() -> Privileges) -> Result<Cell> {
        let Some(list) = self.list() else {
            return Ok(Cell::Null);
        };
        let has = |(privilege, on): &(Privileges, bool)| match on {
            false => held.contains(*privilege),
            true => grantable().contains(*privilege),
        };
        Ok(wanted(&list)?.iter().any(has).into())
    }

    fn on_thing(&self, thing: &Thing<'_>) -> Result<Cell> {
        self.holds(self.identity.privileges(thing), || self.identity.grantable(thing))
    }

    /// On a table, a view or a system table. `held`: what is asked of the first two.
    fn on_relation(&self, held: impl Fn(&Thing<'_>, &Relation<'_>) -> Result<Option<Privileges>>) -> Result<Cell> {
        let Some(name) = self.thing() else {
            return Ok(Cell::Null);
        };
        let snapshot = self.snapshot;
        let found = match self.is_named() {
            true => snapshot.oid_of_name(&name),
            false => oid(self.values, 0),
        };
        let own = |thing: Thing<'_>, relation: Relation<'_>| match held(&thing, &relation)? {
            Some(held) => self.holds(held, || self.identity.grantable(&thing)),
            None => Ok(Cell::Null),
        };
        if let Some(view) = snapshot.views.iter().find(|view| Some(view.oid) == found) {
            let names = view.columns.iter().map(|column| column.name.as_str());
            return own(
                view_thing(view),
                Relation {
                    name: &view.name,
                    columns: (1..).zip(names).collect(),
                },
            );
        }
        if let Some(listed) = found.and_then(|oid| snapshot.listed(oid)) {
            if listed.temporary.is_some() {
                // Nobody else sees it.
                return self.holds(Privileges::ALL_OF_TABLE, || Privileges::ALL_OF_TABLE);
            }
            let columns = listed.columns().into_iter();
            let columns = columns.map(|column| (column.attnum, column.name.as_str())).collect();
            return own(
                snapshot.thing(&listed),
                Relation {
                    name: &listed.name,
                    columns,
                },
            );
        }
        let system = found.and_then(super::tables::by_oid).map(|table| table.name);
        let missing = |name: &str| {
            let message = format!("relation \"{name}\" does not exist");
            QueryError::new(ErrorKind::UndefinedTable, message)
        };
        match self.told(system, missing)? {
            // Everybody reads the system tables, and nobody but a superuser does more.
            Told::It(name) => {
                let held = match self.identity.superuser {
                    true => Privileges::ALL_OF_TABLE,
                    false if SECRET.contains(&name) => Privileges::NONE,
                    false => Privileges::SELECT,
                };
                self.holds(held, || Privileges::NONE)
            }
            Told::Nothing => Ok(Cell::Null),
        }
    }
}

/// A table or view and its columns by attnum.
struct Relation<'a> {
    name: &'a str,
    columns: Vec<(u16, &'a str)>,
}

fn always(question: &Question<'_>) -> Result<Cell> {
    Ok(or_null(question.thing().map(|_| true)))
}

fn table_privilege(question: &Question<'_>) -> Result<Cell> {
    question.on_relation(|thing, _| Ok(Some(question.identity.privileges(thing))))
}

fn any_column_privilege(question: &Question<'_>) -> Result<Cell> {
    question.on_relation(|thing, _| Ok(Some(question.identity.privileges_on_any_column(thing))))
}

fn column_privilege(question: &Question<'_>) -> Result<Cell> {
    let Some(column) = text(question.values, 1) else {
        return Ok(Cell::Null);
    };
    let by_name = question.values[1].try_as_str().is_some();
    question.on_relation(|thing, relation| {
        let is_it = |(attnum, name): &&(u16, &str)| match by_name {
            true => *name == column,
            false => column.parse() == Ok(*attnum),
        };
        match relation.columns.iter().find(is_it) {
            Some((attnum, _)) => Ok(Some(question.identity.privileges_on_column(thing, *attnum))),
            None if by_name => Err(wrap(QueryError::new(
                ErrorKind::UndefinedColumn,
                format!("column \"{column}\" of relation \"{}\" does not exist", relation.name),
            ))),
            None => Ok(None),
        }
    })
}

fn database_privilege(question: &Question<'_>) -> Result<Cell> {
    let Some(name) = question.thing() else {
        return Ok(Cell::Null);
    };
    let is_it = |database: &&Arc<Database>| match question.is_named() {
        true => database.name == name,
        false => oid(question.values, 0) == Some(database.oid),
    };
    let found = question.snapshot.databases.iter().find(is_it);
    let missing = |name: &str| {
        let message = format!("database \"{name}\" does not exist");
        QueryError::new(ErrorKind::InvalidCatalogName, message)
    };
    match question.told(found, missing)? {
        Told::It(database) => question.on_thing(&Thing::Database(database)),
        Told::Nothing => Ok(Cell::Null),
    }
}

fn schema_privilege(question: &Question<'_>) -> Result<Cell> {
    let Some(name) = question.thing() else {
        return Ok(Cell::Null);
    };
    let is = |own: &str, own_oid: u32| match question.is_named() {
        true => name == own,
        false => oid(question.values, 0) == Some(own_oid),
    };
    let of_server = [
        ("pg_catalog", PG_CATALOG_OID),
        ("information_schema", INFORMATION_SCHEMA_OID),
    ];
    if of_server.iter().any(|(name, oid)| is(name, *oid)) {
        let held = match question.identity.superuser {
            true => Privileges::ALL_OF_SCHEMA,
            false => Privileges::USAGE,
        };
        return question.holds(held, || Privileges::NONE);
    }
    let missing = |name: &str| {
        let message = format!("schema \"{name}\" does not exist");
        QueryError::new(ErrorKind::InvalidSchemaName, message)
    };
    let public = is("public", PUBLIC_OID).then_some(Thing::Schema(&question.snapshot.session.database));
    match question.told(public, missing)? {
        Told::It(schema) => question.on_thing(&schema),
        Told::Nothing => Ok(Cell::Null),
    }
}

/// `pg_has_role([role,] role, 'MEMBER' | 'USAGE')`.
fn role_privilege(question: &Question<'_>) -> Result<Cell> {
    let identity = question.identity;
    let (Some(of), Some(list)) = (question.snapshot.asked_about(question.values.first())?, question.list()) else {
        return Ok(Cell::Null);
    };
    let of = of.actor.current;
    let member = || {
        let all = identity.roles.memberships(identity.actor.current, false);
        identity.superuser || all.contains(&of)
    };
    let admin = || {
        let held = identity.held.iter().filter_map(|held| identity.roles.role(*held));
        let mut memberships = held.flat_map(|role| &role.member_of);
        identity.superuser || memberships.any(|membership| membership.role == of && membership.admin)
    };
    let mut answer = false;
    for word in list.split(',') {
        let word = word.trim().to_ascii_uppercase();
        let (word, with) = word.split_once(" WITH ").unwrap_or((&word, ""));
        answer |= match (word, with) {
            ("USAGE", "") => identity.has_role(of),
            ("MEMBER", "") => member(),
            ("USAGE" | "MEMBER", "ADMIN OPTION" | "GRANT OPTION") => admin(),
            _ => return Err(unrecognized(word)),
        };
    }
    Ok(answer.into())
}

fn unrecognized(word: &str) -> datafusion::common::DataFusionError {
    let message = format!("unrecognized privilege type: \"{word}\"");
    wrap(QueryError::new(ErrorKind::InvalidParameterValue, message))
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
            None => return Err(unrecognized(word)),
        }
    }
    Ok(found)
}

impl Identity {
    /// What it may give on: all of what it owns.
    fn grantable(&self, thing: &Thing<'_>) -> Privileges {
        if self.has_role(self.roles.owner_of(thing.owned_as())) {
            return thing.all();
        }
        let of = |oid: u32| {
            let access = self.roles.access(oid);
            let grants = access.and_then(|access| match thing {
                Thing::Schema(_) => access.schema_grants.as_deref(),
                _ => access.grants.as_deref(),
            });
            let mine = grants.unwrap_or_default().iter();
            let mine = mine.filter(|grant| self.held.contains(&grant.grantee));
            mine.fold(Privileges::NONE, |all, grant| all.with(grant.grantable))
        };
        match thing {
            Thing::Table { child: Some(child), .. } => of(*child).with(of(thing.owned_as())),
            _ => of(thing.owned_as()),
        }
    }
}

impl Snapshot {
    /// A table of the connected database.
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
