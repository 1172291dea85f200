//! Databases, definitions and names: one test for each promise.

use std::collections::HashSet;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};

use super::*;
use crate::{CatalogError, Relation, TableChange, UpdateMode};

#[test]
fn ids_are_never_given_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut oids = HashSet::new();
    let mut vnodes = HashSet::new();
    let mut series = HashSet::new();
    for round in 0..3 {
        // Restarts lie between the rounds: counters survive what they counted.
        let catalog = Catalog::open(directory.path()).unwrap();
        let kept = match catalog.database("kept") {
            Some(database) => database,
            None => catalog.create_database("kept", DatabaseOptions::default()).unwrap(),
        };
        let table = catalog.create_table(kept.oid, super_table("meters")).unwrap();
        let rows = tags(&[(None, None), (Some("a"), Some(round))]);
        for child in catalog
            .create_children(table.oid, &named(&["d1", "d2"]), &rows)
            .unwrap()
        {
            assert!(oids.insert(child.oid) && series.insert(child.series), "{child:?}");
        }
        let plain = catalog.create_table(kept.oid, plain_table("plain")).unwrap();
        assert!(series.insert(plain.series.unwrap()));
        catalog.drop_children(table.oid, &[0]).unwrap();
        assert!(oids.insert(table.oid) && oids.insert(plain.oid) && table.oid >= 16_384);
        catalog.drop_table(table.oid).unwrap();
        catalog.drop_table(plain.oid).unwrap();
        let gone = catalog.create_database("gone", DatabaseOptions::default()).unwrap();
        assert!(oids.insert(gone.oid) && gone.vnodes.iter().all(|vnode| vnodes.insert(*vnode)));
        catalog.drop_database("gone").unwrap();
        assert_eq!(catalog.tables(kept.oid), vec![]);
    }
}

#[test]
fn a_name_means_one_thing_in_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    let pumps = catalog.create_table(database.oid, super_table("pumps")).unwrap();
    let plain = catalog.create_table(database.oid, plain_table("plain")).unwrap();
    let d1 = catalog
        .create_children(meters.oid, &named(&["d1"]), &tags(&[(Some("x"), Some(1))]))
        .unwrap()[0];
    for taken in ["d1", "pumps", "plain", "meters"] {
        let error = catalog.create_table(database.oid, plain_table(taken)).unwrap_err();
        assert_eq!(error.to_string(), format!("table \"{taken}\" already exists"));
        let children = catalog.create_children(pumps.oid, &named(&["new", taken]), &tags(&[(None, None); 2]));
        assert!(matches!(children, Err(CatalogError::Exists { .. })), "{taken}");
        assert_eq!(find(&catalog, database.oid, "new"), None);
        if taken != "meters" {
            let rename = [TableChange::RenameTable { to: taken.into() }];
            assert!(matches!(
                catalog.alter_table(meters.oid, &rename),
                Err(CatalogError::Exists { .. })
            ));
        }
        if taken != "d1" {
            assert!(matches!(
                catalog.rename_child(meters.oid, 0, taken),
                Err(CatalogError::Exists { .. })
            ));
        }
    }
    // Another database has its own names; names are equal only when all bytes are.
    let other = catalog.create_database("other", DatabaseOptions::default()).unwrap();
    catalog.create_table(other.oid, plain_table("d1")).unwrap();
    catalog.create_table(database.oid, plain_table("D1")).unwrap();

    assert_eq!(find(&catalog, database.oid, "d1"), Some(d1));
    assert_eq!(find(&catalog, database.oid, "meters"), None);
    let found = find(&catalog, database.oid, "plain").unwrap();
    assert_eq!(
        (found.oid, found.supertable, found.slot),
        (plain.oid, plain.oid, u32::MAX)
    );
    assert_eq!(Some(found.series), plain.series);
    assert!(matches!(catalog.relation(database.oid, "d1"), Some(Relation::Child { child, .. }) if child == d1));
    assert!(matches!(catalog.relation(database.oid, "plain"), Some(Relation::Table(table)) if table.oid == plain.oid));
    assert!(
        matches!(catalog.relation(database.oid, "meters"), Some(Relation::Table(table)) if table.oid == meters.oid)
    );
    assert!(catalog.relation(database.oid, "nothing").is_none());
}

#[test]
fn impossible_names_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    let long = "x".repeat(193);
    for bad in ["", "a\0b", &long] {
        let rows = tags(&[(None, None)]);
        assert!(matches!(
            catalog.create_children(meters.oid, &named(&[bad]), &rows),
            Err(CatalogError::BadName(_))
        ));
        assert!(matches!(
            catalog.create_table(database.oid, plain_table(bad)),
            Err(CatalogError::BadName(_))
        ));
        assert!(matches!(
            catalog.create_database(bad, DatabaseOptions::default()),
            Err(CatalogError::BadName(_))
        ));
        let change = TableChange::AddTag {
            name: bad.into(),
            sql_type: SqlType::Text,
        };
        assert!(matches!(
            catalog.alter_table(meters.oid, &[change]),
            Err(CatalogError::BadName(_))
        ));
    }
    catalog
        .create_table(database.oid, plain_table(&"x".repeat(192)))
        .unwrap();
    let change = |length: usize| TableChange::AddTag {
        name: "x".repeat(length),
        sql_type: SqlType::Text,
    };
    assert!(catalog.alter_table(meters.oid, &[change(64)]).is_err());
    catalog.alter_table(meters.oid, &[change(63)]).unwrap();
    let change = TableChange::AddTag {
        name: "tbname".into(),
        sql_type: SqlType::Text,
    };
    assert!(catalog.alter_table(meters.oid, &[change]).is_err());
}

#[test]
fn definitions_change_all_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    catalog
        .create_children(meters.oid, &named(&["d1"]), &tags(&[(Some("a"), Some(7))]))
        .unwrap();
    let version = catalog.version();
    let add = TableChange::AddColumn {
        name: "phase".into(),
        sql_type: SqlType::Double,
        not_null: false,
        default: Some("0.5".into()),
    };
    let drop = |name: &str| TableChange::DropColumn { name: name.into() };
    for refused in [
        drop("ts"),
        drop("nothing"),
        TableChange::DropTag { name: "current".into() },
        TableChange::RenameColumn {
            from: "current".into(),
            to: "location".into(),
        },
        TableChange::AddTag {
            name: "voltage".into(),
            sql_type: SqlType::Text,
        },
        TableChange::SetType {
            name: "group_id".into(),
            sql_type: SqlType::SmallInt,
        },
        TableChange::SetType {
            name: "location".into(),
            sql_type: SqlType::Varchar(23),
        },
    ] {
        assert!(
            catalog
                .alter_table(meters.oid, &[add.clone(), refused.clone()])
                .is_err(),
            "{refused:?}"
        );
    }
    assert_eq!(
        (catalog.table_by_oid(meters.oid).unwrap(), catalog.version()),
        (meters.clone(), version)
    );

    let changes = [
        add,
        drop("voltage"),
        TableChange::RenameTag {
            from: "group_id".into(),
            to: "group".into(),
        },
        TableChange::SetType {
            name: "group".into(),
            sql_type: SqlType::BigInt,
        },
        TableChange::DropTag {
            name: "location".into(),
        },
        TableChange::SetComment(Some("on the roof".into())),
        TableChange::SetColumnComment {
            name: "current".into(),
            comment: Some("ampere".into()),
        },
    ];
    let before = catalog.children(meters.oid).unwrap();
    let after = catalog.alter_table(meters.oid, &changes).unwrap();
    assert_eq!((after.version, catalog.version()), (2, version + 1));
    let shown: Vec<_> = after
        .declared()
        .iter()
        .map(|column| (column.name.clone(), column.id, column.attnum))
        .collect();
    let expected = [("ts", 0, 1), ("current", 1, 2), ("group", 4, 5), ("phase", 5, 6)];
    assert_eq!(shown, expected.map(|(name, id, attnum)| (name.to_owned(), id, attnum)));
    assert!(
        catalog
            .alter_table(meters.oid, &[TableChange::DropTag { name: "group".into() }])
            .is_err()
    );
    // A snapshot stays what it was.
    assert_eq!(before.chunks[0].tags[1].as_primitive::<Int32Type>().value(0), 7);
    for catalog in [catalog, Catalog::open(&{ directory.path().join("none") }).unwrap()] {
        let Some(children) = catalog.children(meters.oid) else {
            continue;
        };
        assert_eq!(children.chunks[0].tags[0].as_primitive::<Int64Type>().value(0), 7);
        assert_eq!((children.table, children.chunks[0].tags.len()), (after.clone(), 1));
    }
    // And the same is read back, from a record written under the old definition.
    let catalog = Catalog::open(directory.path()).unwrap();
    let children = catalog.children(meters.oid).unwrap();
    assert_eq!(children.chunks[0].tags[0].as_primitive::<Int64Type>().value(0), 7);
    assert_eq!((&children.table, &catalog.tables(database.oid)[0]), (&after, &after));
    assert_eq!(catalog.version(), version + 1);
    let plain = catalog.create_table(database.oid, plain_table("plain")).unwrap();
    let add_tag = TableChange::AddTag {
        name: "floor".into(),
        sql_type: SqlType::Text,
    };
    assert!(matches!(
        catalog.alter_table(plain.oid, &[add_tag]),
        Err(CatalogError::WrongKind(_))
    ));
    assert!(
        catalog
            .alter_table(plain.oid, &[drop("current"), drop("voltage")])
            .is_err()
    );
}

#[test]
fn definitions_that_make_no_sense_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, _) = open(directory.path());
    let with = |declared: Vec<(Column, bool)>| NewTable {
        declared,
        ..super_table("t")
    };
    let time = || (column("ts", SqlType::Timestamptz), false);
    let metric = || (column("m", SqlType::Real), false);
    let tag = |sql_type| (column("t", sql_type), true);
    for refused in [
        with(vec![]),
        with(vec![time(), metric()]),
        with(vec![time(), tag(SqlType::Text)]),
        with(vec![metric(), time(), tag(SqlType::Text)]),
        with(vec![time(), metric(), metric(), tag(SqlType::Text)]),
        with(vec![time(), metric(), tag(SqlType::Varchar(0))]),
        with(vec![
            time(),
            metric(),
            tag(SqlType::Numeric {
                precision: 39,
                scale: 0,
            }),
        ]),
        with(vec![time(), metric(), tag(SqlType::Numeric { precision: 5, scale: 6 })]),
        NewTable {
            kind: TableKind::Plain,
            ..with(vec![time(), metric(), tag(SqlType::Text)])
        },
    ] {
        assert!(
            catalog.create_table(database.oid, refused.clone()).is_err(),
            "{refused:?}"
        );
    }
    let tag_first = catalog
        .create_table(database.oid, with(vec![tag(SqlType::Text), time(), metric()]))
        .unwrap();
    assert_eq!(
        (
            tag_first.time_column().id,
            tag_first.time_column().attnum,
            tag_first.tags[0].attnum
        ),
        (0, 2, 1)
    );
    assert!(tag_first.time_column().not_null);
}

#[test]
fn database_options_change_where_they_may() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, _) = open(directory.path());
    let options = DatabaseOptions {
        compression: 2,
        keep_ms: 86_400_000 * 20,
        ..database.options.clone()
    };
    assert_eq!(
        catalog.alter_database("power", options.clone()).unwrap().options,
        options
    );
    let fixed = DatabaseOptions {
        update: UpdateMode::KeepFirst,
        ..options.clone()
    };
    let error = catalog.alter_database("power", fixed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "update is fixed when a database is made and cannot be changed"
    );
    catalog.rename_database("power", "energy").unwrap();
    assert!(catalog.database("power").is_none());
    drop(catalog);
    let catalog = Catalog::open(directory.path()).unwrap();
    assert_eq!(catalog.database("energy").unwrap().options, options);
    assert!(matches!(
        catalog.drop_database("power"),
        Err(CatalogError::NotFound { .. })
    ));
    assert_eq!(catalog.drop_database("energy").unwrap().vnodes, database.vnodes);
    assert!(catalog.databases().is_empty() && catalog.tables(database.oid).is_empty());
}

#[test]
fn placement_is_where_the_table_is() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    for n in 0..50 {
        let name = format!("d{n}");
        let before = catalog.placement(database.oid, &name);
        let child = catalog
            .create_children(meters.oid, &named(&[&name]), &tags(&[(None, None)]))
            .unwrap()[0];
        catalog
            .rename_child(meters.oid, child.slot, &format!("renamed{n}"))
            .unwrap();
        assert_eq!(before, Some(child.series.vnode));
        assert_eq!(catalog.placement(database.oid, &format!("renamed{n}")), before);
    }
    assert_eq!(catalog.placement(database.oid + 1000, "d"), None);
}

#[test]
fn dropping_a_small_supertable_leaves_the_names_of_a_large_one() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    let pumps = catalog.create_table(database.oid, super_table("pumps")).unwrap();
    let names: Vec<String> = (0..1_000).map(|n| format!("d{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    catalog
        .create_children(meters.oid, &named(&names), &tags(&vec![(None, None); 1_000]))
        .unwrap();
    catalog
        .create_children(pumps.oid, &named(&["p1"]), &tags(&[(None, None)]))
        .unwrap();
    catalog.drop_table(pumps.oid).unwrap();
    assert_eq!(find(&catalog, database.oid, "p1"), None);
    assert!(catalog.relation(database.oid, "pumps").is_none());
    assert!(names.iter().all(|name| find(&catalog, database.oid, name).is_some()));
    catalog.drop_table(meters.oid).unwrap();
    assert!(names.iter().all(|name| find(&catalog, database.oid, name).is_none()));
}
