//! INSERT: its own lexer, and rows straight into columns.

use std::sync::Arc;

use crate::{Outcome, Parameter, QueryError, ResultField, Session};

/// An INSERT, parsed but not yet looked up in the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InsertStatement {
    _private: (),
}

/// Parses an INSERT that begins at the start of `sql` (after comments). Answers with the statement and the bytes it takes, up to and without
/// its semicolon; `None` when `sql` begins with something else.
pub fn parse(sql: &str) -> Result<Option<(InsertStatement, usize)>, QueryError> {
    let _ = sql;
    todo!()
}

impl InsertStatement {
    /// Looks the target up; parameters have the types of their columns where the client leaves it to us.
    pub async fn prepare(&self, session: &Session, parameter_types: &[u32]) -> Result<PreparedInsert, QueryError> {
        let _ = (session, parameter_types);
        todo!()
    }
}

/// An INSERT with its targets and parameters known. Cheap to clone.
#[derive(Clone)]
pub struct PreparedInsert {
    /// Type OID of each parameter.
    pub parameter_types: Arc<[u32]>,
    /// `None`: returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
}

impl PreparedInsert {
    /// Adds the rows to the session's accumulator.
    pub async fn execute(&self, session: &mut Session, parameters: &[Parameter]) -> Result<Outcome, QueryError> {
        let _ = (session, parameters);
        todo!()
    }
}
