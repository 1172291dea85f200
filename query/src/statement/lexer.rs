//! Words of SQL text with their places, by PostgreSQL's lexical rules: what splits a query string into statements, and what the statements
//! that this crate parses itself are read from.
//!
//! Promises: never panics and never allocates more than the text is long; every token's bytes are exact, so that errors point at them.
//! Leaves to others: INSERT's values (`ingest/`), and the tokens of queries (sqlparser).

use std::borrow::Cow;

use crate::{ErrorKind, QueryError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword or a name without quotes; `value` in lower case.
    Word,
    /// `"Name"`; `value` without the quotes.
    QuotedName,
    /// `'text'`, `E'text'`, `$$text$$`; `value` is what it means.
    Text,
    /// Digits with point and exponent, without a sign.
    Number,
    /// `$1`
    Parameter,
    /// Punctuation or an operator, one character but for `::`.
    Symbol,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub kind: TokenKind,
    pub value: Cow<'a, str>,
    /// Bytes of the text it stands on.
    pub start: usize,
    pub end: usize,
}

impl Token<'_> {
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.value == symbol
    }

    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.value == word
    }
}

/// The number, from 1, of the character at a byte of a text.
pub(crate) fn character_at(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count()) + 1
}

pub(crate) fn syntax_error_at(text: &str, token: &Token<'_>) -> QueryError {
    let message = match text.get(token.start..token.end) {
        Some(near) if token.kind != TokenKind::End => format!("syntax error at or near \"{near}\""),
        _ => "syntax error at end of input".to_string(),
    };
    QueryError::new(ErrorKind::SyntaxError, message).with_position(character_at(text, token.start))
}

fn unterminated(text: &str, start: usize, what: &str) -> QueryError {
    // As PostgreSQL words it, with the rest of the text; but not with megabytes of it.
    const NEAR_CHARACTERS_MAX: usize = 100;
    let near: String = text[start..].chars().take(NEAR_CHARACTERS_MAX).collect();
    let message = format!("unterminated {what} at or near \"{near}\"");
    QueryError::new(ErrorKind::SyntaxError, message).with_position(character_at(text, start))
}

/// The first byte at or after `at` that is neither space nor comment.
pub(crate) fn skip_space(text: &str, mut at: usize) -> Result<usize, QueryError> {
    let bytes = text.as_bytes();
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c), _) => at += 1,
            (Some(b'-'), Some(b'-')) => {
                at += bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(bytes.len() - at);
            }
            (Some(b'/'), Some(b'*')) => at = comment_end(text, at)?,
            _ => return Ok(at),
        }
    }
}

/// Comments nest.
fn comment_end(text: &str, start: usize) -> Result<usize, QueryError> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, start);
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (Some(b'*'), Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Ok(at);
                }
            }
            (Some(_), _) => at += 1,
            (None, _) => return Err(unterminated(text, start, "/* comment")),
        }
    }
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// The token at or after a byte.
pub(crate) fn token_at(text: &str, at: usize) -> Result<Token<'_>, QueryError> {
    let start = skip_space(text, at)?;
    let bytes = text.as_bytes();
    let token = |kind, value, end| Token {
        kind,
        value,
        start,
        end,
    };
    let Some(&first) = bytes.get(start) else {
        return Ok(token(TokenKind::End, Cow::Borrowed(""), start));
    };
    let second = bytes.get(start + 1).copied();
    match first {
        b'e' | b'E' if second == Some(b'\'') => {
            let (value, end) = escaped_text(text, start)?;
            Ok(token(TokenKind::Text, Cow::Owned(value), end))
        }
        b'n' | b'N' if second == Some(b'\'') => {
            let (value, end) = quoted(text, start + 1, b'\'', "quoted string")?;
            Ok(token(TokenKind::Text, value, end))
        }
        b'\'' => {
            let (value, end) = quoted(text, start, b'\'', "quoted string")?;
            Ok(token(TokenKind::Text, value, end))
        }
        b'"' => {
            let (value, end) = quoted(text, start, b'"', "quoted identifier")?;
            if value.is_empty() {
                let message = "zero-length delimited identifier at or near \"\"\"\"";
                let error = QueryError::new(ErrorKind::SyntaxError, message);
                return Err(error.with_position(character_at(text, start)));
            }
            Ok(token(TokenKind::QuotedName, value, end))
        }
        byte if begins_name(byte) => {
            let end = end_while(bytes, start, continues_name);
            let word = &text[start..end];
            let value = match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => Cow::Owned(word.to_ascii_lowercase()),
                false => Cow::Borrowed(word),
            };
            Ok(token(TokenKind::Word, value, end))
        }
        b'0'..=b'9' => {
            let end = number_end(bytes, start);
            Ok(token(TokenKind::Number, Cow::Borrowed(&text[start..end]), end))
        }
        b'.' if second.is_some_and(|byte| byte.is_ascii_digit()) => {
            let end = number_end(bytes, start);
            Ok(token(TokenKind::Number, Cow::Borrowed(&text[start..end]), end))
        }
        b'$' if second.is_some_and(|byte| byte.is_ascii_digit()) => {
            let end = end_while(bytes, start + 1, |byte| byte.is_ascii_digit());
            Ok(token(TokenKind::Parameter, Cow::Borrowed(&text[start..end]), end))
        }
        b'$' => match dollar_quoted(text, start)? {
            Some((value, end)) => Ok(token(TokenKind::Text, Cow::Borrowed(value), end)),
            None => Ok(token(
                TokenKind::Symbol,
                Cow::Borrowed(&text[start..start + 1]),
                start + 1,
            )),
        },
        b':' if second == Some(b':') => Ok(token(
            TokenKind::Symbol,
            Cow::Borrowed(&text[start..start + 2]),
            start + 2,
        )),
        // All bytes from 0x80 up belong to names, so this is one ASCII character.
        _ => Ok(token(
            TokenKind::Symbol,
            Cow::Borrowed(&text[start..start + 1]),
            start + 1,
        )),
    }
}

fn end_while(bytes: &[u8], start: usize, holds: impl Fn(u8) -> bool) -> usize {
    let length = bytes[start..].iter().position(|byte| !holds(*byte));
    length.map_or(bytes.len(), |length| start + length)
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let digits = |at| end_while(bytes, at, |byte| byte.is_ascii_digit());
    let mut end = digits(start);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    end
}

/// What stands between quotes, doubled ones being one; and the byte after.
fn quoted<'a>(text: &'a str, start: usize, quote: u8, what: &str) -> Result<(Cow<'a, str>, usize), QueryError> {
    let bytes = text.as_bytes();
    let mut value = Cow::Borrowed("");
    let mut from = start + 1;
    loop {
        let length = bytes
            .get(from..)
            .and_then(|rest| rest.iter().position(|byte| *byte == quote));
        let Some(length) = length else {
            return Err(unterminated(text, start, what));
        };
        let end = from + length;
        let doubled = bytes.get(end + 1) == Some(&quote);
        // A doubled quote leaves one behind.
        let piece = &text[from..end + usize::from(doubled)];
        match value.is_empty() {
            true => value = Cow::Borrowed(piece),
            false => value.to_mut().push_str(piece),
        }
        if !doubled {
            return Ok((value, end + 1));
        }
        from = end + 2;
    }
}

/// `E'…'`: `start` is at the E.
fn escaped_text(text: &str, start: usize) -> Result<(String, usize), QueryError> {
    let bad = |message: &str, at: usize| {
        QueryError::new(ErrorKind::SyntaxError, message).with_position(character_at(text, at))
    };
    let mut value: Vec<u8> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = start + 2;
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'\'', Some(b'\'')) => {
                value.push(b'\'');
                at += 2;
            }
            (b'\'', _) => {
                let value = String::from_utf8(value).ok().filter(|value| !value.contains('\0'));
                let value = value.ok_or_else(|| bad("invalid byte sequence for encoding \"UTF8\"", start))?;
                return Ok((value, at + 1));
            }
            (b'\\', Some(escape)) => {
                at += 2;
                match escape {
                    b'n' => value.push(b'\n'),
                    b't' => value.push(b'\t'),
                    b'r' => value.push(b'\r'),
                    b'b' => value.push(8),
                    b'f' => value.push(12),
                    b'0'..=b'7' => {
                        let end = (at + 2).min(end_while(bytes, at - 1, |byte| (b'0'..=b'7').contains(&byte)));
                        let number = u32::from_str_radix(&text[at - 1..end], 8).unwrap_or(0);
                        value.push(number as u8); // As PostgreSQL: the low eight bits.
                        at = end;
                    }
                    b'x' if bytes.get(at).is_some_and(u8::is_ascii_hexdigit) => {
                        let end = (at + 2).min(end_while(bytes, at, |byte| byte.is_ascii_hexdigit()));
                        value.push(u8::from_str_radix(&text[at..end], 16).unwrap_or(0));
                        at = end;
                    }
                    b'u' | b'U' => {
                        let digits = if *escape == b'u' { 4 } else { 8 };
                        let number = text
                            .get(at..at + digits)
                            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
                        let character = number.and_then(char::from_u32);
                        let character = character.ok_or_else(|| bad("invalid Unicode escape", at - 2))?;
                        value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                        at += digits;
                    }
                    other => value.push(*other),
                }
            }
            _ => {
                value.push(byte);
                at += 1;
            }
        }
    }
    Err(unterminated(text, start, "quoted string"))
}

/// `$tag$text$tag$`; `None` where the dollar begins no such thing.
fn dollar_quoted(text: &str, start: usize) -> Result<Option<(&str, usize)>, QueryError> {
    let bytes = text.as_bytes();
    let tag_end = end_while(bytes, start + 1, |byte| begins_name(byte) || byte.is_ascii_digit());
    if bytes.get(tag_end) != Some(&b'$') {
        return Ok(None);
    }
    let delimiter = &text[start..=tag_end];
    let body = &text[tag_end + 1..];
    match body.find(delimiter) {
        Some(length) => Ok(Some((&body[..length], tag_end + 1 + length + delimiter.len()))),
        None => Err(unterminated(text, start, "dollar-quoted string")),
    }
}

/// The byte of the semicolon that ends the statement, or the end of the text.
pub(crate) fn statement_end(text: &str, mut at: usize) -> Result<usize, QueryError> {
    loop {
        let token = token_at(text, at)?;
        if token.kind == TokenKind::End || token.is_symbol(";") {
            return Ok(token.start);
        }
        at = token.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(TokenKind, String)> {
        let mut at = 0;
        let mut all = Vec::new();
        loop {
            let token = token_at(text, at).unwrap();
            if token.kind == TokenKind::End {
                return all;
            }
            at = token.end;
            all.push((token.kind, token.value.into_owned()));
        }
    }

    #[test]
    fn tokens_mean_what_postgresql_means() {
        use TokenKind::*;
        let cases: &[(&str, &[(TokenKind, &str)])] = &[
            ("Select \"A b\"\"c\"", &[(Word, "select"), (QuotedName, "A b\"c")]),
            ("'it''s' '' ''''", &[(Text, "it's"), (Text, ""), (Text, "'")]),
            (r"E'a\n\x41\101é\\\'' e''", &[(Text, "a\nAAé\\'"), (Text, "")]),
            (
                "$$a'b$$ $x$ $$ $x$ $1",
                &[(Text, "a'b"), (Text, " $$ "), (Parameter, "$1")],
            ),
            (
                "1 1.5 .5e-3 365d 1e",
                &[
                    (Number, "1"),
                    (Number, "1.5"),
                    (Number, ".5e-3"),
                    (Number, "365"),
                    (Word, "d"),
                    (Number, "1"),
                    (Word, "e"),
                ],
            ),
            (
                "a--b\n/* /* */ */c::d",
                &[(Word, "a"), (Word, "c"), (Symbol, "::"), (Word, "d")],
            ),
            ("größe", &[(Word, "größe")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(kind, value)| (*kind, value.to_string()))
                .collect();
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn a_statement_ends_at_a_semicolon_outside_of_quotes() {
        let text = "select ';' /* ; */ \";\" $$;$$ -- ;\n; select";
        assert_eq!(&text[statement_end(text, 0).unwrap()..], "; select");
    }

    #[test]
    fn what_does_not_end_is_an_error_at_its_begin() {
        for (text, message) in [
            ("é 'abc", "unterminated quoted string at or near \"'abc\""),
            ("é \"abc", "unterminated quoted identifier at or near \"\"abc\""),
            ("é /* x", "unterminated /* comment at or near \"/* x\""),
            ("é $q$ x$q", "unterminated dollar-quoted string at or near \"$q$ x$q\""),
            ("é E'\\", "unterminated quoted string at or near \"E'\\\""),
        ] {
            let error = statement_end(text, 0).unwrap_err();
            assert_eq!((error.message.as_str(), error.position), (message, Some(3)), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[-ab'\"$Ee\\\\x0u/*;:.1 \u{e9}\n]{0,40}") {
            let mut at = 0;
            while let Ok(token) = token_at(&text, at) {
                if token.kind == TokenKind::End {
                    break;
                }
                proptest::prop_assert!(token.end > at);
                at = token.end;
            }
        }
    }
}
