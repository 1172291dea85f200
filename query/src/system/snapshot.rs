//! The catalog as the system tables show it: read once for each statement that asks.

use std::collections::HashSet;
use std::sync::Arc;

use taospg_catalog::{ChildRef, Column, Database, Relation, Table, TableKind, View};
use taospg_storage::{FamilyId, FamilySize, SeriesId, VnodeId};

use super::SessionInfo;
use crate::access::Identity;
use crate::engine::Engine;
use crate::temporary::TemporaryTable;

/// Child tables of one supertable that are listed one by one where inheritance is asked for (`\d+ meters`). More would fill screens, and a
/// million of them minutes; a supertable with more shows none.
pub(super) const CHILDREN_LISTED_MAX: u64 = 1_000;

/// OIDs that PostgreSQL gives to objects every database has.
pub(super) const PG_CATALOG_OID: u32 = 11;
pub(super) const PUBLIC_OID: u32 = 2200;
pub(super) const INFORMATION_SCHEMA_OID: u32 = 13_207;
/// The schema of the session's own temporary tables. Nobody sees that of another.
pub(super) const TEMPORARY_OID: u32 = 13_208;
/// The bootstrap superuser.
pub(super) const OWNER_OID: u32 = 10;
/// `heap`, the access method that tables of PostgreSQL have.
pub(super) const HEAP_OID: u32 = 2;
/// `btree`
pub(super) const BTREE_OID: u32 = 403;
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
    /// A temporary table of the session that asks.
    pub temporary: Option<Arc<TemporaryTable>>,
}

impl Listed {
    /// The columns it shows, by attnum.
    pub fn columns(&self) -> Vec<&Column> {
        if self.is_child {
            let shown = self.table.columns.iter().filter(|column| !column.is_hidden());
            shown.collect()
        } else {
            self.table.declared()
        }
    }

    /// attnums of the key: tags, then time.
    pub fn key(&self) -> Vec<&Column> {
        if let Some(temporary) = &self.temporary {
            return temporary.definition.key();
        }
        let mut key: Vec<&Column> = if self.is_child {
            Vec::new()
        } else {
            self.table.tags.iter().collect()
        };
        key.extend(Some(self.table.time_column()).filter(|time| !time.is_hidden()));
        key
    }

    /// PostgreSQL calls a table with parts partitioned.
    pub fn is_partitioned(&self) -> bool {
        !self.is_child && self.table.kind == TableKind::Super
    }

    /// The supertable's comment is not its children's.
    pub fn comment(&self) -> Option<&str> {
        self.table.comment.as_deref().filter(|_| !self.is_child)
    }

    /// Temporary tables can do without a key.
    pub fn has_key(&self) -> bool {
        self.temporary.as_ref().is_none_or(|table| table.definition.has_key)
    }

    /// OID of the schema that it is in.
    pub fn namespace(&self) -> u32 {
        match self.temporary {
            Some(_) => TEMPORARY_OID,
            None => PUBLIC_OID,
        }
    }

    pub fn key_name(&self) -> String {
        format!("{}_pkey", self.name)
    }
}

/// Names and OIDs that a statement compares with, so that child tables among them are shown: of one psql asks `relname ~ '^(d1001)$'`, then
/// `oid = '16390'`.
#[derive(Clone, Debug, Default)]
pub struct Mentioned {
    pub names: HashSet<String>,
    pub oids: HashSet<u32>,
}

impl Mentioned {
    /// A quoted literal: a name, an OID in digits or a pattern that is a name.
    pub fn add_text(&mut self, text: &str) {
        let exact = text.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$"));
        self.names.insert(exact.unwrap_or(text).to_owned());
        self.oids.extend(text.parse::<u32>().ok());
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
    pub views: Vec<Arc<View>>,
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
                temporary: None,
            })
            .collect();
        let picture = session.temporaries.picture();
        tables.extend(picture.tables().map(|table| Listed {
            oid: table.definition.table.oid,
            name: table.name().to_owned(),
            table: table.definition.table.clone(),
            is_child: false,
            temporary: Some(table.clone()),
        }));
        // Of two tables with one name the temporary one comes first, and hides the other.
        tables.sort_by(|a, b| (&a.name, a.temporary.is_none()).cmp(&(&b.name, b.temporary.is_none())));
        Snapshot {
            session: session.clone(),
            databases: catalog.databases(),
            tables,
            identity: Identity::new(catalog, session.settings.current().actor),
            views: catalog.views(session.database.oid),
            engine: engine.clone(),
        }
    }

    /// Adds the child tables with these names and OIDs.
    pub fn with_children(mut self, mentioned: &Mentioned) -> Snapshot {
        for name in &mentioned.names {
            if let Some(Relation::Child { supertable, child }) =
                self.engine.catalog().relation(self.session.database.oid, name)
            {
                self.add_child(child.oid, name.clone(), supertable);
            }
        }
        for (oid, name, supertable) in self.children_by_oid(&mentioned.oids) {
            self.add_child(oid, name, supertable);
        }
        self
    }

    /// Adds the child tables of supertables that have few; of others there would be too many to list.
    pub fn with_all_children(mut self) -> Snapshot {
        let supertables: Vec<Arc<Table>> = self
            .tables
            .iter()
            .filter(|listed| listed.is_partitioned())
            .map(|listed| listed.table.clone())
            .collect();
        let mut present: HashSet<u32> = self.tables.iter().map(|listed| listed.oid).collect();
        for table in supertables {
            if self.engine.catalog().children_count(table.oid) > CHILDREN_LISTED_MAX {
                continue;
            }
            let Some(children) = self.engine.catalog().children(table.oid) else {
                continue;
            };
            for chunk in &children.chunks {
                for row in chunk.alive.set_indices().filter(|row| present.insert(chunk.oids[*row])) {
                    self.tables.push(Listed {
                        oid: chunk.oids[row],
                        name: chunk.name(row).to_owned(),
                        table: table.clone(),
                        is_child: true,
                        temporary: None,
                    });
                }
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
                temporary: None,
            });
        }
    }

    /// Child tables with these OIDs or with keys that have them: OID, name and supertable.
    fn children_by_oid(&self, oids: &HashSet<u32>) -> Vec<(u32, String, Arc<Table>)> {
        let mut found = Vec::new();
        for listed in self.tables.iter().filter(|listed| listed.is_partitioned()) {
            let Some(children) = self.engine.catalog().children(listed.oid) else {
                continue;
            };
            for oid in oids {
                let oid = oid & !INDEX_BIT;
                if let Some((chunk, row)) = children.find_oid(oid) {
                    found.push((oid, chunk.name(row).to_owned(), listed.table.clone()));
                }
            }
        }
        found
    }

    fn child_by_oid(&self, oid: u32) -> Option<(String, Arc<Table>)> {
        let (_, name, table) = self.children_by_oid(&HashSet::from([oid])).pop()?;
        Some((name, table))
    }

    /// What a name that may be qualified and quoted means: `meters`, `public.meters`, `"Meters"`.
    pub fn oid_of_name(&self, text: &str) -> Option<u32> {
        let (schema, name) = match text.rsplit_once('.') {
            Some((schema, name)) => (schema.trim(), name.trim()),
            None => ("", text.trim()),
        };
        let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => name.to_lowercase(),
        };
        let system = |schema: &str| super::tables::find(schema, &name).map(|table| table.oid);
        let temporary = || {
            let mut own = self.tables.iter().filter(|listed| listed.temporary.is_some());
            own.find(|listed| listed.name == name).map(|listed| listed.oid)
        };
        match schema {
            "pg_catalog" | "information_schema" => return system(schema),
            _ if self.session.temporaries.is_schema(schema) => return temporary(),
            "" => {
                if let Some(oid) = temporary() {
                    return Some(oid);
                }
                if let Some(oid) = system("pg_catalog") {
                    return Some(oid);
                }
            }
            _ => {}
        }
        let mut durable = self.tables.iter().filter(|listed| listed.temporary.is_none());
        if let Some(listed) = durable.find(|listed| listed.name == name) {
            return Some(listed.oid);
        }
        if let Some(view) = self.views.iter().find(|view| view.name == name) {
            return Some(view.oid);
        }
        if let Some(listed) = self.tables.iter().find(|listed| listed.key_name() == name) {
            return Some(listed.oid | INDEX_BIT);
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
        if let Some(view) = self.views.iter().find(|view| view.oid == oid) {
            return Some(view.name.clone());
        }
        if let Some(table) = super::tables::by_oid(oid) {
            return Some(table.name.to_owned());
        }
        let (name, _) = self.child_by_oid(oid)?;
        Some(if oid & INDEX_BIT == 0 {
            name
        } else {
            format!("{name}_pkey")
        })
    }

    /// As regclass prints it.
    pub fn shown_name_of_oid(&self, oid: u32) -> Option<String> {
        let schema = super::tables::by_oid(oid).map_or("public", |table| table.schema);
        Some(super::session_functions::qualified(schema, &self.name_of_oid(oid)?))
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
            temporary: None,
        })
    }

    /// The name of the schema that a table is in.
    pub fn schema_of(&self, listed: &Listed) -> &str {
        match listed.temporary {
            Some(_) => &self.session.temporaries.schema,
            None => "public",
        }
    }

    /// Whether the session has temporary tables, and so a schema for them.
    pub fn has_temporary(&self) -> bool {
        self.tables.iter().any(|listed| listed.temporary.is_some())
    }

    /// Who owns a table.
    pub fn owner_of_table(&self, listed: &Listed) -> u32 {
        match &listed.temporary {
            Some(table) => table.definition.owner,
            None => self.owner_of(listed.table.oid),
        }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Rows and bytes of a table or child table; `None` when its vnode is gone or a file cannot be read, which the log tells.
    pub fn size_of(&self, listed: &Listed) -> Option<FamilySize> {
        if let Some(table) = &listed.temporary {
            return Some(FamilySize {
                rows: table.rows() as u64,
                memory_bytes: table.bytes() as u64,
                ..FamilySize::default()
            });
        }
        let size = match listed.is_child {
            true => {
                let relation = self
                    .engine
                    .catalog()
                    .relation(self.session.database.oid, &listed.name)?;
                let Relation::Child { child, .. } = relation else {
                    return None;
                };
                self.size_of_child(&child)
            }
            false => self.size_of_family(listed),
        };
        size.inspect_err(|error| tracing::warn!(table = listed.name, %error, "its size cannot be told"))
            .ok()
    }

    fn size_of_child(&self, child: &ChildRef) -> Result<FamilySize, taospg_storage::StorageError> {
        let view = self.engine.storage().view(VnodeId(child.series.vnode))?;
        view.series_size(FamilyId(child.supertable), SeriesId(child.series.series))
    }

    fn size_of_family(&self, listed: &Listed) -> Result<FamilySize, taospg_storage::StorageError> {
        let vnodes: Vec<u32> = match listed.table.series {
            Some(series) => vec![series.vnode],
            None => self.session.database.vnodes.clone(),
        };
        let mut size = FamilySize::default();
        for vnode in vnodes {
            let view = self.engine.storage().view(VnodeId(vnode))?;
            size += view.family_size(FamilyId(listed.oid))?;
        }
        Ok(size)
    }

    /// Bytes of a database's data files and logs.
    pub fn database_bytes(&self, database: &Database) -> u64 {
        let statistics = database
            .vnodes
            .iter()
            .filter_map(|vnode| self.engine.storage().statistics(VnodeId(*vnode)).ok());
        statistics
            .map(|statistics| statistics.data_bytes + statistics.wal_bytes)
            .sum()
    }
}
