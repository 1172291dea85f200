//! Buckets met so far: where one ends in a run is then a search in sorted times, instead of an expression evaluated for every row.
//!
//! Series of a fleet report at the same times, or nearly so. What the first of them showed of a bucket, its earliest and its latest time, is
//! true of all the others; a time that was not in any bucket yet has the rest of its run evaluated, and the buckets grow.

use arrow::buffer::ScalarBuffer;
use datafusion::common::Result as DfResult;

use super::monotone::Ascending;

/// Beyond so many, buckets are hardly longer than their places in this list are to search.
const BUCKETS_MAX: usize = 16 * 1024;

pub struct Buckets {
    expr: Ascending,
    /// Ascending and apart from each other.
    known: Vec<Bucket>,
    /// The one found last: the next is likely to follow it.
    at: usize,
}

/// Times between these have the key.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    first: i64,
    last: i64,
    key: i64,
}

impl Buckets {
    pub fn new(expr: Ascending) -> Buckets {
        Buckets {
            expr,
            known: Vec::new(),
            at: 0,
        }
    }

    /// How many of these ascending times, which are some, surely have the key of the first; and that key, `None` if it is NULL.
    pub fn stretch(&mut self, times: &[i64]) -> DfResult<(usize, Option<i64>)> {
        let Some(first) = times.first().copied() else {
            return Ok((0, None));
        };
        if !self.find(first) && (!self.learn(times)? || !self.find(first)) {
            return Ok((times.len(), None));
        }
        let bucket = self.known[self.at];
        Ok((until(times, bucket.last), Some(bucket.key)))
    }

    /// Puts `at` to the bucket of the time, if it is known.
    fn find(&mut self, time: i64) -> bool {
        let has = |bucket: Option<&Bucket>| bucket.is_some_and(|bucket| bucket.first <= time && time <= bucket.last);
        if has(self.known.get(self.at)) {
            return true;
        }
        if has(self.known.get(self.at + 1)) {
            self.at += 1;
            return true;
        }
        let at = self.known.partition_point(|bucket| bucket.last < time);
        let found = has(self.known.get(at));
        if found {
            self.at = at;
        }
        found
    }

    /// Evaluates the times; false if their keys are NULL.
    fn learn(&mut self, times: &[i64]) -> DfResult<bool> {
        let Some(keys) = self.expr.values(times.to_vec())? else {
            return Ok(false);
        };
        if self.known.len() > BUCKETS_MAX {
            self.known.clear();
        }
        let old = std::mem::take(&mut self.known);
        self.known = merged(old, seen(times, &keys));
        self.at = 0;
        Ok(true)
    }
}

/// The buckets of ascending times.
fn seen(times: &[i64], keys: &ScalarBuffer<i64>) -> Vec<Bucket> {
    let mut seen: Vec<Bucket> = Vec::new();
    for (time, key) in times.iter().zip(keys) {
        match seen.last_mut() {
            Some(bucket) if bucket.key == *key => bucket.last = *time,
            _ => seen.push(Bucket {
                first: *time,
                last: *time,
                key: *key,
            }),
        }
    }
    seen
}

/// Both lists in one; what has one key is one bucket.
fn merged(one: Vec<Bucket>, other: Vec<Bucket>) -> Vec<Bucket> {
    let mut all = one;
    all.extend(other);
    // Two sorted stretches: sorting them is merging them. Of one key neither need begin first.
    all.sort_by_key(|bucket| bucket.first);
    all.dedup_by(|next, bucket| {
        let same = next.key == bucket.key;
        if same {
            bucket.last = bucket.last.max(next.last);
        }
        same
    });
    all
}

/// How many of the times are not after `last`; fast when they are few.
fn until(times: &[i64], last: i64) -> usize {
    if times.last().is_some_and(|time| *time <= last) {
        return times.len();
    }
    let mut low = 0;
    let mut step = 1;
    while times.get(low + step).is_some_and(|time| *time <= last) {
        low += step;
        step *= 2;
    }
    let high = (low + step).min(times.len());
    low + times[low..high].partition_point(|time| *time <= last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};
    use datafusion::physical_expr::expressions::Column;

    use super::*;

    fn bucket(first: i64, last: i64, key: i64) -> Bucket {
        Bucket { first, last, key }
    }

    #[test]
    fn buckets_grow_together() {
        let one = vec![bucket(0, 4, 0), bucket(12, 18, 10)];
        let other = vec![bucket(2, 9, 0), bucket(11, 12, 10), bucket(25, 25, 20)];
        assert_eq!(
            merged(one, other),
            [bucket(0, 9, 0), bucket(11, 18, 10), bucket(25, 25, 20)]
        );
    }

    #[test]
    fn times_until() {
        let times = [1, 2, 4, 8, 8, 9, 20];
        for last in -1..25 {
            assert_eq!(until(&times, last), times.iter().filter(|time| **time <= last).count());
        }
    }

    /// A key of each time alone: every time is a bucket.
    #[test]
    fn stretches_of_times() {
        let schema = Arc::new(Schema::new(vec![Field::new(
            "ts",
            crate::pg_type::timestamptz_type(),
            false,
        )]));
        let mut buckets = Buckets::new(Ascending::over(Arc::new(Column::new("ts", 0)), schema));
        assert_eq!(buckets.stretch(&[3, 5, 5, 7]).unwrap(), (1, Some(3)));
        assert_eq!(buckets.stretch(&[5, 5, 7]).unwrap(), (2, Some(5)));
        assert_eq!(buckets.stretch(&[7, 9]).unwrap(), (1, Some(7)));
        assert_eq!(buckets.stretch(&[4, 5]).unwrap(), (1, Some(4)));
    }
}
