//! How one field of one device moves from tick to tick: the distributions of timescale/tsbs by other names.

use crate::random::Random;

/// What is added in a tick.
#[derive(Clone, Copy)]
pub enum Step {
    /// ND(mean, deviation).
    Normal(f64, f64),
    /// UD(low, high).
    Uniform(f64, f64),
}

impl Step {
    fn sample(self, random: &mut Random) -> f64 {
        match self {
            Step::Normal(mean, deviation) => mean + deviation * random.normal(),
            Step::Uniform(low, high) => random.between(low, high),
        }
    }
}

/// Where a field begins.
#[derive(Clone, Copy)]
pub enum Start {
    At(f64),
    /// Uniform in [0, limit).
    Below(f64),
    OneOf(&'static [f64]),
}

impl Start {
    fn sample(self, random: &mut Random) -> f64 {
        match self {
            Start::At(value) => value,
            Start::Below(limit) => random.between(0.0, limit),
            Start::OneOf(choices) => *random.pick(choices),
        }
    }
}

#[derive(Clone, Copy)]
pub enum Law {
    /// CWD: a random walk clamped at both ends.
    Clamped {
        step: Step,
        low: f64,
        high: f64,
        start: Start,
    },
    /// MWD: a counter; the step's absolute value is added.
    Counter { step: Step },
    /// A share between 0 and 1 that walks, told as this part of the state of another field.
    Share { of: usize, step: Step },
    /// WD: a random walk without bounds.
    Walk { step: Step },
    /// Keeps its first value.
    Constant(Start),
    /// LD: with this chance a new value, else the old one.
    Jumps { chance: f64, to: Step },
    /// A tank: falls to nothing by up to this much a tick and is filled to 1.
    Tank { use_max: f64 },
    /// As TSM-Bench's temperatures: mostly the value before, else a step.
    Repeats {
        chance: f64,
        step: Step,
        low: f64,
        high: f64,
    },
    /// A new value in each tick.
    Fresh(Step),
    /// Computed from the states of the fields of the table.
    Derived(fn(&[f64]) -> f64),
    /// Ticks since the start, in units of this many seconds.
    Clock { seconds: f64 },
}

impl Law {
    /// What is told of this field, by the states of all fields of the table.
    pub fn value(self, place: usize, states: &[f64]) -> f64 {
        match self {
            Law::Derived(compute) => compute(states),
            Law::Share { of, .. } => states[place] * states[of],
            _ => states[place],
        }
    }

    pub fn start(self, random: &mut Random) -> f64 {
        match self {
            Law::Clamped { start, .. } | Law::Constant(start) => start.sample(random),
            Law::Counter { .. } | Law::Walk { .. } | Law::Jumps { .. } | Law::Derived(_) | Law::Clock { .. } => 0.0,
            Law::Share { .. } => random.unit(),
            Law::Tank { .. } => 1.0,
            Law::Repeats { low, high, .. } => random.between(low, high),
            Law::Fresh(step) => step.sample(random),
        }
    }

    /// The state after one more tick.
    pub fn advance(self, state: f64, random: &mut Random) -> f64 {
        match self {
            Law::Clamped { step, low, high, .. } => (state + step.sample(random)).clamp(low, high),
            Law::Share { step, .. } => (state + step.sample(random)).clamp(0.0, 1.0),
            Law::Counter { step } => state + step.sample(random).abs(),
            Law::Walk { step } => state + step.sample(random),
            Law::Constant(_) | Law::Derived(_) => state,
            Law::Jumps { chance, to } => match random.chance(chance) {
                true => to.sample(random),
                false => state,
            },
            Law::Tank { use_max } => match state - random.between(0.0, use_max) {
                left if left > 0.0 => left,
                _ => 1.0,
            },
            Law::Repeats {
                chance,
                step,
                low,
                high,
            } => match random.chance(chance) {
                true => state,
                false => (state + step.sample(random)).clamp(low, high),
            },
            Law::Fresh(step) => step.sample(random),
            Law::Clock { seconds } => state + seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(law: Law, ticks: usize) -> Vec<f64> {
        let mut random = Random::new(3, &[]);
        let mut state = law.start(&mut random);
        (0..ticks)
            .map(|_| {
                let now = state;
                state = law.advance(state, &mut random);
                now
            })
            .collect()
    }

    #[test]
    fn a_clamped_walk_stays_inside_and_steps_by_its_distribution() {
        let law = Law::Clamped {
            step: Step::Normal(0.0, 1.0),
            low: 0.0,
            high: 100.0,
            start: Start::Below(100.0),
        };
        let values = run(law, 100_000);
        assert!(values.iter().all(|value| (0.0..=100.0).contains(value)));
        let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let variance = steps.iter().map(|step| step * step).sum::<f64>() / steps.len() as f64;
        assert!((0.95..1.02).contains(&variance), "{variance}");
    }

    #[test]
    fn a_counter_never_falls() {
        let values = run(
            Law::Counter {
                step: Step::Normal(5.0, 1.0),
            },
            10_000,
        );
        assert_eq!(values[0], 0.0);
        assert!(values.is_sorted());
        assert!((values[9_999] / 9_999.0 - 5.0).abs() < 0.05);
    }

    #[test]
    fn a_tank_is_filled_when_empty() {
        let values = run(Law::Tank { use_max: 0.001 }, 10_000);
        assert_eq!(values[0], 1.0);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        let fillings = values.windows(2).filter(|pair| pair[1] > pair[0]).count();
        assert!((3..=6).contains(&fillings), "{fillings} fillings");
    }

    #[test]
    fn jumps_keep_their_value_between() {
        let values = run(
            Law::Jumps {
                chance: 0.05,
                to: Step::Uniform(0.0, 5_000.0),
            },
            20_000,
        );
        let jumps = values.windows(2).filter(|pair| pair[1] != pair[0]).count();
        assert!((850..1_150).contains(&jumps), "{jumps} jumps");
    }
}
