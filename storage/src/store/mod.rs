//! What a vnode holds: memtable, frozen memtables, data files, deletes, last rows.
//!
//! ```text
//! apply -> memtable --freeze--> frozen --flush_frozen--> data files --compact--> fewer data files
//! ```
//!
//! Changes come in log order with the index of their log record; the manifest says up to which index everything is in files.
//! Leaves to others: the log and who calls what when (`vnode.rs`), bytes of data files (`data_file/`).
//!
//! Locks, in the order in which they are taken: `writer` for a whole `apply` or `freeze`; `install` while the manifest is replaced;
//! `state` for a few lines, never across I/O. Readers take `state` alone, to copy three kinds of Arc.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::BooleanArray;
use arrow::compute;
use parking_lot::{Mutex, RwLock};

use crate::io::Io;
use crate::{Change, Rows, StorageError, UpdateMode, VnodeId, VnodeOptions};
use disk::{Directory, Disk};
use install::{Edit, Numbers};
use memtable::{Memtable, steps};

mod chunk;
mod columns;
mod compaction;
mod cursor;
mod deletes;
mod disk;
mod flush;
mod install;
mod manifest;
mod memtable;
mod merge;
mod newest;
mod ordered;
mod piece;
mod rule;
mod size;
mod view;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod scenario_tests;

pub use compaction::Pace;
pub use size::FamilySize;
pub use view::{Scan, ScanCounters, VnodeView};

/// What a vnode holds, for the system views and for EXPLAIN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VnodeStatistics {
    pub memtable_rows: u64,
    pub memtable_bytes: u64,
    pub wal_bytes: u64,
    pub data_files: u64,
    pub data_bytes: u64,
    pub blocks: u64,
    pub rows_in_files: u64,
    /// Each file group's first time, data files and bytes, ascending.
    pub file_groups: Vec<(i64, u64, u64)>,
}

/// The rows of one vnode, in memory and in files.
pub struct VnodeStore {
    directory: Arc<Directory>,
    /// Fixed for the life of a vnode.
    update: UpdateMode,
    group_span: i64,
    options: RwLock<VnodeOptions>,
    /// Held by whoever changes the memtable.
    writer: Mutex<()>,
    /// Held by whoever replaces the manifest.
    install: Mutex<Numbers>,
    /// What readers see.
    state: Mutex<State>,
    /// Flushes since the start; the clock by which file groups fall quiet.
    flushes: AtomicU64,
    /// Numbers of files that could not be read back; compaction leaves them alone.
    damaged: Mutex<HashSet<u64>>,
}

struct State {
    active: Arc<Memtable>,
    /// From the oldest to the newest.
    frozen: Vec<Arc<Memtable>>,
    disk: Arc<Disk>,
}

impl VnodeStore {
    /// Opens what is in `directory` (made if missing): reads the manifest, removes files it does not name. Leaves the log alone.
    pub fn open(
        io: Arc<dyn Io>,
        directory: PathBuf,
        id: VnodeId,
        options: VnodeOptions,
    ) -> Result<VnodeStore, StorageError> {
        if options.group_span <= 0 {
            let span = options.group_span;
            return Err(StorageError::Refused(format!(
                "a file group cannot span {span} time units"
            )));
        }
        io.create_dir_all(&directory).map_err(StorageError::io(&directory))?;
        let directory = Arc::new(Directory {
            io,
            path: directory,
            vnode: id,
            groups: Mutex::new(()),
        });
        let (disk, numbers) = install::open(&directory, &options)?;
        Ok(VnodeStore {
            directory,
            update: options.update,
            group_span: options.group_span,
            options: RwLock::new(options),
            writer: Mutex::new(()),
            install: Mutex::new(numbers),
            state: Mutex::new(State {
                active: Arc::default(),
                frozen: Vec::new(),
                disk: Arc::new(disk),
            }),
            flushes: AtomicU64::new(0),
            damaged: Mutex::default(),
        })
    }

    /// Every log record up to this index is in data files.
    pub fn flushed_index(&self) -> u64 {
        self.state.lock().disk.flushed_index
    }

    /// Makes the changes of log record `index` visible, all at once. Indexes ascend; called by the one writer, or by recovery.
    pub fn apply(&self, index: u64, changes: Vec<Change>) {
        let _writer = self.writer.lock();
        let steps = steps(index, 0, changes, self.update);
        let mut grown = {
            let mut state = self.state.lock();
            Arc::make_mut(&mut state.active).apply(index, steps)
        };
        grown.sort_unstable();
        grown.dedup();
        for family in grown {
            // Only the writer touches the newest chunks, so that they are still where they were after the copying.
            while let Some(carry) = { self.state.lock().active.carry(family) } {
                let chunk = carry.concat();
                let mut state = self.state.lock();
                Arc::make_mut(&mut state.active).replace(&carry, chunk);
            }
        }
    }

    /// The rows whose (series, time) is not there yet, each key once: what [`crate::Conflict::Keep`] writes. `earlier`: the changes of the same
    /// transaction before it.
    pub fn absent(&self, rows: &Rows, earlier: &[Change]) -> Result<Rows, StorageError> {
        let view = match earlier {
            [] => self.view(),
            _ => self.view().with_pending(earlier),
        };
        let exists = view.existing(rows)?;
        let mut order: Vec<usize> = (0..rows.len()).filter(|row| !exists.value(*row)).collect();
        let key = |row: &usize| (rows.series[*row], rows.times[*row]);
        // Stable, so that of rows with one key the first stays.
        order.sort_by_key(key);
        order.dedup_by_key(|row| key(row));
        if order.len() == rows.len() {
            return Ok(rows.clone());
        }
        order.sort_unstable();
        let mut keep = vec![false; rows.len()];
        order.iter().for_each(|row| keep[*row] = true);
        let keep = BooleanArray::from(keep);
        Ok(Rows {
            family: rows.family,
            series: order.iter().map(|row| rows.series[*row]).collect::<Vec<_>>().into(),
            times: order.iter().map(|row| rows.times[*row]).collect::<Vec<_>>().into(),
            columns: rows
                .columns
                .iter()
                .map(|(id, array)| {
                    (
                        *id,
                        compute::filter(array, &keep).expect("columns are as long as times"),
                    )
                })
                .collect(),
            conflict: rows.conflict,
        })
    }

    /// Bytes of the memtable that takes writes.
    pub fn memtable_bytes(&self) -> usize {
        self.state.lock().active.memory_bytes()
    }

    /// Bytes of frozen memtables that are not in files yet.
    pub fn frozen_bytes(&self) -> usize {
        self.state
            .lock()
            .frozen
            .iter()
            .map(|memtable| memtable.memory_bytes())
            .sum()
    }

    /// Whether the memtable drops a family that may have files: a flush now, and a compaction after it, give their space back.
    pub fn wants_flush(&self) -> bool {
        let state = self.state.lock();
        state.active.drops_family() && state.disk.files().next().is_some()
    }

    /// Sets the memtable aside for flushing; new changes go to a fresh one. False when it was empty.
    pub fn freeze(&self) -> bool {
        let _writer = self.writer.lock();
        let mut state = self.state.lock();
        if state.active.last_index().is_none() {
            return false;
        }
        let full = std::mem::take(&mut state.active);
        state.frozen.push(full);
        true
    }

    /// Writes all frozen memtables to data files and names them in the manifest; returns the new flushed index, so that the log before it may
    /// go. Called by one thread at a time.
    pub fn flush_frozen(&self) -> Result<u64, StorageError> {
        flush::flush(self)?;
        Ok(self.flushed_index())
    }

    /// Merges files that overlap or are many, if there are any worth it; false when there was nothing to do. One thread at a time, beside flushes.
    pub fn compact_once(&self, pace: Pace) -> Result<bool, StorageError> {
        compaction::compact_once(self, pace)
    }

    /// Merges each file group into one file.
    pub fn compact_all(&self) -> Result<(), StorageError> {
        compaction::compact_all(self)
    }

    /// Removes file groups that end before `before`, and hides what is older from every later view.
    pub fn expire(&self, before: i64) -> Result<(), StorageError> {
        let disk = self.disk();
        if disk.low.is_some_and(|low| low >= before) {
            return Ok(());
        }
        let ended = |group: i64| disk::group_range(group, self.group_span).end() < before;
        let expired = disk.files().filter(|file| ended(file.entry.group));
        self.install(Edit {
            remove: expired.map(|file| file.entry.number).collect(),
            low: Some(before),
            ..Edit::default()
        })?;
        Ok(())
    }

    /// What is visible now.
    pub fn view(&self) -> VnodeView {
        let state = self.state.lock();
        let memtables = state.frozen.iter().chain([&state.active]).cloned().collect();
        VnodeView::new(state.disk.clone(), memtables, self.update, self.group_span)
    }

    /// Takes what may change of a vnode's options.
    pub fn set_options(&self, options: VnodeOptions) {
        *self.options.write() = VnodeOptions {
            update: self.update,
            group_span: self.group_span,
            ..options
        };
    }

    pub fn statistics(&self) -> VnodeStatistics {
        let view = self.view();
        let memtables = || view.memtables.iter();
        let entries = || view.disk.files().map(|file| &file.entry);
        VnodeStatistics {
            memtable_rows: memtables().map(|memtable| memtable.rows()).sum(),
            memtable_bytes: memtables().map(|memtable| memtable.memory_bytes() as u64).sum(),
            wal_bytes: 0,
            data_files: entries().count() as u64,
            data_bytes: entries().map(|entry| entry.bytes).sum(),
            blocks: entries().map(|entry| entry.blocks).sum(),
            rows_in_files: entries().map(|entry| entry.rows).sum(),
            file_groups: view
                .disk
                .groups
                .iter()
                .map(|(group, files)| {
                    let bytes = files.iter().map(|file| file.entry.bytes).sum();
                    (
                        disk::group_range(*group, self.group_span).start(),
                        files.len() as u64,
                        bytes,
                    )
                })
                .collect(),
        }
    }

    fn disk(&self) -> Arc<Disk> {
        self.state.lock().disk.clone()
    }

    fn flush_count(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }
}
