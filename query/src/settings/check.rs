//! What a setting does not accept, and the form in which it keeps what it does.

use super::list::{Kind, Setting};
use super::values::{parse_boolean, parse_milliseconds, parse_time_zone, show_milliseconds};
use crate::{ErrorKind, QueryError};

/// The text that is kept for a value, or why it is refused.
pub(super) fn checked(setting: &Setting, value: &str) -> Result<String, QueryError> {
    let trimmed = value.trim();
    match setting.kind {
        Kind::Text => Ok(value.to_string()),
        Kind::Boolean => match parse_boolean(trimmed) {
            Some(true) => Ok("on".into()),
            Some(false) => Ok("off".into()),
            None => {
                let message = format!("parameter \"{}\" requires a Boolean value", setting.name);
                Err(QueryError::new(ErrorKind::InvalidParameterValue, message))
            }
        },
        Kind::Choice(choices) => {
            let lower = trimmed.to_ascii_lowercase();
            let known = choices.contains(&lower.as_str());
            known.then_some(lower).ok_or_else(|| {
                invalid(setting.name, value).with_hint(format!("available values: {}", choices.join(", ")))
            })
        }
        Kind::Integer { min, max } => {
            let number: i64 = trimmed.parse().map_err(|_| invalid(setting.name, value))?;
            if !(min..=max).contains(&number) {
                return Err(out_of_range(setting.name, trimmed, &min.to_string(), &max.to_string()));
            }
            Ok(number.to_string())
        }
        Kind::Real { min, max } => {
            let number: f64 = trimmed.parse().map_err(|_| invalid(setting.name, value))?;
            if !(min..=max).contains(&number) {
                return Err(out_of_range(setting.name, trimmed, &min.to_string(), &max.to_string()));
            }
            Ok(number.to_string())
        }
        Kind::Milliseconds => {
            let number = parse_milliseconds(trimmed).ok_or_else(|| {
                invalid(setting.name, value)
                    .with_hint("valid units are \"us\", \"ms\", \"s\", \"min\", \"h\" and \"d\"")
            })?;
            // PostgreSQL's limit of an integer setting.
            if number > i32::MAX as u64 {
                return Err(out_of_range(setting.name, trimmed, "0 ms", "2147483647 ms"));
            }
            Ok(show_milliseconds(number))
        }
        Kind::Fixed => Err(fixed(setting.name)),
        Kind::Special => checked_special(setting.name, trimmed),
    }
}

fn checked_special(name: &str, value: &str) -> Result<String, QueryError> {
    match name {
        "client_encoding" => {
            // asyncpg sends the quotes along; UNICODE is an alias of old.
            let bare = value
                .trim_matches(['\'', '"'])
                .to_ascii_lowercase()
                .replace(['-', '_'], "");
            if bare == "utf8" || bare == "unicode" {
                return Ok("UTF8".into());
            }
            let message = format!("invalid value for parameter \"client_encoding\": \"{value}\"");
            Err(QueryError::new(ErrorKind::InvalidParameterValue, message).with_hint("use UTF8"))
        }
        "standard_conforming_strings" => match parse_boolean(value) {
            Some(true) => Ok("on".into()),
            Some(false) => {
                let message = "standard_conforming_strings = off is not supported";
                Err(QueryError::new(ErrorKind::FeatureNotSupported, message)
                    .with_hint("write E'…' for strings with backslashes"))
            }
            None => Err(invalid(name, value)),
        },
        "synchronous_commit" => {
            let lower = value.to_ascii_lowercase();
            match lower.as_str() {
                // There is one server: what PostgreSQL waits for on standbys, and on the local disk, is the local disk.
                "local" | "remote_write" | "remote_apply" => Ok(lower),
                _ => {
                    match parse_boolean(value) {
                        Some(true) => Ok("on".into()),
                        Some(false) => Ok("off".into()),
                        None => Err(invalid(name, value)
                            .with_hint("available values: on, off, local, remote_write, remote_apply")),
                    }
                }
            }
        }
        "TimeZone" => parse_time_zone(value).map(|(_, shown)| shown).ok_or_else(|| {
            invalid(name, value).with_hint("write a name such as Europe/Berlin, or an offset of whole hours from UTC")
        }),
        _ => Ok(value.to_string()),
    }
}

pub(super) fn unrecognized(name: &str) -> QueryError {
    QueryError::new(
        ErrorKind::UndefinedObject,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

pub(super) fn invalid(name: &str, value: &str) -> QueryError {
    QueryError::new(
        ErrorKind::InvalidParameterValue,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

pub(super) fn fixed(name: &str) -> QueryError {
    QueryError::new(
        ErrorKind::CannotChangeRuntimeParameter,
        format!("parameter \"{name}\" cannot be changed"),
    )
}

fn out_of_range(name: &str, value: &str, min: &str, max: &str) -> QueryError {
    let message = format!("{value} is outside the valid range for parameter \"{name}\" ({min} .. {max})");
    QueryError::new(ErrorKind::InvalidParameterValue, message)
}
