//! CREATE, ALTER, DROP DATABASE and USE.

use std::time::Duration;

use taospg_catalog::{Database, DatabaseOptions, Privileges};
use taospg_storage::VnodeId;

use super::database_named;
use crate::access::{Thing, refused};
use crate::statement::{AlterDatabase, CreateDatabase, DatabaseChange, DatabaseOption, show_span};
use crate::translate::vnode_options;
use crate::{Engine, ErrorKind, QueryError, Session};

pub(super) fn create(session: &mut Session, create: &CreateDatabase) -> Result<String, QueryError> {
    session.refuse_in_block("CREATE DATABASE")?;
    let engine = session.engine().clone();
    if create.if_not_exists && engine.catalog().database(&create.name).is_some() {
        session.tell(
            "42P04",
            format!("database \"{}\" already exists, skipping", create.name),
        );
        return Ok("CREATE DATABASE".into());
    }
    let identity = session.identity();
    if !identity.superuser && !session.current_role().is_some_and(|role| role.create_database) {
        return Err(refused("permission denied to create database"));
    }
    let mut owner = identity.actor.current;
    let mut options = engine.options().database_defaults.clone();
    for option in &create.options {
        option.apply(&mut options);
        if let DatabaseOption::Owner(name) = option {
            owner = owner_named(session, name)?;
        }
    }
    check(&options)?;
    tell_ignored(session, &create.options);
    engine.create_database(owner, &create.name, options)?;
    Ok("CREATE DATABASE".into())
}

pub(super) async fn alter(session: &mut Session, alter: &AlterDatabase) -> Result<String, QueryError> {
    let engine = session.engine().clone();
    let database = database_named(session, Some(&alter.name))?;
    session.must_own(&Thing::Database(&database))?;
    let changes = match &alter.change {
        DatabaseChange::Rename(to) => {
            if !session.identity().superuser && !session.current_role().is_some_and(|role| role.create_database) {
                return Err(refused("permission denied to rename database"));
            }
            engine.catalog().rename_database(&alter.name, to)?;
            return Ok("ALTER DATABASE".into());
        }
        DatabaseChange::Options(changes) => changes,
    };
    let mut options = database.options.clone();
    for change in changes {
        let before = options.clone();
        change.apply(&mut options);
        if let Some(name) = change.fixed().filter(|_| options != before) {
            let message = format!(
                "option \"{name}\" of database \"{}\" is fixed since it was made",
                alter.name
            );
            let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
            return Err(error.with_hint("make another database and INSERT INTO … SELECT"));
        }
    }
    check(&options)?;
    tell_ignored(session, changes);
    let database = engine.catalog().alter_database(&alter.name, options)?;
    for vnode in &database.vnodes {
        engine
            .storage()
            .alter_vnode(VnodeId(*vnode), vnode_options(&database.options))?;
    }
    engine.expire(&database).await?;
    Ok("ALTER DATABASE".into())
}

pub(super) async fn drop(
    session: &mut Session,
    if_exists: bool,
    name: &str,
    force: bool,
) -> Result<String, QueryError> {
    session.refuse_in_block("DROP DATABASE")?;
    let engine = session.engine().clone();
    let Some(database) = engine.catalog().database(name) else {
        if if_exists {
            session.tell("00000", format!("database \"{name}\" does not exist, skipping"));
            return Ok("DROP DATABASE".into());
        }
        let message = format!("database \"{name}\" does not exist");
        return Err(QueryError::new(ErrorKind::InvalidCatalogName, message));
    };
    session.must_own(&Thing::Database(&database))?;
    if session.database().is_ok_and(|current| current.oid == database.oid) {
        return Err(QueryError::new(
            ErrorKind::ObjectInUse,
            "cannot drop the currently open database",
        ));
    }
    let others = match force {
        true => 0,
        false => others_left(&engine, database.oid).await,
    };
    if others > 0 {
        let message = format!("database \"{name}\" is being accessed by other users");
        let detail = format!("there are {others} other sessions using the database");
        let error = QueryError::new(ErrorKind::ObjectInUse, message).with_detail(detail);
        return Err(error.with_hint("DROP DATABASE … WITH (FORCE) drops it nevertheless"));
    }
    let _alone = engine.definitions().write().await;
    let gone = engine.catalog().drop_database(name)?;
    engine.count_drop();
    drop_vnodes(session, &gone)?;
    Ok("DROP DATABASE".into())
}

/// Times that DROP DATABASE looks whether sessions have ended, and how long it waits between them: five seconds together, as PostgreSQL's.
const LOOKS: usize = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How many sessions of the database stay: those of clients that are just leaving are waited for.
async fn others_left(engine: &Engine, database: u32) -> usize {
    let there = || {
        let sessions = engine.sessions();
        sessions.iter().filter(|entry| entry.database_oid() == database).count()
    };
    for _ in 0..LOOKS {
        if there() == 0 {
            return 0;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    there()
}

fn drop_vnodes(session: &Session, gone: &Database) -> Result<(), QueryError> {
    for vnode in &gone.vnodes {
        session.engine().storage().drop_vnode(VnodeId(*vnode))?;
    }
    Ok(())
}

pub(super) fn use_database(session: &mut Session, name: &str) -> Result<String, QueryError> {
    session.refuse_in_block("USE")?;
    let database = database_named(session, Some(name))?;
    session.may(&Thing::Database(&database), Privileges::CONNECT)?;
    session.use_database(&database);
    Ok("USE".into())
}

/// The role that a new database is to belong to: one that its maker could act as.
fn owner_named(session: &Session, name: &str) -> Result<u32, QueryError> {
    let identity = session.identity();
    let Some(role) = identity.roles.named(name) else {
        let message = format!("role \"{name}\" does not exist");
        return Err(QueryError::new(ErrorKind::UndefinedObject, message));
    };
    let could_be = identity.roles.memberships(identity.actor.current, false);
    match identity.superuser || could_be.contains(&role.oid) {
        true => Ok(role.oid),
        false => Err(refused(format!("must be member of role \"{name}\""))),
    }
}

/// Rules between options.
fn check(options: &DatabaseOptions) -> Result<(), QueryError> {
    if options.keep_ms < options.group_span_ms {
        let message = format!(
            "option \"keep\" is {}: must be at least \"days\", which is {}",
            show_span(options.keep_ms),
            show_span(options.group_span_ms)
        );
        return Err(QueryError::new(ErrorKind::InvalidParameterValue, message));
    }
    Ok(())
}

fn tell_ignored(session: &mut Session, options: &[DatabaseOption]) {
    for option in options {
        if let DatabaseOption::Ignored { name, tell: true } = option {
            session.tell("00000", format!("option \"{name}\" has no effect"));
        }
    }
}
