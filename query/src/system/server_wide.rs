//! Rows about the server as a whole: namespaces, types, databases, roles, settings.

use super::cell::{Cell, ColumnDef, Kind};
use super::snapshot::{HEAP_OID, INFORMATION_SCHEMA_OID, OWNER_OID, PG_CATALOG_OID, PUBLIC_OID, Snapshot};
use super::types::TYPES;

pub(super) const PG_TYPE: &[ColumnDef] = &[
    ("oid", Kind::Oid),
    ("typname", Kind::Name),
    ("typnamespace", Kind::Oid),
    ("typowner", Kind::Oid),
    ("typlen", Kind::Int2),
    ("typbyval", Kind::Bool),
    ("typtype", Kind::Char),
    ("typcategory", Kind::Char),
    ("typispreferred", Kind::Bool),
    ("typisdefined", Kind::Bool),
    ("typdelim", Kind::Char),
    ("typrelid", Kind::Oid),
    ("typelem", Kind::Oid),
    ("typarray", Kind::Oid),
    ("typinput", Kind::Text),
    ("typreceive", Kind::Text),
    ("typnotnull", Kind::Bool),
    ("typbasetype", Kind::Oid),
    ("typtypmod", Kind::Int4),
    ("typndims", Kind::Int4),
    ("typcollation", Kind::Oid),
    ("typdefault", Kind::Text),
    ("typacl", Kind::TextArray),
];

pub(super) fn types(_: &Snapshot) -> Vec<Vec<Cell>> {
    /// The default collation's OID, for text types.
    const DEFAULT_COLLATION: i64 = 100;
    TYPES
        .iter()
        .map(|row| {
            let pseudo = row.category == "P" || row.category == "X";
            let collation = if row.category == "S" { DEFAULT_COLLATION } else { 0 };
            let (input, receive) = if row.element != 0 {
                ("array_in".to_owned(), "array_recv".to_owned())
            } else {
                (format!("{}in", row.name), format!("{}recv", row.name))
            };
            vec![
                row.oid.into(),
                row.name.into(),
                PG_CATALOG_OID.into(),
                OWNER_OID.into(),
                row.length.into(),
                (row.length > 0 && row.length <= 8).into(),
                if pseudo { "p" } else { "b" }.into(),
                row.category.into(),
                false.into(),
                true.into(),
                ",".into(),
                0_i64.into(),
                row.element.into(),
                row.array.into(),
                input.into(),
                receive.into(),
                false.into(),
                0_i64.into(),
                (-1_i64).into(),
                0_i64.into(),
                collation.into(),
            ]
        })
        .collect()
}

pub(super) fn namespaces(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let owner = snapshot.owner_of(snapshot.session.database.oid);
    [
        (PG_CATALOG_OID, "pg_catalog", OWNER_OID, Cell::Null),
        (PUBLIC_OID, "public", owner, snapshot.nspacl()),
        (INFORMATION_SCHEMA_OID, "information_schema", OWNER_OID, Cell::Null),
    ]
    .into_iter()
    .map(|(oid, name, owner, acl)| vec![oid.into(), name.into(), owner.into(), acl])
    .collect()
}

pub(super) const PG_DATABASE: &[ColumnDef] = &[
    ("oid", Kind::Oid),
    ("datname", Kind::Name),
    ("datdba", Kind::Oid),
    ("encoding", Kind::Int4),
    ("datlocprovider", Kind::Char),
    ("datistemplate", Kind::Bool),
    ("datallowconn", Kind::Bool),
    ("datconnlimit", Kind::Int4),
    ("dattablespace", Kind::Oid),
    ("datcollate", Kind::Text),
    ("datctype", Kind::Text),
    ("daticulocale", Kind::Text),
    ("datacl", Kind::TextArray),
];

/// `pg_default`.
const DEFAULT_TABLESPACE: u32 = 1663;

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

pub(super) fn access_methods(_: &Snapshot) -> Vec<Vec<Cell>> {
    /// `btree`
    const BTREE_OID: u32 = 403;
    vec![
        vec![HEAP_OID.into(), "heap".into(), 0_i64.into(), "t".into()],
        vec![BTREE_OID.into(), "btree".into(), 0_i64.into(), "i".into()],
    ]
}

pub(super) fn tablespaces(_: &Snapshot) -> Vec<Vec<Cell>> {
    vec![vec![DEFAULT_TABLESPACE.into(), "pg_default".into(), OWNER_OID.into()]]
}

pub(super) const PG_SETTINGS: &[ColumnDef] = &[
    ("name", Kind::Text),
    ("setting", Kind::Text),
    ("unit", Kind::Text),
    ("category", Kind::Text),
    ("short_desc", Kind::Text),
    ("context", Kind::Text),
    ("vartype", Kind::Text),
    ("source", Kind::Text),
    ("boot_val", Kind::Text),
    ("reset_val", Kind::Text),
];

pub(super) fn settings(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let settings = snapshot.session.settings.all();
    settings
        .map(|(name, value, description)| {
            vec![
                name.into(),
                value.into(),
                Cell::Null,
                Cell::Null,
                description.into(),
                "user".into(),
                "string".into(),
                "default".into(),
                value.into(),
                value.into(),
            ]
        })
        .collect()
}
