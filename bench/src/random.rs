//! Random numbers of the generators: the same on every machine and for ever, so that a seed names a data set.
//!
//! SplitMix64, eight bytes of state: a million devices can each have their own, and a device's values then do not depend on how devices are
//! shared out among connections. Normal samples by the ziggurat of Marsaglia and Tsang (Doornik's form), a few nanoseconds each.

use std::sync::LazyLock;

#[derive(Clone)]
pub struct Random {
    state: u64,
}

/// Spreads every bit of the argument over all bits of the result.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Random {
    /// The sequence of `seed` and everything in `path`: a device, a query, a client.
    pub fn new(seed: u64, path: &[u64]) -> Random {
        let state = path.iter().fold(mix(seed.wrapping_add(1)), |state, step| {
            mix(state ^ mix(step.wrapping_add(0x9e37_79b9)))
        });
        Random { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..count; `count` is not 0.
    pub fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(count)) >> 64) as u64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// A sample of N(0, 1).
    pub fn normal(&mut self) -> f64 {
        let layers = &*LAYERS;
        loop {
            let bits = self.bits();
            let layer = (bits & 127) as usize;
            let u = (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
            if u.abs() < layers.ratio[layer] {
                return u * layers.x[layer];
            }
            if layer == 0 {
                return self.tail(u < 0.0);
            }
            let x = u * layers.x[layer];
            let below = (-0.5 * (layers.x[layer].powi(2) - x * x)).exp();
            let above = (-0.5 * (layers.x[layer + 1].powi(2) - x * x)).exp();
            if above + self.unit() * (below - above) < 1.0 {
                return x;
            }
        }
    }

    /// Beyond the last layer, by Marsaglia's method for the tail.
    fn tail(&mut self, is_negative: bool) -> f64 {
        loop {
            let x = (1.0 - self.unit()).ln() / LAST_X;
            let y = (1.0 - self.unit()).ln();
            if -2.0 * y >= x * x {
                return if is_negative { x - LAST_X } else { LAST_X - x };
            }
        }
    }
}

/// Where the tail begins with 128 layers, and the area of each layer: constants of the published method.
const LAST_X: f64 = 3.442_619_855_899;
const LAYER_AREA: f64 = 9.912_563_035_262_17e-3;

struct Layers {
    x: [f64; 129],
    ratio: [f64; 128],
}

static LAYERS: LazyLock<Layers> = LazyLock::new(|| {
    let mut x = [0.0_f64; 129];
    let mut density = (-0.5 * LAST_X * LAST_X).exp();
    x[0] = LAYER_AREA / density;
    x[1] = LAST_X;
    for layer in 2..128 {
        x[layer] = (-2.0 * (LAYER_AREA / x[layer - 1] + density).ln()).sqrt();
        density = (-0.5 * x[layer] * x[layer]).exp();
    }
    let ratio = std::array::from_fn(|layer| x[layer + 1] / x[layer]);
    Layers { x, ratio }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_samples_have_the_moments_and_tails_of_the_normal_distribution() {
        let mut random = Random::new(1, &[]);
        let samples: Vec<f64> = (0..400_000).map(|_| random.normal()).collect();
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let fourth = samples.iter().map(|x| (x - mean).powi(4)).sum::<f64>() / count;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.01, "variance {variance}");
        assert!((fourth / variance.powi(2) - 3.0).abs() < 0.1, "kurtosis {fourth}");
        let beyond = |limit: f64| samples.iter().filter(|x| x.abs() > limit).count() as f64 / count;
        assert!((beyond(1.959_964) - 0.05).abs() < 0.002);
        assert!((beyond(3.5) - 0.000_465).abs() < 0.000_15, "the tail beyond the layers");
    }

    #[test]
    fn whole_numbers_are_uniform_and_in_range() {
        let mut random = Random::new(2, &[7]);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_seed_and_a_path_name_a_sequence() {
        let sequence = |seed, path: &[u64]| {
            let mut random = Random::new(seed, path);
            [random.bits(), random.bits()]
        };
        assert_eq!(sequence(5, &[1, 2]), sequence(5, &[1, 2]));
        assert_ne!(sequence(5, &[1, 2]), sequence(5, &[2, 1]));
        assert_ne!(sequence(5, &[0]), sequence(6, &[0]));
    }
}
