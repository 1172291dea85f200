//! All file I/O of storage, behind one trait that tests replace.
//!
//! [`RealIo`] is the operating system. Tests use [`SimulatedIo`], which forgets what no sync covered and fails the k-th call.

use std::io;
use std::path::{Path, PathBuf};

mod real;
pub mod simulated;

pub use real::RealIo;
pub use simulated::SimulatedIo;

/// A file system.
pub trait Io: Send + Sync + 'static {
    /// Opens for reading and writing; makes it if it is not there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn IoFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn IoFile>>;
    fn exists(&self, path: &Path) -> bool;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Paths of the entries of a directory, in no order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in this directory survive a power loss.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes free for us on the disk that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// Takes the lock that this file is (made if missing), until what is returned is dropped or the process ends;
    /// [`io::ErrorKind::WouldBlock`] when another has it. A file system that only one process can see needs none.
    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let _ = path;
        Ok(FileLock(None))
    }
}

/// A lock held on a file.
pub struct FileLock(Option<std::fs::File>);

impl FileLock {
    /// Whether the operating system guards it.
    pub fn is_real(&self) -> bool {
        self.0.is_some()
    }
}

/// An open file. Positions are given with each call; nothing is shared between callers.
pub trait IoFile: Send + Sync {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// fdatasync: contents and length survive a power loss after this returned.
    fn sync_data(&self) -> io::Result<()>;
}
