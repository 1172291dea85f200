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
