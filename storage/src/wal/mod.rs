//! The write-ahead log of one vnode: what is acknowledged is here first.
//!
//! ```text
//! Pending --append--> active segment --roll--> sealed segments --purge_prefix--> spare --roll--> active segment
//!                        \__ sync: durable __/
//! ```
//!
//! The log offers what a replicated log asks of its store: append, sync, truncate suffix, purge prefix, read range. A record is
//! known by its dense index; byte offsets stay in here.
//!
//! - `record.rs`: the fixed header of a record, its checksum and its chain.
//! - `body.rs`: changes as columns of bytes, and back.
//! - `segment.rs`: one file: its header, and walking through its records.
//! - `log.rs`: [`Log`], the segments of a vnode in a row, and recovery.
//!
//! Leaves to others: what a record does (`store/`), when to sync (`vnode/`), transactions over several vnodes (`commit.rs`).
//! The bytes are specified in docs/formats/wal.md; change both together.

mod body;
mod log;
mod record;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use body::{
    encode_changes, encode_commit, encode_expire, encode_prepared, encode_prepared_home, encode_resolved,
};
pub use log::Log;
pub(crate) use log::full_or_io;
pub use record::{Entry, Kind, Pending, Record};
