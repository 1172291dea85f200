//! Functions of pg_catalog that depend on their arguments alone; `session_functions.rs` has the others. Rows are few where they are used, so each
//! is a closure from values to a value.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::cell::{self, Cell, Kind};
use super::{procedures, types};
pub(super) use crate::functions::strings::quote_identifier;
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

type Body = Arc<dyn Fn(&[ScalarValue]) -> Result<Cell> + Send + Sync>;

/// A function by name: two of one name are the same function to the planner.
pub(super) struct SystemFunction {
    name: &'static str,
    signature: Signature,
    returns: Kind,
    body: Body,
}

impl SystemFunction {
    pub(super) fn udf(
        name: &'static str,
        arities: &[usize],
        returns: Kind,
        body: impl Fn(&[ScalarValue]) -> Result<Cell> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let one_of = arities
            .iter()
            .map(|arity| match arity {
                0 => datafusion::logical_expr::TypeSignature::Nullary,
                arity => datafusion::logical_expr::TypeSignature::Any(*arity),
            })
            .collect();
        ScalarUDF::from(SystemFunction {
            name,
            signature: Signature::one_of(one_of, Volatility::Stable),
            returns,
            body: Arc::new(body),
        })
    }
}

impl fmt::Debug for SystemFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for SystemFunction {
    fn eq(&self, other: &SystemFunction) -> bool {
        self.name == other.name
    }
}

impl Eq for SystemFunction {}

impl Hash for SystemFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for SystemFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(cell::schema(&[("value", self.returns)]).field(0).data_type().clone())
    }

    /// Tells PostgreSQL's type, too: name, regclass.
    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(cell::field(self.name, self.returns)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = arguments
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { arguments.number_rows };
        let columns = arguments
            .args
            .iter()
            .map(|value| value.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let mut cells = Vec::with_capacity(rows);
        for row in 0..rows {
            let values = columns
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row))
                .collect::<Result<Vec<_>>>()?;
            cells.push(vec![(self.body)(&values)?]);
        }
        let array = cell::batch(&[("value", self.returns)], &cells)?.column(0).clone();
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

pub(super) fn text(values: &[ScalarValue], position: usize) -> Option<String> {
    let value = values.get(position).filter(|value| !value.is_null())?;
    match value.try_as_str() {
        Some(text) => text.map(str::to_owned),
        None => Some(value.to_string()),
    }
}

pub(super) fn number(values: &[ScalarValue], position: usize) -> Option<i64> {
    let value = values.get(position).filter(|value| !value.is_null())?;
    if let Some(text) = value.try_as_str() {
        return text?.trim().parse().ok();
    }
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

pub(super) fn oid(values: &[ScalarValue], position: usize) -> Option<u32> {
    number(values, position).and_then(|number| u32::try_from(number).ok())
}

pub(super) fn or_null<T: Into<Cell>>(value: Option<T>) -> Cell {
    value.map_or(Cell::Null, Into::into)
}

/// Functions that depend on nothing but their arguments.
pub(super) fn plain() -> Vec<ScalarUDF> {
    let mut functions = vec![
        SystemFunction::udf("format_type", &[2], Kind::Text, |values| {
            Ok(or_null(
                oid(values, 0).map(|oid| types::display(oid, number(values, 1).unwrap_or(-1))),
            ))
        }),
        SystemFunction::udf("pg_encoding_to_char", &[1], Kind::Name, |values| {
            Ok(if number(values, 0) == Some(6) { "UTF8" } else { "" }.into())
        }),
        SystemFunction::udf("pg_char_to_encoding", &[1], Kind::Int4, |values| {
            let is_utf8 = |name: &String| matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode");
            Ok(or_null(
                text(values, 0).map(|name| if is_utf8(&name) { 6_i64 } else { -1 }),
            ))
        }),
        // Default expressions are kept as text; there is nothing to decompile.
        SystemFunction::udf("pg_get_expr", &[2, 3], Kind::Text, |values| {
            Ok(or_null(text(values, 0)))
        }),
        SystemFunction::udf("array_out", &[1], Kind::Text, |values| {
            Ok(or_null(values.first().filter(|value| !value.is_null()).map(|value| {
                format!("{{{}}}", value.to_string().trim_matches(['[', ']']).replace(", ", ","))
            })))
        }),
        SystemFunction::udf("pg_size_pretty", &[1], Kind::Text, |values| {
            Ok(or_null(number(values, 0).map(size_pretty)))
        }),
        SystemFunction::udf("pg_size_bytes", &[1], Kind::Int8, |values| match text(values, 0) {
            Some(written) => Ok(size_bytes(&written).map_err(errors::wrap)?.into()),
            None => Ok(Cell::Null),
        }),
        SystemFunction::udf("parse_ident", &[1, 2], Kind::TextArray, |values| {
            match text(values, 0) {
                Some(written) => Ok(Cell::Texts(parse_identifier(&written).map_err(errors::wrap)?)),
                None => Ok(Cell::Null),
            }
        }),
        SystemFunction::udf("pg_get_function_arguments", &[1], Kind::Text, |values| {
            Ok(or_null(
                oid(values, 0)
                    .and_then(procedures::by_oid)
                    .map(procedures::Procedure::argument_list),
            ))
        }),
        SystemFunction::udf("pg_get_function_identity_arguments", &[1], Kind::Text, |values| {
            Ok(or_null(
                oid(values, 0)
                    .and_then(procedures::by_oid)
                    .map(procedures::Procedure::argument_list),
            ))
        }),
        SystemFunction::udf("pg_get_function_result", &[1], Kind::Text, |values| {
            Ok(or_null(
                oid(values, 0)
                    .and_then(procedures::by_oid)
                    .map(procedures::Procedure::result_type),
            ))
        }),
        SystemFunction::udf("pg_get_functiondef", &[1], Kind::Text, |values| {
            Ok(or_null(
                oid(values, 0)
                    .and_then(procedures::by_oid)
                    .map(procedures::Procedure::definition),
            ))
        }),
        // The first thing that pg_dump calls: its scripts have no words for supertables.
        SystemFunction::udf("acldefault", &[2], Kind::AclArray, |_| {
            Err(errors::wrap(
                QueryError::new(
                    ErrorKind::FeatureNotSupported,
                    "pg_dump cannot write a database of Taospg: its scripts have no words for supertables",
                )
                .with_hint("SHOW CREATE TABLE gives a definition, COPY (SELECT ...) TO STDOUT the rows"),
            ))
        }),
        SystemFunction::udf("pg_table_is_visible", &[1], Kind::Bool, |values| {
            // information_schema is not on the search path.
            Ok(or_null(oid(values, 0).map(|oid| {
                super::tables::by_oid(oid).is_none_or(|table| table.schema == "pg_catalog")
            })))
        }),
        SystemFunction::udf("getdatabaseencoding", &[0], Kind::Name, |_| Ok("UTF8".into())),
        SystemFunction::udf("pg_tablespace_location", &[1], Kind::Text, |_| Ok("".into())),
        SystemFunction::udf("pg_is_in_recovery", &[0], Kind::Bool, |_| Ok(false.into())),
        SystemFunction::udf("pg_relation_is_publishable", &[1], Kind::Bool, |_| Ok(false.into())),
        SystemFunction::udf("pg_advisory_unlock_all", &[0], Kind::Void, |_| Ok("".into())),
        SystemFunction::udf("like_escape", &[2], Kind::Text, |values| {
            match (text(values, 0), text(values, 1)) {
                (Some(pattern), Some(escape)) => Ok(like_escape(&pattern, &escape).map_err(errors::wrap)?.into()),
                _ => Ok(Cell::Null),
            }
        }),
        SystemFunction::udf("no_texts", &[0], Kind::TextArray, |_| Ok(Cell::Texts(Vec::new()))),
    ];
    // Indexes are not read as such, and there is no count of what is read from a table.
    for name in [
        "pg_stat_get_numscans",
        "pg_stat_get_tuples_fetched",
        "pg_stat_get_tuples_returned",
    ] {
        functions.push(SystemFunction::udf(name, &[1], Kind::Int8, |values| {
            Ok(or_null(oid(values, 0).map(|_| 0_i64)))
        }));
    }
    // Everything there is can be seen from every search path, by the one superuser.
    for name in [
        "pg_collation_is_visible",
        "pg_conversion_is_visible",
        "pg_function_is_visible",
        "pg_opclass_is_visible",
        "pg_operator_is_visible",
        "pg_opfamily_is_visible",
        "pg_statistics_obj_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
        "pg_ts_parser_is_visible",
        "pg_ts_template_is_visible",
        "pg_type_is_visible",
    ] {
        functions.push(SystemFunction::udf(name, &[1], Kind::Bool, |values| {
            Ok(or_null(oid(values, 0).map(|_| true)))
        }));
    }
    // Objects that carry no comments here, and definitions of what does not exist here.
    for (name, arities) in [
        ("shobj_description", &[2][..]),
        ("pg_get_function_arg_default", &[2]),
        ("pg_get_function_sqlbody", &[1]),
        ("pg_get_partition_constraintdef", &[1]),
        ("pg_get_serial_sequence", &[2]),
        ("pg_get_statisticsobjdef", &[1]),
        ("pg_get_statisticsobjdef_expressions", &[1]),
        ("pg_get_statisticsobjdef_columns", &[1]),
        ("pg_get_triggerdef", &[1, 2]),
        ("pg_get_ruledef", &[1, 2]),
    ] {
        functions.push(SystemFunction::udf(name, arities, Kind::Text, |_| Ok(Cell::Null)));
    }
    functions.extend(super::array_numbers::functions());
    functions.push(super::type_of::function());
    functions
}

/// A pattern of LIKE with another escape character, written with backslashes.
fn like_escape(pattern: &str, escape: &str) -> Result<String, QueryError> {
    let mut of_escape = escape.chars();
    let (escape, None) = (of_escape.next(), of_escape.next()) else {
        let error = QueryError::new(ErrorKind::InvalidEscapeSequence, "invalid escape string");
        return Err(error.with_hint("Escape string must be empty or one character."));
    };
    let mut written = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            written.push('\\');
            written.extend(characters.next());
        } else {
            if character == '\\' {
                written.push('\\');
            }
            written.push(character);
        }
    }
    Ok(written)
}

/// `8192 bytes`, `24 kB`: PostgreSQL changes the unit at ten of the next one, rounding.
fn size_pretty(bytes: i64) -> String {
    let mut value = bytes;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value.abs() < 10 * 1024 {
            return format!("{value} {unit}");
        }
        value = (value + 512) / 1024;
    }
    format!("{value} TB")
}

/// `10 MB` in bytes.
fn size_bytes(written: &str) -> Result<i64, QueryError> {
    let invalid = || {
        QueryError::new(ErrorKind::InvalidParameterValue, format!("invalid size: \"{written}\""))
            .with_hint("units are bytes, kB, MB, GB, TB and PB")
    };
    let trimmed = written.trim();
    let end = trimmed
        .find(|character: char| character.is_ascii_alphabetic())
        .unwrap_or(trimmed.len());
    let value: f64 = trimmed[..end].trim().parse().map_err(|_| invalid())?;
    let power = match trimmed[end..].to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 1,
        "mb" => 2,
        "gb" => 3,
        "tb" => 4,
        "pb" => 5,
        _ => return Err(invalid()),
    };
    let bytes = (value * 1024_f64.powi(power)).round();
    // 2^63 is the first that a bigint cannot hold.
    if bytes.abs() >= 9.223372036854776e18 {
        return Err(QueryError::new(
            ErrorKind::NumericValueOutOfRange,
            "bigint out of range",
        ));
    }
    Ok(bytes as i64)
}

/// The parts of a qualified name: `public."My table"` is `{public,"My table"}`.
fn parse_identifier(written: &str) -> Result<Vec<String>, QueryError> {
    let invalid = || {
        QueryError::new(
            ErrorKind::InvalidParameterValue,
            format!("string is not a valid identifier: \"{written}\""),
        )
    };
    let mut parts = Vec::new();
    let mut rest = written.trim();
    loop {
        let part = if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut characters = quoted.char_indices().peekable();
            let end = loop {
                match characters.next() {
                    None => return Err(invalid()),
                    Some((_, '"')) if characters.next_if(|(_, next)| *next == '"').is_some() => name.push('"'),
                    Some((at, '"')) => break at + 1,
                    Some((_, character)) => name.push(character),
                }
            };
            rest = &quoted[end..];
            name
        } else {
            let is_part = |character: char| character.is_alphanumeric() || matches!(character, '_' | '$');
            let end = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
            let name = rest[..end].to_lowercase();
            rest = &rest[end..];
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(invalid());
            }
            name
        };
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

/// Names of all functions of this folder.
pub(super) fn names() -> Vec<String> {
    let own = plain().into_iter().map(|function| function.name().to_owned());
    own.chain(super::session_functions::names()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let parts = |written| parse_identifier(written).ok();
        assert_eq!(parts("Meters"), Some(vec!["meters".to_owned()]));
        assert_eq!(
            parts("public.\"My \"\"x\"\" . y\""),
            Some(vec!["public".to_owned(), "My \"x\" . y".to_owned()])
        );
        assert_eq!(parts("a b"), None);
        assert_eq!(parts("1a"), None);
        assert_eq!(parts("a."), None);
        assert_eq!(parts("\"a"), None);
    }

    #[test]
    fn patterns_are_escaped_with_backslashes() {
        let escaped = |pattern, escape| like_escape(pattern, escape).ok();
        assert_eq!(escaped("pg/_a//b%", "/"), Some("pg\\_a\\/b%".to_owned()));
        assert_eq!(escaped("a\\_", ""), Some("a\\\\_".to_owned()));
        assert_eq!(escaped("a", "//"), None);
    }

    #[test]
    fn sizes_are_read_and_printed() {
        assert_eq!(size_bytes("1.5 kB").ok(), Some(1536));
        assert_eq!(size_bytes("10").ok(), Some(10));
        assert!(size_bytes("ten").is_err());
        assert!(size_bytes("9e9 TB").is_err());
        assert_eq!(size_pretty(10 * 1024), "10 kB");
    }
}
