//! Rows about tables: pg_class and what hangs on it. A supertable is a table whose key is its tags and its time column; its
//! children inherit from it, and are listed only when asked for by name or OID, since there may be millions.

use taospg_catalog::Column;

use super::cell::{Cell, ColumnDef, Kind};
use super::snapshot::{
    HEAP_OID, INDEX_BIT, INFORMATION_SCHEMA_OID, Listed, OWNER_OID, PG_CATALOG_OID, PUBLIC_OID, Snapshot,
};
use super::tables::TABLES;
use super::types;

pub(super) const PG_CLASS: &[ColumnDef] = &[
    ("oid", Kind::Oid),
    ("relname", Kind::Name),
    ("relnamespace", Kind::Oid),
    ("reltype", Kind::Oid),
    ("reloftype", Kind::Oid),
    ("relowner", Kind::Oid),
    ("relam", Kind::Oid),
    ("relfilenode", Kind::Oid),
    ("reltablespace", Kind::Oid),
    ("relpages", Kind::Int4),
    ("reltuples", Kind::Float4),
    ("reltoastrelid", Kind::Oid),
    ("relhasindex", Kind::Bool),
    ("relisshared", Kind::Bool),
    ("relpersistence", Kind::Char),
    ("relkind", Kind::Char),
    ("relnatts", Kind::Int2),
    ("relchecks", Kind::Int2),
    ("relhasrules", Kind::Bool),
    ("relhastriggers", Kind::Bool),
    ("relhassubclass", Kind::Bool),
    ("relrowsecurity", Kind::Bool),
    ("relforcerowsecurity", Kind::Bool),
    ("relispopulated", Kind::Bool),
    ("relreplident", Kind::Char),
    ("relispartition", Kind::Bool),
    ("relacl", Kind::TextArray),
    ("reloptions", Kind::TextArray),
    ("relpartbound", Kind::Text),
];

struct Class<'a> {
    oid: u32,
    name: &'a str,
    namespace: u32,
    access_method: u32,
    kind: &'a str,
    columns: usize,
    has_index: bool,
    has_parts: bool,
    owner: u32,
    acl: Cell,
}

fn class(row: Class) -> Vec<Cell> {
    vec![
        row.oid.into(),
        row.name.into(),
        row.namespace.into(),
        0_i64.into(),
        0_i64.into(),
        row.owner.into(),
        row.access_method.into(),
        row.oid.into(),
        0_i64.into(),
        0_i64.into(),
        (-1_i64).into(),
        0_i64.into(),
        row.has_index.into(),
        false.into(),
        "p".into(),
        row.kind.into(),
        (row.columns as i64).into(),
        0_i64.into(),
        false.into(),
        false.into(),
        row.has_parts.into(),
        false.into(),
        false.into(),
        true.into(),
        "d".into(),
        false.into(),
        row.acl,
        Cell::Null,
        Cell::Null,
    ]
}

pub(super) fn classes(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    /// `btree`
    const BTREE_OID: u32 = 403;
    let mut rows = Vec::new();
    for listed in &snapshot.tables {
        let partitioned = listed.is_partitioned();
        rows.push(class(Class {
            oid: listed.oid,
            name: &listed.name,
            namespace: PUBLIC_OID,
            access_method: HEAP_OID,
            // A plain table to PostgreSQL's eyes: psql then shows its key and does not count parts.
            kind: "r",
            columns: listed.columns().len(),
            has_index: true,
            has_parts: partitioned,
            owner: snapshot.owner_of(listed.table.oid),
            acl: snapshot.relacl(listed),
        }));
        rows.push(class(Class {
            oid: listed.oid | INDEX_BIT,
            name: &listed.key_name(),
            namespace: PUBLIC_OID,
            access_method: BTREE_OID,
            kind: "i",
            columns: listed.key().len(),
            has_index: false,
            has_parts: false,
            owner: snapshot.owner_of(listed.table.oid),
            acl: Cell::Null,
        }));
    }
    for table in TABLES {
        let is_view = table.oid >= 12_000;
        rows.push(class(Class {
            oid: table.oid,
            name: table.name,
            namespace: if table.schema == "pg_catalog" {
                PG_CATALOG_OID
            } else {
                INFORMATION_SCHEMA_OID
            },
            access_method: if is_view { 0 } else { HEAP_OID },
            kind: if is_view { "v" } else { "r" },
            columns: table.columns.len(),
            has_index: false,
            has_parts: false,
            owner: OWNER_OID,
            acl: Cell::Null,
        }));
    }
    rows
}

pub(super) const PG_ATTRIBUTE: &[ColumnDef] = &[
    ("attrelid", Kind::Oid),
    ("attname", Kind::Name),
    ("atttypid", Kind::Oid),
    ("attstattarget", Kind::Int4),
    ("attlen", Kind::Int2),
    ("attnum", Kind::Int2),
    ("attndims", Kind::Int4),
    ("atttypmod", Kind::Int4),
    ("attbyval", Kind::Bool),
    ("attstorage", Kind::Char),
    ("attcompression", Kind::Char),
    ("attnotnull", Kind::Bool),
    ("atthasdef", Kind::Bool),
    ("atthasmissing", Kind::Bool),
    ("attidentity", Kind::Char),
    ("attgenerated", Kind::Char),
    ("attisdropped", Kind::Bool),
    ("attislocal", Kind::Bool),
    ("attinhcount", Kind::Int4),
    ("attcollation", Kind::Oid),
    ("attacl", Kind::TextArray),
    ("attoptions", Kind::TextArray),
    ("attfdwoptions", Kind::TextArray),
];

fn attribute(relation: u32, column: &Column) -> Vec<Cell> {
    let length = types::by_oid(column.sql_type.oid()).map_or(-1, |row| row.length);
    vec![
        relation.into(),
        column.name.as_str().into(),
        column.sql_type.oid().into(),
        (-1_i64).into(),
        length.into(),
        i64::from(column.attnum).into(),
        0_i64.into(),
        i64::from(column.sql_type.type_modifier()).into(),
        (length > 0).into(),
        if length > 0 { "p" } else { "x" }.into(),
        "".into(),
        column.not_null.into(),
        column.default.is_some().into(),
        false.into(),
        "".into(),
        "".into(),
        false.into(),
        true.into(),
        0_i64.into(),
        0_i64.into(),
    ]
}

pub(super) fn attributes(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    snapshot
        .tables
        .iter()
        .flat_map(|listed| {
            let columns = listed.columns();
            columns
                .into_iter()
                .map(|column| attribute(listed.oid, column))
                .collect::<Vec<_>>()
        })
        .collect()
}

pub(super) fn defaults(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for listed in &snapshot.tables {
        for column in listed.columns() {
            if let Some(default) = &column.default {
                rows.push(vec![
                    listed.oid.into(),
                    listed.oid.into(),
                    i64::from(column.attnum).into(),
                    default.as_str().into(),
                ]);
            }
        }
    }
    rows
}

pub(super) const PG_INDEX: &[ColumnDef] = &[
    ("indexrelid", Kind::Oid),
    ("indrelid", Kind::Oid),
    ("indnatts", Kind::Int2),
    ("indnkeyatts", Kind::Int2),
    ("indisunique", Kind::Bool),
    ("indnullsnotdistinct", Kind::Bool),
    ("indisprimary", Kind::Bool),
    ("indisexclusion", Kind::Bool),
    ("indimmediate", Kind::Bool),
    ("indisclustered", Kind::Bool),
    ("indisvalid", Kind::Bool),
    ("indisready", Kind::Bool),
    ("indislive", Kind::Bool),
    ("indisreplident", Kind::Bool),
    ("indkey", Kind::Int2Vector),
    ("indcollation", Kind::OidArray),
    ("indclass", Kind::OidArray),
    ("indoption", Kind::Int2Vector),
    ("indexprs", Kind::Text),
    ("indpred", Kind::Text),
];

fn key_numbers(listed: &Listed) -> Vec<i64> {
    listed.key().iter().map(|column| i64::from(column.attnum)).collect()
}

pub(super) fn indexes(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    snapshot
        .tables
        .iter()
        .map(|listed| {
            let key = key_numbers(listed);
            let width = key.len();
            vec![
                (listed.oid | INDEX_BIT).into(),
                listed.oid.into(),
                (width as i64).into(),
                (width as i64).into(),
                true.into(),
                false.into(),
                true.into(),
                false.into(),
                true.into(),
                false.into(),
                true.into(),
                true.into(),
                true.into(),
                false.into(),
                Cell::Numbers(key),
                Cell::Numbers(vec![0; width]),
                Cell::Numbers(vec![0; width]),
                Cell::Numbers(vec![0; width]),
            ]
        })
        .collect()
}

pub(super) const PG_CONSTRAINT: &[ColumnDef] = &[
    ("oid", Kind::Oid),
    ("conname", Kind::Name),
    ("connamespace", Kind::Oid),
    ("contype", Kind::Char),
    ("condeferrable", Kind::Bool),
    ("condeferred", Kind::Bool),
    ("convalidated", Kind::Bool),
    ("conrelid", Kind::Oid),
    ("contypid", Kind::Oid),
    ("conindid", Kind::Oid),
    ("conparentid", Kind::Oid),
    ("confrelid", Kind::Oid),
    ("confupdtype", Kind::Char),
    ("confdeltype", Kind::Char),
    ("confmatchtype", Kind::Char),
    ("conislocal", Kind::Bool),
    ("coninhcount", Kind::Int4),
    ("connoinherit", Kind::Bool),
    ("conkey", Kind::Int2Array),
    ("confkey", Kind::Int2Array),
    ("conbin", Kind::Text),
];

pub(super) fn constraints(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    snapshot
        .tables
        .iter()
        .map(|listed| {
            vec![
                (listed.oid | INDEX_BIT).into(),
                listed.key_name().into(),
                PUBLIC_OID.into(),
                "p".into(),
                false.into(),
                false.into(),
                true.into(),
                listed.oid.into(),
                0_i64.into(),
                (listed.oid | INDEX_BIT).into(),
                0_i64.into(),
                0_i64.into(),
                " ".into(),
                " ".into(),
                " ".into(),
                true.into(),
                0_i64.into(),
                true.into(),
                Cell::Numbers(key_numbers(listed)),
            ]
        })
        .collect()
}

pub(super) fn inherits(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let children = snapshot.tables.iter().filter(|listed| listed.is_child);
    children
        .map(|listed| vec![listed.oid.into(), listed.table.oid.into(), 1_i64.into(), false.into()])
        .collect()
}

pub(super) fn partitioned(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let supertables = snapshot.tables.iter().filter(|listed| listed.is_partitioned());
    supertables
        .map(|listed| vec![listed.oid.into(), "l".into(), 1_i64.into(), 0_i64.into()])
        .collect()
}

pub(super) fn descriptions(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    /// pg_class
    const CLASS: u32 = 1259;
    let mut rows = Vec::new();
    for listed in snapshot.tables.iter().filter(|listed| !listed.is_child) {
        if let Some(comment) = &listed.table.comment {
            rows.push(vec![
                listed.oid.into(),
                CLASS.into(),
                0_i64.into(),
                comment.as_str().into(),
            ]);
        }
    }
    rows
}

pub(super) const PG_TABLES: &[ColumnDef] = &[
    ("schemaname", Kind::Name),
    ("tablename", Kind::Name),
    ("tableowner", Kind::Name),
    ("tablespace", Kind::Name),
    ("hasindexes", Kind::Bool),
    ("hasrules", Kind::Bool),
    ("hastriggers", Kind::Bool),
    ("rowsecurity", Kind::Bool),
];

pub(super) fn tables_view(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        vec![
            "public".into(),
            listed.name.as_str().into(),
            "postgres".into(),
            Cell::Null,
            true.into(),
            false.into(),
            false.into(),
            false.into(),
        ]
    };
    snapshot.tables.iter().map(row).collect()
}

pub(super) fn indexes_view(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        vec![
            "public".into(),
            listed.name.as_str().into(),
            listed.key_name().into(),
            Cell::Null,
            index_definition(listed).into(),
        ]
    };
    snapshot.tables.iter().map(row).collect()
}

/// As `pg_get_indexdef` prints it.
pub(super) fn index_definition(listed: &Listed) -> String {
    format!(
        "CREATE UNIQUE INDEX {} ON public.{} USING btree ({})",
        listed.key_name(),
        listed.name,
        key_list(listed)
    )
}

/// As `pg_get_constraintdef` prints it.
pub(super) fn constraint_definition(listed: &Listed) -> String {
    format!("PRIMARY KEY ({})", key_list(listed))
}

fn key_list(listed: &Listed) -> String {
    let names: Vec<&str> = listed.key().into_iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}
