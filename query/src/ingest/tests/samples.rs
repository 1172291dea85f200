//! Random rows, written in every format and cut anywhere, are read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array};
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;

use super::super::copy::CopyFormat;
use super::super::names::Names;
use super::{FakeNames, Row, copy, csv_format, inserted, text_format};

/// A random row for table, time and the nine metrics.
#[derive(Clone, Debug)]
struct Sample {
    table: u8,
    microseconds: i64,
    current: Option<f64>,
    voltage: Option<i32>,
    phase: Option<f32>,
    note: Option<String>,
    ok: Option<bool>,
    price: Option<i32>,
    seen: Option<i64>,
    day: Option<i32>,
    raw: Option<Vec<u8>>,
}

const SAMPLE_COLUMNS: [&str; 11] = [
    "note", "ts", "current", "tbname", "voltage", "phase", "ok", "price", "seen", "day", "raw",
];

fn sample() -> impl Strategy<Value = Sample> {
    let second = 1_600_000_000i64..1_800_000_000;
    let metrics = (
        proptest::option::of(prop_oneof![
            any::<f64>().prop_filter("finite, and a zero has no sign in SQL", |v| v.is_finite() && *v != 0.0),
            (-999i32..999).prop_map(|v| f64::from(v) / 10.0)
        ]),
        proptest::option::of(any::<i32>()),
        proptest::option::of(prop_oneof![
            -1000f32..1000.0,
            any::<f32>().prop_filter("finite", |v| v.is_finite() && *v != 0.0)
        ]),
        proptest::option::of("[ -~äé€\n\r\t\\\\\",]{0,12}"),
        proptest::option::of(any::<bool>()),
        proptest::option::of(-9_999_999i32..9_999_999),
        proptest::option::of(0i64..4_000_000_000_000_000),
        proptest::option::of(-20_000i32..40_000),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
    );
    (0u8..14, second, 0i64..1_000_000, metrics).prop_map(|(table, second, fraction, metrics)| {
        let (current, voltage, phase, note, ok, price, seen, day, raw) = metrics;
        Sample {
            table,
            microseconds: second * 1_000_000 + fraction,
            current,
            voltage,
            phase,
            note,
            ok,
            price,
            seen,
            day,
            raw,
        }
    })
}

fn time_text(microseconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(microseconds).unwrap();
    time.format("%Y-%m-%d %H:%M:%S%.f").to_string()
}

impl Sample {
    /// Its fields as text, before a format escapes them, in the order of `SAMPLE_COLUMNS`.
    fn fields(&self) -> Vec<Option<String>> {
        vec![
            self.note.clone(),
            Some(time_text(self.microseconds) + "+00"),
            self.current.map(|value| value.to_string()),
            Some(format!("d{}", self.table)),
            self.voltage.map(|value| value.to_string()),
            self.phase.map(|value| value.to_string()),
            self.ok.map(|value| if value { "t" } else { "f" }.to_owned()),
            self.price.map(price_text),
            self.seen.map(time_text),
            self.day.map(day_text),
            self.raw.as_ref().map(|bytes| format!("\\x{}", hex(bytes))),
        ]
    }

    fn binary_fields(&self) -> Vec<Option<Vec<u8>>> {
        let since_2000 = |microseconds: i64| (microseconds - 946_684_800_000_000).to_be_bytes().to_vec();
        vec![
            self.note.clone().map(String::into_bytes),
            Some(since_2000(self.microseconds)),
            self.current.map(|value| value.to_be_bytes().to_vec()),
            Some(format!("d{}", self.table).into_bytes()),
            self.voltage.map(|value| value.to_be_bytes().to_vec()),
            self.phase.map(|value| value.to_be_bytes().to_vec()),
            self.ok.map(|value| vec![u8::from(value)]),
            self.price.map(binary_price),
            self.seen.map(since_2000),
            self.day.map(|days| (days - 10_957).to_be_bytes().to_vec()),
            self.raw.clone(),
        ]
    }

    fn row(&self) -> Row {
        let mut values = BTreeMap::new();
        let mut put = |id: u16, value: Option<String>| {
            if let Some(value) = value {
                values.insert(id, value);
            }
        };
        put(1, self.current.map(|value| shown(Float64Array::from(vec![value]))));
        put(2, self.voltage.map(|value| value.to_string()));
        put(3, self.phase.map(|value| shown(Float32Array::from(vec![value]))));
        put(4, self.note.clone());
        put(5, self.ok.map(|value| value.to_string()));
        put(6, self.price.map(price_text));
        put(7, self.seen.map(|value| time_text(value).replace(' ', "T")));
        put(8, self.day.map(day_text));
        put(9, self.raw.as_ref().map(|bytes| hex(bytes)));
        (format!("d{}", self.table), self.microseconds, values)
    }
}

/// A value as Arrow displays it, so that the comparison is about values and not about how they are written.
fn shown(array: impl Array + 'static) -> String {
    let array: ArrayRef = Arc::new(array);
    array_value_to_string(&array, 0).unwrap()
}

fn price_text(cents: i32) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}

fn binary_price(cents: i32) -> Vec<u8> {
    let magnitude = cents.unsigned_abs();
    let digits = [
        magnitude / 100 / 10_000,
        magnitude / 100 % 10_000,
        magnitude % 100 * 100,
    ];
    let sign: u16 = if cents < 0 { 0x4000 } else { 0 };
    let mut bytes = Vec::new();
    for word in [3u16, 1, sign, 2]
        .into_iter()
        .chain(digits.into_iter().map(|digit| digit as u16))
    {
        bytes.extend(word.to_be_bytes());
    }
    bytes
}

fn day_text(days: i32) -> String {
    chrono::NaiveDate::from_epoch_days(days).unwrap().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn render_text(samples: &[Sample]) -> Vec<u8> {
    let mut data = String::new();
    for sample in samples {
        let fields: Vec<String> = sample
            .fields()
            .into_iter()
            .map(|field| match field {
                None => "\\N".to_owned(),
                Some(text) => text
                    .replace('\\', "\\\\")
                    .replace('\t', "\\t")
                    .replace('\n', if text.len() % 2 == 0 { "\\n" } else { "\\\n" })
                    .replace('\r', "\\r"),
            })
            .collect();
        data.push_str(&fields.join("\t"));
        data.push('\n');
    }
    data.into_bytes()
}

fn render_csv(samples: &[Sample]) -> Vec<u8> {
    let mut data = String::new();
    for (number, sample) in samples.iter().enumerate() {
        let fields: Vec<String> = sample
            .fields()
            .into_iter()
            .map(|field| match field {
                None => String::new(),
                Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) || number % 3 == 0 => {
                    format!("\"{}\"", text.replace('"', "\"\""))
                }
                Some(text) => text,
            })
            .collect();
        data.push_str(&fields.join(","));
        data.push_str(if number % 2 == 0 { "\r\n" } else { "\n" });
    }
    data.into_bytes()
}

fn render_binary(samples: &[Sample]) -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x03ext".to_vec();
    for sample in samples {
        let fields = sample.binary_fields();
        data.extend((fields.len() as i16).to_be_bytes());
        for field in fields {
            match field {
                None => data.extend((-1i32).to_be_bytes()),
                Some(bytes) => {
                    data.extend((bytes.len() as i32).to_be_bytes());
                    data.extend(bytes);
                }
            }
        }
    }
    data.extend((-1i16).to_be_bytes());
    data
}

/// As a VALUES list.
fn render_values(samples: &[Sample]) -> String {
    let mut sql = format!("INSERT INTO meters ({}) VALUES ", SAMPLE_COLUMNS.join(", "));
    for (number, sample) in samples.iter().enumerate() {
        let fields: Vec<String> = sample
            .fields()
            .into_iter()
            .enumerate()
            .map(|(column, field)| match field {
                None => "NULL".to_owned(),
                Some(text) if matches!(column, 2 | 4 | 5 | 7) => text,
                Some(text) if matches!(column, 6) => (text == "t").to_string(),
                Some(text) if number % 2 == 0 => format!("'{}'", text.replace('\'', "''")),
                Some(text) => format!("$q${text}$q$"),
            })
            .collect();
        sql.push_str(if number > 0 { ", (" } else { "(" });
        sql.push_str(&fields.join(if number % 2 == 0 { "," } else { " , " }));
        sql.push(')');
    }
    sql
}

/// What the rows must be, by vnode and then in their order.
fn expected(samples: &[Sample]) -> Vec<Row> {
    let mut by_vnode: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
    for sample in samples {
        let name = format!("d{}", sample.table);
        let vnode = match FakeNames.find(&name) {
            Some(child) => child.series.vnode,
            None => FakeNames.place(&name).unwrap(),
        };
        by_vnode.entry(vnode).or_default().push(sample.row());
    }
    by_vnode.into_values().flatten().collect()
}

/// Cuts data at these places.
fn pieces<'a>(data: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (data.len() + 1)).collect();
    cuts.extend([0, data.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &data[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the format and wherever the data is cut, the same rows come out.
    #[test]
    fn all_formats_give_the_same_rows(samples in proptest::collection::vec(sample(), 1..12),
                                      cuts in proptest::collection::vec(any::<usize>(), 0..12)) {
        let wanted = expected(&samples);
        for (format, data) in [
            (text_format(), render_text(&samples)),
            (csv_format(), render_csv(&samples)),
            (CopyFormat::Binary, render_binary(&samples)),
        ] {
            let (rows, count) = copy(&format, &SAMPLE_COLUMNS, &pieces(&data, &cuts)).unwrap();
            prop_assert_eq!(&rows, &wanted, "{:?}", format);
            prop_assert_eq!(count, samples.len() as u64);
        }
        prop_assert_eq!(inserted(&render_values(&samples), &[], &[]).unwrap(), wanted);
    }

    /// Nothing a client sends makes a reader panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\t'), Just(b'\n'), Just(b','), Just(b'"'), Just(b'\\')], 0..200),
                                     cuts in proptest::collection::vec(any::<usize>(), 0..4)) {
        for format in [text_format(), csv_format(), CopyFormat::Binary] {
            let _ = copy(&format, &["tbname", "ts", "voltage"], &pieces(&bytes, &cuts));
        }
        let framed = [&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..], &bytes].concat();
        let _ = copy(&CopyFormat::Binary, &["tbname", "ts", "voltage"], &pieces(&framed, &cuts));
    }
}
