//! Values: from the scenario's text to Rust's types and back.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value as Json;
use uuid::Uuid;

/// A Rust type that stands for one of PostgreSQL's.
pub trait Native: Sized {
    fn read(text: &str) -> Self;
    fn write(&self) -> String;
}

macro_rules! by_display {
    ($($type:ty),*) => {$(
        impl Native for $type {
            fn read(text: &str) -> Self {
                text.parse().expect("a value of the scenario")
            }
            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

by_display!(i16, i32, i64, f32, f64, String, Decimal, Uuid, Json);

macro_rules! by_format {
    ($($type:ty, $read:literal, $write:literal);*) => {$(
        impl Native for $type {
            fn read(text: &str) -> Self {
                <$type>::parse_from_str(text, $read).expect("a value of the scenario")
            }
            fn write(&self) -> String {
                self.format($write).to_string()
            }
        }
    )*};
}

by_format!(
    NaiveDate, "%Y-%m-%d", "%Y-%m-%d";
    NaiveTime, "%H:%M:%S%.f", "%H:%M:%S%.f";
    NaiveDateTime, "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"
);

impl Native for DateTime<Utc> {
    fn read(text: &str) -> Self {
        NaiveDateTime::read(text.trim_end_matches("+00")).and_utc()
    }

    fn write(&self) -> String {
        self.naive_utc().write() + "+00"
    }
}

impl Native for bool {
    fn read(text: &str) -> Self {
        text == "t"
    }

    fn write(&self) -> String {
        if *self { "t".into() } else { "f".into() }
    }
}

impl Native for Vec<u8> {
    fn read(text: &str) -> Self {
        let digits = text.trim_start_matches("\\x");
        let byte = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).expect("hexadecimal digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    fn write(&self) -> String {
        let digits: Vec<String> = self.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\\x{}", digits.concat())
    }
}

pub fn scalar<T: Native>(value: &Json) -> Option<T> {
    value.as_str().map(T::read)
}

pub fn list<T: Native>(value: &Json) -> Option<Vec<Option<T>>> {
    value.as_array().map(|values| values.iter().map(scalar).collect())
}

pub fn written<T: Native>(value: Option<T>) -> Json {
    value.map_or(Json::Null, |value| Json::String(value.write()))
}

pub fn written_list<T: Native>(values: Option<Vec<Option<T>>>) -> Json {
    values.map_or(Json::Null, |values| {
        Json::Array(values.into_iter().map(written).collect())
    })
}

/// Calls a macro with the Rust type of a type, and says whether it is an array of it.
#[macro_export]
macro_rules! with_native {
    ($name:expr, $one:ident, $many:ident) => {
        match $name {
            "bool" => $one!(bool),
            "int2" => $one!(i16),
            "int4" => $one!(i32),
            "int8" => $one!(i64),
            "float4" => $one!(f32),
            "float8" => $one!(f64),
            "numeric" => $one!(rust_decimal::Decimal),
            "bytea" => $one!(Vec<u8>),
            "date" => $one!(chrono::NaiveDate),
            "time" => $one!(chrono::NaiveTime),
            "timestamp" => $one!(chrono::NaiveDateTime),
            "timestamptz" => $one!(chrono::DateTime<chrono::Utc>),
            "uuid" => $one!(uuid::Uuid),
            "json" | "jsonb" => $one!(serde_json::Value),
            "bool[]" => $many!(bool),
            "int2[]" => $many!(i16),
            "int4[]" => $many!(i32),
            "int8[]" => $many!(i64),
            "float4[]" => $many!(f32),
            "float8[]" => $many!(f64),
            "numeric[]" => $many!(rust_decimal::Decimal),
            "text[]" | "varchar[]" => $many!(String),
            "bytea[]" => $many!(Vec<u8>),
            "date[]" => $many!(chrono::NaiveDate),
            "time[]" => $many!(chrono::NaiveTime),
            "timestamp[]" => $many!(chrono::NaiveDateTime),
            "timestamptz[]" => $many!(chrono::DateTime<chrono::Utc>),
            "uuid[]" => $many!(uuid::Uuid),
            "json[]" | "jsonb[]" => $many!(serde_json::Value),
            _ => $one!(String),
        }
    };
}

/// The same text for equal values: through the Rust type and back.
pub fn comparable(name: &str, value: &Json) -> Json {
    if name == "bpchar" {
        return value
            .as_str()
            .map_or(Json::Null, |text| Json::from(text.trim_end_matches(' ')));
    }
    macro_rules! one {
        ($type:ty) => {
            written(scalar::<$type>(value))
        };
    }
    macro_rules! many {
        ($type:ty) => {
            written_list(list::<$type>(value))
        };
    }
    with_native!(name, one, many)
}
