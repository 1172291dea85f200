//! Square roots, exponentials, logarithms and powers with PostgreSQL's scales: at least sixteen digits that count, all of them right.
//!
//! Everything is computed with whole numbers in units of ten to minus some scale, with enough digits more than the result shows that the
//! last one is rounded as the exact value would be.

use std::cmp::Ordering;
use std::f64::consts::LOG10_E;

use num_bigint::{BigInt, Sign};

use super::{Decimal, Numeric, NumericError, Rounding, power_of_ten};

/// Digits that count in every result, at least: PostgreSQL's NUMERIC_MIN_SIG_DIGITS.
const DIGITS_MIN: i64 = 16;
/// Digits behind the point at most: PostgreSQL's NUMERIC_MAX_DISPLAY_SCALE.
const SCALE_MAX: i64 = 1_000;
/// Beyond e to the power of this PostgreSQL says that the result overflows, or is nothing.
const EXPONENT_MAX: f64 = 6_000.0;
/// Digits of the largest power of ten that the format has room for.
const POWER_DIGITS_MAX: f64 = 131_072.0;
/// Digits that are computed beyond those that are shown. Squaring loses a third of a digit each time, of at most forty times.
const GUARD: u32 = 25;
/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerError {
    Number(NumericError),
    RootOfNegative,
    LogarithmOfZero,
    LogarithmOfNegative,
    ZeroToNegative,
    NegativeToFraction,
}

impl From<NumericError> for PowerError {
    fn from(error: NumericError) -> PowerError {
        PowerError::Number(error)
    }
}

fn whole(value: i64) -> Numeric {
    Numeric::Finite(Decimal::new(value, 0))
}

fn clamped(scale: i64) -> u32 {
    scale.clamp(0, SCALE_MAX) as u32
}

/// A number's leading digits as PostgreSQL groups them by four, and the group's place: 12345.6 begins with 1, 10000 to the first.
struct Leading {
    weight: i64,
    first: u32,
    second: u32,
}

impl Leading {
    /// `None` of zero.
    fn of(decimal: &Decimal) -> Option<Leading> {
        if decimal.is_zero() {
            return None;
        }
        let digits = decimal.unscaled.magnitude().to_string();
        let exponent = digits.len() as i64 - 1 - i64::from(decimal.scale);
        let count = exponent.rem_euclid(4) as usize + 1;
        let group = |from: usize, to: usize| {
            let taken: String = digits.chars().skip(from).take(to - from).collect();
            format!("{taken:0<width$}", width = to - from).parse().unwrap_or(0)
        };
        Some(Leading {
            weight: exponent.div_euclid(4),
            first: group(0, count),
            second: group(count, count + 4),
        })
    }

    fn logarithm(&self) -> f64 {
        let digits = f64::from(self.first) * 10_000.0 + f64::from(self.second);
        digits.ln() + ((self.weight - 1) * 4) as f64 * std::f64::consts::LN_10
    }
}

/// How many digits the natural logarithm has before the point, roughly; PostgreSQL chooses the scale by it.
fn logarithm_weight(decimal: &Decimal) -> i64 {
    let near_one = {
        let double = Numeric::Finite(decimal.clone()).to_f64();
        (0.9..=1.1).contains(&double)
    };
    if near_one {
        let scale = decimal.scale;
        let beyond = Decimal::new(&decimal.unscaled - power_of_ten(scale), scale);
        return Leading::of(&beyond).map_or(0, |leading| leading.weight * 4 + i64::from(leading.first.ilog10()));
    }
    Leading::of(decimal).map_or(0, |leading| leading.logarithm().abs().log10() as i64)
}

/// The nearest whole number of units, halves away from zero.
fn rounded(value: BigInt, scale: u32, to: u32) -> BigInt {
    Decimal::new(value, scale)
        .rounded(i64::from(to), Rounding::Half)
        .unscaled
}

/// The inverse hyperbolic tangent of `z`, both in units of ten to minus `scale`.
fn arctanh(z: &BigInt, scale: u32) -> BigInt {
    let unit = power_of_ten(scale);
    let square = z * z / &unit;
    let (mut power, mut sum, mut odd) = (z.clone(), z.clone(), 1u32);
    while power.sign() != Sign::NoSign {
        power = power * &square / &unit;
        odd += 2;
        sum += &power / odd;
    }
    sum
}

/// The natural logarithm of a positive number in units of ten to minus `scale`.
fn logarithm(decimal: &Decimal, scale: u32) -> BigInt {
    let digits = decimal.unscaled.magnitude().to_string();
    let mut exponent = digits.len() as i64 - 1 - i64::from(decimal.scale);
    // 10 to the half is 3.16…: the rest is as near to one as a power of ten lets it come.
    if digits.as_bytes() > b"316".as_slice() {
        exponent += 1;
    }
    let inner = scale + GUARD;
    let unit = power_of_ten(inner);
    let shift = i64::from(inner) - i64::from(decimal.scale) - exponent;
    let moved = power_of_ten(shift.unsigned_abs() as u32);
    let rest = match shift >= 0 {
        true => &decimal.unscaled * moved,
        false => &decimal.unscaled / moved,
    };
    let z = (&rest - &unit) * &unit / (&rest + &unit);
    let mut sum = arctanh(&z, inner) * 2;
    if exponent != 0 {
        let ten = arctanh(&(&unit / 3), inner) * 6 + arctanh(&(&unit / 9), inner) * 2;
        sum += ten * exponent;
    }
    sum / power_of_ten(GUARD)
}

/// e to the power of a number, in units of ten to minus `scale`. `|x|` is less than ten thousand.
fn exponential(x: &Decimal, scale: u32) -> BigInt {
    let size = Numeric::Finite(x.clone()).to_f64().abs();
    let inner = scale + (size * LOG10_E) as u32 + 2 * GUARD;
    let unit = power_of_ten(inner);
    let argument = rounded(BigInt::from(x.unscaled.magnitude().clone()), x.scale, inner);
    let halvings = (size.max(1.0).log2() as u32) + 8;
    let small = argument >> halvings;
    let (mut term, mut sum, mut count) = (unit.clone(), unit.clone(), 0u32);
    while term.sign() != Sign::NoSign {
        count += 1;
        term = term * &small / &unit / count;
        sum += &term;
    }
    for _ in 0..halvings {
        sum = &sum * &sum / &unit;
    }
    let result = match x.unscaled.sign() == Sign::Minus {
        true => &unit * &unit / sum,
        false => sum,
    };
    rounded(result, inner, scale)
}

/// `mantissa` times ten to `exponent`, cut to some digits that count.
struct Floating {
    mantissa: BigInt,
    exponent: i64,
}

impl Floating {
    fn cut(self, digits: u64) -> Floating {
        // A digit has 3.3 bits.
        let surplus = (self.mantissa.bits() * 3 / 10).saturating_sub(digits);
        let drop = u32::try_from(surplus).unwrap_or(0);
        match drop {
            0 => self,
            drop => Floating {
                mantissa: self.mantissa / power_of_ten(drop),
                exponent: self.exponent + i64::from(drop),
            },
        }
    }

    fn times(&self, other: &Floating, digits: u64) -> Floating {
        Floating {
            mantissa: &self.mantissa * &other.mantissa,
            exponent: self.exponent + other.exponent,
        }
        .cut(digits)
    }
}

impl Decimal {
    fn is_whole(&self) -> bool {
        self.exactly(0).is_some()
    }

    /// To a whole power, with `scale` digits behind the point.
    fn to_whole_power(&self, power: i32, scale: u32) -> Result<Decimal, PowerError> {
        if power == 0 {
            return Ok(Decimal::new(power_of_ten(scale), scale));
        }
        let Some(leading) = Leading::of(self) else {
            return Ok(Decimal::new(0, scale));
        };
        let digits = leading.logarithm() * LOG10_E * f64::from(power);
        if digits > POWER_DIGITS_MAX {
            return Err(NumericError::Overflow.into());
        }
        if digits + 1.0 < -f64::from(scale) {
            return Ok(Decimal::new(0, scale));
        }
        let kept = digits.abs() as u64 + u64::from(scale) + 2 * u64::from(GUARD);
        let mut base = Floating {
            mantissa: self.unscaled.clone(),
            exponent: -i64::from(self.scale),
        };
        let mut result = Floating {
            mantissa: BigInt::from(1),
            exponent: 0,
        };
        let mut bits = power.unsigned_abs();
        while bits > 0 {
            if bits & 1 == 1 {
                result = result.times(&base, kept);
            }
            bits >>= 1;
            if bits > 0 {
                base = base.times(&base, kept);
            }
        }
        let inner = i64::from(scale) + i64::from(GUARD);
        let at = |shift: i64, value: BigInt| -> Result<BigInt, PowerError> {
            let power = power_of_ten(u32::try_from(shift.unsigned_abs()).map_err(|_| NumericError::Overflow)?);
            Ok(if shift >= 0 { value * power } else { value / power })
        };
        let found = match power > 0 {
            true => at(inner + result.exponent, result.mantissa)?,
            // One over the mantissa, in units that leave the wanted digits.
            false => {
                let more = (result.mantissa.bits() / 3) as i64 + 1;
                let inverse = at(inner + more, BigInt::from(1))? / &result.mantissa;
                at(-result.exponent - more, inverse)?
            }
        };
        let decimal = Decimal::new(rounded(found, inner as u32, scale), scale);
        Ok(decimal.checked()?)
    }
}

impl Numeric {
    fn compared_with_zero(&self) -> Ordering {
        match self {
            Numeric::NegativeInfinity => Ordering::Less,
            Numeric::Finite(decimal) => decimal.unscaled.cmp(&BigInt::from(0)),
            Numeric::Infinity | Numeric::NaN => Ordering::Greater,
        }
    }

    pub fn square_root(&self) -> Result<Numeric, PowerError> {
        let decimal = match self {
            Numeric::Finite(decimal) => decimal,
            Numeric::NegativeInfinity => return Err(PowerError::RootOfNegative),
            other => return Ok(other.clone()),
        };
        if decimal.unscaled.sign() == Sign::Minus {
            return Err(PowerError::RootOfNegative);
        }
        let weight = Leading::of(decimal).map_or(0, |leading| leading.weight);
        let scale = clamped((DIGITS_MIN - (weight + 1) * 2 + 1).max(i64::from(decimal.scale)));
        Ok(Numeric::Finite(decimal.root(scale)))
    }

    pub fn exponential(&self) -> Result<Numeric, PowerError> {
        let decimal = match self {
            Numeric::Finite(decimal) => decimal,
            Numeric::NegativeInfinity => return Ok(whole(0)),
            other => return Ok(other.clone()),
        };
        let size = self.to_f64();
        let digits = (size * LOG10_E).clamp(-2_000.0, 2_000.0) as i64;
        let scale = clamped((DIGITS_MIN - digits).max(i64::from(decimal.scale)));
        match size {
            size if size >= EXPONENT_MAX => Err(NumericError::Overflow.into()),
            size if size <= -EXPONENT_MAX => Ok(Numeric::Finite(Decimal::new(0, scale))),
            _ => Ok(Numeric::Finite(Decimal::new(exponential(decimal, scale), scale))),
        }
    }

    /// What has a logarithm; `None` where the result is the number itself.
    fn of_logarithm(&self) -> Result<Option<&Decimal>, PowerError> {
        match (self, self.compared_with_zero()) {
            (_, Ordering::Less) => Err(PowerError::LogarithmOfNegative),
            (_, Ordering::Equal) => Err(PowerError::LogarithmOfZero),
            (Numeric::Finite(decimal), _) => Ok(Some(decimal)),
            _ => Ok(None),
        }
    }

    pub fn natural_logarithm(&self) -> Result<Numeric, PowerError> {
        let Some(decimal) = self.of_logarithm()? else {
            return Ok(self.clone());
        };
        let scale = clamped((DIGITS_MIN - logarithm_weight(decimal)).max(i64::from(decimal.scale)));
        let inner = scale + GUARD;
        let found = rounded(logarithm(decimal, inner), inner, scale);
        Ok(Numeric::Finite(Decimal::new(found, scale)))
    }

    /// The logarithm of `self` to a base.
    pub fn logarithm(&self, base: &Numeric) -> Result<Numeric, PowerError> {
        let (number, of_base) = (self.of_logarithm(), base.of_logarithm());
        if *self == Numeric::NaN || *base == Numeric::NaN {
            return Ok(Numeric::NaN);
        }
        let (of_base, number) = match (of_base?, number?) {
            (Some(base), Some(number)) => (base, number),
            // Infinity over infinity, a number over infinity, infinity over a number.
            (None, None) => return Ok(Numeric::NaN),
            (None, Some(_)) => return Ok(whole(0)),
            (Some(_), None) => return Ok(Numeric::Infinity),
        };
        let (of_base_weight, number_weight) = (logarithm_weight(of_base), logarithm_weight(number));
        let scale = (DIGITS_MIN - (number_weight - of_base_weight))
            .max(i64::from(of_base.scale))
            .max(i64::from(number.scale));
        let scale = clamped(scale);
        let small = u32::try_from((-of_base_weight).max(0))
            .unwrap_or(0)
            .min(2 * SCALE_MAX as u32);
        let inner = scale + GUARD + 2 * small;
        let (above, below) = (logarithm(number, inner), logarithm(of_base, inner));
        if below.sign() == Sign::NoSign {
            return Err(NumericError::DivisionByZero.into());
        }
        let quotient = above * power_of_ten(scale + GUARD) / below;
        let found = rounded(quotient, scale + GUARD, scale);
        Ok(Numeric::Finite(Decimal::new(found, scale)))
    }

    /// Whether the number is whole; infinity is.
    fn is_whole(&self) -> bool {
        match self {
            Numeric::Finite(decimal) => decimal.is_whole(),
            _ => true,
        }
    }

    fn is_odd(&self) -> bool {
        match self {
            Numeric::Finite(decimal) => decimal.exactly(0).is_some_and(|whole| whole.bit(0)),
            _ => false,
        }
    }

    pub fn power(&self, power: &Numeric) -> Result<Numeric, PowerError> {
        let one = whole(1);
        let is_one = |number: &Numeric| matches!(number, Numeric::Finite(decimal) if *decimal.unscaled.magnitude() == *power_of_ten(decimal.scale).magnitude());
        if *self == Numeric::NaN {
            return Ok(if power.is_zero() { one } else { Numeric::NaN });
        }
        if *power == Numeric::NaN {
            let positive = self.compared_with_zero() == Ordering::Greater;
            return Ok(if is_one(self) && positive { one } else { Numeric::NaN });
        }
        let (sign, of_power) = (self.compared_with_zero(), power.compared_with_zero());
        if sign == Ordering::Equal && of_power == Ordering::Less {
            return Err(PowerError::ZeroToNegative);
        }
        if sign == Ordering::Less && !power.is_whole() {
            return Err(PowerError::NegativeToFraction);
        }
        match (self, power) {
            (Numeric::Finite(base), Numeric::Finite(power)) => Ok(Numeric::Finite(finite_power(base, power)?)),
            _ if of_power == Ordering::Equal => Ok(one),
            (base @ Numeric::Finite(_), _) if is_one(base) => Ok(one),
            (Numeric::Finite(base), _) => {
                let beyond_one = *base.unscaled.magnitude() > *power_of_ten(base.scale).magnitude();
                Ok(match beyond_one == (of_power == Ordering::Greater) {
                    true => Numeric::Infinity,
                    false => whole(0),
                })
            }
            _ if of_power == Ordering::Less => Ok(whole(0)),
            (Numeric::NegativeInfinity, power) if power.is_odd() => Ok(Numeric::NegativeInfinity),
            _ => Ok(Numeric::Infinity),
        }
    }
}

fn finite_power(base: &Decimal, power: &Decimal) -> Result<Decimal, PowerError> {
    let whole = power.exactly(0);
    if let Some(whole) = whole.as_ref().and_then(|whole| i32::try_from(whole).ok()) {
        let scale = clamped(DIGITS_MIN.max(i64::from(base.scale)));
        return base.to_whole_power(whole, scale);
    }
    if base.is_zero() {
        return Ok(Decimal::new(0, DIGITS_MIN as u32));
    }
    let positive = Decimal::new(BigInt::from(base.unscaled.magnitude().clone()), base.scale);
    let odd = whole.is_some_and(|whole| whole.bit(0));
    let negative = base.unscaled.sign() == Sign::Minus && odd;
    let times = Numeric::Finite(power.clone()).to_f64();
    // Sixteen digits of the logarithm say how large the result is.
    let rough = u32::try_from((DIGITS_MIN - logarithm_weight(&positive)).max(0)).unwrap_or(0);
    let size = Numeric::Finite(Decimal::new(logarithm(&positive, rough), rough)).to_f64() * times;
    if size.abs() >= EXPONENT_MAX {
        return match size > 0.0 {
            true => Err(NumericError::Overflow.into()),
            false => Ok(Decimal::new(0, SCALE_MAX as u32)),
        };
    }
    let scale = (DIGITS_MIN - (size * LOG10_E) as i64)
        .max(i64::from(base.scale))
        .max(i64::from(power.scale));
    let scale = clamped(scale);
    let more = times.abs().max(1.0).log10() as u32 + (size.abs() * LOG10_E) as u32;
    let inner = scale + more + 2 * GUARD;
    let exponent = Decimal::new(logarithm(&positive, inner) * &power.unscaled, inner + power.scale);
    let found = exponential(&exponent, scale);
    Ok(Decimal::new(if negative { -found } else { found }, scale))
}

impl Decimal {
    /// The square root of a number that is not negative, with `scale` digits behind the point.
    pub fn root(&self, scale: u32) -> Decimal {
        // One digit more, of which the last is rounded away; the number itself has to have an even count.
        let inner = scale.max(self.scale.div_ceil(2)) + 1;
        let square = self.widened(inner * 2);
        Decimal::new(rounded(square.sqrt(), inner, scale), scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    fn text(numeric: Result<Numeric, PowerError>) -> String {
        let mut out = Vec::new();
        numeric.unwrap().write(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The answers are PostgreSQL's.
    #[test]
    fn as_postgresql_computes_them() {
        for (of, root) in [
            ("2.0", "1.414213562373095"),
            ("0.0004", "0.02000000000000000"),
            ("123456.789", "351.3641828644462"),
            ("0.5", "0.70710678118654752"),
            ("0", "0.000000000000000"),
        ] {
            assert_eq!(text(number(of).square_root()), root, "sqrt({of})");
        }
        for (of, found) in [
            ("1.0", "2.7182818284590452"),
            ("0.0", "1.0000000000000000"),
            ("10.0", "22026.465794806717"),
            ("-10.0", "0.00004539992976248485"),
            ("100.5", "44319559098458954160107061979564816895899481.9"),
        ] {
            assert_eq!(text(number(of).exponential()), found, "exp({of})");
        }
        for (of, found) in [
            ("2.0", "0.6931471805599453"),
            ("1.0", "0.0000000000000000"),
            ("1.05", "0.048790164169432003"),
            ("123456.0", "11.723640096265401"),
            ("0.001", "-6.9077552789821371"),
        ] {
            assert_eq!(text(number(of).natural_logarithm()), found, "ln({of})");
        }
        for (of, base, found) in [
            ("100.0", "10", "2.0000000000000000"),
            ("12345.6", "10", "4.0915122016277717"),
            ("81", "3.0", "4.0000000000000000"),
        ] {
            assert_eq!(text(number(of).logarithm(&number(base))), found, "log({base}, {of})");
        }
        for (base, power, found) in [
            ("2.0", "0.5", "1.4142135623730950"),
            ("2.0", "3", "8.0000000000000000"),
            ("100.00", "3.0", "1000000.0000000000000000"),
            ("7.0", "-2", "0.0204081632653061"),
            ("1.10", "3", "1.3310000000000000"),
            ("0.0", "0.5", "0.0000000000000000"),
            ("0.0", "0", "1.0000000000000000"),
        ] {
            assert_eq!(text(number(base).power(&number(power))), found, "{base} ^ {power}");
        }
    }
}
