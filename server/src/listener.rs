//! The port: binding it, taking connections, and waiting for their end.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use socket2::{SockRef, TcpKeepalive};
use taospg_query::Engine;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{mpsc, watch};

use crate::cancel::CancelRegistry;
use crate::connection::Connection;
use crate::defects::Defects;
use crate::failure::Failure;
use crate::shutdown::{GRACE, ShutdownWatch, Stage};
use crate::sqlstate;
use crate::startup::{self, Door, Ends, Opened};
use crate::wire::Wire;

/// A client that has not logged in by then is let go, as in PostgreSQL.
const STARTUP_TIME_MAX: Duration = Duration::from_secs(60);
/// Connections beyond `max_connections` that may be on their way in: cancel requests, and those about to be told that there is no room.
const CONNECTIONS_BEFORE_LOGIN: usize = 64;
/// A peer that vanished is noticed after 60 s of silence and six unanswered probes ten seconds apart.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;
/// After accept has failed for want of file descriptors or memory, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Ended statements get this long to clean up before the files are closed.
const ENDING_TIME_MAX: Duration = Duration::from_secs(2);

/// Listens where it was told to; nobody is let in yet. The error is a sentence for the user.
pub async fn bind(listen: &str) -> Result<TcpListener, String> {
    let addresses: Vec<SocketAddr> = lookup_host(listen)
        .await
        .map_err(|error| format!("cannot listen on \"{listen}\": {error} (expected HOST:PORT)"))?
        .collect();
    let mut failure = format!("cannot listen on \"{listen}\": it names no address");
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                failure = format!(
                    "cannot listen on {address}: the port is taken (is another server running? choose another port with --listen)"
                );
            }
            Err(error) => failure = format!("cannot listen on {address}: {error}"),
        }
    }
    Err(failure)
}

/// Refuses to listen to other machines while anybody could be the superuser.
pub fn check_reach(address: SocketAddr, engine: &Engine) -> Result<(), String> {
    if address.ip().is_loopback() || engine.first_role_has_password() {
        return Ok(());
    }
    Err(format!(
        "refusing to listen on {address}: superuser postgres has no password; set one with TAOS_PASSWORD=… at this start, or \
         listen on 127.0.0.1 first and say ALTER ROLE postgres PASSWORD '…'"
    ))
}

/// What every connection needs.
pub struct Front {
    pub engine: Arc<Engine>,
    pub door: Arc<Door>,
    pub max_connections: usize,
    pub message_bytes_max: usize,
    registry: Arc<CancelRegistry>,
    /// Sessions that have logged in.
    sessions: AtomicUsize,
    /// Sockets that are open.
    sockets: AtomicUsize,
    defects: Arc<Defects>,
}

impl Front {
    pub fn new(engine: Arc<Engine>, door: Arc<Door>, max_connections: usize, message_bytes_max: usize) -> Front {
        Front {
            engine,
            door,
            max_connections,
            message_bytes_max,
            registry: Arc::default(),
            sessions: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            defects: Arc::default(),
        }
    }

    #[cfg(test)]
    pub fn panics(&self) -> u64 {
        self.defects.count()
    }
}

/// Counts one for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    /// `None`: there are `max` already.
    fn enter(counter: &'a AtomicUsize, max: usize) -> Option<Counted<'a>> {
        counter
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| {
                (count < max).then_some(count + 1)
            })
            .ok()
            .map(|_| Counted(counter))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes connections until `stop` is done, then ends them: idle ones at once, busy ones after a grace.
pub async fn serve(listener: TcpListener, front: Arc<Front>, stop: impl Future<Output = ()>) {
    let (stage, watch) = watch::channel(Stage::Running);
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, address)) => {
                    let front = front.clone();
                    let shutdown = ShutdownWatch::new(watch.clone());
                    let alive = alive.clone();
                    tokio::spawn(async move {
                        guarded(front, socket, address, shutdown).await;
                        drop(alive);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    drop(alive);
    stage.send_replace(Stage::Stopping);
    // Nothing is ever sent: `recv` returns when the last connection has dropped its end.
    if tokio::time::timeout(GRACE, all_gone.recv()).await.is_err() {
        stage.send_replace(Stage::Ending);
        if tokio::time::timeout(ENDING_TIME_MAX, all_gone.recv()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

/// Serves one connection; whatever goes wrong in there ends there.
async fn guarded(front: Arc<Front>, socket: TcpStream, address: SocketAddr, shutdown: ShutdownWatch) {
    let Some(_socket) = Counted::enter(&front.sockets, front.max_connections + CONNECTIONS_BEFORE_LOGIN) else {
        tracing::warn!(%address, "too many open connections: closing a new one");
        return;
    };
    if let Err(panic) = AssertUnwindSafe(connection(&front, socket, address, shutdown))
        .catch_unwind()
        .await
    {
        front.defects.note(&*panic);
    }
}

async fn connection(front: &Arc<Front>, socket: TcpStream, address: SocketAddr, mut shutdown: ShutdownWatch) {
    if let Err(error) = prepare_socket(&socket) {
        tracing::debug!(%address, %error, "cannot set socket options");
    }
    let ends = Ends {
        client: address,
        server: socket.local_addr().ok(),
    };
    let mut wire = Wire::new(socket, front.message_bytes_max);
    let opened = tokio::select! {
        opened = tokio::time::timeout(
            STARTUP_TIME_MAX,
            startup::open(&mut wire, &front.engine, &front.registry, &front.door, ends),
        ) => match opened {
            Ok(opened) => opened,
            Err(_) => Err(Failure::Gone),
        },
        () = shutdown.reached(Stage::Stopping) => Err(Failure::terminated()),
    };
    let (session, registration) = match opened {
        Ok(Opened::Session { session, registration }) => (session, registration),
        Ok(Opened::Done) | Err(Failure::Gone) => return,
        Err(Failure::Fatal { code, message }) => return refuse(wire, code, message).await,
        Err(Failure::Refused(error) | Failure::Statement(error)) => {
            tracing::debug!(message = error.message, "connection refused");
            wire.output.fatal_error(error);
            return wire.close().await;
        }
    };
    let Some(_session) = Counted::enter(&front.sessions, front.max_connections) else {
        drop(session);
        wire.output.truncate(0);
        let message = "sorry, too many clients already".to_owned();
        return refuse(wire, sqlstate::TOO_MANY_CONNECTIONS, message).await;
    };
    tracing::debug!(%address, process_id = registration.process_id, "session begins");
    Connection::new(wire, *session, registration, shutdown, front.defects.clone())
        .serve()
        .await;
    tracing::debug!(%address, "session ends");
}

async fn refuse(mut wire: Wire, code: &'static str, message: String) {
    tracing::debug!(code, message, "connection refused");
    wire.output.fatal(code, message);
    wire.close().await;
}

fn prepare_socket(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}
