//! Every type returns, with nulls, extremes and any compression; no damage makes a panic.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, TimeUnit};
use proptest::prelude::*;

use super::{decode, decode_part, decode_prefix, describe, encode};
use crate::Compression;

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Fast, Compression::High];

/// Doubles compare by their bits: formatting them would not tell NaNs apart.
fn assert_same(a: &ArrayRef, b: &ArrayRef) {
    assert_eq!(a.data_type(), b.data_type());
    assert_eq!(a.len(), b.len());
    assert_eq!(a.null_count(), b.null_count());
    for row in 0..a.len() {
        assert_eq!(a.is_null(row), b.is_null(row));
        if a.is_null(row) {
            continue;
        }
        match a.data_type() {
            DataType::Float64 => assert_eq!(
                a.as_primitive::<arrow::datatypes::Float64Type>().value(row).to_bits(),
                b.as_primitive::<arrow::datatypes::Float64Type>().value(row).to_bits()
            ),
            DataType::Float32 => assert_eq!(
                a.as_primitive::<arrow::datatypes::Float32Type>().value(row).to_bits(),
                b.as_primitive::<arrow::datatypes::Float32Type>().value(row).to_bits()
            ),
            _ => assert_eq!(a.slice(row, 1).as_ref(), b.slice(row, 1).as_ref()),
        }
    }
}

fn assert_returns(array: &ArrayRef) {
    for compression in COMPRESSIONS {
        let mut out = vec![0xee];
        encode(array, compression, &mut out);
        let back = decode(&out[1..], array.data_type(), array.len()).expect("undamaged");
        assert_same(array, &back);
        let rows = array.len();
        for part in [
            0..rows,
            0..rows / 3,
            rows / 3..rows / 2,
            rows - rows / 5..rows,
            rows..rows,
        ] {
            let some = decode_part(&out[1..], array.data_type(), rows, part.clone()).expect("undamaged");
            assert_same(&array.slice(part.start, part.len()), &some);
        }
        let used = out.len() - 1;
        out.extend_from_slice(&[1, 2, 3]);
        let (back, prefix) = decode_prefix(&out[1..], array.data_type(), array.len()).expect("undamaged");
        assert_eq!(prefix, used);
        assert_same(array, &back);
        assert!(decode(&out[1..], array.data_type(), array.len()).is_err());
    }
}

/// Values of every stored type: whole, sliced, empty, all null.
#[test]
fn every_type() {
    let flags: Vec<Option<i64>> = (0..300)
        .map(|i: i64| (i % 7 != 3).then_some(i * i % 101 - 50))
        .collect();
    let micros = TimestampMicrosecondArray::from(flags.clone());
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from_iter(flags.iter().map(|v| v.map(|v| v > 3)))),
        Arc::new(Int16Array::from_iter(flags.iter().map(|v| v.map(|v| v as i16)))),
        Arc::new(Int32Array::from_iter(flags.iter().map(|v| v.map(|v| v as i32)))),
        Arc::new(Int64Array::from(flags.clone())),
        Arc::new(UInt32Array::from_iter(flags.iter().map(|v| v.map(|v| v as u32)))),
        Arc::new(UInt64Array::from_iter(flags.iter().map(|v| v.map(|v| v as u64)))),
        Arc::new(Float32Array::from_iter(
            flags.iter().map(|v| v.map(|v| v as f32 / 10.0)),
        )),
        Arc::new(Float64Array::from_iter(
            flags.iter().map(|v| v.map(|v| (v as f64).sqrt())),
        )),
        Arc::new(Date32Array::from_iter(flags.iter().map(|v| v.map(|v| v as i32)))),
        Arc::new(
            Decimal128Array::from_iter(flags.iter().map(|v| v.map(i128::from)))
                .with_precision_and_scale(20, 3)
                .expect("valid"),
        ),
        Arc::new(
            Decimal128Array::from_iter(flags.iter().map(|v| v.map(|v| i128::from(v) << 80)))
                .with_precision_and_scale(38, 3)
                .expect("valid"),
        ),
        Arc::new(micros.clone()),
        Arc::new(micros.with_timezone("UTC")),
        Arc::new(TimestampNanosecondArray::from(flags.clone())),
        Arc::new(StringViewArray::from_iter(
            flags.iter().map(|v| v.map(|v| format!("größe {v}"))),
        )),
        Arc::new(StringViewArray::from_iter(
            flags
                .iter()
                .map(|v| v.map(|v| format!("a longer text number {}", v % 5))),
        )),
        Arc::new(BinaryViewArray::from_iter(
            flags.iter().map(|v| v.map(|v| vec![0xff; v.unsigned_abs() as usize])),
        )),
    ];
    for array in arrays {
        assert_returns(&array);
        for (offset, length) in [(0, 0), (1, 1), (3, 200), (299, 1), (13, 64)] {
            assert_returns(&array.slice(offset, length));
        }
        assert_returns(&new_null_array(array.data_type(), 100));
        let whole =
            arrow::compute::filter(&array, &arrow::compute::is_not_null(&array).expect("any type")).expect("any type");
        assert_returns(&whole);
        for other in [DataType::Null, DataType::Utf8, DataType::Int8] {
            let mut out = Vec::new();
            encode(&array, Compression::Fast, &mut out);
            assert!(decode(&out, &other, array.len()).is_err());
        }
    }
}

/// A walk of integers kept as doubles is what benchmarks of device fleets store: about three bits a value.
#[test]
fn sizes() {
    let mut level = 50.0f64;
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let walk: Vec<f64> = (0..4096)
        .map(|_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            level = (level + (random % 3) as f64 - 1.0).clamp(0.0, 100.0);
            level
        })
        .collect();
    let size = |array: ArrayRef| {
        let mut out = Vec::new();
        encode(&array, Compression::Fast, &mut out);
        out.len()
    };
    assert!(size(Arc::new(Float64Array::from(walk.clone()))) * 8 <= 4096 * 5 / 2);
    assert!(size(Arc::new(Int64Array::from_iter(walk.iter().map(|v| *v as i64)))) * 8 <= 4096 * 5 / 2);
    let tenths = Float32Array::from_iter_values(walk.iter().map(|v| (*v / 10.0) as f32));
    assert!(size(Arc::new(tenths)) * 8 <= 4096 * 5 / 2);
    let times = TimestampMicrosecondArray::from_iter_values((0..4096).map(|i| 1_451_606_400_000_000 + i * 10_000_000));
    assert!(size(Arc::new(times)) <= 18);
    let names = StringViewArray::from_iter_values((0..4096).map(|i| format!("a state of some machine: {}", i / 700)));
    assert!(size(Arc::new(names)) < 300);
}

#[test]
fn codecs_have_names() {
    let name = |array: ArrayRef| {
        let mut out = Vec::new();
        encode(&array, Compression::Fast, &mut out);
        describe(&out)
    };
    assert_eq!(name(Arc::new(Int32Array::from(vec![1, 2, 3]))), "delta of constant");
    assert_eq!(name(Arc::new(Float64Array::from(vec![0.1, 0.2, 0.7]))), "decimals");
    assert_eq!(name(new_null_array(&DataType::Utf8View, 3)), "nulls");
    assert_eq!(describe(&[]), "");
    assert_eq!(describe(&[63]), "unknown");
}

fn columns() -> impl Strategy<Value = ArrayRef> {
    let doubles = proptest::collection::vec(
        proptest::option::weighted(
            0.9,
            prop_oneof![
                any::<u64>().prop_map(f64::from_bits),
                (-10_000i32..10_000).prop_map(|i| f64::from(i) / 100.0)
            ],
        ),
        0..300,
    );
    let integers = proptest::collection::vec(proptest::option::weighted(0.95, -100i64..100), 0..300);
    let any_integers = proptest::collection::vec(proptest::option::weighted(0.5, any::<i64>()), 0..300);
    let texts = proptest::collection::vec(proptest::option::weighted(0.9, "[a-zä]{0,30}"), 0..100);
    let words = proptest::collection::vec(proptest::option::weighted(0.9, "[ab]{1,2}"), 0..300);
    let blobs = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..50);
    let bits = proptest::collection::vec(proptest::option::weighted(0.9, any::<bool>()), 0..300);
    prop_oneof![
        doubles
            .clone()
            .prop_map(|v| Arc::new(Float64Array::from(v)) as ArrayRef),
        doubles.prop_map(|v| Arc::new(Float32Array::from_iter(v.into_iter().map(|v| v.map(|v| v as f32)))) as ArrayRef),
        integers.clone().prop_map(|v| Arc::new(Int64Array::from(v)) as ArrayRef),
        integers.prop_map(|v| Arc::new(Int16Array::from_iter(v.into_iter().map(|v| v.map(|v| v as i16)))) as ArrayRef),
        any_integers
            .clone()
            .prop_map(|v| Arc::new(Int64Array::from(v)) as ArrayRef),
        any_integers.prop_map(|v| Arc::new(Decimal128Array::from_iter(
            v.into_iter().map(|v| v.map(|v| i128::from(v) * i128::from(v % 3)))
        )) as ArrayRef),
        texts.prop_map(|v| Arc::new(StringViewArray::from(v)) as ArrayRef),
        words.prop_map(|v| Arc::new(StringViewArray::from(v)) as ArrayRef),
        blobs.prop_map(|v| Arc::new(BinaryViewArray::from_iter_values(v)) as ArrayRef),
        bits.prop_map(|v| Arc::new(BooleanArray::from(v)) as ArrayRef),
    ]
}

const TYPES: [DataType; 12] = [
    DataType::Boolean,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt32,
    DataType::Float32,
    DataType::Float64,
    DataType::Date32,
    DataType::Timestamp(TimeUnit::Microsecond, None),
    DataType::Decimal128(38, 2),
    DataType::Utf8View,
    DataType::BinaryView,
];

proptest! {
    #[test]
    fn round_trip(column in columns()) {
        assert_returns(&column);
    }

    #[test]
    fn damage_is_no_panic(
        column in columns(),
        compression in prop::sample::select(&COMPRESSIONS[..]),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        rows in 0usize..400,
    ) {
        let mut out = Vec::new();
        encode(&column, compression, &mut out);
        let _ = decode(&out, column.data_type(), rows);
        let at = at.index(out.len());
        prop_assert!(decode(&out[..at], column.data_type(), column.len()).is_err());
        out[at] ^= flip;
        let _ = decode(&out, column.data_type(), column.len());
    }

    #[test]
    fn noise_is_no_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        data_type in prop::sample::select(&TYPES[..]),
        rows in 0usize..400,
    ) {
        let _ = decode(&bytes, &data_type, rows);
    }
}
