//! What the first start asks for: a password before others than this machine may listen.

use std::process::{Command, Stdio};

use integration_tests::server::binary;

#[test]
fn init_makes_a_data_directory_with_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let run = |password: &str| {
        std::fs::write(at("password"), password).unwrap();
        let mut init = Command::new(binary());
        init.args(["init", "--data-dir"])
            .arg(at("data"))
            .arg("--password-file")
            .arg(at("password"));
        let output = init.stdin(Stdio::null()).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    let (done, told) = run("\n");
    assert!(!done && told.contains("is empty"), "{told}");
    let (done, told) = run("geheim\n");
    assert!(
        done && told.contains("made data directory") && !told.contains("geheim"),
        "{told}"
    );
    let (done, told) = run("anders\n");
    assert!(!done && told.contains("exists but is not empty"), "{told}");
    // Nobody sits there to be asked.
    let mut init = Command::new(binary());
    init.args(["init", "--data-dir"]).arg(at("other")).stdin(Stdio::null());
    let output = init.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("--password-file"));
    // The server asks for it from its first start.
    let mut process = Command::new(binary())
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(at("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    let port = line.trim().rsplit(':').next().unwrap_or_default().to_owned();
    let who = |password: &str| {
        let mut psql = Command::new("psql");
        psql.args([
            "--no-psqlrc",
            "--no-password",
            "--tuples-only",
            "--no-align",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
        ]);
        psql.args(["-p", &port, "-c", "SELECT current_user", "postgres"])
            .env("PGPASSWORD", password);
        let output = psql.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let (wrong, right) = (who("anders"), who("geheim"));
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(wrong.contains("password authentication failed"), "{wrong}");
    assert_eq!(right.trim(), "postgres");
}

#[test]
fn a_server_without_a_password_listens_to_this_machine_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut taospg = Command::new(binary());
    taospg
        .args(["--listen", "0.0.0.0:0", "--data-dir"])
        .arg(directory.path());
    let output = taospg.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("taospg: refusing to listen on 0.0.0.0:"), "{told}");
    assert!(last.contains("TAOS_PASSWORD"), "{told}");
    // With a password it listens, and the password is kept.
    let mut process = taospg
        .env("TAOS_PASSWORD", "start")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert!(line.starts_with("listening on 0.0.0.0:"), "{line}");
    process.kill().unwrap();
    process.wait().unwrap();
    let mut process = Command::new(binary())
        .args(["--listen", "0.0.0.0:0", "--data-dir"])
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    line.clear();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(line.starts_with("listening on 0.0.0.0:"), "{line}");
}
