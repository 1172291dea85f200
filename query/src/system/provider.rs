//! System tables as DataFusion sees them. Rows are made when a scan begins, from the catalog as it is then.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::snapshot::Snapshot;
use super::tables::{SystemTable, TABLES, find};
use super::{SessionInfo, cell};
use crate::engine::Engine;

/// One of the system schemas.
pub(super) struct SystemSchema {
    pub name: &'static str,
    pub engine: Arc<Engine>,
    pub session: SessionInfo,
}

impl fmt::Debug for SystemSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemSchema({})", self.name)
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let own = TABLES.iter().filter(|table| table.schema == self.name);
        own.map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(find(self.name, name).map(|table| {
            Arc::new(Provider {
                table,
                engine: self.engine.clone(),
                session: self.session.clone(),
            }) as Arc<dyn TableProvider>
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        find(self.name, name).is_some()
    }
}

struct Provider {
    table: &'static SystemTable,
    engine: Arc<Engine>,
    session: SessionInfo,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.table.name)
    }
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        cell::schema(self.table.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// Filters are wanted for the names and OIDs in them, and left to be applied.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = Snapshot::take(&self.engine, &self.session);
        super::roles::check_secret(self.table.name, &snapshot.identity)?;
        let rows = match self.table.rows {
            None => Vec::new(),
            Some(rows) => {
                let (names, oids) = asked_for(filters)?;
                rows(&snapshot.with_children(&names, &oids))
            }
        };
        let batch = cell::batch(self.table.columns, &rows)?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        table.scan(state, projection, &[], limit).await
    }
}

/// The names and OIDs that filters compare with: of a child table psql asks `relname ~ '^(d1001)$'`, then `oid = '16390'`.
fn asked_for(filters: &[Expr]) -> Result<(Vec<String>, Vec<u32>)> {
    let mut names = Vec::new();
    let mut oids = Vec::new();
    for filter in filters {
        filter.apply(|expr| {
            if let Expr::Literal(value, _) = expr {
                if let Some(Some(text)) = value.try_as_str() {
                    let exact = text.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$"));
                    names.push(exact.unwrap_or(text).to_owned());
                    oids.extend(text.parse::<u32>().ok());
                } else if let Ok(ScalarValue::UInt32(Some(oid))) = value.cast_to(&arrow::datatypes::DataType::UInt32) {
                    oids.push(oid);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok((names, oids))
}
