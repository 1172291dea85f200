//! `pg_typeof`: the type of an expression, whatever its value.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::pg_type::{self, oid};

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

pub(super) fn function() -> ScalarUDF {
    TypeOf {
        signature: Signature::any(1, Volatility::Stable),
    }
    .into()
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "pg_typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::UInt32, false);
        Ok(Arc::new(field.with_metadata(pg_type::type_metadata(oid::REGTYPE))))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let field = &arguments.arg_fields[0];
        let type_oid = match field.data_type() {
            DataType::Null => oid::UNKNOWN,
            _ => pg_type::field_oid(field),
        };
        Ok(ColumnarValue::Scalar(ScalarValue::UInt32(Some(type_oid))))
    }
}
