//! `x = ANY(array)`: as an IN list where the array is known, element by element where it is not.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Datum, LargeBinaryArray, Scalar};
use arrow::compute::{cast, kernels::cmp};
use arrow::datatypes::{DataType, Field};
use chrono_tz::Tz;
use datafusion::common::cast::as_list_array;
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::numeric::{NUMERIC, cast_scalar, from_numeric, to_numeric};
use super::spans::lengths;
use crate::pg_type::numeric::normal_key;
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

/// The element as a value of the type, if it is one of its values.
fn exactly(item: &ScalarValue, data_type: &DataType) -> Option<ScalarValue> {
    let cast = cast_scalar(item, data_type).ok()?;
    let normal = |value: &ScalarValue| match cast_scalar(value, &NUMERIC) {
        Ok(ScalarValue::LargeBinary(Some(key))) => Some(normal_key(&key)),
        _ => None,
    };
    match item {
        // Rounding would make 1.55 one of the values of a column with one digit behind the point.
        ScalarValue::LargeBinary(Some(_)) if !data_type.is_floating() => {
            (normal(item) == normal(&cast)).then_some(cast)
        }
        _ => Some(cast),
    }
}

/// Numerics are equal in their normal form.
fn comparable(array: &ArrayRef) -> DfResult<ArrayRef> {
    let numeric = to_numeric(array)?;
    let keys = numeric.as_binary::<i64>();
    let normal: LargeBinaryArray = keys.iter().map(|key| key.map(normal_key)).collect();
    Ok(Arc::new(normal))
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
        if data_type == NUMERIC || matches!(data_type, DataType::Interval(_)) {
            return Ok(ExprSimplifyResult::Original(args));
        }
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
            if let Some(item) = exactly(&item, &data_type) {
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
            let (items, value) = (lists.value(row), values.slice(row, 1));
            let (items, value) = match value.data_type() {
                DataType::Interval(_) => (lengths(&cast(&items, value.data_type())?)?, lengths(&value)?),
                _ => (items, value),
            };
            let (items, value) = match [items.data_type(), value.data_type()].contains(&&NUMERIC) {
                true if value.data_type().is_floating() => (from_numeric(&items, value.data_type())?, value),
                true => (comparable(&items)?, comparable(&value)?),
                false => (cast(&items, value.data_type())?, value),
            };
            let value = Scalar::new(value);
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
