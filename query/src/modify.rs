//! DELETE and UPDATE: reads the rows that match, then holds changes that remove or replace them.
//!
//! ```text
//! DELETE  matching rows -> spans of series          Change::Delete
//! UPDATE  matching rows -> the rows as they will be  Change::Rows, replacing
//!         matching rows -> their tables              tags in the catalog
//! ```
//!
//! Promises: what is counted is what was there; a statement that fails has changed nothing. A tag belongs to a table, not to a row: UPDATE of a
//! tag changes every table that matches, at once, as ALTER TABLE … SET TAG does.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Int64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{self, Spanned};
use futures::StreamExt;
use taospg_catalog::{Column, Privileges, SqlType, TableKind};
use taospg_storage::{Change, ColumnId, Conflict, FamilyId, Rows, SeriesId, SeriesSet, TimeRange, VnodeId};

use crate::access::columns::Columns;
use crate::copy_out::{select_in, template};
use crate::ddl::{Found, find};
use crate::ingest::keyed::is_unique_column;
use crate::plan::Returning;
use crate::session::HELD_BYTES_MAX;
use crate::statement::{Place, TableName};
use crate::{ErrorKind, Outcome, Parameter, QueryError, ResultField, Session, plan};

/// Columns of `plan::matching_rows` before the values.
const VNODE: usize = 0;
const SERIES: usize = 1;
const SLOT: usize = 2;
const TIME: usize = 3;
const VALUES: usize = 4;

/// Series of an UPDATE of tags that RETURNING looks for one by one.
const SERIES_LISTED_MAX: usize = 64;

/// A DELETE or UPDATE with its parameters' types known.
pub(crate) struct PreparedModification {
    pub parameter_types: Arc<[u32]>,
    name: TableName,
    selection: Option<ast::Expr>,
    action: Action,
    returning: Option<Returning>,
}

enum Action {
    Delete,
    /// Columns with their new values.
    UpdateColumns(Vec<(String, ast::Expr)>),
    UpdateTags(Vec<(String, ast::Expr)>),
}

impl PreparedModification {
    pub async fn delete(
        session: &Session,
        delete: &ast::Delete,
        parameter_types: &[u32],
    ) -> Result<PreparedModification, QueryError> {
        let ast::FromTable::WithFromKeyword(from) = &delete.from else {
            return Err(QueryError::new(ErrorKind::SyntaxError, "DELETE needs FROM"));
        };
        let used = delete.using.is_some() || !delete.tables.is_empty();
        let more = [
            (used, "DELETE … USING"),
            (delete.output.is_some(), "OUTPUT"),
            (!delete.order_by.is_empty() || delete.limit.is_some(), "DELETE … LIMIT"),
        ];
        refuse_clauses(&more)?;
        let [table] = from.as_slice() else {
            return Err(unsupported("a DELETE from several tables"));
        };
        let (name, alias) = table_of(table)?;
        let mut selection = delete.selection.clone();
        unqualify(selection.as_mut(), &name, alias.as_deref());
        let mut prepared = prepare(session, name, selection, Action::Delete, table, parameter_types).await?;
        prepared.returning = returning(session, table, delete.returning.as_deref()).await?;
        Ok(prepared)
    }

    pub async fn update(
        session: &Session,
        update: &ast::Update,
        parameter_types: &[u32],
    ) -> Result<PreparedModification, QueryError> {
        let more = [
            (update.from.is_some(), "UPDATE … FROM"),
            (update.output.is_some(), "OUTPUT"),
            (
                !update.order_by.is_empty() || update.limit.is_some() || update.or.is_some(),
                "this clause of UPDATE",
            ),
        ];
        refuse_clauses(&more)?;
        let (name, alias) = table_of(&update.table)?;
        let mut selection = update.selection.clone();
        unqualify(selection.as_mut(), &name, alias.as_deref());
        let found = find(session, &name)?;
        let mut columns = Vec::new();
        let mut tags = Vec::new();
        for assignment in &update.assignments {
            for (target, mut value) in assigned(assignment)? {
                unqualify(Some(&mut value), &name, alias.as_deref());
                let column = folded(&target);
                let at = |error: QueryError| error.with_location(target.span.start);
                if column == found.table().time_column().name {
                    let message = format!("column \"{column}\" is the time of a row and cannot be updated");
                    let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
                    return Err(at(error.with_hint("DELETE the row and INSERT it with its new time")));
                }
                let table = found.table();
                let in_key = table.tags.iter().any(|tag| tag.name == column) || is_unique_column(table, &column);
                if table.is_keyed() && in_key {
                    let message = format!("column \"{column}\" is part of a key and cannot be updated");
                    let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
                    return Err(at(error.with_hint("DELETE the row and INSERT it with its new key")));
                }
                let of = |list: &[Column]| list.iter().find(|candidate| candidate.name == column).cloned();
                let (list, definition) = match (of(&found.table().columns), of(&found.table().tags)) {
                    (Some(definition), _) => (&mut columns, definition),
                    (None, Some(definition)) => (&mut tags, definition),
                    (None, None) => {
                        let message = format!("column \"{column}\" of relation \"{}\" does not exist", name.name);
                        return Err(at(QueryError::new(ErrorKind::UndefinedColumn, message)));
                    }
                };
                if list.iter().any(|(seen, _)| *seen == column) {
                    let message = format!("multiple assignments to same column \"{column}\"");
                    return Err(at(QueryError::new(ErrorKind::SyntaxError, message)));
                }
                if is_default(&value) {
                    value = default_of(&definition)?;
                }
                list.push((column, value));
            }
        }
        let action = match (columns.is_empty(), tags.is_empty()) {
            (_, true) => Action::UpdateColumns(columns),
            (true, false) => Action::UpdateTags(tags),
            (false, false) => {
                let error = unsupported("an UPDATE of columns and tags at once");
                return Err(error.with_hint("tags belong to tables and columns to rows: update them in two statements"));
            }
        };
        let mut prepared = prepare(session, name, selection, action, &update.table, parameter_types).await?;
        prepared.returning = returning(session, &update.table, update.returning.as_deref()).await?;
        Ok(prepared)
    }

    /// What RETURNING gives; `None` without it.
    pub fn fields(&self) -> Option<Arc<[ResultField]>> {
        self.returning.as_ref().map(|returning| returning.fields.clone())
    }

    /// Holds the changes; answers with the command tag, or the rows of RETURNING.
    pub async fn execute(&self, session: &mut Session, parameters: &[Parameter]) -> Result<Outcome, QueryError> {
        let found = find(session, &self.name)?;
        self.check_rights(session, &found)?;
        let (tag, changed, changes) = match &self.action {
            Action::Delete => {
                let (rows, changes) = self.deletions(session, &found, parameters).await?;
                ("DELETE", rows, changes)
            }
            Action::UpdateColumns(assignments) => {
                let (rows, changes) = self.replacements(session, &found, assignments, parameters).await?;
                ("UPDATE", rows, changes)
            }
            Action::UpdateTags(assignments) => {
                let Some(returning) = &self.returning else {
                    let tables = self.set_tags(session, &found, assignments, parameters).await?;
                    return Ok(Outcome::Complete(format!("UPDATE {}", tables.len())));
                };
                let keys = self.keys(session, &found, parameters).await?;
                self.set_tags(session, &found, assignments, parameters).await?;
                let rows = self.rows_of(session, &found, &keys).await?;
                return Ok(Outcome::Rows(returning.rows(session, rows, "UPDATE").await?));
            }
        };
        let outcome = match &self.returning {
            Some(returning) => Outcome::Rows(returning.rows(session, changed.rows, tag).await?),
            None => Outcome::Complete(format!("{tag} {}", changed.count)),
        };
        session.hold(changes)?;
        Ok(outcome)
    }

    /// The columns that RETURNING looks at, as values of [`plan::matching_rows`].
    fn returned(&self) -> Vec<(String, ast::Expr)> {
        let columns = self.returning.iter().flat_map(Returning::columns);
        columns.map(|name| (name.to_string(), column_expr(name))).collect()
    }

    /// To look at rows for a condition or for their values is to read them.
    fn check_rights(&self, session: &Session, found: &Found) -> Result<(), QueryError> {
        if session.identity().superuser {
            return Ok(());
        }
        let thing = found.thing(&self.name.name);
        let assignments = match &self.action {
            Action::Delete => {
                session.may(&thing, Privileges::DELETE)?;
                [].as_slice()
            }
            Action::UpdateColumns(assignments) | Action::UpdateTags(assignments) => {
                let names = assignments.iter().map(|(name, _)| name.as_str());
                let changed = || Ok(Columns::named(found.table(), names));
                session.may_touch(None, &thing, Privileges::UPDATE, changed)?;
                assignments.as_slice()
            }
        };
        let exprs = self.selection.iter().chain(assignments.iter().map(|(_, value)| value));
        let mut read: Option<Vec<String>> = Some(Vec::new());
        for expr in exprs {
            read = match (read, columns_in(expr)) {
                (Some(mut read), Some(columns)) => {
                    read.extend(columns);
                    Some(read)
                }
                _ => None,
            };
        }
        if let Some(returning) = &self.returning {
            returning.check(session)?;
        }
        if read.as_ref().is_some_and(Vec::is_empty) && self.selection.is_none() {
            return Ok(());
        }
        session.may_touch(None, &thing, Privileges::SELECT, || {
            Ok(match &read {
                None => Columns::Unknown,
                Some(read) => Columns::named(found.table(), read.iter().map(String::as_str)),
            })
        })
    }

    /// Whether all rows of a series between its first and last match also match: true when the condition is about tags and a span of time.
    fn whole_spans(&self, found: &Found) -> bool {
        let time = &found.table().time_column().name;
        let metrics: Vec<&str> = found
            .table()
            .columns
            .iter()
            .skip(1)
            .map(|column| column.name.as_str())
            .collect();
        self.selection.as_ref().is_none_or(|selection| {
            conjuncts(selection)
                .into_iter()
                .all(|condition| match columns_in(condition) {
                    None => false,
                    Some(columns) if columns.iter().any(|column| metrics.contains(&column.as_str())) => false,
                    Some(columns) if columns.contains(time) => is_span_of(condition, time),
                    Some(_) => true,
                })
        })
    }

    async fn deletions(
        &self,
        session: &Session,
        found: &Found,
        parameters: &[Parameter],
    ) -> Result<(Changed, BTreeMap<VnodeId, Vec<Change>>), QueryError> {
        let mut rows = self.matching(session, found, &self.returned(), parameters).await?;
        let whole = self.whole_spans(found);
        let mut changed = Changed::default();
        // Series by the span they lose; so a fleet with equal spans, or rows of equal times, is one change.
        let mut spans: HashMap<(u32, u32), (i64, i64)> = HashMap::new();
        let mut points: BTreeMap<(u32, i64), Vec<u32>> = BTreeMap::new();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(plan::errors::translate)?;
            let (vnodes, series, times) = (numbers(&batch, VNODE)?, numbers(&batch, SERIES)?, times(&batch)?);
            changed.count += batch.num_rows() as u64;
            if let Some(returning) = &self.returning {
                changed.add(returning, batch.columns()[VALUES..].to_vec())?;
            }
            for ((vnode, series), time) in vnodes.iter().zip(series.iter()).zip(times.iter()) {
                if whole {
                    let span = spans.entry((*vnode, *series)).or_insert((*time, *time));
                    *span = (span.0.min(*time), span.1.max(*time));
                } else {
                    points.entry((*vnode, *time)).or_default().push(*series);
                }
            }
            refuse_too_many(points.len().saturating_mul(64).saturating_add(changed.bytes))?;
        }
        let mut grouped: BTreeMap<(u32, i64, i64), Vec<u32>> = BTreeMap::new();
        for ((vnode, series), (first, last)) in spans {
            grouped.entry((vnode, first, last)).or_default().push(series);
        }
        for ((vnode, time), series) in points {
            grouped.insert((vnode, time, time), series);
        }
        let family = FamilyId(found.table().oid);
        let mut changes: BTreeMap<VnodeId, Vec<Change>> = BTreeMap::new();
        for ((vnode, first, last), mut series) in grouped {
            series.sort_unstable();
            series.dedup();
            let Some(time) = TimeRange::new(first, last) else {
                continue;
            };
            let series = SeriesSet::List(series.into_iter().map(SeriesId).collect());
            changes
                .entry(VnodeId(vnode))
                .or_default()
                .push(Change::Delete { family, series, time });
        }
        Ok((changed, changes))
    }

    /// The rows as they will be: all their columns, the assigned ones with their new values.
    async fn replacements(
        &self,
        session: &Session,
        found: &Found,
        assignments: &[(String, ast::Expr)],
        parameters: &[Parameter],
    ) -> Result<(Changed, BTreeMap<VnodeId, Vec<Change>>), QueryError> {
        let columns: Vec<&Column> = found.table().columns.iter().skip(1).collect();
        let value = |column: &&Column| {
            let assigned = assignments.iter().find(|(name, _)| *name == column.name);
            let value = assigned.map_or_else(|| column_expr(&column.name), |(_, value)| value.clone());
            (column.name.clone(), value)
        };
        let mut values: Vec<(String, ast::Expr)> = columns.iter().map(value).collect();
        // What RETURNING shows is the new value where there is one, and else what was read beside it.
        let returned: Vec<usize> = self
            .returned()
            .into_iter()
            .map(
                |(name, value)| match columns.iter().position(|column| column.name == name) {
                    Some(index) => index,
                    None => {
                        values.push((name, value));
                        values.len() - 1
                    }
                },
            )
            .collect();
        let mut rows = self.matching(session, found, &values, parameters).await?;
        let precision = found.database.options.precision;
        let mut changed = Changed::default();
        let mut bytes = 0usize;
        let mut changes: BTreeMap<VnodeId, Vec<Change>> = BTreeMap::new();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(plan::errors::translate)?;
            let mut arrays = Vec::with_capacity(columns.len());
            for (index, column) in columns.iter().enumerate() {
                let array = batch.column(VALUES + index);
                let mut array = as_stored(array, &column.sql_type.arrow_type(precision))?;
                if assignments.iter().any(|(name, _)| *name == column.name) {
                    array = fitted(array, column, &self.name.name)?;
                }
                arrays.push((ColumnId(column.id), array));
            }
            changed.count += batch.num_rows() as u64;
            if let Some(returning) = &self.returning {
                let value = |index: &usize| match arrays.get(*index) {
                    Some((_, array)) => array.clone(),
                    None => batch.column(VALUES + index).clone(),
                };
                changed.add(returning, returned.iter().map(value).collect())?;
            }
            for (vnode, rows) in by_vnode(&batch, FamilyId(found.table().oid), arrays)? {
                bytes = bytes.saturating_add(rows.memory_bytes());
                changes.entry(VnodeId(vnode)).or_default().push(Change::Rows(rows));
            }
            refuse_too_many(bytes.saturating_add(changed.bytes))?;
        }
        Ok((changed, changes))
    }

    /// Vnode, series and time of the rows that match.
    async fn keys(
        &self,
        session: &Session,
        found: &Found,
        parameters: &[Parameter],
    ) -> Result<HashSet<(u32, u32, i64)>, QueryError> {
        let mut rows = self.matching(session, found, &[], parameters).await?;
        let mut keys = HashSet::new();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(plan::errors::translate)?;
            let places = numbers(&batch, VNODE)?.iter().zip(numbers(&batch, SERIES)?.iter());
            keys.extend(
                places
                    .zip(times(&batch)?.iter())
                    .map(|((vnode, series), time)| (*vnode, *series, *time)),
            );
            refuse_too_many(keys.len().saturating_mul(32))?;
        }
        Ok(keys)
    }

    /// These rows as they stand now, with the columns that RETURNING looks at.
    async fn rows_of(
        &self,
        session: &Session,
        found: &Found,
        keys: &HashSet<(u32, u32, i64)>,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let Some(returning) = &self.returning else {
            return Ok(Vec::new());
        };
        // Series are named while they are few: comparing a fleet with a long list would cost more than reading its rows.
        let series: BTreeSet<u32> = keys.iter().map(|(_, series, _)| *series).collect();
        let listed = (series.len() <= SERIES_LISTED_MAX && !series.is_empty()).then(|| ast::Expr::InList {
            expr: Box::new(column_expr(plan::SERIES_COLUMN)),
            list: series.into_iter().map(number_expr).collect(),
            negated: false,
        });
        let (table, child) = (found.table(), found.child());
        let mut rows = plan::matching_rows(session, table, child, listed.as_ref(), &self.returned(), &[], &[]).await?;
        let mut changed = Changed::default();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(plan::errors::translate)?;
            let places = numbers(&batch, VNODE)?.iter().zip(numbers(&batch, SERIES)?.iter());
            let wanted = places
                .zip(times(&batch)?.iter())
                .map(|((vnode, series), time)| Some(keys.contains(&(*vnode, *series, *time))));
            let batch =
                arrow::compute::filter_record_batch(&batch, &wanted.collect::<BooleanArray>()).map_err(internal)?;
            changed.add(returning, batch.columns()[VALUES..].to_vec())?;
            refuse_too_many(changed.bytes)?;
        }
        Ok(changed.rows)
    }

    /// Sets tags of the tables that match; answers with their slots.
    async fn set_tags(
        &self,
        session: &Session,
        found: &Found,
        assignments: &[(String, ast::Expr)],
        parameters: &[Parameter],
    ) -> Result<Vec<u32>, QueryError> {
        let table = found.table();
        let (slots, arrays) = match self.is_about_tables(found, assignments) {
            true => {
                plan::matching_tables(
                    session,
                    found,
                    self.selection.as_ref(),
                    assignments,
                    &self.parameter_types,
                    parameters,
                )
                .await?
            }
            false => self.tables_of_rows(session, found, assignments, parameters).await?,
        };
        if slots.is_empty() {
            return Ok(slots);
        }
        let precision = found.database.options.precision;
        let mut tags = Vec::new();
        for ((name, _), array) in assignments.iter().zip(&arrays) {
            let place = table.tags.iter().position(|tag| tag.name == *name);
            let place = place
                .ok_or_else(|| QueryError::new(ErrorKind::UndefinedColumn, format!("tag \"{name}\" does not exist")))?;
            let tag = &table.tags[place];
            let array = as_stored(array, &tag.sql_type.arrow_type(precision))?;
            tags.push((place, fitted(array, tag, &self.name.name)?));
        }
        session.engine().catalog().set_tags(table.oid, &slots, &tags)?;
        Ok(slots)
    }

    /// Whether the condition and the values speak of names and tags only: then tables without rows match as well.
    fn is_about_tables(&self, found: &Found, assignments: &[(String, ast::Expr)]) -> bool {
        let of_table = |name: &String| name == "tbname" || found.table().tags.iter().any(|tag| tag.name == *name);
        let exprs = self.selection.iter().chain(assignments.iter().map(|(_, value)| value));
        exprs
            .into_iter()
            .all(|expr| columns_in(expr).is_some_and(|columns| columns.iter().all(of_table)))
    }

    /// Slots of the tables that have a matching row, with the values that the first such row gives.
    async fn tables_of_rows(
        &self,
        session: &Session,
        found: &Found,
        assignments: &[(String, ast::Expr)],
        parameters: &[Parameter],
    ) -> Result<(Vec<u32>, Vec<ArrayRef>), QueryError> {
        let mut rows = self.matching(session, found, assignments, parameters).await?;
        let mut slots: Vec<u32> = Vec::new();
        let mut seen = HashSet::new();
        let mut pieces: Vec<Vec<ArrayRef>> = vec![Vec::new(); assignments.len()];
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(plan::errors::translate)?;
            let mut firsts: Vec<u32> = Vec::new();
            for (row, slot) in (0u32..).zip(numbers(&batch, SLOT)?.iter()) {
                if seen.insert(*slot) {
                    slots.push(*slot);
                    firsts.push(row);
                }
            }
            if firsts.is_empty() {
                continue;
            }
            let firsts = UInt32Array::from(firsts);
            for (index, piece) in pieces.iter_mut().enumerate() {
                piece.push(arrow::compute::take(batch.column(VALUES + index), &firsts, None).map_err(internal)?);
            }
        }
        if slots.is_empty() {
            return Ok((slots, Vec::new()));
        }
        let mut arrays = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            let pieces: Vec<&dyn Array> = piece.iter().map(AsRef::as_ref).collect();
            arrays.push(arrow::compute::concat(&pieces).map_err(internal)?);
        }
        Ok((slots, arrays))
    }

    async fn matching(
        &self,
        session: &Session,
        found: &Found,
        values: &[(String, ast::Expr)],
        parameters: &[Parameter],
    ) -> Result<datafusion::execution::SendableRecordBatchStream, QueryError> {
        plan::matching_rows(
            session,
            found.table(),
            found.child(),
            self.selection.as_ref(),
            values,
            &self.parameter_types,
            parameters,
        )
        .await
    }
}

/// The rows that a statement removed or wrote.
#[derive(Default)]
struct Changed {
    count: u64,
    /// For RETURNING.
    rows: Vec<RecordBatch>,
    bytes: usize,
}

impl Changed {
    fn add(&mut self, returning: &Returning, columns: Vec<ArrayRef>) -> Result<(), QueryError> {
        let batch = RecordBatch::try_new(returning.schema().clone(), columns).map_err(internal)?;
        self.bytes = self.bytes.saturating_add(batch.get_array_memory_size());
        self.rows.push(batch);
        Ok(())
    }
}

async fn returning(
    session: &Session,
    table: &ast::TableWithJoins,
    items: Option<&[ast::SelectItem]>,
) -> Result<Option<Returning>, QueryError> {
    match items {
        Some(items) => Ok(Some(Returning::prepare(session, table, items).await?)),
        None => Ok(None),
    }
}

/// Finds the table, and the types of the parameters by planning the same expressions as a query.
async fn prepare(
    session: &Session,
    name: TableName,
    selection: Option<ast::Expr>,
    action: Action,
    table: &ast::TableWithJoins,
    parameter_types: &[u32],
) -> Result<PreparedModification, QueryError> {
    let found = find(session, &name)?;
    if matches!(action, Action::UpdateTags(_)) && found.table().kind == TableKind::Plain {
        return Err(QueryError::new(
            ErrorKind::WrongObjectType,
            format!("\"{}\" has no tags", name.name),
        ));
    }
    let mut action = action;
    if let Action::UpdateColumns(assignments) | Action::UpdateTags(assignments) = &mut action {
        let all = found.table().columns.iter().chain(&found.table().tags);
        let columns: HashMap<&str, &Column> = all.map(|column| (column.name.as_str(), column)).collect();
        for (name, value) in assignments {
            *value = typed(value, columns.get(name.as_str()).copied());
        }
    }
    let assignments: &[(String, ast::Expr)] = match &action {
        Action::Delete => &[],
        Action::UpdateColumns(assignments) | Action::UpdateTags(assignments) => assignments,
    };
    let mut query = template()?;
    let select = select_in(&mut query)?;
    let items = assignments.iter().map(|(name, value)| ast::SelectItem::ExprWithAlias {
        expr: value.clone(),
        alias: ast::Ident::with_quote('"', name.clone()),
    });
    let one = ast::Expr::Value(ast::Value::Number("1".into(), false).into());
    select.projection = items.collect();
    select.projection.push(ast::SelectItem::UnnamedExpr(one));
    select.from = vec![table.clone()];
    select.selection = selection.clone();
    let prepared = plan::prepare(session, &query, parameter_types).await?;
    Ok(PreparedModification {
        parameter_types: prepared.parameter_types,
        name,
        selection,
        action,
        returning: None,
    })
}

/// A parameter that is assigned has the type of its column.
pub(crate) fn typed(value: &ast::Expr, column: Option<&Column>) -> ast::Expr {
    let is_parameter = matches!(value, ast::Expr::Value(value) if matches!(value.value, ast::Value::Placeholder(_)));
    match column.filter(|_| is_parameter) {
        None => value.clone(),
        Some(column) => ast::Expr::Cast {
            kind: ast::CastKind::Cast,
            expr: Box::new(value.clone()),
            data_type: cast_type(column.sql_type),
            array: false,
            format: None,
        },
    }
}

/// The type without its length, which an assignment checks and a cast would cut to.
fn cast_type(sql_type: SqlType) -> ast::DataType {
    use ast::{DataType, ExactNumberInfo, TimezoneInfo};
    match sql_type {
        SqlType::Boolean => DataType::Boolean,
        SqlType::SmallInt => DataType::SmallInt(None),
        SqlType::Integer => DataType::Integer(None),
        SqlType::BigInt => DataType::BigInt(None),
        SqlType::Real => DataType::Real,
        SqlType::Double => DataType::DoublePrecision,
        SqlType::Numeric { precision, scale } => {
            DataType::Numeric(ExactNumberInfo::PrecisionAndScale(precision.into(), scale.into()))
        }
        SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Jsonb => DataType::Text,
        SqlType::Bytea => DataType::Bytea,
        SqlType::Timestamptz => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        SqlType::Timestamp => DataType::Timestamp(None, TimezoneInfo::WithoutTimeZone),
        SqlType::Date => DataType::Date,
    }
}

fn unsupported(what: &str) -> QueryError {
    QueryError::new(ErrorKind::FeatureNotSupported, format!("{what} is not supported"))
}

pub(crate) fn refuse_clauses(clauses: &[(bool, &str)]) -> Result<(), QueryError> {
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(unsupported(what)),
        None => Ok(()),
    }
}

/// An unquoted name folds to lower case.
pub(crate) fn folded(ident: &ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// The one table of a statement, with its alias.
pub(crate) fn table_of(table: &ast::TableWithJoins) -> Result<(TableName, Option<String>), QueryError> {
    let ast::TableFactor::Table { name, alias, .. } = &table.relation else {
        return Err(unsupported("changing anything but a table"));
    };
    if !table.joins.is_empty() {
        return Err(unsupported("a join in DELETE or UPDATE"));
    }
    let parts: Option<Vec<&ast::Ident>> = name.0.iter().map(ast::ObjectNamePart::as_ident).collect();
    let parts = parts.filter(|parts| (1..=3).contains(&parts.len()));
    let parts =
        parts.ok_or_else(|| QueryError::new(ErrorKind::SyntaxError, format!("improper relation name: {name}")))?;
    let mut reversed = parts.iter().rev();
    let own = reversed.next().expect("has at least one part");
    let table_name = TableName {
        name: folded(own),
        schema: reversed.next().map(|part| folded(part)),
        database: reversed.next().map(|part| folded(part)),
        place: Place::Location(name.span().start),
    };
    Ok((table_name, alias.as_ref().map(|alias| folded(&alias.name))))
}

/// `meters.voltage` and `m.voltage` become `voltage`: rows are matched on the table alone.
fn unqualify(expr: Option<&mut ast::Expr>, name: &TableName, alias: Option<&str>) {
    let Some(expr) = expr else { return };
    let qualifier = alias.unwrap_or(&name.name).to_string();
    let _ = ast::visit_expressions_mut(expr, |expr: &mut ast::Expr| {
        if let ast::Expr::CompoundIdentifier(parts) = expr
            && let [table, column] = parts.as_slice()
            && folded(table) == qualifier
        {
            *expr = ast::Expr::Identifier(column.clone());
        }
        ControlFlow::<()>::Continue(())
    });
}

/// `a = 1` is one pair, `(a, b) = (1, 2)` are two.
pub(crate) fn assigned(assignment: &ast::Assignment) -> Result<Vec<(ast::Ident, ast::Expr)>, QueryError> {
    let column = |name: &ast::ObjectName| match name.0.as_slice() {
        [part] => part.as_ident().cloned().ok_or_else(|| unsupported("assigning to this")),
        _ => Err(unsupported("assigning to a part of a column")),
    };
    match (&assignment.target, &assignment.value) {
        (ast::AssignmentTarget::ColumnName(name), value) => Ok(vec![(column(name)?, value.clone())]),
        (ast::AssignmentTarget::Tuple(names), ast::Expr::Tuple(values)) if names.len() == values.len() => names
            .iter()
            .zip(values)
            .map(|(name, value)| Ok((column(name)?, value.clone())))
            .collect(),
        (ast::AssignmentTarget::Tuple(_), _) => Err(unsupported("assigning a row")),
    }
}

pub(crate) fn is_default(value: &ast::Expr) -> bool {
    matches!(value, ast::Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

/// The DEFAULT expression of a column, or NULL.
pub(crate) fn default_of(column: &Column) -> Result<ast::Expr, QueryError> {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};
    let text = column.default.as_deref().unwrap_or("NULL");
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text);
    let expr = parser.and_then(|mut parser| parser.parse_expr());
    expr.map_err(|_| {
        QueryError::new(
            ErrorKind::InternalError,
            format!("default of column \"{}\" cannot be read", column.name),
        )
    })
}

fn column_expr(name: &str) -> ast::Expr {
    ast::Expr::Identifier(ast::Ident::with_quote('"', name))
}

fn number_expr(number: u32) -> ast::Expr {
    ast::Expr::Value(ast::Value::Number(number.to_string(), false).into())
}

/// The conditions that all have to hold.
fn conjuncts(expr: &ast::Expr) -> Vec<&ast::Expr> {
    match expr {
        ast::Expr::BinaryOp {
            left,
            op: ast::BinaryOperator::And,
            right,
        } => {
            let mut all = conjuncts(left);
            all.extend(conjuncts(right));
            all
        }
        ast::Expr::Nested(inner) => conjuncts(inner),
        other => vec![other],
    }
}

/// Names of the columns in a condition; `None` when it holds a subquery, whose names are not ours.
fn columns_in(expr: &ast::Expr) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    let flow = ast::visit_expressions(expr, |expr: &ast::Expr| {
        match expr {
            ast::Expr::Identifier(ident) => columns.push(folded(ident)),
            ast::Expr::CompoundIdentifier(parts) => columns.extend(parts.last().map(folded)),
            ast::Expr::Subquery(_) | ast::Expr::InSubquery { .. } | ast::Expr::Exists { .. } => {
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    flow.is_continue().then_some(columns)
}

/// Whether a condition on the time leaves one span of it: `ts < x`, `ts BETWEEN x AND y`, `ts = x`.
fn is_span_of(condition: &ast::Expr, time: &str) -> bool {
    use ast::BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq};
    let is_time = |expr: &ast::Expr| matches!(expr, ast::Expr::Identifier(ident) if folded(ident) == time);
    let without_time = |expr: &ast::Expr| columns_in(expr).is_some_and(|columns| columns.is_empty());
    match condition {
        ast::Expr::BinaryOp {
            left,
            op: Eq | Gt | GtEq | Lt | LtEq,
            right,
        } => (is_time(left) && without_time(right)) || (without_time(left) && is_time(right)),
        ast::Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => is_time(expr) && without_time(low) && without_time(high),
        _ => false,
    }
}

fn internal(error: arrow::error::ArrowError) -> QueryError {
    QueryError::new(ErrorKind::InternalError, error.to_string())
}

fn unexpected() -> QueryError {
    QueryError::new(ErrorKind::InternalError, "matching rows have unexpected columns")
}

fn numbers(batch: &RecordBatch, column: usize) -> Result<&ScalarBuffer<u32>, QueryError> {
    let array = batch
        .columns()
        .get(column)
        .and_then(|array| array.as_primitive_opt::<UInt32Type>());
    array.map(|array| array.values()).ok_or_else(unexpected)
}

fn times(batch: &RecordBatch) -> Result<&ScalarBuffer<i64>, QueryError> {
    let array = batch
        .columns()
        .get(TIME)
        .and_then(|array| array.as_primitive_opt::<Int64Type>());
    array.map(|array| array.values()).ok_or_else(unexpected)
}

/// The array in the type that storage keeps.
pub(crate) fn as_stored(array: &ArrayRef, data_type: &arrow::datatypes::DataType) -> Result<ArrayRef, QueryError> {
    if array.data_type() == data_type {
        return Ok(array.clone());
    }
    let strict = arrow::compute::CastOptions {
        safe: false,
        ..Default::default()
    };
    arrow::compute::cast_with_options(array, data_type, &strict).map_err(|error| plan::errors::translate(error.into()))
}

/// The values as a column keeps them: of the length that its type allows, without the blanks that PostgreSQL drops.
pub(crate) fn fitted(array: ArrayRef, column: &Column, relation: &str) -> Result<ArrayRef, QueryError> {
    if column.not_null && array.null_count() > 0 {
        let message = format!(
            "null value in column \"{}\" of relation \"{relation}\" violates not-null constraint",
            column.name
        );
        return Err(QueryError::new(ErrorKind::NotNullViolation, message));
    }
    let (SqlType::Varchar(length) | SqlType::Char(length)) = column.sql_type else {
        return Ok(array);
    };
    let Some(texts) = array.as_string_view_opt() else {
        return Ok(array);
    };
    let length = length as usize;
    let is_long = |text: &str| text.len() > length && text.chars().count() > length;
    let is_blank = |text: &str| matches!(column.sql_type, SqlType::Char(_)) && text.ends_with(' ');
    if !texts.iter().flatten().any(|text| is_long(text) || is_blank(text)) {
        return Ok(array);
    }
    let kept = |text: &str| -> Result<String, QueryError> {
        let bare = text.trim_end_matches(' ');
        if is_long(bare) {
            let message = format!("value too long for type {}", column.sql_type.display_name());
            return Err(QueryError::new(ErrorKind::StringDataRightTruncation, message));
        }
        Ok(match column.sql_type {
            SqlType::Char(_) => bare.to_owned(),
            _ => text.chars().take(length).collect(),
        })
    };
    let texts = texts.iter().map(|text| text.map(kept).transpose());
    Ok(Arc::new(texts.collect::<Result<StringViewArray, _>>()?))
}

fn refuse_too_many(bytes: usize) -> Result<(), QueryError> {
    if bytes <= HELD_BYTES_MAX {
        return Ok(());
    }
    let message = format!("statement changes more than {} MB of rows", HELD_BYTES_MAX >> 20);
    Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message).with_hint("change a part of them at a time"))
}

/// Splits a batch among the vnodes that its rows are in.
fn by_vnode(
    batch: &RecordBatch,
    family: FamilyId,
    arrays: Vec<(ColumnId, ArrayRef)>,
) -> Result<Vec<(u32, Rows)>, QueryError> {
    let vnodes = numbers(batch, VNODE)?;
    let (series, times) = (numbers(batch, SERIES)?.clone(), times(batch)?.clone());
    let mut rows_of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, vnode) in (0u32..).zip(vnodes.iter()) {
        rows_of.entry(*vnode).or_default().push(row);
    }
    if rows_of.len() == 1 {
        let rows = Rows {
            family,
            series,
            times,
            columns: arrays,
            conflict: Conflict::Replace,
        };
        return Ok(rows_of.into_keys().map(|vnode| (vnode, rows.clone())).collect());
    }
    let mut split = Vec::new();
    for (vnode, rows) in rows_of {
        let indices = UInt32Array::from(rows);
        let mut columns = Vec::with_capacity(arrays.len());
        for (id, array) in &arrays {
            columns.push((*id, arrow::compute::take(array, &indices, None).map_err(internal)?));
        }
        let pick = |row: &u32| *row as usize;
        split.push((
            vnode,
            Rows {
                family,
                series: indices.values().iter().map(|row| series[pick(row)]).collect(),
                times: indices.values().iter().map(|row| times[pick(row)]).collect(),
                columns,
                conflict: Conflict::Replace,
            },
        ));
    }
    Ok(split)
}
