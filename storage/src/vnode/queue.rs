//! What waits for a vnode's writer.
//!
//! Two lines: new work, and urgent work that ends what was begun (outcomes of transactions, finished flushes). New work is bounded
//! by the permits of `vnode.rs`; urgent work by the new work it belongs to.
//!
//! **Looking before writing.** A commit with [`crate::Conflict::Keep`] depends on which rows are there. While a transaction is
//! prepared and undecided that is not known. So such a commit waits until nothing is undecided, and while it is itself undecided
//! (being one of several vnodes' parts) other new work waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Commit, Part};
use crate::StorageError;
use crate::commit::Joint;

/// One thing for the writer to do.
pub(crate) enum Work {
    // New work.
    Commit(Commit),
    /// A part of a transaction over several vnodes.
    Prepare(Part, Arc<Joint>),
    Expire {
        before: i64,
        reply: oneshot::Sender<Result<(), StorageError>>,
    },
    Flush(Option<oneshot::Sender<Result<(), StorageError>>>),

    // Urgent work.
    /// The transaction that was prepared here is decided.
    Resolve(Arc<Joint>, Outcome),
    /// The background threads are done with the frozen memtables.
    Flushed {
        up_to: u64,
        result: Result<(), StorageError>,
    },
    /// Sync whatever was done so far, and say so.
    Sync(mpsc::Sender<()>),
}

/// How a transaction over several vnodes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    Aborted,
}

impl Work {
    fn is_urgent(&self) -> bool {
        match self {
            Work::Commit(_) | Work::Prepare(..) | Work::Expire { .. } | Work::Flush(_) => false,
            Work::Resolve(..) | Work::Flushed { .. } | Work::Sync(_) => true,
        }
    }

    fn keeps(&self) -> bool {
        match self {
            Work::Commit(commit) => commit.part.keeps(),
            Work::Prepare(part, _) => part.keeps(),
            _ => false,
        }
    }
}

/// What the writer has prepared and not yet resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecided {
    Nothing,
    /// Transactions that did not look at what was there.
    Some,
    /// One that did: new work waits for it.
    Keeping,
}

#[derive(Default)]
pub(crate) struct Queue {
    /// Held for a few lines.
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    new: VecDeque<Work>,
    urgent: VecDeque<Work>,
    /// Transactions over several vnodes under way that this vnode is part of: their work is taken to the end.
    joints: usize,
    closed: bool,
    stopped: bool,
}

/// What the writer gets.
pub(crate) struct Taken {
    pub works: Vec<Work>,
    /// Nothing more will come.
    pub end: bool,
}

impl Queue {
    /// Adds work; gives it back when the writer takes none of its kind any more.
    pub fn push(&self, work: Work) -> Result<(), Box<Work>> {
        let mut lines = self.lines.lock();
        // A part of a transaction was let in by `enter`.
        let is_let_in = work.is_urgent() || matches!(work, Work::Prepare(..)) || !lines.closed;
        if lines.stopped || !is_let_in {
            return Err(Box::new(work));
        }
        if work.is_urgent() {
            lines.urgent.push_back(work);
        } else {
            lines.new.push_back(work);
        }
        drop(lines);
        self.changed.notify_one();
        Ok(())
    }

    /// A transaction over several vnodes begins to be under way here, unless the queue is closed. Until it leaves the writer does not end.
    pub fn enter(&self) -> bool {
        let mut lines = self.lines.lock();
        if !lines.closed {
            lines.joints += 1;
        }
        !lines.closed
    }

    /// Such a transaction has ended.
    pub fn leave(&self) {
        let mut lines = self.lines.lock();
        lines.joints -= 1;
        let may_end = lines.closed && lines.joints == 0;
        drop(lines);
        if may_end {
            self.changed.notify_one();
        }
    }

    /// No new work from now on; what waits and what was let in is still done, then [`Taken::end`].
    pub fn close(&self) {
        self.lines.lock().closed = true;
        self.changed.notify_one();
    }

    /// Nothing is taken any more. What still waits is dropped, which answers it.
    pub fn stop(&self) {
        let mut lines = self.lines.lock();
        lines.closed = true;
        lines.stopped = true;
        let dropped = (std::mem::take(&mut lines.new), std::mem::take(&mut lines.urgent));
        drop(lines);
        drop(dropped);
    }

    /// Waits for work, or for the deadline.
    pub fn take(&self, undecided: Undecided, deadline: Option<Instant>) -> Taken {
        let mut lines = self.lines.lock();
        loop {
            let works = lines.take(undecided);
            if !works.is_empty() {
                return Taken { works, end: false };
            }
            if lines.closed && lines.joints == 0 && lines.new.is_empty() {
                lines.stopped = true;
                return Taken { works, end: true };
            }
            match deadline {
                None => self.changed.wait(&mut lines),
                Some(deadline) => {
                    if self.changed.wait_until(&mut lines, deadline).timed_out() {
                        return Taken {
                            works: lines.take(undecided),
                            end: false,
                        };
                    }
                }
            }
        }
    }
}

impl Lines {
    fn take(&mut self, mut undecided: Undecided) -> Vec<Work> {
        let mut works: Vec<Work> = self.urgent.drain(..).collect();
        while undecided != Undecided::Keeping
            && let Some(work) = self.new.front()
        {
            if work.keeps() && undecided == Undecided::Some {
                break;
            }
            undecided = match work {
                Work::Prepare(part, _) if part.keeps() => Undecided::Keeping,
                Work::Prepare(..) => Undecided::Some,
                _ => undecided,
            };
            works.extend(self.new.pop_front());
        }
        works
    }
}
