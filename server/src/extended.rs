//! The extended protocol: Parse, Bind, Describe, Execute, Close.
//!
//! ```text
//! Parse -> statement --Bind--> portal: ready --Execute--> rows under way --Execute…--> done
//! ```
//!
//! Named statements live until they are closed, unnamed ones until the next; portals until their transaction ends.

use std::collections::HashMap;
use std::sync::Arc;

use taospg_query::{ErrorKind, Format, Outcome, Parameter, Prepared, QueryError, ResultField};

use crate::connection::{Connection, OUTPUT_BYTES_HELD_MAX};
use crate::failure::{Failure, Flow};
use crate::frame::{BodyReader, Frame, Text};
use crate::interrupts::{Deadline, canceled_by_user};
use crate::output::format_from_code;
use crate::rows::{Cursor, Progress};
use crate::wire::OUTPUT_BYTES_SEND;

/// Portals, and statements without content, that one session may hold: as many as it may hold prepared statements.
const NAMES_MAX: usize = 10_000;
/// SQL text that one session's named statements may hold.
const STATEMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What Parse made.
#[derive(Clone)]
pub struct PreparedStatement {
    /// `None`: the text held no statement.
    prepared: Option<Prepared>,
    /// Type of each parameter.
    parameter_types: Arc<[u32]>,
}

impl PreparedStatement {
    fn of(prepared: Prepared) -> PreparedStatement {
        PreparedStatement {
            parameter_types: prepared.parameter_types.clone(),
            prepared: Some(prepared),
        }
    }

    fn fields(&self) -> Option<&Arc<[ResultField]>> {
        self.prepared.as_ref().and_then(|prepared| prepared.fields.as_ref())
    }
}

/// The statements of one session that are known here. Named ones with content are the session's, which shares them with SQL's PREPARE.
#[derive(Default)]
pub struct Statements {
    unnamed: Option<PreparedStatement>,
    /// Named statements without content.
    empty: HashMap<String, PreparedStatement>,
    /// Bytes of SQL of the session's named statements. May still tell of some that DEALLOCATE has removed.
    text_bytes: HashMap<String, usize>,
}

impl Statements {
    pub fn forget_unnamed(&mut self) {
        self.unnamed = None;
    }
}

/// The portals of one session. The unnamed one stands apart: a pipeline makes and drops it with every row.
#[derive(Default)]
pub struct Portals {
    unnamed: Option<Portal>,
    named: HashMap<String, Portal>,
}

impl Portals {
    fn get(&self, name: &str) -> Option<&Portal> {
        match name {
            "" => self.unnamed.as_ref(),
            name => self.named.get(name),
        }
    }

    fn len(&self) -> usize {
        self.named.len() + usize::from(self.unnamed.is_some())
    }

    fn insert(&mut self, name: &str, portal: Portal) {
        match name {
            "" => self.unnamed = Some(portal),
            name => {
                self.named.insert(name.to_owned(), portal);
            }
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Portal> {
        match name {
            "" => self.unnamed.take(),
            name => self.named.remove(name),
        }
    }

    pub fn clear(&mut self) {
        self.unnamed = None;
        self.named.clear();
    }
}

pub struct Portal {
    statement: PreparedStatement,
    parameters: Vec<Parameter>,
    result_formats: Vec<Format>,
    state: PortalState,
    /// Where its BindComplete stands in the output.
    bound_at: u64,
}

enum PortalState {
    Ready,
    Rows(Box<Cursor>),
    /// Its rows have all been sent: there are no more.
    Exhausted(&'static str),
    /// Ran, and cannot run again.
    Done,
}

impl Connection {
    pub(crate) async fn extended_message(&mut self, frame: Frame) -> Flow<()> {
        let body = BodyReader::new(frame.body);
        match frame.kind {
            b'P' => Box::pin(self.parse(body)).await,
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body).await,
            _ => self.close(body),
        }
    }

    async fn parse(&mut self, mut body: BodyReader) -> Flow<()> {
        let name = body.string()?;
        let sql = body.string()?;
        let count = body.count()?;
        body.ensure(count, 4)?;
        let mut parameter_types = Vec::with_capacity(count);
        for _ in 0..count {
            parameter_types.push(body.u32()?);
        }
        body.end()?;
        let name = name.as_str();
        if name.is_empty() {
            self.statements.forget_unnamed();
        } else if self.statement(name).is_ok() {
            return Err(Failure::statement(
                ErrorKind::DuplicatePreparedStatement,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        let statement = self.prepare(sql.as_str(), &parameter_types).await?;
        self.keep_statement(name, sql.as_str().len(), statement)?;
        self.wire.output.parse_complete();
        Ok(())
    }

    fn keep_statement(
        &mut self,
        name: &str,
        text_bytes: usize,
        statement: PreparedStatement,
    ) -> Result<(), QueryError> {
        if name.is_empty() {
            self.statements.unnamed = Some(statement);
            return Ok(());
        }
        let Some(prepared) = statement.prepared else {
            if self.statements.empty.len() >= NAMES_MAX {
                return Err(too_many("prepared statements", NAMES_MAX));
            }
            self.statements.empty.insert(name.to_owned(), statement);
            return Ok(());
        };
        let known = &mut self.statements.text_bytes;
        if known.values().sum::<usize>() + text_bytes > STATEMENT_BYTES_MAX {
            let session = &self.session;
            known.retain(|name, _| session.named_statement(name).is_ok());
            if known.values().sum::<usize>() + text_bytes > STATEMENT_BYTES_MAX {
                return Err(too_many("bytes of prepared statements", STATEMENT_BYTES_MAX));
            }
        }
        self.session.name_statement(name, prepared)?;
        known.insert(name.to_owned(), text_bytes);
        Ok(())
    }

    async fn prepare(&mut self, sql: &str, parameter_types: &[u32]) -> Flow<PreparedStatement> {
        let mut statements = self.session.parse(sql)?;
        if statements.len() > 1 {
            return Err(Failure::statement(
                ErrorKind::SyntaxError,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        let Some(statement) = statements.pop() else {
            return Ok(PreparedStatement {
                prepared: None,
                parameter_types: parameter_types.into(),
            });
        };
        let deadline = self.deadline();
        let Connection {
            session,
            interrupts,
            wire,
            ..
        } = self;
        let prepared = interrupts
            .run(deadline, wire.socket(), session.prepare(&statement, parameter_types))
            .await?;
        Ok(PreparedStatement::of(prepared))
    }

    fn statement(&self, name: &str) -> Result<PreparedStatement, QueryError> {
        if name.is_empty() {
            return self.statements.unnamed.clone().ok_or_else(|| {
                QueryError::new(
                    ErrorKind::InvalidSqlStatementName,
                    "unnamed prepared statement does not exist",
                )
            });
        }
        match self.statements.empty.get(name) {
            Some(statement) => Ok(statement.clone()),
            None => self.session.named_statement(name).map(PreparedStatement::of),
        }
    }

    fn forget_statement(&mut self, name: &str) {
        if name.is_empty() {
            self.statements.forget_unnamed();
        } else {
            self.statements.empty.remove(name);
            self.statements.text_bytes.remove(name);
            self.session.forget_statement(name);
        }
    }

    fn bind(&mut self, mut body: BodyReader) -> Flow<()> {
        let portal_name = body.string()?;
        let statement_name = body.string()?;
        let statement = self.statement(statement_name.as_str())?;
        let formats = read_formats(&mut body)?;
        let count = body.count()?;
        check_parameters(&statement, &statement_name, &formats, count)?;
        // Each has at least its length word.
        body.ensure(count, 4)?;
        let mut parameters = self.take_parameters(portal_name.as_str(), count);
        for index in 0..count {
            let value = match body.i32()? {
                -1 => None,
                length => {
                    let length = usize::try_from(length)
                        .map_err(|_| Failure::protocol(format!("invalid length {length} of a parameter")))?;
                    Some(body.bytes(length)?)
                }
            };
            let format = match formats.as_slice() {
                [] => Format::Text,
                [one] => *one,
                several => several.get(index).copied().unwrap_or(Format::Text),
            };
            parameters.push(Parameter { format, value });
        }
        let result_formats = read_formats(&mut body)?;
        body.end()?;
        if let Some(fields) = statement.fields()
            && result_formats.len() > 1
            && result_formats.len() != fields.len()
        {
            return Err(Failure::statement(
                ErrorKind::ProtocolViolation,
                format!(
                    "bind message has {} result formats but query has {} columns",
                    result_formats.len(),
                    fields.len()
                ),
            ));
        }
        // What writes reads its values once, when it executes.
        if let (Some(prepared), Some(_)) = (&statement.prepared, statement.fields()) {
            self.session.check_parameters(prepared, &parameters)?;
        }
        let name = portal_name.as_str();
        if !name.is_empty() && self.portals.get(name).is_some() {
            return Err(Failure::statement(
                ErrorKind::DuplicateCursor,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if self.portals.len() >= NAMES_MAX {
            return Err(too_many("portals", NAMES_MAX).into());
        }
        self.portals.insert(
            name,
            Portal {
                statement,
                parameters,
                result_formats,
                state: PortalState::Ready,
                bound_at: self.wire.output.mark(),
            },
        );
        self.wire.output.bind_complete();
        Ok(())
    }

    /// Room for parameters: that of the unnamed portal which the new one replaces, where there is one.
    fn take_parameters(&mut self, portal_name: &str, count: usize) -> Vec<Parameter> {
        let replaced = if portal_name.is_empty() {
            self.portals.remove("")
        } else {
            None
        };
        match replaced {
            Some(portal) => {
                let mut parameters = portal.parameters;
                parameters.clear();
                parameters.reserve(count);
                parameters
            }
            None => Vec::with_capacity(count),
        }
    }

    fn describe(&mut self, mut body: BodyReader) -> Flow<()> {
        let target = body.byte()?;
        let name = body.string()?;
        body.end()?;
        match target {
            b'S' => {
                let statement = self.statement(name.as_str())?;
                self.wire.output.parameter_description(&statement.parameter_types);
                self.describe_rows(&statement, &[]);
            }
            b'P' => {
                if let Some(portal) = self.portals.get(name.as_str()) {
                    let statement = portal.statement.clone();
                    let formats = portal.result_formats.clone();
                    self.describe_rows(&statement, &formats);
                } else {
                    // A cursor of DECLARE is a portal by its name.
                    let fields = self.session.cursor_fields(name.as_str());
                    let fields = fields.map_err(|_| no_portal(name.as_str()))?;
                    self.wire.output.row_description(&fields, &[]);
                }
            }
            other => return Err(invalid_target("DESCRIBE", other)),
        }
        Ok(())
    }

    fn describe_rows(&mut self, statement: &PreparedStatement, formats: &[Format]) {
        match statement.fields() {
            Some(fields) => self.wire.output.row_description(fields, formats),
            None => self.wire.output.no_data(),
        }
    }

    async fn execute(&mut self, mut body: BodyReader) -> Flow<()> {
        let name = body.string()?;
        let limit = body.i32()?;
        body.end()?;
        // Zero is no limit, and so is less.
        let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0);
        let name = name.as_str();
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        // A portal whose execution fails is gone: nothing but the end of its transaction can follow.
        self.execute_portal(name, &mut portal, limit).await?;
        self.portals.insert(name, portal);
        Ok(())
    }

    /// Handles what has come of a pipeline of prepared INSERTs: Bind, and Execute of the unnamed portal, without a future for each. Stops before
    /// anything else, which is for `handle`.
    pub(crate) fn pipelined_inserts(&mut self) -> Flow<()> {
        /// Execute of the unnamed portal without a limit, which PostgreSQL's own library always sends.
        const EXECUTE: &[u8] = b"E\0\0\0\x09\0\0\0\0\0";
        if self.skipping {
            return Ok(());
        }
        // What waits for its writes may grow; what may leave should.
        while self.held_from.is_some() || self.wire.output.len() < OUTPUT_BYTES_SEND {
            let next = self.wire.buffered();
            let done = match next.first() {
                Some(b'B') => match self.wire.buffered_frame()? {
                    Some(frame) => self.bind(BodyReader::new(frame.body)),
                    None => return Ok(()),
                },
                Some(b'E') if next.starts_with(EXECUTE) => match self.insert_at_once() {
                    Some(done) => {
                        self.wire.buffered_frame()?;
                        done
                    }
                    None => return Ok(()),
                },
                _ => return Ok(()),
            };
            if let Err(failure) = done {
                return self.skip_to_sync(failure);
            }
            if self.wire.output.len() >= OUTPUT_BYTES_HELD_MAX {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Executes the unnamed portal, if it is an INSERT that takes no waiting.
    fn insert_at_once(&mut self) -> Option<Flow<()>> {
        let portal = self.portals.unnamed.as_mut()?;
        if !matches!(portal.state, PortalState::Ready) {
            return None;
        }
        let prepared = portal.statement.prepared.as_ref()?;
        if self.interrupts.asked.terminate.take() {
            return Some(Err(Failure::terminated()));
        }
        if self.interrupts.asked.cancel.take() {
            self.portals.unnamed = None;
            return Some(Err(canceled_by_user()));
        }
        let place = self.wire.output.len();
        match self.session.insert_at_once(prepared, &portal.parameters)? {
            Ok(rows) => {
                // Parameters are slices of the read buffer, which cannot be used again while they live.
                portal.parameters.clear();
                portal.state = PortalState::Done;
                self.hold_answers(place);
                self.notices();
                self.wire.output.rows_inserted(rows);
                Some(Ok(()))
            }
            Err(error) => {
                let portal = self.portals.remove("")?;
                Some(Err(self.blame(&portal, error)))
            }
        }
    }

    async fn execute_portal(&mut self, name: &str, portal: &mut Portal, limit: Option<u64>) -> Flow<()> {
        let deadline = self.deadline();
        match &mut portal.state {
            PortalState::Ready => match self.start_portal(portal, limit, deadline).await {
                Err(Failure::Statement(error)) => Err(self.blame(portal, error)),
                done => done,
            },
            PortalState::Rows(_) => Box::pin(self.continue_portal(portal, limit, deadline)).await,
            PortalState::Exhausted(tag) => {
                let tag = *tag;
                self.complete_rows(tag, 0);
                Ok(())
            }
            PortalState::Done => Err(Failure::statement(
                ErrorKind::ObjectNotInPrerequisiteState,
                format!("portal \"{name}\" cannot be run"),
            )),
        }
    }

    /// Where the value of a parameter is what failed, the client hears that Bind has failed, as in PostgreSQL.
    fn blame(&mut self, portal: &Portal, error: QueryError) -> Failure {
        let prepared = portal.statement.prepared.as_ref();
        let checked = prepared.map(|prepared| self.session.check_parameters(prepared, &portal.parameters));
        match checked {
            Some(Err(of_value)) => {
                self.wire.output.take_back(portal.bound_at);
                of_value.into()
            }
            _ => error.into(),
        }
    }

    async fn start_portal(&mut self, portal: &mut Portal, limit: Option<u64>, deadline: Deadline) -> Flow<()> {
        portal.state = PortalState::Done;
        let Some(prepared) = &portal.statement.prepared else {
            self.wire.output.empty_query();
            return Ok(());
        };
        if portal.statement.fields().is_some() {
            self.answer_before_long_work().await?;
        }
        let place = self.wire.output.len();
        let outcome = self.run_prepared(prepared, &portal.parameters, deadline).await?;
        self.hold_answers(place);
        match outcome {
            Outcome::Complete(tag) => {
                // Parameters are slices of the read buffer, which cannot be used again while they live.
                portal.parameters.clear();
                self.complete(&tag);
            }
            Outcome::Empty => self.wire.output.empty_query(),
            Outcome::Rows(rows) => {
                let cursor = Cursor::new(rows, &portal.result_formats, self.session.text_style());
                portal.state = PortalState::Rows(Box::new(cursor));
                Box::pin(self.continue_portal(portal, limit, deadline)).await?;
            }
            Outcome::CopyIn(copy) => {
                let tag = Box::pin(self.copy_in(*copy, deadline)).await?;
                self.complete(&tag);
            }
            Outcome::CopyOut(copy) => {
                let tag = Box::pin(self.copy_out(copy, deadline)).await?;
                self.complete(&tag);
            }
        }
        Ok(())
    }

    async fn continue_portal(&mut self, portal: &mut Portal, limit: Option<u64>, deadline: Deadline) -> Flow<()> {
        let PortalState::Rows(cursor) = &mut portal.state else {
            return Ok(());
        };
        let Progress { rows, finished } = self.send_rows(cursor, limit, deadline).await?;
        if finished {
            let tag = cursor.tag();
            portal.state = PortalState::Exhausted(tag);
            self.complete_rows(tag, rows);
        } else {
            self.notices();
            self.wire.output.portal_suspended();
        }
        Ok(())
    }

    /// Closing what does not exist is no error.
    fn close(&mut self, mut body: BodyReader) -> Flow<()> {
        let target = body.byte()?;
        let name = body.string()?;
        body.end()?;
        match target {
            b'S' => self.forget_statement(name.as_str()),
            b'P' => {
                if self.portals.remove(name.as_str()).is_none() {
                    self.session.close_portal(name.as_str());
                }
            }
            other => return Err(invalid_target("CLOSE", other)),
        }
        self.wire.output.close_complete();
        Ok(())
    }
}

fn read_formats(body: &mut BodyReader) -> Flow<Vec<Format>> {
    let count = body.count()?;
    body.ensure(count, 2)?;
    let mut formats = Vec::with_capacity(count);
    for _ in 0..count {
        formats.push(format_from_code(body.i16()?)?);
    }
    Ok(formats)
}

fn check_parameters(
    statement: &PreparedStatement,
    statement_name: &Text,
    formats: &[Format],
    count: usize,
) -> Result<(), QueryError> {
    let violation = |message: String| Err(QueryError::new(ErrorKind::ProtocolViolation, message));
    if formats.len() > 1 && formats.len() != count {
        return violation(format!(
            "bind message has {} parameter formats but {count} parameters",
            formats.len()
        ));
    }
    let wanted = statement.parameter_types.len();
    if count != wanted {
        return violation(format!(
            "bind message supplies {count} parameters, but prepared statement \"{}\" requires {wanted}",
            statement_name.as_str()
        ));
    }
    Ok(())
}

fn too_many(what: &str, max: usize) -> QueryError {
    QueryError::new(
        ErrorKind::ProgramLimitExceeded,
        format!("a session can hold {max} {what}"),
    )
    .with_hint("Close those that are no longer used.")
}

fn no_portal(name: &str) -> QueryError {
    QueryError::new(
        ErrorKind::InvalidCursorName,
        format!("portal \"{name}\" does not exist"),
    )
}

fn invalid_target(message: &str, target: u8) -> Failure {
    Failure::statement(
        ErrorKind::ProtocolViolation,
        format!("invalid {message} message subtype {target}"),
    )
}
