//! Two threads for the flushes and compactions of all vnodes, so that hundreds of vnodes are not hundreds of busy threads.
//!
//! One thread takes flushes alone: memory must come free whatever is being compacted. The other takes a flush when one waits,
//! else one step of a compaction; a vnode with more to compact goes to the end of the line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::Vnode;
use super::queue::Work;
use crate::StorageError;

/// Something to do beside the writers.
pub(crate) enum Job {
    /// Write the frozen memtables of this vnode; they end at log record `up_to`.
    Flush { vnode: Arc<Vnode>, up_to: u64 },
    /// One step of merging data files, if there is one worth it.
    Compact(Arc<Vnode>),
    /// Merge each file group into one file.
    CompactAll(Arc<Vnode>, oneshot::Sender<Result<(), StorageError>>),
}

#[derive(Default)]
pub(crate) struct Background {
    /// Held for a few lines.
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Default)]
struct Jobs {
    flushes: VecDeque<Job>,
    compactions: VecDeque<Job>,
    stopped: bool,
}

/// Which jobs a thread takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Flushes,
    Everything,
}

impl Background {
    pub fn push(&self, job: Job) {
        let mut jobs = self.jobs.lock();
        if jobs.stopped {
            return; // whoever waits for an answer sees its channel close
        }
        match job {
            Job::Flush { .. } => jobs.flushes.push_back(job),
            Job::Compact(_) | Job::CompactAll(..) => jobs.compactions.push_back(job),
        }
        drop(jobs);
        self.changed.notify_all();
    }

    /// Lets the threads end after what they are doing.
    pub fn stop(&self) {
        let mut jobs = self.jobs.lock();
        jobs.stopped = true;
        let dropped = (std::mem::take(&mut jobs.flushes), std::mem::take(&mut jobs.compactions));
        drop(jobs);
        drop(dropped);
        self.changed.notify_all();
    }

    /// What a background thread does until the end.
    pub fn work(&self, takes: Takes) {
        while let Some(job) = self.next(takes) {
            match job {
                Job::Flush { vnode, up_to } => self.flush(vnode, up_to),
                Job::Compact(vnode) => self.compact(vnode),
                Job::CompactAll(vnode, reply) => {
                    let result = {
                        let _one_at_a_time = vnode.compacting.lock();
                        vnode.store.compact_all()
                    };
                    let _ = reply.send(result); // nobody waits any more: fine
                }
            }
        }
    }

    fn next(&self, takes: Takes) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        loop {
            if jobs.stopped {
                return None;
            }
            if let Some(job) = jobs.flushes.pop_front() {
                return Some(job);
            }
            if takes == Takes::Everything
                && let Some(job) = jobs.compactions.pop_front()
            {
                return Some(job);
            }
            self.changed.wait(&mut jobs);
        }
    }

    fn flush(&self, vnode: Arc<Vnode>, up_to: u64) {
        let result = {
            let _one_at_a_time = vnode.flushing.lock();
            if vnode.dropped.load(Ordering::Acquire) {
                return;
            }
            vnode.store.flush_frozen().map(|_| ())
        };
        let flushed = result.is_ok();
        let _ = vnode.queue.push(Work::Flushed { up_to, result }); // a writer that has ended purges at the next start
        if flushed {
            self.push(Job::Compact(vnode));
        }
    }

    fn compact(&self, vnode: Arc<Vnode>) {
        let result = {
            let Some(_one_at_a_time) = vnode.compacting.try_lock() else {
                return;
            };
            if vnode.dropped.load(Ordering::Acquire) {
                return;
            }
            vnode.store.compact_once(vnode.pace())
        };
        match result {
            Ok(true) => self.push(Job::Compact(vnode)),
            Ok(false) => {}
            // Tried again after the next flush.
            Err(error) => tracing::warn!(vnode = vnode.id.0, %error, "compaction failed"),
        }
    }
}
