//! Kinds of errors as the five characters that PostgreSQL's clients branch on.

use taospg_query::ErrorKind;

/// The server is stopping, or an administrator ended the session.
pub const ADMIN_SHUTDOWN: &str = "57P01";
pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
pub const INTERNAL_ERROR: &str = "XX000";
pub const INVALID_AUTHORIZATION: &str = "28000";
pub const INVALID_PASSWORD: &str = "28P01";
pub const PROTOCOL_VIOLATION: &str = "08P01";
pub const TOO_MANY_CONNECTIONS: &str = "53300";

pub fn sqlstate(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ActiveTransaction => "25001",
        ErrorKind::AmbiguousColumn => "42702",
        ErrorKind::AmbiguousFunction => "42725",
        ErrorKind::ArrayElementError => "2202E",
        ErrorKind::ArraySubscriptError => "2202E",
        ErrorKind::BadCopyFileFormat => "22P04",
        ErrorKind::CannotCoerce => "42846",
        ErrorKind::CardinalityViolation => "21000",
        ErrorKind::CannotChangePlan => FEATURE_NOT_SUPPORTED,
        ErrorKind::CannotChangeRuntimeParameter => "55P02",
        ErrorKind::CharacterNotInRepertoire => "22021",
        ErrorKind::DatatypeMismatch => "42804",
        ErrorKind::DataCorrupted => "XX001",
        ErrorKind::DependentObjects => "2BP01",
        ErrorKind::DatetimeFieldOverflow => "22008",
        ErrorKind::DiskFull => "53100",
        ErrorKind::DivisionByZero => "22012",
        ErrorKind::DuplicateColumn => "42701",
        ErrorKind::DuplicateCursor => "42P03",
        ErrorKind::DependentObjectsExist => "2BP01",
        ErrorKind::DuplicateObject => "42710",
        ErrorKind::InvalidAuthorization => INVALID_AUTHORIZATION,
        ErrorKind::InvalidGrantOperation => "0LP01",
        ErrorKind::ReservedName => "42939",
        ErrorKind::DuplicateDatabase => "42P04",
        ErrorKind::DuplicatePreparedStatement => "42P05",
        ErrorKind::DuplicateTable => "42P07",
        ErrorKind::FeatureNotSupported => FEATURE_NOT_SUPPORTED,
        ErrorKind::GroupingError => "42803",
        ErrorKind::InFailedTransaction => "25P02",
        ErrorKind::IndeterminateDatatype => "42P18",
        ErrorKind::InsufficientPrivilege => "42501",
        ErrorKind::InternalError => INTERNAL_ERROR,
        ErrorKind::InvalidArgumentForLogarithm => "2201E",
        ErrorKind::InvalidArgumentForPowerFunction => "2201F",
        ErrorKind::InvalidArgumentForWidthBucketFunction => "2201G",
        ErrorKind::InvalidBinaryRepresentation => "22P03",
        ErrorKind::InvalidCatalogName => "3D000",
        ErrorKind::InvalidColumnReference => "42P10",
        ErrorKind::InvalidCursorName => "34000",
        ErrorKind::InvalidDatetimeFormat => "22007",
        ErrorKind::InvalidEscapeSequence => "22025",
        ErrorKind::InvalidName => "42602",
        ErrorKind::InvalidParameterValue => "22023",
        ErrorKind::InvalidRegularExpression => "2201B",
        ErrorKind::InvalidSavepoint => "3B001",
        ErrorKind::InvalidSchemaName => "3F000",
        ErrorKind::InvalidSqlStatementName => "26000",
        ErrorKind::InvalidTableDefinition => "42P16",
        ErrorKind::InvalidTextRepresentation => "22P02",
        ErrorKind::IoError => "58030",
        ErrorKind::NameTooLong => "42622",
        ErrorKind::NoActiveTransaction => "25P01",
        ErrorKind::NotNullViolation => "23502",
        ErrorKind::NullValueNotAllowed => "22004",
        ErrorKind::NumericValueOutOfRange => "22003",
        ErrorKind::ObjectInUse => "55006",
        ErrorKind::LockNotAvailable => "55P03",
        ErrorKind::ObjectNotInPrerequisiteState => "55000",
        ErrorKind::OutOfMemory => "53200",
        ErrorKind::ProgramLimitExceeded => "54000",
        ErrorKind::ProtocolViolation => PROTOCOL_VIOLATION,
        ErrorKind::QueryCanceled => "57014",
        ErrorKind::ReadOnlyTransaction => "25006",
        ErrorKind::SerializationFailure => "40001",
        ErrorKind::StatementTooComplex => "54001",
        ErrorKind::StringDataRightTruncation => "22001",
        ErrorKind::SubstringError => "22011",
        ErrorKind::SyntaxError => "42601",
        ErrorKind::TooManyColumns => "54011",
        ErrorKind::TooManyConnections => TOO_MANY_CONNECTIONS,
        ErrorKind::UndefinedColumn => "42703",
        ErrorKind::UndefinedFunction => "42883",
        ErrorKind::UndefinedObject => "42704",
        ErrorKind::UndefinedParameter => "42P02",
        ErrorKind::UndefinedTable => "42P01",
        ErrorKind::UntranslatableCharacter => "22P05",
        ErrorKind::UniqueViolation => "23505",
        ErrorKind::WrongObjectType => "42809",
    }
}

/// The routine that PostgreSQL names in its R field, where drivers look at it: they prepare again and retry on this one.
pub fn routine(kind: ErrorKind) -> Option<&'static str> {
    (kind == ErrorKind::CannotChangePlan).then_some("RevalidateCachedQuery")
}
