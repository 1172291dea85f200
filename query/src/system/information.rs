//! information_schema: the SQL standard's view of the catalog, as far as tools read it.

use taospg_catalog::SqlType;

use super::cell::Cell;
use super::procedures;
use super::snapshot::{Listed, PUBLIC_OID, Snapshot};
use super::types;

pub(super) const SCHEMATA: &[&str] = &["catalog_name", "schema_name", "schema_owner"];

pub(super) fn schemata(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |name: &str| vec![database(snapshot), name.into(), "postgres".into()];
    ["information_schema", "pg_catalog", "public"].map(row).into()
}

fn database(snapshot: &Snapshot) -> Cell {
    snapshot.session.database.name.as_str().into()
}

pub(super) const TABLES: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "table_type",
    "self_referencing_column_name",
    "reference_generation",
    "user_defined_type_catalog",
    "user_defined_type_schema",
    "user_defined_type_name",
    "is_insertable_into",
    "is_typed",
    "commit_action",
];

pub(super) fn tables(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let own = snapshot.tables.iter().map(|listed| match listed.temporary {
        Some(_) => (snapshot.schema_of(listed), listed.name.as_str(), "LOCAL TEMPORARY"),
        None => ("public", listed.name.as_str(), "BASE TABLE"),
    });
    let system = super::tables::TABLES.iter().map(|table| {
        let kind = if table.is_view { "VIEW" } else { "BASE TABLE" };
        (table.schema, table.name, kind)
    });
    let views = snapshot.views.iter().map(|view| ("public", view.name.as_str(), "VIEW"));
    own.chain(views)
        .chain(system)
        .map(|(schema, name, kind)| {
            let temporary = kind == "LOCAL TEMPORARY";
            let insertable = if temporary || (kind == "BASE TABLE" && schema == "public") {
                "YES"
            } else {
                "NO"
            };
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
                if temporary { "PRESERVE".into() } else { Cell::Null },
            ]
        })
        .collect()
}

pub(super) const COLUMNS: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
    "column_default",
    "is_nullable",
    "data_type",
    "character_maximum_length",
    "character_octet_length",
    "numeric_precision",
    "numeric_precision_radix",
    "numeric_scale",
    "datetime_precision",
    "udt_catalog",
    "udt_schema",
    "udt_name",
    "is_identity",
    "is_generated",
    "is_updatable",
];

pub(super) fn columns(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = super::views::columns(snapshot);
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
                snapshot.schema_of(listed).into(),
                listed.name.as_str().into(),
                column.name.as_str().into(),
                i64::from(column.attnum).into(),
                column.default.as_deref().map_or(Cell::Null, Cell::from),
                if column.not_null { "NO" } else { "YES" }.into(),
                row.map_or("USER-DEFINED", |row| row.display.as_str()).into(),
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
    for table in super::tables::TABLES.iter() {
        for (number, ((name, _), type_oid)) in (1_i64..).zip(table.columns.iter().zip(&table.type_oids)) {
            let row = types::by_oid(*type_oid);
            let data_type = match row {
                Some(row) if row.category == "A" => "ARRAY",
                Some(row) => row.display.as_str(),
                None => "USER-DEFINED",
            };
            rows.push(vec![
                database(snapshot),
                table.schema.into(),
                table.name.into(),
                (*name).into(),
                number.into(),
                Cell::Null,
                if table.is_view { "YES" } else { "NO" }.into(),
                data_type.into(),
                Cell::Null,
                Cell::Null,
                Cell::Null,
                Cell::Null,
                Cell::Null,
                Cell::Null,
                database(snapshot),
                "pg_catalog".into(),
                row.map_or("", |row| row.name).into(),
                "NO".into(),
                "NEVER".into(),
                "NO".into(),
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

pub(super) const TABLE_CONSTRAINTS: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "table_catalog",
    "table_schema",
    "table_name",
    "constraint_type",
    "is_deferrable",
    "initially_deferred",
];

/// Catalog, schema and name of the key, then those of its table.
fn key_of(snapshot: &Snapshot, listed: &Listed) -> Vec<Cell> {
    vec![
        database(snapshot),
        snapshot.schema_of(listed).into(),
        listed.key_name().into(),
        database(snapshot),
        snapshot.schema_of(listed).into(),
        listed.name.as_str().into(),
    ]
}

pub(super) fn table_constraints(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        let mut row = key_of(snapshot, listed);
        row.extend(["PRIMARY KEY", "NO", "NO"].map(Cell::from));
        row
    };
    let keyed = snapshot.tables.iter().filter(|listed| listed.has_key());
    keyed.map(row).collect()
}

pub(super) const KEY_COLUMN_USAGE: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
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

pub(super) const CONSTRAINT_COLUMN_USAGE: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
];

pub(super) fn constraint_column_usage(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for listed in &snapshot.tables {
        for column in listed.key() {
            rows.push(vec![
                database(snapshot),
                snapshot.schema_of(listed).into(),
                listed.name.as_str().into(),
                column.name.as_str().into(),
                database(snapshot),
                snapshot.schema_of(listed).into(),
                listed.key_name().into(),
            ]);
        }
    }
    rows
}

pub(super) const ROUTINES: &[&str] = &[
    "specific_catalog",
    "specific_schema",
    "specific_name",
    "routine_catalog",
    "routine_schema",
    "routine_name",
    "routine_type",
    "data_type",
    "routine_body",
    "external_language",
    "is_deterministic",
];

fn schema_of(procedure: &procedures::Procedure) -> &'static str {
    match procedure.namespace {
        PUBLIC_OID => "public",
        _ => "pg_catalog",
    }
}

pub(super) fn routines(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |procedure: &procedures::Procedure| {
        let schema = schema_of(procedure);
        vec![
            database(snapshot),
            schema.into(),
            format!("{}_{}", procedure.name, procedure.oid).into(),
            database(snapshot),
            schema.into(),
            (*procedure.name).into(),
            if procedure.kind == "f" {
                "FUNCTION".into()
            } else {
                Cell::Null
            },
            types::display(procedure.result, -1).into(),
            "EXTERNAL".into(),
            "INTERNAL".into(),
            if procedure.volatility == "i" { "YES" } else { "NO" }.into(),
        ]
    };
    procedures::all().iter().map(row).collect()
}

pub(super) const PARAMETERS: &[&str] = &[
    "specific_catalog",
    "specific_schema",
    "specific_name",
    "ordinal_position",
    "parameter_mode",
    "is_result",
    "as_locator",
    "data_type",
];

pub(super) fn parameters(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for procedure in procedures::all() {
        for (number, argument) in (1_i64..).zip(&procedure.arguments) {
            rows.push(vec![
                database(snapshot),
                schema_of(procedure).into(),
                format!("{}_{}", procedure.name, procedure.oid).into(),
                number.into(),
                "IN".into(),
                "NO".into(),
                "NO".into(),
                types::display(*argument, -1).into(),
            ]);
        }
    }
    rows
}

pub(super) const CATALOG_NAME: &[&str] = &["catalog_name"];

pub(super) fn catalog_name(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    vec![vec![database(snapshot)]]
}
