//! `+`, `-` and `*` of integers that refuse to wrap around, and of floats that refuse to become infinite or nothing, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::cast;
use arrow::compute::kernels::numeric;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::plan::errors;
use crate::{ErrorKind, QueryError, pg_type};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
}

impl Operation {
    fn symbol(self) -> &'static str {
        match self {
            Operation::Add => "+",
            Operation::Subtract => "-",
            Operation::Multiply => "*",
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    pub fn new(operation: Operation) -> Checked {
        Checked {
            operation,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// What is wrong with a finite operation's result.
pub fn float_out_of_range(problem: &str) -> DataFusionError {
    let message = format!("value out of range: {problem}");
    errors::wrap(QueryError::new(ErrorKind::NumericValueOutOfRange, message))
}

/// Refuses a result that is infinite where the operands are finite, or nothing where a product's factors are something.
fn check_floats<T: ArrowPrimitiveType>(
    operation: Operation,
    operands: [&dyn Datum; 2],
    result: &ArrayRef,
) -> DfResult<()>
where
    T::Native: Into<f64>,
{
    let product = operation == Operation::Multiply;
    let suspect = |value: f64| value.is_infinite() || product && value == 0.0;
    let values = result.as_primitive::<T>();
    if !values.values().iter().any(|value| suspect((*value).into())) {
        return Ok(());
    }
    let sides = operands.map(|operand| {
        let (array, scalar) = operand.get();
        (array.as_primitive::<T>(), scalar)
    });
    for row in 0..values.len() {
        let value: f64 = values.value(row).into();
        if values.is_null(row) || !suspect(value) {
            continue;
        }
        let [left, right]: [f64; 2] = sides.map(|(array, scalar)| array.value(if scalar { 0 } else { row }).into());
        if value.is_infinite() && left.is_finite() && right.is_finite() {
            return Err(float_out_of_range("overflow"));
        }
        if value == 0.0 && left != 0.0 && right != 0.0 {
            return Err(float_out_of_range("underflow"));
        }
    }
    Ok(())
}

/// The type of two numbers' sum, difference and product: the wider of two integer types, or the floats that both become.
fn wider(types: &[DataType]) -> Option<DataType> {
    if types.len() == 2 && types.iter().any(DataType::is_floating) {
        let number = |data_type: &DataType| data_type.is_floating() || data_type.is_integer();
        let reals = types.iter().all(|data_type| *data_type == DataType::Float32);
        return types.iter().all(number).then_some(match reals {
            true => DataType::Float32,
            false => DataType::Float64,
        });
    }
    let rank = |data_type: &DataType| match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Some(DataType::Int16),
        DataType::UInt16 | DataType::Int32 => Some(DataType::Int32),
        DataType::UInt32 | DataType::UInt64 | DataType::Int64 => Some(DataType::Int64),
        _ => None,
    };
    let (left, right) = match types {
        [left, right] => (rank(left)?, rank(right)?),
        _ => return None,
    };
    Some(if left.primitive_width() >= right.primitive_width() {
        left
    } else {
        right
    })
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(&format!(" {} ", self.operation.symbol())))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        match wider(types) {
            Some(data_type) => Ok(vec![data_type.clone(), data_type]),
            None => plan_err!("No function matches '{}': it takes two integers or floats", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match wider(types) {
            Some(data_type) => Ok(data_type),
            None => plan_err!("No function matches '{}': it takes two integers or floats", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let data_type = args.return_field.data_type();
        let [left, right] = args.args.as_slice() else {
            return plan_err!(
                "No function matches '{}' with {} arguments",
                self.name(),
                args.args.len()
            );
        };
        let compute = |left: &dyn Datum, right: &dyn Datum| -> DfResult<ArrayRef> {
            let result = match self.operation {
                Operation::Add => numeric::add(left, right),
                Operation::Subtract => numeric::sub(left, right),
                Operation::Multiply => numeric::mul(left, right),
            };
            let result = result.map_err(|error| match error {
                ArrowError::ArithmeticOverflow(_) => {
                    let name = pg_type::type_name(pg_type::data_type_oid(data_type));
                    errors::wrap(QueryError::new(
                        ErrorKind::NumericValueOutOfRange,
                        format!("{name} out of range"),
                    ))
                }
                other => other.into(),
            })?;
            match data_type {
                DataType::Float32 => check_floats::<Float32Type>(self.operation, [left, right], &result)?,
                DataType::Float64 => check_floats::<Float64Type>(self.operation, [left, right], &result)?,
                _ => {}
            }
            Ok(result)
        };
        let array =
            |value: &ColumnarValue| -> DfResult<ArrayRef> { Ok(cast(&value.to_array(args.number_rows)?, data_type)?) };
        let scalar = |value: &ScalarValue| value.cast_to(data_type)?.to_scalar();
        let both = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let result = match (left, right) {
            (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => compute(&scalar(left)?, &scalar(right)?),
            (ColumnarValue::Scalar(left), right) => compute(&scalar(left)?, &array(right)?),
            (left, ColumnarValue::Scalar(right)) => compute(&array(left)?, &scalar(right)?),
            (left, right) => compute(&array(left)?, &array(right)?),
        }?;
        match both {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(Arc::clone(&result))),
        }
    }
}
