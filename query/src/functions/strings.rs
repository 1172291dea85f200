//! Texts: parts of them, format(), quoting, counting of NULLs, codes.

use datafusion::common::ScalarValue;

use super::regular;
use super::signature::{Args, Entry, Kind, Overload, bytes, int4, refuse, text, texts};
use super::text::{scalar_text, value_text};
use crate::{ErrorKind, QueryError};

/// Bytes that one call may make: PostgreSQL's own bound of a value.
const MADE_BYTES_MAX: usize = 1 << 30;

fn too_large<T>() -> Result<T, QueryError> {
    refuse(ErrorKind::ProgramLimitExceeded, "requested length too large")
}

/// From a place, counted from 1, so many items on; the part that lies inside.
pub fn cut(length: usize, start: i64, count: Option<i64>) -> Result<std::ops::Range<usize>, QueryError> {
    let end = match count {
        Some(count) if count < 0 => {
            return refuse(ErrorKind::SubstringError, "negative substring length not allowed");
        }
        Some(count) => start.saturating_add(count),
        None => i64::MAX,
    };
    let clamp = |place: i64| usize::try_from(place - 1).unwrap_or(0).min(length);
    let start = clamp(start.max(1));
    Ok(start..clamp(end.max(1)).max(start))
}

fn count_of(args: &Args<'_>) -> Option<i64> {
    (args.len() > 2).then(|| args.int(2))
}

fn substring(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let source = args.text(0);
    let letters = cut(source.chars().count(), args.int(1), count_of(args))?;
    Ok(text(
        source
            .chars()
            .skip(letters.start)
            .take(letters.len())
            .collect::<String>(),
    ))
}

fn substring_of_bytes(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let source = args.bytes(0);
    Ok(bytes(&source[cut(source.len(), args.int(1), count_of(args))?]))
}

fn overlay(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (source, new) = (args.text(0), args.text(1));
    let start = args.int(2);
    let count = if args.len() > 3 {
        args.int(3)
    } else {
        new.chars().count() as i64
    };
    if start <= 0 {
        return refuse(ErrorKind::SubstringError, "negative substring length not allowed");
    }
    let letters: Vec<char> = source.chars().collect();
    let before = cut(letters.len(), 1, Some(start - 1))?;
    let after = cut(letters.len(), start.saturating_add(count), None)?;
    let mut out: String = letters[before].iter().collect();
    out.push_str(new);
    out.extend(&letters[after]);
    Ok(text(out))
}

fn overlay_bytes(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (source, new) = (args.bytes(0), args.bytes(1));
    let start = args.int(2);
    let count = if args.len() > 3 { args.int(3) } else { new.len() as i64 };
    if start <= 0 {
        return refuse(ErrorKind::SubstringError, "negative substring length not allowed");
    }
    let before = &source[cut(source.len(), 1, Some(start - 1))?];
    let after = &source[cut(source.len(), start.saturating_add(count), None)?];
    Ok(bytes([before, new, after].concat()))
}

fn repeat(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let times = usize::try_from(args.int(1)).unwrap_or(0);
    let source = args.text(0);
    match source.len().checked_mul(times) {
        Some(length) if length < MADE_BYTES_MAX => Ok(text(source.repeat(times))),
        _ => too_large(),
    }
}

/// Filled up to so many letters, on the left or on the right.
fn padded(args: &Args<'_>, left: bool) -> Result<ScalarValue, QueryError> {
    let fill = if args.len() > 2 { args.text(2) } else { " " };
    let source = args.text(0);
    let wanted = usize::try_from(args.int(1)).unwrap_or(0);
    if wanted.saturating_mul(4) >= MADE_BYTES_MAX {
        return too_large();
    }
    let letters = source.chars().count();
    if letters >= wanted {
        return Ok(text(source.chars().take(wanted).collect::<String>()));
    }
    let filling: String = fill
        .chars()
        .cycle()
        .take(if fill.is_empty() { 0 } else { wanted - letters })
        .collect();
    Ok(text(match left {
        true => format!("{filling}{source}"),
        false => format!("{source}{filling}"),
    }))
}

fn chr(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let code = args.int(0);
    if code == 0 {
        return refuse(ErrorKind::ProgramLimitExceeded, "null character not permitted");
    }
    if code < 0 {
        return refuse(ErrorKind::ProgramLimitExceeded, "character number must be positive");
    }
    match u32::try_from(code).ok().and_then(char::from_u32) {
        Some(letter) => Ok(text(letter.to_string())),
        None => refuse(
            ErrorKind::ProgramLimitExceeded,
            format!("requested character too large for encoding: {code}"),
        ),
    }
}

/// A value as `concat` and `format` write it.
fn written(args: &Args<'_>, place: usize) -> Result<String, QueryError> {
    scalar_text(args.value(place), args.env().style)
}

fn concat(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let parts = (0..args.len()).filter(|place| !args.is_null(*place));
    let parts: Vec<String> = parts.map(|place| written(args, place)).collect::<Result<_, _>>()?;
    Ok(text(parts.concat()))
}

fn concat_ws(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) {
        return Ok(ScalarValue::Null);
    }
    let parts = (1..args.len()).filter(|place| !args.is_null(*place));
    let parts: Vec<String> = parts.map(|place| written(args, place)).collect::<Result<_, _>>()?;
    Ok(text(parts.join(args.text(0))))
}

/// An identifier in quotes where it needs them.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    match plain && !is_reserved(name) {
        true => name.to_string(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Words that PostgreSQL's grammar takes for its own in every place of a name.
fn is_reserved(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "authorization",
        "between",
        "bigint",
        "binary",
        "bit",
        "boolean",
        "both",
        "case",
        "cast",
        "char",
        "character",
        "check",
        "coalesce",
        "collate",
        "collation",
        "column",
        "concurrently",
        "constraint",
        "create",
        "cross",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "dec",
        "decimal",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "exists",
        "extract",
        "false",
        "fetch",
        "float",
        "for",
        "foreign",
        "freeze",
        "from",
        "full",
        "grant",
        "greatest",
        "group",
        "grouping",
        "having",
        "ilike",
        "in",
        "initially",
        "inner",
        "inout",
        "int",
        "integer",
        "intersect",
        "interval",
        "into",
        "is",
        "isnull",
        "join",
        "lateral",
        "leading",
        "least",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "national",
        "natural",
        "nchar",
        "none",
        "normalize",
        "not",
        "notnull",
        "null",
        "nullif",
        "numeric",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "out",
        "outer",
        "overlaps",
        "overlay",
        "placing",
        "position",
        "precision",
        "primary",
        "real",
        "references",
        "returning",
        "right",
        "row",
        "select",
        "session_user",
        "setof",
        "similar",
        "smallint",
        "some",
        "substring",
        "symmetric",
        "system_user",
        "table",
        "tablesample",
        "then",
        "time",
        "timestamp",
        "to",
        "trailing",
        "treat",
        "trim",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "values",
        "varchar",
        "variadic",
        "verbose",
        "when",
        "where",
        "window",
        "with",
        "xmlattributes",
        "xmlconcat",
        "xmlelement",
        "xmlexists",
        "xmlforest",
        "xmlnamespaces",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
        "xmltable",
    ];
    RESERVED.binary_search(&name).is_ok()
}

fn quote_literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    match quoted.contains('\\') {
        true => format!("E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

/// `format('%1$s %-10s %I %L', …)`.
fn format(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if args.is_null(0) {
        return Ok(ScalarValue::Null);
    }
    let letters: Vec<char> = args.text(0).chars().collect();
    let mut out = String::new();
    let mut at = 0;
    let mut next = 1;
    let ended = || {
        QueryError::new(ErrorKind::InvalidParameterValue, "unterminated format() type specifier")
            .with_hint("For a single \"%\" use \"%%\".")
    };
    let number = |at: &mut usize| -> Option<usize> {
        let start = *at;
        while letters.get(*at).is_some_and(char::is_ascii_digit) {
            *at += 1;
        }
        letters[start..*at].iter().collect::<String>().parse().ok()
    };
    let mut taken = |given: Option<usize>| -> Result<usize, QueryError> {
        let place = match given {
            Some(0) => {
                return refuse(
                    ErrorKind::InvalidParameterValue,
                    "format specifies argument 0, but arguments are numbered from 1",
                );
            }
            Some(place) => place,
            None => next,
        };
        next = place + 1;
        match place < args.len() {
            true => Ok(place),
            false => refuse(ErrorKind::InvalidParameterValue, "too few arguments for format()"),
        }
    };
    while at < letters.len() {
        if letters[at] != '%' {
            out.push(letters[at]);
            at += 1;
            continue;
        }
        at += 1;
        if letters.get(at) == Some(&'%') {
            out.push('%');
            at += 1;
            continue;
        }
        // position$
        let mut position = None;
        let mut width = None;
        let start = at;
        if let Some(found) = number(&mut at) {
            match letters.get(at) {
                Some('$') => {
                    at += 1;
                    position = Some(found);
                }
                _ => at = start,
            }
        }
        let mut left = false;
        while letters.get(at) == Some(&'-') {
            left = true;
            at += 1;
        }
        if letters.get(at) == Some(&'*') {
            at += 1;
            let start = at;
            let given = match (number(&mut at), letters.get(at)) {
                (Some(found), Some('$')) => {
                    at += 1;
                    Some(found)
                }
                _ => {
                    at = start;
                    None
                }
            };
            let place = taken(given)?;
            let asked = args.value(place).cast_to(&arrow::datatypes::DataType::Int64);
            let asked = match asked {
                Ok(ScalarValue::Int64(asked)) => asked.unwrap_or(0),
                _ => 0,
            };
            left |= asked < 0;
            width = usize::try_from(asked.unsigned_abs()).ok();
        } else if let Some(found) = number(&mut at) {
            width = Some(found);
        }
        let kind = *letters.get(at).ok_or_else(ended)?;
        at += 1;
        if !matches!(kind, 's' | 'I' | 'L') {
            return refuse(
                ErrorKind::InvalidParameterValue,
                format!("unrecognized format() type specifier \"{kind}\""),
            )
            .map_err(|error: QueryError| error.with_hint("For a single \"%\" use \"%%\"."));
        }
        let place = taken(position)?;
        let value = match (kind, args.is_null(place)) {
            ('s', true) => String::new(),
            ('L', true) => "NULL".to_string(),
            (_, true) => {
                return refuse(
                    ErrorKind::NullValueNotAllowed,
                    "null values cannot be formatted as an SQL identifier",
                );
            }
            ('s', false) => written(args, place)?,
            ('L', false) => quote_literal(&written(args, place)?),
            (_, false) => quote_identifier(&written(args, place)?),
        };
        let width = width.unwrap_or(0);
        if width.saturating_mul(4) >= MADE_BYTES_MAX {
            return too_large();
        }
        let padding = " ".repeat(width.saturating_sub(value.chars().count()));
        match left {
            true => out.extend([value, padding]),
            false => out.extend([padding, value]),
        }
    }
    Ok(text(out))
}

fn nulls(args: &Args<'_>) -> i64 {
    (0..args.len()).filter(|place| args.is_null(*place)).count() as i64
}

/// `\0041`, `\+000041`, `\u0041` and `\U00000041` in a text.
fn unistr(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let source = args.text(0);
    let mut out = String::new();
    let mut rest = source;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(plain) = after.strip_prefix('\\') {
            out.push('\\');
            rest = plain;
            continue;
        }
        let (skip, digits) = match after.chars().next() {
            Some('+') => (1, 6),
            Some('u') => (1, 4),
            Some('U') => (1, 8),
            _ => (0, 4),
        };
        let code = after.get(skip..skip + digits);
        let letter = code
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32)
            .filter(|letter| *letter != '\0');
        let Some(letter) = letter else {
            return refuse(ErrorKind::SyntaxError, "invalid Unicode escape").map_err(|error: QueryError| {
                error.with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
            });
        };
        out.push(letter);
        rest = &after[skip + digits..];
    }
    out.push_str(rest);
    Ok(text(out))
}

/// The parts between delimiters; single letters where the delimiter is NULL, all of it where it is empty.
fn pieces(args: &Args<'_>) -> Option<Vec<Option<String>>> {
    if args.is_null(0) {
        return None;
    }
    let source = args.text(0);
    let parts: Vec<String> = if source.is_empty() {
        Vec::new()
    } else if args.is_null(1) {
        source.chars().map(|letter| letter.to_string()).collect()
    } else if args.text(1).is_empty() {
        vec![source.to_string()]
    } else {
        source.split(args.text(1)).map(str::to_string).collect()
    };
    let null = (args.len() > 2 && !args.is_null(2)).then(|| args.text(2));
    Some(
        parts
            .into_iter()
            .map(|part| (Some(part.as_str()) != null).then_some(part))
            .collect(),
    )
}

fn split(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(pieces(args).map_or(ScalarValue::Null, texts))
}

const TEXT: Kind = Kind::Text;
const INT: Kind = Kind::Int4;
const BYTES: Kind = Kind::Bytes;
const ANY: Kind = Kind::Any;
const TEXTS: Kind = Kind::ArrayOf(&Kind::Text);

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "chr",
        description: "the character of a code",
        example: "SELECT chr(65)",
        overloads: &[Overload::new(&[INT], TEXT, chr)],
    },
    Entry {
        name: "concat",
        description: "the arguments as one text, NULLs left out",
        example: "SELECT concat('abc', 2, NULL, true)",
        overloads: &[Overload::new(&[ANY], TEXT, concat).variadic().with_nulls()],
    },
    Entry {
        name: "concat_ws",
        description: "the arguments as one text with a separator between them, NULLs left out",
        example: "SELECT concat_ws(',', 'abc', 2, NULL, true)",
        overloads: &[Overload::new(&[TEXT, ANY], TEXT, concat_ws).variadic().with_nulls()],
    },
    Entry {
        name: "format",
        description: "a text with arguments put in",
        example: "SELECT format('Hello %s, %I = %L', 'World', 'My column', 'it''s')",
        overloads: &[Overload::new(&[TEXT, ANY], TEXT, format).variadic().with_nulls()],
    },
    Entry {
        name: "lpad",
        description: "a text filled up on the left to so many characters",
        example: "SELECT lpad('hi', 5, 'xy')",
        overloads: &[
            Overload::new(&[TEXT, INT], TEXT, |args| padded(args, true)),
            Overload::new(&[TEXT, INT, TEXT], TEXT, |args| padded(args, true)),
        ],
    },
    Entry {
        name: "num_nonnulls",
        description: "how many arguments are not NULL",
        example: "SELECT num_nonnulls(1, NULL, 3)",
        overloads: &[Overload::new(&[ANY], INT, |args| int4(args.len() as i64 - nulls(args)))
            .variadic()
            .with_nulls()],
    },
    Entry {
        name: "num_nulls",
        description: "how many arguments are NULL",
        example: "SELECT num_nulls(1, NULL, 3)",
        overloads: &[Overload::new(&[ANY], INT, |args| int4(nulls(args)))
            .variadic()
            .with_nulls()],
    },
    Entry {
        name: "overlay",
        description: "a text with a part of it replaced",
        example: "SELECT overlay('Txxxxas' placing 'hom' from 2 for 4)",
        overloads: &[
            Overload::new(&[TEXT, TEXT, INT], TEXT, overlay),
            Overload::new(&[TEXT, TEXT, INT, INT], TEXT, overlay),
            Overload::new(&[BYTES, BYTES, INT], BYTES, overlay_bytes),
            Overload::new(&[BYTES, BYTES, INT, INT], BYTES, overlay_bytes),
        ],
    },
    Entry {
        name: "quote_ident",
        description: "a name, in quotes where it needs them",
        example: "SELECT quote_ident('My column')",
        overloads: &[Overload::new(&[TEXT], TEXT, |args| {
            Ok(text(quote_identifier(args.text(0))))
        })],
    },
    Entry {
        name: "quote_literal",
        description: "a value in quotes, as a literal of SQL",
        example: "SELECT quote_literal('it''s')",
        overloads: &[Overload::new(&[ANY], TEXT, |args| {
            Ok(text(quote_literal(&value_text(args.value(0), args.env().style)?)))
        })],
    },
    Entry {
        name: "quote_nullable",
        description: "a value in quotes, as a literal of SQL, or NULL",
        example: "SELECT quote_nullable(NULL)",
        overloads: &[Overload::new(&[ANY], TEXT, |args| {
            Ok(text(match args.is_null(0) {
                true => "NULL".to_string(),
                false => quote_literal(&value_text(args.value(0), args.env().style)?),
            }))
        })
        .with_nulls()],
    },
    Entry {
        name: "repeat",
        description: "a text so many times",
        example: "SELECT repeat('Pg', 3)",
        overloads: &[Overload::new(&[TEXT, INT], TEXT, repeat)],
    },
    Entry {
        name: "rpad",
        description: "a text filled up on the right to so many characters",
        example: "SELECT rpad('hi', 5, 'xy')",
        overloads: &[
            Overload::new(&[TEXT, INT], TEXT, |args| padded(args, false)),
            Overload::new(&[TEXT, INT, TEXT], TEXT, |args| padded(args, false)),
        ],
    },
    Entry {
        name: "string_to_array",
        description: "the parts of a text between delimiters",
        example: "SELECT string_to_array('a,b,,c', ',', '')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], TEXTS, split).with_nulls(),
            Overload::new(&[TEXT, TEXT, TEXT], TEXTS, split).with_nulls(),
        ],
    },
    Entry {
        name: "substr",
        description: "a part of a text or of bytes",
        example: "SELECT substr('hello', 3)",
        overloads: SUBSTRING,
    },
    Entry {
        name: "substring",
        description: "a part of a text or of bytes, or what a regular expression matches",
        example: "SELECT substring('foobar' from 'o(.)b')",
        overloads: SUBSTRING,
    },
    Entry {
        name: "to_hex",
        description: "a number in hexadecimal",
        example: "SELECT to_hex(255)",
        overloads: &[
            Overload::new(&[INT], TEXT, |args| Ok(text(format!("{:x}", args.int(0) as i32)))),
            Overload::new(&[Kind::Int8], TEXT, |args| Ok(text(format!("{:x}", args.int(0))))),
        ],
    },
    Entry {
        name: "unistr",
        description: "a text with its Unicode escapes read",
        example: "SELECT unistr('d\\0061t\\+000061')",
        overloads: &[Overload::new(&[TEXT], TEXT, unistr)],
    },
];

const SUBSTRING: &[Overload] = &[
    Overload::new(&[TEXT, TEXT], TEXT, regular::substring),
    Overload::new(&[TEXT, INT], TEXT, substring),
    Overload::new(&[TEXT, INT, INT], TEXT, substring),
    Overload::new(&[BYTES, INT], BYTES, substring_of_bytes),
    Overload::new(&[BYTES, INT, INT], BYTES, substring_of_bytes),
];

/// Functions that give rows, as lists: `functions/sets.rs` makes rows of them.
pub const LISTS: &[Entry] = &[Entry {
    name: "string_to_table_list",
    description: "the parts of a text between delimiters",
    example: "SELECT * FROM string_to_table('a,b', ',')",
    overloads: &[
        Overload::new(&[TEXT, TEXT], TEXTS, split).with_nulls(),
        Overload::new(&[TEXT, TEXT, TEXT], TEXTS, split).with_nulls(),
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_texts() {
        assert_eq!(cut(5, 2, Some(3)).unwrap(), 1..4);
        assert_eq!(cut(5, -1, Some(3)).unwrap(), 0..1);
        assert_eq!(cut(5, 9, None).unwrap(), 5..5);
        assert!(cut(5, 2, Some(-1)).is_err());
        assert_eq!(cut(5, i64::MAX, Some(i64::MAX)).unwrap(), 5..5);
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(quote_identifier("volts"), "volts");
        assert_eq!(quote_identifier("Volts"), "\"Volts\"");
        assert_eq!(quote_identifier("select"), "\"select\"");
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
    }
}
