//! What Grafana's stock PostgreSQL data source sends: save and test, the pickers of its query builder, panels with every macro expanded, with
//! the TimescaleDB switch on and off, variables, annotations and alerts, over the data of `demo/`.
//!
//! Panels go as simple queries with text results, pickers of new versions as extended queries with binary ones. The macros' expansions are
//! those of `docs/grafana/README.md`; gaps are filled by Grafana, never in SQL.

use std::process::Command;

use integration_tests::{Psql, Server};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

/// Two days of the buoy, as Grafana writes a time range; nanoseconds are rounded to microseconds.
const TIME_FILTER: &str = "ts BETWEEN '2016-05-01T00:00:00Z' AND '2016-05-02T23:59:59.123456789Z'";

/// The schemas on the search path, as the pickers ask for them.
const ON_SEARCH_PATH: &str = r#"quote_ident(table_schema) IN (
    SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
    FROM generate_series(
           array_lower(string_to_array(current_setting('search_path'), ','), 1),
           array_upper(string_to_array(current_setting('search_path'), ','), 1)) as i,
         string_to_array(current_setting('search_path'), ',') s)"#;

fn weather() -> (Server, Psql) {
    let server = Server::start();
    Psql::new(&server, "postgres").ok("CREATE DATABASE weather KEEP 36500;");
    let psql = Psql::new(&server, "weather");
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/temperatures.csv.gz");
    let file = server.directory().join("temperatures.csv");
    let csv = Command::new("gunzip")
        .args(["--stdout", packed])
        .output()
        .expect("gunzip runs");
    std::fs::write(&file, csv.stdout).expect("the test's directory takes files");
    psql.ok(&format!(
        "CREATE STABLE temperatures (ts TIMESTAMP, celsius DOUBLE) TAGS (site VARCHAR(64), medium VARCHAR(8));
         CREATE TABLE counters (ts TIMESTAMP, seconds BIGINT, value INTEGER);
         \\copy temperatures (tbname, ts, celsius, site, medium) FROM '{}' CSV HEADER
         INSERT INTO counters VALUES ('2026-01-01', 1462060800, 1), ('2026-01-02', 1462061100, 2), ('2026-01-03', 1462061101, 3);
         COMMENT ON TABLE temperatures IS 'readings of three stations';",
        file.display()
    ));
    (server, psql)
}

#[test]
fn save_and_test_and_detection() {
    let (_server, psql) = weather();
    assert_eq!(psql.ok("-- ping\n;"), "", "the ping has no answer and no error");
    assert_eq!(
        psql.ok("SELECT current_setting('server_version_num')::int/100 as version;"),
        "1500\n"
    );
    // No row: TimescaleDB mode is a choice of the data source, not a claim of the server.
    assert_eq!(
        psql.ok("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb';"),
        ""
    );
}

#[test]
fn pickers() {
    let (_server, psql) = weather();
    let tables = format!(
        "SELECT CASE WHEN {ON_SEARCH_PATH} THEN quote_ident(table_name)
                     ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\"
           FROM information_schema.tables
          WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')
          ORDER BY CASE WHEN {ON_SEARCH_PATH} THEN 0 ELSE 1 END, 1;"
    );
    assert_eq!(psql.ok(&tables), "counters\ntemperatures\n");
    assert_eq!(
        psql.ok("SELECT schema_name AS \"name\" FROM information_schema.schemata
                 WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast') ORDER BY schema_name;"),
        "public\n"
    );
    assert_eq!(
        psql.ok(
            "SELECT quote_ident(table_name) AS \"table\" FROM information_schema.tables
                 WHERE quote_ident(table_schema) = 'public' ORDER BY 1;"
        ),
        "counters\ntemperatures\n"
    );
    for table in ["temperatures", "public.temperatures"] {
        let columns = format!(
            "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\"
               FROM information_schema.columns
              WHERE CASE WHEN array_length(parse_ident('{table}'), 1) = 2
                         THEN quote_ident(table_schema) = (parse_ident('{table}'))[1]
                          AND quote_ident(table_name) = (parse_ident('{table}'))[2]
                         ELSE quote_ident(table_name) = '{table}' AND {ON_SEARCH_PATH} END;"
        );
        assert_eq!(
            psql.ok(&columns),
            "ts|timestamp with time zone\ncelsius|double precision\nsite|character varying\nmedium|character varying\n"
        );
    }
    assert_eq!(
        psql.ok("SELECT DISTINCT quote_literal(site) FROM temperatures ORDER BY 1 LIMIT 100;"),
        "'B01 Western Maine Shelf'\n'San Francisco'\n'Seattle'\n"
    );
}

/// The data source as a plugin of its own (13.0): schemas before tables, and a choice of the database where it is allowed.
#[test]
fn pickers_of_the_plugin() {
    let (_server, psql) = weather();
    assert_eq!(
        psql.ok("SELECT datname FROM pg_database WHERE datistemplate = false ORDER BY datname;"),
        "postgres\nweather\n"
    );
    assert_eq!(
        psql.ok(
            "SELECT schema_name FROM information_schema.schemata
              WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast', '_timescaledb_cache', '_timescaledb_catalog',
                                        '_timescaledb_internal', '_timescaledb_config', 'timescaledb_information', 'timescaledb_experimental')
              ORDER BY schema_name;"
        ),
        "public\n"
    );
    assert_eq!(
        psql.ok(
            "SELECT quote_ident(table_name) AS \"table\" FROM information_schema.tables
              WHERE quote_ident(table_schema) = quote_ident('public') ORDER BY 1;"
        ),
        "counters\ntemperatures\n"
    );
}

#[tokio::test]
async fn schema_endpoints_of_new_versions_are_extended_queries() {
    let (server, _psql) = weather();
    let client = server.connect("weather").await;
    let columns = client
        .query(
            "SELECT column_name, data_type, udt_name, ordinal_position, numeric_precision, numeric_scale
               FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position",
            &[&"public", &"temperatures"],
        )
        .await
        .expect("columns are listed");
    let names: Vec<&str> = columns.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, ["ts", "celsius", "site", "medium"]);
    assert_eq!(columns[1].get::<_, i32>(3), 2);
    assert_eq!(columns[1].get::<_, Option<i32>>(4), Some(53));
    let tables = client
        .query(
            "SELECT table_name FROM information_schema.tables
              WHERE table_schema = $1 AND table_type IN ('BASE TABLE', 'VIEW') ORDER BY table_name",
            &[&"public"],
        )
        .await
        .expect("tables are listed");
    assert_eq!(tables.len(), 2);
    // Values of several columns at once, column after column.
    let values = client
        .query(
            "SELECT 'site' AS col_name, \"site\"::text AS val FROM (SELECT DISTINCT \"site\" FROM \"public\".\"temperatures\"
               WHERE \"site\" IS NOT NULL ORDER BY \"site\" LIMIT 100) sub_0
             UNION ALL SELECT 'medium' AS col_name, \"medium\"::text AS val FROM (SELECT DISTINCT \"medium\" FROM \"public\".\"temperatures\"
               WHERE \"medium\" IS NOT NULL ORDER BY \"medium\" LIMIT 100) sub_1",
            &[],
        )
        .await
        .expect("values are listed");
    let listed: Vec<(&str, &str)> = values.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        listed,
        [
            ("site", "B01 Western Maine Shelf"),
            ("site", "San Francisco"),
            ("site", "Seattle"),
            ("medium", "air"),
            ("medium", "sea"),
        ]
    );
    let values = client
        .query("SELECT DISTINCT site::text FROM temperatures ORDER BY 1 LIMIT 100", &[])
        .await
        .expect("values are listed");
    assert_eq!(values[0].columns()[0].type_(), &Type::TEXT);
    assert_eq!(values.len(), 3);
}

#[test]
fn grouping_is_the_same_with_timescaledb_off_and_on() {
    let (_server, psql) = weather();
    let panel = |group: &str| {
        psql.ok(&format!(
            "SELECT extract(epoch FROM \"time\"::timestamptz)::bigint, metric, round(celsius::numeric, 3)
               FROM (SELECT {group} AS \"time\", site AS metric, avg(celsius) AS celsius
                       FROM temperatures WHERE {TIME_FILTER} GROUP BY 1, 2 ORDER BY 1) AS panel
              ORDER BY 1 LIMIT 3;"
        ))
    };
    let on = panel("time_bucket('3600.000s',ts)");
    let off = panel("to_timestamp(floor(extract(epoch from ts)/3600)*3600)");
    assert_eq!(on, off);
    assert_eq!(on.lines().count(), 3, "{on}");
    assert!(on.starts_with("1462060800|B01 Western Maine Shelf|"), "{on}");
}

#[test]
fn every_macro_expands_to_something_that_runs() {
    let (_server, psql) = weather();
    let count = |from: &str| -> usize { psql.ok(&format!("{from};")).lines().count() };
    // $__time, $__timeEpoch, $__timeFilter, $__timeFrom, $__timeTo
    let time = format!("SELECT ts AS \"time\", celsius FROM temperatures WHERE {TIME_FILTER} ORDER BY 1");
    assert_eq!(count(&time), 96);
    let epoch =
        format!("SELECT extract(epoch from ts) as \"time\", celsius FROM temperatures WHERE {TIME_FILTER} ORDER BY 1");
    assert_eq!(count(&epoch), 96);
    assert_eq!(
        psql.ok(
            "SELECT count(*) FROM temperatures WHERE ts > '2016-05-01T00:00:00Z' AND ts < '2016-05-02T00:00:00.5Z';"
        ),
        "48\n"
    );
    // $__timeGroup and its alias: seconds as Go prints a float, 1.0368e+06 from a million on.
    for (seconds, groups) in [("300", 96), ("0.2", 96), ("3600", 48), ("86400", 2), ("1.0368e+06", 1)] {
        let off = format!(
            "SELECT floor(extract(epoch from ts)/{seconds})*{seconds} AS \"time\", avg(celsius) FROM temperatures
              WHERE {TIME_FILTER} GROUP BY 1 ORDER BY 1"
        );
        assert_eq!(count(&off), groups, "{seconds}");
    }
    for (width, groups) in [("300.000s", 96), ("0.200s", 96), ("86400.000s", 2), ("1036800.000s", 2)] {
        let on = format!(
            "SELECT time_bucket('{width}',ts) AS \"time\", avg(celsius) FROM temperatures WHERE {TIME_FILTER} GROUP BY 1 ORDER BY 1"
        );
        assert_eq!(count(&on), groups, "{width}");
    }
    // $__unixEpochFilter, $__unixEpochNanoFilter, $__unixEpochFrom, $__unixEpochGroup
    assert_eq!(
        count("SELECT value FROM counters WHERE seconds >= 1462060800 AND seconds <= 1462061100"),
        2
    );
    assert_eq!(
        count(
            "SELECT value FROM counters WHERE seconds * 1000000000 >= 1462060800000000000 AND seconds * 1000000000 <= 1462061100000000000"
        ),
        2
    );
    // $__unixEpochNanoFrom, $__unixEpochNanoTo
    assert_eq!(
        count(
            "SELECT value FROM counters WHERE seconds * 1000000000 > 1462060800000000000 AND seconds * 1000000000 < 1462147199123000000"
        ),
        2
    );
    // $__timeGroup in a window function, where it has no alias.
    let window = format!(
        "SELECT time_bucket('21600.000s',ts) AS \"time\", max(max(celsius)) OVER (ORDER BY time_bucket('21600.000s',ts)) FROM temperatures
          WHERE {TIME_FILTER} GROUP BY time_bucket('21600.000s',ts) ORDER BY 1"
    );
    assert_eq!(count(&window), 8);
    assert_eq!(
        psql.ok(
            "SELECT floor((seconds)/300)*300 AS \"time\", sum(value) AS value FROM counters GROUP BY 1 ORDER BY 1;"
        ),
        "1462060800|1\n1462061100|5\n"
    );
    // $__interval in an interval of SQL.
    let raw = format!(
        "SELECT date_bin('5m'::interval, ts, '2001-01-01') AS \"time\", max(celsius) FROM temperatures WHERE {TIME_FILTER} GROUP BY 1"
    );
    assert_eq!(count(&raw), 96);
}

#[test]
fn the_query_builder_and_its_conditions() {
    let (_server, psql) = weather();
    for (aggregate, answer) in [
        ("AVG", "7.893"),
        ("COUNT", "96.000"),
        ("MAX", "8.080"),
        ("MIN", "7.650"),
        ("SUM", "757.730"),
    ] {
        let sql = format!(
            "SELECT round({aggregate}(celsius)::numeric, 3) AS \"v\" FROM temperatures
              WHERE ({TIME_FILTER} AND site IN ('B01 Western Maine Shelf', 'Seattle') AND medium LIKE '%a%'
                     AND site <> 'Nowhere' AND celsius IS NOT NULL) LIMIT 50;"
        );
        assert_eq!(psql.ok(&sql).trim(), answer, "{aggregate}");
    }
}

#[tokio::test]
async fn formats_have_the_columns_that_grafana_looks_for() {
    let (server, _psql) = weather();
    let client = server.connect("weather").await;
    // Time series in long form: the time ascending and not NULL, `metric`, numbers.
    let series = client
        .prepare("SELECT time_bucket('3600.000s',ts) AS \"time\", site AS metric, avg(celsius) AS value FROM temperatures GROUP BY 1, 2 ORDER BY 1")
        .await
        .expect("it is planned");
    let types: Vec<&Type> = series.columns().iter().map(|column| column.type_()).collect();
    assert_eq!(types, [&Type::TIMESTAMPTZ, &Type::VARCHAR, &Type::FLOAT8]);
    // Logs: a table with a time and a text.
    let logs = client
        .prepare("SELECT ts AS time, site || ': ' || celsius AS content FROM temperatures WHERE celsius < 0 ORDER BY ts DESC LIMIT 200")
        .await
        .expect("it is planned");
    let types: Vec<&Type> = logs.columns().iter().map(|column| column.type_()).collect();
    assert_eq!(types, [&Type::TIMESTAMPTZ, &Type::TEXT]);
    // An alert: numbers alone. Several statements in one simple query come as several results.
    let alert = client
        .simple_query("SELECT max(celsius) AS value FROM temperatures; SELECT min(celsius) AS value FROM temperatures")
        .await
        .expect("both run");
    let rows = alert
        .iter()
        .filter(|message| matches!(message, SimpleQueryMessage::Row(_)));
    assert_eq!(rows.count(), 2);
}

#[test]
fn variables_and_annotations() {
    let (_server, psql) = weather();
    assert_eq!(
        psql.ok("SELECT site AS __text, tbname AS __value FROM temperatures WHERE site LIKE 'Sea%' GROUP BY 1, 2;"),
        "Seattle|seattle\n"
    );
    // The choice of everything stands before the values, as it is written.
    assert_eq!(
        psql.ok(
            "SELECT 'everywhere' AS __text, '%' AS __value UNION ALL SELECT site, site FROM temperatures GROUP BY site HAVING site LIKE 'Sea%';"
        ),
        "everywhere|%\nSeattle|Seattle\n"
    );
    let annotation = format!(
        "SELECT ts AS time, ts + interval '30 minutes' AS timeend, 'warmest' AS text, site || ',' || medium AS tags
           FROM temperatures WHERE {TIME_FILTER} ORDER BY celsius DESC, ts LIMIT 1;"
    );
    let shown = psql.ok(&annotation);
    assert!(shown.contains("|warmest|B01 Western Maine Shelf,"), "{shown}");
}

/// A panel's text goes as one simple query: settings in it hold for what follows, and a tag that names who asks may stand at its end.
#[tokio::test]
async fn a_text_may_have_several_statements_and_a_tag() {
    let (server, _psql) = weather();
    let client = server.connect("weather").await;
    let text = "SET TIME ZONE -7; SELECT min(ts) AS ts FROM temperatures; SET TIME ZONE DEFAULT; SELECT min(ts) AS ts FROM temperatures
                /*application='grafana',source='bi'*/;";
    let messages = client.simple_query(text).await.expect("all run");
    let times: Vec<&str> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    assert_eq!(times, ["2010-01-01 01:00:00-07", "2010-01-01 08:00:00+00"]);
}

/// What Grafana shows in the panel's corner when a macro is over a column that it is not for.
#[test]
fn mistakes_with_macros_are_told_as_postgresql_tells_them() {
    let (_server, psql) = weather();
    for (sql, told) in [
        (
            "SELECT celsius FROM temperatures WHERE ts >= 1462060800 AND ts <= 1462147199;",
            "42883: operator does not exist: timestamp with time zone >= integer",
        ),
        (
            "SELECT celsius FROM temperatures WHERE ts BETWEEN 1462060800 AND 1462147199;",
            "42883: operator does not exist: timestamp with time zone >= ",
        ),
        (
            "SELECT floor((ts)/300)*300 AS \"time\" FROM temperatures;",
            "42883: operator does not exist: timestamp with time zone / integer",
        ),
        (
            "SELECT ts AS \"time\", avg(celsius) FROM temperatures GROUP BY 3;",
            "42P10: GROUP BY position 3 is not in select list",
        ),
        (
            "SELECT ts AS \"time\" FROM temperatures ORDER BY 2;",
            "42P10: ORDER BY position 2 is not in select list",
        ),
        (
            "SELECT count(*) FROM temperatures WHERE celsius;",
            "42804: argument of WHERE must be type boolean, not type double precision",
        ),
    ] {
        let shown = psql.run(&format!("\\set VERBOSITY verbose\n{sql}"));
        assert!(shown.contains(told), "{sql}: {shown}");
    }
}

#[test]
fn the_dashboard_of_the_documentation_runs() {
    let (_server, psql) = weather();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/grafana/dashboards/temperatures.json"
    );
    let text = std::fs::read_to_string(path).expect("the dashboard is there");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let mut statements = Vec::new();
    collect(&dashboard, &mut statements);
    assert_eq!(statements.len(), 6, "four panels, an annotation and a variable");
    for statement in statements {
        let expanded = statement
            .replace(
                "$__timeGroupAlias(ts, $__interval)",
                "time_bucket('3600.000s',ts) AS \"time\"",
            )
            .replace("$__timeFilter(ts)", TIME_FILTER)
            .replace("$site", "'B01 Western Maine Shelf','Seattle'");
        assert!(
            !expanded.contains('$'),
            "a macro that this test does not expand: {expanded}"
        );
        psql.ok(&format!("{expanded};"));
    }
}

/// SQL texts anywhere in a dashboard.
fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(sql) if name == "rawSql" || name == "query" => into.push(sql.to_owned()),
                    _ => collect(field, into),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}
