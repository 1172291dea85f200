//! Groups that come whole and once: the operator gives their results itself, and no final aggregation stands above it.
//!
//! ```text
//! Final aggregate
//!   SeriesAggregate      -->      SeriesAggregate, finished, in order of its times
//! ```
//! The rows of one series come in order of time, so that each stretch of equal keys is a group, if every key of time ascends. An aggregate
//! without groups has one, made of what each vnode gave. What several series have in common is left to DataFusion, which merges it by hashes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result as DfResult;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::logical_expr::{Accumulator, EmitTo};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalSortExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{Stream, StreamExt};

use super::exec::{Grouping, SeriesAggregate, Shape};
use super::fold::Kind;

/// What a final aggregation would do.
pub struct Finish {
    functions: Vec<Function>,
    /// As the final aggregation has it.
    pub schema: SchemaRef,
    /// Columns of the group expressions.
    groups: usize,
}

struct Function {
    expr: Arc<AggregateFunctionExpr>,
    /// Columns of its state.
    states: usize,
    /// The state of a group that came once is its result.
    plain: bool,
}

/// The operator in place of a final aggregation above it, if it can be.
pub fn finished(aggregate: &AggregateExec) -> DfResult<Option<SeriesAggregate>> {
    let is_final = matches!(aggregate.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned);
    let groups = aggregate.group_expr();
    let simple = (groups.is_true_no_grouping() || groups.is_single()) && aggregate.limit_options().is_none();
    let Some(series) = aggregate.input().downcast_ref::<SeriesAggregate>() else {
        return Ok(None);
    };
    let shape = series.shape();
    let one = aggregate.input().output_partitioning().partition_count() == 1;
    if !is_final || !simple || !one || shape.finish.is_some() || !comes_once(shape) {
        return Ok(None);
    }
    let schema = aggregate.schema();
    let mut functions = Vec::with_capacity(aggregate.aggr_expr().len());
    let results = schema.fields().iter().skip(shape.grouping.len());
    for ((expr, argument), result) in aggregate.aggr_expr().iter().zip(&shape.arguments).zip(results) {
        let states = expr.state_fields()?;
        let same_type = states.len() == 1 && states[0].data_type() == result.data_type();
        let plain = same_type && !matches!(argument.kind, Kind::Average | Kind::FirstLast(_));
        if !plain && !shape.grouping.is_empty() && !expr.groups_accumulator_supported() {
            return Ok(None);
        }
        functions.push(Function {
            expr: expr.clone(),
            states: states.len(),
            plain,
        });
    }
    let finish = Finish {
        functions,
        groups: shape.grouping.len(),
        schema,
    };
    Ok(Some(series.finished(finish)))
}

/// Whether no group comes in several pieces, or all pieces are of one.
fn comes_once(shape: &Shape) -> bool {
    shape.grouping.is_empty() || (shape.scan.is_ordered() && shape.ascends)
}

/// What is known of the order of finished groups.
pub fn equivalence(finish: &Finish, grouping: &[Grouping]) -> EquivalenceProperties {
    let mut equivalence = EquivalenceProperties::new(finish.schema.clone());
    for (index, grouping) in grouping.iter().enumerate() {
        if let Grouping::OfTime(_) = grouping {
            let column = Column::new(finish.schema.field(index).name(), index);
            let options = SortOptions {
                descending: false,
                nulls_first: false,
            };
            equivalence.add_ordering([PhysicalSortExpr::new(Arc::new(column), options)]);
        }
    }
    equivalence
}

impl Finish {
    /// Results of groups each of which came once.
    pub fn of_groups(&self, states: &RecordBatch) -> DfResult<RecordBatch> {
        let rows = states.num_rows();
        let mut columns = states.columns()[..self.groups].to_vec();
        for (function, states) in self.each(states) {
            columns.push(match (function.plain, states) {
                (true, [state]) => state.clone(),
                _ => {
                    let mut accumulator = function.expr.create_groups_accumulator()?;
                    let groups: Vec<usize> = (0..rows).collect();
                    accumulator.merge_batch(states, &groups, rows)?;
                    accumulator.evaluate(EmitTo::All)?
                }
            });
        }
        self.batch(columns, rows)
    }

    /// Each function with the columns of its state.
    fn each<'a>(&'a self, states: &'a RecordBatch) -> impl Iterator<Item = (&'a Function, &'a [ArrayRef])> {
        let mut rest = &states.columns()[self.groups..];
        self.functions.iter().map(move |function| {
            let (own, others) = rest.split_at(function.states);
            rest = others;
            (function, own)
        })
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> DfResult<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?)
    }

    /// The one row of an aggregate without groups, which is there without rows, too.
    pub fn total(self: &Arc<Finish>, states: SendableRecordBatchStream) -> DfResult<SendableRecordBatchStream> {
        let accumulators = self.functions.iter().map(|function| function.expr.create_accumulator());
        Ok(Box::pin(Total {
            accumulators: accumulators.collect::<DfResult<_>>()?,
            finish: self.clone(),
            states: Some(states),
        }))
    }
}

/// Gathers what vnodes give.
struct Total {
    finish: Arc<Finish>,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// `None`: the row has been given.
    states: Option<SendableRecordBatchStream>,
}

impl Total {
    fn merge(&mut self, states: &RecordBatch) -> DfResult<()> {
        for ((_, states), accumulator) in self.finish.each(states).zip(&mut self.accumulators) {
            accumulator.merge_batch(states)?;
        }
        Ok(())
    }

    fn row(&mut self) -> DfResult<RecordBatch> {
        let mut columns = Vec::with_capacity(self.accumulators.len());
        for accumulator in &mut self.accumulators {
            columns.push(accumulator.evaluate()?.to_array()?);
        }
        self.finish.batch(columns, 1)
    }
}

impl Stream for Total {
    type Item = DfResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<DfResult<RecordBatch>>> {
        loop {
            let Some(states) = &mut self.states else {
                return Poll::Ready(None);
            };
            let result = match states.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(batch))) => match self.merge(&batch) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => self.row(),
            };
            self.states = None;
            return Poll::Ready(Some(result));
        }
    }
}

impl RecordBatchStream for Total {
    fn schema(&self) -> SchemaRef {
        self.finish.schema.clone()
    }
}
