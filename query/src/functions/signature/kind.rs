//! The types that arguments and results of functions have, and which values fit them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

use crate::functions::numeric::NUMERIC;
use crate::pg_type::{self, oid};

/// Types that arguments and results have.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    Int4,
    Int8,
    Float8,
    /// Of any precision and scale.
    Numeric,
    /// Result: a numeric without digits after the point.
    Whole,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Json,
    Jsonb,
    /// PostgreSQL's `void`: an empty text.
    Void,
    /// Any value, as it comes.
    Any,
    /// Any array, as it comes.
    AnyArray,
    /// A value of the type of the elements of the first array among the arguments.
    Element,
    /// An array of such a type; as a result also of texts and the like.
    ArrayOf(&'static Kind),
    /// Result: what is under all dimensions of the first array.
    Innermost,
    /// Result: what the argument at this place is.
    As(usize),
    /// Result: an array of what the argument at this place is.
    ListOf(usize),
}

pub(super) fn element_of(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type().clone())
        }
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// A column's decimals and numerics without a scale.
fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..)) || *data_type == NUMERIC
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == NUMERIC
}

impl Kind {
    /// The cast from a type: 0 is none, `None` is impossible.
    pub(super) fn cost(self, data_type: &DataType, element: Option<&DataType>) -> Option<u32> {
        use DataType as D;
        if let D::Dictionary(_, values) = data_type {
            return self.cost(values, element);
        }
        if *data_type == D::Null {
            return Some(1);
        }
        // A quoted literal may be anything, a text above all.
        let read = |kind: Kind| (is_text(data_type) && kind.oid().is_some()).then_some(6);
        match (self, data_type) {
            (Kind::Any, _) => Some(8),
            (Kind::AnyArray, D::List(_) | D::LargeList(_) | D::FixedSizeList(..)) => Some(0),
            (Kind::AnyArray, _) if is_text(data_type) && element.is_some() => Some(3),
            (Kind::Element, _) => match element {
                Some(element) if element == data_type => Some(0),
                Some(element) if is_text(element) && is_text(data_type) => Some(0),
                Some(element) if is_text(data_type) && !is_text(element) => Some(3),
                Some(element) if is_number(element) && is_number(data_type) => Some(1),
                Some(D::Null) => Some(1),
                Some(D::Timestamp(..)) => matches!(data_type, D::Timestamp(..) | D::Date32).then_some(1),
                _ => None,
            },
            (Kind::ArrayOf(kind), D::List(_) | D::LargeList(_) | D::FixedSizeList(..)) => {
                element_of(data_type).and_then(|item| kind.cost(&item, None))
            }
            (Kind::ArrayOf(_), _) if is_text(data_type) => Some(6),
            (Kind::Bool, D::Boolean)
            | (Kind::Int4, D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16)
            | (Kind::Int8, D::Int64 | D::UInt32 | D::UInt64)
            | (Kind::Float8, D::Float64)
            | (Kind::Bytes, D::Binary | D::BinaryView | D::FixedSizeBinary(_))
            | (Kind::Date, D::Date32 | D::Date64)
            | (Kind::Time, D::Time32(_) | D::Time64(_))
            | (Kind::Timestamp, D::Timestamp(_, None))
            | (Kind::Timestamptz, D::Timestamp(_, Some(_)))
            | (Kind::Interval, D::Interval(_) | D::Duration(_)) => Some(0),
            (Kind::Numeric, _) if is_decimal(data_type) => Some(0),
            (Kind::Text | Kind::Json | Kind::Jsonb, _) if is_text(data_type) => Some(0),
            (Kind::Int8, D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16) => Some(1),
            (Kind::Int4, D::Int64) => Some(5),
            (Kind::Numeric, _) if data_type.is_integer() => Some(3),
            (Kind::Float8, D::Float16 | D::Float32) => Some(1),
            // The preferred type of numbers.
            (Kind::Float8, _) if data_type.is_integer() => Some(2),
            (Kind::Float8, _) if is_decimal(data_type) => Some(2),
            (Kind::Timestamp, D::Date32 | D::Date64) => Some(2),
            (Kind::Timestamptz, D::Date32 | D::Date64) => Some(1),
            (Kind::Timestamptz, D::Timestamp(_, None)) => Some(2),
            (Kind::Interval, D::Time32(_) | D::Time64(_)) => Some(2),
            (kind, _) => read(kind),
        }
    }

    /// The OID of a plain type that literals can be read as.
    pub(super) fn oid(self) -> Option<u32> {
        Some(match self {
            Kind::Bool => oid::BOOL,
            Kind::Int4 => oid::INT4,
            Kind::Int8 => oid::INT8,
            Kind::Float8 => oid::FLOAT8,
            Kind::Numeric | Kind::Whole => oid::NUMERIC,
            Kind::Text => oid::TEXT,
            Kind::Bytes => oid::BYTEA,
            Kind::Date => oid::DATE,
            Kind::Time => oid::TIME,
            Kind::Timestamp => oid::TIMESTAMP,
            Kind::Timestamptz => oid::TIMESTAMPTZ,
            Kind::Interval => oid::INTERVAL,
            Kind::Json => oid::JSON,
            Kind::Jsonb => oid::JSONB,
            Kind::ArrayOf(kind) => return pg_type::array_oid(kind.oid()?),
            _ => return None,
        })
    }

    /// The Arrow type that an argument of `data_type` is cast to before the call.
    pub(super) fn argument(self, data_type: &DataType, element: Option<&DataType>) -> DataType {
        if *data_type == DataType::Null {
            return match self.oid().and_then(pg_type::arrow_type) {
                Some(known) => known,
                None => DataType::Null,
            };
        }
        if is_text(data_type) {
            // Read at the call, where the type is another.
            return DataType::Utf8View;
        }
        if *data_type == NUMERIC || matches!(self, Kind::Element) && element == Some(&NUMERIC) {
            // Converted at the call.
            return data_type.clone();
        }
        match self {
            Kind::Numeric if is_decimal(data_type) => data_type.clone(),
            Kind::Numeric => DataType::Decimal128(20, 0),
            Kind::Any => data_type.clone(),
            Kind::AnyArray => element_of(data_type).map_or(data_type.clone(), list_of),
            Kind::Element => match element {
                Some(DataType::Null) | None => data_type.clone(),
                Some(element) => element.clone(),
            },
            Kind::ArrayOf(kind) => list_of(kind.argument(&element_of(data_type).unwrap_or(DataType::Null), None)),
            kind => kind.plain(),
        }
    }

    /// The Arrow type of values of this kind.
    pub(super) fn plain(self) -> DataType {
        match self {
            Kind::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::ArrayOf(kind) => list_of(kind.plain()),
            Kind::Void => DataType::Utf8View,
            kind => kind.oid().and_then(pg_type::arrow_type).unwrap_or(DataType::Utf8View),
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// The field of the elements under all dimensions.
pub(super) fn innermost(field: &Field) -> Field {
    match field.data_type() {
        DataType::List(item) => innermost(item),
        _ => field.clone(),
    }
}
