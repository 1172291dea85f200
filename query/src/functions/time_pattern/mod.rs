//! Times in a pattern: `to_char(now(), 'YYYY-MM-DD')`, `to_timestamp('2026-11-02', 'YYYY-MM-DD')`, `to_date`.

use super::number_pattern::{FLOAT_TO_CHAR, INTEGER_TO_CHAR, NUMERIC_TO_CHAR};
use super::signature::{Entry, Kind, Overload};
use crate::{ErrorKind, QueryError};

mod read;
mod write;

use read::{from_seconds, to_date, to_timestamp};
use write::{of_instant, of_interval, of_time, of_timestamp};

/// Patterns, the longer of two with the same beginning first. Those that are read in capitals and in small letters stand here in capitals.
const FIELDS: &[&str] = &[
    "Y,YYY", "YYYY", "IYYY", "IDDD", "SSSSS", "SSSS", "HH24", "HH12", "MONTH", "Month", "A.M.", "P.M.", "B.C.", "A.D.",
    "DDD", "DAY", "Day", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "IYY", "MON", "Mon", "TZH", "TZM", "YYY", "AD",
    "AM", "BC", "CC", "DD", "DY", "Dy", "HH", "ID", "IW", "IY", "MI", "MM", "MS", "OF", "PM", "RM", "SS", "TZ", "US",
    "WW", "YY", "D", "I", "J", "Q", "W", "Y",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A part of a pattern.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Field {
        name: &'static str,
        /// As it is written in the pattern: its case says how names are written.
        written: &'a str,
        /// FM or TM: no padding.
        bare: bool,
        /// TH or th after it.
        ordinal: Option<bool>,
    },
    Quoted(String),
    Other(char),
}

fn parts(pattern: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = pattern;
    let mut bare = false;
    while let Some(first) = rest.chars().next() {
        if let Some(prefix) = rest
            .get(..2)
            .filter(|prefix| matches!(*prefix, "FM" | "fm" | "TM" | "tm"))
        {
            bare = true;
            rest = &rest[prefix.len()..];
            continue;
        }
        if rest.starts_with("FX") || rest.starts_with("fx") {
            rest = &rest[2..];
            continue;
        }
        let field = FIELDS.iter().find(|field| {
            rest.starts_with(**field)
                || rest
                    .get(..field.len())
                    .is_some_and(|start| start == field.to_lowercase())
        });
        if let Some(name) = field {
            let written = &rest[..name.len()];
            rest = &rest[name.len()..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(false),
                Some("th") => Some(true),
                _ => None,
            };
            if ordinal.is_some() {
                rest = &rest[2..];
            }
            found.push(Part::Field {
                name,
                written,
                bare,
                ordinal,
            });
            bare = false;
            continue;
        }
        bare = false;
        if first == '"' {
            let mut inside = String::new();
            let mut letters = rest.char_indices().skip(1);
            let mut end = rest.len();
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => inside.extend(letters.next().map(|(_, next)| next)),
                    other => inside.push(other),
                }
            }
            found.push(Part::Quoted(inside));
            rest = &rest[end..];
            continue;
        }
        if let Some(after) = rest.strip_prefix("\\\"") {
            found.push(Part::Quoted("\"".into()));
            rest = after;
            continue;
        }
        found.push(Part::Other(first));
        rest = &rest[first.len_utf8()..];
    }
    found
}

fn out_of_range() -> QueryError {
    QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range")
}

const TEXT: Kind = Kind::Text;

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "to_char",
        description: "a time, an interval or a number in a pattern",
        example: "SELECT to_char(now(), 'YYYY-MM-DD HH24:MI'), to_char(1485, '9,999')",
        overloads: &[
            Overload::new(&[Kind::Timestamptz, TEXT], TEXT, of_instant),
            Overload::new(&[Kind::Timestamp, TEXT], TEXT, of_timestamp),
            Overload::new(&[Kind::Interval, TEXT], TEXT, of_interval),
            Overload::new(&[Kind::Time, TEXT], TEXT, of_time),
            INTEGER_TO_CHAR,
            NUMERIC_TO_CHAR,
            FLOAT_TO_CHAR,
        ],
    },
    Entry {
        name: "to_date",
        description: "the date that a text in a pattern shows",
        example: "SELECT to_date('05 Dec 2000', 'DD Mon YYYY')",
        overloads: &[Overload::new(&[TEXT, TEXT], Kind::Date, to_date)],
    },
    Entry {
        name: "to_timestamp",
        description: "the instant so many seconds after 1970, or that a text in a pattern shows",
        example: "SELECT to_timestamp(1490113800), to_timestamp('05 Dec 2000', 'DD Mon YYYY')",
        overloads: &[
            Overload::new(&[Kind::Float8], Kind::Timestamptz, from_seconds),
            Overload::new(&[TEXT, TEXT], Kind::Timestamptz, to_timestamp),
        ],
    },
];
