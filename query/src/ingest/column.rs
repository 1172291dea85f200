//! A column that grows value by value.
//!
//! The builders are Arrow's own: a finished column moves its values into the array without a copy.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, PrimitiveArray, StringViewBuilder,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use taospg_catalog::{Precision, SqlType};

use super::assign::{
    parse_bytea, push_as_text, push_text, to_boolean, to_f32, to_f64, to_integer, to_numeric, to_time, type_range,
};
use super::datum::{Datum, ValueError};
use super::number::NumericType;
use super::time::TimeReader;
use crate::{ErrorKind, QueryError};

type Result<T> = std::result::Result<T, ValueError>;

/// What text a column takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TextRule {
    Any,
    /// Characters at most.
    Varchar(u32),
    /// Characters at most; trailing spaces are not kept.
    Char(u32),
    Json,
}

pub enum ColumnBuilder {
    Boolean(BooleanBuilder),
    SmallInt(Int16Builder),
    Integer(Int32Builder),
    BigInt(Int64Builder),
    Real(Float32Builder),
    Double(Float64Builder),
    Numeric(Decimal128Builder, NumericType),
    Text(StringViewBuilder, TextRule),
    Bytea(BinaryViewBuilder),
    /// In the database's unit.
    Time {
        values: Int64Builder,
        zoned: bool,
        precision: Precision,
    },
    Date(Date32Builder),
}

/// The same call on whichever builder it is.
macro_rules! each {
    ($self:expr, $builder:ident => $call:expr) => {
        match $self {
            ColumnBuilder::Boolean($builder) => $call,
            ColumnBuilder::SmallInt($builder) => $call,
            ColumnBuilder::Integer($builder) => $call,
            ColumnBuilder::BigInt($builder) => $call,
            ColumnBuilder::Real($builder) => $call,
            ColumnBuilder::Double($builder) => $call,
            ColumnBuilder::Numeric($builder, _) => $call,
            ColumnBuilder::Text($builder, _) => $call,
            ColumnBuilder::Bytea($builder) => $call,
            ColumnBuilder::Time { values: $builder, .. } => $call,
            ColumnBuilder::Date($builder) => $call,
        }
    };
}

impl ColumnBuilder {
    pub fn new(sql_type: &SqlType, precision: Precision) -> ColumnBuilder {
        ColumnBuilder::with_capacity(sql_type, precision, 0)
    }

    /// With room for so many values.
    pub fn with_capacity(sql_type: &SqlType, precision: Precision, rows: usize) -> ColumnBuilder {
        let text = |rule| ColumnBuilder::Text(StringViewBuilder::with_capacity(rows), rule);
        match *sql_type {
            SqlType::Boolean => ColumnBuilder::Boolean(BooleanBuilder::with_capacity(rows)),
            SqlType::SmallInt => ColumnBuilder::SmallInt(Int16Builder::with_capacity(rows)),
            SqlType::Integer => ColumnBuilder::Integer(Int32Builder::with_capacity(rows)),
            SqlType::BigInt => ColumnBuilder::BigInt(Int64Builder::with_capacity(rows)),
            SqlType::Real => ColumnBuilder::Real(Float32Builder::with_capacity(rows)),
            SqlType::Double => ColumnBuilder::Double(Float64Builder::with_capacity(rows)),
            SqlType::Numeric { precision, scale } => ColumnBuilder::Numeric(
                Decimal128Builder::with_capacity(rows).with_data_type(DataType::Decimal128(precision, scale)),
                NumericType { precision, scale },
            ),
            SqlType::Text => text(TextRule::Any),
            SqlType::Varchar(length) => text(TextRule::Varchar(length)),
            SqlType::Char(length) => text(TextRule::Char(length)),
            SqlType::Jsonb => text(TextRule::Json),
            SqlType::Bytea => ColumnBuilder::Bytea(BinaryViewBuilder::with_capacity(rows)),
            SqlType::Timestamptz | SqlType::Timestamp => ColumnBuilder::Time {
                values: Int64Builder::with_capacity(rows),
                zoned: *sql_type == SqlType::Timestamptz,
                precision,
            },
            SqlType::Date => ColumnBuilder::Date(Date32Builder::with_capacity(rows)),
        }
    }

    pub fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        each!(self, builder => builder.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn push_null(&mut self) {
        each!(self, builder => builder.append_null());
    }

    /// Nulls up to `rows`: for rows that did not name this column.
    pub fn pad(&mut self, rows: usize) {
        for _ in self.len()..rows {
            self.push_null();
        }
    }

    /// Bytes that each value takes, besides long texts.
    pub fn value_bytes(&self) -> usize {
        match self {
            ColumnBuilder::Boolean(_) => 1,
            ColumnBuilder::SmallInt(_) => 2,
            ColumnBuilder::Integer(_) | ColumnBuilder::Real(_) | ColumnBuilder::Date(_) => 4,
            ColumnBuilder::BigInt(_) | ColumnBuilder::Double(_) | ColumnBuilder::Time { .. } => 8,
            ColumnBuilder::Numeric(..) | ColumnBuilder::Text(..) | ColumnBuilder::Bytea(_) => 16,
        }
    }

    /// Bytes of the texts held; 0 for columns of numbers.
    pub fn text_bytes(&self) -> usize {
        match self {
            ColumnBuilder::Text(builder, _) => builder.allocated_size(),
            ColumnBuilder::Bytea(builder) => builder.allocated_size(),
            _ => 0,
        }
    }

    /// Adds a value as PostgreSQL's assignment would. The common pairs of column and value are inlined where the loop is.
    #[inline(always)]
    pub fn push(&mut self, datum: Datum<'_>, times: &mut TimeReader) -> Result<()> {
        match (&mut *self, datum) {
            (_, Datum::Null) => self.push_null(),
            (ColumnBuilder::Double(builder), Datum::Double(value)) => builder.append_value(value),
            (ColumnBuilder::Double(builder), Datum::Integer(value)) => builder.append_value(value as f64),
            (ColumnBuilder::BigInt(builder), Datum::Integer(value)) => builder.append_value(value),
            (ColumnBuilder::Integer(builder), Datum::Integer(value)) => match i32::try_from(value) {
                Ok(value) => builder.append_value(value),
                Err(_) => return Err(type_range("integer")),
            },
            (ColumnBuilder::Double(builder), Datum::Decimal(decimal)) if let Some(value) = decimal.to_f64() => {
                builder.append_value(value);
            }
            (ColumnBuilder::Real(builder), Datum::Decimal(decimal)) if let Some(value) = decimal.to_f32() => {
                builder.append_value(value);
            }
            (ColumnBuilder::Real(builder), Datum::Real(value)) => builder.append_value(value),
            (ColumnBuilder::Text(builder, rule), Datum::Text(text)) => push_text(builder, *rule, text)?,
            (ColumnBuilder::Real(builder), Datum::Integer(value)) => builder.append_value(value as f32),
            _ => self.push_other(datum, times)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn push_other(&mut self, datum: Datum<'_>, times: &mut TimeReader) -> Result<()> {
        match self {
            ColumnBuilder::Boolean(builder) => builder.append_value(to_boolean(datum)?),
            ColumnBuilder::SmallInt(builder) => builder.append_value(to_integer(datum, "smallint")?),
            ColumnBuilder::Integer(builder) => builder.append_value(to_integer(datum, "integer")?),
            ColumnBuilder::BigInt(builder) => builder.append_value(to_integer(datum, "bigint")?),
            ColumnBuilder::Real(builder) => builder.append_value(to_f32(datum)?),
            ColumnBuilder::Double(builder) => builder.append_value(to_f64(datum)?),
            ColumnBuilder::Numeric(builder, numeric) => builder.append_value(to_numeric(datum, *numeric)?),
            ColumnBuilder::Text(builder, rule) => push_as_text(builder, *rule, datum, times)?,
            ColumnBuilder::Bytea(builder) => match datum {
                Datum::Bytes(bytes) => builder.append_value(bytes),
                Datum::Text(text) => builder.append_value(parse_bytea(text)?),
                other => return Err(ValueError::Mismatch(other.type_name())),
            },
            ColumnBuilder::Time { values, zoned, .. } => values.append_value(to_time(datum, *zoned, times)?),
            ColumnBuilder::Date(builder) => builder.append_value(match datum {
                Datum::Date(days) => days,
                Datum::Text(text) => times.parse_date(text)?,
                Datum::Instant(time) => times.date_of(times.from_postgres_microseconds(time)?, true),
                Datum::Clock(time) => times.date_of(times.from_postgres_microseconds(time)?, false),
                Datum::Time(time) => times.date_of(time, true),
                Datum::Reading(time) => times.date_of(time, false),
                other => return Err(ValueError::Mismatch(other.type_name())),
            }),
        }
        Ok(())
    }

    /// Adds a whole array of the column's Arrow type; texts are held to the column's rule.
    pub fn append(&mut self, array: &ArrayRef) -> Result<()> {
        let found = array.data_type().clone();
        let wrong = || {
            ValueError::Value(Box::new(QueryError::new(
                ErrorKind::DatatypeMismatch,
                format!("a value of Arrow type {found} came for another column"),
            )))
        };
        match self {
            ColumnBuilder::Boolean(builder) => builder.append_array(array.as_boolean_opt().ok_or_else(wrong)?),
            ColumnBuilder::SmallInt(builder) => {
                builder.append_array(array.as_primitive_opt::<Int16Type>().ok_or_else(wrong)?);
            }
            ColumnBuilder::Integer(builder) => {
                builder.append_array(array.as_primitive_opt::<Int32Type>().ok_or_else(wrong)?);
            }
            ColumnBuilder::BigInt(builder) => {
                builder.append_array(array.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?);
            }
            ColumnBuilder::Real(builder) => {
                builder.append_array(array.as_primitive_opt::<Float32Type>().ok_or_else(wrong)?);
            }
            ColumnBuilder::Double(builder) => {
                builder.append_array(array.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?);
            }
            ColumnBuilder::Date(builder) => {
                builder.append_array(array.as_primitive_opt::<Date32Type>().ok_or_else(wrong)?);
            }
            ColumnBuilder::Numeric(builder, numeric) => {
                let values = array.as_primitive_opt::<Decimal128Type>().ok_or_else(wrong)?;
                if values.data_type() != &DataType::Decimal128(numeric.precision, numeric.scale) {
                    return Err(wrong());
                }
                builder.append_array(values);
            }
            ColumnBuilder::Text(builder, rule) => {
                for text in array.as_string_view_opt().ok_or_else(wrong)? {
                    match text {
                        Some(text) => push_text(builder, *rule, text.as_bytes())?,
                        None => builder.append_null(),
                    }
                }
            }
            ColumnBuilder::Bytea(builder) => builder.append_array(array.as_binary_view_opt().ok_or_else(wrong)?),
            ColumnBuilder::Time { values, precision, .. } => {
                let (units, nulls) = time_units(array, *precision).ok_or_else(wrong)?;
                values.append_array(&PrimitiveArray::<Int64Type>::new(units, nulls));
            }
        }
        Ok(())
    }

    /// The column as an array; the builder starts again empty.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::SmallInt(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Integer(builder) => Arc::new(builder.finish()),
            ColumnBuilder::BigInt(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Real(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Double(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Numeric(builder, _) => Arc::new(builder.finish()),
            ColumnBuilder::Text(builder, _) => Arc::new(builder.finish()),
            ColumnBuilder::Bytea(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Time {
                values,
                zoned,
                precision,
            } => {
                let (_, units, nulls) = values.finish().into_parts();
                match precision {
                    Precision::Millisecond => time_array::<TimestampMillisecondType>(units, nulls, *zoned),
                    Precision::Microsecond => time_array::<TimestampMicrosecondType>(units, nulls, *zoned),
                    Precision::Nanosecond => time_array::<TimestampNanosecondType>(units, nulls, *zoned),
                }
            }
        }
    }
}

fn time_array<T: ArrowTimestampType>(units: ScalarBuffer<i64>, nulls: Option<NullBuffer>, zoned: bool) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(units, nulls).with_timezone_opt(zoned.then_some("UTC")))
}

/// The numbers of a timestamp array that has the database's unit.
pub fn time_units(array: &ArrayRef, precision: Precision) -> Option<(ScalarBuffer<i64>, Option<NullBuffer>)> {
    let values = match precision {
        Precision::Millisecond => array.as_primitive_opt::<TimestampMillisecondType>()?.values().clone(),
        Precision::Microsecond => array.as_primitive_opt::<TimestampMicrosecondType>()?.values().clone(),
        Precision::Nanosecond => array.as_primitive_opt::<TimestampNanosecondType>()?.values().clone(),
    };
    Some((values, array.nulls().cloned()))
}

#[cfg(test)]
mod tests {
    use super::super::datum::Numeric;
    use super::super::number;
    use super::*;
    use chrono_tz::Tz;
    use taospg_catalog::DatabaseOptions;

    fn times() -> TimeReader {
        TimeReader::new(&DatabaseOptions::default(), Tz::UTC, 1_760_000_000_000_000_000)
    }

    /// What one value becomes, or the error's kind and message.
    fn put(sql_type: SqlType, datum: Datum<'_>) -> std::result::Result<String, (ErrorKind, String)> {
        let mut column = ColumnBuilder::new(&sql_type, Precision::Microsecond);
        match column.push(datum, &mut times()) {
            Ok(()) => {
                let array = column.finish();
                Ok(arrow::util::display::array_value_to_string(&array, 0).unwrap())
            }
            Err(error) => {
                let error = error.for_column("c", &sql_type.display_name());
                Err((error.kind, error.message))
            }
        }
    }

    fn text(text: &str) -> Datum<'_> {
        Datum::Text(text.as_bytes())
    }

    #[test]
    fn values_are_assigned_as_postgres_does() {
        let decimal = |mantissa, scale| Datum::Decimal(number::Decimal { mantissa, scale });
        for (sql_type, datum, expected) in [
            (SqlType::SmallInt, Datum::Integer(-7), "-7"),
            (SqlType::Integer, decimal(25, 1), "3"),
            (SqlType::Integer, Datum::Double(2.5), "2"),
            (SqlType::BigInt, text(" 12 "), "12"),
            (SqlType::Real, decimal(103, 1), "10.3"),
            (SqlType::Double, Datum::Number("1e-3"), "0.001"),
            (
                SqlType::Numeric { precision: 8, scale: 2 },
                Datum::Double(1.005),
                "1.01",
            ),
            (
                SqlType::Numeric { precision: 8, scale: 2 },
                Datum::Numeric(Numeric::new(12_345, -3)),
                "12.35",
            ),
            (SqlType::Text, Datum::Integer(7), "7"),
            (SqlType::Text, decimal(-5, 2), "-0.05"),
            (SqlType::Varchar(3), text("äöü  "), "äöü"),
            (SqlType::Char(5), text("ab   "), "ab"),
            (SqlType::Boolean, text(" YES"), "true"),
            (SqlType::Boolean, text("of"), "false"),
            (SqlType::Bytea, text("\\x0aFF"), "0aff"),
            (SqlType::Bytea, text("a\\\\\\001"), "615c01"),
            (SqlType::Jsonb, text("{\"a\": [1, null]}"), "{\"a\": [1, null]}"),
            (SqlType::Date, text("2026-01-02"), "2026-01-02"),
            (SqlType::Timestamptz, Datum::Instant(0), "2000-01-01T00:00:00Z"),
            (SqlType::Timestamp, Datum::Date(1), "1970-01-02T00:00:00"),
            (SqlType::Timestamptz, Datum::Integer(1_000_000), "1970-01-01T00:00:01Z"),
        ] {
            assert_eq!(put(sql_type, datum).as_deref(), Ok(expected), "{sql_type:?} {datum:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_in_the_words_of_postgres() {
        use ErrorKind::*;
        for (sql_type, datum, kind, message) in [
            (
                SqlType::SmallInt,
                Datum::Integer(40_000),
                NumericValueOutOfRange,
                "smallint out of range",
            ),
            (
                SqlType::Integer,
                Datum::Integer(1 << 40),
                NumericValueOutOfRange,
                "integer out of range",
            ),
            (
                SqlType::Integer,
                Datum::Double(f64::NAN),
                NumericValueOutOfRange,
                "integer out of range",
            ),
            (
                SqlType::Integer,
                text("x"),
                InvalidTextRepresentation,
                "invalid input syntax for type integer: \"x\"",
            ),
            (
                SqlType::Integer,
                Datum::Boolean(true),
                DatatypeMismatch,
                "column \"c\" is of type integer but expression is of type boolean",
            ),
            (
                SqlType::Boolean,
                Datum::Integer(1),
                DatatypeMismatch,
                "column \"c\" is of type boolean but expression is of type integer",
            ),
            (
                SqlType::Varchar(3),
                text("abcd"),
                StringDataRightTruncation,
                "value too long for type character varying(3)",
            ),
            (
                SqlType::Boolean,
                text("o"),
                InvalidTextRepresentation,
                "invalid input syntax for type boolean: \"o\"",
            ),
            (
                SqlType::Bytea,
                text("\\xg0"),
                InvalidParameterValue,
                "invalid hexadecimal digit: \"g\"",
            ),
            (
                SqlType::Bytea,
                text("\\x0"),
                InvalidParameterValue,
                "invalid hexadecimal data: odd number of digits",
            ),
            (
                SqlType::Bytea,
                text("\\9"),
                InvalidTextRepresentation,
                "invalid input syntax for type bytea",
            ),
            (
                SqlType::Jsonb,
                text("{"),
                InvalidTextRepresentation,
                "invalid input syntax for type json",
            ),
            (
                SqlType::Text,
                Datum::Text(b"a\xff"),
                CharacterNotInRepertoire,
                "invalid byte sequence for encoding \"UTF8\": 0xff",
            ),
            (
                SqlType::Text,
                Datum::Text(b"a\0"),
                CharacterNotInRepertoire,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            ),
            (
                SqlType::Real,
                Datum::Double(1e300),
                NumericValueOutOfRange,
                "real out of range",
            ),
        ] {
            assert_eq!(
                put(sql_type, datum),
                Err((kind, message.to_owned())),
                "{sql_type:?} {datum:?}"
            );
        }
    }

    #[test]
    fn columns_named_late_are_padded_with_nulls() {
        let mut column = ColumnBuilder::new(&SqlType::Integer, Precision::Microsecond);
        column.pad(2);
        column.push(Datum::Integer(5), &mut times()).unwrap();
        column.pad(4);
        let array = column.finish();
        assert_eq!((array.len(), array.null_count()), (4, 3));
        assert!(column.is_empty());
    }
}
