//! Pieces: sorted rows that a scan has at hand, of a chunk or of a decoded block; and batches made of parts of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_empty_array, new_null_array};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};

use super::chunk::{Sorted, runs_of};
use super::columns::{self, Gather, Permutation, Slice};
use super::rule::{Rule, Rules, fold};
use crate::data_file::{BlockRows, BlockSeries, SortedRows};
use crate::{ColumnId, Direction, Run, ScanBatch, ScanColumn, SeriesId, UpdateMode};

/// The columns a scan brings along.
#[derive(Clone)]
pub(crate) enum Wanted {
    /// These, in this order.
    These(Arc<[ScanColumn]>),
    /// All there are, ascending by id.
    All,
}

/// Rows in (series, time) order, each key once.
pub(crate) struct Piece {
    /// By position.
    pub times: ScalarBuffer<i64>,
    /// Holds the row of each position, where the two differ.
    order: Option<Arc<Sorted>>,
    /// By row; as wanted.
    pub columns: Vec<(ColumnId, ArrayRef)>,
    /// By row.
    rules: Rules,
}

/// A piece and where its series lie in it.
#[derive(Clone)]
pub(crate) struct Block {
    pub piece: Arc<Piece>,
    pub series: Arc<[u32]>,
    pub starts: Arc<[u32]>,
}

impl Piece {
    pub fn of_chunk(sorted: &Arc<Sorted>, wanted: &Wanted) -> Arc<Piece> {
        let columns = match wanted {
            Wanted::All => sorted.columns.clone(),
            Wanted::These(list) => list
                .iter()
                .map(|column| {
                    let array = match columns::find(&sorted.columns, column.id) {
                        Some(array) => columns::cast(array, &column.data_type),
                        None => new_null_array(&column.data_type, sorted.row_count),
                    };
                    (column.id, array)
                })
                .collect(),
        };
        Arc::new(Piece {
            times: sorted.times.clone(),
            order: sorted.rows.is_some().then(|| sorted.clone()),
            columns,
            rules: sorted.rules.clone(),
        })
    }

    /// Rows that stand as they are, such as a scan's.
    pub fn of_rows(times: ScalarBuffer<i64>, columns: Vec<(ColumnId, ArrayRef)>) -> Arc<Piece> {
        Arc::new(Piece {
            times,
            order: None,
            columns,
            rules: Rules::all(Rule::Replace),
        })
    }

    /// The same rows with these columns of it, which it has.
    pub fn select(&self, columns: &[ScanColumn]) -> Arc<Piece> {
        let select = |column: &ScanColumn| {
            let own = columns::find(&self.columns, column.id);
            let array = own.cloned();
            (
                column.id,
                array.unwrap_or_else(|| new_null_array(&column.data_type, self.row_count())),
            )
        };
        Arc::new(Piece {
            times: self.times.clone(),
            order: self.order.clone(),
            columns: columns.iter().map(select).collect(),
            rules: self.rules.clone(),
        })
    }

    fn rows(&self) -> Permutation<'_> {
        self.order.as_ref().and_then(|sorted| sorted.rows.as_deref())
    }

    /// Length of the columns.
    fn row_count(&self) -> usize {
        self.order.as_ref().map_or(self.times.len(), |sorted| sorted.row_count)
    }

    fn row(&self, position: usize) -> usize {
        self.rows().map_or(position, |rows| rows[position] as usize)
    }
}

impl Block {
    pub fn new(rows: BlockRows, update: UpdateMode) -> Block {
        let (series, starts) = match rows.series {
            BlockSeries::One(_) if rows.times.is_empty() => (Vec::new(), vec![0]),
            BlockSeries::One(series) => (vec![series], vec![0, rows.times.len() as u32]),
            BlockSeries::Several(series) => runs_of(&series),
        };
        Block {
            series: series.into(),
            starts: starts.into(),
            piece: Arc::new(Piece {
                times: rows.times,
                order: None,
                columns: rows.columns,
                rules: Rules::from_flags(update, rows.replaces),
            }),
        }
    }
}

/// A batch being put together: which positions of which pieces, in order.
pub(crate) struct Parts {
    direction: Direction,
    pieces: Vec<Arc<Piece>>,
    slices: Vec<Slice>,
    runs: Vec<Run>,
    rows: usize,
    /// Rows that are merged from several.
    merged: Vec<Merged>,
}

/// A row whose values come from several versions.
struct Merged {
    at: usize,
    /// Piece and row of each, oldest first.
    versions: Vec<(u32, usize)>,
}

/// One version of a row.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    /// In the batch, see [`Parts::piece`].
    pub piece: u32,
    pub position: usize,
}

impl Parts {
    pub fn new(direction: Direction) -> Parts {
        Parts {
            direction,
            pieces: Vec::new(),
            slices: Vec::new(),
            runs: Vec::new(),
            rows: 0,
            merged: Vec::new(),
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Takes a piece along, once for each batch; the number stands for it from now on.
    pub fn piece(&mut self, piece: &Arc<Piece>) -> u32 {
        self.pieces.push(piece.clone());
        self.pieces.len() as u32 - 1
    }

    /// Adds positions `start..start + len` of a piece, all of one series; in the direction of the batch.
    pub fn push(&mut self, series: u32, piece: u32, start: usize, len: usize) {
        self.rows += len;
        match self.runs.last_mut() {
            Some(run) if run.series.0 == series => run.rows += len,
            _ => self.runs.push(Run {
                series: SeriesId(series),
                rows: len,
            }),
        }
        let (start, len) = (start as u32, len as u32);
        if let Some(last) = self.slices.last_mut()
            && last.source == piece
        {
            match self.direction {
                Direction::Ascending if last.start + last.len == start => {
                    last.len += len;
                    return;
                }
                Direction::Descending if start + len == last.start => {
                    last.start = start;
                    last.len += len;
                    return;
                }
                _ => {}
            }
        }
        self.slices.push(Slice {
            source: piece,
            start,
            len,
        });
    }

    /// Adds the one row that the versions of a key, oldest first, leave.
    pub fn push_folded(&mut self, series: u32, versions: &[Version], remaining: &mut Vec<usize>) {
        let row = |version: &Version| self.pieces[version.piece as usize].row(version.position);
        let rules = versions
            .iter()
            .map(|version| self.pieces[version.piece as usize].rules.get(row(version)));
        fold(rules, remaining);
        if remaining.len() > 1 {
            self.merged.push(Merged {
                at: self.rows,
                versions: remaining
                    .iter()
                    .map(|at| (versions[*at].piece, row(&versions[*at])))
                    .collect(),
            });
        }
        // The first that remains: its rule is that of the whole, and its values are overridden where others have some.
        let first = versions[remaining[0]];
        self.push(series, first.piece, first.position, 1);
    }

    fn gather<R>(&self, f: impl FnOnce(Gather<'_>) -> R) -> R {
        let permutations: Vec<Permutation<'_>> = self.pieces.iter().map(|piece| piece.rows()).collect();
        f(Gather {
            slices: &self.slices,
            rows: self.rows,
            permutations: &permutations,
            reversed: self.direction == Direction::Descending,
        })
    }

    fn column(&self, gather: &Gather<'_>, arrays: &[ArrayRef]) -> ArrayRef {
        let newest_value = |merged: &Merged| {
            let mut newest_first = merged.versions.iter().rev();
            let (piece, row) = newest_first.find(|(piece, row)| arrays[*piece as usize].is_valid(*row))?;
            Some((merged.at, *piece as usize, *row))
        };
        let overrides: Vec<_> = self.merged.iter().filter_map(newest_value).collect();
        gather.column(arrays, &overrides)
    }

    fn times(&self) -> ScalarBuffer<i64> {
        if let ([slice], Direction::Ascending) = (self.slices.as_slice(), self.direction) {
            let times = &self.pieces[slice.source as usize].times;
            return times.slice(slice.start as usize, slice.len as usize);
        }
        let mut times: Vec<i64> = Vec::with_capacity(self.rows);
        for slice in &self.slices {
            let part = &self.pieces[slice.source as usize].times[slice.start as usize..][..slice.len as usize];
            match self.direction {
                Direction::Ascending => times.extend_from_slice(part),
                Direction::Descending => times.extend(part.iter().rev()),
            }
        }
        times.into()
    }

    /// The batch, of pieces that all have the same wanted columns.
    pub fn into_batch(self, wanted: &[ScanColumn]) -> ScanBatch {
        if self.rows == 0 {
            let columns = wanted.iter().map(|column| new_empty_array(&column.data_type));
            return ScanBatch {
                times: Vec::new().into(),
                columns: columns.collect(),
                runs: Vec::new(),
            };
        }
        let columns = self.gather(|gather| {
            (0..wanted.len())
                .map(|at| {
                    let arrays: Vec<ArrayRef> = self.pieces.iter().map(|piece| piece.columns[at].1.clone()).collect();
                    self.column(&gather, &arrays)
                })
                .collect()
        });
        ScanBatch {
            times: self.times(),
            columns,
            runs: self.runs,
        }
    }

    /// The rows with all columns of all pieces. Flags say which follow the other rule of the vnode; without `flags` all follow its own.
    pub fn into_sorted_rows(self, flags: Option<UpdateMode>) -> SortedRows {
        let lists = || self.pieces.iter().map(|piece| piece.columns.as_slice());
        let (columns, replaces) = self.gather(|gather| {
            let columns = columns::union(lists())
                .into_iter()
                .map(|(id, data_type)| {
                    let arrays: Vec<ArrayRef> = self
                        .pieces
                        .iter()
                        .map(|piece| match columns::find(&piece.columns, id) {
                            Some(array) => columns::cast(array, &data_type),
                            None => new_null_array(&data_type, piece.row_count()),
                        })
                        .collect();
                    (id, self.column(&gather, &arrays))
                })
                .collect();
            (columns, flags.and_then(|update| self.flags(&gather, update)))
        });
        let mut series: Vec<u32> = Vec::with_capacity(self.rows);
        for run in &self.runs {
            series.extend(std::iter::repeat_n(run.series.0, run.rows));
        }
        SortedRows {
            series: series.into(),
            times: self.times(),
            columns,
            replaces,
        }
    }

    /// Rows that do not follow the vnode's own rule, if there are any.
    fn flags(&self, gather: &Gather<'_>, update: UpdateMode) -> Option<BooleanBuffer> {
        let plain = Rules::from_flags(update, None).only();
        if self.pieces.iter().all(|piece| piece.rules.only() == plain) {
            return None;
        }
        let flagged = Rule::flagged(update);
        let flags = gather.flags(|piece, row| self.pieces[piece].rules.get(row) == flagged);
        Some(flags).filter(|flags| flags.count_set_bits() > 0)
    }
}
