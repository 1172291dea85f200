//! taosBenchmark's meters: current, voltage and phase of electricity meters, every second, each drawn afresh from ten values.
//!
//! Unlike taosBenchmark no two meters share a pool of rows, which would make them look more compressible than they are.

use super::{DataSet, Field, Kind, Law, Step, Table, Tag};
use crate::random::Random;

pub fn data_set() -> DataSet {
    let field = |name: &str, kind, decimals, law| Field {
        name: name.to_owned(),
        kind,
        decimals,
        law,
    };
    let draw = Law::Fresh(Step::Uniform(105.0, 115.0));
    let fields = vec![
        // 9.8 + 0.04 * (r % 10) of the draw that makes the voltage; the small addition keeps 9.84 from being cut to 9.83.
        field(
            "current",
            Kind::Real,
            2,
            Law::Derived(|meter| 9.8 + 0.04 * (meter[1].floor() - 105.0) + 1e-9),
        ),
        field("voltage", Kind::Integer, 0, draw),
        field("phase", Kind::Real, 6, Law::Derived(|meter| meter[1].floor() / 360.0)),
    ];
    let tags = vec![
        Tag {
            name: "groupid",
            kind: Kind::Integer,
        },
        Tag {
            name: "location",
            kind: Kind::Text,
        },
    ];
    DataSet {
        name: "meters",
        device_prefix: "d",
        step_micros: 1_000_000,
        tables: vec![Table {
            name: "meters",
            fields,
            tags,
            tag_values: place,
        }],
        is_lossy: false,
    }
}

const CITIES: [&str; 10] = [
    "San Francisco",
    "Los Angles",
    "San Diego",
    "San Jose",
    "Palo Alto",
    "Campbell",
    "Mountain View",
    "Sunnyvale",
    "Santa Clara",
    "Cupertino",
];

fn place(_meter: u32, random: &mut Random) -> Vec<String> {
    vec![
        (1 + random.below(10)).to_string(),
        format!("California.{}", random.pick(&CITIES)),
    ]
}
