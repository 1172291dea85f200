//! A system that is measured: started for the occasion with a directory of its own, or one that runs already. Sessions are its connections.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::data::DataSet;
use crate::dialect::{Dialect, Interface};
use crate::embedded::Embedded;
use crate::process::directory_bytes;
use crate::wire::{Address, Answer, Wire};
use crate::{Result, start};

/// Where the programs are that are started.
#[derive(clap::Args, Clone, Debug)]
pub struct Programs {
    /// The taospg binary that is started
    #[arg(long, value_name = "FILE", default_value = "taospg")]
    pub server: PathBuf,
    /// A Python with the packages duckdb and chdb (`make bench-peers`)
    #[arg(long, value_name = "FILE", default_value = "python3")]
    pub python: PathBuf,
    /// QuestDB's jar (`make bench-peers`)
    #[arg(long, value_name = "FILE", default_value = "questdb.jar")]
    pub questdb: PathBuf,
    /// Where started systems keep their data; removed afterwards
    #[arg(long, value_name = "DIRECTORY")]
    pub work: Option<PathBuf>,
}

/// A system, or why it is left out.
pub enum Started {
    Runs(Box<System>),
    Absent(String),
}

/// How a server ends.
#[derive(Clone, Copy)]
pub enum End {
    Asked,
    Killed,
}

pub struct System {
    pub key: String,
    pub dialect: Dialect,
    place: Place,
    directory: Option<PathBuf>,
    process: Option<Child>,
    /// The process whose use is measured.
    pub pid: Option<u32>,
}

#[derive(Clone)]
enum Place {
    Server(Address),
    Embedded(Arc<Mutex<Embedded>>),
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            if matches!(self.key.as_str(), "postgresql" | "timescaledb") {
                // PostgreSQL's immediate shutdown is SIGQUIT; its children would outlive a SIGKILL.
                let _ = Command::new("kill").args(["-QUIT", &process.id().to_string()]).status();
            } else {
                let _ = process.kill();
            }
            let _ = process.wait();
        }
        if let Place::Embedded(embedded) = &self.place {
            // Files are in use until the process has ended.
            let embedded = embedded.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = Command::new("kill")
                .args(["-KILL", &embedded.pid().to_string()])
                .status();
        }
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl System {
    /// Starts a system with an empty directory below `work`.
    pub fn start(key: &str, programs: &Programs, work: &Path) -> Result<Started> {
        let dialect = Dialect::load(key)?;
        let directory = work.join(key);
        let server = match (dialect.interface, key) {
            (Interface::Embedded, _) => return System::start_embedded(key, dialect, programs, directory),
            (_, "taospg") => start::taospg(&programs.server, &directory),
            (_, "postgresql") => start::postgresql(&directory, &[]),
            (_, "timescaledb") => start::postgresql(&directory, &["timescaledb"]),
            (_, "questdb") => start::questdb(&programs.questdb, &directory),
            _ => Err(format!("{} is not started from here: give its --url", dialect.name).into()),
        };
        Ok(match server {
            Ok((process, address)) => Started::Runs(Box::new(System {
                key: key.to_owned(),
                dialect,
                place: Place::Server(address),
                directory: Some(directory),
                pid: Some(process.id()),
                process: Some(process),
            })),
            Err(error) => Started::Absent(format!("{}: {error}", dialect.name)),
        })
    }

    /// Ends a Taospg that was started from here: as its operator would, or by SIGKILL.
    pub fn end(&mut self, how: End) -> Result<()> {
        let process = self.process.as_mut().ok_or("it was not started from here")?;
        let signal = match how {
            End::Asked => "-TERM",
            End::Killed => "-KILL",
        };
        Command::new("kill")
            .args([signal, &process.id().to_string()])
            .status()?;
        process.wait()?;
        Ok(())
    }

    /// Starts an ended Taospg again over the data that it left; returns when it listens.
    pub fn start_again(&mut self, programs: &Programs) -> Result<()> {
        let directory = self.directory.as_ref().ok_or("it was not started from here")?;
        let (process, address) = start::taospg(&programs.server, directory)?;
        self.pid = Some(process.id());
        self.process = Some(process);
        self.place = Place::Server(address);
        Ok(())
    }

    fn start_embedded(key: &str, dialect: Dialect, programs: &Programs, directory: PathBuf) -> Result<Started> {
        if !Embedded::is_installed(&programs.python, &dialect.module) {
            let (name, module) = (&dialect.name, &dialect.module);
            let reason = format!("{name}: {} has no package {module}", programs.python.display());
            return Ok(Started::Absent(format!("{reason} (make bench-peers)")));
        }
        let embedded = Embedded::start(&programs.python, key, directory.clone())?;
        Ok(Started::Runs(Box::new(System {
            key: key.to_owned(),
            dialect,
            pid: Some(embedded.pid()),
            place: Place::Embedded(Arc::new(Mutex::new(embedded))),
            directory: Some(directory),
            process: None,
        })))
    }

    /// A server that runs already: `postgres://user:password@host:port`. Its process is known only if it is local and told.
    pub fn attach(key: &str, url: &str, pid: Option<u32>) -> Result<System> {
        Ok(System {
            key: key.to_owned(),
            dialect: Dialect::load(key)?,
            place: Place::Server(address_of(url)?),
            directory: None,
            process: None,
            pid,
        })
    }

    pub fn is_embedded(&self) -> bool {
        matches!(self.place, Place::Embedded(_))
    }

    pub async fn session(&self, database: &str) -> Result<Session> {
        Ok(match &self.place {
            Place::Server(address) => Session::Wire(Box::new(Wire::connect(address, database).await?)),
            Place::Embedded(embedded) => Session::Embedded(embedded.clone()),
        })
    }

    pub async fn wire(&self, database: &str) -> Result<Wire> {
        match &self.place {
            Place::Server(address) => Ok(Wire::connect(address, database).await?),
            Place::Embedded(_) => Err(format!("{} takes no connections", self.dialect.name).into()),
        }
    }

    /// Makes an empty database, in place of one of this name that an earlier run left.
    pub async fn create_database(&self, database: &str) -> Result<()> {
        if let Place::Embedded(embedded) = &self.place {
            return embedded.lock().unwrap_or_else(PoisonError::into_inner).open(database);
        }
        if let Some(statement) = self.dialect.create_database(database) {
            let mut session = self.session("postgres").await?;
            session.execute(&statement).await?;
        }
        let mut session = self.session(database).await?;
        for statement in &self.dialect.prepare_database {
            session.execute(statement).await?;
        }
        Ok(())
    }

    /// A database that is not needed any more makes room for the next; where there is only one, its tables do.
    pub async fn drop_database(&self, database: &str, set: &DataSet) -> Result<()> {
        if self.is_embedded() {
            return Ok(());
        }
        if self.dialect.create_database(database).is_none() {
            let mut session = self.session(database).await?;
            for statement in self.dialect.drop_tables(set) {
                session.execute(&statement).await?;
            }
            return Ok(());
        }
        let mut session = self.session("postgres").await?;
        let deadline = Instant::now() + CONNECTIONS_END_WITHIN;
        loop {
            match session.execute(&format!("DROP DATABASE {database}")).await {
                Err(error) if error.to_string().starts_with("55006") && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    pub async fn version(&self) -> Result<String> {
        if let Place::Embedded(embedded) = &self.place {
            embedded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .open("version")?;
        }
        let mut session = self.session("postgres").await?;
        let rows = session.rows(&self.dialect.version).await?;
        let cell = rows.into_iter().flatten().flatten().next();
        Ok(cell.unwrap_or_else(|| "unknown".into()))
    }

    /// Bytes of all files, and of those that hold data; `None` where the files are not known.
    pub fn disk_bytes(&self) -> Option<(u64, u64)> {
        let directory = self.directory.as_ref()?;
        Some(directory_bytes(directory, &self.dialect.logs))
    }

    /// A place for files that the system reads.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        let directory = self
            .directory
            .as_ref()
            .ok_or("a system that runs elsewhere reads no files of ours")?;
        Ok(directory.join(name))
    }
}

/// A server may see the end of a connection some time after the client has closed it.
const CONNECTIONS_END_WITHIN: Duration = Duration::from_secs(10);

/// A connection, or the embedded system itself.
pub enum Session {
    Wire(Box<Wire>),
    Embedded(Arc<Mutex<Embedded>>),
}

fn with<T>(embedded: &Mutex<Embedded>, work: impl FnOnce(&mut Embedded) -> Result<T>) -> Result<T> {
    tokio::task::block_in_place(|| work(&mut embedded.lock().unwrap_or_else(PoisonError::into_inner)))
}

impl Session {
    /// Runs one statement; how long it took.
    pub async fn execute(&mut self, sql: &str) -> Result<Duration> {
        let context = |error: crate::Error| -> crate::Error { format!("{error}; in {:.300}", sql).into() };
        match self {
            Session::Wire(wire) => {
                let start = Instant::now();
                wire.query(sql).await.map_err(|error| context(error.into()))?;
                Ok(start.elapsed())
            }
            Session::Embedded(embedded) => with(embedded, |embedded| embedded.execute(sql)).map_err(context),
        }
    }

    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let context = |error: crate::Error| -> crate::Error { format!("{error}; in {:.300}", sql).into() };
        match self {
            Session::Wire(wire) => wire.rows(sql).await.map_err(|error| context(error.into())),
            Session::Embedded(embedded) => with(embedded, |embedded| embedded.rows(sql)).map_err(context),
        }
    }

    /// Sends ready messages, or asks the embedded system; the answer's rows and the time it took.
    pub async fn ask(&mut self, sql: &str, messages: &[u8]) -> Result<(Answer, Duration)> {
        match self {
            Session::Wire(wire) => {
                let start = Instant::now();
                let answer = wire.send(messages).await?;
                Ok((answer, start.elapsed()))
            }
            Session::Embedded(embedded) => {
                let (rows, time) = with(embedded, |embedded| embedded.ask(sql))?;
                Ok((Answer { rows, bytes: 0 }, time))
            }
        }
    }
}

/// `postgres://user:password@host:port`, all but the host optional.
fn address_of(url: &str) -> Result<Address> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or_else(|| format!("\"{url}\" is no postgres:// URL"))?
        .trim_end_matches('/');
    let (who, place) = rest.rsplit_once('@').unwrap_or(("postgres", rest));
    let (user, password) = match who.split_once(':') {
        Some((user, password)) => (user, Some(password.to_owned())),
        None => (who, None),
    };
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "5432"));
    Ok(Address {
        host: host.to_owned(),
        port: port.parse().map_err(|_| format!("\"{port}\" in {url} is no port"))?,
        user: user.to_owned(),
        password,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_who_and_where() {
        let address = address_of("postgres://admin:quest@10.0.0.1:8812/").expect("a whole URL");
        assert_eq!((address.host.as_str(), address.port), ("10.0.0.1", 8812));
        assert_eq!(
            (address.user.as_str(), address.password.as_deref()),
            ("admin", Some("quest"))
        );
        let address = address_of("postgresql://localhost").expect("the rest has defaults");
        assert_eq!((address.user.as_str(), address.port), ("postgres", 5432));
        assert!(address_of("localhost:5432").is_err());
    }
}
