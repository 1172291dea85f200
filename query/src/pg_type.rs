//! PostgreSQL's types and Arrow's: which OID a column has, and values from their text and binary forms.

use bytes::Bytes;

/// How a value travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

/// A Bind parameter as it came; `None` is NULL.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub format: Format,
    pub value: Option<Bytes>,
}

use crate::QueryError;
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;

/// Key of a field's metadata that names its PostgreSQL type where Arrow cannot tell: a decimal OID.
pub const PG_TYPE_KEY: &str = "pg_type";

/// The OID of a result column.
pub fn field_oid(field: &Field) -> u32 {
    let _ = field;
    todo!()
}

/// The Arrow type whose arrays hold values of a PostgreSQL type; `None` for types that are not known.
pub fn arrow_type(oid: u32) -> Option<DataType> {
    let _ = oid;
    todo!()
}

/// RowDescription's size of a type: bytes, or -1 where it varies.
pub fn type_size(oid: u32) -> i16 {
    let _ = oid;
    todo!()
}

/// The value of a Bind parameter of this type. Text times without a zone are read in `time_zone`.
pub fn decode_parameter(oid: u32, parameter: &Parameter, time_zone: chrono_tz::Tz) -> Result<ScalarValue, QueryError> {
    let _ = (oid, parameter, time_zone);
    todo!()
}
