//! Columns of numbers: the choice between plain, the integer codecs, the float codecs and the entropy codec.

use std::mem::size_of;
use std::ops::Range;

use arrow::datatypes::ArrowNativeType;
use pco::data_types::Number;
use pco::{ChunkConfig, standalone};

use super::cursor::{Cursor, Decoded, put_varint};
use super::floats;
use super::{Codec, integers};
use crate::Compression;

/// The entropy codec has to be smaller by one part in this many: it decodes at a fifth of the others' speed.
const ENTROPY_SAVES_ONE_IN: usize = 32;

/// Fewer values do not pay for the entropy codec's tables.
const ENTROPY_FROM_VALUES: usize = 64;

/// A number as it lies in an Arrow buffer.
pub(super) trait Native: ArrowNativeType + Default {
    /// Appends the values as they are, little-endian.
    fn put_plain(values: &[Self], out: &mut Vec<u8>);
    /// Appends the values with a codec, its integers by `integers`; or appends nothing and says `None` when there is none for them.
    fn put_coded(values: &[Self], integers: PutIntegers, out: &mut Vec<u8>) -> Option<Codec>;
    fn take_coded(codec: Codec, cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<Self>>;
    /// Values `part` of the rows.
    fn take_part(codec: Codec, cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize) -> Decoded<Vec<Self>>;
    /// Appends the values with the entropy codec, if there is one.
    fn put_entropy(values: &[Self], out: &mut Vec<u8>) -> bool;
    fn take_entropy(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<Self>>;
    fn from_plain(bytes: &[u8]) -> Vec<Self>;
}

/// A function that appends integers: [`integers::encode`] or [`integers::encode_quickly`].
pub(super) type PutIntegers = fn(&[i64], &mut Vec<u8>);

const NOT_OF_THIS_TYPE: &str = "a codec for this type";

macro_rules! plain {
    ($native:ty) => {
        fn from_plain(bytes: &[u8]) -> Vec<Self> {
            bytes
                .as_chunks::<{ size_of::<$native>() }>()
                .0
                .iter()
                .map(|bytes| <$native>::from_le_bytes(*bytes))
                .collect()
        }
        fn put_plain(values: &[Self], out: &mut Vec<u8>) {
            out.reserve(size_of_val(values));
            for value in values {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    };
}

macro_rules! entropy {
    () => {
        fn put_entropy(values: &[Self], out: &mut Vec<u8>) -> bool {
            put_entropy(values, out)
        }
        fn take_entropy(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<Self>> {
            take_entropy(cursor, rows)
        }
    };
}

macro_rules! integer {
    ($native:ty) => {
        impl Native for $native {
            plain!($native);
            entropy!();
            fn put_coded(values: &[Self], integers: PutIntegers, out: &mut Vec<u8>) -> Option<Codec> {
                let wide: Vec<i64> = values.iter().map(|value| *value as i64).collect();
                integers(&wide, out);
                Some(Codec::Integers)
            }
            fn take_coded(codec: Codec, cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<Self>> {
                if codec != Codec::Integers {
                    return Err(NOT_OF_THIS_TYPE);
                }
                let mut values = Vec::with_capacity(rows);
                integers::decode_frames(cursor, rows, &mut |frame| {
                    values.extend(frame.iter().map(|value| *value as $native));
                })?;
                Ok(values)
            }
            fn take_part(codec: Codec, cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize) -> Decoded<Vec<Self>> {
                if codec != Codec::Integers {
                    return Err(NOT_OF_THIS_TYPE);
                }
                let wide = integers::decode_part(cursor, part, rows)?;
                Ok(wide.into_iter().map(|value| value as $native).collect())
            }
        }
    };
}
integer!(i16);
integer!(i32);
integer!(i64);
integer!(u32);
integer!(u64);

macro_rules! float {
    ($native:ty) => {
        impl Native for $native {
            plain!($native);
            entropy!();
            fn put_coded(values: &[Self], integers: PutIntegers, out: &mut Vec<u8>) -> Option<Codec> {
                if floats::encode_decimals(values, integers, out) {
                    return Some(Codec::Decimals);
                }
                floats::encode_patterns(values, integers, out);
                Some(Codec::Patterns)
            }
            fn take_coded(codec: Codec, cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<Self>> {
                match codec {
                    Codec::Decimals => floats::decode_decimals(cursor, rows),
                    Codec::Patterns => floats::decode_patterns(cursor, rows),
                    _ => Err(NOT_OF_THIS_TYPE),
                }
            }
            fn take_part(codec: Codec, cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize) -> Decoded<Vec<Self>> {
                match codec {
                    Codec::Decimals => floats::decode_decimals_part(cursor, part, rows),
                    Codec::Patterns => floats::decode_patterns_part(cursor, part, rows),
                    _ => Err(NOT_OF_THIS_TYPE),
                }
            }
        }
    };
}
float!(f32);
float!(f64);

impl Native for i128 {
    plain!(i128);
    fn put_coded(values: &[Self], integers: PutIntegers, out: &mut Vec<u8>) -> Option<Codec> {
        let narrow: Vec<i64> = values.iter().map_while(|value| i64::try_from(*value).ok()).collect();
        if narrow.len() < values.len() {
            return None;
        }
        integers(&narrow, out);
        Some(Codec::Integers)
    }
    fn take_coded(codec: Codec, cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<Self>> {
        if codec != Codec::Integers {
            return Err(NOT_OF_THIS_TYPE);
        }
        let narrow = integers::decode_vec(cursor, rows)?;
        Ok(narrow.into_iter().map(i128::from).collect())
    }
    fn put_entropy(_values: &[Self], _out: &mut Vec<u8>) -> bool {
        false
    }
    fn take_part(codec: Codec, cursor: &mut Cursor<'_>, part: Range<usize>, rows: usize) -> Decoded<Vec<Self>> {
        if codec != Codec::Integers {
            return Err(NOT_OF_THIS_TYPE);
        }
        let narrow = integers::decode_part(cursor, part, rows)?;
        Ok(narrow.into_iter().map(i128::from).collect())
    }
    fn take_entropy(_cursor: &mut Cursor<'_>, _rows: usize) -> Decoded<Vec<Self>> {
        Err(NOT_OF_THIS_TYPE)
    }
}

/// Appends the values with the codec that the compression asks for and the values allow.
pub(super) fn encode<N: Native>(values: &[N], compression: Compression, out: &mut Vec<u8>) -> Codec {
    let start = out.len();
    let chosen = match compression {
        Compression::None => None,
        Compression::Fast | Compression::High => put_unless_larger(values, integers::encode, out),
    };
    if chosen.is_none() {
        N::put_plain(values, out);
    }
    if compression == Compression::High && values.len() >= ENTROPY_FROM_VALUES {
        let mut entropy = Vec::new();
        let bytes = out.len() - start;
        if N::put_entropy(values, &mut entropy) && entropy.len() < bytes - bytes / ENTROPY_SAVES_ONE_IN {
            out.truncate(start);
            out.extend_from_slice(&entropy);
            return Codec::Entropy;
        }
    }
    chosen.unwrap_or(Codec::Plain)
}

/// Appends the values with the codec that takes the least work, for bytes that are read back after a crash at most.
pub(super) fn encode_quickly<N: Native>(values: &[N], out: &mut Vec<u8>) -> Codec {
    put_unless_larger(values, integers::encode_quickly, out).unwrap_or_else(|| {
        N::put_plain(values, out);
        Codec::Plain
    })
}

/// Appends the values with a codec, or nothing where that takes as many bytes as they do in memory.
fn put_unless_larger<N: Native>(values: &[N], integers: PutIntegers, out: &mut Vec<u8>) -> Option<Codec> {
    let start = out.len();
    let chosen = N::put_coded(values, integers, out);
    if out.len() - start >= size_of_val(values) {
        out.truncate(start);
        return None;
    }
    chosen
}

pub(super) fn decode<N: Native>(codec: Codec, cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<N>> {
    match codec {
        Codec::Plain => Ok(N::from_plain(cursor.take(rows * size_of::<N>())?)),
        Codec::Entropy => N::take_entropy(cursor, rows),
        codec => N::take_coded(codec, cursor, rows),
    }
}

/// Values `part` of the rows; what the codec allows is not decoded for the others.
pub(super) fn decode_part<N: Native>(
    codec: Codec,
    cursor: &mut Cursor<'_>,
    part: Range<usize>,
    rows: usize,
) -> Decoded<Vec<N>> {
    match codec {
        Codec::Plain => {
            let bytes = cursor.take(rows * size_of::<N>())?;
            let place = part.start * size_of::<N>()..part.end * size_of::<N>();
            Ok(N::from_plain(&bytes[place]))
        }
        Codec::Entropy => Ok(N::take_entropy(cursor, rows)?[part].to_vec()),
        codec => N::take_part(codec, cursor, part, rows),
    }
}

/// CRC-32C of the rest (little-endian) | bytes: varint | a standalone pco file.
///
/// The checksum is ours because pco trusts its input more than we do: damage never reaches it.
fn put_entropy<T: Number>(values: &[T], out: &mut Vec<u8>) -> bool {
    let Ok(compressed) = standalone::simple_compress(values, &ChunkConfig::default()) else {
        return false;
    };
    out.extend_from_slice(&crc32c::crc32c(&compressed).to_le_bytes());
    put_varint(out, compressed.len() as u64);
    out.extend_from_slice(&compressed);
    true
}

fn take_entropy<T: Number + Default>(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<T>> {
    let checksum = cursor.u32()?;
    let bytes = cursor.count(cursor.remaining())?;
    let compressed = cursor.take(bytes)?;
    if crc32c::crc32c(compressed) != checksum {
        return Err("the checksum of the entropy codec");
    }
    let mut values = vec![T::default(); rows];
    match standalone::simple_decompress_into(compressed, &mut values) {
        Ok(progress) if progress.n_processed == rows && progress.finished => Ok(values),
        _ => Err("as many entropy-coded values as rows"),
    }
}
