//! Garbage on the port never ends the server, and never disturbs a session beside it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use integration_tests::Server;
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

/// Connections of each kind. Enough to meet every kind of message with every kind of damage.
const CONNECTIONS: u64 = 300;

/// A session as a client begins it.
const STARTUP: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// Messages of a client that makes no mistake, for damaging.
fn conversation() -> Vec<u8> {
    let message =
        |kind: u8, body: &[u8]| -> Vec<u8> { [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat() };
    [
        message(b'Q', b"SELECT 1 AS one, 'a' AS a\0"),
        message(b'P', b"s\0SELECT $1::int4 + $2::int4 AS v\0\0\x01\0\0\0\x17"),
        message(b'D', b"Ss\0"),
        message(
            b'B',
            b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x05\0\0\0\x04\0\0\0\x06\0\0",
        ),
        message(b'E', b"p\0\0\0\0\x01"),
        message(b'H', b""),
        message(b'C', b"Pp\0"),
        message(b'S', b""),
        message(
            b'Q',
            b"CREATE TABLE IF NOT EXISTS garbage (ts timestamptz NOT NULL, v integer, PRIMARY KEY (ts))\0",
        ),
        message(b'Q', b"COPY garbage FROM STDIN (FORMAT binary)\0"),
        message(
            b'd',
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\x01\xff\xff",
        ),
        message(b'c', b""),
        message(b'X', b""),
    ]
    .concat()
}

fn send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the server still listens");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket's option");
    // The server may close in the middle of it.
    let _ = socket.write_all(bytes);
    socket
}

/// Everything up to the end of the connection.
fn answers(mut socket: TcpStream) -> Vec<u8> {
    let mut answers = Vec::new();
    if let Err(error) = socket.read_to_end(&mut answers) {
        let silent = error.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!silent, "the server neither answers nor closes");
    }
    answers
}

/// Sends it all, and no more.
fn throw(port: u16, bytes: &[u8]) {
    let socket = send(port, bytes);
    let _ = socket.shutdown(Shutdown::Write);
    answers(socket);
}

#[tokio::test]
async fn the_server_outlives_garbage() {
    let mut server = Server::start();
    let beside = server.connect("postgres").await;
    let sound = conversation();
    let understood = answers(send(server.port(), &[STARTUP, &sound].concat()));
    let copied = understood.windows(7).any(|part| part == b"COPY 1\0");
    assert!(copied, "what is to be damaged is understood as long as it is sound");
    for seed in 0..CONNECTIONS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut noise = vec![0; random.random_range(0..2_000)];
        random.fill_bytes(&mut noise);
        throw(server.port(), &noise);
        throw(server.port(), &[STARTUP, &noise].concat());
        let mut damaged = sound.clone();
        for _ in 0..random.random_range(1..8) {
            let place = random.random_range(0..damaged.len());
            match random.random_range(0..4) {
                0 => damaged[place] = random.random(),
                1 => damaged.truncate(place.max(1)),
                2 => drop(damaged.remove(place)),
                _ => damaged.insert(place, random.random()),
            }
            if damaged.len() < 2 {
                break;
            }
        }
        throw(server.port(), &[STARTUP, &damaged].concat());
        assert!(server.is_running(), "seed {seed} ended the server");
    }
    let answer = beside
        .query_one("SELECT 40 + 2", &[])
        .await
        .expect("the session beside goes on");
    assert_eq!(answer.get::<_, i32>(0), 42);
    let log = server.log();
    assert!(
        !log.contains("panicked") && !log.contains("defect"),
        "a panic was caught and logged:\n{log}"
    );
}
