//! ALTER DEFAULT PRIVILEGES: what tables and views begin with that a role makes in the connected database from now on.
//!
//! What is said without a schema stands in the place of the start (the owner may do all, nobody else anything); what is said of schema `public`
//! comes on top of it. The catalog applies both when it makes the thing.

use taospg_catalog::{DefaultGrants, Grant, Privileges, Role};

use super::grants::{apply, merge};
use super::refused;
use super::roles::{access_of, find_role};
use crate::statement::{DefaultPrivileges, RoleName};
use crate::{QueryError, Session};

/// What a role's tables have when nothing is said: all for the owner.
fn from_the_start(role: u32) -> Vec<Grant> {
    vec![Grant {
        grantee: role,
        grantor: role,
        privileges: Privileges::ALL_OF_TABLE,
        grantable: Privileges::NONE,
    }]
}

pub(super) fn execute(session: &mut Session, defaults: &DefaultPrivileges) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let database = session.database()?;
    let of: Vec<Role> = match defaults.of.as_slice() {
        [] => vec![find_role(&identity, &identity.roles, &RoleName::CurrentUser)?],
        names => {
            let found = names.iter().map(|name| find_role(&identity, &identity.roles, name));
            found.collect::<Result<_, _>>()?
        }
    };
    for role in &of {
        if !identity.has_role(role.oid) {
            return Err(refused("permission denied to change default privileges"));
        }
    }
    let grants = &defaults.grants;
    session.engine().catalog().change_roles(|draft| {
        for role in &of {
            let mut access = access_of(draft.roles(), database.oid);
            let same = |known: &DefaultGrants| known.role == role.oid && known.in_schema == defaults.in_schema;
            let known = access
                .defaults
                .iter()
                .position(same)
                .map(|place| access.defaults.remove(place));
            let start = match defaults.in_schema {
                true => Vec::new(),
                false => from_the_start(role.oid),
            };
            let (oid, mut list) = match known {
                Some(known) => (Some(known.oid), known.grants),
                None => (None, start.clone()),
            };
            let given = grants.privileges.unwrap_or(Privileges::ALL_OF_TABLE);
            apply(draft.roles(), &identity, grants, &mut list, role.oid, given)?;
            merge(&mut list);
            // What says nothing beyond the start is not kept.
            if list != start {
                let oid = match oid {
                    Some(oid) => oid,
                    None => draft.take_oid()?,
                };
                access.defaults.push(DefaultGrants {
                    oid,
                    role: role.oid,
                    in_schema: defaults.in_schema,
                    grants: list,
                });
            }
            draft.put_access(access);
        }
        Ok(())
    })
}
