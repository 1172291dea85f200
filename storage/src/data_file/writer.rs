//! Writing a data file: cutting rows into blocks, and the file from front to back.
//!
//! A block wants many rows, for its fixed bytes to be few, and one series, for a read to decode no other's rows. So a series of 256 rows or more
//! has blocks of its own, and smaller ones share. A long series is cut so that no tail of a few rows remains.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, BooleanBufferBuilder};
use arrow::compute::concat;
use arrow::datatypes::DataType;

use super::frame::{self, Footer};
use super::index::{self, Entry};
use super::{DataFileId, SortedRows, block, statistics};
use crate::codec::ROWS_MAX;
use crate::io::{Io, IoFile};
use crate::{ColumnId, Compression, FamilyId, StorageError};

/// A series with this many rows gets blocks of its own. A block of fewer would have more than a tenth of its bytes in directory, index and
/// statistics; a read of a shared one decodes other series' rows.
const OWN_BLOCK_ROWS: usize = 256;

/// Bytes written at once: large enough that the system call is nothing beside the copy.
const WRITE_BYTES: usize = 1 << 20;

/// Writes one data file from front to back. Nothing is durable before `finish`.
pub struct DataFileWriter {
    file: Box<dyn IoFile>,
    path: PathBuf,
    id: DataFileId,
    compression: Compression,
    cutter: Cutter,
    pending: Pending,
    /// Encoded and not yet written, and where in the file it goes.
    buffer: Vec<u8>,
    written: u64,
    entries: Vec<Entry>,
    /// Statistics pages that are full, and the one that is not.
    pages: Vec<u8>,
    page_bytes: Vec<usize>,
    page: Vec<u8>,
    rows: u64,
}

impl DataFileWriter {
    pub fn create(
        io: &dyn Io,
        path: &Path,
        id: DataFileId,
        compression: Compression,
        block_rows_max: usize,
    ) -> Result<DataFileWriter, StorageError> {
        let file = io.create(path).map_err(StorageError::io(path))?;
        // A file of this name may be left from a flush that the power ended.
        file.set_len(0).map_err(StorageError::io(path))?;
        let mut buffer = Vec::with_capacity(WRITE_BYTES + WRITE_BYTES / 4);
        frame::put_header(id, &mut buffer);
        Ok(DataFileWriter {
            file,
            path: path.to_owned(),
            id,
            compression,
            cutter: Cutter::new(block_rows_max),
            pending: Pending::default(),
            buffer,
            written: 0,
            entries: Vec::new(),
            pages: Vec::new(),
            page_bytes: Vec::new(),
            page: Vec::new(),
            rows: 0,
        })
    }

    /// Rows after all that came before in (family, series, time); any number. The writer cuts blocks: one series from about 256 rows up,
    /// several small series together.
    pub fn append(&mut self, family: FamilyId, rows: &SortedRows) -> Result<(), StorageError> {
        if rows.is_empty() {
            return Ok(());
        }
        if !self.pending.continues(family, rows) {
            self.close()?;
            self.pending.begin(family, rows);
        }
        self.pending.rows.push_back(rows.clone());
        let mut cuts = Vec::new();
        for run in rows.series.chunk_by(|a, b| a == b) {
            self.cutter.add(run[0], run.len(), &mut cuts);
        }
        self.cut(&cuts)
    }

    /// Cuts what is pending, as another family or other columns follow.
    fn close(&mut self) -> Result<(), StorageError> {
        let mut cuts = Vec::new();
        self.cutter.end(&mut cuts);
        self.cut(&cuts)
    }

    fn cut(&mut self, cuts: &[usize]) -> Result<(), StorageError> {
        for rows in cuts {
            let rows = self.pending.take(*rows)?;
            self.put_block(&rows)?;
        }
        Ok(())
    }

    fn put_block(&mut self, rows: &SortedRows) -> Result<(), StorageError> {
        let offset = self.written + self.buffer.len() as u64;
        let family = self.pending.family;
        let entry = block::put(self.id, offset, family, rows, self.compression, &mut self.buffer)?;
        if let Some(before) = self.entries.last()
            && (before.meta.family, before.meta.last_series) > (family, entry.meta.first_series)
        {
            return Err(StorageError::Refused(format!(
                "rows of series {} of family {} cannot follow those of series {} of family {} in a data file",
                entry.meta.first_series.0, family.0, before.meta.last_series.0, before.meta.family.0,
            )));
        }
        self.entries.push(entry);
        self.rows += rows.len() as u64;
        statistics::put_block(&rows.columns, &mut self.page);
        if self.entries.len().is_multiple_of(statistics::PAGE_BLOCKS) {
            self.end_page();
        }
        if self.buffer.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn end_page(&mut self) {
        if !self.page.is_empty() {
            self.page_bytes.push(self.page.len());
            self.pages.append(&mut self.page);
        }
    }

    fn write(&mut self) -> Result<(), StorageError> {
        self.file
            .write_all_at(&self.buffer, self.written)
            .map_err(StorageError::io(&self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Bytes of the file so far, rows that wait for their block aside.
    pub fn bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Writes the index and syncs the file. Returns its length.
    pub fn finish(mut self) -> Result<u64, StorageError> {
        self.close()?;
        self.end_page();
        let statistics_offset = self.bytes();
        let sealed_page_bytes = self.put_pages();
        let index_offset = self.bytes();
        let start = self.buffer.len();
        index::put(
            self.id,
            index_offset,
            &self.entries,
            &sealed_page_bytes,
            &mut self.buffer,
        );
        let footer = Footer {
            blocks: self.entries.len() as u64,
            rows: self.rows,
            statistics_offset,
            index_offset,
            index_bytes: (self.buffer.len() - start) as u64,
        };
        frame::put_footer(self.id, &footer, &mut self.buffer);
        self.write()?;
        self.file.sync_data().map_err(StorageError::io(&self.path))?;
        Ok(self.written)
    }

    /// Appends the pages, each with the checksum for its place, and returns their lengths.
    fn put_pages(&mut self) -> Vec<u32> {
        let mut rest = self.pages.as_slice();
        let mut sealed = Vec::with_capacity(self.page_bytes.len());
        for bytes in &self.page_bytes {
            let (page, after) = rest.split_at(*bytes);
            rest = after;
            let offset = self.written + self.buffer.len() as u64;
            let start = self.buffer.len();
            self.buffer.extend_from_slice(page);
            frame::seal(self.id, offset, frame::Part::Statistics, start, &mut self.buffer);
            sealed.push((self.buffer.len() - start) as u32);
        }
        sealed
    }
}

/// Decides where blocks end. Knows of rows only how many there are of which series.
struct Cutter {
    own_rows: usize,
    rows_max: usize,
    /// Rows of whole small series that wait to share a block.
    group: usize,
    /// The series whose rows come now, how many are not cut yet, and whether some are.
    series: Option<u32>,
    run: usize,
    run_is_cut: bool,
}

impl Cutter {
    fn new(block_rows_max: usize) -> Cutter {
        // A block has at least a row, and at most what a codec takes.
        let rows_max = block_rows_max.clamp(1, ROWS_MAX / 2);
        Cutter {
            own_rows: OWN_BLOCK_ROWS.min(rows_max.div_ceil(2)),
            rows_max,
            group: 0,
            series: None,
            run: 0,
            run_is_cut: false,
        }
    }

    /// The next rows; appends the lengths of the blocks that are now complete.
    fn add(&mut self, series: u32, rows: usize, cuts: &mut Vec<usize>) {
        if self.series != Some(series) {
            self.end_run(cuts);
            self.series = Some(series);
        }
        self.run += rows;
        // What remains is enough for a block of its own, however the series goes on.
        while self.run >= self.rows_max + self.own_rows {
            self.end_group(cuts);
            cuts.push(self.rows_max);
            self.run -= self.rows_max;
            self.run_is_cut = true;
        }
    }

    fn end_run(&mut self, cuts: &mut Vec<usize>) {
        let run = std::mem::take(&mut self.run);
        if run == 0 {
            return;
        }
        let is_cut = std::mem::take(&mut self.run_is_cut);
        let fits = self.group + run <= self.rows_max;
        // A handful of rows before a larger series joins it rather than being a block.
        let joins = !is_cut && fits && (run < self.own_rows || (1..self.own_rows).contains(&self.group));
        if joins {
            self.group += run;
            return;
        }
        self.end_group(cuts);
        if run < self.own_rows && !is_cut {
            self.group = run;
        } else if run > self.rows_max {
            cuts.extend([run.div_ceil(2), run / 2]);
        } else {
            cuts.push(run);
        }
    }

    fn end_group(&mut self, cuts: &mut Vec<usize>) {
        match std::mem::take(&mut self.group) {
            0 => {}
            group => cuts.push(group),
        }
    }

    /// Nothing follows that could share a block.
    fn end(&mut self, cuts: &mut Vec<usize>) {
        self.end_run(cuts);
        self.end_group(cuts);
        self.series = None;
    }
}

/// Rows that wait to be cut into blocks: of one family, with the same columns.
struct Pending {
    family: FamilyId,
    layout: Vec<(ColumnId, DataType)>,
    rows: VecDeque<SortedRows>,
}

impl Default for Pending {
    fn default() -> Pending {
        Pending {
            family: FamilyId(0),
            layout: Vec::new(),
            rows: VecDeque::new(),
        }
    }
}

impl Pending {
    /// Whether rows of a family can stand in one block with those pending.
    fn continues(&self, family: FamilyId, rows: &SortedRows) -> bool {
        let same = |((id, data_type), (other, array)): (&(ColumnId, DataType), &(ColumnId, ArrayRef))| {
            id == other && data_type == array.data_type()
        };
        !self.rows.is_empty()
            && self.family == family
            && self.layout.len() == rows.columns.len()
            && self.layout.iter().zip(&rows.columns).all(same)
    }

    /// Nothing is pending; what comes is of this family and has these columns.
    fn begin(&mut self, family: FamilyId, rows: &SortedRows) {
        self.family = family;
        self.layout = rows
            .columns
            .iter()
            .map(|(id, array)| (*id, array.data_type().clone()))
            .collect();
    }

    /// The first `count` rows, which are pending.
    fn take(&mut self, count: usize) -> Result<SortedRows, StorageError> {
        let mut pieces = Vec::new();
        let mut missing = count;
        while missing > 0 {
            let Some(piece) = self.rows.pop_front() else {
                unreachable!("cuts add up to the rows appended")
            };
            if piece.len() > missing {
                self.rows.push_front(piece.slice(missing, piece.len() - missing));
                pieces.push(piece.slice(0, missing));
                break;
            }
            missing -= piece.len();
            pieces.push(piece);
        }
        match pieces.len() {
            1 => Ok(pieces.swap_remove(0)),
            _ => self.join(&pieces),
        }
    }

    fn join(&self, pieces: &[SortedRows]) -> Result<SortedRows, StorageError> {
        let mut columns = Vec::with_capacity(self.layout.len());
        for (column, (id, _)) in self.layout.iter().enumerate() {
            let arrays: Vec<_> = pieces.iter().map(|piece| piece.columns[column].1.as_ref()).collect();
            let joined = concat(&arrays).map_err(|error| StorageError::Refused(error.to_string()))?;
            columns.push((*id, joined));
        }
        let replaces = pieces.iter().any(|piece| piece.replaces.is_some()).then(|| {
            let mut bits = BooleanBufferBuilder::new(pieces.iter().map(SortedRows::len).sum());
            for piece in pieces {
                match &piece.replaces {
                    Some(replaces) => bits.append_buffer(replaces),
                    None => bits.append_n(piece.len(), false),
                }
            }
            bits.finish()
        });
        Ok(SortedRows {
            series: pieces.iter().flat_map(|piece| piece.series.iter().copied()).collect(),
            times: pieces.iter().flat_map(|piece| piece.times.iter().copied()).collect(),
            columns,
            replaces,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(block_rows_max: usize, runs: &[usize]) -> Vec<usize> {
        let mut cutter = Cutter::new(block_rows_max);
        let mut cuts = Vec::new();
        for (series, rows) in runs.iter().enumerate() {
            // As a merge hands them over: in pieces.
            let mut rest = *rows;
            while rest > 0 {
                let piece = rest.min(1000);
                cutter.add(series as u32, piece, &mut cuts);
                rest -= piece;
            }
        }
        cutter.end(&mut cuts);
        assert_eq!(cuts.iter().sum::<usize>(), runs.iter().sum::<usize>());
        assert!(cuts.iter().all(|rows| (1..=block_rows_max).contains(rows)));
        cuts
    }

    #[test]
    fn blocks_are_neither_tiny_nor_mixed() {
        for (runs, expected) in [
            (vec![300, 300, 300], vec![300, 300, 300]),
            (vec![4096, 4096], vec![4096, 4096]),
            // No tail of four rows.
            (vec![4100], vec![2050, 2050]),
            (vec![8196], vec![4096, 2050, 2050]),
            (vec![9000], vec![4096, 4096, 808]),
            // Small series share.
            (vec![100; 100], vec![4000, 4000, 2000]),
            (vec![1; 5000], vec![4096, 904]),
            // A few rows join what follows them.
            (vec![3, 300, 3, 300], vec![306, 300]),
            (vec![200, 100, 300, 5000], vec![300, 300, 4096, 904]),
            (vec![300, 5], vec![300, 5]),
        ] {
            assert_eq!(cuts(4096, &runs), expected, "{runs:?}");
        }
        assert_eq!(cuts(1, &[2, 1]), [1, 1, 1]);
        assert_eq!(cuts(10, &[11, 4, 4, 4, 30]), [6, 5, 8, 4, 10, 10, 10]);
    }
}
