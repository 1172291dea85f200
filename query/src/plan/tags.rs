//! Tag predicates: evaluated on the catalog's tag columns, chunk by chunk, into the series to read, before any file is touched.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::prep_null_mask_filter;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::common::cast::as_boolean_array;
use datafusion::logical_expr::expr::{BinaryExpr, InList, Placeholder};
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_plan::PhysicalExpr;
use taospg_catalog::{CHUNK_ROWS, Catalog, ChildChunk, Children, Relation, SeriesRef, TableKind};
use taospg_storage::SeriesId;

use super::context::QueryContext;
use super::table::{SeriesTable, Source};

/// The series of one vnode that a query reads.
#[derive(Clone, Debug)]
pub struct VnodeSeries {
    pub vnode: u32,
    /// Ascending, each with its slot among the supertable's children (0 for a plain table). Empty with `all`.
    pub series: Arc<[(u32, u32)]>,
    /// Every series of the family, and nobody asks which is which.
    pub all: bool,
}

/// What a tag predicate left.
pub struct Selection {
    pub vnodes: Vec<VnodeSeries>,
    /// Where names and tags of slots are looked up; `None` for a plain table.
    pub children: Option<Children>,
    /// Series taken, and there were.
    pub taken: u64,
    pub of: u64,
}

/// The tables that a filter names (`tbname = 'd1'`, `tbname IN (…)`), if that is what it does.
pub fn names_of(table: &SeriesTable, filter: &Expr, context: &QueryContext) -> Option<Vec<String>> {
    let is_name =
        |expr: &Expr| matches!(expr, Expr::Column(column) if table.source(&column.name) == Some(Source::Name));
    let text = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_string),
        Expr::Placeholder(Placeholder { id, .. }) => {
            let value = context.value(id).ok()?;
            value.try_as_str().flatten().map(str::to_string)
        }
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => match (is_name(left), is_name(right)) {
            (true, false) => Some(vec![text(right)?]),
            (false, true) => Some(vec![text(left)?]),
            _ => None,
        },
        // Small IN lists come as a chain of ORs.
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => {
            let mut names = names_of(table, left, context)?;
            names.extend(names_of(table, right, context)?);
            Some(names)
        }
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) if is_name(expr) => list.iter().map(text).collect(),
        _ => None,
    }
}

/// Slots of the children that have these names, ascending.
fn named_slots(table: &SeriesTable, catalog: &Catalog, names: &[String]) -> Vec<u32> {
    let slot = |name: &String| match catalog.relation(table.database.oid, name)? {
        Relation::Child { child, .. } if child.supertable == table.table.oid => Some(child.slot),
        _ => None,
    };
    let mut slots: Vec<u32> = names.iter().filter_map(slot).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// Evaluates `predicate` (over the table's schema, tags and `tbname` only). `needs_list`: the series must be told apart.
pub fn select(
    table: &SeriesTable,
    catalog: &Catalog,
    names: Option<&[String]>,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    needs_list: bool,
) -> DfResult<Selection> {
    if table.table.kind == TableKind::Plain {
        return select_plain(table, names, predicate);
    }
    let Some(children) = catalog.children(table.table.oid) else {
        return Ok(Selection {
            vnodes: Vec::new(),
            children: None,
            taken: 0,
            of: 0,
        });
    };
    let of = catalog.children_count(table.table.oid);
    if predicate.is_none() && names.is_none() && !needs_list && table.child.is_none() {
        let vnodes = table.database.vnodes.iter().map(|vnode| VnodeSeries {
            vnode: *vnode,
            series: Arc::new([]),
            all: true,
        });
        return Ok(Selection {
            vnodes: vnodes.collect(),
            children: Some(children),
            taken: of,
            of,
        });
    }
    let candidates = match (table.child, names) {
        (None, None) => None,
        (Some(child), None) => Some(vec![child.slot]),
        (child, Some(names)) => {
            let mut slots = named_slots(table, catalog, names);
            slots.retain(|slot| child.is_none_or(|child| child.slot == *slot));
            Some(slots)
        }
    };
    let slots = match candidates {
        Some(slots) => matching_among(&slots, table, &children, predicate)?,
        None => matching(table, &children, predicate)?,
    };
    let taken = slots.len() as u64;
    let mut vnodes: Vec<(u32, Vec<(u32, u32)>)> =
        table.database.vnodes.iter().map(|vnode| (*vnode, Vec::new())).collect();
    for slot in slots {
        let Some(series) = series_of(&children, slot) else {
            continue;
        };
        match vnodes.iter_mut().find(|(vnode, _)| *vnode == series.vnode) {
            Some((_, list)) => list.push((series.series, slot)),
            None => vnodes.push((series.vnode, vec![(series.series, slot)])),
        }
    }
    let vnodes = vnodes
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(vnode, mut list)| {
            // Slots and series are both given in order of creation: nearly always sorted already.
            if !list.is_sorted() {
                list.sort_unstable();
            }
            VnodeSeries {
                vnode,
                series: list.into(),
                all: false,
            }
        });
    Ok(Selection {
        vnodes: vnodes.collect(),
        children: Some(children),
        taken,
        of,
    })
}

/// Slots of the living children that the predicate holds for, ascending.
fn matching(table: &SeriesTable, children: &Children, predicate: Option<&Arc<dyn PhysicalExpr>>) -> DfResult<Vec<u32>> {
    let mut slots = Vec::new();
    for (chunk, part) in children.chunks.iter().enumerate() {
        let keep = evaluate(table, part, predicate, None)?;
        let first = chunk * CHUNK_ROWS as usize;
        slots.extend((&keep & &part.alive).set_indices().map(|row| (first + row) as u32));
    }
    Ok(slots)
}

/// The same of a few children, one by one.
fn matching_among(
    slots: &[u32],
    table: &SeriesTable,
    children: &Children,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
) -> DfResult<Vec<u32>> {
    let chunk_rows = CHUNK_ROWS as usize;
    let mut matching = Vec::with_capacity(slots.len());
    for slot in slots {
        let (chunk, row) = (*slot as usize / chunk_rows, *slot as usize % chunk_rows);
        if let Some(part) = children.chunks.get(chunk)
            && row < part.alive.len()
            && part.alive.value(row)
            && evaluate(table, part, predicate, Some(row))?.value(0)
        {
            matching.push(*slot);
        }
    }
    Ok(matching)
}

fn select_plain(
    table: &SeriesTable,
    names: Option<&[String]>,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
) -> DfResult<Selection> {
    let name: ArrayRef = Arc::new(StringViewArray::from_iter_values([table.table.name.as_str()]));
    let keep = match predicate {
        None => true,
        Some(predicate) => {
            let batch = tag_batch(table, 1, |source| (source == Source::Name).then(|| name.clone()))?;
            truths(predicate, &batch)?.value(0)
        }
    };
    let keep = keep && names.is_none_or(|names| names.contains(&table.table.name));
    let series = table.table.series.filter(|_| keep);
    let vnodes = series.map(|series| VnodeSeries {
        vnode: series.vnode,
        series: Arc::new([(series.series, 0)]),
        all: false,
    });
    Ok(Selection {
        taken: u64::from(keep),
        of: 1,
        vnodes: vnodes.into_iter().collect(),
        children: None,
    })
}

/// Which rows of a chunk the predicate holds for; of one row only where `row` says so.
fn evaluate(
    table: &SeriesTable,
    chunk: &ChildChunk,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    row: Option<usize>,
) -> DfResult<BooleanBuffer> {
    let rows = row.map_or(chunk.names.len(), |_| 1);
    let Some(predicate) = predicate else {
        return Ok(BooleanBuffer::new_set(rows));
    };
    let batch = tag_batch(table, rows, |source| {
        let column = match source {
            Source::Tag(index) => chunk.tags.get(index)?,
            Source::Name => &chunk.names,
            Source::Vnode => &numbers(chunk, |series| series.vnode),
            Source::Series => &numbers(chunk, |series| series.series),
            _ => return None,
        };
        Some(match row {
            Some(row) if row < column.len() => column.slice(row, 1),
            Some(_) => new_null_array(column.data_type(), 1),
            None => column.clone(),
        })
    })?;
    truths(predicate, &batch)
}

/// A number of each child's series, for statements that know their rows by it.
fn numbers(chunk: &ChildChunk, number: impl Fn(&SeriesRef) -> u32) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(chunk.series.iter().map(number)))
}

/// A batch with the table's schema: `values` for tags and names, nulls for columns that the predicate does not look at.
fn tag_batch(table: &SeriesTable, rows: usize, values: impl Fn(Source) -> Option<ArrayRef>) -> DfResult<RecordBatch> {
    use datafusion::catalog::TableProvider;
    let schema = table.schema();
    let nullable: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let columns = table
        .sources
        .iter()
        .zip(schema.fields())
        .map(|(source, field)| values(*source).unwrap_or_else(|| new_null_array(field.data_type(), rows)))
        .collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(nullable));
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn truths(predicate: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> DfResult<BooleanBuffer> {
    let value = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
    let truths: &BooleanArray = as_boolean_array(&value)?;
    Ok(match truths.null_count() {
        0 => truths.values().clone(),
        _ => prep_null_mask_filter(truths).values().clone(),
    })
}

fn series_of(children: &Children, slot: u32) -> Option<SeriesRef> {
    let rows = CHUNK_ROWS as usize;
    let chunk = children.chunks.get(slot as usize / rows)?;
    chunk.series.get(slot as usize % rows).copied()
}

/// Names or tags of slots: one value for each.
pub fn values(
    children: &Children,
    source: Source,
    data_type: &arrow::datatypes::DataType,
    slots: &[u32],
) -> DfResult<ArrayRef> {
    let rows = CHUNK_ROWS as usize;
    let column = |chunk: &Arc<ChildChunk>| match source {
        Source::Tag(index) => chunk.tags.get(index).cloned(),
        _ => Some(chunk.names.clone()),
    };
    let place = |slot: u32| (slot as usize / rows, slot as usize % rows);
    // One chunk is the usual case, and needs no gathering from several.
    if let Some(first) = slots.first()
        && slots.iter().all(|slot| place(*slot).0 == place(*first).0)
        && let Some(array) = children.chunks.get(place(*first).0).and_then(column)
    {
        let indices = UInt32Array::from_iter_values(slots.iter().map(|slot| place(*slot).1 as u32));
        return Ok(arrow::compute::take(&array, &indices, None)?);
    }
    // A tag added after the children were made may be missing from old chunks.
    let arrays: Vec<ArrayRef> = children
        .chunks
        .iter()
        .map(|chunk| column(chunk).unwrap_or_else(|| new_null_array(data_type, chunk.names.len())))
        .collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(|array| array.as_ref()).collect();
    let places: Vec<(usize, usize)> = slots.iter().map(|slot| place(*slot)).collect();
    Ok(arrow::compute::interleave(&arrays, &places)?)
}

/// As storage wants it.
pub fn series_set(series: &VnodeSeries) -> taospg_storage::SeriesSet {
    match series.all {
        true => taospg_storage::SeriesSet::All,
        false => taospg_storage::SeriesSet::List(series.series.iter().map(|(series, _)| SeriesId(*series)).collect()),
    }
}
