//! The operator that aggregates runs gives the answers of the general aggregation, on random data in memory and in files.

use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::server::{Server, server};

/// Random rows: devices of different length, gaps, NULLs, and a second writing of some rows.
pub fn random_rows(random: &mut StdRng) -> Vec<String> {
    let mut inserts = Vec::new();
    for device in 0..30 {
        let mut sql = format!(
            "INSERT INTO d{device} USING meters TAGS ('l{}', {}) VALUES",
            device % 4,
            device % 7
        );
        let mut seconds: i64 = random.random_range(0..7_200);
        for _ in 0..random.random_range(1..400) {
            seconds += random.random_range(1..600);
            let mut value = |odds: f64, text: String| {
                if random.random_bool(odds) {
                    "NULL".to_string()
                } else {
                    text
                }
            };
            let current = value(0.1, format!("{:.3}", (seconds % 97) as f64 / 7.0));
            let voltage = value(0.3, format!("{}", seconds % 41 - 20));
            let phase = value(0.0, format!("{}", (seconds % 13) as f64 / 4.0));
            let _ = write!(
                sql,
                " ('2026-01-01 00:00:00+00'::timestamptz + interval '{seconds} s', {current}, {voltage}, {phase}, {})",
                seconds * 1_000_000
            );
        }
        inserts.push(sql);
    }
    inserts
}

const QUESTIONS: &[(&str, &str, &str)] = &[
    (
        "",
        "count(*), count(current), sum(current), avg(voltage), min(phase), max(voltage), sum(voltage), min(ts), max(ts)",
        "",
    ),
    (
        "tbname",
        "avg(current), avg(voltage), avg(phase), count(voltage), first(current, ts), last(voltage, ts)",
        "",
    ),
    (
        "tbname, time_bucket('1 hour', ts)",
        "avg(current), avg(voltage), sum(phase), count(*)",
        "",
    ),
    (
        "location, time_bucket('37 minutes', ts)",
        "max(current), min(voltage), last(current), first(voltage), last_row(phase)",
        "",
    ),
    (
        "group_id, date_trunc('day', ts)",
        "avg(big), sum(big), count(*)",
        "WHERE voltage > 3",
    ),
    (
        "upper(location), extract(hour from ts)",
        "count(*), avg(phase)",
        "WHERE ts >= '2026-01-01 06:00Z' AND group_id <> 3",
    ),
    (
        "time_bucket('1 day', ts, 'Europe/Berlin')",
        "count(*), spread(voltage), avg(current)",
        "WHERE current < 9 OR location = 'l2'",
    ),
    (
        "floor(extract(epoch from ts) / 900) * 900",
        "avg(phase), max(big)",
        "WHERE tbname IN ('d1', 'd2', 'd3')",
    ),
    (
        "CASE WHEN ts < '2026-01-01 12:00Z' THEN 1 END",
        "count(*), avg(current)",
        "",
    ),
    (
        "location, group_id",
        "sum(voltage), avg(current)",
        "WHERE phase IS NOT NULL AND ts < '2026-01-02'",
    ),
    ("tbname", "count(*)", "WHERE current > 1000"),
];

pub fn close(one: &str, other: &str) -> bool {
    one.split('|').zip(other.split('|')).all(|(one, other)| {
        one == other
            || matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if (one - other).abs() <= 1e-9 * one.abs().max(1.0))
    })
}

async fn compare(server: &mut Server, moment: &str) {
    for (groups, aggregates, condition) in QUESTIONS {
        let by = if groups.is_empty() {
            String::new()
        } else {
            format!("GROUP BY {groups} ORDER BY {groups}")
        };
        let list = |more: &str| match groups.is_empty() {
            true => format!("SELECT {aggregates}{more} FROM meters {condition} {by}"),
            false => format!("SELECT {groups}, {aggregates}{more} FROM meters {condition} {by}"),
        };
        let fast = server.rows(&list("")).await;
        // The operator does not know this aggregate, so that the whole aggregation is DataFusion's.
        let general = server.rows(&list(", bit_xor(voltage)")).await;
        assert_eq!(fast.len(), general.len(), "{moment}: {groups} {condition}");
        for (one, other) in fast.iter().zip(&general) {
            let other = other.rsplit_once('|').map_or("", |(rest, _)| rest);
            assert!(close(one, other), "{moment}: {groups}\n{one}\n{other}");
        }
        let fast_plan = server.rows(&format!("EXPLAIN {}", list(""))).await.join("\n");
        // Sums of bigints are numeric, wider than the operator's numbers: DataFusion gathers those.
        let exact = aggregates.contains("sum(big)");
        assert!(exact || fast_plan.contains("SeriesAggregate"), "{fast_plan}");
        let general_plan = server
            .rows(&format!("EXPLAIN {}", list(", bit_xor(voltage)")))
            .await
            .join("\n");
        assert!(!general_plan.contains("SeriesAggregate"), "{general_plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_give_equal_answers() {
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut server = server();
    server
        .rows(
            "CREATE STABLE meters (ts TIMESTAMP, current DOUBLE, voltage INT, phase FLOAT, big BIGINT)
             TAGS (location VARCHAR(64), group_id INT)",
        )
        .await;
    let inserts = random_rows(&mut random);
    for insert in &inserts {
        server.rows(insert).await;
    }
    compare(&mut server, "in memory").await;
    server.rows("CHECKPOINT").await;
    compare(&mut server, "in files").await;
    for insert in inserts.iter().take(5) {
        server.rows(insert).await;
    }
    compare(&mut server, "in both").await;
}
