//! Changing children that exist: their tags, their names, and whether they exist.
//!
//! A changed child gets a record of its own that overrides the one of its chunk; a chunk with many of them is written anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::interleave;

use super::{CHUNK_RECORDS_MAX, ChunkRecords, Writer};
use crate::children::{CHUNK_ROWS, unexpected};
use crate::image::TableImage;
use crate::names::Named;
use crate::rules;
use crate::store::Batch;
use crate::values;
use crate::{Catalog, CatalogError, ChildChunk, Precision, Table, record};

impl Catalog {
    /// Sets tags of children; `tags`: position in `Table::tags` with one row for each child.
    pub fn set_tags(&self, supertable_oid: u32, slots: &[u32], tags: &[(usize, ArrayRef)]) -> Result<(), CatalogError> {
        let mut writer = self.writer.lock();
        let edits = {
            let image = self.image.read_recursive();
            let (database, table) = image.supertable(supertable_oid)?;
            let precision = database.database.options.precision;
            let (positions, arrays): (Vec<usize>, Vec<&ArrayRef>) = tags.iter().map(|(at, array)| (*at, array)).unzip();
            values::check_tags(&table.table, precision, &positions, &arrays, slots.len())?;
            let mut edits = Edits::new(&table.table, precision);
            for (chunk, children) in by_chunk(table, slots)? {
                edits.set_tags(chunk, children, &table.chunks[chunk], tags)?;
            }
            edits
        };
        let done = edits.commit(&mut writer, Batch::default())?;
        done.show(self);
        Ok(())
    }

    pub fn drop_children(&self, supertable_oid: u32, slots: &[u32]) -> Result<(), CatalogError> {
        let mut writer = self.writer.lock();
        let (edits, names, oids) = {
            let image = self.image.read_recursive();
            let (database, table) = image.supertable(supertable_oid)?;
            let mut edits = Edits::new(&table.table, database.database.options.precision);
            let mut names = Vec::new();
            let mut oids = Vec::new();
            for (chunk, children) in by_chunk(table, slots)? {
                let before = &table.chunks[chunk];
                oids.extend(children.iter().map(|child| before.oids[child.row]));
                names.extend(children.iter().map(|child| before.name(child.row).to_owned()));
                edits.drop(chunk, children, before);
            }
            (edits, names, oids)
        };
        if names.is_empty() {
            return Ok(());
        }
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        let roles = self.forget_access(&mut batch, &oids);
        let done = edits.commit(&mut writer, batch)?;
        if let Some(roles) = roles {
            self.show_roles(roles);
        }
        done.show(self);
        let mut image = self.image.write();
        if let Some(database) = image.database_of_table_mut(supertable_oid) {
            for name in &names {
                database.names.remove(name.as_bytes());
            }
            database.names.collect_garbage();
            if let Some(table) = database.tables.get_mut(&supertable_oid) {
                table.children_alive -= names.len() as u64;
            }
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(())
    }

    pub fn rename_child(&self, supertable_oid: u32, slot: u32, to: &str) -> Result<(), CatalogError> {
        rules::check_table_name(to)?;
        let mut writer = self.writer.lock();
        let (edits, from) = {
            let image = self.image.read_recursive();
            let (database, table) = image.supertable(supertable_oid)?;
            let mut edits = Edits::new(&table.table, database.database.options.precision);
            let mut from = String::new();
            for (chunk, children) in by_chunk(table, &[slot])? {
                let before = &table.chunks[chunk];
                from = children.iter().map(|child| before.name(child.row)).collect();
                edits.rename(chunk, children, before, to)?;
            }
            if from == to {
                return Ok(());
            }
            if database.is_taken(to) {
                return Err(CatalogError::Exists {
                    what: "table",
                    name: to.into(),
                });
            }
            if !database.names.has_room_for(1) {
                return Err(CatalogError::Refused(
                    "the names of this database fill all the room there is".into(),
                ));
            }
            (edits, from)
        };
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        let done = edits.commit(&mut writer, batch)?;
        done.show(self);
        let mut image = self.image.write();
        if let Some(database) = image.database_of_table_mut(supertable_oid)
            && let Some(Named {
                oid,
                table,
                slot,
                series,
            }) = database.names.remove(from.as_bytes())
        {
            database.names.insert(
                to.as_bytes(),
                Named {
                    oid,
                    table,
                    slot,
                    series,
                },
            );
            database.names.collect_garbage();
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(())
    }
}

/// A child to change.
#[derive(Clone, Copy)]
struct Chosen {
    /// Row in its chunk.
    row: usize,
    /// Row of the new values.
    value: usize,
}

/// The children of `slots` by chunk. Of a slot that is named twice the last counts.
fn by_chunk(table: &TableImage, slots: &[u32]) -> Result<BTreeMap<usize, Vec<Chosen>>, CatalogError> {
    let mut chosen: BTreeMap<u32, usize> = BTreeMap::new();
    for (value, slot) in slots.iter().enumerate() {
        let alive = table.chunk_of(*slot).is_some_and(|(chunk, row)| chunk.alive.value(row));
        if !alive {
            let name = format!("number {slot} of supertable {}", table.table.name);
            return Err(CatalogError::NotFound { what: "table", name });
        }
        chosen.insert(*slot, value);
    }
    let mut chunks: BTreeMap<usize, Vec<Chosen>> = BTreeMap::new();
    for (slot, value) in chosen {
        let row = (slot % CHUNK_ROWS) as usize;
        chunks
            .entry((slot / CHUNK_ROWS) as usize)
            .or_default()
            .push(Chosen { row, value });
    }
    Ok(chunks)
}

/// Chunks as they will be.
struct Edits {
    table: Table,
    precision: Precision,
    /// With the slots that differ.
    chunks: Vec<(usize, Vec<u32>, ChildChunk)>,
}

impl Edits {
    fn new(table: &Table, precision: Precision) -> Edits {
        Edits {
            table: table.clone(),
            precision,
            chunks: Vec::new(),
        }
    }

    fn push(&mut self, chunk: usize, children: &[Chosen], whole: ChildChunk) {
        let slot = |child: &Chosen| chunk as u32 * CHUNK_ROWS + child.row as u32;
        self.chunks.push((chunk, children.iter().map(slot).collect(), whole));
    }

    fn set_tags(
        &mut self,
        chunk: usize,
        children: Vec<Chosen>,
        before: &ChildChunk,
        tags: &[(usize, ArrayRef)],
    ) -> Result<(), CatalogError> {
        let mut picks: Vec<(usize, usize)> = (0..before.rows()).map(|row| (0, row)).collect();
        for child in &children {
            picks[child.row] = (1, child.value);
        }
        let mut whole = before.clone();
        for (position, values) in tags {
            whole.tags[*position] = interleave(&[&whole.tags[*position], values], &picks).map_err(unexpected)?;
        }
        // The new values' buffers belong to the sender and may hold much besides.
        let whole = whole.compact(&self.table, self.precision)?;
        self.push(chunk, &children, whole);
        Ok(())
    }

    fn drop(&mut self, chunk: usize, children: Vec<Chosen>, before: &ChildChunk) {
        let mut alive: Vec<bool> = before.alive.iter().collect();
        for child in &children {
            alive[child.row] = false;
        }
        self.push(
            chunk,
            &children,
            ChildChunk {
                alive: BooleanBuffer::from(alive),
                ..before.clone()
            },
        );
    }

    fn rename(
        &mut self,
        chunk: usize,
        children: Vec<Chosen>,
        before: &ChildChunk,
        to: &str,
    ) -> Result<(), CatalogError> {
        let mut picks: Vec<(usize, usize)> = (0..before.rows()).map(|row| (0, row)).collect();
        for child in &children {
            picks[child.row] = (1, 0);
        }
        let to: ArrayRef = Arc::new(StringViewArray::from_iter_values([to]));
        let names = interleave(&[&before.names, &to], &picks).map_err(unexpected)?;
        let mut whole = ChildChunk {
            names,
            ..before.clone()
        };
        if whole.is_scattered() {
            whole = whole.compact(&self.table, self.precision)?;
        }
        self.push(chunk, &children, whole);
        Ok(())
    }

    /// Makes the chunks durable together with what is in `batch`.
    fn commit(self, writer: &mut Writer, mut batch: Batch) -> Result<Edited, CatalogError> {
        let Edits {
            table,
            precision,
            chunks,
        } = self;
        let mut records = Vec::with_capacity(chunks.len());
        let mut shown = Vec::with_capacity(chunks.len());
        for (index, slots, mut whole) in chunks {
            let known = writer.records.get(&table.oid).and_then(|records| records.get(index));
            let mut chunk_records = known.cloned().ok_or_else(|| unexpected("a chunk without records"))?;
            if chunk_records.overrides.len() + slots.len() > CHUNK_RECORDS_MAX {
                let slot = index as u32 * CHUNK_ROWS;
                whole = rewrite(&mut batch, &mut chunk_records, &table, precision, slot, &whole)?;
            } else {
                for slot in slots {
                    let child = whole.pick(&[(slot % CHUNK_ROWS) as usize])?;
                    batch.put_override(table.oid, slot, &record::encode(&table, &child));
                    chunk_records.overrides.insert(slot);
                }
            }
            records.push((index, chunk_records));
            shown.push((index, Arc::new(whole)));
        }
        writer.store.commit(batch)?;
        let all = writer.records.entry(table.oid).or_default();
        for (index, chunk_records) in records {
            all[index] = chunk_records;
        }
        Ok(Edited {
            table: table.oid,
            chunks: shown,
        })
    }
}

struct Edited {
    table: u32,
    chunks: Vec<(usize, Arc<ChildChunk>)>,
}

impl Edited {
    fn show(self, catalog: &Catalog) {
        let mut image = catalog.image.write();
        if let Some(table) = image.table_mut(self.table) {
            for (index, chunk) in self.chunks {
                table.chunks.set(index, chunk);
            }
        }
    }
}

/// Writes a chunk as one record in place of all its records. `slot` is any of the chunk's.
pub(super) fn rewrite(
    batch: &mut Batch,
    records: &mut ChunkRecords,
    table: &Table,
    precision: Precision,
    slot: u32,
    whole: &ChildChunk,
) -> Result<ChildChunk, CatalogError> {
    let bytes = record::encode(table, whole);
    let first_slot = slot - slot % CHUNK_ROWS;
    for piece in records.pieces.drain(..).filter(|piece| *piece != first_slot) {
        batch.delete_children(table.oid, piece);
    }
    for slot in std::mem::take(&mut records.overrides) {
        batch.delete_override(table.oid, slot);
    }
    batch.put_children(table.oid, first_slot, &bytes);
    records.pieces = vec![first_slot];
    record::decode(table, precision, &bytes).map_err(unexpected)
}
