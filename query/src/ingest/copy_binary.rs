//! COPY's binary format: a header, rows of counted fields in the binary form of their column's type, a trailer of -1.

use super::assign::to_time;
use super::copy_rows::{CopyRows, RowSource};
use super::datum::Datum;
use super::names::Names;
use super::target::Field;
use crate::{ErrorKind, Format, QueryError};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of the header's extension.
const HEADER_BYTES: usize = 19;
/// Bits from here on are not to be ignored by readers that do not know them; of them only 16 was ever used, for OIDs.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// A longer row is not data.
const ROW_BYTES_MAX: usize = 256 << 20;

pub struct BinaryReader {
    state: State,
    carry: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Header,
    /// Bytes of the header's extension still to come.
    Extension(usize),
    Rows,
    Ended,
}

/// Where a field's value is, or NULL.
type Span = Option<(usize, usize)>;

struct Row<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl Row<'_> {
    fn value(&self, field: usize) -> Option<&[u8]> {
        let (start, end) = (*self.spans.get(field)?)?;
        self.bytes.get(start..end)
    }
}

impl RowSource for Row<'_> {
    #[inline]
    fn raw(&self, field: usize) -> &[u8] {
        // With the length before it, so that NULL, whose length is -1, differs from every value.
        match self.spans.get(field) {
            Some(Some((start, end))) => self.bytes.get(start - 4..*end).unwrap_or_default(),
            _ => b"\xff\xff\xff\xff",
        }
    }

    fn datum<'s>(&'s self, field: usize, type_oid: u32, _: &'s mut Vec<u8>) -> Result<Datum<'s>, Box<QueryError>> {
        match self.value(field) {
            None => Ok(Datum::Null),
            Some(value) => decode(type_oid, value),
        }
    }
}

fn decode(type_oid: u32, value: &[u8]) -> Result<Datum<'_>, Box<QueryError>> {
    Datum::decode(type_oid, Format::Binary, value).ok_or_else(|| {
        Box::new(QueryError::new(
            ErrorKind::InvalidBinaryRepresentation,
            "incorrect binary data format",
        ))
    })
}

/// What is at the start of some bytes.
enum Next {
    /// Not all of it is there yet.
    Incomplete,
    Row(usize),
    Trailer,
}

impl BinaryReader {
    pub fn new(fields: usize) -> BinaryReader {
        BinaryReader {
            state: State::Header,
            carry: Vec::new(),
            spans: vec![None; fields],
        }
    }

    pub fn feed(&mut self, rows: &mut CopyRows, names: &mut dyn Names, bytes: &[u8]) -> Result<(), QueryError> {
        if self.carry.is_empty() {
            let read = self.read(rows, names, bytes)?;
            self.carry.extend_from_slice(&bytes[read..]);
        } else {
            let mut carried = std::mem::take(&mut self.carry);
            carried.extend_from_slice(bytes);
            let read = self.read(rows, names, &carried)?;
            carried.drain(..read);
            self.carry = carried;
        }
        if self.carry.len() > ROW_BYTES_MAX {
            return Err(rows.malformed(
                format!("a row of COPY data is longer than {} MiB", ROW_BYTES_MAX >> 20),
                None,
            ));
        }
        Ok(())
    }

    pub fn finish(&mut self, rows: &mut CopyRows) -> Result<(), QueryError> {
        if self.state == State::Header {
            return Err(rows.malformed("COPY file signature not recognized", None));
        }
        if !self.carry.is_empty() || matches!(self.state, State::Extension(1..)) {
            return Err(rows.malformed("unexpected EOF in COPY data", None));
        }
        Ok(())
    }

    /// Reads as far as whole parts go: how many bytes.
    fn read(&mut self, rows: &mut CopyRows, names: &mut dyn Names, bytes: &[u8]) -> Result<usize, QueryError> {
        let mut at = 0;
        if self.state == State::Header {
            if bytes.len() < HEADER_BYTES {
                return Ok(0);
            }
            self.state = State::Extension(header(rows, bytes)?);
            at = HEADER_BYTES;
        }
        if let State::Extension(length) = self.state {
            let skipped = length.min(bytes.len() - at);
            at += skipped;
            self.state = if skipped < length {
                State::Extension(length - skipped)
            } else {
                State::Rows
            };
        }
        while self.state == State::Rows {
            rows.line += 1;
            match self.next(rows, &bytes[at..])? {
                Next::Incomplete => {
                    rows.line -= 1;
                    return Ok(at);
                }
                Next::Trailer => {
                    self.state = State::Ended;
                    at += 2;
                }
                Next::Row(length) => {
                    self.row(rows, names, &bytes[at..at + length])?;
                    at += length;
                }
            }
        }
        if self.state == State::Ended && at < bytes.len() {
            return Err(rows.malformed("received copy data after EOF marker", None));
        }
        Ok(at)
    }

    /// Finds the fields of the row at the start of `bytes`.
    #[inline]
    fn next(&mut self, rows: &CopyRows, bytes: &[u8]) -> Result<Next, QueryError> {
        let Some((count, _)) = bytes.split_first_chunk::<2>() else {
            return Ok(Next::Incomplete);
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            return Ok(Next::Trailer);
        }
        if usize::try_from(count) != Ok(self.spans.len()) {
            let message = format!("row field count is {count}, expected {}", self.spans.len());
            return Err(rows.malformed(message, None));
        }
        let mut at = 2;
        for span in &mut self.spans {
            let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
                return Ok(Next::Incomplete);
            };
            at += 4;
            match i32::from_be_bytes(*length) {
                -1 => *span = None,
                length => match usize::try_from(length) {
                    Ok(length) if length <= ROW_BYTES_MAX => {
                        *span = Some((at, at + length));
                        at += length;
                    }
                    _ => return Err(rows.malformed("invalid field size", None)),
                },
            }
        }
        if at > bytes.len() {
            return Ok(Next::Incomplete);
        }
        Ok(Next::Row(at))
    }

    fn row(&mut self, rows: &mut CopyRows, names: &mut dyn Names, bytes: &[u8]) -> Result<(), QueryError> {
        let row = Row {
            bytes,
            spans: &self.spans,
        };
        let mut time = None;
        for index in 0..self.spans.len() {
            let (field, type_oid) = (rows.fields[index], rows.type_oids[index]);
            match field {
                Field::TableName => {
                    rows.begin_row(names, &row, index);
                    continue;
                }
                Field::Tag(_) => continue,
                Field::Time | Field::Metric(_) => {}
            }
            let Some(value) = row.value(index) else {
                if rows.not_null[index] {
                    return Err(rows.refused_null(index));
                }
                if let Field::Metric(metric) = field {
                    rows.columns().0[metric].push_null();
                }
                continue;
            };
            let datum = decode(type_oid, value).map_err(|error| rows.in_column(*error, field, None))?;
            let zoned = rows.zoned_time;
            let (columns, times) = rows.columns();
            let pushed = match field {
                Field::Metric(metric) => columns[metric].push(datum, times),
                _ => to_time(datum, zoned, times).map(|value| time = Some(value)),
            };
            if let Err(error) = pushed {
                return Err(rows.refused(error, index, &[]));
            }
        }
        rows.end_row(names, &row, time)
    }
}

/// Checks the header: the length of its extension.
fn header(rows: &CopyRows, bytes: &[u8]) -> Result<usize, QueryError> {
    let word = |at: usize| -> u32 {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
        word.map_or(u32::MAX, |word| u32::from_be_bytes(*word))
    };
    if !bytes.starts_with(SIGNATURE) {
        return Err(rows.malformed("COPY file signature not recognized", None));
    }
    if word(11) & CRITICAL_FLAGS != 0 {
        return Err(rows.malformed("unrecognized critical flags in COPY file header", None));
    }
    match usize::try_from(word(15)) {
        Ok(length) if length <= ROW_BYTES_MAX => Ok(length),
        _ => Err(rows.malformed("invalid COPY file header (wrong length)", None)),
    }
}
