//! TSBS, TimescaleDB's benchmark, runs unmodified: its loader makes a hypertable and its table of tags and fills them, its queries give the rows
//! that PostgreSQL gives, where PostgreSQL is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use integration_tests::{Postgres, Psql, Server, tools};
use serde_json::Value;
use tempfile::TempDir;

/// Every query of the use case `cpu-only`.
const QUERIES: &[&str] = &[
    "single-groupby-1-1-1",
    "single-groupby-1-1-12",
    "single-groupby-1-8-1",
    "single-groupby-5-1-1",
    "single-groupby-5-1-12",
    "single-groupby-5-8-1",
    "cpu-max-all-1",
    "cpu-max-all-8",
    "double-groupby-1",
    "double-groupby-5",
    "double-groupby-all",
    "high-cpu-all",
    "high-cpu-1",
    "lastpoint",
    "groupby-orderby-limit",
];

/// What data and queries are made from: ten hosts, thirteen hours, a row a minute each.
const SIMULATION: &[&str] = &[
    "--use-case=cpu-only",
    "--seed=123",
    "--scale=10",
    "--timestamp-start=2016-01-01T00:00:00Z",
    "--timestamp-end=2016-01-01T13:00:00Z",
    "--format=timescaledb",
];
const ROWS: &str = "7800";

fn tsbs(program: &str) -> Command {
    Command::new(tools().join("tsbs").join(program))
}

/// What the program prints, into a file.
fn write(file: &Path, mut command: Command) {
    let output = command.stderr(Stdio::piped()).output().expect("TSBS runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(file, output.stdout).expect("a temporary file");
}

fn load(port: u16, database: &str, data: &Path, further: &[&str]) {
    let output = tsbs("tsbs_load_timescaledb")
        .args([
            "--host=127.0.0.1",
            "--user=postgres",
            "--postgres=sslmode=disable",
            "--workers=2",
            "--reporting-period=0",
        ])
        .args([
            format!("--port={port}"),
            format!("--db-name={database}"),
            format!("--file={}", data.display()),
        ])
        .args(further)
        .output()
        .expect("TSBS runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains(&format!("loaded {ROWS} rows")),
        "{text}"
    );
}

/// The answers to the queries of a file. Numbers of tags depend on which host came first; rows without an order may come in any.
fn answers(port: u16, queries: &Path) -> Vec<Vec<String>> {
    let output = tsbs("tsbs_run_queries_timescaledb")
        .args([
            "--hosts=127.0.0.1",
            "--user=postgres",
            "--postgres=sslmode=disable",
            "--db-name=benchmark",
            "--workers=1",
        ])
        .args([
            "--print-responses",
            &format!("--port={port}"),
            &format!("--file={}", queries.display()),
        ])
        .output()
        .expect("TSBS runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Figures of the run follow the answers.
    let answers = text.split("\nRun complete").next().unwrap_or_default();
    let answers = serde_json::Deserializer::from_str(answers).into_iter::<Value>();
    let rows = |answer: Value| {
        let ordered = answer["query"].as_str().is_some_and(|query| query.contains("ORDER BY"));
        let mut rows: Vec<String> = Vec::new();
        for row in answer["results"].as_array().expect("a list of rows") {
            let mut row = row.clone();
            let columns = row.as_object_mut().expect("a row");
            columns.remove("tags_id");
            columns.remove("id");
            rows.push(row.to_string());
        }
        if !ordered {
            rows.sort();
        }
        rows
    };
    answers.map(|answer| rows(answer.expect("JSON"))).collect()
}

#[test]
fn its_loader_fills_a_hypertable_and_its_queries_answer_as_postgresql() {
    if !tools().join("tsbs").exists() {
        eprintln!("skipped: TSBS is not installed, because there is no Go");
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    let mut generate = tsbs("tsbs_generate_data");
    generate.args(SIMULATION).arg("--log-interval=60s");
    write(&data, generate);

    let server = Server::start();
    load(server.port(), "benchmark", &data, &[]);
    let shown = Psql::new(&server, "benchmark").ok("SHOW CREATE TABLE cpu;");
    assert!(shown.contains("TAGS (tags_id integer)"), "{shown}");
    // The host's name in the table itself, named as the column to divide by, rows as INSERTs of lib/pq.
    let apart = ["--in-table-partition-tag", "--partitions=1", "--force-text-format"];
    load(server.port(), "apart", &data, &apart);
    let shown = Psql::new(&server, "apart").ok("SHOW CREATE TABLE cpu; SELECT count(*) FROM cpu;");
    assert!(
        shown.contains("TAGS (hostname text)") && shown.contains(ROWS),
        "{shown}"
    );

    let postgres = Postgres::start();
    if let Some(postgres) = &postgres {
        load(postgres.port(), "benchmark", &data, &["--use-hypertable=false"]);
        Psql::at(postgres.port(), "benchmark").ok(
            "CREATE FUNCTION time_bucket(interval, timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE
             AS $$SELECT date_bin($1, $2, '2000-01-03')$$",
        );
    }
    for query in QUERIES {
        let file = directory.path().join(query);
        let mut generate = tsbs("tsbs_generate_queries");
        generate
            .args(SIMULATION)
            .args(["--queries=3", &format!("--query-type={query}")]);
        write(&file, generate);
        let ours = answers(server.port(), &file);
        assert_eq!(ours.len(), 3, "{query}");
        // Which hosts are asked about is drawn anew; few of them are ever that busy.
        let may_be_empty = query.starts_with("high-cpu-1");
        assert!(
            may_be_empty || ours.iter().any(|rows| !rows.is_empty()),
            "{query} finds nothing"
        );
        if let Some(postgres) = &postgres {
            assert_eq!(ours, answers(postgres.port(), &file), "{query}");
        }
    }
}
