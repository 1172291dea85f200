//! Views of schema `timescaledb_information`, for tools that ask TimescaleDB: every table with a time is a hypertable, its chunks are the file
//! groups that hold rows of it.

use std::sync::LazyLock;

use taospg_catalog::{Precision, Table};

use super::cell::Cell;
use super::postgresql::RelationRow;
use super::snapshot::{Listed, Snapshot};
use crate::engine::RETENTION_INTERVAL;
use crate::hypertable::{Chunk, chunks_of};
use crate::ingest::time::TimeReader;

pub(super) const SCHEMA: &str = "timescaledb_information";

/// The views, as tables of PostgreSQL's own are described.
pub(super) static RELATIONS: LazyLock<Vec<RelationRow>> = LazyLock::new(|| {
    let relation = |name, columns: &[(&'static str, &'static str)]| RelationRow {
        schema: SCHEMA,
        name,
        // Not in pg_class: whoever knows of them asks for them by name.
        oid: 0,
        is_view: true,
        columns: columns.to_vec(),
    };
    vec![
        relation(
            "hypertables",
            &[
                ("hypertable_schema", "name"),
                ("hypertable_name", "name"),
                ("owner", "name"),
                ("num_dimensions", "smallint"),
                ("num_chunks", "bigint"),
                ("compression_enabled", "boolean"),
                ("tablespaces", "name[]"),
            ],
        ),
        relation(
            "chunks",
            &[
                ("hypertable_schema", "name"),
                ("hypertable_name", "name"),
                ("chunk_schema", "name"),
                ("chunk_name", "name"),
                ("primary_dimension", "name"),
                ("primary_dimension_type", "text"),
                ("range_start", "timestampwithtimezone"),
                ("range_end", "timestampwithtimezone"),
                ("is_compressed", "boolean"),
            ],
        ),
        relation(
            "dimensions",
            &[
                ("hypertable_schema", "name"),
                ("hypertable_name", "name"),
                ("dimension_number", "bigint"),
                ("column_name", "name"),
                ("column_type", "text"),
                ("dimension_type", "text"),
            ],
        ),
        relation(
            "jobs",
            &[
                ("job_id", "integer"),
                ("application_name", "name"),
                ("schedule_interval", "interval"),
                ("max_runtime", "interval"),
                ("max_retries", "integer"),
                ("retry_period", "interval"),
                ("proc_schema", "name"),
                ("proc_name", "name"),
                ("owner", "name"),
                ("scheduled", "boolean"),
                ("fixed_schedule", "boolean"),
                ("config", "jsonb"),
                ("next_start", "timestampwithtimezone"),
                ("initial_start", "timestampwithtimezone"),
                ("hypertable_schema", "name"),
                ("hypertable_name", "name"),
                ("check_schema", "name"),
                ("check_name", "name"),
            ],
        ),
    ]
});

pub(super) const HYPERTABLES: &[&str] = &[
    "hypertable_schema",
    "hypertable_name",
    "owner",
    "num_dimensions",
    "num_chunks",
    "compression_enabled",
];

/// Tables with a time.
fn listed(snapshot: &Snapshot) -> impl Iterator<Item = &Listed> {
    let tables = snapshot.tables.iter();
    tables.filter(|listed| !listed.is_child && !listed.table.is_keyed())
}

fn chunks(snapshot: &Snapshot, table: &Table) -> Vec<Chunk> {
    let found = chunks_of(snapshot.engine(), &snapshot.session.database, table);
    found
        .inspect_err(|error| tracing::warn!(table = table.name, %error, "its file groups cannot be told"))
        .unwrap_or_default()
}

pub(super) fn hypertables(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        let owner = snapshot.identity.roles.name_of(snapshot.owner_of(listed.oid));
        let chunks = chunks(snapshot, &listed.table).len();
        vec![
            "public".into(),
            listed.name.as_str().into(),
            owner.into(),
            (1 + listed.table.tags.len() as i64).into(),
            (chunks as i64).into(),
            true.into(),
        ]
    };
    listed(snapshot).map(row).collect()
}

pub(super) const CHUNKS: &[&str] = &[
    "hypertable_schema",
    "hypertable_name",
    "chunk_schema",
    "chunk_name",
    "primary_dimension",
    "primary_dimension_type",
    "range_start",
    "range_end",
    "is_compressed",
];

pub(super) fn chunk_rows(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let database = &snapshot.session.database;
    let microseconds = |time: i64| match database.options.precision {
        Precision::Millisecond => time.saturating_mul(1_000),
        Precision::Microsecond => time,
        Precision::Nanosecond => time.div_euclid(1_000),
    };
    let reader = TimeReader::new(&database.options, chrono_tz::Tz::UTC, 0);
    let mut rows = Vec::new();
    for listed in listed(snapshot) {
        let time = listed.table.time_column();
        for chunk in chunks(snapshot, &listed.table) {
            rows.push(vec![
                "public".into(),
                listed.name.as_str().into(),
                "public".into(),
                crate::hypertable::chunk_name(&reader, &listed.name, &chunk).into(),
                time.name.as_str().into(),
                time.sql_type.display_name().into(),
                microseconds(chunk.start).into(),
                microseconds(chunk.end).into(),
                true.into(),
            ]);
        }
    }
    rows
}

pub(super) const DIMENSIONS: &[&str] = &[
    "hypertable_schema",
    "hypertable_name",
    "dimension_number",
    "column_name",
    "column_type",
    "dimension_type",
];

/// The time first, then the tags.
pub(super) fn dimensions(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for listed in listed(snapshot) {
        let columns = std::iter::once(listed.table.time_column()).chain(&listed.table.tags);
        for (number, column) in (1_i64..).zip(columns) {
            rows.push(vec![
                "public".into(),
                listed.name.as_str().into(),
                number.into(),
                column.name.as_str().into(),
                column.sql_type.display_name().into(),
                if number == 1 { "Time" } else { "Space" }.into(),
            ]);
        }
    }
    rows
}

pub(super) const JOBS: &[&str] = &[
    "job_id",
    "application_name",
    "schedule_interval",
    "max_runtime",
    "max_retries",
    "retry_period",
    "proc_schema",
    "proc_name",
    "owner",
    "scheduled",
    "fixed_schedule",
    "config",
    "hypertable_schema",
    "hypertable_name",
];

/// The retention policies: each table's KEEP, whose number is the table's.
pub(super) fn jobs(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let row = |listed: &Listed| {
        let drop_after = crate::keep::shown(listed.table.keep?);
        let every = i64::try_from(RETENTION_INTERVAL.as_micros()).unwrap_or(i64::MAX);
        Some(vec![
            listed.oid.into(),
            format!("Retention Policy [{}]", listed.oid).into(),
            every.into(),
            0_i64.into(),
            (-1_i64).into(),
            every.into(),
            "_timescaledb_functions".into(),
            "policy_retention".into(),
            snapshot.identity.roles.name_of(snapshot.owner_of(listed.oid)).into(),
            true.into(),
            false.into(),
            format!(
                "{{\"drop_after\": \"{drop_after}\", \"hypertable_id\": {}}}",
                listed.oid
            )
            .into(),
            "public".into(),
            listed.name.as_str().into(),
        ])
    };
    listed(snapshot).filter_map(row).collect()
}
