//! Times from their text, binary and calendar forms into the database's unit.
//!
//! A [`TimeReader`] lives as long as one statement or COPY and remembers: the last text it read (a fleet reports at one time), the last
//! date (rows come in order), and the zone's offset of the last quarter of an hour (finding an offset costs more than the rest together).

use chrono::{LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use taospg_catalog::{DatabaseOptions, Precision};

use super::number::shown;
use crate::{ErrorKind, QueryError};

type Result<T> = std::result::Result<T, Box<QueryError>>;

const NANOSECONDS: i64 = 1_000_000_000;
pub const DAY_SECONDS: i64 = 86_400;
/// PostgreSQL counts binary times from 2000-01-01.
pub const POSTGRES_EPOCH_SECONDS: i64 = 946_684_800;
/// A device's clock that is further ahead than this is wrong.
const FUTURE_YEARS_MAX: i64 = 100;
/// The longest text that is remembered: a date, a time with nine digits and an offset take 35 bytes.
const MEMO_BYTES: usize = 40;
/// Offsets change at multiples of this in every zone since they became whole hours and quarters; where they do not, both ends of the span
/// are compared and nothing is remembered.
const OFFSET_SPAN_SECONDS: i64 = 900;
/// Integers in text of COPY are times from this many digits on; shorter ones are dates such as 20260131.
const INTEGER_TIME_DIGITS_MIN: usize = 9;

pub struct TimeReader {
    zone: Tz,
    zone_is_utc: bool,
    precision: Precision,
    units_per_second: i64,
    /// The transaction's `now()`.
    now_ns: i64,
    /// First and last time that a row may have.
    time_min: i64,
    time_max: i64,
    memo_text: [u8; MEMO_BYTES],
    memo_length: usize,
    memo_value: i64,
    memo_zoned: bool,
    date_text: [u8; 10],
    date_seconds: i64,
    /// Local seconds divided by `OFFSET_SPAN_SECONDS`, and the offset there.
    offset_memo: Option<(i64, i64)>,
}

/// Which offset a written time has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WrittenZone {
    Session,
    Offset(i64),
    Named(Tz),
}

impl TimeReader {
    pub fn new(options: &DatabaseOptions, zone: Tz, now_ns: i64) -> TimeReader {
        let units_per_second = options.precision.units_per_second();
        let unit_ns = NANOSECONDS / units_per_second;
        let now = now_ns / unit_ns;
        let keep = options.keep_ms.saturating_mul(units_per_second / 1_000);
        let future = (FUTURE_YEARS_MAX * 365 * DAY_SECONDS).saturating_mul(units_per_second);
        TimeReader {
            zone,
            zone_is_utc: matches!(zone, Tz::UTC | Tz::Etc__UTC | Tz::GMT | Tz::Etc__GMT),
            precision: options.precision,
            units_per_second,
            now_ns,
            time_min: now.saturating_sub(keep),
            time_max: now.saturating_add(future),
            memo_text: [0; MEMO_BYTES],
            memo_length: 0,
            memo_value: 0,
            memo_zoned: false,
            date_text: [0; 10],
            date_seconds: 0,
            offset_memo: None,
        }
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The transaction's time in the database's unit.
    pub fn now(&self) -> i64 {
        self.now_ns.div_euclid(NANOSECONDS / self.units_per_second)
    }

    /// So many nanoseconds after it.
    pub fn now_plus(&self, nanoseconds: i64) -> i64 {
        self.now_ns
            .saturating_add(nanoseconds)
            .div_euclid(NANOSECONDS / self.units_per_second)
    }

    /// A row's time: inside KEEP and not absurdly far ahead.
    #[inline]
    pub fn check_row_time(&self, time: i64) -> Result<i64> {
        if self.time_min <= time && time <= self.time_max {
            Ok(time)
        } else {
            Err(self.outside(time))
        }
    }

    #[cold]
    fn outside(&self, time: i64) -> Box<QueryError> {
        let shown = self.format(time);
        Box::new(if time < self.time_min {
            QueryError::new(
                ErrorKind::DatetimeFieldOverflow,
                format!("time {shown} is outside of the database's KEEP"),
            )
            .with_detail(format!("The oldest time kept is {}.", self.format(self.time_min)))
        } else {
            QueryError::new(
                ErrorKind::DatetimeFieldOverflow,
                format!("time {shown} is more than {FUTURE_YEARS_MAX} years ahead"),
            )
            .with_hint("Check the unit: whole numbers are times in the database's precision.")
        })
    }

    /// A time of the database's unit as text, in UTC.
    pub fn format(&self, time: i64) -> String {
        let seconds = time.div_euclid(self.units_per_second);
        let nanoseconds = time.rem_euclid(self.units_per_second) * (NANOSECONDS / self.units_per_second);
        match chrono::DateTime::from_timestamp(seconds, nanoseconds as u32) {
            Some(time) => time.format("%Y-%m-%d %H:%M:%S%.f+00").to_string(),
            None => time.to_string(),
        }
    }

    /// Reads a time at the start of `bytes` if it is the one read last, or in the form `YYYY-MM-DD hh:mm:ss[.f][Z|±hh[:mm]]`: the value and
    /// the bytes read. `zoned`: for a `timestamptz`; a plain `timestamp` takes the clock's reading and drops the offset.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8], zoned: bool, is_end: impl Fn(u8) -> bool) -> Option<(i64, usize)> {
        let length = self.memo_length;
        if length > 0
            && zoned == self.memo_zoned
            && bytes.len() > length
            && bytes[..length] == self.memo_text[..length]
            && is_end(bytes[length])
        {
            return Some((self.memo_value, length));
        }
        let (value, length) = self.scan_iso(bytes, zoned)?;
        if length <= MEMO_BYTES {
            self.memo_text[..length].copy_from_slice(&bytes[..length]);
            self.memo_length = length;
            self.memo_value = value;
            self.memo_zoned = zoned;
        }
        Some((value, length))
    }

    fn scan_iso(&mut self, bytes: &[u8], zoned: bool) -> Option<(i64, usize)> {
        let clock = bytes.get(..19)?;
        let two = |at: usize| -> Option<i64> {
            let (tens, ones) = (clock[at].wrapping_sub(b'0'), clock[at + 1].wrapping_sub(b'0'));
            (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
        };
        if !matches!(clock[10], b' ' | b'T') || clock[13] != b':' || clock[16] != b':' {
            return None;
        }
        if clock[..10] != self.date_text {
            if clock[4] != b'-' || clock[7] != b'-' {
                return None;
            }
            let days = days_of(two(0)? * 100 + two(2)?, two(5)?, two(8)?)?;
            self.date_text.copy_from_slice(&clock[..10]);
            self.date_seconds = days * DAY_SECONDS;
        }
        let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut seconds = self.date_seconds + hour * 3600 + minute * 60 + second;
        let mut at = 19;
        let mut nanoseconds = 0;
        if bytes.get(at) == Some(&b'.') {
            let (value, read) = scan_fraction(&bytes[at + 1..]);
            if read == 0 {
                return None;
            }
            nanoseconds = value;
            at += 1 + read;
        }
        match bytes.get(at) {
            Some(b'Z') => at += 1,
            Some(sign @ (b'+' | b'-')) => {
                let negative = *sign == b'-';
                let (offset, read) = scan_offset(&bytes[at + 1..])?;
                if zoned {
                    seconds -= if negative { -offset } else { offset };
                }
                at += 1 + read;
            }
            _ if zoned && !self.zone_is_utc => seconds -= self.offset_at_local(seconds),
            _ => {}
        }
        Some((self.unit(seconds, nanoseconds)?, at))
    }

    /// Seconds and nanoseconds in the database's unit, rounded.
    #[inline]
    fn unit(&self, seconds: i64, nanoseconds: i64) -> Option<i64> {
        let fraction = match self.precision {
            Precision::Nanosecond => nanoseconds,
            Precision::Microsecond => (nanoseconds + 500) / 1_000,
            Precision::Millisecond => (nanoseconds + 500_000) / 1_000_000,
        };
        seconds.checked_mul(self.units_per_second)?.checked_add(fraction)
    }

    /// Seconds to take off a local time to get UTC. A time that the clocks skipped counts as if they had not, one that came twice is the
    /// later: as PostgreSQL has it.
    fn offset_at_local(&mut self, local_seconds: i64) -> i64 {
        let span = local_seconds.div_euclid(OFFSET_SPAN_SECONDS);
        if let Some((known, offset)) = self.offset_memo
            && known == span
        {
            return offset;
        }
        let offset = local_offset(self.zone, local_seconds);
        let start = span * OFFSET_SPAN_SECONDS;
        if local_offset(self.zone, start) == offset
            && local_offset(self.zone, start + OFFSET_SPAN_SECONDS - 1) == offset
        {
            self.offset_memo = Some((span, offset));
        }
        offset
    }

    /// A time from a whole field.
    pub fn parse(&mut self, text: &[u8], zoned: bool) -> Result<i64> {
        if let Some((value, read)) = self.scan_iso(text, zoned)
            && read == text.len()
        {
            return Ok(value);
        }
        self.parse_slowly(text, zoned)
    }

    fn parse_slowly(&mut self, text: &[u8], zoned: bool) -> Result<i64> {
        let trimmed = text.trim_ascii();
        let name = type_name(zoned);
        if trimmed.len() >= INTEGER_TIME_DIGITS_MIN
            && let Some((value, read)) = super::number::scan_integer(trimmed)
            && read == trimmed.len()
        {
            return Ok(value);
        }
        let written = Written::parse(trimmed, self.now_ns, self.zone).map_err(|problem| problem.error(name, text))?;
        let mut seconds = written.seconds;
        if zoned {
            seconds -= match written.zone {
                WrittenZone::Session => self.offset_at_local(seconds),
                WrittenZone::Offset(offset) => offset,
                WrittenZone::Named(zone) => local_offset(zone, seconds),
            };
        } else if written.is_instant {
            seconds += utc_offset(self.zone, seconds);
        }
        self.unit(seconds, written.nanoseconds)
            .ok_or_else(|| Problem::OutOfRange.error(name, text))
    }

    /// A date from a whole field: days since 1970.
    pub fn parse_date(&mut self, text: &[u8]) -> Result<i32> {
        let trimmed = text.trim_ascii();
        let written = Written::parse(trimmed, self.now_ns, self.zone).map_err(|problem| problem.error("date", text))?;
        let local = if written.is_instant {
            written.seconds + utc_offset(self.zone, written.seconds)
        } else {
            written.seconds
        };
        i32::try_from(local.div_euclid(DAY_SECONDS)).map_err(|_| Problem::OutOfRange.error("date", text))
    }

    /// Microseconds since 2000, the binary form of both timestamp types.
    pub fn from_postgres_microseconds(&self, microseconds: i64) -> Result<i64> {
        let overflow = || {
            Box::new(QueryError::new(
                ErrorKind::DatetimeFieldOverflow,
                format!("timestamp out of range: {microseconds} microseconds since 2000"),
            ))
        };
        if microseconds == i64::MAX || microseconds == i64::MIN {
            return Err(infinite());
        }
        let since_1970 = microseconds
            .checked_add(POSTGRES_EPOCH_SECONDS * 1_000_000)
            .ok_or_else(overflow)?;
        match self.precision {
            Precision::Microsecond => Ok(since_1970),
            Precision::Millisecond => Ok((since_1970 + 500).div_euclid(1_000)),
            Precision::Nanosecond => since_1970.checked_mul(1_000).ok_or_else(overflow),
        }
    }

    /// Midnight of a date, local for a `timestamptz`.
    pub fn from_date(&mut self, days: i32, zoned: bool) -> Result<i64> {
        let mut seconds = i64::from(days) * DAY_SECONDS;
        if zoned {
            seconds -= self.offset_at_local(seconds);
        }
        self.unit(seconds, 0).ok_or_else(|| {
            Box::new(QueryError::new(
                ErrorKind::DatetimeFieldOverflow,
                format!("date out of range for timestamp: {days} days since 1970"),
            ))
        })
    }

    /// From a time without zone to one with, in the session's zone; or back.
    pub fn shift_zone(&mut self, time: i64, to_zoned: bool) -> i64 {
        let seconds = time.div_euclid(self.units_per_second);
        let offset = if to_zoned {
            -self.offset_at_local(seconds)
        } else {
            utc_offset(self.zone, seconds)
        };
        time.saturating_add(offset.saturating_mul(self.units_per_second))
    }

    /// The date on which an instant falls, in the session's zone if it is one.
    pub fn date_of(&self, time: i64, zoned: bool) -> i32 {
        let mut seconds = time.div_euclid(self.units_per_second);
        if zoned {
            seconds += utc_offset(self.zone, seconds);
        }
        i32::try_from(seconds.div_euclid(DAY_SECONDS)).unwrap_or(i32::MAX) // past any calendar
    }
}

fn type_name(zoned: bool) -> &'static str {
    if zoned { "timestamp with time zone" } else { "timestamp" }
}

fn infinite() -> Box<QueryError> {
    Box::new(QueryError::new(
        ErrorKind::DatetimeFieldOverflow,
        "timestamp out of range: times are finite",
    ))
}

/// Days since 1970 of a date in the proleptic Gregorian calendar.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        u32::try_from(month).ok()?,
        u32::try_from(day).ok()?,
    )?;
    Some(i64::from(date.to_epoch_days()))
}

/// Digits of a fraction as nanoseconds, rounded at the tenth; the digits read.
fn scan_fraction(bytes: &[u8]) -> (i64, usize) {
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
fn scan_offset(bytes: &[u8]) -> Option<(i64, usize)> {
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
fn local_offset(zone: Tz, local_seconds: i64) -> i64 {
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
fn utc_offset(zone: Tz, seconds: i64) -> i64 {
    chrono::DateTime::from_timestamp(seconds, 0).map_or(0, |time| {
        i64::from(zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc())
    })
}

/// What is wrong with a written time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Problem {
    Syntax,
    OutOfRange,
    Zone,
    Infinite,
}

impl Problem {
    fn error(self, type_name: &str, text: &[u8]) -> Box<QueryError> {
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
struct Written {
    /// Seconds since 1970 that the clock shows.
    seconds: i64,
    nanoseconds: i64,
    zone: WrittenZone,
    /// `now`, `epoch`: no clock's reading but an instant.
    is_instant: bool,
}

impl Written {
    /// The forms besides the usual one: a date alone, slashes, no separators, AM and PM, named zones, words.
    fn parse(text: &[u8], now_ns: i64, zone: Tz) -> std::result::Result<Written, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: i64 = 1_760_000_000_123_456_789;

    fn reader(precision: Precision, zone: Tz) -> TimeReader {
        let options = DatabaseOptions {
            precision,
            keep_ms: 36_500 * DAY_SECONDS * 1_000,
            ..DatabaseOptions::default()
        };
        TimeReader::new(&options, zone, NOW_NS)
    }

    #[test]
    fn usual_forms_give_the_instant() {
        let mut utc = reader(Precision::Microsecond, Tz::UTC);
        for (text, expected) in [
            ("2026-01-02 03:04:05", 1_767_323_045_000_000),
            ("2026-01-02T03:04:05Z", 1_767_323_045_000_000),
            ("2026-01-02 03:04:05.25+01", 1_767_319_445_250_000),
            ("2026-01-02 03:04:05.123456789-0530", 1_767_342_845_123_457),
            ("2026-01-02 03:04:05+05:30", 1_767_303_245_000_000),
            ("2026-01-02", 1_767_312_000_000_000),
            ("20260102T030405", 1_767_323_045_000_000),
            ("2026/1/2 3:04", 1_767_323_040_000_000),
            ("1/2/2026 3:04:05 PM", 1_767_366_245_000_000),
            ("2026-01-02 03:04:05 Europe/Berlin", 1_767_319_445_000_000),
            ("2026-01-02 03:04:05 EST", 1_767_341_045_000_000),
            ("2026-01-01 24:00:00", 1_767_312_000_000_000),
            ("epoch", 0),
            ("1969-12-31 23:59:59.5", -500_000),
            ("now", 1_760_000_000_123_457),
            ("1767323045000000", 1_767_323_045_000_000),
        ] {
            assert_eq!(utc.parse(text.as_bytes(), true).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn nanoseconds_keep_nine_digits() {
        let mut reader = reader(Precision::Nanosecond, Tz::UTC);
        let time = reader.parse(b"2026-01-02 03:04:05.123456789", true).unwrap();
        assert_eq!(time, 1_767_323_045_123_456_789);
        assert_eq!(reader.format(time), "2026-01-02 03:04:05.123456789+00");
        assert!(reader.parse(b"2300-01-01 00:00:00", true).is_err());
    }

    #[test]
    fn the_session_zone_counts_where_none_is_written() {
        let mut berlin = reader(Precision::Millisecond, Tz::Europe__Berlin);
        let mut at = |text: &str| berlin.parse(text.as_bytes(), true).unwrap() / 1_000;
        assert_eq!(at("2026-01-02 03:04:05"), 1_767_319_445);
        assert_eq!(at("2026-07-02 03:04:05"), 1_782_954_245);
        // Skipped: the clocks go from 2 to 3; PostgreSQL takes the offset before.
        assert_eq!(at("2026-03-29 02:30:00"), 1_774_747_800);
        // Twice: the later.
        assert_eq!(at("2026-10-25 02:30:00"), 1_792_891_800);
        assert_eq!(at("2026-10-25 02:30:00+02"), 1_792_888_200);
        // Without zone, the clock's reading is the value and a written offset means nothing.
        assert_eq!(
            berlin.parse(b"2026-01-02 03:04:05+07", false).unwrap(),
            1_767_323_045_000
        );
        assert_eq!(berlin.shift_zone(1_767_323_045_000, true), 1_767_319_445_000);
        assert_eq!(berlin.shift_zone(1_767_319_445_000, false), 1_767_323_045_000);
    }

    #[test]
    fn wrong_times_say_what_is_wrong() {
        let mut utc = reader(Precision::Microsecond, Tz::UTC);
        let mut problem = |text: &str| {
            let error = utc.parse(text.as_bytes(), true).unwrap_err();
            (error.kind, error.message)
        };
        assert_eq!(
            problem("x"),
            (
                ErrorKind::InvalidDatetimeFormat,
                "invalid input syntax for type timestamp with time zone: \"x\"".into()
            )
        );
        assert_eq!(
            problem("2026-13-01 00:00:00"),
            (
                ErrorKind::DatetimeFieldOverflow,
                "date/time field value out of range: \"2026-13-01 00:00:00\"".into()
            )
        );
        assert_eq!(problem("2026-02-29").0, ErrorKind::DatetimeFieldOverflow);
        assert_eq!(problem("2026-02-01 25:00:00").0, ErrorKind::DatetimeFieldOverflow);
        assert_eq!(problem("infinity").0, ErrorKind::DatetimeFieldOverflow);
        assert_eq!(
            problem("2026-02-01 10:00 Mars/Base").0,
            ErrorKind::InvalidParameterValue
        );
        assert_eq!(problem("").0, ErrorKind::InvalidDatetimeFormat);
        assert_eq!(problem("2026-01-01 00:00:0é").0, ErrorKind::InvalidDatetimeFormat);
        assert_eq!(problem("2026-01-01 00:00é").0, ErrorKind::InvalidDatetimeFormat);
    }

    #[test]
    fn rows_outside_keep_are_refused() {
        let options = DatabaseOptions {
            keep_ms: DAY_SECONDS * 1_000,
            ..DatabaseOptions::default()
        };
        let reader = TimeReader::new(&options, Tz::UTC, NOW_NS);
        let now = reader.now();
        assert_eq!(reader.check_row_time(now).unwrap(), now);
        let error = reader.check_row_time(now - 2 * DAY_SECONDS * 1_000_000).unwrap_err();
        assert_eq!(error.kind, ErrorKind::DatetimeFieldOverflow);
        assert!(
            error.message.ends_with("is outside of the database's KEEP"),
            "{}",
            error.message
        );
        assert!(reader.check_row_time(i64::MAX).is_err());
    }

    #[test]
    fn the_memo_answers_only_for_equal_text() {
        let mut utc = reader(Precision::Microsecond, Tz::UTC);
        let is_end = |byte| byte == b'\t';
        let first = utc.scan(b"2026-01-02 03:04:05\tx", true, is_end).unwrap();
        assert_eq!(utc.scan(b"2026-01-02 03:04:05\ty", true, is_end).unwrap(), first);
        let longer = utc.scan(b"2026-01-02 03:04:05.5\t", true, is_end).unwrap();
        assert_eq!(longer, (first.0 + 500_000, 21));
    }

    #[test]
    fn dates_read_in_all_forms() {
        let mut utc = reader(Precision::Microsecond, Tz::UTC);
        assert_eq!(utc.parse_date(b"2026-01-02").unwrap(), 20_455);
        assert_eq!(utc.parse_date(b"20260102").unwrap(), 20_455);
        assert_eq!(utc.parse_date(b"2026-01-02 23:00:00+07").unwrap(), 20_455);
        assert_eq!(utc.parse_date(b"today").unwrap(), 20_370);
        assert!(utc.parse_date(b"2026-1-32").is_err());
    }
}
