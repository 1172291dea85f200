//! `pg_sleep`: waits, and lets its statement be canceled meanwhile.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use async_trait::async_trait;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::pg_type::{oid, type_metadata};

/// The longest sleep, about 30 years: far beyond any statement, and what the timer can count.
const SECONDS_MAX: f64 = 1e9;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sleep {
    signature: Signature,
}

/// The function, which waits as a future does.
pub fn sleep() -> ScalarUDF {
    let function = Sleep {
        signature: Signature::exact(vec![DataType::Float64], Volatility::Volatile),
    };
    AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf()
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &str {
        "pg_sleep"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new("pg_sleep", DataType::Utf8View, true);
        Ok(Arc::new(field.with_metadata(type_metadata(oid::VOID))))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("pg_sleep cannot be called here")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    /// Row after row, as PostgreSQL does.
    async fn invoke_async_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let seconds = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [seconds] = seconds.as_slice() else {
            return exec_err!("pg_sleep takes one argument");
        };
        let seconds = seconds.as_primitive::<Float64Type>();
        let rows = arguments.number_rows;
        let mut slept = Vec::with_capacity(rows);
        for row in 0..rows {
            // A constant comes once for all rows.
            let at = if seconds.len() == 1 { 0 } else { row };
            let own = seconds.is_valid(at).then(|| seconds.value(at));
            if let Some(seconds) = own {
                tokio::time::sleep(duration(seconds)).await;
            }
            slept.push(own.map(|_| ""));
        }
        let slept: ArrayRef = Arc::new(StringViewArray::from_iter(slept));
        Ok(ColumnarValue::Array(slept))
    }
}

/// NaN and what lies before now do not wait.
fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(if seconds > 0.0 { seconds.min(SECONDS_MAX) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_seconds_can_be_waited_for() {
        assert_eq!(duration(0.5), Duration::from_millis(500));
        assert_eq!(duration(-1.0), Duration::ZERO);
        assert_eq!(duration(f64::NAN), Duration::ZERO);
        assert_eq!(duration(f64::INFINITY), Duration::from_secs(1_000_000_000));
    }
}
