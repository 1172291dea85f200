//! One column of a batch, ready to be read row by row.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    LargeStringArray, ListArray, StringArray, StringViewArray, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use arrow::util::display::FormatOptions;
use taospg_query::pg_type::numeric::write_key;
use taospg_query::pg_type::of_duration;
use taospg_query::pg_type::write::{bytes, datetime, float, numeric, write_interval};
use taospg_query::{ErrorKind, Format, QueryError};

use super::wire_type::WireType;
use super::{TextContext, array, record};

/// A column's values, borrowed from its Arrow array.
pub struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

/// Keys of a dictionary array.
enum Keys<'a> {
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
}

impl Keys<'_> {
    fn get(&self, row: usize) -> usize {
        match self {
            Keys::Int8(keys) => keys[row].as_usize(),
            Keys::Int16(keys) => keys[row].as_usize(),
            Keys::Int32(keys) => keys[row].as_usize(),
            Keys::Int64(keys) => keys[row].as_usize(),
            Keys::UInt8(keys) => keys[row].as_usize(),
            Keys::UInt16(keys) => keys[row].as_usize(),
            Keys::UInt32(keys) => keys[row].as_usize(),
            Keys::UInt64(keys) => keys[row].as_usize(),
        }
    }
}

enum Bytes<'a> {
    Binary(&'a BinaryArray),
    View(&'a BinaryViewArray),
}

impl<'a> Bytes<'a> {
    fn get(&self, row: usize) -> &'a [u8] {
        match self {
            Bytes::Binary(array) => array.value(row),
            Bytes::View(array) => array.value(row),
        }
    }
}

enum Strings<'a> {
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Strings<'a> {
    fn get(&self, row: usize) -> &'a str {
        match self {
            Strings::Utf8(array) => array.value(row),
            Strings::Large(array) => array.value(row),
            Strings::View(array) => array.value(row),
        }
    }
}

enum Values<'a> {
    /// Nothing but NULL.
    Null,
    Dictionary {
        keys: Keys<'a>,
        values: Box<Column<'a>>,
    },
    Bool(&'a BooleanArray),
    Int2(&'a [i16]),
    Int4(&'a [i32]),
    Int8(&'a [i64]),
    Oid(&'a [u32]),
    Float4(&'a [f32]),
    Float8(&'a [f64]),
    Decimal128 {
        values: &'a [i128],
        scale: i8,
    },
    Decimal256 {
        values: &'a [i256],
        scale: i8,
    },
    /// Numerics without a declared scale.
    Numeric(&'a LargeBinaryArray),
    /// `numeric` from whole numbers and doubles.
    NumericInt64(&'a [i64]),
    NumericUInt64(&'a [u64]),
    NumericFloat8(&'a [f64]),
    Text(Strings<'a>),
    Padded {
        strings: Strings<'a>,
        length: usize,
    },
    /// Objects by their OIDs, with their names.
    Objects {
        oids: &'a UInt32Array,
        names: Strings<'a>,
    },
    Jsonb(Strings<'a>),
    /// A uuid given as text.
    UuidText(Strings<'a>),
    Uuid(&'a FixedSizeBinaryArray),
    Bytea(Bytes<'a>),
    Timestamp {
        values: &'a [i64],
        unit: TimeUnit,
        zoned: bool,
    },
    Date(&'a [i32]),
    Time {
        values: &'a [i64],
        unit: TimeUnit,
    },
    Interval(&'a [IntervalMonthDayNano]),
    Record(Vec<record::Member<'a>>),
    List {
        array: &'a ListArray,
        elements: Box<Column<'a>>,
        element_oid: u32,
        vector: bool,
    },
}

/// The array as [`Column::new`] reads it for that type: itself, or cast as a whole.
pub fn arrange(array: &ArrayRef, wire: &WireType, format: Format) -> Result<ArrayRef, QueryError> {
    if reads(wire, array.data_type()) {
        return Ok(array.clone());
    }
    if *wire == WireType::Interval && matches!(array.data_type(), DataType::Duration(_)) {
        return of_duration(array)
            .map_err(|error| QueryError::new(ErrorKind::DatetimeFieldOverflow, error.to_string()));
    }
    if *wire == WireType::Record && matches!(array.data_type(), DataType::Struct(_)) {
        return record::arrange_members(array, format);
    }
    if let WireType::Array { element, .. } = wire
        && let Some(list) = as_list(array)?
    {
        let elements = arrange(list.values(), below(wire, element, list.values().data_type()), format)?;
        let field = match list.data_type() {
            DataType::List(field) => field.as_ref().clone().with_data_type(elements.data_type().clone()),
            other => return Err(unexpected(other, wire)),
        };
        let list = ListArray::try_new(
            field.with_nullable(true).into(),
            list.offsets().clone(),
            elements,
            list.nulls().cloned(),
        )
        .map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
        return Ok(std::sync::Arc::new(list));
    }
    let target = match wire {
        WireType::Bool => DataType::Boolean,
        WireType::Int2 => DataType::Int16,
        WireType::Int4 => DataType::Int32,
        WireType::Int8 => DataType::Int64,
        WireType::Oid => DataType::UInt32,
        WireType::Float4 => DataType::Float32,
        WireType::Float8 => DataType::Float64,
        WireType::Numeric => match array.data_type() {
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::UInt64,
            DataType::Float16 | DataType::Float32 => DataType::Float64,
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            _ => DataType::Int64,
        },
        WireType::Text | WireType::Padded(_) | WireType::Object | WireType::Json | WireType::Jsonb | WireType::Uuid => {
            DataType::Utf8
        }
        WireType::Bytea => DataType::Binary,
        WireType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        WireType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        WireType::Date => DataType::Date32,
        WireType::Time => DataType::Time64(TimeUnit::Microsecond),
        WireType::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        // Not a list: its text, if text is wanted.
        WireType::Record | WireType::Array { .. } => match format {
            Format::Text => DataType::Utf8,
            Format::Binary => return Err(unexpected(array.data_type(), wire)),
        },
    };
    cast(array, &target)
}

/// What the elements of an array are sent as: the arrays in one of several dimensions as it is itself.
fn below<'w>(wire: &'w WireType, element: &'w WireType, item: &DataType) -> &'w WireType {
    let nested = matches!(
        item,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_)
    );
    match (nested, element) {
        (true, WireType::Array { .. }) | (false, _) => element,
        (true, _) => wire,
    }
}

fn as_list(array: &ArrayRef) -> Result<Option<ListArray>, QueryError> {
    match array.data_type() {
        DataType::List(_) => Ok(Some(array.as_list::<i32>().clone())),
        DataType::LargeList(field) | DataType::FixedSizeList(field, _) | DataType::ListView(field) => {
            let list = cast(array, &DataType::List(field.clone()))?;
            Ok(list.as_list_opt::<i32>().cloned())
        }
        _ => Ok(None),
    }
}

fn cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, QueryError> {
    let options = CastOptions {
        safe: false,
        format_options: FormatOptions::default(),
    };
    cast_with_options(array, target, &options)
        .map_err(|error| QueryError::new(ErrorKind::NumericValueOutOfRange, error.to_string()))
}

fn unexpected(data_type: &DataType, wire: &WireType) -> QueryError {
    QueryError::new(
        ErrorKind::FeatureNotSupported,
        format!("a value of type {data_type} cannot be sent as {wire:?}"),
    )
}

/// A struct of an object's OID and its name.
fn is_object(data_type: &DataType) -> bool {
    let DataType::Struct(fields) = data_type else {
        return false;
    };
    matches!(fields.as_ref(), [oid, name] if *oid.data_type() == DataType::UInt32
        && matches!(name.data_type(), DataType::Utf8 | DataType::Utf8View))
}

/// Whether [`Column::new`] takes this Arrow type for that type of the wire.
fn reads(wire: &WireType, data_type: &DataType) -> bool {
    use DataType as A;
    if let A::Dictionary(_, values) = data_type {
        return reads(wire, values);
    }
    let text = matches!(data_type, A::Utf8 | A::LargeUtf8 | A::Utf8View);
    match wire {
        _ if matches!(data_type, A::Null) => true,
        WireType::Bool => matches!(data_type, A::Boolean),
        WireType::Int2 => matches!(data_type, A::Int16),
        WireType::Int4 => matches!(data_type, A::Int32),
        WireType::Int8 => matches!(data_type, A::Int64),
        WireType::Oid => matches!(data_type, A::UInt32),
        WireType::Object => text || matches!(data_type, A::UInt32) || is_object(data_type),
        WireType::Float4 => matches!(data_type, A::Float32),
        WireType::Float8 => matches!(data_type, A::Float64),
        WireType::Numeric => matches!(
            data_type,
            A::Decimal128(..) | A::Decimal256(..) | A::LargeBinary | A::Int64 | A::UInt64 | A::Float64
        ),
        WireType::Text | WireType::Padded(_) | WireType::Json | WireType::Jsonb => text,
        WireType::Uuid => text || matches!(data_type, A::FixedSizeBinary(16)),
        WireType::Bytea => matches!(data_type, A::Binary | A::BinaryView),
        WireType::Timestamp | WireType::Timestamptz => matches!(data_type, A::Timestamp(..)),
        WireType::Date => matches!(data_type, A::Date32),
        WireType::Time => matches!(data_type, A::Time64(_)),
        WireType::Interval => matches!(data_type, A::Interval(IntervalUnit::MonthDayNano)),
        // Its members are arranged.
        WireType::Record => text,
        WireType::Array { element, .. } => match data_type {
            A::List(field) => reads(below(wire, element, field.data_type()), field.data_type()),
            _ => text,
        },
    }
}

impl<'a> Column<'a> {
    /// `array` has gone through [`arrange`] for the same type.
    pub fn new(array: &'a ArrayRef, wire: &WireType) -> Result<Column<'a>, QueryError> {
        use DataType as A;
        let values = match (array.data_type(), wire) {
            (A::Null, _) => Values::Null,
            (A::Dictionary(..), _) => return dictionary(array, wire),
            (A::Boolean, _) => Values::Bool(array.as_boolean()),
            (A::Int16, _) => Values::Int2(array.as_primitive::<Int16Type>().values()),
            (A::Int32, _) => Values::Int4(array.as_primitive::<Int32Type>().values()),
            (A::Int64, WireType::Numeric) => Values::NumericInt64(array.as_primitive::<Int64Type>().values()),
            (A::Int64, _) => Values::Int8(array.as_primitive::<Int64Type>().values()),
            (A::UInt32, _) => Values::Oid(array.as_primitive::<UInt32Type>().values()),
            (A::UInt64, _) => Values::NumericUInt64(array.as_primitive::<UInt64Type>().values()),
            (A::Float32, _) => Values::Float4(array.as_primitive::<Float32Type>().values()),
            (A::Float64, WireType::Numeric) => Values::NumericFloat8(array.as_primitive::<Float64Type>().values()),
            (A::Float64, _) => Values::Float8(array.as_primitive::<Float64Type>().values()),
            (A::Decimal128(_, scale), _) => Values::Decimal128 {
                values: array.as_primitive::<Decimal128Type>().values(),
                scale: *scale,
            },
            (A::Decimal256(_, scale), _) => Values::Decimal256 {
                values: array.as_primitive::<Decimal256Type>().values(),
                scale: *scale,
            },
            (A::Utf8 | A::LargeUtf8 | A::Utf8View, _) => {
                let strings = match array.data_type() {
                    A::Utf8 => Strings::Utf8(array.as_string()),
                    A::LargeUtf8 => Strings::Large(array.as_string()),
                    _ => Strings::View(array.as_string_view()),
                };
                match wire {
                    WireType::Jsonb => Values::Jsonb(strings),
                    WireType::Uuid => Values::UuidText(strings),
                    WireType::Padded(length) => Values::Padded {
                        strings,
                        length: *length,
                    },
                    _ => Values::Text(strings),
                }
            }
            (A::Struct(_), WireType::Record) => Values::Record(record::members(array.as_struct())?),
            (A::Struct(_), WireType::Object) => {
                let object = array.as_struct();
                let names = object.column(1);
                Values::Objects {
                    oids: object.column(0).as_primitive(),
                    names: match names.data_type() {
                        A::Utf8 => Strings::Utf8(names.as_string()),
                        _ => Strings::View(names.as_string_view()),
                    },
                }
            }
            (A::Binary, _) => Values::Bytea(Bytes::Binary(array.as_binary())),
            (A::LargeBinary, WireType::Numeric) => Values::Numeric(array.as_binary()),
            (A::BinaryView, _) => Values::Bytea(Bytes::View(array.as_binary_view())),
            (A::FixedSizeBinary(16), _) => Values::Uuid(array.as_fixed_size_binary()),
            (A::Timestamp(unit, _), _) => Values::Timestamp {
                values: match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                },
                unit: *unit,
                zoned: *wire == WireType::Timestamptz,
            },
            (A::Date32, _) => Values::Date(array.as_primitive::<Date32Type>().values()),
            (A::Time64(TimeUnit::Nanosecond), _) => Values::Time {
                values: array.as_primitive::<Time64NanosecondType>().values(),
                unit: TimeUnit::Nanosecond,
            },
            (A::Time64(_), _) => Values::Time {
                values: array.as_primitive::<Time64MicrosecondType>().values(),
                unit: TimeUnit::Microsecond,
            },
            (A::Interval(IntervalUnit::MonthDayNano), _) => {
                Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().values())
            }
            (
                A::List(_),
                WireType::Array {
                    element,
                    element_oid,
                    vector,
                },
            ) => {
                let list = array.as_list::<i32>();
                Values::List {
                    array: list,
                    elements: Box::new(Column::new(
                        list.values(),
                        below(wire, element, list.values().data_type()),
                    )?),
                    element_oid: *element_oid,
                    vector: *vector,
                }
            }
            (other, _) => return Err(unexpected(other, wire)),
        };
        Ok(Column {
            nulls: array.nulls(),
            values,
        })
    }

    pub fn is_null(&self, row: usize) -> bool {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.values {
            Values::Null => true,
            Values::Dictionary { keys, values } => values.is_null(keys.get(row)),
            Values::Objects { oids, .. } => oids.is_null(row),
            _ => false,
        }
    }

    /// Appends the text of a value that is not NULL.
    pub fn write_text(&self, row: usize, context: &mut TextContext, out: &mut Vec<u8>) -> Result<(), QueryError> {
        match &self.values {
            Values::Null => {}
            Values::Dictionary { keys, values } => values.write_text(keys.get(row), context, out)?,
            Values::Bool(array) => out.push(if array.value(row) { b't' } else { b'f' }),
            Values::Int2(values) => write_integer(values[row], out),
            Values::Int4(values) => write_integer(values[row], out),
            Values::Int8(values) | Values::NumericInt64(values) => write_integer(values[row], out),
            Values::Oid(values) => write_integer(values[row], out),
            Values::NumericUInt64(values) => write_integer(values[row], out),
            Values::Float4(values) => float::write_float4(values[row], context.style.extra_float_digits, out),
            Values::Float8(values) => float::write_float8(values[row], context.style.extra_float_digits, out),
            Values::NumericFloat8(values) => write_plain_float(values[row], out),
            Values::Decimal128 { values, scale } => numeric::write_decimal128(values[row], *scale, out),
            Values::Decimal256 { values, scale } => numeric::write_decimal256(values[row], *scale, out),
            Values::Numeric(keys) => write_key(keys.value(row), out),
            Values::Text(strings)
            | Values::Objects { names: strings, .. }
            | Values::Jsonb(strings)
            | Values::UuidText(strings) => {
                out.extend_from_slice(strings.get(row).as_bytes());
            }
            Values::Padded { strings, length } => write_padded(strings.get(row), *length, out),
            Values::Uuid(array) => bytes::write_uuid(array.value(row), out),
            Values::Bytea(values) => bytes::write_bytea(values.get(row), context.style.bytea_escape, out),
            Values::Timestamp { values, unit, zoned } => {
                let zone = zoned.then_some(&mut context.zone);
                datetime::write_timestamp(values[row], *unit, zone, context.style.dates, out);
            }
            Values::Date(values) => datetime::write_date(values[row], context.style.dates, out),
            Values::Time { values, unit } => datetime::write_time(values[row], *unit, out),
            Values::Interval(values) => {
                let value = values[row];
                write_interval(
                    value.months,
                    value.days,
                    value.nanoseconds,
                    context.style.intervals,
                    out,
                );
            }
            Values::Record(members) => record::write_text(members, row, context, out)?,
            Values::List {
                array,
                elements,
                vector,
                ..
            } => {
                let range = element_range(array, row);
                if *vector {
                    array::write_vector_text(elements, range, context, out)?;
                } else {
                    array::write_text(elements, range, context, out)?;
                }
            }
        }
        Ok(())
    }

    /// Appends the binary form of a value that is not NULL.
    pub fn write_binary(&self, row: usize, context: &mut TextContext, out: &mut Vec<u8>) -> Result<(), QueryError> {
        match &self.values {
            Values::Null => {}
            Values::Dictionary { keys, values } => values.write_binary(keys.get(row), context, out)?,
            Values::Bool(array) => out.push(u8::from(array.value(row))),
            Values::Int2(values) => out.extend_from_slice(&values[row].to_be_bytes()),
            Values::Int4(values) => out.extend_from_slice(&values[row].to_be_bytes()),
            Values::Int8(values) => out.extend_from_slice(&values[row].to_be_bytes()),
            Values::Oid(values) => out.extend_from_slice(&values[row].to_be_bytes()),
            Values::Float4(values) => out.extend_from_slice(&values[row].to_be_bytes()),
            Values::Float8(values) => out.extend_from_slice(&values[row].to_be_bytes()),
            Values::NumericInt64(_)
            | Values::NumericUInt64(_)
            | Values::NumericFloat8(_)
            | Values::Numeric(_)
            | Values::Decimal128 { .. }
            | Values::Decimal256 { .. } => {
                let mut digits = std::mem::take(&mut context.scratch);
                digits.clear();
                let written = self.write_text(row, context, &mut digits);
                numeric::write_numeric_binary(&digits, out);
                context.scratch = digits;
                written?;
            }
            Values::Text(strings) => out.extend_from_slice(strings.get(row).as_bytes()),
            Values::Padded { strings, length } => write_padded(strings.get(row), *length, out),
            Values::Objects { oids, .. } => out.extend_from_slice(&oids.value(row).to_be_bytes()),
            Values::Jsonb(strings) => {
                out.push(bytes::JSONB_VERSION);
                out.extend_from_slice(strings.get(row).as_bytes());
            }
            Values::UuidText(strings) => {
                let given = strings.get(row);
                let uuid = bytes::parse_uuid(given).ok_or_else(|| {
                    QueryError::new(
                        ErrorKind::InvalidTextRepresentation,
                        format!("invalid input syntax for type uuid: \"{given}\""),
                    )
                })?;
                out.extend_from_slice(&uuid);
            }
            Values::Uuid(array) => out.extend_from_slice(array.value(row)),
            Values::Bytea(values) => out.extend_from_slice(values.get(row)),
            Values::Timestamp { values, unit, .. } => {
                let microseconds = datetime::postgres_microseconds(values[row], *unit)
                    .ok_or_else(|| QueryError::new(ErrorKind::DatetimeFieldOverflow, "timestamp out of range"))?;
                out.extend_from_slice(&microseconds.to_be_bytes());
            }
            Values::Date(values) => out.extend_from_slice(&datetime::postgres_days(values[row]).to_be_bytes()),
            Values::Time { values, unit } => {
                let microseconds = match unit {
                    TimeUnit::Nanosecond => values[row] / 1_000,
                    _ => values[row],
                };
                out.extend_from_slice(&microseconds.to_be_bytes());
            }
            Values::Interval(values) => {
                let value = values[row];
                out.extend_from_slice(&(value.nanoseconds / 1_000).to_be_bytes());
                out.extend_from_slice(&value.days.to_be_bytes());
                out.extend_from_slice(&value.months.to_be_bytes());
            }
            Values::Record(members) => record::write_binary(members, row, context, out)?,
            Values::List {
                array,
                elements,
                element_oid,
                vector,
            } => {
                let lower_bound = i32::from(!*vector);
                array::write_binary(
                    elements,
                    element_range(array, row),
                    *element_oid,
                    lower_bound,
                    context,
                    out,
                )?;
            }
        }
        Ok(())
    }

    /// The elements of row `row` where this column holds lists itself.
    pub fn nested(&self, row: usize) -> Option<(&Column<'a>, std::ops::Range<usize>)> {
        match &self.values {
            Values::List { array, elements, .. } => Some((elements, element_range(array, row))),
            _ => None,
        }
    }
}

fn write_padded(text: &str, length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    let blanks = length.saturating_sub(text.chars().count());
    out.resize(out.len() + blanks, b' ');
}

fn element_range(array: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = array.value_offsets();
    offsets[row].as_usize()..offsets[row + 1].as_usize()
}

fn dictionary<'a>(array: &'a ArrayRef, wire: &WireType) -> Result<Column<'a>, QueryError> {
    use arrow::array::DictionaryArray;
    use arrow::datatypes::ArrowDictionaryKeyType;

    fn parts<K: ArrowDictionaryKeyType>(array: &ArrayRef) -> (&[K::Native], &ArrayRef) {
        let dictionary: &DictionaryArray<K> = array.as_dictionary();
        (dictionary.keys().values(), dictionary.values())
    }

    let key_type = match array.data_type() {
        DataType::Dictionary(key_type, _) => key_type.as_ref(),
        other => return Err(unexpected(other, wire)),
    };
    let (keys, values) = match key_type {
        DataType::Int8 => {
            let (keys, values) = parts::<Int8Type>(array);
            (Keys::Int8(keys), values)
        }
        DataType::Int16 => {
            let (keys, values) = parts::<Int16Type>(array);
            (Keys::Int16(keys), values)
        }
        DataType::Int32 => {
            let (keys, values) = parts::<Int32Type>(array);
            (Keys::Int32(keys), values)
        }
        DataType::Int64 => {
            let (keys, values) = parts::<Int64Type>(array);
            (Keys::Int64(keys), values)
        }
        DataType::UInt8 => {
            let (keys, values) = parts::<UInt8Type>(array);
            (Keys::UInt8(keys), values)
        }
        DataType::UInt16 => {
            let (keys, values) = parts::<UInt16Type>(array);
            (Keys::UInt16(keys), values)
        }
        DataType::UInt32 => {
            let (keys, values) = parts::<UInt32Type>(array);
            (Keys::UInt32(keys), values)
        }
        DataType::UInt64 => {
            let (keys, values) = parts::<UInt64Type>(array);
            (Keys::UInt64(keys), values)
        }
        other => return Err(unexpected(other, wire)),
    };
    Ok(Column {
        nulls: array.nulls(),
        values: Values::Dictionary {
            keys,
            values: Box::new(Column::new(values, wire)?),
        },
    })
}

fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A double as `numeric` prints: no exponent.
fn write_plain_float(value: f64, out: &mut Vec<u8>) {
    use std::io::Write as _;
    if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-Infinity" } else { b"Infinity" });
    } else {
        write!(out, "{value}").expect("writing to a vector cannot fail");
    }
}
