//! pg_catalog and information_schema, answered from the live catalog.
//!
//! `tables.rs` lists the tables, `relations.rs`, `server_wide.rs` and `information.rs` make their rows from a `Snapshot`, `functions.rs` has the
//! functions beside them, and `rewrite.rs` puts what clients write into words that DataFusion plans.

mod cell;
mod functions;
mod information;
mod provider;
mod relations;
mod rewrite;
mod roles;
mod server_wide;
mod snapshot;
mod tables;
mod types;

use std::sync::Arc;

use datafusion::catalog::SchemaProvider;
use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::ast;
use taospg_catalog::Database;

use crate::QueryError;
use crate::engine::Engine;
use crate::settings::Settings;

/// What system tables and functions need to know of the session that asks.
#[derive(Clone)]
pub struct SessionInfo {
    pub database: Arc<Database>,
    pub settings: Settings,
}

/// The system schema of this name (`pg_catalog`, `information_schema`), if there is one.
pub fn schema(engine: &Arc<Engine>, session: &SessionInfo, name: &str) -> Option<Arc<dyn SchemaProvider>> {
    let name = match name {
        "pg_catalog" => "pg_catalog",
        "information_schema" => "information_schema",
        _ => return None,
    };
    Some(Arc::new(provider::SystemSchema {
        name,
        engine: engine.clone(),
        session: session.clone(),
    }))
}

/// Functions of pg_catalog that depend on nothing but their arguments; registered once for all sessions.
pub fn functions() -> Vec<ScalarUDF> {
    functions::plain()
}

/// Functions that answer about the session that asks (`current_database`, `current_setting`, …); registered for each query that names one.
pub fn session_functions(engine: &Arc<Engine>, session: &SessionInfo) -> Vec<ScalarUDF> {
    functions::of_session(engine, session)
}

/// Rewrites what DataFusion does not plan (`::regclass`, `OPERATOR(pg_catalog.~)`, …) into what it does.
pub fn rewrite(statement: &mut ast::Statement) -> Result<(), QueryError> {
    rewrite::rewrite(statement)
}
