//! An error as a PostgreSQL client sees it: kind, message, where, and what to try.
//!
//! Kinds carry PostgreSQL's condition names; the server alone turns them into SQLSTATEs.

use std::fmt;

use datafusion::sql::sqlparser::tokenizer::Location;
use taospg_catalog::CatalogError;
use taospg_storage::StorageError;

/// PostgreSQL's condition names (Appendix A of its manual), as far as we raise them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    ActiveTransaction,
    AmbiguousColumn,
    /// 42725
    AmbiguousFunction,
    /// 2202E: trim_array
    ArrayElementError,
    /// 2202E
    ArraySubscriptError,
    BadCopyFileFormat,
    CannotCoerce,
    /// 21000
    CardinalityViolation,
    CannotChangePlan,
    /// 55P02
    CannotChangeRuntimeParameter,
    CharacterNotInRepertoire,
    DatatypeMismatch,
    DataCorrupted,
    /// 2BP01
    DependentObjects,
    DatetimeFieldOverflow,
    DiskFull,
    DivisionByZero,
    DuplicateColumn,
    DuplicateCursor,
    DependentObjectsExist,
    DuplicateDatabase,
    DuplicateObject,
    DuplicatePreparedStatement,
    DuplicateTable,
    FeatureNotSupported,
    GroupingError,
    InFailedTransaction,
    IndeterminateDatatype,
    InsufficientPrivilege,
    InternalError,
    InvalidBinaryRepresentation,
    /// 28000
    InvalidAuthorization,
    /// 2201E
    InvalidArgumentForLogarithm,
    /// 2201F
    InvalidArgumentForPowerFunction,
    /// 2201G
    InvalidArgumentForWidthBucketFunction,
    InvalidCatalogName,
    InvalidColumnReference,
    InvalidCursorName,
    InvalidDatetimeFormat,
    /// 22025
    InvalidEscapeSequence,
    /// 0LP01
    InvalidGrantOperation,
    InvalidName,
    InvalidParameterValue,
    /// 2201B
    InvalidRegularExpression,
    InvalidSavepoint,
    InvalidSchemaName,
    InvalidSqlStatementName,
    InvalidTableDefinition,
    InvalidTextRepresentation,
    IoError,
    /// 55P03
    LockNotAvailable,
    NameTooLong,
    NoActiveTransaction,
    NotNullViolation,
    /// 22004: of an argument, not of a column.
    NullValueNotAllowed,
    NumericValueOutOfRange,
    ObjectInUse,
    ObjectNotInPrerequisiteState,
    OutOfMemory,
    ProgramLimitExceeded,
    ProtocolViolation,
    QueryCanceled,
    ReadOnlyTransaction,
    /// 42939
    ReservedName,
    /// 40001
    SerializationFailure,
    StatementTooComplex,
    StringDataRightTruncation,
    /// 22011
    SubstringError,
    SyntaxError,
    TooManyColumns,
    TooManyConnections,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedObject,
    UndefinedParameter,
    UndefinedTable,
    /// 22P05
    UntranslatableCharacter,
    UniqueViolation,
    WrongObjectType,
}

/// Small enough (120 bytes) that results carrying it stay cheap to move.
#[derive(Clone, Debug)]
pub struct QueryError {
    pub kind: ErrorKind,
    /// One line, lower case, naming the thing and the value.
    pub message: String,
    pub detail: Option<String>,
    /// What to try.
    pub hint: Option<String>,
    /// Character from 1: inside this crate in the statement's text, in what the session returns in the whole query string.
    pub position: Option<u32>,
    /// The context line: for COPY `COPY meters, line 3, column voltage: "x"`.
    pub context: Option<String>,
    /// Line and column in the statement's text, from the parser; the session makes it a position.
    location: Option<Box<Location>>,
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
            location: None,
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
        self.position = u32::try_from(position).ok();
        self
    }

    /// Where, as the parser's spans tell it. A span without a place (line 0) says nothing.
    pub fn with_location(mut self, location: Location) -> QueryError {
        self.location = (location.line > 0).then(|| Box::new(location));
        self
    }

    /// Makes `position` count from the start of the whole query string: `text` is the statement's, `characters_before` what stands before it.
    pub(crate) fn placed(mut self, text: &str, characters_before: usize) -> QueryError {
        if let Some(location) = self.location.take() {
            self.position = u32::try_from(position_of(text, *location)).ok();
        }
        let before = u32::try_from(characters_before).ok();
        self.position = self
            .position
            .zip(before)
            .and_then(|(position, before)| position.checked_add(before));
        self
    }

    pub fn with_context(mut self, context: impl Into<String>) -> QueryError {
        self.context = Some(context.into());
        self
    }
}

/// The character, from 1, at a line and column of a text.
fn position_of(text: &str, location: Location) -> usize {
    let line = usize::try_from(location.line).unwrap_or(usize::MAX);
    let column = usize::try_from(location.column).unwrap_or(usize::MAX);
    let lines_before = text.split_inclusive('\n').take(line.saturating_sub(1));
    let before: usize = lines_before.map(|line| line.chars().count()).sum();
    before.saturating_add(column)
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for QueryError {}

/// Errors that a row set's stream carries.
impl From<datafusion::common::DataFusionError> for QueryError {
    fn from(error: datafusion::common::DataFusionError) -> QueryError {
        crate::plan::errors::translate(error)
    }
}

impl From<CatalogError> for QueryError {
    fn from(error: CatalogError) -> QueryError {
        let kind = match &error {
            CatalogError::NotFound { what: "database", .. } => ErrorKind::InvalidCatalogName,
            CatalogError::NotFound {
                what: "column" | "tag", ..
            } => ErrorKind::UndefinedColumn,
            CatalogError::NotFound { .. } => ErrorKind::UndefinedTable,
            CatalogError::Exists { what: "database", .. } => ErrorKind::DuplicateDatabase,
            CatalogError::Exists { what: "role", .. } => ErrorKind::DuplicateObject,
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
        let told = QueryError::new(kind, error.to_string());
        match kind {
            ErrorKind::DiskFull => told.with_hint("DELETE, DROP TABLE and a shorter KEEP still work, and make room"),
            _ => told,
        }
    }
}
