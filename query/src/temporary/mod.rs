//! Temporary tables: rows that one session keeps in memory and nobody else sees.
//!
//! ```text
//! CREATE TEMP TABLE --define--> Picture: tables by name --insert, change, truncate--> next Picture
//!                                  ^                                                    |
//!                                  +------------- ROLLBACK, ROLLBACK TO ----------------+
//! ```
//!
//! A picture never changes: queries and cursors read the one that was there when they began, and a savepoint is a clone of its `Arc`. Unlike
//! definitions in the catalog, those of temporary tables are part of the transaction: one session alone sees them anyway.
//!
//! Promises: a statement puts its whole picture or none; all tables of a session together stay below `temporary_tables` bytes, and with what
//! its transaction can bring back below twice as many, beyond which a statement fails with 53200.
//! Leaves to others: reading values and defaults (`ingest/`), how a query scans the rows (`plan/temporary.rs`), rows of pg_class (`system/`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::statement::{OnCommit, TableName};
use crate::{ErrorKind, QueryError, Session};

pub(crate) mod change;
pub(crate) mod define;
mod insert;
pub(crate) mod rows;
pub(crate) mod table;

pub(crate) use change::PreparedChange;
pub(crate) use insert::insert;
pub(crate) use table::TemporaryTable;

/// The schema of a session's own temporary tables, under the name that means it in every session.
const SCHEMA: &str = "pg_temp";

/// OIDs of temporary tables: past all that the catalog gives, and below the bit of indexes. They come round after half a thousand million
/// tables, none of which is still there.
const FIRST_OID: u32 = 0x6000_0000;
const LAST_OID: u32 = 0x7fff_ffff;
static NEXT_OID: AtomicU32 = AtomicU32::new(FIRST_OID);

fn next_oid() -> u32 {
    let next = |oid: u32| Some(if oid >= LAST_OID { FIRST_OID } else { oid + 1 });
    NEXT_OID
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
        .unwrap_or(FIRST_OID)
}

/// All temporary tables of a session at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    tables: BTreeMap<String, Arc<TemporaryTable>>,
    /// Which definitions these are: pictures with the same number differ in rows only.
    definitions: u64,
}

impl Picture {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<TemporaryTable>> {
        self.tables.values()
    }

    pub fn named(&self, name: &str) -> Option<&Arc<TemporaryTable>> {
        self.tables.get(name)
    }

    pub fn with_oid(&self, oid: u32) -> Option<&Arc<TemporaryTable>> {
        self.tables().find(|table| table.definition.table.oid == oid)
    }

    /// The same tables, one of them with other rows.
    pub fn with_rows(&self, table: TemporaryTable) -> Picture {
        let mut next = self.clone();
        next.tables.insert(table.definition.table.name.clone(), Arc::new(table));
        next
    }

    fn remove(&mut self, name: &str) -> Option<Arc<TemporaryTable>> {
        self.tables.remove(name)
    }

    fn bytes(&self) -> usize {
        self.tables().map(|table| table.bytes()).sum()
    }

    /// What COMMIT leaves of it; `None`: all.
    fn committed(&self) -> Option<Picture> {
        if self
            .tables()
            .all(|table| table.definition.on_commit == OnCommit::PreserveRows)
        {
            return None;
        }
        let mut next = self.clone();
        next.tables
            .retain(|_, table| table.definition.on_commit != OnCommit::Drop);
        for table in next.tables.values_mut() {
            if table.definition.on_commit == OnCommit::DeleteRows && table.rows() > 0 {
                *table = Arc::new(table.emptied());
            }
        }
        Some(next)
    }
}

/// The temporary tables of a session as they are now. Its system tables and functions look at them too.
#[derive(Debug)]
pub(crate) struct Temporaries {
    current: Mutex<Arc<Picture>>,
    /// Of the current picture.
    definitions: AtomicU64,
    /// The highest number that definitions have had; those that were rolled back do not give theirs again.
    last_definitions: AtomicU64,
    /// For all tables together.
    bytes_max: usize,
    /// `pg_temp_7`: as the system tables show it.
    pub schema: String,
}

impl Temporaries {
    pub fn new(bytes_max: usize, process_id: i32) -> Temporaries {
        Temporaries {
            current: Mutex::default(),
            definitions: AtomicU64::new(0),
            last_definitions: AtomicU64::new(0),
            bytes_max,
            schema: format!("{SCHEMA}_{process_id}"),
        }
    }

    pub fn picture(&self) -> Arc<Picture> {
        self.current.lock().clone()
    }

    /// Plans made for other definitions are made anew.
    pub fn definitions(&self) -> u64 {
        self.definitions.load(Ordering::Relaxed)
    }

    /// The table that a name means: without a schema, or in that of temporary tables.
    pub fn find(&self, schema: Option<&str>, name: &str) -> Option<Arc<TemporaryTable>> {
        match schema {
            Some(schema) if !self.is_schema(schema) => None,
            _ => self.current.lock().named(name).cloned(),
        }
    }

    pub fn is_schema(&self, schema: &str) -> bool {
        schema == SCHEMA || schema == self.schema
    }

    /// Back to an earlier picture, or on to a checked one.
    pub fn put(&self, picture: Arc<Picture>) {
        self.definitions.store(picture.definitions, Ordering::Relaxed);
        *self.current.lock() = picture;
    }

    /// A transaction has committed.
    pub fn commit(&self) {
        let next = self.current.lock().committed();
        if let Some(next) = next {
            self.put(Arc::new(self.renumbered(next)));
        }
    }

    /// With a number of its own, where its definitions are not those of now.
    fn renumbered(&self, picture: Picture) -> Picture {
        let current = self.picture();
        let same = current.tables.len() == picture.tables.len()
            && current
                .tables
                .iter()
                .zip(&picture.tables)
                .all(|((_, a), (_, b))| Arc::ptr_eq(&a.definition, &b.definition));
        match same {
            true => picture,
            false => Picture {
                definitions: self.last_definitions.fetch_add(1, Ordering::Relaxed) + 1,
                ..picture
            },
        }
    }

    /// `undo`: the pictures that ROLLBACK can put back.
    fn checked<'a>(
        &self,
        picture: Picture,
        undo: impl Iterator<Item = &'a Arc<Picture>> + Clone,
    ) -> Result<Picture, QueryError> {
        let bytes = picture.bytes();
        if bytes > self.bytes_max && bytes > self.picture().bytes() {
            let message = format!("temporary tables of a session take at most {} MB", self.bytes_max >> 20);
            let error = QueryError::new(ErrorKind::OutOfMemory, message);
            return Err(error.with_hint("drop or empty some, or raise setting temporary_tables of the server"));
        }
        // Most often nothing is to be undone, or little; what pictures share is counted when the rest would be too much.
        let undo_max = self.bytes_max.saturating_mul(2);
        let all: usize = undo.clone().map(|undo| undo.bytes()).sum::<usize>() + bytes;
        if all > undo_max && distinct_bytes(undo.map(|undo| &**undo).chain([&picture])) > undo_max {
            let message = "a transaction keeps too many rows of temporary tables that its ROLLBACK would bring back";
            return Err(QueryError::new(ErrorKind::OutOfMemory, message).with_hint("COMMIT, or RELEASE savepoints"));
        }
        Ok(self.renumbered(picture))
    }
}

fn distinct_bytes<'a>(pictures: impl Iterator<Item = &'a Picture>) -> usize {
    let tables = pictures.flat_map(|picture| picture.tables.values());
    let pieces: HashMap<usize, usize> = tables.flat_map(|table| table.held.pieces()).collect();
    pieces.values().sum()
}

impl Session {
    /// The temporary table that a name means.
    pub(crate) fn temporary(&self, name: &TableName) -> Option<Arc<TemporaryTable>> {
        if name
            .database
            .as_ref()
            .is_some_and(|database| database != self.database_name())
        {
            return None;
        }
        self.temporaries().find(name.schema.as_deref(), &name.name)
    }

    /// Puts the next picture, which ROLLBACK undoes.
    pub(crate) fn put_temporary(&mut self, picture: Picture) -> Result<(), QueryError> {
        let temporaries = self.temporaries().clone();
        let picture = temporaries.checked(picture, self.temporary_pictures())?;
        self.remember_temporary();
        self.temporaries().put(Arc::new(picture));
        Ok(())
    }
}
