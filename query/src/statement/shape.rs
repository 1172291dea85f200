//! The shape of a query: its text with the quoted literals and the whole numbers taken out. Queries of one shape differ in what they compare with only, and one
//! plan, with parameters in the literals' place, serves them all.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::{Location, Span};

use super::lexer::{TokenKind, token_at};
use crate::pg_type::oid;

/// Longer texts are rarely sent again, and cost more to compare.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// What is the same in all queries of a shape, and what this one has in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Words and signs between single spaces, a quote or a zero in the place of each literal.
    pub key: String,
    pub literals: Vec<Literal>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Literal {
    pub text: String,
    pub kind: LiteralKind,
    /// Byte of the statement where it begins.
    start: usize,
}

impl Shape {
    /// The type of the parameter in a literal's place; 0: that of what it is compared with.
    pub fn parameter_type(&self, literal: usize) -> u32 {
        match self.literals.get(literal).map(|literal| literal.kind) {
            Some(LiteralKind::Integer) => oid::INT8,
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiteralKind {
    /// In quotes: of the type that stands beside it.
    Text,
    /// A whole number that a bigint holds.
    Integer,
}

/// The shape of a string that holds one query, and nothing that is a parameter already.
pub(crate) fn shape(sql: &str) -> Option<Shape> {
    if sql.len() > TEXT_BYTES_MAX {
        return None;
    }
    let first = token_at(sql, 0).ok()?;
    if first.kind != TokenKind::Word || !matches!(&*first.value, "select" | "with") {
        return None;
    }
    let mut shape = Shape {
        key: String::with_capacity(sql.len()),
        literals: Vec::new(),
    };
    let mut at = 0;
    loop {
        let token = token_at(sql, at).ok()?;
        at = token.end;
        match token.kind {
            TokenKind::End => return Some(shape),
            TokenKind::Parameter => return None,
            TokenKind::Symbol if token.value == ";" => {
                let after = token_at(sql, at).ok()?;
                return (after.kind == TokenKind::End).then_some(shape);
            }
            TokenKind::Text => {
                shape.key.push_str("' ");
                shape.literals.push(Literal {
                    text: token.value.into_owned(),
                    kind: LiteralKind::Text,
                    start: token.start - first.start,
                });
            }
            TokenKind::Number if is_integer(&token.value) => {
                shape.key.push_str("0 ");
                shape.literals.push(Literal {
                    text: token.value.into_owned(),
                    kind: LiteralKind::Integer,
                    start: token.start - first.start,
                });
            }
            _ => {
                shape.key.push_str(&sql[token.start..token.end]);
                shape.key.push(' ');
            }
        }
    }
}

/// Digits alone: other numbers have types that depend on how they are written.
fn is_integer(number: &str) -> bool {
    number.bytes().all(|byte| byte.is_ascii_digit()) && number.parse::<i64>().is_ok()
}

/// A query with parameters in the place of literals.
pub(crate) struct Parametrised {
    pub query: ast::Statement,
    /// For each parameter the literal, by its number in the shape.
    pub literals: Vec<usize>,
}

/// Puts a parameter for each literal that a column is compared with in a WHERE. `text`: the statement's; `None` if the shape is not its own.
pub(crate) fn parametrise(query: &ast::Statement, shape: &Shape, text: &str) -> Option<Parametrised> {
    let places = shape.literals.iter().map(|literal| location(text, literal.start));
    let places = places.collect::<Option<Vec<Location>>>()?;
    let mut parametrised = Parametrised {
        query: query.clone(),
        literals: Vec::new(),
    };
    let mut replace = Replace {
        shape,
        places: &places,
        literals: &mut parametrised.literals,
    };
    let _ = VisitMut::visit(&mut parametrised.query, &mut replace);
    Some(parametrised)
}

/// Line and column of a byte, both from 1, in characters: as sqlparser tells where a value stands.
fn location(text: &str, byte: usize) -> Option<Location> {
    let before = text.get(..byte)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
    Some(Location::new(line, before[line_start..].chars().count() as u64 + 1))
}

/// Walks to the WHEREs.
struct Replace<'a> {
    shape: &'a Shape,
    places: &'a [Location],
    literals: &'a mut Vec<usize>,
}

impl VisitorMut for Replace<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<()> {
        if let Some(selection) = &mut select.selection {
            self.condition(selection);
        }
        ControlFlow::Continue(())
    }
}

impl Replace<'_> {
    /// Conditions under AND and OR.
    fn condition(&mut self, condition: &mut Expr) {
        match condition {
            Expr::Nested(inner) => self.condition(inner),
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::And | BinaryOperator::Or => {
                    self.condition(left);
                    self.condition(right);
                }
                BinaryOperator::Eq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq => {
                    if is_column(left) {
                        self.literal(right);
                    } else if is_column(right) {
                        self.literal(left);
                    }
                }
                _ => {}
            },
            Expr::Between { expr, low, high, .. } if is_column(expr) => {
                self.literal(low);
                self.literal(high);
            }
            Expr::InList { expr, list, .. } if is_column(expr) => list.iter_mut().for_each(|item| self.literal(item)),
            _ => {}
        }
    }

    fn literal(&mut self, expr: &mut Expr) {
        if let Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } = expr
        {
            return self.literal(expr);
        }
        let Expr::Value(value) = expr else {
            return;
        };
        let (text, kind) = match &value.value {
            Value::SingleQuotedString(text) => (text, LiteralKind::Text),
            Value::Number(digits, false) => (digits, LiteralKind::Integer),
            _ => return,
        };
        let place = self.places.iter().position(|place| *place == value.span.start);
        let literals = &self.shape.literals;
        if let Some(index) = place.filter(|index| literals[*index].text == *text && literals[*index].kind == kind) {
            self.literals.push(index);
            let name = format!("${}", self.literals.len());
            *expr = Expr::Value(Value::Placeholder(name).with_span(Span::empty()));
        }
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::parse_with_sqlparser;

    fn parametrised(sql: &str) -> Option<(String, Vec<usize>)> {
        let query = parse_with_sqlparser(sql).unwrap();
        let found = parametrise(&query, &shape(sql).unwrap(), sql)?;
        Some((found.query.to_string(), found.literals))
    }

    #[test]
    fn queries_that_differ_in_literals_and_space_have_one_shape() {
        let one = shape("SELECT * FROM cpu WHERE hostname = 'host_1' AND ts > '2026-01-01'").unwrap();
        let other = shape("SELECT *  FROM cpu -- newest\n WHERE hostname = 'it''s' AND ts > '';").unwrap();
        assert_eq!(one.key, other.key);
        assert_eq!(
            other.literals.iter().map(|literal| &*literal.text).collect::<Vec<_>>(),
            ["it's", ""]
        );
        let number = shape("SELECT * FROM cpu WHERE hostname = 'a' LIMIT 5").unwrap();
        let another = shape("SELECT * FROM cpu WHERE hostname = 'a' LIMIT 6").unwrap();
        assert_eq!(number.key, another.key);
        assert_ne!(number.literals, another.literals);
        let fraction = shape("SELECT * FROM cpu WHERE hostname = 'a' LIMIT 6.0").unwrap();
        assert_ne!(number.key, fraction.key);
    }

    #[test]
    fn only_single_queries_without_parameters_have_a_shape() {
        for sql in [
            "SELECT $1",
            "SELECT 1; SELECT 2",
            "INSERT INTO t VALUES ('x')",
            "SELECT 'open",
            "",
        ] {
            assert_eq!(shape(sql), None, "{sql}");
        }
    }

    #[test]
    fn literals_beside_columns_in_where_become_parameters() {
        let (query, literals) = parametrised(
            "SELECT 'x' AS label, date_trunc('hour', ts)\n FROM cpu WHERE é = 'ä' AND (ts BETWEEN 'a' AND 'b' OR name IN ('c', 'd')) GROUP BY 2",
        )
        .unwrap();
        assert_eq!(
            query,
            "SELECT 'x' AS label, date_trunc('hour', ts) FROM cpu WHERE é = $1 AND (ts BETWEEN $2 AND $3 OR name IN ($4, $5)) GROUP BY 2"
        );
        assert_eq!(literals, [2, 3, 4, 5, 6]);
        let (query, literals) =
            parametrised("SELECT 1 FROM cpu WHERE usage > 90 AND host = 'a' AND load BETWEEN -5 AND 1.5 LIMIT 3")
                .unwrap();
        assert_eq!(
            query,
            "SELECT 1 FROM cpu WHERE usage > $1 AND host = $2 AND load BETWEEN -$3 AND 1.5 LIMIT 3"
        );
        assert_eq!(literals, [1, 2, 3]);
    }

    #[test]
    fn other_literals_stay() {
        for sql in [
            "SELECT * FROM cpu WHERE ts > now() - interval '1 hour'",
            "SELECT * FROM cpu WHERE ts > '2026-01-01'::timestamptz",
            "SELECT * FROM cpu WHERE name LIKE 'a%'",
            "SELECT * FROM cpu WHERE lower(name) = 'a'",
            "SELECT name = 'a' FROM cpu",
            "SELECT * FROM cpu WHERE name = E'a\\n'",
        ] {
            assert_eq!(parametrised(sql), Some((written(sql), vec![])), "{sql}");
        }
    }

    fn written(sql: &str) -> String {
        parse_with_sqlparser(sql).unwrap().to_string()
    }
}
