//! The branches of a UNION ALL, one after the other as they are written.
//!
//! SQL promises no order without ORDER BY, but PostgreSQL appends the branches, and clients lean on it: a list that begins with "all" before
//! the values of a table. DataFusion hands on whichever branch is ready first. Here every branch is computed at the same time, as there, and
//! waits with its first rows until it is its turn.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{LimitStream, LocalLimitExec};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::{StreamExt as _, stream};

/// Batches that a branch may have ready before its turn: it is not to hold more than it would on its way to the client.
const BATCHES_AHEAD: usize = 1;

/// The physical rule: what gathers the branches of a union, as the last step or below others, gathers them in order.
#[derive(Debug)]
pub struct BranchesInOrder;

impl PhysicalOptimizerRule for BranchesInOrder {
    fn name(&self) -> &str {
        "branches_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| match node.downcast_ref::<CoalescePartitionsExec>() {
            Some(gather) if is_union(gather.input()) => {
                let in_order = InOrder::new(gather.input().clone(), gather.fetch());
                Ok(Transformed::yes(Arc::new(in_order)))
            }
            _ => Ok(Transformed::no(node)),
        })?;
        let plan = rewritten.data;
        Ok(match is_union(&plan) {
            true => Arc::new(InOrder::new(plan, None)),
            false => plan,
        })
    }
}

/// Whether the plan's partitions are those of a union, in its order.
fn is_union(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.is::<UnionExec>() {
        return true;
    }
    let keeps_partitions = plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<CooperativeExec>();
    match plan.children()[..] {
        [input] if keeps_partitions => is_union(input),
        _ => false,
    }
}

/// The node of the plan: its input's partitions in their order, `fetch` rows of them at most.
#[derive(Debug)]
struct InOrder {
    input: Arc<dyn ExecutionPlan>,
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl InOrder {
    fn new(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> InOrder {
        // One partition without an order of its own, as DataFusion's own node that gathers.
        let properties = CoalescePartitionsExec::new(input.clone()).properties().clone();
        InOrder {
            input,
            fetch,
            properties,
        }
    }
}

impl DisplayAs for InOrder {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fetch {
            Some(rows) => write!(f, "InOrder: fetch={rows}"),
            None => write!(f, "InOrder"),
        }
    }
}

impl ExecutionPlan for InOrder {
    fn name(&self) -> &str {
        "InOrder"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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
            (Some(input), true) => Ok(Arc::new(InOrder::new(input, self.fetch))),
            _ => internal_err!("branches in order have one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let branches = self.input.properties().partitioning.partition_count();
        let started = (0..branches)
            .map(|branch| {
                Ok(spawn_buffered(
                    self.input.execute(branch, context.clone())?,
                    BATCHES_AHEAD,
                ))
            })
            .collect::<DfResult<Vec<_>>>()?;
        let rows = RecordBatchStreamAdapter::new(self.schema(), stream::iter(started).flatten());
        let metrics = BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        Ok(match self.fetch {
            // Branches that are not wanted any more are dropped where they are.
            Some(_) => Box::pin(LimitStream::new(Box::pin(rows), 0, self.fetch, metrics)),
            None => Box::pin(rows),
        })
    }
}
