//! One connection's state: database, settings, transaction. Statements are prepared and executed here.
//!
//! ```text
//! parse -> Statement -> prepare -> Prepared -> execute -> Outcome        once or many times
//!                                                  |
//!                        writes: accumulator -> held -> storage          at COMMIT, or at the end of the implicit transaction
//! ```
//!
//! Promises: a statement's writes are held whole or not at all; nothing held is visible to others before it is durable; a plan made for an
//! older catalog is made anew before it runs, and refused when its columns changed.
//! Leaves to others: what the wire says (`server`), what a statement does (`execute.rs`, then `ddl/`, `show.rs`, `modify.rs`, `ingest/`, `plan/`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use taospg_catalog::{Database, Role, SeriesRef, Table};
use taospg_storage::{Change, FamilyId, VnodeId};

use crate::access::Identity;
use crate::engine::{ConnectRequest, Engine, SessionEntry};
use crate::ingest::accumulator::Accumulator;
use crate::ingest::insert::PreparedInsert;
use crate::modify::PreparedModification;
use crate::notify::{Mailbox, Note, Notes, Notification};
use crate::pg_type::time::Reading;
pub use crate::pg_type::write::TextStyle;
use crate::plan::PreparedQuery;
use crate::settings::Settings;
use crate::statement::shape::{self, Shape};
use crate::statement::{self, Command, SetScope};
use crate::system::SessionInfo;
use crate::temporary::{Picture, PreparedChange, Temporaries};
use crate::{CopyIn, ErrorKind, Notice, Outcome, Parameter, QueryError, ResultField, Statement};

mod commit;
mod cursor;
mod execute;
mod prepared;
mod shapes;
mod transaction;

use prepared::ListedStatement;
pub(crate) use prepared::ListedStatements;
use shapes::{Reusable, Seen, Shapes};
pub use transaction::{HELD_BYTES_MAX, TransactionStatus};
use transaction::{SavedSettings, Transaction};

/// Notices kept for the client between two messages; a statement that raises more tells the first ones.
const NOTICES_MAX: usize = 1_000;

/// Named statements of one session, as many as a pool of drivers could ever want; each holds a plan.
const NAMED_STATEMENTS_MAX: usize = 10_000;

/// How long a writer of a keyed table waits for another's transaction. Two that wait for each other end this way, too.
const KEYED_LOCK_WAIT: Duration = Duration::from_secs(10);

/// Rows that stay open between INSERTs of one transaction, before they are counted among what is held. Batches of this size are large enough that starting another costs nothing.
const ACCUMULATED_BYTES_MAX: usize = HELD_BYTES_MAX / 64;

/// A statement with its parameters' types and its result's columns known. Cheap to clone.
#[derive(Clone)]
pub struct Prepared {
    /// Type OID of each parameter.
    pub parameter_types: Arc<[u32]>,
    /// `None`: returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
    inner: Arc<PreparedStatement>,
}

impl Prepared {
    fn new(statement: &Statement, declared_types: &[u32], plan: Plan) -> Prepared {
        let (parameter_types, fields) = plan.body.signature();
        Prepared {
            parameter_types,
            fields,
            inner: Arc::new(PreparedStatement {
                statement: statement.clone(),
                declared_types: declared_types.to_vec(),
                plan: Arc::new(Mutex::new(plan)),
                literals: None,
            }),
        }
    }

    /// What was prepared.
    pub fn statement(&self) -> &Statement {
        &self.inner.statement
    }
}

impl Reusable {
    /// A query of the shape, prepared with this plan.
    fn with_values(&self, statement: &Statement, shape: &Shape) -> Prepared {
        let shared = &self.prepared.inner;
        Prepared {
            parameter_types: [].into(),
            fields: self.prepared.fields.clone(),
            inner: Arc::new(PreparedStatement {
                statement: statement.with_command(shared.statement.command.clone()),
                declared_types: shared.declared_types.clone(),
                plan: shared.plan.clone(),
                literals: Some(self.parameters(shape)),
            }),
        }
    }
}

struct PreparedStatement {
    statement: Statement,
    /// As the client declared them.
    declared_types: Vec<u32>,
    /// Made anew when what it was made for has changed. Queries of one shape share it.
    plan: Arc<Mutex<Plan>>,
    /// The values of a query whose literals became parameters.
    literals: Option<Arc<[Parameter]>>,
}

#[derive(Clone)]
struct Plan {
    made_for: PlanKey,
    body: PlanBody,
}

/// What a plan depends on besides its statement.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PlanKey {
    catalog_version: u64,
    roles_version: u64,
    database_oid: u32,
    /// Literals are read while planning.
    reading: Reading,
    /// System tables and functions know who asks.
    actor: crate::access::Actor,
    temporary_definitions: u64,
}

#[derive(Clone)]
enum PlanBody {
    Insert(PreparedInsert),
    Query(PreparedQuery),
    Modification(Arc<PreparedModification>),
    /// UPDATE or DELETE of a temporary table.
    TemporaryChange(Arc<PreparedChange>),
    /// DECLARE: the cursor's query.
    Cursor(PreparedQuery),
    /// EXECUTE: what the name meant.
    Named(Box<Prepared>),
    /// Needs no plan.
    Direct(Option<Arc<[ResultField]>>),
}

pub struct Session {
    engine: Arc<Engine>,
    entry: Arc<SessionEntry>,
    database_oid: u32,
    database_name: String,
    /// What the current role may do, as of the current statement.
    identity: Identity,
    /// In effect now.
    settings: Settings,
    /// In effect after COMMIT: without SET LOCAL.
    kept_settings: Settings,
    /// What the client knows of the reported ones.
    told_settings: Option<Settings>,
    transaction: Transaction,
    accumulator: Accumulator,
    notices: Vec<Notice>,
    /// PREPARE of SQL and of the wire share their names.
    named: HashMap<String, Prepared>,
    listed: ListedStatements,
    shapes: Shapes,
    shared: Arc<SharedSettings>,
    cursors: cursor::Cursors,
    notes: Notes,
    temporaries: Arc<Temporaries>,
}

/// The settings as SQL functions see them, which are planned once and called by later executions too.
#[derive(Debug)]
pub(crate) struct SharedSettings {
    /// As they were when the current statement began.
    current: Mutex<Settings>,
    /// What `set_config` asked for: name, value, whether for this transaction alone.
    wanted: Mutex<Vec<(String, String, bool)>>,
    /// Grows with each statement.
    statement_number: AtomicU64,
    /// When the transaction began, in microseconds since 1970.
    transaction_us: AtomicI64,
}

impl SharedSettings {
    fn new(settings: Settings) -> SharedSettings {
        SharedSettings {
            current: Mutex::new(settings),
            wanted: Mutex::default(),
            statement_number: AtomicU64::new(0),
            transaction_us: AtomicI64::new(0),
        }
    }

    pub fn current(&self) -> Settings {
        self.current.lock().clone()
    }

    pub fn statement_number(&self) -> u64 {
        self.statement_number.load(Ordering::Relaxed)
    }

    /// A statement begins, or is planned.
    fn begin(&self, settings: &Settings) {
        *self.current.lock() = settings.clone();
        self.statement_number.fetch_add(1, Ordering::Relaxed);
    }

    pub fn transaction_us(&self) -> i64 {
        self.transaction_us.load(Ordering::Relaxed)
    }

    /// `set_config`: checks the value and returns it as it will be kept. It is in effect for later calls, and for the session when the
    /// statement has ended.
    pub fn set(&self, name: &str, value: &str, local: bool) -> Result<String, QueryError> {
        let mut current = self.current.lock();
        current.set(name, value)?;
        let kept = current.get(name)?.to_string();
        self.wanted.lock().push((name.to_string(), value.to_string(), local));
        Ok(kept)
    }
}

impl Session {
    pub(crate) fn new(
        engine: Arc<Engine>,
        entry: Arc<SessionEntry>,
        database: &Database,
        settings: Settings,
    ) -> Session {
        let identity = Identity::new(engine.catalog(), settings.actor);
        let temporaries = Temporaries::new(engine.options().temporary_bytes, entry.process_id);
        Session {
            temporaries: Arc::new(temporaries),
            engine,
            entry,
            database_oid: database.oid,
            database_name: database.name.clone(),
            identity,
            kept_settings: settings.clone(),
            settings: settings.clone(),
            told_settings: None,
            transaction: Transaction::implicit(),
            accumulator: Accumulator::default(),
            notices: Vec::new(),
            named: HashMap::new(),
            listed: ListedStatements::default(),
            shapes: Shapes::default(),
            shared: Arc::new(SharedSettings::new(settings)),
            cursors: cursor::Cursors::default(),
            notes: Notes::default(),
        }
    }

    /// Splits a query string into statements; empty ones between semicolons are left out.
    pub fn parse(&mut self, sql: &str) -> Result<Vec<Statement>, QueryError> {
        let Some(shape) = shape::shape(sql).map(Arc::new) else {
            return statement::parse(sql);
        };
        let seen = self.shapes.look_up(&shape);
        if let Seen::Prepared(reusable) = &seen {
            let command = reusable.prepared.statement().command.clone();
            return Ok(vec![Statement::in_shape(sql, shape, command)?]);
        }
        let mut statements = statement::parse(sql)?;
        match (seen, statements.as_mut_slice()) {
            (Seen::Never, _) => self.shapes.note(&shape),
            (Seen::Once, [statement]) => statement.shape = Some(shape),
            _ => {}
        }
        Ok(statements)
    }

    /// `parameter_types`: OIDs from the Parse message, 0 or missing where the client leaves it to us.
    pub async fn prepare(&mut self, statement: &Statement, parameter_types: &[u32]) -> Result<Prepared, QueryError> {
        self.refuse_if_failed(statement)?;
        self.take_wanted_settings()?;
        self.shared.begin(&self.settings);
        if let Some(shape) = &statement.shape {
            if let Some(prepared) = self.prepare_shape(statement, shape).await {
                return Ok(prepared);
            }
            return self.prepare_written(&statement.as_written()?, parameter_types).await;
        }
        self.prepare_written(statement, parameter_types).await
    }

    async fn prepare_written(&self, statement: &Statement, parameter_types: &[u32]) -> Result<Prepared, QueryError> {
        let plan = self.plan(statement, parameter_types).await;
        let plan = plan.map_err(|error| statement.place(error))?;
        Ok(Prepared::new(statement, parameter_types, plan))
    }

    /// Executes in the current transaction. Writes are held until [`Session::finish_implicit`], or COMMIT inside a block.
    pub async fn execute(&mut self, prepared: &Prepared, parameters: &[Parameter]) -> Result<Outcome, QueryError> {
        let statement = prepared.statement();
        self.refuse_if_failed(statement)?;
        self.begin_statement(statement)?;
        let outcome = match &prepared.inner.literals {
            None => self.execute_statement(prepared, parameters).await,
            Some(literals) => match self.execute_statement(prepared, literals).await {
                Err(_) => Box::pin(self.execute_written(prepared)).await,
                done => done,
            },
        };
        outcome.map_err(|error| statement.place(error))
    }

    /// As `execute`, of an INSERT of values whose tables are known: its number of rows. `None`: it is none of these, and nothing has happened.
    ///
    /// No future is made: moving one about costs a row of a pipeline as much as its values do.
    pub fn insert_at_once(&mut self, prepared: &Prepared, parameters: &[Parameter]) -> Option<Result<u64, QueryError>> {
        let statement = prepared.statement();
        if prepared.inner.literals.is_some() || self.settings.read_only {
            return None;
        }
        let insert = {
            let kept = prepared.inner.plan.lock();
            match &kept.body {
                PlanBody::Insert(insert) if kept.made_for == self.plan_key() => insert.clone(),
                _ => return None,
            }
        };
        let bound = insert.bound_at_once(self, parameters)?;
        let mut run = || {
            self.refuse_if_failed(statement)?;
            self.begin_statement(statement)?;
            let rows = insert.insert_bound(self, &bound, parameters)?;
            self.limit_accumulated()?;
            Ok(rows)
        };
        Some(run().map_err(|error| statement.place(error)))
    }

    /// Whether each value is one of its parameter's type.
    pub fn check_parameters(&self, prepared: &Prepared, parameters: &[Parameter]) -> Result<(), QueryError> {
        for (oid, parameter) in prepared.parameter_types.iter().zip(parameters) {
            crate::pg_type::decode_parameter(*oid, parameter, self.settings.reading())?;
        }
        Ok(())
    }

    /// All data has come: the rows join the transaction. Returns the command tag.
    pub async fn finish_copy(&mut self, copy: CopyIn) -> Result<String, QueryError> {
        let rows = copy.finish(self).await?;
        Ok(format!("COPY {rows}"))
    }

    /// End of the implicit transaction (Sync, or the end of a simple Query): makes held writes durable and visible. Nothing to do inside a
    /// transaction block.
    pub async fn finish_implicit(&mut self) -> Result<(), QueryError> {
        self.take_wanted_settings()?;
        self.entry.statement_ended(self.transaction_status());
        if self.transaction.in_block() {
            return Ok(());
        }
        let committed = match self.has_held_writes() {
            true => self.commit_held().await,
            false => Ok(()),
        };
        match committed {
            Ok(()) => {
                self.transaction = Transaction::implicit();
                self.cursors.commit();
                self.temporaries.commit();
                self.tell_others();
            }
            Err(_) => self.roll_back(),
        }
        committed
    }

    /// A statement failed: drops the held writes of an implicit transaction, or marks the block as failed.
    pub fn fail(&mut self) {
        self.shared.wanted.lock().clear();
        self.accumulator.clear();
        if self.transaction.in_block() {
            self.transaction.status = TransactionStatus::Failed;
        } else {
            self.roll_back();
        }
        self.entry.statement_ended(self.transaction_status());
    }

    /// Writes wait for `finish_implicit`: answers given so far must not reach the client before it.
    pub fn has_held_writes(&self) -> bool {
        self.transaction.has_held() || !self.accumulator.is_empty()
    }

    pub fn transaction_status(&self) -> TransactionStatus {
        self.transaction.status
    }

    /// Settings that ParameterStatus reports and that changed since the last call; all of them at the first call.
    pub fn take_parameter_reports(&mut self) -> Vec<(&'static str, String)> {
        let reports = self.settings.reports(self.told_settings.as_ref());
        if !reports.is_empty() || self.told_settings.is_none() {
            self.told_settings = Some(self.settings.clone());
        }
        reports
    }

    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Where notifications for the client arrive.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        self.notes.mailbox.clone()
    }

    /// What has been told to the client; nothing while a transaction is open.
    pub fn take_notifications(&mut self) -> Vec<Arc<Notification>> {
        if self.transaction.in_block() {
            return Vec::new();
        }
        let (notifications, lost) = self.notes.mailbox.take();
        if lost > 0 {
            self.warn(
                "54000",
                format!("{lost} notifications were lost, because too many were waiting"),
            );
        }
        notifications
    }

    /// `statement_timeout`, if set.
    pub fn statement_timeout(&self) -> Option<Duration> {
        let milliseconds = self.settings.statement_timeout_ms;
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }

    /// The session's time zone and float digits etc., for writing values as text.
    pub fn text_style(&self) -> TextStyle {
        TextStyle {
            time_zone: self.settings.time_zone,
            bytea_escape: self.settings.bytea_escape,
            extra_float_digits: self.settings.extra_float_digits,
            dates: self.settings.dates,
            intervals: self.settings.intervals,
        }
    }

    /// Keeps a statement under a name, for EXECUTE and for the wire's Bind. A name that is taken is refused.
    pub fn name_statement(&mut self, name: &str, prepared: Prepared) -> Result<(), QueryError> {
        if self.named.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(QueryError::new(ErrorKind::DuplicatePreparedStatement, message));
        }
        if self.named.len() >= NAMED_STATEMENTS_MAX {
            let message = format!("a session keeps at most {NAMED_STATEMENTS_MAX} prepared statements");
            return Err(
                QueryError::new(ErrorKind::ProgramLimitExceeded, message).with_hint("DEALLOCATE those no longer used")
            );
        }
        let listed = ListedStatement {
            text: prepared.statement().shared_text(),
            prepared: std::time::SystemTime::now(),
            parameter_types: prepared.parameter_types.clone(),
            from_sql: false,
        };
        self.listed.lock().insert(name.to_string(), listed);
        self.named.insert(name.to_string(), prepared);
        Ok(())
    }

    /// The statement kept under a name.
    pub fn named_statement(&self, name: &str) -> Result<Prepared, QueryError> {
        self.named.get(name).cloned().ok_or_else(|| {
            let message = format!("prepared statement \"{name}\" does not exist");
            QueryError::new(ErrorKind::InvalidSqlStatementName, message)
        })
    }

    /// Forgets a named statement; false when there was none.
    pub fn forget_statement(&mut self, name: &str) -> bool {
        self.listed.lock().remove(name);
        self.named.remove(name).is_some()
    }

    fn forget_statements(&mut self) {
        self.named.clear();
        self.listed.lock().clear();
        self.shapes.clear();
    }

    fn refuse_if_failed(&self, statement: &Statement) -> Result<(), QueryError> {
        if self.transaction.status == TransactionStatus::Failed && !statement.ends_transaction() {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(QueryError::new(ErrorKind::InFailedTransaction, message));
        }
        Ok(())
    }

    fn begin_statement(&mut self, statement: &Statement) -> Result<(), QueryError> {
        self.take_wanted_settings()?;
        self.shared.begin(&self.settings);
        let started_ns = *self.transaction.started_ns.get_or_insert_with(clock_ns);
        self.shared.transaction_us.store(started_ns / 1_000, Ordering::Relaxed);
        let drops = self.engine.drops();
        self.transaction.drops_seen.get_or_insert(drops);
        self.entry.statement_began(statement.shared_text());
        self.refresh_identity();
        Ok(())
    }

    /// Roles, grants, or who the session acts as, may have changed.
    fn refresh_identity(&mut self) {
        if !self.identity.is_of(self.engine.catalog(), self.settings.actor) {
            self.identity = Identity::new(self.engine.catalog(), self.settings.actor);
        }
    }

    /// What `set_config` asked for comes into effect.
    fn take_wanted_settings(&mut self) -> Result<(), QueryError> {
        let wanted = std::mem::take(&mut *self.shared.wanted.lock());
        for (name, value, local) in wanted {
            let scope = if local { SetScope::Local } else { SetScope::Session };
            // A statement of its own is a transaction that has ended.
            if !local || self.transaction.in_block() {
                self.set(scope, &name, Some(&value))?;
            }
        }
        Ok(())
    }

    /// What functions and system tables know of this session.
    pub(crate) fn info(&self) -> Result<SessionInfo, QueryError> {
        Ok(SessionInfo {
            database: self.database()?,
            settings: self.shared.clone(),
            entry: self.entry.clone(),
            temporaries: self.temporaries.clone(),
            statements: self.listed.clone(),
        })
    }

    fn plan_key(&self) -> PlanKey {
        PlanKey {
            catalog_version: self.engine.catalog().version(),
            roles_version: self.engine.catalog().roles_version(),
            database_oid: self.database_oid,
            reading: self.settings.reading(),
            actor: self.settings.actor,
            temporary_definitions: self.temporaries.definitions(),
        }
    }

    async fn plan(&self, statement: &Statement, parameter_types: &[u32]) -> Result<Plan, QueryError> {
        // Taken before looking up: a change in between makes the plan old, never the other way round.
        let made_for = self.plan_key();
        let body = match &*statement.command {
            Command::Insert(insert) => PlanBody::Insert(insert.prepare(self, parameter_types).await?),
            Command::Query(query) => {
                PlanBody::Query(crate::plan::prepare_for_client(self, query, parameter_types).await?)
            }
            Command::Delete(delete) => match PreparedChange::delete(self, delete, parameter_types).await? {
                Some(prepared) => PlanBody::TemporaryChange(Arc::new(prepared)),
                None => {
                    let prepared = PreparedModification::delete(self, delete, parameter_types).await?;
                    PlanBody::Modification(Arc::new(prepared))
                }
            },
            Command::Update(update) => match PreparedChange::update(self, update, parameter_types).await? {
                Some(prepared) => PlanBody::TemporaryChange(Arc::new(prepared)),
                None => {
                    let prepared = PreparedModification::update(self, update, parameter_types).await?;
                    PlanBody::Modification(Arc::new(prepared))
                }
            },
            Command::Declare(declare) => {
                PlanBody::Cursor(crate::plan::prepare_for_client(self, &declare.query, parameter_types).await?)
            }
            Command::Fetch { name, moves: false, .. } => PlanBody::Direct(Some(self.cursor_fields(name)?)),
            Command::Hypertable(call) => PlanBody::Direct(Some(crate::hypertable::fields(call))),
            Command::Show(show) => PlanBody::Direct(Some(crate::show::fields(show))),
            Command::Execute { name, .. } => PlanBody::Named(Box::new(self.named_statement(name)?)),
            _ => PlanBody::Direct(None),
        };
        Ok(Plan { made_for, body })
    }

    /// The plan that queries of this shape share, with this query's values; `None` when there can be none.
    async fn prepare_shape(&mut self, statement: &Statement, shape: &Shape) -> Option<Prepared> {
        let (query, literals) = match self.shapes.look_up(shape) {
            Seen::Prepared(reusable) if reusable.prepared.inner.plan.lock().made_for == self.plan_key() => {
                return Some(reusable.with_values(statement, shape));
            }
            Seen::Prepared(reusable) => (reusable.prepared.statement().clone(), reusable.literals),
            Seen::Once => {
                let Some((query, literals)) = statement.parametrised() else {
                    self.shapes.settle(shape, None);
                    return None;
                };
                (query, literals.into())
            }
            Seen::Never | Seen::Refused => return None,
        };
        let types: Vec<u32> = literals.iter().map(|index| shape.parameter_type(*index)).collect();
        let Ok(plan) = self.plan(&query, &types).await else {
            self.shapes.forget(shape);
            return None;
        };
        let kept = matches!(&plan.body, PlanBody::Query(query) if query.can_be_kept());
        let reusable = kept.then(|| Reusable {
            prepared: Prepared::new(&query, &types, plan),
            literals,
        });
        self.shapes.settle(shape, reusable.clone());
        reusable.map(|reusable| reusable.with_values(statement, shape))
    }

    /// A query that failed with a plan of its shape, without it: what is wrong with it is told in its own words.
    async fn execute_written(&mut self, prepared: &Prepared) -> Result<Outcome, QueryError> {
        let written = prepared.statement().as_written()?;
        let again = Prepared::new(&written, &[], self.plan(&written, &[]).await?);
        if !same_result(again.fields.as_deref(), prepared.fields.as_deref()) {
            return Err(changed_result());
        }
        self.execute_statement(&again, &[]).await
    }

    /// The plan of a prepared statement as the catalog is now.
    async fn current_plan(&self, prepared: &Prepared) -> Result<PlanBody, QueryError> {
        let kept = prepared.inner.plan.lock().clone();
        let depends = !matches!(kept.body, PlanBody::Direct(_));
        if !depends || kept.made_for == self.plan_key() {
            return Ok(kept.body);
        }
        let plan = Box::pin(self.plan(&prepared.inner.statement, &prepared.inner.declared_types)).await?;
        let (types, fields) = plan.body.signature();
        let same_types = prepared.inner.literals.is_some() || types == prepared.parameter_types;
        if !same_result(fields.as_deref(), prepared.fields.as_deref()) || !same_types {
            return Err(changed_result());
        }
        *prepared.inner.plan.lock() = plan.clone();
        Ok(plan.body)
    }
}

/// Whether rows look the same to who was told of the first ones. Which table they come from is not part of that: one may have been dropped and
/// made again.
fn same_result(now: Option<&[ResultField]>, told: Option<&[ResultField]>) -> bool {
    fn look(field: &ResultField) -> (&str, u32, i32) {
        (&field.name, field.type_oid, field.type_modifier)
    }
    match (now, told) {
        (Some(now), Some(told)) => now.iter().map(look).eq(told.iter().map(look)),
        (now, told) => now.is_none() && told.is_none(),
    }
}

fn changed_result() -> QueryError {
    QueryError::new(ErrorKind::CannotChangePlan, "cached plan must not change result type")
}

impl PlanBody {
    fn signature(&self) -> (Arc<[u32]>, Option<Arc<[ResultField]>>) {
        match self {
            PlanBody::Insert(insert) => (insert.parameter_types.clone(), insert.fields.clone()),
            PlanBody::Query(query) => (query.parameter_types.clone(), Some(query.fields.clone())),
            PlanBody::Modification(modification) => (modification.parameter_types.clone(), modification.fields()),
            PlanBody::TemporaryChange(change) => (change.parameter_types.clone(), change.fields()),
            PlanBody::Cursor(query) => (query.parameter_types.clone(), None),
            PlanBody::Named(prepared) => ([].into(), prepared.fields.clone()),
            PlanBody::Direct(fields) => ([].into(), fields.clone()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.notes.unlisten_all(self.engine.channels());
        self.engine.disconnect(&self.entry);
    }
}

/// What the rest of this crate asks of a session.
impl Session {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What the current role may do.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The role that logged in.
    pub(crate) fn logged_in(&self) -> u32 {
        self.entry.role
    }

    pub(crate) fn temporaries(&self) -> &Arc<Temporaries> {
        &self.temporaries
    }

    /// A transaction that fails puts the temporary tables back as they were.
    pub(crate) fn remember_temporary(&mut self) {
        let before = self.temporaries.picture();
        self.transaction.temporary_before.get_or_insert(before);
    }

    /// Those that ROLLBACK and ROLLBACK TO can put back.
    pub(crate) fn temporary_pictures(&self) -> impl Iterator<Item = &Arc<Picture>> + Clone {
        let before = self.transaction.temporary_before.iter();
        before.chain(self.transaction.saved_pictures())
    }

    pub(crate) fn client_address(&self) -> &str {
        &self.entry.client_address
    }

    pub(crate) fn database_name(&self) -> &str {
        &self.database_name
    }

    pub(crate) fn is_connected_to(&self, database: &Database) -> bool {
        self.database_oid == database.oid
    }

    /// The user of the connection.
    pub(crate) fn user(&self) -> &str {
        &self.entry.user
    }

    /// The database the session is connected to, as it is now.
    pub(crate) fn database(&self) -> Result<Arc<Database>, QueryError> {
        let found = self.engine.catalog().database_by_oid(self.database_oid);
        found.ok_or_else(|| {
            let message = format!("database \"{}\" does not exist", self.database_name);
            QueryError::new(ErrorKind::InvalidCatalogName, message)
                .with_hint("it was dropped; connect to another, or USE one")
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The transaction's `now()`: nanoseconds since 1970.
    pub(crate) fn transaction_time_ns(&self) -> i64 {
        self.transaction.started_ns.unwrap_or_else(clock_ns)
    }

    /// Adds a statement's changes to the transaction: all of them, after the statement can no longer fail. Refuses with 54000 past the cap,
    /// and with 25006 in a read-only transaction.
    pub(crate) fn hold(&mut self, changes: BTreeMap<VnodeId, Vec<Change>>) -> Result<(), QueryError> {
        if !changes.is_empty() {
            self.refuse_if_read_only("this statement")?;
        }
        self.hold_accumulated()?;
        self.transaction.hold(changes)
    }

    /// Until the transaction ends nobody else writes to this keyed table, so that what was compared stays true.
    pub(crate) async fn lock_keyed(&mut self, table: &Table) -> Result<(), QueryError> {
        if self.transaction.keyed_locks.iter().any(|(oid, _)| *oid == table.oid) {
            return Ok(());
        }
        let lock = self.engine.keyed_lock(table.oid).lock_owned();
        let Ok(guard) = tokio::time::timeout(KEYED_LOCK_WAIT, lock).await else {
            let message = format!(
                "another transaction writes to table \"{}\" and does not end",
                table.name
            );
            return Err(QueryError::new(ErrorKind::LockNotAvailable, message).with_hint("send the transaction again"));
        };
        self.transaction.keyed_locks.push((table.oid, guard));
        Ok(())
    }

    /// Rows of this transaction's INSERTs that are not yet held. Whoever reads or holds anything else takes them into what is held first;
    /// see [`crate::ingest::accumulator`].
    pub(crate) fn accumulator(&mut self) -> &mut Accumulator {
        &mut self.accumulator
    }

    /// The transaction's own changes to a vnode so far, for its reads (`VnodeView::with_pending`).
    pub(crate) fn held(&self, vnode: VnodeId) -> &[Change] {
        self.transaction.held(vnode)
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES_MAX && self.wants_notice(notice.severity) {
            self.notices.push(notice);
        }
    }

    /// `NOTICE: message`.
    pub(crate) fn tell(&mut self, sqlstate: &'static str, message: impl Into<String>) {
        self.notice(Notice {
            severity: "NOTICE",
            sqlstate,
            message: message.into(),
        });
    }

    /// `WARNING: message`.
    pub(crate) fn warn(&mut self, sqlstate: &'static str, message: impl Into<String>) {
        self.notice(Notice {
            severity: "WARNING",
            sqlstate,
            message: message.into(),
        });
    }

    /// What `client_min_messages` leaves of them.
    fn wants_notice(&self, severity: &str) -> bool {
        match self.settings.find("client_min_messages") {
            Some("warning") => severity != "NOTICE",
            Some("error" | "fatal" | "panic") => false,
            _ => true,
        }
    }

    /// Takes rows of finished INSERTs into what is held, so that reads of this transaction see them and later changes come after them.
    pub(crate) fn hold_accumulated(&mut self) -> Result<(), QueryError> {
        if self.accumulator.is_empty() {
            return Ok(());
        }
        let changes = self.accumulator.take(&self.engine)?;
        self.transaction.hold(changes)
    }

    /// Open rows count towards the cap once they are many: below that, asking what they weigh would cost more than they do.
    fn limit_accumulated(&mut self) -> Result<(), QueryError> {
        match self.accumulator.memory_bytes() > ACCUMULATED_BYTES_MAX {
            true => self.hold_accumulated(),
            false => Ok(()),
        }
    }

    fn refuse_if_read_only(&self, what: &str) -> Result<(), QueryError> {
        if self.settings.read_only {
            let message = format!("cannot execute {what} in a read-only transaction");
            return Err(QueryError::new(ErrorKind::ReadOnlyTransaction, message));
        }
        Ok(())
    }

    pub(crate) fn in_block(&self) -> bool {
        self.transaction.in_block()
    }

    /// What `pg_notify` adds to.
    pub(crate) fn noted(&self) -> &Arc<Mutex<Vec<Note>>> {
        &self.notes.noted
    }

    /// The transaction has committed.
    fn tell_others(&mut self) {
        if self.notes.count() > 0 {
            let (database_oid, process_id) = (self.database_oid, self.entry.process_id);
            self.notes.commit(self.engine.channels(), database_oid, process_id);
        }
    }

    /// Forgets what this transaction holds for a family, or for one series of it, that it has dropped itself.
    pub(crate) fn forget_held(&mut self, family: FamilyId, series: Option<SeriesRef>) {
        self.transaction.forget(family, series);
    }

    pub(crate) fn use_database(&mut self, database: &Database) {
        self.database_oid = database.oid;
        self.database_name = database.name.clone();
        self.entry.set_database(database);
    }
}

fn clock_ns() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.map_or(0, |duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// The settings of a new session: what the client asks for wins over what its role and its database have.
pub(crate) fn startup_settings(
    request: &ConnectRequest,
    role: &Role,
    kept: Vec<(String, String)>,
) -> Result<Settings, QueryError> {
    let wanted: Vec<(String, String)> = kept.into_iter().chain(request.settings.iter().cloned()).collect();
    Settings::at_startup(role, &wanted)
}
