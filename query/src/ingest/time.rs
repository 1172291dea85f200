//! Times from their text, binary and calendar forms into the database's unit.
//!
//! A [`TimeReader`] lives as long as one statement or COPY and remembers: the last text it read (a fleet reports at one time), the last
//! date (rows come in order), and the zone's offset of the last quarter of an hour (finding an offset costs more than the rest together).

use chrono_tz::Tz;
use taospg_catalog::{Database, DatabaseOptions, Precision, Table};

use super::written_time::{
    Problem, Written, WrittenZone, days_of, infinite, local_offset, scan_fraction, scan_offset, utc_offset,
};
use crate::pg_type::time::Reading;
use crate::{ErrorKind, QueryError};

type Result<T> = std::result::Result<T, Box<QueryError>>;

pub const NANOSECONDS: i64 = 1_000_000_000;
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
    reading: Reading,
    zone: Tz,
    zone_is_utc: bool,
    precision: Precision,
    units_per_second: i64,
    /// The transaction's `now()`.
    now_ns: i64,
    /// First and last time that a row may have.
    time_min: i64,
    /// Whether that is by the table's own KEEP.
    of_table: bool,
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

impl TimeReader {
    pub fn new(options: &DatabaseOptions, reading: impl Into<Reading>, now_ns: i64) -> TimeReader {
        let reading = reading.into();
        let zone = reading.zone;
        let units_per_second = options.precision.units_per_second();
        let unit_ns = NANOSECONDS / units_per_second;
        let now = now_ns / unit_ns;
        let keep = options.keep_ms.saturating_mul(units_per_second / 1_000);
        let future = (FUTURE_YEARS_MAX * 365 * DAY_SECONDS).saturating_mul(units_per_second);
        TimeReader {
            reading,
            zone,
            zone_is_utc: matches!(zone, Tz::UTC | Tz::Etc__UTC | Tz::GMT | Tz::Etc__GMT),
            precision: options.precision,
            units_per_second,
            now_ns,
            time_min: now.saturating_sub(keep),
            of_table: false,
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

    /// Takes rows of this table from now on, which may have a KEEP of its own.
    #[inline]
    pub fn keep_of(&mut self, database: &Database, table: &Table) {
        if self.of_table || table.keep.is_some() {
            self.time_min = crate::keep::first(database, table, self.now_ns);
            self.of_table = self.time_min > crate::keep::first_of_database(database, self.now_ns);
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
                match self.of_table {
                    true => format!("time {shown} is outside of the table's KEEP"),
                    false => format!("time {shown} is outside of the database's KEEP"),
                },
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
        let written =
            Written::parse(trimmed, self.now_ns, self.reading).map_err(|problem| problem.error(name, text))?;
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
        let written =
            Written::parse(trimmed, self.now_ns, self.reading).map_err(|problem| problem.error("date", text))?;
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
