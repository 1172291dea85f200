//! pg_stat_*: what sessions do, and how much is in databases and tables.

use std::time::{SystemTime, UNIX_EPOCH};

use taospg_storage::FamilySize;

use super::cell::Cell;
use super::snapshot::{Listed, Snapshot};
use crate::engine::SessionState;

pub(super) const PG_STAT_ACTIVITY: &[&str] = &[
    "datid",
    "datname",
    "pid",
    "usesysid",
    "usename",
    "application_name",
    "client_addr",
    "client_port",
    "backend_start",
    "xact_start",
    "query_start",
    "state_change",
    "state",
    "query",
    "backend_type",
];

/// Microseconds since 1970.
pub(super) fn instant(time: SystemTime) -> Cell {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).map_or(Cell::Null, Cell::from)
}

/// Address and port of `1.2.3.4:5` and `[::1]:5`.
pub(super) fn address_and_port(text: &str) -> (Cell, Cell) {
    match text.parse::<std::net::SocketAddr>() {
        Ok(address) => (address.ip().to_string().into(), i64::from(address.port()).into()),
        Err(_) => (
            text.parse::<std::net::IpAddr>()
                .map_or(Cell::Null, |ip| ip.to_string().into()),
            Cell::Null,
        ),
    }
}

pub(super) const PG_PREPARED_STATEMENTS: &[&str] = &[
    "name",
    "statement",
    "prepare_time",
    "parameter_types",
    "from_sql",
    "generic_plans",
    "custom_plans",
];

/// The session's own.
pub(super) fn prepared_statements(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let type_name = |oid: &u32| super::types::by_oid(*oid).map_or_else(|| oid.to_string(), |row| row.display.clone());
    let statements = snapshot.session.statements.lock();
    statements
        .iter()
        .map(|(name, statement)| {
            vec![
                name.as_str().into(),
                statement.text.to_string().into(),
                instant(statement.prepared),
                Cell::Texts(statement.parameter_types.iter().map(type_name).collect()),
                statement.from_sql.into(),
                0_i64.into(),
                0_i64.into(),
            ]
        })
        .collect()
}

pub(super) fn sessions(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let identity = &snapshot.identity;
    let row = |entry: &std::sync::Arc<crate::engine::SessionEntry>| {
        // What others do is their own business, and the superuser's.
        let may_see = identity.superuser
            || identity
                .roles
                .named(&entry.user)
                .is_some_and(|role| identity.has_role(role.oid));
        let activity = entry.activity();
        let database = snapshot
            .databases
            .iter()
            .find(|database| database.oid == entry.database_oid());
        let state = match activity.state {
            SessionState::Active => "active",
            SessionState::Idle => "idle",
            SessionState::IdleInTransaction => "idle in transaction",
            SessionState::IdleInFailedTransaction => "idle in transaction (aborted)",
        };
        let (address, port) = address_and_port(&entry.client_address);
        let began = activity.statement_began.map_or(Cell::Null, instant);
        vec![
            entry.database_oid().into(),
            database.map_or(Cell::Null, |database| database.name.as_str().into()),
            i64::from(entry.process_id).into(),
            identity
                .roles
                .named(&entry.user)
                .map_or(Cell::Null, |role| role.oid.into()),
            entry.user.as_str().into(),
            activity.application_name.as_str().into(),
            address,
            port,
            instant(entry.connected),
            if activity.state == SessionState::Idle {
                Cell::Null
            } else {
                began.clone()
            },
            began,
            instant(activity.state_changed),
            state.into(),
            match may_see {
                true => activity.statement.as_ref().into(),
                false => "<insufficient privilege>".into(),
            },
            "client backend".into(),
        ]
    };
    snapshot.engine().sessions().iter().map(row).collect()
}

pub(super) const PG_STAT_DATABASE: &[&str] = &["datid", "datname", "numbackends"];

pub(super) fn databases(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let sessions = snapshot.engine().sessions();
    let row = |database: &std::sync::Arc<taospg_catalog::Database>| {
        let connected = sessions.iter().filter(|entry| entry.database_oid() == database.oid);
        vec![
            database.oid.into(),
            database.name.as_str().into(),
            (connected.count() as i64).into(),
        ]
    };
    snapshot.databases.iter().map(row).collect()
}

pub(super) const PG_STAT_TABLES: &[&str] = &["relid", "schemaname", "relname", "seq_scan", "n_live_tup", "n_dead_tup"];

/// Rows as they lie in files and memory, as `n_live_tup`.
pub(super) fn tables(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        let rows = snapshot.size_of(listed).map(|size: FamilySize| size.rows);
        vec![
            listed.oid.into(),
            snapshot.schema_of(listed).into(),
            listed.name.as_str().into(),
            Cell::Null,
            rows.map_or(Cell::Null, |rows| i64::try_from(rows).unwrap_or(i64::MAX).into()),
            0_i64.into(),
        ]
    };
    snapshot.tables.iter().map(row).collect()
}

pub(super) const PG_STATIO_TABLES: &[&str] = &["relid", "schemaname", "relname"];

pub(super) fn tables_io(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        vec![
            listed.oid.into(),
            snapshot.schema_of(listed).into(),
            listed.name.as_str().into(),
        ]
    };
    snapshot.tables.iter().map(row).collect()
}
