//! Values as PostgreSQL writes them as text: casts to text; and `timezone`, between instants and wall clocks.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit,
};
use chrono::{Datelike, Offset, TimeZone, Timelike};
use chrono_tz::Tz;
use datafusion::common::{Result as DfResult, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::calendar::{self, civil, named_zone, session_zone, units_per_second};
use crate::QueryError;
use crate::plan::errors;

/// `timezone(zone, time)`, the function behind AT TIME ZONE.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Timezone {
    signature: Signature,
}

impl Timezone {
    pub fn new() -> Timezone {
        Timezone {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Timezone {
    fn name(&self) -> &str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        let [_, time] = types else {
            return plan_err!("No function matches 'timezone' with {} arguments", types.len());
        };
        let time = match time {
            DataType::Timestamp(..) => time.clone(),
            DataType::Date32 => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Null | DataType::Utf8 | DataType::Utf8View => crate::pg_type::timestamptz_type(),
            other => return plan_err!("No function matches 'timezone' of {other}: the second argument is a time"),
        };
        Ok(vec![DataType::Utf8, time])
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        Ok(match types.get(1) {
            Some(DataType::Timestamp(unit, Some(_))) => DataType::Timestamp(*unit, None),
            Some(DataType::Timestamp(unit, None)) => DataType::Timestamp(*unit, Some(crate::pg_type::utc())),
            Some(DataType::Date32) => crate::pg_type::timestamptz_type(),
            _ => DataType::Timestamp(TimeUnit::Microsecond, None),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let target = args.return_field.data_type().clone();
        let Some(zone) = calendar::constant_text("timezone", &args.args[0])? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&target)?));
        };
        let zone = named_zone(&zone)?;
        let scalar = matches!(args.args[1], ColumnarValue::Scalar(_));
        let array = args.args[1].to_array(args.number_rows)?;
        let DataType::Timestamp(unit, mark) = array.data_type() else {
            return exec_err!("timezone of {} is not possible", array.data_type());
        };
        let mut clock = calendar::Clock::new(zone, *unit);
        let numbers = calendar::numbers(&array)?;
        let shifted = match mark {
            Some(_) => calendar::map::<Int64Type>(&numbers, |value| clock.local(value)),
            // Of a reading that comes twice the earlier.
            None => numbers.unary(|value| clock.to_instant(value, i64::MIN)),
        };
        let result = calendar::timestamps(shifted, &target)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// The cast to text of types that Arrow writes in another way.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToText {
    signature: Signature,
}

impl ToText {
    pub fn new() -> ToText {
        ToText {
            signature: Signature::any(1, Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for ToText {
    fn name(&self) -> &str {
        "text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let zone = session_zone(&args.config_options);
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(args.number_rows)?;
        let result = as_text(&array, zone)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// A value as a cast to text writes it.
pub fn value_text(value: &ScalarValue, zone: Tz) -> Result<String, QueryError> {
    let array = value.to_array().map_err(errors::translate)?;
    let texts = as_text(&array, zone).map_err(errors::translate)?;
    let texts = texts.as_string_view();
    Ok(match texts.is_valid(0) {
        true => texts.value(0).to_string(),
        false => String::new(),
    })
}

/// A value as it is shown: a boolean is one letter.
pub fn scalar_text(value: &ScalarValue, zone: Tz) -> Result<String, QueryError> {
    match value {
        ScalarValue::Boolean(Some(value)) => Ok(if *value { "t" } else { "f" }.to_string()),
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes)) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(format!("\\x{digits}"))
        }
        other => value_text(other, zone),
    }
}

/// Appends a row's text.
type WriteRow = Box<dyn FnMut(usize, &mut String)>;

fn as_text(array: &ArrayRef, zone: Tz) -> DfResult<ArrayRef> {
    let mut write: WriteRow = match array.data_type() {
        DataType::Timestamp(unit, mark) => {
            let numbers = calendar::numbers(array)?;
            let (per_second, zone) = (units_per_second(*unit), mark.as_ref().map(|_| zone));
            Box::new(move |row, out| write_timestamp(numbers.value(row), per_second, zone, out))
        }
        DataType::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |row, out| out.push_str(if values.value(row) { "true" } else { "false" }))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().clone();
            Box::new(move |row, out| {
                write_float(
                    f64::from(values.value(row)),
                    &format!("{:e}", values.value(row)),
                    6,
                    out,
                )
            })
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().clone();
            Box::new(move |row, out| write_float(values.value(row), &format!("{:e}", values.value(row)), 15, out))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>().clone();
            Box::new(move |row, out| write_interval(values.value(row), out))
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>().clone();
            let elements = as_text(lists.values(), zone)?;
            // A boolean in an array is one letter, as it is on the wire.
            let elements = match lists.values().data_type() {
                DataType::Boolean => initials(&elements),
                _ => elements,
            };
            Box::new(move |row, out| {
                let offsets = lists.value_offsets();
                write_list(&elements, offsets[row] as usize..offsets[row + 1] as usize, out);
            })
        }
        _ => return Ok(cast(array, &DataType::Utf8View)?),
    };
    let mut builder = StringViewBuilder::with_capacity(array.len());
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        write(row, &mut text);
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

/// `1 year 2 mons -3 days +04:05:06.7`: what is not zero, a sign where the part before was negative.
fn write_interval(value: IntervalMonthDayNano, out: &mut String) {
    let start = out.len();
    let mut before_negative = false;
    for (number, unit) in [
        (value.months / 12, "year"),
        (value.months % 12, "mon"),
        (value.days, "day"),
    ] {
        if number == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plus = if before_negative && number > 0 { "+" } else { "" };
        let plural = if number == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{number} {unit}{plural}");
        before_negative = number < 0;
    }
    if value.nanoseconds == 0 && out.len() > start {
        return;
    }
    let space = if out.len() > start { " " } else { "" };
    let sign = match value.nanoseconds {
        ..0 => "-",
        _ if before_negative => "+",
        _ => "",
    };
    let microseconds = value.nanoseconds.unsigned_abs() / 1_000;
    let seconds = microseconds / 1_000_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let _ = write!(out, "{space}{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60);
    if !microseconds.is_multiple_of(1_000_000) {
        let fraction = format!("{:06}", microseconds % 1_000_000);
        let _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
}

/// The first letter of each text.
fn initials(texts: &ArrayRef) -> ArrayRef {
    let letters = texts
        .as_string_view()
        .iter()
        .map(|text| text.and_then(|text| text.get(..1)));
    Arc::new(letters.collect::<StringViewArray>())
}

/// `{a,"b c",NULL}`
fn write_list(elements: &ArrayRef, range: std::ops::Range<usize>, out: &mut String) {
    let texts = elements.as_string_view();
    out.push('{');
    for (place, index) in range.enumerate() {
        if place > 0 {
            out.push(',');
        }
        if texts.is_null(index) {
            out.push_str("NULL");
            continue;
        }
        let text = texts.value(index);
        let special = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '{' | '}' | ',' | '"' | '\\');
        if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
            out.push_str(text);
            continue;
        }
        out.push('"');
        for letter in text.chars() {
            if matches!(letter, '"' | '\\') {
                out.push('\\');
            }
            out.push(letter);
        }
        out.push('"');
    }
    out.push('}');
}

/// A float in its shortest form that reads back the same; with an exponent where PostgreSQL has one: below 1e-4, and from `digits` digits up.
fn write_float(value: f64, scientific: &str, digits: i32, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
        return;
    }
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
        return;
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..digits).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.abs());
        return;
    }
    // The same digits with the point moved.
    let negative = mantissa.starts_with('-');
    let all: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if negative {
        out.push('-');
    }
    let point = exponent + 1;
    if point <= 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
        out.push_str(&all);
    } else {
        let point = point as usize;
        if all.len() <= point {
            out.push_str(&all);
            out.extend(std::iter::repeat_n('0', point - all.len()));
        } else {
            out.push_str(&all[..point]);
            out.push('.');
            out.push_str(&all[point..]);
        }
    }
}

fn write_timestamp(value: i64, per_second: i64, zone: Option<Tz>, out: &mut String) {
    let Some(utc) = civil(value, per_second) else {
        let _ = write!(out, "{value}");
        return;
    };
    let offset = zone.map(|zone| zone.offset_from_utc_datetime(&utc).fix().local_minus_utc());
    let local = utc + chrono::Duration::seconds(i64::from(offset.unwrap_or(0)));
    let _ = write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second()
    );
    let nanosecond = local.nanosecond();
    if nanosecond != 0 {
        // Six digits, nine where the column has them; without the zeros at the end.
        let digits = match nanosecond % 1_000 {
            0 => format!("{:06}", nanosecond / 1_000),
            _ => format!("{nanosecond:09}"),
        };
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    if let Some(offset) = offset {
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes, seconds) = (offset.abs() / 3_600, offset.abs() / 60 % 60, offset.abs() % 60);
        let _ = write!(out, "{sign}{hours:02}");
        if minutes != 0 || seconds != 0 {
            let _ = write!(out, ":{minutes:02}");
        }
        if seconds != 0 {
            let _ = write!(out, ":{seconds:02}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_postgresql_writes_them() {
        let text = |value: f64| {
            let mut out = String::new();
            write_float(value, &format!("{value:e}"), 15, &mut out);
            out
        };
        for (value, expected) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.25e-7, "1.25e-07"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn timestamps_show_the_sessions_zone() {
        let text = |value: i64, zone: Option<Tz>| {
            let mut out = String::new();
            write_timestamp(value, 1_000_000, zone, &mut out);
            out
        };
        assert_eq!(text(0, Some(Tz::UTC)), "1970-01-01 00:00:00+00");
        assert_eq!(text(1_500_000, Some(Tz::Asia__Kolkata)), "1970-01-01 05:30:01.5+05:30");
        assert_eq!(text(-1, None), "1969-12-31 23:59:59.999999");
    }
}
