//! pg_catalog and information_schema, answered from the live catalog.

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
    let _ = (engine, session, name);
    None
}

/// Functions of pg_catalog that depend on nothing but their arguments; registered once for all sessions.
pub fn functions() -> Vec<ScalarUDF> {
    Vec::new()
}

/// Functions that answer about the session that asks (`current_database`, `current_setting`, …); registered for each query that names one.
pub fn session_functions(engine: &Arc<Engine>, session: &SessionInfo) -> Vec<ScalarUDF> {
    let _ = (engine, session);
    Vec::new()
}

/// Rewrites what DataFusion does not plan (`::regclass`, `OPERATOR(pg_catalog.~)`, …) into what it does.
pub fn rewrite(statement: &mut ast::Statement) -> Result<(), QueryError> {
    let _ = statement;
    Ok(())
}
