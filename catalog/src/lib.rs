//! What exists: databases, supertables, child tables, plain tables and tags, and which vnode holds which series; who there is and what
//! each may do.
//!
//! Kept in RocksDB, written with synced batches; all reads are served from an image in memory. The catalog has never heard of a
//! data file.
//!
//! ```text
//! change -> check against the image -> RocksDB (synced) -> image      one writer at a time
//! read   -> Arc of an immutable part of the image                     never waits for a disk
//! ```

#![forbid(unsafe_code)]

pub mod catalog;
mod change;
pub mod children;
pub mod error;
mod hash;
mod image;
mod load;
mod names;
pub mod options;
mod reclaim;
mod record;
pub mod roles;
mod rules;
pub mod schema;
pub mod sql_type;
mod store;
#[cfg(test)]
mod tests;
mod values;
pub mod view;

pub use catalog::{Catalog, ChildRef, Database, NameReader, NewChild, NewTable, Relation, SeriesRef};
pub use change::RolesDraft;
pub use children::{CHUNK_ROWS, ChildChunk, Children, Chunks};
pub use error::CatalogError;
pub use options::{DatabaseOptions, Precision, UpdateMode};
pub use roles::{Access, ColumnGrants, DefaultGrants, Grant, Membership, Privileges, Role, Roles, Verifier};
pub use schema::{Column, Index, KEYED_ROW, KEYED_TIME, Keep, Table, TableChange, TableKind};
pub use sql_type::SqlType;
pub use view::{View, ViewColumn};
