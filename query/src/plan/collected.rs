//! Aggregates that are a function of collected values.
//!
//! | they write | it becomes |
//! |---|---|
//! | `jsonb_agg(x ORDER BY y)` | `jsonb_of_array(array_agg(to_jsonb(x) ORDER BY y))` |
//! | `jsonb_object_agg(k, v)` | `jsonb_of_pairs(array_agg(k), array_agg(to_jsonb(v)))` |
//! | `percentile_disc(0.5) WITHIN GROUP (ORDER BY x)` | `percentile_disc_of(0.5, array_agg(x ORDER BY x) FILTER (WHERE x IS NOT NULL))` |
//! | `mode() WITHIN GROUP (ORDER BY x)` | `mode_of(array_agg(x ORDER BY x) FILTER (WHERE x IS NOT NULL))` |
//! | `rank(v) WITHIN GROUP (ORDER BY x)` | `1 + count(*) FILTER (WHERE x < v)` |
//!
//! FILTER, DISTINCT and OVER go to the aggregate inside.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    ObjectName, OrderByExpr, Value,
};

use super::rewrite::{call_all, narrow_literal};

/// The call in other words; `None` where it is none of these.
pub fn aggregate(name: &str, function: &Function) -> Option<Expr> {
    match name {
        "json_agg" | "jsonb_agg" => {
            let of_array = if name == "json_agg" {
                "json_of_array"
            } else {
                "jsonb_of_array"
            };
            let args = arguments(function)?;
            let [value] = args.as_slice() else { return None };
            let value = as_json(name, value);
            let collected = with_arguments(&renamed(function, "array_agg"), vec![value]);
            Some(call_all(of_array, vec![collected]))
        }
        "json_object_agg" | "jsonb_object_agg" => {
            let of_pairs = match name {
                "json_object_agg" => "json_of_pairs",
                _ => "jsonb_of_pairs",
            };
            let args = arguments(function)?;
            let [key, value] = args.as_slice() else { return None };
            let collected = |arg: Expr| with_arguments(&renamed(function, "array_agg"), vec![arg]);
            let value = as_json(name, value);
            Some(call_all(of_pairs, vec![collected(key.clone()), collected(value)]))
        }
        "percentile_disc" | "percentile_cont" => {
            let [order] = function.within_group.as_slice() else {
                return None;
            };
            let args = arguments(function)?;
            let [fraction] = args.as_slice() else { return None };
            let several = is_array(fraction);
            if name == "percentile_cont" && !several {
                // DataFusion's own does not keep all values.
                return None;
            }
            let of = format!("{name}_of");
            Some(call_all(&of, vec![fraction.clone(), sorted(function, order)]))
        }
        "mode" => {
            let [order] = function.within_group.as_slice() else {
                return None;
            };
            Some(call_all("mode_of", vec![sorted(function, order)]))
        }
        "rank" if !function.within_group.is_empty() => {
            let [order] = function.within_group.as_slice() else {
                return None;
            };
            let args = arguments(function)?;
            let [value] = args.as_slice() else { return None };
            let descending = order.options.asc == Some(false);
            let op = if descending {
                BinaryOperator::Gt
            } else {
                BinaryOperator::Lt
            };
            let before = Expr::BinaryOp {
                left: Box::new(order.expr.clone()),
                op,
                right: Box::new(value.clone()),
            };
            let one = || Expr::Value(Value::Number("1".into(), false).into());
            let mut counted = renamed(function, "count");
            counted.filter = Some(Box::new(both(counted.filter.take(), before)));
            counted.within_group = Vec::new();
            Some(Expr::Nested(Box::new(Expr::BinaryOp {
                left: Box::new(with_arguments(&counted, vec![one()])),
                op: BinaryOperator::Plus,
                right: Box::new(one()),
            })))
        }
        _ => None,
    }
}

/// A value as JSON before it is collected, while its type is known.
fn as_json(aggregate: &str, value: &Expr) -> Expr {
    let function = if aggregate.starts_with("jsonb") {
        "to_jsonb"
    } else {
        "to_json"
    };
    let mut value = value.clone();
    narrow_literal(&mut value);
    call_all(function, vec![value])
}

fn is_array(expr: &Expr) -> bool {
    match expr {
        Expr::Array(_) => true,
        Expr::Cast { data_type, .. } => matches!(data_type, datafusion::sql::sqlparser::ast::DataType::Array(_)),
        Expr::Nested(inner) => is_array(inner),
        _ => false,
    }
}

fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

fn renamed(function: &Function, name: &str) -> Function {
    let mut function = function.clone();
    function.name = ObjectName::from(vec![Ident::new(name)]);
    function
}

fn with_arguments(function: &Function, args: Vec<Expr>) -> Expr {
    let mut function = function.clone();
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = args
            .into_iter()
            .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
            .collect();
    }
    Expr::Function(function)
}

fn both(filter: Option<Box<Expr>>, condition: Expr) -> Expr {
    match filter {
        Some(filter) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(filter)),
            op: BinaryOperator::And,
            right: Box::new(Expr::Nested(Box::new(condition))),
        },
        None => condition,
    }
}

/// The values in order, without NULLs.
fn sorted(function: &Function, order: &OrderByExpr) -> Expr {
    let mut collected = renamed(function, "array_agg");
    collected.within_group = Vec::new();
    let known = Expr::IsNotNull(Box::new(order.expr.clone()));
    collected.filter = Some(Box::new(both(collected.filter.take(), known)));
    if let FunctionArguments::List(list) = &mut collected.args {
        list.clauses = vec![FunctionArgumentClause::OrderBy(vec![order.clone()])];
    }
    with_arguments(&collected, vec![order.expr.clone()])
}
