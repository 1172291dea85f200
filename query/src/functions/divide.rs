//! `/` of numbers that are no integers: division by zero is an error, and a numeric keeps sixteen digits after the point.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array};
use arrow::compute::kernels::arity::try_binary;
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::arithmetic::float_out_of_range;

/// Digits of every numeric quotient: all that 128 bits hold.
const PRECISION: u8 = 38;

/// Digits after the point of a quotient of numerics: PostgreSQL gives at least sixteen that count, and chooses for each row; a column of ours
/// has one scale.
const SCALE_MIN: i8 = 16;
const SCALE_MAX: i8 = 20;

/// A bigint as a numeric.
const INTEGER: DataType = DataType::Decimal128(20, 0);

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Divide {
    signature: Signature,
}

impl Divide {
    pub fn new() -> Divide {
        Divide {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// The type in which both are divided.
fn operand(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => Some(data_type.clone()),
        DataType::Float16 => Some(DataType::Float32),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            Some(DataType::Decimal128(*precision, *scale))
        }
        DataType::Decimal256(_, scale) => Some(DataType::Decimal128(PRECISION, *scale)),
        other if other.is_integer() => Some(INTEGER),
        _ => None,
    }
}

impl ScalarUDFImpl for Divide {
    fn name(&self) -> &str {
        "divide"
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" / "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let operands: Option<Vec<DataType>> = types.iter().map(operand).collect();
        let Some([left, right]) = operands.as_deref() else {
            return plan_err!("No function matches 'divide': it takes two numbers");
        };
        Ok(match (left, right) {
            (DataType::Float32, DataType::Float32) => vec![DataType::Float32; 2],
            (left, right) if left.is_floating() || right.is_floating() => vec![DataType::Float64; 2],
            (left, right) => vec![left.clone(), right.clone()],
        })
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match types {
            [DataType::Decimal128(_, left), DataType::Decimal128(_, right)] => {
                let scale = (*left).max(*right).clamp(SCALE_MIN, SCALE_MAX);
                Ok(DataType::Decimal128(PRECISION, scale))
            }
            [data_type, _] => Ok(data_type.clone()),
            _ => plan_err!("No function matches 'divide': it takes two numbers"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let [left, right] = args.args.as_slice() else {
            return plan_err!("No function matches 'divide' with {} arguments", args.args.len());
        };
        let quotient = divide(
            &left.to_array(rows)?,
            &right.to_array(rows)?,
            args.return_field.data_type(),
        )?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&quotient, 0)?)),
            false => Ok(ColumnarValue::Array(quotient)),
        }
    }
}

fn out_of_range(problem: &str) -> ArrowError {
    ArrowError::ExternalError(Box::new(float_out_of_range(problem)))
}

fn divide(left: &ArrayRef, right: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match data_type {
        DataType::Float64 => {
            let (left, right) = (left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
            let quotient: Float64Array = try_binary(left, right, |left, right| {
                let quotient = left / right;
                match right {
                    0.0 => Err(ArrowError::DivideByZero),
                    _ if quotient.is_infinite() && left.is_finite() => Err(out_of_range("overflow")),
                    _ if quotient == 0.0 && left != 0.0 && right.is_finite() => Err(out_of_range("underflow")),
                    _ => Ok(quotient),
                }
            })?;
            Ok(Arc::new(quotient))
        }
        DataType::Float32 => {
            let (left, right) = (left.as_primitive::<Float32Type>(), right.as_primitive::<Float32Type>());
            let quotient: Float32Array = try_binary(left, right, |left, right| {
                let quotient = left / right;
                match right {
                    0.0 => Err(ArrowError::DivideByZero),
                    _ if quotient.is_infinite() && left.is_finite() => Err(out_of_range("overflow")),
                    _ if quotient == 0.0 && left != 0.0 && right.is_finite() => Err(out_of_range("underflow")),
                    _ => Ok(quotient),
                }
            })?;
            Ok(Arc::new(quotient))
        }
        DataType::Decimal128(precision, scale) => {
            let (left, right) = (
                left.as_primitive::<Decimal128Type>(),
                right.as_primitive::<Decimal128Type>(),
            );
            // left / 10^a divided by right / 10^b is left * 10^(scale + b - a) / right in units of the quotient's scale.
            let shift = i32::from(*scale) + i32::from(right.scale()) - i32::from(left.scale());
            let unit = i256::from_i128(10).wrapping_pow(shift.unsigned_abs());
            let quotient: Decimal128Array = try_binary(left, right, |left, right| decimal(left, right, shift, unit))?;
            Ok(Arc::new(quotient.with_precision_and_scale(*precision, *scale)?))
        }
        other => Err(ArrowError::InvalidArgumentError(format!("cannot divide {other}"))),
    }
}

/// Rounded half away from zero. With at most 38 digits and a shift of at most 58, 96 digits do not fit 256 bits, hence the checks.
fn decimal(left: i128, right: i128, shift: i32, unit: i256) -> Result<i128, ArrowError> {
    let too_large = || ArrowError::ComputeError("Overflow happened on: cast to type Decimal128".into());
    if right == 0 {
        return Err(ArrowError::DivideByZero);
    }
    let (mut left, mut right) = (i256::from_i128(left), i256::from_i128(right));
    match shift >= 0 {
        true => left = left.checked_mul(unit).ok_or_else(too_large)?,
        false => right = right.checked_mul(unit).ok_or_else(too_large)?,
    }
    let quotient = left.checked_div(right).ok_or_else(too_large)?;
    let rest = left.wrapping_sub(quotient.wrapping_mul(right));
    let twice = rest.wrapping_abs().wrapping_add(rest.wrapping_abs());
    let rounded = match (twice >= right.wrapping_abs(), rest.is_negative() != right.is_negative()) {
        (false, _) => quotient,
        (true, false) => quotient.wrapping_add(i256::ONE),
        (true, true) => quotient.wrapping_sub(i256::ONE),
    };
    rounded
        .to_i128()
        .filter(|value| value.unsigned_abs() < 10u128.pow(u32::from(PRECISION)))
        .ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_half_away_from_zero() {
        let divided = |left, right, shift: i32| {
            let unit = i256::from_i128(10).wrapping_pow(shift.unsigned_abs());
            decimal(left, right, shift, unit).ok()
        };
        assert_eq!(divided(1, 3, 4), Some(3333));
        assert_eq!(divided(2, 3, 4), Some(6667));
        assert_eq!(divided(-2, 3, 4), Some(-6667));
        assert_eq!(divided(2, -3, 4), Some(-6667));
        assert_eq!(divided(5, 2, 0), Some(3));
        assert_eq!(divided(-5, 2, 0), Some(-3));
        assert_eq!(divided(7000, 2, -3), Some(4));
        assert_eq!(divided(1, 0, 0), None);
        assert_eq!(divided(10i128.pow(37), 1, 20), None);
    }
}
