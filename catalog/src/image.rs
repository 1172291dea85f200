//! What exists, in memory: everything that readers see. Changed only by the writer, after the change is on disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::children::{CHUNK_ROWS, Chunks};
use crate::names::{NameIndex, Named, SLOT_PLAIN, SLOT_SUPER};
use crate::values::{self, Probe};
use crate::{CatalogError, ChildChunk, ChildRef, Database, Relation, SeriesRef, Table, TableKind, View};

#[derive(Default)]
pub(crate) struct Image {
    pub databases: HashMap<u32, DatabaseImage>,
    pub database_names: BTreeMap<String, u32>,
    /// Database of each supertable and plain table.
    pub table_databases: HashMap<u32, u32>,
}

pub(crate) struct DatabaseImage {
    pub database: Arc<Database>,
    pub names: NameIndex,
    /// Supertables and plain tables by OID.
    pub tables: HashMap<u32, TableImage>,
    /// Their names are not in the index: rows cannot go to them.
    pub views: BTreeMap<String, Arc<View>>,
}

pub(crate) struct TableImage {
    pub table: Arc<Table>,
    pub chunks: Chunks,
    /// Children that are not dropped.
    pub children_alive: u64,
}

impl Image {
    pub fn database_by_name(&self, name: &str) -> Result<&DatabaseImage, CatalogError> {
        let database = self.database_names.get(name).and_then(|oid| self.databases.get(oid));
        database.ok_or_else(|| CatalogError::NotFound {
            what: "database",
            name: name.into(),
        })
    }

    pub fn database(&self, oid: u32) -> Result<&DatabaseImage, CatalogError> {
        self.databases.get(&oid).ok_or_else(|| CatalogError::NotFound {
            what: "database",
            name: format!("with oid {oid}"),
        })
    }

    pub fn table(&self, oid: u32) -> Option<(&DatabaseImage, &TableImage)> {
        let database = self.databases.get(self.table_databases.get(&oid)?)?;
        Some((database, database.tables.get(&oid)?))
    }

    pub fn existing_table(&self, oid: u32) -> Result<(&DatabaseImage, &TableImage), CatalogError> {
        self.table(oid).ok_or_else(|| CatalogError::NotFound {
            what: "table",
            name: format!("with oid {oid}"),
        })
    }

    pub fn supertable(&self, oid: u32) -> Result<(&DatabaseImage, &TableImage), CatalogError> {
        let (database, table) = self.existing_table(oid)?;
        match table.table.kind {
            TableKind::Super => Ok((database, table)),
            TableKind::Plain => Err(CatalogError::WrongKind(format!(
                "table \"{}\" is not a supertable",
                table.table.name
            ))),
        }
    }

    pub fn table_mut(&mut self, oid: u32) -> Option<&mut TableImage> {
        self.databases
            .get_mut(self.table_databases.get(&oid)?)?
            .tables
            .get_mut(&oid)
    }

    pub fn database_of_table_mut(&mut self, oid: u32) -> Option<&mut DatabaseImage> {
        self.databases.get_mut(self.table_databases.get(&oid)?)
    }
}

impl DatabaseImage {
    pub fn new(database: Arc<Database>) -> DatabaseImage {
        DatabaseImage {
            database,
            names: NameIndex::default(),
            tables: HashMap::new(),
            views: BTreeMap::new(),
        }
    }

    pub fn relation(&self, name: &str) -> Option<Relation> {
        let named = self.names.find(name.as_bytes())?;
        let table = self.tables.get(&named.table)?.table.clone();
        Some(match child_ref(named) {
            Some(child) if child.slot != SLOT_PLAIN => Relation::Child {
                supertable: table,
                child,
            },
            _ => Relation::Table(table),
        })
    }

    pub fn is_view(&self, name: &[u8]) -> bool {
        !self.views.is_empty() && std::str::from_utf8(name).is_ok_and(|name| self.views.contains_key(name))
    }

    /// Whether a supertable, table or view has this name.
    pub fn is_taken(&self, name: &str) -> bool {
        self.names.find(name.as_bytes()).is_some() || self.is_view(name.as_bytes())
    }

    /// The child that rows with these tags belong to when they name no table.
    pub fn derived(&self, table: &Table, tags: &[arrow::array::ArrayRef], row: usize) -> Option<ChildRef> {
        values::probe(table, tags, row, |name| self.probe(table, tags, row, name)).ok()
    }

    /// Whether a name is free, or is that of a child with these tags.
    pub fn probe(&self, table: &Table, tags: &[arrow::array::ArrayRef], row: usize, name: &[u8]) -> Probe<ChildRef> {
        let Some(named) = self.names.find(name) else {
            return match self.is_view(name) {
                true => Probe::Taken,
                false => Probe::Free,
            };
        };
        let Some(child) = child_ref(named).filter(|child| child.supertable == table.oid) else {
            return Probe::Taken;
        };
        let chunk = self.tables.get(&table.oid).and_then(|table| table.chunk_of(child.slot));
        match chunk {
            Some((chunk, at)) if values::rows_equal(&chunk.tags, at, tags, row) => Probe::Match(child),
            _ => Probe::Taken,
        }
    }

    /// The name of a supertable or plain table in the index.
    pub fn insert_table(&mut self, table: Arc<Table>) {
        self.names.insert(table.name.as_bytes(), table_named(&table));
        let image = TableImage {
            table: table.clone(),
            chunks: Chunks::default(),
            children_alive: 0,
        };
        self.tables.insert(table.oid, image);
    }
}

/// What the own name of a supertable or plain table means.
pub(crate) fn table_named(table: &Table) -> Named {
    Named {
        oid: table.oid,
        table: table.oid,
        slot: if table.kind == TableKind::Plain {
            SLOT_PLAIN
        } else {
            SLOT_SUPER
        },
        series: table.series.unwrap_or(SeriesRef { vnode: 0, series: 0 }),
    }
}

/// `None` for a supertable, which has no rows of its own.
pub(crate) fn child_ref(named: Named) -> Option<ChildRef> {
    let Named {
        oid,
        table,
        slot,
        series,
    } = named;
    (slot != SLOT_SUPER).then_some(ChildRef {
        oid,
        supertable: table,
        slot,
        series,
    })
}

impl TableImage {
    /// The chunk of a slot and the row in it.
    pub fn chunk_of(&self, slot: u32) -> Option<(&Arc<ChildChunk>, usize)> {
        let chunk = self.chunks.get((slot / CHUNK_ROWS) as usize)?;
        let row = (slot % CHUNK_ROWS) as usize;
        (row < chunk.rows()).then_some((chunk, row))
    }

    /// Slots given so far, those of dropped children included.
    pub fn slots(&self) -> u64 {
        match self.chunks.split_last() {
            Some((last, full)) => full.len() as u64 * u64::from(CHUNK_ROWS) + last.rows() as u64,
            None => 0,
        }
    }
}
