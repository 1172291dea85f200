//! Message by message, Taospg answers as PostgreSQL does: `messages/*.txt`, recorded from PostgreSQL, checked against both.
//!
//! TAOSPG_BLESS=1 records the answers anew: PostgreSQL's, or Taospg's for scripts that are only about it. Read the diff like code.

use std::path::Path;

use integration_tests::messages::{Asked, Mode, Script};
use integration_tests::{Postgres, Psql, Server};

#[test]
fn answers_are_those_of_postgresql() {
    let mut server = Server::start();
    let postgres = Postgres::start();
    let bless = std::env::var_os("TAOSPG_BLESS").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("messages");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the scripts are there")
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in paths {
        let name = path
            .file_stem()
            .expect("a script has a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("a script is text");
        let script = Script::read(&text);
        let mut run = |asked: Asked, port: u16| {
            Psql::at(port, "postgres").ok(&format!("CREATE DATABASE {name}"));
            let recorded = bless && (asked == Asked::Postgres || script.only_taospg());
            let mode = if recorded { Mode::Record } else { Mode::Compare };
            let answered = script.run(port, &name, asked, mode);
            if recorded {
                std::fs::write(&path, answered).expect("a script can be written");
            } else if answered != text && !bless {
                wrong.push(format!(
                    "{name}: {asked:?} answers otherwise:\n{}",
                    difference(&text, &answered)
                ));
            }
        };
        if let Some(postgres) = postgres.as_ref().filter(|_| !script.only_taospg()) {
            run(Asked::Postgres, postgres.port());
        }
        run(Asked::Taospg, server.port());
        assert!(server.is_running(), "{name} ended the server");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines from the first that differs on.
fn difference(wanted: &str, found: &str) -> String {
    let same = wanted.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
    let some = |text: &str, sign: char| -> String {
        let lines = text.lines().skip(same.saturating_sub(2)).take(12);
        lines.map(|line| format!("  {sign} {line}\n")).collect()
    };
    some(wanted, '-') + &some(found, '+')
}
