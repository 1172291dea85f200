//! CREATE TABLE, child tables, DROP TABLE, TRUNCATE and COMMENT.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use taospg_catalog::{
    Column, Database, DatabaseOptions, Index, NewChild, NewTable, Privileges, Relation, SeriesRef, Table, TableChange,
    TableKind,
};
use taospg_storage::{Change, FamilyId, SeriesId, SeriesSet, TimeRange, VnodeId};

use super::{Found, Literal, find, literal, tell_immediate, try_find, vnodes_of};
use crate::access::Thing;
use crate::ingest::column::ColumnBuilder;
use crate::ingest::datum::{Datum, ValueError};
use crate::ingest::keyed::serial_default;
use crate::ingest::target::tag_place;
use crate::ingest::time::TimeReader;
use crate::statement::{ColumnDefinition, CreateChild, CreateTable, TableName};
use crate::temporary::define;
use crate::{ErrorKind, QueryError, Session};

pub(super) async fn create(session: &mut Session, create: &CreateTable) -> Result<String, QueryError> {
    let database = super::database_of(session, &create.name)?;
    if session
        .engine()
        .catalog()
        .relation(database.oid, &create.name.name)
        .is_some()
    {
        exists(session, &create.name, create.if_not_exists)?;
        return Ok("CREATE TABLE".into());
    }
    session.may(&Thing::Schema(&database), Privileges::CREATE)?;
    if let Some(keep) = create.keep {
        crate::keep::check(&database, &create.name.name, keep, session.transaction_time_ns())?;
    }
    let declared = create.declared.iter();
    let declared = declared
        .map(|(column, is_tag)| (new_column(column, create), *is_tag))
        .collect();
    let unique = create.unique.iter().map(|columns| {
        let columns: Vec<String> = columns.iter().map(|(column, _)| column.clone()).collect();
        Index {
            name: format!("{}_{}_key", create.name.name, columns.join("_")),
            columns,
            unique: true,
        }
    });
    let table = NewTable {
        name: create.name.name.clone(),
        kind: create.kind(),
        declared,
        time: Some(create.time.clone()),
        comment: create.comment.clone(),
        indexes: unique.collect(),
        keep: create.keep,
    };
    match session
        .engine()
        .catalog()
        .create_table_of(session.identity().actor.current, database.oid, table)
    {
        Ok(_) => {}
        // Another session made it in between.
        Err(taospg_catalog::CatalogError::Exists { what: "table", .. }) => {
            exists(session, &create.name, create.if_not_exists)?
        }
        Err(error) => return Err(error.into()),
    }
    if create.hypertable {
        let found = find(session, &create.name)?;
        crate::hypertable::create_with_options(session, &found).await?;
    }
    tell_immediate(session, "CREATE TABLE");
    Ok("CREATE TABLE".into())
}

/// `relation exists`: a notice where the statement allows for it.
fn exists(session: &mut Session, name: &TableName, allowed: bool) -> Result<(), QueryError> {
    if allowed {
        session.tell("42P07", format!("relation \"{}\" already exists, skipping", name.name));
        return Ok(());
    }
    let message = format!("relation \"{}\" already exists", name.name);
    Err(QueryError::new(ErrorKind::DuplicateTable, message).at_name(name))
}

fn new_column(column: &ColumnDefinition, create: &CreateTable) -> Column {
    let is_time = column.name == create.time;
    let supertable = create.kind() == TableKind::Super;
    // A device's time is an instant, in whichever spelling the supertable was made.
    let instant = create.tdengine || (is_time && supertable);
    let sql_type = match instant && matches!(column.column_type, crate::statement::ColumnType::BareTimestamp) {
        true => column.column_type.tdengine(),
        false if create.tdengine => column.column_type.tdengine(),
        false => column.column_type.postgres(),
    };
    Column {
        id: 0,
        name: column.name.clone(),
        sql_type,
        not_null: column.not_null || is_time,
        attnum: 0,
        default: match column.serial {
            true => Some(serial_default(&create.name.name, &column.name)),
            false => column.default.as_ref().map(|default| default.text.clone()),
        },
        comment: None,
    }
}

/// Children of one supertable that a statement creates: their names, and the tags of each.
struct Wanted {
    supertable: Arc<Table>,
    names: Vec<NewChild>,
    /// As `Table::tags`.
    tags: Vec<ColumnBuilder>,
}

/// Of each supertable all children or none; a name given twice is refused before anything is made.
pub(super) async fn create_children(session: &mut Session, children: &[CreateChild]) -> Result<String, QueryError> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut seen: HashSet<(u32, &str)> = HashSet::with_capacity(children.len());
    for child in children {
        let database = super::database_of(session, &child.name)?;
        let supertable = find_supertable(session, &database, child)?;
        // A table is part of its supertable: who may insert makes it in passing.
        let thing = Thing::Table {
            table: supertable.oid,
            child: None,
            database: database.oid,
            name: &supertable.name,
        };
        session.may(&thing, Privileges::INSERT)?;
        let name = child.name.name.as_str();
        let taken = session.engine().catalog().relation(database.oid, name).is_some();
        if taken || seen.contains(&(database.oid, name)) {
            exists(session, &child.name, child.if_not_exists)?;
            continue;
        }
        let group = match wanted.iter_mut().find(|group| group.supertable.oid == supertable.oid) {
            Some(group) => group,
            None => {
                let precision = database.options.precision;
                let builder = |tag: &Column| ColumnBuilder::new(&tag.sql_type, precision);
                wanted.push(Wanted {
                    tags: supertable.tags.iter().map(builder).collect(),
                    supertable,
                    names: Vec::new(),
                });
                wanted.last_mut().expect("pushed above")
            }
        };
        seen.insert((database.oid, name));
        group.names.push(NewChild {
            name: Some(name.to_owned()),
        });
        push_tags(session, &database, group, child).await?;
    }
    for Wanted {
        supertable,
        names,
        mut tags,
    } in wanted
    {
        let tags: Vec<ArrayRef> = tags.iter_mut().map(ColumnBuilder::finish).collect();
        session
            .engine()
            .catalog()
            .create_children(supertable.oid, &names, &tags)?;
    }
    tell_immediate(session, "CREATE TABLE");
    Ok("CREATE TABLE".into())
}

/// `USING meters` means the database that the child is in, unless it says otherwise.
fn find_supertable(session: &Session, database: &Arc<Database>, child: &CreateChild) -> Result<Arc<Table>, QueryError> {
    let name = &child.supertable;
    let found = match (&name.database, &name.schema) {
        (None, None) => {
            let relation = session.engine().catalog().relation(database.oid, &name.name);
            relation.map(|relation| Found {
                database: database.clone(),
                relation,
            })
        }
        _ => try_find(session, name)?,
    };
    let at = |error: QueryError| error.at_name(name);
    let Some(found) = found else {
        let message = format!("relation \"{}\" does not exist", name.name);
        return Err(at(QueryError::new(ErrorKind::UndefinedTable, message)));
    };
    if found.database.oid != database.oid {
        let message = format!(
            "supertable \"{}\" is in another database than \"{}\"",
            name.name, child.name.name
        );
        return Err(at(QueryError::new(ErrorKind::FeatureNotSupported, message)));
    }
    match found.relation {
        Relation::Table(table) if table.kind == TableKind::Super && !table.is_keyed() => Ok(table),
        _ => {
            let message = format!("\"{}\" is not a supertable", name.name);
            Err(at(QueryError::new(ErrorKind::WrongObjectType, message)))
        }
    }
}

/// Adds the tags of a group's newest table; those not named are null.
async fn push_tags(
    session: &Session,
    database: &Database,
    group: &mut Wanted,
    child: &CreateChild,
) -> Result<(), QueryError> {
    let supertable = &group.supertable;
    if child.tags.is_none() && child.values.len() != supertable.tags.len() {
        let message = format!(
            "supertable \"{}\" has {} tags and {} values are given",
            supertable.name,
            supertable.tags.len(),
            child.values.len()
        );
        return Err(QueryError::new(ErrorKind::SyntaxError, message).at_name(&child.supertable));
    }
    for (index, value) in child.values.iter().enumerate() {
        let place = match &child.tags {
            None => index,
            Some(names) => {
                let (name, character) = &names[index];
                let is_taken = |place: usize| group.tags[place].len() == group.names.len();
                tag_place(supertable, name, is_taken).map_err(|error| error.with_position(*character))?
            }
        };
        let (tag, column) = (&supertable.tags[place], &mut group.tags[place]);
        push_tag(session, tag, &database.options, &value.expr, column).await?;
    }
    for column in &mut group.tags {
        column.pad(group.names.len());
    }
    Ok(())
}

/// One tag value as an array of one row.
pub(super) async fn tag_value(
    session: &Session,
    tag: &Column,
    options: &DatabaseOptions,
    expr: &datafusion::sql::sqlparser::ast::Expr,
) -> Result<ArrayRef, QueryError> {
    let mut column = ColumnBuilder::new(&tag.sql_type, options.precision);
    push_tag(session, tag, options, expr, &mut column).await?;
    Ok(column.finish())
}

/// Adds a tag value: an assignment cast, as of a value in an INSERT.
async fn push_tag(
    session: &Session,
    tag: &Column,
    options: &DatabaseOptions,
    expr: &datafusion::sql::sqlparser::ast::Expr,
    column: &mut ColumnBuilder,
) -> Result<(), QueryError> {
    let in_column = |error: ValueError| error.for_column(&tag.name, &tag.sql_type.display_name());
    let Some(literal) = literal(expr) else {
        let data_type = tag.sql_type.arrow_type(options.precision);
        let value = crate::plan::constant(session, expr, &data_type).await?;
        let array = value
            .to_array()
            .map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
        let array = crate::modify::fitted(array, tag, &tag.name)?;
        return column.append(&array).map_err(in_column);
    };
    let datum = match &literal {
        Literal::Null => Datum::Null,
        Literal::Boolean(value) => Datum::Boolean(*value),
        Literal::Number(text) => match text.parse() {
            Ok(integer) => Datum::Integer(integer),
            Err(_) => Datum::Number(text),
        },
        Literal::Text(text) => Datum::Text(text.as_bytes()),
    };
    let mut times = TimeReader::new(options, session.settings().reading(), session.transaction_time_ns());
    column.push(datum, &mut times).map_err(in_column)
}

pub(super) async fn drop(
    session: &mut Session,
    if_exists: bool,
    names: &[TableName],
    stable: bool,
    cascade: bool,
) -> Result<String, QueryError> {
    // All names are looked up before anything goes.
    let mut found = Vec::new();
    let mut temporary = Vec::new();
    for name in names {
        if !stable && session.temporary(name).is_some() {
            temporary.push(name);
            continue;
        }
        let schema = name.schema.as_deref();
        let relation = match schema.is_some_and(|schema| session.temporaries().is_schema(schema)) {
            true => None,
            false if is_view(session, name)? => {
                let message = format!("\"{}\" is not a table", name.name);
                let error = QueryError::new(ErrorKind::WrongObjectType, message).at_name(name);
                return Err(error.with_hint("Use DROP VIEW to remove a view."));
            }
            false => try_find(session, name)?,
        };
        match relation {
            Some(relation) => found.push((name, relation)),
            None if if_exists => session.tell("00000", format!("table \"{}\" does not exist, skipping", name.name)),
            None => {
                let message = format!("table \"{}\" does not exist", name.name);
                return Err(QueryError::new(ErrorKind::UndefinedTable, message).at_name(name));
            }
        }
    }
    for (name, found) in &found {
        if stable && (found.child().is_some() || found.table().kind != TableKind::Super) {
            let message = format!("\"{}\" is not a supertable", name.name);
            return Err(QueryError::new(ErrorKind::WrongObjectType, message).at_name(name));
        }
    }
    for (name, found) in &found {
        session.must_own(&found.thing(&name.name))?;
    }
    let oid = |found: &Found| found.child().map_or(found.table().oid, |child| child.oid);
    let oids: Vec<u32> = found.iter().map(|(_, found)| oid(found)).collect();
    for (name, found) in &found {
        let mut gone = oids.clone();
        if found.child().is_none() && found.table().kind == TableKind::Super {
            gone.extend(read_children(session, found));
        }
        super::view::release(session, found.database.oid, "table", &name.name, &gone, cascade)?;
    }
    let what = if stable { "DROP STABLE" } else { "DROP TABLE" };
    for (_, found) in &found {
        drop_one(session, found).await?;
    }
    if !temporary.is_empty() {
        define::drop(session, &temporary)?;
    }
    if temporary.len() < names.len() {
        tell_immediate(session, what);
    }
    Ok(what.into())
}

fn is_view(session: &Session, name: &TableName) -> Result<bool, QueryError> {
    let database = super::database_of(session, name)?;
    Ok(session.engine().catalog().view(database.oid, &name.name).is_some())
}

/// Children of a supertable that views read by their own names.
fn read_children(session: &Session, found: &Found) -> Vec<u32> {
    let views = session.engine().catalog().views(found.database.oid);
    let Some(children) = session
        .engine()
        .catalog()
        .children(found.table().oid)
        .filter(|_| !views.is_empty())
    else {
        return Vec::new();
    };
    let read: HashSet<u32> = views.iter().flat_map(|view| view.reads.iter().copied()).collect();
    let oids = children.chunks.iter().flat_map(|chunk| chunk.oids.iter().copied());
    oids.filter(|oid| read.contains(oid)).collect()
}

pub(super) async fn drop_one(session: &mut Session, found: &Found) -> Result<(), QueryError> {
    let engine = session.engine().clone();
    let family = FamilyId(found.table().oid);
    let mut changes: BTreeMap<VnodeId, Vec<Change>> = BTreeMap::new();
    {
        let _alone = engine.definitions().write().await;
        match found.child() {
            Some(child) => {
                engine.catalog().drop_children(child.supertable, &[child.slot])?;
                changes.insert(VnodeId(child.series.vnode), vec![delete_all(family, child.series)]);
            }
            None => {
                let gone = engine.catalog().drop_table(found.table().oid)?;
                let vnodes = match gone.series {
                    Some(series) => vec![VnodeId(series.vnode)],
                    None => vnodes_of(&found.database),
                };
                changes.extend(
                    vnodes
                        .into_iter()
                        .map(|vnode| (vnode, vec![Change::DropFamily(family)])),
                );
            }
        }
        engine.count_drop();
        if found.child().is_none() {
            engine.forget_keyed(found.table().oid);
        }
    }
    session.forget_held(family, found.child().map(|child| child.series));
    let transaction = taospg_storage::Transaction {
        changes,
        durability: taospg_storage::Durability::Disk,
    };
    engine.storage().commit(transaction).await?;
    Ok(())
}

fn delete_all(family: FamilyId, series: SeriesRef) -> Change {
    Change::Delete {
        family,
        series: SeriesSet::List([SeriesId(series.series)].into()),
        time: TimeRange::ALL,
    }
}

/// Removes all rows, as part of the transaction; the tables stay.
pub(super) fn truncate(session: &mut Session, names: &[TableName]) -> Result<String, QueryError> {
    let mut changes: BTreeMap<VnodeId, Vec<Change>> = BTreeMap::new();
    let (temporary, durable): (Vec<_>, Vec<_>) = names.iter().partition(|name| session.temporary(name).is_some());
    for name in durable {
        let found = find(session, name)?;
        session.may_with(&found, &name.name, Privileges::TRUNCATE)?;
        let family = FamilyId(found.table().oid);
        match (found.child().map(|child| child.series), found.table().series) {
            (Some(series), _) | (None, Some(series)) => {
                changes
                    .entry(VnodeId(series.vnode))
                    .or_default()
                    .push(delete_all(family, series));
            }
            (None, None) => {
                for vnode in vnodes_of(&found.database) {
                    changes.entry(vnode).or_default().push(Change::Delete {
                        family,
                        series: SeriesSet::All,
                        time: TimeRange::ALL,
                    });
                }
            }
        }
    }
    session.hold(changes)?;
    if !temporary.is_empty() {
        define::truncate(session, &temporary)?;
    }
    Ok("TRUNCATE TABLE".into())
}

pub(super) fn comment(
    session: &mut Session,
    name: &TableName,
    column: Option<&str>,
    comment: Option<String>,
) -> Result<String, QueryError> {
    let found = find(session, name)?;
    if found.child().is_some() {
        let message = format!("\"{}\" is a table of supertable \"{}\"", name.name, found.table().name);
        let error = QueryError::new(ErrorKind::WrongObjectType, message).at_name(name);
        return Err(error.with_hint("comment on the supertable"));
    }
    session.must_own(&found.thing(&name.name))?;
    // PostgreSQL: the empty comment is none.
    let comment = comment.filter(|comment| !comment.is_empty());
    let change = match column {
        None => TableChange::SetComment(comment),
        Some(column) => TableChange::SetColumnComment {
            name: column.to_string(),
            comment,
        },
    };
    session.engine().catalog().alter_table(found.table().oid, &[change])?;
    Ok("COMMENT".into())
}
