//! What a column makes of a value: PostgreSQL's assignment casts, and the text of types that are not numbers or times.

use arrow::array::StringViewBuilder;

use super::column::TextRule;
use super::datum::{Datum, Numeric, ValueError};
use super::number::{self, NumericType, invalid_syntax, shown};
use super::time::TimeReader;
use crate::pg_type::json;
use crate::{ErrorKind, QueryError};

type Result<T> = std::result::Result<T, ValueError>;

#[cold]
pub(super) fn type_range(type_name: &str) -> ValueError {
    ValueError::Value(Box::new(QueryError::new(
        ErrorKind::NumericValueOutOfRange,
        format!("{type_name} out of range"),
    )))
}

pub(super) fn to_boolean(datum: Datum<'_>) -> Result<bool> {
    match datum {
        Datum::Boolean(value) => Ok(value),
        Datum::Text(text) => Ok(parse_boolean(text)?),
        other => Err(ValueError::Mismatch(other.type_name())),
    }
}

pub(super) fn to_integer<T: TryFrom<i64> + TryFrom<i128>>(datum: Datum<'_>, type_name: &str) -> Result<T> {
    let value = match datum {
        Datum::Integer(value) => i128::from(value),
        Datum::Text(text) => return Ok(number::parse_integer(text, type_name)?),
        Datum::Decimal(decimal) => i128::from(decimal.to_i64()),
        Datum::Real(value) => round_float(f64::from(value), type_name)?,
        Datum::Double(value) => round_float(value, type_name)?,
        Datum::Number(_) | Datum::Numeric(_) => to_numeric(datum, WHOLE).map_err(|_| type_range(type_name))?,
        other => return Err(ValueError::Mismatch(other.type_name())),
    };
    T::try_from(value).map_err(|_| type_range(type_name))
}

/// For rounding a numeric to whole numbers.
const WHOLE: NumericType = NumericType {
    precision: 38,
    scale: 0,
};

/// To the nearest integer, halves to even, as PostgreSQL casts floats.
fn round_float(value: f64, type_name: &str) -> Result<i128> {
    // NaN and the infinities are beyond any bound; casts of such large floats saturate.
    if !value.is_finite() || value.abs() >= 1e20 {
        return Err(type_range(type_name));
    }
    Ok(value.round_ties_even() as i128)
}

pub(super) fn to_f64(datum: Datum<'_>) -> Result<f64> {
    Ok(match datum {
        Datum::Double(value) => value,
        Datum::Real(value) => f64::from(value),
        Datum::Integer(value) => value as f64,
        Datum::Decimal(decimal) => match decimal.to_f64() {
            Some(value) => value,
            None => number::parse_f64(format!("{}e-{}", decimal.mantissa, decimal.scale).as_bytes())?,
        },
        Datum::Number(text) => number::parse_f64(text.as_bytes())?,
        Datum::Numeric(numeric) => number::parse_f64(scientific(numeric).as_bytes())?,
        Datum::Text(text) => number::parse_f64(text)?,
        other => return Err(ValueError::Mismatch(other.type_name())),
    })
}

pub(super) fn to_f32(datum: Datum<'_>) -> Result<f32> {
    Ok(match datum {
        Datum::Real(value) => value,
        Datum::Double(value) => {
            let narrowed = value as f32;
            if narrowed.is_infinite() && value.is_finite() {
                return Err(type_range("real"));
            }
            narrowed
        }
        Datum::Integer(value) => value as f32,
        Datum::Decimal(decimal) => match decimal.to_f32() {
            Some(value) => value,
            None => number::parse_f32(format!("{}e-{}", decimal.mantissa, decimal.scale).as_bytes())?,
        },
        Datum::Number(text) => number::parse_f32(text.as_bytes())?,
        Datum::Numeric(numeric) => number::parse_f32(scientific(numeric).as_bytes())?,
        Datum::Text(text) => number::parse_f32(text)?,
        other => return Err(ValueError::Mismatch(other.type_name())),
    })
}

fn scientific(numeric: Numeric) -> String {
    format!("{}e{}", numeric.mantissa(), numeric.exponent)
}

pub(super) fn to_numeric(datum: Datum<'_>, numeric: NumericType) -> Result<i128> {
    Ok(match datum {
        Datum::Integer(value) => numeric.fit(i128::from(value), 0)?,
        Datum::Decimal(decimal) => numeric.fit(i128::from(decimal.mantissa), -(decimal.scale as i32))?, // scale is at most 18
        Datum::Number(text) => numeric.parse(text.as_bytes())?,
        Datum::Numeric(value) => numeric.fit(value.mantissa(), value.exponent)?,
        // PostgreSQL casts floats by way of their 15 or 6 significant digits.
        Datum::Double(value) => numeric.parse(format!("{value:.14e}").as_bytes())?,
        Datum::Real(value) => numeric.parse(format!("{value:.5e}").as_bytes())?,
        Datum::Text(text) => numeric.parse(text)?,
        other => return Err(ValueError::Mismatch(other.type_name())),
    })
}

/// A time in the database's unit; whole numbers are in that unit already.
pub fn to_time(datum: Datum<'_>, zoned: bool, times: &mut TimeReader) -> Result<i64> {
    Ok(match datum {
        Datum::Text(text) => times.parse(text, zoned)?,
        Datum::Integer(value) => value,
        Datum::Instant(microseconds) => {
            let time = times.from_postgres_microseconds(microseconds)?;
            if zoned { time } else { times.shift_zone(time, false) }
        }
        Datum::Clock(microseconds) => {
            let time = times.from_postgres_microseconds(microseconds)?;
            if zoned { times.shift_zone(time, true) } else { time }
        }
        Datum::Time(time) => {
            if zoned {
                time
            } else {
                times.shift_zone(time, false)
            }
        }
        Datum::Reading(time) => {
            if zoned {
                times.shift_zone(time, true)
            } else {
                time
            }
        }
        Datum::Date(days) => times.from_date(days, zoned)?,
        other => return Err(ValueError::Mismatch(other.type_name())),
    })
}

/// PostgreSQL's spellings: `t`, `yes`, `on`, `1` and their beginnings.
fn parse_boolean(text: &[u8]) -> std::result::Result<bool, Box<QueryError>> {
    let word = text.trim_ascii().to_ascii_lowercase();
    let begins = |full: &[u8], least: usize| word.len() >= least && full.starts_with(&word);
    if begins(b"true", 1) || begins(b"yes", 1) || begins(b"on", 2) || word == b"1" {
        Ok(true)
    } else if begins(b"false", 1) || begins(b"no", 1) || begins(b"off", 2) || word == b"0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// Text that is UTF-8 and has no zero byte, which PostgreSQL's clients could not be told.
pub fn valid_text(text: &[u8]) -> std::result::Result<&str, Box<QueryError>> {
    let invalid = |at: usize, length: usize| {
        let bytes: Vec<String> = text[at..at + length]
            .iter()
            .map(|byte| format!("0x{byte:02x}"))
            .collect();
        Box::new(QueryError::new(
            ErrorKind::CharacterNotInRepertoire,
            format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" ")),
        ))
    };
    let valid = std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to();
        let length = error.error_len().unwrap_or(text.len() - at);
        invalid(at, length)
    })?;
    match text.iter().position(|byte| *byte == 0) {
        Some(at) => Err(invalid(at, 1)),
        None => Ok(valid),
    }
}

#[inline]
pub(super) fn push_text(builder: &mut StringViewBuilder, rule: TextRule, text: &[u8]) -> Result<()> {
    let text = valid_text(text)?;
    let text = match rule {
        TextRule::Any => text,
        TextRule::Varchar(length) => limit(text, length, "character varying")?,
        TextRule::Char(length) => limit(text.trim_end_matches(' '), length, "character")?,
        TextRule::Json => &json::normalized(text).map_err(Box::new)?,
    };
    builder
        .try_append_value(text)
        .map_err(|error| Box::new(QueryError::new(ErrorKind::ProgramLimitExceeded, error.to_string())))?;
    Ok(())
}

/// The text if it has at most `length` characters; spaces past them are cut, as PostgreSQL does.
fn limit<'a>(text: &'a str, length: u32, type_name: &str) -> std::result::Result<&'a str, Box<QueryError>> {
    let length = length as usize;
    if text.len() <= length {
        return Ok(text); // no more characters than bytes
    }
    let Some((end, _)) = text.char_indices().nth(length) else {
        return Ok(text);
    };
    if text[end..].bytes().all(|byte| byte == b' ') {
        return Ok(&text[..end]);
    }
    Err(Box::new(QueryError::new(
        ErrorKind::StringDataRightTruncation,
        format!("value too long for type {type_name}({length})"),
    )))
}

/// Numbers and other types where text is wanted.
pub(super) fn push_as_text(
    builder: &mut StringViewBuilder,
    rule: TextRule,
    datum: Datum<'_>,
    times: &mut TimeReader,
) -> Result<()> {
    if rule == TextRule::Json {
        return Err(ValueError::Mismatch(datum.type_name()));
    }
    let text = match datum {
        Datum::Boolean(value) => value.to_string(),
        Datum::Integer(value) => value.to_string(),
        Datum::Decimal(decimal) => decimal_text(i128::from(decimal.mantissa), decimal.scale as usize),
        Datum::Number(text) => text.to_owned(),
        Datum::Numeric(numeric) if numeric.exponent <= 0 => {
            decimal_text(numeric.mantissa(), numeric.exponent.unsigned_abs() as usize)
        }
        Datum::Numeric(numeric) => {
            let zeros = "0".repeat(numeric.exponent.unsigned_abs() as usize);
            format!("{}{zeros}", numeric.mantissa())
        }
        Datum::Real(value) => value.to_string(),
        Datum::Double(value) => value.to_string(),
        Datum::Instant(time) => times.format(times.from_postgres_microseconds(time)?),
        Datum::Time(time) | Datum::Reading(time) => times.format(time),
        other => return Err(ValueError::Mismatch(other.type_name())),
    };
    push_text(builder, rule, text.as_bytes())
}

fn decimal_text(mantissa: i128, scale: usize) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// `\x` and hexadecimal digits, or the escape form with `\\` and `\ooo`.
pub(super) fn parse_bytea(text: &[u8]) -> std::result::Result<Vec<u8>, Box<QueryError>> {
    if let Some(digits) = text.strip_prefix(b"\\x") {
        return parse_hex(digits);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        (rest, _) = match (first, tail) {
            (b'\\', [b'\\', tail @ ..]) => (tail, bytes.push(b'\\')),
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                (tail, bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')))
            }
            (b'\\', _) => {
                return Err(Box::new(QueryError::new(
                    ErrorKind::InvalidTextRepresentation,
                    "invalid input syntax for type bytea",
                )));
            }
            (byte, tail) => (tail, bytes.push(*byte)),
        };
    }
    Ok(bytes)
}

fn parse_hex(digits: &[u8]) -> std::result::Result<Vec<u8>, Box<QueryError>> {
    let invalid = |message: String| Box::new(QueryError::new(ErrorKind::InvalidParameterValue, message));
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut high = None;
    for byte in digits {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            byte if byte.is_ascii_whitespace() && high.is_none() => continue,
            byte => return Err(invalid(format!("invalid hexadecimal digit: \"{}\"", shown(&[*byte])))),
        };
        match high.take() {
            Some(high) => bytes.push(high << 4 | digit),
            None => high = Some(digit),
        }
    }
    match high {
        Some(_) => Err(invalid("invalid hexadecimal data: odd number of digits".into())),
        None => Ok(bytes),
    }
}
