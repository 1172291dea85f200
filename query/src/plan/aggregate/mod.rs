//! One operator for aggregates of time series by time bucket and by tags.
//!
//! ```text
//! Final aggregate                      Final aggregate
//!   Partial aggregate        -->         SeriesAggregate: runs of one series, cut where the bucket changes
//!     [Filter]
//!       SeriesScan
//! ```
//! Rows of a scan come as runs of one series in order of time. A group is then a stretch of a run, and nothing is hashed row by row: the final
//! aggregation, which stays DataFusion's, sees one row for each bucket and series; where that is all there is to a group, it falls away
//! (`finish.rs`). What the rule does not know stays with DataFusion.

mod buckets;
mod exec;
mod finish;
mod fold;
mod monotone;
mod whole;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use taospg_storage::Direction;

use super::scan::{ScanParts, SeriesScan};
use super::sums::BIGINT_DIGITS;
use super::table::Source;
use crate::functions::first_last::FirstLast;
pub use exec::SeriesAggregate;
use exec::{Argument, Grouping, Shape};
use fold::Kind;
pub use monotone::{Ascending, ascends, clock_ascends};

/// The physical rule; comes first, while partial aggregates stand directly over their scans.
#[derive(Debug)]
pub struct AggregateSeries;

impl PhysicalOptimizerRule for AggregateSeries {
    fn name(&self) -> &str {
        "aggregate_series"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        let clock = clock_ascends(config);
        let rewritten = plan.transform_up(|node| {
            let replaced = match node.downcast_ref::<AggregateExec>() {
                Some(aggregate) if *aggregate.mode() == AggregateMode::Partial => {
                    shape(aggregate, clock)?.map(SeriesAggregate::new)
                }
                Some(aggregate) => finish::finished(aggregate)?,
                None => None,
            };
            Ok(match replaced {
                Some(series) => Transformed::yes(Arc::new(series) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(node),
            })
        })?;
        Ok(rewritten.data)
    }
}

/// What is between an aggregate and its scan.
struct Input {
    scan: Arc<ScanParts>,
    /// Over the scan's columns.
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// The aggregate's input columns as columns of the scan.
    columns: Vec<usize>,
}

fn input(plan: &Arc<dyn ExecutionPlan>) -> Option<Input> {
    if let Some(scan) = plan.downcast_ref::<SeriesScan>() {
        let parts = &scan.parts;
        let whole =
            parts.limit.is_none() && parts.limit_per_series.is_none() && parts.direction == Direction::Ascending;
        return whole.then(|| Input {
            scan: parts.clone(),
            filter: None,
            columns: (0..parts.sources.len()).collect(),
        });
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let below = input(filter.input())?;
        if below.filter.is_some() || filter.fetch().is_some() {
            return None;
        }
        let predicate = remap(filter.predicate(), &below.columns, &below.scan)?;
        let columns = match filter.projection() {
            Some(projection) => projection
                .iter()
                .map(|index| below.columns.get(*index).copied())
                .collect::<Option<_>>()?,
            None => below.columns,
        };
        return Some(Input {
            scan: below.scan,
            filter: Some(predicate),
            columns,
        });
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let below = input(projection.input())?;
        let columns = projection
            .expr()
            .iter()
            .map(|expr| below.columns.get(expr.expr.downcast_ref::<Column>()?.index()).copied())
            .collect::<Option<_>>()?;
        return Some(Input { columns, ..below });
    }
    None
}

/// An expression over the aggregate's input as one over the scan's columns.
fn remap(expr: &Arc<dyn PhysicalExpr>, columns: &[usize], scan: &ScanParts) -> Option<Arc<dyn PhysicalExpr>> {
    let names: Vec<&str> = scan.schema.fields().iter().map(|field| field.name().as_str()).collect();
    rename(expr, |index| {
        let column = *columns.get(index)?;
        Some((names.get(column)?.to_string(), column))
    })
}

/// The expression with each column replaced; `None` when one has no replacement.
fn rename(
    expr: &Arc<dyn PhysicalExpr>,
    mut replace: impl FnMut(usize) -> Option<(String, usize)>,
) -> Option<Arc<dyn PhysicalExpr>> {
    let mut missing = false;
    let renamed = expr.clone().transform_up(|node| {
        let Some(column) = node.downcast_ref::<Column>() else {
            return Ok(Transformed::no(node));
        };
        match replace(column.index()) {
            Some((name, index)) => Ok(Transformed::yes(
                Arc::new(Column::new(&name, index)) as Arc<dyn PhysicalExpr>
            )),
            None => {
                missing = true;
                Ok(Transformed::no(node))
            }
        }
    });
    renamed.ok().map(|renamed| renamed.data).filter(|_| !missing)
}

fn columns_of(expr: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    let mut found = Vec::new();
    let _ = expr.apply(|node| {
        if let Some(column) = node.downcast_ref::<Column>() {
            found.push(column.index());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// What the operator has to do, if it can do all of it.
fn shape(aggregate: &AggregateExec, clock: bool) -> DfResult<Option<Shape>> {
    let groups = aggregate.group_expr();
    let simple = (groups.is_true_no_grouping() || groups.is_single()) && aggregate.limit_options().is_none();
    if !simple || aggregate.filter_expr().iter().any(Option::is_some) {
        return Ok(None);
    }
    let Some(input) = input(aggregate.input()) else {
        return Ok(None);
    };
    let mut grouping = Vec::new();
    for (expr, _) in groups.expr() {
        match group(expr, &input)? {
            Some(group) => grouping.push(group),
            None => return Ok(None),
        }
    }
    let mut arguments = Vec::new();
    for function in aggregate.aggr_expr() {
        match argument(function, &input)? {
            Some(argument) => arguments.push(argument),
            None => return Ok(None),
        }
    }
    let in_order = |grouping: &Grouping| match grouping {
        Grouping::OfTime(expr) => ascends(expr, clock),
        Grouping::OfSeries(_) => true,
    };
    Ok(Some(Shape {
        ascends: grouping.iter().all(in_order),
        scan: input.scan,
        filter: input.filter,
        grouping,
        arguments,
        schema: aggregate.schema(),
        finish: None,
        wanted: None,
    }))
}

/// A group expression: of tags and name, or of time.
fn group(expr: &Arc<dyn PhysicalExpr>, input: &Input) -> DfResult<Option<Grouping>> {
    let columns = columns_of(expr);
    let source = |column: &usize| {
        input
            .columns
            .get(*column)
            .and_then(|index| input.scan.sources.get(*index))
            .copied()
    };
    let sources: Option<Vec<Source>> = columns.iter().map(source).collect();
    let Some(sources) = sources else {
        return Ok(None);
    };
    if expr.is_volatile_node() {
        return Ok(None);
    }
    let data_type = expr.data_type(&aggregate_schema(input))?;
    if sources.iter().all(|source| source.is_of_series()) {
        return Ok(remap(expr, &input.columns, &input.scan).map(Grouping::OfSeries));
    }
    let compared = matches!(
        data_type,
        DataType::Timestamp(..) | DataType::Int64 | DataType::Int32 | DataType::Date32 | DataType::Float64
    );
    if compared && sources.iter().all(|source| *source == Source::Time) {
        let name = input.scan.table.table.time_column().name.clone();
        return Ok(rename(expr, |_| Some((name.clone(), 0))).map(Grouping::OfTime));
    }
    Ok(None)
}

/// The schema of the aggregate's input.
fn aggregate_schema(input: &Input) -> arrow::datatypes::Schema {
    let fields: Vec<_> = input
        .columns
        .iter()
        .map(|column| input.scan.schema.fields()[*column].clone())
        .collect();
    arrow::datatypes::Schema::new(fields)
}

/// The column under casts that keep order and value.
fn plain_column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some(column.index());
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    matches!(
        cast.cast_type(),
        DataType::Float64 | DataType::Int64 | DataType::Decimal128(BIGINT_DIGITS, 0)
    )
    .then(|| plain_column(cast.expr()))
    .flatten()
}

fn argument(function: &AggregateFunctionExpr, input: &Input) -> DfResult<Option<Argument>> {
    if function.is_distinct() || !function.order_bys().is_empty() || function.ignore_nulls() {
        return Ok(None);
    }
    let args = function.expressions();
    let Some(first) = args.first() else {
        return Ok(None);
    };
    let name = function.fun().name();
    if let Some(literal) = first.downcast_ref::<Literal>() {
        let counted = name == "count" && *literal.value() != ScalarValue::Null && !literal.value().is_null();
        return Ok(counted.then_some(Argument {
            kind: Kind::CountRows,
            source: None,
        }));
    }
    let Some(column) = plain_column(first) else {
        return Ok(None);
    };
    let Some(source) = input
        .columns
        .get(column)
        .and_then(|column| input.scan.sources.get(*column))
        .copied()
    else {
        return Ok(None);
    };
    if !matches!(source, Source::Metric(_) | Source::Time) {
        return Ok(None);
    }
    let cast = first.downcast_ref::<CastExpr>().is_some();
    let state_type = function.field().data_type().clone();
    let own_type = input.scan.schema.fields()[input.columns[column]].data_type().clone();
    let implementation: &dyn std::any::Any = function.fun().inner().as_ref();
    let first_last = implementation.downcast_ref::<FirstLast>();
    let kind = match (name, first_last) {
        (_, Some(first_last)) => {
            let by_time = args
                .get(1)
                .and_then(|time| time.downcast_ref::<Column>())
                .and_then(|time| input.columns.get(time.index()));
            if cast || by_time.and_then(|column| input.scan.sources.get(*column)) != Some(&Source::Time) {
                return Ok(None);
            }
            Kind::FirstLast(first_last.rule())
        }
        ("count", _) => Kind::Count,
        ("avg", _) if state_type == DataType::Float64 => Kind::Average,
        ("sum", _) if state_type == DataType::Float64 => Kind::SumDouble,
        ("sum", _) if state_type == DataType::Int64 && own_type.is_integer() => Kind::SumInteger,
        ("sum", _) if own_type == DataType::Int64 => match state_type {
            DataType::Decimal128(digits, 0) => Kind::SumNumeric(digits),
            _ => return Ok(None),
        },
        ("min", _) if !cast => Kind::Min,
        ("max", _) if !cast => Kind::Max,
        _ => return Ok(None),
    };
    if fold::fold(kind, Some(&own_type)).is_none() {
        return Ok(None);
    }
    Ok(Some(Argument {
        kind,
        source: Some(source),
    }))
}
