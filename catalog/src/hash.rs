//! The one hash whose results are written to disk: placement of tables and names derived from tags.
//!
//! Promises: equal input gives equal output on every machine and in every version. It is specified in docs/formats/catalog.md;
//! changing it would send rows to other tables, so it does not change. It does not defend against chosen input: who uses it
//! compares what it found.

/// First state: the fraction of the golden ratio, an odd number without structure.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, half of its bits set, so that every input bit reaches both halves of the product.
const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

pub(crate) struct StableHash(u64);

impl StableHash {
    pub fn new() -> StableHash {
        StableHash(SEED)
    }

    pub fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    /// The length, then the bytes as little-endian words, the last one filled with zeros.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    pub fn finish(self) -> u64 {
        let mut state = self.0;
        state ^= state >> 32;
        state = state.wrapping_mul(MULTIPLIER);
        state ^= state >> 32;
        state = state.wrapping_mul(MULTIPLIER);
        state ^ (state >> 32)
    }
}

/// Slots that table names fall into; dealt out to vnodes. Enough that 256 vnodes differ by less than half a percent, and few
/// enough for a map from slot to vnode when vnodes move between machines.
pub(crate) const SLOTS: u64 = 1 << 16;

/// The vnode of a table of this name: slots are dealt out in equal runs. `None` without vnodes.
pub(crate) fn place(vnodes: &[u32], name: &str) -> Option<u32> {
    let mut hash = StableHash::new();
    hash.bytes(name.as_bytes());
    let slot = hash.finish() >> 48;
    let position = slot * vnodes.len() as u64 / SLOTS;
    vnodes.get(usize::try_from(position).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_change_between_versions() {
        let hash = |bytes: &[u8]| {
            let mut hash = StableHash::new();
            hash.bytes(bytes);
            hash.finish()
        };
        assert_eq!(
            [hash(b""), hash(b"d1001"), hash(b"san_francisco")],
            [HASH_EMPTY, HASH_D1001, HASH_SAN_FRANCISCO]
        );
    }

    const HASH_EMPTY: u64 = 0xe19e_9097_dc35_5344;
    const HASH_D1001: u64 = 0x1fd4_b316_3c4e_6be3;
    const HASH_SAN_FRANCISCO: u64 = 0xdf73_bdde_2603_df7f;

    #[test]
    fn places_names_evenly() {
        let vnodes = [7, 8, 9, 12];
        let mut counts = [0u32; 4];
        for n in 0..40_000 {
            let vnode = place(&vnodes, &format!("d{n}")).unwrap();
            counts[vnodes.iter().position(|v| *v == vnode).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(place(&[], "d"), None);
    }
}
