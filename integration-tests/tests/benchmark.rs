//! The benchmark client against a server: what it loads is what it generated, whatever the way and the order, and its questions are answered. How
//! fast is not asked here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration_tests::Server;
use serde_json::Value;

/// The client's binary, built beside the server's.
fn client() -> PathBuf {
    let client = integration_tests::server::binary().with_file_name("taospg-bench");
    assert!(
        client.exists(),
        "{} is missing: build the whole workspace",
        client.display()
    );
    client
}

fn run(arguments: &[&str]) -> Output {
    Command::new(client())
        .args(arguments)
        .output()
        .expect("the client runs")
}

/// Runs the client against `port` and returns what it measured.
fn measured(directory: &Path, port: u16, arguments: &[&str]) -> Value {
    let json = directory.join("measured.json");
    let url = format!("postgres://postgres@127.0.0.1:{port}");
    let mut all = arguments.to_vec();
    let file = json.to_string_lossy();
    all.extend(["--url", &url, "--json", &file]);
    let output = run(&all);
    assert!(
        output.status.success(),
        "taospg-bench {all:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&json).expect("it wrote what it measured");
    serde_json::from_str(&text).expect("it is JSON")
}

#[tokio::test]
async fn every_way_loads_every_row_once() {
    let server = Server::start();
    let ways = ["copy-text", "copy-binary", "insert", "prepared", "single"];
    for (number, way) in ways.into_iter().enumerate() {
        let database = format!("bench_{number}");
        let measured = measured(
            server.directory(),
            server.port(),
            &[
                "load",
                "--way",
                way,
                "--devices",
                "30",
                "--rows",
                "900",
                "--unit-rows",
                "100",
                "--connections",
                "3",
                "--database",
                &database,
            ],
        );
        let figures = &measured["figures"];
        assert_eq!(figures["rows"], 900, "{way}");
        assert_eq!(
            figures["acknowledged"]["count"], 9,
            "{way}: three units of 100 rows on each of three connections"
        );
        let client = server.connect(&database).await;
        let row = client
            .query_one("SELECT count(*), count(DISTINCT tbname) FROM cpu", &[])
            .await
            .expect("the rows can be counted");
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (900, 30), "{way}");
    }
}

#[tokio::test]
async fn late_rows_and_rows_sent_twice_end_where_they_belong() {
    let server = Server::start();
    for (number, data) in ["cpu-only", "devops", "iot", "meters", "tsm"].into_iter().enumerate() {
        let database = format!("bench_{number}");
        let disorder = ["--late", "50", "--lateness", "1", "--twice", "10"];
        let mut arguments = vec![
            "load",
            "--data",
            data,
            "--devices",
            "20",
            "--rows",
            "600",
            "--database",
            &database,
        ];
        arguments.extend(disorder);
        // The client compares counts and sums with what it generated before it says that it has loaded.
        let measured = measured(server.directory(), server.port(), &arguments);
        let rows = measured["figures"]["rows"].as_u64().expect("a number of rows");
        let sent = measured["figures"]["sent_rows"].as_u64().expect("a number of rows");
        assert!(sent > rows, "{data}: {sent} sent, {rows} there");
    }
}

#[tokio::test]
async fn rows_bring_the_tags_of_devices_that_are_new() {
    let server = Server::start();
    for (number, way) in ["copy-text", "copy-binary", "insert", "prepared"]
        .into_iter()
        .enumerate()
    {
        let database = format!("bench_{number}");
        measured(
            server.directory(),
            server.port(),
            &[
                "load",
                "--data",
                "iot",
                "--way",
                way,
                "--devices",
                "20",
                "--rows",
                "200",
                "--tags-in-rows",
                "--database",
                &database,
            ],
        );
        let client = server.connect(&database).await;
        let row = client
            .query_one(
                "SELECT count(*) FROM (SELECT DISTINCT tbname FROM readings WHERE fleet IN ('East', 'West', 'North', 'South') AND load_capacity >= 1500) t",
                &[],
            )
            .await
            .expect("tags can be asked for");
        assert_eq!(row.get::<_, i64>(0), 20, "{way}");
    }
}

#[tokio::test]
async fn all_questions_are_answered_simple_and_prepared() {
    let server = Server::start();
    for (data, hours) in [("cpu-only", "2"), ("iot", "2"), ("meters", "0.2"), ("tsm", "1")] {
        for protocol in ["simple", "prepared"] {
            let database = format!("bench_{}_{protocol}", data.replace('-', "_"));
            let measured = measured(
                server.directory(),
                server.port(),
                &[
                    "query",
                    "--load",
                    "--data",
                    data,
                    "--devices",
                    "10",
                    "--hours",
                    hours,
                    "--database",
                    &database,
                    "--protocol",
                    protocol,
                    "--clients",
                    "2",
                    "--count",
                    "2",
                ],
            );
            let reports = measured.as_array().expect("a list of questions");
            assert!(reports.len() >= 5, "{data}");
            for report in reports {
                assert_eq!(report["problem"], Value::Null, "{data} {protocol} {}", report["query"]);
                assert!(report["figures"]["latency"]["count"].as_u64() >= Some(2));
            }
        }
    }
}

#[tokio::test]
async fn a_mixture_loads_behind_what_is_there_while_it_asks() {
    let server = Server::start();
    let measured = measured(
        server.directory(),
        server.port(),
        &[
            "mixed",
            "--devices",
            "50",
            "--rows",
            "5000",
            "--way",
            "insert",
            "--unit-rows",
            "50",
            "--row-rate",
            "2000",
            "--query-rate",
            "20",
            "--seconds",
            "1",
            "--queries",
            "newest-row,single-groupby-1-1-1",
        ],
    );
    let added = measured["rows"].as_i64().expect("a number of rows");
    assert_eq!(added, 2_000, "as many units as were due");
    assert_eq!(measured["latency"]["count"], 20, "as many questions as were due");
    let client = server.connect("bench").await;
    let row = client
        .query_one("SELECT count(*) FROM cpu", &[])
        .await
        .expect("the rows can be counted");
    assert_eq!(row.get::<_, i64>(0), 5_000 + added);
}

/// The gate records a baseline, finds nothing slower than a generous margin, and fails over one that cannot be kept.
#[tokio::test]
async fn the_gate_compares_with_what_it_recorded() {
    let server = Server::start();
    let directory = server.directory();
    let binary = integration_tests::server::binary();
    let baseline = directory.join("baseline.json");
    let gate = |more: &[&str]| {
        let mut arguments = vec![
            "gate",
            "--scale",
            "0.005",
            "--server",
            binary.to_str().expect("a plain path"),
        ];
        arguments.extend([
            "--baseline",
            baseline.to_str().expect("a plain path"),
            "--work",
            directory.to_str().expect("a plain path"),
        ]);
        arguments.extend(more);
        run(&arguments)
    };
    let recorded = gate(&["--record"]);
    assert!(
        recorded.status.success(),
        "{}",
        String::from_utf8_lossy(&recorded.stderr)
    );
    let compared = gate(&["--margin", "1000"]);
    assert!(
        compared.status.success(),
        "{}",
        String::from_utf8_lossy(&compared.stderr)
    );
    let missed = gate(&["--margin=-1"]);
    assert!(!missed.status.success());
    assert!(String::from_utf8_lossy(&missed.stderr).contains("slower than the baseline"));
}

/// The same questions to every system that is installed: the client itself compares their answers, and fails where one is wrong.
#[tokio::test]
async fn systems_agree_about_the_answers() {
    let binary = integration_tests::server::binary();
    let python = integration_tests::tools().join("peers/bin/python");
    let output = run(&[
        "run",
        "--markdown",
        "--server",
        binary.to_str().expect("a plain path"),
        "--python",
        python.to_str().expect("a plain path"),
        "--hosts",
        "20",
        "--rows",
        "2000",
        "--seconds",
        "0.01",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = String::from_utf8_lossy(&output.stdout);
    assert!(tables.contains("| Taospg | double-groupby-all |"), "{tables}");
    for system in ["PostgreSQL", "TimescaleDB", "DuckDB", "ClickHouse"] {
        let is_measured = tables.contains(&format!("| {system} | breakdown-frequency |"));
        let is_left_out = tables.contains(&format!("Left out: {system}: "));
        assert!(is_measured != is_left_out, "{system}: {tables}");
    }
}

/// A fleet's server is started again and killed; what was acknowledged is found, or the client says that it is not.
#[tokio::test]
async fn a_fleet_is_found_again_after_a_restart_and_after_a_kill() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let json = directory.path().join("fleet.json");
    let path = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let output = run(&[
        "fleet",
        "--devices",
        "300",
        "--rows",
        "60000",
        "--seconds",
        "0.01",
        "--server",
        &path(&integration_tests::server::binary()),
        "--work",
        &path(directory.path()),
        "--json",
        &path(&json),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value =
        serde_json::from_str(&std::fs::read_to_string(&json).expect("it wrote what it measured")).expect("it is JSON");
    assert_eq!(figures["restart"]["found_rows"], 60_000);
    assert!(figures["recovery"]["found_rows"].as_u64() >= Some(30_000));
    assert!(figures["memory"]["started_over_devices"].as_u64() > Some(0));
}
