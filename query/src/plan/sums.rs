//! `sum` of bigints is numeric, as in PostgreSQL: DataFusion would add them as bigints, and wrap around.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition, cast};
use datafusion::optimizer::AnalyzerRule;

/// A bigint has 19 digits; one more keeps the sign of the smallest away from the edge.
pub const BIGINT_DIGITS: u8 = 20;

/// The rule.
#[derive(Debug)]
pub struct NumericSums;

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
            changed.map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(rewritten.data)
    }
}
