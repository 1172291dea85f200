//! Result rows, straight from Arrow columns into the send buffer.
//!
//! ```text
//! record batch --arrange--> arrays in the form their type wants --columns--> one reader per column --> rows as bytes
//! ```
//!
//! A result field's type OID decides how a value is written; the Arrow type only says where it comes from. `arrange` casts a whole column
//! where the two differ, so that the row loop never converts. Nothing is allocated per value.
//! Leaves to others: when the buffer is sent (`rows.rs`), what a type's text looks like (the query crate's `pg_type/write/`, which casts to text share).

mod array;
mod column;
mod copy;
mod record;
#[cfg(test)]
mod tests;
mod wire_type;

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use taospg_query::pg_type::write::datetime::Zone;
use taospg_query::session::TextStyle;
use taospg_query::{CopyFormat, ErrorKind, Format, QueryError, ResultField};

use column::Column;
use wire_type::WireType;
pub use wire_type::type_size;

/// What surrounds the values of a row.
enum Framing {
    /// A DataRow message.
    DataRow,
    /// A CopyData message in one of COPY's formats.
    Copy(CopyFormat),
}

/// How one column is written.
struct Plan {
    wire: WireType,
    format: Format,
}

/// What text output needs besides the value.
pub struct TextContext {
    pub zone: Zone,
    pub style: TextStyle,
    /// Holds one value while it is being quoted.
    pub scratch: Vec<u8>,
}

impl TextContext {
    pub fn new(style: TextStyle) -> TextContext {
        TextContext {
            zone: Zone::new(style.time_zone),
            style,
            scratch: Vec::new(),
        }
    }
}

/// Writes the rows of one result.
pub struct RowEncoder {
    columns: Vec<Plan>,
    framing: Framing,
    context: TextContext,
    /// What still has to stand before the first row, in the same message: readers of binary COPY expect its header there.
    prefix: &'static [u8],
}

impl RowEncoder {
    /// Rows as DataRow messages. `formats` follows Bind: none is all text, one is for all, otherwise one for each.
    pub fn data_rows(fields: &[ResultField], formats: &[Format], style: TextStyle) -> RowEncoder {
        let columns = fields
            .iter()
            .enumerate()
            .map(|(index, field)| Plan {
                wire: WireType::of_modified(field.type_oid, field.type_modifier),
                format: format_of(formats, index),
            })
            .collect();
        RowEncoder {
            columns,
            framing: Framing::DataRow,
            context: TextContext::new(style),
            prefix: &[],
        }
    }

    /// Rows as the CopyData messages of `COPY … TO STDOUT`.
    pub fn copy_rows(fields: &[ResultField], format: CopyFormat, style: TextStyle) -> RowEncoder {
        let (value_format, prefix): (Format, &[u8]) = match format {
            CopyFormat::Binary => (Format::Binary, copy::BINARY_HEADER),
            CopyFormat::Text { .. } | CopyFormat::Csv { .. } => (Format::Text, &[]),
        };
        let columns = fields
            .iter()
            .map(|field| Plan {
                wire: WireType::of_modified(field.type_oid, field.type_modifier),
                format: value_format,
            })
            .collect();
        RowEncoder {
            columns,
            framing: Framing::Copy(format),
            context: TextContext::new(style),
            prefix,
        }
    }

    /// What ends a COPY's rows: a last CopyData message in binary, nothing in the other formats.
    pub fn end_copy(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        if let Framing::Copy(CopyFormat::Binary) = self.framing {
            let start = begin_message(b'd', out);
            out.extend_from_slice(std::mem::take(&mut self.prefix));
            out.extend_from_slice(&copy::BINARY_TRAILER);
            end_message(start, out)?;
        }
        Ok(())
    }

    /// The batch's columns in the form that [`RowEncoder::encode`] reads.
    pub fn arrange(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, QueryError> {
        if batch.num_columns() != self.columns.len() {
            return Err(QueryError::new(
                ErrorKind::InternalError,
                format!(
                    "a result of {} columns came with {} fields",
                    batch.num_columns(),
                    self.columns.len()
                ),
            ));
        }
        self.columns
            .iter()
            .zip(batch.columns())
            .map(|(plan, array)| column::arrange(array, &plan.wire, plan.format))
            .collect()
    }

    /// Appends rows to `out` until the range is done or `out` has reached `out_bytes_stop`. Returns the first row not written.
    pub fn encode(
        &mut self,
        arrays: &[ArrayRef],
        rows: Range<usize>,
        out: &mut Vec<u8>,
        out_bytes_stop: usize,
    ) -> Result<usize, QueryError> {
        let mut columns = Vec::with_capacity(arrays.len());
        for (array, plan) in arrays.iter().zip(&self.columns) {
            columns.push((Column::new(array, &plan.wire)?, plan.format));
        }
        let RowEncoder {
            framing,
            context,
            prefix,
            ..
        } = self;
        for row in rows.clone() {
            if out.len() >= out_bytes_stop {
                return Ok(row);
            }
            match framing {
                Framing::DataRow => {
                    let start = begin_message(b'D', out);
                    tuple(&columns, row, context, out)?;
                    end_message(start, out)?;
                }
                Framing::Copy(format) => {
                    let start = begin_message(b'd', out);
                    out.extend_from_slice(std::mem::take(prefix));
                    match format {
                        CopyFormat::Binary => tuple(&columns, row, context, out)?,
                        CopyFormat::Text { delimiter, null, .. } => {
                            copy::text_row(&columns, row, *delimiter, null, context, out)?;
                        }
                        CopyFormat::Csv {
                            delimiter,
                            quote,
                            escape,
                            null,
                            ..
                        } => {
                            let marks = copy::CsvMarks {
                                delimiter: *delimiter,
                                quote: *quote,
                                escape: *escape,
                            };
                            copy::csv_row(&columns, row, marks, null, context, out)?;
                        }
                    }
                    end_message(start, out)?;
                }
            }
        }
        Ok(rows.end)
    }
}

/// The format of column `index` by Bind's rule.
pub fn format_of(formats: &[Format], index: usize) -> Format {
    match formats {
        [] => Format::Text,
        [one] => *one,
        several => several.get(index).copied().unwrap_or(Format::Text),
    }
}

/// The header line of COPY's text and csv formats, as a CopyData message; nothing for binary or where none is wanted.
pub fn copy_header_line(fields: &[ResultField], format: &CopyFormat, out: &mut Vec<u8>) -> Result<(), QueryError> {
    copy::header_line(fields, format, out)
}

fn begin_message(kind: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0, 0]);
    start
}

fn end_message(start: usize, out: &mut [u8]) -> Result<(), QueryError> {
    let length = message_length(out.len() - start - 1)?;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The length word of a message: PostgreSQL's clients take it as a signed number.
fn message_length(bytes: usize) -> Result<i32, QueryError> {
    i32::try_from(bytes).map_err(|_| {
        QueryError::new(
            ErrorKind::ProgramLimitExceeded,
            format!("a result row of {bytes} bytes is too large to send"),
        )
    })
}

/// Number of values, then each with its length: the body of DataRow, and a row of binary COPY.
fn tuple(
    columns: &[(Column<'_>, Format)],
    row: usize,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    out.extend_from_slice(&(columns.len() as u16).to_be_bytes());
    for (column, format) in columns {
        if column.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match format {
            Format::Text => column.write_text(row, context, out)?,
            Format::Binary => column.write_binary(row, context, out)?,
        }
        let length = message_length(out.len() - start - 4)?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
