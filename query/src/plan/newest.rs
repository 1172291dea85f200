//! The newest row of each device from memory: `DISTINCT ON (tbname) … ORDER BY tbname, ts DESC`, and `last_row(…)` by tags.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result as DfResult};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Filter, LogicalPlan, LogicalPlanBuilder, TableScan, utils,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::filter::Meaning;
use super::table::{SeriesTable, Source};
use crate::functions::LAST_ROW;

/// The logical rule; comes before DataFusion turns DISTINCT ON into an aggregate.
#[derive(Debug)]
pub struct NewestRows;

impl OptimizerRule for NewestRows {
    fn name(&self) -> &str {
        "newest_rows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> DfResult<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Distinct(Distinct::On(distinct)) => match distinct_on(distinct)? {
                Some(rewritten) => Ok(Transformed::yes(rewritten)),
                None => Ok(Transformed::no(plan)),
            },
            LogicalPlan::Aggregate(aggregate) => match last_rows(aggregate)? {
                Some(input) => {
                    let rewritten = Aggregate::try_new_with_schema(
                        Arc::new(input),
                        aggregate.group_expr.clone(),
                        aggregate.aggr_expr.clone(),
                        aggregate.schema.clone(),
                    )?;
                    Ok(Transformed::yes(LogicalPlan::Aggregate(rewritten)))
                }
                None => Ok(Transformed::no(plan)),
            },
            _ => Ok(Transformed::no(plan)),
        }
    }
}

/// DISTINCT ON (tbname) … ORDER BY tbname, ts DESC becomes a sort of the newest rows.
fn distinct_on(distinct: &DistinctOn) -> DfResult<Option<LogicalPlan>> {
    let Some(input) = newest_input(&distinct.input)? else {
        return Ok(None);
    };
    let Some(table) = table_of(&input)? else {
        return Ok(None);
    };
    let source = |expr: &Expr| column(expr).and_then(|column| table.source(&column.name));
    let [on] = distinct.on_expr.as_slice() else {
        return Ok(None);
    };
    let Some([name, time]) = distinct.sort_expr.as_deref() else {
        return Ok(None);
    };
    let matches = source(on) == Some(Source::Name)
        && source(&name.expr) == Some(Source::Name)
        && source(&time.expr) == Some(Source::Time)
        && !time.asc;
    if !matches {
        return Ok(None);
    }
    let fields: Vec<_> = distinct
        .schema
        .iter()
        .map(|(qualifier, field)| (qualifier.cloned(), field.name().clone()))
        .collect();
    // The list keeps the names that DISTINCT ON would have given.
    let list = distinct
        .select_expr
        .iter()
        .cloned()
        .zip(fields)
        .map(|(expr, (qualifier, name))| match &expr {
            Expr::Column(column) if column.name == name && column.relation == qualifier => expr,
            _ => expr.unalias().alias_qualified(qualifier, name),
        });
    let plan = LogicalPlanBuilder::from(input)
        .sort(vec![name.clone()])?
        .project(list)?
        .build()?;
    Ok(Some(plan))
}

fn column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => column(&alias.expr),
        _ => None,
    }
}

/// The input showing newest rows only, if every aggregate is a `last_row` by time and groups are made of tags.
fn last_rows(aggregate: &Aggregate) -> DfResult<Option<LogicalPlan>> {
    let Some(table) = table_of(&aggregate.input)? else {
        return Ok(None);
    };
    if table.newest || aggregate.aggr_expr.is_empty() {
        return Ok(None);
    }
    let of_series = |expr: &Expr| {
        let columns = expr.column_refs();
        !expr.is_volatile()
            && columns
                .iter()
                .all(|column| table.source(&column.name).is_some_and(Source::is_of_series))
    };
    if !aggregate.group_expr.iter().all(of_series) {
        return Ok(None);
    }
    let is_time = |expr: &Expr| column(expr).and_then(|column| table.source(&column.name)) == Some(Source::Time);
    let newest = |expr: &Expr| match expr {
        Expr::AggregateFunction(AggregateFunction {
            func,
            params:
                AggregateFunctionParams {
                    args,
                    distinct: false,
                    filter: None,
                    ..
                },
        }) => match (func.name(), args.as_slice()) {
            (LAST_ROW, [_, time]) => is_time(time),
            ("max", [time]) => is_time(time),
            _ => false,
        },
        _ => false,
    };
    let all = aggregate.aggr_expr.iter().all(|expr| newest(&expr.clone().unalias()));
    match all {
        true => newest_input(&aggregate.input),
        false => Ok(None),
    }
}

/// Filters over a scan of one of our tables, with the scan showing the newest rows; `None` if a filter could drop the newest row of a series and
/// leave an older one.
fn newest_input(plan: &LogicalPlan) -> DfResult<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(filter) => {
            let Some(table) = table_of(&filter.input)? else {
                return Ok(None);
            };
            let harmless = |predicate: &&Expr| match table.meaning(predicate) {
                Meaning::Tags => true,
                Meaning::Time(term) => term.open_end(),
                _ => false,
            };
            if !utils::split_conjunction(&filter.predicate).iter().all(harmless) {
                return Ok(None);
            }
            let Some(input) = newest_input(&filter.input)? else {
                return Ok(None);
            };
            let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
            Ok(Some(LogicalPlan::Filter(filter)))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = newest_input(&alias.input)? else {
                return Ok(None);
            };
            Ok(Some(
                LogicalPlanBuilder::from(input).alias(alias.alias.clone())?.build()?,
            ))
        }
        LogicalPlan::TableScan(scan) => {
            let Some(table) = table_of(plan)? else {
                return Ok(None);
            };
            if table.newest || scan.fetch.is_some() || !scan.filters.is_empty() {
                return Ok(None);
            }
            let newest = TableScan {
                source: provider_as_source(Arc::new(table.as_newest())),
                ..scan.clone()
            };
            Ok(Some(LogicalPlan::TableScan(newest)))
        }
        _ => Ok(None),
    }
}

/// The table under filters and aliases.
fn table_of(plan: &LogicalPlan) -> DfResult<Option<SeriesTable>> {
    match plan {
        LogicalPlan::Filter(filter) => table_of(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => table_of(&alias.input),
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source)?;
            Ok(provider.downcast_ref::<SeriesTable>().cloned())
        }
        _ => Ok(None),
    }
}
