//! A supertable, child table or plain table as DataFusion sees it, and how a query's filters become a scan.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use taospg_catalog::{ChildRef, Column, Database, SqlType, Table};

use super::context::QueryContext;
use super::filter::{self, Meaning};
use super::resolve::Named;
use super::scan::{ScanParts, SeriesScan};
use super::{errors, planner};
use crate::pg_type::{self, oid};

/// Where the values of a column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Time,
    /// Index in `Table::columns`.
    Metric(usize),
    /// Index in `Table::tags`.
    Tag(usize),
    /// The table's name, `tbname`.
    Name,
    /// For DELETE and UPDATE.
    Vnode,
    Series,
    Slot,
}

impl Source {
    /// Whether all rows of one series have the same value.
    pub fn is_of_series(self) -> bool {
        !matches!(self, Source::Time | Source::Metric(_))
    }
}

/// The pseudo-column that holds a table's name.
pub const TBNAME: &str = "tbname";

/// What identifies a row to a DELETE or UPDATE, under names that no column can have.
pub const VNODE: &str = "\u{1}vnode";
pub const SERIES: &str = "\u{1}series";
pub const SLOT: &str = "\u{1}slot";

/// Rows of the family as DataFusion scans them. Holds definitions only; what one execution sees comes with its [`QueryContext`].
#[derive(Clone, Debug)]
pub struct SeriesTable {
    pub database: Arc<Database>,
    pub table: Arc<Table>,
    pub child: Option<ChildRef>,
    /// The owner of the view that reads it; `None` is who asks.
    pub reader: Option<u32>,
    /// The newest row of each series, and no other.
    pub newest: bool,
    pub sources: Arc<[Source]>,
    schema: SchemaRef,
}

impl SeriesTable {
    /// `mentioned`: identifiers of the statement. Pseudo-columns (`tbname`, tags of a child table) exist only where they are mentioned, and
    /// `*` leaves them out.
    pub fn new(named: &Named, mentioned: &HashSet<String>) -> SeriesTable {
        let mut columns: Vec<(Source, Field)> = Vec::new();
        for column in visible(&named.table, named.child) {
            columns.push(described(&named.database, &named.table, column));
        }
        for column in pseudo(&named.table, named.child, mentioned) {
            columns.push(match column {
                None => name_column(),
                Some(tag) => described(&named.database, &named.table, tag),
            });
        }
        SeriesTable::with_columns(named, columns)
    }

    /// As a DELETE or UPDATE looks at it: everything that identifies a row, all columns, tags and the name.
    pub fn for_change(named: &Named) -> SeriesTable {
        let table = &named.table;
        let mut columns: Vec<(Source, Field)> = [
            (Source::Vnode, VNODE, DataType::UInt32),
            (Source::Series, SERIES, DataType::UInt32),
            (Source::Slot, SLOT, DataType::UInt32),
        ]
        .into_iter()
        .map(|(source, name, data_type)| (source, Field::new(name, data_type, false)))
        .collect();
        for column in table.columns.iter().chain(&table.tags) {
            columns.push(described(&named.database, table, column));
        }
        if !table
            .columns
            .iter()
            .chain(&table.tags)
            .any(|column| column.name == TBNAME)
        {
            columns.push(name_column());
        }
        SeriesTable::with_columns(named, columns)
    }

    fn with_columns(named: &Named, columns: Vec<(Source, Field)>) -> SeriesTable {
        let (sources, fields): (Vec<Source>, Vec<Field>) = columns.into_iter().unzip();
        SeriesTable {
            database: named.database.clone(),
            table: named.table.clone(),
            child: named.child,
            reader: named.reader,
            newest: false,
            sources: sources.into(),
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// The same table showing only the newest row of each series.
    pub fn as_newest(&self) -> SeriesTable {
        SeriesTable {
            newest: true,
            ..self.clone()
        }
    }

    pub fn source(&self, name: &str) -> Option<Source> {
        let index = self.schema.index_of(name).ok()?;
        self.sources.get(index).copied()
    }

    /// The catalog's column behind a source.
    pub fn column(&self, source: Source) -> Option<&Column> {
        match source {
            Source::Time => self.table.columns.first(),
            Source::Metric(index) => self.table.columns.get(index),
            Source::Tag(index) => self.table.tags.get(index),
            _ => None,
        }
    }

    /// The time column as scans give it.
    pub fn time_field(&self) -> Field {
        described(&self.database, &self.table, self.table.time_column()).1
    }

    /// What a filter means to a scan of this table.
    pub fn meaning(&self, filter: &Expr) -> Meaning {
        filter::meaning(self, filter)
    }
}

/// Columns that `*` shows: all as declared; of a child table without its tags.
fn visible(table: &Table, child: Option<ChildRef>) -> Vec<&Column> {
    match child {
        None => table.declared(),
        Some(_) => table.columns.iter().filter(|column| !column.is_hidden()).collect(),
    }
}

/// Columns that only their name brings in: `None` is `tbname`.
fn pseudo<'a>(table: &'a Table, child: Option<ChildRef>, mentioned: &HashSet<String>) -> Vec<Option<&'a Column>> {
    let mut found = Vec::new();
    if child.is_some() {
        let tags = table.tags.iter().filter(|tag| mentioned.contains(&tag.name));
        found.extend(tags.map(Some));
    }
    let declared = table
        .columns
        .iter()
        .chain(&table.tags)
        .any(|column| column.name == TBNAME);
    if mentioned.contains(TBNAME) && !declared {
        found.push(None);
    }
    found
}

/// Names that `*` must leave out of this relation for this statement.
pub fn hidden(named: &Named, mentioned: &HashSet<String>) -> Vec<String> {
    pseudo(&named.table, named.child, mentioned)
        .into_iter()
        .map(|column| column.map_or(TBNAME.to_string(), |tag| tag.name.clone()))
        .collect()
}

fn name_column() -> (Source, Field) {
    let field = Field::new(TBNAME, DataType::Utf8View, false);
    (Source::Name, field)
}

pub(super) fn described(database: &Database, table: &Table, column: &Column) -> (Source, Field) {
    let tag = table
        .tags
        .iter()
        .position(|tag| tag.id == column.id && tag.attnum == column.attnum);
    let source = match tag {
        Some(index) => Source::Tag(index),
        None => match table
            .columns
            .iter()
            .position(|other| other.id == column.id)
            .unwrap_or_default()
        {
            0 => Source::Time,
            index => Source::Metric(index),
        },
    };
    let data_type = column.sql_type.arrow_type(database.options.precision);
    let type_oid = column.sql_type.oid();
    let field = Field::new(&column.name, data_type, source != Source::Time);
    if let SqlType::Char(length) = column.sql_type {
        return (source, field.with_metadata(pg_type::padded_metadata(length)));
    }
    let ambiguous = pg_type::data_type_oid(field.data_type()) != type_oid || type_oid == oid::TEXT;
    match ambiguous {
        true => (source, field.with_metadata(pg_type::type_metadata(type_oid))),
        false => (source, field),
    }
}

#[async_trait]
impl TableProvider for SeriesTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.meaning(filter) {
                Meaning::Tags => TableProviderFilterPushDown::Exact,
                // The newest row of a series is the newest within a range only if the range is open at its end.
                Meaning::Time(range) if self.newest && !range.open_end() => TableProviderFilterPushDown::Unsupported,
                Meaning::Time(_) => TableProviderFilterPushDown::Exact,
                Meaning::Bound(_) => TableProviderFilterPushDown::Inexact,
                Meaning::Other => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Some(context) = state.config().get_extension::<QueryContext>() else {
            return exec_err!("a table was scanned outside of a query");
        };
        let mut parts = ScanParts::new(self, context, planner::cores(), filters);
        parts.project(projection.map(Vec::as_slice), &self.schema);
        parts.limit = limit;
        parts.choose(state)?;
        let scan = SeriesScan::new(parts).map_err(errors::wrap)?;
        Ok(Arc::new(scan))
    }
}
