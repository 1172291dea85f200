//! Numbers of up to 38 digits, computed in 128 bits: what nearly all are. Whatever does not fit is left to `arithmetic.rs`, with equal results.

use super::arithmetic::{QUOTIENT_DIGITS_MIN, QUOTIENT_SCALE_MAX};

/// Digits behind the point up to which numbers are taken: sums and products of two such have scales far below PostgreSQL's largest.
const SCALE_MAX: u32 = 1_000;

/// `unscaled` times ten to minus `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Small {
    pub unscaled: i128,
    pub scale: u32,
}

fn power_of_ten(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

impl Small {
    /// `None`: more digits behind the point than are taken.
    pub fn new(unscaled: i128, scale: u32) -> Option<Small> {
        (scale <= SCALE_MAX).then_some(Small { unscaled, scale })
    }

    /// In units of ten to minus `scale`, which is not smaller than its own.
    fn widened(self, scale: u32) -> Option<i128> {
        match scale - self.scale {
            0 => Some(self.unscaled),
            more => self.unscaled.checked_mul(power_of_ten(more)?),
        }
    }

    pub fn plus(self, other: Small) -> Option<Small> {
        let scale = self.scale.max(other.scale);
        Some(Small {
            unscaled: self.widened(scale)?.checked_add(other.widened(scale)?)?,
            scale,
        })
    }

    pub fn minus(self, other: Small) -> Option<Small> {
        self.plus(other.negated()?)
    }

    pub fn times(self, other: Small) -> Option<Small> {
        Some(Small {
            unscaled: self.unscaled.checked_mul(other.unscaled)?,
            scale: self.scale + other.scale,
        })
    }

    pub fn negated(self) -> Option<Small> {
        let unscaled = self.unscaled.checked_neg()?;
        Some(Small { unscaled, ..self })
    }

    /// Division by zero is refused elsewhere.
    pub fn over(self, other: Small) -> Option<Small> {
        let scale = quotient_scale(self, other);
        let shift = i64::from(scale) + i64::from(other.scale) - i64::from(self.scale);
        let power = power_of_ten(u32::try_from(shift.unsigned_abs()).ok()?)?;
        let (left, right) = match shift >= 0 {
            true => (self.unscaled.checked_mul(power)?, other.unscaled),
            false => (self.unscaled, other.unscaled.checked_mul(power)?),
        };
        let (above, below) = (left.unsigned_abs(), right.unsigned_abs());
        let whole = above.checked_div(below)?;
        let rest = above - whole * below;
        // Halves go away from zero.
        let whole = i128::try_from(whole + u128::from(rest >= below - rest)).ok()?;
        let negative = (left < 0) != (right < 0);
        Some(Small {
            unscaled: if negative { -whole } else { whole },
            scale,
        })
    }

    /// Division by zero is refused elsewhere.
    pub fn modulo(self, other: Small) -> Option<Small> {
        let scale = self.scale.max(other.scale);
        Some(Small {
            unscaled: self.widened(scale)?.checked_rem(other.widened(scale)?)?,
            scale,
        })
    }
}

/// As the function of that name in `arithmetic.rs`.
fn quotient_scale(left: Small, right: Small) -> u32 {
    let (left_weight, left_digit) = first_group(left);
    let (right_weight, right_digit) = first_group(right);
    let weight = left_weight - right_weight - i64::from(left_digit <= right_digit);
    (QUOTIENT_DIGITS_MIN - weight * 4)
        .max(i64::from(left.scale))
        .max(i64::from(right.scale))
        .clamp(0, QUOTIENT_SCALE_MAX) as u32
}

/// The weight and the value of the first group of four digits that is not zero.
fn first_group(value: Small) -> (i64, u128) {
    let magnitude = value.unscaled.unsigned_abs();
    let Some(last_place) = magnitude.checked_ilog10() else {
        return (0, 0);
    };
    let exponent = i64::from(last_place) - i64::from(value.scale);
    let length = exponent.rem_euclid(4) as u32 + 1;
    let digits = last_place + 1;
    let group = match digits >= length {
        true => magnitude / 10u128.pow(digits - length),
        false => magnitude * 10u128.pow(length - digits),
    };
    (exponent.div_euclid(4), group)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pg_type::numeric::{Decimal, Numeric, NumericError};

    /// Numbers of any length, not only of the longest.
    fn any_small() -> impl Strategy<Value = Small> {
        let cut = |(unscaled, shift, scale): (i128, u32, u32)| Small {
            unscaled: unscaled >> shift,
            scale,
        };
        prop_oneof![
            (any::<i128>(), 0u32..128, 0u32..45).prop_map(cut),
            (any::<i128>(), 100u32..128, 0u32..6).prop_map(cut),
            (any::<i128>(), 0u32..128, Just(0u32)).prop_map(cut),
        ]
    }

    fn long(value: Small) -> Numeric {
        Numeric::Finite(Decimal::new(value.unscaled, value.scale))
    }

    type OfSmall = fn(Small, Small) -> Option<Small>;
    type OfLong = fn(&Numeric, &Numeric) -> Result<Numeric, NumericError>;

    const OPERATORS: [(OfSmall, OfLong); 5] = [
        (Small::plus, Numeric::plus),
        (Small::minus, Numeric::minus),
        (Small::times, Numeric::times),
        (Small::over, Numeric::over),
        (Small::modulo, Numeric::modulo),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_fits_is_what_long_numbers_give(left in any_small(), right in any_small()) {
            for (short, general) in OPERATORS {
                if let Some(result) = short(left, right) {
                    prop_assert_eq!(general(&long(left), &long(right)), Ok(long(result)));
                }
            }
            if let Some(negated) = left.negated() {
                prop_assert_eq!(long(left).negated(), long(negated));
            }
        }
    }

    #[test]
    fn an_average_fits() {
        let (sum, count) = (
            Small {
                unscaled: 370,
                scale: 1,
            },
            Small { unscaled: 60, scale: 0 },
        );
        let average = sum.over(count).map(|average| (average.unscaled, average.scale));
        assert_eq!(average, Some((61_666_666_666_666_666_667, 20)));
        assert_eq!(sum.over(Small { unscaled: 0, scale: 0 }), None);
    }
}
