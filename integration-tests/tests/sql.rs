//! Runs every script under `sql/` over the wire, twice: as written, and with a CHECKPOINT after every statement, so that answers come from
//! files instead of memory, and every query asked three times, so that it comes to a plan that was kept. A script has a server's database to
//! itself.
//!
//! An error is expected as `SQLSTATE: message`, with its detail and hint below it.
//!
//! `TAOSPG_BLESS=1` (`make bless`) records the answers instead of comparing them.

use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};

use integration_tests::Server;
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer, default_validator,
};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// An error as scripts write it.
#[derive(Debug)]
struct Failure(tokio_postgres::Error);

impl std::error::Error for Failure {}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        Failure(error)
    }
}

impl Display for Failure {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        let Some(error) = self.0.as_db_error() else {
            return self.0.fmt(out);
        };
        write!(out, "{}: {}", error.code().code(), error.message())?;
        if let Some(detail) = error.detail() {
            write!(out, "\nDETAIL: {detail}")?;
        }
        if let Some(hint) = error.hint() {
            write!(out, "\nHINT: {hint}")?;
        }
        Ok(())
    }
}

/// A plan is kept when its query comes again, and serves the query after that.
const TIMES_TO_A_KEPT_PLAN: usize = 3;

struct Connection {
    client: Client,
    /// Makes the checkpoints: the script may act as a role that must not.
    second: Option<Client>,
}

impl Connection {
    async fn open(dsn: String, checkpoints: bool) -> Result<Connection, Failure> {
        let connect = async || {
            let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await?;
            tokio::spawn(connection);
            Ok::<Client, Failure>(client)
        };
        Ok(Connection {
            client: connect().await?,
            second: match checkpoints {
                true => Some(connect().await?),
                false => None,
            },
        })
    }
}

impl Connection {
    async fn ask(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let mut rows = Vec::new();
        let mut columns = None;
        let mut count = 0;
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(description) => columns = Some(description.len()),
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|column| shown(row.get(column))).collect())
                }
                SimpleQueryMessage::CommandComplete(n) => count = n,
                _ => {}
            }
        }
        Ok(match columns {
            Some(columns) => DBOutput::Rows {
                types: vec![DefaultColumnType::Any; columns],
                rows,
            },
            None => DBOutput::StatementComplete(count),
        })
    }
}

#[async_trait::async_trait]
impl AsyncDB for Connection {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let asks = sql
            .split_ascii_whitespace()
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("select"));
        let repeats = match self.second.is_some() && asks {
            true => TIMES_TO_A_KEPT_PLAN - 1,
            false => 0,
        };
        let mut answer = self.ask(sql).await?;
        for _ in 0..repeats {
            // SELECT … INTO makes its table once.
            if let DBOutput::Rows { .. } = answer {
                answer = self.ask(sql).await?;
            }
        }
        if let Some(second) = &self.second {
            second.simple_query("CHECKPOINT").await?;
        }
        Ok(answer)
    }

    async fn shutdown(&mut self) {}
}

/// A value as scripts write it.
fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    }
}

fn scripts(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the scripts' directory is there") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            found.extend(scripts(&path));
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_answer_as_recorded() {
    let server = Server::start();
    let setup = server.connect("postgres").await;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let bless = std::env::var_os("TAOSPG_BLESS").is_some();
    let mut failures = Vec::new();
    for (number, script) in scripts(&directory).iter().enumerate() {
        for checkpoints in [false, true] {
            let database = format!("script_{number}_{checkpoints}");
            setup
                .batch_execute(&format!("CREATE DATABASE {database}"))
                .await
                .expect("a database is made");
            let dsn = server.dsn(&database);
            let mut runner = Runner::new(|| Connection::open(dsn.clone(), checkpoints));
            if bless && !checkpoints {
                runner
                    .update_test_file(
                        script,
                        " ",
                        default_validator,
                        default_normalizer,
                        default_column_validator,
                    )
                    .await
                    .expect("the script can be recorded");
            } else if let Err(error) = runner.run_file_async(script).await {
                failures.push(format!("{} (checkpoints: {checkpoints})\n{error}", script.display()));
            }
            drop(runner);
            setup
                .batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)"))
                .await
                .expect("the database is dropped");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
