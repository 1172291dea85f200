//! Functions that give rows, in FROM and in a SELECT list.
//!
//! | they write | it becomes |
//! |---|---|
//! | `FROM jsonb_each(x) AS e` | `(SELECT unnest(jsonb_each_key_list(x)) AS key, unnest(…) AS value) AS e` |
//! | `FROM t, unnest(t.a, t.b) WITH ORDINALITY` | `LATERAL (SELECT unnest(t.a), unnest(t.b), unnest(ordinality_list(t.a, t.b)))` |
//! | `SELECT generate_series(1, 3)` | `SELECT unnest(generate_series_list(1, 3))` |
//!
//! A call whose arguments name columns is lateral: `inline_lateral.rs` plans it. Series of plain numbers in FROM stay DataFusion's, which streams them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    ObjectName, Query, Select, SelectFlavor, SelectItem, SetExpr, TableAlias, TableFactor, Value,
    helpers::attached_token::AttachedToken, visit_expressions, visit_expressions_mut,
};

use super::rewrite::{call_all, narrow_literal};
use crate::functions::sets::{SetColumn, SetFunction, find};
use crate::{ErrorKind, QueryError};

/// A call in FROM.
struct Call {
    name: String,
    args: Vec<Expr>,
    alias: Option<TableAlias>,
    ordinality: bool,
}

/// Rewrites a factor that calls a function with rows; says whether it did.
pub fn in_from(factor: &mut TableFactor) -> bool {
    let read_later = match called(factor) {
        Some(call) => call.name == "unnest" && call.args.len() == 1 && !call.ordinality,
        None => true,
    };
    // `ARRAY(SELECT … FROM unnest(a))` is looked for among what the parser has read.
    let lateral_function = matches!(factor, TableFactor::Function { .. });
    (!read_later || lateral_function) && rewritten(factor)
}

/// `unnest` of one array that an outer query has.
pub fn unnest_of_columns(factor: &mut TableFactor) {
    if matches!(factor, TableFactor::UNNEST { .. }) {
        rewritten(factor);
    }
}

fn rewritten(factor: &mut TableFactor) -> bool {
    let Some(call) = called(factor) else {
        return false;
    };
    let lists: Vec<(String, Expr)> = if call.name == "unnest" {
        let plain = call.args.len() == 1 && !call.ordinality && !mentions_columns(&call.args);
        if plain || call.args.is_empty() {
            return false;
        }
        let name = match call.args.len() {
            1 => own_name(&call),
            _ => call.name.clone(),
        };
        call.args.iter().map(|array| (name.clone(), array.clone())).collect()
    } else if let Some(function) = find(&call.name) {
        if call.name == "generate_series" && call.args.iter().all(is_number) && !call.ordinality {
            return false;
        }
        function
            .columns
            .iter()
            .map(|column| (column_name(column, &call), list(column, &call.args)))
            .collect()
    } else {
        return false;
    };
    let casts: Vec<Option<&'static str>> = match find(&call.name) {
        Some(function) => function.columns.iter().map(|column| column.cast).collect(),
        None => vec![None; lists.len()],
    };
    let mut items: Vec<(String, Expr)> = lists
        .iter()
        .zip(casts)
        .map(|((name, list), cast)| (name.clone(), rows(list.clone(), cast)))
        .collect();
    if call.ordinality {
        let lists = lists.into_iter().map(|(_, list)| list).collect();
        items.push(("ordinality".to_string(), rows(call_all("ordinality_list", lists), None)));
    }
    // The columns that the alias names.
    let columns = call.alias.as_ref().map_or(&[][..], |alias| &alias.columns);
    for (item, column) in items.iter_mut().zip(columns) {
        item.0 = super::names::folded(&column.name);
    }
    if columns.len() > items.len() {
        return false;
    }
    let alias = call
        .alias
        .as_ref()
        .map_or_else(|| Ident::new(&*call.name), |alias| alias.name.clone());
    *factor = TableFactor::Derived {
        lateral: mentions_columns(&call.args),
        subquery: Box::new(select(items)),
        alias: Some(TableAlias {
            explicit: true,
            name: alias,
            columns: Vec::new(),
            at: None,
        }),
        sample: None,
    };
    true
}

fn called(factor: &TableFactor) -> Option<Call> {
    let values = |args: &[FunctionArg]| -> Option<Vec<Expr>> {
        args.iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })
            .collect()
    };
    match factor {
        TableFactor::Table {
            name,
            alias,
            args: Some(args),
            with_ordinality,
            ..
        } => Some(Call {
            name: bare_name(name)?,
            args: values(&args.args)?,
            alias: alias.clone(),
            ordinality: *with_ordinality,
        }),
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality,
            ..
        } => Some(Call {
            name: bare_name(name)?,
            args: values(args)?,
            alias: alias.clone(),
            ordinality: *with_ordinality,
        }),
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset: false,
            with_ordinality,
            ..
        } => Some(Call {
            name: "unnest".to_string(),
            args: array_exprs.clone(),
            alias: alias.clone(),
            ordinality: *with_ordinality,
        }),
        _ => None,
    }
}

/// The name of a function without `pg_catalog.`, folded.
fn bare_name(name: &ObjectName) -> Option<String> {
    let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    match parts.as_slice() {
        [own] => Some(own.value.to_lowercase()),
        [schema, own] if schema.value == "pg_catalog" => Some(own.value.to_lowercase()),
        _ => None,
    }
}

/// A column without a name of its own is called as the alias, without one as the function.
fn own_name(call: &Call) -> String {
    match &call.alias {
        Some(alias) => super::names::folded(&alias.name),
        None => call.name.clone(),
    }
}

fn column_name(column: &SetColumn, call: &Call) -> String {
    match column.name {
        "" => own_name(call),
        name => name.to_string(),
    }
}

fn list(column: &SetColumn, args: &[Expr]) -> Expr {
    call_all(column.list, args.to_vec())
}

/// The rows of a list, of the type that they have.
fn rows(list: Expr, cast: Option<&'static str>) -> Expr {
    let rows = call_all("unnest", vec![list]);
    let data_type = match cast {
        Some("json") => DataType::JSON,
        Some(_) => DataType::JSONB,
        None => return rows,
    };
    Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(rows),
        data_type,
        array: false,
        format: None,
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.bytes().all(|digit| digit.is_ascii_digit()),
            _ => false,
        },
        Expr::UnaryOp { expr, .. } => is_number(expr),
        _ => false,
    }
}

fn mentions_columns(args: &[Expr]) -> bool {
    args.iter().any(|arg| {
        let found = visit_expressions(arg, |expr| match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    })
}

/// `SELECT expr AS name, …`
fn select(items: Vec<(String, Expr)>) -> Query {
    let projection = items
        .into_iter()
        .map(|(name, expr)| SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', name),
        })
        .collect();
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from: Vec::new(),
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// `FROM jsonb_array_elements(x) AS e`: `e` alone is its one column, which is called `value`.
pub fn name_values(select: &mut Select) {
    let factors = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let values: Vec<(String, Ident)> = factors.filter_map(one_value).collect();
    if values.is_empty() {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && values.iter().any(|(alias, _)| *alias == super::names::folded(name))
        {
            *item = SelectItem::ExprWithAlias {
                expr: Expr::Identifier(name.clone()),
                alias: name.clone(),
            };
        }
    }
    let _: ControlFlow<()> = visit_expressions_mut(select, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some((alias, column)) = values.iter().find(|(alias, _)| *alias == super::names::folded(name))
        {
            *expr = Expr::CompoundIdentifier(vec![Ident::with_quote('"', alias.clone()), column.clone()]);
        }
        ControlFlow::Continue(())
    });
}

/// The alias of a call with rows, and its one column, where that is called otherwise.
fn one_value(factor: &TableFactor) -> Option<(String, Ident)> {
    let TableFactor::Derived {
        subquery,
        alias: Some(alias),
        ..
    } = factor
    else {
        return None;
    };
    let SetExpr::Select(select) = subquery.body.as_ref() else {
        return None;
    };
    let [SelectItem::ExprWithAlias { expr, alias: column }] = select.projection.as_slice() else {
        return None;
    };
    let mut rows = expr;
    while let Expr::Cast { expr, .. } = rows {
        rows = expr;
    }
    let Expr::Function(function) = rows else { return None };
    let name = super::names::folded(&alias.name);
    let ours = function.to_string().starts_with("unnest(json") && select.from.is_empty();
    (ours && column.value == "value" && name != "value").then(|| (name, column.clone()))
}

/// A call in an expression.
pub fn in_expression(name: &str, function: &Function) -> Result<Option<Expr>, QueryError> {
    let Some(SetFunction { columns, .. }) = find(name).filter(|_| function.over.is_none()) else {
        return Ok(None);
    };
    let [column] = columns else {
        let message = format!("{name} as a value is not supported: it gives rows of several columns");
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message)
            .with_hint(format!("call it in FROM: SELECT … FROM {name}(…)")));
    };
    let FunctionArguments::List(list) = &function.args else {
        return Ok(None);
    };
    let args: Option<Vec<Expr>> = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect();
    Ok(args.map(|mut args| {
        args.iter_mut().for_each(narrow_literal);
        rows(call_all(column.list, args), column.cast)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn shown(from: &str) -> String {
        let sql = format!("SELECT 1 FROM t, {from}");
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap();
        let datafusion::sql::sqlparser::ast::Statement::Query(query) = &mut statements[0] else {
            panic!("not a query")
        };
        let SetExpr::Select(select) = query.body.as_mut() else {
            panic!("not a select")
        };
        in_from(&mut select.from[1].relation);
        select.from[1].relation.to_string()
    }

    #[test]
    fn rows_of_functions() {
        for (from, expected) in [
            (
                "jsonb_each(t.j) AS e",
                "LATERAL (SELECT unnest(jsonb_each_key_list(t.j)) AS \"key\", \
                 unnest(jsonb_each_value_list(t.j))::JSONB AS \"value\") AS e",
            ),
            (
                "unnest(t.a) WITH ORDINALITY AS u(x, n)",
                "LATERAL (SELECT unnest(t.a) AS \"x\", unnest(ordinality_list(t.a)) AS \"n\") AS u",
            ),
            ("generate_series(1, 3) AS g", "generate_series(1, 3) AS g"),
            ("unnest(ARRAY[1]) AS g", "UNNEST(ARRAY[1]) AS g"),
        ] {
            assert_eq!(shown(from), expected);
        }
    }
}
