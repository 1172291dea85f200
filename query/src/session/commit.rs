//! The ends of a transaction: COMMIT, ROLLBACK, and BEGIN and savepoints before them.

use std::collections::{BTreeMap, HashSet};

use taospg_catalog::TableKind;
use taospg_storage::{Change, Durability, FamilyId, VnodeId};

use super::transaction::{family_of, is_nothing};
use super::{SavedSettings, Session, Transaction, TransactionStatus};
use crate::statement::{TransactionCommand, TransactionModes};
use crate::{ErrorKind, QueryError};

impl Session {
    pub(super) async fn execute_transaction(&mut self, command: &TransactionCommand) -> Result<String, QueryError> {
        match command {
            TransactionCommand::Begin { modes, tag } => {
                if self.transaction.in_block() {
                    self.warn("25001", "there is already a transaction in progress");
                } else {
                    self.begin_block(modes)?;
                }
                Ok((*tag).to_string())
            }
            TransactionCommand::Commit { chain } => self.commit_block(*chain).await,
            TransactionCommand::Rollback { chain } => {
                let modes = self.modes();
                if !self.transaction.in_block() {
                    self.refuse_chain(*chain)?;
                    self.warn("25P01", "there is no transaction in progress");
                }
                self.roll_back();
                if *chain {
                    self.begin_block(&modes)?;
                }
                Ok("ROLLBACK".to_string())
            }
            TransactionCommand::Savepoint(name) => {
                self.refuse_outside_block("SAVEPOINT")?;
                self.hold_accumulated()?;
                let settings = SavedSettings {
                    effective: self.settings.clone(),
                    kept: self.kept_settings.clone(),
                    notes: self.notes.count(),
                    temporary: self.temporaries.picture(),
                };
                self.transaction.savepoint(name.clone(), settings)?;
                Ok("SAVEPOINT".to_string())
            }
            TransactionCommand::RollbackTo(name) => {
                self.refuse_outside_block("ROLLBACK TO SAVEPOINT")?;
                let saved = self.transaction.rollback_to(name)?;
                self.accumulator.clear();
                self.cursors.roll_back_to(self.transaction.savepoints());
                self.notes.truncate(saved.notes);
                self.temporaries.put(saved.temporary);
                self.settings = saved.effective;
                self.kept_settings = saved.kept;
                Ok("ROLLBACK".to_string())
            }
            TransactionCommand::Release(name) => {
                self.refuse_outside_block("RELEASE SAVEPOINT")?;
                self.transaction.release(name)?;
                Ok("RELEASE".to_string())
            }
        }
    }

    /// Statements of the same message before BEGIN become part of the block, as in PostgreSQL.
    fn begin_block(&mut self, modes: &TransactionModes) -> Result<(), QueryError> {
        self.transaction.status = TransactionStatus::InBlock;
        self.transaction
            .settings_before
            .get_or_insert_with(|| self.kept_settings.clone());
        self.apply_modes(modes)
    }

    /// Sets the modes for the rest of the transaction.
    pub(super) fn apply_modes(&mut self, modes: &TransactionModes) -> Result<(), QueryError> {
        let flag = |on: bool| if on { "on" } else { "off" };
        if let Some(isolation) = modes.isolation {
            self.settings.set("transaction_isolation", isolation)?;
        }
        if let Some(read_only) = modes.read_only {
            self.settings.set("transaction_read_only", flag(read_only))?;
        }
        if let Some(deferrable) = modes.deferrable {
            self.settings.set("transaction_deferrable", flag(deferrable))?;
        }
        Ok(())
    }

    /// The modes of the transaction, for AND CHAIN.
    fn modes(&self) -> TransactionModes {
        let isolation = ["serializable", "repeatable read", "read committed", "read uncommitted"]
            .into_iter()
            .find(|level| self.settings.find("transaction_isolation") == Some(level));
        TransactionModes {
            isolation,
            read_only: Some(self.settings.read_only),
            deferrable: Some(self.settings.find("transaction_deferrable") == Some("on")),
        }
    }

    async fn commit_block(&mut self, chain: bool) -> Result<String, QueryError> {
        let modes = self.modes();
        if !self.transaction.in_block() {
            self.refuse_chain(chain)?;
            self.warn("25P01", "there is no transaction in progress");
        }
        let failed = self.transaction.status == TransactionStatus::Failed;
        if failed {
            self.roll_back();
        } else {
            match self.commit_held().await {
                Ok(()) => {
                    self.transaction = Transaction::implicit();
                    self.cursors.commit();
                    self.temporaries.commit();
                    self.tell_others();
                    self.settings = self.kept_settings.clone();
                }
                Err(error) => {
                    self.roll_back();
                    return Err(error);
                }
            }
        }
        if chain {
            self.begin_block(&modes)?;
        }
        Ok(if failed { "ROLLBACK" } else { "COMMIT" }.to_string())
    }

    fn refuse_chain(&self, chain: bool) -> Result<(), QueryError> {
        match chain {
            true => self.refuse_outside_block("AND CHAIN"),
            false => Ok(()),
        }
    }

    pub(crate) fn refuse_outside_block(&self, what: &str) -> Result<(), QueryError> {
        if self.transaction.in_block() {
            return Ok(());
        }
        let message = format!("{what} can only be used in transaction blocks");
        Err(QueryError::new(ErrorKind::NoActiveTransaction, message))
    }

    /// Forgets what is held, and the settings made since the transaction began.
    pub(super) fn roll_back(&mut self) {
        self.accumulator.clear();
        self.cursors.roll_back();
        self.notes.truncate(0);
        let ended = std::mem::replace(&mut self.transaction, Transaction::implicit());
        if let Some(before) = ended.temporary_before {
            self.temporaries.put(before);
        }
        if let Some(before) = ended.settings_before {
            self.kept_settings = before;
        }
        self.settings = self.kept_settings.clone();
    }

    /// Makes what is held durable, then visible. On an error nothing of it is.
    pub(super) async fn commit_held(&mut self) -> Result<(), QueryError> {
        self.hold_accumulated()?;
        let changes = self.transaction.take_held();
        if changes.is_empty() {
            return Ok(());
        }
        // Held across the commit: a DROP that came between the check and the log would leave rows that no table owns.
        let engine = self.engine.clone();
        let _no_drop_meanwhile = engine.definitions().read().await;
        if self.transaction.drops_seen != Some(engine.drops()) {
            self.refuse_vanished(&changes)?;
        }
        let durability = self.durability(&changes);
        let transaction = taospg_storage::Transaction { changes, durability };
        engine.storage().commit(transaction).await?;
        Ok(())
    }

    /// Waits for the disk unless the session, or every database written to, does without.
    fn durability(&self, changes: &BTreeMap<VnodeId, Vec<Change>>) -> Durability {
        if !self.settings.synchronous_commit {
            return Durability::Kernel;
        }
        let waits = |vnode: &VnodeId| match self.database() {
            Ok(database) if database.vnodes.contains(&vnode.0) => database.options.wal_level >= 2,
            _ => {
                let databases = self.engine.catalog().databases();
                let owner = databases.iter().find(|database| database.vnodes.contains(&vnode.0));
                owner.is_none_or(|database| database.options.wal_level >= 2)
            }
        };
        match changes.keys().any(waits) {
            true => Durability::Disk,
            false => Durability::Kernel,
        }
    }

    /// Tables have been dropped since the transaction began: its rows must not be for one of them. Rare, so it may look at every row.
    fn refuse_vanished(&self, changes: &BTreeMap<VnodeId, Vec<Change>>) -> Result<(), QueryError> {
        let catalog = self.engine.catalog();
        let families: HashSet<FamilyId> = changes
            .values()
            .flatten()
            .filter(|change| !is_nothing(change))
            .map(family_of)
            .collect();
        for family in families {
            let Some(table) = catalog.table_by_oid(family.0) else {
                let message = "a table that this transaction wrote to has been dropped";
                return Err(QueryError::new(ErrorKind::UndefinedTable, message));
            };
            if table.kind == TableKind::Plain {
                continue;
            }
            let Some(children) = catalog.children(family.0) else {
                continue;
            };
            let mut alive: HashSet<(u32, u32)> = HashSet::new();
            for chunk in &children.chunks {
                let series = chunk.series.iter().zip(&chunk.alive).filter(|(_, alive)| *alive);
                alive.extend(series.map(|(series, _)| (series.vnode, series.series)));
            }
            for (vnode, change) in changes
                .iter()
                .flat_map(|(vnode, changes)| changes.iter().map(move |change| (vnode, change)))
            {
                let Change::Rows(rows) = change else { continue };
                if rows.family == family && rows.series.iter().any(|series| !alive.contains(&(vnode.0, *series))) {
                    let message = format!(
                        "a table of \"{}\" that this transaction wrote to has been dropped",
                        table.name
                    );
                    return Err(QueryError::new(ErrorKind::SerializationFailure, message)
                        .with_hint("send the transaction again"));
                }
            }
        }
        Ok(())
    }
}
