//! A client that costs almost nothing: sends messages encoded beforehand and looks only for errors and the end of the answer. Drivers spend
//! more on a row than the server does, and would be what is measured.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

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
    message(out, b'E', |out| {
        push_string(out, "");
        out.extend_from_slice(&[0; 4]);
    });
}

impl Wire {
    pub async fn connect(port: u16, user: &str, database: &str) -> Result<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let mut wire = Wire {
            read,
            write,
            buffer: Vec::new(),
        };
        let mut startup = vec![0; 4];
        startup.extend_from_slice(&196_608_u32.to_be_bytes()); // protocol 3.0
        for text in ["user", user, "database", database] {
            push_string(&mut startup, text);
        }
        startup.push(0);
        let length = startup.len() as u32;
        startup[..4].copy_from_slice(&length.to_be_bytes());
        wire.write.write_all(&startup).await?;
        wire.until(b'Z').await?;
        Ok(wire)
    }

    /// A simple query; returns the bytes of its answer.
    pub async fn query(&mut self, sql: &str) -> Result<usize> {
        let mut out = Vec::with_capacity(sql.len() + 6);
        message(&mut out, b'Q', |out| push_string(out, sql));
        self.send(&out).await
    }

    /// Sends messages that end in a Sync or are one Query; returns the bytes of the answer.
    pub async fn send(&mut self, messages: &[u8]) -> Result<usize> {
        let write = &mut self.write;
        // Reading while writing: the server may answer before it has read everything.
        let mut received = Received::new(&mut self.buffer);
        let (sent, answer) = tokio::join!(write.write_all(messages), received.until(&mut self.read, b'Z'));
        sent?;
        answer
    }

    /// A whole COPY from ready CopyData messages.
    pub async fn copy(&mut self, statement: &str, data: &[u8]) -> Result<()> {
        let mut out = Vec::new();
        message(&mut out, b'Q', |out| push_string(out, statement));
        self.write.write_all(&out).await?;
        self.until(b'G').await?;
        self.write.write_all(data).await?;
        out.clear();
        message(&mut out, b'c', |_| {});
        self.write.write_all(&out).await?;
        self.until(b'Z').await?;
        Ok(())
    }

    async fn until(&mut self, kind: u8) -> Result<usize> {
        Received::new(&mut self.buffer).until(&mut self.read, kind).await
    }
}

/// Messages as they arrive.
struct Received<'a> {
    buffer: &'a mut Vec<u8>,
}

impl<'a> Received<'a> {
    fn new(buffer: &'a mut Vec<u8>) -> Received<'a> {
        Received { buffer }
    }

    /// Reads until a message of this kind has come, returning the bytes read; an ErrorResponse is an error once ReadyForQuery followed.
    async fn until(&mut self, read: &mut OwnedReadHalf, kind: u8) -> Result<usize> {
        let mut failure: Option<String> = None;
        let mut bytes = 0;
        loop {
            let mut at = 0;
            while let Some(header) = self.buffer.get(at..at + 5) {
                let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
                let found = header[0];
                let Some(body) = self.buffer.get(at + 5..at + 1 + length) else {
                    break;
                };
                if found == b'E' && failure.is_none() {
                    failure = Some(String::from_utf8_lossy(body).replace('\0', " "));
                }
                at += 1 + length;
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
            bytes += count;
            if count == 0 {
                return Err(Error::new(
                    ErrorKind::UnexpectedEof,
                    failure.unwrap_or_else(|| "the server closed the connection".into()),
                ));
            }
        }
    }
}
