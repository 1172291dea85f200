//! Latencies counted in buckets whose width grows with the value, as HdrHistogram's do: every percentile is within 0.8 % of the truth, whatever
//! the number of samples, and two histograms add up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Buckets for each power of two: 2^-7 is the relative error.
const SUB_BITS: u32 = 7;
const SUB: u64 = 1 << SUB_BITS;

#[derive(Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum_nanos: u128,
    max_nanos: u64,
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket_of(nanos);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.sum_nanos += u128::from(nanos);
        self.max_nanos = self.max_nanos.max(nanos);
    }

    pub fn add(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.sum_nanos += other.sum_nanos;
        self.max_nanos = self.max_nanos.max(other.max_nanos);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency that this share of samples does not exceed, in milliseconds.
    fn quantile_ms(&self, share: f64) -> f64 {
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_nanos(bucket).min(self.max_nanos) as f64 / 1e6;
            }
        }
        self.max_nanos as f64 / 1e6
    }

    pub fn latency(&self) -> Latency {
        Latency {
            count: self.count,
            mean_ms: self.sum_nanos as f64 / self.count.max(1) as f64 / 1e6,
            p50_ms: self.quantile_ms(0.5),
            p95_ms: self.quantile_ms(0.95),
            p99_ms: self.quantile_ms(0.99),
            p999_ms: self.quantile_ms(0.999),
            max_ms: self.max_nanos as f64 / 1e6,
        }
    }
}

fn bucket_of(nanos: u64) -> usize {
    if nanos < SUB {
        return nanos as usize;
    }
    let shift = 63 - nanos.leading_zeros() - SUB_BITS;
    (u64::from(shift + 1) * SUB + (nanos >> shift) - SUB) as usize
}

/// The largest value that falls into a bucket.
fn upper_nanos(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let shift = bucket / SUB - 1;
    let first = (bucket % SUB + SUB) << shift;
    first + ((1 << shift) - 1)
}

/// What a report says of a histogram.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn percentiles_are_within_a_hundredth_of_the_truth() {
        let mut random = Random::new(9, &[]);
        let mut nanos: Vec<u64> = (0..50_000).map(|_| (random.normal().exp() * 1e6) as u64).collect();
        let mut halves = [Histogram::default(), Histogram::default()];
        for (place, value) in nanos.iter().enumerate() {
            halves[place % 2].record(Duration::from_nanos(*value));
        }
        let [mut whole, second] = halves;
        whole.add(&second);
        nanos.sort_unstable();
        let latency = whole.latency();
        for (share, told) in [
            (0.5, latency.p50_ms),
            (0.95, latency.p95_ms),
            (0.99, latency.p99_ms),
            (0.999, latency.p999_ms),
        ] {
            let truth = nanos[(share * 50_000.0) as usize - 1] as f64 / 1e6;
            assert!((told / truth - 1.0).abs() < 0.01, "{share}: {told} for {truth}");
        }
        assert_eq!(latency.max_ms, nanos[49_999] as f64 / 1e6);
        assert_eq!(latency.count, 50_000);
    }

    #[test]
    fn every_value_lies_in_its_bucket() {
        for nanos in [0, 1, 127, 128, 129, 255, 256, 1_000_003, u64::MAX / 3] {
            let bucket = bucket_of(nanos);
            assert!(upper_nanos(bucket) >= nanos);
            assert!(bucket == 0 || upper_nanos(bucket - 1) < nanos, "{nanos}");
        }
    }
}
