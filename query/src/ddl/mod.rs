//! Statements that change what exists, and those that order work on files.
//!
//! They take effect at once, also inside a transaction block, where a notice says so: a definition that one session alone sees would have to
//! be merged into every plan and every name lookup.
//!
//! Leaves to others: what the statements look like (`statement/`), checks of names and rules (`catalog`).

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use taospg_catalog::{ChildRef, Database, Privileges, Relation, Table};
use taospg_storage::VnodeId;

use crate::access::Thing;
use crate::statement::{Command, Maintenance, TableName};
use crate::{ErrorKind, QueryError, Session};

mod alter;
mod database;
mod index;
mod missing;
mod table;
mod table_as;
mod view;

pub(crate) use view::{refuse_view, thing as view_thing};

/// Executes a definition or a piece of maintenance; answers with the command tag.
pub(crate) async fn execute(session: &mut Session, command: &Command) -> Result<String, QueryError> {
    match command {
        Command::CreateDatabase(create) => database::create(session, create),
        Command::AlterDatabase(alter) => database::alter(session, alter).await,
        Command::DropDatabase { if_exists, name, force } => database::drop(session, *if_exists, name, *force).await,
        Command::Use(name) => database::use_database(session, name),
        Command::CreateTable(create) => table::create(session, create).await,
        Command::CreateTableAs(create) => table_as::create(session, create).await,
        Command::Extension { name, drop: false } => {
            session.tell(
                "42710",
                format!("extension \"{name}\" is not needed: its functions that stand for something here are here"),
            );
            Ok("CREATE EXTENSION".into())
        }
        Command::Extension { name, drop: true } => {
            session.tell("00000", format!("extension \"{name}\" is part of the server and stays"));
            Ok("DROP EXTENSION".into())
        }
        Command::CreateTemporary(create) => crate::temporary::define::create(session, create),
        Command::CreateIndex(create) => index::create(session, create).await,
        Command::DropIndexes { if_exists, names } => index::drop(session, *if_exists, names),
        Command::CreateChildren(children) => table::create_children(session, children).await,
        Command::AlterTable(change) => alter::alter(session, change).await,
        Command::DropTables {
            if_exists,
            names,
            stable,
            cascade,
        } => table::drop(session, *if_exists, names, *stable, *cascade).await,
        Command::CreateView(create) => view::create(session, create).await,
        Command::DropMissing(drop) => missing::drop(session, drop),
        Command::AlterView(alter) => view::alter(session, alter),
        Command::DropViews {
            if_exists,
            names,
            cascade,
        } => view::drop(session, *if_exists, names, *cascade),
        Command::Comment { name, column, comment } => table::comment(session, name, column.as_deref(), comment.clone()),
        Command::Truncate(names) => table::truncate(session, names),
        Command::Maintenance(maintenance) => maintain(session, maintenance).await,
        Command::Lock(names) => {
            session.refuse_outside_block("LOCK TABLE")?;
            for name in names {
                if session.temporary(name).is_some() {
                    continue;
                }
                let found = find(session, name)?;
                let thing = found.thing(&name.name);
                if session.identity().privileges(&thing).is_empty() {
                    session.may(&thing, Privileges::SELECT)?;
                }
            }
            Ok("LOCK TABLE".into())
        }
        _ => Err(QueryError::new(
            ErrorKind::InternalError,
            "statement was sent to the wrong place",
        )),
    }
}

/// Tells a client inside a block that ROLLBACK will not undo this.
pub(crate) fn tell_immediate(session: &mut Session, what: &str) {
    if session.in_block() {
        session.tell(
            "00000",
            format!("{what} takes effect at once and is not undone by ROLLBACK"),
        );
    }
}

/// A relation with the database it is in.
pub(crate) struct Found {
    pub database: Arc<Database>,
    pub relation: Relation,
}

impl Found {
    pub fn table(&self) -> &Arc<Table> {
        match &self.relation {
            Relation::Table(table) => table,
            Relation::Child { supertable, .. } => supertable,
        }
    }

    pub fn child(&self) -> Option<ChildRef> {
        match &self.relation {
            Relation::Table(_) => None,
            Relation::Child { child, .. } => Some(*child),
        }
    }
}

/// The database that a name is in: the session's, or the one it names.
pub(crate) fn database_of(session: &Session, name: &TableName) -> Result<Arc<Database>, QueryError> {
    let other = |wanted: &str| session.engine().catalog().database(wanted);
    let at = |error: QueryError| error.at_name(name);
    if let Some(wanted) = &name.database {
        let missing = || {
            at(QueryError::new(
                ErrorKind::InvalidCatalogName,
                format!("database \"{wanted}\" does not exist"),
            ))
        };
        return other(wanted).ok_or_else(missing);
    }
    match name.schema.as_deref() {
        None | Some("public") => session.database(),
        Some(schema @ ("pg_catalog" | "information_schema")) => {
            let message = format!("permission denied for schema {schema}");
            Err(at(QueryError::new(ErrorKind::InsufficientPrivilege, message)))
        }
        Some(schema) => other(schema).ok_or_else(|| {
            at(QueryError::new(
                ErrorKind::InvalidSchemaName,
                format!("schema \"{schema}\" does not exist"),
            ))
        }),
    }
}

/// The relation that a name means; `None` when there is none. Statements that are for temporary tables too look for those first.
pub(crate) fn try_find(session: &Session, name: &TableName) -> Result<Option<Found>, QueryError> {
    if session.temporary(name).is_some() {
        let message = format!(
            "this statement about temporary table \"{}\" is not supported",
            name.name
        );
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message).at_name(name));
    }
    try_find_durable(session, name)
}

/// The same, were there no temporary table of that name.
pub(crate) fn try_find_durable(session: &Session, name: &TableName) -> Result<Option<Found>, QueryError> {
    let database = database_of(session, name)?;
    let relation = session.engine().catalog().relation(database.oid, &name.name);
    Ok(relation.map(|relation| Found { database, relation }))
}

/// The relation that a name means; 42P01 when there is none.
pub(crate) fn find(session: &Session, name: &TableName) -> Result<Found, QueryError> {
    let found = try_find(session, name)?;
    if found.is_none() {
        let database = database_of(session, name)?;
        refuse_view(session, database.oid, &name.name).map_err(|error| error.at_name(name))?;
    }
    found.ok_or_else(|| {
        let error = QueryError::new(
            ErrorKind::UndefinedTable,
            format!("relation \"{}\" does not exist", name.name),
        );
        error.at_name(name)
    })
}

pub(crate) fn vnodes_of(database: &Database) -> Vec<VnodeId> {
    database.vnodes.iter().map(|vnode| VnodeId(*vnode)).collect()
}

pub(crate) fn database_named(session: &Session, name: Option<&str>) -> Result<Arc<Database>, QueryError> {
    let Some(name) = name else {
        return session.database();
    };
    session.engine().catalog().database(name).ok_or_else(|| {
        QueryError::new(
            ErrorKind::InvalidCatalogName,
            format!("database \"{name}\" does not exist"),
        )
    })
}

async fn maintain(session: &mut Session, maintenance: &Maintenance) -> Result<String, QueryError> {
    let engine = session.engine().clone();
    let storage = engine.storage();
    match maintenance {
        Maintenance::Checkpoint => {
            session.must_be_superuser("must be superuser or have privileges of pg_checkpoint to do CHECKPOINT")?;
            storage.flush(&storage.vnodes()).await?;
            Ok("CHECKPOINT".into())
        }
        Maintenance::Flush(name) => {
            let database = database_named(session, name.as_deref())?;
            session.must_own(&Thing::Database(&database))?;
            storage.flush(&vnodes_of(&database)).await?;
            Ok("FLUSH DATABASE".into())
        }
        Maintenance::Compact(name) => {
            session.refuse_in_block("COMPACT DATABASE")?;
            let database = database_named(session, name.as_deref())?;
            session.must_own(&Thing::Database(&database))?;
            storage.compact(&vnodes_of(&database)).await?;
            Ok("COMPACT DATABASE".into())
        }
        Maintenance::Vacuum(names) => {
            session.refuse_in_block("VACUUM")?;
            let mut vnodes = Vec::new();
            for name in names {
                // A temporary table takes no more room than its rows.
                if session.temporary(name).is_some() {
                    continue;
                }
                let found = find(session, name)?;
                // A table's rows share their files with others: as in PostgreSQL, who may not is told so and skipped.
                match session.must_own(&found.thing(&name.name)) {
                    Ok(()) => vnodes.extend(vnodes_of(&found.database)),
                    Err(_) => session.warn(
                        "01000",
                        format!("permission denied to vacuum \"{}\", skipping it", name.name),
                    ),
                }
            }
            if names.is_empty() {
                let database = session.database()?;
                session.must_own(&Thing::Database(&database))?;
                vnodes = vnodes_of(&database);
            }
            vnodes.sort_unstable();
            vnodes.dedup();
            storage.compact(&vnodes).await?;
            Ok("VACUUM".into())
        }
        Maintenance::Analyze(names) => {
            for name in names {
                if session.temporary(name).is_none() {
                    find(session, name)?;
                }
            }
            Ok("ANALYZE".into())
        }
    }
}

/// A literal as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Boolean(bool),
    /// Its text, with its sign.
    Number(String),
    Text(String),
}

impl Literal {
    pub fn text(&self) -> Option<String> {
        match self {
            Literal::Null => None,
            Literal::Boolean(value) => Some(value.to_string()),
            Literal::Number(text) | Literal::Text(text) => Some(text.clone()),
        }
    }
}

/// The literal that an expression is; `None` when it is something to compute.
pub(crate) fn literal(expr: &ast::Expr) -> Option<Literal> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Null => Some(Literal::Null),
            ast::Value::Boolean(value) => Some(Literal::Boolean(*value)),
            ast::Value::Number(text, false) => Some(Literal::Number(text.to_string())),
            ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => {
                Some(Literal::Text(text.clone()))
            }
            ast::Value::NationalStringLiteral(text) => Some(Literal::Text(text.clone())),
            ast::Value::DollarQuotedString(text) => Some(Literal::Text(text.value.clone())),
            _ => None,
        },
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => match literal(expr)? {
            Literal::Number(text) if !text.starts_with('-') => Some(Literal::Number(format!("-{text}"))),
            _ => None,
        },
        ast::Expr::Nested(expr) => literal(expr),
        _ => None,
    }
}
