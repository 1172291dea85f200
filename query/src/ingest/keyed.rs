//! Rows of a keyed table, which has no time: one row for each key, and no second one, as in any relational database.
//!
//! ```text
//! rows --read like those of a plain table--> columns --compared with what is there--> those that stay
//!      --numbered, a table for each key--> one row each, at a time that nobody sees --> held
//! ```
//!
//! Who writes holds the table's lock until its transaction ends: two sessions cannot both find that a key is free. What is there is read whole for
//! the comparison, which is right for the reference data that such tables are for, and slow for millions of rows.
//!
//! Leaves to others: reading values (`insert_rows.rs`, `copy.rs`), rows as a query sees them (`plan/`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array, new_null_array};
use arrow::compute::{cast_with_options, concat, max, take};
use arrow::datatypes::{DataType, Int64Type};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use taospg_catalog::{Column, KEYED_ROW, NewChild, SeriesRef, Table, TableKind};
use taospg_storage::{Change, ColumnId, Conflict, FamilyId, Rows, VnodeId};

use super::target::Target;
use crate::{Engine, ErrorKind, QueryError, Session, plan};

/// The time of every row of a keyed table. No KEEP removes it before this year has come and KEEP has passed, and it is not more than the hundred
/// years ahead that a row's time may be.
const ROW_TIME: &str = "'2100-01-01 00:00:00+00'";

/// Columns of `plan::matching_rows` before the values.
const VALUES: usize = 4;

/// What the text of a column's default begins with when the server numbers its rows.
const NEXT_NUMBER: &str = "nextval(";

/// The DEFAULT of a SERIAL column.
pub(crate) fn serial_default(table: &str, column: &str) -> String {
    format!(
        "{NEXT_NUMBER}'{}_{}_seq'::regclass)",
        table.replace('\'', "''"),
        column.replace('\'', "''")
    )
}

pub(crate) fn is_serial_default(default: &str) -> bool {
    default.starts_with(NEXT_NUMBER)
}

/// Whether rows that do not say otherwise get the next number there.
pub(crate) fn is_serial(column: &Column) -> bool {
    column.default.as_deref().is_some_and(is_serial_default)
}

/// The table as its rows are read: without tags, so that a value is a value wherever it stands.
pub(super) fn staged(table: &Table) -> Table {
    let time = table.columns.first().map(|time| Column {
        default: Some(ROW_TIME.into()),
        ..time.clone()
    });
    let columns = table.declared().into_iter().map(|column| match is_serial(column) {
        true => Column {
            default: None,
            not_null: false,
            ..column.clone()
        },
        false => column.clone(),
    });
    Table {
        kind: TableKind::Plain,
        columns: time.into_iter().chain(columns).collect(),
        tags: Vec::new(),
        series: Some(STAGED),
        ..table.clone()
    }
}

/// The series that staged rows have; no vnode ever sees it.
pub(super) const STAGED: SeriesRef = SeriesRef { vnode: 0, series: 0 };

/// Holds the rows of a statement; answers with the keys of those that were written, in their order.
pub(super) async fn insert(
    session: &mut Session,
    target: &Target,
    staged: BTreeMap<VnodeId, Vec<Change>>,
    conflict: Conflict,
) -> Result<Vec<(u32, u32, i64)>, QueryError> {
    let table = target.keyed.clone().ok_or_else(|| internal("not a keyed table"))?;
    let rows = Staged::new(&table, target, staged.into_values().flatten())?;
    if rows.count == 0 {
        return Ok(Vec::new());
    }
    session.lock_keyed(&table).await?;
    let staying = staying(session, &table, &rows, conflict).await?;
    let mut columns = Vec::with_capacity(rows.columns.len());
    for (column, array) in rows.columns {
        columns.push((column, take(&array, &staying, None).map_err(failed)?));
    }
    let count = staying.len();
    for (column, array) in columns.iter_mut().filter(|(column, _)| is_serial(column)) {
        *array = number(session.engine(), &table, column, array)?;
    }
    let array_of = |wanted: &Column| match columns.iter().find(|(column, _)| column.id == wanted.id) {
        Some((_, array)) => array.clone(),
        None if wanted.name == KEYED_ROW => Arc::new(BooleanArray::from(vec![true; count])) as ArrayRef,
        None => new_null_array(&wanted.sql_type.arrow_type(target.database.options.precision), count),
    };
    let tags: Vec<ArrayRef> = table.tags.iter().map(array_of).collect();
    let names = vec![NewChild { name: None }; count];
    let children = session.engine().catalog().create_children(table.oid, &names, &tags)?;
    let metrics: Vec<(ColumnId, ArrayRef)> = table
        .columns
        .iter()
        .skip(1)
        .map(|metric| (ColumnId(metric.id), array_of(metric)))
        .collect();
    let mut of_vnode: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, child) in (0u32..).zip(&children) {
        of_vnode.entry(child.series.vnode).or_default().push(row);
    }
    let mut changes = BTreeMap::new();
    for (vnode, members) in of_vnode {
        let series = members
            .iter()
            .map(|row| children[*row as usize].series.series)
            .collect();
        let times = vec![rows.time; members.len()];
        let members = UInt32Array::from(members);
        let columns = metrics
            .iter()
            .map(|(id, array)| Ok((*id, take(array, &members, None)?)));
        let rows = Rows {
            family: FamilyId(table.oid),
            series,
            times: times.into(),
            columns: columns
                .collect::<Result<_, arrow::error::ArrowError>>()
                .map_err(failed)?,
            conflict: match conflict {
                Conflict::Merge => Conflict::Merge,
                _ => Conflict::Replace,
            },
        };
        changes.insert(VnodeId(vnode), vec![Change::Rows(rows)]);
    }
    session.hold(changes)?;
    Ok(children
        .iter()
        .map(|child| (child.series.vnode, child.series.series, rows.time))
        .collect())
}

/// Rows as they were read.
pub(crate) struct Staged {
    /// In declared order.
    pub columns: Vec<(Column, ArrayRef)>,
    pub count: usize,
    time: i64,
}

impl Staged {
    pub fn new(table: &Table, target: &Target, changes: impl Iterator<Item = Change>) -> Result<Staged, QueryError> {
        let chunks: Vec<Rows> = changes
            .filter_map(|change| match change {
                Change::Rows(rows) => Some(rows),
                _ => None,
            })
            .collect();
        let precision = target.database.options.precision;
        let mut columns = Vec::new();
        for column in table.declared() {
            let parts: Vec<ArrayRef> = chunks
                .iter()
                .map(|rows| match rows.columns.iter().find(|(id, _)| id.0 == column.id) {
                    Some((_, array)) => array.clone(),
                    None => new_null_array(&column.sql_type.arrow_type(precision), rows.times.len()),
                })
                .collect();
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            if !parts.is_empty() {
                columns.push((column.clone(), concat(&parts).map_err(failed)?));
            }
        }
        Ok(Staged {
            columns,
            count: chunks.iter().map(|rows| rows.times.len()).sum(),
            time: chunks
                .first()
                .and_then(|rows| rows.times.first().copied())
                .unwrap_or_default(),
        })
    }
}

/// A rule that rows of one value exist once.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub name: String,
    pub columns: Vec<String>,
}

/// The key first.
fn constraints(table: &Table) -> Vec<Constraint> {
    let key = Constraint {
        name: format!("{}_pkey", table.name),
        columns: table.tags.iter().map(|tag| tag.name.clone()).collect(),
    };
    let unique = table
        .indexes
        .iter()
        .filter(|index| index.unique)
        .map(|index| Constraint {
            name: index.name.clone(),
            columns: index.columns.clone(),
        });
    std::iter::once(key).chain(unique).collect()
}

/// Whether some rule of uniqueness is about a column, the key's aside.
pub(crate) fn is_unique_column(table: &Table, name: &str) -> bool {
    let mut unique = table.indexes.iter().filter(|index| index.unique);
    unique.any(|index| index.columns.iter().any(|column| column == name))
}

/// Values as bytes that are equal only for equal values.
struct Keys {
    converter: RowConverter,
    /// Those of what is there, with the row's key.
    known: HashMap<Box<[u8]>, Box<[u8]>>,
}

impl Keys {
    fn new(arrays: &[ArrayRef]) -> Result<Keys, QueryError> {
        let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone()));
        Ok(Keys {
            converter: RowConverter::new(fields.collect()).map_err(failed)?,
            known: HashMap::new(),
        })
    }

    /// `None`: a null is among the values, which is equal to nothing.
    fn of(&self, arrays: &[ArrayRef]) -> Result<Vec<Option<Box<[u8]>>>, QueryError> {
        let rows = self.converter.convert_columns(arrays).map_err(failed)?;
        let whole = |row: usize| arrays.iter().all(|array| array.is_valid(row));
        let keys = (0..rows.num_rows()).map(|row| whole(row).then(|| rows.row(row).as_ref().into()));
        Ok(keys.collect())
    }
}

/// Which rows are to be written: all, or without those that ON CONFLICT DO NOTHING leaves out.
async fn staying(
    session: &Session,
    table: &Arc<Table>,
    rows: &Staged,
    conflict: Conflict,
) -> Result<UInt32Array, QueryError> {
    let constraints = constraints(table);
    let arrays_of = |constraint: &Constraint| -> Vec<ArrayRef> {
        let named = |name: &String| rows.columns.iter().find(|(column, _)| column.name == *name);
        let found = constraint.columns.iter().filter_map(named);
        found.map(|(_, array)| array.clone()).collect()
    };
    let arrays: Vec<Vec<ArrayRef>> = constraints.iter().map(arrays_of).collect();
    let mut keys = arrays
        .iter()
        .map(|arrays| Keys::new(arrays))
        .collect::<Result<Vec<_>, _>>()?;
    let given = keys
        .iter()
        .zip(&arrays)
        .map(|(keys, arrays)| keys.of(arrays))
        .collect::<Result<Vec<_>, _>>()?;
    // Numbers that the server gives are new.
    if given.iter().flatten().any(Option::is_some) {
        read_known(session, table, &constraints, &mut keys).await?;
    }
    let mut staying = Vec::with_capacity(rows.count);
    let mut written: HashMap<Box<[u8]>, ()> = HashMap::new();
    'rows: for (row, own) in given[0].iter().enumerate() {
        let own = own.clone().unwrap_or_default();
        for (number, constraint) in constraints.iter().enumerate() {
            let Some(key) = &given[number][row] else { continue };
            let Some(holder) = keys[number].known.get(key) else {
                continue;
            };
            match conflict {
                Conflict::Keep => continue 'rows,
                Conflict::Merge if number == 0 && written.contains_key(key) => {
                    let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
                    let error = QueryError::new(ErrorKind::CardinalityViolation, message);
                    return Err(error.with_hint(
                        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
                    ));
                }
                Conflict::Merge if *holder == own => {}
                _ => return Err(duplicate(constraint, &arrays[number], row)),
            }
        }
        for (number, keys) in keys.iter_mut().enumerate() {
            if let Some(key) = &given[number][row] {
                keys.known.insert(key.clone(), own.clone());
            }
        }
        written.insert(own, ());
        staying.push(row as u32);
    }
    Ok(UInt32Array::from(staying))
}

/// What the table has already, as this transaction sees it.
async fn read_known(
    session: &Session,
    table: &Arc<Table>,
    constraints: &[Constraint],
    keys: &mut [Keys],
) -> Result<(), QueryError> {
    let column = |name: &String| {
        let ident = ast::Ident::with_quote('"', name.as_str());
        (name.clone(), ast::Expr::Identifier(ident))
    };
    let values: Vec<(String, ast::Expr)> = constraints.iter().flat_map(|own| &own.columns).map(column).collect();
    let mut batches = plan::matching_rows(session, table, None, None, &values, &[], &[]).await?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(plan::errors::translate)?;
        let mut at = VALUES;
        let mut own: Vec<Option<Box<[u8]>>> = Vec::new();
        for (number, constraint) in constraints.iter().enumerate() {
            let arrays = &batch.columns()[at..at + constraint.columns.len()];
            at += constraint.columns.len();
            let found = keys[number].of(arrays)?;
            if number == 0 {
                own = found.clone();
            }
            for (key, own) in found.into_iter().zip(&own) {
                if let (Some(key), Some(own)) = (key, own) {
                    keys[number].known.insert(key, own.clone());
                }
            }
        }
    }
    Ok(())
}

/// Refuses a rule that rows which are there do not keep.
pub(crate) async fn check_unique(
    session: &Session,
    table: &Arc<Table>,
    name: &str,
    columns: &[String],
) -> Result<(), QueryError> {
    let constraint = Constraint {
        name: name.into(),
        columns: columns.to_vec(),
    };
    let column = |name: &String| {
        let ident = ast::Ident::with_quote('"', name.as_str());
        (name.clone(), ast::Expr::Identifier(ident))
    };
    let values: Vec<(String, ast::Expr)> = constraint.columns.iter().map(column).collect();
    let mut batches = plan::matching_rows(session, table, None, None, &values, &[], &[]).await?;
    let mut seen: Option<Keys> = None;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(plan::errors::translate)?;
        let arrays = &batch.columns()[VALUES..];
        let seen = match &mut seen {
            Some(seen) => seen,
            None => seen.insert(Keys::new(arrays)?),
        };
        for (row, key) in seen.of(arrays)?.into_iter().enumerate() {
            if let Some(key) = key
                && seen.known.insert(key, Box::default()).is_some()
            {
                let message = format!("could not create unique index \"{name}\"");
                let detail = format!("Key {} is duplicated.", shown(&constraint, arrays, row));
                return Err(QueryError::new(ErrorKind::UniqueViolation, message).with_detail(detail));
            }
        }
    }
    Ok(())
}

pub(crate) fn duplicate(constraint: &Constraint, arrays: &[ArrayRef], row: usize) -> QueryError {
    let message = format!("duplicate key value violates unique constraint \"{}\"", constraint.name);
    let detail = format!("Key {} already exists.", shown(constraint, arrays, row));
    QueryError::new(ErrorKind::UniqueViolation, message).with_detail(detail)
}

/// `(id, name)=(1, a)`
fn shown(constraint: &Constraint, arrays: &[ArrayRef], row: usize) -> String {
    let options = FormatOptions::default();
    let value = |array: &ArrayRef| {
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options);
        formatter.map_or_else(|_| String::new(), |formatter| formatter.value(row).to_string())
    };
    let values: Vec<String> = arrays.iter().map(value).collect();
    format!("({})=({})", constraint.columns.join(", "), values.join(", "))
}

/// The next numbers in the places of nulls.
fn number(engine: &Engine, table: &Table, column: &Column, array: &ArrayRef) -> Result<ArrayRef, QueryError> {
    if array.null_count() == 0 {
        return Ok(array.clone());
    }
    let strict = arrow::compute::CastOptions {
        safe: false,
        ..Default::default()
    };
    let whole = cast_with_options(array, &DataType::Int64, &strict).map_err(failed)?;
    let given = whole.as_primitive::<Int64Type>();
    let mut next = engine.take_numbers(table.oid, array.null_count() as i64, || highest(engine, table, column));
    let numbered: Int64Array = given
        .iter()
        .map(|value| {
            value.unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    cast_with_options(&numbered, array.data_type(), &strict).map_err(|_| {
        let (table, column) = (&table.name, &column.name);
        let message = format!("column \"{column}\" of table \"{table}\" has no numbers left");
        QueryError::new(ErrorKind::NumericValueOutOfRange, message)
    })
}

/// The highest number that any row of the table ever had: what a DELETE leaves of a row is its place in the catalog.
fn highest(engine: &Engine, table: &Table, column: &Column) -> i64 {
    let Some(tag) = table.tags.iter().position(|tag| tag.id == column.id) else {
        return 0;
    };
    let children = engine.catalog().children(table.oid);
    let chunks = children.iter().flat_map(|children| &children.chunks);
    let of_chunk = |chunk: &Arc<taospg_catalog::ChildChunk>| {
        let whole = arrow::compute::cast(chunk.tags.get(tag)?, &DataType::Int64).ok()?;
        max(whole.as_primitive::<Int64Type>())
    };
    chunks.filter_map(of_chunk).max().unwrap_or(0)
}

fn failed(error: arrow::error::ArrowError) -> QueryError {
    plan::errors::translate(error.into())
}

fn internal(message: &str) -> QueryError {
    QueryError::new(ErrorKind::InternalError, message)
}
