//! Multiples of a step above a base: times in milliseconds that are kept in microseconds, prices in cents kept with six digits.
//!
//! ```text
//! step: varint | base: signed varint | (value - base) / step: sequence
//! ```

use std::ops::Range;

use super::super::cursor::{Cursor, Decoded, put_signed, put_varint};
use super::{EachFrame, IntegerCodec, SCALED, decode_at, decode_frames_at, decode_part_at, encode_at};

pub(super) const CODEC: IntegerCodec = IntegerCodec {
    name: "scaled",
    decode,
    decode_part: Some(decode_part),
    decode_frames: Some(decode_frames),
};

/// Differences looked at before the whole sequence is: a step that holds for these by chance is rare.
const SAMPLE: usize = 64;

/// The largest step that every value is a multiple of above `min`; `None` when that is 1. `min` is the smallest value.
pub(super) fn step(values: &[i64], min: i64) -> Option<u64> {
    let mut step = 0;
    for value in values.iter().take(SAMPLE) {
        step = greatest_common_divisor(step, value.wrapping_sub(min) as u64);
        if step == 1 {
            return None;
        }
    }
    for value in values.iter().skip(SAMPLE) {
        let above = value.wrapping_sub(min) as u64;
        // One division while the sampled step holds; the slow path runs at most 64 times, since each time the step halves at least.
        if !above.is_multiple_of(step) {
            step = greatest_common_divisor(step, above);
            if step == 1 {
                return None;
            }
        }
    }
    (step > 1).then_some(step)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

pub(super) fn encode(values: &[i64], min: i64, step: u64, depth: u8, out: &mut Vec<u8>) {
    out.push(SCALED);
    put_varint(out, step);
    put_signed(out, min);
    let multiples: Vec<i64> = values
        .iter()
        .map(|value| (value.wrapping_sub(min) as u64 / step) as i64)
        .collect();
    encode_at(&multiples, depth + 1, out);
}

fn decode(cursor: &mut Cursor<'_>, out: &mut [i64], depth: u8) -> Decoded<()> {
    let step = cursor.varint()? as i64;
    let base = cursor.signed()?;
    decode_at(cursor, out, depth + 1)?;
    for value in out {
        *value = value.wrapping_mul(step).wrapping_add(base);
    }
    Ok(())
}

fn decode_part(cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize, out: &mut [i64], depth: u8) -> Decoded<()> {
    let step = cursor.varint()? as i64;
    let base = cursor.signed()?;
    decode_part_at(cursor, part, rows, out, depth + 1)?;
    for value in out {
        *value = value.wrapping_mul(step).wrapping_add(base);
    }
    Ok(())
}

fn decode_frames(cursor: &mut Cursor<'_>, rows: usize, each: &mut EachFrame<'_>, depth: u8) -> Decoded<()> {
    let step = cursor.varint()? as i64;
    let base = cursor.signed()?;
    let mut scaled = |frame: &mut [i64]| {
        for value in frame.iter_mut() {
            *value = value.wrapping_mul(step).wrapping_add(base);
        }
        each(frame);
    };
    decode_frames_at(cursor, rows, &mut scaled, depth + 1)
}
