//! A time in a pattern: `to_char`.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use datafusion::common::ScalarValue;

use super::{DAYS, MONTHS, Part, ROMAN_MONTHS, out_of_range, parts};
use crate::functions::calendar::civil;
use crate::functions::number_pattern::ordinal;
use crate::functions::signature::{Args, refuse, text};
use crate::{ErrorKind, QueryError};

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

pub(super) fn of_timestamp(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let reading = civil(args.micros(0), 1_000_000).ok_or_else(out_of_range)?;
    Ok(text(Shown::reading(reading, None).write(args.text(1))?))
}

pub(super) fn of_instant(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let utc = civil(args.micros(0), 1_000_000).ok_or_else(out_of_range)?;
    let local = args.env().zone.from_utc_datetime(&utc);
    let zone = (local.format("%Z").to_string(), local.offset().fix().local_minus_utc());
    Ok(text(
        Shown::reading(local.naive_local(), Some(zone)).write(args.text(1))?,
    ))
}

pub(super) fn of_time(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    span(0, 0, args.micros(0), args.text(1))
}

pub(super) fn of_interval(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
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
}
