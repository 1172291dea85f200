//! Transactions over several vnodes: all of them or none, whenever the power goes.
//!
//! A transaction has a *home*, the lowest of its vnodes; the others are its *participants*. A transaction over one vnode is one
//! record and one sync, and never comes here.
//!
//! ```text
//! participant   Prepared (its changes) --sync--.                            .-- Resolved, apply ----------.
//! participant   Prepared (its changes) --sync--+--> home: Commit --sync-->--+-- Resolved, apply ----------+--> answer
//! home                                         '    (the mark, and the home's own changes), apply --------'
//! ```
//!
//! 1. Each participant logs and syncs its changes as prepared. They are not visible.
//! 2. When all have, the home logs the mark. From its sync on the transaction is committed; before it, it is not.
//! 3. Each participant logs the outcome, and its changes become visible at that record, so that a log alone says in which order
//!    things took effect. The answer goes out when everything is visible.
//!
//! **Recovery.** A prepared record without an outcome asks the log of its home: with a mark it is committed, without one (or
//! without a home: dropped) it is aborted; the outcome is logged and synced before the vnode opens. If the home's log is damaged the outcome is
//! unknown, and the participant stays closed as well.
//!
//! **How long a mark is kept.** The home remembers which participants have not reported their outcome as synced; when its log begins a
//! new segment it repeats the marks that someone may still need, so that old segments can always go. A segment with a prepared record stays
//! until that is decided.
//!
//! **`synchronous_commit = off`** makes no difference here. Were the syncs left out, the power could leave a mark without the changes it
//! stands for, or an outcome without its mark.
//!
//! **Looking before writing.** A part with [`crate::Conflict::Keep`] is decided when it is prepared and holds later work back until its
//! outcome. Two such transactions could wait for each other in two vnodes; so one that looks runs while no other transaction over
//! several vnodes does ([`JointLock`]).
//!
//! Nothing here belongs to the caller's future: writers drive a transaction to its end even when the client has gone away.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{RwLock, oneshot};

use crate::vnode::queue::{Outcome, Work};
use crate::vnode::{Part, Vnode, keeps};
use crate::wal::{encode_commit, encode_prepared};
use crate::{Change, Committed, StorageError, VnodeId};

/// Shared by transactions over several vnodes; alone for one that looks at what is there. Held until the answer.
pub(crate) type JointLock = Arc<RwLock<()>>;

/// A transaction over several vnodes under way.
pub(crate) struct Joint {
    pub transaction: u64,
    pub home: Arc<Vnode>,
    participants: Vec<Arc<Vnode>>,
    /// Held for a few lines.
    state: Mutex<State>,
}

struct State {
    /// Vnodes whose word is awaited: participants preparing, then everybody applying.
    waiting: usize,
    /// Participants that have prepared.
    prepared: Vec<Arc<Vnode>>,
    error: Option<StorageError>,
    rows: u64,
    home_part: Option<Part>,
    reply: Option<Answer>,
}

/// The one who waits, and the lock that is let go when he is answered.
struct Answer {
    sender: oneshot::Sender<Result<Committed, StorageError>>,
    _lock: Box<dyn Send>,
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
    let Some((home_id, participant_ids)) = ids.split_first() else {
        return Ok(Committed::default());
    };
    let lock: Box<dyn Send> = if changes.iter().any(|(_, changes)| keeps(changes)) {
        Box::new(lock.clone().write_owned().await)
    } else {
        Box::new(lock.clone().read_owned().await)
    };
    let mut parts = Vec::with_capacity(changes.len());
    // In ascending order, so that two transactions never wait for each other's room.
    for (vnode, changes) in changes {
        let part = if vnode.id == *home_id {
            vnode
                .admit(changes, |changes| encode_commit(participant_ids, changes))
                .await?
        } else {
            vnode
                .admit(changes, |changes| encode_prepared(*home_id, changes))
                .await?
        };
        parts.push((vnode, part));
    }
    let (home, home_part) = parts.remove(0);
    let (reply, answer) = oneshot::channel();
    let joint = Arc::new(Joint {
        transaction,
        participants: parts.iter().map(|(vnode, _)| vnode.clone()).collect(),
        state: Mutex::new(State {
            waiting: parts.len(),
            prepared: Vec::new(),
            error: None,
            rows: 0,
            home_part: Some(home_part),
            reply: Some(Answer {
                sender: reply,
                _lock: lock,
            }),
        }),
        home,
    });
    for (vnode, part) in parts {
        if vnode.queue.push(Work::Prepare(part, joint.clone())).is_err() {
            joint.prepared(&vnode, Err(vnode.gone()));
        }
    }
    let gone = joint.home.clone();
    drop(joint);
    answer.await.unwrap_or_else(|_| Err(gone.gone()))
}

impl Joint {
    pub fn participant_ids(&self) -> Vec<VnodeId> {
        self.participants.iter().map(|vnode| vnode.id).collect()
    }

    /// A participant has its changes on disk, or cannot.
    pub fn prepared(self: &Arc<Self>, vnode: &Arc<Vnode>, result: Result<u64, StorageError>) {
        let mut state = self.state.lock();
        state.waiting -= 1;
        match result {
            Ok(rows) => {
                state.rows += rows;
                state.prepared.push(vnode.clone());
            }
            Err(error) => {
                state.error.get_or_insert(error);
            }
        }
        if state.waiting > 0 {
            return;
        }
        let error = state.error.take();
        drop(state);
        match error {
            Some(error) => self.abort(error),
            None => {
                if self.home.queue.push(Work::Mark(self.clone())).is_err() {
                    self.abort(self.home.gone());
                }
            }
        }
    }

    /// The home's own changes, for its writer to log with the mark.
    pub fn take_home_part(&self) -> Option<Part> {
        self.state.lock().home_part.take()
    }

    /// There is no mark and never will be: participants forget the changes.
    pub fn abort(self: &Arc<Self>, error: StorageError) {
        let prepared = std::mem::take(&mut self.state.lock().prepared);
        for vnode in prepared {
            // A vnode that has ended finds no mark when it starts again.
            let _ = vnode.queue.push(Work::Resolve(self.clone(), Outcome::Aborted));
        }
        self.fail(error);
    }

    /// Answers with an error, whatever became of the transaction.
    pub fn fail(&self, error: StorageError) {
        let reply = self.state.lock().reply.take();
        if let Some(reply) = reply {
            reply.send(Err(error));
        }
    }

    /// The home has the mark in its log and its own changes are visible.
    pub fn marked(self: &Arc<Self>, rows: u64) {
        {
            let mut state = self.state.lock();
            state.rows += rows;
            state.waiting = self.participants.len();
        }
        for vnode in &self.participants {
            if vnode
                .queue
                .push(Work::Resolve(self.clone(), Outcome::Committed))
                .is_err()
            {
                self.resolved(Outcome::Committed); // dropped meanwhile; or it asks for the mark when it starts again
            }
        }
    }

    /// A participant has logged the outcome and applied it.
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

    /// A participant has the outcome on disk.
    pub fn closed(&self, participant: VnodeId) {
        // A home that has ended finds out by itself when it starts again.
        let _ = self.home.queue.push(Work::Closed(self.transaction, participant));
    }
}
