//! Rows about what was granted: default privileges, settings of roles and databases, and the standard's views of privileges.

use taospg_catalog::roles::PUBLIC;
use taospg_catalog::{Grant, Privileges};

use super::cell::Cell;
use super::snapshot::{Listed, PUBLIC_OID, Snapshot};
use crate::access::{Thing, grants};
use crate::ddl::view_thing;

pub(super) const PG_DEFAULT_ACL: &[&str] = &["oid", "defaclrole", "defaclnamespace", "defaclobjtype", "defaclacl"];

pub(super) fn default_acls(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let roles = &snapshot.identity.roles;
    let access = roles.access(snapshot.session.database.oid);
    let defaults = access.iter().flat_map(|access| &access.defaults);
    defaults
        .map(|defaults| {
            let namespace = if defaults.in_schema { PUBLIC_OID } else { 0 };
            vec![
                defaults.oid.into(),
                defaults.role.into(),
                namespace.into(),
                "r".into(),
                Cell::Texts(grants::acl(roles, &defaults.grants)),
            ]
        })
        .collect()
}

pub(super) const PG_DB_ROLE_SETTING: &[&str] = &["setdatabase", "setrole", "setconfig"];

pub(super) fn role_settings(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let roles = &snapshot.identity.roles;
    let of_roles = roles.all().map(|role| (0, role.oid, &role.settings));
    let of_databases = roles.all_access().flat_map(|access| {
        access
            .settings
            .iter()
            .map(|(role, settings)| (access.oid, *role, settings))
    });
    let mut rows: Vec<_> = of_roles
        .chain(of_databases)
        .filter(|(.., settings)| !settings.is_empty())
        .collect();
    rows.sort_by_key(|(database, role, _)| (*database, *role));
    rows.into_iter()
        .map(|(database, role, settings)| {
            let pairs = settings.iter().map(|(name, value)| format!("{name}={value}"));
            vec![database.into(), role.into(), Cell::Texts(pairs.collect())]
        })
        .collect()
}

impl Snapshot {
    /// `attacl`: what is granted on a column alone.
    pub fn attacl(&self, listed: &Listed, attnum: u16) -> Cell {
        let roles = &self.identity.roles;
        match roles.access(listed.oid).map(|access| access.of_column(attnum)) {
            Some(list) if !list.is_empty() => Cell::Texts(grants::acl(roles, list)),
            _ => Cell::Null,
        }
    }

    fn role_name(&self, oid: u32) -> Cell {
        match oid {
            PUBLIC => "PUBLIC".into(),
            oid => self.identity.roles.name_of(oid).into(),
        }
    }

    /// Whether the standard's views show a grant: to who gave it, to who has it.
    fn shows(&self, grant: &Grant) -> bool {
        let identity = &self.identity;
        grant.grantee == PUBLIC || identity.has_role(grant.grantee) || identity.has_role(grant.grantor)
    }
}

fn yes(is_so: bool) -> Cell {
    if is_so { "YES" } else { "NO" }.into()
}

/// Every table and view with what is granted on it as a whole.
fn granted(snapshot: &Snapshot) -> Vec<(String, Option<&Listed>, Vec<Grant>)> {
    let roles = &snapshot.identity.roles;
    let list = |oid: u32, thing: &Thing<'_>| {
        let owner = roles.owner_of(thing.owned_as());
        match roles.access(oid) {
            Some(access) => grants::list_of(access, thing, owner),
            None => grants::list_of(&taospg_catalog::Access::new(oid, owner), thing, owner),
        }
    };
    let database = snapshot.session.database.oid;
    let lasting = snapshot.tables.iter().filter(|listed| listed.temporary.is_none());
    let tables = lasting.map(|listed| {
        let thing = Thing::Table {
            table: listed.table.oid,
            child: listed.is_child.then_some(listed.oid),
            database,
            name: &listed.name,
        };
        (listed.name.clone(), Some(listed), list(listed.oid, &thing))
    });
    let views = snapshot.views.iter().map(|view| {
        let grants = list(view.oid, &view_thing(view));
        (view.name.clone(), None, grants)
    });
    tables.chain(views).collect()
}

pub(super) const TABLE_PRIVILEGES: &[&str] = &[
    "grantor",
    "grantee",
    "table_catalog",
    "table_schema",
    "table_name",
    "privilege_type",
    "is_grantable",
    "with_hierarchy",
];

pub(super) fn table_privileges(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let owner_of = |grant: &Grant| grant.grantee == grant.grantor;
    let mut rows = Vec::new();
    for (name, _, list) in granted(snapshot) {
        for grant in list.iter().filter(|grant| snapshot.shows(grant)) {
            for (privilege, word, _) in Privileges::LIST {
                if grant.privileges.contains(privilege) {
                    rows.push(vec![
                        snapshot.role_name(grant.grantor),
                        snapshot.role_name(grant.grantee),
                        snapshot.session.database.name.as_str().into(),
                        "public".into(),
                        name.as_str().into(),
                        word.into(),
                        yes(owner_of(grant) || grant.grantable.contains(privilege)),
                        yes(privilege == Privileges::SELECT),
                    ]);
                }
            }
        }
    }
    rows
}

pub(super) const COLUMN_PRIVILEGES: &[&str] = &[
    "grantor",
    "grantee",
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "privilege_type",
    "is_grantable",
];

/// What is granted on columns, by themselves or with their tables.
pub(super) fn column_privileges(snapshot: &Snapshot) -> Vec<Vec<Cell>> {
    let roles = &snapshot.identity.roles;
    let mut rows = Vec::new();
    for (name, listed, list) in granted(snapshot) {
        let Some(listed) = listed else { continue };
        let access = roles.access(listed.oid);
        for column in listed.columns() {
            let own = access.map_or(&[][..], |access| access.of_column(column.attnum));
            // Of two grants between the same roles the column's adds to the table's.
            let mut grants: Vec<Grant> = list.clone();
            for grant in own {
                let mut same = grants.iter_mut();
                match same.find(|other| (other.grantee, other.grantor) == (grant.grantee, grant.grantor)) {
                    Some(other) => {
                        other.privileges = other.privileges.with(grant.privileges);
                        other.grantable = other.grantable.with(grant.grantable);
                    }
                    None => grants.push(*grant),
                }
            }
            for grant in grants.iter().filter(|grant| snapshot.shows(grant)) {
                for (privilege, word, _) in Privileges::LIST {
                    let known = Privileges::ALL_OF_COLUMN.contains(privilege);
                    if known && grant.privileges.contains(privilege) {
                        rows.push(vec![
                            snapshot.role_name(grant.grantor),
                            snapshot.role_name(grant.grantee),
                            snapshot.session.database.name.as_str().into(),
                            "public".into(),
                            name.as_str().into(),
                            column.name.as_str().into(),
                            word.into(),
                            yes(grant.grantee == grant.grantor || grant.grantable.contains(privilege)),
                        ]);
                    }
                }
            }
        }
    }
    rows
}
