//! The engine: every vnode of this server, opened together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::io::Io;
use crate::{Committed, StorageError, Transaction, VnodeId, VnodeStatistics, VnodeView};

/// What the whole engine is opened with.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// Holds `vnode/<id>/…`; made if missing.
    pub data_dir: PathBuf,
    /// A vnode's memtable is flushed when it holds this much.
    pub memtable_bytes: usize,
    /// Writers wait when all memtables together hold this much, and get [`StorageError::Overloaded`] after `overload_wait`.
    pub memtables_bytes_max: usize,
    pub overload_wait: Duration,
    pub wal_segment_bytes: u64,
}

/// Which of several rows for one (series, time) remains. A vnode's for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum UpdateMode {
    /// `UPDATE 0`: the first.
    KeepFirst,
    /// `UPDATE 1`: the last, whole.
    ReplaceRow,
    /// `UPDATE 2`: column by column the last that is not null.
    MergeColumns,
}

/// `COMP 0|1|2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Compression {
    None,
    Fast,
    High,
}

/// What a vnode is made with; kept in its directory.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VnodeOptions {
    /// Length of a file group in the database's time unit; groups are aligned to 1970. Fixed.
    pub group_span: i64,
    pub update: UpdateMode,
    pub compression: Compression,
    /// The memtable is flushed at least this often while it holds rows.
    pub flush_interval_ms: u64,
    pub block_rows_max: usize,
}

pub struct Storage {
    _private: (),
}

impl Storage {
    /// Opens every vnode found in `options.data_dir`, replaying their logs.
    pub fn open(options: StorageOptions, io: Arc<dyn Io>) -> Result<Storage, StorageError> {
        let _ = (options, io);
        todo!()
    }
    /// Makes a vnode; nothing happens when it is there already with equal options.
    pub fn create_vnode(&self, id: VnodeId, options: VnodeOptions) -> Result<(), StorageError> {
        let _ = (id, options);
        todo!()
    }
    /// Changes what may change of a vnode's options: update stays, group_span stays.
    pub fn alter_vnode(&self, id: VnodeId, options: VnodeOptions) -> Result<(), StorageError> {
        let _ = (id, options);
        todo!()
    }
    /// Removes a vnode and its directory. Views taken before stay readable.
    pub fn drop_vnode(&self, id: VnodeId) -> Result<(), StorageError> {
        let _ = id;
        todo!()
    }
    pub fn vnodes(&self) -> Vec<VnodeId> {
        todo!()
    }
    /// Makes a transaction durable, then visible, then returns.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, StorageError> {
        let _ = transaction;
        todo!()
    }
    /// What is visible in a vnode now.
    pub fn view(&self, id: VnodeId) -> Result<VnodeView, StorageError> {
        let _ = id;
        todo!()
    }
    /// Writes the memtables of these vnodes into data files; returns when they are on disk.
    pub async fn flush(&self, vnodes: &[VnodeId]) -> Result<(), StorageError> {
        let _ = vnodes;
        todo!()
    }
    /// Merges overlapping data files, applying deletes and duplicates; returns when done.
    pub async fn compact(&self, vnodes: &[VnodeId]) -> Result<(), StorageError> {
        let _ = vnodes;
        todo!()
    }
    /// Removes the file groups of a vnode that end before `before`.
    pub async fn expire(&self, id: VnodeId, before: i64) -> Result<(), StorageError> {
        let _ = (id, before);
        todo!()
    }
    pub fn statistics(&self, id: VnodeId) -> Result<VnodeStatistics, StorageError> {
        let _ = id;
        todo!()
    }
    /// Stops background work and syncs the logs. Does not flush: the next start replays.
    pub async fn close(&self) -> Result<(), StorageError> {
        todo!()
    }
}
