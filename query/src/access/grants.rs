//! GRANT and REVOKE of privileges on tables and their columns, databases and schema `public`.
//!
//! A superuser grants as the owner, as in PostgreSQL; anybody else as the owner it is, or with what it was given WITH GRANT OPTION.

use std::sync::Arc;

use taospg_catalog::roles::PUBLIC;
use taospg_catalog::{Access, Database, Grant, Privileges, Roles, RolesDraft, View};

use super::roles::{EVERYTHING, access_of, find_role, grantee};
use super::{Identity, Thing, denied};
use crate::ddl::{Found, database_named, database_of, find, view_thing};
use crate::statement::{ColumnPrivileges, Grants, Things};
use crate::{ErrorKind, QueryError, Session};

/// Things of a statement, looked up.
enum Looked {
    Table(Found, String),
    View(Arc<View>),
    Database(Arc<Database>),
    Schema(Arc<Database>),
}

impl Looked {
    fn thing(&self) -> Thing<'_> {
        match self {
            Looked::Table(found, name) => found.thing(name),
            Looked::View(view) => view_thing(view),
            Looked::Database(database) => Thing::Database(database),
            Looked::Schema(database) => Thing::Schema(database),
        }
    }

    /// What PostgreSQL calls the kind of thing.
    fn kind(&self) -> &'static str {
        match self {
            Looked::Table(..) | Looked::View(_) => "table",
            Looked::Database(_) => "database",
            Looked::Schema(_) => "schema",
        }
    }

    /// The OID under which its grants stand.
    fn granted_as(&self) -> u32 {
        match self.thing() {
            Thing::Table { child: Some(child), .. } => child,
            thing => thing.owned_as(),
        }
    }
}

pub(super) fn execute(session: &mut Session, grants: &Grants) -> Result<(), QueryError> {
    let things = look_up(session, &grants.things)?;
    for thing in &things {
        check_kind(thing, grants.privileges)?;
    }
    let identity = session.identity().clone();
    if let Some(grantor) = &grants.granted_by
        && find_role(&identity, &identity.roles, grantor)?.oid != identity.actor.current
    {
        let message = "grantor must be current user";
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
    }
    let mut warnings = Vec::new();
    session.engine().clone().catalog().change_roles(|draft| {
        for looked in &things {
            if grants.privileges != Some(Privileges::NONE) {
                warnings.extend(change_one(draft, &identity, looked, grants)?);
            }
            for of_columns in &grants.columns {
                warnings.extend(change_columns(draft, &identity, looked, grants, of_columns)?);
            }
        }
        Ok::<_, QueryError>(())
    })?;
    for (sqlstate, warning) in warnings {
        session.warn(sqlstate, warning);
    }
    Ok(())
}

fn look_up(session: &Session, things: &Things) -> Result<Vec<Looked>, QueryError> {
    Ok(match things {
        Things::Tables(names) => {
            let mut found = Vec::with_capacity(names.len());
            for name in names {
                let database = database_of(session, name)?;
                found.push(match session.engine().catalog().view(database.oid, &name.name) {
                    Some(view) => Looked::View(view),
                    None => Looked::Table(find(session, name)?, name.name.clone()),
                });
            }
            found
        }
        Things::AllTables => {
            let database = session.database()?;
            let tables = session.engine().catalog().tables(database.oid);
            let found = |table: Arc<taospg_catalog::Table>| {
                let name = table.name.clone();
                let found = Found {
                    database: database.clone(),
                    relation: taospg_catalog::Relation::Table(table),
                };
                Looked::Table(found, name)
            };
            let views = session.engine().catalog().views(database.oid);
            tables
                .into_iter()
                .map(found)
                .chain(views.into_iter().map(Looked::View))
                .collect()
        }
        Things::Databases(names) => {
            let mut found = Vec::with_capacity(names.len());
            for name in names {
                found.push(Looked::Database(database_named(session, Some(name))?));
            }
            found
        }
        Things::Schema => vec![Looked::Schema(session.database()?)],
    })
}

/// Refuses a privilege that this kind of thing does not know.
fn check_kind(looked: &Looked, wanted: Option<Privileges>) -> Result<(), QueryError> {
    let strange = wanted.map_or(Privileges::NONE, |wanted| wanted.without(looked.thing().all()));
    let mut list = Privileges::LIST.iter();
    match list.find(|(privilege, ..)| strange.contains(*privilege)) {
        None => Ok(()),
        Some((_, word, _)) => Err(QueryError::new(
            ErrorKind::InvalidGrantOperation,
            format!("invalid privilege type {word} for {}", looked.kind()),
        )),
    }
}

/// Changes the grants on one thing. Answers with a warning when not all of it was the grantor's to give.
fn change_one(
    draft: &mut RolesDraft,
    identity: &Identity,
    looked: &Looked,
    grants: &Grants,
) -> Result<Option<(&'static str, String)>, QueryError> {
    let thing = looked.thing();
    let owner = draft.roles().owner_of(thing.owned_as());
    let mut access = access_of(draft.roles(), looked.granted_as());
    if let Thing::Table {
        table, child: Some(_), ..
    } = thing
    {
        access.owner = owner;
        access.supertable = Some(table);
    }
    let mut list = list_of(&access, &thing, owner);
    let (grantor, may_give) = grantor(identity, &list, owner);
    let wanted = grants.privileges.unwrap_or(thing.all());
    let given = wanted.and(may_give);
    if given.is_empty() && !wanted.is_empty() {
        if identity.privileges(&thing).is_empty() {
            return Err(denied(&thing));
        }
        let words = if grants.grant {
            "granted for"
        } else {
            "could be revoked for"
        };
        let sqlstate = if grants.grant { "01007" } else { "01006" };
        return Ok(Some((
            sqlstate,
            format!("no privileges were {words} \"{}\"", name_of(&thing)),
        )));
    }
    apply(draft.roles(), identity, grants, &mut list, grantor, given)?;
    merge(&mut list);
    match thing {
        Thing::Schema(_) => access.schema_grants = Some(list),
        _ => access.grants = Some(list),
    }
    if !grants.grant {
        // What is taken from the whole table is taken from its columns.
        for mut column in std::mem::take(&mut access.columns) {
            apply(draft.roles(), identity, grants, &mut column.grants, grantor, given)?;
            merge(&mut column.grants);
            access.set_column(column.attnum, column.grants);
        }
    }
    draft.put_access(access);
    if given != wanted && grants.privileges.is_some() {
        let words = if grants.grant {
            "granted for"
        } else {
            "could be revoked for"
        };
        let sqlstate = if grants.grant { "01007" } else { "01006" };
        return Ok(Some((
            sqlstate,
            format!("not all privileges were {words} \"{}\"", name_of(&thing)),
        )));
    }
    Ok(None)
}

/// Gives the privileges to all roles of the statement, or takes them back.
pub(super) fn apply(
    roles: &Roles,
    identity: &Identity,
    grants: &Grants,
    list: &mut Vec<Grant>,
    grantor: u32,
    given: Privileges,
) -> Result<(), QueryError> {
    for role in &grants.roles {
        let role = grantee(identity, roles, role)?;
        match grants.grant {
            true => {
                if role == PUBLIC && grants.grant_option {
                    let message = "grant options can only be granted to roles";
                    return Err(QueryError::new(ErrorKind::InvalidGrantOperation, message));
                }
                let grantable = if grants.grant_option { given } else { Privileges::NONE };
                give(list, role, grantor, given, grantable);
            }
            false => take(list, role, grantor, given, grants)?,
        }
    }
    Ok(())
}

/// Changes the grants on single columns. Answers with warnings for those of which nothing was the grantor's to give.
fn change_columns(
    draft: &mut RolesDraft,
    identity: &Identity,
    looked: &Looked,
    grants: &Grants,
    of_columns: &ColumnPrivileges,
) -> Result<Vec<(&'static str, String)>, QueryError> {
    let Looked::Table(found, name) = looked else {
        let message = "a privilege on columns of a view is not supported";
        let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
        return Err(error.with_hint("make a view of those columns and grant on it"));
    };
    let thing = looked.thing();
    let owner = draft.roles().owner_of(thing.owned_as());
    let mut access = access_of(draft.roles(), looked.granted_as());
    if let Thing::Table {
        table, child: Some(_), ..
    } = thing
    {
        access.owner = owner;
        access.supertable = Some(table);
    }
    let mut warnings = Vec::new();
    for (column, place) in &of_columns.columns {
        let attnum = attnum_of(found, column).ok_or_else(|| {
            let message = format!("column \"{column}\" of relation \"{name}\" does not exist");
            QueryError::new(ErrorKind::UndefinedColumn, message).with_position(*place)
        })?;
        let mut list = access.of_column(attnum).to_vec();
        let given_to_it: Vec<Grant> = list_of(&access, &thing, owner)
            .into_iter()
            .chain(list.iter().copied())
            .collect();
        let (grantor, may_give) = grantor(identity, &given_to_it, owner);
        let given = of_columns.privileges.and(may_give);
        if given.is_empty() {
            if identity.privileges_on_column(&thing, attnum).is_empty() {
                return Err(denied(&thing));
            }
            let (sqlstate, words) = match grants.grant {
                true => ("01007", "granted"),
                false => ("01006", "could be revoked"),
            };
            let warning = format!("no privileges were {words} for column \"{column}\" of relation \"{name}\"");
            warnings.push((sqlstate, warning));
            continue;
        }
        apply(draft.roles(), identity, grants, &mut list, grantor, given)?;
        merge(&mut list);
        access.set_column(attnum, list);
    }
    draft.put_access(access);
    Ok(warnings)
}

fn attnum_of(found: &Found, name: &str) -> Option<u16> {
    let table = found.table();
    let mut all = table.columns.iter().chain(&table.tags);
    let column = all.find(|column| column.name == name && !column.is_hidden())?;
    Some(column.attnum)
}

fn name_of(thing: &Thing<'_>) -> String {
    match thing {
        Thing::Table { name, .. } | Thing::View { name, .. } => (*name).to_string(),
        Thing::Database(database) => database.name.clone(),
        Thing::Schema(_) => "public".into(),
    }
}

/// The grants on a thing, those from the start included. A child table begins with none: it inherits its supertable's.
pub(crate) fn list_of(access: &Access, thing: &Thing<'_>, owner: u32) -> Vec<Grant> {
    let said = match thing {
        Thing::Schema(_) => &access.schema_grants,
        _ => &access.grants,
    };
    match (said, thing) {
        (Some(said), _) => said.clone(),
        (None, Thing::Table { child: Some(_), .. }) => Vec::new(),
        (None, thing) => {
            let start = thing.from_the_start(owner);
            start.into_iter().filter(|grant| !grant.privileges.is_empty()).collect()
        }
    }
}

/// As whom it grants, and what it may give.
fn grantor(identity: &Identity, list: &[Grant], owner: u32) -> (u32, Privileges) {
    if identity.has_role(owner) {
        return (owner, EVERYTHING);
    }
    let mine = list.iter().filter(|grant| identity.held.contains(&grant.grantee));
    let best = mine.max_by_key(|grant| grant.grantable.0.count_ones());
    best.map_or((identity.actor.current, Privileges::NONE), |grant| {
        (grant.grantee, grant.grantable)
    })
}

fn give(list: &mut Vec<Grant>, grantee: u32, grantor: u32, privileges: Privileges, grantable: Privileges) {
    let mut same = list.iter_mut();
    match same.find(|grant| grant.grantee == grantee && grant.grantor == grantor) {
        Some(grant) => {
            grant.privileges = grant.privileges.with(privileges);
            grant.grantable = grant.grantable.with(grantable);
        }
        None => list.push(Grant {
            grantee,
            grantor,
            privileges,
            grantable,
        }),
    }
}

/// Takes privileges back, or only the right to give them on; what was given on because of that right goes with CASCADE.
fn take(
    list: &mut Vec<Grant>,
    grantee: u32,
    grantor: u32,
    privileges: Privileges,
    grants: &Grants,
) -> Result<(), QueryError> {
    let mut lost = Privileges::NONE;
    for grant in list.iter_mut() {
        if grant.grantee == grantee && grant.grantor == grantor {
            lost = lost.with(grant.grantable.and(privileges));
            grant.grantable = grant.grantable.without(privileges);
            if !grants.grant_option {
                grant.privileges = grant.privileges.without(privileges);
            }
        }
    }
    let still = list.iter().filter(|grant| grant.grantee == grantee);
    lost = still.fold(lost, |lost, grant| lost.without(grant.grantable));
    let depending = |grant: &&Grant| grant.grantor == grantee && !grant.privileges.and(lost).is_empty();
    let onwards: Vec<Grant> = list.iter().filter(depending).copied().collect();
    if !onwards.is_empty() && grantee != grantor {
        if !grants.cascade {
            let error = QueryError::new(ErrorKind::DependentObjectsExist, "dependent privileges exist");
            return Err(error.with_hint("Use CASCADE to revoke them too."));
        }
        let all = Grants {
            grant: false,
            privileges: None,
            columns: Vec::new(),
            things: Things::AllTables,
            roles: Vec::new(),
            grant_option: false,
            granted_by: None,
            cascade: true,
        };
        for grant in onwards {
            take(list, grant.grantee, grantee, lost, &all)?;
        }
    }
    Ok(())
}

/// One entry for each pair of grantee and grantor, and none that says nothing.
pub(super) fn merge(list: &mut Vec<Grant>) {
    let mut merged: Vec<Grant> = Vec::with_capacity(list.len());
    for grant in list.drain(..).filter(|grant| !grant.privileges.is_empty()) {
        give(
            &mut merged,
            grant.grantee,
            grant.grantor,
            grant.privileges,
            grant.grantable,
        );
    }
    *list = merged;
}

/// Grants as `relacl` shows them: `ada=ar*/postgres`; nothing for a thing that nobody has said anything about.
pub(crate) fn acl(roles: &Roles, grants: &[Grant]) -> Vec<String> {
    let name = |oid: u32| match oid {
        PUBLIC => String::new(),
        oid => crate::show::quoted_name(&roles.name_of(oid)),
    };
    grants
        .iter()
        .map(|grant| {
            let mut letters = String::new();
            for (privilege, _, letter) in Privileges::LIST {
                if grant.privileges.contains(privilege) {
                    letters.push(letter);
                    if grant.grantable.contains(privilege) {
                        letters.push('*');
                    }
                }
            }
            format!("{}={letters}/{}", name(grant.grantee), name(grant.grantor))
        })
        .collect()
}
