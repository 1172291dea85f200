//! What all sessions share: catalog, storage, the planner's fixed parts, and the list of sessions.

use std::path::PathBuf;
use std::sync::Arc;

use taospg_catalog::Catalog;
use taospg_storage::Storage;

use crate::plan::Planner;
use crate::{QueryError, Session};

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
    /// Defaults of CREATE DATABASE.
    pub database_defaults: taospg_catalog::DatabaseOptions,
}

/// Who connects, from the startup message.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    pub user: String,
    pub database: String,
    /// Further startup parameters, as SET at the session's start.
    pub settings: Vec<(String, String)>,
    pub client_address: String,
    /// The process id that BackendKeyData tells.
    pub process_id: i32,
}

pub struct Engine {
    _private: (),
}

impl Engine {
    /// Opens catalog and storage; makes database `postgres` at the first start.
    pub fn open(options: EngineOptions) -> Result<Arc<Engine>, QueryError> {
        let _ = options;
        todo!()
    }

    pub fn connect(self: &Arc<Engine>, request: ConnectRequest) -> Result<Session, QueryError> {
        let _ = request;
        todo!()
    }

    /// Stops background work; everything acknowledged is on disk.
    pub async fn close(&self) -> Result<(), QueryError> {
        todo!()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        todo!()
    }

    pub(crate) fn storage(&self) -> &Storage {
        todo!()
    }

    pub(crate) fn options(&self) -> &EngineOptions {
        todo!()
    }

    /// Made once in `open` by [`Planner::new`].
    pub(crate) fn planner(&self) -> &Planner {
        todo!()
    }
}
