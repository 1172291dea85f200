//! COPY: the client's data in, rows out.
//!
//! ```text
//! CopyInResponse  -> CopyData… CopyDone | CopyFail        -> tag
//! CopyOutResponse -> CopyData… CopyDone                   -> tag
//! ```

use taospg_query::{CopyFormat, CopyIn, CopyOut, ErrorKind, Format};

use crate::connection::{Connection, Waiting};
use crate::encode::copy_header_line;
use crate::failure::{Failure, Flow};
use crate::frame::BodyReader;
use crate::interrupts::Deadline;
use crate::rows::{Cursor, Progress};

impl Connection {
    /// Takes the data of a COPY FROM STDIN. Returns the command tag.
    pub(crate) async fn copy_in(&mut self, mut copy: CopyIn, deadline: Deadline) -> Flow<String> {
        self.wire
            .output
            .copy_in_response(value_format(copy.format()), copy.columns());
        // The client waits for this before it sends data.
        self.send().await?;
        loop {
            let frame = self.next_frame(Waiting::Copy(deadline)).await?;
            match frame.kind {
                b'd' => copy.feed(&frame.body)?,
                b'c' => break,
                b'f' => {
                    let reason = BodyReader::new(frame.body).string()?;
                    return Err(Failure::statement(
                        ErrorKind::QueryCanceled,
                        format!("COPY from stdin failed: {}", reason.as_str()),
                    ));
                }
                // A client that sends its messages in one go may have put these behind Execute.
                b'H' | b'S' => {}
                b'X' => return Err(Failure::Gone),
                kind => {
                    return Err(Failure::protocol(format!(
                        "unexpected message type 0x{kind:02X} during COPY from stdin"
                    )));
                }
            }
        }
        let Connection {
            session,
            interrupts,
            wire,
            ..
        } = self;
        interrupts.run(deadline, wire.socket(), session.finish_copy(copy)).await
    }

    /// Sends the rows of a COPY TO STDOUT. Returns the command tag.
    pub(crate) async fn copy_out(&mut self, copy: CopyOut, deadline: Deadline) -> Flow<String> {
        let CopyOut { rows, format } = copy;
        self.wire
            .output
            .copy_out_response(value_format(&format), rows.fields.len());
        copy_header_line(&rows.fields, &format, self.wire.output.buffer())?;
        let mut cursor = Cursor::for_copy(rows, format, self.session.text_style());
        let Progress { rows, .. } = self.send_rows(&mut cursor, None, deadline).await?;
        cursor.end_copy(self.wire.output.buffer())?;
        self.wire.output.copy_done();
        Ok(format!("COPY {rows}"))
    }
}

fn value_format(format: &CopyFormat) -> Format {
    match format {
        CopyFormat::Binary => Format::Binary,
        CopyFormat::Text { .. } | CopyFormat::Csv { .. } => Format::Text,
    }
}
