//! Rules and certificates decide who gets in.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use integration_tests::Server;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/tls")
        .join(name)
}

/// psql with these variables; what it prints.
fn psql(server: &Server, user: &str, variables: &[(&str, &str)], script: &str) -> String {
    let mut psql = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--no-password",
            "--no-align",
            "--tuples-only",
            "--host",
            "localhost",
        ])
        .args([
            "--port",
            &server.port().to_string(),
            "--username",
            user,
            "--dbname",
            "postgres",
        ])
        .env("PGHOSTADDR", "127.0.0.1")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql is installed: run the tests by `make test`");
    let mut input = psql.stdin.take().expect("its input is piped");
    let _ = input.write_all(script.as_bytes());
    drop(input);
    let output = psql.wait_with_output().expect("psql ends");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[tokio::test]
async fn rules_and_certificates_decide_who_gets_in() {
    let files = tempfile::tempdir().unwrap();
    let at = |name: &str| files.path().join(name);
    std::fs::copy(fixture("first.crt"), at("server.crt")).unwrap();
    std::fs::copy(fixture("first.key"), at("server.key")).unwrap();
    let settings = format!(
        "tls_certificate = {:?}\ntls_key = {:?}\naudit_log = {:?}\n
         [[authentication]]\nuser = \"postgres\"\naddress = \"loopback\"\nmethod = \"trust\"\n
         [[authentication]]\nuser = \"banned\"\nmethod = \"reject\"\n
         [[authentication]]\ntype = \"hostssl\"\nuser = \"+fleet\"\nmethod = \"scram-sha-256\"\n
         [[authentication]]\ntype = \"hostnossl\"\nuser = \"plainly\"\nmethod = \"scram-sha-256\"\n",
        at("server.crt"),
        at("server.key"),
        at("audit")
    );
    std::fs::write(at("taos.toml"), settings).unwrap();
    let server = Server::start_with(&["--config", at("taos.toml").to_str().unwrap()]);
    let admin = server.connect("postgres").await;
    admin
        .batch_execute(
            "CREATE ROLE fleet; CREATE USER ada IN ROLE fleet PASSWORD 'geheim'; CREATE USER plainly PASSWORD 'geheim';
             CREATE USER banned IN ROLE fleet PASSWORD 'geheim'; CREATE USER other PASSWORD 'geheim'",
        )
        .await
        .unwrap();
    let first = fixture("first.crt");
    let first = first.to_str().unwrap();
    let who = "SELECT current_user";
    // user, sslmode, channel_binding, password, whether let in
    for (user, mode, binding, password, expected) in [
        ("ada", "require", "prefer", "geheim", "ada"),
        ("ada", "require", "require", "geheim", "ada"),
        ("ada", "require", "disable", "geheim", "ada"),
        ("ada", "verify-full", "require", "geheim", "ada"),
        ("ada", "prefer", "prefer", "geheim", "ada"),
        (
            "ada",
            "require",
            "prefer",
            "falsch",
            "password authentication failed for user \"ada\"",
        ),
        ("ada", "disable", "prefer", "geheim", "no authentication rule"),
        ("plainly", "disable", "prefer", "geheim", "plainly"),
        ("plainly", "disable", "require", "geheim", "channel binding"),
        ("plainly", "require", "prefer", "geheim", "no authentication rule"),
        (
            "banned",
            "require",
            "prefer",
            "geheim",
            "an authentication rule rejects",
        ),
        ("other", "require", "prefer", "geheim", "no authentication rule"),
        ("eve", "require", "prefer", "geheim", "no authentication rule"),
        ("postgres", "require", "prefer", "", "postgres"),
    ] {
        let variables = [
            ("PGSSLMODE", mode),
            ("PGCHANNELBINDING", binding),
            ("PGPASSWORD", password),
            ("PGSSLROOTCERT", first),
        ];
        let told = psql(&server, user, &variables, who);
        assert!(told.contains(expected), "{user} {mode} {binding}: {told}");
        assert!(
            told == user || told.contains("FATAL") || told.contains("channel binding"),
            "{user} {mode} {binding}: {told}"
        );
    }
    // A renewed certificate is taken up without a restart.
    let second = fixture("second.crt");
    let verify = |root: &str| {
        let variables = [
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", root),
            ("PGPASSWORD", "geheim"),
        ];
        psql(&server, "ada", &variables, who)
    };
    assert_eq!(verify(first), "ada");
    std::fs::copy(fixture("second.crt"), at("server.crt")).unwrap();
    std::fs::copy(fixture("second.key"), at("server.key")).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while verify(second.to_str().unwrap()) != "ada" {
        assert!(
            std::time::Instant::now() < deadline,
            "the new certificate is never used"
        );
    }
    assert_ne!(verify(first), "ada");
    // Rules are read again when somebody asks; rules that cannot be read leave those that are there.
    let settings = std::fs::read_to_string(at("taos.toml")).unwrap();
    let encrypted = [("PGSSLMODE", "require"), ("PGPASSWORD", "geheim")];
    let let_in = |expected: bool| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while (psql(&server, "other", &encrypted, who) == "other") != expected {
            assert!(std::time::Instant::now() < deadline, "the rules are never read again");
        }
    };
    let opened = format!("{settings}\n[[authentication]]\nuser = \"other\"\nmethod = \"scram-sha-256\"\n");
    std::fs::write(at("taos.toml"), &opened).unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let_in(true);
    std::fs::write(at("taos.toml"), "no settings at all").unwrap();
    server.hang_up();
    while !server.log().contains("authentication rules stay as they were") {
        std::thread::yield_now();
    }
    let_in(true);
    std::fs::write(at("taos.toml"), &settings).unwrap();
    server.hang_up();
    let_in(false);
    let denied = psql(
        &server,
        "ada",
        &[("PGSSLMODE", "require"), ("PGPASSWORD", "geheim")],
        "SELECT pg_reload_conf()",
    );
    assert!(
        denied.contains("permission denied for function pg_reload_conf"),
        "{denied}"
    );
    // What PostgreSQL says beside the message of a login that fails is said, too.
    admin
        .batch_execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        .await
        .unwrap();
    let told = psql(
        &server,
        "ada",
        &[("PGSSLMODE", "require"), ("PGPASSWORD", "geheim")],
        who,
    );
    assert!(
        told.contains("DETAIL:  User does not have CONNECT privilege."),
        "{told}"
    );
    let audit = std::fs::read_to_string(at("audit")).unwrap();
    for (part, count) in [
        ("\"class\":\"login\"", 15),
        ("CREATE USER ada", 1),
        ("password authentication failed", 1),
    ] {
        assert!(audit.matches(part).count() >= count, "{part} in:\n{audit}");
    }
    assert!(!audit.contains("geheim"), "{audit}");
}
