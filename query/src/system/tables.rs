//! The list of system tables. PostgreSQL says which there are and which columns they have (`postgresql.rs`); [`SOURCES`] says which have rows
//! here and how these are made from the live catalog. Clients ask the others all the same, and must be able to plan.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use arrow::array::RecordBatch;
use datafusion::common::Result;

use super::cell::{self, Cell, ColumnDef, Kind};
use super::snapshot::{INFORMATION_SCHEMA_OID, PG_CATALOG_OID, Snapshot};
use super::{
    activity, grants, hypertables, information, objects, postgresql, procedures, relations, roles, server_wide, views,
};

/// Makes the rows of a system table as the catalog is now.
pub(super) type Rows = fn(&Snapshot) -> Vec<Vec<Cell>>;

pub(super) struct SystemTable {
    pub schema: &'static str,
    pub name: &'static str,
    /// OID of the table itself in pg_class: PostgreSQL's.
    pub oid: u32,
    pub is_view: bool,
    pub columns: Vec<ColumnDef>,
    /// The columns' types, as pg_attribute tells them.
    pub type_oids: Vec<u32>,
    pub source: Option<&'static Source>,
    fixed: OnceLock<RecordBatch>,
}

impl SystemTable {
    pub fn schema_oid(&self) -> u32 {
        match self.schema {
            "pg_catalog" => PG_CATALOG_OID,
            _ => INFORMATION_SCHEMA_OID,
        }
    }

    /// The rows that never change; `rows` is called the first time.
    pub fn fixed_batch(&self, rows: impl FnOnce() -> Vec<Vec<Cell>>) -> Result<RecordBatch> {
        if let Some(batch) = self.fixed.get() {
            return Ok(batch.clone());
        }
        let batch = cell::batch(&self.columns, &self.arranged(rows()))?;
        Ok(self.fixed.get_or_init(|| batch).clone())
    }

    /// Rows with a cell for each column; columns that the source does not give are null.
    pub fn arranged(&self, rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
        let Some(source) = self.source else {
            return Vec::new();
        };
        let places: Vec<Option<usize>> = self
            .columns
            .iter()
            .map(|(name, _)| source.columns.iter().position(|own| own == name))
            .collect();
        let arrange = |mut row: Vec<Cell>| {
            let cell = |place: &Option<usize>| match place.and_then(|place| row.get_mut(place)) {
                Some(cell) => std::mem::replace(cell, Cell::Null),
                None => Cell::Null,
            };
            places.iter().map(cell).collect()
        };
        rows.into_iter().map(arrange).collect()
    }
}

/// Where the rows of a system table come from.
pub(super) struct Source {
    schema: &'static str,
    name: &'static str,
    /// The order of a row's cells.
    columns: &'static [&'static str],
    pub rows: Rows,
    /// Rows that are the same as long as the server runs: made once.
    pub fixed: Option<Rows>,
}

const fn live(name: &'static str, columns: &'static [&'static str], rows: Rows) -> Source {
    Source {
        schema: "pg_catalog",
        name,
        columns,
        rows,
        fixed: None,
    }
}

const fn fixed(name: &'static str, columns: &'static [&'static str], rows: Rows) -> Source {
    live_and_fixed(name, columns, no_rows, rows)
}

const fn live_and_fixed(name: &'static str, columns: &'static [&'static str], rows: Rows, fixed: Rows) -> Source {
    Source {
        schema: "pg_catalog",
        name,
        columns,
        rows,
        fixed: Some(fixed),
    }
}

const fn standard(name: &'static str, columns: &'static [&'static str], rows: Rows) -> Source {
    Source {
        schema: "information_schema",
        name,
        columns,
        rows,
        fixed: None,
    }
}

const fn of_timescale(name: &'static str, columns: &'static [&'static str], rows: Rows) -> Source {
    Source {
        schema: hypertables::SCHEMA,
        name,
        columns,
        rows,
        fixed: None,
    }
}

fn no_rows(_: &Snapshot) -> Vec<Vec<Cell>> {
    Vec::new()
}

const SOURCES: &[Source] = &[
    live("pg_namespace", server_wide::PG_NAMESPACE, server_wide::namespaces),
    live_and_fixed(
        "pg_class",
        relations::PG_CLASS,
        relations::classes,
        relations::system_classes,
    ),
    live_and_fixed(
        "pg_attribute",
        relations::PG_ATTRIBUTE,
        relations::attributes,
        relations::system_attributes,
    ),
    live("pg_attrdef", relations::PG_ATTRDEF, relations::defaults),
    live("pg_index", relations::PG_INDEX, relations::indexes),
    live("pg_constraint", relations::PG_CONSTRAINT, relations::constraints),
    live("pg_inherits", relations::PG_INHERITS, relations::inherits),
    live("pg_description", relations::PG_DESCRIPTION, relations::descriptions),
    live("pg_tables", relations::PG_TABLES, relations::tables_view),
    live("pg_indexes", relations::PG_INDEXES, relations::indexes_view),
    live("pg_views", views::PG_VIEWS, views::pg_views),
    live("pg_database", server_wide::PG_DATABASE, server_wide::databases),
    live("pg_roles", roles::PG_ROLES, roles::roles),
    live("pg_authid", roles::PG_AUTHID, roles::authids),
    live("pg_user", roles::PG_USER, roles::users),
    live("pg_shadow", roles::PG_USER, roles::shadows),
    live("pg_group", roles::PG_GROUP, roles::groups),
    live("pg_auth_members", roles::PG_AUTH_MEMBERS, roles::members),
    live("pg_default_acl", grants::PG_DEFAULT_ACL, grants::default_acls),
    live("pg_db_role_setting", grants::PG_DB_ROLE_SETTING, grants::role_settings),
    live("pg_tablespace", server_wide::PG_TABLESPACE, server_wide::tablespaces),
    live("pg_settings", server_wide::PG_SETTINGS, server_wide::settings),
    live("pg_extension", server_wide::PG_EXTENSION, server_wide::extensions),
    live(
        "pg_available_extensions",
        server_wide::PG_AVAILABLE_EXTENSIONS,
        server_wide::available_extensions,
    ),
    live(
        "pg_timezone_names",
        server_wide::PG_TIMEZONE_NAMES,
        server_wide::timezone_names,
    ),
    fixed("pg_type", objects::PG_TYPE, objects::types),
    fixed("pg_am", objects::PG_AM, objects::access_methods),
    fixed("pg_collation", objects::PG_COLLATION, objects::collations),
    fixed("pg_language", objects::PG_LANGUAGE, objects::languages),
    fixed("pg_operator", objects::PG_OPERATOR, objects::operators),
    fixed("pg_cast", objects::PG_CAST, objects::casts),
    fixed("pg_opclass", objects::PG_OPCLASS, objects::operator_classes),
    fixed("pg_opfamily", objects::PG_OPFAMILY, objects::operator_families),
    fixed("pg_proc", procedures::PG_PROC, procedures::procedures),
    live(
        "pg_prepared_statements",
        activity::PG_PREPARED_STATEMENTS,
        activity::prepared_statements,
    ),
    live("pg_stat_activity", activity::PG_STAT_ACTIVITY, activity::sessions),
    live("pg_stat_database", activity::PG_STAT_DATABASE, activity::databases),
    live("pg_stat_user_tables", activity::PG_STAT_TABLES, activity::tables),
    live("pg_stat_all_tables", activity::PG_STAT_TABLES, activity::tables),
    live("pg_statio_user_tables", activity::PG_STATIO_TABLES, activity::tables_io),
    live("pg_statio_all_tables", activity::PG_STATIO_TABLES, activity::tables_io),
    standard("schemata", information::SCHEMATA, information::schemata),
    standard("tables", information::TABLES, information::tables),
    standard("columns", information::COLUMNS, information::columns),
    standard("views", views::VIEWS, views::standard),
    standard(
        "table_constraints",
        information::TABLE_CONSTRAINTS,
        information::table_constraints,
    ),
    standard(
        "key_column_usage",
        information::KEY_COLUMN_USAGE,
        information::key_column_usage,
    ),
    standard(
        "constraint_column_usage",
        information::CONSTRAINT_COLUMN_USAGE,
        information::constraint_column_usage,
    ),
    standard("table_privileges", grants::TABLE_PRIVILEGES, grants::table_privileges),
    standard("role_table_grants", grants::TABLE_PRIVILEGES, grants::table_privileges),
    standard(
        "column_privileges",
        grants::COLUMN_PRIVILEGES,
        grants::column_privileges,
    ),
    standard(
        "role_column_grants",
        grants::COLUMN_PRIVILEGES,
        grants::column_privileges,
    ),
    standard("routines", information::ROUTINES, information::routines),
    standard("parameters", information::PARAMETERS, information::parameters),
    standard(
        "information_schema_catalog_name",
        information::CATALOG_NAME,
        information::catalog_name,
    ),
    of_timescale("hypertables", hypertables::HYPERTABLES, hypertables::hypertables),
    of_timescale("chunks", hypertables::CHUNKS, hypertables::chunk_rows),
    of_timescale("dimensions", hypertables::DIMENSIONS, hypertables::dimensions),
    of_timescale("jobs", hypertables::JOBS, hypertables::jobs),
];

/// Every system table, in PostgreSQL's order.
pub(super) static TABLES: LazyLock<Vec<SystemTable>> = LazyLock::new(|| described(postgresql::RELATIONS.iter()));

/// Views that TimescaleDB has and PostgreSQL has not.
pub(super) static FURTHER: LazyLock<Vec<SystemTable>> = LazyLock::new(|| described(hypertables::RELATIONS.iter()));

fn described(relations: impl Iterator<Item = &'static postgresql::RelationRow>) -> Vec<SystemTable> {
    let sources: HashMap<(&str, &str), &'static Source> = SOURCES
        .iter()
        .map(|source| ((source.schema, source.name), source))
        .collect();
    let table = |row: &'static postgresql::RelationRow| SystemTable {
        schema: row.schema,
        name: row.name,
        oid: row.oid,
        is_view: row.is_view,
        columns: row
            .columns
            .iter()
            .map(|(name, type_name)| (*name, Kind::of_type(type_name)))
            .collect(),
        type_oids: row
            .columns
            .iter()
            .map(|(_, type_name)| postgresql::type_oid(type_name).unwrap_or(Kind::of_type(type_name).oid()))
            .collect(),
        source: sources.get(&(row.schema, row.name)).copied(),
        fixed: OnceLock::new(),
    };
    relations.map(table).collect()
}

static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), usize>> = LazyLock::new(|| {
    let named = TABLES.iter().enumerate();
    named.map(|(at, table)| ((table.schema, table.name), at)).collect()
});

pub(super) fn find(schema: &str, name: &str) -> Option<&'static SystemTable> {
    let further = || {
        FURTHER
            .iter()
            .find(|table| table.schema == schema && table.name == name)
    };
    BY_NAME.get(&(schema, name)).map(|at| &TABLES[*at]).or_else(further)
}

pub(super) fn by_oid(oid: u32) -> Option<&'static SystemTable> {
    TABLES.iter().find(|table| table.oid == oid)
}

/// Whether a name can only mean a table that never has rows: pg_catalog is searched first.
pub(super) fn is_always_empty(name: &str) -> bool {
    find("pg_catalog", name).is_some_and(|table| table.source.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_name_tables_and_columns_that_postgresql_has() {
        for source in SOURCES {
            let table = find(source.schema, source.name).unwrap_or_else(|| panic!("{} is unknown", source.name));
            for column in source.columns {
                let known = table.columns.iter().any(|(name, _)| name == column);
                assert!(known, "{}.{column} is unknown", source.name);
            }
        }
    }
}
