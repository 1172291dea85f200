//! The catalog's interface: changes that are durable when they return, reads that never wait for a disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::ArrayRef;
use parking_lot::{MappedRwLockReadGuard, Mutex, RwLock, RwLockReadGuard};
use serde::{Deserialize, Serialize};

use crate::change::Writer;
use crate::hash::place;
use crate::image::{DatabaseImage, Image, child_ref};
use crate::store::Store;
use crate::values::{self, DerivedName};
use crate::{CatalogError, Children, Column, DatabaseOptions, Index, Keep, Roles, Table, TableKind, load};

/// Where a table's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeriesRef {
    pub vnode: u32,
    /// Dense inside the vnode, never reused.
    pub series: u32,
}

/// A database as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// A child table; from `NameReader::find` also a plain table, with its own OID as `supertable` and `u32::MAX` as `slot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildRef {
    pub oid: u32,
    /// OID of the supertable.
    pub supertable: u32,
    /// Row among the supertable's children: chunk `slot / CHUNK_ROWS`, row `slot % CHUNK_ROWS`.
    pub slot: u32,
    pub series: SeriesRef,
}

/// A supertable or plain table to make. Ids, attnums and OIDs are given by the catalog: columns' ids and attnums are ignored,
/// `columns` and `tags` are numbered by their order in `declared`.
#[derive(Clone, Debug)]
pub struct NewTable {
    pub name: String,
    pub kind: TableKind,
    /// In declared order, with whether each is a tag.
    pub declared: Vec<(Column, bool)>,
    /// Name of the time column; `None` is the first that is not a tag, [`crate::KEYED_TIME`] is none of them.
    pub time: Option<String>,
    pub comment: Option<String>,
    pub indexes: Vec<Index>,
    pub keep: Option<Keep>,
}

/// Child tables to make: one row of `tags` for each name.
#[derive(Clone, Debug)]
pub struct NewChild {
    /// `None`: derived from the tags.
    pub name: Option<String>,
}

/// What exists. One writer at a time; readers see the image in memory.
///
/// Reading methods are short and may be called while a `NameReader` is held. Changing methods wait for every `NameReader` to be
/// gone: who holds one must not call them.
pub struct Catalog {
    pub(crate) writer: Mutex<Writer>,
    pub(crate) image: RwLock<Image>,
    pub(crate) version: AtomicU64,
    /// Replaced as a whole by the writer; held for the copying of an Arc.
    pub(crate) roles: RwLock<Arc<Roles>>,
    /// That of `roles`, to be asked without a lock.
    pub(crate) roles_version: AtomicU64,
}

impl Catalog {
    /// Opens or makes the catalog in `directory`.
    pub fn open(directory: &Path) -> Result<Catalog, CatalogError> {
        let (writer, image, roles) = load::load(Store::open(directory)?)?;
        let version = AtomicU64::new(writer.meta.version);
        Ok(Catalog {
            writer: Mutex::new(writer),
            image: RwLock::new(image),
            version,
            roles_version: AtomicU64::new(roles.version),
            roles: RwLock::new(Arc::new(roles)),
        })
    }

    /// Grows with every change of any definition and with every dropped or renamed child; equal numbers mean that names mean what
    /// they meant. Not changed by new child tables or tag values.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// By name.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        let image = self.image.read_recursive();
        let databases = image.database_names.values().filter_map(|oid| image.databases.get(oid));
        databases.map(|database| database.database.clone()).collect()
    }

    pub fn database(&self, name: &str) -> Option<Arc<Database>> {
        Some(
            self.image
                .read_recursive()
                .database_by_name(name)
                .ok()?
                .database
                .clone(),
        )
    }

    pub fn database_by_oid(&self, oid: u32) -> Option<Arc<Database>> {
        Some(self.image.read_recursive().databases.get(&oid)?.database.clone())
    }

    /// Supertables and plain tables by name.
    pub fn tables(&self, database_oid: u32) -> Vec<Arc<Table>> {
        let image = self.image.read_recursive();
        let Some(database) = image.databases.get(&database_oid) else {
            return Vec::new();
        };
        let mut tables: Vec<Arc<Table>> = database.tables.values().map(|table| table.table.clone()).collect();
        tables.sort_by(|left, right| left.name.cmp(&right.name));
        tables
    }

    pub fn table_by_oid(&self, oid: u32) -> Option<Arc<Table>> {
        Some(self.image.read_recursive().table(oid)?.1.table.clone())
    }

    pub fn relation(&self, database_oid: u32, name: &str) -> Option<Relation> {
        self.image.read_recursive().databases.get(&database_oid)?.relation(name)
    }

    /// `None` when there is no such supertable.
    pub fn children(&self, supertable_oid: u32) -> Option<Children> {
        let image = self.image.read_recursive();
        let (_, table) = image.supertable(supertable_oid).ok()?;
        Some(Children {
            table: table.table.clone(),
            chunks: table.chunks.clone(),
        })
    }

    pub fn children_count(&self, supertable_oid: u32) -> u64 {
        self.image
            .read_recursive()
            .table(supertable_oid)
            .map_or(0, |(_, table)| table.children_alive)
    }

    /// Which vnode a child or plain table of this name lives in, whether it exists or not. A renamed table stays where it was.
    pub fn placement(&self, database_oid: u32, name: &str) -> Option<u32> {
        let image = self.image.read_recursive();
        let database = image.databases.get(&database_oid)?;
        match database.names.find(name.as_bytes()).and_then(child_ref) {
            Some(child) => Some(child.series.vnode),
            None => place(&database.database.vnodes, name),
        }
    }

    /// The name that a row with these tags gets when it names no table and none has these tags yet. `tags`: one row, as `Table::tags`.
    /// When something else has the name, as a table whose tags were changed keeps its, `_1`, `_2` and so on are appended, as `create_children`
    /// does.
    pub fn derived_name(&self, table: &Table, tags: &[ArrayRef], row: usize) -> String {
        let image = self.image.read_recursive();
        let free = image.databases.get(&table.database_oid).and_then(|database| {
            let found = values::probe(table, tags, row, |name| database.probe(table, tags, row, name));
            found.err()
        });
        match free {
            Some(name) => name.text().into(),
            None => DerivedName::new(table, tags, row).text().into(),
        }
    }

    /// A reader that finds many names without taking the lock again for each: the ingest path.
    pub fn names(&self, database_oid: u32) -> Option<NameReader<'_>> {
        let database = RwLockReadGuard::try_map(self.image.read(), |image| image.databases.get(&database_oid)).ok()?;
        Some(NameReader { database })
    }
}

/// Finds child and plain tables by name. Holds a read lock: keep it for a batch, not longer, and never across `.await` or a change
/// of the catalog.
pub struct NameReader<'a> {
    database: MappedRwLockReadGuard<'a, DatabaseImage>,
}

impl NameReader<'_> {
    /// One hash probe into the name arena. `None` for a supertable's own name. For a plain table, `supertable` is its own OID and
    /// `slot` is `u32::MAX`.
    pub fn find(&self, name: &str) -> Option<ChildRef> {
        child_ref(self.database.names.find(name.as_bytes())?)
    }

    /// Finds the child that rows with these tags belong to when they name no table.
    pub fn find_derived(&self, table: &Table, tags: &[ArrayRef], row: usize) -> Option<ChildRef> {
        self.database.derived(table, tags, row)
    }

    /// A supertable or plain table of this database.
    pub fn table(&self, oid: u32) -> Option<Arc<Table>> {
        Some(self.database.tables.get(&oid)?.table.clone())
    }
}
