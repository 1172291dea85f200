//! Times as text: dates in the style of `DateStyle`, clock times with as many digits as needed, and the zone. The largest and the smallest
//! number of a type are its infinities, whatever the unit.

use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

use super::{DateStyle, Dates};
use crate::pg_type::time::DateOrder;

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary times begin.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;
pub const POSTGRES_EPOCH_MICROSECONDS: i64 = POSTGRES_EPOCH_DAYS * SECONDS_PER_DAY * 1_000_000;
/// No zone changes its offset twice within a quarter of an hour, and changes fall on quarters, so an offset that holds at both ends of one
/// holds within.
const OFFSET_KNOWN_SECONDS: i64 = 900;

/// A time zone that remembers the offset of the last stretch of time it was asked about: rows come in order of time.
pub struct Zone {
    time_zone: Tz,
    known_from: i64,
    known_until: i64,
    offset_seconds: i32,
}

impl Zone {
    pub fn new(time_zone: Tz) -> Zone {
        let (known_from, known_until) = match time_zone {
            Tz::UTC | Tz::Etc__UTC | Tz::GMT | Tz::Etc__GMT => (i64::MIN, i64::MAX),
            _ => (0, 0),
        };
        Zone {
            time_zone,
            known_from,
            known_until,
            offset_seconds: 0,
        }
    }

    /// Seconds east of UTC at that time.
    fn offset(&mut self, utc_seconds: i64) -> i32 {
        if (self.known_from..self.known_until).contains(&utc_seconds) {
            return self.offset_seconds;
        }
        let Some(offset) = self.look_up(utc_seconds) else {
            return 0; // outside of the calendar that zones are known for
        };
        let from = utc_seconds - utc_seconds.rem_euclid(OFFSET_KNOWN_SECONDS);
        let until = from + OFFSET_KNOWN_SECONDS;
        if self.look_up(from) == Some(offset) && self.look_up(until - 1) == Some(offset) {
            self.known_from = from;
            self.known_until = until;
            self.offset_seconds = offset;
        }
        offset
    }

    /// What the zone is called then, such as CEST; its offset where it has no name.
    fn write_name(&self, utc_seconds: i64, offset_seconds: i32, out: &mut Vec<u8>) {
        let utc = DateTime::from_timestamp(utc_seconds, 0).unwrap_or_default().naive_utc();
        match self.time_zone.offset_from_utc_datetime(&utc).abbreviation() {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => write_offset(offset_seconds, out),
        }
    }

    fn look_up(&self, utc_seconds: i64) -> Option<i32> {
        let utc = DateTime::from_timestamp(utc_seconds, 0)?.naive_utc();
        Some(self.time_zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
    }
}

fn units_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Microseconds since 2000-01-01, PostgreSQL's binary form; finer parts are cut off.
pub fn postgres_microseconds(value: i64, unit: TimeUnit) -> Option<i64> {
    if is_infinite(value) {
        return Some(value);
    }
    let microseconds = match unit {
        TimeUnit::Second => value.checked_mul(1_000_000)?,
        TimeUnit::Millisecond => value.checked_mul(1_000)?,
        TimeUnit::Microsecond => value,
        TimeUnit::Nanosecond => value.div_euclid(1_000),
    };
    microseconds.checked_sub(POSTGRES_EPOCH_MICROSECONDS)
}

/// Days since 2000-01-01.
pub fn postgres_days(days: i32) -> i32 {
    match days {
        i32::MIN | i32::MAX => days,
        days => days.saturating_sub(POSTGRES_EPOCH_DAYS as i32),
    }
}

/// Whether a timestamp is one of the two infinite ones.
pub fn is_infinite(value: i64) -> bool {
    matches!(value, i64::MIN | i64::MAX)
}

fn write_infinity(negative: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if negative { b"-infinity" } else { b"infinity" });
}

/// `2026-11-22 03:30:21.126002`, and with a zone ` +00` behind it, without the space; or as another style has it.
pub fn write_timestamp(value: i64, unit: TimeUnit, zone: Option<&mut Zone>, dates: Dates, out: &mut Vec<u8>) {
    if is_infinite(value) {
        return write_infinity(value < 0, out);
    }
    let per_second = units_per_second(unit);
    let seconds = value.div_euclid(per_second);
    let nanoseconds = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let mut zone = zone;
    let offset = zone.as_mut().map_or(0, |zone| zone.offset(seconds));
    let local = seconds + i64::from(offset);
    let days = local.div_euclid(SECONDS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    let clock = local.rem_euclid(SECONDS_PER_DAY);
    match dates.style {
        DateStyle::Postgres => {
            // 1970-01-01 was a Thursday.
            out.extend_from_slice(WEEKDAYS[(days + 4).rem_euclid(7) as usize]);
            out.push(b' ');
            let name = MONTHS[(month - 1) as usize];
            if dates.order == DateOrder::Dmy {
                push_two(day, out);
                out.push(b' ');
                out.extend_from_slice(name);
            } else {
                out.extend_from_slice(name);
                out.push(b' ');
                push_two(day, out);
            }
            out.push(b' ');
            write_clock(clock, nanoseconds, out);
            out.push(b' ');
            write_year(year, out);
        }
        _ => {
            write_day(year, month, day, dates, out);
            out.push(b' ');
            write_clock(clock, nanoseconds, out);
        }
    }
    if let Some(zone) = zone {
        match dates.style {
            DateStyle::Iso => write_offset(offset, out),
            _ => {
                out.push(b' ');
                zone.write_name(seconds, offset, out);
            }
        }
    }
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

const WEEKDAYS: [&[u8]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Days since 1970 as `2026-11-22`, or as another style has it.
pub fn write_date(days: i32, dates: Dates, out: &mut Vec<u8>) {
    if matches!(days, i32::MIN | i32::MAX) {
        return write_infinity(days < 0, out);
    }
    let (year, month, day) = civil_from_days(i64::from(days));
    write_day(year, month, day, dates, out);
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn write_day(year: i64, month: i64, day: i64, dates: Dates, out: &mut Vec<u8>) {
    let separator = match dates.style {
        DateStyle::Iso => {
            write_year(year, out);
            out.push(b'-');
            push_two(month, out);
            out.push(b'-');
            return push_two(day, out);
        }
        DateStyle::Sql => b'/',
        DateStyle::Postgres => b'-',
        DateStyle::German => b'.',
    };
    let day_first = dates.style == DateStyle::German || dates.order == DateOrder::Dmy;
    let (first, second) = if day_first { (day, month) } else { (month, day) };
    push_two(first, out);
    out.push(separator);
    push_two(second, out);
    out.push(separator);
    write_year(year, out);
}

/// Time of day; `per_second` units in a second.
pub fn write_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let per_second = units_per_second(unit);
    let nanoseconds = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    write_clock(value.div_euclid(per_second), nanoseconds, out);
}

/// `HH:MM:SS` and the fraction: as many of six digits as are needed, or all nine where there are nanoseconds.
pub(super) fn write_clock(seconds: i64, nanoseconds: i64, out: &mut Vec<u8>) {
    let hours = seconds / 3_600;
    if (0..100).contains(&hours) {
        push_two(hours, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    }
    out.push(b':');
    push_two(seconds / 60 % 60, out);
    out.push(b':');
    push_two(seconds % 60, out);
    if nanoseconds != 0 {
        let (mut fraction, mut digits) = if nanoseconds % 1_000 == 0 {
            (nanoseconds / 1_000, 6)
        } else {
            (nanoseconds, 9)
        };
        while digits <= 6 && fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        out.push(b'.');
        let start = out.len();
        out.resize(start + digits, b'0');
        for slot in out[start..].iter_mut().rev() {
            *slot = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
    }
}

/// `+00`, `-03:30`, and with seconds where an old zone had them.
fn write_offset(offset_seconds: i32, out: &mut Vec<u8>) {
    out.push(if offset_seconds < 0 { b'-' } else { b'+' });
    let magnitude = i64::from(offset_seconds.unsigned_abs());
    push_two(magnitude / 3_600, out);
    let (minutes, seconds) = (magnitude / 60 % 60, magnitude % 60);
    if minutes != 0 || seconds != 0 {
        out.push(b':');
        push_two(minutes, out);
    }
    if seconds != 0 {
        out.push(b':');
        push_two(seconds, out);
    }
}

/// There is no year 0: the year before 1 is 1 BC.
fn write_year(year: i64, out: &mut Vec<u8>) {
    let year = if year <= 0 { 1 - year } else { year };
    if year < 10_000 {
        push_two(year / 100, out);
        push_two(year % 100, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes());
    }
}

/// Two decimal digits of a number below 100.
fn push_two(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

/// Year, month and day of a day counted from 1970-01-01, by the proleptic Gregorian calendar. Counts in eras of 400 years that begin on
/// March 1st, so that the leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    /// Days from 0000-03-01 to 1970-01-01.
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_PER_ERA: i64 = 146_097;
    let shifted = days + DAYS_TO_1970;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn timestamp(value: i64, unit: TimeUnit, zone: Option<Tz>) -> String {
        let mut out = Vec::new();
        let mut zone = zone.map(Zone::new);
        write_timestamp(value, unit, zone.as_mut(), Dates::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_show_their_zone_and_the_digits_they_need() {
        let us = TimeUnit::Microsecond;
        assert_eq!(timestamp(0, us, None), "1970-01-01 00:00:00");
        assert_eq!(timestamp(1_500_000, us, Some(Tz::UTC)), "1970-01-01 00:00:01.5+00");
        assert_eq!(timestamp(-1, us, Some(Tz::UTC)), "1969-12-31 23:59:59.999999+00");
        let ns = TimeUnit::Nanosecond;
        assert_eq!(timestamp(1_000, ns, None), "1970-01-01 00:00:00.000001");
        assert_eq!(timestamp(123_456_700, ns, None), "1970-01-01 00:00:00.123456700");
        let summer = 1_785_542_400_000; // 2026-08-01 00:00 UTC
        let ms = TimeUnit::Millisecond;
        assert_eq!(
            timestamp(summer, ms, Some(Tz::Europe__Berlin)),
            "2026-08-01 02:00:00+02"
        );
        assert_eq!(
            timestamp(summer, ms, Some(Tz::Asia__Kolkata)),
            "2026-08-01 05:30:00+05:30"
        );
        assert_eq!(
            timestamp(summer, ms, Some(Tz::America__St_Johns)),
            "2026-07-31 21:30:00-02:30"
        );
        // Before zones were agreed upon, local mean time had seconds.
        assert_eq!(
            timestamp(-3_786_825_600, TimeUnit::Second, Some(Tz::Europe__Berlin)),
            "1850-01-01 00:53:28+00:53:28"
        );
    }

    #[test]
    fn years_before_christ_and_beyond_9999_are_told() {
        assert_eq!(
            timestamp(-62_135_596_801, TimeUnit::Second, None),
            "0001-12-31 23:59:59 BC"
        );
        assert_eq!(
            timestamp(253_402_300_800, TimeUnit::Second, None),
            "10000-01-01 00:00:00"
        );
    }

    #[test]
    fn a_zone_remembers_no_offset_across_a_change() {
        let mut zone = Zone::new(Tz::Europe__Berlin);
        let change = 1_774_746_000; // 2026-03-29 01:00 UTC
        assert_eq!(zone.offset(change - 1), 3_600);
        assert_eq!(zone.offset(change), 7_200);
        assert_eq!(zone.offset(change - 1), 3_600);
    }

    #[test]
    fn every_style_has_its_order_and_its_zone() {
        let written = |style, order, zone: Option<Tz>| {
            let mut out = Vec::new();
            let mut zone = zone.map(Zone::new);
            let dates = Dates { style, order };
            // 2026-08-01 10:20:30.5 UTC
            write_timestamp(
                1_785_579_630_500_000,
                TimeUnit::Microsecond,
                zone.as_mut(),
                dates,
                &mut out,
            );
            out.push(b'|');
            write_date(20_666, dates, &mut out);
            String::from_utf8(out).unwrap()
        };
        let berlin = Some(Tz::Europe__Berlin);
        for (style, order, zone, text) in [
            (
                DateStyle::Sql,
                DateOrder::Mdy,
                berlin,
                "08/01/2026 12:20:30.5 CEST|08/01/2026",
            ),
            (DateStyle::Sql, DateOrder::Dmy, None, "01/08/2026 10:20:30.5|01/08/2026"),
            (
                DateStyle::Postgres,
                DateOrder::Mdy,
                berlin,
                "Sat Aug 01 12:20:30.5 2026 CEST|08-01-2026",
            ),
            (
                DateStyle::Postgres,
                DateOrder::Dmy,
                None,
                "Sat 01 Aug 10:20:30.5 2026|01-08-2026",
            ),
            (
                DateStyle::German,
                DateOrder::Ymd,
                berlin,
                "01.08.2026 12:20:30.5 CEST|01.08.2026",
            ),
            (
                DateStyle::Iso,
                DateOrder::Dmy,
                berlin,
                "2026-08-01 12:20:30.5+02|2026-08-01",
            ),
        ] {
            assert_eq!(written(style, order, zone), text);
        }
    }

    #[test]
    fn infinities() {
        let ms = TimeUnit::Millisecond;
        assert_eq!(timestamp(i64::MAX, ms, Some(Tz::UTC)), "infinity");
        assert_eq!(timestamp(i64::MIN, ms, None), "-infinity");
        assert_eq!(postgres_microseconds(i64::MAX, ms), Some(i64::MAX));
        assert_eq!((postgres_days(i32::MAX), postgres_days(i32::MIN)), (i32::MAX, i32::MIN));
        let mut out = Vec::new();
        write_date(i32::MIN, Dates::default(), &mut out);
        assert_eq!(out, b"-infinity");
    }

    #[test]
    fn binary_times_count_from_2000() {
        assert_eq!(postgres_microseconds(946_684_800_000, TimeUnit::Millisecond), Some(0));
        assert_eq!(
            postgres_microseconds(946_684_800_000_001_999, TimeUnit::Nanosecond),
            Some(1)
        );
        assert_eq!(postgres_microseconds(i64::MIN + 1, TimeUnit::Microsecond), None);
        assert_eq!(postgres_days(10_957), 0);
    }

    proptest! {
        #[test]
        fn days_agree_with_chrono(days in -700_000i32..2_900_000) {
            let date = NaiveDate::from_num_days_from_ce_opt(days + 719_163).unwrap();
            prop_assert_eq!(
                civil_from_days(i64::from(days)),
                (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()))
            );
        }
    }
}
