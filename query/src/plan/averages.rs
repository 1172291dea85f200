//! Averages of integers and decimals: sums and counts, which blocks answer, and one division of numerics for each group above them.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::{Column, DFSchema, Result as DfResult};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{Aggregate, AggregateUDF, Expr, ExprSchemable, ScalarUDFImpl};

use super::numeric;
use crate::functions::numeric::{NumericOperation, NumericOperator};
use crate::functions::numeric_aggregates::Made;
use crate::functions::overloaded::OverloadedAggregate;

/// Whether an aggregate is an average of what has a scale of its own.
pub fn is_of_integers(function: &AggregateFunction, schema: &DFSchema) -> bool {
    let inner: &dyn Any = function.func.inner().as_ref();
    let Some(overloaded) = inner.downcast_ref::<OverloadedAggregate>() else {
        return false;
    };
    let [arg] = function.params.args.as_slice() else {
        return false;
    };
    let types: Vec<_> = arg.get_type(schema).into_iter().collect();
    overloaded.made == Some(Made::Average) && overloaded.gives_numeric(&types) && !numeric::is(arg, schema)
}

fn call(function: impl ScalarUDFImpl + 'static, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function.into()), args))
}

/// The aggregate without averages, and what has to be projected above it for them to be there again.
pub fn split(aggregate: Aggregate) -> DfResult<(Aggregate, Option<Vec<Expr>>)> {
    let input = aggregate.input.schema().clone();
    let average = |expr: &Expr| match expr.clone().unalias() {
        Expr::AggregateFunction(function) if is_of_integers(&function, &input) => Some(function),
        _ => None,
    };
    let averages: Vec<Option<AggregateFunction>> = aggregate.aggr_expr.iter().map(average).collect();
    if averages.iter().all(Option::is_none) {
        return Ok((aggregate, None));
    }
    let shown = aggregate.schema.clone();
    let groups = shown.fields().len() - averages.len();
    let others: Vec<Option<Expr>> = aggregate
        .aggr_expr
        .iter()
        .zip(&averages)
        .map(|(expr, average)| average.is_none().then(|| expr.clone().unalias()))
        .collect();
    let mut exprs: Vec<Expr> = aggregate
        .aggr_expr
        .into_iter()
        .zip(&averages)
        .filter_map(|(expr, average)| average.is_none().then_some(expr))
        .collect();
    // The column of an aggregate, which may be asked for by itself: computed once, so that what is cast for it has one user.
    let mut column_of = |func: Arc<AggregateUDF>, average: &AggregateFunction, name: String| {
        let function = Expr::AggregateFunction(AggregateFunction {
            func,
            params: average.params.clone(),
        });
        match others.iter().position(|other| other.as_ref() == Some(&function)) {
            Some(place) => {
                let (qualifier, field) = shown.qualified_field(groups + place);
                Expr::from((qualifier, field))
            }
            None => {
                exprs.push(function.alias(name.clone()));
                Expr::Column(Column::from_name(name))
            }
        }
    };
    let mut list = Vec::with_capacity(shown.fields().len());
    for (index, (qualifier, field)) in shown.iter().enumerate() {
        let place = index.checked_sub(groups);
        list.push(match place.and_then(|place| averages[place].as_ref()) {
            Some(average) => {
                let sum = column_of(sum_udaf(), average, format!("sum of average {index}"));
                let count = column_of(count_udaf(), average, format!("count of average {index}"));
                call(NumericOperation::new(NumericOperator::Over), vec![sum, count])
                    .alias_qualified(qualifier.cloned(), field.name())
            }
            None => Expr::from((qualifier, field)),
        });
    }
    Ok((
        Aggregate::try_new(aggregate.input, aggregate.group_expr, exprs)?,
        Some(list),
    ))
}
