//! Rows in COPY's text and csv formats.

use taospg_query::{CopyFormat, Format, QueryError, ResultField};

use super::column::Column;
use super::{TextContext, begin_message, end_message};

/// What a binary COPY begins with: signature, no flags, no header extension.
pub const BINARY_HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub const BINARY_TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// Characters with a meaning in csv.
#[derive(Clone, Copy)]
pub struct CsvMarks {
    pub delimiter: u8,
    pub quote: u8,
    pub escape: u8,
}

pub fn text_row(
    columns: &[(Column<'_>, Format)],
    row: usize,
    delimiter: u8,
    null: &str,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    for (index, (column, _)) in columns.iter().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        if column.is_null(row) {
            out.extend_from_slice(null.as_bytes());
            continue;
        }
        let start = out.len();
        column.write_text(row, context, out)?;
        escape_text(start, delimiter, &mut context.scratch, out);
    }
    out.push(b'\n');
    Ok(())
}

pub fn csv_row(
    columns: &[(Column<'_>, Format)],
    row: usize,
    marks: CsvMarks,
    null: &str,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    for (index, (column, _)) in columns.iter().enumerate() {
        if index > 0 {
            out.push(marks.delimiter);
        }
        if column.is_null(row) {
            out.extend_from_slice(null.as_bytes());
            continue;
        }
        let start = out.len();
        column.write_text(row, context, out)?;
        quote_csv(start, marks, null, &mut context.scratch, out);
    }
    out.push(b'\n');
    Ok(())
}

pub fn header_line(fields: &[ResultField], format: &CopyFormat, out: &mut Vec<u8>) -> Result<(), QueryError> {
    let (delimiter, wanted) = match format {
        CopyFormat::Text { delimiter, header, .. } | CopyFormat::Csv { delimiter, header, .. } => (*delimiter, *header),
        CopyFormat::Binary => return Ok(()),
    };
    if !wanted {
        return Ok(());
    }
    let mut scratch = Vec::new();
    let message = begin_message(b'd', out);
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        let start = out.len();
        out.extend_from_slice(field.name.as_bytes());
        match format {
            CopyFormat::Csv {
                quote, escape, null, ..
            } => {
                let marks = CsvMarks {
                    delimiter,
                    quote: *quote,
                    escape: *escape,
                };
                quote_csv(start, marks, null, &mut scratch, out);
            }
            CopyFormat::Text { .. } | CopyFormat::Binary => escape_text(start, delimiter, &mut scratch, out),
        }
    }
    out.push(b'\n');
    end_message(message, out)
}

/// The letter behind the backslash for a byte that cannot stand in a line of text format by itself.
fn text_escape(byte: u8, delimiter: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x0b => Some(b'v'),
        _ if byte == delimiter => Some(byte),
        _ => None,
    }
}

fn escape_text(start: usize, delimiter: u8, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    if !out[start..].iter().any(|byte| text_escape(*byte, delimiter).is_some()) {
        return;
    }
    scratch.clear();
    scratch.extend_from_slice(&out[start..]);
    out.truncate(start);
    for &byte in scratch.iter() {
        match text_escape(byte, delimiter) {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.push(byte),
        }
    }
}

fn quote_csv(start: usize, marks: CsvMarks, null: &str, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    let value = &out[start..];
    let special = |byte: &u8| *byte == marks.delimiter || *byte == marks.quote || matches!(byte, b'\n' | b'\r');
    // `\.` alone on a line would end the data for older readers.
    if value != null.as_bytes() && value != b"\\." && !value.iter().any(special) {
        return;
    }
    scratch.clear();
    scratch.extend_from_slice(value);
    out.truncate(start);
    out.push(marks.quote);
    for &byte in scratch.iter() {
        if byte == marks.quote || byte == marks.escape {
            out.push(marks.escape);
        }
        out.push(byte);
    }
    out.push(marks.quote);
}
