//! The servers that are measured, started for the occasion: Taospg from its binary, PostgreSQL where it is installed.

use std::io::{BufRead, BufReader, Error, Read, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::data::METRICS;

pub struct Target {
    pub name: &'static str,
    pub port: u16,
    pub user: &'static str,
    directory: PathBuf,
    process: Child,
}

impl Drop for Target {
    fn drop(&mut self) {
        // PostgreSQL's immediate shutdown is SIGQUIT; its children would outlive a SIGKILL.
        let _ = Command::new("kill")
            .args(["-QUIT", &self.process.id().to_string()])
            .status();
        if self.name == "Taospg" {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Target {
    pub fn taospg(binary: &Path, directory: PathBuf) -> Result<Target> {
        let mut process = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(process.stdout.take().expect("its output is piped"));
        let mut line = String::new();
        let port = loop {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                return Err(Error::other("taospg ended before it listened"));
            }
            if let Some(port) = line
                .trim()
                .strip_prefix("listening on ")
                .and_then(|address| address.rsplit(':').next())
            {
                break port.parse().map_err(Error::other)?;
            }
        };
        std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
        Ok(Target {
            name: "Taospg",
            port,
            user: "postgres",
            directory,
            process,
        })
    }

    /// `None` where no PostgreSQL server is installed, or no account `postgres` to run it.
    pub fn postgres(directory: PathBuf) -> Result<Option<Target>> {
        let Some(programs) = postgres_programs() else {
            return Ok(None);
        };
        std::fs::create_dir_all(&directory)?;
        let owned = Command::new("chown").arg("postgres").arg(&directory).status()?;
        if !owned.success() {
            return Ok(None);
        }
        let data = directory.join("data");
        let initialised = as_postgres(&programs.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--pgdata"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()?;
        if !initialised.success() {
            return Ok(None);
        }
        let port = free_port()?;
        let process = as_postgres(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            // The settings its manual advises for a machine with memory to spare; durability as delivered.
            .args([
                "-p",
                &port.to_string(),
                "-c",
                "shared_buffers=2GB",
                "-c",
                "max_wal_size=8GB",
                "-c",
                "unix_socket_directories=",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let target = Target {
            name: "PostgreSQL",
            port,
            user: "postgres",
            directory,
            process,
        };
        // The port is open before the server takes anybody in.
        let is_ready = || {
            Command::new(programs.join("pg_isready"))
                .args(["--quiet", "--host=127.0.0.1", &format!("--port={port}")])
                .status()
        };
        while !is_ready()?.success() {
            std::thread::yield_now();
        }
        Ok(Some(target))
    }

    /// Statements that make database objects for the benchmark's rows.
    pub fn create_table(&self) -> String {
        let metrics: Vec<String> = METRICS
            .iter()
            .map(|metric| format!("{metric} double precision"))
            .collect();
        let metrics = metrics.join(", ");
        match self.name {
            "Taospg" => format!("CREATE STABLE cpu (ts TIMESTAMP, {metrics}) TAGS (region TEXT)"),
            _ => format!(
                "CREATE TABLE cpu (tbname text, ts timestamptz, {metrics}); CREATE INDEX ON cpu (tbname, ts DESC)"
            ),
        }
    }

    /// Bytes of stored data, without logs.
    pub fn data_bytes(&self) -> u64 {
        let skip: &[&str] = match self.name {
            "Taospg" => &["wal", "catalog", "tmp"],
            _ => &["pg_wal"],
        };
        directory_bytes(&self.directory, skip)
    }

    /// Resident memory of the process now, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 = line
            .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0);
        kilobytes * 1024
    }
}

fn directory_bytes(directory: &Path, skip: &[&str]) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                let skipped = skip
                    .iter()
                    .any(|name| path.file_name().is_some_and(|file| file == *name));
                if skipped { 0 } else { directory_bytes(&path, skip) }
            } else {
                entry.metadata().map_or(0, |metadata| metadata.len())
            }
        })
        .sum()
}

fn postgres_programs() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    entries
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .find(|bin| bin.join("postgres").exists())
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    command.current_dir("/");
    command
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
