//! One vnode at work: a thread that writes its log and its store, and what others hand to it.
//!
//! ```text
//! committers --queue--> writer thread: append all, one sync, apply in log order, answer
//!                           \__ memtable full or old: new log segment, freeze --> background threads: flush, compact
//! ```
//!
//! - `vnode/queue.rs`: what waits for the writer, and who may be next.
//! - `vnode/writer.rs`: the writer thread.
//! - `vnode/background.rs`: two threads for the flushes and compactions of all vnodes.
//! - `vnode/recovery.rs`: from a directory to a vnode.
//!
//! Leaves to others: transactions over several vnodes (`commit.rs`), what the store holds (`store/`), the log's bytes (`wal/`).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::io::Io;
use crate::space::Space;
use crate::store::{Pace, VnodeStore};
use crate::wal::{Kind, Pending, encode_changes};
use crate::{Change, Committed, Conflict, Durability, StorageError, StorageOptions, VnodeId, VnodeOptions};

pub(crate) mod background;
pub(crate) mod queue;
pub(crate) mod recovery;
pub(crate) mod writer;

use background::Background;
use queue::{Queue, Work};

/// Memory of the changes that wait for one writer; more wait at their senders. A few of the largest statements that clients
/// send, and what a disk takes in a fraction of a second.
const QUEUE_KIB: u32 = 64 << 10;

/// What all vnodes of a storage share.
pub(crate) struct Shared {
    pub io: Arc<dyn Io>,
    pub options: StorageOptions,
    pub background: Background,
    /// Bytes of all memtables, frozen ones included.
    pub memory_bytes: AtomicUsize,
    pub space: Space,
    /// Told whenever `memory_bytes` went down.
    pub room: Notify,
    poisoned: Mutex<Poisoned>,
}

#[derive(Default)]
struct Poisoned {
    vnode: Option<VnodeId>,
    tell: Option<Box<dyn Fn(VnodeId) + Send + Sync>>,
}

impl Shared {
    pub fn new(io: Arc<dyn Io>, options: StorageOptions) -> Shared {
        Shared {
            io,
            options,
            background: Background::default(),
            memory_bytes: AtomicUsize::new(0),
            space: Space::default(),
            room: Notify::new(),
            poisoned: Mutex::default(),
        }
    }

    /// The first vnode whose log could not be synced, if there is one.
    pub fn poisoned(&self) -> Option<VnodeId> {
        self.poisoned.lock().vnode
    }

    /// Calls `tell` once, when a vnode is poisoned, or now if one is.
    pub fn on_poisoned(&self, tell: Box<dyn Fn(VnodeId) + Send + Sync>) {
        let mut poisoned = self.poisoned.lock();
        match poisoned.vnode {
            Some(vnode) => {
                drop(poisoned);
                tell(vnode);
            }
            None => poisoned.tell = Some(tell),
        }
    }

    fn poison(&self, vnode: VnodeId) {
        let mut poisoned = self.poisoned.lock();
        if poisoned.vnode.is_some() {
            return;
        }
        poisoned.vnode = Some(vnode);
        let tell = poisoned.tell.take();
        drop(poisoned);
        if let Some(tell) = tell {
            tell(vnode);
        }
    }

    /// Whether the disk has room for the rows among these; see [`Space`].
    pub fn take_space(&self, changes: &[Change]) -> Result<(), StorageError> {
        let bytes = changes.iter().map(|change| match change {
            Change::Rows(rows) => rows.memory_bytes(),
            Change::Delete { .. } | Change::DropFamily(_) => 0,
        });
        let memtables = self.memory_bytes.load(Ordering::Relaxed);
        self.space
            .take(&*self.io, &self.options.data_dir, memtables, bytes.sum())
    }

    /// Whether the memtables hold all that they may.
    pub fn is_overloaded(&self) -> bool {
        self.memory_bytes.load(Ordering::Relaxed) > self.options.memtables_bytes_max
    }
}

/// One vnode, as everybody but its writer sees it.
pub(crate) struct Vnode {
    pub id: VnodeId,
    pub directory: PathBuf,
    pub store: VnodeStore,
    pub shared: Arc<Shared>,
    pub queue: Queue,
    pub options: Mutex<VnodeOptions>,
    permits: Arc<Semaphore>,
    /// Bytes of the memtables of this vnode, as last counted into `Shared::memory_bytes`.
    memory_bytes: AtomicUsize,
    pub wal_bytes: AtomicU64,
    /// Its directory is going; background work on it has no use.
    pub dropped: AtomicBool,
    /// One thread at a time each; held while the store does it.
    pub flushing: Mutex<()>,
    pub compacting: Mutex<()>,
}

/// Changes for one vnode, ready for its writer.
pub(crate) struct Part {
    pub changes: Vec<Change>,
    /// The body of the log record. `None` when the writer has to look first which rows are there already.
    pub body: Option<Vec<u8>>,
    /// Given back when the writer is done with the part.
    pub permit: Option<OwnedSemaphorePermit>,
}

impl Part {
    pub fn keeps(&self) -> bool {
        self.body.is_none()
    }
}

/// Whether some rows are to be written only where none are.
pub(crate) fn keeps(changes: &[Change]) -> bool {
    changes
        .iter()
        .any(|change| matches!(change, Change::Rows(rows) if rows.conflict == Conflict::Keep))
}

/// Rows that changes write.
pub(crate) fn rows_of(changes: &[Change]) -> u64 {
    changes
        .iter()
        .map(|change| match change {
            Change::Rows(rows) => rows.len() as u64,
            Change::Delete { .. } | Change::DropFamily(_) => 0,
        })
        .sum()
}

/// A commit to one vnode alone.
pub(crate) struct Commit {
    pub part: Part,
    pub durability: Durability,
    pub reply: oneshot::Sender<Result<Committed, StorageError>>,
}

impl Vnode {
    pub fn new(
        shared: Arc<Shared>,
        id: VnodeId,
        directory: PathBuf,
        store: VnodeStore,
        options: VnodeOptions,
    ) -> Vnode {
        Vnode {
            id,
            directory,
            store,
            shared,
            queue: Queue::default(),
            options: Mutex::new(options),
            permits: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            memory_bytes: AtomicUsize::new(0),
            wal_bytes: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
            flushing: Mutex::new(()),
            compacting: Mutex::new(()),
        }
    }

    /// Waits until the queue has room for these changes. `encode` makes the record's body, on the caller's thread.
    pub async fn admit(
        &self,
        changes: Vec<Change>,
        encode: impl FnOnce(&[Change]) -> Result<Vec<u8>, StorageError>,
    ) -> Result<Part, StorageError> {
        let bytes: usize = changes
            .iter()
            .map(|change| match change {
                Change::Rows(rows) => rows.memory_bytes(),
                Change::Delete { .. } | Change::DropFamily(_) => 0,
            })
            .sum();
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(QUEUE_KIB);
        let permit = self
            .permits
            .clone()
            .acquire_many_owned(kib)
            .await
            .map_err(|_| self.gone())?;
        let body = if keeps(&changes) { None } else { Some(encode(&changes)?) };
        Ok(Part {
            changes,
            body,
            permit: Some(permit),
        })
    }

    /// Commits changes to this vnode alone.
    pub async fn commit(&self, changes: Vec<Change>, durability: Durability) -> Result<Committed, StorageError> {
        let part = self.admit(changes, encode_changes).await?;
        let (reply, answer) = oneshot::channel();
        self.queue
            .push(Work::Commit(Commit {
                part,
                durability,
                reply,
            }))
            .map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// How fast rows come, told by how full the memtable is: it is looked at after a flush, which began with an empty one.
    pub fn pace(&self) -> Pace {
        /// Of a full memtable.
        const FILLING_SHARE: usize = 8;
        match self.store.memtable_bytes() > self.shared.options.memtable_bytes / FILLING_SHARE {
            true => Pace::Loading,
            false => Pace::Calm,
        }
    }

    /// Nobody serves this vnode any more.
    pub fn gone(&self) -> StorageError {
        match self.shared.poisoned() {
            Some(vnode) => StorageError::Poisoned { vnode },
            None => StorageError::NoVnode { vnode: self.id },
        }
    }

    /// No more commits are let in; those that wait for room get an error.
    pub fn close(&self) {
        self.permits.close();
        self.queue.close();
    }

    /// Counts the memory of this vnode anew.
    pub fn count_memory(&self) {
        let now = self.store.memtable_bytes() + self.store.frozen_bytes();
        self.set_memory(now);
    }

    /// This vnode's memtables count no more.
    pub fn forget_memory(&self) {
        self.set_memory(0);
    }

    fn set_memory(&self, now: usize) {
        let before = self.memory_bytes.swap(now, Ordering::Relaxed);
        let total = &self.shared.memory_bytes;
        if now >= before {
            total.fetch_add(now - before, Ordering::Relaxed);
        } else {
            total.fetch_sub(before - now, Ordering::Relaxed);
            self.shared.room.notify_waiters();
        }
    }

    /// Its log could not be synced: tells whoever wants to know.
    pub fn poison(&self) -> StorageError {
        self.shared.poison(self.id);
        StorageError::Poisoned { vnode: self.id }
    }
}

/// The record of changes to one vnode alone.
pub(crate) fn changes_record(body: Vec<u8>) -> Pending {
    Pending {
        kind: Kind::Changes,
        transaction: 0,
        body,
    }
}

/// The same error for another one who waits for the same thing.
pub(crate) fn same_error(error: &StorageError) -> StorageError {
    match error {
        StorageError::Refused(message) => StorageError::Refused(message.clone()),
        StorageError::Full {
            needed_bytes,
            free_bytes,
        } => StorageError::Full {
            needed_bytes: *needed_bytes,
            free_bytes: *free_bytes,
        },
        StorageError::Overloaded { vnode } => StorageError::Overloaded { vnode: *vnode },
        StorageError::Corrupt { file, offset, expected } => StorageError::Corrupt {
            file: file.clone(),
            offset: *offset,
            expected,
        },
        StorageError::Poisoned { vnode } => StorageError::Poisoned { vnode: *vnode },
        StorageError::NoVnode { vnode } => StorageError::NoVnode { vnode: *vnode },
        StorageError::Io { file, source } => StorageError::Io {
            file: file.clone(),
            source: io::Error::new(source.kind(), source.to_string()),
        },
    }
}
