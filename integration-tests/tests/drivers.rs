//! Unmodified drivers do what `scenario.yaml` says, each by its runner in `drivers/`, and what only they have.
//!
//! With TAOSPG_PROVE=1 (`make prove`) every runner goes against PostgreSQL too, which has to do all of it without a mark. Otherwise one does.
//! What this machine lacks is left out, and said on the standard error even when the test passes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use integration_tests::{Postgres, Server, tools};
use tempfile::NamedTempFile;

/// Says it whether or not the test passes.
fn say(line: &str) {
    // Nobody may be listening, which is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The scenario's steps as JSON, for runners in every language.
fn steps() -> &'static Path {
    static STEPS: OnceLock<NamedTempFile> = OnceLock::new();
    STEPS
        .get_or_init(|| {
            let output = python("scenario.py").output().expect("Python runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let mut file = NamedTempFile::new().expect("a temporary file");
            file.write_all(&output.stdout).expect("it takes the steps");
            file
        })
        .path()
}

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers")
}

fn python(script: &str) -> Command {
    let mut command = Command::new(tools().join("python/bin/python"));
    command.arg("-B").arg(drivers().join("python").join(script));
    command
}

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg("--no-deprecation")
        .arg(drivers().join("node").join(script))
        .env("NODE_PATH", tools().join("node/node_modules"));
    command
}

/// The runner against Taospg, and where it is to be proved against PostgreSQL. `present` is what the machine has to have for it.
fn scenario(present: &Path, prove: bool, command: impl Fn() -> Command, further: &[&str]) {
    if !present.exists() {
        return say(&format!(
            "skipped: {} is not there, so neither is its runtime",
            present.display()
        ));
    }
    let server = Server::start();
    run(command(), server.port(), "taospg", further);
    if (prove || std::env::var_os("TAOSPG_PROVE").is_some())
        && let Some(postgres) = Postgres::start()
    {
        run(command(), postgres.port(), "postgres", further);
    }
}

fn run(mut command: Command, port: u16, server: &str, further: &[&str]) {
    let output = command
        .arg(port.to_string())
        .arg(server)
        .arg(steps())
        .args(further)
        .output()
        .expect("the runner starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "against {server}:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in text.lines().filter(|line| line.ends_with(" not")) {
        say(&format!("{server}: {line}"));
    }
}

#[test]
fn psycopg() {
    scenario(&tools().join("python"), true, || python("run_psycopg.py"), &[]);
}

#[test]
fn psycopg2() {
    scenario(&tools().join("python"), false, || python("run_psycopg2.py"), &[]);
}

#[test]
fn asyncpg() {
    scenario(&tools().join("python"), false, || python("run_asyncpg.py"), &[]);
}

#[test]
fn sqlalchemy_and_alembic() {
    for dialect in ["postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"] {
        scenario(
            &tools().join("python"),
            false,
            || python("run_sqlalchemy.py"),
            &[dialect],
        );
    }
}

#[test]
fn pandas() {
    scenario(&tools().join("python"), false, || python("run_pandas.py"), &[]);
}

#[test]
fn odbc() {
    let libraries = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let driver = libraries
        .map(|entry| entry.path().join("odbc/psqlodbcw.so"))
        .find(|path| path.exists())
        .unwrap_or_else(|| "/usr/lib/odbc/psqlodbcw.so".into());
    let command = || {
        let mut command = python("run_odbc.py");
        command.env("ODBC_DRIVER", &driver);
        command
    };
    scenario(&driver, false, command, &[]);
}

#[test]
fn node_postgres() {
    scenario(&tools().join("node"), false, || node("run_pg.js"), &[]);
}

#[test]
fn postgres_js() {
    scenario(&tools().join("node"), false, || node("run_postgresjs.js"), &[]);
}

#[test]
fn jdbc() {
    let jars = tools().join("java");
    let command = || {
        let mut command = Command::new("java");
        command
            .arg("-cp")
            .arg(format!("{0}/*:{0}", jars.display()))
            .arg("RunJdbc");
        command
    };
    scenario(&jars, false, command, &[]);
}

/// A runner that has several drivers in it.
fn compiled(runner: &Path, driver: &str) {
    let command = || {
        let mut command = Command::new(runner);
        command.arg(driver);
        command
    };
    scenario(runner, false, command, &[]);
}

#[test]
fn pgx() {
    compiled(&tools().join("go/runner"), "pgx");
}

#[test]
fn lib_pq() {
    compiled(&tools().join("go/runner"), "pq");
}

#[test]
fn tokio_postgres() {
    compiled(&tools().join("rust/release/taospg-driver-tests"), "tokio-postgres");
}

#[test]
fn sqlx() {
    compiled(&tools().join("rust/release/taospg-driver-tests"), "sqlx");
}
