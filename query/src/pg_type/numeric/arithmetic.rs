//! Arithmetic with PostgreSQL's scales: a sum has the larger one, a product both together, a quotient at least sixteen digits that count.

use num_bigint::{BigInt, Sign};

use super::{Decimal, Numeric, NumericError, SCALE_MAX, power_of_ten};

/// Digits of a quotient that count, at least: PostgreSQL's NUMERIC_MIN_SIG_DIGITS.
pub(super) const QUOTIENT_DIGITS_MIN: i64 = 16;
/// Digits of a quotient behind the point at most.
pub(super) const QUOTIENT_SCALE_MAX: i64 = 1_000;

impl Numeric {
    pub fn is_zero(&self) -> bool {
        matches!(self, Numeric::Finite(decimal) if decimal.is_zero())
    }

    fn is_negative(&self) -> bool {
        match self {
            Numeric::NegativeInfinity => true,
            Numeric::Finite(decimal) => decimal.unscaled.sign() == Sign::Minus,
            Numeric::Infinity | Numeric::NaN => false,
        }
    }

    pub fn negated(&self) -> Numeric {
        match self {
            Numeric::NegativeInfinity => Numeric::Infinity,
            Numeric::Infinity => Numeric::NegativeInfinity,
            Numeric::NaN => Numeric::NaN,
            Numeric::Finite(decimal) => Numeric::Finite(Decimal::new(-&decimal.unscaled, decimal.scale)),
        }
    }

    pub fn absolute(&self) -> Numeric {
        if self.is_negative() {
            self.negated()
        } else {
            self.clone()
        }
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> Numeric {
        match self {
            Numeric::NaN => Numeric::NaN,
            value if value.is_zero() => Numeric::Finite(Decimal::new(0, 0)),
            value if value.is_negative() => Numeric::Finite(Decimal::new(-1, 0)),
            _ => Numeric::Finite(Decimal::new(1, 0)),
        }
    }

    pub fn plus(&self, other: &Numeric) -> Result<Numeric, NumericError> {
        use Numeric::{Finite, Infinity, NaN, NegativeInfinity};
        Ok(match (self, other) {
            (Finite(left), Finite(right)) => {
                let scale = left.scale.max(right.scale);
                Finite(Decimal::new(left.widened(scale) + right.widened(scale), scale).checked()?)
            }
            (NaN, _) | (_, NaN) | (Infinity, NegativeInfinity) | (NegativeInfinity, Infinity) => NaN,
            (Infinity, _) | (_, Infinity) => Infinity,
            _ => NegativeInfinity,
        })
    }

    pub fn minus(&self, other: &Numeric) -> Result<Numeric, NumericError> {
        self.plus(&other.negated())
    }

    pub fn times(&self, other: &Numeric) -> Result<Numeric, NumericError> {
        use Numeric::{Finite, Infinity, NaN, NegativeInfinity};
        Ok(match (self, other) {
            (Finite(left), Finite(right)) => {
                let scale = left.scale + right.scale;
                let product = Decimal::new(&left.unscaled * &right.unscaled, scale);
                match scale > SCALE_MAX {
                    true => Finite(product.rounded(i64::from(SCALE_MAX), Rounding::Half)).checked()?,
                    false => Finite(product.checked()?),
                }
            }
            (NaN, _) | (_, NaN) => NaN,
            _ if self.is_zero() || other.is_zero() => NaN,
            _ if self.is_negative() == other.is_negative() => Infinity,
            _ => NegativeInfinity,
        })
    }

    fn checked(self) -> Result<Numeric, NumericError> {
        match self {
            Numeric::Finite(decimal) => decimal.checked().map(Numeric::Finite),
            other => Ok(other),
        }
    }

    pub fn over(&self, other: &Numeric) -> Result<Numeric, NumericError> {
        use Numeric::{Finite, Infinity, NaN, NegativeInfinity};
        Ok(match (self, other) {
            (NaN, _) | (_, NaN) => NaN,
            (_, Finite(right)) if right.is_zero() => return Err(NumericError::DivisionByZero),
            (Finite(left), Finite(right)) => {
                let scale = quotient_scale(left, right);
                Finite(Decimal::new(quotient(left, right, scale), scale).checked()?)
            }
            (Finite(_), _) => Finite(Decimal::new(0, 0)),
            (_, Finite(_)) if self.is_negative() == other.is_negative() => Infinity,
            (_, Finite(_)) => NegativeInfinity,
            _ => NaN,
        })
    }

    /// What a division with a whole quotient leaves, with the sign of the dividend.
    pub fn modulo(&self, other: &Numeric) -> Result<Numeric, NumericError> {
        use Numeric::{Finite, NaN};
        Ok(match (self, other) {
            (NaN, _) | (_, NaN) => NaN,
            (_, Finite(right)) if right.is_zero() => return Err(NumericError::DivisionByZero),
            (Finite(left), Finite(right)) => {
                let scale = left.scale.max(right.scale);
                Finite(Decimal::new(left.widened(scale) % right.widened(scale), scale))
            }
            (Finite(left), _) => Finite(left.clone()),
            _ => NaN,
        })
    }

    /// To so many digits behind the point, or before it where negative.
    pub fn rounded(&self, digits: i64, rounding: Rounding) -> Numeric {
        match self {
            Numeric::Finite(decimal) => Numeric::Finite(decimal.rounded(digits, rounding)),
            other => other.clone(),
        }
    }
}

/// Which neighbour a number becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// The nearer; of two the one away from zero.
    Half,
    TowardsZero,
    Up,
    Down,
}

impl Decimal {
    pub fn rounded(&self, digits: i64, rounding: Rounding) -> Decimal {
        let digits = digits.clamp(-(super::WHOLE_DIGITS_MAX), i64::from(SCALE_MAX));
        let scale = digits.max(0) as u32;
        let drop = i64::from(self.scale) - digits;
        if drop <= 0 {
            return Decimal::new(self.widened(scale), scale);
        }
        let unit = power_of_ten(drop as u32);
        let (mut whole, rest) = (&self.unscaled / &unit, &self.unscaled % &unit);
        let away = match rounding {
            Rounding::Half => rest.magnitude() * 2u8 >= *unit.magnitude(),
            Rounding::TowardsZero => false,
            Rounding::Up => rest.sign() == Sign::Plus,
            Rounding::Down => rest.sign() == Sign::Minus,
        };
        if away {
            whole += if self.unscaled.sign() == Sign::Minus { -1 } else { 1 };
        }
        if digits < 0 {
            whole *= power_of_ten(digits.unsigned_abs() as u32);
        }
        Decimal::new(whole, scale)
    }
}

/// PostgreSQL's choice: sixteen digits that count, as many as either operand shows, counted in its groups of four digits.
fn quotient_scale(left: &Decimal, right: &Decimal) -> u32 {
    let (left_weight, left_digit) = first_group(left);
    let (right_weight, right_digit) = first_group(right);
    let weight = left_weight - right_weight - i64::from(left_digit <= right_digit);
    (QUOTIENT_DIGITS_MIN - weight * 4)
        .max(i64::from(left.scale))
        .max(i64::from(right.scale))
        .clamp(0, QUOTIENT_SCALE_MAX) as u32
}

/// The weight and the value of the first group of four digits that is not zero.
fn first_group(decimal: &Decimal) -> (i64, u16) {
    if decimal.is_zero() {
        return (0, 0);
    }
    let digits = decimal.unscaled.magnitude().to_string();
    // Ten to this is the place of the first digit.
    let exponent = digits.len() as i64 - 1 - i64::from(decimal.scale);
    let length = exponent.rem_euclid(4) as usize + 1;
    let group = digits.bytes().chain(std::iter::repeat(b'0')).take(length);
    let value = group.fold(0u16, |sum, byte| sum * 10 + u16::from(byte - b'0'));
    (exponent.div_euclid(4), value)
}

fn quotient(left: &Decimal, right: &Decimal, scale: u32) -> BigInt {
    let shift = i64::from(scale) + i64::from(right.scale) - i64::from(left.scale);
    let power = power_of_ten(shift.unsigned_abs() as u32);
    let (left, right) = match shift >= 0 {
        true => (&left.unscaled * power, right.unscaled.clone()),
        false => (left.unscaled.clone(), &right.unscaled * power),
    };
    let (mut whole, rest) = (&left / &right, &left % &right);
    if rest.magnitude() * 2u8 >= *right.magnitude() {
        whole += if left.sign() == right.sign() { 1 } else { -1 };
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    fn text(value: Result<Numeric, NumericError>) -> String {
        match value {
            Ok(value) => {
                let mut out = Vec::new();
                value.write(&mut out);
                String::from_utf8(out).unwrap()
            }
            Err(error) => format!("{error:?}"),
        }
    }

    /// What PostgreSQL 15 answers.
    #[test]
    fn scales_are_postgresqls() {
        let n = numeric;
        assert_eq!(text(n("1.50").plus(&n("2"))), "3.50");
        assert_eq!(text(n("1e-5").times(&n("1.00"))), "0.0000100");
        assert_eq!(text(n("2").over(&n("3"))), "0.66666666666666666667");
        assert_eq!(text(n("1000000").over(&n("3"))), "333333.333333333333");
        assert_eq!(text(n("1").over(&n("3000000"))), "0.000000333333333333333333");
        assert_eq!(text(n("7").over(&n("2.0"))), "3.5000000000000000");
        assert_eq!(text(n("-2").over(&n("3"))), "-0.66666666666666666667");
        assert_eq!(text(n("5").modulo(&n("3.2"))), "1.8");
        assert_eq!(text(n("-5").modulo(&n("3"))), "-2");
        assert_eq!(text(n("1").over(&n("0"))), "DivisionByZero");
        assert_eq!(text(n("NaN").over(&n("0"))), "NaN");
        assert_eq!(text(n("Infinity").minus(&n("Infinity"))), "NaN");
        assert_eq!(text(n("5").over(&n("-Infinity"))), "0");
    }

    #[test]
    fn rounding() {
        let rounded = |value: &str, digits, rounding| text(Ok(numeric(value).rounded(digits, rounding)));
        assert_eq!(rounded("2.5", 0, Rounding::Half), "3");
        assert_eq!(rounded("-2.5", 0, Rounding::Half), "-3");
        assert_eq!(rounded("2.45", 1, Rounding::Half), "2.5");
        assert_eq!(rounded("2.4", 3, Rounding::Half), "2.400");
        assert_eq!(rounded("1250", -2, Rounding::Half), "1300");
        assert_eq!(rounded("-2.9", 0, Rounding::TowardsZero), "-2");
        assert_eq!(rounded("1.1", 0, Rounding::Up), "2");
        assert_eq!(rounded("-1.1", 0, Rounding::Up), "-1");
        assert_eq!(rounded("-1.1", 0, Rounding::Down), "-2");
        assert_eq!(rounded("NaN", 0, Rounding::Down), "NaN");
    }

    proptest::proptest! {
        #[test]
        fn sums_and_differences_undo_each_other(a: i128, b: i128, x in 0u32..30, y in 0u32..30) {
            let (a, b) = (Numeric::Finite(Decimal::new(a, x)), Numeric::Finite(Decimal::new(b, y)));
            let back = a.plus(&b).unwrap().minus(&b).unwrap();
            proptest::prop_assert_eq!(super::super::normal_key(&back.key()), super::super::normal_key(&a.key()));
        }
    }
}
