//! JSON: operators, functions that look into a value, change it, or build one.
//!
//! A value is text that is parsed for each row. What is absent, or no JSON of the kind that is asked, is NULL, as in PostgreSQL.

pub mod build;
pub mod change;
pub mod look;
pub mod value;

pub use value::Json;
