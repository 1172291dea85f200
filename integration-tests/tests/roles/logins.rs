//! Passwords: who is let in, and that nothing of them stands anywhere in clear.

use integration_tests::Server;

use crate::setup::SETUP;
use crate::support::{connect, is_denied, refused};

#[tokio::test]
async fn who_cannot_prove_who_they_are_is_not_let_in() {
    let server = Server::start();
    let admin = server.connect("postgres").await;
    // Nobody has a password yet: this machine is trusted, but a role must exist and may have to log in.
    admin
        .batch_execute("CREATE ROLE nologin; CREATE USER early")
        .await
        .unwrap();
    assert_eq!(refused(&server, "early", "", "postgres").await, "let in");
    assert_eq!(
        refused(&server, "nologin", "", "postgres").await,
        "28000: role \"nologin\" is not permitted to log in"
    );
    assert_eq!(
        refused(&server, "eve", "", "postgres").await,
        "28000: role \"eve\" does not exist"
    );
    admin
        .batch_execute(
            "CREATE USER ada PASSWORD 'geheim' CONNECTION LIMIT 1; CREATE USER late PASSWORD 'geheim' VALID UNTIL '2020-01-01';
             CREATE DATABASE closed; REVOKE CONNECT ON DATABASE closed FROM PUBLIC; ALTER ROLE ada SET timezone = 'Asia/Tokyo'",
        )
        .await
        .unwrap();
    let first = connect(&server, "ada", "geheim", "postgres").await.unwrap();
    let row = first
        .query_one("SELECT current_user::text, current_setting('TimeZone')", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("ada", "Asia/Tokyo"));
    assert_eq!(
        refused(&server, "ada", "geheim", "postgres").await,
        "53300: too many connections for role \"ada\""
    );
    // Wrong, unknown, expired and without a password are told alike.
    for (user, password) in [("ada", "falsch"), ("eve", "geheim"), ("late", "geheim"), ("early", "x")] {
        let told = refused(&server, user, password, "postgres").await;
        assert_eq!(
            told,
            format!("28P01: password authentication failed for user \"{user}\"")
        );
    }
    // The first superuser is not locked out while it has no password.
    assert_eq!(refused(&server, "postgres", "", "postgres").await, "let in");
    admin
        .batch_execute("ALTER ROLE postgres PASSWORD 'start'; ALTER ROLE ada CONNECTION LIMIT -1")
        .await
        .unwrap();
    assert_eq!(
        refused(&server, "postgres", "x", "postgres").await,
        "28P01: password authentication failed for user \"postgres\""
    );
    assert_eq!(refused(&server, "postgres", "start", "postgres").await, "let in");
    assert_eq!(
        refused(&server, "ada", "geheim", "closed").await,
        "42501: permission denied for database \"closed\""
    );
    admin.batch_execute("ALTER ROLE ada RENAME TO ida").await.unwrap();
    assert_eq!(refused(&server, "ida", "geheim", "postgres").await, "let in");
}

#[tokio::test]
async fn passwords_and_grants_survive_a_kill_and_stand_nowhere_in_clear() {
    let mut server = Server::start();
    let admin = server.connect("postgres").await;
    admin.batch_execute(SETUP).await.unwrap();
    admin
        .batch_execute("CREATE USER ada PASSWORD 'planted-secret-1'; GRANT reader TO ada; ALTER ROLE postgres PASSWORD 'planted-secret-2'")
        .await
        .unwrap();
    let verifier = admin
        .query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'ada'", &[])
        .await
        .unwrap();
    assert!(verifier.get::<_, &str>(0).starts_with("SCRAM-SHA-256$4096:"));
    drop(admin);
    server.kill_and_start_again();
    let client = connect(&server, "ada", "planted-secret-1", "postgres").await.unwrap();
    assert_eq!(client.query("SELECT v FROM meters", &[]).await.unwrap().len(), 2);
    assert!(is_denied(
        &client.batch_execute("SELECT v FROM plain").await.unwrap_err()
    ));
    server.stop();
    let mut pending = vec![server.directory().to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(14).any(|window| window == b"planted-secret");
            assert!(!found, "{} has a password in it", path.display());
        }
    }
}
