//! System tables as lists of cells, and as the record batches that DataFusion reads. They are small, so they are built simply.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    ListArray, RecordBatch, StringViewArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, Schema, SchemaRef};
use datafusion::common::Result;

use crate::pg_type::PG_TYPE_KEY;

/// Type of a system table's column: PostgreSQL's, with the Arrow type that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Oid,
    /// The identifier type `name`.
    Name,
    Text,
    /// The one-byte type `"char"`.
    Char,
    Timestamptz,
    /// Microseconds.
    Interval,
    Varchar,
    Float8,
    Xid,
    /// Kept as its OID, shown as its name.
    Regproc,
    Regtype,
    Regclass,
    Regnamespace,
    Regrole,
    TextArray,
    NameArray,
    AclArray,
    OidArray,
    OidVector,
    Int2Vector,
    Int2Array,
    /// Of functions that answer nothing: an empty text.
    Void,
}

impl Kind {
    /// The kind that carries a type of PostgreSQL's system tables; what has no value here is text.
    pub fn of_type(name: &str) -> Kind {
        match name {
            "boolean" => Kind::Bool,
            "smallint" => Kind::Int2,
            "integer" => Kind::Int4,
            "bigint" => Kind::Int8,
            "real" => Kind::Float4,
            "doubleprecision" | "numeric" => Kind::Float8,
            "oid" => Kind::Oid,
            "xid" => Kind::Xid,
            "name" => Kind::Name,
            "char" => Kind::Char,
            "charactervarying" => Kind::Varchar,
            "timestampwithtimezone" => Kind::Timestamptz,
            "interval" => Kind::Interval,
            "regproc" => Kind::Regproc,
            "regtype" => Kind::Regtype,
            "name[]" => Kind::NameArray,
            "aclitem[]" => Kind::AclArray,
            "oid[]" => Kind::OidArray,
            "oidvector" => Kind::OidVector,
            "int2vector" => Kind::Int2Vector,
            "smallint[]" => Kind::Int2Array,
            list if list.ends_with("[]") || list == "anyarray" => Kind::TextArray,
            _ => Kind::Text,
        }
    }

    fn arrow_type(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int2 => DataType::Int16,
            Kind::Int4 => DataType::Int32,
            Kind::Int8 => DataType::Int64,
            Kind::Float4 => DataType::Float32,
            Kind::Float8 => DataType::Float64,
            Kind::Oid
            | Kind::Xid
            | Kind::Regproc
            | Kind::Regtype
            | Kind::Regclass
            | Kind::Regnamespace
            | Kind::Regrole => DataType::UInt32,
            Kind::Name | Kind::Text | Kind::Char | Kind::Varchar | Kind::Void => DataType::Utf8View,
            Kind::Interval => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            Kind::Timestamptz => DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into())),
            Kind::TextArray | Kind::NameArray | Kind::AclArray => DataType::List(item(DataType::Utf8View)),
            Kind::OidArray | Kind::OidVector => DataType::List(item(DataType::UInt32)),
            Kind::Int2Vector | Kind::Int2Array => DataType::List(item(DataType::Int16)),
        }
    }

    pub fn oid(self) -> u32 {
        match self {
            Kind::Bool => 16,
            Kind::Int2 => 21,
            Kind::Int4 => 23,
            Kind::Int8 => 20,
            Kind::Float4 => 700,
            Kind::Oid => 26,
            Kind::Name => 19,
            Kind::Text => 25,
            Kind::Char => 18,
            Kind::Timestamptz => 1184,
            Kind::Interval => 1186,
            Kind::Varchar => 1043,
            Kind::Float8 => 701,
            Kind::Xid => 28,
            Kind::Regproc => 24,
            Kind::Regtype => 2206,
            Kind::Regclass => 2205,
            Kind::Regnamespace => 4089,
            Kind::Regrole => 4096,
            Kind::TextArray => 1009,
            Kind::NameArray => 1003,
            Kind::AclArray => 1034,
            Kind::OidArray => 1028,
            Kind::OidVector => 30,
            Kind::Int2Vector => 22,
            Kind::Int2Array => 1005,
            Kind::Void => 2278,
        }
    }
}

pub(super) fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(data_type, true))
}

/// A value of a system table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    /// For Int2, Int4, Int8, Oid and Float4 columns.
    Number(i64),
    /// For Name, Text and Char columns.
    Text(String),
    /// For Int2Vector, Int2Array and OidArray columns.
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Cell {
        Cell::Number(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Cell {
        Cell::Number(i64::from(value))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Cell {
        Cell::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Cell {
        Cell::Text(value)
    }
}

/// A column: name and type.
pub(super) type ColumnDef = (&'static str, Kind);

pub(super) fn schema(columns: &[ColumnDef]) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(|(name, kind)| field(name, *kind)).collect();
    Arc::new(Schema::new(fields))
}

/// A nullable field of this kind; its metadata names PostgreSQL's type.
pub(super) fn field(name: &str, kind: Kind) -> Field {
    let metadata = HashMap::from([(PG_TYPE_KEY.to_owned(), kind.oid().to_string())]);
    Field::new(name, kind.arrow_type(), true).with_metadata(metadata)
}

/// Rows as a batch. A row shorter than the columns is filled with nulls, a cell of another kind reads as null.
pub(super) fn batch(columns: &[ColumnDef], rows: &[Vec<Cell>]) -> Result<RecordBatch> {
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(position, (_, kind))| {
            let cells: Vec<&Cell> = rows
                .iter()
                .map(|row| row.get(position).unwrap_or(&Cell::Null))
                .collect();
            array(*kind, &cells)
        })
        .collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(schema(columns), arrays, &options)?)
}

fn array(kind: Kind, cells: &[&Cell]) -> ArrayRef {
    match kind {
        Kind::Bool => Arc::new(BooleanArray::from_iter(cells.iter().map(|cell| match cell {
            Cell::Bool(value) => Some(*value),
            _ => None,
        }))),
        Kind::Int2 => Arc::new(Int16Array::from_iter(cells.iter().map(|cell| number(cell)))),
        Kind::Int4 => Arc::new(Int32Array::from_iter(cells.iter().map(|cell| number(cell)))),
        Kind::Int8 => Arc::new(Int64Array::from_iter(cells.iter().map(|cell| number(cell)))),
        Kind::Oid | Kind::Xid | Kind::Regproc | Kind::Regtype | Kind::Regclass | Kind::Regnamespace | Kind::Regrole => {
            Arc::new(UInt32Array::from_iter(cells.iter().map(|cell| number(cell))))
        }
        Kind::Float4 => Arc::new(Float32Array::from_iter(
            cells.iter().map(|cell| number::<i32>(cell).map(|value| value as f32)),
        )),
        Kind::Float8 => Arc::new(Float64Array::from_iter(
            cells.iter().map(|cell| number::<i64>(cell).map(|value| value as f64)),
        )),
        Kind::Interval => Arc::new(IntervalMonthDayNanoArray::from_iter(cells.iter().map(|cell| {
            let microseconds: i64 = number(cell)?;
            Some(IntervalMonthDayNano::new(0, 0, microseconds.saturating_mul(1_000)))
        }))),
        Kind::Timestamptz => {
            let values = cells.iter().map(|cell| number::<i64>(cell));
            Arc::new(arrow::array::TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
        }
        Kind::Name | Kind::Text | Kind::Char | Kind::Varchar | Kind::Void => {
            Arc::new(StringViewArray::from_iter(cells.iter().map(|cell| match cell {
                Cell::Text(value) => Some(value.as_str()),
                _ => None,
            })))
        }
        Kind::TextArray | Kind::NameArray | Kind::AclArray => list(
            cells,
            DataType::Utf8View,
            |cell| match cell {
                Cell::Texts(values) => Some(values.as_slice()),
                _ => None,
            },
            |values| Arc::new(StringViewArray::from_iter_values(values)),
        ),
        Kind::OidArray | Kind::OidVector => list(cells, DataType::UInt32, numbers, |values| {
            Arc::new(UInt32Array::from_iter(
                values.into_iter().map(|value| u32::try_from(*value).ok()),
            ))
        }),
        Kind::Int2Vector | Kind::Int2Array => list(cells, DataType::Int16, numbers, |values| {
            Arc::new(Int16Array::from_iter(
                values.into_iter().map(|value| i16::try_from(*value).ok()),
            ))
        }),
    }
}

fn number<T: TryFrom<i64>>(cell: &Cell) -> Option<T> {
    match cell {
        Cell::Number(value) => T::try_from(*value).ok(),
        _ => None,
    }
}

fn numbers(cell: &Cell) -> Option<&[i64]> {
    match cell {
        Cell::Numbers(values) => Some(values),
        _ => None,
    }
}

fn list<'a, T: 'a>(
    cells: &[&'a Cell],
    item_type: DataType,
    values_of: impl Fn(&'a Cell) -> Option<&'a [T]>,
    build: impl Fn(Vec<&'a T>) -> ArrayRef,
) -> ArrayRef {
    let lists: Vec<Option<&[T]>> = cells.iter().map(|cell| values_of(cell)).collect();
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(|values| values.map_or(0, <[T]>::len)));
    let nulls = NullBuffer::from_iter(lists.iter().map(Option::is_some));
    let values = build(lists.into_iter().flatten().flatten().collect());
    Arc::new(ListArray::new(item(item_type), offsets, values, Some(nulls)))
}
