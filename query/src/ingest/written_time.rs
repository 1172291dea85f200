//! Times as people write them, and what zones make of them.

use chrono::{LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::number::shown;
use super::time::{DAY_SECONDS, NANOSECONDS};
use crate::{ErrorKind, QueryError};

/// Which offset a written time has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WrittenZone {
    Session,
    Offset(i64),
    Named(Tz),
}

pub(super) fn infinite() -> Box<QueryError> {
    Box::new(QueryError::new(
        ErrorKind::DatetimeFieldOverflow,
        "timestamp out of range: times are finite",
    ))
}

/// Days since 1970 of a date in the proleptic Gregorian calendar.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        u32::try_from(month).ok()?,
        u32::try_from(day).ok()?,
    )?;
    Some(i64::from(date.to_epoch_days()))
}

/// Digits of a fraction as nanoseconds, rounded at the tenth; the digits read.
pub(super) fn scan_fraction(bytes: &[u8]) -> (i64, usize) {
    let mut nanoseconds = 0;
    let mut read = 0;
    let mut unit = 100_000_000;
    while let Some(digit) = bytes.get(read).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        if read < 9 {
            nanoseconds += i64::from(digit) * unit;
            unit /= 10;
        } else if read == 9 && digit >= 5 {
            nanoseconds += 1;
        }
        read += 1;
    }
    (nanoseconds, read)
}

/// `hh`, `hhmm`, `hh:mm` or `hh:mm:ss` after the sign: seconds and bytes read.
pub(super) fn scan_offset(bytes: &[u8]) -> Option<(i64, usize)> {
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (bytes.get(at)?.wrapping_sub(b'0'), bytes.get(at + 1)?.wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let hours = two(0)?;
    let (minutes, mut read) = if bytes.get(2) == Some(&b':') {
        (two(3)?, 5)
    } else if let Some(minutes) = two(2) {
        (minutes, 4)
    } else {
        (0, 2)
    };
    let mut seconds = 0;
    if read == 5 && bytes.get(5) == Some(&b':') {
        seconds = two(6)?;
        read = 8;
    }
    // 15:59:59 is the largest offset PostgreSQL takes.
    (hours <= 15 && minutes <= 59 && seconds <= 59).then_some((hours * 3600 + minutes * 60 + seconds, read))
}

/// Seconds that a zone is ahead of UTC at a local time.
pub(super) fn local_offset(zone: Tz, local_seconds: i64) -> i64 {
    let Some(local) = chrono::DateTime::from_timestamp(local_seconds, 0).map(|time| time.naive_utc()) else {
        return 0;
    };
    match zone.offset_from_local_datetime(&local) {
        LocalResult::Single(offset) => i64::from(offset.fix().local_minus_utc()),
        LocalResult::Ambiguous(_, later) => i64::from(later.fix().local_minus_utc()),
        LocalResult::None => before_gap(zone, local),
    }
}

/// The offset in force before the clocks were set forward across `local`.
fn before_gap(zone: Tz, local: NaiveDateTime) -> i64 {
    /// The longest gap there has been is a whole day, skipped at the date line.
    const GAP_HOURS_MAX: i64 = 25;
    (1..=GAP_HOURS_MAX)
        .filter_map(|hours| local.checked_sub_signed(chrono::TimeDelta::hours(hours)))
        .find_map(|earlier| match zone.offset_from_local_datetime(&earlier) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(_, offset) => {
                Some(i64::from(offset.fix().local_minus_utc()))
            }
            LocalResult::None => None,
        })
        .unwrap_or(0)
}

/// Seconds that a zone is ahead of UTC at an instant.
pub(super) fn utc_offset(zone: Tz, seconds: i64) -> i64 {
    chrono::DateTime::from_timestamp(seconds, 0).map_or(0, |time| {
        i64::from(zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc())
    })
}

/// What is wrong with a written time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Problem {
    Syntax,
    OutOfRange,
    Zone,
    Infinite,
}

impl Problem {
    pub(super) fn error(self, type_name: &str, text: &[u8]) -> Box<QueryError> {
        let shown = shown(text);
        Box::new(match self {
            Problem::Syntax => QueryError::new(
                ErrorKind::InvalidDatetimeFormat,
                format!("invalid input syntax for type {type_name}: \"{shown}\""),
            ),
            Problem::OutOfRange => QueryError::new(
                ErrorKind::DatetimeFieldOverflow,
                format!("date/time field value out of range: \"{shown}\""),
            ),
            Problem::Zone => QueryError::new(
                ErrorKind::InvalidParameterValue,
                format!("time zone not recognized in \"{shown}\""),
            ),
            Problem::Infinite => *infinite(),
        })
    }
}

/// A time as somebody wrote it: the clock's reading, and where the clock hangs.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    /// Seconds since 1970 that the clock shows.
    pub(super) seconds: i64,
    pub(super) nanoseconds: i64,
    pub(super) zone: WrittenZone,
    /// `now`, `epoch`: no clock's reading but an instant.
    pub(super) is_instant: bool,
}

impl Written {
    /// The forms besides the usual one: a date alone, slashes, no separators, AM and PM, named zones, words.
    pub(super) fn parse(text: &[u8], now_ns: i64, zone: Tz) -> std::result::Result<Written, Problem> {
        let text = std::str::from_utf8(text).map_err(|_| Problem::Syntax)?;
        if let Some(word) = Written::word(text, now_ns, zone) {
            return word;
        }
        let (days, rest) = parse_date(text)?;
        let mut rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(['T', 't'])
            && after.starts_with(|first: char| first.is_ascii_digit())
        {
            rest = after;
        }
        let mut seconds = days * DAY_SECONDS;
        let mut nanoseconds = 0;
        if rest.starts_with(|first: char| first.is_ascii_digit()) {
            let (clock, fraction, after) = parse_clock(rest)?;
            seconds += clock;
            nanoseconds = fraction;
            rest = after;
        }
        let zone = parse_zone(rest.trim())?;
        Ok(Written {
            seconds,
            nanoseconds,
            zone,
            is_instant: false,
        })
    }

    fn word(text: &str, now_ns: i64, zone: Tz) -> Option<std::result::Result<Written, Problem>> {
        let now_seconds = now_ns.div_euclid(NANOSECONDS);
        let today = (now_seconds + utc_offset(zone, now_seconds)).div_euclid(DAY_SECONDS);
        let instant = |seconds, nanoseconds| Written {
            seconds,
            nanoseconds,
            zone: WrittenZone::Offset(0),
            is_instant: true,
        };
        let midnight = |days: i64| Written {
            seconds: days * DAY_SECONDS,
            nanoseconds: 0,
            zone: WrittenZone::Session,
            is_instant: false,
        };
        Some(Ok(match text.to_ascii_lowercase().as_str() {
            "now" => instant(now_seconds, now_ns.rem_euclid(NANOSECONDS)),
            "epoch" => instant(0, 0),
            "today" => midnight(today),
            "tomorrow" => midnight(today + 1),
            "yesterday" => midnight(today - 1),
            "infinity" | "-infinity" | "+infinity" => return Some(Err(Problem::Infinite)),
            _ => return None,
        }))
    }
}

/// Takes a number of 1 to `digits_max` digits off the front.
fn take_number(text: &str, digits_max: usize) -> Option<(i64, usize, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > digits_max {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, digits, rest))
}

/// Days since 1970, and what follows the date.
fn parse_date(text: &str) -> std::result::Result<(i64, &str), Problem> {
    let (first, digits, rest) = take_number(text, 8).ok_or(Problem::Syntax)?;
    if digits == 8 {
        let days = days_of(first / 10_000, first / 100 % 100, first % 100).ok_or(Problem::OutOfRange)?;
        return Ok((days, rest));
    }
    let separator = rest
        .chars()
        .next()
        .filter(|c| matches!(c, '-' | '/' | '.'))
        .ok_or(Problem::Syntax)?;
    let rest = &rest[1..];
    let (second, _, rest) = take_number(rest, 2).ok_or(Problem::Syntax)?;
    let rest = rest.strip_prefix(separator).ok_or(Problem::Syntax)?;
    let (third, third_digits, rest) = take_number(rest, 5).ok_or(Problem::Syntax)?;
    let (year, month, day) = if digits >= 4 {
        if third_digits > 2 {
            return Err(Problem::Syntax);
        }
        (first, second, third)
    } else if digits <= 2 && third_digits >= 4 {
        (third, first, second) // month first, the default of DateStyle
    } else {
        return Err(Problem::Syntax);
    };
    let days = days_of(year, month, day).ok_or(Problem::OutOfRange)?;
    Ok((days, rest))
}

/// Seconds of the day, nanoseconds, and what follows: `hh:mm[:ss[.f]]`, `hhmm[ss[.f]]`, with AM or PM.
fn parse_clock(text: &str) -> std::result::Result<(i64, i64, &str), Problem> {
    let (first, digits, mut rest) = take_number(text, 6).ok_or(Problem::Syntax)?;
    let (mut hour, minute, mut second) = match digits {
        6 => (first / 10_000, first / 100 % 100, first % 100),
        4 => (first / 100, first % 100, 0),
        1 | 2 => {
            rest = rest.strip_prefix(':').ok_or(Problem::Syntax)?;
            let (minute, _, after) = take_number(rest, 2).ok_or(Problem::Syntax)?;
            rest = after;
            (first, minute, 0)
        }
        _ => return Err(Problem::Syntax),
    };
    if digits <= 2
        && let Some(after) = rest.strip_prefix(':')
    {
        let (value, _, after) = take_number(after, 2).ok_or(Problem::Syntax)?;
        second = value;
        rest = after;
    }
    let mut nanoseconds = 0;
    if let Some(after) = rest.strip_prefix('.') {
        let (value, read) = scan_fraction(after.as_bytes());
        nanoseconds = value;
        rest = &after[read..]; // digits are one byte each
    }
    let word = rest.trim_start().get(..2).map(str::to_ascii_lowercase);
    if let Some(half @ ("am" | "pm")) = word.as_deref() {
        if !(1..=12).contains(&hour) {
            return Err(Problem::OutOfRange);
        }
        hour = hour % 12 + if half == "pm" { 12 } else { 0 };
        rest = &rest.trim_start()[2..];
    }
    // Midnight at the day's end and a leap second are fine, and mean the next second.
    let at_end = hour == 24 && minute == 0 && second == 0 && nanoseconds == 0;
    if (hour > 23 && !at_end) || minute > 59 || second > 60 {
        return Err(Problem::OutOfRange);
    }
    Ok((hour * 3600 + minute * 60 + second, nanoseconds, rest))
}

fn parse_zone(text: &str) -> std::result::Result<WrittenZone, Problem> {
    let bytes = text.as_bytes();
    match bytes {
        [] => Ok(WrittenZone::Session),
        [sign @ (b'+' | b'-'), offset @ ..] => {
            // A single digit is an hour.
            let (seconds, read) = match offset {
                [hour @ b'0'..=b'9'] => (i64::from(hour - b'0') * 3600, 1),
                _ => scan_offset(offset).ok_or(Problem::Syntax)?,
            };
            if read != offset.len() {
                return Err(Problem::Syntax);
            }
            Ok(WrittenZone::Offset(if *sign == b'-' { -seconds } else { seconds }))
        }
        _ => {
            let lower = text.to_ascii_lowercase();
            if let Some((_, hours)) = ABBREVIATIONS.iter().find(|(name, _)| *name == lower) {
                return Ok(WrittenZone::Offset(hours * 3600));
            }
            if !text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte))
            {
                return Err(Problem::Syntax);
            }
            let named = chrono_tz::TZ_VARIANTS
                .iter()
                .find(|zone| zone.name().eq_ignore_ascii_case(text));
            named.copied().map(WrittenZone::Named).ok_or(Problem::Zone)
        }
    }
}

/// Abbreviations that mean one offset in PostgreSQL's default set, in hours.
const ABBREVIATIONS: &[(&str, i64)] = &[
    ("z", 0),
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("wet", 0),
    ("bst", 1),
    ("cet", 1),
    ("west", 1),
    ("cest", 2),
    ("eet", 2),
    ("eest", 3),
    ("msk", 3),
    ("jst", 9),
    ("kst", 9),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
];
