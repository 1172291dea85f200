//! A text as a type that is kept as text: json, jsonb and uuid, each checked and in the form that it is kept in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::pg_type::parse_literal;
use crate::plan::errors;

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ReadText {
    oid: u32,
    signature: Signature,
}

impl ReadText {
    pub fn new(oid: u32) -> ReadText {
        ReadText {
            oid,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ReadText {
    fn name(&self) -> &str {
        "read_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if scalar { 1 } else { args.number_rows })?;
        let texts = cast(&array, &DataType::Utf8View)?;
        let mut builder = StringViewBuilder::with_capacity(texts.len());
        for text in texts.as_string_view() {
            match text {
                None => builder.append_null(),
                Some(text) => match parse_literal(self.oid, text, Tz::UTC).map_err(errors::wrap)? {
                    ScalarValue::Utf8View(Some(text)) => builder.append_value(text),
                    _ => builder.append_value(text),
                },
            }
        }
        let result: ArrayRef = Arc::new(builder.finish());
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}
