//! SQL through an engine and its sessions, without the wire: what exists, sessions, INSERT and COPY, and changes of rows.

mod changes;
mod definitions;
mod ingest;
mod sessions;
mod support;
