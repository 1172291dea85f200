//! Names to things for DataFusion's SQL planner: tables of the catalog and of the system schemas, functions, types.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::catalog::TableFunctionArgs;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF, cast,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{self, visit_relations};
use taospg_catalog::{ChildRef, Database, Relation, Table};

use super::errors;
use super::table::SeriesTable;
use super::temporary::TemporaryScan;
use super::types::PgTypes;
use crate::functions::signature::Unknown;
use crate::system::{self, SessionFunctions, SessionInfo, Wanted};
use crate::temporary::TemporaryTable;
use crate::{ErrorKind, QueryError, Session};

/// A table of the catalog that a statement names.
#[derive(Clone)]
pub struct Named {
    pub database: Arc<Database>,
    pub table: Arc<Table>,
    pub child: Option<ChildRef>,
    /// The owner of the view that reads it; `None` is who asks.
    pub reader: Option<u32>,
}

/// Everything a statement names, looked up.
pub struct Relations {
    pub tables: HashMap<TableReference, Named>,
    pub temporary: HashMap<TableReference, Arc<TemporaryTable>>,
    system: HashMap<TableReference, Arc<dyn TableSource>>,
    missing: HashMap<TableReference, QueryError>,
    /// The table that a DELETE or UPDATE changes.
    changed: Option<TableReference>,
    info: SessionInfo,
}

/// Looks up what a statement names. What is not found is an error only when the planner asks for it: it may be a CTE.
pub async fn relations(session: &Session, statement: &ast::Statement) -> Result<Relations, QueryError> {
    let info = session.info()?;
    let mut found = Relations {
        tables: HashMap::new(),
        temporary: HashMap::new(),
        system: HashMap::new(),
        missing: HashMap::new(),
        changed: None,
        info,
    };
    let mut names = Vec::new();
    let _: ControlFlow<()> = visit_relations(statement, |name| {
        names.push(name.clone());
        ControlFlow::Continue(())
    });
    let wanted = Wanted {
        mentioned: Arc::new(system::mentioned(statement)),
        children: names.iter().any(system::lists_children),
        table_oid: super::rewrite::mentioned(statement).contains(system::TABLE_OID),
    };
    for name in names {
        let position = name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .map(|ident| ident.span.start);
        let Ok(reference) = object_name_to_table_reference(name, true) else {
            continue;
        };
        if found.knows(&reference) {
            continue;
        }
        // First in the search path.
        if let Some(table) = temporary_table(session, &found.info.database, &reference) {
            found.temporary.insert(reference, table);
            continue;
        }
        if let Some(source) = system_source(session, &found.info, &reference, &wanted).await? {
            found.system.insert(reference, source);
            continue;
        }
        match catalog_table(session, &found.info.database, &reference) {
            Ok(named) => {
                found.tables.insert(reference, named);
            }
            Err(error) => {
                let error = match position {
                    Some(start) => error.with_location(start),
                    None => error,
                };
                found.missing.insert(reference, error);
            }
        }
    }
    Ok(found)
}

impl Relations {
    /// Whether a reference names a system table.
    pub fn is_system(&self, reference: &TableReference) -> bool {
        self.system.contains_key(reference)
    }

    /// Makes this reference the table that is changed: with everything that identifies its rows.
    pub fn change(&mut self, reference: TableReference, named: Named) {
        self.missing.remove(&reference);
        self.temporary.remove(&reference);
        self.system.remove(&reference);
        self.tables.insert(reference.clone(), named);
        self.changed = Some(reference);
    }

    fn knows(&self, reference: &TableReference) -> bool {
        self.tables.contains_key(reference)
            || self.temporary.contains_key(reference)
            || self.system.contains_key(reference)
            || self.missing.contains_key(reference)
    }
}

fn temporary_table(session: &Session, connected: &Database, reference: &TableReference) -> Option<Arc<TemporaryTable>> {
    let temporaries = session.temporaries();
    match reference {
        TableReference::Full { catalog, .. } if catalog.as_ref() != connected.name => None,
        _ => temporaries.find(reference.schema(), reference.table()),
    }
}

/// A table of pg_catalog or information_schema; pg_catalog is always on the search path.
async fn system_source(
    session: &Session,
    info: &SessionInfo,
    reference: &TableReference,
    wanted: &Wanted,
) -> Result<Option<Arc<dyn TableSource>>, QueryError> {
    let schema = match reference {
        TableReference::Bare { .. } => "pg_catalog",
        TableReference::Partial { schema, .. } => schema.as_ref(),
        TableReference::Full { catalog, schema, .. } if catalog.as_ref() == info.database.name => schema.as_ref(),
        TableReference::Full { .. } => return Ok(None),
    };
    let Some(schema) = system::schema(session.engine(), info, schema, wanted) else {
        return Ok(None);
    };
    let table = schema.table(reference.table()).await.map_err(errors::translate)?;
    Ok(table.map(provider_as_source))
}

fn catalog_table(
    session: &Session,
    connected: &Arc<Database>,
    reference: &TableReference,
) -> Result<Named, QueryError> {
    let catalog = session.engine().catalog();
    let undefined = || {
        QueryError::new(
            ErrorKind::UndefinedTable,
            format!("relation \"{reference}\" does not exist"),
        )
    };
    let reader = reference.schema().and_then(super::views::reader);
    let database = match reference {
        TableReference::Bare { .. } => connected.clone(),
        TableReference::Partial { schema, .. } if schema.as_ref() == "public" || reader.is_some() => connected.clone(),
        TableReference::Partial { schema, .. } => catalog.database(schema).ok_or_else(undefined)?,
        TableReference::Full {
            catalog: name, schema, ..
        } if schema.as_ref() == "public" || reader.is_some() => catalog.database(name).ok_or_else(undefined)?,
        TableReference::Full { .. } => return Err(undefined()),
    };
    match catalog.relation(database.oid, reference.table()) {
        Some(Relation::Table(table)) => Ok(Named {
            database,
            table,
            child: None,
            reader,
        }),
        Some(Relation::Child { supertable, child }) => Ok(Named {
            database,
            table: supertable,
            child: Some(child),
            reader,
        }),
        None => Err(undefined()),
    }
}

/// What DataFusion's SQL planner asks while it plans one statement.
pub struct Names<'a> {
    state: &'a SessionState,
    tables: HashMap<TableReference, Arc<dyn TableSource>>,
    missing: HashMap<TableReference, QueryError>,
    session_functions: SessionFunctions,
    pg_notify: Arc<ScalarUDF>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
}

impl<'a> Names<'a> {
    /// `mentioned`: every identifier in the statement; pseudo-columns that it does not mention are left out of their tables.
    pub fn new(
        session: &Session,
        state: &'a SessionState,
        relations: &Relations,
        mentioned: &HashSet<String>,
    ) -> Names<'a> {
        let mut tables = relations.system.clone();
        for (reference, named) in &relations.tables {
            let table = match relations.changed.as_ref() == Some(reference) {
                true => SeriesTable::for_change(named),
                false => SeriesTable::new(named, mentioned),
            };
            tables.insert(reference.clone(), provider_as_source(Arc::new(table)));
        }
        for (reference, table) in &relations.temporary {
            let table = TemporaryScan::new(table, mentioned);
            tables.insert(reference.clone(), provider_as_source(Arc::new(table)));
        }
        let session_functions = SessionFunctions::new(session.engine(), &relations.info);
        let pg_notify = Arc::new(crate::notify::pg_notify(session.noted().clone()));
        let mut expr_planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(super::operators::PgOperators)];
        expr_planners.extend(state.expr_planners().iter().cloned());
        Names {
            state,
            tables,
            missing: relations.missing.clone(),
            session_functions,
            pg_notify,
            expr_planners,
        }
    }
}

/// `generate_series` knows integers of one width.
fn widened(arg: Expr) -> Expr {
    match arg {
        Expr::Literal(ScalarValue::Int32(value), metadata) => {
            Expr::Literal(ScalarValue::Int64(value.map(i64::from)), metadata)
        }
        Expr::Literal(ScalarValue::Int16(value), metadata) => {
            Expr::Literal(ScalarValue::Int64(value.map(i64::from)), metadata)
        }
        other => other,
    }
}

/// A number that PostgreSQL reads as `integer`: one with a cast makes a list instead (`sets.rs`).
fn is_integer(arg: &Expr) -> bool {
    match arg {
        Expr::Literal(ScalarValue::Int32(_) | ScalarValue::Int16(_), _) => true,
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => i32::try_from(*value).is_ok(),
        _ => false,
    }
}

/// The series of integers: with arguments of that type, so are its values.
fn as_integers(name: &str, source: Arc<dyn TableSource>) -> DfResult<Arc<dyn TableSource>> {
    let scan = LogicalPlanBuilder::scan(name, source, None)?;
    let columns: Vec<Expr> = scan
        .schema()
        .iter()
        .map(|(relation, field)| cast(Expr::from((relation, field)), DataType::Int32).alias(field.name()))
        .collect();
    let plan = scan.project(columns)?.build()?;
    Ok(provider_as_source(Arc::new(ViewTable::new(plan, None))))
}

/// A function's name without `pg_catalog.` or `public.`, where ours are.
fn bare(name: &str) -> &str {
    let of_schema = |schema: &str| name.strip_prefix(schema);
    of_schema("pg_catalog.")
        .or_else(|| of_schema("public."))
        .unwrap_or(name)
}

impl Names<'_> {
    /// Functions of the session that asks.
    pub fn session_functions(&self) -> &SessionFunctions {
        &self.session_functions
    }
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> DfResult<Arc<dyn TableSource>> {
        if let Some(source) = self.tables.get(&name) {
            return Ok(source.clone());
        }
        let error = self.missing.get(&name).cloned();
        Err(errors::wrap(error.unwrap_or_else(|| {
            QueryError::new(ErrorKind::UndefinedTable, format!("relation \"{name}\" does not exist"))
        })))
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> DfResult<Arc<dyn TableSource>> {
        let function = self.state.table_functions().get(bare(name)).cloned().ok_or_else(|| {
            errors::wrap(QueryError::new(
                ErrorKind::UndefinedFunction,
                format!("function {name} does not exist"),
            ))
        })?;
        let context = SimplifyContext::builder()
            .with_config_options(self.state.config_options().clone())
            .with_query_execution_start_time(self.state.execution_props().query_execution_start_time)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let schema = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| simplifier.coerce(arg, &schema).and_then(|arg| simplifier.simplify(arg)))
            .collect::<DfResult<Vec<_>>>()?;
        let narrow = bare(name) == "generate_series" && !args.is_empty() && args.iter().all(is_integer);
        let args: Vec<Expr> = args.into_iter().map(widened).collect();
        let provider = function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?;
        match narrow {
            true => as_integers(bare(name), provider_as_source(provider)),
            false => Ok(provider_as_source(provider)),
        }
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> DfResult<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(PgTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let name = bare(name);
        if name == "pg_notify" {
            return Some(self.pg_notify.clone());
        }
        let function = self.session_functions.get(name);
        let function = function.or_else(|| self.state.scalar_functions().get(name).cloned());
        let other = || {
            // `unnest` is part of the language, `map` of the planner.
            matches!(name, "unnest" | "unnest_outer" | "map" | "grouping")
                || self.state.aggregate_functions().contains_key(name)
                || self.state.window_functions().contains_key(name)
                || self.state.higher_order_functions().contains_key(name)
        };
        match function {
            None if !other() => Some(Arc::new(Unknown::new(name).into())),
            found => found,
        }
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(bare(name)).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(bare(name)).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn get_variable_field(&self, _names: &[String]) -> Option<FieldRef> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
