//! What ingest asks of the catalog for each row: which series a name or a row of tags has.

use arrow::array::ArrayRef;
use taospg_catalog::{Catalog, ChildRef, NameReader, Relation, Table};

use crate::{ErrorKind, QueryError};

/// Finds tables by name and by tags, in one database.
pub trait Names {
    fn find(&mut self, name: &str) -> Option<ChildRef>;
    /// The child of `table` that rows with these tags (one row) belong to.
    fn find_derived(&mut self, table: &Table, tags: &[ArrayRef]) -> Option<ChildRef>;
    /// The name that such a child would get.
    fn derived_name(&mut self, table: &Table, tags: &[ArrayRef]) -> String;
    /// The vnode that a new child table of this name would live in.
    fn place(&mut self, name: &str) -> Result<u32, QueryError>;
}

impl<N: Names + ?Sized> Names for &mut N {
    #[inline]
    fn find(&mut self, name: &str) -> Option<ChildRef> {
        (**self).find(name)
    }

    fn find_derived(&mut self, table: &Table, tags: &[ArrayRef]) -> Option<ChildRef> {
        (**self).find_derived(table, tags)
    }

    fn derived_name(&mut self, table: &Table, tags: &[ArrayRef]) -> String {
        (**self).derived_name(table, tags)
    }

    fn place(&mut self, name: &str) -> Result<u32, QueryError> {
        (**self).place(name)
    }
}

/// The catalog's names, read under one lock until something else is asked: the lock does not nest.
pub struct CatalogNames<'a> {
    catalog: &'a Catalog,
    database_oid: u32,
    reader: Option<NameReader<'a>>,
}

impl<'a> CatalogNames<'a> {
    pub fn new(catalog: &'a Catalog, database_oid: u32) -> CatalogNames<'a> {
        CatalogNames {
            catalog,
            database_oid,
            reader: None,
        }
    }

    fn reader(&mut self) -> Option<&NameReader<'a>> {
        if self.reader.is_none() {
            self.reader = self.catalog.names(self.database_oid);
        }
        self.reader.as_ref()
    }
}

impl Names for CatalogNames<'_> {
    #[inline]
    fn find(&mut self, name: &str) -> Option<ChildRef> {
        self.reader()?.find(name)
    }

    fn find_derived(&mut self, table: &Table, tags: &[ArrayRef]) -> Option<ChildRef> {
        self.reader()?.find_derived(table, tags, 0)
    }

    fn derived_name(&mut self, table: &Table, tags: &[ArrayRef]) -> String {
        self.reader = None;
        self.catalog.derived_name(table, tags, 0)
    }

    fn place(&mut self, name: &str) -> Result<u32, QueryError> {
        self.reader = None;
        if let Some(Relation::Table(table)) = self.catalog.relation(self.database_oid, name) {
            return Err(QueryError::new(
                ErrorKind::WrongObjectType,
                format!("\"{}\" is not a child table", table.name),
            ));
        }
        self.catalog
            .placement(self.database_oid, name)
            .ok_or_else(|| QueryError::new(ErrorKind::InvalidCatalogName, "the database has been dropped"))
    }
}
