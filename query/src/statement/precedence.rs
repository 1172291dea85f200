//! `a IS DISTINCT FROM b AND c`: sqlparser reads `b AND c` as the right operand, PostgreSQL `b` alone.
//!
//! What stands in parentheses is `Expr::Nested`, so AND and OR right below the operator are always ones that belong above it. They are lifted
//! over everything that binds more closely: the operator itself, then NOT and AND to its left.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator, VisitMut, VisitorMut};

/// Mends a statement that was just parsed.
pub fn mend<T: VisitMut>(parsed: &mut T) {
    let _: ControlFlow<()> = VisitMut::visit(parsed, &mut Lift);
}

struct Lift;

/// How closely what can be lifted or lifted over binds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Strength {
    Or,
    And,
    Not,
    Distinct,
}

/// Of AND and OR.
fn junction(expr: &Expr) -> Option<Strength> {
    match expr {
        Expr::BinaryOp {
            op: BinaryOperator::And,
            ..
        } => Some(Strength::And),
        Expr::BinaryOp {
            op: BinaryOperator::Or, ..
        } => Some(Strength::Or),
        _ => None,
    }
}

/// The operator and its last operand.
fn last_operand(expr: &mut Expr) -> Option<(Strength, &mut Box<Expr>)> {
    match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => Some((Strength::Distinct, right)),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => Some((Strength::Not, expr)),
        Expr::BinaryOp {
            op: BinaryOperator::And,
            right,
            ..
        } => Some((Strength::And, right)),
        Expr::BinaryOp {
            op: BinaryOperator::Or,
            right,
            ..
        } => Some((Strength::Or, right)),
        _ => None,
    }
}

impl VisitorMut for Lift {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Some((strength, operand)) = last_operand(expr) else {
            return ControlFlow::Continue(());
        };
        // Operators of one strength associate to the left: an AND below the right of an AND is one to lift as well.
        if junction(operand).is_none_or(|lifted| lifted > strength) {
            return ControlFlow::Continue(());
        }
        let placeholder = || Expr::Value(ast::Value::Null.into());
        let mut lifted = std::mem::replace(operand.as_mut(), placeholder());
        let mut first = &mut lifted;
        while junction(first).is_some_and(|junction| junction <= strength) {
            match first {
                Expr::BinaryOp { left, .. } => first = left.as_mut(),
                // A junction is a binary operator.
                _ => break,
            }
        }
        let first_operand = std::mem::replace(first, placeholder());
        **operand = first_operand;
        *first = std::mem::replace(expr, placeholder());
        *expr = lifted;
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use crate::statement::select_item;

    /// The expression with a bracket around each operator.
    fn bracketed(sql: &str) -> String {
        use super::{Expr, UnaryOperator};
        fn write(expr: &Expr) -> String {
            match expr {
                Expr::BinaryOp { left, op, right } => format!("({} {op} {})", write(left), write(right)),
                Expr::IsDistinctFrom(left, right) => format!("({} <> {})", write(left), write(right)),
                Expr::IsNotDistinctFrom(left, right) => format!("({} == {})", write(left), write(right)),
                Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr,
                } => format!("(NOT {})", write(expr)),
                Expr::Nested(expr) => format!("[{}]", write(expr)),
                other => other.to_string(),
            }
        }
        write(&select_item(&format!("SELECT {sql}")).unwrap())
    }

    #[test]
    fn operators_bind_as_in_postgresql() {
        for (sql, expected) in [
            ("a IS NOT DISTINCT FROM b AND c", "((a == b) AND c)"),
            ("a IS DISTINCT FROM b OR c", "((a <> b) OR c)"),
            ("a IS DISTINCT FROM b AND c OR d", "(((a <> b) AND c) OR d)"),
            ("x AND a IS DISTINCT FROM b OR c", "((x AND (a <> b)) OR c)"),
            ("x OR a IS DISTINCT FROM b AND c", "(x OR ((a <> b) AND c))"),
            ("x AND a IS DISTINCT FROM b AND c", "((x AND (a <> b)) AND c)"),
            ("NOT a IS DISTINCT FROM b OR c", "((NOT (a <> b)) OR c)"),
            (
                "a IS DISTINCT FROM b AND c IS DISTINCT FROM d OR e",
                "(((a <> b) AND (c <> d)) OR e)",
            ),
            ("a IS DISTINCT FROM (b AND c)", "(a <> [(b AND c)])"),
            ("a IS DISTINCT FROM b = c", "(a <> (b = c))"),
            ("a OR b AND c OR d", "((a OR (b AND c)) OR d)"),
        ] {
            assert_eq!(bracketed(sql), expected, "{sql}");
        }
    }
}
