//! The writer of a vnode: the one thread that changes its log and its store.
//!
//! ```text
//! take what waits -> append it as one write -> sync once, if anyone wants it -> apply in log order -> answer
//! ```
//!
//! Promises: nothing is answered or visible before its record is in the log (on disk, or with the kernel where that was asked
//! for). What applying a record does follows from the records alone. A full disk refuses a group whole and nothing of it stays in
//! the log; the next group tries again. After a failed sync nothing is ever written again.
//!
//! Timers, all kept by this thread: bytes that nobody wanted synced are synced within [`SYNC_WITHIN`]; a log that falls idle gets a
//! watermark; an old memtable is flushed; a failed flush is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::background::Job;
use super::queue::{Outcome, Taken, Undecided, Work};
use super::{Commit, Part, Vnode, changes_record, rows_of, same_error};
use crate::commit::{Joint, Repeat, Settling};
use crate::wal::{
    Kind, Log, Pending, encode_changes, encode_commit, encode_expire, encode_prepared, encode_prepared_home,
    encode_resolved,
};
use crate::{Change, Committed, Conflict, Durability, StorageError, VnodeId};

/// Longest that acknowledged bytes stay with the kernel alone: what `synchronous_commit = off` may lose.
const SYNC_WITHIN: Duration = Duration::from_millis(200);

/// A log that got no record for this long gets a watermark, so that its last records are known to have been on disk.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// A flush or append that failed is tried again after this: a full disk takes a person to clear, so more often would be noise.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// While transactions are undecided, how often to see whether their home can still decide them: never again, once a sync failed somewhere.
const DECIDED_WITHIN: Duration = Duration::from_millis(50);

/// A transaction prepared here whose outcome is not in the log.
struct Prepared {
    transaction: u64,
    changes: Vec<Change>,
    /// It looked at what was there, so nothing may change that until it is decided.
    keeps: bool,
    outcome: Option<(Arc<Joint>, Outcome)>,
}

/// Outcomes that closed vnodes may ask for when they can be opened again.
#[derive(Default)]
pub(crate) struct Kept {
    /// The participants of transactions that have their mark here.
    pub marks: BTreeMap<u64, BTreeSet<VnodeId>>,
    /// Committed transactions that this vnode took part in.
    pub committed: BTreeSet<u64>,
}

/// Transactions whose outcome may still be asked for are looked through when there are twice as many as there were after the last time, or
/// this many: of a busy vnode those of its last moments, some hundred.
const SETTLING_MIN: usize = 1024;

type Reply<T> = oneshot::Sender<Result<T, StorageError>>;

pub(crate) struct Writer {
    vnode: Arc<Vnode>,
    log: Log,
    /// By the index of their records, which have to stay in the log. Outcomes are logged in this order: those that the power takes away
    /// again are decided anew in this order, and must not end up differently.
    prepared: BTreeMap<u64, Prepared>,
    /// Outcomes whose changes are in memory only: their index, and that of the prepared record, which has the changes.
    in_memory: Vec<(u64, u64)>,
    kept: Kept,
    /// Committed transactions whose outcome here some other vnode may still ask for.
    settling: Vec<Arc<Settling>>,
    /// When there are so many, those that nobody asks for any more are forgotten.
    settling_max: usize,
    /// Committed outcomes in the log that no sync covers yet, with their index.
    unsynced_outcomes: Vec<(u64, Arc<Settling>)>,
    /// Outcomes that found no room in the log wait until then.
    delayed_until: Option<Instant>,
    dirty_since: Option<Instant>,
    last_append: Instant,
    /// When the oldest row came into the memtable.
    memtable_since: Option<Instant>,
    flush: Flush,
}

/// The flush of frozen memtables that is going on, if one is.
#[derive(Default)]
struct Flush {
    running: bool,
    /// Everything up to this index is frozen; `None` when nothing is left to flush.
    up_to: Option<u64>,
    waiting: Vec<(u64, Reply<()>)>,
    retry_at: Option<Instant>,
}

/// What becomes of a record once it is in the log.
enum Step {
    Apply {
        changes: Vec<Change>,
        reply: Reply<Committed>,
    },
    Prepare {
        keeps: bool,
        changes: Vec<Change>,
        joint: Arc<Joint>,
    },
    Resolve {
        prepared: u64,
        outcome: Outcome,
        joint: Arc<Joint>,
    },
    Expire {
        before: i64,
        reply: Reply<()>,
    },
}

/// Records that go into the log together.
#[derive(Default)]
struct Group {
    pending: Vec<Pending>,
    steps: Vec<Step>,
    /// Someone waits for the disk.
    sync: bool,
    /// Room in the queue, given back when the group is done.
    permits: Vec<OwnedSemaphorePermit>,
}

impl Group {
    fn push(&mut self, kind: Kind, transaction: u64, body: Vec<u8>, step: Step) {
        self.pending.push(Pending {
            kind,
            transaction,
            body,
        });
        self.steps.push(step);
    }

    /// The outcomes of transactions, and all the rest.
    fn split(self) -> (Group, Vec<Step>) {
        let mut outcomes = Group {
            permits: self.permits,
            ..Group::default()
        };
        let mut rest = Vec::new();
        for (pending, step) in self.pending.into_iter().zip(self.steps) {
            match step {
                Step::Resolve { .. } => outcomes.push(pending.kind, pending.transaction, pending.body, step),
                step => rest.push(step),
            }
        }
        (outcomes, rest)
    }

    /// Changes that will be visible when the group is.
    fn changes(&self) -> Vec<Change> {
        let mut all = Vec::new();
        for step in &self.steps {
            match step {
                Step::Apply { changes, .. } => all.extend_from_slice(changes),
                Step::Prepare { .. } | Step::Resolve { .. } | Step::Expire { .. } => {}
            }
        }
        all
    }
}

/// However the thread ends: nobody is left waiting.
struct Ending(Arc<Vnode>);

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison();
        }
        self.0.close();
        self.0.queue.stop();
    }
}

impl Writer {
    pub fn new(vnode: Arc<Vnode>, log: Log, kept: Kept, in_memory: Vec<(u64, u64)>) -> Writer {
        let now = Instant::now();
        Writer {
            log,
            prepared: BTreeMap::new(),
            in_memory,
            kept,
            settling: Vec::new(),
            settling_max: SETTLING_MIN,
            unsynced_outcomes: Vec::new(),
            delayed_until: None,
            dirty_since: None,
            last_append: now,
            memtable_since: Some(now), // what recovery replayed; an empty memtable is seen when the timer fires
            flush: Flush::default(),
            vnode,
        }
    }

    /// Serves the vnode until its queue is closed.
    pub fn run(mut self) {
        let _ending = Ending(self.vnode.clone());
        if self.vnode.store.frozen_bytes() > 0 {
            let _ = self.begin_flush(); // told, and tried again
        }
        loop {
            let Taken { works, end } = self.vnode.queue.take(self.undecided(), self.deadline());
            if end {
                break;
            }
            self.serve(works);
            self.keep_time();
            self.count();
        }
        if !self.log.is_poisoned() {
            let _ = self.sync(); // told by the poison, if it fails
        }
        self.count();
    }

    fn count(&self) {
        self.vnode.count_memory();
        self.vnode.wal_bytes.store(self.log.bytes(), Ordering::Relaxed);
    }

    fn undecided(&self) -> Undecided {
        if self.log.is_poisoned() || self.prepared.is_empty() || self.vnode.shared.poisoned().is_some() {
            Undecided::Nothing
        } else if self.prepared.values().any(|prepared| prepared.keeps) {
            Undecided::Keeping
        } else {
            Undecided::Some
        }
    }

    // ---- groups ----

    fn serve(&mut self, works: Vec<Work>) {
        let mut group = Group::default();
        let mut flushes = Vec::new();
        let mut syncs = Vec::new();
        // Outcomes never come while another vnode's sync has failed: then nothing can be known of what is there.
        let unknowable = !self.prepared.is_empty() && self.vnode.shared.poisoned().is_some();
        for work in works {
            match work {
                Work::Commit(commit) if unknowable => {
                    let _ = commit.reply.send(Err(self.vnode.gone()));
                }
                Work::Commit(commit) => self.take_commit(commit, &mut group),
                Work::Prepare(_, joint) if unknowable => joint.prepared(&self.vnode, Err(self.vnode.gone())),
                Work::Prepare(part, joint) => self.take_prepare(part, joint, &mut group),
                Work::Resolve(joint, outcome) => self.take_outcome(joint, outcome),
                Work::Expire { before, reply } => {
                    group.sync = true;
                    group.push(Kind::Expire, 0, encode_expire(before), Step::Expire { before, reply });
                }
                Work::Flush(reply) => flushes.push(reply),
                Work::Flushed { up_to, result } => self.flushed(up_to, result),
                Work::Sync(done) => syncs.push(done),
            }
        }
        self.push_outcomes(&mut group);
        self.finish(group);
        self.give_up_waiting();
        for reply in flushes {
            self.flush_for(reply);
        }
        self.sync_for(syncs);
    }

    fn take_commit(&mut self, commit: Commit, group: &mut Group) {
        let Commit {
            part,
            durability,
            reply,
        } = commit;
        match self.look(part, group, encode_changes) {
            Err(error) => {
                let _ = reply.send(Err(error));
            }
            Ok((changes, body)) => {
                group.sync |= durability == Durability::Disk;
                let record = changes_record(body);
                group.push(record.kind, 0, record.body, Step::Apply { changes, reply });
            }
        }
    }

    fn take_prepare(&mut self, part: Part, joint: Arc<Joint>, group: &mut Group) {
        let settling = joint.settling.clone();
        let (is_home, keeps) = (settling.home == self.vnode.id, part.keeps());
        let encode = |changes: &[Change]| match is_home {
            true => encode_prepared_home(&settling.participants, changes),
            false => encode_prepared(settling.home, changes),
        };
        match self.look(part, group, encode) {
            Err(error) => joint.prepared(&self.vnode, Err(error)),
            Ok((changes, body)) => {
                group.sync = true; // whatever was asked for: the transaction is committed when all parts are on disk
                let kind = if is_home { Kind::PreparedHome } else { Kind::Prepared };
                let step = Step::Prepare { keeps, changes, joint };
                group.push(kind, settling.transaction, body, step);
            }
        }
    }

    fn take_outcome(&mut self, joint: Arc<Joint>, outcome: Outcome) {
        let mut prepared = self.prepared.values_mut();
        if let Some(prepared) = prepared.find(|prepared| prepared.transaction == joint.transaction()) {
            prepared.outcome = Some((joint, outcome));
        }
    }

    /// Records of the outcomes that are known, up to the first transaction that is still undecided.
    fn push_outcomes(&mut self, group: &mut Group) {
        if self.delayed_until.is_some() {
            return;
        }
        for (index, prepared) in &self.prepared {
            let Some((joint, outcome)) = prepared.outcome.clone() else {
                return;
            };
            let settling = &joint.settling;
            let (kind, body) = match outcome == Outcome::Committed && settling.home == self.vnode.id {
                true => (Kind::Commit, encode_commit(&settling.participants)),
                false => (Kind::Resolved, encode_resolved(outcome == Outcome::Committed)),
            };
            let step = Step::Resolve {
                prepared: *index,
                outcome,
                joint,
            };
            group.push(kind, prepared.transaction, body, step);
        }
    }

    /// Outcomes wait for those of earlier transactions, which do not come when a vnode is poisoned: the next start decides.
    fn give_up_waiting(&mut self) {
        if self.vnode.shared.poisoned().is_none() {
            return;
        }
        for prepared in self.prepared.values_mut() {
            if let Some((joint, _)) = prepared.outcome.take() {
                joint.fail(self.vnode.gone());
            }
        }
    }

    /// Leaves out rows that are there already where that was asked for, and makes the record's body.
    fn look(
        &self,
        part: Part,
        group: &mut Group,
        encode: impl FnOnce(&[Change]) -> Result<Vec<u8>, StorageError>,
    ) -> Result<(Vec<Change>, Vec<u8>), StorageError> {
        group.permits.extend(part.permit);
        if let Some(body) = part.body {
            return Ok((part.changes, body));
        }
        let mut all = group.changes();
        let before = all.len();
        for change in part.changes {
            match change {
                Change::Rows(rows) if rows.conflict == Conflict::Keep => {
                    let absent = self.vnode.store.absent(&rows, &all)?;
                    if !absent.is_empty() {
                        all.push(Change::Rows(absent));
                    }
                }
                other => all.push(other),
            }
        }
        let changes = all.split_off(before);
        let body = encode(&changes)?;
        Ok((changes, body))
    }

    /// Makes a group durable, then visible, then answers.
    fn finish(&mut self, group: Group) {
        if group.steps.is_empty() {
            return;
        }
        let first = self.log.last_index() + 1;
        if let Err(error) = self.log.append(&group.pending) {
            self.refuse(group, &error);
            return;
        }
        self.last_append = Instant::now();
        self.dirty_since.get_or_insert(self.last_append);
        if group.sync
            && let Err(error) = self.sync()
        {
            self.fail(group.steps, &error);
            return;
        }
        for (index, step) in (first..).zip(group.steps) {
            self.apply(index, step);
        }
        self.flush_if_large();
    }

    fn apply(&mut self, index: u64, step: Step) {
        match step {
            Step::Apply { changes, reply } => {
                let rows = rows_of(&changes);
                self.change(index, changes);
                let _ = reply.send(Ok(Committed { rows }));
            }
            Step::Prepare { keeps, changes, joint } => {
                let rows = rows_of(&changes);
                let transaction = joint.transaction();
                self.prepared.insert(
                    index,
                    Prepared {
                        transaction,
                        changes,
                        keeps,
                        outcome: None,
                    },
                );
                joint.prepared(&self.vnode, Ok(rows));
            }
            Step::Resolve {
                prepared: at,
                outcome,
                joint,
            } => {
                if let Some(prepared) = self.prepared.remove(&at)
                    && outcome == Outcome::Committed
                {
                    self.change(index, prepared.changes);
                    self.in_memory.push((index, at));
                }
                if outcome == Outcome::Committed {
                    self.unsynced_outcomes.push((index, joint.settling.clone()));
                    self.settle(joint.settling.clone());
                }
                joint.resolved(outcome);
            }
            Step::Expire { before, reply } => {
                let _ = reply.send(self.vnode.store.expire(before));
            }
        }
    }

    fn settle(&mut self, settling: Arc<Settling>) {
        if self.settling.len() >= self.settling_max {
            self.forget_settled();
        }
        self.settling.push(settling);
    }

    fn forget_settled(&mut self) {
        let id = self.vnode.id;
        self.settling
            .retain(|settling| settling.asked_of(id) != Repeat::Nothing);
        self.settling_max = (self.settling.len() * 2).max(SETTLING_MIN);
    }

    fn change(&mut self, index: u64, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.vnode.store.apply(index, changes);
            self.memtable_since.get_or_insert_with(Instant::now);
        }
    }

    /// Answers a group that did not get into the log. Outcomes are tried without the rest, which may have been too large; room for
    /// them is kept.
    fn refuse(&mut self, group: Group, error: &StorageError) {
        if self.log.is_poisoned() {
            return self.fail(group.steps, error);
        }
        let (outcomes, rest) = group.split();
        if rest.is_empty() {
            match error {
                // Decided already: they only have to be written down, and are still known.
                StorageError::Full { .. } => self.delayed_until = Some(Instant::now() + RETRY_AFTER),
                // The next start decides them anew.
                _ => {
                    self.log.give_up(error);
                    self.fail(outcomes.steps, error);
                }
            }
        } else {
            self.fail(rest, error);
            self.finish(outcomes);
        }
    }

    /// Answers a group that did not get into the log, or not onto the disk.
    fn fail(&mut self, steps: Vec<Step>, error: &StorageError) {
        if self.log.is_poisoned() {
            self.vnode.poison();
        }
        for step in steps {
            match step {
                Step::Apply { reply, .. } => {
                    let _ = reply.send(Err(same_error(error)));
                }
                Step::Expire { reply, .. } => {
                    let _ = reply.send(Err(same_error(error)));
                }
                Step::Prepare { joint, .. } => joint.prepared(&self.vnode, Err(same_error(error))),
                Step::Resolve { joint, .. } => joint.fail(same_error(error)),
            }
        }
    }

    /// Syncs the log, and says of transactions that their outcome is on disk now.
    fn sync(&mut self) -> Result<(), StorageError> {
        if self.log.sync().is_err() {
            return Err(self.vnode.poison());
        }
        self.dirty_since = None;
        let durable = self.log.durable_index();
        let id = self.vnode.id;
        self.unsynced_outcomes.retain(|(index, settling)| {
            if *index <= durable {
                settling.is_on_disk_of(id);
            }
            *index > durable
        });
        Ok(())
    }

    fn sync_for(&mut self, waiting: Vec<mpsc::Sender<()>>) {
        if !waiting.is_empty() && !self.log.is_poisoned() {
            let _ = self.sync(); // told by the poison, if it fails
        }
        drop(waiting); // closing the channel is the answer
    }

    // ---- flushing ----

    fn flush_if_large(&mut self) {
        let shared = &self.vnode.shared;
        let own = self.vnode.store.memtable_bytes();
        // When all memtables together come near their bound, the larger ones go early.
        let tight = shared.memory_bytes.load(Ordering::Relaxed) > shared.options.memtables_bytes_max / 4 * 3
            && own > shared.options.memtable_bytes / 8;
        let wanted = own >= shared.options.memtable_bytes || tight || self.vnode.store.wants_flush();
        if wanted && self.flush.retry_at.is_none() {
            let _ = self.begin_flush(); // told, and tried again
        }
    }

    fn flush_for(&mut self, reply: Option<Reply<()>>) {
        let result = self.begin_flush();
        let Some(reply) = reply else { return };
        match (result, self.flush.up_to) {
            (Err(error), _) => {
                let _ = reply.send(Err(error));
            }
            (Ok(()), None) => {
                let _ = reply.send(Ok(()));
            }
            (Ok(()), Some(up_to)) => self.flush.waiting.push((up_to, reply)),
        }
    }

    /// Begins a new segment, sets the memtable aside, and lets a background thread write it.
    fn begin_flush(&mut self) -> Result<(), StorageError> {
        self.flush.retry_at = None;
        if let Err(error) = self.try_begin_flush() {
            if self.log.is_poisoned() {
                return Err(self.vnode.poison());
            }
            tracing::warn!(vnode = self.vnode.id.0, %error, "cannot begin a flush; trying again");
            self.flush.retry_at = Some(Instant::now() + RETRY_AFTER);
            return Err(error);
        }
        Ok(())
    }

    fn try_begin_flush(&mut self) -> Result<(), StorageError> {
        let up_to = self.log.last_index();
        self.sync()?;
        self.log.roll()?;
        self.repeat_outcomes()?;
        self.memtable_since = None;
        if up_to > self.vnode.store.flushed_index() {
            // Records that changed nothing count as flushed too, so that their segments can go.
            self.vnode.store.apply(up_to, Vec::new());
        }
        let frozen = self.vnode.store.freeze();
        if frozen || self.vnode.store.frozen_bytes() > 0 {
            self.flush.up_to = Some(up_to);
            self.submit_flush();
        } else {
            self.flush.up_to = None;
            self.purge(up_to);
        }
        Ok(())
    }

    /// Outcomes that some other vnode may still ask for move to the new segment, so that the old ones can go.
    fn repeat_outcomes(&mut self) -> Result<(), StorageError> {
        self.forget_settled();
        let mark = |transaction: u64, participants: &[VnodeId]| Pending {
            kind: Kind::Commit,
            transaction,
            body: encode_commit(participants),
        };
        let resolved = |transaction: u64| Pending {
            kind: Kind::Resolved,
            transaction,
            body: encode_resolved(true),
        };
        let mut pending = Vec::with_capacity(self.settling.len());
        for (transaction, participants) in &self.kept.marks {
            let participants: Vec<VnodeId> = participants.iter().copied().collect();
            pending.push(mark(*transaction, &participants));
        }
        pending.extend(self.kept.committed.iter().map(|transaction| resolved(*transaction)));
        for settling in &self.settling {
            match settling.asked_of(self.vnode.id) {
                Repeat::Nothing => {}
                Repeat::Mark(participants) => pending.push(mark(settling.transaction, &participants)),
                Repeat::Resolved => pending.push(resolved(settling.transaction)),
            }
        }
        if pending.is_empty() {
            return Ok(());
        }
        self.log.append(&pending)?;
        self.sync()
    }

    fn submit_flush(&mut self) {
        if let Some(up_to) = self.flush.up_to
            && !self.flush.running
        {
            self.flush.running = true;
            let vnode = self.vnode.clone();
            self.vnode.shared.background.push(Job::Flush { vnode, up_to });
        }
    }

    fn flushed(&mut self, up_to: u64, result: Result<(), StorageError>) {
        self.flush.running = false;
        match result {
            Ok(()) => {
                if self.flush.up_to.is_some_and(|last| last <= up_to) {
                    self.flush.up_to = None;
                }
                self.submit_flush(); // what was frozen meanwhile
                self.purge(up_to);
                for (wanted, reply) in mem::take(&mut self.flush.waiting) {
                    if wanted <= up_to {
                        let _ = reply.send(Ok(()));
                    } else {
                        self.flush.waiting.push((wanted, reply));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(vnode = self.vnode.id.0, %error, "flush failed; its rows stay in memory and in the log");
                self.flush.retry_at = Some(Instant::now() + RETRY_AFTER);
                for (_, reply) in mem::take(&mut self.flush.waiting) {
                    let _ = reply.send(Err(same_error(&error)));
                }
            }
        }
    }

    /// Lets go of log segments whose records are in data files. Prepared records stay until their outcome is, too.
    fn purge(&mut self, up_to: u64) {
        self.in_memory.retain(|(outcome, _)| *outcome > up_to);
        let undecided = self.prepared.keys();
        let needed = self.in_memory.iter().map(|(_, prepared)| prepared).chain(undecided);
        let up_to = needed.min().map_or(up_to, |oldest| up_to.min(oldest - 1));
        match self.log.purge_prefix(up_to) {
            Ok(()) => {}
            Err(_) if self.log.is_poisoned() => {
                self.vnode.poison();
            }
            // The next flush tries again.
            Err(error) => tracing::warn!(vnode = self.vnode.id.0, %error, "cannot remove flushed log segments"),
        }
    }

    // ---- time ----

    /// When something is due even if no work comes.
    fn deadline(&self) -> Option<Instant> {
        if self.log.is_poisoned() {
            return None;
        }
        let undecided = (!self.prepared.is_empty()).then(|| Instant::now() + DECIDED_WITHIN);
        let watermark = self.log.wants_watermark().then(|| self.last_append + IDLE_AFTER);
        [
            self.dirty_since.map(|since| since + SYNC_WITHIN),
            watermark,
            self.flush_due(),
            self.flush.retry_at,
            self.delayed_until,
            undecided,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the memtable is old enough; never while a failed flush waits to be tried again.
    fn flush_due(&self) -> Option<Instant> {
        if self.flush.retry_at.is_some() {
            return None;
        }
        let interval = Duration::from_millis(self.vnode.options.lock().flush_interval_ms.max(1));
        self.memtable_since.and_then(|since| since.checked_add(interval))
    }

    fn keep_time(&mut self) {
        if self.log.is_poisoned() {
            return;
        }
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.dirty_since.map(|since| since + SYNC_WITHIN)) && self.sync().is_err() {
            return;
        }
        if due(self.delayed_until) {
            self.delayed_until = None;
            let mut group = Group::default();
            self.push_outcomes(&mut group);
            self.finish(group);
        }
        if self.log.wants_watermark() && now >= self.last_append + IDLE_AFTER {
            self.watermark();
        }
        if due(self.flush.retry_at) || due(self.flush_due()) {
            let _ = self.begin_flush(); // told, and tried again
        }
    }

    fn watermark(&mut self) {
        self.last_append = Instant::now();
        let pending = Pending {
            kind: Kind::Watermark,
            transaction: 0,
            body: Vec::new(),
        };
        match self.log.append(&[pending]) {
            Ok(()) => {
                let _ = self.sync(); // told by the poison, if it fails
            }
            Err(_) if self.log.is_poisoned() => {
                self.vnode.poison();
            }
            Err(error) => tracing::debug!(vnode = self.vnode.id.0, %error, "no room for a watermark yet"),
        }
    }
}
