//! Codecs: a column's values as few bytes, chosen for each block by what is smallest within a decode-speed budget.
//!
//! ```text
//! column: nulls << 6 | codec: byte | which rows are null, if some are: bits | values that are not null: by codec
//! ```
//!
//! The choice follows from one look at the values (`integers/shape.rs`, `floats.rs`, `text.rs`), not from trying every codec; only
//! [`Compression::High`] compares two results. The bytes are specified in docs/formats/columns.md; change both together.
//!
//! Promises: `decode` gives back what `encode` was given, bit by bit; damaged bytes are an error or other values, never a panic, and never an
//! allocation beyond what the number of rows or the bytes present justify.
//! Leaves to others: checksums. Which bytes belong to which column and type.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, BooleanArray, make_array, new_null_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{BinaryViewType, DataType, StringViewType};

use crate::Compression;

mod bits;
mod booleans;
pub(crate) mod cursor;
mod floats;
pub(crate) mod integers;
mod nulls;
mod numbers;
mod text;

use cursor::{Cursor, Decoded};
use numbers::Native;

/// Most rows of an encoded column. A few bytes may stand for any number of equal values, so the number of rows is what bounds the memory
/// that decoding takes: 2^22 rows of 16 bytes are 64 MiB. Blocks hold a few thousand rows, and the log cuts what a transaction writes at this.
pub const ROWS_MAX: usize = 1 << 22;

/// How values of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Numbers as they lie in memory.
    Plain,
    /// A sequence of integers (`integers/`).
    Integers,
    /// Floats as decimals (`floats.rs`).
    Decimals,
    /// Floats as ordered bits (`floats.rs`).
    Patterns,
    /// Numbers entropy-coded by pco (`numbers.rs`).
    Entropy,
    /// Bits (`booleans.rs`).
    Bits,
    /// Text and bytes as they are, perhaps LZ4 (`text.rs`).
    Text,
    /// Text and bytes by number in a dictionary (`text.rs`).
    Dictionary,
}

/// Every codec of a column; the place in this list is the number on disk. A new one goes to the end.
const CODECS: [Codec; 8] = [
    Codec::Plain,
    Codec::Integers,
    Codec::Decimals,
    Codec::Patterns,
    Codec::Entropy,
    Codec::Bits,
    Codec::Text,
    Codec::Dictionary,
];

/// Which rows are null: the two high bits of a column's first byte.
const NULLS_NONE: u8 = 0;
const NULLS_ALL: u8 = 1;
const NULLS_SOME: u8 = 2;

/// The codec's number has the other six.
const CODEC_BITS: u32 = 6;
const _: () = assert!(CODECS.len() <= 1 << CODEC_BITS);

// Plain numbers are copied between memory and disk.
const _: () = assert!(cfg!(target_endian = "little"));

/// Appends `array` to `out`: nulls, codec and values, self-delimiting given the type and number of rows.
///
/// Takes the types that storage keeps (see [`crate::Rows`]), and u32 and u64; at most [`ROWS_MAX`] rows and 2 GiB of text at once. Anything else
/// is the caller's bug, and panics here rather than writing what cannot be read.
pub fn encode(array: &ArrayRef, compression: Compression, out: &mut Vec<u8>) {
    encode_by(array, compression, numbers_by_size, out);
}

/// As [`encode`] with [`Compression::Fast`], but numbers by what takes the least work to write.
pub(crate) fn encode_quickly(array: &ArrayRef, out: &mut Vec<u8>) {
    encode_by(array, Compression::Fast, numbers_quickly, out);
}

/// How a column of numbers is appended.
type PutNumbers = fn(&ArrayRef, Compression, &mut Vec<u8>) -> Option<Codec>;

fn encode_by(array: &ArrayRef, compression: Compression, put_numbers: PutNumbers, out: &mut Vec<u8>) {
    assert!(
        array.len() <= ROWS_MAX,
        "a column of at most {ROWS_MAX} rows is encoded at once"
    );
    if array.null_count() == array.len() {
        out.push(NULLS_ALL << CODEC_BITS);
        return;
    }
    let head = out.len();
    out.push(0);
    let mut nulls = NULLS_NONE;
    if array.null_count() > 0 {
        nulls = NULLS_SOME;
        let valid = array.nulls().expect("an array with nulls says where they are");
        booleans::encode(valid.inner(), out);
    }
    let codec = encode_values(array, compression, put_numbers, out);
    let number = CODECS
        .iter()
        .position(|listed| *listed == codec)
        .expect("every codec is listed");
    out[head] = nulls << CODEC_BITS | number as u8;
}

/// Calls a function that is generic in a number's type with the one that arrays of this type hold.
macro_rules! by_native {
    ($data_type:expr, $function:ident ( $($argument:expr),* ), else $other:expr) => {
        match $data_type {
            DataType::Int16 => $function::<i16>($($argument),*),
            DataType::Int32 | DataType::Date32 => $function::<i32>($($argument),*),
            DataType::Int64 | DataType::Timestamp(_, _) => $function::<i64>($($argument),*),
            DataType::UInt32 => $function::<u32>($($argument),*),
            DataType::UInt64 => $function::<u64>($($argument),*),
            DataType::Float32 => $function::<f32>($($argument),*),
            DataType::Float64 => $function::<f64>($($argument),*),
            DataType::Decimal128(_, _) => $function::<i128>($($argument),*),
            _ => $other,
        }
    };
}

fn numbers_by_size(array: &ArrayRef, compression: Compression, out: &mut Vec<u8>) -> Option<Codec> {
    Some(
        by_native!(array.data_type(), encode_numbers(array, |values, out| numbers::encode(values, compression, out), out), else {
            return None
        }),
    )
}

fn numbers_quickly(array: &ArrayRef, _: Compression, out: &mut Vec<u8>) -> Option<Codec> {
    Some(
        by_native!(array.data_type(), encode_numbers(array, numbers::encode_quickly, out), else {
            return None
        }),
    )
}

fn encode_values(array: &ArrayRef, compression: Compression, put_numbers: PutNumbers, out: &mut Vec<u8>) -> Codec {
    match array.data_type() {
        DataType::Boolean => {
            let array = array.as_boolean();
            match nulls_of(array) {
                None => booleans::encode(array.values(), out),
                Some(_) => booleans::encode(&array.iter().flatten().collect(), out),
            }
            Codec::Bits
        }
        DataType::Utf8View => text::encode(array.as_string_view(), compression, out),
        DataType::BinaryView => text::encode(array.as_binary_view(), compression, out),
        other => {
            put_numbers(array, compression, out).unwrap_or_else(|| panic!("columns of type {other} are never stored"))
        }
    }
}

fn nulls_of(array: &dyn Array) -> Option<&NullBuffer> {
    array.nulls().filter(|nulls| nulls.null_count() > 0)
}

fn encode_numbers<N: Native>(array: &ArrayRef, put: impl Fn(&[N], &mut Vec<u8>) -> Codec, out: &mut Vec<u8>) -> Codec {
    let data = array.to_data();
    let buffer = data.buffers()[0].clone();
    let values = ScalarBuffer::<N>::new(buffer, data.offset(), data.len());
    put(&nulls::gather(&values, nulls_of(array)), out)
}

/// The array of `rows` values that `encode` wrote. Trusts nothing: damaged bytes are an error, never a panic or a large allocation. The
/// message says what was expected.
pub fn decode(bytes: &[u8], data_type: &DataType, rows: usize) -> Result<ArrayRef, &'static str> {
    let (array, used) = decode_prefix(bytes, data_type, rows)?;
    if used != bytes.len() {
        return Err("no bytes after a column");
    }
    Ok(array)
}

/// As [`decode`], from bytes that go on after the column; with how many were the column's.
pub fn decode_prefix(bytes: &[u8], data_type: &DataType, rows: usize) -> Result<(ArrayRef, usize), &'static str> {
    if rows > ROWS_MAX {
        return Err("a column of at most 4194304 rows");
    }
    let mut cursor = Cursor::new(bytes);
    let array = decode_column(&mut cursor, data_type, rows)?;
    Ok((array, bytes.len() - cursor.remaining()))
}

/// Rows `part` of the array of `rows` values that `encode` wrote: as [`decode`], but of the other rows as little is decoded as the codec allows,
/// and bytes after the column are not noticed. `part` lies within the rows.
pub fn decode_part(
    bytes: &[u8],
    data_type: &DataType,
    rows: usize,
    part: Range<usize>,
) -> Result<ArrayRef, &'static str> {
    if rows > ROWS_MAX {
        return Err("a column of at most 4194304 rows");
    }
    let mut cursor = Cursor::new(bytes);
    let head = cursor.byte()?;
    let codec = CODECS.get(usize::from(head & ((1 << CODEC_BITS) - 1)));
    if let (NULLS_NONE, Some(codec)) = (head >> CODEC_BITS, codec) {
        let numbers = by_native!(data_type, decode_numbers_part(&mut cursor, data_type, *codec, rows, part.clone()), else {
            Ok(None)
        })?;
        if let Some(numbers) = numbers {
            return Ok(numbers);
        }
    }
    Ok(decode(bytes, data_type, rows)?.slice(part.start, part.len()))
}

fn decode_column(cursor: &mut Cursor<'_>, data_type: &DataType, rows: usize) -> Decoded<ArrayRef> {
    let head = cursor.byte()?;
    let codec = *CODECS
        .get(usize::from(head & ((1 << CODEC_BITS) - 1)))
        .ok_or("a known column codec")?;
    let nulls = match head >> CODEC_BITS {
        NULLS_NONE => None,
        NULLS_ALL if is_stored(data_type) => return Ok(new_null_array(data_type, rows)),
        NULLS_SOME => Some(NullBuffer::new(booleans::decode(cursor, rows)?)),
        _ => return Err("a known kind of nulls"),
    };
    match (data_type, codec) {
        (DataType::Boolean, Codec::Bits) => {
            let written = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
            let bits = booleans::decode(cursor, written)?;
            Ok(Arc::new(BooleanArray::new(
                spread_bits(bits, rows, nulls.as_ref()),
                nulls,
            )))
        }
        (DataType::Utf8View, Codec::Text) => text::decode_plain::<StringViewType>(cursor, rows, nulls),
        (DataType::Utf8View, Codec::Dictionary) => text::decode_dictionary::<StringViewType>(cursor, rows, nulls),
        (DataType::BinaryView, Codec::Text) => text::decode_plain::<BinaryViewType>(cursor, rows, nulls),
        (DataType::BinaryView, Codec::Dictionary) => text::decode_dictionary::<BinaryViewType>(cursor, rows, nulls),
        (other, codec) => by_native!(other, decode_numbers(cursor, other, codec, rows, nulls), else {
            Err("a codec for this type")
        }),
    }
}

/// The codecs of an encoded column in words, outermost first; for dumps and system views.
pub fn describe(bytes: &[u8]) -> String {
    let Some((head, body)) = bytes.split_first() else {
        return String::new();
    };
    let nulls = head >> CODEC_BITS;
    let codec = CODECS.get(usize::from(head & ((1 << CODEC_BITS) - 1)));
    match (nulls, codec) {
        (NULLS_ALL, _) => "nulls".to_owned(),
        (_, None) => "unknown".to_owned(),
        (NULLS_NONE, Some(Codec::Integers)) => integers::describe(body),
        (_, Some(codec)) => format!("{codec:?}").to_lowercase(),
    }
}

/// Whether columns of this type are encoded at all.
pub(crate) fn is_stored(data_type: &DataType) -> bool {
    fn yes<N: Native>() -> bool {
        true
    }
    by_native!(data_type, yes(), else {
        matches!(data_type, DataType::Boolean | DataType::Utf8View | DataType::BinaryView)
    })
}

fn decode_numbers<N: Native>(
    cursor: &mut Cursor<'_>,
    data_type: &DataType,
    codec: Codec,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Decoded<ArrayRef> {
    let written = rows - nulls.as_ref().map_or(0, NullBuffer::null_count);
    let values = numbers::decode::<N>(codec, cursor, written)?;
    let values = nulls::spread(values, rows, nulls.as_ref());
    number_array(values, data_type, rows, nulls)
}

fn number_array<N: Native>(
    values: Vec<N>,
    data_type: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Decoded<ArrayRef> {
    let data = ArrayData::builder(data_type.clone())
        .len(rows)
        .add_buffer(Buffer::from_vec(values))
        .nulls(nulls)
        .build()
        .map_err(|_| "values of this type")?;
    Ok(make_array(data))
}

fn decode_numbers_part<N: Native>(
    cursor: &mut Cursor<'_>,
    data_type: &DataType,
    codec: Codec,
    rows: usize,
    part: Range<usize>,
) -> Decoded<Option<ArrayRef>> {
    let part_rows = part.len();
    let values = numbers::decode_part::<N>(codec, cursor, part, rows)?;
    number_array(values, data_type, part_rows, None).map(Some)
}

/// Puts the bits of the rows that are not null in their places.
fn spread_bits(bits: BooleanBuffer, rows: usize, nulls: Option<&NullBuffer>) -> BooleanBuffer {
    match nulls {
        None => bits,
        Some(nulls) => {
            let mut rest = bits.iter();
            BooleanBuffer::collect_bool(rows, |row| nulls.is_valid(row) && rest.next().unwrap_or(false))
        }
    }
}

#[cfg(test)]
mod tests;
