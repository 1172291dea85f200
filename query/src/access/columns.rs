//! Privileges on single columns: `GRANT SELECT (a) ON t`.
//!
//! Who may do something to the whole table may do it to every column, and that is asked first: which columns a statement touches is found out
//! only for a role that has a grant on some column and none on the table.

use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{Optimizer, OptimizerContext};
use std::sync::Arc;
use taospg_catalog::roles::PUBLIC;
use taospg_catalog::{Access, Grant, Privileges, Table};

use super::{Identity, Thing, denied};
use crate::plan::errors;
use crate::plan::table::SeriesTable;
use crate::{QueryError, Session};

/// Columns of one table that a statement touches in one way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Columns {
    /// They cannot be told: only a privilege on the whole table is enough.
    Unknown,
    /// By attnum. None at all, as of `count(*)`, asks for any column.
    Of(Vec<u16>),
}

impl Columns {
    /// By name; a name that is no column of the table's, as `tbname`, cannot be granted.
    pub(crate) fn named<'a>(table: &Table, names: impl IntoIterator<Item = &'a str>) -> Columns {
        let mut found = Vec::new();
        for name in names {
            let mut all = table.columns.iter().chain(&table.tags);
            match all.find(|column| column.name == name) {
                Some(column) if column.is_hidden() => {}
                Some(column) => found.push(column.attnum),
                None => return Columns::Unknown,
            }
        }
        Columns::Of(found)
    }
}

impl Identity {
    /// What is said about a table, and about the child of it that is meant.
    fn said_about(&self, thing: &Thing<'_>) -> impl Iterator<Item = &Access> {
        let child = match thing {
            Thing::Table { child, .. } => *child,
            _ => None,
        };
        let oids = [Some(thing.owned_as()), child].into_iter().flatten();
        oids.filter_map(|oid| self.roles.access(oid)).map(AsRef::as_ref)
    }

    fn of_grants(&self, grants: &[Grant]) -> Privileges {
        let mine = |grant: &&Grant| grant.grantee == PUBLIC || self.held.contains(&grant.grantee);
        let mine = grants.iter().filter(mine);
        mine.fold(Privileges::NONE, |all, grant| all.with(grant.privileges))
    }

    /// What it may do to one column, by what it may do to the table or by a grant on the column.
    pub fn privileges_on_column(&self, thing: &Thing<'_>, attnum: u16) -> Privileges {
        let of_table = self.privileges(thing);
        let said = self.said_about(thing);
        said.fold(of_table, |all, access| {
            all.with(self.of_grants(access.of_column(attnum)))
        })
    }

    /// What it may do to one column or another.
    pub fn privileges_on_any_column(&self, thing: &Thing<'_>) -> Privileges {
        let of_table = self.privileges(thing);
        let columns = self.said_about(thing).flat_map(|access| &access.columns);
        columns.fold(of_table, |all, column| all.with(self.of_grants(&column.grants)))
    }
}

impl Session {
    /// Refuses who may do this neither to the table nor to all columns that are `used`. `role`: as whom it is asked, `None` is the current one.
    pub(crate) fn may_touch(
        &self,
        role: Option<u32>,
        thing: &Thing<'_>,
        needed: Privileges,
        used: impl FnOnce() -> Result<Columns, QueryError>,
    ) -> Result<(), QueryError> {
        let refusal = match self.may_as(role, thing, needed) {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        let other;
        let identity = match role {
            None => self.identity(),
            Some(role) => match self.identity().roles.role(role) {
                Some(role) => {
                    other = self.identity().of_role(role);
                    &other
                }
                None => return Err(refusal),
            },
        };
        if !identity.privileges_on_any_column(thing).contains(needed) {
            return Err(refusal);
        }
        self.may_reach(identity, thing)?;
        let allowed = match used()? {
            Columns::Unknown => false,
            Columns::Of(columns) => columns
                .iter()
                .all(|attnum| identity.privileges_on_column(thing, *attnum).contains(needed)),
        };
        if allowed { Ok(()) } else { Err(denied(thing)) }
    }
}

/// The columns of a table, or of one child of it, that an analyzed plan looks at. `reader`: as whom the scans meant are made.
pub(crate) fn read_by(
    plan: &LogicalPlan,
    table: u32,
    child: Option<u32>,
    reader: Option<u32>,
) -> Result<Columns, QueryError> {
    used_columns(plan, table, child, reader).map_err(errors::translate)
}

fn used_columns(plan: &LogicalPlan, table: u32, child: Option<u32>, reader: Option<u32>) -> DfResult<Columns> {
    // Leaves to each scan the columns that something above it needs.
    let optimizer = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
    let narrowed = optimizer.optimize(plan.clone(), &OptimizerContext::new(), |_, _| {})?;
    let mut found = Columns::Of(Vec::new());
    narrowed.apply_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else {
            return Ok(TreeNodeRecursion::Continue);
        };
        let provider = source_as_provider(&scan.source)?;
        let Some(scanned) = provider.downcast_ref::<SeriesTable>() else {
            return Ok(TreeNodeRecursion::Continue);
        };
        let same = scanned.table.oid == table && scanned.child.map(|child| child.oid) == child;
        if !same || scanned.reader != reader {
            return Ok(TreeNodeRecursion::Continue);
        }
        let all: Vec<usize> = (0..scanned.sources.len()).collect();
        for index in scan.projection.as_ref().unwrap_or(&all) {
            let column = scanned.sources.get(*index).and_then(|source| scanned.column(*source));
            match (&mut found, column) {
                (Columns::Of(attnums), Some(column)) if !column.is_hidden() => attnums.push(column.attnum),
                (_, Some(_)) => {}
                (found, None) => *found = Columns::Unknown,
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
