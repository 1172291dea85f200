//! ORDER BY time LIMIT n, pushed into the scan: each series gives its first or last n rows, read from that end. Those of one series are in
//! order, and need no sort above them.

use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use taospg_storage::Direction;

use super::scan::SeriesScan;
use super::table::Source;

/// The physical rule. Where there are several series the sort stays: it merges them.
#[derive(Debug)]
pub struct SortIntoScan;

impl PhysicalOptimizerRule for SortIntoScan {
    fn name(&self) -> &str {
        "sort_into_scan"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_down(|node| {
            let Some(sort) = node.downcast_ref::<SortExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(limit) = sort.fetch() else {
                return Ok(Transformed::no(node));
            };
            let first = sort.expr().first();
            let Some(column) = first.expr.downcast_ref::<Column>() else {
                return Ok(Transformed::no(node));
            };
            let direction = match first.options.descending {
                true => Direction::Descending,
                false => Direction::Ascending,
            };
            match limited(sort.input(), column.index(), direction, limit)? {
                // No two rows of a series have one time: the other keys decide nothing.
                Some(Limited { input, sorted: true }) => Ok(Transformed::yes(input)),
                Some(Limited { input, sorted: false }) => {
                    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
                    Ok(Transformed::yes(node.replace_children(vec![input], options)?))
                }
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(rewritten.data)
    }
}

/// A sort's input with its scan limited.
struct Limited {
    input: Arc<dyn ExecutionPlan>,
    /// Whether its rows are the sort's.
    sorted: bool,
}

/// The input with its scan limited, if column `index` is the scan's time and nothing between them drops rows.
fn limited(
    plan: &Arc<dyn ExecutionPlan>,
    index: usize,
    direction: Direction,
    limit: usize,
) -> DfResult<Option<Limited>> {
    if let Some(scan) = plan.downcast_ref::<SeriesScan>() {
        let parts = scan.parts.as_ref();
        let is_time = parts.sources.get(index) == Some(&Source::Time);
        if !is_time || parts.table.newest || parts.limit.is_some() || !parts.bounds.is_empty() {
            return Ok(None);
        }
        let mut parts = parts.clone();
        parts.direction = direction;
        parts.limit_per_series = Some(limit);
        let sorted = parts.is_ordered();
        if sorted {
            parts.limit = Some(limit);
        }
        let scan = SeriesScan::new(parts).map_err(super::errors::wrap)?;
        return Ok(Some(Limited {
            input: Arc::new(scan),
            sorted,
        }));
    }
    let below = if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let Some(column) = projection
            .expr()
            .get(index)
            .and_then(|expr| expr.expr.downcast_ref::<Column>())
        else {
            return Ok(None);
        };
        column.index()
    } else if plan.is::<CoalescePartitionsExec>() || plan.is::<CooperativeExec>() {
        index
    } else {
        return Ok(None);
    };
    let [input] = plan.children()[..] else {
        return Ok(None);
    };
    let Some(Limited { input, sorted }) = limited(input, below, direction, limit)? else {
        return Ok(None);
    };
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    let input = plan.clone().replace_children(vec![input], options)?;
    Ok(Some(Limited { input, sorted }))
}
