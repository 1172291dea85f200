//! Columns of rows from several places brought together: concatenated, gathered, cast to one type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanBufferBuilder, PrimitiveArray, downcast_primitive,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute;
use arrow::datatypes::DataType;

use crate::ColumnId;

/// The column of that id, if there.
pub(crate) fn find(columns: &[(ColumnId, ArrayRef)], id: ColumnId) -> Option<&ArrayRef> {
    // Ascending by id.
    let at = columns.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    columns.get(at).map(|(_, array)| array)
}

/// The array as `data_type`; null where a value does not fit, which ALTER TABLE rules out by only ever widening.
pub(crate) fn cast(array: &ArrayRef, data_type: &DataType) -> ArrayRef {
    if array.data_type() == data_type {
        return array.clone();
    }
    compute::cast(array, data_type).unwrap_or_else(|_| new_null_array(data_type, array.len()))
}

/// Of two types that a column had at different times, the one that holds both.
pub(crate) fn wider<'a>(a: &'a DataType, b: &'a DataType) -> &'a DataType {
    if width_rank(b) > width_rank(a) { b } else { a }
}

fn width_rank(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Boolean => 0,
        DataType::Int16 => 1,
        DataType::Int32 | DataType::Date32 => 2,
        DataType::Int64 => 3,
        DataType::Float32 => 4,
        DataType::Float64 => 5,
        // A wider decimal has more digits; times and text outrank what can be cast to them.
        DataType::Decimal128(precision, _) => 6 + u32::from(*precision),
        DataType::Timestamp(_, _) => 100,
        _ => 101,
    }
}

/// Ids and types of all columns in any of the lists, ascending by id.
pub(crate) fn union<'a>(lists: impl Iterator<Item = &'a [(ColumnId, ArrayRef)]>) -> Vec<(ColumnId, DataType)> {
    let mut all: Vec<(ColumnId, DataType)> = Vec::new();
    for (id, array) in lists.flatten() {
        match all.binary_search_by_key(id, |(id, _)| *id) {
            Ok(at) => {
                let wide = wider(&all[at].1, array.data_type());
                if wide != &all[at].1 {
                    all[at].1 = wide.clone();
                }
            }
            Err(at) => all.insert(at, (*id, array.data_type().clone())),
        }
    }
    all
}

/// The arrays one after the other. All of one type.
pub(crate) fn concat(arrays: &[ArrayRef]) -> ArrayRef {
    if let [one] = arrays {
        return one.clone();
    }
    let refs: Vec<&dyn Array> = arrays.iter().map(|array| array.as_ref()).collect();
    let whole = compute::concat(&refs).expect("arrays of one type, of fewer than 2^31 rows, concatenate");
    compact_views(whole)
}

/// Text that is spread over many buffers copied into one. Without this a column that was concatenated from a thousand single rows would
/// hold a thousand buffers, and concatenating it again would cost that many.
fn compact_views(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View if array.as_string_view().data_buffers().len() > 1 => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView if array.as_binary_view().data_buffers().len() > 1 => {
            Arc::new(array.as_binary_view().gc())
        }
        _ => array,
    }
}

/// Bytes of a column in memory, without what its buffers hold for others.
pub(crate) fn memory_bytes(array: &ArrayRef) -> usize {
    let nulls = if array.nulls().is_some() {
        array.len().div_ceil(8)
    } else {
        0
    };
    let values = match array.data_type() {
        DataType::Boolean => array.len().div_ceil(8),
        DataType::Utf8View => view_bytes(array.len(), array.as_string_view().data_buffers()),
        DataType::BinaryView => view_bytes(array.len(), array.as_binary_view().data_buffers()),
        fixed => array.len() * fixed.primitive_width().unwrap_or(16),
    };
    nulls + values
}

fn view_bytes(rows: usize, buffers: &[arrow::buffer::Buffer]) -> usize {
    rows * 16 + buffers.iter().map(|buffer| buffer.len()).sum::<usize>()
}

/// Where rows of a result come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Which array.
    pub source: u32,
    pub start: u32,
    pub len: u32,
}

/// Row numbers behind a source's positions: `None` when they are the same.
pub(crate) type Permutation<'a> = Option<&'a [u32]>;

/// What a gathering of columns has in common.
pub(crate) struct Gather<'a> {
    pub slices: &'a [Slice],
    pub rows: usize,
    /// For each source; slices count in positions.
    pub permutations: &'a [Permutation<'a>],
    /// Positions of each slice are taken from its end to its start.
    pub reversed: bool,
}

impl Gather<'_> {
    /// Calls `f` with source and row of each result row.
    #[inline(always)]
    fn for_each(&self, mut f: impl FnMut(usize, usize)) {
        for slice in self.slices {
            let source = slice.source as usize;
            let range = slice.start as usize..(slice.start + slice.len) as usize;
            match (self.permutations[source], self.reversed) {
                (None, false) => range.for_each(|row| f(source, row)),
                (None, true) => range.rev().for_each(|row| f(source, row)),
                (Some(rows), false) => rows[range].iter().for_each(|row| f(source, *row as usize)),
                (Some(rows), true) => rows[range].iter().rev().for_each(|row| f(source, *row as usize)),
            }
        }
    }

    /// Whether slices are as long and as straight as concatenation likes them.
    fn is_straight(&self) -> bool {
        /// Below this many rows a slice costs concatenation more than its rows cost gathering.
        const STRAIGHT_ROWS: usize = 64;
        !self.reversed
            && self.rows >= self.slices.len() * STRAIGHT_ROWS
            && self
                .slices
                .iter()
                .all(|slice| self.permutations[slice.source as usize].is_none())
    }

    /// The rows of one column, but at `overrides` (ascending by result row) another source's row.
    pub fn column(&self, arrays: &[ArrayRef], overrides: &[(usize, usize, usize)]) -> ArrayRef {
        if let ([slice], true, []) = (self.slices, self.is_straight(), overrides) {
            return arrays[slice.source as usize].slice(slice.start as usize, slice.len as usize);
        }
        if self.is_straight() && overrides.is_empty() {
            let parts: Vec<ArrayRef> = self
                .slices
                .iter()
                .map(|slice| arrays[slice.source as usize].slice(slice.start as usize, slice.len as usize))
                .collect();
            return concat(&parts);
        }
        let first = arrays.first().expect("rows come from somewhere");
        macro_rules! primitive {
            ($t:ty) => {
                self.primitive::<$t>(arrays, overrides)
            };
        }
        downcast_primitive! {
            first.data_type() => (primitive),
            _ => self.interleave(arrays, overrides)
        }
    }

    fn primitive<T: ArrowPrimitiveType>(&self, arrays: &[ArrayRef], overrides: &[(usize, usize, usize)]) -> ArrayRef {
        let typed: Vec<&PrimitiveArray<T>> = arrays.iter().map(|array| array.as_primitive::<T>()).collect();
        let mut values: Vec<T::Native> = Vec::with_capacity(self.rows);
        for slice in self.slices {
            let source = typed[slice.source as usize].values();
            let range = slice.start as usize..(slice.start + slice.len) as usize;
            match (self.permutations[slice.source as usize], self.reversed) {
                (None, false) => values.extend_from_slice(&source[range]),
                (None, true) => values.extend(source[range].iter().rev()),
                (Some(rows), false) => values.extend(rows[range].iter().map(|row| source[*row as usize])),
                (Some(rows), true) => values.extend(rows[range].iter().rev().map(|row| source[*row as usize])),
            }
        }
        for (at, source, row) in overrides {
            values[*at] = typed[*source].value(*row);
        }
        let nulls = self.nulls(arrays, overrides);
        let array = PrimitiveArray::<T>::new(values.into(), nulls);
        Arc::new(array.with_data_type(typed[0].data_type().clone()))
    }

    fn nulls(&self, arrays: &[ArrayRef], overrides: &[(usize, usize, usize)]) -> Option<NullBuffer> {
        let sources: Vec<Option<&NullBuffer>> = arrays.iter().map(|array| array.nulls()).collect();
        if sources.iter().all(Option::is_none) {
            return None;
        }
        let mut valid = BooleanBufferBuilder::new(self.rows);
        self.for_each(|source, row| valid.append(sources[source].is_none_or(|nulls| nulls.is_valid(row))));
        for (at, source, row) in overrides {
            valid.set_bit(*at, sources[*source].is_none_or(|nulls| nulls.is_valid(*row)));
        }
        Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0)
    }

    fn interleave(&self, arrays: &[ArrayRef], overrides: &[(usize, usize, usize)]) -> ArrayRef {
        let mut rows = Vec::with_capacity(self.rows);
        self.for_each(|source, row| rows.push((source, row)));
        for (at, source, row) in overrides {
            rows[*at] = (*source, *row);
        }
        let refs: Vec<&dyn Array> = arrays.iter().map(|array| array.as_ref()).collect();
        compute::interleave(&refs, &rows).expect("arrays of one type interleave")
    }

    /// A bit for each row, told from its source and row.
    pub fn flags(&self, mut flag: impl FnMut(usize, usize) -> bool) -> BooleanBuffer {
        let mut flags = BooleanBufferBuilder::new(self.rows);
        self.for_each(|source, row| flags.append(flag(source, row)));
        flags.finish()
    }
}
