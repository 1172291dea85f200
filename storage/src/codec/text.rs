//! Text and bytes.
//!
//! ```text
//! plain:      bytes of each value: integers | payload: all values, one after the other
//! dictionary: distinct values: varint | bytes of each: integers | payload | number of each row's value: integers
//! ```
//!
//! ```text
//! payload:    bytes: varint | stored bytes: varint | as they are, or compressed (LZ4 block) when fewer are stored
//! ```
//!
//! A decoded dictionary is held once; rows point into it.

use std::sync::Arc;

use arrow::array::{ArrayRef, GenericByteViewArray, UInt32Array, make_view};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::ByteViewType;

use super::cursor::{Cursor, Decoded, put_varint};
use super::{Codec, bits, integers};
use crate::Compression;

/// Bytes that LZ4 can make of one: 255, by the format's length bytes. Bounds the allocation for a payload by what is stored.
const LZ4_EXPANSION_MAX: usize = 255;

/// Shorter payloads are not compressed: nothing is saved.
const LZ4_FROM_BYTES: usize = 64;

/// Most bytes of a column's payload: a view holds its offset in 31 bits.
pub(super) const PAYLOAD_BYTES_MAX: usize = i32::MAX as usize;

/// Appends the values that are not null.
pub(super) fn encode<T: ByteViewType>(
    array: &GenericByteViewArray<T>,
    compression: Compression,
    out: &mut Vec<u8>,
) -> Codec {
    let values: Vec<&[u8]> = array.iter().flatten().map(|value| value.as_ref()).collect();
    if compression != Compression::None
        && let Some((distinct, numbers)) = dictionary(&values)
    {
        put_varint(out, distinct.len() as u64);
        put_values(&distinct, compression, out);
        integers::encode(&numbers, out);
        return Codec::Dictionary;
    }
    put_values(&values, compression, out);
    Codec::Text
}

fn put_values(values: &[&[u8]], compression: Compression, out: &mut Vec<u8>) {
    let lengths: Vec<i64> = values.iter().map(|value| value.len() as i64).collect();
    integers::encode(&lengths, out);
    let payload = values.concat();
    assert!(
        payload.len() <= PAYLOAD_BYTES_MAX,
        "a column of at most 2 GiB of text is encoded at once"
    );
    put_varint(out, payload.len() as u64);
    if compression != Compression::None && payload.len() >= LZ4_FROM_BYTES {
        let compressed = lz4_flex::block::compress(&payload);
        // An eighth has to be saved, or reading it back is not worth the time.
        if compressed.len() < payload.len() - payload.len() / 8 {
            put_varint(out, compressed.len() as u64);
            out.extend_from_slice(&compressed);
            return;
        }
    }
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(&payload);
}

/// The distinct values in order of appearance and each row's number; `None` when writing them is not smaller.
fn dictionary<'a>(values: &[&'a [u8]]) -> Option<(Vec<&'a [u8]>, Vec<i64>)> {
    // With less than two rows to a value there is little to share.
    let distinct_max = values.len() / 2;
    // Open addressing at a load of at most a half. Whoever chooses values that collide loses the dictionary, not our time.
    let slots = (2 * distinct_max).next_power_of_two().max(4);
    let mut probes_left = 8 * values.len();
    let mut table = vec![u32::MAX; slots];
    let mut distinct: Vec<&[u8]> = Vec::new();
    let mut numbers: Vec<i64> = Vec::with_capacity(values.len());
    for value in values {
        if let Some(last) = numbers.last()
            && distinct[*last as usize] == *value
        {
            numbers.push(*last);
            continue;
        }
        let mut slot = hash(value) as usize & (slots - 1);
        let number = loop {
            match table[slot] {
                u32::MAX => {
                    if distinct.len() == distinct_max {
                        return None;
                    }
                    table[slot] = distinct.len() as u32;
                    distinct.push(value);
                    break distinct.len() - 1;
                }
                number if distinct[number as usize] == *value => break number as usize,
                _ => {
                    slot = (slot + 1) & (slots - 1);
                    probes_left = probes_left.checked_sub(1)?;
                }
            }
        };
        numbers.push(number as i64);
    }
    let distinct_bytes: usize = distinct.iter().map(|value| value.len() + 1).sum();
    let number_bytes = bits::packed_bytes(values.len(), bits::width(distinct.len() as u64 - 1));
    let plain_bytes: usize = values.iter().map(|value| value.len()).sum();
    (distinct_bytes + number_bytes < plain_bytes).then_some((distinct, numbers))
}

/// Mixes eight bytes at a time. Only has to be quick and even: see `dictionary` for values chosen to collide.
fn hash(value: &[u8]) -> u64 {
    // 2^64 divided by the golden ratio: an odd number without pattern in its bits.
    const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(MIXER);
        (product as u64) ^ (product >> 64) as u64
    };
    let (words, tail) = value.as_chunks::<8>();
    let mut hash = value.len() as u64;
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word)).wrapping_add(MIXER);
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    mix(hash, u64::from_le_bytes(last))
}

/// `rows` values of which `nulls` says which are null; the others are written.
pub(super) fn decode_plain<T: ByteViewType>(
    cursor: &mut Cursor<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Decoded<ArrayRef> {
    let written = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
    let (views, payload) = take_values(cursor, written)?;
    let views = super::nulls::spread(views, rows, nulls.as_ref());
    Ok(Arc::new(byte_views::<T>(views, payload, nulls)?))
}

pub(super) fn decode_dictionary<T: ByteViewType>(
    cursor: &mut Cursor<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Decoded<ArrayRef> {
    let written = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
    // A value that no row has is not written.
    let distinct = cursor.count(written)?;
    let (views, payload) = take_values(cursor, distinct)?;
    let dictionary = byte_views::<T>(views, payload, None)?;
    let numbers = integers::decode_vec(cursor, written)?;
    if numbers
        .iter()
        .any(|number| usize::try_from(*number).map_or(true, |number| number >= distinct))
    {
        return Err("a number within the dictionary");
    }
    let numbers: Vec<u32> = numbers.into_iter().map(|number| number as u32).collect();
    let numbers = UInt32Array::new(super::nulls::spread(numbers, rows, nulls.as_ref()).into(), nulls);
    if distinct == 0 {
        return Err("a dictionary of at least one value");
    }
    take(&dictionary, &numbers, None).map_err(|_| "a number within the dictionary")
}

fn byte_views<T: ByteViewType>(
    views: Vec<u128>,
    payload: Buffer,
    nulls: Option<NullBuffer>,
) -> Decoded<GenericByteViewArray<T>> {
    GenericByteViewArray::try_new(ScalarBuffer::from(views), vec![payload], nulls).map_err(|_| "text in UTF-8")
}

/// Views of `count` values and the bytes they point to.
fn take_values(cursor: &mut Cursor<'_>, count: usize) -> Decoded<(Vec<u128>, Buffer)> {
    let lengths = integers::decode_vec(cursor, count)?;
    let payload_bytes = cursor.count(PAYLOAD_BYTES_MAX)?;
    let stored_bytes = cursor.count(cursor.remaining())?;
    let stored = cursor.take(stored_bytes)?;
    let payload = if stored_bytes == payload_bytes {
        stored.to_vec()
    } else if stored_bytes > payload_bytes || payload_bytes / LZ4_EXPANSION_MAX > stored_bytes {
        return Err("a payload that its compressed form can hold");
    } else {
        let mut payload = vec![0; payload_bytes];
        match lz4_flex::block::decompress_into(stored, &mut payload) {
            Ok(bytes) if bytes == payload_bytes => payload,
            _ => return Err("a whole LZ4 block"),
        }
    };
    let mut views = Vec::with_capacity(count);
    let mut rest = payload.as_slice();
    for length in lengths {
        let length = usize::try_from(length).map_err(|_| "a length of at least 0")?;
        let offset = (payload.len() - rest.len()) as u32;
        let (value, after) = rest.split_at_checked(length).ok_or("values within the payload")?;
        views.push(make_view(value, 0, offset));
        rest = after;
    }
    if !rest.is_empty() {
        return Err("values that fill the payload");
    }
    Ok((views, Buffer::from_vec(payload)))
}
