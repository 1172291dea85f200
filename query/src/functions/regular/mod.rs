//! Regular expressions: `~`, regexp_match and its like, SIMILAR TO, `substring(text from pattern)`.
//!
//! The engine is the `regex` crate, which runs in linear time; PostgreSQL's escapes that it spells otherwise are translated. Two things of
//! PostgreSQL are not there and are refused: references back (`\1` in a pattern) and looking ahead or behind. Of alternatives the first
//! that fits is taken, where PostgreSQL takes the longest.

use datafusion::common::ScalarValue;
use regex::Regex;

use super::signature::{Args, Entry, Env, Kind, Overload, boolean, int4, list, refuse, text, texts};
use crate::{ErrorKind, QueryError};
use arrow::datatypes::DataType;

mod expression;
mod like;

use expression::compile;
pub use expression::expression;
use like::{like, like_expression, like_with, similar, similar_to_escape};

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
