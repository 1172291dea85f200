//! `JOIN LATERAL (SELECT … WHERE c.id = t.id ORDER BY ts DESC LIMIT n)`, the first rows for each row of the left side, which DataFusion does not
//! plan.
//!
//! | they write | it becomes |
//! |---|---|
//! | `LIMIT 1` | `SELECT DISTINCT ON (c.id) …, c.id AS key … ORDER BY c.id, ts DESC`, joined on `key = t.id` |
//! | `LIMIT n` | `SELECT …, c.id AS key, row_number() OVER (PARTITION BY c.id ORDER BY ts DESC) AS number`, and `number <= n` |
//!
//! What else refers to the left side is left as it is; DataFusion plans some of it and refuses the rest.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Function, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    JoinConstraint, JoinOperator, LimitClause, ObjectName, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query,
    Select, SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut, WindowSpec, WindowType,
    visit_expressions,
};

use super::names::folded;

/// What the names of added columns begin with; no client writes such a name.
const PREFIX: &str = "lateral\u{1}";
/// Rows for each row of the left side that are worth a number.
const ROWS_MAX: u64 = 1_000_000;

/// Rewrites the statement in place.
pub fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Rewriter);
}

/// Names of the columns that were added to a factor, which `*` must leave out.
pub fn added(factor: &TableFactor) -> usize {
    let TableFactor::Derived { subquery, .. } = factor else {
        return 0;
    };
    let SetExpr::Select(select) = subquery.body.as_ref() else {
        return 0;
    };
    let is_added =
        |item: &&SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value.starts_with(PREFIX));
    select.projection.iter().filter(is_added).count()
}

/// The name of an added column.
pub fn name(number: usize) -> String {
    format!("{PREFIX}{number}")
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut before: HashSet<String> = HashSet::new();
        let mut conditions = Vec::new();
        for from in &mut select.from {
            if let Some(condition) = first_rows(&mut from.relation, &before) {
                conditions.push(condition);
            }
            before.extend(alias(&from.relation));
            for join in &mut from.joins {
                let on = match &mut join.join_operator {
                    operator @ JoinOperator::CrossJoin(_) => {
                        if let Some(condition) = first_rows(&mut join.relation, &before) {
                            *operator = JoinOperator::Inner(JoinConstraint::On(condition));
                        }
                        None
                    }
                    JoinOperator::Join(JoinConstraint::On(on))
                    | JoinOperator::Inner(JoinConstraint::On(on))
                    | JoinOperator::Left(JoinConstraint::On(on))
                    | JoinOperator::LeftOuter(JoinConstraint::On(on)) => Some(on),
                    _ => None,
                };
                if let Some(on) = on
                    && let Some(condition) = first_rows(&mut join.relation, &before)
                {
                    *on = match is_true(on) {
                        true => condition,
                        false => and(on.clone(), condition),
                    };
                }
                before.extend(alias(&join.relation));
            }
        }
        for condition in conditions {
            select.selection = Some(match select.selection.take() {
                Some(selection) => and(selection, condition),
                None => condition,
            });
        }
        ControlFlow::Continue(())
    }
}

/// Takes a lateral factor's references to the left side out of it; gives the condition that they become.
fn first_rows(factor: &mut TableFactor, left: &HashSet<String>) -> Option<Expr> {
    let TableFactor::Derived {
        lateral: lateral @ true,
        subquery,
        alias: Some(alias),
        ..
    } = factor
    else {
        return None;
    };
    let limit = limit(subquery)?;
    let order = match subquery.order_by.as_ref().map(|order| &order.kind) {
        None => Vec::new(),
        Some(OrderByKind::Expressions(order)) => order.clone(),
        Some(OrderByKind::All(_)) => return None,
    };
    let SetExpr::Select(select) = subquery.body.as_mut() else {
        return None;
    };
    let own: HashSet<String> = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
        .flat_map(self::alias)
        .collect();
    let outside: HashSet<String> = left.difference(&own).cloned().collect();
    let plain = matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty())
        && select.having.is_none()
        && select.distinct.is_none()
        && select.projection.iter().all(is_plain);
    if !plain || order.iter().any(|order| refers(&order.expr, &outside)) {
        return None;
    }
    let mut pairs = Vec::new();
    let mut rest = Vec::new();
    for condition in conjuncts(select.selection.clone()) {
        if !refers(&condition, &outside) {
            rest.push(condition);
            continue;
        }
        let Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } = condition
        else {
            return None;
        };
        match (is_outer(&left, &outside), is_outer(&right, &outside)) {
            (true, false) if !refers(&right, &outside) => pairs.push((*left, *right)),
            (false, true) if !refers(&left, &outside) => pairs.push((*right, *left)),
            _ => return None,
        }
    }
    if pairs.is_empty() {
        return None;
    }
    let keys: Vec<Expr> = pairs.iter().map(|(_, inner)| inner.clone()).collect();
    select.selection = rest.into_iter().reduce(and);
    let mut add = |number: usize, expr: Expr| {
        select.projection.push(SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', name(number)),
        });
        Expr::CompoundIdentifier(vec![alias.name.clone(), Ident::with_quote('"', name(number))])
    };
    let mut condition: Option<Expr> = None;
    for (number, (outer, inner)) in pairs.into_iter().enumerate() {
        let equal = binary(add(number, inner), BinaryOperator::Eq, outer);
        condition = Some(match condition {
            Some(before) => and(before, equal),
            None => equal,
        });
    }
    if limit > 1 {
        let row_number = add(keys.len(), row_number(keys.clone(), order));
        condition = condition.map(|condition| and(condition, binary(row_number, BinaryOperator::LtEq, number(limit))));
        subquery.order_by = None;
    } else {
        let first = keys.iter().map(|key| OrderByExpr {
            expr: key.clone(),
            options: OrderByOptions {
                asc: None,
                nulls_first: None,
            },
            with_fill: None,
        });
        let order: Vec<OrderByExpr> = first.chain(order).collect();
        select.distinct = Some(Distinct::On(keys));
        subquery.order_by = Some(OrderBy {
            kind: OrderByKind::Expressions(order),
            interpolate: None,
        });
    }
    subquery.limit_clause = None;
    subquery.fetch = None;
    *lateral = false;
    condition
}

/// A LIMIT that is a number, and nothing else.
fn limit(query: &Query) -> Option<u64> {
    if query.with.is_some() || query.fetch.is_some() {
        return None;
    }
    let Some(LimitClause::LimitOffset {
        limit: Some(Expr::Value(value)),
        offset: None,
        limit_by,
    }) = &query.limit_clause
    else {
        return None;
    };
    let Value::Number(digits, _) = &value.value else {
        return None;
    };
    let limit: u64 = digits.to_string().parse().ok()?;
    (limit_by.is_empty() && (1..=ROWS_MAX).contains(&limit)).then_some(limit)
}

/// Whether an item is surely no aggregate.
fn is_plain(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return true;
    };
    let called: ControlFlow<()> = visit_expressions(expr, |expr| match expr {
        Expr::Function(_) | Expr::Subquery(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    called.is_continue()
}

/// Whether an expression names a column of these tables.
fn refers(expr: &Expr, tables: &HashSet<String>) -> bool {
    let found: ControlFlow<()> = visit_expressions(expr, |expr| match is_outer(expr, tables) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn is_outer(expr: &Expr, tables: &HashSet<String>) -> bool {
    match expr {
        Expr::CompoundIdentifier(idents) => match idents.as_slice() {
            [.., table, _] => tables.contains(&folded(table)),
            _ => false,
        },
        _ => false,
    }
}

fn conjuncts(selection: Option<Expr>) -> Vec<Expr> {
    match selection {
        None => Vec::new(),
        Some(Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        }) => {
            let mut found = conjuncts(Some(*left));
            found.extend(conjuncts(Some(*right)));
            found
        }
        Some(Expr::Nested(inner)) => conjuncts(Some(*inner)),
        Some(condition) => vec![condition],
    }
}

fn alias(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(folded(&alias.name)),
            None => name.0.last().and_then(|part| part.as_ident()).map(folded),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| folded(&alias.name)),
        _ => None,
    }
}

fn row_number(keys: Vec<Expr>, order: Vec<OrderByExpr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("row_number")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: Vec::new(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: keys,
            order_by: order,
            window_frame: None,
        })),
        within_group: Vec::new(),
    })
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn and(left: Expr, right: Expr) -> Expr {
    let nested = |expr: Expr| Expr::Nested(Box::new(expr));
    binary(nested(left), BinaryOperator::And, nested(right))
}

fn number(value: u64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Boolean(true)))
}
