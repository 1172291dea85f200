//! The rows that a DELETE or UPDATE touches, found like those of a SELECT.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{self, Ident, ObjectName, SelectItem, SetExpr, TableFactor};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use taospg_catalog::{ChildRef, Table};

use super::context::QueryContext;
use super::object_names::Shown;
use super::resolve::{self, Named};
use super::{errors, parameters, prepare};
use crate::{ErrorKind, Parameter, QueryError, Session};

pub async fn matching_rows(
    session: &Session,
    table: &Arc<Table>,
    child: Option<ChildRef>,
    selection: Option<&ast::Expr>,
    values: &[(String, ast::Expr)],
    parameter_types: &[u32],
    given: &[Parameter],
) -> Result<SendableRecordBatchStream, QueryError> {
    let catalog = session.engine().catalog();
    let database = catalog
        .databases()
        .into_iter()
        .find(|database| database.oid == table.database_oid)
        .ok_or_else(|| {
            QueryError::new(
                ErrorKind::InvalidCatalogName,
                format!("the database of \"{}\" is gone", table.name),
            )
        })?;
    let name = match child {
        Some(child) => child_name(session, table, child),
        None => table.name.clone(),
    };
    let mut types: Vec<DataType> = Vec::new();
    for (column, _) in values {
        if column == super::table::TBNAME {
            types.push(DataType::Utf8View);
            continue;
        }
        let found = table
            .columns
            .iter()
            .chain(&table.tags)
            .find(|other| other.name == *column)
            .ok_or_else(|| {
                QueryError::new(
                    ErrorKind::UndefinedColumn,
                    format!("column \"{column}\" of relation \"{name}\" does not exist"),
                )
            })?;
        types.push(found.sql_type.arrow_type(database.options.precision));
    }
    let mut statement = select(&name, &table.time_column().name, selection, values)?;
    let views = super::views::expand(session, &mut statement)?;
    crate::system::rewrite(&mut statement)?;
    let mut relations = resolve::relations(session, &statement).await?;
    let named = Named {
        database: database.clone(),
        table: table.clone(),
        child,
        reader: None,
    };
    relations.change(TableReference::bare(name), named);
    let planned = prepare::plan_with(session, statement, parameter_types, &relations, Shown::Names)?;
    // The changed table itself is asked about by who changes it.
    for read in prepare::reads(&planned.plan)?.iter().chain(&views.reads) {
        if read.thing().owned_as() != table.oid {
            read.check(session, &planned.plan)?;
        }
    }
    let reading = session.settings().reading();
    let bound = parameters::values(&planned.parameter_types, given, reading)?;
    // The first four identify the row; the rest takes the columns' types.
    let mut list: Vec<Expr> = Vec::new();
    for (index, (qualifier, field)) in planned.plan.schema().iter().enumerate() {
        let column = Expr::from((qualifier, field));
        let target = match index {
            0..3 => None,
            3 => Some(DataType::Int64),
            _ => types
                .get(index - 4)
                .filter(|data_type| *data_type != field.data_type())
                .cloned(),
        };
        let named = match target {
            Some(data_type) => cast(column, data_type),
            None => column,
        };
        list.push(named.alias(format!("c{index}")));
    }
    let plan = LogicalPlanBuilder::from(planned.plan)
        .project(list)
        .and_then(LogicalPlanBuilder::build)
        .map_err(errors::translate)?;
    let mut databases: HashMap<u32, _> = planned
        .databases
        .iter()
        .map(|database| (database.oid, database.clone()))
        .collect();
    databases.insert(database.oid, database);
    let context = Arc::new(QueryContext::new(session, databases.values()));
    let state = session.engine().planner().state(reading, context);
    let physical = prepare::physical(&state, plan, bound, !planned.parameter_types.is_empty()).await?;
    prepare::run(physical, state.task_ctx())
}

fn child_name(session: &Session, table: &Table, child: ChildRef) -> String {
    use datafusion::common::ScalarValue;
    let Some(children) = session.engine().catalog().children(table.oid) else {
        return table.name.clone();
    };
    let names = super::tags::values(
        &children,
        super::table::Source::Name,
        &DataType::Utf8View,
        &[child.slot],
    );
    match names.and_then(|names| ScalarValue::try_from_array(&names, 0)) {
        Ok(ScalarValue::Utf8View(Some(name))) => name,
        _ => table.name.clone(),
    }
}

/// `SELECT vnode, series, slot, time, values … FROM table WHERE selection`.
fn select(
    name: &str,
    time: &str,
    selection: Option<&ast::Expr>,
    values: &[(String, ast::Expr)],
) -> Result<ast::Statement, QueryError> {
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT 1 FROM t")
        .ok()
        .and_then(|mut statements| statements.pop());
    let Some(ast::Statement::Query(mut query)) = parsed else {
        return Err(impossible());
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(impossible());
    };
    let column = |name: &str| SelectItem::UnnamedExpr(ast::Expr::Identifier(Ident::with_quote('"', name)));
    select.projection = [super::table::VNODE, super::table::SERIES, super::table::SLOT, time]
        .map(column)
        .to_vec();
    for (index, (_, expr)) in values.iter().enumerate() {
        select.projection.push(SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', format!("\u{1}value{index}")),
        });
    }
    match select.from.first_mut().map(|from| &mut from.relation) {
        Some(TableFactor::Table { name: table, .. }) => *table = ObjectName::from(vec![Ident::with_quote('"', name)]),
        _ => return Err(impossible()),
    }
    select.selection = selection.cloned();
    Ok(ast::Statement::Query(query))
}

fn impossible() -> QueryError {
    QueryError::new(ErrorKind::InternalError, "a change could not be made into a query")
}
