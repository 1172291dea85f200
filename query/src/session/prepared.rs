//! What pg_prepared_statements tells of a session's named statements.
//!
//! Apart from the statements themselves: their plans hold what system tables know of the session, and this is part of that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

/// One named statement.
#[derive(Clone, Debug)]
pub(crate) struct ListedStatement {
    pub text: Arc<str>,
    pub prepared: SystemTime,
    pub parameter_types: Arc<[u32]>,
    /// PREPARE made it, not the wire's Parse.
    pub from_sql: bool,
}

/// By name; shared with what system tables know of the session.
pub(crate) type ListedStatements = Arc<Mutex<BTreeMap<String, ListedStatement>>>;
