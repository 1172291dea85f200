//! Installing: the one way in which the files of a vnode change.
//!
//! ```text
//! files written and synced -> manifest replaced -> seen by new views -> old files go with the last view that shows them
//! ```
//!
//! Flush, compaction and retention each prepare an [`Edit`] on their own time; edits are applied one after the other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::VnodeStore;
use super::deletes::{Delete, Deletes};
use super::disk::{Directory, Disk, LiveFile};
use super::manifest::{DeleteEntry, FileEntry, Manifest};
use super::newest::LastRows;
use crate::{FamilyId, StorageError, VnodeOptions};

/// What is counted up over the life of a vnode.
pub(super) struct Numbers {
    pub next_file: u64,
}

/// A change of what is in files.
#[derive(Default)]
pub(super) struct Edit {
    /// Numbers of files that go. If one is gone already the edit is void.
    pub remove: Vec<u64>,
    /// Files that come, in the place of those that go, or as the newest of their groups.
    pub add: Vec<FileEntry>,
    /// Set by a flush.
    pub flushed: Option<Flushed>,
    pub low: Option<i64>,
}

/// Frozen memtables that are in files now.
pub(super) struct Flushed {
    pub index: u64,
    /// How many, from the oldest on.
    pub memtables: usize,
    pub deletes: Vec<(FamilyId, Arc<Delete>)>,
    /// Families that have new rows or deletes.
    pub families: HashSet<FamilyId>,
    /// Their last rows before and after.
    pub last_rows: HashMap<FamilyId, (Arc<LastRows>, Arc<LastRows>)>,
}

/// Reads the manifest and removes what is left of unfinished work.
pub(super) fn open(directory: &Arc<Directory>, options: &VnodeOptions) -> Result<(Disk, Numbers), StorageError> {
    let io = directory.io.as_ref();
    let manifest = match Manifest::read(io, &directory.path)? {
        Some(manifest) => manifest,
        None => Manifest::new(options.group_span, options.update),
    };
    if (manifest.group_span, manifest.update) != (options.group_span, options.update) {
        return Err(StorageError::Refused(format!(
            "vnode {} was made with update mode {:?} and file groups of {} time units, which cannot change",
            directory.vnode, manifest.update, manifest.group_span
        )));
    }
    remove_unnamed(directory, &manifest)?;
    let mut disk = Disk {
        deletes: manifest.deletes(&directory.path)?,
        flushed_index: manifest.flushed_index,
        low: manifest.low,
        ..Disk::default()
    };
    for entry in manifest.files {
        let files = disk.groups.entry(entry.group).or_default();
        files.push(Arc::new(LiveFile::new(directory.clone(), entry, 0)));
    }
    let next_file = manifest.next_file;
    Ok((disk, Numbers { next_file }))
}

/// Removes data files that the manifest does not name.
fn remove_unnamed(directory: &Directory, manifest: &Manifest) -> Result<(), StorageError> {
    let named: HashSet<_> = manifest.files.iter().map(|entry| directory.file(entry)).collect();
    let groups: HashSet<_> = manifest
        .files
        .iter()
        .map(|entry| directory.group(entry.group))
        .collect();
    let io = directory.io.as_ref();
    let folders = io
        .read_dir(&directory.path)
        .map_err(StorageError::io(&directory.path))?;
    // Folders of file groups are those with a number for a name.
    let is_group = |path: &std::path::PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.parse::<i64>().is_ok())
    };
    for folder in folders.into_iter().filter(is_group) {
        if !groups.contains(&folder) {
            io.remove_dir_all(&folder).map_err(StorageError::io(&folder))?;
            continue;
        }
        for file in io.read_dir(&folder).map_err(StorageError::io(&folder))? {
            if !named.contains(&file) {
                io.remove_file(&file).map_err(StorageError::io(&file))?;
            }
        }
    }
    Ok(())
}

impl VnodeStore {
    /// A number for a new file.
    pub(super) fn next_file(&self) -> u64 {
        let mut numbers = self.install.lock();
        numbers.next_file += 1;
        numbers.next_file - 1
    }

    /// Makes the change durable, then visible. False when a file that was to go is gone already; then nothing was changed, and the files
    /// that were to come are removed.
    pub(super) fn install(&self, edit: Edit) -> Result<bool, StorageError> {
        let numbers = self.install.lock();
        let before = self.disk();
        let named: HashSet<u64> = before.files().map(|file| file.entry.number).collect();
        if !edit.remove.iter().all(|number| named.contains(number)) {
            edit.add.iter().for_each(|entry| self.directory.remove(entry));
            return Ok(false);
        }
        let memtables = edit.flushed.as_ref().map_or(0, |flushed| flushed.memtables);
        let after = self.edited(&before, edit);
        self.manifest(&after, numbers.next_file)
            .write(self.directory.io.as_ref(), &self.directory.path)?;
        let kept: HashSet<u64> = after.files().map(|file| file.entry.number).collect();
        {
            let mut state = self.state.lock();
            state.frozen.drain(..memtables);
            state.disk = Arc::new(after);
        }
        for file in before.files() {
            if !kept.contains(&file.entry.number) {
                file.retire();
            }
        }
        drop(numbers);
        Ok(true)
    }

    fn edited(&self, before: &Disk, edit: Edit) -> Disk {
        let mut after = Disk {
            groups: before.groups.clone(),
            deletes: before.deletes.clone(),
            flushed_index: before.flushed_index,
            low: edit.low.or(before.low),
            last_rows: before.last_rows.lock().clone().into(),
        };
        let removed: HashSet<u64> = edit.remove.into_iter().collect();
        let replaced = before.files().filter(|file| removed.contains(&file.entry.number));
        let flush = match edit.flushed {
            Some(_) => self.flush_count(),
            None => replaced.map(|file| file.flush).max().unwrap_or(0),
        };
        for entry in edit.add {
            let files = after.groups.entry(entry.group).or_default();
            // Files of a group are in the order of their log records, and those of one edit replace neighbours.
            let place = files.partition_point(|file| file.entry.first_index < entry.first_index);
            files.insert(place, Arc::new(LiveFile::new(self.directory.clone(), entry, flush)));
        }
        let kept = |file: &Arc<LiveFile>| !removed.contains(&file.entry.number);
        after.groups.values_mut().for_each(|files| files.retain(kept));
        if let Some(flushed) = edit.flushed {
            after.flushed_index = flushed.index;
            for (family, delete) in flushed.deletes {
                let deletes = after.deletes.entry(family).or_default();
                Arc::make_mut(deletes).push(Delete::clone(&delete));
            }
            carry_last_rows(&after, &flushed.families, flushed.last_rows);
        }
        // A file all of whose blocks are deleted goes as it is: DROP of a supertable gives its space back here.
        let gone: HashSet<u64> = after
            .files()
            .filter(|file| file.entry.rows > 0)
            .filter(|file| {
                file.rows_deleted(&after.deletes)
                    .is_ok_and(|rows| rows == file.entry.rows)
            })
            .map(|file| file.entry.number)
            .collect();
        let stays = |file: &Arc<LiveFile>| !gone.contains(&file.entry.number);
        after.groups.values_mut().for_each(|files| files.retain(stays));
        after.groups.retain(|_, files| !files.is_empty());
        after.deletes = needed(&after);
        after
    }

    fn manifest(&self, disk: &Disk, next_file: u64) -> Manifest {
        let deletes = disk.deletes.iter().flat_map(|(family, deletes)| {
            let list = deletes.list().iter();
            list.map(|delete| DeleteEntry::new(*family, delete))
        });
        Manifest {
            flushed_index: disk.flushed_index,
            next_file,
            low: disk.low,
            files: disk.files().map(|file| file.entry.clone()).collect(),
            deletes: deletes.collect(),
            ..Manifest::new(self.group_span, self.update)
        }
    }
}

/// The deletes that hide something in some file. One that cannot be asked, because it is damaged, counts as hiding.
fn needed(disk: &Disk) -> HashMap<FamilyId, Arc<Deletes>> {
    let still = |family: FamilyId, delete: &Delete| {
        let mut files = disk.files();
        files.any(|file| file.touched_by(family, delete).unwrap_or(true))
    };
    let families = disk.deletes.iter().filter_map(|(family, deletes)| {
        let list = deletes.list().iter().filter(|delete| still(*family, delete));
        let kept: Vec<Arc<Delete>> = list.cloned().collect();
        match kept.len() {
            0 => None,
            same if same == deletes.list().len() => Some((*family, deletes.clone())),
            _ => Some((*family, Arc::new(Deletes::new(kept)))),
        }
    });
    families.collect()
}

/// Last rows of families that a flush wrote are replaced by what they became, or forgotten if others were looked up meanwhile.
fn carry_last_rows(
    after: &Disk,
    families: &HashSet<FamilyId>,
    mut became: HashMap<FamilyId, (Arc<LastRows>, Arc<LastRows>)>,
) {
    let mut last_rows = after.last_rows.lock();
    last_rows.retain(|family, rows| {
        if !families.contains(family) {
            return true;
        }
        match became.remove(family) {
            Some((was, is)) if Arc::ptr_eq(&was, rows) => {
                *rows = is;
                true
            }
            _ => false,
        }
    });
}
