//! Where rows go: the table that a statement names, and what each of its columns is to it.

use std::sync::Arc;

use taospg_catalog::{ChildRef, Database, Relation, SeriesRef, SqlType, Table, TableKind};

use super::keyed;
use crate::temporary::table::Definition;
use crate::{Engine, ErrorKind, QueryError, Session};

/// A relation's name as written: up to three parts, folded or quoted.
#[derive(Clone, Debug, PartialEq)]
pub struct RelationName {
    pub parts: Vec<String>,
    /// Byte in the statement's text, from 1. Errors have it as their position; who has the text makes it the character.
    pub place: Option<usize>,
}

/// A column's name in a list, and its byte in the statement's text, from 1.
pub type ColumnName = (String, Option<usize>);

/// The name of the table's name.
pub const TBNAME: &str = "tbname";

/// The one schema of every database.
const SCHEMA: &str = "public";

/// A table that takes rows.
#[derive(Clone)]
pub struct Target {
    pub database: Arc<Database>,
    pub table: Arc<Table>,
    pub place: Place,
    /// Of a keyed table: the table itself, while `table` is how its rows are read.
    pub keyed: Option<Arc<Table>>,
    /// A temporary table; `table` is how its rows are read.
    pub temporary: Option<Arc<Definition>>,
    /// The relation's own name, for messages.
    pub name: String,
}

/// Which series a target's rows have.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Named by each row's `tbname` or found by its tags.
    Supertable,
    /// A plain table.
    Plain(SeriesRef),
    /// A child table, looked up again at each execution.
    Child,
}

/// What one value of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    TableName,
    Time,
    /// Place in `Table::columns` without the time.
    Metric(usize),
    /// Place in `Table::tags`.
    Tag(usize),
}

impl RelationName {
    /// The database meant and the relation's own name.
    pub fn locate(&self, session: &Session) -> Result<(Arc<Database>, &str), QueryError> {
        let schema_missing = |schema: &str| {
            let error = QueryError::new(
                ErrorKind::InvalidSchemaName,
                format!("schema \"{schema}\" does not exist"),
            );
            self.placed(error)
        };
        let other = |name: &str| session.engine().catalog().database(name);
        match self.parts.as_slice() {
            [name] => Ok((session.database()?, name)),
            [schema, name] if schema == SCHEMA => Ok((session.database()?, name)),
            [first, name] => match other(first) {
                Some(database) => Ok((database, name)),
                None => Err(schema_missing(first)),
            },
            [first, schema, name] if schema == SCHEMA => match other(first) {
                Some(database) => Ok((database, name)),
                None => Err(self.placed(QueryError::new(
                    ErrorKind::InvalidCatalogName,
                    format!("database \"{first}\" does not exist"),
                ))),
            },
            [_, schema, _] => Err(schema_missing(schema)),
            parts => Err(self.placed(QueryError::new(
                ErrorKind::SyntaxError,
                format!("improper relation name (too many dotted names): {}", parts.join(".")),
            ))),
        }
    }

    fn placed(&self, error: QueryError) -> QueryError {
        match self.place {
            Some(place) => error.with_position(place),
            None => error,
        }
    }

    pub fn missing(&self) -> QueryError {
        self.placed(QueryError::new(
            ErrorKind::UndefinedTable,
            format!("relation \"{}\" does not exist", self.parts.join(".")),
        ))
    }

    /// The existing table of this name.
    pub fn target(&self, session: &Session) -> Result<Target, QueryError> {
        if let Some(target) = self.temporary(session)? {
            return Ok(target);
        }
        let (database, name) = self.locate(session)?;
        let Some(relation) = session.engine().catalog().relation(database.oid, name) else {
            crate::ddl::refuse_view(session, database.oid, name).map_err(|error| self.placed(error))?;
            return Err(self.missing());
        };
        let mut keyed = None;
        let (table, place) = match relation {
            Relation::Child { supertable, .. } if supertable.is_keyed() => return Err(self.inside(&supertable)),
            Relation::Child { supertable, .. } => (supertable, Place::Child),
            Relation::Table(table) if table.is_keyed() => {
                let staged = Arc::new(keyed::staged(&table));
                keyed = Some(table);
                (staged, Place::Plain(keyed::STAGED))
            }
            Relation::Table(table) => match (table.kind, table.series) {
                (TableKind::Super, _) => (table, Place::Supertable),
                (TableKind::Plain, Some(series)) => (table, Place::Plain(series)),
                (TableKind::Plain, None) => return Err(self.missing()),
            },
        };
        Ok(Target {
            database,
            table,
            place,
            keyed,
            temporary: None,
            name: name.to_owned(),
        })
    }

    /// The temporary table of this name.
    fn temporary(&self, session: &Session) -> Result<Option<Target>, QueryError> {
        let temporaries = session.temporaries();
        let (schema, name) = match self.parts.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            [database, schema, name] if database == session.database_name() => (Some(schema.as_str()), name),
            _ => return Ok(None),
        };
        let Some(found) = temporaries.find(schema, name) else {
            return match schema.is_some_and(|schema| temporaries.is_schema(schema)) {
                true => Err(self.missing()),
                false => Ok(None),
            };
        };
        let definition = found.definition.clone();
        Ok(Some(Target {
            database: definition.database.clone(),
            table: Arc::new(keyed::staged(&definition.table)),
            place: Place::Plain(keyed::STAGED),
            keyed: None,
            temporary: Some(definition),
            name: name.to_owned(),
        }))
    }

    /// Rows of a keyed table go through the table, which alone knows its keys.
    fn inside(&self, table: &Table) -> QueryError {
        let message = format!("\"{}\" is a row of table \"{}\"", self.parts.join("."), table.name);
        let error = QueryError::new(ErrorKind::WrongObjectType, message);
        self.placed(error.with_hint(format!("write to table \"{}\"", table.name)))
    }

    /// The child table of this name, which may not exist yet, of a supertable in its database.
    pub fn target_using(&self, session: &Session, supertable: &RelationName) -> Result<Target, QueryError> {
        let (database, name) = self.locate(session)?;
        // `USING meters` means the database that the table is in, unless it says otherwise.
        let (super_database, super_name) = match supertable.parts.as_slice() {
            [super_name] => (Arc::clone(&database), super_name.as_str()),
            _ => supertable.locate(session)?,
        };
        if super_database.oid != database.oid {
            return Err(supertable.placed(QueryError::new(
                ErrorKind::FeatureNotSupported,
                format!("table \"{name}\" and supertable \"{super_name}\" are in different databases"),
            )));
        }
        let relation = session.engine().catalog().relation(database.oid, super_name);
        match relation {
            Some(Relation::Table(table)) if table.kind == TableKind::Super && !table.is_keyed() => Ok(Target {
                keyed: None,
                temporary: None,
                database,
                table,
                place: Place::Child,
                name: name.to_owned(),
            }),
            Some(_) => Err(supertable.placed(QueryError::new(
                ErrorKind::WrongObjectType,
                format!("\"{super_name}\" is not a supertable"),
            ))),
            None => Err(supertable.missing()),
        }
    }
}

/// Which tag of a supertable a name in a list of tags means; one that is taken stood there before.
pub(crate) fn tag_place(table: &Table, name: &str, is_taken: impl Fn(usize) -> bool) -> Result<usize, QueryError> {
    match table.tags.iter().position(|tag| tag.name == *name) {
        Some(place) if is_taken(place) => {
            let message = format!("column \"{name}\" specified more than once");
            Err(QueryError::new(ErrorKind::DuplicateColumn, message))
        }
        Some(place) => Ok(place),
        None => {
            let message = format!("tag \"{name}\" of supertable \"{}\" does not exist", table.name);
            Err(QueryError::new(ErrorKind::UndefinedColumn, message))
        }
    }
}

impl Target {
    /// What each value of a row is: the listed columns, or all in declared order.
    pub fn fields(&self, columns: Option<&[ColumnName]>) -> Result<Vec<Field>, QueryError> {
        let Some(columns) = columns else {
            return Ok(self.declared());
        };
        let mut fields = Vec::with_capacity(columns.len());
        for (name, place) in columns {
            let placed = |error: QueryError| match place {
                Some(place) => error.with_position(*place),
                None => error,
            };
            let field = self.field(name).map_err(placed)?;
            if fields.contains(&field) {
                return Err(placed(QueryError::new(
                    ErrorKind::DuplicateColumn,
                    format!("column \"{name}\" specified more than once"),
                )));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn declared(&self) -> Vec<Field> {
        let columns = self.table.columns.iter().enumerate().map(|(index, column)| {
            let field = match index.checked_sub(1) {
                Some(metric) => Field::Metric(metric),
                None => Field::Time,
            };
            (column.attnum, field)
        });
        let mut fields: Vec<(u16, Field)> = columns.filter(|(attnum, _)| *attnum > 0).collect();
        if self.place == Place::Supertable {
            let tags = self.table.tags.iter().enumerate();
            fields.extend(tags.map(|(index, tag)| (tag.attnum, Field::Tag(index))));
        }
        fields.sort_by_key(|(attnum, _)| *attnum);
        fields.into_iter().map(|(_, field)| field).collect()
    }

    fn field(&self, name: &str) -> Result<Field, QueryError> {
        if let Some(index) = self.table.columns.iter().position(|column| column.name == name) {
            return Ok(match index.checked_sub(1) {
                Some(metric) => Field::Metric(metric),
                None => Field::Time,
            });
        }
        let tag = self.table.tags.iter().position(|tag| tag.name == name);
        match (tag, &self.place) {
            (Some(tag), Place::Supertable) => return Ok(Field::Tag(tag)),
            (None, Place::Supertable) if name == TBNAME => return Ok(Field::TableName),
            _ => {}
        }
        let error = QueryError::new(
            ErrorKind::UndefinedColumn,
            format!("column \"{name}\" of relation \"{}\" does not exist", self.name),
        );
        Err(if tag.is_some() {
            error.with_hint(format!(
                "\"{name}\" is a tag: insert into supertable \"{}\", or use ALTER TABLE {} SET TAG.",
                self.table.name, self.name
            ))
        } else {
            error
        })
    }

    /// The name and type of a field's column.
    pub fn column(&self, field: Field) -> (&str, SqlType) {
        let column = match field {
            Field::TableName => return (TBNAME, SqlType::Text),
            Field::Time => self.table.columns.first(),
            Field::Metric(metric) => self.table.columns.get(metric + 1),
            Field::Tag(tag) => self.table.tags.get(tag),
        };
        column.map_or(("", SqlType::Text), |column| (column.name.as_str(), column.sql_type))
    }

    /// Whether null is refused there.
    pub fn not_null(&self, field: Field) -> bool {
        match field {
            Field::TableName | Field::Time => true,
            Field::Metric(metric) => self.table.columns.get(metric + 1).is_some_and(|column| column.not_null),
            Field::Tag(_) => false, // asked for new tables alone
        }
    }

    /// Whether times of rows are instants.
    pub fn zoned_time(&self) -> bool {
        self.table.time_column().sql_type != SqlType::Timestamp
    }

    /// Columns that rows of these fields leave to their defaults, with the SQL text.
    pub fn defaults(&self, fields: &[Field]) -> Vec<(Field, &str)> {
        self.stored()
            .filter(|field| !fields.contains(field))
            .filter_map(|field| Some((field, self.default(field)?)))
            .collect()
    }

    /// The SQL text of a column's default.
    pub fn default(&self, field: Field) -> Option<&str> {
        let index = match field {
            Field::Time => 0,
            Field::Metric(metric) => metric + 1,
            Field::TableName | Field::Tag(_) => return None,
        };
        self.table.columns.get(index)?.default.as_deref()
    }

    /// Time and metrics.
    fn stored(&self) -> impl Iterator<Item = Field> {
        std::iter::once(Field::Time).chain((1..self.table.columns.len()).map(|index| Field::Metric(index - 1)))
    }

    /// The first column that is null in every row of these fields and may not be.
    pub fn missing(&self, fields: &[Field]) -> Option<&str> {
        self.stored()
            .filter(|field| self.not_null(*field) && self.default(*field).is_none())
            .find(|field| !fields.contains(field))
            .map(|field| self.column(field).0)
    }
}

/// The child that a child target means now.
pub fn find_child(engine: &Engine, target: &Target) -> Result<ChildRef, QueryError> {
    match engine.catalog().relation(target.database.oid, &target.name) {
        Some(Relation::Child { child, .. }) if child.supertable == target.table.oid => Ok(child),
        _ => Err(QueryError::new(
            ErrorKind::UndefinedTable,
            format!("relation \"{}\" does not exist", target.name),
        )),
    }
}
