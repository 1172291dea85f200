//! INSERT's rows: from tokens and parameters into the session's open columns.
//!
//! Executing only converts: a row of a prepared INSERT costs a name probe and a push for each value, no plan and no allocation.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::common::ScalarValue;
use taospg_catalog::SeriesRef;

use super::accumulator::Accumulator;
use super::assign::{to_time, valid_text};
use super::column::ColumnBuilder;
use super::datum::{Datum, ValueError, null_violation, oid};
use super::insert::{Clause, Expression, Form, Insert, InsertStatement, Source};
use super::insert_bind::{Bound, BoundClause, PreparedInsert};
use super::lexer::{Token, Value, position};
use super::names::{CatalogNames, Names};
use super::number;
use super::target::{Field, Place, TBNAME, Target};
use super::time::TimeReader;
use crate::{ErrorKind, Parameter, QueryError, Session};

impl PreparedInsert {
    /// Adds the rows of all clauses to the session's accumulator: how many.
    pub(super) fn insert_values(
        &self,
        session: &mut Session,
        bound: &Bound,
        parameters: &[Parameter],
        constants: &Constants,
    ) -> Result<u64, QueryError> {
        let engine = Arc::clone(session.engine());
        let reading = session.settings().reading();
        let now_ns = session.transaction_time_ns();
        let accumulator = session.accumulator();
        let values = Values {
            insert: &self.inner,
            parameters,
            parameter_types: &self.parameter_types,
            constants,
        };
        accumulator.begin_statement();
        let mut rows = 0;
        let mut context: Option<Context<CatalogNames<'_>>> = None;
        for (index, (clause, bound)) in self.inner.clauses.iter().zip(&bound.clauses).enumerate() {
            let database = &bound.target.database;
            let context = match &mut context {
                Some(context) if context.database_oid == database.oid => context,
                other => other.insert(Context {
                    database_oid: database.oid,
                    times: TimeReader::new(&database.options, reading, now_ns),
                    names: CatalogNames::new(engine.catalog(), database.oid),
                }),
            };
            context.times.keep_of(database, &bound.target.table);
            let none = ClauseDefaults::default();
            let defaults = constants.defaults.get(index).unwrap_or(&none);
            rows += values.insert_clause(accumulator, context, clause, bound, defaults)?;
        }
        accumulator.end_statement();
        Ok(rows)
    }
}

/// What clauses of one database share.
struct Context<N> {
    database_oid: u32,
    times: TimeReader,
    names: N,
}

/// Values that the planner evaluated, once for the statement.
#[derive(Default)]
pub(super) struct Constants {
    /// By the expression's number.
    pub expressions: Vec<Option<ScalarValue>>,
    /// By the clause's number.
    pub defaults: Vec<ClauseDefaults>,
}

#[derive(Default)]
pub(super) struct ClauseDefaults {
    /// Of columns that its rows do not have.
    pub unlisted: Vec<(Field, ScalarValue)>,
    /// Of columns that its rows have, for the word DEFAULT.
    pub listed: Vec<(Field, ScalarValue)>,
}

impl ClauseDefaults {
    pub fn time(&self) -> Option<&ScalarValue> {
        let (_, value) = self.unlisted.iter().find(|(field, _)| *field == Field::Time)?;
        Some(value)
    }

    fn listed(&self, field: Field) -> Option<&ScalarValue> {
        let (_, value) = self.listed.iter().find(|(known, _)| *known == field)?;
        Some(value)
    }
}

/// What tokens stand for.
struct Values<'a> {
    insert: &'a Insert,
    parameters: &'a [Parameter],
    parameter_types: &'a [u32],
    constants: &'a Constants,
}

impl<'a> Values<'a> {
    /// Adds the rows of one table: how many.
    fn insert_clause<N: Names>(
        &self,
        accumulator: &mut Accumulator,
        context: &mut Context<N>,
        clause: &Clause,
        bound: &BoundClause,
        defaults: &ClauseDefaults,
    ) -> Result<u64, QueryError> {
        let Source::Values { tokens, width } = &clause.source else {
            return Err(QueryError::new(ErrorKind::InternalError, "a query among VALUES lists"));
        };
        let target = &bound.target;
        if let Some(missing) = &bound.missing {
            return Err(null_violation(missing, &target.table.name));
        }
        let precision = target.database.options.precision;
        let place = accumulator.families.open(&target.table, precision, bound.conflict);
        let metric = |field: &Field| match field {
            Field::Metric(metric) => Some(*metric),
            _ => None,
        };
        let unlisted = defaults.unlisted.iter().map(|(field, _)| field);
        let used = bound.fields.iter().chain(unlisted).filter_map(metric);
        accumulator.families.rows(place).begin(used.clone());
        let count = tokens.len() / width;
        if count > 1 {
            accumulator.families.rows(place).reserve(count, used);
        }
        let fixed = self.fixed_series(accumulator, context, clause, bound)?;
        let by_name = bound.fields.contains(&Field::TableName);
        let mut router = Router::default();
        let tokens = &self.insert.tokens[tokens.clone()];
        for row in tokens.chunks_exact(*width) {
            let time = self.push_row(accumulator, context, bound, place, row, defaults)?;
            let series = match fixed {
                Some(series) => series,
                None => self.route(accumulator, context, bound, row, by_name, &mut router)?,
            };
            let rows = accumulator.families.rows(place);
            for (field, default) in &defaults.unlisted {
                if let Field::Metric(metric) = field {
                    let datum = Datum::from_scalar(default).unwrap_or(Datum::Null);
                    let pushed = rows.columns[*metric].push(datum, &mut context.times);
                    pushed.map_err(|error| refused(error, target, *field))?;
                }
            }
            rows.end_row(series, time);
            accumulator.families.close_if_full(place);
        }
        Ok((tokens.len() / width) as u64)
    }

    /// The series of all rows of a clause that names one table.
    fn fixed_series<N: Names>(
        &self,
        accumulator: &mut Accumulator,
        context: &mut Context<N>,
        clause: &Clause,
        bound: &BoundClause,
    ) -> Result<Option<SeriesRef>, QueryError> {
        let target = &bound.target;
        match (&target.place, &clause.using, &bound.using) {
            (Place::Plain(series), ..) => Ok(Some(*series)),
            (Place::Supertable, ..) => Ok(None),
            (Place::Child, Some(using), Some(places)) => {
                let tokens = &self.insert.tokens[using.tags.clone()];
                let times = &mut context.times;
                let mut push_tags = |tags: &mut [ColumnBuilder]| {
                    let fields = places.iter().map(|tag| Field::Tag(*tag));
                    self.push_tags(tags, fields.zip(tokens.iter().copied()), target, times)
                };
                let series = accumulator.new_tables.by_name(
                    &mut context.names,
                    (&target.database, &target.table),
                    &target.name,
                    &mut push_tags,
                )?;
                Ok(Some(series))
            }
            (Place::Child, ..) => match context.names.find(&target.name) {
                Some(child) if child.supertable == target.table.oid => Ok(Some(child.series)),
                _ => Err(clause.table.missing()),
            },
        }
    }

    /// Adds a row's values to their columns; answers with its time.
    #[inline]
    fn push_row<N: Names>(
        &self,
        accumulator: &mut Accumulator,
        context: &mut Context<N>,
        bound: &BoundClause,
        place: usize,
        row: &[Token],
        defaults: &ClauseDefaults,
    ) -> Result<i64, QueryError> {
        let target = &bound.target;
        let columns = &mut accumulator.families.rows(place).columns;
        let times = &mut context.times;
        let mut time = None;
        for (field, token) in bound.fields.iter().zip(row) {
            match field {
                Field::Metric(metric) => {
                    let column = &mut columns[*metric];
                    let mut datum = self
                        .datum(*token, times)
                        .map_err(|error| self.refused(error, target, *field, *token))?;
                    if matches!(datum, Datum::Null) {
                        datum = self.null(*token, *field, target, defaults)?;
                    }
                    column
                        .push(datum, times)
                        .map_err(|error| self.refused(error, target, *field, *token))?;
                }
                Field::Time => {
                    let value = self.datum(*token, times).and_then(|datum| match datum {
                        Datum::Null => Ok(None),
                        datum => to_time(datum, bound.zoned_time, times).map(Some),
                    });
                    time = value.map_err(|error| self.refused(error, target, *field, *token))?;
                }
                Field::TableName | Field::Tag(_) => {}
            }
        }
        if time.is_none() {
            let default = defaults.time().or_else(|| {
                let asked = bound
                    .fields
                    .iter()
                    .zip(row)
                    .any(|(field, token)| *field == Field::Time && token.value() == Value::Default);
                defaults.listed(Field::Time).filter(|_| asked)
            });
            if let Some(datum) = default
                .and_then(Datum::from_scalar)
                .filter(|datum| !matches!(datum, Datum::Null))
            {
                let value = to_time(datum, bound.zoned_time, times);
                time = Some(value.map_err(|error| refused(error, target, Field::Time))?);
            }
        }
        let Some(time) = time else {
            return Err(null_violation(&target.table.time_column().name, &target.table.name));
        };
        times.check_row_time(time).map_err(|error| *error)
    }

    /// What a null is: the column's default if the word was DEFAULT, else a null where that is allowed.
    #[cold]
    fn null<'d>(
        &self,
        token: Token,
        field: Field,
        target: &Target,
        defaults: &'d ClauseDefaults,
    ) -> Result<Datum<'d>, QueryError> {
        let default = defaults.listed(field).filter(|_| token.value() == Value::Default);
        match default.and_then(Datum::from_scalar) {
            Some(datum) if !matches!(datum, Datum::Null) => Ok(datum),
            _ if target.not_null(field) => Err(null_violation(target.column(field).0, &target.table.name)),
            _ => Ok(Datum::Null),
        }
    }

    /// The series of a row of a supertable.
    fn route<N: Names>(
        &self,
        accumulator: &mut Accumulator,
        context: &mut Context<N>,
        bound: &BoundClause,
        row: &[Token],
        by_name: bool,
        router: &mut Router,
    ) -> Result<SeriesRef, QueryError> {
        let target = &bound.target;
        let times = &mut context.times;
        router.key.clear();
        for (field, token) in bound.fields.iter().zip(row) {
            let keyed = if by_name {
                *field == Field::TableName
            } else {
                matches!(field, Field::Tag(_))
            };
            if keyed {
                let datum = self
                    .datum(*token, times)
                    .map_err(|error| self.refused(error, target, *field, *token))?;
                datum.write_key(&mut router.key);
            }
        }
        if let Some(series) = router.known() {
            return Ok(series);
        }
        let pairs = || bound.fields.iter().copied().zip(row.iter().copied());
        let name = match pairs().find(|(field, _)| *field == Field::TableName) {
            Some((field, token)) => Some(self.name(token, target, field, times)?),
            None => None,
        };
        let mut push_tags = |tags: &mut [ColumnBuilder]| {
            let tag_values = pairs().filter(|(field, _)| matches!(field, Field::Tag(_)));
            self.push_tags(tags, tag_values, target, times)
        };
        let place = (&*target.database, &target.table);
        let tables = &mut accumulator.new_tables;
        let series = match name {
            Some(name) => tables.by_name(&mut context.names, place, name, &mut push_tags)?,
            None => tables.by_tags(&mut context.names, place, &router.key, &mut push_tags)?,
        };
        router.remember(series);
        Ok(series)
    }

    fn name(&self, token: Token, target: &Target, field: Field, times: &mut TimeReader) -> Result<&'a str, QueryError> {
        match self
            .datum(token, times)
            .map_err(|error| self.refused(error, target, field, token))?
        {
            Datum::Text(text) => Ok(valid_text(text).map_err(|error| *error)?),
            Datum::Null => Err(null_violation(TBNAME, &target.table.name)),
            other => Err(ValueError::Mismatch(other.type_name()).for_column(TBNAME, "text")),
        }
    }

    fn push_tags(
        &self,
        tags: &mut [ColumnBuilder],
        values: impl Iterator<Item = (Field, Token)>,
        target: &Target,
        times: &mut TimeReader,
    ) -> Result<(), QueryError> {
        for (field, token) in values {
            let Field::Tag(tag) = field else {
                continue;
            };
            let datum = self
                .datum(token, times)
                .map_err(|error| self.refused(error, target, field, token))?;
            if matches!(datum, Datum::Null) && target.table.tags.get(tag).is_some_and(|tag| tag.not_null) {
                return Err(null_violation(target.column(field).0, &target.table.name));
            }
            if let Some(builder) = tags.get_mut(tag) {
                builder
                    .push(datum, times)
                    .map_err(|error| self.refused(error, target, field, token))?;
            }
        }
        Ok(())
    }

    /// What a token stands for.
    #[inline(always)]
    fn datum(&self, token: Token, times: &mut TimeReader) -> Result<Datum<'a>, ValueError> {
        Ok(match token.value() {
            Value::Parameter(number) => self.parameter(number)?,
            Value::Integer(value) => Datum::Integer(value),
            Value::Decimal(decimal) => Datum::Decimal(decimal),
            Value::Text(start, length) => Datum::Text(self.bytes(start, length)),
            Value::Null | Value::Default => Datum::Null,
            rare => self.rare(rare, times)?,
        })
    }

    #[inline(never)]
    fn rare(&self, value: Value, times: &mut TimeReader) -> Result<Datum<'a>, ValueError> {
        Ok(match value {
            Value::Boolean(value) => Datum::Boolean(value),
            Value::Number(start, length) => {
                let text = self.insert.text.get(start..start + length).unwrap_or_default();
                match text.parse() {
                    Ok(value) => Datum::Integer(value),
                    Err(_) => Datum::Number(text),
                }
            }
            Value::Unescaped(index) => {
                Datum::Text(self.insert.texts.get(index).map(String::as_bytes).unwrap_or_default())
            }
            Value::Expression(index) => self.expression(index, times)?,
            _ => Datum::Null,
        })
    }

    fn bytes(&self, start: usize, length: usize) -> &'a [u8] {
        self.insert
            .text
            .as_bytes()
            .get(start..start + length)
            .unwrap_or_default()
    }

    #[inline]
    fn parameter(&self, number: usize) -> Result<Datum<'a>, ValueError> {
        let (Some(parameter), Some(declared)) = (self.parameters.get(number - 1), self.parameter_types.get(number - 1))
        else {
            let message = format!("there is no parameter ${number}");
            return Err(Box::new(QueryError::new(ErrorKind::UndefinedParameter, message)).into());
        };
        let Some(value) = &parameter.value else {
            return Ok(Datum::Null);
        };
        Datum::decode(*declared, parameter.format, value).ok_or_else(|| {
            let message = format!("incorrect binary data format in bind parameter {number}");
            Box::new(QueryError::new(ErrorKind::InvalidBinaryRepresentation, message)).into()
        })
    }

    fn expression(&self, index: usize, times: &mut TimeReader) -> Result<Datum<'a>, ValueError> {
        let Some(Expression { form, .. }) = self.insert.expressions.get(index) else {
            return Ok(Datum::Null);
        };
        match form {
            Form::Now { offset_ns } => Ok(Datum::Time(times.now_plus(*offset_ns))),
            Form::Typed { value, type_oid } => {
                let datum = self.datum(*value, times)?;
                typed(datum, *type_oid, times)
            }
            Form::General => {
                let constant = self.constants.expressions.get(index).and_then(Option::as_ref);
                let datum = constant.and_then(Datum::from_scalar);
                datum.ok_or(ValueError::Mismatch("a type that columns do not have"))
            }
        }
    }

    /// A value was refused: with the literal's position, where it is known.
    #[cold]
    fn refused(&self, error: ValueError, target: &Target, field: Field, token: Token) -> QueryError {
        let error = refused(error, target, field);
        let start = match token.value() {
            Value::Text(start, _) => start.saturating_sub(1), // the quote
            Value::Number(start, _) => start,
            Value::Expression(index) => match self.insert.expressions.get(index) {
                Some(expression) => expression.span.start,
                None => return error,
            },
            _ => return error,
        };
        if error.position.is_some() {
            return error;
        }
        error.with_position(position(&self.insert.text, start))
    }
}

#[cold]
fn refused(error: ValueError, target: &Target, field: Field) -> QueryError {
    let (name, sql_type) = target.column(field);
    error.for_column(name, &sql_type.display_name())
}

/// The row's table is often that of the row before.
#[derive(Default)]
struct Router {
    key: Vec<u8>,
    last_key: Vec<u8>,
    last: Option<SeriesRef>,
}

impl Router {
    fn known(&self) -> Option<SeriesRef> {
        self.last.filter(|_| self.key == self.last_key)
    }

    fn remember(&mut self, series: SeriesRef) {
        std::mem::swap(&mut self.key, &mut self.last_key);
        self.last = Some(series);
    }
}

/// A literal of a type: `'2026-01-01'::timestamp`, `10.7::int`.
fn typed<'a>(datum: Datum<'a>, type_oid: u32, times: &mut TimeReader) -> Result<Datum<'a>, ValueError> {
    let text = match datum {
        Datum::Text(text) => text,
        Datum::Decimal(decimal) if matches!(type_oid, oid::INT2 | oid::INT4 | oid::INT8) => {
            return Ok(Datum::Integer(decimal.to_i64()));
        }
        other => return Ok(other),
    };
    Ok(match type_oid {
        oid::TIMESTAMPTZ => Datum::Time(times.parse(text, true)?),
        oid::TIMESTAMP => Datum::Reading(times.parse(text, false)?),
        oid::DATE => Datum::Date(times.parse_date(text)?),
        oid::INT2 => Datum::Integer(i64::from(number::parse_integer::<i16>(text, "smallint")?)),
        oid::INT4 => Datum::Integer(i64::from(number::parse_integer::<i32>(text, "integer")?)),
        oid::INT8 => Datum::Integer(number::parse_integer(text, "bigint")?),
        oid::FLOAT4 => Datum::Real(number::parse_f32(text)?),
        oid::FLOAT8 => Datum::Double(number::parse_f64(text)?),
        oid::NUMERIC => match std::str::from_utf8(text) {
            Ok(number) if number::parse_decimal(text).is_ok() => Datum::Number(number.trim()),
            _ => return Err(number::invalid_syntax("numeric", text).into()),
        },
        _ => Datum::Text(text),
    })
}

/// A statement of one VALUES list bound to a table without a session: what tests and benchmarks of the readers drive.
pub struct Standalone {
    insert: Arc<Insert>,
    bound: BoundClause,
    zone: Tz,
    now_ns: i64,
}

impl Standalone {
    pub fn new(statement: &InsertStatement, target: Target, zone: Tz, now_ns: i64) -> Result<Standalone, QueryError> {
        let insert = Arc::clone(&statement.inner);
        let bind = || {
            let clause = insert.clauses.first().filter(|_| insert.clauses.len() == 1);
            let Some((clause, Source::Values { width, .. })) = clause.map(|clause| (clause, &clause.source)) else {
                return Err(QueryError::new(
                    ErrorKind::FeatureNotSupported,
                    "not a single VALUES list",
                ));
            };
            let fields = target.fields(clause.columns.as_deref())?.into();
            insert.narrow(
                insert.with_fields(target, fields, None)?,
                *width,
                clause.columns.is_some(),
            )
        };
        let bound = bind().map_err(|error| insert.placed(error))?;
        Ok(Standalone {
            insert,
            bound,
            zone,
            now_ns,
        })
    }

    /// Adds the rows: how many.
    pub fn insert(
        &self,
        parameter_types: &[u32],
        parameters: &[Parameter],
        names: &mut dyn Names,
        accumulator: &mut Accumulator,
    ) -> Result<u64, QueryError> {
        let database = &self.bound.target.database;
        let mut context = Context {
            database_oid: database.oid,
            times: TimeReader::new(&database.options, self.zone, self.now_ns),
            names,
        };
        context.times.keep_of(database, &self.bound.target.table);
        let values = Values {
            insert: &self.insert,
            parameters,
            parameter_types,
            constants: &Constants::default(),
        };
        let mut rows = 0;
        for clause in &self.insert.clauses {
            rows += values.insert_clause(
                accumulator,
                &mut context,
                clause,
                &self.bound,
                &ClauseDefaults::default(),
            )?;
        }
        Ok(rows)
    }
}
