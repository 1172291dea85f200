//! The list of system tables: what each is called, its columns, and how its rows are made from the live catalog.
//!
//! A table without a row function never has rows here; clients ask for it all the same and must be able to plan.

use super::cell::{Cell, ColumnDef, Kind};
use super::snapshot::Snapshot;
use super::{information, relations, roles, server_wide};

/// Makes the rows of a system table as the catalog is now.
pub(super) type Rows = fn(&Snapshot) -> Vec<Vec<Cell>>;

pub(super) struct SystemTable {
    pub schema: &'static str,
    pub name: &'static str,
    /// OID of the table itself in pg_class; PostgreSQL's where it has a fixed one.
    pub oid: u32,
    pub columns: &'static [ColumnDef],
    pub rows: Option<Rows>,
}

const fn live(name: &'static str, oid: u32, columns: &'static [ColumnDef], rows: Rows) -> SystemTable {
    SystemTable {
        schema: "pg_catalog",
        name,
        oid,
        columns,
        rows: Some(rows),
    }
}

const fn empty(name: &'static str, oid: u32, columns: &'static [ColumnDef]) -> SystemTable {
    SystemTable {
        schema: "pg_catalog",
        name,
        oid,
        columns,
        rows: None,
    }
}

const fn standard(name: &'static str, oid: u32, columns: &'static [ColumnDef], rows: Rows) -> SystemTable {
    SystemTable {
        schema: "information_schema",
        name,
        oid,
        columns,
        rows: Some(rows),
    }
}

use Kind::{Bool, Char, Float4, Int2, Int2Vector, Int4, Int8, Name, Oid, OidArray, Text, TextArray, Timestamptz};

/// Columns as PostgreSQL 15 has them, as far as clients read them. OIDs below 10000 are PostgreSQL's own; those of views are ours, from 12000.
pub(super) const TABLES: &[SystemTable] = &[
    live(
        "pg_namespace",
        2615,
        &[
            ("oid", Oid),
            ("nspname", Name),
            ("nspowner", Oid),
            ("nspacl", TextArray),
        ],
        server_wide::namespaces,
    ),
    live("pg_class", 1259, relations::PG_CLASS, relations::classes),
    live("pg_attribute", 1249, relations::PG_ATTRIBUTE, relations::attributes),
    live(
        "pg_attrdef",
        2604,
        &[("oid", Oid), ("adrelid", Oid), ("adnum", Int2), ("adbin", Text)],
        relations::defaults,
    ),
    live("pg_index", 2610, relations::PG_INDEX, relations::indexes),
    live("pg_constraint", 2606, relations::PG_CONSTRAINT, relations::constraints),
    live(
        "pg_inherits",
        2611,
        &[
            ("inhrelid", Oid),
            ("inhparent", Oid),
            ("inhseqno", Int4),
            ("inhdetachpending", Bool),
        ],
        relations::inherits,
    ),
    live(
        "pg_partitioned_table",
        3350,
        &[
            ("partrelid", Oid),
            ("partstrat", Char),
            ("partnatts", Int2),
            ("partdefid", Oid),
        ],
        relations::partitioned,
    ),
    live(
        "pg_description",
        2609,
        &[
            ("objoid", Oid),
            ("classoid", Oid),
            ("objsubid", Int4),
            ("description", Text),
        ],
        relations::descriptions,
    ),
    live("pg_type", 1247, server_wide::PG_TYPE, server_wide::types),
    live("pg_database", 1262, server_wide::PG_DATABASE, server_wide::databases),
    live("pg_roles", 12_000, roles::PG_ROLES, roles::roles),
    live("pg_authid", 1260, roles::PG_AUTHID, roles::authids),
    live("pg_user", 12_001, roles::PG_USER, roles::users),
    live("pg_shadow", 12_101, roles::PG_USER, roles::shadows),
    live("pg_group", 12_102, roles::PG_GROUP, roles::groups),
    live("pg_auth_members", 1261, roles::PG_AUTH_MEMBERS, roles::members),
    live(
        "pg_am",
        2601,
        &[("oid", Oid), ("amname", Name), ("amhandler", Oid), ("amtype", Char)],
        server_wide::access_methods,
    ),
    live(
        "pg_tablespace",
        1213,
        &[
            ("oid", Oid),
            ("spcname", Name),
            ("spcowner", Oid),
            ("spcacl", TextArray),
            ("spcoptions", TextArray),
        ],
        server_wide::tablespaces,
    ),
    live("pg_settings", 12_002, server_wide::PG_SETTINGS, server_wide::settings),
    live("pg_tables", 12_003, relations::PG_TABLES, relations::tables_view),
    live(
        "pg_indexes",
        12_004,
        &[
            ("schemaname", Name),
            ("tablename", Name),
            ("indexname", Name),
            ("tablespace", Name),
            ("indexdef", Text),
        ],
        relations::indexes_view,
    ),
    empty(
        "pg_range",
        3541,
        &[
            ("rngtypid", Oid),
            ("rngsubtype", Oid),
            ("rngmultitypid", Oid),
            ("rngcollation", Oid),
            ("rngsubopc", Oid),
        ],
    ),
    empty(
        "pg_enum",
        3501,
        &[
            ("oid", Oid),
            ("enumtypid", Oid),
            ("enumsortorder", Float4),
            ("enumlabel", Name),
        ],
    ),
    empty(
        "pg_proc",
        1255,
        &[
            ("oid", Oid),
            ("proname", Name),
            ("pronamespace", Oid),
            ("proowner", Oid),
            ("prolang", Oid),
            ("prokind", Char),
            ("prosecdef", Bool),
            ("provolatile", Char),
            ("proparallel", Char),
            ("pronargs", Int2),
            ("prorettype", Oid),
            ("proargtypes", OidArray),
            ("proallargtypes", OidArray),
            ("proargmodes", TextArray),
            ("proargnames", TextArray),
            ("prosrc", Text),
            ("proacl", TextArray),
        ],
    ),
    empty(
        "pg_collation",
        3456,
        &[
            ("oid", Oid),
            ("collname", Name),
            ("collnamespace", Oid),
            ("collowner", Oid),
            ("collprovider", Char),
            ("collisdeterministic", Bool),
            ("collencoding", Int4),
            ("collcollate", Text),
            ("collctype", Text),
            ("colliculocale", Text),
        ],
    ),
    empty(
        "pg_shdescription",
        2396,
        &[("objoid", Oid), ("classoid", Oid), ("description", Text)],
    ),
    empty(
        "pg_policy",
        3256,
        &[
            ("oid", Oid),
            ("polname", Name),
            ("polrelid", Oid),
            ("polcmd", Char),
            ("polpermissive", Bool),
            ("polroles", OidArray),
            ("polqual", Text),
            ("polwithcheck", Text),
        ],
    ),
    empty(
        "pg_trigger",
        2620,
        &[
            ("oid", Oid),
            ("tgrelid", Oid),
            ("tgparentid", Oid),
            ("tgname", Name),
            ("tgfoid", Oid),
            ("tgtype", Int2),
            ("tgenabled", Char),
            ("tgisinternal", Bool),
            ("tgconstraint", Oid),
        ],
    ),
    empty(
        "pg_rewrite",
        2618,
        &[
            ("oid", Oid),
            ("rulename", Name),
            ("ev_class", Oid),
            ("ev_type", Char),
            ("ev_enabled", Char),
            ("is_instead", Bool),
        ],
    ),
    empty(
        "pg_statistic_ext",
        3381,
        &[
            ("oid", Oid),
            ("stxrelid", Oid),
            ("stxname", Name),
            ("stxnamespace", Oid),
            ("stxowner", Oid),
            ("stxstattarget", Int4),
            ("stxkeys", Int2Vector),
            ("stxkind", TextArray),
        ],
    ),
    empty(
        "pg_publication",
        6104,
        &[
            ("oid", Oid),
            ("pubname", Name),
            ("pubowner", Oid),
            ("puballtables", Bool),
            ("pubinsert", Bool),
            ("pubupdate", Bool),
            ("pubdelete", Bool),
            ("pubtruncate", Bool),
            ("pubviaroot", Bool),
        ],
    ),
    empty(
        "pg_publication_rel",
        6106,
        &[
            ("oid", Oid),
            ("prpubid", Oid),
            ("prrelid", Oid),
            ("prqual", Text),
            ("prattrs", Int2Vector),
        ],
    ),
    empty(
        "pg_publication_namespace",
        6237,
        &[("oid", Oid), ("pnpubid", Oid), ("pnnspid", Oid)],
    ),
    empty(
        "pg_sequence",
        2224,
        &[
            ("seqrelid", Oid),
            ("seqtypid", Oid),
            ("seqstart", Int8),
            ("seqincrement", Int8),
            ("seqmax", Int8),
            ("seqmin", Int8),
            ("seqcache", Int8),
            ("seqcycle", Bool),
        ],
    ),
    empty(
        "pg_opclass",
        2616,
        &[
            ("oid", Oid),
            ("opcmethod", Oid),
            ("opcname", Name),
            ("opcdefault", Bool),
        ],
    ),
    empty(
        "pg_depend",
        2608,
        &[
            ("classid", Oid),
            ("objid", Oid),
            ("objsubid", Int4),
            ("refclassid", Oid),
            ("refobjid", Oid),
            ("refobjsubid", Int4),
            ("deptype", Char),
        ],
    ),
    empty(
        "pg_extension",
        3079,
        &[
            ("oid", Oid),
            ("extname", Name),
            ("extowner", Oid),
            ("extnamespace", Oid),
            ("extrelocatable", Bool),
            ("extversion", Text),
        ],
    ),
    empty(
        "pg_language",
        2612,
        &[("oid", Oid), ("lanname", Name), ("lanowner", Oid), ("lanispl", Bool)],
    ),
    empty(
        "pg_views",
        12_005,
        &[
            ("schemaname", Name),
            ("viewname", Name),
            ("viewowner", Name),
            ("definition", Text),
        ],
    ),
    empty(
        "pg_matviews",
        12_006,
        &[
            ("schemaname", Name),
            ("matviewname", Name),
            ("matviewowner", Name),
            ("definition", Text),
        ],
    ),
    empty(
        "pg_locks",
        12_007,
        &[
            ("locktype", Text),
            ("database", Oid),
            ("relation", Oid),
            ("pid", Int4),
            ("mode", Text),
            ("granted", Bool),
        ],
    ),
    empty(
        "pg_prepared_statements",
        12_008,
        &[("name", Text), ("statement", Text), ("prepare_time", Timestamptz)],
    ),
    standard("schemata", 12_100, information::SCHEMATA, information::schemata),
    standard("tables", 12_101, information::TABLES, information::tables),
    standard("columns", 12_102, information::COLUMNS, information::columns),
    standard(
        "table_constraints",
        12_103,
        information::TABLE_CONSTRAINTS,
        information::table_constraints,
    ),
    standard(
        "key_column_usage",
        12_104,
        information::KEY_COLUMN_USAGE,
        information::key_column_usage,
    ),
];

pub(super) fn find(schema: &str, name: &str) -> Option<&'static SystemTable> {
    TABLES.iter().find(|table| table.schema == schema && table.name == name)
}

/// Whether a name can only mean a table that never has rows: pg_catalog is searched first.
pub(super) fn is_always_empty(name: &str) -> bool {
    find("pg_catalog", name).is_some_and(|table| table.rows.is_none())
}

pub(super) fn system_table_oid(name: &str) -> Option<u32> {
    find("pg_catalog", name).map(|table| table.oid)
}

pub(super) fn system_table_name(oid: u32) -> Option<&'static str> {
    TABLES.iter().find(|table| table.oid == oid).map(|table| table.name)
}
