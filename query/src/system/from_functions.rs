//! Functions in FROM, as PostgreSQL reads them.
//!
//! | they write | it becomes |
//! |---|---|
//! | `unnest(a) AS x`, `generate_series(1, 3) AS x` | `… AS x(x)`: the alias is the column's name, too |
//! | `unnest(a) WITH ORDINALITY AS t(x, n)` | a derived table that numbers the rows |
//! | `current_schema() AS s`, any function of one value | `(SELECT current_schema() AS s) AS s` |
//! | `pg_partition_tree(x)` and others | see `derived.rs` |
//! | `pg_timezone_names()` | the system table of that name |

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, LambdaFunction, LambdaFunctionParameter, LambdaSyntax, ObjectName,
    OneOrManyWithParens, Query, SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::{derived, procedures, tables};

/// Rewrites a factor in place.
pub(super) fn rewrite(factor: &mut TableFactor) {
    if crate::plan::sets::in_from(factor) {
        return;
    }
    read_unnest(factor);
    match factor {
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_ordinality: true,
            with_offset: false,
            ..
        } => {
            let arrays: Vec<String> = array_exprs.iter().map(ToString::to_string).collect();
            let source = format!("unnest({})", arrays.join(", "));
            if arrays.len() == 1
                && let Some(numbered) = numbered("unnest", &source, alias.as_ref())
            {
                *factor = numbered;
            }
        }
        TableFactor::UNNEST { alias, array_exprs, .. } if array_exprs.len() == 1 => name_column(alias, "unnest"),
        TableFactor::Table {
            name,
            alias,
            args: Some(arguments),
            with_ordinality,
            ..
        } => {
            let Some(function) = bare_name(name) else { return };
            if arguments.args.is_empty() && tables::find("pg_catalog", &function).is_some() {
                *factor = parsed(&format!("pg_catalog.{function}"), alias.as_ref());
                return;
            }
            let values: Vec<String> = arguments.args.iter().map(ToString::to_string).collect();
            if let Some(subquery) = derived::subquery(&function, &values) {
                let alias = alias.clone().unwrap_or_else(|| named(Ident::new(&*function)));
                *factor = parsed(&subquery, Some(&alias));
                return;
            }
            let source = format!("{function}({})", values.join(", "));
            if *with_ordinality {
                if let Some(numbered) = numbered(&function, &source, alias.as_ref()) {
                    *factor = numbered;
                }
            } else if is_scalar(&function) {
                let column = alias
                    .as_ref()
                    .map_or_else(|| Ident::new(&*function), |alias| alias.name.clone());
                let alias = alias.clone().unwrap_or_else(|| named(column.clone()));
                *factor = parsed(&format!("(SELECT {source} AS {column})"), Some(&alias));
            } else {
                name_column(alias, &function);
            }
        }
        _ => {}
    }
}

/// `pg_catalog.unnest(a)` is `unnest(a)`.
fn read_unnest(factor: &mut TableFactor) {
    let TableFactor::Table {
        name,
        alias,
        args: Some(arguments),
        with_ordinality,
        ..
    } = factor
    else {
        return;
    };
    if bare_name(name).as_deref() != Some("unnest") {
        return;
    }
    let arrays: Vec<Expr> = arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect();
    *factor = TableFactor::UNNEST {
        alias: alias.take(),
        array_exprs: arrays,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    };
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

fn is_scalar(function: &str) -> bool {
    let found = procedures::named(function);
    found.iter().any(|procedure| procedure.kind == "f") && found.iter().all(|procedure| !procedure.returns_set)
}

fn named(name: Ident) -> TableAlias {
    TableAlias {
        explicit: true,
        name,
        columns: Vec::new(),
        at: None,
    }
}

/// The one column is called as the alias; without one as the function.
fn name_column(alias: &mut Option<TableAlias>, function: &str) {
    let alias = alias.get_or_insert_with(|| named(Ident::new(function)));
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef {
            name: alias.name.clone(),
            data_type: None,
        });
    }
}

/// Rows of a function with their numbers from 1.
fn numbered(function: &str, source: &str, alias: Option<&TableAlias>) -> Option<TableFactor> {
    let name = alias.map_or_else(|| Ident::new(function), |alias| alias.name.clone());
    let columns: &[TableAliasColumnDef] = alias.map_or(&[], |alias| &alias.columns);
    let value = columns.first().map_or(&name, |column| &column.name);
    let ordinality = Ident::new("ordinality");
    let number = columns.get(1).map_or(&ordinality, |column| &column.name);
    if columns.len() > 2 {
        return None;
    }
    let sql = format!("(SELECT v AS {value}, row_number() OVER () AS {number} FROM {source} AS u(v))");
    Some(parsed(&sql, Some(&named(name))))
}

/// A factor from its text. Our own text always parses; were it not so, a table that does not exist tells.
fn parsed(text: &str, alias: Option<&TableAlias>) -> TableFactor {
    let alias = alias
        .map(|alias| format!(" AS {}", alias_text(alias)))
        .unwrap_or_default();
    let sql = format!("SELECT 1 FROM {text}{alias}");
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap_or_default();
    for statement in statements {
        if let Statement::Query(query) = statement
            && let SetExpr::Select(mut select) = *query.body
            && let Some(from) = select.from.pop()
        {
            return from.relation;
        }
    }
    TableFactor::TableFunction {
        expr: Expr::Identifier(Ident::new(text)),
        alias: None,
    }
}

fn alias_text(alias: &TableAlias) -> String {
    let columns: Vec<String> = alias.columns.iter().map(|column| column.name.to_string()).collect();
    match columns.as_slice() {
        [] => alias.name.to_string(),
        columns => format!("{} ({})", alias.name, columns.join(", ")),
    }
}

/// `SELECT f(x) FROM unnest(a) AS x`, to be made an array: `array_transform(a, x -> f(x))`, which also plans where `a` belongs to an outer query.
/// Gives the two arguments.
pub(super) fn transform_of_unnest(query: &Query) -> Option<(Expr, Expr)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && select.selection.is_none()
        && select.distinct.is_none();
    let [from] = select.from.as_slice() else {
        return None;
    };
    let TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs,
        with_ordinality: false,
        ..
    } = &from.relation
    else {
        return None;
    };
    let ([array], [column], true, true) = (
        array_exprs.as_slice(),
        alias.columns.as_slice(),
        plain,
        from.joins.is_empty(),
    ) else {
        return None;
    };
    let [SelectItem::UnnamedExpr(body) | SelectItem::ExprWithAlias { expr: body, .. }] = select.projection.as_slice()
    else {
        return None;
    };
    let lambda = Expr::Lambda(LambdaFunction {
        params: OneOrManyWithParens::One(LambdaFunctionParameter {
            name: column.name.clone(),
            data_type: None,
        }),
        body: Box::new(body.clone()),
        syntax: LambdaSyntax::Arrow,
    });
    Some((array.clone(), lambda))
}
