//! Numbers from their text: scanned once, exactly, without an allocation.
//!
//! Most sensor values are short: a few digits, perhaps a point. [`scan_integer`] and [`scan_decimal`] read those in one pass and stop at the
//! first byte that does not belong, so that a caller finds the delimiter and the value together. Everything else (exponents, `NaN`, more
//! digits than fit) goes through the slower functions below, which take the whole field.

use crate::{ErrorKind, QueryError};

/// Digits whose value always fits an `i64`.
const INTEGER_DIGITS_MAX: usize = 18;

/// Digits of a mantissa that doubles hold exactly (2^53 is above 9 * 10^15).
const EXACT_DIGITS_MAX: u32 = 15;

/// A number written as digits with at most one point: `mantissa / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub mantissa: i64,
    pub scale: u32,
}

/// Powers of ten that doubles hold exactly: 10^0 to 10^22. Only the scales that [`scan_decimal`] gives are needed.
const POWERS_F64: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
];

/// Reads an optional minus and 1 to 18 digits at the start of `bytes`: the value and the bytes read.
#[inline]
pub fn scan_integer(bytes: &[u8]) -> Option<(i64, usize)> {
    if let Some(short) = scan_digits(bytes) {
        return Some(short);
    }
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut value = 0i64;
    let mut at = start;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        at += 1;
    }
    let digits = at - start;
    if digits == 0 || digits > INTEGER_DIGITS_MAX {
        return None;
    }
    Some((if negative { -value } else { value }, at))
}

/// Reads 1 to 7 digits at the start of `bytes`: the value and the bytes read. `None` where there are none or more, or the bytes end near by.
///
/// Eight bytes are looked at together, so that how many digits a number has is no branch that could be foretold wrongly.
#[inline(always)]
fn scan_digits(bytes: &[u8]) -> Option<(i64, usize)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    // Digits become 0 to 9. What is above 9 carries into its highest bit; what it carries further up is behind the end.
    let values = word ^ (ONES * 0x30);
    let others = (values.wrapping_add(ONES * 0x76) | values) & (ONES * 0x80);
    let length = others.trailing_zeros() as usize / 8;
    if length == 0 || others == 0 {
        return None;
    }
    // Zeros in front; then neighbours are put together three times: 8 digits, 4 pairs, 2 fours, the number.
    let digits = values << (64 - 8 * length);
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    let number = fours.wrapping_mul(10_000 << 32 | 1) >> 32;
    Some((number as i64, length))
}

/// As [`scan_decimal`] of a number with at most seven digits before and behind the point, or none.
#[inline(always)]
fn scan_short(bytes: &[u8]) -> Option<(Decimal, usize)> {
    const POWERS: [i64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut mantissa, length) = scan_digits(bytes.get(start..)?)?;
    let mut at = start + length;
    let mut scale = 0;
    if bytes.get(at) == Some(&b'.') {
        let (fraction, length) = scan_digits(bytes.get(at + 1..)?)?;
        mantissa = mantissa * POWERS[length] + fraction;
        scale = length as u32;
        at += 1 + length;
    }
    if negative {
        if mantissa == 0 {
            return None;
        }
        mantissa = -mantissa;
    }
    Some((Decimal { mantissa, scale }, at))
}

/// Reads an optional minus and 1 to 18 digits with at most one point among them: the value and the bytes read.
#[inline(always)]
pub fn scan_decimal(bytes: &[u8]) -> Option<(Decimal, usize)> {
    scan_short(bytes).or_else(|| scan_long(bytes))
}

#[inline(never)]
fn scan_long(bytes: &[u8]) -> Option<(Decimal, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut value = 0i64;
    let mut at = start;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        at += 1;
    }
    let mut digits = at - start;
    let mut scale = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        let fraction = at;
        while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            at += 1;
        }
        scale = at - fraction;
        digits += scale;
    }
    // "-0" is left to the slow way, where a float keeps its sign.
    if digits == 0 || digits > INTEGER_DIGITS_MAX || (negative && value == 0) {
        return None;
    }
    let decimal = Decimal {
        mantissa: if negative { -value } else { value },
        scale: scale as u32,
    };
    Some((decimal, at))
}

impl Decimal {
    /// The nearest double, when it follows from one division of two exact doubles.
    #[inline(always)]
    pub fn to_f64(self) -> Option<f64> {
        if self.scale == 0 && self.mantissa.unsigned_abs() < 1 << 53 {
            return Some(self.mantissa as f64);
        }
        // 10^15 is below 2^53: mantissa and power are exact, so the one rounding is that of the division.
        if self.mantissa.unsigned_abs() > 10u64.pow(EXACT_DIGITS_MAX) {
            return None;
        }
        let power = POWERS_F64.get(self.scale as usize)?;
        Some(self.mantissa as f64 / power)
    }

    /// The nearest single, by way of the double where rounding twice gives the same.
    #[inline]
    pub fn to_f32(self) -> Option<f32> {
        narrow(self.to_f64()?)
    }

    /// Rounded half away from zero, as PostgreSQL casts numeric to integers.
    pub fn to_i64(self) -> i64 {
        let power = 10i128.pow(self.scale);
        round_divide(i128::from(self.mantissa), power) as i64 // no larger than the mantissa
    }
}

/// The single nearest to what `value` is the nearest double of; `None` where that needs the digits.
///
/// Rounding twice goes wrong only if the double lies exactly between two singles: the 29 bits that singles lack are then 1 followed by
/// zeros. Subnormal singles lack more bits, so they are left to the digits too.
#[inline]
fn narrow(value: f64) -> Option<f32> {
    const LOST_BITS: u64 = (1 << 29) - 1;
    const HALF: u64 = 1 << 28;
    let magnitude = value.abs();
    if value.to_bits() & LOST_BITS == HALF || (magnitude < 1e-37 && magnitude != 0.0) || magnitude > 1e38 {
        return None;
    }
    Some(value as f32)
}

fn round_divide(value: i128, divisor: i128) -> i128 {
    let quotient = value / divisor;
    let rest = (value % divisor).abs();
    if rest * 2 >= divisor {
        quotient + value.signum()
    } else {
        quotient
    }
}

/// The text for messages: as it came, with what is not UTF-8 replaced, cut where it becomes unreadable.
pub fn shown(text: &[u8]) -> String {
    /// More than a screen line or two helps nobody.
    const SHOWN_CHARS_MAX: usize = 200;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

pub fn invalid_syntax(type_name: &str, text: &[u8]) -> Box<QueryError> {
    Box::new(QueryError::new(
        ErrorKind::InvalidTextRepresentation,
        format!("invalid input syntax for type {type_name}: \"{}\"", shown(text)),
    ))
}

fn out_of_range(type_name: &str, text: &[u8]) -> Box<QueryError> {
    Box::new(QueryError::new(
        ErrorKind::NumericValueOutOfRange,
        format!("value \"{}\" is out of range for type {type_name}", shown(text)),
    ))
}

/// An integer of a whole field: spaces around it and a plus are allowed.
pub fn parse_integer<T: TryFrom<i128>>(text: &[u8], type_name: &str) -> Result<T, Box<QueryError>> {
    let trimmed = text.trim_ascii();
    let (negative, digits) = match trimmed {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid_syntax(type_name, text));
    }
    let mut value = 0i128;
    for digit in digits {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(i128::from(digit - b'0')))
            .ok_or_else(|| out_of_range(type_name, text))?;
    }
    T::try_from(if negative { -value } else { value }).map_err(|_| out_of_range(type_name, text))
}

/// Whether a number's text has a digit other than zero before its exponent.
fn has_value(text: &[u8]) -> bool {
    text.iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .any(|byte| (b'1'..=b'9').contains(byte))
}

/// A double of a whole field: exponents, `NaN`, `Infinity` and spaces around it are allowed.
pub fn parse_f64(text: &[u8]) -> Result<f64, Box<QueryError>> {
    const NAME: &str = "double precision";
    let trimmed = text.trim_ascii();
    let value: f64 = fast_float2::parse(trimmed).map_err(|_| invalid_syntax(NAME, text))?;
    let is_number = trimmed.iter().any(u8::is_ascii_digit);
    if is_number && (value.is_infinite() || (value == 0.0 && has_value(trimmed))) {
        return Err(float_range(NAME, text));
    }
    Ok(value)
}

/// A single of a whole field, rounded once.
pub fn parse_f32(text: &[u8]) -> Result<f32, Box<QueryError>> {
    const NAME: &str = "real";
    let trimmed = text.trim_ascii();
    let value: f32 = fast_float2::parse(trimmed).map_err(|_| invalid_syntax(NAME, text))?;
    let is_number = trimmed.iter().any(u8::is_ascii_digit);
    if is_number && (value.is_infinite() || (value == 0.0 && has_value(trimmed))) {
        return Err(float_range(NAME, text));
    }
    Ok(value)
}

fn float_range(type_name: &str, text: &[u8]) -> Box<QueryError> {
    Box::new(QueryError::new(
        ErrorKind::NumericValueOutOfRange,
        format!("\"{}\" is out of range for type {type_name}", shown(text)),
    ))
}

/// A `numeric(precision, scale)` column: what its values must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericType {
    pub precision: u8,
    pub scale: i8,
}

impl NumericType {
    fn overflow(self) -> Box<QueryError> {
        let digits = i16::from(self.precision) - i16::from(self.scale);
        Box::new(
            QueryError::new(ErrorKind::NumericValueOutOfRange, "numeric field overflow").with_detail(format!(
                "A field with precision {}, scale {} must round to an absolute value less than 10^{digits}.",
                self.precision, self.scale
            )),
        )
    }

    /// `mantissa * 10^exponent` at the column's scale, rounded half away from zero.
    pub fn fit(self, mantissa: i128, exponent: i32) -> Result<i128, Box<QueryError>> {
        if mantissa == 0 {
            return Ok(0);
        }
        let shift = exponent.saturating_add(i32::from(self.scale));
        let value = if shift >= 0 {
            // 38 is the most digits there are: a larger shift cannot fit.
            10i128
                .checked_pow(shift.unsigned_abs().min(39))
                .and_then(|power| mantissa.checked_mul(power))
                .ok_or_else(|| self.overflow())?
        } else {
            match 10i128.checked_pow(shift.unsigned_abs()) {
                Some(power) => round_divide(mantissa, power),
                None => 0, // less than half of the last digit, since a mantissa has at most 38 digits
            }
        };
        if value.unsigned_abs() >= 10u128.pow(u32::from(self.precision.min(38))) {
            return Err(self.overflow());
        }
        Ok(value)
    }

    /// The unscaled value of a whole field.
    pub fn parse(self, text: &[u8]) -> Result<i128, Box<QueryError>> {
        let (mantissa, exponent) = parse_decimal(text)?;
        self.fit(mantissa, exponent)
    }
}

/// A number of any length as mantissa and exponent of ten. Digits past the 38th fold into the exponent; the first of them rounds.
pub fn parse_decimal(text: &[u8]) -> Result<(i128, i32), Box<QueryError>> {
    let trimmed = text.trim_ascii();
    let invalid = || invalid_syntax("numeric", text);
    let (negative, unsigned) = match trimmed {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if unsigned.eq_ignore_ascii_case(b"nan") || unsigned.to_ascii_lowercase().starts_with(b"inf") {
        return Err(Box::new(QueryError::new(
            ErrorKind::NumericValueOutOfRange,
            format!("numeric columns hold finite numbers only, not \"{}\"", shown(text)),
        )));
    }
    let mut mantissa = 0i128;
    let mut exponent = 0i32;
    let mut digits = 0;
    let mut point = false;
    let mut dropped = false;
    let mut rest = unsigned;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                let digit = i128::from(byte - b'0');
                // 10^37 * 10 + 9 is the largest 38-digit number and fits.
                if !dropped && mantissa < 10i128.pow(37) {
                    mantissa = mantissa * 10 + digit;
                    exponent -= i32::from(point);
                } else {
                    if !dropped && digit >= 5 {
                        mantissa += 1;
                    }
                    dropped = true;
                    exponent += i32::from(!point);
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' if digits > 0 => break,
            _ => return Err(invalid()),
        }
        rest = tail;
    }
    if digits == 0 {
        return Err(invalid());
    }
    if let [_, written @ ..] = rest {
        let written: i32 = parse_integer(written, "numeric").map_err(|_| invalid())?;
        exponent = exponent.saturating_add(written);
    }
    Ok((if negative { -mantissa } else { mantissa }, exponent))
}

/// PostgreSQL's binary numeric as mantissa and exponent of ten: number of base-10000 digits, weight, sign, scale, digits.
pub fn decode_numeric(bytes: &[u8]) -> Option<(i128, i32)> {
    let word = |index: usize| Some(i16::from_be_bytes([*bytes.get(index * 2)?, *bytes.get(index * 2 + 1)?]));
    let count = usize::try_from(word(0)?).ok()?;
    let weight = i32::from(word(1)?);
    let sign = word(2)? as u16;
    if bytes.len() != 8 + count * 2 || !matches!(sign, 0x0000 | 0x4000) {
        return None; // NaN and the infinities have signs of their own
    }
    let mut mantissa = 0i128;
    let mut used = 0;
    for index in 0..count {
        let digit = word(4 + index)?;
        if !(0..10_000).contains(&digit) {
            return None;
        }
        match mantissa.checked_mul(10_000) {
            Some(shifted) if shifted < 10i128.pow(38) => mantissa = shifted + i128::from(digit),
            // Further digits are below the 35th: what columns keep of them, 38 digits in all, cannot be told from their rounding.
            _ => break,
        }
        used += 1;
    }
    let exponent = (weight - (used - 1)) * 4;
    Some((if sign == 0x4000 { -mantissa } else { mantissa }, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_stop_at_the_first_foreign_byte() {
        assert_eq!(scan_integer(b"58\t"), Some((58, 2)));
        assert_eq!(scan_integer(b"-7,"), Some((-7, 2)));
        assert_eq!(scan_integer(b"999999999999999999"), Some((999_999_999_999_999_999, 18)));
        assert_eq!(scan_integer(b"1234567890123456789"), None);
        assert_eq!(scan_integer(b"-"), None);
        assert_eq!(scan_integer(b""), None);
        assert_eq!(scan_integer(b"x"), None);
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        let decimal = |text: &str| scan_decimal(text.as_bytes()).unwrap().0;
        assert_eq!(decimal("2.5").to_i64(), 3);
        assert_eq!(decimal("-2.5").to_i64(), -3);
        assert_eq!(decimal("2.49").to_i64(), 2);
        assert_eq!(scan_decimal(b".5"), Some((Decimal { mantissa: 5, scale: 1 }, 2)));
        assert_eq!(scan_decimal(b"5."), Some((Decimal { mantissa: 5, scale: 0 }, 2)));
        assert_eq!(scan_decimal(b"."), None);
    }

    #[test]
    fn numerics_fit_their_type_or_say_why_not() {
        let money = NumericType { precision: 6, scale: 2 };
        assert_eq!(money.parse(b" 12.345 ").unwrap(), 1235);
        assert_eq!(money.parse(b"-12.345").unwrap(), -1235);
        assert_eq!(money.parse(b"1.2e3").unwrap(), 120_000);
        assert_eq!(money.parse(b"1e-400").unwrap(), 0);
        let error = money.parse(b"10000").unwrap_err();
        assert_eq!(error.message, "numeric field overflow");
        assert_eq!(
            error.detail.as_deref(),
            Some("A field with precision 6, scale 2 must round to an absolute value less than 10^4.")
        );
        assert!(money.parse(b"1e400000000000").is_err());
        assert!(money.parse(b"9999.995").is_err());
        assert_eq!(
            money.parse(b"1.2.3").unwrap_err().kind,
            ErrorKind::InvalidTextRepresentation
        );
        assert!(money.parse(b"NaN").is_err());
        let wide = NumericType {
            precision: 38,
            scale: 10,
        };
        assert_eq!(wide.parse(b"0.00000000005").unwrap(), 1);
        let full = NumericType {
            precision: 38,
            scale: 0,
        };
        assert_eq!(
            full.parse(b"99999999999999999999999999999999999999").unwrap(),
            10i128.pow(38) - 1
        );
        assert!(full.parse(b"99999999999999999999999999999999999999.9").is_err());
    }

    #[test]
    fn messages_are_those_of_postgres() {
        assert_eq!(
            parse_integer::<i32>(b"x", "integer").unwrap_err().message,
            "invalid input syntax for type integer: \"x\""
        );
        let error = parse_integer::<i16>(b"40000", "smallint").unwrap_err();
        assert_eq!(error.message, "value \"40000\" is out of range for type smallint");
        assert_eq!(error.kind, ErrorKind::NumericValueOutOfRange);
        assert_eq!(parse_integer::<i64>(b" +12 ", "bigint").unwrap(), 12);
        assert_eq!(
            parse_f64(b"1e400").unwrap_err().message,
            "\"1e400\" is out of range for type double precision"
        );
        assert!(parse_f32(b"1e-60").is_err());
        assert!(parse_f64(b"Infinity").unwrap().is_infinite());
        assert!(parse_f64(b"NaN").unwrap().is_nan());
        assert_eq!(parse_f64(b" 1.5 ").unwrap(), 1.5);
        assert!(parse_f64(b"").is_err());
    }

    #[test]
    fn binary_numerics_decode() {
        // 12345.678 as PostgreSQL sends it: digits 1, 2345, 6780, weight 1, scale 3.
        let bytes = [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
        assert_eq!(decode_numeric(&bytes), Some((123_456_780, -4)));
        assert_eq!(decode_numeric(&bytes[..13]), None);
        assert_eq!(decode_numeric(&[0, 0, 0, 0, 0xc0, 0, 0, 0]), None);
        assert_eq!(decode_numeric(&[0, 0, 0, 0, 0, 0, 0, 0]).unwrap().0, 0);
    }

    proptest! {
        #[test]
        fn short_floats_are_the_nearest(mantissa in -1_000_000_000_000_000i64..1_000_000_000_000_000, scale in 0u32..15) {
            let text = format!("{}{}.{:0width$}", if mantissa < 0 { "-" } else { "" },
                mantissa.unsigned_abs() / 10u64.pow(scale), mantissa.unsigned_abs() % 10u64.pow(scale), width = scale as usize);
            let text = if scale == 0 { mantissa.to_string() } else { text };
            if let Some((decimal, read)) = scan_decimal(text.as_bytes()) {
                prop_assert_eq!(read, text.len());
                if let Some(value) = decimal.to_f64() {
                    prop_assert_eq!(value, text.parse::<f64>().unwrap());
                }
                if let Some(value) = decimal.to_f32() {
                    prop_assert_eq!(value, text.parse::<f32>().unwrap());
                }
            }
        }

        #[test]
        fn integers_read_back(value: i64) {
            let text = value.to_string();
            prop_assert_eq!(parse_integer::<i64>(text.as_bytes(), "bigint").unwrap(), value);
            if let Some((scanned, read)) = scan_integer(text.as_bytes()) {
                prop_assert_eq!((scanned, read), (value, text.len()));
            }
        }
    }
}
