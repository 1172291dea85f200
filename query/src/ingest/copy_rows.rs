//! What all COPY formats share: what each field is, which series a row belongs to, and where an error happened.

use datafusion::common::ScalarValue;
use taospg_catalog::SeriesRef;
use taospg_storage::Conflict;

use super::accumulator::Accumulator;
use super::assign::{to_time, valid_text};
use super::column::ColumnBuilder;
use super::datum::{Datum, ValueError, null_violation, oid};
use super::name_order::NameOrder;
use super::names::Names;
use super::number::shown;
use super::target::{Field, TBNAME, Target};
use super::time::TimeReader;
use crate::{ErrorKind, QueryError};

/// Rows that one COPY may hold in memory until it ends: it is all or nothing. Eight million rows of ten doubles fit.
pub const COPY_BYTES_MAX: usize = 1 << 30;

/// How a row's series is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Route {
    /// All rows go to one table.
    Fixed(SeriesRef),
    /// The field of this number names the table.
    Named(usize),
    /// By the tags.
    Tagged,
}

/// The fields of one row as they came.
pub trait RowSource {
    /// The bytes of a field: equal bytes mean equal values. What stands for NULL differs from every value.
    fn raw(&self, field: usize) -> &[u8];
    /// The value of a field whose column has this type. `scratch` is for what needs unescaping.
    fn datum<'s>(
        &'s self,
        field: usize,
        type_oid: u32,
        scratch: &'s mut Vec<u8>,
    ) -> std::result::Result<Datum<'s>, Box<QueryError>>;
}

/// How rows come to their vnodes.
enum Gathering {
    /// Each vnode's rows are apart from the start, in the places of this list: names come before values, and all tables were known so far.
    Apart(Vec<(u32, usize)>),
    /// All rows are together, and split when there are many.
    Together,
}

/// Where rows of a COPY gather.
pub struct CopyRows {
    pub target: Target,
    pub fields: Vec<Field>,
    /// Of each field.
    pub not_null: Vec<bool>,
    /// Of each field.
    pub type_oids: Vec<u32>,
    pub zoned_time: bool,
    pub times: TimeReader,
    route: Route,
    /// Fields that are tags: their number and their place in the table's tags.
    tag_fields: Vec<(usize, usize)>,
    /// Columns that get their default in each row.
    defaults: Vec<(Field, ScalarValue)>,
    pub accumulator: Accumulator,
    gathering: Gathering,
    /// Where the values of the row being read go.
    place: usize,
    /// The series of the row being read, where its name came before its values.
    row_series: Option<SeriesRef>,
    order: NameOrder,
    /// The raw name or tags of the row before, and its series: rows of one table often follow each other.
    last_key: Vec<u8>,
    last_series: Option<SeriesRef>,
    key: Vec<u8>,
    /// Rows so far.
    pub count: u64,
    /// The line being read, from 1.
    pub line: u64,
}

impl CopyRows {
    pub fn new(
        target: Target,
        fields: Vec<Field>,
        route: Route,
        times: TimeReader,
        defaults: Vec<(Field, ScalarValue)>,
    ) -> CopyRows {
        let mut accumulator = Accumulator::default();
        let vnode = match route {
            Route::Fixed(series) => Some(series.vnode),
            Route::Named(_) | Route::Tagged => None,
        };
        let precision = target.database.options.precision;
        let place = accumulator
            .families
            .open_of(&target.table, precision, Conflict::ByVnode, vnode);
        let first_metric = fields.iter().position(|field| matches!(field, Field::Metric(_)));
        let gathering = match route {
            Route::Named(name) if first_metric.is_none_or(|metric| name < metric) => Gathering::Apart(Vec::new()),
            _ => Gathering::Together,
        };
        let tag = |(index, field): (usize, &Field)| match field {
            Field::Tag(tag) => Some((index, *tag)),
            _ => None,
        };
        CopyRows {
            not_null: fields.iter().map(|field| target.not_null(*field)).collect(),
            type_oids: fields.iter().map(|field| target.column(*field).1.oid()).collect(),
            zoned_time: target.zoned_time(),
            tag_fields: fields.iter().enumerate().filter_map(tag).collect(),
            target,
            fields,
            times,
            route,
            defaults,
            accumulator,
            gathering,
            place,
            row_series: None,
            order: NameOrder::default(),
            last_key: Vec::new(),
            last_series: None,
            key: Vec::new(),
            count: 0,
            line: 0,
        }
    }

    /// The columns of the open chunk, with the reader of times that they need beside.
    #[inline]
    pub fn columns(&mut self) -> (&mut [ColumnBuilder], &mut TimeReader) {
        (&mut self.accumulator.families.rows(self.place).columns, &mut self.times)
    }

    /// As `columns`, with the fields: all that reading values in place needs.
    #[inline]
    pub fn fields_and_columns(&mut self) -> (&[Field], &mut [ColumnBuilder], &mut TimeReader) {
        let columns = &mut self.accumulator.families.rows(self.place).columns;
        (&self.fields, columns, &mut self.times)
    }

    /// The length of the name at the start of `bytes`, with `end` behind it, where it is one that was expected: then the row has begun.
    #[inline]
    pub fn expected_name(&mut self, bytes: &[u8], end: u8) -> Option<usize> {
        if matches!(self.gathering, Gathering::Together) {
            return None;
        }
        let (series, length) = self.order.expect(bytes, end)?;
        self.begin_row_of(series);
        Some(length)
    }

    /// The name of a row has been read, and none of its values: they go to its vnode, if that is known.
    #[inline]
    pub fn begin_row<S: RowSource>(&mut self, names: &mut dyn Names, source: &S, field: usize) {
        if matches!(self.gathering, Gathering::Together) {
            return;
        }
        let raw = source.raw(field);
        match self.order.find(raw).or_else(|| self.known(names, source, field)) {
            Some(series) => self.begin_row_of(series),
            None => self.gather_together(),
        }
    }

    fn begin_row_of(&mut self, series: SeriesRef) {
        self.row_series = Some(series);
        let Gathering::Apart(places) = &mut self.gathering else {
            return;
        };
        self.place = match places.iter().find(|(vnode, _)| *vnode == series.vnode) {
            Some((_, place)) => *place,
            None => {
                let (table, precision) = (&self.target.table, self.target.database.options.precision);
                let families = &mut self.accumulator.families;
                let place = families.open_of(table, precision, Conflict::ByVnode, Some(series.vnode));
                places.push((series.vnode, place));
                place
            }
        };
    }

    /// The series of a name that was not expected, if it is that of a table of the target.
    fn known<S: RowSource>(&mut self, names: &mut dyn Names, source: &S, field: usize) -> Option<SeriesRef> {
        self.key.clear();
        let Ok(Datum::Text(name)) = source.datum(field, oid::TEXT, &mut self.key) else {
            return None;
        };
        let child = names.find(valid_text(name).ok()?)?;
        if child.supertable != self.target.table.oid {
            return None;
        }
        self.order.note(source.raw(field), child.series);
        Some(child.series)
    }

    /// From now on: rows of tables that are new, or that are none, are for `end_row`, which knows all of their fields. Rows of one series stay
    /// in their order, as those that are apart are given away first.
    fn gather_together(&mut self) {
        let Gathering::Apart(places) = std::mem::replace(&mut self.gathering, Gathering::Together) else {
            return;
        };
        let families = &mut self.accumulator.families;
        places.iter().for_each(|(_, place)| families.close(*place));
        let (table, precision) = (&self.target.table, self.target.database.options.precision);
        self.place = families.open(table, precision, Conflict::ByVnode);
    }

    /// All values of a row are in their columns: finds its series, and ends it.
    #[inline]
    pub fn end_row<S: RowSource>(
        &mut self,
        names: &mut dyn Names,
        source: &S,
        time: Option<i64>,
    ) -> Result<(), QueryError> {
        let Some(time) = time.or_else(|| self.default_time()) else {
            let error = null_violation(&self.target.table.time_column().name, &self.target.table.name);
            return Err(self.in_row(error));
        };
        if let Err(error) = self.times.check_row_time(time) {
            return Err(self.in_column(*error, Field::Time, None));
        }
        let series = match (self.row_series.take(), self.route) {
            (Some(series), _) | (None, Route::Fixed(series)) => series,
            (None, Route::Named(field)) => self.named(names, source, field)?,
            (None, Route::Tagged) => self.tagged(names, source)?,
        };
        let rows = self.accumulator.families.rows(self.place);
        for (field, default) in &self.defaults {
            if let Field::Metric(metric) = field {
                let datum = Datum::from_scalar(default).unwrap_or(Datum::Null);
                rows.columns[*metric].push(datum, &mut self.times).map_err(|error| {
                    let (name, sql_type) = self.target.column(*field);
                    error.for_column(name, &sql_type.display_name())
                })?;
            }
        }
        rows.end_row(series, time);
        self.count += 1;
        self.accumulator.families.close_if_full(self.place);
        Ok(())
    }

    /// The default of the time, where the fields have none.
    fn default_time(&mut self) -> Option<i64> {
        let (_, default) = self.defaults.iter().find(|(field, _)| *field == Field::Time)?;
        to_time(Datum::from_scalar(default)?, self.zoned_time, &mut self.times).ok()
    }

    /// After each piece of data.
    pub fn check_memory(&self) -> Result<(), QueryError> {
        if self.accumulator.memory_bytes() <= COPY_BYTES_MAX {
            return Ok(());
        }
        let message = format!("COPY holds more than {} MiB before its end", COPY_BYTES_MAX >> 20);
        let hint = "A COPY is all or nothing and waits in memory: split the data into several COPY commands.";
        Err(self.in_row(QueryError::new(ErrorKind::ProgramLimitExceeded, message).with_hint(hint)))
    }

    #[inline]
    fn named<S: RowSource>(
        &mut self,
        names: &mut dyn Names,
        source: &S,
        field: usize,
    ) -> Result<SeriesRef, QueryError> {
        let raw = source.raw(field);
        if let Some(series) = self.last_series
            && self.last_key == raw
        {
            return Ok(series);
        }
        let mut scratch = std::mem::take(&mut self.key);
        scratch.clear();
        let name = source
            .datum(field, oid::TEXT, &mut scratch)
            .map_err(|error| self.in_column(*error, Field::TableName, Some(raw)))?;
        let Datum::Text(name) = name else {
            return Err(self.in_row(null_violation(TBNAME, &self.target.table.name)));
        };
        let name = valid_text(name).map_err(|error| self.in_column(*error, Field::TableName, Some(raw)))?;
        let (target, tag_fields, times, line) = (&self.target, &self.tag_fields, &mut self.times, self.line);
        let mut push_tags = |tags: &mut [ColumnBuilder]| push_tags(tags, tag_fields, source, target, times, line);
        let series = self
            .accumulator
            .new_tables
            .by_name(names, (&target.database, &target.table), name, &mut push_tags)
            .map_err(|error| self.in_row(error))?;
        self.key = scratch;
        self.remember(raw, series);
        Ok(series)
    }

    fn tagged<S: RowSource>(&mut self, names: &mut dyn Names, source: &S) -> Result<SeriesRef, QueryError> {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        for (field, _) in &self.tag_fields {
            let raw = source.raw(*field);
            key.extend_from_slice(&(raw.len() as u32).to_le_bytes());
            key.extend_from_slice(raw);
        }
        let known = self.last_series.filter(|_| self.last_key == key);
        let series = match known {
            Some(series) => series,
            None => {
                let (target, tag_fields, times, line) = (&self.target, &self.tag_fields, &mut self.times, self.line);
                let mut push_tags =
                    |tags: &mut [ColumnBuilder]| push_tags(tags, tag_fields, source, target, times, line);
                let series = self
                    .accumulator
                    .new_tables
                    .by_tags(names, (&target.database, &target.table), &key, &mut push_tags)
                    .map_err(|error| self.in_row(error))?;
                self.remember(&key, series);
                series
            }
        };
        self.key = key;
        Ok(series)
    }

    fn remember(&mut self, key: &[u8], series: SeriesRef) {
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.last_series = Some(series);
    }

    /// A value was refused: with PostgreSQL's context line.
    #[cold]
    pub fn refused(&self, error: ValueError, index: usize, text: &[u8]) -> QueryError {
        let field = self.fields.get(index).copied().unwrap_or(Field::Time);
        let (name, sql_type) = self.target.column(field);
        self.in_column(error.for_column(name, &sql_type.display_name()), field, Some(text))
    }

    /// Null where the column does not take it.
    #[cold]
    pub fn refused_null(&self, index: usize) -> QueryError {
        let field = self.fields.get(index).copied().unwrap_or(Field::Time);
        self.in_row(null_violation(self.target.column(field).0, &self.target.table.name))
    }

    #[cold]
    pub fn in_column(&self, error: QueryError, field: Field, text: Option<&[u8]>) -> QueryError {
        if error.context.is_some() {
            return error;
        }
        error.with_context(column_context(&self.target, self.line, field, text))
    }

    #[cold]
    pub fn in_row(&self, error: QueryError) -> QueryError {
        if error.context.is_some() {
            return error;
        }
        error.with_context(format!("COPY {}, line {}", self.target.name, self.line))
    }

    /// 22P04, with the row's text where there is one.
    #[cold]
    pub fn malformed(&self, message: impl Into<String>, row: Option<&[u8]>) -> QueryError {
        let error = QueryError::new(ErrorKind::BadCopyFileFormat, message);
        match row {
            Some(row) => error.with_context(format!(
                "COPY {}, line {}: \"{}\"",
                self.target.name,
                self.line,
                shown(row)
            )),
            None => self.in_row(error),
        }
    }
}

/// `COPY meters, line 3, column voltage: "x"`, as PostgreSQL words it.
fn column_context(target: &Target, line: u64, field: Field, text: Option<&[u8]>) -> String {
    let value = match text {
        Some(text) => format!(": \"{}\"", shown(text)),
        None => String::new(),
    };
    format!(
        "COPY {}, line {line}, column {}{value}",
        target.name,
        target.column(field).0
    )
}

/// The row's tags, for a table that is new.
fn push_tags<S: RowSource>(
    tags: &mut [ColumnBuilder],
    tag_fields: &[(usize, usize)],
    source: &S,
    target: &Target,
    times: &mut TimeReader,
    line: u64,
) -> Result<(), QueryError> {
    let mut scratch = Vec::new();
    for (field, tag) in tag_fields {
        let (name, sql_type) = target.column(Field::Tag(*tag));
        let refused = |error: ValueError| {
            let context = column_context(target, line, Field::Tag(*tag), Some(source.raw(*field)));
            error.for_column(name, &sql_type.display_name()).with_context(context)
        };
        scratch.clear();
        let datum = source
            .datum(*field, sql_type.oid(), &mut scratch)
            .map_err(|error| *error)?;
        if matches!(datum, Datum::Null) && target.table.tags.get(*tag).is_some_and(|tag| tag.not_null) {
            return Err(null_violation(name, &target.table.name));
        }
        if let Some(builder) = tags.get_mut(*tag) {
            builder.push(datum, times).map_err(refused)?;
        }
    }
    Ok(())
}
