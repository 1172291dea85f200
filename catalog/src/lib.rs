//! What exists: databases, supertables, child tables, plain tables and tags, and which vnode holds which series.
//!
//! Kept in RocksDB, written with synced batches; all reads are served from an image in memory. The catalog has never heard of a
//! data file.
//!
//! ```text
//! change -> check against the image -> RocksDB (synced) -> image      one writer at a time
//! read   -> Arc of an immutable part of the image                     never waits for a disk
//! ```

pub mod catalog;
pub mod error;
pub mod options;
pub mod schema;
pub mod sql_type;

pub use catalog::{
    Catalog, ChildChunk, ChildRef, Children, Database, NameReader, NewChild, NewTable, Relation, SeriesRef,
};
pub use error::CatalogError;
pub use options::{DatabaseOptions, Precision, UpdateMode};
pub use schema::{Column, Table, TableChange, TableKind};
pub use sql_type::SqlType;
