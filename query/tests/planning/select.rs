//! SELECT through a session, on real storage: names, types, predicates, aggregates, newest rows, parameters, errors.

use futures::StreamExt;
use taospg_query::{ErrorKind, Format, Outcome, Parameter};

use crate::server::{Rows, Server, server, shown};

/// Three devices, two rows each, and a plain table.
const METERS: &str = "
    CREATE STABLE meters (ts TIMESTAMP, current FLOAT, voltage INT, phase FLOAT) TAGS (location VARCHAR(64), group_id INT);
    INSERT INTO d1 USING meters TAGS ('Berlin', 1) VALUES
        ('2026-01-01 00:00:00+00', 10.5, 219, 0.25) ('2026-01-01 01:00:00+00', 11.5, 221, 0.5);
    INSERT INTO d2 USING meters TAGS ('Berlin', 2) VALUES
        ('2026-01-01 00:30:00+00', 20.5, 229, 0.25) ('2026-01-01 01:30:00+00', NULL, 231, 0.5);
    INSERT INTO d3 USING meters TAGS ('Paris', 2) VALUES
        ('2026-01-01 00:45:00+00', 30.5, 239, 0.25) ('2026-01-02 00:00:00+00', 31.5, 241, 0.75);
    CREATE TABLE notes (at timestamptz NOT NULL, level smallint, text text, PRIMARY KEY (at));
    INSERT INTO notes VALUES ('2026-01-01 00:00:00+00', 1, 'one'), ('2026-01-02 00:00:00+00', 2, 'two');
";

async fn meters() -> Server {
    let mut server = server();
    server.rows(METERS).await;
    server
}

#[tokio::test]
async fn rows_filters_and_order() {
    let mut server = meters().await;
    server.check("SELECT count(*) FROM meters", &["6"]).await;
    server
        .check(
            "SELECT voltage FROM meters WHERE group_id = 2 AND location = 'Berlin' ORDER BY ts",
            &["229", "231"],
        )
        .await;
    server
        .check(
            "SELECT voltage FROM meters WHERE tbname = 'd3' ORDER BY ts DESC",
            &["241", "239"],
        )
        .await;
    server
        .check(
            "SELECT tbname, voltage FROM meters WHERE tbname IN ('d1', 'd2') AND voltage > 220 ORDER BY 2",
            &["d1|221", "d2|229", "d2|231"],
        )
        .await;
    server
        .check(
            "SELECT voltage FROM meters WHERE ts >= '2026-01-01 01:00:00+00' AND ts < '2026-01-02' ORDER BY voltage",
            &["221", "231"],
        )
        .await;
    server
        .check(
            "SELECT voltage FROM meters WHERE ts BETWEEN '2026-01-01 00:30:00Z' AND '2026-01-01 00:45:00Z' ORDER BY 1",
            &["229", "239"],
        )
        .await;
    server
        .check("SELECT voltage FROM meters WHERE current IS NULL", &["231"])
        .await;
    server
        .check("SELECT voltage FROM d1 ORDER BY ts", &["219", "221"])
        .await;
    server
        .check("SELECT location, group_id, tbname FROM d1 LIMIT 1", &["Berlin|1|d1"])
        .await;
    server.check("SELECT text FROM notes WHERE level = 2", &["two"]).await;
    server
        .check("SELECT voltage FROM meters ORDER BY ts DESC LIMIT 2", &["241", "231"])
        .await;
    server
        .check(
            "SELECT voltage FROM meters ORDER BY ts LIMIT 2 OFFSET 1",
            &["229", "239"],
        )
        .await;
    server
        .check(
            "SELECT voltage FROM public.meters AS m WHERE m.location LIKE 'P%' ORDER BY m.ts",
            &["239", "241"],
        )
        .await;
    server
        .check(
            "SELECT voltage FROM postgres.meters WHERE location ~ '^P' ORDER BY ts",
            &["239", "241"],
        )
        .await;
    server
        .check(
            "SELECT DISTINCT location FROM meters ORDER BY location",
            &["Berlin", "Paris"],
        )
        .await;
    server.check("SELECT voltage FROM meters WHERE group_id = 7", &[]).await;
    server.check("SELECT voltage FROM meters WHERE ts > now()", &[]).await;
}

#[tokio::test]
async fn stars_leave_out_what_was_not_declared() {
    let mut server = meters().await;
    let names = |rows: &Rows| rows.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    let declared = ["ts", "current", "voltage", "phase", "location", "group_id"];
    let rows = server
        .ask("SELECT * FROM meters WHERE tbname = 'd1'", &[])
        .await
        .unwrap();
    assert_eq!(names(&rows), declared);
    assert_eq!(rows.rows.len(), 2);
    assert_eq!(
        rows.fields.iter().map(|field| field.type_oid).collect::<Vec<_>>(),
        [1184, 700, 23, 700, 1043, 23]
    );
    assert!(
        rows.fields
            .iter()
            .all(|field| field.table_oid >= 16384 && field.attnum > 0)
    );
    assert_eq!(rows.fields[4].type_modifier, 68);
    let rows = server.ask("SELECT * FROM d1 WHERE group_id = 1", &[]).await.unwrap();
    assert_eq!(names(&rows), &declared[..4]);
    let rows = server.ask("SELECT tbname, m.* FROM meters m", &[]).await.unwrap();
    assert_eq!(names(&rows)[..2], ["tbname", "ts"]);
    let rows = server
        .ask("SELECT *, ts, voltage + 1, count(*) OVER () FROM meters", &[])
        .await
        .unwrap();
    assert_eq!(names(&rows)[6..], ["ts", "?column?", "count"]);
    let rows = server
        .ask(
            "SELECT * FROM meters a JOIN meters b ON a.tbname = b.tbname AND a.ts = b.ts",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.fields.len(), 12);
    assert_eq!(rows.rows.len(), 6);
    let rows = server
        .ask(
            "SELECT 1, 1, NULL, 'x', true, 1.5, count(*), max(voltage), max(ts)::date FROM meters",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        names(&rows),
        [
            "?column?", "?column?", "?column?", "?column?", "bool", "?column?", "count", "max", "max"
        ]
    );
    let oids: Vec<u32> = rows.fields.iter().map(|field| field.type_oid).collect();
    assert_eq!(oids, [23, 23, 25, 25, 16, 1700, 20, 23, 1082]);
}

#[tokio::test]
async fn aggregates_by_bucket_and_tag() {
    let mut server = meters().await;
    server
        .check(
            "SELECT location, time_bucket('1 hour', ts) AS hour, avg(current), max(voltage), count(*) FROM meters
             WHERE ts < '2026-01-02' GROUP BY location, hour ORDER BY location, hour",
            &[
                "Berlin|2026-01-01T00:00:00Z|15.5|229|2",
                "Berlin|2026-01-01T01:00:00Z|11.5|231|2",
                "Paris|2026-01-01T00:00:00Z|30.5|239|1",
            ],
        )
        .await;
    server.check("SELECT tbname, first(current, ts), last(current, ts), last(current), last_row(current), spread(voltage) FROM meters GROUP BY tbname ORDER BY tbname",
        &["d1|10.5|11.5|11.5|11.5|2", "d2|20.5|NULL|20.5|NULL|2", "d3|30.5|31.5|31.5|31.5|2"]).await;
    server.check("SELECT count(*), count(current), sum(voltage), min(ts), max(ts), stddev(voltage)::numeric(10,3) FROM meters",
        &["6|5|1380|2026-01-01T00:00:00Z|2026-01-02T00:00:00Z|9.011"]).await;
    server
        .check(
            "SELECT group_id, sum(current) FROM meters GROUP BY group_id HAVING count(*) > 2 ORDER BY 1",
            &["2|82.5"],
        )
        .await;
    server
        .check(
            "SELECT date_trunc('day', ts), count(*) FROM meters GROUP BY 1 ORDER BY 1",
            &["2026-01-01T00:00:00Z|5", "2026-01-02T00:00:00Z|1"],
        )
        .await;
    server.check("SELECT floor(extract(epoch from ts)/3600)*3600 AS time, avg(voltage) FROM meters WHERE tbname = 'd1' GROUP BY 1 ORDER BY 1",
        &["1767225600.0|219.0000000000000000", "1767229200.0|221.0000000000000000"]).await;
    server
        .check(
            "SELECT extract(hour from ts), count(*) FROM meters GROUP BY 1 ORDER BY 1",
            &["0.0|4", "1.0|2"],
        )
        .await;
    server
        .check("SELECT count(*) FROM meters WHERE current > 20", &["3"])
        .await;
    server.check("SELECT location, sum(voltage) FROM meters WHERE current > 20 AND ts < '2026-01-02' GROUP BY location ORDER BY 1", &["Berlin|229", "Paris|239"]).await;
    server
        .check(
            "SELECT max(voltage) - min(voltage), count(DISTINCT location) FROM meters",
            &["22|2"],
        )
        .await;
    server
        .check("SELECT 7 / 2, -7 / 2, 7 % 3, 7.0 / 2", &["3|-3|1|3.5000000000000000"])
        .await;
    server
        .check("SELECT count(*) FROM meters WHERE group_id = 9", &["0"])
        .await;
    server
        .check("SELECT avg(voltage) FROM meters WHERE group_id = 9", &["NULL"])
        .await;
    server.check("SELECT tbname, avg(voltage) FROM meters WHERE voltage > 220 OR location = 'Paris' GROUP BY tbname ORDER BY 1", &["d1|221.0000000000000000", "d2|230.0000000000000000", "d3|240.0000000000000000"]).await;
}

#[tokio::test]
async fn newest_rows_come_from_memory() {
    let mut server = meters().await;
    let newest = "SELECT DISTINCT ON (tbname) tbname, ts, voltage FROM meters ORDER BY tbname, ts DESC";
    let expected = [
        "d1|2026-01-01T01:00:00Z|221",
        "d2|2026-01-01T01:30:00Z|231",
        "d3|2026-01-02T00:00:00Z|241",
    ];
    server.check(newest, &expected).await;
    let plan = server.rows(&format!("EXPLAIN {newest}")).await.join("\n");
    assert!(plan.contains("NewestRows"), "{plan}");
    server
        .check(
            "SELECT DISTINCT ON (tbname) * FROM meters WHERE location = 'Paris' ORDER BY tbname, ts DESC",
            &["2026-01-02T00:00:00Z|31.5|241|0.75|Paris|2"],
        )
        .await;
    server.check("SELECT DISTINCT ON (tbname) tbname, voltage FROM meters WHERE ts < '2026-01-01 01:15Z' ORDER BY tbname, ts DESC",
        &["d1|221", "d2|229", "d3|239"]).await;
    server
        .check(
            "SELECT DISTINCT ON (location) location, voltage FROM meters ORDER BY location, ts DESC",
            &["Berlin|231", "Paris|241"],
        )
        .await;
    let by_tag = "SELECT location, last_row(voltage), max(ts) FROM meters GROUP BY location ORDER BY location";
    server
        .check(
            by_tag,
            &["Berlin|231|2026-01-01T01:30:00Z", "Paris|241|2026-01-02T00:00:00Z"],
        )
        .await;
    let plan = server.rows(&format!("EXPLAIN {by_tag}")).await.join("\n");
    assert!(plan.contains("series=3 of 3"), "{plan}");
    server.check("SELECT last_row(voltage) FROM meters", &["241"]).await;
    server.check("SELECT last_row(voltage) FROM d1", &["221"]).await;
}

#[tokio::test]
async fn explain_shows_what_is_taken() {
    let mut server = meters().await;
    let plan = server
        .rows("EXPLAIN SELECT avg(current) FROM meters WHERE group_id = 2 AND ts >= '2026-01-01 01:00Z'")
        .await
        .join("\n");
    assert!(
        plan.contains("SeriesAggregate")
            && plan.contains("series=2 of 3")
            && plan.contains("time>=2026-01-01T01:00:00Z"),
        "{plan}"
    );
    let plan = server.rows("EXPLAIN ANALYZE SELECT * FROM meters").await.join("\n");
    assert!(
        plan.contains("blocks_taken=") && plan.contains("rows_in_memory=") && plan.contains("Execution Time"),
        "{plan}"
    );
}

#[tokio::test]
async fn explain_shows_plans_as_json() {
    let mut server = meters().await;
    let shown = server.rows("EXPLAIN (FORMAT JSON) SELECT 1 AS one").await.join("\n");
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    assert_eq!(
        lines.join(" "),
        r#"[ { "Plan": { "Details": "expr=[1 as one]", "Node Type": "ProjectionExec", "Parallel Aware": false, "Plans": [ { "Node Type": "PlaceholderRowExec", "Parallel Aware": false } ] } } ]"#
    );
    let analyzed = server
        .rows("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM meters")
        .await
        .join("\n");
    assert!(
        analyzed.contains("\"Actual Rows\"") && analyzed.contains("\"Execution Time\""),
        "{analyzed}"
    );
}

#[tokio::test]
async fn parameters_take_the_type_of_their_place() {
    let mut server = meters().await;
    for (sql, values, types, expected) in [
        (
            "SELECT voltage FROM meters WHERE voltage = $1",
            vec!["221"],
            vec![23],
            vec!["221"],
        ),
        (
            "SELECT voltage FROM meters WHERE ts >= $1 AND tbname = $2",
            vec!["2026-01-01 01:00Z", "d1"],
            vec![1184, 25],
            vec!["221"],
        ),
        (
            "SELECT voltage FROM meters WHERE voltage BETWEEN $1 AND $2 ORDER BY 1",
            vec!["229", "231"],
            vec![23, 23],
            vec!["229", "231"],
        ),
        (
            "SELECT voltage FROM meters WHERE voltage IN ($1, $2) ORDER BY 1",
            vec!["229", "231"],
            vec![23, 23],
            vec!["229", "231"],
        ),
        (
            "SELECT voltage FROM meters WHERE voltage = ANY($1) ORDER BY 1",
            vec!["{229,231,7}"],
            vec![1007],
            vec!["229", "231"],
        ),
        (
            "SELECT voltage FROM meters WHERE location = ANY($1) ORDER BY 1",
            vec!["{Paris}"],
            vec![1015],
            vec!["239", "241"],
        ),
        (
            "SELECT voltage FROM meters ORDER BY ts LIMIT $1 OFFSET $2",
            vec!["1", "2"],
            vec![20, 20],
            vec!["239"],
        ),
        ("SELECT $1::int + 1", vec!["41"], vec![23], vec!["42"]),
        ("SELECT $1", vec!["x"], vec![25], vec!["x"]),
        (
            "SELECT count(*) FROM meters WHERE current > $1",
            vec!["20"],
            vec![700],
            vec!["3"],
        ),
        (
            "SELECT time_bucket($1, ts), count(*) FROM d1 GROUP BY 1 ORDER BY 1 LIMIT 1",
            vec!["1 day"],
            vec![1186],
            vec!["2026-01-01T00:00:00Z|2"],
        ),
    ] {
        let statement = server.session.parse(sql).unwrap().pop().unwrap();
        let prepared = server
            .session
            .prepare(&statement, &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(prepared.parameter_types.to_vec(), types, "{sql}");
        let values: Vec<Option<&str>> = values.into_iter().map(Some).collect();
        let found = server
            .ask(sql, &values)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(found.rows, expected, "{sql}");
    }
    // Prepared once, executed with several values.
    let statement = server
        .session
        .parse("SELECT count(*) FROM meters WHERE ts < now() AND group_id = $1")
        .unwrap()
        .pop()
        .unwrap();
    let prepared = server.session.prepare(&statement, &[]).await.unwrap();
    for (value, expected) in [("1", "2"), ("2", "4"), ("3", "0")] {
        let parameter = Parameter {
            format: Format::Text,
            value: Some(value.as_bytes().to_vec().into()),
        };
        let Outcome::Rows(mut rows) = server.session.execute(&prepared, &[parameter]).await.unwrap() else {
            panic!("no rows")
        };
        let mut lines = Vec::new();
        while let Some(batch) = rows.stream.next().await {
            shown(&batch.unwrap(), &mut lines);
        }
        assert_eq!(lines, [expected]);
        server.session.finish_implicit().await.unwrap();
    }
}

#[tokio::test]
async fn errors_are_postgresqls() {
    let mut server = meters().await;
    for (sql, kind, message, position) in [
        (
            "SELECT * FROM nowhere",
            ErrorKind::UndefinedTable,
            "relation \"nowhere\" does not exist",
            Some(15),
        ),
        (
            "SELECT volts FROM meters",
            ErrorKind::UndefinedColumn,
            "column \"volts\" does not exist",
            Some(8),
        ),
        (
            "SELECT m.volts FROM meters m",
            ErrorKind::UndefinedColumn,
            "column m.volts does not exist",
            Some(8),
        ),
        ("SELECT 1 / 0", ErrorKind::DivisionByZero, "division by zero", None),
        (
            "SELECT voltage / 0 FROM meters",
            ErrorKind::DivisionByZero,
            "division by zero",
            None,
        ),
        (
            "SELECT 'abc'::int",
            ErrorKind::InvalidTextRepresentation,
            "invalid input syntax for type integer: \"abc\"",
            None,
        ),
        (
            "SELECT * FROM meters WHERE ts > 'soon'",
            ErrorKind::InvalidDatetimeFormat,
            "invalid input syntax for type timestamp with time zone: \"soon\"",
            None,
        ),
        (
            "SELECT * FROM meters WHERE voltage = 'x'",
            ErrorKind::InvalidTextRepresentation,
            "invalid input syntax for type integer: \"x\"",
            None,
        ),
        (
            "SELECT nothing(voltage) FROM meters",
            ErrorKind::UndefinedFunction,
            "function nothing(integer) does not exist",
            Some(8),
        ),
        (
            "SELECT location, max(voltage) FROM meters",
            ErrorKind::GroupingError,
            "column \"meters.location\" must appear in the GROUP BY clause or be used in an aggregate function",
            Some(8),
        ),
        (
            "SELECT 2147483647 + 1",
            ErrorKind::NumericValueOutOfRange,
            "integer out of range",
            None,
        ),
        (
            "SELECT time_bucket('soon', ts) FROM meters",
            ErrorKind::InvalidDatetimeFormat,
            "invalid input syntax for type interval: \"soon\"",
            None,
        ),
        (
            "SELECT '70000'::int::smallint",
            ErrorKind::NumericValueOutOfRange,
            "smallint out of range",
            None,
        ),
        (
            "SELECT x FROM (SELECT 1 AS x, 2 AS x) s",
            ErrorKind::AmbiguousColumn,
            "column reference \"x\" is ambiguous",
            Some(8),
        ),
    ] {
        let error = server.error(sql).await;
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{sql}");
        assert_eq!(error.position, position, "{sql}");
    }
}

#[tokio::test]
async fn times_and_text() {
    let mut server = meters().await;
    server
        .check(
            "SELECT max(at)::text, max(at)::date, (max(at) AT TIME ZONE 'Asia/Tokyo')::text FROM notes",
            &["2026-01-02 00:00:00+00|2026-01-02|2026-01-02 09:00:00"],
        )
        .await;
    server.rows("SET TIME ZONE 'America/New_York'").await;
    server
        .check(
            "SELECT max(at)::text, max(at)::date, date_trunc('day', max(at)) FROM notes",
            &["2026-01-01 19:00:00-05|2026-01-01|2026-01-01T05:00:00Z"],
        )
        .await;
    server
        .check(
            "SELECT '2026-01-01 00:00'::timestamptz = '2026-01-01 05:00Z'",
            &["true"],
        )
        .await;
    server
        .check("SELECT count(*) FROM meters WHERE ts < '2025-12-31 19:30:00'", &["1"])
        .await;
    server.rows("SET TIME ZONE 'UTC'").await;
    server
        .check(
            "SELECT to_char('2026-01-02 03:04:05'::timestamp, 'YYYY/MM/DD HH24:MI')",
            &["2026/01/02 03:04"],
        )
        .await;
    server
        .check(
            "SELECT interval '1 hour' * 2.5 = interval '150 minutes', now() - now() = interval '0 s'",
            &["true|true"],
        )
        .await;
    server
        .check(
            "SELECT now() = transaction_timestamp(), now() > '2020-01-01', current_date > '2020-01-01'",
            &["true|true|true"],
        )
        .await;
    server.check("SELECT 'a' || 'b', coalesce(NULL, 1), CASE WHEN true THEN 1 ELSE 2 END, 2 = ANY(ARRAY[1, 2]), 3 <> ALL('{1,2}')", &["ab|1|1|true|true"]).await;
    server.check("WITH t AS (SELECT tbname, avg(voltage) AS v FROM meters GROUP BY tbname) SELECT tbname FROM t WHERE v > 225 ORDER BY v DESC", &["d3", "d2"]).await;
    server.check("SELECT tbname, voltage - lag(voltage) OVER (PARTITION BY tbname ORDER BY ts) FROM meters ORDER BY tbname, ts", &["d1|NULL", "d1|2", "d2|NULL", "d2|2", "d3|NULL", "d3|2"]).await;
    server
        .check(
            "SELECT location FROM meters UNION SELECT text FROM notes ORDER BY 1",
            &["Berlin", "Paris", "one", "two"],
        )
        .await;
    server
        .check(
            "SELECT count(*) FROM (VALUES (1, 'a'), (2, 'b')) AS v (n, t) WHERE n > 1",
            &["1"],
        )
        .await;
    server
        .check(
            "SELECT (SELECT max(voltage) FROM meters), EXISTS (SELECT 1 FROM notes WHERE level = 9)",
            &["241|false"],
        )
        .await;
    server
        .check(
            "SELECT count(*) FROM meters WHERE voltage IN (SELECT 200 + level * 0 + 19 FROM notes)",
            &["1"],
        )
        .await;
}

#[tokio::test]
async fn a_transaction_reads_its_own_writes() {
    let mut server = meters().await;
    server.rows("BEGIN").await;
    server
        .rows("INSERT INTO d1 VALUES ('2026-01-03 00:00:00+00', 12.5, 223, 0.5)")
        .await;
    server.check("SELECT count(*), max(voltage) FROM d1", &["3|223"]).await;
    server.rows("ROLLBACK").await;
    server.check("SELECT count(*), max(voltage) FROM d1", &["2|221"]).await;
}

#[tokio::test]
async fn deletes_and_updates_find_their_rows() {
    let mut server = meters().await;
    server
        .check(
            "DELETE FROM meters WHERE ts < '2026-01-01 00:40Z' AND group_id = 2",
            &["DELETE 1"],
        )
        .await;
    server.check("SELECT count(*) FROM meters", &["5"]).await;
    server
        .check(
            "UPDATE meters SET voltage = voltage + 100 WHERE tbname = 'd1'",
            &["UPDATE 2"],
        )
        .await;
    server
        .check("SELECT voltage FROM d1 ORDER BY ts", &["319", "321"])
        .await;
    server
        .check("UPDATE d3 SET current = NULL WHERE voltage = 241", &["UPDATE 1"])
        .await;
    server
        .check("SELECT count(current) FROM meters WHERE tbname = 'd3'", &["1"])
        .await;
}
