//! psql's backslash commands over a database with supertables, child tables, plain tables and comments: none fails, and what they show is true.

use std::process::{Command, Stdio};

use integration_tests::{Psql, Server};

const TABLES: &str = "
    CREATE STABLE meters (ts TIMESTAMP, current REAL, voltage INTEGER NOT NULL, phase DOUBLE DEFAULT 0.5)
        TAGS (location VARCHAR(64), group_id INTEGER);
    CREATE TABLE d1001 USING meters TAGS ('California', 2);
    CREATE TABLE d1002 USING meters TAGS ('Oregon', 3);
    CREATE TABLE notes (ts TIMESTAMPTZ, body TEXT, amount NUMERIC(10, 2), document JSONB);
    CREATE TABLE \"Mixed Case\" (\"When\" TIMESTAMPTZ, \"Value\" DOUBLE PRECISION);
    COMMENT ON TABLE meters IS 'electricity meters';
    COMMENT ON COLUMN meters.voltage IS 'in volts';
    INSERT INTO d1001 (ts, current, voltage) VALUES ('2026-01-01', 1.5, 220), ('2026-01-02', 1.6, 221);
";

/// Every command of psql 15 that asks the server, with the variants that send other statements.
const COMMANDS: &[&str] = &[
    r"\d",
    r"\d+",
    r"\dS",
    r"\dS+",
    r"\d meters",
    r"\d+ meters",
    r"\d d1001",
    r"\d+ d1001",
    r"\d d100*",
    r"\d notes",
    r"\d+ notes",
    r#"\d "Mixed Case""#,
    r"\d meters_pkey",
    r"\d+ meters_pkey",
    r"\d d1001_pkey",
    r"\d pg_class",
    r"\d+ pg_class",
    r"\d+ pg_tables",
    r"\d information_schema.tables",
    r"\da",
    r"\daS",
    r"\dA",
    r"\dA+",
    r"\dAc",
    r"\dAc+",
    r"\dAf",
    r"\dAf+",
    r"\dAo",
    r"\dAo+",
    r"\dAp",
    r"\dAp+",
    r"\db",
    r"\db+",
    r"\dc",
    r"\dc+",
    r"\dcS",
    r"\dC",
    r"\dC+",
    r"\dconfig",
    r"\dconfig+ search_path",
    r"\dconfig+ *",
    r"\dd",
    r"\ddS",
    r"\dD",
    r"\dD+",
    r"\dDS",
    r"\ddp",
    r"\dE",
    r"\dE+",
    r"\des",
    r"\des+",
    r"\det",
    r"\det+",
    r"\deu",
    r"\deu+",
    r"\dew",
    r"\dew+",
    r"\df",
    r"\df+",
    r"\dfS",
    r"\dfS+",
    r"\dfa",
    r"\dfn",
    r"\dfp",
    r"\dft",
    r"\dfw",
    r"\df time_bucket",
    r"\df pg_catalog.abs integer",
    r"\dF",
    r"\dF+",
    r"\dFd",
    r"\dFd+",
    r"\dFp",
    r"\dFp+",
    r"\dFt",
    r"\dFt+",
    r"\dg",
    r"\dg+",
    r"\di",
    r"\di+",
    r"\diS",
    r"\dl",
    r"\dl+",
    r"\dL",
    r"\dL+",
    r"\dLS",
    r"\dm",
    r"\dm+",
    r"\dn",
    r"\dn+",
    r"\dnS+",
    r"\do",
    r"\doS",
    r"\doS+",
    r"\do pg_catalog.|| text text",
    r"\dO",
    r"\dO+",
    r"\dOS",
    r"\dp",
    r"\dp meters",
    r"\dP",
    r"\dP+",
    r"\dPi",
    r"\dPt",
    r"\dPn",
    r"\drds",
    r"\dRp",
    r"\dRp+",
    r"\dRs",
    r"\dRs+",
    r"\ds",
    r"\ds+",
    r"\dt",
    r"\dt+",
    r"\dtS",
    r"\dt public.*",
    r"\dt *.*",
    r"\dT",
    r"\dT+",
    r"\dTS",
    r"\dTS+",
    r"\dT int4",
    r"\du",
    r"\du+",
    r"\dv",
    r"\dv+",
    r"\dvS",
    r"\dx",
    r"\dx+",
    r"\dX",
    r"\dX+",
    r"\dy",
    r"\dy+",
    r"\l",
    r"\l+",
    r"\l weather",
    r"\z",
    r"\z meters",
    r"\sf pg_catalog.pg_table_size",
    r"\sf+ pg_catalog.pg_table_size",
    r"\conninfo",
    r"\encoding",
    r"\c weather",
    r"SELECT now() AS at, 1.5::numeric(4, 1) AS n, 'meters'::regclass AS name \gdesc",
    r"SELECT 'SELECT 1' \gexec",
    r"SELECT 1 AS one \gset",
    r"\crosstabview",
    r"SELECT 'a' AS x, 'b' AS y, 1 AS z \crosstabview",
    "\\set FETCH_COUNT 0\nSELECT 1;",
    r"\copy meters (tbname, ts, voltage) TO STDOUT",
    r"SELECT tbname, ts FROM meters ORDER BY ts \g",
    r"\timing on",
];

fn weather(server: &Server) -> Psql {
    Psql::new(server, "postgres").ok("CREATE DATABASE weather;");
    let psql = Psql::new(server, "weather");
    psql.ok(TABLES);
    psql
}

#[test]
fn no_command_fails() {
    let server = Server::start();
    let psql = weather(&server);
    let mut failures = Vec::new();
    for command in COMMANDS {
        let shown = psql.show(&format!("{command}\n"));
        // What crosstabview says without a result, and nothing else, is psql's own.
        let failed = shown
            .lines()
            .any(|line| line.contains("ERROR") || line.contains("server closed"));
        if failed {
            failures.push(format!("{command}\n{shown}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(!server.log().contains("ERROR"), "the server logs no errors of its own");
}

#[test]
fn a_supertable_is_described_with_its_key_its_children_and_its_comments() {
    let server = Server::start();
    let psql = weather(&server);
    let described = psql.show("\\d+ meters\n");
    for expected in [
        r#"Table "public.meters""#,
        " ts       | timestamp with time zone |           | not null |         | plain ",
        " location | character varying(64) ",
        " phase    | double precision         |           |          | 0.5     | plain ",
        "| in volts",
        r#"    "meters_pkey" PRIMARY KEY, btree (location, group_id, ts)"#,
        "Child tables: d1001,\n              d1002\n",
    ] {
        assert!(described.contains(expected), "{expected} is missing in\n{described}");
    }
    let child = psql.show("\\d d1001\n");
    for expected in [r#""d1001_pkey" PRIMARY KEY, btree (ts)"#, "Inherits: meters\n"] {
        assert!(child.contains(expected), "{expected} is missing in\n{child}");
    }
    assert!(!child.contains("location"), "tags belong to the supertable:\n{child}");
}

#[test]
fn lists_are_true() {
    let server = Server::start();
    let psql = weather(&server);
    assert_eq!(
        psql.ok("\\dt\n"),
        "public|Mixed Case|table|postgres\npublic|meters|table|postgres\npublic|notes|table|postgres\n"
    );
    assert_eq!(
        psql.ok("\\di\n"),
        "public|Mixed Case_pkey|index|postgres|Mixed Case\npublic|meters_pkey|index|postgres|meters\n\
         public|notes_pkey|index|postgres|notes\n"
    );
    assert!(
        !psql.run("\\dv\n\\dm\n\\ds\n\\dE\n\\dT\n").contains('|'),
        "there are none of these"
    );
    assert!(
        psql.ok("\\df time_bucket\n")
            .starts_with("public|time_bucket|timestamp with time zone|interval, ")
    );
    assert_eq!(
        psql.ok("\\df pg_catalog.pg_table_size\n"),
        "pg_catalog|pg_table_size|bigint|regclass|func\n"
    );
    assert!(psql.ok("\\dx\n").starts_with("taospg|"));
    assert!(psql.ok("\\dt+\n").contains("|electricity meters\n"));
    assert!(
        psql.ok("\\dd\n").is_empty(),
        "comments on tables are shown by \\d+ alone"
    );
    assert_eq!(psql.ok("\\dn\n"), "public|postgres\n");
}

#[test]
fn sizes_grow_with_the_data_and_survive_a_flush() {
    let server = Server::start();
    let psql = weather(&server);
    let size = |expression: &str| -> i64 {
        let answer = psql.ok(&format!("SELECT {expression};\n"));
        answer.trim().parse().expect("a size is a number")
    };
    assert_eq!(size("pg_table_size('notes')"), 0);
    let before = size("pg_total_relation_size('meters')");
    psql.ok(
        "INSERT INTO d1002 (ts, current, voltage) SELECT to_timestamp(1767225600 + n), sin(n), n
             FROM generate_series(1, 20000) AS n;",
    );
    let in_memory = size("pg_relation_size('d1002')");
    assert!(in_memory > 100_000, "20,000 rows in memory take {in_memory} bytes");
    assert!(size("pg_total_relation_size('meters')") >= before + in_memory);
    psql.ok("CHECKPOINT;");
    let in_files = size("pg_relation_size('d1002')");
    assert!(
        in_files > 10_000 && in_files < in_memory,
        "in files they take {in_files} bytes"
    );
    assert!(size("pg_database_size('weather')") > in_files);
    assert_eq!(size("pg_indexes_size('meters')"), 0);
    assert_eq!(
        psql.ok("SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'meters';"),
        "20002\n"
    );
}

#[test]
fn pg_dump_of_the_schema_works_or_says_why_not_in_one_sentence() {
    let server = Server::start();
    weather(&server);
    let dump = Command::new("pg_dump")
        .args(["--schema-only", "--host", "127.0.0.1", "--username", "postgres"])
        .args(["--port", &server.port().to_string(), "weather"])
        .stdin(Stdio::null())
        .output()
        .expect("pg_dump is installed beside psql");
    let errors = String::from_utf8_lossy(&dump.stderr);
    if !dump.status.success() {
        assert_eq!(
            errors.lines().filter(|line| line.contains("ERROR")).count(),
            1,
            "{errors}"
        );
    }
}
