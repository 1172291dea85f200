//! Bytes: their length, their bits, and as text in hex, base64 and escapes.

use datafusion::common::ScalarValue;

use super::signature::{Args, Entry, Kind, Overload, bytes, int4, refuse, text};
use crate::{ErrorKind, QueryError};

fn out_of_range<T>(place: i64, length: usize) -> Result<T, QueryError> {
    refuse(
        ErrorKind::ArraySubscriptError,
        format!("index {place} out of valid range, 0..{}", length as i64 - 1),
    )
}

fn byte_place(args: &Args<'_>) -> Result<usize, QueryError> {
    let length = args.bytes(0).len();
    match usize::try_from(args.int(1)) {
        Ok(place) if place < length => Ok(place),
        _ => out_of_range(args.int(1), length),
    }
}

/// The byte and the bit in it that a number of a bit means.
fn bit_place(args: &Args<'_>) -> Result<(usize, u32), QueryError> {
    let length = args.bytes(0).len();
    match usize::try_from(args.int(1)) {
        Ok(bit) if bit / 8 < length => Ok((bit / 8, (bit % 8) as u32)),
        _ => out_of_range(args.int(1), length.saturating_mul(8)),
    }
}

fn set_bit(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (byte, bit) = bit_place(args)?;
    let mut changed = args.bytes(0).to_vec();
    match args.int(2) {
        0 => changed[byte] &= !(1 << bit),
        1 => changed[byte] |= 1 << bit,
        _ => return refuse(ErrorKind::InvalidParameterValue, "new bit must be 0 or 1"),
    }
    Ok(bytes(changed))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// In lines of 76 characters, as MIME has it.
fn base64(source: &[u8]) -> String {
    let mut out = String::with_capacity(source.len() / 3 * 4 + 4);
    let mut line = 0;
    for (place, group) in source.chunks(3).enumerate() {
        if place > 0 && line == 76 {
            out.push('\n');
            line = 0;
        }
        let number = group.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for letter in 0..4 {
            match letter <= group.len() {
                true => out.push(BASE64[(number >> (18 - 6 * letter) & 63) as usize] as char),
                false => out.push('='),
            }
        }
        line += 4;
    }
    out
}

fn from_base64(source: &str) -> Result<Vec<u8>, QueryError> {
    let (mut out, mut number, mut letters, mut ended) = (Vec::new(), 0u32, 0, 0);
    for letter in source.chars().filter(|letter| !letter.is_ascii_whitespace()) {
        let value = match BASE64.iter().position(|own| char::from(*own) == letter) {
            Some(value) if ended == 0 => value as u32,
            None if letter == '=' && letters >= 2 => {
                ended += 1;
                0
            }
            _ => {
                let message = format!("invalid symbol \"{letter}\" found while decoding base64 sequence");
                return refuse(ErrorKind::InvalidParameterValue, message);
            }
        };
        number = number << 6 | value;
        letters += 1;
        if letters == 4 {
            out.extend(&number.to_be_bytes()[1..4 - ended]);
            (number, letters) = (0, 0);
        }
    }
    match letters {
        0 => Ok(out),
        _ => refuse(ErrorKind::InvalidParameterValue, "invalid base64 end sequence").map_err(|error: QueryError| {
            error.with_hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
        }),
    }
}

fn from_hex(source: &str) -> Result<Vec<u8>, QueryError> {
    let mut digits = Vec::with_capacity(source.len());
    for letter in source.chars().filter(|letter| !letter.is_ascii_whitespace()) {
        match letter.to_digit(16) {
            Some(digit) => digits.push(digit as u8),
            None => {
                return refuse(
                    ErrorKind::InvalidParameterValue,
                    format!("invalid hexadecimal digit: \"{letter}\""),
                );
            }
        }
    }
    match digits.len().is_multiple_of(2) {
        true => Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()),
        false => refuse(
            ErrorKind::InvalidParameterValue,
            "invalid hexadecimal data: odd number of digits",
        ),
    }
}

fn escaped(source: &[u8]) -> String {
    let mut out = String::with_capacity(source.len());
    for byte in source {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
            plain => out.push(char::from(*plain)),
        }
    }
    out
}

fn from_escaped(source: &str) -> Result<Vec<u8>, QueryError> {
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'\\') {
            out.push(b'\\');
            at += 2;
        } else {
            let octal = source
                .get(at + 1..at + 4)
                .and_then(|digits| u8::from_str_radix(digits, 8).ok());
            let Some(byte) = octal else {
                return refuse(
                    ErrorKind::InvalidTextRepresentation,
                    "invalid input syntax for type bytea",
                );
            };
            out.push(byte);
            at += 4;
        }
    }
    Ok(out)
}

fn unknown_encoding<T>(name: &str) -> Result<T, QueryError> {
    refuse(
        ErrorKind::InvalidParameterValue,
        format!("unrecognized encoding: \"{name}\""),
    )
}

fn encode(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let source = args.bytes(0);
    Ok(text(match args.text(1).to_ascii_lowercase().as_str() {
        "hex" => source.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "base64" => base64(source),
        "escape" => escaped(source),
        _ => return unknown_encoding(args.text(1)),
    }))
}

fn decode(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let source = args.text(0);
    Ok(bytes(match args.text(1).to_ascii_lowercase().as_str() {
        "hex" => from_hex(source)?,
        "base64" => from_base64(source)?,
        "escape" => from_escaped(source)?,
        _ => return unknown_encoding(args.text(1)),
    }))
}

/// Only UTF-8, which texts are stored in, and ASCII.
fn encoding(args: &Args<'_>) -> Result<(), QueryError> {
    let plain: String = args
        .text(1)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "utf8" | "unicode" | "sqlascii" => Ok(()),
        _ => refuse(
            ErrorKind::FeatureNotSupported,
            format!("encoding \"{}\" is not supported", args.text(1)),
        )
        .map_err(|error: QueryError| error.with_hint("texts are UTF8 here")),
    }
}

fn convert_from(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    encoding(args)?;
    match std::str::from_utf8(args.bytes(0)) {
        Ok(valid) if !valid.contains('\0') => Ok(text(valid)),
        Ok(_) => refuse(
            ErrorKind::CharacterNotInRepertoire,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ),
        Err(error) => {
            let wrong = args.bytes(0).get(error.valid_up_to()).copied().unwrap_or(0);
            refuse(
                ErrorKind::CharacterNotInRepertoire,
                format!("invalid byte sequence for encoding \"UTF8\": 0x{wrong:02x}"),
            )
        }
    }
}

fn position(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let (source, wanted) = (args.bytes(0), args.bytes(1));
    if wanted.is_empty() {
        return int4(1);
    }
    let found = source.windows(wanted.len()).position(|window| window == wanted);
    int4(found.map_or(0, |place| place as i64 + 1))
}

fn text_position(args: &Args<'_>) -> Result<ScalarValue, QueryError> {
    let source = args.text(0);
    let found = source.find(args.text(1));
    int4(found.map_or(0, |byte| source[..byte].chars().count() as i64 + 1))
}

const TEXT: Kind = Kind::Text;
const BYTES: Kind = Kind::Bytes;
const INT: Kind = Kind::Int4;

pub const FUNCTIONS: &[Entry] = &[
    Entry {
        name: "bit_count",
        description: "how many bits are set",
        example: "SELECT bit_count('\\x1234567890'::bytea)",
        overloads: &[Overload::new(&[BYTES], Kind::Int8, |args| {
            let set: u32 = args.bytes(0).iter().map(|byte| byte.count_ones()).sum();
            Ok(ScalarValue::Int64(Some(i64::from(set))))
        })],
    },
    Entry {
        name: "bit_length",
        description: "how many bits a text or bytea has",
        example: "SELECT bit_length('abc')",
        overloads: &[
            Overload::new(&[TEXT], INT, |args| int4(args.text(0).len() as i64 * 8)),
            Overload::new(&[BYTES], INT, |args| int4(args.bytes(0).len() as i64 * 8)),
        ],
    },
    Entry {
        name: "convert_from",
        description: "bytes in an encoding as text",
        example: "SELECT convert_from('\\x616263'::bytea, 'UTF8')",
        overloads: &[Overload::new(&[BYTES, TEXT], TEXT, convert_from)],
    },
    Entry {
        name: "convert_to",
        description: "a text as bytes in an encoding",
        example: "SELECT convert_to('abc', 'UTF8')",
        overloads: &[Overload::new(&[TEXT, TEXT], BYTES, |args| {
            encoding(args)?;
            Ok(bytes(args.text(0).as_bytes()))
        })],
    },
    Entry {
        name: "decode",
        description: "bytes from their text in hex, base64 or escape",
        example: "SELECT decode('616263', 'hex')",
        overloads: &[Overload::new(&[TEXT, TEXT], BYTES, decode)],
    },
    Entry {
        name: "encode",
        description: "bytes as text in hex, base64 or escape",
        example: "SELECT encode('\\x616263'::bytea, 'base64')",
        overloads: &[Overload::new(&[BYTES, TEXT], TEXT, encode)],
    },
    Entry {
        name: "get_bit",
        description: "a bit of bytes",
        example: "SELECT get_bit('\\x010203'::bytea, 1)",
        overloads: &[Overload::new(&[BYTES, Kind::Int8], INT, |args| {
            let (byte, bit) = bit_place(args)?;
            int4(i64::from(args.bytes(0)[byte] >> bit & 1))
        })],
    },
    Entry {
        name: "get_byte",
        description: "a byte of bytes",
        example: "SELECT get_byte('\\x010203'::bytea, 1)",
        overloads: &[Overload::new(&[BYTES, INT], INT, |args| {
            int4(i64::from(args.bytes(0)[byte_place(args)?]))
        })],
    },
    Entry {
        name: "octet_length",
        description: "how many bytes a text or bytea has",
        example: "SELECT octet_length('héllo')",
        overloads: &[
            Overload::new(&[TEXT], INT, |args| int4(args.text(0).len() as i64)),
            Overload::new(&[BYTES], INT, |args| int4(args.bytes(0).len() as i64)),
        ],
    },
    Entry {
        name: "position",
        description: "where a text or bytea has another in it, 0 where it has not",
        example: "SELECT position('om' in 'Thomas')",
        overloads: &[
            Overload::new(&[TEXT, TEXT], INT, text_position),
            Overload::new(&[BYTES, BYTES], INT, position),
        ],
    },
    Entry {
        name: "set_bit",
        description: "bytes with a bit changed",
        example: "SELECT set_bit('\\x010203'::bytea, 3, 1)",
        overloads: &[Overload::new(&[BYTES, Kind::Int8, INT], BYTES, set_bit)],
    },
    Entry {
        name: "set_byte",
        description: "bytes with a byte changed",
        example: "SELECT set_byte('\\x010203'::bytea, 1, 255)",
        overloads: &[Overload::new(&[BYTES, INT, INT], BYTES, |args| {
            let place = byte_place(args)?;
            let mut changed = args.bytes(0).to_vec();
            changed[place] = args.int(2) as u8;
            Ok(bytes(changed))
        })],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_bytes_read_back() {
        for source in [&b""[..], b"a", b"ab", b"abc", &[0, 255, b'\\', 7], &[9; 200]] {
            assert_eq!(from_base64(&base64(source)).unwrap(), source);
            assert_eq!(from_escaped(&escaped(source)).unwrap(), source);
        }
        assert_eq!(base64(b"abcd"), "YWJjZA==");
        assert_eq!(escaped(&[0, 255]), "\\000\\377");
        assert!(from_hex("zz").is_err() && from_hex("1").is_err() && from_base64("YWJ").is_err());
    }
}
