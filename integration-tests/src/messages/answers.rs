//! The server's bytes as lines of a script.

use std::fmt::Write as _;

/// What has come and is not yet told.
#[derive(Default)]
pub struct Answers {
    bytes: Vec<u8>,
    one_byte_answers: usize,
    key: Vec<u8>,
}

impl Answers {
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn one_byte_next(&mut self) {
        self.one_byte_answers += 1;
    }

    /// Process id and secret key of this session.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The next whole message as a line; `None` while it is incomplete.
    pub fn next(&mut self) -> Option<String> {
        let first = *self.bytes.first()?;
        if self.one_byte_answers > 0 && first != b'E' {
            self.one_byte_answers -= 1;
            self.bytes.remove(0);
            return Some(format!("byte {}", char::from(first)));
        }
        let length = u32::from_be_bytes(self.bytes.get(1..5)?.try_into().ok()?) as usize;
        if self.bytes.len() < 1 + length {
            return None;
        }
        let body = self.bytes[5..1 + length].to_vec();
        // The settings at the beginning come in an order that nobody relies on: one line for all of them.
        if first == b'S' && self.key.is_empty() {
            return self.settings();
        }
        self.bytes.drain(..1 + length);
        if first == b'K' {
            self.key.clone_from(&body);
        }
        Some(line(first, &body))
    }

    /// All settings up to BackendKeyData, by their names.
    fn settings(&mut self) -> Option<String> {
        let mut names = Vec::new();
        let mut place = 0;
        while *self.bytes.get(place)? == b'S' {
            let length = u32::from_be_bytes(self.bytes.get(place + 1..place + 5)?.try_into().ok()?) as usize;
            let body = self.bytes.get(place + 5..place + 1 + length)?;
            names.push(Body(body).string());
            place += 1 + length;
        }
        self.bytes.drain(..place);
        names.sort();
        Some(format!("ParameterStatus of {}", names.join(" ")))
    }
}

/// Reads a message's body from the front.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn string(&mut self) -> String {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .expect("a string ends with zero");
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[end + 1..];
        text
    }

    fn i16(&mut self) -> i16 {
        let (head, tail) = self.0.split_first_chunk().expect("two bytes");
        self.0 = tail;
        i16::from_be_bytes(*head)
    }

    fn i32(&mut self) -> i32 {
        let (head, tail) = self.0.split_first_chunk().expect("four bytes");
        self.0 = tail;
        i32::from_be_bytes(*head)
    }

    fn bytes(&mut self, count: usize) -> &[u8] {
        let (head, tail) = self.0.split_at(count);
        self.0 = tail;
        head
    }
}

fn line(kind: u8, body: &[u8]) -> String {
    let mut reader = Body(body);
    match kind {
        b'R' => match reader.i32() {
            0 => "AuthenticationOk".into(),
            other => format!("Authentication {other}"),
        },
        b'K' => format!("BackendKeyData of {} bytes", body.len() - 4),
        b'S' => format!("ParameterStatus {} {}", reader.string(), quoted(&reader.string())),
        b'v' => {
            let version = reader.i32();
            let names: Vec<String> = (0..reader.i32()).map(|_| reader.string()).collect();
            format!(
                "NegotiateProtocolVersion {}.{} {}",
                version >> 16,
                version & 0xffff,
                names.join(" ")
            )
        }
        b'Z' => format!("ReadyForQuery {}", char::from(body[0])),
        b'1' => "ParseComplete".into(),
        b'2' => "BindComplete".into(),
        b'3' => "CloseComplete".into(),
        b'n' => "NoData".into(),
        b's' => "PortalSuspended".into(),
        b'I' => "EmptyQueryResponse".into(),
        b'c' => "CopyDone".into(),
        b'C' => format!("CommandComplete {}", quoted(&reader.string())),
        b't' => {
            let types: Vec<String> = (0..reader.i16()).map(|_| reader.i32().to_string()).collect();
            format!("ParameterDescription [{}]", types.join(" "))
        }
        b'T' => row_description(&mut reader),
        b'D' => {
            let values: Vec<String> = (0..reader.i16()).map(|_| value(&mut reader)).collect();
            format!("DataRow [{}]", values.join(" "))
        }
        b'd' => format!("CopyData {}", shown(body)),
        b'G' | b'H' => {
            let name = if kind == b'G' {
                "CopyInResponse"
            } else {
                "CopyOutResponse"
            };
            let format = reader.bytes(1)[0];
            let columns: Vec<String> = (0..reader.i16()).map(|_| reader.i16().to_string()).collect();
            format!("{name} {format} [{}]", columns.join(" "))
        }
        b'E' => format!("ErrorResponse {}", fields(&mut reader)),
        b'N' => format!("NoticeResponse {}", fields(&mut reader)),
        other => format!("message {}", char::from(other).escape_default()),
    }
}

/// Name, type, size, modifier and format of each column. The table that it is from is left out: 0 is legal.
fn row_description(reader: &mut Body) -> String {
    let mut line = "RowDescription".to_owned();
    for _ in 0..reader.i16() {
        let name = reader.string();
        let (_table, _column) = (reader.i32(), reader.i16());
        let (oid, size, modifier, format) = (reader.i32(), reader.i16(), reader.i32(), reader.i16());
        let format = if format == 0 { "text" } else { "binary" };
        let _ = write!(line, " ({} {oid} {size} {modifier} {format})", quoted(&name));
    }
    line
}

fn value(reader: &mut Body) -> String {
    match usize::try_from(reader.i32()) {
        Ok(length) => shown(reader.bytes(length)),
        Err(_) => "NULL".into(),
    }
}

/// Severity, SQLSTATE, position and message.
fn fields(reader: &mut Body) -> String {
    let (mut severity, mut code, mut message, mut place) = (String::new(), String::new(), String::new(), String::new());
    while reader.0.first().is_some_and(|kind| *kind != 0) {
        let kind = reader.bytes(1)[0];
        let text = reader.string();
        match kind {
            b'V' => severity = text,
            b'C' => code = text,
            b'M' => message = text,
            b'P' => place = format!(" at {text}"),
            _ => {}
        }
    }
    format!("{severity} {code}{place} {}", quoted(&message))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text where it is one, else bytes.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|letter: char| letter.is_control() && !matches!(letter, '\n' | '\t')) => {
            quoted(text)
        }
        _ => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{}'", digits.concat())
        }
    }
}
