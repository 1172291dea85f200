//! Rows of a result on their way out, batch by batch. No result is ever held as a whole.

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use taospg_query::session::TextStyle;
use taospg_query::{CopyFormat, Format, QueryError, RowSet};

use crate::connection::Connection;
use crate::encode::RowEncoder;
use crate::failure::Flow;
use crate::interrupts::Deadline;
use crate::wire::OUTPUT_BYTES_SEND;

/// A result that has been sent up to some row.
pub struct Cursor {
    rows: RowSet,
    encoder: RowEncoder,
    /// Columns of the batch that is being sent.
    arrays: Vec<ArrayRef>,
    batch_rows: usize,
    next_row: usize,
}

/// How far [`Connection::send_rows`] came.
pub struct Progress {
    pub rows: u64,
    /// False: the limit was reached first.
    pub finished: bool,
}

impl Cursor {
    /// Rows as DataRow messages, in the formats that Bind asked for.
    pub fn new(rows: RowSet, formats: &[Format], style: TextStyle) -> Cursor {
        let encoder = RowEncoder::data_rows(&rows.fields, formats, style);
        Cursor::with_encoder(rows, encoder)
    }

    /// Rows as CopyData messages.
    pub fn for_copy(rows: RowSet, format: CopyFormat, style: TextStyle) -> Cursor {
        let encoder = RowEncoder::copy_rows(&rows.fields, format, style);
        Cursor::with_encoder(rows, encoder)
    }

    fn with_encoder(rows: RowSet, encoder: RowEncoder) -> Cursor {
        Cursor {
            rows,
            encoder,
            arrays: Vec::new(),
            batch_rows: 0,
            next_row: 0,
        }
    }

    pub fn tag(&self) -> &'static str {
        self.rows.tag
    }

    pub fn end_copy(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.encoder.end_copy(out)
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        match self.rows.stream.next().await {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(error.into()),
        }
    }

    fn set_batch(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        self.arrays = self.encoder.arrange(batch)?;
        self.batch_rows = batch.num_rows();
        self.next_row = 0;
        Ok(())
    }
}

impl Connection {
    /// Sends rows until there are no more, or `limit` has been sent.
    pub(crate) async fn send_rows(
        &mut self,
        cursor: &mut Cursor,
        limit: Option<u64>,
        deadline: Deadline,
    ) -> Flow<Progress> {
        let mut sent = 0;
        loop {
            let left = limit.map_or(u64::MAX, |limit| limit - sent);
            if left == 0 {
                return Ok(Progress {
                    rows: sent,
                    finished: false,
                });
            }
            if cursor.next_row == cursor.batch_rows {
                let batch = self
                    .interrupts
                    .run(deadline, self.wire.socket(), cursor.next_batch())
                    .await?;
                match batch {
                    Some(batch) => cursor.set_batch(&batch)?,
                    None => {
                        return Ok(Progress {
                            rows: sent,
                            finished: true,
                        });
                    }
                }
                continue;
            }
            let first = cursor.next_row;
            let last = usize::try_from(left).map_or(cursor.batch_rows, |left| {
                cursor.batch_rows.min(first.saturating_add(left))
            });
            let out = self.wire.output.buffer();
            cursor.next_row = cursor
                .encoder
                .encode(&cursor.arrays, first..last, out, OUTPUT_BYTES_SEND)?;
            sent += (cursor.next_row - first) as u64;
            if self.wire.output.len() >= OUTPUT_BYTES_SEND {
                self.send().await?;
            }
        }
    }
}
