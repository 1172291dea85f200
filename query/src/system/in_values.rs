//! `x IN (SELECT …)` as a value: in a SELECT list, in ORDER BY, inside CASE. DataFusion plans it as a condition alone.
//!
//! It becomes `CASE WHEN (SELECT array_agg(v) FROM (…) AS q(v)) IS NULL THEN false ELSE x = ANY (the same array) END`: of no rows the array is
//! NULL.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, OrderByKind, Query, SelectItem, SetExpr};

use crate::statement::select_item;

/// Rewrites what stands in a query where only values can.
pub(super) fn rewrite(query: &mut Query) {
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::Expressions(by) = &mut order_by.kind
    {
        by.iter_mut().for_each(|by| value(&mut by.expr));
    }
    if let SetExpr::Select(select) = query.body.as_mut() {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                value(expr);
            }
        }
        select.selection.iter_mut().for_each(condition);
        select.having.iter_mut().for_each(condition);
    }
}

/// A condition: IN is left alone, except inside CASE.
fn condition(expr: &mut Expr) {
    match expr {
        Expr::Case { .. } => value(expr),
        Expr::BinaryOp { left, right, .. } => {
            condition(left);
            condition(right);
        }
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => condition(inner),
        _ => {}
    }
}

fn value(expr: &mut Expr) {
    match expr {
        Expr::InSubquery {
            expr: wanted,
            subquery,
            negated,
        } => {
            let not = if *negated { "NOT " } else { "" };
            let array = format!("(SELECT array_agg(v) FROM ({subquery}) AS q(v))");
            let sql = format!("SELECT {not}CASE WHEN {array} IS NULL THEN false ELSE any_equal({wanted}, {array}) END");
            if let Some(parsed) = select_item(&sql) {
                *expr = Expr::Nested(Box::new(parsed));
            }
        }
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => {
            if let Some(compared) = quantified("ANY", left, compare_op, right) {
                *expr = compared;
            }
        }
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => {
            if let Some(compared) = quantified("ALL", left, compare_op, right) {
                *expr = compared;
            }
        }
        Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } => {
            operand.iter_mut().for_each(|operand| value(operand));
            for when in conditions {
                value(&mut when.condition);
                value(&mut when.result);
            }
            else_result.iter_mut().for_each(|other| value(other));
        }
        Expr::BinaryOp { left, right, .. } => {
            value(left);
            value(right);
        }
        Expr::Nested(inner)
        | Expr::UnaryOp { expr: inner, .. }
        | Expr::Cast { expr: inner, .. }
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner) => value(inner),
        _ => {}
    }
}

/// `x op ANY (SELECT …)` as a value; of no rows ANY is false and ALL is true.
fn quantified(word: &str, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    let Expr::Subquery(subquery) = right else {
        return None;
    };
    let array = format!("(SELECT array_agg(v) FROM ({subquery}) AS q(v))");
    let empty = word == "ALL";
    let sql =
        format!("SELECT CASE WHEN {array} IS NULL THEN {empty} ELSE quantified('{word}', '{op}', {left}, {array}) END");
    Some(Expr::Nested(Box::new(select_item(&sql)?)))
}

/// The rows of a query as an array; an empty one where there are none.
pub(super) fn array_of(query: &Query) -> Option<Expr> {
    select_item(&format!(
        "SELECT coalesce((SELECT array_agg(v) FROM ({query}) AS q(v)), no_texts())"
    ))
}
