//! What exists: databases, supertables and tables in both spellings, their changes, and what is said about them.

use taospg_query::ErrorKind;

use crate::support::{Client, Server};

#[tokio::test]
async fn a_database_is_made_altered_used_and_dropped() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ok("CREATE DATABASE power KEEP 3650 DAYS 10 VGROUPS 3 PRECISION 'ms'")
        .await;
    assert_eq!(
        client.fails("CREATE DATABASE power").await,
        ErrorKind::DuplicateDatabase
    );
    client.ok("CREATE DATABASE IF NOT EXISTS power").await;
    assert_eq!(client.notices(), ["database \"power\" already exists, skipping"]);
    let created = client.ok("SHOW CREATE DATABASE power").await;
    assert!(
        created.contains("keep = '3650 days', days = '10 days', vgroups = 3, precision = 'ms'"),
        "{created}"
    );
    client.ok("ALTER DATABASE power KEEP 365").await;
    client
        .ok("ALTER DATABASE power SET (comp = 2, commit_time = '5 minutes')")
        .await;
    let created = client.ok("SHOW CREATE DATABASE power").await;
    assert!(
        created.contains("keep = '365 days'") && created.contains("commit_time = '5 minutes'"),
        "{created}"
    );
    assert_eq!(
        client.fails("ALTER DATABASE power VGROUPS 4").await,
        ErrorKind::FeatureNotSupported
    );
    assert_eq!(
        client.fails("CREATE DATABASE x KEEP 1 DAYS 10").await,
        ErrorKind::InvalidParameterValue
    );
    client.ok("USE power").await;
    assert_eq!(client.fails("DROP DATABASE power").await, ErrorKind::ObjectInUse);
    client.ok("USE postgres").await;
    let other = server.connect_to("power");
    assert_eq!(client.fails("DROP DATABASE power").await, ErrorKind::ObjectInUse);
    drop(other);
    client.ok("DROP DATABASE power").await;
    assert_eq!(client.fails("DROP DATABASE power").await, ErrorKind::InvalidCatalogName);
    client.ok("DROP DATABASE IF EXISTS power").await;
    assert_eq!(client.fails("USE power").await, ErrorKind::InvalidCatalogName);
}

#[tokio::test]
async fn definitions_are_there_after_a_restart() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ok("CREATE STABLE meters (ts TIMESTAMP, current FLOAT) TAGS (location VARCHAR(64), group_id INT)")
        .await;
    client.ok("CREATE TABLE d1 USING meters TAGS ('Oslo', 2)").await;
    client.ok("CREATE DATABASE other VGROUPS 1").await;
    drop(client);
    let server = server.restart().await;
    let mut client = server.connect();
    assert_eq!(
        client.ok("SHOW CREATE TABLE d1").await,
        "d1|CREATE TABLE d1 USING meters TAGS ('Oslo', 2)"
    );
    client.ok("USE other").await;
    assert_eq!(client.ok("SHOW STABLES").await, "");
}

#[tokio::test]
async fn a_supertable_its_tables_and_their_tags() {
    let server = Server::start();
    let mut client = server.connect();
    client
        .ok("CREATE STABLE meters (ts TIMESTAMP, current FLOAT, voltage INT) TAGS (location VARCHAR(64), group_id INT)")
        .await;
    client
        .ok("CREATE TABLE d1 USING meters TAGS ('Oslo', 2) d2 USING meters (group_id) TAGS (1 + 2)")
        .await;
    assert_eq!(client.ok("SHOW STABLES").await, "meters|3|2|2|");
    assert_eq!(
        client.ok("SHOW TAGS FROM d1").await,
        "location|character varying(64)|Oslo\ngroup_id|integer|2"
    );
    assert_eq!(
        client.ok("SHOW TAGS FROM d2").await,
        "location|character varying(64)|\ngroup_id|integer|3"
    );
    let names = |text: String| {
        let mut names: Vec<String> = text
            .lines()
            .map(|line| line.split('|').next().unwrap_or("").to_string())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(client.ok("SHOW TABLES").await), ["d1", "d2"]);
    assert_eq!(names(client.ok("SHOW TABLES LIKE '%2'").await), ["d2"]);
    client
        .ok("ALTER TABLE d1 SET TAG group_id = 7, location = 'Bergen'")
        .await;
    assert_eq!(
        client.ok("SHOW TAGS FROM d1").await,
        "location|character varying(64)|Bergen\ngroup_id|integer|7"
    );
    assert_eq!(
        client.fails("ALTER TABLE d1 SET TAG nothing = 1").await,
        ErrorKind::UndefinedColumn
    );
    assert_eq!(
        client.fails("ALTER TABLE d1 ADD COLUMN x int").await,
        ErrorKind::WrongObjectType
    );
    assert_eq!(
        client.fails("CREATE TABLE d1 USING meters TAGS ('x', 1)").await,
        ErrorKind::DuplicateTable
    );
    client
        .ok("CREATE TABLE IF NOT EXISTS d1 USING meters TAGS ('x', 1)")
        .await;
    assert_eq!(
        client.fails("CREATE TABLE d3 USING meters TAGS ('x')").await,
        ErrorKind::SyntaxError
    );
    assert_eq!(
        client.fails("CREATE TABLE d3 USING nothing TAGS ('x')").await,
        ErrorKind::UndefinedTable
    );
    client.ok("ALTER TABLE d2 RENAME TO d4").await;
    assert_eq!(names(client.ok("SHOW TABLES").await), ["d1", "d4"]);
    client.ok("DROP TABLE d1, d4").await;
    assert_eq!(client.ok("SHOW TABLES").await, "");
    client.ok("DROP STABLE meters").await;
    assert_eq!(client.fails("DESCRIBE meters").await, ErrorKind::UndefinedTable);
}

#[tokio::test]
async fn a_table_in_postgresql_form_and_its_changes() {
    let server = Server::start();
    let mut client = server.connect();
    let create = "CREATE TABLE meters (ts timestamptz NOT NULL, current real, voltage int DEFAULT 220, location text, group_id int,
                  PRIMARY KEY (location, group_id, ts))";
    client.ok(create).await;
    assert_eq!(client.fails(create).await, ErrorKind::DuplicateTable);
    let described = "ts|timestamp with time zone|no||time\ncurrent|real|yes||\nvoltage|integer|yes|220|\nlocation|text|yes||tag\ngroup_id|integer|yes||tag";
    assert_eq!(client.ok("DESCRIBE public.meters").await, described);
    client
        .ok("ALTER TABLE meters ADD COLUMN temperature real, DROP COLUMN current, RENAME COLUMN voltage TO volts")
        .await;
    client.ok("ALTER TABLE meters ALTER COLUMN volts TYPE bigint").await;
    client.ok("ALTER TABLE meters ADD TAG model text").await;
    client.ok("ALTER TABLE meters RENAME TAG group_id TO room").await;
    let described = client.ok("DESCRIBE meters").await;
    let names: Vec<&str> = described
        .lines()
        .map(|line| line.split('|').next().unwrap_or(""))
        .collect();
    assert_eq!(names, ["ts", "volts", "location", "room", "temperature", "model"]);
    assert_eq!(
        client.fails("ALTER TABLE meters ADD COLUMN volts int").await,
        ErrorKind::DuplicateColumn
    );
    client.ok("ALTER TABLE meters ADD COLUMN IF NOT EXISTS volts int").await;
    assert_eq!(
        client.fails("ALTER TABLE meters DROP COLUMN nothing").await,
        ErrorKind::UndefinedColumn
    );
    client.ok("ALTER TABLE meters DROP COLUMN IF EXISTS nothing").await;
    client.ok("COMMENT ON TABLE meters IS 'all meters'").await;
    assert!(client.ok("SHOW STABLES").await.ends_with("all meters"));
    client.ok("ALTER TABLE meters RENAME TO gauges").await;
    assert_eq!(client.fails("DROP TABLE meters").await, ErrorKind::UndefinedTable);
    client.ok("DROP TABLE IF EXISTS meters, gauges").await;
}

#[tokio::test]
async fn names_reach_into_other_databases() {
    let server = Server::start();
    let mut client = server.connect();
    client.ok("CREATE DATABASE power VGROUPS 1").await;
    client.ok("CREATE TABLE power.meters (ts timestamptz, v int)").await;
    assert_eq!(client.fails("DESCRIBE meters").await, ErrorKind::UndefinedTable);
    client.ok("DESCRIBE power.meters").await;
    client.ok("DESCRIBE power.public.meters").await;
    assert_eq!(
        client.fails("DESCRIBE nowhere.meters").await,
        ErrorKind::InvalidSchemaName
    );
    assert_eq!(client.ok("SHOW power.tables").await.split('|').next(), Some("meters"));
    let error = client.run("select 1;\n  drop table nothing").await.unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.position),
        ("table \"nothing\" does not exist", Some(24))
    );
}

#[tokio::test]
async fn a_table_past_its_keep_makes_room() {
    let server = Server::start();
    let mut client = server.connect();
    let old = "now() - INTERVAL '50 days', 1";
    for table in ["kept", "short"] {
        client
            .ok(&format!("CREATE TABLE {table} (ts timestamptz PRIMARY KEY, value int)"))
            .await;
        client
            .ok(&format!("INSERT INTO {table} VALUES ({old}), (now(), 2)"))
            .await;
    }
    client.ok("CHECKPOINT").await;
    let chunks = async |client: &mut Client, table: &str| {
        let shown = client.ok(&format!("SELECT show_chunks('{table}')")).await;
        shown.lines().count()
    };
    assert_eq!(chunks(&mut client, "short").await, 2);
    client.ok("ALTER TABLE short SET (keep = '30 days')").await;
    assert_eq!(chunks(&mut client, "short").await, 1);
    client.ok("VACUUM").await;
    drop(client);
    let server = server.restart().await;
    let mut client = server.connect();
    assert_eq!(client.ok("SELECT value FROM short").await, "2");
    // Gone from the files, too, and not only hidden.
    client.ok("ALTER TABLE short RESET (keep)").await;
    assert_eq!(chunks(&mut client, "short").await, 1);
    assert_eq!(client.ok("SELECT value FROM short").await, "2");
    assert_eq!(client.ok("SELECT count(*) FROM kept").await, "2");
    assert_eq!(chunks(&mut client, "kept").await, 2);
}
