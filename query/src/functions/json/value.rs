//! A JSON value in memory: read from text, looked into, changed, and written as `json` or `jsonb` writes it.
//!
//! Numbers stay the digits that were written, so that none are lost; `jsonb` writes them without exponent and compares them by value.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::{ErrorKind, QueryError};

/// Arrays and objects inside each other at most: what a thread's stack holds with room to spare.
const DEPTH_MAX: usize = 512;

#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// In the order in which it was written, with repeated names, until [`Json::normalized`].
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Result<Json, QueryError> {
        let mut reader = Reader {
            bytes: text.as_bytes(),
            text,
            at: 0,
        };
        let value = reader.value(0).and_then(|value| {
            reader.spaces();
            (reader.at == text.len()).then_some(value)
        });
        value.ok_or_else(|| {
            let rest: String = text[reader.at.min(text.len())..].chars().take(20).collect();
            QueryError::new(
                ErrorKind::InvalidTextRepresentation,
                "invalid input syntax for type json",
            )
            .with_detail(match rest.is_empty() {
                true => "The input string ended unexpectedly.".to_string(),
                false => format!(
                    "Token \"{}\" is invalid.",
                    rest.split_whitespace().next().unwrap_or(&rest)
                ),
            })
        })
    }

    /// As `jsonb` keeps it: of equal names the last, names by length and then by bytes.
    pub fn normalized(self) -> Json {
        match self {
            Json::Array(elements) => Json::Array(elements.into_iter().map(Json::normalized).collect()),
            Json::Object(fields) => Json::Object(by_name(
                fields
                    .into_iter()
                    .map(|(name, value)| (name, value.normalized()))
                    .collect(),
            )),
            Json::Number(digits) => Json::Number(written_out(&digits)),
            other => other,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// The field of this name, of several the last.
    pub fn field(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The element at a place, counted from the end where it is negative.
    pub fn element(&self, place: i64) -> Option<&Json> {
        match self {
            Json::Array(elements) => elements.get(at(place, elements.len())?),
            _ => None,
        }
    }

    /// What a step of a path leads to: a name in an object, a number in an array.
    pub fn step(&self, step: &str) -> Option<&Json> {
        match self {
            Json::Object(_) => self.field(step),
            Json::Array(_) => self.element(step.parse().ok()?),
            _ => None,
        }
    }

    /// As text: of a string its characters, of null nothing.
    pub fn text(&self) -> Option<String> {
        match self {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.written()),
        }
    }

    /// As `jsonb` writes it: `{"a": 1, "b": [1, 2]}`.
    pub fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(digits) => out.push_str(digits),
            Json::String(text) => write_string(text, out),
            Json::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    element.write(out);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (place, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    write_string(name, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// As `to_json` and `row_to_json` write it: without spaces.
    pub fn compact(&self) -> String {
        let mut out = String::new();
        self.write_compact(&mut out);
        out
    }

    fn write_compact(&self, out: &mut String) {
        match self {
            Json::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    element.write_compact(out);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (place, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    write_string(name, out);
                    out.push(':');
                    value.write_compact(out);
                }
                out.push('}');
            }
            plain => plain.write(out),
        }
    }

    /// As `jsonb_pretty` writes it.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(0, &mut out);
        out
    }

    fn write_pretty(&self, depth: usize, out: &mut String) {
        let line = |depth: usize, out: &mut String| {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', depth * 4));
        };
        match self {
            Json::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    line(depth + 1, out);
                    element.write_pretty(depth + 1, out);
                }
                line(depth, out);
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (place, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    line(depth + 1, out);
                    write_string(name, out);
                    out.push_str(": ");
                    value.write_pretty(depth + 1, out);
                }
                line(depth, out);
                out.push('}');
            }
            plain => plain.write(out),
        }
    }

    /// Whether this contains `part`, as `@>` means it.
    pub fn contains(&self, part: &Json) -> bool {
        match (self, part) {
            (Json::Array(elements), plain) if !matches!(plain, Json::Array(_) | Json::Object(_)) => {
                // An array contains a plain value that is one of its elements.
                elements.iter().any(|element| element == plain)
            }
            _ => self.holds(part),
        }
    }

    fn holds(&self, part: &Json) -> bool {
        match (self, part) {
            (Json::Object(_), Json::Object(wanted)) => wanted
                .iter()
                .all(|(name, wanted)| self.field(name).is_some_and(|field| field.holds(wanted))),
            (Json::Array(elements), Json::Array(wanted)) => wanted
                .iter()
                .all(|wanted| elements.iter().any(|element| element.holds(wanted))),
            (value, part) => value == part,
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Null, Json::Null) => true,
            (Json::Bool(a), Json::Bool(b)) => a == b,
            (Json::Number(a), Json::Number(b)) => a == b || digits(a) == digits(b),
            (Json::String(a), Json::String(b)) => a == b,
            (Json::Array(a), Json::Array(b)) => a == b,
            (Json::Object(a), Json::Object(b)) => a == b,
            _ => false,
        }
    }
}

/// The place in a list that a number from PostgreSQL means.
pub fn at(place: i64, length: usize) -> Option<usize> {
    match place < 0 {
        true => length.checked_sub(usize::try_from(place.unsigned_abs()).ok()?),
        false => usize::try_from(place).ok().filter(|place| *place < length),
    }
}

/// Fields in `jsonb`'s order, of equal names the last.
pub fn by_name(mut fields: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let order = |a: &str, b: &str| -> Ordering { a.len().cmp(&b.len()).then_with(|| a.cmp(b)) };
    // A stable sort of the reversed list puts the last of equal names first, where dedup keeps it.
    fields.reverse();
    fields.sort_by(|(a, _), (b, _)| order(a, b));
    fields.dedup_by(|(later, _), (earlier, _)| later == earlier);
    fields
}

/// Sign, digits without zeros at either end, and the power of ten of the first: equal for equal numbers.
fn digits(number: &str) -> (bool, String, i64) {
    let (negative, rest) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().unwrap_or(0)),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let leading = all.bytes().take_while(|digit| *digit == b'0').count();
    let kept = all[leading..].trim_end_matches('0').to_string();
    if kept.is_empty() {
        return (false, kept, 0);
    }
    (negative, kept, whole.len() as i64 - leading as i64 + exponent)
}

/// A number without exponent, as `numeric` writes it; one too long for that stays as it is.
fn written_out(number: &str) -> String {
    const DIGITS_MAX: i64 = 1_000;
    let Some(at) = number.find(['e', 'E']) else {
        return match number.trim_start_matches('-') {
            zero if zero.bytes().all(|byte| matches!(byte, b'0' | b'.')) => zero.to_string(),
            _ => number.to_string(),
        };
    };
    let exponent: i64 = number[at + 1..].parse().unwrap_or(i64::MAX);
    if exponent.abs() > DIGITS_MAX {
        return number.to_string();
    }
    let mantissa = &number[..at];
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = whole.len() as i64 + exponent;
    let all = format!("{whole}{fraction}");
    let length = all.len() as i64;
    let plain = if point <= 0 {
        format!("0.{}{all}", "0".repeat(point.unsigned_abs() as usize))
    } else if point >= length {
        format!("{all}{}", "0".repeat((point - length) as usize))
    } else {
        format!("{}.{}", &all[..point as usize], &all[point as usize..])
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

/// A string in quotes, with what must be escaped.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn spaces(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn next(&mut self, wanted: u8) -> Option<()> {
        self.spaces();
        (self.bytes.get(self.at) == Some(&wanted)).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.spaces();
        match self.bytes.get(self.at)? {
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'"' => self.string().map(Json::String),
            b'[' => {
                self.at += 1;
                let mut elements = Vec::new();
                if self.next(b']').is_some() {
                    return Some(Json::Array(elements));
                }
                loop {
                    elements.push(self.value(depth + 1)?);
                    if self.next(b',').is_none() {
                        self.next(b']')?;
                        return Some(Json::Array(elements));
                    }
                }
            }
            b'{' => {
                self.at += 1;
                let mut fields = Vec::new();
                if self.next(b'}').is_some() {
                    return Some(Json::Object(fields));
                }
                loop {
                    self.spaces();
                    let name = self.string()?;
                    self.next(b':')?;
                    fields.push((name, self.value(depth + 1)?));
                    if self.next(b',').is_none() {
                        self.next(b'}')?;
                        return Some(Json::Object(fields));
                    }
                }
            }
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        let digits = |reader: &mut Self| -> usize {
            let from = reader.at;
            while reader.bytes.get(reader.at).is_some_and(u8::is_ascii_digit) {
                reader.at += 1;
            }
            reader.at - from
        };
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        let first = self.bytes.get(self.at).copied();
        let whole = digits(self);
        if whole == 0 || whole > 1 && first == Some(b'0') {
            return None;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if digits(self) == 0 {
                return None;
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if digits(self) == 0 {
                return None;
            }
        }
        Some(Json::Number(self.text[start..self.at].to_string()))
    }

    fn string(&mut self) -> Option<String> {
        (self.bytes.get(self.at) == Some(&b'"')).then(|| self.at += 1)?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|letter: char| matches!(letter, '"' | '\\') || u32::from(letter) < 0x20)?;
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => {
                    let escape = *self.bytes.get(self.at + 1)?;
                    self.at += 2;
                    out.push(match escape {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.unicode()?,
                        _ => return None,
                    });
                }
                _ => return None,
            }
        }
    }

    /// Four hexadecimal digits, twice for a character beyond the first 65,536. Not zero, which no text can hold.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four()?;
        if (0xD800..0xDC00).contains(&first) {
            self.text[self.at..].starts_with("\\u").then(|| self.at += 2)?;
            let second = self.four()?;
            if !(0xDC00..0xE000).contains(&second) {
                return None;
            }
            return char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
        }
        char::from_u32(first).filter(|letter| *letter != '\0')
    }

    fn four(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| all_hex)?;
        self.at += 4;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(text: &str) -> String {
        Json::parse(text).unwrap().normalized().written()
    }

    #[test]
    fn written_as_jsonb_writes() {
        for (text, expected) in [
            (r#"{"bb":1,   "a":[1,2, null]}"#, r#"{"a": [1, 2, null], "bb": 1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a": 2}"#),
            ("1.50", "1.50"),
            ("1e3", "1000"),
            ("-1.5E-3", "-0.0015"),
            ("-0", "0"),
            (r#""\u00e9\n\ud83d\ude00""#, "\"é\\n😀\""),
        ] {
            assert_eq!(normalized(text), expected);
        }
    }

    #[test]
    fn what_is_no_json() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "{bad",
            "01",
            "1.",
            "[1,]",
            "\"\\u0000\"",
            "'x'",
            "1 2",
            "nul",
            deep.as_str(),
        ] {
            assert!(Json::parse(text).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn containment() {
        let holds = |value: &str, part: &str| Json::parse(value).unwrap().contains(&Json::parse(part).unwrap());
        assert!(holds(r#"{"a":1,"b":{"c":[1,2]}}"#, r#"{"b":{"c":[2]}}"#));
        assert!(!holds(r#"{"a":1}"#, r#"{"a":2}"#));
        assert!(holds("[1,2,3]", "3.0"));
        assert!(!holds("[1,2,3]", "[4]"));
        assert!(!holds("[[1]]", "1"));
    }
}
