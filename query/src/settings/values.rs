//! Texts that settings are written as: words for truth, time zones, date styles, spans of time, options of the command line.

use chrono_tz::Tz;

use super::check::invalid;
use crate::QueryError;
use crate::pg_type::time::DateOrder;
use crate::pg_type::write::{DateStyle, Dates};

/// PostgreSQL's words for truth: unambiguous beginnings of true, false, yes, no; on, off, 1, 0.
pub(super) fn parse_boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let begins = |word: &str| !lower.is_empty() && word.starts_with(&lower);
    match lower.as_str() {
        "on" | "1" => Some(true),
        "off" | "of" | "0" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

/// A zone by its IANA name in any case, or an offset of whole hours: `+2`, `-08`; with minutes or after a name (`+02:00`, `UTC+2`) in the POSIX
/// sense, as PostgreSQL reads it. With the text that SHOW gives.
pub(super) fn parse_time_zone(text: &str) -> Option<(Tz, String)> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("zulu") {
        return Some((Tz::UTC, "UTC".into()));
    }
    if let Ok(zone) = text.parse::<Tz>() {
        return Some((zone, zone.name().to_string()));
    }
    if let Some(zone) = chrono_tz::TZ_VARIANTS
        .iter()
        .find(|zone| zone.name().eq_ignore_ascii_case(text))
    {
        return Some((*zone, zone.name().to_string()));
    }
    let (hours, posix) = match text.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("utc") || prefix.eq_ignore_ascii_case("gmt") => {
            (parse_hours(text.get(3..)?)?, true)
        }
        _ => (parse_hours(text)?, text.contains(':') && !text.starts_with('<')),
    };
    // In POSIX, and in the Etc zones, a positive number lies west of Greenwich.
    let east = if posix { -hours } else { hours };
    let name = match east {
        0 => "Etc/GMT".to_string(),
        east if east > 0 => format!("Etc/GMT-{east}"),
        east => format!("Etc/GMT+{}", -east),
    };
    let zone = name.parse::<Tz>().ok()?;
    let shown = match east {
        0 => "UTC".to_string(),
        _ if posix => text.to_string(),
        _ => format!("<{east:+03}>{:+03}", -east),
    };
    Some((zone, shown))
}

/// `+2`, `-08`, `+02:00`, `+02:00:00`, `0530` is refused; also the form that SHOW gives, `<+02>-02`.
fn parse_hours(text: &str) -> Option<i32> {
    let text = match text.strip_prefix('<') {
        Some(rest) => rest.split('>').next()?,
        None => text,
    };
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let mut parts = digits.split(':');
    let hours = parts.next()?;
    if hours.is_empty() || hours.len() > 2 || !hours.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    parts.all(|part| part == "00" || part == "0").then_some(())?;
    Some(sign * hours.parse::<i32>().ok()?)
}

/// Words for the form and for the order, in any sequence; what is not named stays as it was.
pub(super) fn parse_date_style(value: &str, before: Dates) -> Result<Dates, QueryError> {
    let (mut style, mut order) = (None, None);
    for part in value.split(',') {
        let word = part.trim().trim_matches(['\'', '"']).to_ascii_uppercase();
        let (new_style, new_order) = match word.as_str() {
            "" => continue,
            "DEFAULT" => (Some(DateStyle::Iso), Some(DateOrder::Mdy)),
            "ISO" => (Some(DateStyle::Iso), None),
            "SQL" => (Some(DateStyle::Sql), None),
            "GERMAN" => (Some(DateStyle::German), None),
            "MDY" | "US" => (None, Some(DateOrder::Mdy)),
            "DMY" => (None, Some(DateOrder::Dmy)),
            "YMD" => (None, Some(DateOrder::Ymd)),
            _ if word.starts_with("POSTGRES") => (Some(DateStyle::Postgres), None),
            _ if word.starts_with("EURO") => (None, Some(DateOrder::Dmy)),
            _ if word.starts_with("NONEURO") => (None, Some(DateOrder::Mdy)),
            _ => {
                return Err(
                    invalid("DateStyle", value).with_detail(format!("Unrecognized key word: \"{}\".", part.trim()))
                );
            }
        };
        let conflict = (style.is_some() && new_style.is_some() && style != new_style)
            || (order.is_some() && new_order.is_some() && order != new_order);
        if conflict {
            return Err(invalid("DateStyle", value).with_detail("Conflicting \"datestyle\" specifications."));
        }
        style = style.or(new_style);
        order = order.or(new_order);
    }
    let german = (style == Some(DateStyle::German)).then_some(DateOrder::Dmy);
    Ok(Dates {
        style: style.unwrap_or(before.style),
        order: order.or(german).unwrap_or(before.order),
    })
}

/// As SHOW gives it.
pub(super) fn date_style_text(dates: Dates) -> String {
    let style = match dates.style {
        DateStyle::Iso => "ISO",
        DateStyle::Sql => "SQL",
        DateStyle::Postgres => "Postgres",
        DateStyle::German => "German",
    };
    let order = match dates.order {
        DateOrder::Mdy => "MDY",
        DateOrder::Dmy => "DMY",
        DateOrder::Ymd => "YMD",
    };
    format!("{style}, {order}")
}

/// `5000`, `5s`, `1.5 min`: milliseconds.
pub(super) fn parse_milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some((number * unit).round() as u64)
}

/// With the largest unit that leaves a whole number, as PostgreSQL shows spans.
pub(super) fn show_milliseconds(number: u64) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1_000, "s"),
        (1, "ms"),
    ];
    match units
        .iter()
        .find(|(size, _)| number > 0 && number.is_multiple_of(*size))
    {
        Some((size, unit)) => format!("{}{unit}", number / size),
        None => "0".into(),
    }
}

/// `-c name=value --name=value`, the form of the startup parameter `options`. A backslash keeps a space.
pub(super) fn command_line_options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let last = words.last_mut().expect("begins with one word");
        match character {
            '\\' => last.extend(characters.next()),
            space if space.is_whitespace() => words.push(String::new()),
            other => last.push(other),
        }
    }
    words
        .iter()
        .filter_map(|word| word.strip_prefix("-c").or(word.strip_prefix("--")).or(Some(word)))
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.replace('-', "_"), value.to_string()))
        .collect()
}
