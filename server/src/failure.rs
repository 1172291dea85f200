//! Why a message could not be answered as asked, told by what happens to the session.

use std::io;

use taospg_query::{ErrorKind, QueryError};

use crate::sqlstate;

#[derive(Debug)]
pub enum Failure {
    /// The statement failed; the session goes on.
    Statement(QueryError),
    /// The client is told why, and the connection ends.
    Fatal { code: &'static str, message: String },
    /// The same with what PostgreSQL says beside it.
    Refused(QueryError),
    /// The client is gone or cannot be reached: nothing is left to tell.
    Gone,
}

pub type Flow<T> = Result<T, Failure>;

impl Failure {
    pub fn statement(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure::Statement(QueryError::new(kind, message))
    }

    /// The client breaks the protocol: nothing that follows can be trusted to mean what it says.
    pub fn protocol(message: impl Into<String>) -> Failure {
        Failure::Fatal {
            code: sqlstate::PROTOCOL_VIOLATION,
            message: message.into(),
        }
    }

    /// The server stops, or someone ended the session.
    pub fn terminated() -> Failure {
        Failure::Fatal {
            code: sqlstate::ADMIN_SHUTDOWN,
            message: "terminating connection due to administrator command".into(),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::Statement(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        tracing::debug!(%error, "connection lost");
        Failure::Gone
    }
}
