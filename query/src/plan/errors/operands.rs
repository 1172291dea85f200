//! What the planner says of operands that do not fit, in PostgreSQL's words: `operator does not exist: timestamp with time zone + integer`.
//!
//! The planner knows types but not names of them that differ in nothing else: text stands for `character varying` and `jsonb` too.

use crate::{ErrorKind, QueryError};

/// The error that a line of the planner's means, if it is about operands or about columns by their position.
pub fn mistaken(line: &str) -> Option<QueryError> {
    operator(line).or_else(|| not_boolean(line)).or_else(|| position(line))
}

/// Operands that no operator takes.
fn operator(line: &str) -> Option<QueryError> {
    let call = if let Some(call) = between(line, "Cannot coerce arithmetic expression ", " to valid types") {
        infix(call)?
    } else if let Some(call) = after(line, "for comparison operation ").or_else(|| after(line, "for regex operation "))
    {
        infix(call)?
    } else if let Some(types) = between(line, "isn't a common type to coerce ", " expression") {
        let (types, word) = types.rsplit_once(" in ")?;
        let operator = match word {
            "LIKE" => "~~",
            "ILIKE" => "~~*",
            "SIMILAR TO" => "~",
            _ => return None,
        };
        pair(types, operator)?
    } else {
        pair(
            between(line, "Failed to coerce types ", " in BETWEEN expression")?,
            ">=",
        )?
    };
    let error = QueryError::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {call}"));
    Some(error.with_hint("no operator matches the given argument types; you might need to add explicit type casts"))
}

/// Something else where a condition stands.
fn not_boolean(line: &str) -> Option<QueryError> {
    let (place, found) = if let Some(call) = after(line, "for logical boolean operation ") {
        let words = words(call);
        let (left, right) = (type_name(words.first()?), type_name(words.last()?));
        let other = if left == "boolean" { right } else { left };
        (words.get(1)?.to_string(), other)
    } else {
        line.strip_prefix("Cannot create filter with non-boolean predicate ")?;
        let (_, found) = line.rsplit_once(" returning ")?;
        ("WHERE".to_owned(), type_name(found))
    };
    let message = format!("argument of {place} must be type boolean, not type {found}");
    Some(QueryError::new(ErrorKind::DatatypeMismatch, message))
}

/// A column of the SELECT list that is not there.
fn position(line: &str) -> Option<QueryError> {
    let (clause, number) = if let Some(rest) = after(line, "Order by column out of bounds, specified: ") {
        ("ORDER BY", rest)
    } else {
        ("GROUP BY", after(line, "Cannot find column with position ")?)
    };
    let end = number
        .find(|other: char| !other.is_ascii_digit())
        .unwrap_or(number.len());
    let message = format!("{clause} position {} is not in select list", &number[..end]);
    Some(QueryError::new(ErrorKind::InvalidColumnReference, message))
}

fn after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.split_once(mark).map(|(_, rest)| rest)
}

fn between<'a>(line: &'a str, from: &str, to: &str) -> Option<&'a str> {
    after(line, from)?.split_once(to).map(|(inner, _)| inner)
}

/// `Int64 = Timestamp(µs, "UTC")`.
fn infix(call: &str) -> Option<String> {
    let words = words(call);
    let [left, operator @ .., right] = &words[..] else {
        return None;
    };
    (!operator.is_empty()).then(|| format!("{} {} {}", type_name(left), operator.join(" "), type_name(right)))
}

/// `Int64 and Utf8`.
fn pair(types: &str, operator: &str) -> Option<String> {
    match words(types)[..] {
        [left, "and", right] => Some(format!("{} {operator} {}", type_name(left), type_name(right))),
        _ => None,
    }
}

/// Words at spaces outside of parentheses.
fn words(text: &str) -> Vec<&str> {
    let mut open = 0_usize;
    text.split(|character| {
        match character {
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
        character == ' ' && open == 0
    })
    .collect()
}

fn type_name(engine: &str) -> &'static str {
    let name = engine.split('(').next().unwrap_or_default();
    match name {
        "Timestamp" if engine.contains('"') => "timestamp with time zone",
        "Timestamp" => "timestamp without time zone",
        "Time32" | "Time64" => "time without time zone",
        "Null" => "unknown",
        "List" => "anyarray",
        _ => super::engine_type(name).unwrap_or("this type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_named() {
        for (line, kind, message) in [
            (
                "Cannot coerce arithmetic expression Timestamp(µs, \"UTC\") + Int64 to valid types",
                ErrorKind::UndefinedFunction,
                "operator does not exist: timestamp with time zone + bigint",
            ),
            (
                "Cannot infer common argument type for comparison operation Utf8 IS DISTINCT FROM Boolean",
                ErrorKind::UndefinedFunction,
                "operator does not exist: text IS DISTINCT FROM boolean",
            ),
            (
                "There isn't a common type to coerce Int64 and Utf8 in ILIKE expression",
                ErrorKind::UndefinedFunction,
                "operator does not exist: bigint ~~* text",
            ),
            (
                "Internal error: Failed to coerce types Timestamp(µs) and Decimal128(10, 2) in BETWEEN expression.",
                ErrorKind::UndefinedFunction,
                "operator does not exist: timestamp without time zone >= numeric",
            ),
            (
                "Cannot infer common argument type for logical boolean operation Boolean AND Utf8View",
                ErrorKind::DatatypeMismatch,
                "argument of AND must be type boolean, not type text",
            ),
            (
                "Cannot create filter with non-boolean predicate 'a returning b' returning Float64",
                ErrorKind::DatatypeMismatch,
                "argument of WHERE must be type boolean, not type double precision",
            ),
            (
                "Order by column out of bounds, specified: 12, max: 1",
                ErrorKind::InvalidColumnReference,
                "ORDER BY position 12 is not in select list",
            ),
            (
                "Cannot find column with position 4 in SELECT clause. Valid columns: 1 to 1",
                ErrorKind::InvalidColumnReference,
                "GROUP BY position 4 is not in select list",
            ),
        ] {
            let error = mistaken(line).expect(line);
            assert_eq!((error.kind, error.message.as_str()), (kind, message));
        }
        assert!(mistaken("Cannot infer common argument type for comparison operation ").is_none());
        assert!(mistaken("a problem of another kind").is_none());
    }
}
