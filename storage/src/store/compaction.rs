//! Compaction: files of a group become one, with duplicates folded and deletes applied.
//!
//! Done for one of three reasons, the most pressing first: rows that are deleted take up room; a group has many files of similar size;
//! a group has fallen quiet, and is sealed as one file with the compression that the vnode asks for. Files that are merged are neighbours in age,
//! so that "older" and "newer" keep their meaning. Memory in use is a block for each file and one batch.

use std::sync::Arc;

use super::VnodeStore;
use super::disk::{Disk, LiveFile, group_range};
use super::flush::{GroupFile, Origin, all_rows};
use super::install::Edit;
use super::merge::Merge;
use crate::{Compression, FamilyId, ScanCounters, StorageError};

/// So many neighbours of similar size are merged. Fewer means that rows are rewritten more often, more that readers open more files: with
/// four, a group of a thousand flushes has at most some fifteen files, and each row was written about six times.
const SIMILAR_FILES: usize = 4;

/// The same while rows pour in. What is rewritten now takes the processor from the load, and will be rewritten again soon; with sixteen each row
/// of a thousand flushes is written about three times. When the load ends, the flush of its last rows finds a vnode at rest.
const SIMILAR_FILES_LOADING: usize = 16;

/// How fast rows come while a vnode is compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Little has come since the last flush.
    Calm,
    /// The memtable is filling again already.
    Loading,
}

impl Pace {
    fn similar_files(self) -> usize {
        match self {
            Pace::Calm => SIMILAR_FILES,
            Pace::Loading => SIMILAR_FILES_LOADING,
        }
    }
}

/// Files are of similar size when the oldest is at most so many times as large as all newer ones together; while rows pour in, as the largest of
/// them, so that what was merged before waits for others like it.
const SIMILAR_SIZE: u64 = 2;

/// A file is rewritten when one row in so many is deleted with its whole block.
const DELETED_SHARE: u64 = 4;

/// A file is rewritten when so many deletes have to be looked through for it.
const DELETES_MAX: usize = 64;

/// A group that is not the newest has fallen quiet after so many flushes that did not touch it.
const QUIET_FLUSHES: u64 = 4;

pub(super) fn compact_once(store: &VnodeStore, pace: Pace) -> Result<bool, StorageError> {
    let disk = store.disk();
    match choose(store, &disk, pace) {
        Some((files, purpose)) => {
            let rewritten = rewrite(store, &disk, &files, purpose);
            if let Err(StorageError::Corrupt { .. }) = &rewritten {
                // Else the same files would be chosen for ever, and no others.
                store.damaged.lock().extend(files.iter().map(|file| file.entry.number));
            }
            rewritten?;
            Ok(true)
        }
        None => Ok(false),
    }
}

/// What a file is rewritten for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To be merged again before long.
    Merge,
    /// To stay as it is.
    Seal,
}

pub(super) fn compact_all(store: &VnodeStore) -> Result<(), StorageError> {
    let groups: Vec<i64> = store.disk().groups.keys().copied().collect();
    for group in groups {
        loop {
            let disk = store.disk();
            let files = disk.groups.get(&group).cloned().unwrap_or_default();
            if !is_worth_one_file(store, &disk, &files) || rewrite(store, &disk, &files, Purpose::Seal)? {
                break;
            }
        }
    }
    Ok(())
}

/// Whether a group is not yet the one file that it could be.
fn is_worth_one_file(store: &VnodeStore, disk: &Disk, files: &[Arc<LiveFile>]) -> bool {
    match files {
        [] => false,
        [one] => one.entry.compression != store.options.read().compression || deletes_of(disk, one) > 0,
        _ => true,
    }
}

/// How many deletes a file has to be read under. None is counted for a damaged file, which cannot be rewritten.
fn deletes_of(disk: &Disk, file: &LiveFile) -> usize {
    let deletes = disk.deletes.iter().flat_map(|(family, deletes)| {
        let later = deletes.after(file.order()).iter();
        later.map(|delete| (*family, delete.clone()))
    });
    deletes
        .filter(|(family, delete)| file.touched_by(*family, delete).unwrap_or(false))
        .count()
}

/// The files that it pays most to merge.
fn choose(store: &VnodeStore, disk: &Disk, pace: Pace) -> Option<(Vec<Arc<LiveFile>>, Purpose)> {
    let damaged = store.damaged.lock().clone();
    let is_sound = |files: &[Arc<LiveFile>]| !files.iter().any(|file| damaged.contains(&file.entry.number));
    if !disk.deletes.is_empty() {
        let mut files = disk.files().filter(|file| is_sound(std::slice::from_ref(*file)));
        if let Some(file) = files.find(|file| is_full_of_deleted(disk, file)) {
            return Some((vec![file.clone()], Purpose::Merge));
        }
    }
    let sound = || disk.groups.iter().filter(|(_, files)| is_sound(files));
    let similar = sound().find_map(|(_, files)| {
        let sizes: Vec<u64> = files.iter().map(|file| file.entry.bytes).collect();
        similar_from(&sizes, pace).map(|from| (files[from..].to_vec(), Purpose::Merge))
    });
    similar.or_else(|| {
        let newest = *disk.groups.keys().next_back()?;
        let mut quiet = sound().filter(|(group, files)| **group != newest && store.is_quiet(files));
        let found = quiet.find(|(_, files)| is_worth_one_file(store, disk, files));
        found.map(|(_, files)| (files.clone(), Purpose::Seal))
    })
}

fn is_full_of_deleted(disk: &Disk, file: &LiveFile) -> bool {
    let rows = file.rows_deleted(&disk.deletes).unwrap_or(0);
    rows > 0 && rows >= file.entry.rows / DELETED_SHARE || deletes_of(disk, file) >= DELETES_MAX
}

/// Where the newest files begin that are many and of similar size; sizes are from the oldest to the newest.
fn similar_from(sizes: &[u64], pace: Pace) -> Option<usize> {
    let mut from = sizes.len();
    let mut newer: u64 = 0;
    for (at, size) in sizes.iter().enumerate().rev() {
        if newer > 0 && *size > newer.saturating_mul(SIMILAR_SIZE) {
            break;
        }
        newer = match pace {
            Pace::Calm => newer.saturating_add((*size).max(1)),
            Pace::Loading => newer.max((*size).max(1)),
        };
        from = at;
    }
    (sizes.len() - from >= pace.similar_files()).then_some(from)
}

impl VnodeStore {
    /// Whether the last flushes have left a group alone.
    fn is_quiet(&self, files: &[Arc<LiveFile>]) -> bool {
        let newest = files.iter().map(|file| file.flush).max().unwrap_or(0);
        self.flush_count().saturating_sub(newest) >= QUIET_FLUSHES
    }
}

/// Puts one file in the place of neighbours of one group. False when they had changed meanwhile.
fn rewrite(store: &VnodeStore, disk: &Disk, files: &[Arc<LiveFile>], purpose: Purpose) -> Result<bool, StorageError> {
    let (Some(oldest), Some(newest)) = (files.first(), files.last()) else {
        return Ok(true);
    };
    let group = oldest.entry.group;
    let origin = Origin {
        first_index: oldest.entry.first_index,
        last_index: newest.entry.last_index,
        // The manifest's deletes are all there are up to here.
        deletes_applied: disk.flushed_index,
    };
    let of_group = disk.groups.get(&group).map_or(&[][..], |files| files.as_slice());
    // Without anything older in the group no row has anything to replace.
    let has_older = of_group
        .first()
        .is_some_and(|file| file.entry.number != oldest.entry.number);
    let compression = match (purpose, store.options.read().compression) {
        (Purpose::Merge, Compression::High) => Compression::Fast,
        (_, asked) => asked,
    };
    let mut file = GroupFile::new(store, group, compression, origin);
    if let Some(time) = disk.unexpired(&group_range(group, store.group_span)) {
        for family in families(files)? {
            let deletes = disk.deletes.get(&family).cloned();
            let plan = all_rows(family, time, deletes.into_iter().collect(), store.update);
            let merge = Merge::new(plan, None, files, &[], ScanCounters::default())?;
            file.append_all(family, merge, has_older.then_some(store.update))?;
        }
    }
    let add = file.finish()?;
    store.install(Edit {
        remove: files.iter().map(|file| file.entry.number).collect(),
        add: add.into_iter().collect(),
        ..Edit::default()
    })
}

/// Families in the files, ascending.
fn families(files: &[Arc<LiveFile>]) -> Result<Vec<FamilyId>, StorageError> {
    let mut families = Vec::new();
    for file in files {
        families.extend(file.data()?.blocks().iter().map(|block| block.family));
        families.sort_unstable();
        families.dedup();
    }
    Ok(families)
}

#[cfg(test)]
mod tests {
    use super::{Pace, similar_from};

    #[test]
    fn neighbours_of_similar_size_are_chosen() {
        let cases: [(&[u64], Option<usize>); 6] = [
            (&[], None),
            (&[10, 10, 10], None),
            (&[10, 10, 10, 10], Some(0)),
            (&[100, 10, 10, 10, 10], Some(1)),
            (&[60, 10, 10, 10, 10], Some(0)),
            (&[1000, 100, 10, 10, 10], None),
        ];
        for (sizes, from) in cases {
            assert_eq!(similar_from(sizes, Pace::Calm), from, "{sizes:?}");
        }
        assert_eq!(similar_from(&[10; 15], Pace::Loading), None);
        assert_eq!(similar_from(&[10; 16], Pace::Loading), Some(0));
    }

    /// Files, and bytes written for each byte, at most during a thousand flushes.
    fn a_thousand_flushes(pace: Pace) -> (usize, u64) {
        let mut files: Vec<u64> = Vec::new();
        let mut written = 0;
        let mut most = 0;
        for _ in 0..1000 {
            files.push(10);
            written += 10;
            while let Some(from) = similar_from(&files, pace) {
                let merged: u64 = files.drain(from..).sum();
                written += merged;
                files.push(merged);
            }
            most = most.max(files.len());
        }
        (most, written / 10_000)
    }

    #[test]
    fn each_row_is_written_few_times_and_files_stay_few() {
        let (files, written) = a_thousand_flushes(Pace::Calm);
        assert!(files <= 16 && written < 8, "{files} files, {written} times");
        let (files, written) = a_thousand_flushes(Pace::Loading);
        assert!(files <= 48 && written < 4, "{files} files, {written} times");
    }
}
