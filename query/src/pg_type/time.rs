//! Dates, times and timestamps from the text forms that PostgreSQL's clients send.
//!
//! ISO 8601 with 'T' or a space, one to nine digits of a second, an offset (`Z`, `+02`, `+02:30`, `-0530`), a zone's name after the time, and the words
//! `now`, `today`, `tomorrow`, `yesterday`, `epoch`. Without an offset the session's zone decides.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// It cannot be read: 22007.
    Syntax,
    /// A field is out of its range, as in `2021-02-30`: 22008.
    Range,
}

/// Nanoseconds since 1970 UTC of a text that means an instant. Wide, so that the callers' units decide what is out of range.
pub fn parse_timestamptz(text: &str, zone: Tz) -> Result<i128, TimeError> {
    if let Some(instant) = word(text, zone) {
        return Ok(nanoseconds(&instant.naive_utc()));
    }
    let (local, offset) = split(text)?;
    match offset {
        Some(Suffix::Seconds(seconds)) => Ok(nanoseconds(&local) - i128::from(seconds) * 1_000_000_000),
        Some(Suffix::Zone(zone)) => Ok(local_to_utc(&local, zone)),
        None => Ok(local_to_utc(&local, zone)),
    }
}

/// Nanoseconds since 1970 of a wall clock's reading; an offset is read and ignored, as PostgreSQL does.
pub fn parse_timestamp(text: &str, zone: Tz) -> Result<i128, TimeError> {
    if let Some(instant) = word(text, zone) {
        return Ok(nanoseconds(&instant.naive_local()));
    }
    Ok(nanoseconds(&split(text)?.0))
}

/// Days since 1970; a time of day is read and ignored.
pub fn parse_date(text: &str, zone: Tz) -> Result<i32, TimeError> {
    let date = match word(text, zone) {
        Some(instant) => instant.date_naive(),
        None => split(text)?.0.date(),
    };
    Ok(date.num_days_from_ce() - DAYS_BEFORE_1970)
}

/// Microseconds since midnight.
pub fn parse_time(text: &str) -> Result<i64, TimeError> {
    let mut reader = Reader { rest: text.trim() };
    let time = reader.time()?;
    if !reader.rest.is_empty() {
        reader.suffix()?;
    }
    Ok(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000))
}

/// Days from 0001-01-01 (day 1 of the common era) to 1970-01-01.
const DAYS_BEFORE_1970: i32 = 719_163;

/// The instant of a wall clock's reading in a zone. Of two the earlier, as PostgreSQL decides; a reading that a spring change skips is taken with
/// the offset from before it.
pub fn local_to_utc(local: &NaiveDateTime, zone: Tz) -> i128 {
    let offset = match zone.offset_from_local_datetime(local) {
        chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(offset, _) => offset,
        // An hour or more earlier is before the gap: no gap is longer than a day.
        chrono::LocalResult::None => zone.offset_from_utc_datetime(&(*local - Duration::days(1))),
    };
    nanoseconds(local) - i128::from(offset.fix().local_minus_utc()) * 1_000_000_000
}

fn nanoseconds(time: &NaiveDateTime) -> i128 {
    let utc = time.and_utc();
    i128::from(utc.timestamp()) * 1_000_000_000 + i128::from(utc.timestamp_subsec_nanos())
}

fn word(text: &str, zone: Tz) -> Option<DateTime<Tz>> {
    let text = text.trim();
    // The shortest word has three letters, the longest nine.
    if !(3..=9).contains(&text.len()) || !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let now = Utc::now().with_timezone(&zone);
    let midnight = |days: i64| {
        let date = now.date_naive() + Duration::days(days);
        let local = date.and_time(NaiveTime::MIN);
        let utc = local_to_utc(&local, zone) / 1_000_000_000;
        DateTime::from_timestamp(utc as i64, 0).map(|instant| instant.with_timezone(&zone))
    };
    match text.to_ascii_lowercase().as_str() {
        "now" => Some(now),
        "today" => midnight(0),
        "tomorrow" => midnight(1),
        "yesterday" => midnight(-1),
        "epoch" => DateTime::from_timestamp(0, 0).map(|instant| instant.with_timezone(&zone)),
        _ => None,
    }
}

enum Suffix {
    /// East of Greenwich.
    Seconds(i32),
    Zone(Tz),
}

fn split(text: &str) -> Result<(NaiveDateTime, Option<Suffix>), TimeError> {
    let mut reader = Reader { rest: text.trim() };
    let date = reader.date()?;
    if reader.rest.is_empty() {
        return Ok((date.and_time(NaiveTime::MIN), None));
    }
    if !reader.take('T') && !reader.take('t') {
        let before = reader.rest.len();
        reader.rest = reader.rest.trim_start();
        if reader.rest.len() == before {
            return Err(TimeError::Syntax);
        }
    }
    // 24:00:00 is the next day's midnight.
    let (date, time) = match reader.rest.strip_prefix("24:00") {
        Some(rest) => {
            reader.rest = rest.strip_prefix(":00").unwrap_or(rest);
            (date.succ_opt().ok_or(TimeError::Range)?, NaiveTime::MIN)
        }
        None => (date, reader.time()?),
    };
    reader.rest = reader.rest.trim_start();
    let suffix = match reader.rest.is_empty() {
        true => None,
        false => Some(reader.suffix()?),
    };
    Ok((date.and_time(time), suffix))
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// One to `most` digits.
    fn number(&mut self, most: usize) -> Result<u32, TimeError> {
        let digits = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value = self.rest[..digits].parse().map_err(|_| TimeError::Syntax)?;
        self.rest = &self.rest[digits..];
        Ok(value)
    }

    fn date(&mut self) -> Result<NaiveDate, TimeError> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        // yyyymmdd
        if digits == 8 {
            let all = self.number(8)?;
            return NaiveDate::from_ymd_opt((all / 10_000) as i32, all / 100 % 100, all % 100).ok_or(TimeError::Range);
        }
        let year = self.number(6)?;
        if !self.take('-') && !self.take('/') {
            return Err(TimeError::Syntax);
        }
        let month = self.number(2)?;
        if !self.take('-') && !self.take('/') {
            return Err(TimeError::Syntax);
        }
        let day = self.number(2)?;
        NaiveDate::from_ymd_opt(year as i32, month, day).ok_or(TimeError::Range)
    }

    fn time(&mut self) -> Result<NaiveTime, TimeError> {
        let hour = self.number(2)?;
        let (mut second, mut nanosecond) = (0, 0);
        if !self.take(':') {
            return Err(TimeError::Syntax);
        }
        let minute = self.number(2)?;
        if self.take(':') {
            second = self.number(2)?;
            if self.take('.') || self.take(',') {
                nanosecond = self.fraction()?;
            }
        }
        // A leap second is the next minute's first.
        let leap = second == 60;
        let time = NaiveTime::from_hms_nano_opt(hour, minute, if leap { 59 } else { second }, nanosecond)
            .ok_or(TimeError::Range)?;
        Ok(if leap { time + Duration::seconds(1) } else { time })
    }

    /// Digits of a second, as nanoseconds; beyond nine nothing is kept.
    fn fraction(&mut self) -> Result<u32, TimeError> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(TimeError::Syntax);
        }
        let text = &self.rest.as_bytes()[..digits];
        let place = |place: usize| text.get(place).map_or(0, |digit| u32::from(digit - b'0'));
        self.rest = &self.rest[digits..];
        Ok((0..9).fold(0, |sum, index| sum * 10 + place(index)))
    }

    fn suffix(&mut self) -> Result<Suffix, TimeError> {
        let text = std::mem::take(&mut self.rest).trim();
        if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("gmt") {
            return Ok(Suffix::Seconds(0));
        }
        let sign = match text.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return zone(text).map(Suffix::Zone).ok_or(TimeError::Syntax),
        };
        let mut reader = Reader { rest: &text[1..] };
        let digits = reader.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (hours, minutes, seconds) = match digits {
            3 | 4 => {
                let all = reader.number(4)?;
                (all / 100, all % 100, 0)
            }
            _ => {
                let hours = reader.number(2)?;
                let minutes = if reader.take(':') { reader.number(2)? } else { 0 };
                let seconds = if reader.take(':') { reader.number(2)? } else { 0 };
                (hours, minutes, seconds)
            }
        };
        if !reader.rest.is_empty() {
            return Err(TimeError::Syntax);
        }
        // PostgreSQL's bound: 15:59:59.
        if hours > 15 || minutes > 59 || seconds > 59 {
            return Err(TimeError::Range);
        }
        Ok(Suffix::Seconds(sign * (hours * 3_600 + minutes * 60 + seconds) as i32))
    }
}

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
        ] {
            assert_eq!(parse_timestamptz(text, BERLIN), Err(TimeError::Syntax), "{text}");
        }
        for text in ["2021-02-30", "2021-13-01", "2021-01-01 25:00", "2021-01-01 10:00+25"] {
            assert_eq!(parse_timestamptz(text, BERLIN), Err(TimeError::Range), "{text}");
        }
    }

    #[test]
    fn changes_of_the_clock() {
        let hour = |text| parse_timestamptz(text, BERLIN).map(|ns| ns / 3_600_000_000_000);
        // 2026-03-29 02:30 does not exist, 2026-10-25 02:30 exists twice.
        assert_eq!(hour("2026-03-29 02:30"), hour("2026-03-29 03:30"));
        assert_eq!(hour("2026-10-25 02:30"), hour("2026-10-25 00:30Z"));
    }

    #[test]
    fn dates_and_times_of_day() {
        assert_eq!(parse_date("1970-01-02", BERLIN), Ok(1));
        assert_eq!(parse_date("1969-12-31 10:00", BERLIN), Ok(-1));
        assert_eq!(parse_time("01:02:03.5"), Ok(3_723_500_000));
        assert_eq!(parse_time("1"), Err(TimeError::Syntax));
        assert_eq!(parse_timestamp("epoch", chrono_tz::UTC), Ok(0));
    }
}
