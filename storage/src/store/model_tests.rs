//! The store against a plain map: random changes, flushes, compactions, restarts and questions, and after each the same answer.
//!
//! A failure names the seed of its run; `run(mode, seed)` repeats it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Pace, VnodeStore, VnodeView};
use crate::io::simulated::Failure;
use crate::io::{Io, SimulatedIo};
use crate::{
    Change, ColumnBound, ColumnId, Compression, Conflict, Direction, FamilyId, Rows, ScanBatch, ScanColumn, ScanPart,
    ScanRequest, SeriesId, SeriesSet, TimeRange, UpdateMode, VnodeId, VnodeOptions, WholeBlock,
};

const FAMILIES: u32 = 2;
pub(super) const COLUMNS: usize = 3;
pub(super) const SPAN: i64 = 100;

pub(super) type Values = [Option<i64>; COLUMNS];
type Key = (u32, u32, i64);

/// What the store should hold.
#[derive(Clone, Default)]
struct Model {
    rows: BTreeMap<Key, Values>,
    low: Option<i64>,
}

/// One row of a [`Rows`], before it becomes columns.
pub(super) type Row = (u32, i64, Values);

/// A change that both sides understand.
#[derive(Clone, Debug)]
enum Op {
    Write(FamilyId, Conflict, Vec<Row>),
    Delete(FamilyId, SeriesSet, TimeRange),
    Drop(FamilyId),
}

impl Op {
    fn to_change(&self, narrow: bool) -> Change {
        match self.clone() {
            Op::Write(family, conflict, rows) => Change::Rows(to_rows(family, conflict, &rows, narrow)),
            Op::Delete(family, series, time) => Change::Delete { family, series, time },
            Op::Drop(family) => Change::DropFamily(family),
        }
    }
}

/// As columns of the types that [`columns`] names; `narrow`: the first one as it was before it was widened. Columns without any value are left out.
pub(super) fn to_rows(family: FamilyId, conflict: Conflict, rows: &[Row], narrow: bool) -> Rows {
    let values = |column: usize| rows.iter().map(move |row| row.2[column]);
    let first: ArrayRef = match narrow {
        true => Arc::new(values(0).map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        false => Arc::new(values(0).collect::<Int64Array>()),
    };
    let second: ArrayRef = Arc::new(values(1).map(|v| v.map(|v| v as f64)).collect::<Float64Array>());
    let third: ArrayRef = Arc::new(values(2).map(|v| v.map(text)).collect::<StringViewArray>());
    let columns = [first, second, third].into_iter().enumerate();
    Rows {
        family,
        series: rows.iter().map(|row| row.0).collect::<Vec<_>>().into(),
        times: rows.iter().map(|row| row.1).collect::<Vec<_>>().into(),
        columns: columns
            .filter(|(_, array)| array.null_count() < array.len())
            .map(|(id, array)| (ColumnId(id as u16), array))
            .collect(),
        conflict,
    }
}

fn text(value: i64) -> String {
    match value % 2 {
        0 => format!("{value}"),
        _ => format!("a value too long for a view: {value}"),
    }
}

pub(super) fn columns() -> Vec<ScanColumn> {
    [DataType::Int64, DataType::Float64, DataType::Utf8View]
        .into_iter()
        .enumerate()
        .map(|(id, data_type)| ScanColumn {
            id: ColumnId(id as u16),
            data_type,
        })
        .collect()
}

impl Model {
    fn apply(&mut self, op: &Op, mode: UpdateMode) {
        match op {
            Op::Write(family, conflict, rows) => {
                for (series, time, values) in rows {
                    self.write((family.0, *series, *time), *values, *conflict, mode);
                }
            }
            Op::Delete(family, series, time) => self
                .rows
                .retain(|key, _| key.0 != family.0 || !series.contains(SeriesId(key.1)) || !time.contains(key.2)),
            Op::Drop(family) => self.rows.retain(|key, _| key.0 != family.0),
        }
    }

    fn write(&mut self, key: Key, values: Values, conflict: Conflict, mode: UpdateMode) {
        use UpdateMode::{KeepFirst, MergeColumns, ReplaceRow};
        let Some(old) = self.rows.get_mut(&key) else {
            self.rows.insert(key, values);
            return;
        };
        match (conflict, mode) {
            (Conflict::Keep, _) | (Conflict::ByVnode, KeepFirst) => {}
            (Conflict::Replace, _) | (Conflict::ByVnode, ReplaceRow) => *old = values,
            (Conflict::Merge, _) | (Conflict::ByVnode, MergeColumns) => {
                for (old, new) in old.iter_mut().zip(values) {
                    *old = new.or(*old);
                }
            }
        }
    }

    /// The rows that a request without bounds gives.
    fn scan(&self, request: &ScanRequest) -> Vec<Row> {
        let mut out: Vec<Row> = Vec::new();
        let low = self.low.unwrap_or(i64::MIN);
        let family = (request.family.0, 0, i64::MIN)..=(request.family.0, u32::MAX, i64::MAX);
        let mut rows: Vec<(&Key, &Values)> = self.rows.range(family).collect();
        if request.direction == Direction::Descending {
            rows.sort_by_key(|(key, _)| (key.1, std::cmp::Reverse(key.2)));
        }
        for (key, values) in rows {
            let shown = request.series.contains(SeriesId(key.1)) && request.time.contains(key.2) && key.2 >= low;
            let of_series = out.iter().rev().take_while(|row| row.0 == key.1).count();
            if shown && request.limit_per_series.is_none_or(|limit| of_series < limit) {
                out.push((key.1, key.2, *values));
            }
        }
        out
    }
}

/// Rows of a batch; columns that were not asked for are null.
fn from_batch(batch: &ScanBatch, columns: &[ScanColumn]) -> Vec<Row> {
    assert_eq!(batch.runs.iter().map(|run| run.rows).sum::<usize>(), batch.rows());
    let series = batch
        .runs
        .iter()
        .flat_map(|run| std::iter::repeat_n(run.series.0, run.rows));
    series
        .zip(batch.times.iter())
        .enumerate()
        .map(|(row, (series, time))| {
            let mut values = [None; COLUMNS];
            for (column, array) in columns.iter().zip(&batch.columns) {
                assert_eq!(array.len(), batch.rows());
                assert_eq!(array.data_type(), &column.data_type);
                values[column.id.0 as usize] = value(array, row);
            }
            (series, *time, values)
        })
        .collect()
}

fn value(array: &ArrayRef, row: usize) -> Option<i64> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row) as i64,
        _ => {
            let shown = array.as_string_view().value(row);
            let number = shown.rsplit(' ').next().unwrap().parse().unwrap();
            assert_eq!(shown, text(number));
            number
        }
    })
}

fn projected(rows: Vec<Row>, columns: &[ScanColumn]) -> Vec<Row> {
    let wanted = |at: usize| columns.iter().any(|column| column.id.0 as usize == at);
    rows.into_iter()
        .map(|(series, time, values)| {
            (
                series,
                time,
                std::array::from_fn(|at| values[at].filter(|_| wanted(at))),
            )
        })
        .collect()
}

/// The store, the log that would bring it back, and the model.
struct Run {
    random: StdRng,
    mode: UpdateMode,
    io: SimulatedIo,
    store: VnodeStore,
    log: Vec<(u64, Vec<Change>)>,
    index: u64,
    model: Model,
    /// A run of few series with many rows, or of many with few.
    series: u32,
    times: i64,
    /// Views taken earlier, with what they have to show for ever.
    kept: Vec<(VnodeView, Model)>,
}

pub(super) fn options(mode: UpdateMode) -> VnodeOptions {
    VnodeOptions {
        group_span: SPAN,
        update: mode,
        compression: Compression::High,
        flush_interval_ms: 1000,
        block_rows_max: 64,
    }
}

pub(super) const DIRECTORY: &str = "/data/vnode/3";

pub(super) fn open(io: &SimulatedIo, mode: UpdateMode) -> VnodeStore {
    VnodeStore::open(Arc::new(io.clone()), DIRECTORY.into(), VnodeId(3), options(mode)).unwrap()
}

/// A disk with the vnode's folder on it.
pub(super) fn disk() -> SimulatedIo {
    let io = SimulatedIo::new();
    let folder = std::path::Path::new(DIRECTORY);
    io.create_dir_all(folder).unwrap();
    for parent in folder.ancestors().skip(1) {
        io.sync_dir(parent).unwrap();
    }
    io
}

pub(super) fn data_files(io: &SimulatedIo) -> u64 {
    let files = io.files();
    files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "data"))
        .count() as u64
}

impl Run {
    fn new(mode: UpdateMode, seed: u64) -> Run {
        let mut random = StdRng::seed_from_u64(seed);
        let io = disk();
        let (series, times) = [(2, 400), (5, 60), (40, 300), (300, 250)][random.random_range(0..4)];
        Run {
            store: open(&io, mode),
            random,
            mode,
            io,
            log: Vec::new(),
            index: 0,
            model: Model::default(),
            series,
            times,
            kept: Vec::new(),
        }
    }

    fn family(&mut self) -> FamilyId {
        FamilyId(self.random.random_range(0..FAMILIES))
    }

    fn time(&mut self) -> i64 {
        self.random.random_range(-self.times / 2..self.times)
    }

    fn range(&mut self) -> TimeRange {
        let (a, b) = (self.time(), self.time());
        match self.random.random_range(0..4) {
            0 => TimeRange::ALL,
            1 => TimeRange::new(a, a).unwrap(),
            _ => TimeRange::new(a.min(b), a.max(b)).unwrap(),
        }
    }

    fn set(&mut self) -> SeriesSet {
        if self.random.random_range(0..3) == 0 {
            return SeriesSet::All;
        }
        let most = [1, 3, self.series][self.random.random_range(0..3)];
        let mut list: Vec<_> = (0..most)
            .map(|_| SeriesId(self.random.random_range(0..self.series + 1)))
            .collect();
        list.sort();
        list.dedup();
        SeriesSet::List(list.into())
    }

    fn rows(&mut self) -> Vec<Row> {
        let count = [1, 1, 3, 30, 300][self.random.random_range(0..5)];
        let sparse = self.random.random_range(0..3) == 0;
        let mut rows: Vec<Row> = (0..count)
            .map(|_| {
                let values = std::array::from_fn(|_| {
                    let null = sparse && self.random.random_range(0..2) == 0;
                    (!null).then(|| self.random.random_range(0..1000))
                });
                (self.random.random_range(0..self.series), self.time(), values)
            })
            .collect();
        if self.random.random_range(0..2) == 0 {
            rows.sort_by_key(|row| (row.0, row.1));
        }
        rows
    }

    fn conflict(&mut self) -> Conflict {
        use Conflict::{ByVnode, Keep, Merge, Replace};
        [ByVnode, ByVnode, ByVnode, Replace, Merge, Keep][self.random.random_range(0..6)]
    }

    fn op(&mut self) -> Op {
        let family = self.family();
        match self.random.random_range(0..40) {
            0 => Op::Drop(family),
            1..5 => Op::Delete(family, self.set(), self.range()),
            _ => Op::Write(family, self.conflict(), self.rows()),
        }
    }

    /// Several steps of one record.
    fn commit(&mut self) {
        let mut changes = Vec::new();
        for _ in 0..[1, 1, 1, 2, 4][self.random.random_range(0..5)] {
            let op = self.op();
            self.model.apply(&op, self.mode);
            let mut change = op.to_change(self.random.random_range(0..2) == 0);
            if let Change::Rows(rows) = &mut change
                && rows.conflict == Conflict::Keep
            {
                *rows = self.store.absent(rows, &changes).unwrap();
            }
            changes.push(change);
        }
        self.index += 1 + self.random.random_range(0..2);
        self.log.push((self.index, changes.clone()));
        self.store.apply(self.index, changes);
    }

    /// The process ends, or the power goes, and the vnode is opened again: the log brings back what was not in files.
    fn reopen(&mut self) {
        self.kept.clear();
        self.io = match self.random.random_range(0..2) {
            0 => self.io.kill(),
            _ => self.io.power_cut(self.random.random()),
        };
        self.store = open(&self.io, self.mode);
        let flushed = self.store.flushed_index();
        self.log.retain(|(index, _)| *index > flushed);
        for (index, changes) in &self.log {
            self.store.apply(*index, changes.clone());
        }
    }

    /// A call of the file system fails while files are changed. What is visible stays, and so it does after a restart.
    fn fail(&mut self) {
        let kind = [Failure::Broken, Failure::Full][self.random.random_range(0..2)];
        let failed = self.io.failed();
        self.io.fail_call(self.random.random_range(1..30), kind);
        self.store.freeze();
        // Either may fail, and neither has to.
        let _ = self.store.flush_frozen();
        let _ = self.store.compact_all();
        while self.io.failed() == failed {
            let _ = self.io.read_dir("/data".as_ref());
        }
        let (view, model) = (self.store.view(), self.model.clone());
        self.check(&view, &model);
        drop(view);
        self.reopen();
    }

    fn request(&mut self) -> ScanRequest {
        let mut wanted = columns();
        while self.random.random_range(0..2) == 0 && !wanted.is_empty() {
            wanted.remove(self.random.random_range(0..wanted.len()));
        }
        if self.random.random_range(0..2) == 0 {
            wanted.reverse();
        }
        ScanRequest {
            family: self.family(),
            series: self.set(),
            time: self.range(),
            columns: wanted,
            bounds: Vec::new(),
            direction: [Direction::Ascending, Direction::Descending][self.random.random_range(0..2)],
            limit_per_series: [None, None, Some(1), Some(7), Some(0)][self.random.random_range(0..5)],
            batch_rows: [1, 10, 8192][self.random.random_range(0..3)],
        }
    }

    fn check_scan(&mut self, view: &VnodeView, model: &Model) {
        let request = self.request();
        let found = collect(view, &request);
        assert_eq!(found, projected(model.scan(&request), &request.columns), "{request:?}");
    }

    /// Every row within the bounds is there, and each row given is one of the model's.
    fn check_bounds(&mut self, view: &VnodeView, model: &Model) {
        let mut request = self.request();
        let least = self.random.random_range(0..1000);
        let column = self.random.random_range(0..2);
        request.columns = columns();
        request.limit_per_series = None;
        request.bounds = vec![ColumnBound {
            column: ColumnId(column),
            min: Some(least as f64),
            max: Some((least + self.random.random_range(0..100)) as f64),
        }];
        let bound = request.bounds[0];
        let found = collect(view, &request);
        let all = model.scan(&request);
        let within = |row: &&Row| {
            row.2[column as usize].is_some_and(|v| bound.min.unwrap() <= v as f64 && v as f64 <= bound.max.unwrap())
        };
        let expected: Vec<&Row> = all.iter().filter(within).collect();
        assert_eq!(found.iter().filter(within).collect::<Vec<_>>(), expected, "{request:?}");
        let mut rest = all.iter();
        assert!(found.iter().all(|row| rest.any(|one| one == row)), "{request:?}");
    }

    /// Whole blocks and rows together are the rows there are, and blocks know them. Outlines hold all of them.
    fn check_parts(&mut self, view: &VnodeView, model: &Model) {
        let mut request = self.request();
        request.columns = columns();
        request.direction = Direction::Ascending;
        request.limit_per_series = None;
        let expected = model.scan(&request);
        let outline = view.outline(request.family, request.time).unwrap();
        for row in model.scan(&ScanRequest {
            series: SeriesSet::All,
            ..request.clone()
        }) {
            assert!(outline.is_some_and(|outline| outline.time.contains(row.1)));
        }
        let mut rest = expected.as_slice();
        let mut scan = view.scan(&request).unwrap();
        let odds = self.random.random_range(0..3);
        let random = &mut self.random;
        while let Some(part) = scan.next_part(&mut |_| Ok(random.random_range(0..2) < odds)) {
            match part.unwrap() {
                ScanPart::Rows(batch) => {
                    let found = from_batch(&batch, &request.columns);
                    let (now, after) = rest.split_at(found.len());
                    assert_eq!(found, now, "{request:?}");
                    rest = after;
                }
                ScanPart::Blocks(blocks) => {
                    assert!(!blocks.is_empty());
                    for block in blocks {
                        let (now, after) = rest.split_at(block.rows as usize);
                        check_block(&block, now);
                        rest = after;
                    }
                }
            }
        }
        assert!(rest.is_empty(), "{request:?}");
    }

    fn check_newest(&mut self, view: &VnodeView, model: &Model) {
        let request = ScanRequest {
            time: TimeRange::ALL,
            direction: Direction::Descending,
            limit_per_series: Some(1),
            ..self.request()
        };
        let batch = view.newest(request.family, &request.series, &request.columns).unwrap();
        let found = from_batch(&batch, &request.columns);
        assert_eq!(
            found,
            projected(model.scan(&request), &request.columns),
            "newest of {request:?}"
        );
    }

    fn check_existing(&mut self, view: &VnodeView, model: &Model) {
        let family = self.family();
        let rows = self.rows();
        let exists = view
            .existing(&to_rows(family, Conflict::ByVnode, &rows, false))
            .unwrap();
        for (at, row) in rows.iter().enumerate() {
            let hidden = model.low.is_some_and(|low| row.1 < low);
            let expected = !hidden && model.rows.contains_key(&(family.0, row.0, row.1));
            assert_eq!(exists.value(at), expected, "{row:?}");
        }
    }

    fn check_pending(&mut self) {
        let mut model = self.model.clone();
        let mut view = self.store.view();
        for _ in 0..3 {
            let op = self.op();
            model.apply(&op, self.mode);
            view = view.with_pending(&[op.to_change(false)]);
            self.check(&view, &model);
        }
    }

    fn check(&mut self, view: &VnodeView, model: &Model) {
        match self.random.random_range(0..8) {
            0 => self.check_newest(view, model),
            1 => self.check_bounds(view, model),
            2 => self.check_existing(view, model),
            3 => self.check_parts(view, model),
            _ => self.check_scan(view, model),
        }
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..50 => self.commit(),
            50..60 => {
                self.store.freeze();
            }
            60..72 => {
                self.store.freeze();
                self.store.flush_frozen().unwrap();
                assert!(self.store.flushed_index() <= self.index);
            }
            72..84 => {
                self.store.compact_once(Pace::Calm).unwrap();
            }
            84..87 => self.store.compact_all().unwrap(),
            87..91 => self.reopen(),
            91..92 => self.fail(),
            92..93 => {
                let before = self.time() - self.times / 2;
                self.store.expire(before).unwrap();
                self.model.low = self.model.low.max(Some(before));
                // Files forget what has expired, and so may the model; rows written later are hidden as well.
            }
            _ => self.check_pending(),
        }
        let view = self.store.view();
        let model = self.model.clone();
        for _ in 0..3 {
            self.check(&view, &model);
        }
    }
}

/// What a block says of itself is true of its rows.
fn check_block(block: &WholeBlock, rows: &[Row]) {
    let one = rows.iter().all(|row| row.0 == rows[0].0);
    assert_eq!(block.series, one.then(|| SeriesId(rows[0].0)));
    assert_eq!(Some(block.first_time), rows.iter().map(|row| row.1).min());
    assert_eq!(Some(block.last_time), rows.iter().map(|row| row.1).max());
    for column in 0..COLUMNS {
        let values: Vec<i64> = rows.iter().filter_map(|row| row.2[column]).collect();
        let Some(known) = block.statistics(ColumnId(column as u16)).unwrap() else {
            assert!(values.is_empty());
            continue;
        };
        assert_eq!(known.nulls as usize, rows.len() - values.len());
        if column < 2 {
            assert_eq!(known.min, values.iter().min().map(|value| *value as f64));
            assert_eq!(known.max, values.iter().max().map(|value| *value as f64));
            assert_eq!(known.sum.unwrap_or_default(), values.iter().sum::<i64>() as f64);
            assert_eq!(known.first, rows[0].2[column].map(|value| value as f64));
            assert_eq!(known.last, rows[rows.len() - 1].2[column].map(|value| value as f64));
        }
    }
}

pub(super) fn collect(view: &VnodeView, request: &ScanRequest) -> Vec<Row> {
    let mut found = Vec::new();
    for batch in view.scan(request).unwrap() {
        let batch = batch.unwrap();
        assert!(batch.rows() > 0 && batch.rows() <= request.batch_rows);
        found.extend(from_batch(&batch, &request.columns));
    }
    found
}

/// Says which run failed.
struct Seed(UpdateMode, u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing run was run(UpdateMode::{:?}, {})", self.0, self.1);
        }
    }
}

fn run(mode: UpdateMode, seed: u64) {
    let _seed = Seed(mode, seed);
    let mut run = Run::new(mode, seed);
    for step in 0..60 {
        run.step();
        // Views stay as they were, whatever is flushed, merged or removed meanwhile.
        if step % 10 == 3 {
            run.kept.push((run.store.view(), run.model.clone()));
        }
        if step % 10 == 9 {
            for (view, model) in run.kept.clone() {
                run.check(&view, &model);
            }
        }
    }
    run.kept.clear();
    // Nothing is left of files that no view shows.
    let live = run.store.statistics().data_files;
    assert_eq!(data_files(&run.io), live);
}

/// Runs of each mode; more with TAOSPG_MODEL_RUNS.
fn runs(mode: UpdateMode) {
    let count = std::env::var("TAOSPG_MODEL_RUNS").map_or(40, |count| count.parse().unwrap());
    for seed in 0..count {
        run(mode, seed);
    }
}

#[test]
fn the_first_row_stays() {
    runs(UpdateMode::KeepFirst);
}

#[test]
fn the_last_row_stays() {
    runs(UpdateMode::ReplaceRow);
}

#[test]
fn columns_are_merged() {
    runs(UpdateMode::MergeColumns);
}
