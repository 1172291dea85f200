//! Floating point numbers as integers, so that the integer codecs can have them.
//!
//! Measured values are mostly short decimals: 10.3, 219, 0.31. Such a number v is i / 10^e, correctly rounded, for a small integer i; dividing
//! gives back the very bits. `decimals` finds the e of a column by sampling and writes the integers. A number that does not return bit by bit
//! (another exponent, NaN, an infinity, -0.0) is an exception, written as it is:
//!
//! ```text
//! e: byte | exceptions: varint | rows of the exceptions: integers | their bits, little-endian | i of every row: integers
//! ```
//!
//! `patterns` takes the bits themselves, ordered as the numbers are: what the numbers share in their first bits is not written again.
//!
//! The division makes decoding slower than multiplying with 10^-e would be, and exact where that is not: no second factor is needed, and
//! nearly every decimal of up to 15 digits is no exception.

use std::ops::Range;

use super::cursor::{Cursor, Decoded, put_varint};
use super::integers;
use super::numbers::PutIntegers;

/// 10^0 to 10^15. Doubles hold 15 decimal digits; up to 10^22 powers of ten are exact.
const POWERS_OF_TEN: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// 1.5 * 2^52. A double of up to 2^51 added to it is rounded to an integer, which then stands in the low bits of the sum: rounding and
/// conversion in one addition that any processor does several at a time.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The bound of that trick.
const SCALED_MAX: f64 = 2_251_799_813_685_248.0;

/// Numbers looked at to find the exponent: enough that a rare shape among them does not decide.
const SAMPLE: usize = 32;

/// After this many numbers without a decimal form no more are looked at: the column is not made of decimals.
const SAMPLE_FAILURES_MAX: usize = 12;

/// Bits that an exception costs, its row included, and those that a decimal digit costs each row: what the exponent is weighed by.
const EXCEPTION_BITS: f64 = 80.0;
const DIGIT_BITS: f64 = 3.32;

/// A column with more exceptions than one in this many is not written as decimals: plain or patterns are as small and faster.
const EXCEPTIONS_ONE_IN: usize = 4;

/// A float of either width.
pub(super) trait Float: Copy + Default {
    const BYTES: usize;
    fn widen(self) -> f64;
    fn narrow(value: f64) -> Self;
    /// The bits as an integer that orders like the number.
    fn pattern(self) -> i64;
    fn from_pattern(pattern: i64) -> Self;
    fn same_bits(self, other: Self) -> bool;
    fn put(self, out: &mut Vec<u8>);
    /// `bytes` is `BYTES` long.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! float {
    ($float:ty, $signed:ty) => {
        impl Float for $float {
            const BYTES: usize = size_of::<$float>();
            fn widen(self) -> f64 {
                self as f64
            }
            fn narrow(value: f64) -> Self {
                value as $float
            }
            fn pattern(self) -> i64 {
                let bits = self.to_bits() as $signed;
                // Negative numbers order backwards by their bits: all but the sign is turned over.
                (bits ^ ((bits >> (<$signed>::BITS - 1)) & <$signed>::MAX)) as i64
            }
            fn from_pattern(pattern: i64) -> Self {
                let bits = pattern as $signed;
                <$float>::from_bits((bits ^ ((bits >> (<$signed>::BITS - 1)) & <$signed>::MAX)) as _)
            }
            fn same_bits(self, other: Self) -> bool {
                self.to_bits() == other.to_bits()
            }
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                <$float>::from_le_bytes(
                    bytes
                        .try_into()
                        .expect("the caller takes as many bytes as a number has"),
                )
            }
        }
    };
}
float!(f32, i32);
float!(f64, i64);

/// Appends the values as decimals, or appends nothing and says false when they are not decimals.
pub(super) fn encode_decimals<F: Float>(values: &[F], put_integers: PutIntegers, out: &mut Vec<u8>) -> bool {
    let Some(exponent) = choose_exponent(values) else {
        return false;
    };
    let mut scaled = vec![0i64; values.len()];
    let exceptions = match exponent {
        // Integers kept as floats are common and need no division.
        0 => scale(values, &mut scaled, |v| v, |i| i),
        _ => {
            let power = POWERS_OF_TEN[exponent];
            scale(values, &mut scaled, |v| v * power, |i| i / power)
        }
    };
    if exceptions.len() * EXCEPTIONS_ONE_IN > values.len() {
        return false;
    }
    // An exception takes its neighbour's integer: no jump there and back.
    for row in &exceptions {
        let row = *row as usize;
        scaled[row] = if row == 0 { 0 } else { scaled[row - 1] };
    }
    out.push(exponent as u8);
    put_varint(out, exceptions.len() as u64);
    integers::encode(&exceptions, out);
    for row in &exceptions {
        values[*row as usize].put(out);
    }
    put_integers(&scaled, out);
    true
}

/// Integers of the values, and the rows where they do not give back the very bits.
#[inline(always)] // so that each pair of closures becomes its own vectorised loop
fn scale<F: Float>(values: &[F], scaled: &mut [i64], up: impl Fn(f64) -> f64, down: impl Fn(f64) -> f64) -> Vec<i64> {
    let mut exceptions = Vec::new();
    let mut start = 0;
    for (values, scaled) in values.chunks(64).zip(scaled.chunks_mut(64)) {
        let mut good = true;
        for (value, slot) in values.iter().zip(scaled.iter_mut()) {
            good &= scale_one(*value, slot, &up, &down);
        }
        if !good {
            for (row, (value, slot)) in values.iter().zip(scaled.iter_mut()).enumerate() {
                if !scale_one(*value, slot, &up, &down) {
                    exceptions.push((start + row) as i64);
                }
            }
        }
        start += values.len();
    }
    exceptions
}

#[inline(always)]
fn scale_one<F: Float>(value: F, slot: &mut i64, up: impl Fn(f64) -> f64, down: impl Fn(f64) -> f64) -> bool {
    let wanted = up(value.widen());
    let rounded = wanted + ROUNDER;
    *slot = (rounded.to_bits() as i64).wrapping_sub(ROUNDER.to_bits() as i64);
    (wanted.abs() < SCALED_MAX) & F::narrow(down(rounded - ROUNDER)).same_bits(value)
}

/// The exponent that makes the sample smallest, if decimals are worth it.
fn choose_exponent<F: Float>(values: &[F]) -> Option<usize> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let mut sampled = 0;
    let mut failures = 0;
    // How many of the sample have their shortest decimal form at each exponent.
    let mut shortest = [0usize; POWERS_OF_TEN.len()];
    for value in values.iter().step_by(step) {
        sampled += 1;
        match shortest_exponent(*value) {
            Some(exponent) => shortest[exponent] += 1,
            None => failures += 1,
        }
        if failures == sampled && failures >= SAMPLE_FAILURES_MAX {
            return None;
        }
    }
    let mut best = None;
    let mut best_bits = f64::INFINITY;
    let mut good = 0;
    for (exponent, count) in shortest.iter().enumerate() {
        if *count == 0 {
            continue;
        }
        good += count;
        let bits = (sampled - good) as f64 * EXCEPTION_BITS + sampled as f64 * exponent as f64 * DIGIT_BITS;
        if bits < best_bits {
            (best, best_bits) = (Some(exponent), bits);
        }
    }
    best
}

fn shortest_exponent<F: Float>(value: F) -> Option<usize> {
    let mut slot = 0;
    POWERS_OF_TEN
        .iter()
        .position(|power| scale_one(value, &mut slot, |v| v * power, |i| i / power))
}

/// What stands before the integers of a column of decimals.
struct Head<'a> {
    exponent: usize,
    exception_rows: Vec<i64>,
    exception_bytes: &'a [u8],
}

fn read_head<'a, F: Float>(cursor: &mut Cursor<'a>, rows: usize) -> Decoded<Head<'a>> {
    let exponent = usize::from(cursor.byte()?);
    if exponent >= POWERS_OF_TEN.len() {
        return Err("a decimal exponent of at most 15");
    }
    // At most every row is an exception.
    let exceptions = cursor.count(rows)?;
    Ok(Head {
        exponent,
        exception_rows: integers::decode_vec(cursor, exceptions)?,
        exception_bytes: cursor.take(exceptions * F::BYTES)?,
    })
}

impl Head<'_> {
    /// Appends the numbers of these integers.
    fn unscale<F: Float>(&self, scaled: &[i64], values: &mut Vec<F>) {
        let power = POWERS_OF_TEN[self.exponent];
        match self.exponent {
            0 => values.extend(scaled.iter().map(|i| F::narrow(unround(*i)))),
            _ => values.extend(scaled.iter().map(|i| F::narrow(unround(*i) / power))),
        }
    }

    /// Puts the exceptions among the numbers of rows from `start` on.
    fn except<F: Float>(&self, values: &mut [F], start: usize, rows: usize) -> Decoded<()> {
        for (row, bytes) in self
            .exception_rows
            .iter()
            .zip(self.exception_bytes.chunks_exact(F::BYTES))
        {
            let row = usize::try_from(*row).ok().filter(|row| *row < rows);
            let row = row.ok_or("an exception within the rows")?;
            if let Some(place) = row.checked_sub(start).and_then(|at| values.get_mut(at)) {
                *place = F::get(bytes);
            }
        }
        Ok(())
    }
}

pub(super) fn decode_decimals<F: Float>(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<F>> {
    let head = read_head::<F>(cursor, rows)?;
    let mut values = Vec::with_capacity(rows);
    integers::decode_frames(cursor, rows, &mut |frame| head.unscale(frame, &mut values))?;
    head.except(&mut values, 0, rows)?;
    Ok(values)
}

pub(super) fn decode_decimals_part<F: Float>(
    cursor: &mut Cursor<'_>,
    part: Range<usize>,
    rows: usize,
) -> Decoded<Vec<F>> {
    let head = read_head::<F>(cursor, rows)?;
    let start = part.start;
    let mut values = Vec::with_capacity(part.len());
    head.unscale(&integers::decode_part(cursor, part, rows)?, &mut values);
    head.except(&mut values, start, rows)?;
    Ok(values)
}

/// The integer as a double; the other way of the rounding trick, with its bound. (Damaged integers beyond it give some number.)
#[inline(always)]
fn unround(scaled: i64) -> f64 {
    f64::from_bits((ROUNDER.to_bits() as i64).wrapping_add(scaled) as u64) - ROUNDER
}

/// Appends the values' ordered bits.
pub(super) fn encode_patterns<F: Float>(values: &[F], put_integers: PutIntegers, out: &mut Vec<u8>) {
    let patterns: Vec<i64> = values.iter().map(|value| value.pattern()).collect();
    put_integers(&patterns, out);
}

pub(super) fn decode_patterns<F: Float>(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<F>> {
    let mut values = Vec::with_capacity(rows);
    integers::decode_frames(cursor, rows, &mut |frame| {
        values.extend(frame.iter().map(|pattern| F::from_pattern(*pattern)));
    })?;
    Ok(values)
}

pub(super) fn decode_patterns_part<F: Float>(
    cursor: &mut Cursor<'_>,
    part: Range<usize>,
    rows: usize,
) -> Decoded<Vec<F>> {
    let patterns = integers::decode_part(cursor, part, rows)?;
    Ok(patterns.into_iter().map(F::from_pattern).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip<F: Float>(values: &[F]) -> Option<usize> {
        let mut out = Vec::new();
        encode_patterns(values, integers::encode, &mut out);
        let back = decode_patterns::<F>(&mut Cursor::new(&out), values.len()).expect("undamaged");
        assert!(values.iter().zip(&back).all(|(a, b)| a.same_bits(*b)));
        out.clear();
        if !encode_decimals(values, integers::encode, &mut out) {
            assert!(out.is_empty());
            return None;
        }
        let back = decode_decimals::<F>(&mut Cursor::new(&out), values.len()).expect("undamaged");
        assert!(values.iter().zip(&back).all(|(a, b)| a.same_bits(*b)));
        Some(out.len())
    }

    /// Decimals of one to six digits have no exceptions, in either width; what has none of them is left to others.
    #[test]
    fn decimals() {
        for power in &POWERS_OF_TEN[..6] {
            let doubles: Vec<f64> = (0..4096).map(|i| f64::from(i * 37 % 1000 - 300) / power).collect();
            let floats: Vec<f32> = doubles.iter().map(|v| *v as f32).collect();
            // Ten bits a value, an eighth of a bit of tables.
            assert!(round_trip(&doubles).expect("decimals") < 4096 * 11 / 8);
            assert!(round_trip(&floats).expect("decimals") < 4096 * 11 / 8);
        }
        let irrational: Vec<f64> = (1..500).map(|i| f64::from(i).sqrt().sin()).collect();
        assert_eq!(round_trip(&irrational), None);
    }

    /// Not-a-numbers keep their payload, zeros their sign.
    #[test]
    fn exceptions() {
        let mut values: Vec<f64> = (0..100).map(|i| f64::from(i) / 10.0).collect();
        values[0] = -0.0;
        values[17] = f64::NAN;
        values[18] = f64::from_bits(0xfff8_dead_beef_0001);
        values[19] = f64::INFINITY;
        values[20] = f64::NEG_INFINITY;
        values[21] = f64::MIN_POSITIVE / 8.0;
        values[99] = f64::MAX;
        assert!(round_trip(&values).is_some());
        let floats: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        assert!(round_trip(&floats).is_some());
    }

    proptest! {
        #[test]
        fn any_bits_return(bits in proptest::collection::vec(any::<u64>(), 0..100), decimals in proptest::collection::vec((-1_000_000i32..1_000_000, 0usize..6), 0..300)) {
            let mut values: Vec<f64> = decimals.iter().map(|(i, e)| f64::from(*i) / POWERS_OF_TEN[*e]).collect();
            values.extend(bits.iter().map(|bits| f64::from_bits(*bits)));
            round_trip(&values);
            let floats: Vec<f32> = decimals.iter().map(|(i, e)| (f64::from(*i) / POWERS_OF_TEN[*e]) as f32)
                .chain(bits.iter().map(|bits| f32::from_bits(*bits as u32))).collect();
            round_trip(&floats);
        }
    }
}
