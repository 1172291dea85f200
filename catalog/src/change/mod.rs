//! Changes: checked against the image, written to the store, then put into the image. One at a time, all or nothing.
//!
//! ```text
//! writer locked: check ──▶ batch ──▶ synced ──▶ image locked for writing: apply
//! ```
//!
//! Nothing can fail after the batch is synced: what could is done before. Readers see the image before or after a change of a
//! definition; many new children appear a chunk at a time.

mod children;
mod create;
mod database;
mod role;
mod table;
mod view;

pub use role::RolesDraft;

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::CatalogError;
use crate::hash::place;
use crate::store::{Meta, Store};
use crate::{Database, SeriesRef};

/// Where the children of one chunk are in the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkRecords {
    /// First slots of the records, in order.
    pub pieces: Vec<u32>,
    /// Slots with a record of their own on top.
    pub overrides: BTreeSet<u32>,
}

/// Records that one chunk is spread over at most, of either kind. More would make a start slow; fewer would write chunks anew more
/// often: at 256, creating tables one by one writes each about 32 times in all.
const CHUNK_RECORDS_MAX: usize = 256;

/// What only the writer needs to know.
pub(crate) struct Writer {
    pub store: Store,
    pub meta: Meta,
    /// By vnode; every vnode that exists has an entry.
    pub next_series: HashMap<u32, u32>,
    /// By supertable, one for each chunk.
    pub records: HashMap<u32, Vec<ChunkRecords>>,
}

impl Meta {
    /// The first of `count` OIDs that nothing had before.
    fn take_oids(&mut self, count: usize) -> Result<u32, CatalogError> {
        let first = self.next_oid;
        let next = u32::try_from(count).ok().and_then(|count| first.checked_add(count));
        self.next_oid = next.ok_or_else(|| CatalogError::Refused("all OIDs have been given".into()))?;
        Ok(first)
    }

    fn take_vnodes(&mut self, count: u32) -> Result<Vec<u32>, CatalogError> {
        let first = self.next_vnode;
        let next = first
            .checked_add(count)
            .ok_or_else(|| CatalogError::Refused("all vnode ids have been given".into()))?;
        self.next_vnode = next;
        Ok((first..next).collect())
    }
}

/// Series given by one change, not yet known to the writer.
struct SeriesGiver<'a> {
    given: &'a HashMap<u32, u32>,
    next: HashMap<u32, u32>,
}

impl<'a> SeriesGiver<'a> {
    fn new(writer: &'a Writer) -> SeriesGiver<'a> {
        SeriesGiver {
            given: &writer.next_series,
            next: HashMap::new(),
        }
    }

    /// A new series for a table of this name.
    fn take(&mut self, database: &Database, name: &str) -> Result<SeriesRef, CatalogError> {
        let missing = || CatalogError::Refused(format!("database \"{}\" has no vnodes", database.name));
        let vnode = place(&database.vnodes, name).ok_or_else(missing)?;
        let first = self.given.get(&vnode).copied().unwrap_or(0);
        let next = self.next.entry(vnode).or_insert(first);
        let series = *next;
        let full = || CatalogError::Refused(format!("all series of vnode {vnode} have been given"));
        *next = series.checked_add(1).ok_or_else(full)?;
        Ok(SeriesRef { vnode, series })
    }
}
