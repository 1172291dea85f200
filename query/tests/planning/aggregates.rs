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
    // Of one series, whose groups the operator finishes.
    (
        "time_bucket('11 minutes', ts)",
        "count(*), count(current), sum(current), sum(voltage), avg(voltage), avg(current), min(phase), max(voltage), max(ts)",
        "WHERE tbname = 'd4'",
    ),
    (
        "tbname, date_trunc('hour', ts)",
        "first(voltage, ts), last(current, ts), last_row(phase), avg(phase), min(ts)",
        "WHERE tbname = 'd5' AND ts >= '2026-01-01 03:00Z'",
    ),
    (
        "time_bucket('1 day', ts), time_bucket('1 hour', ts)",
        "count(*), avg(voltage), max(big)",
        "WHERE tbname = 'd6' AND (voltage > 3 OR phase < 1)",
    ),
    ("extract(hour from ts)", "count(*), avg(current)", "WHERE tbname = 'd7'"),
    ("location", "count(voltage), last(voltage, ts)", "WHERE tbname = 'd8'"),
    ("ts", "max(voltage), sum(current)", "WHERE tbname = 'd9'"),
    // An aggregate without groups has a row in any case.
    (
        "",
        "count(*), count(current), sum(current), sum(voltage), avg(voltage), min(phase), max(ts), last(voltage, ts)",
        "WHERE tbname = 'nobody'",
    ),
    (
        "",
        "count(*), sum(voltage), avg(voltage), min(phase), max(ts), first(current, ts)",
        "WHERE tbname IN ('d1', 'd2', 'd3', 'd11') AND ts < '2026-01-01 09:00Z'",
    ),
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

#[tokio::test]
async fn groups_of_one_series_need_no_aggregation_above() {
    let mut server = server();
    server
        .rows("CREATE STABLE meters (ts TIMESTAMP, voltage INT) TAGS (location VARCHAR(64))")
        .await;
    for device in 0..3 {
        let sql = format!(
            "INSERT INTO d{device} USING meters TAGS ('l') VALUES
             ('2026-01-01 00:00:00Z', 1) ('2026-01-01 00:00:30Z', 2) ('2026-01-01 00:01:00Z', {device})"
        );
        server.rows(&sql).await;
    }
    let mut explain = async |condition: &str, by: &str| {
        let sql = format!("EXPLAIN SELECT {by} AS k, max(voltage) FROM meters WHERE {condition} GROUP BY k ORDER BY k");
        server.rows(&sql).await.join("\n")
    };
    let minutes = "time_bucket('1 minute', ts)";
    let one = explain("tbname = 'd1'", minutes).await;
    assert!(one.contains("finished") && !one.contains("mode=Final"), "{one}");
    assert!(!one.contains("Sort"), "in order as they come: {one}");
    // What several series, or several times, have in common has to be gathered.
    for (condition, by) in [
        ("tbname IN ('d1', 'd2')", minutes),
        ("tbname = 'd1'", "extract(hour from ts)"),
    ] {
        let plan = explain(condition, by).await;
        assert!(plan.contains("SeriesAggregate") && !plan.contains("finished"), "{plan}");
        assert!(plan.contains("Sort"), "{plan}");
    }
    let first = |list: &str| {
        format!(
            "SELECT {list} FROM (SELECT time_bucket('30 seconds', ts) AS k, max(voltage) AS v FROM meters
             WHERE tbname = 'd2' GROUP BY k ORDER BY k LIMIT 2) AS some"
        )
    };
    let plan = server.rows(&format!("EXPLAIN {}", first("k, v"))).await.join("\n");
    assert!(plan.contains("groups<=2"), "{plan}");
    server.check(&first("sum(v)"), &["3"]).await;
    server
        .check(&format!("{} ORDER BY k DESC LIMIT 1", first("v")), &["2"])
        .await;
    let newest = "SELECT voltage FROM meters WHERE tbname = 'd1' ORDER BY ts DESC, voltage LIMIT 2";
    let plan = server.rows(&format!("EXPLAIN {newest}")).await.join("\n");
    assert!(!plan.contains("Sort"), "{plan}");
    server.check(newest, &["1", "2"]).await;
}
