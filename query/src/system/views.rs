//! Rows about views: pg_class, pg_attribute, pg_views, and information_schema's.

use super::cell::Cell;
use super::relations::{Attribute, Class, attribute, class};
use super::snapshot::{PUBLIC_OID, Snapshot};
use super::types;

pub(super) fn classes(snapshot: &Snapshot) -> impl Iterator<Item = Vec<Cell>> {
    snapshot.views.iter().map(|view| {
        class(Class {
            oid: view.oid,
            name: &view.name,
            namespace: PUBLIC_OID,
            temporary: false,
            access_method: 0,
            kind: "v",
            columns: view.columns.len(),
            has_index: false,
            has_parts: false,
            owner: snapshot.owner_of(view.oid),
            acl: snapshot.acl_of_view(view.oid),
            options: Cell::Null,
        })
    })
}

pub(super) fn attributes(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for view in &snapshot.views {
        for (number, column) in (1..).zip(&view.columns) {
            rows.push(attribute(Attribute {
                relation: view.oid,
                name: &column.name,
                number,
                type_oid: column.type_oid,
                modifier: i64::from(column.type_modifier),
                not_null: false,
                has_default: false,
                acl: Cell::Null,
            }));
        }
    }
    rows
}

pub(super) const PG_VIEWS: &[&str] = &["schemaname", "viewname", "viewowner", "definition"];

pub(super) fn pg_views(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |view: &std::sync::Arc<taospg_catalog::View>| {
        vec![
            "public".into(),
            view.name.as_str().into(),
            snapshot.identity.roles.name_of(snapshot.owner_of(view.oid)).into(),
            view.definition.as_str().into(),
        ]
    };
    snapshot.views.iter().map(row).collect()
}

pub(super) const VIEWS: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "view_definition",
    "check_option",
    "is_updatable",
    "is_insertable_into",
    "is_trigger_updatable",
    "is_trigger_deletable",
    "is_trigger_insertable_into",
];

pub(super) fn standard(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |view: &std::sync::Arc<taospg_catalog::View>| {
        let mut row = vec![
            snapshot.session.database.name.as_str().into(),
            "public".into(),
            view.name.as_str().into(),
            view.definition.as_str().into(),
            "NONE".into(),
        ];
        row.extend(["NO"; 5].map(Cell::from));
        row
    };
    snapshot.views.iter().map(row).collect()
}

/// Of information_schema.columns.
pub(super) fn columns(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let database = || Cell::from(snapshot.session.database.name.as_str());
    let mut rows = Vec::new();
    for view in &snapshot.views {
        for (number, column) in (1_i64..).zip(&view.columns) {
            let row = types::by_oid(column.type_oid);
            let mut cells = vec![
                database(),
                "public".into(),
                view.name.as_str().into(),
                column.name.as_str().into(),
                number.into(),
                Cell::Null,
                "YES".into(),
                row.map_or("USER-DEFINED", |row| row.display.as_str()).into(),
            ];
            cells.extend((0..6).map(|_| Cell::Null));
            cells.extend([
                database(),
                "pg_catalog".into(),
                row.map_or("", |row| row.name).into(),
                "NO".into(),
                "NEVER".into(),
                "NO".into(),
            ]);
            rows.push(cells);
        }
    }
    rows
}
