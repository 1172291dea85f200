//! Regular expressions: `~`, regexp_match and its like, SIMILAR TO, `substring(text from pattern)`.
//!
//! The engine is the `regex` crate, which runs in linear time; PostgreSQL's escapes that it spells otherwise are translated. Two things of
//! PostgreSQL are not there and are refused: references back (`\1` in a pattern) and looking ahead or behind. Of alternatives the first
//! that fits is taken, where PostgreSQL takes the longest.

use datafusion::common::ScalarValue;
use regex::{Regex, RegexBuilder};

use super::signature::{Args, Entry, Env, Kind, Overload, boolean, int4, list, refuse, text, texts};
use crate::{ErrorKind, QueryError};
use arrow::datatypes::DataType;

/// Bytes of a compiled expression at most: the crate's own default, named because a client's pattern decides what is needed.
const COMPILED_BYTES_MAX: usize = 10 * (1 << 20);

/// Flags of the regexp functions. `g` is left to the function.
fn options(flags: &str, function: &str, with_global: bool) -> Result<(String, bool), QueryError> {
    let mut own = String::new();
    let mut global = false;
    for flag in flags.chars() {
        match flag {
            'g' if with_global => global = true,
            'g' => {
                let message = format!("{function}() does not support the \"global\" option");
                return refuse(ErrorKind::InvalidParameterValue, message);
            }
            'i' | 'c' | 'n' | 'm' | 's' | 'x' | 'q' | 'p' | 'w' | 'e' | 'b' | 't' => own.push(flag),
            other => {
                return refuse(
                    ErrorKind::InvalidParameterValue,
                    format!("invalid regular expression option: \"{other}\""),
                );
            }
        }
    }
    Ok((own, global))
}

fn invalid(reason: &str) -> QueryError {
    QueryError::new(
        ErrorKind::InvalidRegularExpression,
        format!("invalid regular expression: {reason}"),
    )
}

/// The crate's spelling of a pattern.
fn translated(pattern: &str) -> Result<String, QueryError> {
    let mut out = String::with_capacity(pattern.len());
    let letters: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let mut depth = 0usize;
    while at < letters.len() {
        match letters[at] {
            '\\' => {
                let Some(next) = letters.get(at + 1) else {
                    return Err(invalid("invalid escape \\ sequence"));
                };
                match next {
                    'm' => out.push_str(r"\b{start}"),
                    'M' => out.push_str(r"\b{end}"),
                    'y' => out.push_str(r"\b"),
                    'Y' => out.push_str(r"\B"),
                    'Z' => out.push_str(r"\z"),
                    'A' => out.push_str(r"\A"),
                    'e' => out.push_str(r"\x1B"),
                    '1'..='9' => {
                        return Err(QueryError::new(
                            ErrorKind::FeatureNotSupported,
                            "references back in a regular expression are not supported",
                        ));
                    }
                    // The crate refuses escapes of letters and of what needs none.
                    'a' | 'b' | 'B' | 'c' | 'd' | 'D' | 'f' | 'n' | 'r' | 's' | 'S' | 't' | 'u' | 'U' | 'v' | 'w'
                    | 'W' | 'x' => {
                        out.push('\\');
                        out.push(*next);
                    }
                    plain => out.push_str(&regex::escape(&plain.to_string())),
                }
                at += 2;
                continue;
            }
            '[' => {
                at = class(&letters, at, &mut out)?;
                continue;
            }
            '(' => {
                depth += 1;
                let looks =
                    letters.get(at + 1) == Some(&'?') && matches!(letters.get(at + 2), Some('=' | '!') | Some('<'));
                if looks {
                    return Err(QueryError::new(
                        ErrorKind::FeatureNotSupported,
                        "looking ahead or behind in a regular expression is not supported",
                    ));
                }
                out.push('(');
            }
            ')' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| invalid("parentheses () not balanced"))?;
                out.push(')');
            }
            '{' if !letters.get(at + 1).is_some_and(char::is_ascii_digit) => out.push_str(r"\{"),
            other => out.push(other),
        }
        at += 1;
    }
    match depth {
        0 => Ok(out),
        _ => Err(invalid("parentheses () not balanced")),
    }
}

/// A bracket expression: the crate takes `[` and `&&` inside one for its own. Gives the place after it.
fn class(letters: &[char], start: usize, out: &mut String) -> Result<usize, QueryError> {
    let mut at = start + 1;
    out.push('[');
    if letters.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        match letters.get(at) {
            None => return Err(invalid("brackets [] not balanced")),
            Some(']') if at > first => {
                out.push(']');
                return Ok(at + 1);
            }
            Some('[') if letters.get(at + 1) == Some(&':') => {
                let rest: String = letters[at..].iter().collect();
                let Some(end) = rest.find(":]") else {
                    return Err(invalid("brackets [] not balanced"));
                };
                let name = &rest[..end + 2];
                out.push_str(name);
                at += name.chars().count();
            }
            Some('\\') => {
                out.push('\\');
                match letters.get(at + 1) {
                    Some(next) => out.push(*next),
                    None => return Err(invalid("brackets [] not balanced")),
                }
                at += 2;
            }
            Some(letter @ ('[' | ']' | '&' | '~')) => {
                out.push('\\');
                out.push(*letter);
                at += 1;
            }
            Some(letter) => {
                out.push(*letter);
                at += 1;
            }
        }
    }
}

/// A pattern in the crate's spelling, and how it is compiled.
struct Settled {
    expression: String,
    insensitive: bool,
    dot_takes_newline: bool,
    lines: bool,
    verbose: bool,
}

impl Settled {
    fn new(pattern: &str, flags: &str) -> Result<Settled, QueryError> {
        // Options inside the pattern: (?i) and its like at its beginning, ***= for a literal.
        let inside = pattern
            .strip_prefix("(?")
            .and_then(|rest| rest.split_once(')'))
            .filter(|(inside, _)| !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_lowercase()));
        let mut settled = Settled {
            expression: String::new(),
            insensitive: false,
            dot_takes_newline: true,
            lines: false,
            verbose: false,
        };
        let mut literal = pattern.starts_with("***=");
        for flag in flags.chars().chain(inside.map_or("", |(inside, _)| inside).chars()) {
            match flag {
                'i' => settled.insensitive = true,
                'c' => settled.insensitive = false,
                'n' | 'm' => (settled.dot_takes_newline, settled.lines) = (false, true),
                's' => (settled.dot_takes_newline, settled.lines) = (true, false),
                'p' => settled.dot_takes_newline = false,
                'w' => settled.lines = true,
                'x' => settled.verbose = true,
                't' => settled.verbose = false,
                'q' => literal = true,
                _ => {}
            }
        }
        let pattern = match inside {
            Some((_, after)) => after,
            None => pattern
                .strip_prefix("***=")
                .or_else(|| pattern.strip_prefix("***:"))
                .unwrap_or(pattern),
        };
        settled.expression = match literal {
            true => regex::escape(pattern),
            false => translated(pattern)?,
        };
        Ok(settled)
    }

    fn build(&self) -> Result<Regex, QueryError> {
        let built = RegexBuilder::new(&self.expression)
            .case_insensitive(self.insensitive)
            .dot_matches_new_line(self.dot_takes_newline)
            .multi_line(self.lines)
            .ignore_whitespace(self.verbose)
            .size_limit(COMPILED_BYTES_MAX)
            .build();
        built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                QueryError::new(ErrorKind::ProgramLimitExceeded, "regular expression is too complex")
            }
            other => {
                let text = other.to_string();
                let reason = text.lines().next_back().unwrap_or_default();
                let reason = reason.trim().trim_start_matches("error: ");
                match reason.contains("repetition") {
                    true => invalid("quantifier operand invalid"),
                    false => invalid(reason),
                }
            }
        })
    }
}

fn compile(pattern: &str, flags: &str) -> Result<Regex, QueryError> {
    Settled::new(pattern, flags)?.build()
}

/// A pattern as DataFusion compiles it: in the crate's spelling, with the options that it needs inside.
pub fn expression(pattern: &str) -> Result<String, QueryError> {
    let settled = Settled::new(pattern, "")?;
    settled.build()?;
    let own = settled.expression;
    // Without options where none matters: DataFusion makes LIKE of plain prefixes.
    let any_letter = own.replace(r"\.", "").contains('.');
    let options = [
        (settled.insensitive, "i"),
        (settled.dot_takes_newline && any_letter, "s"),
        (settled.lines, "m"),
        (settled.verbose, "x"),
    ];
    let options: String = options
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, letter)| *letter)
        .collect();
    Ok(match options.is_empty() {
        true => own,
        // A comment of an expanded pattern ends with its line.
        false if settled.verbose => format!("(?{options}:{own}\n)"),
        false => format!("(?{options}:{own})"),
    })
}

/// The expression of a pattern argument.
fn regex(args: &Args<'_>, pattern: usize, flags: &str) -> Result<Regex, QueryError> {
    args.env().regex(args.text(pattern), flags, compile)
}

/// What a match captured: its groups, or all of it where there are none.
fn captured(regex: &Regex, captures: &regex::Captures<'_>) -> ScalarValue {
    let own = |found: Option<regex::Match<'_>>| found.map(|found| found.as_str().to_string());
    match regex.captures_len() {
        1 => texts([own(captures.get(0))]),
        groups => texts((1..groups).map(|group| own(captures.get(group)))),
    }
}

fn flags<'a>(args: &Args<'a>, place: usize) -> &'a str {
    if args.len() > place { args.text(place) } else { "" }
}

fn regexp_match(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (flags, _) = options(flags(args, 2), "regexp_match", false)
        .map_err(|error| error.with_hint("Use the regexp_matches function instead."))?;
    let regex = regex(args, 1, &flags)?;
    Ok(match regex.captures(args.text(0)) {
        Some(captures) => captured(&regex, &captures),
        None => ScalarValue::Null,
    })
}

fn regexp_matches(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (flags, global) = options(flags(args, 2), "regexp_matches", true)?;
    let regex = regex(args, 1, &flags)?;
    let most = if global { usize::MAX } else { 1 };
    let found = regex
        .captures_iter(args.text(0))
        .take(most)
        .map(|captures| captured(&regex, &captures))
        .collect();
    Ok(list(found, &Kind::ArrayOf(&Kind::Text).arrow_type()))
}

/// The parts between matches. An empty match splits between letters, never at the ends.
fn pieces(args: &Args<'_>, function: &str) -> Result<Vec<Option<String>>, QueryError> {
    let (flags, _) = options(flags(args, 2), function, false)?;
    let regex = regex(args, 1, &flags)?;
    let text = args.text(0);
    let mut found = Vec::new();
    let mut start = 0;
    for split in regex.find_iter(text) {
        if split.is_empty() && (split.start() == start || split.end() == text.len()) {
            continue;
        }
        found.push(Some(text[start..split.start()].to_string()));
        start = split.end();
    }
    found.push(Some(text[start..].to_string()));
    Ok(found)
}

/// `\1` and `\&` in a replacement.
fn expanded(replacement: &str, captures: &regex::Captures<'_>, out: &mut String) {
    let mut letters = replacement.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('&') => out.push_str(captures.get(0).map_or("", |found| found.as_str())),
            Some(digit) if digit.is_ascii_digit() && digit != '0' => {
                let group = digit as usize - '0' as usize;
                out.push_str(captures.get(group).map_or("", |found| found.as_str()));
            }
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
}

/// The byte where the search begins: `start` counts letters from 1.
fn begin(text: &str, start: i64) -> Result<usize, QueryError> {
    let letters = match usize::try_from(start) {
        Ok(start @ 1..) => start - 1,
        _ => {
            return refuse(
                ErrorKind::InvalidParameterValue,
                format!("invalid value for parameter \"start\": {start}"),
            );
        }
    };
    Ok(text.char_indices().nth(letters).map_or(text.len(), |(at, _)| at))
}

fn not_negative(name: &str, value: i64, least: i64) -> Result<i64, QueryError> {
    match value >= least {
        true => Ok(value),
        false => refuse(
            ErrorKind::InvalidParameterValue,
            format!("invalid value for parameter \"{name}\": {value}"),
        ),
    }
}

/// Replaces the `nth` match from `start` on, all of them where it is 0.
fn replaced(args: &Args<'_>, start: i64, nth: i64, flags: &str) -> Result<ScalarValue, QueryError> {
    let regex = regex(args, 1, flags)?;
    let (source, replacement) = (args.text(0), args.text(2));
    let mut out = String::with_capacity(source.len());
    let mut copied = 0;
    let from = begin(source, start)?;
    for (count, captures) in (1i64..).zip(regex_captures_at(&regex, source, from)) {
        let Some(whole) = captures.get(0) else { continue };
        if nth == 0 || count == nth {
            out.push_str(&source[copied..whole.start()]);
            expanded(replacement, &captures, &mut out);
            copied = whole.end();
        }
        if count == nth {
            break;
        }
    }
    out.push_str(&source[copied..]);
    Ok(text(out))
}

/// Matches from a byte on; anchors still mean the whole text.
fn regex_captures_at<'t>(regex: &Regex, text: &'t str, from: usize) -> Vec<regex::Captures<'t>> {
    let mut found = Vec::new();
    let mut at = from;
    while at <= text.len() {
        let Some(captures) = regex.captures_at(text, at) else {
            break;
        };
        let Some(whole) = captures.get(0) else { break };
        at = match whole.is_empty() {
            false => whole.end(),
            true => match text[whole.end()..].chars().next() {
                Some(letter) => whole.end() + letter.len_utf8(),
                None => text.len() + 1,
            },
        };
        found.push(captures);
    }
    found
}

/// `nth`: 1 is the first, unless the flag `g` asks for all.
fn regexp_replace_flags(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let given = flags(args, 3);
    if given.starts_with(|first: char| first.is_ascii_digit()) {
        return refuse(
            ErrorKind::InvalidParameterValue,
            format!("invalid regular expression option: \"{}\"", &given[..1]),
        )
        .map_err(|error: QueryError| {
            error.with_hint(
                "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
            )
        });
    }
    let (flags, global) = options(given, "regexp_replace", true)?;
    replaced(args, 1, i64::from(!global), &flags)
}

fn regexp_replace_start(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let nth = if args.len() > 4 {
        not_negative("n", args.int(4), 0)?
    } else {
        1
    };
    let (flags, global) = options(flags(args, 5), "regexp_replace", true)?;
    let nth = if global && args.len() <= 4 { 0 } else { nth };
    replaced(args, args.int(3), nth, &flags)
}

fn regexp_count(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let start = if args.len() > 2 { args.int(2) } else { 1 };
    let (flags, _) = options(flags(args, 3), "regexp_count", false)?;
    let regex = regex(args, 1, &flags)?;
    let source = args.text(0);
    let from = begin(source, start)?;
    int4(regex_captures_at(&regex, source, from).len() as i64)
}

fn regexp_instr(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let or = |place: usize, otherwise: i64| if args.len() > place { args.int(place) } else { otherwise };
    let nth = not_negative("n", or(3, 1), 1)?;
    let after = or(4, 0);
    if !(0..=1).contains(&after) {
        return refuse(
            ErrorKind::InvalidParameterValue,
            format!("invalid value for parameter \"endoption\": {after}"),
        );
    }
    let (flags, _) = options(flags(args, 5), "regexp_instr", false)?;
    let group = not_negative("subexpr", or(6, 0), 0)?;
    let regex = regex(args, 1, &flags)?;
    let source = args.text(0);
    let from = begin(source, or(2, 1))?;
    let found = regex_captures_at(&regex, source, from);
    let found = usize::try_from(nth - 1)
        .ok()
        .and_then(|nth| found.get(nth))
        .and_then(|captures| captures.get(usize::try_from(group).ok()?));
    let place = found.map_or(0, |found| {
        let byte = if after == 1 { found.end() } else { found.start() };
        source[..byte].chars().count() as i64 + 1
    });
    int4(place)
}

fn regexp_substr(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let or = |place: usize, otherwise: i64| if args.len() > place { args.int(place) } else { otherwise };
    let nth = not_negative("n", or(3, 1), 1)?;
    let (flags, _) = options(flags(args, 4), "regexp_substr", false)?;
    let group = not_negative("subexpr", or(5, 0), 0)?;
    let regex = regex(args, 1, &flags)?;
    let source = args.text(0);
    let from = begin(source, or(2, 1))?;
    let all = regex_captures_at(&regex, source, from);
    let found = usize::try_from(nth - 1)
        .ok()
        .and_then(|nth| all.get(nth))
        .and_then(|captures| captures.get(usize::try_from(group).ok()?));
    Ok(ScalarValue::Utf8View(found.map(|found| found.as_str().to_string())))
}

fn regexp_like(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (flags, _) = options(flags(args, 2), "regexp_like", false)?;
    Ok(boolean(regex(args, 1, &flags)?.is_match(args.text(0))))
}

/// The first group of the first match, or all of it where there is no group.
pub fn substring(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let regex = regex(args, 1, "")?;
    let captures = regex.captures(args.text(0));
    let found = captures.and_then(|captures| {
        let group = usize::from(regex.captures_len() > 1);
        captures.get(group).map(|found| found.as_str().to_string())
    });
    Ok(ScalarValue::Utf8View(found))
}

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

fn similar(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let expression = similar_expression(args.text(1), escape(args, 2)?);
    let regex = args.env().regex(&expression, "s", compile)?;
    Ok(boolean(regex.is_match(args.text(0))))
}

fn similar_to_escape(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(text(similar_expression(args.text(0), escape(args, 1)?)))
}

/// LIKE with an escape character of its own.
fn like(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    like_with(args, "s")
}

fn like_with(args: &Args<'_>, flags: &str) -> Result<ScalarValue, QueryError> {
    let expression = like_expression(args.text(1), escape(args, 2)?)?;
    let regex = args.env().regex(&expression, flags, compile)?;
    Ok(boolean(regex.is_match(args.text(0))))
}

/// The regular expression of a pattern of LIKE.
fn like_expression(pattern: &str, escape: Option<char>) -> Result<String, QueryError> {
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

/// Which kind of pattern an operator takes.
#[derive(Clone, Copy, PartialEq)]
pub enum Pattern {
    Like,
    Regular,
}

/// Whether an operator is negated, its flags and its kind of pattern; `None` of one that takes no pattern.
pub fn pattern_operator(operator: &str) -> Option<(bool, &'static str, Pattern)> {
    Some(match operator {
        "~" => (false, "", Pattern::Regular),
        "~*" => (false, "i", Pattern::Regular),
        "!~" => (true, "", Pattern::Regular),
        "!~*" => (true, "i", Pattern::Regular),
        "~~" => (false, "s", Pattern::Like),
        "~~*" => (false, "si", Pattern::Like),
        "!~~" => (true, "s", Pattern::Like),
        "!~~*" => (true, "si", Pattern::Like),
        _ => return None,
    })
}

/// Whether a text matches a pattern.
pub fn holds(env: &Env, subject: &str, pattern: &str, flags: &str, kind: Pattern) -> Result<bool, QueryError> {
    let expression = match kind {
        Pattern::Regular => pattern.to_string(),
        Pattern::Like => like_expression(pattern, Some('\\'))?,
    };
    Ok(env.regex(&expression, flags, compile)?.is_match(subject))
}

const TEXT: Kind = Kind::Text;
const INT: Kind = Kind::Int4;
const TEXTS: Kind = Kind::ArrayOf(&Kind::Text);
const BOOL: Kind = Kind::Bool;

/// Whether `~` and its like match: for quantified comparisons and for patterns that are no literals.
fn matches(args: &Args<'_>, flags: &str) -> Result<ScalarValue, QueryError> {
    Ok(boolean(regex(args, 1, flags)?.is_match(args.text(0))))
}

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "like_escape_match",
        description: "whether a text is LIKE a pattern with an escape character of its own",
        example: "SELECT 'a%c' LIKE 'a#%c' ESCAPE '#'",
        overloads: &[Overload::new(&[TEXT, TEXT, TEXT], BOOL, like)],
    },
    Entry {
        name: "ilike_escape_match",
        description: "whether a text is ILIKE a pattern with an escape character of its own",
        example: "SELECT 'A%c' ILIKE 'a#%c' ESCAPE '#'",
        overloads: &[Overload::new(&[TEXT, TEXT, TEXT], BOOL, |args| like_with(args, "si"))],
    },
    Entry {
        name: "textregexeq",
        description: "whether a text matches a regular expression: what ~ gives",
        example: "SELECT 'abc' ~ 'b'",
        overloads: &[Overload::new(&[TEXT, TEXT], BOOL, |args| matches(args, ""))],
    },
    Entry {
        name: "texticregexeq",
        description: "whether a text matches a regular expression in either case: what ~* gives",
        example: "SELECT 'abc' ~* 'B'",
        overloads: &[Overload::new(&[TEXT, TEXT], BOOL, |args| matches(args, "i"))],
    },
    Entry {
        name: "regexp_count",
        description: "how often a regular expression matches",
        example: "SELECT regexp_count('ABCABC', 'A.')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], INT, regexp_count),
            Overload::new(&[TEXT, TEXT, INT], INT, regexp_count),
            Overload::new(&[TEXT, TEXT, INT, TEXT], INT, regexp_count),
        ],
    },
    Entry {
        name: "regexp_instr",
        description: "where a regular expression matches",
        example: "SELECT regexp_instr('ABCDEF', 'C.E')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], INT, regexp_instr),
            Overload::new(&[TEXT, TEXT, INT], INT, regexp_instr),
            Overload::new(&[TEXT, TEXT, INT, INT], INT, regexp_instr),
            Overload::new(&[TEXT, TEXT, INT, INT, INT], INT, regexp_instr),
            Overload::new(&[TEXT, TEXT, INT, INT, INT, TEXT], INT, regexp_instr),
            Overload::new(&[TEXT, TEXT, INT, INT, INT, TEXT, INT], INT, regexp_instr),
        ],
    },
    Entry {
        name: "regexp_like",
        description: "whether a regular expression matches",
        example: "SELECT regexp_like('Hello World', 'world$', 'i')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], BOOL, regexp_like),
            Overload::new(&[TEXT, TEXT, TEXT], BOOL, regexp_like),
        ],
    },
    Entry {
        name: "regexp_match",
        description: "what the groups of the first match captured",
        example: "SELECT regexp_match('foobarbequebaz', '(bar)(beque)')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], TEXTS, regexp_match),
            Overload::new(&[TEXT, TEXT, TEXT], TEXTS, regexp_match),
        ],
    },
    Entry {
        name: "regexp_replace",
        description: "a text with matches of a regular expression replaced",
        example: "SELECT regexp_replace('foobarbaz', 'b(..)', 'X\\1Y', 'g')",
        overloads: &[
            Overload::new(&[TEXT, TEXT, TEXT], TEXT, regexp_replace_flags),
            Overload::new(&[TEXT, TEXT, TEXT, TEXT], TEXT, regexp_replace_flags),
            Overload::new(&[TEXT, TEXT, TEXT, INT], TEXT, regexp_replace_start),
            Overload::new(&[TEXT, TEXT, TEXT, INT, INT], TEXT, regexp_replace_start),
            Overload::new(&[TEXT, TEXT, TEXT, INT, INT, TEXT], TEXT, regexp_replace_start),
        ],
    },
    Entry {
        name: "regexp_split_to_array",
        description: "the parts of a text between matches of a regular expression",
        example: "SELECT regexp_split_to_array('hello world', '\\s+')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], TEXTS, |args| {
                Ok(texts(pieces(args, "regexp_split_to_array")?))
            }),
            Overload::new(&[TEXT, TEXT, TEXT], TEXTS, |args| {
                Ok(texts(pieces(args, "regexp_split_to_array")?))
            }),
        ],
    },
    Entry {
        name: "regexp_substr",
        description: "what a regular expression matches",
        example: "SELECT regexp_substr('ABCDEF', 'C.E')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], TEXT, regexp_substr),
            Overload::new(&[TEXT, TEXT, INT], TEXT, regexp_substr),
            Overload::new(&[TEXT, TEXT, INT, INT], TEXT, regexp_substr),
            Overload::new(&[TEXT, TEXT, INT, INT, TEXT], TEXT, regexp_substr),
            Overload::new(&[TEXT, TEXT, INT, INT, TEXT, INT], TEXT, regexp_substr),
        ],
    },
    Entry {
        name: "similar_match",
        description: "whether a text is SIMILAR TO a pattern",
        example: "SELECT 'abc' SIMILAR TO '%(b|d)%'",
        overloads: &[
            Overload::new(&[TEXT, TEXT], BOOL, similar),
            Overload::new(&[TEXT, TEXT, TEXT], BOOL, similar),
        ],
    },
    Entry {
        name: "similar_to_escape",
        description: "the regular expression of a pattern of SIMILAR TO",
        example: "SELECT similar_to_escape('a%')",
        overloads: &[
            Overload::new(&[TEXT], TEXT, similar_to_escape),
            Overload::new(&[TEXT, TEXT], TEXT, similar_to_escape),
        ],
    },
];

/// Functions that give rows, as lists: `functions/sets.rs` makes rows of them.
pub const LISTS: &[Entry] = &[
    Entry {
        name: "regexp_matches_list",
        description: "what the groups of matches captured",
        example: "SELECT regexp_matches('abab', 'a(b)', 'g')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], Kind::ArrayOf(&TEXTS), regexp_matches),
            Overload::new(&[TEXT, TEXT, TEXT], Kind::ArrayOf(&TEXTS), regexp_matches),
        ],
    },
    Entry {
        name: "regexp_split_to_table_list",
        description: "the parts of a text between matches of a regular expression",
        example: "SELECT regexp_split_to_table('hello world', '\\s+')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], TEXTS, |args| {
                Ok(texts(pieces(args, "regexp_split_to_table")?))
            }),
            Overload::new(&[TEXT, TEXT, TEXT], TEXTS, |args| {
                Ok(texts(pieces(args, "regexp_split_to_table")?))
            }),
        ],
    },
];

// `list` of no match needs the type of its items.
impl Kind {
    fn arrow_type(self) -> DataType {
        let item = arrow::datatypes::Field::new("item", DataType::Utf8View, true);
        DataType::List(item.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        compile(pattern, "").unwrap().is_match(text)
    }

    #[test]
    fn postgresqls_escapes() {
        assert!(is_match(r"\mdef\M", "abc def"));
        assert!(is_match(r"^[[:alpha:]_&&]+$", "a_&"));
        assert!(is_match("(?i)ABC", "abc"));
        assert!(is_match(r"a\.b\-c", "a.b-c"));
        assert!(is_match("^[]a]$", "]"));
        assert!(is_match("***=a.c", "xa.cx"));
        for (pattern, kind) in [
            ("(", ErrorKind::InvalidRegularExpression),
            ("[", ErrorKind::InvalidRegularExpression),
            ("*a", ErrorKind::InvalidRegularExpression),
            (r"(a)\1", ErrorKind::FeatureNotSupported),
            ("a(?=b)", ErrorKind::FeatureNotSupported),
        ] {
            assert_eq!(compile(pattern, "").unwrap_err().kind, kind, "{pattern}");
        }
    }

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
