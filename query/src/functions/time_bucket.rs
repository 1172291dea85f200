//! `time_bucket`: the beginning of the bucket that a time falls into; and `date_trunc`.
//!
//! ```sql
//! time_bucket('15 minutes', ts)
//! time_bucket('60.000s', ts)                              -- as Grafana writes it
//! time_bucket('1 day', ts, 'Europe/Berlin')               -- days of 23, 24 and 25 hours
//! time_bucket('1 month', ts, 'Europe/Berlin')
//! time_bucket('5 minutes', ts, interval '2 minutes')      -- buckets moved by an offset
//! time_bucket('1 week', ts, timestamptz '2026-01-04')     -- weeks from Sunday
//! ```
//! Buckets of days and less are counted from Monday 2000-01-03, those of months from 2000-01-01, in UTC unless a zone is named.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use chrono::{Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use datafusion::common::{Result as DfResult, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::calendar::{self, civil, map_local, midnight, named_zone, session_zone, units_per_second};
use crate::pg_type;
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

/// Monday 2000-01-03, in seconds: so that weeks begin on Mondays.
const ORIGIN_SECONDS: i64 = 946_857_600;

/// A width that buckets can have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Width {
    /// In the unit of the times.
    Fixed(i64),
    Months(i64),
}

/// What the arguments after the width and the time say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub width: Width,
    pub zone: Option<Tz>,
    /// Reading at which a bucket begins; in months: their first day.
    pub origin: i64,
    pub unit: TimeUnit,
}

impl Bucket {
    /// The beginning of the bucket of a reading.
    pub fn floor(&self, local: i64) -> i64 {
        match self.width {
            Width::Fixed(width) => local
                .wrapping_sub(self.origin)
                .div_euclid(width)
                .wrapping_mul(width)
                .wrapping_add(self.origin),
            Width::Months(width) => {
                let per_second = units_per_second(self.unit);
                let (Some(time), Some(origin)) = (
                    civil(local - self.origin_rest(), per_second),
                    civil(self.origin, per_second),
                ) else {
                    return local;
                };
                let months = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
                let first = months(origin.date());
                let bucket = (months(time.date()) - first).div_euclid(width) * width + first;
                let date = NaiveDate::from_ymd_opt(bucket.div_euclid(12) as i32, bucket.rem_euclid(12) as u32 + 1, 1);
                date.map_or(local, |date| midnight(date, per_second) + self.origin_rest())
            }
        }
    }

    /// Of an origin inside a month: how far inside.
    fn origin_rest(&self) -> i64 {
        let per_second = units_per_second(self.unit);
        let Some(origin) = civil(self.origin, per_second) else {
            return 0;
        };
        let first = origin.date().with_day(1).unwrap_or(origin.date());
        self.origin - midnight(first, per_second)
    }

    pub fn apply(&self, values: &Int64Array) -> Int64Array {
        if let (Width::Fixed(width), None) = (self.width, self.zone) {
            // Times come in order: most fall into the bucket of the one before, which needs no division.
            let (mut start, mut end) = (0, 0);
            return calendar::map(values, |value| {
                if value < start || value >= end {
                    start = self.floor(value);
                    end = start.saturating_add(width);
                }
                start
            });
        }
        map_local(values, self.unit, self.zone, |local| self.floor(local))
    }
}

fn invalid(message: impl Into<String>) -> datafusion::common::DataFusionError {
    errors::wrap(QueryError::new(ErrorKind::InvalidParameterValue, message))
}

pub fn width_of(interval: IntervalMonthDayNano, unit: TimeUnit) -> DfResult<Width> {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = interval;
    if months != 0 {
        if days != 0 || nanoseconds != 0 || months < 0 {
            return Err(invalid("a bucket of months cannot have days or time besides"));
        }
        return Ok(Width::Months(i64::from(months)));
    }
    let width = in_unit(interval, unit);
    match width {
        Some(width) if width > 0 => Ok(Width::Fixed(width)),
        _ => Err(invalid("bucket width must be greater than 0")),
    }
}

/// An interval without months in the unit; `None` if it does not come out even, or overflows.
fn in_unit(interval: IntervalMonthDayNano, unit: TimeUnit) -> Option<i64> {
    let per_second = i128::from(units_per_second(unit));
    let nanoseconds = i128::from(interval.days) * 86_400_000_000_000 + i128::from(interval.nanoseconds);
    let step = 1_000_000_000 / per_second;
    (nanoseconds % step == 0)
        .then(|| i64::try_from(nanoseconds / step).ok())
        .flatten()
}

/// A constant interval argument, given as interval or as text.
pub fn constant_interval(value: &ScalarValue) -> DfResult<Option<IntervalMonthDayNano>> {
    match value {
        ScalarValue::IntervalMonthDayNano(interval) => Ok(*interval),
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => match text {
            None => Ok(None),
            Some(text) => match pg_type::parse_literal(pg_type::oid::INTERVAL, text, Tz::UTC) {
                Ok(ScalarValue::IntervalMonthDayNano(interval)) => Ok(interval),
                Ok(_) => Ok(None),
                Err(error) => Err(errors::wrap(error)),
            },
        },
        ScalarValue::Null => Ok(None),
        other => match other.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano))? {
            ScalarValue::IntervalMonthDayNano(interval) => Ok(interval),
            _ => Ok(None),
        },
    }
}

/// What constant arguments mean for times of this type; `None` when one of them is NULL.
pub fn bucket(width: &ScalarValue, others: &[ScalarValue], data_type: &DataType) -> DfResult<Option<Bucket>> {
    let unit = match data_type {
        DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Microsecond,
    };
    let Some(width) = constant_interval(width)? else {
        return Ok(None);
    };
    let width = width_of(width, unit)?;
    let per_second = units_per_second(unit);
    let mut zone = None;
    let mut origin = None;
    let mut offset = 0;
    for other in others {
        match other {
            ScalarValue::Null => {}
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
                zone = Some(named_zone(text)?);
            }
            ScalarValue::IntervalMonthDayNano(Some(interval)) => {
                if interval.months != 0 {
                    return Err(invalid("an offset in months is not possible"));
                }
                offset = in_unit(*interval, unit).ok_or_else(|| invalid("offset is out of range"))?;
            }
            ScalarValue::Date32(_)
            | ScalarValue::TimestampSecond(..)
            | ScalarValue::TimestampMillisecond(..)
            | ScalarValue::TimestampMicrosecond(..)
            | ScalarValue::TimestampNanosecond(..) => {
                let at = other
                    .cast_to(&DataType::Timestamp(unit, None))?
                    .cast_to(&DataType::Int64)?;
                if let ScalarValue::Int64(at) = at {
                    origin = at;
                }
            }
            other if other.is_null() => {}
            other => {
                return plan_err!(
                    "time_bucket takes a time zone, an origin or an offset, not {}",
                    other.data_type()
                );
            }
        }
    }
    let default = match width {
        Width::Fixed(_) => ORIGIN_SECONDS * per_second,
        Width::Months(_) => 946_684_800 * per_second,
    };
    let mut origin = origin.unwrap_or(default);
    if let Some(zone) = zone
        && matches!(data_type, DataType::Timestamp(_, Some(_)))
        && origin != default
    {
        origin = calendar::Clock::new(zone, unit).local(origin);
    }
    // A wall clock's column has no zone to change into.
    let zone = zone.filter(|_| matches!(data_type, DataType::Timestamp(_, Some(_))));
    Ok(Some(Bucket {
        width,
        zone,
        origin: origin + offset,
        unit,
    }))
}

const DATE_BIN: &str = "date_bin";

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TimeBucket {
    name: &'static str,
    signature: Signature,
}

impl TimeBucket {
    pub fn new() -> TimeBucket {
        TimeBucket::named("time_bucket")
    }

    /// `date_bin(width, time, origin)`: the third argument is always an origin.
    pub fn date_bin() -> TimeBucket {
        TimeBucket::named(DATE_BIN)
    }

    fn named(name: &'static str) -> TimeBucket {
        TimeBucket {
            name,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        if !(2..=5).contains(&types.len()) {
            return plan_err!("No function matches '{}' with {} arguments", self.name, types.len());
        }
        let mut coerced = types.to_vec();
        coerced[1] = match &types[1] {
            time @ (DataType::Timestamp(..) | DataType::Date32) => time.clone(),
            DataType::Null | DataType::Utf8 | DataType::Utf8View => pg_type::timestamptz_type(),
            other => {
                return plan_err!(
                    "No function matches '{}' of {other}: the second argument is a time",
                    self.name
                );
            }
        };
        Ok(coerced)
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match types.get(1) {
            Some(time @ (DataType::Timestamp(..) | DataType::Date32)) => Ok(time.clone()),
            _ => Ok(pg_type::timestamptz_type()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let mut constants = Vec::with_capacity(args.args.len());
        for (index, arg) in args.args.iter().enumerate() {
            constants.push(match arg {
                _ if index == 1 => ScalarValue::Null,
                ColumnarValue::Scalar(value) => value.clone(),
                ColumnarValue::Array(array) if array.len() == 1 => ScalarValue::try_from_array(array, 0)?,
                ColumnarValue::Array(_) => return exec_err!("{} takes the same width for every row", self.name),
            });
        }
        let data_type = args.args[1].data_type();
        if self.name == DATE_BIN
            && let Some(origin) = constants.get_mut(2)
        {
            *origin = read_origin(origin, &data_type, &args)?;
        }
        let Some(bucket) = bucket(&constants[0], &constants[2..], &data_type)? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&data_type)?));
        };
        let scalar = matches!(args.args[1], ColumnarValue::Scalar(_));
        let array = args.args[1].to_array(args.number_rows)?;
        let as_time = match data_type {
            DataType::Date32 => cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, None))?,
            _ => array,
        };
        let time_type = as_time.data_type().clone();
        let floored = calendar::timestamps(bucket.apply(&calendar::numbers(&as_time)?), &time_type)?;
        let result = cast(&floored, &data_type)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }

    /// Buckets ascend with time.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> DfResult<SortProperties> {
        Ok(inputs
            .get(1)
            .map_or(SortProperties::Unordered, |time| time.sort_properties))
    }
}

/// An origin given as text, read like a time of the type beside it.
fn read_origin(origin: &ScalarValue, data_type: &DataType, args: &ScalarFunctionArgs) -> DfResult<ScalarValue> {
    let text = match origin {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => text,
        other => return Ok(other.clone()),
    };
    let zone = session_zone(&args.config_options);
    pg_type::parse_literal(pg_type::data_type_oid(data_type), text, zone).map_err(errors::wrap)
}

/// `date_trunc(field, time [, zone])`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DateTrunc {
    signature: Signature,
}

impl DateTrunc {
    pub fn new() -> DateTrunc {
        DateTrunc {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// The beginning of the field that a reading is in.
pub fn truncate(field: &str, local: i64, unit: TimeUnit) -> Option<i64> {
    let per_second = units_per_second(unit);
    let floor = |width: i64| local.div_euclid(width) * width;
    let below_second = |parts: i64| {
        if per_second > parts {
            floor(per_second / parts)
        } else {
            local
        }
    };
    Some(match field {
        "microsecond" | "microseconds" => below_second(1_000_000),
        "millisecond" | "milliseconds" => below_second(1_000),
        "second" | "seconds" => floor(per_second),
        "minute" | "minutes" => floor(60 * per_second),
        "hour" | "hours" => floor(3_600 * per_second),
        "day" | "days" => floor(86_400 * per_second),
        _ => {
            let date = civil(local, per_second)?.date();
            let first = |year: i32, month: u32| NaiveDate::from_ymd_opt(year, month, 1);
            let year = date.year();
            let date = match field {
                "week" | "weeks" => date - chrono::Duration::days(i64::from(date.weekday().num_days_from_monday())),
                "month" | "months" => first(year, date.month())?,
                "quarter" => first(year, date.month0() / 3 * 3 + 1)?,
                "year" | "years" => first(year, 1)?,
                "decade" => first(year.div_euclid(10) * 10, 1)?,
                // Centuries begin with a year 1.
                "century" => first((year - 1).div_euclid(100) * 100 + 1, 1)?,
                "millennium" => first((year - 1).div_euclid(1000) * 1000 + 1, 1)?,
                _ => return None,
            };
            midnight(date, per_second)
        }
    })
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        "date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let time = match types {
            [_, time] | [_, time, _] => time,
            _ => return plan_err!("No function matches 'date_trunc' with {} arguments", types.len()),
        };
        let time = match time {
            DataType::Timestamp(..) => time.clone(),
            DataType::Date32 | DataType::Null | DataType::Utf8 | DataType::Utf8View => pg_type::timestamptz_type(),
            DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            other => return plan_err!("No function matches 'date_trunc' of {other}: the second argument is a time"),
        };
        let mut coerced = vec![DataType::Utf8, time];
        coerced.extend(types.get(2).map(|_| DataType::Utf8));
        Ok(coerced)
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match types.get(1) {
            Some(time @ (DataType::Timestamp(..) | DataType::Interval(_))) => Ok(time.clone()),
            _ => Ok(pg_type::timestamptz_type()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let data_type = args.args[1].data_type();
        if let (DataType::Interval(_), Some(truncated)) = (&data_type, super::named("interval_trunc")) {
            return truncated.invoke_with_args(args);
        }
        let null = || Ok(ColumnarValue::Scalar(ScalarValue::try_from(&data_type)?));
        let Some(field) = calendar::constant_text("date_trunc", &args.args[0])? else {
            return null();
        };
        let field = field.to_ascii_lowercase();
        let (unit, zone) = match &data_type {
            DataType::Timestamp(unit, None) => (*unit, None),
            DataType::Timestamp(unit, Some(_)) => match args.args.get(2) {
                None => (*unit, Some(session_zone(&args.config_options))),
                Some(zone) => match calendar::constant_text("date_trunc", zone)? {
                    Some(zone) => (*unit, Some(named_zone(&zone)?)),
                    None => return null(),
                },
            },
            other => return exec_err!("date_trunc of {other} is not possible"),
        };
        if truncate(&field, 0, unit).is_none() {
            return Err(invalid(format!("unit \"{field}\" not recognized for type timestamp")));
        }
        let scalar = matches!(args.args[1], ColumnarValue::Scalar(_));
        let numbers = calendar::numbers(&args.args[1].to_array(args.number_rows)?)?;
        let floored = map_local(&numbers, unit, zone, |local| {
            truncate(&field, local, unit).unwrap_or(local)
        });
        let result = calendar::timestamps(floored, &data_type)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> DfResult<SortProperties> {
        Ok(inputs
            .get(1)
            .map_or(SortProperties::Unordered, |time| time.sort_properties))
    }
}

/// `date_part(field, time)`, and EXTRACT.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DatePart {
    signature: Signature,
}

impl DatePart {
    pub fn new() -> DatePart {
        DatePart {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// A field of a reading. `instant`: the same before the zone's offset; `epoch` asks for it.
fn part(field: &str, local: i64, instant: i64, unit: TimeUnit) -> Option<f64> {
    let per_second = units_per_second(unit);
    let seconds = |value: i64| value as f64 / per_second as f64;
    if field == "epoch" {
        return Some(seconds(instant));
    }
    let time = civil(local, per_second)?;
    let in_minute = seconds(local.rem_euclid(60 * per_second));
    let year = i64::from(time.year());
    Some(match field {
        "microsecond" | "microseconds" => (in_minute * 1e6).round(),
        "millisecond" | "milliseconds" => in_minute * 1e3,
        "second" | "seconds" => in_minute,
        "minute" | "minutes" => f64::from(time.minute()),
        "hour" | "hours" => f64::from(time.hour()),
        "day" | "days" => f64::from(time.day()),
        "dow" => f64::from(time.weekday().num_days_from_sunday()),
        "isodow" => f64::from(time.weekday().number_from_monday()),
        "doy" => f64::from(time.ordinal()),
        "week" | "weeks" => f64::from(time.iso_week().week()),
        "month" | "months" => f64::from(time.month()),
        "quarter" => f64::from(time.month0() / 3 + 1),
        "year" | "years" => year as f64,
        "isoyear" => f64::from(time.iso_week().year()),
        "decade" => year.div_euclid(10) as f64,
        "century" => ((year - 1).div_euclid(100) + 1) as f64,
        "millennium" => ((year - 1).div_euclid(1000) + 1) as f64,
        "julian" => local.div_euclid(86_400 * per_second) as f64 + 2_440_588.0,
        "timezone" => seconds(local - instant),
        "timezone_hour" => (seconds(local - instant) / 3600.0).trunc(),
        "timezone_minute" => (seconds(local - instant) / 60.0 % 60.0).trunc(),
        _ => return None,
    })
}

/// A field of an interval.
fn interval_part(field: &str, interval: IntervalMonthDayNano) -> Option<f64> {
    let (months, days, nanoseconds) = (
        f64::from(interval.months),
        f64::from(interval.days),
        interval.nanoseconds,
    );
    let seconds = (nanoseconds % 60_000_000_000) as f64 / 1e9;
    Some(match field {
        // A year is 365.25 days, a month of the rest 30, as PostgreSQL counts.
        "epoch" => {
            let years = (interval.months / 12) as f64;
            let rest = f64::from(interval.months % 12);
            years * 365.25 * 86_400.0 + rest * 30.0 * 86_400.0 + days * 86_400.0 + nanoseconds as f64 / 1e9
        }
        "microsecond" | "microseconds" => (seconds * 1e6).round(),
        "millisecond" | "milliseconds" => seconds * 1e3,
        "second" | "seconds" => seconds,
        "minute" | "minutes" => (nanoseconds / 60_000_000_000 % 60) as f64,
        "hour" | "hours" => (nanoseconds / 3_600_000_000_000) as f64,
        "day" | "days" => days,
        "month" | "months" => months % 12.0,
        "quarter" => (months % 12.0 / 3.0).trunc() + 1.0,
        "year" | "years" => (months / 12.0).trunc(),
        "decade" => (months / 120.0).trunc(),
        "century" => (months / 1_200.0).trunc(),
        _ => return None,
    })
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        "date_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let [_, time] = types else {
            return plan_err!("No function matches 'date_part' with {} arguments", types.len());
        };
        let time = match time {
            DataType::Timestamp(..) => time.clone(),
            DataType::Date32 => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
            DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Null | DataType::Utf8 | DataType::Utf8View => pg_type::timestamptz_type(),
            other => return plan_err!("No function matches 'date_part' of {other}: the second argument is a time"),
        };
        Ok(vec![DataType::Utf8, time])
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        use arrow::array::Float64Array;
        let Some(field) = calendar::constant_text("date_part", &args.args[0])? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Float64(None)));
        };
        let field = field.trim_matches('\'').to_ascii_lowercase();
        let scalar = matches!(args.args[1], ColumnarValue::Scalar(_));
        let array = args.args[1].to_array(args.number_rows)?;
        let unknown = |what: &str| invalid(format!("unit \"{field}\" not recognized for type {what}"));
        let result: Float64Array = match array.data_type() {
            DataType::Interval(_) => {
                if interval_part(&field, IntervalMonthDayNano::ZERO).is_none() {
                    return Err(unknown("interval"));
                }
                let values = array.as_primitive::<arrow::datatypes::IntervalMonthDayNanoType>();
                values.unary(|value| interval_part(&field, value).unwrap_or(f64::NAN))
            }
            DataType::Time64(_) => {
                let values = cast(&array, &DataType::Int64)?;
                let of_day = ["hour", "minute", "second", "millisecond", "microsecond", "epoch"];
                if !of_day.contains(&field.trim_end_matches('s')) {
                    return Err(unknown("time"));
                }
                let unit = TimeUnit::Microsecond;
                values
                    .as_primitive::<Int64Type>()
                    .unary(|value| part(&field, value, value, unit).unwrap_or(f64::NAN))
            }
            data_type => {
                let (unit, zone) = match data_type {
                    DataType::Timestamp(unit, Some(_)) => (*unit, session_zone(&args.config_options)),
                    DataType::Timestamp(unit, None) => (*unit, Tz::UTC),
                    other => return exec_err!("date_part of {other} is not possible"),
                };
                if part(&field, 0, 0, unit).is_none() {
                    return Err(unknown("timestamp"));
                }
                let mut clock = calendar::Clock::new(zone, unit);
                let values = calendar::numbers(&array)?;
                calendar::map(&values, |value| {
                    part(&field, clock.local(value), value, unit).unwrap_or(f64::NAN)
                })
            }
        };
        let result: ArrayRef = Arc::new(result);
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(text: &str) -> i64 {
        (pg_type::time::parse_timestamptz(text, Tz::UTC).unwrap() / 1_000) as i64
    }

    fn floor(width: &str, others: &[ScalarValue], time: &str) -> i64 {
        let bucket = bucket(&ScalarValue::from(width), others, &pg_type::timestamptz_type())
            .unwrap()
            .unwrap();
        bucket.apply(&Int64Array::from(vec![at(time)])).value(0)
    }

    #[test]
    fn fixed_buckets() {
        assert_eq!(
            floor("15 minutes", &[], "2026-11-22 06:44:59.999Z"),
            at("2026-11-22 06:30Z")
        );
        assert_eq!(
            floor("60.000s", &[], "2026-11-22 06:44:59.999Z"),
            at("2026-11-22 06:44Z")
        );
        assert_eq!(
            floor("0.5s", &[], "2026-11-22 06:44:59.999Z"),
            at("2026-11-22 06:44:59.5Z")
        );
        // Weeks begin on Monday; times before the origin work as well.
        assert_eq!(floor("1 week", &[], "2026-11-22 06:44Z"), at("2026-11-16 00:00Z"));
        assert_eq!(floor("1 week", &[], "1969-07-20 20:17Z"), at("1969-07-14 00:00Z"));
        let offset = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 0, 120_000_000_000)));
        assert_eq!(
            floor("5 minutes", &[offset], "2026-11-22 06:44Z"),
            at("2026-11-22 06:42Z")
        );
        let origin = ScalarValue::TimestampMicrosecond(Some(at("2026-01-04 00:00Z")), Some(pg_type::utc()));
        assert_eq!(floor("1 week", &[origin], "2026-11-22 06:44Z"), at("2026-11-22 00:00Z"));
    }

    #[test]
    fn days_of_a_zone_have_23_24_or_25_hours() {
        let berlin = [ScalarValue::from("Europe/Berlin")];
        assert_eq!(floor("1 day", &berlin, "2026-03-29 20:00Z"), at("2026-03-28 23:00Z"));
        assert_eq!(floor("1 day", &berlin, "2026-03-29 22:00Z"), at("2026-03-29 22:00Z"));
        assert_eq!(floor("1 day", &berlin, "2026-10-25 22:59Z"), at("2026-10-24 22:00Z"));
        // The hour that comes twice is two buckets.
        assert_eq!(floor("1 hour", &berlin, "2026-10-25 00:30Z"), at("2026-10-25 00:00Z"));
        assert_eq!(floor("1 hour", &berlin, "2026-10-25 01:30Z"), at("2026-10-25 01:00Z"));
        assert_eq!(floor("1 month", &berlin, "2026-10-31 23:30Z"), at("2026-10-31 23:00Z"));
        assert_eq!(floor("1 month", &[], "2026-10-31 23:30Z"), at("2026-10-01 00:00Z"));
        assert_eq!(floor("3 months", &[], "1999-12-31 23:30Z"), at("1999-10-01 00:00Z"));
    }

    #[test]
    fn wrong_widths_are_refused() {
        for width in ["0 s", "-1 minute", "1 month 1 day", "soon"] {
            assert!(
                bucket(&ScalarValue::from(width), &[], &pg_type::timestamptz_type()).is_err(),
                "{width}"
            );
        }
    }

    #[test]
    fn fields() {
        let unit = TimeUnit::Microsecond;
        let time = at("2026-11-22 06:44:59.5Z");
        assert_eq!(truncate("quarter", time, unit), Some(at("2026-10-01 00:00Z")));
        assert_eq!(truncate("week", time, unit), Some(at("2026-11-16 00:00Z")));
        assert_eq!(truncate("century", time, unit), Some(at("2001-01-01 00:00Z")));
        assert_eq!(truncate("fortnight", time, unit), None);
        assert_eq!(part("second", time, time, unit), Some(59.5));
        assert_eq!(part("dow", time, time, unit), Some(0.0));
        assert_eq!(
            part("epoch", time, time - 3_600 * SECOND, unit),
            Some((time / SECOND - 3_600) as f64 + 0.5)
        );
        assert_eq!(
            interval_part("epoch", IntervalMonthDayNano::new(12, 0, 0)),
            Some(31_557_600.0)
        );
    }
}
