//! Differences of neighbours, as a sequence of their own.
//!
//! ```text
//! first: signed varint | differences: sequence, one shorter
//! ```
//!
//! Regular times become a constant, counters and slowly moving measurements become small numbers.

use super::super::cursor::{Cursor, Decoded, put_signed};
use super::{DELTA, IntegerCodec, decode_at};

pub(super) const CODEC: IntegerCodec = IntegerCodec { name: "delta", decode };

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
