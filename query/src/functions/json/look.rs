//! Looking into JSON: `->`, `->>`, `#>`, `#>>`, `@>`, `?`, what kind a value is, and its parts as lists for FROM.

use datafusion::common::ScalarValue;

use super::Json;
use crate::functions::signature::{Args, Entry, Kind, Overload, boolean, int4, list, refuse, text, texts};
use crate::{ErrorKind, QueryError};
use arrow::datatypes::DataType;

const PATH: Kind = Kind::ArrayOf(&Kind::Text);

/// The value of the first argument.
fn parsed(args: &Args<'_>) -> Result<Json, QueryError> {
    Json::parse(args.text(0))
}

fn json_or_null(found: Option<&Json>) -> ScalarValue {
    ScalarValue::Utf8View(found.map(Json::written))
}

fn text_or_null(found: Option<&Json>) -> ScalarValue {
    ScalarValue::Utf8View(found.and_then(Json::text))
}

/// What a path leads to; a NULL among its steps leads nowhere.
fn follow<'a>(value: &'a Json, steps: &[Option<String>]) -> Option<&'a Json> {
    steps
        .iter()
        .try_fold(value, |value, step| step.as_deref().and_then(|step| value.step(step)))
}

/// The steps that variadic arguments name.
fn steps(args: &Args<'_>) -> Vec<Option<String>> {
    (1..args.len())
        .map(|place| (!args.is_null(place)).then(|| args.text(place).to_string()))
        .collect()
}

fn has_key(value: &Json, key: &str) -> bool {
    match value {
        Json::Object(_) => value.field(key).is_some(),
        Json::Array(elements) => elements
            .iter()
            .any(|element| matches!(element, Json::String(own) if own == key)),
        Json::String(own) => own == key,
        _ => false,
    }
}

fn length(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    match parsed(args)? {
        Json::Array(elements) => int4(elements.len() as i64),
        Json::Object(_) => refuse(
            ErrorKind::InvalidParameterValue,
            "cannot get array length of a non-array",
        ),
        _ => refuse(ErrorKind::InvalidParameterValue, "cannot get array length of a scalar"),
    }
}

fn elements(args: &Args<'_>) -> Result<Vec<Json>, QueryError> {
    match parsed(args)? {
        Json::Array(elements) => Ok(elements),
        Json::Object(_) => refuse(
            ErrorKind::InvalidParameterValue,
            "cannot extract elements from an object",
        ),
        _ => refuse(
            ErrorKind::InvalidParameterValue,
            "cannot extract elements from a scalar",
        ),
    }
}

fn fields(args: &Args<'_>, doing: &str) -> Result<Vec<(String, Json)>, QueryError> {
    match parsed(args)? {
        Json::Object(fields) => Ok(fields),
        Json::Array(_) => refuse(
            ErrorKind::InvalidParameterValue,
            format!("cannot call {doing} on an array"),
        ),
        _ => refuse(
            ErrorKind::InvalidParameterValue,
            format!("cannot call {doing} on a scalar"),
        ),
    }
}

fn list_of_json(values: &[Json]) -> ScalarValue {
    let values = values.iter().map(|value| text(value.written())).collect();
    list(values, &DataType::Utf8View)
}

pub fn get(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(json_or_null(parsed(args)?.field(args.text(1))))
}

/// One place after the other.
pub fn get_elements(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let places: Vec<Option<String>> = (1..args.len()).map(|place| Some(args.int(place).to_string())).collect();
    Ok(json_or_null(follow(&parsed(args)?, &places)))
}

pub fn get_element(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(json_or_null(parsed(args)?.element(args.int(1))))
}

fn get_path(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(json_or_null(follow(&parsed(args)?, &args.texts(1))))
}

fn extract_path(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(json_or_null(follow(&parsed(args)?, &steps(args))))
}

fn extract_path_text(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(text_or_null(follow(&parsed(args)?, &steps(args))))
}

fn type_of(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(text(parsed(args)?.kind()))
}

fn element_list(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(list_of_json(&elements(args)?))
}

fn element_texts(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(texts(elements(args)?.iter().map(Json::text)))
}

fn keys(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let fields = fields(args, "jsonb_object_keys")?;
    Ok(texts(fields.into_iter().map(|(name, _)| Some(name))))
}

fn each_key(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let fields = fields(args, "jsonb_each")?;
    Ok(texts(fields.into_iter().map(|(name, _)| Some(name))))
}

fn each_value(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let values: Vec<Json> = fields(args, "jsonb_each")?
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    Ok(list_of_json(&values))
}

fn each_text(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let fields = fields(args, "jsonb_each_text")?;
    Ok(texts(fields.into_iter().map(|(_, value)| value.text())))
}

const JSON: Kind = Kind::Json;
const JSONB: Kind = Kind::Jsonb;
const TEXT: Kind = Kind::Text;

/// Names of the functions behind operators: none that a user could take for their own.
pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "json_get",
        description: "an element of a JSON value, as JSON: what -> gives",
        example: "SELECT '{\"a\": 1}'::jsonb -> 'a'",
        overloads: &[
            Overload::new(&[JSONB, TEXT], Kind::As(0), get),
            Overload::new(&[JSONB, Kind::Int4], Kind::As(0), get_element),
        ],
    },
    Entry {
        name: "json_get_text",
        description: "an element of a JSON value, as text: what ->> gives",
        example: "SELECT '{\"a\": 1}'::jsonb ->> 'a'",
        overloads: &[
            Overload::new(&[JSONB, TEXT], TEXT, |args| {
                Ok(text_or_null(parsed(args)?.field(args.text(1))))
            }),
            Overload::new(&[JSONB, Kind::Int4], TEXT, |args| {
                Ok(text_or_null(parsed(args)?.element(args.int(1))))
            }),
        ],
    },
    Entry {
        name: "json_get_path",
        description: "an element at a path of a JSON value, as JSON: what #> gives",
        example: "SELECT '{\"a\": [1]}'::jsonb #> '{a,0}'",
        overloads: &[Overload::new(&[JSONB, PATH], Kind::As(0), get_path)],
    },
    Entry {
        name: "json_get_path_text",
        description: "an element at a path of a JSON value, as text: what #>> gives",
        example: "SELECT '{\"a\": [1]}'::jsonb #>> '{a,0}'",
        overloads: &[Overload::new(&[JSONB, PATH], TEXT, |args| {
            Ok(text_or_null(follow(&parsed(args)?, &args.texts(1))))
        })],
    },
    Entry {
        name: "jsonb_contains",
        description: "whether a JSON value contains another: what @> gives",
        example: "SELECT '[1, 2]'::jsonb @> '[1]'",
        overloads: &[Overload::new(&[JSONB, JSONB], Kind::Bool, |args| {
            Ok(boolean(parsed(args)?.contains(&Json::parse(args.text(1))?)))
        })],
    },
    Entry {
        name: "jsonb_eq",
        description: "whether two JSON values are equal, however they are written: what = gives",
        example: "SELECT '{\"a\": 1.0}'::jsonb = '{\"a\":1}'",
        overloads: &[Overload::new(&[JSONB, JSONB], Kind::Bool, |args| {
            let right = Json::parse(args.text(1))?.normalized();
            Ok(boolean(parsed(args)?.normalized() == right))
        })],
    },
    Entry {
        name: "jsonb_exists",
        description: "whether a JSON object has a key: what ? gives",
        example: "SELECT '{\"a\": 1}'::jsonb ? 'a'",
        overloads: &[Overload::new(&[JSONB, TEXT], Kind::Bool, |args| {
            Ok(boolean(has_key(&parsed(args)?, args.text(1))))
        })],
    },
    Entry {
        name: "jsonb_exists_all",
        description: "whether a JSON object has all keys: what ?& gives",
        example: "SELECT '{\"a\": 1}'::jsonb ?& ARRAY['a', 'b']",
        overloads: &[Overload::new(&[JSONB, PATH], Kind::Bool, |args| {
            let value = parsed(args)?;
            let keys = args.texts(1);
            Ok(boolean(keys.iter().flatten().all(|key| has_key(&value, key))))
        })],
    },
    Entry {
        name: "jsonb_exists_any",
        description: "whether a JSON object has one of the keys: what ?| gives",
        example: "SELECT '{\"a\": 1}'::jsonb ?| ARRAY['a', 'b']",
        overloads: &[Overload::new(&[JSONB, PATH], Kind::Bool, |args| {
            let value = parsed(args)?;
            let keys = args.texts(1);
            Ok(boolean(keys.iter().flatten().any(|key| has_key(&value, key))))
        })],
    },
    Entry {
        name: "jsonb_typeof",
        description: "what kind of JSON value it is",
        example: "SELECT jsonb_typeof('[1, 2]')",
        overloads: &[Overload::new(&[JSONB], TEXT, type_of)],
    },
    Entry {
        name: "json_typeof",
        description: "what kind of JSON value it is",
        example: "SELECT json_typeof('[1, 2]')",
        overloads: &[Overload::new(&[JSON], TEXT, type_of)],
    },
    Entry {
        name: "jsonb_array_length",
        description: "how many elements a JSON array has",
        example: "SELECT jsonb_array_length('[1, 2]')",
        overloads: &[Overload::new(&[JSONB], Kind::Int4, length)],
    },
    Entry {
        name: "json_array_length",
        description: "how many elements a JSON array has",
        example: "SELECT json_array_length('[1, 2]')",
        overloads: &[Overload::new(&[JSON], Kind::Int4, length)],
    },
    Entry {
        name: "jsonb_extract_path",
        description: "what a path of names and places leads to, as JSON",
        example: "SELECT jsonb_extract_path('{\"a\": {\"b\": 1}}', 'a', 'b')",
        overloads: &[Overload::new(&[JSONB, TEXT], JSONB, extract_path).variadic()],
    },
    Entry {
        name: "json_extract_path",
        description: "what a path of names and places leads to, as JSON",
        example: "SELECT json_extract_path('{\"a\": {\"b\": 1}}', 'a', 'b')",
        overloads: &[Overload::new(&[JSON, TEXT], JSON, extract_path).variadic()],
    },
    Entry {
        name: "jsonb_extract_path_text",
        description: "what a path of names and places leads to, as text",
        example: "SELECT jsonb_extract_path_text('{\"a\": {\"b\": 1}}', 'a', 'b')",
        overloads: &[Overload::new(&[JSONB, TEXT], TEXT, extract_path_text).variadic()],
    },
    Entry {
        name: "json_extract_path_text",
        description: "what a path of names and places leads to, as text",
        example: "SELECT json_extract_path_text('{\"a\": {\"b\": 1}}', 'a', 'b')",
        overloads: &[Overload::new(&[JSON, TEXT], TEXT, extract_path_text).variadic()],
    },
];

/// Functions that give rows, as lists: `functions/sets.rs` makes rows of them.
pub const LISTS: &[Entry] = &[
    Entry {
        name: "jsonb_array_elements_list",
        description: "the elements of a JSON array",
        example: "SELECT * FROM jsonb_array_elements('[1, 2]')",
        overloads: &[Overload::new(&[JSONB], Kind::ArrayOf(&JSONB), element_list)],
    },
    Entry {
        name: "json_array_elements_list",
        description: "the elements of a JSON array",
        example: "SELECT * FROM json_array_elements('[1, 2]')",
        overloads: &[Overload::new(&[JSON], Kind::ArrayOf(&JSON), element_list)],
    },
    Entry {
        name: "jsonb_array_elements_text_list",
        description: "the elements of a JSON array, as text",
        example: "SELECT * FROM jsonb_array_elements_text('[1, 2]')",
        overloads: &[Overload::new(&[JSONB], Kind::ArrayOf(&TEXT), element_texts)],
    },
    Entry {
        name: "jsonb_object_keys_list",
        description: "the names of the fields of a JSON object",
        example: "SELECT * FROM jsonb_object_keys('{\"a\": 1}')",
        overloads: &[Overload::new(&[JSONB], Kind::ArrayOf(&TEXT), keys)],
    },
    Entry {
        name: "jsonb_each_key_list",
        description: "the names of the fields of a JSON object",
        example: "SELECT key FROM jsonb_each('{\"a\": 1}')",
        overloads: &[Overload::new(&[JSONB], Kind::ArrayOf(&TEXT), each_key)],
    },
    Entry {
        name: "jsonb_each_value_list",
        description: "the values of the fields of a JSON object",
        example: "SELECT value FROM jsonb_each('{\"a\": 1}')",
        overloads: &[Overload::new(&[JSONB], Kind::ArrayOf(&JSONB), each_value)],
    },
    Entry {
        name: "json_each_value_list",
        description: "the values of the fields of a JSON object",
        example: "SELECT value FROM json_each('{\"a\": 1}')",
        overloads: &[Overload::new(&[JSON], Kind::ArrayOf(&JSON), each_value)],
    },
    Entry {
        name: "jsonb_each_text_list",
        description: "the values of the fields of a JSON object, as text",
        example: "SELECT value FROM jsonb_each_text('{\"a\": 1}')",
        overloads: &[Overload::new(&[JSONB], Kind::ArrayOf(&TEXT), each_text)],
    },
];
