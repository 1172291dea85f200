//! Decimal literals are numeric, as in PostgreSQL, and give way to floats that they meet.
//!
//! DataFusion compares a decimal with a double as decimals of fifteen places: slower, not what PostgreSQL does, and opaque to a scan's bounds.
//! So a numeric beside a float becomes a float here, before DataFusion's own coercion; a literal at once, so that a scan still sees
//! `column > literal`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result as DfResult};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Union, cast};
use datafusion::sql::sqlparser::ast::{self, ExactNumberInfo, Function, FunctionArg, FunctionArgExpr, Value};

use super::numeric;
use crate::functions::numeric::{NUMERIC, cast_scalar};

/// Digits of a literal that a double holds so exactly that comparing any integer with it gives what comparing the numerics would.
const DOUBLE_DIGITS: u8 = 15;

/// Fewer digits than this always fit a bigint.
const BIGINT_DIGITS_MIN: usize = 19;

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
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
            | DataType::LargeBinary
    )
}

/// A numeric expression as a double; a literal at once.
fn doubled(expr: Expr, is_numeric: bool) -> DfResult<Expr> {
    match expr {
        Expr::Literal(value, metadata) => Ok(Expr::Literal(cast_scalar(&value, &DataType::Float64)?, metadata)),
        other if is_numeric => numeric::to(other, &DataType::Float64),
        other => Ok(cast(other, DataType::Float64)),
    }
}

fn decimal_type(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.get_type(schema).ok().filter(is_decimal)
}

/// Beside something of this type.
pub fn meeting(expr: Expr, beside: &DataType, comparison: bool, schema: &DFSchema) -> DfResult<Expr> {
    match decimal_type(&expr, schema) {
        Some(data_type) if beside.is_floating() => doubled(expr, data_type == NUMERIC),
        Some(DataType::Decimal128(digits, _))
            if comparison && beside.is_integer() && digits <= DOUBLE_DIGITS && matches!(expr, Expr::Literal(..)) =>
        {
            doubled(expr, false)
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

/// A literal, or one that was cast to its type.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_constant(&cast.expr),
        _ => false,
    }
}

/// Values of which one is chosen, as of COALESCE and CASE: doubles if any of them is a float.
pub fn alternatives(exprs: Vec<Expr>, schema: &DFSchema) -> DfResult<Vec<Expr>> {
    let floating = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type.is_floating());
    if !exprs.iter().any(floating) {
        // One scale for all of them would not be that of each.
        let types: Vec<DataType> = exprs.iter().filter_map(|expr| expr.get_type(schema).ok()).collect();
        let types: Vec<&DataType> = types.iter().collect();
        let constants = exprs.iter().all(is_constant);
        let numerics = exprs.iter().any(|expr| numeric::is(expr, schema));
        let apart = constants && together(&types) == Some(Together::Numerics);
        return match numerics || apart {
            true => exprs.into_iter().map(|expr| numeric::from_any(expr, schema)).collect(),
            false => Ok(exprs),
        };
    }
    exprs
        .into_iter()
        .map(|expr| meeting(expr, &DataType::Float64, false, schema))
        .collect()
}

/// What the numbers of one column of a UNION become together.
#[derive(Clone, Copy, PartialEq)]
enum Together {
    /// A float is among them.
    Doubles,
    /// Numerics, or decimals of several scales.
    Numerics,
}

fn together(types: &[&DataType]) -> Option<Together> {
    if !types.iter().any(|data_type| is_decimal(data_type)) {
        return None;
    }
    if types.iter().any(|data_type| data_type.is_floating()) {
        return Some(Together::Doubles);
    }
    let numbers = types
        .iter()
        .all(|data_type| is_decimal(data_type) || data_type.is_integer() || **data_type == DataType::Null);
    let first = types.first()?;
    let differ = types.iter().any(|data_type| data_type != first);
    (numbers && differ).then_some(Together::Numerics)
}

/// The inputs of a UNION: numerics become doubles in columns where another input has a float, and decimals of several scales keep each its own.
pub fn union(union: Union) -> DfResult<LogicalPlan> {
    let columns = union.schema.fields().len();
    let of_column = |column: usize| {
        let fields = union
            .inputs
            .iter()
            .filter_map(|input| input.schema().fields().get(column));
        let types: Vec<&DataType> = fields.map(|field| field.data_type()).collect();
        together(&types)
    };
    let wanted: Vec<Option<Together>> = (0..columns).map(of_column).collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(LogicalPlan::Union(union));
    }
    let inputs = union.inputs.iter().map(|input| {
        let schema = input.schema();
        let list = schema.iter().zip(&wanted).map(|((qualifier, field), wanted)| {
            let column = Expr::from((qualifier, field));
            let column = match wanted {
                Some(Together::Doubles) if is_decimal(field.data_type()) => {
                    doubled(column, *field.data_type() == NUMERIC)?
                }
                Some(Together::Numerics) => numeric::from_any(column, schema)?,
                _ => return Ok(column),
            };
            Ok(column.alias_qualified(qualifier.cloned(), field.name()))
        });
        let list = list.collect::<DfResult<Vec<Expr>>>()?;
        let plan = LogicalPlanBuilder::from(input.as_ref().clone())
            .project(list)?
            .build()?;
        Ok(Arc::new(plan))
    });
    let inputs = inputs.collect::<DfResult<Vec<_>>>()?;
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

/// A literal's text where the planner would make something else of it than a numeric.
pub fn literal(digits: &str) -> Option<ast::Expr> {
    // Whole numbers beyond a bigint are numerics, too.
    if !digits.contains(['.', 'e', 'E']) && (digits.len() < BIGINT_DIGITS_MIN || digits.parse::<i64>().is_ok()) {
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
    let decimal = |text: &String| short(text) && text.contains('.');
    match plain.filter(decimal) {
        Some(plain) if plain == digits => None,
        Some(plain) => Some(ast::Expr::Value(Value::Number(plain, false).into())),
        // As a text it keeps all of its digits.
        None => Some(ast::Expr::Cast {
            kind: ast::CastKind::DoubleColon,
            expr: Box::new(ast::Expr::Value(Value::SingleQuotedString(digits.to_string()).into())),
            data_type: ast::DataType::Numeric(ExactNumberInfo::None),
            array: false,
            format: None,
        }),
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
            && let Some(literal) = literal_inside(expr)
        {
            *expr = double(literal);
        }
    }
}

/// A decimal literal, or the text that `literal` has made of one.
fn literal_inside(expr: &ast::Expr) -> Option<ast::Expr> {
    match expr {
        ast::Expr::Value(value) => {
            matches!(&value.value, Value::Number(digits, _) if digits.contains('.')).then(|| expr.clone())
        }
        ast::Expr::Cast {
            expr,
            data_type: ast::DataType::Numeric(ExactNumberInfo::None),
            ..
        } => match expr.as_ref() {
            ast::Expr::Value(value) => {
                matches!(&value.value, Value::SingleQuotedString(_)).then(|| expr.as_ref().clone())
            }
            _ => None,
        },
        ast::Expr::UnaryOp {
            op: op @ (ast::UnaryOperator::Minus | ast::UnaryOperator::Plus),
            expr,
        } => {
            let expr = Box::new(double(literal_inside(expr)?));
            Some(ast::Expr::UnaryOp { op: *op, expr })
        }
        ast::Expr::Nested(expr) => literal_inside(expr),
        _ => None,
    }
}

fn number_literal(expr: &ast::Expr) -> Option<&str> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        }
        | ast::Expr::Nested(expr) => number_literal(expr),
        _ => None,
    }
}

/// The columns of VALUES: decimal literals of several scales keep each its own, and are doubles beside a double.
pub fn values(rows: &mut [ast::Parens<Vec<ast::Expr>>]) {
    let columns = rows.iter().map(|row| row.content.len()).max().unwrap_or(0);
    for column in 0..columns {
        let cells = || rows.iter().filter_map(|row| row.content.get(column));
        let is_double = |expr: &ast::Expr| {
            matches!(
                expr,
                ast::Expr::Cast {
                    data_type: ast::DataType::Double(_)
                        | ast::DataType::DoublePrecision
                        | ast::DataType::Float(_)
                        | ast::DataType::Float8
                        | ast::DataType::Float4
                        | ast::DataType::Real,
                    ..
                }
            )
        };
        let scale = |digits: &str| digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let scales: Vec<usize> = cells().filter_map(number_literal).map(scale).collect();
        let with_double = cells().any(is_double);
        let differ = scales.iter().any(|scale| scales.first() != Some(scale));
        if !with_double && !differ {
            continue;
        }
        for cell in rows.iter_mut().filter_map(|row| row.content.get_mut(column)) {
            if number_literal(cell).is_some() {
                *cell = match with_double {
                    true => double(cell.clone()),
                    false => ast::Expr::Cast {
                        kind: ast::CastKind::DoubleColon,
                        expr: Box::new(cell.clone()),
                        data_type: ast::DataType::Numeric(ExactNumberInfo::None),
                        array: false,
                        format: None,
                    },
                };
            }
        }
    }
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
        assert_eq!(written("1.5e3").as_deref(), Some("'1.5e3'::NUMERIC"));
        assert_eq!(written("9223372036854775807"), None);
        assert_eq!(
            written("9223372036854775808").as_deref(),
            Some("'9223372036854775808'::NUMERIC")
        );
        assert_eq!(written("1.5e-3").as_deref(), Some("0.0015"));
        assert_eq!(written("125e-1").as_deref(), Some("12.5"));
        assert_eq!(written("1e400").as_deref(), Some("'1e400'::NUMERIC"));
    }
}
