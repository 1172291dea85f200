//! What definitions are allowed: names, options, columns, type changes. Pure checks, before anything is changed.

use crate::{CatalogError, Column, DatabaseOptions, KEYED_ROW, KEYED_TIME, SqlType, Table, TableKind};

/// As PostgreSQL's identifiers, which every client knows to cut at 63 bytes.
pub(crate) const NAME_BYTES_MAX: usize = 63;
/// Table names are often device ids or topics, longer than identifiers. TDengine's limit.
pub(crate) const TABLE_NAME_BYTES_MAX: usize = 192;
/// PostgreSQL's limit of columns, which its clients rely on.
pub(crate) const COLUMNS_MAX: usize = 1600;
/// attnum is a signed 16-bit number on the wire.
pub(crate) const ATTNUM_MAX: u16 = 32_767;
/// Each vnode has a log and a memtable of its own; more than this on one machine is a mistake in the statement.
pub(crate) const VGROUPS_MAX: u32 = 1024;
/// PostgreSQL's limit for varchar(n) and char(n).
pub(crate) const VARCHAR_MAX: u32 = 10_485_760;
/// Digits of a 128-bit decimal.
const NUMERIC_DIGITS_MAX: u8 = 38;
/// Rows in a block: fewer would cost more in headers than the rows are worth, more would no longer fit the cache as columns.
const BLOCK_ROWS: std::ops::RangeInclusive<u32> = 16..=65_536;

fn check_bytes(what: &str, name: &str, bytes_max: usize) -> Result<(), CatalogError> {
    if name.is_empty() {
        return Err(CatalogError::BadName(format!("{what} name is empty")));
    }
    if name.contains('\0') {
        return Err(CatalogError::BadName(format!(
            "{what} name {name:?} contains a zero byte"
        )));
    }
    if name.len() > bytes_max {
        return Err(CatalogError::BadName(format!(
            "{what} name \"{name}\" has {} bytes, at most {bytes_max} are possible",
            name.len()
        )));
    }
    Ok(())
}

pub(crate) fn check_database_name(name: &str) -> Result<(), CatalogError> {
    check_bytes("database", name, NAME_BYTES_MAX)
}

pub(crate) fn check_role_name(name: &str) -> Result<(), CatalogError> {
    check_bytes("role", name, NAME_BYTES_MAX)
}

pub(crate) fn check_table_name(name: &str) -> Result<(), CatalogError> {
    check_bytes("table", name, TABLE_NAME_BYTES_MAX)
}

/// `what` is "column" or "tag".
pub(crate) fn check_column_name(what: &str, name: &str) -> Result<(), CatalogError> {
    check_bytes(what, name, NAME_BYTES_MAX)?;
    if name == "tbname" {
        return Err(CatalogError::BadName(format!(
            "{what} name \"tbname\" means the name of a row's table"
        )));
    }
    Ok(())
}

pub(crate) fn check_options(options: &DatabaseOptions) -> Result<(), CatalogError> {
    let refused = |message: String| Err(CatalogError::Refused(message));
    if options.group_span_ms <= 0 {
        return refused(format!("days must be positive, not {} ms", options.group_span_ms));
    }
    if options.keep_ms < options.group_span_ms {
        return refused(format!(
            "keep must be at least as long as days: {} ms is less than {} ms",
            options.keep_ms, options.group_span_ms
        ));
    }
    if !(1..=VGROUPS_MAX).contains(&options.vgroups) {
        return refused(format!(
            "vgroups must be between 1 and {VGROUPS_MAX}, not {}",
            options.vgroups
        ));
    }
    if options.compression > 2 {
        return refused(format!("comp must be 0, 1 or 2, not {}", options.compression));
    }
    if !(1..=2).contains(&options.wal_level) {
        return refused(format!("wal_level must be 1 or 2, not {}", options.wal_level));
    }
    if options.flush_interval_ms == 0 {
        return refused("commit_time must be positive".into());
    }
    if !BLOCK_ROWS.contains(&options.block_rows_max) {
        return refused(format!(
            "maxrows must be between {} and {}, not {}",
            BLOCK_ROWS.start(),
            BLOCK_ROWS.end(),
            options.block_rows_max
        ));
    }
    Ok(())
}

/// Whether a database of options `from` may become one of options `to`.
pub(crate) fn check_options_change(from: &DatabaseOptions, to: &DatabaseOptions) -> Result<(), CatalogError> {
    check_options(to)?;
    let fixed = [
        ("days", from.group_span_ms == to.group_span_ms),
        ("vgroups", from.vgroups == to.vgroups),
        ("precision", from.precision == to.precision),
        ("update", from.update == to.update),
    ];
    match fixed.iter().find(|(_, same)| !same) {
        Some((option, _)) => Err(CatalogError::Refused(format!(
            "{option} is fixed when a database is made and cannot be changed"
        ))),
        None => Ok(()),
    }
}

pub(crate) fn check_type(column: &str, sql_type: SqlType) -> Result<(), CatalogError> {
    match sql_type {
        SqlType::Varchar(n) | SqlType::Char(n) if !(1..=VARCHAR_MAX).contains(&n) => Err(CatalogError::Refused(
            format!("length of column \"{column}\" must be between 1 and {VARCHAR_MAX}, not {n}"),
        )),
        SqlType::Numeric { precision, .. } if !(1..=NUMERIC_DIGITS_MAX).contains(&precision) => {
            Err(CatalogError::Refused(format!(
                "precision of numeric column \"{column}\" must be between 1 and {NUMERIC_DIGITS_MAX}, not {precision}"
            )))
        }
        SqlType::Numeric { precision, scale } if scale < 0 || scale.unsigned_abs() > precision => {
            Err(CatalogError::Refused(format!(
                "scale of numeric column \"{column}\" must be between 0 and {precision}, not {scale}"
            )))
        }
        _ => Ok(()),
    }
}

/// A whole definition, new, changed or read back.
pub(crate) fn check_table(table: &Table) -> Result<(), CatalogError> {
    check_table_name(&table.name)?;
    let refused = |message: String| Err(CatalogError::Refused(message));
    let name = &table.name;
    let Some((time, metrics)) = table.columns.split_first() else {
        return refused(format!("table \"{name}\" has no column that is not a tag"));
    };
    if !matches!(time.sql_type, SqlType::Timestamptz | SqlType::Timestamp) {
        return refused(format!(
            "column \"{}\" is the time of table \"{name}\" and must be a timestamp, not {}",
            time.name,
            time.sql_type.display_name()
        ));
    }
    if metrics.is_empty() {
        return refused(format!(
            "table \"{name}\" needs at least one column besides the time and the tags"
        ));
    }
    match (table.kind, table.tags.is_empty()) {
        (TableKind::Super, true) => return refused(format!("supertable \"{name}\" needs at least one tag")),
        (TableKind::Plain, false) => return refused(format!("table \"{name}\" has tags but is not a supertable")),
        _ => {}
    }
    if table.columns.len() + table.tags.len() > COLUMNS_MAX {
        return refused(format!(
            "table \"{name}\" can have at most {COLUMNS_MAX} columns and tags"
        ));
    }
    let mut names = std::collections::HashSet::new();
    let tagged = table
        .columns
        .iter()
        .map(|column| ("column", column))
        .chain(table.tags.iter().map(|tag| ("tag", tag)));
    for (what, column) in tagged {
        check_column_name(what, &column.name)?;
        check_type(&column.name, column.sql_type)?;
        if !names.insert(column.name.as_str()) {
            return Err(CatalogError::Exists {
                what,
                name: column.name.clone(),
            });
        }
    }
    Ok(())
}

/// Numbers that only the catalog gives: checked when a definition is read back.
pub(crate) fn check_numbers(table: &Table) -> Result<(), &'static str> {
    let mut ids = std::collections::HashSet::new();
    let mut attnums = std::collections::HashSet::new();
    for column in table.columns.iter().chain(&table.tags) {
        if column.id >= table.next_column_id || !ids.insert(column.id) {
            return Err("column ids are not distinct and below the next one");
        }
        let shown = !(column.is_hidden() && [KEYED_TIME, KEYED_ROW].contains(&column.name.as_str()));
        if shown && (column.attnum == 0 || column.attnum >= table.next_attnum || !attnums.insert(column.attnum)) {
            return Err("attnums are not distinct and below the next one");
        }
    }
    if table.columns.first().is_none_or(|time| time.id != 0) {
        return Err("the time column does not have id 0");
    }
    let ordered = |columns: &[Column]| columns.is_sorted_by_key(|column| column.attnum);
    if !ordered(table.columns.get(1..).unwrap_or_default()) || !ordered(&table.tags) {
        return Err("columns or tags are not in the order of their attnums");
    }
    if (table.kind == TableKind::Plain) != table.series.is_some() {
        return Err("a plain table has a series and a supertable has none");
    }
    Ok(())
}

/// Whether every value of type `from` is one of type `to`, and how it is stored allows the change.
pub(crate) fn widens(from: SqlType, to: SqlType) -> bool {
    use SqlType::{BigInt, Char, Integer, SmallInt, Text, Varchar};
    match (from, to) {
        _ if from == to => true,
        (SmallInt, Integer | BigInt) | (Integer, BigInt) | (Varchar(_), Text) => true,
        (Varchar(from), Varchar(to)) | (Char(from), Char(to)) => to >= from,
        _ => false,
    }
}
