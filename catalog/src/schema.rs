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

/// Name of the time column that a keyed table does not show; no client can write it.
pub const KEYED_TIME: &str = "\u{1}time";
/// Name of the metric that keeps a row of a keyed table there when its key is all that it has.
pub const KEYED_ROW: &str = "\u{1}row";

impl Column {
    /// Whether only a keyed table's inside knows of it.
    pub fn is_hidden(&self) -> bool {
        self.attnum == 0
    }
}

/// An index that somebody asked for. It has no bytes of its own: a unique one is a rule for rows to come, another says which columns rows are
/// looked up by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub name: String,
    /// Names of columns and tags.
    pub columns: Vec<String>,
    pub unique: bool,
}

/// How long rows of one table are kept: an interval, because a month of it is a month of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    pub months: u32,
    pub ms: i64,
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
    #[serde(default)]
    pub indexes: Vec<Index>,
    /// Rows older than this are gone, although the database's KEEP leaves them.
    #[serde(default)]
    pub keep: Option<Keep>,
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

    /// Whether its rows are known by their key alone: a supertable whose tables have one row each, at a time that nobody sees.
    pub fn is_keyed(&self) -> bool {
        self.columns.first().is_some_and(Column::is_hidden)
    }

    /// Columns and tags in the order they were declared, as `SELECT *` shows them.
    pub fn declared(&self) -> Vec<&Column> {
        let columns = self.columns.iter().chain(&self.tags);
        let mut all: Vec<&Column> = columns.filter(|column| !column.is_hidden()).collect();
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
    SetKeep(Option<Keep>),
    SetColumnComment {
        name: String,
        comment: Option<String>,
    },
    SetDefault {
        name: String,
        default: Option<String>,
    },
    /// Columns of a plain table become tags, so that it is a supertable. Only while it has no rows: those would be in no child.
    MakeTags {
        names: Vec<String>,
    },
    AddIndex(Index),
    DropIndex {
        name: String,
    },
}
