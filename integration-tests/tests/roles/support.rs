//! Sessions of roles, and what came of their statements.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use integration_tests::Server;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

pub async fn connect(server: &Server, user: &str, password: &str, database: &str) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.port()).user(user).dbname(database);
    if !password.is_empty() {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub async fn refused(server: &Server, user: &str, password: &str, database: &str) -> String {
    let error = match connect(server, user, password, database).await {
        Ok(_) => return "let in".into(),
        Err(error) => error,
    };
    match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => error.to_string(),
    }
}

pub fn is_denied(error: &Error) -> bool {
    error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

/// What came of a statement: done, denied, or an error that the test does not expect.
pub fn outcome(result: Result<(), Error>) -> Result<bool, String> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if is_denied(&error) => Ok(false),
        Err(error) => Err(format!("{error:?}")),
    }
}

pub async fn extended(client: &Client, sql: &str) -> Result<(), Error> {
    let statement = client.prepare(sql).await?;
    client.query(&statement, &[]).await.map(|_| ())
}

pub async fn copy_in(client: &Client, sql: &str) -> Result<(), Error> {
    let sink = client.copy_in::<_, Bytes>(sql).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"2026-01-03\t5\n")).await?;
    sink.finish().await.map(|_| ())
}

pub async fn copy_out(client: &Client, sql: &str) -> Result<(), Error> {
    let stream = client.copy_out(sql).await?;
    let mut stream = std::pin::pin!(stream);
    while let Some(bytes) = stream.next().await {
        bytes?;
    }
    Ok(())
}

/// A session of postgres that acts as a role.
pub async fn acting_as(server: &Server, role: &str) -> Client {
    let client = server.connect("postgres").await;
    let act = format!("SET SESSION AUTHORIZATION {role}");
    client.batch_execute(&act).await.unwrap();
    client
}
