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

use super::{Decimal, Numeric, SCALE_MAX, Small, WHOLE_DIGITS_MAX, power_of_ten};

const NEGATIVE_INFINITY: u8 = 0;
const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;
const INFINITY: u8 = 4;
const NAN: u8 = 5;

const WEIGHT_OFFSET: i64 = 1 << 31;
/// Class, weight and end of a number that is not zero.
const HEAD: usize = 5;
/// Digits of base 100 that 128 bits hold, whatever they are.
const SHORT_DIGITS_MAX: usize = 19;

pub fn encode_key(value: &Numeric) -> Vec<u8> {
    match value {
        Numeric::NegativeInfinity => vec![NEGATIVE_INFINITY],
        Numeric::Infinity => vec![INFINITY],
        Numeric::NaN => vec![NAN],
        Numeric::Finite(decimal) => {
            let mut out = Vec::with_capacity(24);
            match i128::try_from(&decimal.unscaled) {
                Ok(unscaled) => encode_decimal(unscaled, decimal.scale, &mut out),
                Err(_) => encode_long(decimal, &mut out),
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
    let even = unscaled
        .unsigned_abs()
        .checked_mul(if scale.is_multiple_of(2) { 1 } else { 10 });
    match even {
        Some(even) => encode_short(sign, even, scale, out),
        None => encode_long(&Decimal::new(unscaled, scale), out),
    }
}

fn encode_long(decimal: &Decimal, out: &mut Vec<u8>) {
    let digits = even_magnitude(decimal).to_radix_be(100);
    encode_digits(decimal.unscaled.sign(), &digits, decimal.scale, out);
}

/// The digits with an even number of them behind the point.
fn even_magnitude(decimal: &Decimal) -> BigUint {
    match decimal.scale % 2 {
        0 => decimal.unscaled.magnitude().clone(),
        _ => decimal.unscaled.magnitude() * 10u8,
    }
}

/// `even`: the digits with an even number of them behind the point.
fn encode_short(sign: Sign, even: u128, scale: u32, out: &mut Vec<u8>) {
    /// Ten to sixteen: eight digits of base 100.
    const PART: u128 = 10_000_000_000_000_000;
    // 128 bits have at most 39 digits.
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = even;
    // Most of the work in 64 bits, which divide faster.
    let rest = loop {
        match u64::try_from(rest) {
            Ok(rest) => break rest,
            Err(_) => {
                at -= 8;
                put_digits((rest % PART) as u64, &mut digits[at..at + 8]);
                rest /= PART;
            }
        }
    };
    let length = rest.checked_ilog10().map_or(0, |last| last as usize / 2 + 1);
    put_digits(rest, &mut digits[at - length..at]);
    encode_digits(sign, &digits[at - length..], scale, out);
}

/// The last digits of base 100, as many as there is room for.
fn put_digits(mut rest: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = (rest % 100) as u8;
        rest /= 100;
    }
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

/// What a number's key says.
struct Parts<'a> {
    weight: i64,
    /// As they stand in the key: plus one, inverted where the number is negative.
    digits: &'a [u8],
    scale: u32,
}

fn parts(key: &[u8]) -> Option<Parts<'_>> {
    let (body, scale) = key.split_last_chunk::<2>()?;
    let flip = if *body.first()? == NEGATIVE { 0xFF } else { 0 };
    let weight: [u8; 4] = body.get(1..HEAD)?.try_into().ok()?;
    let weight = i64::from(u32::from_be_bytes(weight.map(|byte| byte ^ flip))) - WEIGHT_OFFSET;
    let digits = body.get(HEAD..body.len() - 1)?;
    let scale = u32::from(u16::from_be_bytes(*scale));
    // No number is longer; one of two thousand million digits would be computed for hours.
    let possible = -i64::from(SCALE_MAX)..=WHOLE_DIGITS_MAX;
    (possible.contains(&(weight * 2)) && scale <= SCALE_MAX).then_some(Parts { weight, digits, scale })
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

/// The value of a key whose digits fit 128 bits, as they nearly always do.
pub fn decode_small(key: &[u8]) -> Option<Small> {
    match key.first() {
        Some(&ZERO) if key.len() == 3 => Small::new(0, u32::from(u16::from_be_bytes([key[1], key[2]]))),
        Some(&(NEGATIVE | POSITIVE)) => {
            let Parts { weight, digits, scale } = parts(key)?;
            if digits.len() > SHORT_DIGITS_MAX {
                return None;
            }
            let flip = if key[0] == NEGATIVE { 0xFF } else { 0 };
            let digit = |byte: &u8| i128::from((byte ^ flip).wrapping_sub(1));
            let magnitude = digits.iter().fold(0i128, |sum, byte| sum * 100 + digit(byte));
            let shift = (weight - digits.len() as i64) * 2 + i64::from(scale);
            let power = 10i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?)?;
            let magnitude = match shift >= 0 {
                true => magnitude.checked_mul(power)?,
                false => magnitude / power,
            };
            Small::new(if key[0] == NEGATIVE { -magnitude } else { magnitude }, scale)
        }
        _ => None,
    }
}

fn decode_number(key: &[u8]) -> Option<Decimal> {
    let Parts { weight, digits, scale } = parts(key)?;
    let flip = if key[0] == NEGATIVE { 0xFF } else { 0 };
    let digits: Vec<u8> = digits.iter().map(|byte| (byte ^ flip).wrapping_sub(1)).collect();
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
    let mut out = Vec::with_capacity(key.len());
    write_normal_key(key, &mut out);
    out
}

/// Appends the normal key.
pub fn write_normal_key(key: &[u8], out: &mut Vec<u8>) {
    let scale = match key.first() {
        Some(&ZERO) => 0,
        Some(&(NEGATIVE | POSITIVE)) => match parts(key) {
            Some(Parts { weight, digits, .. }) => {
                let behind = (digits.len() as i64 - weight) * 2;
                let flip = if key[0] == NEGATIVE { 0xFF } else { 0 };
                let is_round = |byte: &u8| (byte ^ flip).wrapping_sub(1).is_multiple_of(10);
                (behind - i64::from(digits.last().is_some_and(is_round))).max(0) as u16
            }
            None => 0,
        },
        _ => return out.extend_from_slice(key),
    };
    out.extend_from_slice(&key[..key.len().saturating_sub(2)]);
    out.extend_from_slice(&scale.to_be_bytes());
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
        fn short_numbers_are_read_as_long_ones(unscaled in any::<i128>(), shift in 0u32..128, scale in 0u32..60) {
            let value = Numeric::Finite(Decimal::new(unscaled >> shift, scale));
            if let Some(small) = decode_small(&encode_key(&value)) {
                prop_assert_eq!(Numeric::Finite(Decimal::new(small.unscaled, small.scale)), value);
            }
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
            let _ = decode_small(&bytes);
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
