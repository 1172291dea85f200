//! `numeric`: decimal text, and PostgreSQL's binary form of base-10000 digits.

use arrow::datatypes::i256;

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

/// A decimal of 38 digits at most: `unscaled` times ten to minus `scale`.
pub fn write_decimal128(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs());
    place_point(unscaled < 0, digits.as_bytes(), scale.into(), out);
}

/// A decimal of 76 digits at most.
pub fn write_decimal256(unscaled: i256, scale: i8, out: &mut Vec<u8>) {
    if let Some(narrow) = unscaled.to_i128() {
        return write_decimal128(narrow, scale, out);
    }
    let printed = unscaled.to_string();
    let digits = printed.strip_prefix('-').unwrap_or(&printed);
    place_point(printed.len() != digits.len(), digits.as_bytes(), scale.into(), out);
}

/// Digits with the point where `scale` says.
pub(crate) fn place_point(negative: bool, digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let Ok(fraction) = usize::try_from(scale) else {
        // A negative scale: zeros before the point.
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.resize(out.len() + scale.unsigned_abs() as usize, b'0');
        }
        return;
    };
    if fraction == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > fraction {
        let (whole, rest) = digits.split_at(digits.len() - fraction);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(rest);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + fraction - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// Writes the binary form of a number given as decimal text: `-12.50`, `NaN`, `Infinity`.
pub fn write_numeric_binary(text: &[u8], out: &mut Vec<u8>) {
    let (negative, magnitude) = match text.split_first() {
        Some((b'-', tail)) => (true, tail),
        _ => (false, text),
    };
    if !magnitude.first().is_some_and(u8::is_ascii_digit) {
        let sign = match (magnitude.first(), negative) {
            (Some(b'I' | b'i'), false) => SIGN_INFINITY,
            (Some(b'I' | b'i'), true) => SIGN_NEGATIVE_INFINITY,
            _ => SIGN_NAN,
        };
        write_header(0, 0, sign, 0, out);
        return;
    }
    let point = magnitude.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&magnitude[..at], &magnitude[at + 1..]),
        None => (magnitude, &[][..]),
    };
    let whole = &whole[whole.iter().take_while(|byte| **byte == b'0').count()..];

    let header = out.len();
    write_header(0, 0, 0, 0, out);
    let first_digit = out.len();
    // Groups of four digits, counted from the point to the left and to the right.
    let mut weight = whole.len().div_ceil(4) as i32 - 1;
    let head = whole.len() % 4;
    if head != 0 {
        push_group(&whole[..head], out);
    }
    for group in whole[head..].chunks(4) {
        push_group(group, out);
    }
    for group in fraction.chunks(4) {
        if out.len() == first_digit && group.iter().all(|byte| *byte == b'0') {
            // Zeros before the first digit that counts are told by the weight alone.
            weight -= 1;
            continue;
        }
        let mut padded = [b'0'; 4];
        padded[..group.len()].copy_from_slice(group);
        push_group(&padded, out);
    }
    while out.len() > first_digit && out[out.len() - 2..] == [0, 0] {
        out.truncate(out.len() - 2);
    }
    let groups = (out.len() - first_digit) / 2;
    let (weight, sign) = match (groups, negative) {
        (0, _) => (0, 0),
        (_, true) => (weight, SIGN_NEGATIVE),
        (_, false) => (weight, 0),
    };
    out[header..header + 2].copy_from_slice(&(groups as u16).to_be_bytes());
    out[header + 2..header + 4].copy_from_slice(&(weight as i16).to_be_bytes());
    out[header + 4..header + 6].copy_from_slice(&sign.to_be_bytes());
    out[header + 6..header + 8].copy_from_slice(&(fraction.len() as u16).to_be_bytes());
}

fn write_header(groups: u16, weight: i16, sign: u16, scale: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&groups.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
}

fn push_group(digits: &[u8], out: &mut Vec<u8>) {
    let value = digits
        .iter()
        .fold(0u16, |sum, byte| sum * 10 + u16::from(byte.wrapping_sub(b'0') % 10));
    out.extend_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(unscaled: i128, scale: i8) -> String {
        let mut out = Vec::new();
        write_decimal128(unscaled, scale, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn binary(text: &str) -> Vec<i16> {
        let mut out = Vec::new();
        write_numeric_binary(text.as_bytes(), &mut out);
        out.chunks(2)
            .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    /// Digits, weight, sign and scale back into text.
    fn decode(fields: &[i16]) -> String {
        let (groups, weight, sign, scale) = (&fields[4..], i32::from(fields[1]), fields[2], fields[3] as usize);
        let group = |place: i32| {
            usize::try_from(weight - place)
                .ok()
                .and_then(|index| groups.get(index))
                .copied()
                .unwrap_or(0)
        };
        let mut whole = String::new();
        for place in (0..=weight.max(0)).rev() {
            whole.push_str(&format!("{:04}", group(place)));
        }
        let mut fraction = String::new();
        for place in 1..=scale.div_ceil(4) as i32 {
            fraction.push_str(&format!("{:04}", group(-place)));
        }
        let whole = whole.trim_start_matches('0');
        let sign = if sign == SIGN_NEGATIVE as i16 { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        if scale == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{}", &fraction[..scale])
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        assert_eq!(text(12345, 2), "123.45");
        assert_eq!(text(-5, 2), "-0.05");
        assert_eq!(text(0, 3), "0.000");
        assert_eq!(text(7, -2), "700");
        assert_eq!(text(0, -2), "0");
        assert_eq!(text(i128::MIN, 0), i128::MIN.to_string());
    }

    #[test]
    fn binary_digits_are_those_of_postgres() {
        // digits, weight, sign, scale, then the digits
        assert_eq!(binary("0"), [0, 0, 0, 0]);
        assert_eq!(binary("0.00"), [0, 0, 0, 2]);
        assert_eq!(binary("1"), [1, 0, 0, 0, 1]);
        assert_eq!(binary("10000"), [1, 1, 0, 0, 1]);
        assert_eq!(binary("123456.78"), [3, 1, 0, 2, 12, 3456, 7800]);
        assert_eq!(binary("-0.00012"), [2, -1, SIGN_NEGATIVE as i16, 5, 1, 2000]);
        assert_eq!(binary("0.00000001"), [1, -2, 0, 8, 1]);
        assert_eq!(binary("NaN")[2], SIGN_NAN as i16);
        assert_eq!(binary("-Infinity")[2], SIGN_NEGATIVE_INFINITY as i16);
    }

    proptest! {
        #[test]
        fn any_decimal_survives_the_binary_form(unscaled in any::<i128>(), scale in 0i8..38) {
            let text = text(unscaled, scale);
            prop_assert_eq!(decode(&binary(&text)), text);
        }

        #[test]
        fn small_decimals_survive_too(unscaled in -100_000i128..100_000, scale in 0i8..12) {
            let text = text(unscaled, scale);
            prop_assert_eq!(decode(&binary(&text)), text);
        }
    }
}
