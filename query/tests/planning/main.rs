//! Queries through a session, on real storage.

mod aggregates;
mod end_first;
mod kept_plans;
mod select;
mod server;
