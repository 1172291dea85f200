//! Differences of timestamps as intervals, and the length by which intervals are compared.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::pg_type::of_duration;

/// Digits of the longest interval in nanoseconds.
const DIGITS: u8 = 38;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// A difference of timestamps, in days and a rest.
    Justified,
    /// Months of 30 days, days of 24 hours: a day is as long as 24 hours.
    Length,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SpanFunction {
    span: Span,
    signature: Signature,
}

impl SpanFunction {
    pub fn new(span: Span) -> SpanFunction {
        SpanFunction {
            span,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

/// Nanoseconds, months being 30 days and days 24 hours.
pub fn length(value: IntervalMonthDayNano) -> i128 {
    let days = i128::from(value.months) * 30 + i128::from(value.days);
    days * 86_400_000_000_000 + i128::from(value.nanoseconds)
}

/// The lengths of intervals.
pub fn lengths(intervals: &ArrayRef) -> DfResult<ArrayRef> {
    let values = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let lengths: Decimal128Array = values.unary::<_, Decimal128Type>(length);
    Ok(Arc::new(lengths.with_precision_and_scale(DIGITS, 0)?))
}

impl ScalarUDFImpl for SpanFunction {
    fn name(&self) -> &str {
        match self.span {
            Span::Justified => "interval_of_difference",
            Span::Length => "interval_length",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(match self.span {
            Span::Justified => DataType::Interval(IntervalUnit::MonthDayNano),
            Span::Length => DataType::Decimal128(DIGITS, 0),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if scalar { 1 } else { args.number_rows })?;
        let intervals = of_duration(&array)?;
        let result: ArrayRef = match self.span {
            Span::Justified => intervals,
            Span::Length => lengths(&intervals)?,
        };
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
    fn a_day_is_as_long_as_24_hours() {
        let day = IntervalMonthDayNano::new(0, 1, 0);
        assert_eq!(length(day), length(IntervalMonthDayNano::new(0, 0, 86_400_000_000_000)));
        assert!(length(IntervalMonthDayNano::new(1, 0, 0)) > length(IntervalMonthDayNano::new(0, 29, 0)));
    }
}
