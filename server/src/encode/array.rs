//! Arrays: `{1,"b c",NULL}` as text, dimensions and elements with their lengths as binary.

use std::ops::Range;

use taospg_query::{ErrorKind, QueryError};

use super::TextContext;
use super::column::Column;

pub fn write_text(
    elements: &Column<'_>,
    range: Range<usize>,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    out.push(b'{');
    for row in range.clone() {
        if row > range.start {
            out.push(b',');
        }
        if elements.is_null(row) {
            out.extend_from_slice(b"NULL");
            continue;
        }
        let start = out.len();
        elements.write_text(row, context, out)?;
        if elements.nested(row).is_none() && needs_quotes(&out[start..]) {
            quote(start, context, out);
        }
    }
    out.push(b'}');
    Ok(())
}

/// int2vector and oidvector: `1 2 3`.
pub fn write_vector_text(
    elements: &Column<'_>,
    range: Range<usize>,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    for row in range.clone() {
        if row > range.start {
            out.push(b' ');
        }
        elements.write_text(row, context, out)?;
    }
    Ok(())
}

fn needs_quotes(text: &[u8]) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text
            .iter()
            .any(|byte| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | 0x09..=0x0d))
}

/// Puts what was written since `start` between quotes.
fn quote(start: usize, context: &mut TextContext, out: &mut Vec<u8>) {
    context.scratch.clear();
    context.scratch.extend_from_slice(&out[start..]);
    out.truncate(start);
    out.push(b'"');
    for &byte in &context.scratch {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Dimensions, whether there are NULLs, the elements' type, then per dimension its length and first index, then the elements.
pub fn write_binary(
    elements: &Column<'_>,
    range: Range<usize>,
    element_oid: u32,
    lower_bound: i32,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<(), QueryError> {
    let mut lengths = Vec::new();
    if !range.is_empty() {
        measure(elements, range.clone(), &mut lengths)?;
    }
    out.extend_from_slice(&(lengths.len() as i32).to_be_bytes());
    let flags = out.len();
    out.extend_from_slice(&0i32.to_be_bytes());
    out.extend_from_slice(&element_oid.to_be_bytes());
    for length in &lengths {
        out.extend_from_slice(&(*length as i32).to_be_bytes());
        out.extend_from_slice(&lower_bound.to_be_bytes());
    }
    let has_nulls = write_elements(elements, range, context, out)?;
    out[flags..flags + 4].copy_from_slice(&i32::from(has_nulls).to_be_bytes());
    Ok(())
}

/// Lengths of all dimensions, from the first element of each. An empty array within an array has no dimensions to tell.
fn measure(elements: &Column<'_>, range: Range<usize>, lengths: &mut Vec<usize>) -> Result<(), QueryError> {
    lengths.push(range.len());
    let Some((inner, first)) = elements.nested(range.start) else {
        return Ok(());
    };
    for row in range {
        let same = elements
            .nested(row)
            .is_some_and(|(_, other)| other.len() == first.len());
        if elements.is_null(row) || !same {
            return Err(QueryError::new(
                ErrorKind::FeatureNotSupported,
                "arrays within an array must have equal lengths to be sent in binary",
            ));
        }
    }
    measure(inner, first, lengths)
}

fn write_elements(
    elements: &Column<'_>,
    range: Range<usize>,
    context: &mut TextContext,
    out: &mut Vec<u8>,
) -> Result<bool, QueryError> {
    let mut has_nulls = false;
    for row in range {
        if elements.is_null(row) {
            has_nulls = true;
            out.extend_from_slice(&(-1i32).to_be_bytes());
        } else if let Some((inner, inner_range)) = elements.nested(row) {
            has_nulls |= write_elements(inner, inner_range, context, out)?;
        } else {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            elements.write_binary(row, context, out)?;
            let length = super::message_length(out.len() - start - 4)?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(has_nulls)
}
