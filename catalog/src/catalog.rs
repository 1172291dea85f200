//! The catalog's interface: changes that are durable when they return, reads that never wait for a disk.

use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use serde::{Deserialize, Serialize};

use crate::{CatalogError, Column, DatabaseOptions, Table, TableChange, TableKind};

/// Where a table's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeriesRef {
    pub vnode: u32,
    /// Dense inside the vnode, never reused.
    pub series: u32,
}

/// A database as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    pub oid: u32,
    pub name: String,
    pub options: DatabaseOptions,
    /// Ids never reused; `2^16` hash slots of table names are dealt out among them.
    pub vnodes: Vec<u32>,
}

/// What a table name means.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A supertable or plain table.
    Table(Arc<Table>),
    Child {
        supertable: Arc<Table>,
        child: ChildRef,
    },
}

/// A child table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildRef {
    pub oid: u32,
    /// OID of the supertable.
    pub supertable: u32,
    /// Row among the supertable's children: chunk `slot / CHUNK_ROWS`, row `slot % CHUNK_ROWS`.
    pub slot: u32,
    pub series: SeriesRef,
}

/// A supertable's children at one moment, column by column. Cheap to take, never changes.
#[derive(Clone)]
pub struct Children {
    pub table: Arc<Table>,
    pub chunks: Vec<Arc<ChildChunk>>,
}

/// Up to `CHUNK_ROWS` children. All arrays are equally long; dropped children are absent from `alive`.
pub struct ChildChunk {
    pub alive: arrow::buffer::BooleanBuffer,
    pub oids: Vec<u32>,
    pub series: Vec<SeriesRef>,
    /// Utf8View.
    pub names: ArrayRef,
    /// As `Table::tags`, in their Arrow types.
    pub tags: Vec<ArrayRef>,
}

/// A supertable or plain table to make. Ids, attnums and OIDs are given by the catalog: columns' ids and attnums are ignored,
/// `columns` and `tags` are numbered by their order in `declared`.
#[derive(Clone, Debug)]
pub struct NewTable {
    pub name: String,
    pub kind: TableKind,
    /// In declared order, with whether each is a tag. The time column is the first that is not a tag.
    pub declared: Vec<(Column, bool)>,
    pub comment: Option<String>,
}

/// Child tables to make: one row of `tags` for each name.
pub struct NewChild {
    /// `None`: derived from the tags.
    pub name: Option<String>,
}

pub struct Catalog {
    _private: (),
}

impl Catalog {
    /// Opens or makes the catalog in `directory`.
    pub fn open(directory: &Path) -> Result<Catalog, CatalogError> {
        let _ = directory;
        todo!()
    }

    /// Grows with every change of any definition; equal numbers mean equal definitions. Not changed by new child tables or tag values.
    pub fn version(&self) -> u64 {
        todo!()
    }

    pub fn databases(&self) -> Vec<Arc<Database>> {
        todo!()
    }
    pub fn database(&self, name: &str) -> Option<Arc<Database>> {
        let _ = name;
        todo!()
    }
    pub fn create_database(&self, name: &str, options: DatabaseOptions) -> Result<Arc<Database>, CatalogError> {
        let _ = (name, options);
        todo!()
    }
    /// keep, compression, wal_level, flush_interval and block_rows_max may change.
    pub fn alter_database(&self, name: &str, options: DatabaseOptions) -> Result<Arc<Database>, CatalogError> {
        let _ = (name, options);
        todo!()
    }
    pub fn rename_database(&self, name: &str, to: &str) -> Result<(), CatalogError> {
        let _ = (name, to);
        todo!()
    }
    /// Returns what is gone, so that its vnodes can be removed.
    pub fn drop_database(&self, name: &str) -> Result<Arc<Database>, CatalogError> {
        let _ = name;
        todo!()
    }

    /// Supertables and plain tables by name.
    pub fn tables(&self, database_oid: u32) -> Vec<Arc<Table>> {
        let _ = database_oid;
        todo!()
    }
    pub fn table_by_oid(&self, oid: u32) -> Option<Arc<Table>> {
        let _ = oid;
        todo!()
    }
    pub fn relation(&self, database_oid: u32, name: &str) -> Option<Relation> {
        let _ = (database_oid, name);
        todo!()
    }
    pub fn create_table(&self, database_oid: u32, table: NewTable) -> Result<Arc<Table>, CatalogError> {
        let _ = (database_oid, table);
        todo!()
    }
    /// All steps or none.
    pub fn alter_table(&self, oid: u32, changes: &[TableChange]) -> Result<Arc<Table>, CatalogError> {
        let _ = (oid, changes);
        todo!()
    }
    /// Removes a supertable with its children, or a plain table.
    pub fn drop_table(&self, oid: u32) -> Result<Arc<Table>, CatalogError> {
        let _ = oid;
        todo!()
    }

    pub fn children(&self, supertable_oid: u32) -> Option<Children> {
        let _ = supertable_oid;
        todo!()
    }
    pub fn children_count(&self, supertable_oid: u32) -> u64 {
        let _ = supertable_oid;
        todo!()
    }
    /// Which vnode a child table of this name lives in, whether it exists or not.
    pub fn placement(&self, database_oid: u32, name: &str) -> Option<u32> {
        let _ = (database_oid, name);
        todo!()
    }
    /// The name that a row with these tags belongs to when it names no table. `tags`: one row, as `Table::tags`.
    pub fn derived_name(&self, table: &Table, tags: &[ArrayRef], row: usize) -> String {
        let _ = (table, tags, row);
        todo!()
    }
    /// Makes the children that do not exist yet, in one synced batch; an existing child of the same supertable is returned as it is (its
    /// tags unchanged), a name that something else has is an error and nothing is made. Answers as long as `children`.
    pub fn create_children(
        &self,
        supertable_oid: u32,
        children: &[NewChild],
        tags: &[ArrayRef],
    ) -> Result<Vec<ChildRef>, CatalogError> {
        let _ = (supertable_oid, children, tags);
        todo!()
    }
    /// Sets tags of children; `tags`: position in `Table::tags` with one row for each child.
    pub fn set_tags(&self, supertable_oid: u32, slots: &[u32], tags: &[(usize, ArrayRef)]) -> Result<(), CatalogError> {
        let _ = (supertable_oid, slots, tags);
        todo!()
    }
    pub fn drop_children(&self, supertable_oid: u32, slots: &[u32]) -> Result<(), CatalogError> {
        let _ = (supertable_oid, slots);
        todo!()
    }
    pub fn rename_child(&self, supertable_oid: u32, slot: u32, to: &str) -> Result<(), CatalogError> {
        let _ = (supertable_oid, slot, to);
        todo!()
    }

    /// A reader that finds many names without taking the lock again for each: the ingest path.
    pub fn names(&self, database_oid: u32) -> Option<NameReader<'_>> {
        let _ = database_oid;
        todo!()
    }
}

/// Finds child and plain tables by name. Holds a read lock: keep it for a batch, not longer, and never across `.await`.
pub struct NameReader<'a> {
    _lifetime: std::marker::PhantomData<&'a ()>,
}

impl NameReader<'_> {
    /// One hash probe into the name arena. `None` for a supertable's own name.
    pub fn find(&self, name: &str) -> Option<ChildRef> {
        let _ = name;
        todo!()
    }
    /// Finds the child that rows with these tags belong to when they name no table.
    pub fn find_derived(&self, table: &Table, tags: &[ArrayRef], row: usize) -> Option<ChildRef> {
        let _ = (table, tags, row);
        todo!()
    }
}
