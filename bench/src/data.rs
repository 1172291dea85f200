//! TSBS cpu-only data: hosts that report ten metrics every ten seconds, each a random walk between 0 and 100 by about one, truncated to an
//! integer. Seeded: equal seeds give equal rows. Encoded once, before any clock runs.
//!
//! Order and distributions as published with timescale/tsbs: tick by tick, in each tick every host.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub const METRICS: [&str; 10] = [
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

/// 2026-01-01 00:00:00 UTC in seconds.
pub const START_SECONDS: i64 = 1_767_225_600;
pub const STEP_SECONDS: i64 = 10;

/// One row in memory.
pub struct Row {
    pub host: u32,
    pub seconds: i64,
    pub metrics: [u8; 10],
}

/// All rows of `ticks` ticks of `hosts` hosts, in TSBS order.
pub struct Generator {
    random: StdRng,
    walks: Vec<[f64; 10]>,
    host: usize,
    tick: i64,
}

impl Generator {
    pub fn new(seed: u64, hosts: usize) -> Generator {
        let mut random = StdRng::seed_from_u64(seed);
        let walks = (0..hosts)
            .map(|_| std::array::from_fn(|_| random.random::<f64>() * 100.0))
            .collect();
        Generator {
            random,
            walks,
            host: 0,
            tick: 0,
        }
    }

    /// A sample of N(0, 1): the sum of twelve uniforms, which is close enough for a walk's step and fast.
    fn normal(random: &mut StdRng) -> f64 {
        let bits: [u32; 6] = random.random();
        let sum: u32 = bits.iter().map(|b| (b & 0xffff) + (b >> 16)).sum();
        f64::from(sum) / 65_536.0 - 6.0
    }
}

impl Iterator for Generator {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let walk = &mut self.walks[self.host];
        let row = Row {
            host: self.host as u32,
            seconds: START_SECONDS + self.tick * STEP_SECONDS,
            metrics: std::array::from_fn(|metric| walk[metric] as u8),
        };
        for value in walk {
            *value = (*value + Generator::normal(&mut self.random)).clamp(0.0, 100.0);
        }
        self.host += 1;
        if self.host == self.walks.len() {
            self.host = 0;
            self.tick += 1;
        }
        Some(row)
    }
}

/// `2026-01-01 00:00:10+00`, cut from seconds since 1970 without a calendar library: benchmark data stays within 2026's first months.
fn push_time(out: &mut Vec<u8>, seconds: i64) {
    const MONTH_DAYS: [i64; 6] = [31, 28, 31, 30, 31, 30];
    let mut day = (seconds - START_SECONDS) / 86_400;
    let mut month = 0;
    while month < MONTH_DAYS.len() && day >= MONTH_DAYS[month] {
        day -= MONTH_DAYS[month];
        month += 1;
    }
    assert!(month < MONTH_DAYS.len(), "benchmark data ends before July");
    let second = seconds % 86_400;
    out.extend_from_slice(b"2026-");
    for (value, after) in [
        (month as i64 + 1, b'-'),
        (day + 1, b' '),
        (second / 3600, b':'),
        (second / 60 % 60, b':'),
        (second % 60, b'+'),
    ] {
        out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8, after]);
    }
    out.extend_from_slice(b"00");
}

fn push_number(out: &mut Vec<u8>, value: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_name(out: &mut Vec<u8>, host: u32) {
    out.extend_from_slice(b"host_");
    push_number(out, host);
}

/// A line of COPY text: name, time, metrics.
pub fn push_text(out: &mut Vec<u8>, row: &Row) {
    push_name(out, row.host);
    out.push(b'\t');
    push_time(out, row.seconds);
    for metric in row.metrics {
        out.push(b'\t');
        push_number(out, u32::from(metric));
    }
    out.push(b'\n');
}

/// `('host_1','2026-01-01 00:00:10+00',1,2,…)`
pub fn push_values(out: &mut Vec<u8>, row: &Row) {
    out.extend_from_slice(b"('");
    push_name(out, row.host);
    out.extend_from_slice(b"','");
    push_time(out, row.seconds);
    out.push(b'\'');
    for metric in row.metrics {
        out.push(b',');
        push_number(out, u32::from(metric));
    }
    out.push(b')');
}

/// The fields of a row in PostgreSQL's binary form, each behind its length: what a COPY tuple and a Bind message share.
pub fn push_binary_fields(out: &mut Vec<u8>, row: &Row) {
    /// 2000-01-01 in seconds since 1970, where PostgreSQL's times begin.
    const POSTGRES_EPOCH_SECONDS: i64 = 946_684_800;
    let mut name = Vec::with_capacity(16);
    push_name(&mut name, row.host);
    out.extend_from_slice(&(name.len() as u32).to_be_bytes());
    out.extend_from_slice(&name);
    out.extend_from_slice(&8_u32.to_be_bytes());
    out.extend_from_slice(&((row.seconds - POSTGRES_EPOCH_SECONDS) * 1_000_000).to_be_bytes());
    for metric in row.metrics {
        out.extend_from_slice(&8_u32.to_be_bytes());
        out.extend_from_slice(&f64::from(metric).to_be_bytes());
    }
}
