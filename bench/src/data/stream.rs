//! The rows of some devices, tick by tick: in each tick every table, in each table every device, as TSBS emits them.
//!
//! What a row says, whether it gets lost, is late or comes twice is decided by the seed, the device and the tick alone: streams of 0..50 and of
//! 50..100 hold together the rows of a stream of 0..100.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{DataSet, START_MICROS};
use crate::random::Random;

/// Stands for NULL among values.
pub const NULL: i64 = i64::MIN;

/// Rows of one table, row after row.
#[derive(Default, Clone)]
pub struct Rows {
    pub devices: Vec<u32>,
    pub times: Vec<i64>,
    pub values: Vec<i64>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    fn push_copy(&mut self, from: &Rows, row: usize, width: usize) {
        self.devices.push(from.devices[row]);
        self.times.push(from.times[row]);
        self.values
            .extend_from_slice(&from.values[row * width..(row + 1) * width]);
    }

    fn append(&mut self, other: &mut Rows) {
        self.devices.append(&mut other.devices);
        self.times.append(&mut other.times);
        self.values.append(&mut other.values);
    }

    /// Forgets the first rows.
    pub fn drop_first(&mut self, count: usize, width: usize) {
        self.devices.drain(..count);
        self.times.drain(..count);
        self.values.drain(..count * width);
    }

    pub fn values_of(&self, row: usize, width: usize) -> &[i64] {
        &self.values[row * width..(row + 1) * width]
    }
}

/// How rows leave the order of time.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Share of rows that come late.
    pub late: f64,
    /// They come up to this many ticks late.
    pub late_ticks_max: i64,
    /// Share of rows that are sent a second time, as late as late rows are.
    pub twice: f64,
}

impl Order {
    pub const IN_ORDER: Order = Order {
        late: 0.0,
        late_ticks_max: 360,
        twice: 0.0,
    };

    fn disturbs(self) -> bool {
        self.late > 0.0 || self.twice > 0.0
    }
}

/// What was generated of one table, each row once: what a server has to hold in the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    pub rows: u64,
    /// Rows sent, those sent twice counted twice.
    pub sent: u64,
    /// Sum of each field, in the field's smallest units.
    pub sums: Vec<i128>,
}

impl Totals {
    pub fn new(width: usize) -> Totals {
        Totals {
            rows: 0,
            sent: 0,
            sums: vec![0; width],
        }
    }

    pub fn add(&mut self, other: &Totals) {
        self.rows += other.rows;
        self.sent += other.sent;
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
    }
}

pub struct Stream<'a> {
    set: &'a DataSet,
    seed: u64,
    order: Order,
    devices: Range<u32>,
    ticks: i64,
    tick: i64,
    randoms: Vec<Random>,
    /// Device by device, all tables' fields.
    states: Vec<f64>,
    states_per_device: usize,
    tables: Vec<TableStream>,
}

/// What one table's rows have to wait for.
struct TableStream {
    /// Where its fields begin among a device's states.
    first_state: usize,
    width: usize,
    scales: Vec<f64>,
    /// Rows that are late, by the tick in which they come.
    waiting: BTreeMap<i64, Rows>,
    totals: Totals,
}

impl<'a> Stream<'a> {
    pub fn new(set: &'a DataSet, seed: u64, devices: Range<u32>, ticks: i64, order: Order) -> Stream<'a> {
        let mut first_state = 0;
        let tables: Vec<TableStream> = set
            .tables
            .iter()
            .map(|table| {
                let width = table.fields.len();
                first_state += width;
                TableStream {
                    first_state: first_state - width,
                    width,
                    scales: table
                        .fields
                        .iter()
                        .map(|field| 10_f64.powi(field.decimals as i32))
                        .collect(),
                    waiting: BTreeMap::new(),
                    totals: Totals::new(width),
                }
            })
            .collect();
        let mut randoms: Vec<Random> = devices
            .clone()
            .map(|device| Random::new(seed, &[u64::from(device)]))
            .collect();
        let mut states = Vec::with_capacity(randoms.len() * first_state);
        for random in &mut randoms {
            for field in set.tables.iter().flat_map(|table| &table.fields) {
                states.push(field.law.start(random));
            }
        }
        Stream {
            set,
            seed,
            order,
            devices,
            ticks,
            tick: 0,
            randoms,
            states,
            states_per_device: first_state,
            tables,
        }
    }

    /// Appends the rows of one more tick to `out`, one `Rows` for each table; false when there are no more.
    pub fn tick(&mut self, out: &mut [Rows]) -> bool {
        if self.tick == self.ticks {
            let mut any = false;
            for (table, out) in self.tables.iter_mut().zip(out) {
                for (_, mut rows) in std::mem::take(&mut table.waiting) {
                    table.totals.sent += rows.len() as u64;
                    out.append(&mut rows);
                    any = true;
                }
            }
            return any;
        }
        for (number, out) in out.iter_mut().enumerate() {
            self.release(number, out);
            if self.set.is_lossy || self.order.disturbs() {
                let mut rows = Rows::default();
                self.generate(number, &mut rows);
                if self.set.is_lossy {
                    rows = self.lose(number, rows);
                }
                self.count(number, &rows, 0);
                self.disturb(number, rows, out);
            } else {
                let first = out.len();
                self.generate(number, out);
                self.count(number, out, first);
                self.tables[number].totals.sent += (out.len() - first) as u64;
            }
        }
        self.tick += 1;
        true
    }

    /// Passes over the ticks before this one: their rows are there already.
    pub fn skip_to(&mut self, tick: i64) {
        let mut out = vec![Rows::default(); self.tables.len()];
        while self.tick < tick && self.tick(&mut out) {
            out.iter_mut().for_each(|rows| *rows = Rows::default());
        }
        for table in &mut self.tables {
            table.totals = Totals::new(table.width);
        }
    }

    pub fn totals(&self) -> Vec<Totals> {
        self.tables.iter().map(|table| table.totals.clone()).collect()
    }

    /// Every device's row of this tick, after which its states are those of the next.
    fn generate(&mut self, number: usize, out: &mut Rows) {
        let fields = &self.set.tables[number].fields;
        let table = &self.tables[number];
        let time = START_MICROS + self.tick * self.set.step_micros;
        for ((device, random), states) in self
            .devices
            .clone()
            .zip(&mut self.randoms)
            .zip(self.states.chunks_exact_mut(self.states_per_device))
        {
            let states = &mut states[table.first_state..table.first_state + table.width];
            out.devices.push(device);
            out.times.push(time);
            for (place, field) in fields.iter().enumerate() {
                let value = field.law.value(place, states);
                out.values.push((value * table.scales[place]) as i64);
            }
            for (state, field) in states.iter_mut().zip(fields) {
                *state = field.law.advance(*state, random);
            }
        }
    }

    /// Decisions about a row or a batch of rows that do not depend on the stream.
    fn fate(&self, number: usize, kind: u64, device: u32) -> Random {
        Random::new(self.seed, &[kind, number as u64, u64::from(device), self.tick as u64])
    }

    /// TSBS iot: of batches of ten entries 1 % are dropped and 5 % held back; of entries 10 % dropped, 30 % of the rest held back a little, and
    /// in 10 % one field is null. What is held back comes later in the same tick, each time with even chances.
    fn lose(&self, number: usize, rows: Rows) -> Rows {
        let width = self.tables[number].width;
        let mut kept = Rows::default();
        let mut held = Vec::new();
        let mut batch = (u32::MAX, Fate::Comes);
        for row in 0..rows.len() {
            let device = rows.devices[row];
            if batch.0 != device / LOST_TOGETHER {
                let mut fate = self.fate(number, BATCH_PATH, device / LOST_TOGETHER);
                batch = (device / LOST_TOGETHER, Fate::draw(&mut fate, 0.01, 0.05));
                held.retain(|row| {
                    let comes = fate.chance(0.5);
                    if comes {
                        self.keep(number, &rows, *row, width, &mut kept);
                    }
                    !comes
                });
            }
            let entry = Fate::draw(&mut self.fate(number, ENTRY_PATH, device), 0.1, 0.3);
            match (batch.1, entry) {
                (Fate::IsLost, _) | (_, Fate::IsLost) => {}
                (Fate::Waits, _) | (_, Fate::Waits) => held.push(row),
                (Fate::Comes, Fate::Comes) => self.keep(number, &rows, row, width, &mut kept),
            }
        }
        for row in held {
            self.keep(number, &rows, row, width, &mut kept);
        }
        kept
    }

    fn keep(&self, number: usize, rows: &Rows, row: usize, width: usize, kept: &mut Rows) {
        kept.push_copy(rows, row, width);
        let mut fate = self.fate(number, NULL_PATH, rows.devices[row]);
        if fate.chance(0.1) {
            let place = kept.values.len() - width + fate.below(width as u64) as usize;
            kept.values[place] = NULL;
        }
    }

    fn count(&mut self, number: usize, rows: &Rows, first: usize) {
        let table = &mut self.tables[number];
        table.totals.rows += (rows.len() - first) as u64;
        for row in rows.values[first * table.width..].chunks_exact(table.width) {
            for (sum, value) in table.totals.sums.iter_mut().zip(row) {
                if *value != NULL {
                    *sum += i128::from(*value);
                }
            }
        }
    }

    /// Sends rows on, or lets them wait.
    fn disturb(&mut self, number: usize, mut rows: Rows, out: &mut Rows) {
        if !self.order.disturbs() {
            self.tables[number].totals.sent += rows.len() as u64;
            out.append(&mut rows);
            return;
        }
        let width = self.tables[number].width;
        for row in 0..rows.len() {
            let mut fate = self.fate(number, LATE_PATH, rows.devices[row]);
            let is_late = fate.chance(self.order.late);
            let is_twice = fate.chance(self.order.twice);
            let mut wait = |times: usize| {
                for _ in 0..times {
                    let due = self.tick + 1 + fate.below(self.order.late_ticks_max.max(1) as u64) as i64;
                    self.tables[number]
                        .waiting
                        .entry(due)
                        .or_default()
                        .push_copy(&rows, row, width);
                }
            };
            wait(usize::from(is_late) + usize::from(is_twice));
            if !is_late {
                out.push_copy(&rows, row, width);
                self.tables[number].totals.sent += 1;
            }
        }
    }

    /// The late rows that come now, before those that are in time.
    fn release(&mut self, number: usize, out: &mut Rows) {
        let table = &mut self.tables[number];
        while let Some(entry) = table.waiting.first_entry() {
            if *entry.key() > self.tick {
                return;
            }
            let mut rows = entry.remove();
            table.totals.sent += rows.len() as u64;
            out.append(&mut rows);
        }
    }
}

/// Entries of this many consecutive devices get lost or are held back together.
pub const LOST_TOGETHER: u32 = 10;

/// Keep the sequences of decisions apart.
const BATCH_PATH: u64 = 0x6261;
const ENTRY_PATH: u64 = 0x656e;
const NULL_PATH: u64 = 0x6e75;
const LATE_PATH: u64 = 0x6c61;

#[derive(Clone, Copy)]
enum Fate {
    Comes,
    Waits,
    IsLost,
}

impl Fate {
    fn draw(random: &mut Random, lost: f64, waits: f64) -> Fate {
        if random.chance(lost) {
            Fate::IsLost
        } else if random.chance(waits) {
            Fate::Waits
        } else {
            Fate::Comes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows of one table as (device, time, values), in the order they come, and its totals.
    fn rows_of(
        name: &str,
        table: usize,
        devices: Range<u32>,
        ticks: i64,
        order: Order,
    ) -> (Vec<(u32, i64, Vec<i64>)>, Totals) {
        let set = DataSet::by_name(name).expect("a known data set");
        let width = set.tables[table].fields.len();
        let mut stream = Stream::new(&set, 123, devices, ticks, order);
        let mut out = vec![Rows::default(); set.tables.len()];
        while stream.tick(&mut out) {}
        let rows = &out[table];
        let list = (0..rows.len())
            .map(|row| (rows.devices[row], rows.times[row], rows.values_of(row, width).to_vec()))
            .collect();
        (list, stream.totals()[table].clone())
    }

    #[test]
    fn a_seed_gives_the_same_rows_whatever_the_sharing() {
        for name in ["cpu-only", "devops", "iot", "meters", "tsm"] {
            let (mut whole, totals) = rows_of(name, 0, 0..40, 20, Order::IN_ORDER);
            let (mut halves, mut halves_totals) = rows_of(name, 0, 0..20, 20, Order::IN_ORDER);
            let (second, second_totals) = rows_of(name, 0, 20..40, 20, Order::IN_ORDER);
            halves.extend(second);
            halves_totals.add(&second_totals);
            whole.sort();
            halves.sort();
            assert_eq!(whole, halves, "{name}");
            assert_eq!(totals, halves_totals, "{name}");
        }
    }

    #[test]
    fn rows_in_order_come_tick_by_tick_and_stay_between_0_and_100() {
        let (rows, totals) = rows_of("cpu-only", 0, 0..7, 30, Order::IN_ORDER);
        assert_eq!(totals.rows, 210);
        assert!(rows.is_sorted_by_key(|(device, time, _)| (*time, *device)));
        assert!(
            rows.iter()
                .all(|(_, _, values)| values.iter().all(|value| (0..=100).contains(value)))
        );
        let sums: Vec<i128> = (0..10)
            .map(|field| rows.iter().map(|(_, _, values)| i128::from(values[field])).sum())
            .collect();
        assert_eq!(totals.sums, sums);
    }

    #[test]
    fn a_tenth_of_the_rows_is_late_and_none_is_lost() {
        let order = Order {
            late: 0.1,
            late_ticks_max: 36,
            twice: 0.0,
        };
        let (rows, totals) = rows_of("cpu-only", 0, 0..100, 200, order);
        assert_eq!((totals.rows, totals.sent, rows.len()), (20_000, 20_000, 20_000));
        let mut newest = i64::MIN;
        let late = rows
            .iter()
            .filter(|(_, time, _)| {
                newest = newest.max(*time);
                *time < newest
            })
            .count();
        assert!((1_800..2_200).contains(&late), "{late} late rows");
        let (mut in_order, _) = rows_of("cpu-only", 0, 0..100, 200, Order::IN_ORDER);
        let mut sorted = rows;
        sorted.sort();
        in_order.sort();
        assert_eq!(sorted, in_order);
    }

    #[test]
    fn rows_sent_twice_are_counted_once() {
        let order = Order {
            late: 0.0,
            late_ticks_max: 5,
            twice: 0.2,
        };
        let (mut rows, totals) = rows_of("cpu-only", 0, 0..100, 50, order);
        assert_eq!(totals.rows, 5_000);
        assert_eq!(totals.sent, rows.len() as u64);
        assert!((5_850..6_150).contains(&rows.len()), "{} rows", rows.len());
        rows.sort();
        rows.dedup();
        assert_eq!(rows.len(), 5_000);
    }

    #[test]
    fn iot_loses_and_blanks_as_tsbs_does() {
        let (rows, totals) = rows_of("iot", 0, 0..1_000, 50, Order::IN_ORDER);
        let share = totals.rows as f64 / 50_000.0;
        assert!((0.88..0.90).contains(&share), "{share} survive");
        let blank = rows.iter().filter(|(_, _, values)| values.contains(&NULL)).count() as f64 / rows.len() as f64;
        assert!((0.09..0.11).contains(&blank), "{blank} lack a field");
        let (_, time, _) = rows[0];
        assert_eq!(time, START_MICROS);
        let disorder = rows.windows(2).filter(|pair| pair[0].0 > pair[1].0).count();
        assert!(disorder > 1_000, "entries do not come in the order of devices");
    }

    #[test]
    fn meters_have_ten_values_of_each_metric() {
        let (rows, _) = rows_of("meters", 0, 0..50, 50, Order::IN_ORDER);
        for field in 0..3 {
            let mut values: Vec<i64> = rows.iter().map(|(_, _, values)| values[field]).collect();
            values.sort_unstable();
            values.dedup();
            assert_eq!(values.len(), 10, "field {field}: {values:?}");
        }
        assert!(
            rows.iter()
                .all(|(_, _, values)| (980..=1_016).contains(&values[0]) && (105..115).contains(&values[1]))
        );
    }

    #[test]
    fn temperatures_repeat_and_counters_rise() {
        let (rows, _) = rows_of("tsm", 0, 0..1, 5_000, Order::IN_ORDER);
        let repeats = rows.windows(2).filter(|pair| pair[0].2[0] == pair[1].2[0]).count();
        assert!((4_400..4_700).contains(&repeats), "{repeats} of 4999");
        let (rows, _) = rows_of("devops", 1, 0..1, 500, Order::IN_ORDER);
        assert!(rows.is_sorted_by_key(|(_, _, values)| values[0]));
    }
}
