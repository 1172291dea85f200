//! Child tables that rows name and that do not exist yet. They are created together, just before their rows are held: a statement that fails
//! creates nothing.

use std::sync::Arc;

use arrow::array::ArrayRef;
use hashbrown::HashMap;
use taospg_catalog::{Catalog, Database, NewChild, SeriesRef, Table};

use super::column::ColumnBuilder;
use super::datum::null_violation;
use super::names::Names;
use super::rows::PROVISIONAL;
use crate::{ErrorKind, QueryError};

/// Longer names are refused by the catalog; refusing them with the row tells which row it is.
const NAME_BYTES_MAX: usize = 192;

#[derive(Default)]
pub struct NewTables {
    groups: Vec<Group>,
    /// New tables by name, for each database.
    by_name: Vec<(u32, HashMap<String, SeriesRef>)>,
    /// Rows of tags seen, for each supertable: as bytes of whoever reads them.
    by_tags: Vec<(u32, HashMap<Vec<u8>, SeriesRef>)>,
    /// The group of each provisional series and its row there.
    members: Vec<(usize, usize)>,
    bytes: usize,
}

/// New children of one supertable.
struct Group {
    table: Arc<Table>,
    names: Vec<NewChild>,
    vnodes: Vec<u32>,
    tags: Vec<ColumnBuilder>,
}

/// Adds one row to a supertable's tags.
pub type PushTags<'a> = &'a mut dyn FnMut(&mut [ColumnBuilder]) -> Result<(), QueryError>;

fn of_key<V: Default>(maps: &mut Vec<(u32, V)>, key: u32) -> &mut V {
    let index = match maps.iter().position(|(known, _)| *known == key) {
        Some(index) => index,
        None => {
            maps.push((key, V::default()));
            maps.len() - 1
        }
    };
    &mut maps[index].1
}

impl NewTables {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// The series of a child by its name; new, with the tags that `push_tags` adds, if there is none.
    pub fn by_name(
        &mut self,
        names: &mut dyn Names,
        (database, table): (&Database, &Arc<Table>),
        name: &str,
        push_tags: PushTags<'_>,
    ) -> Result<SeriesRef, QueryError> {
        if let Some(child) = names.find(name) {
            if child.supertable != table.oid {
                return Err(QueryError::new(
                    ErrorKind::WrongObjectType,
                    format!("table \"{name}\" is not a child of supertable \"{}\"", table.name),
                ));
            }
            return Ok(child.series);
        }
        if let Some(known) = of_key(&mut self.by_name, database.oid).get(name).copied() {
            self.check_group(known, table, name)?;
            return Ok(known);
        }
        check_name(name)?;
        let vnode = names.place(name)?;
        let group = self.group(database, table);
        push_tags(&mut self.groups[group].tags)?;
        self.check_tags(group)?;
        Ok(self.add(group, database.oid, name.to_owned(), true, vnode))
    }

    /// The series of the child that has these tags. `key`: bytes that are equal only for equal tags.
    pub fn by_tags(
        &mut self,
        names: &mut dyn Names,
        (database, table): (&Database, &Arc<Table>),
        key: &[u8],
        push_tags: PushTags<'_>,
    ) -> Result<SeriesRef, QueryError> {
        if let Some(known) = of_key(&mut self.by_tags, table.oid).get(key) {
            return Ok(*known);
        }
        let mut tags = tag_builders(database, table);
        push_tags(&mut tags)?;
        let tags: Vec<ArrayRef> = tags.iter_mut().map(ColumnBuilder::finish).collect();
        let series = match names.find_derived(table, &tags) {
            Some(child) => child.series,
            None => self.derive(names, (database, table), &tags)?,
        };
        // 24: the map's entry.
        self.bytes += key.len() + 24;
        of_key(&mut self.by_tags, table.oid).insert(key.to_vec(), series);
        Ok(series)
    }

    fn derive(
        &mut self,
        names: &mut dyn Names,
        (database, table): (&Database, &Arc<Table>),
        tags: &[ArrayRef],
    ) -> Result<SeriesRef, QueryError> {
        let name = names.derived_name(table, tags);
        if let Some(known) = of_key(&mut self.by_name, database.oid).get(name.as_str()) {
            return Ok(*known);
        }
        let vnode = names.place(&name)?;
        let group = self.group(database, table);
        for ((builder, tag), definition) in self.groups[group].tags.iter_mut().zip(tags).zip(&table.tags) {
            builder
                .append(tag)
                .map_err(|error| error.for_column(&definition.name, &definition.sql_type.display_name()))?;
        }
        self.check_tags(group)?;
        Ok(self.add(group, database.oid, name, false, vnode))
    }

    fn add(&mut self, group: usize, database_oid: u32, name: String, named: bool, vnode: u32) -> SeriesRef {
        let series = SeriesRef {
            vnode,
            series: PROVISIONAL + self.members.len() as u32, // held bytes are capped far below 2^31 tables
        };
        let members = &mut self.groups[group];
        self.members.push((group, members.names.len()));
        members.vnodes.push(vnode);
        members.names.push(NewChild {
            name: named.then(|| name.clone()),
        });
        let tags: usize = members.tags.iter().map(ColumnBuilder::value_bytes).sum();
        // The name stands in the map and in the group; 64: their headers.
        self.bytes += 2 * name.len() + tags + 64;
        of_key(&mut self.by_name, database_oid).insert(name, series);
        series
    }

    fn group(&mut self, database: &Database, table: &Arc<Table>) -> usize {
        let known = |group: &Group| group.table.oid == table.oid && group.table.version == table.version;
        self.groups.iter().position(known).unwrap_or_else(|| {
            self.groups.push(Group {
                table: Arc::clone(table),
                names: Vec::new(),
                vnodes: Vec::new(),
                tags: tag_builders(database, table),
            });
            self.groups.len() - 1
        })
    }

    fn check_group(&self, known: SeriesRef, table: &Table, name: &str) -> Result<(), QueryError> {
        let (group, _) = self.members[(known.series - PROVISIONAL) as usize];
        if self.groups[group].table.oid == table.oid {
            return Ok(());
        }
        Err(QueryError::new(
            ErrorKind::WrongObjectType,
            format!("table \"{name}\" is not a child of supertable \"{}\"", table.name),
        ))
    }

    /// The row just added: tags nobody gave are null, and may have to be something.
    fn check_tags(&mut self, group: usize) -> Result<(), QueryError> {
        let group = &mut self.groups[group];
        let rows = group.names.len() + 1;
        for (builder, tag) in group.tags.iter_mut().zip(&group.table.tags) {
            if builder.len() < rows && tag.not_null {
                return Err(null_violation(&tag.name, &group.table.name));
            }
            builder.pad(rows);
        }
        Ok(())
    }

    /// The names of provisional series, in their order.
    #[cfg(test)]
    pub fn names_for_test(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.members.len()];
        for (name, series) in self.by_name.iter().flat_map(|(_, names)| names) {
            names[(series.series - PROVISIONAL) as usize] = name.clone();
        }
        names
    }

    /// Creates them all; answers with the series of each provisional one.
    pub fn create(&mut self, catalog: &Catalog) -> Result<Vec<SeriesRef>, QueryError> {
        let mut created = Vec::with_capacity(self.groups.len());
        for group in &mut self.groups {
            let tags: Vec<ArrayRef> = group.tags.iter_mut().map(ColumnBuilder::finish).collect();
            let children = catalog.create_children(group.table.oid, &group.names, &tags)?;
            if children
                .iter()
                .zip(&group.vnodes)
                .any(|(child, vnode)| child.series.vnode != *vnode)
            {
                // Another session renamed a table to this name between the row and now.
                return Err(QueryError::new(
                    ErrorKind::ObjectInUse,
                    format!(
                        "a new child table of \"{}\" has appeared elsewhere meanwhile",
                        group.table.name
                    ),
                )
                .with_hint("Try again."));
            }
            created.push(children);
        }
        let members = self.members.iter();
        let series = members.map(|(group, row)| created[*group][*row].series).collect();
        *self = NewTables::default();
        Ok(series)
    }
}

fn tag_builders(database: &Database, table: &Table) -> Vec<ColumnBuilder> {
    let precision = database.options.precision;
    table
        .tags
        .iter()
        .map(|tag| ColumnBuilder::new(&tag.sql_type, precision))
        .collect()
}

fn check_name(name: &str) -> Result<(), QueryError> {
    if name.is_empty() || name.contains('\0') {
        return Err(QueryError::new(
            ErrorKind::InvalidName,
            "a table's name must not be empty",
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(QueryError::new(
            ErrorKind::NameTooLong,
            format!("table name \"{name}\" is longer than {NAME_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}
