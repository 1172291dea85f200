//! Differences of neighbours, as a sequence of their own.
//!
//! ```text
//! first: signed varint | differences: sequence, one shorter
//! ```
//!
//! Regular times become a constant, counters and slowly moving measurements become small numbers.

use std::ops::Range;

use super::super::cursor::{Cursor, Decoded, put_signed};
use super::{DELTA, EachFrame, IntegerCodec, decode_at, decode_frames_at};

pub(super) const CODEC: IntegerCodec = IntegerCodec {
    name: "delta",
    decode,
    decode_part: Some(decode_part),
    decode_frames: Some(decode_frames),
};

/// Writes all but the differences, which the caller appends.
pub(super) fn begin(first: i64, out: &mut Vec<u8>) {
    out.push(DELTA);
    put_signed(out, first);
}

/// `values[i + 1] - values[i]`, modulo 2^64.
pub(super) fn differences(values: &[i64]) -> Vec<i64> {
    values
        .iter()
        .zip(values.iter().skip(1))
        .map(|(before, value)| value.wrapping_sub(*before))
        .collect()
}

fn decode(cursor: &mut Cursor<'_>, out: &mut [i64], depth: u8) -> Decoded<()> {
    let mut value = cursor.signed()?;
    let (first, differences) = out.split_first_mut().ok_or("at least one value")?;
    *first = value;
    decode_at(cursor, differences, depth + 1)?;
    for slot in differences {
        value = value.wrapping_add(*slot);
        *slot = value;
    }
    Ok(())
}

/// Differences before the part are only summed up, which is faster than adding them row by row: no sum waits for the one before.
fn decode_part(cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize, out: &mut [i64], depth: u8) -> Decoded<()> {
    let mut value = cursor.signed()?;
    let mut differences = vec![0; rows.saturating_sub(1)];
    decode_at(cursor, &mut differences, depth + 1)?;
    let (before, of_part) = differences.split_at(part.start);
    value = before
        .iter()
        .fold(value, |sum, difference| sum.wrapping_add(*difference));
    let (first, rest) = out.split_first_mut().ok_or("at least one value")?;
    *first = value;
    for (slot, difference) in rest.iter_mut().zip(of_part) {
        value = value.wrapping_add(*difference);
        *slot = value;
    }
    Ok(())
}

fn decode_frames(cursor: &mut Cursor<'_>, rows: usize, each: &mut EachFrame<'_>, depth: u8) -> Decoded<()> {
    let mut value = cursor.signed()?;
    each(&mut [value]);
    let mut summed = |frame: &mut [i64]| {
        value = sum_up(frame, value);
        each(frame);
    };
    decode_frames_at(cursor, rows.saturating_sub(1), &mut summed, depth + 1)
}

/// Puts the sum of `before` and all differences so far in the place of each; the last is returned.
fn sum_up(differences: &mut [i64], before: i64) -> i64 {
    let mut value = before;
    // Four are summed up among themselves first, so that only one addition in four waits for the one before.
    let (fours, rest) = differences.as_chunks_mut::<4>();
    for four in fours {
        let [a, b, c, d] = *four;
        let ab = a.wrapping_add(b);
        let abc = ab.wrapping_add(c);
        let abcd = ab.wrapping_add(c.wrapping_add(d));
        *four = [a, ab, abc, abcd].map(|sum| sum.wrapping_add(value));
        value = four[3];
    }
    for slot in rest {
        value = value.wrapping_add(*slot);
        *slot = value;
    }
    value
}
