//! PostgreSQL itself, where it is installed: what is said of it in tests is asked of it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A cluster of its own on a free port; stopped when dropped. Everybody may log in as `postgres`.
pub struct Postgres {
    directory: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// `None`, and a line that says so, where PostgreSQL 15 or newer is not installed.
    pub fn start() -> Option<Postgres> {
        let Some(programs) = programs() else {
            eprintln!("left out: there is no PostgreSQL 15 or newer under /usr/lib/postgresql");
            return None;
        };
        let directory = TempDir::new().expect("a temporary directory");
        // The cluster belongs to another user when we are root, whom PostgreSQL refuses.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).expect("our own directory");
        let port = free_port();
        let postgres = Postgres {
            directory,
            programs,
            port,
        };
        postgres.run(
            "initdb",
            &[
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ],
        );
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c timezone=UTC -c log_timezone=UTC"
        );
        postgres.run(
            "pg_ctl",
            &["--wait", "--silent", "--log=/dev/null", "--options", &options, "start"],
        );
        Some(postgres)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// One of PostgreSQL's programs on this cluster.
    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
                command.arg(self.programs.join(program));
                command
            }
            false => Command::new(self.programs.join(program)),
        };
        let status = command
            .arg("--pgdata")
            .arg(self.directory.path().join("cluster"))
            .args(arguments)
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .status()
            .expect("PostgreSQL's programs run");
        assert!(status.success(), "{program} failed");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["--silent", "--mode=immediate", "stop"]);
        if is_root() {
            // What belongs to the other user, while it is still ours to remove.
            let _ = std::fs::remove_dir_all(self.directory.path().join("cluster"));
        }
    }
}

/// Where the newest PostgreSQL's programs are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| *version >= 15)
        .max()?;
    let programs = Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin");
    programs.join("initdb").exists().then_some(programs)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}
