//! One test for each promise.

use std::collections::HashSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};

use super::*;
use crate::{CatalogError, Relation, TableChange, UpdateMode};

fn find(catalog: &Catalog, database: u32, name: &str) -> Option<ChildRef> {
    catalog.names(database).unwrap().find(name)
}

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
fn making_a_child_again_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _, meters) = open(directory.path());
    let rows = tags(&[(Some("a"), Some(1)), (Some("b"), Some(2)), (Some("c"), Some(3))]);
    let first = catalog
        .create_children(meters.oid, &named(&["d1", "d2", "d1"]), &rows)
        .unwrap();
    assert_eq!(first[0], first[2]);
    let version = catalog.version();
    let again = catalog
        .create_children(meters.oid, &named(&["d2", "d1"]), &tags(&[(None, None), (None, None)]))
        .unwrap();
    assert_eq!(again, [first[1], first[0]]);
    let children = catalog.children(meters.oid).unwrap();
    assert_eq!(
        children.chunks[0].tags[0]
            .as_string_view()
            .iter()
            .flatten()
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!((catalog.children_count(meters.oid), catalog.version()), (2, version));
}

#[test]
fn tags_lead_to_their_table_whatever_happens_to_names() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    let unnamed = |count| vec![NewChild { name: None }; count];
    let rows = tags(&[
        (Some("a"), Some(1)),
        (None, Some(1)),
        (Some("a"), Some(1)),
        (Some(""), Some(1)),
        (None, None),
    ]);
    let made = catalog.create_children(meters.oid, &unnamed(5), &rows).unwrap();
    assert_eq!(made[0], made[2]);
    assert_eq!(made.iter().map(|child| child.oid).collect::<HashSet<_>>().len(), 4);
    let found = |table: &Table, row| catalog.names(database.oid).unwrap().find_derived(table, &rows, row);
    for (row, child) in made.iter().enumerate() {
        assert_eq!(found(&meters, row), Some(*child));
    }
    let name = catalog.derived_name(&meters, &rows, 0);
    assert_eq!((name.len(), &name[..7]), ("meters_".len() + 16, "meters_"));
    assert_eq!(find(&catalog, database.oid, &name), Some(made[0]));

    // The child of that name gets other tags: the row needs a new child, next to the name.
    let other = tags(&[(Some("b"), Some(9))]);
    catalog
        .set_tags(meters.oid, &[made[0].slot], &[(0, other[0].clone())])
        .unwrap();
    assert_eq!(found(&meters, 0), None);
    let beside = catalog.create_children(meters.oid, &unnamed(5), &rows).unwrap();
    assert_ne!(beside[0], made[0]);
    assert_eq!(beside[1..2], made[1..2]);
    assert_eq!(find(&catalog, database.oid, &format!("{name}_1")), Some(beside[0]));
    assert_eq!(found(&meters, 0), Some(beside[0]));
    catalog.drop_children(meters.oid, &[made[0].slot]).unwrap();
    assert_eq!(found(&meters, 0), Some(beside[0]));
    assert_eq!(
        catalog.create_children(meters.oid, &unnamed(5), &rows).unwrap()[0],
        beside[0]
    );

    // A renamed supertable, a new tag and a wider type change neither the name nor what is found.
    let changes = [
        TableChange::RenameTable {
            to: "instruments".into(),
        },
        TableChange::SetType {
            name: "group_id".into(),
            sql_type: SqlType::BigInt,
        },
        TableChange::AddTag {
            name: "floor".into(),
            sql_type: SqlType::Text,
        },
    ];
    let renamed = catalog.alter_table(meters.oid, &changes).unwrap();
    let mut wider = rows.clone();
    wider[1] = arrow::compute::cast(&rows[1], &arrow::datatypes::DataType::Int64).unwrap();
    wider.push(Arc::new(StringViewArray::new_null(5)));
    assert_eq!(catalog.derived_name(&renamed, &wider, 0), name);
    assert_eq!(
        catalog.names(database.oid).unwrap().find_derived(&renamed, &wider, 1),
        Some(made[1])
    );
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
fn tag_values_fit_their_types() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _, meters) = open(directory.path());
    let good = tags(&[(Some("äöüäöüäöüäöüäöüäöüäöüäöü"), None)]);
    let child = catalog.create_children(meters.oid, &named(&["d"]), &good).unwrap()[0];
    let long = tags(&[(Some("1234567890123456789012345"), None)]);
    let (swapped, short) = (vec![good[1].clone(), good[0].clone()], vec![good[0].clone()]);
    for bad in [long.clone(), swapped, short, tags(&[(None, None), (None, None)])] {
        let error = catalog.create_children(meters.oid, &named(&["e"]), &bad).unwrap_err();
        assert!(matches!(error, CatalogError::BadValue(_)), "{error}");
    }
    let error = catalog
        .set_tags(meters.oid, &[child.slot], &[(0, long[0].clone())])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "value too long for tag \"location\" of type character varying(24)"
    );
    assert!(
        catalog
            .set_tags(meters.oid, &[child.slot], &[(2, long[0].clone())])
            .is_err()
    );
    assert!(
        catalog
            .set_tags(meters.oid, &[child.slot + 1], &[(0, good[0].clone())])
            .is_err()
    );
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
fn readers_see_whole_children_while_they_are_made() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    let total = 20_000u32;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while seen < total {
                let children = catalog.children(meters.oid).unwrap();
                let rows: usize = children.chunks.iter().map(|chunk| chunk.rows()).sum();
                assert!(rows as u32 >= seen);
                seen = rows as u32;
                if seen > 0 {
                    let name = format!("d{}", seen - 1);
                    let found = find(&catalog, database.oid, &name).unwrap();
                    assert_eq!(child_of(&catalog, &children, found), name);
                    assert!(
                        children
                            .chunks
                            .iter()
                            .all(|chunk| chunk.tags.iter().all(|tag| tag.len() == chunk.rows()))
                    );
                }
            }
        });
        for first in (0..total).step_by(500) {
            let names: Vec<String> = (first..first + 500).map(|n| format!("d{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            catalog
                .create_children(meters.oid, &named(&names), &tags(&vec![(Some("here"), Some(1)); 500]))
                .unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_snapshot_of_every_type_of_tag_survives() {
    use arrow::array::{ArrayRef, new_null_array};
    let directory = tempfile::tempdir().unwrap();
    let types = [
        SqlType::Boolean,
        SqlType::SmallInt,
        SqlType::Integer,
        SqlType::BigInt,
        SqlType::Real,
        SqlType::Double,
        SqlType::Numeric {
            precision: 10,
            scale: 2,
        },
        SqlType::Text,
        SqlType::Char(5),
        SqlType::Bytea,
        SqlType::Timestamptz,
        SqlType::Timestamp,
        SqlType::Date,
        SqlType::Jsonb,
    ];
    for precision in [
        crate::Precision::Millisecond,
        crate::Precision::Microsecond,
        crate::Precision::Nanosecond,
    ] {
        let catalog = Catalog::open(directory.path()).unwrap();
        let name = format!("{precision:?}");
        let options = DatabaseOptions {
            precision,
            ..DatabaseOptions::default()
        };
        let database = catalog.create_database(&name, options).unwrap();
        let mut declared = plain_table("t").declared;
        declared.extend(
            types
                .iter()
                .enumerate()
                .map(|(n, sql_type)| (column(&format!("t{n}"), *sql_type), true)),
        );
        let table = catalog
            .create_table(
                database.oid,
                NewTable {
                    declared,
                    ..super_table("t")
                },
            )
            .unwrap();
        let strings = StringViewArray::from(vec!["1", "0"]);
        let value = |sql_type: &SqlType| -> ArrayRef {
            let data_type = sql_type.arrow_type(precision);
            let numbers = Int32Array::from(vec![1, 0]);
            let whole = match sql_type {
                SqlType::Bytea => arrow::compute::cast(&strings, &data_type).unwrap(),
                SqlType::Timestamptz | SqlType::Timestamp => {
                    let numbers = arrow::compute::cast(&numbers, &arrow::datatypes::DataType::Int64).unwrap();
                    arrow::compute::cast(&numbers, &data_type).unwrap()
                }
                _ => arrow::compute::cast(&numbers, &data_type).unwrap(),
            };
            arrow::compute::concat(&[&whole, &new_null_array(&data_type, 1)]).unwrap()
        };
        let values: Vec<ArrayRef> = types.iter().map(value).collect();
        let made = catalog
            .create_children(table.oid, &vec![NewChild { name: None }; 3], &values)
            .unwrap();
        drop(catalog);
        let catalog = Catalog::open(directory.path()).unwrap();
        let children = catalog.children(table.oid).unwrap();
        for (n, expected) in values.iter().enumerate() {
            assert_eq!(&children.chunks[0].tags[n], expected, "{:?}", types[n]);
        }
        for (row, child) in made.iter().enumerate() {
            assert_eq!(
                catalog.names(database.oid).unwrap().find_derived(&table, &values, row),
                Some(*child)
            );
        }
        catalog
            .set_tags(table.oid, &[0], &[(7, values[7].slice(1, 1))])
            .unwrap();
    }
}

#[test]
fn slots_of_dropped_children_are_taken_back_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, database, meters) = open(directory.path());
    let names: Vec<String> = (0..20_000).map(|n| format!("d{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let groups: Vec<_> = (0..20_000).map(|n| (None, Some(n))).collect();
    let made = catalog
        .create_children(meters.oid, &named(&names), &tags(&groups))
        .unwrap();
    let dropped: Vec<u32> = (0..20_000).filter(|slot| slot % 4 != 1).collect();
    catalog.drop_children(meters.oid, &dropped).unwrap();
    drop(catalog);
    // The second start reads what the first one wrote.
    for _ in 0..2 {
        let catalog = Catalog::open(directory.path()).unwrap();
        let children = catalog.children(meters.oid).unwrap();
        assert_eq!((children.chunks.len(), catalog.children_count(meters.oid)), (1, 5_000));
        for n in 0..20_000 {
            let found = find(&catalog, database.oid, names[n]);
            let kept = (n % 4 == 1).then(|| ChildRef {
                slot: n as u32 / 4,
                ..made[n]
            });
            assert_eq!(found, kept);
            let Some(child) = found else { continue };
            assert_eq!(child_of(&catalog, &children, child), names[n]);
            assert_eq!(
                children.chunks[0].tags[1]
                    .as_primitive::<Int32Type>()
                    .value(child.slot as usize),
                n as i32
            );
        }
    }
    let catalog = Catalog::open(directory.path()).unwrap();
    let child = catalog
        .create_children(meters.oid, &named(&["new"]), &tags(&[(None, None)]))
        .unwrap()[0];
    assert_eq!(child.slot, 5_000);
    assert!(
        made.iter()
            .all(|old| old.oid != child.oid && old.series != child.series)
    );
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
