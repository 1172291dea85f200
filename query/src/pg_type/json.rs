//! JSON: `json` keeps its text, `jsonb` is kept as PostgreSQL prints it.
//!
//! That is: one space behind each colon and comma and no other, the keys of an object by length and then by bytes, of equal keys the last, numbers as
//! numerics print them, strings with the fewest escapes.

use std::borrow::Cow;

use super::numeric::Numeric;
use crate::{ErrorKind, QueryError};

/// Objects and arrays within each other. PostgreSQL's limit is its stack; a hostile text must not reach ours, which is 2 MiB in a thread.
const DEPTH_MAX: usize = 128;

/// Refuses what is no JSON.
pub fn check(text: &str) -> Result<(), QueryError> {
    Parser::new(text).document().map(|_| ())
}

/// The text as `jsonb` has it.
pub fn normalized(text: &str) -> Result<String, QueryError> {
    let node = Parser {
        escapes_must_be_text: true,
        ..Parser::new(text)
    }
    .document()?;
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    write(&node, &mut out)?;
    Ok(out)
}

enum Node<'a> {
    /// null, true, false
    Word(&'static str),
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// What `jsonb` asks for: `\u0000` and halves of pairs are no text.
    escapes_must_be_text: bool,
}

fn invalid(detail: String) -> QueryError {
    QueryError::new(
        ErrorKind::InvalidTextRepresentation,
        "invalid input syntax for type json",
    )
    .with_detail(detail)
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        Parser {
            text,
            at: 0,
            depth: 0,
            escapes_must_be_text: false,
        }
    }

    fn document(mut self) -> Result<Node<'a>, QueryError> {
        let node = self.value()?;
        self.space();
        match self.peek() {
            None => Ok(node),
            Some(_) => Err(self.unexpected("end of input")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, expected: &str) -> QueryError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            return invalid("The input string ended unexpectedly.".into());
        };
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let length = match word(first) {
            true => rest.find(|letter| !word(letter)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let token: String = rest[..length].chars().take(40).collect();
        let known = matches!(token.as_str(), "true" | "false" | "null");
        match expected {
            // A word that is none of JSON's is refused before its place is looked at.
            _ if first.is_alphabetic() && !known => invalid(format!("Token \"{token}\" is invalid.")),
            "" => invalid(format!("Token \"{token}\" is invalid.")),
            expected => invalid(format!("Expected {expected}, but found \"{token}\".")),
        }
    }

    fn value(&mut self) -> Result<Node<'a>, QueryError> {
        self.space();
        match self.peek() {
            Some(b'{') => self.nested(Parser::object),
            Some(b'[') => self.nested(Parser::array),
            Some(b'"') => self.string().map(Node::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for word in ["null", "true", "false"] {
                    let rest = &self.text[self.at..];
                    let after = rest.strip_prefix(word);
                    if after.is_some_and(|after| {
                        !after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
                    }) {
                        self.at += word.len();
                        return Ok(Node::Word(word));
                    }
                }
                match self.peek() {
                    Some(first) if first.is_ascii_alphanumeric() => Err(self.unexpected("")),
                    _ => Err(self.unexpected("JSON value")),
                }
            }
        }
    }

    fn nested(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Node<'a>, QueryError>,
    ) -> Result<Node<'a>, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(QueryError::new(
                ErrorKind::ProgramLimitExceeded,
                format!("JSON is nested more than {DEPTH_MAX} levels deep"),
            ));
        }
        self.at += 1;
        let node = inner(self)?;
        self.depth -= 1;
        Ok(node)
    }

    /// Goes past a comma, or the closing bracket: whether there is more.
    fn more(&mut self, close: u8, expected: &str) -> Result<bool, QueryError> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(found) if found == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn array(&mut self) -> Result<Node<'a>, QueryError> {
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value()?);
            if !self.more(b']', "\",\" or \"]\"")? {
                return Ok(Node::Array(items));
            }
        }
    }

    fn object(&mut self) -> Result<Node<'a>, QueryError> {
        let mut members = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                let expected = if members.is_empty() {
                    "string or \"}\""
                } else {
                    "string"
                };
                return Err(self.unexpected(expected));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("\":\""));
            }
            self.at += 1;
            members.push((key, self.value()?));
            if !self.more(b'}', "\",\" or \"}\"")? {
                return Ok(Node::Object(members));
            }
        }
    }

    fn number(&mut self) -> Result<Node<'a>, QueryError> {
        let start = self.at;
        let digits = |parser: &mut Self| -> bool {
            let from = parser.at;
            while parser.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                parser.at += 1;
            }
            parser.at > from
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let mut good = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                true
            }
            _ => digits(self),
        };
        if self.peek() == Some(b'.') {
            self.at += 1;
            good &= digits(self);
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            good &= digits(self);
        }
        let more = self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80);
        if !good || more {
            self.at = start;
            return Err(self.unexpected(""));
        }
        Ok(Node::Number(&self.text[start..self.at]))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, QueryError> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let plain = |byte: &u8| *byte != b'"' && *byte != b'\\' && *byte >= 0x20;
        let length = bytes[start..].iter().take_while(|byte| plain(byte)).count();
        self.at += length;
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..start + length]));
        }
        let mut text = self.text[start..self.at].to_string();
        loop {
            match self.peek() {
                None => return Err(self.unexpected("")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut text)?;
                }
                Some(control) if control < 0x20 => {
                    return Err(invalid(format!(
                        "Character with value 0x{control:02x} must be escaped."
                    )));
                }
                Some(_) => {
                    let from = self.at;
                    self.at += bytes[from..].iter().take_while(|byte| plain(byte)).count();
                    text.push_str(&self.text[from..self.at]);
                }
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), QueryError> {
        let letter = self.peek();
        self.at += 1;
        out.push(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(out),
            Some(_) => {
                let rest = self.text.get(self.at - 1..).unwrap_or_default();
                let shown: String = rest.chars().take(1).collect();
                return Err(invalid(format!("Escape sequence \"\\{shown}\" is invalid.")));
            }
            None => return Err(self.unexpected("")),
        });
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, QueryError> {
        let digits = self.text.get(self.at..self.at + 4);
        let value = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        value.ok_or_else(|| invalid("\"\\u\" must be followed by four hexadecimal digits.".into()))
    }

    fn unicode(&mut self, out: &mut String) -> Result<(), QueryError> {
        let first = self.hex()?;
        let code = match first {
            0xD800..=0xDBFF if self.text[self.at.min(self.text.len())..].starts_with("\\u") => {
                self.at += 2;
                match self.hex()? {
                    second @ 0xDC00..=0xDFFF => 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00),
                    _ => return Err(invalid("Unicode low surrogate must follow a high surrogate.".into())),
                }
            }
            other => other,
        };
        match char::from_u32(code).filter(|letter| *letter != '\0') {
            Some(letter) => out.push(letter),
            // As json it is a text like any other.
            None if !self.escapes_must_be_text => {}
            None if code == 0 => {
                return Err(QueryError::new(
                    ErrorKind::UntranslatableCharacter,
                    "unsupported Unicode escape sequence",
                )
                .with_detail("\\u0000 cannot be converted to text."));
            }
            None => return Err(invalid("Unicode low surrogate must follow a high surrogate.".into())),
        }
        Ok(())
    }
}

fn write(node: &Node<'_>, out: &mut String) -> Result<(), QueryError> {
    match node {
        Node::Word(word) => out.push_str(word),
        Node::Number(digits) => {
            // Most numbers are printed as they are written.
            if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                out.push_str(digits);
                return Ok(());
            }
            let value = Numeric::parse(digits).map_err(|error| crate::functions::numeric::refused(error, digits))?;
            let mut text = Vec::new();
            value.write(&mut text);
            out.push_str(&String::from_utf8_lossy(&text));
        }
        Node::Text(text) => write_string(text, out),
        Node::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push_str(", ");
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Node::Object(members) => {
            let mut sorted: Vec<&(Cow<'_, str>, Node<'_>)> = members.iter().collect();
            // Stable: of equal keys the last stays last.
            sorted.sort_by(|(left, _), (right, _)| (left.len(), left).cmp(&(right.len(), right)));
            out.push('{');
            let mut first = true;
            for (place, (key, value)) in sorted.iter().enumerate() {
                if sorted.get(place + 1).is_some_and(|(next, _)| next == key) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push_str(", ");
                }
                write_string(key, out);
                out.push_str(": ");
                write(value, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        normalized(text).unwrap_or_else(|error| format!("{}: {}", error.message, error.detail.unwrap_or_default()))
    }

    /// What PostgreSQL 15 prints.
    #[test]
    fn jsonb_is_printed_in_one_way() {
        for (given, expected) in [
            ("{\"b\": 1, \"a\":  [1,2]}", "{\"a\": [1, 2], \"b\": 1}"),
            ("{\"aa\":1,\"b\":2,\"a\":3}", "{\"a\": 3, \"b\": 2, \"aa\": 1}"),
            ("{\"a\":1,\"a\":2}", "{\"a\": 2}"),
            (" [ 1.50 , 1e3, -0.5e-2,0 ] ", "[1.50, 1000, -0.005, 0]"),
            ("\"\\u00e4\\/\\n\\u0001\"", "\"ä/\\n\\u0001\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
            ("{ }", "{}"),
            ("[]", "[]"),
            ("null", "null"),
            (" true", "true"),
            ("-0", "0"),
        ] {
            assert_eq!(shown(given), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_json() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "1.",
            "-",
            "1e",
            "nul",
            "truex",
            "\"",
            "\"\\x\"",
            "\"\n\"",
            "[1 2]",
            "{\"a\":1,}",
            "\"\\u12\"",
            "1 2",
            "'a'",
            ".5",
            "+1",
            "\"\\ud800\"",
            "NaN",
        ] {
            assert!(normalized(text).is_err(), "{text}");
        }
        assert_eq!(
            shown("{"),
            "invalid input syntax for type json: The input string ended unexpectedly."
        );
        assert_eq!(
            shown("xyz"),
            "invalid input syntax for type json: Token \"xyz\" is invalid."
        );
        assert!(check("\"\\u0000\"").is_ok());
        assert_eq!(
            normalized("\"\\u0000\"").unwrap_err().kind,
            ErrorKind::UntranslatableCharacter
        );
        assert!(normalized(&"[".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_normal_stays(text in "[\\[\\]{}\":, 0-9a-c\\\\u.e-]{0,30}") {
            if let Ok(once) = normalized(&text) {
                proptest::prop_assert_eq!(normalized(&once).unwrap(), once);
            }
        }

        #[test]
        fn serde_agrees_on_what_is_json(text in "[\\[\\]{}\":, 0-9a-c\\\\u.e-]{0,20}") {
            let ours = check(&text).is_ok();
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            // Numbers beyond a double, and halves of pairs, are JSON all the same.
            proptest::prop_assert!(ours || !theirs, "{}", text);
        }
    }
}
