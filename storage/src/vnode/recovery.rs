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

use super::writer::{Kept, Writer};
use super::{Shared, Vnode};
use crate::io::Io;
use crate::store::VnodeStore;
use crate::wal::{Entry, Kind, Log, Pending, encode_commit, encode_resolved};
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
    role: Role,
    changes: Vec<Change>,
}

/// What a vnode is in a transaction over several.
#[derive(Clone)]
enum Role {
    Home { participants: Vec<VnodeId> },
    Participant { home: VnodeId },
}

/// A vnode whose log is replayed, before others have said what became of its prepared transactions.
pub(crate) struct Replayed {
    vnode: Arc<Vnode>,
    log: Log,
    /// By the index of their records.
    prepared: BTreeMap<u64, Prepared>,
    /// Marks in its log, with their participants.
    marks: BTreeMap<u64, Vec<VnodeId>>,
    /// Committed outcomes in its log of transactions that it took part in, with their home where the prepared record is there, too.
    committed: BTreeMap<u64, Option<VnodeId>>,
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
    let mut committed_here = BTreeMap::new();
    let mut in_memory = Vec::new();
    let mut last_transaction = 0;
    let mut expired = Ok(());
    let segment_bytes = shared.options.wal_segment_bytes;
    let log = Log::open(io, directory.join("wal"), id, segment_bytes, flushed, &mut |record| {
        let (index, transaction) = (record.index, record.transaction);
        last_transaction = last_transaction.max(transaction);
        let is_new = index > flushed;
        let in_role = |role, changes| Prepared {
            transaction,
            role,
            changes,
        };
        // Takes effect at this record: what was prepared, if it was.
        let mut take_effect = |prepared: Option<(u64, Prepared)>| {
            if let Some((at, Prepared { changes, .. })) = prepared
                && is_new
            {
                store.apply(index, changes);
                in_memory.push((index, at));
            }
        };
        match record.entry {
            Entry::Changes(changes) if is_new => store.apply(index, changes),
            Entry::Prepared { home, changes } => {
                prepared.insert(index, in_role(Role::Participant { home }, changes));
            }
            Entry::PreparedHome { participants, changes } => {
                prepared.insert(index, in_role(Role::Home { participants }, changes));
            }
            Entry::Commit { participants, changes } => {
                // A repeated mark has fewer participants than the first.
                marks.entry(transaction).or_insert(participants);
                take_effect(take(&mut prepared, transaction));
                if is_new && !changes.is_empty() {
                    store.apply(index, changes); // a log of version 1
                }
            }
            Entry::Resolved { committed } => {
                let one = take(&mut prepared, transaction);
                if committed {
                    let home = one.as_ref().and_then(|(_, one)| match one.role {
                        Role::Participant { home } => Some(home),
                        Role::Home { .. } => None,
                    });
                    committed_here.entry(transaction).or_insert(home);
                    take_effect(one);
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
        committed: committed_here,
        in_memory,
        last_transaction,
    })
}

/// The prepared record of a transaction, which is decided now.
fn take(prepared: &mut BTreeMap<u64, Prepared>, transaction: u64) -> Option<(u64, Prepared)> {
    let (at, _) = prepared.iter().find(|(_, one)| one.transaction == transaction)?;
    let at = *at;
    prepared.remove(&at).map(|one| (at, one))
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
            writer: Writer::new(replayed.vnode.clone(), replayed.log, Kept::default(), Vec::new()),
            vnode: replayed.vnode,
        }
    }
}

/// What the log of a vnode says to others that ask.
#[derive(Default)]
struct Known {
    /// Committed, as their home.
    marks: BTreeSet<u64>,
    /// Prepared as their home, without an outcome, with their participants.
    prepared_home: BTreeMap<u64, Vec<VnodeId>>,
    /// Committed, as a participant.
    committed: BTreeSet<u64>,
    /// Prepared as a participant, without an outcome.
    prepared: BTreeSet<u64>,
}

impl Known {
    fn of(replayed: &Replayed) -> Known {
        let mut known = Known {
            marks: replayed.marks.keys().copied().collect(),
            committed: replayed.committed.keys().copied().collect(),
            ..Known::default()
        };
        for one in replayed.prepared.values() {
            match &one.role {
                Role::Home { participants } => {
                    known.prepared_home.insert(one.transaction, participants.clone());
                }
                Role::Participant { .. } => {
                    known.prepared.insert(one.transaction);
                }
            }
        }
        known
    }
}

/// What each vnode's log says; of each that cannot be read, why not. Those dropped are not in it.
struct Logs(BTreeMap<VnodeId, Result<Known, StorageError>>);

impl Logs {
    /// Whether a transaction with this home is committed. An error when a damaged log has to say.
    fn is_committed(&self, transaction: u64, home: VnodeId) -> Result<bool, StorageError> {
        let known = match self.0.get(&home) {
            Some(Ok(known)) => known,
            Some(Err(error)) => return Err(super::same_error(error)),
            None => return Ok(false), // dropped, which waited for the outcomes of those that were committed
        };
        if known.marks.contains(&transaction) {
            return Ok(true);
        }
        match known.prepared_home.get(&transaction) {
            Some(participants) => self.all_have_it(transaction, participants),
            None => Ok(false),
        }
    }

    /// Whether all participants of a transaction that its home has prepared have done so, too.
    fn all_have_it(&self, transaction: u64, participants: &[VnodeId]) -> Result<bool, StorageError> {
        let mut damaged = None;
        let mut lacking = false;
        for participant in participants {
            match self.0.get(participant) {
                // One that has the outcome knows.
                Some(Ok(known)) if known.committed.contains(&transaction) => return Ok(true),
                Some(Ok(known)) => lacking |= !known.prepared.contains(&transaction),
                Some(Err(error)) => damaged = Some(error),
                None => {} // dropped: see `commit.rs`
            }
        }
        match damaged {
            _ if lacking => Ok(false),
            Some(error) => Err(super::same_error(error)),
            None => Ok(true),
        }
    }
}

/// Decides what is prepared and undecided by what all logs say, on disk, and makes the vnodes ready. Those that cannot be opened keep
/// their error.
pub(crate) fn resolve(
    replayed: BTreeMap<VnodeId, Result<Replayed, StorageError>>,
) -> Result<BTreeMap<VnodeId, Result<Ready, StorageError>>, StorageError> {
    let logs = replayed.iter().map(|(id, result)| {
        let known = match result {
            Ok(replayed) => Ok(Known::of(replayed)),
            Err(error) => Err(super::same_error(error)),
        };
        (*id, known)
    });
    let logs = Logs(logs.collect());
    let mut closed: BTreeSet<VnodeId> = BTreeSet::new();
    let mut decided = BTreeMap::new();
    for (id, result) in replayed {
        let result = match result {
            Ok(replayed) => match decide(replayed, &logs) {
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
fn decide(mut replayed: Replayed, logs: &Logs) -> Result<Replayed, StorageError> {
    let own = replayed.vnode.id;
    let mut pending = Vec::with_capacity(replayed.prepared.len());
    let mut outcomes = Vec::with_capacity(replayed.prepared.len());
    for one in replayed.prepared.values() {
        let (home, participants) = match &one.role {
            Role::Home { participants } => (own, Some(participants)),
            Role::Participant { home } => (*home, None),
        };
        let committed = logs.is_committed(one.transaction, home)?;
        let (kind, body) = match participants {
            Some(participants) if committed => (Kind::Commit, encode_commit(participants)),
            _ => (Kind::Resolved, encode_resolved(committed)),
        };
        pending.push(Pending {
            kind,
            transaction: one.transaction,
            body,
        });
        outcomes.push(committed);
    }
    let first = replayed.log.last_index() + 1;
    if !pending.is_empty() {
        replayed.log.append(&pending)?;
        replayed.log.sync()?;
    }
    let prepared = std::mem::take(&mut replayed.prepared);
    for ((index, committed), (at, one)) in (first..).zip(outcomes).zip(prepared) {
        if !committed {
            continue;
        }
        match one.role {
            Role::Home { participants } => {
                replayed.marks.insert(one.transaction, participants);
            }
            Role::Participant { home } => {
                replayed.committed.insert(one.transaction, Some(home));
            }
        }
        replayed.vnode.store.apply(index, one.changes);
        replayed.in_memory.push((index, at));
    }
    Ok(replayed)
}

/// Every open vnode has its outcomes on disk now; those that closed ones may ask for are kept.
fn make_ready(replayed: Replayed, closed: &BTreeSet<VnodeId>) -> Ready {
    let mut kept = Kept::default();
    for (transaction, participants) in replayed.marks {
        let waiting: BTreeSet<VnodeId> = participants.into_iter().filter(|id| closed.contains(id)).collect();
        if !waiting.is_empty() {
            kept.marks.insert(transaction, waiting);
        }
    }
    for (transaction, home) in replayed.committed {
        let may_ask = match home {
            Some(home) => closed.contains(&home),
            None => !closed.is_empty(), // repeated for a home that was closed before
        };
        if may_ask {
            kept.committed.insert(transaction);
        }
    }
    Ready {
        writer: Writer::new(replayed.vnode.clone(), replayed.log, kept, replayed.in_memory),
        vnode: replayed.vnode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What three logs say about transaction 5, whose home is the first: `mark`, `prepared`, `committed`, `nothing`, `damaged`, `dropped`.
    fn verdict(home: &str, participants: [&str; 2]) -> &'static str {
        let mut logs = BTreeMap::new();
        let ids = [VnodeId(2), VnodeId(3)];
        for (id, says) in [(VnodeId(1), home), (ids[0], participants[0]), (ids[1], participants[1])] {
            let mut known = Known::default();
            match (says, id) {
                ("mark", _) => drop(known.marks.insert(5)),
                ("prepared", VnodeId(1)) => drop(known.prepared_home.insert(5, ids.to_vec())),
                ("prepared", _) => drop(known.prepared.insert(5)),
                ("committed", _) => drop(known.committed.insert(5)),
                ("nothing", _) => {}
                ("damaged", _) => {
                    logs.insert(id, Err(StorageError::Poisoned { vnode: id }));
                    continue;
                }
                ("dropped", _) => continue,
                other => panic!("{other:?}"),
            }
            logs.insert(id, Ok(known));
        }
        match Logs(logs).is_committed(5, VnodeId(1)) {
            Ok(true) => "committed",
            Ok(false) => "aborted",
            Err(_) => "unknown",
        }
    }

    #[test]
    fn what_became_of_a_transaction_follows_from_all_logs() {
        for (home, participants, expected) in [
            ("mark", ["prepared", "prepared"], "committed"),
            ("mark", ["damaged", "nothing"], "committed"),
            ("prepared", ["prepared", "prepared"], "committed"),
            ("prepared", ["prepared", "committed"], "committed"),
            ("prepared", ["committed", "damaged"], "committed"),
            ("prepared", ["damaged", "committed"], "committed"),
            ("prepared", ["prepared", "nothing"], "aborted"),
            ("prepared", ["nothing", "damaged"], "aborted"),
            ("prepared", ["damaged", "nothing"], "aborted"),
            ("prepared", ["prepared", "damaged"], "unknown"),
            ("prepared", ["prepared", "dropped"], "committed"),
            ("prepared", ["dropped", "nothing"], "aborted"),
            ("nothing", ["prepared", "prepared"], "aborted"),
            ("dropped", ["prepared", "prepared"], "aborted"),
            ("damaged", ["prepared", "prepared"], "unknown"),
        ] {
            assert_eq!(verdict(home, participants), expected, "{home} {participants:?}");
        }
    }
}
