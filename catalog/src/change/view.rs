//! Making and dropping views: queries under a name.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::store::Batch;
use crate::{Catalog, CatalogError, View, rules};

impl Catalog {
    /// Makes a view, or puts it in the place of the view of that name, whose OID and owner it keeps. `view.oid` is given by the catalog.
    pub fn create_view(&self, owner: u32, view: View, replace: bool) -> Result<Arc<View>, CatalogError> {
        let mut writer = self.writer.lock();
        let old = {
            let image = self.image.read_recursive();
            let database = image.database(view.database_oid)?;
            rules::check_table_name(&view.name)?;
            let old = database.views.get(&view.name).map(|old| old.oid);
            if database.names.find(view.name.as_bytes()).is_some() || (old.is_some() && !replace) {
                return Err(CatalogError::Exists {
                    what: "table",
                    name: view.name,
                });
            }
            old
        };
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let oid = match old {
            Some(oid) => oid,
            None => meta.take_oids(1)?,
        };
        let view = Arc::new(View { oid, ..view });
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        batch.put_view(&view)?;
        let roles = match old {
            Some(_) => None,
            None => self.put_owner(&mut batch, oid, owner, Some(view.database_oid))?,
        };
        writer.store.commit(batch)?;
        if let Some(roles) = roles {
            self.show_roles(roles);
        }
        let mut image = self.image.write();
        if let Some(database) = image.databases.get_mut(&view.database_oid) {
            database.views.insert(view.name.clone(), view.clone());
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(view)
    }

    /// All of them or none.
    pub fn drop_views(&self, database_oid: u32, names: &[&str]) -> Result<(), CatalogError> {
        let mut writer = self.writer.lock();
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        let mut gone = Vec::with_capacity(names.len());
        {
            let image = self.image.read_recursive();
            let database = image.database(database_oid)?;
            for name in names {
                let view = database.views.get(*name).ok_or_else(|| CatalogError::NotFound {
                    what: "view",
                    name: (*name).into(),
                })?;
                batch.delete_view(view.oid);
                gone.push(view.oid);
            }
        }
        let roles = self.forget_access(&mut batch, &gone);
        writer.store.commit(batch)?;
        if let Some(roles) = roles {
            self.show_roles(roles);
        }
        let mut image = self.image.write();
        if let Some(database) = image.databases.get_mut(&database_oid) {
            for name in names {
                database.views.remove(*name);
            }
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(())
    }

    /// The views of a database by name.
    pub fn views(&self, database_oid: u32) -> Vec<Arc<View>> {
        let image = self.image.read_recursive();
        let database = image.databases.get(&database_oid);
        database.map_or_else(Vec::new, |database| database.views.values().cloned().collect())
    }

    pub fn view_by_oid(&self, oid: u32) -> Option<Arc<View>> {
        let image = self.image.read_recursive();
        let mut views = image.databases.values().flat_map(|database| database.views.values());
        views.find(|view| view.oid == oid).cloned()
    }

    pub fn view(&self, database_oid: u32, name: &str) -> Option<Arc<View>> {
        let image = self.image.read_recursive();
        image.databases.get(&database_oid)?.views.get(name).cloned()
    }
}
