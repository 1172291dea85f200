//! Reading a data file: header, footer and index when it is opened, blocks and statistics when they are asked for.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;

use super::block::{self, Front, StoredColumn};
use super::frame::{self, FOOTER_BYTES, HEADER_BYTES};
use super::index::{self, Entry};
use super::statistics::{self, PAGE_BLOCKS};
use super::{BlockMeta, BlockRows, BlockSeries, ColumnStatistics, DataFileId};
use crate::io::{Io, IoFile};
use crate::{ColumnId, FamilyId, ScanColumn, SeriesId, StorageError, TimeRange};

/// Blocks up to here are read whole: copying this much takes about as long as another system call.
const WHOLE_BLOCK_BYTES: u32 = 8 << 10;

/// Of larger blocks so much is read with the front, for the same reason: one column is often there already.
const FIRST_BYTES: u32 = 4 << 10;

/// Columns with at most this many unwanted bytes between them are read together, for the same reason.
const GAP_BYTES: usize = 4 << 10;

/// An open data file. Reads are positioned; any number of threads share it.
pub struct DataFile {
    file: Box<dyn IoFile>,
    path: PathBuf,
    id: DataFileId,
    blocks: Vec<BlockMeta>,
    front_bytes: Vec<u32>,
    pages: Vec<Page>,
    rows: u64,
    bytes: u64,
}

/// A page of statistics: read once, then kept, at about ten bytes for each column of a block.
struct Page {
    offset: u64,
    bytes: u32,
    checked: OnceLock<Box<[u8]>>,
}

impl DataFile {
    /// Opens and checks header and footer; the block index is read now, statistics when asked for.
    pub fn open(io: &dyn Io, path: &Path, id: DataFileId) -> Result<Arc<DataFile>, StorageError> {
        let file = io.open(path).map_err(StorageError::io(path))?;
        let bytes = file.len().map_err(StorageError::io(path))?;
        let mut opened = DataFile {
            file,
            path: path.to_owned(),
            id,
            blocks: Vec::new(),
            front_bytes: Vec::new(),
            pages: Vec::new(),
            rows: 0,
            bytes,
        };
        let Some(footer_offset) = bytes.checked_sub(FOOTER_BYTES).filter(|offset| *offset >= HEADER_BYTES) else {
            return Err(opened.corrupt(bytes, "a header and a footer"));
        };
        let header = opened.read_at(0, HEADER_BYTES as usize)?;
        frame::check_header(id, &header).map_err(|expected| opened.corrupt(0, expected))?;
        let footer = opened.read_at(footer_offset, FOOTER_BYTES as usize)?;
        let footer =
            frame::take_footer(id, &footer, bytes).map_err(|expected| opened.corrupt(footer_offset, expected))?;
        // At most the file's length, which the footer was checked against.
        let index = opened.read_at(footer.index_offset, footer.index_bytes as usize)?;
        let index =
            index::take(id, &footer, &index).map_err(|expected| opened.corrupt(footer.index_offset, expected))?;
        opened.rows = index.entries.iter().map(|entry| u64::from(entry.meta.rows)).sum();
        if opened.rows != footer.rows {
            return Err(opened.corrupt(footer_offset, "as many rows as its blocks have"));
        }
        (opened.blocks, opened.front_bytes) = index
            .entries
            .into_iter()
            .map(|entry| (entry.meta, entry.front_bytes))
            .unzip();
        opened.pages = index
            .pages
            .into_iter()
            .map(|(offset, bytes)| Page {
                offset,
                bytes,
                checked: OnceLock::new(),
            })
            .collect();
        Ok(Arc::new(opened))
    }

    /// All blocks, ascending by (family, first series, time).
    pub fn blocks(&self) -> &[BlockMeta] {
        &self.blocks
    }

    /// Blocks that may hold rows of the family with series in `first..=last`.
    pub fn find(&self, family: FamilyId, first: SeriesId, last: SeriesId) -> Range<usize> {
        let start = self
            .blocks
            .partition_point(|block| (block.family, block.last_series) < (family, first));
        let end = self
            .blocks
            .partition_point(|block| (block.family, block.first_series) <= (family, last));
        start..end.max(start)
    }

    /// `None` when the block has no such column: it reads as null.
    pub fn statistics(&self, block: usize, column: ColumnId) -> Result<Option<ColumnStatistics>, StorageError> {
        let place = &self.pages[block / PAGE_BLOCKS];
        let page = match place.checked.get() {
            Some(page) => page,
            None => {
                let bytes = self.read_at(place.offset, place.bytes as usize)?;
                let page = frame::checked(self.id, place.offset, frame::Part::Statistics, &bytes)
                    .ok_or_else(|| self.corrupt(place.offset, "the checksum of the statistics"))?;
                // Another thread may have been quicker: the bytes are the same.
                place.checked.get_or_init(|| page.into())
            }
        };
        statistics::find(page, block % PAGE_BLOCKS, column, self.blocks[block].rows)
            .map_err(|expected| self.corrupt(place.offset, expected))
    }

    /// Decodes series, times, `columns` (nulls where the block lacks one, cast where its type was narrower) in their order, and replaces.
    /// Of a block that holds one series, rows outside of `time` are left out.
    pub fn read(&self, block: usize, columns: &[ScanColumn], time: TimeRange) -> Result<BlockRows, StorageError> {
        self.read_newest(block, columns, time, usize::MAX)
    }

    /// The same; of a block that holds one series no more than the newest `rows` of these.
    pub fn read_newest(
        &self,
        block: usize,
        columns: &[ScanColumn],
        time: TimeRange,
        rows: usize,
    ) -> Result<BlockRows, StorageError> {
        let meta = &self.blocks[block];
        let (front, bytes) = self.read_front(block)?;
        let part = front.part(meta, time);
        let part = match meta.first_series == meta.last_series {
            true => part.start.max(part.end.saturating_sub(rows))..part.end,
            false => part,
        };
        let front = match part.len() < meta.rows as usize {
            true => front.slice(&part),
            false => front,
        };
        // For each column asked for, where it stands in the directory.
        let wanted: Vec<Option<usize>> = columns
            .iter()
            .map(|column| front.columns.binary_search_by_key(&column.id, |stored| stored.id).ok())
            .collect();
        let bytes = self.read_columns(meta, &front, wanted.iter().flatten().copied(), bytes)?;
        let mut decoded = Vec::with_capacity(columns.len());
        for (column, place) in columns.iter().zip(wanted) {
            let array = match place {
                None => new_null_array(&column.data_type, part.len()),
                Some(place) => {
                    let stored = &front.columns[place];
                    widen(self.decode(meta, stored, &bytes, &part)?, column)?
                }
            };
            decoded.push((column.id, array));
        }
        Ok(front.with(decoded))
    }

    /// Every column the block has.
    pub fn read_all(&self, block: usize) -> Result<BlockRows, StorageError> {
        let meta = &self.blocks[block];
        let (front, bytes) = self.read_front(block)?;
        let bytes = self.read_columns(meta, &front, 0..front.columns.len(), bytes)?;
        let mut decoded = Vec::with_capacity(front.columns.len());
        for stored in &front.columns {
            decoded.push((stored.id, self.decode(meta, stored, &bytes, &(0..meta.rows as usize))?));
        }
        Ok(front.with(decoded))
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A block's front, and what was read of the block for it.
    fn read_front(&self, block: usize) -> Result<(Front, Pieces), StorageError> {
        let entry = Entry {
            meta: self.blocks[block].clone(),
            front_bytes: self.front_bytes[block],
        };
        let meta = &entry.meta;
        let bytes = if meta.bytes <= WHOLE_BLOCK_BYTES {
            meta.bytes
        } else {
            entry.front_bytes.max(FIRST_BYTES)
        };
        let read = self.read_at(meta.offset, bytes as usize)?;
        let front = block::take_front(self.id, &entry, &read[..entry.front_bytes as usize])
            .map_err(|expected| self.corrupt(meta.offset, expected))?;
        Ok((front, Pieces(vec![(0, read)])))
    }

    /// Reads what is missing of these columns, neighbours at once.
    fn read_columns(
        &self,
        meta: &BlockMeta,
        front: &Front,
        wanted: impl Iterator<Item = usize>,
        mut read: Pieces,
    ) -> Result<Pieces, StorageError> {
        let mut places: Vec<Range<usize>> = wanted
            .map(|column| front.columns[column].place.clone())
            .filter(|place| read.get(place).is_none())
            .collect();
        places.sort_by_key(|place| place.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for place in places {
            match joined.last_mut() {
                Some(before) if place.start <= before.end + GAP_BYTES => before.end = before.end.max(place.end),
                _ => joined.push(place),
            }
        }
        for place in joined {
            let bytes = self.read_at(meta.offset + place.start as u64, place.len())?;
            read.0.push((place.start, bytes));
        }
        Ok(read)
    }

    fn decode(
        &self,
        meta: &BlockMeta,
        stored: &StoredColumn,
        read: &Pieces,
        part: &Range<usize>,
    ) -> Result<ArrayRef, StorageError> {
        let bytes = read.get(&stored.place).expect("the columns asked for were read");
        stored
            .decode(self.id, meta, bytes, part)
            .map_err(|expected| self.corrupt(meta.offset + stored.place.start as u64, expected))
    }

    /// Bytes that the index or the footer said are there; both were checked against the file's length.
    fn read_at(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, StorageError> {
        let mut buffer = vec![0; bytes];
        match self.file.read_exact_at(&mut buffer, offset) {
            Ok(()) => Ok(buffer),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.corrupt(offset, "a file as long as when it was opened"))
            }
            Err(error) => Err(StorageError::io(&self.path)(error)),
        }
    }

    fn corrupt(&self, offset: u64, expected: &'static str) -> StorageError {
        StorageError::Corrupt {
            file: self.path.clone(),
            offset,
            expected,
        }
    }
}

/// Parts of a block that were read, with their places in it.
struct Pieces(Vec<(usize, Vec<u8>)>);

impl Pieces {
    fn get(&self, place: &Range<usize>) -> Option<&[u8]> {
        self.0.iter().find_map(|(start, bytes)| {
            let from = place.start.checked_sub(*start)?;
            bytes.get(from..from + place.len())
        })
    }
}

impl Front {
    /// Which rows may be in `time`. Those of several series are not in order of time, and all stay.
    fn part(&self, meta: &BlockMeta, time: TimeRange) -> Range<usize> {
        let rows = self.times.len();
        if meta.first_series != meta.last_series || (time.start() <= meta.min_time && meta.max_time <= time.end()) {
            return 0..rows;
        }
        let start = self.times.partition_point(|one| *one < time.start());
        let end = self.times.partition_point(|one| *one <= time.end());
        start..end.max(start)
    }

    fn slice(self, part: &Range<usize>) -> Front {
        Front {
            series: match self.series {
                BlockSeries::One(series) => BlockSeries::One(series),
                BlockSeries::Several(series) => BlockSeries::Several(series.slice(part.start, part.len())),
            },
            times: self.times.slice(part.start, part.len()),
            replaces: self.replaces.map(|replaces| replaces.slice(part.start, part.len())),
            columns: self.columns,
        }
    }

    fn with(self, columns: Vec<(ColumnId, ArrayRef)>) -> BlockRows {
        BlockRows {
            series: self.series,
            times: self.times,
            columns,
            replaces: self.replaces,
        }
    }
}

/// The array in the type asked for: what the column's type was before ALTER TABLE widened it.
fn widen(array: ArrayRef, column: &ScanColumn) -> Result<ArrayRef, StorageError> {
    if array.data_type() == &column.data_type {
        return Ok(array);
    }
    // Not safe: a value that the type cannot hold is an error and not a null.
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(&array, &column.data_type, &options).map_err(|_| unfit(array.data_type(), column))
}

fn unfit(stored: &DataType, column: &ScanColumn) -> StorageError {
    StorageError::Refused(format!(
        "column {} is kept as {stored} and cannot be read as {}",
        column.id.0, column.data_type
    ))
}
