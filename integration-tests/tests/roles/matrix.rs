//! Role by object by statement by path: what is granted is allowed, and nothing else.

use integration_tests::Server;
use tokio_postgres::Client;

use crate::setup::SETUP;
use crate::support::{acting_as, copy_in, copy_out, extended, is_denied, outcome};

/// What a role may do to a thing, as letters of `relacl`.
fn grants(role: &str, table: &str) -> &'static str {
    match (role, table) {
        ("owner", _) => "arwdD",
        ("reader", "meters" | "d1" | "d2") => "r",
        ("writer", "meters" | "d1" | "d2") => "a",
        ("editor", "meters" | "d1" | "d2") => "rwdD",
        ("blind", "meters" | "d1" | "d2") => "wd",
        ("of_one", "d1") => "ra",
        ("of_plain", "plain") => "arwd",
        ("member", "meters" | "d1" | "d2") => "r",
        ("all_reader", _) => "r",
        ("all_writer", _) => "awd",
        _ => "",
    }
}

const ROLES: &[&str] = &[
    "owner",
    "reader",
    "writer",
    "editor",
    "blind",
    "of_one",
    "of_plain",
    "member",
    "all_reader",
    "all_writer",
    "nobody",
];

/// Statements with what they need of `{t}`. Prepared ones run by the extended protocol and by PREPARE too.
const STATEMENTS: &[(&str, &str)] = &[
    ("SELECT count(*) FROM {t}", "r"),
    ("SELECT * FROM {t} WHERE v > 0 ORDER BY ts", "r"),
    ("SELECT max(v), last(v, ts) FROM {t}", "r"),
    ("SELECT (SELECT count(*) FROM {t})", "r"),
    ("SELECT 1 WHERE EXISTS (SELECT 1 FROM {t})", "r"),
    ("WITH q AS (SELECT * FROM {t}) SELECT count(*) FROM q", "r"),
    ("SELECT 1 UNION ALL SELECT v FROM {t}", "r"),
    ("WITH {t} AS (SELECT 1 AS v) SELECT v FROM {t}", ""),
    ("EXPLAIN SELECT * FROM {t}", "r"),
    ("INSERT INTO sink SELECT ts, v FROM {t}", "r"),
    ("INSERT INTO sink VALUES (now(), (SELECT max(v) FROM {t}))", "r"),
    ("INSERT INTO {t} (ts, v) VALUES (now(), 1)", "a"),
    ("INSERT INTO {t} (ts, v) VALUES (now(), 1 + length('x'))", "a"),
    ("INSERT INTO {t} (ts, v) VALUES (now(), 1) ON CONFLICT DO NOTHING", "a"),
    (
        "INSERT INTO {t} (ts, v) VALUES (now(), 1) ON CONFLICT (ts) DO UPDATE SET v = excluded.v",
        "aw",
    ),
    ("INSERT INTO {t} (ts, v) SELECT now(), 1", "a"),
    ("INSERT INTO {t} (ts, v) VALUES (now(), 1) RETURNING v", "ar"),
    (
        "INSERT INTO sink VALUES (now(), 1) RETURNING (SELECT max(v) FROM {t})",
        "r",
    ),
    ("DELETE FROM {t} RETURNING v", "dr"),
    ("DELETE FROM {t}", "d"),
    ("DELETE FROM {t} WHERE v = 1", "dr"),
    ("UPDATE {t} SET v = 7", "w"),
    ("UPDATE {t} SET v = v + 1", "wr"),
    ("UPDATE {t} SET v = 7 WHERE ts < now()", "wr"),
];

/// Those that no client prepares.
const SIMPLE_STATEMENTS: &[(&str, &str)] = &[
    ("TRUNCATE {t}", "D"),
    ("COPY {t} TO STDOUT", "r"),
    ("COPY (SELECT v FROM {t}) TO STDOUT", "r"),
];

/// Those about a table that is there already, of these tables alone: table, statement, needs.
const SPECIAL_STATEMENTS: &[(&str, &str, &str)] = &[
    (
        "meters",
        "INSERT INTO meters (tbname, ts, v, location) VALUES ('d1', now(), 1, 'here')",
        "a",
    ),
    (
        "meters",
        "INSERT INTO d2 USING meters TAGS ('there') VALUES (now(), 1)",
        "a",
    ),
    (
        "meters",
        "SELECT DISTINCT ON (tbname) * FROM meters ORDER BY tbname, ts DESC",
        "r",
    ),
    ("meters", "SELECT DISTINCT location FROM meters", "r"),
    // A view has no rights of its own: who reads it needs those on what it reads.
    ("meters", "SELECT count(*) FROM seen", "r"),
    ("meters", "SELECT (SELECT v FROM seen_again)", "r"),
    ("meters", "INSERT INTO sink SELECT ts, v FROM seen", "r"),
    ("meters", "WITH seen AS (SELECT 1 AS v) SELECT v FROM seen", ""),
    ("meters", "UPDATE meters SET location = 'x' WHERE tbname = 'd1'", "wr"),
    ("d1", "SHOW TAGS FROM d1", "r"),
    ("d1", "SHOW CREATE TABLE d1", "r"),
    ("d1", "SELECT location, tbname FROM d1", "r"),
    ("d1", "ALTER TABLE d1 SET TAG location = 'here'", "w"),
];

struct Matrix<'a> {
    server: &'a Server,
    client: Client,
    role: &'static str,
    checked: usize,
    wrong: Vec<String>,
}

impl Matrix<'_> {
    /// Runs a statement by one path inside a transaction that is taken back.
    async fn check(&mut self, path: &str, table: &str, sql: &str, needs: &str) {
        if path == "copy in" {
            // The driver loses count of its answers when the server refuses a COPY: each has a connection of its own.
            self.client = acting_as(self.server, self.role).await;
        }
        self.client.batch_execute("BEGIN").await.unwrap();
        let result = match path {
            "simple" => self.client.batch_execute(sql).await,
            "extended" => extended(&self.client, sql).await,
            "named" => {
                let script = format!("PREPARE p AS {sql}; EXECUTE p");
                self.client.batch_execute(&script).await
            }
            "copy in" => copy_in(&self.client, sql).await,
            _ => copy_out(&self.client, sql).await,
        };
        if path == "copy in" {
            self.client = acting_as(self.server, self.role).await;
        }
        let ended = self.client.batch_execute("ROLLBACK; DEALLOCATE ALL").await;
        ended.unwrap_or_else(|error| panic!("after {path}: {sql}: {error:?}"));
        let held = grants(self.role, table);
        let expected = needs.chars().all(|need| held.contains(need));
        self.checked += 1;
        if outcome(result) != Ok(expected) {
            let wanted = if expected { "allowed" } else { "denied" };
            self.wrong
                .push(format!("{}, {path}: {sql}: should be {wanted}", self.role));
        }
    }
}

#[tokio::test]
async fn every_path_asks_whether_it_may() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin.batch_execute(SETUP).await.unwrap();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for role in ROLES {
        let mut matrix = Matrix {
            server: &server,
            client: acting_as(&server, role).await,
            role,
            checked: 0,
            wrong: Vec::new(),
        };
        for table in ["meters", "d1", "d2", "plain"] {
            for (sql, needs) in STATEMENTS {
                if *table == *"meters" && sql.starts_with("INSERT INTO {t}") {
                    continue; // rows of a supertable name their table: below
                }
                let sql = sql.replace("{t}", table);
                for path in ["simple", "extended", "named"] {
                    if path == "named" && sql.starts_with("EXPLAIN") {
                        continue;
                    }
                    matrix.check(path, table, &sql, needs).await;
                }
            }
            for (sql, needs) in SIMPLE_STATEMENTS {
                let sql = sql.replace("{t}", table);
                let path = if sql.starts_with("COPY") { "copy out" } else { "simple" };
                matrix.check(path, table, &sql, needs).await;
            }
            if table != "meters" {
                matrix
                    .check("copy in", table, &format!("COPY {table} (ts, v) FROM STDIN"), "a")
                    .await;
            }
        }
        for (table, sql, needs) in SPECIAL_STATEMENTS {
            for path in ["simple", "extended"] {
                matrix.check(path, table, sql, needs).await;
            }
        }
        checked += matrix.checked;
        wrong.extend(matrix.wrong);
    }
    assert!(
        wrong.is_empty(),
        "of {checked}, {} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(checked > 2_000, "{checked}");
}

/// Statements that take more than a grant on a table; none is for a role without rights.
#[tokio::test]
async fn definitions_and_the_server_are_for_owners_and_superusers() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin.batch_execute(SETUP).await.unwrap();
    let client = server.connect("postgres").await;
    client.batch_execute("SET SESSION AUTHORIZATION editor").await.unwrap();
    for sql in [
        "CREATE TABLE x (ts timestamptz PRIMARY KEY, v int)",
        "CREATE STABLE x (ts TIMESTAMP, v INT) TAGS (t INT)",
        "CREATE TABLE d9 USING meters TAGS ('x')",
        "INSERT INTO d9 USING meters TAGS ('x') VALUES (now(), 1)",
        "ALTER TABLE meters ADD COLUMN w int",
        "ALTER TABLE meters RENAME TO x",
        "ALTER TABLE meters OWNER TO editor",
        "DROP TABLE meters",
        "DROP TABLE d1",
        "DROP TABLE plain",
        "CREATE VIEW x AS SELECT 1 AS v",
        "CREATE OR REPLACE VIEW seen AS SELECT ts, v, location FROM meters",
        "DROP VIEW seen_again",
        "COMMENT ON TABLE meters IS 'x'",
        "CREATE DATABASE x",
        "DROP DATABASE postgres",
        "ALTER DATABASE postgres SET (keep = '4000 days')",
        "ALTER DATABASE postgres OWNER TO editor",
        "CHECKPOINT",
        "FLUSH DATABASE postgres",
        "COMPACT DATABASE postgres",
        "VACUUM",
        "CREATE ROLE x",
        "ALTER ROLE nobody PASSWORD 'x'",
        "ALTER ROLE editor SUPERUSER",
        "ALTER ROLE editor CREATEROLE",
        "ALTER ROLE nobody SET timezone = 'UTC'",
        "DROP ROLE nobody",
        "GRANT editor TO nobody",
        "GRANT pg_read_all_data TO editor",
        "GRANT SELECT ON plain TO editor",
        "REASSIGN OWNED BY postgres TO editor",
        "SET ROLE postgres",
        "SET ROLE reader",
        "SELECT * FROM pg_authid",
        "SELECT passwd FROM pg_shadow",
    ] {
        match client.batch_execute(sql).await {
            Err(error) if is_denied(&error) => {}
            other => panic!("{sql}: {other:?}"),
        }
    }
    let tables = admin
        .query("SELECT relname FROM pg_class WHERE relname IN ('meters', 'plain')", &[])
        .await;
    assert_eq!(tables.unwrap().len(), 2);
}

#[tokio::test]
async fn a_prepared_statement_asks_again_each_time() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin.batch_execute(SETUP).await.unwrap();
    let client = server.connect("postgres").await;
    client.batch_execute("SET SESSION AUTHORIZATION editor").await.unwrap();
    let select = client.prepare("SELECT v FROM d1").await.unwrap();
    let insert = client.prepare("INSERT INTO d1 VALUES (now(), $1)").await.unwrap();
    assert_eq!(client.query(&select, &[]).await.unwrap().len(), 1);
    assert!(is_denied(&client.execute(&insert, &[&1]).await.unwrap_err()));
    admin
        .batch_execute("REVOKE SELECT ON meters FROM editor; GRANT INSERT ON d1 TO editor")
        .await
        .unwrap();
    assert!(is_denied(&client.query(&select, &[]).await.unwrap_err()));
    client.execute(&insert, &[&1]).await.unwrap();
    admin
        .batch_execute("GRANT editor TO reader; GRANT reader TO nobody")
        .await
        .unwrap();
    admin
        .batch_execute("REVOKE INSERT ON d1 FROM editor; GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
        .await
        .unwrap();
    assert_eq!(client.query(&select, &[]).await.unwrap().len(), 2);
    assert!(is_denied(&client.execute(&insert, &[&1]).await.unwrap_err()));
}
