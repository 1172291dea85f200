//! Column types as they are written in both dialects.

use taospg_catalog::SqlType;

use super::cursor::Cursor;
use super::lexer::TokenKind;
use crate::{ErrorKind, QueryError};

/// A type as it was written, with what depends on where it stands left open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ColumnType {
    Sql(SqlType),
    /// `TIMESTAMP` without a word on zones: an instant where it is a device's time, as in TDengine; without zone elsewhere, as in PostgreSQL.
    BareTimestamp,
    /// `FLOAT`: four bytes in TDengine, eight in PostgreSQL.
    BareFloat,
}

impl ColumnType {
    /// What PostgreSQL means.
    pub fn postgres(self) -> SqlType {
        match self {
            ColumnType::Sql(sql_type) => sql_type,
            ColumnType::BareTimestamp => SqlType::Timestamp,
            ColumnType::BareFloat => SqlType::Double,
        }
    }

    /// What TDengine means.
    pub fn tdengine(self) -> SqlType {
        match self {
            ColumnType::Sql(sql_type) => sql_type,
            ColumnType::BareTimestamp => SqlType::Timestamptz,
            ColumnType::BareFloat => SqlType::Real,
        }
    }
}

/// Longest `varchar(n)`, as in PostgreSQL.
const CHARACTERS_MAX: u32 = 10_485_760;

/// Digits that a 128-bit decimal holds.
const NUMERIC_DIGITS_MAX: u32 = 38;

/// Plain `numeric`.
const NUMERIC_DEFAULT: SqlType = SqlType::Numeric {
    precision: 38,
    scale: 10,
};

pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<ColumnType, QueryError> {
    let byte = cursor.byte();
    cursor.take(&["pg_catalog"]);
    cursor.take_symbol(".");
    let word = match cursor.peek().kind {
        TokenKind::Word | TokenKind::QuotedName => cursor.next().value.into_owned(),
        _ => return Err(cursor.error()),
    };
    let sql = ColumnType::Sql;
    let found = match word.as_str() {
        "bool" | "boolean" => sql(SqlType::Boolean),
        "tinyint" => {
            cursor.take_word("unsigned");
            sql(SqlType::SmallInt)
        }
        "smallint" | "int2" => sql(unsigned(cursor, SqlType::SmallInt, SqlType::Integer)),
        "int" | "integer" | "int4" => sql(unsigned(cursor, SqlType::Integer, SqlType::BigInt)),
        "bigint" | "int8" => {
            // 2^64 - 1 has 20 digits.
            let wide = SqlType::Numeric {
                precision: 20,
                scale: 0,
            };
            sql(unsigned(cursor, SqlType::BigInt, wide))
        }
        "real" | "float4" => sql(SqlType::Real),
        "float8" => sql(SqlType::Double),
        "double" => {
            cursor.take_word("precision");
            sql(SqlType::Double)
        }
        "float" => match length(cursor)? {
            None => ColumnType::BareFloat,
            Some(1..=24) => sql(SqlType::Real),
            Some(25..=53) => sql(SqlType::Double),
            Some(_) => {
                let message = "precision for type float must be between 1 and 53 bits";
                return Err(cursor.error_at(byte, ErrorKind::InvalidParameterValue, message));
            }
        },
        "numeric" | "decimal" | "dec" => sql(numeric(cursor, byte)?),
        "text" => sql(SqlType::Text),
        "varchar" | "nchar" | "binary" | "nvarchar" | "string" => {
            sql(characters(cursor, byte, SqlType::Text, SqlType::Varchar)?)
        }
        "bpchar" => sql(characters(cursor, byte, SqlType::Text, SqlType::Char)?),
        "char" | "character" | "national" => {
            if word == "national" && cursor.take_any(&["character", "char"]).is_none() {
                return Err(cursor.error());
            }
            match cursor.take_word("varying") {
                true => sql(characters(cursor, byte, SqlType::Text, SqlType::Varchar)?),
                false => sql(characters(cursor, byte, SqlType::Char(1), SqlType::Char)?),
            }
        }
        "bytea" => sql(SqlType::Bytea),
        "varbinary" => {
            length(cursor)?;
            sql(SqlType::Bytea)
        }
        "timestamptz" => {
            length(cursor)?;
            sql(SqlType::Timestamptz)
        }
        "timestamp" => {
            length(cursor)?;
            if cursor.take(&["with", "time", "zone"]) {
                sql(SqlType::Timestamptz)
            } else if cursor.take(&["without", "time", "zone"]) {
                sql(SqlType::Timestamp)
            } else {
                ColumnType::BareTimestamp
            }
        }
        "date" => sql(SqlType::Date),
        "json" | "jsonb" => sql(SqlType::Jsonb),
        "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8" => {
            let error = cursor.error_at(
                byte,
                ErrorKind::FeatureNotSupported,
                format!("type \"{word}\" is not supported"),
            );
            return Err(
                error.with_hint("rows are identified by their table and time; write bigint for a number of your own")
            );
        }
        "uuid" | "time" | "timetz" | "interval" | "inet" | "cidr" | "macaddr" | "money" | "xml" | "bit" | "varbit"
        | "point" | "geometry" | "blob" | "oid" | "name" | "tsvector" | "hstore" | "citext" => {
            let error = cursor.error_at(
                byte,
                ErrorKind::FeatureNotSupported,
                format!("a column of type \"{word}\" is not supported"),
            );
            return Err(error.with_hint("text, numeric and jsonb hold most other types"));
        }
        _ => {
            let message = format!("type \"{word}\" does not exist");
            return Err(cursor.error_at(byte, ErrorKind::UndefinedObject, message));
        }
    };
    if cursor.at_symbol("[") || cursor.at_word("array") {
        return Err(cursor.unsupported("an array column").with_hint("jsonb holds arrays"));
    }
    Ok(found)
}

fn unsigned(cursor: &mut Cursor<'_>, signed: SqlType, wider: SqlType) -> SqlType {
    match cursor.take_word("unsigned") {
        true => wider,
        false => signed,
    }
}

/// `(n)`
fn length(cursor: &mut Cursor<'_>) -> Result<Option<u32>, QueryError> {
    if !cursor.take_symbol("(") {
        return Ok(None);
    }
    let length = cursor.integer()?;
    cursor.expect_symbol(")")?;
    Ok(Some(length))
}

fn characters(
    cursor: &mut Cursor<'_>,
    byte: usize,
    unbounded: SqlType,
    bounded: fn(u32) -> SqlType,
) -> Result<SqlType, QueryError> {
    match length(cursor)? {
        None => Ok(unbounded),
        Some(0) => {
            let message = "length for a character type must be at least 1";
            Err(cursor.error_at(byte, ErrorKind::InvalidParameterValue, message))
        }
        Some(length) if length > CHARACTERS_MAX => {
            let message = format!("length for a character type cannot exceed {CHARACTERS_MAX}");
            Err(cursor.error_at(byte, ErrorKind::InvalidParameterValue, message))
        }
        Some(length) => Ok(bounded(length)),
    }
}

fn numeric(cursor: &mut Cursor<'_>, byte: usize) -> Result<SqlType, QueryError> {
    if !cursor.take_symbol("(") {
        return Ok(NUMERIC_DEFAULT);
    }
    let precision: u32 = cursor.integer()?;
    let scale: u32 = match cursor.take_symbol(",") {
        true => cursor.integer()?,
        false => 0,
    };
    cursor.expect_symbol(")")?;
    if precision == 0 || precision > NUMERIC_DIGITS_MAX {
        let message = format!("numeric precision {precision} must be between 1 and {NUMERIC_DIGITS_MAX}");
        return Err(cursor.error_at(byte, ErrorKind::InvalidParameterValue, message));
    }
    if scale > precision {
        let message = format!("numeric scale {scale} must be between 0 and precision {precision}");
        return Err(cursor.error_at(byte, ErrorKind::InvalidParameterValue, message));
    }
    Ok(SqlType::Numeric {
        precision: precision as u8,
        scale: scale as i8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ColumnType, QueryError> {
        let mut cursor = Cursor::new(text).unwrap();
        let found = parse(&mut cursor)?;
        cursor.expect_end()?;
        Ok(found)
    }

    #[test]
    fn both_dialects_types_are_known() {
        let numeric = |precision, scale| SqlType::Numeric { precision, scale };
        let cases = [
            ("INT", SqlType::Integer),
            ("int unsigned", SqlType::BigInt),
            ("BIGINT UNSIGNED", numeric(20, 0)),
            ("tinyint unsigned", SqlType::SmallInt),
            ("double precision", SqlType::Double),
            ("double", SqlType::Double),
            ("float(24)", SqlType::Real),
            ("decimal(10, 2)", numeric(10, 2)),
            ("numeric(5)", numeric(5, 0)),
            ("numeric", numeric(38, 10)),
            ("character varying(64)", SqlType::Varchar(64)),
            ("NCHAR(24)", SqlType::Varchar(24)),
            ("binary(16)", SqlType::Varchar(16)),
            ("char", SqlType::Char(1)),
            ("varchar", SqlType::Text),
            ("timestamp(3) with time zone", SqlType::Timestamptz),
            ("timestamp without time zone", SqlType::Timestamp),
            ("pg_catalog.int4", SqlType::Integer),
            ("\"text\"", SqlType::Text),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text).unwrap(), ColumnType::Sql(expected), "{text}");
        }
        assert_eq!(parsed("TIMESTAMP(3)").unwrap(), ColumnType::BareTimestamp);
        assert_eq!(parsed("FLOAT").unwrap(), ColumnType::BareFloat);
    }

    #[test]
    fn other_types_have_their_errors() {
        for (text, kind) in [
            ("serial", ErrorKind::FeatureNotSupported),
            ("uuid", ErrorKind::FeatureNotSupported),
            ("int[]", ErrorKind::FeatureNotSupported),
            ("nonsense", ErrorKind::UndefinedObject),
            ("numeric(39)", ErrorKind::InvalidParameterValue),
            ("varchar(0)", ErrorKind::InvalidParameterValue),
            ("varchar(x)", ErrorKind::SyntaxError),
            ("varchar(99999999999)", ErrorKind::SyntaxError),
        ] {
            assert_eq!(parsed(text).unwrap_err().kind, kind, "{text}");
        }
    }
}
