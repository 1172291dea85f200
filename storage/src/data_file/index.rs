//! The block index: what every block holds and where it is, column by column, each a sequence of integers.
//!
//! ```text
//! family | first series | last series - first | rows | first time | last time - first | bytes | bytes of the front | replaces (0, 1)
//! | bytes of each statistics page; then CRC-32C
//! ```
//!
//! Blocks lie one after the other from the header on, so their offsets are sums. An entry takes about ten bytes.

use super::frame::{self, Footer, Part};
use super::statistics::PAGE_BLOCKS;
use super::{BlockMeta, DataFileId};
use crate::codec::cursor::{Cursor, Decoded};
use crate::codec::{ROWS_MAX, integers};
use crate::{FamilyId, SeriesId};

/// The least that a block can take: its front has a checksum, and so has the file an index entry for it. Bounds how many blocks a file of so
/// many bytes can have, before memory for them is taken.
pub(super) const BLOCK_BYTES_MIN: u64 = 8;

/// A block as the file's own code knows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub meta: BlockMeta,
    pub front_bytes: u32,
}

pub(super) struct Index {
    pub entries: Vec<Entry>,
    /// Offset and bytes of each page of statistics.
    pub pages: Vec<(u64, u32)>,
}

pub(super) fn put(id: DataFileId, offset: u64, entries: &[Entry], page_bytes: &[u32], out: &mut Vec<u8>) {
    let start = out.len();
    let columns: [fn(&Entry) -> i64; 9] = [
        |entry| i64::from(entry.meta.family.0),
        |entry| i64::from(entry.meta.first_series.0),
        |entry| i64::from(entry.meta.last_series.0 - entry.meta.first_series.0),
        |entry| i64::from(entry.meta.rows),
        |entry| entry.meta.min_time,
        |entry| entry.meta.max_time.wrapping_sub(entry.meta.min_time),
        |entry| i64::from(entry.meta.bytes),
        |entry| i64::from(entry.front_bytes),
        |entry| i64::from(entry.meta.has_replaces),
    ];
    for column in columns {
        let values: Vec<i64> = entries.iter().map(column).collect();
        integers::encode(&values, out);
    }
    let pages: Vec<i64> = page_bytes.iter().map(|bytes| i64::from(*bytes)).collect();
    integers::encode(&pages, out);
    frame::seal(id, offset, Part::Index, start, out);
}

pub(super) fn take(id: DataFileId, footer: &Footer, bytes: &[u8]) -> Decoded<Index> {
    let body = frame::checked(id, footer.index_offset, Part::Index, bytes).ok_or("the checksum of the index")?;
    let blocks = usize::try_from(footer.blocks)
        .ok()
        .filter(|_| footer.blocks <= footer.statistics_offset / BLOCK_BYTES_MIN)
        .ok_or("no more blocks than fit the file")?;
    let mut cursor = Cursor::new(body);
    let mut column = || integers::decode_vec(&mut cursor, blocks);
    let families = column()?;
    let first_series = column()?;
    let more_series = column()?;
    let rows = column()?;
    let min_times = column()?;
    let spans = column()?;
    let bytes = column()?;
    let fronts = column()?;
    let replaces = column()?;
    let pages = integers::decode_vec(&mut cursor, blocks.div_ceil(PAGE_BLOCKS))?;
    if cursor.remaining() > 0 {
        return Err("nothing after the index");
    }

    let small = |value: i64| u32::try_from(value).map_err(|_| "an index entry within its bounds");
    let mut entries: Vec<Entry> = Vec::with_capacity(blocks);
    let mut offset = frame::HEADER_BYTES;
    for block in 0..blocks {
        let first = small(first_series[block])?;
        let meta = BlockMeta {
            family: FamilyId(small(families[block])?),
            first_series: SeriesId(first),
            last_series: SeriesId(
                first
                    .checked_add(small(more_series[block])?)
                    .ok_or("an index entry within its bounds")?,
            ),
            rows: small(rows[block])?,
            min_time: min_times[block],
            max_time: min_times[block].wrapping_add(spans[block]),
            offset,
            bytes: small(bytes[block])?,
            has_replaces: replaces[block] != 0,
        };
        let front_bytes = small(fronts[block])?;
        let ordered = entries
            .last()
            .is_none_or(|before| (before.meta.family, before.meta.last_series) <= (meta.family, meta.first_series));
        let plausible = (1..=ROWS_MAX as u32).contains(&meta.rows)
            && meta.min_time <= meta.max_time
            && (BLOCK_BYTES_MIN as u32..=meta.bytes).contains(&front_bytes);
        if !ordered || !plausible {
            return Err("an index entry within its bounds");
        }
        // Sums of 32-bit lengths that are checked against the file after each step cannot overflow.
        offset += u64::from(meta.bytes);
        if offset > footer.statistics_offset {
            return Err("blocks that end before the statistics");
        }
        entries.push(Entry { meta, front_bytes });
    }
    if offset != footer.statistics_offset {
        return Err("blocks that end where the statistics begin");
    }
    let mut page_places = Vec::with_capacity(pages.len());
    for bytes in pages {
        let bytes = small(bytes)?;
        page_places.push((offset, bytes));
        offset += u64::from(bytes);
        if offset > footer.index_offset {
            return Err("statistics that end before the index");
        }
    }
    if offset != footer.index_offset {
        return Err("statistics that end where the index begins");
    }
    Ok(Index {
        entries,
        pages: page_places,
    })
}
