//! May this role do this to that thing? Every path asks here, in one line, when it executes.
//!
//! ```text
//! Session::may(&Thing::Table …, SELECT)  ->  superuser? yes : grants on the thing, on its supertable, of roles it is a member of
//! ```
//!
//! Promises: for a superuser it costs one branch; a change of roles or grants is in force with the next statement of every session.
//! Leaves to others: which statement needs what (they call this), how roles are kept (`catalog`), who has proved to be whom (`server`).

use std::sync::Arc;

use taospg_catalog::roles::{FIRST_ROLE, PG_READ_ALL_DATA, PG_WRITE_ALL_DATA, PUBLIC};
use taospg_catalog::{Catalog, Database, Grant, Privileges, Role, Roles};

use self::columns::Columns;
use crate::ddl::Found;
use crate::ingest::target::{Field, Target};
use crate::{ErrorKind, QueryError, Session};

pub mod audit;
pub(crate) mod columns;
pub(crate) mod defaults;
pub(crate) mod grants;
pub mod login;
pub(crate) mod roles;
pub(crate) mod settings;
pub mod verifier;

/// Who a session acts as, kept with its settings, so that both come back when a transaction fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Of SET SESSION AUTHORIZATION, at first who logged in.
    pub session: u32,
    /// Of SET ROLE, at first the same.
    pub current: u32,
}

impl Default for Actor {
    fn default() -> Actor {
        Actor {
            session: FIRST_ROLE,
            current: FIRST_ROLE,
        }
    }
}

/// What the current role may do, as of a version of the catalog's roles.
#[derive(Clone, Debug)]
pub struct Identity {
    pub actor: Actor,
    /// Needs to ask nobody.
    pub superuser: bool,
    pub roles: Arc<Roles>,
    /// The current role and those whose privileges it has.
    pub held: Vec<u32>,
}

impl Identity {
    pub fn new(catalog: &Catalog, actor: Actor) -> Identity {
        let roles = catalog.roles();
        Identity {
            superuser: roles.role(actor.current).is_some_and(|role| role.superuser),
            held: roles.memberships(actor.current, true),
            actor,
            roles,
        }
    }

    /// Whether it still says what is so.
    pub fn is_of(&self, catalog: &Catalog, actor: Actor) -> bool {
        self.actor == actor && self.roles.version == catalog.roles_version()
    }

    /// The same for another role, for `has_table_privilege('ada', …)`.
    pub fn of_role(&self, role: &Role) -> Identity {
        Identity {
            actor: Actor {
                session: role.oid,
                current: role.oid,
            },
            superuser: role.superuser,
            held: self.roles.memberships(role.oid, true),
            roles: self.roles.clone(),
        }
    }

    pub fn name(&self) -> String {
        self.roles.name_of(self.actor.current)
    }

    /// Whether it has the privileges of a role.
    pub fn has_role(&self, role: u32) -> bool {
        self.superuser || self.held.contains(&role)
    }

    pub fn privileges(&self, thing: &Thing<'_>) -> Privileges {
        let all = thing.all();
        if self.superuser {
            return all;
        }
        let mut found = self.granted(thing);
        if let Thing::Table { .. } | Thing::View { .. } = thing {
            if self.held.contains(&PG_READ_ALL_DATA) {
                found = found.with(Privileges::SELECT);
            }
            if self.held.contains(&PG_WRITE_ALL_DATA) {
                let write = Privileges::INSERT.with(Privileges::UPDATE).with(Privileges::DELETE);
                found = found.with(write);
            }
        }
        if let Thing::Schema(_) = thing
            && (self.held.contains(&PG_READ_ALL_DATA) || self.held.contains(&PG_WRITE_ALL_DATA))
        {
            found = found.with(Privileges::USAGE);
        }
        found.and(all)
    }

    fn granted(&self, thing: &Thing<'_>) -> Privileges {
        let owner = self.roles.owner_of(thing.owned_as());
        let of = |grants: &[Grant]| {
            let mine = |grant: &&Grant| grant.grantee == PUBLIC || self.held.contains(&grant.grantee);
            let mine = grants.iter().filter(mine);
            mine.fold(Privileges::NONE, |all, grant| all.with(grant.privileges))
        };
        let access = self.roles.access(thing.owned_as());
        let grants = access.and_then(|access| match thing {
            Thing::Schema(_) => access.schema_grants.as_deref(),
            _ => access.grants.as_deref(),
        });
        let found = match grants {
            Some(grants) => of(grants),
            None => of(&thing.from_the_start(owner)),
        };
        match thing {
            Thing::Table { child: Some(child), .. } => {
                let own = self.roles.access(*child).and_then(|access| access.grants.as_deref());
                own.map_or(found, |grants| found.with(of(grants)))
            }
            _ => found,
        }
    }
}

/// What something is done to.
#[derive(Clone, Copy, Debug)]
pub enum Thing<'a> {
    Table {
        /// Of the supertable or plain table.
        table: u32,
        /// Of a child table, which inherits what is granted on its supertable.
        child: Option<u32>,
        database: u32,
        name: &'a str,
    },
    View {
        oid: u32,
        database: u32,
        name: &'a str,
    },
    Database(&'a Database),
    /// Schema `public` of a database.
    Schema(&'a Database),
}

impl Thing<'_> {
    /// The OID under which its owner stands.
    pub fn owned_as(&self) -> u32 {
        match self {
            Thing::Table { table, .. } => *table,
            Thing::View { oid, .. } => *oid,
            Thing::Database(database) | Thing::Schema(database) => database.oid,
        }
    }

    /// What can be granted on it.
    pub fn all(&self) -> Privileges {
        match self {
            Thing::Table { .. } | Thing::View { .. } => Privileges::ALL_OF_TABLE,
            Thing::Database(_) => Privileges::ALL_OF_DATABASE,
            Thing::Schema(_) => Privileges::ALL_OF_SCHEMA,
        }
    }

    /// Grants of a thing that nobody has said anything about, as PostgreSQL 15 has them: everybody connects and uses, the owner does all.
    pub fn from_the_start(&self, owner: u32) -> [Grant; 2] {
        let public = match self {
            Thing::Table { .. } | Thing::View { .. } => Privileges::NONE,
            Thing::Database(_) => Privileges::CONNECT.with(Privileges::TEMPORARY),
            Thing::Schema(_) => Privileges::USAGE,
        };
        [(PUBLIC, public), (owner, self.all())].map(|(grantee, privileges)| Grant {
            grantee,
            grantor: owner,
            privileges,
            grantable: Privileges::NONE,
        })
    }

    /// `table meters`, as it stands in messages.
    pub fn described(&self) -> String {
        match self {
            Thing::Table { name, .. } => format!("table {name}"),
            Thing::View { name, .. } => format!("view {name}"),
            Thing::Database(database) => format!("database {}", database.name),
            Thing::Schema(_) => "schema public".into(),
        }
    }
}

fn denied(thing: &Thing<'_>) -> QueryError {
    QueryError::new(
        ErrorKind::InsufficientPrivilege,
        format!("permission denied for {}", thing.described()),
    )
}

/// 42501 with a message of its own.
pub(crate) fn refused(message: impl Into<String>) -> QueryError {
    QueryError::new(ErrorKind::InsufficientPrivilege, message)
}

impl Session {
    /// Refuses what the current role may not do. Of a table or view, its schema must be usable too, and its database when it is another.
    pub(crate) fn may(&self, thing: &Thing<'_>, needed: Privileges) -> Result<(), QueryError> {
        self.may_be_done_by(self.identity(), thing, needed)
    }

    /// The same for another role, who owns a view that is read: `None` is the current one.
    pub(crate) fn may_as(&self, role: Option<u32>, thing: &Thing<'_>, needed: Privileges) -> Result<(), QueryError> {
        match role {
            None => self.may(thing, needed),
            Some(role) => match self.identity().roles.role(role) {
                Some(role) => self.may_be_done_by(&self.identity().of_role(role), thing, needed),
                None => Err(denied(thing)),
            },
        }
    }

    fn may_be_done_by(&self, identity: &Identity, thing: &Thing<'_>, needed: Privileges) -> Result<(), QueryError> {
        if identity.superuser {
            return Ok(());
        }
        self.may_reach(identity, thing)?;
        match identity.privileges(thing).contains(needed) {
            true => Ok(()),
            false => Err(denied(thing)),
        }
    }

    /// Refuses who may not go where a table or view is: its database when it is another, and its schema.
    fn may_reach(&self, identity: &Identity, thing: &Thing<'_>) -> Result<(), QueryError> {
        if let Thing::Table { database, .. } | Thing::View { database, .. } = thing
            && let Some(database) = self.engine().catalog().database_by_oid(*database)
        {
            if !self.is_connected_to(&database) {
                self.may_be_done_by(identity, &Thing::Database(&database), Privileges::CONNECT)?;
            }
            self.may_be_done_by(identity, &Thing::Schema(&database), Privileges::USAGE)?;
        }
        Ok(())
    }

    pub(crate) fn may_with(&self, found: &Found, name: &str, needed: Privileges) -> Result<(), QueryError> {
        self.may(&found.thing(name), needed)
    }

    /// Refuses to write these fields of rows. Tables that a row makes are part of their supertable: INSERT on it is enough.
    pub(crate) fn may_insert(&self, target: &Target, needed: Privileges, fields: &[Field]) -> Result<(), QueryError> {
        if self.identity().superuser || target.temporary.is_some() {
            return Ok(());
        }
        let child = match self.engine().catalog().relation(target.database.oid, &target.name) {
            Some(taospg_catalog::Relation::Child { child, .. }) => Some(child.oid),
            _ => None,
        };
        let thing = Thing::Table {
            table: target.table.oid,
            child,
            database: target.database.oid,
            name: &target.name,
        };
        let names = || {
            let fields = fields.iter().map(|field| target.column(*field).0);
            Ok(Columns::named(&target.table, fields))
        };
        self.may_touch(None, &thing, needed, names)
    }

    /// Refuses who does not own the thing.
    pub(crate) fn must_own(&self, thing: &Thing<'_>) -> Result<(), QueryError> {
        let identity = self.identity();
        if identity.superuser || identity.has_role(identity.roles.owner_of(thing.owned_as())) {
            return Ok(());
        }
        Err(refused(format!("must be owner of {}", thing.described())))
    }

    /// Refuses who is no superuser, with a sentence that says what was asked.
    pub(crate) fn must_be_superuser(&self, message: &str) -> Result<(), QueryError> {
        match self.identity().superuser {
            true => Ok(()),
            false => Err(refused(message)),
        }
    }

    /// The current role's own properties.
    pub(crate) fn current_role(&self) -> Option<Arc<Role>> {
        let identity = self.identity();
        identity.roles.role(identity.actor.current).cloned()
    }
}

impl Found {
    pub(crate) fn thing<'a>(&self, name: &'a str) -> Thing<'a> {
        Thing::Table {
            table: self.table().oid,
            child: self.child().map(|child| child.oid),
            database: self.database.oid,
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(child: Option<u32>) -> Thing<'static> {
        Thing::Table {
            table: 20_000,
            child,
            database: 16_384,
            name: "meters",
        }
    }

    /// A catalog with roles ada and fleet, ada a member of fleet, and a grant on a supertable and one on its child.
    fn with_grants() -> (tempfile::TempDir, Catalog, u32, u32) {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(directory.path()).unwrap();
        let (ada, fleet) = catalog
            .change_roles(|draft| {
                let fleet = draft.create_role(Role::new("fleet"))?;
                let mut ada = Role::new("ada");
                ada.member_of.push(taospg_catalog::Membership {
                    role: fleet,
                    grantor: FIRST_ROLE,
                    admin: false,
                });
                let ada = draft.create_role(ada)?;
                let grant = |grantee, privileges| Grant {
                    grantee,
                    grantor: FIRST_ROLE,
                    privileges,
                    grantable: Privileges::NONE,
                };
                let mut access = taospg_catalog::Access::new(20_000, FIRST_ROLE);
                access.grants = Some(vec![grant(fleet, Privileges::INSERT)]);
                draft.put_access(access);
                let mut access = taospg_catalog::Access::new(20_001, FIRST_ROLE);
                access.supertable = Some(20_000);
                access.grants = Some(vec![grant(ada, Privileges::SELECT)]);
                draft.put_access(access);
                Ok::<_, taospg_catalog::CatalogError>((ada, fleet))
            })
            .unwrap();
        (directory, catalog, ada, fleet)
    }

    fn privileges(catalog: &Catalog, role: u32, thing: &Thing<'_>) -> Privileges {
        let actor = Actor {
            session: role,
            current: role,
        };
        Identity::new(catalog, actor).privileges(thing)
    }

    #[test]
    fn members_have_what_their_groups_have_and_children_what_their_supertables_have() {
        let (_directory, catalog, ada, fleet) = with_grants();
        assert_eq!(privileges(&catalog, FIRST_ROLE, &table(None)), Privileges::ALL_OF_TABLE);
        assert_eq!(privileges(&catalog, fleet, &table(None)), Privileges::INSERT);
        assert_eq!(privileges(&catalog, ada, &table(None)), Privileges::INSERT);
        let both = Privileges::INSERT.with(Privileges::SELECT);
        assert_eq!(privileges(&catalog, ada, &table(Some(20_001))), both);
        assert_eq!(privileges(&catalog, fleet, &table(Some(20_001))), Privileges::INSERT);
        assert_eq!(privileges(&catalog, PG_READ_ALL_DATA, &table(None)), Privileges::SELECT);
    }

    #[test]
    fn without_inherit_a_group_counts_for_nothing() {
        let (_directory, catalog, ada, _) = with_grants();
        catalog
            .change_roles(|draft| {
                let mut role = (**draft.roles().role(ada).unwrap()).clone();
                role.inherit = false;
                draft.put_role(role)
            })
            .unwrap();
        assert_eq!(privileges(&catalog, ada, &table(None)), Privileges::NONE);
    }
}
