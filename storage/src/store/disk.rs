//! The data files of a vnode at one moment, with the deletes that some of them still have to be read under.
//!
//! A [`Disk`] never changes: flush, compaction and retention make the next one. A file that the next one does not have any more is removed
//! when the last view that shows it is gone.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::deletes::{Delete, Deletes, Order};
use super::manifest::FileEntry;
use super::newest::LastRows;
use crate::data_file::{DataFile, DataFileId};
use crate::io::Io;
use crate::{FamilyId, StorageError, TimeRange, VnodeId};

/// Where a vnode's data files are, and how their folders come and go.
pub(crate) struct Directory {
    pub io: Arc<dyn Io>,
    pub path: PathBuf,
    pub vnode: VnodeId,
    /// Held while a file is added to a group's folder, and while an empty one is removed, which must not meet.
    pub groups: Mutex<()>,
}

impl Directory {
    pub fn group(&self, group: i64) -> PathBuf {
        self.path.join(group.to_string())
    }

    pub fn file(&self, entry: &FileEntry) -> PathBuf {
        self.group(entry.group).join(format!("{}.data", entry.number))
    }

    /// Removes a data file, and its group's folder if that was the last one in it. What is left behind by a failure goes at the next start.
    pub fn remove(&self, entry: &FileEntry) {
        let path = self.file(entry);
        let _groups = self.groups.lock();
        let folder = self.group(entry.group);
        let removed = self.io.remove_file(&path).and_then(|()| {
            if self.io.read_dir(&folder)?.is_empty() {
                self.io.remove_dir_all(&folder)?;
            }
            Ok(())
        });
        if let Err(error) = removed {
            tracing::warn!(file = %path.display(), %error, "an obsolete data file could not be removed and waits for the next start");
        }
    }
}

/// A data file that the manifest names, or named while some view still shows it.
pub(crate) struct LiveFile {
    pub entry: FileEntry,
    /// Which flush its newest rows came with, counted since the start.
    pub flush: u64,
    directory: Arc<Directory>,
    /// Opened when first read, so that a start does not read every index.
    data: OnceLock<Arc<DataFile>>,
    obsolete: AtomicBool,
}

impl LiveFile {
    pub fn new(directory: Arc<Directory>, entry: FileEntry, flush: u64) -> LiveFile {
        LiveFile {
            entry,
            flush,
            directory,
            data: OnceLock::new(),
            obsolete: AtomicBool::new(false),
        }
    }

    pub fn data(&self) -> Result<&Arc<DataFile>, StorageError> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        let id = DataFileId {
            vnode: self.directory.vnode,
            number: self.entry.number,
        };
        let data = DataFile::open(self.directory.io.as_ref(), &self.directory.file(&self.entry), id)?;
        Ok(self.data.get_or_init(|| data))
    }

    /// The file goes when nobody shows it any more.
    pub fn retire(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// Age of its rows as far as deletes are concerned: those up to here are already applied.
    pub fn order(&self) -> Order {
        Order::end_of(self.entry.deletes_applied)
    }

    /// Whether a delete can hide a row of it.
    pub fn touched_by(&self, family: FamilyId, delete: &Delete) -> Result<bool, StorageError> {
        if delete.order <= self.order() || delete.time.intersect(&self.entry.time()).is_none() {
            return Ok(false);
        }
        let data = self.data()?;
        let (first, last) = delete.hull();
        let blocks = data.blocks().get(data.find(family, first, last)).unwrap_or_default();
        Ok(blocks.iter().any(|block| {
            TimeRange::new(block.min_time, block.max_time)
                .is_some_and(|time| delete.touches(block.first_series.0, block.last_series.0, &time))
        }))
    }

    /// Rows in blocks that deletes hide wholly.
    pub fn rows_deleted(&self, deletes: &HashMap<FamilyId, Arc<Deletes>>) -> Result<u64, StorageError> {
        let mut deleted: HashMap<usize, u32> = HashMap::new();
        for (family, deletes) in deletes {
            for delete in deletes.after(self.order()) {
                if delete.time.intersect(&self.entry.time()).is_none() {
                    continue;
                }
                let data = self.data()?;
                let (first, last) = delete.hull();
                for at in data.find(*family, first, last) {
                    let block = &data.blocks()[at];
                    let covered = TimeRange::new(block.min_time, block.max_time)
                        .is_some_and(|time| delete.covers(block.first_series.0, block.last_series.0, &time));
                    if covered {
                        deleted.insert(at, block.rows);
                    }
                }
            }
        }
        Ok(deleted.values().map(|rows| u64::from(*rows)).sum())
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        if *self.obsolete.get_mut() {
            self.directory.remove(&self.entry);
        }
    }
}

/// What is in data files.
#[derive(Default)]
pub(crate) struct Disk {
    /// By group number; the files of a group from oldest to newest.
    pub groups: BTreeMap<i64, Vec<Arc<LiveFile>>>,
    /// Deletes that some file has yet to be rewritten for.
    pub deletes: HashMap<FamilyId, Arc<Deletes>>,
    /// Every log record up to here is in files.
    pub flushed_index: u64,
    /// Rows before this time have expired.
    pub low: Option<i64>,
    /// Newest rows of files that somebody asked for.
    pub last_rows: Mutex<HashMap<FamilyId, Arc<LastRows>>>,
}

impl Disk {
    pub fn files(&self) -> impl Iterator<Item = &Arc<LiveFile>> {
        self.groups.values().flatten()
    }

    /// The span that is not expired; `None` when nothing is left of `time`.
    pub fn unexpired(&self, time: &TimeRange) -> Option<TimeRange> {
        match self.low {
            Some(low) => time.intersect(&TimeRange::new(low, i64::MAX)?),
            None => Some(*time),
        }
    }
}

/// Number of the group that a time belongs to.
pub(crate) fn group_of(time: i64, span: i64) -> i64 {
    time.div_euclid(span)
}

/// Times of a group. The first and the last group there can be are cut off by what a time can say.
pub(crate) fn group_range(group: i64, span: i64) -> TimeRange {
    let (group, span) = (i128::from(group), i128::from(span));
    let clamped = |time: i128| time.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    TimeRange::new(clamped(group * span), clamped((group + 1) * span - 1)).expect("a group's start is before its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_meet_without_gap_or_overlap() {
        for span in [1, 7, 86_400_000_000, i64::MAX] {
            for time in [i64::MIN, i64::MIN + 8, -8, -7, -1, 0, 6, 7, i64::MAX - 1, i64::MAX] {
                let group = group_of(time, span);
                let range = group_range(group, span);
                assert!(range.contains(time), "{time} with span {span}");
                if let Some(next) = range.end().checked_add(1) {
                    assert_eq!(group_range(group + 1, span).start(), next);
                }
            }
        }
    }
}
