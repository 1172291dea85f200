//! MANIFEST: which data files a vnode has, how far the log is in them, and the deletes they have yet to be read under.
//!
//! ```text
//! write MANIFEST.tmp -> fsync -> rename to MANIFEST -> fsync directory
//! ```
//!
//! Promises: after a crash the file is the old one or the new one, whole. A data file that it does not name does not exist.
//! The bytes are specified in docs/formats/manifest.md; change both together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::deletes::{Delete, Deletes, Order};
use crate::io::Io;
use crate::{Compression, FamilyId, SeriesId, SeriesSet, StorageError, TimeRange, UpdateMode};

const FILE: &str = "MANIFEST";
const FILE_NEW: &str = "MANIFEST.tmp";

/// First line, before the checksum of the rest: name and version of the format.
const HEAD: &str = "taospg manifest 1 crc32c ";

/// A delete lists at most this many series. No vnode has as many, and a list of that length fits in memory.
const SERIES_LISTED_MAX: u64 = 1 << 27;

/// The contents of a MANIFEST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub group_span: i64,
    pub update: UpdateMode,
    /// Every log record up to this one is in the files.
    pub flushed_index: u64,
    /// No file had this number or a higher one yet.
    pub next_file: u64,
    /// Rows before this time have expired.
    pub low: Option<i64>,
    /// By group, then from the oldest to the newest.
    pub files: Vec<FileEntry>,
    pub deletes: Vec<DeleteEntry>,
}

/// A data file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    pub group: i64,
    pub number: u64,
    pub bytes: u64,
    pub rows: u64,
    pub blocks: u64,
    pub min_time: i64,
    pub max_time: i64,
    /// Its rows come from these log records.
    pub first_index: u64,
    pub last_index: u64,
    /// Deletes up to this log record left no trace in it.
    pub deletes_applied: u64,
    pub compression: Compression,
}

impl FileEntry {
    pub fn time(&self) -> TimeRange {
        TimeRange::new(self.min_time, self.max_time).unwrap_or(TimeRange::ALL)
    }
}

/// A delete that some file has yet to be rewritten for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeleteEntry {
    pub family: u32,
    pub index: u64,
    pub start: i64,
    pub end: i64,
    /// Spans of series, first and last; none: all series.
    pub series: Option<Vec<(u32, u32)>>,
}

impl DeleteEntry {
    pub fn new(family: FamilyId, delete: &Delete) -> DeleteEntry {
        let spans = |list: &[SeriesId]| {
            let mut spans: Vec<(u32, u32)> = Vec::new();
            for series in list {
                match spans.last_mut() {
                    Some((_, last)) if last.checked_add(1) == Some(series.0) => *last = series.0,
                    _ => spans.push((series.0, series.0)),
                }
            }
            spans
        };
        DeleteEntry {
            family: family.0,
            index: delete.order.index,
            start: delete.time.start(),
            end: delete.time.end(),
            series: match &delete.series {
                SeriesSet::All => None,
                SeriesSet::List(list) => Some(spans(list)),
            },
        }
    }

    fn to_delete(&self) -> Result<Delete, &'static str> {
        let series = match &self.series {
            None => SeriesSet::All,
            Some(spans) => {
                let ascends = spans.iter().flat_map(|(first, last)| [*first, *last]).is_sorted();
                let count: u64 = spans
                    .iter()
                    .map(|(first, last)| u64::from(*last).saturating_sub(u64::from(*first)) + 1)
                    .sum();
                if !ascends || count > SERIES_LISTED_MAX {
                    return Err("ascending series of a delete");
                }
                SeriesSet::List(
                    spans
                        .iter()
                        .flat_map(|(first, last)| *first..=*last)
                        .map(SeriesId)
                        .collect(),
                )
            }
        };
        Ok(Delete {
            order: Order::end_of(self.index),
            series,
            time: TimeRange::new(self.start, self.end).ok_or("a delete's start before its end")?,
        })
    }
}

impl Manifest {
    /// What a vnode begins with.
    pub fn new(group_span: i64, update: UpdateMode) -> Manifest {
        Manifest {
            group_span,
            update,
            flushed_index: 0,
            next_file: 1,
            low: None,
            files: Vec::new(),
            deletes: Vec::new(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let body = serde_json::to_vec(self).expect("a manifest has only numbers and names");
        let mut bytes = format!("{HEAD}{:08x}\n", crc32c::crc32c(&body)).into_bytes();
        bytes.extend(body);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Manifest, &'static str> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("a first line")?;
        let (head, body) = (&bytes[..end], &bytes[end + 1..]);
        let crc = head.strip_prefix(HEAD.as_bytes()).ok_or("a manifest of version 1")?;
        if crc != format!("{:08x}", crc32c::crc32c(body)).as_bytes() {
            return Err("a manifest with the checksum in its first line");
        }
        serde_json::from_slice(body).map_err(|_| "the fields of a manifest")
    }

    /// The manifest of a vnode; `None` when it never had one.
    pub fn read(io: &dyn Io, directory: &Path) -> Result<Option<Manifest>, StorageError> {
        let path = directory.join(FILE);
        if !io.exists(&path) {
            return Ok(None);
        }
        let file = io.open(&path).map_err(StorageError::io(&path))?;
        let length = file.len().map_err(StorageError::io(&path))?;
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).map_err(StorageError::io(&path))?;
        let manifest = Manifest::decode(&bytes).map_err(corrupt(&path))?;
        Ok(Some(manifest))
    }

    /// Puts this one in the place of the last.
    pub fn write(&self, io: &dyn Io, directory: &Path) -> Result<(), StorageError> {
        let path = directory.join(FILE_NEW);
        let bytes = self.encode();
        let write = || {
            let file = io.create(&path)?;
            file.set_len(0)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_data()?;
            drop(file);
            io.rename(&path, &directory.join(FILE))?;
            io.sync_dir(directory)
        };
        write().map_err(StorageError::io(&path))
    }

    /// The deletes by family, ascending by age.
    pub fn deletes(&self, directory: &Path) -> Result<HashMap<FamilyId, Arc<Deletes>>, StorageError> {
        let mut families: HashMap<FamilyId, Vec<Arc<Delete>>> = HashMap::new();
        for entry in &self.deletes {
            let delete = entry.to_delete().map_err(corrupt(&directory.join(FILE)))?;
            families
                .entry(FamilyId(entry.family))
                .or_default()
                .push(Arc::new(delete));
        }
        let ordered = families.into_iter().map(|(family, mut list)| {
            list.sort_by_key(|delete| delete.order);
            (family, Arc::new(Deletes::new(list)))
        });
        Ok(ordered.collect())
    }
}

fn corrupt(path: &Path) -> impl Fn(&'static str) -> StorageError {
    let file: PathBuf = path.to_path_buf();
    move |expected| StorageError::Corrupt {
        file: file.clone(),
        offset: 0,
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let delete = Delete {
            order: Order { index: 40, step: 3 },
            series: SeriesSet::List([1, 2, 3, 9].map(SeriesId).into()),
            time: TimeRange::new(i64::MIN, 99).unwrap(),
        };
        Manifest {
            flushed_index: 41,
            next_file: 8,
            low: Some(-5),
            files: vec![FileEntry {
                group: -1,
                number: 7,
                bytes: 1234,
                rows: 56,
                blocks: 2,
                min_time: -100,
                max_time: -1,
                first_index: 1,
                last_index: 41,
                deletes_applied: 41,
                compression: Compression::Fast,
            }],
            deletes: vec![DeleteEntry::new(FamilyId(6), &delete)],
            ..Manifest::new(100, UpdateMode::MergeColumns)
        }
    }

    #[test]
    fn decodes_what_it_encodes() {
        let manifest = manifest();
        assert_eq!(manifest.deletes[0].series, Some(vec![(1, 3), (9, 9)]));
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest.clone()));
        let deletes = manifest.deletes(Path::new("x")).unwrap();
        let delete = &deletes[&FamilyId(6)].list()[0];
        assert!(delete.series.contains(SeriesId(2)) && !delete.series.contains(SeriesId(4)));
        assert_eq!(delete.order, Order::end_of(40));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = manifest().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            assert!(Manifest::decode(&damaged).is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_delete_of_absurdly_many_series_is_refused() {
        let entry = DeleteEntry {
            family: 1,
            index: 1,
            start: 0,
            end: 1,
            series: Some(vec![(0, u32::MAX)]),
        };
        assert!(entry.to_delete().is_err());
    }
}
