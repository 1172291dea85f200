//! Arrays: parts of them, what they have in common, `x op ANY (array)`, and ordered sets: percentile_disc, percentile_cont of several, mode.
//!
//! `percentile_disc(f) WITHIN GROUP (ORDER BY x)` is planned as `percentile_disc_of(f, array_agg(x ORDER BY x))`: the elements come sorted.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::json;
use super::numeric::cast_scalar;
use super::regular;
use super::signature::{Args, Entry, Kind, Overload, boolean, float8, int4, list, refuse, text};
use super::text::scalar_text;
use crate::pg_type::numeric::normal_key;
use crate::pg_type::oid;
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

/// Elements that one call may make: what a list's offsets hold with room for copies.
pub const ELEMENTS_MAX: usize = 10_000_000;

pub fn too_many<T>() -> Result<T, QueryError> {
    refuse(
        ErrorKind::ProgramLimitExceeded,
        format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"),
    )
}

fn elements(array: &ArrayRef) -> Result<Vec<ScalarValue>, QueryError> {
    (0..array.len())
        .map(|row| ScalarValue::try_from_array(array, row).map_err(errors::translate))
        .collect()
}

/// The elements of the array at a place, as what its elements are.
fn values(args: &Args<'_>, place: usize) -> Result<Vec<ScalarValue>, QueryError> {
    match args.list(place) {
        Some(array) => elements(&array),
        None => Ok(Vec::new()),
    }
}

/// Two arrays' elements, the right ones as the left ones are.
fn both(args: &Args<'_>) -> Result<(Vec<ScalarValue>, Vec<ScalarValue>), QueryError> {
    let left = values(args, 0)?;
    let right = values(args, 1)?;
    let Some(first) = left.first() else {
        return Ok((left, right));
    };
    let wanted = first.data_type();
    let right = right
        .into_iter()
        .map(|value| match value.data_type() == wanted {
            true => Ok(value),
            false => one(&value, &wanted),
        })
        .collect::<Result<_, QueryError>>()?;
    Ok((left, right))
}

/// Whether every element of `part` is in `whole`; NULL is equal to nothing.
fn contains(whole: &[ScalarValue], part: &[ScalarValue]) -> bool {
    part.iter()
        .all(|wanted| !wanted.is_null() && whole.iter().any(|value| same(value, wanted)))
}

/// Equal as the type has it: 1.5 is 1.50.
fn same(left: &ScalarValue, right: &ScalarValue) -> bool {
    match (left, right) {
        (ScalarValue::LargeBinary(Some(left)), ScalarValue::LargeBinary(Some(right))) => {
            normal_key(left) == normal_key(right)
        }
        _ => left == right,
    }
}

fn item_type(args: &Args<'_>, place: usize) -> DataType {
    match args.value(place).data_type() {
        DataType::List(item) => item.data_type().clone(),
        _ => DataType::Utf8View,
    }
}

/// Values as an array of the type of the array at a place.
fn array_like(args: &Args<'_>, place: usize, values: Vec<ScalarValue>) -> ScalarValue {
    list(values, &item_type(args, place))
}

fn one(value: &ScalarValue, wanted: &DataType) -> Result<ScalarValue, QueryError> {
    cast_scalar(value, wanted).map_err(errors::translate)
}

fn append(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let mut all = values(args, 0)?;
    all.push(one(args.value(1), &item_type(args, 0))?);
    Ok(array_like(args, 0, all))
}

fn prepend(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let mut all = vec![one(args.value(0), &item_type(args, 1))?];
    all.extend(values(args, 1)?);
    Ok(array_like(args, 1, all))
}

/// NULL beside an array is as no array.
fn concatenated(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    match (args.is_null(0), args.is_null(1)) {
        (true, true) => Ok(ScalarValue::Null),
        (true, false) => Ok(args.value(1).clone()),
        (false, true) => Ok(args.value(0).clone()),
        (false, false) => {
            let (mut left, right) = both(args)?;
            let place = usize::from(left.is_empty());
            left.extend(right);
            match left.len() > ELEMENTS_MAX {
                true => too_many(),
                false => Ok(array_like(args, place, left)),
            }
        }
    }
}

fn remove(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) {
        return Ok(ScalarValue::Null);
    }
    let unwanted = one(args.value(1), &item_type(args, 0))?;
    let mut all = values(args, 0)?;
    all.retain(|value| !same(value, &unwanted));
    Ok(array_like(args, 0, all))
}

fn replace(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) {
        return Ok(ScalarValue::Null);
    }
    let item = item_type(args, 0);
    let (old, new) = (one(args.value(1), &item)?, one(args.value(2), &item)?);
    let all = values(args, 0)?;
    let all = all
        .into_iter()
        .map(|value| if same(&value, &old) { new.clone() } else { value })
        .collect();
    Ok(array_like(args, 0, all))
}

/// The places, from 1, of elements that are a value.
fn places(args: &Args<'_>) -> Result<Vec<i64>, QueryError> {
    let wanted = one(args.value(1), &item_type(args, 0))?;
    let all = values(args, 0)?;
    Ok((1..)
        .zip(&all)
        .filter(|(_, value)| same(value, &wanted))
        .map(|(place, _)| place)
        .collect())
}

fn position(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) {
        return Ok(ScalarValue::Null);
    }
    if args.len() > 2 && args.is_null(2) {
        return refuse(ErrorKind::NullValueNotAllowed, "initial position must not be null");
    }
    let from = if args.len() > 2 { args.int(2) } else { 1 };
    match places(args)?.into_iter().find(|place| *place >= from) {
        Some(place) => int4(place),
        None => Ok(ScalarValue::Null),
    }
}

fn positions(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) {
        return Ok(ScalarValue::Null);
    }
    let found: Vec<ScalarValue> = places(args)?.into_iter().map(int4).collect::<Result<_, _>>()?;
    Ok(list(found, &DataType::Int32))
}

/// The lengths of an array's dimensions; an empty array has none.
fn dimensions(array: &ArrayRef) -> Vec<usize> {
    if array.is_empty() {
        return Vec::new();
    }
    let mut lengths = vec![array.len()];
    if let Some(inner) = array.as_list_opt::<i32>() {
        lengths.extend(dimensions(&inner.value(0)));
    }
    lengths
}

fn dimension(args: &Args<'_>) -> Option<usize> {
    let lengths = dimensions(&args.list(0)?);
    let wanted = usize::try_from(args.int(1)).ok()?.checked_sub(1)?;
    lengths.get(wanted).copied()
}

fn maybe(value: Option<usize>) -> Result<ScalarValue, QueryError> {
    value.map_or(Ok(ScalarValue::Null), |value| int4(value as i64))
}

fn joined(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) || args.is_null(1) {
        return Ok(ScalarValue::Null);
    }
    let null = (args.len() > 2 && !args.is_null(2)).then(|| args.text(2).to_string());
    let mut parts = Vec::new();
    let mut array = args.list(0);
    while let Some(lists) = array.as_ref().and_then(|array| array.as_list_opt::<i32>()) {
        array = Some(lists.values().slice(
            lists.value_offsets()[0] as usize,
            (lists.value_offsets()[lists.len()] - lists.value_offsets()[0]) as usize,
        ));
    }
    let all = array.as_ref().map(elements).transpose()?.unwrap_or_default();
    for value in all {
        match value.is_null() {
            true => parts.extend(null.clone()),
            false => parts.push(scalar_text(&value, args.env().style)?),
        }
    }
    Ok(text(parts.join(args.text(1))))
}

fn fill(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let lengths = values(args, 1)?;
    let [ScalarValue::Int32(Some(length))] = lengths.as_slice() else {
        return refuse(
            ErrorKind::FeatureNotSupported,
            "array_fill makes arrays of one dimension only",
        );
    };
    match usize::try_from(*length) {
        Ok(length) if length <= ELEMENTS_MAX => {
            let value = args.value(0);
            Ok(list(vec![value.clone(); length], &value.data_type()))
        }
        _ => too_many(),
    }
}

fn trim(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let mut all = values(args, 0)?;
    match usize::try_from(args.int(1)) {
        Ok(count) if count <= all.len() => {
            all.truncate(all.len() - count);
            Ok(array_like(args, 0, all))
        }
        _ => refuse(
            ErrorKind::ArrayElementError,
            format!("number of elements to trim must be between 0 and {}", all.len()),
        ),
    }
}

/// The elements from one place to another; NULL for a bound is none.
fn slice(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) {
        return Ok(ScalarValue::Null);
    }
    let all = values(args, 0)?;
    let bound = |place: usize, otherwise: i64| {
        if args.is_null(place) {
            otherwise
        } else {
            args.int(place)
        }
    };
    let from = usize::try_from(bound(1, 1).max(1) - 1).unwrap_or(usize::MAX);
    let to = usize::try_from(bound(2, all.len() as i64).max(0))
        .unwrap_or(0)
        .min(all.len());
    let part = if from < to { all[from..to].to_vec() } else { Vec::new() };
    Ok(array_like(args, 0, part))
}

/// The element at a place in every dimension, from 1; with more or fewer places than dimensions none.
fn element(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let Some(mut array) = args.list(0) else {
        return Ok(ScalarValue::Null);
    };
    // The vectors of system tables count from 0.
    let vector = matches!(args.type_oid(0), oid::INT2_VECTOR | oid::OID_VECTOR);
    for place in 1..args.len() {
        let index = match usize::try_from(args.int(place) + i64::from(vector)) {
            Ok(index) if (1..=array.len()).contains(&index) => index - 1,
            _ => return Ok(ScalarValue::Null),
        };
        let is_last = place + 1 == args.len();
        match (array.as_list_opt::<i32>(), is_last) {
            (None, true) => return ScalarValue::try_from_array(&array, index).map_err(errors::translate),
            (Some(lists), false) if lists.is_valid(index) => array = lists.value(index),
            _ => return Ok(ScalarValue::Null),
        }
    }
    Ok(ScalarValue::Null)
}

/// `x op ANY (array)`, `x op ALL (array)`: the word, the operator, the value, the array. NULL where an unknown comparison decides.
fn quantified(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let any = args.text(0) == "ANY";
    let operator = args.text(1);
    if args.is_null(3) {
        return Ok(ScalarValue::Null);
    }
    let all = values(args, 3)?;
    if all.is_empty() {
        return Ok(boolean(!any));
    }
    let mut unknown = false;
    let value = args.value(2);
    for other in all {
        match compared(args, value, operator, &other)? {
            None => unknown = true,
            Some(holds) if holds == any => return Ok(boolean(any)),
            Some(_) => {}
        }
    }
    Ok(match unknown {
        true => ScalarValue::Null,
        false => boolean(!any),
    })
}

fn compared(
    args: &Args<'_>,
    value: &ScalarValue,
    operator: &str,
    other: &ScalarValue,
) -> Result<Option<bool>, QueryError> {
    if value.is_null() || other.is_null() {
        return Ok(None);
    }
    if let Some((negated, flags, pattern)) = regular::pattern_operator(operator) {
        let wanted = other.try_as_str().flatten().unwrap_or_default();
        let subject = value.try_as_str().flatten().unwrap_or_default();
        return Ok(Some(
            regular::holds(args.env(), subject, wanted, flags, pattern)? != negated,
        ));
    }
    let common =
        datafusion::logical_expr::type_coercion::binary::comparison_coercion(&value.data_type(), &other.data_type());
    let Some(common) = common else {
        return refuse(ErrorKind::UndefinedFunction, "operator does not exist for these types");
    };
    let order = one(value, &common)?.partial_cmp(&one(other, &common)?);
    let Some(order) = order else { return Ok(None) };
    Ok(Some(match operator {
        "=" => order == Ordering::Equal,
        "<>" => order != Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        other => {
            return refuse(
                ErrorKind::FeatureNotSupported,
                format!("operator {other} with ANY or ALL is not supported"),
            );
        }
    }))
}

/// A fraction of a percentile.
fn fraction(value: f64) -> Result<f64, QueryError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => refuse(
            ErrorKind::NumericValueOutOfRange,
            format!("percentile value {value} is not between 0 and 1"),
        ),
    }
}

/// The first element that so large a fraction of the sorted elements does not exceed.
fn discrete(sorted: &[ScalarValue], at: f64) -> Result<ScalarValue, QueryError> {
    let place = (fraction(at)? * sorted.len() as f64).ceil() as usize;
    Ok(sorted
        .get(place.saturating_sub(1))
        .cloned()
        .unwrap_or(ScalarValue::Null))
}

fn continuous(sorted: &[ScalarValue], at: f64) -> Result<ScalarValue, QueryError> {
    if sorted.is_empty() {
        return Ok(ScalarValue::Null);
    }
    let place = fraction(at)? * (sorted.len() - 1) as f64;
    let number = |index: f64| -> Result<f64, QueryError> {
        match one(&sorted[index as usize], &DataType::Float64)? {
            ScalarValue::Float64(Some(value)) => Ok(value),
            _ => Ok(f64::NAN),
        }
    };
    let (low, high) = (number(place.floor())?, number(place.ceil())?);
    Ok(float8(low + (high - low) * place.fract()))
}

/// A percentile for each of several fractions.
fn several(
    args: &Args<'_>,
    item: &DataType,
    percentile: fn(&[ScalarValue], f64) -> Result<ScalarValue, QueryError>,
) -> Result<ScalarValue, QueryError> {
    let sorted = values(args, 1)?;
    let found = values(args, 0)?
        .into_iter()
        .map(|at| match one(&at, &DataType::Float64)? {
            ScalarValue::Float64(Some(at)) => one(&percentile(&sorted, at)?, item),
            _ => one(&ScalarValue::Null, item),
        });
    Ok(list(found.collect::<Result<_, _>>()?, item))
}

/// The value that comes most often; of several the first.
fn mode(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let sorted = values(args, 0)?;
    let mut best: Option<(usize, &ScalarValue)> = None;
    for run in sorted.chunk_by(|a, b| a == b) {
        if best.is_none_or(|(count, _)| run.len() > count) {
            best = run.first().map(|value| (run.len(), value));
        }
    }
    Ok(best.map_or(ScalarValue::Null, |(_, value)| value.clone()))
}

const ARRAY: Kind = Kind::AnyArray;
const ELEMENT: Kind = Kind::Element;
const INT4: Kind = Kind::Int4;
const TEXT: Kind = Kind::Text;
const BOOL: Kind = Kind::Bool;
const FRACTIONS: Kind = Kind::ArrayOf(&Kind::Float8);

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "array_append",
        description: "an array with a value behind it",
        example: "SELECT array_append(ARRAY[1, 2], 3)",
        overloads: &[Overload::new(&[ARRAY, ELEMENT], Kind::As(0), append).with_nulls()],
    },
    Entry {
        name: "array_cat",
        description: "two arrays in one: what || gives",
        example: "SELECT array_cat(ARRAY[1, 2], ARRAY[3])",
        overloads: &[Overload::new(&[ARRAY, ARRAY], Kind::As(0), concatenated).with_nulls()],
    },
    Entry {
        name: "array_dims",
        description: "the bounds of an array's dimensions",
        example: "SELECT array_dims(ARRAY[1, 2, 3])",
        overloads: &[Overload::new(&[ARRAY], TEXT, |args| {
            let lengths = args.list(0).map(|array| dimensions(&array)).unwrap_or_default();
            let bounds: String = lengths.iter().map(|length| format!("[1:{length}]")).collect();
            Ok(if bounds.is_empty() {
                ScalarValue::Null
            } else {
                text(bounds)
            })
        })],
    },
    Entry {
        name: "array_element_at",
        description: "the element of an array at a place: what array[place] gives",
        example: "SELECT (ARRAY[1, 2, 3])[2]",
        overloads: &[
            Overload::new(&[ARRAY, INT4], Kind::Innermost, element).variadic(),
            Overload::new(&[Kind::Jsonb, TEXT], Kind::Jsonb, json::look::get),
            Overload::new(&[Kind::Jsonb, INT4], Kind::Jsonb, json::look::get_element),
            Overload::new(&[Kind::Jsonb, INT4, INT4], Kind::Jsonb, json::look::get_elements).variadic(),
        ],
    },
    Entry {
        name: "array_fill",
        description: "an array of one value so many times",
        example: "SELECT array_fill(7, ARRAY[3])",
        overloads: &[Overload::new(&[Kind::Any, Kind::ArrayOf(&INT4)], Kind::ListOf(0), fill).with_nulls()],
    },
    Entry {
        name: "array_length",
        description: "the length of a dimension of an array",
        example: "SELECT array_length(ARRAY[1, 2, 3], 1)",
        overloads: &[Overload::new(&[ARRAY, INT4], INT4, |args| maybe(dimension(args)))],
    },
    Entry {
        name: "array_lower",
        description: "the first place in a dimension of an array",
        example: "SELECT array_lower(ARRAY[1, 2, 3], 1)",
        overloads: &[Overload::new(&[ARRAY, INT4], INT4, |args| {
            maybe(dimension(args).map(|_| 1))
        })],
    },
    Entry {
        name: "array_ndims",
        description: "how many dimensions an array has",
        example: "SELECT array_ndims(ARRAY[1, 2, 3])",
        overloads: &[Overload::new(&[ARRAY], INT4, |args| {
            let lengths = args.list(0).map(|array| dimensions(&array)).unwrap_or_default();
            maybe(Some(lengths.len()).filter(|count| *count > 0))
        })],
    },
    Entry {
        name: "array_position",
        description: "where an array has a value first, from a place on",
        example: "SELECT array_position(ARRAY['sun', 'mon'], 'mon')",
        overloads: &[
            Overload::new(&[ARRAY, ELEMENT], INT4, position).with_nulls(),
            Overload::new(&[ARRAY, ELEMENT, INT4], INT4, position).with_nulls(),
        ],
    },
    Entry {
        name: "array_positions",
        description: "every place where an array has a value",
        example: "SELECT array_positions(ARRAY['a', 'b', 'a'], 'a')",
        overloads: &[Overload::new(&[ARRAY, ELEMENT], Kind::ArrayOf(&INT4), positions).with_nulls()],
    },
    Entry {
        name: "array_prepend",
        description: "an array with a value before it",
        example: "SELECT array_prepend(1, ARRAY[2, 3])",
        overloads: &[Overload::new(&[ELEMENT, ARRAY], Kind::As(1), prepend).with_nulls()],
    },
    Entry {
        name: "array_remove",
        description: "an array without a value",
        example: "SELECT array_remove(ARRAY[1, 2, 3, 2], 2)",
        overloads: &[Overload::new(&[ARRAY, ELEMENT], Kind::As(0), remove).with_nulls()],
    },
    Entry {
        name: "array_replace",
        description: "an array with a value in place of another",
        example: "SELECT array_replace(ARRAY[1, 2, 5, 4], 5, 3)",
        overloads: &[Overload::new(&[ARRAY, ELEMENT, ELEMENT], Kind::As(0), replace).with_nulls()],
    },
    Entry {
        name: "array_slice_of",
        description: "the elements of an array between two places: what array[from:to] gives",
        example: "SELECT (ARRAY[1, 2, 3, 4])[2:]",
        overloads: &[Overload::new(&[ARRAY, INT4, INT4], Kind::As(0), slice).with_nulls()],
    },
    Entry {
        name: "array_to_string",
        description: "the elements of an array as one text",
        example: "SELECT array_to_string(ARRAY[1, 2, NULL, 3], ',', '*')",
        overloads: &[
            Overload::new(&[ARRAY, TEXT], TEXT, joined).with_nulls(),
            Overload::new(&[ARRAY, TEXT, TEXT], TEXT, joined).with_nulls(),
        ],
    },
    Entry {
        name: "array_upper",
        description: "the last place in a dimension of an array",
        example: "SELECT array_upper(ARRAY[1, 2, 3], 1)",
        overloads: &[Overload::new(&[ARRAY, INT4], INT4, |args| maybe(dimension(args)))],
    },
    Entry {
        name: "arraycontains",
        description: "whether an array has all elements of another: what @> gives",
        example: "SELECT ARRAY[1, 4, 3] @> ARRAY[3, 1]",
        overloads: &[Overload::new(&[ARRAY, ARRAY], BOOL, |args| {
            let (left, right) = both(args)?;
            Ok(boolean(contains(&left, &right)))
        })],
    },
    Entry {
        name: "arrayoverlap",
        description: "whether two arrays have an element in common: what && gives",
        example: "SELECT ARRAY[1, 4, 3] && ARRAY[2, 1]",
        overloads: &[Overload::new(&[ARRAY, ARRAY], BOOL, |args| {
            let (left, right) = both(args)?;
            let common = right
                .iter()
                .any(|wanted| !wanted.is_null() && left.iter().any(|value| same(value, wanted)));
            Ok(boolean(common))
        })],
    },
    Entry {
        name: "cardinality",
        description: "how many elements an array has in all dimensions",
        example: "SELECT cardinality(ARRAY[1, 2, 3])",
        overloads: &[Overload::new(&[ARRAY], INT4, |args| {
            let lengths = args.list(0).map(|array| dimensions(&array)).unwrap_or_default();
            maybe(Some(if lengths.is_empty() {
                0
            } else {
                lengths.iter().product()
            }))
        })],
    },
    Entry {
        name: "mode_of",
        description: "the value that comes most often among sorted ones: what mode() gives",
        example: "SELECT mode() WITHIN GROUP (ORDER BY x) FROM (VALUES (1), (2), (2)) AS t (x)",
        overloads: &[Overload::new(&[ARRAY], ELEMENT, mode)],
    },
    Entry {
        name: "percentile_cont_of",
        description: "percentiles of sorted numbers, between them where need be: what percentile_cont gives for several fractions",
        example: "SELECT percentile_cont(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY x) FROM (VALUES (1), (2)) AS t (x)",
        overloads: &[Overload::new(&[FRACTIONS, ARRAY], FRACTIONS, |args| {
            several(args, &DataType::Float64, continuous)
        })],
    },
    Entry {
        name: "percentile_disc_of",
        description: "the sorted value at a fraction: what percentile_disc gives",
        example: "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY x) FROM (VALUES (1), (2)) AS t (x)",
        overloads: &[
            Overload::new(&[Kind::Float8, ARRAY], ELEMENT, |args| {
                discrete(&values(args, 1)?, args.float(0))
            }),
            Overload::new(&[FRACTIONS, ARRAY], Kind::As(1), |args| {
                several(args, &item_type(args, 1), discrete)
            }),
        ],
    },
    Entry {
        name: "quantified",
        description: "a comparison with the elements of an array: what ANY and ALL give",
        example: "SELECT 1 < ANY (ARRAY[0, 2])",
        overloads: &[
            Overload::new(&[TEXT, TEXT, ELEMENT, ARRAY], BOOL, quantified).with_nulls(),
            Overload::new(&[TEXT, TEXT, Kind::Any, ARRAY], BOOL, quantified).with_nulls(),
        ],
    },
    Entry {
        name: "trim_array",
        description: "an array without its last elements",
        example: "SELECT trim_array(ARRAY[1, 2, 3, 4], 2)",
        overloads: &[Overload::new(&[ARRAY, INT4], Kind::As(0), trim)],
    },
];

/// Functions that give rows, as lists: `functions/sets.rs` makes rows of them.
pub const LISTS: &[Entry] = &[Entry {
    name: "ordinality_list",
    description: "the numbers from 1 to the length of the longest array: what WITH ORDINALITY gives",
    example: "SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY",
    overloads: &[Overload::new(&[ARRAY], Kind::ArrayOf(&Kind::Int8), |args| {
        let lengths = (0..args.len())
            .filter_map(|place| args.list(place))
            .map(|array| array.len() as i64);
        let numbers = (1..=lengths.max().unwrap_or(0)).map(|number| ScalarValue::Int64(Some(number)));
        Ok(list(numbers.collect(), &DataType::Int64))
    })
    .variadic()
    .with_nulls()],
}];

/// A list's one value, for tests.
#[cfg(test)]
fn single(values: &[i32]) -> Vec<ScalarValue> {
    values.iter().map(|value| ScalarValue::Int32(Some(*value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn percentiles() {
        let sorted = single(&[1, 2, 4, 5]);
        assert_eq!(discrete(&sorted, 0.5).unwrap(), ScalarValue::Int32(Some(2)));
        assert_eq!(discrete(&sorted, 0.0).unwrap(), ScalarValue::Int32(Some(1)));
        assert_eq!(discrete(&sorted, 1.0).unwrap(), ScalarValue::Int32(Some(5)));
        assert_eq!(continuous(&sorted, 0.5).unwrap(), float8(3.0));
        assert!(discrete(&sorted, 1.5).is_err());
        assert!(discrete(&[], 0.5).unwrap().is_null());
    }

    #[test]
    fn dimensions_of_nested_arrays() {
        let inner = list(single(&[1, 2]), &DataType::Int32);
        let outer = list(vec![inner.clone(), inner.clone()], &inner.data_type());
        let ScalarValue::List(outer) = outer else {
            panic!("a list")
        };
        assert_eq!(dimensions(&outer.value(0)), [2, 2]);
        let empty: ArrayRef = Arc::new(arrow::array::Int32Array::from(Vec::<i32>::new()));
        assert!(dimensions(&empty).is_empty());
    }
}
