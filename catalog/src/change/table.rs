//! Making, altering and dropping supertables and plain tables.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::SeriesGiver;
use crate::catalog::NewTable;
use crate::image::{TableImage, table_named};
use crate::names::NameIndex;
use crate::roles::FIRST_ROLE;
use crate::rules::{self, ATTNUM_MAX};
use crate::store::Batch;
use crate::{Catalog, CatalogError, ChildChunk, Column, KEYED_ROW, KEYED_TIME, SqlType, Table, TableChange, TableKind};

impl Catalog {
    /// A table of the first superuser.
    pub fn create_table(&self, database_oid: u32, table: NewTable) -> Result<Arc<Table>, CatalogError> {
        self.create_table_of(FIRST_ROLE, database_oid, table)
    }

    pub fn create_table_of(&self, owner: u32, database_oid: u32, table: NewTable) -> Result<Arc<Table>, CatalogError> {
        let mut writer = self.writer.lock();
        let database = {
            let image = self.image.read_recursive();
            let database = image.database(database_oid)?;
            rules::check_table_name(&table.name)?;
            if database.is_taken(&table.name) {
                return Err(CatalogError::Exists {
                    what: "table",
                    name: table.name,
                });
            }
            if !database.names.has_room_for(1) {
                return Err(CatalogError::Refused(
                    "the names of this database fill all the room there is".into(),
                ));
            }
            database.database.clone()
        };
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut table = numbered(meta.take_oids(1)?, database_oid, table)?;
        rules::check_table(&table)?;
        let mut batch = Batch::default();
        if table.kind == TableKind::Plain {
            let series = SeriesGiver::new(&writer).take(&database, &table.name)?;
            batch.put_next_series(series.vnode, series.series + 1);
            table.series = Some(series);
        }
        batch.put_meta(&meta)?;
        batch.put_table(&table)?;
        let roles = self.put_owner(&mut batch, table.oid, owner, Some(database_oid))?;
        writer.store.commit(batch)?;
        if let Some(roles) = roles {
            self.show_roles(roles);
        }
        if let Some(series) = table.series {
            writer.next_series.insert(series.vnode, series.series + 1);
        }
        let table = Arc::new(table);
        let mut image = self.image.write();
        image.table_databases.insert(table.oid, database_oid);
        if let Some(database) = image.databases.get_mut(&database_oid) {
            database.insert_table(table.clone());
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(table)
    }

    /// All steps or none.
    pub fn alter_table(&self, oid: u32, changes: &[TableChange]) -> Result<Arc<Table>, CatalogError> {
        let mut writer = self.writer.lock();
        let (before, after, chunks) = {
            let image = self.image.read_recursive();
            let (database, table) = image.existing_table(oid)?;
            let before = table.table.clone();
            let mut after = (*before).clone();
            for change in changes {
                apply(&mut after, change)?;
            }
            if after == *before {
                return Ok(before);
            }
            rules::check_table(&after)?;
            if after.name != before.name && database.is_taken(&after.name) {
                return Err(CatalogError::Exists {
                    what: "table",
                    name: after.name,
                });
            }
            after.version += 1;
            let precision = database.database.options.precision;
            let retag = |chunk: &Arc<ChildChunk>| chunk.retagged(&before, &after, precision).map(Arc::new);
            let chunks: Vec<_> = if after.tags == before.tags {
                table.chunks.to_vec()
            } else {
                table.chunks.iter().map(retag).collect::<Result<_, _>>()?
            };
            (before, after, chunks)
        };
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        batch.put_table(&after)?;
        writer.store.commit(batch)?;
        let after = Arc::new(after);
        let mut image = self.image.write();
        if let Some(database) = image.database_of_table_mut(oid) {
            if after.name != before.name || after.kind != before.kind {
                database.names.remove(before.name.as_bytes());
                database.names.insert(after.name.as_bytes(), table_named(&after));
            }
            if let Some(table) = database.tables.get_mut(&oid) {
                table.table = after.clone();
                table.chunks = chunks.into();
            }
        }
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        Ok(after)
    }

    /// Removes a supertable with its children, or a plain table.
    pub fn drop_table(&self, oid: u32) -> Result<Arc<Table>, CatalogError> {
        let mut writer = self.writer.lock();
        let table = self.image.read_recursive().existing_table(oid)?.1.table.clone();
        let mut meta = writer.meta.clone();
        meta.version += 1;
        let mut batch = Batch::default();
        batch.put_meta(&meta)?;
        batch.delete_table(oid);
        let roles = self.forget_access(&mut batch, &[oid]);
        writer.store.commit(batch)?;
        if let Some(roles) = roles {
            self.show_roles(roles);
        }
        writer.records.remove(&oid);
        let mut image = self.image.write();
        let gone = image.database_of_table_mut(oid).and_then(|database| {
            let gone = database.tables.remove(&oid)?;
            forget_names(&mut database.names, &gone);
            Some(gone)
        });
        image.table_databases.remove(&oid);
        self.version.store(meta.version, Ordering::Release);
        writer.meta = meta;
        drop(image);
        drop(gone); // a million children take a while to free; readers need not wait for that
        Ok(table)
    }
}

fn forget_names(names: &mut NameIndex, gone: &TableImage) {
    // Going through all names costs a fraction of looking one up, for each.
    const LOOKUP_COST: u64 = 8;
    if gone.children_alive * LOOKUP_COST > names.len() as u64 {
        return names.remove_table(gone.table.oid);
    }
    names.remove(gone.table.name.as_bytes());
    for chunk in gone.chunks.iter() {
        for row in chunk.alive.set_indices() {
            names.remove(chunk.name(row).as_bytes());
        }
    }
    names.collect_garbage();
}

/// A column of a keyed table that its users do not see.
fn hidden(id: u16, name: &str, sql_type: SqlType) -> Column {
    Column {
        id,
        name: name.into(),
        sql_type,
        not_null: id == 0,
        attnum: 0,
        default: None,
        comment: None,
    }
}

/// The definition with ids and attnums given.
fn numbered(oid: u32, database_oid: u32, new: NewTable) -> Result<Table, CatalogError> {
    let NewTable {
        name,
        kind,
        declared,
        time: time_name,
        comment,
        indexes,
        keep,
    } = new;
    let count = declared.len();
    if count > rules::COLUMNS_MAX {
        let limit = rules::COLUMNS_MAX;
        return Err(CatalogError::Refused(format!(
            "table \"{name}\" can have at most {limit} columns and tags"
        )));
    }
    let keyed = time_name.as_deref() == Some(KEYED_TIME);
    let mut time = keyed.then(|| hidden(0, KEYED_TIME, SqlType::Timestamptz));
    let (mut metrics, mut tags) = (Vec::new(), Vec::new());
    let (mut next_column_id, mut next_attnum) = (1, 1);
    for (mut column, is_tag) in declared {
        column.attnum = next_attnum;
        next_attnum += 1;
        if !is_tag && time.is_none() && time_name.as_ref().is_none_or(|name| *name == column.name) {
            // Every row has a time.
            time = Some(Column {
                id: 0,
                not_null: true,
                ..column
            });
            continue;
        }
        column.id = next_column_id;
        next_column_id += 1;
        if is_tag { &mut tags } else { &mut metrics }.push(column);
    }
    if keyed && metrics.is_empty() {
        metrics.push(hidden(next_column_id, KEYED_ROW, SqlType::Boolean));
        next_column_id += 1;
    }
    Ok(Table {
        oid,
        database_oid,
        kind,
        version: 1,
        indexes,
        keep,
        columns: time.into_iter().chain(metrics).collect(),
        tags,
        series: None,
        comment,
        child_prefix: name.clone(),
        name,
        next_column_id,
        next_attnum,
    })
}

/// One step on a definition. What the whole must be is checked after the last step.
fn apply(table: &mut Table, change: &TableChange) -> Result<(), CatalogError> {
    match change {
        TableChange::AddColumn {
            name,
            sql_type,
            not_null,
            default,
        } => {
            let column = Column {
                not_null: *not_null,
                default: default.clone(),
                ..next_column(table, name, *sql_type)?
            };
            table.columns.push(column);
        }
        TableChange::AddTag { name, sql_type } => {
            must_be_super(table)?;
            let tag = next_column(table, name, *sql_type)?;
            table.tags.push(tag);
        }
        TableChange::DropColumn { name } => match find(table, name)? {
            Place::Time => {
                let message = format!(
                    "column \"{name}\" is the time of table \"{}\" and cannot be dropped",
                    table.name
                );
                return Err(CatalogError::Refused(message));
            }
            Place::Metric(_) if table.columns.len() == 2 => {
                let message = format!(
                    "column \"{name}\" is the last of table \"{}\" and cannot be dropped",
                    table.name
                );
                return Err(CatalogError::Refused(message));
            }
            Place::Metric(at) => {
                table.columns.remove(at);
                drop_indexes(table, name);
            }
            Place::Tag(at) => drop_tag(table, at)?,
        },
        TableChange::DropTag { name } => {
            let at = find_tag(table, name)?;
            drop_tag(table, at)?;
        }
        TableChange::RenameColumn { from, to } => {
            let place = find(table, from)?;
            rename(table, place, to)?;
        }
        TableChange::RenameTag { from, to } => {
            let place = Place::Tag(find_tag(table, from)?);
            rename(table, place, to)?;
        }
        TableChange::RenameTable { to } => {
            rules::check_table_name(to)?;
            table.name = to.clone();
        }
        TableChange::SetType { name, sql_type } => {
            rules::check_type(name, *sql_type)?;
            let place = find(table, name)?;
            let column = column_mut(table, place);
            if !rules::widens(column.sql_type, *sql_type) {
                return Err(CatalogError::Refused(format!(
                    "column \"{name}\" of type {} cannot become {}: a type can only be made wider",
                    column.sql_type.display_name(),
                    sql_type.display_name()
                )));
            }
            column.sql_type = *sql_type;
        }
        TableChange::SetKeep(keep) => table.keep = *keep,
        TableChange::SetComment(comment) => table.comment = comment.clone(),
        TableChange::SetColumnComment { name, comment } => {
            let place = find(table, name)?;
            column_mut(table, place).comment = comment.clone();
        }
        TableChange::MakeTags { names } => make_tags(table, names)?,
        TableChange::AddIndex(index) => {
            for column in &index.columns {
                find(table, column)?;
            }
            table.indexes.push(index.clone());
        }
        TableChange::DropIndex { name } => table.indexes.retain(|index| index.name != *name),
        TableChange::SetDefault { name, default } => {
            let place = find(table, name)?;
            column_mut(table, place).default = default.clone();
        }
    }
    Ok(())
}

fn make_tags(table: &mut Table, names: &[String]) -> Result<(), CatalogError> {
    for name in names {
        match find(table, name)? {
            Place::Metric(at) => {
                let column = table.columns.remove(at);
                table.tags.push(column);
            }
            Place::Tag(_) => {}
            Place::Time => {
                let message = format!("column \"{name}\" is the time of table \"{}\" and no tag", table.name);
                return Err(CatalogError::Refused(message));
            }
        }
    }
    table.tags.sort_by_key(|tag| tag.attnum);
    table.kind = TableKind::Super;
    table.series = None;
    Ok(())
}

#[derive(Clone, Copy)]
enum Place {
    Time,
    Metric(usize),
    Tag(usize),
}

fn find(table: &Table, name: &str) -> Result<Place, CatalogError> {
    let tag = || table.tags.iter().position(|tag| tag.name == name).map(Place::Tag);
    match table.columns.iter().position(|column| column.name == name) {
        Some(0) => Ok(Place::Time),
        Some(at) => Ok(Place::Metric(at)),
        None => tag().ok_or_else(|| CatalogError::NotFound {
            what: "column",
            name: name.into(),
        }),
    }
}

fn find_tag(table: &Table, name: &str) -> Result<usize, CatalogError> {
    must_be_super(table)?;
    match find(table, name) {
        Ok(Place::Tag(at)) => Ok(at),
        Ok(_) => Err(CatalogError::WrongKind(format!(
            "column \"{name}\" of supertable \"{}\" is not a tag",
            table.name
        ))),
        Err(_) => Err(CatalogError::NotFound {
            what: "tag",
            name: name.into(),
        }),
    }
}

fn column_mut(table: &mut Table, place: Place) -> &mut Column {
    match place {
        Place::Time => &mut table.columns[0],
        Place::Metric(at) => &mut table.columns[at],
        Place::Tag(at) => &mut table.tags[at],
    }
}

fn must_be_super(table: &Table) -> Result<(), CatalogError> {
    match table.kind {
        TableKind::Super => Ok(()),
        TableKind::Plain => Err(CatalogError::WrongKind(format!(
            "table \"{}\" is not a supertable: it has no tags",
            table.name
        ))),
    }
}

fn next_column(table: &mut Table, name: &str, sql_type: SqlType) -> Result<Column, CatalogError> {
    must_be_new(table, name)?;
    let (id, attnum) = (table.next_column_id, table.next_attnum);
    if attnum > ATTNUM_MAX {
        let message = format!(
            "table \"{}\" has had {ATTNUM_MAX} columns and can have no more",
            table.name
        );
        return Err(CatalogError::Refused(message));
    }
    table.next_column_id += 1;
    table.next_attnum += 1;
    Ok(Column {
        id,
        name: name.into(),
        sql_type,
        not_null: false,
        attnum,
        default: None,
        comment: None,
    })
}

fn must_be_new(table: &Table, name: &str) -> Result<(), CatalogError> {
    let what = match find(table, name) {
        Err(_) => return Ok(()),
        Ok(Place::Tag(_)) => "tag",
        Ok(_) => "column",
    };
    Err(CatalogError::Exists {
        what,
        name: name.into(),
    })
}

fn rename(table: &mut Table, place: Place, to: &str) -> Result<(), CatalogError> {
    if column_mut(table, place).name != to {
        must_be_new(table, to)?;
    }
    let from = std::mem::replace(&mut column_mut(table, place).name, to.into());
    let indexed = table.indexes.iter_mut().flat_map(|index| &mut index.columns);
    indexed
        .filter(|column| **column == from)
        .for_each(|column| *column = to.into());
    Ok(())
}

fn drop_tag(table: &mut Table, at: usize) -> Result<(), CatalogError> {
    if table.is_keyed() {
        let (tag, table) = (&table.tags[at].name, &table.name);
        let message = format!("column \"{tag}\" is part of the key of table \"{table}\" and cannot be dropped");
        return Err(CatalogError::Refused(message));
    }
    if table.tags.len() == 1 {
        let (tag, table) = (&table.tags[at].name, &table.name);
        let message = format!("tag \"{tag}\" is the last of supertable \"{table}\" and cannot be dropped");
        return Err(CatalogError::Refused(message));
    }
    let gone = table.tags.remove(at);
    drop_indexes(table, &gone.name);
    Ok(())
}

/// An index goes with any of its columns.
fn drop_indexes(table: &mut Table, column: &str) {
    table
        .indexes
        .retain(|index| !index.columns.iter().any(|own| own == column));
}
