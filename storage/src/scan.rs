//! What a reader asks for and gets: rows of some series in a span of time, sorted by (series, time).

use arrow::array::ArrayRef;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::DataType;

use crate::{ColumnId, FamilyId, SeriesId, SeriesSet, TimeRange};

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
