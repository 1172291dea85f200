//! SELECT: from a parsed query to record batches, on DataFusion.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::sql::sqlparser::ast;
use taospg_catalog::{ChildRef, Table};

use crate::{EngineOptions, Parameter, QueryError, ResultField, RowSet, Session};

/// What all queries share: functions, optimizer rules, the memory pool. One for each engine.
pub struct Planner {
    _private: (),
}

impl Planner {
    pub fn new(options: &EngineOptions) -> Result<Planner, QueryError> {
        let _ = options;
        Ok(Planner { _private: () })
    }
}

/// A query that has been looked up and typed; it can be executed many times.
#[derive(Clone)]
pub struct PreparedQuery {
    pub parameter_types: Arc<[u32]>,
    pub fields: Arc<[ResultField]>,
}

/// Looks up names and types of a `Query` or `Explain`. `parameter_types`: OIDs that the client declared, 0 or missing where it did not.
pub async fn prepare(
    session: &Session,
    statement: &ast::Statement,
    parameter_types: &[u32],
) -> Result<PreparedQuery, QueryError> {
    let _ = (session, statement, parameter_types);
    todo!()
}

impl PreparedQuery {
    /// Starts the query; the row set's stream owns all it needs.
    pub async fn execute(&self, session: &Session, parameters: &[Parameter]) -> Result<RowSet, QueryError> {
        let _ = (session, parameters);
        todo!()
    }
}

/// The value of an expression without columns, cast to `data_type` as an assignment casts.
pub async fn constant(session: &Session, expr: &ast::Expr, data_type: &DataType) -> Result<ScalarValue, QueryError> {
    let _ = (session, expr, data_type);
    todo!()
}

/// The rows that a DELETE or UPDATE touches: columns vnode UInt32, series UInt32, slot UInt32 (0 for a plain table), time Int64, then one for
/// each of `values`: the expression cast to the type of the column or tag it is for.
pub async fn matching_rows(
    session: &Session,
    table: &Arc<Table>,
    child: Option<ChildRef>,
    selection: Option<&ast::Expr>,
    values: &[(String, ast::Expr)],
    parameters: &[Parameter],
) -> Result<SendableRecordBatchStream, QueryError> {
    let _ = (session, table, child, selection, values, parameters);
    todo!()
}
