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

use std::ops::Range;

use super::super::bits::{FRAME, pack, packed_bytes, unpack, width};
use super::super::cursor::{Cursor, Decoded, put_signed};
use super::lanes::{self, Lane, Narrowest};
use super::{EachFrame, IntegerCodec, PACKED};

pub(super) const CODEC: IntegerCodec = IntegerCodec {
    name: "packed",
    decode,
    decode_part: Some(decode_part),
    decode_frames: Some(decode_frames),
};

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

/// Frames of the largest block: their tables need no allocation.
const FRAMES_OF_BLOCK: usize = 64;

/// A table of the frames: a number for each.
struct Table {
    few: [i64; FRAMES_OF_BLOCK],
    many: Vec<i64>,
}

impl Table {
    fn unpack(bytes: &[u8], reference: i64, width: u32, frames: usize) -> Table {
        let mut table = Table {
            few: [0; FRAMES_OF_BLOCK],
            many: Vec::new(),
        };
        let slots = match table.few.get_mut(..frames) {
            Some(few) => few,
            None => {
                // One in 64 of what the caller allocates for the values.
                table.many = vec![0; frames];
                table.many.as_mut_slice()
            }
        };
        unpack(bytes, reference, width, slots);
        table
    }

    fn get(&self, frames: usize) -> &[i64] {
        self.few.get(..frames).unwrap_or(&self.many)
    }
}

/// References and widths of the frames.
struct Frames {
    references: Table,
    widths: Table,
    count: usize,
}

impl Frames {
    fn read(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Frames> {
        let count = rows.div_ceil(FRAME);
        let base = cursor.signed()?;
        let reference_width = read_width(cursor)?;
        let packed_references = cursor.take(packed_bytes(count, reference_width))?;
        let smallest = cursor.byte()?;
        let width_width = read_width(cursor)?;
        let packed_widths = cursor.take(packed_bytes(count, width_width))?;
        let frames = Frames {
            references: Table::unpack(packed_references, base, reference_width, count),
            widths: Table::unpack(packed_widths, i64::from(smallest), width_width, count),
            count,
        };
        match frames.widths.get(count).iter().all(|width| (0..=64).contains(width)) {
            true => Ok(frames),
            false => Err("a width of at most 64 bits"),
        }
    }

    /// Reference and width of each.
    fn iter(&self) -> impl Iterator<Item = (i64, u32)> {
        let references = self.references.get(self.count).iter();
        let widths = self.widths.get(self.count).iter();
        references
            .zip(widths)
            .map(|(reference, width)| (*reference, *width as u32))
    }
}

fn decode(cursor: &mut Cursor<'_>, out: &mut [i64], _depth: u8) -> Decoded<()> {
    let frames = Frames::read(cursor, out.len())?;
    for (frame, (reference, width)) in out.chunks_mut(FRAME).zip(frames.iter()) {
        let bytes = cursor.take(packed_bytes(frame.len(), width))?;
        unpack(bytes, reference, width, frame);
    }
    Ok(())
}

fn decode_frames(cursor: &mut Cursor<'_>, rows: usize, each: &mut EachFrame<'_>, _depth: u8) -> Decoded<()> {
    let mut left = rows;
    for (reference, width) in Frames::read(cursor, rows)?.iter() {
        let mut frame = [0; FRAME];
        let now = left.min(FRAME);
        let bytes = cursor.take(packed_bytes(now, width))?;
        unpack(bytes, reference, width, &mut frame[..now]);
        each(&mut frame[..now]);
        left -= now;
    }
    Ok(())
}

/// Frames before the part are passed over.
fn decode_part(cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize, out: &mut [i64], _depth: u8) -> Decoded<()> {
    let frames = Frames::read(cursor, rows)?;
    let first = part.start / FRAME;
    cursor.take(
        frames
            .iter()
            .take(first)
            .map(|(_, width)| packed_bytes(FRAME, width))
            .sum(),
    )?;
    let mut rest = out;
    let mut at = part.start;
    for (reference, width) in frames.iter().skip(first) {
        if rest.is_empty() {
            break;
        }
        let start = at / FRAME * FRAME;
        let end = (start + FRAME).min(rows);
        let bytes = cursor.take(packed_bytes(end - start, width))?;
        let mut frame = [0; FRAME];
        unpack(bytes, reference, width, &mut frame[..end - start]);
        let (now, after) = rest.split_at_mut(rest.len().min(end - at));
        now.copy_from_slice(&frame[at - start..][..now.len()]);
        rest = after;
        at = end;
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
