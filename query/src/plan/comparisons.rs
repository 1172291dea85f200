//! Syntax that is a call of a function: patterns with ESCAPE, SIMILAR TO, ANY and ALL of arrays, subscripts, SUBSTRING … FROM, named arguments.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgOperator, FunctionArguments, Subscript, UnaryOperator, Value, ValueWithSpan,
};

use super::names::folded;
use super::rewrite::call_all;

fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_string()).into())
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.to_string(), false).into())
}

fn double(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(expr),
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    }
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn negated(expr: Expr, negated: bool) -> Expr {
    match negated {
        true => Expr::Nested(Box::new(Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(expr),
        })),
        false => expr,
    }
}

/// SUBSTRING, OVERLAY and POSITION in their own syntax.
pub fn keyword_call(expr: &mut Expr) {
    let call = match &*expr {
        Expr::Substring {
            expr: source,
            substring_from,
            substring_for,
            ..
        } => {
            let from = substring_from
                .as_ref()
                .map_or_else(|| number("1"), |from| *from.clone());
            let mut args = vec![*source.clone(), from];
            args.extend(substring_for.as_ref().map(|count| *count.clone()));
            call_all("substring", args)
        }
        Expr::Overlay {
            expr: source,
            overlay_what,
            overlay_from,
            overlay_for,
        } => {
            let mut args = vec![*source.clone(), *overlay_what.clone(), *overlay_from.clone()];
            args.extend(overlay_for.as_ref().map(|count| *count.clone()));
            call_all("overlay", args)
        }
        Expr::Position { expr: wanted, r#in } => call_all("position", vec![*r#in.clone(), *wanted.clone()]),
        _ => return,
    };
    *expr = call;
}

/// Operators before a value: roots, `@` and `~`; and a minus before `^`, to which it belongs more closely.
pub fn unary(expr: &mut Expr) {
    let Expr::UnaryOp { op, expr: value } = &mut *expr else {
        return;
    };
    let call = match op {
        // Unlike the function, the operator is one of doubles alone.
        UnaryOperator::PGSquareRoot => call_all("sqrt", vec![double(*value.clone())]),
        UnaryOperator::PGCubeRoot => call_all("cbrt", vec![*value.clone()]),
        UnaryOperator::PGAbs => call_all("abs", vec![*value.clone()]),
        UnaryOperator::BitwiseNot => Expr::Nested(Box::new(Expr::BinaryOp {
            left: value.clone(),
            op: BinaryOperator::PGBitwiseXor,
            right: Box::new(Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: Box::new(number("1")),
            }),
        })),
        UnaryOperator::Minus => match negated_base(value) {
            Some(power) => power,
            None => return,
        },
        _ => return,
    };
    *expr = call;
}

/// `a ^ b` with its first base negated.
fn negated_base(expr: &Expr) -> Option<Expr> {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::PGExp,
        right,
    } = expr
    else {
        return None;
    };
    let left = negated_base(left).unwrap_or_else(|| Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: left.clone(),
    });
    Some(Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::PGExp,
        right: right.clone(),
    })
}

/// `array[1]`, `array[1:2]`, one after the other. Anything else stays as it is.
pub fn subscript(expr: &mut Expr) {
    let Expr::CompoundFieldAccess { root, access_chain } = &*expr else {
        return;
    };
    let index_of = |access: &AccessExpr| match access {
        AccessExpr::Subscript(Subscript::Index { index }) => Some(index.clone()),
        _ => None,
    };
    let indexes: Option<Vec<Expr>> = access_chain.iter().map(index_of).collect();
    // Numbers alone are one element of an array of so many dimensions; words lead into a jsonb step by step.
    let number =
        |index: &Expr| !matches!(index, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    if let Some(indexes) = indexes.filter(|indexes| indexes.len() > 1 && indexes.iter().all(number)) {
        let args = std::iter::once(*root.clone()).chain(indexes);
        *expr = call_all("array_element_at", args.collect());
        return;
    }
    let mut found = *root.clone();
    for access in access_chain {
        found = match access {
            AccessExpr::Subscript(Subscript::Index { index }) => {
                call_all("array_element_at", vec![found, index.clone()])
            }
            AccessExpr::Subscript(Subscript::Slice {
                lower_bound,
                upper_bound,
                stride: None,
            }) => {
                let bound = |bound: &Option<Expr>| bound.clone().unwrap_or_else(null);
                call_all("array_slice_of", vec![found, bound(lower_bound), bound(upper_bound)])
            }
            _ => return,
        };
    }
    *expr = found;
}

/// The escape character that is written; a backslash needs none.
fn escape(written: &Option<ValueWithSpan>) -> Option<Expr> {
    match written.as_ref().map(|written| &written.value) {
        Some(Value::SingleQuotedString(escape)) if escape != "\\" => Some(text(escape)),
        _ => None,
    }
}

/// The array of `LIKE ANY (array)` or `LIKE ALL (array)`: the parser reads ALL as a function.
fn quantifier(any: bool, pattern: &Expr) -> Option<(&'static str, Expr)> {
    if any {
        return Some(("ANY", pattern.clone()));
    }
    if let Expr::Function(function) = pattern
        && let FunctionArguments::List(list) = &function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] = list.args.as_slice()
        && let Some(name) = function.name.0.last().and_then(|part| part.as_ident())
    {
        return match folded(name).as_str() {
            "all" => Some(("ALL", array.clone())),
            "some" | "any" => Some(("ANY", array.clone())),
            _ => None,
        };
    }
    None
}

/// LIKE, ILIKE and SIMILAR TO where DataFusion's mean something else or less.
pub fn pattern(expr: &mut Expr) {
    let call = match &*expr {
        Expr::Like {
            negated: not,
            any,
            expr: subject,
            pattern,
            escape_char,
        }
        | Expr::ILike {
            negated: not,
            any,
            expr: subject,
            pattern,
            escape_char,
        } => {
            let (is, is_not, matches) = match &*expr {
                Expr::ILike { .. } => ("~~*", "!~~*", "ilike_escape_match"),
                _ => ("~~", "!~~", "like_escape_match"),
            };
            if let Some((word, array)) = quantifier(*any, pattern) {
                let op = if *not { is_not } else { is };
                call_all("quantified", vec![text(word), text(op), *subject.clone(), array])
            } else if let Some(escape) = escape(escape_char) {
                let args = vec![*subject.clone(), *pattern.clone(), escape];
                negated(call_all(matches, args), *not)
            } else {
                return;
            }
        }
        Expr::SimilarTo {
            negated: not,
            expr: subject,
            pattern,
            escape_char,
        } => {
            let mut args = vec![*subject.clone(), *pattern.clone()];
            args.extend(escape(escape_char));
            negated(call_all("similar_match", args), *not)
        }
        _ => return,
    };
    *expr = call;
}

fn operator(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        BinaryOperator::PGLikeMatch => "~~",
        BinaryOperator::PGILikeMatch => "~~*",
        BinaryOperator::PGNotLikeMatch => "!~~",
        BinaryOperator::PGNotILikeMatch => "!~~*",
        _ => return None,
    })
}

/// `x < ANY (array)`, `x > ALL (array)`; subqueries stay as they are.
pub fn quantified(expr: &mut Expr) {
    let (word, left, op, right) = match &*expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => ("ANY", left, compare_op, right),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => ("ALL", left, compare_op, right),
        _ => return,
    };
    if let (Some(op), false) = (operator(op), matches!(right.as_ref(), Expr::Subquery(_))) {
        let args = vec![text(word), text(op), *left.clone(), *right.clone()];
        *expr = call_all("quantified", args);
    }
}

/// Names of arguments and what they are when they are left out.
const NAMED: &[(&str, &[&str], &str)] = &[(
    "make_interval",
    &["years", "months", "weeks", "days", "hours", "mins", "secs"],
    "0",
)];

/// `make_interval(days => 10)` with its arguments in their places.
pub fn named_arguments(name: &str, function: &mut Function) {
    let Some((_, names, default)) = NAMED.iter().find(|(own, ..)| *own == name) else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let is_named = |arg: &FunctionArg| matches!(arg, FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. });
    if !list.args.iter().any(is_named) {
        return;
    }
    let mut places: Vec<Option<Expr>> = vec![None; names.len()];
    for (place, arg) in list.args.iter().enumerate() {
        let (own, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (Some(place), value),
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
            } => (names.iter().position(|own| *own == folded(name)), value),
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg: FunctionArgExpr::Expr(value),
                ..
            } => (names.iter().position(|own| *own == folded(name)), value),
            _ => return,
        };
        match own.and_then(|own| places.get_mut(own)) {
            Some(slot @ None) => *slot = Some(value.clone()),
            // A name that there is not, or a place filled twice: no such function.
            _ => return,
        }
    }
    list.args = places
        .into_iter()
        .map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value.unwrap_or_else(|| number(default)))))
        .collect();
}
