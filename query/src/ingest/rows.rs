//! Rows of one supertable or plain table in the order they came, split by vnode when a chunk is full.
//!
//! Where a row's vnode is known before its values, as with COPY into known tables, each vnode has rows of its own. Otherwise values are added column by column to one set of builders, whichever vnode a row belongs to, and split once per chunk: a gather over a
//! chunk that is still in the cache costs less than choosing among builders for each value, and rows that all go to one vnode are not
//! copied at all.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use taospg_catalog::{Precision, SeriesRef, Table};
use taospg_storage::{Change, ColumnId, Conflict, FamilyId, Rows};

use super::column::ColumnBuilder;

/// Rows in a chunk. Ten doubles, time and series of so many rows are 1.5 MB: large enough for the log and memtable to work in bulk, small
/// enough to stay in a core's share of the last cache while it is split.
pub const CHUNK_ROWS: usize = 16_384;

/// Series numbers from here on stand for tables that are still to be created; a vnode never has so many.
pub const PROVISIONAL: u32 = 1 << 31;

pub struct FamilyRows {
    pub table: Arc<Table>,
    /// One for each of `table.columns` but the time. A column is shorter than the rows until a statement that has it begins again.
    pub columns: Vec<ColumnBuilder>,
    precision: Precision,
    conflict: Conflict,
    /// What a row takes besides long texts, and which columns have those.
    row_bytes: usize,
    text_columns: Vec<usize>,
    /// The vnode of all rows; `None`: `vnodes` has that of each.
    vnode: Option<u32>,
    vnodes: Vec<u32>,
    series: Vec<u32>,
    times: Vec<i64>,
}

/// Rows of one vnode whose series may still be provisional.
pub struct ClosedRows {
    pub vnode: u32,
    family: FamilyId,
    series: Vec<u32>,
    times: Vec<i64>,
    columns: Vec<(ColumnId, ArrayRef)>,
    conflict: Conflict,
}

impl FamilyRows {
    /// `vnode`: that of all rows to come, where it is known before their values are.
    pub fn new(table: Arc<Table>, precision: Precision, conflict: Conflict, vnode: Option<u32>) -> FamilyRows {
        let columns = table.columns.iter().skip(1);
        let columns: Vec<ColumnBuilder> = columns
            .map(|column| ColumnBuilder::new(&column.sql_type, precision))
            .collect();
        let is_text = |column: &ColumnBuilder| matches!(column, ColumnBuilder::Text(..) | ColumnBuilder::Bytea(_));
        FamilyRows {
            // 16: vnode, series and time.
            row_bytes: columns.iter().map(ColumnBuilder::value_bytes).sum::<usize>() + 16,
            text_columns: (0..columns.len()).filter(|index| is_text(&columns[*index])).collect(),
            table,
            columns,
            precision,
            conflict,
            vnode,
            vnodes: Vec::new(),
            series: Vec::new(),
            times: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= CHUNK_ROWS
    }

    /// Whether these are the rows of a table that are kept for this vnode, or for all of them.
    pub fn are_of(&self, table: &Table, vnode: Option<u32>) -> bool {
        self.table.oid == table.oid && self.vnode == vnode
    }

    /// Whether rows of this definition and conflict rule may join these.
    pub fn takes(&self, table: &Table, conflict: Conflict) -> bool {
        self.table.oid == table.oid && self.table.version == table.version && self.conflict == conflict
    }

    /// Before rows that have these columns: earlier rows have nulls there.
    pub fn begin(&mut self, metrics: impl Iterator<Item = usize>) {
        let rows = self.len();
        if rows > 0 {
            for metric in metrics {
                if let Some(column) = self.columns.get_mut(metric) {
                    column.pad(rows);
                }
            }
        }
    }

    /// Room for rows that are known to come, in the columns that they have, while there are none: columns that grow into it copy what
    /// they hold ten times over.
    pub fn reserve(&mut self, rows: usize, metrics: impl Iterator<Item = usize>) {
        if !self.is_empty() {
            return;
        }
        let rows = rows.min(CHUNK_ROWS);
        for metric in metrics {
            if let Some(column) = self.table.columns.get(metric + 1) {
                self.columns[metric] = ColumnBuilder::with_capacity(&column.sql_type, self.precision, rows);
            }
        }
        if self.vnode.is_none() {
            self.vnodes.reserve(rows);
        }
        self.series.reserve(rows);
        self.times.reserve(rows);
    }

    /// After a row's values: where it belongs.
    #[inline]
    pub fn end_row(&mut self, series: SeriesRef, time: i64) {
        if self.vnode.is_none() {
            self.vnodes.push(series.vnode);
        }
        self.series.push(series.series);
        self.times.push(time);
    }

    /// The vnode of each row, unless all are of one.
    pub fn vnodes(&self) -> Option<&[u32]> {
        self.vnode.is_none().then_some(&self.vnodes)
    }

    pub fn memory_bytes(&self) -> usize {
        let texts = self.text_columns.iter().map(|index| self.columns[*index].text_bytes());
        self.row_bytes * self.len() + texts.sum::<usize>()
    }

    /// Takes all rows out, one set for each vnode.
    pub fn close(&mut self) -> Vec<ClosedRows> {
        let rows = self.len();
        if rows == 0 {
            return Vec::new();
        }
        // After a full chunk comes another, most likely: its columns get their room at once instead of growing into it.
        let room = if self.is_full() { CHUNK_ROWS } else { 0 };
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, builder) in self.table.columns.iter().skip(1).zip(&mut self.columns) {
            // A column that no row had is left out.
            if !builder.is_empty() {
                builder.pad(rows);
                columns.push((ColumnId(column.id), builder.finish()));
                *builder = ColumnBuilder::with_capacity(&column.sql_type, self.precision, room);
            }
        }
        columns.sort_by_key(|(id, _)| *id);
        let whole = ClosedRows {
            vnode: self.vnode.unwrap_or_else(|| self.vnodes[0]),
            family: FamilyId(self.table.oid),
            series: std::mem::replace(&mut self.series, Vec::with_capacity(room)),
            times: std::mem::replace(&mut self.times, Vec::with_capacity(room)),
            columns,
            conflict: self.conflict,
        };
        let vnodes = std::mem::replace(&mut self.vnodes, Vec::with_capacity(room));
        if vnodes.iter().all(|vnode| *vnode == whole.vnode) {
            return vec![whole];
        }
        members(&vnodes)
            .into_iter()
            .map(|(vnode, rows)| whole.gather(vnode, rows))
            .collect()
    }
}

/// The rows of each vnode, in their order.
fn members(vnodes: &[u32]) -> Vec<(u32, Vec<u32>)> {
    let mut members: Vec<(u32, Vec<u32>)> = Vec::new();
    let mut last = 0;
    for (row, vnode) in (0u32..).zip(vnodes) {
        if members.get(last).is_none_or(|(known, _)| known != vnode) {
            last = match members.iter().position(|(known, _)| known == vnode) {
                Some(index) => index,
                None => {
                    members.push((*vnode, Vec::with_capacity(vnodes.len() / 2)));
                    members.len() - 1
                }
            };
        }
        members[last].1.push(row);
    }
    members
}

/// Texts taken from an array share its buffers; here they get their own, so that each vnode holds its texts alone.
fn compact(array: ArrayRef) -> ArrayRef {
    if let Some(texts) = array.as_string_view_opt()
        && !texts.data_buffers().is_empty()
    {
        return Arc::new(texts.gc());
    }
    if let Some(bytes) = array.as_binary_view_opt()
        && !bytes.data_buffers().is_empty()
    {
        return Arc::new(bytes.gc());
    }
    array
}

impl ClosedRows {
    fn gather(&self, vnode: u32, rows: Vec<u32>) -> ClosedRows {
        let series = rows.iter().map(|row| self.series[*row as usize]).collect();
        let times = rows.iter().map(|row| self.times[*row as usize]).collect();
        let rows = UInt32Array::from(rows);
        let columns = self.columns.iter().map(|(id, array)| {
            let array = arrow::compute::take(array, &rows, None).expect("row numbers are those of the arrays");
            (*id, compact(array))
        });
        ClosedRows {
            vnode,
            family: self.family,
            series,
            times,
            columns: columns.collect(),
            conflict: self.conflict,
        }
    }

    pub fn memory_bytes(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .map(|(_, array)| array.get_array_memory_size())
            .sum();
        columns + self.series.capacity() * 4 + self.times.capacity() * 8
    }

    /// With the series of the tables that have been created since.
    pub fn resolve(mut self, created: &[SeriesRef]) -> Change {
        if !created.is_empty() {
            for series in self.series.iter_mut().filter(|series| **series >= PROVISIONAL) {
                *series = created[(*series - PROVISIONAL) as usize].series;
            }
        }
        Change::Rows(Rows {
            family: self.family,
            series: self.series.into(),
            times: self.times.into(),
            columns: self.columns,
            conflict: self.conflict,
        })
    }
}
