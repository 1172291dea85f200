//! Text forms of bytea and uuid.

/// First byte of jsonb's binary form; the text follows.
pub const JSONB_VERSION: u8 = 1;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `\x00ff`, or with `bytea_output = escape` printable bytes as they are and the others as `\000`.
pub fn write_bytea(bytes: &[u8], escape: bool, out: &mut Vec<u8>) {
    if !escape {
        out.extend_from_slice(b"\\x");
        for byte in bytes {
            push_hex(*byte, out);
        }
        return;
    }
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(byte),
            _ => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]),
        }
    }
}

/// 16 bytes as `8-4-4-4-12` hexadecimal digits.
pub fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        push_hex(*byte, out);
    }
}

/// The 16 bytes of a uuid's text, hyphens or braces or not.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(text);
    let mut bytes = [0u8; 16];
    let mut digits = 0;
    for character in text.chars().filter(|character| *character != '-') {
        let digit = character.to_digit(16)?;
        let slot = bytes.get_mut(digits / 2)?;
        *slot = (*slot << 4) | digit as u8;
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytea(bytes: &[u8], escape: bool) -> String {
        let mut out = Vec::new();
        write_bytea(bytes, escape, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytea_has_two_styles() {
        assert_eq!(bytea(b"\x00\xffa\\", false), "\\x00ff615c");
        assert_eq!(bytea(b"\x00\xffa\\", true), "\\000\\377a\\\\");
        assert_eq!(bytea(b"", false), "\\x");
    }

    #[test]
    fn uuids_go_both_ways() {
        let text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        let bytes = parse_uuid(text).unwrap();
        let mut out = Vec::new();
        write_uuid(&bytes, &mut out);
        assert_eq!(out, text.as_bytes());
        assert_eq!(parse_uuid("{A0EEBC999C0B4EF8BB6D6BB9BD380A11}"), Some(bytes));
        assert_eq!(parse_uuid("a0eebc99"), None);
        assert_eq!(parse_uuid(&"0".repeat(33)), None);
    }
}
