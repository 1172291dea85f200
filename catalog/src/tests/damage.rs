//! Damaged records are told from good ones: an error that names the record, never a panic.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::CatalogError;
use crate::store::Store;

fn filled(directory: &Path) {
    let (catalog, database, meters) = open(directory);
    catalog.create_table(database.oid, plain_table("plain")).unwrap();
    let rows = tags(&[
        (Some("a place with a long name"), Some(1)),
        (None, None),
        (Some("b"), Some(3)),
    ]);
    catalog
        .create_children(meters.oid, &named(&["d1", "d2", "d3"]), &rows)
        .unwrap();
    catalog
        .create_children(meters.oid, &named(&["d4"]), &tags(&[(Some("a"), None)]))
        .unwrap();
    catalog
        .set_tags(meters.oid, &[1], &[(1, tags(&[(None, Some(9))])[1].clone())])
        .unwrap();
    catalog.drop_children(meters.oid, &[2]).unwrap();
}

/// Opens a store with these records and says what went wrong.
fn open_with(records: &[(Vec<u8>, Vec<u8>)]) -> Option<CatalogError> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for (key, value) in records {
        store.put_raw(key, value);
    }
    crate::load::load(store).err()
}

#[test]
fn a_missing_or_cut_record_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let records = Store::open(directory.path()).unwrap().all();
    assert!(open_with(&records).is_none());
    for damaged in 0..records.len() {
        let family = records[damaged].0[0] as char;
        let mut without = records.clone();
        without.remove(damaged);
        // What was added last, what changed a child, and a table without children leave no trace in other records.
        let is_plain_table = family == 'T' && records[damaged].1.windows(7).any(|text| text == b"\"Plain\"");
        if !"OC".contains(family) && !is_plain_table {
            assert!(
                matches!(open_with(&without), Some(CatalogError::Corrupt { .. })),
                "without {family}"
            );
        }
        let mut cut = records.clone();
        cut[damaged].1.pop();
        assert!(
            matches!(open_with(&cut), Some(CatalogError::Corrupt { .. })),
            "{family} cut"
        );
        let mut moved = records.clone();
        moved[damaged].0.push(0);
        assert!(
            matches!(open_with(&moved), Some(CatalogError::Corrupt { .. })),
            "{family} moved"
        );
    }
}

#[test]
fn no_changed_byte_panics() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let records = Store::open(directory.path()).unwrap().all();
    let catalog = Catalog::open(directory.path()).unwrap();
    let meters = catalog.tables(catalog.databases()[0].oid)[0].clone();
    let mut random = StdRng::seed_from_u64(7);
    for (key, value) in &records {
        if !b"CO".contains(&key[0]) {
            continue;
        }
        for _ in 0..5_000 {
            let mut damaged = value.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..damaged.len());
                damaged[at] = random.random();
            }
            let end = if random.random_bool(0.2) {
                random.random_range(0..damaged.len())
            } else {
                damaged.len()
            };
            // Any answer, but an answer.
            let _ = crate::record::decode(&meters, crate::Precision::Microsecond, &damaged[..end]);
        }
    }
    for _ in 0..40 {
        let mut damaged = records.clone();
        let record = random.random_range(0..damaged.len());
        let at = random.random_range(0..damaged[record].1.len());
        damaged[record].1[at] ^= 1 << random.random_range(0..8);
        let _ = open_with(&damaged);
    }
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Catalog::open(directory.path()).unwrap();
    assert!(matches!(Catalog::open(directory.path()), Err(CatalogError::Store(_))));
}
