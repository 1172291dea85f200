//! What a vnode holds: memtable, frozen memtables, data files, deletes, last rows.
//!
//! ```text
//! apply -> memtable --freeze--> frozen --flush_frozen--> data files --compact--> fewer data files
//! ```
//!
//! Changes come in log order with the index of their log record; the manifest says up to which index everything is in files.
//! Leaves to others: the log and who calls what when (`vnode.rs`), bytes of data files (`data_file/`).

use std::path::PathBuf;
use std::sync::Arc;

use crate::io::Io;
use crate::{Change, Rows, StorageError, VnodeId, VnodeOptions};

mod view;

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

pub struct VnodeStore {
    _private: (),
}

impl VnodeStore {
    /// Opens what is in `directory` (made if missing): reads the manifest, removes files it does not name. Leaves the log alone.
    pub fn open(
        io: Arc<dyn Io>,
        directory: PathBuf,
        id: VnodeId,
        options: VnodeOptions,
    ) -> Result<VnodeStore, StorageError> {
        let _ = (io, directory, id, options);
        todo!()
    }
    /// Every log record up to this index is in data files.
    pub fn flushed_index(&self) -> u64 {
        todo!()
    }
    /// Makes the changes of log record `index` visible, all at once. Indexes ascend; called by the one writer, or by recovery.
    pub fn apply(&self, index: u64, changes: Vec<Change>) {
        let _ = (index, changes);
        todo!()
    }
    /// The rows whose (series, time) is not there yet, each key once: what [`crate::Conflict::Keep`] writes. `earlier`: the changes of the same
    /// transaction before it.
    pub fn absent(&self, rows: &Rows, earlier: &[Change]) -> Result<Rows, StorageError> {
        let _ = (rows, earlier);
        todo!()
    }
    /// Bytes of the memtable that takes writes.
    pub fn memtable_bytes(&self) -> usize {
        todo!()
    }
    /// Bytes of frozen memtables that are not in files yet.
    pub fn frozen_bytes(&self) -> usize {
        todo!()
    }
    /// Sets the memtable aside for flushing; new changes go to a fresh one. False when it was empty.
    pub fn freeze(&self) -> bool {
        todo!()
    }
    /// Writes all frozen memtables to data files and names them in the manifest; returns the new flushed index, so that the log before it may
    /// go. Called by one thread at a time.
    pub fn flush_frozen(&self) -> Result<u64, StorageError> {
        todo!()
    }
    /// Merges files that overlap or are many, if there are any worth it; false when there was nothing to do. One thread at a time, beside flushes.
    pub fn compact_once(&self) -> Result<bool, StorageError> {
        todo!()
    }
    /// Merges each file group into one file.
    pub fn compact_all(&self) -> Result<(), StorageError> {
        todo!()
    }
    /// Removes file groups that end before `before`, and hides what is older from every later view.
    pub fn expire(&self, before: i64) -> Result<(), StorageError> {
        let _ = before;
        todo!()
    }
    pub fn view(&self) -> VnodeView {
        todo!()
    }
    pub fn set_options(&self, options: VnodeOptions) {
        let _ = options;
        todo!()
    }
    pub fn statistics(&self) -> VnodeStatistics {
        todo!()
    }
}
