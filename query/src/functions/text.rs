//! Values as PostgreSQL writes them as text: casts to text; and `timezone`, between instants and wall clocks.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit,
};
use datafusion::common::{Result as DfResult, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::calendar::{self, named_zone};
use super::text_style::session_style;
use crate::QueryError;
use crate::pg_type::numeric::write_key;
use crate::pg_type::of_duration;
use crate::pg_type::write::{TextStyle, bytes, datetime, float, write_interval};
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
            // Of a reading that comes twice the later, as PostgreSQL decides.
            None => numbers.unary(|value| clock.to_instant(value, i64::MAX)),
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
        let style = session_style(&args.config_options);
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(args.number_rows)?;
        let result = as_text(&array, style)?;
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// A value as a cast to text writes it.
pub fn value_text(value: &ScalarValue, style: TextStyle) -> Result<String, QueryError> {
    let array = value.to_array().map_err(errors::translate)?;
    let texts = as_text(&array, style).map_err(errors::translate)?;
    let texts = texts.as_string_view();
    Ok(match texts.is_valid(0) {
        true => texts.value(0).to_string(),
        false => String::new(),
    })
}

/// A value as it is shown: a boolean is one letter.
pub fn scalar_text(value: &ScalarValue, style: TextStyle) -> Result<String, QueryError> {
    match value {
        ScalarValue::Boolean(Some(value)) => Ok(if *value { "t" } else { "f" }.to_string()),
        other => value_text(other, style),
    }
}

/// Appends a row's text.
type WriteRow = Box<dyn FnMut(usize, &mut Vec<u8>)>;

fn as_text(array: &ArrayRef, style: TextStyle) -> DfResult<ArrayRef> {
    let digits = style.extra_float_digits;
    let mut write: WriteRow = match array.data_type() {
        DataType::Timestamp(unit, mark) => {
            let (numbers, unit) = (calendar::numbers(array)?, *unit);
            let mut zone = mark.as_ref().map(|_| datetime::Zone::new(style.time_zone));
            Box::new(move |row, out| {
                datetime::write_timestamp(numbers.value(row), unit, zone.as_mut(), style.dates, out);
            })
        }
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>().clone();
            Box::new(move |row, out| datetime::write_date(values.value(row), style.dates, out))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let values = array.as_primitive::<Time64MicrosecondType>().clone();
            Box::new(move |row, out| datetime::write_time(values.value(row), TimeUnit::Microsecond, out))
        }
        DataType::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |row, out| out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().clone();
            Box::new(move |row, out| float::write_float4(values.value(row), digits, out))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().clone();
            Box::new(move |row, out| float::write_float8(values.value(row), digits, out))
        }
        DataType::BinaryView | DataType::Binary => {
            let values = cast(array, &DataType::BinaryView)?.as_binary_view().clone();
            Box::new(move |row, out| bytes::write_bytea(values.value(row), style.bytea_escape, out))
        }
        DataType::LargeBinary => {
            let keys = array.as_binary::<i64>().clone();
            Box::new(move |row, out| write_key(keys.value(row), out))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>().clone();
            Box::new(move |row, out| {
                let value = values.value(row);
                write_interval(value.months, value.days, value.nanoseconds, style.intervals, out);
            })
        }
        DataType::Duration(_) => return as_text(&of_duration(array)?, style),
        DataType::List(_) => {
            let lists = array.as_list::<i32>().clone();
            let elements = as_text(lists.values(), style)?;
            // A boolean in an array is one letter, as it is on the wire.
            let elements = match lists.values().data_type() {
                DataType::Boolean => initials(&elements),
                _ => elements,
            };
            let nested = matches!(lists.values().data_type(), DataType::List(_));
            Box::new(move |row, out| {
                let offsets = lists.value_offsets();
                write_list(&elements, offsets[row] as usize..offsets[row + 1] as usize, nested, out);
            })
        }
        _ => return Ok(cast(array, &DataType::Utf8View)?),
    };
    let mut builder = StringViewBuilder::with_capacity(array.len());
    let mut text = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        write(row, &mut text);
        builder.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(builder.finish()))
}

/// The first letter of each text.
fn initials(texts: &ArrayRef) -> ArrayRef {
    let letters = texts
        .as_string_view()
        .iter()
        .map(|text| text.and_then(|text| text.get(..1)));
    Arc::new(letters.collect::<StringViewArray>())
}

/// `{a,"b c",NULL}`. `nested`: the elements are arrays, which need no quotes.
fn write_list(elements: &ArrayRef, range: std::ops::Range<usize>, nested: bool, out: &mut Vec<u8>) {
    let texts = elements.as_string_view();
    out.push(b'{');
    for (place, index) in range.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if texts.is_null(index) {
            out.extend_from_slice(b"NULL");
            continue;
        }
        let text = texts.value(index);
        let special = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '{' | '}' | ',' | '"' | '\\');
        if nested || !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
            out.extend_from_slice(text.as_bytes());
            continue;
        }
        out.push(b'"');
        for byte in text.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    out.push(b'}');
}
