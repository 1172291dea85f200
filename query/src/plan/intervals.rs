//! Intervals where they are asked for equality or order: by their length, a month being 30 days and a day 24 hours.
//!
//! Arrow compares months, then days, then the rest. So what is compared, sorted and told apart here is `interval_length(x)`; what is shown is
//! the interval itself: of a group that of its first row.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Between, BinaryExpr, InList, ScalarFunction};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDFImpl, when,
};

use crate::functions::interval::{Extreme, Greatest};
use crate::functions::spans::{Span, SpanFunction};

fn call(function: impl ScalarUDFImpl + 'static, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function.into()), args))
}

/// Whether an expression is an interval.
pub fn is(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

/// An interval, or a difference of timestamps, which can stand beside one.
fn is_span(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(
        expr.get_type(schema),
        Ok(DataType::Interval(_) | DataType::Duration(_) | DataType::Null)
    )
}

/// Whether values are compared as intervals: differences of timestamps among themselves need not be.
fn compared(exprs: &[&Expr], schema: &DFSchema) -> bool {
    exprs.iter().any(|expr| is(expr, schema)) && exprs.iter().all(|expr| is_span(expr, schema))
}

fn length(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(ScalarValue::Null, _) => expr,
        expr => call(SpanFunction::new(Span::Length), vec![expr]),
    }
}

/// What an expression is sorted and told apart by.
pub fn keyed(expr: Expr, schema: &DFSchema) -> Expr {
    if is(&expr, schema) { length(expr) } else { expr }
}

/// The two sides of a comparison.
pub fn sides(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    match compared(&[&left, &right], schema) {
        true => (length(left), length(right)),
        false => (left, right),
    }
}

/// `x BETWEEN a AND b`.
pub fn range(between: Between, schema: &DFSchema) -> Between {
    if !compared(&[&between.expr, &between.low, &between.high], schema) {
        return between;
    }
    let side = |expr: Box<Expr>| Box::new(length(*expr));
    Between::new(
        side(between.expr),
        between.negated,
        side(between.low),
        side(between.high),
    )
}

/// `x IN (a, b)`.
pub fn list(list: InList, schema: &DFSchema) -> InList {
    let parts: Vec<&Expr> = std::iter::once(list.expr.as_ref()).chain(&list.list).collect();
    if !compared(&parts, schema) {
        return list;
    }
    InList {
        list: list.list.into_iter().map(length).collect(),
        expr: Box::new(length(*list.expr)),
        negated: list.negated,
    }
}

/// `nullif(a, b)`; `None` where these are no intervals.
pub fn null_if(args: &[Expr], schema: &DFSchema) -> DfResult<Option<Expr>> {
    let [value, other] = args else {
        return Ok(None);
    };
    if !compared(&[value, other], schema) {
        return Ok(None);
    }
    let equal = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(length(value.clone())),
        Operator::Eq,
        Box::new(length(other.clone())),
    ));
    let null = Expr::Literal(ScalarValue::IntervalMonthDayNano(None), None);
    when(equal, null).otherwise(value.clone()).map(Some)
}

/// `greatest` and `least` of intervals; `None` where these are none.
pub fn greatest(name: &str, args: &[Expr], schema: &DFSchema) -> Option<Expr> {
    let largest = match name {
        "greatest" => true,
        "least" => false,
        _ => return None,
    };
    let parts: Vec<&Expr> = args.iter().collect();
    compared(&parts, schema).then(|| call(Greatest::new(largest), args.to_vec()))
}

/// `min` and `max` of intervals; `None` for every other aggregate.
pub fn aggregate(name: &str, args: &[Expr], schema: &DFSchema) -> Option<Arc<AggregateUDF>> {
    let largest = match name {
        "max" => true,
        "min" => false,
        _ => return None,
    };
    let of_interval = args.first().is_some_and(|arg| is(arg, schema));
    of_interval.then(|| Arc::new(Extreme::new(largest).into()))
}

/// Rows grouped by the lengths of intervals, each group with the interval of its first row.
pub fn grouped(aggregate: Aggregate) -> DfResult<LogicalPlan> {
    let input = aggregate.input.schema().clone();
    let groups = aggregate.group_expr.len();
    if !aggregate.group_expr.iter().any(|expr| is(expr, &input)) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let shown = aggregate.schema.clone();
    let name = |place: usize| format!("interval of group {place}");
    let mut keys = Vec::with_capacity(groups);
    let mut values = aggregate.aggr_expr;
    for (place, expr) in aggregate.group_expr.into_iter().enumerate() {
        if !is(&expr, &input) {
            keys.push(expr);
            continue;
        }
        let expr = expr.unalias();
        let function =
            AggregateFunction::new_udf(first_value_udaf(), vec![expr.clone()], false, None, Vec::new(), None);
        values.push(Expr::AggregateFunction(function).alias(name(place)));
        keys.push(length(expr).alias(format!("length of group {place}")));
    }
    let known: Vec<String> = (0..groups).map(name).collect();
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, keys, values)?);
    let list: Vec<Expr> = shown
        .iter()
        .enumerate()
        .map(|(place, (qualifier, field))| {
            let of_interval = place < groups && plan.schema().has_column_with_unqualified_name(&known[place]);
            match of_interval {
                true => Expr::Column(datafusion::common::Column::from_name(&known[place]))
                    .alias_qualified(qualifier.cloned(), field.name()),
                false => Expr::from((qualifier, field)),
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(list)?.build()
}

/// The rows of DISTINCT with intervals in them.
pub fn distinct(input: Arc<LogicalPlan>) -> DfResult<LogicalPlan> {
    let columns = input.schema().iter().map(Expr::from).collect();
    grouped(Aggregate::try_new(input, columns, Vec::new())?)
}
