//! Tag values as the catalog sees them: checked against their types, compared, hashed, and made into derived names.
//!
//! Values are told apart by class (integer, float, text ...) and not by width, so that widening a tag's type changes neither
//! equality nor hash. Nulls take no part in the hash: a tag added later, null for every child, leaves derived names as they are.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use crate::hash::StableHash;
use crate::rules::TABLE_NAME_BYTES_MAX;
use crate::{CatalogError, Precision, SqlType, Table};

/// All text and bytes of one child's tags. Tags are held in memory, a million of them at once; TDengine allows 16 KiB.
const TAG_BYTES_MAX: usize = 65_536;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Bits, with one zero and one NaN.
    Float(u64),
    Decimal(i128),
    Bytes(&'a [u8]),
}

/// One value of an array of some `SqlType`'s Arrow type; null for an array of any other.
pub(crate) fn value(array: &ArrayRef, row: usize) -> Value<'_> {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Int16 => Value::Integer(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Value::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Date32 => Value::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Value::Integer(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Value::Integer(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Value::Integer(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => Value::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Utf8View => Value::Bytes(array.as_string_view().value(row).as_bytes()),
        DataType::BinaryView => Value::Bytes(array.as_binary_view().value(row)),
        _ => Value::Null,
    }
}

fn float(value: f64) -> Value<'static> {
    if value.is_nan() {
        Value::Float(f64::NAN.to_bits())
    } else {
        // Adding zero turns -0.0 into 0.0 and nothing else.
        Value::Float((value + 0.0).to_bits())
    }
}

/// Whether two rows have the same tags.
pub(crate) fn rows_equal(left: &[ArrayRef], left_row: usize, right: &[ArrayRef], right_row: usize) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| value(left, left_row) == value(right, right_row))
}

/// Hash of one row of tags. Part of what is on disk: names are made of it.
fn row_hash(table: &Table, tags: &[ArrayRef], row: usize) -> u64 {
    let mut hash = StableHash::new();
    for (tag, array) in table.tags.iter().zip(tags) {
        let value = value(array, row);
        let class = match value {
            Value::Null => continue,
            Value::Boolean(_) => 1,
            Value::Integer(_) => 2,
            Value::Float(_) => 3,
            Value::Decimal(_) => 4,
            Value::Bytes(_) => 5,
        };
        hash.word(u64::from(tag.id) << 8 | class);
        match value {
            Value::Null => {}
            Value::Boolean(value) => hash.word(value.into()),
            Value::Integer(value) => hash.word(value as u64),
            Value::Float(bits) => hash.word(bits),
            Value::Decimal(value) => {
                hash.word(value as u64);
                hash.word((value >> 64) as u64);
            }
            Value::Bytes(bytes) => hash.bytes(bytes),
        }
    }
    hash.finish()
}

/// A name made from tags: `<prefix>_<16 hex digits>`, and `_1`, `_2` ... after it when that name has other tags.
pub(crate) struct DerivedName {
    bytes: [u8; TABLE_NAME_BYTES_MAX],
    base_length: usize,
    length: usize,
}

/// What follows the prefix at most: `_`, 16 digits, `_`, 10 digits of the clash.
const SUFFIX_BYTES_MAX: usize = 28;

impl DerivedName {
    pub fn new(table: &Table, tags: &[ArrayRef], row: usize) -> DerivedName {
        let prefix = &table.child_prefix;
        let prefix = &prefix[..prefix.floor_char_boundary(TABLE_NAME_BYTES_MAX - SUFFIX_BYTES_MAX)];
        let mut name = DerivedName {
            bytes: [0; TABLE_NAME_BYTES_MAX],
            base_length: 0,
            length: 0,
        };
        name.push(prefix.as_bytes());
        name.push(b"_");
        let hash = row_hash(table, tags, row);
        for shift in (0..16).rev() {
            let digit = (hash >> (shift * 4)) & 15;
            name.push(&b"0123456789abcdef"[digit as usize..=digit as usize]);
        }
        name.base_length = name.length;
        name
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// 0 is the name itself.
    fn set_clash(&mut self, clash: u32) {
        self.length = self.base_length;
        if clash > 0 {
            self.push(format!("_{clash}").as_bytes());
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("made of a prefix cut between characters and ASCII")
    }
}

/// What a name holds for a search by tags.
pub(crate) enum Probe<T> {
    Free,
    /// A child of this supertable with these tags.
    Match(T),
    Taken,
}

/// Names looked at after a free one: a dropped child leaves a gap in front of those that clashed with it.
const GAP_NAMES: u32 = 2;

/// Follows the names of a row's tags until one is a match, or returns the first free one.
pub(crate) fn probe<T>(
    table: &Table,
    tags: &[ArrayRef],
    row: usize,
    mut look: impl FnMut(&[u8]) -> Probe<T>,
) -> Result<T, Box<DerivedName>> {
    let mut name = DerivedName::new(table, tags, row);
    let mut free = None;
    for clash in 0.. {
        name.set_clash(clash);
        match look(name.bytes()) {
            Probe::Match(found) => return Ok(found),
            Probe::Free if free.is_none() => free = Some(clash),
            _ => {}
        }
        if free.is_some_and(|free| clash >= free + GAP_NAMES) {
            break;
        }
    }
    name.set_clash(free.unwrap_or_default());
    Err(Box::new(name))
}

/// Whether `tags` are columns of `rows` values that children of this table may have.
pub(crate) fn check_tags(
    table: &Table,
    precision: Precision,
    positions: &[usize],
    tags: &[&ArrayRef],
    rows: usize,
) -> Result<(), CatalogError> {
    let bad = |message: String| Err(CatalogError::BadValue(message));
    let mut bytes = vec![0usize; rows];
    for (position, array) in positions.iter().zip(tags) {
        let Some(tag) = table.tags.get(*position) else {
            return bad(format!("supertable \"{}\" has no tag number {position}", table.name));
        };
        if array.len() != rows {
            return bad(format!(
                "tag \"{}\" has {} values for {rows} tables",
                tag.name,
                array.len()
            ));
        }
        let expected = tag.sql_type.arrow_type(precision);
        if *array.data_type() != expected {
            return bad(format!("tag \"{}\" is {expected}, not {}", tag.name, array.data_type()));
        }
        if tag.not_null && array.null_count() > 0 {
            return bad(format!("tag \"{}\" must not be null", tag.name));
        }
        match tag.sql_type {
            SqlType::Varchar(characters_max) | SqlType::Char(characters_max) => {
                let characters_max = characters_max as usize;
                // No character has less than one byte: only long values are counted.
                let long = array.as_string_view().iter().flatten().find(|text| {
                    text.len() > characters_max && text.trim_end_matches(' ').chars().count() > characters_max
                });
                if long.is_some() {
                    return bad(format!(
                        "value too long for tag \"{}\" of type {}",
                        tag.name,
                        tag.sql_type.display_name()
                    ));
                }
            }
            SqlType::Numeric { precision, .. }
                if array
                    .as_primitive::<Decimal128Type>()
                    .validate_decimal_precision(precision)
                    .is_err() =>
            {
                return bad(format!(
                    "value out of range for tag \"{}\" of type {}",
                    tag.name,
                    tag.sql_type.display_name()
                ));
            }
            _ => {}
        }
        if matches!(expected, DataType::Utf8View | DataType::BinaryView) {
            for (row, bytes) in bytes.iter_mut().enumerate() {
                if let Value::Bytes(value) = value(array, row) {
                    *bytes += value.len();
                }
            }
        }
    }
    match bytes.iter().max() {
        Some(bytes) if *bytes > TAG_BYTES_MAX => bad(format!(
            "tags of one table have {bytes} bytes, at most {TAG_BYTES_MAX} are possible"
        )),
        _ => Ok(()),
    }
}
