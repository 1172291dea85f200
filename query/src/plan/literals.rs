//! Quoted literals take the type of what they meet, and are read as PostgreSQL reads them, in the session's time zone.
//!
//! Runs before DataFusion's own coercion, which would cast them with Arrow's rules.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use chrono_tz::Tz;
use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::{Between, BinaryExpr, Case, Cast, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::{errors, numbers};
use crate::functions;
use crate::pg_type::{self, oid, parse_literal};

/// The rule, for sessions in one time zone.
#[derive(Debug)]
pub struct Literals {
    zone: Tz,
}

impl Literals {
    pub fn new(zone: Tz) -> Literals {
        Literals { zone }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
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
                Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
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
                Ok(Transformed::yes(Expr::Between(Between::new(
                    expr,
                    negated,
                    Box::new(low),
                    Box::new(high),
                ))))
            }
            Expr::InList(InList { expr, list, negated }) => {
                let beside = expr.get_type(schema)?;
                let list = list
                    .into_iter()
                    .map(|item| numbers::meeting(self.read_or(item, &expr, schema)?, &beside, true, schema))
                    .collect::<DfResult<_>>()?;
                Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
            }
            Expr::Cast(Cast { expr, field }) => self.cast(*expr, field, schema),
            Expr::ScalarFunction(ScalarFunction { func, args }) if CHOOSE.contains(&func.name()) => {
                let args = numbers::alternatives(args, schema)?;
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
            }
            Expr::Case(case) => Ok(Transformed::yes(Expr::Case(chosen(case, schema)?))),
            other => Ok(Transformed::no(other)),
        }
    }

    fn cast(&self, expr: Expr, field: Arc<Field>, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
        let target = pg_type::field_oid(&field);
        if let Some(literal) = text(&expr)
            && reads(target)
        {
            let value = parse_literal(target, literal, self.zone).map_err(errors::wrap)?;
            let value = match numbers::keeps_scale(&value, field.data_type()) {
                true => value,
                false => cast_value(value, field.data_type())?,
            };
            // The metadata tells a uuid or a json from other text.
            let metadata = (!field.metadata().is_empty()).then(|| FieldMetadata::new_from_field(&field));
            return Ok(Transformed::yes(Expr::Literal(value, metadata)));
        }
        if let Some(data_type) = numbers::unconstrained(&expr, &field, schema) {
            let cast = Cast::new(Box::new(expr), data_type);
            return Ok(Transformed::yes(Expr::Cast(cast)));
        }
        // Between instants and wall clocks stands the session's zone; Arrow would take UTC.
        let Ok(source) = expr.get_type(schema) else {
            return Ok(Transformed::no(Expr::Cast(Cast {
                expr: Box::new(expr),
                field,
            })));
        };
        let in_zone = |expr: Expr| {
            let args = vec![Expr::Literal(ScalarValue::from(self.zone.name()), None), expr];
            Expr::ScalarFunction(ScalarFunction::new_udf(functions::timezone(), args))
        };
        let expr = match (&source, field.data_type()) {
            (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, None)) => in_zone(expr),
            (DataType::Timestamp(_, Some(_)), DataType::Date32 | DataType::Time64(_)) if self.zone != Tz::UTC => {
                in_zone(expr)
            }
            (DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) => in_zone(expr),
            (DataType::Date32, DataType::Timestamp(unit, Some(_))) if self.zone != Tz::UTC => {
                in_zone(Expr::Cast(Cast::new(Box::new(expr), DataType::Timestamp(*unit, None))))
            }
            (
                DataType::Timestamp(..)
                | DataType::Date32
                | DataType::Boolean
                | DataType::Float32
                | DataType::Float64
                | DataType::Interval(_)
                | DataType::List(_),
                other,
            ) if is_text(other) && !matches!(source, DataType::Date32) => {
                Expr::ScalarFunction(ScalarFunction::new_udf(functions::to_text(), vec![expr]))
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
        if !reads(target) || is_text(field.data_type()) {
            return Ok(None);
        }
        let value = parse_literal(target, literal, self.zone).map_err(errors::wrap)?;
        // A decimal keeps its digits: rounding them to the column's would make 1.55 equal 1.6.
        let value = match field.data_type() {
            DataType::Decimal128(..) => value,
            data_type => cast_value(value, data_type)?,
        };
        Ok(Some(Expr::Literal(value, None)))
    }
}

/// Functions that give one of their arguments.
const CHOOSE: &[&str] = &["coalesce", "greatest", "least", "nullif"];

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

fn cast_value(value: ScalarValue, data_type: &DataType) -> DfResult<ScalarValue> {
    if value.data_type() == *data_type {
        return Ok(value);
    }
    // Times are rounded to microseconds, not cut.
    if let (ScalarValue::TimestampNanosecond(Some(nanoseconds), zone), DataType::Timestamp(unit, _)) =
        (&value, data_type)
    {
        let step = match unit {
            arrow::datatypes::TimeUnit::Second => 1_000_000_000,
            arrow::datatypes::TimeUnit::Millisecond => 1_000_000,
            arrow::datatypes::TimeUnit::Microsecond => 1_000,
            arrow::datatypes::TimeUnit::Nanosecond => 1,
        };
        let rounded = nanoseconds
            .saturating_add(step / 2)
            .div_euclid(step)
            .saturating_mul(step);
        return ScalarValue::TimestampNanosecond(Some(rounded), zone.clone()).cast_to(data_type);
    }
    value.cast_to(data_type)
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
            .map_data(LogicalPlan::recompute_schema)
        })
        .map(|transformed| transformed.data)
    }
}
