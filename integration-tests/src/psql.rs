//! psql as a person uses it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::Server;

/// psql against a server; each `run` is one invocation reading a script.
pub struct Psql {
    port: u16,
    database: String,
}

impl Psql {
    pub fn new(server: &Server, database: &str) -> Psql {
        Psql::at(server.port(), database)
    }

    /// Against whatever listens there.
    pub fn at(port: u16, database: &str) -> Psql {
        Psql {
            port,
            database: database.to_owned(),
        }
    }

    /// What psql prints, results and errors as they come, for a script on its standard input. Unaligned, tuples only.
    pub fn run(&self, script: &str) -> String {
        let output = self.invoke(&["--no-align", "--tuples-only"], script);
        text(&output.stdout) + &text(&output.stderr)
    }

    /// As a person sees it: aligned, with headers.
    pub fn show(&self, script: &str) -> String {
        let output = self.invoke(&[], script);
        text(&output.stdout) + &text(&output.stderr)
    }

    /// As `run`, for a script that must not fail.
    pub fn ok(&self, script: &str) -> String {
        let output = self.invoke(&["--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"], script);
        assert!(
            output.status.success(),
            "psql failed on:\n{script}\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn invoke(&self, flags: &[&str], script: &str) -> Output {
        let mut psql = Command::new("psql")
            .args(["--no-psqlrc", "--host", "127.0.0.1", "--username", "postgres"])
            .args(["--port", &self.port.to_string(), "--dbname", &self.database])
            .args(flags)
            .env("PAGER", "cat")
            .env("PGTZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql is installed: run the tests by `make test`");
        let mut input = psql.stdin.take().expect("its input is piped");
        // The reader may stop early (ON_ERROR_STOP), which is its own business.
        let _ = input.write_all(script.as_bytes());
        drop(input);
        psql.wait_with_output().expect("psql ends")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
