//! What an execution brings to a plan that was made before it: values of parameters, and the moment that is `now()`.
//!
//! ```text
//! analyzed plan:   ts > now() - interval '1 hour' AND voltage > $1
//!   --opened-->    ts > $now - interval '1 hour' AND voltage > $1        the optimizer leaves it alone
//!   --optimized--> scan: ts > $now - …    filter: voltage > brought('$1')   scans ask the QueryContext; filters have no such thing
//!   --bound-->     scan: ts > $now - …    filter: voltage > 90
//! ```

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Filter, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::context::QueryContext;
use crate::functions::now::Now;
use crate::pg_type::timestamptz_type;

/// The parameter that is the moment of the execution.
pub const NOW: &str = "$now";

/// Whether it is `now()`, by any name, which an execution brings.
pub fn is_now(function: &ScalarFunction) -> bool {
    let implementation: &dyn std::any::Any = function.func.inner().as_ref();
    implementation.downcast_ref::<Now>().is_some_and(Now::is_instant)
}

/// The plan with a parameter for each `now()` in its conditions.
pub fn opened(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let opened = plan.transform_down(|node| match node {
        LogicalPlan::Filter(filter) => in_filter(filter, &|expr| match expr {
            Expr::ScalarFunction(function) if is_now(function) => {
                let field = Field::new(NOW, timestamptz_type(), false);
                Some(Expr::Placeholder(Placeholder::new_with_field(
                    NOW.to_string(),
                    Some(Arc::new(field)),
                )))
            }
            _ => None,
        }),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(opened.data)
}

/// The optimized plan with its filters asking for what is brought. Scans do so by themselves.
pub fn with_filters_open(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let open = plan.transform_down(|node| match node {
        LogicalPlan::Filter(filter) => in_filter(filter, &|expr| match expr {
            Expr::Placeholder(placeholder) => {
                let brought = Brought {
                    id: placeholder.id.clone(),
                    data_type: placeholder.field.as_ref()?.data_type().clone(),
                    signature: Signature::nullary(Volatility::Stable),
                };
                let function = Arc::new(ScalarUDF::from(brought));
                Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, Vec::new())))
            }
            _ => None,
        }),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(open.data)
}

fn in_filter(filter: Filter, replacement: &dyn Fn(&Expr) -> Option<Expr>) -> DfResult<Transformed<LogicalPlan>> {
    let replaced = filter.predicate.clone().transform(|expr| {
        Ok(match replacement(&expr) {
            Some(other) => Transformed::yes(other),
            None => Transformed::no(expr),
        })
    })?;
    Ok(match replaced.transformed {
        true => Transformed::yes(LogicalPlan::Filter(Filter::try_new(replaced.data, filter.input)?)),
        false => Transformed::no(LogicalPlan::Filter(filter)),
    })
}

/// Whether a physical expression waits for what an execution brings.
pub fn is_open(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let is_brought = |node: &Arc<dyn PhysicalExpr>| {
        let function = node.downcast_ref::<ScalarFunctionExpr>();
        function.is_some_and(|function| {
            let implementation: &dyn std::any::Any = function.fun().inner().as_ref();
            implementation.is::<Brought>()
        })
    };
    expr.exists(|node| Ok(is_brought(node))).unwrap_or(true)
}

/// A physical expression with what the execution brings in its places.
pub fn filled(expr: &Arc<dyn PhysicalExpr>, context: &QueryContext) -> DfResult<Transformed<Arc<dyn PhysicalExpr>>> {
    expr.clone().transform_up(|node| {
        let Some(function) = node.downcast_ref::<ScalarFunctionExpr>() else {
            return Ok(Transformed::no(node));
        };
        let implementation: &dyn std::any::Any = function.fun().inner().as_ref();
        match implementation.downcast_ref::<Brought>() {
            Some(brought) => {
                let value = Literal::new(context.value(&brought.id)?);
                Ok(Transformed::yes(Arc::new(value) as Arc<dyn PhysicalExpr>))
            }
            None => Ok(Transformed::no(node)),
        }
    })
}

/// A copy of a plan's node with what the execution brings.
pub fn filled_node(node: Arc<dyn ExecutionPlan>, context: &QueryContext) -> DfResult<Arc<dyn ExecutionPlan>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else {
        return Ok(node);
    };
    let predicate = filled(filter.predicate(), context)?;
    if !predicate.transformed {
        return Ok(node);
    }
    let filled = FilterExecBuilder::from(filter).with_predicate(predicate.data).build()?;
    Ok(Arc::new(filled))
}

/// The place of a value in a filter.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Brought {
    id: String,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Brought {
    fn name(&self) -> &str {
        "brought"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        exec_err!("{} is known only in an execution", self.id)
    }
}
