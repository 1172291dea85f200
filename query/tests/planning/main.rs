//! Queries through a session, on real storage.

mod aggregates;
mod kept_plans;
mod select;
mod server;
