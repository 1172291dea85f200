//! Arrays from their text and binary forms: `{1,2,NULL,"a b"}`, `{{1,2},{3,4}}`. Of several dimensions they are lists of lists.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;

use super::decode::{binary, null_of, out_of_range};
use super::time::Reading;
use super::{arrow_type, parse_literal, type_name};
use crate::{ErrorKind, QueryError};

/// Elements of an array parameter at most: PostgreSQL's own limit of 1 GB allows no more of the smallest.
const ELEMENTS_MAX: usize = 1 << 27;

/// Dimensions at most: PostgreSQL's MAXDIM.
const DIMENSIONS_MAX: usize = 6;

/// Whether a type is an array of arrays: of several dimensions.
pub fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(item) if matches!(item.data_type(), DataType::List(_)))
}

/// The type of the elements under all dimensions.
pub fn innermost(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) => innermost(item.data_type()),
        other => other,
    }
}

/// One text on its way.
struct Reader<'a> {
    text: &'a str,
    chars: Peekable<Chars<'a>>,
    element: u32,
    reading: Reading,
    values: Vec<ScalarValue>,
    /// The length of each dimension, as its first array has it.
    lengths: Vec<usize>,
}

impl Reader<'_> {
    fn malformed(&self) -> QueryError {
        QueryError::new(
            ErrorKind::InvalidTextRepresentation,
            format!("malformed array literal: \"{}\"", self.text),
        )
    }

    fn skip_space(&mut self) {
        while self.chars.peek().is_some_and(|char| char.is_whitespace()) {
            self.chars.next();
        }
    }

    /// What stands between one pair of braces; the first of them is taken already.
    fn list(&mut self, depth: usize) -> Result<(), QueryError> {
        if depth >= DIMENSIONS_MAX {
            let message = format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})",
                depth + 1
            );
            return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message));
        }
        let first = self.lengths.len() == depth;
        if first {
            self.lengths.push(0);
        }
        let mut count = 0;
        self.skip_space();
        if self.chars.peek() == Some(&'}') && (depth == 0 || self.lengths[depth] == 0) {
            self.chars.next();
            return if depth == 0 { Ok(()) } else { Err(self.malformed()) };
        }
        loop {
            self.skip_space();
            match self.chars.peek() {
                Some('{') => {
                    // An element of its own stood where an array stands now.
                    if !self.values.is_empty() && self.lengths.len() == depth + 1 {
                        return Err(self.uneven());
                    }
                    self.chars.next();
                    self.list(depth + 1)?;
                }
                _ if self.lengths.len() > depth + 1 => {
                    return Err(self.malformed().with_detail("Unexpected array element."));
                }
                _ => self.item()?,
            }
            count += 1;
            self.skip_space();
            match self.chars.next() {
                Some(',') => {}
                Some('}') => break,
                _ => return Err(self.malformed()),
            }
        }
        if first {
            self.lengths[depth] = count;
        } else if self.lengths[depth] != count {
            return Err(self.uneven());
        }
        Ok(())
    }

    fn uneven(&self) -> QueryError {
        let detail = "Multidimensional arrays must have sub-arrays with matching dimensions.";
        self.malformed().with_detail(detail)
    }

    /// One element.
    fn item(&mut self) -> Result<(), QueryError> {
        let mut item = String::new();
        let quoted = self.chars.peek() == Some(&'"');
        if quoted {
            self.chars.next();
            loop {
                match self.chars.next() {
                    Some('"') => break,
                    Some('\\') => match self.chars.next() {
                        Some(char) => item.push(char),
                        None => return Err(self.malformed()),
                    },
                    Some(char) => item.push(char),
                    None => return Err(self.malformed()),
                }
            }
        } else {
            while let Some(char) = self.chars.peek().copied() {
                match char {
                    ',' | '}' => break,
                    '{' | '"' => return Err(self.malformed()),
                    '\\' => {
                        self.chars.next();
                        match self.chars.next() {
                            Some(char) => item.push(char),
                            None => return Err(self.malformed()),
                        }
                    }
                    char => {
                        self.chars.next();
                        item.push(char);
                    }
                }
            }
            item.truncate(item.trim_end().len());
            if item.is_empty() {
                return Err(self.malformed());
            }
        }
        self.values.push(match !quoted && item.eq_ignore_ascii_case("null") {
            true => null_of(self.element),
            false => parse_literal(self.element, &item, self.reading)?,
        });
        Ok(())
    }
}

pub fn read_text(oid: u32, element: u32, text: &str, reading: Reading) -> Result<ScalarValue, QueryError> {
    let mut reader = Reader {
        text,
        chars: text.trim().chars().peekable(),
        element,
        reading,
        values: Vec::new(),
        lengths: Vec::new(),
    };
    if reader.chars.next() != Some('{') {
        return Err(reader.malformed());
    }
    reader.list(0)?;
    if reader.chars.next().is_some() {
        return Err(reader.malformed());
    }
    list(oid, element, reader.values, &reader.lengths)
}

/// Elements one after the other as an array of these dimensions.
fn list(oid: u32, element: u32, values: Vec<ScalarValue>, lengths: &[usize]) -> Result<ScalarValue, QueryError> {
    let element_type = arrow_type(element).unwrap_or(DataType::Utf8View);
    let failed = |problem: String| QueryError::new(ErrorKind::InvalidTextRepresentation, problem);
    let mut array: ArrayRef = match values.is_empty() {
        true => new_empty_array(&element_type),
        false => {
            let cast: Result<Vec<ScalarValue>, _> = values.iter().map(|value| value.cast_to(&element_type)).collect();
            let cast = cast.map_err(|_| out_of_range(oid, "{…}"))?;
            ScalarValue::iter_to_array(cast).map_err(|error| failed(error.strip_backtrace()))?
        }
    };
    // Of the dimensions inside, each is as many lists as the outer ones have places.
    for (depth, length) in lengths.iter().enumerate().skip(1).rev() {
        let count = lengths[..depth].iter().product();
        array = lists(array, vec![*length; count]).map_err(failed)?;
    }
    let length = array.len();
    let list = lists(array, vec![length]).map_err(failed)?;
    Ok(ScalarValue::List(Arc::new(list.as_list().clone())))
}

fn lists(elements: ArrayRef, lengths: Vec<usize>) -> Result<ArrayRef, String> {
    let field = Field::new("item", elements.data_type().clone(), true);
    let offsets = OffsetBuffer::from_lengths(lengths);
    let list = ListArray::try_new(field.into(), offsets, elements, None).map_err(|error| error.to_string())?;
    Ok(Arc::new(list))
}

/// An array's elements as [`read_text`] reads them; `None` where their text is not that of Arrow.
pub fn write_text(array: &ArrayRef) -> Option<String> {
    let mut out = String::from("{");
    for row in 0..array.len() {
        if row > 0 {
            out.push(',');
        }
        if array.is_null(row) {
            out.push_str("NULL");
            continue;
        }
        match array.data_type() {
            DataType::List(_) => out.push_str(&write_text(&array.as_list::<i32>().value(row))?),
            DataType::Utf8View => {
                let text = array.as_string_view().value(row);
                out.push_str(&format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
            }
            DataType::Boolean
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt32
            | DataType::Float32
            | DataType::Float64 => out.push_str(&array_value_to_string(array, row).ok()?),
            _ => return None,
        }
    }
    out.push('}');
    Some(out)
}

/// Dimensions, flags, element type; for each dimension length and lower bound; then lengths and values.
pub fn read_binary(oid: u32, element: u32, bytes: &[u8]) -> Result<ScalarValue, QueryError> {
    let bad = || {
        QueryError::new(
            ErrorKind::InvalidBinaryRepresentation,
            format!("incorrect binary data format for type {}", type_name(oid)),
        )
    };
    let mut rest = bytes;
    let mut word = || -> Result<i32, QueryError> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        rest = tail;
        Ok(i32::from_be_bytes(*head))
    };
    let (dimensions, _flags, sent_element) = (word()?, word()?, word()? as u32);
    let dimensions = usize::try_from(dimensions).map_err(|_| bad())?;
    if dimensions == 0 {
        return list(oid, element, Vec::new(), &[0]);
    }
    if dimensions > DIMENSIONS_MAX || arrow_type(sent_element) != arrow_type(element) {
        return Err(bad());
    }
    let mut lengths = Vec::with_capacity(dimensions);
    let mut count = 1_usize;
    for _ in 0..dimensions {
        let length = usize::try_from(word()?).map_err(|_| bad())?;
        let _lower_bound = word()?;
        count = count.checked_mul(length).ok_or_else(bad)?;
        lengths.push(length);
    }
    if count > ELEMENTS_MAX {
        return Err(bad());
    }
    // Each element has a length of four bytes, so that a count cannot ask for more memory than was sent.
    let mut values = Vec::with_capacity(count.min(rest.len() / 4));
    for _ in 0..count {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        rest = tail;
        match i32::from_be_bytes(*head) {
            -1 => values.push(null_of(element)),
            length => {
                let length = usize::try_from(length).map_err(|_| bad())?;
                let (value, tail) = rest.split_at_checked(length).ok_or_else(bad)?;
                rest = tail;
                values.push(binary(element, value)?);
            }
        }
    }
    match rest.is_empty() {
        true => list(oid, element, values, &lengths),
        false => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg_type::oid;

    /// An array of int4.
    const INT4_ARRAY: u32 = 1007;

    fn read(text: &str) -> Result<ScalarValue, QueryError> {
        read_text(INT4_ARRAY, oid::INT4, text, chrono_tz::Tz::UTC.into())
    }

    #[test]
    fn dimensions_are_lists_of_lists() {
        assert!(!is_nested(&read("{1,NULL,3}").unwrap().data_type()));
        assert!(!is_nested(&read(" { } ").unwrap().data_type()));
        let nested = read("{{1,2},{3,NULL}}").unwrap();
        assert!(is_nested(&nested.data_type()));
        assert_eq!(innermost(&nested.data_type()), &DataType::Int32);
        let mut bytes = Vec::new();
        for word in [2, 0, oid::INT4 as i32, 2, 1, 2, 1, 4, 1, 4, 2, 4, 3, -1] {
            bytes.extend(i32::to_be_bytes(word));
        }
        assert_eq!(read_binary(INT4_ARRAY, oid::INT4, &bytes).unwrap(), nested);
    }

    #[test]
    fn what_is_no_array() {
        for text in [
            "",
            "1",
            "{",
            "{1",
            "{1}}",
            "{1,}",
            "{,1}",
            "{{1},{2,3}}",
            "{{1},2}",
            "{1,{2}}",
            "{{}}",
            "{{1},{}}",
            "{{{{{{{1}}}}}}}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
