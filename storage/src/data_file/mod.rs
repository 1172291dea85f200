//! Data files: blocks of rows sorted by (family, series, time), compressed column by column, with an index and statistics.
//!
//! ```text
//! header | block block block … | statistics pages | index | footer
//! ```
//!
//! Written once from front to back (`writer.rs`), then only read (`reader.rs`). A block has a front (directory, series, times) and its columns,
//! each with a checksum of its own, so that a read takes only the columns it asked for (`block.rs`). Every checksum covers the file's identity and
//! the place in it besides the bytes: a right block in a wrong place is damage.
//!
//! Promises: what was appended comes back bit by bit; any changed byte is an error that names file and offset, never another answer.
//! Leaves to others: which files exist and when they go (the manifest), merging rows of several files.
//! The bytes are specified in docs/formats/data_file.md; change both together.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};

use crate::{ColumnId, FamilyId, SeriesId, VnodeId};

mod block;
mod frame;
mod index;
mod reader;
mod statistics;
mod times;
mod types;
mod writer;

pub use reader::DataFile;
pub use writer::DataFileWriter;

#[cfg(test)]
mod tests;

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

impl SortedRows {
    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// `rows` rows from `start` on, sharing memory with these.
    pub fn slice(&self, start: usize, rows: usize) -> SortedRows {
        SortedRows {
            series: self.series.slice(start, rows),
            times: self.times.slice(start, rows),
            columns: self
                .columns
                .iter()
                .map(|(id, array)| (*id, array.slice(start, rows)))
                .collect(),
            replaces: self.replaces.as_ref().map(|replaces| replaces.slice(start, rows)),
        }
    }
}

/// Rows of a block as they are read: those of [`SortedRows`], without repeating the series of a block that has one.
#[derive(Clone, Debug)]
pub struct BlockRows {
    pub series: BlockSeries,
    pub times: ScalarBuffer<i64>,
    /// As asked for, or ascending by id.
    pub columns: Vec<(ColumnId, ArrayRef)>,
    pub replaces: Option<BooleanBuffer>,
}

/// Series of a block's rows.
#[derive(Clone, Debug)]
pub enum BlockSeries {
    One(u32),
    /// Of each row.
    Several(ScalarBuffer<u32>),
}

/// Which file this is; in its header, and in the checksum of every block, so that a right block in a wrong place is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFileId {
    pub vnode: VnodeId,
    pub number: u64,
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
///
/// Numbers are given as doubles: the nearest to the value, so that order is kept and pruning is safe, but integers beyond 2^53 may not be exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnStatistics {
    pub nulls: u32,
    /// NaNs, which `min`, `max` and `sum` leave out. PostgreSQL orders them above every number.
    pub nans: u32,
    /// Of the values that are neither null nor NaN; `None` for types that are not numbers, and when there is none.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Exact for integers and decimals up to 2^53, else `None`; for floats the sum in row order. `None` for dates and times.
    pub sum: Option<f64>,
    /// Of the block's first and last row, unless null or NaN. Their times are the block's `min_time` and `max_time` when it holds one series.
    pub first: Option<f64>,
    pub last: Option<f64>,
}
