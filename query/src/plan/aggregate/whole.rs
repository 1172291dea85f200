//! Whole blocks in place of their rows: what statistics say of a block is as good as its rows, if all of it falls into one group and every
//! aggregate finds there what it needs.

use taospg_storage::{ColumnId, ColumnStatistics, StorageError, WholeBlock};

use super::exec::{Grouping, Shape};
use super::fold::Fold;
use super::monotone::Ascending;
use crate::plan::table::Source;

/// After so many blocks in a row that could not be taken none is asked about any more: they are longer than the buckets are.
const REFUSALS_MAX: u32 = 64;

/// What an aggregate takes of a block.
#[derive(Clone, Copy)]
pub enum BlockColumn {
    /// Its rows.
    Rows,
    /// Their times.
    Time,
    Metric(ColumnId),
}

/// A block as one aggregate sees it.
pub struct BlockFacts {
    pub rows: u32,
    pub first_time: i64,
    pub last_time: i64,
    /// Whether its first row is that of `first_time`, its last that of `last_time`.
    pub in_order: bool,
    pub column: ColumnFacts,
}

pub enum ColumnFacts {
    Rows,
    Time,
    /// Null in every row.
    Nulls,
    Metric(ColumnStatistics),
}

impl BlockFacts {
    pub fn of(block: &WholeBlock, column: BlockColumn) -> Result<BlockFacts, StorageError> {
        Ok(BlockFacts {
            rows: block.rows,
            first_time: block.first_time,
            last_time: block.last_time,
            in_order: block.series.is_some(),
            column: match column {
                BlockColumn::Rows => ColumnFacts::Rows,
                BlockColumn::Time => ColumnFacts::Time,
                BlockColumn::Metric(id) => block.statistics(id)?.map_or(ColumnFacts::Nulls, ColumnFacts::Metric),
            },
        })
    }
}

/// Decides which blocks are taken whole.
pub struct BlockTaker {
    /// For each aggregate.
    pub columns: Vec<BlockColumn>,
    by_series: bool,
    /// Group expressions of time.
    times: Vec<Ascending>,
    /// A span in which they are known to keep their values.
    same: Option<(i64, i64)>,
    refused: u32,
}

impl BlockTaker {
    /// `None` when no block can be.
    pub fn new(shape: &Shape, by_series: bool) -> Option<BlockTaker> {
        let parts = &shape.scan;
        if !shape.ascends || shape.filter.is_some() || parts.table.newest {
            return None;
        }
        let column = |source: Option<Source>| match source {
            None => Some(BlockColumn::Rows),
            Some(Source::Time) => Some(BlockColumn::Time),
            Some(Source::Metric(index)) => {
                let column = parts.table.table.columns.get(index)?;
                Some(BlockColumn::Metric(ColumnId(column.id)))
            }
            Some(_) => None,
        };
        let times = shape.grouping.iter().filter_map(|grouping| match grouping {
            Grouping::OfTime(expr) => Some(Ascending::new(expr.clone(), parts)),
            Grouping::OfSeries(_) => None,
        });
        Some(BlockTaker {
            columns: shape
                .arguments
                .iter()
                .map(|argument| column(argument.source))
                .collect::<Option<_>>()?,
            by_series,
            times: times.collect(),
            same: None,
            refused: 0,
        })
    }

    pub fn takes(&mut self, block: &WholeBlock, folds: &[Box<dyn Fold>]) -> Result<bool, StorageError> {
        if self.refused >= REFUSALS_MAX || (self.by_series && block.series.is_none()) {
            return Ok(false);
        }
        let taken = self.is_in_one_group(block) && self.is_enough(block, folds)?;
        self.refused = if taken { 0 } else { self.refused + 1 };
        Ok(taken)
    }

    fn is_in_one_group(&mut self, block: &WholeBlock) -> bool {
        let (first, last) = (block.first_time, block.last_time);
        let known = |(start, end): (i64, i64)| start <= first && last <= end;
        if self.times.is_empty() || self.same.is_some_and(known) {
            return true;
        }
        // An expression that fails is left to the rows, which may have other times.
        let same = |times: &Ascending| {
            let values = times.values(vec![first, last]).ok().flatten();
            values.is_some_and(|values| values[0] == values[1])
        };
        let same = self.times.iter().all(same);
        if same {
            self.same = Some((first, last));
        }
        same
    }

    fn is_enough(&self, block: &WholeBlock, folds: &[Box<dyn Fold>]) -> Result<bool, StorageError> {
        for (fold, column) in folds.iter().zip(&self.columns) {
            if !fold.takes_block(&BlockFacts::of(block, *column)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Values that statistics, which are doubles, or times stand for exactly.
pub trait Exact: Sized {
    fn of_double(value: f64) -> Option<Self>;
    fn of_time(time: i64) -> Option<Self>;
}

/// Doubles below are told apart from their neighbours; at 2^53 one may have been rounded to it.
const INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

macro_rules! exact_integers {
    ($($t:ty, $of_time:expr);*) => { $(impl Exact for $t {
        fn of_double(value: f64) -> Option<$t> {
            let exact = value.abs() < INTEGERS_BELOW && (value as $t) as f64 == value;
            exact.then_some(value as $t)
        }
        fn of_time(time: i64) -> Option<$t> {
            let of_time: fn(i64) -> Option<$t> = $of_time;
            of_time(time)
        }
    })* };
}
exact_integers!(i16, |_| None; i32, |_| None; i64, Some);

impl Exact for f64 {
    fn of_double(value: f64) -> Option<f64> {
        Some(value)
    }
    fn of_time(_: i64) -> Option<f64> {
        None
    }
}

impl Exact for f32 {
    fn of_double(value: f64) -> Option<f32> {
        (f64::from(value as f32) == value).then_some(value as f32)
    }
    fn of_time(_: i64) -> Option<f32> {
        None
    }
}

/// Decimals are given divided by their scale.
impl Exact for i128 {
    fn of_double(_: f64) -> Option<i128> {
        None
    }
    fn of_time(_: i64) -> Option<i128> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_stand_for_integers_up_to_53_bits() {
        assert_eq!(i64::of_double(9_007_199_254_740_991.0), Some(9_007_199_254_740_991));
        assert_eq!(i64::of_double(9_007_199_254_740_992.0), None);
        assert_eq!(i16::of_double(40_000.0), None);
        assert_eq!(i32::of_double(-7.0), Some(-7));
        assert_eq!(f32::of_double(0.1), None);
        assert_eq!(f32::of_double(0.5), Some(0.5));
    }
}
