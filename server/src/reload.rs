//! What is read again while the server runs, at SIGHUP and `pg_reload_conf()`: the rules of who gets in, and the certificate.
//!
//! A file that cannot be used leaves in force what was there, with a warning. Other settings are those of the start.

use std::sync::Arc;

use taospg_query::Engine;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Flags, Settings};
use crate::startup::Door;

/// Waits for somebody to ask. Never ends.
pub async fn watch(flags: Flags, engine: Arc<Engine>, door: Arc<Door>) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hung_up => {}
            () = engine.reload_requested() => {}
        }
        reload(&flags, &door);
    }
}

fn reload(flags: &Flags, door: &Door) {
    match Settings::load(flags) {
        Ok(settings) => {
            tracing::info!(rules = settings.authentication.len(), "authentication rules read again");
            door.keeper.set_rules(settings.authentication);
        }
        Err(error) => tracing::warn!(
            error,
            "settings cannot be read again: authentication rules stay as they were"
        ),
    }
    if let Some(tls) = &door.tls {
        tls.reload();
    }
}
