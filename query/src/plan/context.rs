//! What one execution of a query sees: the time it began, each vnode at one moment, the transaction's own writes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ParamValues, Result as DfResult, ScalarValue, internal_err};
use datafusion::logical_expr::Expr;
use parking_lot::Mutex;
use taospg_catalog::{Catalog, Database};
use taospg_storage::{Change, StorageError, VnodeId, VnodeView};

use super::brought;
use crate::Session;
use crate::engine::Engine;
use crate::pg_type::utc;
use crate::pg_type::write::TextStyle;
use crate::temporary::Picture;

/// Travels to the scans inside the session's configuration, so that kept plans hold nothing of one execution.
pub struct QueryContext {
    engine: Arc<Engine>,
    /// The transaction's `now()`: nanoseconds since 1970.
    pub now_ns: i64,
    /// How casts to text write.
    pub style: TextStyle,
    /// Of the statement's parameters, where its plan still has them.
    values: Option<ParamValues>,
    /// Uncommitted changes of the transaction, for the vnodes that have any.
    held: HashMap<u32, Vec<Change>>,
    /// The session's temporary tables.
    pub temporary: Arc<Picture>,
    /// Each vnode is viewed once, so that every scan of one query sees the same rows.
    views: Mutex<HashMap<u32, VnodeView>>,
}

impl QueryContext {
    /// `databases`: those whose tables the query names.
    pub fn new<'a>(session: &Session, databases: impl Iterator<Item = &'a Arc<Database>>) -> QueryContext {
        let mut held = HashMap::new();
        for vnode in databases.flat_map(|database| &database.vnodes) {
            let changes = session.held(VnodeId(*vnode));
            if !changes.is_empty() {
                held.insert(*vnode, changes.to_vec());
            }
        }
        QueryContext {
            engine: session.engine().clone(),
            now_ns: session.transaction_time_ns(),
            style: session.text_style(),
            values: None,
            held,
            temporary: session.temporaries().picture(),
            views: Mutex::new(HashMap::new()),
        }
    }

    /// With values for the parameters that the plan has.
    pub fn with_values(self, values: ParamValues) -> QueryContext {
        QueryContext {
            values: Some(values),
            ..self
        }
    }

    /// The same engine, and nothing of an execution: what a kept plan may hold on to.
    pub fn emptied(&self) -> QueryContext {
        QueryContext {
            engine: self.engine.clone(),
            now_ns: 0,
            style: TextStyle::default(),
            values: None,
            held: HashMap::new(),
            temporary: Arc::default(),
            views: Mutex::new(HashMap::new()),
        }
    }

    /// The values of this execution's parameters.
    pub fn values(&self) -> impl Iterator<Item = &ScalarValue> {
        let values: &[_] = match &self.values {
            Some(ParamValues::List(values)) => values,
            _ => &[],
        };
        values.iter().map(|value| &value.value)
    }

    /// The expression with this execution's values in place of parameters.
    pub fn valued(&self, expr: &Expr) -> DfResult<Expr> {
        let Some(values) = &self.values else {
            return Ok(expr.clone());
        };
        let valued = expr.clone().transform(|node| {
            Ok(match node {
                Expr::Placeholder(placeholder) if placeholder.id == brought::NOW => {
                    Transformed::yes(Expr::Literal(self.now(), None))
                }
                Expr::Placeholder(placeholder) => {
                    let value = values.get_placeholders_with_values(&placeholder.id)?;
                    Transformed::yes(Expr::Literal(value.value, value.metadata))
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(valued.data)
    }

    /// What stands for a parameter, or for `now()`, in this execution.
    pub fn value(&self, id: &str) -> DfResult<ScalarValue> {
        match &self.values {
            _ if id == brought::NOW => Ok(self.now()),
            Some(values) => Ok(values.get_placeholders_with_values(id)?.value),
            None => internal_err!("a plan with parameters has no values"),
        }
    }

    fn now(&self) -> ScalarValue {
        ScalarValue::TimestampMicrosecond(Some(self.now_ns.div_euclid(1_000)), Some(utc()))
    }

    pub fn catalog(&self) -> &Catalog {
        self.engine.catalog()
    }

    pub fn view(&self, vnode: u32) -> Result<VnodeView, StorageError> {
        let mut views = self.views.lock();
        if let Some(view) = views.get(&vnode) {
            return Ok(view.clone());
        }
        let committed = self.engine.storage().view(VnodeId(vnode))?;
        let view = match self.held.get(&vnode) {
            Some(changes) => committed.with_pending(changes),
            None => committed,
        };
        views.insert(vnode, view.clone());
        Ok(view)
    }
}

impl fmt::Debug for QueryContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryContext")
            .field("now_ns", &self.now_ns)
            .finish_non_exhaustive()
    }
}
