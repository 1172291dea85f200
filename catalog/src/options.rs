//! A database's storage settings.

use serde::{Deserialize, Serialize};

/// Unit of every time in a database. Fixed when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl Precision {
    pub fn units_per_second(self) -> i64 {
        match self {
            Precision::Millisecond => 1_000,
            Precision::Microsecond => 1_000_000,
            Precision::Nanosecond => 1_000_000_000,
        }
    }
}

/// Which of several rows for one (table, time) remains. Fixed when the database is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateMode {
    /// `UPDATE 0`
    KeepFirst,
    /// `UPDATE 1`
    ReplaceRow,
    /// `UPDATE 2`
    MergeColumns,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseOptions {
    /// KEEP: rows older than this are gone. Milliseconds.
    pub keep_ms: i64,
    /// DAYS: time span of one file group. Milliseconds. Fixed.
    pub group_span_ms: i64,
    /// VGROUPS: vnodes. Fixed.
    pub vgroups: u32,
    pub precision: Precision,
    /// COMP: 0 none, 1 fast, 2 high.
    pub compression: u8,
    pub update: UpdateMode,
    /// WAL_LEVEL: 1 acknowledges when the kernel has the bytes, 2 when the disk has them.
    pub wal_level: u8,
    /// COMMIT_TIME: the memtable is flushed at least this often. Milliseconds.
    pub flush_interval_ms: u64,
    /// MAXROWS: rows in a block at most.
    pub block_rows_max: u32,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        const DAY_MS: i64 = 86_400_000;
        DatabaseOptions {
            // A hundred years: who sets nothing loses nothing, and history can be loaded.
            keep_ms: 36_500 * DAY_MS,
            group_span_ms: 10 * DAY_MS,
            vgroups: 2,
            precision: Precision::Microsecond,
            compression: 1,
            update: UpdateMode::MergeColumns,
            wal_level: 2,
            flush_interval_ms: 3_600_000,
            block_rows_max: 4096,
        }
    }
}
