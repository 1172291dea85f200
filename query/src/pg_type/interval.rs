//! Intervals from their text, as PostgreSQL's input function reads them.
//!
//! Numbers with units (`1 mon 2 days`, `1.5h`, `60.000s`), a clock (`-01:02:03.5`), `ago` behind all of it, years and months of standard SQL
//! (`1-2`), and ISO 8601 with designators (`P1Y2M3DT4H5M6.7S`). A number without a unit is seconds, before a clock days. What a fraction leaves of
//! years goes into months, of months into days of 30 to a month, of weeks and days into the clock.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use arrow::error::ArrowError;

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;
const NANOSECONDS_PER_DAY: i128 = 86_400 * NANOSECONDS_PER_SECOND;
const DAYS_PER_MONTH: i128 = 30;
/// Fractions are kept as so many parts of one: as fine as a second's.
const PARTS: i128 = 1_000_000_000;

/// What has been read so far. Wide enough for any sum of numbers that were checked on their own.
#[derive(Clone, Copy, Default)]
struct Sum {
    months: i128,
    days: i128,
    nanoseconds: i128,
}

/// Intervals as they are; differences of timestamps with their whole days as days.
pub fn of_duration(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if matches!(array.data_type(), DataType::Interval(IntervalUnit::MonthDayNano)) {
        return Ok(array.clone());
    }
    let is_difference = matches!(array.data_type(), DataType::Duration(_));
    let intervals = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    if !is_difference {
        return Ok(intervals);
    }
    const DAY: i64 = NANOSECONDS_PER_DAY as i64;
    let justified: IntervalMonthDayNanoArray = intervals
        .as_primitive::<IntervalMonthDayNanoType>()
        // 64 bits of nanoseconds are 106,751 days.
        .unary(|value| IntervalMonthDayNano::new(0, (value.nanoseconds / DAY) as i32, value.nanoseconds % DAY));
    Ok(Arc::new(justified))
}

/// `None`: the text is no interval.
pub fn parse_interval(text: &str) -> Option<IntervalMonthDayNano> {
    let text = text.trim();
    let sum = match text.strip_prefix(['P', 'p']) {
        Some(designated) => iso(designated)?,
        None => verbose(text)?,
    };
    // Microseconds are the finest that PostgreSQL has.
    let microseconds = (sum.nanoseconds + 500).div_euclid(1_000);
    Some(IntervalMonthDayNano::new(
        i32::try_from(sum.months).ok()?,
        i32::try_from(sum.days).ok()?,
        i64::try_from(microseconds.checked_mul(1_000)?).ok()?,
    ))
}

fn verbose(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut rest = text.strip_prefix('@').unwrap_or(text).trim_start();
    let mut seen = false;
    while !rest.is_empty() {
        if seen && rest.eq_ignore_ascii_case("ago") {
            return Some(Sum {
                months: -sum.months,
                days: -sum.days,
                nanoseconds: -sum.nanoseconds,
            });
        }
        seen = true;
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        if rest[..end].contains(':') {
            sum.nanoseconds += clock(&rest[..end])?;
            rest = rest[end..].trim_start();
            continue;
        }
        if let Some(months) = years_and_months(&rest[..end]) {
            sum.months += months;
            rest = rest[end..].trim_start();
            continue;
        }
        let (number, behind) = number(rest)?;
        let behind = behind.trim_start();
        let end = behind
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let unit = match &behind[..end] {
            "" if behind.is_empty() => "s",
            "" => match clock_follows(behind) {
                true => "day",
                false => return None,
            },
            unit => unit,
        };
        add(&mut sum, number, &unit.to_ascii_lowercase())?;
        rest = behind[end..].trim_start();
    }
    seen.then_some(sum)
}

/// Whether the next word is the last and a clock.
fn clock_follows(text: &str) -> bool {
    !text.contains(char::is_whitespace) && text.contains(':')
}

/// `1-2`: a year and two months.
fn years_and_months(word: &str) -> Option<i128> {
    let (negative, digits) = signed(word);
    let (years, months) = digits.split_once('-')?;
    let whole = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse::<i32>().ok() } else { None }
    };
    let (years, months) = (whole(years)?, whole(months).filter(|months| *months < 12)?);
    let sum = i128::from(years) * 12 + i128::from(months);
    Some(if negative { -sum } else { sum })
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A number at the beginning as so many parts of one, and what stands behind it.
fn number(text: &str) -> Option<(i128, &str)> {
    let (negative, digits) = signed(text);
    let end = digits
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(digits.len());
    let parts = parts(&digits[..end])?;
    Some((if negative { -parts } else { parts }, &digits[end..]))
}

/// `12.5` as parts of one. Digits beyond the ninth behind the point are too small to matter.
fn parts(digits: &str) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i64 = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()?;
    Some(i128::from(whole) * PARTS + i128::from(fraction))
}

/// `[+-]hours:minutes[:seconds]` in nanoseconds.
fn clock(word: &str) -> Option<i128> {
    let (negative, word) = signed(word);
    let mut fields = word.split(':');
    let hours: i64 = whole(fields.next()?)?;
    let minutes = whole(fields.next()?).filter(|minutes| *minutes < 60)?;
    let seconds = match fields.next() {
        Some(seconds) => parts(seconds).filter(|seconds| *seconds < 60 * PARTS)?,
        None => 0,
    };
    if fields.next().is_some() {
        return None;
    }
    let sum = (i128::from(hours) * 3_600 + i128::from(minutes) * 60) * NANOSECONDS_PER_SECOND
        + seconds * (NANOSECONDS_PER_SECOND / PARTS);
    Some(if negative { -sum } else { sum })
}

fn whole(digits: &str) -> Option<i64> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn add(sum: &mut Sum, number: i128, unit: &str) -> Option<()> {
    let months = |sum: &mut Sum, per_unit: i128| {
        let parts = number * per_unit;
        sum.months += parts / PARTS;
        // Of a year's fraction only whole months count, as in PostgreSQL; of a month's, days.
        if per_unit == 1 {
            days(sum, parts % PARTS * DAYS_PER_MONTH);
        }
    };
    fn days(sum: &mut Sum, parts: i128) {
        sum.days += parts / PARTS;
        sum.nanoseconds += parts % PARTS * (NANOSECONDS_PER_DAY / PARTS);
    }
    let time = |sum: &mut Sum, nanoseconds: i128| sum.nanoseconds += number * nanoseconds / PARTS;
    match unit {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => time(sum, 1_000),
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => time(sum, 1_000_000),
        "s" | "sec" | "secs" | "second" | "seconds" => time(sum, NANOSECONDS_PER_SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => time(sum, 60 * NANOSECONDS_PER_SECOND),
        "h" | "hr" | "hrs" | "hour" | "hours" => time(sum, 3_600 * NANOSECONDS_PER_SECOND),
        "d" | "day" | "days" => days(sum, number),
        "w" | "week" | "weeks" => days(sum, number * 7),
        "mon" | "mons" | "month" | "months" => months(sum, 1),
        "y" | "yr" | "yrs" | "year" | "years" => months(sum, 12),
        "dec" | "decs" | "decade" | "decades" => months(sum, 120),
        "c" | "cent" | "century" | "centuries" => months(sum, 1_200),
        "mil" | "mils" | "millennium" | "millennia" => months(sum, 12_000),
        _ => return None,
    }
    Some(())
}

/// What stands behind the P of ISO 8601.
fn iso(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut rest = text;
    let mut in_time = false;
    let mut seen = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix(['T', 't'])
            && !in_time
        {
            (rest, in_time) = (time, true);
            continue;
        }
        let (number, behind) = number(rest)?;
        let mut letters = behind.chars();
        let unit = match (in_time, letters.next()?.to_ascii_uppercase()) {
            (false, 'Y') => "year",
            (false, 'M') => "month",
            (false, 'W') => "week",
            (false, 'D') => "day",
            (true, 'H') => "hour",
            (true, 'M') => "minute",
            (true, 'S') => "second",
            _ => return None,
        };
        add(&mut sum, number, unit)?;
        rest = letters.as_str();
        seen = true;
    }
    seen.then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(i32, i32, i64)> {
        parse_interval(text).map(|value| (value.months, value.days, value.nanoseconds / 1_000))
    }

    #[test]
    fn as_postgresql_reads_them() {
        const HOUR: i64 = 3_600_000_000;
        for (text, months, days, microseconds) in [
            ("00:00:00", 0, 0, 0),
            ("0:00:00", 0, 0, 0),
            ("1 mon 2 days 03:04:05.6", 1, 2, 11_045_600_000),
            ("-1 days +02:03:04", 0, -1, 7_384_000_000),
            ("-00:00:01", 0, 0, -1_000_000),
            ("1 day 02:03:04.000005", 0, 1, 7_384_000_005),
            ("1 year 2 months", 14, 0, 0),
            ("1 12:00", 0, 1, 12 * HOUR),
            ("1.5 days", 0, 1, 12 * HOUR),
            ("1.5 months", 1, 15, 0),
            ("1.5 years", 18, 0, 0),
            ("1.5 weeks", 0, 10, 12 * HOUR),
            ("-1.5h", 0, 0, -HOUR * 3 / 2),
            ("60.000s", 0, 0, 60_000_000),
            ("300", 0, 0, 300_000_000),
            ("5m", 0, 0, 300_000_000),
            ("@ 1 hour 3 min ago", 0, 0, -HOUR - 180_000_000),
            ("1-2", 14, 0, 0),
            ("-1-2 +3 -04:05:06", -14, 3, -14_706_000_000),
            ("P1Y2M3DT4H5M6.7S", 14, 3, 14_706_700_000),
            ("PT-1.5S", 0, 0, -1_500_000),
            ("P1W", 0, 7, 0),
            ("1 day 1 day", 0, 2, 0),
            (".5 s", 0, 0, 500_000),
            ("100:00:00", 0, 0, 100 * HOUR),
        ] {
            assert_eq!(read(text), Some((months, days, microseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_interval() {
        for text in [
            "",
            "x",
            "1 x",
            "day",
            "P",
            "PT",
            "P1",
            "P1H",
            "1:60",
            "1:00:60",
            "1:2:3:4",
            ":",
            "ago",
            "1..5 s",
            "99999999999 months",
            "1 2 3",
            "- 1 day x",
            "é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
