//! Data sets: what devices are there, what they report, how their values move. One file for each, one list of all.
//!
//!     DataSet -> Stream (rows of some devices, tick by tick) -> encode.rs (bytes of one way in)
//!
//! A value is a whole number of its field's smallest unit (`decimals`), so that text, binary form and checksums agree to the last bit.

mod cpu;
mod devops;
mod iot;
mod law;
mod meters;
mod stream;
mod tsm;

pub use iot::FLEETS;
use law::{Law, Start, Step};
pub use stream::{LOST_TOGETHER, NULL, Order, Rows, Stream, Totals};

use crate::random::Random;

/// 2026-01-01 00:00:00 UTC: where every data set begins. Within KEEP for years, and never in the future.
pub const START_MICROS: i64 = 1_767_225_600_000_000;

/// A data set's name on the command line, and its description.
type Member = (&'static str, fn() -> DataSet);

/// Every data set.
pub const DATA_SETS: [Member; 5] = [
    ("cpu-only", cpu::data_set),
    ("devops", devops::data_set),
    ("iot", iot::data_set),
    ("meters", meters::data_set),
    ("tsm", tsm::data_set),
];

pub struct DataSet {
    pub name: &'static str,
    /// `host_` in `host_17`.
    pub device_prefix: &'static str,
    /// Time between two ticks.
    pub step_micros: i64,
    pub tables: Vec<Table>,
    /// TSBS iot: entries get lost, come a little late, and lack a field.
    pub is_lossy: bool,
}

/// A measurement: one row of each device in each tick.
pub struct Table {
    pub name: &'static str,
    pub fields: Vec<Field>,
    pub tags: Vec<Tag>,
    /// The tags' values of one device, in the order of `tags`.
    pub tag_values: fn(u32, &mut Random) -> Vec<String>,
}

pub struct Tag {
    pub name: &'static str,
    pub kind: Kind,
}

pub struct Field {
    pub name: String,
    pub kind: Kind,
    /// Digits behind the point; what lies beyond is cut off.
    pub decimals: u32,
    pub law: Law,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Double,
    Real,
    Integer,
    Text,
}

impl DataSet {
    pub fn by_name(name: &str) -> Option<DataSet> {
        let (_, make) = DATA_SETS.iter().find(|(known, _)| *known == name)?;
        Some(make())
    }

    pub fn device_name(&self, device: u32) -> String {
        format!("{}{device}", self.device_prefix)
    }

    /// The tags of one device of one table; the tables of a device share those they have in common.
    pub fn tag_values(&self, table: usize, seed: u64, device: u32) -> Vec<String> {
        // One sequence per device for all tables: a host's region is the same in cpu and in mem.
        (self.tables[table].tag_values)(device, &mut Random::new(seed, &[TAG_PATH, u64::from(device)]))
    }
}

/// Keeps the sequences of tags apart from those of values.
const TAG_PATH: u64 = 0x7467;

fn field(name: &str, law: Law) -> Field {
    Field {
        name: name.to_owned(),
        kind: Kind::Double,
        decimals: 0,
        law,
    }
}

fn text_tags(names: &[&'static str]) -> Vec<Tag> {
    names.iter().map(|name| Tag { name, kind: Kind::Text }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_sets_have_the_fields_that_were_published() {
        let counts: Vec<(&str, Vec<(&str, usize)>)> = DATA_SETS
            .iter()
            .map(|(name, make)| {
                let tables = make()
                    .tables
                    .iter()
                    .map(|table| (table.name, table.fields.len()))
                    .collect();
                (*name, tables)
            })
            .collect();
        let devops = vec![
            ("cpu", 10),
            ("diskio", 7),
            ("disk", 7),
            ("kernel", 6),
            ("mem", 9),
            ("net", 8),
            ("nginx", 7),
            ("postgresl", 16),
            ("redis", 31),
        ];
        assert_eq!(devops.iter().map(|(_, fields)| fields).sum::<usize>(), 101);
        assert_eq!(
            counts,
            [
                ("cpu-only", vec![("cpu", 10)]),
                ("devops", devops),
                ("iot", vec![("readings", 7), ("diagnostics", 3)]),
                ("meters", vec![("meters", 3)]),
                ("tsm", vec![("stations", 100)]),
            ]
        );
    }

    #[test]
    fn a_device_has_the_same_tags_whenever_and_wherever_it_is_asked() {
        let devops = DataSet::by_name("devops").expect("devops is in the list");
        let cpu = devops.tag_values(0, 123, 7);
        let mem = devops.tag_values(4, 123, 7);
        assert_eq!(cpu, mem);
        assert_eq!(cpu.len(), devops.tables[0].tags.len());
        assert_ne!(cpu, devops.tag_values(0, 123, 8));
    }
}
