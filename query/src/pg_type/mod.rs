//! PostgreSQL's types and Arrow's: which OID a column has, and values from their text and binary forms.
//!
//! Which Arrow array carries which PostgreSQL type in a result:
//!
//! | Arrow | OID | type |
//! |---|---|---|
//! | Boolean | 16 | bool |
//! | Int8, UInt8, Int16 | 21 | int2 |
//! | UInt16, Int32 | 23 | int4 |
//! | Int64, UInt64 | 20 | int8 |
//! | UInt32 | 26 | oid |
//! | Float16, Float32 | 700 | float4 |
//! | Float64 | 701 | float8 |
//! | Decimal32/64/128/256, LargeBinary (`numeric/`) | 1700 | numeric |
//! | Utf8, LargeUtf8, Utf8View | 25 | text |
//! | Binary, BinaryView, FixedSizeBinary | 17 | bytea |
//! | Date32, Date64 | 1082 | date |
//! | Time32, Time64 | 1083 | time |
//! | Timestamp without zone, any unit | 1114 | timestamp |
//! | Timestamp with zone, any unit (the zone is only a mark: values count from 1970 UTC) | 1184 | timestamptz |
//! | Interval of any unit, Duration of any unit | 1186 | interval |
//! | Struct | 2249 | record |
//! | List, LargeList, FixedSizeList, ListView of one of these | its array type | |
//! | Dictionary | as its values | |
//! | Null | 25 | text |
//!
//! Where that is not the whole truth, the field's metadata names the OID under [`PG_TYPE_KEY`]: text arrays can be varchar, bpchar, name, "char",
//! json, jsonb, uuid or the name of an object (regclass, regtype, regproc …); UInt32 and Int32 can be other kinds of oid; a struct of an OID
//! and a name is an object on its way to a client.
//! Leaves to others: how a result value is written (the wire).

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use bytes::Bytes;

pub mod array;
mod decode;
mod interval;
pub mod json;
pub mod numeric;
pub mod time;
pub mod write;

pub use decode::{decode_parameter, parse_literal};
pub use interval::of_duration;
pub(crate) use interval::parse_interval;

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

/// Key of a field's metadata that names its PostgreSQL type where Arrow cannot tell: a decimal OID.
pub const PG_TYPE_KEY: &str = "pg_type";

/// OIDs of PostgreSQL's built-in types, as in its `pg_type.dat`; they never change.
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT2_VECTOR: u32 = 22;
    pub const INT4: u32 = 23;
    pub const REGPROC: u32 = 24;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const OID_VECTOR: u32 = 30;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const REGCLASS: u32 = 2205;
    pub const REGTYPE: u32 = 2206;
    pub const RECORD: u32 = 2249;
    pub const VOID: u32 = 2278;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
    pub const REGNAMESPACE: u32 = 4089;
    pub const REGROLE: u32 = 4096;
}

/// A type that columns, results and parameters can have.
struct TypeEntry {
    oid: u32,
    /// OID of its array type.
    array_oid: u32,
    /// Bytes, -1 where it varies.
    size: i16,
    /// As errors and `format_type` name it.
    name: &'static str,
}

const fn entry(oid: u32, array_oid: u32, size: i16, name: &'static str) -> TypeEntry {
    TypeEntry {
        oid,
        array_oid,
        size,
        name,
    }
}

/// Every type known here, by OID.
const TYPES: &[TypeEntry] = &[
    entry(oid::BOOL, 1000, 1, "boolean"),
    entry(oid::BYTEA, 1001, -1, "bytea"),
    entry(oid::CHAR, 1002, 1, "\"char\""),
    entry(oid::NAME, 1003, 64, "name"),
    entry(oid::INT8, 1016, 8, "bigint"),
    entry(oid::INT2, 1005, 2, "smallint"),
    entry(oid::INT2_VECTOR, 1006, -1, "int2vector"),
    entry(oid::INT4, 1007, 4, "integer"),
    entry(oid::REGPROC, 1008, 4, "regproc"),
    entry(oid::TEXT, 1009, -1, "text"),
    entry(oid::OID, 1028, 4, "oid"),
    entry(oid::OID_VECTOR, 1013, -1, "oidvector"),
    entry(oid::JSON, 199, -1, "json"),
    entry(oid::FLOAT4, 1021, 4, "real"),
    entry(oid::FLOAT8, 1022, 8, "double precision"),
    entry(oid::BPCHAR, 1014, -1, "character"),
    entry(oid::VARCHAR, 1015, -1, "character varying"),
    entry(oid::DATE, 1182, 4, "date"),
    entry(oid::TIME, 1183, 8, "time"),
    entry(oid::TIMESTAMP, 1115, 8, "timestamp"),
    entry(oid::TIMESTAMPTZ, 1185, 8, "timestamp with time zone"),
    entry(oid::INTERVAL, 1187, 16, "interval"),
    entry(oid::NUMERIC, 1231, -1, "numeric"),
    entry(oid::REGCLASS, 2210, 4, "regclass"),
    entry(oid::REGTYPE, 2211, 4, "regtype"),
    entry(oid::UUID, 2951, 16, "uuid"),
    entry(oid::JSONB, 3807, -1, "jsonb"),
    entry(oid::REGNAMESPACE, 4090, 4, "regnamespace"),
    entry(oid::REGROLE, 4097, 4, "regrole"),
];

fn find(oid: u32) -> Option<&'static TypeEntry> {
    TYPES.iter().find(|entry| entry.oid == oid)
}

/// Types whose values are OIDs that are shown as names.
pub fn is_object_name(oid: u32) -> bool {
    matches!(
        oid,
        oid::REGPROC | oid::REGCLASS | oid::REGTYPE | oid::REGNAMESPACE | oid::REGROLE
    )
}

/// The element type of an array type.
pub fn element_oid(array_oid: u32) -> Option<u32> {
    TYPES
        .iter()
        .find(|entry| entry.array_oid == array_oid)
        .map(|entry| entry.oid)
}

/// The array type of an element type.
pub fn array_oid(element_oid: u32) -> Option<u32> {
    find(element_oid).map(|entry| entry.array_oid)
}

/// A type's name as errors print it: `integer`, `timestamp with time zone`, `text[]`.
pub fn type_name(oid: u32) -> String {
    match (find(oid), element_oid(oid).and_then(find)) {
        (Some(entry), _) => entry.name.to_string(),
        (None, Some(element)) => format!("{}[]", element.name),
        (None, None) => format!("type {oid}"),
    }
}

/// RowDescription's size of a type: bytes, or -1 where it varies.
pub fn type_size(oid: u32) -> i16 {
    find(oid).map_or(-1, |entry| entry.size)
}

/// The OID of a result column.
pub fn field_oid(field: &Field) -> u32 {
    let named = field.metadata().get(PG_TYPE_KEY).and_then(|oid| oid.parse().ok());
    match named {
        // A cast can carry its source's metadata along: believe it only where the array fits.
        Some(oid) if fits(oid, field.data_type()) => oid,
        _ => data_type_oid(field.data_type()),
    }
}

/// Whether values of this OID can be held by arrays of this type.
fn fits(oid: u32, data_type: &DataType) -> bool {
    match arrow_type(oid) {
        None => false,
        Some(expected) => {
            let text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            let whole = |t: &DataType| matches!(t, DataType::Int32 | DataType::UInt32 | DataType::Int64);
            match data_type {
                DataType::Dictionary(_, values) => fits(oid, values),
                // Names of objects travel as text, their numbers as integers, both as structs.
                _ if is_object_name(oid) => {
                    text(data_type) || matches!(data_type, DataType::UInt32 | DataType::Struct(_))
                }
                _ if oid == oid::OID => whole(data_type),
                _ => {
                    expected == *data_type
                        || (text(&expected) && text(data_type))
                        || data_type_oid(data_type) == data_type_oid(&expected)
                }
            }
        }
    }
}

/// The OID of an array type where no metadata says more.
pub fn data_type_oid(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Boolean => oid::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => oid::INT2,
        DataType::UInt16 | DataType::Int32 => oid::INT4,
        DataType::Int64 | DataType::UInt64 => oid::INT8,
        DataType::UInt32 => oid::OID,
        DataType::Float16 | DataType::Float32 => oid::FLOAT4,
        DataType::Float64 => oid::FLOAT8,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::LargeBinary => oid::NUMERIC,
        DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => oid::BYTEA,
        DataType::Date32 | DataType::Date64 => oid::DATE,
        DataType::Time32(_) | DataType::Time64(_) => oid::TIME,
        DataType::Timestamp(_, None) => oid::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => oid::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => oid::INTERVAL,
        DataType::Dictionary(_, values) => data_type_oid(values),
        DataType::Struct(_) => oid::RECORD,
        // An array of arrays is one of several dimensions.
        DataType::List(element) if matches!(element.data_type(), DataType::List(_)) => field_oid(element),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => array_oid(field_oid(element)).unwrap_or(1009),
        _ => oid::TEXT,
    }
}

/// The mark of a `timestamptz`: values count from 1970 UTC whatever the session's zone.
pub fn utc() -> std::sync::Arc<str> {
    "UTC".into()
}

/// `timestamptz` and `timestamp` as expressions have them; columns have the unit of their database.
pub fn timestamptz_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(utc()))
}

/// The Arrow type whose arrays hold values of a PostgreSQL type; `None` for types that are not known.
pub fn arrow_type(oid: u32) -> Option<DataType> {
    if let Some(element) = element_oid(oid) {
        let element = Field::new("item", arrow_type(element)?, true);
        return Some(DataType::List(element.into()));
    }
    Some(match oid {
        oid::BOOL => DataType::Boolean,
        oid::BYTEA => DataType::BinaryView,
        oid::INT8 => DataType::Int64,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::OID => DataType::UInt32,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => DataType::LargeBinary,
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => timestamptz_type(),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        oid::INT2_VECTOR => DataType::List(Field::new("item", DataType::Int16, true).into()),
        oid::OID_VECTOR => DataType::List(Field::new("item", DataType::UInt32, true).into()),
        oid::CHAR
        | oid::NAME
        | oid::TEXT
        | oid::UNKNOWN
        | oid::JSON
        | oid::BPCHAR
        | oid::VARCHAR
        | oid::UUID
        | oid::VOID
        | oid::JSONB => DataType::Utf8View,
        // Their names are for clients: `plan/object_names.rs`.
        oid::REGPROC | oid::REGCLASS | oid::REGTYPE | oid::REGNAMESPACE | oid::REGROLE => DataType::UInt32,
        _ => return None,
    })
}

/// Key of a field's metadata: the characters of a `character(n)`. Its values are held without trailing blanks, so that they compare and are
/// measured as PostgreSQL does it; what is sent has them.
const LENGTH_KEY: &str = "pg_length";

/// Metadata that marks a field as `character(n)`.
pub fn padded_metadata(length: u32) -> std::collections::HashMap<String, String> {
    let mut metadata = type_metadata(oid::BPCHAR);
    metadata.insert(LENGTH_KEY.to_string(), length.to_string());
    metadata
}

/// A result column's type modifier, as far as its field tells; -1 is none.
pub fn field_modifier(field: &Field) -> i32 {
    let length = field
        .metadata()
        .get(LENGTH_KEY)
        .and_then(|length| length.parse::<i32>().ok());
    let length = length.filter(|_| field_oid(field) == oid::BPCHAR);
    length.and_then(|length| length.checked_add(4)).unwrap_or(-1)
}

/// Metadata that marks a field as being of this type.
pub fn type_metadata(oid: u32) -> std::collections::HashMap<String, String> {
    [(PG_TYPE_KEY.to_string(), oid.to_string())].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back_from_its_arrow_form() {
        for entry in TYPES {
            let data_type = arrow_type(entry.oid).expect("a known type");
            let field = Field::new("x", data_type.clone(), true).with_metadata(type_metadata(entry.oid));
            if !matches!(entry.oid, oid::INT2_VECTOR | oid::OID_VECTOR) {
                assert_eq!(field_oid(&field), entry.oid, "{}", entry.name);
            }
        }
    }

    #[test]
    fn a_cast_does_not_keep_the_type_of_its_source() {
        let field = Field::new("x", DataType::Int32, true).with_metadata(type_metadata(oid::JSONB));
        assert_eq!(field_oid(&field), oid::INT4);
        let list = DataType::List(Field::new("item", DataType::Utf8, true).into());
        assert_eq!(data_type_oid(&list), 1009);
    }
}
