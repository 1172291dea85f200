//! A record of the log: a header of fixed size, then a body, padded to eight bytes.
//!
//! Each header carries its checksum, that of the record before it, and a random number of its segment (the salt). So a record is
//! taken for what it is only in its own place: neither what a recycled file held before, nor bytes that a client sends, can
//! pass for one.

use crate::{Change, VnodeId};

/// Bytes of a record's header.
pub(crate) const HEADER_BYTES: usize = 64;

/// Records begin at multiples of this, so that a search for them after damage has few places to look at.
pub(crate) const ALIGNMENT: usize = 8;

/// Largest body. Above any transaction that is let in; a length beyond it is damage.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 30;

const MAGIC: u16 = 0x5754; // "TW"
const VERSION: u8 = 1;
/// A log without replicas has one leader for ever.
const TERM: u64 = 1;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes to this vnode alone.
    Changes = 1,
    /// A participant's changes, which take effect if the transaction is committed.
    Prepared = 2,
    /// The mark: the transaction is committed. In its home vnode.
    Commit = 3,
    /// What became of a prepared transaction; of the home only that it was aborted.
    Resolved = 4,
    /// Nothing; says by its header how far the log is on disk.
    Watermark = 5,
    /// File groups before a time go.
    Expire = 6,
    /// The home's changes, which take effect if the transaction is committed.
    PreparedHome = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        [
            Kind::Changes,
            Kind::Prepared,
            Kind::Commit,
            Kind::Resolved,
            Kind::Watermark,
            Kind::Expire,
            Kind::PreparedHome,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A record to be: what the log does not know by itself.
#[derive(Clone, Debug)]
pub struct Pending {
    pub kind: Kind,
    /// 0: none.
    pub transaction: u64,
    pub body: Vec<u8>,
}

/// A record as it was read, its body decoded.
#[derive(Debug)]
pub struct Record {
    pub index: u64,
    pub transaction: u64,
    pub entry: Entry,
}

/// What a record says.
#[derive(Debug)]
pub enum Entry {
    Changes(Vec<Change>),
    Prepared {
        home: VnodeId,
        changes: Vec<Change>,
    },
    PreparedHome {
        participants: Vec<VnodeId>,
        changes: Vec<Change>,
    },
    Commit {
        participants: Vec<VnodeId>,
        changes: Vec<Change>,
    },
    Resolved {
        committed: bool,
    },
    Watermark,
    Expire {
        before: i64,
    },
}

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    pub previous_crc: u32,
    pub body_bytes: u32,
    pub index: u64,
    /// Every record up to this index was on disk when this one was written.
    pub durable_index: u64,
    pub transaction: u64,
}

/// What all records of a segment share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub vnode: VnodeId,
    pub salt: u32,
}

/// Bytes that a record with such a body takes.
pub(crate) fn record_bytes(body_bytes: usize) -> usize {
    (HEADER_BYTES + body_bytes).next_multiple_of(ALIGNMENT)
}

/// Appends header, body and padding to `out`; returns the record's checksum, for the next one to carry.
pub(crate) fn write_record(place: Place, header: &Header, body: &[u8], out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.push(VERSION);
    out.push(header.kind as u8);
    out.extend_from_slice(&place.salt.to_le_bytes());
    out.extend_from_slice(&[0; 4]); // the checksum, below
    out.extend_from_slice(&header.previous_crc.to_le_bytes());
    out.extend_from_slice(&header.body_bytes.to_le_bytes());
    out.extend_from_slice(&place.vnode.0.to_le_bytes());
    out.extend_from_slice(&TERM.to_le_bytes());
    out.extend_from_slice(&header.index.to_le_bytes());
    out.extend_from_slice(&header.durable_index.to_le_bytes());
    out.extend_from_slice(&header.transaction.to_le_bytes());
    out.extend_from_slice(&[0; 8]); // schema version and flags, both without meaning to a single server yet
    debug_assert_eq!(out.len() - start, HEADER_BYTES);
    let crc = checksum(&out[start..], body);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(body);
    out.resize(start + record_bytes(body.len()), 0);
    crc
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&header[..8]);
    let crc = crc32c::crc32c_append(crc, &header[12..HEADER_BYTES]);
    crc32c::crc32c_append(crc, body)
}

/// A record that is what its checksum says.
pub(crate) struct Intact<'a> {
    pub header: Header,
    pub crc: u32,
    pub body: &'a [u8],
}

/// Whether a record of this place may begin here: cheap, for searching.
pub(crate) fn looks_like_record(place: Place, bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_BYTES && bytes[..2] == MAGIC.to_le_bytes() && bytes[4..8] == place.salt.to_le_bytes()
}

/// The record at the beginning of `bytes`; what is wrong with it otherwise.
pub(crate) fn read_record(place: Place, bytes: &[u8]) -> Result<Intact<'_>, &'static str> {
    let head = bytes.get(..HEADER_BYTES).ok_or("a whole record header")?;
    let u32_at = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes of a full header"));
    let u64_at = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes of a full header"));
    if !looks_like_record(place, head) {
        return Err("a record of this segment");
    }
    if head[2] != VERSION {
        return Err("a record of version 1");
    }
    let kind = Kind::from_byte(head[3]).ok_or("a known kind of record")?;
    let body_bytes = u32_at(16);
    if body_bytes as usize > BODY_BYTES_MAX {
        return Err("a record of at most 1 GiB");
    }
    let body = bytes
        .get(HEADER_BYTES..HEADER_BYTES + body_bytes as usize)
        .ok_or("a record that ends inside its segment")?;
    let crc = checksum(head, body);
    if crc != u32_at(8) {
        return Err("a record with a right checksum");
    }
    if u32_at(20) != place.vnode.0 || u64_at(24) != TERM {
        return Err("a record of this vnode");
    }
    let header = Header {
        kind,
        previous_crc: u32_at(12),
        body_bytes,
        index: u64_at(32),
        durable_index: u64_at(40),
        transaction: u64_at(48),
    };
    Ok(Intact { header, crc, body })
}
