//! Message-level scripts (`messages/*.txt`): what a client sends, message by message, and what it must be answered.
//!
//! ```text
//! # what it shows
//! > Parse "s" "SELECT $1::int" []        sent; consecutive ones go out together
//! < ParseComplete                        the answers, in order and complete
//! ```
//! Lines beginning with `! only taospg:` say why PostgreSQL is not asked. Without a Startup of its own a script begins logged in.
//! The answers are PostgreSQL's, recorded from it (TAOSPG_BLESS=1). Taospg has to give the same, unless lines beginning with `~ ` follow them,
//! under a comment that says why: then it has to give those.

mod answers;
mod sending;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use answers::Answers;
use sending::Sending;

/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so long a silence nothing more comes, when recording; and a statement that should be canceled is canceled again.
const SILENCE: Duration = Duration::from_millis(250);

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    Postgres,
    Taospg,
}

/// A script, line by line.
pub struct Script {
    lines: Vec<String>,
}

/// Whether the answers are compared with those that are written, or written down.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Compare,
    Record,
}

impl Script {
    pub fn read(text: &str) -> Script {
        Script {
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// Why PostgreSQL gives other answers, where it does.
    pub fn only_taospg(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with("! only taospg:"))
    }

    /// Runs it; returns the script with the answers that came.
    pub fn run(&self, port: u16, database: &str, asked: Asked, mode: Mode) -> String {
        let mut client = Client::connect(port);
        if !self.begins_by_itself() {
            client.log_in(database);
        }
        let mut written = String::new();
        let mut put = |line: &str| {
            written.push_str(line);
            written.push('\n');
        };
        let mut lines = self.lines.iter().peekable();
        while let Some(line) = lines.next() {
            put(line);
            let Some(message) = line.strip_prefix("> ") else {
                continue;
            };
            client.send(message, database);
            let mut last = message;
            while let Some(more) = lines.peek().and_then(|line| line.strip_prefix("> ")) {
                // What is recorded is easier to read when each answer follows its question.
                if mode == Mode::Record && asks_for_answers(last) && !more.starts_with("Cancel") {
                    break;
                }
                put(&format!("> {more}"));
                client.send(more, database);
                last = more;
                lines.next();
            }
            client.flush();
            let mut block = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("> ")) {
                block.push(line.as_str());
            }
            let differs = block.iter().any(|line| line.starts_with("~ "));
            let sign = if differs && asked == Asked::Taospg { "~ " } else { "< " };
            let expected = block.iter().filter(|line| line.starts_with(sign)).count();
            let count = if mode == Mode::Record { None } else { Some(expected) };
            let mut answers = client.answers(count);
            // Each answer in the place of the one that was there, and what is more behind them.
            let place = block
                .iter()
                .rposition(|line| line.starts_with(sign))
                .map_or(0, |place| place + 1);
            answers.reverse();
            for (index, line) in block.iter().enumerate() {
                if index == place {
                    answers
                        .drain(..)
                        .rev()
                        .for_each(|answer| put(&format!("{sign}{answer}")));
                }
                match line.starts_with(sign) {
                    true => answers
                        .pop()
                        .into_iter()
                        .for_each(|answer| put(&format!("{sign}{answer}"))),
                    false => put(line),
                }
            }
            answers
                .drain(..)
                .rev()
                .for_each(|answer| put(&format!("{sign}{answer}")));
        }
        for answer in client.rest() {
            put(&format!("< {answer}"));
        }
        written
    }

    fn begins_by_itself(&self) -> bool {
        let first = self.lines.iter().find_map(|line| line.strip_prefix("> "));
        first.is_some_and(|message| {
            ["Startup", "SSLRequest", "GSSENCRequest", "RawStartup"]
                .iter()
                .any(|kind| message.starts_with(kind))
        })
    }
}

fn ended(answers: &[String]) -> bool {
    answers.last().is_some_and(|answer| answer.starts_with("ReadyForQuery"))
}

fn asks_for_answers(message: &str) -> bool {
    let kinds = [
        "Query",
        "Sync",
        "Flush",
        "Startup",
        "Cancel",
        "CopyDone",
        "CopyFail",
        "SSLRequest",
        "GSSENCRequest",
        "Raw",
    ];
    kinds.iter().any(|kind| message.starts_with(kind))
}

struct Client {
    port: u16,
    socket: TcpStream,
    unsent: Vec<u8>,
    answers: Answers,
    /// The last that was sent is a request to cancel: the answers that come next are its statement's.
    canceling: bool,
}

impl Client {
    fn connect(port: u16) -> Client {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the server is there");
        socket.set_nodelay(true).expect("a socket's option");
        Client {
            port,
            socket,
            unsent: Vec::new(),
            answers: Answers::default(),
            canceling: false,
        }
    }

    fn log_in(&mut self, database: &str) {
        self.send("Startup 3.0", database);
        self.flush();
        let mut seen = Vec::new();
        while seen
            .last()
            .is_none_or(|answer: &String| !answer.starts_with("ReadyForQuery"))
        {
            let answer = self.answers(Some(1)).pop().expect("an answer or the end");
            assert!(
                !answer.starts_with("ErrorResponse") && answer != "closed",
                "login: {answer}"
            );
            seen.push(answer);
        }
    }

    fn send(&mut self, message: &str, database: &str) {
        self.canceling = false;
        match Sending::read(message, database) {
            Sending::Bytes(bytes) => self.unsent.extend_from_slice(&bytes),
            Sending::OneByteAnswer(bytes) => {
                self.unsent.extend_from_slice(&bytes);
                self.answers.one_byte_next();
            }
            Sending::Cancel => {
                self.flush();
                // What is canceled while it is still planned says nothing of its rows.
                std::thread::sleep(SILENCE);
                self.cancel();
                self.canceling = true;
            }
        }
    }

    fn cancel(&self) {
        let mut other = TcpStream::connect(("127.0.0.1", self.port)).expect("the server is there");
        other
            .write_all(&sending::cancel_request(self.answers.key()))
            .expect("a cancel request is sent");
        let _ = other.read(&mut [0]);
    }

    fn flush(&mut self) {
        // The server may have closed already, which the answers will tell.
        let _ = self.socket.write_all(&std::mem::take(&mut self.unsent));
    }

    /// The next answers: so many, or all until it is silent. The last one may be `closed`.
    fn answers(&mut self, count: Option<usize>) -> Vec<String> {
        let canceling = std::mem::take(&mut self.canceling);
        let patience = if count.is_some() && !canceling {
            PATIENCE
        } else {
            SILENCE
        };
        self.socket.set_read_timeout(Some(patience)).expect("a socket's option");
        let deadline = Instant::now() + PATIENCE;
        let mut found: Vec<String> = Vec::new();
        while count.is_none_or(|count| found.len() < count) {
            if let Some(answer) = self.answers.next() {
                found.push(answer);
                continue;
            }
            let mut part = [0; 16 * 1024];
            match self.socket.read(&mut part) {
                Ok(0) => {
                    found.push("closed".into());
                    break;
                }
                Ok(bytes) => self.answers.take(&part[..bytes]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    found.push("closed".into());
                    break;
                }
                // A request that came before its statement ran had no effect.
                Err(_) if canceling && !ended(&found) && Instant::now() < deadline => self.cancel(),
                Err(_) if count.is_some() => {
                    found.push("nothing more, for a long time".into());
                    break;
                }
                Err(_) => break,
            }
        }
        found
    }

    /// What came that nobody waited for.
    fn rest(mut self) -> Vec<String> {
        let _ = self.socket.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        loop {
            match self.answers(Some(1)).pop() {
                Some(answer) if answer != "closed" => rest.push(answer),
                _ => return rest,
            }
        }
    }
}
