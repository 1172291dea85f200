//! Whole rows, written and taken apart again.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use taospg_query::pg_type::time::DateOrder;
use taospg_query::pg_type::write::{DateStyle, Dates, IntervalStyle, TextStyle};
use taospg_query::{CopyFormat, Format, ResultField};

use super::*;

const STYLE: TextStyle = TextStyle {
    time_zone: chrono_tz::Tz::UTC,
    bytea_escape: false,
    extra_float_digits: 1,
    dates: Dates {
        style: DateStyle::Iso,
        order: DateOrder::Mdy,
    },
    intervals: IntervalStyle::Postgres,
};

fn field(name: &str, type_oid: u32) -> ResultField {
    ResultField {
        name: name.into(),
        type_oid,
        type_modifier: -1,
        table_oid: 0,
        attnum: 0,
    }
}

fn batch(columns: &[(u32, ArrayRef)]) -> (RecordBatch, Vec<ResultField>) {
    let fields: Vec<ResultField> = columns.iter().map(|(oid, _)| field("c", *oid)).collect();
    let schema = Schema::new(
        columns
            .iter()
            .map(|(_, array)| Field::new("c", array.data_type().clone(), true))
            .collect::<Vec<_>>(),
    );
    let arrays = columns.iter().map(|(_, array)| array.clone()).collect();
    (RecordBatch::try_new(Arc::new(schema), arrays).unwrap(), fields)
}

fn encode_all(encoder: &mut RowEncoder, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
    let arrays = encoder.arrange(batch)?;
    let mut out = Vec::new();
    let done = encoder.encode(&arrays, 0..batch.num_rows(), &mut out, usize::MAX)?;
    assert_eq!(done, batch.num_rows());
    Ok(out)
}

/// Values of all DataRow messages.
fn data_rows(mut bytes: &[u8]) -> Vec<Vec<Option<Vec<u8>>>> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (head, tail) = bytes.split_at(count);
        *bytes = tail;
        head
    }
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(take(&mut bytes, 1), b"D");
        let length = u32::from_be_bytes(take(&mut bytes, 4).try_into().unwrap()) as usize;
        let mut body = take(&mut bytes, length - 4);
        let count = u16::from_be_bytes(take(&mut body, 2).try_into().unwrap());
        let mut row = Vec::new();
        for _ in 0..count {
            let length = i32::from_be_bytes(take(&mut body, 4).try_into().unwrap());
            row.push(
                usize::try_from(length)
                    .ok()
                    .map(|length| take(&mut body, length).to_vec()),
            );
        }
        assert!(body.is_empty());
        rows.push(row);
    }
    rows
}

fn column(oid: u32, array: ArrayRef, format: Format) -> Vec<Option<Vec<u8>>> {
    let (batch, fields) = batch(&[(oid, array)]);
    let mut encoder = RowEncoder::data_rows(&fields, &[format], STYLE);
    let bytes = encode_all(&mut encoder, &batch).unwrap();
    data_rows(&bytes).into_iter().map(|mut row| row.remove(0)).collect()
}

fn text(oid: u32, array: ArrayRef) -> Vec<Option<String>> {
    column(oid, array, Format::Text)
        .into_iter()
        .map(|value| value.map(|bytes| String::from_utf8(bytes).unwrap()))
        .collect()
}

/// Text of a column without NULLs.
fn texts(oid: u32, array: ArrayRef) -> Vec<String> {
    text(oid, array).into_iter().map(Option::unwrap).collect()
}

fn binary(oid: u32, array: ArrayRef) -> Vec<u8> {
    column(oid, array, Format::Binary).remove(0).unwrap()
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn every_plain_type_has_its_text() {
    let nulls = |array: ArrayRef, oid| assert_eq!(text(oid, array).pop().unwrap(), None);
    assert_eq!(texts(16, Arc::new(BooleanArray::from(vec![true, false]))), ["t", "f"]);
    assert_eq!(texts(21, Arc::new(Int16Array::from(vec![-32768]))), ["-32768"]);
    assert_eq!(texts(23, Arc::new(Int32Array::from(vec![219]))), ["219"]);
    assert_eq!(
        texts(20, Arc::new(Int64Array::from(vec![i64::MIN]))),
        ["-9223372036854775808"]
    );
    assert_eq!(texts(700, Arc::new(Float32Array::from(vec![10.3]))), ["10.3"]);
    assert_eq!(texts(701, Arc::new(Float64Array::from(vec![1e20]))), ["1e+20"]);
    let decimal = Decimal128Array::from(vec![12345])
        .with_precision_and_scale(10, 2)
        .unwrap();
    assert_eq!(texts(1700, Arc::new(decimal)), ["123.45"]);
    assert_eq!(
        texts(1700, Arc::new(UInt64Array::from(vec![u64::MAX]))),
        ["18446744073709551615"]
    );
    assert_eq!(texts(1700, Arc::new(Int32Array::from(vec![7]))), ["7"]);
    assert_eq!(
        texts(1700, Arc::new(Float64Array::from(vec![1e20]))),
        ["100000000000000000000"]
    );
    assert_eq!(texts(25, strings(&["", "é"])), ["", "é"]);
    assert_eq!(texts(1043, Arc::new(StringViewArray::from(vec!["view"]))), ["view"]);
    assert_eq!(texts(25, Arc::new(LargeStringArray::from(vec!["large"]))), ["large"]);
    let dictionary: DictionaryArray<UInt16Type> = vec!["a", "b", "a"].into_iter().collect();
    assert_eq!(texts(25, Arc::new(dictionary)), ["a", "b", "a"]);
    assert_eq!(
        texts(17, Arc::new(BinaryViewArray::from(vec![&b"\x01\xfe"[..]]))),
        ["\\x01fe"]
    );
    assert_eq!(texts(1082, Arc::new(Date32Array::from(vec![20_779]))), ["2026-11-22"]);
    assert_eq!(
        texts(1083, Arc::new(Time64MicrosecondArray::from(vec![3_600_000_001]))),
        ["01:00:00.000001"]
    );
    let zoned = TimestampMillisecondArray::from(vec![0]).with_timezone("UTC");
    assert_eq!(texts(1184, Arc::new(zoned)), ["1970-01-01 00:00:00+00"]);
    assert_eq!(
        texts(1114, Arc::new(TimestampNanosecondArray::from(vec![1]))),
        ["1970-01-01 00:00:00.000000001"]
    );
    let interval = IntervalMonthDayNano::new(14, 3, 1_000_000_000);
    assert_eq!(
        texts(1186, Arc::new(IntervalMonthDayNanoArray::from(vec![interval]))),
        ["1 year 2 mons 3 days 00:00:01"]
    );
    assert_eq!(
        texts(1186, Arc::new(DurationSecondArray::from(vec![3_600]))),
        ["01:00:00"]
    );
    assert_eq!(texts(3802, strings(&["{\"a\": 1}"])), ["{\"a\": 1}"]);
    let uuid = FixedSizeBinaryArray::try_from_iter([[0xabu8; 16]].into_iter()).unwrap();
    assert_eq!(texts(2950, Arc::new(uuid)), ["abababab-abab-abab-abab-abababababab"]);
    assert_eq!(texts(26, Arc::new(Int64Array::from(vec![16_384]))), ["16384"]);
    nulls(Arc::new(Int32Array::from(vec![None::<i32>])), 23);
    nulls(Arc::new(NullArray::new(1)), 701);
    let dictionary: DictionaryArray<Int8Type> = vec![Some("a"), None].into_iter().collect();
    nulls(Arc::new(dictionary), 25);
}

#[test]
fn binary_forms_are_those_of_postgres() {
    assert_eq!(binary(16, Arc::new(BooleanArray::from(vec![true]))), [1]);
    assert_eq!(binary(21, Arc::new(Int16Array::from(vec![-2]))), (-2i16).to_be_bytes());
    assert_eq!(binary(20, Arc::new(Int64Array::from(vec![5]))), 5i64.to_be_bytes());
    // A count arrives as Int64 where the field says int4.
    assert_eq!(binary(23, Arc::new(Int64Array::from(vec![5]))), 5i32.to_be_bytes());
    assert_eq!(
        binary(701, Arc::new(Float64Array::from(vec![0.5]))),
        0.5f64.to_be_bytes()
    );
    assert_eq!(
        binary(1082, Arc::new(Date32Array::from(vec![10_957]))),
        0i32.to_be_bytes()
    );
    let year_2000 = TimestampNanosecondArray::from(vec![946_684_800_000_001_999]).with_timezone("UTC");
    assert_eq!(binary(1184, Arc::new(year_2000)), 1i64.to_be_bytes());
    assert_eq!(binary(3802, strings(&["{}"])), b"\x01{}");
    assert_eq!(binary(114, strings(&["{}"])), b"{}");
    let decimal = Decimal128Array::from(vec![12345])
        .with_precision_and_scale(10, 2)
        .unwrap();
    // Two groups of digits, weight 0, positive, scale 2: 123 and 4500.
    assert_eq!(
        binary(1700, Arc::new(decimal)),
        [0, 2, 0, 0, 0, 0, 0, 2, 0, 123, 0x11, 0x94]
    );
    assert_eq!(
        binary(1700, Arc::new(Int64Array::from(vec![-1]))),
        [0, 1, 0, 0, 0x40, 0, 0, 0, 0, 1]
    );
    let interval = IntervalMonthDayNano::new(14, 3, 1_999);
    let expected = [&1i64.to_be_bytes()[..], &3i32.to_be_bytes(), &14i32.to_be_bytes()].concat();
    assert_eq!(
        binary(1186, Arc::new(IntervalMonthDayNanoArray::from(vec![interval]))),
        expected
    );
    assert_eq!(
        binary(2950, strings(&["abababab-abab-abab-abab-abababababab"])),
        [0xab; 16]
    );
}

#[test]
fn arrays_quote_what_needs_it() {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for value in [Some("a"), Some("b c"), Some(""), None, Some("null"), Some("\"\\")] {
        builder.values().append_option(value);
    }
    builder.append(true);
    builder.append(true);
    builder.append(false);
    assert_eq!(
        text(1009, Arc::new(builder.finish())),
        [
            Some("{a,\"b c\",\"\",NULL,\"null\",\"\\\"\\\\\"}".to_owned()),
            Some("{}".to_owned()),
            None
        ]
    );
    let mut numbers = ListBuilder::new(Int64Builder::new());
    numbers.append_value([Some(1), None]);
    let numbers: ArrayRef = Arc::new(numbers.finish());
    assert_eq!(texts(1007, numbers.clone()), ["{1,NULL}"]);
    let words = [1i32, 1, 23, 2, 1, 4, 1, -1];
    let expected: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(binary(1007, numbers), expected);
    let mut keys = ListBuilder::new(Int16Builder::new());
    keys.append_value([Some(1), Some(2)]);
    let keys: ArrayRef = Arc::new(keys.finish());
    assert_eq!(texts(22, keys.clone()), ["1 2"]);
    assert_eq!(binary(22, keys)[16..20], [0; 4], "a vector counts from 0");
}

#[test]
fn arrays_within_arrays_have_their_dimensions() {
    let mut builder = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    builder.values().append_value([Some(1), Some(2)]);
    builder.values().append_value([Some(3), Some(4)]);
    builder.append(true);
    let array: ArrayRef = Arc::new(builder.finish());
    // The field's type is that of the elements' elements.
    let inner = Format::Text;
    let wire = WireType::Array {
        element_oid: 23,
        element: Box::new(WireType::of(1007)),
        vector: false,
    };
    let arranged = column::arrange(&array, &wire, inner).unwrap();
    let column = Column::new(&arranged, &wire).unwrap();
    let mut context = TextContext::new(STYLE);
    let mut out = Vec::new();
    column.write_text(0, &mut context, &mut out).unwrap();
    assert_eq!(out, b"{{1,2},{3,4}}");
    out.clear();
    column.write_binary(0, &mut context, &mut out).unwrap();
    let words = [2i32, 0, 23, 2, 1, 2, 1, 4, 1, 4, 2, 4, 3, 4, 4];
    assert_eq!(
        out,
        words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>()
    );
}

#[test]
fn a_value_that_does_not_fit_its_type_is_an_error() {
    let (batch, fields) = batch(&[(23, Arc::new(Int64Array::from(vec![i64::MAX])) as ArrayRef)]);
    let mut encoder = RowEncoder::data_rows(&fields, &[], STYLE);
    assert_eq!(
        encode_all(&mut encoder, &batch).unwrap_err().kind,
        ErrorKind::NumericValueOutOfRange
    );
}

#[test]
fn formats_follow_bind() {
    let one = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let (batch, fields) = batch(&[(23, one()), (23, one())]);
    let mut encoder = RowEncoder::data_rows(&fields, &[Format::Text, Format::Binary], STYLE);
    let rows = data_rows(&encode_all(&mut encoder, &batch).unwrap());
    assert_eq!(rows, [[Some(b"1".to_vec()), Some(vec![0, 0, 0, 1])]]);
}

#[test]
fn encoding_stops_where_the_buffer_is_full() {
    let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..100));
    let (batch, fields) = batch(&[(23, values)]);
    let mut encoder = RowEncoder::data_rows(&fields, &[], STYLE);
    let arrays = encoder.arrange(&batch).unwrap();
    let mut out = Vec::new();
    let mut next = 0;
    let mut rows = Vec::new();
    while next < 100 {
        next = encoder.encode(&arrays, next..100, &mut out, 50).unwrap();
        rows.append(&mut data_rows(&out));
        out.clear();
    }
    let expected: Vec<_> = (0..100)
        .map(|value| vec![Some(value.to_string().into_bytes())])
        .collect();
    assert_eq!(rows, expected);
}

fn copy(format: CopyFormat, columns: &[(u32, ArrayRef)]) -> String {
    let (batch, fields) = batch(columns);
    let mut out = Vec::new();
    copy_header_line(&fields, &format, &mut out).unwrap();
    let mut encoder = RowEncoder::copy_rows(&fields, format, STYLE);
    out.append(&mut encode_all(&mut encoder, &batch).unwrap());
    let mut text = String::new();
    let mut rest = &out[..];
    while !rest.is_empty() {
        assert_eq!(rest[0], b'd');
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        text.push_str(std::str::from_utf8(&rest[5..1 + length]).unwrap());
        rest = &rest[1 + length..];
    }
    text
}

#[test]
fn copy_escapes_text_and_quotes_csv() {
    let columns = || {
        [
            (25, Arc::new(StringArray::from(vec![Some("a\tb\\"), None])) as ArrayRef),
            (25, strings(&["x,\"y\"", ""])),
            (23, Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ]
    };
    let text_format = CopyFormat::Text {
        delimiter: b'\t',
        null: "\\N".into(),
        header: true,
    };
    assert_eq!(
        copy(text_format, &columns()),
        "c\tc\tc\na\\tb\\\\\tx,\"y\"\t1\n\\N\t\t2\n"
    );
    let csv = CopyFormat::Csv {
        delimiter: b',',
        quote: b'"',
        escape: b'"',
        null: String::new(),
        header: false,
    };
    assert_eq!(copy(csv, &columns()), "a\tb\\,\"x,\"\"y\"\"\",1\n,\"\",2\n");
}

#[test]
fn binary_copy_is_header_tuples_and_trailer() {
    let header = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    let (batch, fields) = batch(&[(23, Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef)]);
    let mut encoder = RowEncoder::copy_rows(&fields, CopyFormat::Binary, STYLE);
    let mut out = encode_all(&mut encoder, &batch).unwrap();
    encoder.end_copy(&mut out).unwrap();
    let expected = [
        b"d\0\0\0\x21",
        &header[..],
        b"\0\x01\0\0\0\x04\0\0\0\x01",
        b"d\0\0\0\x0a\0\x01\xff\xff\xff\xff",
        b"d\0\0\0\x06\xff\xff",
    ];
    assert_eq!(out, expected.concat());
    // Without rows, the header comes with the trailer.
    let mut encoder = RowEncoder::copy_rows(&fields, CopyFormat::Binary, STYLE);
    out.clear();
    encoder.end_copy(&mut out).unwrap();
    assert_eq!(out, [b"d\0\0\0\x19", &header[..], b"\xff\xff"].concat());
}

proptest! {
    #[test]
    fn numbers_and_text_come_back(
        rows in proptest::collection::vec((any::<Option<i64>>(), any::<Option<f64>>(), any::<Option<String>>()), 1..50),
    ) {
        let integers: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0)));
        let doubles: ArrayRef = Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.1)));
        let words: ArrayRef = Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row.2.as_deref())));
        let (batch, fields) = batch(&[(20, integers), (701, doubles), (25, words)]);
        let mut encoder = RowEncoder::data_rows(&fields, &[], STYLE);
        let text_rows = data_rows(&encode_all(&mut encoder, &batch).unwrap());
        let mut encoder = RowEncoder::data_rows(&fields, &[Format::Binary], STYLE);
        let binary_rows = data_rows(&encode_all(&mut encoder, &batch).unwrap());
        for (index, (integer, double, word)) in rows.iter().enumerate() {
            let text = |column: usize| text_rows[index][column].clone().map(|bytes| String::from_utf8(bytes).unwrap());
            prop_assert_eq!(text(0).map(|text| text.parse::<i64>().unwrap()), *integer);
            if !double.is_some_and(f64::is_nan) {
                prop_assert_eq!(text(1).map(|text| text.parse::<f64>().unwrap()), *double);
            }
            prop_assert_eq!(text(2), word.clone());
            let bits = binary_rows[index][1].clone().map(|bytes| f64::from_be_bytes(bytes.try_into().unwrap()).to_bits());
            prop_assert_eq!(bits, double.map(f64::to_bits));
            prop_assert_eq!(&binary_rows[index][2], &word.clone().map(String::into_bytes));
        }
    }
}
