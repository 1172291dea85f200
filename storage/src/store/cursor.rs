//! A cursor: one source of a scan, a chunk or a data file, gone through in the order of the scan.
//!
//! ```text
//! file:  next block of interest -> visit (its key is only a lower bound) -> decoded -> run of a series -> its visible parts
//! chunk:                                                                               run of a series -> its visible parts
//! ```
//!
//! Blocks are decoded when their turn comes and not before, so that a scan that is limited or dropped reads no more than it needs.
//! Promises keys in order, each once. Leaves to others: what to do with one key of several cursors (`merge.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use super::chunk::{Chunk, Sorted};
use super::deletes::{Deletes, Order, any_in, cut};
use super::disk::LiveFile;
use super::piece::{Block, Piece, Wanted};
use crate::data_file::{BlockMeta, DataFile};
use crate::{ColumnBound, Direction, FamilyId, ScanCounters, SeriesId, SeriesSet, StorageError, TimeRange, UpdateMode};

/// What all cursors of a scan have in common.
pub(crate) struct Plan {
    pub family: FamilyId,
    pub series: SeriesSet,
    pub time: TimeRange,
    pub wanted: Wanted,
    pub bounds: Vec<ColumnBound>,
    pub direction: Direction,
    /// How many rows of each series are wanted, if not all.
    pub rows_of_series: Option<usize>,
    pub deletes: Vec<Arc<Deletes>>,
    pub update: UpdateMode,
}

/// Place of a row in the order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub series: u32,
    /// Grows in the direction of the scan.
    turned_time: i64,
}

impl Plan {
    pub fn key(&self, series: u32, time: i64) -> Key {
        Key {
            series,
            turned_time: match self.direction {
                Direction::Ascending => time,
                // Turns the order of all 2^64 times around; negation would overflow.
                Direction::Descending => !time,
            },
        }
    }
}

pub(crate) struct Cursor {
    source: Source,
    order: Order,
    /// Whether some delete is younger than its rows.
    has_deletes: bool,
    /// Of the next row, or lower than that as long as it is not exact. `None` at the end.
    key: Option<Key>,
    exact: bool,
    piece: Option<Arc<Piece>>,
    /// Positions of the current series still to come; the next part is at the end.
    parts: Vec<(usize, usize)>,
    /// Place in the plan's list of series.
    list_at: usize,
    /// Number of `piece` in the batch of that number.
    slot: Option<(u64, u32)>,
}

enum Source {
    Chunk {
        sorted: Arc<Sorted>,
        time: TimeRange,
        next: usize,
    },
    File(FileSource),
}

struct FileSource {
    data: Arc<DataFile>,
    /// Blocks of the family that are still to be looked at.
    next_block: usize,
    end: usize,
    /// Series below are done with.
    next_series: u32,
    visits: VecDeque<Visit>,
    block: Option<Block>,
    /// Whether older rows of the block were left for a visit of their own.
    is_newest_part: bool,
    /// Place in the block's series.
    next_run: usize,
    /// Decoded blocks that are visited again, with their numbers: one at either end of a series that several blocks share.
    kept: Vec<(usize, Block)>,
}

/// A block's rows of some series.
#[derive(Clone, Copy)]
struct Visit {
    block: usize,
    first: u32,
    last: u32,
    /// Later ones have been given.
    until: i64,
}

impl Visit {
    fn new(block: usize, first: u32, last: u32) -> Visit {
        Visit {
            block,
            first,
            last,
            until: i64::MAX,
        }
    }
}

impl Cursor {
    pub fn of_chunk(chunk: &Chunk, plan: &Plan) -> Option<Cursor> {
        chunk.time().intersect(&plan.time)?;
        let source = Source::Chunk {
            sorted: chunk.sorted().clone(),
            time: chunk.time(),
            next: 0,
        };
        let mut cursor = Cursor::new(source, chunk.order(), plan);
        cursor.settle(plan, &mut ScanCounters::default());
        cursor.key?;
        Some(cursor)
    }

    pub fn of_file(file: &LiveFile, plan: &Plan, counters: &mut ScanCounters) -> Result<Option<Cursor>, StorageError> {
        let data = file.data()?.clone();
        let blocks = data.find(plan.family, SeriesId(0), SeriesId(u32::MAX));
        let source = Source::File(FileSource {
            data,
            next_block: blocks.start,
            end: blocks.end,
            next_series: 0,
            visits: VecDeque::new(),
            block: None,
            is_newest_part: false,
            next_run: 0,
            kept: Vec::new(),
        });
        let mut cursor = Cursor::new(source, file.order(), plan);
        cursor.settle(plan, counters);
        Ok(cursor.key.is_some().then_some(cursor))
    }

    fn new(source: Source, order: Order, plan: &Plan) -> Cursor {
        Cursor {
            source,
            order,
            has_deletes: plan.deletes.iter().any(|deletes| !deletes.after(order).is_empty()),
            key: None,
            exact: false,
            piece: None,
            parts: Vec::new(),
            list_at: 0,
            slot: None,
        }
    }

    pub fn key(&self) -> Option<Key> {
        self.key
    }

    /// Whether `key` is that of the next row, which is at hand.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    pub fn is_chunk(&self) -> bool {
        matches!(self.source, Source::Chunk { .. })
    }

    /// The next row's piece, made when first asked for.
    pub fn piece(&mut self, plan: &Plan) -> &Arc<Piece> {
        let source = &self.source;
        self.piece.get_or_insert_with(|| match source {
            Source::Chunk { sorted, .. } => Piece::of_chunk(sorted, &plan.wanted),
            Source::File(file) => {
                let block = file.block.as_ref().expect("an exact cursor of a file has a block");
                block.piece.clone()
            }
        })
    }

    /// The piece's number in a batch, if it was given one.
    pub fn slot(&self, batch: u64) -> Option<u32> {
        self.slot.filter(|(of, _)| *of == batch).map(|(_, slot)| slot)
    }

    pub fn set_slot(&mut self, batch: u64, slot: u32) {
        self.slot = Some((batch, slot));
    }

    fn times(&self) -> &[i64] {
        match &self.source {
            Source::Chunk { sorted, .. } => &sorted.times,
            Source::File(file) => file.block.as_ref().map_or(&[], |block| &block.piece.times),
        }
    }

    /// About how many rows may follow without a change of piece.
    pub fn rows_at_hand(&self) -> usize {
        match &self.source {
            Source::Chunk { .. } => self.parts.last().map_or(0, |(start, end)| end - start),
            Source::File(_) => self.times().len(),
        }
    }

    /// Position of the next row.
    pub fn position(&self, plan: &Plan) -> usize {
        let (start, end) = self.parts.last().copied().unwrap_or((0, 1));
        match plan.direction {
            Direction::Ascending => start,
            Direction::Descending => end - 1,
        }
    }

    /// The positions of up to `most` next rows that come before `limit` and lie together.
    pub fn before(&self, plan: &Plan, limit: Option<Key>, most: usize) -> (usize, usize) {
        let Some((start, end)) = self.parts.last().copied() else {
            return (0, 0);
        };
        let series = self.key.map_or(0, |key| key.series);
        let limit = limit.filter(|limit| limit.series == series);
        match plan.direction {
            Direction::Ascending => {
                let end = end.min(start.saturating_add(most));
                let before = limit.map_or(end, |limit| {
                    gallop(&self.times()[..end], start, |time| *time < limit.turned_time)
                });
                (start, before)
            }
            Direction::Descending => {
                let start = start.max(end.saturating_sub(most));
                let before = limit.map_or(start, |limit| {
                    let not_before = |time: &i64| *time <= !limit.turned_time;
                    start + self.times()[start..end].partition_point(not_before)
                });
                (before, end)
            }
        }
    }

    /// Goes past `count` rows of the current part.
    pub fn advance(&mut self, plan: &Plan, count: usize, counters: &mut ScanCounters) {
        if self.is_chunk() {
            counters.rows_in_memory += count as u64;
        }
        if let Some((start, end)) = self.parts.last_mut() {
            match plan.direction {
                Direction::Ascending => *start += count,
                Direction::Descending => *end -= count,
            }
            if start >= end {
                self.parts.pop();
            }
        }
        match self.parts.is_empty() {
            true => self.settle(plan, counters),
            false => self.set_exact(plan),
        }
    }

    fn set_exact(&mut self, plan: &Plan) {
        let time = self.times()[self.position(plan)];
        let series = self.key.map_or(0, |key| key.series);
        self.key = Some(plan.key(series, time));
        self.exact = true;
    }

    /// Goes past everything of `series` and before.
    pub fn skip_series(&mut self, plan: &Plan, series: u32, counters: &mut ScanCounters) {
        let Some(next) = series.checked_add(1) else {
            self.key = None;
            return;
        };
        self.parts.clear();
        match &mut self.source {
            Source::Chunk { sorted, next: at, .. } => *at = gallop(&sorted.series, *at, |one| *one < next),
            Source::File(file) => file.skip_to(next, counters),
        }
        self.settle(plan, counters);
    }

    /// Finds the next run that shows something, or the next block that has to be decoded for that.
    fn settle(&mut self, plan: &Plan, counters: &mut ScanCounters) {
        self.exact = false;
        loop {
            let found = match &mut self.source {
                Source::Chunk { sorted, time, next } => {
                    let found = next_in_set(&sorted.series, next, &plan.series, &mut self.list_at);
                    found.map(|at| (sorted.series[at], sorted.run(at), *time))
                }
                Source::File(file) => file.next_run(&plan.series, &mut self.list_at),
            };
            let Some((series, run, time)) = found else {
                break;
            };
            self.key = Some(plan.key(series, 0));
            self.parts = self.visible(plan, series, run, time);
            if !self.parts.is_empty() {
                return self.set_exact(plan);
            }
        }
        self.key = None;
        if let Source::File(file) = &mut self.source {
            self.piece = None;
            self.slot = None;
            self.key = file.next_visit(plan, &mut self.list_at, counters);
        }
    }

    /// The parts of a run (whose times lie in `time`) in the plan's span and not deleted, the last to come first.
    fn visible(&self, plan: &Plan, series: u32, run: (usize, usize), time: TimeRange) -> Vec<(usize, usize)> {
        let (mut start, mut end) = run;
        if time.start() < plan.time.start() || time.end() > plan.time.end() {
            let times = &self.times()[start..end];
            end = start + times.partition_point(|time| *time <= plan.time.end());
            start += times.partition_point(|time| *time < plan.time.start());
        }
        if start >= end {
            return Vec::new();
        }
        if !self.has_deletes {
            return vec![(start, end)];
        }
        let mut hidden = Vec::new();
        for deletes in &plan.deletes {
            deletes.hidden(series, self.order, &mut hidden);
        }
        let mut parts = cut(self.times(), start, end, &mut hidden);
        if plan.direction == Direction::Ascending {
            parts.reverse();
        }
        parts
    }

    /// The block that has to be decoded before the next key is known, if that is what is missing.
    pub fn awaited(&self) -> Option<(&Arc<DataFile>, usize)> {
        match &self.source {
            Source::File(file) if !self.exact => Some((&file.data, file.visits.front()?.block)),
            _ => None,
        }
    }

    /// The awaited block, if all rows of it are in the plan's series and span and no delete hides one.
    pub fn awaited_whole(&self, plan: &Plan) -> Option<(&Arc<DataFile>, usize)> {
        let (data, block) = self.awaited()?;
        let Source::File(file) = &self.source else {
            return None;
        };
        let (visit, meta) = (file.visits.front()?, &data.blocks()[block]);
        let time = TimeRange::new(meta.min_time, meta.max_time)?;
        let (first, last) = (meta.first_series.0, meta.last_series.0);
        let in_span = plan.time.start() <= time.start() && time.end() <= plan.time.end();
        let whole = plan.direction == Direction::Ascending && in_span && (visit.first, visit.last) == (first, last);
        if !whole || !self.has_all(plan, first, last) {
            return None;
        }
        let hides = |deletes: &Arc<Deletes>| {
            let mut after = deletes.after(self.order).iter();
            after.any(|delete| delete.touches(first, last, &time))
        };
        let hidden = self.has_deletes && plan.deletes.iter().any(hides);
        (!hidden).then_some((data, block))
    }

    /// Whether every series from `first` to `last` is in the plan's set.
    fn has_all(&self, plan: &Plan, first: u32, last: u32) -> bool {
        let SeriesSet::List(list) = &plan.series else {
            return true;
        };
        let at = gallop(list, self.list_at, |one| one.0 < first);
        let ends_at = at.checked_add((last - first) as usize);
        let is = |at: Option<usize>, series: u32| at.and_then(|at| list.get(at)).is_some_and(|one| one.0 == series);
        // The list ascends: as many places as numbers are all of them.
        is(Some(at), first) && is(ends_at, last)
    }

    /// Goes past the awaited block without reading it.
    pub fn skip_awaited(&mut self, plan: &Plan, counters: &mut ScanCounters) {
        if let Source::File(file) = &mut self.source {
            file.visits.pop_front();
            counters.blocks_skipped += 1;
        }
        self.settle(plan, counters);
    }

    /// Decodes the awaited block.
    pub fn decode_awaited(&mut self, plan: &Plan, counters: &mut ScanCounters) -> Result<(), StorageError> {
        if let Source::File(file) = &mut self.source {
            file.decode(plan, counters)?;
        }
        self.settle(plan, counters);
        Ok(())
    }
}

impl FileSource {
    /// The next run of the decoded block that is in the set; series, positions, and the span of the block.
    fn next_run(&mut self, set: &SeriesSet, list_at: &mut usize) -> Option<(u32, (usize, usize), TimeRange)> {
        let block = self.block.as_ref()?;
        let visit = self.visits.front()?;
        let found =
            next_in_set(&block.series, &mut self.next_run, set, list_at).filter(|at| block.series[*at] <= visit.last);
        let Some(at) = found else {
            let done = self.block.take().zip(self.visits.pop_front());
            // Kept for the other end of a series that it shares with its neighbours.
            if let Some((block, visit)) = done
                && !self.is_newest_part
                && visit.until == i64::MAX
                && self.visits.iter().any(|later| later.block == visit.block)
            {
                self.keep(visit.block, block);
            }
            return None;
        };
        let meta = &self.data.blocks()[visit.block];
        let time = TimeRange::new(meta.min_time, meta.max_time).unwrap_or(TimeRange::ALL);
        Some((
            block.series[at],
            (block.starts[at] as usize, block.starts[at + 1] as usize),
            time,
        ))
    }

    /// A lower bound of the keys in the next block of interest.
    fn next_visit(&mut self, plan: &Plan, list_at: &mut usize, counters: &mut ScanCounters) -> Option<Key> {
        let visit = loop {
            if self.visits.is_empty() {
                self.plan_visits(plan, list_at, counters);
            }
            let visit = self.visits.front()?;
            if any_in(&plan.series, visit.first, visit.last) {
                break *visit;
            }
            self.visits.pop_front();
            counters.blocks_skipped += 1;
        };
        let meta = self.data.blocks().get(visit.block)?;
        let time = match plan.direction {
            Direction::Ascending => meta.min_time.max(plan.time.start()),
            Direction::Descending => meta.max_time.min(plan.time.end()).min(visit.until),
        };
        let series = match &plan.series {
            SeriesSet::All => visit.first,
            SeriesSet::List(list) => list
                .get(gallop(list, *list_at, |one| one.0 < visit.first))
                .map_or(visit.first, |one| one.0),
        };
        Some(plan.key(series, time))
    }

    /// Queues the next block with rows of the set in the span. Going down in time, the blocks that share a series are queued together: what
    /// the first has before that series, then the series from the last block to the first; what the last has after it comes next time.
    fn plan_visits(&mut self, plan: &Plan, list_at: &mut usize, counters: &mut ScanCounters) {
        let data = self.data.clone();
        let blocks = data.blocks();
        let in_span = |block: &BlockMeta| block.max_time >= plan.time.start() && block.min_time <= plan.time.end();
        while self.next_block < self.end && self.visits.is_empty() {
            let at = self.next_block;
            let block = &blocks[at];
            let first = block.first_series.0.max(self.next_series);
            let last = block.last_series.0;
            if first > last {
                self.next_block += 1;
                continue;
            }
            if let SeriesSet::List(list) = &plan.series {
                *list_at = gallop(list, *list_at, |one| one.0 < first);
                let Some(wanted) = list.get(*list_at) else {
                    counters.blocks_skipped += (self.end - at) as u64;
                    self.next_block = self.end;
                    return;
                };
                if wanted.0 > last {
                    self.next_block = gallop(&blocks[..self.end], at, |block| block.last_series < *wanted);
                    counters.blocks_skipped += (self.next_block - at) as u64;
                    continue;
                }
            }
            let shared_to = match plan.direction {
                Direction::Ascending => at,
                Direction::Descending => {
                    let rest = &blocks[at + 1..self.end];
                    at + rest.iter().take_while(|block| block.first_series.0 == last).count()
                }
            };
            if shared_to == at {
                self.next_block = at + 1;
                match in_span(block) {
                    true => self.visits.push_back(Visit::new(at, first, last)),
                    false => counters.blocks_skipped += 1,
                }
                continue;
            }
            if first < last && in_span(block) {
                self.visits.push_back(Visit::new(at, first, last - 1));
            }
            for (shared, meta) in blocks.iter().enumerate().take(shared_to + 1).skip(at).rev() {
                match in_span(meta) {
                    true => self.visits.push_back(Visit::new(shared, last, last)),
                    false => counters.blocks_skipped += 1,
                }
            }
            self.next_block = shared_to;
            match last.checked_add(1) {
                Some(next) => self.next_series = next,
                None => self.next_block = self.end,
            }
        }
    }

    fn skip_to(&mut self, series: u32, counters: &mut ScanCounters) {
        self.next_series = self.next_series.max(series);
        if let Some(block) = &self.block {
            self.next_run = gallop(&block.series, self.next_run, |one| *one < series);
        }
        let current = usize::from(self.block.is_some());
        let before = self.visits.len();
        let mut place = 0;
        self.visits.retain_mut(|visit| {
            place += 1;
            visit.first = visit.first.max(series);
            // The current one is left to `next_run`, which keeps the block if it is needed again.
            place <= current || visit.last >= series
        });
        counters.blocks_skipped += (before - self.visits.len()) as u64;
        let to = gallop(&self.data.blocks()[..self.end], self.next_block, |block| {
            block.last_series.0 < series
        });
        counters.blocks_skipped += (to - self.next_block) as u64;
        self.next_block = to;
    }

    fn keep(&mut self, number: usize, block: Block) {
        if !self.kept.iter().any(|(kept, _)| *kept == number) {
            self.kept.push((number, block));
        }
    }

    fn decode(&mut self, plan: &Plan, counters: &mut ScanCounters) -> Result<(), StorageError> {
        let Some(visit) = self.visits.front().copied() else {
            return Ok(());
        };
        let kept = self.kept.iter().position(|(block, _)| *block == visit.block);
        self.is_newest_part = false;
        let block = match kept {
            Some(at) => self.kept[at].1.clone(),
            None => {
                let rows = match &plan.wanted {
                    Wanted::These(columns) => {
                        let rows = self.rows_at_first(plan, &visit);
                        let time = TimeRange::new(plan.time.start(), plan.time.end().min(visit.until));
                        let time = time.unwrap_or(plan.time);
                        let read = self.data.read_newest(visit.block, columns, time, rows)?;
                        if read.times.len() == rows
                            && let Some(first) = read.times.first()
                        {
                            self.leave_older(plan, visit, *first);
                        }
                        read
                    }
                    Wanted::All => self.data.read_all(visit.block)?,
                };
                counters.blocks_taken += 1;
                counters.bytes_read += u64::from(self.data.blocks()[visit.block].bytes);
                Block::new(rows, plan.update)
            }
        };
        let (visits, next_block) = (&self.visits, self.next_block);
        let met_again = |block| block == next_block || visits.iter().skip(1).any(|later| later.block == block);
        self.kept.retain(|(block, _)| met_again(*block));
        if visit.block == next_block && !self.is_newest_part && visit.until == i64::MAX {
            self.keep(visit.block, block.clone());
        }
        self.next_run = gallop(&block.series, 0, |one| *one < visit.first);
        self.block = Some(block);
        Ok(())
    }
}

/// The newest rows of a block before the others.
impl FileSource {
    /// Of how many rows a block's values are decoded when it is visited first: no more than are wanted, if those are few of it and come first.
    fn rows_at_first(&self, plan: &Plan, visit: &Visit) -> usize {
        let meta = &self.data.blocks()[visit.block];
        let few = |rows: &usize| rows.saturating_mul(4) <= meta.rows as usize;
        let is_first = visit.until == i64::MAX && plan.direction == Direction::Descending;
        let one = meta.first_series == meta.last_series;
        let wanted = plan.rows_of_series.filter(few).filter(|_| is_first && one);
        wanted.unwrap_or(usize::MAX)
    }

    /// The rows before `time` get a visit of their own, should they be asked for: deletes, or newer sources, may have hidden those at hand.
    fn leave_older(&mut self, plan: &Plan, visit: Visit, time: i64) {
        self.is_newest_part = true;
        let until = time.checked_sub(1);
        if let Some(until) = until.filter(|until| *until >= plan.time.start()) {
            self.visits.insert(1, Visit { until, ..visit });
        }
    }
}

/// The first place from `at` on whose series is in the set; `at` is left behind it.
fn next_in_set(series: &[u32], at: &mut usize, set: &SeriesSet, list_at: &mut usize) -> Option<usize> {
    loop {
        let one = *series.get(*at)?;
        if let SeriesSet::List(list) = set {
            *list_at = gallop(list, *list_at, |listed| listed.0 < one);
            let listed = list.get(*list_at)?.0;
            if listed != one {
                *at = gallop(series, *at, |one| *one < listed);
                continue;
            }
        }
        *at += 1;
        return Some(*at - 1);
    }
}

/// The first place from `from` on where `before` does not hold, which it does only up to some place. Fast when that is near.
pub(crate) fn gallop<T>(list: &[T], from: usize, before: impl Fn(&T) -> bool) -> usize {
    let mut low = from.min(list.len());
    let mut step = 1;
    while let Some(probe) = list.get(low + step - 1)
        && before(probe)
    {
        low += step;
        step *= 2;
    }
    let high = (low + step - 1).min(list.len());
    low + list[low..high].partition_point(before)
}
