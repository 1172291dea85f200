//! The rows of a temporary table: pieces that never change, which pictures share.
//!
//! New rows become a piece of their own and are joined with those before them as a counter carries, so that a million INSERTs of one row leave
//! some twenty pieces.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, interleave, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

/// Rows in a piece at most: the batches that queries work with, and few enough that an UPDATE of one row copies little.
const PIECE_ROWS_MAX: usize = 8_192;

/// What a row's key takes in the table that finds it, besides its bytes.
const KEY_BYTES: usize = 96;

/// Where a row is: piece, and row in it.
pub(crate) type Place = (usize, usize);

/// Rows of one key, as bytes that are equal only for equal values.
type Keys = HashMap<Box<[u8]>, u32>;

#[derive(Debug)]
struct Piece {
    batch: RecordBatch,
    bytes: usize,
    /// Of each rule of uniqueness, made when somebody asks.
    keys: OnceLock<Vec<Keys>>,
}

/// Columns, by number, whose values are there once.
pub(crate) type KeyColumns = Vec<usize>;

/// All rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    schema: SchemaRef,
    keys: Arc<[KeyColumns]>,
    pieces: Vec<Arc<Piece>>,
}

impl Rows {
    pub fn new(schema: SchemaRef, keys: Arc<[KeyColumns]>) -> Rows {
        Rows {
            schema,
            keys,
            pieces: Vec::new(),
        }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.pieces.iter().map(|piece| &piece.batch)
    }

    pub fn count(&self) -> usize {
        self.batches().map(RecordBatch::num_rows).sum()
    }

    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    /// Of each piece where it is and what it takes, so that what pictures share is counted once.
    pub fn pieces(&self) -> impl Iterator<Item = (usize, usize)> {
        self.pieces
            .iter()
            .map(|piece| (Arc::as_ptr(piece) as usize, piece.bytes))
    }

    /// Places of rows by their numbers, which count from 0 through all pieces.
    pub fn places(&self, numbers: impl Iterator<Item = u64>) -> Vec<Place> {
        let mut ends = Vec::with_capacity(self.pieces.len());
        let mut end = 0u64;
        for batch in self.batches() {
            end += batch.num_rows() as u64;
            ends.push(end);
        }
        let place = |number: u64| {
            let piece = ends.partition_point(|end| *end <= number);
            let before = piece.checked_sub(1).map_or(0, |before| ends[before]);
            (piece, (number - before) as usize)
        };
        numbers.map(place).collect()
    }

    /// With these rows after all others.
    pub fn appended(&self, batch: RecordBatch) -> Result<Rows, ArrowError> {
        let mut next = self.clone();
        if batch.num_rows() == 0 {
            return Ok(next);
        }
        if batch.num_rows() > PIECE_ROWS_MAX {
            let mut from = 0;
            while from < batch.num_rows() {
                let to = batch.num_rows().min(from + PIECE_ROWS_MAX);
                // Copied: a slice would keep the whole.
                let rows = UInt32Array::from_iter_values(from as u32..to as u32);
                next.pieces
                    .push(Arc::new(self.piece(take_record_batch(&batch, &rows)?)?));
                from = to;
            }
            return Ok(next);
        }
        let mut batch = batch;
        while let Some(last) = next.pieces.last() {
            let (before, own) = (last.batch.num_rows(), batch.num_rows());
            if before > 2 * own || before + own > PIECE_ROWS_MAX {
                break;
            }
            batch = concat_batches(&self.schema, [&last.batch, &batch])?;
            next.pieces.pop();
        }
        next.pieces.push(Arc::new(self.piece(batch)?));
        Ok(next)
    }

    /// Without the rows in these places.
    pub fn without(&self, places: &[Place]) -> Result<Rows, ArrowError> {
        let mut gone: HashMap<usize, Vec<usize>> = HashMap::new();
        for (piece, row) in places {
            gone.entry(*piece).or_default().push(*row);
        }
        let mut next = Rows::new(self.schema.clone(), self.keys.clone());
        for (number, piece) in self.pieces.iter().enumerate() {
            let Some(rows) = gone.get(&number) else {
                next.pieces.push(piece.clone());
                continue;
            };
            let mut kept = vec![true; piece.batch.num_rows()];
            for row in rows {
                kept[*row] = false;
            }
            let left = filter_record_batch(&piece.batch, &BooleanArray::from(kept))?;
            if left.num_rows() > 0 {
                next.pieces.push(Arc::new(self.piece(left)?));
            }
        }
        Ok(next)
    }

    /// With the rows of `batch` in these places, one for each; of two for one place the first.
    pub fn replaced(&self, places: &[Place], batch: &RecordBatch) -> Result<Rows, ArrowError> {
        let mut changed: HashMap<usize, HashMap<usize, usize>> = HashMap::new();
        for (from, (piece, row)) in places.iter().enumerate() {
            changed.entry(*piece).or_default().entry(*row).or_insert(from);
        }
        let mut next = self.clone();
        for (number, rows) in changed {
            let old = &self.pieces[number].batch;
            let picked: Vec<(usize, usize)> = (0..old.num_rows())
                .map(|row| rows.get(&row).map_or((0, row), |from| (1, *from)))
                .collect();
            let columns = old
                .columns()
                .iter()
                .zip(batch.columns())
                .map(|(old, new)| interleave(&[old.as_ref(), new.as_ref()], &picked))
                .collect::<Result<Vec<ArrayRef>, _>>()?;
            let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
            next.pieces[number] = Arc::new(self.piece(batch)?);
        }
        Ok(next)
    }

    /// The rows in these places, in their order.
    pub fn taken(&self, places: &[Place]) -> Result<RecordBatch, ArrowError> {
        if places.is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        let batches: Vec<&RecordBatch> = self.batches().collect();
        arrow::compute::interleave_record_batch(&batches, places)
    }

    fn piece(&self, batch: RecordBatch) -> Result<Piece, ArrowError> {
        let columns = batch.columns().iter().map(compact).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        let bytes = batch.get_array_memory_size() + self.keys.len() * batch.num_rows() * KEY_BYTES;
        Ok(Piece {
            batch,
            bytes,
            keys: OnceLock::new(),
        })
    }

    /// Where the row with this key of a rule is.
    pub fn find(&self, rule: usize, key: &[u8]) -> Result<Option<Place>, ArrowError> {
        for (number, piece) in self.pieces.iter().enumerate() {
            if let Some(row) = piece.keys(&self.keys)?.get(rule).and_then(|keys| keys.get(key)) {
                return Ok(Some((number, *row as usize)));
            }
        }
        Ok(None)
    }

    /// A row whose key of a rule another row has too.
    pub fn duplicate(&self, rule: usize) -> Result<Option<Place>, ArrowError> {
        let Some(columns) = self.keys.get(rule) else {
            return Ok(None);
        };
        let mut seen = std::collections::HashSet::new();
        for (number, batch) in self.batches().enumerate() {
            for (row, key) in keys_of(batch, columns)?.into_iter().enumerate() {
                if key.is_some_and(|key| !seen.insert(key)) {
                    return Ok(Some((number, row)));
                }
            }
        }
        Ok(None)
    }
}

impl Piece {
    fn keys(&self, rules: &[KeyColumns]) -> Result<&Vec<Keys>, ArrowError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let mut made = Vec::with_capacity(rules.len());
        for columns in rules {
            let keys = keys_of(&self.batch, columns)?.into_iter().zip(0u32..);
            made.push(keys.filter_map(|(key, row)| Some((key?, row))).collect());
        }
        Ok(self.keys.get_or_init(|| made))
    }
}

/// The key of each row; `None`: a null is in it, which is equal to nothing.
pub(crate) fn keys_of(batch: &RecordBatch, columns: &[usize]) -> Result<Vec<Option<Box<[u8]>>>, ArrowError> {
    let arrays: Vec<ArrayRef> = columns.iter().map(|column| batch.column(*column).clone()).collect();
    let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone()));
    let rows = RowConverter::new(fields.collect())?.convert_columns(&arrays)?;
    let whole = |row: usize| arrays.iter().all(|array| array.is_valid(row));
    let key = |row: usize| whole(row).then(|| rows.row(row).as_ref().into());
    Ok((0..batch.num_rows()).map(key).collect())
}

/// Without what other rows left in its buffers.
fn compact(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => array.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use arrow::datatypes::{Field, Int32Type, Schema};

    use super::*;

    fn batch(values: &[i32]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(values.to_vec()))]).unwrap()
    }

    fn values(rows: &Rows) -> Vec<i32> {
        let of = |batch: &RecordBatch| batch.column(0).as_primitive::<Int32Type>().values().to_vec();
        rows.batches().flat_map(of).collect()
    }

    fn rows(values: impl Iterator<Item = i32>) -> Rows {
        let mut rows = Rows::new(batch(&[]).schema(), [vec![0]].into());
        for value in values {
            rows = rows.appended(batch(&[value])).unwrap();
        }
        rows
    }

    #[test]
    fn single_rows_become_few_pieces_in_their_order() {
        let rows = rows(0..1_000);
        assert_eq!(values(&rows), (0..1_000).collect::<Vec<_>>());
        assert!(rows.pieces.len() < 20, "{} pieces", rows.pieces.len());
    }

    #[test]
    fn many_rows_at_once_become_pieces_of_the_usual_size() {
        let all: Vec<i32> = (0..20_000).collect();
        let rows = rows(0..3).appended(batch(&all)).unwrap();
        assert_eq!(rows.count(), 20_003);
        assert_eq!(values(&rows)[3..], all);
        assert!(rows.batches().all(|batch| batch.num_rows() <= PIECE_ROWS_MAX));
        let places = rows.places([0u64, 2, 3, 20_002].into_iter());
        assert_eq!(rows.taken(&places).unwrap(), batch(&[0, 2, 0, 19_999]));
    }

    #[test]
    fn a_picture_keeps_its_rows() {
        let before = rows(0..10);
        let places = before.places([0u64, 9].into_iter());
        let less = before.without(&places).unwrap();
        assert_eq!(values(&less), (1..9).collect::<Vec<_>>());
        let changed = before.replaced(&places, &batch(&[100, 109])).unwrap();
        assert_eq!((values(&changed)[0], values(&changed)[9]), (100, 109));
        assert_eq!(values(&before), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn keys_are_found_wherever_their_rows_are() {
        let rows = rows(0..100);
        let key = |value: i32| keys_of(&batch(&[value]), &[0]).unwrap()[0].clone().unwrap();
        for value in 0..100 {
            let place = rows.find(0, &key(value)).unwrap().unwrap();
            assert_eq!(rows.taken(&[place]).unwrap(), batch(&[value]));
        }
        assert_eq!(rows.find(0, &key(100)).unwrap(), None);
        assert_eq!(rows.duplicate(0).unwrap(), None);
        let twice = rows.appended(batch(&[7])).unwrap();
        assert!(twice.duplicate(0).unwrap().is_some());
    }
}
