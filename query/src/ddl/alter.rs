//! ALTER TABLE: changes of a definition, and tags of one table.

use taospg_catalog::{Privileges, TableChange};

use super::table::tag_value;
use super::view::refuse_if_read;
use super::{Found, tell_immediate, try_find};
use crate::statement::{AlterTable, AlterTableStep, SourceExpr};
use crate::{ErrorKind, QueryError, Session};

/// All steps or none.
pub(super) async fn alter(session: &mut Session, alter: &AlterTable) -> Result<String, QueryError> {
    let Some(found) = try_find(session, &alter.name)? else {
        if alter.if_exists {
            session.tell(
                "00000",
                format!("relation \"{}\" does not exist, skipping", alter.name.name),
            );
            return Ok("ALTER TABLE".into());
        }
        let message = format!("relation \"{}\" does not exist", alter.name.name);
        return Err(QueryError::new(ErrorKind::UndefinedTable, message).at_name(&alter.name));
    };
    let name = &alter.name.name;
    match is_about_tags(alter) {
        true => session.may_with(&found, name, Privileges::UPDATE)?,
        false => session.must_own(&found.thing(name))?,
    }
    if let [AlterTableStep::Compress(segment_by)] = alter.steps.as_slice() {
        crate::hypertable::compress(session, &found, segment_by).await?;
        return Ok("ALTER TABLE".into());
    }
    match found.child() {
        Some(_) => alter_child(session, &found, alter).await?,
        None => alter_definition(session, &found, alter)?,
    }
    if alter.steps.iter().any(|step| matches!(step, AlterTableStep::Keep(_))) {
        session.engine().expire(&found.database).await?;
    }
    tell_immediate(session, "ALTER TABLE");
    Ok("ALTER TABLE".into())
}

/// Whether it only sets tags, which are data and no definition.
fn is_about_tags(alter: &AlterTable) -> bool {
    let mut steps = alter.steps.iter();
    steps.all(|step| matches!(step, AlterTableStep::SetTags(_)))
}

fn alter_definition(session: &mut Session, found: &Found, alter: &AlterTable) -> Result<(), QueryError> {
    let table = found.table();
    let at_name = |error: QueryError| error.at_name(&alter.name);
    let has = |name: &str| {
        table
            .columns
            .iter()
            .chain(&table.tags)
            .any(|column| column.name == name)
    };
    let is_tag = |name: &str| table.tags.iter().any(|tag| tag.name == name);
    let tdengine = alter.tdengine;
    let mut changes = Vec::new();
    for step in &alter.steps {
        let database_oid = found.database.oid;
        match step {
            AlterTableStep::DropColumn { name, .. } | AlterTableStep::DropTag(name) => {
                let what = format!("drop column {name} of table {}", table.name);
                refuse_if_read(session, database_oid, table.oid, &what, Some(name))?;
            }
            AlterTableStep::RenameColumn { from, .. } | AlterTableStep::RenameTag { from, .. } => {
                let what = format!("rename column {from} of table {}", table.name);
                refuse_if_read(session, database_oid, table.oid, &what, Some(from))?;
            }
            AlterTableStep::RenameTable(_) => {
                let what = format!("rename table {}", table.name);
                refuse_if_read(session, database_oid, table.oid, &what, None)?;
            }
            _ => {}
        }
        let change = match step {
            AlterTableStep::AddColumn { if_not_exists, column } => {
                if *if_not_exists && has(&column.name) {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" already exists, skipping",
                        column.name, table.name
                    );
                    session.tell("42701", message);
                    continue;
                }
                if column.serial || column.unique {
                    let message = "a SERIAL or UNIQUE column cannot be added to a table that exists";
                    return Err(
                        QueryError::new(ErrorKind::FeatureNotSupported, message).with_position(column.character)
                    );
                }
                if column.primary_key {
                    let message = "a column of the key cannot be added";
                    return Err(
                        QueryError::new(ErrorKind::InvalidTableDefinition, message).with_position(column.character)
                    );
                }
                if column.not_null && column.default.is_none() {
                    let message = format!("column \"{}\" would contain null values", column.name);
                    return Err(QueryError::new(ErrorKind::NotNullViolation, message).with_position(column.character));
                }
                TableChange::AddColumn {
                    name: column.name.clone(),
                    sql_type: if tdengine {
                        column.column_type.tdengine()
                    } else {
                        column.column_type.postgres()
                    },
                    not_null: column.not_null,
                    default: column.default.as_ref().map(|default| default.text.clone()),
                }
            }
            AlterTableStep::DropColumn { if_exists, name } => {
                if *if_exists && !has(name) {
                    session.tell(
                        "00000",
                        format!(
                            "column \"{name}\" of relation \"{}\" does not exist, skipping",
                            table.name
                        ),
                    );
                    continue;
                }
                match is_tag(name) {
                    true => TableChange::DropTag { name: name.clone() },
                    false => TableChange::DropColumn { name: name.clone() },
                }
            }
            AlterTableStep::RenameColumn { from, to } => match is_tag(from) {
                true => TableChange::RenameTag {
                    from: from.clone(),
                    to: to.clone(),
                },
                false => TableChange::RenameColumn {
                    from: from.clone(),
                    to: to.clone(),
                },
            },
            AlterTableStep::AddTag(tag) => {
                if tag.default.is_some() || tag.not_null {
                    let message = format!("tag \"{}\" is null in the tables that exist", tag.name);
                    return Err(
                        QueryError::new(ErrorKind::InvalidTableDefinition, message).with_position(tag.character)
                    );
                }
                TableChange::AddTag {
                    name: tag.name.clone(),
                    sql_type: if tdengine {
                        tag.column_type.tdengine()
                    } else {
                        tag.column_type.postgres()
                    },
                }
            }
            AlterTableStep::DropTag(name) => TableChange::DropTag { name: name.clone() },
            AlterTableStep::RenameTag { from, to } => TableChange::RenameTag {
                from: from.clone(),
                to: to.clone(),
            },
            AlterTableStep::RenameTable(to) => TableChange::RenameTable { to: to.clone() },
            AlterTableStep::SetType { name, column_type } => TableChange::SetType {
                name: name.clone(),
                sql_type: if tdengine {
                    column_type.tdengine()
                } else {
                    column_type.postgres()
                },
            },
            AlterTableStep::Comment(comment) => {
                TableChange::SetComment(Some(comment.clone()).filter(|comment| !comment.is_empty()))
            }
            AlterTableStep::Keep(keep) => {
                if let Some(keep) = keep {
                    crate::keep::refuse_keyed(table)?;
                    crate::keep::check(&found.database, &table.name, *keep, session.transaction_time_ns())?;
                }
                TableChange::SetKeep(*keep)
            }
            AlterTableStep::SetDefault { name, default } => TableChange::SetDefault {
                name: name.clone(),
                default: default.as_ref().map(|default| default.text.clone()),
            },
            AlterTableStep::Compress(_) => {
                let message = "storage parameters are set in a statement of their own";
                return Err(at_name(QueryError::new(ErrorKind::FeatureNotSupported, message)));
            }
            AlterTableStep::SetTags(_) => {
                let message = format!("\"{}\" has no tags of its own to set", table.name);
                let error = at_name(QueryError::new(ErrorKind::WrongObjectType, message));
                return Err(error.with_hint("name a table of the supertable, or UPDATE the supertable"));
            }
        };
        changes.push(change);
    }
    if !changes.is_empty() {
        session.engine().catalog().alter_table(table.oid, &changes)?;
    }
    Ok(())
}

async fn alter_child(session: &mut Session, found: &Found, alter: &AlterTable) -> Result<(), QueryError> {
    let child = found
        .child()
        .ok_or_else(|| QueryError::new(ErrorKind::InternalError, "not a table of a supertable"))?;
    for step in &alter.steps {
        match step {
            AlterTableStep::SetTags(_) if found.table().is_keyed() => {
                let message = format!("\"{}\" is a row of table \"{}\"", alter.name.name, found.table().name);
                return Err(QueryError::new(ErrorKind::WrongObjectType, message).at_name(&alter.name));
            }
            AlterTableStep::SetTags(tags) => set_tags(session, found, tags).await?,
            AlterTableStep::RenameTable(to) => {
                session
                    .engine()
                    .catalog()
                    .rename_child(child.supertable, child.slot, to)?;
            }
            _ => {
                let message = format!(
                    "\"{}\" is a table of supertable \"{}\", whose columns it has",
                    alter.name.name,
                    found.table().name
                );
                let error = QueryError::new(ErrorKind::WrongObjectType, message).at_name(&alter.name);
                return Err(error.with_hint(format!("ALTER TABLE {} changes all its tables", found.table().name)));
            }
        }
    }
    Ok(())
}

async fn set_tags(session: &Session, found: &Found, tags: &[(String, SourceExpr)]) -> Result<(), QueryError> {
    let Some(child) = found.child() else {
        return Ok(());
    };
    let table = found.table();
    let mut values = Vec::new();
    for (name, value) in tags {
        let Some(place) = table.tags.iter().position(|tag| tag.name == *name) else {
            let message = format!("tag \"{name}\" of supertable \"{}\" does not exist", table.name);
            return Err(QueryError::new(ErrorKind::UndefinedColumn, message));
        };
        values.push((
            place,
            tag_value(session, &table.tags[place], &found.database.options, &value.expr).await?,
        ));
    }
    session
        .engine()
        .catalog()
        .set_tags(child.supertable, &[child.slot], &values)?;
    Ok(())
}
