//! information_schema: the SQL standard's view of the catalog, as far as tools read it.

use taospg_catalog::SqlType;

use super::cell::{Cell, ColumnDef, Kind};
use super::snapshot::{Listed, Snapshot};
use super::types;

pub(super) const SCHEMATA: &[ColumnDef] = &[
    ("catalog_name", Kind::Name),
    ("schema_name", Kind::Name),
    ("schema_owner", Kind::Name),
];

pub(super) fn schemata(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |name: &str| vec![database(snapshot), name.into(), "postgres".into()];
    ["information_schema", "pg_catalog", "public"].map(row).into()
}

fn database(snapshot: &Snapshot) -> Cell {
    snapshot.session.database.name.as_str().into()
}

pub(super) const TABLES: &[ColumnDef] = &[
    ("table_catalog", Kind::Name),
    ("table_schema", Kind::Name),
    ("table_name", Kind::Name),
    ("table_type", Kind::Text),
    ("self_referencing_column_name", Kind::Name),
    ("reference_generation", Kind::Text),
    ("user_defined_type_catalog", Kind::Name),
    ("user_defined_type_schema", Kind::Name),
    ("user_defined_type_name", Kind::Name),
    ("is_insertable_into", Kind::Text),
    ("is_typed", Kind::Text),
    ("commit_action", Kind::Text),
];

pub(super) fn tables(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let own = snapshot
        .tables
        .iter()
        .map(|listed| ("public", listed.name.as_str(), "BASE TABLE"));
    let system = super::tables::TABLES.iter().map(|table| {
        let kind = if table.schema == "information_schema" {
            "VIEW"
        } else {
            "BASE TABLE"
        };
        (table.schema, table.name, kind)
    });
    own.chain(system)
        .map(|(schema, name, kind)| {
            let insertable = if schema == "public" { "YES" } else { "NO" };
            vec![
                database(snapshot),
                schema.into(),
                name.into(),
                kind.into(),
                Cell::Null,
                Cell::Null,
                Cell::Null,
                Cell::Null,
                Cell::Null,
                insertable.into(),
                "NO".into(),
                Cell::Null,
            ]
        })
        .collect()
}

pub(super) const COLUMNS: &[ColumnDef] = &[
    ("table_catalog", Kind::Name),
    ("table_schema", Kind::Name),
    ("table_name", Kind::Name),
    ("column_name", Kind::Name),
    ("ordinal_position", Kind::Int4),
    ("column_default", Kind::Text),
    ("is_nullable", Kind::Text),
    ("data_type", Kind::Text),
    ("character_maximum_length", Kind::Int4),
    ("character_octet_length", Kind::Int4),
    ("numeric_precision", Kind::Int4),
    ("numeric_precision_radix", Kind::Int4),
    ("numeric_scale", Kind::Int4),
    ("datetime_precision", Kind::Int4),
    ("udt_catalog", Kind::Name),
    ("udt_schema", Kind::Name),
    ("udt_name", Kind::Name),
    ("is_identity", Kind::Text),
    ("is_generated", Kind::Text),
    ("is_updatable", Kind::Text),
];

pub(super) fn columns(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for listed in &snapshot.tables {
        for column in listed.columns() {
            let row = types::by_oid(column.sql_type.oid());
            let length: Cell = match column.sql_type {
                SqlType::Varchar(characters) | SqlType::Char(characters) => characters.into(),
                _ => Cell::Null,
            };
            let (precision, radix, scale) = numeric_shape(column.sql_type);
            let is_time = matches!(column.sql_type, SqlType::Timestamp | SqlType::Timestamptz);
            rows.push(vec![
                database(snapshot),
                "public".into(),
                listed.name.as_str().into(),
                column.name.as_str().into(),
                i64::from(column.attnum).into(),
                column.default.as_deref().map_or(Cell::Null, Cell::from),
                if column.not_null { "NO" } else { "YES" }.into(),
                row.map_or("USER-DEFINED", |row| row.display).into(),
                length,
                Cell::Null,
                precision,
                radix,
                scale,
                if is_time { 6_i64.into() } else { Cell::Null },
                database(snapshot),
                "pg_catalog".into(),
                row.map_or("", |row| row.name).into(),
                "NO".into(),
                "NEVER".into(),
                "YES".into(),
            ]);
        }
    }
    rows
}

/// numeric_precision, its radix and numeric_scale: bits for the binary types, digits for numeric.
fn numeric_shape(sql_type: SqlType) -> (Cell, Cell, Cell) {
    match sql_type {
        SqlType::SmallInt => (16_i64.into(), 2_i64.into(), 0_i64.into()),
        SqlType::Integer => (32_i64.into(), 2_i64.into(), 0_i64.into()),
        SqlType::BigInt => (64_i64.into(), 2_i64.into(), 0_i64.into()),
        SqlType::Real => (24_i64.into(), 2_i64.into(), Cell::Null),
        SqlType::Double => (53_i64.into(), 2_i64.into(), Cell::Null),
        SqlType::Numeric { precision, scale } => (i64::from(precision).into(), 10_i64.into(), i64::from(scale).into()),
        _ => (Cell::Null, Cell::Null, Cell::Null),
    }
}

pub(super) const TABLE_CONSTRAINTS: &[ColumnDef] = &[
    ("constraint_catalog", Kind::Name),
    ("constraint_schema", Kind::Name),
    ("constraint_name", Kind::Name),
    ("table_catalog", Kind::Name),
    ("table_schema", Kind::Name),
    ("table_name", Kind::Name),
    ("constraint_type", Kind::Text),
    ("is_deferrable", Kind::Text),
    ("initially_deferred", Kind::Text),
];

/// Catalog, schema and name of the key, then those of its table.
fn key_of(snapshot: &Snapshot, listed: &Listed) -> Vec<Cell> {
    vec![
        database(snapshot),
        "public".into(),
        listed.key_name().into(),
        database(snapshot),
        "public".into(),
        listed.name.as_str().into(),
    ]
}

pub(super) fn table_constraints(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        let mut row = key_of(snapshot, listed);
        row.extend(["PRIMARY KEY", "NO", "NO"].map(Cell::from));
        row
    };
    snapshot.tables.iter().map(row).collect()
}

pub(super) const KEY_COLUMN_USAGE: &[ColumnDef] = &[
    ("constraint_catalog", Kind::Name),
    ("constraint_schema", Kind::Name),
    ("constraint_name", Kind::Name),
    ("table_catalog", Kind::Name),
    ("table_schema", Kind::Name),
    ("table_name", Kind::Name),
    ("column_name", Kind::Name),
    ("ordinal_position", Kind::Int4),
];

pub(super) fn key_column_usage(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for listed in &snapshot.tables {
        for (position, column) in listed.key().into_iter().enumerate() {
            let mut row = key_of(snapshot, listed);
            row.push(column.name.as_str().into());
            row.push((position as i64 + 1).into());
            rows.push(row);
        }
    }
    rows
}
