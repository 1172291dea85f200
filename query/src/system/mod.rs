//! pg_catalog and information_schema, answered from the live catalog.
//!
//! `tables.rs` lists the tables, `relations.rs`, `server_wide.rs` and `information.rs` make their rows from a `Snapshot`, `functions.rs` has the
//! functions beside them, and `rewrite.rs` puts what clients write into words that DataFusion plans.

mod activity;
mod array_numbers;
mod cell;
mod derived;
mod from_functions;
mod functions;
mod grants;
mod hypertables;
mod in_values;
mod information;
mod interrupting;
mod objects;
mod postgresql;
mod privileges;
mod procedures;
mod provider;
mod relations;
mod rewrite;
mod roles;
mod server_wide;
mod session_functions;
mod set_returning;
mod snapshot;
mod tables;
mod type_of;
mod types;
mod views;

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::SchemaProvider;
use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::ast;
use taospg_catalog::Database;

use crate::QueryError;
use crate::engine::{Engine, SessionEntry};
use crate::session::{ListedStatements, SharedSettings};
use crate::temporary::Temporaries;

/// What system tables and functions need to know of the session that asks.
#[derive(Clone)]
pub struct SessionInfo {
    pub database: Arc<Database>,
    pub settings: Arc<SharedSettings>,
    pub entry: Arc<SessionEntry>,
    pub temporaries: Arc<Temporaries>,
    pub statements: ListedStatements,
}

/// What a statement wants of system tables beside what they always show.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Names and OIDs in it, for child tables are listed only when they are asked for.
    pub mentioned: Arc<Mentioned>,
    /// It asks for inheritance: the child tables of small supertables are listed one by one.
    pub children: bool,
    /// It names `tableoid`: every table has that column, which `*` leaves out.
    pub table_oid: bool,
}

/// The hidden column that tells which table a row is of.
pub const TABLE_OID: &str = "tableoid";

/// The system schema of this name (`pg_catalog`, `information_schema`), if there is one.
pub fn schema(
    engine: &Arc<Engine>,
    session: &SessionInfo,
    name: &str,
    wanted: &Wanted,
) -> Option<Arc<dyn SchemaProvider>> {
    let name = match name {
        "pg_catalog" => "pg_catalog",
        "information_schema" => "information_schema",
        hypertables::SCHEMA => hypertables::SCHEMA,
        _ => return None,
    };
    Some(Arc::new(provider::SystemSchema {
        name,
        engine: engine.clone(),
        session: session.clone(),
        wanted: wanted.clone(),
    }))
}

/// The literals of a statement, as far as they can be names or OIDs of child tables.
pub fn mentioned(statement: &ast::Statement) -> Mentioned {
    let mut mentioned = Mentioned::default();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        if let ast::Expr::Value(value) = expr {
            match &value.value {
                ast::Value::SingleQuotedString(text) => mentioned.add_text(text),
                ast::Value::Number(digits, _) => mentioned.oids.extend(digits.parse::<u32>().ok()),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    });
    mentioned
}

/// Whether a statement that names this relation asks for inheritance.
pub fn lists_children(name: &ast::ObjectName) -> bool {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|ident| matches!(ident.value.as_str(), "pg_inherits" | "pg_partition_tree"))
}

/// Functions of pg_catalog that depend on nothing but their arguments; registered once for all sessions.
pub fn functions() -> Vec<ScalarUDF> {
    functions::plain()
}

/// Whether pg_proc lists a function of this name.
pub fn is_function(name: &str) -> bool {
    !procedures::named(name).is_empty()
}

pub use session_functions::SessionFunctions;
pub use snapshot::Mentioned;

/// The function that turns a text or an OID into a value of this type (regclass, regtype, …), and the one that turns such a value into text.
pub fn name_functions(type_oid: u32) -> Option<(&'static str, &'static str)> {
    session_functions::name_functions(type_oid)
}

/// The columns of a system table; empty where there is none of that name.
pub fn columns_of(name: &ast::ObjectName) -> Vec<&'static str> {
    let parts: Vec<&str> = name
        .0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| ident.value.as_str())
        .collect();
    let found = match parts.as_slice() {
        [table] => tables::find("pg_catalog", table),
        [.., schema, table] => tables::find(schema, table),
        [] => None,
    };
    found.map_or_else(Vec::new, |table| table.columns.iter().map(|(name, _)| *name).collect())
}

/// Whether a type has this name.
pub fn is_type(name: &str) -> bool {
    types::by_name(name).is_some()
}

/// The type that functions of this name take at a position, when all that can be called with these types agree on it. `None` stands for an
/// argument whose type is open.
pub fn argument_type(function: &str, known: &[Option<u32>], position: usize) -> Option<u32> {
    procedures::argument_type(function, known, position)
}

/// Rewrites what DataFusion does not plan (`::regclass`, `OPERATOR(pg_catalog.~)`, …) into what it does.
pub fn rewrite(statement: &mut ast::Statement) -> Result<(), QueryError> {
    rewrite::rewrite(statement)
}
