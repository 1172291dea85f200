//! Types of sums as in PostgreSQL: `sum` of bigints is numeric (DataFusion would add them as bigints, and wrap around), `sum` of reals is real.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, cast};
use datafusion::optimizer::AnalyzerRule;

/// A bigint has 19 digits; one more keeps the sign of the smallest away from the edge.
pub const BIGINT_DIGITS: u8 = 20;

/// The rule.
#[derive(Debug)]
pub struct NumericSums;

/// Sums of reals, which are added as doubles, become real above the aggregate.
fn narrow(plan: LogicalPlan) -> DfResult<Transformed<LogicalPlan>> {
    let LogicalPlan::Aggregate(aggregate) = &plan else {
        return Ok(Transformed::no(plan));
    };
    let input = aggregate.input.schema();
    let is_real_sum = |expr: &Expr| match expr.clone().unalias() {
        Expr::AggregateFunction(AggregateFunction { func, params }) if func.name() == "sum" => {
            matches!(
                params.args.first().map(|arg| arg.get_type(input)),
                Some(Ok(DataType::Float32))
            )
        }
        _ => false,
    };
    if !aggregate.aggr_expr.iter().any(is_real_sum) {
        return Ok(Transformed::no(plan));
    }
    let groups = plan.schema().fields().len() - aggregate.aggr_expr.len();
    let mut list = Vec::new();
    for (index, (qualifier, field)) in plan.schema().iter().enumerate() {
        let column = Expr::from((qualifier, field));
        let real = index >= groups && is_real_sum(&aggregate.aggr_expr[index - groups]);
        list.push(match real {
            true => cast(column, DataType::Float32).alias_qualified(qualifier.cloned(), field.name()),
            false => column,
        });
    }
    let plan = LogicalPlanBuilder::from(plan).project(list)?.build()?;
    Ok(Transformed::yes(plan))
}

fn widen(args: &mut [Expr], schema: &DFSchema) -> bool {
    match args.first_mut() {
        Some(arg) if matches!(arg.get_type(schema), Ok(DataType::Int64)) => {
            *arg = cast(arg.clone(), DataType::Decimal128(BIGINT_DIGITS, 0));
            true
        }
        _ => false,
    }
}

fn rewrite(expr: Expr, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
    Ok(match expr {
        Expr::AggregateFunction(AggregateFunction { func, mut params }) if func.name() == "sum" => {
            let changed = widen(&mut params.args, schema);
            let expr = Expr::AggregateFunction(AggregateFunction { func, params });
            Transformed::new_transformed(expr, changed)
        }
        Expr::WindowFunction(mut window) if is_sum(&window) => {
            let changed = widen(&mut window.params.args, schema);
            Transformed::new_transformed(Expr::WindowFunction(window), changed)
        }
        other => Transformed::no(other),
    })
}

fn is_sum(window: &WindowFunction) -> bool {
    matches!(&window.fun, WindowFunctionDefinition::AggregateUDF(function) if function.name() == "sum")
}

impl AnalyzerRule for NumericSums {
    fn name(&self) -> &str {
        "numeric_sums"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> DfResult<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let preserver = NamePreserver::new(&plan);
            let changed = plan.map_expressions(|expr| {
                let name = preserver.save(&expr);
                let rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            // Types change upwards from here.
            changed.map_data(LogicalPlan::recompute_schema)?.transform_data(narrow)
        })?;
        Ok(rewritten.data)
    }
}
