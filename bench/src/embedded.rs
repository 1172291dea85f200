//! DuckDB and ClickHouse, each inside a Python process that `peers/embedded.py` runs: one JSON object a line, question and answer in turn.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;

const RUNNER: &str = include_str!("../peers/embedded.py");

pub struct Embedded {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Embedded {
    /// Whether this Python has the library.
    pub fn is_installed(python: &Path, module: &str) -> bool {
        Command::new(python)
            .args(["-c", &format!("import {module}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    pub fn start(python: &Path, system: &str, directory: PathBuf) -> Result<Embedded> {
        std::fs::create_dir_all(&directory)?;
        let mut process = Command::new(python)
            .args(["-u", "-c", RUNNER, system])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("the runner has no input")?;
        let output = process.stdout.take().ok_or("the runner has no output")?;
        Ok(Embedded {
            process,
            input,
            output: BufReader::new(output),
        })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn call(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.input, "{request}")?;
        self.input.flush()?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the Python runner ended".into());
        }
        let mut answer: Value = serde_json::from_str(&line)?;
        match answer.get_mut("error") {
            Some(error) => Err(format!("{}", error.take()).into()),
            None => Ok(answer),
        }
    }

    /// A new, empty database of this name, which all that follows is about.
    pub fn open(&mut self, database: &str) -> Result<()> {
        self.call(&json!({"do": "open", "database": database}))?;
        Ok(())
    }

    pub fn execute(&mut self, sql: &str) -> Result<Duration> {
        let answer = self.call(&json!({"do": "execute", "sql": sql}))?;
        Ok(seconds_of(&answer))
    }

    /// Asks and takes the answer as Arrow data: rows and time.
    pub fn ask(&mut self, sql: &str) -> Result<(u64, Duration)> {
        let answer = self.call(&json!({"do": "ask", "sql": sql}))?;
        Ok((answer["rows"].as_u64().unwrap_or(0), seconds_of(&answer)))
    }

    pub fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let answer = self.call(&json!({"do": "rows", "sql": sql}))?;
        Ok(serde_json::from_value(answer["rows"].clone())?)
    }
}

fn seconds_of(answer: &Value) -> Duration {
    Duration::from_secs_f64(answer["seconds"].as_f64().unwrap_or(0.0))
}
