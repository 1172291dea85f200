//! Roles and memberships: CREATE, ALTER and DROP ROLE, GRANT of a role, who owns what, SET ROLE.
//!
//! Rules and messages are PostgreSQL 15's: CREATEROLE manages every role that is no superuser.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast;
use taospg_catalog::roles::{FIRST_ROLE, PUBLIC};
use taospg_catalog::{Access, Grant, Membership, Privileges, Role, Roles, RolesDraft};

use super::{Actor, Identity, Thing, refused, verifier};
use crate::ddl::{database_of, find, view_thing};
use crate::statement::{Owned, RoleCommand, RoleName, RoleOption};
use crate::{ErrorKind, QueryError, Session};

/// Executes a statement about roles or rights; answers with the command tag.
pub(crate) async fn execute(session: &mut Session, command: &RoleCommand) -> Result<String, QueryError> {
    match command {
        RoleCommand::Create { name, options } => create(session, name, options).await?,
        RoleCommand::Alter { name, options } => alter(session, name, options).await?,
        RoleCommand::Rename { from, to } => rename(session, from, to)?,
        RoleCommand::Set { of, setting, value } => {
            super::settings::set(session, of, setting.as_deref(), value.as_deref())?;
        }
        RoleCommand::Defaults(defaults) => super::defaults::execute(session, defaults)?,
        RoleCommand::Drop { if_exists, names } => drop(session, *if_exists, names)?,
        RoleCommand::Membership {
            grant,
            groups,
            members,
            admin,
            granted_by,
            ..
        } => membership(session, *grant, groups, members, *admin, granted_by.as_ref())?,
        RoleCommand::Grants(grants) => super::grants::execute(session, grants)?,
        RoleCommand::Owner { of, to } => set_owner(session, of, to)?,
        RoleCommand::ReassignOwned { from, to } => reassign(session, from, to)?,
        RoleCommand::DropOwned { of } => drop_owned(session, of)?,
    }
    Ok(command.tag().into())
}

pub(super) fn missing(name: &str) -> QueryError {
    QueryError::new(ErrorKind::UndefinedObject, format!("role \"{name}\" does not exist"))
}

/// The role that a name means; PUBLIC is none.
pub(super) fn find_role(identity: &Identity, roles: &Roles, name: &RoleName) -> Result<Role, QueryError> {
    let by_oid = |oid: u32| {
        roles
            .role(oid)
            .map(|role| (**role).clone())
            .ok_or_else(|| missing(&oid.to_string()))
    };
    match name {
        RoleName::Named(name) => roles
            .named(name)
            .map(|role| (**role).clone())
            .ok_or_else(|| missing(name)),
        RoleName::CurrentUser => by_oid(identity.actor.current),
        RoleName::SessionUser => by_oid(identity.actor.session),
        RoleName::Public => Err(missing("public")),
    }
}

/// The OID of a grantee, [`PUBLIC`] for everybody.
pub(super) fn grantee(identity: &Identity, roles: &Roles, name: &RoleName) -> Result<u32, QueryError> {
    match name {
        RoleName::Public => Ok(PUBLIC),
        name => Ok(find_role(identity, roles, name)?.oid),
    }
}

/// Whether it may manage roles that are no superusers.
fn manages_roles(identity: &Identity) -> bool {
    let role = identity.roles.role(identity.actor.current);
    identity.superuser || role.is_some_and(|role| role.create_role)
}

/// Options with their values looked up, before the catalog's writer is taken.
async fn settle(session: &mut Session, role: &mut Role, options: &[RoleOption]) -> Result<(), QueryError> {
    for option in options {
        match option {
            RoleOption::Superuser(on) => role.superuser = *on,
            RoleOption::CreateDatabase(on) => role.create_database = *on,
            RoleOption::CreateRole(on) => role.create_role = *on,
            RoleOption::Inherit(on) => role.inherit = *on,
            RoleOption::Login(on) => role.login = *on,
            RoleOption::Replication(on) => role.replication = *on,
            RoleOption::BypassRls(on) => role.bypass_rls = *on,
            RoleOption::ConnectionLimit(limit) => role.connection_limit = *limit,
            RoleOption::Password(None) => role.verifier = None,
            RoleOption::Password(Some(password)) if password.0.is_empty() => {
                session.tell("00000", "empty string is not a valid password, clearing password");
                role.verifier = None;
            }
            RoleOption::Password(Some(password)) => role.verifier = Some(verifier::of_password(&password.0)?),
            RoleOption::ValidUntil(text) => role.valid_until_us = instant(session, text).await?,
            RoleOption::InRole(_) | RoleOption::Members { .. } => {}
        }
    }
    Ok(())
}

/// Microseconds since 1970; `infinity` is never.
async fn instant(session: &Session, text: &str) -> Result<Option<i64>, QueryError> {
    if text.trim().eq_ignore_ascii_case("infinity") {
        return Ok(None);
    }
    let literal = ast::Expr::Value(ast::Value::SingleQuotedString(text.to_string()).into());
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    match crate::plan::constant(session, &literal, &instant).await? {
        ScalarValue::TimestampMicrosecond(value, _) => Ok(value),
        other => Err(QueryError::new(
            ErrorKind::InternalError,
            format!("a time became {other}"),
        )),
    }
}

async fn create(session: &mut Session, name: &str, options: &[RoleOption]) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let mut role = Role::new(name);
    // LOGIN stands first for CREATE USER, and what is said later wins.
    settle(session, &mut role, options).await?;
    for (wanted, who) in [
        (role.superuser, "superusers"),
        (role.replication, "replication users"),
        (role.bypass_rls, "bypassrls users"),
    ] {
        if wanted && !identity.superuser {
            return Err(refused(format!("must be superuser to create {who}")));
        }
    }
    if !manages_roles(&identity) {
        return Err(refused("permission denied to create role"));
    }
    session.engine().clone().catalog().change_roles(|draft| {
        let oid = draft.create_role(role)?;
        for option in options {
            match option {
                RoleOption::InRole(groups) => {
                    for group in groups {
                        let group = find_role(&identity, draft.roles(), group)?;
                        join(draft, &identity, identity.actor.current, &group, oid, false)?;
                    }
                }
                RoleOption::Members { names, admin } => {
                    for member in names {
                        let member = find_role(&identity, draft.roles(), member)?.oid;
                        let group = find_role(&identity, draft.roles(), &RoleName::Named(name.into()))?;
                        join(draft, &identity, identity.actor.current, &group, member, *admin)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    })
}

async fn alter(session: &mut Session, name: &RoleName, options: &[RoleOption]) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let before = find_role(&identity, &identity.roles, name)?;
    refuse_built_in(&before)?;
    let mut after = before.clone();
    settle(session, &mut after, options).await?;
    let own_password =
        before.oid == identity.actor.current && options.iter().all(|option| matches!(option, RoleOption::Password(_)));
    if before.superuser || after.superuser != before.superuser {
        let message = "must be superuser to alter superuser roles or change superuser attribute";
        session.must_be_superuser(message)?;
    } else if before.replication || after.replication != before.replication {
        let message = "must be superuser to alter replication roles or change replication attribute";
        session.must_be_superuser(message)?;
    } else if after.bypass_rls != before.bypass_rls {
        session.must_be_superuser("must be superuser to change bypassrls attribute")?;
    } else if !manages_roles(&identity) && !own_password {
        return Err(refused("permission denied"));
    }
    if before.oid == FIRST_ROLE && !after.superuser {
        let message = "the role of the first start must stay a superuser";
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
    }
    session.engine().catalog().change_roles(|draft| {
        // Memberships may have changed since it was looked up; what was asked for is applied to what is there now.
        let now = find_role(&identity, draft.roles(), &RoleName::Named(before.name.clone()))?;
        let after = Role {
            member_of: now.member_of,
            settings: now.settings,
            ..after
        };
        Ok(draft.put_role(after)?)
    })
}

fn refuse_built_in(role: &Role) -> Result<(), QueryError> {
    if role.is_built_in() {
        let error = QueryError::new(
            ErrorKind::ReservedName,
            format!("role name \"{}\" is reserved", role.name),
        );
        return Err(error.with_detail("Cannot alter reserved roles."));
    }
    Ok(())
}

/// Refuses who may not change a role as a whole.
pub(super) fn must_manage(session: &Session, role: &Role) -> Result<(), QueryError> {
    refuse_built_in(role)?;
    match (role.superuser, session.identity()) {
        (true, identity) if !identity.superuser => Err(refused("must be superuser to alter superusers")),
        (false, identity) if !manages_roles(identity) => Err(refused("permission denied")),
        _ => Ok(()),
    }
}

fn rename(session: &mut Session, from: &str, to: &str) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let role = find_role(&identity, &identity.roles, &RoleName::Named(from.into()))?;
    if role.oid == identity.actor.session {
        return Err(QueryError::new(
            ErrorKind::FeatureNotSupported,
            "session user cannot be renamed",
        ));
    }
    if role.oid == identity.actor.current {
        return Err(QueryError::new(
            ErrorKind::FeatureNotSupported,
            "current user cannot be renamed",
        ));
    }
    must_manage(session, &role)?;
    session.engine().catalog().change_roles(|draft| {
        let now = find_role(&identity, draft.roles(), &RoleName::Named(from.into()))?;
        Ok(draft.put_role(Role { name: to.into(), ..now })?)
    })
}

fn drop(session: &mut Session, if_exists: bool, names: &[RoleName]) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    if !manages_roles(&identity) {
        return Err(refused("permission denied to drop role"));
    }
    let mut gone = Vec::new();
    for name in names {
        let role = match find_role(&identity, &identity.roles, name) {
            Ok(role) => role,
            Err(error) if if_exists => {
                session.tell("00000", format!("{}, skipping", error.message));
                continue;
            }
            Err(error) => return Err(error),
        };
        let in_use = |message: &str| Err(QueryError::new(ErrorKind::ObjectInUse, message));
        if role.oid == identity.actor.current {
            return in_use("current user cannot be dropped");
        }
        if role.oid == identity.actor.session {
            return in_use("session user cannot be dropped");
        }
        if role.superuser && !identity.superuser {
            return Err(refused("must be superuser to drop superusers"));
        }
        if role.oid == FIRST_ROLE || role.is_built_in() {
            let message = format!(
                "cannot drop role {} because it is required by the database system",
                role.name
            );
            return Err(QueryError::new(ErrorKind::DependentObjectsExist, message));
        }
        gone.push(role);
    }
    let engine = session.engine().clone();
    engine.catalog().change_roles(|draft| {
        for role in &gone {
            let depending = draft.roles().depending_on(role.oid);
            if !depending.is_empty() {
                let message = format!(
                    "role \"{}\" cannot be dropped because some objects depend on it",
                    role.name
                );
                let lines = depending.iter().take(100);
                let lines = lines.map(|oid| dependency(session, draft.roles(), role.oid, *oid));
                let detail = lines.collect::<Vec<_>>().join("\n");
                let error = QueryError::new(ErrorKind::DependentObjectsExist, message).with_detail(detail);
                return Err(error.with_hint("REASSIGN OWNED BY and DROP OWNED BY let go of them"));
            }
            draft.drop_role(role.oid);
        }
        Ok(())
    })
}

/// `owner of table meters`, `privileges for database power`, as PostgreSQL lists what stands in the way.
fn dependency(session: &Session, roles: &Roles, role: u32, oid: u32) -> String {
    let catalog = session.engine().catalog();
    let thing = match (catalog.table_by_oid(oid), catalog.database_by_oid(oid)) {
        (Some(table), _) => format!("table {}", table.name),
        (None, Some(database)) => format!("database {}", database.name),
        (None, None) => match catalog.view_by_oid(oid) {
            Some(view) => format!("view {}", view.name),
            None => format!("table with OID {oid}"),
        },
    };
    let Some(access) = roles.access(oid).filter(|access| access.owner != role) else {
        return format!("owner of {thing}");
    };
    if access.defaults.iter().any(|defaults| defaults.role == role) {
        return format!(
            "owner of default privileges on new relations belonging to role {}",
            roles.name_of(role)
        );
    }
    let of_schema = access.schema_grants.iter().flatten();
    match { of_schema }.any(|grant| grant.grantee == role || grant.grantor == role) {
        true => "privileges for schema public".into(),
        false => format!("privileges for {thing}"),
    }
}

fn membership(
    session: &mut Session,
    grant: bool,
    groups: &[RoleName],
    members: &[RoleName],
    admin: bool,
    granted_by: Option<&RoleName>,
) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let grantor = match granted_by {
        None => identity.actor.current,
        Some(name) => find_role(&identity, &identity.roles, name)?.oid,
    };
    if grantor != identity.actor.current {
        session.must_be_superuser("must be superuser to set grantor")?;
    }
    let mut notices: Vec<(bool, String)> = Vec::new();
    session.engine().clone().catalog().change_roles(|draft| {
        for group in groups {
            let group = find_role(&identity, draft.roles(), group)?;
            for member in members {
                let member = find_role(&identity, draft.roles(), member)?;
                let changed = match grant {
                    true => join(draft, &identity, grantor, &group, member.oid, admin)?,
                    false => leave(draft, &identity, &group, member.oid, admin)?,
                };
                if !changed {
                    let words = if grant {
                        "is already a member"
                    } else {
                        "is not a member"
                    };
                    notices.push((
                        grant,
                        format!("role \"{}\" {words} of role \"{}\"", member.name, group.name),
                    ));
                }
            }
        }
        Ok::<_, QueryError>(())
    })?;
    for (grant, message) in notices {
        match grant {
            true => session.tell("00000", message),
            false => session.warn("01000", message),
        }
    }
    Ok(())
}

/// Refuses who may not say who is a member of a role.
fn must_admin(roles: &Roles, identity: &Identity, group: &Role) -> Result<(), QueryError> {
    if identity.superuser {
        return Ok(());
    }
    if group.superuser {
        return Err(refused("must be superuser to alter superusers"));
    }
    let admin = identity.held.iter().filter_map(|held| roles.role(*held)).any(|held| {
        let mut of = held.member_of.iter();
        of.any(|membership| membership.role == group.oid && membership.admin)
    });
    // The server's own groups see and write all data: CREATEROLE is not enough to give that away.
    match admin || (manages_roles(identity) && !group.is_built_in()) {
        true => Ok(()),
        false => Err(refused(format!("must have admin option on role \"{}\"", group.name))),
    }
}

/// False when it was a member already.
fn join(
    draft: &mut RolesDraft,
    identity: &Identity,
    grantor: u32,
    group: &Role,
    member: u32,
    admin: bool,
) -> Result<bool, QueryError> {
    must_admin(draft.roles(), identity, group)?;
    let Some(found) = draft.roles().role(member) else {
        return Err(missing(&member.to_string()));
    };
    let mut role = (**found).clone();
    refuse_built_in(&role)?;
    if draft.roles().memberships(group.oid, false).contains(&member) {
        let message = format!("role \"{}\" is a member of role \"{}\"", group.name, role.name);
        return Err(QueryError::new(ErrorKind::InvalidGrantOperation, message));
    }
    match role
        .member_of
        .iter_mut()
        .find(|membership| membership.role == group.oid)
    {
        Some(membership) if membership.admin || !admin => return Ok(false),
        Some(membership) => membership.admin = true,
        None => role.member_of.push(Membership {
            role: group.oid,
            grantor,
            admin,
        }),
    }
    draft.put_role(role)?;
    Ok(true)
}

/// False when it was no member.
fn leave(
    draft: &mut RolesDraft,
    identity: &Identity,
    group: &Role,
    member: u32,
    admin_only: bool,
) -> Result<bool, QueryError> {
    must_admin(draft.roles(), identity, group)?;
    let Some(found) = draft.roles().role(member) else {
        return Err(missing(&member.to_string()));
    };
    let mut role = (**found).clone();
    let Some(place) = role
        .member_of
        .iter()
        .position(|membership| membership.role == group.oid)
    else {
        return Ok(false);
    };
    match admin_only {
        true => role.member_of[place].admin = false,
        false => {
            role.member_of.remove(place);
        }
    }
    draft.put_role(role)?;
    Ok(true)
}

/// What is said about a thing, or the beginning of it.
pub(super) fn access_of(roles: &Roles, oid: u32) -> Access {
    roles
        .access(oid)
        .map_or_else(|| Access::new(oid, FIRST_ROLE), |access| (**access).clone())
}

fn set_owner(session: &mut Session, of: &Owned, to: &RoleName) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let to = find_role(&identity, &identity.roles, to)?;
    let catalog_database;
    let (table, view);
    let thing = match of {
        Owned::Database(name) => {
            catalog_database = crate::ddl::database_named(session, Some(name))?;
            Thing::Database(&catalog_database)
        }
        Owned::View(name) => {
            let database = database_of(session, name)?;
            let found = session.engine().catalog().view(database.oid, &name.name);
            view = found.ok_or_else(|| {
                let message = format!("relation \"{}\" does not exist", name.name);
                QueryError::new(ErrorKind::UndefinedTable, message).at_name(name)
            })?;
            view_thing(&view)
        }
        Owned::Table(name) => {
            table = find(session, name)?;
            if table.child().is_some() {
                let message = format!("\"{}\" is a table of supertable \"{}\"", name.name, table.table().name);
                let error = QueryError::new(ErrorKind::WrongObjectType, message).at_name(name);
                return Err(error.with_hint("it belongs to the owner of its supertable"));
            }
            table.thing(&name.name)
        }
    };
    session.must_own(&thing)?;
    if !identity.superuser
        && !identity
            .roles
            .memberships(identity.actor.current, false)
            .contains(&to.oid)
    {
        return Err(refused(format!("must be member of role \"{}\"", to.name)));
    }
    session.engine().catalog().change_roles(|draft| {
        let access = access_of(draft.roles(), thing.owned_as());
        draft.put_access(with_owner(access, to.oid));
        Ok(())
    })
}

/// What the old owner had and gave, the new one has and gave.
fn with_owner(mut access: Access, to: u32) -> Access {
    let from = std::mem::replace(&mut access.owner, to);
    for grants in access.grant_lists() {
        for grant in grants.iter_mut() {
            for role in [&mut grant.grantee, &mut grant.grantor] {
                if *role == from {
                    *role = to;
                }
            }
        }
        super::grants::merge(grants);
    }
    access
}

fn reassign(session: &mut Session, from: &[RoleName], to: &RoleName) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    session.engine().catalog().change_roles(|draft| {
        let to = find_role(&identity, draft.roles(), to)?;
        for name in from {
            let from = find_role(&identity, draft.roles(), name)?;
            for role in [&from, &to] {
                if !identity.has_role(role.oid) {
                    return Err(refused("permission denied to reassign objects"));
                }
            }
            for oid in draft.roles().depending_on(from.oid) {
                let access = access_of(draft.roles(), oid);
                if access.owner == from.oid {
                    draft.put_access(with_owner(access, to.oid));
                }
            }
        }
        Ok(())
    })
}

/// Takes back what was granted to and by roles. Tables of theirs stay in the way: dropping data takes a DROP TABLE.
fn drop_owned(session: &mut Session, of: &[RoleName]) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let engine = session.engine().clone();
    engine.catalog().change_roles(|draft| {
        for name in of {
            let role = find_role(&identity, draft.roles(), name)?;
            if !identity.has_role(role.oid) {
                return Err(refused("permission denied to drop objects"));
            }
            for oid in draft.roles().depending_on(role.oid) {
                let mut access = access_of(draft.roles(), oid);
                if access.owner == role.oid {
                    let message = format!(
                        "role \"{}\" is {}",
                        role.name,
                        dependency(session, draft.roles(), role.oid, oid)
                    );
                    let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
                    return Err(error.with_hint("DROP it by its name, or REASSIGN OWNED BY … TO another role"));
                }
                let others = |grant: &Grant| grant.grantee != role.oid && grant.grantor != role.oid;
                access.grant_lists().for_each(|grants| grants.retain(others));
                access.columns.retain(|column| !column.grants.is_empty());
                access.defaults.retain(|defaults| defaults.role != role.oid);
                for defaults in &mut access.defaults {
                    defaults.grants.retain(others);
                }
                draft.put_access(access);
            }
        }
        Ok(())
    })
}

impl Session {
    /// SET ROLE. `None`: back to the session's user.
    pub(crate) fn actor_with_role(&self, role: Option<&str>) -> Result<Actor, QueryError> {
        let session = self.identity().actor.session;
        let Some(name) = role else {
            return Ok(Actor {
                session,
                current: session,
            });
        };
        let roles = self.engine().catalog().roles();
        let role = named_by_value(&roles, name)?;
        let superuser = roles.role(session).is_some_and(|role| role.superuser);
        if !superuser && !roles.memberships(session, false).contains(&role) {
            return Err(refused(format!("permission denied to set role \"{name}\"")));
        }
        Ok(Actor { session, current: role })
    }

    /// SET SESSION AUTHORIZATION. `None`: back to who logged in.
    pub(crate) fn actor_of_session(&self, user: Option<&str>) -> Result<Actor, QueryError> {
        let logged_in = self.logged_in();
        let roles = self.engine().catalog().roles();
        let role = match user {
            None => logged_in,
            Some(name) => named_by_value(&roles, name)?,
        };
        let superuser = roles.role(logged_in).is_some_and(|role| role.superuser);
        if role != logged_in && !superuser {
            return Err(refused("permission denied to set session authorization"));
        }
        Ok(Actor {
            session: role,
            current: role,
        })
    }
}

/// A role named as the value of a setting.
fn named_by_value(roles: &Roles, name: &str) -> Result<u32, QueryError> {
    let role = roles.named(name).map(|role| role.oid);
    role.ok_or_else(|| QueryError::new(ErrorKind::InvalidParameterValue, missing(name).message))
}

/// All bits there are, for a grantor that owns the thing.
pub(super) const EVERYTHING: Privileges = Privileges(u16::MAX);
