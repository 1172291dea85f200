//! Errors of storage, told by what can be done about them.

use std::io;
use std::path::PathBuf;

use crate::VnodeId;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The request can never succeed as it is: change it.
    #[error("{0}")]
    Refused(String),
    /// No room for now: wait, or free some.
    #[error("no space left: {needed_bytes} bytes needed, {free_bytes} free")]
    Full { needed_bytes: u64, free_bytes: u64 },
    /// Writers are ahead of the disk; the same request may succeed later.
    #[error("vnode {vnode} cannot take more rows while its memtable waits for the disk")]
    Overloaded { vnode: VnodeId },
    /// The bytes on disk are not the bytes that were written.
    #[error("damaged data in {file} at offset {offset}: {expected}")]
    Corrupt {
        file: PathBuf,
        offset: u64,
        expected: &'static str,
    },
    /// A sync failed earlier; this vnode takes no more writes until it is reopened.
    #[error("vnode {vnode} takes no writes since a sync to disk failed; restart the server")]
    Poisoned { vnode: VnodeId },
    /// There is no such vnode (any more).
    #[error("vnode {vnode} does not exist")]
    NoVnode { vnode: VnodeId },
    #[error("{file}: {source}")]
    Io { file: PathBuf, source: io::Error },
}

impl StorageError {
    /// For `map_err` at a call that names its file.
    pub fn io(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StorageError {
        let file = file.into();
        move |source| StorageError::Io { file, source }
    }
}
