//! The parts of an INSERT that the planner evaluates: expressions, defaults, and whole queries.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::CastOptions;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::StreamExt;
use taospg_catalog::{Precision, SeriesRef};

use super::accumulator::Accumulator;
use super::assign::to_time;
use super::column::{ColumnBuilder, time_units};
use super::datum::{Datum, ValueError, null_violation, oid};
use super::insert::{Form, Insert, Source};
use super::insert_bind::{Bound, BoundClause};
use super::insert_expressions::parameters_in;
use super::insert_rows::{ClauseDefaults, Constants};
use super::lexer::{Token, Value, position};
use super::names::{CatalogNames, Names};
use super::target::{Field, Place, TBNAME, Target};
use super::time::TimeReader;
use crate::plan::{self, PreparedQuery};
use crate::statement::precedence;
use crate::{Engine, ErrorKind, Outcome, Parameter, QueryError, Session};

/// What the rows of a query may hold in memory until its end, as those of a COPY.
const QUERY_BYTES_MAX: usize = super::copy_rows::COPY_BYTES_MAX;

impl Insert {
    /// Evaluates what the rows need, each text once for the statement.
    pub(super) async fn evaluate(
        &self,
        session: &Session,
        bound: &Bound,
        parameter_types: &[u32],
        parameters: &[Parameter],
    ) -> Result<Constants, QueryError> {
        let mut known = Known::new();
        let mut constants = Constants {
            expressions: vec![None; self.expressions.len()],
            defaults: Vec::new(),
        };
        for (index, field, target) in self.general(bound) {
            let span = self.expressions[index].span.clone();
            let text = &self.text[span.clone()];
            let times = times(session, target);
            let text = with_parameters(text, parameter_types, parameters, &times)?;
            let value = evaluate_text(session, text, target, field, &mut known).await;
            let value = value.map_err(|error| error.with_position(position(&self.text, span.start)))?;
            constants.expressions[index] = Some(value);
        }
        for clause in &bound.clauses {
            let defaults = evaluate_defaults(session, clause, self.has_default, &mut known).await?;
            constants.defaults.push(defaults);
        }
        Ok(constants)
    }

    /// Expressions that are for the planner: number, and the column each is for.
    fn general<'b>(&self, bound: &'b Bound) -> Vec<(usize, Field, &'b Target)> {
        let mut found = Vec::new();
        let mut add = |token: &Token, field: Field, target: &'b Target| {
            if let Value::Expression(index) = token.value()
                && self.expressions[index].form == Form::General
            {
                found.push((index, field, target));
            }
        };
        for (clause, bound) in self.clauses.iter().zip(&bound.clauses) {
            if let (Some(using), Some(places)) = (&clause.using, &bound.using) {
                for (token, tag) in self.tokens[using.tags.clone()].iter().zip(places) {
                    add(token, Field::Tag(*tag), &bound.target);
                }
            }
            if let Source::Values { tokens, width } = &clause.source {
                for row in self.tokens[tokens.clone()].chunks(*width) {
                    for (token, field) in row.iter().zip(bound.fields.iter()) {
                        add(token, *field, &bound.target);
                    }
                }
            }
        }
        found
    }
}

type Known = HashMap<(String, DataType), ScalarValue>;

async fn evaluate_defaults(
    session: &Session,
    clause: &BoundClause,
    with_listed: bool,
    known: &mut Known,
) -> Result<ClauseDefaults, QueryError> {
    let mut defaults = ClauseDefaults::default();
    for (field, text) in &clause.defaults {
        let value = evaluate_text(session, text.clone(), &clause.target, *field, known).await?;
        defaults.unlisted.push((*field, value));
    }
    for field in clause.fields.iter().filter(|_| with_listed) {
        if let Some(text) = clause.target.default(*field) {
            let value = evaluate_text(session, text.to_owned(), &clause.target, *field, known).await?;
            defaults.listed.push((*field, value));
        }
    }
    Ok(defaults)
}

fn times(session: &Session, target: &Target) -> TimeReader {
    let now_ns = session.transaction_time_ns();
    let mut times = TimeReader::new(&target.database.options, session.settings().reading(), now_ns);
    times.keep_of(&target.database, &target.table);
    times
}

async fn evaluate_text(
    session: &Session,
    text: String,
    target: &Target,
    field: Field,
    known: &mut Known,
) -> Result<ScalarValue, QueryError> {
    let data_type = target.column(field).1.arrow_type(target.database.options.precision);
    let key = (text, data_type);
    if let Some(value) = known.get(&key) {
        return Ok(value.clone());
    }
    let expression = parse_expression(&key.0)?;
    let value = plan::constant(session, &expression, &key.1).await?;
    known.insert(key, value.clone());
    Ok(value)
}

fn parse_expression(text: &str) -> Result<ast::Expr, QueryError> {
    let syntax =
        |message: String| QueryError::new(ErrorKind::SyntaxError, format!("syntax error in \"{text}\": {message}"));
    let mut parser = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(text)
        .map_err(|error| syntax(error.to_string()))?;
    let mut expression = parser.parse_expr().map_err(|error| syntax(error.to_string()))?;
    precedence::mend(&mut expression);
    match parser.peek_token().token {
        datafusion::sql::sqlparser::tokenizer::Token::EOF => Ok(expression),
        token => Err(syntax(format!("unexpected {token}"))),
    }
}

/// The expression's text with literals in the parameters' places.
fn with_parameters(
    text: &str,
    types: &[u32],
    parameters: &[Parameter],
    times: &TimeReader,
) -> Result<String, QueryError> {
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    for inner in parameters_in(text) {
        result.push_str(&text[from..inner.span.start]);
        from = inner.span.end;
        let (Some(parameter), Some(type_oid)) = (parameters.get(inner.number - 1), types.get(inner.number - 1)) else {
            let message = format!("there is no parameter ${}", inner.number);
            return Err(QueryError::new(ErrorKind::UndefinedParameter, message));
        };
        let Some(value) = &parameter.value else {
            result.push_str("NULL");
            continue;
        };
        let text = Datum::decode(*type_oid, parameter.format, value).and_then(|datum| literal(datum, times));
        let Some(text) = text else {
            let message = format!("incorrect binary data format in bind parameter {}", inner.number);
            return Err(QueryError::new(ErrorKind::InvalidBinaryRepresentation, message));
        };
        let quoted = format!("'{}'", text.replace('\'', "''"));
        match cast_name(*type_oid) {
            Some(name) => result.push_str(&format!("CAST({quoted} AS {name})")),
            None => result.push_str(&quoted),
        }
    }
    result.push_str(&text[from..]);
    Ok(result)
}

/// A value's text, to stand in quotes.
fn literal(datum: Datum<'_>, times: &TimeReader) -> Option<String> {
    Some(match datum {
        Datum::Boolean(value) => value.to_string(),
        Datum::Integer(value) => value.to_string(),
        Datum::Number(text) => text.to_owned(),
        Datum::Numeric(numeric) => format!("{}e{}", numeric.mantissa(), numeric.exponent),
        Datum::Real(value) => value.to_string(),
        Datum::Double(value) => value.to_string(),
        Datum::Text(text) => std::str::from_utf8(text).ok()?.to_owned(),
        Datum::Instant(time) | Datum::Clock(time) => {
            let text = times.format(times.from_postgres_microseconds(time).ok()?);
            match datum {
                Datum::Clock(_) => text.trim_end_matches("+00").to_owned(),
                _ => text,
            }
        }
        Datum::Date(days) => arrow::temporal_conversions::date32_to_datetime(days)?
            .date()
            .to_string(),
        _ => return None,
    })
}

fn cast_name(type_oid: u32) -> Option<&'static str> {
    Some(match type_oid {
        oid::BOOL => "boolean",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::DATE => "date",
        oid::TIMESTAMP => "timestamp",
        oid::TIMESTAMPTZ => "timestamptz",
        _ => return None,
    })
}

/// Plans the query of an INSERT … SELECT.
pub(super) async fn prepare_query(
    session: &Session,
    text: &str,
    parameter_types: &[u32],
) -> Result<PreparedQuery, QueryError> {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, text)
        .map_err(|error| QueryError::new(ErrorKind::SyntaxError, error.to_string()))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => plan::prepare(session, &statement, parameter_types).await,
        _ => Err(QueryError::new(ErrorKind::SyntaxError, "INSERT takes one query")),
    }
}

/// INSERT … SELECT: the query's batches, column by column.
pub(super) async fn execute_query(
    session: &mut Session,
    query: &PreparedQuery,
    clause: &BoundClause,
    parameters: &[Parameter],
) -> Result<Outcome, QueryError> {
    let (mut accumulator, count) = gather_query(session, query, clause, parameters).await?;
    let engine = Arc::clone(session.engine());
    session.hold(accumulator.take(&engine)?)?;
    Ok(Outcome::Complete(format!("INSERT 0 {count}")))
}

/// The rows of an INSERT … SELECT, not yet held, and how many they are.
pub(super) async fn gather_query(
    session: &mut Session,
    query: &PreparedQuery,
    clause: &BoundClause,
    parameters: &[Parameter],
) -> Result<(Accumulator, u64), QueryError> {
    if let Some(missing) = &clause.missing {
        return Err(null_violation(missing, &clause.target.table.name));
    }
    let defaults = evaluate_defaults(session, clause, false, &mut Known::new()).await?;
    let engine = Arc::clone(session.engine());
    // The query reads what the transaction wrote before.
    let earlier = session.accumulator().take(&engine)?;
    session.hold(earlier)?;
    let mut rows = query.execute(session, parameters).await?.stream;
    let mut batches = BatchInsert {
        times: times(session, &clause.target),
        clause,
        defaults,
        count: 0,
    };
    // The query's rows gather apart: it may read the table it writes to, and must not see them.
    let mut accumulator = Accumulator::default();
    while let Some(batch) = rows.next().await {
        batches.add(&engine, &mut accumulator, &batch.map_err(plan::errors::translate)?)?;
        if accumulator.memory_bytes() > QUERY_BYTES_MAX {
            let message = format!("INSERT … SELECT holds more than {} MiB", QUERY_BYTES_MAX >> 20);
            let hint = "A statement is all or nothing and waits in memory: insert the rows in parts.";
            return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message).with_hint(hint));
        }
    }
    let count = batches.count;
    Ok((accumulator, count))
}

/// Rows of a query on their way into a table.
struct BatchInsert<'a> {
    clause: &'a BoundClause,
    times: TimeReader,
    defaults: ClauseDefaults,
    count: u64,
}

impl BatchInsert<'_> {
    fn add(&mut self, engine: &Engine, accumulator: &mut Accumulator, batch: &RecordBatch) -> Result<(), QueryError> {
        let target = &self.clause.target;
        let precision = target.database.options.precision;
        let columns = self
            .clause
            .fields
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| cast_for(target, *field, array))
            .collect::<Result<Vec<ArrayRef>, QueryError>>()?;
        let row_times = self.row_times(&columns, batch.num_rows(), precision)?;
        let place = accumulator
            .families
            .open(&target.table, precision, self.clause.conflict);
        let rows = accumulator.families.rows(place);
        let before = rows.len();
        rows.begin(0..rows.columns.len());
        for (field, array) in self.clause.fields.iter().zip(&columns) {
            if let Field::Metric(metric) = field {
                if array.null_count() > 0 && target.not_null(*field) {
                    return Err(null_violation(target.column(*field).0, &target.table.name));
                }
                let appended = rows.columns[*metric].append(array);
                appended.map_err(|error| refused(error, target, *field))?;
            }
        }
        for (field, value) in &self.defaults.unlisted {
            if let Field::Metric(metric) = field {
                let datum = Datum::from_scalar(value).unwrap_or(Datum::Null);
                for _ in 0..batch.num_rows() {
                    let pushed = rows.columns[*metric].push(datum, &mut self.times);
                    pushed.map_err(|error| refused(error, target, *field))?;
                }
            }
        }
        debug_assert_eq!(before, accumulator.families.rows(place).len());
        let mut names = CatalogNames::new(engine.catalog(), target.database.oid);
        for (row, time) in row_times.into_iter().enumerate() {
            let series = self.series(&mut names, accumulator, &columns, row)?;
            accumulator.families.rows(place).end_row(series, time);
        }
        accumulator.families.close_if_full(place);
        self.count += batch.num_rows() as u64;
        Ok(())
    }

    fn row_times(&mut self, columns: &[ArrayRef], rows: usize, precision: Precision) -> Result<Vec<i64>, QueryError> {
        let target = &self.clause.target;
        let name = &target.table.time_column().name;
        let index = self.clause.fields.iter().position(|field| *field == Field::Time);
        let values = match index.and_then(|index| columns.get(index)) {
            Some(array) => {
                let (values, nulls) = time_units(array, precision)
                    .ok_or_else(|| QueryError::new(ErrorKind::InternalError, "a time of another unit"))?;
                if nulls.is_some_and(|nulls| nulls.null_count() > 0) {
                    return Err(null_violation(name, &target.table.name));
                }
                values.to_vec()
            }
            None => {
                let datum = self.defaults.time().and_then(Datum::from_scalar).unwrap_or(Datum::Null);
                let time = to_time(datum, target.zoned_time(), &mut self.times);
                vec![time.map_err(|error| refused(error, target, Field::Time))?; rows]
            }
        };
        for time in &values {
            self.times.check_row_time(*time).map_err(|error| *error)?;
        }
        Ok(values)
    }

    fn series(
        &mut self,
        names: &mut CatalogNames<'_>,
        accumulator: &mut Accumulator,
        columns: &[ArrayRef],
        row: usize,
    ) -> Result<SeriesRef, QueryError> {
        let target = &self.clause.target;
        match target.place {
            Place::Plain(series) => return Ok(series),
            Place::Child => {
                let child = names
                    .find(&target.name)
                    .filter(|child| child.supertable == target.table.oid);
                return child.map(|child| child.series).ok_or_else(|| {
                    let message = format!("relation \"{}\" does not exist", target.name);
                    QueryError::new(ErrorKind::UndefinedTable, message)
                });
            }
            Place::Supertable => {}
        }
        let scalar = |array: &ArrayRef| {
            ScalarValue::try_from_array(array, row)
                .map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))
        };
        let fields = || self.clause.fields.iter().zip(columns);
        let times = &mut self.times;
        let mut push_tags = |tags: &mut [ColumnBuilder]| {
            for (field, array) in fields() {
                if let Field::Tag(tag) = field {
                    if array.is_null(row) && target.table.tags.get(*tag).is_some_and(|tag| tag.not_null) {
                        return Err(null_violation(target.column(*field).0, &target.table.name));
                    }
                    let value = scalar(array)?;
                    let pushed = tags[*tag].push(Datum::from_scalar(&value).unwrap_or(Datum::Null), times);
                    pushed.map_err(|error| refused(error, target, *field))?;
                }
            }
            Ok(())
        };
        let place = (&*target.database, &target.table);
        if let Some((_, array)) = fields().find(|(field, _)| **field == Field::TableName) {
            let name = array.as_string_view_opt().filter(|names| names.is_valid(row));
            let Some(name) = name.map(|names| names.value(row)) else {
                return Err(null_violation(TBNAME, &target.table.name));
            };
            return accumulator.new_tables.by_name(names, place, name, &mut push_tags);
        }
        let mut key = Vec::new();
        for (field, array) in fields() {
            if matches!(field, Field::Tag(_)) {
                let value = scalar(array)?;
                Datum::from_scalar(&value).unwrap_or(Datum::Null).write_key(&mut key);
            }
        }
        accumulator.new_tables.by_tags(names, place, &key, &mut push_tags)
    }
}

#[cold]
fn refused(error: ValueError, target: &Target, field: Field) -> QueryError {
    let (name, sql_type) = target.column(field);
    error.for_column(name, &sql_type.display_name())
}

/// A column of the query in the type of the column it goes to.
fn cast_for(target: &Target, field: Field, array: &ArrayRef) -> Result<ArrayRef, QueryError> {
    let (name, sql_type) = target.column(field);
    let wanted = sql_type.arrow_type(target.database.options.precision);
    if *array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    if !arrow::compute::can_cast_types(array.data_type(), &wanted) {
        return Err(QueryError::new(
            ErrorKind::DatatypeMismatch,
            format!(
                "column \"{name}\" is of type {} but expression is of type {}",
                sql_type.display_name(),
                array.data_type()
            ),
        )
        .with_hint("You will need to rewrite or cast the expression."));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    arrow::compute::cast_with_options(array, &wanted, &options).map_err(|_| {
        QueryError::new(
            ErrorKind::NumericValueOutOfRange,
            format!("{} out of range in column \"{name}\"", sql_type.display_name()),
        )
    })
}
