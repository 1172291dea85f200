//! Rows as values: `(a, b) < (c, d)`, `ROW(a, b) IS NULL`, OVERLAPS. They become comparisons of their fields, which conditions on columns see.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, SelectItem, SetExpr,
    TableFactor, UnaryOperator, Value, visit_expressions_mut,
};

use super::names::folded;
use super::rewrite::call_all;
use crate::statement::select_item;

/// The fields of a row; `None` of what is no row.
pub fn fields(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(fields) => Some(fields.clone()),
        Expr::Nested(inner) => fields(inner),
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(|part| part.as_ident())?;
            let FunctionArguments::List(list) = &function.args else {
                return None;
            };
            if folded(name) != "row" {
                return None;
            }
            list.args
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                    _ => None,
                })
                .collect()
        }
        _ => None,
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn all_of(conditions: impl IntoIterator<Item = Expr>, op: BinaryOperator) -> Option<Expr> {
    let joined = conditions
        .into_iter()
        .reduce(|left, right| binary(left, op.clone(), right));
    joined.map(nested)
}

fn pairs(left: &Expr, right: &Expr) -> Option<Vec<(Expr, Expr)>> {
    let (left, right) = (fields(left)?, fields(right)?);
    (left.len() == right.len() && left.len() > 1).then(|| left.into_iter().zip(right).collect())
}

/// A comparison of two rows, field by field; OVERLAPS of two spans.
pub fn compared(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    let pairs = pairs(left, right)?;
    let each = |op: BinaryOperator| {
        pairs
            .iter()
            .map(move |(left, right)| binary(left.clone(), op.clone(), right.clone()))
    };
    match op {
        BinaryOperator::Eq => all_of(each(BinaryOperator::Eq), BinaryOperator::And),
        BinaryOperator::NotEq => all_of(each(BinaryOperator::NotEq), BinaryOperator::Or),
        BinaryOperator::Lt | BinaryOperator::LtEq => ordered(&pairs, BinaryOperator::Lt, op.clone()),
        BinaryOperator::Gt | BinaryOperator::GtEq => ordered(&pairs, BinaryOperator::Gt, op.clone()),
        BinaryOperator::Overlaps => overlaps(&pairs),
        _ => None,
    }
}

/// `a < c OR (a = c AND b < d)`, and before it `a <= c`, which a scan can use as a bound.
fn ordered(pairs: &[(Expr, Expr)], strict: BinaryOperator, last: BinaryOperator) -> Option<Expr> {
    let ((left, right), rest) = pairs.split_first()?;
    if rest.is_empty() {
        return Some(binary(left.clone(), last, right.clone()));
    }
    let or_equal = match strict {
        BinaryOperator::Lt => BinaryOperator::LtEq,
        _ => BinaryOperator::GtEq,
    };
    let inner = ordered(rest, strict.clone(), last)?;
    let bound = binary(left.clone(), or_equal, right.clone());
    let beyond = binary(left.clone(), strict, right.clone());
    Some(nested(binary(
        bound,
        BinaryOperator::And,
        nested(binary(beyond, BinaryOperator::Or, nested(inner))),
    )))
}

/// The second field of a span may be how long it is.
fn overlaps(pairs: &[(Expr, Expr)]) -> Option<Expr> {
    let [(left_start, right_start), (left_end, right_end)] = pairs else {
        return None;
    };
    let end = |start: &Expr, end: &Expr| match is_interval(end) {
        true => nested(binary(start.clone(), BinaryOperator::Plus, end.clone())),
        false => end.clone(),
    };
    Some(call_all(
        "overlaps",
        vec![
            left_start.clone(),
            end(left_start, left_end),
            right_start.clone(),
            end(right_start, right_end),
        ],
    ))
}

fn is_interval(expr: &Expr) -> bool {
    use datafusion::sql::sqlparser::ast::DataType;
    match expr {
        Expr::Interval(_) => true,
        Expr::TypedString(typed) => matches!(typed.data_type, DataType::Interval { .. }),
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Interval { .. }),
        Expr::Nested(inner) => is_interval(inner),
        _ => false,
    }
}

/// `row IS NULL`: all of its fields are. `row IS NOT NULL`: none of them is.
pub fn null_test(expr: &mut Expr) {
    let tested = match &*expr {
        Expr::IsNull(inner) => fields(inner).map(|fields| (fields, true)),
        Expr::IsNotNull(inner) => fields(inner).map(|fields| (fields, false)),
        _ => None,
    };
    let Some((fields, null)) = tested else { return };
    let each = fields.into_iter().map(|field| match null {
        true => Expr::IsNull(Box::new(field)),
        false => Expr::IsNotNull(Box::new(field)),
    });
    if let Some(all) = all_of(each, BinaryOperator::And) {
        *expr = all;
    }
}

/// IS [NOT] DISTINCT FROM of two rows.
pub fn distinct(expr: &mut Expr) {
    let (left, right, differ) = match &*expr {
        Expr::IsDistinctFrom(left, right) => (left, right, true),
        Expr::IsNotDistinctFrom(left, right) => (left, right, false),
        _ => return,
    };
    let Some(pairs) = pairs(left, right) else { return };
    let same = pairs
        .into_iter()
        .map(|(left, right)| Expr::IsNotDistinctFrom(Box::new(left), Box::new(right)));
    let Some(same) = all_of(same, BinaryOperator::And) else {
        return;
    };
    *expr = match differ {
        true => nested(Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(same),
        }),
        false => same,
    };
}

/// The columns of a subquery in FROM, where its text tells them.
pub fn columns(factor: &TableFactor) -> Option<Vec<String>> {
    let TableFactor::Derived {
        subquery,
        alias: Some(alias),
        ..
    } = factor
    else {
        return None;
    };
    if !alias.columns.is_empty() {
        return Some(alias.columns.iter().map(|column| folded(&column.name)).collect());
    }
    let SetExpr::Select(select) = subquery.body.as_ref() else {
        return None;
    };
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(folded),
            _ => None,
        })
        .collect()
}

/// A table in FROM, by its alias, and its columns.
type Columns = (String, Vec<String>);

/// The table that a name alone means: no column has it.
fn table_named<'a>(expr: &Expr, tables: &'a [Columns]) -> Option<&'a Columns> {
    let Expr::Identifier(row) = expr else { return None };
    let is_it = |(table, _): &&Columns| *table == folded(row);
    let is_column = tables.iter().any(|(_, columns)| columns.contains(&folded(row)));
    tables.iter().find(is_it).filter(|_| !is_column)
}

/// `SELECT t FROM t`: the record of the table's columns.
pub fn as_record(item: &mut SelectItem, known: &[Columns], tables: &HashSet<String>) {
    let (expr, alias) = match &*item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.clone())),
        _ => return,
    };
    let Some((table, columns)) = table_named(expr, known).filter(|(table, _)| tables.contains(table)) else {
        return;
    };
    let quoted = |name: &str| Ident::with_quote('"', name);
    let members = columns.iter();
    let members = members.map(|column| Expr::CompoundIdentifier(vec![quoted(table), quoted(column)]));
    *item = SelectItem::ExprWithAlias {
        expr: call_all("row", members.collect()),
        alias: alias.unwrap_or_else(|| quoted(table)),
    };
}

/// Functions that take a row.
const TAKE_ROWS: &[&str] = &["json_agg", "jsonb_agg", "row_to_json", "to_json", "to_jsonb"];

/// Gives functions that take a row what it is made of, where they name one of these tables.
pub fn as_json(expr: &mut Expr, tables: &[Columns]) {
    let _: ControlFlow<()> = visit_expressions_mut(expr, |expr| {
        if let Expr::Function(function) = expr
            && let Some(name) = function.name.0.last().and_then(|part| part.as_ident())
            && TAKE_ROWS.contains(&folded(name).as_str())
            && let FunctionArguments::List(list) = &mut function.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))] = list.args.as_mut_slice()
            && let Expr::Identifier(row) = &*arg
            && let Some((table, columns)) = tables
                .iter()
                .find(|(table, columns)| *table == folded(row) && !columns.contains(table))
        {
            let quoted = |name: &str| Ident::with_quote('"', name);
            let members = columns.iter().flat_map(|column| {
                let name = Expr::Value(Value::SingleQuotedString(column.clone()).into());
                [name, Expr::CompoundIdentifier(vec![quoted(table), quoted(column)])]
            });
            *arg = call_all("json_row", members.collect());
        }
        ControlFlow::Continue(())
    });
}

/// `x IN (SELECT unnest(array))` is `x = ANY (array)`; `(a, b) IN (SELECT …)` is whether the subquery has such a row.
pub fn in_subquery(expr: &mut Expr) {
    let Expr::InSubquery {
        expr: value,
        subquery,
        negated,
    } = &*expr
    else {
        return;
    };
    if let Some(array) = unnested(subquery) {
        let found = call_all("any_equal", vec![*value.clone(), array]);
        *expr = match negated {
            true => nested(Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(found),
            }),
            false => found,
        };
        return;
    }
    let Some(fields) = fields(value).filter(|fields| fields.len() > 1 && !negated) else {
        return;
    };
    let names: Vec<String> = (0..fields.len()).map(|place| format!("\"{COLUMN}{place}\"")).collect();
    let equal = fields
        .iter()
        .zip(&names)
        .map(|(field, name)| format!("\"{ROW}\".{name} = {field}"));
    let equal: Vec<String> = equal.collect();
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM ({subquery}) AS \"{ROW}\" ({}) WHERE {})",
        names.join(", "),
        equal.join(" AND ")
    );
    if let Some(exists) = select_item(&sql) {
        *expr = exists;
    }
}

/// Names inside a plan that no client writes.
const ROW: &str = "\u{1}row";
const COLUMN: &str = "\u{1}column";

/// The array of `SELECT unnest(array)` and nothing else.
fn unnested(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let plain =
        select.from.is_empty() && select.selection.is_none() && query.limit_clause.is_none() && query.with.is_none();
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return None;
    };
    let Expr::Function(function) = item else { return None };
    let name = function.name.0.last().and_then(|part| part.as_ident())?;
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] if plain && folded(name) == "unnest" => {
            Some(array.clone())
        }
        _ => None,
    }
}
