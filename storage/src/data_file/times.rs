//! Times of blocks. Devices of a fleet report at the same moments, so that one block's times are often those of the block before, bit by bit:
//! they are then taken from there, and one copy serves all.

use std::cell::RefCell;

use arrow::buffer::ScalarBuffer;

use crate::codec::cursor::{Cursor, Decoded};
use crate::codec::integers;

/// Times in regular steps take ten to twenty bytes, a gap now and then some more. Longer ones are hardly ever met twice.
const BYTES_MAX: usize = 128;

/// Times as they were encoded last.
struct Last {
    bytes: Vec<u8>,
    times: ScalarBuffer<i64>,
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

pub(super) fn take(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<ScalarBuffer<i64>> {
    LAST.with_borrow_mut(|last| {
        if let Some(last) = last
            && last.times.len() == rows
            && cursor.clone().take(last.bytes.len()) == Ok(&last.bytes)
        {
            // A decoder reads on only as far as what it has read tells it to: equal beginnings are decoded alike.
            cursor.take(last.bytes.len())?;
            return Ok(last.times.clone());
        }
        let mut before = cursor.clone();
        let times: ScalarBuffer<i64> = integers::decode_vec(cursor, rows)?.into();
        let bytes = before.take(before.remaining() - cursor.remaining())?;
        if bytes.len() <= BYTES_MAX {
            *last = Some(Last {
                bytes: bytes.to_vec(),
                times: times.clone(),
            });
        }
        Ok(times)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_met_again_are_the_same() {
        let regular = |start: i64, step: i64| (0..100).map(|at| start + at * step).collect::<Vec<i64>>();
        let mut bytes = Vec::new();
        let written = [
            regular(5, 10),
            regular(5, 10),
            regular(5, 11),
            regular(6, 10),
            vec![5],
            regular(5, 10),
        ];
        for times in &written {
            integers::encode(times, &mut bytes);
        }
        let mut cursor = Cursor::new(&bytes);
        let mut read = Vec::new();
        for times in &written {
            read.push(take(&mut cursor, times.len()).unwrap());
        }
        assert_eq!(cursor.remaining(), 0);
        for (read, written) in read.iter().zip(&written) {
            assert_eq!(&read[..], written);
        }
        assert!(read[0].ptr_eq(&read[1]), "decoded once");
    }

    #[test]
    fn of_fewer_rows_are_others() {
        let mut bytes = Vec::new();
        integers::encode(&[7; 50], &mut bytes);
        assert_eq!(take(&mut Cursor::new(&bytes), 50).unwrap().len(), 50);
        assert_eq!(&take(&mut Cursor::new(&bytes), 20).unwrap()[..], [7; 20]);
        assert!(take(&mut Cursor::new(&bytes[..1]), 50).is_err());
    }
}
