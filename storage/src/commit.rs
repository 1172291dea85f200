//! Transactions over several vnodes: all of them or none, whenever the power goes.
//!
//! A transaction has a *home*, the lowest of its vnodes; the others are its *participants*. A transaction over one vnode is one
//! record and one sync, and never comes here.
//!
//! ```text
//! home         Prepared (participants, changes) --sync--.                       .-- Commit (the mark), apply --.
//! participant  Prepared (home, changes)         --sync--+--> it is committed -->+-- Resolved, apply -----------+--> answer
//! participant  Prepared (home, changes)         --sync--'                       '-- Resolved, apply -----------'
//! ```
//!
//! 1. Each vnode logs and syncs its changes as prepared, all at the same time. They are not visible.
//! 2. When all have, the transaction is committed: nothing has to be written for that. If one could not, it is aborted.
//! 3. Each vnode logs the outcome, and its changes become visible at that record, so that a log alone says in which order
//!    things took effect. The answer goes out when everything is visible. These records wait for no sync of their own.
//!
//! **Recovery.** A participant that is prepared and has no outcome asks the log of its home. There is a mark: committed. The home is itself
//! prepared and has no outcome: committed exactly if each participant has the prepared record or a committed outcome. Anything else (nothing
//! there, an aborted outcome, no home: dropped): aborted. So the answer is the same whoever asks, and stays the same while one vnode
//! after the other logs and syncs the outcome, before it opens. If a log that must be asked is damaged, the outcome is unknown, and who asks
//! stays closed as well. A participant that was dropped is not asked: a vnode is dropped when the transactions that it was part of have ended
//! and the other logs are synced; only a damaged one goes without that.
//!
//! **A part that failed.** When its record is certainly not in the log (refused, no room, closed), the others are told to abort. When it may
//! be (its sync failed), nobody decides: recovery does, from what is on disk.
//!
//! **How long an outcome is kept.** A participant that has let its records go could not be told from one that never had them. So the home keeps
//! the mark while a participant's outcome may not be on disk, and a participant keeps its outcome while the mark may not be
//! ([`Settling`]): when a log begins a new segment it repeats what someone may still ask for, so that old segments can always go. A segment
//! with a prepared record stays until that is decided, and what it did is in data files.
//!
//! **`synchronous_commit = off`** makes no difference here. Were the syncs left out, the power could leave the outcome in one log
//! without the changes in another.
//!
//! **Looking before writing.** A part with [`crate::Conflict::Keep`] is decided when it is prepared and holds later work back until its
//! outcome. Two such transactions could wait for each other in two vnodes; so one that looks runs while no other transaction over
//! several vnodes does. And one over a single vnode waits until nothing is undecided there, with what came after it behind it: so parts go
//! into all queues in one order, and nobody waits in a circle ([`JointLock`]).
//!
//! Nothing here belongs to the caller's future: writers drive a transaction to its end even when the client has gone away, and none ends
//! while it is a member of a transaction under way ([`Member`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::{RwLock, oneshot};

use crate::vnode::queue::{Outcome, Work};
use crate::vnode::{Vnode, keeps};
use crate::wal::{encode_prepared, encode_prepared_home};
use crate::{Change, Committed, StorageError, VnodeId};

/// What transactions over several vnodes share.
#[derive(Default)]
pub(crate) struct JointLock {
    /// Shared by all; alone for one that looks at what is there. Held until the answer.
    pub running: Arc<RwLock<()>>,
    /// Held while the parts of one go into the queues, so that every queue has them in the same order.
    order: Mutex<()>,
}

/// A transaction over several vnodes under way. It ends when the last vnode has logged the outcome, or when that is left to recovery.
pub(crate) struct Joint {
    /// The home first.
    members: Vec<Member>,
    pub settling: Arc<Settling>,
    /// Held for a few lines.
    state: Mutex<State>,
}

/// Keeps a vnode's writer from ending.
pub(crate) struct Member(Arc<Vnode>);

impl Member {
    fn new(vnode: Arc<Vnode>) -> Result<Member, StorageError> {
        if vnode.queue.enter() {
            Ok(Member(vnode))
        } else {
            Err(vnode.gone())
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.queue.leave();
    }
}

/// Who has the outcome of a committed transaction on disk. Told by the writers, each of itself after a sync.
pub(crate) struct Settling {
    pub transaction: u64,
    pub home: VnodeId,
    pub participants: Vec<VnodeId>,
    home_has_it: AtomicBool,
    participants_have_it: Vec<AtomicBool>,
}

/// What a log has to repeat for those that may still ask.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Nothing,
    /// The mark, for these participants.
    Mark(Vec<VnodeId>),
    /// The participant's own outcome, for the home.
    Resolved,
}

impl Settling {
    pub fn new(transaction: u64, home: VnodeId, participants: Vec<VnodeId>) -> Settling {
        Settling {
            transaction,
            home,
            home_has_it: AtomicBool::new(false),
            participants_have_it: participants.iter().map(|_| AtomicBool::new(false)).collect(),
            participants,
        }
    }

    /// This vnode has synced its outcome.
    pub fn is_on_disk_of(&self, vnode: VnodeId) {
        if vnode == self.home {
            self.home_has_it.store(true, Ordering::Release);
        }
        for (participant, has_it) in self.participants.iter().zip(&self.participants_have_it) {
            if *participant == vnode {
                has_it.store(true, Ordering::Release);
            }
        }
    }

    /// What this vnode's log must still be able to say.
    pub fn asked_of(&self, vnode: VnodeId) -> Repeat {
        if vnode != self.home {
            return match self.home_has_it.load(Ordering::Acquire) {
                true => Repeat::Nothing,
                false => Repeat::Resolved,
            };
        }
        let both = self.participants.iter().zip(&self.participants_have_it);
        let waiting: Vec<VnodeId> = both
            .filter(|(_, has_it)| !has_it.load(Ordering::Acquire))
            .map(|(participant, _)| *participant)
            .collect();
        match waiting.is_empty() {
            true => Repeat::Nothing,
            false => Repeat::Mark(waiting),
        }
    }
}

struct State {
    /// Vnodes whose word is awaited: all preparing, then all applying.
    waiting: usize,
    /// Vnodes that have prepared.
    prepared: Vec<Arc<Vnode>>,
    error: Option<StorageError>,
    /// A vnode's record may be on disk or not.
    unknowable: bool,
    rows: u64,
    reply: Option<Answer>,
}

/// The one who waits, and the lock that is let go when he is answered.
struct Answer {
    sender: oneshot::Sender<Result<Committed, StorageError>>,
    _running: Box<dyn Send>,
}

impl Answer {
    fn send(self, result: Result<Committed, StorageError>) {
        let _ = self.sender.send(result); // nobody waits any more: fine
    }
}

/// Commits changes to two or more vnodes, given in ascending order.
pub(crate) async fn commit_jointly(
    lock: &JointLock,
    transaction: u64,
    changes: Vec<(Arc<Vnode>, Vec<Change>)>,
) -> Result<Committed, StorageError> {
    let ids: Vec<VnodeId> = changes.iter().map(|(vnode, _)| vnode.id).collect();
    let Some((home, participants)) = ids.split_first() else {
        return Ok(Committed::default());
    };
    let running: Box<dyn Send> = if changes.iter().any(|(_, changes)| keeps(changes)) {
        Box::new(lock.running.clone().write_owned().await)
    } else {
        Box::new(lock.running.clone().read_owned().await)
    };
    let mut parts = Vec::with_capacity(changes.len());
    // In ascending order, so that two transactions never wait for each other's room.
    for (vnode, changes) in changes {
        let part = vnode
            .admit(changes, |changes| match vnode.id == *home {
                true => encode_prepared_home(participants, changes),
                false => encode_prepared(*home, changes),
            })
            .await?;
        parts.push((vnode, part));
    }
    let members = parts.iter().map(|(vnode, _)| Member::new(vnode.clone()));
    let (reply, answer) = oneshot::channel();
    let joint = Arc::new(Joint {
        members: members.collect::<Result<_, _>>()?,
        settling: Arc::new(Settling::new(transaction, *home, participants.to_vec())),
        state: Mutex::new(State {
            waiting: parts.len(),
            prepared: Vec::with_capacity(parts.len()),
            error: None,
            unknowable: false,
            rows: 0,
            reply: Some(Answer {
                sender: reply,
                _running: running,
            }),
        }),
    });
    let gone = joint.members[0].0.clone();
    {
        let _in_order = lock.order.lock();
        for (vnode, part) in parts {
            if vnode.queue.push(Work::Prepare(part, joint.clone())).is_err() {
                joint.prepared(&vnode, Err(vnode.gone()));
            }
        }
        drop(joint);
    }
    answer.await.unwrap_or_else(|_| Err(gone.gone()))
}

impl Joint {
    pub fn transaction(&self) -> u64 {
        self.settling.transaction
    }

    /// A vnode has its changes on disk, or cannot.
    pub fn prepared(self: &Arc<Self>, vnode: &Arc<Vnode>, result: Result<u64, StorageError>) {
        let mut state = self.state.lock();
        state.waiting -= 1;
        match result {
            Ok(rows) => {
                state.rows += rows;
                state.prepared.push(vnode.clone());
            }
            Err(error) => {
                state.unknowable |= matches!(error, StorageError::Poisoned { .. });
                state.error.get_or_insert(error);
            }
        }
        if state.waiting > 0 {
            return;
        }
        state.waiting = self.members.len();
        let prepared = std::mem::take(&mut state.prepared);
        let (error, unknowable) = (state.error.take(), state.unknowable);
        drop(state);
        match error {
            None => self.decide(&prepared, Outcome::Committed),
            Some(error) => {
                if !unknowable {
                    self.decide(&prepared, Outcome::Aborted);
                }
                self.fail(error);
            }
        }
    }

    fn decide(self: &Arc<Self>, prepared: &[Arc<Vnode>], outcome: Outcome) {
        for vnode in prepared {
            if vnode.queue.push(Work::Resolve(self.clone(), outcome)).is_err() {
                self.resolved(outcome); // its writer broke down: recovery decides alike
            }
        }
    }

    /// Answers with an error, whatever became of the transaction.
    pub fn fail(&self, error: StorageError) {
        let reply = self.state.lock().reply.take();
        if let Some(reply) = reply {
            reply.send(Err(error));
        }
    }

    /// A vnode has logged the outcome and applied it.
    pub fn resolved(&self, outcome: Outcome) {
        if outcome == Outcome::Aborted {
            return; // answered when that was decided
        }
        let mut state = self.state.lock();
        state.waiting -= 1;
        if state.waiting > 0 {
            return;
        }
        let rows = state.rows;
        let reply = state.reply.take();
        drop(state);
        if let Some(reply) = reply {
            reply.send(Ok(Committed { rows }));
        }
    }
}
