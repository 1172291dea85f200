//! RocksDB as the catalog uses it: keys made of ids, synced batches, values read back in order.
//!
//! Promises: a batch is on disk, whole, when `commit` returns; after a failure that leaves open what is on disk, nothing more is
//! written. Leaves to others: what definitions mean (`load.rs`), the bytes of children (`record.rs`).
//! Keys and values are specified in docs/formats/catalog.md; change both together.

use std::path::Path;

use parking_lot::Mutex;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRawIterator, DBRecoveryMode, Options, ReadOptions, WriteBatch,
    WriteOptions,
};
use serde::{Deserialize, Serialize};

use crate::{Access, CatalogError, Database, Role, Table, View};

/// Changes wait here until they are written to a file. The catalog is small and idles: 4 MiB hold thousands of definitions.
const WRITE_BUFFER_BYTES: usize = 4 << 20;
/// Everything is read once, at start. Only compaction reads later.
const CACHE_BYTES: usize = 1 << 20;
/// Write-ahead log before its contents are written to files: what a start after a crash reads again.
const WAL_BYTES_MAX: u64 = 32 << 20;
/// Reading ahead while everything is loaded.
const READ_AHEAD_BYTES: usize = 2 << 20;
/// RocksDB's own text log: one old one for a look back.
const LOG_FILES: usize = 2;
const LOG_BYTES_MAX: usize = 1 << 20;
/// Files kept open. A catalog of millions of tables has a few dozen.
const OPEN_FILES_MAX: i32 = 128;

/// First byte of a key. A letter once used keeps its meaning.
pub(crate) mod family {
    pub const META: u8 = b'M';
    pub const DATABASE: u8 = b'D';
    pub const TABLE: u8 = b'T';
    pub const NEXT_SERIES: u8 = b'S';
    /// Children from a slot on, as they were added.
    pub const CHILDREN: u8 = b'C';
    /// One child, as it was changed later.
    pub const OVERRIDE: u8 = b'O';
    pub const ROLE: u8 = b'R';
    /// Owner and grants of a database or table.
    pub const ACCESS: u8 = b'G';
    pub const VIEW: u8 = b'V';
}

/// Counters of the whole catalog; what they have passed is never given again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub format: u32,
    pub next_oid: u32,
    pub next_vnode: u32,
    /// `Catalog::version`
    pub version: u64,
}

/// PostgreSQL gives lower OIDs to its own objects; clients rely on that.
pub(crate) const FIRST_OID: u32 = 16_384;
/// Format 1 knew no roles: a server of that time would let everybody in.
pub(crate) const FORMAT: u32 = 2;
pub(crate) const FORMAT_OLDEST: u32 = 1;

impl Default for Meta {
    fn default() -> Self {
        Meta {
            format: FORMAT,
            next_oid: FIRST_OID,
            next_vnode: 1,
            version: 1,
        }
    }
}

pub(crate) fn key_meta() -> Vec<u8> {
    vec![family::META]
}

fn key(family: u8, ids: &[u32]) -> Vec<u8> {
    // Big-endian, so that keys sort as ids do.
    let mut key = Vec::with_capacity(1 + 4 * ids.len());
    key.push(family);
    key.extend(ids.iter().flat_map(|id| id.to_be_bytes()));
    key
}

/// Puts and deletes that are written together.
#[derive(Default)]
pub(crate) struct Batch {
    writes: WriteBatch,
}

impl Batch {
    pub fn put_meta(&mut self, meta: &Meta) -> Result<(), CatalogError> {
        self.put_json(key_meta(), meta)
    }

    pub fn put_database(&mut self, database: &Database) -> Result<(), CatalogError> {
        self.put_json(key(family::DATABASE, &[database.oid]), database)
    }

    pub fn delete_database(&mut self, database: &Database) {
        self.writes.delete(key(family::DATABASE, &[database.oid]));
        for vnode in &database.vnodes {
            self.writes.delete(key(family::NEXT_SERIES, &[*vnode]));
        }
    }

    pub fn put_table(&mut self, table: &Table) -> Result<(), CatalogError> {
        self.put_json(key(family::TABLE, &[table.oid]), table)
    }

    pub fn put_view(&mut self, view: &View) -> Result<(), CatalogError> {
        self.put_json(key(family::VIEW, &[view.oid]), view)
    }

    pub fn delete_view(&mut self, oid: u32) {
        self.writes.delete(key(family::VIEW, &[oid]));
    }

    /// With everything about its children.
    pub fn delete_table(&mut self, oid: u32) {
        self.writes.delete(key(family::TABLE, &[oid]));
        self.delete_all_children(oid);
    }

    pub fn delete_all_children(&mut self, oid: u32) {
        for family in [family::CHILDREN, family::OVERRIDE] {
            // Slots end below u32::MAX, so that every key of this table sorts before the last.
            self.writes
                .delete_range(key(family, &[oid, 0]), key(family, &[oid, u32::MAX]));
        }
    }

    pub fn put_next_series(&mut self, vnode: u32, next_series: u32) {
        self.writes
            .put(key(family::NEXT_SERIES, &[vnode]), next_series.to_le_bytes());
    }

    pub fn put_children(&mut self, table: u32, first_slot: u32, record: &[u8]) {
        self.writes.put(key(family::CHILDREN, &[table, first_slot]), record);
    }

    pub fn delete_children(&mut self, table: u32, first_slot: u32) {
        self.writes.delete(key(family::CHILDREN, &[table, first_slot]));
    }

    pub fn put_override(&mut self, table: u32, slot: u32, record: &[u8]) {
        self.writes.put(key(family::OVERRIDE, &[table, slot]), record);
    }

    pub fn delete_override(&mut self, table: u32, slot: u32) {
        self.writes.delete(key(family::OVERRIDE, &[table, slot]));
    }

    pub fn put_role(&mut self, role: &Role) -> Result<(), CatalogError> {
        self.put_json(key(family::ROLE, &[role.oid]), role)
    }

    pub fn delete_role(&mut self, oid: u32) {
        self.writes.delete(key(family::ROLE, &[oid]));
    }

    pub fn put_access(&mut self, access: &Access) -> Result<(), CatalogError> {
        self.put_json(key(family::ACCESS, &[access.oid]), access)
    }

    pub fn delete_access(&mut self, oid: u32) {
        self.writes.delete(key(family::ACCESS, &[oid]));
    }

    fn put_json(&mut self, key: Vec<u8>, value: &impl Serialize) -> Result<(), CatalogError> {
        let json = serde_json::to_vec(value).map_err(|error| CatalogError::Corrupt {
            key: describe(&key),
            problem: error.to_string(),
        })?;
        self.writes.put(key, json);
        Ok(())
    }
}

pub(crate) struct Store {
    db: DB,
    /// A write whose outcome is unknown. A failed sync is not tried again: the next one could succeed without the lost bytes.
    failed: Mutex<Option<rocksdb::Error>>,
}

impl Store {
    pub fn open(directory: &Path) -> Result<Store, CatalogError> {
        // RocksDB makes only the last folder. When this fails, RocksDB's own error says why.
        std::fs::create_dir_all(directory).ok();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_paranoid_checks(true);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_max_write_buffer_number(2);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        // One for flushes, one for compaction; the processors belong to storage and queries.
        options.set_max_background_jobs(2);
        options.set_max_open_files(OPEN_FILES_MAX);
        options.set_max_file_opening_threads(1);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_keep_log_file_num(LOG_FILES);
        options.set_max_log_file_size(LOG_BYTES_MAX);
        // No thread that wakes up to write statistics nobody reads.
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
        options.set_block_based_table_factory(&blocks);
        Ok(Store {
            db: DB::open(&options, directory)?,
            failed: Mutex::new(None),
        })
    }

    /// Writes all of the batch or nothing, and returns when it is on disk.
    pub fn commit(&self, batch: Batch) -> Result<(), CatalogError> {
        let mut failed = self.failed.lock();
        if let Some(error) = &*failed {
            return Err(CatalogError::Store(error.clone()));
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        if let Err(error) = self.db.write_opt(batch.writes, &options) {
            // Without room nothing was written, and there may be room later.
            if !error.as_ref().contains("No space left") {
                *failed = Some(error.clone());
            }
            return Err(CatalogError::Store(error));
        }
        Ok(())
    }

    pub fn meta(&self) -> Result<Option<Meta>, CatalogError> {
        match self.db.get(key_meta())? {
            Some(json) => Ok(Some(parse(&key_meta(), &json)?)),
            None if self.first_key()?.is_none() => Ok(None),
            None => Err(CatalogError::Corrupt {
                key: "meta".into(),
                problem: "is missing".into(),
            }),
        }
    }

    fn first_key(&self) -> Result<Option<Vec<u8>>, CatalogError> {
        let mut all = self.db.raw_iterator();
        all.seek_to_first();
        all.status()?;
        Ok(all.key().map(<[u8]>::to_vec))
    }

    /// Calls `each` with the ids of the key and the value, for all keys of this family and of these first ids, in order of the ids.
    pub fn scan<const IDS: usize>(
        &self,
        family: u8,
        first_ids: &[u32],
        mut each: impl FnMut([u32; IDS], &[u8]) -> Result<(), CatalogError>,
    ) -> Result<(), CatalogError> {
        let prefix = key(family, first_ids);
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD_BYTES);
        let mut found: DBRawIterator = self.db.raw_iterator_opt(options);
        found.seek(&prefix);
        while let Some((key, value)) = found.item() {
            if !key.starts_with(&prefix) {
                break;
            }
            let (words, rest) = key[1..].as_chunks::<4>();
            let words: Result<[[u8; 4]; IDS], _> = words.try_into();
            let (Ok(words), true) = (words, rest.is_empty()) else {
                return Err(corrupt(key, "is not a key of this kind"));
            };
            each(words.map(u32::from_be_bytes), value)?;
            found.next();
        }
        Ok(found.status()?)
    }

    pub fn scan_json<T: for<'a> Deserialize<'a>>(
        &self,
        family: u8,
        mut each: impl FnMut(u32, T) -> Result<(), CatalogError>,
    ) -> Result<(), CatalogError> {
        self.scan(family, &[], |[id]: [u32; 1], value| {
            each(id, parse(&key(family, &[id]), value)?)
        })
    }

    /// Overwrites a record, as damage would.
    #[cfg(test)]
    pub fn put_raw(&self, key: &[u8], value: &[u8]) {
        self.db.put(key, value).unwrap();
    }

    #[cfg(test)]
    pub fn all(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let all = self.db.iterator(rocksdb::IteratorMode::Start);
        all.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap())
            .collect()
    }
}

fn parse<T: for<'a> Deserialize<'a>>(key: &[u8], json: &[u8]) -> Result<T, CatalogError> {
    serde_json::from_slice(json).map_err(|error| corrupt(key, error))
}

pub(crate) fn corrupt(key: &[u8], problem: impl std::fmt::Display) -> CatalogError {
    CatalogError::Corrupt {
        key: describe(key),
        problem: problem.to_string(),
    }
}

/// A problem with the record of a definition or of children.
pub(crate) fn corrupt_record(family: u8, ids: &[u32], problem: impl std::fmt::Display) -> CatalogError {
    corrupt(&key(family, ids), problem)
}

/// A key for people: `children 16390/8192`.
fn describe(key: &[u8]) -> String {
    let Some((family, ids)) = key.split_first() else {
        return "(empty)".into();
    };
    let name = match *family {
        family::META => "meta",
        family::DATABASE => "database",
        family::TABLE => "table",
        family::NEXT_SERIES => "next series of vnode",
        family::CHILDREN => "children",
        family::OVERRIDE => "changed child",
        family::ROLE => "role",
        family::ACCESS => "access to",
        family::VIEW => "view",
        _ => return format!("{key:02x?}"),
    };
    let (words, _) = ids.as_chunks::<4>();
    let ids: Vec<String> = words.iter().map(|word| u32::from_be_bytes(*word).to_string()).collect();
    if ids.is_empty() {
        name.into()
    } else {
        format!("{name} {}", ids.join("/"))
    }
}
