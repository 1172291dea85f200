//! One block: a front that says what is where, then the columns.
//!
//! ```text
//! front: flags: byte (1 several series, 2 some row replaces) | rows: varint | family: varint | first series: varint
//!        | columns: varint | for each: id less the one before: varint, type, bytes: varint, CRC-32C
//!        | series: integers, if several | times: integers | replaces: column of bool, if some | CRC-32C of the front
//! columns, each as docs/formats/columns.md says, one after the other
//! ```
//!
//! The front has what every read needs, so that a read of few columns is two short reads, and of a small block one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use super::frame::{self, Part};
use super::index::Entry;
use super::times;
use super::types::{put_type, take_type};
use super::{BlockMeta, BlockSeries, DataFileId, SortedRows};
use crate::codec::cursor::{Cursor, Decoded, put_varint};
use crate::codec::{self, integers};
use crate::{ColumnId, Compression, FamilyId, SeriesId, StorageError};

const SEVERAL_SERIES: u8 = 1;
const REPLACES: u8 = 2;

/// Appends the block of these rows, which are not empty and will stand at `offset` of the file.
pub(super) fn put(
    id: DataFileId,
    offset: u64,
    family: FamilyId,
    rows: &SortedRows,
    compression: Compression,
    out: &mut Vec<u8>,
) -> Result<Entry, StorageError> {
    let start = out.len();
    let first_series = SeriesId(rows.series[0]);
    let last_series = SeriesId(rows.series[rows.len() - 1]);
    let replaces = rows.replaces.as_ref().filter(|replaces| replaces.count_set_bits() > 0);
    let mut flags = 0;
    if first_series != last_series {
        flags |= SEVERAL_SERIES;
    }
    if replaces.is_some() {
        flags |= REPLACES;
    }
    out.push(flags);
    put_varint(out, rows.len() as u64);
    put_varint(out, u64::from(family.0));
    put_varint(out, u64::from(first_series.0));
    put_varint(out, rows.columns.len() as u64);
    let mut columns = Vec::new();
    let mut before = 0;
    for (column, array) in &rows.columns {
        put_varint(out, u64::from(column.0 - before));
        before = column.0;
        put_type(array.data_type(), out)
            .ok_or_else(|| StorageError::Refused(format!("columns of type {} cannot be kept", array.data_type())))?;
        let start = columns.len();
        codec::encode(array, compression, &mut columns);
        let bytes = &columns[start..];
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(&frame::checksum(id, offset, Part::Column(column.0), bytes).to_le_bytes());
    }
    if first_series != last_series {
        let series: Vec<i64> = rows.series.iter().map(|series| i64::from(*series)).collect();
        integers::encode(&series, out);
    }
    integers::encode(&rows.times, out);
    if let Some(replaces) = replaces {
        let replaces: ArrayRef = Arc::new(BooleanArray::new(replaces.clone(), None));
        codec::encode(&replaces, compression, out);
    }
    frame::seal(id, offset, Part::Front, start, out);
    let front_bytes = (out.len() - start) as u32;
    out.extend_from_slice(&columns);
    let bytes = u32::try_from(out.len() - start)
        .map_err(|_| StorageError::Refused("a block of more than 4 GiB cannot be kept".to_owned()))?;
    let (min_time, max_time) = rows.times.iter().fold((i64::MAX, i64::MIN), |(min, max), time| {
        (min.min(*time), max.max(*time))
    });
    Ok(Entry {
        meta: BlockMeta {
            family,
            first_series,
            last_series,
            rows: rows.len() as u32,
            min_time,
            max_time,
            offset,
            bytes,
            has_replaces: flags & REPLACES != 0,
        },
        front_bytes,
    })
}

/// A column in a block's directory.
pub(super) struct StoredColumn {
    pub id: ColumnId,
    pub data_type: DataType,
    /// In the block.
    pub place: Range<usize>,
    checksum: u32,
}

impl StoredColumn {
    /// Some rows of the column from its bytes.
    pub fn decode(&self, id: DataFileId, block: &BlockMeta, bytes: &[u8], part: &Range<usize>) -> Decoded<ArrayRef> {
        if frame::checksum(id, block.offset, Part::Column(self.id.0), bytes) != self.checksum {
            return Err("the checksum of a column");
        }
        let rows = block.rows as usize;
        match part.len() < rows {
            true => codec::decode_part(bytes, &self.data_type, rows, part.clone()),
            false => codec::decode(bytes, &self.data_type, rows),
        }
    }
}

/// A block's front.
pub(super) struct Front {
    pub series: BlockSeries,
    pub times: ScalarBuffer<i64>,
    pub replaces: Option<BooleanBuffer>,
    /// Ascending by id.
    pub columns: Vec<StoredColumn>,
}

/// The front from its bytes, checked against what the index says of the block.
pub(super) fn take_front(id: DataFileId, entry: &Entry, bytes: &[u8]) -> Decoded<Front> {
    let meta = &entry.meta;
    let body = frame::checked(id, meta.offset, Part::Front, bytes).ok_or("the checksum of a block's front")?;
    let mut cursor = Cursor::new(body);
    let flags = cursor.byte()?;
    let several = meta.first_series != meta.last_series;
    let as_indexed = (flags & SEVERAL_SERIES != 0) == several
        && (flags & REPLACES != 0) == meta.has_replaces
        && cursor.varint()? == u64::from(meta.rows)
        && cursor.varint()? == u64::from(meta.family.0)
        && cursor.varint()? == u64::from(meta.first_series.0);
    if !as_indexed {
        return Err("the block that the index has here");
    }
    let columns = take_directory(&mut cursor, entry)?;
    let rows = meta.rows as usize; // at most ROWS_MAX, checked with the index
    let series = match several {
        false => BlockSeries::One(meta.first_series.0),
        true => BlockSeries::Several(take_series(&mut cursor, rows)?.into()),
    };
    let times = times::take(&mut cursor, rows)?;
    let replaces = match meta.has_replaces {
        false => None,
        true => {
            let (column, _) = codec::decode_prefix(cursor.take(cursor.remaining())?, &DataType::Boolean, rows)?;
            Some(column.as_boolean().values().clone())
        }
    };
    Ok(Front {
        series,
        times,
        replaces,
        columns,
    })
}

fn take_series(cursor: &mut Cursor<'_>, rows: usize) -> Decoded<Vec<u32>> {
    integers::decode_vec(cursor, rows)?
        .into_iter()
        .map(|series| u32::try_from(series).map_err(|_| "a series of 32 bits"))
        .collect()
}

/// Columns that there is room for at once; more are few, and what the bytes say of their number is not to be trusted.
const COLUMNS_EXPECTED: usize = 32;

fn take_directory(cursor: &mut Cursor<'_>, entry: &Entry) -> Decoded<Vec<StoredColumn>> {
    // Ids have 16 bits and ascend.
    let count = cursor.count(usize::from(u16::MAX) + 1)?;
    let mut columns: Vec<StoredColumn> = Vec::with_capacity(count.min(COLUMNS_EXPECTED));
    let mut column = 0u64;
    let mut offset = entry.front_bytes as usize;
    let end = entry.meta.bytes as usize;
    for _ in 0..count {
        column = column.saturating_add(cursor.varint()?);
        let id = u16::try_from(column).map_err(|_| "a column id of 16 bits")?;
        let data_type = take_type(cursor)?;
        let bytes = cursor.count(end - offset)?;
        let checksum = cursor.u32()?;
        columns.push(StoredColumn {
            id: ColumnId(id),
            data_type,
            place: offset..offset + bytes,
            checksum,
        });
        offset += bytes;
    }
    if offset != end {
        return Err("columns that fill their block");
    }
    Ok(columns)
}
