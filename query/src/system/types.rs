//! PostgreSQL's types by OID and by name, and how `format_type` prints them.

use super::postgresql::{TYPES, TypeRow};

pub(super) fn by_oid(oid: u32) -> Option<&'static TypeRow> {
    TYPES.iter().find(|row| row.oid == oid)
}

/// By either name, qualified or not, with or without a modifier: `int4`, `integer`, `pg_catalog.int4`, `varchar(20)`, `text[]`.
pub(super) fn by_name(name: &str) -> Option<&'static TypeRow> {
    let name = name.trim();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let folded = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        // "char" is a type of its own, and printed with its quotes.
        Some(quoted) => return TYPES.iter().find(|row| row.name == quoted),
        None => name.to_lowercase(),
    };
    let (base, rest) = match folded.split_once('(') {
        Some((base, rest)) => (
            base.trim_end().to_owned(),
            rest.split_once(')').map_or("", |(_, rest)| rest),
        ),
        None => (folded.clone(), ""),
    };
    let base = format!("{base}{rest}");
    let base = match base.as_str() {
        "char" => "character",
        "decimal" => "numeric",
        "int" => "integer",
        "float" => "double precision",
        "timestamp" => "timestamp without time zone",
        "time" => "time without time zone",
        other => other,
    };
    let found = TYPES.iter().find(|row| row.display == base || row.name == base);
    found.or_else(|| {
        let element = by_name(base.strip_suffix("[]")?)?;
        by_oid(element.array)
    })
}

/// What `format_type(oid, modifier)` prints.
pub(super) fn display(oid: u32, modifier: i64) -> String {
    let Some(row) = by_oid(oid) else {
        return match oid {
            0 => "-".to_owned(),
            _ => "???".to_owned(),
        };
    };
    let (element, brackets) = match row.display.strip_suffix("[]") {
        Some(_) => (row.element, "[]"),
        None => (oid, ""),
    };
    let display = row.display.strip_suffix("[]").unwrap_or(&row.display);
    match element {
        // 4 is the length word counted along in these modifiers.
        1042 | 1043 if modifier >= 4 => format!("{display}({}){brackets}", modifier - 4),
        1700 if modifier >= 4 => {
            let packed = modifier - 4;
            format!("numeric({},{}){brackets}", packed >> 16, packed & 0x7ff)
        }
        1083 | 1114 | 1184 if modifier >= 0 => match display.split_once(' ') {
            Some((first, rest)) => format!("{first}({modifier}) {rest}{brackets}"),
            None => format!("{display}({modifier}){brackets}"),
        },
        _ => row.display.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_all_their_names() {
        for (name, oid) in [
            ("int4", 23),
            ("integer", 23),
            ("INT", 23),
            ("pg_catalog.int8", 20),
            ("varchar(20)", 1043),
            ("timestamp with time zone", 1184),
            ("timestamp(3) with time zone", 1184),
            ("timestamp", 1114),
            ("text[]", 1009),
            ("integer[]", 1007),
            ("\"char\"", 18),
            ("char", 1042),
        ] {
            assert_eq!(by_name(name).map(|row| row.oid), Some(oid), "{name}");
        }
        assert!(by_name("hstore").is_none());
    }

    #[test]
    fn modifiers_are_printed() {
        assert_eq!(display(1043, 68), "character varying(64)");
        assert_eq!(display(1700, (10 << 16 | 2) + 4), "numeric(10,2)");
        assert_eq!(display(1184, 3), "timestamp(3) with time zone");
        assert_eq!(display(1007, -1), "integer[]");
    }
}
