//! Runs SQL through an engine and its sessions as a simple Query message does, without the wire. Each test has a directory of its own.

use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;
use taospg_query::{
    ConnectRequest, CopyFormat, Engine, EngineOptions, ErrorKind, Outcome, Parameter, QueryError, RowSet, Session,
};
use tempfile::TempDir;

/// An engine on a directory that goes with it.
pub struct Server {
    pub engine: Arc<Engine>,
    directory: TempDir,
}

/// One connection.
pub struct Client {
    pub session: Session,
}

fn options(directory: &TempDir) -> EngineOptions {
    EngineOptions {
        data_dir: directory.path().to_path_buf(),
        memtable_bytes: 16 << 20,
        memtables_bytes_max: 64 << 20,
        query_memory_bytes: 256 << 20,
        temporary_bytes: 64 << 20,
        database_defaults: Default::default(),
    }
}

impl Server {
    pub fn start() -> Server {
        let directory = TempDir::new().expect("a directory can be made");
        let engine = Engine::open(options(&directory)).expect("the engine opens");
        Server { engine, directory }
    }

    /// Stops and starts again on the same files.
    pub async fn restart(self) -> Server {
        let Server { engine, directory } = self;
        engine.close().await.expect("the engine closes");
        drop(engine);
        let engine = Engine::open(options(&directory)).expect("the engine opens again");
        Server { engine, directory }
    }

    pub fn connect(&self) -> Client {
        self.connect_to("postgres")
    }

    pub fn connect_to(&self, database: &str) -> Client {
        let request = ConnectRequest {
            user: "postgres".into(),
            database: database.into(),
            settings: Vec::new(),
            client_address: "test".into(),
            server_address: None,
            process_id: 1,
            interruption: Default::default(),
        };
        Client {
            session: self.engine.connect(request).expect("the database exists"),
        }
    }
}

impl Client {
    /// Runs a query string; answers with one text for each statement: its rows, columns apart by `|`, or its command tag.
    pub async fn run(&mut self, sql: &str) -> Result<Vec<String>, QueryError> {
        let answers = self.statements(sql).await;
        let finished = match answers {
            Ok(_) => self.session.finish_implicit().await,
            Err(_) => Ok(()),
        };
        match finished {
            Ok(()) => {
                if answers.is_err() {
                    self.session.fail();
                }
                answers
            }
            Err(error) => {
                self.session.fail();
                Err(error)
            }
        }
    }

    /// The answer of a single statement that succeeds.
    pub async fn ok(&mut self, sql: &str) -> String {
        match self.run(sql).await {
            Ok(mut answers) => answers.pop().unwrap_or_default(),
            Err(error) => panic!("{sql}: {:?} {error}", error.kind),
        }
    }

    /// The kind of error that a query string ends in.
    pub async fn fails(&mut self, sql: &str) -> ErrorKind {
        match self.run(sql).await {
            Ok(answers) => panic!("{sql} answered {answers:?}"),
            Err(error) => error.kind,
        }
    }

    /// Prepares a statement with parameters and runs it, as Parse, Bind, Execute and Sync do.
    pub async fn bound(&mut self, sql: &str, parameters: &[Parameter]) -> Result<String, QueryError> {
        let statement = self.session.parse(sql)?.remove(0);
        let answer = match self.session.prepare(&statement, &[]).await {
            Ok(prepared) => {
                assert_eq!(prepared.parameter_types.len(), parameters.len(), "{sql}");
                match self.session.execute(&prepared, parameters).await {
                    Ok(Outcome::Rows(rows)) => text_of(rows).await,
                    Ok(Outcome::Complete(tag)) => Ok(tag),
                    Ok(_) => panic!("{sql} is no such statement"),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => self.session.finish_implicit().await.map(|()| answer),
            Err(error) => {
                self.session.fail();
                Err(error)
            }
        }
    }

    /// Sends COPY with its data; answers with the command tag.
    pub async fn copy(&mut self, sql: &str, data: &[u8]) -> Result<String, QueryError> {
        let copied = self.copy_data(sql, data).await;
        match copied {
            Ok(tag) => self.session.finish_implicit().await.map(|()| tag),
            Err(error) => {
                self.session.fail();
                Err(error)
            }
        }
    }

    /// Messages of the notices since the last call.
    pub fn notices(&mut self) -> Vec<String> {
        self.session
            .take_notices()
            .into_iter()
            .map(|notice| notice.message)
            .collect()
    }

    async fn statements(&mut self, sql: &str) -> Result<Vec<String>, QueryError> {
        let mut answers = Vec::new();
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(&statement, &[]).await?;
            let outcome = self.session.execute(&prepared, &[]).await?;
            answers.push(match outcome {
                Outcome::Rows(rows) => text_of(rows).await?,
                Outcome::Complete(tag) => tag,
                Outcome::Empty => String::new(),
                Outcome::CopyOut(copy) => text_of(copy.rows).await?,
                Outcome::CopyIn(_) => panic!("{sql}: use Client::copy"),
            });
        }
        Ok(answers)
    }

    async fn copy_data(&mut self, sql: &str, data: &[u8]) -> Result<String, QueryError> {
        let statement = self.session.parse(sql)?.remove(0);
        let prepared = self.session.prepare(&statement, &[]).await?;
        let Outcome::CopyIn(mut copy) = self.session.execute(&prepared, &[]).await? else {
            panic!("{sql} is not COPY FROM STDIN");
        };
        assert!(!matches!(copy.format(), CopyFormat::Binary), "this helper sends text");
        copy.feed(data)?;
        self.session.finish_copy(*copy).await
    }
}

/// Rows as lines, values apart by `|`, null as nothing.
async fn text_of(mut rows: RowSet) -> Result<String, QueryError> {
    let mut lines = Vec::new();
    let format = FormatOptions::default();
    while let Some(batch) = rows.stream.next().await {
        let batch = batch.map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &format).expect("every type can be shown"))
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(values.join("|"));
        }
    }
    Ok(lines.join("\n"))
}
