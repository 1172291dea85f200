//! Numbers in a pattern: `to_char(1485, '9,999')` and `to_number('1,485', '9,999')`.
//!
//! The rules are PostgreSQL's, position by position: where a digit, a space or the sign goes is decided at each 9 and 0 of the pattern.

use datafusion::common::ScalarValue;

use super::signature::{Args, Entry, Kind, Overload, numeric, refuse, text};
use crate::{ErrorKind, QueryError};

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Nine,
    Zero,
    Point,
    Comma,
    Currency,
    Roman {
        lower: bool,
    },
    Ordinal {
        lower: bool,
    },
    Minus,
    Plus,
    Sign,
    /// S and PR: where they write is decided at the digits.
    Anchored,
    Literal(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Anchor {
    #[default]
    None,
    Before,
    After,
}

/// A pattern read.
#[derive(Debug, Default)]
struct Pattern {
    parts: Vec<Part>,
    before_point: usize,
    after_point: usize,
    /// The place of the first 0 before the point, and of the last anywhere, from 1.
    zero_first: usize,
    zero_last: usize,
    shifted: u32,
    anchor: Anchor,
    has_point: bool,
    bare: bool,
    bracket: bool,
    minus: bool,
    plus: bool,
    roman: bool,
    exponent: bool,
    shifts: bool,
}

fn syntax<T>(message: &str) -> Result<T, QueryError> {
    refuse(ErrorKind::SyntaxError, message)
}

impl Pattern {
    fn read(pattern: &str) -> Result<Pattern, QueryError> {
        let mut read = Pattern::default();
        let mut anchored_at = 0;
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let starts = |word: &str| {
                rest.get(..word.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(word))
            };
            let length;
            if let Some(quoted) = rest.strip_prefix('"') {
                let mut inside = String::new();
                let mut taken = 1;
                let mut letters = quoted.chars();
                while let Some(letter) = letters.next() {
                    taken += letter.len_utf8();
                    match letter {
                        '"' => break,
                        '\\' => {
                            if let Some(next) = letters.next() {
                                taken += next.len_utf8();
                                inside.push(next);
                            }
                        }
                        other => inside.push(other),
                    }
                }
                read.parts.push(Part::Literal(inside));
                rest = &rest[taken..];
                continue;
            } else if starts("\\\"") {
                read.parts.push(Part::Literal("\"".into()));
                length = 2;
            } else if starts("EEEE") {
                if read.exponent {
                    return syntax("cannot use \"EEEE\" twice");
                }
                read.exponent = true;
                length = 4;
            } else if starts("FM") {
                read.bare = true;
                length = 2;
            } else if starts("TH") {
                read.parts.push(Part::Ordinal {
                    lower: rest.starts_with("th"),
                });
                length = 2;
            } else if starts("MI") {
                read.minus = true;
                read.parts.push(Part::Minus);
                length = 2;
            } else if starts("PL") {
                read.plus = true;
                read.parts.push(Part::Plus);
                length = 2;
            } else if starts("SG") {
                (read.minus, read.plus) = (true, true);
                read.parts.push(Part::Sign);
                length = 2;
            } else if starts("PR") {
                read.bracket = true;
                read.parts.push(Part::Anchored);
                length = 2;
            } else if starts("RN") {
                read.roman = true;
                read.parts.push(Part::Roman {
                    lower: rest.starts_with("rn"),
                });
                length = 2;
            } else {
                length = first.len_utf8();
                match first.to_ascii_uppercase() {
                    '9' if read.bracket => return syntax("\"9\" must be ahead of \"PR\""),
                    '9' => {
                        match (read.shifts, read.has_point) {
                            (true, _) => read.shifted += 1,
                            (_, true) => read.after_point += 1,
                            _ => read.before_point += 1,
                        }
                        read.parts.push(Part::Nine);
                    }
                    '0' => {
                        if read.zero_first == 0 && !read.has_point {
                            read.zero_first = read.before_point + 1;
                        }
                        match (read.shifts, read.has_point) {
                            (true, _) => read.shifted += 1,
                            (_, true) => read.after_point += 1,
                            _ => read.before_point += 1,
                        }
                        read.zero_last = read.before_point + read.after_point;
                        read.parts.push(Part::Zero);
                    }
                    '.' | 'D' => {
                        if read.has_point {
                            return syntax("multiple decimal points");
                        }
                        if read.shifts {
                            return syntax("cannot use \"V\" and decimal point together");
                        }
                        read.has_point = true;
                        read.parts.push(Part::Point);
                    }
                    ',' | 'G' => read.parts.push(Part::Comma),
                    'L' => read.parts.push(Part::Currency),
                    'S' => {
                        if read.anchor != Anchor::None {
                            return syntax("cannot use \"S\" twice");
                        }
                        read.anchor = if read.has_point { Anchor::After } else { Anchor::Before };
                        anchored_at = read.before_point;
                        read.parts.push(Part::Anchored);
                    }
                    'V' => {
                        if read.has_point {
                            return syntax("cannot use \"V\" and decimal point together");
                        }
                        read.shifts = true;
                    }
                    'B' => {}
                    _ => read.parts.push(Part::Literal(first.to_string())),
                }
            }
            rest = &rest[length..];
        }
        read.before_point += read.shifted as usize;
        if read.anchor == Anchor::Before && anchored_at > 0 && anchored_at == read.before_point {
            read.anchor = Anchor::After;
        }
        if read.anchor != Anchor::None && (read.plus || read.minus || read.bracket) {
            return syntax("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        }
        Ok(read)
    }
}

/// A number without its sign, rounded to the digits that the pattern has after its point.
struct Digits {
    negative: bool,
    /// With a point where there is one, at least one digit before it.
    text: String,
}

/// `digits / 10^scale` with `places` digits after the point, halves away from zero.
fn rounded(digits: i128, scale: u32, places: u32, shifted: u32) -> Option<Digits> {
    let mut magnitude = digits.unsigned_abs();
    let mut scale = scale;
    let mut shift = shifted;
    while shift > 0 && scale > 0 {
        (scale, shift) = (scale - 1, shift - 1);
    }
    magnitude = magnitude.checked_mul(10u128.checked_pow(shift)?)?;
    if scale > places {
        let unit = 10u128.checked_pow(scale - places)?;
        magnitude = magnitude.checked_add(unit / 2)? / unit;
        scale = places;
    }
    let mut written = magnitude.to_string();
    let scale = scale as usize;
    if written.len() <= scale {
        written = format!("{}{written}", "0".repeat(scale + 1 - written.len()));
    }
    let point = written.len() - scale;
    let fraction = format!("{:0<places$}", &written[point..], places = places as usize);
    let text = match fraction.is_empty() {
        true => written,
        false => format!("{}.{fraction}", &written[..point]),
    };
    Some(Digits {
        negative: digits < 0,
        text,
    })
}

fn rounded_float(value: f64, places: usize, shifted: u32) -> Digits {
    let value = value * 10f64.powi(shifted as i32);
    Digits {
        negative: value < 0.0,
        text: format!("{:.places$}", value.abs()),
    }
}

/// `4.86e-04`.
fn scientific(text: &str, places: usize) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = if places > 0 { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{whole}{point}{fraction:0<places$}e{sign}{:02}", exponent.abs())
}

fn roman(number: i64) -> String {
    const LETTERS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..4000).contains(&number) {
        return "#".repeat(15);
    }
    let mut rest = number;
    let mut out = String::new();
    for (value, letters) in LETTERS {
        while rest >= value {
            out.push_str(letters);
            rest -= value;
        }
    }
    out
}

/// `st`, `nd`, `rd` or `th`, after the digits of a number.
pub fn ordinal(digits: &str, lower: bool) -> &'static str {
    let last = digits.bytes().next_back().unwrap_or(b'0');
    let teen = digits.len() > 1 && digits.as_bytes()[digits.len() - 2] == b'1';
    let letters = match if teen { b'0' } else { last } {
        b'1' => ("ST", "st"),
        b'2' => ("ND", "nd"),
        b'3' => ("RD", "rd"),
        _ => ("TH", "th"),
    };
    if lower { letters.1 } else { letters.0 }
}

/// Where the writing stands.
struct Writer<'a> {
    pattern: &'a Pattern,
    number: Vec<char>,
    negative: bool,
    /// The next character of the number.
    at: usize,
    /// The next position of the pattern.
    position: usize,
    spaces: usize,
    count: usize,
    /// The last character of the number that must be shown, with FM.
    relevant: Option<usize>,
    sign_written: bool,
    bracket: bool,
    began: bool,
    out: String,
}

impl Writer<'_> {
    fn sign(&self) -> char {
        if self.negative { '-' } else { '+' }
    }

    /// A single zero before the point is left to the pattern.
    fn hides_zero(&self) -> bool {
        self.pattern.zero_first == 0
            && self.at == 0
            && self.number.first() == Some(&'0')
            && self.pattern.after_point != 0
    }

    fn ends_in_point(&self) -> bool {
        self.relevant.is_some_and(|at| self.number.get(at) == Some(&'.'))
    }

    fn write_sign(&mut self) {
        match self.pattern.anchor {
            Anchor::Before => {
                self.out.push(self.sign());
                self.sign_written = true;
            }
            Anchor::After => {}
            Anchor::None => {
                match (self.bracket, self.negative) {
                    (true, true) => self.out.push('<'),
                    (true, false) => self.out.push(' '),
                    (false, true) => self.out.push('-'),
                    (false, false) if !self.pattern.bare => self.out.push(' '),
                    (false, false) => {}
                }
                self.sign_written = true;
            }
        }
    }

    fn digit(&mut self, is_zero: bool) {
        let has_zero = self.pattern.zero_first > 0;
        let zero_first = self.pattern.zero_first.saturating_sub(1);
        let reached = self.position >= self.spaces || has_zero && zero_first == self.position;
        if !self.sign_written && reached && (!self.hides_zero() || self.ends_in_point()) {
            self.write_sign();
        }
        if self.position < self.spaces && (!has_zero || zero_first > self.position) {
            if !self.pattern.bare {
                self.out.push(' ');
            }
        } else if has_zero && self.position < self.spaces {
            self.out.push('0');
            self.began = true;
        } else {
            match self.number.get(self.at) {
                Some('.') if !self.ends_in_point() || self.pattern.bare => self.out.push('.'),
                Some('.') => {}
                Some(digit) => {
                    if self.relevant.is_some_and(|relevant| self.at > relevant) && !is_zero {
                        // Not shown with FM.
                    } else if self.hides_zero() {
                        if !self.pattern.bare {
                            self.out.push(' ');
                        } else if self.ends_in_point() {
                            self.out.push('0');
                        }
                    } else {
                        self.out.push(*digit);
                        self.began = true;
                    }
                }
                None => {}
            }
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        let mut end = self.count + usize::from(self.spaces > 0) + usize::from(self.pattern.has_point);
        if self.relevant == Some(self.at) {
            end = self.position;
        }
        if self.position + 1 == end {
            if self.sign_written && self.bracket {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.pattern.anchor == Anchor::After {
                self.out.push(self.sign());
            }
        }
        self.position += 1;
    }
}

fn written(pattern: &Pattern, digits: &Digits) -> String {
    let number = &digits.text;
    let whole = number.find('.').unwrap_or(number.len());
    let (number, spaces) = if whole > pattern.before_point {
        let hashes = "#".repeat(pattern.before_point);
        match pattern.has_point || pattern.after_point > 0 {
            true => (format!("{hashes}.{}", "#".repeat(pattern.after_point)), 0),
            false => (hashes, 0),
        }
    } else {
        (number.clone(), pattern.before_point - whole)
    };
    let number: Vec<char> = number.chars().collect();
    let negative = digits.negative;
    let sign_written = match pattern.plus || pattern.minus {
        true => pattern.minus,
        false => !negative && pattern.bare && pattern.anchor == Anchor::None,
    };
    let relevant = match pattern.bare && pattern.has_point {
        true => number.iter().position(|letter| *letter == '.').map(|point| {
            let last = number
                .iter()
                .rposition(|letter| *letter != '0')
                .unwrap_or(point)
                .max(point);
            match pattern.zero_last > spaces {
                true => last.max((number.len() - 1).min(pattern.zero_last - spaces)),
                false => last,
            }
        }),
        false => None,
    };
    let mut count = (pattern.after_point + pattern.before_point).saturating_sub(1);
    if !sign_written && spaces == 0 {
        count += 1;
    }
    let mut writer = Writer {
        pattern,
        bracket: pattern.bracket && (negative || !pattern.bare),
        number,
        negative,
        at: 0,
        position: 0,
        spaces,
        count,
        relevant,
        sign_written,
        began: false,
        out: String::new(),
    };
    for part in &pattern.parts {
        match part {
            Part::Nine | Part::Point => writer.digit(false),
            Part::Zero => writer.digit(true),
            Part::Comma if writer.began => writer.out.push(','),
            Part::Comma | Part::Minus if pattern.bare && !(negative && *part == Part::Minus) => {}
            Part::Comma => writer.out.push(' '),
            Part::Currency => writer.out.push(' '),
            Part::Minus => writer.out.push(if negative { '-' } else { ' ' }),
            Part::Plus if !negative => writer.out.push('+'),
            Part::Plus if pattern.bare => {}
            Part::Plus => writer.out.push(' '),
            Part::Sign => {
                let sign = writer.sign();
                writer.out.push(sign);
            }
            Part::Ordinal { lower } => {
                let overflow = writer.number.first() == Some(&'#');
                if !overflow && !negative && !pattern.has_point {
                    writer.out.push_str(ordinal(&digits.text, *lower));
                }
            }
            Part::Literal(literal) => writer.out.push_str(literal),
            Part::Roman { .. } | Part::Anchored => {}
        }
    }
    writer.out
}

fn formatted(
    pattern: &str,
    number: i64,
    exponential: impl Fn(usize) -> (bool, String),
    digits: impl Fn(u32, u32) -> Option<Digits>,
) -> Result<ScalarValue, QueryError> {
    let read = Pattern::read(pattern)?;
    if let (true, Some(Part::Roman { lower })) = (
        read.roman,
        read.parts.iter().find(|part| matches!(part, Part::Roman { .. })),
    ) {
        let letters = roman(number);
        let letters = if *lower { letters.to_lowercase() } else { letters };
        return Ok(text(match read.bare {
            true => letters,
            false => format!("{letters:>15}"),
        }));
    }
    if read.exponent {
        let (negative, number) = exponential(read.after_point);
        let sign = if negative { "-" } else { " " };
        return Ok(text(format!("{sign}{}", scientific(&number, read.after_point))));
    }
    match digits(read.after_point as u32, read.shifted) {
        Some(digits) => Ok(text(written(&read, &digits))),
        None => refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
    }
}

fn of_numeric(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (digits, scale) = args.numeric(0)?;
    let whole = rounded(digits, scale, 0, 0).and_then(|rounded| {
        let number: i64 = rounded.text.parse().ok()?;
        Some(if rounded.negative { -number } else { number })
    });
    formatted(
        args.text(1),
        whole.unwrap_or(i64::MAX),
        |places| {
            let value = digits.unsigned_abs() as f64 / 10f64.powi(scale as i32);
            (digits < 0, format!("{value:.places$e}"))
        },
        |places, shifted| rounded(digits, scale, places, shifted),
    )
}

fn of_float(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let value = args.float(0);
    formatted(
        args.text(1),
        value.round_ties_even() as i64,
        |places| (value < 0.0, format!("{:.places$e}", value.abs())),
        |places, shifted| Some(rounded_float(value, places as usize, shifted)),
    )
}

/// The number in a text: its digits, at most as many as the pattern has on each side of the point, and its sign.
fn to_number(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let pattern = Pattern::read(args.text(1))?;
    let input = args.text(0);
    if input.is_empty() {
        return Ok(ScalarValue::Null);
    }
    let negative = input.contains('-') || pattern.bracket && input.contains('<');
    let (mut digits, mut scale, mut before, mut point, mut any) = (0i128, 0u32, 0usize, false, false);
    for letter in input.chars() {
        match letter {
            '.' if pattern.has_point && !point => point = true,
            '.' if !pattern.parts.contains(&Part::Comma) => break,
            digit if digit.is_ascii_digit() => {
                let room = match point {
                    true => (scale as usize) < pattern.after_point,
                    false => before < pattern.before_point,
                };
                if !room {
                    continue;
                }
                any = true;
                let next = digits
                    .checked_mul(10)
                    .and_then(|digits| digits.checked_add(i128::from(digit as u8 - b'0')));
                let Some(next) = next else {
                    return refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format");
                };
                digits = next;
                match point {
                    true => scale += 1,
                    false => before += 1,
                }
            }
            _ => {}
        }
    }
    if !any {
        return refuse(
            ErrorKind::InvalidTextRepresentation,
            format!("invalid input syntax for type numeric: \"{input}\""),
        );
    }
    numeric(if negative { -digits } else { digits }, scale)
}

/// The overloads of `to_char` for numbers: the list of all is in `time_pattern.rs`.
pub const NUMERIC_TO_CHAR: Overload = Overload::new(&[Kind::Numeric, Kind::Text], Kind::Text, of_numeric);
pub const INTEGER_TO_CHAR: Overload = Overload::new(&[Kind::Int8, Kind::Text], Kind::Text, of_numeric);
pub const FLOAT_TO_CHAR: Overload = Overload::new(&[Kind::Float8, Kind::Text], Kind::Text, of_float);

pub const FUNCTIONS: &[Entry] = &[Entry {
    name: "to_number",
    description: "the number that a text in a pattern shows",
    example: "SELECT to_number('12,454.8-', '99G999D9S')",
    overloads: &[Overload::new(&[Kind::Text, Kind::Text], Kind::Numeric, to_number)],
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_postgresql_writes_them() {
        let text = |digits: i128, scale: u32, pattern: &str| {
            let read = Pattern::read(pattern).unwrap();
            let digits = rounded(digits, scale, read.after_point as u32, read.shifted).unwrap();
            written(&read, &digits)
        };
        for (digits, scale, pattern, expected) in [
            (125, 0, "999", " 125"),
            (-125, 0, "999", "-125"),
            (-1258, 1, "999D99S", "125.80-"),
            (485, 0, "9 9 9", " 4 8 5"),
            (1485, 0, "9,999", " 1,485"),
            (1485, 1, "FM999.999", "148.5"),
            (1485, 1, "FM999.990", "148.500"),
            (485, 0, "PL999", "+ 485"),
            (-485, 0, "999PR", "<485>"),
            (482, 0, "999th", " 482nd"),
            (12, 0, "99V999", " 12000"),
            (-1, 1, "99.99", "  -.10"),
            (12, 0, "9990999.9", "    0012.0"),
            (12, 0, "FM9990999.9", "0012."),
            (12345, 0, "999", " ###"),
            (0, 0, "999.99", "    .00"),
            (12, 0, "S00", "+12"),
        ] {
            assert_eq!(text(digits, scale, pattern), expected, "{pattern}");
        }
    }
}
