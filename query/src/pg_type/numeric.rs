//! `numeric` values: text and PostgreSQL's base-10000 binary form to 128-bit decimals.

use datafusion::common::ScalarValue;

/// Of `numeric` without (precision, scale): 38 digits, the most that 128 bits hold, ten of them after the point.
pub const PRECISION: u8 = 38;
pub const SCALE: i8 = 10;

/// Digits after the point that are kept of a value at most: leaves 18 before the point.
const SCALE_MAX: usize = 20;

/// A decimal number with optional sign, point and exponent; its scale is that of the text.
pub fn parse(text: &str) -> Option<ScalarValue> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    while scale < 0 {
        value = value.checked_mul(10)?;
        scale += 1;
    }
    while scale as usize > SCALE_MAX {
        value /= 10;
        scale -= 1;
    }
    let value = if negative { -value } else { value };
    finish(value, scale as usize)
}

fn finish(value: i128, scale: usize) -> Option<ScalarValue> {
    // 10^38 is the first number with 39 digits.
    (value.unsigned_abs() < 10u128.pow(38)).then(|| ScalarValue::Decimal128(Some(value), PRECISION, scale as i8))
}

/// The binary form: count of digits, weight, sign, scale (each 16 bits), then digits of base 10000.
pub fn decode(bytes: &[u8]) -> Option<ScalarValue> {
    let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let (count, weight, sign, scale) = (words.next()?, words.next()? as i16, words.next()?, words.next()?);
    let digits: Vec<u16> = words.collect();
    if digits.len() != usize::from(count) || digits.iter().any(|digit| *digit > 9999) {
        return None;
    }
    let negative = match sign {
        0 => false,
        0x4000 => true,
        // NaN and infinities have no decimal.
        _ => return None,
    };
    let scale = usize::from(scale).min(SCALE_MAX);
    // value = sum digit[i] * 10000^(weight - i); in units of 10^-scale.
    let mut value: i128 = 0;
    for (i, digit) in digits.iter().enumerate() {
        let power = (i32::from(weight) - i as i32) * 4 + scale as i32;
        let digit = i128::from(*digit);
        let term = if power >= 0 {
            digit.checked_mul(10i128.checked_pow(power as u32)?)?
        } else {
            // Digits beyond the scale: at most three decimal places of one base-10000 digit.
            digit / 10i128.checked_pow(power.unsigned_abs()).unwrap_or(i128::MAX)
        };
        value = value.checked_add(term)?;
    }
    finish(if negative { -value } else { value }, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(value: i128, scale: i8) -> Option<ScalarValue> {
        Some(ScalarValue::Decimal128(Some(value), PRECISION, scale))
    }

    #[test]
    fn text_keeps_its_scale() {
        assert_eq!(parse("-12.340"), decimal(-12340, 3));
        assert_eq!(parse("1e3"), decimal(1000, 0));
        assert_eq!(parse("1.5e-2"), decimal(15, 3));
        assert_eq!(parse(".5"), decimal(5, 1));
        for bad in ["", "-", "1.2.3", "x", "1e", "99999999999999999999999999999999999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn binary_of_12345_678() {
        // 1 2345 6780: weight 1, scale 3.
        let bytes = [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
        assert_eq!(decode(&bytes), decimal(12345678, 3));
        assert_eq!(decode(&bytes[..9]), None);
        assert_eq!(decode(&[0, 0, 0, 0, 0, 0, 0, 0]), decimal(0, 0));
    }
}
