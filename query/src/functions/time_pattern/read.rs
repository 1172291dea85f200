//! A text in a pattern as a time: `to_timestamp`, `to_date`.

use chrono::{Datelike, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use datafusion::common::ScalarValue;

use super::{DAYS, MONTHS, Part, ROMAN_MONTHS, out_of_range, parts};
use crate::functions::signature::{Args, refuse, timestamptz};
use crate::pg_type::time::local_to_utc;
use crate::{ErrorKind, QueryError};

/// What a text in a pattern has told.
#[derive(Default)]
struct Told {
    year: Option<i64>,
    before_christ: bool,
    century: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    iso_day_of_year: Option<i64>,
    week: Option<i64>,
    hour: Option<i64>,
    twelve: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    of_day: Option<i64>,
    offset_hours: Option<i64>,
    offset_minutes: i64,
}

struct Input<'a> {
    rest: &'a str,
}

impl<'a> Input<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// A number of at most `width` digits; of any number where `width` is 0.
    fn number(&mut self, field: &str, width: usize) -> Result<i64, QueryError> {
        self.spaces();
        let signed = usize::from(self.rest.starts_with(['-', '+']));
        let digits = self.rest[signed..].bytes().take_while(u8::is_ascii_digit).count();
        let digits = if width > 0 { digits.min(width) } else { digits };
        let taken = &self.rest[..signed + digits];
        match taken.parse::<i64>() {
            Ok(number) if digits > 0 => {
                self.rest = &self.rest[taken.len()..];
                Ok(number)
            }
            _ => {
                let shown: String = self.rest.chars().take(width.max(field.len())).collect();
                refuse(
                    ErrorKind::InvalidDatetimeFormat,
                    format!("invalid value \"{shown}\" for \"{field}\""),
                )
                .map_err(|error: QueryError| error.with_detail("Value must be an integer."))
            }
        }
    }

    /// The place of the one of these words that the input begins with; of three letters where `short`.
    fn word(&mut self, field: &str, words: &[&str], short: bool) -> Result<usize, QueryError> {
        self.spaces();
        let cut = |word: &&str| if short { word.len().min(3) } else { word.len() };
        let starts = |word: &str| {
            let start = self.rest.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        // The longest: VIII before VII.
        let found = words
            .iter()
            .enumerate()
            .filter(|(_, word)| starts(&word[..cut(word)]))
            .max_by_key(|(_, word)| cut(word));
        match found {
            Some((place, word)) => {
                self.rest = &self.rest[cut(word)..];
                Ok(place)
            }
            None => {
                let shown: String = self.rest.chars().take_while(|letter| !letter.is_whitespace()).collect();
                refuse(
                    ErrorKind::InvalidDatetimeFormat,
                    format!("invalid value \"{shown}\" for \"{field}\""),
                )
                .map_err(|error: QueryError| {
                    error.with_detail("The given value did not match any of the allowed values for this field.")
                })
            }
        }
    }
}

fn is_separator(letter: char) -> bool {
    letter.is_ascii() && !letter.is_ascii_alphanumeric()
}

/// A year of two or three digits is the one nearest to 2020.
fn full_year(year: i64, digits: usize) -> i64 {
    match (digits, year) {
        (4.., _) => year,
        (_, 0..70) => year + 2_000,
        (_, 70..100) => year + 1_900,
        (_, 100..520) => year + 2_000,
        (_, 520..1_000) => year + 1_000,
        _ => year,
    }
}

/// Whether a part begins with digits: the field before it must not take them.
fn begins_with_digits(part: Option<&Part<'_>>) -> bool {
    match part {
        Some(Part::Field { name, .. }) => !matches!(
            name.to_ascii_uppercase().as_str(),
            "MONTH" | "MON" | "DAY" | "DY" | "AM" | "PM" | "A.M." | "P.M." | "AD" | "BC" | "A.D." | "B.C." | "RM"
        ),
        Some(Part::Other(letter)) => letter.is_ascii_digit(),
        _ => false,
    }
}

fn told(input: &str, pattern: &str) -> Result<Told, QueryError> {
    let mut told = Told::default();
    let parts = parts(pattern);
    let mut input = Input { rest: input };
    for (place, part) in parts.iter().enumerate() {
        let (name, bare) = match part {
            Part::Field { name, bare, .. } => (*name, *bare),
            Part::Quoted(literal) => {
                for _ in literal.chars() {
                    let mut letters = input.rest.chars();
                    letters.next();
                    input.rest = letters.as_str();
                }
                continue;
            }
            Part::Other(letter) => {
                let next = input.rest.chars().next();
                let skip = match (is_separator(*letter), next) {
                    (_, None) => false,
                    (true, Some(next)) => is_separator(next) && !(matches!(next, '-' | '+') && letter.is_whitespace()),
                    (false, Some(_)) => true,
                };
                if letter.is_whitespace() {
                    input.spaces();
                } else if skip {
                    let mut letters = input.rest.chars();
                    letters.next();
                    input.rest = letters.as_str();
                }
                continue;
            }
        };
        if input.rest.trim_start().is_empty() {
            break;
        }
        let exact = !bare && begins_with_digits(parts.get(place + 1));
        let width = |digits: usize| if exact { digits } else { 0 };
        let before = input.rest.trim_start().len();
        match name {
            "YYYY" | "IYYY" | "YYY" | "IYY" | "YY" | "IY" | "Y" | "I" => {
                let digits = name.trim_start_matches('I').len() + usize::from(name.starts_with('I') && name == "I");
                let digits = if name.starts_with('I') { name.len() } else { digits };
                let year = input.number(name, width(digits))?;
                let used = before - input.rest.len();
                let year = match digits == 4 {
                    true => year,
                    false => full_year(year, used),
                };
                match name.starts_with('I') {
                    true => told.iso_year = Some(year),
                    false => told.year = Some(year),
                }
            }
            "Y,YYY" => {
                let thousands = input.number(name, 0)?;
                input.rest = input.rest.strip_prefix(',').unwrap_or(input.rest);
                told.year = Some(thousands * 1_000 + input.number(name, 3)?);
            }
            "CC" => told.century = Some(input.number(name, width(2))?),
            "MM" => told.month = Some(input.number(name, width(2))?),
            "DD" => told.day = Some(input.number(name, width(2))?),
            "DDD" => told.day_of_year = Some(input.number(name, width(3))?),
            "IDDD" => told.iso_day_of_year = Some(input.number(name, width(3))?),
            "IW" => told.iso_week = Some(input.number(name, width(2))?),
            "ID" => told.iso_day = Some(input.number(name, width(1))?),
            "WW" => told.week = Some(input.number(name, width(2))?),
            "J" => told.julian = Some(input.number(name, 0)?),
            "D" | "W" | "Q" => {
                input.number(name, width(1))?;
            }
            "HH24" => told.hour = Some(input.number(name, width(2))?),
            "HH12" | "HH" => {
                told.hour = Some(input.number(name, width(2))?);
                told.twelve = true;
            }
            "MI" => told.minute = input.number(name, width(2))?,
            "SS" => told.second = input.number(name, width(2))?,
            "SSSS" | "SSSSS" => told.of_day = Some(input.number(name, width(5))?),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let digits = match name {
                    "MS" => 3,
                    "US" => 6,
                    other => usize::from(other.as_bytes()[2] - b'0'),
                };
                let fraction = input.number(name, digits)?;
                let used = (before - input.rest.len()).min(6) as u32;
                told.micros += fraction * 10i64.pow(6 - used);
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let words: &[&str] = if name.len() == 2 {
                    &["AM", "PM"]
                } else {
                    &["A.M.", "P.M."]
                };
                told.afternoon = Some(input.word(name, words, false)? == 1);
                told.twelve = true;
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                let words: &[&str] = if name.len() == 2 {
                    &["AD", "BC"]
                } else {
                    &["A.D.", "B.C."]
                };
                told.before_christ = input.word(name, words, false)? == 1;
            }
            "MONTH" | "Month" => told.month = Some(input.word(name, &MONTHS, false)? as i64 + 1),
            "MON" | "Mon" => told.month = Some(input.word(name, &MONTHS, true)? as i64 + 1),
            "DAY" | "Day" => {
                input.word(name, &DAYS, false)?;
            }
            "DY" | "Dy" => {
                input.word(name, &DAYS, true)?;
            }
            "RM" => told.month = Some(input.word(name, &ROMAN_MONTHS, false)? as i64 + 1),
            "TZH" => told.offset_hours = Some(input.number(name, 0)?),
            "TZM" => told.offset_minutes = input.number(name, 0)?,
            _ => {
                return refuse(
                    ErrorKind::FeatureNotSupported,
                    format!("formatting field \"{name}\" is only supported in to_char"),
                );
            }
        }
        if let Part::Field { ordinal: Some(_), .. } = part {
            input.rest = input.rest.get(2..).unwrap_or_default();
        }
    }
    Ok(told)
}

impl Told {
    fn date(&self) -> Option<NaiveDate> {
        if let Some(julian) = self.julian {
            return NaiveDate::from_num_days_from_ce_opt(i32::try_from(julian - 1_721_425).ok()?);
        }
        if let Some(year) = self.iso_year {
            let year = i32::try_from(year).ok()?;
            let first = NaiveDate::from_isoywd_opt(year, 1, chrono::Weekday::Mon)?;
            let days = match self.iso_day_of_year {
                Some(day) => day - 1,
                None => (self.iso_week.unwrap_or(1) - 1) * 7 + self.iso_day.unwrap_or(1) - 1,
            };
            return first.checked_add_signed(chrono::Duration::try_days(days)?);
        }
        let year = match (self.year, self.century) {
            (Some(year), _) if self.before_christ => 1 - year,
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1) * 100 + 1,
            (None, None) => 0,
        };
        let year = i32::try_from(year).ok()?;
        if let Some(day) = self.day_of_year.or(self.week.map(|week| (week - 1) * 7 + 1)) {
            return NaiveDate::from_yo_opt(year, u32::try_from(day).ok()?);
        }
        NaiveDate::from_ymd_opt(
            year,
            u32::try_from(self.month.unwrap_or(1)).ok()?,
            u32::try_from(self.day.unwrap_or(1)).ok()?,
        )
    }

    fn reading(&self) -> Option<NaiveDateTime> {
        let date = self.date()?;
        let mut hour = self.hour.unwrap_or(0);
        if self.twelve {
            if !(1..=12).contains(&hour) && self.hour.is_some() {
                return None;
            }
            match self.afternoon {
                Some(true) if hour < 12 => hour += 12,
                Some(false) if hour == 12 => hour = 0,
                _ => {}
            }
        }
        let in_range = (0..24).contains(&hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second);
        if !in_range {
            return None;
        }
        let seconds = self.of_day.unwrap_or(hour * 3_600 + self.minute * 60 + self.second);
        let midnight = date.and_hms_opt(0, 0, 0)?;
        let time = chrono::Duration::try_seconds(seconds)? + chrono::Duration::microseconds(self.micros);
        midnight.checked_add_signed(time)
    }
}

fn field_out_of_range(input: &str, told: &Told) -> QueryError {
    if told.twelve && told.hour.is_some_and(|hour| !(1..=12).contains(&hour)) {
        let message = format!(
            "hour \"{}\" is invalid for the 12-hour clock",
            told.hour.unwrap_or_default()
        );
        return QueryError::new(ErrorKind::InvalidDatetimeFormat, message)
            .with_hint("Use the 24-hour clock, or give an hour between 1 and 12.");
    }
    QueryError::new(
        ErrorKind::DatetimeFieldOverflow,
        format!("date/time field value out of range: \"{input}\""),
    )
}

pub(super) fn to_timestamp(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let input = args.text(0);
    let told = told(input, args.text(1))?;
    let reading = told.reading().ok_or_else(|| field_out_of_range(input, &told))?;
    let nanoseconds = match told.offset_hours {
        Some(hours) => {
            let minutes = hours * 60
                + if hours < 0 {
                    -told.offset_minutes
                } else {
                    told.offset_minutes
                };
            local_to_utc(&reading, Tz::UTC) - i128::from(minutes) * 60_000_000_000
        }
        None => local_to_utc(&reading, args.env().zone),
    };
    i64::try_from(nanoseconds.div_euclid(1_000))
        .map(timestamptz)
        .map_err(|_| out_of_range())
}

pub(super) fn to_date(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let input = args.text(0);
    let told = told(input, args.text(1))?;
    let date = told.date().ok_or_else(|| field_out_of_range(input, &told))?;
    Ok(ScalarValue::Date32(Some(date.num_days_from_ce() - 719_163)))
}

/// The instant so many seconds after 1970.
pub(super) fn from_seconds(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let micros = (args.float(0) * 1e6).round();
    match micros.is_finite() && micros.abs() < 9.2e18 {
        true => Ok(timestamptz(micros as i64)),
        false => Err(QueryError::new(
            ErrorKind::DatetimeFieldOverflow,
            format!("timestamp out of range: \"{}\"", args.float(0)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        for (input, pattern, expected) in [
            ("05 Dec 2000", "DD Mon YYYY", "2000-12-05 00:00:00"),
            (
                "2020-01-02 03:04:05 PM",
                "YYYY-MM-DD HH:MI:SS AM",
                "2020-01-02 15:04:05",
            ),
            ("20200102T030405", "YYYYMMDD\"T\"HH24MISS", "2020-01-02 03:04:05"),
            ("1,999", "Y,YYY", "1999-01-01 00:00:00"),
            ("2020 June", "YYYY Month", "2020-06-01 00:00:00"),
            ("31/12/99", "DD/MM/YY", "1999-12-31 00:00:00"),
            ("2020-W01-1", "IYYY-\"W\"IW-ID", "2019-12-30 00:00:00"),
            (
                "2020-01-01 00:00:00.5",
                "YYYY-MM-DD HH24:MI:SS.US",
                "2020-01-01 00:00:00.500",
            ),
        ] {
            let reading = told(input, pattern).unwrap().reading().unwrap();
            assert_eq!(reading.to_string(), expected, "{pattern}");
        }
        assert!(told("abc", "YYYY").is_err());
        assert!(told("2020-02-30", "YYYY-MM-DD").unwrap().reading().is_none());
    }
}
