//! The list of settings: what each is called, begins with, accepts and does.
//!
//! A setting whose effect is "none" is one that clients send as a matter of course and that has nothing to act upon here; its
//! description says so.

/// `server_version`: a PostgreSQL version that clients can parse, then ours.
pub const SERVER_VERSION: &str = concat!("15.0 (Taospg ", env!("CARGO_PKG_VERSION"), ")");

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
