//! From a session's statement to rows: the SQL dialect, ingest, planning on DataFusion, time-series functions, system catalogs.
//!
//! Only this crate sees both the catalog and storage, and translates between their nouns (`translate.rs`). It knows nothing of the wire's
//! messages; it knows PostgreSQL's types, because columns and parameters have them.
//!
//! ```text
//! text --statement--> Statement --session--> ddl | settings | transaction | ingest | plan      each asks access/ whether it may
//!                                                                             |        |
//!                                                          changes to vnodes <-+        +-> record batches
//! ```

pub mod access;
mod copy_out;
mod ddl;
mod engine;
mod error;
mod functions;
mod hypertable;
pub mod ingest;
mod interruption;
mod keep;
mod modify;
pub mod notify;
mod outcome;
pub mod pg_type;
mod plan;
pub mod session;
mod settings;
mod show;
mod statement;
mod system;
mod temporary;
mod translate;

pub use engine::{ConnectRequest, Engine, EngineOptions};
pub use error::{ErrorKind, QueryError};
pub use ingest::copy::{CopyFormat, CopyIn};
pub use interruption::{Interruption, Signal};
pub use outcome::{CopyOut, Notice, Outcome, ResultField, RowSet};
pub use pg_type::{Format, Parameter};
pub use session::{Prepared, Session, TransactionStatus};
pub use statement::Statement;
/// The settings of a database, of which a server has defaults.
pub use taospg_catalog::DatabaseOptions;
