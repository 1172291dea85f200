//! `x = ANY(array)`: as an IN list where the array is known, element by element where it is not.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, BooleanBuilder, Datum, Scalar};
use arrow::compute::{cast, kernels::cmp};
use arrow::datatypes::{DataType, Field};
use chrono_tz::Tz;
use datafusion::common::cast::as_list_array;
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::pg_type::{self, parse_literal};
use crate::plan::errors;

/// Its name, which the parameters' inference looks for.
pub const ANY_EQUAL: &str = "any_equal";

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct AnyEqual {
    signature: Signature,
}

impl AnyEqual {
    pub fn new() -> AnyEqual {
        AnyEqual {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// `'{1,2}'` as an array of what it is compared with.
fn read(text: &str, data_type: &DataType) -> DfResult<ScalarValue> {
    /// An array of texts, PostgreSQL's `text[]`.
    const TEXT_ARRAY: u32 = 1009;
    let oid = pg_type::array_oid(pg_type::data_type_oid(data_type)).unwrap_or(TEXT_ARRAY);
    parse_literal(oid, text, Tz::UTC).map_err(errors::wrap)
}

impl ScalarUDFImpl for AnyEqual {
    fn name(&self) -> &str {
        ANY_EQUAL
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let [value, array] = types else {
            return plan_err!("No function matches '{ANY_EQUAL}' with {} arguments", types.len());
        };
        let array = match array {
            DataType::List(_) => array.clone(),
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) => {
                DataType::List(item.clone())
            }
            DataType::Utf8 | DataType::Utf8View | DataType::Null => array.clone(),
            other => return plan_err!("op ANY/ALL (array) requires an array on its right side, not {other}"),
        };
        Ok(vec![value.clone(), array])
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        let [value, array] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let data_type = context.get_data_type(value)?;
        let list = match array {
            Expr::Literal(ScalarValue::List(list), _) if list.len() == 1 && list.is_valid(0) => list.value(0),
            Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
                match read(text, &data_type)? {
                    ScalarValue::List(list) => list.value(0),
                    _ => return Ok(ExprSimplifyResult::Original(args)),
                }
            }
            _ => return Ok(ExprSimplifyResult::Original(args)),
        };
        let mut items = Vec::with_capacity(list.len());
        for row in 0..list.len() {
            let item = ScalarValue::try_from_array(&list, row)?;
            // A number that the type cannot hold equals none of its values.
            if let Ok(item) = item.cast_to(&data_type) {
                items.push(Expr::Literal(item, None));
            }
        }
        if items.is_empty() {
            return Ok(ExprSimplifyResult::Simplified(Expr::Literal(
                ScalarValue::Boolean(Some(false)),
                None,
            )));
        }
        Ok(ExprSimplifyResult::Simplified(Expr::InList(InList {
            expr: Box::new(value.clone()),
            list: items,
            negated: false,
        })))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let rows = args.number_rows;
        let values = args.args[0].to_array(rows)?;
        let mut arrays = match &args.args[1] {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => {
                read(text, values.data_type())?.to_array_of_size(rows)?
            }
            other => other.to_array(rows)?,
        };
        if !matches!(arrays.data_type(), DataType::List(_)) {
            let field = Field::new("item", values.data_type().clone(), true);
            arrays = cast(&arrays, &DataType::List(Arc::new(field)))?;
        }
        let lists = as_list_array(&arrays)?;
        let mut builder = BooleanBuilder::with_capacity(rows);
        for row in 0..rows {
            if values.is_null(row) || lists.is_null(row) {
                builder.append_null();
                continue;
            }
            let items = cast(&lists.value(row), values.data_type())?;
            let value = Scalar::new(values.slice(row, 1));
            let equal: BooleanArray = cmp::eq(&items as &dyn Datum, &value)?;
            if equal.true_count() > 0 {
                builder.append_value(true);
            } else if equal.null_count() > 0 {
                builder.append_null();
            } else {
                builder.append_value(false);
            }
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish())))
    }
}
