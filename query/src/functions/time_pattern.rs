//! Times in a pattern: `to_char(now(), 'YYYY-MM-DD')`, `to_timestamp('2026-11-02', 'YYYY-MM-DD')`, `to_date`.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;
use datafusion::common::ScalarValue;

use super::calendar::civil;
use super::number_pattern::{FLOAT_TO_CHAR, INTEGER_TO_CHAR, NUMERIC_TO_CHAR, ordinal};
use super::signature::{Args, Entry, Kind, Overload, refuse, text, timestamptz};
use crate::pg_type::time::local_to_utc;
use crate::{ErrorKind, QueryError};

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

/// What a pattern shows: a reading of a clock, or the parts of an interval.
struct Shown {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// `None` of an interval.
    date: Option<NaiveDate>,
    /// The zone's abbreviation and offset in seconds, of an instant.
    zone: Option<(String, i32)>,
}

impl Shown {
    fn reading(reading: NaiveDateTime, zone: Option<(String, i32)>) -> Shown {
        Shown {
            year: i64::from(reading.year()),
            month: i64::from(reading.month()),
            day: i64::from(reading.day()),
            hour: i64::from(reading.hour()),
            minute: i64::from(reading.minute()),
            second: i64::from(reading.second()),
            micros: i64::from(reading.nanosecond() / 1_000),
            date: Some(reading.date()),
            zone,
        }
    }

    fn write(&self, pattern: &str) -> Result<String, QueryError> {
        let mut out = String::new();
        for part in parts(pattern) {
            match part {
                Part::Field {
                    name,
                    written,
                    bare,
                    ordinal: suffix,
                } => {
                    let start = out.len();
                    self.field(name, written, bare, &mut out)?;
                    if let Some(lower) = suffix {
                        let ending = ordinal(out[start..].trim_end(), lower);
                        out.push_str(ending);
                    }
                }
                Part::Quoted(literal) => out.push_str(&literal),
                Part::Other(letter) => out.push(letter),
            }
        }
        Ok(out)
    }

    fn date(&self) -> Result<NaiveDate, QueryError> {
        match self.date {
            Some(date) => Ok(date),
            None => refuse(
                ErrorKind::InvalidDatetimeFormat,
                "invalid format specification for an interval value",
            )
            .map_err(|error: QueryError| error.with_hint("Intervals are not tied to specific calendar dates.")),
        }
    }

    fn field(&self, name: &str, written: &str, bare: bool, out: &mut String) -> Result<(), QueryError> {
        // Year 0 is 1 BC.
        let year = match self.date.is_some() && self.year <= 0 {
            true => 1 - self.year,
            false => self.year,
        };
        let small = written.chars().all(|letter| !letter.is_ascii_uppercase());
        let cased = |text: &str| if small { text.to_lowercase() } else { text.to_string() };
        let mut number = |value: i64, width: usize| {
            let sign = if value < 0 { "-" } else { "" };
            let value = value.unsigned_abs();
            let _ = match bare {
                true => write!(out, "{sign}{value}"),
                false => write!(out, "{sign}{value:0width$}"),
            };
        };
        let half_day = match self.hour % 12 {
            0 => 12,
            hour => hour,
        };
        let seconds = self.hour * 3_600 + self.minute * 60 + self.second;
        match name {
            "HH24" => number(self.hour, 2),
            "HH12" | "HH" => number(half_day, 2),
            "MI" => number(self.minute, 2),
            "SS" => number(self.second, 2),
            "MS" => number(self.micros / 1_000, 3),
            "US" => number(self.micros, 6),
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let digits = usize::from(name.as_bytes()[2] - b'0');
                let micros = format!("{:06}", self.micros.unsigned_abs());
                out.push_str(&micros[..digits]);
            }
            "SSSS" | "SSSSS" => out.push_str(&seconds.to_string()),
            "YYYY" => number(year, 4),
            "Y,YYY" => {
                let _ = match bare {
                    true if year < 1_000 => write!(out, "{year}"),
                    _ => write!(out, "{},{:03}", year / 1_000, year % 1_000),
                };
            }
            "YYY" => number(year % 1_000, 3),
            "YY" => number(year % 100, 2),
            "Y" => number(year % 10, 1),
            "CC" => {
                let century = match self.date.is_none() || self.year > 0 {
                    true => (self.year + 99) / 100,
                    false => self.year / 100 - 1,
                };
                let century = if self.date.is_none() { self.year / 100 } else { century };
                number(century, 2);
            }
            "MM" => number(self.month, 2),
            "DD" => number(self.day, 2),
            "Q" => {
                if self.month > 0 {
                    number((self.month - 1) / 3 + 1, 1);
                }
            }
            "DDD" => number(i64::from(self.date()?.ordinal()), 3),
            "J" => number(i64::from(self.date()?.num_days_from_ce()) + 1_721_425, 1),
            "D" => number(i64::from(self.date()?.weekday().number_from_sunday()), 1),
            "ID" => number(i64::from(self.date()?.weekday().number_from_monday()), 1),
            "W" => number((self.day - 1) / 7 + 1, 1),
            "WW" => number(i64::from(self.date()?.ordinal0() / 7 + 1), 2),
            "IW" => number(i64::from(self.date()?.iso_week().week()), 2),
            "IDDD" => {
                let date = self.date()?;
                let days = (date.iso_week().week() - 1) * 7 + date.weekday().number_from_monday();
                number(i64::from(days), 3);
            }
            "IYYY" => number(i64::from(self.date()?.iso_week().year()), 4),
            "IYY" => number(i64::from(self.date()?.iso_week().year() % 1_000), 3),
            "IY" => number(i64::from(self.date()?.iso_week().year() % 100), 2),
            "I" => number(i64::from(self.date()?.iso_week().year() % 10), 1),
            "A.M." | "P.M." => out.push_str(&cased(if self.hour % 24 < 12 { "A.M." } else { "P.M." })),
            "AM" | "PM" => out.push_str(&cased(if self.hour % 24 < 12 { "AM" } else { "PM" })),
            "B.C." | "A.D." => out.push_str(&cased(if self.date()?.year() > 0 { "A.D." } else { "B.C." })),
            "BC" | "AD" => out.push_str(&cased(if self.date()?.year() > 0 { "AD" } else { "BC" })),
            "RM" => {
                let found = usize::try_from(self.month - 1)
                    .ok()
                    .and_then(|month| ROMAN_MONTHS.get(month));
                if let Some(month) = found {
                    let month = cased(month);
                    let _ = match bare {
                        true => write!(out, "{month}"),
                        false => write!(out, "{month:<4}"),
                    };
                }
            }
            "TZ" | "OF" | "TZH" | "TZM" => {
                if self.date.is_none() {
                    self.date()?;
                }
                if let Some((zone, offset)) = &self.zone {
                    write_zone(name, zone, *offset, small, out);
                }
            }
            _ => {
                let month = usize::try_from(self.month - 1).ok().and_then(|month| MONTHS.get(month));
                let (full, width) = match name.to_ascii_uppercase().as_str() {
                    "MONTH" => (month.copied().unwrap_or_default(), 9),
                    "MON" => (month.map_or("", |month| &month[..3]), 0),
                    "DAY" => (DAYS[self.date()?.weekday().num_days_from_sunday() as usize], 9),
                    _ => (&DAYS[self.date()?.weekday().num_days_from_sunday() as usize][..3], 0),
                };
                let cased = match written {
                    all if all.chars().all(|letter| letter.is_ascii_uppercase()) => full.to_uppercase(),
                    all if small && !all.is_empty() => full.to_lowercase(),
                    _ => full.to_string(),
                };
                let _ = match bare {
                    true => write!(out, "{cased}"),
                    false => write!(out, "{cased:<width$}"),
                };
            }
        }
        Ok(())
    }
}

fn write_zone(name: &str, zone: &str, offset: i32, small: bool, out: &mut String) {
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3_600, offset.abs() / 60 % 60);
    let _ = match name {
        "TZ" if small => write!(out, "{}", zone.to_lowercase()),
        "TZ" => write!(out, "{zone}"),
        "TZM" => write!(out, "{minutes:02}"),
        "OF" if minutes != 0 => write!(out, "{sign}{hours:02}:{minutes:02}"),
        _ => write!(out, "{sign}{hours:02}"),
    };
}

fn out_of_range() -> QueryError {
    QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range")
}

fn of_timestamp(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let reading = civil(args.micros(0), 1_000_000).ok_or_else(out_of_range)?;
    Ok(text(Shown::reading(reading, None).write(args.text(1))?))
}

fn of_instant(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let utc = civil(args.micros(0), 1_000_000).ok_or_else(out_of_range)?;
    let local = args.env().zone.from_utc_datetime(&utc);
    let zone = (local.format("%Z").to_string(), local.offset().fix().local_minus_utc());
    Ok(text(
        Shown::reading(local.naive_local(), Some(zone)).write(args.text(1))?,
    ))
}

fn of_time(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    span(0, 0, args.micros(0), args.text(1))
}

fn of_interval(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let value = args.interval(0);
    span(value.months, value.days, value.nanoseconds / 1_000, args.text(1))
}

fn span(months: i32, days: i32, micros: i64, pattern: &str) -> Result<ScalarValue, QueryError> {
    let shown = Shown {
        year: i64::from(months / 12),
        month: i64::from(months % 12),
        day: i64::from(days),
        hour: micros / 3_600_000_000,
        minute: micros / 60_000_000 % 60,
        second: micros / 1_000_000 % 60,
        micros: micros % 1_000_000,
        date: None,
        zone: None,
    };
    Ok(text(shown.write(pattern)?))
}

/// What a text in a pattern has told.
#[derive(Default)]
struct Told {
    year: Option<i64>,
    before_christ: bool,
    century: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    iso_day_of_year: Option<i64>,
    week: Option<i64>,
    hour: Option<i64>,
    twelve: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    of_day: Option<i64>,
    offset_hours: Option<i64>,
    offset_minutes: i64,
}

struct Input<'a> {
    rest: &'a str,
}

impl<'a> Input<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// A number of at most `width` digits; of any number where `width` is 0.
    fn number(&mut self, field: &str, width: usize) -> Result<i64, QueryError> {
        self.spaces();
        let signed = usize::from(self.rest.starts_with(['-', '+']));
        let digits = self.rest[signed..].bytes().take_while(u8::is_ascii_digit).count();
        let digits = if width > 0 { digits.min(width) } else { digits };
        let taken = &self.rest[..signed + digits];
        match taken.parse::<i64>() {
            Ok(number) if digits > 0 => {
                self.rest = &self.rest[taken.len()..];
                Ok(number)
            }
            _ => {
                let shown: String = self.rest.chars().take(width.max(field.len())).collect();
                refuse(
                    ErrorKind::InvalidDatetimeFormat,
                    format!("invalid value \"{shown}\" for \"{field}\""),
                )
                .map_err(|error: QueryError| error.with_detail("Value must be an integer."))
            }
        }
    }

    /// The place of the one of these words that the input begins with; of three letters where `short`.
    fn word(&mut self, field: &str, words: &[&str], short: bool) -> Result<usize, QueryError> {
        self.spaces();
        let cut = |word: &&str| if short { word.len().min(3) } else { word.len() };
        let starts = |word: &str| {
            let start = self.rest.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        // The longest: VIII before VII.
        let found = words
            .iter()
            .enumerate()
            .filter(|(_, word)| starts(&word[..cut(word)]))
            .max_by_key(|(_, word)| cut(word));
        match found {
            Some((place, word)) => {
                self.rest = &self.rest[cut(word)..];
                Ok(place)
            }
            None => {
                let shown: String = self.rest.chars().take_while(|letter| !letter.is_whitespace()).collect();
                refuse(
                    ErrorKind::InvalidDatetimeFormat,
                    format!("invalid value \"{shown}\" for \"{field}\""),
                )
                .map_err(|error: QueryError| {
                    error.with_detail("The given value did not match any of the allowed values for this field.")
                })
            }
        }
    }
}

fn is_separator(letter: char) -> bool {
    letter.is_ascii() && !letter.is_ascii_alphanumeric()
}

/// A year of two or three digits is the one nearest to 2020.
fn full_year(year: i64, digits: usize) -> i64 {
    match (digits, year) {
        (4.., _) => year,
        (_, 0..70) => year + 2_000,
        (_, 70..100) => year + 1_900,
        (_, 100..520) => year + 2_000,
        (_, 520..1_000) => year + 1_000,
        _ => year,
    }
}

/// Whether a part begins with digits: the field before it must not take them.
fn begins_with_digits(part: Option<&Part<'_>>) -> bool {
    match part {
        Some(Part::Field { name, .. }) => !matches!(
            name.to_ascii_uppercase().as_str(),
            "MONTH" | "MON" | "DAY" | "DY" | "AM" | "PM" | "A.M." | "P.M." | "AD" | "BC" | "A.D." | "B.C." | "RM"
        ),
        Some(Part::Other(letter)) => letter.is_ascii_digit(),
        _ => false,
    }
}

fn told(input: &str, pattern: &str) -> Result<Told, QueryError> {
    let mut told = Told::default();
    let parts = parts(pattern);
    let mut input = Input { rest: input };
    for (place, part) in parts.iter().enumerate() {
        let (name, bare) = match part {
            Part::Field { name, bare, .. } => (*name, *bare),
            Part::Quoted(literal) => {
                for _ in literal.chars() {
                    let mut letters = input.rest.chars();
                    letters.next();
                    input.rest = letters.as_str();
                }
                continue;
            }
            Part::Other(letter) => {
                let next = input.rest.chars().next();
                let skip = match (is_separator(*letter), next) {
                    (_, None) => false,
                    (true, Some(next)) => is_separator(next) && !(matches!(next, '-' | '+') && letter.is_whitespace()),
                    (false, Some(_)) => true,
                };
                if letter.is_whitespace() {
                    input.spaces();
                } else if skip {
                    let mut letters = input.rest.chars();
                    letters.next();
                    input.rest = letters.as_str();
                }
                continue;
            }
        };
        if input.rest.trim_start().is_empty() {
            break;
        }
        let exact = !bare && begins_with_digits(parts.get(place + 1));
        let width = |digits: usize| if exact { digits } else { 0 };
        let before = input.rest.trim_start().len();
        match name {
            "YYYY" | "IYYY" | "YYY" | "IYY" | "YY" | "IY" | "Y" | "I" => {
                let digits = name.trim_start_matches('I').len() + usize::from(name.starts_with('I') && name == "I");
                let digits = if name.starts_with('I') { name.len() } else { digits };
                let year = input.number(name, width(digits))?;
                let used = before - input.rest.len();
                let year = match digits == 4 {
                    true => year,
                    false => full_year(year, used),
                };
                match name.starts_with('I') {
                    true => told.iso_year = Some(year),
                    false => told.year = Some(year),
                }
            }
            "Y,YYY" => {
                let thousands = input.number(name, 0)?;
                input.rest = input.rest.strip_prefix(',').unwrap_or(input.rest);
                told.year = Some(thousands * 1_000 + input.number(name, 3)?);
            }
            "CC" => told.century = Some(input.number(name, width(2))?),
            "MM" => told.month = Some(input.number(name, width(2))?),
            "DD" => told.day = Some(input.number(name, width(2))?),
            "DDD" => told.day_of_year = Some(input.number(name, width(3))?),
            "IDDD" => told.iso_day_of_year = Some(input.number(name, width(3))?),
            "IW" => told.iso_week = Some(input.number(name, width(2))?),
            "ID" => told.iso_day = Some(input.number(name, width(1))?),
            "WW" => told.week = Some(input.number(name, width(2))?),
            "J" => told.julian = Some(input.number(name, 0)?),
            "D" | "W" | "Q" => {
                input.number(name, width(1))?;
            }
            "HH24" => told.hour = Some(input.number(name, width(2))?),
            "HH12" | "HH" => {
                told.hour = Some(input.number(name, width(2))?);
                told.twelve = true;
            }
            "MI" => told.minute = input.number(name, width(2))?,
            "SS" => told.second = input.number(name, width(2))?,
            "SSSS" | "SSSSS" => told.of_day = Some(input.number(name, width(5))?),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let digits = match name {
                    "MS" => 3,
                    "US" => 6,
                    other => usize::from(other.as_bytes()[2] - b'0'),
                };
                let fraction = input.number(name, digits)?;
                let used = (before - input.rest.len()).min(6) as u32;
                told.micros += fraction * 10i64.pow(6 - used);
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let words: &[&str] = if name.len() == 2 {
                    &["AM", "PM"]
                } else {
                    &["A.M.", "P.M."]
                };
                told.afternoon = Some(input.word(name, words, false)? == 1);
                told.twelve = true;
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                let words: &[&str] = if name.len() == 2 {
                    &["AD", "BC"]
                } else {
                    &["A.D.", "B.C."]
                };
                told.before_christ = input.word(name, words, false)? == 1;
            }
            "MONTH" | "Month" => told.month = Some(input.word(name, &MONTHS, false)? as i64 + 1),
            "MON" | "Mon" => told.month = Some(input.word(name, &MONTHS, true)? as i64 + 1),
            "DAY" | "Day" => {
                input.word(name, &DAYS, false)?;
            }
            "DY" | "Dy" => {
                input.word(name, &DAYS, true)?;
            }
            "RM" => told.month = Some(input.word(name, &ROMAN_MONTHS, false)? as i64 + 1),
            "TZH" => told.offset_hours = Some(input.number(name, 0)?),
            "TZM" => told.offset_minutes = input.number(name, 0)?,
            _ => {
                return refuse(
                    ErrorKind::FeatureNotSupported,
                    format!("formatting field \"{name}\" is only supported in to_char"),
                );
            }
        }
        if let Part::Field { ordinal: Some(_), .. } = part {
            input.rest = input.rest.get(2..).unwrap_or_default();
        }
    }
    Ok(told)
}

impl Told {
    fn date(&self) -> Option<NaiveDate> {
        if let Some(julian) = self.julian {
            return NaiveDate::from_num_days_from_ce_opt(i32::try_from(julian - 1_721_425).ok()?);
        }
        if let Some(year) = self.iso_year {
            let year = i32::try_from(year).ok()?;
            let first = NaiveDate::from_isoywd_opt(year, 1, chrono::Weekday::Mon)?;
            let days = match self.iso_day_of_year {
                Some(day) => day - 1,
                None => (self.iso_week.unwrap_or(1) - 1) * 7 + self.iso_day.unwrap_or(1) - 1,
            };
            return first.checked_add_signed(chrono::Duration::try_days(days)?);
        }
        let year = match (self.year, self.century) {
            (Some(year), _) if self.before_christ => 1 - year,
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1) * 100 + 1,
            (None, None) => 0,
        };
        let year = i32::try_from(year).ok()?;
        if let Some(day) = self.day_of_year.or(self.week.map(|week| (week - 1) * 7 + 1)) {
            return NaiveDate::from_yo_opt(year, u32::try_from(day).ok()?);
        }
        NaiveDate::from_ymd_opt(
            year,
            u32::try_from(self.month.unwrap_or(1)).ok()?,
            u32::try_from(self.day.unwrap_or(1)).ok()?,
        )
    }

    fn reading(&self) -> Option<NaiveDateTime> {
        let date = self.date()?;
        let mut hour = self.hour.unwrap_or(0);
        if self.twelve {
            if !(1..=12).contains(&hour) && self.hour.is_some() {
                return None;
            }
            match self.afternoon {
                Some(true) if hour < 12 => hour += 12,
                Some(false) if hour == 12 => hour = 0,
                _ => {}
            }
        }
        let in_range = (0..24).contains(&hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second);
        if !in_range {
            return None;
        }
        let seconds = self.of_day.unwrap_or(hour * 3_600 + self.minute * 60 + self.second);
        let midnight = date.and_hms_opt(0, 0, 0)?;
        let time = chrono::Duration::try_seconds(seconds)? + chrono::Duration::microseconds(self.micros);
        midnight.checked_add_signed(time)
    }
}

fn field_out_of_range(input: &str, told: &Told) -> QueryError {
    if told.twelve && told.hour.is_some_and(|hour| !(1..=12).contains(&hour)) {
        let message = format!(
            "hour \"{}\" is invalid for the 12-hour clock",
            told.hour.unwrap_or_default()
        );
        return QueryError::new(ErrorKind::InvalidDatetimeFormat, message)
            .with_hint("Use the 24-hour clock, or give an hour between 1 and 12.");
    }
    QueryError::new(
        ErrorKind::DatetimeFieldOverflow,
        format!("date/time field value out of range: \"{input}\""),
    )
}

fn to_timestamp(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let input = args.text(0);
    let told = told(input, args.text(1))?;
    let reading = told.reading().ok_or_else(|| field_out_of_range(input, &told))?;
    let nanoseconds = match told.offset_hours {
        Some(hours) => {
            let minutes = hours * 60
                + if hours < 0 {
                    -told.offset_minutes
                } else {
                    told.offset_minutes
                };
            local_to_utc(&reading, Tz::UTC) - i128::from(minutes) * 60_000_000_000
        }
        None => local_to_utc(&reading, args.env().zone),
    };
    i64::try_from(nanoseconds.div_euclid(1_000))
        .map(timestamptz)
        .map_err(|_| out_of_range())
}

fn to_date(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let input = args.text(0);
    let told = told(input, args.text(1))?;
    let date = told.date().ok_or_else(|| field_out_of_range(input, &told))?;
    Ok(ScalarValue::Date32(Some(date.num_days_from_ce() - 719_163)))
}

/// The instant so many seconds after 1970.
fn from_seconds(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let micros = (args.float(0) * 1e6).round();
    match micros.is_finite() && micros.abs() < 9.2e18 {
        true => Ok(timestamptz(micros as i64)),
        false => Err(QueryError::new(
            ErrorKind::DatetimeFieldOverflow,
            format!("timestamp out of range: \"{}\"", args.float(0)),
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> String {
        let time = NaiveDateTime::parse_from_str("2026-11-02 16:04:05.678901", "%Y-%m-%d %H:%M:%S%.f").unwrap();
        Shown::reading(time, Some(("UTC".into(), 0))).write(pattern).unwrap()
    }

    #[test]
    fn patterns() {
        assert_eq!(shown("YYYY-MM-DD HH24:MI:SS.MS"), "2026-11-02 16:04:05.678");
        assert_eq!(shown("FMDD Mon YY, HH12 am"), "2 Nov 26, 04 pm");
        assert_eq!(shown("\"day\" DDD Day|"), "day 306 Monday   |");
        assert_eq!(shown("yyyy\"T\"q"), "2026T4");
        assert_eq!(shown("Y,YYY YYY FMDDth TMMonth RM"), "2,026 026 2nd November XI  ");
        assert_eq!(shown("J SSSS FF3 TZH:TZM tz"), "2461347 57845 678 +00:00 utc");
    }

    #[test]
    fn texts_are_read_back() {
        for (input, pattern, expected) in [
            ("05 Dec 2000", "DD Mon YYYY", "2000-12-05 00:00:00"),
            (
                "2020-01-02 03:04:05 PM",
                "YYYY-MM-DD HH:MI:SS AM",
                "2020-01-02 15:04:05",
            ),
            ("20200102T030405", "YYYYMMDD\"T\"HH24MISS", "2020-01-02 03:04:05"),
            ("1,999", "Y,YYY", "1999-01-01 00:00:00"),
            ("2020 June", "YYYY Month", "2020-06-01 00:00:00"),
            ("31/12/99", "DD/MM/YY", "1999-12-31 00:00:00"),
            ("2020-W01-1", "IYYY-\"W\"IW-ID", "2019-12-30 00:00:00"),
            (
                "2020-01-01 00:00:00.5",
                "YYYY-MM-DD HH24:MI:SS.US",
                "2020-01-01 00:00:00.500",
            ),
        ] {
            let reading = told(input, pattern).unwrap().reading().unwrap();
            assert_eq!(reading.to_string(), expected, "{pattern}");
        }
        assert!(told("abc", "YYYY").is_err());
        assert!(told("2020-02-30", "YYYY-MM-DD").unwrap().reading().is_none());
    }
}
