//! What the server asks about somebody who wants to log in, and what is checked when a session begins.

use std::sync::Arc;
use std::time::SystemTime;

use taospg_catalog::roles::FIRST_ROLE;
use taospg_catalog::{Database, Privileges, Role, Verifier};

use super::{Actor, Identity, Thing, verifier};
use crate::{Engine, ErrorKind, QueryError};

/// What a login is checked against.
pub struct Login {
    /// `None`: no such role, no password, or one that is no longer valid; nobody must be able to tell which.
    pub verifier: Option<Verifier>,
    /// Why there is none, for the log alone.
    pub problem: Option<&'static str>,
}

impl Engine {
    /// What a password of this user is checked against.
    pub fn login(&self, user: &str, now: SystemTime) -> Login {
        let roles = self.catalog().roles();
        let without = |problem| Login {
            verifier: None,
            problem: Some(problem),
        };
        let Some(role) = roles.named(user) else {
            return without("role does not exist");
        };
        let Some(verifier) = role.verifier.clone() else {
            return without("role has no password");
        };
        let now_us = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        if role.valid_until_us.is_some_and(|until| until < now_us) {
            return without("password has expired");
        }
        Login {
            verifier: Some(verifier),
            problem: None,
        }
    }

    /// Something secret that stays the same over a restart, to make up salts from; `None` while the first superuser has no password.
    pub fn login_seed(&self) -> Option<Vec<u8>> {
        let verifier = self.first_role()?.verifier.clone()?;
        Some(verifier.0.into_bytes())
    }

    /// Whether a role of this name is a member of another, for the server's rules.
    pub fn is_member(&self, user: &str, of: &str) -> bool {
        let roles = self.catalog().roles();
        match (roles.named(user), roles.named(of)) {
            (Some(user), Some(of)) => roles.memberships(user.oid, false).contains(&of.oid),
            _ => false,
        }
    }

    /// Whether the first superuser has a password: only then may others than this machine be listened to.
    pub fn first_role_has_password(&self) -> bool {
        self.first_role().is_some_and(|role| role.verifier.is_some())
    }

    /// Whether this is the first superuser's name.
    pub fn is_first_role(&self, user: &str) -> bool {
        self.first_role().is_some_and(|role| role.name == user)
    }

    /// Whether any role has a password.
    pub fn any_password(&self) -> bool {
        self.catalog().roles().any_password()
    }

    /// Gives the first superuser a password.
    pub fn set_first_password(&self, password: &str) -> Result<(), QueryError> {
        let verifier = verifier::of_password(password)?;
        self.catalog().change_roles(|draft| {
            let Some(role) = draft.roles().role(FIRST_ROLE) else {
                return Err(QueryError::new(ErrorKind::InternalError, "the first role is missing"));
            };
            let role = Role {
                verifier: Some(verifier),
                ..(**role).clone()
            };
            Ok(draft.put_role(role)?)
        })
    }

    fn first_role(&self) -> Option<Arc<Role>> {
        self.catalog().roles().role(FIRST_ROLE).cloned()
    }

    /// The role that a session begins as.
    pub(crate) fn role_to_log_in(&self, user: &str) -> Result<Arc<Role>, QueryError> {
        let refused = |message: String| QueryError::new(ErrorKind::InvalidAuthorization, message);
        let roles = self.catalog().roles();
        let role = roles
            .named(user)
            .ok_or_else(|| refused(format!("role \"{user}\" does not exist")))?;
        if !role.login {
            return Err(refused(format!("role \"{user}\" is not permitted to log in")));
        }
        Ok(role.clone())
    }

    /// Refuses a session in a database that its role may not connect to.
    pub(crate) fn check_connect(&self, role: &Role, database: &Database) -> Result<(), QueryError> {
        let actor = Actor {
            session: role.oid,
            current: role.oid,
        };
        let held = Identity::new(self.catalog(), actor).privileges(&Thing::Database(database));
        if !held.contains(Privileges::CONNECT) {
            let message = format!("permission denied for database \"{}\"", database.name);
            let error = QueryError::new(ErrorKind::InsufficientPrivilege, message);
            return Err(error.with_detail("User does not have CONNECT privilege."));
        }
        Ok(())
    }
}
