//! Preparing and executing a query.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::datasource::source_as_provider;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{self, visit_expressions};
use futures::TryStreamExt;
use parking_lot::Mutex;
use taospg_catalog::{Database, Privileges, View};

use super::context::QueryContext;
use super::names::shown;
use super::object_names::Shown;
use super::planner::Zone;
use super::resolve::{Names, Relations};
use super::table::{SeriesTable, Source};
use super::template::{self, Template};
use super::temporary::TemporaryScan;
use super::{PreparedQuery, errors, explain, lateral, object_names, parameters, resolve, rewrite, views};
use crate::access::Thing;
use crate::access::columns::{self, Columns};
use crate::pg_type;
use crate::{ErrorKind, Parameter, QueryError, ResultField, RowSet, Session};

/// What a prepared query keeps.
pub struct Kept {
    /// Analyzed, not optimized: the optimizer folds `now()` and parameters.
    plan: LogicalPlan,
    databases: Vec<Arc<Database>>,
    reads: Vec<TableRead>,
    explain: Option<explain::Kind>,
    template: Mutex<Reuse>,
}

/// Whether the physical plan is kept.
#[derive(Clone)]
enum Reuse {
    Untried,
    Kept(Template),
    /// It has to be made each time.
    Never,
}

impl Kept {
    pub fn can_be_kept(&self) -> bool {
        self.explain.is_none() && template::can_be_kept(&self.plan)
    }

    pub fn reads(&self) -> &[TableRead] {
        &self.reads
    }

    pub fn parts(&self) -> (LogicalPlan, Vec<Arc<Database>>) {
        (self.plan.clone(), self.databases.clone())
    }
}

/// A query whose rows are read inside.
pub async fn prepare(
    session: &Session,
    statement: &ast::Statement,
    client_types: &[u32],
) -> Result<PreparedQuery, QueryError> {
    prepare_shown(session, statement, client_types, Shown::Names).await
}

/// A query whose rows go to a client.
pub async fn prepare_for_client(
    session: &Session,
    statement: &ast::Statement,
    client_types: &[u32],
) -> Result<PreparedQuery, QueryError> {
    prepare_shown(session, statement, client_types, Shown::Both).await
}

async fn prepare_shown(
    session: &Session,
    statement: &ast::Statement,
    client_types: &[u32],
    shown: Shown,
) -> Result<PreparedQuery, QueryError> {
    let (query, explain) = explain::unwrap(statement)?;
    let planned = match plan(session, query.clone(), client_types, shown).await {
        Ok(planned) => planned,
        Err(error) => return Err(located(error, statement)),
    };
    let fields = match explain {
        Some(kind) => explain::fields(kind),
        None => {
            refuse_records(&planned.plan, shown)?;
            result_fields(&planned.plan)
        }
    };
    let kept = Kept {
        reads: reads(&planned.plan)?.into_iter().chain(planned.views).collect(),
        plan: planned.plan,
        databases: planned.databases,
        explain,
        template: Mutex::new(Reuse::Untried),
    };
    Ok(PreparedQuery {
        parameter_types: planned.parameter_types.into(),
        fields: fields.into(),
        kept: Arc::new(kept),
    })
}

/// A table whose rows a plan reads, for the question whether it may.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRead {
    table: u32,
    child: Option<u32>,
    database: u32,
    name: String,
    is_view: bool,
    /// The owner of the view that reads it; `None` is who asks.
    reader: Option<u32>,
}

impl TableRead {
    pub fn of_view(view: &View, reader: Option<u32>) -> TableRead {
        TableRead {
            table: view.oid,
            child: None,
            database: view.database_oid,
            name: view.name.clone(),
            is_view: true,
            reader,
        }
    }

    /// Refuses who may read neither the table nor all columns of it that the analyzed plan looks at.
    pub fn check(&self, session: &Session, plan: &LogicalPlan) -> Result<(), QueryError> {
        session.may_touch(self.reader, &self.thing(), Privileges::SELECT, || match self.is_view {
            true => Ok(Columns::Unknown),
            false => columns::read_by(plan, self.table, self.child, self.reader),
        })
    }

    pub fn thing(&self) -> Thing<'_> {
        if self.is_view {
            return Thing::View {
                oid: self.table,
                database: self.database,
                name: &self.name,
            };
        }
        Thing::Table {
            table: self.table,
            child: self.child,
            database: self.database,
            name: &self.name,
        }
    }
}

/// Every table that an analyzed plan reads, in subqueries too. What a CTE only shadows is not among them.
pub fn reads(plan: &LogicalPlan) -> Result<Vec<TableRead>, QueryError> {
    let mut found: Vec<TableRead> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<SeriesTable>()
        {
            let read = TableRead {
                table: table.table.oid,
                child: table.child.map(|child| child.oid),
                database: table.database.oid,
                name: scan.table_name.table().to_string(),
                is_view: false,
                reader: table.reader,
            };
            if !found.contains(&read) {
                found.push(read);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(errors::translate)?;
    Ok(found)
}

/// A view's query, and the OIDs of the tables and views that it names.
pub async fn prepare_view(
    session: &Session,
    statement: &ast::Statement,
) -> Result<(PreparedQuery, Vec<u32>), QueryError> {
    let prepared = prepare(session, statement, &[]).await?;
    let mut own = statement.clone();
    let mut reads = views::expand(session, &mut own)?.named;
    let relations = resolve::relations(session, &own).await?;
    if let Some(table) = relations.temporary.values().next() {
        let message = format!("a view of temporary table \"{}\" is not supported", table.name());
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
    }
    for named in relations.tables.values() {
        reads.push(named.child.map_or(named.table.oid, |child| child.oid));
    }
    reads.sort_unstable();
    reads.dedup();
    Ok((prepared, reads))
}

/// A statement made into a logical plan.
pub struct Planned {
    pub plan: LogicalPlan,
    pub parameter_types: Vec<u32>,
    pub databases: Vec<Arc<Database>>,
    /// Views that were put in the places of their names.
    pub views: Vec<TableRead>,
}

async fn plan(
    session: &Session,
    mut statement: ast::Statement,
    client_types: &[u32],
    shown: Shown,
) -> Result<Planned, QueryError> {
    let views = views::expand(session, &mut statement)?.reads;
    crate::system::rewrite(&mut statement)?;
    let relations = resolve::relations(session, &statement).await?;
    let planned = plan_with(session, statement, client_types, &relations, shown)?;
    Ok(Planned { views, ..planned })
}

/// Plans with relations already looked up.
pub fn plan_with(
    session: &Session,
    mut statement: ast::Statement,
    client_types: &[u32],
    relations: &Relations,
    shown: Shown,
) -> Result<Planned, QueryError> {
    lateral::rewrite(&mut statement);
    let mentioned = rewrite::mentioned(&statement);
    let mut oids = parameters::declared(&statement, client_types)?;
    rewrite::rewrite(&mut statement, relations, &mentioned)?;
    let databases = databases(relations);
    let context = Arc::new(QueryContext::new(session, databases.iter()));
    let state = session.engine().planner().state(session.settings().reading(), context);
    let names = Names::new(session, &state, relations, &mentioned);
    let mut plan = logical(&names, statement.clone(), &oids)?;
    if oids.contains(&0) {
        parameters::infer(&plan, &mut oids)?;
        plan = logical(&names, statement, &oids)?;
    }
    check(&plan)?;
    let plan = object_names::resolve(plan, names.session_functions(), shown).map_err(errors::translate)?;
    Ok(Planned {
        plan: analyze(&state, plan)?,
        parameter_types: oids,
        databases,
        views: Vec::new(),
    })
}

/// Settles the types: what clients are told of the plan is true from here on.
pub fn analyze(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan, QueryError> {
    let analyzer = state.analyzer();
    analyzer
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .map_err(errors::translate)
}

/// The databases whose tables are named, each once.
fn databases(relations: &Relations) -> Vec<Arc<Database>> {
    let mut databases: Vec<Arc<Database>> = Vec::new();
    for named in relations.tables.values() {
        if !databases.iter().any(|database| database.oid == named.database.oid) {
            databases.push(named.database.clone());
        }
    }
    databases
}

fn logical(names: &Names<'_>, statement: ast::Statement, oids: &[u32]) -> Result<LogicalPlan, QueryError> {
    let planner = sql_planner(names);
    let mut context = PlannerContext::new().with_prepare_param_data_types(parameters::fields(oids));
    planner
        .sql_statement_to_plan_with_context(statement, &mut context)
        .and_then(super::inline_lateral::rewrite)
        .map_err(errors::translate)
}

pub fn sql_planner<'a, 'b>(names: &'a Names<'b>) -> SqlToRel<'a, Names<'b>> {
    let options = ParserOptions::new()
        .with_enable_ident_normalization(true)
        .with_support_varchar_with_length(true)
        .with_parse_float_as_decimal(true)
        .with_map_string_types_to_utf8view(true)
        // As PostgreSQL: NULLs are larger than every value.
        .with_default_null_ordering(NullOrdering::NullsMax);
    SqlToRel::new_with_options(names, options)
}

/// Refuses what reaches beyond reading: SELECT INTO, COPY, SET …
fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    match plan {
        LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_) => {
            Err(QueryError::new(
                ErrorKind::FeatureNotSupported,
                "a query can only read; SELECT INTO is not supported",
            ))
        }
        _ => Ok(()),
    }
}

/// Where the statement says what the error is about.
fn located(error: QueryError, statement: &ast::Statement) -> QueryError {
    if error.position.is_some() {
        return error;
    }
    let wanted = match error.kind {
        ErrorKind::UndefinedColumn
        | ErrorKind::AmbiguousColumn
        | ErrorKind::UndefinedFunction
        | ErrorKind::GroupingError => quoted(&error.message),
        _ => None,
    };
    let Some(name) = wanted else {
        return error;
    };
    let mut start = None;
    let _: std::ops::ControlFlow<()> = visit_expressions(statement, |expr| {
        let found = match expr {
            ast::Expr::Identifier(ident) if super::names::folded(ident) == name => Some(ident.span.start),
            ast::Expr::CompoundIdentifier(idents) => match (idents.first(), idents.last()) {
                (Some(first), Some(last)) if super::names::folded(last) == name => Some(first.span.start),
                _ => None,
            },
            ast::Expr::Function(function) => match function.name.0.last().and_then(|part| part.as_ident()) {
                Some(ident) if super::names::folded(ident) == name => Some(ident.span.start),
                _ => None,
            },
            _ => None,
        };
        if found.is_some() && start.is_none() {
            start = found;
        }
        std::ops::ControlFlow::Continue(())
    });
    match start {
        Some(start) => error.with_location(start),
        None => error,
    }
}

/// The name that a message is about: in quotes, or the last part of `column t.x`.
fn quoted(message: &str) -> Option<String> {
    if let Some(from) = message.find('"') {
        let rest = &message[from + 1..];
        return rest
            .find('"')
            .map(|end| rest[..end].rsplit('.').next().unwrap_or_default().to_string());
    }
    let rest = message
        .strip_prefix("column ")
        .or_else(|| message.strip_prefix("function "))?;
    let word = rest.split([' ', '(']).next()?;
    word.rsplit('.').next().map(str::to_string)
}

/// Refuses records where nobody can read them, and arrays of records.
fn refuse_records(plan: &LogicalPlan, shown: Shown) -> Result<(), QueryError> {
    let is_struct = |data_type: &DataType| matches!(data_type, DataType::Struct(_));
    let is_refused = |field: &Field| match field.data_type() {
        // Only clients are shown what has several values; of an object's name there are two.
        DataType::Struct(_) => shown == Shown::Names,
        DataType::List(item) => is_struct(item.data_type()),
        _ => false,
    };
    if !plan.schema().fields().iter().any(|field| is_refused(field)) {
        return Ok(());
    }
    let error = QueryError::new(
        ErrorKind::FeatureNotSupported,
        "a column of type record cannot be shown",
    );
    Err(error.with_hint("select what is in it, each as a column"))
}

/// The columns that RowDescription tells.
pub fn result_fields(plan: &LogicalPlan) -> Vec<ResultField> {
    let schema: &DFSchema = plan.schema();
    schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let type_oid = pg_type::field_oid(field);
            let origin = origin(plan, index).filter(|(column, _, _)| column.sql_type.oid() == type_oid);
            ResultField {
                name: shown(field.name()).to_string(),
                type_oid,
                type_modifier: origin
                    .as_ref()
                    .map_or(pg_type::field_modifier(field), |(column, _, _)| {
                        column.sql_type.type_modifier()
                    }),
                table_oid: origin.as_ref().map_or(0, |(_, table, _)| *table),
                attnum: origin.map_or(0, |(_, _, attnum)| attnum),
            }
        })
        .collect()
}

/// The catalog column that an output column is, unchanged: column, table OID, attnum.
fn origin(plan: &LogicalPlan, index: usize) -> Option<(taospg_catalog::Column, u32, i16)> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let mut expr = projection.expr.get(index)?;
            while let Expr::Alias(alias) = expr {
                expr = &alias.expr;
            }
            let Expr::Column(column) = expr else {
                return None;
            };
            origin(
                &projection.input,
                projection.input.schema().maybe_index_of_column(column)?,
            )
        }
        LogicalPlan::Filter(node) => origin(&node.input, index),
        LogicalPlan::Sort(node) => origin(&node.input, index),
        LogicalPlan::Limit(node) => origin(&node.input, index),
        LogicalPlan::SubqueryAlias(node) => origin(&node.input, index),
        LogicalPlan::Distinct(Distinct::All(input)) => origin(input, index),
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok()?;
            let index = scan
                .projection
                .as_ref()
                .map_or(Some(index), |columns| columns.get(index).copied())?;
            if let Some(table) = provider.downcast_ref::<TemporaryScan>() {
                let column = table.column(index)?;
                return Some((column.clone(), table.oid(), i16::try_from(column.attnum).ok()?));
            }
            let table = provider.downcast_ref::<SeriesTable>()?;
            let source = table.sources.get(index).copied()?;
            let column = table.column(source)?;
            // The OID of the table that was named: of a child its own.
            let oid = table.child.map_or(table.table.oid, |child| child.oid);
            let shown = table.child.is_none() || !matches!(source, Source::Tag(_));
            let attnum = i16::try_from(column.attnum).ok().filter(|_| shown)?;
            Some((column.clone(), oid, attnum))
        }
        _ => None,
    }
}

pub async fn execute(
    prepared: &PreparedQuery,
    session: &Session,
    parameters: &[Parameter],
) -> Result<RowSet, QueryError> {
    let kept = &prepared.kept;
    for read in &kept.reads {
        read.check(session, &kept.plan)?;
    }
    let reading = session.settings().reading();
    let values = parameters::values(&prepared.parameter_types, parameters, reading)?;
    let context = QueryContext::new(session, kept.databases.iter()).with_values(values.clone());
    let context = Arc::new(context);
    let planner = session.engine().planner();
    let shared = planner.zone(reading);
    let stream = match kept_rows(prepared, &values, &context, &shared).await? {
        Some(stream) => translated(stream),
        None => {
            let state = planner.state(reading, context);
            let physical = physical(&state, kept.plan.clone(), values, !prepared.parameter_types.is_empty()).await?;
            match kept.explain {
                Some(kind) => explain::run(kind, physical, &state).await?,
                None => run(physical, state.task_ctx())?,
            }
        }
    };
    Ok(RowSet {
        fields: prepared.fields.clone(),
        schema: stream.schema(),
        stream,
        tag: if kept.explain.is_some() { "EXPLAIN" } else { "SELECT" },
    })
}

/// The rows of the kept plan in this execution; `None` when there can be none. Made here at the first execution, and when the old one does not fit.
async fn kept_rows(
    prepared: &PreparedQuery,
    values: &ParamValues,
    context: &Arc<QueryContext>,
    shared: &Zone,
) -> Result<Option<SendableRecordBatchStream>, QueryError> {
    let kept = &prepared.kept;
    // A value that brings digits or nanoseconds of its own has another type than the plan was made for.
    if kept.explain.is_some() || !parameters::have_types(values, &prepared.parameter_types) {
        return Ok(None);
    }
    let run = |template: &Template| template.run(context, shared).map_err(errors::translate);
    let reuse = kept.template.lock().clone();
    match reuse {
        Reuse::Never => return Ok(None),
        Reuse::Kept(template) => {
            if let Some(rows) = run(&template)? {
                return Ok(Some(rows));
            }
        }
        Reuse::Untried => {}
    }
    let made = match template::can_be_kept(&kept.plan) {
        // An error here may come of the parameters that stand in the plan; the plan without them tells.
        true => {
            let mut state = shared.state.as_ref().clone();
            state.config_mut().set_extension(context.clone());
            template::plan(&kept.plan, &state).await.ok().flatten()
        }
        false => None,
    };
    let rows = match &made {
        Some(template) => run(template)?,
        None => None,
    };
    *kept.template.lock() = made.map_or(Reuse::Never, Reuse::Kept);
    Ok(rows)
}

/// Optimizes an analyzed plan with its parameters filled in.
pub async fn physical(
    state: &SessionState,
    plan: LogicalPlan,
    values: ParamValues,
    parametrised: bool,
) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let plan = match parametrised {
        true => plan.replace_params_with_values(&values).map_err(errors::translate)?,
        false => plan,
    };
    // Not `state.optimize`, which would analyze once more: types are settled.
    let optimized = state
        .optimizer()
        .optimize(plan, state, |_, _| {})
        .map_err(errors::translate)?;
    let planner = state.query_planner().clone();
    planner
        .create_physical_plan(&optimized, state)
        .await
        .map_err(errors::translate)
}

/// Starts a plan. Errors in the stream are ours, wrapped.
pub fn run(plan: Arc<dyn ExecutionPlan>, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream, QueryError> {
    let stream = execute_stream(plan, task).map_err(errors::translate)?;
    Ok(translated(stream))
}

fn translated(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let translated = stream.map_err(|error| errors::wrap(errors::translate(error)));
    Box::pin(RecordBatchStreamAdapter::new(schema, translated))
}
