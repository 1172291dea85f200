//! From a directory to a vnode: its options, its store, its log replayed, and what other vnodes have to say about it.
//!
//! ```text
//! <data_dir>/vnode/<id>/vnode.json     what it was made with; written last, so a directory without it was never finished
//! <data_dir>/vnode/<id>/wal/…          the log
//! <data_dir>/vnode/<id>.dropped        on its way out
//! ```
//!
//! Recovery may be interrupted anywhere and simply begins again: it removes nothing that the next attempt needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::writer::{Marks, Writer};
use super::{Shared, Vnode};
use crate::io::Io;
use crate::store::VnodeStore;
use crate::wal::{Entry, Kind, Log, Pending, encode_resolved};
use crate::{Change, StorageError, VnodeId, VnodeOptions};

/// What `vnode.json` holds.
#[derive(Serialize, Deserialize)]
struct OptionsFile {
    version: u32,
    options: VnodeOptions,
}

/// The version this code writes, and the only one there is.
const OPTIONS_VERSION: u32 = 1;

fn options_path(directory: &Path) -> PathBuf {
    directory.join("vnode.json")
}

/// Writes a vnode's options so that a power loss leaves the old ones or the new ones.
pub(crate) fn write_options(io: &dyn Io, directory: &Path, options: &VnodeOptions) -> Result<(), StorageError> {
    let contents = serde_json::to_vec_pretty(&OptionsFile {
        version: OPTIONS_VERSION,
        options: options.clone(),
    })
    .map_err(|error| StorageError::Refused(format!("vnode options cannot be written as json: {error}")))?;
    let (path, new) = (options_path(directory), directory.join("vnode.json.new"));
    let write = || {
        let file = io.create(&new)?;
        file.set_len(0)?;
        file.write_all_at(&contents, 0)?;
        file.sync_data()?;
        io.rename(&new, &path)?;
        io.sync_dir(directory)
    };
    write().map_err(|source| crate::wal::full_or_io(io, &path, source, contents.len() as u64))
}

fn read_options(io: &dyn Io, directory: &Path) -> Result<VnodeOptions, StorageError> {
    let path = options_path(directory);
    let read = || {
        let file = io.open(&path)?;
        let mut contents = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut contents, 0)?;
        Ok(contents)
    };
    let contents = read().map_err(StorageError::io(&path))?;
    let corrupt = |expected| StorageError::Corrupt {
        file: path.clone(),
        offset: 0,
        expected,
    };
    let file: OptionsFile = serde_json::from_slice(&contents).map_err(|_| corrupt("vnode options as json"))?;
    if file.version == OPTIONS_VERSION {
        Ok(file.options)
    } else {
        Err(corrupt("vnode options of version 1"))
    }
}

/// Whether the making of this vnode was ever finished.
pub(crate) fn is_made(io: &dyn Io, directory: &Path) -> bool {
    io.exists(&options_path(directory))
}

/// A prepared transaction without an outcome.
struct Prepared {
    transaction: u64,
    home: VnodeId,
    changes: Vec<Change>,
}

/// A vnode whose log is replayed, before others have said what became of its prepared transactions.
pub(crate) struct Replayed {
    vnode: Arc<Vnode>,
    log: Log,
    /// By the index of their records.
    prepared: BTreeMap<u64, Prepared>,
    /// Marks in its log, with their participants.
    marks: BTreeMap<u64, Vec<VnodeId>>,
    /// Outcomes whose changes are in memory only: their index, and that of the prepared record.
    in_memory: Vec<(u64, u64)>,
    /// Highest transaction seen.
    pub last_transaction: u64,
}

/// Opens a vnode's store and replays its log.
pub(crate) fn replay(shared: &Arc<Shared>, id: VnodeId, directory: &Path) -> Result<Replayed, StorageError> {
    let io = shared.io.clone();
    let options = read_options(&*io, directory)?;
    let store = VnodeStore::open(io.clone(), directory.to_path_buf(), id, options.clone())?;
    let flushed = store.flushed_index();
    let mut prepared: BTreeMap<u64, Prepared> = BTreeMap::new();
    let mut marks = BTreeMap::new();
    let mut in_memory = Vec::new();
    let mut last_transaction = 0;
    let mut expired = Ok(());
    let segment_bytes = shared.options.wal_segment_bytes;
    let log = Log::open(io, directory.join("wal"), id, segment_bytes, flushed, &mut |record| {
        let (index, transaction) = (record.index, record.transaction);
        last_transaction = last_transaction.max(transaction);
        let is_new = index > flushed;
        match record.entry {
            Entry::Changes(changes) if is_new => store.apply(index, changes),
            Entry::Prepared { home, changes } => {
                prepared.insert(
                    index,
                    Prepared {
                        transaction,
                        home,
                        changes,
                    },
                );
            }
            Entry::Commit { participants, changes } => {
                // A repeated mark has fewer participants than the first.
                marks.entry(transaction).or_insert(participants);
                if is_new && !changes.is_empty() {
                    store.apply(index, changes);
                }
            }
            Entry::Resolved { committed } => {
                let at = prepared
                    .iter()
                    .find(|(_, prepared)| prepared.transaction == transaction)
                    .map(|(at, _)| *at);
                if let Some(at) = at
                    && let Some(Prepared { changes, .. }) = prepared.remove(&at)
                    && committed
                    && is_new
                {
                    store.apply(index, changes);
                    in_memory.push((index, at));
                }
            }
            Entry::Expire { before } if is_new && expired.is_ok() => expired = store.expire(before),
            Entry::Changes(_) | Entry::Expire { .. } | Entry::Watermark => {}
        }
        if store.memtable_bytes() >= shared.options.memtable_bytes {
            store.freeze();
        }
    })?;
    expired?;
    let vnode = Vnode::new(shared.clone(), id, directory.to_path_buf(), store, options);
    Ok(Replayed {
        vnode: Arc::new(vnode),
        log,
        prepared,
        marks,
        in_memory,
        last_transaction,
    })
}

/// A vnode ready to serve.
pub(crate) struct Ready {
    pub vnode: Arc<Vnode>,
    pub writer: Writer,
}

impl Ready {
    /// A vnode that has just been made.
    pub fn fresh(replayed: Replayed) -> Ready {
        Ready {
            writer: Writer::new(replayed.vnode.clone(), replayed.log, Marks::new(), Vec::new()),
            vnode: replayed.vnode,
        }
    }
}

/// For each home that can be read its marks; for each that cannot, why not.
type Homes = BTreeMap<VnodeId, Result<BTreeSet<u64>, StorageError>>;

/// Decides what is prepared and undecided by the marks of the homes, on disk, and makes the vnodes ready. Those that cannot be opened keep
/// their error.
pub(crate) fn resolve(
    replayed: BTreeMap<VnodeId, Result<Replayed, StorageError>>,
) -> Result<BTreeMap<VnodeId, Result<Ready, StorageError>>, StorageError> {
    let mut homes: Homes = BTreeMap::new();
    for (id, result) in &replayed {
        let marks = match result {
            Ok(replayed) => Ok(replayed.marks.keys().copied().collect()),
            Err(error) => Err(super::same_error(error)),
        };
        homes.insert(*id, marks);
    }
    let mut closed: BTreeSet<VnodeId> = BTreeSet::new();
    let mut decided = BTreeMap::new();
    for (id, result) in replayed {
        let result = match result {
            Ok(replayed) => match decide(replayed, &homes) {
                Ok(replayed) => Ok(replayed),
                Err(error @ StorageError::Corrupt { .. }) => Err(error),
                Err(error) => return Err(error),
            },
            Err(error) => Err(error),
        };
        if result.is_err() {
            closed.insert(id);
        }
        decided.insert(id, result);
    }
    Ok(decided
        .into_iter()
        .map(|(id, result)| (id, result.map(|replayed| make_ready(replayed, &closed))))
        .collect())
}

/// Logs the outcome of each prepared transaction, syncs, and applies those that were committed, in the order they were prepared.
fn decide(mut replayed: Replayed, homes: &Homes) -> Result<Replayed, StorageError> {
    let prepared = std::mem::take(&mut replayed.prepared);
    let mut pending = Vec::with_capacity(prepared.len());
    let mut committed_changes = Vec::with_capacity(prepared.len());
    for (
        at,
        Prepared {
            transaction,
            home,
            changes,
        },
    ) in prepared
    {
        let committed = match homes.get(&home) {
            Some(Ok(marks)) => marks.contains(&transaction),
            Some(Err(error)) => return Err(super::same_error(error)),
            None => false, // dropped, which waited for the outcomes of those that were committed
        };
        pending.push(Pending {
            kind: Kind::Resolved,
            transaction,
            body: encode_resolved(committed),
        });
        committed_changes.push(committed.then_some((at, changes)));
    }
    let first = replayed.log.last_index() + 1;
    if !pending.is_empty() {
        replayed.log.append(&pending)?;
        replayed.log.sync()?;
    }
    for (index, changes) in (first..).zip(committed_changes) {
        if let Some((at, changes)) = changes {
            replayed.vnode.store.apply(index, changes);
            replayed.in_memory.push((index, at));
        }
    }
    Ok(replayed)
}

/// Every open vnode has its outcomes on disk now; marks are kept for the closed ones alone.
fn make_ready(replayed: Replayed, closed: &BTreeSet<VnodeId>) -> Ready {
    let mut marks = Marks::new();
    for (transaction, participants) in replayed.marks {
        let waiting: BTreeSet<VnodeId> = participants.into_iter().filter(|id| closed.contains(id)).collect();
        if !waiting.is_empty() {
            marks.insert(transaction, waiting);
        }
    }
    Ready {
        writer: Writer::new(replayed.vnode.clone(), replayed.log, marks, replayed.in_memory),
        vnode: replayed.vnode,
    }
}
