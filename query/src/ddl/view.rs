//! Making and dropping views, and what depends on what.
//!
//! Who reads a view needs SELECT on it; what it reads is read with the rights of its owner, or, with `security_invoker`, of who asks.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use taospg_catalog::{Database, Privileges, View, ViewColumn};

use super::{database_of, tell_immediate};
use crate::access::{Thing, refused};
use crate::statement::{AlterView, CreateView, TableName};
use crate::{ErrorKind, QueryError, ResultField, Session, plan};

pub(super) async fn create(session: &mut Session, create: &CreateView) -> Result<String, QueryError> {
    let database = database_of(session, &create.name)?;
    if database.oid != session.database()?.oid {
        let error = QueryError::new(
            ErrorKind::FeatureNotSupported,
            "a view in another database is not supported",
        );
        return Err(error.with_hint("USE the database first").at_name(&create.name));
    }
    session.may(&Thing::Schema(&database), Privileges::CREATE)?;
    let statement = ast::Statement::Query(create.query.clone());
    let (prepared, reads) = plan::prepare_view(session, &statement).await?;
    if !prepared.parameter_types.is_empty() {
        let message = "there is no parameter in a view";
        return Err(QueryError::new(ErrorKind::UndefinedParameter, message));
    }
    if create.columns.len() > prepared.fields.len() {
        let message = "CREATE VIEW specifies more column names than columns";
        return Err(QueryError::new(ErrorKind::SyntaxError, message));
    }
    let mut columns: Vec<ViewColumn> = Vec::with_capacity(prepared.fields.len());
    for (index, field) in prepared.fields.iter().enumerate() {
        let name = create.columns.get(index).unwrap_or(&field.name);
        if columns.iter().any(|column| column.name == *name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(QueryError::new(ErrorKind::DuplicateColumn, message));
        }
        columns.push(ViewColumn {
            name: name.clone(),
            type_oid: field.type_oid,
            type_modifier: field.type_modifier,
        });
    }
    let old = session.engine().catalog().view(database.oid, &create.name.name);
    if let Some(old) = old.filter(|_| create.or_replace) {
        session.must_own(&thing(&old))?;
        check_replacement(session, &database, &old, &columns, &reads)?;
    }
    let view = View {
        oid: 0,
        database_oid: database.oid,
        name: create.name.name.clone(),
        definition: definition(create, &prepared.fields, &columns),
        columns,
        reads,
        security_invoker: create.security_invoker,
    };
    let owner = session.identity().actor.current;
    let made = session.engine().catalog().create_view(owner, view, create.or_replace);
    made.map_err(|error| QueryError::from(error).at_name(&create.name))?;
    tell_immediate(session, "CREATE VIEW");
    Ok("CREATE VIEW".into())
}

/// A view as rights are asked and granted for it.
pub(crate) fn thing(view: &View) -> Thing<'_> {
    Thing::View {
        oid: view.oid,
        database: view.database_oid,
        name: &view.name,
    }
}

pub(super) fn alter(session: &mut Session, alter: &AlterView) -> Result<String, QueryError> {
    let name = &alter.name;
    let database = database_of(session, name)?;
    let Some(view) = session.engine().catalog().view(database.oid, &name.name) else {
        if super::try_find(session, name)?.is_some() {
            let message = format!("\"{}\" is not a view", name.name);
            return Err(QueryError::new(ErrorKind::WrongObjectType, message).at_name(name));
        }
        let message = format!("relation \"{}\" does not exist", name.name);
        if alter.if_exists {
            session.tell("00000", format!("{message}, skipping"));
            return Ok("ALTER VIEW".into());
        }
        return Err(QueryError::new(ErrorKind::UndefinedTable, message).at_name(name));
    };
    session.must_own(&thing(&view))?;
    let changed = View {
        security_invoker: alter.security_invoker,
        ..(*view).clone()
    };
    let owner = session.identity().actor.current;
    session.engine().catalog().create_view(owner, changed, true)?;
    tell_immediate(session, "ALTER VIEW");
    Ok("ALTER VIEW".into())
}

/// The query's text. Names that the view gives its columns become part of it.
fn definition(create: &CreateView, fields: &[ResultField], columns: &[ViewColumn]) -> String {
    if create.columns.is_empty() {
        return create.query.to_string();
    }
    let quoted = |name: &str| ast::Ident::with_quote('"', name).to_string();
    let (own, query) = (quoted(&create.name.name), &create.query);
    let distinct: HashSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    if distinct.len() == fields.len() {
        let pairs = fields.iter().zip(columns);
        let items: Vec<String> = pairs
            .map(|(field, column)| format!("{} AS {}", quoted(&field.name), quoted(&column.name)))
            .collect();
        return format!("SELECT {} FROM ({query}) AS {own}", items.join(", "));
    }
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    format!("SELECT * FROM ({query}) AS {own} ({})", names.join(", "))
}

/// Columns may only be added behind the others, as in PostgreSQL, and a view may not read itself.
fn check_replacement(
    session: &Session,
    database: &Database,
    old: &View,
    columns: &[ViewColumn],
    reads: &[u32],
) -> Result<(), QueryError> {
    let refuse = |message: String| Err(QueryError::new(ErrorKind::InvalidTableDefinition, message));
    if columns.len() < old.columns.len() {
        return refuse("cannot drop columns from view".into());
    }
    for (before, after) in old.columns.iter().zip(columns) {
        if before.name != after.name {
            return refuse(format!(
                "cannot change name of view column \"{}\" to \"{}\"",
                before.name, after.name
            ));
        }
        if before.type_oid != after.type_oid {
            let type_name = |oid| crate::pg_type::type_name(oid);
            return refuse(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                before.name,
                type_name(before.type_oid),
                type_name(after.type_oid)
            ));
        }
    }
    let readers = readers_of(session, database.oid, &[old.oid]);
    let itself = reads.contains(&old.oid) || readers.iter().any(|view| reads.contains(&view.oid));
    match itself {
        true => refuse(format!("view \"{}\" would read itself", old.name)),
        false => Ok(()),
    }
}

/// The views that read these objects, or read views that do.
pub(super) fn readers_of(session: &Session, database_oid: u32, oids: &[u32]) -> Vec<Arc<View>> {
    let views = session.engine().catalog().views(database_oid);
    let mut wanted: HashSet<u32> = oids.iter().copied().collect();
    let mut readers: Vec<Arc<View>> = Vec::new();
    loop {
        let before = readers.len();
        for view in &views {
            if !wanted.contains(&view.oid) && view.reads.iter().any(|oid| wanted.contains(oid)) {
                wanted.insert(view.oid);
                readers.push(view.clone());
            }
        }
        if readers.len() == before {
            return readers;
        }
    }
}

/// Before objects are dropped: the views that read them go along with CASCADE, and are in the way without.
pub(super) fn release(
    session: &mut Session,
    database_oid: u32,
    kind: &str,
    name: &str,
    oids: &[u32],
    cascade: bool,
) -> Result<(), QueryError> {
    let readers: Vec<Arc<View>> = readers_of(session, database_oid, oids)
        .into_iter()
        .filter(|view| !oids.contains(&view.oid))
        .collect();
    let Some(first) = readers.first() else {
        return Ok(());
    };
    if !cascade {
        let message = format!("cannot drop {kind} {name} because other objects depend on it");
        return Err(QueryError::new(ErrorKind::DependentObjects, message)
            .with_detail(format!("view {} depends on {kind} {name}", first.name))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    for view in &readers {
        session.tell("00000", format!("drop cascades to view {}", view.name));
    }
    let names: Vec<&str> = readers.iter().map(|view| view.name.as_str()).collect();
    Ok(session.engine().catalog().drop_views(database_oid, &names)?)
}

pub(super) fn drop(
    session: &mut Session,
    if_exists: bool,
    names: &[TableName],
    cascade: bool,
) -> Result<String, QueryError> {
    let mut found: Vec<(u32, Arc<View>)> = Vec::new();
    for name in names {
        let database = database_of(session, name)?;
        match session.engine().catalog().view(database.oid, &name.name) {
            Some(view)
                if session.must_own(&thing(&view)).is_err()
                    && session.must_own(&Thing::Database(&database)).is_err() =>
            {
                let message = format!("must be owner of view {}", name.name);
                return Err(refused(message).at_name(name));
            }
            Some(view) if found.iter().any(|(_, other)| other.oid == view.oid) => {}
            Some(view) => found.push((database.oid, view)),
            None if super::try_find(session, name)?.is_some() => {
                let message = format!("\"{}\" is not a view", name.name);
                let error = QueryError::new(ErrorKind::WrongObjectType, message).at_name(name);
                return Err(error.with_hint("Use DROP TABLE to remove a table."));
            }
            None if if_exists => session.tell("00000", format!("view \"{}\" does not exist, skipping", name.name)),
            None => {
                let message = format!("view \"{}\" does not exist", name.name);
                return Err(QueryError::new(ErrorKind::UndefinedTable, message).at_name(name));
            }
        }
    }
    let oids: Vec<u32> = found.iter().map(|(_, view)| view.oid).collect();
    for (database_oid, view) in &found {
        release(session, *database_oid, "view", &view.name, &oids, cascade)?;
    }
    for (database_oid, view) in &found {
        session.engine().catalog().drop_views(*database_oid, &[&view.name])?;
    }
    tell_immediate(session, "DROP VIEW");
    Ok("DROP VIEW".into())
}

/// Before a table or a column of it gets another name, or a column goes: views know them by name.
pub(super) fn refuse_if_read(
    session: &Session,
    database_oid: u32,
    oid: u32,
    what: &str,
    column: Option<&str>,
) -> Result<(), QueryError> {
    let names = |view: &Arc<View>| {
        column.is_none_or(|column| {
            let statement = crate::statement::parse_with_sqlparser(&view.definition);
            let mentioned = statement.map(|statement| plan::mentioned(&statement));
            mentioned.is_ok_and(|names| names.contains(column)) || view.columns.iter().any(|own| own.name == column)
        })
    };
    match readers_of(session, database_oid, &[oid]).into_iter().find(names) {
        None => Ok(()),
        Some(view) => {
            let message = format!("cannot {what} because other objects depend on it");
            Err(QueryError::new(ErrorKind::DependentObjects, message)
                .with_detail(format!("view {} depends on it", view.name))
                .with_hint("drop the view first, and make it again"))
        }
    }
}

/// Whether the name is that of a view, where only tables are wanted.
pub(crate) fn refuse_view(session: &Session, database_oid: u32, name: &str) -> Result<(), QueryError> {
    match session.engine().catalog().view(database_oid, name) {
        None => Ok(()),
        Some(_) => Err(QueryError::new(
            ErrorKind::WrongObjectType,
            format!("\"{name}\" is a view, not a table"),
        )),
    }
}
