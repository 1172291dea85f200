//! One client's socket with its two buffers.
//!
//! Reads are large, and all messages of one are handled before the next. Answers gather in `output` and leave together.
//! Promises: what is buffered stays within bounds, whatever the client sends or fails to read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::failure::{Failure, Flow};
use crate::frame::{self, Frame};
use crate::output::Output;
use crate::tls;

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

/// How bytes come and go.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Begun>>),
    /// The handshake has failed, or is under way.
    Broken,
}

/// A socket of which some bytes have been read already: the beginning of a handshake that came without being asked for.
struct Begun {
    first: BytesMut,
    socket: TcpStream,
}

impl AsyncRead for Begun {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, into);
        }
        let length = self.first.len().min(into.remaining());
        into.put_slice(&self.first[..length]);
        self.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

pub struct Wire {
    stream: Stream,
    /// Of our certificate, when the connection is encrypted and its signature has one.
    end_point: Option<Arc<[u8]>>,
    input: BytesMut,
    pub output: Output,
    read_bytes: usize,
    message_bytes_max: usize,
}

impl Wire {
    pub fn new(socket: TcpStream, message_bytes_max: usize) -> Wire {
        Wire {
            stream: Stream::Plain(socket),
            end_point: None,
            input: BytesMut::new(),
            output: Output::default(),
            read_bytes: READ_BYTES_MIN,
            message_bytes_max,
        }
    }

    /// The socket, to be asked whether the client is still there; `None` when a handshake has failed.
    pub fn socket(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Plain(socket) => Some(socket),
            Stream::Tls(stream) => Some(&stream.get_ref().0.socket),
            Stream::Broken => None,
        }
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// What channel binding binds to.
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    /// Whether what has come begins a TLS handshake.
    pub fn begins_with_handshake(&self) -> bool {
        /// The kind of record that a handshake begins with; as the length of a startup packet it would be 352 MiB.
        const HANDSHAKE: u8 = 0x16;
        self.input.first() == Some(&HANDSHAKE)
    }

    /// Goes over to TLS. What has come already is the beginning of the handshake. `direct`: the client must ask for our protocol by its name.
    pub async fn start_tls(&mut self, identity: &tls::Identity, direct: bool) -> Flow<()> {
        let Stream::Plain(socket) = std::mem::replace(&mut self.stream, Stream::Broken) else {
            return Err(Failure::Gone);
        };
        let begun = Begun {
            first: self.input.split(),
            socket,
        };
        let stream = identity.acceptor.accept(begun).await?;
        if direct && stream.get_ref().1.alpn_protocol() != Some(tls::ALPN) {
            tracing::debug!("direct TLS without ALPN \"postgresql\": closing");
            return Err(Failure::Gone);
        }
        self.end_point.clone_from(&identity.end_point);
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    pub fn input_is_empty(&self) -> bool {
        self.input.is_empty()
    }

    /// The next message, if it has come as a whole.
    pub fn buffered_frame(&mut self) -> Flow<Option<Frame>> {
        frame::cut(&mut self.input, self.message_bytes_max)
    }

    /// What has come and has not been taken as a message.
    pub fn buffered(&self) -> &[u8] {
        &self.input
    }

    /// The next packet of the kind that begins a connection, if it has come as a whole.
    pub fn buffered_startup_packet(&mut self) -> Flow<Option<BytesMut>> {
        frame::cut_startup(&mut self.input)
    }

    /// As [`Wire::buffered_frame`], before login: no message is long.
    pub fn buffered_login_frame(&mut self) -> Flow<Option<Frame>> {
        frame::cut(&mut self.input, frame::STARTUP_BYTES_MAX)
    }

    /// Waits for more bytes. Dropping this loses none.
    pub async fn fill(&mut self) -> Flow<()> {
        if self.input.capacity() - self.input.len() < self.read_bytes / 2 {
            self.input.reserve(self.read_bytes);
        }
        let read = match self.idles_large() {
            false => self.read().await?,
            true => match tokio::time::timeout(IDLE_BEFORE_SHRINK, self.read()).await {
                Ok(read) => read?,
                Err(_) => {
                    self.shrink();
                    self.input.reserve(self.read_bytes);
                    self.read().await?
                }
            },
        };
        match read {
            0 => Err(Failure::Gone),
            _ => Ok(()),
        }
    }

    /// A read that does not fill its room has emptied the socket: the next one waits for the socket at once and does not try before.
    async fn read(&mut self) -> Flow<usize> {
        let room = self.input.capacity() - self.input.len();
        match &mut self.stream {
            Stream::Plain(socket) => {
                let bytes = socket.read_buf(&mut self.input).await?;
                if bytes == room {
                    self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
                }
                Ok(bytes)
            }
            // A record of 16 KiB at a time at most.
            Stream::Tls(stream) => Ok(stream.read_buf(&mut self.input).await?),
            Stream::Broken => Err(Failure::Gone),
        }
    }

    /// Holds more memory than an idle connection should, and has nothing to do.
    fn idles_large(&self) -> bool {
        self.input.is_empty() && (self.read_bytes > READ_BYTES_MIN || self.output.is_large())
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
            let socket = match &mut self.stream {
                Stream::Plain(socket) => socket,
                Stream::Tls(stream) => {
                    let bytes = in_time(stream.write(free)).await?;
                    self.output.advance(bytes);
                    continue;
                }
                Stream::Broken => return Err(Failure::Gone),
            };
            match socket.try_write(free) {
                Ok(bytes) => self.output.advance(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => in_time(socket.writable()).await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Stream::Tls(stream) = &mut self.stream {
            in_time(stream.flush()).await?;
        }
        Ok(())
    }

    /// Says goodbye: sends what is left, and reads what the client still sends, for a socket closed on unread bytes takes back
    /// what was sent last.
    pub async fn close(mut self) {
        /// A client that was told to go needs no longer.
        const LINGER: Duration = Duration::from_secs(1);
        let farewell = async {
            self.send().await?;
            match self.stream {
                Stream::Plain(socket) => linger(socket).await,
                Stream::Tls(stream) => linger(*stream).await,
                Stream::Broken => Ok(()),
            }
        };
        // Whatever comes of it, the socket closes now.
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}

async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Flow<()> {
    stream.shutdown().await?;
    let mut sink = [0u8; 4096];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

/// Waits for a client that takes our answers, but not for ever.
async fn in_time<T>(sending: impl Future<Output = io::Result<T>>) -> Flow<T> {
    match tokio::time::timeout(WRITE_STALL_MAX, sending).await {
        Ok(sent) => Ok(sent?),
        Err(_) => {
            tracing::warn!(seconds = WRITE_STALL_MAX.as_secs(), "client takes no answers: closing");
            Err(Failure::Gone)
        }
    }
}
