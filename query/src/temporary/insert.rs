//! INSERT and COPY into a temporary table: rows as they were read become rows of the next picture.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{interleave, take_record_batch};
use taospg_storage::{Change, Conflict, VnodeId};

use super::TemporaryTable;
use super::rows::{Place, keys_of};
use super::table::failed;
use crate::ingest::keyed::Staged;
use crate::ingest::target::{Field, Target};
use crate::{ErrorKind, QueryError, Session};

/// Adds the rows of a statement; answers with those that were written, in their order. `listed`: the columns that were given, which ON CONFLICT
/// DO UPDATE sets.
pub(crate) fn insert(
    session: &mut Session,
    target: &Target,
    staged: BTreeMap<VnodeId, Vec<Change>>,
    conflict: Conflict,
    listed: &[Field],
) -> Result<RecordBatch, QueryError> {
    let picture = session.temporaries().picture();
    let Some(table) = picture.with_oid(target.table.oid) else {
        let message = format!("relation \"{}\" does not exist", target.name);
        return Err(QueryError::new(ErrorKind::UndefinedTable, message));
    };
    let staged = Staged::new(&target.table, target, staged.into_values().flatten())?;
    if staged.count == 0 {
        return Ok(RecordBatch::new_empty(table.held.schema().clone()));
    }
    let mut arrays = Vec::with_capacity(staged.columns.len());
    for (column, (_, array)) in table.definition.columns().iter().zip(&staged.columns) {
        arrays.push(table.definition.number(column, array)?);
    }
    let given = RecordBatch::try_new(table.held.schema().clone(), arrays).map_err(failed)?;
    let sorted = sort_out(table, &given, conflict)?;
    let (next, written) = write(table, &given, &sorted, listed)?;
    session.put_temporary(picture.with_rows(next))?;
    Ok(written)
}

/// What becomes of the rows that were given.
#[derive(Default)]
struct Sorted {
    /// Numbers of the rows to add.
    added: Vec<u32>,
    /// Rows that change one that is there: its place, and the number.
    merged: Vec<(Place, u32)>,
    /// All of them, in their order.
    order: Vec<u32>,
}

fn sort_out(table: &TemporaryTable, given: &RecordBatch, conflict: Conflict) -> Result<Sorted, QueryError> {
    let constraints = &table.definition.constraints;
    let mut keys = Vec::with_capacity(constraints.len());
    for constraint in constraints {
        let column = |name: &String| given.schema().index_of(name).ok();
        let columns: Vec<usize> = constraint.columns.iter().filter_map(column).collect();
        keys.push(keys_of(given, &columns).map_err(failed)?);
    }
    let mut sorted = Sorted::default();
    let mut seen: Vec<HashSet<&[u8]>> = vec![HashSet::new(); constraints.len()];
    'rows: for row in 0..given.num_rows() {
        let mut merged = None;
        for (rule, keys) in keys.iter().enumerate() {
            let Some(key) = keys[row].as_deref() else { continue };
            let there = table.held.find(rule, key).map_err(failed)?;
            if there.is_none() && !seen[rule].contains(key) {
                continue;
            }
            match (conflict, there) {
                (Conflict::Keep, _) => continue 'rows,
                (Conflict::Merge, Some(place)) if rule == 0 && !seen[rule].contains(key) => merged = Some(place),
                (Conflict::Merge, _) if rule == 0 => return Err(twice()),
                // The row that is changed has this key already.
                (Conflict::Merge, Some(place)) if merged == Some(place) => {}
                _ => return Err(table.duplicate(rule, given, row)),
            }
        }
        for (rule, keys) in keys.iter().enumerate() {
            if let Some(key) = keys[row].as_deref() {
                seen[rule].insert(key);
            }
        }
        let row = row as u32;
        match merged {
            Some(place) => sorted.merged.push((place, row)),
            None => sorted.added.push(row),
        }
        sorted.order.push(row);
    }
    Ok(sorted)
}

fn twice() -> QueryError {
    let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
    let error = QueryError::new(ErrorKind::CardinalityViolation, message);
    error.with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}

/// The table with these rows, and the rows as they were written.
fn write(
    table: &TemporaryTable,
    given: &RecordBatch,
    sorted: &Sorted,
    listed: &[Field],
) -> Result<(TemporaryTable, RecordBatch), QueryError> {
    let taken =
        |batch: &RecordBatch, rows: &[u32]| take_record_batch(batch, &UInt32Array::from(rows.to_vec())).map_err(failed);
    if sorted.merged.is_empty() {
        let added = match sorted.added.len() == given.num_rows() {
            true => given.clone(),
            false => taken(given, &sorted.added)?,
        };
        let held = table.held.appended(added.clone()).map_err(failed)?;
        return Ok((table.with_rows(held), added));
    }
    let places: Vec<Place> = sorted.merged.iter().map(|(place, _)| *place).collect();
    let old = table.held.taken(&places).map_err(failed)?;
    // Of each row its place among those that it changes.
    let changes: HashMap<u32, usize> = sorted.merged.iter().map(|(_, row)| *row).zip(0..).collect();
    let is_listed = |column: usize| listed.contains(&Field::Metric(column));
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(given.num_columns());
    for (number, (new, old)) in given.columns().iter().zip(old.columns()).enumerate() {
        let pick = |row: u32| match changes.get(&row) {
            Some(from) if !is_listed(number) => (1, *from),
            _ => (0, row as usize),
        };
        let picked: Vec<(usize, usize)> = (0..given.num_rows() as u32).map(pick).collect();
        columns.push(interleave(&[new.as_ref(), old.as_ref()], &picked).map_err(failed)?);
    }
    let whole = RecordBatch::try_new(given.schema(), columns).map_err(failed)?;
    let merged: Vec<u32> = sorted.merged.iter().map(|(_, row)| *row).collect();
    let held = table
        .held
        .replaced(&places, &taken(&whole, &merged)?)
        .and_then(|held| {
            Ok((
                held,
                take_record_batch(&whole, &UInt32Array::from(sorted.added.clone()))?,
            ))
        })
        .and_then(|(held, added)| held.appended(added))
        .map_err(failed)?;
    let next = table.with_rows(held);
    next.check_unique(1..next.definition.constraints.len())?;
    Ok((next, taken(&whole, &sorted.order)?))
}
