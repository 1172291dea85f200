//! Making, changing and dropping databases.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::image::DatabaseImage;
use crate::roles::FIRST_ROLE;
use crate::rules;
use crate::store::Batch;
use crate::{Catalog, CatalogError, Database, DatabaseOptions};

impl Catalog {
    /// A database of the first superuser.
    pub fn create_database(&self, name: &str, options: DatabaseOptions) -> Result<Arc<Database>, CatalogError> {
        self.create_database_of(FIRST_ROLE, name, options)
    }

    pub fn create_database_of(
        &self,
        owner: u32,
        name: &str,
        options: DatabaseOptions,
    ) -> Result<Arc<Database>, CatalogError> {
        rules::check_database_name(name)?;
        rules::check_options(&options)?;
        let mut writer = self.writer.lock();
        self.check_database_is_new(name)?;
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let oid = meta.take_oids(1)?;
        let vnodes = meta.take_vnodes(options.vgroups)?;
        let database = Arc::new(Database {
            oid,
            name: name.into(),
            options,
            vnodes,
        });
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        batch.put_database(&database)?;
        for vnode in &database.vnodes {
            batch.put_next_series(*vnode, 0);
        }
        let roles = self.put_owner(&mut batch, oid, owner, None)?;
        writer.store.commit(batch)?;
        if let Some(roles) = roles {
            self.show_roles(roles);
        }
        writer
            .next_series
            .extend(database.vnodes.iter().map(|vnode| (*vnode, 0)));
        let mut image = self.image.write();
        image.database_names.insert(name.into(), oid);
        image.databases.insert(oid, DatabaseImage::new(database.clone()));
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(database)
    }

    /// keep, compression, wal_level, flush_interval and block_rows_max may change.
    pub fn alter_database(&self, name: &str, options: DatabaseOptions) -> Result<Arc<Database>, CatalogError> {
        self.replace_database(name, |database| {
            rules::check_options_change(&database.options, &options)?;
            Ok(Database {
                options,
                ..database.clone()
            })
        })
    }

    pub fn rename_database(&self, name: &str, to: &str) -> Result<(), CatalogError> {
        rules::check_database_name(to)?;
        self.replace_database(name, |database| {
            if name != to {
                self.check_database_is_new(to)?;
            }
            Ok(Database {
                name: to.into(),
                ..database.clone()
            })
        })?;
        Ok(())
    }

    /// Returns what is gone, so that its vnodes can be removed.
    pub fn drop_database(&self, name: &str) -> Result<Arc<Database>, CatalogError> {
        let mut writer = self.writer.lock();
        let (database, tables, views) = {
            let image = self.image.read_recursive();
            let database = image.database_by_name(name)?;
            (
                database.database.clone(),
                database.tables.keys().copied().collect::<Vec<u32>>(),
                database.views.values().map(|view| view.oid).collect::<Vec<u32>>(),
            )
        };
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        batch.delete_database(&database);
        for table in &tables {
            batch.delete_table(*table);
        }
        let with_database = [tables.as_slice(), &[database.oid]].concat();
        let roles = self.forget_access(&mut batch, &with_database);
        for view in views {
            batch.delete_view(view);
        }
        writer.store.commit(batch)?;
        if let Some(roles) = roles {
            self.show_roles(roles);
        }
        for table in &tables {
            writer.records.remove(table);
        }
        for vnode in &database.vnodes {
            writer.next_series.remove(vnode);
        }
        let mut image = self.image.write();
        image.database_names.remove(name);
        let gone = image.databases.remove(&database.oid);
        for table in &tables {
            image.table_databases.remove(table);
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        drop(image);
        drop(gone); // a large database takes a while to free; readers need not wait for that
        Ok(database)
    }

    fn check_database_is_new(&self, name: &str) -> Result<(), CatalogError> {
        match self.image.read_recursive().database_names.contains_key(name) {
            true => Err(CatalogError::Exists {
                what: "database",
                name: name.into(),
            }),
            false => Ok(()),
        }
    }

    fn replace_database(
        &self,
        name: &str,
        change: impl FnOnce(&Database) -> Result<Database, CatalogError>,
    ) -> Result<Arc<Database>, CatalogError> {
        let mut writer = self.writer.lock();
        let before = self.image.read_recursive().database_by_name(name)?.database.clone();
        let after = Arc::new(change(&before)?);
        if after == before {
            return Ok(before);
        }
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        batch.put_database(&after)?;
        writer.store.commit(batch)?;
        let mut image = self.image.write();
        image.database_names.remove(&before.name);
        image.database_names.insert(after.name.clone(), after.oid);
        if let Some(database) = image.databases.get_mut(&after.oid) {
            database.database = after.clone();
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(after)
    }
}
