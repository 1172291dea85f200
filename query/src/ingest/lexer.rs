//! The words and literals of an INSERT, read once.
//!
//! A value of a VALUES list becomes one [`Token`] of eight bytes: short numbers are in it, longer things are places in the statement's text.
//! Nothing is allocated for a literal that needs no unescaping.

use super::number::{Decimal, scan_decimal};
use crate::{ErrorKind, QueryError};

/// One value of a VALUES list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

/// What a [`Token`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Default,
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    /// A number whose text stands at this offset, of this length.
    Number(usize, usize),
    /// A string whose content stands at this offset, of this length.
    Text(usize, usize),
    /// A string that had to be unescaped: its number in the statement's list.
    Unescaped(usize),
    /// `$n`, from 1.
    Parameter(usize),
    /// Its number in the statement's list.
    Expression(usize),
}

const KIND_BITS: u32 = 4;
const SCALE_BITS: u32 = 5;
const LENGTH_BITS: u32 = 28;
/// Integers and mantissas that fit beside the kind, and beside kind and scale.
const INTEGER_MAX: i64 = 1 << 58;
const MANTISSA_MAX: i64 = 1 << 53;

impl Token {
    const NULL: u64 = 0;
    const DEFAULT: u64 = 1;
    const FALSE: u64 = 2;
    const TRUE: u64 = 3;
    const INTEGER: u64 = 4;
    const DECIMAL: u64 = 5;
    const NUMBER: u64 = 6;
    const TEXT: u64 = 7;
    const UNESCAPED: u64 = 8;
    const PARAMETER: u64 = 9;
    const EXPRESSION: u64 = 10;

    /// `None`: too large for a token.
    #[inline]
    pub fn new(value: Value) -> Option<Token> {
        let (kind, payload) = match value {
            Value::Null => (Token::NULL, 0),
            Value::Default => (Token::DEFAULT, 0),
            Value::Boolean(false) => (Token::FALSE, 0),
            Value::Boolean(true) => (Token::TRUE, 0),
            Value::Integer(value) if (-INTEGER_MAX..INTEGER_MAX).contains(&value) => (Token::INTEGER, value as u64),
            Value::Decimal(decimal) if (-MANTISSA_MAX..MANTISSA_MAX).contains(&decimal.mantissa) => (
                Token::DECIMAL,
                (decimal.mantissa << SCALE_BITS) as u64 | u64::from(decimal.scale),
            ),
            Value::Integer(_) | Value::Decimal(_) => return None,
            Value::Number(offset, length) => (Token::NUMBER, range(offset, length)?),
            Value::Text(offset, length) => (Token::TEXT, range(offset, length)?),
            Value::Unescaped(number) => (Token::UNESCAPED, number as u64),
            Value::Parameter(number) => (Token::PARAMETER, number as u64),
            Value::Expression(number) => (Token::EXPRESSION, number as u64),
        };
        Some(Token(payload << KIND_BITS | kind))
    }

    #[inline]
    pub fn value(self) -> Value {
        let payload = self.0 >> KIND_BITS;
        let signed = (self.0 as i64) >> KIND_BITS;
        let offset = (payload >> LENGTH_BITS) as usize;
        let length = (payload & ((1 << LENGTH_BITS) - 1)) as usize;
        match self.0 & ((1 << KIND_BITS) - 1) {
            Token::NULL => Value::Null,
            Token::DEFAULT => Value::Default,
            Token::FALSE => Value::Boolean(false),
            Token::TRUE => Value::Boolean(true),
            Token::INTEGER => Value::Integer(signed),
            Token::DECIMAL => Value::Decimal(Decimal {
                mantissa: signed >> SCALE_BITS,
                scale: (payload & ((1 << SCALE_BITS) - 1)) as u32,
            }),
            Token::NUMBER => Value::Number(offset, length),
            Token::TEXT => Value::Text(offset, length),
            Token::UNESCAPED => Value::Unescaped(payload as usize),
            Token::PARAMETER => Value::Parameter(payload as usize),
            _ => Value::Expression(payload as usize),
        }
    }
}

fn range(offset: usize, length: usize) -> Option<u64> {
    let fits = offset <= u32::MAX as usize && length < 1 << LENGTH_BITS;
    fits.then_some((offset as u64) << LENGTH_BITS | length as u64)
}

/// A place in a statement's text.
#[derive(Clone)]
pub struct Cursor<'a> {
    pub text: &'a str,
    bytes: &'a [u8],
    pub at: usize,
}

/// A string literal.
pub enum Literal {
    /// Its content as it stands in the text.
    Plain(usize, usize),
    Unescaped(String),
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// The next byte; 0 at the end, which no statement contains elsewhere.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub fn peek_after(&self, distance: usize) -> u8 {
        self.bytes.get(self.at + distance).copied().unwrap_or(0)
    }

    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at.min(self.bytes.len())..]
    }

    /// Past spaces and comments.
    #[inline]
    pub fn skip_space(&mut self) {
        loop {
            match self.peek() {
                b' ' | b'\n' | b'\t' | b'\r' | 0x0c | 0x0b => self.at += 1,
                b'-' if self.peek_after(1) == b'-' => {
                    let end = self.rest().iter().position(|byte| *byte == b'\n');
                    self.at += end.unwrap_or(self.rest().len());
                }
                b'/' if self.peek_after(1) == b'*' => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// Comments nest, as in PostgreSQL.
    fn skip_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(), self.peek_after(1)) {
                (b'/', b'*') => (depth, self.at) = (depth + 1, self.at + 2),
                (b'*', b'/') => (depth, self.at) = (depth - 1, self.at + 2),
                (0, _) if self.at >= self.bytes.len() => return,
                _ => self.at += 1,
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Takes this byte if it is the next after spaces.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, byte: u8) -> Result<(), QueryError> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// The word at the cursor, which stays: letters, digits, `_`, `$` and everything beyond ASCII.
    pub fn word(&self) -> &'a str {
        let rest = self.rest();
        let starts = rest.first().is_some_and(|byte| is_word_start(*byte));
        let length = if starts {
            rest.iter().position(|byte| !is_word_byte(*byte)).unwrap_or(rest.len())
        } else {
            0
        };
        &self.text[self.at..self.at + length]
    }

    /// Takes a keyword if it is the next word.
    pub fn take_keyword(&mut self, keyword: &str) -> bool {
        self.skip_space();
        let found = self.word().eq_ignore_ascii_case(keyword);
        if found {
            self.at += keyword.len();
        }
        found
    }

    pub fn expect_keyword(&mut self, keyword: &str) -> Result<(), QueryError> {
        if self.take_keyword(keyword) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Whether the next word is this keyword.
    pub fn sees_keyword(&mut self, keyword: &str) -> bool {
        self.skip_space();
        self.word().eq_ignore_ascii_case(keyword)
    }

    /// A name: folded to lower case unless quoted.
    pub fn identifier(&mut self) -> Result<String, QueryError> {
        self.skip_space();
        if matches!(self.peek(), b'"' | b'`') {
            return self.quoted_identifier();
        }
        let word = self.word();
        if word.is_empty() {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(word.to_lowercase())
    }

    fn quoted_identifier(&mut self) -> Result<String, QueryError> {
        let quote = self.peek();
        let start = self.at;
        let mut name = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(length) = rest.iter().position(|byte| *byte == quote) else {
                self.at = start;
                return Err(self.error("unterminated quoted identifier"));
            };
            name.push_str(&self.text[self.at..self.at + length]);
            self.at += length + 1;
            if self.peek() != quote {
                break;
            }
            name.push(char::from(quote));
            self.at += 1;
        }
        if name.is_empty() {
            self.at = start;
            return Err(self.error("zero-length delimited identifier"));
        }
        Ok(name)
    }

    /// A string at the cursor: `'…'`, `E'…'` or `$tag$…$tag$`. `None`: there is none.
    #[inline]
    pub fn string(&mut self) -> Result<Option<Literal>, QueryError> {
        match (self.peek(), self.peek_after(1)) {
            (b'\'', _) => self.plain_string().map(Some),
            (b'e' | b'E', b'\'') => self.escape_string().map(Some),
            (b'$', tag) if tag == b'$' || is_word_start(tag) => self.dollar_string(),
            _ => Ok(None),
        }
    }

    #[inline]
    fn plain_string(&mut self) -> Result<Literal, QueryError> {
        let start = self.at + 1;
        let Some(length) = self.bytes[start..].iter().position(|byte| *byte == b'\'') else {
            return Err(self.error("unterminated quoted string"));
        };
        if self.bytes.get(start + length + 1) != Some(&b'\'') {
            self.at = start + length + 1;
            return Ok(Literal::Plain(start, length));
        }
        let mut content = String::new();
        let mut from = start;
        loop {
            let Some(length) = self.bytes[from..].iter().position(|byte| *byte == b'\'') else {
                return Err(self.error("unterminated quoted string"));
            };
            content.push_str(&self.text[from..from + length]);
            from += length + 1;
            if self.bytes.get(from) != Some(&b'\'') {
                self.at = from;
                return Ok(Literal::Unescaped(content));
            }
            content.push('\'');
            from += 1;
        }
    }

    fn escape_string(&mut self) -> Result<Literal, QueryError> {
        let start = self.at;
        let mut content = Vec::new();
        self.at += 2;
        loop {
            let byte = self.peek();
            if byte == 0 && self.at >= self.bytes.len() {
                self.at = start;
                return Err(self.error("unterminated quoted string"));
            }
            self.at += 1;
            match (byte, self.peek()) {
                (b'\'', b'\'') => {
                    content.push(b'\'');
                    self.at += 1;
                }
                (b'\'', _) => break,
                (b'\\', escaped) => {
                    self.at += 1;
                    self.escape(escaped, &mut content)?;
                }
                _ => content.push(byte),
            }
        }
        match String::from_utf8(content) {
            Ok(content) => Ok(Literal::Unescaped(content)),
            Err(_) => {
                self.at = start;
                let message = "invalid byte sequence for encoding \"UTF8\"";
                Err(self.error_of(ErrorKind::CharacterNotInRepertoire, message))
            }
        }
    }

    /// After a backslash and the byte after it.
    fn escape(&mut self, escaped: u8, content: &mut Vec<u8>) -> Result<(), QueryError> {
        let (radix, most, backwards) = match escaped {
            b'0'..=b'7' => (8, 3, 1),
            b'x' => (16, 2, 0),
            b'u' => (16, 4, 0),
            b'U' => (16, 8, 0),
            plain => {
                content.push(match plain {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                });
                return Ok(());
            }
        };
        self.at -= backwards;
        let digits = self
            .rest()
            .iter()
            .take(most)
            .take_while(|byte| char::from(**byte).is_digit(radix))
            .count();
        let value = u32::from_str_radix(&self.text[self.at..self.at + digits], radix).ok();
        self.at += digits;
        let is_character = matches!(escaped, b'u' | b'U');
        match (value, is_character) {
            (Some(value), false) => content.push(value as u8), // three octal digits wrap, as in PostgreSQL
            (Some(value), true) if digits == most && char::from_u32(value).is_some() => {
                let character = char::from_u32(value).unwrap_or_default();
                content.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            (None, false) => content.push(escaped), // `\x` without digits is an x
            _ => return Err(self.error("invalid Unicode escape")),
        }
        Ok(())
    }

    fn dollar_string(&mut self) -> Result<Option<Literal>, QueryError> {
        let rest = self.rest();
        let tag = rest[1..].iter().position(|byte| !is_word_byte(*byte) || *byte == b'$');
        let Some(tag) = tag.filter(|length| rest[1 + length] == b'$') else {
            return Ok(None);
        };
        let marker = &rest[..tag + 2];
        let content = &rest[marker.len()..];
        let Some(length) = content.windows(marker.len()).position(|window| window == marker) else {
            return Err(self.error("unterminated dollar-quoted string"));
        };
        let start = self.at + marker.len();
        self.at = start + length + marker.len();
        Ok(Some(Literal::Plain(start, length)))
    }

    /// Past one token of any kind, whatever it means: strings, quoted names and comments as wholes.
    pub fn skip_token(&mut self) -> Result<(), QueryError> {
        match self.peek() {
            b'"' | b'`' => {
                self.quoted_identifier()?;
            }
            byte => {
                if self.string()?.is_some() {
                    return Ok(());
                }
                let word = self.word();
                if word.is_empty() {
                    // One character, which may be several bytes only in a word.
                    self.at += usize::from(byte != 0 || self.at < self.bytes.len());
                } else {
                    self.at += word.len();
                }
            }
        }
        Ok(())
    }

    /// Past an expression, to the comma or bracket that ends it.
    pub fn skip_expression(&mut self) -> Result<(), QueryError> {
        let mut depth = 0usize;
        loop {
            self.skip_space();
            match self.peek() {
                b',' | b')' if depth == 0 => return Ok(()),
                b';' if depth == 0 => return Err(self.unexpected()),
                0 if self.at >= self.bytes.len() => return Err(self.unexpected()),
                b'(' | b'[' => (depth, self.at) = (depth + 1, self.at + 1),
                b')' | b']' => (depth, self.at) = (depth.saturating_sub(1), self.at + 1),
                _ => self.skip_token()?,
            }
        }
    }

    /// A number at the cursor, if its text is one: the token, or `None` to read it as an expression.
    #[inline]
    pub fn number(&mut self) -> Option<Token> {
        let start = self.at + usize::from(self.peek() == b'+');
        if let Some((decimal, read)) = scan_decimal(&self.bytes[start..])
            && !matches!(
                self.bytes.get(start + read),
                Some(b'e' | b'E' | b'.' | b'_' | b'0'..=b'9')
            )
        {
            let pointless = decimal.scale == 0 && self.bytes[start + read - 1] != b'.';
            let value = if pointless {
                Value::Integer(decimal.mantissa)
            } else {
                Value::Decimal(decimal)
            };
            if let Some(token) = Token::new(value) {
                self.at = start + read;
                return Some(token);
            }
        }
        let length = number_length(&self.bytes[start..])?;
        self.at = start + length;
        Token::new(Value::Number(start, length))
    }

    /// What stands here should not.
    #[cold]
    pub fn unexpected(&mut self) -> QueryError {
        self.skip_space();
        let start = self.at;
        if start >= self.bytes.len() {
            return self.error("syntax error at end of input");
        }
        let mut after = self.clone();
        // A token that does not end is shown by its first character.
        if after.skip_token().is_err() || after.at <= start {
            after.at = start + self.text[start..].chars().next().map_or(1, char::len_utf8);
        }
        let token = self.text.get(start..after.at).unwrap_or_default();
        self.error(&format!("syntax error at or near \"{token}\""))
    }

    /// A syntax error here.
    #[cold]
    pub fn error(&self, message: &str) -> QueryError {
        self.error_of(ErrorKind::SyntaxError, message)
    }

    fn error_of(&self, kind: ErrorKind, message: &str) -> QueryError {
        QueryError::new(kind, message).with_position(position(self.text, self.at))
    }
}

/// The character at a byte, from 1.
pub fn position(text: &str, at: usize) -> usize {
    text.get(..at).map_or(text.len(), |before| before.chars().count()) + 1
}

#[inline]
fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

#[inline]
fn is_word_byte(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// The length of a number with digits, point and exponent.
fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let start = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(start);
    let mut at = start + whole;
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = bytes
            .get(at + 1 + sign..)
            .map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    if bytes.get(at).is_some_and(|byte| is_word_byte(*byte)) {
        return None;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(sql: &str) -> Option<String> {
        let mut cursor = Cursor::new(sql);
        match cursor.string().unwrap()? {
            Literal::Plain(start, length) => Some(sql[start..start + length].to_owned()),
            Literal::Unescaped(text) => Some(text),
        }
    }

    #[test]
    fn strings_are_those_of_postgres() {
        for (sql, expected) in [
            ("'a'", "a"),
            ("'it''s'", "it's"),
            ("''''", "'"),
            ("'a\\n'", "a\\n"),
            ("E'a\\n\\'\\x41\\101\\u00e4'", "a\n'AAä"),
            ("$$a'b$$", "a'b"),
            ("$t$a$$b$t$", "a$$b"),
            ("''", ""),
        ] {
            assert_eq!(content(sql).as_deref(), Some(expected), "{sql}");
        }
        assert_eq!(content("$1"), None);
        assert!(Cursor::new("'a").string().is_err());
        assert!(Cursor::new("E'\\xff'").string().is_err());
        assert!(Cursor::new("$$a").string().is_err());
    }

    #[test]
    fn numbers_stay_in_the_token_while_they_fit() {
        let number = |sql: &str| Cursor::new(sql).number().map(Token::value);
        assert_eq!(number("42,"), Some(Value::Integer(42)));
        assert_eq!(number("-7)"), Some(Value::Integer(-7)));
        assert_eq!(number("+7)"), Some(Value::Integer(7)));
        assert_eq!(
            number("10.50"),
            Some(Value::Decimal(Decimal {
                mantissa: 1050,
                scale: 2
            }))
        );
        assert_eq!(number("1e5"), Some(Value::Number(0, 3)));
        assert_eq!(number("1760000000123456789"), Some(Value::Number(0, 19)));
        assert_eq!(number("1e"), None);
        assert_eq!(number("5x"), Some(Value::Integer(5))); // what follows is the caller's to refuse
        assert_eq!(number("-x"), None);
    }

    #[test]
    fn comments_nest_and_words_fold() {
        let mut cursor = Cursor::new(" /* a /* b */ c */ -- d\n Insert \"Into\" ÄB");
        assert!(cursor.take_keyword("INSERT"));
        assert_eq!(cursor.identifier().unwrap(), "Into");
        assert_eq!(cursor.identifier().unwrap(), "äb");
        assert_eq!(cursor.unexpected().message, "syntax error at end of input");
    }

    proptest! {
        #[test]
        fn tokens_hold_what_they_are_given(value in -INTEGER_MAX..INTEGER_MAX, mantissa in -MANTISSA_MAX..MANTISSA_MAX,
                                           scale in 0u32..19, offset in 0usize..u32::MAX as usize, length in 0usize..1 << 28) {
            for value in [
                Value::Integer(value),
                Value::Decimal(Decimal { mantissa, scale }),
                Value::Text(offset, length),
                Value::Number(offset, length),
                Value::Parameter(offset),
            ] {
                prop_assert_eq!(Token::new(value).unwrap().value(), value);
            }
        }

        #[test]
        fn no_text_makes_it_panic(sql in "[ a-zE'\"$\\\\(),;\\-*/0-9é]{0,40}") {
            let mut cursor = Cursor::new(&sql);
            while cursor.at < sql.len() {
                let before = cursor.at;
                cursor.skip_space();
                if cursor.skip_token().is_err() || cursor.at <= before { break; }
            }
            let _ = Cursor::new(&sql).skip_expression();
            let _ = Cursor::new(&sql).unexpected();
        }
    }
}
