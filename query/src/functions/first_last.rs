//! `first(value, time)`, `last(value, time)`: the value at the earliest and the latest time of a group; `last_row` with nulls.
//!
//! ```sql
//! SELECT location, first(current, ts), last(current, ts) FROM meters GROUP BY location
//! SELECT tbname, last(current), last_row(current) FROM meters GROUP BY tbname     -- the time column is understood
//! ```
//! With two arguments the value may be NULL, as in TimescaleDB; with one argument `first` and `last` skip NULLs, as in TDengine, which the statement
//! rewriter says by calling `first_known` and `last_known`. Rows whose time is NULL never count.

use std::hash::Hash;
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, BooleanBufferBuilder, Int64Array, PrimitiveArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result as DfResult, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};

/// Calls `$make!(ArrowType)` for the numeric array types that columns have, and `$other` for the rest: each costs a copy of the code, and
/// Arrow has three times as many.
macro_rules! of_column_type {
    ($data_type:expr, $make:ident, $other:expr) => {
        match $data_type {
            arrow::datatypes::DataType::Int16 => $make!(arrow::datatypes::Int16Type),
            arrow::datatypes::DataType::Int32 => $make!(arrow::datatypes::Int32Type),
            arrow::datatypes::DataType::Int64 => $make!(arrow::datatypes::Int64Type),
            arrow::datatypes::DataType::Float32 => $make!(arrow::datatypes::Float32Type),
            arrow::datatypes::DataType::Float64 => $make!(arrow::datatypes::Float64Type),
            arrow::datatypes::DataType::Decimal128(..) => $make!(arrow::datatypes::Decimal128Type),
            arrow::datatypes::DataType::Date32 => $make!(arrow::datatypes::Date32Type),
            arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, _) => {
                $make!(arrow::datatypes::TimestampMillisecondType)
            }
            arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
                $make!(arrow::datatypes::TimestampMicrosecondType)
            }
            arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, _) => {
                $make!(arrow::datatypes::TimestampNanosecondType)
            }
            _ => $other,
        }
    };
}
pub(crate) use of_column_type;

/// One of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The latest wins, not the earliest.
    pub latest: bool,
    /// NULL values never win.
    pub known: bool,
}

impl Rule {
    fn beats(self, new: i64, old: i64) -> bool {
        // Of equal times the first seen stays.
        if self.latest { new > old } else { new < old }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FirstLast {
    name: &'static str,
    rule: Rule,
    signature: Signature,
}

impl FirstLast {
    pub fn new(name: &'static str, latest: bool, known: bool) -> FirstLast {
        FirstLast {
            name,
            rule: Rule { latest, known },
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    pub fn rule(&self) -> Rule {
        self.rule
    }
}

impl AggregateUDFImpl for FirstLast {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let [value, time] = types else {
            return plan_err!(
                "No function matches '{}' with {} arguments: value and time",
                self.name,
                types.len()
            );
        };
        match time {
            DataType::Timestamp(..) => Ok(vec![value.clone(), time.clone()]),
            DataType::Date32 | DataType::Int64 => Ok(vec![value.clone(), time.clone()]),
            time if time.is_integer() => Ok(vec![value.clone(), DataType::Int64]),
            other => plan_err!(
                "No function matches '{}' of {other}: the second argument is a time",
                self.name
            ),
        }
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        let value = args.return_field.data_type().clone();
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "value"), value, true)),
            // NULL: no row so far.
            Arc::new(Field::new(format_state_name(args.name, "time"), DataType::Int64, true)),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(One {
            rule: self.rule,
            value: ScalarValue::try_from(args.return_field.data_type())?,
            time: None,
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        macro_rules! known {
            ($t:ty) => {
                true
            };
        }
        of_column_type!(args.return_field.data_type(), known, false)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn GroupsAccumulator>> {
        let data_type = args.return_field.data_type().clone();
        let rule = self.rule;
        macro_rules! groups {
            ($t:ty) => {
                Ok(Box::new(Groups::<$t>::new(rule, data_type)) as Box<dyn GroupsAccumulator>)
            };
        }
        of_column_type!(
            args.return_field.data_type(),
            groups,
            exec_err!("{} of {data_type} has no groups accumulator", self.name)
        )
    }
}

fn times_of(array: &ArrayRef) -> DfResult<Int64Array> {
    let array = match array.data_type() {
        DataType::Date32 => cast(array, &DataType::Int32)?,
        _ => array.clone(),
    };
    Ok(cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// A single group.
#[derive(Debug)]
struct One {
    rule: Rule,
    value: ScalarValue,
    time: Option<i64>,
}

impl One {
    fn offer(&mut self, values: &ArrayRef, times: &Int64Array, nulls_count: bool) -> DfResult<()> {
        let mut winner = None;
        for row in 0..times.len() {
            if times.is_null(row) || (!nulls_count && values.is_null(row)) {
                continue;
            }
            let time = times.value(row);
            if self.time.is_none_or(|old| self.rule.beats(time, old)) {
                self.time = Some(time);
                winner = Some(row);
            }
        }
        if let Some(row) = winner {
            self.value = ScalarValue::try_from_array(values, row)?;
            // A view of the batch would keep all of it alive.
            self.value.compact();
        }
        Ok(())
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let times = times_of(&values[1])?;
        self.offer(&values[0], &times, !self.rule.known)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.offer(&states[0], states[1].as_primitive::<Int64Type>(), true)
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Int64(self.time)])
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of::<One>() + self.value.size()
    }
}

/// Many groups of numbers.
struct Groups<T: ArrowPrimitiveType> {
    rule: Rule,
    data_type: DataType,
    values: Vec<T::Native>,
    /// Whether the winner's value is not NULL.
    valid: BooleanBufferBuilder,
    times: Vec<i64>,
    /// Whether the group has a winner.
    seen: BooleanBufferBuilder,
}

impl<T: ArrowPrimitiveType> Groups<T> {
    fn new(rule: Rule, data_type: DataType) -> Groups<T> {
        Groups {
            rule,
            data_type,
            values: Vec::new(),
            valid: BooleanBufferBuilder::new(0),
            times: Vec::new(),
            seen: BooleanBufferBuilder::new(0),
        }
    }

    fn resize(&mut self, groups: usize) {
        if groups > self.values.len() {
            let more = groups - self.values.len();
            self.values.resize(groups, T::Native::default());
            self.times.resize(groups, 0);
            self.valid.append_n(more, false);
            self.seen.append_n(more, false);
        }
    }

    fn offer(
        &mut self,
        values: &PrimitiveArray<T>,
        times: &Int64Array,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        nulls_count: bool,
    ) {
        for (row, group) in groups.iter().enumerate() {
            let excluded = filter.is_some_and(|filter| filter.is_null(row) || !filter.value(row));
            if excluded || times.is_null(row) || (!nulls_count && values.is_null(row)) {
                continue;
            }
            let time = times.value(row);
            if !self.seen.get_bit(*group) || self.rule.beats(time, self.times[*group]) {
                self.seen.set_bit(*group, true);
                self.times[*group] = time;
                self.values[*group] = values.value(row);
                self.valid.set_bit(*group, values.is_valid(row));
            }
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> (ArrayRef, Int64Array) {
        let values = emit_to.take_needed(&mut self.values);
        let times = emit_to.take_needed(&mut self.times);
        let valid = take_bits(&mut self.valid, values.len());
        let seen = take_bits(&mut self.seen, values.len());
        let values = PrimitiveArray::<T>::new(values.into(), Some(NullBuffer::new(valid)));
        let times = Int64Array::new(times.into(), Some(NullBuffer::new(seen)));
        (Arc::new(values.with_data_type(self.data_type.clone())), times)
    }
}

/// The first `count` bits; the rest moves forward.
fn take_bits(builder: &mut BooleanBufferBuilder, count: usize) -> BooleanBuffer {
    let all = builder.finish();
    if count < all.len() {
        builder.append_buffer(&all.slice(count, all.len() - count));
    }
    all.slice(0, count)
}

impl<T: ArrowPrimitiveType> GroupsAccumulator for Groups<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> DfResult<()> {
        self.resize(total);
        let times = times_of(&values[1])?;
        self.offer(values[0].as_primitive::<T>(), &times, groups, filter, !self.rule.known);
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> DfResult<()> {
        self.resize(total);
        let times = values[1].as_primitive::<Int64Type>().clone();
        self.offer(values[0].as_primitive::<T>(), &times, groups, None, true);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DfResult<ArrayRef> {
        Ok(self.take(emit_to).0)
    }

    fn state(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        let (values, times) = self.take(emit_to);
        Ok(vec![values, Arc::new(times)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        let times = times_of(&values[1])?;
        // A row that does not count has no time.
        let counts = BooleanBuffer::collect_bool(times.len(), |row| {
            let included = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            included && times.is_valid(row) && (!self.rule.known || values[0].is_valid(row))
        });
        let times = Int64Array::new(times.values().clone(), Some(NullBuffer::new(counts)));
        Ok(vec![values[0].clone(), Arc::new(times)])
    }

    fn size(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>()
            + self.times.capacity() * size_of::<i64>()
            + self.valid.capacity() / 8
            + self.seen.capacity() / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Float64Array;
    use arrow::datatypes::Float64Type;

    fn input() -> (ArrayRef, ArrayRef) {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0), Some(4.0), None]));
        let times: ArrayRef = Arc::new(Int64Array::from(vec![Some(10), Some(5), Some(30), None, Some(40)]));
        (values, times)
    }

    #[test]
    fn one_and_many_groups_agree() {
        for (latest, known, expected) in [
            (false, false, None),
            (false, true, Some(1.0)),
            (true, false, None),
            (true, true, Some(3.0)),
        ] {
            let rule = Rule { latest, known };
            let (values, times) = input();
            let mut one = One {
                rule,
                value: ScalarValue::Float64(None),
                time: None,
            };
            one.update_batch(&[values.clone(), times.clone()]).unwrap();
            assert_eq!(one.evaluate().unwrap(), ScalarValue::Float64(expected), "{rule:?}");
            let mut many = Groups::<Float64Type>::new(rule, DataType::Float64);
            many.update_batch(&[values.clone(), times.clone()], &[1, 1, 1, 1, 1], None, 2)
                .unwrap();
            let state = many.state(EmitTo::All).unwrap();
            let mut merged = Groups::<Float64Type>::new(rule, DataType::Float64);
            merged.merge_batch(&state, &[0, 1], 2).unwrap();
            let result = merged.evaluate(EmitTo::All).unwrap();
            assert!(result.is_null(0));
            assert_eq!(
                ScalarValue::try_from_array(&result, 1).unwrap(),
                ScalarValue::Float64(expected),
                "{rule:?}"
            );
            let converted = many.convert_to_state(&[values, times], None).unwrap();
            let mut merged = Groups::<Float64Type>::new(rule, DataType::Float64);
            merged.merge_batch(&converted, &[0; 5], 1).unwrap();
            let result = merged.evaluate(EmitTo::First(1)).unwrap();
            assert_eq!(
                ScalarValue::try_from_array(&result, 0).unwrap(),
                ScalarValue::Float64(expected),
                "{rule:?}"
            );
        }
    }
}
