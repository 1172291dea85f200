//! A session's settings: SET, SHOW, RESET, and what ParameterStatus reports. One ordered list names them all ([`SETTINGS`]).
//!
//! A name that is not in the list is an error, unless it has a dot: those are kept for the client, as PostgreSQL keeps them.
//!
//! Leaves to others: which values outlive a transaction (`session/transaction.rs`), parsing of SET (`statement/set.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;

use taospg_catalog::Role;

use crate::access::Actor;
use crate::pg_type::time::Reading;
use crate::pg_type::write::{Dates, IntervalStyle};
use crate::{ErrorKind, QueryError};

mod check;
mod list;
mod values;

use check::{checked, fixed, invalid, unrecognized};
#[cfg(test)]
use list::SERVER_VERSION;
pub use list::{Kind, SETTINGS};
use values::{command_line_options, date_style_text, parse_date_style, parse_milliseconds, parse_time_zone};

/// Custom settings (`my.setting`) of one session, at most: what row-level tricks of applications use, and a bound on memory.
const CUSTOM_SETTINGS_MAX: usize = 1_000;

/// Bytes of one value at most. The longest that clients send are search paths and application names.
const VALUE_BYTES_MAX: usize = 65_536;

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
            } else if name.contains('.')
                || index_of(name).is_some_and(|index| !matches!(SETTINGS[index].kind, Kind::Fixed))
            {
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
