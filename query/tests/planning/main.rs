//! Queries through a session, on real storage.

mod aggregates;
mod select;
mod server;
