//! Who there is and what each may do: roles, their memberships, owners of things and grants on them.
//!
//! `Roles` is one immutable picture of all of it; a change makes another ([`crate::Catalog::change_roles`]). What does not stand in it is as
//! PostgreSQL has it from the start: things belong to the first superuser, tables are the owner's alone, everybody may connect to a
//! database and use its schema.
//!
//! Leaves to others: which statement needs which privilege (`query`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The superuser that is there from the first start, `postgres`; its OID is that of PostgreSQL's.
pub const FIRST_ROLE: u32 = 10;
/// Everybody, as a grantee.
pub const PUBLIC: u32 = 0;
/// Reads every table.
pub const PG_READ_ALL_DATA: u32 = 6181;
/// Writes every table.
pub const PG_WRITE_ALL_DATA: u32 = 6182;
/// Sees what the server does.
pub const PG_MONITOR: u32 = 3373;

/// Roles that are always there and that nobody can be: name and OID, both PostgreSQL's.
const BUILT_IN: [(&str, u32); 7] = [
    ("pg_monitor", PG_MONITOR),
    ("pg_read_all_data", PG_READ_ALL_DATA),
    ("pg_read_all_settings", 3374),
    ("pg_read_all_stats", 3375),
    ("pg_signal_backend", 4200),
    ("pg_stat_scan_tables", 3377),
    ("pg_write_all_data", PG_WRITE_ALL_DATA),
];

/// Things that one may be allowed to do to a thing, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges(pub u16);

impl Privileges {
    pub const NONE: Privileges = Privileges(0);
    pub const INSERT: Privileges = Privileges(1);
    pub const SELECT: Privileges = Privileges(1 << 1);
    pub const UPDATE: Privileges = Privileges(1 << 2);
    pub const DELETE: Privileges = Privileges(1 << 3);
    pub const TRUNCATE: Privileges = Privileges(1 << 4);
    pub const REFERENCES: Privileges = Privileges(1 << 5);
    pub const TRIGGER: Privileges = Privileges(1 << 6);
    pub const USAGE: Privileges = Privileges(1 << 7);
    pub const CREATE: Privileges = Privileges(1 << 8);
    pub const TEMPORARY: Privileges = Privileges(1 << 9);
    pub const CONNECT: Privileges = Privileges(1 << 10);

    /// All that can be granted on a column, a table, a database, a schema.
    pub const ALL_OF_COLUMN: Privileges = Privileges(1 | 1 << 1 | 1 << 2 | 1 << 5);
    pub const ALL_OF_TABLE: Privileges = Privileges(0x7f);
    pub const ALL_OF_DATABASE: Privileges = Privileges(1 << 8 | 1 << 9 | 1 << 10);
    pub const ALL_OF_SCHEMA: Privileges = Privileges(1 << 7 | 1 << 8);

    /// Each with its word and its letter in `relacl`, in PostgreSQL's order.
    pub const LIST: [(Privileges, &'static str, char); 11] = [
        (Privileges::INSERT, "INSERT", 'a'),
        (Privileges::SELECT, "SELECT", 'r'),
        (Privileges::UPDATE, "UPDATE", 'w'),
        (Privileges::DELETE, "DELETE", 'd'),
        (Privileges::TRUNCATE, "TRUNCATE", 'D'),
        (Privileges::REFERENCES, "REFERENCES", 'x'),
        (Privileges::TRIGGER, "TRIGGER", 't'),
        (Privileges::USAGE, "USAGE", 'U'),
        (Privileges::CREATE, "CREATE", 'C'),
        (Privileges::TEMPORARY, "TEMPORARY", 'T'),
        (Privileges::CONNECT, "CONNECT", 'c'),
    ];

    pub fn contains(self, other: Privileges) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn with(self, other: Privileges) -> Privileges {
        Privileges(self.0 | other.0)
    }

    pub fn without(self, other: Privileges) -> Privileges {
        Privileges(self.0 & !other.0)
    }

    pub fn and(self, other: Privileges) -> Privileges {
        Privileges(self.0 & other.0)
    }
}

/// What checks a password without knowing it, in PostgreSQL's form `SCRAM-SHA-256$…`. Never shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier(pub String);

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// A role: somebody who logs in, a group of such, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    pub oid: u32,
    pub name: String,
    pub superuser: bool,
    /// Has the privileges of the roles it is a member of without SET ROLE.
    pub inherit: bool,
    pub create_role: bool,
    pub create_database: bool,
    pub login: bool,
    pub replication: bool,
    pub bypass_rls: bool,
    /// Sessions at one time; -1 is any number.
    pub connection_limit: i32,
    /// Microseconds since 1970 after which the password is refused.
    pub valid_until_us: Option<i64>,
    pub verifier: Option<Verifier>,
    /// Settings that its sessions begin with.
    pub settings: BTreeMap<String, String>,
    pub member_of: Vec<Membership>,
}

impl Role {
    /// As CREATE ROLE makes one that is told nothing else.
    pub fn new(name: &str) -> Role {
        Role {
            oid: 0,
            name: name.into(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_database: false,
            login: false,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            valid_until_us: None,
            verifier: None,
            settings: BTreeMap::new(),
            member_of: Vec::new(),
        }
    }

    fn first() -> Role {
        Role {
            oid: FIRST_ROLE,
            superuser: true,
            create_role: true,
            create_database: true,
            login: true,
            replication: true,
            bypass_rls: true,
            ..Role::new("postgres")
        }
    }

    /// Whether the server brings it, so that nobody can change or drop it.
    pub fn is_built_in(&self) -> bool {
        BUILT_IN.iter().any(|(_, oid)| *oid == self.oid)
    }
}

/// That a role is a member of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub role: u32,
    pub grantor: u32,
    /// May make others members.
    pub admin: bool,
}

/// What one role gave another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// [`PUBLIC`] is everybody.
    pub grantee: u32,
    pub grantor: u32,
    pub privileges: Privileges,
    /// Those of them that the grantee may give on.
    pub grantable: Privileges,
}

/// Grants on one column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnGrants {
    pub attnum: u16,
    pub grants: Vec<Grant>,
}

/// What the tables and views that a role will make in a database begin with: ALTER DEFAULT PRIVILEGES.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefaultGrants {
    /// Its own, for `pg_default_acl`.
    pub oid: u32,
    pub role: u32,
    /// Said of schema `public`, and comes on top of what is said of all schemas.
    pub in_schema: bool,
    pub grants: Vec<Grant>,
}

/// Settings by name.
pub type SettingValues = BTreeMap<String, String>;

/// In the place of a database: the whole server. In the place of a role: every role.
pub const EVERYWHERE: u32 = 0;

/// Who owns a thing and what others may do to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// Of a database, a supertable, a plain or a child table; [`EVERYWHERE`] holds settings alone.
    pub oid: u32,
    pub owner: u32,
    /// A child table's supertable.
    pub supertable: Option<u32>,
    /// `None`: nobody has changed what PostgreSQL has from the start.
    pub grants: Option<Vec<Grant>>,
    /// On schema `public` of a database.
    pub schema_grants: Option<Vec<Grant>>,
    /// On single columns of a table, by attnum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnGrants>,
    /// Of a database: what its new tables begin with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<DefaultGrants>,
    /// Of a database: settings of sessions in it, by role; [`EVERYWHERE`] is every role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<u32, SettingValues>,
}

impl Access {
    pub fn new(oid: u32, owner: u32) -> Access {
        Access {
            oid,
            owner,
            supertable: None,
            grants: None,
            schema_grants: None,
            columns: Vec::new(),
            defaults: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    /// Says nothing that would not be so without it.
    fn is_default(&self) -> bool {
        let unsaid = self.grants.is_none() && self.schema_grants.is_none() && self.columns.is_empty();
        self.owner == FIRST_ROLE && unsaid && self.defaults.is_empty() && self.settings.is_empty()
    }

    /// Every list of grants that there is.
    pub fn grant_lists(&mut self) -> impl Iterator<Item = &mut Vec<Grant>> {
        let whole = [&mut self.grants, &mut self.schema_grants].into_iter().flatten();
        let columns = self.columns.iter_mut().map(|column| &mut column.grants);
        whole.chain(columns)
    }

    /// Grants on a column.
    pub fn of_column(&self, attnum: u16) -> &[Grant] {
        let mut columns = self.columns.iter();
        let found = columns.find(|column| column.attnum == attnum);
        found.map_or(&[], |column| column.grants.as_slice())
    }

    /// Replaces the grants on a column.
    pub fn set_column(&mut self, attnum: u16, grants: Vec<Grant>) {
        self.columns.retain(|column| column.attnum != attnum);
        if !grants.is_empty() {
            self.columns.push(ColumnGrants { attnum, grants });
            self.columns.sort_by_key(|column| column.attnum);
        }
    }

    fn mentions(&self, role: u32) -> bool {
        let whole = self.grants.iter().chain(&self.schema_grants).flatten();
        let columns = self.columns.iter().flat_map(|column| &column.grants);
        let defaults = self.defaults.iter().flat_map(|defaults| &defaults.grants);
        let mut all = whole.chain(columns).chain(defaults);
        self.owner == role
            || self.defaults.iter().any(|defaults| defaults.role == role)
            || all.any(|grant| grant.grantee == role || grant.grantor == role)
    }
}

/// All roles and grants at one moment.
#[derive(Clone, Debug)]
pub struct Roles {
    /// Grows with every change.
    pub version: u64,
    by_oid: HashMap<u32, Arc<Role>>,
    names: BTreeMap<String, u32>,
    /// Things that something is said about, by OID.
    access: HashMap<u32, Arc<Access>>,
}

impl Default for Roles {
    fn default() -> Roles {
        let mut roles = Roles {
            version: 1,
            by_oid: HashMap::new(),
            names: BTreeMap::new(),
            access: HashMap::new(),
        };
        roles.put(Role::first());
        for (name, oid) in BUILT_IN {
            let mut role = Role { oid, ..Role::new(name) };
            if oid == PG_MONITOR {
                role.member_of = [3374, 3375, 3377]
                    .map(|role| Membership {
                        role,
                        grantor: FIRST_ROLE,
                        admin: false,
                    })
                    .into();
            }
            roles.put(role);
        }
        roles
    }
}

impl Roles {
    pub fn role(&self, oid: u32) -> Option<&Arc<Role>> {
        self.by_oid.get(&oid)
    }

    pub fn named(&self, name: &str) -> Option<&Arc<Role>> {
        self.by_oid.get(self.names.get(name)?)
    }

    /// The name of a role; its number when it is gone.
    pub fn name_of(&self, oid: u32) -> String {
        match self.by_oid.get(&oid) {
            Some(role) => role.name.clone(),
            None => format!("unknown (OID={oid})"),
        }
    }

    /// By name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.names.values().filter_map(|oid| self.by_oid.get(oid))
    }

    /// Whether anybody has a password.
    pub fn any_password(&self) -> bool {
        self.by_oid.values().any(|role| role.verifier.is_some())
    }

    pub fn access(&self, oid: u32) -> Option<&Arc<Access>> {
        self.access.get(&oid)
    }

    pub fn owner_of(&self, oid: u32) -> u32 {
        self.access.get(&oid).map_or(FIRST_ROLE, |access| access.owner)
    }

    /// What ALTER DEFAULT PRIVILEGES says of the tables that a role makes in a database; `None`: nothing.
    pub fn grants_of_new(&self, database: u32, owner: u32) -> Option<Vec<Grant>> {
        let access = self.access.get(&database)?;
        let of = |in_schema: bool| {
            let mut defaults = access.defaults.iter();
            defaults.find(|defaults| defaults.role == owner && defaults.in_schema == in_schema)
        };
        let (everywhere, in_schema) = (of(false), of(true));
        if everywhere.is_none() && in_schema.is_none() {
            return None;
        }
        let mut list = match everywhere {
            Some(defaults) => defaults.grants.clone(),
            None => vec![Grant {
                grantee: owner,
                grantor: owner,
                privileges: Privileges::ALL_OF_TABLE,
                grantable: Privileges::NONE,
            }],
        };
        for grant in in_schema.into_iter().flat_map(|defaults| &defaults.grants) {
            let mut same = list.iter_mut();
            match same.find(|other| other.grantee == grant.grantee && other.grantor == grant.grantor) {
                Some(other) => {
                    other.privileges = other.privileges.with(grant.privileges);
                    other.grantable = other.grantable.with(grant.grantable);
                }
                None => list.push(*grant),
            }
        }
        Some(list)
    }

    /// Settings that sessions of a role in a database begin with; what comes later wins.
    pub fn settings_of(&self, role: &Role, database: u32) -> Vec<(String, String)> {
        let in_database =
            |database: u32, role: u32| self.access.get(&database).and_then(|access| access.settings.get(&role));
        let layers = [
            in_database(EVERYWHERE, EVERYWHERE),
            in_database(database, EVERYWHERE),
            Some(&role.settings),
            in_database(database, role.oid),
        ];
        let pairs = layers.into_iter().flatten().flatten();
        pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What is said about things, in no order.
    pub fn all_access(&self) -> impl Iterator<Item = &Arc<Access>> {
        self.access.values()
    }

    /// The role itself and all it is a member of, directly or not. `inherited`: only those whose privileges it has without SET ROLE.
    pub fn memberships(&self, role: u32, inherited: bool) -> Vec<u32> {
        let mut found = vec![role];
        let mut next = 0;
        while let Some(role) = found.get(next).and_then(|oid| self.by_oid.get(oid)) {
            next += 1;
            if inherited && !role.inherit {
                continue;
            }
            for membership in &role.member_of {
                if !found.contains(&membership.role) && self.by_oid.contains_key(&membership.role) {
                    found.push(membership.role);
                }
            }
        }
        found
    }

    /// OIDs of the things that a role owns or has a part in, and of the roles it is a member of or gave memberships in.
    pub fn depending_on(&self, role: u32) -> Vec<u32> {
        let mut found: Vec<u32> = self
            .access
            .values()
            .filter(|access| access.mentions(role))
            .map(|access| access.oid)
            .collect();
        found.sort_unstable();
        found
    }

    pub(crate) fn put(&mut self, role: Role) {
        self.names.retain(|_, oid| *oid != role.oid);
        self.names.insert(role.name.clone(), role.oid);
        self.by_oid.insert(role.oid, Arc::new(role));
    }

    pub(crate) fn remove(&mut self, oid: u32) {
        self.names.retain(|_, of| *of != oid);
        self.by_oid.remove(&oid);
    }

    pub(crate) fn put_access(&mut self, access: Access) {
        if access.is_default() {
            self.access.remove(&access.oid);
        } else {
            self.access.insert(access.oid, Arc::new(access));
        }
    }

    /// Forgets a table or database, with what is said about the children of a supertable; answers what there was.
    pub(crate) fn forget(&mut self, oid: u32) -> Vec<u32> {
        let gone: Vec<u32> = self
            .access
            .values()
            .filter(|access| access.oid == oid || access.supertable == Some(oid))
            .map(|access| access.oid)
            .collect();
        for oid in &gone {
            self.access.remove(oid);
        }
        gone
    }

    /// Whether something is said about this table or database, or about one of its children.
    pub(crate) fn knows(&self, oid: u32) -> bool {
        self.access
            .values()
            .any(|access| access.oid == oid || access.supertable == Some(oid))
    }
}
