//! One session ends what another one does: pg_cancel_backend, pg_terminate_backend, and who may.

use std::time::Duration;

use integration_tests::Server;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Long enough for a machine under load; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

async fn process_id(client: &Client) -> i32 {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    row.expect("a session knows its process id").get(0)
}

/// Waits until a session sleeps.
async fn asleep(client: &Client, process_id: i32) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE '%pg_sleep%'";
    let waiting = async {
        while client
            .query_one(sql, &[&process_id])
            .await
            .expect("sessions are listed")
            .get::<_, i64>(0)
            == 0
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it sleeps");
}

#[tokio::test]
async fn a_statement_that_sleeps_is_canceled_and_its_session_goes_on() {
    let server = Server::start();
    let (sleeper, other) = (server.connect("postgres").await, server.connect("postgres").await);
    let id = process_id(&sleeper).await;
    let (slept, ()) = tokio::join!(sleeper.batch_execute("SELECT pg_sleep(600)"), async {
        asleep(&other, id).await;
        let canceled = other.query_one("SELECT pg_cancel_backend($1)", &[&id]).await;
        assert!(canceled.expect("it cancels").get::<_, bool>(0));
    });
    let error = slept.expect_err("it was canceled");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(process_id(&sleeper).await, id);
}

#[tokio::test]
async fn a_session_is_terminated_while_it_sleeps_and_while_it_is_idle() {
    let server = Server::start();
    let (sleeper, idle, other) = (
        server.connect("postgres").await,
        server.connect("postgres").await,
        server.connect("postgres").await,
    );
    let id = process_id(&sleeper).await;
    let (slept, ()) = tokio::join!(sleeper.batch_execute("SELECT pg_sleep(600)"), async {
        asleep(&other, id).await;
        let ended = other.query_one("SELECT pg_terminate_backend($1)", &[&id]).await;
        assert!(ended.expect("it ends a session").get::<_, bool>(0));
    });
    let error = slept.expect_err("its session ended");
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN));
    let id = process_id(&idle).await;
    let ended = other.query_one("SELECT pg_terminate_backend($1)", &[&id]).await;
    assert!(ended.expect("it ends a session").get::<_, bool>(0));
    let gone = async {
        while !idle.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the connection ends");
    let itself = other
        .query_one("SELECT pg_terminate_backend(pg_backend_pid())", &[])
        .await;
    let error = itself.expect_err("its own end is no answer");
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN));
    let other = server.connect("postgres").await;
    let nobody = other.query_one("SELECT pg_terminate_backend(2147483647)", &[]).await;
    assert!(!nobody.expect("it answers").get::<_, bool>(0));
}

#[tokio::test]
async fn only_superusers_interrupt_superusers() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    let id = process_id(&client).await;
    let sql = format!("CREATE ROLE ada; SET ROLE ada; SELECT pg_cancel_backend({id})");
    let error = client.batch_execute(&sql).await.expect_err("it is denied");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    assert_eq!(
        error.as_db_error().map(|error| error.message()),
        Some("must be a superuser to cancel superuser query")
    );
}

/// A join whose condition no pair meets gives no rows for hours, within which a timeout has to get its word in.
#[tokio::test]
async fn a_join_without_a_pair_ends_in_time() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    client
        .batch_execute("SET statement_timeout = '100ms'")
        .await
        .expect("it is a setting");
    for joined in [
        "generate_series(1, 100000) a JOIN generate_series(1, 100000000) b ON a.a + b.b = -1",
        "generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.a / 1000000 = b.b / 1000000 AND a.a + b.b = -1",
    ] {
        let sql = format!("SELECT count(*) FROM {joined}");
        let ended = tokio::time::timeout(PATIENCE, client.batch_execute(&sql)).await;
        let error = ended.expect("its time passes").expect_err("there is too much to do");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{joined}: {error}");
    }
    let row = client.query_one("SELECT 1", &[]).await;
    assert_eq!(row.expect("the session goes on").get::<_, i32>(0), 1);
}
