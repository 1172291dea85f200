//! What a reader asks for and gets: rows of some series in a span of time, sorted by (series, time); or whole blocks, told by their statistics.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::DataType;

use crate::data_file::{ColumnStatistics, DataFile};
use crate::{ColumnId, FamilyId, SeriesId, SeriesSet, StorageError, TimeRange};

#[derive(Clone, Debug)]
pub struct ScanRequest {
    pub family: FamilyId,
    pub series: SeriesSet,
    pub time: TimeRange,
    /// Columns to decode, in the order wanted.
    pub columns: Vec<ScanColumn>,
    /// Blocks that cannot hold a row within all of these are skipped. Rows still have to be checked by the caller.
    pub bounds: Vec<ColumnBound>,
    pub direction: Direction,
    /// Rows wanted from each series at most, counted before the caller checks them against `bounds`.
    pub limit_per_series: Option<usize>,
    /// Rows in a batch, at most.
    pub batch_rows: usize,
}

/// A column as the caller knows it; rows written before the column was added read as null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanColumn {
    pub id: ColumnId,
    pub data_type: DataType,
}

/// `min <= column <= max`, either side open; compared as doubles (integers, floats, dates, times alike).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnBound {
    pub column: ColumnId,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// Order of time within a series. Series always ascend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// Consecutive rows of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub series: SeriesId,
    pub rows: usize,
}

/// Rows sorted by (series, time in the direction asked for), one row for each (series, time).
#[derive(Clone, Debug)]
pub struct ScanBatch {
    /// Ascending by series; their rows add up to the batch's. A series may continue in the next batch.
    pub runs: Vec<Run>,
    pub times: ScalarBuffer<i64>,
    /// As `ScanRequest::columns`.
    pub columns: Vec<ArrayRef>,
}

impl ScanBatch {
    pub fn rows(&self) -> usize {
        self.times.len()
    }
}

/// The next of a scan that does not need every row.
pub enum ScanPart {
    Rows(ScanBatch),
    /// In the order of their rows.
    Blocks(Vec<WholeBlock>),
}

/// A block all of whose rows a scan gives as they are: they lie in its span, and no other source has a version of one, nor a delete hides one.
pub struct WholeBlock {
    /// `None`: several series.
    pub series: Option<SeriesId>,
    pub rows: u32,
    /// Times of its earliest and its latest row.
    pub first_time: i64,
    pub last_time: i64,
    data: Arc<DataFile>,
    block: usize,
}

impl WholeBlock {
    pub(crate) fn new(data: &Arc<DataFile>, block: usize) -> WholeBlock {
        let meta = &data.blocks()[block];
        WholeBlock {
            series: (meta.first_series == meta.last_series).then_some(meta.first_series),
            rows: meta.rows,
            first_time: meta.min_time,
            last_time: meta.max_time,
            data: data.clone(),
            block,
        }
    }

    /// `None` when the column is null in every row.
    pub fn statistics(&self, column: ColumnId) -> Result<Option<ColumnStatistics>, StorageError> {
        self.data.statistics(self.block, column)
    }
}

/// Decides whether a whole block will do without its rows.
pub type Accept<'a> = dyn FnMut(&WholeBlock) -> Result<bool, StorageError> + 'a;

/// Where rows of a family lie in time, as blocks tell it: rows that deletes hide, or that several sources have, are counted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    pub time: TimeRange,
    pub rows: u64,
}
