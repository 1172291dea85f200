//! What one look at a sequence tells, and the plan that follows from it.

use super::super::bits::{FRAME, width};
use super::lanes::{self, Lane, Narrowest};
use super::{DEPTH_MAX, Plan, scaled};

/// Bits that a packed sequence takes besides its values: codec, base, and the two widths of its tables with what they describe.
const PACKED_OVERHEAD_BITS: u64 = 8 * 6;

/// Bits of the two tables for one frame: about three of reference and one of width.
const FRAME_OVERHEAD_BITS: u64 = 4;

/// Bits that a sequence of runs takes besides its runs.
const RUNS_OVERHEAD_BITS: u64 = 8 * 14;

/// Bits a value that a plan must save before it is worth its slower decoding: an eighth for each pass over the values.
const PASS_BITS_PER_8_VALUES: u64 = 1;

/// Bits a value from which on a common step is looked for. Below there is little to win, and looking costs a division a value.
const SCALED_FROM_BITS: u64 = 6;

/// What one look tells. Sizes are in bits, with each frame at its own width.
pub(super) struct Shape {
    rows: u64,
    pub min: i64,
    max: i64,
    values_bits: u64,
    difference_min: i64,
    difference_max: i64,
    differences_bits: u64,
    second_differences_bits: u64,
    /// Runs of equal values, and of equal differences.
    runs: u64,
    difference_runs: u64,
}

/// Smallest and largest seen.
#[derive(Clone, Copy)]
struct Bounds {
    min: i64,
    max: i64,
}

impl Bounds {
    const NONE: Bounds = Bounds {
        min: i64::MAX,
        max: i64::MIN,
    };

    fn of<T: Lane>((min, max): (T, T)) -> Bounds {
        Bounds {
            min: min.wide(),
            max: max.wide(),
        }
    }

    fn join(&mut self, other: Bounds) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Bits of a value above the smallest.
    fn width(&self) -> u64 {
        u64::from(width(self.max.wrapping_sub(self.min) as u64))
    }
}

/// What one frame shows, in lanes that differences of differences fit into.
struct Seen<T> {
    levels: (T, T),
    differences: (T, T),
    seconds: (T, T),
    /// Values that differ from the one before, and differences that do.
    changes: T,
    difference_changes: T,
}

/// Looks at a frame that follows two values. Straight and without a look back into what it works out, so that several values are looked at
/// by one instruction.
#[inline(always)]
fn look<T: Lane>(window: &[T]) -> Seen<T> {
    let none = (T::MAX, T::MIN);
    let mut seen = Seen {
        levels: none,
        differences: none,
        seconds: none,
        changes: T::default(),
        difference_changes: T::default(),
    };
    let join = |bounds: (T, T), value: T| (bounds.0.min(value), bounds.1.max(value));
    for three in window.windows(3) {
        let (first, before, value) = (three[0], three[1], three[2]);
        let difference = value.minus(before);
        let second = difference.minus(before.minus(first));
        seen.levels = join(seen.levels, value);
        seen.differences = join(seen.differences, difference);
        seen.seconds = join(seen.seconds, second);
        seen.changes = seen.changes.counting(difference != T::default());
        seen.difference_changes = seen.difference_changes.counting(second != T::default());
    }
    seen
}

impl Shape {
    /// `values` is not empty.
    pub fn of(values: &[i64]) -> Shape {
        // A difference of two differences takes two bits more than the values; and two more values are imagined before the first.
        match lanes::narrowest(values, i16::BITS - 4, i32::BITS - 4) {
            Narrowest::Bits16 => Shape::seen_in::<i16>(values),
            Narrowest::Bits32 => Shape::seen_in::<i32>(values),
            Narrowest::Bits64 => Shape::seen_in::<i64>(values),
        }
    }

    fn seen_in<T: Lane>(values: &[i64]) -> Shape {
        let first = values[0];
        // As if the values before the first had gone on as the first two do: the first differences are then no outliers.
        let difference = values.get(1).map_or(0, |second| second.wrapping_sub(first));
        let mut shape = Shape {
            rows: values.len() as u64,
            min: first,
            max: first,
            values_bits: 0,
            difference_min: 0,
            difference_max: 0,
            differences_bits: 0,
            second_differences_bits: 0,
            runs: 1,
            difference_runs: 1,
        };
        let (mut all, mut all_differences) = (Bounds::NONE, Bounds::NONE);
        let mut window = [T::default(); FRAME + 2];
        window[1] = T::of(first.wrapping_sub(difference));
        window[0] = window[1].minus(T::of(difference));
        for frame in values.chunks(FRAME) {
            for (slot, value) in window[2..].iter_mut().zip(frame) {
                *slot = T::of(*value);
            }
            // The length of a full frame is known to the compiler.
            let seen = match frame.len() {
                FRAME => look(&window),
                rows => look(&window[..rows + 2]),
            };
            let (levels, differences) = (Bounds::of(seen.levels), Bounds::of(seen.differences));
            let rows = frame.len() as u64;
            shape.values_bits += rows * levels.width();
            shape.differences_bits += rows * differences.width();
            shape.second_differences_bits += rows * Bounds::of(seen.seconds).width();
            shape.runs += seen.changes.wide() as u64;
            shape.difference_runs += seen.difference_changes.wide() as u64;
            all.join(levels);
            all_differences.join(differences);
            window.copy_within(frame.len().., 0);
        }
        shape.min = all.min;
        shape.max = all.max;
        shape.difference_min = all_differences.min;
        shape.difference_max = all_differences.max;
        shape
    }

    /// The smallest plan, as far as sizes can be foretold, that fits under `depth` other sequences.
    pub fn plan(&self, values: &[i64], depth: u8) -> Plan {
        if self.min == self.max {
            return Plan::Constant;
        }
        // The innermost sequence of a plan stands at depth + 1, + 2 for two transformations, and has to stay above DEPTH_MAX.
        let levels = DEPTH_MAX - 1 - depth.min(DEPTH_MAX - 1);
        if levels >= 1 && self.difference_min == self.difference_max {
            return Plan::DeltaConstant;
        }
        let frames = self.rows.div_ceil(FRAME as u64);
        let packed = PACKED_OVERHEAD_BITS + frames * FRAME_OVERHEAD_BITS;
        let pass = self.rows * PASS_BITS_PER_8_VALUES / 8;
        let difference_width = u64::from(width(self.difference_max.wrapping_sub(self.difference_min) as u64));
        let value_width = u64::from(width(self.max.wrapping_sub(self.min) as u64));
        let plans = [
            (0, Plan::Packed, packed + self.values_bits),
            (
                1,
                Plan::DeltaPacked,
                packed + self.differences_bits + pass + difference_width,
            ),
            (
                2,
                Plan::DeltaDeltaPacked,
                packed + self.second_differences_bits + 2 * pass + 2 * difference_width,
            ),
            (1, Plan::Runs, self.runs_bits(self.runs, value_width)),
            (
                2,
                Plan::DeltaRuns,
                self.runs_bits(self.difference_runs, difference_width) + pass + 16,
            ),
        ];
        let (_, plan, bits) = plans
            .into_iter()
            .filter(|(needs, _, _)| *needs <= levels)
            .min_by_key(|(_, _, bits)| *bits)
            .expect("packed needs no level");
        if depth == 0
            && bits >= self.rows * SCALED_FROM_BITS
            && let Some(step) = scaled::step(values, self.min)
        {
            return Plan::Scaled(step);
        }
        plan
    }

    fn runs_bits(&self, runs: u64, value_width: u64) -> u64 {
        let length_width = u64::from(width(self.rows / runs)) + 1;
        RUNS_OVERHEAD_BITS + runs * (value_width + length_width)
    }
}
