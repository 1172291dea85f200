//! The names of one database's tables: which table has this name, found with one hash and one probe.
//!
//! Names lie one after the other in an arena, each behind what it means, so that a hit touches the probed group, its entry and
//! one line of the arena. Nothing is allocated per name:
//!
//! ```text
//! hash table: u32 place ──▶ arena segment: | oid | table | slot | vnode | series | length u8 | name | padding to 8 |
//! ```
//!
//! Promises: a name is in the index at most once. Leaves to others: what names are allowed (`rules.rs`).

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::SeriesRef;
use crate::rules::TABLE_NAME_BYTES_MAX;

/// `Named::slot` of a plain table.
pub(crate) const SLOT_PLAIN: u32 = u32::MAX;
/// `Named::slot` of a supertable, whose name stands in the index to be taken.
pub(crate) const SLOT_SUPER: u32 = u32::MAX - 1;

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub oid: u32,
    /// OID of the supertable or plain table.
    pub table: u32,
    pub slot: u32,
    pub series: SeriesRef,
}

/// Places are counted in these: four bytes then reach 32 GiB of names.
const UNIT_BYTES: usize = 8;
/// One allocation of the arena. Large enough to be rare, small enough that the last one wastes nothing that matters.
const SEGMENT_BYTES: usize = 1 << 20;
const SEGMENT_UNITS: usize = SEGMENT_BYTES / UNIT_BYTES;
/// Five little-endian words and the length of the name.
const HEADER_BYTES: usize = 21;
/// Behind oid and table.
const SLOT_OFFSET: usize = 8;
const RECORD_UNITS_MAX: usize = (HEADER_BYTES + TABLE_NAME_BYTES_MAX).div_ceil(UNIT_BYTES);
// A length fits its byte.
const _: () = assert!(TABLE_NAME_BYTES_MAX <= u8::MAX as usize);

#[derive(Default)]
pub(crate) struct NameIndex {
    hasher: DefaultHashBuilder,
    places: HashTable<u32>,
    arena: Arena,
    /// Bytes of the arena that removed names left behind.
    garbage_bytes: usize,
}

impl NameIndex {
    pub fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name)
    }

    pub fn find(&self, name: &[u8]) -> Option<Named> {
        let place = self
            .places
            .find(self.hash(name), |place| self.arena.name(*place) == name)?;
        Some(self.arena.named(*place))
    }

    /// Whether so many more names can be addressed.
    pub fn has_room_for(&self, names: usize) -> bool {
        let units = self.arena.segments.len() * SEGMENT_UNITS + names.saturating_mul(RECORD_UNITS_MAX);
        units < u32::MAX as usize - SEGMENT_UNITS
    }

    pub fn reserve(&mut self, names: usize) {
        let NameIndex {
            hasher, places, arena, ..
        } = self;
        places.reserve(names, |place| hasher.hash_one(arena.name(*place)));
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Inserts a name unless it is there, with one probe for both.
    pub fn insert_new(&mut self, name: &[u8], named: Named) -> bool {
        let NameIndex {
            hasher, places, arena, ..
        } = self;
        let same = |place: &u32| arena.name(*place) == name;
        match places.entry(hasher.hash_one(name), same, |place| hasher.hash_one(arena.name(*place))) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(arena.next_place(name));
                arena.push(name, named);
                true
            }
        }
    }

    /// The name is new: the caller has looked.
    pub fn insert(&mut self, name: &[u8], named: Named) {
        let NameIndex {
            hasher, places, arena, ..
        } = self;
        let place = arena.push(name, named);
        places.insert_unique(hasher.hash_one(name), place, |place| {
            hasher.hash_one(arena.name(*place))
        });
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<Named> {
        let hash = self.hash(name);
        let entry = self
            .places
            .find_entry(hash, |place| self.arena.name(*place) == name)
            .ok()?;
        let (place, _) = entry.remove();
        let named = self.arena.named(place);
        self.garbage_bytes += record_bytes(name.len());
        Some(named)
    }

    /// Moves a child to another slot of its supertable.
    pub fn set_slot(&mut self, name: &[u8], slot: u32) {
        let hash = self.hash(name);
        if let Some(place) = self.places.find(hash, |place| self.arena.name(*place) == name) {
            self.arena.set_slot(*place, slot);
        }
    }

    /// Removes the names of a supertable's children and its own.
    pub fn remove_table(&mut self, table: u32) {
        let NameIndex {
            places,
            arena,
            garbage_bytes,
            ..
        } = self;
        places.retain(|place| {
            let stays = arena.named(*place).table != table;
            if !stays {
                *garbage_bytes += record_bytes(arena.name(*place).len());
            }
            stays
        });
        self.collect_garbage();
    }

    /// Copies the arena once more than half of it is garbage, so that each removal pays for at most two copied names.
    pub fn collect_garbage(&mut self) {
        if self.garbage_bytes < SEGMENT_BYTES || self.garbage_bytes * 2 < self.arena.bytes() {
            return;
        }
        let mut compact = Arena::default();
        for place in self.places.iter_mut() {
            *place = compact.push(self.arena.name(*place), self.arena.named(*place));
        }
        self.arena = compact;
        self.garbage_bytes = 0;
        let NameIndex {
            hasher, places, arena, ..
        } = self;
        places.shrink_to_fit(|place| hasher.hash_one(arena.name(*place)));
    }
}

fn record_bytes(name_bytes: usize) -> usize {
    (HEADER_BYTES + name_bytes).next_multiple_of(UNIT_BYTES)
}

#[derive(Default)]
struct Arena {
    /// All but the last are as full as whole records make them.
    segments: Vec<Vec<u8>>,
}

impl Arena {
    fn bytes(&self) -> usize {
        self.segments.iter().map(Vec::len).sum()
    }

    /// Where `push` will put this name.
    fn next_place(&self, name: &[u8]) -> u32 {
        let needed = record_bytes(name.len());
        let place = match self.segments.last() {
            Some(last) if last.len() + needed <= SEGMENT_BYTES => {
                (self.segments.len() - 1) * SEGMENT_UNITS + last.len() / UNIT_BYTES
            }
            _ => self.segments.len() * SEGMENT_UNITS,
        };
        u32::try_from(place).expect("checked: has_room_for counts every record at its largest")
    }

    fn push(&mut self, name: &[u8], named: Named) -> u32 {
        let place = self.next_place(name);
        let needed = record_bytes(name.len());
        if self
            .segments
            .last()
            .is_none_or(|last| last.len() + needed > SEGMENT_BYTES)
        {
            // The first segment grows as needed: most databases stay small.
            let capacity = if self.segments.is_empty() { 0 } else { SEGMENT_BYTES };
            self.segments.push(Vec::with_capacity(capacity));
        }
        let segment = self.segments.last_mut().expect("pushed above when there was none");
        let end = segment.len() + needed;
        for word in [
            named.oid,
            named.table,
            named.slot,
            named.series.vnode,
            named.series.series,
        ] {
            segment.extend_from_slice(&word.to_le_bytes());
        }
        segment.push(u8::try_from(name.len()).expect("checked: names have at most TABLE_NAME_BYTES_MAX bytes"));
        segment.extend_from_slice(name);
        segment.resize(end, 0);
        place
    }

    fn set_slot(&mut self, place: u32, slot: u32) {
        let place = place as usize;
        let at = place % SEGMENT_UNITS * UNIT_BYTES + SLOT_OFFSET;
        self.segments[place / SEGMENT_UNITS][at..at + 4].copy_from_slice(&slot.to_le_bytes());
    }

    fn record(&self, place: u32) -> &[u8] {
        let place = place as usize;
        &self.segments[place / SEGMENT_UNITS][place % SEGMENT_UNITS * UNIT_BYTES..]
    }

    fn name(&self, place: u32) -> &[u8] {
        let record = self.record(place);
        let length = usize::from(record[HEADER_BYTES - 1]);
        &record[HEADER_BYTES..HEADER_BYTES + length]
    }

    fn named(&self, place: u32) -> Named {
        let (words, _) = self.record(place).as_chunks::<4>();
        let word = |n: usize| u32::from_le_bytes(words[n]);
        Named {
            oid: word(0),
            table: word(1),
            slot: word(2),
            series: SeriesRef {
                vnode: word(3),
                series: word(4),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(n: u32) -> Named {
        Named {
            oid: n,
            table: n % 3,
            slot: n,
            series: SeriesRef { vnode: 1, series: n },
        }
    }

    #[test]
    fn finds_what_was_inserted_and_not_what_was_removed() {
        let mut names = NameIndex::default();
        for n in 0..100_000 {
            names.insert(format!("device_number_{n}").as_bytes(), named(n));
        }
        assert!(names.arena.segments.len() > 3);
        for n in (0..100_000).step_by(2) {
            assert_eq!(names.remove(format!("device_number_{n}").as_bytes()), Some(named(n)));
        }
        assert_eq!(names.remove(b"device_number_0"), None);
        for n in 0..100_000 {
            let expected = (n % 2 == 1).then(|| named(n));
            assert_eq!(names.find(format!("device_number_{n}").as_bytes()), expected);
        }
    }

    #[test]
    fn forgets_a_table_and_gives_its_memory_back() {
        let mut names = NameIndex::default();
        for n in 0..150_000 {
            names.insert(format!("device_number_{n}").as_bytes(), named(n));
        }
        let bytes_before = names.arena.bytes();
        names.remove_table(0);
        names.remove_table(1);
        assert!(
            names.arena.bytes() < bytes_before / 2,
            "{} of {bytes_before}",
            names.arena.bytes()
        );
        for n in 0..150_000 {
            let expected = (n % 3 == 2).then(|| named(n));
            assert_eq!(names.find(format!("device_number_{n}").as_bytes()), expected);
        }
    }

    #[test]
    fn takes_names_of_every_length() {
        let mut names = NameIndex::default();
        let name = |length: usize| vec![b'x'; length];
        for length in 1..=TABLE_NAME_BYTES_MAX {
            names.insert(&name(length), named(length as u32));
        }
        for length in 1..=TABLE_NAME_BYTES_MAX {
            assert_eq!(names.find(&name(length)), Some(named(length as u32)));
        }
        assert_eq!(names.find(&name(TABLE_NAME_BYTES_MAX + 1)), None);
    }

    #[test]
    fn inserts_once_and_moves_slots() {
        let mut names = NameIndex::default();
        for n in 0..100_000 {
            assert!(names.insert_new(format!("device_number_{n}").as_bytes(), named(n)));
        }
        assert!(!names.insert_new(b"device_number_7", named(8)));
        names.set_slot(b"device_number_99999", 3);
        assert_eq!(
            names.find(b"device_number_99999"),
            Some(Named {
                slot: 3,
                ..named(99_999)
            })
        );
        assert_eq!((names.find(b"device_number_7"), names.len()), (Some(named(7)), 100_000));
    }
}
