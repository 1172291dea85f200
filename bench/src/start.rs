//! Starts the programs of systems, each over a directory of its own and on a free port of this machine.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::wire::Address;

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn postgres_at(port: u16) -> Address {
    Address {
        host: "127.0.0.1".into(),
        port,
        user: "postgres".into(),
        password: None,
    }
}

/// Taospg as delivered.
pub fn taospg(binary: &Path, directory: &Path) -> Result<(Child, Address)> {
    let log = directory.with_extension("log");
    let mut process = Command::new(binary)
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log)?)
        .spawn()
        .map_err(|error| format!("{}: {error}", binary.display()))?;
    let mut output = BufReader::new(process.stdout.take().ok_or("its output is piped")?);
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line)? == 0 {
            let _ = process.wait();
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("taospg ended before it listened: {said}").into());
        }
        if let Some(address) = line.trim().strip_prefix("listening on ") {
            let port = address.rsplit(':').next().unwrap_or_default().parse()?;
            // Keep reading, so that the server never blocks on a full pipe.
            std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
            return Ok((process, postgres_at(port)));
        }
    }
}

/// PostgreSQL's programs: the newest version's.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()?;
    let programs = PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"));
    programs.join("postgres").exists().then_some(programs)
}

/// Room to sort and cache, as its manual advises for a machine with memory to spare; durability as delivered.
const POSTGRES_SETTINGS: [&str; 4] = [
    "shared_buffers=2GB",
    "max_wal_size=8GB",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
];

/// PostgreSQL with these libraries.
pub fn postgresql(directory: &Path, libraries: &[&str]) -> Result<(Child, Address)> {
    let programs = postgres_programs().ok_or("not under /usr/lib/postgresql")?;
    for library in libraries {
        let version = programs
            .parent()
            .and_then(Path::file_name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let control = format!("/usr/share/postgresql/{version}/extension/{library}.control");
        if !Path::new(&control).exists() {
            return Err(format!("{control} is not there").into());
        }
    }
    std::fs::create_dir_all(directory)?;
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(directory).status()?;
        if !owned.success() {
            return Err("there is no account postgres to run it".into());
        }
    }
    let data = directory.join("data");
    let initialised = as_postgres(&programs.join("initdb"))
        .args([
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--pgdata",
        ])
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !initialised.success() {
        return Err("initdb failed".into());
    }
    let port = free_port()?;
    let mut server = as_postgres(&programs.join("postgres"));
    server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    for setting in POSTGRES_SETTINGS {
        server.args(["-c", setting]);
    }
    if !libraries.is_empty() {
        server.args(["-c", &format!("shared_preload_libraries={}", libraries.join(","))]);
    }
    let mut process = server.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // The port is open before the server takes anybody in.
    loop {
        let is_ready = Command::new(programs.join("pg_isready"))
            .args(["--quiet", "--host=127.0.0.1", &format!("--port={port}")])
            .status()?;
        if is_ready.success() {
            return Ok((process, postgres_at(port)));
        }
        if process.try_wait()?.is_some() {
            return Err("it ended while it started".into());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Commits wait for the disk, and nothing is served but PostgreSQL's protocol. The rest as delivered.
const QUESTDB_SETTINGS: [(&str, &str); 6] = [
    ("QDB_CAIRO_COMMIT_MODE", "sync"),
    ("QDB_HTTP_ENABLED", "false"),
    ("QDB_HTTP_MIN_ENABLED", "false"),
    ("QDB_LINE_TCP_ENABLED", "false"),
    ("QDB_TELEMETRY_ENABLED", "false"),
    ("QDB_METRICS_ENABLED", "false"),
];

/// QuestDB from its jar, by the Java that is installed.
pub fn questdb(jar: &Path, directory: &Path) -> Result<(Child, Address)> {
    if !jar.exists() {
        return Err(format!("{} is not there (make bench-peers)", jar.display()).into());
    }
    std::fs::create_dir_all(directory)?;
    let port = free_port()?;
    let log = std::fs::File::create(directory.with_extension("log"))?;
    let mut process = Command::new("java")
        .args(["-XX:+UseParallelGC", "-cp"])
        .arg(jar)
        .args(["io.questdb.ServerMain", "-d"])
        .arg(directory)
        .envs(QUESTDB_SETTINGS)
        .env("QDB_PG_NET_BIND_TO", format!("127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .map_err(|error| format!("java: {error}"))?;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if process.try_wait()?.is_some() {
            return Err("it ended while it started".into());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    let address = Address {
        host: "127.0.0.1".into(),
        port,
        user: "admin".into(),
        password: Some("quest".into()),
    };
    Ok((process, address))
}

/// How often to see whether a server that starts is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                .arg(program);
            command
        }
        false => Command::new(program),
    };
    command.current_dir("/");
    command
}
