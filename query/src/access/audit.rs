//! The audit log: who logged in or failed to, and who changed roles, grants and definitions.
//!
//! Events go to the tracing target `audit`; the server decides whether and where they are written. Passwords are never in them.

use crate::{QueryError, Session};

/// The target of all audit events.
pub const TARGET: &str = "audit";

/// A definition, role or grant was changed, or was refused.
pub(crate) fn statement(session: &Session, class: &'static str, text: &str, failure: Option<&QueryError>) {
    let role = session.identity().name();
    let (user, address) = (session.user(), session.client_address());
    let database = session.database_name();
    match failure {
        None => {
            tracing::info!(target: TARGET, class, user, role, database, address, statement = text, "done");
        }
        Some(error) => {
            let reason = &error.message;
            tracing::warn!(target: TARGET, class, user, role, database, address, statement = text, reason, "failed");
        }
    }
}
