//! Settings of the server: flags over environment over `taos.toml` over defaults.
//!
//! Each setting is one field of [`Settings`], spelled the same in the file, in the environment (`TAOS_LISTEN`) and in docs/configuration.md.
//! A key that is none of them is an error, so that a slip of the pen does not pass for a setting.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use config::{Config, ConfigError, Environment, File, FileFormat};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use taospg_query::DatabaseOptions;

use crate::authentication::rules::Rule;

const ENVIRONMENT_PREFIX: &str = "TAOS";
const PASSWORD_VARIABLE: &str = "TAOS_PASSWORD";
const MEBIBYTE: u64 = 1024 * 1024;
const DAY_MS: i64 = 86_400_000;

/// A time-series database server that speaks PostgreSQL.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "taospg", version)]
pub struct Flags {
    /// Where the data is kept [default: data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Where to listen for clients [default: 127.0.0.1:5432]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Settings file [default: taos.toml, if there is one]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Action>,
}

/// What else than serving it does.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Action {
    /// Make the data directory, and give superuser postgres its password
    Init(Init),
}

#[derive(Clone, Debug, clap::Args)]
pub struct Init {
    /// File whose first line is the password [default: TAOS_PASSWORD, or it is asked for]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the data is kept.
    pub data_dir: PathBuf,
    /// Where to listen for clients. Wider than loopback only once superuser postgres has a password; port 0 takes a free one.
    pub listen: String,
    /// Sessions at most.
    pub max_connections: usize,
    /// Longest message that a client may send.
    #[serde(deserialize_with = "bytes")]
    pub max_message: u64,

    /// Rules of who proves what, see `authentication/rules.rs`.
    pub authentication: Vec<Rule>,
    /// PEM files of the certificate and its key; empty is no TLS.
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    /// Where logins and changes of roles, grants and definitions are written: off, log, or a file.
    pub audit_log: String,
    /// Of superuser postgres while it has none; from TAOS_PASSWORD alone.
    #[serde(skip)]
    pub password: Option<String>,

    /// Memory of one vnode's newest rows; they go to disk when it is full.
    #[serde(deserialize_with = "bytes")]
    pub memtable: u64,
    /// Memory of all vnodes' newest rows together.
    #[serde(deserialize_with = "bytes")]
    pub memtables_max: u64,
    /// Memory of all queries together.
    #[serde(deserialize_with = "bytes")]
    pub query_memory: u64,
    /// Memory of one session's temporary tables together.
    #[serde(deserialize_with = "bytes")]
    pub temporary_tables: u64,

    /// Default of CREATE DATABASE … COMMIT_TIME: newest rows go to disk at least this often.
    #[serde(deserialize_with = "duration")]
    pub commit_time: Duration,
    /// Default of CREATE DATABASE … DAYS: days in one file group.
    pub days_per_file: u32,
    /// Default of CREATE DATABASE … KEEP: days after which rows are removed.
    pub days_to_keep: u32,

    /// What is logged: error, warn, info, debug or trace, also by part as in `info,taospg=debug`.
    pub log_level: String,
    /// How it is logged: text or json.
    pub log_format: LogFormat,
}

impl Default for Settings {
    fn default() -> Settings {
        let database = DatabaseOptions::default();
        Settings {
            data_dir: "data".into(),
            listen: "127.0.0.1:5432".into(),
            // Five times PostgreSQL's: a session costs kilobytes here, not a process.
            max_connections: 500,
            // Large enough for a thousand rows in one INSERT many times over; a COPY comes in pieces anyway.
            max_message: 64 * MEBIBYTE,
            authentication: Vec::new(),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            audit_log: "off".into(),
            password: None,
            // Some hundred thousand ten-metric rows: files of a useful size, and quickly replayed after a crash.
            memtable: 64 * MEBIBYTE,
            memtables_max: 512 * MEBIBYTE,
            query_memory: 1024 * MEBIBYTE,
            // Some million narrow rows; a hundred sessions that fill theirs take 6 GB.
            temporary_tables: 64 * MEBIBYTE,
            commit_time: Duration::from_millis(database.flush_interval_ms),
            days_per_file: u32::try_from(database.group_span_ms / DAY_MS).expect("the default is a few days"),
            days_to_keep: u32::try_from(database.keep_ms / DAY_MS).expect("the default is some years"),
            log_level: "info".into(),
            log_format: LogFormat::Text,
        }
    }
}

/// The file that is read when none is named and it exists.
const FILE_DEFAULT: &str = "taos.toml";

impl Settings {
    /// Reads all sources. The error is a sentence for the user.
    pub fn load(flags: &Flags) -> Result<Settings, String> {
        // A password is no setting: it is used once and stands nowhere else.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name != PASSWORD_VARIABLE)?;
            Some((name, value.into_string().ok()?))
        });
        let environment = Environment::with_prefix(ENVIRONMENT_PREFIX).source(Some(variables.collect()));
        let mut settings = Settings::from_sources(flags, environment)?;
        settings.password = std::env::var(PASSWORD_VARIABLE)
            .ok()
            .filter(|password| !password.is_empty());
        Ok(settings)
    }

    fn from_sources(flags: &Flags, environment: Environment) -> Result<Settings, String> {
        let mut builder = Config::builder();
        let file = match &flags.config {
            Some(named) => Some(named.as_path()),
            None => Some(Path::new(FILE_DEFAULT)).filter(|path| path.exists()),
        };
        if let Some(file) = file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("cannot read settings file \"{}\": {error}", file.display()))?;
            // Read by itself first: an error then names the file.
            Settings::from_text(&text).map_err(|error| format!("settings file \"{}\": {error}", file.display()))?;
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        // Parsed, as a number or a truth value would otherwise stay text.
        builder = builder.add_source(environment.try_parsing(true));
        let mut settings: Settings = builder.build().and_then(Config::try_deserialize).map_err(|error| {
            format!(
                "settings in the environment ({ENVIRONMENT_PREFIX}_…): {}",
                reason(&error)
            )
        })?;
        if let Some(data_dir) = &flags.data_dir {
            settings.data_dir.clone_from(data_dir);
        }
        if let Some(listen) = &flags.listen {
            settings.listen.clone_from(listen);
        }
        settings.check()?;
        Ok(settings)
    }

    fn from_text(text: &str) -> Result<Settings, String> {
        Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .build()
            .and_then(Config::try_deserialize)
            .map_err(|error| reason(&error))
    }

    fn check(&self) -> Result<(), String> {
        let at_least = |name: &str, value: u64, min: u64| {
            if value < min {
                Err(format!(
                    "setting {name}: {value} is less than the least possible, {min}"
                ))
            } else {
                Ok(())
            }
        };
        at_least("max_connections", self.max_connections as u64, 1)?;
        // Startup packets are this long at most.
        at_least("max_message", self.max_message, 10_000)?;
        if self.max_message > i32::MAX as u64 {
            return Err(format!(
                "setting max_message: {} is more than the protocol can tell, {}",
                self.max_message,
                i32::MAX
            ));
        }
        at_least("memtable", self.memtable, MEBIBYTE)?;
        at_least("memtables_max", self.memtables_max, self.memtable)?;
        at_least("query_memory", self.query_memory, 16 * MEBIBYTE)?;
        at_least("temporary_tables", self.temporary_tables, MEBIBYTE)?;
        at_least("commit_time (in ms)", self.commit_time.as_millis() as u64, 1)?;
        at_least("days_per_file", u64::from(self.days_per_file), 1)?;
        at_least(
            "days_to_keep",
            u64::from(self.days_to_keep),
            u64::from(self.days_per_file),
        )
    }

    /// What a database has unless CREATE DATABASE says otherwise.
    pub fn database_defaults(&self) -> DatabaseOptions {
        DatabaseOptions {
            keep_ms: i64::from(self.days_to_keep) * DAY_MS,
            group_span_ms: i64::from(self.days_per_file) * DAY_MS,
            flush_interval_ms: u64::try_from(self.commit_time.as_millis()).unwrap_or(u64::MAX),
            ..DatabaseOptions::default()
        }
    }
}

/// One line that names the key.
fn reason(error: &ConfigError) -> String {
    error.to_string().lines().collect::<Vec<_>>().join(" ")
}

/// A number with a unit, or a bare number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Quantity {
    Number(u64),
    Text(String),
}

/// Number and unit of `64 MB` or `64MB`.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

/// A number of bytes: bare, or with kB, MB, GB or TB, which are powers of 1024 as in PostgreSQL's settings.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = match Quantity::deserialize(deserializer)? {
        Quantity::Number(bytes) => return Ok(bytes),
        Quantity::Text(text) => text,
    };
    let parsed = split_unit(&text).and_then(|(number, unit)| {
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1 << 10,
            "mb" => 1 << 20,
            "gb" => 1 << 30,
            "tb" => 1 << 40,
            _ => return None,
        };
        number.checked_mul(factor)
    });
    parsed.ok_or_else(|| de::Error::custom(format!("\"{text}\" is no size such as \"64MB\"")))
}

/// A time: bare seconds, or with ms, s, min, h or d.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = match Quantity::deserialize(deserializer)? {
        Quantity::Number(seconds) => return Ok(Duration::from_secs(seconds)),
        Quantity::Text(text) => text,
    };
    let parsed = split_unit(&text).and_then(|(number, unit)| {
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "" | "s" => 1_000,
            "min" | "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.checked_mul(milliseconds).map(Duration::from_millis)
    });
    parsed.ok_or_else(|| de::Error::custom(format!("\"{text}\" is no time such as \"1h\"")))
}

/// The rules of a settings file.
#[cfg(test)]
pub fn rules_for_test(text: &str) -> Result<Vec<Rule>, String> {
    Settings::from_text(text).map(|settings| settings.authentication)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let source: HashMap<String, String> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Environment::with_prefix(ENVIRONMENT_PREFIX).source(Some(source.into_iter().collect()))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn flags(file: &tempfile::NamedTempFile) -> Flags {
        Flags {
            command: None,
            config: Some(file.path().to_owned()),
            ..Flags::default()
        }
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = file("listen = \"127.0.0.1:1\"\nmax_connections = 7\nmemtable = \"8MB\"\n");
        let mut flags = flags(&file);
        let environment = || environment(&[("TAOS_LISTEN", "127.0.0.1:2"), ("TAOS_DATA_DIR", "/from/environment")]);
        let settings = Settings::from_sources(&flags, environment()).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:2");
        assert_eq!(settings.data_dir, Path::new("/from/environment"));
        assert_eq!(settings.max_connections, 7);
        assert_eq!(settings.memtable, 8 * MEBIBYTE);
        assert_eq!(settings.query_memory, Settings::default().query_memory);
        flags.listen = Some("127.0.0.1:3".into());
        flags.data_dir = Some("/from/flag".into());
        let settings = Settings::from_sources(&flags, environment()).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:3");
        assert_eq!(settings.data_dir, Path::new("/from/flag"));
    }

    #[test]
    fn unknown_keys_are_named() {
        let message = Settings::from_sources(&flags(&file("lissten = \"x\"")), environment(&[])).unwrap_err();
        assert!(message.contains("lissten"), "{message}");
        let message = Settings::from_sources(&flags(&file("")), environment(&[("TAOS_COMIT_TIME", "1h")])).unwrap_err();
        assert!(message.contains("comit_time"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn bad_values_are_named() {
        for text in [
            "memtable = \"8 XB\"",
            "commit_time = \"soon\"",
            "max_connections = 0",
            "log_format = \"xml\"",
            "max_message = \"3GB\"",
            "days_per_file = \"ten\"",
            "listen = ",
        ] {
            let message = Settings::from_sources(&flags(&file(text)), environment(&[])).unwrap_err();
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn sizes_and_times_have_units() {
        let settings = Settings::from_text("memtable = 1024\nquery_memory = \"2 GB\"\ncommit_time = \"90s\"").unwrap();
        assert_eq!(settings.memtable, 1024);
        assert_eq!(settings.query_memory, 2 << 30);
        assert_eq!(settings.commit_time, Duration::from_secs(90));
    }

    /// The example shows every setting with its default.
    #[test]
    fn the_example_file_is_complete() {
        let example = include_str!("../../taos.toml.example");
        let uncommented: String = example
            .lines()
            .map(|line| {
                line.strip_prefix("#")
                    .filter(|rest| !rest.starts_with(' '))
                    .unwrap_or(line)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(Settings::from_text(&uncommented).unwrap(), Settings::default());
        let keys = uncommented
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains(" = "))
            .count();
        assert_eq!(keys, 16, "one line for each setting");
        assert_eq!(Settings::from_text(example).unwrap(), Settings::default());
    }
}
