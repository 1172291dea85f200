//! A million devices: how fast they are made, loaded and found, and what they cost in memory.
//!
//! `cargo bench -p taospg-catalog` prints the figures of DESIGN's goals: 300,000 made per second, loaded within a second, 150 bytes each besides
//! their names and tags.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int32Array, StringViewArray};
use taospg_catalog::{Catalog, Column, DatabaseOptions, NewChild, NewTable, SqlType, TableKind};

const DEVICES: usize = 1_000_000;
/// Devices named by one statement of a loader.
const CALL_DEVICES: usize = 50_000;
const PAGE_BYTES: usize = 4096;

fn main() {
    // Memory is measured in a process that has done nothing but load.
    let arguments: Vec<String> = std::env::args().collect();
    match arguments
        .iter()
        .position(|argument| argument == "load")
        .and_then(|at| arguments.get(at + 1))
    {
        Some(directory) => load(Path::new(directory)),
        None => make_load_change(),
    }
}

fn load(directory: &Path) {
    let before = resident_bytes();
    let started = Instant::now();
    let catalog = Catalog::open(directory).expect("the catalog again");
    println!("loaded                   {:>10.3} s", started.elapsed().as_secs_f64());
    let bytes = resident_bytes().saturating_sub(before) as f64 / DEVICES as f64;
    println!(
        "memory                   {bytes:>10.1} bytes a device, {NAME_BYTES} of them its name, {TAG_BYTES} its tags"
    );
    drop(catalog);
}

fn make_load_change() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let catalog = Catalog::open(directory.path()).expect("a new catalog");
    println!(
        "empty catalog            {:>10.1} MB resident",
        megabytes(resident_bytes())
    );
    let database = catalog
        .create_database("power", DatabaseOptions::default())
        .expect("database");
    let meters = catalog.create_table(database.oid, meters()).expect("supertable");
    let names: Vec<String> = (0..DEVICES).map(|n| format!("device_{n:07}")).collect();
    let (new, tags) = (children(&names), tags(DEVICES));

    let started = Instant::now();
    for first in (0..DEVICES).step_by(CALL_DEVICES) {
        let slice: Vec<ArrayRef> = tags.iter().map(|tag| tag.slice(first, CALL_DEVICES)).collect();
        catalog
            .create_children(meters.oid, &new[first..first + CALL_DEVICES], &slice)
            .expect("children");
    }
    per_second("created in bulk", DEVICES, started);

    let started = Instant::now();
    for n in 0..CREATED_SINGLY {
        let slice: Vec<ArrayRef> = tags.iter().map(|tag| tag.slice(n, 1)).collect();
        let name = Some(format!("single_{n}"));
        catalog
            .create_children(meters.oid, &[NewChild { name }], &slice)
            .expect("child");
    }
    per_second("created one by one", CREATED_SINGLY, started);
    drop((catalog, new, tags));

    let this = std::env::current_exe().expect("this program");
    let status = Command::new(this)
        .arg("load")
        .arg(directory.path())
        .status()
        .expect("this program again");
    assert!(status.success());
    let catalog = Catalog::open(directory.path()).expect("the catalog again");

    let reader = catalog.names(database.oid).expect("database");
    let started = Instant::now();
    let found = names.iter().filter(|name| reader.find(name).is_some()).count();
    assert_eq!(found, DEVICES);
    per_second("found by name", DEVICES, started);
    drop(reader);

    let started = Instant::now();
    let children = catalog.children(meters.oid).expect("supertable");
    println!(
        "snapshot                 {:>10.1} us",
        started.elapsed().as_secs_f64() * 1e6
    );
    assert_eq!(
        children
            .chunks
            .iter()
            .map(|chunk| chunk.alive.count_set_bits())
            .sum::<usize>(),
        DEVICES + CREATED_SINGLY
    );

    let slots: Vec<u32> = (0..DEVICES as u32).collect();
    let started = Instant::now();
    let same: ArrayRef = Arc::new(Int32Array::from(vec![7; DEVICES]));
    catalog.set_tags(meters.oid, &slots, &[(1, same)]).expect("tags");
    per_second("tag set", DEVICES, started);
    let started = Instant::now();
    catalog.drop_table(meters.oid).expect("supertable");
    println!("dropped                  {:>10.3} s", started.elapsed().as_secs_f64());
}

/// Enough to fill a chunk one by one.
const CREATED_SINGLY: usize = 10_000;
/// `device_0123456`
const NAME_BYTES: usize = 14;
/// An integer and a view of a text, as Arrow holds them.
const TAG_BYTES: usize = 20;

fn meters() -> NewTable {
    let column = |name: &str, sql_type| Column {
        id: 0,
        name: name.into(),
        sql_type,
        not_null: false,
        attnum: 0,
        default: None,
        comment: None,
    };
    NewTable {
        name: "meters".into(),
        kind: TableKind::Super,
        declared: vec![
            (column("ts", SqlType::Timestamptz), false),
            (column("current", SqlType::Real), false),
            (column("location", SqlType::Varchar(64)), true),
            (column("group_id", SqlType::Integer), true),
        ],
        time: None,
        comment: None,
        indexes: Vec::new(),
        keep: None,
    }
}

fn children(names: &[String]) -> Vec<NewChild> {
    names
        .iter()
        .map(|name| NewChild {
            name: Some(name.clone()),
        })
        .collect()
}

fn tags(rows: usize) -> Vec<ArrayRef> {
    let location = StringViewArray::from_iter_values((0..rows).map(|n| format!("California.SanFrancisco.{}", n % 100)));
    let group = Int32Array::from_iter_values((0..rows).map(|n| n as i32));
    vec![Arc::new(location), Arc::new(group)]
}

fn per_second(what: &str, count: usize, started: Instant) {
    println!("{what:<24} {:>10.0} /s", count as f64 / started.elapsed().as_secs_f64());
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
