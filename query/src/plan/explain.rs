//! EXPLAIN and EXPLAIN ANALYZE: the physical plan as lines of text in one column, as PostgreSQL shows its own.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Location;
use futures::{StreamExt, stream};
use serde_json::Value;

use super::{errors, names};
use crate::pg_type::oid;
use crate::{ErrorKind, QueryError, ResultField};

/// What an EXPLAIN shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// Runs the query and shows what it took.
    analyze: bool,
    verbose: bool,
    json: bool,
}

/// Options that change nothing here: what there is, is shown.
const KNOWN: &[&str] = &[
    "costs",
    "settings",
    "generic_plan",
    "buffers",
    "wal",
    "timing",
    "summary",
    "memory",
    "serialize",
];

const COLUMN: &str = "QUERY PLAN";

/// The query inside an EXPLAIN, or the query itself.
pub fn unwrap(statement: &ast::Statement) -> Result<(&ast::Statement, Option<Kind>), QueryError> {
    let ast::Statement::Explain {
        analyze,
        verbose,
        statement: inner,
        options,
        format,
        ..
    } = statement
    else {
        return Ok((statement, None));
    };
    let mut kind = Kind {
        analyze: *analyze,
        verbose: *verbose,
        json: false,
    };
    if let Some(format) = format {
        kind.json = is_json(&format.to_string(), None)?;
    }
    for option in options.iter().flatten() {
        let argument = option.arg.as_ref().map(|arg| arg.to_string().to_ascii_lowercase());
        let on = !matches!(argument.as_deref(), Some("false" | "off" | "0"));
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => kind.analyze = on,
            "verbose" => kind.verbose = on,
            "format" => {
                let format = argument.unwrap_or_default();
                kind.json = is_json(format.trim_matches('\''), Some(option.name.span.start))?;
            }
            known if KNOWN.contains(&known) => {}
            other => {
                let message = format!("unrecognized EXPLAIN option \"{other}\"");
                return Err(QueryError::new(ErrorKind::SyntaxError, message).with_location(option.name.span.start));
            }
        }
    }
    match inner.as_ref() {
        ast::Statement::Query(_) => Ok((inner, Some(kind))),
        _ => Err(QueryError::new(
            ErrorKind::FeatureNotSupported,
            "EXPLAIN is possible for queries only",
        )),
    }
}

/// Whether a plan is wanted as JSON, or as text.
fn is_json(format: &str, place: Option<Location>) -> Result<bool, QueryError> {
    let at = |error: QueryError| match place {
        Some(place) => error.with_location(place),
        None => error,
    };
    match format.to_ascii_lowercase().as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        "xml" | "yaml" => {
            let message = format!("EXPLAIN (FORMAT {format}) is not supported");
            let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
            Err(at(error.with_hint("plans are shown as TEXT or JSON")))
        }
        _ => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{format}\"");
            Err(at(QueryError::new(ErrorKind::InvalidParameterValue, message)))
        }
    }
}

pub fn fields(kind: Kind) -> Vec<ResultField> {
    vec![ResultField {
        name: COLUMN.to_string(),
        type_oid: if kind.json { oid::JSON } else { oid::TEXT },
        type_modifier: -1,
        table_oid: 0,
        attnum: 0,
    }]
}

/// The plan's lines; with ANALYZE after running it to its end.
pub async fn run(
    kind: Kind,
    plan: Arc<dyn ExecutionPlan>,
    state: &SessionState,
) -> Result<SendableRecordBatchStream, QueryError> {
    let mut lines = Vec::new();
    let begun = std::time::Instant::now();
    let mut rows = 0;
    if kind.analyze {
        let mut stream = execute_stream(plan.clone(), state.task_ctx()).map_err(errors::translate)?;
        while let Some(batch) = stream.next().await {
            rows += batch.map_err(errors::translate)?.num_rows();
        }
    }
    if kind.json {
        let mut explained = serde_json::Map::new();
        explained.insert("Plan".into(), node(plan.as_ref(), kind));
        if kind.analyze {
            let milliseconds = begun.elapsed().as_secs_f64() * 1_000.0;
            explained.insert("Execution Time".into(), rounded(milliseconds));
        }
        let text = serde_json::to_string_pretty(&serde_json::json!([explained]));
        let text = text.map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
        return one_column(vec![text]);
    }
    let shown = match kind.analyze {
        true => DisplayableExecutionPlan::with_metrics(plan.as_ref()),
        false => DisplayableExecutionPlan::new(plan.as_ref()),
    };
    let text = names::shown_in(&shown.indent(kind.verbose).to_string());
    lines.extend(text.lines().map(str::to_string));
    if kind.analyze {
        let milliseconds = begun.elapsed().as_secs_f64() * 1_000.0;
        lines.push(format!("Rows: {rows}"));
        lines.push(format!("Execution Time: {milliseconds:.3} ms"));
    }
    one_column(lines)
}

fn one_column(lines: Vec<String>) -> Result<SendableRecordBatchStream, QueryError> {
    let schema = Arc::new(Schema::new(vec![Field::new(COLUMN, DataType::Utf8View, false)]));
    let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(lines));
    let batch = RecordBatch::try_new(schema.clone(), vec![column]).map_err(|error| errors::translate(error.into()))?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        schema,
        stream::iter([Ok(batch)]),
    )))
}

/// To the microsecond, as PostgreSQL shows times.
fn rounded(milliseconds: f64) -> Value {
    Value::from((milliseconds * 1_000.0).round() / 1_000.0)
}

/// A node of the plan in PostgreSQL's shape: its kind, what it does, what it took, and the nodes below.
fn node(plan: &dyn ExecutionPlan, kind: Kind) -> Value {
    let mut shown = serde_json::Map::new();
    let line = names::shown_in(&DisplayableExecutionPlan::new(plan).one_line().to_string());
    let details = line.trim().split_once(": ").map_or("", |(_, details)| details);
    shown.insert("Node Type".into(), Value::from(plan.name()));
    shown.insert("Parallel Aware".into(), Value::from(false));
    if !details.is_empty() {
        shown.insert("Details".into(), Value::from(details));
    }
    if let Some(metrics) = plan.metrics().filter(|_| kind.analyze) {
        let metrics = metrics.aggregate_by_name();
        let seconds = metrics.elapsed_compute().map(|nanoseconds| nanoseconds as f64 / 1e6);
        shown.insert(
            "Actual Rows".into(),
            Value::from(metrics.output_rows().unwrap_or_default()),
        );
        shown.insert("Actual Loops".into(), Value::from(1));
        if let Some(milliseconds) = seconds {
            shown.insert("Actual Total Time".into(), rounded(milliseconds));
        }
    }
    if kind.verbose {
        let schema = plan.schema();
        let output = schema
            .fields()
            .iter()
            .map(|field| Value::from(names::shown(field.name())));
        shown.insert("Output".into(), output.collect());
    }
    let below: Vec<Value> = plan.children().iter().map(|child| node(child.as_ref(), kind)).collect();
    if !below.is_empty() {
        shown.insert("Plans".into(), Value::from(below));
    }
    Value::from(shown)
}
