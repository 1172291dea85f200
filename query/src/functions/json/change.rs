//! Changing JSON: `||`, `-`, `#-`, jsonb_set, jsonb_insert, jsonb_strip_nulls, jsonb_pretty. Results are as `jsonb` keeps them.

use datafusion::common::ScalarValue;

use super::Json;
use super::value::{at, by_name};
use crate::functions::signature::{Args, Entry, Kind, Overload, refuse, text};
use crate::{ErrorKind, QueryError};

const PATH: Kind = Kind::ArrayOf(&Kind::Text);
const JSONB: Kind = Kind::Jsonb;

fn value(args: &Args<'_>, place: usize) -> Result<Json, QueryError> {
    Ok(Json::parse(args.text(place))?.normalized())
}

/// Objects are merged, everything else becomes one array.
fn concatenated(left: Json, right: Json) -> Json {
    match (left, right) {
        (Json::Object(mut left), Json::Object(right)) => {
            left.extend(right);
            Json::Object(by_name(left))
        }
        (left, right) => {
            let elements = |value: Json| match value {
                Json::Array(elements) => elements,
                other => vec![other],
            };
            let mut all = elements(left);
            all.extend(elements(right));
            Json::Array(all)
        }
    }
}

fn without_key(value: Json, key: &str) -> Result<Json, QueryError> {
    match value {
        Json::Object(mut fields) => {
            fields.retain(|(name, _)| name != key);
            Ok(Json::Object(fields))
        }
        Json::Array(mut elements) => {
            elements.retain(|element| !matches!(element, Json::String(own) if own == key));
            Ok(Json::Array(elements))
        }
        _ => refuse(ErrorKind::InvalidParameterValue, "cannot delete from scalar"),
    }
}

fn without_element(value: Json, place: i64) -> Result<Json, QueryError> {
    match value {
        Json::Array(mut elements) => {
            if let Some(place) = at(place, elements.len()) {
                elements.remove(place);
            }
            Ok(Json::Array(elements))
        }
        Json::Object(_) => refuse(
            ErrorKind::InvalidParameterValue,
            "cannot delete from object using integer index",
        ),
        _ => refuse(ErrorKind::InvalidParameterValue, "cannot delete from scalar"),
    }
}

/// What happens at the end of a path.
enum Change<'a> {
    Remove,
    Set { value: &'a Json, create: bool },
    Insert { value: &'a Json, after: bool },
}

fn changed(value: &mut Json, path: &[String], change: &Change<'_>) -> Result<(), QueryError> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(());
    };
    match value {
        Json::Object(fields) => {
            let found = fields.iter().position(|(name, _)| name == step);
            match (found, rest.is_empty()) {
                (Some(place), false) => return changed(&mut fields[place].1, rest, change),
                (None, false) => {}
                (Some(place), true) => match change {
                    Change::Remove => {
                        fields.remove(place);
                    }
                    Change::Set { value, .. } => fields[place].1 = (*value).clone(),
                    Change::Insert { .. } => {
                        return refuse(ErrorKind::InvalidParameterValue, "cannot replace existing key").map_err(
                            |error: QueryError| {
                                error.with_hint("Try using the function jsonb_set to replace key value.")
                            },
                        );
                    }
                },
                (None, true) => match change {
                    Change::Set { value, create: true } | Change::Insert { value, .. } => {
                        fields.push((step.clone(), (*value).clone()));
                        *fields = by_name(std::mem::take(fields));
                    }
                    _ => {}
                },
            }
        }
        Json::Array(elements) => {
            let Ok(number) = step.parse::<i64>() else {
                let message = format!("path element at position 1 is not an integer: \"{step}\"");
                return refuse(ErrorKind::InvalidTextRepresentation, message);
            };
            let found = at(number, elements.len());
            match (found, rest.is_empty()) {
                (Some(place), false) => return changed(&mut elements[place], rest, change),
                (None, false) => {}
                (Some(place), true) => match change {
                    Change::Remove => {
                        elements.remove(place);
                    }
                    Change::Set { value, .. } => elements[place] = (*value).clone(),
                    Change::Insert { value, after } => {
                        elements.insert(place + usize::from(*after), (*value).clone());
                    }
                },
                (None, true) => match change {
                    Change::Set { value, create: true } | Change::Insert { value, .. } => match number < 0 {
                        true => elements.insert(0, (*value).clone()),
                        false => elements.push((*value).clone()),
                    },
                    _ => {}
                },
            }
        }
        _ => {}
    }
    Ok(())
}

fn at_path(args: &Args<'_>, change: &Change<'_>) -> Result<ScalarValue, QueryError> {
    let mut target = value(args, 0)?;
    let path: Vec<String> = args.texts(1).into_iter().flatten().collect();
    if !matches!(target, Json::Array(_) | Json::Object(_)) {
        let doing = match change {
            Change::Remove => "cannot delete path in scalar",
            _ => "cannot set path in scalar",
        };
        return refuse(ErrorKind::InvalidParameterValue, doing);
    }
    changed(&mut target, &path, change)?;
    Ok(text(target.written()))
}

fn set(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let new = value(args, 2)?;
    let create = args.len() < 4 || args.bool(3);
    at_path(args, &Change::Set { value: &new, create })
}

fn insert(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let new = value(args, 2)?;
    let after = args.len() > 3 && args.bool(3);
    at_path(args, &Change::Insert { value: &new, after })
}

fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(fields) => Json::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !matches!(value, Json::Null))
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Json::Array(elements) => Json::Array(elements.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "jsonb_concat",
        description: "two JSON values in one: what || gives",
        example: "SELECT '{\"a\": 1}'::jsonb || '{\"b\": 2}'::jsonb",
        overloads: &[Overload::new(&[JSONB, JSONB], JSONB, |args| {
            Ok(text(concatenated(value(args, 0)?, value(args, 1)?).written()))
        })],
    },
    Entry {
        name: "jsonb_delete",
        description: "a JSON value without a key or an element: what - gives",
        example: "SELECT '{\"a\": 1, \"b\": 2}'::jsonb - 'a'",
        overloads: &[
            Overload::new(&[JSONB, Kind::Text], JSONB, |args| {
                Ok(text(without_key(value(args, 0)?, args.text(1))?.written()))
            }),
            Overload::new(&[JSONB, Kind::Int4], JSONB, |args| {
                Ok(text(without_element(value(args, 0)?, args.int(1))?.written()))
            }),
            Overload::new(&[JSONB, PATH], JSONB, |args| {
                let keys = args.texts(1);
                let left = keys
                    .iter()
                    .flatten()
                    .try_fold(value(args, 0)?, |value, key| without_key(value, key))?;
                Ok(text(left.written()))
            }),
        ],
    },
    Entry {
        name: "jsonb_delete_path",
        description: "a JSON value without what a path leads to: what #- gives",
        example: "SELECT '{\"a\": [1, 2]}'::jsonb #- '{a,0}'",
        overloads: &[Overload::new(&[JSONB, PATH], JSONB, |args| {
            at_path(args, &Change::Remove)
        })],
    },
    Entry {
        name: "jsonb_insert",
        description: "a JSON value with another put in at a path",
        example: "SELECT jsonb_insert('{\"a\": [0, 2]}', '{a,1}', '1')",
        overloads: &[
            Overload::new(&[JSONB, PATH, JSONB], JSONB, insert),
            Overload::new(&[JSONB, PATH, JSONB, Kind::Bool], JSONB, insert),
        ],
    },
    Entry {
        name: "jsonb_pretty",
        description: "a JSON value as indented text",
        example: "SELECT jsonb_pretty('{\"a\": [1, 2]}')",
        overloads: &[Overload::new(&[JSONB], Kind::Text, |args| {
            Ok(text(value(args, 0)?.pretty()))
        })],
    },
    Entry {
        name: "jsonb_set",
        description: "a JSON value with another in place of what a path leads to",
        example: "SELECT jsonb_set('{\"a\": 1}', '{a}', '2')",
        overloads: &[
            Overload::new(&[JSONB, PATH, JSONB], JSONB, set),
            Overload::new(&[JSONB, PATH, JSONB, Kind::Bool], JSONB, set),
        ],
    },
    Entry {
        name: "jsonb_strip_nulls",
        description: "a JSON value without the fields that are null",
        example: "SELECT jsonb_strip_nulls('{\"a\": 1, \"b\": null}')",
        overloads: &[Overload::new(&[JSONB], JSONB, |args| {
            Ok(text(without_nulls(value(args, 0)?).written()))
        })],
    },
    Entry {
        name: "json_strip_nulls",
        description: "a JSON value without the fields that are null",
        example: "SELECT json_strip_nulls('{\"a\": 1, \"b\": null}')",
        overloads: &[Overload::new(&[Kind::Json], Kind::Json, |args| {
            Ok(text(without_nulls(Json::parse(args.text(0))?).compact()))
        })],
    },
];
