//! LATERAL of a subquery that has no FROM of its own: values, conditions and `unnest` of the row beside it become columns of the outer plan,
//! unnested there.
//!
//! Leaves to others: the first rows of a table for each outer row, and what DataFusion can take out of the outer query itself
//! (`decorrelate_lateral_join`), aggregates above all.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{
    Column, DFSchema, JoinType, NullHandling, RecursionUnnestOption, Result as DfResult, ScalarValue, UnnestOptions,
};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, when};

/// Takes the lateral joins of a plan apart where that can be done.
pub fn rewrite(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => match joined(&join)? {
            Some(plan) => Ok(Transformed::yes(plan)),
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

/// The subquery of a lateral join.
fn subquery(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Subquery(subquery) => Some(&subquery.subquery),
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => Some(&subquery.subquery),
            _ => None,
        },
        _ => None,
    }
}

fn joined(join: &Join) -> DfResult<Option<LogicalPlan>> {
    let Some(inner) = subquery(&join.right) else {
        return Ok(None);
    };
    if !join.on.is_empty() {
        return Ok(None);
    }
    let keep = match join.join_type {
        JoinType::Inner => false,
        // An outer row is kept where the condition says nothing.
        JoinType::Left if join.filter.as_ref().is_none_or(is_true) => true,
        _ => return Ok(None),
    };
    let mut inlined = Inlined {
        left: join.left.as_ref(),
        keep,
        unnested: false,
        plain: false,
        condition: None,
    };
    let Some((plan, outputs)) = inlined.inline(inner)? else {
        return Ok(None);
    };
    if keep && inlined.unnested && inlined.plain {
        // A plain value beside unnested ones would have to be NULL for an outer row without rows.
        return Ok(None);
    }
    let mut list: Vec<Expr> = columns(join.left.schema());
    for (output, (qualifier, field)) in outputs.into_iter().zip(join.right.schema().iter()) {
        let output = match is_unnested(&output) {
            true => output,
            false => inlined.where_wanted(output)?,
        };
        list.push(output.alias_qualified(qualifier.cloned(), field.name()));
    }
    let mut builder = LogicalPlanBuilder::from(plan).project(list)?;
    if let Some(filter) = join.filter.clone().filter(|filter| !is_true(filter)) {
        builder = builder.filter(filter)?;
    }
    builder.build().map(Some)
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

fn columns(schema: &DFSchema) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

/// A plan that has the outer rows' columns and others, and what each output of a part of the subquery is in it.
type Part = Option<(LogicalPlan, Vec<Expr>)>;

struct Inlined<'a> {
    left: &'a LogicalPlan,
    /// Outer rows without inner ones are kept.
    keep: bool,
    unnested: bool,
    /// An output is no unnested one.
    plain: bool,
    /// What an outer row must fulfil to have rows, where it is kept in any case.
    condition: Option<Expr>,
}

impl Inlined<'_> {
    /// NULL for an outer row that the subquery's condition leaves out.
    fn where_wanted(&self, expr: Expr) -> DfResult<Expr> {
        match &self.condition {
            Some(condition) => when(condition.clone(), expr).end(),
            None => Ok(expr),
        }
    }

    fn inline(&mut self, node: &LogicalPlan) -> DfResult<Part> {
        match node {
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Ok(Some((self.left.clone(), Vec::new()))),
            LogicalPlan::SubqueryAlias(alias) => self.inline(&alias.input),
            LogicalPlan::Projection(projection) => {
                let Some((plan, inputs)) = self.inline(&projection.input)? else {
                    return Ok(None);
                };
                let schema = projection.input.schema();
                let outputs: Vec<Expr> = projection
                    .expr
                    .iter()
                    .map(|expr| substituted(expr.clone().unalias(), schema, &inputs))
                    .collect::<DfResult<_>>()?;
                self.plain = projection
                    .expr
                    .iter()
                    .any(|expr| !matches!(expr.clone().unalias(), Expr::Column(_)));
                // Casts of what is unnested are NULL where it is.
                self.plain &= !outputs.iter().all(is_unnested);
                let volatile = outputs.iter().any(Expr::is_volatile);
                Ok((!volatile).then_some((plan, outputs)))
            }
            LogicalPlan::Filter(filter) => {
                let Some((plan, inputs)) = self.inline(&filter.input)? else {
                    return Ok(None);
                };
                let predicate = substituted(filter.predicate.clone(), filter.input.schema(), &inputs)?;
                if !self.keep {
                    let plan = LogicalPlanBuilder::from(plan).filter(predicate)?.build()?;
                    return Ok(Some((plan, inputs)));
                }
                if self.unnested {
                    return Ok(None);
                }
                // An outer row that the condition leaves out is kept with NULLs.
                self.condition = conjunction(self.condition.take().into_iter().chain([predicate]));
                Ok(Some((plan, inputs)))
            }
            LogicalPlan::Unnest(unnest) if unnest.struct_type_columns.is_empty() => {
                let Some((plan, inputs)) = self.inline(&unnest.input)? else {
                    return Ok(None);
                };
                let mut list = columns(plan.schema());
                let first = list.len();
                let mut options = UnnestOptions::new().with_null_handling(match self.keep {
                    true => NullHandling::PreserveAndExpandEmpty,
                    false => NullHandling::Drop,
                });
                let mut exec = Vec::new();
                let mut items = Vec::new();
                for (place, (index, column)) in unnest.list_type_columns.iter().enumerate() {
                    let Some(expr) = inputs.get(*index) else {
                        return Ok(None);
                    };
                    let input = format!("\u{1}list{}", first + place);
                    let output = Column::new_unqualified(format!("{ITEM}{}", first + place));
                    list.push(self.where_wanted(expr.clone())?.alias(input.as_str()));
                    let input = Column::new_unqualified(input);
                    exec.push(input.clone());
                    options.recursions.push(RecursionUnnestOption {
                        input_column: input,
                        output_column: output.clone(),
                        depth: column.depth,
                    });
                    items.push((column.output_column.clone(), output));
                }
                let plan = LogicalPlanBuilder::from(plan)
                    .project(list)?
                    .unnest_columns_with_options(exec, options)?
                    .build()?;
                self.unnested = true;
                let outputs = unnest
                    .schema
                    .iter()
                    .zip(&unnest.dependency_indices)
                    .map(|((qualifier, field), index)| {
                        let own = Column::new(qualifier.cloned(), field.name());
                        match items.iter().find(|(output, _)| *output == own) {
                            Some((_, item)) => Some(Expr::Column(item.clone())),
                            None => inputs.get(*index).cloned(),
                        }
                    })
                    .collect::<Option<Vec<Expr>>>();
                Ok(outputs.map(|outputs| (plan, outputs)))
            }
            _ => Ok(None),
        }
    }
}

/// Begins the names of unnested columns inside a plan.
const ITEM: &str = "\u{1}item";

fn is_unnested(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name.starts_with(ITEM),
        Expr::Cast(cast) => is_unnested(&cast.expr),
        Expr::Alias(alias) => is_unnested(&alias.expr),
        _ => false,
    }
}

/// An expression over a node's input as one over the outer plan.
fn substituted(expr: Expr, schema: &DFSchema, inputs: &[Expr]) -> DfResult<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::Column(column) => match schema
            .maybe_index_of_column(&column)
            .and_then(|index| inputs.get(index))
        {
            Some(input) => Ok(Transformed::yes(input.clone())),
            None => Ok(Transformed::no(Expr::Column(column))),
        },
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}
