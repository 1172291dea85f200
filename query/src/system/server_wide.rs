//! Rows about the server as a whole: namespaces, types, databases, roles, settings.

use super::cell::Cell;
use super::snapshot::{INFORMATION_SCHEMA_OID, OWNER_OID, PG_CATALOG_OID, PUBLIC_OID, Snapshot, TEMPORARY_OID};
use crate::settings::{Kind, SETTINGS};

pub(super) const PG_NAMESPACE: &[&str] = &["oid", "nspname", "nspowner", "nspacl"];

pub(super) const NAMESPACE_COMMENTS: &[(u32, &str)] = &[
    (PG_CATALOG_OID, "system catalog schema"),
    (PUBLIC_OID, "standard public schema"),
];

pub(super) fn namespaces(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let owner = snapshot.owner_of(snapshot.session.database.oid);
    let always = [
        (PG_CATALOG_OID, "pg_catalog", OWNER_OID, Cell::Null),
        (PUBLIC_OID, "public", owner, snapshot.nspacl()),
        (INFORMATION_SCHEMA_OID, "information_schema", OWNER_OID, Cell::Null),
    ];
    let schema = snapshot.session.temporaries.schema.as_str();
    let temporary = snapshot
        .has_temporary()
        .then_some((TEMPORARY_OID, schema, OWNER_OID, Cell::Null));
    always
        .into_iter()
        .chain(temporary)
        .map(|(oid, name, owner, acl)| vec![oid.into(), name.into(), owner.into(), acl])
        .collect()
}

pub(super) const PG_DATABASE: &[&str] = &[
    "oid",
    "datname",
    "datdba",
    "encoding",
    "datlocprovider",
    "datistemplate",
    "datallowconn",
    "datconnlimit",
    "dattablespace",
    "datcollate",
    "datctype",
    "daticulocale",
    "datacl",
];

/// `pg_default`.
pub(super) const DEFAULT_TABLESPACE: u32 = 1663;

pub(super) fn databases(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    /// PostgreSQL's number for UTF8.
    const UTF8: i64 = 6;
    snapshot
        .databases
        .iter()
        .map(|database| {
            vec![
                database.oid.into(),
                database.name.as_str().into(),
                snapshot.owner_of(database.oid).into(),
                UTF8.into(),
                "c".into(),
                false.into(),
                true.into(),
                (-1_i64).into(),
                DEFAULT_TABLESPACE.into(),
                "C.UTF-8".into(),
                "C.UTF-8".into(),
                Cell::Null,
                snapshot.datacl(database),
            ]
        })
        .collect()
}

pub(super) const PG_TABLESPACE: &[&str] = &["oid", "spcname", "spcowner", "spcacl", "spcoptions"];

pub(super) fn tablespaces(_: &Snapshot) -> Vec<Vec<Cell>> {
    vec![vec![DEFAULT_TABLESPACE.into(), "pg_default".into(), OWNER_OID.into()]]
}

pub(super) const PG_SETTINGS: &[&str] = &[
    "name",
    "setting",
    "unit",
    "category",
    "short_desc",
    "context",
    "vartype",
    "source",
    "boot_val",
    "reset_val",
    "pending_restart",
];

pub(super) fn settings(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let settings = snapshot.session.settings.current();
    SETTINGS
        .iter()
        .map(|setting| {
            let value = settings.find(setting.name).unwrap_or(setting.default);
            let is_fixed = matches!(setting.kind, Kind::Fixed);
            let vartype = match setting.kind {
                Kind::Boolean => "bool",
                Kind::Choice(_) => "enum",
                Kind::Integer { .. } | Kind::Milliseconds => "integer",
                Kind::Real { .. } => "real",
                Kind::Text | Kind::Fixed | Kind::Special => "string",
            };
            vec![
                setting.name.into(),
                value.into(),
                Cell::Null,
                "Taospg".into(),
                setting.description.into(),
                if is_fixed { "internal" } else { "user" }.into(),
                vartype.into(),
                if value == setting.default { "default" } else { "session" }.into(),
                setting.default.into(),
                setting.default.into(),
                false.into(),
            ]
        })
        .collect()
}

pub(super) const PG_EXTENSION: &[&str] = &[
    "oid",
    "extname",
    "extowner",
    "extnamespace",
    "extrelocatable",
    "extversion",
];

/// The extension that our own functions belong to.
pub(super) const EXTENSION: &str = "taospg";
const EXTENSION_COMMENT: &str = "time series: supertables, time_bucket, first, last";

pub(super) fn extensions(_: &Snapshot) -> Vec<Vec<Cell>> {
    /// The first OID that PostgreSQL gives to objects made by initdb.
    const EXTENSION_OID: u32 = 13_999;
    vec![vec![
        EXTENSION_OID.into(),
        EXTENSION.into(),
        OWNER_OID.into(),
        PUBLIC_OID.into(),
        false.into(),
        env!("CARGO_PKG_VERSION").into(),
    ]]
}

pub(super) const PG_AVAILABLE_EXTENSIONS: &[&str] = &["name", "default_version", "installed_version", "comment"];

pub(super) fn available_extensions(_: &Snapshot) -> Vec<Vec<Cell>> {
    let version = env!("CARGO_PKG_VERSION");
    vec![vec![
        EXTENSION.into(),
        version.into(),
        version.into(),
        EXTENSION_COMMENT.into(),
    ]]
}

pub(super) const PG_TIMEZONE_NAMES: &[&str] = &["name", "abbrev", "utc_offset", "is_dst"];

pub(super) fn timezone_names(_: &Snapshot) -> Vec<Vec<Cell>> {
    use chrono::{Offset, TimeZone};
    use chrono_tz::OffsetName;
    let now = chrono::Utc::now().naive_utc();
    let row = |zone: &chrono_tz::Tz| {
        let offset = zone.offset_from_utc_datetime(&now);
        let is_dst = chrono_tz::OffsetComponents::dst_offset(&offset) != chrono::TimeDelta::zero();
        let abbreviation = offset.abbreviation().unwrap_or_default();
        let seconds = i64::from(offset.fix().local_minus_utc());
        vec![
            zone.name().into(),
            abbreviation.into(),
            (seconds * 1_000_000).into(),
            is_dst.into(),
        ]
    };
    chrono_tz::TZ_VARIANTS.iter().map(row).collect()
}
