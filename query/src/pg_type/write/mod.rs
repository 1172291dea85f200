//! Values as PostgreSQL writes them: text in the session's style, and the binary forms that are more than a number's bytes.
//!
//! One writer for what results show and for what casts to text give, so that the two cannot differ.

pub mod bytes;
pub mod datetime;
pub mod float;
mod interval;
pub mod numeric;

pub use interval::write_interval;

use super::time::DateOrder;

/// How values are written as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextStyle {
    pub time_zone: chrono_tz::Tz,
    /// `bytea_output`: hex unless `escape`.
    pub bytea_escape: bool,
    pub extra_float_digits: i8,
    pub dates: Dates,
    pub intervals: IntervalStyle,
}

impl Default for TextStyle {
    fn default() -> TextStyle {
        TextStyle {
            time_zone: chrono_tz::Tz::UTC,
            bytea_escape: false,
            extra_float_digits: 1,
            dates: Dates::default(),
            intervals: IntervalStyle::default(),
        }
    }
}

/// `DateStyle`: what dates look like, and which of day and month comes first where a style leaves that open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    pub style: DateStyle,
    pub order: DateOrder,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateStyle {
    /// `2026-11-22 03:30:21+01`
    #[default]
    Iso,
    /// `11/22/2026 03:30:21 CET`
    Sql,
    /// `Sun Nov 22 03:30:21 2026 CET`
    Postgres,
    /// `22.11.2026 03:30:21 CET`
    German,
}

/// `IntervalStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `1 day 02:03:04`
    #[default]
    Postgres,
    /// `@ 1 day 2 hours 3 mins 4 secs`
    PostgresVerbose,
    /// `1 2:03:04`
    SqlStandard,
    /// `P1DT2H3M4S`
    Iso8601,
}
