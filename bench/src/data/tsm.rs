//! Data like TSM-Bench's: hydrological stations with a hundred sensors every ten seconds. Half of them repeat their value most of the time, as
//! water temperatures do, half walk and jump, as levels do.

use super::{DataSet, Field, Kind, Law, Start, Step, Table, Tag};

/// Sensors of a station: s0 to s99.
pub const SENSORS: usize = 100;

pub fn data_set() -> DataSet {
    let fields = (0..SENSORS)
        .map(|sensor| Field {
            name: format!("s{sensor}"),
            kind: Kind::Double,
            decimals: if sensor % 2 == 0 { 2 } else { 6 },
            law: if sensor % 2 == 0 { TEMPERATURE } else { LEVEL },
        })
        .collect();
    DataSet {
        name: "tsm",
        device_prefix: "st",
        step_micros: 10_000_000,
        tables: vec![Table {
            name: "stations",
            fields,
            tags: vec![Tag {
                name: "id_station",
                kind: Kind::Integer,
            }],
            tag_values: |station, _| vec![station.to_string()],
        }],
        is_lossy: false,
    }
}

/// Degrees; nine in ten samples repeat the one before.
const TEMPERATURE: Law = Law::Repeats {
    chance: 0.9,
    step: Step::Normal(0.0, 0.05),
    low: 0.0,
    high: 25.0,
};

/// Metres above the sea, with waves.
const LEVEL: Law = Law::Clamped {
    step: Step::Normal(0.0, 0.002),
    low: 300.0,
    high: 700.0,
    start: Start::OneOf(&[372.0, 406.0, 429.0, 433.0, 558.0]),
};
