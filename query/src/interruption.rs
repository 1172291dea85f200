//! How others interrupt a session: a request to cancel what it runs, or to end it.
//!
//! The session's connection waits for both; who sends them is a cancel request of the wire, or `pg_cancel_backend` and
//! `pg_terminate_backend` in another session, which find this in the list of sessions.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// What a session can be asked from outside.
#[derive(Debug, Default)]
pub struct Interruption {
    /// Ends the statement that runs; forgotten when none does.
    pub cancel: Signal,
    /// Ends the session.
    pub terminate: Signal,
}

/// A request that stands until it is answered.
#[derive(Debug, Default)]
pub struct Signal {
    requested: AtomicBool,
    changed: Notify,
}

impl Signal {
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Forgets a request that came while nothing ran.
    pub fn clear(&self) {
        if self.requested.load(Ordering::Relaxed) {
            self.requested.store(false, Ordering::SeqCst);
        }
    }

    /// Whether there was a request; answers it.
    pub fn take(&self) -> bool {
        self.requested.load(Ordering::Relaxed) && self.requested.swap(false, Ordering::SeqCst)
    }

    /// Waits for a request and answers it.
    pub async fn requested(&self) {
        while !self.take() {
            self.changed.notified().await;
        }
    }
}
