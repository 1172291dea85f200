//! A view: a query under a name. The catalog keeps its text and what it needs, and does not understand it.

use serde::{Deserialize, Serialize};

/// A view of a database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub oid: u32,
    pub database_oid: u32,
    pub name: String,
    /// The query, as SQL.
    pub definition: String,
    /// As they were when it was made: what `*` meant then.
    pub columns: Vec<ViewColumn>,
    /// OIDs of the supertables, tables and views that it reads.
    pub reads: Vec<u32>,
    /// What it reads is read with the rights of who asks, not of the view's owner.
    #[serde(default)]
    pub security_invoker: bool,
}

/// A column of a view as clients are told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewColumn {
    pub name: String,
    pub type_oid: u32,
    pub type_modifier: i32,
}
