//! Column types as bytes in a block's directory.
//!
//! ```text
//! 1 bool, 2 int16, 3 int32, 4 int64, 5 float32, 6 float64, 7 date, 8 text, 9 bytes
//! 10 decimal: precision: byte | scale: signed byte
//! 11..14 timestamp without zone in s, ms, us, ns
//! 15..18 timestamp with zone in s, ms, us, ns: bytes of the zone: varint | its name
//! ```

use arrow::datatypes::{DataType, TimeUnit};

use crate::codec::cursor::{Cursor, Decoded, put_varint};

/// Types without parameters with their bytes.
const SIMPLE: [(u8, DataType); 9] = [
    (1, DataType::Boolean),
    (2, DataType::Int16),
    (3, DataType::Int32),
    (4, DataType::Int64),
    (5, DataType::Float32),
    (6, DataType::Float64),
    (7, DataType::Date32),
    (8, DataType::Utf8View),
    (9, DataType::BinaryView),
];
const DECIMAL: u8 = 10;
const TIMESTAMP: u8 = 11;
const TIMESTAMP_WITH_ZONE: u8 = 15;

const UNITS: [TimeUnit; 4] = [
    TimeUnit::Second,
    TimeUnit::Millisecond,
    TimeUnit::Microsecond,
    TimeUnit::Nanosecond,
];

/// The longest name of a time zone we read. The longest in the IANA database has 32 letters.
const ZONE_BYTES_MAX: usize = 64;

/// Appends the type; `None` when columns of this type are not kept.
pub(super) fn put_type(data_type: &DataType, out: &mut Vec<u8>) -> Option<()> {
    match data_type {
        DataType::Decimal128(precision, scale) => out.extend_from_slice(&[DECIMAL, *precision, *scale as u8]),
        DataType::Timestamp(unit, zone) => {
            let unit = UNITS.iter().position(|listed| listed == unit)? as u8;
            match zone {
                None => out.push(TIMESTAMP + unit),
                Some(zone) if zone.len() <= ZONE_BYTES_MAX => {
                    out.push(TIMESTAMP_WITH_ZONE + unit);
                    put_varint(out, zone.len() as u64);
                    out.extend_from_slice(zone.as_bytes());
                }
                Some(_) => return None,
            }
        }
        other => out.push(SIMPLE.iter().find(|(_, simple)| simple == other)?.0),
    }
    Some(())
}

pub(super) fn take_type(cursor: &mut Cursor<'_>) -> Decoded<DataType> {
    let byte = cursor.byte()?;
    if let Some((_, simple)) = SIMPLE.iter().find(|(listed, _)| *listed == byte) {
        return Ok(simple.clone());
    }
    let unit = |base: u8| UNITS[usize::from(byte - base)]; // in 0..4 by the ranges below
    match byte {
        DECIMAL => {
            let (precision, scale) = (cursor.byte()?, cursor.byte()? as i8);
            Ok(DataType::Decimal128(precision, scale))
        }
        11..=14 => Ok(DataType::Timestamp(unit(TIMESTAMP), None)),
        15..=18 => {
            let bytes = cursor.count(ZONE_BYTES_MAX)?;
            let zone = std::str::from_utf8(cursor.take(bytes)?).map_err(|_| "a time zone in UTF-8")?;
            Ok(DataType::Timestamp(unit(TIMESTAMP_WITH_ZONE), Some(zone.into())))
        }
        _ => Err("a known column type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_return() {
        let mut types: Vec<DataType> = SIMPLE.iter().map(|(_, simple)| simple.clone()).collect();
        types.push(DataType::Decimal128(38, -2));
        for unit in UNITS {
            types.push(DataType::Timestamp(unit, None));
            types.push(DataType::Timestamp(
                unit,
                Some("America/Argentina/ComodRivadavia".into()),
            ));
        }
        for data_type in types {
            let mut out = Vec::new();
            put_type(&data_type, &mut out).expect("kept");
            assert_eq!(take_type(&mut Cursor::new(&out)), Ok(data_type));
            assert!(take_type(&mut Cursor::new(&out[..out.len() - 1])).is_err());
        }
        assert_eq!(put_type(&DataType::Null, &mut Vec::new()), None);
        assert!(take_type(&mut Cursor::new(&[99])).is_err());
    }
}
