//! A numeric as bytes that sort as the values do, so that sorting, grouping, joining, min and max need to know nothing of it.
//!
//! ```text
//! class  1 byte    0 -Infinity, 1 negative, 2 zero, 3 positive, 4 Infinity, 5 NaN (PostgreSQL's largest)
//! then of a number that is not zero, each byte inverted where it is negative:
//! weight 4 bytes   big-endian, offset by 2^31: the number is 0.D1 D2 D3 … times 100 to this
//! digits n bytes   of base 100, each plus one; zeros at the end are left out
//! end    1 byte    0
//! and at last, of every number that is finite:
//! scale  2 bytes   big-endian: digits behind the point that are printed
//! ```
//!
//! 1.5 and 1.50 differ in the scale alone: what asks for equality takes the [`normal_key`], which has the smallest scale that tells the number.

use num_bigint::{BigInt, BigUint, Sign};

use super::{Decimal, Numeric, SCALE_MAX, WHOLE_DIGITS_MAX, power_of_ten};

const NEGATIVE_INFINITY: u8 = 0;
const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;
const INFINITY: u8 = 4;
const NAN: u8 = 5;

const WEIGHT_OFFSET: i64 = 1 << 31;
/// Class, weight and end of a number that is not zero.
const HEAD: usize = 5;

pub fn encode_key(value: &Numeric) -> Vec<u8> {
    match value {
        Numeric::NegativeInfinity => vec![NEGATIVE_INFINITY],
        Numeric::Infinity => vec![INFINITY],
        Numeric::NaN => vec![NAN],
        Numeric::Finite(decimal) => {
            let mut out = Vec::with_capacity(24);
            match u64::try_from(decimal.unscaled.magnitude()) {
                Ok(magnitude) => encode_small(decimal.unscaled.sign(), magnitude, decimal.scale, &mut out),
                Err(_) => {
                    let even = even_magnitude(decimal);
                    encode_digits(decimal.unscaled.sign(), &even.to_radix_be(100), decimal.scale, &mut out);
                }
            }
            out
        }
    }
}

/// The key of an Arrow decimal or an integer.
pub fn encode_decimal(unscaled: i128, scale: u32, out: &mut Vec<u8>) {
    let sign = match unscaled {
        0 => Sign::NoSign,
        1.. => Sign::Plus,
        _ => Sign::Minus,
    };
    match u64::try_from(unscaled.unsigned_abs()) {
        Ok(magnitude) => encode_small(sign, magnitude, scale, out),
        Err(_) => {
            let decimal = Decimal::new(unscaled, scale);
            encode_digits(sign, &even_magnitude(&decimal).to_radix_be(100), scale, out);
        }
    }
}

/// The digits with an even number of them behind the point.
fn even_magnitude(decimal: &Decimal) -> BigUint {
    match decimal.scale % 2 {
        0 => decimal.unscaled.magnitude().clone(),
        _ => decimal.unscaled.magnitude() * 10u8,
    }
}

fn encode_small(sign: Sign, magnitude: u64, scale: u32, out: &mut Vec<u8>) {
    let mut rest = u128::from(magnitude) * if scale.is_multiple_of(2) { 1 } else { 10 };
    // 2^64 times ten has 21 digits.
    let mut digits = [0u8; 11];
    let mut at = digits.len();
    // Most of the work in 64 bits, which divide faster.
    while u64::try_from(rest).is_err() {
        at -= 1;
        digits[at] = (rest % 100) as u8;
        rest /= 100;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        at -= 1;
        digits[at] = (rest % 100) as u8;
        rest /= 100;
    }
    encode_digits(sign, &digits[at..], scale, out);
}

fn encode_digits(sign: Sign, digits: &[u8], scale: u32, out: &mut Vec<u8>) {
    if sign == Sign::NoSign {
        out.push(ZERO);
        return out.extend_from_slice(&(scale as u16).to_be_bytes());
    }
    let weight = digits.len() as i64 - i64::from(scale.div_ceil(2));
    let kept = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    let flip = if sign == Sign::Minus { 0xFF } else { 0 };
    out.push(if sign == Sign::Minus { NEGATIVE } else { POSITIVE });
    let weight = ((weight + WEIGHT_OFFSET) as u32).to_be_bytes();
    out.extend(weight.iter().map(|byte| byte ^ flip));
    out.extend(digits[..kept].iter().map(|digit| (digit + 1) ^ flip));
    out.push(flip);
    out.extend_from_slice(&(scale as u16).to_be_bytes());
}

/// Weight and digits of base 100 of a number's key, and its scale.
fn parts(key: &[u8]) -> Option<(i64, Vec<u8>, u32)> {
    let (body, scale) = key.split_last_chunk::<2>()?;
    let flip = if *body.first()? == NEGATIVE { 0xFF } else { 0 };
    let weight: [u8; 4] = body.get(1..HEAD)?.try_into().ok()?;
    let weight = i64::from(u32::from_be_bytes(weight.map(|byte| byte ^ flip))) - WEIGHT_OFFSET;
    let digits = body.get(HEAD..body.len() - 1)?;
    let digits = digits.iter().map(|byte| (byte ^ flip).wrapping_sub(1)).collect();
    let scale = u32::from(u16::from_be_bytes(*scale));
    // No number is longer; one of two thousand million digits would be computed for hours.
    let possible = -i64::from(SCALE_MAX)..=WHOLE_DIGITS_MAX;
    (possible.contains(&(weight * 2)) && scale <= SCALE_MAX).then_some((weight, digits, scale))
}

/// The value of a key. Keys come from [`encode_key`] alone; what is none reads as NaN.
pub fn decode_key(key: &[u8]) -> Numeric {
    match key.first() {
        Some(&NEGATIVE_INFINITY) => Numeric::NegativeInfinity,
        Some(&INFINITY) => Numeric::Infinity,
        Some(&ZERO) if key.len() == 3 => {
            Numeric::Finite(Decimal::new(0, u32::from(u16::from_be_bytes([key[1], key[2]]))))
        }
        Some(&(NEGATIVE | POSITIVE)) => decode_number(key).map_or(Numeric::NaN, Numeric::Finite),
        _ => Numeric::NaN,
    }
}

fn decode_number(key: &[u8]) -> Option<Decimal> {
    let (weight, digits, scale) = parts(key)?;
    let magnitude = match digits.len() {
        // 18 digits fit 64 bits.
        ..=9 => BigUint::from(digits.iter().fold(0u64, |sum, digit| sum * 100 + u64::from(*digit))),
        _ => BigUint::from_radix_be(&digits, 100)?,
    };
    let shift = (weight - digits.len() as i64) * 2 + i64::from(scale);
    let power = power_of_ten(u32::try_from(shift.unsigned_abs()).ok()?);
    let magnitude = BigInt::from(magnitude);
    let magnitude = if shift >= 0 {
        magnitude * power
    } else {
        magnitude / power
    };
    let unscaled = if key[0] == NEGATIVE { -magnitude } else { magnitude };
    Some(Decimal::new(unscaled, scale))
}

/// The key of the same number with the smallest scale that tells it: equal numbers have equal ones.
pub fn normal_key(key: &[u8]) -> Vec<u8> {
    let mut out = key.to_vec();
    let scale = match key.first() {
        Some(&ZERO) => 0,
        Some(&(NEGATIVE | POSITIVE)) => match parts(key) {
            Some((weight, digits, _)) => {
                let behind = (digits.len() as i64 - weight) * 2;
                let last_is_round = digits.last().is_some_and(|digit| digit % 10 == 0);
                (behind - i64::from(last_is_round)).max(0) as u16
            }
            None => 0,
        },
        _ => return out,
    };
    let at = out.len().saturating_sub(2);
    out.truncate(at);
    out.extend_from_slice(&scale.to_be_bytes());
    out
}

/// Appends the text of a key.
pub fn write_key(key: &[u8], out: &mut Vec<u8>) {
    decode_key(key).write(out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_numeric() -> impl Strategy<Value = Numeric> {
        let finite = |unscaled: i128, scale: u32| Numeric::Finite(Decimal::new(unscaled, scale));
        prop_oneof![
            (any::<i128>(), 0u32..45).prop_map(move |(unscaled, scale)| finite(unscaled, scale)),
            (-2000i128..2000, 0u32..6).prop_map(move |(unscaled, scale)| finite(unscaled, scale)),
            (any::<i128>(), any::<i128>(), 0u32..90)
                .prop_map(|(a, b, scale)| { Numeric::Finite(Decimal::new(BigInt::from(a) * BigInt::from(b), scale)) }),
            Just(Numeric::NaN),
            Just(Numeric::Infinity),
            Just(Numeric::NegativeInfinity),
        ]
    }

    fn rank(value: &Numeric) -> u8 {
        match value {
            Numeric::NegativeInfinity => 0,
            Numeric::Finite(_) => 1,
            Numeric::Infinity => 2,
            Numeric::NaN => 3,
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(value in any_numeric()) {
            prop_assert_eq!(decode_key(&encode_key(&value)), value);
        }

        #[test]
        fn keys_sort_as_the_numbers_do(left in any_numeric(), right in any_numeric()) {
            let expected = match (&left, &right) {
                (Numeric::Finite(a), Numeric::Finite(b)) => {
                    let scale = a.scale.max(b.scale);
                    a.exactly(scale).cmp(&b.exactly(scale))
                }
                _ => rank(&left).cmp(&rank(&right)),
            };
            let keys = (normal_key(&encode_key(&left)), normal_key(&encode_key(&right)));
            prop_assert_eq!(keys.0.cmp(&keys.1), expected);
        }

        #[test]
        fn a_decimal_has_the_key_of_its_number(unscaled in any::<i128>(), scale in 0u32..38) {
            let mut out = Vec::new();
            encode_decimal(unscaled, scale, &mut out);
            prop_assert_eq!(out, encode_key(&Numeric::Finite(Decimal::new(unscaled, scale))));
        }

        #[test]
        fn no_bytes_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = decode_key(&bytes);
            let _ = normal_key(&bytes);
        }
    }

    #[test]
    fn equal_numbers_have_one_normal_key() {
        let key = |text: &str| normal_key(&encode_key(&Numeric::parse(text).unwrap()));
        for (left, right) in [
            ("1.5", "1.500"),
            ("10", "10.0"),
            ("0", "0.00"),
            ("-0.10", "-0.1"),
            ("1e20", "100000000000000000000"),
        ] {
            assert_eq!(key(left), key(right), "{left}");
        }
        let mut out = Vec::new();
        write_key(&key("100.500"), &mut out);
        assert_eq!(out, b"100.5");
    }
}
