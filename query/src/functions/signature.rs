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
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use chrono_tz::Tz;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;

use super::calendar::session_zone;
use super::numeric::{NUMERIC, cast_scalar};
use super::sets::of_list;
use super::text_style::session_style;
use crate::pg_type::numeric::{Decimal, Numeric, decode_key, encode_decimal};
use crate::pg_type::write::TextStyle;
use crate::pg_type::{self, oid, parse_literal, type_metadata};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

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

/// Types that arguments and results have.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    Int4,
    Int8,
    Float8,
    /// Of any precision and scale.
    Numeric,
    /// Result: a numeric without digits after the point.
    Whole,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Json,
    Jsonb,
    /// PostgreSQL's `void`: an empty text.
    Void,
    /// Any value, as it comes.
    Any,
    /// Any array, as it comes.
    AnyArray,
    /// A value of the type of the elements of the first array among the arguments.
    Element,
    /// An array of such a type; as a result also of texts and the like.
    ArrayOf(&'static Kind),
    /// Result: what is under all dimensions of the first array.
    Innermost,
    /// Result: what the argument at this place is.
    As(usize),
    /// Result: an array of what the argument at this place is.
    ListOf(usize),
}

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

fn element_of(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type().clone())
        }
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// A column's decimals and numerics without a scale.
fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..)) || *data_type == NUMERIC
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == NUMERIC
}

impl Kind {
    /// The cast from a type: 0 is none, `None` is impossible.
    fn cost(self, data_type: &DataType, element: Option<&DataType>) -> Option<u32> {
        use DataType as D;
        if let D::Dictionary(_, values) = data_type {
            return self.cost(values, element);
        }
        if *data_type == D::Null {
            return Some(1);
        }
        // A quoted literal may be anything, a text above all.
        let read = |kind: Kind| (is_text(data_type) && kind.oid().is_some()).then_some(6);
        match (self, data_type) {
            (Kind::Any, _) => Some(8),
            (Kind::AnyArray, D::List(_) | D::LargeList(_) | D::FixedSizeList(..)) => Some(0),
            (Kind::AnyArray, _) if is_text(data_type) && element.is_some() => Some(3),
            (Kind::Element, _) => match element {
                Some(element) if element == data_type => Some(0),
                Some(element) if is_text(element) && is_text(data_type) => Some(0),
                Some(element) if is_text(data_type) && !is_text(element) => Some(3),
                Some(element) if is_number(element) && is_number(data_type) => Some(1),
                Some(D::Null) => Some(1),
                Some(D::Timestamp(..)) => matches!(data_type, D::Timestamp(..) | D::Date32).then_some(1),
                _ => None,
            },
            (Kind::ArrayOf(kind), D::List(_) | D::LargeList(_) | D::FixedSizeList(..)) => {
                element_of(data_type).and_then(|item| kind.cost(&item, None))
            }
            (Kind::ArrayOf(_), _) if is_text(data_type) => Some(6),
            (Kind::Bool, D::Boolean)
            | (Kind::Int4, D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16)
            | (Kind::Int8, D::Int64 | D::UInt32 | D::UInt64)
            | (Kind::Float8, D::Float64)
            | (Kind::Bytes, D::Binary | D::BinaryView | D::FixedSizeBinary(_))
            | (Kind::Date, D::Date32 | D::Date64)
            | (Kind::Time, D::Time32(_) | D::Time64(_))
            | (Kind::Timestamp, D::Timestamp(_, None))
            | (Kind::Timestamptz, D::Timestamp(_, Some(_)))
            | (Kind::Interval, D::Interval(_) | D::Duration(_)) => Some(0),
            (Kind::Numeric, _) if is_decimal(data_type) => Some(0),
            (Kind::Text | Kind::Json | Kind::Jsonb, _) if is_text(data_type) => Some(0),
            (Kind::Int8, D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16) => Some(1),
            (Kind::Int4, D::Int64) => Some(5),
            (Kind::Numeric, _) if data_type.is_integer() => Some(3),
            (Kind::Float8, D::Float16 | D::Float32) => Some(1),
            // The preferred type of numbers.
            (Kind::Float8, _) if data_type.is_integer() => Some(2),
            (Kind::Float8, _) if is_decimal(data_type) => Some(2),
            (Kind::Timestamp, D::Date32 | D::Date64) => Some(2),
            (Kind::Timestamptz, D::Date32 | D::Date64) => Some(1),
            (Kind::Timestamptz, D::Timestamp(_, None)) => Some(2),
            (Kind::Interval, D::Time32(_) | D::Time64(_)) => Some(2),
            (kind, _) => read(kind),
        }
    }

    /// The OID of a plain type that literals can be read as.
    fn oid(self) -> Option<u32> {
        Some(match self {
            Kind::Bool => oid::BOOL,
            Kind::Int4 => oid::INT4,
            Kind::Int8 => oid::INT8,
            Kind::Float8 => oid::FLOAT8,
            Kind::Numeric | Kind::Whole => oid::NUMERIC,
            Kind::Text => oid::TEXT,
            Kind::Bytes => oid::BYTEA,
            Kind::Date => oid::DATE,
            Kind::Time => oid::TIME,
            Kind::Timestamp => oid::TIMESTAMP,
            Kind::Timestamptz => oid::TIMESTAMPTZ,
            Kind::Interval => oid::INTERVAL,
            Kind::Json => oid::JSON,
            Kind::Jsonb => oid::JSONB,
            Kind::ArrayOf(kind) => return pg_type::array_oid(kind.oid()?),
            _ => return None,
        })
    }

    /// The Arrow type that an argument of `data_type` is cast to before the call.
    fn argument(self, data_type: &DataType, element: Option<&DataType>) -> DataType {
        if *data_type == DataType::Null {
            return match self.oid().and_then(pg_type::arrow_type) {
                Some(known) => known,
                None => DataType::Null,
            };
        }
        if is_text(data_type) {
            // Read at the call, where the type is another.
            return DataType::Utf8View;
        }
        if *data_type == NUMERIC || matches!(self, Kind::Element) && element == Some(&NUMERIC) {
            // Converted at the call.
            return data_type.clone();
        }
        match self {
            Kind::Numeric if is_decimal(data_type) => data_type.clone(),
            Kind::Numeric => DataType::Decimal128(20, 0),
            Kind::Any => data_type.clone(),
            Kind::AnyArray => element_of(data_type).map_or(data_type.clone(), list_of),
            Kind::Element => match element {
                Some(DataType::Null) | None => data_type.clone(),
                Some(element) => element.clone(),
            },
            Kind::ArrayOf(kind) => list_of(kind.argument(&element_of(data_type).unwrap_or(DataType::Null), None)),
            kind => kind.plain(),
        }
    }

    /// The Arrow type of values of this kind.
    fn plain(self) -> DataType {
        match self {
            Kind::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::ArrayOf(kind) => list_of(kind.plain()),
            Kind::Void => DataType::Utf8View,
            kind => kind.oid().and_then(pg_type::arrow_type).unwrap_or(DataType::Utf8View),
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// The field of the elements under all dimensions.
fn innermost(field: &Field) -> Field {
    match field.data_type() {
        DataType::List(item) => innermost(item),
        _ => field.clone(),
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
            regexes: RefCell::new(HashMap::new()),
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

/// What all rows of one call share.
pub struct Env {
    pub zone: Tz,
    /// How values become text.
    pub style: TextStyle,
    pub fields: Vec<FieldRef>,
    /// Expressions that were compiled, by pattern and flags.
    regexes: RefCell<HashMap<(String, String), Regex>>,
}

impl Env {
    /// A compiled expression: `compile` makes it the first time.
    pub fn regex(
        &self,
        pattern: &str,
        flags: &str,
        compile: fn(&str, &str) -> Result<Regex, QueryError>,
    ) -> Result<Regex, QueryError> {
        let key = (pattern.to_string(), flags.to_string());
        if let Some(found) = self.regexes.borrow().get(&key) {
            return Ok(found.clone());
        }
        let made = compile(pattern, flags)?;
        let mut regexes = self.regexes.borrow_mut();
        // A column of patterns compiles each row's own; a few are worth keeping.
        if regexes.len() >= 64 {
            regexes.clear();
        }
        regexes.insert(key, made.clone());
        Ok(made)
    }
}

/// The values of one row. What an overload takes is what the readers give: a value of another type reads as nothing.
pub struct Args<'a> {
    values: &'a [ScalarValue],
    env: &'a Env,
}

impl<'a> Args<'a> {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn env(&self) -> &'a Env {
        self.env
    }

    pub fn value(&self, place: usize) -> &'a ScalarValue {
        self.values.get(place).unwrap_or(&ScalarValue::Null)
    }

    pub fn is_null(&self, place: usize) -> bool {
        self.value(place).is_null()
    }

    pub fn text(&self, place: usize) -> &'a str {
        let value = match self.value(place) {
            ScalarValue::Dictionary(_, value) => value.as_ref(),
            value => value,
        };
        value.try_as_str().flatten().unwrap_or_default()
    }

    pub fn bytes(&self, place: usize) -> &'a [u8] {
        match self.value(place) {
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)) => bytes,
            _ => &[],
        }
    }

    pub fn bool(&self, place: usize) -> bool {
        matches!(self.value(place), ScalarValue::Boolean(Some(true)))
    }

    pub fn int(&self, place: usize) -> i64 {
        match self.value(place) {
            ScalarValue::Int8(Some(value)) => i64::from(*value),
            ScalarValue::Int16(Some(value)) => i64::from(*value),
            ScalarValue::Int32(Some(value)) => i64::from(*value),
            ScalarValue::Int64(Some(value)) => *value,
            ScalarValue::UInt32(Some(value)) => i64::from(*value),
            _ => 0,
        }
    }

    pub fn float(&self, place: usize) -> f64 {
        match self.value(place) {
            ScalarValue::Float32(Some(value)) => f64::from(*value),
            ScalarValue::Float64(Some(value)) => *value,
            other => other.cast_to(&DataType::Float64).map_or(0.0, |value| match value {
                ScalarValue::Float64(Some(value)) => value,
                _ => 0.0,
            }),
        }
    }

    /// Digits and how many of them stand after the point, where 38 digits are enough.
    pub fn numeric(&self, place: usize) -> Result<(i128, u32), QueryError> {
        Ok(match self.value(place) {
            ScalarValue::Decimal128(Some(digits), _, scale) => (*digits, u32::try_from(*scale).unwrap_or(0)),
            ScalarValue::LargeBinary(Some(key)) => match decode_key(key) {
                Numeric::Finite(decimal) => match i128::try_from(decimal.unscaled) {
                    Ok(digits) => (digits, decimal.scale),
                    Err(_) => return refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
                },
                _ => {
                    let message = "this function takes no NaN and no infinite numeric";
                    return refuse(ErrorKind::FeatureNotSupported, message);
                }
            },
            _ => (i128::from(self.int(place)), 0),
        })
    }

    /// A number with all of its digits.
    pub fn exact(&self, place: usize) -> Numeric {
        match self.value(place) {
            ScalarValue::LargeBinary(Some(key)) => decode_key(key),
            ScalarValue::Decimal128(Some(digits), _, scale) => {
                Numeric::Finite(Decimal::new(*digits, u32::try_from(*scale).unwrap_or(0)))
            }
            _ => Numeric::Finite(Decimal::new(self.int(place), 0)),
        }
    }

    pub fn date(&self, place: usize) -> i32 {
        match self.value(place) {
            ScalarValue::Date32(Some(days)) => *days,
            _ => 0,
        }
    }

    /// Microseconds: of a time since midnight, of a timestamp since 1970.
    pub fn micros(&self, place: usize) -> i64 {
        match self.value(place) {
            ScalarValue::Time64Microsecond(Some(value)) | ScalarValue::TimestampMicrosecond(Some(value), _) => *value,
            ScalarValue::TimestampSecond(Some(value), _) => value.saturating_mul(1_000_000),
            ScalarValue::TimestampMillisecond(Some(value), _) => value.saturating_mul(1_000),
            ScalarValue::TimestampNanosecond(Some(value), _) => value.div_euclid(1_000),
            _ => 0,
        }
    }

    pub fn interval(&self, place: usize) -> IntervalMonthDayNano {
        match self.value(place) {
            ScalarValue::IntervalMonthDayNano(Some(value)) => *value,
            _ => IntervalMonthDayNano::new(0, 0, 0),
        }
    }

    /// The elements of an array; `None` of what is no array.
    pub fn list(&self, place: usize) -> Option<ArrayRef> {
        match self.value(place) {
            ScalarValue::List(list) if list.len() == 1 && list.is_valid(0) => Some(list.value(0)),
            _ => None,
        }
    }

    /// The elements of an array of texts.
    pub fn texts(&self, place: usize) -> Vec<Option<String>> {
        let Some(list) = self.list(place) else {
            return Vec::new();
        };
        (0..list.len())
            .map(|row| {
                let value = ScalarValue::try_from_array(&list, row).ok()?;
                value.try_as_str().flatten().map(str::to_string)
            })
            .collect()
    }

    /// Whether an argument is JSON, as its field says.
    pub fn type_oid(&self, place: usize) -> u32 {
        self.env
            .fields
            .get(place)
            .map_or(oid::TEXT, |field| pg_type::field_oid(field))
    }
}

pub fn text(value: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8View(Some(value.into()))
}

pub fn bytes(value: impl Into<Vec<u8>>) -> ScalarValue {
    ScalarValue::BinaryView(Some(value.into()))
}

pub fn int4(value: i64) -> Result<ScalarValue, QueryError> {
    i32::try_from(value)
        .map(|value| ScalarValue::Int32(Some(value)))
        .map_err(|_| QueryError::new(ErrorKind::NumericValueOutOfRange, "integer out of range"))
}

pub fn boolean(value: bool) -> ScalarValue {
    ScalarValue::Boolean(Some(value))
}

pub fn float8(value: f64) -> ScalarValue {
    ScalarValue::Float64(Some(value))
}

/// A numeric of these digits, of which `scale` stand after the point.
pub fn numeric(digits: i128, scale: u32) -> Result<ScalarValue, QueryError> {
    let mut key = Vec::new();
    encode_decimal(digits, scale, &mut key);
    Ok(ScalarValue::LargeBinary(Some(key)))
}

/// A numeric without digits after the point, of at most 38 before it.
pub fn whole(digits: i128) -> Result<ScalarValue, QueryError> {
    match digits.unsigned_abs() < 10u128.pow(38) {
        true => Ok(ScalarValue::Decimal128(Some(digits), 38, 0)),
        false => refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
    }
}

pub fn timestamp(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), None)
}

pub fn timestamptz(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some(pg_type::utc()))
}

pub fn interval(months: i32, days: i32, nanoseconds: i64) -> ScalarValue {
    ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanoseconds)))
}

/// An array of texts.
pub fn texts(values: impl IntoIterator<Item = Option<String>>) -> ScalarValue {
    let values: Vec<ScalarValue> = values.into_iter().map(ScalarValue::Utf8View).collect();
    list(values, &DataType::Utf8View)
}

/// An array of values of one type.
pub fn list(values: Vec<ScalarValue>, item: &DataType) -> ScalarValue {
    ScalarValue::List(ScalarValue::new_list_nullable(&values, item))
}

/// Shorthand for an error.
pub fn refuse<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::new(kind, message))
}
