//! Rows of a transaction's INSERTs that still grow: column builders kept open from one statement to the next, so that a pipeline of one-row
//! inserts becomes one batch.
//!
//! The session owns one ([`crate::Session::accumulator`]) and empties it with [`Accumulator::take`] into what it holds: before a read of the
//! transaction's own rows, before anything else is held (order matters: later rows win), before DDL and SAVEPOINT, at COMMIT and at the end
//! of the implicit transaction. When a statement failed it calls [`Accumulator::clear`]: rows of the failed statement may be in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use taospg_catalog::{Catalog, Precision, SeriesRef, Table};
use taospg_storage::{Change, Conflict, VnodeId};

use super::new_tables::NewTables;
use super::rows::{ClosedRows, FamilyRows};
use crate::{Engine, ErrorKind, QueryError};

/// Open rows for many tables.
#[derive(Default)]
pub struct Accumulator {
    pub families: Families,
    pub new_tables: NewTables,
    /// A statement is adding rows, or failed while it did: then they must be cleared.
    busy: bool,
}

impl Accumulator {
    pub fn is_empty(&self) -> bool {
        self.families.is_empty() && self.new_tables.is_empty()
    }

    /// About what it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        self.families.memory_bytes() + self.new_tables.memory_bytes()
    }

    /// Forgets every row, and the tables that would have been created.
    pub fn clear(&mut self) {
        *self = Accumulator::default();
    }

    /// Creates the tables that are new, and gives all rows away in the order they came.
    pub fn take(&mut self, engine: &Engine) -> Result<BTreeMap<VnodeId, Vec<Change>>, QueryError> {
        if self.is_empty() {
            self.clear();
            return Ok(BTreeMap::new());
        }
        self.take_from(engine.catalog())
    }

    fn take_from(&mut self, catalog: &Catalog) -> Result<BTreeMap<VnodeId, Vec<Change>>, QueryError> {
        if self.busy {
            self.clear();
            return Err(QueryError::new(
                ErrorKind::InternalError,
                "rows of a failed statement were not cleared",
            ));
        }
        let created = if self.new_tables.is_empty() {
            Vec::new()
        } else {
            self.new_tables.create(catalog)?
        };
        let changes = self.families.take(&created);
        self.clear();
        Ok(changes)
    }

    /// Before a statement adds its rows.
    pub(crate) fn begin_statement(&mut self) {
        self.busy = true;
    }

    /// All rows of the statement are in.
    pub(crate) fn end_statement(&mut self) {
        self.busy = false;
    }
}

/// The rows of each family.
#[derive(Default)]
pub struct Families {
    open: Vec<FamilyRows>,
    closed: BTreeMap<u32, Vec<ClosedRows>>,
    closed_bytes: usize,
}

impl Families {
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.open.iter().all(FamilyRows::is_empty)
    }

    pub fn memory_bytes(&self) -> usize {
        self.closed_bytes + self.open.iter().map(FamilyRows::memory_bytes).sum::<usize>()
    }

    /// What only chunks that are full take: cheap to ask for every row.
    pub fn closed_bytes(&self) -> usize {
        self.closed_bytes
    }

    /// The vnode of each row in the order they came, while the rows of one table are still together.
    pub fn vnodes_in_order(&self) -> Option<&[u32]> {
        let mut open = self.open.iter().filter(|rows| !rows.is_empty());
        match (open.next(), open.next(), self.closed.is_empty()) {
            (Some(rows), None, true) => rows.vnodes(),
            _ => None,
        }
    }

    /// The place of a table's rows for [`Families::rows`]. Rows that cannot share a chunk with the open ones close it.
    pub fn open(&mut self, table: &Arc<Table>, precision: Precision, conflict: Conflict) -> usize {
        self.open_of(table, precision, conflict, None)
    }

    /// As `open`, for rows of one vnode alone.
    pub fn open_of(
        &mut self,
        table: &Arc<Table>,
        precision: Precision,
        conflict: Conflict,
        vnode: Option<u32>,
    ) -> usize {
        match self.open.iter().position(|rows| rows.are_of(table, vnode)) {
            Some(index) => {
                if !self.open[index].takes(table, conflict) {
                    self.close(index);
                    self.open[index] = FamilyRows::new(Arc::clone(table), precision, conflict, vnode);
                }
                index
            }
            None => {
                self.open
                    .push(FamilyRows::new(Arc::clone(table), precision, conflict, vnode));
                self.open.len() - 1
            }
        }
    }

    /// `place`: from [`Families::open`].
    #[inline]
    pub fn rows(&mut self, place: usize) -> &mut FamilyRows {
        &mut self.open[place]
    }

    /// After each row.
    #[inline]
    pub fn close_if_full(&mut self, place: usize) {
        if self.open[place].is_full() {
            self.close(place);
        }
    }

    /// Gives the rows of a place away; later ones come after them.
    pub fn close(&mut self, place: usize) {
        for rows in self.open[place].close() {
            self.closed_bytes += rows.memory_bytes();
            self.closed.entry(rows.vnode).or_default().push(rows);
        }
    }

    /// All rows, with the series of tables created since.
    pub fn take(&mut self, created: &[SeriesRef]) -> BTreeMap<VnodeId, Vec<Change>> {
        for place in 0..self.open.len() {
            self.close(place);
        }
        self.closed_bytes = 0;
        std::mem::take(&mut self.closed)
            .into_iter()
            .map(|(vnode, rows)| {
                let changes = rows.into_iter().map(|rows| rows.resolve(created)).collect();
                (VnodeId(vnode), changes)
            })
            .collect()
    }
}
