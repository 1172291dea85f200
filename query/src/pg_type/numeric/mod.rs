//! `numeric` without a declared scale: every value has its own digits, as many as it needs, and there are NaN and the infinities.
//!
//! ```text
//! text, PostgreSQL's binary form, numbers --> Numeric --key.rs--> bytes in an Arrow array, in the order of the values
//!                                                ^--arithmetic.rs: + - * / %, rounding; powers.rs: roots, exponentials, logarithms, powers
//!                                                ^--small.rs: + - * / % of what fits 128 bits
//! ```
//!
//! Columns of a table have a scale and are Arrow's decimals; so is what is computed of them as long as it fits 38 digits. What has no one scale
//! (parameters, `x::numeric`, quotients) is a `LargeBinary` array of keys, a type that nothing else here has: see `key.rs`.

mod arithmetic;
mod key;
mod powers;
mod small;

use datafusion::common::ScalarValue;
use num_bigint::{BigInt, Sign};

pub use arithmetic::Rounding;
pub use key::{decode_key, decode_small, encode_decimal, normal_key, write_key, write_normal_key};
pub use powers::PowerError;
pub use small::Small;

/// Digits behind the point that PostgreSQL's format has room for.
const SCALE_MAX: u32 = 16_383;

/// Digits before the point that it has room for.
const WHOLE_DIGITS_MAX: i64 = 131_072;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Numeric {
    NegativeInfinity,
    Finite(Decimal),
    Infinity,
    NaN,
}

/// `unscaled` times ten to minus `scale`; the scale is how many digits behind the point are printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Decimal {
    pub unscaled: BigInt,
    pub scale: u32,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumericError {
    /// The text is no number.
    Syntax,
    /// More digits than the format has room for: `value overflows numeric format`.
    Overflow,
    DivisionByZero,
}

/// Ten to a power.
pub fn power_of_ten(exponent: u32) -> BigInt {
    match 10u64.checked_pow(exponent) {
        Some(small) => BigInt::from(small),
        None => BigInt::from(10).pow(exponent),
    }
}

impl Decimal {
    pub fn new(unscaled: impl Into<BigInt>, scale: u32) -> Decimal {
        Decimal {
            unscaled: unscaled.into(),
            scale,
        }
    }

    pub fn is_zero(&self) -> bool {
        self.unscaled.sign() == Sign::NoSign
    }

    /// In units of ten to minus `scale`, which is not smaller than its own.
    fn widened(&self, scale: u32) -> BigInt {
        match scale - self.scale {
            0 => self.unscaled.clone(),
            more => &self.unscaled * power_of_ten(more),
        }
    }

    /// The number in units of ten to minus `scale` where it is that exactly.
    pub fn exactly(&self, scale: u32) -> Option<BigInt> {
        if scale >= self.scale {
            return Some(self.widened(scale));
        }
        let unit = power_of_ten(self.scale - scale);
        let whole = &self.unscaled / &unit;
        (&whole * unit == self.unscaled).then_some(whole)
    }

    fn checked(self) -> Result<Decimal, NumericError> {
        // A bit is less than a third of a digit.
        let digits = self.unscaled.bits() as i64 / 4 - i64::from(self.scale);
        match digits > WHOLE_DIGITS_MAX || self.scale > SCALE_MAX {
            true => Err(NumericError::Overflow),
            false => Ok(self),
        }
    }

    fn text(&self) -> String {
        let mut out = Vec::new();
        write_digits(self, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

fn write_digits(decimal: &Decimal, out: &mut Vec<u8>) {
    let printed = decimal.unscaled.magnitude().to_string();
    let negative = decimal.unscaled.sign() == Sign::Minus;
    super::write::numeric::place_point(negative, printed.as_bytes(), decimal.scale as i32, out);
}

impl Numeric {
    /// As PostgreSQL reads it: sign, digits, point, exponent; `NaN`, `Infinity`, `inf`.
    pub fn parse(text: &str) -> Result<Numeric, NumericError> {
        let text = text.trim();
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            let lower = digits.to_ascii_lowercase();
            return match (lower.as_str(), negative) {
                ("nan", _) if digits.len() == text.len() => Ok(Numeric::NaN),
                ("infinity" | "inf", false) => Ok(Numeric::Infinity),
                ("infinity" | "inf", true) => Ok(Numeric::NegativeInfinity),
                _ => Err(NumericError::Syntax),
            };
        }
        let (mantissa, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], exponent(&digits[at + 1..])?),
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
            return Err(NumericError::Syntax);
        }
        let scale = fraction.len() as i64 - exponent;
        let all = format!("{whole}{fraction}");
        let counted = all.trim_start_matches('0').len() as i64;
        if counted - scale > WHOLE_DIGITS_MAX && counted > 0 || scale > i64::from(SCALE_MAX) {
            return Err(NumericError::Overflow);
        }
        let magnitude = BigInt::parse_bytes(all.as_bytes(), 10).ok_or(NumericError::Syntax)?;
        let magnitude = match scale {
            // At most as many zeros as the check above lets pass; a zero takes none.
            ..0 if counted > 0 => magnitude * power_of_ten(scale.unsigned_abs() as u32),
            _ => magnitude,
        };
        let unscaled = if negative { -magnitude } else { magnitude };
        Ok(Numeric::Finite(Decimal::new(unscaled, scale.max(0) as u32)))
    }

    /// PostgreSQL's binary form: count of digits, weight, sign, scale (each 16 bits), then digits of base 10000.
    pub fn decode(bytes: &[u8]) -> Option<Numeric> {
        if !bytes.len().is_multiple_of(2) {
            return None;
        }
        let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let (count, weight, sign, scale) = (words.next()?, words.next()? as i16, words.next()?, words.next()?);
        let digits: Vec<u16> = words.collect();
        if digits.len() != usize::from(count) || digits.iter().any(|digit| *digit > 9999) {
            return None;
        }
        let scale = u32::from(scale);
        let negative = match sign {
            0 => false,
            0x4000 => true,
            0xC000 => return Some(Numeric::NaN),
            0xD000 => return Some(Numeric::Infinity),
            0xF000 => return Some(Numeric::NegativeInfinity),
            _ => return None,
        };
        if scale > SCALE_MAX {
            return None;
        }
        let mut text = String::with_capacity(digits.len() * 4);
        for digit in &digits {
            text.push_str(&format!("{digit:04}"));
        }
        let magnitude = BigInt::parse_bytes(text.as_bytes(), 10).unwrap_or_default();
        // The digits are a whole number of units of 10000 to `lowest`; a decimal has units of ten to minus `scale`.
        let lowest = (i64::from(weight) - digits.len() as i64 + 1) * 4 + i64::from(scale);
        let power = power_of_ten(lowest.unsigned_abs() as u32);
        let magnitude = if lowest >= 0 {
            magnitude * power
        } else {
            magnitude / power
        };
        let unscaled = if negative { -magnitude } else { magnitude };
        Some(Numeric::Finite(Decimal::new(unscaled, scale)))
    }

    /// The digits of a double that PostgreSQL keeps: 15.
    pub fn from_f64(value: f64) -> Numeric {
        Numeric::of_float(value, 15)
    }

    /// Of a real it keeps six.
    pub fn from_f32(value: f32) -> Numeric {
        Numeric::of_float(f64::from(value), 6)
    }

    fn of_float(value: f64, digits: usize) -> Numeric {
        if value.is_nan() {
            return Numeric::NaN;
        }
        if value.is_infinite() {
            return if value > 0.0 {
                Numeric::Infinity
            } else {
                Numeric::NegativeInfinity
            };
        }
        let precision = digits - 1;
        let printed = format!("{value:.precision$e}");
        // Zeros at the end are no digits that the number has.
        let (mantissa, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
        let mantissa = match mantissa.contains('.') {
            true => mantissa.trim_end_matches('0').trim_end_matches('.'),
            false => mantissa,
        };
        Numeric::parse(&format!("{mantissa}e{exponent}")).unwrap_or(Numeric::NaN)
    }

    pub fn to_f64(&self) -> f64 {
        match self {
            Numeric::NaN => f64::NAN,
            Numeric::Infinity => f64::INFINITY,
            Numeric::NegativeInfinity => f64::NEG_INFINITY,
            Numeric::Finite(decimal) => fast_float2::parse(decimal.text()).unwrap_or(f64::NAN),
        }
    }

    /// As it is printed.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Numeric::NaN => out.extend_from_slice(b"NaN"),
            Numeric::Infinity => out.extend_from_slice(b"Infinity"),
            Numeric::NegativeInfinity => out.extend_from_slice(b"-Infinity"),
            Numeric::Finite(decimal) => write_digits(decimal, out),
        }
    }

    /// As an element of an array.
    pub fn scalar(&self) -> ScalarValue {
        ScalarValue::LargeBinary(Some(key::encode_key(self)))
    }

    pub fn key(&self) -> Vec<u8> {
        key::encode_key(self)
    }
}

/// The digits behind an `e`.
fn exponent(text: &str) -> Result<i64, NumericError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumericError::Syntax);
    }
    // Far beyond every number that can be written.
    text.parse()
        .ok()
        .filter(|value: &i64| value.abs() < 1_000_000)
        .ok_or(NumericError::Overflow)
}

/// A text as an Arrow decimal with its own scale, for comparing with a column that is one; `None` where 38 digits are too few.
pub fn parse_decimal128(text: &str) -> Option<ScalarValue> {
    match Numeric::parse(text).ok()? {
        Numeric::Finite(decimal) => decimal128(&decimal),
        _ => None,
    }
}

/// As an Arrow decimal of as many digits as it has.
pub fn decimal128(decimal: &Decimal) -> Option<ScalarValue> {
    let value = i128::try_from(&decimal.unscaled).ok()?;
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log as u8 + 1);
    let scale = u8::try_from(decimal.scale).ok().filter(|scale| *scale <= 38)?;
    let precision = digits.max(scale).max(1);
    (precision <= 38).then(|| ScalarValue::Decimal128(Some(value), precision, scale as i8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(numeric: &Numeric) -> String {
        let mut out = Vec::new();
        numeric.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn read(given: &str) -> String {
        Numeric::parse(given).map_or_else(|error| format!("{error:?}"), |value| text(&value))
    }

    #[test]
    fn text_keeps_its_scale() {
        for (given, expected) in [
            ("-12.340", "-12.340"),
            ("1e3", "1000"),
            ("1.5e-2", "0.015"),
            (".5", "0.5"),
            ("5.", "5"),
            ("007.10", "7.10"),
            ("-0.00", "0.00"),
            ("nan", "NaN"),
            ("-inf", "-Infinity"),
            ("+Infinity", "Infinity"),
            ("0e100", "0"),
            (
                "123456789012345678901234567890.123456789",
                "123456789012345678901234567890.123456789",
            ),
        ] {
            assert_eq!(read(given), expected, "{given}");
        }
        for bad in ["", "-", "1.2.3", "x", "1e", ".", "1 2", "-nan", "1e1.5", "infinit"] {
            assert_eq!(read(bad), "Syntax", "{bad}");
        }
        for large in ["1e131072", "1e-16384", "1e99999999999"] {
            assert_eq!(read(large), "Overflow", "{large}");
        }
    }

    #[test]
    fn binary_of_12345_678() {
        // 1 2345 6780: weight 1, scale 3.
        let bytes = [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
        assert_eq!(text(&Numeric::decode(&bytes).unwrap()), "12345.678");
        assert_eq!(Numeric::decode(&bytes[..9]), None);
        assert_eq!(text(&Numeric::decode(&[0, 0, 0, 0, 0, 0, 0, 2]).unwrap()), "0.00");
        // 1e8: one digit of weight 2.
        assert_eq!(
            text(&Numeric::decode(&[0, 1, 0, 2, 0x40, 0, 0, 0, 0, 1]).unwrap()),
            "-100000000"
        );
        assert_eq!(Numeric::decode(&[0, 0, 0, 0, 0xC0, 0, 0, 0]), Some(Numeric::NaN));
    }

    #[test]
    fn floats_keep_the_digits_that_they_have() {
        for (value, expected) in [
            (0.1, "0.1"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (1e20, "100000000000000000000"),
            (-1.5, "-1.5"),
            (0.0, "0"),
            (1e-10, "0.0000000001"),
            (123456789.0, "123456789"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(&Numeric::from_f64(value)), expected);
        }
        assert_eq!(text(&Numeric::from_f32(12345678.9)), "12345700");
    }

    proptest::proptest! {
        #[test]
        fn the_binary_form_comes_back(unscaled in proptest::num::i128::ANY, scale in 0u32..60) {
            let value = Numeric::Finite(Decimal::new(unscaled, scale));
            let mut bytes = Vec::new();
            crate::pg_type::write::numeric::write_numeric_binary(text(&value).as_bytes(), &mut bytes);
            proptest::prop_assert_eq!(Numeric::decode(&bytes), Some(value));
        }

        #[test]
        fn no_bytes_make_it_stumble(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..24)) {
            let _ = Numeric::decode(&bytes);
        }
    }
}
