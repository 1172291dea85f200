//! ALTER TABLE and ALTER STABLE in both dialects.

use taospg_catalog::Keep;

use super::create::{ColumnDefinition, parse_column};
use super::cursor::{Cursor, SourceExpr};
use super::types::{self, ColumnType};
use super::{Command, Owned, TableName};
use crate::QueryError;

#[derive(Debug)]
pub(crate) struct AlterTable {
    pub if_exists: bool,
    pub name: TableName,
    /// The TDengine spelling: its types mean what they mean there.
    pub tdengine: bool,
    pub steps: Vec<AlterTableStep>,
}

#[derive(Debug)]
pub(crate) enum AlterTableStep {
    AddColumn {
        if_not_exists: bool,
        column: ColumnDefinition,
    },
    DropColumn {
        if_exists: bool,
        name: String,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    AddTag(ColumnDefinition),
    DropTag(String),
    RenameTag {
        from: String,
        to: String,
    },
    RenameTable(String),
    SetType {
        name: String,
        column_type: ColumnType,
    },
    /// Of a child table: `SET TAG a = 3, b = 'x'`.
    SetTags(Vec<(String, SourceExpr)>),
    Comment(String),
    SetDefault {
        name: String,
        default: Option<SourceExpr>,
    },
    /// `SET (keep = '30 days')`, `KEEP 30d`; `RESET (keep)` is none.
    Keep(Option<Keep>),
    /// `SET (timescaledb.compress, …)`: the columns of compress_segmentby.
    Compress(Vec<String>),
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let tdengine = cursor.next().value == "stable";
    let if_exists = cursor.take(&["if", "exists"]);
    cursor.take_word("only");
    let name = cursor.table_name()?;
    cursor.take_symbol("*");
    if cursor.at_word("owner") {
        return super::role::parse_owner(cursor, Owned::Table(name));
    }
    let mut steps = vec![parse_step(cursor)?];
    while cursor.take_symbol(",") {
        steps.push(parse_step(cursor)?);
    }
    Ok(Command::AlterTable(AlterTable {
        if_exists,
        name,
        tdengine,
        steps,
    }))
}

fn parse_step(cursor: &mut Cursor<'_>) -> Result<AlterTableStep, QueryError> {
    let verb = cursor.take_any(&[
        "add", "drop", "rename", "change", "modify", "alter", "set", "reset", "keep", "comment",
    ]);
    match verb {
        Some("add") => parse_add(cursor),
        Some("drop") => parse_drop(cursor),
        Some("rename" | "change") => parse_rename(cursor),
        Some("modify") => {
            if !cursor.take_word("tag") {
                cursor.take_word("column");
            }
            let name = cursor.name()?;
            let column_type = types::parse(cursor)?;
            Ok(AlterTableStep::SetType { name, column_type })
        }
        Some("alter") => parse_alter_column(cursor),
        Some("set") if cursor.take_word("tag") => {
            let mut tags = Vec::new();
            loop {
                let name = cursor.name()?;
                cursor.expect_symbol("=")?;
                tags.push((name, cursor.expression(&[])?));
                if !cursor.take_symbol(",") {
                    return Ok(AlterTableStep::SetTags(tags));
                }
            }
        }
        Some("set") if cursor.at_symbol("(") => parse_parameters(cursor),
        Some("reset") => {
            let byte = cursor.byte();
            let names = cursor.list(|cursor| cursor.name())?;
            match names.iter().all(|name| name == "keep") {
                true => Ok(AlterTableStep::Keep(None)),
                false => Err(unknown_parameter(cursor, byte)),
            }
        }
        Some("keep") => {
            cursor.take_symbol("=");
            Ok(AlterTableStep::Keep(Some(super::keep::parse(cursor)?)))
        }
        Some("comment") => {
            cursor.take_symbol("=");
            Ok(AlterTableStep::Comment(cursor.string()?))
        }
        Some(_) => Err(cursor.unsupported("this change of a table")),
        None => {
            let known = [
                "enable", "disable", "inherit", "no", "cluster", "validate", "attach", "detach", "replica", "ttl",
            ];
            match known.contains(&&*cursor.peek().value) {
                true => {
                    let what = format!("ALTER TABLE … {}", cursor.peek().value.to_ascii_uppercase());
                    Err(cursor.unsupported(&what))
                }
                false => Err(cursor.error()),
            }
        }
    }
}

/// `(timescaledb.compress, timescaledb.compress_segmentby = 'device')`, in newer words `(timescaledb.enable_columnstore, segmentby = …)`.
fn parse_parameters(cursor: &mut Cursor<'_>) -> Result<AlterTableStep, QueryError> {
    let mut segment_by = Vec::new();
    let mut keep = None;
    let byte = cursor.byte();
    let ours = cursor.list(|cursor| {
        let mut name = cursor.name()?;
        let ours = matches!(name.as_str(), "timescaledb" | "tsdb");
        if cursor.take_symbol(".") {
            name = cursor.name()?;
        }
        if name == "keep" && !ours && cursor.take_symbol("=") {
            keep = Some(super::keep::parse(cursor)?);
            return Ok(None);
        }
        if cursor.take_symbol("=") {
            let value = super::create::parameter_value(cursor)?;
            if matches!(name.as_str(), "compress_segmentby" | "segmentby") {
                segment_by = super::create::listed(&value);
            }
        }
        Ok(Some(ours))
    })?;
    // KEEP stands alone; of TimescaleDB's words one is enough.
    match (keep, ours.iter().all(Option::is_none), ours.contains(&Some(true))) {
        (Some(keep), true, _) => Ok(AlterTableStep::Keep(Some(keep))),
        (None, _, true) => Ok(AlterTableStep::Compress(segment_by)),
        _ => Err(unknown_parameter(cursor, byte)),
    }
}

fn unknown_parameter(cursor: &Cursor<'_>, byte: usize) -> QueryError {
    let message = "storage parameters of a table other than keep are not supported";
    let error = cursor.error_at(byte, crate::ErrorKind::FeatureNotSupported, message);
    error.with_hint("ALTER DATABASE changes how its tables are stored")
}

fn parse_add(cursor: &mut Cursor<'_>) -> Result<AlterTableStep, QueryError> {
    if cursor.at_word("tag") && !cursor.peek_second().is_symbol("(") {
        cursor.next();
        return Ok(AlterTableStep::AddTag(parse_column(cursor)?));
    }
    let constraint = cursor.at_word("constraint")
        || (cursor.at_word("primary") && cursor.peek_second().is_word("key"))
        || (cursor.at_word("foreign") && cursor.peek_second().is_word("key"))
        || ((cursor.at_word("unique") || cursor.at_word("check")) && cursor.peek_second().is_symbol("("));
    if constraint {
        return Err(cursor.unsupported("a constraint on a table that exists"));
    }
    cursor.take_word("column");
    let if_not_exists = cursor.take(&["if", "not", "exists"]);
    let column = parse_column(cursor)?;
    Ok(AlterTableStep::AddColumn { if_not_exists, column })
}

fn parse_drop(cursor: &mut Cursor<'_>) -> Result<AlterTableStep, QueryError> {
    if cursor.at_word("constraint") {
        return Err(cursor.unsupported("dropping a constraint"));
    }
    let second_ends = |cursor: &Cursor<'_>| {
        let second = cursor.peek_second();
        second.kind == super::lexer::TokenKind::End || second.is_symbol(",")
    };
    if cursor.at_word("tag") && !second_ends(cursor) {
        cursor.next();
        return Ok(AlterTableStep::DropTag(cursor.name()?));
    }
    if !second_ends(cursor) {
        cursor.take_word("column");
    }
    let if_exists = cursor.take(&["if", "exists"]);
    let name = cursor.name()?;
    cursor.take_any(&["cascade", "restrict"]);
    Ok(AlterTableStep::DropColumn { if_exists, name })
}

/// `RENAME TO x`, `RENAME [COLUMN] a TO b`, `RENAME TAG a b`.
fn parse_rename(cursor: &mut Cursor<'_>) -> Result<AlterTableStep, QueryError> {
    if cursor.take_word("to") {
        return Ok(AlterTableStep::RenameTable(cursor.name()?));
    }
    if cursor.at_word("constraint") {
        return Err(cursor.unsupported("renaming a constraint"));
    }
    let tag = cursor.at_word("tag") && !cursor.peek_second().is_word("to");
    let column = cursor.at_word("column") && !cursor.peek_second().is_word("to");
    if tag || column {
        cursor.next();
    }
    let from = cursor.name()?;
    // TDengine leaves TO out.
    cursor.take_word("to");
    let to = cursor.name()?;
    match tag {
        true => Ok(AlterTableStep::RenameTag { from, to }),
        false => Ok(AlterTableStep::RenameColumn { from, to }),
    }
}

fn parse_alter_column(cursor: &mut Cursor<'_>) -> Result<AlterTableStep, QueryError> {
    cursor.take_word("column");
    let name = cursor.name()?;
    if cursor.take(&["set", "default"]) {
        let default = Some(cursor.expression(&[])?);
        return Ok(AlterTableStep::SetDefault { name, default });
    }
    if cursor.take(&["drop", "default"]) {
        return Ok(AlterTableStep::SetDefault { name, default: None });
    }
    cursor.take(&["set", "data"]);
    if !cursor.take_word("type") {
        return match ["set", "drop", "add"].contains(&&*cursor.peek().value) {
            true => Err(cursor
                .unsupported("this change of a column")
                .with_hint("columns can be added, dropped, renamed and widened")),
            false => Err(cursor.error()),
        };
    }
    let column_type = types::parse(cursor)?;
    if cursor.at_word("using") {
        return Err(cursor.unsupported("ALTER COLUMN TYPE USING"));
    }
    Ok(AlterTableStep::SetType { name, column_type })
}
