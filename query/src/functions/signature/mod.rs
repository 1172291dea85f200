//! Functions by signature, as PostgreSQL lists them in pg_proc: a name, the types of its arguments, the type of its result, and what it does
//! with the values of one row.
//!
//! ```text
//! arguments --choose: the cheapest overload--> casts --row by row--> result
//! ```
//!
//! A family is a file with a list of [`Entry`]s. The values of a row come as [`Args`]; NULL never reaches a strict function. A quoted literal
//! stays text on its way and is read as the type that the chosen overload takes, with PostgreSQL's rules and the session's time zone.
//! Leaves to others: functions that are worth a loop over columns, which implement DataFusion's traits themselves.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use chrono_tz::Tz;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::calendar::session_zone;
use super::numeric::{NUMERIC, cast_scalar};
use super::sets::of_list;
use super::text_style::session_style;
use crate::pg_type::{self, oid, parse_literal, type_metadata};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

mod kind;
mod values;

pub use kind::Kind;
use kind::{element_of, innermost};
pub use values::{
    Args, Env, boolean, bytes, float8, int4, interval, list, numeric, refuse, text, texts, timestamp, timestamptz,
    whole,
};

/// A function with all its overloads.
pub struct Entry {
    pub name: &'static str,
    pub description: &'static str,
    pub example: &'static str,
    pub overloads: &'static [Overload],
}

/// One signature and what it does.
pub struct Overload {
    takes: &'static [Kind],
    /// The last argument may come any number of times, also never.
    variadic: bool,
    gives: Kind,
    /// NULL in any argument gives NULL.
    strict: bool,
    volatile: bool,
    run: Run,
}

/// What an overload does with the values of one row.
pub type Run = fn(&Args<'_>) -> Result<ScalarValue, QueryError>;

impl Overload {
    pub const fn new(takes: &'static [Kind], gives: Kind, run: Run) -> Overload {
        Overload {
            takes,
            variadic: false,
            gives,
            strict: true,
            volatile: false,
            run,
        }
    }

    /// The last argument may be repeated.
    pub const fn variadic(mut self) -> Overload {
        self.variadic = true;
        self
    }

    /// It is called with NULLs, too.
    pub const fn with_nulls(mut self) -> Overload {
        self.strict = false;
        self
    }

    /// It gives another result each time.
    pub const fn volatile(mut self) -> Overload {
        self.volatile = true;
        self
    }

    /// Whether the result can depend on the session's time zone.
    fn sees_zone(&self) -> bool {
        let kinds = self.takes.iter().chain([&self.gives]);
        kinds
            .into_iter()
            .any(|kind| matches!(kind, Kind::Timestamptz | Kind::Any | Kind::AnyArray))
    }

    /// The kind of the argument at a place.
    fn kind(&self, place: usize) -> Kind {
        let last = self.takes.len().saturating_sub(1);
        self.takes.get(place.min(last)).copied().unwrap_or(Kind::Any)
    }

    /// What a call with these types costs in casts; `None` where it cannot be.
    fn cost(&self, types: &[DataType]) -> Option<u32> {
        let fits = match self.variadic {
            true => types.len() + 1 >= self.takes.len(),
            false => types.len() == self.takes.len(),
        };
        if !fits {
            return None;
        }
        let element = types.iter().find_map(element_of);
        let mut cost = if self.variadic { 1 } else { 0 };
        for (place, data_type) in types.iter().enumerate() {
            cost += self.kind(place).cost(data_type, element.as_ref())?;
        }
        Some(cost)
    }
}

/// The function of an entry.
pub fn function(entry: &'static Entry) -> ScalarUDF {
    let any = |of: fn(&Overload) -> bool| entry.overloads.iter().any(of);
    let volatility = match () {
        _ if any(|overload| overload.volatile) => Volatility::Volatile,
        // Instants are read and shown in the session's zone: a plan that is kept must not hold their results.
        _ if any(Overload::sees_zone) => Volatility::Stable,
        _ => Volatility::Immutable,
    };
    BySignature {
        entry,
        signature: Signature::user_defined(volatility),
    }
    .into()
}

/// An entry as DataFusion calls it.
struct BySignature {
    entry: &'static Entry,
    signature: Signature,
}

impl std::fmt::Debug for BySignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.entry.name)
    }
}

impl PartialEq for BySignature {
    fn eq(&self, other: &BySignature) -> bool {
        self.entry.name == other.entry.name
    }
}

impl Eq for BySignature {}

impl Hash for BySignature {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.name.hash(state);
    }
}

/// PostgreSQL's name of a type, as its errors have it; of a quoted literal it does not know it.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        // A quoted literal; columns and casts have views.
        DataType::Null | DataType::Utf8 => "unknown".to_string(),
        DataType::Timestamp(_, None) => "timestamp without time zone".to_string(),
        other => pg_type::type_name(pg_type::data_type_oid(other)),
    }
}

/// `function f(integer, text) does not exist`.
pub fn undefined(name: &str, types: &[DataType]) -> QueryError {
    let types: Vec<String> = types.iter().map(type_name).collect();
    // A list behind a function that gives rows is that function to the client.
    let name = of_list(name);
    let message = format!("function {name}({}) does not exist", types.join(", "));
    QueryError::new(ErrorKind::UndefinedFunction, message).with_hint(NO_SUCH_FUNCTION)
}

/// What PostgreSQL says of a call that no function fits.
pub const NO_SUCH_FUNCTION: &str =
    "No function matches the given name and argument types. You might need to add explicit type casts.";

/// A function that there is not: the error names the types of its arguments, which only a call can tell.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Unknown {
    name: String,
    signature: Signature,
}

impl Unknown {
    pub fn new(name: &str) -> Unknown {
        Unknown {
            name: name.to_string(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Unknown {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        Err(errors::wrap(undefined(&self.name, types)))
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        Err(errors::wrap(undefined(&self.name, types)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        Err(errors::wrap(undefined(&self.name, &[])))
    }
}

impl BySignature {
    fn choose(&self, types: &[DataType]) -> DfResult<&'static Overload> {
        let found = self
            .entry
            .overloads
            .iter()
            .filter_map(|overload| Some((overload.cost(types)?, overload)));
        let cheapest = found.min_by_key(|(cost, _)| *cost);
        cheapest
            .map(|(_, overload)| overload)
            .ok_or_else(|| errors::wrap(undefined(self.entry.name, types)))
    }

    fn field(&self, fields: &[FieldRef]) -> DfResult<FieldRef> {
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        let overload = self.choose(&types)?;
        let given = |place: usize| -> DataType {
            match fields.get(place).map(|field| field.data_type()) {
                None | Some(DataType::Null) => DataType::Utf8View,
                Some(known) => known.clone(),
            }
        };
        let metadata = |place: usize| {
            fields
                .get(place)
                .map(|field| field.metadata().clone())
                .unwrap_or_default()
        };
        let field = match overload.gives {
            Kind::As(place) => Field::new(self.entry.name, given(place), true).with_metadata(metadata(place)),
            Kind::ListOf(place) => {
                let item = Field::new("item", given(place), true).with_metadata(metadata(place));
                Field::new(self.entry.name, DataType::List(Arc::new(item)), true)
            }
            Kind::Element => {
                let item = fields.iter().find_map(|field| match field.data_type() {
                    DataType::List(item) => Some(item.as_ref().clone()),
                    _ => None,
                });
                let item = item.unwrap_or_else(|| Field::new("item", DataType::Utf8View, true));
                item.with_name(self.entry.name).with_nullable(true)
            }
            Kind::Innermost => {
                let item = fields.iter().find_map(|field| match field.data_type() {
                    DataType::List(_) => Some(innermost(field).with_name(self.entry.name).with_nullable(true)),
                    _ => None,
                });
                item.unwrap_or_else(|| Field::new(self.entry.name, DataType::Utf8View, true))
            }
            Kind::Whole => Field::new(self.entry.name, DataType::Decimal128(38, 0), true),
            Kind::Numeric => Field::new(self.entry.name, NUMERIC, true),
            Kind::ArrayOf(kind) => {
                let item = match kind {
                    Kind::Numeric => NUMERIC,
                    kind => kind.plain(),
                };
                let item = Field::new("item", item, true);
                let item = match kind {
                    Kind::Json | Kind::Jsonb => item.with_metadata(type_metadata(kind.oid().unwrap_or(oid::TEXT))),
                    _ => item,
                };
                Field::new(self.entry.name, DataType::List(Arc::new(item)), true)
            }
            kind => {
                let field = Field::new(self.entry.name, kind.plain(), true);
                match kind {
                    // Named always: a text without a name takes that of its source.
                    Kind::Text | Kind::Json | Kind::Jsonb => {
                        field.with_metadata(type_metadata(kind.oid().unwrap_or(oid::TEXT)))
                    }
                    Kind::Void => field.with_metadata(type_metadata(oid::VOID)),
                    _ => field,
                }
            }
        };
        Ok(Arc::new(field))
    }
}

impl ScalarUDFImpl for BySignature {
    fn name(&self) -> &str {
        self.entry.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let overload = self.choose(types)?;
        let element = types.iter().find_map(element_of);
        Ok(types
            .iter()
            .enumerate()
            .map(|(place, data_type)| overload.kind(place).argument(data_type, element.as_ref()))
            .collect())
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        let fields: Vec<FieldRef> = types
            .iter()
            .map(|data_type| Arc::new(Field::new("", data_type.clone(), true)))
            .collect();
        Ok(self.field(&fields)?.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        self.field(args.arg_fields)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let overload = self.choose(&types)?;
        let env = Env {
            zone: session_zone(&args.config_options),
            style: session_style(&args.config_options),
            fields: args.arg_fields.clone(),
            regexes: RefCell::default(),
        };
        let result_type = args.return_field.data_type();
        let scalar = !overload.volatile && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        if scalar {
            let values: Vec<ScalarValue> = args
                .args
                .into_iter()
                .map(|arg| match arg {
                    ColumnarValue::Scalar(value) => Ok(value),
                    ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0),
                })
                .collect::<DfResult<_>>()?;
            let value = call(overload, values, &env, result_type).map_err(errors::wrap)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        let arrays: Vec<ArrayRef> = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<DfResult<_>>()?;
        let mut results = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let values: Vec<ScalarValue> = arrays
                .iter()
                .map(|array| ScalarValue::try_from_array(array, row))
                .collect::<DfResult<_>>()?;
            results.push(call(overload, values, &env, result_type).map_err(errors::wrap)?);
        }
        // NULLs are of the type of the others: lists lose what their items are called on the way.
        let known = results
            .iter()
            .find(|result| !result.is_null())
            .map(ScalarValue::data_type);
        let array = match known {
            None => new_null_array(result_type, results.len()),
            Some(known) => {
                for result in results.iter_mut().filter(|result| result.is_null()) {
                    *result = ScalarValue::try_new_null(&known)?;
                }
                ScalarValue::iter_to_array(results)?
            }
        };
        // Lists are made without the metadata of their items.
        let array = match array.data_type() == result_type {
            true => array,
            false => arrow::compute::cast(&array, result_type)?,
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// One row.
fn call(
    overload: &Overload,
    mut values: Vec<ScalarValue>,
    env: &Env,
    result_type: &DataType,
) -> Result<ScalarValue, QueryError> {
    let null = || ScalarValue::try_new_null(result_type).map_err(errors::translate);
    if overload.strict && values.iter().any(ScalarValue::is_null) {
        return null();
    }
    let element = values.iter().find_map(|value| element_of(&value.data_type()));
    for (place, value) in values.iter_mut().enumerate() {
        read(overload.kind(place), value, element.as_ref(), env.zone)?;
    }
    let result = (overload.run)(&Args { values: &values, env })?;
    if result.is_null() && !matches!(result_type, DataType::List(_)) || matches!(result, ScalarValue::Null) {
        return null();
    }
    match result.data_type() == *result_type {
        true => Ok(result),
        false => cast_scalar(&result, result_type).map_err(errors::translate),
    }
}

/// Reads a text where the overload takes another type.
fn read(kind: Kind, value: &mut ScalarValue, element: Option<&DataType>, zone: Tz) -> Result<(), QueryError> {
    let target = match kind {
        Kind::Text | Kind::Json | Kind::Jsonb | Kind::Any | Kind::Void => return Ok(()),
        Kind::Element => element.map(pg_type::data_type_oid),
        Kind::AnyArray => element.and_then(|element| pg_type::array_oid(pg_type::data_type_oid(element))),
        kind => kind.oid(),
    };
    if let ScalarValue::LargeBinary(_) = value {
        let into = match kind {
            Kind::Numeric => return Ok(()),
            Kind::Element => element.cloned().unwrap_or(NUMERIC),
            kind => kind.plain(),
        };
        *value = cast_scalar(value, &into).map_err(errors::translate)?;
        return Ok(());
    }
    if matches!(kind, Kind::Element) && element == Some(&NUMERIC) && value.data_type().is_numeric() {
        *value = cast_scalar(value, &NUMERIC).map_err(errors::translate)?;
        return Ok(());
    }
    let (Some(target), Some(Some(text))) = (target, value.try_as_str()) else {
        return Ok(());
    };
    if matches!(target, oid::TEXT | oid::VARCHAR) {
        return Ok(());
    }
    let read = parse_literal(target, text, zone)?;
    *value = match kind {
        Kind::Numeric => read,
        Kind::Element => match element {
            Some(element) => cast_scalar(&read, element).map_err(errors::translate)?,
            None => read,
        },
        Kind::AnyArray => read,
        kind => read.cast_to(&kind.plain()).map_err(errors::translate)?,
    };
    Ok(())
}
