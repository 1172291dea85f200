//! How much of a vnode is one family's, or one series'.

use super::view::VnodeView;
use crate::{FamilyId, SeriesId, StorageError};

/// Rows and bytes of a family or of one of its series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FamilySize {
    /// Rows as they were written: one that was written twice counts twice until compaction, a deleted one until it is rewritten.
    pub rows: u64,
    /// Its blocks in data files.
    pub file_bytes: u64,
    /// What is not in files yet, as it lies in memory; the log holds it too.
    pub memory_bytes: u64,
}

impl std::ops::AddAssign for FamilySize {
    fn add_assign(&mut self, other: FamilySize) {
        self.rows += other.rows;
        self.file_bytes += other.file_bytes;
        self.memory_bytes += other.memory_bytes;
    }
}

impl VnodeView {
    /// The size of a family. Reads the indexes of files, not their blocks.
    pub fn family_size(&self, family: FamilyId) -> Result<FamilySize, StorageError> {
        self.size(family, None)
    }

    /// The size of one series: of a block or chunk that it shares with others an equal part.
    pub fn series_size(&self, family: FamilyId, series: SeriesId) -> Result<FamilySize, StorageError> {
        self.size(family, Some(series))
    }

    fn size(&self, family: FamilyId, series: Option<SeriesId>) -> Result<FamilySize, StorageError> {
        let mut size = FamilySize::default();
        let (first, last) = series.map_or((SeriesId(0), SeriesId(u32::MAX)), |series| (series, series));
        for file in self.disk.files() {
            let data = file.data()?;
            for block in data.blocks().get(data.find(family, first, last)).unwrap_or_default() {
                let sharing = match series {
                    Some(_) => u64::from(block.last_series.0 - block.first_series.0) + 1,
                    None => 1,
                };
                size.rows += u64::from(block.rows) / sharing;
                size.file_bytes += u64::from(block.bytes) / sharing;
            }
        }
        for rows in self.memtables.iter().filter_map(|memtable| memtable.family(family)) {
            for chunk in &rows.chunks {
                let (own, all) = match series {
                    Some(series) => (chunk.rows_of(series), chunk.rows()),
                    None => (chunk.rows(), chunk.rows()),
                };
                size.rows += own as u64;
                size.memory_bytes += chunk.memory_bytes() as u64 * own as u64 / all.max(1) as u64;
            }
        }
        Ok(size)
    }
}
