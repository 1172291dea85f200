//! Privileges on single columns by every path, what new tables begin with, and settings of roles in databases.

use integration_tests::Server;
use tokio_postgres::Client;

use crate::support::{acting_as, connect, copy_out, extended, is_denied, outcome};

const SETUP: &str = "
    CREATE STABLE meters (ts TIMESTAMP, v INT, secret INT) TAGS (location VARCHAR(64), owner VARCHAR(64));
    INSERT INTO d1 USING meters TAGS ('here', 'ada') VALUES ('2026-01-01', 1, 7);
    CREATE TABLE plain (ts timestamptz PRIMARY KEY, v int, secret int);
    INSERT INTO plain VALUES ('2026-01-01', 1, 7);
    CREATE TABLE sink (ts timestamptz PRIMARY KEY, v int);
    CREATE ROLE ada; CREATE ROLE group_of_ada; CREATE ROLE bob IN ROLE group_of_ada; CREATE ROLE carl;
    GRANT INSERT, SELECT ON sink TO PUBLIC;
    GRANT SELECT (ts, v), INSERT (ts, v), UPDATE (v) ON plain TO ada, group_of_ada;
    GRANT SELECT (ts, v, location) ON meters TO ada, group_of_ada;
    GRANT UPDATE (v), DELETE ON plain TO carl;
";

/// Statement, and whether a role may that has `SELECT (ts, v), INSERT (ts, v), UPDATE (v)`.
const STATEMENTS: &[(&str, bool)] = &[
    ("SELECT v FROM plain", true),
    ("SELECT v FROM plain WHERE secret = 7", false),
    ("SELECT v FROM plain ORDER BY secret", false),
    ("SELECT v, count(*) FROM plain GROUP BY v", true),
    ("SELECT count(*) FROM plain GROUP BY secret", false),
    ("SELECT * FROM plain", false),
    ("SELECT secret FROM plain", false),
    ("SELECT max(secret) FROM plain", false),
    ("SELECT count(*) FROM plain", true),
    ("SELECT p FROM (SELECT ts, v AS p FROM plain) q", true),
    ("SELECT p FROM (SELECT ts, secret AS p FROM plain) q", false),
    ("SELECT a.v FROM plain a JOIN plain b ON a.ts = b.ts", true),
    (
        "SELECT a.v FROM plain a JOIN plain b ON a.ts = b.ts AND b.secret = 7",
        false,
    ),
    ("SELECT 1 WHERE EXISTS (SELECT 1 FROM plain WHERE secret = 7)", false),
    ("SELECT (SELECT max(secret) FROM plain)", false),
    ("WITH q AS (SELECT secret FROM plain) SELECT * FROM q", false),
    ("SELECT v FROM sink UNION ALL SELECT secret FROM plain", false),
    ("INSERT INTO sink SELECT ts, v FROM plain", true),
    ("INSERT INTO sink SELECT ts, secret FROM plain", false),
    (
        "INSERT INTO sink VALUES (now(), (SELECT max(secret) FROM plain))",
        false,
    ),
    ("INSERT INTO plain (ts, v) VALUES (now(), 1)", true),
    ("INSERT INTO plain (ts, v) VALUES (now(), 1) RETURNING v", true),
    ("INSERT INTO plain (ts, v) VALUES (now(), 1) RETURNING secret", false),
    ("INSERT INTO plain (ts, secret) VALUES (now(), 1)", false),
    ("INSERT INTO plain VALUES (now(), 1, 2)", false),
    ("INSERT INTO plain (ts, v) SELECT now(), 1", true),
    ("UPDATE plain SET v = 2", true),
    ("UPDATE plain SET v = v + 1", true),
    ("UPDATE plain SET v = secret", false),
    ("UPDATE plain SET v = 2 WHERE secret = 7", false),
    ("UPDATE plain SET secret = 2", false),
    ("UPDATE plain SET v = 2 RETURNING v", true),
    ("UPDATE plain SET v = 2 RETURNING secret", false),
    ("DELETE FROM plain", false),
    ("SELECT v, location FROM meters", true),
    ("SELECT v FROM meters WHERE location = 'here'", true),
    ("SELECT v FROM meters WHERE owner = 'ada'", false),
    ("SELECT owner FROM meters", false),
    ("SELECT DISTINCT owner FROM meters", false),
    ("SELECT last(v, ts) FROM meters", true),
    ("SELECT last(secret, ts) FROM meters", false),
    ("SELECT v FROM d1", true),
    ("SELECT secret FROM d1", false),
];

const COPIES: &[(&str, bool)] = &[
    ("COPY plain (ts, v) TO STDOUT", true),
    ("COPY plain TO STDOUT", false),
    ("COPY (SELECT v FROM plain) TO STDOUT", true),
    ("COPY (SELECT secret FROM plain) TO STDOUT", false),
];

async fn run(client: &Client, path: &str, sql: &str) -> Result<bool, String> {
    client.batch_execute("BEGIN").await.unwrap();
    let result = match path {
        "simple" => client.batch_execute(sql).await,
        "extended" => extended(client, sql).await,
        "named" => client.batch_execute(&format!("PREPARE p AS {sql}; EXECUTE p")).await,
        _ => copy_out(client, sql).await,
    };
    client.batch_execute("ROLLBACK; DEALLOCATE ALL").await.unwrap();
    outcome(result)
}

#[tokio::test]
async fn columns_that_are_not_granted_are_not_touched_by_any_path() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin.batch_execute(SETUP).await.unwrap();
    let mut wrong = Vec::new();
    for role in ["ada", "bob"] {
        let client = acting_as(&server, role).await;
        let all = STATEMENTS
            .iter()
            .flat_map(|(sql, may)| ["simple", "extended", "named"].map(|path| (path, *sql, *may)));
        let copies = COPIES.iter().map(|(sql, may)| ("copy", *sql, *may));
        for (path, sql, may) in all.chain(copies) {
            if run(&client, path, sql).await != Ok(may) {
                wrong.push(format!("{role}, {path}: {sql}: should be {may}"));
            }
        }
    }
    // UPDATE without SELECT changes what it may, and looks at nothing.
    let client = acting_as(&server, "carl").await;
    for (sql, may) in [
        ("UPDATE plain SET v = 2", true),
        ("UPDATE plain SET v = 2 WHERE v = 1", false),
        ("DELETE FROM plain", true),
        ("SELECT count(*) FROM plain", false),
    ] {
        if run(&client, "simple", sql).await != Ok(may) {
            wrong.push(format!("carl: {sql}: should be {may}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // COPY FROM of the columns, and of all.
    for (sql, may) in [
        ("COPY plain (ts, v) FROM STDIN", true),
        ("COPY plain FROM STDIN", false),
    ] {
        let client = acting_as(&server, "ada").await;
        let begun = client.copy_in::<_, bytes::Bytes>(sql).await.map(|_| ());
        assert_eq!(outcome(begun), Ok(may), "{sql}");
    }
}

#[tokio::test]
async fn a_revoke_on_the_table_takes_its_columns_too() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin.batch_execute(SETUP).await.unwrap();
    let client = acting_as(&server, "ada").await;
    let select = client.prepare("SELECT v FROM plain").await.unwrap();
    assert_eq!(client.query(&select, &[]).await.unwrap().len(), 1);
    let privileges = "SELECT has_column_privilege('ada', 'plain', 'v', 'SELECT'), has_column_privilege('ada', 'plain', 'secret', 'SELECT'),
        has_any_column_privilege('ada', 'plain', 'SELECT'), has_table_privilege('ada', 'plain', 'SELECT'),
        has_column_privilege('ada', 'plain', 2::int2, 'UPDATE'), has_column_privilege('ada', 'plain', 99::int2, 'UPDATE')";
    let row = admin.query_one(privileges, &[]).await.unwrap();
    let held: Vec<Option<bool>> = (0..6).map(|column| row.get(column)).collect();
    assert_eq!(
        held,
        [Some(true), Some(false), Some(true), Some(false), Some(true), None]
    );
    let acl = "SELECT attacl::text FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attname = 'v'";
    let row = admin.query_one(acl, &[]).await.unwrap();
    assert_eq!(
        row.get::<_, &str>(0),
        "{ada=arw/postgres,group_of_ada=arw/postgres,carl=w/postgres}"
    );
    let shown =
        "SELECT count(*) FROM information_schema.column_privileges WHERE grantee = 'ada' AND table_name = 'plain'";
    assert_eq!(admin.query_one(shown, &[]).await.unwrap().get::<_, i64>(0), 5);
    admin.batch_execute("REVOKE SELECT ON plain FROM ada").await.unwrap();
    assert!(is_denied(&client.query(&select, &[]).await.unwrap_err()));
    admin
        .batch_execute("GRANT SELECT (v) ON plain TO ada; REVOKE SELECT (v) ON plain FROM ada")
        .await
        .unwrap();
    assert!(is_denied(&client.query(&select, &[]).await.unwrap_err()));
    // What stands in the way of a role is let go of by DROP OWNED.
    assert!(admin.batch_execute("DROP ROLE ada").await.is_err());
    admin.batch_execute("DROP OWNED BY ada; DROP ROLE ada").await.unwrap();
}

#[tokio::test]
async fn new_tables_begin_with_what_default_privileges_say() {
    let mut server = Server::start();
    let admin = server.connect("postgres").await;
    admin
        .batch_execute(
            "CREATE ROLE maker; CREATE ROLE reader; GRANT CREATE ON SCHEMA public TO maker;
             CREATE TABLE before (ts timestamptz PRIMARY KEY, v int);
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;
             ALTER DEFAULT PRIVILEGES FOR ROLE maker REVOKE ALL ON TABLES FROM maker;
             ALTER DEFAULT PRIVILEGES FOR ROLE maker GRANT INSERT ON TABLES TO reader WITH GRANT OPTION",
        )
        .await
        .unwrap();
    drop(admin);
    server.kill_and_start_again();
    let admin = server.connect("postgres").await;
    admin
        .batch_execute(
            "CREATE TABLE after (ts timestamptz PRIMARY KEY, v int); CREATE VIEW seen AS SELECT v FROM after;
             CREATE STABLE super (ts TIMESTAMP, v INT) TAGS (t INT);
             SET ROLE maker; CREATE TABLE made (ts timestamptz PRIMARY KEY, v int); RESET ROLE",
        )
        .await
        .unwrap();
    let client = acting_as(&server, "reader").await;
    for (sql, may) in [
        ("SELECT * FROM before", false),
        ("SELECT * FROM after", true),
        ("SELECT * FROM seen", true),
        ("SELECT * FROM super", true),
        ("SELECT * FROM made", false),
        ("INSERT INTO made VALUES (now(), 1)", true),
        ("INSERT INTO after VALUES (now(), 1)", false),
    ] {
        assert_eq!(outcome(client.batch_execute(sql).await), Ok(may), "{sql}");
    }
    let own = acting_as(&server, "maker").await;
    assert!(is_denied(&own.batch_execute("SELECT * FROM made").await.unwrap_err()));
    assert!(is_denied(
        &own.batch_execute("ALTER DEFAULT PRIVILEGES FOR ROLE reader GRANT SELECT ON TABLES TO maker")
            .await
            .unwrap_err()
    ));
    let rows = admin
        .query(
            "SELECT pg_get_userbyid(defaclrole)::text, defaclnamespace = 'public'::regnamespace, defaclobjtype::text, defaclacl::text
             FROM pg_default_acl ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    let shown: Vec<(&str, bool, &str)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(3))).collect();
    assert_eq!(
        shown,
        [
            ("maker", false, "{reader=a*/maker}"),
            ("postgres", true, "{reader=r/postgres}")
        ]
    );
    // Back to the start, nothing is said any more.
    admin
        .batch_execute(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM reader; DROP OWNED BY reader",
        )
        .await
        .unwrap();
    admin
        .batch_execute("CREATE TABLE later (ts timestamptz PRIMARY KEY, v int)")
        .await
        .unwrap();
    assert!(is_denied(
        &client.batch_execute("SELECT * FROM later").await.unwrap_err()
    ));
}

#[tokio::test]
async fn sessions_begin_with_the_settings_of_their_role_and_database() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin
        .batch_execute(
            "CREATE DATABASE other; CREATE USER ada; CREATE USER bob;
             ALTER ROLE ALL SET statement_timeout = '9s';
             ALTER DATABASE other SET statement_timeout TO '8s'; ALTER DATABASE other SET my.shade TO 'green';
             ALTER ROLE ada SET statement_timeout = '7s';
             ALTER ROLE ada IN DATABASE other SET statement_timeout = '6s'",
        )
        .await
        .unwrap();
    let timeout = async |user: &str, database: &str| -> String {
        let client = connect(&server, user, "", database).await.unwrap();
        let row = client.query_one("SHOW statement_timeout", &[]).await.unwrap();
        row.get(0)
    };
    for (user, database, expected) in [
        ("bob", "postgres", "9s"),
        ("bob", "other", "8s"),
        ("ada", "postgres", "7s"),
        ("ada", "other", "6s"),
    ] {
        assert_eq!(timeout(user, database).await, expected, "{user} in {database}");
    }
    let client = connect(&server, "bob", "", "other").await.unwrap();
    let row = client
        .query_one("SELECT current_setting('my.shade')", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "green");
    let rows = admin
        .query(
            "SELECT coalesce(datname::text, ''), coalesce(rolname::text, ''), setconfig::text FROM pg_db_role_setting
             LEFT JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole ORDER BY 1, 2",
            &[],
        )
        .await
        .unwrap();
    let shown: Vec<(&str, &str, &str)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(
        shown,
        [
            ("", "", "{statement_timeout=9s}"),
            ("", "ada", "{statement_timeout=7s}"),
            ("other", "", "{my.shade=green,statement_timeout=8s}"),
            ("other", "ada", "{statement_timeout=6s}"),
        ]
    );
    // Nobody sets for others, nor a value that a session could not have.
    for sql in [
        "ALTER DATABASE other SET statement_timeout = '1s'",
        "ALTER ROLE ALL SET statement_timeout = '1s'",
        "ALTER ROLE ada IN DATABASE other SET statement_timeout = '1s'",
    ] {
        assert!(is_denied(&client.batch_execute(sql).await.unwrap_err()), "{sql}");
    }
    client
        .batch_execute("ALTER ROLE bob IN DATABASE other SET statement_timeout = '5s'")
        .await
        .unwrap();
    assert_eq!(timeout("bob", "other").await, "5s");
    assert!(
        admin
            .batch_execute("ALTER DATABASE other SET timezone = 'Mars'")
            .await
            .is_err()
    );
    drop(client);
    admin
        .batch_execute(
            "ALTER ROLE ada IN DATABASE other RESET ALL; ALTER DATABASE other RESET statement_timeout; DROP ROLE bob",
        )
        .await
        .unwrap();
    assert_eq!(timeout("ada", "other").await, "7s");
    let left = admin
        .query_one("SELECT count(*) FROM pg_db_role_setting", &[])
        .await
        .unwrap();
    assert_eq!(left.get::<_, i64>(0), 3);
}
