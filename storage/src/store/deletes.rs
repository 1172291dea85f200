//! Deletes: which spans of which series are hidden, and from whom.
//!
//! A delete hides what is older than itself and nothing that came later. Age is an [`Order`]: the log record and the step in it. Rows in
//! memory are taken out for good when their chunk is next rewritten; rows in data files stay hidden until compaction has rewritten the file.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::{SeriesId, SeriesSet, TimeRange};

/// Age of a change: log record, then step inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    pub index: u64,
    pub step: u32,
}

impl Order {
    /// After every step of a log record.
    pub fn end_of(index: u64) -> Order {
        Order { index, step: u32::MAX }
    }
}

/// Rows of these series in this span that are older than `order` are gone.
#[derive(Clone, Debug)]
pub(crate) struct Delete {
    pub order: Order,
    pub series: SeriesSet,
    pub time: TimeRange,
}

impl Delete {
    /// Whether it can hide a row with these series (both included) in this span.
    pub fn touches(&self, first: u32, last: u32, time: &TimeRange) -> bool {
        self.time.intersect(time).is_some() && any_in(&self.series, first, last)
    }

    /// Whether it hides every row that these series (both included) can have in this span.
    pub fn covers(&self, first: u32, last: u32, time: &TimeRange) -> bool {
        let in_time = self.time.start() <= time.start() && time.end() <= self.time.end();
        in_time
            && match &self.series {
                SeriesSet::All => true,
                SeriesSet::List(list) => {
                    let from = list.partition_point(|s| s.0 < first);
                    let to = list.partition_point(|s| s.0 <= last);
                    (to - from) as u64 == u64::from(last) - u64::from(first) + 1
                }
            }
    }

    /// The first and the last series it can touch.
    pub fn hull(&self) -> (SeriesId, SeriesId) {
        match &self.series {
            SeriesSet::List(list) => match (list.first(), list.last()) {
                (Some(first), Some(last)) => (*first, *last),
                _ => (SeriesId(0), SeriesId(0)),
            },
            SeriesSet::All => (SeriesId(0), SeriesId(u32::MAX)),
        }
    }

    /// Bytes it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        let listed = match &self.series {
            SeriesSet::All => 0,
            SeriesSet::List(list) => list.len() * 4,
        };
        listed + size_of::<Delete>()
    }
}

/// Whether some series in `first..=last` is in the set.
pub(crate) fn any_in(set: &SeriesSet, first: u32, last: u32) -> bool {
    match set {
        SeriesSet::All => true,
        SeriesSet::List(list) => list
            .get(list.partition_point(|s| s.0 < first))
            .is_some_and(|s| s.0 <= last),
    }
}

/// The deletes of one family, ascending by age.
#[derive(Debug, Default)]
pub(crate) struct Deletes {
    list: Vec<Arc<Delete>>,
    index: OnceLock<Index>,
}

/// The list, arranged for asking about one series.
#[derive(Debug, Default)]
struct Index {
    /// Deletes of few series, by series.
    narrow: HashMap<u32, Vec<(Order, TimeRange)>>,
    /// Deletes of many.
    wide: Vec<Arc<Delete>>,
}

/// A delete of at most so many series is found through the map: a delete by key, repeated a hundred thousand times, then costs a reader one
/// probe for each series. Larger ones are few, and each is asked.
const NARROW_SERIES_MAX: usize = 16;

impl Clone for Deletes {
    fn clone(&self) -> Deletes {
        Deletes::new(self.list.clone())
    }
}

impl Deletes {
    pub fn new(list: Vec<Arc<Delete>>) -> Deletes {
        debug_assert!(list.is_sorted_by_key(|delete| delete.order));
        Deletes {
            list,
            index: OnceLock::new(),
        }
    }

    pub fn push(&mut self, delete: Delete) {
        self.list.push(Arc::new(delete));
        self.index = OnceLock::new();
    }

    pub fn list(&self) -> &[Arc<Delete>] {
        &self.list
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that came after `order`.
    pub fn after(&self, order: Order) -> &[Arc<Delete>] {
        let from = self.list.partition_point(|delete| delete.order <= order);
        self.list.get(from..).unwrap_or_default()
    }

    /// Appends the spans of `series` that rows of age `order` are hidden in.
    pub fn hidden(&self, series: u32, order: Order, spans: &mut Vec<TimeRange>) {
        if self.after(order).is_empty() {
            return;
        }
        let index = self.index.get_or_init(|| Index::new(&self.list));
        if let Some(narrow) = index.narrow.get(&series) {
            spans.extend(narrow.iter().filter(|(at, _)| *at > order).map(|(_, time)| *time));
        }
        for delete in &index.wide {
            if delete.order > order && delete.series.contains(SeriesId(series)) {
                spans.push(delete.time);
            }
        }
    }
}

impl Index {
    fn new(list: &[Arc<Delete>]) -> Index {
        let mut index = Index::default();
        for delete in list {
            match &delete.series {
                SeriesSet::List(series) if series.len() <= NARROW_SERIES_MAX => {
                    for one in series.iter() {
                        index.narrow.entry(one.0).or_default().push((delete.order, delete.time));
                    }
                }
                _ => index.wide.push(delete.clone()),
            }
        }
        index
    }
}

/// The parts of ascending `times[start..end]` outside of all spans, in order.
pub(crate) fn cut(times: &[i64], start: usize, end: usize, spans: &mut [TimeRange]) -> Vec<(usize, usize)> {
    spans.sort_unstable_by_key(|span| span.start());
    let mut parts = Vec::new();
    let mut from = start;
    for span in spans.iter() {
        let hidden_from = start + times[start..end].partition_point(|t| *t < span.start());
        let hidden_to = start + times[start..end].partition_point(|t| *t <= span.end());
        if hidden_from > from {
            parts.push((from, hidden_from));
        }
        from = from.max(hidden_to);
    }
    if from < end {
        parts.push((from, end));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, end: i64) -> TimeRange {
        TimeRange::new(start, end).unwrap()
    }

    fn order(index: u64) -> Order {
        Order { index, step: 0 }
    }

    #[test]
    fn cutting_leaves_the_parts_between() {
        let times = [1, 2, 3, 5, 8, 13];
        let parts = |spans: &[(i64, i64)]| {
            let mut spans: Vec<_> = spans.iter().map(|(a, b)| span(*a, *b)).collect();
            cut(&times, 0, 6, &mut spans)
        };
        assert_eq!(parts(&[]), [(0, 6)]);
        assert_eq!(parts(&[(4, 4)]), [(0, 3), (3, 6)]);
        assert_eq!(parts(&[(2, 5)]), [(0, 1), (4, 6)]);
        assert_eq!(parts(&[(8, 99), (0, 1), (1, 2)]), [(2, 4)]);
        assert_eq!(parts(&[(0, 99), (3, 4)]), []);
    }

    #[test]
    fn a_delete_hides_only_what_is_older() {
        let mut deletes = Deletes::default();
        deletes.push(Delete {
            order: order(5),
            series: SeriesSet::List(Arc::from([SeriesId(7)])),
            time: span(0, 10),
        });
        deletes.push(Delete {
            order: order(9),
            series: SeriesSet::All,
            time: span(20, 30),
        });
        let hidden = |series, index| {
            let mut spans = Vec::new();
            deletes.hidden(series, order(index), &mut spans);
            spans
        };
        assert_eq!(hidden(7, 4), [span(0, 10), span(20, 30)]);
        assert_eq!(hidden(7, 5), [span(20, 30)]);
        assert_eq!(hidden(8, 4), [span(20, 30)]);
        assert_eq!(hidden(8, 9), []);
    }

    #[test]
    fn covering_needs_every_series() {
        let list = |ids: &[u32]| Delete {
            order: order(1),
            series: SeriesSet::List(ids.iter().map(|id| SeriesId(*id)).collect()),
            time: span(0, 10),
        };
        assert!(list(&[3, 4, 5]).covers(3, 5, &span(0, 10)));
        assert!(!list(&[3, 5]).covers(3, 5, &span(0, 10)));
        assert!(!list(&[3]).covers(3, 3, &span(0, 11)));
        assert!(list(&[3, 9]).touches(4, 9, &span(10, 11)));
        assert!(!list(&[3, 9]).touches(4, 8, &span(10, 11)));
    }
}
