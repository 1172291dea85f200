//! Reads a statement token by token, with errors worded and placed as PostgreSQL's.

use std::cell::Cell;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::lexer::{Token, TokenKind, character_at, syntax_error_at, token_at};
use super::{Place, TableName};
use crate::{ErrorKind, QueryError};

/// A statement's tokens and a place among them.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// The last one is the end.
    tokens: Vec<Token<'a>>,
    at: usize,
    /// A byte whose character was asked for, and the characters before it: long statements ask again and again, further on each time.
    counted: Cell<(usize, usize)>,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Result<Cursor<'a>, QueryError> {
        let mut tokens = Vec::new();
        let mut byte = 0;
        loop {
            let token = token_at(text, byte)?;
            byte = token.end;
            let done = token.kind == TokenKind::End;
            tokens.push(token);
            if done {
                return Ok(Cursor {
                    text,
                    tokens,
                    at: 0,
                    counted: Cell::new((0, 0)),
                });
            }
        }
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    pub fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    pub fn peek_second(&self) -> &Token<'a> {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    pub fn next(&mut self) -> Token<'a> {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// Byte of the next token.
    pub fn byte(&self) -> usize {
        self.peek().start
    }

    /// A place to come back to with [`Cursor::return_to`].
    pub fn mark(&self) -> usize {
        self.at
    }

    pub fn return_to(&mut self, mark: usize) {
        self.at = mark;
    }

    pub fn at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    pub fn at_word(&self, word: &str) -> bool {
        self.peek().is_word(word)
    }

    pub fn at_symbol(&self, symbol: &str) -> bool {
        self.peek().is_symbol(symbol)
    }

    /// Takes the words if all of them are next.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let mark = self.at;
        for word in words {
            if !self.at_word(word) {
                self.at = mark;
                return false;
            }
            self.at += 1;
        }
        true
    }

    pub fn take_word(&mut self, word: &str) -> bool {
        self.take(&[word])
    }

    /// Takes whichever of the words is next.
    pub fn take_any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let found = words.iter().find(|word| self.at_word(word)).copied();
        self.at += usize::from(found.is_some());
        found
    }

    pub fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, words: &[&str]) -> Result<(), QueryError> {
        for word in words {
            if !self.take_word(word) {
                return Err(self.error());
            }
        }
        Ok(())
    }

    pub fn expect_symbol(&mut self, symbol: &str) -> Result<(), QueryError> {
        match self.take_symbol(symbol) {
            true => Ok(()),
            false => Err(self.error()),
        }
    }

    pub fn expect_end(&self) -> Result<(), QueryError> {
        match self.at_end() {
            true => Ok(()),
            false => Err(self.error()),
        }
    }

    /// `syntax error at or near` the next token.
    pub fn error(&self) -> QueryError {
        syntax_error_at(self.text, self.peek())
    }

    /// The number, from 1, of the character that the next token begins with.
    pub fn character(&self) -> usize {
        let byte = self.byte();
        let (from, before) = match self.counted.get() {
            counted if counted.0 <= byte => counted,
            _ => (0, 0),
        };
        let characters = before + self.text[from..byte].chars().count();
        self.counted.set((byte, characters));
        characters + 1
    }

    /// An error that points at a byte of the statement.
    pub fn error_at(&self, byte: usize, kind: ErrorKind, message: impl Into<String>) -> QueryError {
        QueryError::new(kind, message).with_position(character_at(self.text, byte))
    }

    /// A statement that is understood but not offered, pointing at the next token.
    pub fn unsupported(&self, what: &str) -> QueryError {
        let message = format!("{what} is not supported");
        self.error_at(self.byte(), ErrorKind::FeatureNotSupported, message)
    }

    pub fn name(&mut self) -> Result<String, QueryError> {
        match self.peek().kind {
            TokenKind::Word | TokenKind::QuotedName => Ok(self.next().value.into_owned()),
            _ => Err(self.error()),
        }
    }

    /// `meters`, `public.meters`, `power.meters`, `power.public.meters`.
    pub fn table_name(&mut self) -> Result<TableName, QueryError> {
        let character = self.character();
        let mut parts = vec![self.name()?];
        while parts.len() < 3 && self.take_symbol(".") {
            parts.push(self.name()?);
        }
        let name = parts.pop().expect("holds at least one name");
        let mut parts = parts.into_iter();
        let (database, schema) = match (parts.next(), parts.next()) {
            (Some(database), Some(schema)) => (Some(database), Some(schema)),
            (schema, _) => (None, schema),
        };
        Ok(TableName {
            database,
            schema,
            name,
            place: Place::Character(character),
        })
    }

    /// `'text'`
    pub fn string(&mut self) -> Result<String, QueryError> {
        match self.peek().kind {
            TokenKind::Text => Ok(self.next().value.into_owned()),
            _ => Err(self.error()),
        }
    }

    pub fn integer<T: std::str::FromStr>(&mut self) -> Result<T, QueryError> {
        let token = self.peek();
        match (token.kind, token.value.parse()) {
            (TokenKind::Number, Ok(number)) => {
                self.at += 1;
                Ok(number)
            }
            _ => Err(self.error()),
        }
    }

    /// `(a, b, c)` of whatever `item` reads.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, QueryError>) -> Result<Vec<T>, QueryError> {
        self.expect_symbol("(")?;
        let mut items = vec![item(self)?];
        while self.take_symbol(",") {
            items.push(item(self)?);
        }
        self.expect_symbol(")")?;
        Ok(items)
    }

    /// An expression up to a comma, a closing bracket, the end, or one of these words outside of brackets.
    pub fn expression(&mut self, stops: &[&str]) -> Result<SourceExpr, QueryError> {
        let (from, start) = (self.at, self.byte());
        let mut depth = 0usize;
        loop {
            let token = self.peek();
            let stops_here = token.kind == TokenKind::Word && stops.contains(&&*token.value) && self.at > from;
            match &*token.value {
                _ if token.kind == TokenKind::End => break,
                _ if depth == 0 && stops_here => break,
                "," | ")" if token.kind == TokenKind::Symbol && depth == 0 => break,
                "(" | "[" if token.kind == TokenKind::Symbol => depth += 1,
                ")" | "]" if token.kind == TokenKind::Symbol => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        if self.at == from {
            return Err(self.error());
        }
        let text = &self.text[start..self.tokens[self.at - 1].end];
        let single = (self.at == from + 1).then(|| literal(&self.tokens[from])).flatten();
        Ok(SourceExpr {
            expr: match single {
                Some(literal) => literal,
                None => parse_expr(text, self.text, start)?,
            },
            text: text.to_string(),
        })
    }
}

/// The literal that a token is by itself: a statement with the tags of ten thousand tables has little else, and a parser for each costs more
/// than making the tables.
fn literal(token: &Token<'_>) -> Option<ast::Expr> {
    let value = match token.kind {
        TokenKind::Text => ast::Value::SingleQuotedString(token.value.to_string()),
        TokenKind::Number => ast::Value::Number(token.value.to_string(), false),
        _ => return None,
    };
    Some(ast::Expr::Value(value.with_empty_span()))
}

/// An expression with its text.
#[derive(Clone, Debug)]
pub(crate) struct SourceExpr {
    pub text: String,
    pub expr: ast::Expr,
}

/// Parses an expression that stands at a byte of a statement.
fn parse_expr(text: &str, statement: &str, byte: usize) -> Result<ast::Expr, QueryError> {
    let parse = || {
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text)?;
        let mut expr = parser.parse_expr()?;
        super::precedence::mend(&mut expr);
        parser.expect_token(&datafusion::sql::sqlparser::tokenizer::Token::EOF)?;
        Ok(expr)
    };
    parse().map_err(|error| {
        let before = character_at(statement, byte) - 1;
        syntax_error(text, error).placed(text, before)
    })
}

/// An error of sqlparser in the words of PostgreSQL: `syntax error at or near "x"`, pointing at x.
pub(crate) fn syntax_error(text: &str, error: ParserError) -> QueryError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            let message = "statement is nested too deeply";
            return QueryError::new(ErrorKind::StatementTooComplex, message);
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let Some(byte) = place_of(&message).and_then(|(line, column)| byte_of(text, line, column)) else {
        // The parser's own words, which name what it wanted, without its "found: EOF".
        let end = message.contains("found: EOF");
        return match end {
            true => syntax_error_at(text, &end_of(text)),
            false => QueryError::new(
                ErrorKind::SyntaxError,
                format!("syntax error: {}", message.replace('\n', " ")),
            ),
        };
    };
    match token_at(text, byte) {
        Ok(token) => {
            let error = syntax_error_at(text, &token);
            match message
                .split_once(", found:")
                .and_then(|(wanted, _)| wanted.split_once("Expected: "))
            {
                Some((_, wanted)) => error.with_detail(format!("expected {}", wanted.replace('\n', " "))),
                None => error,
            }
        }
        Err(error) => error,
    }
}

fn end_of(text: &str) -> Token<'_> {
    Token {
        kind: TokenKind::End,
        value: "".into(),
        start: text.len(),
        end: text.len(),
    }
}

/// The place that sqlparser writes at the end of its messages: ` at Line: 1, Column: 8`.
fn place_of(message: &str) -> Option<(usize, usize)> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let digits = column
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(column.len());
    Some((line.parse().ok()?, column[..digits].parse().ok()?))
}

fn byte_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let rest = text.get(before..)?;
    let offset = rest
        .char_indices()
        .nth(column.checked_sub(1)?)
        .map_or(rest.len(), |(offset, _)| offset);
    Some(before + offset)
}
