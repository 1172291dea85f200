//! `interval * number`, `interval / number`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::binary;
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::plan::errors;
use crate::{ErrorKind, QueryError};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct IntervalScale {
    divide: bool,
    signature: Signature,
}

impl IntervalScale {
    pub fn new(divide: bool) -> IntervalScale {
        IntervalScale {
            divide,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// Each unit is multiplied; what is left of months goes into days of 30 to a month, what is left of days into time.
fn scale(interval: IntervalMonthDayNano, factor: f64) -> IntervalMonthDayNano {
    let months = f64::from(interval.months) * factor;
    let days = f64::from(interval.days) * factor + months.fract() * 30.0;
    let nanoseconds = interval.nanoseconds as f64 * factor + days.fract() * 86_400e9;
    // Microseconds are the finest that PostgreSQL has: rounding there hides the dust of the doubles.
    let nanoseconds = (nanoseconds / 1_000.0).round() * 1_000.0;
    IntervalMonthDayNano::new(months as i32, days as i32, nanoseconds as i64)
}

impl ScalarUDFImpl for IntervalScale {
    fn name(&self) -> &str {
        if self.divide { "interval_div" } else { "interval_mul" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        match types.get(1) {
            Some(DataType::Interval(_) | DataType::Duration(_)) | None => {
                plan_err!(
                    "No function matches '{}': an interval can be scaled by a number only",
                    self.name()
                )
            }
            Some(_) => Ok(vec![DataType::Interval(IntervalUnit::MonthDayNano), DataType::Float64]),
        }
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let intervals = args.args[0].to_array(rows)?;
        let factors = args.args[1].to_array(rows)?;
        let factors = factors.as_primitive::<Float64Type>();
        if self.divide && factors.iter().any(|factor| factor == Some(0.0)) {
            return Err(errors::wrap(QueryError::new(
                ErrorKind::DivisionByZero,
                "division by zero",
            )));
        }
        let result: PrimitiveArray<IntervalMonthDayNanoType> = binary(
            intervals.as_primitive::<IntervalMonthDayNanoType>(),
            factors,
            |interval, factor| scale(interval, if self.divide { 1.0 / factor } else { factor }),
        )?;
        let result: ArrayRef = Arc::new(result);
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_go_into_the_next_smaller_unit() {
        let day = IntervalMonthDayNano::new(0, 1, 0);
        assert_eq!(scale(day, 1.5), IntervalMonthDayNano::new(0, 1, 43_200_000_000_000));
        assert_eq!(
            scale(IntervalMonthDayNano::new(1, 0, 0), 0.5),
            IntervalMonthDayNano::new(0, 15, 0)
        );
        assert_eq!(
            scale(IntervalMonthDayNano::new(0, 0, 1_000_000_000), 90.0),
            IntervalMonthDayNano::new(0, 0, 90_000_000_000)
        );
    }
}
