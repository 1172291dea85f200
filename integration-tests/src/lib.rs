//! A server under test: the built binary on a free port with a data directory of its own.
//!
//! ```text
//! Server::start -> connect / psql -> kill or stop -> start_again (same data) -> dropped: killed, directory removed
//! ```

pub mod messages;
pub mod postgres;
pub mod psql;
pub mod server;

pub use postgres::Postgres;
pub use psql::Psql;
pub use server::{Server, tools};
