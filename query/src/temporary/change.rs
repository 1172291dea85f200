//! UPDATE and DELETE of a temporary table: a query finds the rows by their numbers, with their new values beside them.
//!
//! Since that query is one like any other, USING and FROM may bring in whatever a SELECT may.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::UInt64Type;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;

use super::TemporaryTable;
use super::table::failed;
use crate::copy_out::{select_in, template};
use crate::modify::{as_stored, assigned, default_of, fitted, folded, is_default, refuse_clauses, table_of, typed};
use crate::plan::{self, PreparedQuery, Returning};
use crate::session::HELD_BYTES_MAX;
use crate::statement::TableName;
use crate::{ErrorKind, Outcome, Parameter, QueryError, ResultField, Session};

/// An UPDATE or DELETE of a temporary table with its parameters' types known.
pub(crate) struct PreparedChange {
    pub parameter_types: Arc<[u32]>,
    name: TableName,
    /// Gives the row's number, then the values.
    query: PreparedQuery,
    /// Numbers of the columns that get values; `None`: the rows go.
    assigned: Option<Vec<usize>>,
    returning: Option<Returning>,
}

/// The tables that a DELETE or UPDATE names: the changed one, and those beside it.
type Tables<'a> = (&'a ast::TableWithJoins, Vec<ast::TableWithJoins>);

fn tables_of_delete(delete: &ast::Delete) -> Option<Tables<'_>> {
    let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) = &delete.from;
    match from.as_slice() {
        [table] => Some((table, delete.using.clone().unwrap_or_default())),
        _ => None,
    }
}

fn table_named(session: &Session, table: &ast::TableWithJoins) -> Option<(TableName, Arc<TemporaryTable>)> {
    let (name, _) = table_of(table).ok()?;
    let found = session.temporary(&name)?;
    Some((name, found))
}

pub(crate) fn is_deleted_from(session: &Session, delete: &ast::Delete) -> bool {
    tables_of_delete(delete).is_some_and(|(table, _)| table_named(session, table).is_some())
}

pub(crate) fn is_updated(session: &Session, update: &ast::Update) -> bool {
    table_named(session, &update.table).is_some()
}

impl PreparedChange {
    /// `None`: the table is no temporary one.
    pub async fn delete(
        session: &Session,
        delete: &ast::Delete,
        parameter_types: &[u32],
    ) -> Result<Option<PreparedChange>, QueryError> {
        let Some((table, others)) = tables_of_delete(delete) else {
            return Ok(None);
        };
        let Some((name, _)) = table_named(session, table) else {
            return Ok(None);
        };
        refuse_clauses(&[
            (!delete.tables.is_empty(), "this clause of DELETE"),
            (delete.output.is_some(), "OUTPUT"),
            (!delete.order_by.is_empty() || delete.limit.is_some(), "DELETE … LIMIT"),
        ])?;
        let statement = Matching {
            table,
            others,
            selection: delete.selection.as_ref(),
            values: Vec::new(),
        };
        let returning = delete.returning.as_deref();
        let prepared = prepare(session, name, statement, None, returning, parameter_types).await;
        prepared.map(Some)
    }

    /// `None`: the table is no temporary one.
    pub async fn update(
        session: &Session,
        update: &ast::Update,
        parameter_types: &[u32],
    ) -> Result<Option<PreparedChange>, QueryError> {
        let Some((name, found)) = table_named(session, &update.table) else {
            return Ok(None);
        };
        refuse_clauses(&[
            (update.output.is_some(), "OUTPUT"),
            (
                !update.order_by.is_empty() || update.limit.is_some() || update.or.is_some(),
                "this clause of UPDATE",
            ),
        ])?;
        let others = match &update.from {
            None => Vec::new(),
            Some(ast::UpdateTableFromKind::AfterSet(from) | ast::UpdateTableFromKind::BeforeSet(from)) => from.clone(),
        };
        let mut columns = Vec::new();
        let mut values = Vec::new();
        for assignment in &update.assignments {
            for (target, value) in assigned(assignment)? {
                let (column, value) = assignment_of(&found, &name, &target, value, &columns)?;
                columns.push(column);
                values.push(value);
            }
        }
        let statement = Matching {
            table: &update.table,
            others,
            selection: update.selection.as_ref(),
            values,
        };
        let returning = update.returning.as_deref();
        let prepared = prepare(session, name, statement, Some(columns), returning, parameter_types).await;
        prepared.map(Some)
    }

    pub fn fields(&self) -> Option<Arc<[ResultField]>> {
        self.returning.as_ref().map(|returning| returning.fields.clone())
    }

    /// Changes the rows; answers with the command tag, or the rows of RETURNING.
    pub async fn execute(&self, session: &mut Session, parameters: &[Parameter]) -> Result<Outcome, QueryError> {
        let Some(table) = session.temporary(&self.name) else {
            let message = format!("relation \"{}\" does not exist", self.name.name);
            return Err(QueryError::new(ErrorKind::UndefinedTable, message).at_name(&self.name));
        };
        let columns = table.definition.columns();
        let assigned = self.assigned.as_deref().unwrap_or_default();
        let precision = table.definition.precision();
        let types = assigned
            .iter()
            .map(|column| columns[*column].sql_type.arrow_type(precision));
        let types: Vec<_> = types.collect();
        let found = plan::changed_rows(session, &self.query, &types, parameters).await?;
        let found = gathered(found).await?;
        let (numbers, values) = found.columns().split_first().ok_or_else(unexpected)?;
        let numbers = numbers.as_primitive_opt::<UInt64Type>().ok_or_else(unexpected)?;
        // With USING or FROM a row can match more than once: it goes once, and takes the first values.
        let mut seen = std::collections::HashSet::new();
        let mut firsts: Vec<u32> = (0u32..)
            .zip(numbers.values().iter())
            .filter(|(_, number)| seen.insert(**number))
            .map(|(row, _)| row)
            .collect();
        // In the order in which they stand, whatever a join made of it.
        firsts.sort_by_key(|row| numbers.value(*row as usize));
        let places = table.held.places(firsts.iter().map(|row| numbers.value(*row as usize)));
        let old = table.held.taken(&places).map_err(failed)?;
        let firsts = arrow::array::UInt32Array::from(firsts);
        let (next, written, tag) = match &self.assigned {
            None => (table.held.without(&places).map_err(failed)?, old, "DELETE"),
            Some(assigned) => {
                let mut arrays = old.columns().to_vec();
                for ((number, array), data_type) in assigned.iter().zip(values).zip(&types) {
                    let array = arrow::compute::take(array, &firsts, None).map_err(failed)?;
                    let array = as_stored(&array, data_type)?;
                    arrays[*number] = fitted(array, &columns[*number], table.name())?;
                }
                let new = RecordBatch::try_new(old.schema(), arrays).map_err(failed)?;
                (table.held.replaced(&places, &new).map_err(failed)?, new, "UPDATE")
            }
        };
        let next = table.with_rows(next);
        next.check_unique(rules_about(&table, assigned).into_iter())?;
        let outcome = match &self.returning {
            None => Outcome::Complete(format!("{tag} {}", written.num_rows())),
            Some(returning) => {
                let rows = shown(returning, &written)?;
                Outcome::Rows(returning.rows(session, vec![rows], tag).await?)
            }
        };
        let picture = session.temporaries().picture();
        if !places.is_empty() {
            session.put_temporary(picture.with_rows(next))?;
        }
        Ok(outcome)
    }
}

/// The rows as RETURNING looks at them.
pub(crate) fn shown(returning: &Returning, rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let column = |name: &str| rows.column_by_name(name).cloned().ok_or_else(unexpected);
    let columns = returning.columns().map(column).collect::<Result<Vec<ArrayRef>, _>>()?;
    RecordBatch::try_new(returning.schema().clone(), columns).map_err(failed)
}

/// Numbers of the rules of uniqueness that new values in these columns can break.
fn rules_about(table: &TemporaryTable, assigned: &[usize]) -> Vec<usize> {
    let columns = table.definition.columns();
    let is_assigned = |name: &String| assigned.iter().any(|column| columns[*column].name == *name);
    let rules = table.definition.constraints.iter().enumerate();
    rules
        .filter(|(_, rule)| rule.columns.iter().any(is_assigned))
        .map(|(number, _)| number)
        .collect()
}

fn assignment_of(
    table: &TemporaryTable,
    name: &TableName,
    target: &ast::Ident,
    value: ast::Expr,
    before: &[usize],
) -> Result<(usize, ast::Expr), QueryError> {
    let column = folded(target);
    let at = |error: QueryError| error.with_location(target.span.start);
    let columns = table.definition.columns();
    let Some(number) = columns.iter().position(|own| own.name == column) else {
        let message = format!("column \"{column}\" of relation \"{}\" does not exist", name.name);
        return Err(at(QueryError::new(ErrorKind::UndefinedColumn, message)));
    };
    if before.contains(&number) {
        let message = format!("multiple assignments to same column \"{column}\"");
        return Err(at(QueryError::new(ErrorKind::SyntaxError, message)));
    }
    let value = match is_default(&value) {
        true => default_of(&columns[number])?,
        false => value,
    };
    Ok((number, typed(&value, Some(&columns[number]))))
}

/// Which rows, and what they become.
struct Matching<'a> {
    table: &'a ast::TableWithJoins,
    others: Vec<ast::TableWithJoins>,
    selection: Option<&'a ast::Expr>,
    values: Vec<ast::Expr>,
}

async fn prepare(
    session: &Session,
    name: TableName,
    matching: Matching<'_>,
    assigned: Option<Vec<usize>>,
    returning: Option<&[ast::SelectItem]>,
    parameter_types: &[u32],
) -> Result<PreparedChange, QueryError> {
    let (own, alias) = table_of(matching.table)?;
    let qualifier = ast::Ident::with_quote('"', alias.unwrap_or(own.name));
    let mut query = template()?;
    let select = select_in(&mut query)?;
    let number = vec![qualifier, ast::Ident::with_quote('"', plan::ROW_NUMBER)];
    select.projection = vec![ast::SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(number))];
    for (index, expr) in matching.values.into_iter().enumerate() {
        select.projection.push(ast::SelectItem::ExprWithAlias {
            expr,
            alias: ast::Ident::with_quote('"', format!("\u{1}value{index}")),
        });
    }
    select.from = std::iter::once(matching.table.clone()).chain(matching.others).collect();
    select.selection = matching.selection.cloned();
    let query = plan::prepare(session, &query, parameter_types).await?;
    let returning = match returning {
        Some(items) => Some(Returning::prepare(session, matching.table, items).await?),
        None => None,
    };
    Ok(PreparedChange {
        parameter_types: query.parameter_types.clone(),
        name,
        query,
        assigned,
        returning,
    })
}

/// All rows of a stream as one batch.
async fn gathered(mut stream: datafusion::execution::SendableRecordBatchStream) -> Result<RecordBatch, QueryError> {
    let schema = stream.schema();
    let mut batches = Vec::new();
    let mut bytes = 0usize;
    while let Some(batch) = stream.try_next().await.map_err(plan::errors::translate)? {
        bytes = bytes.saturating_add(batch.get_array_memory_size());
        if bytes > HELD_BYTES_MAX {
            let message = format!("statement changes more than {} MB of rows", HELD_BYTES_MAX >> 20);
            return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message));
        }
        batches.push(batch);
    }
    concat_batches(&schema, &batches).map_err(failed)
}

fn unexpected() -> QueryError {
    QueryError::new(ErrorKind::InternalError, "matching rows have unexpected columns")
}
