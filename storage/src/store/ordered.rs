//! Rows of many chunks sorted at once: what a merge of them would give, without a turn of its heap for every few rows.
//!
//! ```text
//! chunks in order of age --radix sort by series, times where they are late--> places (chunk and row) --gather--> rows in order
//! ```
//!
//! A fleet's rows come device by device and tick by tick, so that a chunk holds a few rows of each of thousands of series. A merge spends on
//! each of these short runs what it should spend on long ones; a sort does not see them.
//!
//! Takes chunks that no delete touches and whose rows follow the vnode's own rule. Everything else is the merge's (`merge.rs`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanBufferBuilder, PrimitiveArray, downcast_primitive,
};
use arrow::buffer::NullBuffer;
use arrow::compute;

use super::chunk::Chunk;
use super::deletes::Deletes;
use super::rule::{Rule, Rules};
use crate::data_file::SortedRows;
use crate::{ColumnId, TimeRange, UpdateMode};

/// Rows given at once, a little more where a series ends behind it: their columns pass from the gathering to the encoder through the cache.
const BATCH_ROWS: usize = 16 * 1024;

/// Bits sorted by in one pass: 2048 counters stay in the L1 cache.
const DIGIT_BITS: u32 = 11;

/// The rows of some chunks in (series, time) order, each key once.
pub(super) struct Ordered<'a> {
    chunks: &'a [&'a Arc<Chunk>],
    /// Chunk and row of each.
    places: Vec<u32>,
    /// Bits of a place that are the row's.
    row_bits: u32,
    series: Vec<u32>,
    times: Vec<i64>,
    /// Rows given so far.
    given: usize,
}

impl<'a> Ordered<'a> {
    /// `chunks`: from the oldest to the newest. `None` where a merge has to do it.
    pub fn new(
        chunks: &'a [&'a Arc<Chunk>],
        time: TimeRange,
        deletes: &[Arc<Deletes>],
        update: UpdateMode,
    ) -> Option<Ordered<'a>> {
        let rule = Rules::from_flags(update, None).only()?;
        let (first, others) = chunks.split_first()?;
        let is_plain = |chunk: &Chunk| {
            let is_deleted = deletes.iter().any(|deletes| !deletes.after(chunk.order()).is_empty());
            !is_deleted && chunk.rules().only() == Some(rule)
        };
        let is_alike = |chunk: &Chunk| {
            let pairs = chunk.columns().iter().zip(first.columns());
            chunk.columns().len() == first.columns().len() && { pairs }
                .all(|((a, left), (b, right))| a == b && left.data_type() == right.data_type())
        };
        if !chunks.iter().all(|chunk| is_plain(chunk)) || !others.iter().all(|chunk| is_alike(chunk)) {
            return None;
        }
        let row_bits = bits_of(chunks.iter().map(|chunk| chunk.rows()).max()?);
        if row_bits + bits_of(chunks.len()) > u32::BITS {
            return None;
        }
        let (places, series) = by_series(chunks, row_bits, time);
        let mut ordered = Ordered {
            times: Vec::with_capacity(places.len()),
            chunks,
            places,
            row_bits,
            series,
            given: 0,
        };
        ordered.sort_times();
        ordered.fold(rule).then_some(ordered)
    }

    fn place(&self, place: u32) -> (usize, usize) {
        split(place, self.row_bits)
    }

    /// Brings the rows of each series into the order of their times; of one time the later arrival stays behind.
    fn sort_times(&mut self) {
        let row_bits = self.row_bits;
        let sources: Vec<&[i64]> = self.chunks.iter().map(|chunk| chunk.times()).collect();
        self.times.extend(self.places.iter().map(|place| {
            let (chunk, row) = split(*place, row_bits);
            sources[chunk][row]
        }));
        // Places ascend by age: with them the order is that of arrival where times are equal.
        let mut keys: Vec<(i64, u32)> = Vec::new();
        let mut start = 0;
        for run in self.series.chunk_by(|a, b| a == b) {
            let range = start..start + run.len();
            start = range.end;
            let (times, places) = (&mut self.times[range.clone()], &mut self.places[range]);
            if times.is_sorted() {
                continue;
            }
            keys.clear();
            keys.extend(times.iter().copied().zip(places.iter().copied()));
            keys.sort_unstable();
            for ((key, time), place) in keys.iter().zip(times).zip(places) {
                (*time, *place) = *key;
            }
        }
    }

    /// Leaves one row for each key, as far as the rule says which without looking at values. False where it does not.
    fn fold(&mut self, rule: Rule) -> bool {
        let key = |at: usize| (self.series[at], self.times[at]);
        let Some(twice) = (1..self.places.len()).find(|at| key(at - 1) == key(*at)) else {
            return true;
        };
        // Values of the newer row win where it has some: all of them, where none is null.
        let has_nulls = || {
            let mut columns = self.chunks.iter().flat_map(|chunk| chunk.columns());
            columns.any(|(_, array)| array.null_count() > 0)
        };
        if rule == Rule::Merge && has_nulls() {
            return false;
        }
        let mut kept = twice;
        for at in twice..self.places.len() {
            let repeats = (self.series[kept - 1], self.times[kept - 1]) == (self.series[at], self.times[at]);
            if repeats && rule == Rule::Keep {
                continue;
            }
            kept -= usize::from(repeats);
            self.places[kept] = self.places[at];
            self.series[kept] = self.series[at];
            self.times[kept] = self.times[at];
            kept += 1;
        }
        self.places.truncate(kept);
        self.series.truncate(kept);
        self.times.truncate(kept);
        true
    }

    /// The next rows; `None` at the end.
    pub fn next(&mut self) -> Option<SortedRows> {
        let rest = self.series.get(self.given + BATCH_ROWS..).unwrap_or_default();
        let end = match rest.first() {
            // Up to the end of the series, so that its block is not put together from two batches; but a long one is cut.
            Some(series) => {
                self.series.len() - rest.len() + rest.iter().take(BATCH_ROWS).take_while(|own| *own == series).count()
            }
            None => self.series.len(),
        };
        if end == self.given {
            return None;
        }
        let range = self.given..end;
        self.given = end;
        Some(self.rows(range))
    }

    fn rows(&self, range: Range<usize>) -> SortedRows {
        let places = &self.places[range.clone()];
        let columns = self.chunks.first().map_or(&[][..], |chunk| chunk.columns());
        let columns = columns.iter().enumerate().map(|(at, (id, _))| {
            let arrays: Vec<&ArrayRef> = self.chunks.iter().map(|chunk| &chunk.columns()[at].1).collect();
            (*id, self.column(places, &arrays))
        });
        SortedRows {
            columns: columns.collect::<Vec<(ColumnId, ArrayRef)>>(),
            series: self.series[range.clone()].to_vec().into(),
            times: self.times[range].to_vec().into(),
            replaces: None,
        }
    }

    fn column(&self, places: &[u32], arrays: &[&ArrayRef]) -> ArrayRef {
        macro_rules! primitive {
            ($t:ty) => {
                self.primitive::<$t>(places, arrays)
            };
        }
        downcast_primitive! {
            arrays[0].data_type() => (primitive),
            _ => self.interleaved(places, arrays)
        }
    }

    fn primitive<T: ArrowPrimitiveType>(&self, places: &[u32], arrays: &[&ArrayRef]) -> ArrayRef {
        let typed: Vec<&PrimitiveArray<T>> = arrays.iter().map(|array| array.as_primitive::<T>()).collect();
        let sources: Vec<&[T::Native]> = typed.iter().map(|array| array.values().as_ref()).collect();
        let row_bits = self.row_bits;
        let values: Vec<T::Native> = places
            .iter()
            .map(|place| {
                let (chunk, row) = split(*place, row_bits);
                sources[chunk][row]
            })
            .collect();
        let array = PrimitiveArray::<T>::new(values.into(), self.nulls(places, arrays));
        Arc::new(array.with_data_type(typed[0].data_type().clone()))
    }

    fn nulls(&self, places: &[u32], arrays: &[&ArrayRef]) -> Option<NullBuffer> {
        if arrays.iter().all(|array| array.null_count() == 0) {
            return None;
        }
        let sources: Vec<Option<&NullBuffer>> = arrays.iter().map(|array| array.nulls()).collect();
        let mut valid = BooleanBufferBuilder::new(places.len());
        for place in places {
            let (chunk, row) = self.place(*place);
            valid.append(sources[chunk].is_none_or(|nulls| nulls.is_valid(row)));
        }
        Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0)
    }

    fn interleaved(&self, places: &[u32], arrays: &[&ArrayRef]) -> ArrayRef {
        let rows: Vec<(usize, usize)> = places.iter().map(|place| self.place(*place)).collect();
        let sources: Vec<&dyn Array> = arrays.iter().map(|array| array.as_ref()).collect();
        compute::interleave(&sources, &rows).expect("arrays of one type interleave")
    }
}

/// Bits that hold every number below `count`.
fn bits_of(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

#[inline(always)]
fn split(place: u32, row_bits: u32) -> (usize, usize) {
    // Both halves are below 2^31: `row_bits` is what the longest chunk needs, and an Arrow array has fewer than 2^31 rows.
    (
        (u64::from(place) >> row_bits) as usize,
        (u64::from(place) & ((1 << row_bits) - 1)) as usize,
    )
}

/// Places of the rows within `time` sorted by series, and these series. A radix sort: rows of one series stay in their order.
fn by_series(chunks: &[&Arc<Chunk>], row_bits: u32, time: TimeRange) -> (Vec<u32>, Vec<u32>) {
    let count: usize = chunks.iter().map(|chunk| chunk.rows()).sum();
    let mut places = Vec::with_capacity(count);
    let mut series = Vec::with_capacity(count);
    for (number, chunk) in (0u64..).zip(chunks) {
        let base = (number << row_bits) as u32;
        let (own, rows) = (chunk.series(), 0..chunk.rows() as u32);
        if chunk.time().intersect(&time) == Some(chunk.time()) {
            places.extend(rows.map(|row| base | row));
            series.extend_from_slice(own);
        } else {
            let inside = chunk.times().iter().map(|row| time.contains(*row));
            for ((row, series_of), _) in rows.zip(own).zip(inside).filter(|(_, inside)| *inside) {
                places.push(base | row);
                series.push(*series_of);
            }
        }
    }
    let first = series.iter().copied().min().unwrap_or(0);
    let last = series.iter().copied().max().unwrap_or(0);
    let bits = u32::BITS - (last - first).leading_zeros();
    let mut sorted_places = vec![0; places.len()];
    let mut sorted_series = vec![0; places.len()];
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit = |series: u32| ((series - first) >> shift) as usize & ((1 << DIGIT_BITS) - 1);
        let mut next = [0_usize; 1 << DIGIT_BITS];
        series.iter().for_each(|series| next[digit(*series)] += 1);
        let mut before = 0;
        for count in &mut next {
            before += std::mem::replace(count, before);
        }
        for (place, series) in places.iter().zip(&series) {
            let slot = &mut next[digit(*series)];
            sorted_places[*slot] = *place;
            sorted_series[*slot] = *series;
            *slot += 1;
        }
        std::mem::swap(&mut places, &mut sorted_places);
        std::mem::swap(&mut series, &mut sorted_series);
    }
    (places, series)
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use arrow::datatypes::Int32Type;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::store::deletes::Order;
    use crate::store::flush::all_rows;
    use crate::store::merge::Merge;
    use crate::{Conflict, FamilyId, Rows, ScanCounters};

    fn chunk(index: u64, rows: &[(u32, i64, Option<i32>)]) -> Arc<Chunk> {
        chunk_of(index, rows, UpdateMode::MergeColumns)
    }

    fn chunk_of(index: u64, rows: &[(u32, i64, Option<i32>)], update: UpdateMode) -> Arc<Chunk> {
        let rows = Rows {
            family: FamilyId(1),
            series: rows.iter().map(|row| row.0).collect::<Vec<_>>().into(),
            times: rows.iter().map(|row| row.1).collect::<Vec<_>>().into(),
            columns: vec![(
                ColumnId(0),
                Arc::new(rows.iter().map(|row| row.2).collect::<Int32Array>()),
            )],
            conflict: Conflict::ByVnode,
        };
        Arc::new(Chunk::new(rows, Order { index, step: 0 }, update).unwrap())
    }

    fn listed(rows: &SortedRows) -> Vec<(u32, i64, Option<i32>)> {
        let values = rows.columns[0].1.as_primitive::<Int32Type>();
        let keys = rows.series.iter().zip(rows.times.iter()).zip(values);
        keys.map(|((series, time), value)| (*series, *time, value)).collect()
    }

    fn ordered(chunks: &[Arc<Chunk>], time: TimeRange) -> Option<Vec<(u32, i64, Option<i32>)>> {
        ordered_of(chunks, time, UpdateMode::MergeColumns)
    }

    fn ordered_of(chunks: &[Arc<Chunk>], time: TimeRange, update: UpdateMode) -> Option<Vec<(u32, i64, Option<i32>)>> {
        let chunks: Vec<&Arc<Chunk>> = chunks.iter().collect();
        let mut ordered = Ordered::new(&chunks, time, &[], update)?;
        let mut all = Vec::new();
        while let Some(rows) = ordered.next() {
            all.extend(listed(&rows));
        }
        Some(all)
    }

    #[test]
    fn rows_of_all_chunks_come_in_order() {
        let chunks = [
            chunk(1, &[(7, 3, Some(1)), (2, 9, Some(2)), (7, 1, Some(3))]),
            chunk(2, &[(2, 5, None), (9000, 1, Some(4))]),
        ];
        let all = ordered(&chunks, TimeRange::ALL).unwrap();
        let expected = [
            (2, 5, None),
            (2, 9, Some(2)),
            (7, 1, Some(3)),
            (7, 3, Some(1)),
            (9000, 1, Some(4)),
        ];
        assert_eq!(all, expected);
        let early = ordered(&chunks, TimeRange::new(0, 3).unwrap()).unwrap();
        assert_eq!(early, expected[2..]);
    }

    #[test]
    fn of_two_rows_the_newer_stays_unless_it_lacks_values() {
        let whole = [
            chunk(1, &[(1, 1, Some(1)), (1, 2, Some(2)), (1, 1, Some(3))]),
            chunk(2, &[(1, 2, Some(4))]),
        ];
        assert_eq!(
            ordered(&whole, TimeRange::ALL).unwrap(),
            [(1, 1, Some(3)), (1, 2, Some(4))]
        );
        let lacking = [chunk(1, &[(1, 1, Some(1))]), chunk(2, &[(1, 1, None)])];
        assert_eq!(ordered(&lacking, TimeRange::ALL), None);
    }

    /// What a merge gives of the same chunks.
    fn merged(chunks: &[Arc<Chunk>], time: TimeRange, update: UpdateMode) -> Vec<(u32, i64, Option<i32>)> {
        let plan = all_rows(FamilyId(1), time, Vec::new(), update);
        let chunks: Vec<&Arc<Chunk>> = chunks.iter().collect();
        let mut merge = Merge::new(plan, None, &[], &chunks, ScanCounters::default()).unwrap();
        let mut all = Vec::new();
        while let Some(parts) = merge.next(1000).unwrap() {
            all.extend(listed(&parts.into_sorted_rows(Some(update))));
        }
        all
    }

    #[test]
    fn a_merge_gives_the_same() {
        let mut random = StdRng::seed_from_u64(7);
        let mut done_here = 0;
        for round in 0..600 {
            let update = [UpdateMode::KeepFirst, UpdateMode::ReplaceRow, UpdateMode::MergeColumns][round % 3];
            let (series, times) = (random.random_range(1..40), random.random_range(1..400));
            let nulls = if random.random_bool(0.3) { 0.1 } else { 0.0 };
            let chunks: Vec<Arc<Chunk>> = (1..random.random_range(2..8))
                .map(|index| {
                    let mut row = || {
                        let value = (!random.random_bool(nulls)).then(|| random.random_range(0..1000));
                        (
                            random.random_range(0..series) * 300,
                            random.random_range(0..times),
                            value,
                        )
                    };
                    let rows: Vec<_> = (0..20).map(|_| row()).collect();
                    chunk_of(index, &rows, update)
                })
                .collect();
            let start = random.random_range(-5..5);
            let end = (times - random.random_range(0..times / 2 + 1)).max(start);
            let time = TimeRange::new(start, end).unwrap();
            if let Some(all) = ordered_of(&chunks, time, update) {
                done_here += 1;
                assert_eq!(all, merged(&chunks, time, update), "round {round}");
            }
        }
        assert!(done_here > 400, "{done_here}");
    }

    #[test]
    fn batches_end_with_a_series_or_are_long() {
        let rows: Vec<_> = (0..100_000)
            .map(|row| (row as u32 % 7, i64::from(row), Some(row)))
            .collect();
        let chunks = [chunk(1, &rows)];
        let all = ordered(&chunks, TimeRange::ALL).unwrap();
        assert_eq!(all.len(), rows.len());
        assert!(all.is_sorted_by_key(|row| (row.0, row.1)));
    }
}
