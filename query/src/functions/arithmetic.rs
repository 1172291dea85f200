//! `+`, `-` and `*` of integers that refuse to wrap around: `integer out of range`, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::cast;
use arrow::compute::kernels::numeric;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
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

/// The wider of two integer types: the type of their sum, difference and product.
fn wider(types: &[DataType]) -> Option<DataType> {
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
            Operation::Add => "integer_add",
            Operation::Subtract => "integer_subtract",
            Operation::Multiply => "integer_multiply",
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
            None => plan_err!("No function matches '{}': it takes two integers", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match wider(types) {
            Some(data_type) => Ok(data_type),
            None => plan_err!("No function matches '{}': it takes two integers", self.name()),
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
        let compute = |left: &dyn Datum, right: &dyn Datum| match self.operation {
            Operation::Add => numeric::add(left, right),
            Operation::Subtract => numeric::sub(left, right),
            Operation::Multiply => numeric::mul(left, right),
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
        };
        let result: ArrayRef = result.map_err(|error| match error {
            ArrowError::ArithmeticOverflow(_) => {
                let name = pg_type::type_name(pg_type::data_type_oid(data_type));
                errors::wrap(QueryError::new(
                    ErrorKind::NumericValueOutOfRange,
                    format!("{name} out of range"),
                ))
            }
            other => other.into(),
        })?;
        match both {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(Arc::clone(&result))),
        }
    }
}
