//! Expressions of time that never fall while time goes on: buckets, cut times, the time itself.
//!
//! Rows of one value then lie in one stretch of time, which [`Ascending::stretch`] finds without looking at a row.

use std::sync::Arc;

use arrow::array::Array;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_plan::PhysicalExpr;
use taospg_storage::TimeRange;

use super::exec::comparable;
use crate::plan::scan;

/// Candidates tried at once when the end of a stretch is looked for: the cost of an evaluation is hardly that of its rows.
const CANDIDATES: i128 = 64;

/// Whether the session's wall clock never goes back. In other zones it does once a year, and what is cut from it with it.
pub fn clock_ascends(config: &ConfigOptions) -> bool {
    config.execution.time_zone.as_deref().is_none_or(|zone| zone == "UTC")
}

/// Whether an expression over the time column alone never falls while time goes on. `clock`: whether the session's clock does not either.
pub fn ascends(expr: &Arc<dyn PhysicalExpr>, clock: bool) -> bool {
    if expr.is::<Column>() {
        return true;
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let kept = matches!(cast.cast_type(), DataType::Timestamp(..) | DataType::Date32);
        return kept && clock && ascends(cast.expr(), clock);
    }
    let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() else {
        return false;
    };
    let [first, time, others @ ..] = function.args() else {
        return false;
    };
    // A text among the others names a zone; under `date_bin` it is an origin, which is left out with it.
    let harmless = |arg: &Arc<dyn PhysicalExpr>| {
        let literal = arg.downcast_ref::<Literal>();
        literal.is_some_and(|literal| !literal.value().data_type().is_string())
    };
    let of_session_zone = match function.name() {
        "time_bucket" | "date_bin" => false,
        "date_trunc" => true,
        _ => return false,
    };
    first.is::<Literal>() && others.iter().all(harmless) && (clock || !of_session_zone) && ascends(time, clock)
}

/// An ascending expression of the time column.
#[derive(Clone)]
pub struct Ascending {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl Ascending {
    /// `expr` sees the time column only, and [`ascends`].
    pub fn new(expr: Arc<dyn PhysicalExpr>, parts: &scan::ScanParts) -> Ascending {
        Ascending::over(expr, Arc::new(Schema::new(vec![parts.table.time_field()])))
    }

    /// `schema`: the time column.
    pub fn over(expr: Arc<dyn PhysicalExpr>, schema: SchemaRef) -> Ascending {
        Ascending { expr, schema }
    }

    /// The expression's values at these times; comparable where they are equal. `None` if one is NULL.
    pub fn values(&self, times: Vec<i64>) -> DfResult<Option<ScalarBuffer<i64>>> {
        let rows = times.len();
        let times = scan::time_array(&ScalarBuffer::from(times), self.schema.field(0).data_type())?;
        let input = RecordBatch::try_new(self.schema.clone(), vec![times])?;
        let values = self.expr.evaluate(&input)?.into_array(rows)?;
        match values.logical_null_count() {
            0 => comparable(&values).map(Some),
            _ => Ok(None),
        }
    }

    /// The times within `range` at which the expression has the value that it has at `time`, which lies in the range. `None` if it has none.
    pub fn stretch(&self, time: i64, range: TimeRange) -> DfResult<Option<TimeRange>> {
        let Some(start) = self.end(time, range.start())? else {
            return Ok(None);
        };
        let end = self.end(time, range.end())?;
        Ok(end.and_then(|end| TimeRange::new(start, end)))
    }

    /// The time farthest from `time` in the direction of `limit` that has its value.
    fn end(&self, time: i64, limit: i64) -> DfResult<Option<i64>> {
        // `near` has the value. Steps grow first, so that a short stretch in a long range is soon found.
        let (mut near, far) = (i128::from(time), i128::from(limit));
        let toward = (far - near).signum();
        let mut unknown = (far - near).abs();
        let mut is_first = true;
        while unknown > 0 {
            let candidates: Vec<i128> = match is_first {
                true => std::iter::successors(Some(1), |step| Some(step * 2))
                    .take_while(|step| *step < unknown)
                    .chain([unknown])
                    .collect(),
                false => {
                    let step = (unknown / CANDIDATES).max(1);
                    (1..=CANDIDATES)
                        .map(|at| at * step)
                        .take_while(|step| *step < unknown)
                        .chain([unknown])
                        .collect()
                }
            };
            is_first = false;
            let times = std::iter::once(near).chain(candidates.iter().map(|step| near + toward * step));
            // Between `time` and `limit`, both of 64 bits.
            let Some(values) = self.values(times.map(|time| time as i64).collect())? else {
                return Ok(None);
            };
            let same = values.iter().skip(1).take_while(|value| **value == values[0]).count();
            let reached = same.checked_sub(1).map_or(0, |last| candidates[last]);
            near += toward * reached;
            // The next candidate is known to be too far.
            unknown = candidates.get(same).map_or(0, |beyond| beyond - reached - 1);
        }
        Ok(Some(near as i64))
    }
}
