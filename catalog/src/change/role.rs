//! Changing roles, owners and grants.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::roles::{Access, Role, Roles};
use crate::rules;
use crate::store::{Batch, Meta};
use crate::{Catalog, CatalogError};

/// Roles and grants as they will be when the change is done, and what of them is to be written.
pub struct RolesDraft {
    roles: Roles,
    meta: Meta,
    touched_roles: BTreeSet<u32>,
    touched_access: BTreeSet<u32>,
}

impl RolesDraft {
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Adds a role under an OID of its own, which it answers.
    pub fn create_role(&mut self, role: Role) -> Result<u32, CatalogError> {
        self.check_name(&role.name)?;
        let oid = self.meta.take_oids(1)?;
        self.roles.put(Role { oid, ..role });
        self.touched_roles.insert(oid);
        Ok(oid)
    }

    /// Replaces the role with its OID.
    pub fn put_role(&mut self, role: Role) -> Result<(), CatalogError> {
        if self.roles.role(role.oid).is_none_or(|before| before.name != role.name) {
            self.check_name(&role.name)?;
        }
        self.touched_roles.insert(role.oid);
        self.roles.put(role);
        Ok(())
    }

    /// Removes a role; whoever is a member of it is no longer.
    pub fn drop_role(&mut self, oid: u32) {
        let members: Vec<Arc<Role>> = self.roles.all().cloned().collect();
        for member in members {
            if member.member_of.iter().any(|membership| membership.role == oid) {
                let mut left = (*member).clone();
                left.member_of.retain(|membership| membership.role != oid);
                self.touched_roles.insert(left.oid);
                self.roles.put(left);
            }
        }
        let with_settings: Vec<Arc<Access>> = self
            .roles
            .all_access()
            .filter(|access| access.settings.contains_key(&oid))
            .cloned()
            .collect();
        for access in with_settings {
            let mut access = (*access).clone();
            access.settings.remove(&oid);
            self.put_access(access);
        }
        self.roles.remove(oid);
        self.touched_roles.insert(oid);
    }

    /// An OID for something that is said about roles.
    pub fn take_oid(&mut self) -> Result<u32, CatalogError> {
        self.meta.take_oids(1)
    }

    pub fn put_access(&mut self, access: Access) {
        self.touched_access.insert(access.oid);
        self.roles.put_access(access);
    }

    fn check_name(&self, name: &str) -> Result<(), CatalogError> {
        rules::check_role_name(name)?;
        match self.roles.named(name) {
            Some(_) => Err(CatalogError::Exists {
                what: "role",
                name: name.into(),
            }),
            None => Ok(()),
        }
    }
}

impl Catalog {
    /// Changes roles, owners and grants: all that `change` does, or nothing when it fails. It may read the catalog, and not change it.
    pub fn change_roles<T, E: From<CatalogError>>(
        &self,
        change: impl FnOnce(&mut RolesDraft) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock();
        let mut draft = RolesDraft {
            roles: (*self.roles()).clone(),
            meta: writer.meta.clone(),
            touched_roles: BTreeSet::new(),
            touched_access: BTreeSet::new(),
        };
        let answer = change(&mut draft)?;
        let RolesDraft {
            roles,
            meta,
            touched_roles,
            touched_access,
        } = draft;
        if touched_roles.is_empty() && touched_access.is_empty() {
            return Ok(answer);
        }
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        for oid in touched_roles {
            match roles.role(oid) {
                Some(role) => batch.put_role(role)?,
                None => batch.delete_role(oid),
            }
        }
        for oid in touched_access {
            match roles.access(oid) {
                Some(access) => batch.put_access(access)?,
                None => batch.delete_access(oid),
            }
        }
        writer.store.commit(batch)?;
        writer.meta = meta;
        self.show_roles(roles);
        Ok(answer)
    }

    /// Roles, owners and grants as they are now.
    pub fn roles(&self) -> Arc<Roles> {
        self.roles.read().clone()
    }

    /// Grows with every change of roles, owners and grants.
    pub fn roles_version(&self) -> u64 {
        self.roles_version.load(Ordering::Acquire)
    }

    /// Adds a new thing's owner to the batch that makes it, and of a table in a database what is said of new ones there. The answer is for
    /// [`Catalog::show_roles`].
    pub(super) fn put_owner(
        &self,
        batch: &mut Batch,
        oid: u32,
        owner: u32,
        database: Option<u32>,
    ) -> Result<Option<Roles>, CatalogError> {
        let now = self.roles();
        let grants = database.and_then(|database| now.grants_of_new(database, owner));
        if owner == crate::roles::FIRST_ROLE && grants.is_none() {
            return Ok(None);
        }
        let access = Access {
            grants,
            ..Access::new(oid, owner)
        };
        batch.put_access(&access)?;
        let mut roles = (*now).clone();
        roles.put_access(access);
        Ok(Some(roles))
    }

    /// Adds to the batch that what is said about things that are dropped goes with them.
    pub(super) fn forget_access(&self, batch: &mut Batch, oids: &[u32]) -> Option<Roles> {
        let now = self.roles();
        if !oids.iter().any(|oid| now.knows(*oid)) {
            return None;
        }
        let mut roles = (*now).clone();
        for gone in oids.iter().flat_map(|oid| roles.forget(*oid)).collect::<Vec<u32>>() {
            batch.delete_access(gone);
        }
        Some(roles)
    }

    /// Called with the writer locked, after the change is on disk.
    pub(super) fn show_roles(&self, mut roles: Roles) {
        roles.version += 1;
        let version = roles.version;
        *self.roles.write() = Arc::new(roles);
        self.roles_version.store(version, Ordering::Release);
    }
}
