//! The scan of a table: series and span of time already chosen, rows taken from the vnodes run by run.
//!
//! One partition reads several vnodes one after the other; rows of a partition come sorted by (series, time) within a vnode.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayData;
use arrow::array::{ArrayRef, RecordBatchOptions, UInt32Array, make_array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DfResult, ToDFSchema, exec_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::stream;
use taospg_catalog::{Children, Precision};
use taospg_storage::{
    ColumnBound, ColumnId, Direction, FamilyId, Run, ScanBatch, ScanColumn, ScanCounters, ScanRequest, StorageError,
    TimeRange,
};

use super::context::QueryContext;
use super::errors;
use super::filter::Meaning;
use super::planner::BATCH_ROWS;
use super::table::{SeriesTable, Source};
use super::tags::{self, Selection, VnodeSeries};
use crate::QueryError;

/// Series up to which a scan stays on one partition: below, handing batches between cores costs more than it gains.
const SERIES_OF_SMALL_SCAN: u64 = 16;

/// Everything that decides a scan.
#[derive(Clone)]
pub struct ScanParts {
    pub context: Arc<QueryContext>,
    pub table: Arc<SeriesTable>,
    /// What each output column is.
    pub sources: Vec<Source>,
    pub schema: SchemaRef,
    pub vnodes: Vec<VnodeSeries>,
    pub children: Option<Children>,
    pub series_taken: u64,
    pub series_of: u64,
    /// `None`: no time at all.
    pub time: Option<TimeRange>,
    pub bounds: Vec<ColumnBound>,
    /// What chose series, time and bounds, and what it means; parameters stand in it as such.
    filters: Arc<[(Expr, Meaning)]>,
    pub limit: Option<usize>,
    pub direction: Direction,
    pub limit_per_series: Option<usize>,
    partitions_max: usize,
}

impl ScanParts {
    pub fn new(table: &SeriesTable, context: Arc<QueryContext>, partitions_max: usize, filters: &[Expr]) -> ScanParts {
        ScanParts {
            context,
            table: Arc::new(table.clone()),
            sources: Vec::new(),
            schema: Arc::new(Schema::empty()),
            vnodes: Vec::new(),
            children: None,
            series_taken: 0,
            series_of: 0,
            time: None,
            bounds: Vec::new(),
            filters: filters
                .iter()
                .map(|filter| (filter.clone(), table.meaning(filter)))
                .collect(),
            limit: None,
            direction: Direction::Ascending,
            limit_per_series: None,
            partitions_max,
        }
    }

    /// Chooses series, time and bounds by the filters, with the values that parameters have in this execution.
    pub fn choose(&mut self, state: &dyn Session) -> DfResult<()> {
        let table = self.table.clone();
        self.time = self.kept_time();
        self.bounds.clear();
        let context = self.context.clone();
        // Names are found without looking at every child.
        let mut names = None;
        let mut tag_filters = Vec::new();
        for (filter, meaning) in self.filters.clone().iter() {
            match meaning {
                Meaning::Tags if names.is_none() => match tags::names_of(&table, filter, &context) {
                    Some(found) => names = Some(found),
                    None => tag_filters.push(context.valued(filter)?),
                },
                Meaning::Tags => tag_filters.push(context.valued(filter)?),
                Meaning::Time(range) => self.narrow(range.evaluate(state, &context)?),
                Meaning::Bound(bound) => self.bounds.extend(bound.evaluate(state, &context)?),
                Meaning::Other => return exec_err!("a filter reached a scan that cannot apply it"),
            }
        }
        let predicate = match conjunction(tag_filters) {
            Some(expr) => Some(state.create_physical_expr(expr, &table.schema().to_dfschema()?)?),
            None => None,
        };
        let selection = tags::select(
            &table,
            self.context.catalog(),
            names.as_deref(),
            predicate.as_ref(),
            self.needs_list(),
        )?;
        self.select(selection);
        Ok(())
    }

    /// The same scan in another execution.
    pub fn chosen_again(&self, context: Arc<QueryContext>, state: &dyn Session) -> DfResult<ScanParts> {
        let mut parts = ScanParts {
            context,
            ..self.clone()
        };
        parts.choose(state)?;
        Ok(parts)
    }

    /// What stays the same from one execution to the next.
    pub fn emptied(&self) -> ScanParts {
        ScanParts {
            context: Arc::new(self.context.emptied()),
            vnodes: Vec::new(),
            children: None,
            time: None,
            bounds: Vec::new(),
            ..self.clone()
        }
    }

    /// The same series over a part of their time.
    pub fn within(&self, time: Option<TimeRange>) -> ScanParts {
        ScanParts { time, ..self.clone() }
    }

    /// What KEEP leaves: expired rows are hidden at once, not when their files go.
    fn kept_time(&self) -> Option<TimeRange> {
        let first = crate::keep::first(&self.table.database, &self.table.table, self.context.now_ns);
        TimeRange::new(first, i64::MAX)
    }

    /// Whether rows of all series together come in order of time.
    pub fn is_ordered(&self) -> bool {
        self.series_taken <= 1 || self.table.child.is_some()
    }

    /// Whether plans made for one of the scans serve the other: they are cut and sorted alike.
    pub fn resembles(&self, other: &ScanParts, partitions: usize) -> bool {
        self.is_ordered() == other.is_ordered() && self.partitions().len() == partitions
    }

    /// Chooses the output columns.
    pub fn project(&mut self, projection: Option<&[usize]>, schema: &SchemaRef) {
        match projection {
            None => {
                self.sources = self.table.sources.to_vec();
                self.schema = schema.clone();
            }
            Some(columns) => {
                self.sources = columns.iter().map(|column| self.table.sources[*column]).collect();
                let fields: Vec<_> = columns.iter().map(|column| schema.fields()[*column].clone()).collect();
                self.schema = Arc::new(Schema::new(fields));
            }
        }
    }

    fn narrow(&mut self, range: Option<TimeRange>) {
        self.time = match (self.time, range) {
            (Some(old), Some(new)) => old.intersect(&new),
            _ => None,
        };
    }

    /// Whether the series must be listed: a result column is known only child by child, or one vnode is to be read by several cores.
    fn needs_list(&self) -> bool {
        let asks = |source: &Source| matches!(source, Source::Tag(_) | Source::Name | Source::Slot);
        self.sources.iter().any(asks)
            || (self.table.database.vnodes.len() < self.partitions_max && self.limit.is_none())
    }

    fn select(&mut self, selection: Selection) {
        self.vnodes = match self.is_parallel(selection.taken) {
            true => split(selection.vnodes, self.partitions_max),
            false => selection.vnodes,
        };
        self.children = selection.children;
        self.series_taken = selection.taken;
        self.series_of = selection.of;
    }

    /// The metric columns that storage decodes, in the order of their first use.
    pub fn metrics(&self) -> Vec<usize> {
        let mut metrics = Vec::new();
        for source in &self.sources {
            if let Source::Metric(index) = source
                && !metrics.contains(index)
            {
                metrics.push(*index);
            }
        }
        metrics
    }

    pub fn scan_columns(&self, metrics: &[usize]) -> Vec<ScanColumn> {
        let precision = self.table.database.options.precision;
        metrics
            .iter()
            .filter_map(|index| self.table.table.columns.get(*index))
            .map(|column| ScanColumn {
                id: ColumnId(column.id),
                data_type: column.sql_type.arrow_type(precision),
            })
            .collect()
    }

    /// What storage is asked for; `None` when there is nothing to ask.
    pub fn request(&self, series: &VnodeSeries, metrics: &[usize]) -> Option<ScanRequest> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let per_series = [self.limit, self.limit_per_series].into_iter().flatten().min();
        Some(ScanRequest {
            family: FamilyId(self.table.table.oid),
            series: tags::series_set(series),
            time: self.time?,
            columns: self.scan_columns(metrics),
            bounds: self.bounds.clone(),
            direction: self.direction,
            limit_per_series: per_series,
            batch_rows: limit.clamp(1, BATCH_ROWS),
        })
    }

    fn is_parallel(&self, series: u64) -> bool {
        series > SERIES_OF_SMALL_SCAN && self.limit.is_none() && !self.table.newest
    }

    /// Which of `vnodes` each partition reads.
    pub fn partitions(&self) -> Vec<Vec<usize>> {
        let parallel = match self.is_parallel(self.series_taken) {
            true => self.partitions_max.clamp(1, self.vnodes.len().max(1)),
            false => 1,
        };
        let mut partitions = vec![Vec::new(); parallel];
        for vnode in 0..self.vnodes.len() {
            partitions[vnode % parallel].push(vnode);
        }
        partitions
    }

    /// What EXPLAIN shows of it.
    pub fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self;
        let name = &parts.table.table.name;
        write!(f, "table={name}, series={} of {}", parts.series_taken, parts.series_of)?;
        match parts.time {
            None => write!(f, ", time=none")?,
            Some(range) => {
                let precision = parts.table.database.options.precision;
                let start = Instant(range.start(), precision);
                match range.end() {
                    i64::MAX => write!(f, ", time>={start}")?,
                    end => write!(f, ", time=[{start}, {}]", Instant(end, precision))?,
                }
                let family = FamilyId(parts.table.table.oid);
                let mut vnodes: Vec<u32> = parts.vnodes.iter().map(|series| series.vnode).collect();
                vnodes.dedup();
                let groups: usize = vnodes
                    .iter()
                    .filter_map(|vnode| parts.context.view(*vnode).ok())
                    .map(|view| view.file_groups(family, range))
                    .sum();
                write!(f, ", file_groups={groups}")?;
            }
        }
        let names: Vec<&str> = parts
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        write!(f, ", columns=[{}], parts={}", names.join(", "), parts.vnodes.len())?;
        if !parts.bounds.is_empty() {
            write!(f, ", bounds={}", parts.bounds.len())?;
        }
        if parts.direction == Direction::Descending {
            write!(f, ", newest first")?;
        }
        if let Some(limit) = parts.limit_per_series {
            write!(f, ", rows per series<={limit}")?;
        }
        if let Some(limit) = parts.limit {
            write!(f, ", limit={limit}")?;
        }
        Ok(())
    }
}

/// The series of too few vnodes in more parts, so that there is one for each core.
fn split(vnodes: Vec<VnodeSeries>, parts: usize) -> Vec<VnodeSeries> {
    if vnodes.is_empty() || vnodes.len() >= parts || vnodes.iter().any(|series| series.all) {
        return vnodes;
    }
    let pieces = parts.div_ceil(vnodes.len());
    let mut split = Vec::with_capacity(vnodes.len() * pieces);
    for series in vnodes {
        let rows = series.series.len().div_ceil(pieces).max(1);
        split.extend(series.series.chunks(rows).map(|part| VnodeSeries {
            vnode: series.vnode,
            series: part.into(),
            all: false,
        }));
    }
    split
}

/// The scan as a node of a physical plan.
pub struct SeriesScan {
    pub parts: Arc<ScanParts>,
    partitions: Vec<Vec<usize>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// Nobody asks a kept plan for its figures.
    measured: bool,
}

impl SeriesScan {
    pub fn new(parts: ScanParts) -> Result<SeriesScan, QueryError> {
        let partitions = parts.partitions();
        let mut equivalence = EquivalenceProperties::new(parts.schema.clone());
        // The rows of one series come in order of time; those of several start again with each.
        if parts.is_ordered()
            && let Some(time) = parts.sources.iter().position(|source| *source == Source::Time)
        {
            let options = SortOptions {
                descending: parts.direction == Direction::Descending,
                nulls_first: false,
            };
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(parts.schema.field(time).name(), time));
            equivalence.add_ordering([PhysicalSortExpr::new(column, options)]);
        }
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::NonCooperative);
        Ok(SeriesScan {
            parts: Arc::new(parts),
            partitions,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            measured: true,
        })
    }

    /// The scan as a kept plan holds it.
    pub fn emptied(&self) -> SeriesScan {
        SeriesScan {
            parts: Arc::new(self.parts.emptied()),
            partitions: vec![Vec::new(); self.partitions.len()],
            properties: self.properties.clone(),
            metrics: ExecutionPlanMetricsSet::new(),
            measured: false,
        }
    }

    /// The scan over a part of its time.
    pub fn within(&self, time: Option<TimeRange>) -> SeriesScan {
        SeriesScan {
            parts: Arc::new(self.parts.within(time)),
            partitions: self.partitions.clone(),
            properties: self.properties.clone(),
            metrics: self.metrics.clone(),
            measured: self.measured,
        }
    }

    /// The scan in another execution; `None` when the plan around it does not fit it.
    pub fn bound(&self, context: &Arc<QueryContext>, state: &dyn Session) -> DfResult<Option<SeriesScan>> {
        let parts = self.parts.chosen_again(context.clone(), state)?;
        Ok(parts.resembles(&self.parts, self.partitions.len()).then(|| SeriesScan {
            partitions: parts.partitions(),
            parts: Arc::new(parts),
            properties: self.properties.clone(),
            metrics: ExecutionPlanMetricsSet::new(),
            measured: false,
        }))
    }
}

impl fmt::Debug for SeriesScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesScan")
            .field("table", &self.parts.table.table.name)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for SeriesScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: ",
            if self.parts.table.newest {
                "NewestRows"
            } else {
                "SeriesScan"
            }
        )?;
        self.parts.describe(f)
    }
}

/// A time in the database's unit, for people.
struct Instant(i64, Precision);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Instant(value, precision) = *self;
        let per_second = precision.units_per_second();
        let nanoseconds = (value.rem_euclid(per_second) * (1_000_000_000 / per_second)) as u32;
        match chrono::DateTime::from_timestamp(value.div_euclid(per_second), nanoseconds) {
            Some(instant) => write!(f, "{}", instant.format("%Y-%m-%dT%H:%M:%S%.fZ")),
            None => write!(f, "{value}"),
        }
    }
}

impl ExecutionPlan for SeriesScan {
    fn name(&self) -> &str {
        "SeriesScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
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
        let rows = Rows::new(self.parts.clone(), vnodes, Figures::new(set, partition));
        let schema = self.parts.schema.clone();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(rows))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let mut parts = self.parts.as_ref().clone();
        parts.limit = [parts.limit, limit].into_iter().flatten().min();
        SeriesScan::new(parts)
            .ok()
            .map(|scan| Arc::new(scan) as Arc<dyn ExecutionPlan>)
    }

    fn fetch(&self) -> Option<usize> {
        // The limit is one of rows in a partition.
        self.parts.limit.filter(|_| self.partitions.len() <= 1)
    }
}

/// Batches of one vnode, from files or from memory alone.
pub enum Batches {
    Scan(Box<taospg_storage::Scan>),
    Newest(Option<ScanBatch>),
}

/// The rows of one partition.
struct Rows {
    parts: Arc<ScanParts>,
    metrics: Vec<usize>,
    waiting: std::vec::IntoIter<usize>,
    current: Option<(usize, Batches)>,
    left: usize,
    figures: Figures,
}

impl Rows {
    fn new(parts: Arc<ScanParts>, vnodes: Vec<usize>, figures: Figures) -> Rows {
        Rows {
            metrics: parts.metrics(),
            left: parts.limit.unwrap_or(usize::MAX),
            parts,
            waiting: vnodes.into_iter(),
            current: None,
            figures,
        }
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, DataFusionError> {
        let timer = self.figures.timer();
        let _running = timer.as_ref().map(Time::timer);
        while self.left > 0 {
            let (vnode, source) = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(vnode) = self.waiting.next() else {
                        return Ok(None);
                    };
                    match open(&self.parts, vnode, &self.metrics).map_err(errors::wrap)? {
                        Some(source) => self.current.insert((vnode, source)),
                        None => continue,
                    }
                }
            };
            let vnode = *vnode;
            let batch = match source {
                Batches::Scan(scan) => scan.next().transpose().map_err(errors::wrap)?,
                Batches::Newest(batch) => batch.take(),
            };
            let Some(batch) = batch else {
                if let Some((_, Batches::Scan(scan))) = self.current.take() {
                    self.figures.report(&scan.counters());
                }
                continue;
            };
            if batch.rows() == 0 {
                continue;
            }
            let mut output = assemble(&self.parts, &self.parts.vnodes[vnode], &self.metrics, batch)?;
            if output.num_rows() > self.left {
                output = output.slice(0, self.left);
            }
            self.left -= output.num_rows();
            self.figures.record_output(output.num_rows());
            return Ok(Some(output));
        }
        Ok(None)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if let Some((_, Batches::Scan(scan))) = self.current.take() {
            self.figures.report(&scan.counters());
        }
    }
}

impl Iterator for Rows {
    type Item = DfResult<RecordBatch>;

    fn next(&mut self) -> Option<DfResult<RecordBatch>> {
        self.advance().transpose()
    }
}

/// Begins reading one vnode; `None` when nothing in it can match.
pub fn open(parts: &ScanParts, vnode: usize, metrics: &[usize]) -> Result<Option<Batches>, StorageError> {
    let Some(series) = parts.vnodes.get(vnode) else {
        return Ok(None);
    };
    let Some(request) = parts.request(series, metrics) else {
        return Ok(None);
    };
    let view = parts.context.view(series.vnode)?;
    if !parts.table.newest {
        return Ok(Some(Batches::Scan(Box::new(view.scan(&request)?))));
    }
    let batch = view.newest(request.family, &request.series, &request.columns)?;
    Ok(Some(Batches::Newest(Some(within(batch, request.time)?))))
}

/// The rows of a batch of newest rows that are in the span.
fn within(batch: ScanBatch, time: TimeRange) -> Result<ScanBatch, StorageError> {
    if batch.times.iter().all(|value| time.contains(*value)) {
        return Ok(batch);
    }
    let keep: Vec<u32> = (0..batch.rows() as u32)
        .filter(|row| time.contains(batch.times[*row as usize]))
        .collect();
    let series: Vec<_> = batch
        .runs
        .iter()
        .flat_map(|run| std::iter::repeat_n(run.series, run.rows))
        .collect();
    let rows = UInt32Array::from(keep.clone());
    let columns = batch
        .columns
        .iter()
        .map(|column| take(column, &rows, None))
        .collect::<Result<_, _>>();
    Ok(ScanBatch {
        runs: keep
            .iter()
            .map(|row| Run {
                series: series[*row as usize],
                rows: 1,
            })
            .collect(),
        times: keep.iter().map(|row| batch.times[*row as usize]).collect(),
        columns: columns.map_err(|error| StorageError::Refused(error.to_string()))?,
    })
}

/// EXPLAIN ANALYZE's figures of one partition, if somebody will ask for them: registering them costs as much as finding a row.
pub struct Figures(Option<Measured>);

struct Measured {
    baseline: BaselineMetrics,
    set: ExecutionPlanMetricsSet,
    partition: usize,
}

impl Figures {
    pub fn new(set: Option<&ExecutionPlanMetricsSet>, partition: usize) -> Figures {
        Figures(set.map(|set| Measured {
            baseline: BaselineMetrics::new(set, partition),
            set: set.clone(),
            partition,
        }))
    }

    pub fn timer(&self) -> Option<Time> {
        let measured = self.0.as_ref()?;
        Some(measured.baseline.elapsed_compute().clone())
    }

    pub fn record_output(&self, rows: usize) {
        if let Some(measured) = &self.0 {
            measured.baseline.record_output(rows);
        }
    }

    pub fn report(&self, counters: &ScanCounters) {
        let Some(Measured { set, partition, .. }) = &self.0 else {
            return;
        };
        for (name, value) in [
            ("file_groups_taken", counters.file_groups_taken),
            ("file_groups_skipped", counters.file_groups_skipped),
            ("blocks_taken", counters.blocks_taken),
            ("blocks_skipped", counters.blocks_skipped),
            ("bytes_read", counters.bytes_read),
            ("rows_in_memory", counters.rows_in_memory),
        ] {
            MetricBuilder::new(set).counter(name, *partition).add(value as usize);
        }
    }
}

/// An array of times with the time column's type, without copying.
pub fn time_array(times: &arrow::buffer::ScalarBuffer<i64>, data_type: &DataType) -> DfResult<ArrayRef> {
    debug_assert!(matches!(
        data_type,
        DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _)
    ));
    let data = ArrayData::builder(data_type.clone())
        .len(times.len())
        .add_buffer(times.inner().clone())
        .build()?;
    Ok(make_array(data))
}

/// The slot of each run, found by walking the sorted list along with the runs.
pub fn slots_of(series: &VnodeSeries, runs: &[Run]) -> Vec<u32> {
    let slot = |id: u32| match series.series.binary_search_by_key(&id, |(series, _)| *series) {
        Ok(index) => series.series[index].1,
        Err(_) => 0,
    };
    runs.iter().map(|run| slot(run.series.0)).collect()
}

/// Output columns of a batch from storage.
pub fn assemble(parts: &ScanParts, series: &VnodeSeries, metrics: &[usize], batch: ScanBatch) -> DfResult<RecordBatch> {
    let rows = batch.rows();
    let per_series = parts.sources.iter().any(|source| source.is_of_series());
    let slots = if per_series {
        slots_of(series, &batch.runs)
    } else {
        Vec::new()
    };
    // Row -> run.
    let run_of_row: Option<UInt32Array> = per_series.then(|| {
        let runs = batch.runs.iter().enumerate();
        UInt32Array::from_iter_values(runs.flat_map(|(run, of)| std::iter::repeat_n(run as u32, of.rows)))
    });
    let spread = |values: ArrayRef| match &run_of_row {
        Some(indices) => take(&values, indices, None).map_err(DataFusionError::from),
        None => Ok(values),
    };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(parts.sources.len());
    for (source, field) in parts.sources.iter().zip(parts.schema.fields()) {
        columns.push(match source {
            Source::Time => time_array(&batch.times, field.data_type())?,
            Source::Metric(index) => {
                let place = metrics.iter().position(|metric| metric == index).unwrap_or_default();
                batch.columns[place].clone()
            }
            Source::Vnode => Arc::new(UInt32Array::from_value(series.vnode, rows)),
            Source::Series => spread(Arc::new(UInt32Array::from_iter_values(
                batch.runs.iter().map(|run| run.series.0),
            )))?,
            Source::Slot => spread(Arc::new(UInt32Array::from_iter_values(slots.iter().copied())))?,
            Source::Tag(_) | Source::Name => spread(series_values(parts, *source, field, &slots)?)?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        parts.schema.clone(),
        columns,
        &options,
    )?)
}

/// Names or tags of slots; a plain table has its own name and no tags.
pub fn series_values(parts: &ScanParts, source: Source, field: &Field, slots: &[u32]) -> DfResult<ArrayRef> {
    match &parts.children {
        Some(children) => tags::values(children, source, field.data_type(), slots),
        None => {
            let name = parts.table.table.name.as_str();
            let names = std::iter::repeat_n(name, slots.len());
            Ok(Arc::new(arrow::array::StringViewArray::from_iter_values(names)))
        }
    }
}
