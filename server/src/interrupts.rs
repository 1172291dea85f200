//! Runs a statement until it is done, canceled, too late, or its session has to end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use taospg_query::{ErrorKind, Interruption, QueryError};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::failure::{Failure, Flow};
use crate::shutdown::{ShutdownWatch, Stage};

/// How often a running statement looks whether its client is still there.
const CLIENT_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// What can end a statement before its time.
pub struct Interrupts {
    pub asked: Arc<Interruption>,
    pub shutdown: ShutdownWatch,
}

/// When a statement has to be done, by `statement_timeout`.
pub type Deadline = Option<Instant>;

impl Interrupts {
    /// Runs `work`, dropping it when something comes between.
    pub async fn run<T>(
        &mut self,
        deadline: Deadline,
        socket: Option<&TcpStream>,
        work: impl Future<Output = Result<T, QueryError>>,
    ) -> Flow<T> {
        if self.asked.cancel.take() {
            return Err(canceled_by_user());
        }
        let mut work = pin!(work);
        // Most statements of a pipeline are done at the first try: no timer is made for them.
        if let Poll::Ready(result) = futures::poll!(work.as_mut()) {
            // A session can have ended itself.
            return match self.asked.terminate.take() {
                true => Err(Failure::terminated()),
                false => result.map_err(Failure::Statement),
            };
        }
        let mut check = pin!(tokio::time::sleep(CLIENT_CHECK_INTERVAL));
        loop {
            // `unconstrained`: work that computes without end uses up the task's budget at every turn, and what waits with it would never be
            // told that its time has come.
            tokio::select! {
                biased;
                result = work.as_mut() => return result.map_err(Failure::Statement),
                () = unconstrained(self.asked.cancel.requested()) => return Err(canceled_by_user()),
                () = unconstrained(self.asked.terminate.requested()) => return Err(Failure::terminated()),
                () = unconstrained(until(deadline)) => return Err(timed_out()),
                () = unconstrained(self.shutdown.reached(Stage::Ending)) => return Err(Failure::terminated()),
                () = unconstrained(check.as_mut()) => {
                    if socket.is_none_or(client_gone) {
                        return Err(Failure::Gone);
                    }
                    check.as_mut().reset(Instant::now() + CLIENT_CHECK_INTERVAL);
                }
            }
        }
    }
}

pub fn canceled_by_user() -> Failure {
    Failure::statement(ErrorKind::QueryCanceled, "canceling statement due to user request")
}

pub fn timed_out() -> Failure {
    Failure::statement(ErrorKind::QueryCanceled, "canceling statement due to statement timeout")
}

/// Waits for the deadline; for ever without one.
pub async fn until(deadline: Deadline) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn client_gone(socket: &TcpStream) -> bool {
    match unconstrained(socket.ready(Interest::READABLE)).now_or_never() {
        Some(Ok(ready)) => ready.is_read_closed(),
        Some(Err(_)) => true,
        None => false,
    }
}
