//! From the store to the image, once at start. Every record is checked as if an enemy had written it: what contradicts itself or
//! another record is an error that names the record.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::change::{ChunkRecords, Writer};
use crate::children::CHUNK_ROWS;
use crate::image::{DatabaseImage, Image};
use crate::names::{NameIndex, Named};
use crate::roles::FIRST_ROLE;
use crate::rules;
use crate::store::{FIRST_OID, FORMAT, FORMAT_OLDEST, Meta, Store, corrupt_record, family};
use crate::{Access, CatalogError, ChildChunk, Database, Role, Roles, Table, View, reclaim, record};

pub(crate) fn load(store: Store) -> Result<(Writer, Image, Roles), CatalogError> {
    let mut meta = store.meta()?.unwrap_or_default();
    if !(FORMAT_OLDEST..=FORMAT).contains(&meta.format) {
        let problem = format!(
            "is of format {}, this version knows formats {FORMAT_OLDEST} to {FORMAT}",
            meta.format
        );
        return Err(corrupt_record(family::META, &[], problem));
    }
    meta.format = FORMAT; // written with the next change
    let mut image = Image::default();
    load_databases(&store, &meta, &mut image)?;
    let next_series = load_next_series(&store, &image)?;
    load_tables(&store, &meta, &next_series, &mut image)?;
    let mut records = Children {
        store: &store,
        meta: &meta,
        next_series: &next_series,
    }
    .load(&mut image)?;
    let roles = load_roles(&store, &meta)?;
    load_views(&store, &meta, &mut image)?;
    reclaim::slots(&store, &mut image, &mut records)?;
    Ok((
        Writer {
            store,
            meta,
            next_series,
            records,
        },
        image,
        roles,
    ))
}

fn load_roles(store: &Store, meta: &Meta) -> Result<Roles, CatalogError> {
    let mut roles = Roles::default();
    store.scan_json(family::ROLE, |oid, role: Role| {
        let corrupt = |problem: &str| Err(corrupt_record(family::ROLE, &[oid], problem));
        if role.oid != oid || (oid != FIRST_ROLE && !(FIRST_OID..meta.next_oid).contains(&oid)) {
            return corrupt("has an oid that was never given");
        }
        rules::check_role_name(&role.name).or_else(|error| corrupt(&error.to_string()))?;
        if roles.named(&role.name).is_some_and(|other| other.oid != oid) {
            return corrupt("has the name of another");
        }
        roles.put(role);
        Ok(())
    })?;
    let members: Vec<Arc<Role>> = roles.all().cloned().collect();
    for role in members {
        if role
            .member_of
            .iter()
            .any(|membership| roles.role(membership.role).is_none())
        {
            return Err(corrupt_record(
                family::ROLE,
                &[role.oid],
                "is a member of a role that does not exist",
            ));
        }
    }
    store.scan_json(family::ACCESS, |oid, access: Access| {
        let corrupt = |problem: &str| Err(corrupt_record(family::ACCESS, &[oid], problem));
        if access.oid != oid || oid >= meta.next_oid {
            return corrupt("has an oid that was never given");
        }
        if roles.role(access.owner).is_none() {
            return corrupt("has an owner that does not exist");
        }
        roles.put_access(access);
        Ok(())
    })?;
    Ok(roles)
}

fn load_databases(store: &Store, meta: &Meta, image: &mut Image) -> Result<(), CatalogError> {
    store.scan_json(family::DATABASE, |oid, database: Database| {
        let corrupt = |problem: &str| Err(corrupt_record(family::DATABASE, &[oid], problem));
        if database.oid != oid || oid >= meta.next_oid {
            return corrupt("has an oid that was never given");
        }
        rules::check_database_name(&database.name)
            .and_then(|()| rules::check_options(&database.options))
            .or_else(|error| corrupt(&error.to_string()))?;
        if database.vnodes.len() != database.options.vgroups as usize {
            return corrupt("does not have as many vnodes as its options say");
        }
        for vnode in &database.vnodes {
            let others = image
                .databases
                .values()
                .any(|other| other.database.vnodes.contains(vnode));
            if *vnode >= meta.next_vnode || others {
                return corrupt("has a vnode that is not its own");
            }
        }
        if image.database_names.insert(database.name.clone(), oid).is_some() {
            return corrupt("has the name of another");
        }
        image.databases.insert(oid, DatabaseImage::new(Arc::new(database)));
        Ok(())
    })
}

fn load_next_series(store: &Store, image: &Image) -> Result<HashMap<u32, u32>, CatalogError> {
    let vnodes = || image.databases.values().flat_map(|database| &database.database.vnodes);
    let known: HashSet<u32> = vnodes().copied().collect();
    let mut next_series = HashMap::new();
    store.scan(family::NEXT_SERIES, &[], |[vnode]: [u32; 1], value| {
        let corrupt = |problem: &str| corrupt_record(family::NEXT_SERIES, &[vnode], problem);
        let value = value.try_into().map_err(|_| corrupt("is not a number"))?;
        if !known.contains(&vnode) {
            return Err(corrupt("belongs to no database"));
        }
        next_series.insert(vnode, u32::from_le_bytes(value));
        Ok(())
    })?;
    match vnodes().find(|vnode| !next_series.contains_key(*vnode)) {
        Some(vnode) => Err(corrupt_record(family::NEXT_SERIES, &[*vnode], "is missing")),
        None => Ok(next_series),
    }
}

fn load_tables(
    store: &Store,
    meta: &Meta,
    next_series: &HashMap<u32, u32>,
    image: &mut Image,
) -> Result<(), CatalogError> {
    store.scan_json(family::TABLE, |oid, table: Table| {
        let corrupt = |problem: &str| corrupt_record(family::TABLE, &[oid], problem);
        if table.oid != oid || oid >= meta.next_oid {
            return Err(corrupt("has an oid that was never given"));
        }
        rules::check_table(&table).map_err(|error| corrupt(&error.to_string()))?;
        rules::check_numbers(&table).map_err(corrupt)?;
        let database = image
            .databases
            .get_mut(&table.database_oid)
            .ok_or_else(|| corrupt("belongs to no database"))?;
        if let Some(series) = table.series
            && (!database.database.vnodes.contains(&series.vnode)
                || next_series.get(&series.vnode).is_none_or(|next| series.series >= *next))
        {
            return Err(corrupt("has a series that was never given"));
        }
        if database.names.find(table.name.as_bytes()).is_some() {
            return Err(corrupt("has the name of another"));
        }
        image.table_databases.insert(oid, table.database_oid);
        database.insert_table(Arc::new(table));
        Ok(())
    })
}

fn load_views(store: &Store, meta: &Meta, image: &mut Image) -> Result<(), CatalogError> {
    store.scan_json(family::VIEW, |oid, view: View| {
        let corrupt = |problem: &str| corrupt_record(family::VIEW, &[oid], problem);
        if view.oid != oid || oid >= meta.next_oid {
            return Err(corrupt("has an oid that was never given"));
        }
        rules::check_table_name(&view.name).map_err(|error| corrupt(&error.to_string()))?;
        let database = image.databases.get_mut(&view.database_oid);
        let database = database.ok_or_else(|| corrupt("belongs to no database"))?;
        if database.is_taken(&view.name) {
            return Err(corrupt("has the name of another"));
        }
        database.views.insert(view.name.clone(), Arc::new(view));
        Ok(())
    })
}

struct Children<'a> {
    store: &'a Store,
    meta: &'a Meta,
    next_series: &'a HashMap<u32, u32>,
}

/// Where the records of a chunk's children are, by supertable.
pub(crate) type Records = HashMap<u32, Vec<ChunkRecords>>;

impl Children<'_> {
    fn load(&self, image: &mut Image) -> Result<Records, CatalogError> {
        let mut overrides = self.overrides(image)?;
        let mut records = Records::new();
        // Pieces of the chunk that is being read; a chunk is complete when the next one, or the next supertable, begins.
        let mut pending: Option<Pending> = None;
        self.store
            .scan(family::CHILDREN, &[], |[oid, first_slot]: [u32; 2], value| {
                let corrupt = |problem: &str| corrupt_record(family::CHILDREN, &[oid, first_slot], problem);
                let (database, table) = image.supertable(oid).map_err(|error| corrupt(&error.to_string()))?;
                let precision = database.database.options.precision;
                let piece = record::decode(&table.table, precision, value).map_err(corrupt)?;
                let chunk = first_slot / CHUNK_ROWS;
                if pending
                    .as_ref()
                    .is_some_and(|pending| (pending.table, pending.chunk) != (oid, chunk))
                {
                    self.finish(image, pending.take(), &mut overrides, &mut records)?;
                }
                let pending = pending.get_or_insert_with(|| Pending::new(oid, chunk));
                if first_slot % CHUNK_ROWS != pending.rows || piece.rows() as u32 > CHUNK_ROWS - pending.rows {
                    return Err(corrupt("does not follow the one before it"));
                }
                pending.rows += piece.rows() as u32;
                pending.first_slots.push(first_slot);
                pending.pieces.push(piece);
                Ok(())
            })?;
        self.finish(image, pending, &mut overrides, &mut records)?;
        for database in image.databases.values_mut() {
            self.index(database)?;
        }
        match overrides.first_key_value() {
            Some(((table, slot), _)) => Err(corrupt_record(
                family::OVERRIDE,
                &[*table, *slot],
                "changes a child that does not exist",
            )),
            None => Ok(records),
        }
    }

    fn overrides(&self, image: &Image) -> Result<Overrides, CatalogError> {
        let mut overrides = Overrides::new();
        self.store.scan(family::OVERRIDE, &[], |[oid, slot]: [u32; 2], value| {
            let corrupt = |problem: &str| corrupt_record(family::OVERRIDE, &[oid, slot], problem);
            let (database, table) = image.supertable(oid).map_err(|error| corrupt(&error.to_string()))?;
            let child = record::decode(&table.table, database.database.options.precision, value).map_err(corrupt)?;
            if child.rows() != 1 {
                return Err(corrupt("is not one child"));
            }
            overrides.insert((oid, slot), child);
            Ok(())
        })?;
        Ok(overrides)
    }

    fn finish(
        &self,
        image: &mut Image,
        pending: Option<Pending>,
        overrides: &mut Overrides,
        records: &mut Records,
    ) -> Result<(), CatalogError> {
        let Some(pending) = pending else { return Ok(()) };
        let Pending {
            table: oid,
            chunk,
            first_slots,
            rows,
            pieces,
        } = pending;
        let first_slot = chunk * CHUNK_ROWS;
        let corrupt = |problem: &str| corrupt_record(family::CHILDREN, &[oid, first_slot], problem);
        let (database, table) = image.supertable(oid)?;
        let (table, full) = (table.table.clone(), table.slots() == u64::from(first_slot));
        if !full {
            return Err(corrupt("follows a chunk that is not full"));
        }
        let precision = database.database.options.precision;
        let mut whole = joined(pieces)?;
        let range = (oid, first_slot)..=(oid, first_slot + (rows - 1));
        let changed: Vec<u32> = overrides.range(range).map(|((_, slot), _)| *slot).collect();
        let mut changes = Vec::with_capacity(changed.len());
        for slot in &changed {
            changes.extend(overrides.remove(&(oid, *slot)));
        }
        if !changes.is_empty() {
            let at: Vec<usize> = changed.iter().map(|slot| (slot % CHUNK_ROWS) as usize).collect();
            whole = whole.with_rows(&at, &joined(changes)?)?;
        }
        if first_slots.len() > 1 || !changed.is_empty() {
            whole = whole.compact(&table, precision)?;
        }
        let layout = ChunkRecords {
            pieces: first_slots,
            overrides: changed.into_iter().collect(),
        };
        records.entry(oid).or_default().push(layout);
        let table = image
            .table_mut(oid)
            .ok_or_else(|| corrupt("belongs to no supertable"))?;
        table.children_alive += whole.alive.count_set_bits() as u64;
        table.chunks.set(chunk as usize, Arc::new(whole));
        Ok(())
    }

    /// Puts the names of all children of a database into its index.
    fn index(&self, database: &mut DatabaseImage) -> Result<(), CatalogError> {
        let DatabaseImage {
            database,
            names,
            tables,
            ..
        } = database;
        // Once for all of them: growing would hash each name again and again.
        names.reserve(tables.values().map(|table| table.children_alive as usize).sum());
        for (oid, table) in tables.iter() {
            for (index, chunk) in table.chunks.iter().enumerate() {
                let first_slot = index as u32 * CHUNK_ROWS;
                self.index_chunk(&database.vnodes, names, *oid, first_slot, chunk)
                    .map_err(|problem| corrupt_record(family::CHILDREN, &[*oid, first_slot], problem))?;
            }
        }
        Ok(())
    }

    fn index_chunk(
        &self,
        vnodes: &[u32],
        names: &mut NameIndex,
        table: u32,
        first_slot: u32,
        chunk: &ChildChunk,
    ) -> Result<(), String> {
        if !names.has_room_for(chunk.rows()) {
            return Err("has more names than there is room for".into());
        }
        for row in 0..chunk.rows() {
            let (oid, series) = (chunk.oids[row], chunk.series[row]);
            let given = self
                .next_series
                .get(&series.vnode)
                .is_some_and(|next| series.series < *next);
            if !given || !vnodes.contains(&series.vnode) {
                return Err(format!("child {oid} has a series that was never given"));
            }
            if oid >= self.meta.next_oid {
                return Err(format!("child {oid} has an oid that was never given"));
            }
            if !chunk.alive.value(row) {
                continue;
            }
            let name = chunk.name(row);
            rules::check_table_name(name).map_err(|error| error.to_string())?;
            let named = Named {
                oid,
                table,
                slot: first_slot + row as u32,
                series,
            };
            if !names.insert_new(name.as_bytes(), named) {
                return Err(format!("child \"{name}\" has the name of another table"));
            }
        }
        Ok(())
    }
}

/// Children that were changed after they were added, by supertable and slot.
type Overrides = BTreeMap<(u32, u32), ChildChunk>;

struct Pending {
    table: u32,
    chunk: u32,
    first_slots: Vec<u32>,
    rows: u32,
    pieces: Vec<ChildChunk>,
}

impl Pending {
    fn new(table: u32, chunk: u32) -> Pending {
        Pending {
            table,
            chunk,
            first_slots: vec![],
            rows: 0,
            pieces: vec![],
        }
    }
}

/// Pieces joined pairwise, so that each row is copied a logarithmic number of times.
pub(crate) fn joined(mut pieces: Vec<ChildChunk>) -> Result<ChildChunk, CatalogError> {
    while pieces.len() > 1 {
        let mut halves = Vec::with_capacity(pieces.len().div_ceil(2));
        for pair in pieces.chunks(2) {
            halves.push(match pair {
                [left, right] => left.followed_by(right)?,
                _ => pair[0].clone(),
            });
        }
        pieces = halves;
    }
    pieces.pop().ok_or_else(|| crate::children::unexpected("no pieces"))
}
