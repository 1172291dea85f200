//! A client that costs almost nothing: sends messages encoded beforehand and looks only for errors and the end of the answer. Drivers spend
//! more on a row than the server does, and would be what is measured.
//!
//! Clear text only: no TLS. Proves a password by SCRAM-SHA-256, or sends it where the server asks for it.

use std::io::{Error, ErrorKind, Result};

use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Who connects where.
#[derive(Clone, Debug)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<String>,
}

pub struct Wire {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    buffer: Vec<u8>,
}

/// A message with its length filled in.
pub fn message(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// Bind of the unnamed portal to statement `name` with parameters as text and results in binary form, then Execute and Sync.
pub fn ask_prepared(name: &str, parameters: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'B', |out| {
        push_string(out, "");
        push_string(out, name);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
        for parameter in parameters {
            out.extend_from_slice(&(parameter.len() as u32).to_be_bytes());
            out.extend_from_slice(parameter.as_bytes());
        }
        out.extend_from_slice(&[0, 1, 0, 1]);
    });
    push_execute(&mut out);
    message(&mut out, b'S', |_| {});
    out
}

fn push_execute(out: &mut Vec<u8>) {
    message(out, b'E', |out| {
        push_string(out, "");
        out.extend_from_slice(&[0; 4]);
    });
}

/// Bind of the unnamed portal to statement `name`, every parameter and result binary, then Execute.
pub fn push_bind_execute(out: &mut Vec<u8>, name: &str, parameters: u16, fields: impl FnOnce(&mut Vec<u8>)) {
    message(out, b'B', |out| {
        push_string(out, "");
        push_string(out, name);
        out.extend_from_slice(&[0, 1, 0, 1]);
        out.extend_from_slice(&parameters.to_be_bytes());
        fields(out);
        out.extend_from_slice(&[0, 1, 0, 1]);
    });
    push_execute(out);
}

/// A connection's answer: what arrived until ReadyForQuery.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    pub rows: u64,
    pub bytes: u64,
}

impl Wire {
    pub async fn connect(address: &Address, database: &str) -> Result<Wire> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let mut wire = Wire {
            read,
            write,
            buffer: Vec::new(),
        };
        let mut startup = vec![0; 4];
        startup.extend_from_slice(&196_608_u32.to_be_bytes()); // protocol 3.0
        for text in ["user", &address.user, "database", database, "TimeZone", "UTC"] {
            push_string(&mut startup, text);
        }
        startup.push(0);
        let length = startup.len() as u32;
        startup[..4].copy_from_slice(&length.to_be_bytes());
        wire.write.write_all(&startup).await?;
        wire.authenticate(address).await?;
        wire.until(b'Z', |_, _| {}).await?;
        Ok(wire)
    }

    /// Answers the server's questions until it says AuthenticationOk.
    async fn authenticate(&mut self, address: &Address) -> Result<()> {
        let password = address.password.as_deref().unwrap_or_default();
        let mut scram: Option<ScramSha256> = None;
        loop {
            let mut request = Vec::new();
            self.until(b'R', |kind, body| {
                if kind == b'R' {
                    request = body.to_vec();
                }
            })
            .await?;
            let (code, data) = request
                .split_at_checked(4)
                .ok_or_else(|| bad("a short authentication request"))?;
            match u32::from_be_bytes([code[0], code[1], code[2], code[3]]) {
                0 => return Ok(()),
                3 => self.send_password(|out| push_string(out, password)).await?,
                10 => {
                    let started = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    let first = scram.insert(started).message().to_vec();
                    self.send_password(|out| {
                        push_string(out, SCRAM_SHA_256);
                        out.extend_from_slice(&(first.len() as u32).to_be_bytes());
                        out.extend_from_slice(&first);
                    })
                    .await?;
                }
                11 => {
                    let scram = scram.as_mut().ok_or_else(|| bad("SCRAM went on before it began"))?;
                    scram.update(data)?;
                    let proof = scram.message().to_vec();
                    self.send_password(|out| out.extend_from_slice(&proof)).await?;
                }
                12 => scram
                    .as_mut()
                    .ok_or_else(|| bad("SCRAM ended before it began"))?
                    .finish(data)?,
                other => return Err(bad(&format!("authentication method {other} is not known here"))),
            }
        }
    }

    async fn send_password(&mut self, body: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut out = Vec::new();
        message(&mut out, b'p', body);
        self.write.write_all(&out).await
    }

    /// A simple query; its rows are counted, not kept.
    pub async fn query(&mut self, sql: &str) -> Result<Answer> {
        let mut out = Vec::with_capacity(sql.len() + 6);
        message(&mut out, b'Q', |out| push_string(out, sql));
        self.send(&out).await
    }

    /// A simple query with its rows as text; `None` is NULL.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut out = Vec::with_capacity(sql.len() + 6);
        message(&mut out, b'Q', |out| push_string(out, sql));
        self.write.write_all(&out).await?;
        let mut rows = Vec::new();
        self.until(b'Z', |kind, body| {
            if kind == b'D' {
                rows.push(text_fields(body));
            }
        })
        .await?;
        Ok(rows)
    }

    /// Sends messages that end in a Sync or are one Query.
    pub async fn send(&mut self, messages: &[u8]) -> Result<Answer> {
        let write = &mut self.write;
        let mut rows = 0;
        // Reading while writing: the server may answer before it has read everything.
        let mut received = Received::new(&mut self.buffer);
        let (sent, bytes) = tokio::join!(
            write.write_all(messages),
            received.until(&mut self.read, b'Z', |kind, _| rows += u64::from(kind == b'D'))
        );
        sent?;
        Ok(Answer { rows, bytes: bytes? })
    }

    /// A whole COPY from ready CopyData messages.
    pub async fn copy(&mut self, statement: &str, data: &[u8]) -> Result<()> {
        let mut out = Vec::new();
        message(&mut out, b'Q', |out| push_string(out, statement));
        self.write.write_all(&out).await?;
        self.until(b'G', |_, _| {}).await?;
        self.write.write_all(data).await?;
        out.clear();
        message(&mut out, b'c', |_| {});
        self.write.write_all(&out).await?;
        self.until(b'Z', |_, _| {}).await?;
        Ok(())
    }

    async fn until(&mut self, kind: u8, each: impl FnMut(u8, &[u8])) -> Result<u64> {
        Received::new(&mut self.buffer).until(&mut self.read, kind, each).await
    }
}

fn bad(text: &str) -> Error {
    Error::new(ErrorKind::InvalidData, text.to_owned())
}

/// The fields of a DataRow in text form.
fn text_fields(body: &[u8]) -> Vec<Option<String>> {
    let mut fields = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, after)) = rest.split_at_checked(4) {
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let (field, after) = after.split_at_checked(length.max(0) as usize).unwrap_or((after, &[]));
        fields.push((length >= 0).then(|| String::from_utf8_lossy(field).into_owned()));
        rest = after;
    }
    fields
}

/// `42P01: relation "x" does not exist` of an ErrorResponse's fields.
fn error_text(body: &[u8]) -> String {
    let field = |wanted: u8| {
        body.split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&wanted))
            .map_or_else(String::new, |field| String::from_utf8_lossy(&field[1..]).into_owned())
    };
    format!("{}: {}", field(b'C'), field(b'M'))
}

/// Messages as they arrive.
struct Received<'a> {
    buffer: &'a mut Vec<u8>,
}

impl<'a> Received<'a> {
    fn new(buffer: &'a mut Vec<u8>) -> Received<'a> {
        Received { buffer }
    }

    /// Reads until a message of this kind has come, showing each on the way; returns the bytes read. An ErrorResponse is an error once
    /// ReadyForQuery followed, or the end of the connection.
    async fn until(&mut self, read: &mut OwnedReadHalf, kind: u8, mut each: impl FnMut(u8, &[u8])) -> Result<u64> {
        let mut failure: Option<String> = None;
        let mut bytes = 0;
        loop {
            let mut at = 0;
            while let Some(header) = self.buffer.get(at..at + 5) {
                let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
                let found = header[0];
                let Some(body) = self.buffer.get(at + 5..at + 1 + length.max(4)) else {
                    break;
                };
                if found == b'E' && failure.is_none() {
                    failure = Some(error_text(body));
                }
                each(found, body);
                at += 1 + length.max(4);
                if found == kind || found == b'Z' {
                    self.buffer.drain(..at);
                    return match failure {
                        Some(text) => Err(Error::new(ErrorKind::InvalidData, text)),
                        None => Ok(bytes),
                    };
                }
            }
            self.buffer.drain(..at);
            let before = self.buffer.len();
            self.buffer.resize(before + 65_536, 0);
            let count = read.read(&mut self.buffer[before..]).await?;
            self.buffer.truncate(before + count);
            bytes += count as u64;
            if count == 0 {
                return Err(Error::new(
                    ErrorKind::UnexpectedEof,
                    failure.unwrap_or_else(|| "the server closed the connection".into()),
                ));
            }
        }
    }
}
