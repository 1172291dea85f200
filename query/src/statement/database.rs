//! CREATE, ALTER and DROP DATABASE in both spellings, down to storage settings.
//!
//! `KEEP 3650 DAYS 10 VGROUPS 2` and `WITH (keep = '3650 days', days = '10 days', vgroups = 2)` read alike; so does PostgreSQL's
//! `OWNER = x ENCODING 'UTF8'`.

use taospg_catalog::{DatabaseOptions, Precision, UpdateMode};

use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::{Command, Owned, SettingOf};
use crate::{ErrorKind, QueryError};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// KEEP: a day to a thousand years, as in TDengine.
const KEEP_MS: std::ops::RangeInclusive<i64> = DAY_MS..=365_000 * DAY_MS;

/// DAYS: below an hour there would be more file groups than rows in them; TDengine's upper limit.
const GROUP_SPAN_MS: std::ops::RangeInclusive<i64> = HOUR_MS..=3_650 * DAY_MS;

/// VGROUPS: TDengine's limit. Each vnode costs a log and a memtable.
const VGROUPS_MAX: u32 = 1_024;

/// MAXROWS: smaller blocks are mostly headers, larger ones leave the cache while merging.
const BLOCK_ROWS: std::ops::RangeInclusive<u32> = 64..=4_096;

/// COMMIT_TIME: a flush each second at most, and one each day at least, so that logs are replayed in a bounded time.
const FLUSH_INTERVAL_MS: std::ops::RangeInclusive<i64> = 1_000..=DAY_MS;

/// One option of a database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DatabaseOption {
    KeepMs(i64),
    GroupSpanMs(i64),
    Vgroups(u32),
    Precision(Precision),
    Compression(u8),
    Update(UpdateMode),
    WalLevel(u8),
    FlushIntervalMs(i64),
    BlockRows(u32),
    /// OWNER = role, of CREATE DATABASE.
    Owner(String),
    /// Known to PostgreSQL or TDengine and without meaning here; the name, and whether to tell the user so.
    Ignored {
        name: String,
        tell: bool,
    },
}

impl DatabaseOption {
    pub fn apply(&self, options: &mut DatabaseOptions) {
        match self {
            DatabaseOption::KeepMs(keep_ms) => options.keep_ms = *keep_ms,
            DatabaseOption::GroupSpanMs(group_span_ms) => options.group_span_ms = *group_span_ms,
            DatabaseOption::Vgroups(vgroups) => options.vgroups = *vgroups,
            DatabaseOption::Precision(precision) => options.precision = *precision,
            DatabaseOption::Compression(compression) => options.compression = *compression,
            DatabaseOption::Update(update) => options.update = *update,
            DatabaseOption::WalLevel(wal_level) => options.wal_level = *wal_level,
            DatabaseOption::FlushIntervalMs(interval_ms) => options.flush_interval_ms = interval_ms.unsigned_abs(),
            DatabaseOption::BlockRows(rows) => options.block_rows_max = *rows,
            DatabaseOption::Owner(_) | DatabaseOption::Ignored { .. } => {}
        }
    }

    /// The option's name, when it is fixed once the database is made.
    pub fn fixed(&self) -> Option<&'static str> {
        match self {
            DatabaseOption::GroupSpanMs(_) => Some("days"),
            DatabaseOption::Vgroups(_) => Some("vgroups"),
            DatabaseOption::Precision(_) => Some("precision"),
            DatabaseOption::Update(_) => Some("update"),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct CreateDatabase {
    pub if_not_exists: bool,
    pub name: String,
    pub options: Vec<DatabaseOption>,
}

#[derive(Debug)]
pub(crate) struct AlterDatabase {
    pub name: String,
    pub change: DatabaseChange,
}

#[derive(Debug)]
pub(crate) enum DatabaseChange {
    Options(Vec<DatabaseOption>),
    Rename(String),
}

pub(super) fn parse_create(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["database"])?;
    let if_not_exists = cursor.take(&["if", "not", "exists"]);
    let name = cursor.name()?;
    let options = parse_options(cursor)?;
    Ok(Command::CreateDatabase(CreateDatabase {
        if_not_exists,
        name,
        options,
    }))
}

pub(super) fn parse_alter(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["database"])?;
    let name = cursor.name()?;
    if cursor.take(&["rename", "to"]) {
        let change = DatabaseChange::Rename(cursor.name()?);
        return Ok(Command::AlterDatabase(AlterDatabase { name, change }));
    }
    if cursor.at_word("owner") && cursor.peek_second().is_word("to") {
        return super::role::parse_owner(cursor, Owned::Database(name));
    }
    if cursor.at_word("set") && cursor.peek_second().is_word("tablespace") {
        return Err(cursor.unsupported("a tablespace"));
    }
    if cursor.at_word("reset") || cursor.at_word("set") && !cursor.peek_second().is_symbol("(") {
        return super::role::parse_setting(cursor, SettingOf::Database(name));
    }
    cursor.take_word("set");
    let options = parse_options(cursor)?;
    if options.is_empty() {
        return Err(cursor.error());
    }
    let change = DatabaseChange::Options(options);
    Ok(Command::AlterDatabase(AlterDatabase { name, change }))
}

pub(super) fn parse_drop(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    cursor.expect(&["database"])?;
    let if_exists = cursor.take(&["if", "exists"]);
    let name = cursor.name()?;
    cursor.take_word("with");
    let mut force = false;
    if cursor.at_symbol("(") {
        cursor.list(|cursor| cursor.expect(&["force"]))?;
        force = true;
    }
    Ok(Command::DropDatabase { if_exists, name, force })
}

/// Options to the end, in brackets or not, with `=` or not, with `WITH` or not.
fn parse_options(cursor: &mut Cursor<'_>) -> Result<Vec<DatabaseOption>, QueryError> {
    let mut options = Vec::new();
    while !cursor.at_end() {
        cursor.take_word("with");
        if cursor.at_symbol("(") {
            options.extend(cursor.list(parse_option)?);
        } else {
            options.push(parse_option(cursor)?);
            cursor.take_symbol(",");
        }
    }
    Ok(options)
}

/// An option's value as it was written.
pub(super) struct Value {
    pub text: String,
    /// `365d`
    pub unit: Option<String>,
    byte: usize,
}

fn parse_option(cursor: &mut Cursor<'_>) -> Result<DatabaseOption, QueryError> {
    let byte = cursor.byte();
    let mut name = match cursor.peek().kind {
        TokenKind::Word => cursor.next().value.into_owned(),
        _ => return Err(cursor.error()),
    };
    if name == "connection" && cursor.take_word("limit") {
        name.push_str(" limit");
    }
    cursor.take_symbol("=");
    let value = parse_value(cursor)?;
    let option = match name.as_str() {
        "keep" => DatabaseOption::KeepMs(span(cursor, &name, &value, DAY_MS, KEEP_MS)?),
        "days" | "duration" => DatabaseOption::GroupSpanMs(span(cursor, &name, &value, DAY_MS, GROUP_SPAN_MS)?),
        "commit_time" | "ctime" | "flush_interval" => {
            DatabaseOption::FlushIntervalMs(span(cursor, &name, &value, 1_000, FLUSH_INTERVAL_MS)?)
        }
        "vgroups" => DatabaseOption::Vgroups(number(cursor, &name, &value, 1..=VGROUPS_MAX)?),
        "precision" => DatabaseOption::Precision(match value.text.to_ascii_lowercase().as_str() {
            "ms" => Precision::Millisecond,
            "us" => Precision::Microsecond,
            "ns" => Precision::Nanosecond,
            _ => return Err(bad_value(cursor, &name, &value, "'ms', 'us' or 'ns'")),
        }),
        "comp" | "compression" => DatabaseOption::Compression(number(cursor, &name, &value, 0..=2)? as u8),
        "update" => DatabaseOption::Update(match number(cursor, &name, &value, 0..=2)? {
            0 => UpdateMode::KeepFirst,
            1 => UpdateMode::ReplaceRow,
            _ => UpdateMode::MergeColumns,
        }),
        "wal_level" | "wallevel" | "wal" => DatabaseOption::WalLevel(number(cursor, &name, &value, 1..=2)? as u8),
        "maxrows" | "rows" | "block_rows" => DatabaseOption::BlockRows(number(cursor, &name, &value, BLOCK_ROWS)?),
        "replica" | "quorum" => {
            number(cursor, &name, &value, 1..=1)?;
            DatabaseOption::Ignored { name, tell: false }
        }
        "encoding" => {
            let encoding = value.text.to_ascii_lowercase().replace(['-', '_'], "");
            if !["utf8", "unicode", "default", "6"].contains(&encoding.as_str()) {
                return Err(bad_value(cursor, &name, &value, "UTF8"));
            }
            DatabaseOption::Ignored { name, tell: false }
        }
        "owner" if value.text.eq_ignore_ascii_case("default") => DatabaseOption::Ignored { name, tell: false },
        "owner" => DatabaseOption::Owner(value.text),
        "template" | "lc_collate" | "lc_ctype" | "locale" | "icu_locale" | "locale_provider" | "collation_version"
        | "strategy" | "tablespace" | "allow_connections" | "is_template" | "connection limit" | "oid" => {
            DatabaseOption::Ignored { name, tell: false }
        }
        "minrows"
        | "cache"
        | "blocks"
        | "buffer"
        | "pages"
        | "pagesize"
        | "tsdb_pagesize"
        | "cachemodel"
        | "cachelast"
        | "cachesize"
        | "fsync"
        | "wal_fsync_period"
        | "wal_retention_period"
        | "wal_retention_size"
        | "stt_trigger"
        | "single_stable"
        | "table_prefix"
        | "table_suffix"
        | "keep_time_offset"
        | "tables"
        | "maxtables"
        | "prec" => DatabaseOption::Ignored { name, tell: true },
        _ => {
            let message = format!("option \"{name}\" not recognized");
            return Err(cursor.error_at(byte, ErrorKind::SyntaxError, message));
        }
    };
    Ok(option)
}

pub(super) fn parse_value(cursor: &mut Cursor<'_>) -> Result<Value, QueryError> {
    let token = cursor.peek().clone();
    match token.kind {
        TokenKind::Text | TokenKind::Word | TokenKind::QuotedName | TokenKind::Number => {}
        _ if token.is_symbol("-") => {
            // CONNECTION LIMIT -1; every other option refuses the sign by its range.
            cursor.next();
            let mut value = parse_value(cursor)?;
            value.text.insert(0, '-');
            return Ok(value);
        }
        _ => return Err(cursor.error()),
    }
    cursor.next();
    // `365d`: a unit right behind the number.
    let unit = cursor.peek();
    let attached = token.kind == TokenKind::Number && unit.kind == TokenKind::Word && unit.start == token.end;
    let unit = attached.then(|| cursor.next().value.into_owned());
    Ok(Value {
        text: token.value.into_owned(),
        unit,
        byte: token.start,
    })
}

pub(super) fn bad_value(cursor: &Cursor<'_>, name: &str, value: &Value, wanted: &str) -> QueryError {
    let message = format!(
        "option \"{name}\" is \"{}{}\": must be {wanted}",
        value.text,
        value.unit.as_deref().unwrap_or("")
    );
    cursor.error_at(value.byte, ErrorKind::InvalidParameterValue, message)
}

fn number(
    cursor: &Cursor<'_>,
    name: &str,
    value: &Value,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, QueryError> {
    let number = value
        .text
        .trim()
        .parse()
        .ok()
        .filter(|number| value.unit.is_none() && range.contains(number));
    number.ok_or_else(|| {
        let wanted = match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("from {} to {}", range.start(), range.end()),
        };
        bad_value(cursor, name, value, &wanted)
    })
}

/// A span of time in milliseconds: `3650`, `365d`, `'10 days'`. `bare_ms`: what a number without a unit counts.
fn span(
    cursor: &Cursor<'_>,
    name: &str,
    value: &Value,
    bare_ms: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, QueryError> {
    let text = value.text.trim();
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let unit = value
        .unit
        .as_deref()
        .unwrap_or(text[digits..].trim())
        .to_ascii_lowercase();
    let unit_ms = match unit.as_str() {
        "" => Some(bare_ms),
        "s" | "second" | "seconds" | "sec" | "secs" => Some(1_000),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(MINUTE_MS),
        "h" | "hour" | "hours" => Some(HOUR_MS),
        "d" | "day" | "days" => Some(DAY_MS),
        "w" | "week" | "weeks" => Some(7 * DAY_MS),
        "y" | "year" | "years" => Some(365 * DAY_MS),
        _ => None,
    };
    let number = text[..digits].parse::<i64>().ok();
    let span_ms = number
        .zip(unit_ms)
        .and_then(|(number, unit_ms)| number.checked_mul(unit_ms));
    span_ms.filter(|span_ms| range.contains(span_ms)).ok_or_else(|| {
        let wanted = format!("from {} to {}", show_span(*range.start()), show_span(*range.end()));
        bad_value(cursor, name, value, &wanted)
    })
}

/// `10 days`, with the largest unit that leaves a whole number.
pub(crate) fn show_span(span_ms: i64) -> String {
    let units = [
        (DAY_MS, "day"),
        (HOUR_MS, "hour"),
        (MINUTE_MS, "minute"),
        (1_000, "second"),
        (1, "millisecond"),
    ];
    let (size, unit) = units
        .into_iter()
        .find(|(size, _)| span_ms % size == 0)
        .unwrap_or((1, "millisecond"));
    let number = span_ms / size;
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Vec<DatabaseOption>, QueryError> {
        parse_options(&mut Cursor::new(text).unwrap())
    }

    #[test]
    fn both_spellings_say_the_same() {
        let expected = vec![
            DatabaseOption::KeepMs(3_650 * DAY_MS),
            DatabaseOption::GroupSpanMs(10 * DAY_MS),
            DatabaseOption::Vgroups(2),
            DatabaseOption::Precision(Precision::Microsecond),
        ];
        for text in [
            "KEEP 3650 DAYS 10 VGROUPS 2 PRECISION 'us'",
            "KEEP 3650d DURATION 240h VGROUPS 2 PRECISION us",
            "WITH (keep = '3650 days', days = '10 days', vgroups = 2, precision = 'us')",
            "WITH KEEP = 10y, DAYS = 10, VGROUPS = 2, PRECISION = 'US'",
        ] {
            assert_eq!(options(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn postgresql_options_are_accepted() {
        let text = "WITH OWNER = postgres ENCODING 'UTF8' LC_COLLATE = 'C' TEMPLATE template0 CONNECTION LIMIT -1";
        assert_eq!(options(text).unwrap().len(), 5);
    }

    #[test]
    fn wrong_options_are_told_with_their_place() {
        for (text, kind, position) in [
            ("KEEP 0", ErrorKind::InvalidParameterValue, 6),
            ("KEEP 3650x", ErrorKind::InvalidParameterValue, 6),
            ("KEEP 99999999999999999999", ErrorKind::InvalidParameterValue, 6),
            ("VGROUPS -1", ErrorKind::InvalidParameterValue, 10),
            ("PRECISION 's'", ErrorKind::InvalidParameterValue, 11),
            ("WAL_LEVEL 0", ErrorKind::InvalidParameterValue, 11),
            ("REPLICA 3", ErrorKind::InvalidParameterValue, 9),
            ("ENCODING 'LATIN1'", ErrorKind::InvalidParameterValue, 10),
            ("KEEP 10 FOO 3", ErrorKind::SyntaxError, 9),
            ("KEEP", ErrorKind::SyntaxError, 5),
        ] {
            let error = options(text).unwrap_err();
            assert_eq!((error.kind, error.position), (kind, Some(position)), "{text}: {error}");
        }
    }

    #[test]
    fn spans_are_shown_with_their_largest_unit() {
        for (span_ms, shown) in [
            (DAY_MS, "1 day"),
            (36 * HOUR_MS, "36 hours"),
            (1_500, "1500 milliseconds"),
        ] {
            assert_eq!(show_span(span_ms), shown);
        }
    }
}
