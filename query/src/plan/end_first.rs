//! ORDER BY time LIMIT n, answered from one end of time: the newest five minutes of a fleet are not worth reading a year.
//!
//! ```text
//! Sort (minute DESC, n rows)           Sort (minute DESC, n rows)
//!   [Projection, Filter]                 EndFirst: the same below, over one span of time after the other, until it has given n rows
//!     Final aggregate by minute    -->     [Projection, Filter]
//!       SeriesAggregate                      Final aggregate by minute
//!                                              SeriesAggregate
//! ```
//! The first of the sort keys has to be the time, or to ascend with it. Spans end where its value changes: every group lies in one span, no row
//! of a later span comes before one of an earlier, and nothing is read twice. Spans grow, so that a query whose rows are rare, or whose HAVING
//! leaves none, costs little more than without.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::{StreamExt, stream};
use taospg_storage::{FamilyId, Outline, TimeRange};

use super::aggregate::{Ascending, SeriesAggregate, ascends, clock_ascends};
use super::errors;
use super::scan::{ScanParts, SeriesScan};
use super::table::Source;
use super::template;

/// Rows that the first span should have: a batch costs about as much as to begin anew.
const ROWS_OF_FIRST_SPAN: u64 = 8 * 1024;

/// Rows of each series that the first span should have, because each series costs a look at least.
const ROWS_OF_SERIES: u64 = 8;

/// How much longer each span is than the one before.
const GROWTH: i128 = 4;

/// Times beyond are left to plans without spans: arithmetic of buckets may overflow there.
const FAR_TIME: u64 = 1 << 62;

/// The physical rule; comes last.
#[derive(Debug)]
pub struct EndFirstWithLimit;

impl PhysicalOptimizerRule for EndFirstWithLimit {
    fn name(&self) -> &str {
        "end_first"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        let clock = clock_ascends(config);
        let rewritten = plan.transform_down(|node| {
            let Some(sort) = node.downcast_ref::<SortExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(input) = end_first(sort, clock)? else {
                return Ok(Transformed::no(node));
            };
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            let input: Arc<dyn ExecutionPlan> = Arc::new(input);
            let sort = node.clone().replace_children(vec![input], options)?;
            Ok(Transformed::new(sort, true, TreeNodeRecursion::Jump))
        })?;
        Ok(rewritten.data)
    }
}

/// The sort's input with its scan cut into spans, if its first key lets that be.
fn end_first(sort: &SortExec, clock: bool) -> DfResult<Option<EndFirst>> {
    let first = sort.expr().first();
    let (Some(wanted), Some(column)) = (sort.fetch(), first.expr.downcast_ref::<Column>()) else {
        return Ok(None);
    };
    let input = sort.input();
    let Some(key) = key_of(input, column.index()).filter(|key| ascends(key, clock)) else {
        return Ok(None);
    };
    // Copies of what stands over the scan are executed, one for each span.
    let can_be_copied = template::with_leaf(input, &mut |leaf| Ok(Some(leaf.clone())))?.is_some();
    Ok(can_be_copied.then(|| EndFirst {
        properties: properties(input, first.options.descending),
        input: input.clone(),
        key,
        wanted,
        descending: first.options.descending,
    }))
}

/// Column `index` of the plan as an expression over the time column of the one scan in it, if it is one.
fn key_of(plan: &Arc<dyn ExecutionPlan>, index: usize) -> Option<Arc<dyn PhysicalExpr>> {
    if let Some(scan) = plan.downcast_ref::<SeriesScan>() {
        let parts = &scan.parts;
        let is_time = parts.sources.get(index) == Some(&Source::Time);
        // A scan that stops by itself stops sooner; one series alone is read from its end.
        let is_whole = !parts.table.newest && parts.limit.is_none() && parts.series_taken > 1;
        let name = &parts.table.table.time_column().name;
        return (is_time && is_whole).then(|| Arc::new(Column::new(name, 0)) as Arc<dyn PhysicalExpr>);
    }
    if let Some(aggregate) = plan.downcast_ref::<SeriesAggregate>() {
        // One that stops by itself gives its first groups, not those of a span.
        let is_whole = aggregate.fetch().is_none();
        return aggregate.time_group(index).filter(|_| is_whole).cloned();
    }
    let [input] = plan.children()[..] else {
        return None;
    };
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let is_final = matches!(
            aggregate.mode(),
            AggregateMode::Final | AggregateMode::FinalPartitioned | AggregateMode::Single
        );
        let (group, _) = aggregate.group_expr().expr().get(index)?;
        let is_simple = aggregate.group_expr().is_single() && is_final;
        return key_of(input, group.downcast_ref::<Column>().filter(|_| is_simple)?.index());
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let column = projection.expr().get(index)?.expr.downcast_ref::<Column>()?;
        return key_of(input, column.index());
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let index = match filter.projection() {
            Some(projection) => *projection.get(index)?,
            None => index,
        };
        return filter.fetch().is_none().then(|| key_of(input, index)).flatten();
    }
    let passes = plan.fetch().is_none() && (plan.is::<CoalescePartitionsExec>() || plan.is::<CooperativeExec>());
    passes.then(|| key_of(input, index)).flatten()
}

/// The node of the plan. Each partition has spans of its own: the sort above takes from each as many rows as are wanted.
#[derive(Debug)]
pub struct EndFirst {
    input: Arc<dyn ExecutionPlan>,
    /// Over the time column alone.
    key: Arc<dyn PhysicalExpr>,
    wanted: usize,
    descending: bool,
    properties: Arc<PlanProperties>,
}

/// Those of the input, but that spans in the other direction undo what order it has.
fn properties(input: &Arc<dyn ExecutionPlan>, descending: bool) -> Arc<PlanProperties> {
    match descending {
        true => {
            let unordered = EquivalenceProperties::new(input.schema());
            Arc::new(input.properties().as_ref().clone().with_eq_properties(unordered))
        }
        false => input.properties().clone(),
    }
}

impl EndFirst {
    fn parts(&self) -> DfResult<Arc<ScanParts>> {
        let mut found = None;
        self.input.apply(|node| {
            if let Some(scan) = node.downcast_ref::<SeriesScan>() {
                found = Some(scan.parts.clone());
            } else if let Some(aggregate) = node.downcast_ref::<SeriesAggregate>() {
                found = Some(aggregate.parts().clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        found.map_or_else(|| internal_err!("a plan by spans of time lost its scan"), Ok)
    }

    /// What is below, over one span of time.
    fn over(&self, span: TimeRange) -> DfResult<Arc<dyn ExecutionPlan>> {
        let narrowed = template::with_leaf(&self.input, &mut |leaf| {
            Ok(if let Some(scan) = leaf.downcast_ref::<SeriesScan>() {
                Some(Arc::new(scan.within(Some(span))) as Arc<dyn ExecutionPlan>)
            } else if let Some(aggregate) = leaf.downcast_ref::<SeriesAggregate>() {
                Some(Arc::new(aggregate.within(Some(span))) as Arc<dyn ExecutionPlan>)
            } else {
                None
            })
        })?;
        narrowed.map_or_else(|| internal_err!("a plan by spans of time cannot be copied"), Ok)
    }

    fn with_input(&self, input: Arc<dyn ExecutionPlan>) -> EndFirst {
        EndFirst {
            input,
            key: self.key.clone(),
            properties: self.properties.clone(),
            ..*self
        }
    }
}

impl DisplayAs for EndFirst {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.descending { "newest" } else { "oldest" };
        write!(f, "EndFirst: {end} of {}, rows={}", self.key, self.wanted)
    }
}

impl ExecutionPlan for EndFirst {
    fn name(&self) -> &str {
        "EndFirst"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        f(&self.key)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(self.with_input(input))),
            _ => internal_err!("a plan by spans of time has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let parts = self.parts()?;
        let spans = Spans::new(&self.key, parts, self.wanted, self.descending);
        let given = Given {
            node: self.with_input(self.input.clone()),
            partition,
            context,
            spans,
            running: None,
            rows: 0,
        };
        let batches = stream::unfold(given, |mut given| async move {
            let next = given.next().await;
            next.map(|batch| (batch, given))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

/// An execution: the span that is being read, and those after it.
struct Given {
    node: EndFirst,
    partition: usize,
    context: Arc<TaskContext>,
    spans: Spans,
    running: Option<SendableRecordBatchStream>,
    rows: usize,
}

impl Given {
    async fn next(&mut self) -> Option<DfResult<arrow::record_batch::RecordBatch>> {
        loop {
            if let Some(running) = &mut self.running {
                match running.next().await {
                    Some(Ok(batch)) => {
                        self.rows += batch.num_rows();
                        return Some(Ok(batch));
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => self.running = None,
                }
            }
            if self.rows >= self.node.wanted {
                return None;
            }
            match self.begin() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.spans.left = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Begins the next span; false at the end of time.
    fn begin(&mut self) -> DfResult<bool> {
        let Some(span) = self.spans.next()? else {
            return Ok(false);
        };
        let plan = self.node.over(span)?;
        self.running = Some(plan.execute(self.partition, self.context.clone())?);
        Ok(true)
    }
}

/// The spans of time in their order.
struct Spans {
    key: Ascending,
    parts: Option<Arc<ScanParts>>,
    wanted: usize,
    descending: bool,
    left: Option<TimeRange>,
    /// How long the next one should be at least.
    length: Option<i128>,
}

impl Spans {
    fn new(key: &Arc<dyn PhysicalExpr>, parts: Arc<ScanParts>, wanted: usize, descending: bool) -> Spans {
        Spans {
            key: Ascending::new(key.clone(), &parts),
            left: parts.time,
            parts: Some(parts),
            wanted,
            descending,
            length: None,
        }
    }

    /// What the scan is to read next; `None` at the end.
    fn next(&mut self) -> DfResult<Option<TimeRange>> {
        let range = match self.left.take() {
            Some(range) => self.with_rows(range)?,
            None => None,
        };
        let Some(range) = range else {
            return Ok(None);
        };
        let least = self.length.unwrap_or(0).max(1);
        self.length = Some(least.saturating_mul(GROWTH));
        if least >= length(&range) {
            return Ok(Some(range));
        }
        // `least` is shorter than the range: it has 64 bits, and so has each end.
        let within = |from: i64, step: i128| (i128::from(from) + step) as i64;
        let at = match self.descending {
            true => within(range.end(), 1 - least),
            false => within(range.start(), least - 1),
        };
        let Some(group) = self.key.stretch(at, range)? else {
            return Ok(Some(range));
        };
        let before = || TimeRange::new(range.start(), group.start().checked_sub(1)?);
        let after = || TimeRange::new(group.end().checked_add(1)?, range.end());
        Ok(match self.descending {
            true => {
                self.left = before();
                TimeRange::new(group.start(), range.end())
            }
            false => {
                self.left = after();
                TimeRange::new(range.start(), group.end())
            }
        })
    }

    /// What of the range has rows. Beyond a hole, such as one device with a wrong clock leaves, spans begin as short as at the end.
    fn with_rows(&mut self, range: TimeRange) -> DfResult<Option<TimeRange>> {
        let Some(parts) = self.parts.clone() else {
            return Ok(Some(range));
        };
        let Some(outline) = outline(&parts, range)? else {
            return Ok(None);
        };
        let time = outline.time;
        let hole = match self.descending {
            true => i128::from(range.end()) - i128::from(time.end()),
            false => i128::from(time.start()) - i128::from(range.start()),
        };
        if self.length.is_none_or(|length| hole > length) {
            self.length = Some(self.first_length(&parts, &outline)?);
        }
        Ok(Some(time))
    }

    /// How long the first span should be: as long as the groups that are wanted would be side by side, and not shorter than is worth it.
    fn first_length(&self, parts: &ScanParts, outline: &Outline) -> DfResult<i128> {
        let range = outline.time;
        let far = |time: i64| time.unsigned_abs() > FAR_TIME;
        if far(range.start()) || far(range.end()) {
            return Ok(i128::MAX);
        }
        let share = parts.series_taken as f64 / parts.series_of.max(1) as f64;
        let rows = (outline.rows as f64 * share).max(1.0);
        let first = ROWS_OF_FIRST_SPAN.max(ROWS_OF_SERIES.saturating_mul(parts.series_taken));
        let worth = (length(&range) as f64 * (first as f64 / rows)) as i128;
        let end = if self.descending { range.end() } else { range.start() };
        let Some(group) = self.key.stretch(end, range)? else {
            return Ok(i128::MAX);
        };
        // The group at the end may be cut off; its neighbour has the width of all others, or nearly so.
        let neighbour = match self.descending {
            true => group.start().checked_sub(1),
            false => group.end().checked_add(1),
        };
        let width = match neighbour.filter(|time| range.contains(*time)) {
            Some(time) => self.key.stretch(time, range)?.map_or(0, |group| length(&group)),
            None => 0,
        };
        let others = i128::try_from(self.wanted.saturating_sub(1)).unwrap_or(0);
        let groups = width.saturating_mul(others).saturating_add(length(&group));
        Ok(worth.max(groups))
    }
}

/// Times in a span.
fn length(span: &TimeRange) -> i128 {
    i128::from(span.end()) - i128::from(span.start()) + 1
}

/// Where the rows that a scan may give lie within a range.
fn outline(parts: &ScanParts, time: TimeRange) -> DfResult<Option<Outline>> {
    let mut vnodes: Vec<u32> = parts.vnodes.iter().map(|series| series.vnode).collect();
    vnodes.sort_unstable();
    vnodes.dedup();
    let mut whole: Option<Outline> = None;
    for vnode in vnodes {
        let view = parts.context.view(vnode).map_err(errors::wrap)?;
        let family = FamilyId(parts.table.table.oid);
        let Some(own) = view.outline(family, time).map_err(errors::wrap)? else {
            continue;
        };
        whole = Some(match whole {
            None => own,
            Some(whole) => Outline {
                time: whole.time.hull(&own.time),
                rows: whole.rows.saturating_add(own.rows),
            },
        });
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Schema};

    fn spans(range: (i64, i64), length: i128, descending: bool) -> Vec<(i64, i64)> {
        let time = Field::new("ts", crate::pg_type::timestamptz_type(), false);
        let schema = Arc::new(Schema::new(vec![time]));
        let mut spans = Spans {
            key: Ascending::over(Arc::new(Column::new("ts", 0)), schema),
            parts: None,
            wanted: 1,
            descending,
            left: TimeRange::new(range.0, range.1),
            length: Some(length),
        };
        let mut all = Vec::new();
        while let Some(span) = spans.next().unwrap() {
            all.push((span.start(), span.end()));
        }
        all
    }

    #[test]
    fn spans_grow_and_cover_everything_once() {
        assert_eq!(spans((0, 99), 10, true), [(90, 99), (50, 89), (0, 49)]);
        assert_eq!(spans((0, 99), 10, false), [(0, 9), (10, 49), (50, 99)]);
        assert_eq!(spans((5, 5), 1, true), [(5, 5)]);
        assert_eq!(spans((0, 99), 1_000, true), [(0, 99)]);
        assert_eq!(spans((0, 4), 0, false), [(0, 0), (1, 4)]);
    }
}
