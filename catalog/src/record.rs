//! Bytes of children on disk: a run of children of one supertable, column by column, as one record.
//!
//! Columns rather than one record per child, so that a million children are read back with large copies. The same form holds
//! 8192 children or a single one. The bytes are specified in docs/formats/catalog.md; change both together.
//!
//! Promises: `decode(encode(children))` are the same children; damaged bytes are an error, and nothing is allocated that the bytes
//! do not account for. Leaves to others: which slots a record covers (its key, `store.rs`).

use std::sync::Arc;

use arrow::array::types::{
    ByteViewType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, GenericByteViewArray, PrimitiveArray, make_view,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{BinaryViewType, DataType, StringViewType, TimeUnit};
use hashbrown::HashMap;

use crate::children::CHUNK_ROWS;
use crate::{ChildChunk, Precision, SeriesRef, Table};

/// First byte of a record.
const VERSION: u8 = 1;

/// How a column's values are stored. A number once used keeps its meaning.
mod kind {
    pub const BOOLEAN: u8 = 0;
    pub const INT16: u8 = 1;
    pub const INT32: u8 = 2;
    pub const INT64: u8 = 3;
    pub const FLOAT32: u8 = 4;
    pub const FLOAT64: u8 = 5;
    pub const DECIMAL: u8 = 6;
    pub const TEXT: u8 = 7;
    pub const BYTES: u8 = 8;
}

/// Text and bytes: each value in its place, or distinct values and their numbers.
mod form {
    pub const PLAIN: u8 = 0;
    pub const DICTIONARY: u8 = 1;
}

pub(crate) fn encode(table: &Table, children: &ChildChunk) -> Vec<u8> {
    let rows = children.oids.len();
    // A guess that spares most of the growing: 16 bytes of fixed columns, a name, and tags of eight bytes.
    let mut out = Vec::with_capacity(rows * (32 + 8 * children.tags.len()) + 64);
    out.push(VERSION);
    out.extend_from_slice(&(rows as u32).to_le_bytes());
    push_bits(&mut out, &children.alive);
    out.extend(children.oids.iter().flat_map(|oid| oid.to_le_bytes()));
    out.extend(children.series.iter().flat_map(|series| series.vnode.to_le_bytes()));
    out.extend(children.series.iter().flat_map(|series| series.series.to_le_bytes()));
    encode_column(&mut out, &children.names);
    out.extend_from_slice(&(children.tags.len() as u16).to_le_bytes());
    for (tag, array) in table.tags.iter().zip(&children.tags) {
        out.extend_from_slice(&tag.id.to_le_bytes());
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        encode_column(&mut out, array);
        let length = (out.len() - length_at - 4) as u32;
        out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }
    out
}

/// The children of a record with the tags that the table has now: added ones are null, dropped ones gone, widened ones wider.
pub(crate) fn decode(table: &Table, precision: Precision, bytes: &[u8]) -> Result<ChildChunk, &'static str> {
    let mut reader = Reader { rest: bytes };
    if reader.u8()? != VERSION {
        return Err("unknown record version");
    }
    let rows = reader.u32()?;
    if rows == 0 || rows > CHUNK_ROWS {
        return Err("impossible number of children");
    }
    let rows = rows as usize;
    let alive = reader.bits(rows)?;
    let oids = reader.fixed(rows, u32::from_le_bytes)?;
    let vnodes = reader.fixed(rows, u32::from_le_bytes)?;
    let numbers = reader.fixed(rows, u32::from_le_bytes)?;
    let series = vnodes
        .into_iter()
        .zip(numbers)
        .map(|(vnode, series)| SeriesRef { vnode, series })
        .collect();
    let names = decode_column(&mut reader, rows, &DataType::Utf8View)?;
    if names.null_count() > 0 {
        return Err("a child has no name");
    }
    let tag_count = reader.u16()?;
    let mut tags: Vec<Option<ArrayRef>> = vec![None; table.tags.len()];
    for _ in 0..tag_count {
        let id = reader.u16()?;
        let length = reader.u32()? as usize;
        let mut column = Reader {
            rest: reader.take(length)?,
        };
        let Some(position) = table.tags.iter().position(|tag| tag.id == id) else {
            continue; // dropped since
        };
        let data_type = table.tags[position].sql_type.arrow_type(precision);
        tags[position] = Some(decode_column(&mut column, rows, &data_type)?);
        if !column.rest.is_empty() {
            return Err("a tag column is longer than its values");
        }
    }
    if !reader.rest.is_empty() {
        return Err("bytes follow the last tag");
    }
    let tags = tags
        .into_iter()
        .zip(&table.tags)
        .map(|(array, tag)| array.unwrap_or_else(|| new_null_array(&tag.sql_type.arrow_type(precision), rows)))
        .collect();
    Ok(ChildChunk {
        alive,
        oids,
        series,
        names,
        tags,
    })
}

fn push_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    let bytes = bits.sliced();
    out.extend_from_slice(&bytes[..bits.len().div_ceil(8)]);
}

fn encode_column(out: &mut Vec<u8>, array: &ArrayRef) {
    let kind = match array.data_type() {
        DataType::Boolean => kind::BOOLEAN,
        DataType::Int16 => kind::INT16,
        DataType::Int32 | DataType::Date32 => kind::INT32,
        DataType::Int64 | DataType::Timestamp(_, _) => kind::INT64,
        DataType::Float32 => kind::FLOAT32,
        DataType::Float64 => kind::FLOAT64,
        DataType::Decimal128(_, _) => kind::DECIMAL,
        DataType::Utf8View => kind::TEXT,
        DataType::BinaryView => kind::BYTES,
        other => unreachable!("tags are of the Arrow types of SqlType, which {other} is not"),
    };
    out.push(kind);
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => {
            out.push(1);
            push_bits(out, nulls.inner());
        }
        None => out.push(0),
    }
    match array.data_type() {
        DataType::Boolean => push_bits(out, array.as_boolean().values()),
        DataType::Int16 => encode_fixed::<Int16Type, 2>(out, array, i16::to_le_bytes),
        DataType::Int32 => encode_fixed::<Int32Type, 4>(out, array, i32::to_le_bytes),
        DataType::Date32 => encode_fixed::<Date32Type, 4>(out, array, i32::to_le_bytes),
        DataType::Int64 => encode_fixed::<Int64Type, 8>(out, array, i64::to_le_bytes),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            encode_fixed::<TimestampMillisecondType, 8>(out, array, i64::to_le_bytes);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            encode_fixed::<TimestampMicrosecondType, 8>(out, array, i64::to_le_bytes);
        }
        DataType::Timestamp(_, _) => encode_fixed::<TimestampNanosecondType, 8>(out, array, i64::to_le_bytes),
        DataType::Float32 => encode_fixed::<Float32Type, 4>(out, array, f32::to_le_bytes),
        DataType::Float64 => encode_fixed::<Float64Type, 8>(out, array, f64::to_le_bytes),
        DataType::Decimal128(_, _) => encode_fixed::<Decimal128Type, 16>(out, array, i128::to_le_bytes),
        DataType::Utf8View => {
            let array = array.as_string_view();
            encode_views(out, array.len(), |row| {
                if array.is_null(row) {
                    b""
                } else {
                    array.value(row).as_bytes()
                }
            });
        }
        _ => {
            let array = array.as_binary_view();
            encode_views(out, array.len(), |row| {
                if array.is_null(row) { b"" } else { array.value(row) }
            });
        }
    }
}

fn encode_fixed<T: ArrowPrimitiveType, const WIDTH: usize>(
    out: &mut Vec<u8>,
    array: &ArrayRef,
    bytes: fn(T::Native) -> [u8; WIDTH],
) {
    out.extend(
        array
            .as_primitive::<T>()
            .values()
            .iter()
            .flat_map(|value| bytes(*value)),
    );
}

fn encode_views<'a>(out: &mut Vec<u8>, rows: usize, value: impl Fn(usize) -> &'a [u8]) {
    let push_values = |out: &mut Vec<u8>, values: &mut dyn Iterator<Item = &'a [u8]>| {
        let values: Vec<&[u8]> = values.collect();
        out.extend(values.iter().flat_map(|value| (value.len() as u32).to_le_bytes()));
        for value in values {
            out.extend_from_slice(value);
        }
    };
    if let Some((distinct, codes)) = dictionary(rows, &value) {
        out.push(form::DICTIONARY);
        out.extend_from_slice(&(distinct.len() as u16).to_le_bytes());
        push_values(out, &mut distinct.into_iter());
        out.extend(codes.into_iter().flat_map(u16::to_le_bytes));
    } else {
        out.push(form::PLAIN);
        push_values(out, &mut (0..rows).map(value));
    }
}

/// Distinct values and each row's number, when at least half of the rows repeat a value.
fn dictionary<'a>(rows: usize, value: impl Fn(usize) -> &'a [u8]) -> Option<(Vec<&'a [u8]>, Vec<u16>)> {
    let distinct_max = rows / 2;
    let mut numbers: HashMap<&[u8], u16> = HashMap::new();
    let mut distinct = Vec::new();
    let mut codes = Vec::with_capacity(rows);
    for row in 0..rows {
        let value = value(row);
        let code = *numbers.entry(value).or_insert_with(|| {
            distinct.push(value);
            (distinct.len() - 1) as u16
        });
        if distinct.len() > distinct_max {
            return None;
        }
        codes.push(code);
    }
    Some((distinct, codes))
}
// Codes of a whole chunk fit their 16 bits.
const _: () = assert!(CHUNK_ROWS <= 1 << 16);

fn decode_column(reader: &mut Reader<'_>, rows: usize, data_type: &DataType) -> Result<ArrayRef, &'static str> {
    let kind = reader.u8()?;
    let nulls = match reader.u8()? {
        0 => None,
        1 => Some(NullBuffer::new(reader.bits(rows)?)),
        _ => return Err("impossible null flag"),
    };
    Ok(match (data_type, kind) {
        (DataType::Boolean, kind::BOOLEAN) => Arc::new(BooleanArray::new(reader.bits(rows)?, nulls)),
        (DataType::Int16, kind::INT16) => primitive::<Int16Type>(reader.fixed(rows, i16::from_le_bytes)?, nulls),
        (DataType::Int32, kind::INT16) => {
            primitive::<Int32Type>(reader.fixed(rows, |bytes| i16::from_le_bytes(bytes).into())?, nulls)
        }
        (DataType::Int32, kind::INT32) => primitive::<Int32Type>(reader.fixed(rows, i32::from_le_bytes)?, nulls),
        (DataType::Int64, kind::INT16) => {
            primitive::<Int64Type>(reader.fixed(rows, |bytes| i16::from_le_bytes(bytes).into())?, nulls)
        }
        (DataType::Int64, kind::INT32) => {
            primitive::<Int64Type>(reader.fixed(rows, |bytes| i32::from_le_bytes(bytes).into())?, nulls)
        }
        (DataType::Int64, kind::INT64) => primitive::<Int64Type>(reader.fixed(rows, i64::from_le_bytes)?, nulls),
        (DataType::Date32, kind::INT32) => primitive::<Date32Type>(reader.fixed(rows, i32::from_le_bytes)?, nulls),
        (DataType::Timestamp(unit, zone), kind::INT64) => {
            let values = reader.fixed(rows, i64::from_le_bytes)?;
            let zone = zone.clone();
            match unit {
                TimeUnit::Millisecond => Arc::new(
                    PrimitiveArray::<TimestampMillisecondType>::new(values.into(), nulls).with_timezone_opt(zone),
                ),
                TimeUnit::Microsecond => Arc::new(
                    PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls).with_timezone_opt(zone),
                ),
                _ => Arc::new(
                    PrimitiveArray::<TimestampNanosecondType>::new(values.into(), nulls).with_timezone_opt(zone),
                ),
            }
        }
        (DataType::Float32, kind::FLOAT32) => primitive::<Float32Type>(reader.fixed(rows, f32::from_le_bytes)?, nulls),
        (DataType::Float64, kind::FLOAT64) => primitive::<Float64Type>(reader.fixed(rows, f64::from_le_bytes)?, nulls),
        (DataType::Decimal128(_, _), kind::DECIMAL) => {
            let values = reader.fixed(rows, i128::from_le_bytes)?;
            Arc::new(PrimitiveArray::<Decimal128Type>::new(values.into(), nulls).with_data_type(data_type.clone()))
        }
        (DataType::Utf8View, kind::TEXT) => decode_views::<StringViewType>(reader, rows, nulls)?,
        (DataType::BinaryView, kind::BYTES) => decode_views::<BinaryViewType>(reader, rows, nulls)?,
        _ => return Err("a column's values are not of its type"),
    })
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

fn decode_views<T: ByteViewType>(
    reader: &mut Reader<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, &'static str> {
    let mut long_values = Vec::new();
    let views = match reader.u8()? {
        form::PLAIN => decode_values(reader, rows, &mut long_values)?,
        form::DICTIONARY => {
            let distinct = usize::from(reader.u16()?);
            let distinct = decode_values(reader, distinct, &mut long_values)?;
            let codes = reader.fixed(rows, u16::from_le_bytes)?;
            let view = |code: u16| {
                distinct
                    .get(usize::from(code))
                    .copied()
                    .ok_or("a value's number is unknown")
            };
            codes.into_iter().map(view).collect::<Result<_, _>>()?
        }
        _ => return Err("unknown form of text"),
    };
    let buffers = if long_values.is_empty() {
        vec![]
    } else {
        vec![Buffer::from_vec(long_values)]
    };
    let array = GenericByteViewArray::<T>::try_new(ScalarBuffer::from(views), buffers, nulls);
    Ok(Arc::new(array.map_err(|_| "text is not UTF-8")?))
}

/// Views with a place of their own for up to this many bytes.
const INLINE_BYTES_MAX: usize = 12;

fn decode_values(reader: &mut Reader<'_>, count: usize, long_values: &mut Vec<u8>) -> Result<Vec<u128>, &'static str> {
    let lengths = reader.fixed(count, u32::from_le_bytes)?;
    let mut views = Vec::with_capacity(count);
    for length in lengths {
        let value = reader.take(length as usize)?;
        let offset = u32::try_from(long_values.len()).map_err(|_| "text of more than 4 GiB")?;
        views.push(make_view(value, 0, offset));
        if value.len() > INLINE_BYTES_MAX {
            long_values.extend_from_slice(value);
        }
    }
    long_values.shrink_to_fit();
    Ok(views)
}

/// Takes bytes from the front, never more than there are.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("record is cut short")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], &'static str> {
        let (taken, rest) = self.rest.split_first_chunk::<LENGTH>().ok_or("record is cut short")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, &'static str> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, &'static str> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn bits(&mut self, rows: usize) -> Result<BooleanBuffer, &'static str> {
        Ok(BooleanBuffer::new(Buffer::from(self.take(rows.div_ceil(8))?), 0, rows))
    }

    /// `rows` is at most `CHUNK_ROWS`, or counted by 16 bits: the product is small.
    fn fixed<const WIDTH: usize, T>(
        &mut self,
        rows: usize,
        value: impl Fn([u8; WIDTH]) -> T,
    ) -> Result<Vec<T>, &'static str> {
        let bytes = self.take(rows * WIDTH)?;
        Ok(bytes.as_chunks::<WIDTH>().0.iter().map(|bytes| value(*bytes)).collect())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;

    use super::*;
    use crate::{Column, SqlType, TableKind};

    fn tag(id: u16, sql_type: SqlType) -> Column {
        let name = format!("tag{id}");
        Column {
            id,
            name,
            sql_type,
            not_null: false,
            attnum: id + 1,
            default: None,
            comment: None,
        }
    }

    fn table(tags: Vec<Column>) -> Table {
        Table {
            oid: 16_385,
            database_oid: 16_384,
            name: "meters".into(),
            kind: TableKind::Super,
            version: 1,
            columns: vec![],
            tags,
            series: None,
            comment: None,
            indexes: Vec::new(),
            keep: None,
            child_prefix: "meters".into(),
            next_column_id: 9,
            next_attnum: 9,
        }
    }

    fn example() -> (Table, ChildChunk) {
        let table = table(vec![tag(2, SqlType::Text), tag(3, SqlType::Integer)]);
        let series = |series| SeriesRef { vnode: 1, series };
        let children = ChildChunk {
            alive: [true, true].into_iter().collect(),
            oids: vec![16_386, 16_387],
            series: vec![series(0), series(1)],
            names: Arc::new(StringViewArray::from(vec!["d1", "d2"])),
            tags: vec![
                Arc::new(StringViewArray::from(vec!["here", "here"])),
                Arc::new(PrimitiveArray::<Int32Type>::from(vec![None, Some(7)])),
            ],
        };
        (table, children)
    }

    #[test]
    fn bytes_are_those_of_the_format_page() {
        let (table, children) = example();
        let bytes = encode(&table, &children);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let page = include_str!("../../docs/formats/catalog.md").replace(char::is_whitespace, "");
        assert!(page.contains(&hex), "docs/formats/catalog.md does not show {hex}");
        let decoded = decode(&table, Precision::Microsecond, &bytes).unwrap();
        assert_eq!(
            (decoded.alive, decoded.oids, decoded.series),
            (children.alive, children.oids, children.series)
        );
        assert_eq!(&decoded.names, &children.names);
        assert_eq!(decoded.tags, children.tags);
    }

    #[test]
    fn no_cut_and_no_longer_record_is_read() {
        let (table, children) = example();
        let mut bytes = encode(&table, &children);
        for length in 0..bytes.len() {
            assert!(
                decode(&table, Precision::Microsecond, &bytes[..length]).is_err(),
                "{length}"
            );
        }
        bytes.push(0);
        assert!(decode(&table, Precision::Microsecond, &bytes).is_err());
    }

    #[test]
    fn repeated_text_is_kept_once() {
        let table = table(vec![tag(2, SqlType::Text)]);
        let rows = CHUNK_ROWS as usize;
        let children = ChildChunk {
            alive: BooleanBuffer::new_set(rows),
            oids: vec![16_386; rows],
            series: vec![SeriesRef { vnode: 1, series: 0 }; rows],
            names: Arc::new(
                (0..rows)
                    .map(|row| Some(format!("d{row}")))
                    .collect::<StringViewArray>(),
            ),
            tags: vec![Arc::new(
                (0..rows)
                    .map(|_| Some("the only place there is"))
                    .collect::<StringViewArray>(),
            )],
        };
        let bytes = encode(&table, &children);
        let decoded = decode(&table, Precision::Microsecond, &bytes).unwrap();
        let texts = decoded.tags[0].as_string_view();
        assert_eq!(texts.data_buffers().iter().map(Buffer::len).sum::<usize>(), 23);
        assert_eq!(texts, children.tags[0].as_string_view());
    }
}
