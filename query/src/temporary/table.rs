//! One temporary table: its definition, which stays, and its rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use parking_lot::Mutex;
use taospg_catalog::{Column, Database, DatabaseOptions, Precision, Table};

use super::rows::{KeyColumns, Rows};
use crate::ingest::keyed::{Constraint, is_serial};
use crate::statement::OnCommit;
use crate::{ErrorKind, QueryError, plan};

/// What CREATE said, as the catalog would have it: a table without a time, whose columns are all metrics.
#[derive(Debug)]
pub struct Definition {
    pub(crate) table: Arc<Table>,
    /// Where it was made. Its times have microseconds, as PostgreSQL's have, whatever the database keeps.
    pub(crate) database: Arc<Database>,
    pub(crate) owner: u32,
    pub(crate) on_commit: OnCommit,
    /// The primary key first, if there is one.
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) has_key: bool,
    /// The next number of each column that is numbered. ROLLBACK gives none back, as in PostgreSQL.
    next_numbers: Mutex<BTreeMap<u16, i64>>,
}

impl Definition {
    pub(crate) fn new(
        table: Table,
        database: &Database,
        owner: u32,
        on_commit: OnCommit,
        key: Option<Constraint>,
        unique: Vec<Constraint>,
    ) -> Definition {
        Definition {
            table: Arc::new(table),
            database: Arc::new(Database {
                options: DatabaseOptions {
                    precision: Precision::Microsecond,
                    ..database.options.clone()
                },
                ..database.clone()
            }),
            owner,
            on_commit,
            has_key: key.is_some(),
            constraints: key.into_iter().chain(unique).collect(),
            next_numbers: Mutex::default(),
        }
    }

    pub fn precision(&self) -> Precision {
        self.database.options.precision
    }

    /// Its columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.table.columns[1..]
    }

    /// The columns of the primary key.
    pub fn key(&self) -> Vec<&Column> {
        let key = self.constraints.first().filter(|_| self.has_key);
        let named = |name: &String| self.columns().iter().find(|column| column.name == *name);
        key.iter().flat_map(|key| &key.columns).filter_map(named).collect()
    }

    /// How its rows are kept.
    pub fn schema(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.sql_type.arrow_type(self.precision()), true);
        Arc::new(Schema::new(self.columns().iter().map(field).collect::<Vec<_>>()))
    }

    fn key_columns(&self) -> Arc<[KeyColumns]> {
        let place = |name: &String| self.columns().iter().position(|column| column.name == *name);
        let columns = |constraint: &Constraint| constraint.columns.iter().filter_map(place).collect();
        self.constraints.iter().map(columns).collect()
    }

    /// The next numbers in the places of nulls.
    pub fn number(&self, column: &Column, array: &ArrayRef) -> Result<ArrayRef, QueryError> {
        if array.null_count() == 0 || !is_serial(column) {
            return Ok(array.clone());
        }
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let failed = |error: arrow::error::ArrowError| plan::errors::translate(error.into());
        let whole = cast_with_options(array, &DataType::Int64, &strict).map_err(failed)?;
        let mut numbers = self.next_numbers.lock();
        let next = numbers.entry(column.id).or_insert(1);
        let numbered: Int64Array = whole
            .as_primitive::<Int64Type>()
            .iter()
            .map(|given| {
                given.unwrap_or_else(|| {
                    *next = next.saturating_add(1);
                    *next - 1
                })
            })
            .collect();
        cast_with_options(&numbered, array.data_type(), &strict).map_err(|_| {
            let (table, column) = (&self.table.name, &column.name);
            let message = format!("column \"{column}\" of table \"{table}\" has no numbers left");
            QueryError::new(ErrorKind::NumericValueOutOfRange, message)
        })
    }
}

/// A temporary table at one moment.
#[derive(Clone, Debug)]
pub(crate) struct TemporaryTable {
    pub definition: Arc<Definition>,
    pub held: Rows,
}

impl TemporaryTable {
    pub fn new(definition: Definition) -> TemporaryTable {
        TemporaryTable {
            held: Rows::new(definition.schema(), definition.key_columns()),
            definition: Arc::new(definition),
        }
    }

    pub fn name(&self) -> &str {
        &self.definition.table.name
    }

    pub fn rows(&self) -> usize {
        self.held.count()
    }

    pub fn bytes(&self) -> usize {
        self.held.bytes()
    }

    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.held.batches()
    }

    /// The same table with these rows.
    pub fn with_rows(&self, held: Rows) -> TemporaryTable {
        TemporaryTable {
            definition: self.definition.clone(),
            held,
        }
    }

    /// A table without constraints under another name.
    pub fn renamed(&self, name: &str) -> TemporaryTable {
        let old = &self.definition;
        let table = Table {
            name: name.to_string(),
            ..(*old.table).clone()
        };
        TemporaryTable {
            definition: Arc::new(Definition::new(
                table,
                &old.database,
                old.owner,
                old.on_commit,
                None,
                Vec::new(),
            )),
            held: self.held.clone(),
        }
    }

    pub fn emptied(&self) -> TemporaryTable {
        self.with_rows(Rows::new(self.definition.schema(), self.definition.key_columns()))
    }

    /// Refuses rows of which two have one key.
    pub fn check_unique(&self, rules: impl Iterator<Item = usize>) -> Result<(), QueryError> {
        for rule in rules {
            if let Some(place) = self.held.duplicate(rule).map_err(failed)? {
                let row = self.held.taken(&[place]).map_err(failed)?;
                return Err(self.duplicate(rule, &row, 0));
            }
        }
        Ok(())
    }

    /// `duplicate key value violates …`, about a row of a batch.
    pub fn duplicate(&self, rule: usize, batch: &RecordBatch, row: usize) -> QueryError {
        let constraint = &self.definition.constraints[rule];
        let arrays = constraint.columns.iter().filter_map(|name| batch.column_by_name(name));
        let arrays: Vec<ArrayRef> = arrays.cloned().collect();
        crate::ingest::keyed::duplicate(constraint, &arrays, row)
    }
}

pub(super) fn failed(error: arrow::error::ArrowError) -> QueryError {
    plan::errors::translate(error.into())
}
