//! SELECT: from a parsed query to record batches, on DataFusion.
//!
//! ```text
//! tree --rewrite--> tree --resolve, types--> logical plan      prepare: once
//! logical plan + parameters --optimize--> physical plan --> batches      execute: each time
//!                                              \__ SeriesScan: tags -> series, times -> range, runs from storage
//! ```
//!
//! What one execution sees (time, views of vnodes, uncommitted writes) is in its [`context::QueryContext`]; kept plans hold definitions only.
//! Leaves to others: how values are written (the wire), what the system tables hold (`system/`).

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast;
use taospg_catalog::{ChildRef, Database, Table};

use crate::{Parameter, QueryError, ResultField, RowSet, Session, pg_type};

mod aggregate;
mod averages;
mod brought;
mod chain;
mod change;
mod collected;
mod comparisons;
mod constant;
pub mod context;
mod dimensions;
mod end_first;
pub mod errors;
mod explain;
pub mod filter;
mod in_order;
mod inline_lateral;
mod intervals;
mod lateral;
mod literals;
mod matching_tables;
mod names;
mod newest;
mod numbers;
mod numeric;
mod object_names;
mod operators;
mod parameters;
mod planner;
mod prepare;
mod resolve;
mod returning;
mod rewrite;
mod rows;
mod scan;
pub mod sets;
mod sort;
mod sums;
pub mod table;
mod tags;
mod template;
mod temporary;
mod types;
mod views;
mod yielding;

pub use matching_tables::matching_tables;
pub use planner::Planner;
use prepare::Kept;
pub use prepare::{prepare_for_client, prepare_view};
pub use returning::Returning;
pub use rewrite::{call_all as call_of, mentioned};
pub use temporary::{ROW_NUMBER, changed_rows};

/// A query that has been looked up and typed; it can be executed many times.
#[derive(Clone)]
pub struct PreparedQuery {
    pub parameter_types: Arc<[u32]>,
    pub fields: Arc<[ResultField]>,
    kept: Arc<Kept>,
}

/// Looks up names and types of a `Query` or `Explain`. `parameter_types`: OIDs that the client declared, 0 or missing where it did not.
pub async fn prepare(
    session: &Session,
    statement: &ast::Statement,
    parameter_types: &[u32],
) -> Result<PreparedQuery, QueryError> {
    prepare::prepare(session, statement, parameter_types).await
}

impl PreparedQuery {
    /// Starts the query; the row set's stream owns all it needs.
    pub async fn execute(&self, session: &Session, parameters: &[Parameter]) -> Result<RowSet, QueryError> {
        prepare::execute(self, session, parameters).await
    }

    /// Whether a parameter may have several dimensions.
    pub fn takes_arrays(&self) -> bool {
        let mut types = self.parameter_types.iter();
        types.any(|oid| pg_type::element_oid(*oid).is_some())
    }

    /// The query with parameters that are arrays of several dimensions written into its statement, and the other parameters; `None` where
    /// there are none.
    pub async fn with_dimensions(
        &self,
        session: &Session,
        statement: &ast::Statement,
        parameters: &[Parameter],
    ) -> Result<Option<(PreparedQuery, Vec<Parameter>)>, QueryError> {
        dimensions::prepare(session, statement, self, parameters).await
    }

    /// Whether its plan serves later executions too.
    pub fn can_be_kept(&self) -> bool {
        self.kept.can_be_kept()
    }

    /// The tables and views that it reads.
    fn reads(&self) -> &[prepare::TableRead] {
        self.kept.reads()
    }

    /// The analyzed plan, and the databases whose tables it names.
    fn parts(&self) -> (LogicalPlan, Vec<Arc<Database>>) {
        self.kept.parts()
    }
}

/// The value of an expression without columns, cast to `data_type` as an assignment casts.
pub async fn constant(session: &Session, expr: &ast::Expr, data_type: &DataType) -> Result<ScalarValue, QueryError> {
    constant::constant(session, expr, data_type).await
}

/// Columns of [`matching_rows`] that say which vnode and which series of it a row is in; conditions may name them.
pub const VNODE_COLUMN: &str = table::VNODE;
pub const SERIES_COLUMN: &str = table::SERIES;

/// The rows that a DELETE or UPDATE touches: columns vnode UInt32, series UInt32, slot UInt32 (0 for a plain table), time Int64, then one for
/// each of `values`: the expression cast to the type of the column or tag it is for. `parameter_types`: as the statement was prepared with.
pub async fn matching_rows(
    session: &Session,
    table: &Arc<Table>,
    child: Option<ChildRef>,
    selection: Option<&ast::Expr>,
    values: &[(String, ast::Expr)],
    parameter_types: &[u32],
    parameters: &[Parameter],
) -> Result<SendableRecordBatchStream, QueryError> {
    change::matching_rows(session, table, child, selection, values, parameter_types, parameters).await
}
