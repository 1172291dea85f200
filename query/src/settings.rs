//! A session's settings: SET, SHOW, RESET, and what ParameterStatus reports. One ordered list names them all (`SETTINGS`).

/// The values that other code asks for by name.
#[derive(Clone, Debug)]
pub struct Settings {
    pub time_zone: chrono_tz::Tz,
    /// `synchronous_commit`: answer after the log is on disk.
    pub synchronous_commit: bool,
    pub statement_timeout_ms: u64,
    pub search_path: String,
}
