//! Times put together and taken apart: age, make_date and its like, justify_*, isfinite, OVERLAPS, date_trunc of intervals.

use arrow::datatypes::IntervalMonthDayNano;
use chrono::{Datelike, Months, NaiveDate, NaiveDateTime};
use datafusion::common::ScalarValue;

use super::calendar::civil;
use super::signature::{Args, Entry, Kind, Overload, boolean, interval, refuse, text, timestamp, timestamptz};
use crate::pg_type::time;
use crate::{ErrorKind, QueryError};

const DAY_NS: i64 = 86_400_000_000_000;
const DAY_US: i64 = 86_400_000_000;

/// The years, months, days and time from one reading to another, symbolically: as a person counts.
fn age(later: NaiveDateTime, earlier: NaiveDateTime) -> Option<ScalarValue> {
    let negative = later < earlier;
    let (from, to) = if negative { (later, earlier) } else { (earlier, later) };
    let mut months = (to.year() - from.year()) * 12 + to.month() as i32 - from.month() as i32;
    let mut days = to.day() as i32 - from.day() as i32;
    let mut nanoseconds = (to.time() - from.time()).num_nanoseconds()?;
    if nanoseconds < 0 {
        nanoseconds += DAY_NS;
        days -= 1;
    }
    if days < 0 {
        // A month of the length of the one that the count begins in: of the later one where the count goes backwards.
        days += days_in_month(if negative { to } else { from }, negative);
        months -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    Some(interval(months * sign, days * sign, nanoseconds * i64::from(sign)))
}

/// Days of the month of a reading; going backwards, of the month before it.
fn days_in_month(reading: NaiveDateTime, before: bool) -> i32 {
    let first = reading.date().with_day(1).unwrap_or_default();
    let (start, end) = match before {
        true => (first.checked_sub_months(Months::new(1)), Some(first)),
        false => (Some(first), first.checked_add_months(Months::new(1))),
    };
    match (start, end) {
        (Some(start), Some(end)) => (end - start).num_days() as i32,
        _ => 30,
    }
}

fn reading(micros: i64) -> Option<NaiveDateTime> {
    civil(micros, 1_000_000)
}

fn age_of(later: Option<NaiveDateTime>, earlier: Option<NaiveDateTime>) -> Result<ScalarValue, QueryError> {
    let aged = later.zip(earlier).and_then(|(later, earlier)| age(later, earlier));
    aged.ok_or_else(|| QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range"))
}

/// The wall clock's reading of an instant, in microseconds.
fn local(args: &Args<'_>, place: usize) -> Option<NaiveDateTime> {
    use chrono::TimeZone;
    let utc = reading(args.micros(place))?;
    Some(args.env().zone.from_utc_datetime(&utc).naive_local())
}

fn date(args: &Args<'_>) -> Result<NaiveDate, QueryError> {
    let (year, month, day) = (args.int(0), args.int(1), args.int(2));
    // Year -1 is 1 BC.
    let astronomical = if year < 0 { year + 1 } else { year };
    let found = (year != 0)
        .then(|| {
            NaiveDate::from_ymd_opt(
                i32::try_from(astronomical).ok()?,
                u32::try_from(month).ok()?,
                u32::try_from(day).ok()?,
            )
        })
        .flatten();
    found.ok_or_else(|| {
        QueryError::new(
            ErrorKind::DatetimeFieldOverflow,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    })
}

/// Microseconds since midnight of hour, minute and second at these places.
fn time_of_day(args: &Args<'_>, first: usize) -> Result<i64, QueryError> {
    let (hour, minute, second) = (args.int(first), args.int(first + 1), args.float(first + 2));
    let micros = (second * 1e6).round() as i64;
    let whole_day = hour == 24 && minute == 0 && micros == 0;
    let valid = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60_000_000).contains(&micros);
    match valid || whole_day {
        true => Ok((hour * 60 + minute) * 60_000_000 + micros),
        false => refuse(
            ErrorKind::DatetimeFieldOverflow,
            format!("time field value out of range: {hour}:{minute:02}:{second:02}"),
        ),
    }
}

fn made_timestamp(args: &Args<'_>) -> Result<i64, QueryError> {
    let days = i64::from(date(args)?.num_days_from_ce() - DAYS_BEFORE_1970);
    Ok(days * DAY_US + time_of_day(args, 3)?)
}

/// Days from 1 January of year 1 to 1970.
const DAYS_BEFORE_1970: i32 = 719_163;

fn instant(local_micros: i64, zone: chrono_tz::Tz) -> Result<ScalarValue, QueryError> {
    let reading = reading(local_micros)
        .ok_or_else(|| QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range"))?;
    let nanoseconds = time::local_to_utc(&reading, zone);
    i64::try_from(nanoseconds.div_euclid(1_000))
        .map(timestamptz)
        .map_err(|_| QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range"))
}

fn out_of_range<T>() -> Result<T, QueryError> {
    refuse(ErrorKind::DatetimeFieldOverflow, "interval out of range")
}

/// Years, months, weeks, days, hours, minutes, seconds.
fn made_interval(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let part = |place: usize| if args.len() > place { args.int(place) } else { 0 };
    let seconds = if args.len() > 6 { args.float(6) } else { 0.0 };
    let months = part(0).checked_mul(12).and_then(|months| months.checked_add(part(1)));
    let days = part(2).checked_mul(7).and_then(|days| days.checked_add(part(3)));
    let minutes = part(4).checked_mul(60).and_then(|minutes| minutes.checked_add(part(5)));
    let micros = (seconds * 1e6).round();
    let nanoseconds = minutes
        .and_then(|minutes| minutes.checked_mul(60_000_000_000))
        .filter(|_| micros.is_finite() && micros.abs() < 9e15)
        .and_then(|time| time.checked_add(micros as i64 * 1_000));
    let months = months.and_then(|months| i32::try_from(months).ok());
    let days = days.and_then(|days| i32::try_from(days).ok());
    match (months, days, nanoseconds) {
        (Some(months), Some(days), Some(nanoseconds)) => Ok(interval(months, days, nanoseconds)),
        _ => out_of_range(),
    }
}

/// 24 hours are a day.
fn justified_hours(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let mut days = i64::from(value.days) + value.nanoseconds / DAY_NS;
    let mut nanoseconds = value.nanoseconds % DAY_NS;
    if days > 0 && nanoseconds < 0 {
        nanoseconds += DAY_NS;
        days -= 1;
    } else if days < 0 && nanoseconds > 0 {
        nanoseconds -= DAY_NS;
        days += 1;
    }
    Some(IntervalMonthDayNano::new(
        value.months,
        i32::try_from(days).ok()?,
        nanoseconds,
    ))
}

/// 30 days are a month.
fn justified_days(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let mut months = i64::from(value.months) + i64::from(value.days / 30);
    let mut days = value.days % 30;
    if months > 0 && days < 0 {
        days += 30;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= 30;
        months += 1;
    }
    Some(IntervalMonthDayNano::new(
        i32::try_from(months).ok()?,
        days,
        value.nanoseconds,
    ))
}

/// Both, with one sign for all parts.
fn justified(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let value = justified_days(justified_hours(value)?)?;
    let (mut months, mut days, mut nanoseconds) = (value.months, value.days, value.nanoseconds);
    if months > 0 && (days < 0 || days == 0 && nanoseconds < 0) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || days == 0 && nanoseconds > 0) {
        days -= 30;
        months += 1;
    }
    if days > 0 && nanoseconds < 0 {
        nanoseconds += DAY_NS;
        days -= 1;
    } else if days < 0 && nanoseconds > 0 {
        nanoseconds -= DAY_NS;
        days += 1;
    }
    Some(IntervalMonthDayNano::new(months, days, nanoseconds))
}

/// The interval between two instants, as `-` gives it: whole days and time.
pub fn difference(later: i64, earlier: i64) -> Option<IntervalMonthDayNano> {
    let micros = later.checked_sub(earlier)?;
    let days = i32::try_from(micros / DAY_US).ok()?;
    Some(IntervalMonthDayNano::new(0, days, micros % DAY_US * 1_000))
}

fn adjusted(
    args: &Args<'_>,
    how: fn(IntervalMonthDayNano) -> Option<IntervalMonthDayNano>,
) -> Result<ScalarValue, QueryError> {
    match how(args.interval(0)) {
        Some(value) => Ok(ScalarValue::IntervalMonthDayNano(Some(value))),
        None => out_of_range(),
    }
}

/// An interval cut to a unit.
fn truncated(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let value = args.interval(1);
    let unit = args.text(0).to_ascii_lowercase();
    let years = |years: i32| IntervalMonthDayNano::new(value.months / (12 * years) * 12 * years, 0, 0);
    let cut = |nanoseconds: i64| {
        IntervalMonthDayNano::new(value.months, value.days, value.nanoseconds / nanoseconds * nanoseconds)
    };
    let found = match unit.trim_end_matches('s') {
        "millennium" | "millennia" => years(1_000),
        "century" | "centurie" => years(100),
        "decade" => years(10),
        "year" => years(1),
        "quarter" => IntervalMonthDayNano::new(value.months / 3 * 3, 0, 0),
        "month" => IntervalMonthDayNano::new(value.months, 0, 0),
        "day" => IntervalMonthDayNano::new(value.months, value.days, 0),
        "hour" => cut(3_600_000_000_000),
        "minute" => cut(60_000_000_000),
        "second" => cut(1_000_000_000),
        "millisecond" => cut(1_000_000),
        "microsecond" => cut(1_000),
        "week" => {
            return refuse(
                ErrorKind::FeatureNotSupported,
                "unit \"week\" not supported for type interval",
            )
            .map_err(|error: QueryError| error.with_detail("Months usually have fractional weeks."));
        }
        _ => {
            return refuse(
                ErrorKind::InvalidParameterValue,
                format!("unit \"{unit}\" not recognized for type interval"),
            );
        }
    };
    Ok(ScalarValue::IntervalMonthDayNano(Some(found)))
}

/// `(start, end) OVERLAPS (start, end)`: each is half open, and a moment where both ends are one. NULL where an end that is not known decides.
fn overlaps(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let at = |place: usize| (!args.is_null(place)).then(|| args.micros(place));
    let span = |first: usize| {
        let (start, end) = (at(first), at(first + 1));
        match (start, end) {
            (Some(start), Some(end)) if start > end => (Some(end), Some(start)),
            (None, end) => (end, None),
            other => other,
        }
    };
    let ((a_start, a_end), (b_start, b_end)) = (span(0), span(2));
    let (Some(a), Some(b)) = (a_start, b_start) else {
        return Ok(ScalarValue::Null);
    };
    let found = match a.cmp(&b) {
        std::cmp::Ordering::Equal => match (a_end, b_end) {
            (None, _) | (_, None) => None,
            _ => Some(true),
        },
        std::cmp::Ordering::Greater => b_end.map(|end| a < end).filter(|overlap| *overlap || a_end.is_some()),
        std::cmp::Ordering::Less => a_end.map(|end| b < end).filter(|overlap| *overlap || b_end.is_some()),
    };
    Ok(found.map_or(ScalarValue::Null, boolean))
}

fn always(_: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(boolean(true))
}

/// Whether a time is neither end of time.
fn finite(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    Ok(boolean(!matches!(args.micros(0), i64::MIN | i64::MAX)))
}

const TS: Kind = Kind::Timestamp;
const TSZ: Kind = Kind::Timestamptz;
const INTERVAL: Kind = Kind::Interval;
const INT: Kind = Kind::Int4;
const DOUBLE: Kind = Kind::Float8;

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "age",
        description: "the years, months and days between two times",
        example: "SELECT age(timestamp '2001-04-10', timestamp '1957-06-13')",
        overloads: &[
            Overload::new(&[TS, TS], INTERVAL, |args| {
                age_of(reading(args.micros(0)), reading(args.micros(1)))
            }),
            Overload::new(&[TSZ, TSZ], INTERVAL, |args| age_of(local(args, 0), local(args, 1))),
        ],
    },
    Entry {
        name: "interval_trunc",
        description: "an interval cut to a unit: what date_trunc gives for intervals",
        example: "SELECT date_trunc('hour', interval '3 days 02:47:33')",
        overloads: &[Overload::new(&[Kind::Text, INTERVAL], INTERVAL, truncated)],
    },
    Entry {
        name: "isfinite",
        description: "whether a time or an interval is neither infinity nor -infinity",
        example: "SELECT isfinite(now())",
        overloads: &[
            Overload::new(&[Kind::Date], Kind::Bool, |args| {
                Ok(boolean(!matches!(args.date(0), i32::MIN | i32::MAX)))
            }),
            Overload::new(&[TS], Kind::Bool, finite),
            Overload::new(&[TSZ], Kind::Bool, finite),
            Overload::new(&[INTERVAL], Kind::Bool, always),
        ],
    },
    Entry {
        name: "justify_days",
        description: "an interval with 30 days as a month",
        example: "SELECT justify_days(interval '35 days')",
        overloads: &[Overload::new(&[INTERVAL], INTERVAL, |args| {
            adjusted(args, justified_days)
        })],
    },
    Entry {
        name: "justify_hours",
        description: "an interval with 24 hours as a day",
        example: "SELECT justify_hours(interval '27 hours')",
        overloads: &[Overload::new(&[INTERVAL], INTERVAL, |args| {
            adjusted(args, justified_hours)
        })],
    },
    Entry {
        name: "justify_interval",
        description: "an interval with 24 hours as a day, 30 days as a month, and one sign",
        example: "SELECT justify_interval(interval '1 mon -1 hour')",
        overloads: &[Overload::new(&[INTERVAL], INTERVAL, |args| adjusted(args, justified))],
    },
    Entry {
        name: "make_date",
        description: "a date of year, month and day",
        example: "SELECT make_date(2013, 7, 15)",
        overloads: &[Overload::new(&[INT, INT, INT], Kind::Date, |args| {
            Ok(ScalarValue::Date32(Some(
                date(args)?.num_days_from_ce() - DAYS_BEFORE_1970,
            )))
        })],
    },
    Entry {
        name: "make_interval",
        description: "an interval of years, months, weeks, days, hours, mins, secs",
        example: "SELECT make_interval(days => 10)",
        overloads: &[
            Overload::new(&[], INTERVAL, made_interval),
            Overload::new(&[INT], INTERVAL, made_interval),
            Overload::new(&[INT, INT], INTERVAL, made_interval),
            Overload::new(&[INT, INT, INT], INTERVAL, made_interval),
            Overload::new(&[INT, INT, INT, INT], INTERVAL, made_interval),
            Overload::new(&[INT, INT, INT, INT, INT], INTERVAL, made_interval),
            Overload::new(&[INT, INT, INT, INT, INT, INT], INTERVAL, made_interval),
            Overload::new(&[INT, INT, INT, INT, INT, INT, DOUBLE], INTERVAL, made_interval),
        ],
    },
    Entry {
        name: "make_time",
        description: "a time of hour, minute and second",
        example: "SELECT make_time(8, 15, 23.5)",
        overloads: &[Overload::new(&[INT, INT, DOUBLE], Kind::Time, |args| {
            Ok(ScalarValue::Time64Microsecond(Some(time_of_day(args, 0)?)))
        })],
    },
    Entry {
        name: "make_timestamp",
        description: "a timestamp of year, month, day, hour, minute and second",
        example: "SELECT make_timestamp(2013, 7, 15, 8, 15, 23.5)",
        overloads: &[Overload::new(&[INT, INT, INT, INT, INT, DOUBLE], TS, |args| {
            Ok(timestamp(made_timestamp(args)?))
        })],
    },
    Entry {
        name: "make_timestamptz",
        description: "an instant of year, month, day, hour, minute and second, in the session's zone or a named one",
        example: "SELECT make_timestamptz(2013, 7, 15, 8, 15, 23.5, 'Europe/Berlin')",
        overloads: &[
            Overload::new(&[INT, INT, INT, INT, INT, DOUBLE], TSZ, |args| {
                instant(made_timestamp(args)?, args.env().zone)
            }),
            Overload::new(&[INT, INT, INT, INT, INT, DOUBLE, Kind::Text], TSZ, |args| {
                let name = args.text(6);
                match time::zone(name) {
                    Some(zone) => instant(made_timestamp(args)?, zone),
                    None => refuse(
                        ErrorKind::InvalidParameterValue,
                        format!("time zone \"{name}\" not recognized"),
                    ),
                }
            }),
        ],
    },
    Entry {
        name: "overlaps",
        description: "whether two spans of time have a moment in common: what OVERLAPS gives",
        example: "SELECT (date '2026-01-01', date '2026-02-01') OVERLAPS (date '2026-01-15', date '2026-03-01')",
        overloads: &[
            Overload::new(&[TS, TS, TS, TS], Kind::Bool, overlaps).with_nulls(),
            Overload::new(&[TSZ, TSZ, TSZ, TSZ], Kind::Bool, overlaps).with_nulls(),
            Overload::new(&[Kind::Time, Kind::Time, Kind::Time, Kind::Time], Kind::Bool, overlaps).with_nulls(),
        ],
    },
    Entry {
        name: "timeofday",
        description: "the clock's time as text",
        example: "SELECT timeofday()",
        overloads: &[Overload::new(&[], Kind::Text, |args| {
            let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
            let shown = now
                .with_timezone(&args.env().zone)
                .format("%a %b %d %H:%M:%S%.6f %Y %Z");
            Ok(text(shown.to_string()))
        })
        .volatile()],
    },
    Entry {
        name: "timestamp_diff",
        description: "the days and the time between two times: what - gives",
        example: "SELECT timestamp '2001-09-29 03:00' - timestamp '2001-07-27 12:00'",
        overloads: &[
            Overload::new(&[TS, TS], INTERVAL, minus),
            Overload::new(&[TSZ, TSZ], INTERVAL, minus),
        ],
    },
];

fn minus(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    if [args.micros(0), args.micros(1)]
        .iter()
        .any(|micros| [i64::MIN, i64::MAX].contains(micros))
    {
        return refuse(ErrorKind::DatetimeFieldOverflow, "cannot subtract infinite timestamps");
    }
    match difference(args.micros(0), args.micros(1)) {
        Some(value) => Ok(ScalarValue::IntervalMonthDayNano(Some(value))),
        None => out_of_range(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_counted_as_people_do() {
        let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        for (later, earlier, months, days, hours) in [
            ("2001-04-10 00:00", "1957-06-13 00:00", 43 * 12 + 9, 27, 0),
            ("2020-02-29 00:00", "2019-03-30 10:00", 10, 29, 14),
            ("2001-04-10 12:00", "2001-05-11 13:00", -1, -1, -1),
        ] {
            let expected = interval(months, days, hours * 3_600_000_000_000);
            assert_eq!(age(at(later), at(earlier)), Some(expected), "{later} {earlier}");
        }
    }

    #[test]
    fn intervals_get_one_sign() {
        let of = |months, days, hours: i64| IntervalMonthDayNano::new(months, days, hours * 3_600_000_000_000);
        assert_eq!(justified(of(1, 0, -1)), Some(of(0, 29, 23)));
        assert_eq!(justified(of(0, 35, 27)), Some(of(1, 6, 3)));
        assert_eq!(justified_hours(of(0, 1, -25)), Some(of(0, 0, -1)));
    }
}
