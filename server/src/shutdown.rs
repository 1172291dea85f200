//! How the server stops: idle sessions at once, busy ones after a grace.
//!
//! ```text
//! Running --signal--> Stopping --grace--> Ending
//! ```

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long statements may still run after the signal. Supervisors commonly kill after 10 s, and the files must be closed by then.
pub const GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Running,
    /// No new connections; idle sessions end.
    Stopping,
    /// Running statements end too.
    Ending,
}

/// What a connection knows of it.
#[derive(Clone)]
pub struct ShutdownWatch {
    stage: watch::Receiver<Stage>,
}

impl ShutdownWatch {
    pub fn new(stage: watch::Receiver<Stage>) -> ShutdownWatch {
        ShutdownWatch { stage }
    }

    /// Waits until the server has come to that stage.
    pub async fn reached(&mut self, stage: Stage) {
        if self.stage.wait_for(|now| *now >= stage).await.is_err() {
            // The sender lives as long as the server: without one, nobody will ever say so.
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for SIGTERM or SIGINT. A second one ends the process at once.
pub async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("taospg: second signal: ending at once");
        std::process::exit(1);
    });
    Ok(())
}
