//! A supertable's children in memory: tags column by column, in chunks that never change once they are shared.
//!
//! ```text
//! slot  0 ........ 8191 | 8192 ....... 16383 | 16384 .. 20000
//!       chunk 0, full   | chunk 1, full      | last chunk, replaced by a longer one when children are added
//! ```
//!
//! A change builds the chunks that it touches anew and puts them into a new list, so that a reader's `Children` stay as they were.
//! Adding to the last chunk copies it: at most 8192 rows, microseconds beside the synced write that comes with it.

use std::ops::Deref;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, concat, interleave};

use crate::{CatalogError, Precision, SeriesRef, Table, record};

/// Children in a chunk. One evaluation of a predicate takes a chunk: large enough that its fixed cost vanishes, small enough
/// that a column stays in the L2 cache and that replacing a chunk costs less than a sync. DataFusion's batch size.
pub const CHUNK_ROWS: u32 = 8192;

/// A supertable's children at one moment, column by column. Cheap to take, never changes.
#[derive(Clone, Debug)]
pub struct Children {
    pub table: Arc<Table>,
    pub chunks: Chunks,
}

/// Chunks in the order of their slots, shared as a whole: a snapshot of ten million children counts one reference.
#[derive(Clone, Debug, Default)]
pub struct Chunks(Arc<Vec<Arc<ChildChunk>>>);

impl Chunks {
    /// Puts a chunk in the place of another, or behind the last.
    pub(crate) fn set(&mut self, index: usize, chunk: Arc<ChildChunk>) {
        let chunks = Arc::make_mut(&mut self.0);
        match chunks.get_mut(index) {
            Some(place) => *place = chunk,
            None => chunks.push(chunk),
        }
    }
}

impl Children {
    /// The child with this OID, as its chunk and the row in it. OIDs ascend with slots, since both are given in the order in which children are
    /// made and neither is given again.
    pub fn find_oid(&self, oid: u32) -> Option<(&ChildChunk, usize)> {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.oids.last().is_none_or(|last| *last < oid));
        let chunk = self.chunks.get(at)?;
        let row = chunk.oids.binary_search(&oid).ok()?;
        chunk.alive.value(row).then_some((chunk.as_ref(), row))
    }
}

impl Deref for Chunks {
    type Target = [Arc<ChildChunk>];

    fn deref(&self) -> &[Arc<ChildChunk>] {
        &self.0
    }
}

impl From<Vec<Arc<ChildChunk>>> for Chunks {
    fn from(chunks: Vec<Arc<ChildChunk>>) -> Chunks {
        Chunks(Arc::new(chunks))
    }
}

impl<'a> IntoIterator for &'a Chunks {
    type Item = &'a Arc<ChildChunk>;
    type IntoIter = std::slice::Iter<'a, Arc<ChildChunk>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Chunks {
    type Item = Arc<ChildChunk>;
    type IntoIter = std::vec::IntoIter<Arc<ChildChunk>>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

/// Up to `CHUNK_ROWS` children. All arrays are equally long; dropped children are absent from `alive`.
#[derive(Clone, Debug)]
pub struct ChildChunk {
    pub alive: BooleanBuffer,
    pub oids: Vec<u32>,
    pub series: Vec<SeriesRef>,
    /// Utf8View.
    pub names: ArrayRef,
    /// As `Table::tags`, in their Arrow types.
    pub tags: Vec<ArrayRef>,
}

/// Buffers of a text column before it is written together: each piece that was added brought one along.
const TEXT_BUFFERS_MAX: usize = 16;

impl ChildChunk {
    /// Children so far, dropped ones included.
    pub fn rows(&self) -> usize {
        self.oids.len()
    }

    pub fn name(&self, row: usize) -> &str {
        self.names.as_string_view().value(row)
    }

    /// These children and then those of `more`, which have the same tags.
    pub(crate) fn followed_by(&self, more: &ChildChunk) -> Result<ChildChunk, CatalogError> {
        let join = |left: &ArrayRef, right: &ArrayRef| concat(&[left, right]).map_err(unexpected);
        Ok(ChildChunk {
            alive: self.alive.iter().chain(&more.alive).collect(),
            oids: [self.oids.as_slice(), &more.oids].concat(),
            series: [self.series.as_slice(), &more.series].concat(),
            names: join(&self.names, &more.names)?,
            tags: self
                .tags
                .iter()
                .zip(&more.tags)
                .map(|(left, right)| join(left, right))
                .collect::<Result<_, _>>()?,
        })
    }

    /// These children, with `rows` replaced by those of `by`, in the same order.
    pub(crate) fn with_rows(&self, rows: &[usize], by: &ChildChunk) -> Result<ChildChunk, CatalogError> {
        let mut picks: Vec<(usize, usize)> = (0..self.rows()).map(|row| (0, row)).collect();
        for (replacement, row) in rows.iter().enumerate() {
            picks[*row] = (1, replacement);
        }
        let merge = |old: &ArrayRef, new: &ArrayRef| interleave(&[old, new], &picks).map_err(unexpected);
        let from = |pick: &(usize, usize)| if pick.0 == 0 { self } else { by };
        Ok(ChildChunk {
            alive: picks.iter().map(|pick| from(pick).alive.value(pick.1)).collect(),
            oids: picks.iter().map(|pick| from(pick).oids[pick.1]).collect(),
            series: picks.iter().map(|pick| from(pick).series[pick.1]).collect(),
            names: merge(&self.names, &by.names)?,
            tags: self
                .tags
                .iter()
                .zip(&by.tags)
                .map(|(old, new)| merge(old, new))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Chosen children, in the order of `rows`.
    pub(crate) fn pick(&self, rows: &[usize]) -> Result<ChildChunk, CatalogError> {
        let picks: Vec<(usize, usize)> = rows.iter().map(|row| (0, *row)).collect();
        let pick = |array: &ArrayRef| interleave(&[array], &picks).map_err(unexpected);
        Ok(ChildChunk {
            alive: rows.iter().map(|row| self.alive.value(*row)).collect(),
            oids: rows.iter().map(|row| self.oids[*row]).collect(),
            series: rows.iter().map(|row| self.series[*row]).collect(),
            names: pick(&self.names)?,
            tags: self.tags.iter().map(pick).collect::<Result<_, _>>()?,
        })
    }

    /// Whether a text column has gathered buffers, or refers to much that no child has any more.
    pub(crate) fn is_scattered(&self) -> bool {
        let buffers = |array: &ArrayRef| {
            let strings = array.as_string_view_opt().map(|array| array.data_buffers().len());
            let bytes = array.as_binary_view_opt().map(|array| array.data_buffers().len());
            strings.or(bytes).unwrap_or(0)
        };
        buffers(&self.names) > TEXT_BUFFERS_MAX || self.tags.iter().any(|tag| buffers(tag) > TEXT_BUFFERS_MAX)
    }

    /// The same children in as little memory as possible: repeated text once, one buffer for each column.
    pub(crate) fn compact(&self, table: &Table, precision: Precision) -> Result<ChildChunk, CatalogError> {
        record::decode(table, precision, &record::encode(table, self)).map_err(unexpected)
    }

    /// The same children after the definition changed from `old` to `new`.
    pub(crate) fn retagged(&self, old: &Table, new: &Table, precision: Precision) -> Result<ChildChunk, CatalogError> {
        let tags = new.tags.iter().map(|tag| {
            let data_type = tag.sql_type.arrow_type(precision);
            match old
                .tags
                .iter()
                .position(|before| before.id == tag.id)
                .and_then(|at| self.tags.get(at))
            {
                Some(array) if *array.data_type() == data_type => Ok(array.clone()),
                Some(array) => cast(array, &data_type).map_err(unexpected),
                None => Ok(new_null_array(&data_type, self.rows())),
            }
        });
        Ok(ChildChunk {
            tags: tags.collect::<Result<_, _>>()?,
            ..self.clone()
        })
    }
}

/// Arrow refused an operation on arrays whose types and lengths were checked before.
pub(crate) fn unexpected(problem: impl std::fmt::Display) -> CatalogError {
    CatalogError::Corrupt {
        key: "children in memory".into(),
        problem: problem.to_string(),
    }
}
