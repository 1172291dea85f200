//! A scan: several sources gone through together, one row for each key.
//!
//! The cursor with the lowest key gives all its rows up to the next cursor's key at once, found by galloping. Where sources do not overlap
//! that is whole runs and whole blocks, which pass as slices; only where they interleave does each row cost a turn of the heap. Rows of
//! one key meet at the top of the heap and are folded from the oldest source to the newest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::chunk::{Chunk, Sorted};
use super::cursor::{Cursor, Key, Plan};
use super::deletes::any_in;
use super::disk::LiveFile;
use super::piece::{Parts, Version};
use crate::data_file::DataFile;
use crate::scan::{Accept, WholeBlock};
use crate::{ColumnBound, ScanCounters, SeriesSet, StorageError, TimeRange};

/// Where a source's keys lie, to find out whether a block has its keys for itself.
enum Extent {
    Chunk(Arc<Sorted>, TimeRange),
    File { group: i64, data: Arc<DataFile> },
}

/// Sources being merged. After an error it is at its end.
pub(crate) struct Merge {
    plan: Plan,
    limit_per_series: usize,
    /// From the oldest to the newest.
    cursors: Vec<Cursor>,
    /// Only what bounds are checked with.
    extents: Vec<Extent>,
    heap: BinaryHeap<Reverse<(Key, usize)>>,
    counters: ScanCounters,
    /// The series last given, and how many rows of it.
    given: (u32, usize),
    batches: u64,
    versions: Vec<usize>,
    remaining: Vec<usize>,
}

/// What a merge gives: rows, or whole blocks.
pub(crate) enum Given {
    Rows(Parts),
    Blocks(Vec<WholeBlock>),
}

/// Where whole blocks go, and who takes them.
struct Whole<'a, 'b> {
    blocks: &'a mut Vec<WholeBlock>,
    accept: &'a mut Accept<'b>,
}

/// Blocks given together: enough that what a batch costs further up is nothing for each.
const BLOCKS_MAX: usize = 1024;

/// A part of so many rows is worth a batch of its own: it then passes as a slice, and what a batch costs further up is still little per row.
const PART_ROWS_LARGE: usize = 1024;

impl Merge {
    /// `files` and `chunks`: from the oldest to the newest, all files older than all chunks.
    pub fn new(
        plan: Plan,
        limit_per_series: Option<usize>,
        files: &[Arc<LiveFile>],
        chunks: &[&Arc<Chunk>],
        mut counters: ScanCounters,
    ) -> Result<Merge, StorageError> {
        let mut cursors = Vec::new();
        let mut extents = Vec::new();
        for file in files {
            if let Some(cursor) = Cursor::of_file(file, &plan, &mut counters)? {
                cursors.push(cursor);
                extents.push(Extent::File {
                    group: file.entry.group,
                    data: file.data()?.clone(),
                });
            }
        }
        for chunk in chunks {
            if let Some(cursor) = Cursor::of_chunk(chunk, &plan) {
                cursors.push(cursor);
                extents.push(Extent::Chunk(chunk.sorted().clone(), chunk.time()));
            }
        }
        let keys = cursors.iter().enumerate();
        let heap = keys
            .filter_map(|(at, cursor)| Some(Reverse((cursor.key()?, at))))
            .collect();
        Ok(Merge {
            plan,
            limit_per_series: limit_per_series.unwrap_or(usize::MAX),
            cursors,
            extents,
            heap,
            counters,
            given: (0, 0),
            batches: 0,
            versions: Vec::new(),
            remaining: Vec::new(),
        })
    }

    pub fn counters(&self) -> ScanCounters {
        self.counters
    }

    /// Up to `rows_max` rows; `None` at the end.
    pub fn next(&mut self, rows_max: usize) -> Result<Option<Parts>, StorageError> {
        self.batches += 1;
        let mut parts = Parts::new(self.plan.direction);
        if let Err(error) = self.fill(&mut parts, rows_max.max(1), None) {
            self.heap.clear();
            return Err(error);
        }
        Ok((parts.rows() > 0).then_some(parts))
    }

    /// As `next`, with whole blocks instead of their rows where `accept` says so.
    pub fn next_part(&mut self, rows_max: usize, accept: &mut Accept<'_>) -> Result<Option<Given>, StorageError> {
        self.batches += 1;
        let mut parts = Parts::new(self.plan.direction);
        let mut blocks = Vec::new();
        let whole = Whole {
            blocks: &mut blocks,
            accept,
        };
        if let Err(error) = self.fill(&mut parts, rows_max.max(1), Some(whole)) {
            self.heap.clear();
            return Err(error);
        }
        Ok(match (parts.rows(), blocks.is_empty()) {
            (0, true) => None,
            (0, false) => Some(Given::Blocks(blocks)),
            _ => Some(Given::Rows(parts)),
        })
    }

    /// Adds rows to `parts`, or else whole blocks to those of `whole`.
    fn fill(
        &mut self,
        parts: &mut Parts,
        rows_max: usize,
        mut whole: Option<Whole<'_, '_>>,
    ) -> Result<(), StorageError> {
        if self.limit_per_series == 0 {
            return Ok(());
        }
        while parts.rows() < rows_max
            && let Some(Reverse((key, at))) = self.heap.pop()
        {
            if let Some(whole) = &mut whole {
                // Rows and blocks take turns: what was found first is given first.
                let taken = match self.whole_block(at) {
                    Some(block) if (whole.accept)(&block)? => Some(block),
                    _ => None,
                };
                match taken {
                    Some(block) if parts.rows() == 0 => {
                        whole.blocks.push(block);
                        self.cursors[at].skip_awaited(&self.plan, &mut self.counters);
                        self.push(at);
                        if whole.blocks.len() >= BLOCKS_MAX {
                            break;
                        }
                        continue;
                    }
                    None if whole.blocks.is_empty() => {}
                    _ => {
                        self.push(at);
                        break;
                    }
                }
            }
            if self.given.0 == key.series && self.given.1 >= self.limit_per_series {
                self.cursors[at].skip_series(&self.plan, key.series, &mut self.counters);
            } else if !self.cursors[at].is_exact() {
                self.decode(at)?;
            } else if self.heap.peek().is_some_and(|Reverse((next, _))| *next == key) {
                self.fold(parts, key, at)?;
                continue;
            } else {
                let next = self.heap.peek().map(|Reverse((next, _))| *next);
                if !self.give(parts, at, next, rows_max) {
                    self.push(at);
                    break;
                }
            }
            self.push(at);
        }
        Ok(())
    }

    fn push(&mut self, at: usize) {
        if let Some(key) = self.cursors[at].key() {
            self.heap.push(Reverse((key, at)));
        }
    }

    /// The block that the cursor waits for, if the scan gives all of its rows and nothing between or instead of them. The cursor is not in
    /// the heap.
    fn whole_block(&self, at: usize) -> Option<WholeBlock> {
        if !self.plan.bounds.is_empty() || self.limit_per_series != usize::MAX {
            return None;
        }
        let (data, block) = self.cursors[at].awaited_whole(&self.plan)?;
        let meta = &data.blocks()[block];
        let last = match meta.first_series == meta.last_series {
            true => self.plan.key(meta.last_series.0, meta.max_time),
            // Of several series only the last one's times are known to be before the key of another source.
            false => self.plan.key(meta.last_series.0, i64::MAX),
        };
        let alone = self.heap.peek().is_none_or(|Reverse((next, _))| last < *next);
        alone.then(|| WholeBlock::new(data, block))
    }

    /// Gives one cursor's rows that come before `next`. False when they had better begin a batch.
    fn give(&mut self, parts: &mut Parts, at: usize, next: Option<Key>, rows_max: usize) -> bool {
        let cursor = &mut self.cursors[at];
        while cursor.is_exact()
            && let Some(key) = cursor.key().filter(|key| next.is_none_or(|next| *key < next))
        {
            let given = if self.given.0 == key.series { self.given.1 } else { 0 };
            let most = (rows_max - parts.rows()).min(self.limit_per_series - given);
            if most == 0 {
                break;
            }
            let is_new = cursor.slot(self.batches).is_none();
            if is_new && parts.rows() >= PART_ROWS_LARGE && cursor.rows_at_hand() >= PART_ROWS_LARGE {
                return false;
            }
            let (start, end) = cursor.before(&self.plan, next, most);
            let slot = slot(cursor, &self.plan, parts, self.batches);
            parts.push(key.series, slot, start, end - start);
            self.given = (key.series, given + end - start);
            cursor.advance(&self.plan, end - start, &mut self.counters);
        }
        true
    }

    /// Gives the one row that several cursors have a version of. The first was taken from the heap already.
    fn fold(&mut self, parts: &mut Parts, key: Key, first: usize) -> Result<(), StorageError> {
        self.versions.clear();
        self.versions.push(first);
        while let Some(Reverse((next, at))) = self.heap.peek().copied()
            && next == key
        {
            self.heap.pop();
            match self.cursors[at].is_exact() {
                true => self.versions.push(at),
                false => {
                    self.decode(at)?;
                    self.push(at);
                }
            }
        }
        self.versions.sort_unstable();
        let mut versions = Vec::with_capacity(self.versions.len());
        for at in &self.versions {
            let cursor = &mut self.cursors[*at];
            versions.push(Version {
                piece: slot(cursor, &self.plan, parts, self.batches),
                position: cursor.position(&self.plan),
            });
        }
        parts.push_folded(key.series, &versions, &mut self.remaining);
        let given = if self.given.0 == key.series { self.given.1 } else { 0 };
        self.given = (key.series, given + 1);
        for at in std::mem::take(&mut self.versions) {
            self.cursors[at].advance(&self.plan, 1, &mut self.counters);
            self.push(at);
        }
        Ok(())
    }

    fn decode(&mut self, at: usize) -> Result<(), StorageError> {
        let within = match self.cursors[at].awaited() {
            Some((data, block)) => self.may_be_within(at, data, block)?,
            None => true,
        };
        match within {
            true => self.cursors[at].decode_awaited(&self.plan, &mut self.counters),
            false => {
                self.cursors[at].skip_awaited(&self.plan, &mut self.counters);
                Ok(())
            }
        }
    }

    /// Whether a row of the block can be within the bounds, or make a row of another source be so: of two versions, the block's may be the
    /// one that counts. Then its values decide nothing about the row that remains.
    fn may_be_within(&self, at: usize, data: &DataFile, block: usize) -> Result<bool, StorageError> {
        for bound in &self.plan.bounds {
            if is_outside(data, block, bound)? {
                return Ok(self.shares_keys(at, data, block));
            }
        }
        Ok(true)
    }

    fn shares_keys(&self, at: usize, data: &DataFile, block: usize) -> bool {
        let meta = &data.blocks()[block];
        let Some(time) = TimeRange::new(meta.min_time, meta.max_time) else {
            return true;
        };
        let Some(Extent::File { group: own, .. }) = self.extents.get(at) else {
            return true;
        };
        let shares = |(other, extent): (usize, &Extent)| match extent {
            Extent::Chunk(sorted, span) => {
                let from = sorted.series.partition_point(|series| *series < meta.first_series.0);
                let near = sorted
                    .series
                    .get(from)
                    .is_some_and(|series| *series <= meta.last_series.0);
                near && span.intersect(&time).is_some()
            }
            Extent::File { group, data } => {
                let near = data.find(self.plan.family, meta.first_series, meta.last_series);
                let overlaps = |block: &crate::data_file::BlockMeta| {
                    block.max_time >= meta.min_time && block.min_time <= meta.max_time
                };
                let blocks = data.blocks().get(near).unwrap_or_default();
                group == own && other != at && blocks.iter().any(overlaps)
            }
        };
        self.extents.iter().enumerate().any(shares)
    }
}

fn slot(cursor: &mut Cursor, plan: &Plan, parts: &mut Parts, batch: u64) -> u32 {
    cursor.slot(batch).unwrap_or_else(|| {
        let slot = parts.piece(cursor.piece(plan));
        cursor.set_slot(batch, slot);
        slot
    })
}

/// Whether the block's statistics say that no row of it is within the bound.
fn is_outside(data: &DataFile, block: usize, bound: &ColumnBound) -> Result<bool, StorageError> {
    let Some(statistics) = data.statistics(block, bound.column)? else {
        // Null everywhere, and null is within no bounds.
        return Ok(bound.min.is_some() || bound.max.is_some());
    };
    let (Some(min), Some(max)) = (statistics.min, statistics.max) else {
        return Ok(false);
    };
    // NaN is above every number, as PostgreSQL has it.
    let max = if statistics.nans > 0 { f64::INFINITY } else { max };
    Ok(bound.min.is_some_and(|least| max < least) || bound.max.is_some_and(|most| min > most))
}

/// Whether some block of the family in the file has a series of the set at a time of the span.
pub(crate) fn has_block(file: &LiveFile, plan: &Plan) -> Result<bool, StorageError> {
    let data = file.data()?;
    let (first, last) = match &plan.series {
        SeriesSet::All => (crate::SeriesId(0), crate::SeriesId(u32::MAX)),
        SeriesSet::List(list) => match (list.first(), list.last()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => return Ok(false),
        },
    };
    let blocks = data
        .blocks()
        .get(data.find(plan.family, first, last))
        .unwrap_or_default();
    Ok(blocks.iter().any(|block| {
        block.max_time >= plan.time.start()
            && block.min_time <= plan.time.end()
            && any_in(&plan.series, block.first_series.0, block.last_series.0)
    }))
}
