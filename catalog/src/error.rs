//! Errors of the catalog, told by what can be done about them.

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// `what` is "database", "table", "column", "tag".
    #[error("{what} \"{name}\" does not exist")]
    NotFound { what: &'static str, name: String },
    #[error("{what} \"{name}\" already exists")]
    Exists { what: &'static str, name: String },
    /// A name that no object can have: empty, too long, with a NUL byte.
    #[error("{0}")]
    BadName(String),
    /// The definition contradicts itself or a rule; changing it helps.
    #[error("{0}")]
    Refused(String),
    /// The right statement for another kind of object.
    #[error("{0}")]
    WrongKind(String),
    /// A tag value does not fit its type.
    #[error("{0}")]
    BadValue(String),
    /// The catalog's files are damaged or cannot be written.
    #[error("catalog store: {0}")]
    Store(#[from] rocksdb::Error),
    #[error("catalog record {key}: {problem}")]
    Corrupt { key: String, problem: String },
}
