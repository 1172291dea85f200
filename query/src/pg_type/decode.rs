//! Bind parameters and quoted literals to values, with PostgreSQL's errors.

use std::sync::Arc;

use arrow::datatypes::IntervalMonthDayNano;
use chrono_tz::Tz;
use datafusion::common::ScalarValue;

use super::interval::parse_interval;
use super::numeric::Numeric;
use super::time::{self, Reading, TimeError};
use super::{Format, Parameter, array, arrow_type, element_oid, json, oid, type_name, utc};
use crate::functions::numeric::refused;
use crate::{ErrorKind, QueryError};

/// Microseconds and days from 1970 to PostgreSQL's epoch, 2000-01-01.
const EPOCH_2000_US: i64 = 946_684_800_000_000;
const EPOCH_2000_DAYS: i32 = 10_957;

/// PostgreSQL's timestamps begin with 4714-11-24 BC, Julian day 0, and end before 294277-01-01.
const TIMESTAMP_MIN_NS: i128 = -210_866_803_200 * 1_000_000_000;
const TIMESTAMP_END_NS: i128 = 9_224_318_016_000 * 1_000_000_000;

/// The value of a Bind parameter of this type. Texts of times are read as `reading` says. Timestamps come in microseconds, or in
/// nanoseconds where their text has that many digits.
pub fn decode_parameter(
    oid: u32,
    parameter: &Parameter,
    reading: impl Into<Reading>,
) -> Result<ScalarValue, QueryError> {
    let Some(data_type) = arrow_type(oid) else {
        return Err(QueryError::new(
            ErrorKind::FeatureNotSupported,
            format!("parameters of {} are not supported", type_name(oid)),
        ));
    };
    // Of an object's name it is not known here what it means.
    if matches!(
        oid,
        oid::REGPROC | oid::REGCLASS | oid::REGTYPE | oid::REGNAMESPACE | oid::REGROLE
    ) {
        return object_name(parameter);
    }
    match (&parameter.value, parameter.format) {
        (None, _) => Ok(ScalarValue::try_from(&data_type).unwrap_or(ScalarValue::Null)),
        (Some(bytes), Format::Text) => parse_literal(oid, utf8(bytes)?, reading),
        (Some(bytes), Format::Binary) => binary(oid, bytes),
    }
}

/// A name as text, or an OID as its digits.
fn object_name(parameter: &Parameter) -> Result<ScalarValue, QueryError> {
    let name = match (&parameter.value, parameter.format) {
        (None, _) => None,
        (Some(bytes), Format::Text) => Some(utf8(bytes)?.to_owned()),
        (Some(bytes), Format::Binary) => match binary(oid::OID, bytes)? {
            ScalarValue::UInt32(oid) => oid.map(|oid| oid.to_string()),
            _ => None,
        },
    };
    Ok(ScalarValue::Utf8View(name))
}

fn utf8(bytes: &[u8]) -> Result<&str, QueryError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(QueryError::new(
            ErrorKind::CharacterNotInRepertoire,
            "invalid byte sequence for encoding \"UTF8\"",
        )),
    }
}

fn syntax(oid: u32, text: &str) -> QueryError {
    let kind = match oid {
        oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => ErrorKind::InvalidDatetimeFormat,
        _ => ErrorKind::InvalidTextRepresentation,
    };
    let shown: String = text.chars().take(200).collect();
    QueryError::new(
        kind,
        format!("invalid input syntax for type {}: \"{shown}\"", type_name(oid)),
    )
}

pub(super) fn out_of_range(oid: u32, text: &str) -> QueryError {
    QueryError::new(
        ErrorKind::NumericValueOutOfRange,
        format!("value \"{text}\" is out of range for type {}", type_name(oid)),
    )
}

/// Maps what `time` says about a text.
fn time_error(oid: u32, text: &str) -> impl Fn(TimeError) -> QueryError {
    move |error| match error {
        TimeError::Syntax => syntax(oid, text),
        TimeError::Range => QueryError::new(
            ErrorKind::DatetimeFieldOverflow,
            format!("date/time field value out of range: \"{text}\""),
        ),
        TimeError::Zone => {
            let name = text.split_whitespace().next_back().unwrap_or_default().to_lowercase();
            QueryError::new(
                ErrorKind::InvalidParameterValue,
                format!("time zone \"{name}\" not recognized"),
            )
        }
    }
}

/// The value that a text has as this type, as PostgreSQL's input function of the type reads it.
pub fn parse_literal(oid: u32, text: &str, reading: impl Into<Reading>) -> Result<ScalarValue, QueryError> {
    let reading = reading.into();
    if let Some(element) = element_oid(oid) {
        return array::read_text(oid, element, text, reading);
    }
    let trimmed = text.trim();
    let integer = || integer_text(oid, trimmed);
    Ok(match oid {
        oid::BOOL => ScalarValue::Boolean(Some(bool_text(trimmed).ok_or_else(|| syntax(oid, text))?)),
        oid::INT2 => i16::try_from(integer()?)
            .map(|value| ScalarValue::Int16(Some(value)))
            .map_err(|_| out_of_range(oid, trimmed))?,
        oid::INT4 => i32::try_from(integer()?)
            .map(|value| ScalarValue::Int32(Some(value)))
            .map_err(|_| out_of_range(oid, trimmed))?,
        oid::INT8 => ScalarValue::Int64(Some(integer()?)),
        oid::OID => u32::try_from(integer()?)
            .map(|value| ScalarValue::UInt32(Some(value)))
            .map_err(|_| out_of_range(oid, trimmed))?,
        oid::FLOAT4 => ScalarValue::Float32(Some(float_text(oid, trimmed)? as f32)),
        oid::FLOAT8 => ScalarValue::Float64(Some(float_text(oid, trimmed)?)),
        oid::NUMERIC => Numeric::parse(trimmed).map_err(|error| refused(error, text))?.scalar(),
        oid::BYTEA => ScalarValue::BinaryView(Some(bytea_text(text).ok_or_else(|| bytea_error(text))?)),
        oid::DATE => ScalarValue::Date32(Some(time::parse_date(trimmed, reading).map_err(time_error(oid, text))?)),
        oid::TIME => ScalarValue::Time64Microsecond(Some(time::parse_time(trimmed).map_err(time_error(oid, text))?)),
        oid::TIMESTAMP => timestamp(
            time::parse_timestamp(trimmed, reading).map_err(time_error(oid, text))?,
            None,
            text,
        )?,
        oid::TIMESTAMPTZ => timestamp(
            time::parse_timestamptz(trimmed, reading).map_err(time_error(oid, text))?,
            Some(utc()),
            text,
        )?,
        oid::INTERVAL => {
            ScalarValue::IntervalMonthDayNano(Some(parse_interval(text).ok_or_else(|| syntax(oid, text))?))
        }
        oid::UUID => ScalarValue::Utf8View(Some(uuid_text(trimmed).ok_or_else(|| syntax(oid, text))?)),
        oid::JSON => {
            json::check(text)?;
            ScalarValue::Utf8View(Some(text.to_string()))
        }
        oid::JSONB => ScalarValue::Utf8View(Some(json::normalized(text)?)),
        oid::BPCHAR => ScalarValue::Utf8View(Some(text.trim_end_matches(' ').to_string())),
        _ => ScalarValue::Utf8View(Some(text.to_string())),
    })
}

fn timestamp(nanoseconds: i128, zone: Option<Arc<str>>, text: &str) -> Result<ScalarValue, QueryError> {
    let overflow = || {
        QueryError::new(
            ErrorKind::DatetimeFieldOverflow,
            format!("timestamp out of range: \"{text}\""),
        )
    };
    let infinite = match nanoseconds {
        time::INFINITY => Some(i64::MAX),
        time::NEGATIVE_INFINITY => Some(i64::MIN),
        _ => None,
    };
    if infinite.is_some() {
        return Ok(ScalarValue::TimestampMicrosecond(infinite, zone));
    }
    if !(TIMESTAMP_MIN_NS..TIMESTAMP_END_NS).contains(&nanoseconds) {
        return Err(overflow());
    }
    if nanoseconds % 1_000 != 0
        && let Ok(value) = i64::try_from(nanoseconds)
    {
        return Ok(ScalarValue::TimestampNanosecond(Some(value), zone));
    }
    let value = i64::try_from(nanoseconds.div_euclid(1_000)).map_err(|_| overflow())?;
    Ok(ScalarValue::TimestampMicrosecond(Some(value), zone))
}

fn bool_text(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    // Any beginning of a word that fits only one of them.
    let begins = |word: &str, least: usize| lower.len() >= least && word.starts_with(&lower);
    if begins("true", 1) || begins("yes", 1) || lower == "on" || lower == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || lower == "0" {
        Some(false)
    } else {
        None
    }
}

fn integer_text(oid: u32, text: &str) -> Result<i64, QueryError> {
    match text.parse::<i64>() {
        Ok(value) => Ok(value),
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => Err(out_of_range(oid, text)),
            _ => Err(syntax(oid, text)),
        },
    }
}

fn float_text(oid: u32, text: &str) -> Result<f64, QueryError> {
    let value = fast_float2::parse::<f64, _>(text).map_err(|_| syntax(oid, text))?;
    let named = text.bytes().any(|byte| matches!(byte, b'i' | b'I' | b'n' | b'N'));
    let fits = value.is_finite() && (oid == oid::FLOAT8 || (value as f32).is_finite());
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    let vanished = (value == 0.0 || (oid == oid::FLOAT4 && value as f32 == 0.0))
        && digits.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if !named && (!fits || vanished) {
        return Err(QueryError::new(
            ErrorKind::NumericValueOutOfRange,
            format!("\"{text}\" is out of range for type {}", type_name(oid)),
        ));
    }
    Ok(value)
}

fn bytea_error(text: &str) -> QueryError {
    let wrong = text.strip_prefix("\\x").and_then(|hex| {
        hex.chars()
            .find(|digit| !digit.is_ascii_hexdigit() && !digit.is_ascii_whitespace())
    });
    let message = match wrong {
        Some(digit) => format!("invalid hexadecimal digit: \"{digit}\""),
        None if text.starts_with("\\x") => "invalid hexadecimal data: odd number of digits".to_string(),
        None => {
            return QueryError::new(
                ErrorKind::InvalidTextRepresentation,
                "invalid input syntax for type bytea",
            );
        }
    };
    QueryError::new(ErrorKind::InvalidParameterValue, message)
}

fn bytea_text(text: &str) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = hex
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| (byte as char).to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()?;
        if !digits.len().is_multiple_of(2) {
            return None;
        }
        return Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => out.push(b'\\'),
            first @ b'0'..=b'3' => {
                let octal = |byte: u8| (b'0'..=b'7').contains(&byte).then(|| byte - b'0');
                let (second, third) = (octal(bytes.next()?)?, octal(bytes.next()?)?);
                out.push((first - b'0') << 6 | second << 3 | third);
            }
            _ => return None,
        }
    }
    Some(out)
}

/// The canonical spelling, lower case with dashes.
fn uuid_text(text: &str) -> Option<String> {
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text);
    let digits: String = inner.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    Some(format!(
        "{}-{}-{}-{}-{}",
        &lower[..8],
        &lower[8..12],
        &lower[12..16],
        &lower[16..20],
        &lower[20..]
    ))
}

pub(super) fn null_of(oid: u32) -> ScalarValue {
    arrow_type(oid)
        .and_then(|data_type| ScalarValue::try_from(&data_type).ok())
        .unwrap_or(ScalarValue::Null)
}

/// The value of a binary parameter.
pub(super) fn binary(oid: u32, bytes: &[u8]) -> Result<ScalarValue, QueryError> {
    if let Some(element) = element_oid(oid) {
        return array::read_binary(oid, element, bytes);
    }
    let bad = || {
        QueryError::new(
            ErrorKind::InvalidBinaryRepresentation,
            format!("incorrect binary data format for type {}", type_name(oid)),
        )
    };
    fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.try_into().ok()
    }
    let value = match oid {
        oid::BOOL => fixed::<1>(bytes).map(|byte| ScalarValue::Boolean(Some(byte[0] != 0))),
        oid::INT2 => fixed(bytes).map(|value| ScalarValue::Int16(Some(i16::from_be_bytes(value)))),
        oid::INT4 => fixed(bytes).map(|value| ScalarValue::Int32(Some(i32::from_be_bytes(value)))),
        oid::INT8 => fixed(bytes).map(|value| ScalarValue::Int64(Some(i64::from_be_bytes(value)))),
        oid::OID => fixed(bytes).map(|value| ScalarValue::UInt32(Some(u32::from_be_bytes(value)))),
        oid::FLOAT4 => fixed(bytes).map(|value| ScalarValue::Float32(Some(f32::from_be_bytes(value)))),
        oid::FLOAT8 => fixed(bytes).map(|value| ScalarValue::Float64(Some(f64::from_be_bytes(value)))),
        oid::NUMERIC => Numeric::decode(bytes).map(|value| value.scalar()),
        oid::BYTEA => Some(ScalarValue::BinaryView(Some(bytes.to_vec()))),
        oid::DATE => fixed(bytes)
            .and_then(|value| match i32::from_be_bytes(value) {
                infinite @ (i32::MIN | i32::MAX) => Some(infinite),
                days => days.checked_add(EPOCH_2000_DAYS),
            })
            .map(|days| ScalarValue::Date32(Some(days))),
        oid::TIME => fixed(bytes)
            .map(i64::from_be_bytes)
            .filter(|value| (0..86_400_000_000).contains(value))
            .map(|value| ScalarValue::Time64Microsecond(Some(value))),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let zone = (oid == oid::TIMESTAMPTZ).then(utc);
            fixed(bytes)
                .and_then(|value| match i64::from_be_bytes(value) {
                    infinite @ (i64::MIN | i64::MAX) => Some(infinite),
                    value => value.checked_add(EPOCH_2000_US),
                })
                .map(|value| ScalarValue::TimestampMicrosecond(Some(value), zone))
        }
        oid::INTERVAL => fixed::<16>(bytes).and_then(|value| {
            let microseconds = i64::from_be_bytes(fixed(&value[..8])?);
            let days = i32::from_be_bytes(fixed(&value[8..12])?);
            let months = i32::from_be_bytes(fixed(&value[12..])?);
            let nanoseconds = microseconds.checked_mul(1_000)?;
            Some(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(
                months,
                days,
                nanoseconds,
            ))))
        }),
        oid::UUID => fixed::<16>(bytes).and_then(|value| {
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            uuid_text(&hex).map(|text| ScalarValue::Utf8View(Some(text)))
        }),
        oid::JSONB => match bytes.split_first() {
            // The format's version.
            Some((1, text)) => return parse_literal(oid, utf8(text)?, Tz::UTC),
            _ => None,
        },
        oid::JSON | oid::BPCHAR => return parse_literal(oid, utf8(bytes)?, Tz::UTC),
        _ => return Ok(ScalarValue::Utf8View(Some(utf8(bytes)?.to_string()))),
    };
    match value {
        Some(value) => Ok(value),
        None if fixed_bytes(oid).is_some_and(|wanted| bytes.len() < wanted) => {
            let message = "insufficient data left in message";
            Err(QueryError::new(ErrorKind::ProtocolViolation, message))
        }
        None => Err(bad()),
    }
}

/// How many bytes a binary value of the type has, where all have the same.
fn fixed_bytes(oid: u32) -> Option<usize> {
    match oid {
        oid::BOOL => Some(1),
        oid::INT2 => Some(2),
        oid::INT4 | oid::OID | oid::FLOAT4 | oid::DATE => Some(4),
        oid::INT8 | oid::FLOAT8 | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => Some(8),
        oid::INTERVAL | oid::UUID => Some(16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    fn text(oid: u32, text: &str) -> Result<ScalarValue, QueryError> {
        let parameter = Parameter {
            format: Format::Text,
            value: Some(text.as_bytes().to_vec().into()),
        };
        decode_parameter(oid, &parameter, Tz::Europe__Berlin)
    }

    #[test]
    fn text_parameters() {
        assert_eq!(text(oid::INT4, " 42 ").unwrap(), ScalarValue::Int32(Some(42)));
        assert_eq!(text(oid::BOOL, "t").unwrap(), ScalarValue::Boolean(Some(true)));
        assert_eq!(text(oid::BOOL, "off").unwrap(), ScalarValue::Boolean(Some(false)));
        assert_eq!(text(oid::FLOAT8, "NaN").unwrap().to_string(), "NaN");
        assert_eq!(
            text(oid::BYTEA, "\\x00ff").unwrap(),
            ScalarValue::BinaryView(Some(vec![0, 255]))
        );
        assert_eq!(
            text(oid::TIMESTAMPTZ, "1970-01-01 01:00").unwrap(),
            ScalarValue::TimestampMicrosecond(Some(0), Some(utc()))
        );
        assert_eq!(
            text(oid::UUID, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}").unwrap(),
            ScalarValue::Utf8View(Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".into()))
        );
    }

    #[test]
    fn errors_are_postgresqls() {
        let message = |oid, value: &str| text(oid, value).unwrap_err().message;
        assert_eq!(
            message(oid::INT4, "abc"),
            "invalid input syntax for type integer: \"abc\""
        );
        assert_eq!(
            message(oid::INT4, "3000000000"),
            "value \"3000000000\" is out of range for type integer"
        );
        assert_eq!(
            message(oid::TIMESTAMPTZ, "soon"),
            "invalid input syntax for type timestamp with time zone: \"soon\""
        );
        assert_eq!(message(oid::FLOAT4, "1e400"), "\"1e400\" is out of range for type real");
        assert_eq!(message(oid::JSONB, "{"), "invalid input syntax for type json");
        assert_eq!(message(1007, "{1"), "malformed array literal: \"{1\"");
    }

    #[test]
    fn arrays_of_one_dimension() {
        let ScalarValue::List(list) = text(1009, "{a,\"b c\",NULL,\"\\\"\"}").unwrap() else {
            panic!("not a list")
        };
        assert_eq!(list.value_length(0), 4);
        assert_eq!(list.values().null_count(), 1);
        let mut bytes = Vec::new();
        for word in [1, 0, oid::INT8 as i32, 2, 1, 8, 0, 5, -1] {
            bytes.extend_from_slice(&i32::to_be_bytes(word));
        }
        let parameter = Parameter {
            format: Format::Binary,
            value: Some(bytes.into()),
        };
        let ScalarValue::List(list) = decode_parameter(1016, &parameter, Tz::UTC).unwrap() else {
            panic!("not a list")
        };
        assert_eq!(list.value_length(0), 2);
    }

    #[test]
    fn binary_values_of_another_length_are_refused() {
        let refused = |oid, bytes: &'static [u8]| {
            let parameter = Parameter {
                format: Format::Binary,
                value: Some(bytes.into()),
            };
            decode_parameter(oid, &parameter, Tz::UTC).unwrap_err().kind
        };
        for oid in [oid::INT4, oid::INT8, oid::FLOAT8, oid::TIMESTAMPTZ, oid::INTERVAL] {
            assert_eq!(refused(oid, &[1, 2, 3]), ErrorKind::ProtocolViolation);
            assert_eq!(refused(oid, &[0; 17]), ErrorKind::InvalidBinaryRepresentation);
        }
        for oid in [oid::BOOL, oid::INT2, oid::NUMERIC] {
            assert_eq!(refused(oid, &[1, 2, 3]), ErrorKind::InvalidBinaryRepresentation);
        }
    }
}
