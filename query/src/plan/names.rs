//! Names of result columns as PostgreSQL gives them, and room for several columns of one name.
//!
//! DataFusion wants the columns of one SELECT to have different names. A column whose name is taken already is called `\u{1}n\u{1}name` inside the
//! plan; [`shown`] is what the client sees.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, Ident, SelectItem, SetExpr, TrimWhereField, TypedString, Value,
};

use super::types;

/// Begins and ends the number of a renamed column. No client can send it in a name that it would want to see again.
const MARK: char = '\u{1}';

/// The name that the client sees.
pub fn shown(name: &str) -> &str {
    match name.strip_prefix(MARK).and_then(|rest| rest.split_once(MARK)) {
        Some((number, name)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    }
}

/// Whether a name inside the plan stands for one that several columns have.
pub fn is_renamed(name: &str) -> bool {
    name.starts_with(MARK)
}

/// A plan's text without the inner names.
pub fn shown_in(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split(MARK);
    out.extend(parts.next());
    for part in parts {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        out.push_str(part);
    }
    out
}

/// An identifier as SQL folds it.
pub fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// How sure PostgreSQL is of a name; the weaker ones lose against a cast's type.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Strength {
    None,
    Weak,
    Sure,
}

/// PostgreSQL's name for an expression without an alias.
fn name_of(expr: &Expr) -> (String, Strength) {
    let sure = |name: &str| (name.to_string(), Strength::Sure);
    match expr {
        Expr::Identifier(ident) => (folded(ident), Strength::Sure),
        Expr::CompoundIdentifier(idents) => match idents.last() {
            Some(ident) => (folded(ident), Strength::Sure),
            None => (UNNAMED.to_string(), Strength::None),
        },
        Expr::Function(function) => (function_name(function), Strength::Sure),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => name_of(inner),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => (folded(ident), Strength::Sure),
            _ => name_of(root),
        },
        Expr::Cast { expr, data_type, .. } => match name_of(expr) {
            (name, Strength::Sure) => (name, Strength::Sure),
            _ => (types::column_name(data_type), Strength::Weak),
        },
        Expr::TypedString(TypedString { data_type, .. }) => (types::column_name(data_type), Strength::Weak),
        Expr::Interval(_) => ("interval".to_string(), Strength::Weak),
        Expr::Value(value) => match value.value {
            Value::Boolean(_) => ("bool".to_string(), Strength::Weak),
            _ => (UNNAMED.to_string(), Strength::None),
        },
        Expr::Case { else_result, .. } => match else_result.as_deref().map(name_of) {
            Some((name, Strength::Sure)) => (name, Strength::Sure),
            _ => ("case".to_string(), Strength::Weak),
        },
        Expr::Extract { .. } => sure("extract"),
        Expr::Ceil { .. } => sure("ceil"),
        Expr::Floor { .. } => sure("floor"),
        Expr::Position { .. } => sure("position"),
        Expr::Substring { shorthand: true, .. } => sure("substr"),
        Expr::Substring { .. } => sure("substring"),
        Expr::BinaryOp {
            op: BinaryOperator::Overlaps,
            ..
        } => sure("overlaps"),
        Expr::Overlay { .. } => sure("overlay"),
        Expr::Trim { trim_where, .. } => sure(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        Expr::AtTimeZone { .. } => sure("timezone"),
        Expr::Exists { .. } => sure("exists"),
        Expr::Array(_) => sure("array"),
        Expr::Struct { .. } | Expr::Tuple(_) => sure("row"),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => name_of(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => (folded(alias), Strength::Sure),
                _ => (UNNAMED.to_string(), Strength::None),
            },
            _ => (UNNAMED.to_string(), Strength::None),
        },
        _ => (UNNAMED.to_string(), Strength::None),
    }
}

const UNNAMED: &str = "?column?";

fn function_name(function: &Function) -> String {
    match function.name.0.last().and_then(|part| part.as_ident()) {
        Some(ident) => match folded(ident).as_str() {
            // What ARRAY(SELECT …) and x IN (SELECT …) have become.
            "array_transform" => "array".to_string(),
            "coalesce" if function.to_string().ends_with(" no_texts())") => "array".to_string(),
            "any_equal" | "quantified" => UNNAMED.to_string(),
            own => own.to_string(),
        },
        None => UNNAMED.to_string(),
    }
}

/// Whether an expression is nothing but a column.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Nested(inner) => is_column(inner),
        _ => false,
    }
}

/// Whether the expression's name is that of a column inside it: as an alias it would hide the column from GROUP BY and ORDER BY.
fn hides_column(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) | Expr::Collate { expr, .. } => {
            is_column(expr) || hides_column(expr)
        }
        Expr::CompoundFieldAccess { .. } => true,
        Expr::Case {
            else_result: Some(other),
            ..
        } => is_column(other) || hides_column(other),
        _ => false,
    }
}

/// Gives every item of a SELECT list a name of its own. `starred`: names that its wildcards bring in.
pub fn name_items(items: &mut [SelectItem], starred: &HashSet<String>, outermost: bool) {
    let mut taken = starred.clone();
    let mut chosen: Vec<Option<String>> = Vec::with_capacity(items.len());
    // What the user named comes first.
    let mut own = vec![false; items.len()];
    for (index, item) in items.iter().enumerate() {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            SelectItem::UnnamedExpr(expr) => Some(name_of(expr).0),
            _ => None,
        };
        let named = match item {
            SelectItem::ExprWithAlias { .. } => true,
            SelectItem::UnnamedExpr(expr) => is_column(expr),
            _ => false,
        };
        if named && let Some(name) = &name {
            own[index] = taken.insert(name.clone());
        }
        chosen.push(name);
    }
    // Of equal names inside a subquery none can be meant by its name alone: PostgreSQL calls that ambiguous.
    let ambiguous: HashSet<String> = match outermost {
        true => HashSet::new(),
        false => {
            let mut seen = HashSet::new();
            chosen
                .iter()
                .flatten()
                .filter(|name| !seen.insert(*name))
                .cloned()
                .collect()
        }
    };
    for (index, item) in items.iter_mut().enumerate() {
        let Some(name) = chosen[index].take() else {
            continue;
        };
        if own[index] && !ambiguous.contains(&name) {
            continue;
        }
        let placeholder = SelectItem::UnnamedExpr(Expr::Value(Value::Null.into()));
        let expr = match std::mem::replace(item, placeholder) {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
            other => {
                *item = other;
                continue;
            }
        };
        let free = !is_column(&expr)
            && !ambiguous.contains(&name)
            && (!outermost || !hides_column(&expr))
            && taken.insert(name.clone());
        let inner = match free {
            true => name,
            false => format!("{MARK}{index}{MARK}{name}"),
        };
        *item = SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', inner),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::ast::Statement;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn names(list: &str) -> Vec<String> {
        let sql = format!("SELECT {list} FROM t");
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap();
        let Statement::Query(query) = &mut statements[0] else {
            panic!("not a query")
        };
        let SetExpr::Select(select) = query.body.as_mut() else {
            panic!("not a select")
        };
        name_items(&mut select.projection, &HashSet::new(), true);
        let inner: HashSet<String> = select.projection.iter().map(ToString::to_string).collect();
        assert_eq!(inner.len(), select.projection.len(), "{inner:?}");
        let name = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => shown(&folded(alias)).to_string(),
            SelectItem::UnnamedExpr(expr) => name_of(expr).0,
            other => other.to_string(),
        };
        select.projection.iter().map(name).collect()
    }

    #[test]
    fn postgresqls_names() {
        let expected = [
            ("count(*)", "count"),
            ("1", "?column?"),
            ("a + 1", "?column?"),
            ("pg_catalog.now()", "now"),
            ("ts::date", "ts"),
            ("'1'::int", "int4"),
            ("1.5::numeric(4,2)", "numeric"),
            ("timestamp '2020-01-01'", "timestamp"),
            ("case when a then b else 1 end", "case"),
            ("case when a then 1 else b end", "b"),
            ("extract(epoch from ts)", "extract"),
            ("coalesce(a, b)", "coalesce"),
            ("ts at time zone 'UTC'", "timezone"),
            ("exists (select 1)", "exists"),
            ("(select max(x) from u)", "max"),
            ("array[1, 2]", "array"),
            ("true", "bool"),
            ("t.x", "x"),
            ("\"Mixed\"", "Mixed"),
            ("interval '1 day'", "interval"),
            ("(a)[1]", "a"),
        ];
        for (expr, name) in expected {
            assert_eq!(names(expr), [name], "{expr}");
        }
    }

    #[test]
    fn equal_names_are_told_apart_inside() {
        assert_eq!(names("1, 1"), ["?column?", "?column?"]);
        assert_eq!(names("x, x, max(x), max(y), y AS max"), ["x", "x", "max", "max", "max"]);
        assert_eq!(names("a.x, b.x"), ["x", "x"]);
        assert_eq!(shown_in("Sort: \u{1}1\u{1}max ASC"), "Sort: max ASC");
    }
}
