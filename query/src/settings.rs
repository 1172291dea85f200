//! A session's settings: SET, SHOW, RESET, and what ParameterStatus reports. One ordered list names them all ([`SETTINGS`]).
//!
//! A setting whose effect is "none" is one that clients send as a matter of course and that has nothing to act upon here; its
//! description says so. A name that is not in the list is an error, unless it has a dot: those are kept for the client, as
//! PostgreSQL keeps them.
//!
//! Leaves to others: which values outlive a transaction (`session/transaction.rs`), parsing of SET (`statement/set.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;

use taospg_catalog::Role;

use crate::access::Actor;
use crate::pg_type::time::{DateOrder, Reading};
use crate::pg_type::write::{DateStyle, Dates, IntervalStyle};
use crate::{ErrorKind, QueryError};

/// `server_version`: a PostgreSQL version that clients can parse, then ours.
pub const SERVER_VERSION: &str = concat!("15.0 (Taospg ", env!("CARGO_PKG_VERSION"), ")");

/// Custom settings (`my.setting`) of one session, at most: what row-level tricks of applications use, and a bound on memory.
const CUSTOM_SETTINGS_MAX: usize = 1_000;

/// Bytes of one value at most. The longest that clients send are search paths and application names.
const VALUE_BYTES_MAX: usize = 65_536;

/// What a setting accepts, and in which form it is kept.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// on, off, and PostgreSQL's other words for them; kept as `on` or `off`.
    Boolean,
    /// One of these words, in lower case.
    Choice(&'static [&'static str]),
    Integer {
        min: i64,
        max: i64,
    },
    /// A real number.
    Real {
        min: f64,
        max: f64,
    },
    /// A span of time; bare numbers are milliseconds. Kept with the largest unit that fits, as PostgreSQL shows it.
    Milliseconds,
    /// Cannot be set.
    Fixed,
    /// Has a check of its own, here by its name.
    Special,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// As SHOW ALL and ParameterStatus spell it.
    pub name: &'static str,
    pub default: &'static str,
    /// Told to the client by ParameterStatus when it changes.
    pub reported: bool,
    pub kind: Kind,
    pub description: &'static str,
}

const fn setting(name: &'static str, default: &'static str, kind: Kind, description: &'static str) -> Setting {
    Setting {
        name,
        default,
        reported: false,
        kind,
        description,
    }
}

const fn reported(name: &'static str, default: &'static str, kind: Kind, description: &'static str) -> Setting {
    Setting {
        name,
        default,
        reported: true,
        kind,
        description,
    }
}

const ISOLATION_LEVELS: Kind = Kind::Choice(&["serializable", "repeatable read", "read committed", "read uncommitted"]);
const MESSAGE_LEVELS: Kind = Kind::Choice(&[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error", "info", "fatal",
    "panic",
]);

/// Every setting, by name.
pub static SETTINGS: &[Setting] = &[
    reported(
        "application_name",
        "",
        Kind::Text,
        "Name of the client program, shown in pg_stat_activity.",
    ),
    setting(
        "backslash_quote",
        "safe_encoding",
        Kind::Choice(&["safe_encoding", "on", "off"]),
        "No effect: \\' is taken in E'' strings.",
    ),
    setting(
        "block_size",
        "8192",
        Kind::Fixed,
        "PostgreSQL's page size, for clients that multiply by it.",
    ),
    setting(
        "bytea_output",
        "hex",
        Kind::Choice(&["hex", "escape"]),
        "Text form of bytea.",
    ),
    setting(
        "check_function_bodies",
        "on",
        Kind::Boolean,
        "No effect: there are no stored functions.",
    ),
    reported(
        "client_encoding",
        "UTF8",
        Kind::Special,
        "Encoding of text on the wire; UTF8 is the only one.",
    ),
    setting(
        "client_min_messages",
        "notice",
        MESSAGE_LEVELS,
        "Notices below this level are not sent.",
    ),
    reported(
        "DateStyle",
        "ISO, MDY",
        Kind::Special,
        "Form of dates: ISO, SQL, Postgres or German; MDY, DMY or YMD where that leaves the order open.",
    ),
    setting("default_table_access_method", "heap", Kind::Text, "No effect."),
    setting(
        "default_tablespace",
        "",
        Kind::Text,
        "No effect: there are no tablespaces.",
    ),
    setting(
        "default_transaction_deferrable",
        "off",
        Kind::Boolean,
        "No effect: no transaction waits for another.",
    ),
    setting(
        "default_transaction_isolation",
        "read committed",
        ISOLATION_LEVELS,
        "Isolation level that new transactions show.",
    ),
    reported(
        "default_transaction_read_only",
        "off",
        Kind::Boolean,
        "New transactions refuse writes.",
    ),
    setting("enable_hashagg", "on", Kind::Boolean, "No effect."),
    setting("enable_hashjoin", "on", Kind::Boolean, "No effect."),
    setting("enable_indexscan", "on", Kind::Boolean, "No effect."),
    setting("enable_mergejoin", "on", Kind::Boolean, "No effect."),
    setting("enable_nestloop", "on", Kind::Boolean, "No effect."),
    setting("enable_seqscan", "on", Kind::Boolean, "No effect."),
    setting("enable_sort", "on", Kind::Boolean, "No effect."),
    setting("escape_string_warning", "on", Kind::Boolean, "No effect."),
    setting(
        "extra_float_digits",
        "1",
        Kind::Integer { min: -15, max: 3 },
        "Digits of floats as text: shortest exact from 1 up.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Milliseconds,
        "Ends a session idle in a transaction for longer.",
    ),
    setting(
        "idle_session_timeout",
        "0",
        Kind::Milliseconds,
        "Ends a session idle for longer.",
    ),
    reported(
        "in_hot_standby",
        "off",
        Kind::Fixed,
        "Whether this server is a standby.",
    ),
    reported("integer_datetimes", "on", Kind::Fixed, "Binary times are integers."),
    reported(
        "IntervalStyle",
        "postgres",
        Kind::Choice(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "Text form of intervals.",
    ),
    reported(
        "is_superuser",
        "on",
        Kind::Fixed,
        "Whether the current role may do everything.",
    ),
    setting("jit", "off", Kind::Boolean, "No effect."),
    setting("lc_collate", "C", Kind::Fixed, "Text is compared by code point."),
    setting(
        "lc_ctype",
        "C",
        Kind::Fixed,
        "Character classes are those of Unicode's code points.",
    ),
    setting("lc_messages", "C", Kind::Text, "No effect: messages are English."),
    setting("lc_monetary", "C", Kind::Text, "No effect."),
    setting("lc_numeric", "C", Kind::Text, "No effect."),
    setting("lc_time", "C", Kind::Text, "No effect."),
    setting(
        "lock_timeout",
        "0",
        Kind::Milliseconds,
        "No effect: no statement waits for another's lock.",
    ),
    setting(
        "log_statement",
        "none",
        Kind::Choice(&["none", "ddl", "mod", "all"]),
        "No effect.",
    ),
    setting(
        "max_connections",
        "100",
        Kind::Fixed,
        "Connections at one time, as configured.",
    ),
    setting("max_identifier_length", "63", Kind::Fixed, "Bytes of a name, at most."),
    setting(
        "max_index_keys",
        "32",
        Kind::Fixed,
        "Columns of a key, at most, for clients that ask.",
    ),
    setting(
        "max_parallel_workers_per_gather",
        "2",
        Kind::Integer { min: 0, max: 1024 },
        "No effect.",
    ),
    setting(
        "max_prepared_transactions",
        "0",
        Kind::Fixed,
        "There are no prepared transactions.",
    ),
    setting(
        "random_page_cost",
        "4",
        Kind::Real { min: 0.0, max: 1e100 },
        "No effect.",
    ),
    setting("role", "none", Kind::Fixed, "The role of SET ROLE."),
    setting(
        "row_security",
        "on",
        Kind::Boolean,
        "No effect: there are no row policies.",
    ),
    setting(
        "search_path",
        "\"$user\", public",
        Kind::Text,
        "Schemas that names without one are looked up in.",
    ),
    reported("server_encoding", "UTF8", Kind::Fixed, "Encoding of stored text."),
    reported(
        "server_version",
        SERVER_VERSION,
        Kind::Fixed,
        "PostgreSQL version this server speaks as, and its own.",
    ),
    setting("server_version_num", "150000", Kind::Fixed, "The same as a number."),
    reported(
        "session_authorization",
        "postgres",
        Kind::Fixed,
        "The user of the session.",
    ),
    reported(
        "standard_conforming_strings",
        "on",
        Kind::Special,
        "Backslashes in '' are plain characters; always on.",
    ),
    setting(
        "statement_timeout",
        "0",
        Kind::Milliseconds,
        "Ends a statement that runs longer; 0 is never.",
    ),
    setting("synchronize_seqscans", "on", Kind::Boolean, "No effect."),
    setting(
        "synchronous_commit",
        "on",
        Kind::Special,
        "on: answer when the log is on disk. off: when the kernel has it.",
    ),
    setting(
        "temp_buffers",
        "8MB",
        Kind::Text,
        "No effect: temporary tables are held in memory, up to the server's setting temporary_tables.",
    ),
    reported(
        "TimeZone",
        "UTC",
        Kind::Special,
        "Zone of timestamptz as text, and of input without one.",
    ),
    setting(
        "transaction_deferrable",
        "off",
        Kind::Boolean,
        "No effect: no transaction waits for another.",
    ),
    setting(
        "transaction_isolation",
        "read committed",
        ISOLATION_LEVELS,
        "Isolation level of this transaction, as it was asked for.",
    ),
    setting(
        "transaction_read_only",
        "off",
        Kind::Boolean,
        "This transaction refuses writes.",
    ),
    setting(
        "transform_null_equals",
        "off",
        Kind::Choice(&["off"]),
        "x = NULL is NULL; always off.",
    ),
    setting("vacuum_cost_delay", "0", Kind::Text, "No effect."),
    setting(
        "wal_level",
        "replica",
        Kind::Fixed,
        "PostgreSQL's word for what the log holds.",
    ),
    setting(
        "work_mem",
        "4MB",
        Kind::Text,
        "No effect: queries share the server's memory limit.",
    ),
    setting(
        "xmloption",
        "content",
        Kind::Choice(&["content", "document"]),
        "No effect: there is no xml type.",
    ),
];

/// The values that other code asks for by name.
#[derive(Clone, Debug)]
pub struct Settings {
    pub time_zone: Tz,
    /// `synchronous_commit`: answer after the log is on disk.
    pub synchronous_commit: bool,
    pub statement_timeout_ms: u64,
    pub search_path: String,
    pub bytea_escape: bool,
    pub extra_float_digits: i8,
    pub dates: Dates,
    pub intervals: IntervalStyle,
    /// `transaction_read_only`.
    pub read_only: bool,
    /// SET SESSION AUTHORIZATION and SET ROLE.
    pub actor: Actor,
    values: Arc<Values>,
    /// What RESET goes back to: the defaults, and what the client set when it connected.
    defaults: Arc<Values>,
}

/// Texts as SHOW gives them. Shared, so that a transaction can keep a copy for its end.
#[derive(Clone, Debug, PartialEq)]
struct Values {
    /// As `SETTINGS`.
    named: Vec<String>,
    custom: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Settings {
        let values = Arc::new(Values {
            named: SETTINGS.iter().map(|setting| setting.default.to_string()).collect(),
            custom: BTreeMap::new(),
        });
        let mut settings = Settings {
            time_zone: Tz::UTC,
            synchronous_commit: true,
            statement_timeout_ms: 0,
            search_path: String::new(),
            bytea_escape: false,
            extra_float_digits: 1,
            dates: Dates::default(),
            intervals: IntervalStyle::default(),
            read_only: false,
            actor: Actor::default(),
            values: values.clone(),
            defaults: values,
        };
        settings.refresh();
        settings
    }
}

impl Settings {
    /// The settings of a new session. Names that nobody knows are left out silently: they may be meant for other servers.
    pub fn at_startup(role: &Role, wanted: &[(String, String)]) -> Result<Settings, QueryError> {
        let mut settings = Settings::default();
        let actor = Actor {
            session: role.oid,
            current: role.oid,
        };
        settings.act_as(actor, &role.name, None, role.superuser);
        for (name, value) in wanted {
            if name.eq_ignore_ascii_case("options") {
                for (name, value) in command_line_options(value) {
                    settings.set(&name, &value)?;
                }
            } else if index_of(name).is_some_and(|index| !matches!(SETTINGS[index].kind, Kind::Fixed)) {
                settings.set(name, value)?;
            }
        }
        settings.defaults = settings.values.clone();
        Ok(settings)
    }

    /// Who the session acts as from here on: the session's user, and the role of SET ROLE. RESET ALL leaves it.
    pub fn act_as(&mut self, actor: Actor, user: &str, role: Option<&str>, superuser: bool) {
        self.actor = actor;
        let shown = [
            ("session_authorization", user),
            ("role", role.unwrap_or("none")),
            ("is_superuser", if superuser { "on" } else { "off" }),
        ];
        let mut defaults = (*self.defaults).clone();
        for (name, value) in shown {
            self.put(name, value.to_string());
            if let Some(index) = index_of(name) {
                defaults.named[index] = value.to_string();
            }
        }
        self.defaults = Arc::new(defaults);
    }

    /// The value as SHOW gives it.
    pub fn get(&self, name: &str) -> Result<&str, QueryError> {
        self.find(name).ok_or_else(|| unrecognized(name))
    }

    /// `None` for a name that nobody knows.
    pub fn find(&self, name: &str) -> Option<&str> {
        match index_of(name) {
            Some(index) => Some(&self.values.named[index]),
            None => self.values.custom.get(&name.to_ascii_lowercase()).map(String::as_str),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        if value.len() > VALUE_BYTES_MAX || value.contains('\0') {
            return Err(invalid(name, "a text of that length"));
        }
        let Some(index) = index_of(name) else {
            return self.set_custom(name, value);
        };
        let setting = &SETTINGS[index];
        let kept = match setting.name {
            "DateStyle" => date_style_text(parse_date_style(value, self.dates)?),
            _ => checked(setting, value)?,
        };
        self.put(setting.name, kept);
        // These say what the next transaction begins with, and outside of one that is what is shown.
        match setting.name {
            "default_transaction_isolation" => self.put("transaction_isolation", self.values.named[index].clone()),
            "default_transaction_read_only" => self.put("transaction_read_only", self.values.named[index].clone()),
            _ => {}
        }
        self.refresh();
        Ok(())
    }

    /// Back to what the session began with.
    pub fn reset(&mut self, name: &str) -> Result<(), QueryError> {
        match index_of(name) {
            Some(index) if matches!(SETTINGS[index].kind, Kind::Fixed) => return Err(fixed(SETTINGS[index].name)),
            Some(index) => {
                let value = self.defaults.named[index].clone();
                self.set(SETTINGS[index].name, &value)?;
            }
            None => {
                let name = name.to_ascii_lowercase();
                if !name.contains('.') {
                    return Err(unrecognized(&name));
                }
                Arc::make_mut(&mut self.values).custom.remove(&name);
            }
        }
        Ok(())
    }

    pub fn reset_all(&mut self) {
        self.values = self.defaults.clone();
        self.refresh();
    }

    /// Every setting with its value and description, as SHOW ALL lists them.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
        SETTINGS
            .iter()
            .zip(&self.values.named)
            .map(|(setting, value)| (setting.name, value.as_str(), setting.description))
    }

    /// What ParameterStatus has to tell: reported settings that differ from `told`, or all of them.
    pub(crate) fn reports(&self, told: Option<&Settings>) -> Vec<(&'static str, String)> {
        if told.is_some_and(|told| Arc::ptr_eq(&told.values, &self.values)) {
            return Vec::new();
        }
        let changed = |index: usize| told.is_none_or(|told| told.values.named[index] != self.values.named[index]);
        let reported = SETTINGS
            .iter()
            .enumerate()
            .filter(|(index, setting)| setting.reported && changed(*index));
        reported
            .map(|(index, setting)| (setting.name, self.values.named[index].clone()))
            .collect()
    }

    fn set_custom(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        let name = name.to_ascii_lowercase();
        if !name.contains('.') {
            return Err(unrecognized(&name));
        }
        if !self.values.custom.contains_key(&name) && self.values.custom.len() >= CUSTOM_SETTINGS_MAX {
            let message = format!("a session keeps at most {CUSTOM_SETTINGS_MAX} custom settings");
            return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message));
        }
        Arc::make_mut(&mut self.values).custom.insert(name, value.to_string());
        Ok(())
    }

    fn put(&mut self, name: &str, value: String) {
        let index = index_of(name).expect("called with names of the list");
        if self.values.named[index] != value {
            Arc::make_mut(&mut self.values).named[index] = value;
        }
    }

    /// Brings the typed fields up to the texts.
    fn refresh(&mut self) {
        let text = |name: &str| self.find(name).unwrap_or_default();
        let time_zone = parse_time_zone(text("TimeZone")).map_or(Tz::UTC, |(zone, _)| zone);
        let synchronous_commit = text("synchronous_commit") != "off";
        let statement_timeout_ms = parse_milliseconds(text("statement_timeout")).unwrap_or(0);
        let search_path = text("search_path").to_string();
        let bytea_escape = text("bytea_output") == "escape";
        let extra_float_digits = text("extra_float_digits").parse().unwrap_or(1);
        let read_only = text("transaction_read_only") == "on";
        let dates = parse_date_style(text("DateStyle"), Dates::default()).unwrap_or_default();
        let intervals = match text("IntervalStyle") {
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        };
        self.time_zone = time_zone;
        self.synchronous_commit = synchronous_commit;
        self.statement_timeout_ms = statement_timeout_ms;
        self.search_path = search_path;
        self.bytea_escape = bytea_escape;
        self.extra_float_digits = extra_float_digits;
        self.read_only = read_only;
        self.dates = dates;
        self.intervals = intervals;
    }

    /// How times without a zone, and days that leave their order open, are read.
    pub fn reading(&self) -> Reading {
        Reading {
            zone: self.time_zone,
            order: self.dates.order,
        }
    }
}

/// A setting's own spelling; other names as they are.
pub(crate) fn spelled(name: &str) -> String {
    index_of(name).map_or_else(|| name.to_string(), |index| SETTINGS[index].name.to_string())
}

/// Names are compared without case; `timezone` is spelled `TimeZone`.
fn index_of(name: &str) -> Option<usize> {
    SETTINGS
        .iter()
        .position(|setting| setting.name.eq_ignore_ascii_case(name))
}

/// The text that is kept for a value, or why it is refused.
fn checked(setting: &Setting, value: &str) -> Result<String, QueryError> {
    let trimmed = value.trim();
    match setting.kind {
        Kind::Text => Ok(value.to_string()),
        Kind::Boolean => match parse_boolean(trimmed) {
            Some(true) => Ok("on".into()),
            Some(false) => Ok("off".into()),
            None => {
                let message = format!("parameter \"{}\" requires a Boolean value", setting.name);
                Err(QueryError::new(ErrorKind::InvalidParameterValue, message))
            }
        },
        Kind::Choice(choices) => {
            let lower = trimmed.to_ascii_lowercase();
            let known = choices.contains(&lower.as_str());
            known.then_some(lower).ok_or_else(|| {
                invalid(setting.name, value).with_hint(format!("available values: {}", choices.join(", ")))
            })
        }
        Kind::Integer { min, max } => {
            let number: i64 = trimmed.parse().map_err(|_| invalid(setting.name, value))?;
            if !(min..=max).contains(&number) {
                return Err(out_of_range(setting.name, trimmed, &min.to_string(), &max.to_string()));
            }
            Ok(number.to_string())
        }
        Kind::Real { min, max } => {
            let number: f64 = trimmed.parse().map_err(|_| invalid(setting.name, value))?;
            if !(min..=max).contains(&number) {
                return Err(out_of_range(setting.name, trimmed, &min.to_string(), &max.to_string()));
            }
            Ok(number.to_string())
        }
        Kind::Milliseconds => {
            let number = parse_milliseconds(trimmed).ok_or_else(|| {
                invalid(setting.name, value)
                    .with_hint("valid units are \"us\", \"ms\", \"s\", \"min\", \"h\" and \"d\"")
            })?;
            // PostgreSQL's limit of an integer setting.
            if number > i32::MAX as u64 {
                return Err(out_of_range(setting.name, trimmed, "0 ms", "2147483647 ms"));
            }
            Ok(show_milliseconds(number))
        }
        Kind::Fixed => Err(fixed(setting.name)),
        Kind::Special => checked_special(setting.name, trimmed),
    }
}

fn checked_special(name: &str, value: &str) -> Result<String, QueryError> {
    match name {
        "client_encoding" => {
            // asyncpg sends the quotes along; UNICODE is an alias of old.
            let bare = value
                .trim_matches(['\'', '"'])
                .to_ascii_lowercase()
                .replace(['-', '_'], "");
            if bare == "utf8" || bare == "unicode" {
                return Ok("UTF8".into());
            }
            let message = format!("invalid value for parameter \"client_encoding\": \"{value}\"");
            Err(QueryError::new(ErrorKind::InvalidParameterValue, message).with_hint("use UTF8"))
        }
        "standard_conforming_strings" => match parse_boolean(value) {
            Some(true) => Ok("on".into()),
            Some(false) => {
                let message = "standard_conforming_strings = off is not supported";
                Err(QueryError::new(ErrorKind::FeatureNotSupported, message)
                    .with_hint("write E'…' for strings with backslashes"))
            }
            None => Err(invalid(name, value)),
        },
        "synchronous_commit" => {
            let lower = value.to_ascii_lowercase();
            match lower.as_str() {
                // There is one server: what PostgreSQL waits for on standbys, and on the local disk, is the local disk.
                "local" | "remote_write" | "remote_apply" => Ok(lower),
                _ => {
                    match parse_boolean(value) {
                        Some(true) => Ok("on".into()),
                        Some(false) => Ok("off".into()),
                        None => Err(invalid(name, value)
                            .with_hint("available values: on, off, local, remote_write, remote_apply")),
                    }
                }
            }
        }
        "TimeZone" => parse_time_zone(value).map(|(_, shown)| shown).ok_or_else(|| {
            invalid(name, value).with_hint("write a name such as Europe/Berlin, or an offset of whole hours from UTC")
        }),
        _ => Ok(value.to_string()),
    }
}

/// PostgreSQL's words for truth: unambiguous beginnings of true, false, yes, no; on, off, 1, 0.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let begins = |word: &str| !lower.is_empty() && word.starts_with(&lower);
    match lower.as_str() {
        "on" | "1" => Some(true),
        "off" | "of" | "0" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

/// A zone by its IANA name in any case, or an offset of whole hours: `+2`, `-08`; with minutes or after a name (`+02:00`, `UTC+2`) in the POSIX
/// sense, as PostgreSQL reads it. With the text that SHOW gives.
pub(crate) fn parse_time_zone(text: &str) -> Option<(Tz, String)> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("zulu") {
        return Some((Tz::UTC, "UTC".into()));
    }
    if let Ok(zone) = text.parse::<Tz>() {
        return Some((zone, zone.name().to_string()));
    }
    if let Some(zone) = chrono_tz::TZ_VARIANTS
        .iter()
        .find(|zone| zone.name().eq_ignore_ascii_case(text))
    {
        return Some((*zone, zone.name().to_string()));
    }
    let (hours, posix) = match text.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("utc") || prefix.eq_ignore_ascii_case("gmt") => {
            (parse_hours(text.get(3..)?)?, true)
        }
        _ => (parse_hours(text)?, text.contains(':') && !text.starts_with('<')),
    };
    // In POSIX, and in the Etc zones, a positive number lies west of Greenwich.
    let east = if posix { -hours } else { hours };
    let name = match east {
        0 => "Etc/GMT".to_string(),
        east if east > 0 => format!("Etc/GMT-{east}"),
        east => format!("Etc/GMT+{}", -east),
    };
    let zone = name.parse::<Tz>().ok()?;
    let shown = match east {
        0 => "UTC".to_string(),
        _ if posix => text.to_string(),
        _ => format!("<{east:+03}>{:+03}", -east),
    };
    Some((zone, shown))
}

/// `+2`, `-08`, `+02:00`, `+02:00:00`, `0530` is refused; also the form that SHOW gives, `<+02>-02`.
fn parse_hours(text: &str) -> Option<i32> {
    let text = match text.strip_prefix('<') {
        Some(rest) => rest.split('>').next()?,
        None => text,
    };
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let mut parts = digits.split(':');
    let hours = parts.next()?;
    if hours.is_empty() || hours.len() > 2 || !hours.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    parts.all(|part| part == "00" || part == "0").then_some(())?;
    Some(sign * hours.parse::<i32>().ok()?)
}

/// Words for the form and for the order, in any sequence; what is not named stays as it was.
fn parse_date_style(value: &str, before: Dates) -> Result<Dates, QueryError> {
    let (mut style, mut order) = (None, None);
    for part in value.split(',') {
        let word = part.trim().trim_matches(['\'', '"']).to_ascii_uppercase();
        let (new_style, new_order) = match word.as_str() {
            "" => continue,
            "DEFAULT" => (Some(DateStyle::Iso), Some(DateOrder::Mdy)),
            "ISO" => (Some(DateStyle::Iso), None),
            "SQL" => (Some(DateStyle::Sql), None),
            "GERMAN" => (Some(DateStyle::German), None),
            "MDY" | "US" => (None, Some(DateOrder::Mdy)),
            "DMY" => (None, Some(DateOrder::Dmy)),
            "YMD" => (None, Some(DateOrder::Ymd)),
            _ if word.starts_with("POSTGRES") => (Some(DateStyle::Postgres), None),
            _ if word.starts_with("EURO") => (None, Some(DateOrder::Dmy)),
            _ if word.starts_with("NONEURO") => (None, Some(DateOrder::Mdy)),
            _ => {
                return Err(
                    invalid("DateStyle", value).with_detail(format!("Unrecognized key word: \"{}\".", part.trim()))
                );
            }
        };
        let conflict = (style.is_some() && new_style.is_some() && style != new_style)
            || (order.is_some() && new_order.is_some() && order != new_order);
        if conflict {
            return Err(invalid("DateStyle", value).with_detail("Conflicting \"datestyle\" specifications."));
        }
        style = style.or(new_style);
        order = order.or(new_order);
    }
    let german = (style == Some(DateStyle::German)).then_some(DateOrder::Dmy);
    Ok(Dates {
        style: style.unwrap_or(before.style),
        order: order.or(german).unwrap_or(before.order),
    })
}

/// As SHOW gives it.
fn date_style_text(dates: Dates) -> String {
    let style = match dates.style {
        DateStyle::Iso => "ISO",
        DateStyle::Sql => "SQL",
        DateStyle::Postgres => "Postgres",
        DateStyle::German => "German",
    };
    let order = match dates.order {
        DateOrder::Mdy => "MDY",
        DateOrder::Dmy => "DMY",
        DateOrder::Ymd => "YMD",
    };
    format!("{style}, {order}")
}

/// `5000`, `5s`, `1.5 min`: milliseconds.
fn parse_milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some((number * unit).round() as u64)
}

/// With the largest unit that leaves a whole number, as PostgreSQL shows spans.
fn show_milliseconds(number: u64) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1_000, "s"),
        (1, "ms"),
    ];
    match units
        .iter()
        .find(|(size, _)| number > 0 && number.is_multiple_of(*size))
    {
        Some((size, unit)) => format!("{}{unit}", number / size),
        None => "0".into(),
    }
}

/// `-c name=value --name=value`, the form of the startup parameter `options`. A backslash keeps a space.
fn command_line_options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let last = words.last_mut().expect("begins with one word");
        match character {
            '\\' => last.extend(characters.next()),
            space if space.is_whitespace() => words.push(String::new()),
            other => last.push(other),
        }
    }
    words
        .iter()
        .filter_map(|word| word.strip_prefix("-c").or(word.strip_prefix("--")).or(Some(word)))
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.replace('-', "_"), value.to_string()))
        .collect()
}

fn unrecognized(name: &str) -> QueryError {
    QueryError::new(
        ErrorKind::UndefinedObject,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

fn invalid(name: &str, value: &str) -> QueryError {
    QueryError::new(
        ErrorKind::InvalidParameterValue,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

fn fixed(name: &str) -> QueryError {
    QueryError::new(
        ErrorKind::CannotChangeRuntimeParameter,
        format!("parameter \"{name}\" cannot be changed"),
    )
}

fn out_of_range(name: &str, value: &str, min: &str, max: &str) -> QueryError {
    let message = format!("{value} is outside the valid range for parameter \"{name}\" ({min} .. {max})");
    QueryError::new(ErrorKind::InvalidParameterValue, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_in_postgresql_form() {
        let cases = [
            ("statement_timeout", "5000", "5s"),
            ("statement_timeout", "1.5 min", "90s"),
            ("statement_timeout", "7", "7ms"),
            ("statement_timeout", "0", "0"),
            ("timezone", "europe/berlin", "Europe/Berlin"),
            ("TimeZone", "<+02:00>", "<+02>-02"),
            ("TimeZone", "-2", "<-02>+02"),
            ("TimeZone", "+02:00", "+02:00"),
            ("TimeZone", "UTC+2", "UTC+2"),
            ("TimeZone", "+00:00", "UTC"),
            ("datestyle", "ISO", "ISO, MDY"),
            ("DateStyle", "dmy", "ISO, DMY"),
            ("DateStyle", "German", "German, DMY"),
            ("DateStyle", "postgres, ymd", "Postgres, YMD"),
            ("DateStyle", "SQL", "SQL, MDY"),
            ("client_encoding", "'utf-8'", "UTF8"),
            ("jit", "TRUE", "on"),
            ("synchronous_commit", "false", "off"),
            ("extra_float_digits", "3", "3"),
            ("my.thing", "x", "x"),
        ];
        for (name, value, shown) in cases {
            let mut settings = Settings::default();
            settings.set(name, value).unwrap();
            assert_eq!(settings.get(name).unwrap(), shown, "{name} = {value}");
            // What SHOW gives can be set again.
            settings.set(name, shown).unwrap();
            assert_eq!(settings.get(name).unwrap(), shown, "{name} = {shown}");
        }
    }

    #[test]
    fn wrong_values_have_their_own_errors() {
        let cases = [
            ("no_such", "1", ErrorKind::UndefinedObject),
            ("jit", "maybe", ErrorKind::InvalidParameterValue),
            ("extra_float_digits", "4", ErrorKind::InvalidParameterValue),
            ("client_encoding", "LATIN1", ErrorKind::InvalidParameterValue),
            ("TimeZone", "Mars/Olympus", ErrorKind::InvalidParameterValue),
            ("TimeZone", "", ErrorKind::InvalidParameterValue),
            ("DateStyle", "Martian", ErrorKind::InvalidParameterValue),
            ("DateStyle", "ISO, German", ErrorKind::InvalidParameterValue),
            ("server_version", "16", ErrorKind::CannotChangeRuntimeParameter),
            ("statement_timeout", "-1", ErrorKind::InvalidParameterValue),
            ("statement_timeout", "30 d", ErrorKind::InvalidParameterValue),
        ];
        for (name, value, kind) in cases {
            assert_eq!(
                Settings::default().set(name, value).unwrap_err().kind,
                kind,
                "{name} = {value}"
            );
        }
    }

    #[test]
    fn reset_goes_back_to_what_the_client_connected_with() {
        let wanted = [
            ("TimeZone".to_string(), "Asia/Tokyo".to_string()),
            ("unknown_to_all".to_string(), "1".to_string()),
            (
                "options".to_string(),
                "-c statement_timeout=3s --search-path=a\\ b".to_string(),
            ),
        ];
        let ann = Role {
            oid: 20_000,
            ..Role::new("ann")
        };
        let mut settings = Settings::at_startup(&ann, &wanted).unwrap();
        assert_eq!(settings.get("is_superuser").unwrap(), "off");
        assert_eq!(settings.get("session_authorization").unwrap(), "ann");
        assert_eq!(
            (settings.time_zone, settings.statement_timeout_ms),
            (Tz::Asia__Tokyo, 3_000)
        );
        assert_eq!(settings.search_path, "a b");
        settings.set("TimeZone", "UTC").unwrap();
        settings.reset("timezone").unwrap();
        assert_eq!(settings.time_zone, Tz::Asia__Tokyo);
        settings.set("TimeZone", "UTC").unwrap();
        settings.reset_all();
        assert_eq!(settings.time_zone, Tz::Asia__Tokyo);
    }

    #[test]
    fn only_changed_settings_are_reported() {
        let mut settings = Settings::default();
        assert!(
            settings
                .reports(None)
                .contains(&("server_version", SERVER_VERSION.to_string()))
        );
        let told = settings.clone();
        assert!(settings.reports(Some(&told)).is_empty());
        settings.set("application_name", "psql").unwrap();
        settings.set("jit", "on").unwrap();
        assert_eq!(
            settings.reports(Some(&told)),
            [("application_name", "psql".to_string())]
        );
    }

    #[test]
    fn the_list_is_sorted_and_its_defaults_are_valid() {
        let names: Vec<String> = SETTINGS
            .iter()
            .map(|setting| setting.name.to_ascii_lowercase())
            .collect();
        assert!(names.is_sorted(), "{names:?}");
        for setting in SETTINGS.iter().filter(|setting| !matches!(setting.kind, Kind::Fixed)) {
            assert_eq!(
                checked(setting, setting.default).unwrap(),
                setting.default,
                "{}",
                setting.name
            );
        }
    }
}
