//! Random changes against a plain map, with restarts in between.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use proptest::prelude::*;

use super::*;
use crate::TableChange;

/// Numbers are taken modulo what exists.
#[derive(Clone, Debug)]
enum Operation {
    /// Children named after consecutive numbers.
    Create {
        first: u16,
        count: u16,
        group: i32,
    },
    CreateUnnamed {
        group: i32,
        count: u8,
    },
    SetTag {
        at: u16,
        count: u16,
        group: Option<i32>,
    },
    Drop {
        at: u16,
        count: u16,
    },
    Rename {
        at: u16,
        to: u16,
    },
    AddTag,
    DropTag,
    RenameTable,
    Reopen,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let one = prop_oneof![
        // Large ones fill chunks, small ones gather records.
        2 => (any::<u16>(), 1..9_000u16, any::<i32>()).prop_map(|(first, count, group)| Operation::Create { first, count, group }),
        6 => (0..100u16, 1..5u16, any::<i32>()).prop_map(|(first, count, group)| Operation::Create { first, count, group }),
        3 => (0..5i32, 1..5u8).prop_map(|(group, count)| Operation::CreateUnnamed { group, count }),
        4 => (any::<u16>(), 1..4u16, any::<Option<i32>>()).prop_map(|(at, count, group)| Operation::SetTag { at, count, group }),
        1 => (any::<u16>(), 1..600u16, any::<Option<i32>>()).prop_map(|(at, count, group)| Operation::SetTag { at, count, group }),
        3 => (any::<u16>(), 1..4u16).prop_map(|(at, count)| Operation::Drop { at, count }),
        1 => (any::<u16>(), 1..600u16).prop_map(|(at, count)| Operation::Drop { at, count }),
        3 => (any::<u16>(), any::<u16>()).prop_map(|(at, to)| Operation::Rename { at, to }),
        1 => Just(Operation::AddTag),
        1 => Just(Operation::DropTag),
        1 => Just(Operation::RenameTable),
        3 => Just(Operation::Reopen),
    ];
    proptest::collection::vec(one, 1..40)
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    child: ChildRef,
    location: Option<String>,
    group: Option<i32>,
}

type Model = BTreeMap<String, Known>;

/// The tags that every version of the table begins with.
fn row(n: u32, group: i32) -> (Option<String>, Option<i32>) {
    (
        (!n.is_multiple_of(5)).then(|| format!("place number {}", n % 7)),
        Some(group),
    )
}

fn tag_arrays(table: &Table, rows: &[(Option<String>, Option<i32>)]) -> Vec<ArrayRef> {
    let rows: Vec<(Option<&str>, Option<i32>)> = rows.iter().map(|(text, group)| (text.as_deref(), *group)).collect();
    let mut arrays = tags(&rows);
    for _ in 2..table.tags.len() {
        arrays.push(Arc::new(StringViewArray::new_null(rows.len())));
    }
    arrays
}

fn chosen(model: &Model, at: u16, count: u16) -> Vec<(String, u32)> {
    if model.is_empty() {
        return Vec::new();
    }
    let at = usize::from(at) % model.len();
    model
        .iter()
        .skip(at)
        .take(count.into())
        .map(|(name, known)| (name.clone(), known.child.slot))
        .collect()
}

fn check(catalog: &Catalog, database: u32, table: u32, model: &Model) {
    let children = catalog.children(table).unwrap();
    let alive: usize = children.chunks.iter().map(|chunk| chunk.alive.count_set_bits()).sum();
    assert_eq!(
        (alive, catalog.children_count(table)),
        (model.len(), model.len() as u64)
    );
    let reader = catalog.names(database).unwrap();
    for (name, known) in model {
        assert_eq!(reader.find(name), Some(known.child), "{name}");
        let chunk = &children.chunks[known.child.slot as usize / 8192];
        let row = known.child.slot as usize % 8192;
        assert_eq!((chunk.name(row), chunk.oids[row]), (name.as_str(), known.child.oid));
        assert_eq!((chunk.alive.value(row), chunk.series[row]), (true, known.child.series));
        let (texts, groups) = (
            chunk.tags[0].as_string_view(),
            chunk.tags[1].as_primitive::<Int32Type>(),
        );
        let location = texts.is_valid(row).then(|| texts.value(row).to_owned());
        let group = groups.is_valid(row).then(|| groups.value(row));
        assert_eq!((&location, group), (&known.location, known.group), "{name}");
    }
}

fn run(operations: Vec<Operation>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut catalog, database, table) = open(directory.path());
    let mut model = Model::new();
    let mut renames = 0;
    for operation in operations {
        let definition = catalog.table_by_oid(table.oid).unwrap();
        match operation {
            Operation::Create { first, count, group } => {
                let numbers = u32::from(first)..u32::from(first) + u32::from(count);
                let names: Vec<String> = numbers.clone().map(|n| format!("d{n}")).collect();
                let rows: Vec<_> = numbers.map(|n| row(n, group)).collect();
                let new: Vec<_> = names
                    .iter()
                    .map(|name| NewChild {
                        name: Some(name.clone()),
                    })
                    .collect();
                let made = catalog
                    .create_children(table.oid, &new, &tag_arrays(&definition, &rows))
                    .unwrap();
                for ((name, (location, group)), child) in names.into_iter().zip(rows).zip(made) {
                    let known = model.entry(name).or_insert(Known { child, location, group });
                    assert_eq!(known.child, child);
                }
            }
            Operation::CreateUnnamed { group, count } => {
                let rows: Vec<_> = (0..u32::from(count)).map(|n| row(n, group)).collect();
                let arrays = tag_arrays(&definition, &rows);
                let new = vec![NewChild { name: None }; rows.len()];
                let made = catalog.create_children(table.oid, &new, &arrays).unwrap();
                let children = catalog.children(table.oid).unwrap();
                for (n, ((location, group), child)) in rows.into_iter().zip(made).enumerate() {
                    let name = child_of(&catalog, &children, child);
                    let known = model.entry(name).or_insert(Known {
                        child,
                        location: location.clone(),
                        group,
                    });
                    assert_eq!((known.child, &known.location, known.group), (child, &location, group));
                    let found = catalog
                        .names(database.oid)
                        .unwrap()
                        .find_derived(&definition, &arrays, n);
                    assert_eq!(found, Some(child));
                }
            }
            Operation::SetTag { at, count, group } => {
                let (names, slots): (Vec<String>, Vec<u32>) = chosen(&model, at, count).into_iter().unzip();
                let values: ArrayRef = Arc::new(Int32Array::from(vec![group; slots.len()]));
                catalog.set_tags(table.oid, &slots, &[(1, values)]).unwrap();
                for name in names {
                    model.get_mut(&name).unwrap().group = group;
                }
            }
            Operation::Drop { at, count } => {
                let (names, slots): (Vec<String>, Vec<u32>) = chosen(&model, at, count).into_iter().unzip();
                catalog.drop_children(table.oid, &slots).unwrap();
                for name in names {
                    model.remove(&name);
                    assert_eq!(catalog.names(database.oid).unwrap().find(&name), None);
                }
            }
            Operation::Rename { at, to } => {
                let to = format!("d{to}");
                for (name, slot) in chosen(&model, at, 1) {
                    let renamed = catalog.rename_child(table.oid, slot, &to);
                    assert_eq!(renamed.is_ok(), name == to || !model.contains_key(&to));
                    if renamed.is_ok() {
                        let known = model.remove(&name).unwrap();
                        model.insert(to.clone(), known);
                    }
                }
            }
            Operation::AddTag => {
                let name = format!("tag{}", definition.next_column_id);
                catalog
                    .alter_table(
                        table.oid,
                        &[TableChange::AddTag {
                            name,
                            sql_type: SqlType::Text,
                        }],
                    )
                    .unwrap();
            }
            Operation::DropTag => {
                if let Some(tag) = definition.tags.get(2) {
                    catalog
                        .alter_table(table.oid, &[TableChange::DropTag { name: tag.name.clone() }])
                        .unwrap();
                }
            }
            Operation::RenameTable => {
                renames += 1;
                let change = TableChange::RenameTable {
                    to: format!("meters{renames}"),
                };
                catalog.alter_table(table.oid, &[change]).unwrap();
            }
            Operation::Reopen => {
                let version = catalog.version();
                drop(catalog);
                catalog = Catalog::open(directory.path()).unwrap();
                assert_eq!(catalog.version(), version);
                assert_eq!(catalog.table_by_oid(table.oid), Some(definition));
                check(&catalog, database.oid, table.oid, &model);
            }
        }
    }
    check(&catalog, database.oid, table.oid, &model);
    drop(catalog);
    check(
        &Catalog::open(directory.path()).unwrap(),
        database.oid,
        table.oid,
        &model,
    );
}

proptest! {
    // Each case opens stores and syncs a few dozen times.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn children_are_what_a_map_says(operations in operations()) {
        run(operations);
    }
}

#[test]
fn children_made_and_changed_one_by_one_are_gathered() {
    let create = |n: u16| Operation::Create {
        first: n,
        count: 1,
        group: n.into(),
    };
    let mut operations: Vec<Operation> = (0..300).map(create).collect();
    operations.extend((0..300).map(|at| Operation::SetTag {
        at,
        count: 1,
        group: Some(at.into()),
    }));
    run(operations);
}
