//! Decimal literals are numeric, as in PostgreSQL, and give way to floats that they meet.
//!
//! DataFusion compares a decimal with a double as decimals of fifteen places: slower, not what PostgreSQL does, and opaque to a scan's bounds.
//! So a numeric beside a float becomes a float here, before DataFusion's own coercion; a literal at once, so that a scan still sees
//! `column > literal`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Union, cast};
use datafusion::sql::sqlparser::ast::{self, ExactNumberInfo, Function, FunctionArg, FunctionArgExpr, Value};

/// Digits of a literal that a double holds so exactly that comparing any integer with it gives what comparing the numerics would.
const DOUBLE_DIGITS: u8 = 15;

/// Digits of a literal that stays numeric.
const NUMERIC_DIGITS: usize = 38;

/// Functions that mean something else, or something more exact, for numerics; the others take doubles, as DataFusion wrote them.
const OF_NUMERICS: &[&str] = &[
    "abs",
    "any_equal",
    "array_agg",
    "avg",
    "ceil",
    "ceiling",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "first_value",
    "floor",
    "format",
    "generate_series",
    "greatest",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "lag",
    "last_value",
    "lead",
    "least",
    "max",
    "min",
    "mod",
    "nullif",
    "pg_typeof",
    "round",
    "sign",
    "sum",
    "to_char",
    "to_json",
    "to_jsonb",
    "trunc",
];

fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

/// A numeric expression as a double; a literal at once.
fn doubled(expr: Expr) -> DfResult<Expr> {
    match expr {
        Expr::Literal(value, metadata) => Ok(Expr::Literal(value.cast_to(&DataType::Float64)?, metadata)),
        other => Ok(cast(other, DataType::Float64)),
    }
}

fn decimal_type(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.get_type(schema).ok().filter(is_decimal)
}

/// Beside something of this type.
pub fn meeting(expr: Expr, beside: &DataType, comparison: bool, schema: &DFSchema) -> DfResult<Expr> {
    match decimal_type(&expr, schema) {
        Some(_) if beside.is_floating() => doubled(expr),
        Some(DataType::Decimal128(digits, _))
            if comparison && beside.is_integer() && digits <= DOUBLE_DIGITS && matches!(expr, Expr::Literal(..)) =>
        {
            doubled(expr)
        }
        _ => Ok(expr),
    }
}

/// The operands of an operator.
pub fn operands(left: Expr, right: Expr, comparison: bool, schema: &DFSchema) -> DfResult<(Expr, Expr)> {
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok((left, right));
    };
    Ok((
        meeting(left, &right_type, comparison, schema)?,
        meeting(right, &left_type, comparison, schema)?,
    ))
}

/// Values of which one is chosen, as of COALESCE and CASE: doubles if any of them is a float.
pub fn alternatives(exprs: Vec<Expr>, schema: &DFSchema) -> DfResult<Vec<Expr>> {
    let floating = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type.is_floating());
    if !exprs.iter().any(floating) {
        return Ok(exprs);
    }
    exprs
        .into_iter()
        .map(|expr| meeting(expr, &DataType::Float64, false, schema))
        .collect()
}

/// The inputs of a UNION: numerics become doubles in columns where another input has a float.
pub fn union(union: Union) -> DfResult<LogicalPlan> {
    let floating = |column: usize| {
        let of_column = union
            .inputs
            .iter()
            .filter_map(|input| input.schema().fields().get(column));
        of_column.into_iter().any(|field| field.data_type().is_floating())
    };
    let columns = union.schema.fields().len();
    let meets: Vec<bool> = (0..columns).map(floating).collect();
    let is_met = |input: &LogicalPlan| {
        let fields = input.schema().fields().iter().zip(&meets);
        fields
            .into_iter()
            .any(|(field, meets)| *meets && is_decimal(field.data_type()))
    };
    if !union.inputs.iter().any(|input| is_met(input)) {
        return Ok(LogicalPlan::Union(union));
    }
    let inputs = union.inputs.iter().map(|input| {
        let list = input.schema().iter().zip(&meets).map(|((qualifier, field), meets)| {
            let column = Expr::from((qualifier, field));
            match *meets && is_decimal(field.data_type()) {
                true => cast(column, DataType::Float64).alias_qualified(qualifier.cloned(), field.name()),
                false => column,
            }
        });
        let plan = LogicalPlanBuilder::from(input.as_ref().clone())
            .project(list)?
            .build()?;
        Ok(Arc::new(plan))
    });
    let inputs = inputs.collect::<DfResult<Vec<_>>>()?;
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

/// A literal of a cast to `numeric` without precision keeps its own digits, and integers have none after the point.
pub fn unconstrained(expr: &Expr, field: &Arc<Field>, schema: &DFSchema) -> Option<DataType> {
    use crate::pg_type::{arrow_type, oid};
    if Some(field.data_type()) != arrow_type(oid::NUMERIC).as_ref() {
        return None;
    }
    match expr.get_type(schema).ok()? {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(DataType::Decimal128(20, 0)),
        decimal @ DataType::Decimal128(..) => Some(decimal),
        _ => None,
    }
}

/// A literal's text where the planner would make something else of it than a numeric.
pub fn literal(digits: &str) -> Option<ast::Expr> {
    if !digits.contains(['.', 'e', 'E']) {
        return None;
    }
    let plain = match digits.find(['e', 'E']) {
        Some(at) => digits[at + 1..]
            .parse::<i32>()
            .ok()
            .and_then(|exponent| shifted(&digits[..at], exponent)),
        None => Some(digits.to_string()),
    };
    let short = |text: &String| text.bytes().filter(u8::is_ascii_digit).count() <= NUMERIC_DIGITS;
    match plain.filter(short) {
        Some(plain) if plain == digits => None,
        Some(plain) => Some(ast::Expr::Value(Value::Number(plain, false).into())),
        None => Some(double(ast::Expr::Value(
            Value::SingleQuotedString(digits.to_string()).into(),
        ))),
    }
}

/// `1.5` and 3 are `1500`.
fn shifted(mantissa: &str, exponent: i32) -> Option<String> {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let moved = usize::try_from(exponent.unsigned_abs())
        .ok()
        .filter(|moved| *moved <= NUMERIC_DIGITS)?;
    let (whole, fraction) = match exponent >= 0 {
        true => {
            let taken = moved.min(fraction.len());
            (
                format!("{whole}{}{}", &fraction[..taken], "0".repeat(moved - taken)),
                fraction[taken..].to_string(),
            )
        }
        false => {
            let kept = whole.len().saturating_sub(moved);
            let zeros = "0".repeat(moved.saturating_sub(whole.len()));
            (
                whole[..kept].to_string(),
                format!("{zeros}{}{fraction}", &whole[kept..]),
            )
        }
    };
    let whole = if whole.is_empty() { "0".to_string() } else { whole };
    // 1e3 is a numeric, but its digits alone read as an integer, which every operator takes in its place.
    Some(format!("{whole}.{fraction}").trim_end_matches('.').to_string())
}

fn double(expr: ast::Expr) -> ast::Expr {
    ast::Expr::Cast {
        kind: ast::CastKind::DoubleColon,
        expr: Box::new(expr),
        data_type: ast::DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    }
}

/// Decimal literals among the arguments of a function that takes doubles.
pub fn arguments(name: &str, function: &mut Function) {
    if OF_NUMERICS.binary_search(&name).is_ok() {
        return;
    }
    let ast::FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    for arg in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named {
            arg: FunctionArgExpr::Expr(expr),
            ..
        } = arg
            && is_literal(expr)
        {
            *expr = double(expr.clone());
        }
    }
}

fn is_literal(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits.contains('.')),
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus | ast::UnaryOperator::Plus,
            expr,
        }
        | ast::Expr::Nested(expr) => is_literal(expr),
        _ => false,
    }
}

/// The value of a literal that keeps its own scale.
pub fn keeps_scale(value: &ScalarValue, data_type: &DataType) -> bool {
    matches!(
        (value, data_type),
        (ScalarValue::Decimal128(..), DataType::Decimal128(38, 10))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_in_order() {
        assert!(OF_NUMERICS.is_sorted());
    }

    #[test]
    fn exponents_are_written_out() {
        let written = |digits: &str| literal(digits).map(|expr| expr.to_string());
        assert_eq!(written("1.5"), None);
        assert_eq!(written("15"), None);
        assert_eq!(written("1.5e3").as_deref(), Some("1500"));
        assert_eq!(written("1.5e-3").as_deref(), Some("0.0015"));
        assert_eq!(written("125e-1").as_deref(), Some("12.5"));
        assert_eq!(written("1e400").as_deref(), Some("'1e400'::DOUBLE"));
    }
}
