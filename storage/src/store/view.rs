//! What a reader sees: a vnode at one moment.

use crate::{Change, FamilyId, Rows, ScanBatch, ScanColumn, ScanRequest, SeriesSet, StorageError, TimeRange};

/// A vnode at one moment. Never changes; keeps alive what it shows.
#[derive(Clone)]
pub struct VnodeView {
    _private: (),
}

impl VnodeView {
    /// This view with uncommitted changes of a transaction on top, for its own reads.
    pub fn with_pending(&self, changes: &[Change]) -> VnodeView {
        let _ = changes;
        todo!()
    }
    /// Rows sorted by (series, time).
    pub fn scan(&self, request: &ScanRequest) -> Result<Scan, StorageError> {
        let _ = request;
        todo!()
    }
    /// The newest row of each series of the set, in series order: from memory where it is there.
    pub fn newest(
        &self,
        family: FamilyId,
        series: &SeriesSet,
        columns: &[ScanColumn],
    ) -> Result<ScanBatch, StorageError> {
        let _ = (family, series, columns);
        todo!()
    }
    /// Which of these (series, time) keys exist; for tests and for `Conflict::Keep`.
    pub fn existing(&self, rows: &Rows) -> Result<arrow::buffer::BooleanBuffer, StorageError> {
        let _ = rows;
        todo!()
    }
    /// Whether no row of the family in `time` can exist outside of memory.
    pub fn file_groups(&self, family: FamilyId, time: TimeRange) -> usize {
        let _ = (family, time);
        todo!()
    }
}

/// An ongoing scan. Decodes a block when a batch needs it.
pub struct Scan {
    _private: (),
}

impl Scan {
    /// What was taken and skipped so far; for EXPLAIN ANALYZE.
    pub fn counters(&self) -> ScanCounters {
        todo!()
    }
}

impl Iterator for Scan {
    type Item = Result<ScanBatch, StorageError>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// Work of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCounters {
    pub file_groups_taken: u64,
    pub file_groups_skipped: u64,
    pub blocks_taken: u64,
    pub blocks_skipped: u64,
    pub bytes_read: u64,
    pub rows_in_memory: u64,
}
