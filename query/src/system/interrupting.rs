//! `pg_cancel_backend` and `pg_terminate_backend`: one session ends what another one does.

use datafusion::common::{Result, ScalarValue};

use super::cell::Cell;
use super::functions::number;
use super::snapshot::Snapshot;
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

/// Members of this role may interrupt sessions of roles that are no superusers.
const PG_SIGNAL_BACKEND: u32 = 4200;

/// What is to end.
#[derive(Clone, Copy)]
pub(super) enum Interrupting {
    Statement,
    Session,
}

/// Asks the session of this process id to end what it does. False when there is none.
pub(super) fn interrupt(snapshot: &Snapshot, values: &[ScalarValue], what: Interrupting) -> Result<Cell> {
    let Some(wanted) = number(values, 0) else {
        return Ok(Cell::Null);
    };
    let sessions = snapshot.engine().sessions();
    let found = sessions.iter().find(|session| i64::from(session.process_id) == wanted);
    let Some(session) = found else {
        return Ok(false.into());
    };
    may(snapshot, session.role, what).map_err(errors::wrap)?;
    match what {
        Interrupting::Statement => session.interruption.cancel.request(),
        Interrupting::Session => session.interruption.terminate.request(),
    }
    Ok(true.into())
}

fn may(snapshot: &Snapshot, role: u32, what: Interrupting) -> std::result::Result<(), QueryError> {
    let identity = &snapshot.identity;
    if identity.superuser {
        return Ok(());
    }
    let (superuser, member) = match what {
        Interrupting::Statement => ("cancel superuser query", "query is being canceled"),
        Interrupting::Session => ("terminate superuser process", "process is being terminated"),
    };
    let denied = |message| Err(QueryError::new(ErrorKind::InsufficientPrivilege, message));
    if identity.roles.role(role).is_some_and(|role| role.superuser) {
        return denied(format!("must be a superuser to {superuser}"));
    }
    if identity.has_role(role) || identity.has_role(PG_SIGNAL_BACKEND) {
        return Ok(());
    }
    denied(format!(
        "must be a member of the role whose {member} or member of pg_signal_backend"
    ))
}
