//! What every PostgreSQL database has alike: system relations, types, functions, operators, casts. Read once from the files of `postgresql/`,
//! which `dump.sh` there writes from a running PostgreSQL 15.

use std::sync::LazyLock;

use super::procedures::Procedure;
use super::snapshot::PG_CATALOG_OID;

/// A relation of pg_catalog or information_schema.
pub(super) struct RelationRow {
    pub schema: &'static str,
    pub name: &'static str,
    pub oid: u32,
    pub is_view: bool,
    /// Names and types, as `format_type` prints them without spaces.
    pub columns: Vec<(&'static str, &'static str)>,
}

/// A row of pg_type.
pub(super) struct TypeRow {
    pub oid: u32,
    pub name: &'static str,
    /// Bytes, -1 where it varies.
    pub length: i64,
    /// `typtype`: b for a base type, p for a pseudo-type.
    pub kind: &'static str,
    /// `typcategory`.
    pub category: &'static str,
    pub preferred: bool,
    /// Of an array: its element's type.
    pub element: u32,
    /// OID of the array of it; 0 where there is none.
    pub array: u32,
    pub input: u32,
    pub output: u32,
    pub receive: u32,
    pub send: u32,
    pub align: &'static str,
    pub storage: &'static str,
    pub collation: u32,
    /// What `format_type` prints.
    pub display: String,
}

/// A row of pg_operator.
pub(super) struct OperatorRow {
    pub oid: u32,
    pub name: &'static str,
    pub kind: &'static str,
    pub left: u32,
    pub right: u32,
    pub result: u32,
    pub function: u32,
}

/// A row of pg_cast.
pub(super) struct CastRow {
    pub source: u32,
    pub target: u32,
    pub function: u32,
    pub context: &'static str,
    pub method: &'static str,
}

/// A row of pg_opclass, with its family's name.
pub(super) struct OperatorClassRow {
    pub oid: u32,
    pub family: u32,
    pub family_name: &'static str,
    pub name: &'static str,
    pub type_oid: u32,
    pub is_default: bool,
}

/// A row of `pg_get_keywords()`.
pub(super) struct KeywordRow {
    pub word: &'static str,
    /// U, C, T or R.
    pub code: &'static str,
    /// Whether it can name a column without AS.
    pub bare_label: bool,
}

pub(super) static RELATIONS: LazyLock<Vec<RelationRow>> = LazyLock::new(|| {
    lines(include_str!("postgresql/relations.txt"))
        .map(|mut words| RelationRow {
            schema: word(&mut words),
            name: word(&mut words),
            oid: oid(&mut words),
            is_view: word(&mut words) == "v",
            columns: words.filter_map(|column| column.split_once(':')).collect(),
        })
        .collect()
});

pub(super) static TYPES: LazyLock<Vec<TypeRow>> = LazyLock::new(|| {
    lines(include_str!("postgresql/types.txt"))
        .map(|mut words| TypeRow {
            oid: oid(&mut words),
            name: word(&mut words),
            length: word(&mut words).parse().unwrap_or(-1),
            kind: word(&mut words),
            category: word(&mut words),
            preferred: word(&mut words) == "1",
            element: oid(&mut words),
            array: oid(&mut words),
            input: oid(&mut words),
            output: oid(&mut words),
            receive: oid(&mut words),
            send: oid(&mut words),
            align: word(&mut words),
            storage: word(&mut words),
            collation: oid(&mut words),
            display: words.collect::<Vec<_>>().join(" "),
        })
        .collect()
});

/// By name, then by OID.
pub(super) static FUNCTIONS: LazyLock<Vec<Procedure>> = LazyLock::new(|| {
    lines(include_str!("postgresql/functions.txt"))
        .map(|mut words| Procedure {
            oid: oid(&mut words),
            name: word(&mut words).into(),
            namespace: PG_CATALOG_OID,
            kind: word(&mut words),
            volatility: word(&mut words),
            strict: word(&mut words) == "1",
            returns_set: word(&mut words) == "1",
            result: oid(&mut words),
            arguments: words.filter_map(|argument| argument.parse().ok()).collect(),
            variadic: false,
            description: None,
        })
        .collect()
});

pub(super) static OPERATORS: LazyLock<Vec<OperatorRow>> = LazyLock::new(|| {
    lines(include_str!("postgresql/operators.txt"))
        .map(|mut words| OperatorRow {
            oid: oid(&mut words),
            name: word(&mut words),
            kind: word(&mut words),
            left: oid(&mut words),
            right: oid(&mut words),
            result: oid(&mut words),
            function: oid(&mut words),
        })
        .collect()
});

pub(super) static CASTS: LazyLock<Vec<CastRow>> = LazyLock::new(|| {
    lines(include_str!("postgresql/casts.txt"))
        .map(|mut words| CastRow {
            source: oid(&mut words),
            target: oid(&mut words),
            function: oid(&mut words),
            context: word(&mut words),
            method: word(&mut words),
        })
        .collect()
});

pub(super) static OPERATOR_CLASSES: LazyLock<Vec<OperatorClassRow>> = LazyLock::new(|| {
    lines(include_str!("postgresql/operator_classes.txt"))
        .map(|mut words| OperatorClassRow {
            oid: oid(&mut words),
            family: oid(&mut words),
            family_name: word(&mut words),
            name: word(&mut words),
            type_oid: oid(&mut words),
            is_default: word(&mut words) == "1",
        })
        .collect()
});

pub(super) static KEYWORDS: LazyLock<Vec<KeywordRow>> = LazyLock::new(|| {
    lines(include_str!("postgresql/keywords.txt"))
        .map(|mut words| KeywordRow {
            word: word(&mut words),
            code: word(&mut words),
            bare_label: word(&mut words) == "1",
        })
        .collect()
});

/// The type that `relations.txt` calls so: as `format_type` prints it, without spaces and quotes.
pub(super) fn type_oid(written: &str) -> Option<u32> {
    let squeezed = |row: &&TypeRow| {
        let display = row.display.chars().filter(|character| !matches!(character, ' ' | '"'));
        display.eq(written.chars())
    };
    TYPES.iter().find(squeezed).map(|row| row.oid)
}

type Words = std::str::Split<'static, char>;

fn lines(text: &'static str) -> impl Iterator<Item = Words> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' '))
}

fn word(words: &mut Words) -> &'static str {
    words.next().unwrap_or_default()
}

fn oid(words: &mut Words) -> u32 {
    word(words).parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_whole() {
        assert!(RELATIONS.iter().any(|row| row.name == "pg_class" && row.oid == 1259));
        assert!(
            TYPES
                .iter()
                .any(|row| row.name == "timestamptz" && row.display == "timestamp with time zone")
        );
        assert!(FUNCTIONS.iter().any(|row| row.name == "abs" && row.arguments == [23]));
        assert!(OPERATORS.iter().any(|row| row.name == "||" && row.left == 25));
        assert!(CASTS.iter().any(|row| (row.source, row.target) == (23, 20)));
        assert!(
            OPERATOR_CLASSES
                .iter()
                .any(|row| row.type_oid == 1184 && row.is_default)
        );
        assert!(
            KEYWORDS
                .iter()
                .any(|row| row.word == "select" && row.code == "R" && row.bare_label)
        );
        assert!(RELATIONS.iter().all(|row| row.oid != 0 && !row.columns.is_empty()));
    }
}
