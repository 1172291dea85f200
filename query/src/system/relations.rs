//! Rows about tables: pg_class and what hangs on it. A supertable is a table whose key is its tags and its time column; its
//! children inherit from it, and are listed only when asked for by name or OID, since there may be millions.

use taospg_catalog::Column;

use super::cell::Cell;
use super::functions::quote_identifier;
use super::objects::default_operator_class;
use super::snapshot::{BTREE_OID, HEAP_OID, INDEX_BIT, Listed, OWNER_OID, Snapshot};
use super::tables::TABLES;
use super::{types, views};

pub(super) const PG_CLASS: &[&str] = &[
    "oid",
    "relname",
    "relnamespace",
    "reltype",
    "reloftype",
    "relowner",
    "relam",
    "relfilenode",
    "reltablespace",
    "relpages",
    "reltuples",
    "reltoastrelid",
    "relhasindex",
    "relisshared",
    "relpersistence",
    "relkind",
    "relnatts",
    "relchecks",
    "relhasrules",
    "relhastriggers",
    "relhassubclass",
    "relrowsecurity",
    "relforcerowsecurity",
    "relispopulated",
    "relreplident",
    "relispartition",
    "relacl",
    "reloptions",
    "relpartbound",
];

pub(super) struct Class<'a> {
    pub oid: u32,
    pub name: &'a str,
    pub namespace: u32,
    pub access_method: u32,
    pub kind: &'a str,
    pub columns: usize,
    pub has_index: bool,
    pub has_parts: bool,
    pub owner: u32,
    pub acl: Cell,
    pub temporary: bool,
    pub options: Cell,
}

pub(super) fn class(row: Class) -> Vec<Cell> {
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
        if row.temporary { "t" } else { "p" }.into(),
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
        row.options,
        Cell::Null,
    ]
}

/// `{keep=30 days}`
fn options(listed: &Listed) -> Cell {
    let keep = listed.table.keep.filter(|_| !listed.is_child);
    keep.map_or(Cell::Null, |keep| {
        Cell::Texts(vec![format!("keep={}", crate::keep::shown(keep))])
    })
}

pub(super) fn classes(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for listed in &snapshot.tables {
        rows.push(class(Class {
            oid: listed.oid,
            name: &listed.name,
            namespace: listed.namespace(),
            temporary: listed.temporary.is_some(),
            access_method: HEAP_OID,
            // A plain table to PostgreSQL's eyes: clients that look for tables alone find it.
            kind: "r",
            columns: listed.columns().len(),
            has_index: listed.has_key(),
            has_parts: listed.is_partitioned(),
            owner: snapshot.owner_of_table(listed),
            acl: snapshot.relacl(listed),
            options: options(listed),
        }));
        if !listed.has_key() {
            continue;
        }
        rows.push(class(Class {
            oid: listed.oid | INDEX_BIT,
            name: &listed.key_name(),
            namespace: listed.namespace(),
            temporary: listed.temporary.is_some(),
            access_method: BTREE_OID,
            kind: "i",
            columns: listed.key().len(),
            has_index: false,
            has_parts: false,
            owner: snapshot.owner_of_table(listed),
            acl: Cell::Null,
            options: Cell::Null,
        }));
    }
    rows.extend(views::classes(snapshot));
    rows
}

pub(super) fn system_classes(_: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |table: &super::tables::SystemTable| {
        class(Class {
            oid: table.oid,
            name: table.name,
            namespace: table.schema_oid(),
            access_method: if table.is_view { 0 } else { HEAP_OID },
            kind: if table.is_view { "v" } else { "r" },
            columns: table.columns.len(),
            has_index: false,
            has_parts: false,
            owner: OWNER_OID,
            acl: Cell::Null,
            options: Cell::Null,
            temporary: false,
        })
    };
    TABLES.iter().map(row).collect()
}

pub(super) const PG_ATTRIBUTE: &[&str] = &[
    "attrelid",
    "attname",
    "atttypid",
    "attstattarget",
    "attlen",
    "attnum",
    "attndims",
    "atttypmod",
    "attbyval",
    "attstorage",
    "attcompression",
    "attnotnull",
    "atthasdef",
    "atthasmissing",
    "attidentity",
    "attgenerated",
    "attisdropped",
    "attislocal",
    "attinhcount",
    "attcollation",
    "attacl",
    "attoptions",
    "attfdwoptions",
    "attalign",
    "attcacheoff",
];

/// What pg_attribute tells of a column.
pub(super) struct Attribute<'a> {
    pub relation: u32,
    pub name: &'a str,
    pub number: i64,
    pub type_oid: u32,
    pub modifier: i64,
    pub not_null: bool,
    pub has_default: bool,
    /// What is granted on it alone.
    pub acl: Cell,
}

pub(super) fn attribute(row: Attribute<'_>) -> Vec<Cell> {
    let known = types::by_oid(row.type_oid);
    let length = known.map_or(-1, |known| known.length);
    vec![
        row.relation.into(),
        row.name.into(),
        row.type_oid.into(),
        (-1_i64).into(),
        length.into(),
        row.number.into(),
        i64::from(known.is_some_and(|known| known.category == "A")).into(),
        row.modifier.into(),
        (length > 0 && length <= 8).into(),
        known.map_or("x", |known| known.storage).into(),
        "".into(),
        row.not_null.into(),
        row.has_default.into(),
        false.into(),
        "".into(),
        "".into(),
        false.into(),
        true.into(),
        0_i64.into(),
        known.map_or(0, |known| known.collation).into(),
        row.acl,
        Cell::Null,
        Cell::Null,
        known.map_or("i", |known| known.align).into(),
        (-1_i64).into(),
    ]
}

pub(super) fn attributes(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = views::attributes(snapshot);
    for listed in &snapshot.tables {
        let own = |column: &Column, relation: u32, number: i64, has_default: bool| {
            let of_index = relation & INDEX_BIT != 0;
            let acl = match of_index {
                true => Cell::Null,
                false => snapshot.attacl(listed, column.attnum),
            };
            attribute(Attribute {
                acl,
                relation,
                name: &column.name,
                number,
                type_oid: column.sql_type.oid(),
                modifier: i64::from(column.sql_type.type_modifier()),
                // Columns of an index are never marked so.
                not_null: column.not_null && !of_index,
                has_default,
            })
        };
        for column in listed.columns() {
            let number = i64::from(column.attnum);
            rows.push(own(column, listed.oid, number, column.default.is_some()));
        }
        for (number, column) in (1..).zip(listed.key()) {
            rows.push(own(column, listed.oid | INDEX_BIT, number, false));
        }
    }
    rows
}

pub(super) fn system_attributes(_: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for table in TABLES.iter() {
        for (number, ((name, _), type_oid)) in (1..).zip(table.columns.iter().zip(&table.type_oids)) {
            rows.push(attribute(Attribute {
                relation: table.oid,
                name,
                number,
                type_oid: *type_oid,
                modifier: -1,
                not_null: !table.is_view && *name == "oid",
                has_default: false,
                acl: Cell::Null,
            }));
        }
    }
    rows
}

pub(super) const PG_ATTRDEF: &[&str] = &["oid", "adrelid", "adnum", "adbin"];

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

pub(super) const PG_INDEX: &[&str] = &[
    "indexrelid",
    "indrelid",
    "indnatts",
    "indnkeyatts",
    "indisunique",
    "indnullsnotdistinct",
    "indisprimary",
    "indisexclusion",
    "indimmediate",
    "indisclustered",
    "indisvalid",
    "indisready",
    "indislive",
    "indisreplident",
    "indkey",
    "indcollation",
    "indclass",
    "indoption",
    "indexprs",
    "indpred",
];

fn key_numbers(listed: &Listed) -> Vec<i64> {
    listed.key().iter().map(|column| i64::from(column.attnum)).collect()
}

pub(super) fn indexes(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let keyed = snapshot.tables.iter().filter(|listed| listed.has_key());
    keyed
        .map(|listed| {
            let key = key_numbers(listed);
            let width = key.len();
            let of_key = |number: &dyn Fn(&Column) -> i64| listed.key().into_iter().map(number).collect::<Vec<_>>();
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
                Cell::Numbers(of_key(&|column| {
                    types::by_oid(column.sql_type.oid()).map_or(0, |known| i64::from(known.collation))
                })),
                Cell::Numbers(of_key(&|column| {
                    i64::from(default_operator_class(column.sql_type.oid()))
                })),
                Cell::Numbers(vec![0; width]),
            ]
        })
        .collect()
}

pub(super) const PG_CONSTRAINT: &[&str] = &[
    "oid",
    "conname",
    "connamespace",
    "contype",
    "condeferrable",
    "condeferred",
    "convalidated",
    "conrelid",
    "contypid",
    "conindid",
    "conparentid",
    "confrelid",
    "confupdtype",
    "confdeltype",
    "confmatchtype",
    "conislocal",
    "coninhcount",
    "connoinherit",
    "conkey",
    "confkey",
    "conbin",
];

pub(super) fn constraints(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let keyed = snapshot.tables.iter().filter(|listed| listed.has_key());
    keyed
        .map(|listed| {
            vec![
                (listed.oid | INDEX_BIT).into(),
                listed.key_name().into(),
                listed.namespace().into(),
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

pub(super) const PG_INHERITS: &[&str] = &["inhrelid", "inhparent", "inhseqno", "inhdetachpending"];

pub(super) fn inherits(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let children = snapshot.tables.iter().filter(|listed| listed.is_child);
    children
        .map(|listed| vec![listed.oid.into(), listed.table.oid.into(), 1_i64.into(), false.into()])
        .collect()
}

pub(super) const PG_DESCRIPTION: &[&str] = &["objoid", "classoid", "objsubid", "description"];

/// OIDs of pg_class, pg_proc and pg_namespace, as comments say what they are about.
pub(super) const CLASS_OID: u32 = 1259;
pub(super) const PROCEDURE_OID: u32 = 1255;
pub(super) const NAMESPACE_OID: u32 = 2615;

pub(super) fn descriptions(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |object: u32, class: u32, column: i64, comment: &str| {
        vec![object.into(), class.into(), column.into(), comment.into()]
    };
    let mut rows = Vec::new();
    for listed in &snapshot.tables {
        if let Some(comment) = listed.comment() {
            rows.push(row(listed.oid, CLASS_OID, 0, comment));
        }
        for column in listed.columns() {
            if let Some(comment) = &column.comment {
                rows.push(row(listed.oid, CLASS_OID, i64::from(column.attnum), comment));
            }
        }
    }
    for (namespace, comment) in super::server_wide::NAMESPACE_COMMENTS {
        rows.push(row(*namespace, NAMESPACE_OID, 0, comment));
    }
    for procedure in super::procedures::all() {
        if let Some(comment) = procedure.description {
            rows.push(row(procedure.oid, PROCEDURE_OID, 0, comment));
        }
    }
    rows
}

pub(super) const PG_TABLES: &[&str] = &[
    "schemaname",
    "tablename",
    "tableowner",
    "tablespace",
    "hasindexes",
    "hasrules",
    "hastriggers",
    "rowsecurity",
];

pub(super) fn tables_view(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        vec![
            snapshot.schema_of(listed).into(),
            listed.name.as_str().into(),
            "postgres".into(),
            Cell::Null,
            listed.has_key().into(),
            false.into(),
            false.into(),
            false.into(),
        ]
    };
    snapshot.tables.iter().map(row).collect()
}

pub(super) const PG_INDEXES: &[&str] = &["schemaname", "tablename", "indexname", "tablespace", "indexdef"];

pub(super) fn indexes_view(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        vec![
            snapshot.schema_of(listed).into(),
            listed.name.as_str().into(),
            listed.key_name().into(),
            Cell::Null,
            index_definition(snapshot, listed).into(),
        ]
    };
    let keyed = snapshot.tables.iter().filter(|listed| listed.has_key());
    keyed.map(row).collect()
}

/// As `pg_get_indexdef` prints it.
pub(super) fn index_definition(snapshot: &Snapshot, listed: &Listed) -> String {
    format!(
        "CREATE UNIQUE INDEX {} ON {}.{} USING btree ({})",
        quote_identifier(&listed.key_name()),
        quote_identifier(snapshot.schema_of(listed)),
        quote_identifier(&listed.name),
        key_list(listed)
    )
}

/// One column of it, from 1.
pub(super) fn index_column(listed: &Listed, number: i64) -> Option<String> {
    let place = usize::try_from(number).ok()?.checked_sub(1)?;
    listed.key().get(place).map(|column| quote_identifier(&column.name))
}

/// As `pg_get_constraintdef` prints it.
pub(super) fn constraint_definition(listed: &Listed) -> String {
    format!("PRIMARY KEY ({})", key_list(listed))
}

fn key_list(listed: &Listed) -> String {
    let names: Vec<String> = listed
        .key()
        .into_iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    names.join(", ")
}
