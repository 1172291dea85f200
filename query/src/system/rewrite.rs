//! What clients ask of system catalogs, put into words that DataFusion plans.
//!
//! | they write | it becomes |
//! |---|---|
//! | `pg_catalog.f(x)`, `a OPERATOR(pg_catalog.~) b`, `x COLLATE "C"` | `f(x)`, `a ~ b`, `x` |
//! | `ARRAY(SELECT x …)` | `coalesce((SELECT array_agg(x) …), no_texts())` |
//! | `ARRAY(SELECT f(x) FROM unnest(a) AS x)` | `array_transform(a, x -> f(x))` |
//! | `(SELECT x FROM … WHERE y = outer)` as a value | `(SELECT max(x) …)`: a correlated value must be an aggregate to be planned |
//! | `x IN (SELECT …)` as a value, functions in FROM | see `in_values.rs`, `from_functions.rs` |
//! | `x LIKE 'a/_%' ESCAPE '/'` | `x LIKE like_escape('a/_%', '/')` |
//! | `pg_catalog.pg_class.oid` | `pg_class.oid` |
//! | `(t.pair).x` | `get_field(t.pair, 'x')` |
//! | `current_schema`, `user` without parentheses | `current_schema()`, `user()` |
//! | a SELECT joining a table that never has rows, or asking for kinds of relations that there are none of | the same columns `WHERE false`: nothing of it needs to be planned |
//!
//! Only statements that name a system schema, a system table or one of these forms come out changed.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, JoinOperator, ObjectName,
    ObjectNamePart, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, Value,
    ValueWithSpan, VisitMut, VisitorMut, visit_expressions_mut,
};

use super::cell::Kind;
use super::{from_functions, in_values, set_returning, tables};
use crate::QueryError;

/// Rewrites a statement in place.
pub(super) fn rewrite(statement: &mut Statement) -> Result<(), QueryError> {
    let _ = statement.visit(&mut Rewrite);
    Ok(())
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        in_values::rewrite(query);
        set_returning::rewrite(&mut query.body);
        if empty_selects(&mut query.body) {
            // No rows, no order; it may name columns that are gone now.
            query.order_by = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        from_functions::rewrite(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        // Functions in FROM are relations to the parser.
        if relation.0.len() == 2 && part(relation, 0) == Some("pg_catalog") {
            let name = part(relation, 1).unwrap_or_default();
            if tables::find("pg_catalog", name).is_none() {
                relation.0.remove(0);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        without_missing_kinds(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        rewrite_expr(expr);
        ControlFlow::Continue(())
    }
}

fn part(name: &ObjectName, position: usize) -> Option<&str> {
    match name.0.get(position) {
        Some(ObjectNamePart::Identifier(ident)) => Some(ident.value.as_str()),
        _ => None,
    }
}

fn rewrite_expr(expr: &mut Expr) {
    match expr {
        Expr::Collate { expr: inner, .. } => *expr = take(inner),
        Expr::CompoundIdentifier(parts) if parts.len() == 3 && parts[0].value == "pg_catalog" => {
            parts.remove(0);
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            if let [AccessExpr::Dot(Expr::Identifier(field))] = access_chain.as_slice()
                && matches!(unnested(root), Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            {
                let name = Value::SingleQuotedString(field.value.clone());
                *expr = call("get_field", vec![take(root), Expr::Value(name.into())]);
            }
        }
        Expr::Like {
            pattern, escape_char, ..
        }
        | Expr::ILike {
            pattern, escape_char, ..
        } => plain_escape(pattern, escape_char),
        Expr::BinaryOp { op, left, right } => {
            if let BinaryOperator::PGCustomBinaryOperator(name) = op
                && let Some(plain) = plain_operator(name)
            {
                *op = plain;
            }
            compare_array_with_text(op, left, right);
        }
        Expr::Function(function) => rewrite_function(function),
        Expr::Identifier(name) if name.quote_style.is_none() && is_session_word(&name.value) => {
            let mut word = call(&name.value.to_ascii_lowercase(), Vec::new());
            if let Expr::Function(function) = &mut word {
                rewrite_function(function);
            }
            *expr = word;
        }
        Expr::Subquery(query) if is_no_row(query) => *expr = no_text(),
        Expr::Subquery(query) => {
            let outer_conditions = make_scalar(query);
            if let Some(conditions) = outer_conditions {
                *expr = Expr::Case {
                    case_token: datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
                    end_token: datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
                    operand: None,
                    conditions: vec![datafusion::sql::sqlparser::ast::CaseWhen {
                        condition: conditions,
                        result: Expr::Subquery(query.clone()),
                    }],
                    else_result: None,
                };
            }
        }
        _ => {}
    }
    if let Expr::Function(function) = expr
        && let Some(values) = array_of_subquery(function)
    {
        *expr = values;
    }
}

/// A pattern with an escape character of its own becomes one with backslashes, which is the one that DataFusion knows.
fn plain_escape(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let is_plain = |escape: &ValueWithSpan| matches!(&escape.value, Value::SingleQuotedString(text) if text == "\\");
    if let Some(escape) = escape.take().filter(|escape| !is_plain(escape)) {
        *pattern = call("like_escape", vec![take(pattern), Expr::Value(escape)]);
    }
}

/// Without its parentheses.
pub(super) fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

/// `OPERATOR(pg_catalog.~)` is `~`.
fn plain_operator(name: &[String]) -> Option<BinaryOperator> {
    Some(match name.last()?.as_str() {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

/// `roles = '{0}'`: an array written as text.
fn compare_array_with_text(op: &BinaryOperator, left: &mut Box<Expr>, right: &Expr) {
    let is_array_text = literal(right).is_some_and(|text| text.starts_with('{') && text.ends_with('}'));
    if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) && is_array_text && literal(left).is_none() {
        **left = call("array_out", vec![take(left)]);
    }
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn rewrite_function(function: &mut Function) {
    if function.name.0.len() == 2
        && part(&function.name, 0).is_some_and(|schema| schema.eq_ignore_ascii_case("pg_catalog"))
    {
        function.name.0.remove(0);
    }
    // current_user and its like come without parentheses.
    if part(&function.name, 0).is_some_and(is_session_word) && matches!(function.args, FunctionArguments::None) {
        function.args = arguments(Vec::new());
    }
}

fn is_session_word(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "current_user" | "session_user" | "user" | "current_role" | "current_schema" | "current_catalog"
    )
}

fn arguments(values: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: values
            .into_iter()
            .map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)))
            .collect(),
        clauses: Vec::new(),
    })
}

pub(super) fn call(name: &str, values: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: arguments(values),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// `ARRAY(SELECT x …)`.
fn array_of_subquery(function: &mut Function) -> Option<Expr> {
    let is_array = function.name.0.len() == 1 && part(&function.name, 0)?.eq_ignore_ascii_case("array");
    let FunctionArguments::Subquery(query) = &mut function.args else {
        return None;
    };
    if is_array && let Some((array, lambda)) = from_functions::transform_of_unnest(query) {
        return Some(call("array_transform", vec![array, lambda]));
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
        select.projection.as_mut_slice()
    else {
        return None;
    };
    if !is_array {
        return None;
    }
    if is_set_function(value) || select.distinct.is_some() || query.limit_clause.is_some() {
        return in_values::array_of(query);
    }
    let order = query.order_by.take();
    let wanted = take(value);
    *value = call("array_agg", vec![wanted.clone()]);
    if let (Some(order), Expr::Function(function)) = (order, value)
        && let OrderByKind::Expressions(mut order) = order.kind
        && let FunctionArguments::List(list) = &mut function.args
    {
        for by in &mut order {
            // ORDER BY 1 is by the value.
            if matches!(&by.expr, Expr::Value(value) if matches!(value.value, Value::Number(..))) {
                by.expr = wanted.clone();
            }
        }
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    Some(call(
        "coalesce",
        vec![Expr::Subquery(query.clone()), call("no_texts", Vec::new())],
    ))
}

/// Whether an expression is a call that gives rows.
fn is_set_function(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => function
            .name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .is_some_and(|name| {
                let name = name.value.to_ascii_lowercase();
                name == "unnest" || crate::functions::sets::find(&name).is_some()
            }),
        _ => false,
    }
}

/// Makes a correlated subquery used as a value an aggregate over its at most one row. Conditions on the outer query alone are taken out and
/// returned: they decide whether the subquery is asked at all.
fn make_scalar(query: &mut Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    let aliases = from_aliases(&select.from);
    let mut conditions = Vec::new();
    if let Some(selection) = select.selection.take() {
        split_conjunction(selection, &mut conditions);
    }
    let correlated = conditions.iter().any(|condition| mentions_other(condition, &aliases));
    let (outer, inner): (Vec<Expr>, Vec<Expr>) = conditions
        .into_iter()
        .partition(|condition| !aliases.is_empty() && only_other(condition, &aliases));
    let (unequal, inner): (Vec<Expr>, Vec<Expr>) = inner
        .into_iter()
        .partition(|condition| of_system(&select.from) && is_correlated_inequality(condition, &aliases));
    select.selection = conjunction(inner);
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if correlated
        && ungrouped
        && query.limit_clause.is_none()
        && let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
            select.projection.as_mut_slice()
        && !is_aggregate(value)
    {
        // Names and OIDs of system tables find one row at most.
        let aggregate = match of_system(&select.from) {
            true => "max",
            false => "only_value",
        };
        *value = call(aggregate, vec![take(value)]);
    }
    let template = query.clone();
    let mut conditions = outer;
    conditions.extend(unequal.into_iter().map(|mut condition| {
        let _: ControlFlow<()> = visit_expressions_mut(&mut condition, |expr| {
            if is_column_of(expr, &aliases) {
                *expr = Expr::Subquery(asking_for(&template, expr.clone()));
            }
            ControlFlow::Continue(())
        });
        condition
    }));
    conjunction(conditions)
}

/// Whether everything in FROM is a system table, where rows are found by OIDs, one for each.
fn of_system(from: &[TableWithJoins]) -> bool {
    let is_system = |factor: &TableFactor| match factor {
        TableFactor::Table { name, .. } => name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .is_some_and(|name| tables::find("pg_catalog", &name.value).is_some()),
        _ => false,
    };
    from.iter()
        .all(|table| is_system(&table.relation) && table.joins.iter().all(|join| is_system(&join.relation)))
}

/// `outer.x <> inner.y`, which DataFusion cannot join by: with the row found by the other conditions it can be checked outside.
fn is_correlated_inequality(condition: &Expr, aliases: &[String]) -> bool {
    let Expr::BinaryOp { left, op, right } = condition else {
        return false;
    };
    let sides = (mentions_other(left, aliases), mentions_other(right, aliases));
    *op == BinaryOperator::NotEq && (sides == (true, false) || sides == (false, true))
}

fn is_column_of(expr: &Expr, aliases: &[String]) -> bool {
    matches!(expr, Expr::CompoundIdentifier(parts)
        if matches!(parts.as_slice(), [qualifier, _] if aliases.contains(&qualifier.value)))
}

/// The same question about another column.
fn asking_for(template: &Query, column: Expr) -> Box<Query> {
    let mut query = template.clone();
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::UnnamedExpr(call("max", vec![column]))];
    }
    Box::new(query)
}

fn from_aliases(from: &[TableWithJoins]) -> Vec<String> {
    let factors = from
        .iter()
        .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    factors
        .filter_map(|factor| match factor {
            TableFactor::Table { name, alias, .. } => match alias {
                Some(alias) => Some(alias.name.value.clone()),
                None => part(name, name.0.len().checked_sub(1)?).map(str::to_owned),
            },
            TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.value.clone()),
            _ => None,
        })
        .collect()
}

fn split_conjunction(expr: Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            split_conjunction(*left, into);
            split_conjunction(*right, into);
        }
        Expr::Nested(inner) => split_conjunction(*inner, into),
        other => into.push(other),
    }
}

fn conjunction(conditions: Vec<Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    })
}

/// Qualifiers of the columns an expression names.
fn qualifiers(expr: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    let _ = datafusion::sql::sqlparser::ast::visit_expressions(expr, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [qualifier, _] = parts.as_slice()
        {
            found.push(qualifier.value.clone());
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

fn mentions_other(condition: &Expr, aliases: &[String]) -> bool {
    qualifiers(condition)
        .iter()
        .any(|qualifier| !aliases.contains(qualifier))
}

/// A plain qualified column of the outer query, standing alone as a condition.
fn only_other(condition: &Expr, aliases: &[String]) -> bool {
    matches!(condition, Expr::CompoundIdentifier(_)) && mentions_other(condition, aliases)
}

fn is_aggregate(expr: &Expr) -> bool {
    const AGGREGATES: [&str; 9] = [
        "array_agg",
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "max",
        "min",
        "string_agg",
        "sum",
    ];
    let Expr::Function(function) = expr else { return false };
    part(&function.name, function.name.0.len().saturating_sub(1))
        .is_some_and(|name| AGGREGATES.contains(&name.to_ascii_lowercase().as_str()))
}

/// Replaces selects that join a table which never has rows by their columns `WHERE false`.
///
/// Returns whether the whole is such a select.
fn empty_selects(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) if is_always_empty(select) => {
            make_empty(select);
            true
        }
        SetExpr::SetOperation { left, right, .. } => {
            empty_selects(left);
            empty_selects(right);
            false
        }
        _ => false,
    }
}

fn is_always_empty(select: &Select) -> bool {
    let plain = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let values = select.projection.iter().all(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !is_aggregate(expr),
        _ => false,
    });
    let no_kind = select.selection.as_ref().is_some_and(asks_for_no_kind);
    plain && values && (no_kind || select.from.iter().any(table_is_empty))
}

/// Takes `WHEN t.typtype = 'd' THEN …` out of a CASE: there are no domains and composite types, and what is asked about them is often more than
/// can be planned.
fn without_missing_kinds(expr: &mut Expr) {
    let Expr::Case {
        operand: None,
        conditions,
        else_result,
        ..
    } = expr
    else {
        return;
    };
    let never = |condition: &Expr| match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => {
            column_name(left) == Some("typtype")
                && literal(right).is_some_and(|kind| matches!(kind, "c" | "d" | "m" | "r"))
        }
        _ => false,
    };
    if !conditions.iter().any(|when| never(&when.condition)) {
        return;
    }
    let result_type = conditions
        .first()
        .map_or(DataType::Text, |when| asked_type(&when.result));
    conditions.retain(|when| !never(&when.condition));
    if conditions.is_empty() {
        let otherwise = else_result.take().map_or(Expr::Value(Value::Null.into()), |expr| *expr);
        *expr = cast(otherwise, result_type);
    }
}

/// The type of what a client asks about a type: OIDs, or names where it says so.
fn asked_type(result: &Expr) -> DataType {
    let Expr::Subquery(query) = result else {
        return DataType::Text;
    };
    let oid = DataType::Custom(ObjectName::from(vec![Ident::new("oid")]), Vec::new());
    let SetExpr::Select(select) = query.body.as_ref() else {
        return oid;
    };
    let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] = select.projection.as_slice()
    else {
        return oid;
    };
    if !is_aggregate(value) {
        return oid;
    }
    let item = match value.to_string().contains("::") {
        true => DataType::Text,
        false => oid,
    };
    DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), None))
}

fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) => Some(name.value.as_str()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

/// `c.relkind IN ('p', 'I')`: kinds of relations that there are none of, partitioned ones among them.
fn asks_for_no_kind(condition: &Expr) -> bool {
    let never =
        |item: &Expr| literal(item).is_some_and(|kind| matches!(kind, "p" | "I" | "f" | "S" | "c" | "t" | "m" | ""));
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => asks_for_no_kind(left) || asks_for_no_kind(right),
        Expr::Nested(inner) => asks_for_no_kind(inner),
        Expr::InList {
            expr,
            list,
            negated: false,
        } => column_name(expr) == Some("relkind") && list.iter().all(never),
        _ => false,
    }
}

fn table_is_empty(table: &TableWithJoins) -> bool {
    let left_survives = table.joins.iter().all(|join| {
        matches!(
            join.join_operator,
            JoinOperator::Join(_)
                | JoinOperator::Inner(_)
                | JoinOperator::CrossJoin(_)
                | JoinOperator::Left(_)
                | JoinOperator::LeftOuter(_)
        )
    });
    let inner = table.joins.iter().filter(|join| {
        matches!(
            join.join_operator,
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
        )
    });
    left_survives
        && std::iter::once(&table.relation)
            .chain(inner.map(|join| &join.relation))
            .any(factor_is_empty)
}

fn factor_is_empty(factor: &TableFactor) -> bool {
    let TableFactor::Table { name, args: None, .. } = factor else {
        return false;
    };
    match name.0.len() {
        1 => part(name, 0).is_some_and(|name| name.starts_with("pg_") && tables::is_always_empty(name)),
        2 => part(name, 0) == Some("pg_catalog") && part(name, 1).is_some_and(tables::is_always_empty),
        _ => false,
    }
}

/// Whether a subquery used as a value is one over a table that never has rows; such have been rewritten to `SELECT … WHERE false`.
fn is_no_row(query: &Query) -> bool {
    match query.body.as_ref() {
        SetExpr::Select(select) => {
            let never = Expr::Value(Value::Boolean(false).into());
            select.from.is_empty() && select.selection.as_ref() == Some(&never)
        }
        _ => false,
    }
}

/// NULL of the type that a column has: beside rows of another SELECT, in a UNION, it must be the same.
fn no_value(expr: &Expr, from: &[TableWithJoins]) -> Expr {
    let Some(name) = column_name(expr) else {
        return no_text();
    };
    let factors = from
        .iter()
        .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    let kind = factors
        .filter_map(|factor| match factor {
            TableFactor::Table { name, .. } => part(name, name.0.len().checked_sub(1)?),
            _ => None,
        })
        .find_map(|table| {
            let columns = &tables::find("pg_catalog", table)?.columns;
            columns.iter().find(|(own, _)| *own == name).map(|(_, kind)| *kind)
        });
    let own = |name: &str| DataType::Custom(ObjectName::from(vec![Ident::new(name)]), Vec::new());
    let data_type = match kind {
        Some(Kind::Bool) => DataType::Boolean,
        Some(Kind::Int2) => DataType::SmallInt(None),
        Some(Kind::Int4) => DataType::Integer(None),
        Some(Kind::Int8) => DataType::BigInt(None),
        Some(Kind::Oid) => own("oid"),
        Some(Kind::Name) => own("name"),
        _ => DataType::Text,
    };
    cast(Expr::Value(Value::Null.into()), data_type)
}

fn no_text() -> Expr {
    cast(Expr::Value(Value::Null.into()), DataType::Text)
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

/// Keeps names and number of the columns, and the types of plain columns; of the rest it is text.
fn make_empty(select: &mut Select) {
    for (position, item) in select.projection.iter_mut().enumerate() {
        let null = match item {
            SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr) => no_value(expr, &select.from),
            _ => no_text(),
        };
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.clone(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) if !parts.is_empty() => {
                parts[parts.len() - 1].clone()
            }
            _ => Ident::new(format!("column{}", position + 1)),
        };
        *item = SelectItem::ExprWithAlias {
            expr: null,
            alias: name,
        };
    }
    select.from = Vec::new();
    select.selection = Some(Expr::Value(Value::Boolean(false).into()));
}
