//! The SQL types a column or tag can have, with their Arrow form and PostgreSQL's names and OIDs.

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::Precision;

/// Type of a column or tag. TDengine's further types become the next wider of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    /// `numeric(precision, scale)`; at most 38 digits. Plain `numeric` is (38, 10).
    Numeric {
        precision: u8,
        scale: i8,
    },
    Text,
    /// Characters at most, counted as Unicode scalar values.
    Varchar(u32),
    /// As `Varchar`; trailing spaces mean nothing.
    Char(u32),
    Bytea,
    Timestamptz,
    Timestamp,
    Date,
    Jsonb,
}

impl SqlType {
    /// The array type that holds values of this column in a database of this precision.
    pub fn arrow_type(&self, precision: Precision) -> DataType {
        match self {
            SqlType::Boolean => DataType::Boolean,
            SqlType::SmallInt => DataType::Int16,
            SqlType::Integer => DataType::Int32,
            SqlType::BigInt => DataType::Int64,
            SqlType::Real => DataType::Float32,
            SqlType::Double => DataType::Float64,
            SqlType::Numeric { precision, scale } => DataType::Decimal128(*precision, *scale),
            SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Jsonb => DataType::Utf8View,
            SqlType::Bytea => DataType::BinaryView,
            SqlType::Timestamptz => DataType::Timestamp(precision.unit(), Some("UTC".into())),
            SqlType::Timestamp => DataType::Timestamp(precision.unit(), None),
            SqlType::Date => DataType::Date32,
        }
    }

    /// PostgreSQL's type OID.
    pub fn oid(&self) -> u32 {
        match self {
            SqlType::Boolean => 16,
            SqlType::SmallInt => 21,
            SqlType::Integer => 23,
            SqlType::BigInt => 20,
            SqlType::Real => 700,
            SqlType::Double => 701,
            SqlType::Numeric { .. } => 1700,
            SqlType::Text => 25,
            SqlType::Varchar(_) => 1043,
            SqlType::Char(_) => 1042,
            SqlType::Bytea => 17,
            SqlType::Timestamptz => 1184,
            SqlType::Timestamp => 1114,
            SqlType::Date => 1082,
            SqlType::Jsonb => 3802,
        }
    }

    /// PostgreSQL's type modifier: -1 when the type has none.
    pub fn type_modifier(&self) -> i32 {
        match self {
            // 4 is the size of the length word that PostgreSQL counts along.
            SqlType::Varchar(n) | SqlType::Char(n) => i32::try_from(*n).map_or(-1, |n| n + 4),
            SqlType::Numeric { precision, scale } => ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4,
            _ => -1,
        }
    }

    /// PostgreSQL's name for it, as `format_type` prints it.
    pub fn display_name(&self) -> String {
        match self {
            SqlType::Boolean => "boolean".into(),
            SqlType::SmallInt => "smallint".into(),
            SqlType::Integer => "integer".into(),
            SqlType::BigInt => "bigint".into(),
            SqlType::Real => "real".into(),
            SqlType::Double => "double precision".into(),
            SqlType::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
            SqlType::Text => "text".into(),
            SqlType::Varchar(n) => format!("character varying({n})"),
            SqlType::Char(n) => format!("character({n})"),
            SqlType::Bytea => "bytea".into(),
            SqlType::Timestamptz => "timestamp with time zone".into(),
            SqlType::Timestamp => "timestamp without time zone".into(),
            SqlType::Date => "date".into(),
            SqlType::Jsonb => "jsonb".into(),
        }
    }
}

impl Precision {
    fn unit(self) -> TimeUnit {
        match self {
            Precision::Millisecond => TimeUnit::Millisecond,
            Precision::Microsecond => TimeUnit::Microsecond,
            Precision::Nanosecond => TimeUnit::Nanosecond,
        }
    }
}
