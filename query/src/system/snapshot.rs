//! The catalog as the system tables show it: read once for each statement that asks.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use taospg_catalog::{Column, Database, Relation, Table, TableKind};

use super::SessionInfo;
use crate::access::Identity;
use crate::engine::Engine;

/// OIDs that PostgreSQL gives to objects every database has.
pub(super) const PG_CATALOG_OID: u32 = 11;
pub(super) const PUBLIC_OID: u32 = 2200;
pub(super) const INFORMATION_SCHEMA_OID: u32 = 13_000;
/// The bootstrap superuser.
pub(super) const OWNER_OID: u32 = 10;
/// `heap`, the access method that tables of PostgreSQL have.
pub(super) const HEAP_OID: u32 = 2;
/// OIDs of key indexes: the table's OID with the highest bit set, which no object of the catalog reaches.
pub(super) const INDEX_BIT: u32 = 1 << 31;

/// A supertable, plain table or child table as pg_class lists it.
#[derive(Clone)]
pub(super) struct Listed {
    pub oid: u32,
    pub name: String,
    pub table: Arc<Table>,
    /// A child: it shows its supertable's metrics and no tags.
    pub is_child: bool,
}

impl Listed {
    /// The columns it shows, by attnum.
    pub fn columns(&self) -> Vec<&Column> {
        if self.is_child {
            self.table.columns.iter().collect()
        } else {
            self.table.declared()
        }
    }

    /// attnums of the key: tags, then time.
    pub fn key(&self) -> Vec<&Column> {
        let mut key: Vec<&Column> = if self.is_child {
            Vec::new()
        } else {
            self.table.tags.iter().collect()
        };
        key.push(self.table.time_column());
        key
    }

    /// PostgreSQL calls a table with parts partitioned.
    pub fn is_partitioned(&self) -> bool {
        !self.is_child && self.table.kind == TableKind::Super
    }

    pub fn key_name(&self) -> String {
        format!("{}_pkey", self.name)
    }
}

/// What the tables are made from.
pub(super) struct Snapshot {
    pub session: SessionInfo,
    pub databases: Vec<Arc<Database>>,
    /// Supertables and plain tables of the connected database; child tables are there only when asked for by name or OID.
    pub tables: Vec<Listed>,
    /// Who asks, with all roles and grants.
    pub identity: Identity,
    engine: Arc<Engine>,
}

impl Snapshot {
    pub fn take(engine: &Arc<Engine>, session: &SessionInfo) -> Snapshot {
        let catalog = engine.catalog();
        let mut tables: Vec<Listed> = catalog
            .tables(session.database.oid)
            .into_iter()
            .map(|table| Listed {
                oid: table.oid,
                name: table.name.clone(),
                table,
                is_child: false,
            })
            .collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        Snapshot {
            session: session.clone(),
            databases: catalog.databases(),
            tables,
            identity: Identity::new(catalog, session.settings.actor),
            engine: engine.clone(),
        }
    }

    /// Adds the child tables with these names and OIDs.
    pub fn with_children(mut self, names: &[String], oids: &[u32]) -> Snapshot {
        for name in names {
            if let Some(Relation::Child { supertable, child }) =
                self.engine.catalog().relation(self.session.database.oid, name)
            {
                self.add_child(child.oid, name.clone(), supertable);
            }
        }
        for oid in oids {
            if let Some((name, supertable)) = self.child_by_oid(*oid) {
                self.add_child(*oid, name, supertable);
            }
        }
        self
    }

    fn add_child(&mut self, oid: u32, name: String, table: Arc<Table>) {
        if self.tables.iter().all(|listed| listed.oid != oid) {
            self.tables.push(Listed {
                oid,
                name,
                table,
                is_child: true,
            });
        }
    }

    fn child_by_oid(&self, oid: u32) -> Option<(String, Arc<Table>)> {
        for listed in self.tables.iter().filter(|listed| listed.is_partitioned()) {
            let children = self.engine.catalog().children(listed.oid)?;
            for chunk in children.chunks.iter() {
                let row = chunk.oids.iter().position(|found| *found == oid);
                if let Some(row) = row.filter(|row| chunk.alive.value(*row)) {
                    let names = chunk.names.as_string_view_opt().filter(|names| names.is_valid(row))?;
                    return Some((names.value(row).to_owned(), listed.table.clone()));
                }
            }
        }
        None
    }

    /// What a name that may be qualified and quoted means: `meters`, `public.meters`, `"Meters"`.
    pub fn oid_of_name(&self, text: &str) -> Option<u32> {
        let name = text.rsplit('.').next().unwrap_or(text).trim();
        let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => name.to_lowercase(),
        };
        if let Some(listed) = self.tables.iter().find(|listed| listed.name == name) {
            return Some(listed.oid);
        }
        if let Some(oid) = super::tables::system_table_oid(&name) {
            return Some(oid);
        }
        match self.engine.catalog().relation(self.session.database.oid, &name)? {
            Relation::Child { child, .. } => Some(child.oid),
            Relation::Table(table) => Some(table.oid),
        }
    }

    pub fn name_of_oid(&self, oid: u32) -> Option<String> {
        if let Some(listed) = self.tables.iter().find(|listed| listed.oid == oid) {
            return Some(listed.name.clone());
        }
        if let Some(listed) = self.tables.iter().find(|listed| listed.oid | INDEX_BIT == oid) {
            return Some(listed.key_name());
        }
        if let Some(name) = super::tables::system_table_name(oid) {
            return Some(name.to_owned());
        }
        self.child_by_oid(oid).map(|(name, _)| name)
    }

    pub fn listed(&self, oid: u32) -> Option<Listed> {
        if let Some(listed) = self.tables.iter().find(|listed| listed.oid == oid) {
            return Some(listed.clone());
        }
        let (name, table) = self.child_by_oid(oid)?;
        Some(Listed {
            oid,
            name,
            table,
            is_child: true,
        })
    }
}
