//! Reading and writing the small parts of an encoded column: bytes, varints, signed varints.
//!
//! A varint holds seven bits a byte, lowest first, the top bit set on all but the last. A signed varint is the varint of the zigzag of
//! its number (0, -1, 1, -2, …), so that small numbers of either sign are short.

/// Encoded bytes that are still to be read. Every read says what it expected when the bytes end too early.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
}

/// What the caller gets to see of damage; the file and offset are added by who knows them.
pub(crate) type Decoded<T> = Result<T, &'static str>;

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes }
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or("more bytes than there are left")?;
        self.bytes = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Decoded<u8> {
        let (first, rest) = self.bytes.split_first().ok_or("a byte before the end")?;
        self.bytes = rest;
        Ok(*first)
    }

    pub fn u32(&mut self) -> Decoded<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("take returned four bytes")))
    }

    pub fn u64(&mut self) -> Decoded<u64> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("take returned eight bytes")))
    }

    pub fn varint(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        // Ten bytes of seven bits hold 64; the tenth may carry one bit only.
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err("a varint of at most 64 bits");
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a varint of at most ten bytes")
    }

    /// A varint that counts something there can be at most `max` of.
    pub fn count(&mut self, max: usize) -> Decoded<usize> {
        let value = self.varint()?;
        match usize::try_from(value) {
            Ok(count) if count <= max => Ok(count),
            _ => Err("a count within its bound"),
        }
    }

    pub fn signed(&mut self) -> Decoded<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_return_and_stop_at_the_end() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_signed(&mut out, value as i64);
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.varint(), Ok(value));
            assert_eq!(cursor.signed(), Ok(value as i64));
            assert_eq!(cursor.remaining(), 0);
            assert!(Cursor::new(&out[..0]).varint().is_err());
        }
        assert!(Cursor::new(&[0xff; 10]).varint().is_err());
        assert!(Cursor::new(&[0x80; 20]).varint().is_err());
        assert!(Cursor::new(&[9]).count(8).is_err());
    }
}
