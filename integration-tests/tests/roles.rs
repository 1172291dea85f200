//! Who gets in and what they may do: logins by password, rule and certificate, and every kind of statement by every path for roles with
//! different grants. Not one unexpected pass.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use integration_tests::Server;
use integration_tests::server::binary;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

async fn connect(server: &Server, user: &str, password: &str, database: &str) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.port()).user(user).dbname(database);
    if !password.is_empty() {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn refused(server: &Server, user: &str, password: &str, database: &str) -> String {
    let error = match connect(server, user, password, database).await {
        Ok(_) => return "let in".into(),
        Err(error) => error,
    };
    match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => error.to_string(),
    }
}

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

const SETUP: &str = "
    CREATE STABLE meters (ts TIMESTAMP, v INT) TAGS (location VARCHAR(64));
    INSERT INTO d1 USING meters TAGS ('here') VALUES ('2026-01-01', 1) d2 USING meters TAGS ('there') VALUES ('2026-01-01', 2);
    CREATE TABLE plain (ts timestamptz PRIMARY KEY, v int);
    INSERT INTO plain VALUES ('2026-01-01', 1);
    CREATE TABLE sink (ts timestamptz PRIMARY KEY, v int);
    CREATE VIEW seen WITH (security_invoker) AS SELECT ts, v, location FROM meters;
    CREATE VIEW seen_again WITH (security_invoker) AS SELECT max(v) AS v FROM seen;
    CREATE ROLE owner SUPERUSER;
    CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE editor; CREATE ROLE blind; CREATE ROLE of_one; CREATE ROLE of_plain;
    CREATE ROLE member IN ROLE reader; CREATE ROLE all_reader IN ROLE pg_read_all_data;
    CREATE ROLE all_writer IN ROLE pg_write_all_data; CREATE ROLE nobody;
    GRANT SELECT ON seen, seen_again TO PUBLIC;
    GRANT SELECT ON meters TO reader; GRANT INSERT ON meters TO writer; GRANT SELECT, UPDATE, DELETE, TRUNCATE ON meters TO editor;
    GRANT UPDATE, DELETE ON TABLE meters TO blind; GRANT SELECT, INSERT ON d1 TO of_one;
    GRANT INSERT, SELECT, UPDATE, DELETE ON plain TO of_plain;
    GRANT INSERT, SELECT ON sink TO PUBLIC;
";

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

fn is_denied(error: &Error) -> bool {
    error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

/// What came of a statement: done, denied, or an error that the test does not expect.
fn outcome(result: Result<(), Error>) -> Result<bool, String> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if is_denied(&error) => Ok(false),
        Err(error) => Err(format!("{error:?}")),
    }
}

async fn extended(client: &Client, sql: &str) -> Result<(), Error> {
    let statement = client.prepare(sql).await?;
    client.query(&statement, &[]).await.map(|_| ())
}

async fn copy_in(client: &Client, sql: &str) -> Result<(), Error> {
    let sink = client.copy_in::<_, Bytes>(sql).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"2026-01-03\t5\n")).await?;
    sink.finish().await.map(|_| ())
}

async fn copy_out(client: &Client, sql: &str) -> Result<(), Error> {
    let stream = client.copy_out(sql).await?;
    let mut stream = std::pin::pin!(stream);
    while let Some(bytes) = stream.next().await {
        bytes?;
    }
    Ok(())
}

/// A session of postgres that acts as a role.
async fn acting_as(server: &Server, role: &str) -> Client {
    let client = server.connect("postgres").await;
    let act = format!("SET SESSION AUTHORIZATION {role}");
    client.batch_execute(&act).await.unwrap();
    client
}

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

#[tokio::test]
async fn who_cannot_prove_who_they_are_is_not_let_in() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    // Nobody has a password yet: this machine is trusted, but a role must exist and may have to log in.
    admin
        .batch_execute("CREATE ROLE nologin; CREATE USER early")
        .await
        .unwrap();
    assert_eq!(refused(&server, "early", "", "postgres").await, "let in");
    assert_eq!(
        refused(&server, "nologin", "", "postgres").await,
        "28000: role \"nologin\" is not permitted to log in"
    );
    assert_eq!(
        refused(&server, "eve", "", "postgres").await,
        "28000: role \"eve\" does not exist"
    );
    admin
        .batch_execute(
            "CREATE USER ada PASSWORD 'geheim' CONNECTION LIMIT 1; CREATE USER late PASSWORD 'geheim' VALID UNTIL '2020-01-01';
             CREATE DATABASE closed; REVOKE CONNECT ON DATABASE closed FROM PUBLIC; ALTER ROLE ada SET timezone = 'Asia/Tokyo'",
        )
        .await
        .unwrap();
    let first = connect(&server, "ada", "geheim", "postgres").await.unwrap();
    let row = first
        .query_one("SELECT current_user::text, current_setting('TimeZone')", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("ada", "Asia/Tokyo"));
    assert_eq!(
        refused(&server, "ada", "geheim", "postgres").await,
        "53300: too many connections for role \"ada\""
    );
    // Wrong, unknown, expired and without a password are told alike.
    for (user, password) in [("ada", "falsch"), ("eve", "geheim"), ("late", "geheim"), ("early", "x")] {
        let told = refused(&server, user, password, "postgres").await;
        assert_eq!(
            told,
            format!("28P01: password authentication failed for user \"{user}\"")
        );
    }
    // The first superuser is not locked out while it has no password.
    assert_eq!(refused(&server, "postgres", "", "postgres").await, "let in");
    admin
        .batch_execute("ALTER ROLE postgres PASSWORD 'start'; ALTER ROLE ada CONNECTION LIMIT -1")
        .await
        .unwrap();
    assert_eq!(
        refused(&server, "postgres", "x", "postgres").await,
        "28P01: password authentication failed for user \"postgres\""
    );
    assert_eq!(refused(&server, "postgres", "start", "postgres").await, "let in");
    assert_eq!(
        refused(&server, "ada", "geheim", "closed").await,
        "42501: permission denied for database \"closed\""
    );
    admin.batch_execute("ALTER ROLE ada RENAME TO ida").await.unwrap();
    assert_eq!(refused(&server, "ida", "geheim", "postgres").await, "let in");
}

#[tokio::test]
async fn passwords_and_grants_survive_a_kill_and_stand_nowhere_in_clear() {
    let mut server = Server::start();
    let admin = server.connect("postgres").await;
    admin.batch_execute(SETUP).await.unwrap();
    admin
        .batch_execute("CREATE USER ada PASSWORD 'planted-secret-1'; GRANT reader TO ada; ALTER ROLE postgres PASSWORD 'planted-secret-2'")
        .await
        .unwrap();
    let verifier = admin
        .query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'ada'", &[])
        .await
        .unwrap();
    assert!(verifier.get::<_, &str>(0).starts_with("SCRAM-SHA-256$4096:"));
    drop(admin);
    server.kill_and_start_again();
    let client = connect(&server, "ada", "planted-secret-1", "postgres").await.unwrap();
    assert_eq!(client.query("SELECT v FROM meters", &[]).await.unwrap().len(), 2);
    assert!(is_denied(
        &client.batch_execute("SELECT v FROM plain").await.unwrap_err()
    ));
    server.stop();
    let mut pending = vec![server.directory().to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(14).any(|window| window == b"planted-secret");
            assert!(!found, "{} has a password in it", path.display());
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/tls")
        .join(name)
}

/// psql with these variables; what it prints.
fn psql(server: &Server, user: &str, variables: &[(&str, &str)], script: &str) -> String {
    let mut psql = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--no-password",
            "--no-align",
            "--tuples-only",
            "--host",
            "localhost",
        ])
        .args([
            "--port",
            &server.port().to_string(),
            "--username",
            user,
            "--dbname",
            "postgres",
        ])
        .env("PGHOSTADDR", "127.0.0.1")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql is installed: run the tests by `make test`");
    let mut input = psql.stdin.take().expect("its input is piped");
    let _ = input.write_all(script.as_bytes());
    drop(input);
    let output = psql.wait_with_output().expect("psql ends");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[tokio::test]
async fn rules_and_certificates_decide_who_gets_in() {
    let files = tempfile::tempdir().unwrap();
    let at = |name: &str| files.path().join(name);
    std::fs::copy(fixture("first.crt"), at("server.crt")).unwrap();
    std::fs::copy(fixture("first.key"), at("server.key")).unwrap();
    let settings = format!(
        "tls_certificate = {:?}\ntls_key = {:?}\naudit_log = {:?}\n
         [[authentication]]\nuser = \"postgres\"\naddress = \"loopback\"\nmethod = \"trust\"\n
         [[authentication]]\nuser = \"banned\"\nmethod = \"reject\"\n
         [[authentication]]\ntype = \"hostssl\"\nuser = \"+fleet\"\nmethod = \"scram-sha-256\"\n
         [[authentication]]\ntype = \"hostnossl\"\nuser = \"plainly\"\nmethod = \"scram-sha-256\"\n",
        at("server.crt"),
        at("server.key"),
        at("audit")
    );
    std::fs::write(at("taos.toml"), settings).unwrap();
    let server = Server::start_with(&["--config", at("taos.toml").to_str().unwrap()]);
    let admin = server.connect("postgres").await;
    admin
        .batch_execute(
            "CREATE ROLE fleet; CREATE USER ada IN ROLE fleet PASSWORD 'geheim'; CREATE USER plainly PASSWORD 'geheim';
             CREATE USER banned IN ROLE fleet PASSWORD 'geheim'; CREATE USER other PASSWORD 'geheim'",
        )
        .await
        .unwrap();
    let first = fixture("first.crt");
    let first = first.to_str().unwrap();
    let who = "SELECT current_user";
    // user, sslmode, channel_binding, password, whether let in
    for (user, mode, binding, password, expected) in [
        ("ada", "require", "prefer", "geheim", "ada"),
        ("ada", "require", "require", "geheim", "ada"),
        ("ada", "require", "disable", "geheim", "ada"),
        ("ada", "verify-full", "require", "geheim", "ada"),
        ("ada", "prefer", "prefer", "geheim", "ada"),
        (
            "ada",
            "require",
            "prefer",
            "falsch",
            "password authentication failed for user \"ada\"",
        ),
        ("ada", "disable", "prefer", "geheim", "no authentication rule"),
        ("plainly", "disable", "prefer", "geheim", "plainly"),
        ("plainly", "disable", "require", "geheim", "channel binding"),
        ("plainly", "require", "prefer", "geheim", "no authentication rule"),
        (
            "banned",
            "require",
            "prefer",
            "geheim",
            "an authentication rule rejects",
        ),
        ("other", "require", "prefer", "geheim", "no authentication rule"),
        ("eve", "require", "prefer", "geheim", "no authentication rule"),
        ("postgres", "require", "prefer", "", "postgres"),
    ] {
        let variables = [
            ("PGSSLMODE", mode),
            ("PGCHANNELBINDING", binding),
            ("PGPASSWORD", password),
            ("PGSSLROOTCERT", first),
        ];
        let told = psql(&server, user, &variables, who);
        assert!(told.contains(expected), "{user} {mode} {binding}: {told}");
        assert!(
            told == user || told.contains("FATAL") || told.contains("channel binding"),
            "{user} {mode} {binding}: {told}"
        );
    }
    // A renewed certificate is taken up without a restart.
    let second = fixture("second.crt");
    let verify = |root: &str| {
        let variables = [
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", root),
            ("PGPASSWORD", "geheim"),
        ];
        psql(&server, "ada", &variables, who)
    };
    assert_eq!(verify(first), "ada");
    std::fs::copy(fixture("second.crt"), at("server.crt")).unwrap();
    std::fs::copy(fixture("second.key"), at("server.key")).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while verify(second.to_str().unwrap()) != "ada" {
        assert!(
            std::time::Instant::now() < deadline,
            "the new certificate is never used"
        );
    }
    assert_ne!(verify(first), "ada");
    // Rules are read again when somebody asks; rules that cannot be read leave those that are there.
    let settings = std::fs::read_to_string(at("taos.toml")).unwrap();
    let encrypted = [("PGSSLMODE", "require"), ("PGPASSWORD", "geheim")];
    let let_in = |expected: bool| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while (psql(&server, "other", &encrypted, who) == "other") != expected {
            assert!(std::time::Instant::now() < deadline, "the rules are never read again");
        }
    };
    let opened = format!("{settings}\n[[authentication]]\nuser = \"other\"\nmethod = \"scram-sha-256\"\n");
    std::fs::write(at("taos.toml"), &opened).unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let_in(true);
    std::fs::write(at("taos.toml"), "no settings at all").unwrap();
    server.hang_up();
    while !server.log().contains("authentication rules stay as they were") {
        std::thread::yield_now();
    }
    let_in(true);
    std::fs::write(at("taos.toml"), &settings).unwrap();
    server.hang_up();
    let_in(false);
    let denied = psql(
        &server,
        "ada",
        &[("PGSSLMODE", "require"), ("PGPASSWORD", "geheim")],
        "SELECT pg_reload_conf()",
    );
    assert!(
        denied.contains("permission denied for function pg_reload_conf"),
        "{denied}"
    );
    // What PostgreSQL says beside the message of a login that fails is said, too.
    admin
        .batch_execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        .await
        .unwrap();
    let told = psql(
        &server,
        "ada",
        &[("PGSSLMODE", "require"), ("PGPASSWORD", "geheim")],
        who,
    );
    assert!(
        told.contains("DETAIL:  User does not have CONNECT privilege."),
        "{told}"
    );
    let audit = std::fs::read_to_string(at("audit")).unwrap();
    for (part, count) in [
        ("\"class\":\"login\"", 15),
        ("CREATE USER ada", 1),
        ("password authentication failed", 1),
    ] {
        assert!(audit.matches(part).count() >= count, "{part} in:\n{audit}");
    }
    assert!(!audit.contains("geheim"), "{audit}");
}

#[test]
fn init_makes_a_data_directory_with_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let run = |password: &str| {
        std::fs::write(at("password"), password).unwrap();
        let mut init = Command::new(binary());
        init.args(["init", "--data-dir"])
            .arg(at("data"))
            .arg("--password-file")
            .arg(at("password"));
        let output = init.stdin(Stdio::null()).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    let (done, told) = run("\n");
    assert!(!done && told.contains("is empty"), "{told}");
    let (done, told) = run("geheim\n");
    assert!(
        done && told.contains("made data directory") && !told.contains("geheim"),
        "{told}"
    );
    let (done, told) = run("anders\n");
    assert!(!done && told.contains("exists but is not empty"), "{told}");
    // Nobody sits there to be asked.
    let mut init = Command::new(binary());
    init.args(["init", "--data-dir"]).arg(at("other")).stdin(Stdio::null());
    let output = init.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("--password-file"));
    // The server asks for it from its first start.
    let mut process = Command::new(binary())
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(at("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    let port = line.trim().rsplit(':').next().unwrap_or_default().to_owned();
    let who = |password: &str| {
        let mut psql = Command::new("psql");
        psql.args([
            "--no-psqlrc",
            "--no-password",
            "--tuples-only",
            "--no-align",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
        ]);
        psql.args(["-p", &port, "-c", "SELECT current_user", "postgres"])
            .env("PGPASSWORD", password);
        let output = psql.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let (wrong, right) = (who("anders"), who("geheim"));
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(wrong.contains("password authentication failed"), "{wrong}");
    assert_eq!(right.trim(), "postgres");
}

#[tokio::test]
async fn views_are_read_with_the_rights_of_their_owners() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin
        .batch_execute(
            "CREATE ROLE owner; CREATE ROLE reader; CREATE ROLE stranger;
             CREATE TABLE m (ts timestamptz, dev text, v float, PRIMARY KEY (dev, ts));
             INSERT INTO m VALUES ('2026-01-01', 'a', 1);
             GRANT SELECT ON m TO owner; GRANT CREATE ON SCHEMA public TO owner;
             SET ROLE owner;
             CREATE VIEW of_owner AS SELECT * FROM m;
             CREATE VIEW of_invoker WITH (security_invoker) AS SELECT * FROM m;
             CREATE VIEW nested AS SELECT * FROM of_owner;
             CREATE VIEW nested_invoker AS SELECT * FROM of_invoker;
             GRANT SELECT ON of_owner, of_invoker, nested, nested_invoker TO reader;
             RESET ROLE",
        )
        .await
        .unwrap();
    // role, statement, whether it may, what it is told otherwise
    let check = async |rows: &[(&str, &str, Option<&str>)]| {
        for (role, sql, denied) in rows {
            let client = acting_as(&server, role).await;
            for path in ["simple", "prepared", "copy"] {
                let answer = match path {
                    "simple" => client.batch_execute(sql).await,
                    "prepared" => extended(&client, sql).await,
                    _ => copy_out(&client, &format!("COPY ({sql}) TO STDOUT")).await,
                };
                let told = answer
                    .err()
                    .and_then(|error| error.as_db_error().map(|error| error.message().to_owned()));
                assert_eq!(told.as_deref(), *denied, "{role} {path} {sql}");
            }
        }
    };
    check(&[
        ("reader", "SELECT * FROM of_owner", None),
        ("reader", "SELECT * FROM nested", None),
        // As PostgreSQL: inside of a view of the owner, the owner is the invoker.
        ("reader", "SELECT * FROM nested_invoker", None),
        (
            "reader",
            "SELECT * FROM of_invoker",
            Some("permission denied for table m"),
        ),
        ("reader", "SELECT * FROM m", Some("permission denied for table m")),
        ("reader", "SELECT (SELECT max(v) FROM of_owner)", None),
        (
            "reader",
            "SELECT * FROM of_owner o JOIN m ON o.ts = m.ts",
            Some("permission denied for table m"),
        ),
        (
            "stranger",
            "SELECT * FROM of_owner",
            Some("permission denied for view of_owner"),
        ),
        (
            "stranger",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM nested)",
            Some("permission denied for view nested"),
        ),
        ("pg_read_all_data", "SELECT * FROM of_invoker", None),
    ])
    .await;
    // The owner loses the right, and with it who reads its views; a new owner brings its own.
    admin.batch_execute("REVOKE SELECT ON m FROM owner").await.unwrap();
    check(&[(
        "reader",
        "SELECT * FROM of_owner",
        Some("permission denied for table m"),
    )])
    .await;
    admin
        .batch_execute("ALTER VIEW of_owner OWNER TO postgres")
        .await
        .unwrap();
    check(&[("reader", "SELECT * FROM of_owner", None)]).await;
    admin
        .batch_execute("ALTER VIEW of_owner SET (security_invoker = true)")
        .await
        .unwrap();
    check(&[(
        "reader",
        "SELECT * FROM of_owner",
        Some("permission denied for table m"),
    )])
    .await;
    let client = acting_as(&server, "reader").await;
    let error = client.batch_execute("DROP VIEW nested").await.unwrap_err();
    assert_eq!(
        error.as_db_error().map(|error| error.message()),
        Some("must be owner of view nested")
    );
}

#[test]
fn a_server_without_a_password_listens_to_this_machine_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut taospg = Command::new(binary());
    taospg
        .args(["--listen", "0.0.0.0:0", "--data-dir"])
        .arg(directory.path());
    let output = taospg.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("taospg: refusing to listen on 0.0.0.0:"), "{told}");
    assert!(last.contains("TAOS_PASSWORD"), "{told}");
    // With a password it listens, and the password is kept.
    let mut process = taospg
        .env("TAOS_PASSWORD", "start")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert!(line.starts_with("listening on 0.0.0.0:"), "{line}");
    process.kill().unwrap();
    process.wait().unwrap();
    let mut process = Command::new(binary())
        .args(["--listen", "0.0.0.0:0", "--data-dir"])
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    line.clear();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(line.starts_with("listening on 0.0.0.0:"), "{line}");
}
