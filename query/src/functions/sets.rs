//! Functions that give rows: each column comes from a function that gives a list, and rows are made of the lists.
//!
//! `plan/sets.rs` writes `unnest(f_list(…))` for them, in FROM and in a SELECT list.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{Months, NaiveDateTime};
use chrono_tz::Tz;
use datafusion::common::ScalarValue;

use super::arrays::{ELEMENTS_MAX, too_many};
use super::calendar::civil;
use super::signature::{Args, Entry, Kind, Overload, list, numeric, refuse, timestamp, timestamptz};
use crate::pg_type::time::local_to_utc;
use crate::{ErrorKind, QueryError};

/// A function that gives rows.
pub struct SetFunction {
    pub name: &'static str,
    pub columns: &'static [SetColumn],
}

/// A column of its rows.
pub struct SetColumn {
    /// Empty: that of the alias, or of the function.
    pub name: &'static str,
    /// The function that gives its values as a list.
    pub list: &'static str,
    /// The type that rows have and lists cannot tell.
    pub cast: Option<&'static str>,
}

const fn column(name: &'static str, list: &'static str) -> SetColumn {
    SetColumn { name, list, cast: None }
}

const fn typed(name: &'static str, list: &'static str, cast: &'static str) -> SetColumn {
    SetColumn {
        name,
        list,
        cast: Some(cast),
    }
}

/// Every function that gives rows, except `unnest`, which is part of the language.
pub const SETS: &[SetFunction] = &[
    SetFunction {
        name: "generate_series",
        columns: &[column("", "generate_series_list")],
    },
    SetFunction {
        name: "generate_subscripts",
        columns: &[column("", "array_subscripts")],
    },
    SetFunction {
        name: "json_array_elements",
        columns: &[typed("value", "json_array_elements_list", "json")],
    },
    SetFunction {
        name: "json_array_elements_text",
        columns: &[column("value", "jsonb_array_elements_text_list")],
    },
    SetFunction {
        name: "json_each",
        columns: &[
            column("key", "jsonb_each_key_list"),
            typed("value", "json_each_value_list", "json"),
        ],
    },
    SetFunction {
        name: "json_each_text",
        columns: &[
            column("key", "jsonb_each_key_list"),
            column("value", "jsonb_each_text_list"),
        ],
    },
    SetFunction {
        name: "json_object_keys",
        columns: &[column("", "jsonb_object_keys_list")],
    },
    SetFunction {
        name: "jsonb_array_elements",
        columns: &[typed("value", "jsonb_array_elements_list", "jsonb")],
    },
    SetFunction {
        name: "jsonb_array_elements_text",
        columns: &[column("value", "jsonb_array_elements_text_list")],
    },
    SetFunction {
        name: "jsonb_each",
        columns: &[
            column("key", "jsonb_each_key_list"),
            typed("value", "jsonb_each_value_list", "jsonb"),
        ],
    },
    SetFunction {
        name: "jsonb_each_text",
        columns: &[
            column("key", "jsonb_each_key_list"),
            column("value", "jsonb_each_text_list"),
        ],
    },
    SetFunction {
        name: "jsonb_object_keys",
        columns: &[column("", "jsonb_object_keys_list")],
    },
    SetFunction {
        name: "regexp_matches",
        columns: &[column("", "regexp_matches_list")],
    },
    SetFunction {
        name: "regexp_split_to_table",
        columns: &[column("", "regexp_split_to_table_list")],
    },
    SetFunction {
        name: "string_to_table",
        columns: &[column("", "string_to_table_list")],
    },
];

/// The function of a name.
pub fn find(name: &str) -> Option<&'static SetFunction> {
    SETS.iter().find(|function| function.name == name)
}

/// The function that gives rows which a list is behind, or the name itself.
pub fn of_list(name: &str) -> &str {
    let behind = |set: &&SetFunction| set.columns.iter().any(|column| column.list == name);
    SETS.iter().find(behind).map_or(name, |set| set.name)
}

fn zero_step<T>() -> Result<T, QueryError> {
    refuse(ErrorKind::InvalidParameterValue, "step size cannot equal zero")
}

/// Whole numbers from one to another. The end is reached where it is met exactly.
fn numbers(start: i128, stop: i128, step: i128) -> Result<Vec<i128>, QueryError> {
    if step == 0 {
        return zero_step();
    }
    let steps = (stop - start) / step;
    if (stop - start).signum() * step.signum() < 0 {
        return Ok(Vec::new());
    }
    match usize::try_from(steps) {
        Ok(steps) if steps < ELEMENTS_MAX => Ok((0..=steps as i128).map(|index| start + index * step).collect()),
        _ => too_many(),
    }
}

fn integers(args: &Args<'_>) -> Result<Vec<i128>, QueryError> {
    let step = if args.len() > 2 { args.int(2) } else { 1 };
    numbers(i128::from(args.int(0)), i128::from(args.int(1)), i128::from(step))
}

fn series_of_int4(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let values = integers(args)?
        .into_iter()
        .map(|value| ScalarValue::Int32(Some(value as i32)));
    Ok(list(values.collect(), &DataType::Int32))
}

fn series_of_int8(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let values = integers(args)?
        .into_iter()
        .map(|value| ScalarValue::Int64(Some(value as i64)));
    Ok(list(values.collect(), &DataType::Int64))
}

fn series_of_numeric(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let step = if args.len() > 2 { args.numeric(2)? } else { (1, 0) };
    let given = [args.numeric(0)?, args.numeric(1)?, step];
    let scale = given.iter().map(|(_, scale)| *scale).max().unwrap_or(0);
    let mut alike = Vec::new();
    for (digits, own) in given {
        let unit = 10i128.checked_pow(scale - own);
        match unit.and_then(|unit| digits.checked_mul(unit)) {
            Some(digits) => alike.push(digits),
            None => return refuse(ErrorKind::NumericValueOutOfRange, "value overflows numeric format"),
        }
    }
    let values: Vec<ScalarValue> = numbers(alike[0], alike[1], alike[2])?
        .into_iter()
        .enumerate()
        .map(|(place, digits)| match place {
            // The first is as it was written.
            0 => numeric(given[0].0, given[0].1),
            _ => numeric(digits, scale),
        })
        .collect::<Result<_, _>>()?;
    Ok(list(values, &crate::functions::numeric::NUMERIC))
}

/// A reading of a wall clock so many steps on.
fn stepped(reading: NaiveDateTime, months: i32, days: i32) -> Option<NaiveDateTime> {
    let moved = match months < 0 {
        true => reading.checked_sub_months(Months::new(months.unsigned_abs())),
        false => reading.checked_add_months(Months::new(months.unsigned_abs())),
    };
    moved?.checked_add_signed(chrono::Duration::try_days(i64::from(days))?)
}

/// Times from one to another: days and months are steps of the calendar in `zone`.
fn times(args: &Args<'_>, zone: Tz) -> Result<Vec<i64>, QueryError> {
    let step = args.interval(2);
    let (start, stop) = (args.micros(0), args.micros(1));
    let total = i128::from(step.months) * 30 * 86_400_000_000_000
        + i128::from(step.days) * 86_400_000_000_000
        + i128::from(step.nanoseconds);
    if total == 0 {
        return zero_step();
    }
    let upwards = total > 0;
    let out_of_range = || QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range");
    let mut values = Vec::new();
    let mut at = start;
    while if upwards { at <= stop } else { at >= stop } {
        if values.len() >= ELEMENTS_MAX {
            return too_many();
        }
        values.push(at);
        let mut next = at;
        if step.months != 0 || step.days != 0 {
            use chrono::TimeZone;
            let utc = civil(at, 1_000_000).ok_or_else(out_of_range)?;
            let local = zone.from_utc_datetime(&utc).naive_local();
            let moved = stepped(local, step.months, step.days).ok_or_else(out_of_range)?;
            next = i64::try_from(local_to_utc(&moved, zone).div_euclid(1_000)).map_err(|_| out_of_range())?;
        }
        at = next.checked_add(step.nanoseconds / 1_000).ok_or_else(out_of_range)?;
    }
    Ok(values)
}

fn series_of_timestamps(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let values = times(args, Tz::UTC)?.into_iter().map(timestamp).collect();
    Ok(list(values, &DataType::Timestamp(TimeUnit::Microsecond, None)))
}

fn series_of_instants(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let values = times(args, args.env().zone)?.into_iter().map(timestamptz).collect();
    Ok(list(values, &crate::pg_type::timestamptz_type()))
}

const INT4: Kind = Kind::Int4;
const INT8: Kind = Kind::Int8;
const NUMERIC: Kind = Kind::Numeric;
const TS: Kind = Kind::Timestamp;
const TSZ: Kind = Kind::Timestamptz;

/// The list behind `generate_series`.
pub const LISTS: &[Entry] = &[Entry {
    name: "generate_series_list",
    description: "a series of numbers or of times",
    example: "SELECT generate_series(1, 3)",
    overloads: &[
        Overload::new(&[INT4, INT4], Kind::ArrayOf(&INT4), series_of_int4),
        Overload::new(&[INT4, INT4, INT4], Kind::ArrayOf(&INT4), series_of_int4),
        Overload::new(&[INT8, INT8], Kind::ArrayOf(&INT8), series_of_int8),
        Overload::new(&[INT8, INT8, INT8], Kind::ArrayOf(&INT8), series_of_int8),
        Overload::new(&[NUMERIC, NUMERIC], Kind::ArrayOf(&NUMERIC), series_of_numeric),
        Overload::new(&[NUMERIC, NUMERIC, NUMERIC], Kind::ArrayOf(&NUMERIC), series_of_numeric),
        Overload::new(&[TSZ, TSZ, Kind::Interval], Kind::ArrayOf(&TSZ), series_of_instants),
        Overload::new(&[TS, TS, Kind::Interval], Kind::ArrayOf(&TS), series_of_timestamps),
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_numbers() {
        assert_eq!(numbers(1, 10, 3).unwrap(), [1, 4, 7, 10]);
        assert_eq!(numbers(3, 1, -1).unwrap(), [3, 2, 1]);
        assert!(numbers(3, 1, 1).unwrap().is_empty());
        assert!(numbers(1, 2, 0).is_err());
        assert!(numbers(1, i128::from(i64::MAX), 1).is_err());
    }
}
