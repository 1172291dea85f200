//! A temporary table as DataFusion sees it. It holds the definition only: the rows are those of the picture in the execution's context.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session as State, TableProvider};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableType, cast};
use datafusion::physical_plan::ExecutionPlan;
use taospg_catalog::Column;

use super::context::QueryContext;
use super::{PreparedQuery, errors, parameters, prepare, table};
use crate::temporary::TemporaryTable;
use crate::temporary::table::Definition;
use crate::{ErrorKind, Parameter, QueryError, Session};

/// The number of a row, for UPDATE and DELETE, under a name that no column can have.
pub const ROW_NUMBER: &str = "\u{1}number";

#[derive(Clone, Debug)]
pub struct TemporaryScan {
    definition: Arc<Definition>,
    /// With the rows' numbers after the columns.
    numbered: bool,
    schema: SchemaRef,
}

impl TemporaryScan {
    /// `mentioned`: identifiers of the statement.
    pub fn new(table: &TemporaryTable, mentioned: &HashSet<String>) -> TemporaryScan {
        let definition = table.definition.clone();
        let numbered = mentioned.contains(ROW_NUMBER);
        let described = |column: &Column| table::described(&definition.database, &definition.table, column).1;
        let mut fields: Vec<Field> = definition.columns().iter().map(described).collect();
        if numbered {
            fields.push(Field::new(ROW_NUMBER, DataType::UInt64, false));
        }
        TemporaryScan {
            schema: Arc::new(Schema::new(fields)),
            numbered,
            definition,
        }
    }

    pub fn column(&self, index: usize) -> Option<&Column> {
        self.definition.columns().get(index)
    }

    pub fn oid(&self) -> u32 {
        self.definition.table.oid
    }

    fn batches(&self, table: &TemporaryTable) -> DfResult<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let mut number = 0u64;
        for piece in table.batches() {
            let next = number + piece.num_rows() as u64;
            let mut columns: Vec<ArrayRef> = piece.columns().to_vec();
            if self.numbered {
                columns.push(Arc::new(UInt64Array::from_iter_values(number..next)));
            }
            batches.push(RecordBatch::try_new(self.schema.clone(), columns)?);
            number = next;
        }
        Ok(batches)
    }
}

/// Names that `*` leaves out.
pub fn hidden(mentioned: &HashSet<String>) -> Vec<String> {
    let numbered = mentioned.contains(ROW_NUMBER);
    numbered.then(|| ROW_NUMBER.to_string()).into_iter().collect()
}

#[async_trait]
impl TableProvider for TemporaryScan {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn State,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Some(context) = state.config().get_extension::<QueryContext>() else {
            return exec_err!("a table was scanned outside of a query");
        };
        let Some(found) = context.temporary.with_oid(self.oid()) else {
            let message = format!("relation \"{}\" does not exist", self.definition.table.name);
            return Err(errors::wrap(QueryError::new(ErrorKind::UndefinedTable, message)));
        };
        let table = MemTable::try_new(self.schema.clone(), vec![self.batches(found)?])?;
        table.scan(state, projection, &[], limit).await
    }
}

/// The rows that a query of an UPDATE or DELETE finds: their number, then values cast to these types as an assignment casts.
pub async fn changed_rows(
    session: &Session,
    query: &PreparedQuery,
    types: &[DataType],
    given: &[Parameter],
) -> Result<SendableRecordBatchStream, QueryError> {
    let (plan, databases) = query.parts();
    for read in query.reads() {
        read.check(session, &plan)?;
    }
    let reading = session.settings().reading();
    let bound = parameters::values(&query.parameter_types, given, reading)?;
    let mut list: Vec<Expr> = Vec::new();
    for (index, (qualifier, field)) in plan.schema().iter().enumerate() {
        let column = Expr::from((qualifier, field));
        let wanted = index.checked_sub(1).and_then(|index| types.get(index));
        let named = match wanted.filter(|data_type| *data_type != field.data_type()) {
            Some(data_type) => cast(column, data_type.clone()),
            None => column,
        };
        list.push(named.alias(format!("c{index}")));
    }
    let plan = LogicalPlanBuilder::from(plan)
        .project(list)
        .and_then(LogicalPlanBuilder::build)
        .map_err(errors::translate)?;
    let context = Arc::new(QueryContext::new(session, databases.iter()));
    let state = session.engine().planner().state(reading, context);
    let physical = prepare::physical(&state, plan, bound, !query.parameter_types.is_empty()).await?;
    prepare::run(physical, state.task_ctx())
}
