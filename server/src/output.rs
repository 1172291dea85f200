//! Answers on their way to the client: messages, one after another, in one buffer.
//!
//! pgwire writes the messages with structure; the few that go with every row or statement are written here.

use bytes::BytesMut;
use pgwire::messages::Message;
use pgwire::messages::copy::{CopyInResponse, CopyOutResponse};
use pgwire::messages::data::{FieldDescription, ParameterDescription, RowDescription};
use pgwire::messages::response::{ErrorResponse, NoticeResponse, NotificationResponse};
use pgwire::messages::startup::ParameterStatus;
use taospg_query::notify::Notification;
use taospg_query::{ErrorKind, Format, Notice, QueryError, ResultField, TransactionStatus};

use crate::encode::{format_of, type_size};
use crate::sqlstate::{routine, sqlstate};

/// A buffer that was larger than this is given back when its connection idles.
const KEPT_BYTES_MAX: usize = 16 * 1024;

#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// How much of `bytes` the socket has taken.
    sent: usize,
    /// How much the socket has taken since the connection began.
    sent_ever: u64,
    scratch: BytesMut,
}

impl Output {
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        self.sent_ever += bytes as u64;
        if self.sent >= self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
    }

    /// Bytes that wait to be sent; also the place where the next message begins, until something is sent.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Where the next message begins, counted from the connection's first.
    pub fn mark(&self) -> u64 {
        self.sent_ever + self.len() as u64
    }

    /// Takes back what was written from that mark on, unless some of it has left.
    pub fn take_back(&mut self, mark: u64) {
        if let Some(place) = mark.checked_sub(self.sent_ever) {
            self.truncate(place as usize);
        }
    }

    /// Takes back what was written from that place on. Nothing has been sent since.
    pub fn truncate(&mut self, place: usize) {
        self.bytes.truncate(self.sent + place);
    }

    /// For rows, which are written in place.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Holds more memory than an idle connection should.
    pub fn is_large(&self) -> bool {
        self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES_MAX
    }

    pub fn shrink(&mut self) {
        if self.is_large() {
            self.bytes = Vec::new();
        }
        self.scratch = BytesMut::new();
    }

    /// Any message of pgwire's.
    pub fn message(&mut self, message: &impl Message) {
        self.scratch.clear();
        match message.encode(&mut self.scratch) {
            Ok(()) => self.bytes.extend_from_slice(&self.scratch),
            // Only a text beyond the protocol's limits: 30 kB for a setting's value, 2 GiB for an error.
            Err(error) => tracing::error!(%error, "an answer is too long for its message and was left out"),
        }
    }

    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn bare(&mut self, kind: u8) {
        self.bytes.extend_from_slice(&[kind, 0, 0, 0, 4]);
    }

    pub fn parse_complete(&mut self) {
        self.bare(b'1');
    }

    pub fn bind_complete(&mut self) {
        self.bare(b'2');
    }

    pub fn close_complete(&mut self) {
        self.bare(b'3');
    }

    pub fn no_data(&mut self) {
        self.bare(b'n');
    }

    pub fn portal_suspended(&mut self) {
        self.bare(b's');
    }

    pub fn empty_query(&mut self) {
        self.bare(b'I');
    }

    pub fn copy_done(&mut self) {
        self.bare(b'c');
    }

    pub fn command_complete(&mut self, tag: &str) {
        self.bytes.push(b'C');
        // A tag is a few words: its length fits.
        self.bytes.extend_from_slice(&(tag.len() as u32 + 5).to_be_bytes());
        self.bytes.extend_from_slice(tag.as_bytes());
        self.bytes.push(0);
    }

    /// CommandComplete of an INSERT: that of one row, which a pipeline consists of, from bytes that are ready.
    pub fn rows_inserted(&mut self, rows: u64) {
        match rows {
            1 => self.bytes.extend_from_slice(b"C\0\0\0\x0fINSERT 0 1\0"),
            rows => self.command_complete(&format!("INSERT 0 {rows}")),
        }
    }

    pub fn ready_for_query(&mut self, status: TransactionStatus) {
        let status = match status {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InBlock => b'T',
            TransactionStatus::Failed => b'E',
        };
        self.bytes.extend_from_slice(&[b'Z', 0, 0, 0, 5, status]);
    }

    pub fn parameter_status(&mut self, name: &str, value: String) {
        self.message(&ParameterStatus::new(name.to_owned(), without_zero(value)));
    }

    pub fn parameter_description(&mut self, types: &[u32]) {
        self.message(&ParameterDescription::new(types.to_vec()));
    }

    pub fn row_description(&mut self, fields: &[ResultField], formats: &[Format]) {
        let fields = fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                FieldDescription::new(
                    without_zero(field.name.clone()),
                    field.table_oid as i32, // the same 32 bits
                    field.attnum,
                    field.type_oid,
                    type_size(field.type_oid),
                    field.type_modifier,
                    format_code(format_of(formats, index)),
                )
            })
            .collect();
        self.message(&RowDescription::new(fields));
    }

    pub fn copy_in_response(&mut self, format: Format, columns: usize) {
        let (code, count, codes) = copy_formats(format, columns);
        self.message(&CopyInResponse::new(code, count, codes));
    }

    pub fn copy_out_response(&mut self, format: Format, columns: usize) {
        let (code, count, codes) = copy_formats(format, columns);
        self.message(&CopyOutResponse::new(code, count, codes));
    }

    pub fn error(&mut self, error: QueryError) {
        self.error_of("ERROR", error);
    }

    /// The connection ends with it.
    pub fn fatal_error(&mut self, error: QueryError) {
        self.error_of("FATAL", error);
    }

    fn error_of(&mut self, severity: &'static str, error: QueryError) {
        let mut fields = severity_and_code(severity, sqlstate(error.kind));
        let routine = routine(error.kind).map(String::from);
        fields.push((b'M', without_zero(error.message)));
        let rest = [
            (b'D', error.detail),
            (b'H', error.hint),
            (b'P', error.position.map(|position| position.to_string())),
            (b'W', error.context),
            (b'R', routine),
        ];
        for (field, value) in rest {
            if let Some(value) = value {
                fields.push((field, without_zero(value)));
            }
        }
        self.message(&ErrorResponse::new(fields));
    }

    pub fn fatal(&mut self, code: &str, message: String) {
        let mut fields = severity_and_code("FATAL", code);
        fields.push((b'M', without_zero(message)));
        self.message(&ErrorResponse::new(fields));
    }

    pub fn notification(&mut self, told: &Notification) {
        let (channel, payload) = (without_zero(told.channel.clone()), without_zero(told.payload.clone()));
        self.message(&NotificationResponse::new(told.process_id, channel, payload));
    }

    pub fn notice(&mut self, notice: Notice) {
        let mut fields = severity_and_code(notice.severity, notice.sqlstate);
        fields.push((b'M', without_zero(notice.message)));
        self.message(&NoticeResponse::new(fields));
    }
}

fn severity_and_code(severity: &str, code: &str) -> Vec<(u8, String)> {
    vec![(b'S', severity.into()), (b'V', severity.into()), (b'C', code.into())]
}

/// Strings end at a zero byte in these messages, so none may hold one.
fn without_zero(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "")
    } else {
        text
    }
}

fn format_code(format: Format) -> i16 {
    match format {
        Format::Text => 0,
        Format::Binary => 1,
    }
}

fn copy_formats(format: Format, columns: usize) -> (i8, i16, Vec<i16>) {
    let code = format_code(format);
    // Tables have far fewer columns than an i16 counts.
    (code as i8, columns as i16, vec![code; columns])
}

/// A format code of Bind.
pub fn format_from_code(code: i16) -> Result<Format, QueryError> {
    match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        _ => Err(QueryError::new(
            ErrorKind::InvalidParameterValue,
            format!("unsupported format code: {code}"),
        )),
    }
}
