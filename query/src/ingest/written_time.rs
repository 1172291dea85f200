//! Times as people write them, and what zones make of them.

use chrono::{LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::number::shown;
use super::time::NANOSECONDS;
use crate::pg_type::time::{self, Reading, Suffix, TimeError};
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
    /// The forms besides the usual one: see `pg_type/time.rs`, which reads them for literals too.
    pub(super) fn parse(text: &[u8], now_ns: i64, reading: Reading) -> std::result::Result<Written, Problem> {
        let text = std::str::from_utf8(text).map_err(|_| Problem::Syntax)?;
        let clock = |seconds, nanoseconds, zone, is_instant| Written {
            seconds,
            nanoseconds,
            zone,
            is_instant,
        };
        match time::read(text, i128::from(now_ns), reading) {
            Ok(time::Written::Infinite { .. }) => Err(Problem::Infinite),
            Ok(time::Written::Instant(instant)) => {
                let instant = i64::try_from(instant).map_err(|_| Problem::OutOfRange)?;
                let (seconds, nanoseconds) = (instant.div_euclid(NANOSECONDS), instant.rem_euclid(NANOSECONDS));
                Ok(clock(seconds, nanoseconds, WrittenZone::Offset(0), true))
            }
            Ok(time::Written::Clock {
                seconds,
                nanoseconds,
                zone,
            }) => {
                let zone = match zone {
                    None => WrittenZone::Session,
                    Some(Suffix::Seconds(seconds)) => WrittenZone::Offset(seconds.into()),
                    Some(Suffix::Zone(zone)) => WrittenZone::Named(zone),
                };
                Ok(clock(seconds, nanoseconds.into(), zone, false))
            }
            Err(TimeError::Syntax) => Err(Problem::Syntax),
            Err(TimeError::Range) => Err(Problem::OutOfRange),
            Err(TimeError::Zone) => Err(Problem::Zone),
        }
    }
}
