//! Header, footer and checksums: what frames the contents of a data file.
//!
//! ```text
//! header: magic "TAOSDATA" | version: u16 | 0: u16 | vnode: u32 | number: u64 | checksum: u32
//! footer: version: u16 | 0: u16 | vnode: u32 | number: u64 | blocks: u64 | rows: u64 | statistics offset: u64
//!         | index offset: u64 | index bytes: u64 | checksum: u32 | magic "TAOSDEND"
//! ```
//!
//! Integers are little-endian.

use super::DataFileId;
use crate::codec::cursor::{Cursor, Decoded};

/// The format that this code writes and the only one it reads.
pub(super) const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"TAOSDATA";
const END_MAGIC: &[u8; 8] = b"TAOSDEND";

pub(super) const HEADER_BYTES: u64 = 28;
pub(super) const FOOTER_BYTES: u64 = 68;

/// What a checksum is of. Columns of a block have their id as number, so that the other parts begin above the largest.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Column(u16),
    Header,
    Front,
    Statistics,
    Index,
    Footer,
}

impl Part {
    fn number(self) -> u32 {
        match self {
            Part::Column(id) => u32::from(id),
            Part::Header => 0x1_0000,
            Part::Front => 0x1_0001,
            Part::Statistics => 0x1_0002,
            Part::Index => 0x1_0003,
            Part::Footer => 0x1_0004,
        }
    }
}

/// CRC-32C of version, vnode, file number, offset, part and the bytes. `offset` is that of the block, page, index or footer.
pub(super) fn checksum(id: DataFileId, offset: u64, part: Part, bytes: &[u8]) -> u32 {
    let mut place = [0u8; 26];
    place[..2].copy_from_slice(&VERSION.to_le_bytes());
    place[2..6].copy_from_slice(&id.vnode.0.to_le_bytes());
    place[6..14].copy_from_slice(&id.number.to_le_bytes());
    place[14..22].copy_from_slice(&offset.to_le_bytes());
    place[22..].copy_from_slice(&part.number().to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// `bytes` without the checksum at their end, if it is right.
pub(super) fn checked(id: DataFileId, offset: u64, part: Part, bytes: &[u8]) -> Option<&[u8]> {
    let (body, stored) = bytes.split_last_chunk::<4>()?;
    (checksum(id, offset, part, body) == u32::from_le_bytes(*stored)).then_some(body)
}

/// Appends the checksum of what was appended since `start`.
pub(super) fn seal(id: DataFileId, offset: u64, part: Part, start: usize, out: &mut Vec<u8>) {
    let checksum = checksum(id, offset, part, &out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

fn put_identity(id: DataFileId, out: &mut Vec<u8>) {
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&id.vnode.0.to_le_bytes());
    out.extend_from_slice(&id.number.to_le_bytes());
}

fn check_identity(id: DataFileId, cursor: &mut Cursor<'_>) -> Decoded<()> {
    let mut identity = Vec::with_capacity(16);
    put_identity(id, &mut identity);
    let found = cursor.take(identity.len())?;
    if found[..2] != identity[..2] {
        return Err("a data file of format version 1");
    }
    if found != identity {
        return Err("the vnode and number of this data file");
    }
    Ok(())
}

pub(super) fn put_header(id: DataFileId, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    put_identity(id, out);
    seal(id, 0, Part::Header, start, out);
}

/// What is wrong with a header, if anything.
pub(super) fn check_header(id: DataFileId, bytes: &[u8]) -> Decoded<()> {
    let mut cursor = Cursor::new(bytes);
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err("a data file");
    }
    check_identity(id, &mut cursor)?;
    checked(id, 0, Part::Header, bytes).ok_or("the checksum of the header")?;
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub blocks: u64,
    pub rows: u64,
    pub statistics_offset: u64,
    pub index_offset: u64,
    pub index_bytes: u64,
}

pub(super) fn put_footer(id: DataFileId, footer: &Footer, out: &mut Vec<u8>) {
    let start = out.len();
    put_identity(id, out);
    for number in [
        footer.blocks,
        footer.rows,
        footer.statistics_offset,
        footer.index_offset,
        footer.index_bytes,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    seal(id, footer.index_offset + footer.index_bytes, Part::Footer, start, out);
    out.extend_from_slice(END_MAGIC);
}

/// Reads the footer of a file of `file_bytes`, and checks that what it describes fills the file.
pub(super) fn take_footer(id: DataFileId, bytes: &[u8], file_bytes: u64) -> Decoded<Footer> {
    let sealed = bytes
        .strip_suffix(END_MAGIC)
        .ok_or("the end of a data file, which is written last")?;
    let mut cursor = Cursor::new(sealed);
    check_identity(id, &mut cursor)?;
    let footer = Footer {
        blocks: cursor.u64()?,
        rows: cursor.u64()?,
        statistics_offset: cursor.u64()?,
        index_offset: cursor.u64()?,
        index_bytes: cursor.u64()?,
    };
    let offset = file_bytes - bytes.len() as u64;
    checked(id, offset, Part::Footer, sealed).ok_or("the checksum of the footer")?;
    let fills = HEADER_BYTES <= footer.statistics_offset
        && footer.statistics_offset <= footer.index_offset
        && footer.index_offset.checked_add(footer.index_bytes) == Some(offset);
    if !fills {
        return Err("a footer whose parts fill the file");
    }
    Ok(footer)
}
