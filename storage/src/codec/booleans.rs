//! Sequences of bits: bool columns, and which rows of any column are null.
//!
//! ```text
//! 0 all false | 1 all true
//! 2 bitmap: bits, eight a byte, lowest first, the rest of the last byte 0
//! 3 runs:   first bit: byte | runs: varint | rows of each run: integers
//! ```

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{BooleanBuffer, Buffer};

use super::cursor::{Cursor, Decoded, put_varint};
use super::integers;

const ALL_FALSE: u8 = 0;
const ALL_TRUE: u8 = 1;
const BITMAP: u8 = 2;
const RUNS: u8 = 3;

/// Bits that a run is reckoned at. A run's length packs to about this much, and a bitmap decodes faster than runs.
const RUN_BITS: usize = 16;

pub(super) fn encode(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    match bits.count_set_bits() {
        0 => return out.push(ALL_FALSE),
        set if set == bits.len() => return out.push(ALL_TRUE),
        _ => {}
    }
    let runs = run_rows(bits);
    if runs.len() * RUN_BITS < bits.len() {
        out.push(RUNS);
        out.push(u8::from(bits.value(0)));
        put_varint(out, runs.len() as u64);
        integers::encode(&runs, out);
        return;
    }
    out.push(BITMAP);
    let start = out.len();
    out.extend_from_slice(&bits.sliced().as_slice()[..bits.len().div_ceil(8)]);
    // What lies behind the last bit is whatever the buffer held; the bytes on disk follow from the values alone.
    if let (Some(last), used @ 1..) = (out[start..].last_mut(), bits.len() % 8) {
        *last &= (1 << used) - 1;
    }
}

/// Lengths of the runs of equal bits.
fn run_rows(bits: &BooleanBuffer) -> Vec<i64> {
    let mut rows = Vec::new();
    let mut end = 0;
    for (set_start, set_end) in bits.set_slices() {
        if set_start > end {
            rows.push((set_start - end) as i64);
        }
        rows.push((set_end - set_start) as i64);
        end = set_end;
    }
    if end < bits.len() {
        rows.push((bits.len() - end) as i64);
    }
    rows
}

pub(super) fn decode(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<BooleanBuffer> {
    match cursor.byte()? {
        ALL_FALSE => Ok(BooleanBuffer::new_unset(rows)),
        ALL_TRUE => Ok(BooleanBuffer::new_set(rows)),
        BITMAP => {
            let bytes = cursor.take(rows.div_ceil(8))?;
            Ok(BooleanBuffer::new(Buffer::from(bytes), 0, rows))
        }
        RUNS => decode_runs(cursor, rows),
        _ => Err("a known codec of bits"),
    }
}

fn decode_runs(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<BooleanBuffer> {
    let mut bit = match cursor.byte()? {
        0 => false,
        1 => true,
        _ => return Err("a first bit of 0 or 1"),
    };
    // A run has at least one row.
    let runs = cursor.count(rows)?;
    let mut bits = BooleanBufferBuilder::new(rows);
    for run in integers::decode_vec(cursor, runs)? {
        match usize::try_from(run) {
            Ok(run) if run <= rows - bits.len() => bits.append_n(run, bit),
            _ => return Err("runs within the rows"),
        }
        bit = !bit;
    }
    if bits.len() != rows {
        return Err("runs that add up to the rows");
    }
    Ok(bits.finish())
}
