//! What a filter means to a scan: a tag predicate, a span of time, bounds of a metric, or nothing.
//!
//! Decided from the expression alone, before parameters have values; constants are evaluated when the scan begins.

use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};
use taospg_catalog::SqlType;
use taospg_storage::{ColumnBound, ColumnId, TimeRange};

use super::context::QueryContext;
use super::table::{SeriesTable, Source};

/// What a scan can do with a filter.
pub enum Meaning {
    /// Over tags and `tbname` only: decided for each series, exactly.
    Tags,
    /// Rows of a span of time, exactly.
    Time(TimeTerm),
    /// Blocks outside of the bound hold no such row; rows still have to be checked.
    Bound(BoundTerm),
    Other,
}

/// `column operator constant`.
#[derive(Clone)]
struct Comparison {
    operator: Operator,
    constant: Expr,
}

/// The time column compared with constants.
pub struct TimeTerm {
    comparisons: Vec<Comparison>,
    /// The column's values in the constants' unit: multiplied, or divided with the rest thrown away.
    scale: Scale,
}

#[derive(Clone, Copy)]
enum Scale {
    Times(i128),
    Through(i128),
}

/// A metric column compared with constants.
pub struct BoundTerm {
    column: ColumnId,
    comparisons: Vec<Comparison>,
    /// One of the comparisons holds, not all.
    any: bool,
}

pub fn meaning(table: &SeriesTable, filter: &Expr) -> Meaning {
    if filter.is_volatile() || has_subquery(filter) {
        return Meaning::Other;
    }
    let columns = filter.column_refs();
    let of_series = |name: &str| table.source(name).is_some_and(Source::is_of_series);
    if !columns.is_empty() && columns.iter().all(|column| of_series(&column.name)) {
        return Meaning::Tags;
    }
    let Some((operand, comparisons, any)) = comparisons(filter) else {
        return Meaning::Other;
    };
    let (column, cast) = match operand {
        Expr::Column(column) => (column, None),
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Column(column) => (column, Some(cast.field.data_type())),
            _ => return Meaning::Other,
        },
        _ => return Meaning::Other,
    };
    match table.source(&column.name) {
        Some(Source::Time) if !any => time_term(table, cast, comparisons).map_or(Meaning::Other, Meaning::Time),
        Some(source @ Source::Metric(_)) => {
            bound_term(table, source, cast, comparisons, any).map_or(Meaning::Other, Meaning::Bound)
        }
        _ => Meaning::Other,
    }
}

fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    let visited = expr.apply(|node| {
        found |= matches!(
            node,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        );
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    found || visited.is_err()
}

fn is_constant(expr: &Expr) -> bool {
    !expr.any_column_refs() && !expr.is_volatile() && !has_subquery(expr)
}

/// The one operand that is not constant, what it is compared with, and whether any or all comparisons must hold.
fn comparisons(filter: &Expr) -> Option<(&Expr, Vec<Comparison>, bool)> {
    let comparison = |operator, constant: &Expr| Comparison {
        operator,
        constant: constant.clone(),
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let comparable = matches!(
                op,
                Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            );
            if !comparable {
                return None;
            }
            if is_constant(right) {
                Some((left, vec![comparison(*op, right)], false))
            } else if is_constant(left) {
                Some((right, vec![comparison(op.swap()?, left)], false))
            } else {
                None
            }
        }
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) if is_constant(low) && is_constant(high) => {
            let both = vec![comparison(Operator::GtEq, low), comparison(Operator::LtEq, high)];
            Some((expr, both, false))
        }
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) if list.iter().all(is_constant) => {
            let each = list.iter().map(|constant| comparison(Operator::Eq, constant)).collect();
            Some((expr, each, true))
        }
        _ => None,
    }
}

fn units_per_second(unit: &TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn time_term(table: &SeriesTable, cast: Option<&DataType>, comparisons: Vec<Comparison>) -> Option<TimeTerm> {
    use datafusion::catalog::TableProvider;
    let schema = table.schema();
    let column_type = schema
        .field_with_name(&table.table.time_column().name)
        .ok()?
        .data_type()
        .clone();
    let compared = cast.unwrap_or(&column_type);
    let (DataType::Timestamp(column_unit, column_zone), DataType::Timestamp(unit, zone)) = (&column_type, compared)
    else {
        return None;
    };
    let same = |constant: &Comparison| {
        matches!(constant.constant.get_type(&DFSchema::empty()),
            Ok(DataType::Timestamp(constant_unit, constant_zone))
                if constant_unit == *unit && constant_zone.is_some() == zone.is_some())
    };
    if column_zone.is_some() != zone.is_some() || !comparisons.iter().all(same) {
        return None;
    }
    let (column_units, units) = (units_per_second(column_unit), units_per_second(unit));
    let scale = match units >= column_units {
        true => Scale::Times(units / column_units),
        false => Scale::Through(column_units / units),
    };
    Some(TimeTerm { comparisons, scale })
}

impl TimeTerm {
    /// Whether later rows always pass when an earlier one does.
    pub fn open_end(&self) -> bool {
        let after = |comparison: &Comparison| matches!(comparison.operator, Operator::Gt | Operator::GtEq);
        self.comparisons.iter().all(after)
    }

    /// The span in the column's unit; `None` when no time is in it.
    pub fn evaluate(&self, state: &dyn Session, context: &QueryContext) -> DfResult<Option<TimeRange>> {
        let mut range = Some(TimeRange::ALL);
        for comparison in &self.comparisons {
            let part = timestamp_value(&brought(state, context, &comparison.constant)?)
                .and_then(|value| span(comparison.operator, value, self.scale));
            range = match (range, part) {
                (Some(range), Some(part)) => range.intersect(&part),
                _ => None,
            };
        }
        Ok(range)
    }
}

/// Column values `v` for which `scale(v) operator value` holds.
fn span(operator: Operator, value: i128, scale: Scale) -> Option<TimeRange> {
    // First and last v with scale(v) >= value and scale(v) <= value.
    let (first, last) = match scale {
        Scale::Times(factor) => (-(-value).div_euclid(factor), value.div_euclid(factor)),
        Scale::Through(divisor) => (value * divisor, value * divisor + divisor - 1),
    };
    let (start, end) = match operator {
        Operator::GtEq => (first, i128::MAX),
        Operator::Gt => (last + 1, i128::MAX),
        Operator::LtEq => (i128::MIN, last),
        Operator::Lt => (i128::MIN, first - 1),
        _ => (first, last),
    };
    let clamp = |value: i128| value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    if start > i128::from(i64::MAX) || end < i128::from(i64::MIN) {
        return None;
    }
    TimeRange::new(clamp(start), clamp(end))
}

fn timestamp_value(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::TimestampSecond(value, _)
        | ScalarValue::TimestampMillisecond(value, _)
        | ScalarValue::TimestampMicrosecond(value, _)
        | ScalarValue::TimestampNanosecond(value, _) => value.map(i128::from),
        _ => None,
    }
}

/// The value that an expression without columns has in an execution.
fn brought(state: &dyn Session, context: &QueryContext, expr: &Expr) -> DfResult<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Ok(value.clone()),
        Expr::Placeholder(placeholder) => context.value(&placeholder.id),
        _ => constant(state, &context.valued(expr)?),
    }
}

/// The value of an expression without columns.
pub fn constant(state: &dyn Session, expr: &Expr) -> DfResult<ScalarValue> {
    if let Expr::Literal(value, _) = expr {
        return Ok(value.clone());
    }
    let physical = state.create_physical_expr(expr.clone(), &DFSchema::empty())?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
    match physical.evaluate(&row)? {
        datafusion::logical_expr::ColumnarValue::Scalar(value) => Ok(value),
        datafusion::logical_expr::ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0),
    }
}

fn bound_term(
    table: &SeriesTable,
    source: Source,
    cast: Option<&DataType>,
    comparisons: Vec<Comparison>,
    any: bool,
) -> Option<BoundTerm> {
    let column = table.column(source)?;
    let ordered = matches!(
        column.sql_type,
        SqlType::SmallInt
            | SqlType::Integer
            | SqlType::BigInt
            | SqlType::Real
            | SqlType::Double
            | SqlType::Date
            | SqlType::Timestamp
            | SqlType::Timestamptz
    );
    // Widening keeps order; a text of a number does not.
    let widened = |data_type: &DataType| {
        matches!(
            (column.sql_type, data_type),
            (SqlType::SmallInt | SqlType::Integer | SqlType::BigInt | SqlType::Real | SqlType::Double, data_type)
                if data_type.is_integer() || data_type.is_floating()
        )
    };
    let numeric = |comparison: &Comparison| {
        let data_type = comparison.constant.get_type(&DFSchema::empty());
        match column.sql_type {
            SqlType::Date => matches!(data_type, Ok(DataType::Date32)),
            SqlType::Timestamp | SqlType::Timestamptz => {
                let own = column.sql_type.arrow_type(table.database.options.precision);
                data_type.is_ok_and(|data_type| data_type == own)
            }
            _ => data_type.is_ok_and(|data_type| data_type.is_integer() || data_type.is_floating()),
        }
    };
    let fits = ordered && cast.is_none_or(widened) && !comparisons.is_empty() && comparisons.iter().all(numeric);
    fits.then(|| BoundTerm {
        column: ColumnId(column.id),
        comparisons,
        any,
    })
}

impl BoundTerm {
    /// `None`: a constant is NULL or no number; nothing can be skipped.
    pub fn evaluate(&self, state: &dyn Session, context: &QueryContext) -> DfResult<Option<ColumnBound>> {
        let (mut min, mut max) = (None::<f64>, None::<f64>);
        for comparison in &self.comparisons {
            let value = brought(state, context, &comparison.constant)?;
            let Some(value) = double(&value) else {
                return Ok(None);
            };
            // A bigint beyond 2^53 is rounded: one step outward is safe.
            let (low, high) = match comparison.operator {
                Operator::Gt | Operator::GtEq => (Some(value.next_down()), None),
                Operator::Lt | Operator::LtEq => (None, Some(value.next_up())),
                _ => (Some(value.next_down()), Some(value.next_up())),
            };
            let merge =
                |old: Option<f64>, new: Option<f64>, outer: fn(f64, f64) -> f64, inner: fn(f64, f64) -> f64| match (
                    old, new,
                ) {
                    (Some(old), Some(new)) => Some(if self.any { outer(old, new) } else { inner(old, new) }),
                    (old, new) => old.or(new),
                };
            min = merge(min, low, f64::min, f64::max);
            max = merge(max, high, f64::max, f64::min);
        }
        Ok(Some(ColumnBound {
            column: self.column,
            min,
            max,
        }))
    }
}

fn double(value: &ScalarValue) -> Option<f64> {
    let number = match value {
        ScalarValue::Int8(value) => f64::from((*value)?),
        ScalarValue::Int16(value) => f64::from((*value)?),
        ScalarValue::Int32(value) | ScalarValue::Date32(value) => f64::from((*value)?),
        ScalarValue::Int64(value) => (*value)? as f64,
        ScalarValue::UInt8(value) => f64::from((*value)?),
        ScalarValue::UInt16(value) => f64::from((*value)?),
        ScalarValue::UInt32(value) => f64::from((*value)?),
        ScalarValue::UInt64(value) => (*value)? as f64,
        ScalarValue::Float32(value) => f64::from((*value)?),
        ScalarValue::Float64(value) => (*value)?,
        other => timestamp_value(other)? as f64,
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> Option<TimeRange> {
        TimeRange::new(start, end)
    }

    #[test]
    fn spans_of_a_finer_constant() {
        // A column in milliseconds compared with 1500 microseconds.
        let scale = Scale::Times(1_000);
        assert_eq!(span(Operator::GtEq, 1_500, scale), range(2, i64::MAX));
        assert_eq!(span(Operator::Gt, 1_500, scale), range(2, i64::MAX));
        assert_eq!(span(Operator::Gt, 2_000, scale), range(3, i64::MAX));
        assert_eq!(span(Operator::Lt, 1_500, scale), range(i64::MIN, 1));
        assert_eq!(span(Operator::Lt, 2_000, scale), range(i64::MIN, 1));
        assert_eq!(span(Operator::LtEq, 2_000, scale), range(i64::MIN, 2));
        assert_eq!(span(Operator::Eq, 1_500, scale), None);
        assert_eq!(span(Operator::Eq, -2_000, scale), range(-2, -2));
    }

    #[test]
    fn spans_of_a_coarser_constant() {
        // A column in nanoseconds, cast to microseconds, compared with 2.
        let scale = Scale::Through(1_000);
        assert_eq!(span(Operator::Eq, 2, scale), range(2_000, 2_999));
        assert_eq!(span(Operator::Gt, 2, scale), range(3_000, i64::MAX));
        assert_eq!(span(Operator::LtEq, 2, scale), range(i64::MIN, 2_999));
        assert_eq!(span(Operator::Lt, 2, scale), range(i64::MIN, 1_999));
    }

    #[test]
    fn spans_at_the_ends_of_time() {
        let scale = Scale::Times(1);
        assert_eq!(span(Operator::Gt, i128::from(i64::MAX), scale), None);
        assert_eq!(span(Operator::Lt, i128::from(i64::MIN), scale), None);
        assert_eq!(span(Operator::LtEq, i128::MAX / 2, scale), Some(TimeRange::ALL));
    }
}
