//! Whole files: what was appended comes back, and no changed byte goes unnoticed.

use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::*;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use proptest::prelude::*;

use super::*;
use crate::io::{Io, IoFile};
use crate::{Compression, ScanColumn, StorageError, TimeRange};

type Contents = Arc<Mutex<Vec<u8>>>;

/// Files in memory.
#[derive(Default)]
struct Memory {
    files: Mutex<HashMap<PathBuf, Contents>>,
}

struct MemoryFile(Contents);

impl Io for Memory {
    fn create(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        let contents = self
            .files
            .lock()
            .expect("no panic inside")
            .entry(path.into())
            .or_default()
            .clone();
        Ok(Box::new(MemoryFile(contents)))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        match self.files.lock().expect("no panic inside").get(path) {
            Some(contents) => Ok(Box::new(MemoryFile(contents.clone()))),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
    fn exists(&self, path: &Path) -> bool {
        self.files.lock().expect("no panic inside").contains_key(path)
    }
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn read_dir(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files.lock().expect("no panic inside").remove(path);
        Ok(())
    }
    fn remove_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl IoFile for MemoryFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let contents = self.0.lock().expect("no panic inside");
        let start = offset as usize;
        let bytes = contents
            .get(start..start + buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut contents = self.0.lock().expect("no panic inside");
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[start..end].copy_from_slice(bytes);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().expect("no panic inside").len() as u64)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.lock().expect("no panic inside").resize(bytes as usize, 0);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn bytes(&self) -> Vec<u8> {
        self.files.lock().expect("no panic inside")[Path::new(PATH)]
            .lock()
            .expect("no panic inside")
            .clone()
    }
    fn with(bytes: Vec<u8>) -> Memory {
        let memory = Memory::default();
        memory
            .files
            .lock()
            .expect("no panic inside")
            .insert(PATH.into(), Arc::new(Mutex::new(bytes)));
        memory
    }
}

const PATH: &str = "1.data";
const ID: DataFileId = DataFileId {
    vnode: VnodeId(7),
    number: 1,
};

/// Rows of series with a double, a text and, for series of even number, nulls.
fn rows(series: &[(u32, usize)]) -> SortedRows {
    let mut keys: Vec<(u32, i64)> = Vec::new();
    for (series, count) in series {
        keys.extend((0..*count).map(|row| (*series, 1_000_000 + row as i64 * 10)));
    }
    let values = Float64Array::from_iter(
        keys.iter()
            .map(|(series, time)| (series % 2 == 1 || time % 30 != 0).then_some((time % 70 / 10) as f64)),
    );
    let texts = StringViewArray::from_iter_values(
        keys.iter()
            .map(|(series, time)| format!("state {} of {series}", time % 3)),
    );
    SortedRows {
        series: keys.iter().map(|(series, _)| *series).collect(),
        times: keys.iter().map(|(_, time)| *time).collect(),
        columns: vec![
            (ColumnId(2), Arc::new(values) as ArrayRef),
            (ColumnId(9), Arc::new(texts) as ArrayRef),
        ],
        replaces: None,
    }
}

fn write(appends: &[(FamilyId, SortedRows)], compression: Compression, block_rows_max: usize) -> Memory {
    let io = Memory::default();
    let mut writer = DataFileWriter::create(&io, Path::new(PATH), ID, compression, block_rows_max).expect("created");
    for (family, rows) in appends {
        writer.append(*family, rows).expect("appended");
    }
    let bytes = writer.finish().expect("finished");
    assert_eq!(bytes, io.bytes().len() as u64);
    io
}

fn open(io: &Memory) -> Result<Arc<DataFile>, StorageError> {
    DataFile::open(io, Path::new(PATH), ID)
}

fn assert_same(found: &SortedRows, expected: &SortedRows) {
    assert_eq!(found.series, expected.series);
    assert_eq!(found.times, expected.times);
    assert_eq!(found.columns, expected.columns);
    let none = BooleanBuffer::new_unset(expected.len());
    assert_eq!(
        found.replaces.as_ref().unwrap_or(&none),
        expected.replaces.as_ref().unwrap_or(&none)
    );
}

/// Everything that `append` was given, block by block.
fn assert_holds(file: &DataFile, appends: &[(FamilyId, SortedRows)]) {
    let mut expected = appends.iter();
    let (mut family, mut rest) = expected.next().cloned().expect("something");
    for (number, meta) in file.blocks().iter().enumerate() {
        let block = sorted(file.read_all(number).expect("undamaged"));
        let mut start = 0;
        while start < block.len() {
            if rest.is_empty() {
                (family, rest) = expected.next().cloned().expect("no more than was appended");
            }
            assert_eq!(meta.family, family);
            let count = rest.len().min(block.len() - start);
            assert_same(&block.slice(start, count), &rest.slice(0, count));
            rest = rest.slice(count, rest.len() - count);
            start += count;
        }
        assert_eq!(meta.rows as usize, block.len());
        assert_eq!(Some(&meta.first_series.0), block.series.first());
        assert_eq!(Some(&meta.last_series.0), block.series.last());
        assert_eq!(Some(&meta.min_time), block.times.iter().min());
        assert_eq!(Some(&meta.max_time), block.times.iter().max());
    }
    assert!(rest.is_empty());
    assert!(expected.next().is_none());
    let all: usize = appends.iter().map(|(_, rows)| rows.len()).sum();
    assert_eq!(file.rows(), all as u64);
}

/// Rows of a block with the series of each.
fn sorted(rows: BlockRows) -> SortedRows {
    SortedRows {
        series: match rows.series {
            BlockSeries::One(series) => vec![series; rows.times.len()].into(),
            BlockSeries::Several(series) => series,
        },
        times: rows.times,
        columns: rows.columns,
        replaces: rows.replaces,
    }
}

#[test]
fn what_was_appended_comes_back() {
    let family = FamilyId;
    let mut replacing = rows(&[(9, 50)]);
    replacing.replaces = Some((0..50).map(|row| row % 7 == 0).collect());
    let mut fewer = rows(&[(12, 400)]);
    fewer.columns.pop();
    let appends = [
        (family(1), rows(&[(0, 5), (1, 3), (4, 9000)])),
        (family(1), rows(&[(5, 10)])),
        (family(1), replacing),
        (family(1), rows(&[(10, 0), (11, 300)])),
        (family(1), fewer),
        (family(3), rows(&[(2, 100)])),
    ];
    for compression in [Compression::None, Compression::Fast, Compression::High] {
        let io = write(&appends, compression, 4096);
        let file = open(&io).expect("undamaged");
        assert_eq!(file.bytes(), io.bytes().len() as u64);
        assert_holds(&file, &appends);
        let shapes: Vec<(u32, u32, u32, bool)> = file
            .blocks()
            .iter()
            .map(|block| {
                (
                    block.first_series.0,
                    block.last_series.0,
                    block.rows,
                    block.has_replaces,
                )
            })
            .collect();
        assert_eq!(
            shapes,
            [
                (0, 1, 8, false),
                (4, 4, 4096, false),
                (4, 4, 4096, false),
                (4, 4, 808, false),
                (5, 11, 360, true),
                (12, 12, 400, false),
                (2, 2, 100, false),
            ]
        );
        assert_eq!(file.find(family(1), SeriesId(4), SeriesId(4)), 1..4);
        assert_eq!(file.find(family(1), SeriesId(0), SeriesId(u32::MAX)), 0..6);
        assert_eq!(file.find(family(1), SeriesId(2), SeriesId(3)), 1..1);
        assert_eq!(file.find(family(1), SeriesId(6), SeriesId(6)), 4..5);
        assert_eq!(file.find(family(2), SeriesId(0), SeriesId(u32::MAX)), 6..6);
        assert_eq!(file.find(family(3), SeriesId(0), SeriesId(2)), 6..7);
        assert_eq!(file.find(family(4), SeriesId(0), SeriesId(2)), 7..7);

        let found = file.statistics(0, ColumnId(2)).expect("undamaged").expect("there");
        assert_eq!((found.min, found.max), (Some(0.0), Some(6.0)));
        assert_eq!(file.statistics(0, ColumnId(3)).expect("undamaged"), None);
        assert_eq!(file.statistics(5, ColumnId(9)).expect("undamaged"), None);
    }
}

/// A read gets the columns it names in its order: missing ones null, narrower ones widened.
#[test]
fn columns_asked_for() {
    let column = |id, data_type| ScanColumn {
        id: ColumnId(id),
        data_type,
    };
    let mut all = rows(&[(1, 4096)]);
    let numbers: Vec<i32> = (0..4096i32)
        .map(|row| row.wrapping_mul(0x9e37_79b1u32 as i32))
        .collect();
    all.columns
        .push((ColumnId(10), Arc::new(Int32Array::from(numbers.clone()))));
    let shorts = Int16Array::from_iter_values(numbers.iter().map(|number| *number as i16));
    all.columns.push((ColumnId(11), Arc::new(shorts.clone())));
    all.columns
        .push((ColumnId(12), Arc::new(Int32Array::from(numbers.clone()))));
    let io = write(&[(FamilyId(1), all.clone())], Compression::Fast, 4096);
    let file = open(&io).expect("undamaged");
    let wanted = [
        column(12, DataType::Int64),
        column(5, DataType::Utf8View),
        column(11, DataType::Int32),
        column(2, DataType::Float64),
        column(12, DataType::Int32),
    ];
    let found = file.read(0, &wanted, TimeRange::ALL).expect("undamaged");
    let expected: [ArrayRef; 5] = [
        Arc::new(Int64Array::from_iter_values(
            numbers.iter().map(|number| i64::from(*number)),
        )),
        new_null_array(&DataType::Utf8View, 4096),
        Arc::new(Int32Array::from_iter_values(
            shorts.values().iter().map(|number| i32::from(*number)),
        )),
        all.columns[0].1.clone(),
        Arc::new(Int32Array::from(numbers)),
    ];
    for ((wanted, expected), (id, found)) in wanted.iter().zip(&expected).zip(&found.columns) {
        assert_eq!((wanted.id, expected), (*id, found));
    }
    assert!(file.read(0, &[], TimeRange::ALL).expect("undamaged").columns.is_empty());
    assert!(matches!(
        file.read(0, &[column(2, DataType::Date32)], TimeRange::ALL),
        Err(StorageError::Refused(_))
    ));
    assert!(matches!(
        file.read(0, &[column(12, DataType::Int16)], TimeRange::ALL),
        Err(StorageError::Refused(_))
    ));
}

#[test]
fn an_empty_file_is_a_file() {
    let file = write(&[], Compression::Fast, 4096);
    let file = open(&file).expect("undamaged");
    assert_eq!((file.blocks().len(), file.rows()), (0, 0));
    assert_eq!(file.find(FamilyId(0), SeriesId(0), SeriesId(9)), 0..0);
}

#[test]
fn rows_out_of_order_are_refused() {
    let io = Memory::default();
    let mut writer = DataFileWriter::create(&io, Path::new(PATH), ID, Compression::Fast, 4096).expect("created");
    writer.append(FamilyId(2), &rows(&[(5, 300)])).expect("appended");
    writer.append(FamilyId(1), &rows(&[(1, 300)])).expect("still pending");
    assert!(matches!(writer.finish(), Err(StorageError::Refused(_))));
}

/// Whether anything of the file can no longer be read.
fn is_noticed(bytes: Vec<u8>) -> bool {
    let file = match open(&Memory::with(bytes)) {
        Ok(file) => file,
        Err(error) => {
            assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
            return true;
        }
    };
    let mut noticed = false;
    for block in 0..file.blocks().len() {
        let rows = file.read_all(block).map(|_| ());
        let statistics = file.statistics(block, ColumnId(2)).map(|_| ());
        for result in [rows, statistics] {
            if let Err(error) = result {
                assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
                noticed = true;
            }
        }
    }
    noticed
}

/// Every byte of a file is covered: by the header's, the footer's, the index's, a page's, a front's or a column's checksum.
#[test]
fn every_changed_byte_is_noticed() {
    let appends = [
        (FamilyId(1), rows(&[(0, 5), (1, 300)])),
        (FamilyId(2), rows(&[(3, 40)])),
    ];
    let bytes = write(&appends, Compression::Fast, 4096).bytes();
    assert!(!is_noticed(bytes.clone()));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(is_noticed(damaged), "byte {at}");
        assert!(is_noticed(bytes[..at].to_vec()), "cut at {at}");
    }
}

/// One damaged column leaves the other columns and blocks readable, and says where it is.
#[test]
fn damage_stays_where_it_is() {
    let bytes = write(&[(FamilyId(1), rows(&[(0, 300), (1, 300)]))], Compression::Fast, 4096).bytes();
    let second = open(&Memory::with(bytes.clone())).expect("undamaged").blocks()[1].clone();
    let last = second.offset + u64::from(second.bytes) - 1;
    let mut damaged = bytes;
    damaged[last as usize] ^= 1;
    let file = open(&Memory::with(damaged)).expect("the index is whole");
    assert!(file.read_all(0).is_ok());
    let doubles = ScanColumn {
        id: ColumnId(2),
        data_type: DataType::Float64,
    };
    assert!(file.read(1, &[doubles], TimeRange::ALL).is_ok());
    match file.read_all(1) {
        Err(StorageError::Corrupt { offset, .. }) => assert!(second.offset < offset && offset <= last),
        other => panic!("{other:?}"),
    }
}

/// A file, or a block, in the place of another is damage although its bytes are whole.
#[test]
fn a_right_block_in_a_wrong_place_is_noticed() {
    let appends = [(FamilyId(1), rows(&[(1, 300), (1, 0), (3, 300)]))];
    let bytes = write(&appends, Compression::Fast, 4096).bytes();
    for id in [
        DataFileId { number: 2, ..ID },
        DataFileId {
            vnode: VnodeId(8),
            ..ID
        },
    ] {
        let other = DataFile::open(&Memory::with(bytes.clone()), Path::new(PATH), id);
        assert!(matches!(other, Err(StorageError::Corrupt { .. })));
    }
    let file = open(&Memory::with(bytes.clone())).expect("undamaged");
    let places: Vec<std::ops::Range<usize>> = file
        .blocks()
        .iter()
        .map(|block| block.offset as usize..block.offset as usize + block.bytes as usize)
        .collect();
    if places[0].len() == places[1].len() {
        let mut swapped = bytes.clone();
        swapped[places[0].clone()].copy_from_slice(&bytes[places[1].clone()]);
        swapped[places[1].clone()].copy_from_slice(&bytes[places[0].clone()]);
        let file = open(&Memory::with(swapped)).expect("the index is whole");
        assert!(file.read_all(0).is_err() && file.read_all(1).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_rows_come_back(
        runs in proptest::collection::vec((1u32..4, 1usize..40, any::<bool>()), 1..30),
        block_rows_max in 1usize..50,
    ) {
        let mut appends = Vec::new();
        let mut series = 0;
        for (step, count, replaces) in runs {
            series += step;
            let mut rows = rows(&[(series, count)]);
            rows.replaces = replaces.then(|| (0..count).map(|row| row % 3 == 0).collect());
            appends.push((FamilyId(series / 20), rows));
        }
        let io = write(&appends, Compression::Fast, block_rows_max);
        assert_holds(&open(&io).expect("undamaged"), &appends);
    }

    #[test]
    fn noise_is_no_panic(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = write(&[(FamilyId(1), rows(&[(0, 5), (1, 300)]))], Compression::Fast, 4096).bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        is_noticed(bytes);
    }
}

/// The example of docs/formats/data_file.md is what the code writes.
#[test]
fn the_documented_example() {
    let rows = SortedRows {
        series: vec![5; 3].into(),
        times: vec![1000, 2000, 3000].into(),
        columns: vec![(
            ColumnId(1),
            Arc::new(Float64Array::from(vec![20.5, 20.7, 20.6])) as ArrayRef,
        )],
        replaces: None,
    };
    let bytes = write(&[(FamilyId(1), rows)], Compression::Fast, 4096).bytes();
    let mut hex = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        write!(hex, "{:04x} ", line * 16).expect("a string takes all");
        for byte in bytes {
            write!(hex, " {byte:02x}").expect("a string takes all");
        }
        hex.push('\n');
    }
    let page = include_str!("../../../docs/formats/data_file.md");
    assert!(page.contains(&hex), "the page needs this example:\n{hex}");
}
