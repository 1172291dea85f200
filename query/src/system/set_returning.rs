//! Functions that return rows, among the columns of a SELECT.
//!
//! | they write | it becomes |
//! |---|---|
//! | `generate_subscripts(a, 1)` | `unnest(array_subscripts(a, 1))` |
//! | `information_schema._pg_expandarray(a)`, of it `.x` and `.n` | `unnest(array_expanded(a))`, `unnest(a)` and `unnest(array_numbers(a))` |
//!
//! Rows of several such columns stand side by side, as in PostgreSQL. The others are read in `plan/sets.rs`.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, SelectItem, SetExpr,
};

use super::rewrite::{call, unnested};

/// Rewrites the columns of a query, not those of queries inside them.
pub(super) fn rewrite(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                match item {
                    SelectItem::UnnamedExpr(expr) => {
                        let name = shown_name(expr);
                        if rewrite_expr(expr)
                            && let Some(alias) = name
                        {
                            *item = SelectItem::ExprWithAlias {
                                expr: expr.clone(),
                                alias: Ident::new(alias),
                            };
                        }
                    }
                    SelectItem::ExprWithAlias { expr, .. } => {
                        rewrite_expr(expr);
                    }
                    _ => {}
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            rewrite(left);
            rewrite(right);
        }
        _ => {}
    }
}

/// What PostgreSQL calls a column that is such a function alone.
fn shown_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Function(function) => name_of(function),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.as_slice() {
            [AccessExpr::Dot(Expr::Identifier(field))] => Some(field.value.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether there was such a function.
fn rewrite_expr(expr: &mut Expr) -> bool {
    let rows = match expr {
        Expr::Function(function) => rows_of(function, None),
        Expr::CompoundFieldAccess { root, access_chain } => match (unnested(root), access_chain.as_slice()) {
            (Expr::Function(function), [AccessExpr::Dot(Expr::Identifier(field))]) => rows_of(function, Some(field)),
            _ => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => {
            return rewrite_expr(inner);
        }
        Expr::BinaryOp { left, right, .. } => return rewrite_expr(left) | rewrite_expr(right),
        _ => None,
    };
    let found = rows.is_some();
    if let Some(rows) = rows {
        *expr = rows;
    }
    found
}

fn rows_of(function: &Function, field: Option<&Ident>) -> Option<Expr> {
    let list = match (name_of(function)?.as_str(), field.map(|field| field.value.as_str())) {
        ("generate_subscripts", None) => call("array_subscripts", values(function)?),
        ("_pg_expandarray", None) => call("array_expanded", values(function)?),
        ("_pg_expandarray", Some("x")) => values(function)?.pop()?,
        ("_pg_expandarray", Some("n")) => call("array_numbers", values(function)?),
        _ => return None,
    };
    Some(call("unnest", vec![list]))
}

fn name_of(function: &Function) -> Option<String> {
    let ObjectName(parts) = &function.name;
    let idents: Vec<&Ident> = parts.iter().filter_map(|part| part.as_ident()).collect();
    let name = match idents.as_slice() {
        [name] => name,
        [schema, name] if matches!(schema.value.as_str(), "pg_catalog" | "information_schema") => name,
        _ => return None,
    };
    Some(name.value.to_lowercase())
}

fn values(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let value = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(value).collect()
}
