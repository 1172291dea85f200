//! What all queries share: functions, rules, the memory pool and the spill directory. One for each engine.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use chrono::DateTime;
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;

use super::context::QueryContext;
use super::{aggregate, end_first, errors, in_order, literals, newest, numeric, sort, sums, yielding};
use crate::functions::text_style;
use crate::pg_type::time::Reading;
use crate::{EngineOptions, QueryError, functions, system};

/// Rows in a batch: DataFusion's own default, which keeps a dozen columns of it in the L2 cache.
pub const BATCH_ROWS: usize = 8192;

/// Cores from which on joins, sorts and general aggregates are spread by exchanging rows.
const CORES_FOR_EXCHANGE: usize = 4;

/// Time zones, each with an order of days, that are kept. More zones than a fleet of dashboards has, few enough to be nothing.
const ZONES_MAX: usize = 64;

pub struct Planner {
    runtime: Arc<RuntimeEnv>,
    /// What queries of each session time zone and order of days that was used begin with.
    zones: Mutex<HashMap<Reading, Zone>>,
}

/// Everything registered, for sessions of one time zone and one order of days.
#[derive(Clone)]
pub struct Zone {
    /// Cloned for a query, it costs microseconds instead of the tenth of a millisecond that registering costs.
    pub state: Arc<SessionState>,
    /// For plans that are made already.
    pub task: Arc<TaskContext>,
}

impl Planner {
    pub fn new(options: &EngineOptions) -> Result<Planner, QueryError> {
        let spill = options.data_dir.join("tmp");
        // What a killed server left there serves nobody.
        let _ = std::fs::remove_dir_all(&spill);
        // The three largest consumers are named in the error of a full pool.
        let top = NonZeroUsize::new(3).expect("three is not zero");
        let pool = TrackConsumersPool::new(FairSpillPool::new(options.query_memory_bytes), top);
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![spill]));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(errors::translate)?;
        Ok(Planner {
            runtime,
            zones: Mutex::new(HashMap::new()),
        })
    }

    /// A state for one query.
    pub fn state(&self, reading: Reading, context: Arc<QueryContext>) -> SessionState {
        let mut state = self.zone(reading).state.as_ref().clone();
        let now = DateTime::from_timestamp_nanos(context.now_ns);
        text_style::register(context.style, state.config_mut().options_mut());
        state.config_mut().set_extension(context);
        let options = state.config_options().clone();
        let properties = state.execution_props_mut();
        properties.query_execution_start_time = Some(now);
        properties.config_options = Some(options);
        state
    }

    /// What all queries of a time zone share.
    pub fn zone(&self, reading: Reading) -> Zone {
        let mut zones = self.zones.lock();
        if let Some(known) = zones.get(&reading) {
            return known.clone();
        }
        let state = state(reading, self.runtime.clone());
        let made = Zone {
            task: state.task_ctx(),
            state: Arc::new(state),
        };
        if zones.len() >= ZONES_MAX {
            zones.clear();
        }
        zones.insert(reading, made.clone());
        made
    }
}

/// Cores of the machine, as far as the process may use them.
pub fn cores() -> usize {
    static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
    *CORES
}

fn state(reading: Reading, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        // Scans of many series are read in parallel anyway, and aggregated there; handing every row to other cores by its hash costs more than
        // it gains as long as there are few. See `CORES_FOR_EXCHANGE`.
        .with_target_partitions(if cores() < CORES_FOR_EXCHANGE { 1 } else { cores() })
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_round_robin_repartition(false);
    let options = config.options_mut();
    options.execution.time_zone = Some(reading.zone.name().to_string());
    options.sql_parser.map_string_types_to_utf8view = true;
    // Scans take none of them, and a plan that is kept must not hand a bound on to its next execution.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    let mut builder = SessionStateBuilder::new_from_existing(state);
    if let Some(analyzer) = builder.analyzer() {
        analyzer.rules.insert(0, Arc::new(literals::Literals::new(reading)));
        analyzer.rules.insert(1, Arc::new(sums::NumericSums));
        analyzer.rules.push(Arc::new(numeric::NumericTexts));
    }
    if let Some(optimizer) = builder.optimizer() {
        optimizer.rules.insert(0, Arc::new(numeric::NarrowNumerics));
        optimizer.rules.insert(1, Arc::new(newest::NewestRows));
    }
    if let Some(rules) = builder.physical_optimizers() {
        rules.rules.insert(0, Arc::new(aggregate::AggregateSeries));
        rules.rules.push(Arc::new(sort::SortIntoScan));
        rules.rules.push(Arc::new(end_first::EndFirstWithLimit));
        rules.rules.push(Arc::new(in_order::BranchesInOrder));
        rules.rules.push(Arc::new(yielding::YieldInJoins));
    }
    state = builder.build();
    functions::register(&mut state);
    for function in system::functions() {
        functions::register_scalar(&mut state, Arc::new(function));
    }
    state
}
