//! ORDER BY time LIMIT n, which is read from one end of time, gives the rows that it gives without that.

use std::fmt::Write;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::aggregates::close;
use crate::server::{Server, server};

/// A first sort key, and the same so that no plan knows that it ascends with time.
const KEYS: &[(&str, &str)] = &[
    (
        "time_bucket('1 minute', ts)",
        "to_timestamp(extract(epoch from time_bucket('1 minute', ts)))",
    ),
    (
        "date_trunc('hour', ts)",
        "to_timestamp(extract(epoch from date_trunc('hour', ts)))",
    ),
    (
        "date_bin('7 minutes', ts, timestamptz '2001-01-01')",
        "to_timestamp(extract(epoch from date_bin('7 minutes', ts, timestamptz '2001-01-01')))",
    ),
    (
        "time_bucket('1 month', ts)",
        "to_timestamp(extract(epoch from time_bucket('1 month', ts)))",
    ),
    ("ts", "to_timestamp(extract(epoch from ts))"),
    // In a zone of its own the clock may go back: read as any other.
    (
        "time_bucket('1 hour', ts, 'Europe/Berlin')",
        "to_timestamp(extract(epoch from time_bucket('1 hour', ts, 'Europe/Berlin')))",
    ),
];

const GROUPS: &[&str] = &["", ", location", ", tbname"];

const CONDITIONS: &[&str] = &[
    "",
    "WHERE ts < '2026-01-01 09:17:00Z'",
    "WHERE ts >= '2026-01-01 03:00Z' AND voltage > 12",
    "WHERE location = 'l2'",
    "WHERE ts > '2027-01-01'",
    "WHERE tbname = 'd3' OR current < 1",
    "WHERE tbname = 'd3'",
    "WHERE tbname = 'd4' AND ts >= '2026-01-01 02:00:00Z' AND voltage > 0",
];

const HAVINGS: &[&str] = &[
    "",
    "HAVING count(*) > 2",
    "HAVING max(voltage) > 1000",
    "HAVING avg(phase) > 2.9",
];

/// Some 60,000 rows of 30 devices, so that there are several spans.
fn random_rows(random: &mut StdRng) -> Vec<String> {
    let insert = |device: usize| {
        let mut sql = format!(
            "INSERT INTO d{device} USING meters TAGS ('l{}', {}) VALUES",
            device % 4,
            device % 7
        );
        let mut seconds: i64 = random.random_range(0..7_200);
        for _ in 0..random.random_range(1..4_000) {
            seconds += random.random_range(1..60);
            let current = random.random_range(0..100) as f64 / 7.0;
            let voltage = match random.random_bool(0.3) {
                true => "NULL".to_string(),
                false => format!("{}", random.random_range(-20..21)),
            };
            let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            let (day, hour) = (1 + hours / 24, hours % 24);
            let phase = (seconds % 13) as f64 / 4.0;
            let _ = write!(
                sql,
                " ('2026-01-{day:02} {hour:02}:{minutes:02}:{rest:02}Z', {current}, {voltage}, {phase}, {seconds})"
            );
        }
        sql
    };
    (0..30).map(insert).collect()
}

fn chosen<'a, T>(list: &'a [T], random: &mut StdRng) -> &'a T {
    list.choose(random).expect("the list is not empty")
}

async fn compare(server: &mut Server, random: &mut StdRng, moment: &str) {
    for _ in 0..60 {
        let (key, hidden) = chosen(KEYS, random);
        let (group, condition) = (chosen(GROUPS, random), chosen(CONDITIONS, random));
        let having = chosen(HAVINGS, random);
        let order = chosen(&["DESC", "ASC"], random);
        let limit = format!(
            "LIMIT {} OFFSET {}",
            chosen(&[1, 5, 40, 1_000], random),
            chosen(&[0, 0, 3], random)
        );
        let others = group.trim_start_matches(", ");
        let ties = if others.is_empty() {
            String::new()
        } else {
            format!(", {others}")
        };
        let grouped = |key: &str| {
            format!(
                "SELECT {key} AS k{group}, count(*), max(voltage), avg(current), min(ts) FROM meters {condition}
                 GROUP BY k{group} {having} ORDER BY k {order}{ties} {limit}"
            )
        };
        let plain = |key: &str| {
            format!("SELECT {key} AS k, tbname, voltage FROM meters {condition} ORDER BY k {order}, tbname, ts {limit}")
        };
        for question in [&grouped as &dyn Fn(&str) -> String, &plain] {
            let (own, general) = (question(key), question(hidden));
            let (fast, slow) = (server.rows(&own).await, server.rows(&general).await);
            let equal = fast.len() == slow.len() && fast.iter().zip(&slow).all(|(one, other)| close(one, other));
            assert!(equal, "{moment}: {own}\n{fast:?}\n{slow:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_end_of_time_is_as_good_as_all_of_it() {
    let mut random = StdRng::seed_from_u64(7);
    let mut server = server();
    server
        .rows(
            "CREATE STABLE meters (ts TIMESTAMP, current DOUBLE, voltage INT, phase FLOAT, big BIGINT)
             TAGS (location VARCHAR(64), group_id INT)",
        )
        .await;
    compare(&mut server, &mut random, "empty").await;
    let inserts = random_rows(&mut random);
    for insert in &inserts {
        server.rows(insert).await;
    }
    compare(&mut server, &mut random, "in memory").await;
    server.rows("CHECKPOINT").await;
    compare(&mut server, &mut random, "in files").await;
    // Late rows, one far from all others, and a hole.
    for insert in inserts.iter().take(5) {
        server.rows(insert).await;
    }
    server
        .rows("INSERT INTO d1 (ts, voltage) VALUES ('2026-06-01', 40), ('2025-12-31 23:59:59.999999Z', 13)")
        .await;
    server
        .rows("DELETE FROM meters WHERE ts >= '2026-01-01 07:00Z' AND ts < '2026-01-01 08:10Z'")
        .await;
    compare(&mut server, &mut random, "in both").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_say_where_they_begin() {
    let mut server = server();
    server
        .rows("CREATE STABLE meters (ts TIMESTAMP, voltage INT) TAGS (location VARCHAR(64))")
        .await;
    for device in 0..40 {
        let sql = format!("INSERT INTO d{device} USING meters TAGS ('x') VALUES ('2026-01-01', {device})");
        server.rows(&sql).await;
    }
    let mut explain = async |sql: &str| server.rows(&format!("EXPLAIN {sql}")).await.join("\n");
    for sql in [
        "SELECT date_trunc('minute', ts) AS m, max(voltage) FROM meters GROUP BY m ORDER BY m DESC LIMIT 5",
        "SELECT ts, voltage FROM meters ORDER BY ts LIMIT 5",
        "SELECT time_bucket('1 hour', ts) AS h, location, count(*) FROM meters GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY h LIMIT 5",
    ] {
        let plan = explain(sql).await;
        assert!(plan.contains("EndFirst"), "{plan}");
    }
    for sql in [
        "SELECT time_bucket('1 day', ts, 'Europe/Berlin') AS d, max(voltage) FROM meters GROUP BY d ORDER BY d DESC LIMIT 5",
        "SELECT extract(hour from ts) AS h, max(voltage) FROM meters GROUP BY h ORDER BY h DESC LIMIT 5",
        "SELECT date_trunc('minute', ts) AS m, max(voltage) FROM meters GROUP BY m ORDER BY m DESC",
        "SELECT date_trunc('minute', ts) AS m, max(voltage) AS v FROM meters GROUP BY m ORDER BY v DESC LIMIT 5",
    ] {
        let plan = explain(sql).await;
        assert!(!plan.contains("EndFirst"), "{plan}");
    }
}
