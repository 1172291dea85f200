//! The whole of storage against power cuts, kills, failing calls, full disks and damage.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};

use super::{Compression, Storage, StorageOptions, UpdateMode, VnodeOptions};
use crate::io::simulated::Failure;
use crate::io::{Io, RealIo, SimulatedIo};
use crate::{
    Change, ColumnId, Conflict, Direction, Durability, FamilyId, Rows, ScanColumn, ScanRequest, SeriesSet,
    StorageError, TimeRange, Transaction, VnodeId,
};

/// Transactions over several vnodes.
mod joint;

const FAMILY: FamilyId = FamilyId(1);
const VALUE: ColumnId = ColumnId(1);

fn options(data_dir: &Path) -> StorageOptions {
    StorageOptions {
        data_dir: data_dir.to_path_buf(),
        memtable_bytes: 16 << 20,
        memtables_bytes_max: 64 << 20,
        overload_wait: Duration::from_millis(20),
        wal_segment_bytes: 256 << 10,
    }
}

fn vnode_options() -> VnodeOptions {
    VnodeOptions {
        group_span: 1_000_000,
        update: UpdateMode::MergeColumns,
        compression: Compression::Fast,
        flush_interval_ms: 3_600_000,
        block_rows_max: 4096,
    }
}

fn open(io: &SimulatedIo) -> Storage {
    Storage::open(options(Path::new("/data")), Arc::new(io.clone())).unwrap()
}

fn fresh(vnodes: u32) -> (SimulatedIo, Storage) {
    let io = SimulatedIo::new();
    let storage = open(&io);
    for id in 1..=vnodes {
        storage.create_vnode(VnodeId(id), vnode_options()).unwrap();
    }
    (io, storage)
}

/// Rows of (series, time, value).
fn rows(of: &[(u32, i64, i64)], conflict: Conflict) -> Change {
    let value: ArrayRef = Arc::new(Int64Array::from_iter_values(of.iter().map(|row| row.2)));
    Change::Rows(Rows {
        family: FAMILY,
        series: of.iter().map(|row| row.0).collect::<Vec<_>>().into(),
        times: of.iter().map(|row| row.1).collect::<Vec<_>>().into(),
        columns: vec![(VALUE, value)],
        conflict,
    })
}

fn one(vnode: u32, change: Change) -> Transaction {
    Transaction {
        changes: BTreeMap::from([(VnodeId(vnode), vec![change])]),
        durability: Durability::Disk,
    }
}

/// One row into each of these vnodes.
fn across(vnodes: &[u32], series: u32, time: i64, value: i64) -> Transaction {
    let changes = vnodes
        .iter()
        .map(|id| (VnodeId(*id), vec![rows(&[(series, time, value)], Conflict::ByVnode)]))
        .collect();
    Transaction {
        changes,
        durability: Durability::Disk,
    }
}

/// Everything in a vnode: (series, time) -> value.
fn scan(storage: &Storage, vnode: u32) -> BTreeMap<(u32, i64), i64> {
    let request = ScanRequest {
        family: FAMILY,
        series: SeriesSet::All,
        time: TimeRange::ALL,
        columns: vec![ScanColumn {
            id: VALUE,
            data_type: DataType::Int64,
        }],
        bounds: Vec::new(),
        direction: Direction::Ascending,
        limit_per_series: None,
        batch_rows: 1000,
    };
    let mut found = BTreeMap::new();
    for batch in storage.view(VnodeId(vnode)).unwrap().scan(&request).unwrap() {
        let batch = batch.unwrap();
        let values = batch.columns[0].as_primitive::<Int64Type>();
        let mut at = 0;
        for run in &batch.runs {
            for _ in 0..run.rows {
                found.insert((run.series.0, batch.times[at]), values.value(at));
                at += 1;
            }
        }
    }
    found
}

#[tokio::test]
async fn what_is_committed_is_visible_and_survives_a_restart() {
    let (io, storage) = fresh(1);
    let change = rows(&[(0, 10, 1), (1, 10, 2)], Conflict::ByVnode);
    assert_eq!(storage.commit(one(1, change)).await.unwrap().rows, 2);
    let expected = BTreeMap::from([((0, 10), 1), ((1, 10), 2)]);
    assert_eq!(scan(&storage, 1), expected);
    storage.close().await.unwrap();
    assert!(matches!(storage.view(VnodeId(1)), Err(StorageError::NoVnode { .. })));
    drop(storage);
    let io = io.power_cut(1);
    let storage = open(&io);
    assert_eq!(scan(&storage, 1), expected);
    // Recovery that is interrupted begins again.
    drop(storage);
    assert_eq!(scan(&open(&io.power_cut(2)), 1), expected);
}

#[tokio::test]
async fn a_flush_moves_rows_into_files_and_lets_the_log_go() {
    let (io, storage) = fresh(1);
    for time in 0..200 {
        let of: Vec<(u32, i64, i64)> = (0..200)
            .map(|series| (series, time, i64::from(series) * time))
            .collect();
        storage.commit(one(1, rows(&of, Conflict::ByVnode))).await.unwrap();
    }
    assert!(io.exists(Path::new("/data/vnode/1/wal/00000001.wal")));
    storage.flush(&[VnodeId(1)]).await.unwrap();
    storage
        .commit(one(1, rows(&[(0, 1000, 7)], Conflict::ByVnode)))
        .await
        .unwrap();
    let after = storage.statistics(VnodeId(1)).unwrap();
    assert_eq!(after.rows_in_files, 40_000);
    assert!(!io.exists(Path::new("/data/vnode/1/wal/00000001.wal")));
    storage.compact(&[VnodeId(1)]).await.unwrap();
    let expected = scan(&storage, 1);
    assert_eq!(expected.len(), 40_001);
    drop(storage);
    let storage = open(&io.power_cut(3));
    assert_eq!(scan(&storage, 1), expected);
    assert_eq!(storage.statistics(VnodeId(1)).unwrap().memtable_rows, 1);
}

#[tokio::test]
async fn a_large_memtable_is_flushed_without_being_asked() {
    let io = SimulatedIo::new();
    let mut options = options(Path::new("/data"));
    options.memtable_bytes = 64 << 10;
    let storage = Storage::open(options, Arc::new(io.clone())).unwrap();
    storage.create_vnode(VnodeId(1), vnode_options()).unwrap();
    for time in 0..50 {
        let of: Vec<(u32, i64, i64)> = (0..500).map(|series| (series, time, 1)).collect();
        storage.commit(one(1, rows(&of, Conflict::ByVnode))).await.unwrap();
    }
    while storage.statistics(VnodeId(1)).unwrap().rows_in_files == 0 {
        tokio::task::yield_now().await;
    }
    storage.flush(&[VnodeId(1)]).await.unwrap();
    assert_eq!(storage.statistics(VnodeId(1)).unwrap().rows_in_files, 25_000);
    assert_eq!(scan(&storage, 1).len(), 25_000);
}

#[tokio::test]
async fn an_old_memtable_is_flushed_without_being_asked() {
    let io = SimulatedIo::new();
    let storage = open(&io);
    let options = VnodeOptions {
        flush_interval_ms: 1,
        ..vnode_options()
    };
    storage.create_vnode(VnodeId(1), options).unwrap();
    storage
        .commit(one(1, rows(&[(0, 1, 1)], Conflict::ByVnode)))
        .await
        .unwrap();
    while storage.statistics(VnodeId(1)).unwrap().rows_in_files < 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_expiry_is_repeated_by_the_log() {
    let (io, storage) = fresh(1);
    storage
        .commit(one(1, rows(&[(0, 5, 1), (0, 3_000_000, 2)], Conflict::ByVnode)))
        .await
        .unwrap();
    storage.expire(VnodeId(1), 2_000_000).await.unwrap();
    assert_eq!(scan(&storage, 1), BTreeMap::from([((0, 3_000_000), 2)]));
    drop(storage);
    assert_eq!(scan(&open(&io.power_cut(1)), 1), BTreeMap::from([((0, 3_000_000), 2)]));
}

#[tokio::test]
async fn rows_to_keep_are_written_once_however_many_try() {
    let (_, storage) = fresh(2);
    let storage = Arc::new(storage);
    let mut tasks = Vec::new();
    for task in 0..8i64 {
        let storage = storage.clone();
        tasks.push(tokio::spawn(async move {
            let mut written = 0;
            for time in 0..20 {
                let row = [(0, time, task)];
                let vnodes: &[u32] = if (time + task) % 3 == 0 { &[1, 2] } else { &[1] };
                let changes = vnodes
                    .iter()
                    .map(|id| (VnodeId(*id), vec![rows(&row, Conflict::Keep)]))
                    .collect();
                let transaction = Transaction {
                    changes,
                    durability: Durability::Kernel,
                };
                written += storage.commit(transaction).await.unwrap().rows;
            }
            written
        }));
    }
    let mut written = 0;
    for task in tasks {
        written += task.await.unwrap();
    }
    assert_eq!(written as usize, scan(&storage, 1).len() + scan(&storage, 2).len());
    assert_eq!(scan(&storage, 1).len(), 20);
}

#[tokio::test]
async fn a_commit_whose_caller_left_is_finished() {
    let (io, storage) = fresh(3);
    for time in 0..20 {
        let mut commit = Box::pin(storage.commit(across(&[1, 2, 3], 0, time, 1)));
        // Polled once: on its way, and then nobody waits for it.
        let waker = std::task::Waker::noop();
        let _ = std::future::Future::poll(commit.as_mut(), &mut std::task::Context::from_waker(waker));
    }
    storage.close().await.unwrap();
    drop(storage);
    let storage = open(&io.kill());
    assert_eq!(scan(&storage, 1).len(), 20);
    assert_eq!(scan(&storage, 1), scan(&storage, 2));
    assert_eq!(scan(&storage, 1), scan(&storage, 3));
}

/// What clients know: transaction number -> vnodes it wrote to. Each writes one row of its own, and one that all overwrite.
#[derive(Clone, Default)]
struct Ledger {
    sent: BTreeMap<i64, Vec<u32>>,
    acknowledged: BTreeSet<i64>,
}

impl Ledger {
    /// acknowledged ⊆ found ⊆ sent, each transaction in all its vnodes or in none.
    fn check(&mut self, storage: &Storage, vnodes: u32, what: &str) {
        let found: BTreeMap<u32, BTreeMap<(u32, i64), i64>> = (1..=vnodes).map(|id| (id, scan(storage, id))).collect();
        for (id, rows) in &found {
            for ((series, time), value) in rows.iter().filter(|(key, _)| key.0 != SHARED) {
                assert_eq!(time, value, "{what}: series {series} of vnode {id}");
                let vnodes = self
                    .sent
                    .get(time)
                    .unwrap_or_else(|| panic!("{what}: nobody sent {time}"));
                assert!(vnodes.contains(id), "{what}: {time} was not for vnode {id}");
            }
            // The shared row is that of a transaction that is there.
            if let Some(value) = rows.get(&(SHARED, 0)) {
                assert!(
                    rows.contains_key(&(0, *value)),
                    "{what}: vnode {id} has half of {value}"
                );
            }
        }
        self.sent.retain(|number, vnodes| {
            let there = vnodes
                .iter()
                .filter(|id| found[*id].contains_key(&(0, *number)))
                .count();
            assert!(
                there == 0 || there == vnodes.len(),
                "{what}: {number} in {there} of {vnodes:?}"
            );
            assert!(
                there > 0 || !self.acknowledged.contains(number),
                "{what}: {number} was lost"
            );
            there > 0
        });
        self.acknowledged = self.sent.keys().copied().collect(); // found once, found for ever
    }
}

/// The series that every transaction overwrites.
const SHARED: u32 = 9;

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn numbered(number: i64, vnodes: &[u32], durability: Durability) -> Transaction {
    let row = [(0, number, number), (SHARED, 0, number)];
    let changes = vnodes
        .iter()
        .map(|id| (VnodeId(*id), vec![rows(&row, Conflict::ByVnode)]))
        .collect();
    Transaction { changes, durability }
}

/// Some writers at once, until they have written so much or the disk goes off.
async fn write_some(storage: &Arc<Storage>, ledger: &mut Ledger, seed: &mut u64, cut: &SimulatedIo) {
    let mut tasks = Vec::new();
    let base = ledger.sent.keys().last().copied().unwrap_or(0) + 1;
    let done = Arc::new(AtomicU32::new(0));
    let cut_after = splitmix(seed) as u32 % 40;
    for writer in 0..4i64 {
        let mut plan = Vec::new();
        for step in 0..10 {
            let number = base + writer * 10 + step;
            let choice = splitmix(seed);
            let vnodes: Vec<u32> = (1..=3).filter(|id| choice & (1 << id) != 0).collect();
            let vnodes = if vnodes.is_empty() { vec![1] } else { vnodes };
            // Acknowledged by the kernel alone is not safe from a power cut: only sent.
            let durability = if choice.is_multiple_of(7) {
                Durability::Kernel
            } else {
                Durability::Disk
            };
            ledger.sent.insert(number, vnodes.clone());
            plan.push((number, vnodes, durability, choice.is_multiple_of(23)));
        }
        let (storage, done, cut) = (storage.clone(), done.clone(), cut.clone());
        tasks.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for (number, vnodes, durability, flush) in plan {
                if storage.commit(numbered(number, &vnodes, durability)).await.is_ok() && durability == Durability::Disk
                {
                    acknowledged.push(number);
                }
                if flush {
                    let _ = storage.flush(&[VnodeId(vnodes[0])]).await;
                }
                if done.fetch_add(1, Ordering::Relaxed) == cut_after {
                    cut.switch_off();
                }
            }
            acknowledged
        }));
    }
    for task in tasks {
        ledger.acknowledged.extend(task.await.unwrap());
    }
}

#[tokio::test]
async fn no_power_cut_loses_or_halves_a_transaction() {
    for seed in 0..60u64 {
        let mut random = seed;
        let (mut io, storage) = fresh(3);
        let mut ledger = Ledger::default();
        let mut storage = Arc::new(storage);
        for life in 0..3 {
            write_some(&storage, &mut ledger, &mut random, &io).await;
            drop(storage);
            io = if splitmix(&mut random).is_multiple_of(4) {
                io.kill()
            } else {
                io.power_cut(splitmix(&mut random))
            };
            storage = Arc::new(open(&io));
            ledger.check(&storage, 3, &format!("seed {seed}, life {life}"));
        }
    }
}

#[tokio::test]
async fn whichever_call_fails_acknowledged_rows_stay_and_transactions_stay_whole() {
    for failure in [Failure::Broken, Failure::Full] {
        for k in 1.. {
            let (io, storage) = fresh(2);
            let mut ledger = Ledger::default();
            io.fail_call(k, failure);
            for number in 1..=6 {
                let vnodes: &[u32] = [&[1u32][..], &[1, 2], &[2]][number as usize % 3];
                ledger.sent.insert(number, vnodes.to_vec());
                if storage.commit(numbered(number, vnodes, Durability::Disk)).await.is_ok() {
                    ledger.acknowledged.insert(number);
                }
                if number == 3 {
                    let _ = storage.flush(&[VnodeId(1), VnodeId(2)]).await;
                }
            }
            io.heal();
            let failed = io.failed();
            if storage.poisoned().is_none() {
                // It goes on as if nothing had been.
                storage.commit(numbered(7, &[1, 2], Durability::Disk)).await.unwrap();
                ledger.sent.insert(7, vec![1, 2]);
                ledger.acknowledged.insert(7);
                ledger.check(&storage, 2, &format!("call {k} {failure:?}, before the restart"));
            }
            drop(storage);
            let storage = open(&io.power_cut(k));
            ledger.check(&storage, 2, &format!("call {k} {failure:?}"));
            if failed == 0 {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_start_that_fails_at_any_call_can_be_repeated() {
    for k in 1.. {
        let (io, storage) = fresh(2);
        storage.commit(across(&[1, 2], 0, 1, 1)).await.unwrap();
        storage.flush(&[VnodeId(1)]).await.unwrap();
        storage.commit(across(&[1, 2], 0, 2, 2)).await.unwrap();
        drop(storage);
        let io = io.power_cut(k);
        io.fail_call(k, Failure::Broken);
        let opened = Storage::open(options(Path::new("/data")), Arc::new(io.clone()));
        let failed = io.failed();
        assert!(opened.is_err() || failed == 0 || opened.as_ref().is_ok_and(|storage| storage.vnodes().len() == 2));
        drop(opened);
        let storage = open(&io.power_cut(k + 1));
        assert_eq!(scan(&storage, 1).len(), 2, "call {k}");
        assert_eq!(scan(&storage, 2).len(), 2, "call {k}");
        if failed == 0 {
            break;
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_answers_reads_and_recovers_by_itself() {
    let (io, storage) = fresh(2);
    storage.commit(across(&[1, 2], 0, 1, 1)).await.unwrap();
    io.set_capacity(io.used_bytes());
    let wide: Vec<(u32, i64, i64)> = (0..200_000)
        .map(|series| (series, 5, i64::from(series).pow(4) % 1_000_000_007))
        .collect();
    let changes = [1, 2].map(|id| (VnodeId(id), vec![rows(&wide, Conflict::ByVnode)]));
    let large = Transaction {
        changes: BTreeMap::from(changes),
        durability: Durability::Disk,
    };
    let error = storage.commit(large.clone()).await.unwrap_err();
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    assert_eq!(scan(&storage, 1), BTreeMap::from([((0, 1), 1)]));
    assert_eq!(scan(&storage, 2), BTreeMap::from([((0, 1), 1)]));
    assert!(storage.flush(&[VnodeId(1)]).await.is_err());
    io.set_capacity(u64::MAX);
    assert_eq!(storage.commit(large).await.unwrap().rows, 400_000);
    storage.flush(&[VnodeId(1)]).await.unwrap();
    assert_eq!(scan(&storage, 1).len(), 200_001);
    drop(storage);
    assert_eq!(scan(&open(&io.power_cut(2)), 2).len(), 200_001);
}

#[tokio::test]
async fn a_disk_that_is_too_full_for_rows_has_room_for_the_cure() {
    let (io, storage) = fresh(1);
    storage
        .commit(one(1, rows(&[(0, 1, 1)], Conflict::ByVnode)))
        .await
        .unwrap();
    io.set_capacity(io.used_bytes() + (32 << 20));
    // The first few megabytes pass: they were asked for before.
    let wide: Vec<(u32, i64, i64)> = (0..1_000_000).map(|series| (series, 5, 1)).collect();
    let error = storage
        .commit(one(1, rows(&wide, Conflict::ByVnode)))
        .await
        .unwrap_err();
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    storage.commit(one(1, Change::DropFamily(FAMILY))).await.unwrap();
    storage.flush(&[VnodeId(1)]).await.unwrap();
    assert!(scan(&storage, 1).is_empty());
}

#[tokio::test]
async fn a_failed_sync_acknowledges_nothing_and_says_so() {
    let (io, storage) = fresh(2);
    storage.commit(across(&[1], 0, 1, 1)).await.unwrap();
    let (told, tell) = tokio::sync::oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    storage.on_poisoned(move |vnode| {
        told.lock().unwrap().take().unwrap().send(vnode).unwrap();
    });
    // The record, then the sync.
    io.fail_call(2, Failure::Broken);
    let error = storage.commit(across(&[1], 0, 2, 2)).await.unwrap_err();
    assert!(matches!(error, StorageError::Poisoned { vnode: VnodeId(1) }), "{error}");
    assert_eq!(tell.await.unwrap(), VnodeId(1));
    assert_eq!(storage.poisoned(), Some(VnodeId(1)));
    assert!(matches!(
        storage.commit(across(&[1, 2], 0, 3, 3)).await,
        Err(StorageError::Poisoned { .. })
    ));
    assert_eq!(
        scan(&storage, 1),
        BTreeMap::from([((0, 1), 1)]),
        "reads go on, and show nothing that is not on disk"
    );
    assert_eq!(scan(&storage, 2), BTreeMap::new());
    assert!(storage.close().await.is_err());
}

#[tokio::test]
async fn a_damaged_vnode_stays_closed_and_the_others_work() {
    let (io, storage) = fresh(3);
    for time in 0..3 {
        for id in 1..=3 {
            storage.commit(across(&[id], 0, time, time)).await.unwrap();
        }
    }
    drop(storage);
    io.damage(Path::new("/data/vnode/2/wal/00000001.wal"), |bytes| bytes[64 + 70] ^= 1);
    let storage = open(&io.kill());
    assert_eq!(storage.vnodes(), [VnodeId(1), VnodeId(2), VnodeId(3)]);
    match storage.view(VnodeId(2)).map(|_| ()) {
        Err(StorageError::Corrupt { file, offset, .. }) => {
            assert_eq!((file, offset), (PathBuf::from("/data/vnode/2/wal/00000001.wal"), 64));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        storage.commit(across(&[1, 2], 0, 9, 9)).await,
        Err(StorageError::Corrupt { .. })
    ));
    assert_eq!(scan(&storage, 1).len(), 3);
    storage.commit(across(&[1, 3], 0, 9, 9)).await.unwrap();
    assert_eq!(scan(&storage, 3).len(), 4);
    storage.drop_vnode(VnodeId(2)).unwrap();
    storage.create_vnode(VnodeId(2), vnode_options()).unwrap();
    assert_eq!(scan(&storage, 2).len(), 0);
}

#[tokio::test]
async fn vnodes_are_made_changed_and_dropped_for_good() {
    let (io, storage) = fresh(2);
    storage.create_vnode(VnodeId(1), vnode_options()).unwrap();
    let altered = VnodeOptions {
        flush_interval_ms: 5_000,
        ..vnode_options()
    };
    assert!(matches!(
        storage.create_vnode(VnodeId(1), altered.clone()),
        Err(StorageError::Refused(_))
    ));
    storage.alter_vnode(VnodeId(1), altered.clone()).unwrap();
    let longer = VnodeOptions {
        group_span: 5,
        ..altered.clone()
    };
    assert!(matches!(
        storage.alter_vnode(VnodeId(1), longer),
        Err(StorageError::Refused(_))
    ));
    storage.commit(across(&[1, 2], 0, 1, 1)).await.unwrap();
    let view = storage.view(VnodeId(1)).unwrap();
    storage.drop_vnode(VnodeId(1)).unwrap(); // the home of that transaction
    drop(view);
    assert!(matches!(
        storage.commit(across(&[1, 2], 0, 2, 2)).await,
        Err(StorageError::NoVnode { vnode: VnodeId(1) })
    ));
    assert!(matches!(
        storage.drop_vnode(VnodeId(1)),
        Err(StorageError::NoVnode { .. })
    ));
    drop(storage);
    let io = io.power_cut(4);
    let storage = open(&io);
    assert_eq!(storage.vnodes(), [VnodeId(2)]);
    assert_eq!(
        scan(&storage, 2),
        BTreeMap::from([((0, 1), 1)]),
        "committed before its home went"
    );
    storage.create_vnode(VnodeId(1), altered.clone()).unwrap();
    storage.create_vnode(VnodeId(1), altered).unwrap();
    drop(storage);
    let storage = open(&io.power_cut(5));
    assert_eq!(storage.vnodes(), [VnodeId(1), VnodeId(2)]);
    assert_eq!(scan(&storage, 1), BTreeMap::new());
}

#[tokio::test]
async fn writers_wait_for_memory_and_are_told_when_it_takes_too_long() {
    let io = SimulatedIo::new();
    let mut options = options(Path::new("/data"));
    options.memtables_bytes_max = 100_000;
    let storage = Storage::open(options, Arc::new(io.clone())).unwrap();
    storage.create_vnode(VnodeId(1), vnode_options()).unwrap();
    let wide: Vec<(u32, i64, i64)> = (0..20_000).map(|series| (series, 5, 1)).collect();
    // Each flush is waited for, none fails.
    for time in 0..5 {
        let wide: Vec<_> = wide.iter().map(|row| (row.0, time, row.2)).collect();
        // A minute.
        let mut tries = 3000;
        while let Err(error) = storage.commit(one(1, rows(&wide, Conflict::ByVnode))).await {
            assert!(matches!(error, StorageError::Overloaded { .. }), "{error}");
            tries -= 1;
            assert!(tries > 0);
        }
    }
    // Flushes find no room any more: memory does not come free.
    io.set_capacity(io.used_bytes());
    let mut overloaded = false;
    for time in 10..20 {
        let small: Vec<_> = wide.iter().take(500).map(|row| (row.0, time, row.2)).collect();
        overloaded |= matches!(
            storage.commit(one(1, rows(&small, Conflict::ByVnode))).await,
            Err(StorageError::Overloaded { .. } | StorageError::Full { .. })
        );
    }
    assert!(overloaded);
    assert_eq!(storage.view(VnodeId(1)).map(|_| ()).ok(), Some(()));
}

#[test]
fn a_directory_serves_one_server_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(options(directory.path()), Arc::new(RealIo)).unwrap();
    match Storage::open(options(directory.path()), Arc::new(RealIo)).map(|_| ()) {
        Err(StorageError::Refused(message)) => assert!(message.contains("in use by another server"), "{message}"),
        other => panic!("{other:?}"),
    }
    drop(storage);
    Storage::open(options(directory.path()), Arc::new(RealIo)).unwrap();
}

#[tokio::test]
async fn the_operating_systems_files_hold_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Storage::open(options(directory.path()), Arc::new(RealIo)).unwrap();
    let storage = open();
    storage.create_vnode(VnodeId(1), vnode_options()).unwrap();
    storage.create_vnode(VnodeId(2), vnode_options()).unwrap();
    storage.commit(across(&[1, 2], 3, 4, 5)).await.unwrap();
    storage.flush(&[VnodeId(1)]).await.unwrap();
    storage.commit(across(&[1, 2], 3, 5, 6)).await.unwrap();
    storage.close().await.unwrap();
    drop(storage);
    let storage = open();
    let expected = BTreeMap::from([((3, 4), 5), ((3, 5), 6)]);
    assert_eq!((scan(&storage, 1), scan(&storage, 2)), (expected.clone(), expected));
    storage.drop_vnode(VnodeId(1)).unwrap();
    assert!(!RealIo.exists(&directory.path().join("vnode/1")));
}

/// A transaction over vnodes 1 and 2 whose power goes before their outcomes are synced, by chance.
async fn cut_after_the_outcome(seed: u64, flush_home: bool) -> SimulatedIo {
    let (io, storage) = fresh(2);
    storage.commit(across(&[1], 0, 1, 1)).await.unwrap();
    storage.commit(across(&[1, 2], 0, 2, 2)).await.unwrap();
    if flush_home {
        storage.flush(&[VnodeId(1)]).await.unwrap();
        assert!(
            !io.exists(Path::new("/data/vnode/1/wal/00000001.wal")),
            "the segment with the mark is gone"
        );
    }
    io.switch_off();
    drop(storage);
    io.power_cut(seed)
}

#[tokio::test]
async fn the_mark_is_kept_until_everybody_has_the_outcome() {
    for seed in 0..40 {
        let io = cut_after_the_outcome(seed, true).await;
        assert_eq!(scan(&open(&io), 2), BTreeMap::from([((0, 2), 2)]), "seed {seed}");
    }
}

#[tokio::test]
async fn without_the_home_an_undecided_vnode_stays_closed() {
    let mut closed = 0;
    for seed in 0..40 {
        let io = cut_after_the_outcome(seed, false).await;
        io.damage(Path::new("/data/vnode/1/wal/00000001.wal"), |bytes| bytes[64 + 70] ^= 1);
        let storage = open(&io);
        assert!(matches!(storage.view(VnodeId(1)), Err(StorageError::Corrupt { .. })));
        match storage.view(VnodeId(2)) {
            Ok(_) => assert_eq!(scan(&storage, 2), BTreeMap::from([((0, 2), 2)]), "seed {seed}"),
            Err(StorageError::Corrupt { .. }) => closed += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(closed > 0);
}
