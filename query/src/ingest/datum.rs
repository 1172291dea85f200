//! One value on its way from the wire or a statement's text into a column.

use datafusion::common::ScalarValue;

use super::number::{Decimal, decode_numeric};
use super::time::POSTGRES_EPOCH_SECONDS;
use crate::{ErrorKind, Format, QueryError, pg_type};

/// A value with what is known of its type. What a column makes of it is PostgreSQL's assignment cast (`column.rs`).
#[derive(Clone, Copy, Debug)]
pub enum Datum<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A numeric literal of few digits.
    Decimal(Decimal),
    /// A numeric literal of any length: its text.
    Number(&'a str),
    /// A numeric that came in binary form.
    Numeric(Numeric),
    Real(f32),
    Double(f64),
    /// Text of unknown type: the column's type reads it. Not yet known to be UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// An instant in microseconds since 2000.
    Instant(i64),
    /// A clock's reading in microseconds since 2000.
    Clock(i64),
    /// An instant in the database's unit.
    Time(i64),
    /// Days since 1970.
    Date(i32),
    /// A clock's reading in the database's unit.
    Reading(i64),
}

/// A number of up to 38 digits and its exponent of ten. In bytes, so that it does not make every [`Datum`] as wide as it is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numeric {
    mantissa: [u8; 16],
    pub exponent: i32,
}

impl Numeric {
    pub fn new(mantissa: i128, exponent: i32) -> Numeric {
        Numeric {
            mantissa: mantissa.to_le_bytes(),
            exponent,
        }
    }

    pub fn mantissa(self) -> i128 {
        i128::from_le_bytes(self.mantissa)
    }
}

/// Type OIDs whose values clients send.
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const NUMERIC: u32 = 1700;
    pub const JSONB: u32 = 3802;
}

impl<'a> Datum<'a> {
    /// A value of the wire. `None`: not a value of that type in that form.
    #[inline]
    pub fn decode(type_oid: u32, format: Format, value: &'a [u8]) -> Option<Datum<'a>> {
        match format {
            Format::Binary => Datum::decode_binary(type_oid, value),
            Format::Text => Some(match type_oid {
                // Cast to the column's type like the literal would be: '1.5' of a numeric parameter rounds in an integer column.
                oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC => match std::str::from_utf8(value) {
                    Ok(text) if super::number::parse_decimal(value).is_ok() => Datum::Number(text.trim()),
                    _ => Datum::Text(value),
                },
                _ => Datum::Text(value),
            }),
        }
    }

    #[inline]
    fn decode_binary(type_oid: u32, value: &'a [u8]) -> Option<Datum<'a>> {
        Some(match type_oid {
            oid::FLOAT8 => Datum::Double(f64::from_be_bytes(value.try_into().ok()?)),
            oid::INT8 => Datum::Integer(i64::from_be_bytes(value.try_into().ok()?)),
            oid::INT4 => Datum::Integer(i64::from(i32::from_be_bytes(value.try_into().ok()?))),
            oid::FLOAT4 => Datum::Real(f32::from_be_bytes(value.try_into().ok()?)),
            oid::TIMESTAMPTZ => Datum::Instant(i64::from_be_bytes(value.try_into().ok()?)),
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::UNKNOWN => Datum::Text(value),
            oid::INT2 => Datum::Integer(i64::from(i16::from_be_bytes(value.try_into().ok()?))),
            oid::OID => Datum::Integer(i64::from(u32::from_be_bytes(value.try_into().ok()?))),
            oid::BOOL => match value {
                [0] => Datum::Boolean(false),
                [1] => Datum::Boolean(true),
                _ => return None,
            },
            oid::TIMESTAMP => Datum::Clock(i64::from_be_bytes(value.try_into().ok()?)),
            oid::DATE => {
                let days = i32::from_be_bytes(value.try_into().ok()?);
                Datum::Date(days.checked_add((POSTGRES_EPOCH_SECONDS / 86_400) as i32)?) // 10,957
            }
            oid::NUMERIC => {
                let (mantissa, exponent) = decode_numeric(value)?;
                Datum::Numeric(Numeric::new(mantissa, exponent))
            }
            oid::BYTEA => Datum::Bytes(value),
            oid::JSONB => match value {
                [1, text @ ..] => Datum::Text(text),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// A value that the planner made for a column, its times in the database's unit. `None`: of a type that columns do not have.
    pub fn from_scalar(scalar: &'a ScalarValue) -> Option<Datum<'a>> {
        if scalar.is_null() {
            return Some(Datum::Null);
        }
        Some(match scalar {
            ScalarValue::Boolean(Some(value)) => Datum::Boolean(*value),
            ScalarValue::Int16(Some(value)) => Datum::Integer(i64::from(*value)),
            ScalarValue::Int32(Some(value)) => Datum::Integer(i64::from(*value)),
            ScalarValue::Int64(Some(value)) => Datum::Integer(*value),
            ScalarValue::Float32(Some(value)) => Datum::Real(*value),
            ScalarValue::Float64(Some(value)) => Datum::Double(*value),
            ScalarValue::Decimal128(Some(value), _, scale) => Datum::Numeric(Numeric::new(*value, -i32::from(*scale))),
            ScalarValue::LargeBinary(Some(key)) => match pg_type::numeric::decode_key(key) {
                pg_type::numeric::Numeric::Finite(decimal) => {
                    let mantissa = i128::try_from(&decimal.unscaled).ok()?;
                    Datum::Numeric(Numeric::new(mantissa, -i32::try_from(decimal.scale).ok()?))
                }
                _ => return None,
            },
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => Datum::Text(text.as_bytes()),
            ScalarValue::Binary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) => Datum::Bytes(bytes),
            ScalarValue::Date32(Some(days)) => Datum::Date(*days),
            ScalarValue::TimestampMillisecond(Some(time), zone)
            | ScalarValue::TimestampMicrosecond(Some(time), zone)
            | ScalarValue::TimestampNanosecond(Some(time), zone) => match zone {
                Some(_) => Datum::Time(*time),
                None => Datum::Reading(*time),
            },
            _ => return None,
        })
    }

    /// The name of its type for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Datum::Null | Datum::Text(_) => "text",
            Datum::Boolean(_) => "boolean",
            Datum::Integer(value) if i32::try_from(*value).is_ok() => "integer",
            Datum::Integer(_) => "bigint",
            Datum::Decimal(_) | Datum::Number(_) | Datum::Numeric(_) => "numeric",
            Datum::Real(_) => "real",
            Datum::Double(_) => "double precision",
            Datum::Bytes(_) => "bytea",
            Datum::Instant(_) | Datum::Time(_) => "timestamp with time zone",
            Datum::Clock(_) | Datum::Reading(_) => "timestamp without time zone",
            Datum::Date(_) => "date",
        }
    }

    /// Adds bytes that are equal for equal values of one source, to remember rows of tags by.
    pub fn write_key(&self, key: &mut Vec<u8>) {
        let mut put = |kind: u8, bytes: &[u8]| {
            key.push(kind);
            key.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            key.extend_from_slice(bytes);
        };
        match self {
            Datum::Null => put(0, &[]),
            Datum::Boolean(value) => put(1, &[u8::from(*value)]),
            Datum::Integer(value) => put(2, &value.to_le_bytes()),
            Datum::Decimal(Decimal { mantissa, scale }) => {
                put(3, &mantissa.to_le_bytes());
                put(3, &scale.to_le_bytes());
            }
            Datum::Number(text) => put(4, text.as_bytes()),
            Datum::Numeric(numeric) => {
                put(5, &numeric.mantissa);
                put(5, &numeric.exponent.to_le_bytes());
            }
            Datum::Real(value) => put(6, &value.to_le_bytes()),
            Datum::Double(value) => put(7, &value.to_le_bytes()),
            Datum::Text(text) => put(8, text),
            Datum::Bytes(bytes) => put(9, bytes),
            Datum::Instant(value) => put(10, &value.to_le_bytes()),
            Datum::Clock(value) => put(11, &value.to_le_bytes()),
            Datum::Time(value) => put(12, &value.to_le_bytes()),
            Datum::Date(value) => put(13, &value.to_le_bytes()),
            Datum::Reading(value) => put(14, &value.to_le_bytes()),
        }
    }
}

/// Why a value does not go into a column.
#[derive(Debug)]
pub enum ValueError {
    /// There is no assignment cast from this type.
    Mismatch(&'static str),
    Value(Box<QueryError>),
}

impl From<Box<QueryError>> for ValueError {
    fn from(error: Box<QueryError>) -> ValueError {
        ValueError::Value(error)
    }
}

impl ValueError {
    /// As the client sees it.
    #[cold]
    pub fn for_column(self, column: &str, type_name: &str) -> QueryError {
        match self {
            ValueError::Value(error) => *error,
            ValueError::Mismatch(given) => QueryError::new(
                ErrorKind::DatatypeMismatch,
                format!("column \"{column}\" is of type {type_name} but expression is of type {given}"),
            )
            .with_hint("You will need to rewrite or cast the expression."),
        }
    }
}

/// 23502 as PostgreSQL words it.
#[cold]
pub fn null_violation(column: &str, relation: &str) -> QueryError {
    QueryError::new(
        ErrorKind::NotNullViolation,
        format!("null value in column \"{column}\" of relation \"{relation}\" violates not-null constraint"),
    )
}
