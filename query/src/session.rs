//! One connection's state: database, settings, transaction. Statements are prepared and executed here.

use std::collections::BTreeMap;
use std::sync::Arc;

use taospg_catalog::Database;
use taospg_storage::{Change, VnodeId};

use crate::engine::Engine;
use crate::settings::Settings;
use crate::{CopyIn, Notice, Outcome, Parameter, QueryError, ResultField, Statement};

/// The status byte of ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// 'I'
    Idle,
    /// 'T'
    InBlock,
    /// 'E'
    Failed,
}

/// A statement with its parameters' types and its result's columns known. Cheap to clone.
#[derive(Clone)]
pub struct Prepared {
    /// Type OID of each parameter.
    pub parameter_types: Arc<[u32]>,
    /// `None`: returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
}

pub struct Session {
    _private: (),
}

impl Session {
    /// Splits a query string into statements; empty ones between semicolons are left out.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, QueryError> {
        let _ = sql;
        todo!()
    }

    /// `parameter_types`: OIDs from the Parse message, 0 or missing where the client leaves it to us.
    pub async fn prepare(&mut self, statement: &Statement, parameter_types: &[u32]) -> Result<Prepared, QueryError> {
        let _ = (statement, parameter_types);
        todo!()
    }

    /// Executes in the current transaction. Writes are held until [`Session::finish_implicit`], or COMMIT inside a block.
    pub async fn execute(&mut self, prepared: &Prepared, parameters: &[Parameter]) -> Result<Outcome, QueryError> {
        let _ = (prepared, parameters);
        todo!()
    }

    /// All data has come: the rows join the transaction. Returns the command tag.
    pub async fn finish_copy(&mut self, copy: CopyIn) -> Result<String, QueryError> {
        let _ = copy;
        todo!()
    }

    /// End of the implicit transaction (Sync, or the end of a simple Query): makes held writes durable and visible. Nothing to do inside a
    /// transaction block.
    pub async fn finish_implicit(&mut self) -> Result<(), QueryError> {
        todo!()
    }

    /// A statement failed: drops the held writes of an implicit transaction, or marks the block as failed.
    pub fn fail(&mut self) {
        todo!()
    }

    /// Writes wait for `finish_implicit`: answers given so far must not reach the client before it.
    pub fn has_held_writes(&self) -> bool {
        todo!()
    }

    pub fn transaction_status(&self) -> TransactionStatus {
        todo!()
    }

    /// Settings that ParameterStatus reports and that changed since the last call; all of them at the first call.
    pub fn take_parameter_reports(&mut self) -> Vec<(&'static str, String)> {
        todo!()
    }

    pub fn take_notices(&mut self) -> Vec<Notice> {
        todo!()
    }

    /// `statement_timeout`, if set.
    pub fn statement_timeout(&self) -> Option<std::time::Duration> {
        todo!()
    }

    /// The session's time zone and float digits etc., for writing values as text.
    pub fn text_style(&self) -> TextStyle {
        todo!()
    }
}

/// What the rest of this crate asks of a session.
impl Session {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        todo!()
    }

    /// The database the session is connected to, as it is now.
    pub(crate) fn database(&self) -> Result<Arc<Database>, QueryError> {
        todo!()
    }

    pub(crate) fn settings(&self) -> &Settings {
        todo!()
    }

    /// The transaction's `now()`: nanoseconds since 1970.
    pub(crate) fn transaction_time_ns(&self) -> i64 {
        todo!()
    }

    /// Adds a statement's changes to the transaction: all of them, after the statement can no longer fail. Refuses with 54000 past the cap,
    /// and with 25006 in a read-only transaction.
    pub(crate) fn hold(&mut self, changes: BTreeMap<VnodeId, Vec<Change>>) -> Result<(), QueryError> {
        let _ = changes;
        todo!()
    }

    /// Rows of this transaction's INSERTs that are not yet held. Whoever reads or holds anything else takes them into what is held first;
    /// see [`crate::ingest::accumulator`].
    pub(crate) fn accumulator(&mut self) -> &mut crate::ingest::accumulator::Accumulator {
        todo!()
    }

    /// The transaction's own changes to a vnode so far, for its reads (`VnodeView::with_pending`).
    pub(crate) fn held(&self, vnode: VnodeId) -> &[Change] {
        let _ = vnode;
        todo!()
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        let _ = notice;
        todo!()
    }
}

/// How values are written as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextStyle {
    pub time_zone: chrono_tz::Tz,
    /// `bytea_output`: hex unless `escape`.
    pub bytea_escape: bool,
    pub extra_float_digits: i8,
}
