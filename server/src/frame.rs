//! Cuts the client's bytes into messages, and reads their bodies without ever reading past them.
//!
//! ```text
//! 1 byte type | 4 bytes length, counting itself | body          (no type byte in the first message of a connection)
//! ```
//!
//! Promises: a length is checked before anything is kept for it; a body's strings and counts are checked against the body's end.
//! This stands before pgwire's decoders, which trust these things, and replaces them for what arrives in great numbers.

use std::ffi::CStr;

use bytes::{Buf, Bytes, BytesMut};
use taospg_query::ErrorKind;

use crate::failure::Failure;

/// Longest message before login, as in PostgreSQL: a start-up packet with many settings fits well.
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// Longest message of the kinds that only carry names and numbers, as in PostgreSQL.
const SMALL_BODY_BYTES_MAX: usize = 10_000;
/// Type and length.
const HEADER_BYTES: usize = 5;

/// One whole message.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub body: Bytes,
}

/// Takes the next whole message off the front of `input`; `None` while it is incomplete.
pub fn cut(input: &mut BytesMut, body_bytes_max: usize) -> Result<Option<Frame>, Failure> {
    let Some((&kind, rest)) = input.split_first() else {
        return Ok(None);
    };
    let body_limit = match kind {
        b'Q' | b'P' | b'B' | b'd' | b'F' => body_bytes_max,
        b'E' | b'D' | b'C' | b'f' | b'p' => SMALL_BODY_BYTES_MAX.min(body_bytes_max),
        // Sync, Flush, CopyDone, Terminate
        b'S' | b'H' | b'c' | b'X' => 0,
        _ => {
            return Err(Failure::protocol(format!("invalid frontend message type {kind}")));
        }
    };
    let Some(length) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    let body_bytes = match usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) {
        Some(bytes) if bytes <= body_limit => bytes,
        _ => {
            return Err(Failure::protocol(format!(
                "invalid message length {length} for message type \"{}\"",
                char::from(kind).escape_default()
            )));
        }
    };
    if input.len() < HEADER_BYTES + body_bytes {
        return Ok(None);
    }
    input.advance(HEADER_BYTES);
    Ok(Some(Frame {
        kind,
        body: input.split_to(body_bytes).freeze(),
    }))
}

/// Takes the first packet of a connection: it has no type byte. The length word stays in front of it, as pgwire's decoders want it.
pub fn cut_startup(input: &mut BytesMut) -> Result<Option<BytesMut>, Failure> {
    /// Length and the code that says what the packet is.
    const STARTUP_BYTES_MIN: usize = 8;
    let Some(length) = input.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if !(STARTUP_BYTES_MIN..=STARTUP_BYTES_MAX).contains(&length) {
        // Not worth an answer, as in PostgreSQL: it is no client of ours, or a port scanner.
        tracing::debug!(length, "invalid length of startup packet");
        return Err(Failure::Gone);
    }
    if input.len() < length {
        return Ok(None);
    }
    Ok(Some(input.split_to(length)))
}

/// Reads a body from front to back.
pub struct BodyReader {
    body: Bytes,
}

impl BodyReader {
    pub fn new(body: Bytes) -> BodyReader {
        BodyReader { body }
    }

    /// A string up to its zero byte, as a slice of the body.
    pub fn string(&mut self) -> Result<Text, Failure> {
        let Ok(string) = CStr::from_bytes_until_nul(&self.body) else {
            return Err(malformed("invalid string in message"));
        };
        let end = string.count_bytes();
        let bytes = self.body.split_to(end);
        self.body.advance(1);
        Text::new(bytes)
    }

    pub fn byte(&mut self) -> Result<u8, Failure> {
        self.bytes(1).map(|bytes| bytes.first().copied().unwrap_or(0))
    }

    pub fn count(&mut self) -> Result<usize, Failure> {
        self.need(2)?;
        Ok(usize::from(self.body.get_u16()))
    }

    pub fn i16(&mut self) -> Result<i16, Failure> {
        self.need(2)?;
        Ok(self.body.get_i16())
    }

    pub fn i32(&mut self) -> Result<i32, Failure> {
        self.need(4)?;
        Ok(self.body.get_i32())
    }

    pub fn u32(&mut self) -> Result<u32, Failure> {
        self.need(4)?;
        Ok(self.body.get_u32())
    }

    pub fn bytes(&mut self, count: usize) -> Result<Bytes, Failure> {
        self.need(count)?;
        Ok(self.body.split_to(count))
    }

    /// That many things of at least that many bytes each must still fit: checked before room is made for them.
    pub fn ensure(&self, count: usize, bytes_each: usize) -> Result<(), Failure> {
        self.need(count.saturating_mul(bytes_each))
    }

    fn need(&self, bytes: usize) -> Result<(), Failure> {
        if self.body.len() < bytes {
            return Err(malformed("insufficient data left in message"));
        }
        Ok(())
    }

    /// Everything has been read.
    pub fn end(&self) -> Result<(), Failure> {
        if self.body.is_empty() {
            Ok(())
        } else {
            Err(malformed("invalid message format"))
        }
    }
}

/// The message is whole, so the next one can be read: it fails like a statement, as in PostgreSQL.
fn malformed(problem: &str) -> Failure {
    Failure::statement(ErrorKind::ProtocolViolation, problem)
}

/// A string of the client: checked to be UTF-8, not copied.
#[derive(Clone, Debug)]
pub struct Text(Bytes);

impl Text {
    fn new(bytes: Bytes) -> Result<Text, Failure> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Text(bytes)),
            Err(error) => {
                let bad = bytes.get(error.valid_up_to()).copied().unwrap_or(0);
                Err(Failure::statement(
                    ErrorKind::CharacterNotInRepertoire,
                    format!("invalid byte sequence for encoding \"UTF8\": 0x{bad:02x}"),
                ))
            }
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked when it was made")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn input(bytes: &[u8]) -> BytesMut {
        BytesMut::from(bytes)
    }

    #[test]
    fn a_frame_comes_whole_or_not_at_all() {
        let mut bytes = input(b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04P");
        let query = cut(&mut bytes, 100).unwrap().unwrap();
        assert_eq!((query.kind, &query.body[..]), (b'Q', &b"SELECT 1\0"[..]));
        assert_eq!(cut(&mut bytes, 100).unwrap().unwrap().kind, b'S');
        assert!(cut(&mut bytes, 100).unwrap().is_none());
        assert_eq!(&bytes[..], b"P");
    }

    #[test]
    fn lengths_and_types_are_checked_before_the_body_comes() {
        for bad in [
            &b"Q\0\0\0\x03"[..],  // shorter than itself
            b"Q\xff\xff\xff\xff", // negative
            b"Q\0\0\x01\0",       // longer than allowed
            b"S\0\0\0\x05",       // Sync has no body
            b"E\x01\0\0\0",       // Execute is small
            b"!",                 // no such message
            b"\0\0\0\0",
        ] {
            assert!(cut(&mut input(bad), 100).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn startup_packets_are_small() {
        assert!(cut_startup(&mut input(b"\0\0\0\x07")).is_err());
        assert!(cut_startup(&mut input(b"\0\x01\0\0")).is_err());
        assert!(cut_startup(&mut input(b"\0\0\0\x08\0")).unwrap().is_none());
        let mut two = input(b"\0\0\0\x08\x04\xd2\x16\x2frest");
        assert_eq!(cut_startup(&mut two).unwrap().unwrap().len(), 8);
        assert_eq!(&two[..], b"rest");
    }

    #[test]
    fn bodies_end_where_they_end() {
        let mut reader = BodyReader::new(Bytes::from_static(b"ab\0\0\x05rest"));
        assert_eq!(reader.string().unwrap().as_str(), "ab");
        let count = reader.count().unwrap();
        assert_eq!(count, 5);
        assert!(reader.ensure(count, 1).is_err());
        assert!(reader.string().is_err());
        assert!(reader.bytes(5).is_err());
        assert!(reader.end().is_err());
        assert_eq!(&reader.bytes(4).unwrap()[..], b"rest");
        assert!(reader.end().is_ok());
    }

    #[test]
    fn text_that_is_not_utf8_fails_the_statement_only() {
        let error = BodyReader::new(Bytes::from_static(b"a\xff\0")).string().unwrap_err();
        assert!(matches!(error, Failure::Statement(error) if error.kind == ErrorKind::CharacterNotInRepertoire));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = input(&bytes);
            while let Ok(Some(frame)) = cut(&mut rest, 64) {
                prop_assert!(frame.body.len() <= 64);
            }
            let _ = cut_startup(&mut input(&bytes));
        }
    }
}
