//! Arguments of TimescaleDB's functions: by place or by name, as text, as a dimension, as a moment.

use datafusion::sql::sqlparser::ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments};

use crate::ddl::literal;
use crate::ingest::copy::folded;
use crate::statement::{HypertableCall, Place, TableName};
use crate::{ErrorKind, QueryError};

pub(super) struct Arguments<'a> {
    function: &'static str,
    /// With the parameters' names.
    given: Vec<(&'a str, &'a Expr)>,
}

/// A column that a table is divided by.
#[derive(Debug, PartialEq)]
pub(super) struct Dimension {
    pub column: String,
    /// `by_hash`: it tells series apart.
    pub hashed: bool,
}

/// Parameters in their order; those after `|` are known by name alone.
fn parameters(function: &str) -> &'static [&'static str] {
    match function {
        "create_hypertable" | "create_distributed_hypertable" => &[
            "relation",
            "time_column_name",
            "partitioning_column",
            "number_partitions",
            "associated_schema_name",
            "associated_table_prefix",
            "chunk_time_interval",
            "create_default_indexes",
            "if_not_exists",
            "partitioning_func",
            "migrate_data",
            "chunk_target_size",
            "chunk_sizing_func",
            "time_partitioning_func",
            "replication_factor",
            "data_nodes",
            "distributed",
        ],
        "add_dimension" => &[
            "hypertable",
            "column_name",
            "number_partitions",
            "chunk_time_interval",
            "partitioning_func",
            "if_not_exists",
        ],
        "set_chunk_time_interval" => &["hypertable", "chunk_time_interval", "dimension_name"],
        "set_integer_now_func" => &["hypertable", "integer_now_func", "replace_if_exists"],
        "show_chunks" | "drop_chunks" => &[
            "relation",
            "older_than",
            "newer_than",
            "verbose",
            "created_before",
            "created_after",
        ],
        "add_retention_policy" => &[
            "relation",
            "drop_after",
            "if_not_exists",
            "schedule_interval",
            "initial_start",
            "timezone",
            "drop_created_before",
        ],
        "add_reorder_policy" => &["hypertable", "index_name", "if_not_exists", "initial_start", "timezone"],
        "add_compression_policy" | "add_columnstore_policy" => &[
            "hypertable",
            "compress_after",
            "if_not_exists",
            "schedule_interval",
            "initial_start",
            "timezone",
            "compress_created_before",
            "after",
            "created_before",
        ],
        _ => &["relation", "if_exists", "if_compressed", "if_not_compressed"],
    }
}

/// Other names of the first parameter and of a dimension, as versions of TimescaleDB have them.
fn canonical(function: &str, name: &str) -> String {
    match (parameters(function)[0], name) {
        (first, "relation" | "main_table" | "hypertable" | "chunk" | "uncompressed_chunk") => first.to_string(),
        (_, "dimension") if function == "add_dimension" => "column_name".into(),
        (_, "dimension") => "time_column_name".into(),
        _ => name.to_string(),
    }
}

impl<'a> Arguments<'a> {
    pub fn new(call: &'a HypertableCall) -> Result<Arguments<'a>, QueryError> {
        let known = parameters(call.function);
        let mut given: Vec<(&str, &Expr)> = Vec::new();
        for (place, (name, value)) in call.arguments.iter().enumerate() {
            let parameter = match name {
                None => known.get(place).copied(),
                Some(name) => {
                    let name = canonical(call.function, name);
                    known.iter().find(|known| **known == name).copied()
                }
            };
            let Some(parameter) = parameter else {
                let what = name.clone().unwrap_or_else(|| format!("number {}", place + 1));
                let message = format!("function {} has no argument {what}", call.function);
                return Err(QueryError::new(ErrorKind::UndefinedFunction, message));
            };
            if given.iter().any(|(other, _)| *other == parameter) {
                let message = format!("argument name \"{parameter}\" used more than once");
                return Err(QueryError::new(ErrorKind::SyntaxError, message));
            }
            given.push((parameter, value));
        }
        Ok(Arguments {
            function: call.function,
            given,
        })
    }

    /// The argument; `None` when it is not given or null.
    pub fn get(&self, parameter: &str) -> Option<&'a Expr> {
        let (_, value) = self.given.iter().find(|(name, _)| *name == parameter)?;
        Some(*value).filter(|value| !is_null(value))
    }

    /// The text of the parameter at this place.
    pub fn text(&self, place: usize) -> Option<String> {
        self.get(parameters(self.function).get(place)?).and_then(text)
    }

    pub fn flag(&self, parameter: &str) -> bool {
        self.get(parameter)
            .and_then(text)
            .is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "t" | "on" | "1"))
    }

    /// The table that is meant: a name as regclass reads it.
    pub fn table(&self) -> Result<TableName, QueryError> {
        let Some(name) = self.text(0) else {
            let message = format!("function {} needs the name of a table", self.function);
            return Err(QueryError::new(ErrorKind::NullValueNotAllowed, message));
        };
        let mut parts = parts_of(&name);
        parts.reverse();
        let mut parts = parts.into_iter();
        Ok(TableName {
            name: parts.next().unwrap_or_default(),
            schema: parts.next(),
            database: parts.next(),
            place: Place::Character(1),
        })
    }

    /// A column's name, `by_range('ts')` or `by_hash('device', 4)`.
    pub fn dimension(&self, parameter: &str) -> Result<Option<Dimension>, QueryError> {
        let Some(value) = self.get(parameter) else {
            return Ok(None);
        };
        let broken = || {
            let message = format!("argument {parameter} of {} must name a column", self.function);
            QueryError::new(ErrorKind::InvalidParameterValue, message)
        };
        let Expr::Function(function) = value else {
            let column = text(value).ok_or_else(broken)?;
            return Ok(Some(Dimension { column, hashed: false }));
        };
        let name = function.name.0.last().and_then(|part| part.as_ident()).map(folded);
        let hashed = match name.as_deref() {
            Some("by_hash") => true,
            Some("by_range") => false,
            _ => return Err(broken()),
        };
        let FunctionArguments::List(list) = &function.args else {
            return Err(broken());
        };
        let column = list.args.first().and_then(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named {
                arg: FunctionArgExpr::Expr(expr),
                ..
            } => text(expr),
            _ => None,
        });
        let column = column.ok_or_else(broken)?;
        Ok(Some(Dimension { column, hashed }))
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, ast::Value::Null),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_null(expr),
        _ => false,
    }
}

/// What a literal says, cast or not.
fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => text(expr),
        Expr::TypedString(typed) => typed.value.value.clone().into_string(),
        Expr::Interval(interval) => text(&interval.value),
        other => literal(other)?.text(),
    }
}

/// `public."My table"`: its parts, folded where they are not quoted.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    let mut characters = name.trim().chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            character if quoted => part.push(character),
            character => part.extend(character.to_lowercase()),
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_are_folded_unless_quoted() {
        assert_eq!(parts_of("Meters"), ["meters"]);
        assert_eq!(parts_of("public.\"My.\"\"table\""), ["public", "My.\"table"]);
    }
}
