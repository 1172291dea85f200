//! The server over a real socket, message by message: what drivers rely on, and what attackers try.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, RngCore as _, SeedableRng as _};
use taospg_query::Engine;
use tokio::sync::oneshot;

use crate::config::Settings;
use crate::listener::{self, Front};

/// Far longer than any answer takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Small, so that a message beyond it is quickly made.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
const SESSIONS_MAX: usize = 8;

struct Server {
    runtime: Option<tokio::runtime::Runtime>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    front: Arc<Front>,
    served: Option<tokio::task::JoinHandle<()>>,
    _data_dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let data_dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            data_dir: data_dir.path().to_owned(),
            ..Settings::default()
        };
        let (stop, stopped) = oneshot::channel();
        let (address, served, front) = runtime.block_on(async {
            let listener = listener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let engine = Engine::open(crate::engine_options(&settings)).unwrap();
            let door = Arc::new(crate::startup::Door {
                keeper: crate::authentication::Doorkeeper::new(Vec::new()),
                tls: None,
            });
            let front = Arc::new(Front::new(engine, door, SESSIONS_MAX, MESSAGE_BYTES_MAX));
            let served = tokio::spawn(listener::serve(listener, front.clone(), async {
                // A dropped sender stops the server too.
                let _ = stopped.await;
            }));
            (address, served, front)
        });
        Server {
            runtime: Some(runtime),
            address,
            stop: Some(stop),
            front,
            served: Some(served),
            _data_dir: data_dir,
        }
    }

    fn connect(&self) -> Client {
        let mut client = self.socket();
        client.send(&startup(&[("user", "postgres")]));
        let answers = client.until_ready();
        assert_eq!(answers[0], (b'R', vec![0, 0, 0, 0]));
        client.key = answers
            .iter()
            .find(|(kind, _)| *kind == b'K')
            .map(|(_, body)| body.clone())
            .unwrap();
        client
    }

    fn socket(&self) -> Client {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Client {
            socket,
            key: Vec::new(),
        }
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let (Some(served), Some(runtime)) = (self.served.take(), &self.runtime) {
            runtime.block_on(served).unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            // A test that failed already shall not be hidden by a second panic.
            let _ = runtime.block_on(self.front.engine.close());
            runtime.shutdown_background();
        }
    }
}

type Answer = (u8, Vec<u8>);

struct Client {
    socket: TcpStream,
    key: Vec<u8>,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next message; `None` when the server has closed.
    fn answer(&mut self) -> Option<Answer> {
        let mut header = [0u8; 5];
        self.socket.read_exact(&mut header).ok()?;
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        self.socket.read_exact(&mut body).ok()?;
        Some((header[0], body))
    }

    fn is_answered_within(&self, patience: Duration) -> bool {
        let usual = self.socket.read_timeout().unwrap();
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let is_answered = self.socket.peek(&mut [0]).is_ok();
        self.socket.set_read_timeout(usual).unwrap();
        is_answered
    }

    fn until_ready(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        loop {
            let answer = self.answer().expect("the server closed the connection");
            let ready = answer.0 == b'Z';
            answers.push(answer);
            if ready {
                return answers;
            }
        }
    }

    /// Message types up to ReadyForQuery.
    fn kinds(&mut self) -> String {
        self.until_ready().iter().map(|(kind, _)| char::from(*kind)).collect()
    }

    /// Everything until the server closes.
    fn until_closed(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.answer()).collect()
    }

    fn query(&mut self, sql: &str) -> Vec<Answer> {
        self.send(&query(sql));
        self.until_ready()
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (3u32 << 16).to_be_bytes().to_vec();
    for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend_from_slice(&body);
    bytes
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

/// Text parameters and text results.
fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend_from_slice(&(values.len() as u16).to_be_bytes());
    for value in values {
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(&[0, 0]);
    message(b'B', &body)
}

fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

fn execute(portal: &str, limit: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &limit.to_be_bytes()].concat())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

fn error_field(answer: &Answer, field: u8) -> Option<String> {
    assert!(matches!(answer.0, b'E' | b'N'), "{answer:?}");
    answer
        .1
        .split(|byte| *byte == 0)
        .find(|part| part.first() == Some(&field))
        .map(|part| String::from_utf8(part[1..].to_vec()).unwrap())
}

/// SQLSTATE of the only error among the answers.
fn sqlstate_of(answers: &[Answer]) -> String {
    let errors: Vec<_> = answers.iter().filter(|(kind, _)| *kind == b'E').collect();
    assert_eq!(errors.len(), 1, "{answers:?}");
    error_field(errors[0], b'C').unwrap()
}

fn tags(answers: &[Answer]) -> Vec<String> {
    answers
        .iter()
        .filter(|(kind, _)| *kind == b'C')
        .map(|(_, body)| String::from_utf8(body[..body.len() - 1].to_vec()).unwrap())
        .collect()
}

/// First column of all rows.
fn first_values(answers: &[Answer]) -> Vec<String> {
    answers
        .iter()
        .filter(|(kind, _)| *kind == b'D')
        .map(|(_, body)| {
            let length = u32::from_be_bytes(body[2..6].try_into().unwrap()) as usize;
            String::from_utf8(body[6..6 + length].to_vec()).unwrap()
        })
        .collect()
}

const TABLE: &str = "CREATE TABLE t (ts timestamptz NOT NULL, v int, PRIMARY KEY (ts))";

#[test]
fn a_connection_may_ask_for_encryption_first_and_learns_the_settings() {
    let server = Server::start();
    let mut client = server.socket();
    for code in [80_877_104u32, 80_877_103] {
        client.send(&[&8u32.to_be_bytes()[..], &code.to_be_bytes()].concat());
        let mut answer = [0];
        client.socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"N");
    }
    client.send(&startup(&[
        ("user", "postgres"),
        ("client_encoding", "'utf-8'"),
        ("application_name", "probe"),
    ]));
    let answers = client.until_ready();
    let settings: Vec<String> = answers
        .iter()
        .filter(|(kind, _)| *kind == b'S')
        .map(|(_, body)| String::from_utf8_lossy(body).into_owned())
        .collect();
    for setting in [
        "client_encoding\0UTF8\0",
        "application_name\0probe\0",
        "integer_datetimes\0on\0",
    ] {
        assert!(settings.iter().any(|known| known == setting), "{settings:?}");
    }
    assert_eq!(answers.last().unwrap(), &(b'Z', b"I".to_vec()));
}

#[test]
fn clear_text_behind_a_request_for_encryption_is_not_obeyed() {
    let server = Server::start();
    let mut client = server.socket();
    let mut bytes = [&8u32.to_be_bytes()[..], &80_877_103u32.to_be_bytes()].concat();
    bytes.extend_from_slice(&startup(&[("user", "postgres")]));
    bytes.extend_from_slice(&query("SELECT 1"));
    client.send(&bytes);
    let answers = client.until_closed();
    assert_eq!(answers.len(), 1);
    assert_eq!(error_field(&answers[0], b'S').unwrap(), "FATAL");
    assert_eq!(sqlstate_of(&answers), "08P01");
}

#[test]
fn who_cannot_come_in_is_told_why() {
    let server = Server::start();
    let mut client = server.socket();
    client.send(&startup(&[("user", "postgres"), ("database", "nowhere")]));
    let answers = client.until_closed();
    assert_eq!(sqlstate_of(&answers), "3D000");
    // After the client has proved who it is, as in PostgreSQL.
    assert_eq!(answers[0].0, b'R');
    assert_eq!(
        error_field(&answers[1], b'M').unwrap(),
        "database \"nowhere\" does not exist"
    );

    let mut guests: Vec<Client> = (0..SESSIONS_MAX).map(|_| server.connect()).collect();
    let mut client = server.socket();
    client.send(&startup(&[("user", "postgres")]));
    assert_eq!(sqlstate_of(&client.until_closed()), "53300");
    let mut leaving = guests.pop().unwrap();
    leaving.send(&message(b'X', b""));
    assert!(leaving.until_closed().is_empty());
    drop(leaving);
    server.connect();
}

#[test]
fn newer_protocols_are_talked_down() {
    let server = Server::start();
    let mut client = server.socket();
    let mut bytes = startup(&[("user", "postgres"), ("_pq_.shiny", "1")]);
    bytes[4..8].copy_from_slice(&((3u32 << 16) | 9).to_be_bytes());
    client.send(&bytes);
    let answers = client.until_ready();
    let (kind, body) = &answers[0];
    assert_eq!(*kind, b'v');
    assert_eq!(
        body[..8],
        [&((3u32 << 16) | 2).to_be_bytes()[..], &1u32.to_be_bytes()].concat()
    );
    let (_, key) = answers.iter().find(|(kind, _)| *kind == b'K').unwrap();
    assert_eq!(key.len(), 4 + 32, "3.2 has long keys");
}

#[test]
fn simple_queries_answer_statement_by_statement() {
    let server = Server::start();
    let mut client = server.connect();
    let answers = client.query("SELECT 1 AS one; SELECT 'a' AS a");
    assert_eq!(first_values(&answers), ["1", "a"]);
    assert_eq!(tags(&answers), ["SELECT 1", "SELECT 1"]);
    client.send(&query(" ; -- nothing"));
    assert_eq!(client.kinds(), "IZ");
    // An error ends the whole message; the session goes on.
    let answers = client.query("SELECT 1; SELEKT; SELECT 2");
    assert_eq!(sqlstate_of(&answers), "42601");
    assert_eq!(client.query("SELECT 3").last().unwrap().1, b"I");
}

#[test]
fn statements_of_one_message_are_one_transaction() {
    let server = Server::start();
    let mut client = server.connect();
    client.query(TABLE);
    let answers = client.query("INSERT INTO t VALUES ('2026-01-01', 1); SELECT * FROM missing");
    assert_eq!(sqlstate_of(&answers), "42P01");
    assert_eq!(first_values(&client.query("SELECT count(*) FROM t")), ["0"]);
    let answers = client.query("INSERT INTO t VALUES ('2026-01-01', 1); INSERT INTO t VALUES ('2026-01-02', 2)");
    assert_eq!(tags(&answers), ["INSERT 0 1", "INSERT 0 1"]);
    assert_eq!(first_values(&client.query("SELECT count(*) FROM t")), ["2"]);
    // The status byte tells of blocks and of their failure.
    assert_eq!(client.query("BEGIN").last().unwrap().1, b"T");
    assert_eq!(client.query("SELECT * FROM missing").last().unwrap().1, b"E");
    assert_eq!(sqlstate_of(&client.query("SELECT 1")), "25P02");
    assert_eq!(client.query("ROLLBACK").last().unwrap().1, b"I");
}

#[test]
fn the_extended_protocol_prepares_binds_and_executes() {
    let server = Server::start();
    let mut client = server.connect();
    client.query(TABLE);
    let insert = "INSERT INTO t VALUES ($1, $2)";
    client.send(&[parse("ins", insert), describe(b'S', "ins"), sync()].concat());
    let answers = client.until_ready();
    assert_eq!(
        answers.iter().map(|(kind, _)| char::from(*kind)).collect::<String>(),
        "1tnZ"
    );
    assert_eq!(
        answers[1].1,
        [&2u16.to_be_bytes()[..], &1184u32.to_be_bytes(), &23u32.to_be_bytes()].concat()
    );
    let mut train = Vec::new();
    for day in 1..=9 {
        let day_text = format!("2026-01-0{day}");
        train.extend_from_slice(&bind("", "ins", &[&day_text, &day.to_string()]));
        train.extend_from_slice(&execute("", 0));
    }
    train.extend_from_slice(&sync());
    client.send(&train);
    assert_eq!(client.kinds(), format!("{}Z", "2C".repeat(9)));
    // The unnamed statement outlives Sync; its results come in text.
    client.send(&[parse("", "SELECT v FROM t ORDER BY ts"), sync()].concat());
    assert_eq!(client.kinds(), "1Z");
    client.send(&[bind("", "", &[]), describe(b'P', ""), execute("", 0), sync()].concat());
    let answers = client.until_ready();
    assert_eq!(first_values(&answers), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(tags(&answers), ["SELECT 9"]);
    // Closed, it is gone; closing again is no error.
    let close = message(b'C', b"Sins\0");
    client.send(&[close.clone(), close, bind("", "ins", &["a", "1"]), sync()].concat());
    assert_eq!(sqlstate_of(&client.until_ready()), "26000");
}

#[test]
fn row_limits_suspend_a_portal() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("BEGIN");
    let sql = "SELECT * FROM (VALUES (1), (2), (3)) AS v (x) ORDER BY x";
    client.send(&[parse("", sql), bind("p", "", &[]), execute("p", 2), sync()].concat());
    assert_eq!(client.kinds(), "12DDsZ");
    // It lives on across Sync within the block.
    client.send(&[execute("p", 2), execute("p", 2), sync()].concat());
    let answers = client.until_ready();
    assert_eq!(tags(&answers), ["SELECT 1", "SELECT 0"]);
    client.query("COMMIT");
    client.send(&[execute("p", 2), sync()].concat());
    assert_eq!(sqlstate_of(&client.until_ready()), "34000");
}

#[test]
fn after_an_error_everything_up_to_sync_is_skipped() {
    let server = Server::start();
    let mut client = server.connect();
    client.query(TABLE);
    let train = [
        parse("ins", "INSERT INTO t VALUES ($1, 1)"),
        bind("", "ins", &["2026-01-01"]),
        execute("", 0),
        parse("", "SELEKT"),
        bind("", "ins", &["2026-01-02"]),
        execute("", 0),
        query("INSERT INTO t VALUES ('2026-01-03', 1)"),
        sync(),
    ];
    client.send(&train.concat());
    assert_eq!(client.kinds(), "12CEZ");
    assert_eq!(
        first_values(&client.query("SELECT count(*) FROM t")),
        ["0"],
        "all of it was one transaction"
    );
    // An error is told at once, without Sync.
    client.send(&parse("", "SELEKT"));
    assert_eq!(client.answer().unwrap().0, b'E');
    client.send(&sync());
    assert_eq!(client.kinds(), "Z");
}

#[test]
fn flush_brings_answers_without_ending_anything() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(&[parse("s", "SELECT 1 AS x"), describe(b'S', "s"), message(b'H', b"")].concat());
    for kind in [b'1', b't', b'T'] {
        assert_eq!(client.answer().unwrap().0, kind);
    }
    client.send(&[bind("", "s", &[]), execute("", 0), sync()].concat());
    assert_eq!(client.kinds(), "2DCZ");
}

#[test]
fn copy_takes_rows_and_gives_them() {
    let server = Server::start();
    let mut client = server.connect();
    client.query(TABLE);
    client.send(&query("COPY t FROM STDIN"));
    assert_eq!(client.answer().unwrap(), (b'G', vec![0, 0, 2, 0, 0, 0, 0]));
    // Rows may begin and end anywhere in the pieces.
    client.send(
        &[
            message(b'd', b"2026-01-01\t1\n2026-"),
            message(b'd', b"01-02\t2\n"),
            message(b'c', b""),
        ]
        .concat(),
    );
    let answers = client.until_ready();
    assert_eq!(tags(&answers), ["COPY 2"]);
    client.send(&query("COPY (SELECT v FROM t ORDER BY ts) TO STDOUT"));
    let answers = client.until_ready();
    let kinds: String = answers.iter().map(|(kind, _)| char::from(*kind)).collect();
    assert_eq!(kinds, "HddcCZ");
    assert_eq!((&answers[1].1[..], &answers[2].1[..]), (&b"1\n"[..], &b"2\n"[..]));
    // A client that gives up, and what it still had on the way.
    client.send(&query("COPY t FROM STDIN"));
    client.send(
        &[
            message(b'd', b"2026-01-03\t3\n"),
            message(b'f', b"enough\0"),
            message(b'd', b"x"),
        ]
        .concat(),
    );
    assert_eq!(client.answer().unwrap().0, b'G');
    assert_eq!(sqlstate_of(&client.until_ready()), "57014");
    client.send(
        &[
            query("COPY t FROM STDIN"),
            message(b'd', b"never\tmind\n"),
            message(b'd', b"x"),
            message(b'c', b""),
        ]
        .concat(),
    );
    assert_eq!(client.answer().unwrap().0, b'G');
    let answers = client.until_ready();
    assert!(error_field(&answers[0], b'W').unwrap().contains("line 1"));
    assert_eq!(first_values(&client.query("SELECT count(*) FROM t")), ["2"]);
}

/// A statement that would run for days: ten values joined with themselves twelve times over.
const LONG: &str = "WITH v (x) AS (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)) SELECT sum(a.x + l.x) \
                    FROM v a, v b, v c, v d, v e, v f, v g, v h, v i, v j, v k, v l";

#[test]
fn a_cancel_request_with_the_right_key_ends_the_statement() {
    let server = Server::start();
    let mut client = server.connect();
    let request = |key: &[u8]| {
        [
            &(12 + key.len() as u32 - 4).to_be_bytes()[..],
            &80_877_102u32.to_be_bytes(),
            key,
        ]
        .concat()
    };
    let ask = |key: &[u8]| {
        let mut messenger = server.socket();
        messenger.send(&request(key));
        assert!(messenger.until_closed().is_empty());
    };
    client.send(&query(LONG));
    let mut wrong = client.key.clone();
    *wrong.last_mut().unwrap() ^= 1;
    ask(&wrong);
    ask(&client.key);
    // A request that came before the statement ran had no effect.
    while !client.is_answered_within(Duration::from_millis(100)) {
        ask(&client.key);
    }
    assert_eq!(sqlstate_of(&client.until_ready()), "57014");
    assert_eq!(first_values(&client.query("SELECT 1")), ["1"]);
}

#[test]
fn statement_timeout_ends_the_statement() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("SET statement_timeout = '50ms'");
    assert_eq!(sqlstate_of(&client.query(LONG)), "57014");
    assert_eq!(first_values(&client.query("SELECT 1")), ["1"]);
}

#[test]
fn a_stopping_server_says_goodbye() {
    let mut server = Server::start();
    let mut client = server.connect();
    server.stop();
    assert_eq!(sqlstate_of(&client.until_closed()), "57P01");
}

#[test]
fn a_broken_message_ends_its_connection_with_a_reason() {
    let server = Server::start();
    let huge = [&b"Q"[..], &(MESSAGE_BYTES_MAX as u32 + 5).to_be_bytes()].concat();
    for bad in [
        b"!\0\0\0\x04".to_vec(),
        b"Q\0\0\0\x03".to_vec(),
        huge,
        message(b'p', b"secret\0"),
    ] {
        let mut client = server.connect();
        client.send(&[parse("", "SELECT 1"), bad.clone()].concat());
        let answers = client.until_closed();
        let last = answers.last().unwrap_or_else(|| panic!("no answer to {bad:?}"));
        assert_eq!(error_field(last, b'S').unwrap(), "FATAL", "{bad:?}");
        assert_eq!(error_field(last, b'C').unwrap(), "08P01", "{bad:?}");
    }
    server.connect();
}

#[test]
fn a_broken_body_fails_its_statement_only() {
    let server = Server::start();
    let mut client = server.connect();
    for bad in [
        message(b'P', b"name\0SELECT 1\0\xff\xff"),
        // Bind: a parameter that reaches beyond its message.
        message(b'B', b"\0\0\0\0\0\0\0\0\x01\0\0\x01\0"),
        message(b'D', b"?\0"),
    ] {
        client.send(&[parse("", "SELECT 1"), bad.clone(), sync()].concat());
        assert_eq!(sqlstate_of(&client.until_ready()), "08P01", "{bad:?}");
    }
    client.send(&message(b'Q', b"no zero"));
    assert_eq!(sqlstate_of(&client.until_ready()), "08P01");
    assert_eq!(first_values(&client.query("SELECT 1")), ["1"]);
}

/// Garbage and damaged messages: whatever comes, the server neither panics nor stops answering others.
#[test]
fn garbage_never_hurts_the_server() {
    const ROUNDS: u64 = 150;
    let server = Server::start();
    server.connect().query(TABLE);
    for seed in 0..ROUNDS {
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let mut client = server.socket();
        let mut bytes = Vec::new();
        if seed % 3 == 0 {
            bytes.resize(random.random_range(1..500), 0);
            random.fill_bytes(&mut bytes);
        } else {
            if seed % 3 == 1 {
                bytes.extend_from_slice(&startup(&[("user", "postgres")]));
            }
            let untouched = bytes.len();
            for _ in 0..random.random_range(1..20) {
                bytes.extend_from_slice(&random_message(&mut random));
            }
            for _ in 0..random.random_range(0..4) {
                let place = random.random_range(untouched..bytes.len());
                bytes[place] = random.random();
            }
        }
        // The server may close while we still write or read.
        let _ = client.socket.write_all(&bytes);
        let _ = client.socket.shutdown(std::net::Shutdown::Write);
        let mut answers = Vec::new();
        let _ = client.socket.read_to_end(&mut answers);
        assert_eq!(server.front.panics(), 0, "seed {seed}");
    }
    assert_eq!(first_values(&server.connect().query("SELECT 1")), ["1"]);
}

fn random_message(random: &mut impl rand::Rng) -> Vec<u8> {
    match random.random_range(0..14) {
        0 => query("SELECT 1"),
        1 => query("INSERT INTO t VALUES ('2026-01-01', 1)"),
        2 => parse("", "SELECT $1::int"),
        3 => parse("n", "INSERT INTO t VALUES ($1, $2)"),
        4 => bind("", "", &["1"]),
        5 => bind("p", "n", &["2026-01-01", "7"]),
        6 => describe(b'S', "n"),
        7 => describe(b'P', ""),
        8 => execute("", 1),
        9 => execute("p", 0),
        10 => sync(),
        11 => query("COPY t FROM STDIN"),
        12 => message(b'd', b"2026-01-01\t1\n"),
        _ => message([b'c', b'f', b'H', b'C', b'F'][random.random_range(0..5)], b""),
    }
}
