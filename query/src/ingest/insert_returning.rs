//! INSERT … RETURNING: the rows are held like those of any INSERT, then read back as they stand now, in the order they were given.
//!
//! Read back, because what stands there can be more than what was given: defaults, tags of the table, columns that an earlier row of the
//! same time keeps. Rows that ON CONFLICT DO NOTHING left alone are not among them, as in PostgreSQL.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Int64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::StreamExt;
use taospg_catalog::Relation;
use taospg_storage::{Change, Conflict, VnodeId};

use super::insert::Insert;
use super::insert_bind::{Bound, BoundClause, PreparedInsert};
use super::insert_planned::gather_query;
use super::insert_rows::Constants;
use super::keyed;
use super::target::{Place, Target};
use super::time::TimeReader;
use crate::copy_out::{select_in, template};
use crate::plan::{self, Returning};
use crate::session::HELD_BYTES_MAX;
use crate::statement::precedence;
use crate::temporary;
use crate::{ErrorKind, Outcome, Parameter, QueryError, Session};

/// Series that are looked up one by one; more of them are found by their times alone. A list of so many costs less to compare a fleet of a
/// million with than the rows of that fleet would cost to read.
const SERIES_LISTED_MAX: usize = 64;

/// Vnode, series and time: what a row is known by.
type Key = (u32, u32, i64);

/// Columns of `plan::matching_rows` before the values.
const VALUES: usize = 4;

impl Insert {
    pub(super) async fn prepare_returning(
        &self,
        session: &Session,
        bound: &Bound,
        span: Range<usize>,
    ) -> Result<Returning, QueryError> {
        // Spaces in the place of what stands before keep the places in errors right.
        let before = self.text[..span.start]
            .chars()
            .map(|char| if char == '\n' { '\n' } else { ' ' });
        let padded: String = before.chain(self.text[span].chars()).collect();
        let parse = || -> Result<Vec<ast::SelectItem>, ParserError> {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(&padded)?;
            let mut items = parser.parse_comma_separated(Parser::parse_select_item)?;
            parser.expect_token(&Token::EOF)?;
            precedence::mend(&mut items);
            Ok(items)
        };
        let items = parse().map_err(|error| crate::statement::syntax_error(&padded, error))?;
        let mut query = template()?;
        let mut from = std::mem::take(&mut select_in(&mut query)?.from);
        let quoted = |name: &str| ast::Ident::with_quote('"', name);
        let (Some(table), Some(clause)) = (from.first_mut(), self.clauses.first()) else {
            return Err(QueryError::new(ErrorKind::InternalError, "a fixed query did not parse"));
        };
        if let ast::TableFactor::Table { name, alias, .. } = &mut table.relation {
            let parts: Vec<String> = match shared(session, bound)? {
                None => clause.table.parts.clone(),
                Some(parts) => parts,
            };
            *name = ast::ObjectName::from(parts.iter().map(|part| quoted(part)).collect::<Vec<_>>());
            *alias = clause.alias.as_ref().map(|alias| ast::TableAlias {
                explicit: true,
                name: quoted(alias),
                columns: Vec::new(),
                at: None,
            });
        }
        Returning::prepare(session, table, &items).await
    }
}

impl PreparedInsert {
    /// The rows of a statement as changes, not yet held, and the vnodes in the rows' order where that is known.
    async fn gather(
        &self,
        session: &mut Session,
        bound: &Bound,
        clause: &BoundClause,
        parameters: &[Parameter],
    ) -> Result<(BTreeMap<VnodeId, Vec<Change>>, Option<Vec<u32>>), QueryError> {
        let engine = Arc::clone(session.engine());
        if let Some(query) = &bound.query {
            let mut gathered = gather_query(session, query, clause, parameters).await?.0;
            return Ok((gathered.take(&engine)?, None));
        }
        let constants = match self.inner.needs_planner(bound) {
            true => {
                let types = &self.parameter_types;
                self.inner.evaluate(session, bound, types, parameters).await?
            }
            false => Constants::default(),
        };
        self.insert_values(session, bound, parameters, &constants)?;
        let accumulator = session.accumulator();
        let order = accumulator.families.vnodes_in_order().map(<[u32]>::to_vec);
        Ok((accumulator.take(&engine)?, order))
    }

    /// The rows of an INSERT into one table that is none of storage's own.
    async fn gather_alone(
        &self,
        session: &mut Session,
        bound: &Bound,
        clause: &BoundClause,
        parameters: &[Parameter],
    ) -> Result<BTreeMap<VnodeId, Vec<Change>>, QueryError> {
        if bound.clauses.len() > 1 {
            let message = format!(
                "\"{}\" in an INSERT into several tables is not supported",
                clause.target.name
            );
            return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
        }
        session.hold_accumulated()?;
        Ok(self.gather(session, bound, clause, parameters).await?.0)
    }

    /// Rows of a keyed table: those that are there already are refused, left out or changed.
    pub(super) async fn execute_keyed(
        &self,
        session: &mut Session,
        bound: &Bound,
        clause: &BoundClause,
        parameters: &[Parameter],
    ) -> Result<Outcome, QueryError> {
        let staged = self.gather_alone(session, bound, clause, parameters).await?;
        let keys = keyed::insert(session, &clause.target, staged, clause.conflict).await?;
        let (Some(returning), Some(table)) = (&self.returning, &clause.target.keyed) else {
            return Ok(Outcome::Complete(format!("INSERT 0 {}", keys.len())));
        };
        let target = Target {
            table: Arc::clone(table),
            place: Place::Supertable,
            keyed: None,
            ..clause.target.clone()
        };
        let rows = rows_of(session, &target, &keys, returning).await?;
        Ok(Outcome::Rows(returning.rows(session, vec![rows], "INSERT 0").await?))
    }

    /// Rows of a temporary table.
    pub(super) async fn execute_temporary(
        &self,
        session: &mut Session,
        bound: &Bound,
        clause: &BoundClause,
        parameters: &[Parameter],
    ) -> Result<Outcome, QueryError> {
        let staged = self.gather_alone(session, bound, clause, parameters).await?;
        let rows = temporary::insert(session, &clause.target, staged, clause.conflict, &clause.fields)?;
        match &self.returning {
            None => Ok(Outcome::Complete(format!("INSERT 0 {}", rows.num_rows()))),
            Some(returning) => {
                let rows = temporary::change::shown(returning, &rows)?;
                Ok(Outcome::Rows(returning.rows(session, vec![rows], "INSERT 0").await?))
            }
        }
    }

    pub(super) async fn execute_returning(
        &self,
        session: &mut Session,
        bound: &Bound,
        clause: &BoundClause,
        returning: &Returning,
        parameters: &[Parameter],
    ) -> Result<Outcome, QueryError> {
        session.hold_accumulated()?;
        let (changes, order) = self.gather(session, bound, clause, parameters).await?;
        let mut keys = keys(&changes, order.as_deref());
        let target = read_from(bound, clause);
        if clause.conflict == Conflict::Keep {
            // Of rows that are there already nothing is written, nor of the second of two with one key.
            let mut known: HashSet<Key> = read(session, &target, &keys, returning)
                .await?
                .places
                .into_keys()
                .collect();
            keys.retain(|key| known.insert(*key));
        }
        session.hold(changes)?;
        let rows = rows_of(session, &target, &keys, returning).await?;
        Ok(Outcome::Rows(returning.rows(session, vec![rows], "INSERT 0").await?))
    }
}

/// The name of the table that RETURNING is about when the statement names another, or several: their supertable. Tables that share none have no
/// columns in common to return.
fn shared(session: &Session, bound: &Bound) -> Result<Option<Vec<String>>, QueryError> {
    let [first, others @ ..] = bound.clauses.as_slice() else {
        return Ok(None);
    };
    if others.is_empty() && first.using.is_none() {
        return Ok(None);
    }
    let target = &first.target;
    if others.iter().any(|clause| clause.target.table.oid != target.table.oid) {
        let message = "RETURNING of an INSERT into tables of different supertables is not supported";
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
    }
    let name = target.table.name.clone();
    Ok(Some(match session.is_connected_to(&target.database) {
        true => vec!["public".into(), name],
        false => vec![target.database.name.clone(), "public".into(), name],
    }))
}

/// Rows of which table are read back.
fn read_from(bound: &Bound, clause: &BoundClause) -> Target {
    let several = bound.clauses.len() > 1 || clause.using.is_some();
    let place = match clause.target.place {
        Place::Child if several => Place::Supertable,
        ref place => place.clone(),
    };
    Target {
        place,
        ..clause.target.clone()
    }
}

/// The rows of these keys as they stand now, in their order.
async fn rows_of(
    session: &Session,
    target: &Target,
    keys: &[Key],
    returning: &Returning,
) -> Result<RecordBatch, QueryError> {
    let written = read(session, target, keys, returning).await?;
    let places: Vec<(usize, usize)> = keys.iter().filter_map(|key| written.places.get(key).copied()).collect();
    match places.is_empty() {
        true => Ok(RecordBatch::new_empty(returning.schema().clone())),
        false => {
            let batches: Vec<&RecordBatch> = written.batches.iter().collect();
            interleave_record_batch(&batches, &places).map_err(|error| plan::errors::translate(error.into()))
        }
    }
}

/// The keys of all rows, in the order of `vnodes` where that is known.
fn keys(changes: &BTreeMap<VnodeId, Vec<Change>>, vnodes: Option<&[u32]>) -> Vec<Key> {
    let of_vnode = |(vnode, changes): (&VnodeId, &Vec<Change>)| {
        let rows = changes.iter().filter_map(|change| match change {
            Change::Rows(rows) => Some(rows),
            _ => None,
        });
        let keys: VecDeque<Key> = rows
            .flat_map(|rows| rows.series.iter().zip(rows.times.iter()))
            .map(|(series, time)| (vnode.0, *series, *time))
            .collect();
        (vnode.0, keys)
    };
    let mut waiting: BTreeMap<u32, VecDeque<Key>> = changes.iter().map(of_vnode).collect();
    match vnodes {
        Some(vnodes) => vnodes
            .iter()
            .filter_map(|vnode| waiting.get_mut(vnode)?.pop_front())
            .collect(),
        None => waiting.into_values().flatten().collect(),
    }
}

/// Rows that were looked for.
struct Found {
    batches: Vec<RecordBatch>,
    /// Batch and row of each key.
    places: HashMap<Key, (usize, usize)>,
}

/// The rows of these keys as the transaction sees them, with the columns that RETURNING looks at.
async fn read(session: &Session, target: &Target, keys: &[Key], returning: &Returning) -> Result<Found, QueryError> {
    let mut found = Found {
        batches: Vec::new(),
        places: HashMap::new(),
    };
    let wanted: HashSet<Key> = keys.iter().copied().collect();
    let Some(selection) = selection(session, target, keys)? else {
        return Ok(found);
    };
    let child = match target.place {
        Place::Child => match session.engine().catalog().relation(target.database.oid, &target.name) {
            Some(Relation::Child { child, .. }) => Some(child),
            _ => None,
        },
        _ => None,
    };
    let column = |name: &str| {
        (
            name.to_string(),
            ast::Expr::Identifier(ast::Ident::with_quote('"', name)),
        )
    };
    let values: Vec<(String, ast::Expr)> = returning.columns().map(column).collect();
    let mut rows = plan::matching_rows(session, &target.table, child, Some(&selection), &values, &[], &[]).await?;
    let mut bytes = 0usize;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(plan::errors::translate)?;
        let (vnodes, series) = (
            batch.column(0).as_primitive::<UInt32Type>(),
            batch.column(1).as_primitive::<UInt32Type>(),
        );
        let times = batch.column(3).as_primitive::<Int64Type>();
        let mut any = false;
        for row in 0..batch.num_rows() {
            let key = (vnodes.value(row), series.value(row), times.value(row));
            if wanted.contains(&key) {
                any = true;
                found.places.insert(key, (found.batches.len(), row));
            }
        }
        if any {
            let kept = RecordBatch::try_new(returning.schema().clone(), batch.columns()[VALUES..].to_vec());
            let kept = kept.map_err(|error| plan::errors::translate(error.into()))?;
            bytes = bytes.saturating_add(kept.get_array_memory_size());
            if bytes > HELD_BYTES_MAX {
                let message = format!("RETURNING holds more than {} MB of rows", HELD_BYTES_MAX >> 20);
                return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message));
            }
            found.batches.push(kept);
        }
    }
    Ok(found)
}

/// A condition that holds for these rows and few others; `None` without rows.
fn selection(session: &Session, target: &Target, keys: &[Key]) -> Result<Option<ast::Expr>, QueryError> {
    let times = || keys.iter().map(|(_, _, time)| *time);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Ok(None);
    };
    let reader = TimeReader::new(
        &target.database.options,
        session.settings().reading(),
        session.transaction_time_ns(),
    );
    let quoted = |name: &str| ast::Ident::with_quote('"', name).to_string();
    let time = quoted(&target.table.time_column().name);
    let moment = |time: i64| match target.zoned_time() {
        true => reader.format(time),
        false => reader.format(time).trim_end_matches("+00").to_string(),
    };
    let mut text = format!("{time} >= '{}' AND {time} <= '{}'", moment(first), moment(last));
    let mut listed: BTreeMap<u32, HashSet<u32>> = BTreeMap::new();
    for (vnode, series, _) in keys {
        listed.entry(*vnode).or_default().insert(*series);
    }
    let count: usize = listed.values().map(HashSet::len).sum();
    if target.place == Place::Supertable && count <= SERIES_LISTED_MAX {
        let (vnode_column, series_column) = (quoted(plan::VNODE_COLUMN), quoted(plan::SERIES_COLUMN));
        let of_vnode = |(vnode, series): (&u32, &HashSet<u32>)| {
            let list: Vec<String> = series.iter().map(u32::to_string).collect();
            format!(
                "({vnode_column} = {vnode} AND {series_column} IN ({}))",
                list.join(", ")
            )
        };
        let lists: Vec<String> = listed.iter().map(of_vnode).collect();
        text.push_str(&format!(" AND ({})", lists.join(" OR ")));
    }
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_expr());
    let parsed = parsed.map_err(|_| QueryError::new(ErrorKind::InternalError, "a condition on keys did not parse"))?;
    Ok(Some(parsed))
}
