//! What executing a statement gives: rows, a tag, or the start of a COPY.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;

use crate::{CopyFormat, CopyIn};

/// A result column as RowDescription tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultField {
    pub name: String,
    pub type_oid: u32,
    /// -1: none.
    pub type_modifier: i32,
    /// 0: not a plain column of a table.
    pub table_oid: u32,
    pub attnum: i16,
}

/// Rows on their way. The stream owns all it needs; dropping it ends the query.
pub struct RowSet {
    pub fields: Arc<[ResultField]>,
    pub schema: SchemaRef,
    pub stream: SendableRecordBatchStream,
    /// First word of the command tag; the number of rows follows: `SELECT 3`, `FETCH 3`.
    pub tag: &'static str,
}

/// `COPY … TO STDOUT`.
pub struct CopyOut {
    pub rows: RowSet,
    pub format: CopyFormat,
}

pub enum Outcome {
    Rows(RowSet),
    /// The whole command tag: `INSERT 0 3`, `CREATE TABLE`.
    Complete(String),
    /// The statement was empty.
    Empty,
    /// The client sends data next; then [`crate::Session::finish_copy`].
    CopyIn(Box<CopyIn>),
    CopyOut(CopyOut),
}

/// A NOTICE or WARNING for the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    pub sqlstate: &'static str,
    pub message: String,
}
