//! What a writer asks for: changes to vnodes, committed together or not at all.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use arrow::buffer::ScalarBuffer;

use crate::{ColumnId, FamilyId, SeriesSet, TimeRange, VnodeId};

/// What happens to a row whose (series, time) is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// What the vnode's update mode says (`UPDATE 0`: first stays, `1`: replaced, `2`: newer non-null values win).
    ByVnode,
    /// The new row takes the old one's place, its nulls included. For UPDATE.
    Replace,
    /// Newer non-null values win column by column. For ON CONFLICT DO UPDATE.
    Merge,
    /// The old row stays. For ON CONFLICT DO NOTHING. Decided by the vnode's writer before logging, so that replaying the log
    /// decides nothing.
    Keep,
}

/// Rows of one family for one vnode, in the order they arrived: of two rows for one (series, time) the later is the newer.
#[derive(Clone, Debug)]
pub struct Rows {
    pub family: FamilyId,
    /// Series of each row, the numbers of [`crate::SeriesId`].
    pub series: ScalarBuffer<u32>,
    /// Time of each row in the database's unit; as long as `series`.
    pub times: ScalarBuffer<i64>,
    /// Ascending by id; every array as long as `series`. A column not listed is null in these rows.
    ///
    /// Types: Boolean, Int16, Int32, Int64, Float32, Float64, Decimal128, Date32, Timestamp, Utf8View, BinaryView.
    pub columns: Vec<(ColumnId, ArrayRef)>,
    pub conflict: Conflict,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Bytes held in memory.
    pub fn memory_bytes(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .map(|(_, array)| array.get_array_memory_size())
            .sum();
        columns + self.series.inner().capacity() + self.times.inner().capacity()
    }
}

/// One step of a transaction in one vnode. Steps take effect in their order.
#[derive(Clone, Debug)]
pub enum Change {
    Rows(Rows),
    /// Removes the rows of these series in this span that were there before this step.
    Delete {
        family: FamilyId,
        series: SeriesSet,
        time: TimeRange,
    },
    /// Removes everything of a family, for DROP of a supertable. Disk is freed at once where whole files go.
    DropFamily(FamilyId),
}

/// When a commit is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After the log is on disk (`synchronous_commit = on`).
    Disk,
    /// After the bytes are with the kernel (`synchronous_commit = off`).
    Kernel,
}

/// Changes to one or several vnodes: all of them or none, whenever the power goes.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub changes: BTreeMap<VnodeId, Vec<Change>>,
    pub durability: Durability,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Rows written: those given, less those that [`Conflict::Keep`] held back.
    pub rows: u64,
}
