//! The newest row of each series: from memory, without a scan.
//!
//! ```text
//! last rows of data files (kept per family once asked for) + newest rows of each chunk = newest rows
//! ```
//!
//! Last rows belong to one [`super::disk::Disk`], so that they never disagree with the files of a view. A flush carries them over by asking
//! this very question of what it writes. Where a delete hides the row that would have been the newest, the series is scanned backwards.

use std::sync::Arc;

use super::chunk::Sorted;
use super::cursor::gallop;
use super::deletes::{Deletes, Order};
use super::piece::{Parts, Piece, Version, Wanted};
use super::view::{Search, VnodeView};
use crate::{Direction, FamilyId, ScanBatch, ScanColumn, SeriesId, SeriesSet, StorageError, TimeRange};

/// Newest rows of a family in data files, deletes of the manifest applied.
pub(crate) struct LastRows {
    columns: Arc<[ScanColumn]>,
    /// Series that were looked up, ascending, with rows or without. `None`: all.
    known: Option<Vec<u32>>,
    /// Series with a row, ascending; one position of `piece` for each.
    series: Vec<u32>,
    piece: Arc<Piece>,
    /// How often series were looked up.
    lookups: u32,
}

/// After so many partial lookups everything is looked up, because each copies what is known.
const LOOKUPS_MAX: u32 = 8;

/// Rows fetched at a time from a backward scan.
const LOOKUP_BATCH_ROWS: usize = 4096;

pub(super) fn newest(
    view: &VnodeView,
    family: FamilyId,
    set: &SeriesSet,
    columns: &[ScanColumn],
) -> Result<ScanBatch, StorageError> {
    let base = last_rows(view, family, set, columns)?;
    let parts = newest_parts(view, family, set, &base, columns)?;
    Ok(parts.into_batch(columns))
}

/// What the last rows become once the memtables of the view are in files as well.
pub(super) fn carried_over(view: &VnodeView, family: FamilyId, base: &LastRows) -> Result<LastRows, StorageError> {
    let set = match &base.known {
        None => SeriesSet::All,
        Some(known) => SeriesSet::List(known.iter().map(|series| SeriesId(*series)).collect()),
    };
    let batch = newest_parts(view, family, &set, base, &base.columns)?.into_batch(&base.columns);
    Ok(LastRows {
        columns: base.columns.clone(),
        known: base.known.clone(),
        series: batch.runs.iter().map(|run| run.series.0).collect(),
        piece: piece_of(batch, &base.columns),
        lookups: base.lookups,
    })
}

fn piece_of(batch: ScanBatch, columns: &[ScanColumn]) -> Arc<Piece> {
    let ids = columns.iter().map(|column| column.id);
    Piece::of_rows(batch.times, ids.zip(batch.columns).collect())
}

impl LastRows {
    fn empty(columns: Vec<ScanColumn>) -> LastRows {
        let arrays = columns.iter().map(|column| {
            let none = arrow::array::new_empty_array(&column.data_type);
            (column.id, none)
        });
        LastRows {
            piece: Piece::of_rows(Vec::new().into(), arrays.collect()),
            columns: columns.into(),
            known: Some(Vec::new()),
            series: Vec::new(),
            lookups: 0,
        }
    }

    fn has(&self, columns: &[ScanColumn]) -> bool {
        columns.iter().all(|column| self.columns.contains(column))
    }

    /// Those of the set that were not looked up yet.
    fn missing(&self, set: &SeriesSet) -> Option<SeriesSet> {
        let known = self.known.as_ref()?;
        let SeriesSet::List(list) = set else {
            return Some(SeriesSet::All);
        };
        let mut at = 0;
        let missing: Vec<SeriesId> = list
            .iter()
            .filter(|series| {
                at = gallop(known, at, |known| *known < series.0);
                known.get(at) != Some(&series.0)
            })
            .copied()
            .collect();
        match missing.is_empty() {
            true => None,
            false if self.lookups >= LOOKUPS_MAX => Some(SeriesSet::All),
            false => Some(SeriesSet::List(missing.into())),
        }
    }

    /// With the rows of `looked_up` besides its own.
    fn with(&self, looked_up: &SeriesSet, found: Found) -> LastRows {
        let SeriesSet::List(list) = looked_up else {
            return found.into_last_rows(self.columns.clone(), None, self.lookups + 1);
        };
        let mut known: Vec<u32> = self.known.iter().flatten().copied().collect();
        known.extend(list.iter().map(|series| series.0));
        known.sort_unstable();
        let mut both = found;
        let own = both.pieces.len();
        both.pieces.push(self.piece.clone());
        both.rows
            .extend(self.series.iter().enumerate().map(|(at, series)| (*series, own, at)));
        both.rows.sort_unstable();
        both.into_last_rows(self.columns.clone(), Some(known), self.lookups + 1)
    }
}

/// Rows of several pieces: series, piece, position.
struct Found {
    rows: Vec<(u32, usize, usize)>,
    pieces: Vec<Arc<Piece>>,
}

impl Found {
    /// The newest row of each series by scanning backwards.
    fn scan(
        view: &VnodeView,
        family: FamilyId,
        set: &SeriesSet,
        columns: &Arc<[ScanColumn]>,
    ) -> Result<Found, StorageError> {
        let mut merge = view.merge(Search {
            family,
            series: set.clone(),
            time: TimeRange::ALL,
            wanted: Wanted::These(columns.clone()),
            bounds: Vec::new(),
            direction: Direction::Descending,
            limit_per_series: Some(1),
        })?;
        let mut found = Found {
            rows: Vec::new(),
            pieces: Vec::new(),
        };
        while let Some(parts) = merge.next(LOOKUP_BATCH_ROWS)? {
            let batch = parts.into_batch(columns);
            let piece = found.pieces.len();
            let rows = batch.runs.iter().enumerate();
            found.rows.extend(rows.map(|(at, run)| (run.series.0, piece, at)));
            found.pieces.push(piece_of(batch, columns));
        }
        Ok(found)
    }

    fn into_last_rows(self, columns: Arc<[ScanColumn]>, known: Option<Vec<u32>>, lookups: u32) -> LastRows {
        if self.pieces.is_empty() {
            let none = LastRows::empty(columns.to_vec());
            return LastRows { known, lookups, ..none };
        }
        let mut parts = Parts::new(Direction::Ascending);
        let slots: Vec<u32> = self.pieces.iter().map(|piece| parts.piece(piece)).collect();
        for (series, piece, position) in &self.rows {
            parts.push(*series, slots[*piece], *position, 1);
        }
        LastRows {
            piece: piece_of(parts.into_batch(&columns), &columns),
            columns,
            known,
            series: self.rows.iter().map(|(series, _, _)| *series).collect(),
            lookups,
        }
    }
}

/// The last rows of files, at least of the set and with the columns; looked up where they are not known yet.
fn last_rows(
    view: &VnodeView,
    family: FamilyId,
    set: &SeriesSet,
    columns: &[ScanColumn],
) -> Result<Arc<LastRows>, StorageError> {
    let kept = view.disk.last_rows.lock().get(&family).cloned();
    let base = match kept {
        Some(kept) if kept.has(columns) => kept,
        // Columns that were asked for once are likely to be asked for again.
        other => {
            let mut all = columns.to_vec();
            let before = other.iter().flat_map(|kept| kept.columns.iter());
            for column in before {
                if !all.iter().any(|one| one.id == column.id) {
                    all.push(column.clone());
                }
            }
            all.sort_by_key(|column| column.id);
            all.dedup();
            Arc::new(LastRows::empty(all))
        }
    };
    let Some(missing) = base.missing(set) else {
        return Ok(base);
    };
    let found = Found::scan(&view.of_files(), family, &missing, &base.columns)?;
    let rows = Arc::new(base.with(&missing, found));
    view.disk.last_rows.lock().insert(family, rows.clone());
    Ok(rows)
}

/// The newest row of each series of a set while sources are looked at.
struct Candidates {
    series: Vec<u32>,
    /// Time, source and position; `None` as long as no row was found.
    best: Vec<Option<(i64, u32, usize)>>,
    found: usize,
    /// Further rows with the time of the best when they were found: slot, time, source, position.
    ties: Vec<(usize, i64, u32, usize)>,
    /// Slots whose candidates some delete hides.
    hidden: Vec<usize>,
}

impl Candidates {
    fn offer(&mut self, slot: usize, time: i64, source: u32, position: usize) {
        match &mut self.best[slot] {
            none @ None => {
                *none = Some((time, source, position));
                self.found += 1;
            }
            Some(best) if time > best.0 => *best = (time, source, position),
            Some(best) if time == best.0 => self.ties.push((slot, time, source, position)),
            Some(_) => {}
        }
    }

    /// Whether a source without anything later than `time` can be left out.
    fn all_after(&self, time: i64) -> bool {
        self.found == self.series.len() && self.best.iter().flatten().all(|best| best.0 > time)
    }
}

/// Calls `f` with the places of each value that is in both ascending lists.
fn for_each_common(a: &[u32], b: &[u32], mut f: impl FnMut(usize, usize)) {
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => i = gallop(a, i, |one| one < y),
            std::cmp::Ordering::Greater => j = gallop(b, j, |one| one < x),
            std::cmp::Ordering::Equal => {
                f(i, j);
                i += 1;
                j += 1;
            }
        }
    }
}

/// Every series of the base and of the chunks.
fn all_series(base: &LastRows, chunks: &[Arc<Sorted>]) -> Vec<u32> {
    let mut all = base.series.clone();
    for chunk in chunks {
        let mut common = 0;
        for_each_common(&all, &chunk.series, |_, _| common += 1);
        if common < chunk.series.len() {
            all.extend(&chunk.series);
            all.sort_unstable();
            all.dedup();
        }
    }
    all
}

fn newest_parts(
    view: &VnodeView,
    family: FamilyId,
    set: &SeriesSet,
    base: &LastRows,
    columns: &[ScanColumn],
) -> Result<Parts, StorageError> {
    let chunks = view.chunks(family);
    let sorted: Vec<Arc<Sorted>> = chunks.iter().map(|chunk| chunk.sorted().clone()).collect();
    let deletes = view.memory_deletes(family);
    let series = match set {
        SeriesSet::All => all_series(base, &sorted),
        SeriesSet::List(list) => list.iter().map(|series| series.0).collect(),
    };
    let mut candidates = Candidates {
        best: vec![None; series.len()],
        series,
        found: 0,
        ties: Vec::new(),
        hidden: Vec::new(),
    };

    // Source 0 is the base, the others are the chunks from the oldest on.
    let mut newest_first: Vec<usize> = (0..chunks.len()).collect();
    newest_first.sort_by_key(|at| std::cmp::Reverse(chunks[*at].time().end()));
    for at in newest_first {
        if candidates.all_after(chunks[at].time().end()) {
            break;
        }
        let chunk = &sorted[at];
        let newest = |run: usize| {
            let position = chunk.starts[run + 1] as usize - 1;
            (chunk.times[position], position)
        };
        consider(
            &mut candidates,
            &chunk.series,
            newest,
            at as u32 + 1,
            chunks[at].order(),
            &deletes,
        );
    }
    let order = Order::end_of(view.disk.flushed_index);
    consider(
        &mut candidates,
        &base.series,
        |at| (base.piece.times[at], at),
        0,
        order,
        &deletes,
    );
    let wanted = Wanted::These(columns.into());
    let pieces = |source: u32| match source.checked_sub(1) {
        None => base.piece.select(columns),
        Some(at) => Piece::of_chunk(&sorted[at as usize], &wanted),
    };
    let scanned = scan_hidden(view, family, &mut candidates, columns)?;
    Ok(assemble(view, candidates, &scanned, chunks.len() as u32 + 1, pieces))
}

/// Offers the newest row of each run of a source.
fn consider(
    candidates: &mut Candidates,
    series: &[u32],
    newest: impl Fn(usize) -> (i64, usize),
    source: u32,
    order: Order,
    deletes: &[Arc<Deletes>],
) {
    let deletes: Vec<&Arc<Deletes>> = deletes.iter().filter(|list| !list.after(order).is_empty()).collect();
    let slots = std::mem::take(&mut candidates.series);
    let mut spans = Vec::new();
    for_each_common(&slots, series, |slot, run| {
        let (time, position) = newest(run);
        spans.clear();
        deletes
            .iter()
            .for_each(|list| list.hidden(slots[slot], order, &mut spans));
        match spans.iter().any(|span| span.contains(time)) {
            true => candidates.hidden.push(slot),
            false => candidates.offer(slot, time, source, position),
        }
    });
    candidates.series = slots;
}

/// Newest rows of the series of which a candidate was hidden, by slot.
fn scan_hidden(
    view: &VnodeView,
    family: FamilyId,
    candidates: &mut Candidates,
    columns: &[ScanColumn],
) -> Result<Found, StorageError> {
    candidates.hidden.sort_unstable();
    candidates.hidden.dedup();
    if candidates.hidden.is_empty() {
        return Ok(Found {
            rows: Vec::new(),
            pieces: Vec::new(),
        });
    }
    let series: Vec<SeriesId> = candidates
        .hidden
        .iter()
        .map(|slot| SeriesId(candidates.series[*slot]))
        .collect();
    Found::scan(view, family, &SeriesSet::List(series.into()), &columns.into())
}

/// Puts the best rows together. `scanned` decides about the series that it was made for; its pieces follow `sources` others.
fn assemble(
    view: &VnodeView,
    mut candidates: Candidates,
    scanned: &Found,
    sources: u32,
    piece: impl Fn(u32) -> Arc<Piece>,
) -> Parts {
    for slot in &candidates.hidden {
        candidates.best[*slot] = None;
    }
    for (series, piece, position) in &scanned.rows {
        if let Ok(slot) = candidates.series.binary_search(series) {
            let time = scanned.pieces[*piece].times[*position];
            candidates.best[slot] = Some((time, sources + *piece as u32, *position));
        }
    }
    let hidden = &candidates.hidden;
    candidates.ties.retain(|tie| hidden.binary_search(&tie.0).is_err());
    candidates.ties.sort_unstable();

    let mut parts = Parts::new(Direction::Ascending);
    let mut numbers: Vec<Option<u32>> = vec![None; sources as usize + scanned.pieces.len()];
    let mut number = |parts: &mut Parts, source: u32| {
        *numbers[source as usize].get_or_insert_with(|| match source.checked_sub(sources) {
            Some(at) => parts.piece(&scanned.pieces[at as usize]),
            None => parts.piece(&piece(source)),
        })
    };
    let low = view.disk.low.unwrap_or(i64::MIN);
    let mut tie = 0;
    let mut versions = Vec::new();
    let mut remaining = Vec::new();
    for (slot, series) in candidates.series.iter().enumerate() {
        tie = gallop(&candidates.ties, tie, |tie| tie.0 < slot);
        let Some((time, source, position)) = candidates.best[slot].filter(|best| best.0 >= low) else {
            continue;
        };
        let of_slot = candidates.ties[tie..].iter().take_while(|tie| tie.0 == slot);
        versions.clear();
        versions.extend(of_slot.filter(|tie| tie.1 == time).map(|tie| (tie.2, tie.3)));
        if versions.is_empty() {
            let piece = number(&mut parts, source);
            parts.push(*series, piece, position, 1);
            continue;
        }
        versions.push((source, position));
        versions.sort_unstable();
        let versions: Vec<Version> = versions
            .iter()
            .map(|(source, position)| Version {
                piece: number(&mut parts, *source),
                position: *position,
            })
            .collect();
        parts.push_folded(*series, &versions, &mut remaining);
    }
    parts
}
