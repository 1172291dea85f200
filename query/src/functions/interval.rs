//! `interval * number`, `interval / number`; the longest and the shortest of several intervals and of a group's.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::binary;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::spans::length;
use crate::pg_type::of_duration;
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

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// `greatest` and `least` of intervals.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Greatest {
    largest: bool,
    signature: Signature,
}

impl Greatest {
    pub fn new(largest: bool) -> Greatest {
        Greatest {
            largest,
            signature: Signature::variadic_any(Volatility::Immutable),
        }
    }
}

/// Whether an interval takes another's place.
fn goes_before(largest: bool, value: IntervalMonthDayNano, other: IntervalMonthDayNano) -> bool {
    match largest {
        true => length(value) > length(other),
        false => length(value) < length(other),
    }
}

impl ScalarUDFImpl for Greatest {
    fn name(&self) -> &str {
        if self.largest {
            "interval_greatest"
        } else {
            "interval_least"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let mut found: Vec<Option<IntervalMonthDayNano>> = vec![None; args.number_rows];
        for arg in &args.args {
            let array = arg.to_array(args.number_rows)?;
            if *array.data_type() == DataType::Null {
                continue;
            }
            let array = of_duration(&array)?;
            for (slot, value) in found.iter_mut().zip(array.as_primitive::<IntervalMonthDayNanoType>()) {
                if let Some(value) = value
                    && slot.is_none_or(|known| goes_before(self.largest, value, known))
                {
                    *slot = Some(value);
                }
            }
        }
        let array: PrimitiveArray<IntervalMonthDayNanoType> = found.into_iter().collect();
        Ok(ColumnarValue::Array(Arc::new(array)))
    }
}

/// `max` and `min` of intervals.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Extreme {
    largest: bool,
    signature: Signature,
}

impl Extreme {
    pub fn new(largest: bool) -> Extreme {
        Extreme {
            largest,
            signature: Signature::exact(vec![INTERVAL], Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        if self.largest { "interval_max" } else { "interval_min" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(INTERVAL)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(Found {
            largest: self.largest,
            value: None,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        Ok(vec![Field::new(format!("{}[value]", args.name), INTERVAL, true).into()])
    }

    fn create_sliding_accumulator(&self, _: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(Frame {
            largest: self.largest,
            values: BTreeMap::new(),
        }))
    }
}

/// The longest or shortest interval so far; of two that are as long the later one.
#[derive(Debug)]
struct Found {
    largest: bool,
    value: Option<IntervalMonthDayNano>,
}

impl Accumulator for Found {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        for value in values[0].as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            if self.value.is_none_or(|known| !goes_before(self.largest, known, value)) {
                self.value = Some(value);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::IntervalMonthDayNano(self.value))
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The intervals of a window's frame by their lengths, with how many of each length there are.
#[derive(Debug)]
struct Frame {
    largest: bool,
    values: BTreeMap<i128, (IntervalMonthDayNano, usize)>,
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        for value in values[0].as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            let (last, count) = self.values.entry(length(value)).or_insert((value, 0));
            (*last, *count) = (value, *count + 1);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        for value in values[0].as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            if let Some((_, count)) = self.values.get_mut(&length(value)) {
                *count -= 1;
                if *count == 0 {
                    self.values.remove(&length(value));
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let end = match self.largest {
            true => self.values.last_key_value(),
            false => self.values.first_key_value(),
        };
        Ok(ScalarValue::IntervalMonthDayNano(end.map(|(_, (value, _))| *value)))
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.len() * size_of::<(i128, IntervalMonthDayNano, usize)>()
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
