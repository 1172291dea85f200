//! pgbench runs: its built-in select-only script and one of ours, in each of its protocol modes, without one failed transaction.

use std::path::PathBuf;
use std::process::Command;

use integration_tests::{Psql, Server};

/// In the newest PostgreSQL that is installed.
fn pgbench() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin/pgbench"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop()
}

fn script(name: &str) -> String {
    format!("{}/pgbench/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn built_in_and_custom_scripts_run_in_every_mode() {
    let Some(pgbench) = pgbench() else {
        eprintln!("skipped: there is no pgbench under /usr/lib/postgresql");
        return;
    };
    let server = Server::start();
    let tables = std::fs::read_to_string(script("tables.sql")).expect("the script is there");
    Psql::new(&server, "postgres").ok(&tables);
    let devices = script("devices.sql");
    for work in [vec!["--builtin=select-only"], vec!["--file", &devices]] {
        for mode in ["simple", "extended", "prepared"] {
            let output = Command::new(&pgbench)
                .args([
                    "--host=127.0.0.1",
                    "--username=postgres",
                    "--no-vacuum",
                    "--client=4",
                    "--transactions=50",
                ])
                .args(["--protocol", mode, "--port", &server.port().to_string()])
                .args(&work)
                .arg("postgres")
                .output()
                .expect("pgbench runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && text.contains("number of transactions actually processed: 200/200"),
                "{work:?} in mode {mode}:\n{text}"
            );
        }
    }
}
