//! What each kind of statement does, one call each.

use datafusion::sql::sqlparser::ast;

use super::{PlanBody, Prepared, Session};
use crate::access::{Actor, audit};
use crate::ingest::copy::relation_name;
use crate::ingest::target::RelationName;
use crate::statement::{Command, Discard, SetCommand, SetScope, SourceExpr};
use crate::temporary::define;
use crate::{CopyIn, ErrorKind, Format, Outcome, Parameter, QueryError, Statement, ddl, show};

impl Session {
    /// Whatever is not an INSERT waits in a box: a future is moved on its way up, and one with room for a planner in it costs a row of a
    /// pipelined INSERT more than the rest.
    pub(super) async fn execute_statement(
        &mut self,
        prepared: &Prepared,
        parameters: &[Parameter],
    ) -> Result<Outcome, QueryError> {
        match audited(&prepared.statement().command) {
            None => self.execute_unaudited(prepared, parameters).await,
            Some(class) => {
                let outcome = Box::pin(self.execute_unaudited(prepared, parameters)).await;
                let text = prepared.statement().shared_text();
                audit::statement(self, class, &text, outcome.as_ref().err());
                outcome
            }
        }
    }

    async fn execute_unaudited(
        &mut self,
        prepared: &Prepared,
        parameters: &[Parameter],
    ) -> Result<Outcome, QueryError> {
        let statement = prepared.statement().clone();
        if let Some(what) = writes(&statement.command)
            && !self.writes_temporary(&statement.command)
        {
            self.refuse_if_read_only(what)?;
        }
        let plan = self.current_plan(prepared).await?;
        let tag = match (&*statement.command, plan) {
            (_, PlanBody::Insert(insert)) => {
                let outcome = insert.execute(self, parameters).await?;
                self.limit_accumulated()?;
                return Ok(outcome);
            }
            (command, PlanBody::Query(query)) => {
                self.hold_accumulated()?;
                if query.takes_arrays()
                    && let Command::Query(written) = command
                    && let Some((query, left)) = Box::pin(query.with_dimensions(self, written, parameters)).await?
                {
                    return Ok(Outcome::Rows(Box::pin(query.execute(self, &left)).await?));
                }
                return Ok(Outcome::Rows(Box::pin(query.execute(self, parameters)).await?));
            }
            (_, PlanBody::Modification(modification)) => {
                self.hold_accumulated()?;
                return Box::pin(modification.execute(self, parameters)).await;
            }
            (_, PlanBody::TemporaryChange(change)) => {
                self.hold_accumulated()?;
                return Box::pin(change.execute(self, parameters)).await;
            }
            (Command::Execute { arguments, .. }, PlanBody::Named(named)) => {
                return Box::pin(self.execute_named(&named, arguments)).await;
            }
            (Command::Copy(copy), _) => return Box::pin(self.execute_copy(copy)).await,
            (Command::Show(what), _) => {
                self.hold_accumulated()?;
                return Ok(Outcome::Rows(show::rows(self, what)?));
            }
            (Command::Hypertable(call), _) => {
                self.hold_accumulated()?;
                return Ok(Outcome::Rows(Box::pin(crate::hypertable::execute(self, call)).await?));
            }
            (Command::Set(command), _) => self.execute_set(command)?,
            (Command::Discard(what), _) => self.discard(*what)?,
            (Command::Transaction(command), _) => Box::pin(self.execute_transaction(command)).await?,
            (Command::Prepare { name, types, statement }, _) => {
                Box::pin(self.execute_prepare(name, types, statement)).await?
            }
            (Command::Deallocate(name), _) => self.deallocate(name.as_deref())?,
            (Command::Notification(tag, note), _) => {
                self.notes.note(note.clone())?;
                (*tag).to_string()
            }
            (Command::Role(command), _) => {
                let done = Box::pin(crate::access::roles::execute(self, command)).await?;
                ddl::tell_immediate(self, &done);
                done
            }
            (Command::Declare(declare), PlanBody::Cursor(query)) => {
                Box::pin(self.declare(declare, &query, parameters)).await?
            }
            (Command::Fetch { name, direction, moves }, _) => {
                return Box::pin(self.fetch(name, *direction, *moves)).await;
            }
            (Command::CloseCursor(name), _) => self.close_cursor(name.as_deref())?,
            (command, _) => {
                self.hold_accumulated()?;
                Box::pin(ddl::execute(self, command)).await?
            }
        };
        Ok(Outcome::Complete(tag))
    }

    /// Rows of temporary tables are written in a read-only transaction, too.
    fn writes_temporary(&self, command: &Command) -> bool {
        if self.temporaries.picture().is_empty() {
            return false;
        }
        let is_temporary = |name: &RelationName| matches!(name.target(self), Ok(target) if target.temporary.is_some());
        match command {
            Command::Insert(insert) => insert.tables().all(is_temporary),
            Command::Copy(copy) => match &**copy {
                ast::Statement::Copy {
                    source: ast::CopySource::Table { table_name, .. },
                    ..
                } => is_temporary(&relation_name(table_name)),
                _ => false,
            },
            Command::Delete(delete) => crate::temporary::change::is_deleted_from(self, delete),
            Command::Update(update) => crate::temporary::change::is_updated(self, update),
            _ => false,
        }
    }

    fn execute_set(&mut self, command: &SetCommand) -> Result<String, QueryError> {
        let mut tag = "SET";
        match command {
            SetCommand::Value { scope, name, value } => self.set(*scope, name, value.as_deref())?,
            SetCommand::Reset(name) => {
                tag = "RESET";
                self.set(SetScope::Session, name, None)?;
            }
            SetCommand::ResetAll => {
                tag = "RESET";
                self.remember_settings();
                self.settings.reset_all();
                self.kept_settings.reset_all();
            }
            SetCommand::Transaction(modes) => match self.transaction.in_block() {
                true => self.apply_modes(modes)?,
                false => self.warn("25P01", "SET TRANSACTION can only be used in transaction blocks"),
            },
            SetCommand::SessionCharacteristics(modes) => {
                let flag = |on: bool| if on { "on" } else { "off" };
                let wanted = [
                    ("default_transaction_isolation", modes.isolation),
                    ("default_transaction_read_only", modes.read_only.map(flag)),
                    ("default_transaction_deferrable", modes.deferrable.map(flag)),
                ];
                for (name, value) in wanted {
                    if value.is_some() {
                        self.set(SetScope::Session, name, value)?;
                    }
                }
            }
            SetCommand::Authorization { scope, user, tag: own } => {
                tag = own;
                let actor = self.actor_of_session(user.as_deref())?;
                self.act_as(*scope, actor);
            }
            SetCommand::Role { scope, role, tag: own } => {
                tag = own;
                let actor = self.actor_with_role(role.as_deref())?;
                self.act_as(*scope, actor);
            }
            SetCommand::Constraints => tag = "SET CONSTRAINTS",
        }
        Ok(tag.to_string())
    }

    fn act_as(&mut self, scope: SetScope, actor: Actor) {
        if scope == SetScope::Local && !self.transaction.in_block() {
            self.warn("25P01", "SET LOCAL can only be used in transaction blocks");
            return;
        }
        self.remember_settings();
        let roles = self.engine.catalog().roles();
        let user = roles.name_of(actor.session);
        let role = (actor.current != actor.session).then(|| roles.name_of(actor.current));
        let superuser = roles.role(actor.current).is_some_and(|role| role.superuser);
        self.settings.act_as(actor, &user, role.as_deref(), superuser);
        if scope == SetScope::Session {
            self.kept_settings.act_as(actor, &user, role.as_deref(), superuser);
        }
    }

    /// `None`: back to what the session began with.
    pub(super) fn set(&mut self, scope: SetScope, name: &str, value: Option<&str>) -> Result<(), QueryError> {
        if scope == SetScope::Local && !self.transaction.in_block() {
            self.warn("25P01", "SET LOCAL can only be used in transaction blocks");
            return Ok(());
        }
        self.remember_settings();
        let apply = |settings: &mut crate::settings::Settings| match value {
            Some(value) => settings.set(name, value),
            None => settings.reset(name),
        };
        apply(&mut self.settings)?;
        // Modes of the transaction end with it, however they were set.
        let of_transaction = name.to_ascii_lowercase().starts_with("transaction_") && self.transaction.in_block();
        if scope == SetScope::Session && !of_transaction {
            apply(&mut self.kept_settings)?;
        }
        self.entry.set_application_name(&self.settings);
        Ok(())
    }

    /// A transaction that fails takes its SETs back.
    fn remember_settings(&mut self) {
        self.transaction
            .settings_before
            .get_or_insert_with(|| self.kept_settings.clone());
    }

    fn discard(&mut self, what: Discard) -> Result<String, QueryError> {
        match what {
            Discard::All => {
                self.refuse_in_block("DISCARD ALL")?;
                let actor = self.actor_of_session(None)?;
                self.act_as(SetScope::Session, actor);
                self.settings.reset_all();
                self.kept_settings.reset_all();
                self.forget_statements();
                self.cursors.close_all();
                self.notes.unlisten_all(self.engine.channels());
                define::discard(self)?;
                Ok("DISCARD ALL".into())
            }
            Discard::Plans => Ok("DISCARD PLANS".into()),
            Discard::Sequences => Ok("DISCARD SEQUENCES".into()),
            Discard::Temporary => {
                define::discard(self)?;
                Ok("DISCARD TEMP".into())
            }
        }
    }

    pub(crate) fn refuse_in_block(&self, what: &str) -> Result<(), QueryError> {
        if !self.transaction.in_block() {
            return Ok(());
        }
        let message = format!("{what} cannot run inside a transaction block");
        Err(QueryError::new(ErrorKind::ActiveTransaction, message))
    }

    async fn execute_prepare(
        &mut self,
        name: &str,
        types: &[crate::statement::ColumnType],
        statement: &Statement,
    ) -> Result<String, QueryError> {
        let types: Vec<u32> = types.iter().map(|column_type| column_type.postgres().oid()).collect();
        let prepared = self.prepare(statement, &types).await?;
        self.name_statement(name, prepared)?;
        if let Some(listed) = self.listed.lock().get_mut(name) {
            // PREPARE itself, as the client wrote it.
            listed.text = self.entry.activity().statement;
            listed.from_sql = true;
        }
        Ok("PREPARE".into())
    }

    async fn execute_named(&mut self, named: &Prepared, arguments: &[SourceExpr]) -> Result<Outcome, QueryError> {
        let wanted = named.parameter_types.len();
        if arguments.len() != wanted {
            let message = "wrong number of parameters for prepared statement";
            let detail = format!("expected {wanted} parameters but got {}", arguments.len());
            return Err(QueryError::new(ErrorKind::SyntaxError, message).with_detail(detail));
        }
        let mut parameters = Vec::with_capacity(arguments.len());
        for argument in arguments {
            parameters.push(self.argument(&argument.expr).await?);
        }
        self.execute_statement(named, &parameters).await
    }

    /// An argument of EXECUTE, as text for its parameter's type.
    async fn argument(&self, expr: &ast::Expr) -> Result<Parameter, QueryError> {
        let text = match crate::ddl::literal(expr) {
            Some(literal) => literal.text(),
            None => {
                let value = crate::plan::constant(self, expr, &arrow::datatypes::DataType::Utf8).await?;
                value.try_as_str().flatten().map(str::to_string)
            }
        };
        Ok(Parameter {
            format: Format::Text,
            value: text.map(Into::into),
        })
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<String, QueryError> {
        match name {
            None => {
                self.forget_statements();
                Ok("DEALLOCATE ALL".into())
            }
            Some(name) if self.forget_statement(name) => Ok("DEALLOCATE".into()),
            Some(name) => {
                let message = format!("prepared statement \"{name}\" does not exist");
                Err(QueryError::new(ErrorKind::InvalidSqlStatementName, message))
            }
        }
    }

    async fn execute_copy(&mut self, copy: &ast::Statement) -> Result<Outcome, QueryError> {
        let ast::Statement::Copy { to, target, .. } = copy else {
            return Err(QueryError::new(ErrorKind::InternalError, "not a COPY"));
        };
        match (to, target) {
            (false, ast::CopyTarget::Stdin) => Ok(Outcome::CopyIn(Box::new(CopyIn::begin(self, copy)?))),
            (true, ast::CopyTarget::Stdout) => {
                self.hold_accumulated()?;
                crate::copy_out::begin(self, copy).await
            }
            (false, ast::CopyTarget::Stdout) | (true, ast::CopyTarget::Stdin) => Err(QueryError::new(
                ErrorKind::SyntaxError,
                "COPY reads FROM STDIN and writes TO STDOUT",
            )),
            _ => {
                let error = QueryError::new(
                    ErrorKind::InsufficientPrivilege,
                    "COPY does not reach files of the server",
                );
                Err(error.with_hint("COPY … FROM STDIN, or psql's \\copy, reads the client's files"))
            }
        }
    }
}

/// What a statement that writes is called in `cannot execute … in a read-only transaction`.
fn writes(command: &Command) -> Option<&'static str> {
    match command {
        Command::Insert(_) => Some("INSERT"),
        Command::Copy(copy) => match &**copy {
            ast::Statement::Copy { to: false, .. } => Some("COPY FROM"),
            _ => None,
        },
        Command::Delete(_) => Some("DELETE"),
        Command::Update(_) => Some("UPDATE"),
        Command::Truncate(_) => Some("TRUNCATE TABLE"),
        Command::CreateDatabase(_) => Some("CREATE DATABASE"),
        Command::AlterDatabase(_) => Some("ALTER DATABASE"),
        Command::DropDatabase { .. } => Some("DROP DATABASE"),
        Command::CreateTable(_) | Command::CreateChildren(_) | Command::CreateTemporary(_) => Some("CREATE TABLE"),
        Command::AlterTable(_) => Some("ALTER TABLE"),
        Command::DropTables { .. } => Some("DROP TABLE"),
        Command::CreateTableAs(_) => Some("CREATE TABLE AS"),
        Command::CreateIndex(_) => Some("CREATE INDEX"),
        Command::DropIndexes { .. } => Some("DROP INDEX"),
        Command::Hypertable(call) => Some(call.function),
        Command::CreateView(_) => Some("CREATE VIEW"),
        Command::DropMissing(drop) => Some(drop.tag),
        Command::AlterView(_) => Some("ALTER VIEW"),
        Command::DropViews { .. } => Some("DROP VIEW"),
        Command::Comment { .. } => Some("COMMENT"),
        Command::Role(command) => Some(command.tag()),
        _ => None,
    }
}

/// What a statement is to the audit log; `None` is not for it.
fn audited(command: &Command) -> Option<&'static str> {
    match command {
        Command::Role(_) => Some("role"),
        Command::CreateDatabase(_)
        | Command::AlterDatabase(_)
        | Command::DropDatabase { .. }
        | Command::CreateTable(_)
        | Command::CreateChildren(_)
        | Command::AlterTable(_)
        | Command::DropTables { .. }
        | Command::CreateTableAs(_)
        | Command::CreateIndex(_)
        | Command::DropIndexes { .. }
        | Command::Hypertable(_)
        | Command::CreateView(_)
        | Command::AlterView(_)
        | Command::DropViews { .. }
        | Command::Truncate(_)
        | Command::Comment { .. } => Some("ddl"),
        Command::Set(SetCommand::Authorization { .. } | SetCommand::Role { .. }) => Some("role"),
        _ => None,
    }
}
