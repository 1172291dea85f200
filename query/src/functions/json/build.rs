//! Values as JSON: to_json, row_to_json, json_build_object and their like, and what the aggregates json_agg and json_object_agg become.
//!
//! `json_agg(x ORDER BY y)` is planned as `json_of_array(array_agg(to_json(x) ORDER BY y))`, so that ORDER BY, DISTINCT, FILTER and OVER mean what they
//! mean everywhere.

use arrow::array::{Array, StructArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;

use super::Json;
use super::value::{by_name, write_string};
use crate::functions::numeric::NUMERIC;
use crate::functions::signature::{Args, Entry, Kind, Overload, refuse, text};
use crate::functions::text::value_text;
use crate::pg_type::write::{Dates, TextStyle};
use crate::pg_type::{field_oid, oid};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

/// A value as JSON; its field tells JSON from other text.
pub fn to_json(value: &ScalarValue, field: Option<&FieldRef>, style: TextStyle) -> Result<Json, QueryError> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    let type_oid = field.map_or(oid::TEXT, |field| field_oid(field));
    match value {
        ScalarValue::Dictionary(_, value) => to_json(value, field, style),
        ScalarValue::Boolean(Some(value)) => Ok(Json::Bool(*value)),
        ScalarValue::List(list) => {
            let item = match list.data_type() {
                DataType::List(item) => Some(item.clone()),
                _ => None,
            };
            let values = list.value(0);
            let elements = (0..values.len()).map(|row| {
                let element = ScalarValue::try_from_array(&values, row).map_err(errors::translate)?;
                to_json(&element, item.as_ref(), style)
            });
            Ok(Json::Array(elements.collect::<Result<_, _>>()?))
        }
        ScalarValue::Struct(row) => of_row(row, style),
        other => {
            // Dates are written in one way, whatever DateStyle is.
            let dates = Dates::default();
            let written = value_text(other, TextStyle { dates, ..style })?;
            let data_type = other.data_type();
            let is_number = data_type.is_numeric() || data_type == NUMERIC;
            Ok(match data_type {
                _ if matches!(type_oid, oid::JSON | oid::JSONB) && other.try_as_str().is_some() => {
                    Json::parse(&written)?
                }
                _ if is_number && written.bytes().any(|byte| byte.is_ascii_alphabetic() && byte != b'e') => {
                    // NaN and Infinity are no numbers of JSON.
                    Json::String(written)
                }
                _ if is_number => Json::Number(written),
                DataType::Timestamp(_, zone) => Json::String(iso(&written, zone.is_some())),
                _ => Json::String(written),
            })
        }
    }
}

/// `2026-11-02 16:04:05+01` as `2026-11-02T16:04:05+01:00`.
fn iso(written: &str, with_zone: bool) -> String {
    let mut text = written.replacen(' ', "T", 1);
    let offset = text.rfind(['+', '-']).filter(|at| with_zone && text.len() - at == 3);
    if offset.is_some() {
        text.push_str(":00");
    }
    text
}

/// A row: fields that have no name of their own are f1, f2 and so on.
fn of_row(row: &StructArray, style: TextStyle) -> Result<Json, QueryError> {
    let fields = row.fields().iter().zip(row.columns()).enumerate();
    let members = fields.map(|(place, (field, column))| {
        let name = match field.name() == &format!("c{place}") {
            true => format!("f{}", place + 1),
            false => field.name().clone(),
        };
        let value = ScalarValue::try_from_array(column, 0).map_err(errors::translate)?;
        Ok((name, to_json(&value, Some(field), style)?))
    });
    Ok(Json::Object(members.collect::<Result<_, QueryError>>()?))
}

fn argument(args: &Args<'_>, place: usize) -> Result<Json, QueryError> {
    let env = args.env();
    to_json(args.value(place), env.fields.get(place), env.style)
}

/// The key that an argument gives.
fn key(args: &Args<'_>, place: usize) -> Result<String, QueryError> {
    if args.is_null(place) {
        return refuse(
            ErrorKind::InvalidParameterValue,
            format!("argument {}: key must not be null", place + 1),
        );
    }
    value_text(args.value(place), args.env().style)
}

fn members(args: &Args<'_>, function: &str) -> Result<Vec<(String, Json)>, QueryError> {
    if !args.len().is_multiple_of(2) {
        let error = QueryError::new(
            ErrorKind::InvalidParameterValue,
            "argument list must have even number of elements",
        );
        return Err(error.with_hint(format!(
            "The arguments of {function}() must consist of alternating keys and values."
        )));
    }
    (0..args.len())
        .step_by(2)
        .map(|place| Ok((key(args, place)?, argument(args, place + 1)?)))
        .collect()
}

/// `{"a" : 1, "b" : [1,2]}`, as `json_build_object` writes it.
fn spaced_object(members: &[(String, Json)]) -> String {
    let mut out = String::from("{");
    for (place, (name, value)) in members.iter().enumerate() {
        out.push_str(if place > 0 { ", " } else { "" });
        write_string(name, &mut out);
        out.push_str(" : ");
        out.push_str(&value.compact());
    }
    out.push('}');
    out
}

fn spaced_array(elements: &[Json], between: &str) -> String {
    let elements: Vec<String> = elements.iter().map(Json::compact).collect();
    format!("[{}]", elements.join(between))
}

fn all(args: &Args<'_>) -> Result<Vec<Json>, QueryError> {
    (0..args.len()).map(|place| argument(args, place)).collect()
}

/// Keys and values from one array of both in turn, or from two.
fn from_texts(args: &Args<'_>) -> Result<Vec<(String, Json)>, QueryError> {
    let value = |text: Option<String>| text.map_or(Json::Null, Json::String);
    let named = |name: Option<String>| match name {
        Some(name) => Ok(name),
        None => refuse(ErrorKind::NullValueNotAllowed, "null value not allowed for object key"),
    };
    let keys = args.texts(0);
    if args.len() > 1 {
        let values = args.texts(1);
        if keys.len() != values.len() {
            return refuse(ErrorKind::ArraySubscriptError, "mismatched array dimensions");
        }
        return keys
            .into_iter()
            .zip(values)
            .map(|(name, text)| Ok((named(name)?, value(text))))
            .collect();
    }
    if !keys.len().is_multiple_of(2) {
        return refuse(
            ErrorKind::ArraySubscriptError,
            "array must have even number of elements",
        );
    }
    keys.chunks(2)
        .map(|pair| Ok((named(pair[0].clone())?, value(pair[1].clone()))))
        .collect()
}

/// The values that an aggregate has collected, each as JSON.
fn collected(args: &Args<'_>, place: usize) -> Result<Vec<Json>, QueryError> {
    let texts = args.texts(place).into_iter();
    texts
        .map(|text| text.map_or(Ok(Json::Null), |text| Json::parse(&text)))
        .collect()
}

fn aggregate(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let elements = collected(args, 0)?;
    // Rows each have a line.
    let rows = elements
        .first()
        .is_some_and(|element| matches!(element, Json::Object(_)));
    Ok(text(spaced_array(&elements, if rows { ", \n " } else { ", " })))
}

fn aggregate_members(args: &Args<'_>) -> Result<Vec<(String, Json)>, QueryError> {
    let names = args.list(0).ok_or_else(|| {
        QueryError::new(
            ErrorKind::InvalidParameterValue,
            "keys of an object are collected in an array",
        )
    })?;
    let values = collected(args, 1)?;
    let names = (0..names.len()).map(|row| {
        let name = ScalarValue::try_from_array(&names, row).map_err(errors::translate)?;
        match name.is_null() {
            true => refuse(ErrorKind::InvalidParameterValue, "field name must not be null"),
            false => value_text(&name, args.env().style),
        }
    });
    names.zip(values).map(|(name, value)| Ok((name?, value))).collect()
}

const ANY: Kind = Kind::Any;
const TEXTS: Kind = Kind::ArrayOf(&Kind::Text);

fn jsonb(value: Json) -> ScalarValue {
    text(value.normalized().written())
}

fn compact(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(text(argument(args, 0)?.compact()))
}

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "array_to_json",
        description: "an array as JSON",
        example: "SELECT array_to_json(ARRAY[1, 2])",
        overloads: &[Overload::new(&[Kind::AnyArray], Kind::Json, compact)],
    },
    Entry {
        name: "json_build_array",
        description: "a JSON array of the arguments",
        example: "SELECT json_build_array(1, 'a', NULL)",
        overloads: &[
            Overload::new(&[ANY], Kind::Json, |args| Ok(text(spaced_array(&all(args)?, ", "))))
                .variadic()
                .with_nulls(),
        ],
    },
    Entry {
        name: "json_build_object",
        description: "a JSON object of names and values in turn",
        example: "SELECT json_build_object('a', 1, 'b', 'x')",
        overloads: &[Overload::new(&[ANY], Kind::Json, |args| {
            Ok(text(spaced_object(&members(args, "json_build_object")?)))
        })
        .variadic()
        .with_nulls()],
    },
    Entry {
        name: "json_object",
        description: "a JSON object of an array of names and values, or of two",
        example: "SELECT json_object('{a,1,b,2}')",
        overloads: &[
            Overload::new(&[TEXTS], Kind::Json, |args| Ok(text(spaced_object(&from_texts(args)?)))),
            Overload::new(&[TEXTS, TEXTS], Kind::Json, |args| {
                Ok(text(spaced_object(&from_texts(args)?)))
            }),
        ],
    },
    Entry {
        name: "json_of_array",
        description: "collected values as JSON: what json_agg gives",
        example: "SELECT json_agg(x) FROM (VALUES (1), (2)) AS t (x)",
        overloads: &[Overload::new(&[Kind::AnyArray], Kind::Json, aggregate)],
    },
    Entry {
        name: "json_of_pairs",
        description: "collected names and values as JSON: what json_object_agg gives",
        example: "SELECT json_object_agg(k, v) FROM (VALUES ('a', 1)) AS t (k, v)",
        overloads: &[Overload::new(&[Kind::AnyArray, Kind::AnyArray], Kind::Json, |args| {
            let inner = spaced_object(&aggregate_members(args)?);
            let inner = inner.trim_start_matches('{').trim_end_matches('}').to_string();
            Ok(text(format!("{{ {inner} }}")))
        })],
    },
    Entry {
        name: "json_row",
        description: "a row of names and values in turn, as JSON: what row_to_json gives for a table's row",
        example: "SELECT row_to_json(t) FROM (VALUES (1, 'a')) AS t (x, y)",
        overloads: &[Overload::new(&[ANY], Kind::Json, |args| {
            Ok(text(Json::Object(members(args, "json_row")?).compact()))
        })
        .variadic()
        .with_nulls()],
    },
    Entry {
        name: "jsonb_build_array",
        description: "a JSON array of the arguments",
        example: "SELECT jsonb_build_array(1, 'a', NULL)",
        overloads: &[
            Overload::new(&[ANY], Kind::Jsonb, |args| Ok(jsonb(Json::Array(all(args)?))))
                .variadic()
                .with_nulls(),
        ],
    },
    Entry {
        name: "jsonb_build_object",
        description: "a JSON object of names and values in turn",
        example: "SELECT jsonb_build_object('a', 1, 'b', 'x')",
        overloads: &[Overload::new(&[ANY], Kind::Jsonb, |args| {
            let members = members(args, "jsonb_build_object")?;
            Ok(jsonb(Json::Object(members)))
        })
        .variadic()
        .with_nulls()],
    },
    Entry {
        name: "jsonb_object",
        description: "a JSON object of an array of names and values, or of two",
        example: "SELECT jsonb_object('{a,1,b,2}')",
        overloads: &[
            Overload::new(&[TEXTS], Kind::Jsonb, |args| Ok(jsonb(Json::Object(from_texts(args)?)))),
            Overload::new(&[TEXTS, TEXTS], Kind::Jsonb, |args| {
                Ok(jsonb(Json::Object(from_texts(args)?)))
            }),
        ],
    },
    Entry {
        name: "jsonb_of_array",
        description: "collected values as JSON: what jsonb_agg gives",
        example: "SELECT jsonb_agg(x) FROM (VALUES (1), (2)) AS t (x)",
        overloads: &[Overload::new(&[Kind::AnyArray], Kind::Jsonb, |args| {
            Ok(jsonb(Json::Array(collected(args, 0)?)))
        })],
    },
    Entry {
        name: "jsonb_of_pairs",
        description: "collected names and values as JSON: what jsonb_object_agg gives",
        example: "SELECT jsonb_object_agg(k, v) FROM (VALUES ('a', 1)) AS t (k, v)",
        overloads: &[Overload::new(&[Kind::AnyArray, Kind::AnyArray], Kind::Jsonb, |args| {
            Ok(jsonb(Json::Object(by_name(aggregate_members(args)?))))
        })],
    },
    Entry {
        name: "row_to_json",
        description: "a row as JSON",
        example: "SELECT row_to_json(row(1, 'a'))",
        overloads: &[Overload::new(&[ANY], Kind::Json, compact)],
    },
    Entry {
        name: "to_json",
        description: "a value as JSON",
        example: "SELECT to_json('a \"quoted\" text'::text)",
        overloads: &[Overload::new(&[ANY], Kind::Json, compact)],
    },
    Entry {
        name: "to_jsonb",
        description: "a value as JSON",
        example: "SELECT to_jsonb(ARRAY[1, 2])",
        overloads: &[Overload::new(&[ANY], Kind::Jsonb, |args| Ok(jsonb(argument(args, 0)?)))],
    },
];
