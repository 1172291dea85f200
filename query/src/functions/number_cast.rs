//! Casts of numbers that round: a double to the nearest integer (of two the even one), a numeric away from zero; what does not fit is refused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Int16Array, Int32Array, Int64Array, PrimitiveArray};
use arrow::compute::kernels::arity::try_unary;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;
use datafusion::common::{Result as DfResult, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::arithmetic::float_out_of_range;
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NumberCast {
    target: DataType,
    signature: Signature,
}

impl NumberCast {
    /// `None` where Arrow's cast does the same.
    pub fn between(source: &DataType, target: &DataType) -> Option<NumberCast> {
        let whole = matches!(target, DataType::Int16 | DataType::Int32 | DataType::Int64);
        let ours = match source {
            DataType::Float64 => whole || *target == DataType::Float32,
            DataType::Float32 | DataType::Decimal128(..) => whole,
            _ => false,
        };
        ours.then(|| NumberCast {
            target: target.clone(),
            signature: Signature::any(1, Volatility::Immutable),
        })
    }
}

fn out_of_range(name: &str) -> ArrowError {
    let error = QueryError::new(ErrorKind::NumericValueOutOfRange, format!("{name} out of range"));
    ArrowError::ExternalError(Box::new(errors::wrap(error)))
}

/// The nearest integer of a double, inside of the type's bounds.
fn nearest<T: ArrowPrimitiveType>(value: f64, bits: u32, name: &str) -> Result<T::Native, ArrowError>
where
    T::Native: TryFrom<i64>,
{
    let rounded = value.round_ties_even();
    let bound = 2f64.powi(bits as i32 - 1);
    // NaN is in no range.
    if !(-bound..bound).contains(&rounded) {
        return Err(out_of_range(name));
    }
    T::Native::try_from(rounded as i64).map_err(|_| out_of_range(name))
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef, bits: u32, name: &str) -> DfResult<PrimitiveArray<T>>
where
    T::Native: TryFrom<i64> + TryFrom<i128>,
{
    Ok(match array.data_type() {
        DataType::Float64 => try_unary(array.as_primitive::<Float64Type>(), |value| {
            nearest::<T>(value, bits, name)
        })?,
        DataType::Float32 => try_unary(array.as_primitive::<Float32Type>(), |value| {
            nearest::<T>(f64::from(value), bits, name)
        })?,
        DataType::Decimal128(_, scale) => {
            let unit = 10i128.pow(u32::from(scale.unsigned_abs()));
            try_unary(array.as_primitive::<Decimal128Type>(), |value| {
                let half = if value < 0 { -(unit / 2) } else { unit / 2 };
                T::Native::try_from((value + half) / unit).map_err(|_| out_of_range(name))
            })?
        }
        other => return exec_err!("a cast of {other} does not round"),
    })
}

fn converted(array: &ArrayRef, target: &DataType) -> DfResult<ArrayRef> {
    Ok(match target {
        DataType::Int16 => Arc::<Int16Array>::new(integers::<Int16Type>(array, 16, "smallint")?),
        DataType::Int32 => Arc::<Int32Array>::new(integers::<Int32Type>(array, 32, "integer")?),
        DataType::Int64 => Arc::<Int64Array>::new(integers::<Int64Type>(array, 64, "bigint")?),
        DataType::Float32 => {
            let reals: Float32Array = try_unary(array.as_primitive::<Float64Type>(), |value| {
                let real = value as f32;
                let problem = match (real.is_infinite() && value.is_finite(), real == 0.0 && value != 0.0) {
                    (true, _) => "overflow",
                    (_, true) => "underflow",
                    _ => return Ok(real),
                };
                Err(ArrowError::ExternalError(Box::new(float_out_of_range(problem))))
            })?;
            Arc::new(reals)
        }
        other => return exec_err!("a cast to {other} does not round"),
    })
}

impl ScalarUDFImpl for NumberCast {
    fn name(&self) -> &str {
        "number_cast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.target.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if scalar { 1 } else { args.number_rows })?;
        let result = converted(&array, &self.target)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Float64Array};

    use super::*;

    #[test]
    fn halves_go_where_postgresql_puts_them() {
        let doubles: ArrayRef = Arc::new(Float64Array::from(vec![2.5, 3.5, -2.5, 2.7]));
        let whole = converted(&doubles, &DataType::Int32).unwrap();
        assert_eq!(whole.as_primitive::<Int32Type>().values(), &[2, 4, -2, 3]);
        let decimals = Decimal128Array::from(vec![25, -25, 24])
            .with_precision_and_scale(3, 1)
            .unwrap();
        let whole = converted(&(Arc::new(decimals) as ArrayRef), &DataType::Int16).unwrap();
        assert_eq!(whole.as_primitive::<Int16Type>().values(), &[3, -3, 2]);
        for wrong in [f64::NAN, f64::INFINITY, 2147483648.0, 2147483647.5] {
            let array: ArrayRef = Arc::new(Float64Array::from(vec![wrong]));
            assert!(converted(&array, &DataType::Int32).is_err(), "{wrong}");
        }
        let large: ArrayRef = Arc::new(Float64Array::from(vec![1e40]));
        assert!(converted(&large, &DataType::Float32).is_err());
    }
}
