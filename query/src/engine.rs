//! What all sessions share: catalog, storage, the planner's fixed parts, and the list of sessions.
//!
//! Opening brings storage in line with the catalog, which alone says what exists: vnodes that are missing are made, and vnodes that no
//! database owns (a crash between the two steps of CREATE or DROP DATABASE) are removed.
//!
//! Leaves to others: what a session does (`session/`), what a vnode does (`storage`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use taospg_catalog::roles::FIRST_ROLE;
use taospg_catalog::{Catalog, Database, DatabaseOptions};
use taospg_storage::io::{Io, RealIo};
use taospg_storage::{Storage, StorageOptions, VnodeId};
use tokio::sync::{Notify, RwLock, watch};
use tokio::task::JoinHandle;

use crate::keep::{self, ExpiredTables};
use crate::notify::Channels;
use crate::plan::Planner;
use crate::session::{TransactionStatus, startup_settings};
use crate::settings::Settings;
use crate::translate::vnode_options;
use crate::{ErrorKind, Interruption, QueryError, Session};

/// The database that is there from the first start, as in PostgreSQL.
pub const FIRST_DATABASE: &str = "postgres";

/// How often file groups past KEEP are looked for. KEEP counts days; a minute late is nothing, and looking costs a few comparisons.
pub(crate) const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// How long a writer waits for memory before it is told that the disk is too slow. Long enough for a flush of a full memtable, short enough
/// that a client learns of it before its own timeout.
const OVERLOAD_WAIT: Duration = Duration::from_secs(10);

/// One log segment. Large enough that a segment lasts seconds at full speed, small enough that pre-writing one takes a fraction of a second.
const WAL_SEGMENT_BYTES: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Holds `catalog/` and `vnode/`.
    pub data_dir: PathBuf,
    /// A vnode's memtable is flushed at this size.
    pub memtable_bytes: usize,
    /// All memtables together.
    pub memtables_bytes_max: usize,
    /// DataFusion's pool for one server.
    pub query_memory_bytes: usize,
    /// For the temporary tables of one session.
    pub temporary_bytes: usize,
    /// Defaults of CREATE DATABASE.
    pub database_defaults: DatabaseOptions,
}

/// Who connects, from the startup message.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    pub user: String,
    pub database: String,
    /// Further startup parameters, as SET at the session's start.
    pub settings: Vec<(String, String)>,
    pub client_address: String,
    /// Where it connected to.
    pub server_address: Option<String>,
    /// The process id that BackendKeyData tells.
    pub process_id: i32,
    /// What the connection listens to.
    pub interruption: Arc<Interruption>,
}

/// A session as pg_stat_activity and DROP DATABASE see it.
pub struct SessionEntry {
    pub process_id: i32,
    pub user: String,
    /// OID of the role that logged in.
    pub role: u32,
    pub client_address: String,
    pub server_address: Option<String>,
    pub connected: SystemTime,
    pub(crate) interruption: Arc<Interruption>,
    /// Tells two sessions of one process id apart.
    number: u64,
    database_oid: AtomicU32,
    activity: Mutex<Activity>,
}

/// What a session does now, or did last.
#[derive(Clone, Debug)]
pub struct Activity {
    pub application_name: String,
    /// Of an INSERT the beginning.
    pub statement: Arc<str>,
    pub statement_began: Option<SystemTime>,
    /// When `state` became what it is.
    pub state_changed: SystemTime,
    pub state: SessionState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    Active,
    Idle,
    IdleInTransaction,
    IdleInFailedTransaction,
}

impl SessionEntry {
    pub fn database_oid(&self) -> u32 {
        self.database_oid.load(Ordering::Relaxed)
    }

    pub fn activity(&self) -> Activity {
        self.activity.lock().clone()
    }

    pub(crate) fn set_database(&self, database: &Database) {
        self.database_oid.store(database.oid, Ordering::Relaxed);
    }

    pub(crate) fn set_application_name(&self, settings: &Settings) {
        let name = settings.find("application_name").unwrap_or_default();
        let mut activity = self.activity.lock();
        if activity.application_name != name {
            activity.application_name = name.to_string();
        }
    }

    pub(crate) fn statement_began(&self, text: Arc<str>) {
        let now = SystemTime::now();
        let mut activity = self.activity.lock();
        activity.statement = text;
        activity.statement_began = Some(now);
        activity.state_changed = now;
        activity.state = SessionState::Active;
    }

    pub(crate) fn statement_ended(&self, status: TransactionStatus) {
        let mut activity = self.activity.lock();
        activity.state_changed = SystemTime::now();
        activity.state = match status {
            TransactionStatus::Idle => SessionState::Idle,
            TransactionStatus::InBlock => SessionState::IdleInTransaction,
            TransactionStatus::Failed => SessionState::IdleInFailedTransaction,
        };
    }
}

pub struct Engine {
    options: EngineOptions,
    catalog: Catalog,
    storage: Storage,
    planner: Planner,
    /// By their numbers, in the order they came.
    sessions: Mutex<BTreeMap<u64, Arc<SessionEntry>>>,
    next_session: AtomicU64,
    /// Held for reading while a transaction commits, for writing while a table or database is dropped: between the check that a table is
    /// there and the log, nothing is dropped. Held across I/O, unlike other locks, because that is its purpose.
    definitions: RwLock<()>,
    /// Tables and databases dropped since the start.
    drops: AtomicU64,
    /// Whether background work is to stop.
    closing: watch::Sender<bool>,
    retention: Mutex<Option<JoinHandle<()>>>,
    started: SystemTime,
    channels: Channels,
    reload: Notify,
    /// By table; held by the transaction that writes.
    keyed_locks: Mutex<HashMap<u32, Arc<tokio::sync::Mutex<()>>>>,
    /// The next number of each table that numbers its rows and has done so since the start.
    next_numbers: Mutex<HashMap<u32, i64>>,
    expired_tables: Mutex<ExpiredTables>,
}

impl Engine {
    /// Opens catalog and storage; makes database `postgres` at the first start. Retention runs when called inside a tokio runtime.
    pub fn open(options: EngineOptions) -> Result<Arc<Engine>, QueryError> {
        Engine::open_with(options, Arc::new(RealIo))
    }

    /// As [`Engine::open`], on another file system for the measured values.
    pub fn open_with(options: EngineOptions, io: Arc<dyn Io>) -> Result<Arc<Engine>, QueryError> {
        let catalog_directory = options.data_dir.join("catalog");
        std::fs::create_dir_all(&catalog_directory).map_err(|error| {
            let message = format!("could not make directory \"{}\": {error}", catalog_directory.display());
            QueryError::new(ErrorKind::IoError, message)
        })?;
        let catalog = Catalog::open(&catalog_directory)?;
        let storage = StorageOptions {
            data_dir: options.data_dir.clone(),
            memtable_bytes: options.memtable_bytes,
            memtables_bytes_max: options.memtables_bytes_max,
            overload_wait: OVERLOAD_WAIT,
            wal_segment_bytes: WAL_SEGMENT_BYTES,
        };
        let storage = Storage::open(storage, io)?;
        let planner = Planner::new(&options)?;
        let engine = Arc::new(Engine {
            channels: Channels::default(),
            options,
            catalog,
            storage,
            planner,
            sessions: Mutex::new(BTreeMap::new()),
            next_session: AtomicU64::new(0),
            definitions: RwLock::new(()),
            drops: AtomicU64::new(0),
            closing: watch::Sender::new(false),
            retention: Mutex::new(None),
            started: SystemTime::now(),
            reload: Notify::new(),
            keyed_locks: Mutex::default(),
            next_numbers: Mutex::default(),
            expired_tables: Mutex::default(),
        });
        engine.reconcile()?;
        if engine.catalog.databases().is_empty() {
            engine.create_database(FIRST_ROLE, FIRST_DATABASE, engine.options.database_defaults.clone())?;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let task = runtime.spawn(retain(Arc::downgrade(&engine), engine.closing.subscribe()));
            *engine.retention.lock() = Some(task);
        }
        Ok(engine)
    }

    pub fn connect(self: &Arc<Engine>, request: ConnectRequest) -> Result<Session, QueryError> {
        let Some(database) = self.catalog.database(&request.database) else {
            let message = format!("database \"{}\" does not exist", request.database);
            return Err(QueryError::new(ErrorKind::InvalidCatalogName, message));
        };
        let role = self.role_to_log_in(&request.user)?;
        self.check_connect(&role, &database)?;
        let kept = self.catalog.roles().settings_of(&role, database.oid);
        let settings = startup_settings(&request, &role, kept)?;
        let now = SystemTime::now();
        let entry = Arc::new(SessionEntry {
            process_id: request.process_id,
            user: request.user,
            role: role.oid,
            client_address: request.client_address,
            server_address: request.server_address,
            connected: now,
            interruption: request.interruption,
            number: self.next_session.fetch_add(1, Ordering::Relaxed),
            database_oid: AtomicU32::new(database.oid),
            activity: Mutex::new(Activity {
                application_name: settings.find("application_name").unwrap_or_default().to_string(),
                statement: "".into(),
                statement_began: None,
                state_changed: now,
                state: SessionState::Idle,
            }),
        });
        let mut sessions = self.sessions.lock();
        let of_role = sessions.values().filter(|other| other.role == role.oid).count();
        if usize::try_from(role.connection_limit).is_ok_and(|limit| of_role >= limit) && !role.superuser {
            let message = format!("too many connections for role \"{}\"", role.name);
            return Err(QueryError::new(ErrorKind::TooManyConnections, message));
        }
        sessions.insert(entry.number, entry.clone());
        drop(sessions);
        Ok(Session::new(self.clone(), entry, &database, settings))
    }

    /// Stops background work; everything acknowledged is on disk.
    pub async fn close(&self) -> Result<(), QueryError> {
        self.closing.send_replace(true);
        let retention = self.retention.lock().take();
        if let Some(task) = retention
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the removal of expired data ended by itself");
        }
        Ok(self.storage.close().await?)
    }

    /// When it was opened.
    pub(crate) fn started(&self) -> SystemTime {
        self.started
    }

    /// The sessions connected now, in the order they came.
    pub fn sessions(&self) -> Vec<Arc<SessionEntry>> {
        self.sessions.lock().values().cloned().collect()
    }

    pub(crate) fn disconnect(&self, entry: &SessionEntry) {
        self.sessions.lock().remove(&entry.number);
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn planner(&self) -> &Planner {
        &self.planner
    }

    pub(crate) fn options(&self) -> &EngineOptions {
        &self.options
    }

    pub(crate) fn definitions(&self) -> &RwLock<()> {
        &self.definitions
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    pub(crate) fn drops(&self) -> u64 {
        self.drops.load(Ordering::Acquire)
    }

    /// `pg_reload_conf()`: the server reads its rules and certificates again.
    pub(crate) fn request_reload(&self) {
        self.reload.notify_one();
    }

    /// Returns when somebody has asked for it.
    pub async fn reload_requested(&self) {
        self.reload.notified().await;
    }

    /// What who writes to a keyed table waits for.
    pub(crate) fn keyed_lock(&self, table: u32) -> Arc<tokio::sync::Mutex<()>> {
        self.keyed_locks.lock().entry(table).or_default().clone()
    }

    /// The first of so many numbers that nobody else gets. `highest`: what was given before the start.
    pub(crate) fn take_numbers(&self, table: u32, count: i64, highest: impl FnOnce() -> i64) -> i64 {
        let mut numbers = self.next_numbers.lock();
        let next = numbers.entry(table).or_insert_with(|| highest().saturating_add(1));
        let first = *next;
        *next = first.saturating_add(count);
        first
    }

    /// A dropped table's lock and numbers go with it.
    pub(crate) fn forget_keyed(&self, table: u32) {
        self.keyed_locks.lock().remove(&table);
        self.next_numbers.lock().remove(&table);
        self.expired_tables.lock().remove(&table);
    }

    /// Called with `definitions` held for writing, after the catalog no longer has it.
    pub(crate) fn count_drop(&self) {
        self.drops.fetch_add(1, Ordering::AcqRel);
    }

    /// The catalog first: a crash in between leaves vnodes to be made at the next start.
    pub(crate) fn create_database(
        &self,
        owner: u32,
        name: &str,
        options: DatabaseOptions,
    ) -> Result<Arc<Database>, QueryError> {
        let database = self.catalog.create_database_of(owner, name, options)?;
        self.create_vnodes(&database)?;
        Ok(database)
    }

    /// Removes what is past KEEP by the clock: of the database, and of those of its tables that have their own.
    pub(crate) async fn expire(&self, database: &Database) -> Result<(), QueryError> {
        let now_ns = nanoseconds(SystemTime::now());
        let before = keep::first_of_database(database, now_ns);
        for vnode in &database.vnodes {
            self.storage.expire(VnodeId(*vnode), before).await?;
        }
        keep::expire_tables(self, database, now_ns).await
    }

    /// What [`keep::expire_tables`] has removed.
    pub(crate) fn expired_tables(&self) -> &Mutex<ExpiredTables> {
        &self.expired_tables
    }

    fn create_vnodes(&self, database: &Database) -> Result<(), QueryError> {
        for vnode in &database.vnodes {
            self.storage
                .create_vnode(VnodeId(*vnode), vnode_options(&database.options))?;
        }
        Ok(())
    }

    /// Brings storage in line with the catalog.
    fn reconcile(&self) -> Result<(), QueryError> {
        let databases = self.catalog.databases();
        let present: HashSet<VnodeId> = self.storage.vnodes().into_iter().collect();
        let mut owned = HashSet::new();
        for database in &databases {
            for vnode in database.vnodes.iter().map(|vnode| VnodeId(*vnode)) {
                owned.insert(vnode);
                match present.contains(&vnode) {
                    // ALTER DATABASE may have been cut short.
                    true => self.storage.alter_vnode(vnode, vnode_options(&database.options))?,
                    false => self.storage.create_vnode(vnode, vnode_options(&database.options))?,
                }
            }
        }
        for vnode in present.difference(&owned) {
            tracing::info!(vnode = vnode.0, "removing a vnode that no database owns");
            self.storage.drop_vnode(*vnode)?;
        }
        Ok(())
    }
}

/// Since 1970, as far as 64 bits go.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Expires all databases, now and then, until the engine is gone.
async fn retain(engine: Weak<Engine>, mut closing: watch::Receiver<bool>) {
    loop {
        let Some(engine) = engine.upgrade() else { return };
        for database in engine.catalog.databases() {
            if *closing.borrow() {
                return;
            }
            if let Err(error) = engine.expire(&database).await {
                tracing::warn!(database = database.name, %error, "could not remove expired data");
            }
        }
        // The engine can be closed and dropped while we wait.
        std::mem::drop(engine);
        tokio::select! {
            () = tokio::time::sleep(RETENTION_INTERVAL) => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
    }
}
