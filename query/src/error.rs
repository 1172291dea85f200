//! An error as a PostgreSQL client sees it: kind, message, where, and what to try.
//!
//! Kinds carry PostgreSQL's condition names; the server alone turns them into SQLSTATEs.

use std::fmt;

use taospg_catalog::CatalogError;
use taospg_storage::StorageError;

/// PostgreSQL's condition names (Appendix A of its manual), as far as we raise them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    ActiveTransaction,
    AmbiguousColumn,
    BadCopyFileFormat,
    CannotCoerce,
    CannotChangePlan,
    CharacterNotInRepertoire,
    DatatypeMismatch,
    DataCorrupted,
    DatetimeFieldOverflow,
    DiskFull,
    DivisionByZero,
    DuplicateColumn,
    DuplicateCursor,
    DuplicateDatabase,
    DuplicatePreparedStatement,
    DuplicateTable,
    FeatureNotSupported,
    GroupingError,
    InFailedTransaction,
    IndeterminateDatatype,
    InsufficientPrivilege,
    InternalError,
    InvalidBinaryRepresentation,
    InvalidCatalogName,
    InvalidColumnReference,
    InvalidCursorName,
    InvalidDatetimeFormat,
    InvalidName,
    InvalidParameterValue,
    InvalidSavepoint,
    InvalidSchemaName,
    InvalidSqlStatementName,
    InvalidTableDefinition,
    InvalidTextRepresentation,
    IoError,
    NameTooLong,
    NoActiveTransaction,
    NotNullViolation,
    NumericValueOutOfRange,
    ObjectInUse,
    ObjectNotInPrerequisiteState,
    OutOfMemory,
    ProgramLimitExceeded,
    ProtocolViolation,
    QueryCanceled,
    ReadOnlyTransaction,
    StatementTooComplex,
    StringDataRightTruncation,
    SyntaxError,
    TooManyColumns,
    TooManyConnections,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedObject,
    UndefinedParameter,
    UndefinedTable,
    UniqueViolation,
    WrongObjectType,
}

#[derive(Clone, Debug)]
pub struct QueryError {
    pub kind: ErrorKind,
    /// One line, lower case, naming the thing and the value.
    pub message: String,
    pub detail: Option<String>,
    /// What to try.
    pub hint: Option<String>,
    /// Character in the statement's text, from 1.
    pub position: Option<usize>,
    /// The context line: for COPY `COPY meters, line 3, column voltage: "x"`.
    pub context: Option<String>,
}

impl QueryError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> QueryError {
        QueryError {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
        }
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> QueryError {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> QueryError {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_position(mut self, position: usize) -> QueryError {
        self.position = Some(position);
        self
    }

    pub fn with_context(mut self, context: impl Into<String>) -> QueryError {
        self.context = Some(context.into());
        self
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for QueryError {}

impl From<CatalogError> for QueryError {
    fn from(error: CatalogError) -> QueryError {
        let kind = match &error {
            CatalogError::NotFound { what: "database", .. } => ErrorKind::InvalidCatalogName,
            CatalogError::NotFound {
                what: "column" | "tag", ..
            } => ErrorKind::UndefinedColumn,
            CatalogError::NotFound { .. } => ErrorKind::UndefinedTable,
            CatalogError::Exists { what: "database", .. } => ErrorKind::DuplicateDatabase,
            CatalogError::Exists {
                what: "column" | "tag", ..
            } => ErrorKind::DuplicateColumn,
            CatalogError::Exists { .. } => ErrorKind::DuplicateTable,
            CatalogError::BadName(_) => ErrorKind::InvalidName,
            CatalogError::Refused(_) => ErrorKind::InvalidTableDefinition,
            CatalogError::WrongKind(_) => ErrorKind::WrongObjectType,
            CatalogError::BadValue(_) => ErrorKind::InvalidTextRepresentation,
            CatalogError::Store(_) => ErrorKind::IoError,
            CatalogError::Corrupt { .. } => ErrorKind::DataCorrupted,
        };
        QueryError::new(kind, error.to_string())
    }
}

impl From<StorageError> for QueryError {
    fn from(error: StorageError) -> QueryError {
        let kind = match &error {
            StorageError::Refused(_) => ErrorKind::FeatureNotSupported,
            StorageError::Full { .. } => ErrorKind::DiskFull,
            StorageError::Overloaded { .. } => ErrorKind::OutOfMemory,
            StorageError::Corrupt { .. } => ErrorKind::DataCorrupted,
            StorageError::Poisoned { .. } | StorageError::Io { .. } => ErrorKind::IoError,
            StorageError::NoVnode { .. } => ErrorKind::UndefinedObject,
        };
        QueryError::new(kind, error.to_string())
    }
}
