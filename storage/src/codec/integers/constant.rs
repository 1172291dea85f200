//! One value for all rows.
//!
//! ```text
//! value: signed varint
//! ```

use super::super::cursor::{Cursor, Decoded, put_signed};
use super::{CONSTANT, IntegerCodec};

pub(super) const CODEC: IntegerCodec = IntegerCodec {
    name: "constant",
    decode,
};

pub(super) fn encode(value: i64, out: &mut Vec<u8>) {
    out.push(CONSTANT);
    put_signed(out, value);
}

fn decode(cursor: &mut Cursor<'_>, out: &mut [i64], _depth: u8) -> Decoded<()> {
    out.fill(cursor.signed()?);
    Ok(())
}
