//! One file of the log: a header, then records from front to back, then zeros or what the file held in an earlier life.
//!
//! A segment gets its name only when its header is on disk, so a file with a name and without a right header is damaged.
//! Its last record is followed by anything that is not a record of this segment.

use std::path::{Path, PathBuf};

use super::record::{self, ALIGNMENT, Intact, Place};
use crate::io::{Io, IoFile};
use crate::{StorageError, VnodeId};

/// Bytes of a segment's header; the first record follows.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 7] = b"TAOSWAL";

/// The version that this code writes, and in which records of all kinds may be. Segments of version 1 are read.
pub(crate) const VERSION: u8 = 2;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub version: u8,
    pub place: Place,
    pub number: u64,
    /// Index of the first record in here. All before it were on disk before this segment began.
    pub first_index: u64,
    /// Checksum of the record before the first one here; 0 if there is none.
    pub previous_crc: u32,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..7].copy_from_slice(MAGIC);
        bytes[7] = self.version;
        bytes[12..16].copy_from_slice(&self.place.salt.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.place.vnode.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.previous_crc.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_index.to_le_bytes());
        let crc = SegmentHeader::checksum(&bytes);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn checksum(bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..8]), &bytes[12..SEGMENT_HEADER_BYTES])
    }

    /// The header at the beginning of `bytes`, if it is whole and belongs to this vnode and number.
    fn decode(bytes: &[u8], vnode: VnodeId, number: u64) -> Result<SegmentHeader, &'static str> {
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES).ok_or("a whole segment header")?;
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes of a full header"));
        let u64_at =
            |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes of a full header"));
        let version = bytes[7];
        if bytes[..7] != *MAGIC || !(1..=VERSION).contains(&version) {
            return Err("a log segment of version 1 or 2");
        }
        if u32_at(8) != SegmentHeader::checksum(bytes) {
            return Err("a segment header with a right checksum");
        }
        let header = SegmentHeader {
            version,
            place: Place {
                vnode: VnodeId(u32_at(16)),
                salt: u32_at(12),
            },
            number: u64_at(24),
            first_index: u64_at(32),
            previous_crc: u32_at(20),
        };
        if header.place.vnode != vnode || header.number != number {
            return Err("the segment that its name says");
        }
        Ok(header)
    }
}

/// `<number>.wal`, with leading zeros so that a listing is in order.
pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}.wal"))
}

/// The number in a segment's name; `None` for every other file.
pub(crate) fn segment_number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".wal")?.parse().ok()
}

/// A segment read into memory.
pub(crate) struct Segment {
    pub path: PathBuf,
    pub header: SegmentHeader,
    pub file: Box<dyn IoFile>,
    bytes: Vec<u8>,
}

impl Segment {
    /// Reads a segment and checks its header.
    pub fn open(io: &dyn Io, directory: &Path, vnode: VnodeId, number: u64) -> Result<Segment, StorageError> {
        let path = segment_path(directory, number);
        let file = io.open(&path).map_err(StorageError::io(&path))?;
        let length = file.len().map_err(StorageError::io(&path))?;
        // As long as the file on disk really is: nothing is allocated by what the bytes say.
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, 0).map_err(StorageError::io(&path))?;
        let header = SegmentHeader::decode(&bytes, vnode, number).map_err(|expected| StorageError::Corrupt {
            file: path.clone(),
            offset: 0,
            expected,
        })?;
        Ok(Segment {
            path,
            header,
            file,
            bytes,
        })
    }

    /// Bytes of the file, of which records may take fewer.
    pub fn file_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub fn corrupt(&self, offset: usize, expected: &'static str) -> StorageError {
        StorageError::Corrupt {
            file: self.path.clone(),
            offset: offset as u64,
            expected,
        }
    }

    /// Walks through the records from the first.
    pub fn walk(&self) -> Walk<'_> {
        Walk {
            segment: self,
            offset: SEGMENT_HEADER_BYTES,
            next_index: self.header.first_index,
            crc: self.header.previous_crc,
        }
    }

    /// Offsets from `from` on where something begins that claims to be a record of this segment.
    pub fn claims(&self, from: usize) -> impl Iterator<Item = usize> {
        let place = self.header.place;
        (from..self.bytes.len())
            .step_by(ALIGNMENT)
            .filter(move |at| record::looks_like_record(place, &self.bytes[*at..]))
    }

    /// What proves that the record `index`, of which nothing whole is at `offset`, was on disk once: a later record that says so.
    pub fn proof_of(&self, index: u64, offset: usize) -> Option<usize> {
        self.claims(offset).find(|at| {
            record::read_record(self.header.place, &self.bytes[*at..])
                .is_ok_and(|later| later.header.index > index && later.header.durable_index >= index)
        })
    }
}

/// A walk through the records of a segment.
pub(crate) struct Walk<'a> {
    segment: &'a Segment,
    /// Where the next record begins.
    pub offset: usize,
    pub next_index: u64,
    /// Checksum of the record before.
    pub crc: u32,
}

impl<'a> Walk<'a> {
    /// The next record; what is wrong with it, and the walk stays where it is.
    pub fn next(&mut self) -> Result<Intact<'a>, &'static str> {
        let rest = self
            .segment
            .bytes
            .get(self.offset..)
            .ok_or("a record inside the segment")?;
        let record = record::read_record(self.segment.header.place, rest)?;
        if record.header.index != self.next_index {
            return Err("the record with the next index");
        }
        if record.header.previous_crc != self.crc {
            return Err("a record that follows the one before it");
        }
        self.offset += record::record_bytes(record.body.len());
        self.next_index += 1;
        self.crc = record.crc;
        Ok(record)
    }
}
