//! INSERT and COPY through a session: what is stored, what is created, and what a failure leaves behind.

use taospg_query::{ErrorKind, Format, Parameter};

use crate::support::{Client, Server};

const METERS: &str = "CREATE TABLE meters (ts timestamptz NOT NULL, current real, voltage int, phase real, location text, group_id int, \
     PRIMARY KEY (location, group_id, ts))";

async fn with_meters(server: &Server) -> Client {
    let mut client = server.connect();
    client.ok(METERS).await;
    client
}

#[tokio::test]
async fn both_spellings_write_the_same_tables() {
    let server = Server::start();
    let mut client = with_meters(&server).await;
    client
        .ok("CREATE TABLE d1001 USING meters TAGS ('California.SanFrancisco', 2)")
        .await;
    assert_eq!(
        client.ok("INSERT INTO d1001 VALUES (now(), 10.3, 219, 0.31)").await,
        "INSERT 0 1"
    );
    assert_eq!(
        client
            .ok(
                "INSERT INTO d1002 USING meters TAGS ('California.LosAngeles', 3) VALUES (now(), 10.2, 220, 0.23) \
                 (now() - interval '1 s', 10.1, 221, 0.2) d1001 (ts, voltage) VALUES (NOW + 1s, 7)"
            )
            .await,
        "INSERT 0 3"
    );
    assert_eq!(
        client
            .ok(
                "INSERT INTO meters (tbname, ts, current, voltage, phase, location, group_id) \
                 VALUES ('d1003', now(), 1, 2, 3, 'Oslo', 4), ('d1001', now() + interval '2 s', 1, 8, 3, 'ignored', 4)"
            )
            .await,
        "INSERT 0 2"
    );
    assert_eq!(
        client
            .ok("SELECT tbname, count(*), max(voltage), max(location) FROM meters GROUP BY tbname ORDER BY tbname")
            .await,
        "d1001|3|219|California.SanFrancisco\nd1002|2|221|California.LosAngeles\nd1003|1|2|Oslo"
    );
}

#[tokio::test]
async fn rows_without_a_name_belong_to_the_table_of_their_tags() {
    let server = Server::start();
    let mut client = with_meters(&server).await;
    let row = |location: &str, voltage: u32| {
        format!(
            "INSERT INTO meters VALUES ('2026-01-0{} 00:00:00+00', 1, {voltage}, 1, '{location}', 1)",
            voltage % 9 + 1
        )
    };
    for voltage in 0..6 {
        client.ok(&row(if voltage % 2 == 0 { "a" } else { "b" }, voltage)).await;
    }
    assert_eq!(
        client
            .ok("SELECT location, count(*), sum(voltage) FROM meters GROUP BY location ORDER BY 1")
            .await,
        "a|3|6\nb|3|9"
    );
    assert_eq!(client.ok("SELECT count(DISTINCT tbname) FROM meters").await, "2");
}

#[tokio::test]
async fn a_failed_statement_leaves_nothing() {
    let server = Server::start();
    let mut client = with_meters(&server).await;
    let failing = "INSERT INTO meters (tbname, ts, voltage) VALUES ('new1', now(), 1), ('new2', now(), 'x')";
    assert_eq!(client.fails(failing).await, ErrorKind::InvalidTextRepresentation);
    let error = client
        .copy(
            "COPY meters (tbname, ts, voltage) FROM STDIN",
            b"new1\t2026-01-01\t1\nnew2\t2026-01-01\tx\n",
        )
        .await
        .unwrap_err();
    assert_eq!(
        error.context.as_deref(),
        Some("COPY meters, line 2, column voltage: \"x\"")
    );
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "0");
    assert_eq!(
        client.fails("INSERT INTO new1 VALUES (now())").await,
        ErrorKind::UndefinedTable
    );
    assert_eq!(
        client
            .fails("INSERT INTO meters (tbname, nothing) VALUES ('a', 1)")
            .await,
        ErrorKind::UndefinedColumn
    );
    assert_eq!(
        client
            .fails("INSERT INTO meters (tbname, voltage) VALUES ('a', 1)")
            .await,
        ErrorKind::NotNullViolation
    );
}

#[tokio::test]
async fn a_transaction_sees_its_rows_and_takes_them_back() {
    let server = Server::start();
    let mut client = with_meters(&server).await;
    let mut other = server.connect();
    client.ok("BEGIN").await;
    for second in 0..3 {
        let sql = format!("INSERT INTO meters (tbname, ts, voltage) VALUES ('d1', '2026-01-01 00:00:0{second}+00', 1)");
        client.ok(&sql).await;
    }
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "3");
    assert_eq!(other.ok("SELECT count(*) FROM meters").await, "0");
    client.ok("ROLLBACK").await;
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "0");
    client
        .ok(
            "BEGIN; INSERT INTO meters (tbname, ts, voltage) VALUES ('d1', '2026-01-01', 1); SAVEPOINT s; \
             INSERT INTO meters (tbname, ts, voltage) VALUES ('d1', '2026-01-02', 1); ROLLBACK TO s; COMMIT",
        )
        .await;
    assert_eq!(other.ok("SELECT count(*) FROM meters").await, "1");
}

#[tokio::test]
async fn conflicts_are_resolved_as_asked() {
    let server = Server::start();
    let mut client = with_meters(&server).await;
    let insert = |voltage: &str, tail: &str| {
        format!("INSERT INTO meters (tbname, ts, voltage) VALUES ('d1', '2026-01-01', {voltage}) {tail}")
    };
    client.ok(&insert("1", "")).await;
    client.ok(&insert("2", "ON CONFLICT DO NOTHING")).await;
    assert_eq!(client.ok("SELECT voltage FROM meters").await, "1");
    client
        .ok(&insert(
            "3",
            "ON CONFLICT (tbname, ts) DO UPDATE SET voltage = excluded.voltage",
        ))
        .await;
    assert_eq!(client.ok("SELECT voltage FROM meters").await, "3");
    assert_eq!(
        client
            .fails(&insert(
                "3",
                "ON CONFLICT (ts) DO UPDATE SET current = excluded.current"
            ))
            .await,
        ErrorKind::FeatureNotSupported
    );
}

#[tokio::test]
async fn expressions_defaults_and_queries_give_rows() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ok("CREATE TABLE readings (ts timestamptz DEFAULT now(), value double precision DEFAULT 1 + 0.5, note varchar(5))")
        .await;
    client.ok("INSERT INTO readings (note) VALUES ('a')").await;
    client
        .ok("INSERT INTO readings VALUES (timestamp '2026-01-01 00:00:00', sqrt(16), upper('b')), ('2026-01-02', DEFAULT, NULL)")
        .await;
    assert_eq!(
        client.ok("SELECT value, note FROM readings ORDER BY value, note").await,
        "1.5|a\n1.5|\n4.0|B"
    );
    client
        .ok("CREATE TABLE copy_of (ts timestamptz, value real, note text)")
        .await;
    assert_eq!(
        client
            .ok("INSERT INTO copy_of SELECT ts, value, note FROM readings")
            .await,
        "INSERT 0 3"
    );
    assert_eq!(
        client
            .ok("INSERT INTO copy_of (note, ts) SELECT 'x', timestamptz '2026-02-01'")
            .await,
        "INSERT 0 1"
    );
    assert_eq!(client.ok("SELECT count(*), sum(value) FROM copy_of").await, "4|7.0");
    let truncated = client.fails("INSERT INTO readings VALUES (now(), 1, 'too long')").await;
    assert_eq!(truncated, ErrorKind::StringDataRightTruncation);
}

#[tokio::test]
async fn csv_with_a_header_creates_the_tables_of_its_tags() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ok("CREATE STABLE temperatures (ts TIMESTAMP, degrees DOUBLE) TAGS (site VARCHAR(64), medium VARCHAR(16))")
        .await;
    let mut data = String::from("ts,degrees,site,medium\r\n");
    for hour in 0..50 {
        for site in ["seattle", "san_francisco"] {
            let line = format!(
                "2026-01-0{} {:02}:00:00,{hour}.5,{site},air\r\n",
                1 + hour / 24,
                hour % 24
            );
            data.push_str(&line);
        }
    }
    let tag = client
        .copy("COPY temperatures FROM STDIN CSV HEADER", data.as_bytes())
        .await
        .unwrap();
    assert_eq!(tag, "COPY 100");
    assert_eq!(
        client
            .ok("SELECT site, medium, count(*), max(degrees) FROM temperatures GROUP BY site, medium ORDER BY site")
            .await,
        "san_francisco|air|50|49.5\nseattle|air|50|49.5"
    );
    // Sent again, the rows are the same rows.
    client
        .copy(
            "COPY temperatures FROM STDIN (FORMAT csv, HEADER true)",
            data.as_bytes(),
        )
        .await
        .unwrap();
    assert_eq!(client.ok("SELECT count(*) FROM temperatures").await, "100");
}

#[tokio::test]
async fn prepared_rows_gather_until_the_transaction_ends() {
    let server = Server::start();
    let mut client = with_meters(&server).await;
    let statement = client
        .session
        .parse("INSERT INTO meters (tbname, ts, voltage) VALUES ($1, $2, $3)")
        .unwrap()
        .remove(0);
    let prepared = client.session.prepare(&statement, &[]).await.unwrap();
    assert_eq!(&*prepared.parameter_types, [25, 1184, 23]);
    let bind = |format, value: Vec<u8>| Parameter {
        format,
        value: Some(value.into()),
    };
    // The future is moved on its way up through the connection: room for a planner in it would cost more than the row.
    let future_bytes = std::mem::size_of_val(&client.session.execute(&prepared, &[]));
    assert!(future_bytes <= 1_024, "{future_bytes}");
    for row in 0..1_000i64 {
        let parameters = [
            bind(Format::Text, format!("d{}", row % 10).into_bytes()),
            bind(Format::Binary, (800_000_000_000_000 + row).to_be_bytes().to_vec()),
            bind(Format::Binary, (row as i32).to_be_bytes().to_vec()),
        ];
        client.session.execute(&prepared, &parameters).await.unwrap();
    }
    assert!(client.session.has_held_writes());
    client.session.finish_implicit().await.unwrap();
    assert_eq!(
        client
            .ok("SELECT count(*), sum(voltage), count(DISTINCT tbname) FROM meters")
            .await,
        "1000|499500|10"
    );
    // A column added meanwhile does not disturb the statement.
    client.ok("ALTER TABLE meters ADD COLUMN temperature real").await;
    let parameters = [
        bind(Format::Text, b"d1".to_vec()),
        bind(Format::Text, b"2026-03-01 00:00:00Z".to_vec()),
        Parameter {
            format: Format::Binary,
            value: None,
        },
    ];
    client.session.execute(&prepared, &parameters).await.unwrap();
    client.session.finish_implicit().await.unwrap();
    assert_eq!(client.ok("SELECT count(*) FROM meters").await, "1001");
}
