//! Aggregates over runs: a slice of a column goes in, a state comes out when the group ends.
//!
//! The states are those of DataFusion's partial aggregation, so that its final aggregation merges them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, Decimal128Array, Float64Array, Int64Array,
    PrimitiveArray, PrimitiveBuilder, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::{Result as DfResult, exec_err};

use super::whole::{BlockFacts, ColumnFacts, Exact};
use crate::functions::first_last::{Rule, of_column_type};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

/// Which aggregate, of which column of the scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    CountRows,
    Count,
    /// As a double: of floats.
    SumDouble,
    /// As a bigint: of integers.
    SumInteger,
    /// As a numeric of so many digits: of bigints.
    SumNumeric(u8),
    Average,
    Min,
    Max,
    FirstLast(Rule),
}

/// A group's aggregate while its rows come, and the states of the groups before.
pub trait Fold: Send {
    /// A new batch: `column` is the aggregate's argument.
    fn begin_batch(&mut self, column: Option<&ArrayRef>, times: &ScalarBuffer<i64>) -> DfResult<()>;
    /// Rows `from..to` of the batch belong to the open group.
    fn add(&mut self, from: usize, to: usize) -> DfResult<()>;
    /// Whether what is known of a block says what its rows would add.
    fn takes_block(&self, block: &BlockFacts) -> bool;
    /// The rows of a block that it takes belong to the open group.
    fn add_block(&mut self, block: &BlockFacts) -> DfResult<()>;
    /// The open group is complete.
    fn finish(&mut self);
    /// States of the complete groups.
    fn take(&mut self) -> DfResult<Vec<ArrayRef>>;
}

impl BlockFacts {
    /// Values that are not NULL.
    fn values(&self) -> u32 {
        match &self.column {
            ColumnFacts::Rows | ColumnFacts::Time => self.rows,
            ColumnFacts::Nulls => 0,
            ColumnFacts::Metric(statistics) => self.rows - statistics.nulls.min(self.rows),
        }
    }

    /// Their sum; zero of none.
    fn sum(&self) -> Option<f64> {
        match &self.column {
            ColumnFacts::Metric(statistics) if self.values() > 0 => {
                statistics.sum.filter(|sum| statistics.nans == 0 && sum.is_finite())
            }
            ColumnFacts::Metric(_) | ColumnFacts::Nulls => Some(0.0),
            ColumnFacts::Rows | ColumnFacts::Time => None,
        }
    }

    fn extreme<N: Exact>(&self, max: bool) -> Option<N> {
        match &self.column {
            ColumnFacts::Time => N::of_time(if max { self.last_time } else { self.first_time }),
            ColumnFacts::Metric(statistics) if statistics.nans == 0 => {
                let best = if max { statistics.max } else { statistics.min };
                best.and_then(N::of_double)
            }
            _ => None,
        }
    }
}

/// The fold of an aggregate whose argument has this type; `None` if there is none.
pub fn fold(kind: Kind, data_type: Option<&DataType>) -> Option<Box<dyn Fold>> {
    let number = |data_type: &DataType| -> bool {
        matches!(
            data_type,
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64
        )
    };
    Some(match (kind, data_type) {
        (Kind::CountRows, _) => Box::new(CountRows::default()),
        (Kind::Count, Some(_)) => Box::new(Count::default()),
        (Kind::SumDouble | Kind::Average, Some(data_type)) if number(data_type) => {
            let average = kind == Kind::Average;
            match data_type {
                DataType::Int16 => Box::new(Sum::<Int16Type>::new(average)),
                DataType::Int32 => Box::new(Sum::<Int32Type>::new(average)),
                DataType::Int64 => Box::new(Sum::<Int64Type>::new(average)),
                DataType::Float32 => Box::new(Sum::<Float32Type>::new(average)),
                _ => Box::new(Sum::<Float64Type>::new(average)),
            }
        }
        (Kind::SumInteger, Some(DataType::Int16)) => Box::new(SumInteger::<Int16Type>::new(None)),
        (Kind::SumInteger, Some(DataType::Int32)) => Box::new(SumInteger::<Int32Type>::new(None)),
        (Kind::SumNumeric(digits), Some(DataType::Int64)) => Box::new(SumInteger::<Int64Type>::new(Some(digits))),
        (Kind::Min | Kind::Max, Some(data_type)) => return extreme(kind == Kind::Max, data_type),
        (Kind::FirstLast(rule), Some(data_type)) => return first_last(rule, data_type),
        _ => return None,
    })
}

fn extreme(max: bool, data_type: &DataType) -> Option<Box<dyn Fold>> {
    let own = data_type.clone();
    macro_rules! make {
        ($t:ty) => {
            Some(Box::new(Extreme::<$t>::new(max, own)) as Box<dyn Fold>)
        };
    }
    of_column_type!(data_type, make, None)
}

fn first_last(rule: Rule, data_type: &DataType) -> Option<Box<dyn Fold>> {
    let own = data_type.clone();
    macro_rules! make {
        ($t:ty) => {
            Some(Box::new(FirstLast::<$t>::new(rule, own)) as Box<dyn Fold>)
        };
    }
    of_column_type!(data_type, make, None)
}

/// Calls `f` with each stretch of rows `from..to` that are not NULL.
fn stretches(nulls: Option<&NullBuffer>, from: usize, to: usize, mut f: impl FnMut(usize, usize)) {
    match nulls {
        None => f(from, to),
        Some(nulls) => {
            let part: BooleanBuffer = nulls.inner().slice(from, to - from);
            part.set_slices().for_each(|(start, end)| f(from + start, from + end));
        }
    }
}

#[derive(Default)]
struct CountRows {
    open: i64,
    done: Vec<i64>,
}

impl Fold for CountRows {
    fn begin_batch(&mut self, _: Option<&ArrayRef>, _: &ScalarBuffer<i64>) -> DfResult<()> {
        Ok(())
    }

    fn add(&mut self, from: usize, to: usize) -> DfResult<()> {
        self.open += (to - from) as i64;
        Ok(())
    }

    fn takes_block(&self, _: &BlockFacts) -> bool {
        true
    }

    fn add_block(&mut self, block: &BlockFacts) -> DfResult<()> {
        self.open += i64::from(block.rows);
        Ok(())
    }

    fn finish(&mut self) {
        self.done.push(std::mem::take(&mut self.open));
    }

    fn take(&mut self) -> DfResult<Vec<ArrayRef>> {
        Ok(vec![Arc::new(Int64Array::from(std::mem::take(&mut self.done)))])
    }
}

#[derive(Default)]
struct Count {
    nulls: Option<NullBuffer>,
    rows: CountRows,
}

impl Fold for Count {
    fn begin_batch(&mut self, column: Option<&ArrayRef>, _: &ScalarBuffer<i64>) -> DfResult<()> {
        self.nulls = column
            .and_then(|column| column.logical_nulls())
            .filter(|nulls| nulls.null_count() > 0);
        Ok(())
    }

    fn add(&mut self, from: usize, to: usize) -> DfResult<()> {
        let nulls = self
            .nulls
            .as_ref()
            .map_or(0, |nulls| nulls.slice(from, to - from).null_count());
        self.rows.open += (to - from - nulls) as i64;
        Ok(())
    }

    fn takes_block(&self, _: &BlockFacts) -> bool {
        true
    }

    fn add_block(&mut self, block: &BlockFacts) -> DfResult<()> {
        self.rows.open += i64::from(block.values());
        Ok(())
    }

    fn finish(&mut self) {
        self.rows.finish();
    }

    fn take(&mut self) -> DfResult<Vec<ArrayRef>> {
        self.rows.take()
    }
}

/// A number as a double.
trait Number: Copy {
    fn double(self) -> f64;
}

macro_rules! numbers {
    ($($t:ty),*) => { $(impl Number for $t {
        fn double(self) -> f64 {
            self as f64
        }
    })* };
}
numbers!(i16, i32, i64, f32, f64);

/// Eight sums side by side, so that the processor need not wait for one addition before the next.
fn sum_doubles<T: Number>(values: &[T]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|value| value.double()).sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value.double();
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Sum and count as doubles.
struct Sum<T: ArrowPrimitiveType> {
    average: bool,
    values: Option<PrimitiveArray<T>>,
    sum: f64,
    count: u64,
    sums: Vec<f64>,
    counts: Vec<u64>,
}

impl<T: ArrowPrimitiveType> Sum<T> {
    fn new(average: bool) -> Sum<T> {
        Sum {
            average,
            values: None,
            sum: 0.0,
            count: 0,
            sums: Vec::new(),
            counts: Vec::new(),
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(column: Option<&ArrayRef>) -> DfResult<Option<PrimitiveArray<T>>> {
    match column.map(|column| column.as_primitive_opt::<T>()) {
        Some(Some(array)) => Ok(Some(array.clone())),
        _ => exec_err!("a column has not the type that the plan was made for"),
    }
}

impl<T: ArrowPrimitiveType> Fold for Sum<T>
where
    T::Native: Number,
{
    fn begin_batch(&mut self, column: Option<&ArrayRef>, _: &ScalarBuffer<i64>) -> DfResult<()> {
        self.values = primitive(column)?;
        Ok(())
    }

    fn add(&mut self, from: usize, to: usize) -> DfResult<()> {
        if let Some(array) = &self.values {
            let (values, sum, count) = (array.values(), &mut self.sum, &mut self.count);
            stretches(array.nulls(), from, to, |from, to| {
                *sum += sum_doubles(&values[from..to]);
                *count += (to - from) as u64;
            });
        }
        Ok(())
    }

    fn takes_block(&self, block: &BlockFacts) -> bool {
        block.sum().is_some()
    }

    fn add_block(&mut self, block: &BlockFacts) -> DfResult<()> {
        self.sum += block.sum().unwrap_or_default();
        self.count += u64::from(block.values());
        Ok(())
    }

    fn finish(&mut self) {
        self.sums.push(std::mem::take(&mut self.sum));
        self.counts.push(std::mem::take(&mut self.count));
    }

    fn take(&mut self) -> DfResult<Vec<ArrayRef>> {
        let counts = std::mem::take(&mut self.counts);
        let known = NullBuffer::new(counts.iter().map(|count| *count > 0).collect());
        let sums = Float64Array::new(std::mem::take(&mut self.sums).into(), Some(known.clone()));
        Ok(match self.average {
            // A count of nothing is NULL as well: the final average takes any other for a value.
            true => vec![Arc::new(UInt64Array::new(counts.into(), Some(known))), Arc::new(sums)],
            false => vec![Arc::new(sums)],
        })
    }
}

/// Sum of integers, as a bigint or a numeric.
struct SumInteger<T: ArrowPrimitiveType> {
    digits: Option<u8>,
    values: Option<PrimitiveArray<T>>,
    /// 128 bits hold 2^64 of the largest bigints.
    sum: i128,
    any: bool,
    done: Vec<Option<i128>>,
}

impl<T: ArrowPrimitiveType> SumInteger<T> {
    fn new(digits: Option<u8>) -> SumInteger<T> {
        SumInteger {
            digits,
            values: None,
            sum: 0,
            any: false,
            done: Vec::new(),
        }
    }
}

impl<T: ArrowPrimitiveType> Fold for SumInteger<T>
where
    T::Native: Into<i64>,
{
    fn begin_batch(&mut self, column: Option<&ArrayRef>, _: &ScalarBuffer<i64>) -> DfResult<()> {
        self.values = primitive(column)?;
        Ok(())
    }

    fn add(&mut self, from: usize, to: usize) -> DfResult<()> {
        if let Some(array) = &self.values {
            let (values, sum, any) = (array.values(), &mut self.sum, &mut self.any);
            stretches(array.nulls(), from, to, |from, to| {
                *sum += values[from..to]
                    .iter()
                    .map(|value| i128::from((*value).into()))
                    .sum::<i128>();
                *any = true;
            });
        }
        Ok(())
    }

    fn takes_block(&self, block: &BlockFacts) -> bool {
        block.sum().is_some()
    }

    fn add_block(&mut self, block: &BlockFacts) -> DfResult<()> {
        // Sums of integers are given where they are exact.
        self.sum += block.sum().unwrap_or_default() as i128;
        self.any |= block.values() > 0;
        Ok(())
    }

    fn finish(&mut self) {
        let sum = std::mem::take(&mut self.sum);
        self.done.push(std::mem::take(&mut self.any).then_some(sum));
    }

    fn take(&mut self) -> DfResult<Vec<ArrayRef>> {
        let done = std::mem::take(&mut self.done);
        if let Some(digits) = self.digits {
            let sums = Decimal128Array::from(done).with_precision_and_scale(digits, 0)?;
            return Ok(vec![Arc::new(sums)]);
        }
        let out_of_range = || {
            errors::wrap(QueryError::new(
                ErrorKind::NumericValueOutOfRange,
                "bigint out of range",
            ))
        };
        let narrow = |sum: Option<i128>| {
            sum.map(|sum| i64::try_from(sum).map_err(|_| out_of_range()))
                .transpose()
        };
        let sums: Vec<Option<i64>> = done.into_iter().map(narrow).collect::<DfResult<_>>()?;
        Ok(vec![Arc::new(Int64Array::from(sums))])
    }
}

/// Smallest or largest; NaN is larger than every number, as in PostgreSQL.
struct Extreme<T: ArrowPrimitiveType> {
    max: bool,
    data_type: DataType,
    values: Option<PrimitiveArray<T>>,
    open: Option<T::Native>,
    done: PrimitiveBuilder<T>,
}

impl<T: ArrowPrimitiveType> Extreme<T> {
    fn new(max: bool, data_type: DataType) -> Extreme<T> {
        Extreme {
            max,
            values: None,
            open: None,
            done: PrimitiveBuilder::<T>::new().with_data_type(data_type.clone()),
            data_type,
        }
    }
}

/// The better of two, of equal ones the older.
fn better<N: ArrowNativeTypeOp>(max: bool, old: Option<N>, new: N) -> N {
    match old {
        Some(old) if max == old.is_gt(new) || old.is_eq(new) => old,
        _ => new,
    }
}

impl<T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>> Extreme<T> {
    fn offer(&mut self, best: T::Native) {
        self.open = Some(better(self.max, self.open, best));
    }
}

impl<T: ArrowPrimitiveType> Fold for Extreme<T>
where
    T::Native: arrow::array::ArrowNativeTypeOp + Exact,
{
    fn begin_batch(&mut self, column: Option<&ArrayRef>, _: &ScalarBuffer<i64>) -> DfResult<()> {
        self.values = primitive(column)?;
        Ok(())
    }

    fn add(&mut self, from: usize, to: usize) -> DfResult<()> {
        let Some(array) = &self.values else {
            return Ok(());
        };
        let (values, open, max) = (array.values(), &mut self.open, self.max);
        stretches(array.nulls(), from, to, |from, to| {
            // Two loops, so that each is one comparison a value.
            let part = &values[from..to];
            let Some(first) = part.first() else {
                return;
            };
            let best = match max {
                true => part
                    .iter()
                    .fold(*first, |best, value| if value.is_gt(best) { *value } else { best }),
                false => part
                    .iter()
                    .fold(*first, |best, value| if value.is_lt(best) { *value } else { best }),
            };
            *open = Some(better(max, *open, best));
        });
        Ok(())
    }

    fn takes_block(&self, block: &BlockFacts) -> bool {
        block.values() == 0 || block.extreme::<T::Native>(self.max).is_some()
    }

    fn add_block(&mut self, block: &BlockFacts) -> DfResult<()> {
        if let Some(best) = block.extreme::<T::Native>(self.max) {
            self.offer(best);
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.done.append_option(self.open.take());
    }

    fn take(&mut self) -> DfResult<Vec<ArrayRef>> {
        Ok(vec![Arc::new(
            self.done.finish().with_data_type(self.data_type.clone()),
        )])
    }
}

/// The value at the earliest or latest time, and that time.
struct FirstLast<T: ArrowPrimitiveType> {
    rule: Rule,
    data_type: DataType,
    values: Option<PrimitiveArray<T>>,
    times: ScalarBuffer<i64>,
    open: Option<(i64, Option<T::Native>)>,
    done: PrimitiveBuilder<T>,
    done_times: Vec<Option<i64>>,
}

impl<T: ArrowPrimitiveType> FirstLast<T> {
    fn new(rule: Rule, data_type: DataType) -> FirstLast<T> {
        FirstLast {
            rule,
            values: None,
            times: ScalarBuffer::from(Vec::new()),
            open: None,
            done: PrimitiveBuilder::<T>::new().with_data_type(data_type.clone()),
            done_times: Vec::new(),
            data_type,
        }
    }
}

impl<T: ArrowPrimitiveType<Native: Exact>> FirstLast<T> {
    fn offer(&mut self, time: i64, value: Option<T::Native>) {
        let better = self
            .open
            .is_none_or(|(old, _)| if self.rule.latest { time > old } else { time < old });
        if better {
            self.open = Some((time, value));
        }
    }

    /// What a block offers: nothing, or a time and a value. `None` when only its rows say.
    fn of_block(&self, block: &BlockFacts) -> Option<Option<(i64, Option<T::Native>)>> {
        let latest = self.rule.latest;
        let time = if latest { block.last_time } else { block.first_time };
        match &block.column {
            ColumnFacts::Nulls if self.rule.known => Some(None),
            ColumnFacts::Nulls => Some(Some((time, None))),
            ColumnFacts::Time => T::Native::of_time(time).map(|value| Some((time, Some(value)))),
            ColumnFacts::Metric(statistics) if block.in_order => {
                let value = if latest { statistics.last } else { statistics.first }?;
                // Zero may have lost its sign.
                let value = T::Native::of_double(value).filter(|_| value != 0.0)?;
                Some(Some((time, Some(value))))
            }
            _ => None,
        }
    }
}

impl<T: ArrowPrimitiveType> Fold for FirstLast<T>
where
    T::Native: Exact,
{
    fn begin_batch(&mut self, column: Option<&ArrayRef>, times: &ScalarBuffer<i64>) -> DfResult<()> {
        self.values = primitive(column)?;
        self.times = times.clone();
        Ok(())
    }

    fn add(&mut self, from: usize, to: usize) -> DfResult<()> {
        let Some(array) = &self.values else {
            return Ok(());
        };
        // Times ascend inside a run: the first or last row that counts wins.
        let counts = |row: &usize| !self.rule.known || array.is_valid(*row);
        let row = match self.rule.latest {
            true => (from..to).rev().find(counts),
            false => (from..to).find(counts),
        };
        if let Some(row) = row {
            let value = array.is_valid(row).then(|| array.value(row));
            let time = self.times[row];
            self.offer(time, value);
        }
        Ok(())
    }

    fn takes_block(&self, block: &BlockFacts) -> bool {
        self.of_block(block).is_some()
    }

    fn add_block(&mut self, block: &BlockFacts) -> DfResult<()> {
        if let Some(Some((time, value))) = self.of_block(block) {
            self.offer(time, value);
        }
        Ok(())
    }

    fn finish(&mut self) {
        let open = self.open.take();
        self.done.append_option(open.and_then(|(_, value)| value));
        self.done_times.push(open.map(|(time, _)| time));
    }

    fn take(&mut self) -> DfResult<Vec<ArrayRef>> {
        Ok(vec![
            Arc::new(self.done.finish().with_data_type(self.data_type.clone())),
            Arc::new(Int64Array::from(std::mem::take(&mut self.done_times))),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_skip_nulls_and_keep_count() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(2.0), Some(4.0), None]));
        let times = ScalarBuffer::from(vec![1i64, 2, 3, 4, 5]);
        let mut average = fold(Kind::Average, Some(&DataType::Float64)).unwrap();
        average.begin_batch(Some(&column), &times).unwrap();
        average.add(0, 3).unwrap();
        average.finish();
        average.add(4, 5).unwrap();
        average.finish();
        let states = average.take().unwrap();
        assert_eq!(
            states[0].as_ref(),
            &UInt64Array::from(vec![Some(2), None]) as &dyn Array
        );
        assert_eq!(
            states[1].as_ref(),
            &Float64Array::from(vec![Some(3.0), None]) as &dyn Array
        );
    }

    #[test]
    fn extremes_put_nan_last() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![2.0, f64::NAN, 1.0]));
        let times = ScalarBuffer::from(vec![1i64, 2, 3]);
        for (kind, expected) in [(Kind::Min, 1.0), (Kind::Max, f64::NAN)] {
            let mut extreme = fold(kind, Some(&DataType::Float64)).unwrap();
            extreme.begin_batch(Some(&column), &times).unwrap();
            extreme.add(0, 1).unwrap();
            extreme.add(1, 3).unwrap();
            extreme.finish();
            let state = extreme.take().unwrap();
            let value = state[0].as_primitive::<Float64Type>().value(0);
            assert!(
                value == expected || (value.is_nan() && expected.is_nan()),
                "{kind:?} {value}"
            );
        }
    }

    #[test]
    fn sums_of_integers_do_not_wrap() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1]));
        let mut sum = fold(Kind::SumNumeric(38), Some(&DataType::Int64)).unwrap();
        sum.begin_batch(Some(&column), &ScalarBuffer::from(vec![1i64, 2]))
            .unwrap();
        sum.add(0, 2).unwrap();
        sum.finish();
        let states = sum.take().unwrap();
        let expected = i128::from(i64::MAX) + 1;
        assert_eq!(
            states[0].as_primitive::<arrow::datatypes::Decimal128Type>().value(0),
            expected
        );
    }
}
