//! One client's socket with its two buffers.
//!
//! Reads are large, and all messages of one are handled before the next. Answers gather in `output` and leave together.
//! Promises: what is buffered stays within bounds, whatever the client sends or fails to read.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::failure::{Failure, Flow};
use crate::frame::{self, Frame};
use crate::output::Output;

/// A connection reads this much at first; most only ever ask small questions.
const READ_BYTES_MIN: usize = 8 * 1024;
/// Reads grow up to here while they come back full. Beyond 256 KiB, loading gains nothing and the second-level cache is outgrown.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Answers leave when they have grown to this, and not before the client asks, so that many small ones make one packet.
pub const OUTPUT_BYTES_SEND: usize = 64 * 1024;
/// A client that takes nothing for this long while we have something for it is given up. Long enough for a reader that pauses to work on rows.
const WRITE_STALL_MAX: Duration = Duration::from_secs(300);
/// Buffers of a connection that has been idle for this long go back to the system.
const IDLE_BEFORE_SHRINK: Duration = Duration::from_secs(1);

pub struct Wire {
    socket: TcpStream,
    input: BytesMut,
    pub output: Output,
    read_bytes: usize,
    message_bytes_max: usize,
}

impl Wire {
    pub fn new(socket: TcpStream, message_bytes_max: usize) -> Wire {
        Wire {
            socket,
            input: BytesMut::new(),
            output: Output::default(),
            read_bytes: READ_BYTES_MIN,
            message_bytes_max,
        }
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub fn input_is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// The next message, if it has come as a whole.
    pub fn buffered_frame(&mut self) -> Flow<Option<Frame>> {
        frame::cut(&mut self.input, self.message_bytes_max)
    }

    /// The next packet of the kind that begins a connection, if it has come as a whole.
    pub fn buffered_startup_packet(&mut self) -> Flow<Option<BytesMut>> {
        frame::cut_startup(&mut self.input)
    }

    /// Waits for more bytes. Dropping this loses none.
    pub async fn fill(&mut self) -> Flow<()> {
        loop {
            if self.input.capacity() - self.input.len() < self.read_bytes / 2 {
                self.input.reserve(self.read_bytes);
            }
            let room = self.input.capacity() - self.input.len();
            match self.socket.try_read_buf(&mut self.input) {
                Ok(0) => return Err(Failure::Gone),
                Ok(bytes) => {
                    if bytes == room {
                        self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_readable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn wait_readable(&mut self) -> Flow<()> {
        let large = self.read_bytes > READ_BYTES_MIN || self.output.is_large();
        if self.input.is_empty() && large {
            match tokio::time::timeout(IDLE_BEFORE_SHRINK, self.socket.readable()).await {
                Ok(ready) => return Ok(ready?),
                Err(_) => self.shrink(),
            }
        }
        Ok(self.socket.readable().await?)
    }

    fn shrink(&mut self) {
        self.read_bytes = READ_BYTES_MIN;
        self.input = BytesMut::new();
        self.output.shrink();
    }

    /// Sends all answers. Waits for a slow reader, which is how the server's memory stays bounded.
    pub async fn send(&mut self) -> Flow<()> {
        self.send_all_but(0).await
    }

    /// Sends what stands before the last `kept_bytes`.
    pub async fn send_all_but(&mut self, kept_bytes: usize) -> Flow<()> {
        while self.output.len() > kept_bytes {
            let unsent = self.output.unsent();
            let free = &unsent[..unsent.len() - kept_bytes];
            match self.socket.try_write(free) {
                Ok(bytes) => self.output.advance(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match tokio::time::timeout(WRITE_STALL_MAX, self.socket.writable()).await {
                        Ok(ready) => ready?,
                        Err(_) => {
                            tracing::warn!(seconds = WRITE_STALL_MAX.as_secs(), "client takes no answers: closing");
                            return Err(Failure::Gone);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Says goodbye: sends what is left, and reads what the client still sends, for a socket closed on unread bytes takes back
    /// what was sent last.
    pub async fn close(mut self) {
        use tokio::io::AsyncWriteExt as _;
        /// A client that was told to go needs no longer.
        const LINGER: Duration = Duration::from_secs(1);
        let farewell = async {
            self.send().await?;
            self.socket.shutdown().await?;
            let mut sink = [0u8; 4096];
            loop {
                self.socket.readable().await?;
                match self.socket.try_read(&mut sink) {
                    Ok(0) => return Ok::<(), Failure>(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
            }
        };
        // Whatever comes of it, the socket closes now.
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}
