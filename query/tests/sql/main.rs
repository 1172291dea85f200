//! SQL through an engine and its sessions, without the wire: what exists, sessions, and changes of rows.

mod changes;
mod definitions;
mod ingest;
mod sessions;
mod support;
