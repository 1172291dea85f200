//! What a type OID asks of the encoder.

/// The ways in which values are written. Types that are written alike share one.
#[derive(Clone, Debug, PartialEq)]
pub enum WireType {
    Bool,
    Int2,
    Int4,
    Int8,
    /// oid and the types that are one underneath.
    Oid,
    /// regclass, regtype …: as text a name, an oid in binary.
    Object,
    Float4,
    Float8,
    Numeric,
    /// text, varchar, char, name and whatever has no form of its own.
    Text,
    /// character(n): text with blanks up to n characters.
    Padded(usize),
    Bytea,
    Timestamp,
    Timestamptz,
    Date,
    Time,
    Interval,
    Json,
    Jsonb,
    Uuid,
    /// Values of several types between parentheses; the array tells which.
    Record,
    Array {
        element_oid: u32,
        element: Box<WireType>,
        /// int2vector and oidvector: values between spaces, counted from 0.
        vector: bool,
    },
}

/// Arrays with the type of their elements, as pg_type has them.
const ARRAYS: &[(u32, u32)] = &[
    (1000, 16),   // bool[]
    (1001, 17),   // bytea[]
    (1002, 18),   // "char"[]
    (1003, 19),   // name[]
    (1005, 21),   // int2[]
    (1007, 23),   // int4[]
    (1008, 24),   // regproc[]
    (1009, 25),   // text[]
    (1014, 1042), // bpchar[]
    (1015, 1043), // varchar[]
    (1016, 20),   // int8[]
    (1021, 700),  // float4[]
    (1022, 701),  // float8[]
    (1028, 26),   // oid[]
    (1034, 1033), // aclitem[]
    (1115, 1114), // timestamp[]
    (1182, 1082), // date[]
    (1183, 1083), // time[]
    (1185, 1184), // timestamptz[]
    (1187, 1186), // interval[]
    (1231, 1700), // numeric[]
    (1263, 2275), // cstring[]
    (199, 114),   // json[]
    (2951, 2950), // uuid[]
    (2210, 2205), // regclass[]
    (2211, 2206), // regtype[]
    (4090, 4089), // regnamespace[]
    (4097, 4096), // regrole[]
    (3807, 3802), // jsonb[]
];

/// int2vector and oidvector with the type of their elements.
const VECTORS: &[(u32, u32)] = &[(22, 21), (30, 26)];

impl WireType {
    /// Of a type with its modifier, -1 where it has none.
    pub fn of_modified(oid: u32, modifier: i32) -> WireType {
        match (oid, usize::try_from(modifier)) {
            // The modifier counts the four bytes of a length that stands before the value in PostgreSQL.
            (1042, Ok(modifier @ 5..)) => WireType::Padded(modifier - 4),
            _ => WireType::of(oid),
        }
    }

    pub fn of(oid: u32) -> WireType {
        match oid {
            16 => WireType::Bool,
            17 => WireType::Bytea,
            20 => WireType::Int8,
            21 => WireType::Int2,
            23 => WireType::Int4,
            // oid, xid, cid
            26 | 28 | 29 => WireType::Oid,
            // regproc, regclass, regtype, regnamespace, regrole
            24 | 2205 | 2206 | 4089 | 4096 => WireType::Object,
            114 => WireType::Json,
            700 => WireType::Float4,
            701 => WireType::Float8,
            1082 => WireType::Date,
            1083 => WireType::Time,
            1114 => WireType::Timestamp,
            1184 => WireType::Timestamptz,
            1186 => WireType::Interval,
            1700 => WireType::Numeric,
            2249 => WireType::Record,
            2950 => WireType::Uuid,
            3802 => WireType::Jsonb,
            _ => {
                for (list, vector) in [(ARRAYS, false), (VECTORS, true)] {
                    if let Some((_, element_oid)) = list.iter().find(|(array, _)| *array == oid) {
                        return WireType::Array {
                            element_oid: *element_oid,
                            element: Box::new(WireType::of(*element_oid)),
                            vector,
                        };
                    }
                }
                WireType::Text
            }
        }
    }
}

/// `typlen` of a type: what RowDescription tells as its size. -1: variable.
pub fn type_size(oid: u32) -> i16 {
    match oid {
        // bool, "char"
        16 | 18 => 1,
        21 => 2,
        // int4, oid, xid, cid, float4, date, the reg types
        23 | 24 | 26 | 28 | 29 | 700 | 1082 | 2202..=2206 | 4089 | 4096 => 4,
        // int8, float8, time, timestamp, timestamptz
        20 | 701 | 1083 | 1114 | 1184 => 8,
        // interval, uuid
        1186 | 2950 => 16,
        // name
        19 => 64,
        // cstring, unknown
        705 | 2275 => -2,
        _ => -1,
    }
}
