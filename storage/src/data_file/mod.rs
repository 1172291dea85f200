//! Data files: blocks of rows sorted by (family, series, time), compressed column by column, with an index and statistics.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::{BooleanBuffer, ScalarBuffer};

use crate::io::Io;
use crate::{ColumnId, Compression, FamilyId, ScanColumn, SeriesId, StorageError, VnodeId};

/// Rows of one family sorted by (series, time), each key once.
#[derive(Clone, Debug)]
pub struct SortedRows {
    pub series: ScalarBuffer<u32>,
    pub times: ScalarBuffer<i64>,
    /// Ascending by id.
    pub columns: Vec<(ColumnId, ArrayRef)>,
    /// Rows that replace an older row of their key whole, nulls included, instead of merging with it. `None`: none does.
    pub replaces: Option<BooleanBuffer>,
}

/// Which file this is; in its header, and in the checksum of every block, so that a right block in a wrong place is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFileId {
    pub vnode: VnodeId,
    pub number: u64,
}

/// Writes one data file from front to back. Nothing is durable before `finish`.
pub struct DataFileWriter {
    _private: (),
}

impl DataFileWriter {
    pub fn create(
        io: &dyn Io,
        path: &Path,
        id: DataFileId,
        compression: Compression,
        block_rows_max: usize,
    ) -> Result<DataFileWriter, StorageError> {
        let _ = (io, path, id, compression, block_rows_max);
        todo!()
    }
    /// Rows after all that came before in (family, series, time); any number. The writer cuts blocks: one series from about 256 rows up,
    /// several small series together.
    pub fn append(&mut self, family: FamilyId, rows: &SortedRows) -> Result<(), StorageError> {
        let _ = (family, rows);
        todo!()
    }
    /// Writes the index and syncs the file. Returns its length.
    pub fn finish(self) -> Result<u64, StorageError> {
        todo!()
    }
}

/// What the index says of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockMeta {
    pub family: FamilyId,
    pub first_series: SeriesId,
    pub last_series: SeriesId,
    pub rows: u32,
    pub min_time: i64,
    pub max_time: i64,
    pub offset: u64,
    pub bytes: u32,
    /// Some row replaces.
    pub has_replaces: bool,
}

/// What is known of a column in a block without decoding it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnStatistics {
    pub nulls: u32,
    /// Of the values that are neither null nor NaN, as doubles; `None` for types that are not numbers, and when there is none.
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub sum: Option<f64>,
}

/// An open data file. Reads are positioned; any number of threads share it.
pub struct DataFile {
    _private: (),
}

impl DataFile {
    /// Opens and checks header and footer; the block index is read now, statistics when asked for.
    pub fn open(io: &dyn Io, path: &Path, id: DataFileId) -> Result<Arc<DataFile>, StorageError> {
        let _ = (io, path, id);
        todo!()
    }
    /// All blocks, ascending by (family, first series, time).
    pub fn blocks(&self) -> &[BlockMeta] {
        todo!()
    }
    /// Blocks that may hold rows of the family with series in `first..=last`.
    pub fn find(&self, family: FamilyId, first: SeriesId, last: SeriesId) -> Range<usize> {
        let _ = (family, first, last);
        todo!()
    }
    /// `None` when the block has no such column: it reads as null.
    pub fn statistics(&self, block: usize, column: ColumnId) -> Result<Option<ColumnStatistics>, StorageError> {
        let _ = (block, column);
        todo!()
    }
    /// Decodes series, times, `columns` (nulls where the block lacks one, cast where its type was narrower) in their order, and replaces.
    pub fn read(&self, block: usize, columns: &[ScanColumn]) -> Result<SortedRows, StorageError> {
        let _ = (block, columns);
        todo!()
    }
    /// Every column the block has.
    pub fn read_all(&self, block: usize) -> Result<SortedRows, StorageError> {
        let _ = block;
        todo!()
    }
    pub fn rows(&self) -> u64 {
        todo!()
    }
    pub fn bytes(&self) -> u64 {
        todo!()
    }
}
