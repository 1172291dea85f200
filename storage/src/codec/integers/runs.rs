//! Run lengths: each value once for as long as it repeats.
//!
//! ```text
//! runs: varint | value of each run: sequence | rows of each run: sequence
//! ```

use super::super::cursor::{Cursor, Decoded, put_varint};
use super::{IntegerCodec, RUNS, decode_at, encode_at};

pub(super) const CODEC: IntegerCodec = IntegerCodec {
    name: "runs",
    decode,
    decode_part: None,
    decode_frames: None,
};

pub(super) fn encode(values: &[i64], depth: u8, out: &mut Vec<u8>) {
    let mut run_values = Vec::new();
    let mut run_rows = Vec::new();
    for run in values.chunk_by(|a, b| a == b) {
        run_values.push(run[0]);
        run_rows.push(run.len() as i64);
    }
    out.push(RUNS);
    put_varint(out, run_values.len() as u64);
    encode_at(&run_values, depth + 1, out);
    encode_at(&run_rows, depth + 1, out);
}

fn decode(cursor: &mut Cursor<'_>, out: &mut [i64], depth: u8) -> Decoded<()> {
    // A run has at least one row.
    let runs = cursor.count(out.len())?;
    let mut values = vec![0; runs];
    let mut rows = vec![0; runs];
    decode_at(cursor, &mut values, depth + 1)?;
    decode_at(cursor, &mut rows, depth + 1)?;
    let mut rest = out;
    for (value, rows) in values.into_iter().zip(rows) {
        let rows = usize::try_from(rows).map_err(|_| "a run of rows")?;
        let (run, after) = rest.split_at_mut_checked(rows).ok_or("runs within the rows")?;
        run.fill(value);
        rest = after;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("runs that add up to the rows")
    }
}
