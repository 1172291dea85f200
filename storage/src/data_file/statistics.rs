//! What is known of a column in a block without decoding it, in about ten bytes.
//!
//! Statistics of a file stand after its blocks in pages of [`PAGE_BLOCKS`] blocks, so that skipping blocks reads none of them:
//!
//! ```text
//! page:   for each block: bytes that follow: varint | columns ... ; then CRC-32C of the page
//! column: id less the one before: varint | kind: byte | nulls: varint if any | NaNs: varint if any | bounds
//! kind:   form (two bits: 0 no bounds, 1 decimals, 2 doubles) | 4 nulls | 8 NaNs | 16 sum | 32 first | 64 last | 128 sum is a double
//! decimals: exponent: byte | min: signed varint | max - min: varint | sum - min * values: signed varint, or a double
//!           | first - min: varint | last - min: varint        (each divided by 10^exponent)
//! doubles:  min, max, sum, first, last, eight bytes each, little-endian
//! ```

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};

use super::ColumnStatistics;
use crate::ColumnId;
use crate::codec::cursor::{Cursor, Decoded, put_signed, put_varint};

/// Blocks in a page of statistics: a page of ten columns is about 6 KiB, one small read.
pub(super) const PAGE_BLOCKS: usize = 64;

const FORM_DECIMALS: u8 = 1;
const FORM_DOUBLES: u8 = 2;
const FORM_BITS: u8 = 3;
const HAS_NULLS: u8 = 4;
const HAS_NANS: u8 = 8;
const HAS_SUM: u8 = 16;
const HAS_FIRST: u8 = 32;
const HAS_LAST: u8 = 64;
const SUM_IS_DOUBLE: u8 = 128;

/// Integers up to here are exact as doubles; a sum beyond is not given.
const EXACT_MAX: i128 = 1 << 53;

/// Decimal digits tried for the bounds of float columns. Finer values are kept as doubles.
const EXPONENT_MAX: u8 = 6;

/// What one look at a column tells.
enum Summary {
    /// No values, or no numbers.
    None,
    /// Of the values times 10^exponent.
    Decimals {
        exponent: u8,
        bounds: Bounds<i64>,
        sum: Sum,
    },
    Doubles {
        bounds: Bounds<f64>,
        sum: f64,
    },
}

#[derive(Clone, Copy)]
struct Bounds<T> {
    min: T,
    max: T,
    /// Of the first and last row, unless null or NaN.
    first: Option<T>,
    last: Option<T>,
}

enum Sum {
    None,
    Exact(i64),
    Double(f64),
}

/// Appends the columns' statistics of one block, in order of id.
pub(super) fn put_block(columns: &[(ColumnId, ArrayRef)], out: &mut Vec<u8>) {
    let mut block = Vec::with_capacity(columns.len() * 12);
    let mut before = 0;
    for (id, array) in columns {
        put_varint(&mut block, u64::from(id.0 - before));
        before = id.0;
        put_column(array, &mut block);
    }
    put_varint(out, block.len() as u64);
    out.extend_from_slice(&block);
}

fn put_column(array: &ArrayRef, out: &mut Vec<u8>) {
    let (summary, nans) = summarize(array);
    let nulls = array.null_count();
    let mut kind = 0;
    if nulls > 0 {
        kind |= HAS_NULLS;
    }
    if nans > 0 {
        kind |= HAS_NANS;
    }
    let head = out.len();
    out.push(0);
    for count in [nulls, nans] {
        if count > 0 {
            put_varint(out, count as u64);
        }
    }
    match summary {
        Summary::None => {}
        Summary::Decimals { exponent, bounds, sum } => {
            kind |= FORM_DECIMALS | flags(&bounds);
            out.push(exponent);
            put_signed(out, bounds.min);
            let above = |value: i64| value.wrapping_sub(bounds.min) as u64;
            put_varint(out, above(bounds.max));
            match sum {
                Sum::None => {}
                Sum::Exact(sum) => {
                    kind |= HAS_SUM;
                    let values = (array.len() - nulls - nans) as i64;
                    put_signed(out, sum.wrapping_sub(bounds.min.wrapping_mul(values)));
                }
                Sum::Double(sum) => {
                    kind |= HAS_SUM | SUM_IS_DOUBLE;
                    out.extend_from_slice(&sum.to_le_bytes());
                }
            }
            for value in [bounds.first, bounds.last].into_iter().flatten() {
                put_varint(out, above(value));
            }
        }
        Summary::Doubles { bounds, sum } => {
            kind |= FORM_DOUBLES | HAS_SUM | SUM_IS_DOUBLE | flags(&bounds);
            for value in [Some(bounds.min), Some(bounds.max), Some(sum), bounds.first, bounds.last]
                .into_iter()
                .flatten()
            {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    out[head] = kind;
}

fn flags<T>(bounds: &Bounds<T>) -> u8 {
    let first = if bounds.first.is_some() { HAS_FIRST } else { 0 };
    let last = if bounds.last.is_some() { HAS_LAST } else { 0 };
    first | last
}

/// The summary, and the number of NaNs.
fn summarize(array: &ArrayRef) -> (Summary, usize) {
    match array.data_type() {
        DataType::Int16 => (integers(array.as_primitive::<Int16Type>(), 0, true), 0),
        DataType::Int32 => (integers(array.as_primitive::<Int32Type>(), 0, true), 0),
        DataType::Int64 => (integers(array.as_primitive::<Int64Type>(), 0, true), 0),
        DataType::Date32 => (integers(array.as_primitive::<Date32Type>(), 0, false), 0),
        DataType::Timestamp(_, _) => (integers(&times(array), 0, false), 0),
        DataType::Float32 => floats(array.as_primitive::<Float32Type>()),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>()),
        DataType::Decimal128(_, scale) => (decimals(array.as_primitive::<Decimal128Type>(), *scale), 0),
        _ => (Summary::None, 0),
    }
}

/// Timestamps of any unit as the integers they are.
fn times(array: &ArrayRef) -> PrimitiveArray<Int64Type> {
    let data = array.to_data().into_builder().data_type(DataType::Int64).build();
    PrimitiveArray::from(data.expect("a timestamp is laid out as a 64-bit integer"))
}

fn integers<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &PrimitiveArray<T>,
    exponent: u8,
    summed: bool,
) -> Summary {
    let mut sum = 0i128;
    let bounds = bounds(array, i64::MAX, i64::MIN, Into::into, |value: i64| {
        sum += i128::from(value);
        true
    });
    let Some(bounds) = bounds else {
        return Summary::None;
    };
    let sum = match i64::try_from(sum) {
        Ok(exact) if summed && sum.abs() <= EXACT_MAX => Sum::Exact(exact),
        _ => Sum::None,
    };
    Summary::Decimals { exponent, bounds, sum }
}

fn decimals(array: &PrimitiveArray<Decimal128Type>, scale: i8) -> Summary {
    let narrow: Option<Vec<Option<i64>>> = array
        .iter()
        .map(|value| match value {
            None => Some(None),
            Some(value) => i64::try_from(value).ok().map(Some),
        })
        .collect();
    match (narrow, u8::try_from(scale)) {
        (Some(narrow), Ok(exponent)) => integers(&PrimitiveArray::<Int64Type>::from(narrow), exponent, true),
        _ => {
            let power = 10f64.powi(i32::from(scale));
            let mut sum = 0.0;
            let bounds = bounds(
                array,
                f64::INFINITY,
                f64::NEG_INFINITY,
                |value| value as f64 / power,
                |value| {
                    sum += value;
                    true
                },
            );
            bounds.map_or(Summary::None, |bounds| Summary::Doubles { bounds, sum })
        }
    }
}

fn floats<T: ArrowPrimitiveType<Native: Into<f64>>>(array: &PrimitiveArray<T>) -> (Summary, usize) {
    let mut sum = 0.0;
    let mut nans = 0;
    let bounds = match whole_numbers(array) {
        Some((bounds, of_all)) => {
            sum = of_all;
            Some(bounds)
        }
        None => bounds(array, f64::INFINITY, f64::NEG_INFINITY, Into::into, |value: f64| {
            if value.is_nan() {
                nans += 1;
                return false;
            }
            sum += value;
            true
        }),
    };
    let Some(bounds) = bounds else {
        return (Summary::None, nans);
    };
    // Floats that were written as decimals have bounds with few digits. An f32 is compared as the double it is.
    for exponent in 0..=EXPONENT_MAX {
        if let Some(scaled) = scale_bounds(&bounds, exponent) {
            let sum = match scale_exactly(sum, exponent) {
                Some(exact) => Sum::Exact(exact),
                None => Sum::Double(sum),
            };
            return (
                Summary::Decimals {
                    exponent,
                    bounds: scaled,
                    sum,
                },
                nans,
            );
        }
    }
    (Summary::Doubles { bounds, sum }, nans)
}

/// Bounds and sum where every value is a whole number and there are some: what sensors count. Such a sum is exact in any order, so that several
/// values are looked at by one instruction. `None`: somebody else has to look.
fn whole_numbers<T: ArrowPrimitiveType<Native: Into<f64>>>(array: &PrimitiveArray<T>) -> Option<(Bounds<f64>, f64)> {
    const LANES: usize = 4;
    /// 1.5 * 2^52: added and taken away again it rounds a double of up to 2^51 to a whole number.
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
    if array.null_count() > 0 {
        return None;
    }
    let (first, last) = (array.values().first()?, array.values().last()?);
    let (mut min, mut max, mut sum) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES], [0.0; LANES]);
    let mut differs = [0u64; LANES];
    let (chunks, tail) = array.values().as_chunks::<LANES>();
    let mut see = |lane: usize, value: f64| {
        min[lane] = if value < min[lane] { value } else { min[lane] };
        max[lane] = if value > max[lane] { value } else { max[lane] };
        sum[lane] += value;
        differs[lane] |= ((value + ROUNDER) - ROUNDER).to_bits() ^ value.to_bits();
    };
    for chunk in chunks {
        for (lane, value) in chunk.iter().enumerate() {
            see(lane, (*value).into());
        }
    }
    for (lane, value) in tail.iter().enumerate() {
        see(lane, (*value).into());
    }
    let min = min.into_iter().fold(f64::INFINITY, f64::min);
    let max = max.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let largest = max.abs().max(min.abs()) * array.len() as f64;
    // Negative zeros, NaNs, infinities and fractions differ from what they are rounded to.
    if differs.into_iter().any(|bits| bits != 0) || largest > EXACT_MAX as f64 / 4.0 {
        return None;
    }
    let (first, last) = (Some((*first).into()), Some((*last).into()));
    Some((Bounds { min, max, first, last }, sum.into_iter().sum()))
}

/// Bounds of the values that are neither null nor refused by `counts`; `None` when there is none.
fn bounds<T: ArrowPrimitiveType, V: Copy + PartialOrd>(
    array: &PrimitiveArray<T>,
    highest: V,
    lowest: V,
    convert: impl Fn(T::Native) -> V,
    mut counts: impl FnMut(V) -> bool,
) -> Option<Bounds<V>> {
    let (mut min, mut max) = (highest, lowest);
    let mut any = false;
    let mut see = |value: T::Native| {
        let value = convert(value);
        if counts(value) {
            any = true;
            min = if value < min { value } else { min };
            max = if value > max { value } else { max };
        }
    };
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => array.values().iter().for_each(|value| see(*value)),
        Some(nulls) => nulls.valid_indices().for_each(|row| see(array.value(row))),
    }
    if !any {
        return None;
    }
    let at = |row: usize| {
        let value = array.is_valid(row).then(|| convert(array.value(row)))?;
        // A NaN is within no bounds.
        (min <= value && value <= max).then_some(value)
    };
    let (first, last) = (at(0), at(array.len() - 1));
    Some(Bounds { min, max, first, last })
}

fn scale_bounds(bounds: &Bounds<f64>, exponent: u8) -> Option<Bounds<i64>> {
    let end = |value: Option<f64>| match value {
        None => Some(None),
        Some(value) => scale_exactly(value, exponent).map(Some),
    };
    Some(Bounds {
        min: scale_exactly(bounds.min, exponent)?,
        max: scale_exactly(bounds.max, exponent)?,
        first: end(bounds.first)?,
        last: end(bounds.last)?,
    })
}

/// The integer that divided by 10^exponent is `value`, bit by bit.
fn scale_exactly(value: f64, exponent: u8) -> Option<i64> {
    let scaled = (value * power(exponent)).round();
    let exact = scaled.abs() <= EXACT_MAX as f64 && (scaled / power(exponent)).to_bits() == value.to_bits();
    exact.then_some(scaled as i64)
}

fn power(exponent: u8) -> f64 {
    10f64.powi(i32::from(exponent))
}

/// The statistics of one column of one block of a page; `block` counts in the page.
pub(super) fn find(page: &[u8], block: usize, column: ColumnId, rows: u32) -> Decoded<Option<ColumnStatistics>> {
    let mut cursor = Cursor::new(page);
    for _ in 0..block {
        let bytes = cursor.count(cursor.remaining())?;
        cursor.take(bytes)?;
    }
    let bytes = cursor.count(cursor.remaining())?;
    let mut cursor = Cursor::new(cursor.take(bytes)?);
    let mut id = 0u64;
    while cursor.remaining() > 0 {
        id = id.saturating_add(cursor.varint()?);
        let statistics = take_column(&mut cursor, rows)?;
        if id == u64::from(column.0) {
            return Ok(Some(statistics));
        }
    }
    Ok(None)
}

fn take_column(cursor: &mut Cursor<'_>, rows: u32) -> Decoded<ColumnStatistics> {
    let kind = cursor.byte()?;
    let mut statistics = ColumnStatistics {
        nulls: 0,
        nans: 0,
        min: None,
        max: None,
        sum: None,
        first: None,
        last: None,
    };
    for (flag, count) in [(HAS_NULLS, &mut statistics.nulls), (HAS_NANS, &mut statistics.nans)] {
        if kind & flag != 0 {
            *count = cursor.count(rows as usize)? as u32;
        }
    }
    match kind & FORM_BITS {
        0 => {}
        FORM_DECIMALS => {
            let power = power(cursor.byte()?);
            let min = cursor.signed()?;
            let max = min.wrapping_add(cursor.varint()? as i64);
            statistics.min = Some(min as f64 / power);
            statistics.max = Some(max as f64 / power);
            if kind & HAS_SUM != 0 {
                statistics.sum = Some(if kind & SUM_IS_DOUBLE != 0 {
                    f64::from_bits(cursor.u64()?)
                } else {
                    let values = i64::from(rows) - i64::from(statistics.nulls) - i64::from(statistics.nans);
                    let sum = cursor.signed()?.wrapping_add(min.wrapping_mul(values));
                    sum as f64 / power
                });
            }
            for (flag, end) in [(HAS_FIRST, &mut statistics.first), (HAS_LAST, &mut statistics.last)] {
                if kind & flag != 0 {
                    *end = Some(min.wrapping_add(cursor.varint()? as i64) as f64 / power);
                }
            }
        }
        FORM_DOUBLES => {
            for (flag, value) in [
                (FORM_DOUBLES, &mut statistics.min),
                (FORM_DOUBLES, &mut statistics.max),
                (HAS_SUM, &mut statistics.sum),
                (HAS_FIRST, &mut statistics.first),
                (HAS_LAST, &mut statistics.last),
            ] {
                if kind & flag != 0 {
                    *value = Some(f64::from_bits(cursor.u64()?));
                }
            }
        }
        _ => return Err("a known form of statistics"),
    }
    Ok(statistics)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;

    use super::*;

    fn of(array: ArrayRef) -> (ColumnStatistics, usize) {
        let rows = array.len() as u32;
        let mut page = Vec::new();
        put_block(&[], &mut page);
        put_block(&[(ColumnId(3), array.clone()), (ColumnId(900), array)], &mut page);
        let found = find(&page, 1, ColumnId(900), rows).expect("undamaged").expect("there");
        assert_eq!(find(&page, 0, ColumnId(3), rows), Ok(None));
        assert_eq!(find(&page, 1, ColumnId(4), rows), Ok(None));
        assert_eq!(find(&page, 1, ColumnId(3), rows), Ok(Some(found)));
        for end in 0..page.len() {
            let _ = find(&page[..end], 1, ColumnId(900), rows);
        }
        (found, (page.len() - 2) / 2)
    }

    #[test]
    fn bounds_of_numbers() {
        let (found, bytes) = of(Arc::new(Float64Array::from_iter_values(
            (0..300).map(|i| f64::from(i % 101)),
        )));
        assert_eq!((found.min, found.max), (Some(0.0), Some(100.0)));
        assert_eq!(found.sum, Some(f64::from((0..300).map(|i| i % 101).sum::<i32>())));
        assert_eq!((found.first, found.last), (Some(0.0), Some(97.0)));
        assert!(bytes <= 12, "{bytes}");

        let (found, _) = of(Arc::new(Float64Array::from(vec![
            None,
            Some(f64::NAN),
            Some(-1.5),
            Some(0.25),
            None,
        ])));
        assert_eq!((found.nulls, found.nans), (2, 1));
        assert_eq!((found.min, found.max, found.sum), (Some(-1.5), Some(0.25), Some(-1.25)));
        assert_eq!((found.first, found.last), (None, None));

        let (found, _) = of(Arc::new(Float64Array::from(vec![
            f64::NAN,
            -0.0,
            f64::INFINITY,
            1.0 / 3.0,
        ])));
        assert_eq!(found.min.map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!((found.max, found.sum), (Some(f64::INFINITY), Some(f64::INFINITY)));
        assert_eq!((found.first, found.last), (None, Some(1.0 / 3.0)));

        let (found, _) = of(Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX, 5])));
        assert_eq!((found.min, found.max), (Some(i64::MIN as f64), Some(i64::MAX as f64)));
        assert_eq!((found.sum, found.last), (Some(4.0), Some(5.0)));
        let (found, _) = of(Arc::new(Int64Array::from(vec![i64::MAX, 5])));
        assert_eq!(found.sum, None);

        let (found, _) = of(Arc::new(
            TimestampMicrosecondArray::from(vec![7, 9]).with_timezone("UTC"),
        ));
        assert_eq!((found.min, found.max, found.sum), (Some(7.0), Some(9.0), None));

        let cents = Decimal128Array::from(vec![Some(1050), None, Some(-25)]);
        let (found, _) = of(Arc::new(cents.clone().with_precision_and_scale(10, 2).expect("valid")));
        assert_eq!(
            (found.min, found.max, found.sum),
            (Some(-0.25), Some(10.5), Some(10.25))
        );
        let wide = Decimal128Array::from(vec![1i128 << 100, -5])
            .with_precision_and_scale(38, 0)
            .expect("valid");
        let (found, _) = of(Arc::new(wide));
        assert_eq!((found.min, found.max), (Some(-5.0), Some((1i128 << 100) as f64)));

        let (found, bytes) = of(Arc::new(StringViewArray::from(vec![Some("a"), None])));
        assert_eq!((found.nulls, found.min, found.sum, found.first), (1, None, None, None));
        assert!(bytes <= 4);
        let (found, _) = of(new_null_array(&DataType::Float64, 9));
        assert_eq!((found.nulls, found.min), (9, None));
    }
}
