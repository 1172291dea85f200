//! What a reader sees: a vnode at one moment.

use std::sync::Arc;

use arrow::buffer::BooleanBuffer;

use super::chunk::Chunk;
use super::cursor::Plan;
use super::deletes::Deletes;
use super::disk::{Disk, LiveFile, group_of};
use super::memtable::{Memtable, steps};
use super::merge::{Given, Merge, has_block};
use super::newest;
use super::piece::Wanted;
use crate::scan::{Accept, Outline, ScanPart};
use crate::{
    Change, ColumnBound, Direction, FamilyId, Rows, ScanBatch, ScanColumn, ScanRequest, SeriesId, SeriesSet,
    StorageError, TimeRange, UpdateMode,
};

/// A vnode at one moment. Never changes; keeps alive what it shows.
#[derive(Clone)]
pub struct VnodeView {
    pub(super) disk: Arc<Disk>,
    /// From the oldest to the newest.
    pub(super) memtables: Vec<Arc<Memtable>>,
    /// Uncommitted changes of the reader's own transaction, and how many there are.
    pending: Option<(Arc<Memtable>, u32)>,
    pub(super) update: UpdateMode,
    pub(super) group_span: i64,
}

/// Rows looked for in one family.
pub(super) struct Search {
    pub family: FamilyId,
    pub series: SeriesSet,
    pub time: TimeRange,
    pub wanted: Wanted,
    pub bounds: Vec<ColumnBound>,
    pub direction: Direction,
    pub limit_per_series: Option<usize>,
}

impl VnodeView {
    pub(super) fn new(
        disk: Arc<Disk>,
        memtables: Vec<Arc<Memtable>>,
        update: UpdateMode,
        group_span: i64,
    ) -> VnodeView {
        VnodeView {
            disk,
            memtables,
            pending: None,
            update,
            group_span,
        }
    }

    /// Only what is in data files.
    pub(super) fn of_files(&self) -> VnodeView {
        VnodeView::new(self.disk.clone(), Vec::new(), self.update, self.group_span)
    }

    /// This view with uncommitted changes of a transaction on top, for its own reads.
    pub fn with_pending(&self, changes: &[Change]) -> VnodeView {
        /// Younger than every log record.
        const PENDING_INDEX: u64 = u64::MAX;
        let (mut memtable, before) = self.pending.clone().unwrap_or_default();
        let pending = steps(PENDING_INDEX, before, changes.to_vec(), self.update);
        Arc::make_mut(&mut memtable).apply(PENDING_INDEX, pending);
        VnodeView {
            pending: Some((memtable, before.saturating_add(changes.len() as u32))),
            ..self.clone()
        }
    }

    /// Rows sorted by (series, time).
    pub fn scan(&self, request: &ScanRequest) -> Result<Scan, StorageError> {
        let merge = self.merge(Search {
            family: request.family,
            series: request.series.clone(),
            time: request.time,
            wanted: Wanted::These(request.columns.as_slice().into()),
            bounds: request.bounds.clone(),
            direction: request.direction,
            limit_per_series: request.limit_per_series,
        })?;
        Ok(Scan {
            merge,
            columns: request.columns.clone(),
            batch_rows: request.batch_rows,
        })
    }

    /// The newest row of each series of the set, in series order: from memory where it is there.
    pub fn newest(
        &self,
        family: FamilyId,
        series: &SeriesSet,
        columns: &[ScanColumn],
    ) -> Result<ScanBatch, StorageError> {
        newest::newest(self, family, series, columns)
    }

    /// Which of these (series, time) keys exist; for tests and for `Conflict::Keep`.
    pub fn existing(&self, rows: &Rows) -> Result<BooleanBuffer, StorageError> {
        let mut exists = vec![false; rows.len()];
        let hull = rows.times.iter().min().zip(rows.times.iter().max());
        if let Some(time) = hull.and_then(|(first, last)| TimeRange::new(*first, *last)) {
            let mut wanted: Vec<usize> = (0..rows.len()).collect();
            let key = |row: &usize| (rows.series[*row], rows.times[*row]);
            wanted.sort_unstable_by_key(key);
            let mut series: Vec<SeriesId> = wanted.iter().map(|row| SeriesId(rows.series[*row])).collect();
            series.dedup();
            let mut merge = self.merge(Search {
                family: rows.family,
                series: SeriesSet::List(series.into()),
                time,
                wanted: Wanted::These(Arc::from([])),
                bounds: Vec::new(),
                direction: Direction::Ascending,
                limit_per_series: None,
            })?;
            let mut wanted = wanted.into_iter().peekable();
            while wanted.peek().is_some()
                && let Some(parts) = merge.next(EXISTING_BATCH_ROWS)?
            {
                let batch = parts.into_batch(&[]);
                let series = batch
                    .runs
                    .iter()
                    .flat_map(|run| std::iter::repeat_n(run.series.0, run.rows));
                for found in series.zip(batch.times.iter().copied()) {
                    while wanted.next_if(|row| key(row) < found).is_some() {}
                    while let Some(row) = wanted.next_if(|row| key(row) == found) {
                        exists[row] = true;
                    }
                }
            }
        }
        Ok(BooleanBuffer::from(exists))
    }

    /// How many file groups may hold rows of the family in `time`. None: every such row is in memory.
    pub fn file_groups(&self, family: FamilyId, time: TimeRange) -> usize {
        let Some(time) = self.disk.unexpired(&time) else {
            return 0;
        };
        let may_hold = |file: &Arc<LiveFile>| {
            file.entry.time().intersect(&time).is_some()
                && file
                    .data()
                    .is_ok_and(|data| !data.find(family, SeriesId(0), SeriesId(u32::MAX)).is_empty())
        };
        self.groups(&time)
            .filter(|(_, files)| files.iter().any(may_hold))
            .count()
    }

    /// Where rows of the family lie within `time`; `None` where there are none.
    pub fn outline(&self, family: FamilyId, time: TimeRange) -> Result<Option<Outline>, StorageError> {
        let Some(time) = self.disk.unexpired(&time) else {
            return Ok(None);
        };
        let mut outline: Option<Outline> = None;
        let mut add = |span: TimeRange, rows: u64| {
            let Some(span) = span.intersect(&time) else {
                return;
            };
            outline = Some(match outline {
                None => Outline { time: span, rows },
                Some(old) => Outline {
                    time: old.time.hull(&span),
                    rows: old.rows.saturating_add(rows),
                },
            });
        };
        for file in self.groups(&time).flat_map(|(_, files)| files) {
            if file.entry.time().intersect(&time).is_none() {
                continue;
            }
            let data = file.data()?;
            let own = data.find(family, SeriesId(0), SeriesId(u32::MAX));
            for block in data.blocks().get(own).unwrap_or_default() {
                if let Some(span) = TimeRange::new(block.min_time, block.max_time) {
                    add(span, u64::from(block.rows));
                }
            }
        }
        for chunk in self.chunks(family) {
            add(chunk.time(), chunk.rows() as u64);
        }
        Ok(outline)
    }

    fn groups(&self, time: &TimeRange) -> impl Iterator<Item = (&i64, &Vec<Arc<LiveFile>>)> {
        let first = group_of(time.start(), self.group_span);
        let last = group_of(time.end(), self.group_span);
        self.disk.groups.range(first..=last)
    }

    /// Chunks of the family, from the oldest to the newest.
    pub(super) fn chunks(&self, family: FamilyId) -> Vec<&Arc<Chunk>> {
        let families = self.all_memtables().filter_map(|memtable| memtable.family(family));
        families.flat_map(|rows| &rows.chunks).collect()
    }

    /// Deletes of the family that are not in the manifest yet.
    pub(super) fn memory_deletes(&self, family: FamilyId) -> Vec<Arc<Deletes>> {
        let families = self.all_memtables().filter_map(|memtable| memtable.family(family));
        let some = families.filter(|rows| !rows.deletes.is_empty());
        some.map(|rows| rows.deletes.clone()).collect()
    }

    fn all_memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        let pending = self.pending.as_ref().map(|(memtable, _)| memtable);
        self.memtables.iter().chain(pending)
    }

    /// The rows looked for; `None` when all of them would have expired.
    pub(super) fn merge(&self, search: Search) -> Result<Merging, StorageError> {
        let Some(time) = self.disk.unexpired(&search.time) else {
            return Ok(Merging(None));
        };
        let mut deletes = self.memory_deletes(search.family);
        deletes.extend(self.disk.deletes.get(&search.family).cloned());
        let plan = Plan {
            rows_of_series: search.limit_per_series,
            family: search.family,
            series: search.series,
            time,
            wanted: search.wanted,
            bounds: search.bounds,
            direction: search.direction,
            deletes,
            update: self.update,
        };
        let mut counters = ScanCounters::default();
        let mut files = Vec::new();
        for (_, group) in self.groups(&time) {
            let before = files.len();
            for file in group {
                match file.entry.time().intersect(&time).is_some() && has_block(file, &plan)? {
                    true => files.push(file.clone()),
                    false => counters.blocks_skipped += file.entry.blocks,
                }
            }
            counters.file_groups_taken += u64::from(files.len() > before);
        }
        counters.file_groups_skipped = self.disk.groups.len() as u64 - counters.file_groups_taken;
        let chunks = self.chunks(plan.family);
        let merge = Merge::new(plan, search.limit_per_series, &files, &chunks, counters)?;
        Ok(Merging(Some(merge)))
    }
}

/// Keys looked at in one go: large enough to make batches cheap, small enough to stop soon after the last wanted one.
const EXISTING_BATCH_ROWS: usize = 4096;

/// A merge, or nothing to merge.
pub(super) struct Merging(Option<Merge>);

impl Merging {
    pub fn next(&mut self, rows_max: usize) -> Result<Option<super::piece::Parts>, StorageError> {
        match &mut self.0 {
            Some(merge) => merge.next(rows_max),
            None => Ok(None),
        }
    }
}

/// An ongoing scan. Decodes a block when a batch needs it. After an error it is at its end.
pub struct Scan {
    merge: Merging,
    columns: Vec<ScanColumn>,
    batch_rows: usize,
}

impl Scan {
    /// What was taken and skipped so far; for EXPLAIN ANALYZE.
    pub fn counters(&self) -> ScanCounters {
        self.merge.0.as_ref().map(Merge::counters).unwrap_or_default()
    }
}

impl Scan {
    /// As the iterator, but where blocks stand alone and `accept` says so, they themselves instead of their rows. For scans that ascend,
    /// without limit or bounds; others give rows only.
    pub fn next_part(&mut self, accept: &mut Accept<'_>) -> Option<Result<ScanPart, StorageError>> {
        let merge = self.merge.0.as_mut()?;
        let found = merge.next_part(self.batch_rows, accept).transpose()?;
        Some(found.map(|found| match found {
            Given::Rows(parts) => ScanPart::Rows(parts.into_batch(&self.columns)),
            Given::Blocks(blocks) => ScanPart::Blocks(blocks),
        }))
    }
}

impl Iterator for Scan {
    type Item = Result<ScanBatch, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let parts = self.merge.next(self.batch_rows).transpose()?;
        Some(parts.map(|parts| parts.into_batch(&self.columns)))
    }
}

/// Work of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCounters {
    pub file_groups_taken: u64,
    pub file_groups_skipped: u64,
    pub blocks_taken: u64,
    pub blocks_skipped: u64,
    pub bytes_read: u64,
    /// Rows taken from memtables, those folded away included.
    pub rows_in_memory: u64,
}
