//! Views are read with the rights of their owners.

use integration_tests::Server;

use crate::support::{acting_as, copy_out, extended};

#[tokio::test]
async fn views_are_read_with_the_rights_of_their_owners() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    admin
        .batch_execute(
            "CREATE ROLE owner; CREATE ROLE reader; CREATE ROLE stranger;
             CREATE TABLE m (ts timestamptz, dev text, v float, PRIMARY KEY (dev, ts));
             INSERT INTO m VALUES ('2026-01-01', 'a', 1);
             GRANT SELECT ON m TO owner; GRANT CREATE ON SCHEMA public TO owner;
             SET ROLE owner;
             CREATE VIEW of_owner AS SELECT * FROM m;
             CREATE VIEW of_invoker WITH (security_invoker) AS SELECT * FROM m;
             CREATE VIEW nested AS SELECT * FROM of_owner;
             CREATE VIEW nested_invoker AS SELECT * FROM of_invoker;
             GRANT SELECT ON of_owner, of_invoker, nested, nested_invoker TO reader;
             RESET ROLE",
        )
        .await
        .unwrap();
    // role, statement, whether it may, what it is told otherwise
    let check = async |rows: &[(&str, &str, Option<&str>)]| {
        for (role, sql, denied) in rows {
            let client = acting_as(&server, role).await;
            for path in ["simple", "prepared", "copy"] {
                let answer = match path {
                    "simple" => client.batch_execute(sql).await,
                    "prepared" => extended(&client, sql).await,
                    _ => copy_out(&client, &format!("COPY ({sql}) TO STDOUT")).await,
                };
                let told = answer
                    .err()
                    .and_then(|error| error.as_db_error().map(|error| error.message().to_owned()));
                assert_eq!(told.as_deref(), *denied, "{role} {path} {sql}");
            }
        }
    };
    check(&[
        ("reader", "SELECT * FROM of_owner", None),
        ("reader", "SELECT * FROM nested", None),
        // As PostgreSQL: inside of a view of the owner, the owner is the invoker.
        ("reader", "SELECT * FROM nested_invoker", None),
        (
            "reader",
            "SELECT * FROM of_invoker",
            Some("permission denied for table m"),
        ),
        ("reader", "SELECT * FROM m", Some("permission denied for table m")),
        ("reader", "SELECT (SELECT max(v) FROM of_owner)", None),
        (
            "reader",
            "SELECT * FROM of_owner o JOIN m ON o.ts = m.ts",
            Some("permission denied for table m"),
        ),
        (
            "stranger",
            "SELECT * FROM of_owner",
            Some("permission denied for view of_owner"),
        ),
        (
            "stranger",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM nested)",
            Some("permission denied for view nested"),
        ),
        ("pg_read_all_data", "SELECT * FROM of_invoker", None),
    ])
    .await;
    // The owner loses the right, and with it who reads its views; a new owner brings its own.
    admin.batch_execute("REVOKE SELECT ON m FROM owner").await.unwrap();
    check(&[(
        "reader",
        "SELECT * FROM of_owner",
        Some("permission denied for table m"),
    )])
    .await;
    admin
        .batch_execute("ALTER VIEW of_owner OWNER TO postgres")
        .await
        .unwrap();
    check(&[("reader", "SELECT * FROM of_owner", None)]).await;
    admin
        .batch_execute("ALTER VIEW of_owner SET (security_invoker = true)")
        .await
        .unwrap();
    check(&[(
        "reader",
        "SELECT * FROM of_owner",
        Some("permission denied for table m"),
    )])
    .await;
    let client = acting_as(&server, "reader").await;
    let error = client.batch_execute("DROP VIEW nested").await.unwrap_err();
    assert_eq!(
        error.as_db_error().map(|error| error.message()),
        Some("must be owner of view nested")
    );
}
