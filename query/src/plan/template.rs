//! Physical plans that are kept: made once for a prepared query, then bound to each execution's parameters, moment and view of the vnodes.
//!
//! ```text
//! analyzed plan --optimize, parameters left in--> physical plan --empty--> template        first execution
//!                                                     template --bind--> rows              each execution
//! ```
//!
//! Planning costs ten times what a narrow query needs to find its rows. A plan can be kept when nothing in it but conditions on rows
//! depends on one execution (`brought.rs`), and when every operator in it is known to start anew in a copy. Whatever else is planned each time.
//! The scans choose their series and span again at each binding; one that comes out cut or sorted otherwise than the plan around it was made
//! for has the plan made anew.

use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions, execute_stream};

use super::aggregate::SeriesAggregate;
use super::brought;
use super::chain::Chain;
use super::context::QueryContext;
use super::end_first::EndFirst;
use super::planner::Zone;
use super::scan::SeriesScan;
use super::table::SeriesTable;
use crate::functions::numeric::NORMAL;

/// A plan without anything of an execution in it.
#[derive(Clone)]
pub struct Template {
    plan: Arc<dyn ExecutionPlan>,
    /// The same plan, if it can do without operators.
    chain: Option<Chain>,
}

/// Whether an analyzed plan may be kept: it reads our tables only, and computes the same whenever it is asked.
pub fn can_be_kept(plan: &LogicalPlan) -> bool {
    let mut steady = true;
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            steady &=
                source_as_provider(&scan.source).is_ok_and(|provider| provider.downcast_ref::<SeriesTable>().is_some());
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                steady &= is_steady(expr);
                Ok(go_on(steady))
            })
        })
    });
    steady && visited.is_ok()
}

fn is_steady(expr: &Expr) -> bool {
    match expr {
        // What a parameter of this type is compared with becomes a column's own type while planning: `numeric.rs`.
        Expr::ScalarFunction(function) if function.func.name() == NORMAL => false,
        Expr::ScalarFunction(function) => {
            function.func.signature().volatility == Volatility::Immutable || brought::is_now(function)
        }
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => false,
        Expr::ScalarVariable(..) | Expr::OuterReferenceColumn(..) => false,
        _ => true,
    }
}

fn go_on(wanted: bool) -> TreeNodeRecursion {
    match wanted {
        true => TreeNodeRecursion::Continue,
        false => TreeNodeRecursion::Stop,
    }
}

/// The physical plan of a plan whose parameters stand in it, if they stand in conditions on rows only and if it can be kept. `state` has their
/// values in its [`QueryContext`].
pub async fn plan(plan: &LogicalPlan, state: &SessionState) -> DfResult<Option<Template>> {
    let opened = brought::opened(plan.clone())?;
    let optimized = state.optimizer().optimize(opened, state, |_, _| {})?;
    let optimized = brought::with_filters_open(optimized)?;
    if !has_parameters_in_conditions_only(&optimized) {
        return Ok(None);
    }
    let physical = state.query_planner().create_physical_plan(&optimized, state).await?;
    Template::of(&physical)
}

fn has_parameters_in_conditions_only(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let visited = plan.apply(|node| {
        if matches!(node, LogicalPlan::TableScan(_)) {
            return Ok(TreeNodeRecursion::Continue);
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= match expr {
                    Expr::Placeholder(_) => true,
                    Expr::ScalarFunction(function) => brought::is_now(function),
                    _ => false,
                };
                Ok(go_on(!found))
            })
        })
    });
    !found && visited.is_ok()
}

impl Template {
    /// `None` when an operator in it is not known to start anew in a copy.
    fn of(plan: &Arc<dyn ExecutionPlan>) -> DfResult<Option<Template>> {
        Ok(emptied(plan)?.map(|plan| Template {
            chain: Chain::of(&plan),
            plan,
        }))
    }

    /// Starts the plan in one execution; `None` when the scans came out otherwise than it was made for.
    pub fn run(&self, context: &Arc<QueryContext>, zone: &Zone) -> DfResult<Option<SendableRecordBatchStream>> {
        let (state, task) = (&zone.state, zone.task.clone());
        if let Some(chain) = &self.chain {
            return chain.run(context, state, task);
        }
        let bound = rebuilt(&self.plan, &mut |leaf| bound(leaf, context, state), &|node| {
            brought::filled_node(node, context)
        })?;
        bound.map(|plan| execute_stream(plan, task)).transpose()
    }
}

fn emptied(plan: &Arc<dyn ExecutionPlan>) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    with_leaf(plan, &mut |leaf| {
        Ok(if let Some(scan) = leaf.downcast_ref::<SeriesScan>() {
            Some(Arc::new(scan.emptied()) as Arc<dyn ExecutionPlan>)
        } else if let Some(aggregate) = leaf.downcast_ref::<SeriesAggregate>() {
            Some(Arc::new(aggregate.emptied()) as Arc<dyn ExecutionPlan>)
        } else {
            leaf.is::<PlaceholderRowExec>().then(|| leaf.clone())
        })
    })
}

/// A leaf for one execution.
pub fn bound(
    leaf: &Arc<dyn ExecutionPlan>,
    context: &Arc<QueryContext>,
    state: &SessionState,
) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = leaf.downcast_ref::<SeriesScan>() {
        let bound = scan.bound(context, state)?;
        return Ok(bound.map(|scan| Arc::new(scan) as Arc<dyn ExecutionPlan>));
    }
    match leaf.downcast_ref::<SeriesAggregate>() {
        Some(aggregate) => {
            let bound = aggregate.bound(context, state)?;
            Ok(bound.map(|aggregate| Arc::new(aggregate) as Arc<dyn ExecutionPlan>))
        }
        // The row of a SELECT without FROM.
        None => Ok(Some(leaf.clone())),
    }
}

/// A copy with each leaf replaced, and each other node changed; `None` when a leaf has no replacement, or an operator is not known here.
fn rebuilt(
    node: &Arc<dyn ExecutionPlan>,
    leaf: &mut impl FnMut(&Arc<dyn ExecutionPlan>) -> DfResult<Option<Arc<dyn ExecutionPlan>>>,
    change: &impl Fn(Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>>,
) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    let children = node.children();
    if children.is_empty() {
        return leaf(node);
    }
    if !starts_anew(node) {
        return Ok(None);
    }
    let mut copies = Vec::with_capacity(children.len());
    for child in children {
        match rebuilt(child, leaf, change)? {
            Some(copy) => copies.push(copy),
            None => return Ok(None),
        }
    }
    // The new children have the properties of the old ones: nothing is derived again.
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    let copy = node.clone().replace_children(copies, options)?.reset_state()?;
    change(copy).map(Some)
}

/// A copy that is executed by itself, with its leaf replaced; `None` when an operator is not known to start anew in a copy.
pub fn with_leaf(
    node: &Arc<dyn ExecutionPlan>,
    leaf: &mut impl FnMut(&Arc<dyn ExecutionPlan>) -> DfResult<Option<Arc<dyn ExecutionPlan>>>,
) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    rebuilt(node, leaf, &Ok)
}

/// Operators whose `reset_state` leaves nothing of an earlier execution.
fn starts_anew(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<AggregateExec>()
        || node.is::<ProjectionExec>()
        || node.is::<FilterExec>()
        || node.is::<SortExec>()
        || node.is::<SortPreservingMergeExec>()
        || node.is::<CoalescePartitionsExec>()
        || node.is::<GlobalLimitExec>()
        || node.is::<LocalLimitExec>()
        || node.is::<CooperativeExec>()
        || node.is::<EndFirst>()
}
