//! Real sensor data gives the same answers from memory, from files, after kill -9 and when it arrives in any order.

use std::fmt::Write as _;
use std::io::Read;
use std::process::{Command, Stdio};

use integration_tests::{Psql, Server};
use rand::SeedableRng;
use rand::seq::SliceRandom;

const QUESTIONS: &str = "
    SELECT count(*) FROM temperatures;
    SELECT tbname, count(*), round(avg(celsius)::numeric, 6) FROM temperatures GROUP BY tbname ORDER BY tbname;
    SELECT celsius FROM temperatures WHERE tbname = 'b01_western_maine_shelf' AND ts = '2017-03-21 16:30+00';
    SELECT time_bucket('1 day', ts)::date AS day, round((max(celsius) - min(celsius))::numeric, 2) AS range
      FROM temperatures WHERE tbname = 'b01_western_maine_shelf' GROUP BY day ORDER BY range DESC LIMIT 3;
";

const ANSWERS: &str = "\
36743
b01_western_maine_shelf|19225|10.589706
san_francisco|8759|13.846764
seattle|8759|11.126656
4.289
2016-05-29|2.94
2016-06-24|2.90
2016-08-09|2.88
";

const AS_SUPERTABLE: &str =
    "CREATE STABLE temperatures (ts TIMESTAMP, celsius DOUBLE) TAGS (site VARCHAR(64), medium VARCHAR(8));";

/// The file's lines, header first.
fn lines() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/temperatures.csv.gz");
    let gunzip = Command::new("gunzip")
        .args(["--stdout", path])
        .stdout(Stdio::piped())
        .spawn();
    let mut text = String::new();
    let mut output = gunzip.expect("gunzip runs").stdout.expect("its output is piped");
    output.read_to_string(&mut text).expect("the file is text");
    text.lines().map(str::to_owned).collect()
}

fn load(server: &Server, psql: &Psql, columns: &str, lines: &[String]) {
    let path = server.directory().join("temperatures.csv");
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{line}").expect("a string takes text");
    }
    std::fs::write(&path, text).expect("the test's directory takes files");
    let answer = psql.ok(&format!(
        "\\copy temperatures {columns} FROM '{}' CSV HEADER\n",
        path.display()
    ));
    assert_eq!(answer, "COPY 36744\n");
}

#[test]
fn answers_are_the_same_from_memory_from_files_and_after_kill() {
    let mut server = Server::start();
    let psql = Psql::new(&server, "postgres");
    psql.ok(AS_SUPERTABLE);
    load(&server, &psql, "(tbname, ts, celsius, site, medium)", &lines());
    assert_eq!(psql.ok(QUESTIONS), ANSWERS, "from memory");

    server.kill_and_start_again();
    let psql = Psql::new(&server, "postgres");
    assert_eq!(psql.ok(QUESTIONS), ANSWERS, "after kill -9, from the log");

    psql.ok("CHECKPOINT;");
    assert_eq!(psql.ok(QUESTIONS), ANSWERS, "from files");

    server.kill_and_start_again();
    let psql = Psql::new(&server, "postgres");
    assert_eq!(psql.ok(QUESTIONS), ANSWERS, "from files after kill -9");
    assert_eq!(server.stop(), Some(0), "a graceful stop");
}

#[test]
fn arrival_order_does_not_matter() {
    // All but the one reading that comes twice: of those the later is the valid one, so its order is part of the data.
    let all = lines();
    let (header, readings) = all.split_first().expect("the file has lines");
    let (mut twice, mut shuffled): (Vec<String>, Vec<String>) = readings
        .iter()
        .cloned()
        .partition(|line| line.contains("2017-03-21T16:30:00Z"));
    shuffled.shuffle(&mut rand::rngs::StdRng::seed_from_u64(20_170_321));
    let mut file = vec![header.clone()];
    file.append(&mut shuffled);
    file.append(&mut twice);

    let mut server = Server::start();
    let psql = Psql::new(&server, "postgres");
    psql.ok(AS_SUPERTABLE);
    load(&server, &psql, "(tbname, ts, celsius, site, medium)", &file);
    assert_eq!(psql.ok(QUESTIONS), ANSWERS, "from memory");
    psql.ok("CHECKPOINT;");
    assert_eq!(psql.ok(QUESTIONS), ANSWERS, "from files");
    server.kill_and_start_again();
    assert_eq!(Psql::new(&server, "postgres").ok(QUESTIONS), ANSWERS, "after kill -9");
}

#[test]
fn the_plain_postgres_form_holds_the_same_data() {
    let server = Server::start();
    let psql = Psql::new(&server, "postgres");
    psql.ok(
        "CREATE TABLE temperatures (ts timestamptz NOT NULL, celsius double precision, site text, medium text,
                                        PRIMARY KEY (site, medium, ts));",
    );
    load(&server, &psql, "(tbname, ts, celsius, site, medium)", &lines());
    assert_eq!(psql.ok(QUESTIONS), ANSWERS);
}
