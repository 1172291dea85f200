//! Room on the disk that rows may not take.
//!
//! ```text
//! free bytes:  | kept: what the memtables hold + KEPT_BYTES | rows |
//! ```
//!
//! On a disk that is full to the last byte nothing can be cured: a DELETE goes into the log, a DROP into the catalog and the manifest, and files go
//! only once a flush has written others. So rows are refused while all of that still has room.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::StorageError;
use crate::io::Io;

/// Kept beside what the memtables hold: a new piece of log for a hundred vnodes, manifests, the catalog.
const KEPT_BYTES: u64 = 64 << 20;

/// Bytes of rows taken before the disk is asked again. Asking costs a microsecond; others fill the disk too.
const ASK_AGAIN_BYTES: i64 = 16 << 20;

/// How much rows may still take without asking.
#[derive(Default)]
pub(crate) struct Space {
    left: AtomicI64,
}

impl Space {
    /// Lets rows pass that hold `bytes` in memory, about as much as they will at most be on disk, or says [`StorageError::Full`].
    pub fn take(&self, io: &dyn Io, directory: &Path, memtables: usize, bytes: usize) -> Result<(), StorageError> {
        let wanted = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.left.fetch_sub(wanted, Ordering::Relaxed) >= wanted {
            return Ok(());
        }
        let free_bytes = io.free_bytes(directory).map_err(StorageError::io(directory))?;
        let needed_bytes = KEPT_BYTES + memtables as u64 + bytes as u64;
        let left = i64::try_from(free_bytes.saturating_sub(needed_bytes)).unwrap_or(i64::MAX);
        self.left.store(left.min(ASK_AGAIN_BYTES), Ordering::Relaxed);
        if free_bytes < needed_bytes {
            return Err(StorageError::Full {
                needed_bytes,
                free_bytes,
            });
        }
        Ok(())
    }
}
