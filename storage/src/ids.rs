//! The nouns of storage: which shard, which schema, which series, which column, which span of time.

use std::fmt;
use std::sync::Arc;

/// A shard of one database with its own directory. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VnodeId(pub u32);

/// The rows of one supertable, or of one plain table: they share their columns. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FamilyId(pub u32);

/// One table's rows. Dense inside its vnode (0, 1, 2, …), never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u32);

/// A metric column inside its family. Never reused, so that files outlive ALTER TABLE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

impl fmt::Display for VnodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Times from `start` to `end`, both included, in the database's unit (ms, us or ns since 1970). Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    start: i64,
    end: i64,
}

impl TimeRange {
    /// Every time there is.
    pub const ALL: TimeRange = TimeRange {
        start: i64::MIN,
        end: i64::MAX,
    };

    /// `None` when no time lies between the two.
    pub fn new(start: i64, end: i64) -> Option<TimeRange> {
        (start <= end).then_some(TimeRange { start, end })
    }

    /// First time included.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Last time included.
    pub fn end(&self) -> i64 {
        self.end
    }

    pub fn contains(&self, time: i64) -> bool {
        self.start <= time && time <= self.end
    }

    /// The times in both, if any.
    pub fn intersect(&self, other: &TimeRange) -> Option<TimeRange> {
        TimeRange::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The shortest span that has both.
    pub fn hull(&self, other: &TimeRange) -> TimeRange {
        TimeRange {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// The series a request is about.
#[derive(Clone, Debug)]
pub enum SeriesSet {
    /// Every series of the family.
    All,
    /// These, ascending and without repetition.
    List(Arc<[SeriesId]>),
}

impl SeriesSet {
    pub fn contains(&self, series: SeriesId) -> bool {
        match self {
            SeriesSet::All => true,
            SeriesSet::List(list) => list.binary_search(&series).is_ok(),
        }
    }
}
