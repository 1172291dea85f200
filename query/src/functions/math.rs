//! Arithmetic beyond the operators: signs and whole parts, divisors, logarithms, angles in degrees, buckets, the scale of numerics.

use datafusion::common::ScalarValue;

use super::numeric::{cast_scalar, refused};
use super::signature::{Args, Entry, Kind, Overload, float8, int4, numeric, refuse, text, whole};
use crate::pg_type::numeric::{Decimal, Numeric, PowerError, normal_key};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

const INT4: Kind = Kind::Int4;
const INT8: Kind = Kind::Int8;
const NUMERIC: Kind = Kind::Numeric;
const FLOAT: Kind = Kind::Float8;

fn int8(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

fn bigint_out_of_range<T>() -> Result<T, QueryError> {
    refuse(ErrorKind::NumericValueOutOfRange, "bigint out of range")
}

fn division_by_zero<T>() -> Result<T, QueryError> {
    refuse(ErrorKind::DivisionByZero, "division by zero")
}

fn greatest_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Two numerics as whole numbers of the finer unit, and that unit's scale.
fn alike(args: &Args<'_>) -> Result<(i128, i128, u32), QueryError> {
    let ((a, a_scale), (b, b_scale)) = (args.numeric(0)?, args.numeric(1)?);
    let scale = a_scale.max(b_scale);
    let widened = |digits: i128, own: u32| {
        10i128
            .checked_pow(scale - own)
            .and_then(|unit| digits.checked_mul(unit))
    };
    match (widened(a, a_scale), widened(b, b_scale)) {
        (Some(a), Some(b)) => Ok((a, b, scale)),
        _ => refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
    }
}

fn gcd_of_ints(args: &Args<'_>) -> Result<i64, QueryError> {
    let found = greatest_divisor(
        u128::from(args.int(0).unsigned_abs()),
        u128::from(args.int(1).unsigned_abs()),
    );
    i64::try_from(found).or_else(|_| bigint_out_of_range())
}

fn lcm_of_ints(args: &Args<'_>) -> Result<i64, QueryError> {
    let (a, b) = (
        u128::from(args.int(0).unsigned_abs()),
        u128::from(args.int(1).unsigned_abs()),
    );
    if a == 0 || b == 0 {
        return Ok(0);
    }
    i64::try_from(a / greatest_divisor(a, b) * b).or_else(|_| bigint_out_of_range())
}

fn gcd_of_numerics(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (a, b, scale) = alike(args)?;
    let found = greatest_divisor(a.unsigned_abs(), b.unsigned_abs());
    numeric(i128::try_from(found).unwrap_or(i128::MAX), scale)
}

fn lcm_of_numerics(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (a, b, scale) = alike(args)?;
    let (a, b) = (a.unsigned_abs(), b.unsigned_abs());
    if a == 0 || b == 0 {
        return numeric(0, scale);
    }
    let found = (a / greatest_divisor(a, b)).checked_mul(b);
    match found.and_then(|found| i128::try_from(found).ok()) {
        Some(found) => numeric(found, scale),
        None => refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
    }
}

fn div(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (a, b, _) = alike(args)?;
    match a.checked_div(b) {
        Some(quotient) => whole(quotient),
        None => division_by_zero(),
    }
}

fn modulo_of_numerics(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (a, b, scale) = alike(args)?;
    match a.checked_rem(b) {
        Some(rest) => numeric(rest, scale),
        None => division_by_zero(),
    }
}

fn modulo_of_ints(args: &Args<'_>) -> Result<i64, QueryError> {
    match args.int(1) {
        0 => division_by_zero(),
        divisor => Ok(args.int(0).checked_rem(divisor).unwrap_or(0)),
    }
}

fn factorial(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let number = args.int(0);
    if number < 0 {
        return refuse(
            ErrorKind::NumericValueOutOfRange,
            "factorial of a negative number is undefined",
        );
    }
    let product = (1..=i128::from(number.min(40))).try_fold(1i128, |product, factor| product.checked_mul(factor));
    match product {
        Some(product) if number <= 40 => whole(product),
        _ => refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
    }
}

/// A numeric that was computed, or why it was not.
fn computed(result: Result<Numeric, PowerError>) -> Result<ScalarValue, QueryError> {
    let error = match result {
        Ok(numeric) => return Ok(numeric.scalar()),
        Err(error) => error,
    };
    match error {
        PowerError::Number(error) => Err(refused(error, "")),
        PowerError::LogarithmOfZero => positive(0.0).map(float8),
        PowerError::LogarithmOfNegative => positive(-1.0).map(float8),
        PowerError::RootOfNegative => refuse(ErrorKind::InvalidArgumentForPowerFunction, ROOT_OF_NEGATIVE),
        PowerError::ZeroToNegative => refuse(ErrorKind::InvalidArgumentForPowerFunction, ZERO_TO_NEGATIVE),
        PowerError::NegativeToFraction => refuse(ErrorKind::InvalidArgumentForPowerFunction, NEGATIVE_TO_FRACTION),
    }
}

const ROOT_OF_NEGATIVE: &str = "cannot take square root of a negative number";
const ZERO_TO_NEGATIVE: &str = "zero raised to a negative power is undefined";
const NEGATIVE_TO_FRACTION: &str = "a negative number raised to a non-integer power yields a complex result";

fn logarithm_of_numeric(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let ten = Numeric::Finite(Decimal::new(10, 0));
    computed(args.exact(0).logarithm(&ten))
}

fn power_of_numerics(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    computed(args.exact(0).power(&args.exact(1)))
}

/// A logarithm's argument.
fn positive(value: f64) -> Result<f64, QueryError> {
    let problem = match value {
        0.0 => "cannot take logarithm of zero",
        value if value < 0.0 => "cannot take logarithm of a negative number",
        value => return Ok(value),
    };
    refuse(ErrorKind::InvalidArgumentForLogarithm, problem)
}

/// A result that is finite where the arguments were.
fn finite(result: f64, arguments: &[f64]) -> Result<ScalarValue, QueryError> {
    match result.is_infinite() && arguments.iter().all(|argument| argument.is_finite()) {
        true => refuse(ErrorKind::NumericValueOutOfRange, "value out of range: overflow"),
        false => Ok(float8(result)),
    }
}

fn power(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (base, exponent) = (args.float(0), args.float(1));
    if base == 0.0 && exponent < 0.0 {
        return refuse(ErrorKind::InvalidArgumentForPowerFunction, ZERO_TO_NEGATIVE);
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return refuse(ErrorKind::InvalidArgumentForPowerFunction, NEGATIVE_TO_FRACTION);
    }
    finite(base.powf(exponent), &[base, exponent])
}

fn square_root(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let value = args.float(0);
    match value < 0.0 {
        true => refuse(ErrorKind::InvalidArgumentForPowerFunction, ROOT_OF_NEGATIVE),
        false => Ok(float8(value.sqrt())),
    }
}

/// A function of an argument within bounds.
fn within(value: f64, low: f64, high: f64, function: fn(f64) -> f64) -> Result<ScalarValue, QueryError> {
    match value < low || value > high {
        true => refuse(ErrorKind::NumericValueOutOfRange, "input is out of range"),
        false => Ok(float8(function(value))),
    }
}

/// Functions of degrees are exact where the result is.
fn snapped(value: f64) -> f64 {
    let near = (value * 2.0).round() / 2.0;
    match (value - near).abs() < 1e-15 {
        true => near,
        false => value,
    }
}

fn sine_of_degrees(degrees: f64) -> f64 {
    snapped(degrees.rem_euclid(360.0).to_radians().sin())
}

fn cosine_of_degrees(degrees: f64) -> f64 {
    snapped(degrees.rem_euclid(360.0).to_radians().cos())
}

/// An angle in degrees, whole where it nearly is.
fn degrees(radians: f64) -> f64 {
    let degrees = radians.to_degrees();
    match (degrees - degrees.round()).abs() < 1e-12 {
        true => degrees.round(),
        false => degrees,
    }
}

fn bucket_error<T>(problem: &str) -> Result<T, QueryError> {
    refuse(ErrorKind::InvalidArgumentForWidthBucketFunction, problem)
}

/// Which of `count` equal parts from `low` to `high` a value is in; 0 and `count + 1` are outside.
fn width_bucket(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (value, low, high, count) = (args.float(0), args.float(1), args.float(2), args.int(3));
    if count <= 0 {
        return bucket_error("count must be greater than zero");
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return bucket_error("operand, lower bound, and upper bound cannot be NaN");
    }
    if !low.is_finite() || !high.is_finite() {
        return bucket_error("lower and upper bounds must be finite");
    }
    let parts = count as f64;
    let inside = |part: f64| (part as i64 + 1).min(count);
    let bucket = match low.total_cmp(&high) {
        std::cmp::Ordering::Equal => return bucket_error("lower bound cannot equal upper bound"),
        std::cmp::Ordering::Less if value < low => 0,
        std::cmp::Ordering::Less if value >= high => count + 1,
        std::cmp::Ordering::Greater if value > low => 0,
        std::cmp::Ordering::Greater if value <= high => count + 1,
        _ => inside((value - low) / (high - low) * parts),
    };
    int4(bucket)
}

/// How many of the sorted bounds are not above the value.
fn bucket_of_bounds(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let Some(bounds) = args.list(1) else {
        return Ok(ScalarValue::Null);
    };
    let value = args.value(0);
    let mut below = 0;
    for row in 0..bounds.len() {
        let bound = ScalarValue::try_from_array(&bounds, row).map_err(errors::translate)?;
        if bound.is_null() {
            return refuse(
                ErrorKind::NullValueNotAllowed,
                "thresholds array must not contain NULLs",
            );
        }
        let bound = cast_scalar(&bound, &value.data_type()).map_err(errors::translate)?;
        let below_value = match (&bound, value) {
            (ScalarValue::LargeBinary(Some(bound)), ScalarValue::LargeBinary(Some(value))) => {
                normal_key(bound) <= normal_key(value)
            }
            _ => bound <= *value,
        };
        if below_value {
            below += 1;
        }
    }
    int4(below)
}

/// The scale without zeros at the end, and the digits at that scale.
fn shortest(digits: i128, scale: u32) -> (i128, u32) {
    let (mut digits, mut scale) = (digits, scale);
    while scale > 0 && digits % 10 == 0 {
        digits /= 10;
        scale -= 1;
    }
    (digits, scale)
}

fn setseed(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let seed = args.float(0);
    match (-1.0..=1.0).contains(&seed) {
        // random() here has no seed to set; what it gives is random all the same.
        true => Ok(text("")),
        false => refuse(
            ErrorKind::InvalidParameterValue,
            format!("setseed parameter {seed} is out of allowed range [-1,1]"),
        ),
    }
}

fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "acosd",
        description: "the arc cosine in degrees",
        example: "SELECT acosd(0.5)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            within(args.float(0), -1.0, 1.0, |value| degrees(value.acos()))
        })],
    },
    Entry {
        name: "asin",
        description: "the arc sine",
        example: "SELECT asin(1)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            within(args.float(0), -1.0, 1.0, f64::asin)
        })],
    },
    Entry {
        name: "acos",
        description: "the arc cosine",
        example: "SELECT acos(1)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            within(args.float(0), -1.0, 1.0, f64::acos)
        })],
    },
    Entry {
        name: "asind",
        description: "the arc sine in degrees",
        example: "SELECT asind(0.5)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            within(args.float(0), -1.0, 1.0, |value| degrees(value.asin()))
        })],
    },
    Entry {
        name: "atan2d",
        description: "the angle of y and x in degrees",
        example: "SELECT atan2d(1, 1)",
        overloads: &[Overload::new(&[FLOAT, FLOAT], FLOAT, |args| {
            Ok(float8(degrees(args.float(0).atan2(args.float(1)))))
        })],
    },
    Entry {
        name: "atand",
        description: "the arc tangent in degrees",
        example: "SELECT atand(1)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            Ok(float8(degrees(args.float(0).atan())))
        })],
    },
    Entry {
        name: "cosd",
        description: "the cosine of degrees",
        example: "SELECT cosd(60)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            Ok(float8(cosine_of_degrees(args.float(0))))
        })],
    },
    Entry {
        name: "cotd",
        description: "the cotangent of degrees",
        example: "SELECT cotd(45)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            let value = args.float(0);
            Ok(float8(snapped(cosine_of_degrees(value) / sine_of_degrees(value))))
        })],
    },
    Entry {
        name: "div",
        description: "a quotient without its fraction",
        example: "SELECT div(9, 4)",
        overloads: &[Overload::new(&[NUMERIC, NUMERIC], Kind::Whole, div)],
    },
    Entry {
        name: "exp",
        description: "e to the power of a number",
        example: "SELECT exp(1)",
        overloads: &[
            Overload::new(&[FLOAT], FLOAT, |args| finite(args.float(0).exp(), &[args.float(0)])),
            Overload::new(&[NUMERIC], NUMERIC, |args| computed(args.exact(0).exponential())),
        ],
    },
    Entry {
        name: "factorial",
        description: "the product of all whole numbers up to one",
        example: "SELECT factorial(5)",
        overloads: &[Overload::new(&[INT8], Kind::Whole, factorial)],
    },
    Entry {
        name: "gcd",
        description: "the greatest common divisor",
        example: "SELECT gcd(1071, 462)",
        overloads: &[
            Overload::new(&[INT4, INT4], INT4, |args| int4(gcd_of_ints(args)?)),
            Overload::new(&[INT8, INT8], INT8, |args| Ok(int8(gcd_of_ints(args)?))),
            Overload::new(&[NUMERIC, NUMERIC], NUMERIC, gcd_of_numerics),
        ],
    },
    Entry {
        name: "lcm",
        description: "the least common multiple",
        example: "SELECT lcm(1071, 462)",
        overloads: &[
            Overload::new(&[INT4, INT4], INT4, |args| int4(lcm_of_ints(args)?)),
            Overload::new(&[INT8, INT8], INT8, |args| Ok(int8(lcm_of_ints(args)?))),
            Overload::new(&[NUMERIC, NUMERIC], NUMERIC, lcm_of_numerics),
        ],
    },
    Entry {
        name: "ln",
        description: "the natural logarithm",
        example: "SELECT ln(2)",
        overloads: &[
            Overload::new(&[FLOAT], FLOAT, |args| Ok(float8(positive(args.float(0))?.ln()))),
            Overload::new(&[NUMERIC], NUMERIC, |args| computed(args.exact(0).natural_logarithm())),
        ],
    },
    Entry {
        name: "log",
        description: "the logarithm to base 10, or to a base",
        example: "SELECT log(100), log(2, 64)",
        overloads: &[
            Overload::new(&[FLOAT], FLOAT, |args| Ok(float8(positive(args.float(0))?.log10()))),
            Overload::new(&[FLOAT, FLOAT], FLOAT, |args| {
                let (base, value) = (positive(args.float(0))?, positive(args.float(1))?);
                match base == 1.0 {
                    true => division_by_zero(),
                    false => Ok(float8(snapped(value.log10() / base.log10()))),
                }
            }),
            Overload::new(&[NUMERIC], NUMERIC, logarithm_of_numeric),
            Overload::new(&[NUMERIC, NUMERIC], NUMERIC, |args| {
                computed(args.exact(1).logarithm(&args.exact(0)))
            }),
        ],
    },
    Entry {
        name: "log10",
        description: "the logarithm to base 10",
        example: "SELECT log10(100)",
        overloads: &[
            Overload::new(&[FLOAT], FLOAT, |args| Ok(float8(positive(args.float(0))?.log10()))),
            Overload::new(&[NUMERIC], NUMERIC, logarithm_of_numeric),
        ],
    },
    Entry {
        name: "min_scale",
        description: "the digits after the point that a numeric needs",
        example: "SELECT min_scale(8.4100)",
        overloads: &[Overload::new(&[NUMERIC], INT4, |args| {
            let (digits, scale) = args.numeric(0)?;
            int4(i64::from(shortest(digits, scale).1))
        })],
    },
    Entry {
        name: "mod",
        description: "the rest of a division",
        example: "SELECT mod(5, 3)",
        overloads: &[
            Overload::new(&[INT4, INT4], INT4, |args| int4(modulo_of_ints(args)?)),
            Overload::new(&[INT8, INT8], INT8, |args| Ok(int8(modulo_of_ints(args)?))),
            Overload::new(&[NUMERIC, NUMERIC], NUMERIC, modulo_of_numerics),
        ],
    },
    Entry {
        name: "pow",
        description: "a number to the power of another",
        example: "SELECT pow(2, 10)",
        overloads: &[
            Overload::new(&[FLOAT, FLOAT], FLOAT, power),
            Overload::new(&[NUMERIC, NUMERIC], NUMERIC, power_of_numerics),
        ],
    },
    Entry {
        name: "power",
        description: "a number to the power of another: what ^ gives",
        example: "SELECT power(2, 10)",
        overloads: &[
            Overload::new(&[FLOAT, FLOAT], FLOAT, power),
            Overload::new(&[NUMERIC, NUMERIC], NUMERIC, power_of_numerics),
        ],
    },
    Entry {
        name: "scale",
        description: "the digits after the point of a numeric",
        example: "SELECT scale(8.41)",
        overloads: &[Overload::new(&[NUMERIC], INT4, |args| {
            int4(i64::from(args.numeric(0)?.1))
        })],
    },
    Entry {
        name: "setseed",
        description: "accepted; random() has no seed here",
        example: "SELECT setseed(0.5)",
        overloads: &[Overload::new(&[FLOAT], Kind::Void, setseed).volatile()],
    },
    Entry {
        name: "sign",
        description: "-1, 0 or 1",
        example: "SELECT sign(-8.4)",
        overloads: &[
            Overload::new(&[FLOAT], FLOAT, |args| Ok(float8(sign(args.float(0))))),
            Overload::new(&[NUMERIC], Kind::Whole, |args| whole(args.numeric(0)?.0.signum())),
        ],
    },
    Entry {
        name: "sind",
        description: "the sine of degrees",
        example: "SELECT sind(30)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            Ok(float8(sine_of_degrees(args.float(0))))
        })],
    },
    Entry {
        name: "sqrt",
        description: "the square root",
        example: "SELECT sqrt(2)",
        overloads: &[
            Overload::new(&[FLOAT], FLOAT, square_root),
            Overload::new(&[NUMERIC], NUMERIC, |args| computed(args.exact(0).square_root())),
        ],
    },
    Entry {
        name: "tand",
        description: "the tangent of degrees",
        example: "SELECT tand(45)",
        overloads: &[Overload::new(&[FLOAT], FLOAT, |args| {
            let value = args.float(0);
            Ok(float8(snapped(sine_of_degrees(value) / cosine_of_degrees(value))))
        })],
    },
    Entry {
        name: "trim_scale",
        description: "a numeric without zeros at its end",
        example: "SELECT trim_scale(8.4100)",
        overloads: &[Overload::new(&[NUMERIC], NUMERIC, |args| {
            let (digits, scale) = args.numeric(0)?;
            let (digits, scale) = shortest(digits, scale);
            numeric(digits, scale)
        })],
    },
    Entry {
        name: "width_bucket",
        description: "which bucket of equal widths, or of an array of bounds, a value is in",
        example: "SELECT width_bucket(5.35, 0.024, 10.06, 5)",
        overloads: &[
            Overload::new(&[FLOAT, FLOAT, FLOAT, INT4], INT4, width_bucket),
            Overload::new(&[Kind::Element, Kind::AnyArray], INT4, bucket_of_bounds),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_exact_where_they_can_be() {
        assert_eq!(sine_of_degrees(30.0), 0.5);
        assert_eq!(cosine_of_degrees(60.0), 0.5);
        assert_eq!(degrees(0.5f64.asin()), 30.0);
    }

    #[test]
    fn divisors_and_scales() {
        assert_eq!(greatest_divisor(1071, 462), 21);
        assert_eq!(greatest_divisor(0, 0), 0);
        assert_eq!(shortest(84100, 4), (841, 2));
        assert_eq!(shortest(0, 3), (0, 0));
    }
}
