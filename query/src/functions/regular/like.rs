//! Patterns of LIKE and SIMILAR TO as regular expressions.

use datafusion::common::ScalarValue;

use super::expression::compile;
use crate::functions::signature::{Args, boolean, refuse, text};
use crate::{ErrorKind, QueryError};

/// The regular expression of a pattern of SIMILAR TO: `%` and `_` as in LIKE, `|*+?{}()[]` as in regular expressions, all of the text.
fn similar_expression(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    out.push_str("^(?:");
    let mut chars = pattern.chars();
    let mut in_class = false;
    // What escape and a quotation mark enclose is what substring() gives.
    let mut marks = 0;
    while let Some(char) = chars.next() {
        if Some(char) == escape {
            match chars.next() {
                Some('"') => {
                    marks += 1;
                    out.push_str(if marks == 1 { "){1,1}?(" } else { "){1,1}(?:" });
                }
                Some(next) => push_literal(next, &mut out),
                None => {}
            }
            continue;
        }
        match char {
            ']' => in_class = false,
            '[' => in_class = true,
            _ => {}
        }
        match char {
            '%' if !in_class => out.push_str(".*"),
            '_' if !in_class => out.push('.'),
            '(' if !in_class => out.push_str("(?:"),
            '|' | '*' | '+' | '?' | '{' | '}' | ')' | '[' | ']' => out.push(char),
            other if in_class => out.push(other),
            other => push_literal(other, &mut out),
        }
    }
    out.push_str(")$");
    out
}

fn push_literal(char: char, out: &mut String) {
    if !char.is_alphanumeric() && char.is_ascii() && !char.is_ascii_whitespace() && char != '_' {
        out.push('\\');
    }
    out.push(char);
}

/// The escape character that a third argument names: a backslash without one, none where it is empty.
fn escape(args: &Args<'_>, place: usize) -> Result<Option<char>, QueryError> {
    if args.len() <= place {
        return Ok(Some('\\'));
    }
    let mut letters = args.text(place).chars();
    match (letters.next(), letters.next()) {
        (first, None) => Ok(first),
        _ => refuse(ErrorKind::InvalidEscapeSequence, "invalid escape string")
            .map_err(|error: QueryError| error.with_hint("Escape string must be empty or one character.")),
    }
}

pub(super) fn similar(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let expression = similar_expression(args.text(1), escape(args, 2)?);
    let regex = args.env().regex(&expression, "s", compile)?;
    Ok(boolean(regex.is_match(args.text(0))))
}

pub(super) fn similar_to_escape(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(text(similar_expression(args.text(0), escape(args, 1)?)))
}

/// LIKE with an escape character of its own.
pub(super) fn like(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    like_with(args, "s")
}

pub(super) fn like_with(args: &Args<'_>, flags: &str) -> Result<ScalarValue, QueryError> {
    let expression = like_expression(args.text(1), escape(args, 2)?)?;
    let regex = args.env().regex(&expression, flags, compile)?;
    Ok(boolean(regex.is_match(args.text(0))))
}

/// The regular expression of a pattern of LIKE.
pub(super) fn like_expression(pattern: &str, escape: Option<char>) -> Result<String, QueryError> {
    let mut expression = String::from("^");
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            match letters.next() {
                Some(next) => push_literal(next, &mut expression),
                None => {
                    return refuse(
                        ErrorKind::InvalidEscapeSequence,
                        "LIKE pattern must not end with escape character",
                    );
                }
            }
            continue;
        }
        match letter {
            '%' => expression.push_str(".*"),
            '_' => expression.push('.'),
            other => push_literal(other, &mut expression),
        }
    }
    expression.push('$');
    Ok(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_similar_to() {
        let similar = |text: &str, pattern: &str| {
            let expression = similar_expression(pattern, Some('\\'));
            compile(&expression, "s").unwrap().is_match(text)
        };
        assert!(similar("abc", "%(b|d)%"));
        assert!(similar("abc", "[a-c]+"));
        assert!(similar("100%", r"100\%"));
        assert!(!similar("abc", "a.c"));
        assert!(!similar("abc", "a"));
    }
}
