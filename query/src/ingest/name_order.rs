//! The order in which names come: a fleet reports device by device, tick by tick in the same order, so that the name to come is known, most often.
//!
//! Comparing with the name expected reads memory in a straight line, where a look into the catalog's names jumps about. Names that come in no
//! order cost a few comparisons until that is noticed.

use taospg_catalog::SeriesRef;

/// Names that are remembered: one tick of a large fleet's gateway, 2 MB.
const NAMES_MAX: usize = 64 * 1024;

/// Longest name that is remembered.
const NAME_BYTES_MAX: usize = 64;

/// How far ahead a name is looked for when some have been left out: a device that is silent, or ten whose message got lost. Behind the last name
/// the first follows, with the next tick.
const AHEAD: usize = 16;

/// After so many names in a row that were nowhere near, it is not looked ahead any more; after so many, names come in no order.
const MISSES_AHEAD: usize = 64;
const MISSES_MAX: usize = 4096;

struct Entry {
    start: u32,
    length: u32,
    series: SeriesRef,
}

/// Names in the order of their first coming.
#[derive(Default)]
pub struct NameOrder {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Place of the name that came last.
    at: usize,
    misses: usize,
    is_off: bool,
}

impl NameOrder {
    /// The series and length of the name at the start of `bytes`, if it is one that was expected and `end` follows it.
    #[inline]
    pub fn expect(&mut self, bytes: &[u8], end: u8) -> Option<(SeriesRef, usize)> {
        self.look(|name| bytes.get(name.len()) == Some(&end) && bytes.starts_with(name))
    }

    /// The series of a name, if it is one that was expected.
    #[inline]
    pub fn find(&mut self, name: &[u8]) -> Option<SeriesRef> {
        self.look(|expected| expected == name).map(|(series, _)| series)
    }

    #[inline]
    fn look(&mut self, is_name: impl Fn(&[u8]) -> bool) -> Option<(SeriesRef, usize)> {
        let found = if self.is_at(self.after(1), &is_name) {
            self.after(1)
        } else if self.is_at(self.at, &is_name) {
            self.at
        } else {
            if self.misses >= MISSES_AHEAD || self.entries.is_empty() {
                return None;
            }
            let mut ahead = (2..=AHEAD).map(|distance| self.after(distance));
            ahead.find(|place| self.is_at(*place, &is_name))?
        };
        self.at = found;
        self.misses = 0;
        let entry = &self.entries[found];
        Some((entry.series, entry.length as usize))
    }

    /// The place so far behind that of the last name, or none there is.
    #[inline]
    fn after(&self, distance: usize) -> usize {
        let place = self.at + distance;
        match place < self.entries.len() {
            true => place,
            false => place - self.entries.len(),
        }
    }

    #[inline]
    fn is_at(&self, place: usize, is_name: impl Fn(&[u8]) -> bool) -> bool {
        let Some(entry) = self.entries.get(place) else {
            return false;
        };
        is_name(&self.bytes[entry.start as usize..(entry.start + entry.length) as usize])
    }

    /// A name that was not expected.
    pub fn note(&mut self, name: &[u8], series: SeriesRef) {
        if self.is_off {
            return;
        }
        let is_at_end = self.at + 1 >= self.entries.len();
        if is_at_end && self.entries.len() < NAMES_MAX && name.len() <= NAME_BYTES_MAX {
            self.entries.push(Entry {
                start: self.bytes.len() as u32, // at most NAMES_MAX times NAME_BYTES_MAX, 4 MiB
                length: name.len() as u32,
                series,
            });
            self.bytes.extend_from_slice(name);
            self.at = self.entries.len() - 1;
            return;
        }
        self.misses += 1;
        if self.misses > MISSES_MAX {
            *self = NameOrder {
                is_off: true,
                ..NameOrder::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(number: u32) -> SeriesRef {
        SeriesRef {
            vnode: 1,
            series: number,
        }
    }

    /// How many of these names were expected; each is what it should be.
    fn expected(order: &mut NameOrder, names: impl Iterator<Item = u32>) -> usize {
        let mut hits = 0;
        for number in names {
            let text = format!("host_{number}\t");
            let name = &text.as_bytes()[..text.len() - 1];
            match order.expect(text.as_bytes(), b'\t') {
                Some(found) => {
                    assert_eq!(found, (series(number), name.len()));
                    hits += 1;
                }
                None => order.note(name, series(number)),
            }
        }
        hits
    }

    #[test]
    fn every_tick_after_the_first_is_expected() {
        let mut order = NameOrder::default();
        assert_eq!(expected(&mut order, 0..1000), 0);
        assert_eq!(expected(&mut order, 0..1000), 1000);
        // Some are left out, and some come twice in a row.
        assert_eq!(expected(&mut order, (0..1000).filter(|number| number % 100 > 9)), 900);
        assert_eq!(
            expected(&mut order, (0..1000).flat_map(|number| [number, number])),
            2000
        );
    }

    #[test]
    fn late_rows_and_silent_devices_do_not_lead_astray() {
        let mut order = NameOrder::default();
        expected(&mut order, 0..1000);
        let mut hits = 0;
        for tick in 0..10 {
            // One in ten is silent and another comes in its place, late.
            let names = (0..1000).map(|number| match (number + tick) % 10 {
                0 => (number * 7 + 300) % 1000,
                _ => number,
            });
            hits += expected(&mut order, names);
        }
        assert!(hits >= 10 * 850, "{hits}");
        assert!(order.entries.len() < 1100, "{}", order.entries.len());
    }

    #[test]
    fn a_name_that_begins_like_another_is_another() {
        let mut order = NameOrder::default();
        order.note(b"host_1", series(1));
        assert_eq!(order.expect(b"host_10\t", b'\t'), None);
        assert_eq!(order.expect(b"host_1", b'\t'), None);
        assert_eq!(order.find(b"host_1"), Some(series(1)));
    }

    #[test]
    fn names_in_no_order_are_given_up() {
        let mut order = NameOrder::default();
        let mut state = 1u32;
        let random = std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        });
        expected(&mut order, random.take(200_000));
        assert!(order.is_off);
        assert!(order.entries.is_empty());
    }
}
