//! Integers in as few bits as they need while they are looked at: a processor compares eight of 16 bits as fast as two of 64.

/// A signed integer of some width. Arithmetic wraps around.
pub(super) trait Lane: Copy + Ord + Default {
    const MIN: Self;
    const MAX: Self;
    /// The low bits of a value.
    fn of(value: i64) -> Self;
    fn wide(self) -> i64;
    fn minus(self, other: Self) -> Self;
    /// One more if so.
    fn counting(self, is_so: bool) -> Self;
}

macro_rules! lane {
    ($t:ty) => {
        impl Lane for $t {
            const MIN: Self = <$t>::MIN;
            const MAX: Self = <$t>::MAX;
            #[inline(always)]
            fn of(value: i64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn wide(self) -> i64 {
                self as i64
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn counting(self, is_so: bool) -> Self {
                self.wrapping_add(<$t>::from(is_so))
            }
        }
    };
}
lane!(i16);
lane!(i32);
lane!(i64);

/// The narrowest lane that values fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Narrowest {
    Bits16,
    Bits32,
    Bits64,
}

/// The narrowest lane of which the values leave enough bits free: they fit `bits16` bits (sign included), or `bits32`.
pub(super) fn narrowest(values: &[i64], bits16: u32, bits32: u32) -> Narrowest {
    let fit = |bits: u32| {
        let half = 1i64 << (bits - 1);
        let above = values
            .iter()
            .fold(0, |all, value| all | value.wrapping_add(half) as u64);
        above >> bits == 0
    };
    if fit(bits16) {
        Narrowest::Bits16
    } else if fit(bits32) {
        Narrowest::Bits32
    } else {
        Narrowest::Bits64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_has_room_for_every_value() {
        for (values, expected) in [
            (vec![], Narrowest::Bits16),
            (vec![-4096, 4095], Narrowest::Bits16),
            (vec![4096], Narrowest::Bits32),
            (vec![-4097], Narrowest::Bits32),
            (vec![0, -(1 << 28), (1 << 28) - 1], Narrowest::Bits32),
            (vec![1 << 28], Narrowest::Bits64),
            (vec![i64::MIN, i64::MAX], Narrowest::Bits64),
        ] {
            assert_eq!(narrowest(&values, 13, 29), expected, "{values:?}");
        }
    }
}
