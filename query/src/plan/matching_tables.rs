//! The tables of a supertable that an UPDATE of tags is about: its condition over names and tags, evaluated on the catalog's columns, whether
//! the tables have rows or not.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt32Array, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Ident, ObjectName, SelectItem, SetExpr, TableFactor};
use futures::StreamExt;
use taospg_catalog::{CHUNK_ROWS, ChildRef, Children, Precision, Table};

use super::context::QueryContext;
use super::{errors, parameters, prepare, tags};
use crate::ddl::Found;
use crate::{ErrorKind, Parameter, QueryError, Session};

/// The table of names and tags. No user can name it by accident: conditions name columns only.
const TABLES: &str = "tables";
const SLOT: &str = "\u{1}slot";

/// Slots of the tables that match among those that were `found`, and for each of `values` an array of the same length: the expression cast to
/// the type of its tag. `selection` and `values` name only `tbname` and tags.
pub async fn matching_tables(
    session: &Session,
    found: &Found,
    selection: Option<&ast::Expr>,
    values: &[(String, ast::Expr)],
    parameter_types: &[u32],
    given: &[Parameter],
) -> Result<(Vec<u32>, Vec<ArrayRef>), QueryError> {
    let (table, precision) = (found.table(), found.database.options.precision);
    let types: Vec<DataType> = values
        .iter()
        .filter_map(|(name, _)| table.tags.iter().find(|tag| tag.name == *name))
        .map(|tag| tag.sql_type.arrow_type(precision))
        .collect();
    let nothing = || types.iter().map(|data_type| new_null_array(data_type, 0)).collect();
    let Some(children) = session.engine().catalog().children(table.oid) else {
        return Ok((Vec::new(), nothing()));
    };
    let reading = session.settings().reading();
    let context = Arc::new(QueryContext::new(session, [].into_iter()));
    let state = session.engine().planner().state(reading, context);
    let scope = SessionContext::new_with_state(with_own_catalog(state)?);
    let batch = columns_of(table, &children, precision, found.child())?;
    scope.register_batch(TABLES, batch).map_err(errors::translate)?;
    let mut statement = select(selection, values)?;
    crate::system::rewrite(&mut statement)?;
    let bound = parameters::values(parameter_types, given, reading)?;
    let state = scope.state();
    let plan = state
        .statement_to_plan(Statement::Statement(Box::new(statement)))
        .await
        .map_err(errors::translate)?;
    let plan = prepare::analyze(&state, plan)?;
    let physical = prepare::physical(&state, plan, bound, !parameter_types.is_empty()).await?;
    let mut rows = prepare::run(physical, state.task_ctx())?;
    let mut slots = Vec::new();
    let mut pieces: Vec<Vec<ArrayRef>> = vec![Vec::new(); types.len()];
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(errors::translate)?;
        let Some((first, given)) = batch.columns().split_first() else {
            continue;
        };
        slots.extend_from_slice(first.as_primitive::<UInt32Type>().values());
        for ((piece, array), data_type) in pieces.iter_mut().zip(given).zip(&types) {
            let strict = arrow::compute::CastOptions {
                safe: false,
                ..Default::default()
            };
            let array = arrow::compute::cast_with_options(array, data_type, &strict);
            piece.push(array.map_err(|error| errors::translate(error.into()))?);
        }
    }
    let mut arrays = Vec::with_capacity(types.len());
    for (piece, data_type) in pieces.iter().zip(&types) {
        let pieces: Vec<&dyn arrow::array::Array> = piece.iter().map(AsRef::as_ref).collect();
        arrays.push(match pieces.as_slice() {
            [] => new_null_array(data_type, 0),
            pieces => arrow::compute::concat(pieces).map_err(|error| errors::translate(error.into()))?,
        });
    }
    Ok((slots, arrays))
}

/// A catalog for this statement alone: the planner's sessions share theirs, which is empty.
fn with_own_catalog(state: SessionState) -> Result<SessionState, QueryError> {
    let names = state.config_options().catalog.clone();
    let schemas = MemoryCatalogProvider::new();
    schemas
        .register_schema(&names.default_schema, Arc::new(MemorySchemaProvider::new()))
        .map_err(errors::translate)?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(names.default_catalog, Arc::new(schemas));
    let builder = SessionStateBuilder::new_from_existing(state);
    Ok(builder.with_catalog_list(Arc::new(catalogs)).build())
}

/// Slot, name and tags of the tables that are there.
fn columns_of(
    table: &Table,
    children: &Children,
    precision: Precision,
    child: Option<ChildRef>,
) -> Result<RecordBatch, QueryError> {
    let rows = CHUNK_ROWS as usize;
    let mut slots: Vec<u32> = Vec::new();
    match child {
        Some(child) => slots.push(child.slot),
        None => {
            for (chunk, part) in children.chunks.iter().enumerate() {
                let first = chunk * rows;
                slots.extend(
                    part.alive
                        .set_indices()
                        .filter_map(|row| u32::try_from(first + row).ok()),
                );
            }
        }
    }
    let mut fields = vec![
        Field::new(SLOT, DataType::UInt32, false),
        Field::new(super::table::TBNAME, DataType::Utf8View, false),
    ];
    let values =
        |source, data_type: &DataType| tags::values(children, source, data_type, &slots).map_err(errors::translate);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(slots.clone())),
        values(super::table::Source::Name, &DataType::Utf8View)?,
    ];
    for (index, tag) in table.tags.iter().enumerate() {
        let data_type = tag.sql_type.arrow_type(precision);
        columns.push(values(super::table::Source::Tag(index), &data_type)?);
        fields.push(Field::new(&tag.name, data_type, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| errors::translate(error.into()))
}

/// `SELECT slot, values … FROM tables WHERE selection`.
fn select(selection: Option<&ast::Expr>, values: &[(String, ast::Expr)]) -> Result<ast::Statement, QueryError> {
    let mut statement = crate::copy_out::template()?;
    let select = crate::copy_out::select_in(&mut statement)?;
    select.projection = vec![SelectItem::UnnamedExpr(ast::Expr::Identifier(Ident::with_quote(
        '"', SLOT,
    )))];
    for (index, (_, expr)) in values.iter().enumerate() {
        select.projection.push(SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', format!("\u{1}value{index}")),
        });
    }
    select.selection = selection.cloned();
    match select.from.first_mut().map(|from| &mut from.relation) {
        Some(TableFactor::Table { name, .. }) => *name = ObjectName::from(vec![Ident::with_quote('"', TABLES)]),
        _ => return Err(QueryError::new(ErrorKind::InternalError, "a fixed query did not parse")),
    }
    debug_assert!(matches!(&statement, ast::Statement::Query(query) if matches!(*query.body, SetExpr::Select(_))));
    Ok(statement)
}
