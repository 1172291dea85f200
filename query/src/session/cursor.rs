//! Cursors of SQL: a query under way, from which FETCH takes rows.
//!
//! ```text
//! before the first row   0
//! on row k               k      rows read so far are kept from `first` on
//! after the last row     rows + 1
//! ```
//!
//! A cursor without SCROLL forgets a row once it has been passed, and so only goes forward. One WITH HOLD reads all its rows when it is
//! declared, since what it sees ends with its transaction. What is kept is bounded.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use parking_lot::Mutex;

use super::Session;
use crate::plan::{PreparedQuery, errors};
use crate::statement::{Declare, Direction};
use crate::{ErrorKind, Outcome, Parameter, QueryError, ResultField, RowSet};

/// Bytes of rows that one cursor may keep: a million ten-column rows, far more than anybody pages through.
const KEPT_BYTES_MAX: usize = 256 << 20;

/// Cursors of one session. Each holds a query with its files and memory.
const CURSORS_MAX: usize = 1_000;

/// The open cursors of a session, by name.
#[derive(Default)]
pub(super) struct Cursors {
    open: HashMap<String, Cursor>,
}

struct Cursor {
    fields: Arc<[ResultField]>,
    schema: SchemaRef,
    /// A session is shared by reference between threads, which a stream cannot be; nobody ever waits for the lock.
    stream: Mutex<SendableRecordBatchStream>,
    scroll: bool,
    hold: bool,
    /// Of a transaction that has not ended.
    in_transaction: bool,
    /// Savepoints that there were when it was declared.
    savepoints: usize,
    /// Rows that have been read and are still kept, from row `first` on (counted from 1).
    kept: Vec<RecordBatch>,
    first: u64,
    kept_rows: u64,
    kept_bytes: usize,
    /// The stream has ended.
    complete: bool,
    position: u64,
}

impl Cursors {
    /// COMMIT: those without HOLD end.
    pub fn commit(&mut self) {
        self.open.retain(|_, cursor| cursor.hold);
        for cursor in self.open.values_mut() {
            cursor.in_transaction = false;
        }
    }

    /// ROLLBACK: those of the transaction end, and those without HOLD.
    pub fn roll_back(&mut self) {
        self.open.retain(|_, cursor| cursor.hold && !cursor.in_transaction);
    }

    /// ROLLBACK TO: those declared when there were more savepoints end.
    pub fn roll_back_to(&mut self, savepoints: usize) {
        self.open
            .retain(|_, cursor| !cursor.in_transaction || cursor.savepoints < savepoints);
    }

    pub fn close_all(&mut self) {
        self.open.clear();
    }

    fn find(&mut self, name: &str) -> Result<&mut Cursor, QueryError> {
        self.open.get_mut(name).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> QueryError {
    QueryError::new(
        ErrorKind::InvalidCursorName,
        format!("cursor \"{name}\" does not exist"),
    )
}

impl Session {
    pub(super) async fn declare(
        &mut self,
        declare: &Declare,
        query: &PreparedQuery,
        parameters: &[Parameter],
    ) -> Result<String, QueryError> {
        if !declare.hold {
            self.refuse_outside_block("DECLARE CURSOR")?;
        }
        if self.cursors.open.contains_key(&declare.name) {
            let message = format!("cursor \"{}\" already exists", declare.name);
            return Err(QueryError::new(ErrorKind::DuplicateCursor, message));
        }
        if self.cursors.open.len() >= CURSORS_MAX {
            let message = format!("a session keeps at most {CURSORS_MAX} cursors");
            return Err(
                QueryError::new(ErrorKind::ProgramLimitExceeded, message).with_hint("CLOSE those no longer used")
            );
        }
        self.hold_accumulated()?;
        let rows = query.execute(self, parameters).await?;
        let mut cursor = Cursor {
            fields: rows.fields,
            schema: rows.schema,
            stream: Mutex::new(rows.stream),
            scroll: declare.scroll,
            hold: declare.hold,
            in_transaction: true,
            savepoints: self.transaction.savepoints(),
            kept: Vec::new(),
            first: 1,
            kept_rows: 0,
            kept_bytes: 0,
            complete: false,
            position: 0,
        };
        if cursor.hold {
            cursor.read_to(u64::MAX).await?;
        }
        self.cursors.open.insert(declare.name.clone(), cursor);
        Ok("DECLARE CURSOR".into())
    }

    /// The columns of a cursor's rows, for FETCH and for Describe: it is a portal, too.
    pub fn cursor_fields(&self, name: &str) -> Result<Arc<[ResultField]>, QueryError> {
        let cursor = self.cursors.open.get(name).ok_or_else(|| missing(name))?;
        Ok(cursor.fields.clone())
    }

    /// FETCH, or MOVE, which tells only how many rows there would have been.
    pub(super) async fn fetch(&mut self, name: &str, direction: Direction, moves: bool) -> Result<Outcome, QueryError> {
        let cursor = self.cursors.find(name)?;
        let batches = match cursor.take(direction).await {
            Ok(batches) => batches,
            Err(error) => {
                // What is refused leaves it as it was; a query that failed cannot go on.
                if error.kind != ErrorKind::ObjectNotInPrerequisiteState {
                    self.cursors.open.remove(name);
                }
                return Err(error);
            }
        };
        if moves {
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            return Ok(Outcome::Complete(format!("MOVE {rows}")));
        }
        let schema = cursor.schema.clone();
        let batches = stream::iter(batches.into_iter().map(Ok));
        Ok(Outcome::Rows(RowSet {
            fields: cursor.fields.clone(),
            schema: schema.clone(),
            stream: Box::pin(RecordBatchStreamAdapter::new(schema, batches)),
            tag: "FETCH",
        }))
    }

    /// Close of the protocol: a cursor of DECLARE is a portal, and one that is not there is no error.
    pub fn close_portal(&mut self, name: &str) {
        self.cursors.open.remove(name);
    }

    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<String, QueryError> {
        match name {
            None => {
                self.cursors.close_all();
                Ok("CLOSE CURSOR ALL".into())
            }
            Some(name) => match self.cursors.open.remove(name) {
                Some(_) => Ok("CLOSE CURSOR".into()),
                None => Err(missing(name)),
            },
        }
    }
}

impl Cursor {
    /// Moves, and gives the rows passed, in the order they were passed.
    async fn take(&mut self, direction: Direction) -> Result<Vec<RecordBatch>, QueryError> {
        match direction {
            Direction::Rows(0) | Direction::Relative(0) => {
                self.refuse_backward()?;
                Ok(self.one(self.position))
            }
            Direction::Rows(rows) if rows > 0 => self.forward(self.position.saturating_add(rows.unsigned_abs())).await,
            Direction::AllForward => self.forward(u64::MAX).await,
            Direction::Rows(rows) => self.backward(self.position.saturating_sub(rows.unsigned_abs())),
            Direction::AllBackward => self.backward(0),
            Direction::Absolute(row) if row < 0 => {
                self.read_to(u64::MAX).await?;
                let last = self.last();
                self.place((last + 1).saturating_sub(row.unsigned_abs())).await
            }
            Direction::Absolute(row) => self.place(row.unsigned_abs()).await,
            Direction::Relative(rows) => {
                let row = match rows > 0 {
                    true => self.position.saturating_add(rows.unsigned_abs()),
                    false => self.position.saturating_sub(rows.unsigned_abs()),
                };
                self.place(row).await
            }
        }
    }

    fn refuse_backward(&self) -> Result<(), QueryError> {
        match self.scroll {
            true => Ok(()),
            false => Err(
                QueryError::new(ErrorKind::ObjectNotInPrerequisiteState, "cursor can only scan forward")
                    .with_hint("Declare it with SCROLL option to enable backward scan."),
            ),
        }
    }

    /// The rows after the position up to this one.
    async fn forward(&mut self, to: u64) -> Result<Vec<RecordBatch>, QueryError> {
        self.read_to(to).await?;
        let last = self.last();
        let taken = self.slice(self.position + 1, to.min(last));
        self.position = to.min(last + 1);
        if !self.scroll {
            self.forget_passed();
        }
        Ok(taken)
    }

    /// The rows before the position down to the one behind `to`, which becomes the position's neighbour: the last row given is the position.
    fn backward(&mut self, to: u64) -> Result<Vec<RecordBatch>, QueryError> {
        self.refuse_backward()?;
        let first = to.max(1);
        let mut taken = Vec::new();
        let mut row = self.position.min(self.last() + 1);
        while row > first {
            row -= 1;
            taken.extend(self.one(row));
        }
        self.position = to;
        Ok(taken)
    }

    /// The one row of this number.
    async fn place(&mut self, row: u64) -> Result<Vec<RecordBatch>, QueryError> {
        if row <= self.position {
            self.refuse_backward()?;
        }
        self.read_to(row).await?;
        let taken = self.one(row);
        self.position = row.min(self.last() + 1);
        if !self.scroll {
            self.forget_passed();
        }
        Ok(taken)
    }

    /// The last row that has been read.
    fn last(&self) -> u64 {
        self.first - 1 + self.kept_rows
    }

    fn one(&self, row: u64) -> Vec<RecordBatch> {
        self.slice(row, row)
    }

    /// Rows from `from` to `to` that are kept.
    fn slice(&self, from: u64, to: u64) -> Vec<RecordBatch> {
        let mut taken = Vec::new();
        let mut start = self.first;
        for batch in &self.kept {
            let end = start + batch.num_rows() as u64;
            let (low, high) = (from.max(start), to.saturating_add(1).min(end));
            if low < high {
                taken.push(batch.slice((low - start) as usize, (high - low) as usize));
            }
            start = end;
        }
        taken
    }

    /// Reads until this row is there, or all are.
    async fn read_to(&mut self, row: u64) -> Result<(), QueryError> {
        while !self.complete && self.last() < row {
            match self.stream.get_mut().next().await {
                None => self.complete = true,
                Some(batch) => {
                    let batch = batch.map_err(errors::translate)?;
                    self.kept_bytes = self.kept_bytes.saturating_add(batch.get_array_memory_size());
                    self.kept_rows += batch.num_rows() as u64;
                    self.kept.push(batch);
                    if self.kept_bytes > KEPT_BYTES_MAX {
                        let message = format!("a cursor keeps at most {} MB of rows", KEPT_BYTES_MAX >> 20);
                        let error = QueryError::new(ErrorKind::ProgramLimitExceeded, message);
                        return Err(error.with_hint("fetch fewer rows at a time, without SCROLL and HOLD"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Batches whose rows are all behind the position.
    fn forget_passed(&mut self) {
        while let Some(batch) = self.kept.first() {
            let rows = batch.num_rows() as u64;
            if self.first + rows > self.position {
                return;
            }
            self.kept_bytes = self.kept_bytes.saturating_sub(batch.get_array_memory_size());
            self.first += rows;
            self.kept_rows -= rows;
            self.kept.remove(0);
        }
    }
}
