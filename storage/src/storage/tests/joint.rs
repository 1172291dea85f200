//! Transactions over several vnodes, cut at every call, in recovery as well, with damaged logs and with logs of version 1.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::wal::{Kind, Log, Pending, encode_changes, encode_prepared, encode_prepared_home};

/// Commits, and writes down what the client knows then.
async fn commit(storage: &Storage, ledger: &std::sync::Mutex<Ledger>, number: i64, vnodes: &[u32]) {
    ledger.lock().unwrap().sent.insert(number, vnodes.to_vec());
    match storage.commit(numbered(number, vnodes, Durability::Disk)).await {
        Ok(_) => drop(ledger.lock().unwrap().acknowledged.insert(number)),
        Err(StorageError::Poisoned { .. } | StorageError::NoVnode { .. }) => {} // it may have happened or not
        Err(_) => drop(ledger.lock().unwrap().sent.remove(&number)),            // it has not
    }
}

/// Transactions over one, two and three vnodes, one after the other and at once, with flushes between, while the power may go.
async fn work(storage: &Storage, ledger: &mut Ledger) {
    let own = std::sync::Mutex::new(std::mem::take(ledger));
    let commit = |number, vnodes: &'static [u32]| commit(storage, &own, number, vnodes);
    commit(1, &[1, 2]).await;
    commit(2, &[1, 2, 3]).await;
    commit(3, &[2]).await;
    tokio::join!(commit(4, &[1, 2, 3]), commit(5, &[2, 3]), commit(6, &[1, 3]));
    let _ = storage.flush(&[VnodeId(2)]).await;
    commit(7, &[1, 2, 3]).await;
    let _ = storage.flush(&[VnodeId(1)]).await;
    tokio::join!(commit(8, &[1, 2]), commit(9, &[3]), commit(10, &[1, 2, 3]));
    *ledger = own.into_inner().unwrap();
}

#[tokio::test]
async fn the_power_may_go_at_any_call() {
    for k in 1.. {
        let (io, storage) = fresh(3);
        let mut ledger = Ledger::default();
        io.switch_off_at_call(k);
        work(&storage, &mut ledger).await;
        let went = !io.is_on();
        io.switch_off();
        drop(storage);
        for seed in 0..6 {
            let io = match seed {
                0 => io.copy().kill(),
                seed => io.copy().power_cut(k * 10 + seed),
            };
            let mut ledger = ledger.clone();
            ledger.check(&open(&io), 3, &format!("call {k}, seed {seed}"));
            // Once found or not found, always so.
            ledger.check(&open(&io.power_cut(seed)), 3, &format!("call {k}, seed {seed}, again"));
        }
        if !went {
            break;
        }
    }
}

#[tokio::test]
async fn the_power_may_go_again_at_any_call_of_a_recovery() {
    for k in (1..).step_by(5) {
        let (io, storage) = fresh(3);
        let mut ledger = Ledger::default();
        io.switch_off_at_call(k);
        work(&storage, &mut ledger).await;
        let went = !io.is_on();
        io.switch_off();
        drop(storage);
        for j in (1..).step_by(2) {
            let second = io.copy().power_cut(k);
            second.switch_off_at_call(j);
            drop(Storage::open(options(Path::new("/data")), Arc::new(second.clone())));
            let went_again = !second.is_on();
            let third = second.power_cut(k + j);
            ledger.clone().check(&open(&third), 3, &format!("calls {k} and {j}"));
            if !went_again {
                break;
            }
        }
        if !went {
            break;
        }
    }
}

#[tokio::test]
async fn a_vnode_lets_nothing_go_that_another_may_ask_for() {
    for seed in 0..40 {
        let (io, storage) = fresh(3);
        storage.commit(across(&[1, 2, 3], 0, 1, 1)).await.unwrap();
        storage.flush(&[VnodeId(2)]).await.unwrap();
        assert!(!io.exists(Path::new("/data/vnode/2/wal/00000001.wal")));
        storage.commit(across(&[2], 0, 2, 2)).await.unwrap();
        storage.flush(&[VnodeId(2)]).await.unwrap();
        assert!(!io.exists(Path::new("/data/vnode/2/wal/00000002.wal")));
        io.switch_off();
        drop(storage);
        let storage = open(&io.power_cut(seed));
        for id in [1, 3] {
            assert_eq!(
                scan(&storage, id),
                BTreeMap::from([((0, 1), 1)]),
                "seed {seed}, vnode {id}"
            );
        }
        assert_eq!(scan(&storage, 2).len(), 2, "seed {seed}");
    }
}

fn flip(io: &SimulatedIo, vnode: u32) {
    let path = format!("/data/vnode/{vnode}/wal/00000001.wal");
    io.damage(Path::new(&path), |bytes| bytes[64 + 70] ^= 1);
}

/// Whether a vnode is open, and has both rows then.
fn has_all(storage: &Storage, vnode: u32, what: &str) -> bool {
    match storage.view(VnodeId(vnode)) {
        Ok(_) => {
            let expected = BTreeMap::from([((0, 1), 1), ((0, 2), 2)]);
            assert_eq!(scan(storage, vnode), expected, "{what}, vnode {vnode}");
            true
        }
        Err(StorageError::Corrupt { .. }) => false,
        Err(other) => panic!("{what}, vnode {vnode}: {other}"),
    }
}

#[tokio::test]
async fn whoever_cannot_ask_stays_closed_and_all_is_well_when_the_damage_is_undone() {
    let (mut opened, mut closed) = (0, 0);
    for damaged in 1..=3u32 {
        for seed in 0..40 {
            let what = format!("vnode {damaged} damaged, seed {seed}");
            let (io, storage) = fresh(3);
            for id in 1..=3 {
                storage.commit(across(&[id], 0, 1, 1)).await.unwrap();
            }
            storage.commit(across(&[1, 2, 3], 0, 2, 2)).await.unwrap();
            io.switch_off();
            drop(storage);
            let io = io.power_cut(seed);
            flip(&io, damaged);
            let storage = open(&io);
            assert!(!has_all(&storage, damaged, &what));
            for id in (1..=3).filter(|id| *id != damaged) {
                match has_all(&storage, id, &what) {
                    true => {
                        opened += 1;
                        // Its log goes on, and the segments of then go.
                        storage.flush(&[VnodeId(id)]).await.unwrap();
                        let path = format!("/data/vnode/{id}/wal/00000001.wal");
                        assert!(!io.exists(Path::new(&path)), "{what}");
                    }
                    false => closed += 1,
                }
            }
            drop(storage);
            // Still damaged at the next start, too.
            let io = io.power_cut(seed);
            drop(open(&io));
            let io = io.power_cut(seed);
            flip(&io, damaged);
            let storage = open(&io);
            for id in 1..=3 {
                assert!(has_all(&storage, id, &what), "{what}: vnode {id} is closed");
            }
        }
    }
    assert!(opened > 0 && closed > 0, "{opened} {closed}");
}

#[tokio::test]
async fn a_vnode_that_is_dropped_while_transactions_run_halves_none() {
    for (seed, dropped) in (0..30).zip([1u32, 2, 3].into_iter().cycle()) {
        let (io, storage) = fresh(3);
        let mut ledger = Ledger::default();
        let rest: Vec<u32> = (1..=3).filter(|id| *id != dropped).collect();
        let mut commits: Vec<_> = (1..=20)
            .map(|number| {
                ledger.sent.insert(number, rest.clone());
                let commit = storage.commit(numbered(number, &[1, 2, 3], Durability::Disk));
                (number, Box::pin(commit))
            })
            .collect();
        // On their way, some of them, when the vnode goes.
        std::thread::scope(|scope| {
            scope.spawn(|| storage.drop_vnode(VnodeId(dropped)).unwrap());
            let mut context = Context::from_waker(Waker::noop());
            commits.retain_mut(|(number, commit)| match commit.as_mut().poll(&mut context) {
                Poll::Pending => true,
                Poll::Ready(result) => {
                    ledger.acknowledged.extend(result.is_ok().then_some(*number));
                    false
                }
            });
        });
        io.switch_off();
        for (number, commit) in commits {
            ledger.acknowledged.extend(commit.await.is_ok().then_some(number));
        }
        drop(storage);
        let storage = open(&io.power_cut(seed));
        for id in rest {
            let found: BTreeSet<i64> = scan(&storage, id)
                .into_keys()
                .filter(|key| key.0 == 0)
                .map(|key| key.1)
                .collect();
            assert_eq!(found, ledger.acknowledged, "seed {seed}, vnode {id} without {dropped}");
        }
    }
}

#[test]
fn transactions_and_those_that_look_never_wait_for_each_other_in_a_circle() {
    let (_, storage) = fresh(3);
    std::thread::scope(|scope| {
        for writer in 0..6i64 {
            let storage = &storage;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                for time in 0..60 {
                    let transaction = match writer % 3 {
                        0 => one(1 + (time % 3) as u32, rows(&[(0, time, writer)], Conflict::Keep)),
                        1 => across(&[1, 2, 3], 1, time, writer),
                        _ => across(&[2, 3], 1, time, writer),
                    };
                    runtime.block_on(storage.commit(transaction)).unwrap();
                }
            });
        }
    });
    assert_eq!(scan(&storage, 2).len(), 20 + 60);
}

/// Appends records to a vnode's log as it was left.
fn append(io: &SimulatedIo, vnode: u32, records: &[(Kind, u64, Vec<u8>)]) {
    let directory = PathBuf::from(format!("/data/vnode/{vnode}/wal"));
    let mut log = Log::open(
        Arc::new(io.clone()),
        directory,
        VnodeId(vnode),
        256 << 10,
        0,
        &mut |_| {},
    )
    .unwrap();
    let pending: Vec<Pending> = records
        .iter()
        .map(|(kind, transaction, body)| Pending {
            kind: *kind,
            transaction: *transaction,
            body: body.clone(),
        })
        .collect();
    log.append(&pending).unwrap();
    log.sync().unwrap();
}

#[test]
fn a_transaction_in_logs_of_version_1_is_decided_by_its_mark() {
    let (io, storage) = fresh(2);
    drop(storage);
    let io = io.kill();
    let row = |time| [rows(&[(0, time, time)], Conflict::ByVnode)];
    let prepared = |time| encode_prepared(VnodeId(1), &row(time)).unwrap();
    // A mark had the home's changes, and took effect by itself.
    let mark = encode_prepared_home(&[VnodeId(2)], &row(5)).unwrap();
    append(
        &io,
        1,
        &[
            (Kind::Changes, 0, encode_changes(&row(1)).unwrap()),
            (Kind::Commit, 5, mark),
        ],
    );
    append(
        &io,
        2,
        &[(Kind::Prepared, 5, prepared(5)), (Kind::Prepared, 6, prepared(6))],
    );
    let io = io.power_cut(1);
    for _ in 0..2 {
        let storage = open(&io);
        assert_eq!(scan(&storage, 1), BTreeMap::from([((0, 1), 1), ((0, 5), 5)]));
        assert_eq!(scan(&storage, 2), BTreeMap::from([((0, 5), 5)]));
    }
}

#[tokio::test]
async fn what_one_vnode_refuses_no_vnode_has() {
    let (io, storage) = fresh(3);
    storage.commit(across(&[1, 2, 3], 0, 1, 1)).await.unwrap();
    // One of the calls of the next transaction: a write that is taken back, which is no reason to give up.
    let mut refused = Vec::new();
    for time in 11..=16 {
        io.fail_call(time as u64 - 10, Failure::Full);
        match storage.commit(across(&[1, 2, 3], 0, time, 1)).await {
            Ok(_) => {}
            Err(StorageError::Full { .. }) => refused.push((0, time)),
            Err(StorageError::Poisoned { .. }) => break,
            Err(other) => panic!("{other}"),
        }
        io.heal();
    }
    assert!(!refused.is_empty());
    io.switch_off();
    drop(storage);
    let storage = open(&io.power_cut(2));
    assert_eq!(scan(&storage, 1), scan(&storage, 2));
    assert_eq!(scan(&storage, 1), scan(&storage, 3));
    assert!(refused.iter().all(|key| !scan(&storage, 1).contains_key(key)));
}
