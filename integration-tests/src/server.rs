//! Starting, killing and stopping the server.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// A running server; killed when dropped.
pub struct Server {
    directory: TempDir,
    process: Child,
    port: u16,
    arguments: Vec<String>,
}

impl Server {
    /// Starts one with an empty data directory.
    pub fn start() -> Server {
        Server::start_with(&[])
    }

    /// Starts one with further flags.
    pub fn start_with(arguments: &[&str]) -> Server {
        let directory = TempDir::new().expect("a temporary directory");
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
        let (process, port) = spawn(directory.path(), &arguments);
        Server {
            directory,
            process,
            port,
            arguments,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A directory for the test's own files, removed with the server.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// kill -9: the process has no chance to write anything more.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// SIGTERM, then waits for the end; returns the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(status.success(), "the server is still there to be stopped");
        self.process.wait().expect("the server ends").code()
    }

    /// SIGHUP: what can be read again is.
    pub fn hang_up(&self) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs");
        assert!(status.success(), "the server is still there to be told");
    }

    /// Starts on the same data; the port is a new one.
    pub fn start_again(&mut self) {
        let (process, port) = spawn(self.directory.path(), &self.arguments);
        self.process = process;
        self.port = port;
    }

    pub fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// `host=… port=… user=postgres dbname=…`
    pub fn dsn(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port)
    }

    /// A connection; its driver task ends with it.
    pub async fn connect(&self, database: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.dsn(database), NoTls)
            .await
            .expect("the server accepts connections");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
        }
    }
}

/// Starts the binary and waits until it says where it listens.
fn spawn(directory: &Path, arguments: &[String]) -> (Child, u16) {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join("log"))
        .expect("a log file");
    let mut process = Command::new(binary())
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.join("data"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the server starts");
    let Some(port) = port_of(&mut process) else {
        let _ = process.wait();
        let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
        panic!("the server ended before it listened:\n{log}");
    };
    (process, port)
}

/// The port in the line that the server prints once it listens.
fn port_of(process: &mut Child) -> Option<u16> {
    let mut output = BufReader::new(process.stdout.take()?);
    let mut line = String::new();
    while output.read_line(&mut line).ok()? > 0 {
        if let Some(address) = line.trim().strip_prefix("listening on ") {
            // Keep reading, so that the server never blocks on a full pipe.
            std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
            return address.rsplit(':').next()?.parse().ok();
        }
        line.clear();
    }
    None
}

/// The server's binary, built beside the tests.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let target = test
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in target/release/deps");
    let binary = target.join("taospg");
    assert!(
        binary.exists(),
        "{} is missing: cargo build --release --package taospg-server",
        binary.display()
    );
    binary
}

/// Where `make test` puts drivers and their runtimes.
pub fn tools() -> PathBuf {
    let tools = std::env::var_os("TAOSPG_TOOLS").expect("TAOSPG_TOOLS is set: run the tests by `make test`");
    PathBuf::from(tools)
}
