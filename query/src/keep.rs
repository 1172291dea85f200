//! How long rows are kept: KEEP of a database, and of a table that has its own. What is older is hidden at once, and refused when it is
//! written; its room is free when a whole file group is past it. The shorter of the two decides.
//!
//! ```text
//!              first                                        now
//! ... | group | gro:up  | group | group | group | group | gro:
//! removed now |hidden : shown
//! ```
//!
//! A table's KEEP is an interval: its months are months of the calendar, in UTC.

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::IntervalMonthDayNano;
use chrono::{DateTime, Months};
use taospg_catalog::{Database, Keep, Table, TableKind};
use taospg_storage::{Change, Durability, FamilyId, SeriesSet, TimeRange, Transaction, VnodeId};

use crate::hypertable::{DAY_MS, group_start};
use crate::pg_type::parse_interval;
use crate::pg_type::write::{IntervalStyle, write_interval};
use crate::statement::show_span;
use crate::{Engine, ErrorKind, QueryError};

const NS_PER_MS: i64 = 1_000_000;
/// A thousand years, as of a database.
const DAYS_MAX: i64 = 365_000;

/// By table: the version of its definition, and the first time that its removal left. What is done is not done again each minute: deletes
/// take room until their rows are compacted away.
pub(crate) type ExpiredTables = HashMap<u32, (u32, i64)>;

/// An interval as PostgreSQL reads it; a bare number is days. `None`: it is none, or no table can keep rows as long or as short.
pub(crate) fn read(text: &str) -> Option<Keep> {
    let text = text.trim();
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => of_interval(parse_interval(&format!("{text} days"))?),
        false => of_interval(parse_interval(text)?),
    }
}

pub(crate) fn of_interval(interval: IntervalMonthDayNano) -> Option<Keep> {
    let ms = i64::from(interval.days)
        .checked_mul(DAY_MS)?
        .checked_add(interval.nanoseconds / NS_PER_MS)?;
    let keep = Keep {
        months: u32::try_from(interval.months).ok()?,
        ms,
    };
    let days = i64::from(keep.months) * 31 + ms / DAY_MS;
    (ms >= 0 && keep != Keep { months: 0, ms: 0 } && days <= DAYS_MAX).then_some(keep)
}

/// `6 mons`, `30 days`, `36:00:00`: as PostgreSQL writes the interval.
pub(crate) fn shown(keep: Keep) -> String {
    let days = i32::try_from(keep.ms / DAY_MS).unwrap_or(i32::MAX);
    let mut text = Vec::new();
    let months = i32::try_from(keep.months).unwrap_or(i32::MAX);
    let rest = (keep.ms % DAY_MS) * NS_PER_MS;
    write_interval(months, days, rest, IntervalStyle::Postgres, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The first time of a database that is kept, in its unit.
pub(crate) fn first_of_database(database: &Database, now_ns: i64) -> i64 {
    let of_ms = |ms: i64| i128::from(ms) * i128::from(NS_PER_MS);
    in_units(database, i128::from(now_ns) - of_ms(database.options.keep_ms))
}

/// The first time of a table that is kept, in its database's unit.
pub(crate) fn first(database: &Database, table: &Table, now_ns: i64) -> i64 {
    let of_database = first_of_database(database, now_ns);
    match table.keep {
        None => of_database,
        Some(keep) => of_database.max(first_of(database, keep, now_ns)),
    }
}

fn first_of(database: &Database, keep: Keep, now_ns: i64) -> i64 {
    let months_ago = DateTime::from_timestamp_nanos(now_ns).checked_sub_months(Months::new(keep.months));
    let rest = i128::from(keep.ms) * i128::from(NS_PER_MS);
    // Before the calendar there is nothing to remove.
    months_ago.map_or(i64::MIN, |moment| {
        let (seconds, part) = (moment.timestamp(), moment.timestamp_subsec_nanos());
        in_units(database, i128::from(seconds) * 1_000_000_000 + i128::from(part) - rest)
    })
}

fn in_units(database: &Database, nanoseconds: i128) -> i64 {
    let per_second = i128::from(database.options.precision.units_per_second());
    let units = (nanoseconds * per_second).div_euclid(1_000_000_000);
    i64::try_from(units).unwrap_or(i64::MIN)
}

/// Refuses what the database's own KEEP would cut short unnoticed.
pub(crate) fn check(database: &Database, table: &str, keep: Keep, now_ns: i64) -> Result<(), QueryError> {
    if first_of(database, keep, now_ns) >= first_of_database(database, now_ns) {
        return Ok(());
    }
    let name = &database.name;
    let of_database = show_span(database.options.keep_ms);
    let message = format!(
        "table \"{table}\" cannot keep rows for {}: KEEP of database \"{name}\" is {of_database}",
        shown(keep)
    );
    let error = QueryError::new(ErrorKind::InvalidParameterValue, message);
    Err(error.with_hint(format!(
        "ALTER DATABASE {name} KEEP … first, or let the table keep less"
    )))
}

pub(crate) fn refuse_keyed(table: &Table) -> Result<(), QueryError> {
    if !table.is_keyed() {
        return Ok(());
    }
    let message = format!("table \"{}\" has no time that KEEP could count from", table.name);
    Err(QueryError::new(ErrorKind::WrongObjectType, message))
}

/// Deletes the rows of tables with their own KEEP that lie in file groups past it, in memory too.
pub(crate) async fn expire_tables(engine: &Engine, database: &Database, now_ns: i64) -> Result<(), QueryError> {
    let vnodes: Vec<VnodeId> = {
        // A DROP that came in between would leave deletes that no table owns.
        let _no_drop_meanwhile = engine.definitions().read().await;
        let mut changes = BTreeMap::new();
        let mut done = Vec::new();
        for table in engine.catalog().tables(database.oid) {
            if table.keep.is_none() {
                continue;
            }
            let first = group_start(database, first(database, &table, now_ns));
            let state = (table.version, first);
            if engine.expired_tables().lock().get(&table.oid) != Some(&state) {
                add_expired(engine, database, &table, first, &mut changes)?;
                done.push((table.oid, state));
            }
        }
        let vnodes = changes.keys().copied().collect();
        if !changes.is_empty() {
            let durability = Durability::Kernel; // lost with the power, it is done again
            engine.storage().commit(Transaction { changes, durability }).await?;
        }
        engine.expired_tables().lock().extend(done);
        vnodes
    };
    // Files are rewritten for the deletes that are in files themselves.
    Ok(engine.storage().flush(&vnodes).await?)
}

/// Adds the deletes of what is older.
fn add_expired(
    engine: &Engine,
    database: &Database,
    table: &Table,
    first: i64,
    changes: &mut BTreeMap<VnodeId, Vec<Change>>,
) -> Result<(), QueryError> {
    let Some(time) = TimeRange::new(i64::MIN, first.saturating_sub(1)) else {
        return Ok(());
    };
    let family = FamilyId(table.oid);
    let vnodes = match (table.kind, table.series) {
        (TableKind::Plain, Some(series)) => vec![series.vnode],
        _ => database.vnodes.clone(),
    };
    for vnode in vnodes.into_iter().map(VnodeId) {
        if engine.storage().view(vnode)?.outline(family, time)?.is_some() {
            changes.entry(vnode).or_default().push(Change::Delete {
                family,
                series: SeriesSet::All,
                time,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use taospg_catalog::DatabaseOptions;

    use super::*;

    #[test]
    fn intervals_are_read_and_shown_as_postgresql_does_and_bare_numbers_are_days() {
        let read = |text| read(text).map(shown);
        for (text, shown) in [
            ("30", "30 days"),
            ("30d", "30 days"),
            ("36h", "1 day 12:00:00"),
            ("6 months", "6 mons"),
            ("1 year 2 days", "1 year 2 days"),
        ] {
            assert_eq!(read(text).as_deref(), Some(shown), "{text}");
        }
        for text in [
            "",
            "0",
            "-3 days",
            "1 day -1 month",
            "soon",
            "2000 years",
            "1 microsecond",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_month_is_one_of_the_calendar() {
        let database = Database {
            oid: 1,
            name: "power".into(),
            options: DatabaseOptions::default(),
            vnodes: Vec::new(),
        };
        let at = |text: &str| {
            text.parse::<DateTime<chrono::Utc>>()
                .expect("a time")
                .timestamp_nanos_opt()
        };
        let now = at("2026-03-31T12:00:00Z").expect("in range");
        let first = first_of(
            &database,
            Keep {
                months: 1,
                ms: 3_600_000,
            },
            now,
        );
        assert_eq!(Some(first * 1_000), at("2026-02-28T11:00:00Z"));
    }
}
