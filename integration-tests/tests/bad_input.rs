//! A statement with a mistake answers with the right SQLSTATE, stores nothing and leaves the session usable.

use bytes::Bytes;
use futures::SinkExt;
use integration_tests::Server;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Error};

const SETUP: &str = "
    CREATE DATABASE plant KEEP 3650;
";
const TABLES: &str = "
    CREATE STABLE meters (ts TIMESTAMP, current FLOAT, voltage INT, note VARCHAR(5)) TAGS (location VARCHAR(64), group_id INT);
    CREATE TABLE d1 USING meters TAGS ('here', 1);
    CREATE TABLE plain (ts timestamptz NOT NULL, value double precision, PRIMARY KEY (ts));
";

/// Statement, SQLSTATE, and a part of the message.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "INSERT INTO d1 VALUES (now(), 'x', 1, NULL)",
        "22P02",
        "invalid input syntax for type real: \"x\"",
    ),
    (
        "INSERT INTO d1 VALUES (now(), 1, 'x', NULL)",
        "22P02",
        "invalid input syntax for type integer: \"x\"",
    ),
    (
        "INSERT INTO d1 VALUES (now(), 1, 99999999999, NULL)",
        "22003",
        "out of range",
    ),
    (
        "INSERT INTO d1 VALUES (now(), 1, 1, 'too long')",
        "22001",
        "value too long for type character varying(5)",
    ),
    (
        "INSERT INTO d1 VALUES ('yesterday-ish', 1, 1, NULL)",
        "22007",
        "yesterday-ish",
    ),
    ("INSERT INTO d1 VALUES ('1999-01-01', 1, 1, NULL)", "22008", "KEEP"),
    (
        "INSERT INTO d1 VALUES (now(), 1, 1, NULL), ('1999-01-01', 1, 1, NULL)",
        "22008",
        "KEEP",
    ),
    (
        "INSERT INTO d1 VALUES (NULL, 1, 1, NULL)",
        "23502",
        "null value in column \"ts\"",
    ),
    (
        "INSERT INTO d1 (current) VALUES (1)",
        "23502",
        "null value in column \"ts\"",
    ),
    (
        "INSERT INTO d1 VALUES (now(), 1, 1, NULL, 2)",
        "42601",
        "INSERT has more expressions than target columns",
    ),
    (
        "INSERT INTO d1 (ts, current) VALUES (now())",
        "42601",
        "INSERT has more target columns than expressions",
    ),
    (
        "INSERT INTO nowhere VALUES (now(), 1)",
        "42P01",
        "relation \"nowhere\" does not exist",
    ),
    (
        "INSERT INTO d1 (ts, amps) VALUES (now(), 1)",
        "42703",
        "column \"amps\" of relation \"d1\" does not exist",
    ),
    (
        "INSERT INTO new1 USING nowhere TAGS ('a', 1) VALUES (now(), 1, 1, NULL)",
        "42P01",
        "relation \"nowhere\" does not exist",
    ),
    (
        "INSERT INTO new1 USING meters TAGS ('a', 'b') VALUES (now(), 1, 1, NULL)",
        "22P02",
        "invalid input syntax for type integer: \"b\"",
    ),
    (
        "INSERT INTO new1 USING meters TAGS ('a', 1) VALUES (now(), 'x', 1, NULL)",
        "22P02",
        "invalid input syntax for type real: \"x\"",
    ),
    (
        "INSERT INTO d1 VALUES (now(), 1, 1, NULL) d2 VALUES (now(), 1, 1, NULL)",
        "42P01",
        "relation \"d2\" does not exist",
    ),
    ("SELECT * FROM nowhere", "42P01", "relation \"nowhere\" does not exist"),
    ("SELECT amps FROM meters", "42703", "column \"amps\" does not exist"),
    ("SELECT nosuchfunction(1)", "42883", "nosuchfunction"),
    ("SELECT 1 +", "42601", "syntax error"),
    ("SELEC 1", "42601", "syntax error at or near \"SELEC\""),
    ("SELECT 1/0", "22012", "division by zero"),
    (
        "SELECT 'x'::int",
        "22P02",
        "invalid input syntax for type integer: \"x\"",
    ),
    ("SELECT location, max(current) FROM meters", "42803", "location"),
    (
        "CREATE TABLE d1 USING meters TAGS ('x', 1)",
        "42P07",
        "relation \"d1\" already exists",
    ),
    (
        "CREATE STABLE meters (ts TIMESTAMP, a INT) TAGS (b INT)",
        "42P07",
        "relation \"meters\" already exists",
    ),
    ("CREATE TABLE t (a int)", "42P16", "time"),
    (
        "CREATE TABLE t (ts timestamptz, a nosuchtype)",
        "42704",
        "type \"nosuchtype\" does not exist",
    ),
    (
        "CREATE TABLE t (ts timestamptz, a int, a int)",
        "42701",
        "column \"a\" specified more than once",
    ),
    ("CREATE DATABASE plant", "42P04", "database \"plant\" already exists"),
    ("DROP TABLE nowhere", "42P01", "table \"nowhere\" does not exist"),
    ("ALTER TABLE meters DROP COLUMN nowhere", "42703", "column \"nowhere\""),
    (
        "SET nosuchsetting = 1",
        "42704",
        "unrecognized configuration parameter \"nosuchsetting\"",
    ),
    (
        "DELETE FROM meters WHERE amps > 1",
        "42703",
        "column \"amps\" does not exist",
    ),
    ("UPDATE meters SET ts = now()", "0A000", "ts"),
    ("COPY meters FROM '/etc/passwd'", "42501", "server"),
    (
        "CREATE TRIGGER t AFTER INSERT ON meters EXECUTE FUNCTION f()",
        "0A000",
        "",
    ),
];

async fn prepared_server() -> (Server, Client) {
    let server = Server::start();
    server
        .connect("postgres")
        .await
        .batch_execute(SETUP)
        .await
        .expect("the database is made");
    let client = server.connect("plant").await;
    client.batch_execute(TABLES).await.expect("the tables are made");
    (server, client)
}

fn state(error: &Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

fn message(error: &Error) -> &str {
    error
        .as_db_error()
        .map_or("not an error of the server", |error| error.message())
}

async fn stored(client: &Client) -> (i64, i64, i64) {
    let one = |query: &'static str| async move {
        client
            .query_one(query, &[])
            .await
            .expect("counting works")
            .get::<_, i64>(0)
    };
    (
        one("SELECT count(*) FROM meters").await,
        one("SELECT count(*) FROM plain").await,
        one("SELECT count(DISTINCT tbname) FROM meters").await,
    )
}

#[tokio::test]
async fn mistakes_have_their_sqlstate_and_store_nothing() {
    let (_server, client) = prepared_server().await;
    for (statement, expected_state, expected_message) in MISTAKES {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(state(&error), *expected_state, "{statement}: {}", message(&error));
        assert!(
            message(&error).contains(expected_message),
            "{statement}: {}",
            message(&error)
        );
        assert_eq!(stored(&client).await, (0, 0, 0), "{statement} stored something");
    }
    let tables = client.query("SHOW TABLES", &[]).await.expect("tables are shown");
    assert_eq!(tables.len(), 2, "a failed INSERT … USING makes no table");
}

#[tokio::test]
async fn prepared_statements_make_the_same_mistakes() {
    let (_server, client) = prepared_server().await;
    for (statement, expected_state, expected_message) in MISTAKES {
        let error = match client.prepare(statement).await {
            Err(error) => error,
            Ok(prepared) => client.execute(&prepared, &[]).await.expect_err(statement),
        };
        assert_eq!(state(&error), *expected_state, "{statement}: {}", message(&error));
        assert!(
            message(&error).contains(expected_message),
            "{statement}: {}",
            message(&error)
        );
    }
    assert_eq!(stored(&client).await, (0, 0, 0));
}

#[tokio::test]
async fn errors_point_at_their_place() {
    let (_server, client) = prepared_server().await;
    for (statement, place) in [
        ("SELECT * FROM nowhere", 15),
        ("SELECT 1 FROM meters WHERE amps = 1", 28),
        ("SELEC 1", 1),
        ("SELECT * FORM meters", 15),
        ("SELECT 1; SELECT * FROM nowhere", 25),
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        let position = error.as_db_error().and_then(|error| error.position().cloned());
        assert_eq!(
            position,
            Some(ErrorPosition::Original(place)),
            "{statement}: {}",
            message(&error)
        );
    }
}

#[tokio::test]
async fn a_bad_line_in_the_middle_of_a_copy_stores_nothing_and_is_named() {
    let (_server, client) = prepared_server().await;
    let good = "d1,2026-01-01 00:00:00+00,1.5,220,,here,1\n";
    for (bad, expected_state, place) in [
        (
            "d1,2026-01-01 00:00:01+00,1.5,x,,here,1\n",
            "22P02",
            "line 3, column voltage: \"x\"",
        ),
        ("d1,2026-01-01 00:00:01+00,1.5\n", "22P04", "line 3"),
        ("d1,2026-01-01 00:00:01+00,1.5,220,,here,1,more\n", "22P04", "line 3"),
        (
            "d1,2026-13-01 00:00:01+00,1.5,220,,here,1\n",
            "22008",
            "line 3, column ts",
        ),
        ("d1,1999-01-01 00:00:01+00,1.5,220,,here,1\n", "22008", "line 3"),
        (
            "d1,2026-01-01 00:00:01+00,1.5,220,too long,here,1\n",
            "22001",
            "line 3, column note",
        ),
        (
            "new1,2026-01-01 00:00:01+00,1.5,220,,here,many\n",
            "22P02",
            "line 3, column group_id: \"many\"",
        ),
        ("d1,\"2026-01-01 00:00:01+00,1.5,220,,here,1\n", "22P04", "line"),
    ] {
        let copy = "COPY meters (tbname, ts, current, voltage, note, location, group_id) FROM STDIN CSV HEADER";
        let sink = client.copy_in::<_, Bytes>(copy).await.expect("a COPY begins");
        let mut sink = std::pin::pin!(sink);
        let text = format!("tbname,ts,current,voltage,note,location,group_id\n{good}{bad}{good}");
        let _ = sink.send(Bytes::from(text)).await;
        let error = sink.finish().await.expect_err(bad);
        assert_eq!(state(&error), expected_state, "{bad}: {}", message(&error));
        let context = error.as_db_error().and_then(|error| error.where_()).unwrap_or_default();
        assert!(context.contains(place), "{bad}: {context}");
        assert_eq!(stored(&client).await, (0, 0, 0), "{bad} stored something");
    }
}

#[tokio::test]
async fn a_failed_transaction_refuses_until_it_ends() {
    let (_server, client) = prepared_server().await;
    client.batch_execute("BEGIN").await.expect("a transaction begins");
    client
        .batch_execute("INSERT INTO d1 VALUES ('2026-01-01', 1, 1, NULL)")
        .await
        .expect("a row is taken");
    assert_eq!(stored(&client).await.0, 1, "a transaction sees its own rows");
    client.batch_execute("SELECT 1/0").await.expect_err("division by zero");
    let error = client
        .batch_execute("SELECT 1")
        .await
        .expect_err("the block has failed");
    assert_eq!(state(&error), "25P02");
    client
        .batch_execute("COMMIT")
        .await
        .expect("COMMIT of a failed block answers ROLLBACK");
    assert_eq!(stored(&client).await, (0, 0, 0));
}
