//! Bytes and speed of encoded columns and of data files, on data like that of device fleets. `cargo bench -p taospg-storage --bench codecs`.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use taospg_storage::codec::{decode, encode};
use taospg_storage::data_file::{DataFileId, DataFileWriter, SortedRows};
use taospg_storage::io::{Io, IoFile};
use taospg_storage::{ColumnId, Compression, FamilyId, VnodeId};

/// Rows of a full block, as data files have them.
const ROWS: usize = 4096;

/// How long each measurement goes on: enough for a steady figure.
const MEASURED: Duration = Duration::from_millis(150);

fn main() {
    let mut random = StdRng::seed_from_u64(1);
    println!(
        "{:<34} {:>5} {:>10} {:>12} {:>12}",
        "column", "comp", "bits/value", "encode M/s", "decode M/s"
    );
    for (name, array) in columns(&mut random) {
        for compression in [Compression::Fast, Compression::High] {
            measure(name, &array, compression);
        }
    }
    println!(
        "\n{:<34} {:>10} {:>10} {:>12}",
        "file of ten-metric rows", "block rows", "bytes/row", "write Mrow/s"
    );
    for series_rows in [60, 300, 1000, 4096] {
        for (name, step) in [("doubles, steps of 1", true), ("doubles, normal steps", false)] {
            file(name, &mut random, series_rows, step);
        }
    }
}

fn walk(random: &mut StdRng, rows: usize, unit_steps: bool) -> Vec<f64> {
    let mut level: f64 = random.random_range(0.0..100.0);
    (0..rows)
        .map(|_| {
            let step = if unit_steps {
                f64::from(random.random_range(-1..=1))
            } else {
                // Twelve uniform numbers less six are nearly normal.
                (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
            };
            level = (level + step).clamp(0.0, 100.0);
            level.round()
        })
        .collect()
}

fn columns(random: &mut StdRng) -> Vec<(&'static str, ArrayRef)> {
    let unit = walk(random, ROWS, true);
    let normal = walk(random, ROWS, false);
    let start = 1_451_606_400_000_000i64;
    let jitter: Vec<i64> = (0..ROWS as i64)
        .map(|row| start + row * 10_000_000 + random.random_range(0..5000) * 1000)
        .collect();
    let mut counter = 0;
    let counters: Vec<i64> = (0..ROWS)
        .map(|_| {
            counter += random.random_range(0..100);
            counter
        })
        .collect();
    let irrational: Vec<f64> = (0..ROWS).map(|_| random.random::<f64>().sqrt()).collect();
    let names: Vec<String> = (0..ROWS)
        .map(|_| format!("state of the machine {}", random.random_range(0..6)))
        .collect();
    let messages: Vec<String> = (0..ROWS)
        .map(|row| format!("request {row} took {} us on worker-1", random.random_range(0..9999)))
        .collect();
    vec![
        ("double, integer walk by 1", Arc::new(Float64Array::from(unit.clone()))),
        (
            "double, integer walk, normal",
            Arc::new(Float64Array::from(normal.clone())),
        ),
        (
            "bigint, integer walk, normal",
            Arc::new(Int64Array::from_iter_values(normal.iter().map(|v| *v as i64))),
        ),
        (
            "int, integer walk, normal",
            Arc::new(Int32Array::from_iter_values(normal.iter().map(|v| *v as i32))),
        ),
        (
            "double, tenths",
            Arc::new(Float64Array::from_iter_values(normal.iter().map(|v| v / 10.0))),
        ),
        (
            "real, hundredths",
            Arc::new(Float32Array::from_iter_values(
                normal.iter().map(|v| (v / 100.0) as f32),
            )),
        ),
        ("double, irrational", Arc::new(Float64Array::from(irrational))),
        ("bigint, counter", Arc::new(Int64Array::from(counters))),
        (
            "bigint, 0..100 at random",
            Arc::new(Int64Array::from_iter_values(
                (0..ROWS).map(|_| random.random_range(0..100)),
            )),
        ),
        (
            "time, regular",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                (0..ROWS as i64).map(|row| start + row * 10_000_000),
            )),
        ),
        (
            "time in us, jitter in ms",
            Arc::new(TimestampMicrosecondArray::from(jitter)),
        ),
        (
            "bool, at random",
            Arc::new(
                (0..ROWS)
                    .map(|_| Some(random.random::<bool>()))
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "double, a tenth null",
            Arc::new(Float64Array::from_iter(
                normal.iter().map(|v| random.random_bool(0.9).then_some(*v)),
            )),
        ),
        ("text, six states", Arc::new(StringViewArray::from_iter_values(names))),
        ("text, messages", Arc::new(StringViewArray::from_iter_values(messages))),
    ]
}

/// Million rows a second of processor time of something done to `rows` rows.
fn speed(rows: usize, mut work: impl FnMut()) -> f64 {
    work();
    let wall = Instant::now();
    let start = processor_time();
    let mut times = 0u32;
    while wall.elapsed() < MEASURED {
        work();
        times += 1;
    }
    let spent = match (start, processor_time()) {
        (Some(start), Some(end)) => end - start,
        _ => wall.elapsed(),
    };
    f64::from(times) * rows as f64 / spent.as_secs_f64() / 1e6
}

/// Time this thread had a processor, where the system tells: a busy machine then gives the same figures.
fn processor_time() -> Option<Duration> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = line.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn measure(name: &str, array: &ArrayRef, compression: Compression) {
    let mut out = Vec::new();
    encode(array, compression, &mut out);
    let bits = out.len() as f64 * 8.0 / array.len() as f64;
    let mut scratch = Vec::new();
    let encoding = speed(array.len(), || {
        scratch.clear();
        encode(black_box(array), compression, &mut scratch);
    });
    let decoding = speed(array.len(), || {
        black_box(decode(black_box(&out), array.data_type(), array.len()).expect("undamaged"));
    });
    let compression = format!("{compression:?}");
    println!("{name:<34} {compression:>5} {bits:>10.2} {encoding:>12.0} {decoding:>12.0}");
}

/// A file of ten metrics for some series of so many rows each.
fn file(name: &str, random: &mut StdRng, series_rows: usize, unit_steps: bool) {
    let series = (100_000 / series_rows).max(1);
    let rows = series * series_rows;
    let columns = (1..=10)
        .map(|id| {
            let values = (0..series).flat_map(|_| walk(random, series_rows, unit_steps));
            (
                ColumnId(id),
                Arc::new(Float64Array::from_iter_values(values)) as ArrayRef,
            )
        })
        .collect();
    let rows_sorted = SortedRows {
        series: (0..rows).map(|row| (row / series_rows) as u32).collect(),
        times: (0..rows)
            .map(|row| 1_451_606_400_000_000 + (row % series_rows) as i64 * 10_000_000)
            .collect(),
        columns,
        replaces: None,
    };
    let write = || {
        let id = DataFileId {
            vnode: VnodeId(1),
            number: 1,
        };
        let mut writer =
            DataFileWriter::create(&Nowhere, Path::new("1.data"), id, Compression::Fast, ROWS).expect("created");
        writer.append(FamilyId(1), &rows_sorted).expect("in order");
        writer.finish().expect("written")
    };
    let bytes = write();
    let speed = speed(rows, || {
        black_box(write());
    });
    println!(
        "{name:<34} {series_rows:>10} {:>10.2} {speed:>12.2}",
        bytes as f64 / rows as f64
    );
}

/// A disk that takes everything and keeps nothing: the codecs are measured, not the disk.
struct Nowhere;

impl IoFile for Nowhere {
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn write_all_at(&self, bytes: &[u8], _: u64) -> std::io::Result<()> {
        black_box(bytes);
        Ok(())
    }
    fn len(&self) -> std::io::Result<u64> {
        Ok(0)
    }
    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Io for Nowhere {
    fn create(&self, _: &Path) -> std::io::Result<Box<dyn IoFile>> {
        Ok(Box::new(Nowhere))
    }
    fn open(&self, _: &Path) -> std::io::Result<Box<dyn IoFile>> {
        Ok(Box::new(Nowhere))
    }
    fn exists(&self, _: &Path) -> bool {
        false
    }
    fn create_dir_all(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
    fn read_dir(&self, _: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
        Ok(Vec::new())
    }
    fn rename(&self, _: &Path, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
    fn remove_file(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
    fn remove_dir_all(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
    fn free_bytes(&self, _: &Path) -> std::io::Result<u64> {
        Ok(u64::MAX)
    }
}
