//! Sequences of 64-bit integers: the codecs that numbers, times, lengths, indexes and positions all end in.
//!
//! A sequence is one byte that names its codec, then the codec's body; its number of values is known to the reader. Some codecs hold further
//! sequences, so that a plan like "scaled by 1000, then differences, then runs" is a nesting of three. Arithmetic is modulo 2^64 everywhere:
//! no value, difference or reference is out of range.
//!
//! [`encode`] looks at the values once (`shape.rs`) and then writes the plan that promises to be smallest. It does not try plans out.

mod constant;
mod delta;
mod lanes;
mod packed;
mod runs;
mod scaled;
mod shape;

use std::ops::Range;

use super::bits::FRAME;
use super::cursor::{Cursor, Decoded};
use shape::Shape;

/// Sequences inside sequences. The deepest plan written is scaled, delta, delta, packed; a reader that follows damaged bytes further would
/// use up its stack.
const DEPTH_MAX: u8 = 4;

struct IntegerCodec {
    name: &'static str,
    /// Fills the slice, which may be of any length but is never empty.
    decode: fn(&mut Cursor<'_>, &mut [i64], u8) -> Decoded<()>,
    /// The values of some rows only, for codecs that find them without those before.
    decode_part: Option<DecodePart>,
    /// The values frame by frame, for codecs that need no more of them at once.
    decode_frames: Option<DecodeFrames>,
}

/// Takes the next values, up to [`FRAME`] of them, and may change them on their way.
type EachFrame<'a> = dyn FnMut(&mut [i64]) + 'a;

/// Gives so many values, which are some: rows, where they go, depth.
type DecodeFrames = fn(&mut Cursor<'_>, usize, &mut EachFrame<'_>, u8) -> Decoded<()>;

/// Fills the slice with `part` of `rows` values: part, rows, slice, depth. The cursor is left anywhere.
type DecodePart = fn(&mut Cursor<'_>, Range<usize>, usize, &mut [i64], u8) -> Decoded<()>;

/// Every codec of integers; the place in this list is the byte on disk. A new one goes to the end.
static INTEGER_CODECS: [IntegerCodec; 5] = [constant::CODEC, packed::CODEC, runs::CODEC, delta::CODEC, scaled::CODEC];

const CONSTANT: u8 = 0;
const PACKED: u8 = 1;
const RUNS: u8 = 2;
const DELTA: u8 = 3;
const SCALED: u8 = 4;

/// Appends the values; their number is not written.
pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) {
    encode_at(values, 0, out);
}

/// As [`encode`], without looking for the smallest plan: packed as they are. For values that are not kept for long.
pub(crate) fn encode_quickly(values: &[i64], out: &mut Vec<u8>) {
    if !values.is_empty() {
        packed::encode(values, out);
    }
}

/// `count` values. The caller bounds `count` before: it is what will be allocated.
pub(crate) fn decode_vec(cursor: &mut Cursor<'_>, count: usize) -> Decoded<Vec<i64>> {
    let mut values = Vec::with_capacity(count);
    decode_frames(cursor, count, &mut |frame| values.extend_from_slice(frame))?;
    Ok(values)
}

/// Gives `count` values to `each`, a frame at a time, so that they are still in the first cache when they become something else.
pub(crate) fn decode_frames(cursor: &mut Cursor<'_>, count: usize, each: &mut EachFrame<'_>) -> Decoded<()> {
    decode_frames_at(cursor, count, each, 0)
}

fn decode_frames_at(cursor: &mut Cursor<'_>, count: usize, each: &mut EachFrame<'_>, depth: u8) -> Decoded<()> {
    if count == 0 {
        return Ok(());
    }
    let frames = next_codec(cursor, depth)?.decode_frames;
    match frames {
        Some(decode_frames) => {
            cursor.byte()?;
            decode_frames(cursor, count, each, depth)
        }
        None => {
            let mut whole = vec![0; count];
            decode_at(cursor, &mut whole, depth)?;
            whole.chunks_mut(FRAME).for_each(each);
            Ok(())
        }
    }
}

/// The codec of the sequence that begins here.
fn next_codec(cursor: &Cursor<'_>, depth: u8) -> Decoded<&'static IntegerCodec> {
    if depth >= DEPTH_MAX {
        return Err("integer codecs nested at most four deep");
    }
    INTEGER_CODECS
        .get(usize::from(cursor.clone().byte()?))
        .ok_or("a known integer codec")
}

/// Values `part` of `rows`, the last that the cursor is asked for.
pub(crate) fn decode_part(cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize) -> Decoded<Vec<i64>> {
    let mut values = vec![0; part.len()];
    decode_part_at(cursor, part, rows, &mut values, 0)?;
    Ok(values)
}

fn decode_part_at(cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize, out: &mut [i64], depth: u8) -> Decoded<()> {
    if out.is_empty() {
        return Ok(());
    }
    let part_of = next_codec(cursor, depth)?.decode_part;
    match part_of {
        Some(decode_part) => {
            cursor.byte()?;
            decode_part(cursor, part, rows, out, depth)
        }
        None => {
            let mut whole = vec![0; rows];
            decode_at(cursor, &mut whole, depth)?;
            out.copy_from_slice(&whole[part]);
            Ok(())
        }
    }
}

fn decode_at(cursor: &mut Cursor<'_>, out: &mut [i64], depth: u8) -> Decoded<()> {
    if out.is_empty() {
        return Ok(());
    }
    let codec = next_codec(cursor, depth)?;
    cursor.byte()?;
    (codec.decode)(cursor, out, depth)
}

/// What [`encode_at`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Constant,
    Packed,
    Runs,
    /// Differences, themselves as the plan says that stands in their place.
    DeltaConstant,
    DeltaPacked,
    DeltaRuns,
    DeltaDeltaPacked,
    /// Multiples of this step above the smallest value.
    Scaled(u64),
}

fn encode_at(values: &[i64], depth: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let shape = Shape::of(values);
    match shape.plan(values, depth) {
        Plan::Constant => constant::encode(values[0], out),
        Plan::Packed => packed::encode(values, out),
        Plan::Runs => runs::encode(values, depth, out),
        Plan::DeltaConstant => {
            delta::begin(values[0], out);
            constant::encode(values[1].wrapping_sub(values[0]), out);
        }
        Plan::DeltaPacked => {
            delta::begin(values[0], out);
            packed::encode(&delta::differences(values), out);
        }
        Plan::DeltaRuns => {
            delta::begin(values[0], out);
            runs::encode(&delta::differences(values), depth + 1, out);
        }
        Plan::DeltaDeltaPacked => {
            let differences = delta::differences(values);
            delta::begin(values[0], out);
            delta::begin(differences[0], out);
            packed::encode(&delta::differences(&differences), out);
        }
        Plan::Scaled(step) => scaled::encode(values, shape.min, step, depth, out),
    }
}

/// The codecs of an encoded sequence from the outermost to the first that holds no other, for dumps and tests.
pub(crate) fn describe(bytes: &[u8]) -> String {
    let mut cursor = Cursor::new(bytes);
    let mut names = Vec::new();
    while let Ok(byte) = cursor.byte() {
        let Some(codec) = INTEGER_CODECS.get(usize::from(byte)) else {
            break;
        };
        names.push(codec.name);
        let skipped = match byte {
            DELTA => cursor.signed().map(|_| ()),
            SCALED => cursor.varint().and_then(|_| cursor.signed()).map(|_| ()),
            _ => break,
        };
        if skipped.is_err() {
            break;
        }
    }
    names.join(" of ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, &mut out);
        let mut cursor = Cursor::new(&out);
        assert_eq!(
            decode_vec(&mut cursor, values.len()).as_deref(),
            Ok(values),
            "{}",
            describe(&out)
        );
        assert_eq!(cursor.remaining(), 0);
        out
    }

    /// Each shape of data takes the plan made for it, at its size.
    #[test]
    fn plans() {
        let regular: Vec<i64> = (0..4096).map(|i| 1_700_000_000_000_000 + i * 10_000_000).collect();
        let mut gaps = regular.clone();
        for value in &mut gaps[1000..] {
            *value += 3_600_000_000;
        }
        let jitter: Vec<i64> = (0..4096i64)
            .map(|i| 1_700_000_000_000_000 + i * 10_000_000 + (i * i % 97) * 1000)
            .collect();
        let walk: Vec<i64> = (0..4096i64)
            .scan(50, |level, i| {
                *level += (i * 7919 % 13) % 3 - 1;
                Some(*level)
            })
            .collect();
        let levels: Vec<i64> = (0..4096).map(|i| i / 512 * i / 700).collect();
        let accelerating: Vec<i64> = (0..4096).map(|i| i * i * 50).collect();
        for (values, plan, bytes_max) in [
            (vec![7; 4096], "constant", 3),
            (regular, "delta of constant", 16),
            (gaps, "delta of runs", 48),
            (jitter, "scaled of delta of packed", 4200),
            (walk, "delta of packed", 1100),
            (levels, "runs", 100),
            (accelerating, "delta of delta of packed", 32),
            (vec![i64::MIN, i64::MAX, 0, -1], "packed", 64),
        ] {
            let out = encoded(&values);
            assert!(out.len() <= bytes_max, "{}: {} bytes", describe(&out), out.len());
            if !plan.starts_with("runs") {
                assert_eq!(describe(&out), plan);
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let bytes = [DELTA, 0].repeat(1000);
        assert!(decode_vec(&mut Cursor::new(&bytes), 5000).is_err());
    }

    fn sequences() -> impl Strategy<Value = Vec<i64>> {
        let wide = proptest::collection::vec(any::<i64>(), 0..300);
        let small = proptest::collection::vec(-50i64..50, 0..300);
        let walk = (any::<i64>(), proptest::collection::vec(-4i64..5, 0..300)).prop_map(|(start, steps)| {
            steps
                .into_iter()
                .scan(start, |level, step| {
                    *level = level.wrapping_add(step);
                    Some(*level)
                })
                .collect()
        });
        let runs = proptest::collection::vec((any::<i64>(), 1usize..60), 0..12).prop_map(|runs| {
            runs.into_iter()
                .flat_map(|(value, length)| std::iter::repeat_n(value, length))
                .collect()
        });
        let multiples = (
            any::<i64>(),
            2i64..100_000,
            proptest::collection::vec(0i64..1_000_000, 0..300),
        )
            .prop_map(|(start, step, values)| values.into_iter().map(|v| start.wrapping_add(v * step)).collect());
        prop_oneof![wide, small, walk, runs, multiples]
    }

    proptest! {
        #[test]
        fn round_trip(values in sequences()) {
            encoded(&values);
        }

        #[test]
        fn damage_is_no_panic(values in sequences(), at in any::<prop::sample::Index>(), flip in 1u8.., count in 0usize..400) {
            let mut out = Vec::new();
            encode(&values, &mut out);
            let _ = decode_vec(&mut Cursor::new(&out), count);
            if !out.is_empty() {
                let at = at.index(out.len());
                let _ = decode_vec(&mut Cursor::new(&out[..at]), values.len());
                out[at] ^= flip;
                let _ = decode_vec(&mut Cursor::new(&out), values.len());
            }
        }

        #[test]
        fn noise_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..400) {
            let _ = decode_vec(&mut Cursor::new(&bytes), count);
        }
    }
}
