//! DataFusion's errors in PostgreSQL's words. Nothing internal reaches a client: what is not recognised becomes a short internal error and a log line.

mod operands;

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};

use super::names::{is_renamed, shown};
use crate::functions::signature;
use crate::{ErrorKind, QueryError};

/// What a failed plan or execution means to the client.
pub fn translate(error: DataFusionError) -> QueryError {
    match error {
        DataFusionError::External(source) => external(source),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => translate(*inner),
        DataFusionError::Shared(shared) => shared_error(&shared),
        DataFusionError::Collection(mut errors) if !errors.is_empty() => translate(errors.swap_remove(0)),
        DataFusionError::ArrowError(error, _) => arrow(*error),
        DataFusionError::SchemaError(error, _) => schema(&error),
        DataFusionError::ResourcesExhausted(problem) => {
            QueryError::new(ErrorKind::OutOfMemory, "out of memory for this query")
                .with_detail(first_line(&problem))
                .with_hint("narrow the query, or raise query_memory_bytes")
        }
        DataFusionError::NotImplemented(problem) => unsupported(&problem),
        DataFusionError::Plan(problem) | DataFusionError::Configuration(problem) => planning(&problem),
        DataFusionError::Execution(problem) => execution(&problem),
        DataFusionError::SQL(error, _) => {
            QueryError::new(ErrorKind::SyntaxError, lower(&first_line(&error.to_string())))
        }
        DataFusionError::IoError(error) => {
            QueryError::new(ErrorKind::IoError, format!("cannot spill to disk: {error}"))
        }
        other => internal(&other.strip_backtrace()),
    }
}

/// Wraps an error of ours for its way through DataFusion.
pub fn wrap(error: impl Into<QueryError>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}

fn external(source: Box<dyn std::error::Error + Send + Sync>) -> QueryError {
    let source = match source.downcast::<QueryError>() {
        Ok(error) => return *error,
        Err(other) => other,
    };
    match source.downcast::<DataFusionError>() {
        Ok(error) => translate(*error),
        Err(other) => match other.downcast::<ArrowError>() {
            Ok(error) => arrow(*error),
            Err(other) => internal(&other.to_string()),
        },
    }
}

/// As [`translate`] where the error has several owners.
fn shared_error(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::External(source) => match source.downcast_ref::<QueryError>() {
            Some(error) => error.clone(),
            None => match source.downcast_ref::<DataFusionError>() {
                Some(error) => shared_error(error),
                None => internal(&source.to_string()),
            },
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => shared_error(inner),
        DataFusionError::Shared(inner) => shared_error(inner),
        DataFusionError::ArrowError(error, _) => arrow_text(error),
        DataFusionError::SchemaError(error, _) => schema(error),
        DataFusionError::ResourcesExhausted(problem) => translate(DataFusionError::ResourcesExhausted(problem.clone())),
        DataFusionError::NotImplemented(problem) => translate(DataFusionError::NotImplemented(problem.clone())),
        DataFusionError::Plan(problem) => planning(problem),
        DataFusionError::Execution(problem) => execution(problem),
        other => internal(&other.strip_backtrace()),
    }
}

fn arrow(error: ArrowError) -> QueryError {
    match error {
        ArrowError::ExternalError(source) => external(source),
        other => arrow_text(&other),
    }
}

fn arrow_text(error: &ArrowError) -> QueryError {
    match error {
        ArrowError::DivideByZero => QueryError::new(ErrorKind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(problem) => overflow(problem),
        ArrowError::CastError(problem) | ArrowError::ParseError(problem) | ArrowError::ComputeError(problem) => {
            cast(&first_line(problem))
        }
        ArrowError::InvalidArgumentError(problem) => cast(&first_line(problem)),
        other => internal(&other.to_string()),
    }
}

fn overflow(problem: &str) -> QueryError {
    let message = if problem.contains("i64") || problem.contains("Int64") {
        "bigint out of range"
    } else if problem.contains("i16") || problem.contains("Int16") {
        "smallint out of range"
    } else {
        "integer out of range"
    };
    QueryError::new(ErrorKind::NumericValueOutOfRange, message)
}

/// The text between the first pair of these quotes.
fn quoted(text: &str, quote: char) -> Option<&str> {
    let from = text.find(quote)? + quote.len_utf8();
    let length = text[from..].find(quote)?;
    Some(&text[from..from + length])
}

/// PostgreSQL's name for an Arrow type's.
fn type_word(text: &str) -> &'static str {
    for (arrow, name) in [
        ("Int8", "smallint"),
        ("Int16", "smallint"),
        ("Int32", "integer"),
        ("Int64", "bigint"),
        ("Float32", "real"),
        ("Float64", "double precision"),
        ("Decimal", "numeric"),
        ("Date", "date"),
        ("Timestamp", "timestamp"),
        ("Time", "time"),
        ("Interval", "interval"),
        ("Bool", "boolean"),
        ("Utf8", "text"),
    ] {
        if text.contains(arrow) {
            return name;
        }
    }
    "this type"
}

fn cast(problem: &str) -> QueryError {
    let lower_text = problem.to_ascii_lowercase();
    if lower_text.contains("to datetime") || lower_text.contains("date32 value") {
        return QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range");
    }
    if lower_text.contains("divide by zero") {
        return QueryError::new(ErrorKind::DivisionByZero, "division by zero");
    }
    // "Cannot cast string 'abc' to value of Int32 type"
    if lower_text.contains("string")
        && let Some(value) = quoted(problem, '\'')
    {
        let target = problem.rsplit("to value of").next().unwrap_or(problem);
        let kind = match type_word(target) {
            "timestamp" | "date" | "time" | "interval" => ErrorKind::InvalidDatetimeFormat,
            _ => ErrorKind::InvalidTextRepresentation,
        };
        return QueryError::new(
            kind,
            format!("invalid input syntax for type {}: \"{value}\"", type_word(target)),
        );
    }
    if lower_text.contains("parsing timestamp") || lower_text.contains("parsing date") {
        let value = quoted(problem, '\'')
            .or_else(|| quoted(problem, '"'))
            .unwrap_or_default();
        return QueryError::new(
            ErrorKind::InvalidDatetimeFormat,
            format!("invalid input syntax for type timestamp: \"{value}\""),
        );
    }
    // "Can't cast value 70000 to type Int16", "Overflow happened on: …", "70000 is too large to store in a Decimal128 …"
    if lower_text.contains("can't cast value") || lower_text.contains("too large") || lower_text.contains("overflow") {
        let target = problem.rsplit("to type").next().unwrap_or(problem);
        return match type_word(target) {
            "numeric" => QueryError::new(ErrorKind::NumericValueOutOfRange, "numeric field overflow"),
            "this type" => overflow(problem),
            name => QueryError::new(ErrorKind::NumericValueOutOfRange, format!("{name} out of range")),
        };
    }
    if lower_text.contains("casting from") && lower_text.contains("not supported") {
        return QueryError::new(ErrorKind::CannotCoerce, plain(problem));
    }
    QueryError::new(ErrorKind::InvalidParameterValue, plain(problem))
}

fn schema(error: &SchemaError) -> QueryError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields }
            if valid_fields
                .iter()
                .any(|valid| is_renamed(&valid.name) && shown(&valid.name) == field.name) =>
        {
            QueryError::new(
                ErrorKind::AmbiguousColumn,
                format!("column reference \"{}\" is ambiguous", field.name),
            )
        }
        SchemaError::FieldNotFound { field, .. } => match &field.relation {
            Some(relation) => QueryError::new(
                ErrorKind::UndefinedColumn,
                format!("column {}.{} does not exist", relation.table(), field.name),
            ),
            None => QueryError::new(
                ErrorKind::UndefinedColumn,
                format!("column \"{}\" does not exist", field.name),
            ),
        },
        SchemaError::AmbiguousReference { field } => QueryError::new(
            ErrorKind::AmbiguousColumn,
            format!("column reference \"{}\" is ambiguous", field.name),
        ),
        SchemaError::DuplicateQualifiedField { qualifier, .. } => QueryError::new(
            ErrorKind::SyntaxError,
            format!("table name \"{}\" specified more than once", qualifier.table()),
        ),
        SchemaError::DuplicateUnqualifiedField { name } => QueryError::new(
            ErrorKind::AmbiguousColumn,
            format!("column reference \"{name}\" is ambiguous"),
        ),
    }
}

fn unsupported(problem: &str) -> QueryError {
    if problem.contains("OuterReferenceColumn") || problem.contains("ScalarSubquery(") {
        let message = "this subquery cannot refer to the query around it";
        return QueryError::new(ErrorKind::FeatureNotSupported, message)
            .with_hint("write it as a join, a window function or DISTINCT ON");
    }
    // What a debugging print of a tree looks like is nobody's business.
    let line = first_line(problem);
    let shown = line.split(['{', '(']).next().unwrap_or_default().trim();
    QueryError::new(
        ErrorKind::FeatureNotSupported,
        lower(if line.contains("Span(") { shown } else { &line }),
    )
}

fn planning(problem: &str) -> QueryError {
    let line = first_line(problem);
    if let Some(error) = no_such_function(&line) {
        return error;
    }
    if let Some(error) = operands::mistaken(&line) {
        return error;
    }
    if line.eq_ignore_ascii_case("step cannot be zero") {
        return QueryError::new(ErrorKind::InvalidParameterValue, "step size cannot equal zero");
    }
    if line.starts_with("Invalid function") {
        let name = quoted(&line, '\'').unwrap_or_default();
        return QueryError::new(ErrorKind::UndefinedFunction, format!("function {name} does not exist"))
            .with_hint("no function matches the given name; \\df lists what there is");
    }
    if line.contains("No function matches")
        || line.contains("failed to match any signature")
        || line.contains("does not support") && line.contains("argument")
    {
        let name = quoted(&line, '\'')
            .unwrap_or(&line)
            .split('(')
            .next()
            .unwrap_or_default()
            .trim();
        return QueryError::new(
            ErrorKind::UndefinedFunction,
            format!("function {name} does not exist for these argument types"),
        )
        .with_hint("no function matches the given name and argument types; you might need to add explicit type casts");
    }
    if line.contains("must be in GROUP BY") || line.contains("must appear in the GROUP BY") {
        // Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column "t.x" must appear …
        let column = quoted(&line, '"').unwrap_or_default();
        return QueryError::new(
            ErrorKind::GroupingError,
            format!("column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"),
        );
    }
    if line.contains("table function") && line.contains("not found") {
        let name = quoted(&line, '\'').unwrap_or_default();
        return QueryError::new(ErrorKind::UndefinedFunction, format!("function {name} does not exist"));
    }
    if line.contains("Cannot coerce")
        || line.contains("Cannot infer common")
        || line.contains("is not a boolean")
        || line.contains("non-boolean")
        || line.contains("type_coercion")
    {
        return operator(&line);
    }
    if line.contains("Placeholder") && line.contains("type") {
        return QueryError::new(ErrorKind::IndeterminateDatatype, plain(&line));
    }
    if line.contains("Projections require unique expression names") || line.contains("duplicate") {
        return QueryError::new(ErrorKind::DuplicateColumn, plain(&line));
    }
    QueryError::new(ErrorKind::SyntaxError, plain(&line))
}

/// `Cannot infer common argument type for comparison operation Int64 = Timestamp(…)`.
fn operator(line: &str) -> QueryError {
    QueryError::new(
        ErrorKind::UndefinedFunction,
        format!("operator does not exist for these types: {}", plain(line)),
    )
    .with_hint("no operator matches the given argument types; you might need to add explicit type casts")
}

/// The refusal of one of our functions, which has become a text on its way.
fn no_such_function(line: &str) -> Option<QueryError> {
    let (_, own) = line.split_once("External error: function ")?;
    let (call, _) = own.split_once(" does not exist")?;
    let message = format!("function {call} does not exist");
    Some(QueryError::new(ErrorKind::UndefinedFunction, message).with_hint(signature::NO_SUCH_FUNCTION))
}

fn execution(problem: &str) -> QueryError {
    let line = first_line(problem);
    if let Some(error) = no_such_function(&line) {
        return error;
    }
    let lower_line = line.to_ascii_lowercase();
    if lower_line.contains("divide by zero") || lower_line.contains("division by zero") {
        return QueryError::new(ErrorKind::DivisionByZero, "division by zero");
    }
    if lower_line.contains("overflow") {
        return overflow(&line);
    }
    if lower_line.contains("scalar subquery") || lower_line.contains("more than one row") {
        return QueryError::new(
            ErrorKind::InvalidParameterValue,
            "more than one row returned by a subquery used as an expression",
        );
    }
    QueryError::new(ErrorKind::InvalidParameterValue, plain(&line))
}

fn internal(problem: &str) -> QueryError {
    if let Some(error) = operands::mistaken(&first_line(problem)) {
        return error;
    }
    tracing::error!(problem, "a query failed inside the planner");
    QueryError::new(ErrorKind::InternalError, "this query cannot be executed")
        .with_hint("the server's log says why; a simpler form of the query may work")
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_string()
}

/// A message that may speak of the engine: its types get PostgreSQL's names, and what prints a tree becomes a sentence without it.
fn plain(message: &str) -> String {
    if ["Placeholder(", "Field {", "FieldMetadata", "Some(", "Span("]
        .iter()
        .any(|mark| message.contains(mark))
    {
        tracing::warn!(problem = message, "an error of the planner was told in other words");
        return "this expression is not supported here".to_owned();
    }
    let mut told = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(|first: char| first.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(start);
        told.push_str(before);
        let end = word
            .find(|other: char| !other.is_ascii_alphanumeric() && other != '_')
            .unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        rest = after;
        match engine_type(word) {
            None => told.push_str(word),
            Some(name) => {
                told.push_str(name);
                rest = &after[parenthesis(after)..];
            }
        }
    }
    told.push_str(rest);
    lower(&told)
}

/// PostgreSQL's name for a type of the engine's, when a word is one.
fn engine_type(word: &str) -> Option<&'static str> {
    Some(match word {
        "Boolean" => "boolean",
        "Int8" | "UInt8" | "Int16" => "smallint",
        "UInt16" | "Int32" => "integer",
        "UInt32" => "oid",
        "Int64" | "UInt64" => "bigint",
        "Float16" | "Float32" => "real",
        "Float64" => "double precision",
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => "numeric",
        "Utf8" | "LargeUtf8" | "Utf8View" => "text",
        "Binary" | "LargeBinary" | "BinaryView" | "FixedSizeBinary" => "bytea",
        "Date32" | "Date64" => "date",
        "Time32" | "Time64" => "time",
        "Timestamp" => "timestamp",
        "Interval" | "Duration" => "interval",
        "List" | "LargeList" | "FixedSizeList" => "array",
        "Struct" => "record",
        _ => return None,
    })
}

/// Bytes of what stands in parentheses at the beginning.
fn parenthesis(text: &str) -> usize {
    if !text.starts_with('(') {
        return 0;
    }
    let mut open = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// With a small first letter, unless the first word is all capitals.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain([second]).chain(chars).collect()
        }
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_name_the_value() {
        let error = arrow(ArrowError::CastError(
            "Cannot cast string 'abc' to value of Int32 type".into(),
        ));
        assert_eq!(error.kind, ErrorKind::InvalidTextRepresentation);
        assert_eq!(error.message, "invalid input syntax for type integer: \"abc\"");
        let error = arrow(ArrowError::CastError("Can't cast value 70000 to type Int16".into()));
        assert_eq!(error.kind, ErrorKind::NumericValueOutOfRange);
        assert_eq!(error.message, "smallint out of range");
        assert_eq!(arrow(ArrowError::DivideByZero).kind, ErrorKind::DivisionByZero);
    }

    #[test]
    fn types_are_called_as_postgresql_calls_them() {
        assert_eq!(
            plain("Invalid comparison operation: Decimal256(39, 20) == Timestamp(ns, Some) of Int64"),
            "invalid comparison operation: numeric == timestamp of bigint"
        );
        assert_eq!(
            plain("Casting from Struct(\"c0\": Utf8View, \"c1\": List(Int64)) to Utf8 not supported"),
            "casting from record to text not supported"
        );
        assert_eq!(
            plain("argument must be one, got Placeholder(x)"),
            "this expression is not supported here"
        );
        assert_eq!(plain("Unclosed Struct(x"), "unclosed record");
    }

    #[test]
    fn errors_of_ours_come_back_whole() {
        let error = QueryError::new(ErrorKind::UndefinedTable, "relation \"x\" does not exist").with_position(15);
        let back = translate(DataFusionError::Context("while".into(), Box::new(wrap(error))));
        assert_eq!((back.kind, back.position), (ErrorKind::UndefinedTable, Some(15)));
    }
}
