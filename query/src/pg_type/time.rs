//! Dates, times and timestamps from the text forms that PostgreSQL reads.
//!
//! ISO 8601 with 'T' or a space, days with slashes or points in the order of `DateStyle`, names of months and weekdays, one to nine digits of a
//! second, AM and PM, an offset (`Z`, `+02`, `+02:30`, `-0530`), a zone's name or abbreviation after the time, BC, and the words `now`, `today`,
//! `tomorrow`, `yesterday`, `epoch`, `infinity`. Without an offset the session's zone decides.
//!
//! A text is read field by field, as PostgreSQL does: a field says by its shape what it is, whatever stands before it.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// It cannot be read: 22007.
    Syntax,
    /// A field is out of its range, as in `2021-02-30`: 22008.
    Range,
    /// No zone has the name at its end.
    Zone,
}

/// Which of day, month and year comes first in `01/02/03`: the second half of `DateStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

/// How a session reads times: the zone of those that name none, and the order of days that leave it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    pub zone: Tz,
    pub order: DateOrder,
}

impl From<Tz> for Reading {
    fn from(zone: Tz) -> Reading {
        Reading {
            zone,
            order: DateOrder::default(),
        }
    }
}

/// What [`parse_timestamptz`] and [`parse_timestamp`] give for `infinity` and `-infinity`.
pub const INFINITY: i128 = i128::MAX;
pub const NEGATIVE_INFINITY: i128 = i128::MIN;

/// The last day that PostgreSQL knows: 5874897-12-31.
const DATE_MAX: i32 = 2_145_042_905;

const NANOSECONDS: i128 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// What a text says, before a zone is applied to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Written {
    Infinite {
        negative: bool,
    },
    /// `now`, `epoch`: nanoseconds since 1970 UTC.
    Instant(i128),
    /// What a clock shows, counted from 1970, and where the clock hangs if it says so.
    Clock {
        seconds: i64,
        nanoseconds: u32,
        zone: Option<Suffix>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Suffix {
    /// East of Greenwich.
    Seconds(i32),
    Zone(Tz),
}

/// Nanoseconds since 1970 UTC of a text that means an instant. Wide, so that the callers' units decide what is out of range.
pub fn parse_timestamptz(text: &str, reading: impl Into<Reading>) -> Result<i128, TimeError> {
    let reading = reading.into();
    Ok(match read(text, now(), reading)? {
        Written::Infinite { negative } => infinite(negative),
        Written::Instant(instant) => instant,
        Written::Clock {
            seconds,
            nanoseconds,
            zone,
        } => match zone {
            Some(Suffix::Seconds(east)) => joined(seconds - i64::from(east), nanoseconds),
            Some(Suffix::Zone(zone)) => in_zone(seconds, nanoseconds, zone),
            None => in_zone(seconds, nanoseconds, reading.zone),
        },
    })
}

/// Nanoseconds since 1970 of a wall clock's reading; an offset is read and ignored, as PostgreSQL does.
pub fn parse_timestamp(text: &str, reading: impl Into<Reading>) -> Result<i128, TimeError> {
    let reading = reading.into();
    Ok(match read(text, now(), reading)? {
        Written::Infinite { negative } => infinite(negative),
        Written::Instant(0) => 0,
        Written::Instant(instant) => instant + east_of(instant, reading.zone),
        Written::Clock {
            seconds, nanoseconds, ..
        } => joined(seconds, nanoseconds),
    })
}

/// Days since 1970; a time of day is read and ignored. The infinities are the largest and the smallest number.
pub fn parse_date(text: &str, reading: impl Into<Reading>) -> Result<i32, TimeError> {
    let local = parse_timestamp(text, reading)?;
    match local {
        INFINITY => Ok(i32::MAX),
        NEGATIVE_INFINITY => Ok(i32::MIN),
        local => {
            let days = local.div_euclid(i128::from(DAY_SECONDS) * NANOSECONDS);
            i32::try_from(days)
                .ok()
                .filter(|days| *days <= DATE_MAX)
                .ok_or(TimeError::Range)
        }
    }
}

/// Microseconds since midnight.
pub fn parse_time(text: &str) -> Result<i64, TimeError> {
    let mut fields = Fields::new(DateOrder::default(), true);
    fields.read(text.trim())?;
    let (seconds, nanoseconds) = fields.clock()?.ok_or(TimeError::Syntax)?;
    Ok(seconds * 1_000_000 + (i64::from(nanoseconds) + 500) / 1_000)
}

fn infinite(negative: bool) -> i128 {
    if negative { NEGATIVE_INFINITY } else { INFINITY }
}

fn now() -> i128 {
    nanoseconds(&Utc::now().naive_utc())
}

fn joined(seconds: i64, nanoseconds: u32) -> i128 {
    i128::from(seconds) * NANOSECONDS + i128::from(nanoseconds)
}

fn in_zone(seconds: i64, nanoseconds: u32, zone: Tz) -> i128 {
    match DateTime::from_timestamp(seconds, nanoseconds) {
        Some(local) => local_to_utc(&local.naive_utc(), zone),
        // Beyond the calendar that zones are known for.
        None => joined(seconds, nanoseconds),
    }
}

/// Nanoseconds that a zone is ahead of UTC at an instant.
fn east_of(instant: i128, zone: Tz) -> i128 {
    let seconds = i64::try_from(instant.div_euclid(NANOSECONDS)).unwrap_or_default();
    let utc = DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc();
    i128::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * NANOSECONDS
}

/// The instant of a wall clock's reading in a zone. Of two the later, as PostgreSQL decides; a reading that a
/// spring change skips is taken with the offset from before it.
pub fn local_to_utc(local: &NaiveDateTime, zone: Tz) -> i128 {
    let offset = match zone.offset_from_local_datetime(local) {
        chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(_, offset) => offset,
        // An hour or more earlier is before the gap: no gap is longer than a day.
        chrono::LocalResult::None => match local.checked_sub_signed(TimeDelta::days(1)) {
            Some(before) => zone.offset_from_utc_datetime(&before),
            None => return nanoseconds(local),
        },
    };
    nanoseconds(local) - i128::from(offset.fix().local_minus_utc()) * NANOSECONDS
}

fn nanoseconds(time: &NaiveDateTime) -> i128 {
    let utc = time.and_utc();
    i128::from(utc.timestamp()) * NANOSECONDS + i128::from(utc.timestamp_subsec_nanos())
}

/// Days since 1970 of a day in the proleptic Gregorian calendar; `None` where the month has no such day.
pub fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Counted in eras of 400 years that begin on March 1st, so that the leap day is the last of its year.
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// Reads a text whole. `now`: nanoseconds since 1970.
pub fn read(text: &str, now: i128, reading: Reading) -> Result<Written, TimeError> {
    let text = text.trim();
    let word = text.strip_prefix(['+', '-']).unwrap_or(text);
    if word.eq_ignore_ascii_case("infinity") {
        let negative = text.starts_with('-');
        return Ok(Written::Infinite { negative });
    }
    if text.eq_ignore_ascii_case("epoch") {
        return Ok(Written::Instant(0));
    }
    if text.eq_ignore_ascii_case("now") {
        return Ok(Written::Instant(now));
    }
    let mut fields = Fields::new(reading.order, false);
    fields.read(text)?;
    let days = match (fields.relative_days, fields.days()?) {
        (Some(after), None) => {
            let local = now + east_of(now, reading.zone);
            let today = local.div_euclid(i128::from(DAY_SECONDS) * NANOSECONDS);
            i64::try_from(today).map_err(|_| TimeError::Range)? + after
        }
        (None, Some(days)) => days,
        _ => return Err(TimeError::Syntax),
    };
    let (clock, nanoseconds) = fields.clock()?.unwrap_or_default();
    Ok(Written::Clock {
        seconds: days * DAY_SECONDS + clock,
        nanoseconds,
        zone: fields.zone,
    })
}

/// A number as it stands in the text.
#[derive(Clone, Copy)]
struct Number {
    value: i64,
    digits: usize,
}

/// What has been read so far.
struct Fields {
    order: DateOrder,
    /// No date is asked for: digits alone are a time of day.
    time_only: bool,
    /// Year, month, day.
    date: Option<(Number, i64, i64)>,
    /// Days after today.
    relative_days: Option<i64>,
    month: Option<i64>,
    /// Beside a month's name: the day and the year.
    numbers: Vec<Number>,
    /// Hour, minute, second, nanosecond.
    time: Option<(i64, i64, i64, u32)>,
    /// AM or PM.
    afternoon: Option<bool>,
    before_christ: bool,
    zone: Option<Suffix>,
}

impl Fields {
    fn new(order: DateOrder, time_only: bool) -> Fields {
        Fields {
            order,
            time_only,
            date: None,
            relative_days: None,
            month: None,
            numbers: Vec::new(),
            time: None,
            afternoon: None,
            before_christ: false,
            zone: None,
        }
    }

    fn read(&mut self, text: &str) -> Result<(), TimeError> {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = match first {
                ' ' | '\t' | '\n' | '\r' | ',' => &rest[1..],
                '0'..='9' => self.number(rest)?,
                '+' | '-' if self.time.is_some() || self.date.is_some() => self.offset(rest)?,
                // 08-Jan-1999, Jan-08-1999
                '-' if self.month.is_some() || !self.numbers.is_empty() => &rest[1..],
                letter if letter.is_ascii_alphabetic() => self.word(rest)?,
                _ => return Err(TimeError::Syntax),
            };
        }
        Ok(())
    }

    fn has_date(&self) -> bool {
        self.date.is_some() || self.relative_days.is_some()
    }

    fn number<'a>(&mut self, text: &'a str) -> Result<&'a str, TimeError> {
        let (number, rest) = take_number(text)?;
        match rest.as_bytes().first() {
            Some(b':') => return self.written_clock(text),
            Some(separator @ (b'-' | b'/' | b'.')) if !self.has_date() && self.month.is_none() && !self.time_only => {
                if let Some(rest) = self.separated(number, char::from(*separator), &rest[1..])? {
                    return Ok(rest);
                }
            }
            _ => {}
        }
        let clock_next = self.time.is_none() && (self.time_only || self.has_date());
        match number.digits {
            // yyyymmdd
            8 if !self.has_date() && self.month.is_none() => {
                let year = Number {
                    value: number.value / 10_000,
                    digits: 4,
                };
                self.date = Some((year, number.value / 100 % 100, number.value % 100));
            }
            // hhmm, hhmmss
            4 if clock_next => self.time = Some((number.value / 100, number.value % 100, 0, 0)),
            6 if clock_next => {
                let (hour, minute) = (number.value / 10_000, number.value / 100 % 100);
                let (fraction, rest) = fraction(rest)?;
                self.time = Some((hour, minute, number.value % 100, fraction));
                return Ok(rest);
            }
            // yymmdd
            6 if !self.has_date() && self.month.is_none() => {
                let year = Number {
                    value: number.value / 10_000,
                    digits: 2,
                };
                self.date = Some((year, number.value / 100 % 100, number.value % 100));
            }
            1..=6 if !self.has_date() && self.numbers.len() < 2 => self.numbers.push(number),
            _ => return Err(TimeError::Syntax),
        }
        Ok(rest)
    }

    /// The second and third part of a day with separators; `None` where there are not three parts.
    fn separated<'a>(&mut self, first: Number, separator: char, text: &'a str) -> Result<Option<&'a str>, TimeError> {
        let letters = text
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(text.len());
        if letters > 0 {
            let Some(month) = month(&text[..letters]) else {
                return Err(TimeError::Syntax);
            };
            let rest = text[letters..].strip_prefix(separator).ok_or(TimeError::Syntax)?;
            let (second, rest) = take_number(rest)?;
            let (year, day) = self.year_and_day(first, second);
            self.date = Some((year, month, day));
            return Ok(Some(rest));
        }
        let Ok((second, rest)) = take_number(text) else {
            return Err(TimeError::Syntax);
        };
        let Some(rest) = rest.strip_prefix(separator) else {
            return match separator {
                '.' => Ok(None),
                _ => Err(TimeError::Syntax),
            };
        };
        let (third, rest) = take_number(rest)?;
        if second.digits > 2 {
            return Err(TimeError::Syntax);
        }
        let (year, month, day) = match self.order {
            _ if first.digits >= 3 => (first, second, third),
            DateOrder::Ymd => (first, second, third),
            DateOrder::Dmy => (third, second, first),
            DateOrder::Mdy => (third, first, second),
        };
        if month.digits > 2 || day.digits > 2 {
            return Err(TimeError::Range);
        }
        self.date = Some((year, month.value, day.value));
        Ok(Some(rest))
    }

    /// Of two numbers beside a month's name the one with more digits is the year.
    fn year_and_day(&self, first: Number, second: Number) -> (Number, i64) {
        let year_first = first.digits > 2 || (second.digits <= 2 && self.order == DateOrder::Ymd);
        match year_first {
            true => (first, second.value),
            false => (second, first.value),
        }
    }

    /// `hh:mm[:ss[.f]]`
    fn written_clock<'a>(&mut self, text: &'a str) -> Result<&'a str, TimeError> {
        if self.time.is_some() {
            return Err(TimeError::Syntax);
        }
        let two = |text: &'a str| -> Result<(i64, &'a str), TimeError> {
            let (number, rest) = take_number(text)?;
            match number.digits {
                1 | 2 => Ok((number.value, rest)),
                _ => Err(TimeError::Range),
            }
        };
        let (hour, rest) = two(text)?;
        let (minute, rest) = two(rest.strip_prefix(':').ok_or(TimeError::Syntax)?)?;
        let (second, fraction, rest) = match rest.strip_prefix(':') {
            Some(rest) => {
                let (second, rest) = two(rest)?;
                let (fraction, rest) = fraction(rest)?;
                (second, fraction, rest)
            }
            None => (0, 0, rest),
        };
        self.time = Some((hour, minute, second, fraction));
        Ok(rest)
    }

    /// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`
    fn offset<'a>(&mut self, text: &'a str) -> Result<&'a str, TimeError> {
        if self.zone.is_some() {
            return Err(TimeError::Syntax);
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let (first, mut rest) = take_number(&text[1..])?;
        let (hours, mut minutes, mut seconds) = match first.digits {
            1 | 2 => (first.value, 0, 0),
            3 | 4 => (first.value / 100, first.value % 100, 0),
            6 => (first.value / 10_000, first.value / 100 % 100, first.value % 100),
            _ => return Err(TimeError::Syntax),
        };
        if first.digits <= 2
            && let Some(after) = rest.strip_prefix(':')
        {
            let (number, after) = take_number(after)?;
            (minutes, rest) = (number.value, after);
            if let Some(after) = rest.strip_prefix(':') {
                let (number, after) = take_number(after)?;
                (seconds, rest) = (number.value, after);
            }
        }
        // PostgreSQL's bound: 15:59:59.
        if hours > 15 || minutes > 59 || seconds > 59 {
            return Err(TimeError::Range);
        }
        self.zone = Some(Suffix::Seconds(sign * (hours * 3_600 + minutes * 60 + seconds) as i32));
        Ok(rest)
    }

    fn word<'a>(&mut self, text: &'a str) -> Result<&'a str, TimeError> {
        let end = text
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (letters, rest) = text.split_at(end);
        let lower = letters.to_ascii_lowercase();
        let relative = match lower.as_str() {
            "t" if rest.starts_with(|first: char| first.is_ascii_digit()) => return Ok(rest),
            "am" | "pm" if self.time.is_some() && self.afternoon.is_none() => {
                self.afternoon = Some(lower == "pm");
                return Ok(rest);
            }
            "bc" | "ad" => {
                self.before_christ = lower == "bc";
                return Ok(rest);
            }
            "today" => Some(0),
            "tomorrow" => Some(1),
            "yesterday" => Some(-1),
            _ => None,
        };
        if relative.is_some() {
            if self.has_date() {
                return Err(TimeError::Syntax);
            }
            self.relative_days = relative;
            return Ok(rest);
        }
        if let Some(month) = month(&lower) {
            if self.month.is_some() || self.has_date() {
                return Err(TimeError::Syntax);
            }
            self.month = Some(month);
            return Ok(rest);
        }
        let weekday = |day: &&str| lower.len() >= 3 && day.starts_with(&lower);
        if WEEKDAYS.iter().any(weekday) || matches!(lower.as_str(), "tues" | "thur" | "thurs") {
            return Ok(rest);
        }
        self.zone_name(text)
    }

    fn zone_name<'a>(&mut self, text: &'a str) -> Result<&'a str, TimeError> {
        let end = text
            .find(|letter: char| !letter.is_ascii_alphanumeric() && !"/_+-".contains(letter))
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if self.zone.is_some() || !(self.has_date() || self.time.is_some() || self.month.is_some()) {
            return Err(TimeError::Syntax);
        }
        let lower = name.to_ascii_lowercase();
        let abbreviated = ABBREVIATIONS.iter().find(|(abbreviation, _)| *abbreviation == lower);
        self.zone = Some(match abbreviated {
            Some((_, minutes)) => Suffix::Seconds(minutes * 60),
            None => match zone(name) {
                Some(zone) => Suffix::Zone(zone),
                None if name.contains('/') => return Err(TimeError::Zone),
                None => return Err(TimeError::Syntax),
            },
        });
        Ok(rest)
    }

    /// Days since 1970; `None` without a date.
    fn days(&self) -> Result<Option<i64>, TimeError> {
        let (year, month, day) = match (self.date, self.month, self.numbers.as_slice()) {
            (Some(date), None, []) => date,
            (None, Some(month), [first, second]) => {
                let (year, day) = self.year_and_day(*first, *second);
                (year, month, day)
            }
            (None, None, []) => return Ok(None),
            _ => return Err(TimeError::Syntax),
        };
        let year = match year.value {
            _ if self.before_christ => {
                if year.value == 0 {
                    return Err(TimeError::Range);
                }
                1 - year.value
            }
            0 if year.digits > 2 => return Err(TimeError::Range),
            value if year.digits <= 2 && value < 70 => 2_000 + value,
            value if year.digits <= 2 => 1_900 + value,
            value => value,
        };
        days_of(year, month, day).map(Some).ok_or(TimeError::Range)
    }

    /// Seconds since midnight and nanoseconds; `None` without a time. A leap second is the next minute's first, 24:00 the next day's midnight.
    fn clock(&self) -> Result<Option<(i64, u32)>, TimeError> {
        let Some((hour, minute, second, nanosecond)) = self.time else {
            return match self.afternoon {
                None => Ok(None),
                Some(_) => Err(TimeError::Syntax),
            };
        };
        let hour = match self.afternoon {
            None => hour,
            Some(_) if hour > 12 => return Err(TimeError::Range),
            Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
        };
        let at_end = hour == 24 && minute == 0 && second == 0 && nanosecond == 0;
        if (hour > 23 && !at_end) || minute > 59 || second > 60 {
            return Err(TimeError::Range);
        }
        Ok(Some((hour * 3_600 + minute * 60 + second, nanosecond)))
    }
}

/// The digits at the beginning. More than nine are no field of a time.
fn take_number(text: &str) -> Result<(Number, &str), TimeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&digits) {
        return Err(TimeError::Syntax);
    }
    let (number, rest) = text.split_at(digits);
    let value = number.parse().map_err(|_| TimeError::Syntax)?;
    Ok((Number { value, digits }, rest))
}

/// A point and digits as nanoseconds; beyond nine nothing is kept.
fn fraction(text: &str) -> Result<(u32, &str), TimeError> {
    let Some(digits) = text.strip_prefix(['.', ',']) else {
        return Ok((0, text));
    };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 && text.starts_with(',') {
        return Ok((0, text));
    }
    let place = |place: usize| match place < count {
        true => u32::from(digits.as_bytes()[place] - b'0'),
        false => 0,
    };
    Ok(((0..9).fold(0, |sum, index| sum * 10 + place(index)), &digits[count..]))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// A month by its name, or by its first three letters.
fn month(name: &str) -> Option<i64> {
    let lower = name.to_ascii_lowercase();
    let is = |month: &&str| **month == *lower || month[..3] == *lower || (lower == "sept" && **month == *"september");
    MONTHS.iter().position(is).map(|index| index as i64 + 1)
}

/// Abbreviations that mean one offset in PostgreSQL's default set, in minutes.
pub const ABBREVIATIONS: &[(&str, i32)] = &[
    ("z", 0),
    ("zulu", 0),
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("wet", 0),
    ("bst", 60),
    ("cet", 60),
    ("met", 60),
    ("west", 60),
    ("cest", 120),
    ("mest", 120),
    ("eet", 120),
    ("sast", 120),
    ("eest", 180),
    ("msk", 180),
    ("ist", 120),
    ("hkt", 480),
    ("jst", 540),
    ("kst", 540),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
    ("nzdt", 780),
    ("nst", -210),
    ("ndt", -150),
    ("ast", -240),
    ("adt", -180),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("akst", -540),
    ("akdt", -480),
    ("hst", -600),
];

/// A zone by its name, whatever its case.
pub fn zone(name: &str) -> Option<Tz> {
    let name = name.trim();
    name.parse().ok().or_else(|| {
        chrono_tz::TZ_VARIANTS
            .iter()
            .find(|zone| zone.name().eq_ignore_ascii_case(name))
            .copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: Tz = chrono_tz::Europe::Berlin;

    #[test]
    fn an_instant_has_many_spellings() {
        let expected = 1_490_113_800_000_000_000;
        for text in [
            "2017-03-21 16:30:00+00",
            "2017-03-21T16:30:00Z",
            "2017-03-21T16:30Z",
            "20170321 16:30:00 UTC",
            "2017-03-21 17:30:00.000 +01:00",
            "2017-03-21 17:30:00",
            "2017-03-21 12:30:00 America/New_York",
            "2017-3-21 22:00:00+0530",
        ] {
            assert_eq!(parse_timestamptz(text, BERLIN), Ok(expected), "{text}");
        }
        assert_eq!(
            parse_timestamptz("1970-01-01 00:00:00.123456789+00", BERLIN),
            Ok(123_456_789)
        );
    }

    #[test]
    fn a_wrong_text_is_told_from_a_wrong_field() {
        for text in [
            "",
            "x",
            "2017",
            "2017-03-21 16",
            "2017-03-21 16:30 nowhere",
            "2017-03-21x",
            "12:30",
            "Jan 8",
            "2017-03-21 16:30 17:30",
            "2017-03-21 2017-03-22",
            "now now",
            "nowhere",
            "1/2",
            "- 2017",
            "2017-03-21 16:30+",
            "January",
            "é",
        ] {
            assert_eq!(parse_timestamptz(text, BERLIN), Err(TimeError::Syntax), "{text}");
        }
        for text in [
            "2021-02-30",
            "2021-13-01",
            "2021-01-01 25:00",
            "2021-01-01 10:00+25",
            "18/1/1999",
            "0000-01-01",
            "2021-01-01 13:00 pm",
        ] {
            assert_eq!(parse_timestamptz(text, BERLIN), Err(TimeError::Range), "{text}");
        }
    }

    #[test]
    fn changes_of_the_clock() {
        let hour = |text| parse_timestamptz(text, BERLIN).map(|ns| ns / 3_600_000_000_000);
        // 2026-03-29 02:30 does not exist, 2026-10-25 02:30 exists twice.
        assert_eq!(hour("2026-03-29 02:30"), hour("2026-03-29 03:30"));
        assert_eq!(hour("2026-10-25 02:30"), hour("2026-10-25 01:30Z"));
    }

    #[test]
    fn dates_and_times_of_day() {
        assert_eq!(parse_date("1970-01-02", BERLIN), Ok(1));
        assert_eq!(parse_date("1969-12-31 10:00", BERLIN), Ok(-1));
        assert_eq!(parse_time("01:02:03.5"), Ok(3_723_500_000));
        assert_eq!(parse_time("1"), Err(TimeError::Syntax));
        assert_eq!(parse_timestamp("epoch", chrono_tz::UTC), Ok(0));
    }

    #[test]
    fn days_are_written_in_many_ways() {
        let day = |text: &str, order| {
            let reading = Reading { zone: BERLIN, order };
            parse_date(text, reading)
        };
        let expected = Ok(10_599); // 1999-01-08
        for text in [
            "1999-01-08",
            "January 8, 1999",
            "Jan 8 1999",
            "8 Jan 1999",
            "08-Jan-1999",
            "Jan-08-1999",
            "1999-Jan-08",
            "19990108",
            "990108",
            "Fri Jan 8 04:05:06 1999 PST",
            "1/8/1999",
            "01/08/99",
        ] {
            assert_eq!(day(text, DateOrder::Mdy), expected, "{text}");
        }
        assert_eq!(day("8.1.1999", DateOrder::Dmy), expected);
        assert_eq!(day("8/1/1999", DateOrder::Dmy), expected);
        assert_eq!(day("99-01-08", DateOrder::Ymd), expected);
        assert_eq!(day("99-Jan-08", DateOrder::Ymd), expected);
        assert_eq!(day("January 8, 99 BC", DateOrder::Mdy), Ok(-755_315));
        assert_eq!(day("infinity", DateOrder::Mdy), Ok(i32::MAX));
        assert_eq!(parse_timestamptz("-infinity", BERLIN), Ok(NEGATIVE_INFINITY));
    }

    #[test]
    fn clocks_are_written_in_many_ways() {
        for (text, seconds) in [
            ("04:05:06", 14_706),
            ("04:05", 14_700),
            ("040506", 14_706),
            ("0405", 14_700),
            ("04:05 AM", 14_700),
            ("04:05 PM", 57_900),
            ("12:05 am", 300),
            ("04:05:06+08:00", 14_706),
            ("04:05:06 PST", 14_706),
        ] {
            assert_eq!(parse_time(text), Ok(seconds * 1_000_000), "{text}");
        }
        assert_eq!(
            parse_timestamptz("20170321T163000.5Z", BERLIN),
            Ok(1_490_113_800_500_000_000)
        );
        assert_eq!(
            parse_timestamptz("Tue 21 Mar 17:30:00 2017 CET", chrono_tz::UTC),
            Ok(1_490_113_800_000_000_000)
        );
        assert_eq!(
            parse_timestamp("tomorrow 10:00", BERLIN).map(|time| time % NANOSECONDS),
            Ok(0)
        );
        assert_eq!(
            parse_timestamptz("2017-03-21 16:30 No/Where", BERLIN),
            Err(TimeError::Zone)
        );
    }

    proptest::proptest! {
        #[test]
        fn days_agree_with_chrono(days in -700_000i64..2_900_000) {
            use chrono::Datelike;
            let date = chrono::NaiveDate::from_num_days_from_ce_opt(days as i32 + 719_163).unwrap();
            let (year, month, day) = (date.year(), date.month(), date.day());
            proptest::prop_assert_eq!(days_of(year.into(), month.into(), day.into()), Some(days));
        }

        #[test]
        fn no_text_makes_it_stumble(text in "\\PC{0,24}") {
            let _ = parse_timestamptz(&text, BERLIN);
            let _ = parse_time(&text);
        }

        #[test]
        fn no_nearly_right_text_makes_it_stumble(text in "[0-9TZ :/.,+amp-]{0,20}") {
            let _ = parse_timestamptz(&text, BERLIN);
            let _ = parse_time(&text);
        }
    }
}
