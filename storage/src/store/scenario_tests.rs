//! What happens to a vnode over its life, one story a test.

use std::path::PathBuf;
use std::sync::Arc;

use super::manifest::Manifest;
use super::model_tests::{DIRECTORY, Row, SPAN, collect, columns, data_files, disk, open, options, to_rows};
use super::{Pace, VnodeStore};
use crate::data_file::{DataFile, DataFileId};
use crate::io::SimulatedIo;
use crate::{
    Change, ColumnBound, ColumnId, Compression, Conflict, Direction, FamilyId, ScanCounters, ScanRequest, SeriesId,
    SeriesSet, StorageError, TimeRange, UpdateMode, VnodeId, VnodeOptions,
};

const FAMILY: FamilyId = FamilyId(1);
const OTHER: FamilyId = FamilyId(2);

/// A vnode, and the index of its next log record.
struct Vnode {
    io: SimulatedIo,
    store: VnodeStore,
    next: u64,
}

impl Vnode {
    fn new() -> Vnode {
        let io = disk();
        Vnode {
            store: open(&io, UpdateMode::MergeColumns),
            io,
            next: 1,
        }
    }

    fn apply(&mut self, change: Change) {
        self.store.apply(self.next, vec![change]);
        self.next += 1;
    }

    /// Writes a row at each of the times, its values the time itself.
    fn write(&mut self, family: FamilyId, series: u32, times: impl IntoIterator<Item = i64>) {
        let rows: Vec<Row> = times.into_iter().map(|time| (series, time, [Some(time); 3])).collect();
        self.apply(Change::Rows(to_rows(family, Conflict::ByVnode, &rows, false)));
    }

    fn flush(&mut self) {
        self.store.freeze();
        assert_eq!(self.store.flush_frozen().unwrap(), self.next - 1);
    }

    fn times(&self, family: FamilyId, series: u32) -> Vec<i64> {
        let found = collect(&self.store.view(), &request(family, &[series]));
        found.into_iter().map(|row| row.1).collect()
    }

    fn manifest(&self) -> Manifest {
        Manifest::read(&self.io, DIRECTORY.as_ref()).unwrap().unwrap()
    }

    fn files(&self) -> Vec<(PathBuf, u64)> {
        let manifest = self.manifest();
        let path = |group: i64, number: u64| PathBuf::from(DIRECTORY).join(format!("{group}/{number}.data"));
        let files = manifest.files.iter();
        files
            .map(|entry| (path(entry.group, entry.number), entry.number))
            .collect()
    }
}

fn request(family: FamilyId, series: &[u32]) -> ScanRequest {
    ScanRequest {
        family,
        series: SeriesSet::List(series.iter().map(|series| SeriesId(*series)).collect()),
        time: TimeRange::ALL,
        columns: columns(),
        bounds: Vec::new(),
        direction: Direction::Ascending,
        limit_per_series: None,
        batch_rows: 8192,
    }
}

fn counters(vnode: &Vnode, request: &ScanRequest) -> (usize, ScanCounters) {
    let mut scan = vnode.store.view().scan(request).unwrap();
    let rows = scan.by_ref().map(|batch| batch.unwrap().rows()).sum();
    (rows, scan.counters())
}

#[test]
fn a_late_row_lands_in_its_own_place() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, [10, 20, 30]);
    vnode.flush();
    vnode.write(FAMILY, 1, [25]);
    assert_eq!(vnode.times(FAMILY, 1), [10, 20, 25, 30]);
    vnode.flush();
    vnode.write(FAMILY, 1, [5 * SPAN, -3 * SPAN]);
    vnode.flush();
    assert_eq!(vnode.times(FAMILY, 1), [-3 * SPAN, 10, 20, 25, 30, 5 * SPAN]);
    let groups: Vec<i64> = vnode
        .store
        .statistics()
        .file_groups
        .iter()
        .map(|group| group.0)
        .collect();
    assert_eq!(groups, [-3 * SPAN, 0, 5 * SPAN]);
}

#[test]
fn a_damaged_block_leaves_the_others_readable() {
    let mut vnode = Vnode::new();
    for series in 1..=3 {
        vnode.write(FAMILY, series, 0..90);
    }
    vnode.apply(Change::Rows(to_rows(
        FAMILY,
        Conflict::ByVnode,
        &(0..90).map(|time| (2, time, [Some(7); 3])).collect::<Vec<_>>(),
        false,
    )));
    vnode.flush();
    let (path, number) = vnode.files().remove(0);
    let id = DataFileId {
        vnode: VnodeId(3),
        number,
    };
    let file = DataFile::open(&vnode.io, &path, id).unwrap();
    let blocks = file.find(FAMILY, SeriesId(2), SeriesId(2));
    let shared = file.blocks()[blocks.clone()]
        .iter()
        .any(|block| block.first_series != block.last_series);
    assert!(!shared, "each series has blocks of its own");
    let block = file.blocks()[blocks.start].clone();
    vnode.io.damage(&path, |bytes| {
        bytes[block.offset as usize + block.bytes as usize / 2] ^= 1
    });

    vnode.store = open(&vnode.io, UpdateMode::MergeColumns);
    let view = vnode.store.view();
    let mut damaged = view.scan(&request(FAMILY, &[2])).unwrap();
    let is_corrupt = |error: &StorageError| matches!(error, StorageError::Corrupt { file, .. } if *file == path);
    assert!(damaged.find_map(Result::err).is_some_and(|error| is_corrupt(&error)));
    assert!(damaged.next().is_none(), "an error ends a scan");
    assert_eq!(vnode.times(FAMILY, 1).len(), 90);
    assert_eq!(vnode.times(FAMILY, 3).len(), 90);
    // Compaction meets it as well, and leaves the file alone from then on.
    assert!(vnode.store.compact_all().is_err());
    assert_eq!(vnode.times(FAMILY, 3).len(), 90);
}

#[test]
fn a_dropped_family_gives_its_space_back() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, 0..90);
    vnode.flush();
    vnode.write(FAMILY, 1, 0..50);
    vnode.write(OTHER, 2, 0..50);
    vnode.flush();
    assert_eq!(vnode.store.statistics().data_files, 2);
    assert!(!vnode.store.wants_flush());
    vnode.apply(Change::DropFamily(FAMILY));
    assert!(vnode.store.wants_flush());
    assert!(vnode.times(FAMILY, 1).is_empty());
    // The file that holds nothing else goes with the flush, the shared one is rewritten.
    vnode.flush();
    assert_eq!(data_files(&vnode.io), 1);
    assert!(vnode.store.compact_once(Pace::Calm).unwrap());
    assert_eq!(vnode.store.statistics().rows_in_files, 50);
    assert!(vnode.manifest().deletes.is_empty());
    assert_eq!(vnode.times(OTHER, 2).len(), 50);
    assert!(!vnode.store.compact_once(Pace::Calm).unwrap());
}

#[test]
fn the_last_row_of_a_group_takes_the_group_along() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, [10, SPAN + 10]);
    vnode.flush();
    vnode.apply(Change::Delete {
        family: FAMILY,
        series: SeriesSet::All,
        time: TimeRange::new(0, SPAN - 1).unwrap(),
    });
    vnode.flush();
    assert_eq!(vnode.store.statistics().file_groups.len(), 1);
    let groups = vnode.io.files();
    assert!(
        !groups
            .iter()
            .any(|(path, _)| path.starts_with(PathBuf::from(DIRECTORY).join("0")))
    );
}

#[test]
fn expired_groups_go_and_older_rows_are_hidden() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, [10, SPAN + 10, SPAN + 50, 2 * SPAN]);
    vnode.flush();
    vnode.store.expire(SPAN + 20).unwrap();
    assert_eq!(vnode.times(FAMILY, 1), [SPAN + 50, 2 * SPAN]);
    assert_eq!(data_files(&vnode.io), 2);
    // What arrives too late is not shown, and takes no room.
    vnode.write(FAMILY, 1, [20, SPAN + 11]);
    assert_eq!(vnode.times(FAMILY, 1), [SPAN + 50, 2 * SPAN]);
    vnode.flush();
    assert_eq!(data_files(&vnode.io), 2);
    vnode.store = open(&vnode.io, UpdateMode::MergeColumns);
    assert_eq!(vnode.times(FAMILY, 1), [SPAN + 50, 2 * SPAN]);
    vnode.store.compact_all().unwrap();
    let newest = vnode.store.view().newest(FAMILY, &SeriesSet::All, &columns()).unwrap();
    assert_eq!(&newest.times[..], [2 * SPAN]);
}

#[test]
fn a_view_keeps_the_files_that_it_shows() {
    let mut vnode = Vnode::new();
    for time in [1, 2, 3] {
        vnode.write(FAMILY, 1, [time]);
        vnode.flush();
    }
    let view = vnode.store.view();
    vnode.store.compact_all().unwrap();
    assert_eq!(data_files(&vnode.io), 4);
    assert_eq!(collect(&view, &request(FAMILY, &[1])).len(), 3);
    drop(view);
    assert_eq!(data_files(&vnode.io), 1);
}

#[test]
fn a_quiet_group_is_sealed() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, 0..90);
    vnode.flush();
    for group in 1..5 {
        assert!(!vnode.store.compact_once(Pace::Calm).unwrap());
        vnode.write(FAMILY, 1, [group * SPAN]);
        vnode.flush();
    }
    vnode.write(FAMILY, 1, [5 * SPAN]);
    vnode.flush();
    while vnode.store.compact_once(Pace::Calm).unwrap() {}
    let files = vnode.manifest().files;
    let sealed = |group| {
        files
            .iter()
            .any(|file| file.group == group && file.compression == Compression::High)
    };
    assert!(sealed(0) && sealed(1));
    assert!(!sealed(4) && !sealed(5));
    assert_eq!(vnode.times(FAMILY, 1).len(), 95);
}

#[test]
fn many_small_flushes_make_few_files() {
    let mut vnode = Vnode::new();
    for time in 0..90 {
        vnode.write(FAMILY, 1, [time]);
        vnode.flush();
        while vnode.store.compact_once(Pace::Calm).unwrap() {}
    }
    assert!(vnode.store.statistics().data_files < 10);
    assert_eq!(vnode.times(FAMILY, 1), (0..90).collect::<Vec<_>>());
}

#[test]
fn a_limited_scan_reads_no_more_than_it_needs() {
    let mut vnode = Vnode::new();
    for series in 0..3 {
        vnode.write(FAMILY, series, 0..1000);
    }
    vnode.flush();
    let newest = ScanRequest {
        direction: Direction::Descending,
        limit_per_series: Some(1),
        ..request(FAMILY, &[0, 1, 2])
    };
    let (rows, counters) = counters(&vnode, &newest);
    assert_eq!(rows, 3);
    assert_eq!((counters.blocks_taken, counters.file_groups_taken), (3, 10));
}

#[test]
fn older_rows_of_a_block_follow_where_newer_ones_do_not_count() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, 0..60);
    vnode.flush();
    let newest = |rows: usize, least: i64| ScanRequest {
        direction: Direction::Descending,
        limit_per_series: Some(rows),
        time: TimeRange::new(least, SPAN).unwrap(),
        ..request(FAMILY, &[1])
    };
    let times = |vnode: &Vnode, request: &ScanRequest| -> Vec<i64> {
        let found = collect(&vnode.store.view(), request);
        found.into_iter().map(|row| row.1).collect()
    };
    assert_eq!(times(&vnode, &newest(3, 0)), [59, 58, 57]);
    // One of the three newest goes, and one is written anew.
    vnode.apply(Change::Delete {
        family: FAMILY,
        series: SeriesSet::All,
        time: TimeRange::new(58, 58).unwrap(),
    });
    vnode.write(FAMILY, 1, [57]);
    assert_eq!(times(&vnode, &newest(3, 0)), [59, 57, 56]);
    vnode.apply(Change::Delete {
        family: FAMILY,
        series: SeriesSet::All,
        time: TimeRange::new(20, 59).unwrap(),
    });
    assert_eq!(times(&vnode, &newest(3, 0)), [19, 18, 17]);
    // Where the span ends with the part, or with the block, nothing is left to visit.
    assert_eq!(times(&vnode, &newest(3, 59)), Vec::<i64>::new());
    assert_eq!(times(&vnode, &newest(3, 19)), [19]);
    assert_eq!(times(&vnode, &newest(25, 0)), (0..20).rev().collect::<Vec<_>>());
}

#[test]
fn bounds_skip_blocks_but_never_a_version_that_counts() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, 0..1000);
    vnode.flush();
    let within = |least: i64| ScanRequest {
        bounds: vec![ColumnBound {
            column: ColumnId(0),
            min: Some(least as f64),
            max: None,
        }],
        ..request(FAMILY, &[1])
    };
    let (rows, all) = counters(&vnode, &within(0));
    assert_eq!(rows, 1000);
    let (rows, few) = counters(&vnode, &within(990));
    assert!((10..100).contains(&rows), "{rows}");
    assert_eq!(few.blocks_taken + few.blocks_skipped, all.blocks_taken);
    // The row at 995 becomes small. Its old version alone is within the bounds: were only that one's block read, it would be shown again.
    vnode.apply(Change::Rows(to_rows(
        FAMILY,
        Conflict::ByVnode,
        &[(1, 995, [Some(3); 3])],
        false,
    )));
    vnode.flush();
    let found = collect(&vnode.store.view(), &within(990));
    assert!(found.iter().all(|row| row.1 != 995 || row.2[0] == Some(3)));
}

#[test]
fn a_vnode_keeps_its_mode_and_its_groups() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, [1]);
    vnode.flush();
    let other = VnodeOptions {
        group_span: SPAN * 2,
        ..options(UpdateMode::MergeColumns)
    };
    for options in [other, options(UpdateMode::KeepFirst)] {
        let io = Arc::new(vnode.io.clone());
        let refused = VnodeStore::open(io, DIRECTORY.into(), VnodeId(3), options);
        assert!(matches!(refused, Err(StorageError::Refused(_))));
    }
}

/// An upsert into a vnode that keeps the first row, on top of a row that may itself have to give way.
#[test]
fn an_upsert_where_the_first_row_stays() {
    let io = disk();
    let store = open(&io, UpdateMode::KeepFirst);
    let write = |index, conflict, values| {
        let rows = to_rows(FAMILY, conflict, &[(1, 5, values)], false);
        store.apply(index, vec![Change::Rows(rows)]);
    };
    let values = || collect(&store.view(), &request(FAMILY, &[1]))[0].2;
    write(1, Conflict::ByVnode, [Some(1), None, None]);
    store.freeze();
    store.flush_frozen().unwrap();
    write(2, Conflict::ByVnode, [Some(2), Some(2), None]);
    write(3, Conflict::Merge, [None, None, Some(3)]);
    assert_eq!(values(), [Some(1), None, Some(3)]);
    store.freeze();
    store.flush_frozen().unwrap();
    assert_eq!(values(), [Some(1), None, Some(3)]);
    store.compact_all().unwrap();
    assert_eq!(values(), [Some(1), None, Some(3)]);
}

#[test]
fn what_is_there_already_is_not_written_again() {
    let mut vnode = Vnode::new();
    vnode.write(FAMILY, 1, [1, 2]);
    vnode.flush();
    let rows = to_rows(
        FAMILY,
        Conflict::Keep,
        &[(1, 2, [None; 3]), (1, 3, [Some(1); 3]), (1, 3, [Some(2); 3])],
        false,
    );
    let absent = vnode.store.absent(&rows, &[]).unwrap();
    assert_eq!((&absent.times[..], absent.columns[0].1.len()), (&[3][..], 1));
    let earlier = Change::Rows(to_rows(FAMILY, Conflict::ByVnode, &[(1, 3, [Some(9); 3])], false));
    assert!(vnode.store.absent(&rows, &[earlier]).unwrap().is_empty());
}
