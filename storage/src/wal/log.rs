//! The log of one vnode: its segments in a row, the last of which takes records.
//!
//! Promises: what a finished `sync` covers comes back from the next `open`, in order. What it does not cover comes back up to
//! some record, never with a hole. A failed append leaves nothing behind. After a failed sync the log takes nothing more.
//!
//! Space is written with zeros ahead of the records and kept when a segment is used again, so that syncing a record has no new
//! blocks to make known: the sync costs one write of the disk instead of three.
//!
//! **Torn or damaged.** The end of the log is where no record follows. Is that a write that the power cut, or was there a record
//! that rotted? It rotted if something says it was on disk: a later segment, a data file made from it, or a later record whose
//! `durable_index` reaches it. Later records alone prove nothing: records written together may arrive in any order.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::body;
use super::record::{self, HEADER_BYTES, Header, Kind, Pending, Place, Record};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, VERSION, segment_number, segment_path};
use crate::io::{Io, IoFile};
use crate::{StorageError, VnodeId};

/// Zeros are written ahead in steps of this: 25,000 rows of ten metrics between two syncs that make new blocks known, and little
/// waste for a vnode that is hardly written to.
const AHEAD_BYTES: u64 = 1 << 20;

/// A new segment begins with this much, so that a thousand idle vnodes take 64 MB.
const AHEAD_BYTES_FIRST: u64 = 64 << 10;

/// Room kept behind every append for the outcomes of transactions that are prepared: they must never fail for want of space.
/// An outcome takes 72 bytes, and a byte or two more for each participant; this is for 800 transactions at once.
const RESERVE_BYTES: u64 = 64 << 10;

/// The buffer for a group is kept for the next one up to this size; larger groups are rare.
const BUFFER_BYTES_KEPT: usize = 8 << 20;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A segment that takes no more records.
struct Sealed {
    number: u64,
    last_index: u64,
    file_bytes: u64,
}

/// The segment that takes records.
struct Active {
    file: Box<dyn IoFile>,
    path: PathBuf,
    header: SegmentHeader,
    /// Where the next record goes.
    end: u64,
    /// Up to here the file has been written to.
    written: u64,
}

impl Active {
    /// A segment that was there already; its records end at `end`.
    fn continued(segment: Segment, end: usize) -> Active {
        Active {
            written: segment.file_bytes(),
            end: end as u64,
            path: segment.path,
            header: segment.header,
            file: segment.file,
        }
    }
}

/// The log of one vnode. Used by one thread.
pub struct Log {
    io: Arc<dyn Io>,
    directory: PathBuf,
    vnode: VnodeId,
    segment_bytes: u64,
    sealed: VecDeque<Sealed>,
    active: Active,
    last_index: u64,
    last_crc: u32,
    durable_index: u64,
    /// The newest records may be on disk, but nothing after them says so: if they rotted, they would pass for a torn write.
    unproven: bool,
    poisoned: bool,
    buffer: Vec<u8>,
}

impl Log {
    /// Opens the log in `directory`, made if missing, and hands every record to `replay` in order.
    ///
    /// `flushed_index`: everything up to here is in data files, so these records were on disk, and may be gone by now.
    pub fn open(
        io: Arc<dyn Io>,
        directory: PathBuf,
        vnode: VnodeId,
        segment_bytes: u64,
        flushed_index: u64,
        replay: &mut dyn FnMut(Record),
    ) -> Result<Log, StorageError> {
        if !io.exists(&directory) {
            io.create_dir_all(&directory).map_err(StorageError::io(&directory))?;
            let parent = directory.parent().unwrap_or(Path::new("."));
            io.sync_dir(parent).map_err(StorageError::io(parent))?;
        }
        let numbers = tidy(&*io, &directory)?;
        let mut log = match numbers.split_last() {
            None => Log::begin(io, directory, vnode, segment_bytes, flushed_index)?,
            Some((last, sealed)) => {
                let mut chain = Chain::before_all(flushed_index);
                let mut sealed_segments = VecDeque::new();
                for number in sealed {
                    let segment = chain.follow(&*io, &directory, vnode, *number)?;
                    chain = replay_segment(&segment, flushed_index, false, replay)?;
                    let (number, last_index) = (*number, chain.last_index);
                    sealed_segments.push_back(Sealed {
                        number,
                        last_index,
                        file_bytes: segment.file_bytes(),
                    });
                }
                let segment = chain.follow(&*io, &directory, vnode, *last)?;
                chain = replay_segment(&segment, flushed_index, true, replay)?;
                erase_claims(&segment, chain.end)?;
                Log {
                    io,
                    directory,
                    vnode,
                    segment_bytes,
                    sealed: sealed_segments,
                    active: Active::continued(segment, chain.end),
                    last_index: chain.last_index,
                    last_crc: chain.crc,
                    durable_index: 0, // nothing is certain before the sync below
                    unproven: chain.unproven,
                    poisoned: false,
                    buffer: Vec::new(),
                }
            }
        };
        // After kill -9 the end of the log may be only with the kernel; from here on it is part of history.
        log.active
            .file
            .sync_data()
            .map_err(StorageError::io(&log.active.path))?;
        log.durable_index = log.last_index;
        Ok(log)
    }

    fn begin(
        io: Arc<dyn Io>,
        directory: PathBuf,
        vnode: VnodeId,
        segment_bytes: u64,
        flushed_index: u64,
    ) -> Result<Log, StorageError> {
        let header = SegmentHeader {
            version: VERSION,
            place: Place {
                vnode,
                salt: new_salt(),
            },
            number: 1,
            first_index: flushed_index + 1,
            previous_crc: 0,
        };
        let active = make_segment(&*io, &directory, header).map_err(|failure| failure.error)?;
        Ok(Log {
            io,
            directory,
            vnode,
            segment_bytes,
            sealed: VecDeque::new(),
            active,
            last_index: flushed_index,
            last_crc: 0,
            durable_index: flushed_index,
            unproven: false,
            poisoned: false,
            buffer: Vec::new(),
        })
    }

    /// Index of the newest record.
    pub fn last_index(&self) -> u64 {
        self.last_index
    }

    /// Everything up to here survives a power loss.
    pub fn durable_index(&self) -> u64 {
        self.durable_index
    }

    /// Whether something was appended that no sync covers.
    pub fn is_dirty(&self) -> bool {
        self.durable_index < self.last_index
    }

    /// Whether the newest records are on disk without anything saying so: time for a watermark.
    pub fn wants_watermark(&self) -> bool {
        !self.is_dirty() && self.unproven
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.sealed.iter().map(|sealed| sealed.file_bytes).sum::<u64>() + self.active.written
    }

    /// Appends all or none. They come under the indexes that follow the last one; they are with the kernel, not yet on disk.
    pub fn append(&mut self, pending: &[Pending]) -> Result<(), StorageError> {
        self.refuse_if_poisoned()?;
        let bytes: usize = pending
            .iter()
            .map(|pending| record::record_bytes(pending.body.len()))
            .sum();
        let has_records = self.active.end > SEGMENT_HEADER_BYTES as u64;
        let is_old = self.active.header.version < VERSION;
        if has_records && (is_old || self.active.end + bytes as u64 > self.segment_bytes) {
            self.roll()?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let crc = self.write_records(pending, &mut buffer);
        let appended = self.write_out(&buffer);
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.buffer = buffer;
        appended?;
        self.active.end += bytes as u64;
        self.last_index += pending.len() as u64;
        self.last_crc = crc;
        self.unproven = pending.iter().any(|pending| pending.kind != Kind::Watermark);
        Ok(())
    }

    fn write_records(&self, pending: &[Pending], buffer: &mut Vec<u8>) -> u32 {
        let mut crc = self.last_crc;
        for (index, pending) in (self.last_index + 1..).zip(pending) {
            let header = Header {
                kind: pending.kind,
                previous_crc: crc,
                body_bytes: u32::try_from(pending.body.len()).expect("encoding refuses bodies over 1 GiB"),
                index,
                durable_index: self.durable_index,
                transaction: pending.transaction,
            };
            crc = record::write_record(self.active.header.place, &header, &pending.body, buffer);
        }
        crc
    }

    fn write_out(&mut self, buffer: &[u8]) -> Result<(), StorageError> {
        let needed = self.active.end + buffer.len() as u64 + RESERVE_BYTES;
        let step = AHEAD_BYTES.min(self.segment_bytes).max(AHEAD_BYTES_FIRST);
        if let Err(source) = write_zeros_to(&mut self.active, needed, step) {
            return Err(self.write_error(source, buffer.len()));
        }
        let Err(source) = self.active.file.write_all_at(buffer, self.active.end) else {
            return Ok(());
        };
        // Whole records may be among what was written. None may come back after the caller is told that it failed.
        let end = self.active.end;
        let erased = (0..buffer.len())
            .step_by(record::ALIGNMENT)
            .filter(|at| record::looks_like_record(self.active.header.place, &buffer[*at..]))
            .try_for_each(|at| self.active.file.write_all_at(&ZEROS[..HEADER_BYTES], end + at as u64))
            .and_then(|()| self.active.file.sync_data());
        if let Err(error) = erased {
            tracing::error!(vnode = self.vnode.0, %error, "cannot take back a failed write to the log");
            self.poisoned = true;
            return Err(StorageError::Poisoned { vnode: self.vnode });
        }
        Err(self.write_error(source, buffer.len()))
    }

    fn write_error(&self, source: io::Error, needed: usize) -> StorageError {
        full_or_io(&*self.io, &self.active.path, source, needed as u64)
    }

    /// Makes everything appended survive a power loss. An error is final: the log is poisoned.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.refuse_if_poisoned()?;
        if self.is_dirty() {
            if let Err(error) = self.active.file.sync_data() {
                return Err(self.poison(&error));
            }
            self.durable_index = self.last_index;
        }
        Ok(())
    }

    /// Syncs, and begins a new segment, so that the ones before can go when their records are in data files. Nothing happens while the
    /// active segment is empty.
    pub fn roll(&mut self) -> Result<(), StorageError> {
        self.sync()?;
        if self.active.end == SEGMENT_HEADER_BYTES as u64 {
            return Ok(());
        }
        let header = SegmentHeader {
            version: VERSION,
            place: Place {
                vnode: self.vnode,
                salt: new_salt(),
            },
            number: self.active.header.number + 1,
            first_index: self.last_index + 1,
            previous_crc: self.last_crc,
        };
        match make_segment(&*self.io, &self.directory, header) {
            Ok(active) => {
                let sealed = std::mem::replace(&mut self.active, active);
                self.sealed.push_back(Sealed {
                    number: sealed.header.number,
                    last_index: self.last_index,
                    file_bytes: sealed.written,
                });
                self.unproven = false; // the new segment's header proves them
                Ok(())
            }
            Err(Failure { error, in_sync: false }) => Err(error),
            Err(Failure { error, in_sync: true }) => Err(self.poison(&error)),
        }
    }

    /// Forgets records up to `index` where whole segments of them can go. One is kept to be used again.
    pub fn purge_prefix(&mut self, index: u64) -> Result<(), StorageError> {
        self.refuse_if_poisoned()?;
        while let Some(sealed) = self.sealed.front() {
            if sealed.last_index > index {
                break;
            }
            let path = segment_path(&self.directory, sealed.number);
            let spare = spare_path(&self.directory);
            let gone = if !self.io.exists(&spare) && sealed.file_bytes <= self.segment_bytes.saturating_mul(2) {
                self.io.rename(&path, &spare)
            } else {
                self.io.remove_file(&path)
            };
            gone.map_err(StorageError::io(&path))?;
            self.sealed.pop_front();
            // One by one, so that no power cut leaves a gap; and before a spare gets a new header its old name must be gone for good.
            if let Err(error) = self.io.sync_dir(&self.directory) {
                return Err(self.poison(&error));
            }
        }
        Ok(())
    }

    /// Forgets every record after `index`. They must not have been acknowledged.
    pub fn truncate_suffix(&mut self, index: u64) -> Result<(), StorageError> {
        self.refuse_if_poisoned()?;
        if index >= self.last_index {
            return Ok(());
        }
        while index + 1 < self.active.header.first_index {
            let Some(sealed) = self.sealed.back() else {
                return Err(StorageError::Refused(format!(
                    "log record {index} is no longer there to cut after"
                )));
            };
            let segment = Segment::open(&*self.io, &self.directory, self.vnode, sealed.number)?;
            self.io
                .remove_file(&self.active.path)
                .map_err(StorageError::io(&self.active.path))?;
            if let Err(error) = self.io.sync_dir(&self.directory) {
                return Err(self.poison(&error));
            }
            self.sealed.pop_back();
            let end = segment.walk().offset; // the true one is found below
            self.active = Active::continued(segment, end);
        }
        let segment = Segment::open(&*self.io, &self.directory, self.vnode, self.active.header.number)?;
        let mut walk = segment.walk();
        while walk.next_index <= index {
            walk.next().map_err(|expected| segment.corrupt(walk.offset, expected))?;
        }
        let (end, crc) = (walk.offset, walk.crc);
        erase_claims(&segment, end)?;
        if let Err(error) = segment.file.sync_data() {
            return Err(self.poison(&error));
        }
        self.active.end = end as u64;
        self.last_index = index;
        self.last_crc = crc;
        self.durable_index = index;
        self.unproven = true;
        Ok(())
    }

    /// The records with these indexes, as far as they are still there.
    pub fn read(&self, indexes: RangeInclusive<u64>) -> Result<Vec<Record>, StorageError> {
        let mut records = Vec::new();
        let sealed = self.sealed.iter().map(|sealed| (sealed.number, sealed.last_index));
        for (number, last_index) in sealed.chain([(self.active.header.number, self.last_index)]) {
            if last_index < *indexes.start() {
                continue;
            }
            let segment = Segment::open(&*self.io, &self.directory, self.vnode, number)?;
            if segment.header.first_index > *indexes.end() {
                break;
            }
            let mut walk = segment.walk();
            while walk.next_index <= last_index.min(*indexes.end()) {
                let offset = walk.offset;
                let record = walk.next().map_err(|expected| segment.corrupt(offset, expected))?;
                if indexes.contains(&record.header.index) {
                    records.push(decode(&record).map_err(|expected| segment.corrupt(offset, expected))?);
                }
            }
        }
        Ok(records)
    }

    /// Takes nothing more, because of something that must not be left out and cannot be written.
    pub fn give_up(&mut self, error: &StorageError) {
        self.poison(error);
    }

    /// Whether the log takes nothing more.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    fn refuse_if_poisoned(&self) -> Result<(), StorageError> {
        if self.poisoned {
            Err(StorageError::Poisoned { vnode: self.vnode })
        } else {
            Ok(())
        }
    }

    fn poison(&mut self, error: &dyn std::fmt::Display) -> StorageError {
        tracing::error!(vnode = self.vnode.0, %error, "the log cannot be written; the vnode takes no more writes");
        self.poisoned = true;
        StorageError::Poisoned { vnode: self.vnode }
    }
}

/// What the disk says when it has no room, as the error that tells to wait.
pub(crate) fn full_or_io(io: &dyn Io, file: &Path, source: io::Error, needed_bytes: u64) -> StorageError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let free_bytes = file
                .parent()
                .and_then(|directory| io.free_bytes(directory).ok())
                .unwrap_or(0);
            StorageError::Full {
                needed_bytes,
                free_bytes,
            }
        }
        _ => StorageError::Io {
            file: file.to_path_buf(),
            source,
        },
    }
}

/// Where a segment waits to be used again.
fn spare_path(directory: &Path) -> PathBuf {
    directory.join("spare")
}

/// Removes what an interrupted roll left, and returns the numbers of the segments, ascending.
fn tidy(io: &dyn Io, directory: &Path) -> Result<Vec<u64>, StorageError> {
    let mut numbers = Vec::new();
    for path in io.read_dir(directory).map_err(StorageError::io(directory))? {
        match segment_number(&path) {
            Some(number) => numbers.push(number),
            None => io.remove_file(&path).map_err(StorageError::io(&path))?,
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The log up to the end of a segment, as the next one has to continue it.
struct Chain {
    /// The segment; `None` before the first.
    segment: Option<(u64, PathBuf)>,
    end: usize,
    last_index: u64,
    crc: u32,
    unproven: bool,
}

impl Chain {
    /// Before the first segment, which begins no later than where the data files end.
    fn before_all(flushed_index: u64) -> Chain {
        Chain {
            segment: None,
            end: 0,
            last_index: flushed_index,
            crc: 0,
            unproven: false,
        }
    }

    /// Opens the next segment and checks that it is the next one.
    fn follow(&self, io: &dyn Io, directory: &Path, vnode: VnodeId, number: u64) -> Result<Segment, StorageError> {
        let segment = Segment::open(io, directory, vnode, number)?;
        let first_index = segment.header.first_index;
        match &self.segment {
            None if first_index > self.last_index + 1 => {
                Err(segment.corrupt(0, "a first segment that reaches back to the data files"))
            }
            None => Ok(segment),
            Some((before, path)) if number == before + 1 && first_index > self.last_index + 1 => {
                Err(StorageError::Corrupt {
                    file: path.clone(),
                    offset: self.end as u64,
                    expected: "records up to the beginning of the next segment",
                })
            }
            Some((before, _))
                if number != before + 1
                    || first_index != self.last_index + 1
                    || segment.header.previous_crc != self.crc =>
            {
                Err(segment.corrupt(0, "the segment that follows the one before it"))
            }
            Some(_) => Ok(segment),
        }
    }
}

fn replay_segment(
    segment: &Segment,
    flushed_index: u64,
    is_last: bool,
    replay: &mut dyn FnMut(Record),
) -> Result<Chain, StorageError> {
    let mut walk = segment.walk();
    let mut known_durable = flushed_index.max(segment.header.first_index - 1);
    let mut unproven = false;
    let broken = loop {
        let offset = walk.offset;
        match walk.next() {
            Ok(record) => {
                known_durable = known_durable.max(record.header.durable_index);
                unproven = record.header.kind != Kind::Watermark;
                replay(decode(&record).map_err(|expected| segment.corrupt(offset, expected))?);
            }
            Err(expected) => break expected,
        }
    };
    // A record missing at the end of a sealed segment is noticed here if anything of it is left, else by `Chain::follow`.
    let was_on_disk = if is_last {
        walk.next_index <= known_durable || segment.proof_of(walk.next_index, walk.offset).is_some()
    } else {
        segment.claims(walk.offset).next().is_some()
    };
    if was_on_disk {
        return Err(segment.corrupt(walk.offset, broken));
    }
    Ok(Chain {
        segment: Some((segment.header.number, segment.path.clone())),
        end: walk.offset,
        last_index: walk.next_index - 1,
        crc: walk.crc,
        unproven,
    })
}

fn decode(record: &record::Intact<'_>) -> Result<Record, &'static str> {
    Ok(Record {
        index: record.header.index,
        transaction: record.header.transaction,
        entry: body::decode(record.header.kind, record.body)?,
    })
}

/// Makes sure that nothing from `end` on is ever taken for a record.
fn erase_claims(segment: &Segment, end: usize) -> Result<(), StorageError> {
    for at in segment.claims(end) {
        segment
            .file
            .write_all_at(&ZEROS[..HEADER_BYTES], at as u64)
            .map_err(StorageError::io(&segment.path))?;
    }
    Ok(())
}

/// A number that nobody outside knows, so that nobody can forge a record.
fn new_salt() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

struct Failure {
    error: StorageError,
    in_sync: bool,
}

/// Makes a segment, from the spare one if there is one. It gets its name when its header is on disk.
fn make_segment(io: &dyn Io, directory: &Path, header: SegmentHeader) -> Result<Active, Failure> {
    let path = segment_path(directory, header.number);
    let spare = spare_path(directory);
    let plain = |source| Failure {
        error: full_or_io(io, &path, source, AHEAD_BYTES_FIRST),
        in_sync: false,
    };
    let in_sync = |source| Failure {
        error: StorageError::Io {
            file: path.clone(),
            source,
        },
        in_sync: true,
    };
    let file = io.create(&spare).map_err(plain)?;
    let written = file.len().map_err(plain)?;
    let mut active = Active {
        file,
        path: path.clone(),
        header,
        end: SEGMENT_HEADER_BYTES as u64,
        written,
    };
    write_zeros_to(&mut active, AHEAD_BYTES_FIRST, AHEAD_BYTES_FIRST).map_err(plain)?;
    active.file.write_all_at(&header.encode(), 0).map_err(plain)?;
    active.file.sync_data().map_err(in_sync)?;
    io.rename(&spare, &path).map_err(plain)?;
    io.sync_dir(directory).map_err(in_sync)?;
    Ok(active)
}

/// Writes zeros where nothing was written yet, up to `needed` and on to the next whole step.
fn write_zeros_to(active: &mut Active, needed: u64, step: u64) -> io::Result<()> {
    if needed <= active.written {
        return Ok(());
    }
    let target = needed.next_multiple_of(step);
    while active.written < target {
        let bytes = (target - active.written).min(ZEROS.len() as u64);
        active.file.write_all_at(&ZEROS[..bytes as usize], active.written)?;
        active.written += bytes;
    }
    Ok(())
}
