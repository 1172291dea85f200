//! The log against power cuts, full disks, failing calls and forged bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{HEADER_BYTES, record_bytes};
use super::segment::{SEGMENT_HEADER_BYTES, segment_path};
use super::{Entry, Kind, Log, Pending, Record, encode_changes, encode_expire};
use crate::io::simulated::Failure;
use crate::io::{Io, SimulatedIo};
use crate::{Change, FamilyId, SeriesId, SeriesSet, StorageError, TimeRange, VnodeId};

const VNODE: VnodeId = VnodeId(7);
const SEGMENT_BYTES: u64 = 128 << 10;

fn directory() -> PathBuf {
    PathBuf::from("/vnode/wal")
}

fn disk() -> SimulatedIo {
    let io = SimulatedIo::new();
    io.create_dir_all(Path::new("/vnode")).unwrap();
    io.sync_dir(Path::new("/")).unwrap();
    io
}

fn open_after(io: &SimulatedIo, flushed: u64) -> Result<(Log, Vec<Record>), StorageError> {
    let mut records = Vec::new();
    let log = Log::open(
        Arc::new(io.clone()),
        directory(),
        VNODE,
        SEGMENT_BYTES,
        flushed,
        &mut |record| {
            records.push(record);
        },
    )?;
    Ok((log, records))
}

fn open(io: &SimulatedIo) -> (Log, Vec<Record>) {
    open_after(io, 0).unwrap()
}

/// A record that says `value`, and takes about `bytes`.
fn pending(value: i64, bytes: usize) -> Pending {
    let series: Vec<SeriesId> = (0..bytes as u32).map(SeriesId).collect();
    let delete = Change::Delete {
        family: FamilyId(1),
        series: SeriesSet::List(series.into()),
        time: TimeRange::new(value, value).unwrap(),
    };
    Pending {
        kind: Kind::Changes,
        transaction: 9,
        body: encode_changes(&[delete]).unwrap(),
    }
}

fn value(record: &Record) -> i64 {
    match &record.entry {
        Entry::Changes(changes) => match &changes[..] {
            [
                Change::Delete {
                    time,
                    series: SeriesSet::List(list),
                    ..
                },
            ] => {
                assert!(list.iter().enumerate().all(|(at, series)| series.0 as usize == at));
                time.start()
            }
            other => panic!("{other:?}"),
        },
        Entry::Expire { before } => *before,
        other => panic!("{other:?}"),
    }
}

fn values(records: &[Record]) -> Vec<i64> {
    records.iter().map(value).collect()
}

fn append(log: &mut Log, values: &[i64]) {
    let group: Vec<Pending> = values.iter().map(|value| pending(*value, 30)).collect();
    log.append(&group).unwrap();
}

fn is_corrupt(result: Result<(Log, Vec<Record>), StorageError>, what: &str) {
    match result {
        Err(StorageError::Corrupt { .. }) => {}
        Err(other) => panic!("{what}: {other}"),
        Ok((_, records)) => panic!("{what}: opened with {:?}", values(&records)),
    }
}

#[test]
fn records_come_back_in_order_and_the_log_goes_on() {
    let io = disk();
    let (mut log, records) = open(&io);
    assert!(records.is_empty());
    append(&mut log, &[1, 2]);
    log.append(&[Pending {
        kind: Kind::Expire,
        transaction: 0,
        body: encode_expire(3),
    }])
    .unwrap();
    log.sync().unwrap();
    drop(log);
    let (mut log, records) = open(&io);
    assert_eq!(values(&records), [1, 2, 3]);
    assert_eq!(records.iter().map(|record| record.index).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(records[0].transaction, 9);
    append(&mut log, &[4]);
    assert_eq!(values(&log.read(2..=9).unwrap()), [2, 3, 4]);
    drop(log);
    let again = io.kill();
    assert_eq!(values(&open(&again).1), [1, 2, 3, 4]);
}

#[test]
fn one_write_and_one_sync_for_a_group() {
    let io = disk();
    let (mut log, _) = open(&io);
    append(&mut log, &[1]); // writes zeros ahead
    log.sync().unwrap();
    let before = (io.calls(), io.syncs());
    append(&mut log, &[2, 3, 4]);
    log.sync().unwrap();
    log.sync().unwrap();
    assert_eq!((io.calls() - before.0, io.syncs() - before.1), (2, 1));
}

#[test]
fn segments_follow_each_other_are_purged_and_used_again() {
    let io = disk();
    let (mut log, _) = open(&io);
    for value in 1..=40 {
        log.append(&[pending(value, 20_000)]).unwrap();
    }
    log.sync().unwrap();
    let bytes = log.bytes();
    assert!(bytes > 5 * SEGMENT_BYTES);
    log.roll().unwrap();
    log.purge_prefix(30).unwrap();
    assert!(io.exists(&directory().join("spare")));
    assert!(log.bytes() < bytes);
    let kept = log.read(0..=u64::MAX).unwrap();
    let first = kept[0].index;
    assert!((25..=31).contains(&first), "{first}");
    log.purge_prefix(40).unwrap();
    log.roll().unwrap(); // an empty segment stays
    append(&mut log, &[41]);
    log.roll().unwrap(); // takes the spare one, whose old records must not come back
    assert!(!io.exists(&directory().join("spare")));
    append(&mut log, &[42]);
    log.sync().unwrap();
    drop(log);
    let (_, records) = open_after(&io.power_cut(1), 40).unwrap();
    assert_eq!(values(&records), [41, 42]);
}

#[test]
fn a_group_larger_than_a_segment_goes_into_one() {
    let io = disk();
    let (mut log, _) = open(&io);
    append(&mut log, &[1]);
    log.append(&[pending(2, 300_000), pending(3, 300_000)]).unwrap();
    append(&mut log, &[4]);
    log.sync().unwrap();
    drop(log);
    assert_eq!(values(&open(&io).1), [1, 2, 3, 4]);
}

#[test]
fn a_suffix_can_be_cut_over_segments_and_written_anew() {
    for cut in 1..=9 {
        let io = disk();
        let (mut log, _) = open(&io);
        for segment in [[1, 2, 3], [4, 5, 6], [7, 8, 9]] {
            append(&mut log, &segment);
            log.roll().unwrap();
        }
        log.truncate_suffix(cut).unwrap();
        assert_eq!(log.last_index(), cut);
        append(&mut log, &[100]);
        log.sync().unwrap();
        drop(log);
        let mut expected: Vec<i64> = (1..=cut as i64).collect();
        expected.push(100);
        assert_eq!(values(&open(&io.power_cut(cut)).1), expected);
    }
}

/// The log with records 1, 2, 3 each synced alone, and where each begins.
fn three_records() -> (SimulatedIo, [usize; 3]) {
    let io = disk();
    let (mut log, _) = open(&io);
    for value in 1..=3 {
        append(&mut log, &[value]);
        log.sync().unwrap();
    }
    let step = record_bytes(pending(1, 30).body.len());
    (io, [0, 1, 2].map(|at| SEGMENT_HEADER_BYTES + at * step))
}

type Forgery = (&'static str, fn(&mut [u8]));

/// What may be wrong with a record, given its bytes.
const FORGERIES: &[Forgery] = &[
    ("nothing there", |record| record.fill(0)),
    ("no magic", |record| record[0] = 0),
    ("unknown version", |record| record[2] = 9),
    ("unknown kind", |record| record[3] = 77),
    ("salt of another segment", |record| record[4] ^= 1),
    ("wrong checksum", |record| record[8] ^= 1),
    ("wrong checksum of the record before", |record| record[12] ^= 1),
    ("length zero", |record| record[16..20].fill(0)),
    ("length too short", |record| record[16] -= 1),
    ("length too long", |record| record[16] += 1),
    ("length beyond the file", |record| {
        record[16..20].copy_from_slice(&500_000u32.to_le_bytes())
    }),
    ("length of 4 GiB", |record| record[16..20].fill(0xff)),
    ("another vnode", |record| record[20] ^= 1),
    ("another term", |record| record[24] = 2),
    ("index too high", |record| record[32] += 1),
    ("index too low", |record| record[32] -= 1),
    ("transaction changed", |record| record[48] ^= 1),
    ("second half lost", |record| {
        let half = record.len() / 2;
        record[half..].fill(0);
    }),
    ("first half lost", |record| {
        let half = record.len() / 2;
        record[..half].fill(0);
    }),
    ("one bit of the body", |record| record[HEADER_BYTES + 5] ^= 16),
];

#[test]
fn a_forged_last_record_is_a_torn_tail_and_is_cut() {
    for (what, forge) in FORGERIES {
        let (io, at) = three_records();
        io.damage(&segment_path(&directory(), 1), |bytes| {
            forge(&mut bytes[at[2]..at[2] + at[1] - at[0]])
        });
        let (mut log, records) = open(&io);
        assert_eq!(values(&records), [1, 2], "{what}");
        append(&mut log, &[4]);
        log.sync().unwrap();
        drop(log);
        assert_eq!(values(&open(&io).1), [1, 2, 4], "{what}");
    }
}

#[test]
fn a_forged_record_before_the_last_is_damage() {
    for (what, forge) in FORGERIES {
        let (io, at) = three_records();
        io.damage(&segment_path(&directory(), 1), |bytes| forge(&mut bytes[at[1]..at[2]]));
        is_corrupt(open_after(&io, 0), what);
        // And stays damage.
        is_corrupt(open_after(&io, 0), what);
    }
}

#[test]
fn a_forged_last_record_is_damage_where_something_says_that_it_was_on_disk() {
    for (what, forge) in FORGERIES {
        let forge_last = |io: &SimulatedIo, at: [usize; 3]| {
            io.damage(&segment_path(&directory(), 1), |bytes| {
                forge(&mut bytes[at[2]..at[2] + at[1] - at[0]])
            });
        };
        // Data files were made from it.
        let (io, at) = three_records();
        forge_last(&io, at);
        is_corrupt(open_after(&io, 3), what);
        // A watermark follows.
        let (io, at) = three_records();
        let (mut log, _) = open(&io);
        assert!(log.wants_watermark());
        log.append(&[Pending {
            kind: Kind::Watermark,
            transaction: 0,
            body: Vec::new(),
        }])
        .unwrap();
        log.sync().unwrap();
        assert!(!log.wants_watermark());
        forge_last(&io, at);
        is_corrupt(open_after(&io, 0), what);
        // A segment follows.
        let (io, at) = three_records();
        let (mut log, _) = open(&io);
        log.roll().unwrap();
        assert!(!log.wants_watermark());
        forge_last(&io, at);
        is_corrupt(open_after(&io, 0), what);
    }
}

#[test]
fn of_a_group_that_tore_in_front_the_intact_rest_goes_too() {
    let (io, at) = three_records();
    let (mut log, _) = open(&io);
    append(&mut log, &[4, 5, 6]);
    drop(log);
    let fourth = at[2] + at[1] - at[0];
    io.damage(&segment_path(&directory(), 1), |bytes| bytes[fourth + 70] ^= 1);
    let (mut log, records) = open(&io);
    assert_eq!(values(&records), [1, 2, 3]);
    append(&mut log, &[7]); // as long as 4, so that 5 would follow it
    log.sync().unwrap();
    drop(log);
    assert_eq!(values(&open(&io).1), [1, 2, 3, 7]);
}

#[test]
fn a_segment_that_is_missing_or_misplaced_is_damage() {
    let make = || {
        let io = disk();
        let (mut log, _) = open(&io);
        for value in 1..=3 {
            append(&mut log, &[value]);
            log.roll().unwrap();
        }
        io
    };
    let segment = |number| segment_path(&directory(), number);
    let io = make();
    io.remove_file(&segment(2)).unwrap();
    is_corrupt(open_after(&io, 0), "middle missing");
    let io = make();
    io.remove_file(&segment(1)).unwrap();
    is_corrupt(open_after(&io, 0), "first missing");
    assert_eq!(values(&open_after(&io, 1).unwrap().1), [2, 3]);
    let io = make();
    io.rename(&segment(1), &segment(2)).unwrap();
    is_corrupt(open_after(&io, 0), "in another's place");
    let io = make();
    io.damage(&segment(2), |bytes| bytes.truncate(20));
    is_corrupt(open_after(&io, 0), "cut in its header");
    let io = make();
    io.damage(&segment(1), |bytes| bytes.truncate(SEGMENT_HEADER_BYTES));
    is_corrupt(open_after(&io, 0), "cut before its record");
}

#[test]
fn no_flipped_bit_changes_a_record() {
    let (io, at) = three_records();
    let path = segment_path(&directory(), 1);
    let end = at[2] + at[1] - at[0];
    for bit in 0..(end + 64) * 8 {
        let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
        let contents = io.contents(&path).unwrap();
        io.damage(&path, flip);
        match open_after(&io, 0) {
            Ok((_, records)) => {
                let found = values(&records);
                assert!(
                    found == [1, 2, 3] || (found == [1, 2] && bit / 8 >= at[2]),
                    "bit {bit}: {found:?}"
                );
            }
            Err(StorageError::Corrupt { .. }) => assert!(bit / 8 < at[2], "bit {bit}"),
            Err(other) => panic!("bit {bit}: {other}"),
        }
        io.damage(&path, |bytes| *bytes = contents);
    }
}

#[test]
fn a_full_disk_refuses_a_group_whole_and_takes_the_next_when_there_is_room() {
    let io = disk();
    let (mut log, _) = open(&io);
    append(&mut log, &[1]);
    log.sync().unwrap();
    io.set_capacity(io.used_bytes());
    let group = [pending(2, 10), pending(3, 3_000_000)];
    assert!(matches!(log.append(&group), Err(StorageError::Full { .. })));
    assert_eq!(log.last_index(), 1);
    append(&mut log, &[4]); // fits into what was written ahead
    io.set_capacity(u64::MAX);
    log.append(&group).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(values(&open(&io.power_cut(3)).1), [1, 4, 2, 3]);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    for k in 1..=2 {
        let io = disk();
        let (mut log, _) = open(&io);
        append(&mut log, &[1]);
        log.sync().unwrap();
        io.fail_call(1, Failure::Broken);
        if k == 2 {
            io.fail_call(3, Failure::Broken); // taking it back fails too
        }
        assert!(log.append(&[pending(2, 10), pending(3, 10), pending(4, 2000)]).is_err());
        assert_eq!(log.is_poisoned(), k == 2);
        if k == 1 {
            assert_eq!(values(&open(&io.kill()).1), [1]);
        }
    }
}

#[test]
fn a_failed_sync_is_final() {
    let io = disk();
    let (mut log, _) = open(&io);
    append(&mut log, &[1]);
    log.sync().unwrap();
    append(&mut log, &[2]);
    io.fail_call(1, Failure::Broken);
    assert!(matches!(log.sync(), Err(StorageError::Poisoned { vnode: VNODE })));
    assert!(matches!(log.sync(), Err(StorageError::Poisoned { .. })));
    assert!(matches!(
        log.append(&[pending(3, 1)]),
        Err(StorageError::Poisoned { .. })
    ));
    assert!(matches!(log.roll(), Err(StorageError::Poisoned { .. })));
    drop(log);
    let found = values(&open(&io.power_cut(5)).1);
    assert!(found == [1] || found == [1, 2], "{found:?}");
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What must be found: a prefix of what was appended that holds all that was synced.
struct Ledger {
    appended: Vec<i64>,
    synced: usize,
    flushed: usize,
}

impl Ledger {
    fn check(&mut self, records: &[Record], seed: u64) {
        for record in records {
            let at = record.index as usize - 1;
            assert_eq!(
                Some(&value(record)),
                self.appended.get(at),
                "seed {seed}, record {}",
                record.index
            );
        }
        let last = records.last().map_or(self.flushed, |record| record.index as usize);
        assert!(last >= self.synced, "seed {seed}: {last} found, {} synced", self.synced);
        if let Some(first) = records.first() {
            assert!(first.index as usize <= self.flushed + 1, "seed {seed}");
            assert_eq!(last, first.index as usize - 1 + records.len(), "seed {seed}: a hole");
        }
        self.appended.truncate(last);
        self.synced = last;
    }
}

/// Does something with the log; whether it succeeded.
fn random_step(log: &mut Log, ledger: &mut Ledger, random: &mut Random) -> Result<(), StorageError> {
    match random.below(12) {
        0..=5 => {
            let first = ledger.appended.len() as i64 * 1000;
            let group: Vec<Pending> = (0..1 + random.below(4) as i64)
                .map(|at| {
                    let sizes = [1, 30, 700, 9_000, 60_000];
                    pending(first + at, sizes[random.below(sizes.len() as u64) as usize])
                })
                .collect();
            let before = log.last_index();
            let result = log.append(&group);
            if result.is_ok() {
                ledger.appended.extend((0..group.len() as i64).map(|at| first + at));
            } else if !log.is_poisoned() {
                assert_eq!(log.last_index(), before);
            }
            result
        }
        6..=8 => {
            log.sync()?;
            ledger.synced = ledger.appended.len();
            Ok(())
        }
        9 | 10 => {
            log.roll()?;
            ledger.synced = ledger.appended.len();
            Ok(())
        }
        _ => {
            // As a flush does: what is purged is synced and in data files.
            log.sync()?;
            ledger.synced = ledger.appended.len();
            let index = random.below(ledger.synced as u64 + 1);
            ledger.flushed = ledger.flushed.max(index as usize);
            log.purge_prefix(ledger.flushed as u64)
        }
    }
}

#[test]
fn after_any_power_cut_all_that_was_synced_is_there_and_nothing_else_than_was_appended() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut io = disk();
        let mut ledger = Ledger {
            appended: Vec::new(),
            synced: 0,
            flushed: 0,
        };
        for life in 0..4 {
            let (mut log, records) = open_after(&io, ledger.flushed as u64).unwrap_or_else(|error| {
                panic!("seed {seed}, life {life}: {error}");
            });
            ledger.check(&records, seed);
            for _ in 0..random.below(12) {
                random_step(&mut log, &mut ledger, &mut random).unwrap();
            }
            io = match random.below(3) {
                0 => io.kill(),
                _ => io.power_cut(random.below(u64::MAX)),
            };
        }
    }
}

#[test]
fn whichever_call_fails_nothing_that_was_synced_is_lost() {
    for failure in [Failure::Broken, Failure::Full] {
        for k in 1.. {
            let io = disk();
            let mut random = Random(11);
            let mut ledger = Ledger {
                appended: Vec::new(),
                synced: 0,
                flushed: 0,
            };
            io.fail_call(k, failure);
            if let Ok((mut log, _)) = open_after(&io, 0) {
                for _ in 0..25 {
                    let before = ledger.appended.len();
                    if random_step(&mut log, &mut ledger, &mut random).is_err() {
                        assert_eq!(ledger.appended.len(), before);
                    }
                }
                // A log that is not poisoned goes on as if nothing had been.
                io.heal();
                if !log.is_poisoned() {
                    log.append(&[pending(-1, 10)]).unwrap();
                    log.sync().unwrap();
                    ledger.appended.push(-1);
                    ledger.synced = ledger.appended.len();
                }
            }
            let failed = io.failed();
            let io = if k % 2 == 0 { io.kill() } else { io.power_cut(k) };
            let (_, records) = open_after(&io, ledger.flushed as u64).unwrap_or_else(|error| {
                panic!("call {k} {failure:?}: {error}");
            });
            // A sync that failed may have left its records on disk.
            ledger.check(&records, k);
            if failed == 0 {
                assert!(k > 40, "only {k} calls");
                break;
            }
        }
    }
}

#[test]
fn a_segment_of_version_1_is_read_and_followed_by_one_of_version_2() {
    let io = disk();
    let (mut log, _) = open(&io);
    log.append(&[pending(1, 10)]).unwrap();
    log.sync().unwrap();
    drop(log);
    let (first, second) = (segment_path(&directory(), 1), segment_path(&directory(), 2));
    io.damage(&first, |bytes| {
        bytes[7] = 1;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..8]), &bytes[12..SEGMENT_HEADER_BYTES]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    });
    let (mut log, records) = open(&io);
    assert_eq!(values(&records), [1]);
    log.append(&[pending(2, 10)]).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(io.contents(&first).unwrap()[..8], *b"TAOSWAL\x01");
    assert_eq!(io.contents(&second).unwrap()[..8], *b"TAOSWAL\x02");
    assert_eq!(values(&open(&io.power_cut(1)).1), [1, 2]);
}
