//! The engine: every vnode of this server, opened together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use crate::commit::{JointLock, commit_jointly};
use crate::io::{FileLock, Io};
use crate::vnode::background::{Job, Takes};
use crate::vnode::queue::Work;
use crate::vnode::recovery::{self, Ready, Replayed};
use crate::vnode::{Shared, Vnode, rows_of, same_error};
use crate::{Change, Committed, StorageError, Transaction, VnodeId, VnodeStatistics, VnodeView};

/// What the whole engine is opened with.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// Holds `vnode/<id>/…`; made if missing.
    pub data_dir: PathBuf,
    /// A vnode's memtable is flushed when it holds this much.
    pub memtable_bytes: usize,
    /// Writers wait when all memtables together hold this much, and get [`StorageError::Overloaded`] after `overload_wait`.
    pub memtables_bytes_max: usize,
    pub overload_wait: Duration,
    pub wal_segment_bytes: u64,
}

/// Which of several rows for one (series, time) remains. A vnode's for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum UpdateMode {
    /// `UPDATE 0`: the first.
    KeepFirst,
    /// `UPDATE 1`: the last, whole.
    ReplaceRow,
    /// `UPDATE 2`: column by column the last that is not null.
    MergeColumns,
}

/// `COMP 0|1|2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Compression {
    None,
    Fast,
    High,
}

/// What a vnode is made with; kept in its directory.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VnodeOptions {
    /// Length of a file group in the database's time unit; groups are aligned to 1970. Fixed.
    pub group_span: i64,
    pub update: UpdateMode,
    pub compression: Compression,
    /// The memtable is flushed at least this often while it holds rows.
    pub flush_interval_ms: u64,
    pub block_rows_max: usize,
}

/// Threads that open vnodes at the start: decoding logs keeps one core busy each.
const OPENING_THREADS: usize = 2;

/// Every vnode of a data directory.
pub struct Storage {
    shared: Arc<Shared>,
    /// Held for a few lines. Taken alone by whoever makes or drops a vnode, together with `making`.
    slots: RwLock<BTreeMap<VnodeId, Slot>>,
    /// Held while a vnode is made, altered or dropped: one at a time.
    making: Mutex<()>,
    joint: JointLock,
    next_transaction: AtomicU64,
    background: Mutex<Vec<JoinHandle<()>>>,
    /// Keeps other servers out of the directory.
    _lock: FileLock,
}

/// What is behind a vnode's id.
enum Slot {
    Open(Arc<Vnode>, JoinHandle<()>),
    /// Its log or its files are damaged: it stays closed, the others work.
    Damaged(StorageError),
}

impl Storage {
    /// Opens every vnode found in `options.data_dir`, replaying their logs.
    pub fn open(options: StorageOptions, io: Arc<dyn Io>) -> Result<Storage, StorageError> {
        let data_dir = options.data_dir.clone();
        let vnodes_dir = data_dir.join("vnode");
        make_directories(&*io, &data_dir, &vnodes_dir)?;
        let lock = lock(&*io, &data_dir)?;
        let shared = Arc::new(Shared::new(io, options));
        let found = find_vnodes(&*shared.io, &vnodes_dir)?;
        let replayed = replay_all(&shared, found)?;
        let last_transaction = replayed
            .values()
            .flatten()
            .map(|replayed| replayed.last_transaction)
            .max()
            .unwrap_or_default();
        let ready = recovery::resolve(replayed)?;
        let storage = Storage {
            background: Mutex::new(start_background(&shared)?),
            slots: RwLock::new(BTreeMap::new()),
            making: Mutex::new(()),
            joint: JointLock::default(),
            next_transaction: AtomicU64::new(first_transaction(last_transaction)),
            _lock: lock,
            shared,
        };
        for (id, result) in ready {
            let slot = match result {
                Ok(ready) => start(ready)?,
                Err(error) => {
                    tracing::error!(vnode = id.0, %error, "a damaged vnode stays closed");
                    Slot::Damaged(error)
                }
            };
            storage.slots.write().insert(id, slot);
        }
        Ok(storage)
    }

    /// Makes a vnode; nothing happens when it is there already with equal options.
    pub fn create_vnode(&self, id: VnodeId, options: VnodeOptions) -> Result<(), StorageError> {
        let _one_at_a_time = self.making.lock();
        match self.vnode(id) {
            Ok(vnode) if *vnode.options.lock() == options => return Ok(()),
            Ok(_) => return Err(StorageError::Refused(format!("vnode {id} exists with other options"))),
            Err(StorageError::NoVnode { .. }) => {}
            Err(error) => return Err(error),
        }
        let io = &*self.shared.io;
        let parent = self.vnodes_dir();
        let directory = parent.join(id.to_string());
        remove_unfinished(io, &directory)?;
        io.create_dir_all(&directory).map_err(StorageError::io(&directory))?;
        recovery::write_options(io, &directory, &options)?;
        io.sync_dir(&parent).map_err(StorageError::io(&parent))?;
        let ready = Ready::fresh(recovery::replay(&self.shared, id, &directory)?);
        self.slots.write().insert(id, start(ready)?);
        Ok(())
    }

    /// Changes what may change of a vnode's options: update stays, group_span stays.
    pub fn alter_vnode(&self, id: VnodeId, options: VnodeOptions) -> Result<(), StorageError> {
        let _one_at_a_time = self.making.lock();
        let vnode = self.vnode(id)?;
        let old = vnode.options.lock().clone();
        if options.group_span != old.group_span || options.update != old.update {
            return Err(StorageError::Refused(format!(
                "the length of file groups and the update mode of vnode {id} are fixed"
            )));
        }
        recovery::write_options(&*self.shared.io, &vnode.directory, &options)?;
        vnode.store.set_options(options.clone());
        *vnode.options.lock() = options;
        Ok(())
    }

    /// Removes a vnode and its directory. Views taken before stay readable.
    pub fn drop_vnode(&self, id: VnodeId) -> Result<(), StorageError> {
        let _one_at_a_time = self.making.lock();
        let slot = self
            .slots
            .write()
            .remove(&id)
            .ok_or(StorageError::NoVnode { vnode: id })?;
        if let Slot::Open(vnode, thread) = slot {
            vnode.close();
            let _ = thread.join(); // a panic there was told by the panic hook
            self.settle()?;
            vnode.dropped.store(true, Ordering::Release);
            drop((vnode.flushing.lock(), vnode.compacting.lock())); // what goes on there has ended
            vnode.forget_memory();
        }
        let io = &*self.shared.io;
        let parent = self.vnodes_dir();
        let (directory, dropped) = (parent.join(id.to_string()), parent.join(format!("{id}.dropped")));
        io.rename(&directory, &dropped).map_err(StorageError::io(&directory))?;
        io.sync_dir(&parent).map_err(StorageError::io(&parent))?;
        io.remove_dir_all(&dropped).map_err(StorageError::io(&dropped))
    }

    /// Waits until all logs are on disk: with a vnode that goes, nobody must have to ask it about a transaction.
    fn settle(&self) -> Result<(), StorageError> {
        let slots = self.slots.read();
        let open = slots.values().filter_map(|slot| match slot {
            Slot::Open(vnode, _) => Some(vnode.clone()),
            Slot::Damaged(_) => None,
        });
        let others: Vec<Arc<Vnode>> = open.collect();
        drop(slots);
        let (done, wait) = mpsc::channel();
        for vnode in others {
            let _ = vnode.queue.push(Work::Sync(done.clone())); // one that has ended has synced
        }
        drop(done);
        let _ = wait.recv(); // closing the channel is the answer
        match self.shared.poisoned() {
            Some(vnode) => Err(StorageError::Poisoned { vnode }),
            None => Ok(()),
        }
    }

    /// All vnodes, those included that are closed because of damage.
    pub fn vnodes(&self) -> Vec<VnodeId> {
        self.slots.read().keys().copied().collect()
    }

    /// Makes a transaction durable, then visible, then returns.
    ///
    /// Goes on to its end when the returned future is dropped. Needs a tokio runtime with time.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, StorageError> {
        let mut changes = Vec::with_capacity(transaction.changes.len());
        for (id, mut steps) in transaction.changes {
            steps.retain(|change| !matches!(change, Change::Rows(rows) if rows.is_empty()));
            if !steps.is_empty() {
                changes.push((self.vnode(id)?, steps));
            }
        }
        let writes_rows = changes.iter().any(|(_, steps)| rows_of(steps) > 0);
        if writes_rows && self.shared.is_overloaded() {
            self.wait_for_room(changes[0].0.id).await?;
        }
        if writes_rows {
            changes
                .iter()
                .try_for_each(|(_, steps)| self.shared.take_space(steps))
                // Rows take less room in files than in memory and in the log.
                .inspect_err(|_| self.flush_largest())?;
        }
        if changes.len() > 1 {
            let number = self.next_transaction.fetch_add(1, Ordering::Relaxed);
            return commit_jointly(&self.joint, number, changes).await;
        }
        match changes.pop() {
            None => Ok(Committed::default()),
            Some((vnode, steps)) => vnode.commit(steps, transaction.durability).await,
        }
    }

    async fn wait_for_room(&self, vnode: VnodeId) -> Result<(), StorageError> {
        let waiting = async {
            loop {
                let room = self.shared.room.notified();
                if !self.shared.is_overloaded() {
                    return;
                }
                self.flush_largest();
                room.await;
            }
        };
        tokio::time::timeout(self.shared.options.overload_wait, waiting)
            .await
            .map_err(|_| StorageError::Overloaded { vnode })
    }

    /// Memory is short: the vnode that holds most of it writes it out, busy or not.
    fn flush_largest(&self) {
        let slots = self.slots.read();
        let open = slots.values().filter_map(|slot| match slot {
            Slot::Open(vnode, _) => Some(vnode),
            Slot::Damaged(_) => None,
        });
        let largest = open.max_by_key(|vnode| vnode.store.memtable_bytes()).cloned();
        drop(slots);
        if let Some(vnode) = largest
            && vnode.store.memtable_bytes() > 0
        {
            let _ = vnode.queue.push(Work::Flush(None)); // closing: its memory is about to go anyway
        }
    }

    /// What is visible in a vnode now.
    pub fn view(&self, id: VnodeId) -> Result<VnodeView, StorageError> {
        Ok(self.vnode(id)?.store.view())
    }

    /// Writes the memtables of these vnodes into data files; returns when they are on disk.
    pub async fn flush(&self, vnodes: &[VnodeId]) -> Result<(), StorageError> {
        let mut answers = Vec::with_capacity(vnodes.len());
        for id in vnodes {
            let vnode = self.vnode(*id)?;
            let (reply, answer) = oneshot::channel();
            vnode.queue.push(Work::Flush(Some(reply))).map_err(|_| vnode.gone())?;
            answers.push((vnode, answer));
        }
        for (vnode, answer) in answers {
            answer.await.unwrap_or_else(|_| Err(vnode.gone()))?;
        }
        Ok(())
    }

    /// Merges overlapping data files, applying deletes and duplicates; returns when done.
    pub async fn compact(&self, vnodes: &[VnodeId]) -> Result<(), StorageError> {
        let mut answers = Vec::with_capacity(vnodes.len());
        for id in vnodes {
            let vnode = self.vnode(*id)?;
            let (reply, answer) = oneshot::channel();
            self.shared.background.push(Job::CompactAll(vnode.clone(), reply));
            answers.push((vnode, answer));
        }
        for (vnode, answer) in answers {
            answer.await.unwrap_or_else(|_| Err(vnode.gone()))?;
        }
        Ok(())
    }

    /// Removes the file groups of a vnode that end before `before`.
    pub async fn expire(&self, id: VnodeId, before: i64) -> Result<(), StorageError> {
        let vnode = self.vnode(id)?;
        let (reply, answer) = oneshot::channel();
        vnode
            .queue
            .push(Work::Expire { before, reply })
            .map_err(|_| vnode.gone())?;
        answer.await.unwrap_or_else(|_| Err(vnode.gone()))
    }

    pub fn statistics(&self, id: VnodeId) -> Result<VnodeStatistics, StorageError> {
        let vnode = self.vnode(id)?;
        let mut statistics = vnode.store.statistics();
        statistics.wal_bytes = vnode.wal_bytes.load(Ordering::Relaxed);
        Ok(statistics)
    }

    /// The first vnode whose log could not be synced. The server stops then: what the disk holds is known only after a restart.
    pub fn poisoned(&self) -> Option<VnodeId> {
        self.shared.poisoned()
    }

    /// Calls `tell` once, from a thread of storage, when a vnode is poisoned; at once if one is already.
    pub fn on_poisoned(&self, tell: impl Fn(VnodeId) + Send + Sync + 'static) {
        self.shared.on_poisoned(Box::new(tell));
    }

    /// Stops background work and syncs the logs. Does not flush: the next start replays.
    ///
    /// Commits under way are finished first. Afterwards every call that needs a vnode answers that there is none.
    pub async fn close(&self) -> Result<(), StorageError> {
        // Transactions over several vnodes end before any of their vnodes does.
        let _none_under_way = self.joint.running.write().await;
        self.stop();
        match self.shared.poisoned() {
            Some(vnode) => Err(StorageError::Poisoned { vnode }),
            None => Ok(()),
        }
    }

    fn stop(&self) {
        let slots = std::mem::take(&mut *self.slots.write());
        self.shared.background.stop();
        let mut writers = Vec::new();
        for slot in slots.into_values() {
            if let Slot::Open(vnode, thread) = slot {
                vnode.close();
                writers.push(thread);
            }
        }
        for thread in writers {
            let _ = thread.join(); // a panic there was told by the panic hook
        }
        for thread in std::mem::take(&mut *self.background.lock()) {
            let _ = thread.join();
        }
    }

    fn vnode(&self, id: VnodeId) -> Result<Arc<Vnode>, StorageError> {
        match self.slots.read().get(&id) {
            Some(Slot::Open(vnode, _)) => Ok(vnode.clone()),
            Some(Slot::Damaged(error)) => Err(same_error(error)),
            None => Err(StorageError::NoVnode { vnode: id }),
        }
    }

    fn vnodes_dir(&self) -> PathBuf {
        self.shared.options.data_dir.join("vnode")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.stop();
    }
}

fn make_directories(io: &dyn Io, data_dir: &Path, vnodes_dir: &Path) -> Result<(), StorageError> {
    if io.exists(vnodes_dir) {
        return Ok(());
    }
    io.create_dir_all(vnodes_dir).map_err(StorageError::io(vnodes_dir))?;
    for directory in [data_dir.parent(), Some(data_dir)].into_iter().flatten() {
        if !directory.as_os_str().is_empty() {
            io.sync_dir(directory).map_err(StorageError::io(directory))?;
        }
    }
    Ok(())
}

fn lock(io: &dyn Io, data_dir: &Path) -> Result<FileLock, StorageError> {
    let path = data_dir.join("LOCK");
    io.lock(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => StorageError::Refused(format!(
            "data directory {} is in use by another server",
            data_dir.display()
        )),
        _ => StorageError::Io { file: path, source },
    })
}

/// Directories of vnodes; what an interrupted making or dropping left is removed.
fn find_vnodes(io: &dyn Io, vnodes_dir: &Path) -> Result<Vec<(VnodeId, PathBuf)>, StorageError> {
    let mut found = Vec::new();
    for path in io.read_dir(vnodes_dir).map_err(StorageError::io(vnodes_dir))? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name.parse() {
            Ok(id) if recovery::is_made(io, &path) => found.push((VnodeId(id), path)),
            Ok(_) => remove_unfinished(io, &path)?,
            Err(_) if name.ends_with(".dropped") => io.remove_dir_all(&path).map_err(StorageError::io(&path))?,
            Err(_) => tracing::warn!(path = %path.display(), "not a vnode; left alone"),
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a vnode directory whose making was interrupted: its options are written before anything else.
fn remove_unfinished(io: &dyn Io, directory: &Path) -> Result<(), StorageError> {
    if !io.exists(directory) {
        return Ok(());
    }
    if io.exists(&directory.join("wal")) || io.exists(&directory.join("MANIFEST")) {
        return Err(StorageError::Corrupt {
            file: directory.join("vnode.json"),
            offset: 0,
            expected: "the options of a vnode that has a log",
        });
    }
    io.remove_dir_all(directory).map_err(StorageError::io(directory))
}

type AllReplayed = BTreeMap<VnodeId, Result<Replayed, StorageError>>;

/// Replays all logs. Damage closes the vnode it is in; any other trouble stops the start.
fn replay_all(shared: &Arc<Shared>, found: Vec<(VnodeId, PathBuf)>) -> Result<AllReplayed, StorageError> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..OPENING_THREADS.min(found.len()) {
            scope.spawn(|| {
                while let Some((id, directory)) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let replayed = recovery::replay(shared, *id, directory);
                    results.lock().insert(*id, replayed);
                }
            });
        }
    });
    let results = results.into_inner();
    for result in results.values() {
        if let Err(error) = result
            && !matches!(error, StorageError::Corrupt { .. })
        {
            return Err(same_error(error));
        }
    }
    Ok(results)
}

/// Above all that any log has, those included that cannot be read: the clock tells those apart.
fn first_transaction(last_seen: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default().max(last_seen + 1)
}

fn start(ready: Ready) -> Result<Slot, StorageError> {
    let Ready { vnode, writer } = ready;
    let thread = thread::Builder::new()
        .name(format!("vnode-{}", vnode.id))
        .spawn(move || writer.run())
        .map_err(StorageError::io(&vnode.directory))?;
    Ok(Slot::Open(vnode, thread))
}

fn start_background(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, StorageError> {
    [Takes::Flushes, Takes::Everything]
        .into_iter()
        .map(|takes| {
            let shared = shared.clone();
            thread::Builder::new()
                .name("vnode-background".to_string())
                .spawn(move || shared.background.work(takes))
                .map_err(StorageError::io("background thread"))
        })
        .collect()
}

#[cfg(test)]
mod tests;
