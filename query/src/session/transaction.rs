//! A session's transaction: where it stands, the writes it holds, and the marks of its savepoints.
//!
//! ```text
//!             begin                    fail
//! implicit ----------> block ------------------> failed block
//!     ^                  | commit, rollback          | commit, rollback
//!     +------------------+---------------------------+
//! ```
//!
//! Outside of a block the transaction is implicit: it spans the statements up to the next Sync, or of one simple query.
//!
//! Promises: held changes come out in the order they went in; ROLLBACK TO forgets exactly what came after its savepoint.
//! Leaves to others: making the changes durable (`session/mod.rs`), visibility of its own writes (`VnodeView::with_pending`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::UInt32Array;
use taospg_catalog::SeriesRef;
use taospg_storage::{Change, FamilyId, Rows, SeriesSet, TimeRange, VnodeId};
use tokio::sync::OwnedMutexGuard;

use crate::settings::Settings;
use crate::temporary::Picture;
use crate::{ErrorKind, QueryError};

/// Bytes that one transaction may hold. They stay in memory until COMMIT, once as held and once more in the memtable while the commit is being
/// applied; 1 GiB is about ten million ten-metric rows, far past any batch that a driver sends, and leaves a small server its life.
pub const HELD_BYTES_MAX: usize = 1 << 30;

/// Savepoints open at one time. Each costs a copy of the marks; drivers nest a handful.
const SAVEPOINTS_MAX: usize = 10_000;

/// What a `Delete` or a drop weighs besides its list of series.
const CHANGE_BYTES: usize = 64;

/// The status byte of ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// 'I'
    Idle,
    /// 'T'
    InBlock,
    /// 'E'
    Failed,
}

/// A transaction from its first statement to its end.
pub(super) struct Transaction {
    pub status: TransactionStatus,
    /// What `now()` is in it, once a statement has run.
    pub started_ns: Option<i64>,
    /// The engine's count of dropped tables when it began: when it is the same at the end, no held row can be for a table that is gone.
    pub drops_seen: Option<u64>,
    held: BTreeMap<VnodeId, Vec<Change>>,
    held_bytes: usize,
    savepoints: Vec<Savepoint>,
    /// Keyed tables that it writes to; nobody else does before it ends.
    pub keyed_locks: Vec<(u32, OwnedMutexGuard<()>)>,
    /// Settings as they were before the block, for ROLLBACK.
    pub settings_before: Option<Settings>,
    /// The temporary tables as they were before it changed them.
    pub temporary_before: Option<Arc<Picture>>,
}

struct Savepoint {
    name: String,
    /// How many changes each vnode had.
    lengths: BTreeMap<VnodeId, usize>,
    held_bytes: usize,
    settings: SavedSettings,
}

/// What ROLLBACK TO puts back in the session: the effective settings, those that COMMIT keeps (without SET LOCAL), how much was noted for
/// other sessions, and the temporary tables.
#[derive(Clone)]
pub(super) struct SavedSettings {
    pub effective: Settings,
    pub kept: Settings,
    pub notes: usize,
    pub temporary: Arc<Picture>,
}

impl Transaction {
    pub fn implicit() -> Transaction {
        Transaction {
            status: TransactionStatus::Idle,
            started_ns: None,
            drops_seen: None,
            held: BTreeMap::new(),
            held_bytes: 0,
            savepoints: Vec::new(),
            keyed_locks: Vec::new(),
            settings_before: None,
            temporary_before: None,
        }
    }

    pub fn in_block(&self) -> bool {
        self.status != TransactionStatus::Idle
    }

    pub fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    pub fn held(&self, vnode: VnodeId) -> &[Change] {
        self.held.get(&vnode).map_or(&[], Vec::as_slice)
    }

    /// Takes all of a statement's changes, or none of them when they are too many.
    pub fn hold(&mut self, changes: BTreeMap<VnodeId, Vec<Change>>) -> Result<(), QueryError> {
        let added: usize = changes.values().flatten().map(change_bytes).sum();
        let held_bytes = self.held_bytes.saturating_add(added);
        if held_bytes > HELD_BYTES_MAX {
            let message = format!("transaction holds more than {} MB of changes", HELD_BYTES_MAX >> 20);
            return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message).with_hint("commit more often"));
        }
        self.held_bytes = held_bytes;
        for (vnode, mut new) in changes {
            if !new.is_empty() {
                self.held.entry(vnode).or_default().append(&mut new);
            }
        }
        Ok(())
    }

    /// All held changes, for the commit; nothing is held afterwards.
    pub fn take_held(&mut self) -> BTreeMap<VnodeId, Vec<Change>> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Forgets held changes to a family, or to one series of it, that the session has dropped itself.
    pub fn forget(&mut self, family: FamilyId, series: Option<SeriesRef>) {
        for (vnode, changes) in &mut self.held {
            // Savepoints count changes, so places stay: what is forgotten becomes a change that touches nothing.
            for change in changes.iter_mut().filter(|change| family_of(change) == family) {
                match (&mut *change, series) {
                    (_, None) => *change = nothing(family),
                    (Change::Rows(rows), Some(series)) if series.vnode == vnode.0 => {
                        *rows = without(rows, series.series)
                    }
                    _ => {}
                }
            }
        }
    }

    pub fn savepoint(&mut self, name: String, settings: SavedSettings) -> Result<(), QueryError> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            let message = format!("transaction has more than {SAVEPOINTS_MAX} savepoints");
            return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message));
        }
        self.savepoints.push(Savepoint {
            name,
            lengths: self
                .held
                .iter()
                .map(|(vnode, changes)| (*vnode, changes.len()))
                .collect(),
            held_bytes: self.held_bytes,
            settings,
        });
        Ok(())
    }

    /// Back to the newest savepoint of this name, which stays. Returns the settings of that time.
    pub fn rollback_to(&mut self, name: &str) -> Result<SavedSettings, QueryError> {
        let index = self.savepoint_index(name)?;
        self.savepoints.truncate(index + 1);
        let savepoint = &self.savepoints[index];
        self.held.retain(|vnode, changes| match savepoint.lengths.get(vnode) {
            Some(length) => {
                changes.truncate(*length);
                true
            }
            None => false,
        });
        self.held_bytes = savepoint.held_bytes;
        self.status = TransactionStatus::InBlock;
        Ok(savepoint.settings.clone())
    }

    /// Forgets the newest savepoint of this name and those after it; what was done since stays.
    pub fn release(&mut self, name: &str) -> Result<(), QueryError> {
        let index = self.savepoint_index(name)?;
        self.savepoints.truncate(index);
        Ok(())
    }

    /// The temporary tables as they were at each savepoint.
    pub fn saved_pictures(&self) -> impl Iterator<Item = &Arc<Picture>> + Clone {
        self.savepoints.iter().map(|savepoint| &savepoint.settings.temporary)
    }

    /// How many there are.
    pub fn savepoints(&self) -> usize {
        self.savepoints.len()
    }

    fn savepoint_index(&self, name: &str) -> Result<usize, QueryError> {
        let found = self.savepoints.iter().rposition(|savepoint| savepoint.name == name);
        found.ok_or_else(|| {
            QueryError::new(
                ErrorKind::InvalidSavepoint,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }
}

/// A change that touches no row.
fn nothing(family: FamilyId) -> Change {
    Change::Delete {
        family,
        series: SeriesSet::List([].into()),
        time: TimeRange::ALL,
    }
}

/// Whether it is what is left of a forgotten change.
pub(super) fn is_nothing(change: &Change) -> bool {
    matches!(change, Change::Delete { series: SeriesSet::List(list), .. } if list.is_empty())
}

/// The rows of all other series.
fn without(rows: &Rows, series: u32) -> Rows {
    let kept: Vec<u32> = (0u32..)
        .zip(rows.series.iter())
        .filter(|(_, of)| **of != series)
        .map(|(row, _)| row)
        .collect();
    let pick = |row: &u32| *row as usize;
    let indices = UInt32Array::from(kept.clone());
    let columns = rows.columns.iter().map(|(id, array)| {
        let taken = arrow::compute::take(array, &indices, None);
        (*id, taken.expect("row numbers come from these rows"))
    });
    Rows {
        family: rows.family,
        series: kept.iter().map(|row| rows.series[pick(row)]).collect(),
        times: kept.iter().map(|row| rows.times[pick(row)]).collect(),
        columns: columns.collect(),
        conflict: rows.conflict,
    }
}

/// Which family a change is about.
pub(super) fn family_of(change: &Change) -> FamilyId {
    match change {
        Change::Rows(rows) => rows.family,
        Change::Delete { family, .. } | Change::DropFamily(family) => *family,
    }
}

fn change_bytes(change: &Change) -> usize {
    match change {
        Change::Rows(rows) => rows.memory_bytes(),
        Change::Delete {
            series: SeriesSet::List(list),
            ..
        } => CHANGE_BYTES + size_of_val::<[_]>(list),
        Change::Delete { .. } | Change::DropFamily(_) => CHANGE_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(vnode: u32, family: u32) -> BTreeMap<VnodeId, Vec<Change>> {
        BTreeMap::from([(VnodeId(vnode), vec![Change::DropFamily(FamilyId(family))])])
    }

    fn families(transaction: &Transaction, vnode: u32) -> Vec<u32> {
        transaction
            .held(VnodeId(vnode))
            .iter()
            .map(|change| family_of(change).0)
            .collect()
    }

    fn saved() -> SavedSettings {
        SavedSettings {
            effective: Settings::default(),
            kept: Settings::default(),
            notes: 0,
            temporary: Arc::default(),
        }
    }

    #[test]
    fn rolling_back_to_a_savepoint_forgets_what_came_after_it() {
        let mut transaction = Transaction::implicit();
        transaction.status = TransactionStatus::InBlock;
        transaction.hold(changes(1, 10)).unwrap();
        transaction.savepoint("a".into(), saved()).unwrap();
        transaction.hold(changes(1, 11)).unwrap();
        transaction.hold(changes(2, 12)).unwrap();
        transaction.status = TransactionStatus::Failed;
        transaction.rollback_to("a").unwrap();
        assert_eq!(transaction.status, TransactionStatus::InBlock);
        assert_eq!(
            (families(&transaction, 1), families(&transaction, 2)),
            (vec![10], vec![])
        );
        // The savepoint is still there.
        transaction.hold(changes(1, 13)).unwrap();
        transaction.rollback_to("a").unwrap();
        assert_eq!(families(&transaction, 1), [10]);
    }

    #[test]
    fn a_savepoint_hides_an_older_one_of_its_name() {
        let mut transaction = Transaction::implicit();
        transaction.savepoint("a".into(), saved()).unwrap();
        transaction.hold(changes(1, 10)).unwrap();
        transaction.savepoint("a".into(), saved()).unwrap();
        transaction.hold(changes(1, 11)).unwrap();
        transaction.release("a").unwrap();
        transaction.rollback_to("a").unwrap();
        assert!(!transaction.has_held());
        transaction.release("a").unwrap();
        assert_eq!(transaction.release("a").unwrap_err().kind, ErrorKind::InvalidSavepoint);
    }

    #[test]
    fn too_many_bytes_are_refused_whole() {
        let mut transaction = Transaction::implicit();
        transaction.hold(changes(1, 10)).unwrap();
        transaction.held_bytes = HELD_BYTES_MAX;
        assert_eq!(
            transaction.hold(changes(1, 11)).unwrap_err().kind,
            ErrorKind::ProgramLimitExceeded
        );
        assert_eq!(families(&transaction, 1), [10]);
    }
}
