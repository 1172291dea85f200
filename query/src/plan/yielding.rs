//! Joins that give back control now and then, so that a query can be ended whatever it computes.
//!
//! DataFusion yields where rows are read. A join makes many rows of few: once its inputs are read, what stands above it takes batch after
//! batch from it within one turn, for hours if need be, and neither cancel nor a timeout gets a word in.

use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};

/// The physical rule: wraps each join.
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
                true => Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)))),
                false => Ok(Transformed::no(node)),
            }
        })?;
        Ok(rewritten.data)
    }
}
