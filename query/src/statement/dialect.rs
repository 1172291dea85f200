//! PostgreSQL's syntax where sqlparser's dialect of it falls short: `BETWEEN SYMMETRIC`, `substring(a SIMILAR b ESCAPE c)`, `trim(TRAILING FROM a)`.
//!
//! Everything else is handed on to that dialect, for which this one gives itself out.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::plan::call_of;

const PG: PostgreSqlDialect = PostgreSqlDialect {};

/// The dialect of queries.
#[derive(Debug)]
pub struct PgDialect;

impl Dialect for PgDialect {
    /// sqlparser asks for its own dialect by its type in many places.
    fn dialect(&self) -> TypeId {
        PG.dialect()
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        let symmetric = |parser: &mut Parser, words: &[Keyword]| parser.parse_keywords(words);
        let negated = match () {
            _ if symmetric(parser, &[Keyword::BETWEEN, Keyword::SYMMETRIC]) => false,
            _ if symmetric(parser, &[Keyword::NOT, Keyword::BETWEEN, Keyword::SYMMETRIC]) => true,
            _ => return None,
        };
        Some(between_symmetric(parser, expr, negated))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let called = |parser: &Parser, name: &str, second: &[&str]| {
            let word = |token: &Token| match token {
                Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
                _ => String::new(),
            };
            let names = word(&parser.peek_token().token) == name && parser.peek_nth_token(1).token == Token::LParen;
            names && (second.is_empty() || second.contains(&word(&parser.peek_nth_token(2).token).as_str()))
        };
        if called(parser, "trim", &["leading", "trailing", "both"])
            && matches!(&parser.peek_nth_token(3).token, Token::Word(word) if word.keyword == Keyword::FROM)
        {
            return Some(trim_from(parser));
        }
        if called(parser, "substring", &[]) {
            // Only one way of writing it is ours; else the parser starts anew.
            return parser.maybe_parse(substring_similar).transpose();
        }
        None
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        PG.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        PG.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        PG.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        PG.is_identifier_part(ch)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        PG.supports_unicode_string_literal()
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        PG.is_reserved_for_identifier(kw)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        PG.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        PG.get_next_precedence(parser)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        PG.supports_filter_during_aggregation()
    }

    fn supports_group_by_expr(&self) -> bool {
        PG.supports_group_by_expr()
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        PG.prec_value(prec)
    }

    fn allow_extract_custom(&self) -> bool {
        PG.allow_extract_custom()
    }

    fn allow_extract_single_quotes(&self) -> bool {
        PG.allow_extract_single_quotes()
    }

    fn supports_create_index_with_clause(&self) -> bool {
        PG.supports_create_index_with_clause()
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        PG.supports_explain_with_utility_options()
    }

    fn supports_listen_notify(&self) -> bool {
        PG.supports_listen_notify()
    }

    fn supports_factorial_operator(&self) -> bool {
        PG.supports_factorial_operator()
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        PG.supports_bitwise_shift_operators()
    }

    fn supports_comment_on(&self) -> bool {
        PG.supports_comment_on()
    }

    fn supports_load_extension(&self) -> bool {
        PG.supports_load_extension()
    }

    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        PG.supports_named_fn_args_with_colon_operator()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        PG.supports_named_fn_args_with_expr_name()
    }

    fn supports_empty_projections(&self) -> bool {
        PG.supports_empty_projections()
    }

    fn supports_nested_comments(&self) -> bool {
        PG.supports_nested_comments()
    }

    fn supports_string_escape_constant(&self) -> bool {
        PG.supports_string_escape_constant()
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        PG.supports_numeric_literal_underscores()
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        PG.supports_array_typedef_with_brackets()
    }

    fn supports_geometric_types(&self) -> bool {
        PG.supports_geometric_types()
    }

    fn supports_set_names(&self) -> bool {
        PG.supports_set_names()
    }

    fn supports_alter_column_type_using(&self) -> bool {
        PG.supports_alter_column_type_using()
    }

    fn supports_notnull_operator(&self) -> bool {
        PG.supports_notnull_operator()
    }

    fn supports_interval_options(&self) -> bool {
        PG.supports_interval_options()
    }

    fn supports_insert_table_alias(&self) -> bool {
        PG.supports_insert_table_alias()
    }

    fn supports_create_table_like_parenthesized(&self) -> bool {
        PG.supports_create_table_like_parenthesized()
    }

    fn supports_select_wildcard_with_alias(&self) -> bool {
        PG.supports_select_wildcard_with_alias()
    }

    fn supports_comma_separated_trim(&self) -> bool {
        PG.supports_comma_separated_trim()
    }

    fn supports_xml_expressions(&self) -> bool {
        PG.supports_xml_expressions()
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        PG.supports_comment_optimizer_hint()
    }
}

/// `low` and `high` may come in either order.
fn between_symmetric(parser: &mut Parser, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    let precedence = PG.prec_value(Precedence::Between);
    let low = parser.parse_subexpr(precedence)?;
    parser.expect_keyword(Keyword::AND)?;
    let high = parser.parse_subexpr(precedence)?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(expr.clone()),
        negated: false,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let either = Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(between(&low, &high)),
        op: BinaryOperator::Or,
        right: Box::new(between(&high, &low)),
    }));
    Ok(match negated {
        true => Expr::Nested(Box::new(Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(either),
        })),
        false => either,
    })
}

/// `trim(TRAILING FROM a)`.
fn trim_from(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let name = match parser.parse_one_of_keywords(&[Keyword::LEADING, Keyword::TRAILING, Keyword::BOTH]) {
        Some(Keyword::LEADING) => "ltrim",
        Some(Keyword::TRAILING) => "rtrim",
        _ => "btrim",
    };
    parser.expect_keyword(Keyword::FROM)?;
    let value = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    Ok(call_of(name, vec![value]))
}

/// `substring(a SIMILAR b ESCAPE c)`.
fn substring_similar(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let value = parser.parse_subexpr(PG.prec_value(Precedence::Like))?;
    parser.expect_keyword(Keyword::SIMILAR)?;
    let pattern = parser.parse_expr()?;
    parser.expect_keyword(Keyword::ESCAPE)?;
    let escape = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    let expression = call_of("similar_to_escape", vec![pattern, escape]);
    Ok(call_of("substring", vec![value, expression]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut parser = Parser::new(&PgDialect).try_with_sql(text).unwrap();
        parser.parse_expr().unwrap().to_string()
    }

    #[test]
    fn what_the_parser_does_not_know() {
        assert_eq!(
            shown("x BETWEEN SYMMETRIC 3 AND 1"),
            "(x BETWEEN 3 AND 1 OR x BETWEEN 1 AND 3)"
        );
        assert_eq!(shown("trim(TRAILING FROM a)"), "rtrim(a)");
        assert_eq!(
            shown("substring(a SIMILAR b ESCAPE c)"),
            "substring(a, similar_to_escape(b, c))"
        );
        assert_eq!(shown("substring(a FROM 2 FOR 3)"), "SUBSTRING(a FROM 2 FOR 3)");
        assert_eq!(shown("x BETWEEN 1 AND 3"), "x BETWEEN 1 AND 3");
    }
}
