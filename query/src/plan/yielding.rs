//! Joins that give back control now and then, so that a query can be ended whatever it computes.
//!
//! DataFusion yields where rows are read. A join makes many rows of few: once its inputs are read, what stands above it takes batch after
//! batch from it within one turn, for hours if need be, and neither cancel nor a timeout gets a word in. So a join as a whole counts its
//! batches. One with a condition on pairs may find none for long, and gives no batch: there the rows that it probes with come in portions, as
//! many as it can pair within a turn if that is not too few, and it waits a turn after a portion that took longer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::{Stream, StreamExt as _, ready};

use super::planner::BATCH_ROWS;

/// How long a portion may take before others get their turn.
const TURN: Duration = Duration::from_millis(10);

/// Rows of the first portion, and of the smallest. A nested loop compares one row with a batch; from a tenth of a full batch down it copies the
/// rows of both sides for every pair instead, which takes eight times as long. With a million rows on the other side these are pairs for a second.
const ROWS_MIN: usize = BATCH_ROWS / 8;

/// The physical rule: wraps each join, and what a join with a condition probes with.
#[derive(Debug)]
pub struct YieldInJoins;

impl PhysicalOptimizerRule for YieldInJoins {
    fn name(&self) -> &str {
        "yield_in_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let is_join = node.is::<CrossJoinExec>()
                || node.is::<HashJoinExec>()
                || node.is::<NestedLoopJoinExec>()
                || node.is::<SortMergeJoinExec>();
            match is_join {
                true => Ok(Transformed::yes(Arc::new(CooperativeExec::new(in_portions(node)?)))),
                false => Ok(Transformed::no(node)),
            }
        })?;
        Ok(rewritten.data)
    }
}

/// The join with its probing side in portions, if it drops pairs by a condition.
fn in_portions(join: Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>> {
    let hashed = join.downcast_ref::<HashJoinExec>();
    let nested = join.downcast_ref::<NestedLoopJoinExec>();
    let has_condition =
        hashed.is_some_and(|join| join.filter().is_some()) || nested.is_some_and(|join| join.filter().is_some());
    let [built, probing] = join.children()[..] else {
        return Ok(join);
    };
    if !has_condition {
        return Ok(join);
    }
    let children: Vec<Arc<dyn ExecutionPlan>> = vec![built.clone(), Arc::new(Portions { input: probing.clone() })];
    join.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep))
}

/// The node of the plan: the same rows in smaller batches.
#[derive(Debug)]
struct Portions {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for Portions {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Portions")
    }
}

impl ExecutionPlan for Portions {
    fn name(&self) -> &str {
        "Portions"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Portions { input })),
            _ => internal_err!("portions have one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        Ok(Box::pin(PortionStream {
            input: self.input.execute(partition, context)?,
            rest: None,
            rows: ROWS_MIN,
            given: None,
        }))
    }
}

struct PortionStream {
    input: SendableRecordBatchStream,
    /// What of the newest batch was not given yet.
    rest: Option<RecordBatch>,
    rows: usize,
    /// When the last portion was given; who asks for the next is done with it.
    given: Option<Instant>,
}

impl Stream for PortionStream {
    type Item = DfResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(given) = self.given.take() {
            let took = given.elapsed();
            self.rows = next_portion(self.rows, took);
            if took > TURN {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match ready!(self.input.poll_next_unpin(task)) {
                Some(Ok(batch)) => batch,
                end => return Poll::Ready(end),
            },
        };
        let rows = batch.num_rows().min(self.rows);
        if rows < batch.num_rows() {
            self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        self.given = Some(Instant::now());
        Poll::Ready(Some(Ok(batch.slice(0, rows))))
    }
}

impl RecordBatchStream for PortionStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// Rows of the portion after one that took so long: twice as many while they fit into a turn, half when not.
fn next_portion(rows: usize, took: Duration) -> usize {
    match took {
        took if took > TURN => (rows / 2).max(ROWS_MIN),
        took if took < TURN / 4 => (rows * 2).min(BATCH_ROWS),
        _ => rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_shrink_while_they_are_slow_and_grow_while_they_are_fast() {
        let mut rows = ROWS_MIN;
        for _ in 0..10 {
            rows = next_portion(rows, Duration::ZERO);
        }
        assert_eq!(rows, BATCH_ROWS);
        assert_eq!(next_portion(rows, TURN / 2), BATCH_ROWS);
        for _ in 0..10 {
            rows = next_portion(rows, TURN * 2);
        }
        assert_eq!(rows, ROWS_MIN);
    }
}
