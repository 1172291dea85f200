//! System tables as DataFusion sees them. Rows are made when a scan begins, from the catalog as it is then.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::cell::Kind;
use super::snapshot::{Mentioned, Snapshot};
use super::tables::{FURTHER, SystemTable, TABLES, find};
use super::{SessionInfo, TABLE_OID, Wanted, cell};
use crate::engine::Engine;
use crate::plan::context::QueryContext;

/// One of the system schemas.
pub(super) struct SystemSchema {
    pub name: &'static str,
    pub engine: Arc<Engine>,
    pub session: SessionInfo,
    pub wanted: Wanted,
}

impl fmt::Debug for SystemSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemSchema({})", self.name)
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let own = TABLES
            .iter()
            .chain(FURTHER.iter())
            .filter(|table| table.schema == self.name);
        own.map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(find(self.name, name).map(|table| {
            Arc::new(Provider {
                table,
                engine: self.engine.clone(),
                session: self.session.clone(),
                wanted: self.wanted.clone(),
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
    wanted: Wanted,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.table.name)
    }
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        let shown = cell::schema(&self.table.columns);
        if !self.wanted.table_oid {
            return shown;
        }
        let hidden = Arc::new(cell::field(TABLE_OID, Kind::Oid));
        Arc::new(Schema::new(
            shown.fields().iter().cloned().chain([hidden]).collect::<Vec<_>>(),
        ))
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
        let mut batches = Vec::new();
        if let Some(source) = self.table.source {
            let mut mentioned = self.wanted.mentioned.as_ref().clone();
            add_filters(filters, &mut mentioned)?;
            // A child can be named beside one table, and asked for in another that is joined with it.
            let context = state.config().get_extension::<QueryContext>();
            for value in context.iter().flat_map(|context| context.values()) {
                add_value(value, &mut mentioned);
            }
            let mut snapshot = Snapshot::take(&self.engine, &self.session).with_children(&mentioned);
            super::roles::check_secret(self.table.name, &snapshot.identity)?;
            if self.wanted.children {
                snapshot = snapshot.with_all_children();
            }
            let rows = self.table.arranged((source.rows)(&snapshot));
            batches.push(cell::batch(&self.table.columns, &rows)?);
            if let Some(fixed) = source.fixed {
                batches.push(self.table.fixed_batch(|| fixed(&snapshot))?);
            }
        }
        if self.wanted.table_oid {
            batches = batches
                .into_iter()
                .map(|batch| self.with_table_oid(batch))
                .collect::<Result<_>>()?;
        }
        let table = MemTable::try_new(self.schema(), vec![batches])?;
        table.scan(state, projection, &[], limit).await
    }
}

impl Provider {
    fn with_table_oid(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let table_oid: ArrayRef = Arc::new(UInt32Array::from_value(self.table.oid, batch.num_rows()));
        let columns = batch.columns().iter().cloned().chain([table_oid]).collect();
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

fn add_value(value: &ScalarValue, mentioned: &mut Mentioned) {
    if let Some(Some(text)) = value.try_as_str() {
        mentioned.add_text(text);
    } else if let Ok(ScalarValue::UInt32(Some(oid))) = value.cast_to(&DataType::UInt32) {
        mentioned.oids.insert(oid);
    }
}

/// What filters compare with beside what the statement says: parameters, and OIDs that names became.
fn add_filters(filters: &[Expr], mentioned: &mut Mentioned) -> Result<()> {
    for filter in filters {
        filter.apply(|expr| {
            if let Expr::Literal(value, _) = expr {
                add_value(value, mentioned);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(())
}
