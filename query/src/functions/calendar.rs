//! Instants and wall clocks: a column's times as civil dates in a zone, and back.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result as DfResult, ScalarValue, exec_err};

use crate::pg_type::time;
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

pub fn units_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The zone of the session that a function runs for.
pub fn session_zone(config: &ConfigOptions) -> Tz {
    config
        .execution
        .time_zone
        .as_deref()
        .and_then(time::zone)
        .unwrap_or(Tz::UTC)
}

/// A zone that a statement names.
pub fn named_zone(name: &str) -> DfResult<Tz> {
    time::zone(name).or_else(|| whole_hours(name)).ok_or_else(|| {
        errors::wrap(QueryError::new(
            ErrorKind::InvalidParameterValue,
            format!("time zone \"{name}\" not recognized"),
        ))
    })
}

/// `+03` is west of Greenwich, as POSIX has it, and `-7 hours`, an interval, too: what `Etc/GMT…` are called after.
fn whole_hours(name: &str) -> Option<Tz> {
    let (west, hours) = match name.strip_prefix(['+', '-']) {
        Some(hours) if hours.bytes().all(|digit| digit.is_ascii_digit()) => {
            (name.starts_with('+'), hours.parse().ok()?)
        }
        _ => {
            let interval = crate::pg_type::parse_literal(crate::pg_type::oid::INTERVAL, name, Tz::UTC).ok()?;
            let ScalarValue::IntervalMonthDayNano(Some(value)) = interval else {
                return None;
            };
            const HOUR: i64 = 3_600_000_000_000;
            let whole = value.months == 0 && value.days == 0 && value.nanoseconds % HOUR == 0;
            let hours = value.nanoseconds / HOUR;
            (hours < 0, u32::try_from(hours.unsigned_abs()).ok().filter(|_| whole)?)
        }
    };
    let sign = if west { '+' } else { '-' };
    match hours {
        0 => Some(Tz::UTC),
        1..=14 => format!("Etc/GMT{sign}{hours}").parse().ok(),
        _ => None,
    }
}

/// The numbers of a timestamp array, whatever its unit, without copying.
pub fn numbers(array: &ArrayRef) -> DfResult<Int64Array> {
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// An array of this timestamp type from numbers.
pub fn timestamps(numbers: Int64Array, data_type: &DataType) -> DfResult<ArrayRef> {
    Ok(cast(&(std::sync::Arc::new(numbers) as ArrayRef), data_type)?)
}

/// Civil time of numbers in one unit, in one zone. Remembers the offset of the last quarter of an hour: zones change on no finer grid.
pub struct Clock {
    zone: Tz,
    per_second: i64,
    quarter: i64,
    offset: i64,
}

impl Clock {
    pub fn new(zone: Tz, unit: TimeUnit) -> Clock {
        Clock {
            zone,
            per_second: units_per_second(unit),
            quarter: i64::MIN,
            offset: 0,
        }
    }

    /// The wall clock's reading, counted like an instant.
    pub fn local(&mut self, value: i64) -> i64 {
        if self.zone == Tz::UTC {
            return value;
        }
        let quarter = value.div_euclid(900 * self.per_second);
        if quarter != self.quarter {
            let utc = DateTime::from_timestamp(quarter * 900, 0)
                .unwrap_or_default()
                .naive_utc();
            self.offset = i64::from(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * self.per_second;
            self.quarter = quarter;
        }
        value.saturating_add(self.offset)
    }

    /// The instant of a reading. Of two the later one that is not after `at_most`, else the earlier.
    pub fn to_instant(&self, local: i64, at_most: i64) -> i64 {
        if self.zone == Tz::UTC {
            return local;
        }
        let Some(reading) = civil(local, self.per_second) else {
            return local;
        };
        if let chrono::LocalResult::Ambiguous(earlier, later) = self.zone.offset_from_local_datetime(&reading) {
            let instant = |offset: i32| local - i64::from(offset) * self.per_second;
            let later = instant(later.fix().local_minus_utc());
            return match later <= at_most {
                true => later,
                false => instant(earlier.fix().local_minus_utc()),
            };
        }
        let nanoseconds = time::local_to_utc(&reading, self.zone);
        (nanoseconds.div_euclid(1_000_000_000 / i128::from(self.per_second))) as i64
    }
}

/// The civil date and time of a reading.
pub fn civil(local: i64, per_second: i64) -> Option<NaiveDateTime> {
    let nanoseconds = local.rem_euclid(per_second) * (1_000_000_000 / per_second);
    DateTime::from_timestamp(local.div_euclid(per_second), nanoseconds as u32).map(|instant| instant.naive_utc())
}

/// The reading at a date's midnight.
pub fn midnight(date: NaiveDate, per_second: i64) -> i64 {
    date.and_hms_opt(0, 0, 0)
        .map_or(0, |midnight| midnight.and_utc().timestamp())
        .saturating_mul(per_second)
}

/// Applies `f`, which may remember the value before, to every value; NULL stays NULL.
pub fn map<T: ArrowPrimitiveType>(values: &Int64Array, f: impl FnMut(i64) -> T::Native) -> PrimitiveArray<T> {
    let mapped: Vec<T::Native> = values.values().iter().copied().map(f).collect();
    PrimitiveArray::new(mapped.into(), values.nulls().cloned())
}

/// Applies `f` to the readings in `zone` and turns its results back into instants.
pub fn map_local(values: &Int64Array, unit: TimeUnit, zone: Option<Tz>, mut f: impl FnMut(i64) -> i64) -> Int64Array {
    match zone {
        None | Some(Tz::UTC) => map(values, f),
        Some(zone) => {
            let mut clock = Clock::new(zone, unit);
            map(values, |value| {
                let local = clock.local(value);
                let result = f(local);
                clock.to_instant(result, value)
            })
        }
    }
}

/// A text argument that is the same for all rows.
pub fn constant_text<'a>(
    function: &str,
    value: &'a datafusion::logical_expr::ColumnarValue,
) -> DfResult<Option<std::borrow::Cow<'a, str>>> {
    use datafusion::logical_expr::ColumnarValue;
    match value {
        ColumnarValue::Scalar(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text)) => {
            Ok(text.as_deref().map(Into::into))
        }
        ColumnarValue::Scalar(ScalarValue::Null) => Ok(None),
        ColumnarValue::Array(array) if !array.is_empty() => {
            let first = ScalarValue::try_from_array(array, 0)?;
            for row in 1..array.len() {
                if ScalarValue::try_from_array(array, row)? != first {
                    return exec_err!("{function} takes the same text for every row");
                }
            }
            match first {
                ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
                    Ok(text.map(Into::into))
                }
                _ => Ok(None),
            }
        }
        ColumnarValue::Array(_) => Ok(None),
        other => exec_err!("{function} takes a text, not {}", other.data_type()),
    }
}
