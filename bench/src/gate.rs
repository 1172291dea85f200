//! `make bench-gate`: whether a change made the server slower. Compared are CPU seconds of the server, not wall time, so that others at work on
//! the machine disturb little, each as a ratio to a calibration that this program runs beside it, so that another machine's baseline still means
//! something.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::ask::{Pace, ask};
use crate::data::{DataSet, Order};
use crate::encode::Way;
use crate::load::{Plan, load};
use crate::process::thread_cpu_seconds;
use crate::queries::{Extent, Protocol, chosen};
use crate::random::Random;
use crate::run::work_directory;
use crate::system::{Programs, Started, System};

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    programs: Programs,
    /// The figures to compare with
    #[arg(long, value_name = "FILE", default_value = "bench/baseline.json")]
    baseline: PathBuf,
    /// Records what is measured now as the baseline
    #[arg(long)]
    record: bool,
    /// Fails where a figure is higher than the baseline's by more than this share
    #[arg(long, default_value_t = 0.15)]
    margin: f64,
    /// Makes everything smaller or larger; a baseline is compared at its own scale only
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// CPU seconds of the server over CPU seconds of the calibration, by case.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Baseline {
    scale: f64,
    ratios: BTreeMap<String, f64>,
}

/// Loads and questions of the gate with rows or askings at scale 1: each takes a CPU second or so, a hundred ticks of the clock that is read.
/// Together within two minutes on two cores.
const LOADS: [(Way, &str, u64); 3] = [
    (Way::CopyText, "gate_copy", 2_000_000),
    (Way::Insert, "gate_insert", 1_000_000),
    (Way::Prepared, "gate_prepared", 750_000),
];
const QUERIES: [(&str, u64); 5] = [
    ("single-groupby-1-1-1", 5_000),
    ("double-groupby-5", 15),
    ("lastpoint", 1_000),
    ("high-cpu-1", 8_000),
    ("groupby-orderby-limit", 50),
];
const HOSTS: u32 = 4_000;
const ROUNDS: usize = 5;

pub async fn gate(arguments: &Arguments) -> Result<()> {
    let work = work_directory(&arguments.programs)?;
    let measured = measure(arguments, &work).await;
    let _ = std::fs::remove_dir_all(&work);
    let measured = measured?;
    if arguments.record {
        std::fs::write(&arguments.baseline, serde_json::to_string_pretty(&measured)? + "\n")?;
        println!("recorded in {}", arguments.baseline.display());
        return Ok(());
    }
    let text = std::fs::read_to_string(&arguments.baseline)
        .map_err(|error| format!("{}: {error}; record one by --record", arguments.baseline.display()))?;
    let baseline: Baseline = serde_json::from_str(&text)?;
    let slower = compare(&baseline, &measured, arguments.margin)?;
    match slower.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "slower than the baseline by more than {:.0} %: {}",
            arguments.margin * 100.0,
            slower.join(", ")
        )
        .into()),
    }
}

/// Prints the comparison; the cases that are slower by more than the margin.
fn compare(baseline: &Baseline, measured: &Baseline, margin: f64) -> Result<Vec<String>> {
    if baseline.scale != measured.scale {
        return Err(format!(
            "the baseline is of scale {}, this run of {}",
            baseline.scale, measured.scale
        )
        .into());
    }
    println!("| case | baseline | now | change |\n|---|---|---|---|");
    let mut slower = Vec::new();
    for (case, now) in &measured.ratios {
        let Some(before) = baseline.ratios.get(case) else {
            println!("| {case} | - | {now:.3} | new |");
            continue;
        };
        if *before <= 0.0 {
            println!("| {case} | {before:.3} | {now:.3} | too short to compare |");
            continue;
        }
        let change = now / before - 1.0;
        println!("| {case} | {before:.3} | {now:.3} | {:+.0} % |", change * 100.0);
        if change > margin {
            slower.push(case.clone());
        }
    }
    for case in baseline
        .ratios
        .keys()
        .filter(|case| !measured.ratios.contains_key(*case))
    {
        slower.push(format!("{case} (not measured any more)"));
    }
    Ok(slower)
}

async fn measure(arguments: &Arguments, work: &std::path::Path) -> Result<Baseline> {
    let Started::Runs(system) = System::start("taospg", &arguments.programs, work)? else {
        return Err(format!("{} does not start", arguments.programs.server.display()).into());
    };
    let calibration = Calibration::new(arguments.scale);
    let mut ratios: BTreeMap<String, f64> = BTreeMap::new();
    // The least of the rounds counts: what others do on the machine only ever adds.
    let mut add = |case: String, cpu_seconds: f64, unit_seconds: f64| {
        let ratio = cpu_seconds.max(CLOCK_SECONDS) / unit_seconds;
        let least = ratios.entry(case).or_insert(f64::INFINITY);
        *least = least.min(ratio);
    };
    let set = Arc::new(DataSet::by_name("cpu-only").ok_or("cpu-only is in the list")?);
    let ticks = |rows: u64| ((rows as f64 * arguments.scale) as i64 / i64::from(HOSTS)).max(1);
    for (way, database, rows) in LOADS {
        let plan = Plan {
            set: set.clone(),
            seed: 123,
            devices: HOSTS,
            ticks: ticks(rows),
            order: Order::IN_ORDER,
            way,
            unit_rows: way.unit_rows(),
            connections: 2,
            tags_in_rows: false,
            settles: true,
        };
        for round in 0..ROUNDS {
            if round > 0 {
                system.drop_database(database, &plan.set).await?;
            }
            let before = calibration.cpu_seconds();
            let figures = load(&system, database, &plan).await?;
            let unit = (before + calibration.cpu_seconds()) / 2.0;
            // With what was put off while rows came in, files to be written and merged: how much of that is done meanwhile is chance.
            let used = figures.server_cpu_seconds.unwrap_or(0.0) + figures.settle_cpu_seconds.unwrap_or(0.0);
            add(format!("load: {}", way.title()), used, unit);
        }
    }
    let (_, asked, rows) = LOADS[0];
    let extent = Extent {
        seed: 123,
        devices: HOSTS,
        ticks: ticks(rows),
    };
    for (name, count) in QUERIES {
        let query = chosen(&set, &[name.to_owned()])?[0];
        let pace = Pace {
            clients: 1,
            protocol: Protocol::Prepared,
            count_max: ((count as f64 * arguments.scale) as u64).max(2),
            seconds_max: 60.0,
        };
        for _ in 0..ROUNDS {
            let before = calibration.cpu_seconds();
            let figures = ask(&system, asked, &set, extent, query, pace).await?;
            let unit = (before + calibration.cpu_seconds()) / 2.0;
            let used = figures.server_cpu_ms.unwrap_or(0.0) * figures.latency.count as f64 / 1e3;
            add(format!("question: {name}"), used, unit);
        }
    }
    Ok(Baseline {
        scale: arguments.scale,
        ratios,
    })
}

/// Resolution of the times in /proc: less than this cannot be told from nothing.
const CLOCK_SECONDS: f64 = 0.01;

/// A fixed piece of work like the server's: numbers read from text, names looked up, columns sorted and added up, with more memory than caches
/// hold. Run right before and right after what is measured, so that both see the same neighbours.
struct Calibration {
    text: Vec<u8>,
    names: HashMap<u64, u64>,
}

const CALIBRATION_ROUNDS: usize = 3;

impl Calibration {
    /// Of two million values at scale 1: some tenths of a second.
    fn new(scale: f64) -> Calibration {
        let count = (2e6 * scale).max(1e4) as usize;
        let mut random = Random::new(1, &[]);
        let text = (0..count)
            .flat_map(|_| format!("{}\t", random.below(100_000)).into_bytes())
            .collect();
        let names = (0..100_000).map(|name| (name, random.bits())).collect();
        Calibration { text, names }
    }

    fn cpu_seconds(&self) -> f64 {
        tokio::task::block_in_place(|| {
            let before = thread_cpu_seconds();
            for _ in 0..CALIBRATION_ROUNDS {
                std::hint::black_box(self.work());
            }
            thread_cpu_seconds() - before
        })
    }

    fn work(&self) -> Vec<u64> {
        let mut column: Vec<u64> = Vec::with_capacity(self.text.len() / 4);
        let mut value = 0_u64;
        for byte in &self.text {
            match byte {
                b'\t' => {
                    column.push(value ^ self.names.get(&value).copied().unwrap_or_default());
                    value = 0;
                }
                digit => value = value * 10 + u64::from(digit - b'0'),
            }
        }
        column.sort_unstable();
        let mut sums = vec![0_u64; column.len() / 2 + 1];
        for (place, value) in column.iter().enumerate() {
            let slot = (value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % sums.len();
            sums[slot] = sums[slot].wrapping_add(place as u64);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(ratios: &[(&str, f64)]) -> Baseline {
        Baseline {
            scale: 1.0,
            ratios: ratios
                .iter()
                .map(|(case, ratio)| ((*case).to_owned(), *ratio))
                .collect(),
        }
    }

    #[test]
    fn what_is_slower_than_the_margin_and_what_is_missing_fails() {
        let before = baseline(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
        let now = baseline(&[("a", 1.1), ("b", 1.3), ("d", 9.0)]);
        let slower = compare(&before, &now, 0.15).expect("equal scales");
        assert_eq!(slower, ["b", "c (not measured any more)"]);
    }

    #[test]
    fn another_scale_is_not_compared() {
        let before = baseline(&[("a", 1.0)]);
        let now = Baseline {
            scale: 0.5,
            ..baseline(&[("a", 1.0)])
        };
        assert!(compare(&before, &now, 0.15).is_err());
    }
}
