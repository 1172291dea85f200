//! Slots of dropped children, taken back at start: a fleet whose devices come and go would otherwise grow for ever.
//!
//! Only at start, when nobody holds a slot. Ids of series and OIDs stay what they are.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::change::ChunkRecords;
use crate::children::CHUNK_ROWS;
use crate::image::{DatabaseImage, Image};
use crate::load::joined;
use crate::store::{Batch, Store};
use crate::{CatalogError, ChildChunk, record};

/// Writes anew the supertables with more dropped than living children, when that saves at least a chunk.
pub(crate) fn slots(
    store: &Store,
    image: &mut Image,
    records: &mut HashMap<u32, Vec<ChunkRecords>>,
) -> Result<(), CatalogError> {
    for database in image.databases.values_mut() {
        let wasteful = database.tables.values().filter(|table| {
            let dropped = table.slots() - table.children_alive;
            dropped >= u64::from(CHUNK_ROWS) && dropped > table.children_alive
        });
        let wasteful: Vec<u32> = wasteful.map(|table| table.table.oid).collect();
        for oid in wasteful {
            reclaim(store, database, oid, records)?;
        }
    }
    Ok(())
}

fn reclaim(
    store: &Store,
    database: &mut DatabaseImage,
    oid: u32,
    records: &mut HashMap<u32, Vec<ChunkRecords>>,
) -> Result<(), CatalogError> {
    let precision = database.database.options.precision;
    let Some(image) = database.tables.get_mut(&oid) else {
        return Ok(());
    };
    let mut batch = Batch::default();
    batch.delete_all_children(oid);
    let mut chunks = Vec::new();
    for living in living(&image.chunks)? {
        let bytes = record::encode(&image.table, &living);
        batch.put_children(oid, chunks.len() as u32 * CHUNK_ROWS, &bytes);
        chunks.push(Arc::new(living.compact(&image.table, precision)?));
    }
    store.commit(batch)?;
    for (index, chunk) in chunks.iter().enumerate() {
        for row in 0..chunk.rows() {
            database
                .names
                .set_slot(chunk.name(row).as_bytes(), index as u32 * CHUNK_ROWS + row as u32);
        }
    }
    let layout = |index: usize| ChunkRecords {
        pieces: vec![index as u32 * CHUNK_ROWS],
        ..ChunkRecords::default()
    };
    records.insert(oid, (0..chunks.len()).map(layout).collect());
    image.chunks = chunks.into();
    Ok(())
}

/// The children that were not dropped, in full chunks and a rest.
fn living(chunks: &[Arc<ChildChunk>]) -> Result<Vec<ChildChunk>, CatalogError> {
    let mut full = Vec::new();
    let (mut pieces, mut rows) = (Vec::new(), 0);
    for chunk in chunks {
        let mut alive: Vec<usize> = chunk.alive.set_indices().collect();
        while !alive.is_empty() {
            let rest = alive.split_off(alive.len().min(CHUNK_ROWS as usize - rows));
            rows += alive.len();
            pieces.push(chunk.pick(&alive)?);
            if rows == CHUNK_ROWS as usize {
                full.push(joined(std::mem::take(&mut pieces))?);
                rows = 0;
            }
            alive = rest;
        }
    }
    if !pieces.is_empty() {
        full.push(joined(pieces)?);
    }
    Ok(full)
}
