//! Kept plans that are a chain over one scan, run without DataFusion's operators: conditions and columns applied to one batch after the other.
//!
//! ```text
//! Projection                             leaf, bound --> batch --filter--> --project--> batch
//!   [Filter]              -->
//!     SeriesScan, or a SeriesAggregate that finishes its groups
//! ```
//! A narrow query finds its few rows in less time than it takes to copy the operators above them, to start them, and to register what they
//! measure. Whatever else a plan has in it is executed as it is: `template.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatchOptions;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::common::cast::as_boolean_array;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PhysicalExpr};
use futures::{Stream, StreamExt};

use super::aggregate::SeriesAggregate;
use super::brought;
use super::context::QueryContext;
use super::scan::SeriesScan;
use super::template;

/// Batches taken before other tasks get their turn, where conditions leave nothing of them: about a millisecond's work.
const BATCHES_IN_A_TURN: usize = 16;

/// A chain as a kept plan holds it.
#[derive(Clone)]
pub struct Chain {
    leaf: Arc<dyn ExecutionPlan>,
    steps: Arc<[Step]>,
    schema: SchemaRef,
    /// Whether a condition waits for what the execution brings.
    open: bool,
}

#[derive(Clone)]
enum Step {
    /// Rows for which it holds; then some of their columns, or all.
    Filter {
        predicate: Arc<dyn PhysicalExpr>,
        columns: Option<Vec<usize>>,
    },
    Project {
        exprs: Arc<[Arc<dyn PhysicalExpr>]>,
        schema: SchemaRef,
    },
}

impl Chain {
    /// `None`: the plan is more than a chain, or it reads in several partitions.
    pub fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Chain> {
        let mut steps = Vec::new();
        let mut node = plan;
        let mut open = false;
        loop {
            if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
                steps.push(Step::Project {
                    exprs: projection.expr().iter().map(|expr| expr.expr.clone()).collect(),
                    schema: projection.schema(),
                });
                node = projection.input();
            } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
                if filter.fetch().is_some() {
                    return None;
                }
                open |= brought::is_open(filter.predicate());
                steps.push(Step::Filter {
                    predicate: filter.predicate().clone(),
                    columns: filter.projection().as_ref().map(|columns| columns.to_vec()),
                });
                node = filter.input();
            } else if node.is::<CooperativeExec>() {
                node = node.children().first().copied()?;
            } else {
                break;
            }
        }
        let known = node.is::<SeriesScan>() || node.is::<SeriesAggregate>();
        if !known || node.output_partitioning().partition_count() != 1 {
            return None;
        }
        steps.reverse();
        Some(Chain {
            leaf: node.clone(),
            steps: steps.into(),
            schema: plan.schema(),
            open,
        })
    }

    /// Starts it; `None` when the scan came out otherwise than the plan was made for.
    pub fn run(
        &self,
        context: &Arc<QueryContext>,
        state: &SessionState,
        task: Arc<TaskContext>,
    ) -> DfResult<Option<SendableRecordBatchStream>> {
        let Some(leaf) = template::bound(&self.leaf, context, state)? else {
            return Ok(None);
        };
        let steps = match self.open {
            true => self
                .steps
                .iter()
                .map(|step| step.filled(context))
                .collect::<DfResult<_>>()?,
            false => self.steps.clone(),
        };
        Ok(Some(Box::pin(Running {
            input: leaf.execute(0, task)?,
            steps,
            schema: self.schema.clone(),
        })))
    }
}

impl Step {
    fn filled(&self, context: &QueryContext) -> DfResult<Step> {
        Ok(match self {
            Step::Filter { predicate, columns } => Step::Filter {
                predicate: brought::filled(predicate, context)?.data,
                columns: columns.clone(),
            },
            other => other.clone(),
        })
    }

    fn apply(&self, batch: RecordBatch) -> DfResult<RecordBatch> {
        let rows = batch.num_rows();
        match self {
            Step::Filter { predicate, columns } => {
                let truths = predicate.evaluate(&batch)?.into_array(rows)?;
                let kept = match columns {
                    Some(columns) => batch.project(columns)?,
                    None => batch,
                };
                Ok(filter_record_batch(&kept, as_boolean_array(&truths)?)?)
            }
            Step::Project { exprs, schema } => {
                let mut columns = Vec::with_capacity(exprs.len());
                for expr in exprs.iter() {
                    columns.push(expr.evaluate(&batch)?.into_array(rows)?);
                }
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
            }
        }
    }
}

/// An execution.
struct Running {
    input: SendableRecordBatchStream,
    steps: Arc<[Step]>,
    schema: SchemaRef,
}

impl Running {
    /// The batch after all steps; `None` when nothing is left of it.
    fn passed(&self, mut batch: RecordBatch) -> DfResult<Option<RecordBatch>> {
        for step in self.steps.iter() {
            batch = step.apply(batch)?;
            if batch.num_rows() == 0 {
                return Ok(None);
            }
        }
        Ok(Some(batch))
    }
}

impl Stream for Running {
    type Item = DfResult<RecordBatch>;

    /// Gives back control after some batches: conditions may leave nothing of many, and cancel has to get a word in.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<DfResult<RecordBatch>>> {
        for _ in 0..BATCHES_IN_A_TURN {
            match self.input.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(batch))) => {
                    if let Some(passed) = self.passed(batch).transpose() {
                        return Poll::Ready(Some(passed));
                    }
                }
                other => return other,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl RecordBatchStream for Running {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
