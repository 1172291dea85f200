//! `round`, `trunc` of numbers as PostgreSQL rounds: a numeric to as many digits as asked for, halves away from zero; a double to even.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type};
use datafusion::common::{Result as DfResult, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::numeric::{NUMERIC, Unary};
use crate::pg_type::numeric::Rounding;

/// Digits of every numeric result: all that 128 bits hold.
const PRECISION: u8 = 38;

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Round {
    name: &'static str,
    /// Towards zero.
    truncate: bool,
    signature: Signature,
}

impl Round {
    pub fn new(name: &'static str, truncate: bool) -> Round {
        Round {
            name,
            truncate,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn double(&self, value: f64) -> f64 {
        if self.truncate {
            value.trunc()
        } else {
            value.round_ties_even()
        }
    }

    fn decimal(&self, value: i128, drop: u32) -> i128 {
        let unit = 10i128.checked_pow(drop).unwrap_or(i128::MAX);
        let half = if self.truncate { 0 } else { unit / 2 };
        let away = if value < 0 {
            value.saturating_sub(half)
        } else {
            value.saturating_add(half)
        };
        away / unit
    }
}

/// Digits after the point that a constant second argument asks for.
fn digits(value: Option<&ScalarValue>) -> Option<i64> {
    match value?.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(digits) => digits,
        _ => None,
    }
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let number = |data_type: &DataType| match data_type {
            DataType::Decimal128(..) | DataType::LargeBinary => Ok(data_type.clone()),
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal256(p, s) => {
                Ok(DataType::Decimal128((*p).min(PRECISION), *s))
            }
            other if other.is_integer() || other.is_floating() || *other == DataType::Null => Ok(DataType::Float64),
            other => plan_err!("No function matches '{}' of {other}: it takes a number", self.name),
        };
        match types {
            [value] => Ok(vec![number(value)?]),
            [value, _] => Ok(vec![number(value)?, DataType::Int64]),
            _ => plan_err!("No function matches '{}' with {} arguments", self.name, types.len()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        Ok(match types.first() {
            Some(DataType::Decimal128(..)) => DataType::Decimal128(PRECISION, 0),
            Some(DataType::LargeBinary) => NUMERIC,
            _ => DataType::Float64,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        let data_type = match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::Decimal128(_, scale)) => {
                let wanted = match args.arg_fields.len() {
                    1 => 0,
                    // Digits that differ from row to row: those of the column.
                    _ => digits(args.scalar_arguments.get(1).copied().flatten()).unwrap_or(i64::from(*scale)),
                };
                DataType::Decimal128(PRECISION, wanted.clamp(0, 20) as i8)
            }
            Some(DataType::LargeBinary) => NUMERIC,
            _ => DataType::Float64,
        };
        Ok(Arc::new(Field::new(self.name, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let wanted = match args.args.get(1) {
            None => Some(0),
            Some(ColumnarValue::Scalar(value)) => digits(Some(value)),
            Some(ColumnarValue::Array(array)) if !array.is_empty() => {
                digits(Some(&ScalarValue::try_from_array(array, 0)?))
            }
            Some(ColumnarValue::Array(_)) => Some(0),
        };
        let Some(wanted) = wanted else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(
                args.return_field.data_type(),
            )?));
        };
        let array = args.args[0].to_array(rows)?;
        let result: ArrayRef = match (array.data_type(), args.return_field.data_type()) {
            (DataType::Decimal128(_, from), DataType::Decimal128(precision, to)) => {
                let drop = i64::from(*from) - wanted;
                let grow = 10i128.checked_pow((i64::from(*to) - wanted).max(0) as u32).unwrap_or(1);
                let values: Decimal128Array = array.as_primitive::<Decimal128Type>().unary(|value| {
                    let rounded = match drop {
                        drop if drop >= 0 => self.decimal(value, drop as u32),
                        grow => value.saturating_mul(10i128.checked_pow(grow.unsigned_abs() as u32).unwrap_or(1)),
                    };
                    rounded.saturating_mul(grow)
                });
                Arc::new(values.with_precision_and_scale(*precision, *to)?)
            }
            (DataType::LargeBinary, _) => {
                let rounding = if self.truncate {
                    Rounding::TowardsZero
                } else {
                    Rounding::Half
                };
                Unary::Round(rounding).apply(&array, wanted)
            }
            (DataType::Float64, DataType::Float64) => {
                let power = 10f64.powi(wanted.clamp(-300, 300) as i32);
                let values = array
                    .as_primitive::<Float64Type>()
                    .unary::<_, Float64Type>(|value| match wanted {
                        0 => self.double(value),
                        _ => {
                            let scaled = value * power;
                            if scaled.is_finite() {
                                self.double(scaled) / power
                            } else {
                                value
                            }
                        }
                    });
                Arc::new(values)
            }
            (other, _) => return exec_err!("{} of {other} is not possible", self.name),
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        let (round, trunc) = (Round::new("round", false), Round::new("trunc", true));
        assert_eq!(
            (round.decimal(125, 1), round.decimal(-125, 1), round.decimal(124, 1)),
            (13, -13, 12)
        );
        assert_eq!((trunc.decimal(129, 1), trunc.decimal(-129, 1)), (12, -12));
        assert_eq!(
            (round.double(2.5), round.double(-2.5), trunc.double(-2.7)),
            (2.0, -2.0, -2.0)
        );
    }
}
