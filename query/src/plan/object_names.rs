//! Types whose values are OIDs that clients see as names: regclass, regtype, regproc, regnamespace, regrole.
//!
//! Inside a plan such a value is its OID, so that `attrelid = 'meters'::regclass` compares numbers. A cast from text looks the name up, a cast
//! to text and the way out look the OID up. To a client goes a struct of both, because it may ask for the binary form, which is the OID.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result as DfResult};
use datafusion::functions::core::named_struct;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarUDF, lit};

use super::errors;
use crate::pg_type;
use crate::system::{SessionFunctions, name_functions};
use crate::{ErrorKind, QueryError};

/// What a query's columns of such types are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// Names, for who reads the rows inside.
    Names,
    /// Structs of OID and name, for clients.
    Both,
}

/// The fields of [`Shown::Both`].
const OID: &str = "oid";
const NAME: &str = "name";

/// Puts look-ups in the place of casts, and names in the place of OIDs in what is shown.
pub fn resolve(plan: LogicalPlan, functions: &SessionFunctions, shown: Shown) -> DfResult<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            schema.merge(&scan.projected_schema);
        }
        let preserver = NamePreserver::new(&plan);
        let rewritten = plan.map_expressions(|expr| {
            let name = preserver.save(&expr);
            let rewritten = expr.transform_up(|expr| match expr {
                Expr::Cast(cast) => rewrite(cast, &schema, functions),
                other => Ok(Transformed::no(other)),
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })?;
        match rewritten.transformed {
            true => rewritten.map_data(LogicalPlan::recompute_schema),
            false => Ok(rewritten),
        }
    })?;
    show(plan.data, functions, shown)
}

fn rewrite(
    cast: Cast,
    schema: &datafusion::common::DFSchema,
    functions: &SessionFunctions,
) -> DfResult<Transformed<Expr>> {
    let target = pg_type::field_oid(&cast.field);
    if let Some((input, _)) = name_functions(target) {
        return Ok(Transformed::yes(call(functions, input, *cast.expr)?));
    }
    let is_text = matches!(
        cast.field.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    if is_text
        && let Ok((_, source)) = cast.expr.to_field(schema)
        && let Some((_, output)) = name_functions(pg_type::field_oid(&source))
    {
        let expr = Box::new(call(functions, output, *cast.expr)?);
        return Ok(Transformed::yes(Expr::Cast(Cast { expr, ..cast })));
    }
    Ok(Transformed::no(Expr::Cast(cast)))
}

/// The result's columns of such types, as names.
fn show(plan: LogicalPlan, functions: &SessionFunctions, shown: Shown) -> DfResult<LogicalPlan> {
    let schema = plan.schema().clone();
    let shown_by = |index: usize| {
        let field = schema.field(index);
        let is_oid = *field.data_type() == DataType::UInt32;
        name_functions(pg_type::field_oid(field)).filter(|_| is_oid)
    };
    if (0..schema.fields().len()).all(|index| shown_by(index).is_none()) {
        return Ok(plan);
    }
    let mut items = Vec::with_capacity(schema.fields().len());
    for index in 0..schema.fields().len() {
        let (qualifier, field) = schema.qualified_field(index);
        let column = Expr::Column(Column::from((qualifier, field)));
        items.push(match shown_by(index) {
            None => column,
            Some((_, output)) => {
                let metadata = pg_type::type_metadata(pg_type::field_oid(field));
                let metadata = datafusion::common::metadata::FieldMetadata::from(metadata);
                let name = call(functions, output, column.clone())?;
                let value = match shown {
                    Shown::Names => name,
                    Shown::Both => named_struct().call(vec![lit(OID), column, lit(NAME), name]),
                };
                value.alias_with_metadata(field.name(), Some(metadata))
            }
        });
    }
    LogicalPlanBuilder::from(plan).project(items)?.build()
}

fn call(functions: &SessionFunctions, name: &str, argument: Expr) -> DfResult<Expr> {
    let function: Arc<ScalarUDF> = functions.get(name).ok_or_else(|| {
        errors::wrap(QueryError::new(
            ErrorKind::InternalError,
            format!("function {name} is missing"),
        ))
    })?;
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![argument])))
}
