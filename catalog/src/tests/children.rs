//! Children, their tags and the names made of tags: one test for each promise.

use std::collections::HashSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;

use super::*;
use crate::{CatalogError, TableChange};

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
fn children_are_found_by_oid_after_drops_and_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _, meters) = open(directory.path());
    let count = 20_000;
    let names: Vec<String> = (0..count).map(|n| format!("d{n}")).collect();
    let new: Vec<NewChild> = names
        .iter()
        .map(|name| NewChild {
            name: Some(name.clone()),
        })
        .collect();
    let rows: Vec<(Option<&str>, Option<i32>)> = (0..count).map(|n| (Some("a"), Some(n))).collect();
    let made = catalog.create_children(meters.oid, &new, &tags(&rows)).unwrap();
    catalog.drop_children(meters.oid, &[made[7].slot]).unwrap();
    drop(catalog);
    let catalog = Catalog::open(directory.path()).unwrap();
    let children = catalog.children(meters.oid).unwrap();
    for (child, name) in made.iter().zip(&names) {
        let found = children.find_oid(child.oid).map(|(chunk, row)| chunk.name(row));
        assert_eq!(found, (child.slot != made[7].slot).then_some(name.as_str()));
    }
    assert!(children.find_oid(meters.oid).is_none() && children.find_oid(u32::MAX).is_none());
}
