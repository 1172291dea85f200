//! Calls of TimescaleDB's functions that make or change things: `SELECT f(…)` and `SELECT * FROM f(…)`, alone in their statement.
//!
//! They are statements here and no functions, because what they do takes effect at once and may wait for others. Functions that only look
//! (`hypertable_size`) are functions.

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, SelectItem, SetExpr, TableFactor,
};

/// A call, its function known to [`FUNCTIONS`].
#[derive(Debug)]
pub(crate) struct HypertableCall {
    pub function: &'static str,
    /// With their names, where they are given with `=>`.
    pub arguments: Vec<(Option<String>, Expr)>,
    /// `SELECT * FROM f(…)`: a result's parts are columns.
    pub in_from: bool,
}

/// What is read as a statement.
const FUNCTIONS: &[&str] = &[
    "create_hypertable",
    "create_distributed_hypertable",
    "add_dimension",
    "set_chunk_time_interval",
    "set_integer_now_func",
    "show_chunks",
    "drop_chunks",
    "add_retention_policy",
    "remove_retention_policy",
    "add_compression_policy",
    "remove_compression_policy",
    "add_columnstore_policy",
    "remove_columnstore_policy",
    "add_reorder_policy",
    "remove_reorder_policy",
    "compress_chunk",
    "decompress_chunk",
    "hypertable_detailed_size",
];

/// The call that a query is, if it is nothing else.
pub(super) fn call(query: &ast::Query) -> Option<HypertableCall> {
    let bare =
        query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none() && query.order_by.is_none();
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let bare = bare && select.selection.is_none() && select.distinct.is_none() && select.having.is_none();
    if !bare {
        return None;
    }
    match (select.from.as_slice(), select.projection.as_slice()) {
        (
            [],
            [
                SelectItem::UnnamedExpr(Expr::Function(function))
                | SelectItem::ExprWithAlias {
                    expr: Expr::Function(function),
                    ..
                },
            ],
        ) => of_function(function),
        ([from], [SelectItem::Wildcard(_)]) if from.joins.is_empty() => {
            let TableFactor::Table {
                name,
                args: Some(arguments),
                ..
            } = &from.relation
            else {
                return None;
            };
            Some(HypertableCall {
                function: known(name)?,
                arguments: named(&arguments.args)?,
                in_from: true,
            })
        }
        _ => None,
    }
}

/// The function of a CALL, which are procedures of TimescaleDB's newer versions.
pub(super) fn of_function(function: &Function) -> Option<HypertableCall> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    Some(HypertableCall {
        function: known(&function.name)?,
        arguments: named(&list.args)?,
        in_from: false,
    })
}

fn known(name: &ObjectName) -> Option<&'static str> {
    let last = name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    FUNCTIONS.iter().find(|known| **known == last).copied()
}

fn named(arguments: &[FunctionArg]) -> Option<Vec<(Option<String>, Expr)>> {
    let expression = |arg: &FunctionArgExpr| match arg {
        FunctionArgExpr::Expr(expr) => Some(expr.clone()),
        _ => None,
    };
    arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(arg) => Some((None, expression(arg)?)),
            FunctionArg::Named { name, arg, .. } => Some((Some(name.value.to_ascii_lowercase()), expression(arg)?)),
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg,
                ..
            } => Some((Some(name.value.to_ascii_lowercase()), expression(arg)?)),
            FunctionArg::ExprNamed { .. } => None,
        })
        .collect()
}
