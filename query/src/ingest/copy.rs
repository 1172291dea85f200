//! COPY … FROM STDIN: bytes in, rows for vnodes out.

use datafusion::sql::sqlparser::ast;

use crate::{QueryError, Session};

/// The format and its options.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyFormat {
    Text {
        delimiter: u8,
        null: String,
        header: bool,
    },
    Csv {
        delimiter: u8,
        quote: u8,
        escape: u8,
        null: String,
        header: bool,
    },
    Binary,
}

/// A COPY under way.
pub struct CopyIn {
    _private: (),
}

impl CopyIn {
    /// Looks up the table and columns of a `COPY … FROM STDIN`.
    pub fn begin(session: &Session, statement: &ast::Statement) -> Result<CopyIn, QueryError> {
        let _ = (session, statement);
        todo!()
    }
    pub fn format(&self) -> &CopyFormat {
        todo!()
    }
    /// Columns of the list.
    pub fn columns(&self) -> usize {
        todo!()
    }
    /// Takes the bytes of one CopyData; rows may begin and end anywhere in it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), QueryError> {
        let _ = bytes;
        todo!()
    }
    /// All data has come: the rows join the session's transaction. Answers with their number.
    pub async fn finish(self, session: &mut Session) -> Result<u64, QueryError> {
        let _ = session;
        todo!()
    }
}
