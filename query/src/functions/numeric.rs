//! `numeric` without a declared scale in expressions: into it, out of it, operators, and its equality. See `pg_type/numeric`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, LargeBinaryArray, LargeBinaryBuilder, ListArray, StringViewArray, new_null_array,
};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::{distinct, not_distinct};
use arrow::datatypes::{DataType, Decimal128Type, Field, Float32Type, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use num_bigint::BigInt;

use crate::pg_type::numeric::{
    Decimal, Numeric, NumericError, Rounding, Small, decode_key, decode_small, encode_decimal, write_key,
    write_normal_key,
};
use crate::plan::errors;
use crate::{ErrorKind, QueryError, pg_type};

/// The Arrow type of numerics without a declared scale: no other type here has it.
pub const NUMERIC: DataType = DataType::LargeBinary;

/// A number's refusal in PostgreSQL's words.
pub fn refused(error: NumericError, text: &str) -> QueryError {
    match error {
        NumericError::Syntax => QueryError::new(
            ErrorKind::InvalidTextRepresentation,
            format!("invalid input syntax for type numeric: \"{text}\""),
        ),
        NumericError::Overflow => QueryError::new(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
        NumericError::DivisionByZero => QueryError::new(ErrorKind::DivisionByZero, "division by zero"),
    }
}

fn wrapped(error: NumericError) -> DataFusionError {
    errors::wrap(refused(error, ""))
}

/// Calls `f` with all arguments as arrays of one length; constants give a constant.
fn called(args: &ScalarFunctionArgs, f: impl FnOnce(&[ArrayRef]) -> DfResult<ArrayRef>) -> DfResult<ColumnarValue> {
    let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if scalar { 1 } else { args.number_rows };
    let arrays = args
        .args
        .iter()
        .map(|arg| arg.to_array(rows))
        .collect::<DfResult<Vec<_>>>()?;
    let result = f(&arrays)?;
    Ok(match scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
        false => ColumnarValue::Array(result),
    })
}

/// Any number, or the text of one, as numerics.
pub fn to_numeric(array: &ArrayRef) -> DfResult<ArrayRef> {
    let mut builder = LargeBinaryBuilder::with_capacity(array.len(), array.len() * 12);
    let mut key = Vec::new();
    let mut each = |write: &mut dyn FnMut(usize, &mut Vec<u8>) -> DfResult<()>| -> DfResult<()> {
        for row in 0..array.len() {
            if array.is_null(row) {
                builder.append_null();
                continue;
            }
            key.clear();
            write(row, &mut key)?;
            builder.append_value(&key);
        }
        Ok(())
    };
    match array.data_type() {
        DataType::LargeBinary => return Ok(array.clone()),
        DataType::Null => return Ok(new_null_array(&NUMERIC, array.len())),
        DataType::Decimal128(_, scale) if *scale >= 0 => {
            let values = array.as_primitive::<Decimal128Type>();
            let scale = u32::from(scale.unsigned_abs());
            each(&mut |row, out| {
                encode_decimal(values.value(row), scale, out);
                Ok(())
            })?;
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            each(&mut |row, out| {
                out.extend(Numeric::from_f64(values.value(row)).key());
                Ok(())
            })?;
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            each(&mut |row, out| {
                out.extend(Numeric::from_f32(values.value(row)).key());
                Ok(())
            })?;
        }
        other if other.is_integer() && *other != DataType::UInt64 => {
            let values = cast(array, &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            each(&mut |row, out| {
                encode_decimal(values.value(row).into(), 0, out);
                Ok(())
            })?;
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let elements = to_numeric(lists.values())?;
            let field = Field::new("item", NUMERIC, true);
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            return Ok(Arc::new(ListArray::try_new(field.into(), offsets, elements, nulls)?));
        }
        _ => {
            let values = cast(array, &DataType::Utf8View)?;
            let values = values.as_string_view();
            each(&mut |row, out| {
                let text = values.value(row);
                let value = Numeric::parse(text).map_err(|error| errors::wrap(refused(error, text)))?;
                out.extend(value.key());
                Ok(())
            })?;
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Numerics as another type of numbers, rounded as an assignment rounds.
pub fn from_numeric(array: &ArrayRef, target: &DataType) -> DfResult<ArrayRef> {
    if let (DataType::List(_), DataType::List(field)) = (array.data_type(), target) {
        let lists = array.as_list::<i32>();
        let elements = from_numeric(lists.values(), field.data_type())?;
        let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
        return Ok(Arc::new(ListArray::try_new(field.clone(), offsets, elements, nulls)?));
    }
    let keys = array.as_binary::<i64>();
    let values = || keys.iter().map(|key| key.map(decode_key));
    Ok(match target {
        DataType::LargeBinary => array.clone(),
        DataType::Float64 => Arc::new(
            values()
                .map(|value| value.map(|value| double(&value)).transpose())
                .collect::<DfResult<Float64Array>>()?,
        ),
        DataType::Float32 => Arc::new(
            values()
                .map(|value| value.map(|value| real(&value)).transpose())
                .collect::<DfResult<Float32Array>>()?,
        ),
        DataType::Int16 => Arc::new(
            values()
                .map(|value| value.map(|value| whole(&value, "smallint")).transpose())
                .collect::<DfResult<Int16Array>>()?,
        ),
        DataType::Int32 => Arc::new(
            values()
                .map(|value| value.map(|value| whole(&value, "integer")).transpose())
                .collect::<DfResult<Int32Array>>()?,
        ),
        DataType::Int64 => Arc::new(
            values()
                .map(|value| value.map(|value| whole(&value, "bigint")).transpose())
                .collect::<DfResult<Int64Array>>()?,
        ),
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            let decimals = values()
                .map(|value| value.map(|value| fitted(&value, precision, scale)).transpose())
                .collect::<DfResult<Decimal128Array>>()?;
            Arc::new(decimals.with_precision_and_scale(precision, scale)?)
        }
        DataType::Utf8View => {
            let text = |key: &[u8]| {
                let mut out = Vec::new();
                write_key(key, &mut out);
                String::from_utf8_lossy(&out).into_owned()
            };
            let texts: StringViewArray = keys.iter().map(|key| key.map(text)).collect();
            Arc::new(texts)
        }
        DataType::Boolean if keys.null_count() == keys.len() => Arc::new(BooleanArray::new_null(keys.len())),
        other => return exec_err!("cannot cast type numeric to {other}"),
    })
}

fn out_of_range(name: &str) -> DataFusionError {
    errors::wrap(QueryError::new(
        ErrorKind::NumericValueOutOfRange,
        format!("{name} out of range"),
    ))
}

fn too_large(value: &Numeric, name: &str) -> DataFusionError {
    let mut text = Vec::new();
    value.write(&mut text);
    let text = String::from_utf8_lossy(&text);
    errors::wrap(QueryError::new(
        ErrorKind::NumericValueOutOfRange,
        format!("\"{text}\" is out of range for type {name}"),
    ))
}

fn double(value: &Numeric) -> DfResult<f64> {
    let double = value.to_f64();
    match (value, double.is_infinite()) {
        (Numeric::Finite(_), true) => Err(too_large(value, "double precision")),
        _ => Ok(double),
    }
}

fn real(value: &Numeric) -> DfResult<f32> {
    let real = value.to_f64() as f32;
    match (value, real.is_infinite()) {
        (Numeric::Finite(_), true) => Err(too_large(value, "real")),
        _ => Ok(real),
    }
}

/// The nearest whole number, halves away from zero.
fn whole<T: TryFrom<BigInt>>(value: &Numeric, name: &str) -> DfResult<T> {
    match value.rounded(0, Rounding::Half) {
        Numeric::Finite(decimal) => T::try_from(decimal.unscaled).map_err(|_| out_of_range(name)),
        other => {
            let what = if other == Numeric::NaN { "NaN" } else { "infinity" };
            Err(errors::wrap(QueryError::new(
                ErrorKind::FeatureNotSupported,
                format!("cannot convert {what} to {name}"),
            )))
        }
    }
}

/// In units of a column's scale, if its digits are enough.
fn fitted(value: &Numeric, precision: u8, scale: i8) -> DfResult<i128> {
    let overflow = |detail: String| {
        errors::wrap(QueryError::new(ErrorKind::NumericValueOutOfRange, "numeric field overflow").with_detail(detail))
    };
    let what = format!("A field with precision {precision}, scale {scale}");
    match value.rounded(i64::from(scale), Rounding::Half) {
        Numeric::Finite(Decimal { unscaled, .. }) => {
            let fits = |value: &i128| value.unsigned_abs() < 10u128.pow(u32::from(precision));
            i128::try_from(unscaled).ok().filter(fits).ok_or_else(|| {
                let whole = i16::from(precision) - i16::from(scale);
                let bound = if whole == 0 {
                    "1".to_string()
                } else {
                    format!("10^{whole}")
                };
                overflow(format!("{what} must round to an absolute value less than {bound}."))
            })
        }
        // A column of ours has digits only.
        Numeric::NaN => Err(errors::wrap(QueryError::new(
            ErrorKind::FeatureNotSupported,
            "a numeric with a precision cannot hold NaN",
        ))),
        _ => Err(overflow(format!("{what} cannot hold an infinite value."))),
    }
}

/// A value as another type where one of the two is numeric; other pairs as Arrow casts them.
pub fn cast_scalar(value: &ScalarValue, target: &DataType) -> DfResult<ScalarValue> {
    match (value, target) {
        (value, target) if value.data_type() == *target => Ok(value.clone()),
        (value, DataType::LargeBinary) => ScalarValue::try_from_array(&to_numeric(&value.to_array()?)?, 0),
        (ScalarValue::LargeBinary(_), target) => {
            ScalarValue::try_from_array(&from_numeric(&value.to_array()?, target)?, 0)
        }
        _ => value.cast_to(target),
    }
}

/// `x::numeric`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToNumeric {
    signature: Signature,
}

impl ToNumeric {
    pub fn new() -> ToNumeric {
        ToNumeric {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ToNumeric {
    fn name(&self) -> &str {
        "to_numeric"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        Ok(match types {
            [DataType::List(_)] => DataType::List(Field::new("item", NUMERIC, true).into()),
            _ => NUMERIC,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        called(&args, |arrays| to_numeric(&arrays[0]))
    }
}

/// A numeric as this type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FromNumeric {
    target: DataType,
    signature: Signature,
}

impl FromNumeric {
    pub fn new(target: DataType) -> FromNumeric {
        FromNumeric {
            target,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for FromNumeric {
    fn name(&self) -> &str {
        "from_numeric"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.target.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        called(&args, |arrays| from_numeric(&arrays[0], &self.target))
    }
}

/// The key by which numerics are equal.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NormalNumeric {
    signature: Signature,
}

/// Its name, by which plans know it.
pub const NORMAL: &str = "normal_numeric";

impl NormalNumeric {
    pub fn new() -> NormalNumeric {
        NormalNumeric {
            signature: Signature::exact(vec![NUMERIC], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for NormalNumeric {
    fn name(&self) -> &str {
        NORMAL
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(NUMERIC)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        called(&args, |arrays| Ok(normal_keys(&arrays[0])))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumericOperator {
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
    /// Of one operand.
    Negate,
}

/// An operator of numerics.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NumericOperation {
    operator: NumericOperator,
    signature: Signature,
}

impl NumericOperation {
    pub fn new(operator: NumericOperator) -> NumericOperation {
        NumericOperation {
            operator,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn apply(&self, left: &Numeric, right: &Numeric) -> Result<Numeric, NumericError> {
        match self.operator {
            NumericOperator::Plus => left.plus(right),
            NumericOperator::Minus => left.minus(right),
            NumericOperator::Times => left.times(right),
            NumericOperator::Over => left.over(right),
            NumericOperator::Modulo => left.modulo(right),
            NumericOperator::Negate => Ok(left.negated()),
        }
    }

    /// The same in 128 bits; `None` where they do not suffice, or where there is an error to tell.
    fn apply_small(&self, left: Small, right: Small) -> Option<Small> {
        match self.operator {
            NumericOperator::Plus => left.plus(right),
            NumericOperator::Minus => left.minus(right),
            NumericOperator::Times => left.times(right),
            NumericOperator::Over => left.over(right),
            NumericOperator::Modulo => left.modulo(right),
            NumericOperator::Negate => left.negated(),
        }
    }
}

impl ScalarUDFImpl for NumericOperation {
    fn name(&self) -> &str {
        match self.operator {
            NumericOperator::Plus => "numeric_add",
            NumericOperator::Minus => "numeric_sub",
            NumericOperator::Times => "numeric_mul",
            NumericOperator::Over => "numeric_div",
            NumericOperator::Modulo => "numeric_mod",
            NumericOperator::Negate => "numeric_uminus",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        let symbol = match self.operator {
            NumericOperator::Plus => "+",
            NumericOperator::Minus | NumericOperator::Negate => "-",
            NumericOperator::Times => "*",
            NumericOperator::Over => "/",
            NumericOperator::Modulo => "%",
        };
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(match names.as_slice() {
            [one] => format!("{symbol}{one}"),
            names => names.join(&format!(" {symbol} ")),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        // Any number: what is none yet is made one here, a decimal of a column without a detour.
        let number = |data_type: &DataType| match data_type {
            DataType::LargeBinary | DataType::Decimal128(..) | DataType::Null => Ok(data_type.clone()),
            other if other.is_integer() => Ok(DataType::Int64),
            other => plan_err!("No function matches '{}' of {other}: it takes numbers", self.name()),
        };
        types.iter().map(number).collect()
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(NUMERIC)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        called(&args, |arrays| {
            let right = arrays.last().unwrap_or(&arrays[0]);
            let (left, right) = (Operand::new(&arrays[0])?, Operand::new(right)?);
            let rows = arrays[0].len();
            let mut builder = LargeBinaryBuilder::with_capacity(rows, rows * 16);
            let mut key = Vec::new();
            for row in 0..rows {
                if left.is_null(row) || right.is_null(row) {
                    builder.append_null();
                    continue;
                }
                key.clear();
                let short = match (left.small(row), right.small(row)) {
                    (Some(left), Some(right)) => self.apply_small(left, right),
                    _ => None,
                };
                match short {
                    Some(Small { unscaled, scale }) => encode_decimal(unscaled, scale, &mut key),
                    None => {
                        let result = self.apply(&left.numeric(row), &right.numeric(row)).map_err(wrapped)?;
                        key.extend(result.key());
                    }
                }
                builder.append_value(&key);
            }
            Ok(Arc::new(builder.finish()))
        })
    }
}

/// An operator's operand: decimals and integers as they are, all others as numerics.
enum Operand {
    Decimals(Decimal128Array, u32),
    Integers(Int64Array),
    Numerics(LargeBinaryArray),
}

impl Operand {
    fn new(array: &ArrayRef) -> DfResult<Operand> {
        Ok(match array.data_type() {
            DataType::Decimal128(_, scale) if *scale >= 0 => {
                Operand::Decimals(array.as_primitive().clone(), u32::from(scale.unsigned_abs()))
            }
            DataType::Int64 => Operand::Integers(array.as_primitive().clone()),
            _ => Operand::Numerics(to_numeric(array)?.as_binary().clone()),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Operand::Decimals(values, _) => values.is_null(row),
            Operand::Integers(values) => values.is_null(row),
            Operand::Numerics(keys) => keys.is_null(row),
        }
    }

    fn small(&self, row: usize) -> Option<Small> {
        match self {
            Operand::Decimals(values, scale) => Small::new(values.value(row), *scale),
            Operand::Integers(values) => Small::new(values.value(row).into(), 0),
            Operand::Numerics(keys) => decode_small(keys.value(row)),
        }
    }

    fn numeric(&self, row: usize) -> Numeric {
        match self {
            Operand::Decimals(values, scale) => Numeric::Finite(Decimal::new(values.value(row), *scale)),
            Operand::Integers(values) => Numeric::Finite(Decimal::new(values.value(row), 0)),
            Operand::Numerics(keys) => decode_key(keys.value(row)),
        }
    }
}

/// `-x` of anything but a number that is written out; the analyzer puts the operator of its type in its place.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Negative {
    signature: Signature,
}

/// Its name, by which plans know it.
pub const NEGATIVE: &str = "negative";

impl Negative {
    pub fn new() -> Negative {
        Negative {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Negative {
    fn name(&self) -> &str {
        NEGATIVE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match types {
            [data_type] if data_type.is_numeric() || *data_type == NUMERIC => Ok(data_type.clone()),
            [data_type @ (DataType::Interval(_) | DataType::Duration(_) | DataType::Null)] => Ok(data_type.clone()),
            [other] => Err(errors::wrap(QueryError::new(
                ErrorKind::UndefinedFunction,
                format!(
                    "operator does not exist: - {}",
                    pg_type::type_name(pg_type::data_type_oid(other))
                ),
            ))),
            _ => plan_err!("No function matches '{NEGATIVE}' with {} arguments", types.len()),
        }
    }

    /// Only where a constant is computed before there is a plan.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        called(&args, |arrays| match arrays[0].data_type() {
            DataType::LargeBinary => {
                let keys = arrays[0].as_binary::<i64>();
                let negated = |key: &[u8]| decode_key(key).negated().key();
                let values: LargeBinaryArray = keys.iter().map(|key| key.map(negated)).collect();
                Ok(Arc::new(values))
            }
            _ => Ok(arrow::compute::kernels::numeric::neg(&arrays[0])?),
        })
    }
}

/// `IS DISTINCT FROM` until the types of its operands are known: the analyzer makes the operator of it again.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Distinct {
    negated: bool,
    signature: Signature,
}

/// Their names, by which plans know them.
pub const DISTINCT: &str = "is_distinct_from";
pub const NOT_DISTINCT: &str = "is_not_distinct_from";

impl Distinct {
    pub fn new(negated: bool) -> Distinct {
        Distinct {
            negated,
            signature: Signature::any(2, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Distinct {
    fn name(&self) -> &str {
        if self.negated { NOT_DISTINCT } else { DISTINCT }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    /// Only where a constant is computed before there is a plan.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        called(&args, |arrays| {
            let numerics = arrays.iter().any(|array| *array.data_type() == NUMERIC);
            let (left, right) = match numerics {
                true => (
                    normal_keys(&to_numeric(&arrays[0])?),
                    normal_keys(&to_numeric(&arrays[1])?),
                ),
                false => (arrays[0].clone(), cast(&arrays[1], arrays[0].data_type())?),
            };
            Ok(Arc::new(match self.negated {
                true => not_distinct(&left, &right)?,
                false => distinct(&left, &right)?,
            }))
        })
    }
}

fn normal_keys(array: &ArrayRef) -> ArrayRef {
    let keys = array.as_binary::<i64>();
    let mut builder = LargeBinaryBuilder::with_capacity(keys.len(), keys.value_data().len());
    let mut normal = Vec::new();
    for key in keys {
        normal.clear();
        builder.append_option(key.map(|key| {
            write_normal_key(key, &mut normal);
            normal.as_slice()
        }));
    }
    Arc::new(builder.finish())
}

/// A function of one numeric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    Absolute,
    Sign,
    Round(Rounding),
}

impl Unary {
    /// Applies it, to so many digits where it rounds.
    pub fn apply(self, array: &ArrayRef, digits: i64) -> ArrayRef {
        let of = |value: Numeric| match self {
            Unary::Absolute => value.absolute(),
            Unary::Sign => value.sign(),
            Unary::Round(rounding) => value.rounded(digits, rounding),
        };
        let keys = array.as_binary::<i64>();
        let values: LargeBinaryArray = keys
            .iter()
            .map(|key| key.map(|key| of(decode_key(key)).key()))
            .collect();
        Arc::new(values)
    }
}
