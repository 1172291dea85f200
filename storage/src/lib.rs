//! What was measured: vnodes, each with its own write-ahead log, memtable and file groups of columnar blocks.
//!
//! Storage knows series ids, Arrow types and time ranges. It has never heard of names, tags or SQL.
//!
//! ```text
//! Transaction --commit--> wal --sync--> memtable --flush--> data files --compaction--> fewer data files
//!                                            \________ VnodeView (never changes) ________/
//! ```
//!
//! Writing: [`Storage::commit`]. Reading: [`Storage::view`], then [`VnodeView::scan`] or [`VnodeView::newest`].

pub mod change;
pub mod codec;
mod commit;
pub mod data_file;
pub mod error;
pub mod ids;
pub mod io;
pub mod scan;
mod space;
pub mod storage;
pub mod store;
mod vnode;
pub mod wal;

pub use change::{Change, Committed, Conflict, Durability, Rows, Transaction};
pub use data_file::ColumnStatistics;
pub use error::StorageError;
pub use ids::{ColumnId, FamilyId, SeriesId, SeriesSet, TimeRange, VnodeId};
pub use scan::{ColumnBound, Direction, Outline, Run, ScanBatch, ScanColumn, ScanPart, ScanRequest, WholeBlock};
pub use storage::{Compression, Storage, StorageOptions, UpdateMode, VnodeOptions};
pub use store::{FamilySize, Scan, ScanCounters, VnodeStatistics, VnodeView};
