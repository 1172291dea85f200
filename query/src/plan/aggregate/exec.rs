//! The operator: batches of runs in, partial states of groups out.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatchOptions, UInt32Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, concat, filter, prep_null_mask_filter, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, Time};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::Stream;
use taospg_storage::{Run, ScanBatch, ScanPart, SeriesId, TimeRange, WholeBlock};

use super::buckets::Buckets;
use super::finish::{self, Finish};
use super::fold::{self, Fold, Kind};
use super::monotone::Ascending;
use super::whole::{BlockFacts, BlockTaker};
use crate::plan::brought;
use crate::plan::context::QueryContext;
use crate::plan::errors;
use crate::plan::planner::BATCH_ROWS;
use crate::plan::scan::{self, Batches, Figures, ScanParts};
use crate::plan::table::Source;

/// Batches of rows taken before other tasks get their turn: about a millisecond's work.
const BATCHES_IN_A_TURN: usize = 16;

/// A group expression.
#[derive(Clone, Debug)]
pub enum Grouping {
    /// Over tags and name: one value for each run. Columns are those of the scan.
    OfSeries(Arc<dyn PhysicalExpr>),
    /// Over the time column, which is the only column it sees.
    OfTime(Arc<dyn PhysicalExpr>),
}

/// An aggregate and the column it takes; `None` for `count(*)`.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    pub kind: Kind,
    pub source: Option<Source>,
}

/// Everything that decides the operator.
#[derive(Clone)]
pub struct Shape {
    pub scan: Arc<ScanParts>,
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    pub grouping: Vec<Grouping>,
    pub arguments: Vec<Argument>,
    /// Whether times of equal keys lie together.
    pub ascends: bool,
    /// Groups, then states, as DataFusion's partial aggregation has them.
    pub schema: SchemaRef,
    /// Where no final aggregation stands above.
    pub finish: Option<Arc<Finish>>,
    /// How many finished groups are wanted, if not all.
    pub wanted: Option<usize>,
}

pub struct SeriesAggregate {
    shape: Arc<Shape>,
    partitions: Vec<Vec<usize>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// Nobody asks a kept plan for its figures.
    measured: bool,
}

impl SeriesAggregate {
    pub fn new(shape: Shape) -> SeriesAggregate {
        let partitions = shape.scan.partitions();
        let equivalence = match &shape.finish {
            Some(finish) => finish::equivalence(finish, &shape.grouping),
            None => EquivalenceProperties::new(shape.schema.clone()),
        };
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::NonCooperative);
        SeriesAggregate {
            shape: Arc::new(shape),
            partitions,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            measured: true,
        }
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The operator with a final aggregation's work done.
    pub fn finished(&self, finish: Finish) -> SeriesAggregate {
        SeriesAggregate::new(Shape {
            finish: Some(Arc::new(finish)),
            ..self.shape.as_ref().clone()
        })
    }

    /// The operator as a kept plan holds it.
    pub fn emptied(&self) -> SeriesAggregate {
        self.over(self.shape.scan.emptied(), vec![Vec::new(); self.partitions.len()])
    }

    /// The operator in another execution; `None` when the plan around it does not fit it.
    pub fn bound(&self, context: &Arc<QueryContext>, state: &dyn Session) -> DfResult<Option<SeriesAggregate>> {
        let scan = self.shape.scan.chosen_again(context.clone(), state)?;
        if !scan.resembles(&self.shape.scan, self.partitions.len()) {
            return Ok(None);
        }
        let filter = self.shape.filter.as_ref();
        let filter = filter.map(|filter| brought::filled(filter, context)).transpose()?;
        let filter = filter.map(|filled| filled.data);
        let partitions = scan.partitions();
        let bound = self.over(scan, partitions);
        Ok(Some(SeriesAggregate {
            shape: Arc::new(Shape {
                filter,
                ..bound.shape.as_ref().clone()
            }),
            ..bound
        }))
    }

    pub fn parts(&self) -> &Arc<ScanParts> {
        &self.shape.scan
    }

    /// The group expression of that number, over the time column, if it is one.
    pub fn time_group(&self, index: usize) -> Option<&Arc<dyn PhysicalExpr>> {
        match self.shape.grouping.get(index)? {
            Grouping::OfTime(expr) => Some(expr),
            Grouping::OfSeries(_) => None,
        }
    }

    /// The operator over a part of its scan's time.
    pub fn within(&self, time: Option<TimeRange>) -> SeriesAggregate {
        let scan = self.shape.scan.within(time);
        SeriesAggregate {
            metrics: self.metrics.clone(),
            measured: self.measured,
            ..self.over(scan, self.partitions.clone())
        }
    }

    fn over(&self, scan: ScanParts, partitions: Vec<Vec<usize>>) -> SeriesAggregate {
        let shape = Shape {
            scan: Arc::new(scan),
            ..self.shape.as_ref().clone()
        };
        SeriesAggregate {
            shape: Arc::new(shape),
            partitions,
            properties: self.properties.clone(),
            metrics: ExecutionPlanMetricsSet::new(),
            measured: false,
        }
    }
}

impl fmt::Debug for SeriesAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesAggregate").finish_non_exhaustive()
    }
}

impl DisplayAs for SeriesAggregate {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> = self
            .shape
            .grouping
            .iter()
            .map(|grouping| match grouping {
                Grouping::OfSeries(expr) | Grouping::OfTime(expr) => expr.to_string(),
            })
            .collect();
        write!(
            f,
            "SeriesAggregate: by=[{}], aggregates={}",
            groups.join(", "),
            self.shape.arguments.len()
        )?;
        if self.shape.finish.is_some() {
            write!(f, ", finished")?;
        }
        if let Some(wanted) = self.shape.wanted {
            write!(f, ", groups<={wanted}")?;
        }
        if let Some(filter) = &self.shape.filter {
            write!(f, ", filter={filter}")?;
        }
        write!(f, ", ")?;
        self.shape.scan.describe(f)
    }
}

impl ExecutionPlan for SeriesAggregate {
    fn name(&self) -> &str {
        "SeriesAggregate"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        self.shape
            .filter
            .iter()
            .try_fold(TreeNodeRecursion::Continue, |_, filter| f(filter))
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let vnodes = self.partitions.get(partition).cloned().unwrap_or_default();
        let set = self.measured.then_some(&self.metrics);
        let groups = Groups::new(self.shape.clone(), vnodes, Figures::new(set, partition))?;
        let schema = match (&self.shape.finish, self.shape.grouping.is_empty()) {
            (Some(finish), false) => finish.schema.clone(),
            _ => self.shape.schema.clone(),
        };
        let groups = Box::pin(RecordBatchStreamAdapter::new(schema, groups));
        match &self.shape.finish {
            Some(finish) if self.shape.grouping.is_empty() => finish.total(groups),
            _ => Ok(groups),
        }
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    /// Of finished groups the first ones are what is asked for; a state may be one of several of its group.
    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let shape = self.shape.as_ref();
        let groups = shape.finish.is_some() && !shape.grouping.is_empty();
        groups.then(|| {
            Arc::new(SeriesAggregate::new(Shape {
                wanted: [shape.wanted, limit].into_iter().flatten().min(),
                ..shape.clone()
            })) as Arc<dyn ExecutionPlan>
        })
    }

    fn fetch(&self) -> Option<usize> {
        self.shape.wanted
    }
}

/// The groups of one partition.
struct Groups {
    shape: Arc<Shape>,
    columns: Vec<usize>,
    waiting: std::vec::IntoIter<usize>,
    current: Option<(usize, Batches)>,
    folds: Vec<Box<dyn Fold>>,
    /// Group values of groups begun, in pieces; one column of pieces for each group expression.
    keys: Vec<Vec<ArrayRef>>,
    /// The group that rows are added to: series, and its time keys.
    open: Option<(u32, Vec<Option<i64>>)>,
    /// Complete groups whose states wait in the folds.
    complete: usize,
    /// Whether a series has groups of its own.
    by_series: bool,
    /// Decides about whole blocks, where some may be taken.
    taker: Option<BlockTaker>,
    /// Where the only group expression of time ascends.
    buckets: Option<Buckets>,
    time_schema: SchemaRef,
    ended: bool,
    /// Groups that are still wanted.
    left: usize,
    figures: Figures,
}

impl Groups {
    fn new(shape: Arc<Shape>, vnodes: Vec<usize>, figures: Figures) -> DfResult<Groups> {
        let columns = shape.scan.metrics();
        let mut folds = Vec::with_capacity(shape.arguments.len());
        let schema = &shape.scan.schema;
        for argument in &shape.arguments {
            let place = argument
                .source
                .and_then(|source| shape.scan.sources.iter().position(|other| *other == source));
            let data_type = place.map(|place| schema.field(place).data_type());
            let fold = fold::fold(argument.kind, data_type);
            folds.push(fold.ok_or_else(|| DataFusionError::Internal("an aggregate lost its type".into()))?);
        }
        let time = shape.scan.table.time_field();
        let by_series = shape
            .grouping
            .iter()
            .any(|grouping| matches!(grouping, Grouping::OfSeries(_)));
        Ok(Groups {
            taker: BlockTaker::new(&shape, by_series),
            buckets: buckets(&shape),
            columns,
            waiting: vnodes.into_iter(),
            current: None,
            folds,
            keys: vec![Vec::new(); shape.grouping.len()],
            open: None,
            complete: 0,
            by_series,
            time_schema: Arc::new(Schema::new(vec![time])),
            ended: false,
            left: shape.wanted.unwrap_or(usize::MAX),
            figures,
            shape,
        })
    }

    /// Takes one batch of rows.
    fn advance(&mut self) -> DfResult<Step> {
        let timer = self.figures.timer();
        let _running = timer.as_ref().map(Time::timer);
        if self.left == 0 {
            return Ok(Step::End);
        }
        if !self.ended {
            match self.next_batch()? {
                Some((vnode, ScanPart::Rows(batch))) => self.consume(vnode, batch)?,
                Some((vnode, ScanPart::Blocks(blocks))) => self.consume_blocks(vnode, &blocks)?,
                None => {
                    self.close();
                    self.ended = true;
                }
            }
        }
        if self.complete >= BATCH_ROWS.min(self.left) || (self.ended && self.complete > 0) {
            let groups = self.emit()?;
            let groups = groups.slice(0, groups.num_rows().min(self.left));
            self.left -= groups.num_rows();
            return Ok(Step::Groups(groups));
        }
        Ok(if self.ended { Step::End } else { Step::More })
    }

    fn next_batch(&mut self) -> DfResult<Option<(usize, ScanPart)>> {
        loop {
            let (vnode, source) = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(vnode) = self.waiting.next() else {
                        return Ok(None);
                    };
                    // Series of another vnode have other groups.
                    self.close();
                    match scan::open(&self.shape.scan, vnode, &self.columns).map_err(errors::wrap)? {
                        Some(source) => self.current.insert((vnode, source)),
                        None => continue,
                    }
                }
            };
            let vnode = *vnode;
            let (folds, taker) = (&self.folds, &mut self.taker);
            let part = match (source, taker) {
                (Batches::Scan(scan), Some(taker)) => scan
                    .next_part(&mut |block| taker.takes(block, folds))
                    .transpose()
                    .map_err(errors::wrap)?,
                (Batches::Scan(scan), None) => scan.next().transpose().map_err(errors::wrap)?.map(ScanPart::Rows),
                (Batches::Newest(batch), _) => batch.take().map(ScanPart::Rows),
            };
            match part {
                Some(ScanPart::Rows(batch)) if batch.rows() == 0 => {}
                Some(part) => return Ok(Some((vnode, part))),
                None => {
                    if let Some((_, Batches::Scan(scan))) = self.current.take() {
                        self.figures.report(&scan.counters());
                    }
                }
            }
        }
    }

    /// Completes the open group.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.folds.iter_mut().for_each(|fold| fold.finish());
            self.complete += 1;
        }
    }

    fn consume(&mut self, vnode: usize, batch: ScanBatch) -> DfResult<()> {
        let shape = self.shape.clone();
        let batch = match &shape.filter {
            Some(predicate) => filtered(&shape.scan, vnode, &self.columns, batch, predicate)?,
            None => batch,
        };
        if batch.rows() == 0 {
            return Ok(());
        }
        for (fold, argument) in self.folds.iter_mut().zip(&shape.arguments) {
            let column = match argument.source {
                Some(Source::Metric(index)) => self
                    .columns
                    .iter()
                    .position(|column| *column == index)
                    .and_then(|place| batch.columns.get(place))
                    .cloned(),
                Some(_) => Some(scan::time_array(&batch.times, self.time_schema.field(0).data_type())?),
                None => None,
            };
            fold.begin_batch(column.as_ref(), &batch.times)?;
        }
        match self.buckets.take() {
            Some(mut buckets) => {
                let consumed = self.consume_buckets(vnode, &batch, &mut buckets);
                self.buckets = Some(buckets);
                consumed
            }
            None => self.consume_rows(vnode, &batch),
        }
    }

    /// Adds a batch whose group expressions are evaluated for every row.
    fn consume_rows(&mut self, vnode: usize, batch: &ScanBatch) -> DfResult<()> {
        let Keys { values, times } = self.keys_of(vnode, &batch.runs, &batch.times)?;
        let (mut begun_runs, mut begun_rows) = (Vec::new(), Vec::new());
        let mut from = 0;
        for (index, run) in batch.runs.iter().enumerate() {
            let end = from + run.rows;
            while from < end {
                let to = stretch(&times, from, end);
                if self.turn(run.series, times.iter().map(|values| values.at(from))) {
                    begun_runs.push(index as u32);
                    begun_rows.push(from as u32);
                }
                for fold in &mut self.folds {
                    fold.add(from, to)?;
                }
                from = to;
            }
        }
        self.note_keys(values, &UInt32Array::from(begun_runs), &UInt32Array::from(begun_rows))
    }

    /// Adds a batch whose buckets are known, or become so.
    fn consume_buckets(&mut self, vnode: usize, batch: &ScanBatch, buckets: &mut Buckets) -> DfResult<()> {
        let (mut begun_runs, mut begun_times) = (Vec::new(), Vec::new());
        let mut from = 0;
        for run in &batch.runs {
            let end = from + run.rows;
            while from < end {
                let (rows, key) = buckets.stretch(&batch.times[from..end])?;
                if self.turn(run.series, std::iter::once(key)) {
                    begun_runs.push(*run);
                    begun_times.push(batch.times[from]);
                }
                for fold in &mut self.folds {
                    fold.add(from, from + rows)?;
                }
                from += rows;
            }
        }
        if begun_runs.is_empty() {
            return Ok(());
        }
        let Keys { values, .. } = self.keys_of(vnode, &begun_runs, &begun_times.into())?;
        for (pieces, values) in self.keys.iter_mut().zip(values) {
            pieces.push(values);
        }
        Ok(())
    }

    /// Keys: one value for each run, or one for each time.
    fn keys_of(&self, vnode: usize, runs: &[Run], times: &ScalarBuffer<i64>) -> DfResult<Keys> {
        let mut keys = Keys {
            values: Vec::with_capacity(self.shape.grouping.len()),
            times: Vec::new(),
        };
        let run_columns = self.by_series.then(|| self.run_columns(vnode, runs)).transpose()?;
        for grouping in &self.shape.grouping {
            match (grouping, &run_columns) {
                (Grouping::OfSeries(expr), Some(runs)) => {
                    keys.values.push(expr.evaluate(runs)?.into_array(runs.num_rows())?);
                }
                (Grouping::OfTime(expr), _) => {
                    let column = scan::time_array(times, self.time_schema.field(0).data_type())?;
                    let input = RecordBatch::try_new(self.time_schema.clone(), vec![column])?;
                    let values = expr.evaluate(&input)?.into_array(times.len())?;
                    keys.times.push(TimeKey::new(&values)?);
                    keys.values.push(values);
                }
                (Grouping::OfSeries(_), None) => {}
            }
        }
        Ok(keys)
    }

    /// Adds whole blocks by their statistics.
    fn consume_blocks(&mut self, vnode: usize, blocks: &[WholeBlock]) -> DfResult<()> {
        // Blocks of several series are taken only where no key asks which.
        let runs: Vec<Run> = blocks
            .iter()
            .map(|block| Run {
                series: block.series.unwrap_or(SeriesId(0)),
                rows: 1,
            })
            .collect();
        let times: ScalarBuffer<i64> = blocks.iter().map(|block| block.first_time).collect();
        let Keys { values, times } = self.keys_of(vnode, &runs, &times)?;
        let mut begun = Vec::new();
        for (at, (block, run)) in blocks.iter().zip(&runs).enumerate() {
            if self.turn(run.series, times.iter().map(|values| values.at(at))) {
                begun.push(at as u32);
            }
            let Some(taker) = &self.taker else {
                continue;
            };
            for (fold, column) in self.folds.iter_mut().zip(&taker.columns) {
                let facts = BlockFacts::of(block, *column).map_err(errors::wrap)?;
                fold.add_block(&facts)?;
            }
        }
        let begun = UInt32Array::from(begun);
        self.note_keys(values, &begun, &begun)
    }

    /// Begins the group of these keys, if it is not the open one. Whether it did.
    fn turn(&mut self, series: SeriesId, keys: impl Iterator<Item = Option<i64>> + Clone) -> bool {
        let same = self
            .open
            .as_ref()
            .is_some_and(|(open, old)| (!self.by_series || *open == series.0) && keys.clone().eq(old.iter().copied()));
        if !same {
            self.close();
            self.open = Some((series.0, keys.collect()));
        }
        !same
    }

    /// Keeps the keys of groups that begun at these places.
    fn note_keys(&mut self, values: Vec<ArrayRef>, runs: &UInt32Array, rows: &UInt32Array) -> DfResult<()> {
        let mut values = values.into_iter();
        for (pieces, grouping) in self.keys.iter_mut().zip(&self.shape.grouping) {
            let Some(values) = values.next() else {
                continue;
            };
            let places = match grouping {
                Grouping::OfSeries(_) => runs,
                Grouping::OfTime(_) => rows,
            };
            if !places.is_empty() {
                pieces.push(take(&values, places, None)?);
            }
        }
        Ok(())
    }

    /// The scan's columns with one row for each run: names and tags, the rest NULL.
    fn run_columns(&self, vnode: usize, runs: &[Run]) -> DfResult<RecordBatch> {
        let parts = &self.shape.scan;
        let series = &parts.vnodes[vnode];
        let slots = scan::slots_of(series, runs);
        let mut fields = Vec::with_capacity(parts.sources.len());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(parts.sources.len());
        for (source, field) in parts.sources.iter().zip(parts.schema.fields()) {
            fields.push(field.as_ref().clone().with_nullable(true));
            columns.push(match source {
                Source::Tag(_) | Source::Name => scan::series_values(parts, *source, field, &slots)?,
                _ => arrow::array::new_null_array(field.data_type(), slots.len()),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        Ok(RecordBatch::try_new_with_options(
            Arc::new(Schema::new(fields)),
            columns,
            &options,
        )?)
    }

    /// The complete groups as a batch.
    fn emit(&mut self) -> DfResult<RecordBatch> {
        let rows = std::mem::take(&mut self.complete);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.shape.schema.fields().len());
        for pieces in &mut self.keys {
            let parts: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
            let all = concat(&parts)?;
            columns.push(all.slice(0, rows));
            // The open group has begun already: its values stay.
            pieces.clear();
            if all.len() > rows {
                pieces.push(all.slice(rows, all.len() - rows));
            }
        }
        for fold in &mut self.folds {
            columns.extend(fold.take()?);
        }
        let typed = columns
            .into_iter()
            .zip(self.shape.schema.fields())
            .map(|(column, field)| match column.data_type() == field.data_type() {
                true => Ok(column),
                false => cast(&column, field.data_type()),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.shape.schema.clone(), typed, &options)?;
        self.figures.record_output(rows);
        match &self.shape.finish {
            Some(finish) if !self.shape.grouping.is_empty() => finish.of_groups(&batch),
            _ => Ok(batch),
        }
    }
}

/// The buckets of groups, if one expression of time makes them, and ascends.
fn buckets(shape: &Shape) -> Option<Buckets> {
    let mut times = shape.grouping.iter().filter_map(|grouping| match grouping {
        Grouping::OfTime(expr) => Some(expr),
        Grouping::OfSeries(_) => None,
    });
    let expr = times.next().filter(|_| shape.ascends)?;
    times
        .next()
        .is_none()
        .then(|| Buckets::new(Ascending::new(expr.clone(), &shape.scan)))
}

/// Keys of a batch: as arrays, and those of time comparable.
struct Keys {
    values: Vec<ArrayRef>,
    times: Vec<TimeKey>,
}

/// What taking a batch of rows led to.
enum Step {
    Groups(RecordBatch),
    More,
    End,
}

impl Stream for Groups {
    type Item = DfResult<RecordBatch>;

    /// Gives back control after some batches: many rows may make few groups, and cancel has to get a word in.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<DfResult<RecordBatch>>> {
        for _ in 0..BATCHES_IN_A_TURN {
            match self.advance() {
                Ok(Step::Groups(batch)) => return Poll::Ready(Some(Ok(batch))),
                Ok(Step::More) => {}
                Ok(Step::End) => return Poll::Ready(None),
                Err(error) => {
                    self.ended = true;
                    self.complete = 0;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        if let Some((_, Batches::Scan(scan))) = self.current.take() {
            self.figures.report(&scan.counters());
        }
    }
}

/// Values of a group expression of time, comparable as numbers.
struct TimeKey {
    values: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
}

impl TimeKey {
    fn new(values: &ArrayRef) -> DfResult<TimeKey> {
        Ok(TimeKey {
            nulls: values.logical_nulls().filter(|nulls| nulls.null_count() > 0),
            values: comparable(values)?,
        })
    }

    fn at(&self, row: usize) -> Option<i64> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.values[row]),
        }
    }

    /// Where the stretch of equal values that begins at `from` ends.
    fn stretch(&self, from: usize, end: usize) -> usize {
        let length = match &self.nulls {
            None => {
                let first = self.values[from];
                self.values[from..end].iter().position(|value| *value != first)
            }
            Some(_) => (from..end).position(|row| self.at(row) != self.at(from)),
        };
        length.map_or(end, |length| from + length)
    }
}

/// Where the stretch of equal time keys that begins at `from` ends.
fn stretch(keys: &[TimeKey], from: usize, end: usize) -> usize {
    keys.iter().fold(end, |end, key| key.stretch(from, end))
}

/// Values as numbers that are equal where the values are.
pub fn comparable(values: &ArrayRef) -> DfResult<ScalarBuffer<i64>> {
    Ok(match values.data_type() {
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            values.values().iter().map(|value| value.to_bits() as i64).collect()
        }
        DataType::Int32 | DataType::Date32 => {
            let values = cast(&cast(values, &DataType::Int32)?, &DataType::Int64)?;
            values.as_primitive::<Int64Type>().values().clone()
        }
        _ => {
            let values: Int64Array = cast(values, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
            values.values().clone()
        }
    })
}

/// The rows of a batch for which the predicate holds.
fn filtered(
    parts: &ScanParts,
    vnode: usize,
    metrics: &[usize],
    batch: ScanBatch,
    predicate: &Arc<dyn PhysicalExpr>,
) -> DfResult<ScanBatch> {
    let rows = batch.rows();
    let assembled = scan::assemble(parts, &parts.vnodes[vnode], metrics, batch.clone())?;
    let truths = predicate.evaluate(&assembled)?.into_array(rows)?;
    let truths = as_boolean_array(&truths)?;
    let mask = match truths.null_count() {
        0 => truths.clone(),
        _ => prep_null_mask_filter(truths),
    };
    if mask.true_count() == rows {
        return Ok(batch);
    }
    let times: ArrayRef = Arc::new(Int64Array::new(batch.times.clone(), None));
    let times = filter(&times, &mask)?.as_primitive::<Int64Type>().values().clone();
    let columns = batch
        .columns
        .iter()
        .map(|column| filter(column, &mask))
        .collect::<Result<_, _>>()?;
    let mut runs = Vec::with_capacity(batch.runs.len());
    let mut from = 0;
    for run in &batch.runs {
        let kept = mask.values().slice(from, run.rows).count_set_bits();
        from += run.rows;
        if kept > 0 {
            runs.push(Run {
                series: run.series,
                rows: kept,
            });
        }
    }
    Ok(ScanBatch { runs, times, columns })
}
