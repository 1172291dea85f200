//! TSBS iot: trucks that report where they are and how they are. Entries get lost, come late by a few, and lack a field now and then.
//!
//! Left out of what TSBS does: one tag in a hundred is null there, and a reading without its truck's name belongs to no device.

use super::{DataSet, Field, Kind, Law, Start, Step, Table, Tag};
use crate::random::Random;

pub fn data_set() -> DataSet {
    DataSet {
        name: "iot",
        device_prefix: "truck_",
        step_micros: 10_000_000,
        tables: vec![readings(), diagnostics()],
        is_lossy: true,
    }
}

fn field(name: &str, decimals: u32, law: Law) -> Field {
    Field {
        name: name.to_owned(),
        kind: Kind::Double,
        decimals,
        law,
    }
}

fn walk(reach: f64, low: f64, high: f64, start: Start) -> Law {
    Law::Clamped {
        step: Step::Uniform(-reach, reach),
        low,
        high,
        start,
    }
}

fn readings() -> Table {
    let fields = vec![
        field("latitude", 5, walk(0.005, -90.0, 90.0, Start::Below(90.0))),
        field("longitude", 5, walk(0.005, -180.0, 180.0, Start::Below(180.0))),
        field("elevation", 0, walk(10.0, 0.0, 5_000.0, Start::Below(500.0))),
        field("velocity", 0, walk(10.0, 0.0, 100.0, Start::At(0.0))),
        field("heading", 0, walk(5.0, 0.0, 360.0, Start::Below(360.0))),
        field("grade", 0, walk(5.0, 0.0, 100.0, Start::At(0.0))),
        field("fuel_consumption", 1, walk(5.0, 0.0, 50.0, Start::At(25.0))),
    ];
    Table {
        name: "readings",
        fields,
        tags: truck_tags(),
        tag_values: truck,
    }
}

fn diagnostics() -> Table {
    let status = Law::Clamped {
        step: Step::Normal(0.0, 1.0),
        low: 0.0,
        high: 5.0,
        start: Start::At(0.0),
    };
    let load = Law::Jumps {
        chance: 0.95,
        to: Step::Uniform(0.0, 5_000.0),
    };
    let fields = vec![
        field("fuel_state", 1, Law::Tank { use_max: 0.001 }),
        field("current_load", 0, load),
        Field {
            kind: Kind::Integer,
            ..field("status", 0, status)
        },
    ];
    Table {
        name: "diagnostics",
        fields,
        tags: truck_tags(),
        tag_values: truck,
    }
}

pub const FLEETS: [&str; 4] = ["East", "West", "North", "South"];
const DRIVERS: [&str; 6] = ["Derek", "Rodney", "Albert", "Andy", "Seth", "Trish"];
/// Model, load capacity, fuel capacity, nominal fuel consumption.
const MODELS: [[&str; 4]; 3] = [
    ["F-150", "2000", "200", "15"],
    ["G-2000", "5000", "300", "19"],
    ["H-2", "1500", "150", "12"],
];
const DEVICE_VERSIONS: [&str; 4] = ["v1.0", "v1.5", "v2.0", "v2.3"];

fn truck_tags() -> Vec<Tag> {
    let text = |name| Tag { name, kind: Kind::Text };
    let number = |name| Tag {
        name,
        kind: Kind::Double,
    };
    vec![
        text("fleet"),
        text("driver"),
        text("model"),
        number("load_capacity"),
        number("fuel_capacity"),
        number("nominal_fuel_consumption"),
        text("device_version"),
    ]
}

fn truck(_truck: u32, random: &mut Random) -> Vec<String> {
    let fleet = *random.pick(&FLEETS);
    let driver = *random.pick(&DRIVERS);
    let model = *random.pick(&MODELS);
    let version = *random.pick(&DEVICE_VERSIONS);
    let mut values = vec![fleet, driver];
    values.extend(model);
    values.push(version);
    values.into_iter().map(str::to_owned).collect()
}
