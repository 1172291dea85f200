//! Records: `(1,"b c",)` as text; as binary how many values, then each with its type and length.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{Field, Fields};
use taospg_query::pg_type::{field_modifier, field_oid};
use taospg_query::{ErrorKind, Format, QueryError};

use super::TextContext;
use super::column::{Column, arrange};
use super::wire_type::WireType;

/// One of a record's values: its type's OID, and the column that it is in.
pub struct Member<'a> {
    oid: u32,
    values: Column<'a>,
}

fn wire(field: &Field) -> WireType {
    WireType::of_modified(field_oid(field), field_modifier(field))
}

/// The records with their members as [`members`] reads them.
pub fn arrange_members(array: &ArrayRef, format: Format) -> Result<ArrayRef, QueryError> {
    let records = array.as_struct();
    let mut fields = Vec::with_capacity(records.num_columns());
    let mut columns = Vec::with_capacity(records.num_columns());
    for (field, column) in records.fields().iter().zip(records.columns()) {
        let column = arrange(column, &wire(field), format)?;
        let field = field.as_ref().clone().with_data_type(column.data_type().clone());
        fields.push(field.with_nullable(true));
        columns.push(column);
    }
    let records = StructArray::try_new(Fields::from(fields), columns, records.nulls().cloned());
    let records = records.map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
    Ok(std::sync::Arc::new(records))
}

pub fn members(records: &StructArray) -> Result<Vec<Member<'_>>, QueryError> {
    let fields = records.fields().iter().zip(records.columns());
    fields
        .map(|(field, column)| {
            Ok(Member {
                oid: field_oid(field),
                values: Column::new(column, &wire(field))?,
            })
        })
        .collect()
}

pub fn write_text(
    members: &[Member<'_>],
    row: usize,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    out.push(b'(');
    for (place, member) in members.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        // NULL is nothing at all.
        if !member.values.is_null(row) {
            let start = out.len();
            member.values.write_text(row, context, out)?;
            quote(start, context, out);
        }
    }
    out.push(b')');
    Ok(())
}

/// Puts what was written since `start` between quotes, where it could be taken for something else.
fn quote(start: usize, context: &mut TextContext, out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',' | b' ' | 0x09..=0x0d);
    let text = &out[start..];
    if !text.is_empty() && !text.iter().any(special) {
        return;
    }
    context.scratch.clear();
    context.scratch.extend_from_slice(text);
    out.truncate(start);
    out.push(b'"');
    for &byte in &context.scratch {
        if matches!(byte, b'"' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
}

pub fn write_binary(
    members: &[Member<'_>],
    row: usize,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    // A statement has far fewer columns than 32 bits count.
    out.extend_from_slice(&(members.len() as i32).to_be_bytes());
    for member in members {
        out.extend_from_slice(&member.oid.to_be_bytes());
        if member.values.is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        member.values.write_binary(row, context, out)?;
        let length = super::message_length(out.len() - start - 4)?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
