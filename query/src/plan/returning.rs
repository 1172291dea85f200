//! RETURNING: a list of expressions over the rows that a statement wrote or removed.
//!
//! It is planned as a SELECT from the table; when it runs, the statement's own rows stand in the place of the scan. So every expression means
//! what it means in a query.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{MemTable, provider_as_source, source_as_provider};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast;
use taospg_catalog::Database;

use super::context::QueryContext;
use super::prepare::TableRead;
use super::table::SeriesTable;
use super::temporary::TemporaryScan;
use super::{errors, parameters, prepare};
use crate::copy_out::{select_in, template};
use crate::{ErrorKind, QueryError, ResultField, RowSet, Session};

/// A RETURNING list that has been looked up and typed.
#[derive(Clone)]
pub struct Returning {
    pub fields: Arc<[ResultField]>,
    plan: LogicalPlan,
    databases: Vec<Arc<Database>>,
    /// The statement's own table, and those of subqueries.
    reads: Vec<TableRead>,
    /// The columns that the rows must bring, in this order and of these types.
    schema: SchemaRef,
}

impl Returning {
    /// `table`: as the statement names it, with its alias.
    pub async fn prepare(
        session: &Session,
        table: &ast::TableWithJoins,
        items: &[ast::SelectItem],
    ) -> Result<Returning, QueryError> {
        let mut query = template()?;
        let select = select_in(&mut query)?;
        select.projection = items.to_vec();
        select.from = vec![table.clone()];
        let prepared = prepare::prepare(session, &query, &[]).await?;
        if !prepared.parameter_types.is_empty() {
            return Err(unsupported("a parameter in RETURNING"));
        }
        let (plan, databases) = prepared.parts();
        let mut schema = None;
        let mut aggregates = false;
        plan.apply(|node| {
            aggregates |= matches!(node, LogicalPlan::Aggregate(_));
            if let Some(found) = scanned(node) {
                schema.get_or_insert(found);
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(errors::translate)?;
        if aggregates {
            let message = "aggregate functions are not allowed in RETURNING";
            return Err(QueryError::new(ErrorKind::GroupingError, message));
        }
        Ok(Returning {
            fields: prepared.fields.clone(),
            reads: prepared.reads().to_vec(),
            plan,
            databases,
            schema: schema.ok_or_else(|| unsupported("RETURNING from this table"))?,
        })
    }

    /// Refuses who may not read what the list looks at.
    pub fn check(&self, session: &Session) -> Result<(), QueryError> {
        let mut reads = self.reads.iter();
        reads.try_for_each(|read| read.check(session, &self.plan))
    }

    /// Names of the columns that [`Returning::rows`] takes.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// What a batch of those columns looks like.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The list evaluated over these rows. `tag`: what the command tag begins with.
    pub async fn rows(
        &self,
        session: &Session,
        rows: Vec<RecordBatch>,
        tag: &'static str,
    ) -> Result<RowSet, QueryError> {
        self.check(session)?;
        let written = MemTable::try_new(self.schema.clone(), vec![rows]).map_err(errors::translate)?;
        let written = provider_as_source(Arc::new(written));
        let plan = self.plan.clone().transform_up(|node| match (scanned(&node), node) {
            (Some(_), LogicalPlan::TableScan(mut scan)) => {
                scan.source = written.clone();
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            (_, node) => Ok(Transformed::no(node)),
        });
        let plan = plan.map_err(errors::translate)?.data;
        let reading = session.settings().reading();
        let context = Arc::new(QueryContext::new(session, self.databases.iter()));
        let state = session.engine().planner().state(reading, context);
        let none = parameters::values(&[], &[], reading)?;
        let physical = prepare::physical(&state, plan, none, false).await?;
        let stream = prepare::run(physical, state.task_ctx())?;
        Ok(RowSet {
            fields: self.fields.clone(),
            schema: stream.schema(),
            stream,
            tag,
        })
    }
}

/// The columns of the table that a node scans.
fn scanned(node: &LogicalPlan) -> Option<SchemaRef> {
    let LogicalPlan::TableScan(scan) = node else {
        return None;
    };
    let provider = source_as_provider(&scan.source).ok()?;
    let ours = provider.downcast_ref::<SeriesTable>().is_some() || provider.downcast_ref::<TemporaryScan>().is_some();
    ours.then(|| provider.schema())
}

fn unsupported(what: &str) -> QueryError {
    QueryError::new(ErrorKind::FeatureNotSupported, format!("{what} is not supported"))
}
