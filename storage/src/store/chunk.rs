//! A chunk: rows of one family in the order they arrived, never changed.
//!
//! ```text
//! arrival order --first read--> Sorted: (series, time) order, each key once
//! ```
//!
//! Writing a chunk moves Arcs. Its order is worked out when somebody first reads it, kept for later readers, and used again by the flush.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::compute;

use super::columns::{self, Gather, Slice};
use super::deletes::{Deletes, Order};
use super::rule::{Rule, Rules, fold};
use crate::{ColumnId, Rows, TimeRange, UpdateMode};

/// Rows of one family in arrival order, with their age.
pub(crate) struct Chunk {
    series: ScalarBuffer<u32>,
    times: ScalarBuffer<i64>,
    /// Ascending by id.
    columns: Vec<(ColumnId, ArrayRef)>,
    rules: Rules,
    /// Age of the newest row. No delete of the chunk's family lies between the ages of its rows.
    order: Order,
    time: TimeRange,
    memory_bytes: usize,
    sorted: OnceLock<Arc<Sorted>>,
}

/// Rows in (series, time) order, each key once.
pub(crate) struct Sorted {
    /// The series that occur, ascending.
    pub series: Vec<u32>,
    /// First position of each, and the number of positions at the end.
    pub starts: Vec<u32>,
    /// By position.
    pub times: ScalarBuffer<i64>,
    /// Row of each position; `None` where they are the same.
    pub rows: Option<Vec<u32>>,
    /// By row.
    pub columns: Vec<(ColumnId, ArrayRef)>,
    /// By row.
    pub rules: Rules,
    /// Length of the columns; more than there are positions where keys repeat.
    pub row_count: usize,
}

impl Sorted {
    /// Positions of the `at`-th series.
    pub fn run(&self, at: usize) -> (usize, usize) {
        (self.starts[at] as usize, self.starts[at + 1] as usize)
    }
}

impl Chunk {
    /// `None` when there are no rows.
    pub fn new(rows: Rows, order: Order, update: UpdateMode) -> Option<Chunk> {
        let rules = Rules::all(Rule::new(rows.conflict, update));
        Chunk::from_parts(rows.series, rows.times, rows.columns, rules, order)
    }

    fn from_parts(
        series: ScalarBuffer<u32>,
        times: ScalarBuffer<i64>,
        columns: Vec<(ColumnId, ArrayRef)>,
        rules: Rules,
        order: Order,
    ) -> Option<Chunk> {
        let time = TimeRange::new(*times.iter().min()?, *times.iter().max()?)?;
        let values: usize = columns.iter().map(|(_, array)| columns::memory_bytes(array)).sum();
        Some(Chunk {
            memory_bytes: values + times.len() * 12,
            series,
            times,
            columns,
            rules,
            order,
            time,
            sorted: OnceLock::new(),
        })
    }

    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Rows of one series.
    pub fn rows_of(&self, series: crate::SeriesId) -> usize {
        self.series.iter().filter(|own| **own == series.0).count()
    }

    pub fn order(&self) -> Order {
        self.order
    }

    /// From its first to its last time.
    pub fn time(&self) -> TimeRange {
        self.time
    }

    pub fn series(&self) -> &[u32] {
        &self.series
    }

    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// In order of arrival, as all that is the chunk's.
    pub fn columns(&self) -> &[(ColumnId, ArrayRef)] {
        &self.columns
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    pub fn sorted(&self) -> &Arc<Sorted> {
        self.sorted.get_or_init(|| Arc::new(self.sort()))
    }

    /// One chunk of several, oldest first, whose rules mix. Rows that one of `deletes` hides are left out: they have no age of their own
    /// any more. `None` when nothing is left.
    pub fn concat(chunks: &[Arc<Chunk>], deletes: &Deletes) -> Option<Chunk> {
        let visible: Vec<Arc<Chunk>> = chunks.iter().filter_map(|chunk| chunk.without(deletes)).collect();
        let newest = chunks.last()?.order;
        if visible.is_empty() {
            return None;
        }
        let columns = columns::union(visible.iter().map(|chunk| chunk.columns.as_slice()))
            .into_iter()
            .map(|(id, data_type)| {
                let parts: Vec<ArrayRef> = visible
                    .iter()
                    .map(|chunk| match columns::find(&chunk.columns, id) {
                        Some(array) => columns::cast(array, &data_type),
                        None => new_null_array(&data_type, chunk.rows()),
                    })
                    .collect();
                (id, columns::concat(&parts))
            })
            .collect();
        let series: Vec<u32> = visible.iter().flat_map(|chunk| chunk.series.iter().copied()).collect();
        let times: Vec<i64> = visible.iter().flat_map(|chunk| chunk.times.iter().copied()).collect();
        let rules: Vec<(&Rules, usize)> = visible.iter().map(|chunk| (&chunk.rules, chunk.rows())).collect();
        Chunk::from_parts(series.into(), times.into(), columns, Rules::concat(&rules), newest)
    }

    /// The rows that no later delete hides.
    fn without(self: &Arc<Chunk>, deletes: &Deletes) -> Option<Arc<Chunk>> {
        let later = deletes.after(self.order);
        if !later.iter().any(|delete| delete.time.intersect(&self.time).is_some()) {
            return Some(self.clone());
        }
        let shown = BooleanBuffer::collect_bool(self.rows(), |row| {
            !later.iter().any(|delete| {
                delete.time.contains(self.times[row]) && delete.series.contains(crate::SeriesId(self.series[row]))
            })
        });
        if shown.count_set_bits() == self.rows() {
            return Some(self.clone());
        }
        let mask = BooleanArray::new(shown.clone(), None);
        let columns = self
            .columns
            .iter()
            .map(|(id, array)| (*id, compute::filter(array, &mask).expect("mask and column are as long")))
            .collect();
        let series: Vec<u32> = shown.set_indices().map(|row| self.series[row]).collect();
        let times: Vec<i64> = shown.set_indices().map(|row| self.times[row]).collect();
        let rules = self.rules.filter(&shown);
        Chunk::from_parts(series.into(), times.into(), columns, rules, self.order).map(Arc::new)
    }

    fn sort(&self) -> Sorted {
        let ascending = self
            .series
            .windows(2)
            .zip(self.times.windows(2))
            .all(|(series, times)| (series[0], times[0]) < (series[1], times[1]));
        if ascending {
            return self.sorted_as(self.times.clone(), &self.series, None);
        }
        let mut rows = rows_by_series(&self.series);
        let mut times: Vec<i64> = rows.iter().map(|row| self.times[*row as usize]).collect();
        let mut duplicates = false;
        let mut start = 0;
        while start < rows.len() {
            let series = self.series[rows[start] as usize];
            let of_series = |row: &u32| self.series[*row as usize] == series;
            let end = start + rows[start..].iter().take_while(|row| of_series(row)).count();
            if !times[start..end].is_sorted() {
                // Stable: of two rows for one time the later arrival stays behind.
                rows[start..end].sort_by_key(|row| self.times[*row as usize]);
                for (time, row) in times[start..end].iter_mut().zip(&rows[start..end]) {
                    *time = self.times[*row as usize];
                }
            }
            duplicates |= times[start..end].windows(2).any(|pair| pair[0] == pair[1]);
            start = end;
        }
        if duplicates {
            return self.folded(&rows);
        }
        let series: Vec<u32> = rows.iter().map(|row| self.series[*row as usize]).collect();
        self.sorted_as(times.into(), &series, Some(rows))
    }

    fn sorted_as(&self, times: ScalarBuffer<i64>, series_by_position: &[u32], rows: Option<Vec<u32>>) -> Sorted {
        let (series, starts) = runs_of(series_by_position);
        Sorted {
            series,
            starts,
            times,
            rows,
            columns: self.columns.clone(),
            rules: self.rules.clone(),
            row_count: self.rows(),
        }
    }

    /// Of rows sorted by key and age, one for each key. Rows that have to be put together from several come after the chunk's own.
    fn folded(&self, sorted: &[u32]) -> Sorted {
        let key = |row: &u32| (self.series[*row as usize], self.times[*row as usize]);
        let mut rows: Vec<u32> = Vec::with_capacity(sorted.len());
        let mut composed: Vec<Vec<u32>> = Vec::new();
        let mut remaining = Vec::new();
        for versions in sorted.chunk_by(|a, b| key(a) == key(b)) {
            fold(versions.iter().map(|row| self.rules.get(*row as usize)), &mut remaining);
            if let [one] = remaining[..] {
                rows.push(versions[one]);
            } else {
                rows.push((self.rows() + composed.len()) as u32);
                composed.push(remaining.iter().map(|version| versions[*version]).collect());
            }
        }
        // A row put together has key and rule of the oldest row in it.
        let oldest = |row: &u32| match (*row as usize).checked_sub(self.rows()) {
            None => *row as usize,
            Some(at) => composed[at][0] as usize,
        };
        let series: Vec<u32> = rows.iter().map(|row| self.series[oldest(row)]).collect();
        let times: Vec<i64> = rows.iter().map(|row| self.times[oldest(row)]).collect();
        let mut sorted = self.sorted_as(times.into(), &series, Some(rows));
        if !composed.is_empty() {
            sorted.columns = self
                .columns
                .iter()
                .map(|(id, array)| (*id, columns::concat(&[array.clone(), compose(array, &composed)])))
                .collect();
            sorted.row_count += composed.len();
            let all = 0..sorted.row_count;
            sorted.rules = match self.rules.only() {
                Some(rule) => Rules::all(rule),
                None => {
                    let replaces = all.map(|row| self.rules.get(oldest(&(row as u32))) == Rule::Replace);
                    Rules::mixed(Rule::Merge, replaces.collect())
                }
            };
        }
        sorted
    }
}

/// For each list of rows, oldest first, the newest value that is not null.
fn compose(array: &ArrayRef, lists: &[Vec<u32>]) -> ArrayRef {
    let newest = |list: &Vec<u32>| {
        let valid = list.iter().rev().find(|row| array.is_valid(**row as usize));
        *valid.unwrap_or(&list[0])
    };
    let slices: Vec<Slice> = lists
        .iter()
        .map(|list| Slice {
            source: 0,
            start: newest(list),
            len: 1,
        })
        .collect();
    let gather = Gather {
        slices: &slices,
        rows: lists.len(),
        permutations: &[None],
        reversed: false,
    };
    gather.column(std::slice::from_ref(array), &[])
}

/// The distinct values of an ascending list and where each begins, with the length at the end.
pub(crate) fn runs_of(series: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut distinct = Vec::new();
    let mut starts = Vec::new();
    for (at, one) in series.iter().enumerate() {
        if distinct.last() != Some(one) {
            distinct.push(*one);
            starts.push(at as u32);
        }
    }
    starts.push(series.len() as u32);
    (distinct, starts)
}

/// Row numbers sorted by series; rows of one series stay in their order. A radix sort: its cost depends neither on how many series there
/// are nor on how they are mixed.
fn rows_by_series(series: &[u32]) -> Vec<u32> {
    /// Bits sorted by in one pass: 2048 counters stay in the L1 cache.
    const DIGIT_BITS: u32 = 11;
    let first = series.iter().copied().min().unwrap_or(0);
    let last = series.iter().copied().max().unwrap_or(0);
    let bits = u32::BITS - (last - first).leading_zeros();
    let mut rows: Vec<u32> = (0..series.len() as u32).collect();
    let mut sorted = vec![0; series.len()];
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit = |row: &u32| ((series[*row as usize] - first) >> shift) as usize & ((1 << DIGIT_BITS) - 1);
        let mut next = [0_usize; 1 << DIGIT_BITS];
        rows.iter().for_each(|row| next[digit(row)] += 1);
        let mut before = 0;
        for count in &mut next {
            before += std::mem::replace(count, before);
        }
        for row in &rows {
            let place = &mut next[digit(row)];
            sorted[*place] = *row;
            *place += 1;
        }
        std::mem::swap(&mut rows, &mut sorted);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conflict, FamilyId, SeriesId, SeriesSet};
    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::Int32Type;

    fn chunk(index: u64, update: UpdateMode, rows: &[(u32, i64, Option<i32>)]) -> Arc<Chunk> {
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

    fn listed(chunk: &Chunk) -> Vec<(u32, i64, Option<i32>)> {
        let sorted = chunk.sorted();
        let values = sorted.columns[0].1.as_primitive::<Int32Type>();
        let mut all = Vec::new();
        for (at, series) in sorted.series.iter().enumerate() {
            let (start, end) = sorted.run(at);
            for position in start..end {
                let row = sorted.rows.as_ref().map_or(position, |rows| rows[position] as usize);
                let value = values.is_valid(row).then(|| values.value(row));
                all.push((*series, sorted.times[position], value));
            }
        }
        all
    }

    #[test]
    fn rows_come_sorted_and_once() {
        let rows = [
            (7, 3, Some(1)),
            (2, 9, Some(2)),
            (7, 1, Some(3)),
            (7, 3, None),
            (2, 9, Some(5)),
        ];
        let first = listed(&chunk(1, UpdateMode::KeepFirst, &rows));
        assert_eq!(first, [(2, 9, Some(2)), (7, 1, Some(3)), (7, 3, Some(1))]);
        let last = listed(&chunk(1, UpdateMode::ReplaceRow, &rows));
        assert_eq!(last, [(2, 9, Some(5)), (7, 1, Some(3)), (7, 3, None)]);
        let merged = listed(&chunk(1, UpdateMode::MergeColumns, &rows));
        assert_eq!(merged, [(2, 9, Some(5)), (7, 1, Some(3)), (7, 3, Some(1))]);
    }

    #[test]
    fn sorting_many_series_needs_several_passes() {
        let rows: Vec<_> = (0..5000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761), 1, Some(0)))
            .collect();
        let all = listed(&chunk(1, UpdateMode::MergeColumns, &rows));
        assert_eq!(all.len(), 5000);
        assert!(all.is_sorted());
    }

    #[test]
    fn concatenation_applies_the_deletes_between() {
        let a = chunk(1, UpdateMode::MergeColumns, &[(1, 1, Some(1)), (1, 2, Some(2))]);
        let b = chunk(3, UpdateMode::MergeColumns, &[(1, 1, None), (2, 2, Some(4))]);
        let mut deletes = Deletes::default();
        deletes.push(super::super::deletes::Delete {
            order: Order { index: 2, step: 0 },
            series: SeriesSet::List(Arc::from([SeriesId(1)])),
            time: TimeRange::new(1, 1).unwrap(),
        });
        let both = Chunk::concat(&[a, b], &deletes).unwrap();
        assert_eq!(listed(&both), [(1, 1, None), (1, 2, Some(2)), (2, 2, Some(4))]);
        assert_eq!(both.order(), Order { index: 3, step: 0 });
    }
}
