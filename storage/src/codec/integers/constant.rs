//! One value for all rows.
//!
//! ```text
//! value: signed varint
//! ```

use super::super::bits::FRAME;
use super::super::cursor::{Cursor, Decoded, put_signed};
use super::{CONSTANT, EachFrame, IntegerCodec};

pub(super) const CODEC: IntegerCodec = IntegerCodec {
    name: "constant",
    decode,
    decode_part: Some(|cursor, _, _, out, depth| decode(cursor, out, depth)),
    decode_frames: Some(decode_frames),
};

pub(super) fn encode(value: i64, out: &mut Vec<u8>) {
    out.push(CONSTANT);
    put_signed(out, value);
}

fn decode(cursor: &mut Cursor<'_>, out: &mut [i64], _depth: u8) -> Decoded<()> {
    out.fill(cursor.signed()?);
    Ok(())
}

fn decode_frames(cursor: &mut Cursor<'_>, rows: usize, each: &mut EachFrame<'_>, _depth: u8) -> Decoded<()> {
    let value = cursor.signed()?;
    let mut left = rows;
    while left > 0 {
        // Filled anew each time: whoever took the last one may have changed it.
        let mut frame = [value; FRAME];
        let now = left.min(FRAME);
        each(&mut frame[..now]);
        left -= now;
    }
    Ok(())
}
