//! Functions of DataFusion that take numerics without a declared scale as well.
//!
//! They stand for what a statement names only until its types are settled: then the analyzer puts DataFusion's own function in their place, or
//! the one for numerics (`plan/numeric.rs`), so that nothing of this is left in a plan.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef};
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::numeric::{NUMERIC, Unary, from_numeric, to_numeric};
use super::numeric_aggregates::{Made, NumericAggregate};
use crate::pg_type::numeric::{Decimal, Numeric, Rounding};

/// What a function makes of a numeric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overload {
    /// It is taken as a double.
    Double,
    /// It is one of several values of which one is given.
    Alike,
    /// It stays one.
    Unary(Unary),
}

/// Functions of doubles.
const OF_DOUBLES: &[&str] = &[
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "isnan",
    "log2",
    "radians",
    "sin",
    "sinh",
    "tan",
    "tanh",
    "to_timestamp",
];

/// Functions that give one of their arguments.
const OF_ALIKE: &[&str] = &["coalesce", "greatest", "least", "nullif"];

/// Functions that give a numeric for a numeric.
const OF_NUMERICS: &[(&str, Unary)] = &[
    ("abs", Unary::Absolute),
    ("ceil", Unary::Round(Rounding::Up)),
    ("floor", Unary::Round(Rounding::Down)),
    ("signum", Unary::Sign),
];

/// Aggregates of doubles.
const AGGREGATES_OF_DOUBLES: &[&str] = &[
    "approx_percentile_cont",
    "corr",
    "covar_pop",
    "covar_samp",
    "median",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
];

/// Aggregates that give a numeric for numerics.
const AGGREGATES_OF_NUMERICS: &[(&str, Made)] = &[
    ("avg", Made::Average),
    ("stddev", Made::Deviation),
    ("stddev_pop", Made::PopulationDeviation),
    ("sum", Made::Sum),
    ("var", Made::Variance),
    ("var_pop", Made::PopulationVariance),
];

/// Puts them in the place of what is registered.
pub fn register(state: &mut SessionState) {
    let doubles = OF_DOUBLES.iter().map(|name| (*name, Overload::Double));
    let alike = OF_ALIKE.iter().map(|name| (*name, Overload::Alike));
    let unary = OF_NUMERICS.iter().map(|(name, unary)| (*name, Overload::Unary(*unary)));
    for (name, overload) in doubles.chain(alike).chain(unary) {
        if let Some(inner) = state.scalar_functions().get(name).cloned() {
            super::register_scalar(state, Arc::new(Overloaded::new(inner, overload).into()));
        }
    }
    let of_doubles = AGGREGATES_OF_DOUBLES.iter().map(|name| (*name, None));
    let of_numerics = AGGREGATES_OF_NUMERICS.iter().map(|(name, made)| (*name, Some(*made)));
    for (name, made) in of_doubles.chain(of_numerics) {
        if let Some(inner) = state.aggregate_functions().get(name).cloned() {
            let function = OverloadedAggregate {
                inner,
                made,
                numeric: made.map(|made| Arc::new(AggregateUDF::from(NumericAggregate::new(made)))),
                signature: Signature::user_defined(Volatility::Immutable),
            };
            if let Err(error) = state.register_udaf(Arc::new(function.into())) {
                tracing::error!(%error, "a function could not be registered");
            }
        }
    }
}

fn field(data_type: &DataType) -> FieldRef {
    Field::new("x", data_type.clone(), true).into()
}

fn with_doubles(types: &[DataType]) -> Vec<DataType> {
    let double = |data_type: &DataType| match data_type {
        DataType::LargeBinary => DataType::Float64,
        other => other.clone(),
    };
    types.iter().map(double).collect()
}

/// What the function behind makes of types with doubles for numerics; the numerics stay.
fn coerced(types: &[DataType], inner: impl Fn(&[FieldRef]) -> DfResult<Vec<FieldRef>>) -> DfResult<Vec<DataType>> {
    let fields: Vec<FieldRef> = with_doubles(types).iter().map(field).collect();
    let coerced = inner(&fields)?;
    let keep = |(given, coerced): (&DataType, &FieldRef)| match given {
        DataType::LargeBinary => NUMERIC,
        _ => coerced.data_type().clone(),
    };
    Ok(types.iter().zip(&coerced).map(keep).collect())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Overloaded {
    pub inner: Arc<ScalarUDF>,
    pub overload: Overload,
    signature: Signature,
}

impl Overloaded {
    fn new(inner: Arc<ScalarUDF>, overload: Overload) -> Overloaded {
        Overloaded {
            overload,
            signature: Signature::user_defined(inner.signature().volatility),
            inner,
        }
    }
}

fn has_numeric(types: &[DataType]) -> bool {
    types.contains(&NUMERIC)
}

impl ScalarUDFImpl for Overloaded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let through = || coerced(types, |fields| fields_with_udf(fields, self.inner.as_ref()));
        match (self.overload, types) {
            (Overload::Unary(_), [DataType::Decimal128(..)]) => Ok(types.to_vec()),
            (Overload::Alike, types) if has_numeric(types) => {
                let fits = |data_type: &DataType| {
                    let text = matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::Null);
                    text || data_type.is_numeric() || *data_type == NUMERIC
                };
                match types.iter().find(|data_type| !fits(data_type)) {
                    None => Ok(types.to_vec()),
                    Some(other) => plan_err!("{} types numeric and {other} cannot be matched", self.name()),
                }
            }
            _ => through(),
        }
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match (self.overload, types) {
            (Overload::Unary(unary), [data_type]) => {
                if let Some(result) = unary_type(unary, data_type) {
                    return Ok(result);
                }
            }
            (Overload::Alike, types) if has_numeric(types) => {
                let floating = types.iter().any(DataType::is_floating);
                return Ok(if floating { DataType::Float64 } else { NUMERIC });
            }
            _ => {}
        }
        let fields: Vec<FieldRef> = with_doubles(types).iter().map(field).collect();
        let scalars = vec![None; fields.len()];
        let args = ReturnFieldArgs {
            arg_fields: &fields,
            scalar_arguments: &scalars,
        };
        Ok(self.inner.return_field_from_args(args)?.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let ours = match (self.overload, types.as_slice()) {
            (Overload::Unary(unary), [data_type]) => unary_type(unary, data_type).is_some(),
            _ => has_numeric(&types),
        };
        match ours {
            true => Ok(Field::new(self.name(), self.return_type(&types)?, true).into()),
            false => self.inner.return_field_from_args(args),
        }
    }

    /// Only where a constant is computed before there is a plan.
    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        for (value, field) in args.args.iter_mut().zip(&mut args.arg_fields) {
            if *field.data_type() == NUMERIC {
                let array = from_numeric(&value.to_array(args.number_rows)?, &DataType::Float64)?;
                *value = ColumnarValue::Array(array);
                *field = Field::new(field.name(), DataType::Float64, true).into();
            }
        }
        self.inner.invoke_with_args(args)
    }
}

/// The type that a numeric's function gives; `None` for the doubles and integers of the function behind.
fn unary_type(unary: Unary, data_type: &DataType) -> Option<DataType> {
    match (unary, data_type) {
        (_, DataType::LargeBinary) => Some(NUMERIC),
        (Unary::Absolute, DataType::Decimal128(..)) => Some(data_type.clone()),
        // One digit more: 9.9 becomes 10.
        (Unary::Round(_), DataType::Decimal128(precision, scale)) => {
            let whole = i16::from(*precision) - i16::from(*scale) + 1;
            Some(DataType::Decimal128(whole.clamp(1, 38) as u8, 0))
        }
        (Unary::Sign, DataType::Decimal128(..)) => Some(DataType::Decimal128(1, 0)),
        _ => None,
    }
}

/// `abs`, `ceil`, `floor` and `sign` of numerics and of a column's decimals.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NumericUnary {
    unary: Unary,
    signature: Signature,
}

impl NumericUnary {
    /// `None` where the function behind is the one to call.
    pub fn of(unary: Unary, data_type: &DataType) -> Option<NumericUnary> {
        unary_type(unary, data_type)?;
        Some(NumericUnary {
            unary,
            signature: Signature::any(1, Volatility::Immutable),
        })
    }
}

impl ScalarUDFImpl for NumericUnary {
    fn name(&self) -> &str {
        match self.unary {
            Unary::Absolute => "numeric_abs",
            Unary::Sign => "numeric_sign",
            Unary::Round(Rounding::Up) => "numeric_ceil",
            Unary::Round(Rounding::Down) => "numeric_floor",
            Unary::Round(Rounding::TowardsZero) => "numeric_trunc",
            Unary::Round(Rounding::Half) => "numeric_round",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        let result = types.first().and_then(|data_type| unary_type(self.unary, data_type));
        match result {
            Some(data_type) => Ok(data_type),
            None => plan_err!("No function matches '{}': it takes a numeric", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if scalar { 1 } else { args.number_rows })?;
        let result: ArrayRef = match (array.data_type(), args.return_field.data_type()) {
            (DataType::Decimal128(_, scale), DataType::Decimal128(precision, to)) => {
                let scale = u32::from(scale.unsigned_abs());
                let unit = 10i128.pow(scale);
                let values: Decimal128Array = array.as_primitive::<Decimal128Type>().unary(|value| match self.unary {
                    Unary::Absolute => value.abs(),
                    Unary::Sign => value.signum(),
                    Unary::Round(Rounding::Up) => -(-value).div_euclid(unit),
                    Unary::Round(Rounding::Down) => value.div_euclid(unit),
                    Unary::Round(rounding) => {
                        let rounded = Numeric::Finite(Decimal::new(value, scale)).rounded(0, rounding);
                        match rounded {
                            Numeric::Finite(decimal) => i128::try_from(decimal.unscaled).unwrap_or(value / unit),
                            _ => value / unit,
                        }
                    }
                });
                Arc::new(values.with_precision_and_scale(*precision, *to)?)
            }
            _ => self.unary.apply(&to_numeric(&array)?, 0),
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// An aggregate that takes numerics too: as doubles, or with a function of their own.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OverloadedAggregate {
    pub inner: Arc<AggregateUDF>,
    pub made: Option<Made>,
    pub numeric: Option<Arc<AggregateUDF>>,
    signature: Signature,
}

impl OverloadedAggregate {
    /// Whether it gives a numeric for these: all but a sum do for integers and decimals as well.
    pub fn gives_numeric(&self, types: &[DataType]) -> bool {
        let exact = |data_type: &DataType| data_type.is_integer() || matches!(data_type, DataType::Decimal128(..));
        match self.made {
            None => false,
            Some(Made::Sum) => has_numeric(types),
            Some(_) => has_numeric(types) || types.iter().all(exact),
        }
    }
}

impl AggregateUDFImpl for OverloadedAggregate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let coerced = coerced(types, |fields| fields_with_udf(fields, self.inner.as_ref()))?;
        // Integers stay what they are: doubles of them would give a double.
        Ok(if self.gives_numeric(types) {
            types.to_vec()
        } else {
            coerced
        })
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match self.gives_numeric(types) {
            true => Ok(NUMERIC),
            false => self.inner.return_type(&with_doubles(types)),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> DfResult<FieldRef> {
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        match has_numeric(&types) || self.gives_numeric(&types) {
            true => Ok(Field::new(self.name(), self.return_type(&types)?, true).into()),
            false => self.inner.return_field(fields),
        }
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }
}
