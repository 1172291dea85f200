//! Rows that are alike in every database: types, operators, casts, collations, access methods, languages.

use super::cell::Cell;
use super::postgresql::{CASTS, OPERATOR_CLASSES, OPERATORS, TYPES};
use super::snapshot::{BTREE_OID, HEAP_OID, OWNER_OID, PG_CATALOG_OID, Snapshot};

pub(super) const PG_TYPE: &[&str] = &[
    "oid",
    "typname",
    "typnamespace",
    "typowner",
    "typlen",
    "typbyval",
    "typtype",
    "typcategory",
    "typispreferred",
    "typisdefined",
    "typdelim",
    "typrelid",
    "typsubscript",
    "typelem",
    "typarray",
    "typinput",
    "typoutput",
    "typreceive",
    "typsend",
    "typmodin",
    "typmodout",
    "typanalyze",
    "typalign",
    "typstorage",
    "typnotnull",
    "typbasetype",
    "typtypmod",
    "typndims",
    "typcollation",
];

pub(super) fn types(_: &Snapshot) -> Vec<Vec<Cell>> {
    TYPES
        .iter()
        .map(|row| {
            vec![
                row.oid.into(),
                row.name.into(),
                PG_CATALOG_OID.into(),
                OWNER_OID.into(),
                row.length.into(),
                (row.length > 0 && row.length <= 8).into(),
                row.kind.into(),
                row.category.into(),
                row.preferred.into(),
                true.into(),
                ",".into(),
                0_i64.into(),
                0_i64.into(),
                row.element.into(),
                row.array.into(),
                row.input.into(),
                row.output.into(),
                row.receive.into(),
                row.send.into(),
                0_i64.into(),
                0_i64.into(),
                0_i64.into(),
                row.align.into(),
                row.storage.into(),
                false.into(),
                0_i64.into(),
                (-1_i64).into(),
                0_i64.into(),
                row.collation.into(),
            ]
        })
        .collect()
}

pub(super) const PG_AM: &[&str] = &["oid", "amname", "amhandler", "amtype"];

pub(super) fn access_methods(_: &Snapshot) -> Vec<Vec<Cell>> {
    vec![
        vec![HEAP_OID.into(), "heap".into(), 3_i64.into(), "t".into()],
        vec![BTREE_OID.into(), "btree".into(), 330_i64.into(), "i".into()],
    ]
}

pub(super) const PG_COLLATION: &[&str] = &[
    "oid",
    "collname",
    "collnamespace",
    "collowner",
    "collprovider",
    "collisdeterministic",
    "collencoding",
    "collcollate",
    "collctype",
];

/// Texts are ordered by their bytes: all collations are one.
pub(super) fn collations(_: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |oid: u32, name: &str, provider: &str, locale: Cell| {
        vec![
            oid.into(),
            name.into(),
            PG_CATALOG_OID.into(),
            OWNER_OID.into(),
            provider.into(),
            true.into(),
            (-1_i64).into(),
            locale.clone(),
            locale,
        ]
    };
    vec![
        row(100, "default", "d", Cell::Null),
        row(950, "C", "c", "C".into()),
        row(951, "POSIX", "c", "POSIX".into()),
    ]
}

pub(super) const PG_LANGUAGE: &[&str] = &[
    "oid",
    "lanname",
    "lanowner",
    "lanispl",
    "lanpltrusted",
    "lanplcallfoid",
    "laninline",
    "lanvalidator",
];

/// `internal`, the language of every function here.
pub(super) const INTERNAL_LANGUAGE_OID: u32 = 12;

pub(super) fn languages(_: &Snapshot) -> Vec<Vec<Cell>> {
    vec![vec![
        INTERNAL_LANGUAGE_OID.into(),
        "internal".into(),
        OWNER_OID.into(),
        false.into(),
        false.into(),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
    ]]
}

pub(super) const PG_OPERATOR: &[&str] = &[
    "oid",
    "oprname",
    "oprnamespace",
    "oprowner",
    "oprkind",
    "oprcanmerge",
    "oprcanhash",
    "oprleft",
    "oprright",
    "oprresult",
    "oprcom",
    "oprnegate",
    "oprcode",
    "oprrest",
    "oprjoin",
];

pub(super) fn operators(_: &Snapshot) -> Vec<Vec<Cell>> {
    OPERATORS
        .iter()
        .map(|row| {
            let equality = row.name == "=";
            vec![
                row.oid.into(),
                row.name.into(),
                PG_CATALOG_OID.into(),
                OWNER_OID.into(),
                row.kind.into(),
                equality.into(),
                equality.into(),
                row.left.into(),
                row.right.into(),
                row.result.into(),
                0_i64.into(),
                0_i64.into(),
                row.function.into(),
                0_i64.into(),
                0_i64.into(),
            ]
        })
        .collect()
}

pub(super) const PG_CAST: &[&str] = &[
    "oid",
    "castsource",
    "casttarget",
    "castfunc",
    "castcontext",
    "castmethod",
];

pub(super) fn casts(_: &Snapshot) -> Vec<Vec<Cell>> {
    /// Casts have no OIDs that anything refers to; they are numbered from where PostgreSQL's begin.
    const FIRST_OID: u32 = 10_035;
    CASTS
        .iter()
        .zip(FIRST_OID..)
        .map(|(row, oid)| {
            vec![
                oid.into(),
                row.source.into(),
                row.target.into(),
                row.function.into(),
                row.context.into(),
                row.method.into(),
            ]
        })
        .collect()
}

pub(super) const PG_OPCLASS: &[&str] = &[
    "oid",
    "opcmethod",
    "opcname",
    "opcnamespace",
    "opcowner",
    "opcfamily",
    "opcintype",
    "opcdefault",
    "opckeytype",
];

pub(super) fn operator_classes(_: &Snapshot) -> Vec<Vec<Cell>> {
    OPERATOR_CLASSES
        .iter()
        .map(|row| {
            vec![
                row.oid.into(),
                BTREE_OID.into(),
                row.name.into(),
                PG_CATALOG_OID.into(),
                OWNER_OID.into(),
                row.family.into(),
                row.type_oid.into(),
                row.is_default.into(),
                0_i64.into(),
            ]
        })
        .collect()
}

/// The class that an index on a column of this type has.
pub(super) fn default_operator_class(type_oid: u32) -> u32 {
    // varchar is ordered as text.
    let type_oid = if type_oid == 1043 { 25 } else { type_oid };
    let class = OPERATOR_CLASSES
        .iter()
        .find(|row| row.type_oid == type_oid && row.is_default);
    class.map_or(0, |row| row.oid)
}

pub(super) const PG_OPFAMILY: &[&str] = &["oid", "opfmethod", "opfname", "opfnamespace", "opfowner"];

pub(super) fn operator_families(_: &Snapshot) -> Vec<Vec<Cell>> {
    let mut families: Vec<(u32, &str)> = OPERATOR_CLASSES
        .iter()
        .map(|row| (row.family, row.family_name))
        .collect();
    families.sort_unstable();
    families.dedup();
    let row = |(oid, name): (u32, &str)| {
        vec![
            oid.into(),
            BTREE_OID.into(),
            name.into(),
            PG_CATALOG_OID.into(),
            OWNER_OID.into(),
        ]
    };
    families.into_iter().map(row).collect()
}
