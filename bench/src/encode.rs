//! Rows to the bytes of one way in: lines of COPY text, tuples of COPY binary, VALUES of an INSERT, parameters of a prepared one.
//!
//! Encoded before the clock runs, or on a thread of its own whose cost is told apart (`load.rs`).

use std::ops::Range;

use crate::data::{DataSet, Field, Kind, NULL, Rows, Table};
use crate::time::{TimeText, push_two};
use crate::wire::{message, push_bind_execute, push_string};

/// How rows travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// COPY … FROM STDIN, text.
    CopyText,
    /// COPY … FROM STDIN (FORMAT binary).
    CopyBinary,
    /// INSERT … VALUES with many rows.
    Insert,
    /// One prepared INSERT executed once for each row, many in flight, one Sync for all.
    Prepared,
    /// The same, each row a transaction of its own that is waited for.
    Single,
}

impl Way {
    /// Rows in one unit, which is sent and answered as a whole: what the loaders of published benchmarks use.
    pub fn unit_rows(self) -> usize {
        match self {
            Way::CopyText | Way::CopyBinary => 100_000,
            Way::Insert | Way::Prepared => 1_000,
            Way::Single => 1,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Way::CopyText => "COPY text",
            Way::CopyBinary => "COPY binary",
            Way::Insert => "multi-row INSERT",
            Way::Prepared => "pipelined prepared INSERT",
            Way::Single => "single-row commits",
        }
    }
}

/// One table's rows on one way.
pub struct Encoder<'a> {
    pub set: &'a DataSet,
    pub table: &'a Table,
    pub way: Way,
    /// Before a device's name, where names must be unique among tables.
    pub name_prefix: &'a str,
    /// `cpu (tbname, ts, usage_user, …)`
    pub target: &'a str,
    /// The tags of each device from `first_device` on, where rows bring them; empty where not.
    pub tags: &'a [Vec<String>],
    /// What these tags are.
    pub tag_kinds: &'a [Kind],
    pub first_device: u32,
}

/// Name of the prepared statement that loads this table.
pub fn prepared_name(table: &Table) -> String {
    format!("load_{}", table.name)
}

impl Encoder<'_> {
    /// The statement that takes rows on this way in; for prepared ones, what is parsed once.
    pub fn statement(&self) -> String {
        match self.way {
            Way::CopyText => format!("COPY {} FROM STDIN", self.target),
            Way::CopyBinary => format!("COPY {} FROM STDIN (FORMAT binary)", self.target),
            Way::Insert => format!("INSERT INTO {} VALUES ", self.target),
            Way::Prepared | Way::Single => {
                let places: Vec<String> = (1..=self.columns()).map(|place| format!("${place}")).collect();
                format!("INSERT INTO {} VALUES ({})", self.target, places.join(", "))
            }
        }
    }

    fn columns(&self) -> usize {
        let tags = if self.tags.is_empty() { 0 } else { self.tag_kinds.len() };
        2 + self.table.fields.len() + tags
    }

    /// The messages of one unit. Of COPY only the data: the statement goes first and waits for its answer.
    pub fn unit(&self, rows: &Rows, range: Range<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(range.len() * (24 + self.table.fields.len() * 12));
        match self.way {
            Way::CopyText => copy_data(&mut out, &self.text(rows, range)),
            Way::CopyBinary => copy_data(&mut out, &self.binary(rows, range)),
            Way::Insert => message(&mut out, b'Q', |out| {
                out.extend_from_slice(self.statement().as_bytes());
                self.push_values(out, rows, range);
                out.push(0);
            }),
            Way::Prepared | Way::Single => {
                let name = prepared_name(self.table);
                let columns = self.columns() as u16;
                for row in range {
                    push_bind_execute(&mut out, &name, columns, |out| self.push_binary_fields(out, rows, row));
                }
                message(&mut out, b'S', |_| {});
            }
        }
        out
    }

    /// Lines of COPY text: name, time, values, tags. ClickHouse and DuckDB read them from files.
    pub fn text(&self, rows: &Rows, range: Range<usize>) -> Vec<u8> {
        let width = self.table.fields.len();
        let mut out = Vec::with_capacity(range.len() * (40 + width * 6));
        let mut time = TimeText::default();
        for row in range {
            self.push_name(&mut out, rows.devices[row]);
            out.push(b'\t');
            out.extend_from_slice(time.of(rows.times[row]));
            for (field, value) in self.table.fields.iter().zip(rows.values_of(row, width)) {
                out.push(b'\t');
                match *value {
                    NULL => out.extend_from_slice(b"\\N"),
                    value => push_decimal(&mut out, value, field.decimals),
                }
            }
            for tag in self.tags_of(rows.devices[row]) {
                out.push(b'\t');
                out.extend_from_slice(tag.as_bytes());
            }
            out.push(b'\n');
        }
        out
    }

    fn binary(&self, rows: &Rows, range: Range<usize>) -> Vec<u8> {
        let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        let columns = self.columns() as u16;
        for row in range {
            out.extend_from_slice(&columns.to_be_bytes());
            self.push_binary_fields(&mut out, rows, row);
        }
        out.extend_from_slice(&(-1_i16).to_be_bytes());
        out
    }

    /// `('host_1','2026-01-01 00:00:10+00',1,2,…),(…`
    fn push_values(&self, out: &mut Vec<u8>, rows: &Rows, range: Range<usize>) {
        let width = self.table.fields.len();
        let mut time = TimeText::default();
        let first = range.start;
        for row in range {
            out.extend_from_slice(if row == first { b"('" } else { b",('" });
            self.push_name(out, rows.devices[row]);
            out.extend_from_slice(b"','");
            out.extend_from_slice(time.of(rows.times[row]));
            out.push(b'\'');
            for (field, value) in self.table.fields.iter().zip(rows.values_of(row, width)) {
                out.push(b',');
                match *value {
                    NULL => out.extend_from_slice(b"NULL"),
                    value => push_decimal(out, value, field.decimals),
                }
            }
            for tag in self.tags_of(rows.devices[row]) {
                out.extend_from_slice(b",'");
                out.extend_from_slice(tag.as_bytes());
                out.push(b'\'');
            }
            out.push(b')');
        }
    }

    /// A row's fields in PostgreSQL's binary form, each behind its length: what a COPY tuple and a Bind message share.
    fn push_binary_fields(&self, out: &mut Vec<u8>, rows: &Rows, row: usize) {
        /// 2000-01-01 in microseconds since 1970, where PostgreSQL's times begin.
        const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
        let width = self.table.fields.len();
        push_sized(out, |out| self.push_name(out, rows.devices[row]));
        push_sized(out, |out| {
            out.extend_from_slice(&(rows.times[row] - POSTGRES_EPOCH_MICROS).to_be_bytes());
        });
        for (field, value) in self.table.fields.iter().zip(rows.values_of(row, width)) {
            match *value {
                NULL => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                value => push_binary(out, field, value),
            }
        }
        for (kind, text) in self.tag_kinds.iter().zip(self.tags_of(rows.devices[row])) {
            push_sized(out, |out| match kind {
                Kind::Text => out.extend_from_slice(text.as_bytes()),
                Kind::Integer => out.extend_from_slice(&text.parse::<i32>().unwrap_or_default().to_be_bytes()),
                Kind::Real => out.extend_from_slice(&text.parse::<f32>().unwrap_or_default().to_be_bytes()),
                Kind::Double => out.extend_from_slice(&text.parse::<f64>().unwrap_or_default().to_be_bytes()),
            });
        }
    }

    fn push_name(&self, out: &mut Vec<u8>, device: u32) {
        out.extend_from_slice(self.name_prefix.as_bytes());
        out.extend_from_slice(self.set.device_prefix.as_bytes());
        push_whole(out, u64::from(device));
    }

    fn tags_of(&self, device: u32) -> &[String] {
        match self.tags {
            [] => &[],
            tags => &tags[(device - self.first_device) as usize],
        }
    }
}

/// CopyData messages of 64 KiB, as libpq sends large COPY data.
fn copy_data(out: &mut Vec<u8>, payload: &[u8]) {
    for chunk in payload.chunks(65_536) {
        message(out, b'd', |out| out.extend_from_slice(chunk));
    }
}

fn push_sized(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// The double that `value` of a field's smallest units stands for: correctly rounded, both parts being exact.
pub fn as_double(field: &Field, value: i64) -> f64 {
    value as f64 / 10_f64.powi(field.decimals as i32)
}

fn push_binary(out: &mut Vec<u8>, field: &Field, value: i64) {
    match field.kind {
        Kind::Integer => {
            out.extend_from_slice(&4_u32.to_be_bytes());
            out.extend_from_slice(&(value as i32).to_be_bytes());
        }
        Kind::Real => {
            out.extend_from_slice(&4_u32.to_be_bytes());
            out.extend_from_slice(&(as_double(field, value) as f32).to_be_bytes());
        }
        Kind::Double | Kind::Text => {
            out.extend_from_slice(&8_u32.to_be_bytes());
            out.extend_from_slice(&as_double(field, value).to_be_bytes());
        }
    }
}

fn push_whole(out: &mut Vec<u8>, value: u64) {
    if value < 100 {
        if value >= 10 {
            push_two(out, value);
        } else {
            out.push(b'0' + value as u8);
        }
        return;
    }
    push_whole(out, value / 100);
    push_two(out, value % 100);
}

/// `-12.5` for -1250 with two decimals: as short as a double's text.
fn push_decimal(out: &mut Vec<u8>, value: i64, decimals: u32) {
    if value < 0 {
        out.push(b'-');
    }
    let value = value.unsigned_abs();
    if decimals == 0 {
        return push_whole(out, value);
    }
    let unit = 10_u64.pow(decimals);
    push_whole(out, value / unit);
    let mut rest = value % unit;
    if rest == 0 {
        return;
    }
    out.push(b'.');
    let mut place = unit / 10;
    while rest > 0 {
        out.push(b'0' + (rest / place) as u8);
        rest %= place;
        place /= 10;
    }
}

/// The messages that prepare `statement` under `name`.
pub fn parse_messages(name: &str, statement: &str) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'P', |out| {
        push_string(out, name);
        push_string(out, statement);
        out.extend_from_slice(&[0, 0]);
    });
    message(&mut out, b'S', |_| {});
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Order, Stream};

    fn rows_of(set: &DataSet) -> Rows {
        let mut rows = vec![Rows::default(); set.tables.len()];
        Stream::new(set, 123, 0..12, 1, Order::IN_ORDER).tick(&mut rows);
        rows.remove(0)
    }

    fn encoder<'a>(set: &'a DataSet, way: Way, tags: &'a [Vec<String>]) -> Encoder<'a> {
        Encoder {
            set,
            table: &set.tables[0],
            way,
            name_prefix: "",
            target: "t (name, ts)",
            tags,
            tag_kinds: &[Kind::Integer, Kind::Text],
            first_device: 0,
        }
    }

    #[test]
    fn decimals_are_as_short_as_they_can_be() {
        let text = |value, decimals| {
            let mut out = Vec::new();
            push_decimal(&mut out, value, decimals);
            String::from_utf8(out).expect("digits are text")
        };
        assert_eq!(text(0, 0), "0");
        assert_eq!(text(1_234_567, 0), "1234567");
        assert_eq!(text(-1_250, 2), "-12.5");
        assert_eq!(text(1_000, 2), "10");
        assert_eq!(text(5, 5), "0.00005");
    }

    #[test]
    fn text_and_binary_say_the_same_numbers() {
        let set = DataSet::by_name("iot").expect("iot is in the list");
        let rows = rows_of(&set);
        let text =
            String::from_utf8(encoder(&set, Way::CopyText, &[]).text(&rows, 0..rows.len())).expect("COPY text is text");
        for (row, line) in text.lines().enumerate() {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(fields[0], format!("truck_{}", rows.devices[row]));
            assert_eq!(fields[1], "2026-01-01 00:00:00+00");
            for (place, field) in set.tables[0].fields.iter().enumerate() {
                match rows.values_of(row, 7)[place] {
                    NULL => assert_eq!(fields[2 + place], "\\N"),
                    value => assert_eq!(fields[2 + place].parse::<f64>(), Ok(as_double(field, value))),
                }
            }
        }
    }

    #[test]
    fn an_insert_has_a_row_for_each_row_and_tags_where_asked() {
        let set = DataSet::by_name("meters").expect("meters is in the list");
        let rows = rows_of(&set);
        let tags: Vec<Vec<String>> = (0..12).map(|device| set.tag_values(0, 123, device)).collect();
        let unit = encoder(&set, Way::Insert, &tags).unit(&rows, 0..rows.len());
        let text = String::from_utf8_lossy(&unit[5..unit.len() - 1]).into_owned();
        assert!(
            text.starts_with("INSERT INTO t (name, ts) VALUES ('d0','2026-01-01 00:00:00+00',"),
            "{text}"
        );
        assert_eq!(text.matches("'California.").count(), 12);
    }
}
