//! What the log costs: bytes for a row, commits in a second, rows replayed in a second.
//!
//! `cargo bench -p taospg-storage --bench log [directory]`. The directory (default: the system's for temporary files) should be on the
//! disk that is meant: most of a small commit is waiting for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int32Array};
use taospg_storage::io::RealIo;
use taospg_storage::{
    Change, ColumnId, Compression, Conflict, Durability, FamilyId, Rows, Storage, StorageOptions, Transaction,
    UpdateMode, VnodeId, VnodeOptions,
};

const METRICS: u16 = 10;

fn options(data_dir: &Path) -> StorageOptions {
    StorageOptions {
        data_dir: data_dir.to_path_buf(),
        memtable_bytes: 4 << 30,
        memtables_bytes_max: 8 << 30,
        overload_wait: Duration::from_secs(10),
        wal_segment_bytes: 64 << 20,
    }
}

fn vnode_options() -> VnodeOptions {
    VnodeOptions {
        group_span: 86_400_000_000 * 10,
        update: UpdateMode::MergeColumns,
        compression: Compression::Fast,
        flush_interval_ms: 3_600_000,
        block_rows_max: 4096,
    }
}

/// Devices whose ten metrics walk between 0 and 100, as in TSBS.
struct Fleet {
    state: u64,
    time: i64,
    metrics: Vec<[i32; METRICS as usize]>,
}

impl Fleet {
    fn new(devices: usize) -> Fleet {
        Fleet {
            state: 1,
            time: 1_700_000_000_000_000,
            metrics: vec![[50; METRICS as usize]; devices],
        }
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// One row of each device, ten seconds after the last.
    fn next(&mut self) -> Rows {
        self.time += 10_000_000;
        let devices = self.metrics.len();
        let mut columns: Vec<Vec<i32>> = vec![Vec::with_capacity(devices); METRICS as usize];
        for device in 0..devices {
            for (metric, column) in columns.iter_mut().enumerate() {
                let step = (self.random() % 3) as i32 - 1;
                let value = (self.metrics[device][metric] + step).clamp(0, 100);
                self.metrics[device][metric] = value;
                column.push(value);
            }
        }
        let columns = (1..=METRICS).zip(columns);
        Rows {
            family: FamilyId(1),
            series: (0..devices as u32).collect::<Vec<_>>().into(),
            times: vec![self.time; devices].into(),
            columns: columns
                .map(|(id, column)| (ColumnId(id), Arc::new(Int32Array::from(column)) as ArrayRef))
                .collect(),
            conflict: Conflict::ByVnode,
        }
    }
}

fn transaction(rows: Rows, durability: Durability) -> Transaction {
    Transaction {
        changes: BTreeMap::from([(VnodeId(1), vec![Change::Rows(rows)])]),
        durability,
    }
}

fn rate(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

async fn commits(storage: &Arc<Storage>, committers: u32, durability: Durability) -> f64 {
    let begin = Instant::now();
    let mut tasks = Vec::new();
    for committer in 0..committers {
        let storage = storage.clone();
        tasks.push(tokio::spawn(async move {
            let mut fleet = Fleet::new(1);
            let mut done = 0u64;
            while begin.elapsed() < Duration::from_secs(2) {
                let mut rows = fleet.next();
                rows.series = vec![1_000_000 + committer].into();
                storage
                    .commit(transaction(rows, durability))
                    .await
                    .expect("a commit on a healthy disk");
                done += 1;
            }
            done
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await.expect("the task does not panic");
    }
    rate(done, begin)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let parent = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let parent = parent.map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(parent).expect("a directory for the benchmark");
    let open = || Arc::new(Storage::open(options(directory.path()), Arc::new(RealIo)).expect("storage opens"));

    for batch in [1usize, 10, 100, 1_000, 10_000] {
        let storage = open();
        storage
            .create_vnode(VnodeId(1), vnode_options())
            .expect("a vnode is made");
        let wal = directory.path().join("vnode/1/wal");
        let mut fleet = Fleet::new(batch);
        let repeats = (1_000_000 / batch).min(20_000);
        let begin = Instant::now();
        for _ in 0..repeats {
            storage
                .commit(transaction(fleet.next(), Durability::Kernel))
                .await
                .expect("a commit on a healthy disk");
        }
        let rows = (batch * repeats) as u64;
        let written = rate(rows, begin);
        storage.close().await.expect("the log syncs");
        drop(storage);
        let bytes: u64 = std::fs::read_dir(&wal)
            .expect("the log is there")
            .map(|entry| {
                entry
                    .and_then(|entry| entry.metadata())
                    .map_or(0, |metadata| metadata.len())
            })
            .sum();
        let begin = Instant::now();
        let storage = open();
        println!(
            "batches of {batch:>6} rows: {:>6.1} wal bytes/row (1 MiB of zeros at most included), {:>10.0} rows/s written by one, {:>10.0} rows/s replayed",
            bytes as f64 / rows as f64,
            written,
            rate(rows, begin),
        );
        storage.drop_vnode(VnodeId(1)).expect("the vnode goes");
    }

    let storage = open();
    storage
        .create_vnode(VnodeId(1), vnode_options())
        .expect("a vnode is made");
    for committers in [1, 16, 64] {
        for durability in [Durability::Disk, Durability::Kernel] {
            let rate = commits(&storage, committers, durability).await;
            println!("{committers:>3} committers, {durability:?}: {rate:.0} commits/s of one row");
        }
    }
}
