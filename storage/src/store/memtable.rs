//! The memtable: what was written since the last flush, as chunks and deletes of each family.
//!
//! ```text
//! record -> chunk of its rows        8 chunks of 1 row -> one of 8        8 of 8 -> one of 64 ...        up to about 64 Ki rows
//! ```
//!
//! A memtable is shared by views as it is; the writer changes its own copy of what a view holds, which is a few lists of Arcs. Chunks are put
//! together as a counter carries, so that a million single rows end as a few chunks and each row is copied some five times.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::chunk::Chunk;
use super::deletes::{Delete, Deletes, Order};
use crate::{Change, FamilyId, SeriesSet, TimeRange, UpdateMode};

/// Families are spread over so many maps, so that a writer beside a reader copies a small part of ten thousand families' list.
const SHARDS: usize = 64;

/// Chunks of one size that are put together at once, as a power of two: larger means fewer copies of a row and more chunks for a reader to
/// look into. With 8 a reader meets at most 7 chunks of each of 5 sizes besides the full ones.
const CARRY_BITS: u32 = 3;

/// A chunk of so many rows is left alone: 64 Ki rows of ten doubles are 5 MB, sorted in a millisecond.
const CHUNK_ROWS_FULL: usize = 64 * 1024;

/// From this size (4,096 rows) on a chunk is not copied for the sake of a smaller one before it.
const LEVEL_LARGE: u32 = 4;

/// What a chunk costs besides its values, so that many tiny ones that cannot be put together are flushed in time.
const CHUNK_OVERHEAD_BYTES: usize = 512;

/// Changes since the last flush.
#[derive(Clone)]
pub(crate) struct Memtable {
    shards: Vec<Arc<BTreeMap<FamilyId, Arc<FamilyRows>>>>,
    last_index: Option<u64>,
    rows: u64,
    memory_bytes: usize,
    drops_family: bool,
}

/// One family's part of a memtable.
#[derive(Clone, Default)]
pub(crate) struct FamilyRows {
    /// Oldest first.
    pub chunks: Vec<Arc<Chunk>>,
    pub deletes: Arc<Deletes>,
}

/// Chunks to be replaced by one that holds their rows.
pub(crate) struct Carry {
    family: FamilyId,
    at: Range<usize>,
    chunks: Vec<Arc<Chunk>>,
    deletes: Arc<Deletes>,
}

impl Carry {
    /// Does the copying, which needs no lock.
    pub fn concat(&self) -> Option<Arc<Chunk>> {
        Chunk::concat(&self.chunks, &self.deletes).map(Arc::new)
    }
}

/// A step of a record, made ready outside of the lock.
pub(crate) enum Step {
    Rows(FamilyId, Arc<Chunk>),
    Delete(FamilyId, Delete),
}

/// The steps of log record `index`, numbered from `first` on.
pub(crate) fn steps(index: u64, first: u32, changes: Vec<Change>, update: UpdateMode) -> Vec<Step> {
    let step = |(step, change)| {
        let order = Order { index, step };
        match change {
            Change::Rows(rows) => {
                let family = rows.family;
                Chunk::new(rows, order, update).map(|chunk| Step::Rows(family, Arc::new(chunk)))
            }
            Change::Delete { family, series, time } => Some(Step::Delete(family, Delete { order, series, time })),
            Change::DropFamily(family) => {
                let (series, time) = (SeriesSet::All, TimeRange::ALL);
                Some(Step::Delete(family, Delete { order, series, time }))
            }
        }
    };
    (first..).zip(changes).filter_map(step).collect()
}

impl Default for Memtable {
    fn default() -> Memtable {
        Memtable {
            shards: vec![Arc::default(); SHARDS],
            last_index: None,
            rows: 0,
            memory_bytes: 0,
            drops_family: false,
        }
    }
}

impl Memtable {
    pub fn family(&self, family: FamilyId) -> Option<&Arc<FamilyRows>> {
        self.shards[family.0 as usize % SHARDS].get(&family)
    }

    pub fn families(&self) -> impl Iterator<Item = (FamilyId, &Arc<FamilyRows>)> {
        self.shards
            .iter()
            .flat_map(|shard| shard.iter().map(|(family, rows)| (*family, rows)))
    }

    /// The newest log record in it; `None` as long as it took none.
    pub fn last_index(&self) -> Option<u64> {
        self.last_index
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether some family was deleted whole.
    pub fn drops_family(&self) -> bool {
        self.drops_family
    }

    /// Takes the steps of one log record. Returns the families that took rows.
    pub fn apply(&mut self, index: u64, steps: Vec<Step>) -> Vec<FamilyId> {
        self.last_index = Some(index);
        let mut grown = Vec::new();
        for step in steps {
            match step {
                Step::Rows(family, chunk) => {
                    self.rows += chunk.rows() as u64;
                    self.memory_bytes += chunk.memory_bytes() + CHUNK_OVERHEAD_BYTES;
                    self.family_mut(family).chunks.push(chunk);
                    grown.push(family);
                }
                Step::Delete(family, delete) => self.delete(family, delete),
            }
        }
        grown
    }

    fn delete(&mut self, family: FamilyId, delete: Delete) {
        self.memory_bytes += delete.memory_bytes();
        self.drops_family |= delete.covers(0, u32::MAX, &TimeRange::ALL);
        let rows = self.family_mut(family);
        // Whole chunks go at once, which is all of them when a family is dropped.
        let gone = rows
            .chunks
            .extract_if(.., |chunk| delete.covers(0, u32::MAX, &chunk.time()));
        let gone: Vec<Arc<Chunk>> = gone.collect();
        Arc::make_mut(&mut rows.deletes).push(delete);
        for chunk in gone {
            self.forget(&chunk);
        }
    }

    fn forget(&mut self, chunk: &Chunk) {
        self.rows -= chunk.rows() as u64;
        self.memory_bytes -= chunk.memory_bytes() + CHUNK_OVERHEAD_BYTES;
    }

    fn family_mut(&mut self, family: FamilyId) -> &mut FamilyRows {
        let shard = Arc::make_mut(&mut self.shards[family.0 as usize % SHARDS]);
        Arc::make_mut(shard.entry(family).or_default())
    }

    /// The chunks of a family that it is time to put together.
    pub fn carry(&self, family: FamilyId) -> Option<Carry> {
        let rows = self.family(family)?;
        let at = carried(&rows.chunks)?;
        Some(Carry {
            family,
            chunks: rows.chunks[at.clone()].to_vec(),
            at,
            deletes: rows.deletes.clone(),
        })
    }

    /// Puts the one chunk in the place of the many. Nothing but `apply` may have happened since `carry`.
    pub fn replace(&mut self, carry: &Carry, chunk: Option<Arc<Chunk>>) {
        carry.chunks.iter().for_each(|old| self.forget(old));
        if let Some(chunk) = &chunk {
            self.rows += chunk.rows() as u64;
            self.memory_bytes += chunk.memory_bytes() + CHUNK_OVERHEAD_BYTES;
        }
        let rows = self.family_mut(carry.family);
        rows.chunks.splice(carry.at.clone(), chunk);
    }
}

fn level(chunk: &Chunk) -> u32 {
    chunk.rows().ilog2() / CARRY_BITS
}

/// Which of the newest chunks to put together: small ones that a larger one came after, or eight of one size.
fn carried(chunks: &[Arc<Chunk>]) -> Option<Range<usize>> {
    let (last, before) = chunks.split_last()?;
    let size = level(last);
    let smaller = before.iter().rev().take_while(|chunk| level(chunk) < size).count();
    let smaller_from = mixing_from(before, before.len() - smaller);
    if size < LEVEL_LARGE && smaller > 0 {
        return Some(mixing_from(chunks, smaller_from)..chunks.len()).filter(|range| range.len() > 1);
    }
    if before.len() - smaller_from > 1 {
        return Some(smaller_from..before.len());
    }
    let same = chunks.iter().rev().take_while(|chunk| level(chunk) == size).count();
    let from = mixing_from(chunks, chunks.len() - same);
    let rows: usize = chunks[from..].iter().map(|chunk| chunk.rows()).sum();
    let many = chunks.len() - from >= 1 << CARRY_BITS;
    let full = chunks.len() - from > 1 && rows >= CHUNK_ROWS_FULL && last.rows() < CHUNK_ROWS_FULL / 2;
    ((many && last.rows() < CHUNK_ROWS_FULL / 2) || full).then_some(from..chunks.len())
}

/// The first place from `from` on from which all chunks' rules mix.
fn mixing_from(chunks: &[Arc<Chunk>], from: usize) -> usize {
    let mut start = chunks.len();
    while start > from {
        let next = chunks[start - 1].rules();
        if !chunks[start..].iter().all(|chunk| chunk.rules().mixes_with(next)) {
            break;
        }
        start -= 1;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conflict, Rows};

    fn rows(count: usize) -> Change {
        Change::Rows(Rows {
            family: FamilyId(1),
            series: vec![1; count].into(),
            times: (0..count as i64).collect::<Vec<_>>().into(),
            columns: vec![],
            conflict: Conflict::ByVnode,
        })
    }

    fn apply(memtable: &mut Memtable, index: u64, change: Change) {
        for family in memtable.apply(index, steps(index, 0, vec![change], UpdateMode::ReplaceRow)) {
            while let Some(carry) = memtable.carry(family) {
                let chunk = carry.concat();
                memtable.replace(&carry, chunk);
            }
        }
    }

    fn sizes(memtable: &Memtable) -> Vec<usize> {
        let rows = memtable.family(FamilyId(1)).unwrap();
        rows.chunks.iter().map(|chunk| chunk.rows()).collect()
    }

    #[test]
    fn single_rows_end_in_few_chunks() {
        let mut memtable = Memtable::default();
        for index in 1..=1000 {
            apply(&mut memtable, index, rows(1));
        }
        // 1000 = 1 * 512 + 7 * 64 + 5 * 8
        assert_eq!(sizes(&memtable), [512, 64, 64, 64, 64, 64, 64, 64, 8, 8, 8, 8, 8]);
        assert_eq!(memtable.rows(), 1000);
    }

    #[test]
    fn full_batches_are_not_copied() {
        let mut memtable = Memtable::default();
        for index in 1..=20 {
            apply(&mut memtable, index, rows(64 * 1024));
        }
        assert_eq!(sizes(&memtable), [64 * 1024; 20]);
        apply(&mut memtable, 21, rows(3));
        apply(&mut memtable, 22, rows(1));
        apply(&mut memtable, 23, rows(100));
        assert_eq!(sizes(&memtable)[20..], [104]);
    }

    #[test]
    fn dropping_a_family_frees_its_chunks() {
        let mut memtable = Memtable::default();
        apply(&mut memtable, 1, rows(100));
        apply(&mut memtable, 2, Change::DropFamily(FamilyId(1)));
        assert_eq!(memtable.rows(), 0);
        assert!(sizes(&memtable).is_empty());
        assert!(memtable.memory_bytes() < 200);
    }
}
