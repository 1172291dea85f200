//! Sessions: settings, transactions, prepared statements.

use taospg_query::{ErrorKind, TransactionStatus};

use crate::support::Server;

#[tokio::test]
async fn settings_follow_their_transaction() {
    let server = Server::start();
    let mut client = server.connect();
    let mut other = server.connect();
    client.ok("SET TIME ZONE 'Europe/Berlin'").await;
    assert_eq!(client.ok("SHOW TimeZone").await, "Europe/Berlin");
    assert_eq!(other.ok("SHOW TimeZone").await, "UTC");
    client
        .ok("BEGIN; SET statement_timeout = '5s'; SET LOCAL jit = on; SET TimeZone = 'UTC'")
        .await;
    assert_eq!(client.ok("SHOW jit").await, "on");
    client.ok("COMMIT").await;
    assert_eq!(
        client
            .run("SHOW jit; SHOW statement_timeout; SHOW timezone")
            .await
            .unwrap(),
        ["off", "5s", "UTC"]
    );
    client
        .ok("BEGIN; SET statement_timeout = '9s'; SAVEPOINT a; SET statement_timeout = '10s'; ROLLBACK TO a")
        .await;
    assert_eq!(client.ok("SHOW statement_timeout").await, "9s");
    client.ok("ROLLBACK").await;
    assert_eq!(client.ok("SHOW statement_timeout").await, "5s");
    assert_eq!(client.fails("SET no_such = 1").await, ErrorKind::UndefinedObject);
    assert_eq!(
        client.fails("SET statement_timeout = '6s'; SET no_such = 1").await,
        ErrorKind::UndefinedObject
    );
    assert_eq!(client.ok("SHOW statement_timeout").await, "5s");
    client.ok("SET LOCAL jit = on").await;
    assert_eq!(client.notices(), ["SET LOCAL can only be used in transaction blocks"]);
    client.ok("RESET ALL").await;
    assert_eq!(client.ok("SHOW statement_timeout").await, "0");
}

#[tokio::test]
async fn modes_are_those_of_the_transaction() {
    let server = Server::start();
    let mut client = server.connect();
    client.ok("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await;
    assert_eq!(client.ok("SHOW transaction_isolation").await, "repeatable read");
    assert_eq!(
        client.fails("CREATE TABLE t (ts timestamptz, v int)").await,
        ErrorKind::ReadOnlyTransaction
    );
    client.ok("ROLLBACK").await;
    assert_eq!(client.ok("SHOW transaction_isolation").await, "read committed");
    client.ok("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").await;
    assert_eq!(
        client.fails("CREATE TABLE t (ts timestamptz, v int)").await,
        ErrorKind::ReadOnlyTransaction
    );
    client
        .ok("BEGIN READ WRITE; CREATE TABLE t (ts timestamptz, v int); COMMIT")
        .await;
}

#[tokio::test]
async fn a_failed_block_waits_for_its_end() {
    let server = Server::start();
    let mut client = server.connect();
    client.ok("BEGIN").await;
    assert_eq!(client.session.transaction_status(), TransactionStatus::InBlock);
    client.ok("SAVEPOINT a").await;
    client.fails("DROP TABLE nothing").await;
    assert_eq!(client.session.transaction_status(), TransactionStatus::Failed);
    assert_eq!(client.fails("SHOW jit").await, ErrorKind::InFailedTransaction);
    client.ok("ROLLBACK TO a").await;
    assert_eq!(client.session.transaction_status(), TransactionStatus::InBlock);
    client.fails("DROP TABLE nothing").await;
    assert_eq!(client.ok("COMMIT").await, "ROLLBACK");
    assert_eq!(client.session.transaction_status(), TransactionStatus::Idle);
}

#[tokio::test]
async fn transaction_statements_out_of_place_are_told() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(client.ok("COMMIT").await, "COMMIT");
    assert_eq!(client.notices(), ["there is no transaction in progress"]);
    assert_eq!(client.ok("ROLLBACK").await, "ROLLBACK");
    client.notices();
    assert_eq!(client.fails("SAVEPOINT a").await, ErrorKind::NoActiveTransaction);
    client.ok("BEGIN").await;
    client.ok("BEGIN").await;
    assert_eq!(client.notices(), ["there is already a transaction in progress"]);
    assert_eq!(client.fails("ROLLBACK TO nothing").await, ErrorKind::InvalidSavepoint);
    assert_eq!(client.ok("ROLLBACK AND CHAIN").await, "ROLLBACK");
    assert_eq!(client.session.transaction_status(), TransactionStatus::InBlock);
    assert_eq!(client.fails("VACUUM").await, ErrorKind::ActiveTransaction);
    client.ok("ROLLBACK").await;
}

#[tokio::test]
async fn pools_can_reset_a_session() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ok("SET application_name = 'x'; CLOSE ALL; UNLISTEN *; LISTEN a; NOTIFY a, 'b'; RESET ALL")
        .await;
    client.ok("DISCARD ALL").await;
    client
        .ok("SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DISCARD TEMP; DISCARD SEQUENCES")
        .await;
    assert_eq!(client.fails("SET ROLE nobody").await, ErrorKind::InvalidParameterValue);
    assert_eq!(
        client.fails("DECLARE c CURSOR FOR SELECT 1").await,
        ErrorKind::NoActiveTransaction
    );
}
