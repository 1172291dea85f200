//! SQL's type names to Arrow types, as PostgreSQL means them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType as SqlType, ExactNumberInfo, Ident, ObjectName, TimezoneInfo,
};

use super::errors;
use crate::functions::numeric::NUMERIC;
use crate::pg_type::{self, oid};
use crate::{ErrorKind, QueryError};

/// PostgreSQL's own limit of `character(n)`: all of them are sent.
const CHARACTERS_MAX: u32 = 10_485_760;

/// DataFusion's hook for type names.
#[derive(Debug)]
pub struct PgTypes;

impl TypePlanner for PgTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> DfResult<Option<FieldRef>> {
        Ok(Some(field(sql_type).map_err(errors::wrap)?))
    }
}

/// The field that a cast to this type gives: its metadata names the type where Arrow cannot.
pub fn field(sql_type: &SqlType) -> Result<FieldRef, QueryError> {
    if let SqlType::Array(element) = sql_type {
        let element = match element {
            ArrayElemTypeDef::SquareBracket(element, _)
            | ArrayElemTypeDef::AngleBracket(element)
            | ArrayElemTypeDef::Parenthesis(element) => field(element)?,
            ArrayElemTypeDef::None => return Err(undefined(sql_type)),
        };
        let element = element.as_ref().clone().with_name("item");
        return Ok(Arc::new(Field::new("", DataType::List(element.into()), true)));
    }
    let data_type = match sql_type {
        SqlType::Numeric(info) | SqlType::Decimal(info) | SqlType::Dec(info) => numeric(info)?,
        SqlType::Float(info) => match info {
            // PostgreSQL's bound between float4 and float8.
            ExactNumberInfo::Precision(1..=24) => DataType::Float32,
            _ => DataType::Float64,
        },
        SqlType::Interval { .. } => DataType::Interval(IntervalUnit::MonthDayNano),
        SqlType::Char(length) | SqlType::Character(length) => {
            let length = character_length(length);
            let refused = match length {
                0 => Some("length for type char must be at least 1"),
                1..=CHARACTERS_MAX => None,
                _ => Some("length for type char cannot exceed 10485760"),
            };
            if let Some(message) = refused {
                return Err(QueryError::new(ErrorKind::InvalidParameterValue, message));
            }
            let metadata = pg_type::padded_metadata(length);
            return Ok(Arc::new(
                Field::new("", DataType::Utf8View, true).with_metadata(metadata),
            ));
        }
        _ => {
            let oid = type_oid(sql_type).ok_or_else(|| undefined(sql_type))?;
            let data_type = pg_type::arrow_type(oid).ok_or_else(|| undefined(sql_type))?;
            let field = Field::new("", data_type, true);
            // Named always for text and OIDs: a cast without metadata keeps that of its source.
            let ambiguous = pg_type::data_type_oid(field.data_type()) != oid || matches!(oid, oid::TEXT | oid::OID);
            return Ok(Arc::new(match ambiguous {
                true => field.with_metadata(pg_type::type_metadata(oid)),
                false => field,
            }));
        }
    };
    Ok(Arc::new(Field::new("", data_type, true)))
}

/// The n of `character(n)`; without it, 1.
pub fn character_length(length: &Option<CharacterLength>) -> u32 {
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => u32::try_from(*length).unwrap_or(u32::MAX),
        _ => 1,
    }
}

fn undefined(sql_type: &SqlType) -> QueryError {
    QueryError::new(
        ErrorKind::UndefinedObject,
        format!("type \"{}\" does not exist", sql_type.to_string().to_lowercase()),
    )
}

fn numeric(info: &ExactNumberInfo) -> Result<DataType, QueryError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(NUMERIC),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let valid = u8::try_from(precision)
        .ok()
        .filter(|precision| (1..=38).contains(precision));
    let scale = i8::try_from(scale).ok().filter(|scale| *scale >= 0);
    match (valid, scale) {
        (Some(precision), Some(scale)) if u8::try_from(scale).is_ok_and(|scale| scale <= precision) => {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(QueryError::new(
            ErrorKind::InvalidParameterValue,
            format!("numeric precision {precision} must be between 1 and 38, its scale between 0 and the precision"),
        )),
    }
}

/// The OID of a type name, `None` where it is not known.
pub fn type_oid(sql_type: &SqlType) -> Option<u32> {
    Some(match sql_type {
        SqlType::Boolean | SqlType::Bool => oid::BOOL,
        SqlType::TinyInt(_) | SqlType::SmallInt(_) | SqlType::Int2(_) | SqlType::Int16 => oid::INT2,
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) | SqlType::Int32 => oid::INT4,
        SqlType::BigInt(_) | SqlType::Int8(_) | SqlType::Int64 => oid::INT8,
        SqlType::Real | SqlType::Float4 | SqlType::Float32 => oid::FLOAT4,
        SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float8 | SqlType::Float64 => oid::FLOAT8,
        SqlType::Float(_) => oid::FLOAT8,
        SqlType::Numeric(_) | SqlType::Decimal(_) | SqlType::Dec(_) => oid::NUMERIC,
        SqlType::Varchar(_) | SqlType::CharacterVarying(_) | SqlType::CharVarying(_) | SqlType::Nvarchar(_) => {
            oid::VARCHAR
        }
        SqlType::Char(_) | SqlType::Character(_) => oid::BPCHAR,
        SqlType::Text | SqlType::String(_) | SqlType::Clob(_) => oid::TEXT,
        SqlType::Bytea | SqlType::Blob(_) | SqlType::Varbinary(_) | SqlType::Bytes(_) => oid::BYTEA,
        SqlType::Binary(_) => oid::TEXT,
        SqlType::Date | SqlType::Date32 => oid::DATE,
        SqlType::Time(_, _) => oid::TIME,
        SqlType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => oid::TIMESTAMPTZ,
        SqlType::Timestamp(_, _) | SqlType::Datetime(_) => oid::TIMESTAMP,
        SqlType::Interval { .. } => oid::INTERVAL,
        SqlType::Uuid => oid::UUID,
        SqlType::JSON => oid::JSON,
        SqlType::JSONB => oid::JSONB,
        SqlType::Regclass => oid::REGCLASS,
        SqlType::Array(
            ArrayElemTypeDef::SquareBracket(element, _)
            | ArrayElemTypeDef::AngleBracket(element)
            | ArrayElemTypeDef::Parenthesis(element),
        ) => pg_type::array_oid(type_oid(element)?)?,
        SqlType::Custom(name, _) => {
            let last = name.0.last()?.as_ident()?;
            match last.value.to_ascii_lowercase().as_str() {
                "name" => oid::NAME,
                "oid" | "xid" | "cid" => oid::OID,
                "\"char\"" | "char" => oid::CHAR,
                "bpchar" => oid::BPCHAR,
                "timestamptz" => oid::TIMESTAMPTZ,
                "nchar" => oid::BPCHAR,
                "int2vector" => oid::INT2_VECTOR,
                "oidvector" => oid::OID_VECTOR,
                "regclass" => oid::REGCLASS,
                "regtype" => oid::REGTYPE,
                "regproc" | "regprocedure" => oid::REGPROC,
                "regnamespace" => oid::REGNAMESPACE,
                "regrole" => oid::REGROLE,
                "void" => oid::VOID,
                "uuid" => oid::UUID,
                "json" => oid::JSON,
                "jsonb" => oid::JSONB,
                "text" | "cstring" | "unknown" => oid::TEXT,
                "varchar" => oid::VARCHAR,
                "bool" => oid::BOOL,
                "int2" => oid::INT2,
                "int4" => oid::INT4,
                "int8" => oid::INT8,
                "float4" => oid::FLOAT4,
                "float8" => oid::FLOAT8,
                "date" => oid::DATE,
                "time" => oid::TIME,
                "timestamp" => oid::TIMESTAMP,
                "interval" => oid::INTERVAL,
                "bytea" => oid::BYTEA,
                "numeric" => oid::NUMERIC,
                // Arrays by their internal names: _int4.
                other => {
                    let element = Ident::new(other.strip_prefix('_')?);
                    let element = SqlType::Custom(ObjectName::from(vec![element]), Vec::new());
                    pg_type::array_oid(type_oid(&element)?)?
                }
            }
        }
        _ => return None,
    })
}

/// The name that a cast to this type gives a result column: the last part of PostgreSQL's internal name.
pub fn column_name(sql_type: &SqlType) -> String {
    let internal = match type_oid(sql_type) {
        Some(oid::BOOL) => "bool",
        Some(oid::INT2) => "int2",
        Some(oid::INT4) => "int4",
        Some(oid::INT8) => "int8",
        Some(oid::FLOAT4) => "float4",
        Some(oid::FLOAT8) => "float8",
        Some(oid::NUMERIC) => "numeric",
        Some(oid::VARCHAR) => "varchar",
        Some(oid::BPCHAR) => "bpchar",
        Some(oid::TIMESTAMP) => "timestamp",
        Some(oid::TIMESTAMPTZ) => "timestamptz",
        Some(oid::TIME) => "time",
        Some(oid::INTERVAL) => "interval",
        Some(oid::CHAR) => "char",
        Some(other) => match pg_type::element_oid(other) {
            Some(_) => match sql_type {
                SqlType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => return column_name(element),
                _ => "array",
            },
            None => return pg_type::type_name(other),
        },
        None => return sql_type.to_string().to_lowercase(),
    };
    internal.to_string()
}
