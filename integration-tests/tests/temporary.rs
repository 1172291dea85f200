//! Temporary tables of several sessions: each has its own, and only so much room for them.

use integration_tests::Server;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

async fn run(client: &Client, sql: &str) {
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn code(client: &Client, sql: &str) -> SqlState {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().cloned().unwrap_or_else(|| panic!("{sql}: {error:?}"))
}

async fn count(client: &Client, table: &str) -> i64 {
    let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await;
    row.unwrap_or_else(|error| panic!("{table}: {error:?}")).get(0)
}

#[tokio::test]
async fn each_session_has_its_own() {
    let server = Server::start();
    let (one, other) = (server.connect("postgres").await, server.connect("postgres").await);
    run(
        &one,
        "CREATE TABLE things (ts timestamptz, v int); INSERT INTO things VALUES (now(), 0)",
    )
    .await;
    run(
        &one,
        "CREATE TEMP TABLE things (v int); INSERT INTO things VALUES (1), (2)",
    )
    .await;
    run(&one, "CREATE TEMP TABLE mine (v int)").await;
    assert_eq!((count(&one, "things").await, count(&other, "things").await), (2, 1));
    // Not by its name, not by the schema that every session means its own with, not in the catalog.
    assert_eq!(code(&other, "SELECT * FROM mine").await, SqlState::UNDEFINED_TABLE);
    assert_eq!(
        code(&other, "SELECT * FROM pg_temp.things").await,
        SqlState::UNDEFINED_TABLE
    );
    assert_eq!(count(&other, "pg_class WHERE relpersistence = 't'").await, 0);
    let schema: String = one
        .query_one("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()", &[])
        .await
        .expect("the schema has a name")
        .get(0);
    assert_eq!(count(&one, &format!("{schema}.things")).await, 2);
    assert!(
        other
            .batch_execute(&format!("SELECT * FROM {schema}.things"))
            .await
            .is_err()
    );
    // Both may have one of the same name.
    run(
        &other,
        "CREATE TEMP TABLE mine (name text); INSERT INTO mine VALUES ('a')",
    )
    .await;
    assert_eq!((count(&one, "mine").await, count(&other, "mine").await), (0, 1));
    run(&one, "DROP TABLE things").await;
    assert_eq!((count(&one, "things").await, count(&other, "things").await), (1, 1));
    drop(one);
    let next = server.connect("postgres").await;
    assert_eq!(code(&next, "SELECT * FROM mine").await, SqlState::UNDEFINED_TABLE);
    assert_eq!(count(&other, "mine").await, 1);
}

/// A statement prepared on the wire finds what is there when it is bound; where its columns are others it says so.
#[tokio::test]
async fn prepared_statements_follow_tables_that_come_and_go() {
    let server = Server::start();
    let client = server.connect("postgres").await;
    run(
        &client,
        "CREATE TABLE t (ts timestamptz, v int); INSERT INTO t VALUES (now(), 7)",
    )
    .await;
    let query = client
        .prepare("SELECT sum(v) FROM t WHERE v > $1")
        .await
        .expect("it is prepared");
    let sum = async || {
        client
            .query_one(&query, &[&0])
            .await
            .map(|row| row.get::<_, Option<i64>>(0))
    };
    assert_eq!(sum().await.expect("the table is there"), Some(7));
    run(&client, "CREATE TEMP TABLE t (v int)").await;
    assert_eq!(sum().await.expect("the temporary one is there"), None);
    let insert = client
        .prepare("INSERT INTO t (v) VALUES ($1)")
        .await
        .expect("it is prepared");
    for value in 1..=100 {
        assert_eq!(client.execute(&insert, &[&value]).await.expect("a row is written"), 1);
    }
    assert_eq!(sum().await.expect("it has rows"), Some(5050));
    let update = client
        .prepare("UPDATE t SET v = v + $1 WHERE v <= $2")
        .await
        .expect("it is prepared");
    assert_eq!(client.execute(&update, &[&1000, &50]).await.expect("rows change"), 50);
    assert_eq!(sum().await.expect("it has rows"), Some(55050));
    run(&client, "BEGIN; DROP TABLE t").await;
    assert_eq!(sum().await.expect("the durable one is seen"), Some(7));
    run(&client, "ROLLBACK").await;
    assert_eq!(sum().await.expect("the temporary one is back"), Some(55050));
    run(&client, "DROP TABLE t; CREATE TEMP TABLE t (v float8)").await;
    let error = sum().await.expect_err("a sum of another type");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
}

#[tokio::test]
async fn copy_goes_in_and_out() {
    use futures::{SinkExt, TryStreamExt};
    let server = Server::start();
    let client = server.connect("postgres").await;
    run(
        &client,
        "CREATE TEMP TABLE c (id serial, name text, v float8 DEFAULT 1.5)",
    )
    .await;
    for (sql, data) in [
        ("COPY c (name) FROM STDIN", "a\nb\n"),
        ("COPY c FROM STDIN (FORMAT csv)", "10,\"x,y\",\n"),
    ] {
        let sink = client
            .copy_in(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from(data)).await.expect("bytes are sent");
        sink.as_mut().finish().await.expect("the copy ends");
    }
    let text = async |sql: &str| {
        let chunks: Vec<bytes::Bytes> = client.copy_out(sql).await.expect(sql).try_collect().await.expect(sql);
        chunks.concat()
    };
    assert_eq!(text("COPY c TO STDOUT").await, b"1\ta\t1.5\n2\tb\t1.5\n10\tx,y\t\\N\n");
    let binary = text("COPY c TO STDOUT (FORMAT binary)").await;
    run(&client, "CREATE TEMP TABLE d (id int, name text, v float8)").await;
    let sink = client
        .copy_in("COPY d FROM STDIN (FORMAT binary)")
        .await
        .expect("it begins");
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from(binary)).await.expect("bytes are sent");
    assert_eq!(sink.as_mut().finish().await.expect("the copy ends"), 3);
    assert_eq!(count(&client, "c JOIN d USING (id, name)").await, 3);
}

#[tokio::test]
async fn a_session_has_only_so_much_room() {
    let settings = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(settings.path(), "temporary_tables = \"1MB\"\n").expect("a file is written");
    let settings = settings.path().to_str().expect("its path is text");
    let server = Server::start_with(&["--config", settings]);
    let client = server.connect("postgres").await;
    run(&client, "CREATE TEMP TABLE big (v bigint)").await;
    let mut before = 0;
    let refused = loop {
        let sql = "INSERT INTO big SELECT v FROM generate_series(1, 10000) AS s(v)";
        match client.batch_execute(sql).await {
            Ok(()) => before += 10_000,
            Err(error) => break error,
        }
        assert!(before < 1_000_000, "a megabyte holds so many rows");
    };
    assert_eq!(refused.code(), Some(&SqlState::OUT_OF_MEMORY));
    assert_eq!(count(&client, "big").await, before);
    // Room can be made, and is there for others.
    run(&client, "TRUNCATE big; INSERT INTO big VALUES (1)").await;
    assert_eq!(count(&client, "big").await, 1);
}

/// What ROLLBACK would bring back is counted, too: savepoints of ever new rows cannot fill the memory.
#[tokio::test]
async fn savepoints_have_only_so_much_room() {
    let settings = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(settings.path(), "temporary_tables = \"1MB\"\n").expect("a file is written");
    let settings = settings.path().to_str().expect("its path is text");
    let server = Server::start_with(&["--config", settings]);
    let client = server.connect("postgres").await;
    run(
        &client,
        "CREATE TEMP TABLE big (v bigint); INSERT INTO big SELECT v FROM generate_series(1, 50000) AS s(v)",
    )
    .await;
    run(&client, "BEGIN").await;
    // Each savepoint shares its rows with the last: there may be many.
    for number in 0..50 {
        run(&client, &format!("SAVEPOINT s{number}; INSERT INTO big VALUES (0)")).await;
    }
    let mut changed = 0;
    let refused = loop {
        match client.batch_execute("SAVEPOINT s; UPDATE big SET v = v + 1").await {
            Ok(()) => changed += 1,
            Err(error) => break error,
        }
        assert!(changed < 100, "a megabyte holds so many pictures");
    };
    assert_eq!(refused.code(), Some(&SqlState::OUT_OF_MEMORY));
    run(&client, "ROLLBACK").await;
    assert_eq!(count(&client, "big").await, 50_000);
}
