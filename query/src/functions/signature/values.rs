//! The values of one row that a function is called with, what all rows of a call share, and the values that it gives.

use std::cell::RefCell;
use std::collections::HashMap;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef, IntervalMonthDayNano};
use chrono_tz::Tz;
use datafusion::common::ScalarValue;
use regex::Regex;

use crate::pg_type::numeric::{Decimal, Numeric, decode_key, encode_decimal};
use crate::pg_type::write::TextStyle;
use crate::pg_type::{self, oid};
use crate::{ErrorKind, QueryError};

/// What all rows of one call share.
pub struct Env {
    pub zone: Tz,
    /// How values become text.
    pub style: TextStyle,
    pub fields: Vec<FieldRef>,
    /// Expressions that were compiled, by pattern and flags.
    pub(super) regexes: RefCell<HashMap<(String, String), Regex>>,
}

impl Env {
    /// A compiled expression: `compile` makes it the first time.
    pub fn regex(
        &self,
        pattern: &str,
        flags: &str,
        compile: fn(&str, &str) -> Result<Regex, QueryError>,
    ) -> Result<Regex, QueryError> {
        let key = (pattern.to_string(), flags.to_string());
        if let Some(found) = self.regexes.borrow().get(&key) {
            return Ok(found.clone());
        }
        let made = compile(pattern, flags)?;
        let mut regexes = self.regexes.borrow_mut();
        // A column of patterns compiles each row's own; a few are worth keeping.
        if regexes.len() >= 64 {
            regexes.clear();
        }
        regexes.insert(key, made.clone());
        Ok(made)
    }
}

/// The values of one row. What an overload takes is what the readers give: a value of another type reads as nothing.
pub struct Args<'a> {
    pub(super) values: &'a [ScalarValue],
    pub(super) env: &'a Env,
}

impl<'a> Args<'a> {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn env(&self) -> &'a Env {
        self.env
    }

    pub fn value(&self, place: usize) -> &'a ScalarValue {
        self.values.get(place).unwrap_or(&ScalarValue::Null)
    }

    pub fn is_null(&self, place: usize) -> bool {
        self.value(place).is_null()
    }

    pub fn text(&self, place: usize) -> &'a str {
        let value = match self.value(place) {
            ScalarValue::Dictionary(_, value) => value.as_ref(),
            value => value,
        };
        value.try_as_str().flatten().unwrap_or_default()
    }

    pub fn bytes(&self, place: usize) -> &'a [u8] {
        match self.value(place) {
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)) => bytes,
            _ => &[],
        }
    }

    pub fn bool(&self, place: usize) -> bool {
        matches!(self.value(place), ScalarValue::Boolean(Some(true)))
    }

    pub fn int(&self, place: usize) -> i64 {
        match self.value(place) {
            ScalarValue::Int8(Some(value)) => i64::from(*value),
            ScalarValue::Int16(Some(value)) => i64::from(*value),
            ScalarValue::Int32(Some(value)) => i64::from(*value),
            ScalarValue::Int64(Some(value)) => *value,
            ScalarValue::UInt32(Some(value)) => i64::from(*value),
            _ => 0,
        }
    }

    pub fn float(&self, place: usize) -> f64 {
        match self.value(place) {
            ScalarValue::Float32(Some(value)) => f64::from(*value),
            ScalarValue::Float64(Some(value)) => *value,
            other => other.cast_to(&DataType::Float64).map_or(0.0, |value| match value {
                ScalarValue::Float64(Some(value)) => value,
                _ => 0.0,
            }),
        }
    }

    /// Digits and how many of them stand after the point, where 38 digits are enough.
    pub fn numeric(&self, place: usize) -> Result<(i128, u32), QueryError> {
        Ok(match self.value(place) {
            ScalarValue::Decimal128(Some(digits), _, scale) => (*digits, u32::try_from(*scale).unwrap_or(0)),
            ScalarValue::LargeBinary(Some(key)) => match decode_key(key) {
                Numeric::Finite(decimal) => match i128::try_from(decimal.unscaled) {
                    Ok(digits) => (digits, decimal.scale),
                    Err(_) => return refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
                },
                _ => {
                    let message = "this function takes no NaN and no infinite numeric";
                    return refuse(ErrorKind::FeatureNotSupported, message);
                }
            },
            _ => (i128::from(self.int(place)), 0),
        })
    }

    /// A number with all of its digits.
    pub fn exact(&self, place: usize) -> Numeric {
        match self.value(place) {
            ScalarValue::LargeBinary(Some(key)) => decode_key(key),
            ScalarValue::Decimal128(Some(digits), _, scale) => {
                Numeric::Finite(Decimal::new(*digits, u32::try_from(*scale).unwrap_or(0)))
            }
            _ => Numeric::Finite(Decimal::new(self.int(place), 0)),
        }
    }

    pub fn date(&self, place: usize) -> i32 {
        match self.value(place) {
            ScalarValue::Date32(Some(days)) => *days,
            _ => 0,
        }
    }

    /// Microseconds: of a time since midnight, of a timestamp since 1970.
    pub fn micros(&self, place: usize) -> i64 {
        match self.value(place) {
            ScalarValue::Time64Microsecond(Some(value)) | ScalarValue::TimestampMicrosecond(Some(value), _) => *value,
            ScalarValue::TimestampSecond(Some(value), _) => value.saturating_mul(1_000_000),
            ScalarValue::TimestampMillisecond(Some(value), _) => value.saturating_mul(1_000),
            ScalarValue::TimestampNanosecond(Some(value), _) => value.div_euclid(1_000),
            _ => 0,
        }
    }

    pub fn interval(&self, place: usize) -> IntervalMonthDayNano {
        match self.value(place) {
            ScalarValue::IntervalMonthDayNano(Some(value)) => *value,
            _ => IntervalMonthDayNano::new(0, 0, 0),
        }
    }

    /// The elements of an array; `None` of what is no array.
    pub fn list(&self, place: usize) -> Option<ArrayRef> {
        match self.value(place) {
            ScalarValue::List(list) if list.len() == 1 && list.is_valid(0) => Some(list.value(0)),
            _ => None,
        }
    }

    /// The elements of an array of texts.
    pub fn texts(&self, place: usize) -> Vec<Option<String>> {
        let Some(list) = self.list(place) else {
            return Vec::new();
        };
        (0..list.len())
            .map(|row| {
                let value = ScalarValue::try_from_array(&list, row).ok()?;
                value.try_as_str().flatten().map(str::to_string)
            })
            .collect()
    }

    /// Whether an argument is JSON, as its field says.
    pub fn type_oid(&self, place: usize) -> u32 {
        self.env
            .fields
            .get(place)
            .map_or(oid::TEXT, |field| pg_type::field_oid(field))
    }
}

pub fn text(value: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8View(Some(value.into()))
}

pub fn bytes(value: impl Into<Vec<u8>>) -> ScalarValue {
    ScalarValue::BinaryView(Some(value.into()))
}

pub fn int4(value: i64) -> Result<ScalarValue, QueryError> {
    i32::try_from(value)
        .map(|value| ScalarValue::Int32(Some(value)))
        .map_err(|_| QueryError::new(ErrorKind::NumericValueOutOfRange, "integer out of range"))
}

pub fn boolean(value: bool) -> ScalarValue {
    ScalarValue::Boolean(Some(value))
}

pub fn float8(value: f64) -> ScalarValue {
    ScalarValue::Float64(Some(value))
}

/// A numeric of these digits, of which `scale` stand after the point.
pub fn numeric(digits: i128, scale: u32) -> Result<ScalarValue, QueryError> {
    let mut key = Vec::new();
    encode_decimal(digits, scale, &mut key);
    Ok(ScalarValue::LargeBinary(Some(key)))
}

/// A numeric without digits after the point, of at most 38 before it.
pub fn whole(digits: i128) -> Result<ScalarValue, QueryError> {
    match digits.unsigned_abs() < 10u128.pow(38) {
        true => Ok(ScalarValue::Decimal128(Some(digits), 38, 0)),
        false => refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
    }
}

pub fn timestamp(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), None)
}

pub fn timestamptz(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some(pg_type::utc()))
}

pub fn interval(months: i32, days: i32, nanoseconds: i64) -> ScalarValue {
    ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanoseconds)))
}

/// An array of texts.
pub fn texts(values: impl IntoIterator<Item = Option<String>>) -> ScalarValue {
    let values: Vec<ScalarValue> = values.into_iter().map(ScalarValue::Utf8View).collect();
    list(values, &DataType::Utf8View)
}

/// An array of values of one type.
pub fn list(values: Vec<ScalarValue>, item: &DataType) -> ScalarValue {
    ScalarValue::List(ScalarValue::new_list_nullable(&values, item))
}

/// Shorthand for an error.
pub fn refuse<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::new(kind, message))
}
