//! Whether two systems gave the same answer. Cells are brought to one form (times to microseconds, numbers to doubles, booleans to one spelling)
//! and rows to one order; doubles may differ in their last digits, since sums depend on the order of adding.

use std::cmp::Ordering;

use crate::time;

#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Time(i64),
    Number(f64),
    Text(String),
}

impl Cell {
    fn of(text: Option<String>) -> Cell {
        let Some(text) = text else { return Cell::Null };
        if let Some(micros) = time::from_text(&text) {
            return Cell::Time(micros);
        }
        match text.parse::<f64>() {
            Ok(number) => Cell::Number(number),
            Err(_) => Cell::Text(text),
        }
    }

    /// Numbers come last in sorting keys, and only roughly: what may differ in the last digit must not decide the order.
    fn order(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Number(a), Cell::Number(b)) if !is_close(*a, *b) => a.total_cmp(b),
            (Cell::Number(_), Cell::Number(_)) => Ordering::Equal,
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Null => 0,
            Cell::Time(_) => 1,
            Cell::Text(_) => 2,
            Cell::Number(_) => 3,
        }
    }

    fn is_same(&self, other: &Cell) -> bool {
        match (self, other) {
            (Cell::Number(a), Cell::Number(b)) => is_close(*a, *b),
            _ => self == other,
        }
    }
}

/// Sums of a hundred million doubles in another order agree to this.
fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-7 * a.abs().max(b.abs()).max(1e-3)
}

/// An answer that can be compared.
#[derive(Clone, Debug)]
pub struct Canonical {
    rows: Vec<Vec<Cell>>,
}

impl Canonical {
    pub fn of(rows: Vec<Vec<Option<String>>>) -> Canonical {
        let mut rows: Vec<Vec<Cell>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(Cell::of).collect())
            .collect();
        rows.sort_by(|a: &Vec<Cell>, b: &Vec<Cell>| {
            let key = |row: &[Cell]| {
                row.iter()
                    .filter(|cell| !matches!(cell, Cell::Number(_)))
                    .cloned()
                    .collect::<Vec<_>>()
            };
            compare(&key(a), &key(b)).then_with(|| compare(a, b))
        });
        Canonical { rows }
    }

    /// What is different, in one line; `None` where nothing is.
    pub fn difference(&self, other: &Canonical) -> Option<String> {
        if self.rows.len() != other.rows.len() {
            return Some(format!(
                "{} rows where the reference has {}",
                other.rows.len(),
                self.rows.len()
            ));
        }
        let pairs = self.rows.iter().zip(&other.rows);
        for (a, b) in pairs {
            let is_same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b));
            if !is_same {
                return Some(format!("{b:?} where the reference has {a:?}"));
            }
        }
        None
    }
}

fn compare(a: &[Cell], b: &[Cell]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.order(b))
        .find(|order| order.is_ne())
        .unwrap_or(a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[&[&str]]) -> Canonical {
        let cells = |row: &&[&str]| {
            row.iter()
                .map(|cell| (*cell != "NULL").then(|| (*cell).to_owned()))
                .collect()
        };
        Canonical::of(rows.iter().map(cells).collect())
    }

    #[test]
    fn spelling_and_order_do_not_matter() {
        let postgres = answer(&[
            &["2026-01-01 00:00:00+00", "host_1", "49.5"],
            &["2026-01-01 01:00:00+00", "host_1", "50"],
        ]);
        let other = answer(&[
            &["2026-01-01 01:00:00.000000", "host_1", "50.0000000000001"],
            &["2026-01-01 00:00:00.000000", "host_1", "49.50"],
        ]);
        assert_eq!(postgres.difference(&other), None);
    }

    #[test]
    fn another_value_a_missing_row_and_a_null_are_told() {
        let reference = answer(&[&["host_1", "1"], &["host_2", "2"]]);
        for other in [
            answer(&[&["host_1", "1"], &["host_2", "3"]]),
            answer(&[&["host_1", "1"]]),
            answer(&[&["host_1", "1"], &["host_2", "NULL"]]),
        ] {
            assert!(reference.difference(&other).is_some());
        }
    }
}
