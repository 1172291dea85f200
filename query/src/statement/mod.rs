//! Statements: PostgreSQL's SQL with TDengine's additions, parsed but not yet looked up in the catalog.
//!
//! ```text
//! query string --split--> statement text --first word--> INSERT              ingest
//!                                                        SELECT, COPY, …     sqlparser
//!                                                        everything else     the files of this folder
//! ```
//!
//! Definitions, SHOW and SET are read by our own parser because both dialects meet in them (`KEEP 3650`, `TAGS (…)`, `SET TAG`), and
//! because its errors point at the right character.
//!
//! Leaves to others: what a statement means (`session/`, `ddl/`, `show.rs`, `modify.rs`, `ingest/`, `plan/`).

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Spanned};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Token};

use crate::ingest::insert::{self, InsertStatement};
use crate::notify::Note;
use crate::{ErrorKind, QueryError};

mod alter;
mod create;
mod cursor;
mod database;
mod declare;
mod dialect;
mod grant;
mod hypertable;
mod index;
mod keep;
pub(crate) mod lexer;
mod missing;
pub(crate) mod precedence;
mod role;
mod set;
pub(crate) mod shape;
mod show;
mod temporary;
#[cfg(test)]
mod tests;
mod transaction;
mod types;
mod view;

pub(crate) use alter::{AlterTable, AlterTableStep};
pub(crate) use create::{ColumnDefinition, CreateChild, CreateTable, CreateTableAs};
use cursor::Cursor;
pub(crate) use cursor::SourceExpr;
pub(crate) use cursor::syntax_error;
pub(crate) use database::{AlterDatabase, CreateDatabase, DatabaseChange, DatabaseOption, show_span};
pub(crate) use declare::{Declare, Direction};
use dialect::PgDialect;
pub(crate) use grant::{ColumnPrivileges, DefaultPrivileges, Grants, Things};
pub(crate) use hypertable::HypertableCall;
pub(crate) use index::CreateIndex;
use lexer::{TokenKind, skip_space, statement_end, token_at};
pub(crate) use missing::DropMissing;
pub(crate) use role::{Owned, RoleCommand, RoleName, RoleOption, SettingOf};
pub(crate) use set::{Discard, SetCommand, SetScope};
use shape::Shape;
pub(crate) use show::{Show, TablesKind};
pub(crate) use temporary::{CreateTemporary, OnCommit};
pub(crate) use transaction::{TransactionCommand, TransactionModes};
pub(crate) use types::ColumnType;
pub(crate) use view::{AlterView, CreateView};

/// Bytes of an INSERT that are kept as its text, for logs and pg_stat_activity. Its values are kept by ingest already.
const INSERT_TEXT_BYTES_MAX: usize = 1_024;

/// One parsed statement. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Statement {
    text: Arc<str>,
    /// Characters of the query string before the statement.
    characters_before: usize,
    pub(crate) command: Arc<Command>,
    /// Of a query whose plan may serve others.
    pub(crate) shape: Option<Arc<Shape>>,
}

/// A name of a supertable or table as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableName {
    /// Of three parts the first.
    pub database: Option<String>,
    /// Of two parts the first: a schema, or a database.
    pub schema: Option<String>,
    pub name: String,
    pub place: Place,
}

/// Where in its statement something stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// From 1.
    Character(usize),
    /// As sqlparser tells it.
    Location(Location),
}

impl QueryError {
    /// Points at a table's name.
    pub(crate) fn at_name(self, name: &TableName) -> QueryError {
        match name.place {
            Place::Character(character) => self.with_position(character),
            Place::Location(location) => self.with_location(location),
        }
    }
}

/// What a statement asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Insert(InsertStatement),
    /// A query or EXPLAIN.
    Query(Box<ast::Statement>),
    /// COPY … FROM STDIN or TO STDOUT.
    Copy(Box<ast::Statement>),
    Delete(Box<ast::Delete>),
    Update(Box<ast::Update>),
    CreateDatabase(CreateDatabase),
    AlterDatabase(AlterDatabase),
    DropDatabase {
        if_exists: bool,
        name: String,
        force: bool,
    },
    Use(String),
    CreateTable(Box<CreateTable>),
    CreateChildren(Vec<CreateChild>),
    CreateTableAs(CreateTableAs),
    CreateTemporary(Box<CreateTemporary>),
    /// CREATE or DROP EXTENSION of one whose functions are here anyway.
    Extension {
        name: String,
        drop: bool,
    },
    AlterTable(AlterTable),
    DropTables {
        if_exists: bool,
        names: Vec<TableName>,
        /// DROP STABLE: only supertables.
        stable: bool,
        cascade: bool,
    },
    CreateIndex(Box<CreateIndex>),
    DropIndexes {
        if_exists: bool,
        names: Vec<TableName>,
    },
    /// A function of TimescaleDB's that changes things.
    Hypertable(HypertableCall),
    CreateView(Box<CreateView>),
    /// Of a kind that there is none of.
    DropMissing(DropMissing),
    AlterView(AlterView),
    DropViews {
        if_exists: bool,
        names: Vec<TableName>,
        cascade: bool,
    },
    Comment {
        name: TableName,
        /// Of a column, not of the table.
        column: Option<String>,
        comment: Option<String>,
    },
    Truncate(Vec<TableName>),
    Show(Show),
    Set(SetCommand),
    Discard(Discard),
    Transaction(TransactionCommand),
    /// PREPARE name AS statement.
    Prepare {
        name: String,
        types: Vec<ColumnType>,
        statement: Statement,
    },
    Execute {
        name: String,
        arguments: Vec<SourceExpr>,
    },
    Deallocate(Option<String>),
    /// LISTEN, UNLISTEN and NOTIFY, with the command tag.
    Notification(&'static str, Note),
    Maintenance(Maintenance),
    /// Roles and rights.
    Role(RoleCommand),
    Declare(Declare),
    Fetch {
        name: String,
        direction: Direction,
        /// MOVE: without the rows.
        moves: bool,
    },
    /// `None`: all.
    CloseCursor(Option<String>),
    /// LOCK TABLE: accepted, since no writer waits for another; checks that the tables exist.
    Lock(Vec<TableName>),
}

/// Work on files that a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Maintenance {
    Checkpoint,
    /// `None`: the session's.
    Flush(Option<String>),
    Compact(Option<String>),
    Vacuum(Vec<TableName>),
    /// Blocks carry exact statistics: there is nothing to gather.
    Analyze(Vec<TableName>),
}

impl Statement {
    /// The statement's text; of an INSERT its beginning.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same words with a command that was made of another query of this shape.
    pub(crate) fn in_shape(sql: &str, shape: Arc<Shape>, command: Arc<Command>) -> Result<Statement, QueryError> {
        let start = skip_space(sql, 0)?;
        let text = &sql[start..statement_end(sql, start)?];
        Ok(Statement {
            text: text.trim_ascii_end().into(),
            characters_before: sql[..start].chars().count(),
            command,
            shape: Some(shape),
        })
    }

    /// This query with its literals.
    pub(crate) fn as_written(&self) -> Result<Statement, QueryError> {
        let command = parse_command(&self.text).map_err(|error| self.place(error))?;
        let mut written = self.with_command(Arc::new(command));
        written.shape = None;
        Ok(written)
    }

    /// The same words, read as this command.
    pub(crate) fn with_command(&self, command: Arc<Command>) -> Statement {
        Statement {
            command,
            ..self.clone()
        }
    }

    /// This query with parameters in the place of its literals, and the number of the literal for each.
    pub(crate) fn parametrised(&self) -> Option<(Statement, Vec<usize>)> {
        let (Some(shape), Command::Query(query)) = (&self.shape, &*self.command) else {
            return None;
        };
        let found = shape::parametrise(query, shape, &self.text)?;
        let command = Arc::new(Command::Query(Box::new(found.query)));
        Some((self.with_command(command), found.literals))
    }

    /// The text as others may see it: without a password.
    pub(crate) fn shared_text(&self) -> Arc<str> {
        match &*self.command {
            Command::Role(command) if command.has_secret() => {
                let words = self.text.split_ascii_whitespace().take(3);
                format!("{} … PASSWORD '********'", words.collect::<Vec<_>>().join(" ")).into()
            }
            _ => self.text.clone(),
        }
    }

    /// Whether it may run in a failed transaction block: COMMIT, ROLLBACK and ROLLBACK TO.
    pub fn ends_transaction(&self) -> bool {
        use TransactionCommand::*;
        matches!(
            &*self.command,
            Command::Transaction(Commit { .. } | Rollback { .. } | RollbackTo(_))
        )
    }

    /// Makes an error's place count from the start of the query string.
    pub(crate) fn place(&self, error: QueryError) -> QueryError {
        error.placed(&self.text, self.characters_before)
    }
}

/// Splits a query string into statements; empty ones are left out.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>, QueryError> {
    if let Some(byte) = sql.find('\0') {
        let error = QueryError::new(
            ErrorKind::CharacterNotInRepertoire,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        );
        return Err(error.with_position(lexer::character_at(sql, byte)));
    }
    let mut statements = Vec::new();
    // Counted along, so that a string of many statements is walked once.
    let (mut counted_to, mut characters_before) = (0, 0);
    let mut at = 0;
    loop {
        at = skip_space(sql, at)?;
        let first = token_at(sql, at)?;
        if first.kind == TokenKind::End {
            return Ok(statements);
        }
        if first.is_symbol(";") {
            at = first.end;
            continue;
        }
        characters_before += sql[counted_to..at].chars().count();
        counted_to = at;
        let (text, command) = match parse_insert(sql, at, characters_before)? {
            Some((text, command)) => (text, command),
            None => {
                let end = statement_end(sql, at)?;
                let text = sql[at..end].trim_ascii_end();
                (text, None)
            }
        };
        let consumed = text.len();
        let command = match command {
            Some(command) => command,
            None => parse_command(text).map_err(|error| error.placed(text, characters_before))?,
        };
        let kept = match &command {
            Command::Insert(_) => &text[..text.floor_char_boundary(INSERT_TEXT_BYTES_MAX)],
            _ => text,
        };
        statements.push(Statement {
            text: kept.into(),
            characters_before,
            command: Arc::new(command),
            shape: None,
        });
        at = skip_space(sql, at + consumed)?;
        let after = token_at(sql, at)?;
        match after.kind {
            TokenKind::End => return Ok(statements),
            _ if after.is_symbol(";") => at = after.end,
            _ => return Err(lexer::syntax_error_at(sql, &after)),
        }
    }
}

/// An INSERT at this byte, whose end ingest finds while reading its values.
fn parse_insert(sql: &str, at: usize, before: usize) -> Result<Option<(&str, Option<Command>)>, QueryError> {
    let rest = &sql[at..];
    match insert::parse(rest) {
        Ok(None) => Ok(None),
        Ok(Some((statement, length))) => Ok(Some((&rest[..length], Some(Command::Insert(statement))))),
        Err(error) => Err(error.placed(rest, before)),
    }
}

/// One statement other than INSERT.
fn parse_command(text: &str) -> Result<Command, QueryError> {
    let first = token_at(text, 0)?;
    match (&first.kind, &*first.value) {
        (TokenKind::Symbol, "(") => return parse_query(text),
        (TokenKind::Word, "select" | "with" | "values" | "explain" | "table") => return parse_query(text),
        (TokenKind::Word, "copy" | "delete" | "update") => return parse_data_change(text),
        _ => {}
    }
    let mut cursor = Cursor::new(text)?;
    let command = parse_own(&mut cursor)?;
    cursor.expect_end()?;
    Ok(command)
}

/// The statements that sqlparser does not read for us.
fn parse_own(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let first = cursor.peek().clone();
    if first.kind != TokenKind::Word {
        return Err(cursor.error());
    }
    match &*first.value {
        "create" => parse_create(cursor),
        "alter" => parse_alter(cursor),
        "drop" => parse_drop(cursor),
        "use" => {
            cursor.next();
            Ok(Command::Use(cursor.name()?))
        }
        "comment" => parse_comment(cursor),
        "truncate" => {
            cursor.next();
            cursor.take_word("table");
            cursor.take_word("only");
            let names = table_names(cursor)?;
            cursor.take(&["restart", "identity"]);
            cursor.take(&["continue", "identity"]);
            cursor.take_any(&["cascade", "restrict"]);
            Ok(Command::Truncate(names))
        }
        "show" | "describe" | "desc" => show::parse(cursor),
        "set" | "reset" => set::parse(cursor),
        "discard" => set::parse_discard(cursor),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            transaction::parse(cursor)
        }
        "prepare" | "execute" | "deallocate" => parse_prepared(cursor),
        "listen" | "unlisten" | "notify" => parse_notification(cursor),
        "checkpoint" | "flush" | "compact" | "vacuum" | "analyze" | "analyse" => parse_maintenance(cursor),
        "lock" => {
            cursor.next();
            cursor.take_word("table");
            cursor.take_word("only");
            let names = table_names(cursor)?;
            if cursor.take_word("in") {
                while !cursor.at_end() && !cursor.at_word("nowait") {
                    cursor.next();
                }
            }
            cursor.take_word("nowait");
            Ok(Command::Lock(names))
        }
        "declare" | "fetch" | "move" | "close" => declare::parse(cursor),
        "grant" | "revoke" => grant::parse_grant(cursor),
        "reassign" => role::parse_reassign(cursor),
        "call" => {
            let statement = parse_with_sqlparser(cursor.text())?;
            let ast::Statement::Call(function) = &statement else {
                return Err(cursor.error());
            };
            let Some(call) = hypertable::of_function(function) else {
                return Err(cursor.unsupported("CALL"));
            };
            while !cursor.at_end() {
                cursor.next();
            }
            Ok(Command::Hypertable(call))
        }
        "do" | "merge" | "reindex" | "cluster" | "refresh" | "security" | "load" | "import" | "trim" | "split"
        | "balance" | "redistribute" | "kill" | "insert" | "replace" => {
            Err(cursor.unsupported(&first.value.to_ascii_uppercase()))
        }
        _ => Err(cursor.error()),
    }
}

/// Parses with sqlparser; its errors in our words.
pub(crate) fn parse_with_sqlparser(text: &str) -> Result<ast::Statement, QueryError> {
    let parse = || {
        let mut parser = Parser::new(&PgDialect).try_with_sql(text)?;
        let mut statement = parser.parse_statement()?;
        parser.expect_token(&Token::EOF)?;
        precedence::mend(&mut statement);
        Ok(statement)
    };
    parse().map_err(|error| syntax_error(text, error))
}

/// The one expression of a SELECT that this crate has written. Our own text always parses; were it not so, there is none.
pub(crate) fn select_item(sql: &str) -> Option<ast::Expr> {
    let ast::Statement::Query(query) = parse_with_sqlparser(sql).ok()? else {
        return None;
    };
    let ast::SetExpr::Select(mut select) = *query.body else {
        return None;
    };
    match select.projection.pop()? {
        ast::SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    }
}

fn parse_query(text: &str) -> Result<Command, QueryError> {
    let first = token_at(text, 0)?;
    if first.is_word("table") {
        // `TABLE t` is `SELECT * FROM t`, which is one character shorter than its place in the text would need: places stay right after it.
        let rest = &text[first.end..];
        let statement = parse_with_sqlparser(&format!("SELECT * FROM{rest}"))?;
        return Ok(Command::Query(Box::new(statement)));
    }
    let mut statement = parse_with_sqlparser(text)?;
    if let ast::Statement::Query(query) = &mut statement
        && let ast::SetExpr::Select(select) = &mut *query.body
        && let Some(into) = select.into.take()
    {
        return select_into(&into, statement);
    }
    if let ast::Statement::Query(query) = &statement
        && let Some(call) = hypertable::call(query)
    {
        return Ok(Command::Hypertable(call));
    }
    Ok(Command::Query(Box::new(statement)))
}

/// SELECT … INTO is CREATE TABLE … AS.
fn select_into(into: &ast::SelectInto, statement: ast::Statement) -> Result<Command, QueryError> {
    let location = into.name.span().start;
    if into.unlogged {
        let message = "an unlogged table is not supported";
        let error = QueryError::new(ErrorKind::FeatureNotSupported, message).with_location(location);
        return Err(error.with_hint("CREATE TABLE makes a durable one"));
    }
    let folded = |ident: &ast::Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    };
    let mut parts = into.name.0.iter().rev().filter_map(|part| part.as_ident()).map(folded);
    Ok(Command::CreateTableAs(CreateTableAs {
        if_not_exists: false,
        name: TableName {
            name: parts.next().unwrap_or_default(),
            schema: parts.next(),
            database: parts.next(),
            place: Place::Location(location),
        },
        query: statement.to_string(),
        with_data: true,
        temporary: into.temporary.then_some(OnCommit::PreserveRows),
    }))
}

fn parse_data_change(text: &str) -> Result<Command, QueryError> {
    match parse_with_sqlparser(text)? {
        ast::Statement::Delete(delete) => Ok(Command::Delete(Box::new(delete))),
        ast::Statement::Update(update) => Ok(Command::Update(Box::new(update))),
        copy @ ast::Statement::Copy { .. } => Ok(Command::Copy(Box::new(copy))),
        _ => Err(Cursor::new(text)?.unsupported("this statement")),
    }
}

fn table_names(cursor: &mut Cursor<'_>) -> Result<Vec<TableName>, QueryError> {
    let mut names = vec![cursor.table_name()?];
    while cursor.take_symbol(",") {
        names.push(cursor.table_name()?);
    }
    Ok(names)
}

fn parse_create(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["create"])?;
    match &*cursor.peek().value {
        "database" => database::parse_create(cursor),
        "role" | "user" | "group" => role::parse_create(cursor),
        "table" | "stable" => create::parse(cursor),
        "temp" | "temporary" | "global" | "local" => temporary::parse(cursor),
        "unlogged" => Err(cursor
            .unsupported("an unlogged table")
            .with_hint("CREATE TABLE makes a durable one")),
        "or" | "view" | "materialized" | "recursive" => view::parse_create(cursor),
        "index" | "unique" => index::parse_create(cursor),
        "sma" => Err(cursor.unsupported("CREATE SMA INDEX")),
        "schema" => Err(cursor
            .unsupported("CREATE SCHEMA")
            .with_hint("CREATE DATABASE makes a namespace")),
        "extension" => {
            cursor.next();
            cursor.take(&["if", "not", "exists"]);
            if !cursor.at_word("timescaledb") {
                return Err(cursor.unsupported("this extension"));
            }
            let name = cursor.name()?;
            while !cursor.at_end() {
                cursor.next();
            }
            Ok(Command::Extension { name, drop: false })
        }
        "function" | "procedure" | "trigger" | "type" | "domain" | "sequence" | "stream" | "topic" | "aggregate"
        | "operator" | "cast" | "rule" | "policy" | "publication" | "subscription" | "server" | "foreign"
        | "collation" | "language" | "tablespace" | "event" | "statistics" | "dnode" | "mnode" => {
            let what = format!("CREATE {}", cursor.peek().value.to_ascii_uppercase());
            Err(cursor.unsupported(&what))
        }
        _ => Err(cursor.error()),
    }
}

fn parse_alter(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["alter"])?;
    match &*cursor.peek().value {
        "database" => database::parse_alter(cursor),
        "role" | "user" | "group" => role::parse_alter(cursor),
        "table" | "stable" => alter::parse(cursor),
        "view" => view::parse_alter(cursor),
        "default" => grant::parse_defaults(cursor),
        "index" | "schema" | "sequence" | "function" | "system" | "type" | "extension" | "domain" | "dnode"
        | "local" | "all" => {
            let what = format!("ALTER {}", cursor.peek().value.to_ascii_uppercase());
            Err(cursor.unsupported(&what))
        }
        _ => Err(cursor.error()),
    }
}

fn parse_drop(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["drop"])?;
    match &*cursor.peek().value {
        "database" => database::parse_drop(cursor),
        "role" | "user" | "group" => role::parse_drop(cursor),
        "owned" => role::parse_drop_owned(cursor),
        "table" | "stable" => {
            let stable = cursor.next().value == "stable";
            let if_exists = cursor.take(&["if", "exists"]);
            let names = table_names(cursor)?;
            let cascade = cursor.take_any(&["cascade", "restrict"]) == Some("cascade");
            Ok(Command::DropTables {
                if_exists,
                names,
                stable,
                cascade,
            })
        }
        "view" => view::parse_drop(cursor),
        "index" => index::parse_drop(cursor),
        "extension" => {
            cursor.next();
            cursor.take(&["if", "exists"]);
            if !cursor.at_word("timescaledb") {
                return Err(cursor.unsupported("this extension"));
            }
            let name = cursor.name()?;
            cursor.take_any(&["cascade", "restrict"]);
            Ok(Command::Extension { name, drop: true })
        }
        "materialized" | "sequence" | "type" | "domain" => missing::parse_drop(cursor),
        "schema" | "function" | "trigger" | "stream" | "topic" | "procedure" | "aggregate" => {
            let what = format!("DROP {}", cursor.peek().value.to_ascii_uppercase());
            Err(cursor.unsupported(&what))
        }
        _ => Err(cursor.error()),
    }
}

fn parse_comment(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["comment", "on"])?;
    let of_column = cursor.take_word("column");
    if !of_column && cursor.take_any(&["table", "stable"]).is_none() {
        let known = [
            "database",
            "schema",
            "index",
            "view",
            "constraint",
            "function",
            "type",
            "role",
        ];
        return match known.contains(&&*cursor.peek().value) {
            true => Err(cursor.unsupported("a comment on anything but a table or column")),
            false => Err(cursor.error()),
        };
    }
    let mut name = cursor.table_name()?;
    let mut column = None;
    if of_column {
        // The last part is the column's name.
        let table = name.schema.take().ok_or_else(|| cursor.error())?;
        column = Some(std::mem::replace(&mut name.name, table));
        name.schema = name.database.take();
    }
    cursor.expect(&["is"])?;
    let comment = match cursor.take_word("null") {
        true => None,
        false => Some(cursor.string()?),
    };
    Ok(Command::Comment { name, column, comment })
}

/// PREPARE name [(types)] AS statement; EXECUTE name [(arguments)]; DEALLOCATE [PREPARE] name | ALL.
fn parse_prepared(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    if cursor.take_word("prepare") {
        if cursor.at_word("transaction") {
            return Err(cursor.unsupported("a prepared transaction"));
        }
        let name = cursor.name()?;
        let types = match cursor.at_symbol("(") {
            true => cursor.list(types::parse)?,
            false => Vec::new(),
        };
        cursor.expect(&["as"])?;
        let (text, byte) = (cursor.text(), cursor.byte());
        let mut statements =
            parse(&text[byte..]).map_err(|error| error.placed(text, lexer::character_at(text, byte) - 1))?;
        let statement = statements.pop().ok_or_else(|| cursor.error())?;
        let preparable = matches!(
            &*statement.command,
            Command::Insert(_) | Command::Query(_) | Command::Delete(_) | Command::Update(_)
        );
        if !preparable {
            return Err(cursor.error());
        }
        while !cursor.at_end() {
            cursor.next();
        }
        return Ok(Command::Prepare { name, types, statement });
    }
    if cursor.take_word("execute") {
        let name = cursor.name()?;
        let arguments = match cursor.at_symbol("(") {
            true => cursor.list(|cursor| cursor.expression(&[]))?,
            false => Vec::new(),
        };
        return Ok(Command::Execute { name, arguments });
    }
    cursor.expect(&["deallocate"])?;
    cursor.take_word("prepare");
    match cursor.take_word("all") {
        true => Ok(Command::Deallocate(None)),
        false => Ok(Command::Deallocate(Some(cursor.name()?))),
    }
}

fn parse_notification(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    match &*cursor.next().value {
        "listen" => Ok(Command::Notification("LISTEN", Note::Listen(cursor.name()?))),
        "unlisten" => {
            let channel = match cursor.take_symbol("*") {
                true => None,
                false => Some(cursor.name()?),
            };
            Ok(Command::Notification("UNLISTEN", Note::Unlisten(channel)))
        }
        _ => {
            let channel = cursor.name()?;
            let payload = match cursor.take_symbol(",") {
                true => cursor.string()?,
                false => String::new(),
            };
            Ok(Command::Notification("NOTIFY", Note::Notify { channel, payload }))
        }
    }
}

fn parse_maintenance(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let maintenance = match &*cursor.next().value {
        "checkpoint" => Maintenance::Checkpoint,
        "flush" => Maintenance::Flush(maintained_database(cursor)?),
        "compact" => Maintenance::Compact(maintained_database(cursor)?),
        "vacuum" => {
            vacuum_options(cursor)?;
            Maintenance::Vacuum(maintained_tables(cursor)?)
        }
        _ => {
            vacuum_options(cursor)?;
            Maintenance::Analyze(maintained_tables(cursor)?)
        }
    };
    Ok(Command::Maintenance(maintenance))
}

/// `DATABASE [name]`
fn maintained_database(cursor: &mut Cursor<'_>) -> Result<Option<String>, QueryError> {
    cursor.expect(&["database"])?;
    match cursor.at_end() {
        true => Ok(None),
        false => Ok(Some(cursor.name()?)),
    }
}

/// `(FULL, ANALYZE, VERBOSE off)` or the words alone: compaction always does all of it.
fn vacuum_options(cursor: &mut Cursor<'_>) -> Result<(), QueryError> {
    if cursor.at_symbol("(") {
        cursor.list(|cursor| {
            cursor.name()?;
            while !cursor.at_symbol(",") && !cursor.at_symbol(")") && !cursor.at_end() {
                cursor.next();
            }
            Ok(())
        })?;
    }
    while cursor
        .take_any(&["full", "freeze", "verbose", "analyze", "analyse"])
        .is_some()
    {}
    Ok(())
}

fn maintained_tables(cursor: &mut Cursor<'_>) -> Result<Vec<TableName>, QueryError> {
    let mut names = Vec::new();
    while !cursor.at_end() {
        names.push(cursor.table_name()?);
        if cursor.at_symbol("(") {
            cursor.list(Cursor::name)?;
        }
        if !cursor.take_symbol(",") {
            break;
        }
    }
    Ok(names)
}
