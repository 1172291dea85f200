//! TSBS cpu-only: hosts that report ten metrics every ten seconds, each a random walk between 0 and 100 by about one, cut to whole numbers.

use super::{DataSet, Field, Law, Start, Step, Table, field, text_tags};
use crate::random::Random;

pub fn data_set() -> DataSet {
    DataSet {
        name: "cpu-only",
        device_prefix: "host_",
        step_micros: 10_000_000,
        tables: vec![cpu()],
        is_lossy: false,
    }
}

pub const FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

pub fn cpu() -> Table {
    let fields = FIELDS.iter().map(|name| usage(name)).collect();
    Table {
        name: "cpu",
        fields,
        tags: text_tags(&HOST_TAGS),
        tag_values: host_tags,
    }
}

fn usage(name: &str) -> Field {
    let law = Law::Clamped {
        step: Step::Normal(0.0, 1.0),
        low: 0.0,
        high: 100.0,
        start: Start::Below(100.0),
    };
    field(name, law)
}

/// Tags of every host besides its name.
pub const HOST_TAGS: [&str; 9] = [
    "region",
    "datacenter",
    "rack",
    "os",
    "arch",
    "team",
    "service",
    "service_version",
    "service_environment",
];

const REGIONS: [(&str, &str); 9] = [
    ("us-east-1", "abce"),
    ("us-west-1", "ab"),
    ("us-west-2", "abc"),
    ("eu-west-1", "abc"),
    ("eu-central-1", "ab"),
    ("ap-southeast-1", "ab"),
    ("ap-southeast-2", "ab"),
    ("ap-northeast-1", "ac"),
    ("sa-east-1", "abc"),
];

pub fn host_tags(_host: u32, random: &mut Random) -> Vec<String> {
    let (region, zones) = *random.pick(&REGIONS);
    let zone = *random.pick(zones.as_bytes()) as char;
    vec![
        region.to_owned(),
        format!("{region}{zone}"),
        random.below(100).to_string(),
        (*random.pick(&["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"])).to_owned(),
        (*random.pick(&["x64", "x86"])).to_owned(),
        (*random.pick(&["SF", "NYC", "LON", "CHI"])).to_owned(),
        random.below(20).to_string(),
        random.below(2).to_string(),
        (*random.pick(&["production", "staging", "test"])).to_owned(),
    ]
}
