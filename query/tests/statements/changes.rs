//! Changes of rows: DELETE, UPDATE, TRUNCATE, COPY, and what transactions make of them.

use bytes::Bytes;
use taospg_query::{ErrorKind, Format, Parameter, TransactionStatus};

use crate::support::{Client, Server};

/// Two tables of one supertable with four rows each, a minute apart, and a third table without rows.
async fn meters(client: &mut Client) {
    client
        .ok("CREATE STABLE meters (ts TIMESTAMP, current FLOAT, voltage INT, note VARCHAR(5)) TAGS (location VARCHAR(64), group_id INT)")
        .await;
    client.ok("CREATE TABLE d1 USING meters TAGS ('Oslo', 1) d2 USING meters TAGS ('Bergen', 2) d3 USING meters TAGS ('Alta', 3)").await;
    for table in ["d1", "d2"] {
        let rows: Vec<String> = (0..4)
            .map(|minute| format!("('2024-05-01 00:0{minute}:00+00', {minute}.5, 22{minute}, 'n{minute}')"))
            .collect();
        client
            .ok(&format!("INSERT INTO {table} VALUES {}", rows.join(" ")))
            .await;
    }
}

fn text(value: &str) -> Parameter {
    Parameter {
        format: Format::Text,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
    }
}

fn integer(value: i32) -> Parameter {
    Parameter {
        format: Format::Binary,
        value: Some(Bytes::copy_from_slice(&value.to_be_bytes())),
    }
}

#[tokio::test]
async fn rows_are_deleted_by_any_condition() {
    let server = Server::start();
    let mut client = server.connect();
    meters(&mut client).await;
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "8");
    assert_eq!(
        client
            .ok("DELETE FROM meters WHERE ts < '2024-05-01 00:01:00+00' AND group_id = 1")
            .await,
        "DELETE 1"
    );
    assert_eq!(client.ok("DELETE FROM meters WHERE voltage = 222").await, "DELETE 2");
    assert_eq!(
        client
            .ok("DELETE FROM meters m WHERE m.tbname = 'd2' AND m.ts BETWEEN '2024-05-01' AND '2024-05-01 00:01:00+00'")
            .await,
        "DELETE 2"
    );
    assert_eq!(
        client
            .ok("SELECT tbname, voltage FROM meters ORDER BY tbname, ts")
            .await,
        "d1|221\nd1|223\nd2|223"
    );
    assert_eq!(client.ok("DELETE FROM d1 WHERE ts > now()").await, "DELETE 0");
    assert_eq!(
        client
            .bound("DELETE FROM meters WHERE voltage = $1", &[integer(221)])
            .await
            .unwrap(),
        "DELETE 1"
    );
    client.ok("CHECKPOINT").await;
    assert_eq!(client.ok("DELETE FROM d1").await, "DELETE 1");
    assert_eq!(client.ok("SELECT tbname, voltage FROM meters").await, "d2|223");
    assert_eq!(client.ok("TRUNCATE meters").await, "TRUNCATE TABLE");
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "0");
    assert_eq!(client.fails("DELETE FROM nothing").await, ErrorKind::UndefinedTable);
    assert_eq!(
        client.fails("DELETE FROM meters WHERE nothing = 1").await,
        ErrorKind::UndefinedColumn
    );
    assert_eq!(
        client.fails("DELETE FROM meters USING d1 WHERE true").await,
        ErrorKind::FeatureNotSupported
    );
}

#[tokio::test]
async fn metrics_are_updated_and_the_rest_of_the_row_stays() {
    let server = Server::start();
    let mut client = server.connect();
    meters(&mut client).await;
    assert_eq!(
        client
            .ok("UPDATE meters SET voltage = voltage + 100, note = NULL WHERE group_id = 2 AND voltage >= 222")
            .await,
        "UPDATE 2"
    );
    let expected = "0.5|220|n0\n1.5|221|n1\n2.5|322|\n3.5|323|";
    assert_eq!(
        client.ok("SELECT current, voltage, note FROM d2 ORDER BY ts").await,
        expected
    );
    client.ok("CHECKPOINT").await;
    assert_eq!(
        client.ok("SELECT current, voltage, note FROM d2 ORDER BY ts").await,
        expected
    );
    let updated = client
        .bound(
            "UPDATE d1 SET note = $1, voltage = $2 WHERE current < $3",
            &[text("x"), integer(7), text("1")],
        )
        .await;
    assert_eq!(updated.unwrap(), "UPDATE 1");
    assert_eq!(
        client.ok("SELECT voltage, note FROM d1 ORDER BY ts LIMIT 1").await,
        "7|x"
    );
    assert_eq!(
        client.fails("UPDATE d1 SET note = 'longer than five'").await,
        ErrorKind::StringDataRightTruncation
    );
    assert_eq!(
        client.fails("UPDATE d1 SET ts = now()").await,
        ErrorKind::FeatureNotSupported
    );
    assert_eq!(
        client.fails("UPDATE d1 SET nothing = 1").await,
        ErrorKind::UndefinedColumn
    );
    assert_eq!(
        client.fails("UPDATE d1 SET voltage = 3000000000").await,
        ErrorKind::NumericValueOutOfRange
    );
    assert_eq!(
        client.fails("UPDATE d1 SET voltage = 1, group_id = 2").await,
        ErrorKind::FeatureNotSupported
    );
    assert_eq!(client.ok("SELECT count(*) FROM d1 WHERE voltage = 7").await, "1");
}

#[tokio::test]
async fn tags_are_updated_whether_a_table_has_rows_or_not() {
    let server = Server::start();
    let mut client = server.connect();
    meters(&mut client).await;
    assert_eq!(
        client
            .ok("UPDATE meters SET group_id = group_id * 10 WHERE location <> 'Oslo'")
            .await,
        "UPDATE 2"
    );
    assert_eq!(
        client.ok("SHOW TAGS FROM d3").await,
        "location|character varying(64)|Alta\ngroup_id|integer|30"
    );
    assert_eq!(
        client
            .bound(
                "UPDATE meters SET location = $1 WHERE tbname = $2",
                &[text("Narvik"), text("d1")]
            )
            .await
            .unwrap(),
        "UPDATE 1"
    );
    assert_eq!(
        client
            .ok("SELECT DISTINCT location, group_id FROM meters ORDER BY group_id")
            .await,
        "Narvik|1\nBergen|20"
    );
    assert_eq!(client.ok("UPDATE d2 SET group_id = 5").await, "UPDATE 1");
    assert_eq!(
        client
            .ok("UPDATE meters SET group_id = 6 WHERE voltage = 223 AND group_id = 5")
            .await,
        "UPDATE 1"
    );
    assert_eq!(
        client
            .ok("SELECT DISTINCT group_id FROM meters ORDER BY group_id")
            .await,
        "1\n6"
    );
}

#[tokio::test]
async fn a_transaction_sees_its_own_writes_and_others_do_not() {
    let server = Server::start();
    let mut client = server.connect();
    let mut other = server.connect();
    meters(&mut client).await;
    client
        .ok("BEGIN; INSERT INTO d3 VALUES ('2024-05-01 00:00:00+00', 1, 2, 'x'); DELETE FROM d1")
        .await;
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "5");
    assert_eq!(other.ok("SELECT count(*) FROM meters").await, "8");
    client.ok("SAVEPOINT a; DELETE FROM meters").await;
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "0");
    client.ok("ROLLBACK TO a").await;
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "5");
    assert_eq!(client.ok("COMMIT").await, "COMMIT");
    assert_eq!(other.ok("SELECT count(*) FROM meters").await, "5");
    client.ok("BEGIN; DELETE FROM meters; ROLLBACK").await;
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "5");
    // All statements of one message are one transaction.
    assert_eq!(
        client.fails("DELETE FROM meters; DELETE FROM nothing").await,
        ErrorKind::UndefinedTable
    );
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "5");
    client.ok("BEGIN READ ONLY").await;
    assert_eq!(
        client.fails("INSERT INTO d3 VALUES (now(), 1, 2, 'x')").await,
        ErrorKind::ReadOnlyTransaction
    );
    client.ok("ROLLBACK").await;
}

#[tokio::test]
async fn rows_for_a_table_that_was_dropped_are_refused_at_commit() {
    let server = Server::start();
    let mut client = server.connect();
    let mut other = server.connect();
    meters(&mut client).await;
    client
        .ok("BEGIN; INSERT INTO d3 VALUES ('2024-05-01 00:00:00+00', 1, 2, 'x')")
        .await;
    client.ok("SAVEPOINT a").await; // the row is held now
    other.ok("DROP TABLE d3").await;
    assert_eq!(client.fails("COMMIT").await, ErrorKind::SerializationFailure);
    assert_eq!(client.session.transaction_status(), TransactionStatus::Idle);
    client
        .ok("BEGIN; INSERT INTO d2 VALUES ('2024-05-02 00:00:00+00', 1, 2, 'x'); SAVEPOINT a")
        .await;
    other.ok("DROP STABLE meters").await;
    assert_eq!(client.fails("COMMIT").await, ErrorKind::UndefinedTable);
    // A session that drops what it wrote itself has nothing left to write.
    meters(&mut client).await;
    client
        .ok("BEGIN; INSERT INTO d3 VALUES ('2024-05-01 00:00:00+00', 1, 2, 'x'); DROP TABLE d3; COMMIT")
        .await;
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "8");
    client
        .ok("BEGIN; DELETE FROM meters WHERE voltage = 220; DROP STABLE meters; COMMIT")
        .await;
    assert_eq!(client.ok("SHOW STABLES").await, "");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let server = Server::start();
    let mut client = server.connect();
    meters(&mut client).await;
    client
        .ok("DELETE FROM d1 WHERE voltage = 221; UPDATE d2 SET voltage = 0")
        .await;
    drop(client);
    let server = server.restart().await;
    let mut client = server.connect();
    assert_eq!(client.ok("SELECT count(*), sum(voltage) FROM meters").await, "7|665");
    client.ok("CHECKPOINT; VACUUM").await;
    drop(client);
    let server = server.restart().await;
    let mut client = server.connect();
    assert_eq!(client.ok("SELECT count(*), sum(voltage) FROM meters").await, "7|665");
}

#[tokio::test]
async fn copy_goes_in_and_out() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ok("CREATE TABLE t (id int, ts timestamptz, v double precision)")
        .await;
    let data = b"id,ts,v\n1,2024-05-01 00:00:00+00,1.5\n2,2024-05-01 00:01:00+00,\n";
    assert_eq!(
        client
            .copy("COPY t FROM STDIN WITH (FORMAT csv, HEADER)", data)
            .await
            .unwrap(),
        "COPY 2"
    );
    assert_eq!(client.ok("COPY t (id, v) TO STDOUT").await, "1|1.5\n2|");
    assert_eq!(
        client
            .ok("COPY (SELECT max(id) FROM t) TO STDOUT WITH CSV HEADER")
            .await,
        "2"
    );
    assert_eq!(
        client.fails("COPY t FROM '/etc/passwd'").await,
        ErrorKind::InsufficientPrivilege
    );
    // Columns keep the order they were declared in.
    client
        .ok("INSERT INTO t VALUES (3, '2024-05-01 00:02:00+00', 2.5)")
        .await;
    assert_eq!(client.ok("SELECT id FROM t ORDER BY ts DESC LIMIT 1").await, "3");
}

#[tokio::test]
async fn prepared_statements_follow_the_catalog() {
    let server = Server::start();
    let mut client = server.connect();
    meters(&mut client).await;
    client
        .ok("PREPARE p (int) AS SELECT count(*) FROM meters WHERE voltage > $1")
        .await;
    assert_eq!(client.ok("EXECUTE p (221)").await, "4");
    assert_eq!(client.ok("EXECUTE p ('220')").await, "6");
    assert_eq!(client.fails("EXECUTE p").await, ErrorKind::SyntaxError);
    client.ok("PREPARE q AS SELECT * FROM d1 LIMIT 1").await;
    client.ok("EXECUTE q").await;
    client.ok("ALTER TABLE meters ADD COLUMN temperature real").await;
    assert_eq!(client.ok("EXECUTE p (221)").await, "4");
    assert_eq!(client.fails("EXECUTE q").await, ErrorKind::CannotChangePlan);
    assert_eq!(
        client.fails("PREPARE p AS SELECT 1").await,
        ErrorKind::DuplicatePreparedStatement
    );
    client.ok("DEALLOCATE p").await;
    assert_eq!(client.fails("EXECUTE p (1)").await, ErrorKind::InvalidSqlStatementName);
    client
        .ok("DEALLOCATE ALL; PREPARE i AS INSERT INTO d3 VALUES ($1, $2, $3, $4)")
        .await;
    client.ok("EXECUTE i ('2024-05-01 00:00:00+00', 1.5, 2, NULL)").await;
    assert_eq!(client.ok("SELECT voltage FROM d3").await, "2");
}
