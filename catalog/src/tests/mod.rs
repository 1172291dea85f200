//! Tests of the catalog as a whole: what its users rely on, across restarts.

mod behaviour;
mod children;
mod damage;
mod model;
mod roles;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringViewArray};

use crate::{
    Catalog, ChildRef, Children, Column, Database, DatabaseOptions, NewChild, NewTable, SqlType, Table, TableKind,
};

fn column(name: &str, sql_type: SqlType) -> Column {
    Column {
        id: 0,
        name: name.into(),
        sql_type,
        not_null: false,
        attnum: 0,
        default: None,
        comment: None,
    }
}

fn super_table(name: &str) -> NewTable {
    NewTable {
        name: name.into(),
        kind: TableKind::Super,
        declared: vec![
            (column("ts", SqlType::Timestamptz), false),
            (column("current", SqlType::Real), false),
            (column("voltage", SqlType::SmallInt), false),
            (column("location", SqlType::Varchar(24)), true),
            (column("group_id", SqlType::Integer), true),
        ],
        time: None,
        comment: None,
        indexes: Vec::new(),
        keep: None,
    }
}

fn plain_table(name: &str) -> NewTable {
    let declared = super_table(name)
        .declared
        .into_iter()
        .filter(|(_, is_tag)| !is_tag)
        .collect();
    NewTable {
        kind: TableKind::Plain,
        declared,
        ..super_table(name)
    }
}

fn tags(rows: &[(Option<&str>, Option<i32>)]) -> Vec<ArrayRef> {
    let locations: StringViewArray = rows.iter().map(|(location, _)| *location).collect();
    let groups: Int32Array = rows.iter().map(|(_, group)| *group).collect();
    vec![Arc::new(locations), Arc::new(groups)]
}

fn named(names: &[&str]) -> Vec<NewChild> {
    names
        .iter()
        .map(|name| NewChild {
            name: Some((*name).into()),
        })
        .collect()
}

fn open(directory: &Path) -> (Catalog, Arc<Database>, Arc<Table>) {
    let catalog = Catalog::open(directory).unwrap();
    let database = catalog.create_database("power", DatabaseOptions::default()).unwrap();
    let table = catalog.create_table(database.oid, super_table("meters")).unwrap();
    (catalog, database, table)
}

/// One child, from all the places that know it, which agree.
fn child_of(catalog: &Catalog, children: &Children, child: ChildRef) -> String {
    let chunk = &children.chunks[child.slot as usize / crate::CHUNK_ROWS as usize];
    let row = child.slot as usize % crate::CHUNK_ROWS as usize;
    assert!(chunk.alive.value(row));
    assert_eq!((chunk.oids[row], chunk.series[row]), (child.oid, child.series));
    assert_eq!(children.table.oid, child.supertable);
    assert!(catalog.children_count(child.supertable) > 0);
    chunk.name(row).to_owned()
}

fn find(catalog: &Catalog, database: u32, name: &str) -> Option<ChildRef> {
    catalog.names(database).unwrap().find(name)
}
