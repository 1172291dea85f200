//! PostgreSQL's built-in types, as far as our columns, parameters and results have them.

/// A row of pg_type, with the name `format_type` prints.
pub(super) struct TypeRow {
    pub oid: u32,
    pub name: &'static str,
    pub display: &'static str,
    /// Bytes, -1 where it varies.
    pub length: i64,
    /// `typcategory`.
    pub category: &'static str,
    /// OID of the array of it; 0 where there is none.
    pub array: u32,
    /// Of an array: its element's type.
    pub element: u32,
}

const fn base(
    oid: u32,
    name: &'static str,
    display: &'static str,
    length: i64,
    category: &'static str,
    array: u32,
) -> TypeRow {
    TypeRow {
        oid,
        name,
        display,
        length,
        category,
        array,
        element: 0,
    }
}

const fn array_of(oid: u32, name: &'static str, display: &'static str, element: u32) -> TypeRow {
    TypeRow {
        oid,
        name,
        display,
        length: -1,
        category: "A",
        array: 0,
        element,
    }
}

/// OIDs and lengths as in PostgreSQL's pg_type.
pub(super) const TYPES: &[TypeRow] = &[
    base(16, "bool", "boolean", 1, "B", 1000),
    base(17, "bytea", "bytea", -1, "U", 1001),
    base(18, "char", "\"char\"", 1, "Z", 1002),
    base(19, "name", "name", 64, "S", 1003),
    base(20, "int8", "bigint", 8, "N", 1016),
    base(21, "int2", "smallint", 2, "N", 1005),
    base(22, "int2vector", "int2vector", -1, "A", 1006),
    base(23, "int4", "integer", 4, "N", 1007),
    base(24, "regproc", "regproc", 4, "N", 1008),
    base(25, "text", "text", -1, "S", 1009),
    base(26, "oid", "oid", 4, "N", 1028),
    base(30, "oidvector", "oidvector", -1, "A", 1013),
    base(114, "json", "json", -1, "U", 199),
    base(700, "float4", "real", 4, "N", 1021),
    base(701, "float8", "double precision", 8, "N", 1022),
    base(705, "unknown", "unknown", -2, "X", 0),
    base(1042, "bpchar", "character", -1, "S", 1014),
    base(1043, "varchar", "character varying", -1, "S", 1015),
    base(1082, "date", "date", 4, "D", 1182),
    base(1083, "time", "time without time zone", 8, "D", 1183),
    base(1114, "timestamp", "timestamp without time zone", 8, "D", 1115),
    base(1184, "timestamptz", "timestamp with time zone", 8, "D", 1185),
    base(1186, "interval", "interval", 16, "T", 1187),
    base(1700, "numeric", "numeric", -1, "N", 1231),
    base(2205, "regclass", "regclass", 4, "N", 2210),
    base(2206, "regtype", "regtype", 4, "N", 2211),
    base(2249, "record", "record", -1, "P", 2287),
    base(2278, "void", "void", 4, "P", 0),
    base(2950, "uuid", "uuid", 16, "U", 2951),
    base(3802, "jsonb", "jsonb", -1, "U", 3807),
    array_of(199, "_json", "json[]", 114),
    array_of(1000, "_bool", "boolean[]", 16),
    array_of(1001, "_bytea", "bytea[]", 17),
    array_of(1002, "_char", "\"char\"[]", 18),
    array_of(1003, "_name", "name[]", 19),
    array_of(1005, "_int2", "smallint[]", 21),
    array_of(1007, "_int4", "integer[]", 23),
    array_of(1009, "_text", "text[]", 25),
    array_of(1014, "_bpchar", "character[]", 1042),
    array_of(1015, "_varchar", "character varying[]", 1043),
    array_of(1016, "_int8", "bigint[]", 20),
    array_of(1021, "_float4", "real[]", 700),
    array_of(1022, "_float8", "double precision[]", 701),
    array_of(1028, "_oid", "oid[]", 26),
    array_of(1115, "_timestamp", "timestamp without time zone[]", 1114),
    array_of(1182, "_date", "date[]", 1082),
    array_of(1183, "_time", "time without time zone[]", 1083),
    array_of(1185, "_timestamptz", "timestamp with time zone[]", 1184),
    array_of(1187, "_interval", "interval[]", 1186),
    array_of(1231, "_numeric", "numeric[]", 1700),
    array_of(2951, "_uuid", "uuid[]", 2950),
    array_of(3807, "_jsonb", "jsonb[]", 3802),
];

pub(super) fn by_oid(oid: u32) -> Option<&'static TypeRow> {
    TYPES.iter().find(|row| row.oid == oid)
}

/// By either name: `int4` or `integer`.
pub(super) fn by_name(name: &str) -> Option<&'static TypeRow> {
    let name = name.trim().trim_start_matches("pg_catalog.");
    TYPES.iter().find(|row| row.name == name || row.display == name)
}

/// What `format_type(oid, modifier)` prints.
pub(super) fn display(oid: u32, modifier: i64) -> String {
    let Some(row) = by_oid(oid) else {
        return "???".to_owned();
    };
    match oid {
        // 4 is the length word counted along in these modifiers.
        1042 | 1043 if modifier >= 4 => format!("{}({})", row.display, modifier - 4),
        1700 if modifier >= 4 => {
            let packed = modifier - 4;
            format!("numeric({},{})", packed >> 16, packed & 0x7ff)
        }
        _ => row.display.to_owned(),
    }
}
