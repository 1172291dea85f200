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
use futures::{StreamExt, stream};

use super::{errors, names};
use crate::pg_type::oid;
use crate::{ErrorKind, QueryError, ResultField};

/// What an EXPLAIN shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// Runs the query and shows what it took.
    analyze: bool,
    verbose: bool,
}

const COLUMN: &str = "QUERY PLAN";

/// The query inside an EXPLAIN, or the query itself.
pub fn unwrap(statement: &ast::Statement) -> Result<(&ast::Statement, Option<Kind>), QueryError> {
    let ast::Statement::Explain {
        analyze,
        verbose,
        statement: inner,
        options,
        ..
    } = statement
    else {
        return Ok((statement, None));
    };
    let mut kind = Kind {
        analyze: *analyze,
        verbose: *verbose,
    };
    for option in options.iter().flatten() {
        let argument = option.arg.as_ref().map(|arg| arg.to_string().to_ascii_lowercase());
        let on = !matches!(argument.as_deref(), Some("false" | "off" | "0"));
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => kind.analyze = on,
            "verbose" => kind.verbose = on,
            "format" if argument.as_deref() != Some("text") => {
                return Err(QueryError::new(
                    ErrorKind::FeatureNotSupported,
                    "EXPLAIN shows its plan as text only",
                ));
            }
            // Costs, buffers, timing, settings …: what there is, is shown.
            _ => {}
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

pub fn fields() -> Vec<ResultField> {
    vec![ResultField {
        name: COLUMN.to_string(),
        type_oid: oid::TEXT,
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
    let schema = Arc::new(Schema::new(vec![Field::new(COLUMN, DataType::Utf8View, false)]));
    let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(lines));
    let batch = RecordBatch::try_new(schema.clone(), vec![column]).map_err(|error| errors::translate(error.into()))?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        schema,
        stream::iter([Ok(batch)]),
    )))
}
