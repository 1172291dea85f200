//! A table's definition: columns, tags, keys. Immutable; a change makes a new version.

use serde::{Deserialize, Serialize};

use crate::{SeriesRef, SqlType};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    /// Has tags and child tables.
    Super,
    /// A single series without tags.
    Plain,
}

/// A metric column or a tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Never reused inside its table, shared by columns and tags. The time column has 0.
    pub id: u16,
    pub name: String,
    pub sql_type: SqlType,
    pub not_null: bool,
    /// Place in the declaration, from 1; gaps where a column was dropped. PostgreSQL's attnum.
    pub attnum: u16,
    /// SQL text of the DEFAULT expression.
    pub default: Option<String>,
    pub comment: Option<String>,
}

/// A supertable or a plain table. Child tables share their supertable's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// PostgreSQL OID, from 16384 up, never reused. Also the family of its rows in storage.
    pub oid: u32,
    pub database_oid: u32,
    pub name: String,
    pub kind: TableKind,
    /// Grows with each change of the definition.
    pub version: u32,
    /// The time column first, then the metrics, by attnum.
    pub columns: Vec<Column>,
    /// By attnum; empty for a plain table.
    pub tags: Vec<Column>,
    /// Where a plain table's rows are.
    pub series: Option<SeriesRef>,
    pub comment: Option<String>,
    /// First part of the names derived for its children: the name it was made with, so that a renamed supertable still finds them.
    pub child_prefix: String,
    /// Next free column id and attnum.
    pub next_column_id: u16,
    pub next_attnum: u16,
}

impl Table {
    pub fn time_column(&self) -> &Column {
        &self.columns[0]
    }

    /// Columns and tags in the order they were declared, as `SELECT *` shows them.
    pub fn declared(&self) -> Vec<&Column> {
        let mut all: Vec<&Column> = self.columns.iter().chain(&self.tags).collect();
        all.sort_by_key(|column| column.attnum);
        all
    }
}

/// One ALTER TABLE step on a supertable or plain table.
#[derive(Clone, Debug)]
pub enum TableChange {
    AddColumn {
        name: String,
        sql_type: SqlType,
        not_null: bool,
        default: Option<String>,
    },
    /// Also drops a tag, as plain PostgreSQL knows no other word for it.
    DropColumn {
        name: String,
    },
    /// Also renames a tag.
    RenameColumn {
        from: String,
        to: String,
    },
    /// Existing children get null.
    AddTag {
        name: String,
        sql_type: SqlType,
    },
    DropTag {
        name: String,
    },
    RenameTag {
        from: String,
        to: String,
    },
    RenameTable {
        to: String,
    },
    /// Widening only: varchar to longer or text, smallint to integer to bigint for tags and columns alike.
    SetType {
        name: String,
        sql_type: SqlType,
    },
    SetComment(Option<String>),
    SetColumnComment {
        name: String,
        comment: Option<String>,
    },
    SetDefault {
        name: String,
        default: Option<String>,
    },
}
