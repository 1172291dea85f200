//! Roles, owners and grants: kept over a restart, all or nothing, gone with what they were about.

use super::*;
use crate::roles::{FIRST_ROLE, PG_READ_ALL_DATA};
use crate::{Access, CatalogError, Grant, Membership, Privileges, Role, Verifier};

fn granted(to: u32) -> Option<Vec<Grant>> {
    Some(vec![Grant {
        grantee: to,
        grantor: FIRST_ROLE,
        privileges: Privileges::SELECT,
        grantable: Privileges::NONE,
    }])
}

/// Makes ada, a member of pg_read_all_data with a grant on a table.
fn with_ada(catalog: &Catalog, table: u32) -> u32 {
    catalog
        .change_roles(|draft| {
            let mut ada = Role::new("ada");
            ada.verifier = Some(Verifier("SCRAM-SHA-256$…".into()));
            ada.settings.insert("TimeZone".into(), "Asia/Tokyo".into());
            ada.member_of.push(Membership {
                role: PG_READ_ALL_DATA,
                grantor: FIRST_ROLE,
                admin: false,
            });
            let ada = draft.create_role(ada)?;
            let mut access = Access::new(table, FIRST_ROLE);
            access.grants = granted(ada);
            draft.put_access(access);
            Ok::<_, CatalogError>(ada)
        })
        .unwrap()
}

#[test]
fn roles_and_grants_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _, meters) = open(directory.path());
    let before = catalog.roles_version();
    let ada = with_ada(&catalog, meters.oid);
    assert!(catalog.roles_version() > before);
    let (role, access) = {
        let roles = catalog.roles();
        (
            roles.role(ada).unwrap().clone(),
            roles.access(meters.oid).unwrap().clone(),
        )
    };
    drop(catalog);
    let roles = Catalog::open(directory.path()).unwrap().roles();
    assert_eq!(roles.named("ada"), Some(&role));
    assert_eq!(roles.access(meters.oid), Some(&access));
    assert_eq!(roles.memberships(ada, true), [ada, PG_READ_ALL_DATA]);
    assert_eq!(roles.depending_on(ada), [meters.oid]);
    assert!(roles.role(FIRST_ROLE).unwrap().superuser);
    assert!(!format!("{role:?}").contains("SCRAM"), "a verifier is not printed");
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, ..) = open(directory.path());
    let version = catalog.roles_version();
    let failed = catalog.change_roles(|draft| {
        draft.create_role(Role::new("ada"))?;
        draft.create_role(Role::new("ada"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "role \"ada\" already exists");
    assert!(catalog.roles().named("ada").is_none());
    assert_eq!(catalog.roles_version(), version);
}

#[test]
fn an_oid_is_not_given_again_to_another_role() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _, meters) = open(directory.path());
    let ada = with_ada(&catalog, meters.oid);
    catalog
        .change_roles(|draft| {
            draft.put_access(Access::new(meters.oid, FIRST_ROLE));
            draft.drop_role(ada);
            Ok::<_, CatalogError>(())
        })
        .unwrap();
    drop(catalog);
    let catalog = Catalog::open(directory.path()).unwrap();
    assert!(catalog.roles().named("ada").is_none());
    assert!(with_ada(&catalog, meters.oid) > ada);
}

#[test]
fn what_is_dropped_takes_its_owner_and_grants_along() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    let ada = with_ada(&catalog, meters.oid);
    let children = catalog
        .create_children(
            meters.oid,
            &named(&["d1", "d2"]),
            &tags(&[(None, None), (None, Some(2))]),
        )
        .unwrap();
    let plain = catalog
        .create_table_of(ada, database.oid, plain_table("plain"))
        .unwrap();
    assert_eq!(catalog.roles().owner_of(plain.oid), ada);
    catalog
        .change_roles(|draft| {
            for child in &children {
                let mut access = Access::new(child.oid, FIRST_ROLE);
                access.supertable = Some(meters.oid);
                access.grants = granted(ada);
                draft.put_access(access);
            }
            Ok::<_, CatalogError>(())
        })
        .unwrap();
    catalog.drop_children(meters.oid, &[0]).unwrap();
    assert!(catalog.roles().access(children[0].oid).is_none());
    assert!(catalog.roles().access(children[1].oid).is_some());
    catalog.drop_table(meters.oid).unwrap();
    assert_eq!(catalog.roles().depending_on(ada), [plain.oid]);
    catalog.drop_database("power").unwrap();
    let mine = catalog
        .create_database_of(ada, "mine", DatabaseOptions::default())
        .unwrap();
    drop(catalog);
    let catalog = Catalog::open(directory.path()).unwrap();
    assert_eq!(catalog.roles().depending_on(ada), [mine.oid]);
}
