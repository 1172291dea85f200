//! COPY's text and csv formats: lines to columns, each byte looked at once where it can be.
//!
//! Numbers and times are read in place and end at the delimiter, without a search for it first. What that does not take (NULL, quotes,
//! escapes, other spellings) goes the slower way: find the field's end, unescape it, and let the column's type read it.
//!
//! A line may begin and end anywhere in the pieces that `feed` gets: whole lines are read where they are, the rest is carried over.

use super::column::ColumnBuilder;
use super::copy_rows::{CopyRows, RowSource};
use super::datum::{Datum, ValueError};
use super::names::Names;
use super::number::{scan_decimal, scan_integer};
use super::target::Field;
use super::time::TimeReader;
use crate::{CopyFormat, ErrorKind, QueryError};

/// A longer line is not data.
const LINE_BYTES_MAX: usize = 256 << 20;

/// How fields are written.
#[derive(Clone, Debug)]
pub struct Dialect {
    pub delimiter: u8,
    pub null: Vec<u8>,
    /// `None`: text format, with backslashes.
    pub csv: Option<CsvDialect>,
    /// Numbers may be read in place: the delimiter cannot be part of one, and NULL does not look like one.
    in_place: bool,
}

#[derive(Clone, Debug)]
pub struct CsvDialect {
    pub quote: u8,
    pub escape: u8,
    /// Fields (by number) where a quoted null string is NULL too.
    pub force_null: Vec<usize>,
    /// Fields where an unquoted null string is not NULL.
    pub force_not_null: Vec<usize>,
}

pub struct LineReader {
    dialect: Dialect,
    /// Lines to skip at the start: the header.
    skip: usize,
    carry: Vec<u8>,
    carry_state: LineState,
    /// `\.` has come.
    ended: bool,
    spans: Vec<(usize, usize)>,
}

/// How far a line has been read.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    fields: usize,
    bytes: usize,
    time: Option<i64>,
}

/// Between two bytes of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct LineState {
    /// Inside csv quotes.
    quoted: bool,
    /// After an escape character, so that the next byte means itself.
    escaped: bool,
}

impl Dialect {
    /// `None` for binary.
    pub fn new(format: &CopyFormat) -> Option<Dialect> {
        let (delimiter, null, csv) = match format {
            CopyFormat::Text { delimiter, null, .. } => (*delimiter, null, None),
            CopyFormat::Csv {
                delimiter,
                quote,
                escape,
                null,
                ..
            } => {
                let csv = CsvDialect {
                    quote: *quote,
                    escape: *escape,
                    force_null: Vec::new(),
                    force_not_null: Vec::new(),
                };
                (*delimiter, null, Some(csv))
            }
            CopyFormat::Binary => return None,
        };
        let in_number = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.: /".contains(&byte);
        Some(Dialect {
            delimiter,
            null: null.as_bytes().to_vec(),
            in_place: !in_number(delimiter) && !null.bytes().next().is_some_and(in_number),
            csv,
        })
    }

    /// Where the field that begins at `start` ends: at a delimiter or the line's end. The line is complete.
    #[inline]
    fn field_end(&self, line: &[u8], start: usize) -> usize {
        match &self.csv {
            None => self.text_field_end(line, start),
            Some(csv) => self.csv_field_end(csv, line, start),
        }
    }

    fn text_field_end(&self, line: &[u8], start: usize) -> usize {
        let mut at = start;
        // Eight bytes at a time up to where the end, or a backslash, must be.
        while let Some(word) = line.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let found = first_of(word, self.delimiter)
                .min(first_of(word, b'\n'))
                .min(first_of(word, b'\\'));
            at += found;
            if found < 8 {
                break;
            }
        }
        while let Some(byte) = line.get(at) {
            if *byte == self.delimiter || *byte == b'\n' {
                break;
            }
            at += if *byte == b'\\' { 2 } else { 1 };
        }
        at.min(line.len())
    }

    fn csv_field_end(&self, csv: &CsvDialect, line: &[u8], start: usize) -> usize {
        let mut at = start;
        let mut state = LineState::default();
        while let Some(byte) = line.get(at) {
            if !state.quoted && (*byte == self.delimiter || *byte == b'\n') {
                break;
            }
            state.step(csv, *byte);
            at += 1;
        }
        at
    }

    /// A field's value: what stands between `start` and `end`, unescaped into `scratch` where it must be.
    fn value<'s>(&self, field: usize, raw: &'s [u8], scratch: &'s mut Vec<u8>) -> Result<Datum<'s>, Box<QueryError>> {
        match &self.csv {
            None => {
                if raw == self.null {
                    return Ok(Datum::Null);
                }
                if !raw.contains(&b'\\') {
                    return Ok(Datum::Text(raw));
                }
                unescape_text(raw, scratch);
            }
            Some(csv) => {
                if !raw.contains(&csv.quote) {
                    let is_null = raw == self.null && !csv.force_not_null.contains(&field);
                    return Ok(if is_null { Datum::Null } else { Datum::Text(raw) });
                }
                unquote(csv, raw, scratch);
                if *scratch == self.null && csv.force_null.contains(&field) {
                    return Ok(Datum::Null);
                }
            }
        }
        Ok(Datum::Text(scratch))
    }
}

/// Where the byte is first among the eight of a word, from the lowest; 8 where it is not.
#[inline(always)]
fn first_of(word: u64, byte: u8) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let different = word ^ (ONES * u64::from(byte));
    // The lowest byte that is zero is marked rightly, if any is; only those above it may be marked wrongly.
    let marks = different.wrapping_sub(ONES) & !different & (ONES * 0x80);
    marks.trailing_zeros() as usize / 8
}

impl LineState {
    #[inline]
    fn step(&mut self, csv: &CsvDialect, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if self.quoted && byte == csv.escape && csv.escape != csv.quote {
            self.escaped = true;
        } else if byte == csv.quote {
            // A doubled quote ends the quotes and begins them again.
            self.quoted = !self.quoted;
        }
    }
}

fn unescape_text(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((byte, tail)) = rest.split_first() else {
            out.push(b'\\'); // at the very end, PostgreSQL takes it as it is
            return;
        };
        rest = tail;
        match byte {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let (value, read) = digits(*byte, rest, 8, 2);
                out.push(value);
                rest = &rest[read..];
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                let (value, read) = digits(b'0', rest, 16, 2);
                out.push(value);
                rest = &rest[read..];
            }
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// The number that `first` and at most `more` further digits write, modulo 256; how many were read.
fn digits(first: u8, rest: &[u8], radix: u32, more: usize) -> (u8, usize) {
    let mut value = char::from(first).to_digit(radix).unwrap_or(0);
    let mut read = 0;
    while read < more
        && let Some(digit) = rest.get(read).and_then(|byte| char::from(*byte).to_digit(radix))
    {
        value = value * radix + digit;
        read += 1;
    }
    (value as u8, read)
}

fn unquote(csv: &CsvDialect, raw: &[u8], out: &mut Vec<u8>) {
    let mut quoted = false;
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if quoted
            && byte == csv.escape
            && bytes
                .peek()
                .is_some_and(|next| *next == csv.quote || *next == csv.escape)
        {
            out.extend(bytes.next());
        } else if byte == csv.quote {
            quoted = !quoted;
        } else {
            out.push(byte);
        }
    }
}

/// One line's fields.
struct Line<'a> {
    dialect: &'a Dialect,
    bytes: &'a [u8],
    spans: &'a [(usize, usize)],
}

impl RowSource for Line<'_> {
    #[inline]
    fn raw(&self, field: usize) -> &[u8] {
        let (start, end) = self.spans.get(field).copied().unwrap_or_default();
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn datum<'s>(&'s self, field: usize, _: u32, scratch: &'s mut Vec<u8>) -> Result<Datum<'s>, Box<QueryError>> {
        self.dialect.value(field, self.raw(field), scratch)
    }
}

impl LineReader {
    pub fn new(dialect: Dialect, header: bool, fields: usize) -> LineReader {
        LineReader {
            dialect,
            skip: usize::from(header),
            carry: Vec::new(),
            carry_state: LineState::default(),
            ended: false,
            spans: vec![(0, 0); fields],
        }
    }

    /// Takes a piece of the data.
    pub fn feed(&mut self, rows: &mut CopyRows, names: &mut dyn Names, bytes: &[u8]) -> Result<(), QueryError> {
        let mut bytes = bytes;
        if !self.carry.is_empty() && !self.ended {
            let mut state = self.carry_state;
            let end = self.line_end(&mut state, bytes);
            self.carry.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else {
                self.carry_state = state;
                return self.check_carry(rows);
            };
            let line = std::mem::take(&mut self.carry);
            self.read_lines(rows, names, &line)?;
            self.carry = line;
            self.carry.clear();
            bytes = &bytes[end..];
        }
        if self.ended {
            return Ok(());
        }
        let (complete, state) = self.complete(bytes);
        self.read_lines(rows, names, &bytes[..complete])?;
        self.carry.extend_from_slice(&bytes[complete..]);
        self.carry_state = state;
        self.check_carry(rows)
    }

    /// No more data comes: the last line may lack its newline.
    pub fn finish(&mut self, rows: &mut CopyRows, names: &mut dyn Names) -> Result<(), QueryError> {
        if self.ended || self.carry.is_empty() {
            return Ok(());
        }
        if self.carry_state.quoted {
            rows.line += 1;
            return Err(rows.malformed("unterminated CSV quoted field", Some(&self.carry)));
        }
        let mut line = std::mem::take(&mut self.carry);
        line.push(b'\n');
        self.read_lines(rows, names, &line)
    }

    fn check_carry(&self, rows: &mut CopyRows) -> Result<(), QueryError> {
        if self.carry.len() <= LINE_BYTES_MAX {
            return Ok(());
        }
        rows.line += 1;
        let message = format!("a line of COPY data is longer than {} MiB", LINE_BYTES_MAX >> 20);
        let hint = "A quote or newline may be missing.";
        Err(rows.in_row(QueryError::new(ErrorKind::ProgramLimitExceeded, message).with_hint(hint)))
    }

    /// The end of the line that goes on in `bytes`, its newline included; `state` is moved along.
    fn line_end(&self, state: &mut LineState, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' && !state.quoted && !state.escaped {
                *state = LineState::default();
                return Some(at + 1);
            }
            self.step(state, *byte);
        }
        None
    }

    #[inline]
    fn step(&self, state: &mut LineState, byte: u8) {
        match &self.dialect.csv {
            Some(csv) => state.step(csv, byte),
            None => state.escaped = byte == b'\\' && !state.escaped,
        }
    }

    /// How many bytes are whole lines, and the state after what follows them. `bytes` begins a line.
    fn complete(&self, bytes: &[u8]) -> (usize, LineState) {
        let plain = match &self.dialect.csv {
            Some(csv) => !bytes.contains(&csv.quote),
            None => true,
        };
        let mut complete = 0;
        if plain {
            let mut before = bytes.len();
            while let Some(newline) = bytes[..before].iter().rposition(|byte| *byte == b'\n') {
                let backslashes = bytes[..newline].iter().rev().take_while(|byte| **byte == b'\\').count();
                if self.dialect.csv.is_some() || backslashes % 2 == 0 {
                    complete = newline + 1;
                    break;
                }
                before = newline;
            }
        } else {
            let mut state = LineState::default();
            while let Some(length) = self.line_end(&mut state, &bytes[complete..]) {
                complete += length;
            }
            return (complete, state);
        }
        let mut state = LineState::default();
        for byte in &bytes[complete..] {
            self.step(&mut state, *byte);
        }
        (complete, state)
    }

    /// Reads whole lines.
    fn read_lines(&mut self, rows: &mut CopyRows, names: &mut dyn Names, lines: &[u8]) -> Result<(), QueryError> {
        let mut rest = lines;
        while !rest.is_empty() && !self.ended {
            rows.line += 1;
            if self.skip > 0 {
                self.skip -= 1;
                let end = self.line_end(&mut LineState::default(), rest).unwrap_or(rest.len());
                rest = &rest[end..];
                continue;
            }
            if let [b'\\', b'.', b'\n', ..] | [b'\\', b'.', b'\r', b'\n', ..] = rest {
                self.ended = true;
                return Ok(());
            }
            let end = self.read_line(rows, names, rest)?;
            if self.dialect.csv.is_some() && end > 1 {
                // Newlines inside quotes are lines to whoever looks for the error in an editor.
                let quoted = self.spans.last().map_or(0, |(_, last)| *last);
                if rest[..quoted].contains(&b'\n') {
                    rows.line += rest[..quoted].iter().filter(|byte| **byte == b'\n').count() as u64;
                }
            }
            rest = &rest[end..];
        }
        Ok(())
    }

    /// Reads fields of the line at the start of `bytes` as long as each has behind it what should be there, and is a number or time of the
    /// usual form where its column wants one: all of them, in most lines.
    #[inline]
    fn read_in_place(&mut self, rows: &mut CopyRows, names: &mut dyn Names, bytes: &[u8]) -> Read {
        let mut read = Read::default();
        if !self.dialect.in_place {
            return read;
        }
        let delimiter = self.dialect.delimiter;
        let zoned = rows.zoned_time;
        let count = self.spans.len();
        while read.fields < count {
            let end = if read.fields + 1 == count { b'\n' } else { delimiter };
            let field = rows.fields[read.fields];
            let length = match field {
                Field::TableName if let Some(length) = rows.expected_name(&bytes[read.bytes..], end) => {
                    self.spans[read.fields] = (read.bytes, read.bytes + length);
                    read.fields += 1;
                    read.bytes += length + 1;
                    continue;
                }
                // At the end of a line there may be a carriage return, which is not the text's.
                Field::TableName | Field::Tag(_) if end == delimiter => {
                    let length = self.dialect.field_end(bytes, read.bytes) - read.bytes;
                    (bytes.get(read.bytes + length) == Some(&end)).then_some(length)
                }
                Field::TableName | Field::Tag(_) => None,
                Field::Time => {
                    let scanned = rows.times.scan(&bytes[read.bytes..], zoned, |byte| byte == end);
                    let whole = scanned.filter(|(_, length)| bytes.get(read.bytes + length) == Some(&end));
                    whole.map(|(value, length)| {
                        read.time = Some(value);
                        length
                    })
                }
                Field::Metric(_) => {
                    let before = read.fields;
                    self.read_metrics(rows, bytes, &mut read);
                    if read.fields == before {
                        return read;
                    }
                    continue;
                }
            };
            let Some(length) = length else {
                return read;
            };
            self.spans[read.fields] = (read.bytes, read.bytes + length);
            if field == Field::TableName {
                let (dialect, spans) = (&self.dialect, &self.spans);
                rows.begin_row(names, &Line { dialect, bytes, spans }, read.fields);
            }
            read.fields += 1;
            read.bytes += length + 1;
        }
        read
    }

    /// The same for columns that follow each other: the loop in which a load spends most of its time.
    #[inline]
    fn read_metrics(&mut self, rows: &mut CopyRows, bytes: &[u8], read: &mut Read) {
        let delimiter = self.dialect.delimiter;
        let count = self.spans.len();
        let (fields, columns, times) = rows.fields_and_columns();
        let pairs = fields.iter().zip(&mut self.spans).skip(read.fields);
        for (field, span) in pairs {
            let Field::Metric(metric) = field else {
                return;
            };
            let end = if read.fields + 1 == count { b'\n' } else { delimiter };
            let Some(rest) = bytes.get(read.bytes..) else {
                return;
            };
            let Some(length) = scan(&mut columns[*metric], rest, |byte| byte == end, times) else {
                return;
            };
            *span = (read.bytes, read.bytes + length);
            read.fields += 1;
            read.bytes += length + 1;
        }
    }

    /// Reads the line at the start of `bytes`: how long it is with its newline.
    fn read_line(&mut self, rows: &mut CopyRows, names: &mut dyn Names, bytes: &[u8]) -> Result<usize, QueryError> {
        let Read {
            fields,
            bytes: mut at,
            mut time,
        } = self.read_in_place(rows, names, bytes);
        let dialect = &self.dialect;
        let delimiter = dialect.delimiter;
        let last = rows.fields.len() - 1;
        for index in fields..=last {
            let field = rows.fields[index];
            let rest = &bytes[at..];
            let end = match field {
                Field::Metric(metric) => {
                    let (columns, times) = rows.columns();
                    let column = &mut columns[metric];
                    let read = if dialect.in_place {
                        scan(column, rest, |byte| is_end(byte, delimiter), times)
                    } else {
                        None
                    };
                    match read {
                        Some(read) => at + read,
                        None => read_metric(dialect, rows, bytes, at, index, metric)?,
                    }
                }
                Field::Time => {
                    let zoned = rows.zoned_time;
                    let read = if dialect.in_place {
                        rows.times.scan(rest, zoned, |byte| is_end(byte, delimiter))
                    } else {
                        None
                    };
                    match read.filter(|(_, read)| rest.get(*read).is_some_and(|byte| is_end(*byte, delimiter))) {
                        Some((value, read)) => {
                            time = Some(value);
                            at + read
                        }
                        None => {
                            let end = field_end(dialect, bytes, at, index == last);
                            time = read_time(dialect, rows, &bytes[at..end], index)?;
                            end
                        }
                    }
                }
                Field::TableName => field_end(dialect, bytes, at, index == last),
                Field::Tag(_) => field_end(dialect, bytes, at, index == last),
            };
            self.spans[index] = (at, end);
            if field == Field::TableName {
                let spans = &self.spans;
                rows.begin_row(names, &Line { dialect, bytes, spans }, index);
            }
            match bytes.get(end) {
                Some(byte) if *byte == delimiter => {
                    if index == last {
                        return Err(malformed(dialect, rows, bytes, "extra data after last expected column"));
                    }
                    at = end + 1;
                }
                Some(b'\n') if index == last => at = end + 1,
                Some(b'\r') if index == last && bytes.get(end + 1) == Some(&b'\n') => at = end + 2,
                _ => {
                    let missing = rows.fields.get(index + 1).copied().unwrap_or(field);
                    let message = format!("missing data for column \"{}\"", rows.target.column(missing).0);
                    return Err(malformed(dialect, rows, bytes, &message));
                }
            }
        }
        let line = Line {
            dialect,
            bytes,
            spans: &self.spans,
        };
        rows.end_row(names, &line, time)?;
        Ok(at)
    }
}

#[inline]
fn is_end(byte: u8, delimiter: u8) -> bool {
    byte == delimiter || byte == b'\n' || byte == b'\r'
}

/// A field's end; a carriage return before the newline belongs to the line's end.
#[inline]
fn field_end(dialect: &Dialect, bytes: &[u8], start: usize, is_last: bool) -> usize {
    let end = dialect.field_end(bytes, start);
    if is_last && end > start && bytes.get(end) == Some(&b'\n') && bytes.get(end - 1) == Some(&b'\r') {
        end - 1
    } else {
        end
    }
}

#[cold]
fn malformed(dialect: &Dialect, rows: &CopyRows, bytes: &[u8], message: &str) -> QueryError {
    let mut state = LineState::default();
    let end = bytes.iter().position(|byte| {
        let ends = *byte == b'\n' && !state.quoted;
        if let Some(csv) = &dialect.csv {
            state.step(csv, *byte);
        }
        ends
    });
    rows.malformed(message, Some(bytes[..end.unwrap_or(bytes.len())].trim_ascii_end()))
}

/// Reads a number or time in place, if it is one that ends where the field does: the bytes read.
#[inline(always)]
fn scan(
    column: &mut ColumnBuilder,
    bytes: &[u8],
    is_end: impl Fn(u8) -> bool + Copy,
    times: &mut TimeReader,
) -> Option<usize> {
    let ends = |read: usize| bytes.get(read).is_some_and(|byte| is_end(*byte));
    match column {
        ColumnBuilder::Double(builder) => {
            let (decimal, read) = scan_decimal(bytes).filter(|(_, read)| ends(*read))?;
            builder.append_value(decimal.to_f64()?);
            Some(read)
        }
        ColumnBuilder::Integer(builder) => {
            let (value, read) = scan_integer(bytes).filter(|(_, read)| ends(*read))?;
            builder.append_value(i32::try_from(value).ok()?);
            Some(read)
        }
        ColumnBuilder::BigInt(builder) => {
            let (value, read) = scan_integer(bytes).filter(|(_, read)| ends(*read))?;
            builder.append_value(value);
            Some(read)
        }
        ColumnBuilder::Real(builder) => {
            let (decimal, read) = scan_decimal(bytes).filter(|(_, read)| ends(*read))?;
            builder.append_value(decimal.to_f32()?);
            Some(read)
        }
        ColumnBuilder::SmallInt(builder) => {
            let (value, read) = scan_integer(bytes).filter(|(_, read)| ends(*read))?;
            builder.append_value(i16::try_from(value).ok()?);
            Some(read)
        }
        ColumnBuilder::Numeric(builder, numeric) => {
            let (decimal, read) = scan_decimal(bytes).filter(|(_, read)| ends(*read))?;
            let value = numeric
                .fit(i128::from(decimal.mantissa), -(decimal.scale as i32))
                .ok()?;
            builder.append_value(value);
            Some(read)
        }
        ColumnBuilder::Boolean(builder) => {
            let value = match bytes.first()? {
                b't' => true,
                b'f' => false,
                _ => return None,
            };
            if !ends(1) {
                return None;
            }
            builder.append_value(value);
            Some(1)
        }
        ColumnBuilder::Time { values, zoned, .. } => {
            let (value, read) = times.scan(bytes, *zoned, is_end).filter(|(_, read)| ends(*read))?;
            values.append_value(value);
            Some(read)
        }
        ColumnBuilder::Text(..) | ColumnBuilder::Bytea(_) | ColumnBuilder::Date(_) => None,
    }
}

/// Reads a field of any form into its column: where it ends.
fn read_metric(
    dialect: &Dialect,
    rows: &mut CopyRows,
    bytes: &[u8],
    start: usize,
    index: usize,
    metric: usize,
) -> Result<usize, QueryError> {
    let end = field_end(dialect, bytes, start, index + 1 == rows.fields.len());
    let mut scratch = Vec::new();
    let datum = dialect
        .value(index, &bytes[start..end], &mut scratch)
        .map_err(|error| rows.refused(ValueError::Value(error), index, &bytes[start..end]))?;
    if matches!(datum, Datum::Null) && rows.not_null[index] {
        return Err(rows.refused_null(index));
    }
    let (columns, times) = rows.columns();
    if let Err(error) = columns[metric].push(datum, times) {
        let text = match datum {
            Datum::Text(text) => text,
            _ => &[],
        };
        return Err(rows.refused(error, index, text));
    }
    Ok(end)
}

fn read_time(dialect: &Dialect, rows: &mut CopyRows, raw: &[u8], index: usize) -> Result<Option<i64>, QueryError> {
    let mut scratch = Vec::new();
    let datum = dialect
        .value(index, raw, &mut scratch)
        .map_err(|error| rows.refused(ValueError::Value(error), index, raw))?;
    let Datum::Text(text) = datum else {
        return Err(rows.refused_null(index));
    };
    let zoned = rows.zoned_time;
    match rows.times.parse(text, zoned) {
        Ok(time) => Ok(Some(time)),
        Err(error) => Err(rows.refused(ValueError::Value(error), index, text)),
    }
}
