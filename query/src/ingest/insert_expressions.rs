//! Expressions of an INSERT that need no planner: `now()` with a span, names of types, and where parameters stand in the others.

use std::ops::Range;

use super::datum::oid;
use super::insert::Form;
use super::lexer::{Cursor, Literal};

/// `now()` and its like, with a span of fixed length added or taken off: `now() - interval '1 s'`, `NOW + 10a`. `None`: something else.
pub(super) fn now(cursor: &mut Cursor<'_>) -> Option<Form> {
    const FUNCTIONS: &[&str] = &["now", "transaction_timestamp", "statement_timestamp"];
    let word = cursor.word().to_ascii_lowercase();
    cursor.at += word.len();
    if FUNCTIONS.contains(&word.as_str()) {
        let called = cursor.take(b'(') && cursor.take(b')');
        // TDengine's NOW needs no brackets.
        if !called && word != "now" {
            return None;
        }
    } else if word != "current_timestamp" {
        return None;
    }
    let mut offset_ns = 0i64;
    loop {
        cursor.skip_space();
        let negative = match cursor.peek() {
            b',' | b')' => return Some(Form::Now { offset_ns }),
            b'+' => false,
            b'-' => true,
            _ => return None,
        };
        cursor.at += 1;
        let span = fixed_span(cursor)?;
        offset_ns = offset_ns.checked_add(if negative { -span } else { span })?;
    }
}

/// `interval '…'` or TDengine's `10s`, in nanoseconds, if its length does not depend on the calendar.
fn fixed_span(cursor: &mut Cursor<'_>) -> Option<i64> {
    if cursor.take_keyword("interval") {
        cursor.skip_space();
        let Ok(Some(Literal::Plain(start, length))) = cursor.string() else {
            return None;
        };
        return interval(&cursor.text[start..start + length]);
    }
    let digits = cursor.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let count: i64 = cursor.text[cursor.at..cursor.at + digits].parse().ok()?;
    cursor.at += digits;
    let unit = match cursor.word() {
        "b" | "B" => 1,
        "u" | "U" => 1_000,
        "a" | "A" => 1_000_000,
        "s" | "S" => SECOND_NS,
        "m" | "M" => 60 * SECOND_NS,
        "h" | "H" => 3_600 * SECOND_NS,
        "d" | "D" => 86_400 * SECOND_NS,
        "w" | "W" => 7 * 86_400 * SECOND_NS,
        _ => return None,
    };
    cursor.at += 1;
    count.checked_mul(unit)
}

pub(super) const SECOND_NS: i64 = 1_000_000_000;

/// `1 hour 30 minutes` in nanoseconds; days and longer depend on the calendar.
fn interval(text: &str) -> Option<i64> {
    let spaced: Vec<&str> = text.split_ascii_whitespace().collect();
    let (pairs, rest) = spaced.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs.iter().try_fold(0i64, |sum, [count, unit]| {
        let count: i64 = count.parse().ok()?;
        let unit = match unit.to_ascii_lowercase().trim_end_matches('s') {
            "microsecond" | "u" => 1_000,
            "millisecond" | "m" if *unit != "m" => 1_000_000,
            "" | "sec" | "second" => SECOND_NS, // "s" without its s
            "min" | "minute" | "m" => 60 * SECOND_NS,
            "h" | "hour" => 3_600 * SECOND_NS,
            _ => return None,
        };
        sum.checked_add(count.checked_mul(unit)?)
    })
}

/// The type at the cursor, if it is a plain one that values of columns have: its OID. `varchar(10)` and the like are left to the planner.
pub(super) fn type_name(cursor: &mut Cursor<'_>) -> Option<u32> {
    let type_oid = base_type(cursor)?;
    (cursor.peek() != b'(').then_some(type_oid)
}

/// As [`type_name`], with whatever stands in brackets behind it: a parameter's type has no modifiers.
fn base_type(cursor: &mut Cursor<'_>) -> Option<u32> {
    let word = cursor.word().to_ascii_lowercase();
    let type_oid = match word.as_str() {
        "bool" | "boolean" => oid::BOOL,
        "int2" | "smallint" => oid::INT2,
        "int4" | "int" | "integer" => oid::INT4,
        "int8" | "bigint" => oid::INT8,
        "float4" | "real" => oid::FLOAT4,
        "float8" | "float" | "double" => oid::FLOAT8,
        "numeric" | "decimal" => oid::NUMERIC,
        "text" => oid::TEXT,
        "varchar" => oid::VARCHAR,
        "bytea" => oid::BYTEA,
        "date" => oid::DATE,
        "timestamptz" => oid::TIMESTAMPTZ,
        "timestamp" => oid::TIMESTAMP,
        "json" => oid::JSON,
        "jsonb" => oid::JSONB,
        _ => return None,
    };
    cursor.at += word.len();
    if word == "double" && !cursor.take_keyword("precision") {
        return None;
    }
    let mut type_oid = type_oid;
    if word == "timestamp" {
        let zoned = cursor.take_keyword("with");
        if zoned || cursor.take_keyword("without") {
            if !(cursor.take_keyword("time") && cursor.take_keyword("zone")) {
                return None;
            }
            type_oid = if zoned { oid::TIMESTAMPTZ } else { oid::TIMESTAMP };
        }
    }
    cursor.skip_space();
    (cursor.peek() != b'[').then_some(type_oid)
}

/// A parameter inside an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InnerParameter {
    pub number: usize,
    /// `$n` in the expression's text.
    pub span: Range<usize>,
    /// The type of a cast that follows it; text if that is none that parameters have.
    pub cast_oid: Option<u32>,
}

/// The parameters in an expression.
pub(super) fn parameters_in(expression: &str) -> Vec<InnerParameter> {
    let mut cursor = Cursor::new(expression);
    let mut found = Vec::new();
    while cursor.at < expression.len() {
        cursor.skip_space();
        let start = cursor.at;
        if cursor.peek() == b'$' && cursor.peek_after(1).is_ascii_digit() {
            let digits = cursor.rest()[1..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            cursor.at += 1 + digits;
            let span = start..cursor.at;
            let number = expression[start + 1..cursor.at].parse().unwrap_or(0);
            cursor.skip_space();
            let mut cast = cursor.clone();
            let cast_oid = cast.rest().starts_with(b"::").then(|| {
                cast.at += 2;
                cast.skip_space();
                base_type(&mut cast).unwrap_or(oid::TEXT)
            });
            if (1..=usize::from(u16::MAX)).contains(&number) {
                found.push(InnerParameter { number, span, cast_oid });
            }
        } else if cursor.skip_token().is_err() || cursor.at <= start {
            break;
        }
    }
    found
}
