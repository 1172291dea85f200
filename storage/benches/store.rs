//! How fast the store takes, flushes, gives back and merges rows: ten doubles a row, a fleet of devices reporting in turn.
//!
//! `cargo bench --profile release -p taospg-storage --bench store`, one core, in a temporary directory. Rows and devices with ROWS and DEVICES.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use taospg_storage::io::RealIo;
use taospg_storage::store::VnodeStore;
use taospg_storage::{
    Change, ColumnId, Compression, Conflict, Direction, FamilyId, Rows, ScanColumn, ScanRequest, SeriesSet, TimeRange,
    UpdateMode, VnodeId, VnodeOptions,
};

const COLUMNS: u16 = 10;
const BATCH_ROWS: usize = 64 * 1024;
const FAMILY: FamilyId = FamilyId(1);
/// Ten seconds between two rows of a device, in microseconds.
const STEP: i64 = 10_000_000;
const DAY: i64 = 86_400_000_000;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// Rows `from..from + rows` of all devices reporting in turn; each value walks between 0 and 100 in whole steps.
fn batch(from: usize, rows: usize, devices: usize, walk: &mut [i8]) -> Rows {
    let at = from..from + rows;
    let columns = (0..COLUMNS).map(|column| {
        let values = at.clone().map(|row| {
            let place = &mut walk[(row % devices) * COLUMNS as usize + column as usize];
            let turn = (row.wrapping_mul(0x9e37_79b9) ^ (column as usize * 7919)) >> 7;
            *place = (*place + (turn % 3) as i8 - 1).clamp(0, 100);
            f64::from(*place)
        });
        let array: ArrayRef = Arc::new(values.collect::<Float64Array>());
        (ColumnId(column), array)
    });
    Rows {
        family: FAMILY,
        columns: columns.collect(),
        series: at.clone().map(|row| (row % devices) as u32).collect::<Vec<_>>().into(),
        times: at.map(|row| (row / devices) as i64 * STEP).collect::<Vec<_>>().into(),
        conflict: Conflict::ByVnode,
    }
}

fn report(what: &str, rows: usize, took: Duration) {
    let rate = rows as f64 / took.as_secs_f64() / 1e6;
    println!(
        "{what:<48} {rows:>10} rows {:>9.1} ms {rate:>9.2} M rows/s",
        took.as_secs_f64() * 1e3
    );
}

fn timed<R>(what: &str, rows: usize, f: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = f();
    report(what, rows, start.elapsed());
    result
}

fn request(series: SeriesSet, columns: u16) -> ScanRequest {
    ScanRequest {
        family: FAMILY,
        series,
        time: TimeRange::ALL,
        columns: wanted(columns),
        bounds: Vec::new(),
        direction: Direction::Ascending,
        limit_per_series: None,
        batch_rows: 8192,
    }
}

fn wanted(columns: u16) -> Vec<ScanColumn> {
    (0..columns)
        .map(|id| ScanColumn {
            id: ColumnId(id),
            data_type: DataType::Float64,
        })
        .collect()
}

fn scanned(store: &VnodeStore, request: &ScanRequest) -> usize {
    let scan = store.view().scan(request).expect("scans");
    scan.map(|batch| black_box(batch.expect("a batch")).rows()).sum()
}

fn newest(store: &VnodeStore, what: &str, devices: usize) {
    timed(what, devices, || {
        let batch = store
            .view()
            .newest(FAMILY, &SeriesSet::All, &wanted(COLUMNS))
            .expect("newest rows");
        assert_eq!(batch.rows(), devices);
    });
}

fn main() {
    let rows = number("ROWS", 2_000_000) / BATCH_ROWS * BATCH_ROWS;
    let devices = number("DEVICES", 4_000);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let options = VnodeOptions {
        group_span: 10 * DAY,
        update: UpdateMode::MergeColumns,
        compression: Compression::Fast,
        flush_interval_ms: 1000,
        block_rows_max: 4096,
    };
    let path = folder.path().join("vnode");
    let store = VnodeStore::open(Arc::new(RealIo), path, VnodeId(1), options).expect("opens");
    println!("{devices} devices, {COLUMNS} doubles a row");

    let mut walk = vec![50; devices * COLUMNS as usize];
    let mut index = 0;
    let mut fill = |store: &VnodeStore, from: usize, rows: usize, size: usize| {
        let batches: Vec<Rows> = (from..from + rows)
            .step_by(size)
            .map(|at| batch(at, size.min(from + rows - at), devices, &mut walk))
            .collect();
        timed(&format!("apply, {size} rows at a time"), rows, || {
            for rows in batches {
                index += 1;
                store.apply(index, vec![Change::Rows(rows)]);
            }
        });
    };

    fill(&store, 0, rows, BATCH_ROWS);
    newest(&store, "newest of all from memory, first time", devices);
    newest(&store, "newest of all from memory, again", devices);
    timed("scan of the memtable", rows, || {
        assert_eq!(scanned(&store, &request(SeriesSet::All, COLUMNS)), rows)
    });
    fill(&store, rows, 100_000, 1);
    fill(&store, rows + 100_000, 100_000, 10);
    let rows = rows + 200_000;
    assert!(store.freeze());
    timed("flush", rows, || store.flush_frozen().expect("flushes"));
    let statistics = store.statistics();
    println!("{:.2} bytes a row on disk", statistics.data_bytes as f64 / rows as f64);

    newest(&store, "newest of all after the flush", devices);
    for columns in [10, 1] {
        timed(&format!("scan of one file, {columns} columns"), rows, || {
            assert_eq!(scanned(&store, &request(SeriesSet::All, columns)), rows);
        });
    }
    let reopened = Instant::now();
    let one = SeriesSet::List(Arc::from([taospg_storage::SeriesId(devices as u32 / 2)]));
    let mut of_one = 0;
    for _ in 0..1000 {
        of_one += scanned(&store, &request(one.clone(), 1));
    }
    report("scan of one series, one column, 1000 times", of_one, reopened.elapsed());

    let mut rows = rows;
    for _ in 0..4 {
        fill(&store, rows, 4 * BATCH_ROWS, BATCH_ROWS);
        rows += 4 * BATCH_ROWS;
        store.freeze();
        timed("flush", 4 * BATCH_ROWS, || store.flush_frozen().expect("flushes"));
    }
    timed("scan of five files", rows, || {
        assert_eq!(scanned(&store, &request(SeriesSet::All, COLUMNS)), rows)
    });
    timed("compaction of five files", rows, || {
        store.compact_all().expect("compacts")
    });
    timed("scan of one file", rows, || {
        assert_eq!(scanned(&store, &request(SeriesSet::All, COLUMNS)), rows)
    });
    // Again what is there already: every key meets its older version.
    fill(&store, 0, 4 * BATCH_ROWS, BATCH_ROWS);
    timed("scan with 262144 rows written twice", rows, || {
        assert_eq!(scanned(&store, &request(SeriesSet::All, COLUMNS)), rows);
    });
}
