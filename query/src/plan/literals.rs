//! Quoted literals take the type of what they meet, and are read as PostgreSQL reads them, in the session's time zone.
//!
//! Runs before DataFusion's own coercion, which would cast them with Arrow's rules.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono_tz::Tz;
use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::{Between, BinaryExpr, Case, Cast, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;

use super::{errors, intervals, numbers, numeric};
use crate::functions;
use crate::functions::number_cast::NumberCast;
use crate::functions::numeric::cast_scalar;
use crate::functions::numeric::{DISTINCT, NOT_DISTINCT};
use crate::functions::read_text::ReadText;
use crate::functions::spans::{Span, SpanFunction};
use crate::functions::time_shift::TimeShift;
use crate::pg_type::array::{innermost, is_nested};
use crate::pg_type::time::Reading;
use crate::pg_type::{self, oid, parse_literal};

/// The rule, for sessions in one time zone and with one order of days.
#[derive(Debug)]
pub struct Literals {
    reading: Reading,
}

impl Literals {
    pub fn new(reading: Reading) -> Literals {
        Literals { reading }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
        let expr = operator_again(expr);
        if let Expr::BinaryExpr(binary) = &expr
            && let Some(shifted) = shifted(binary, schema)
        {
            return Ok(Transformed::yes(shifted));
        }
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() || is_distinct(op) => {
                let (left, right) = match (text(&left), text(&right)) {
                    (Some(literal), None) => (
                        self.read(literal, &right, schema)?.map_or(left.clone(), Box::new),
                        right,
                    ),
                    (None, Some(literal)) => {
                        let read = self.read(literal, &left, schema)?;
                        (left, read.map_or(right.clone(), Box::new))
                    }
                    _ => (left, right),
                };
                let (left, right) = match is_comparison(op) {
                    true => {
                        let (left, right) = intervals::sides(*left, *right, schema);
                        (Box::new(left), Box::new(right))
                    }
                    false => (left, right),
                };
                numeric::settle(Expr::BinaryExpr(BinaryExpr { left, op, right }), schema)
            }
            Expr::Between(Between {
                expr,
                negated,
                low,
                high,
            }) => {
                let low = self.read_or(*low, &expr, schema)?;
                let high = self.read_or(*high, &expr, schema)?;
                let beside = expr.get_type(schema)?;
                let low = numbers::meeting(low, &beside, true, schema)?;
                let high = numbers::meeting(high, &beside, true, schema)?;
                let between = Between::new(expr, negated, Box::new(low), Box::new(high));
                let between = intervals::range(between, schema);
                Ok(Transformed::yes(Expr::Between(numeric::range(between, schema)?)))
            }
            Expr::InList(InList { expr, list, negated }) => {
                let beside = expr.get_type(schema)?;
                let list = list
                    .into_iter()
                    .map(|item| numbers::meeting(self.read_or(item, &expr, schema)?, &beside, true, schema))
                    .collect::<DfResult<_>>()?;
                let list = intervals::list(InList { expr, list, negated }, schema);
                let list = numeric::list(list, schema)?;
                Ok(Transformed::yes(Expr::InList(list)))
            }
            Expr::Cast(Cast { expr, field }) => self.cast(*expr, field, schema),
            Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == "date_part" => {
                for arg in &mut args {
                    if matches!(arg.get_type(schema), Ok(DataType::Duration(_))) {
                        *arg = span(Span::Justified, arg.clone());
                    }
                }
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "nullif" => {
                let case = match numeric::null_if(&args, schema)? {
                    Some(case) => Some(case),
                    None => intervals::null_if(&args, schema)?,
                };
                match case {
                    Some(case) => Ok(Transformed::yes(case)),
                    None => numeric::settle(Expr::ScalarFunction(ScalarFunction { func, args }), schema),
                }
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if CHOOSE.contains(&func.name()) => {
                let args = numbers::alternatives(args, schema)?;
                if let Some(chosen) = intervals::greatest(func.name(), &args, schema) {
                    return Ok(Transformed::yes(chosen));
                }
                numeric::settle(Expr::ScalarFunction(ScalarFunction { func, args }), schema)
            }
            Expr::Case(case) => Ok(Transformed::yes(Expr::Case(chosen(case, schema)?))),
            other => numeric::settle(other, schema),
        }
    }

    fn cast(&self, expr: Expr, field: Arc<Field>, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
        let target = pg_type::field_oid(&field);
        if let Some(literal) = text(&expr)
            && reads(target)
        {
            let value = parse_literal(target, literal, self.reading).map_err(errors::wrap)?;
            // How many dimensions it has, an array says itself.
            let value = match is_nested(&value.data_type()) {
                true => value,
                false => cast_value(value, field.data_type())?,
            };
            // The metadata tells a uuid or a json from other text.
            let metadata = (!field.metadata().is_empty()).then(|| FieldMetadata::new_from_field(&field));
            return Ok(Transformed::yes(Expr::Literal(value, metadata)));
        }
        if let Ok(source) = expr.get_type(schema)
            && is_nested(&source)
            && let DataType::List(item) = field.data_type()
            && !is_nested(field.data_type())
        {
            let cast = match innermost(&source) == item.data_type() {
                true => expr,
                false => Expr::Cast(Cast::new(Box::new(expr), as_deep(&source, item.data_type()))),
            };
            return Ok(Transformed::yes(cast));
        }
        if let Some(infinite) = infinite(&expr, field.data_type()) {
            return Ok(Transformed::yes(Expr::Literal(infinite, None)));
        }
        if let Some(cast) = numeric::cast(&expr, field.data_type(), schema)? {
            return Ok(Transformed::yes(cast));
        }
        // Between instants and wall clocks stands the session's zone; Arrow would take UTC.
        let Ok(source) = expr.get_type(schema) else {
            return Ok(Transformed::no(Expr::Cast(Cast {
                expr: Box::new(expr),
                field,
            })));
        };
        if let Some(function) = NumberCast::between(&source, field.data_type()) {
            let call = ScalarFunction::new_udf(Arc::new(function.into()), vec![expr]);
            return Ok(Transformed::yes(Expr::ScalarFunction(call)));
        }
        let in_zone = |expr: Expr| {
            let args = vec![Expr::Literal(ScalarValue::from(self.reading.zone.name()), None), expr];
            Expr::ScalarFunction(ScalarFunction::new_udf(functions::timezone(), args))
        };
        let expr = match (&source, field.data_type()) {
            (DataType::Duration(_), DataType::Interval(_)) => span(Span::Justified, expr),
            (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, None)) => in_zone(expr),
            (DataType::Timestamp(_, Some(_)), DataType::Date32 | DataType::Time64(_))
                if self.reading.zone != Tz::UTC =>
            {
                in_zone(expr)
            }
            (DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) => in_zone(expr),
            (DataType::Date32, DataType::Timestamp(unit, Some(_))) if self.reading.zone != Tz::UTC => {
                in_zone(Expr::Cast(Cast::new(Box::new(expr), DataType::Timestamp(*unit, None))))
            }
            (
                DataType::Timestamp(..)
                | DataType::Date32
                | DataType::Time64(_)
                | DataType::Boolean
                | DataType::Float32
                | DataType::Float64
                | DataType::Binary
                | DataType::BinaryView
                | DataType::LargeBinary
                | DataType::Interval(_)
                | DataType::Duration(_)
                | DataType::List(_),
                other,
            ) if is_text(other) => Expr::ScalarFunction(ScalarFunction::new_udf(functions::to_text(), vec![expr])),
            (source, _) if is_text(source) && matches!(target, oid::JSON | oid::JSONB | oid::UUID) => {
                let (_, given) = expr.to_field(schema)?;
                match pg_type::field_oid(&given) {
                    // What is of that type was checked when it became so; jsonb is json.
                    of if of == target || (of, target) == (oid::JSONB, oid::JSON) => {
                        return Ok(Transformed::no(Expr::Cast(Cast {
                            expr: Box::new(expr),
                            field,
                        })));
                    }
                    _ => Expr::ScalarFunction(ScalarFunction::new_udf(
                        Arc::new(ReadText::new(target).into()),
                        vec![expr],
                    )),
                }
            }
            _ => {
                return Ok(Transformed::no(Expr::Cast(Cast {
                    expr: Box::new(expr),
                    field,
                })));
            }
        };
        Ok(Transformed::yes(Expr::Cast(Cast {
            expr: Box::new(expr),
            field,
        })))
    }

    fn read_or(&self, item: Expr, beside: &Expr, schema: &DFSchema) -> DfResult<Expr> {
        match text(&item) {
            Some(literal) => Ok(self.read(literal, beside, schema)?.unwrap_or(item)),
            None => Ok(item),
        }
    }

    /// The literal as a value of the type beside it; `None` where that is a text too.
    fn read(&self, literal: &str, beside: &Expr, schema: &DFSchema) -> DfResult<Option<Expr>> {
        let Ok((_, field)) = beside.to_field(schema) else {
            return Ok(None);
        };
        let target = pg_type::field_oid(&field);
        if target == oid::BPCHAR {
            return Ok(Some(lit(literal.trim_end_matches(' '))));
        }
        if !reads(target) || is_text(field.data_type()) {
            return Ok(None);
        }
        let value = parse_literal(target, literal, self.reading).map_err(errors::wrap)?;
        // A decimal keeps its digits: rounding them to the column's would make 1.55 equal 1.6.
        let value = match field.data_type() {
            DataType::Decimal128(..) => numeric::beside_decimal(value),
            data_type => cast_value(value, data_type)?,
        };
        Ok(Some(Expr::Literal(value, None)))
    }
}

/// An array type of as many dimensions, with these elements.
fn as_deep(nested: &DataType, element: &DataType) -> DataType {
    match nested {
        DataType::List(item) => DataType::List(Arc::new(Field::new("item", as_deep(item.data_type(), element), true))),
        _ => element.clone(),
    }
}

/// `IS DISTINCT FROM`, which is planned as a function.
fn operator_again(expr: Expr) -> Expr {
    let op = match &expr {
        Expr::ScalarFunction(function) if function.func.name() == DISTINCT => Operator::IsDistinctFrom,
        Expr::ScalarFunction(function) if function.func.name() == NOT_DISTINCT => Operator::IsNotDistinctFrom,
        _ => return expr,
    };
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => match <[Expr; 2]>::try_from(args) {
            Ok([left, right]) => Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))),
            Err(args) => Expr::ScalarFunction(ScalarFunction { func, args }),
        },
        other => other,
    }
}

/// A timestamp with an interval added or taken away; `None` for everything else.
fn shifted(binary: &BinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let is_time = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Timestamp(..)));
    let is_interval = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Interval(_)));
    let (left, right) = (&binary.left, &binary.right);
    let (time, interval, back) = match binary.op {
        Operator::Plus if is_time(left) && is_interval(right) => (left, right, false),
        Operator::Plus if is_interval(left) && is_time(right) => (right, left, false),
        Operator::Minus if is_time(left) && is_interval(right) => (left, right, true),
        _ => return None,
    };
    let args = vec![time.as_ref().clone(), interval.as_ref().clone()];
    let call = ScalarFunction::new_udf(Arc::new(TimeShift::new(back).into()), args);
    Some(Expr::ScalarFunction(call))
}

/// Functions that give one of their arguments, or all of them side by side.
const CHOOSE: &[&str] = &["coalesce", "greatest", "least", "make_array"];

fn span(span: Span, expr: Expr) -> Expr {
    let function = SpanFunction::new(span);
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function.into()), vec![expr]))
}

/// The results of a CASE.
fn chosen(case: Case, schema: &DFSchema) -> DfResult<Case> {
    let Case {
        expr,
        when_then_expr,
        else_expr,
    } = case;
    let (whens, mut results): (Vec<_>, Vec<Expr>) =
        when_then_expr.into_iter().map(|(when, then)| (when, *then)).unzip();
    let otherwise = else_expr.is_some();
    results.extend(else_expr.map(|expr| *expr));
    let mut results = numbers::alternatives(results, schema)?;
    let else_expr = if otherwise { results.pop().map(Box::new) } else { None };
    Ok(Case {
        expr,
        when_then_expr: whens.into_iter().zip(results.into_iter().map(Box::new)).collect(),
        else_expr,
    })
}

fn is_comparison(op: datafusion::logical_expr::Operator) -> bool {
    use datafusion::logical_expr::Operator::{Gt, GtEq, Lt, LtEq};
    is_distinct(op) || matches!(op, Lt | LtEq | Gt | GtEq)
}

fn is_distinct(op: datafusion::logical_expr::Operator) -> bool {
    use datafusion::logical_expr::Operator::{Eq, IsDistinctFrom, IsNotDistinctFrom, NotEq};
    matches!(op, Eq | NotEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Types whose literals have a form that can be wrong.
fn reads(target: u32) -> bool {
    let plain = matches!(
        target,
        oid::TEXT
            | oid::VARCHAR
            | oid::BPCHAR
            | oid::NAME
            | oid::CHAR
            | oid::UNKNOWN
            | oid::REGCLASS
            | oid::REGTYPE
            | oid::REGPROC
            | oid::REGNAMESPACE
            | oid::REGROLE
    );
    !plain && pg_type::arrow_type(target).is_some()
}

/// An infinite date as a timestamp, or an infinite timestamp as a date.
fn infinite(expr: &Expr, target: &DataType) -> Option<ScalarValue> {
    let negative = match expr {
        Expr::Literal(ScalarValue::Date32(Some(days @ (i32::MIN | i32::MAX))), _) => *days < 0,
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(time @ (i64::MIN | i64::MAX)), _), _) => *time < 0,
        _ => return None,
    };
    let time = if negative { i64::MIN } else { i64::MAX };
    match target {
        DataType::Date32 => Some(ScalarValue::Date32(Some(if negative { i32::MIN } else { i32::MAX }))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            Some(ScalarValue::TimestampMicrosecond(Some(time), zone.clone()))
        }
        _ => None,
    }
}

fn cast_value(value: ScalarValue, data_type: &DataType) -> DfResult<ScalarValue> {
    if value.data_type() == *data_type {
        return Ok(value);
    }
    // Infinities are the same number in every unit.
    if let (
        ScalarValue::TimestampMicrosecond(Some(value @ (i64::MIN | i64::MAX)), zone),
        DataType::Timestamp(unit, _),
    ) = (&value, data_type)
    {
        let zone = zone.clone();
        return Ok(match unit {
            TimeUnit::Second => ScalarValue::TimestampSecond(Some(*value), zone),
            TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(*value), zone),
            TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(*value), zone),
            TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(*value), zone),
        });
    }
    // Times are rounded to microseconds, not cut.
    if let (ScalarValue::TimestampNanosecond(Some(nanoseconds), zone), DataType::Timestamp(unit, _)) =
        (&value, data_type)
    {
        let step = match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        };
        let rounded = nanoseconds
            .saturating_add(step / 2)
            .div_euclid(step)
            .saturating_mul(step);
        return ScalarValue::TimestampNanosecond(Some(rounded), zone.clone()).cast_to(data_type);
    }
    cast_scalar(&value, data_type)
}

impl AnalyzerRule for Literals {
    fn name(&self) -> &str {
        "quoted_literals"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> DfResult<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let plan = match plan {
                LogicalPlan::Union(union) => numbers::union(union)?,
                other => other,
            };
            let mut schema = merge_schema(&plan.inputs());
            if let LogicalPlan::TableScan(scan) = &plan {
                schema.merge(&scan.projected_schema);
            }
            let preserver = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = preserver.save(&expr);
                let rewritten = expr.transform_up(|expr| self.rewrite(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)?
            .map_data(numeric::settle_node)?
            .map_data(LogicalPlan::recompute_schema)
        })
        .map(|transformed| transformed.data)
    }
}
