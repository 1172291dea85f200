//! What clients ask of system catalogs, put into words that DataFusion plans.
//!
//! | they write | it becomes |
//! |---|---|
//! | `pg_catalog.f(x)`, `a OPERATOR(pg_catalog.~) b`, `x COLLATE "C"` | `f(x)`, `a ~ b`, `x` |
//! | `'t'::regclass`, `oid::regclass` (and regtype, regnamespace) | `regclass_in('t')`, an OID; `regclass_out(oid)`, a name |
//! | `x::oid`, `x::name`, `x::"char"` | casts to the types that carry them |
//! | `ARRAY(SELECT x …)` | `coalesce((SELECT array_agg(x) …), no_texts())` |
//! | `(SELECT x FROM … WHERE y = outer)` as a value | `(SELECT max(x) …)`: a correlated value must be an aggregate to be planned |
//! | a SELECT joining a table that never has rows | the same columns `WHERE false`: nothing of it needs to be planned |
//!
//! Only statements that name a system schema, a system table or one of these forms come out changed.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, Statement, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::tables;
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
        empty_selects(&mut query.body);
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
        Expr::BinaryOp { op, left, right } => {
            if let BinaryOperator::PGCustomBinaryOperator(name) = op
                && let Some(plain) = plain_operator(name)
            {
                *op = plain;
            }
            compare_array_with_text(op, left, right);
        }
        Expr::Function(function) => rewrite_function(function),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr: inner,
            data_type,
            ..
        } => {
            if let Some(rewritten) = rewrite_cast(inner, data_type) {
                *expr = rewritten;
            }
        }
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
    if function.name.0.len() == 2 && part(&function.name, 0) == Some("pg_catalog") {
        function.name.0.remove(0);
    }
    // current_user and its like come without parentheses.
    let is_session_word = matches!(
        part(&function.name, 0).map(str::to_ascii_lowercase).as_deref(),
        Some("current_user" | "session_user" | "user" | "current_role" | "current_schema" | "current_catalog")
    );
    if is_session_word && matches!(function.args, FunctionArguments::None) {
        function.args = arguments(Vec::new());
    }
    if part(&function.name, 0).is_some_and(|name| name.eq_ignore_ascii_case("current_catalog")) {
        function.name = ObjectName::from(vec![Ident::new("current_database")]);
    }
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

fn call(name: &str, values: Vec<Expr>) -> Expr {
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

/// Casts to types that only the catalog knows.
fn rewrite_cast(inner: &mut Box<Expr>, data_type: &mut DataType) -> Option<Expr> {
    if matches!(data_type, DataType::Regclass) {
        return Some(object_cast("regclass", inner));
    }
    if let DataType::Array(element) = data_type {
        use datafusion::sql::sqlparser::ast::ArrayElemTypeDef::{Parenthesis, SquareBracket};
        if let SquareBracket(element, _) | Parenthesis(element) = element
            && let Some(known) = known_type(element)
        {
            **element = known;
        }
        return None;
    }
    let DataType::Custom(name, modifiers) = data_type else {
        return None;
    };
    if !modifiers.is_empty() {
        return None;
    }
    let word = part(name, name.0.len().checked_sub(1)?)?.to_ascii_lowercase();
    match word.as_str() {
        "regclass" | "regtype" | "regnamespace" => Some(object_cast(&word, inner)),
        "regproc" | "regprocedure" | "regrole" => Some(take(inner)),
        _ => {
            if let Some(known) = known_type(data_type) {
                *data_type = known;
            }
            None
        }
    }
}

/// The type that carries a type of pg_catalog: `oid`, `name`, `"char"`, and every name qualified by the schema.
fn known_type(data_type: &DataType) -> Option<DataType> {
    let DataType::Custom(name, _) = data_type else {
        return None;
    };
    let word = part(name, name.0.len().checked_sub(1)?)?.to_ascii_lowercase();
    Some(match word.as_str() {
        // Signed and wide, so that any text of a number can be cast.
        "oid" | "xid" | "cid" => DataType::BigInt(None),
        "name" | "char" | "text" | "varchar" | "bpchar" | "cstring" | "unknown" => DataType::Text,
        "int2" => DataType::SmallInt(None),
        "int4" => DataType::Int(None),
        "int8" => DataType::BigInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "bool" => DataType::Boolean,
        _ => return None,
    })
}

/// A text literal names an object and becomes its OID; anything else is an OID and becomes the object's name.
fn object_cast(kind: &str, inner: &mut Box<Expr>) -> Expr {
    let direction = if literal(inner).is_some() { "in" } else { "out" };
    call(&format!("{kind}_{direction}"), vec![take(inner)])
}

/// `ARRAY(SELECT x …)`.
fn array_of_subquery(function: &mut Function) -> Option<Expr> {
    let is_array = function.name.0.len() == 1 && part(&function.name, 0)?.eq_ignore_ascii_case("array");
    let FunctionArguments::Subquery(query) = &mut function.args else {
        return None;
    };
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
    *value = call("array_agg", vec![take(value)]);
    query.order_by = None;
    Some(call(
        "coalesce",
        vec![Expr::Subquery(query.clone()), call("no_texts", Vec::new())],
    ))
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
    select.selection = conjunction(inner);
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if correlated
        && ungrouped
        && query.limit_clause.is_none()
        && let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
            select.projection.as_mut_slice()
        && !is_aggregate(value)
    {
        *value = call("max", vec![take(value)]);
    }
    conjunction(outer)
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
fn empty_selects(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) if is_always_empty(select) => make_empty(select),
        SetExpr::SetOperation { left, right, .. } => {
            empty_selects(left);
            empty_selects(right);
        }
        _ => {}
    }
}

fn is_always_empty(select: &Select) -> bool {
    let plain = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let values = select.projection.iter().all(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !is_aggregate(expr),
        _ => false,
    });
    plain && values && select.from.iter().any(table_is_empty)
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

/// Keeps names and number of the columns; their type is text.
fn make_empty(select: &mut Select) {
    for (position, item) in select.projection.iter_mut().enumerate() {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.clone(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) if !parts.is_empty() => {
                parts[parts.len() - 1].clone()
            }
            _ => Ident::new(format!("column{}", position + 1)),
        };
        let null = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(Expr::Value(Value::Null.into())),
            data_type: DataType::Text,
            array: false,
            format: None,
        };
        *item = SelectItem::ExprWithAlias {
            expr: null,
            alias: name,
        };
    }
    select.from = Vec::new();
    select.selection = Some(Expr::Value(Value::Boolean(false).into()));
}
