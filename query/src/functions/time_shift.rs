//! `timestamp + interval` and `timestamp - interval`: months and days on the session's wall clock, the rest in time; infinity stays infinite.

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit};
use chrono::{Days, Months, NaiveDateTime};
use chrono_tz::Tz;
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::calendar::{Clock, civil, numbers, session_zone, timestamps, units_per_second};
use crate::pg_type::{of_duration, time};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TimeShift {
    back: bool,
    signature: Signature,
}

impl TimeShift {
    /// `back`: what `-` does.
    pub fn new(back: bool) -> TimeShift {
        TimeShift {
            back,
            // The zone is the session's.
            signature: Signature::any(2, Volatility::Stable),
        }
    }
}

/// One timestamp type in one zone; none for wall clocks.
struct Shift {
    per_second: i64,
    zone: Option<Tz>,
    clock: Clock,
}

impl Shift {
    fn new(unit: TimeUnit, zone: Option<Tz>) -> Shift {
        let zone = zone.filter(|zone| *zone != Tz::UTC);
        Shift {
            per_second: units_per_second(unit),
            clock: Clock::new(zone.unwrap_or(Tz::UTC), unit),
            zone,
        }
    }

    /// `None` where the result is out of range.
    fn apply(&mut self, value: i64, by: IntervalMonthDayNano, back: bool) -> Option<i64> {
        if value == i64::MIN || value == i64::MAX {
            return Some(value);
        }
        let sign = if back { -1 } else { 1 };
        let (months, days) = (i64::from(by.months) * sign, i64::from(by.days) * sign);
        let moved = self.by_calendar(value, months, days)?;
        let nanoseconds_each = i128::from(1_000_000_000 / self.per_second);
        let rest = (i128::from(by.nanoseconds) * i128::from(sign)).div_euclid(nanoseconds_each);
        let result = i64::try_from(i128::from(moved) + rest).ok()?;
        (result != i64::MIN && result != i64::MAX).then_some(result)
    }

    fn by_calendar(&mut self, value: i64, months: i64, days: i64) -> Option<i64> {
        if months == 0 && (days == 0 || self.zone.is_none()) {
            return value.checked_add(days.checked_mul(86_400 * self.per_second)?);
        }
        let reading = civil(self.clock.local(value), self.per_second)?;
        let reading = added_days(added_months(reading, months)?, days)?;
        let nanoseconds = match self.zone {
            Some(zone) => time::local_to_utc(&reading, zone),
            None => {
                let instant = reading.and_utc();
                i128::from(instant.timestamp()) * 1_000_000_000 + i128::from(instant.timestamp_subsec_nanos())
            }
        };
        let nanoseconds_each = i128::from(1_000_000_000 / self.per_second);
        i64::try_from(nanoseconds.div_euclid(nanoseconds_each)).ok()
    }
}

/// 31 January and a month is the last of February.
fn added_months(reading: NaiveDateTime, months: i64) -> Option<NaiveDateTime> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    match months < 0 {
        true => reading.checked_sub_months(count),
        false => reading.checked_add_months(count),
    }
}

fn added_days(reading: NaiveDateTime, days: i64) -> Option<NaiveDateTime> {
    let count = Days::new(days.unsigned_abs());
    match days < 0 {
        true => reading.checked_sub_days(count),
        false => reading.checked_add_days(count),
    }
}

impl ScalarUDFImpl for TimeShift {
    fn name(&self) -> &str {
        if self.back {
            "timestamp_minus_interval"
        } else {
            "timestamp_plus_interval"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        match types {
            [data_type @ DataType::Timestamp(..), _] => Ok(data_type.clone()),
            _ => plan_err!(
                "No function matches '{}': it takes a timestamp and an interval",
                self.name()
            ),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let array = args.args[0].to_array(rows)?;
        let data_type = array.data_type().clone();
        let DataType::Timestamp(unit, mark) = &data_type else {
            return plan_err!("No function matches '{}': it takes a timestamp", self.name());
        };
        let zone = mark.as_ref().map(|_| session_zone(&args.config_options));
        let mut shift = Shift::new(*unit, zone);
        let intervals = of_duration(&args.args[1].to_array(rows)?)?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let times = numbers(&array)?;
        let mut shifted = Vec::with_capacity(rows);
        for row in 0..rows {
            if times.is_null(row) || intervals.is_null(row) {
                shifted.push(None);
                continue;
            }
            match shift.apply(times.value(row), intervals.value(row), self.back) {
                Some(value) => shifted.push(Some(value)),
                None => {
                    return Err(errors::wrap(QueryError::new(
                        ErrorKind::DatetimeFieldOverflow,
                        "timestamp out of range",
                    )));
                }
            }
        }
        let result = timestamps(Int64Array::from(shifted), &data_type)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_wall_clocks_and_hours_are_not() {
        let mut berlin = Shift::new(TimeUnit::Second, Some(chrono_tz::Europe::Berlin));
        let noon = 1_711_796_400; // 2024-03-30 12:00 in Berlin, a day before summer time.
        let day = IntervalMonthDayNano::new(0, 1, 0);
        assert_eq!(berlin.apply(noon, day, false), Some(noon + 23 * 3_600));
        let hours = IntervalMonthDayNano::new(0, 0, 24 * 3_600_000_000_000);
        assert_eq!(berlin.apply(noon, hours, false), Some(noon + 24 * 3_600));
        assert_eq!(berlin.apply(i64::MAX, day, true), Some(i64::MAX));
        assert_eq!(berlin.apply(i64::MAX - 1, day, false), None);
    }
}
