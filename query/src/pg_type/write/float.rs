//! Floating point numbers as PostgreSQL prints them: the shortest digits that read back as the same number.

/// From this decimal exponent up, `double precision` is printed as 1e+15 rather than with all its zeros.
const FLOAT8_EXPONENT_MIN_SCIENTIFIC: i32 = 15;
/// The same for `real`.
const FLOAT4_EXPONENT_MIN_SCIENTIFIC: i32 = 6;
/// Below this decimal exponent, a number is printed as 1e-05 rather than 0.00001.
const EXPONENT_MIN_PLAIN: i32 = -4;
/// Digits that survive a round trip through text for any `double precision`; `extra_float_digits` counts from here.
const FLOAT8_DIGITS: i32 = 15;
const FLOAT4_DIGITS: i32 = 6;

pub fn write_float8(value: f64, extra_float_digits: i8, out: &mut Vec<u8>) {
    if write_special(value, out) {
        return;
    }
    if extra_float_digits > 0 {
        let mut buffer = zmij::Buffer::new();
        let printed = buffer.format_finite(value);
        lay_out(printed.as_bytes(), FLOAT8_EXPONENT_MIN_SCIENTIFIC, out);
    } else {
        let digits = FLOAT8_DIGITS + i32::from(extra_float_digits);
        write_rounded(value, digits, out);
    }
}

pub fn write_float4(value: f32, extra_float_digits: i8, out: &mut Vec<u8>) {
    if write_special(f64::from(value), out) {
        return;
    }
    if extra_float_digits > 0 {
        let mut buffer = zmij::Buffer::new();
        let printed = buffer.format_finite(value);
        lay_out(printed.as_bytes(), FLOAT4_EXPONENT_MIN_SCIENTIFIC, out);
    } else {
        let digits = FLOAT4_DIGITS + i32::from(extra_float_digits);
        write_rounded(f64::from(value), digits, out);
    }
}

fn write_special(value: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value == f64::INFINITY {
        b"Infinity"
    } else if value == f64::NEG_INFINITY {
        b"-Infinity"
    } else if value == 0.0 {
        if value.is_sign_negative() { b"-0" } else { b"0" }
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// A given number of significant digits, as C's `%.*g` prints them.
fn write_rounded(value: f64, digits: i32, out: &mut Vec<u8>) {
    let digits = digits.max(1);
    let precision = usize::try_from(digits - 1).unwrap_or(0);
    let printed = format!("{value:.precision$e}");
    lay_out(printed.as_bytes(), digits, out);
}

/// Writes a number printed in any notation (`-12.5`, `1.25e-7`) the way PostgreSQL does. `printed` is a finite number other than zero.
fn lay_out(printed: &[u8], exponent_min_scientific: i32, out: &mut Vec<u8>) {
    // 17 digits are enough for a double; a plain notation may carry zeros besides.
    let mut digits = [0u8; 40];
    let mut count = 0;
    // Position of the decimal point, counted from the first digit kept.
    let mut point: i32 = 0;
    let mut seen_point = false;
    let mut exponent: i32 = 0;
    let mut rest = printed;
    if let Some((b'-', tail)) = rest.split_first() {
        out.push(b'-');
        rest = tail;
    }
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'0'..=b'9' => {
                if count == 0 && byte == b'0' {
                    // A leading zero: only those behind the point move it.
                    if seen_point {
                        point -= 1;
                    }
                    continue;
                }
                if let Some(slot) = digits.get_mut(count) {
                    *slot = byte;
                    count += 1;
                }
                if !seen_point {
                    point += 1;
                }
            }
            b'.' => seen_point = true,
            b'e' | b'E' => {
                exponent = parse_exponent(rest);
                break;
            }
            _ => break,
        }
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let digits = &digits[..count];
    // The number is d.ddd times ten to this.
    let exponent = exponent + point - 1;
    if exponent < EXPONENT_MIN_PLAIN || exponent >= exponent_min_scientific {
        write_scientific(digits, exponent, out);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        for _ in 1..-exponent {
            out.push(b'0');
        }
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn write_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    if let Some((first, rest)) = digits.split_first() {
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    }
    out.push(b'e');
    out.push(if exponent < 0 { b'-' } else { b'+' });
    let magnitude = exponent.unsigned_abs();
    if magnitude < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(magnitude).as_bytes());
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', tail)) => (true, tail),
        Some((b'+', tail)) => (false, tail),
        _ => (false, text),
    };
    let magnitude = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0i32, |sum, byte| sum * 10 + i32::from(byte - b'0'));
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float8(value: f64) -> String {
        let mut out = Vec::new();
        write_float8(value, 1, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn float4(value: f32) -> String {
        let mut out = Vec::new();
        write_float4(value, 1, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_look_as_postgres_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (100.0, "100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456789012345.0, "123456789012345"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1.5e15, "1.5e+15"),
            (1e20, "1e+20"),
            (1e100, "1e+100"),
            (1.25e-7, "1.25e-07"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1013.4000000000001, "1013.4000000000001"),
        ] {
            assert_eq!(float8(value), text);
        }
        for (value, text) in [
            (10.3f32, "10.3"),
            (1e5, "100000"),
            (1e6, "1e+06"),
            (123456.0, "123456"),
            (1234567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (f32::MIN_POSITIVE, "1.1754944e-38"),
        ] {
            assert_eq!(float4(value), text);
        }
    }

    #[test]
    fn fewer_digits_round() {
        let text = |value: f64, extra: i8| {
            let mut out = Vec::new();
            write_float8(value, extra, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0.1 + 0.2, 0), "0.3");
        assert_eq!(text(0.1 + 0.2, 1), "0.30000000000000004");
        assert_eq!(text(2.0f64.sqrt(), -10), "1.4142");
        assert_eq!(text(123456.0, -12), "1.23e+05");
    }

    proptest! {
        #[test]
        fn any_double_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(float8(value).parse::<f64>().unwrap().to_bits(), bits);
            }
        }

        #[test]
        fn any_real_reads_back(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(float4(value).parse::<f32>().unwrap().to_bits(), bits);
            }
        }
    }
}
