//! Frame of reference and bit packing, with a reference and a width for each 64 values.
//!
//! ```text
//! base: signed varint
//! reference width: byte | reference - base of each frame, packed
//! smallest width: byte  | width of the widths: byte | width - smallest of each frame, packed
//! values - reference of each frame, packed to the frame's width
//! ```
//!
//! One outlier widens its own 64 values, not the column. The two small tables cost about 0.06 bits a value.

use super::super::bits::{FRAME, pack, packed_bytes, unpack, width};
use super::super::cursor::{Cursor, Decoded, put_signed};
use super::lanes::{self, Lane, Narrowest};
use super::{IntegerCodec, PACKED};

pub(super) const CODEC: IntegerCodec = IntegerCodec { name: "packed", decode };

pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let mut references = Vec::with_capacity(values.len().div_ceil(FRAME));
    let mut widths = Vec::with_capacity(references.capacity());
    frame_bounds(values, |min, max| {
        references.push(min);
        widths.push(i64::from(width(max.wrapping_sub(min) as u64)));
    });
    out.push(PACKED);
    let (base, base_max) = bounds(&references);
    let reference_width = width(base_max.wrapping_sub(base) as u64);
    put_signed(out, base);
    out.push(reference_width as u8);
    pack(&references, base, reference_width, out);
    let (smallest, largest) = bounds(&widths);
    let width_width = width((largest - smallest) as u64);
    out.push(smallest as u8);
    out.push(width_width as u8);
    pack(&widths, smallest, width_width, out);
    for ((frame, reference), width) in values.chunks(FRAME).zip(&references).zip(&widths) {
        pack(frame, *reference, *width as u32, out);
    }
}

fn decode(cursor: &mut Cursor<'_>, out: &mut [i64], _depth: u8) -> Decoded<()> {
    let frames = out.len().div_ceil(FRAME);
    let base = cursor.signed()?;
    let reference_width = read_width(cursor)?;
    let packed_references = cursor.take(packed_bytes(frames, reference_width))?;
    let smallest = cursor.byte()?;
    let width_width = read_width(cursor)?;
    let packed_widths = cursor.take(packed_bytes(frames, width_width))?;
    // One in 64 of what the caller allocated for the values.
    let mut references = vec![0; frames];
    unpack(packed_references, base, reference_width, &mut references);
    let mut widths = vec![0; frames];
    unpack(packed_widths, i64::from(smallest), width_width, &mut widths);
    for ((frame, reference), width) in out.chunks_mut(FRAME).zip(references).zip(widths) {
        if !(0..=64).contains(&width) {
            return Err("a width of at most 64 bits");
        }
        let bytes = cursor.take(packed_bytes(frame.len(), width as u32))?;
        unpack(bytes, reference, width as u32, frame);
    }
    Ok(())
}

fn read_width(cursor: &mut Cursor<'_>) -> Decoded<u32> {
    let width = u32::from(cursor.byte()?);
    if width > 64 {
        return Err("a width of at most 64 bits");
    }
    Ok(width)
}

/// Tells smallest and largest of each frame.
fn frame_bounds(values: &[i64], tell: impl FnMut(i64, i64)) {
    match lanes::narrowest(values, i16::BITS, i32::BITS) {
        Narrowest::Bits16 => frame_bounds_in::<i16>(values, tell),
        Narrowest::Bits32 => frame_bounds_in::<i32>(values, tell),
        Narrowest::Bits64 => frame_bounds_in::<i64>(values, tell),
    }
}

fn frame_bounds_in<T: Lane>(values: &[i64], mut tell: impl FnMut(i64, i64)) {
    for frame in values.chunks(FRAME) {
        let seen = frame.iter().fold((T::MAX, T::MIN), |(min, max), value| {
            let value = T::of(*value);
            (min.min(value), max.max(value))
        });
        tell(seen.0.wide(), seen.1.wide());
    }
}

/// Smallest and largest; (0, 0) of nothing.
pub(super) fn bounds(values: &[i64]) -> (i64, i64) {
    let first = values.first().copied().unwrap_or(0);
    values
        .iter()
        .fold((first, first), |(min, max), value| (min.min(*value), max.max(*value)))
}
