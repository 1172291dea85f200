//! A plan that was kept of an earlier query answers as one made for this query alone, on random literals, while rows come and go.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::aggregates::{close, random_rows};
use crate::server::{Server, server};

/// `{from}`, `{to}`, `{place}`, `{other}`, `{name}`, `{n}`: a literal. `{c}`: a column's name, which makes the query one of a shape of its own.
const QUESTIONS: &[&str] = &[
    "SELECT ts, current AS {c} FROM meters WHERE location = {place} AND ts >= {from} AND ts < {to} ORDER BY tbname, ts",
    "SELECT time_bucket('1 hour', ts) AS hour, max(voltage) AS {c} FROM meters WHERE tbname = {name} AND ts >= {from} GROUP BY hour ORDER BY hour",
    "SELECT location, count(*), avg(phase) AS {c} FROM meters WHERE location IN ({place}, {other}) AND ts BETWEEN {from} AND {to} GROUP BY location ORDER BY location",
    "SELECT DISTINCT ON (tbname) tbname, ts, voltage AS {c} FROM meters WHERE location >= {place} ORDER BY tbname, ts DESC",
    "SELECT tbname, ts, voltage AS {c} FROM meters WHERE (location = {place} OR tbname = {name}) AND ts < {to} ORDER BY ts DESC, tbname LIMIT 5",
    "SELECT ts, phase AS {c} FROM meters WHERE tbname = {name} AND voltage > 3 ORDER BY ts DESC LIMIT 3",
    "SELECT count(*) AS {c} FROM meters WHERE ts >= {from} AND ts <= {to}",
    "SELECT a.n AS {c} FROM (SELECT count(*) AS n FROM meters WHERE location = {place}) AS a WHERE a.n > 1",
    "SELECT count(*) AS {c} FROM meters AS one JOIN meters AS two USING (ts) WHERE one.location = {place} AND two.tbname = {name}",
    "SELECT 7 AS {c}",
    "SELECT ts, voltage AS {c} FROM meters WHERE voltage > {n} AND phase <= {n} AND ts < {to} ORDER BY ts, tbname LIMIT 7",
    "SELECT tbname, max(current) AS {c} FROM meters WHERE group_id = {n} OR big > {n}000000 GROUP BY tbname ORDER BY tbname",
    "SELECT count(*) AS {c} FROM meters WHERE voltage BETWEEN {n} AND {n} + 3 AND current > {n}.5 AND ts > now() - interval '10 years'",
    "SELECT location, min(ts) AS {c} FROM meters WHERE ts < now() AND ts >= {from} AND group_id IN ({n}, 3) GROUP BY 1 ORDER BY 1",
    "SELECT now() > {from} AS {c}, count(*) FROM meters WHERE ts > CURRENT_TIMESTAMP - interval '3650 days'",
    "SELECT time_bucket('5 minutes', ts) AS b, max(voltage) AS {c} FROM meters WHERE ts < {to} GROUP BY b ORDER BY b DESC LIMIT 5",
    "SELECT ts, tbname, voltage AS {c} FROM meters WHERE ts >= {from} AND voltage > 10 ORDER BY ts, tbname LIMIT 4 OFFSET 2",
    "SELECT location, max(ts) AS {c}, count(voltage), last(voltage, ts) FROM meters WHERE ts < {to} GROUP BY location ORDER BY location",
    // Chains over one scan, which run without operators.
    "SELECT tbname, ts, current, voltage + 1 AS {c} FROM meters WHERE tbname = {name} AND ts >= {from} AND ts < {to}",
    "SELECT ts, voltage AS {c}, location FROM meters WHERE tbname = {name} ORDER BY ts DESC LIMIT 3 OFFSET 1",
    "SELECT phase AS {c} FROM meters WHERE tbname = {name} AND voltage > {n} AND current < {n}.5",
    "SELECT date_trunc('hour', ts) AS hour, avg(voltage), count(*) AS {c}, last(phase, ts) FROM meters WHERE tbname = {name} AND voltage > {n} GROUP BY hour ORDER BY hour DESC",
    "SELECT time_bucket('5 minutes', ts) AS b, max(voltage) + {n} AS {c}, min(current) FROM meters WHERE tbname = {name} AND ts < {to} GROUP BY b HAVING max(voltage) > {n} ORDER BY b LIMIT 4",
    "SELECT b, v AS {c} FROM (SELECT time_bucket('9 minutes', ts) AS b, max(voltage) AS v FROM meters WHERE tbname = {name} GROUP BY b ORDER BY b LIMIT 6) AS s ORDER BY b DESC LIMIT 2",
    "SELECT max(voltage) AS {c}, avg(phase), count(*) FROM meters WHERE tbname = {name} AND ts >= {from}",
    "SELECT sum(current) AS {c}, first(voltage, ts) FROM meters WHERE tbname IN ({name}, 'd4', 'd7') AND ts < {to}",
];

fn filled(question: &str, column: &str, random: &mut StdRng) -> String {
    let mut time = || {
        format!(
            "'2026-01-01 {:02}:{:02}:00Z'",
            random.random_range(0..24),
            random.random_range(0..60)
        )
    };
    let (from, to) = (time(), time());
    let mut place = || {
        ["'l0'", "'l1'", "'l2'", "'l3'", "'nowhere'", "''"]
            .choose(random)
            .copied()
            .unwrap_or_default()
    };
    let (one, other) = (place(), place());
    question
        .replace("{from}", &from)
        .replace("{to}", &to)
        .replace("{place}", one)
        .replace("{other}", other)
        .replace("{n}", &random.random_range(-3..12).to_string())
        .replace("{name}", &format!("'d{}'", random.random_range(0..33)))
        .replace("{c}", column)
}

async fn compare(server: &mut Server, random: &mut StdRng, number: &mut usize) {
    for question in QUESTIONS {
        let seed = random.random();
        let kept = server
            .rows(&filled(question, "value", &mut StdRng::seed_from_u64(seed)))
            .await;
        *number += 1;
        let alone = filled(question, &format!("value_{number}"), &mut StdRng::seed_from_u64(seed));
        let fresh = server.rows(&alone).await;
        let equal = kept.len() == fresh.len() && kept.iter().zip(&fresh).all(|(one, other)| close(one, other));
        assert!(equal, "{alone}\nkept plan: {kept:?}\nown plan: {fresh:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_plans_answer_as_plans_of_their_own() {
    let mut random = StdRng::seed_from_u64(41);
    let mut server = server();
    server
        .rows(
            "CREATE STABLE meters (ts TIMESTAMP, current DOUBLE, voltage INT, phase FLOAT, big BIGINT)
             TAGS (location VARCHAR(64), group_id INT)",
        )
        .await;
    let inserts = random_rows(&mut random);
    let mut number = 0;
    for round in 0..60 {
        match round % 6 {
            0 => {
                let some = inserts.choose(&mut random).expect("there are inserts");
                server.rows(some).await;
            }
            3 => drop(server.rows("CHECKPOINT").await),
            4 if round % 4 == 0 => {
                let from = random.random_range(0..24);
                let sql = format!(
                    "DELETE FROM meters WHERE ts >= '2026-01-01 {from:02}:00Z' AND ts < '2026-01-01 {from:02}:30Z'"
                );
                server.rows(&sql).await;
            }
            5 if round == 35 => drop(server.rows("ALTER TABLE meters ADD COLUMN extra INT").await),
            _ => {}
        }
        compare(&mut server, &mut random, &mut number).await;
    }
    // Parameters of the wire go the same way, those of conditions on measured values as well.
    let sql = "SELECT count(*), max(voltage) FROM meters WHERE voltage > $1 AND tbname = $2";
    for device in 0..10 {
        let (least, name) = (format!("{}", device - 5), format!("d{device}"));
        let kept = server
            .ask(sql, &[Some(&least), Some(&name)])
            .await
            .expect("it is answered")
            .rows;
        let alone = format!(
            "SELECT count(*) AS of_{name}, max(voltage) FROM meters WHERE voltage > {least} AND tbname = '{name}'"
        );
        let own = server.rows(&alone).await;
        assert_eq!(kept, own);
    }
    let sql = "SELECT count(*) FROM meters WHERE tbname = $1 AND ts >= $2";
    for device in 0..10 {
        let name = format!("d{device}");
        let kept = server
            .ask(sql, &[Some(&name), Some("2026-01-01")])
            .await
            .expect("it is answered")
            .rows;
        let alone = format!("SELECT count(*) AS of_{name} FROM meters WHERE tbname = '{name}' AND ts >= '2026-01-01'");
        let own = server.rows(&alone).await;
        assert_eq!(kept, own);
    }
}
