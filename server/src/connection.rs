//! One client's connection, from its first message to its last: which message does what, and when answers may leave.
//!
//! ```text
//! read -> message -> session -> answers in the output -> sent at Sync, at Flush, at the end of a simple Query, or when there are many
//! ```
//!
//! Promises: an answer to a write reaches the socket only after `Session::finish_implicit` has made the write durable. Until then it is
//! held; if that fails, the answers since the first such write are taken back and the error stands in their place.
//! After an error in the extended protocol, everything up to Sync is skipped.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use taospg_query::notify::Mailbox;
use taospg_query::{ErrorKind, Outcome, Parameter, Prepared, QueryError, Session, TransactionStatus};
use tokio::time::Instant;

use crate::cancel::Registration;
use crate::defects::Defects;
use crate::extended::{Portals, Statements};
use crate::failure::{Failure, Flow};
use crate::frame::{BodyReader, Frame};
use crate::interrupts::{Deadline, Interrupts, canceled_by_user, timed_out, until};
use crate::rows::{Cursor, Progress};
use crate::shutdown::{ShutdownWatch, Stage};
use crate::sqlstate;
use crate::wire::{OUTPUT_BYTES_SEND, Wire};

/// Answers that wait for their writes to become durable may grow to this, about 600,000 statements of one transaction; then the
/// transaction is finished early, as if the client had sent Flush.
pub(crate) const OUTPUT_BYTES_HELD_MAX: usize = 16 * 1024 * 1024;

pub struct Connection {
    pub(crate) wire: Wire,
    pub(crate) session: Session,
    pub(crate) interrupts: Interrupts,
    pub(crate) statements: Statements,
    pub(crate) portals: Portals,
    /// Where the answers begin that wait for their writes.
    pub(crate) held_from: Option<usize>,
    /// An extended statement failed: messages are skipped until Sync.
    pub(crate) skipping: bool,
    /// Answers are complete up to here for the client: they leave before we wait for it.
    answers_due: bool,
    defects: Arc<Defects>,
    /// Leaves the list of sessions that can be canceled when the connection ends.
    _registration: Registration,
    mailbox: Arc<Mailbox>,
}

/// What the connection does while it waits for the client.
#[derive(Clone, Copy)]
pub(crate) enum Waiting {
    /// For the next statement.
    Idle,
    /// For the data of a COPY.
    Copy(Deadline),
}

impl Connection {
    pub fn new(
        wire: Wire,
        session: Session,
        registration: Registration,
        shutdown: ShutdownWatch,
        defects: Arc<Defects>,
    ) -> Connection {
        Connection {
            mailbox: session.mailbox(),
            wire,
            session,
            interrupts: Interrupts {
                asked: registration.interruption.clone(),
                shutdown,
            },
            defects,
            statements: Statements::default(),
            portals: Portals::default(),
            held_from: None,
            skipping: false,
            answers_due: true,
            _registration: registration,
        }
    }

    /// Serves until the client leaves or has to.
    pub async fn serve(mut self) {
        let end = match AssertUnwindSafe(self.messages()).catch_unwind().await {
            Ok(end) => end,
            Err(panic) => {
                self.defects.note(&*panic);
                // What was being written may be cut off in the middle of a message; what was sent before is whole.
                self.held_from = None;
                self.wire.output.truncate(0);
                Failure::Fatal {
                    code: sqlstate::INTERNAL_ERROR,
                    message: "internal error: the server's log has more; the connection ends".into(),
                }
            }
        };
        match end {
            Failure::Gone => {}
            Failure::Fatal { code, message } => self.leave(code, message).await,
            Failure::Refused(error) => self.leave(sqlstate::sqlstate(error.kind), error.message).await,
            // Reported where they arise; what comes up to here is about the connection.
            Failure::Statement(error) => self.leave(sqlstate::sqlstate(error.kind), error.message).await,
        }
    }

    /// Handles messages until one ends the connection.
    async fn messages(&mut self) -> Failure {
        loop {
            let next = match self.pipelined_inserts() {
                Ok(()) => self.next_frame(Waiting::Idle).await,
                Err(failure) => Err(failure),
            };
            let next = match next {
                Ok(frame) => self.handle(frame).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = next {
                return failure;
            }
        }
    }

    /// Tells the client why the connection ends.
    async fn leave(mut self, code: &'static str, message: String) {
        tracing::debug!(code, message, "connection ended by the server");
        self.drop_held_answers();
        self.session.fail();
        self.wire.output.fatal(code, message);
        self.wire.close().await;
    }

    /// The next message. Everything due is sent before we wait for it.
    pub(crate) async fn next_frame(&mut self, waiting: Waiting) -> Flow<Frame> {
        if let Some(frame) = self.wire.buffered_frame()? {
            return Ok(frame);
        }
        if self.answers_due {
            self.answers_due = false;
            self.send_or_skip().await?;
        }
        loop {
            match waiting {
                Waiting::Idle => {
                    tokio::select! {
                        biased;
                        filled = self.wire.fill() => filled?,
                        () = self.interrupts.asked.terminate.requested() => return Err(Failure::terminated()),
                        () = self.interrupts.shutdown.reached(Stage::Stopping) => return Err(Failure::terminated()),
                        // Not before answers that wait for their writes.
                        () = self.mailbox.arrived(), if self.held_from.is_none() => {
                            self.notifications();
                            self.wire.send().await?;
                            continue;
                        }
                    }
                    // A request to cancel is meant for what ran when it was sent.
                    self.interrupts.asked.cancel.clear();
                }
                Waiting::Copy(deadline) => {
                    tokio::select! {
                        biased;
                        () = self.interrupts.asked.cancel.requested() => return Err(canceled_by_user()),
                        filled = self.wire.fill() => filled?,
                        () = self.interrupts.asked.terminate.requested() => return Err(Failure::terminated()),
                        () = until(deadline) => return Err(timed_out()),
                        () = self.interrupts.shutdown.reached(Stage::Ending) => return Err(Failure::terminated()),
                    }
                }
            }
            if let Some(frame) = self.wire.buffered_frame()? {
                return Ok(frame);
            }
        }
    }

    async fn handle(&mut self, frame: Frame) -> Flow<()> {
        if self.skipping && !matches!(frame.kind, b'S' | b'X') {
            return Ok(());
        }
        match frame.kind {
            // Boxed, so that the many small messages of a pipeline do not carry the room that this needs.
            b'Q' => Box::pin(self.simple_query(frame)).await?,
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                if let Err(failure) = self.extended_message(frame).await {
                    self.skip_to_sync(failure)?;
                }
            }
            b'H' => self.answers_due = true,
            b'S' => Box::pin(self.sync()).await?,
            // The rest of a COPY that has failed.
            b'd' | b'c' | b'f' => {}
            b'X' => {
                // Answers that were complete when it was sent: the client may read them yet.
                if self.answers_due && self.held_from.is_none() {
                    self.wire.send().await?;
                }
                return Err(Failure::Gone);
            }
            b'F' => {
                let error = QueryError::new(
                    ErrorKind::FeatureNotSupported,
                    "function calls are not supported, use SELECT",
                );
                self.report(error.into())?;
                self.ready();
            }
            kind => {
                return Err(Failure::protocol(format!("invalid frontend message type {kind}")));
            }
        }
        self.send_if_many().await
    }

    /// Tells of a failure in the extended protocol: messages are skipped up to the next Sync.
    pub(crate) fn skip_to_sync(&mut self, failure: Failure) -> Flow<()> {
        self.skipping = true;
        self.report(failure)?;
        // The client may wait for this without having sent Sync.
        self.answers_due = true;
        Ok(())
    }

    /// Tells the client of a failed statement, and the session. What is worse than that goes on up.
    pub(crate) fn report(&mut self, failure: Failure) -> Flow<()> {
        match failure {
            Failure::Statement(error) => {
                tracing::debug!(kind = ?error.kind, message = error.message, "statement failed");
                self.session.fail();
                // The answers before it stand, as the client sent these statements: the error says that none of them took effect.
                self.held_from = None;
                self.notices();
                self.wire.output.error(error);
                Ok(())
            }
            worse => Err(worse),
        }
    }

    /// A Query message: statements between semicolons, one implicit transaction.
    async fn simple_query(&mut self, frame: Frame) -> Flow<()> {
        self.portals.remove("");
        self.statements.forget_unnamed();
        if let Err(failure) = self.simple_statements(frame).await {
            self.report(failure)?;
        } else if let Err(failure) = self.finish().await {
            self.report(failure)?;
        }
        self.end_portals();
        self.ready();
        Ok(())
    }

    async fn simple_statements(&mut self, frame: Frame) -> Flow<()> {
        let mut body = BodyReader::new(frame.body);
        let sql = body.string()?;
        body.end()?;
        let statements = self.session.parse(sql.as_str())?;
        drop(sql);
        if statements.is_empty() {
            self.wire.output.empty_query();
        }
        for statement in &statements {
            self.answer_before_long_work().await?;
            let place = self.wire.output.len();
            let deadline = self.deadline();
            let prepared = {
                let Connection {
                    session,
                    interrupts,
                    wire,
                    ..
                } = self;
                interrupts
                    .run(deadline, wire.socket(), session.prepare(statement, &[]))
                    .await?
            };
            let outcome = self.run_prepared(&prepared, &[], deadline).await?;
            self.hold_answers(place);
            self.simple_outcome(outcome, deadline).await?;
        }
        Ok(())
    }

    /// Executes a statement, which may be ended early unless it ends a transaction: only its own end tells whether a COMMIT took effect.
    pub(crate) async fn run_prepared(
        &mut self,
        prepared: &Prepared,
        parameters: &[Parameter],
        deadline: Deadline,
    ) -> Flow<Outcome> {
        let Connection {
            session,
            interrupts,
            wire,
            ..
        } = self;
        let execution = session.execute(prepared, parameters);
        if prepared.statement().ends_transaction() {
            return Ok(execution.await?);
        }
        interrupts.run(deadline, wire.socket(), execution).await
    }

    async fn simple_outcome(&mut self, outcome: Outcome, deadline: Deadline) -> Flow<()> {
        match outcome {
            Outcome::Rows(rows) => {
                self.wire.output.row_description(&rows.fields, &[]);
                let mut cursor = Cursor::new(rows, &[], self.session.text_style());
                let Progress { rows, .. } = self.send_rows(&mut cursor, None, deadline).await?;
                self.complete_rows(cursor.tag(), rows);
            }
            Outcome::Complete(tag) => self.complete(&tag),
            Outcome::Empty => self.wire.output.empty_query(),
            Outcome::CopyIn(copy) => {
                let tag = self.copy_in(*copy, deadline).await?;
                self.complete(&tag);
            }
            Outcome::CopyOut(copy) => {
                let tag = self.copy_out(copy, deadline).await?;
                self.complete(&tag);
            }
        }
        Ok(())
    }

    /// Sync: the end of the implicit transaction and of skipping.
    async fn sync(&mut self) -> Flow<()> {
        if self.skipping {
            self.skipping = false;
        } else if let Err(failure) = self.finish().await {
            self.report(failure)?;
        }
        self.end_portals();
        self.ready();
        Ok(())
    }

    /// Makes held writes durable. If that fails, their answers are taken back.
    async fn finish(&mut self) -> Flow<()> {
        if self.answers_due
            && let Some(place) = self.held_from
        {
            // Answers of earlier messages do not wait for the disk with these.
            let kept_bytes = self.wire.output.len() - place;
            self.wire.send_all_but(kept_bytes).await?;
            self.held_from = Some(0);
        }
        // Not to be interrupted: once it has begun, only its own end can tell what became of the writes.
        let finished = self.session.finish_implicit().await;
        match finished {
            Ok(()) => self.held_from = None,
            Err(_) => self.drop_held_answers(),
        }
        Ok(finished?)
    }

    fn drop_held_answers(&mut self) {
        if let Some(place) = self.held_from.take() {
            self.wire.output.truncate(place);
        }
    }

    /// Notes that the answers from `place` on wait for their writes, if they do.
    pub(crate) fn hold_answers(&mut self, place: usize) {
        if self.held_from.is_none() && self.session.has_held_writes() {
            self.held_from = Some(place);
        }
    }

    /// Sends all answers, after the writes they tell of are durable. Fails as a statement does when they cannot be made so.
    pub(crate) async fn send(&mut self) -> Flow<()> {
        if self.held_from.is_some() {
            self.finish().await?;
        }
        self.wire.send().await
    }

    /// Sends all answers between messages of the extended protocol, where a failure means to skip to Sync.
    async fn send_or_skip(&mut self) -> Flow<()> {
        if self.held_from.is_some()
            && let Err(failure) = self.finish().await
        {
            self.skipping = true;
            self.report(failure)?;
        }
        self.wire.send().await
    }

    async fn send_if_many(&mut self) -> Flow<()> {
        let limit = match self.held_from {
            Some(_) => OUTPUT_BYTES_HELD_MAX,
            None => OUTPUT_BYTES_SEND,
        };
        if self.wire.output.len() >= limit {
            self.send_or_skip().await?;
        }
        Ok(())
    }

    /// Earlier answers of a pipeline do not wait behind a statement that may take long.
    pub(crate) async fn answer_before_long_work(&mut self) -> Flow<()> {
        if self.answers_due {
            self.answers_due = false;
            self.send().await?;
        }
        Ok(())
    }

    /// Portals live as long as their transaction.
    fn end_portals(&mut self) {
        if self.session.transaction_status() == TransactionStatus::Idle {
            self.portals.clear();
        }
    }

    /// What others have told this session.
    fn notifications(&mut self) {
        for told in self.session.take_notifications() {
            self.wire.output.notification(&told);
        }
    }

    /// Notifications, changed settings, then ReadyForQuery.
    fn ready(&mut self) {
        self.notifications();
        self.notices();
        for (name, value) in self.session.take_parameter_reports() {
            self.wire.output.parameter_status(name, value);
        }
        self.wire.output.ready_for_query(self.session.transaction_status());
        self.answers_due = true;
    }

    pub(crate) fn notices(&mut self) {
        for notice in self.session.take_notices() {
            self.wire.output.notice(notice);
        }
    }

    pub(crate) fn complete(&mut self, tag: &str) {
        // Writes that came about while rows or data were under way.
        self.hold_answers(self.wire.output.len());
        self.notices();
        self.wire.output.command_complete(tag);
    }

    pub(crate) fn complete_rows(&mut self, tag: &str, rows: u64) {
        match tag {
            // Rows of these are not counted, as in PostgreSQL.
            "SHOW" | "EXPLAIN" => self.complete(tag),
            _ => self.complete(&format!("{tag} {rows}")),
        }
    }

    /// When a statement that begins now has to be done.
    pub(crate) fn deadline(&self) -> Deadline {
        self.session.statement_timeout().map(|timeout| Instant::now() + timeout)
    }
}
