//! INSERT's text: every form of it into a list of tables, each with its rows of tokens.
//!
//! ```text
//! INSERT INTO name [(columns)] VALUES (…), (…)                                        PostgreSQL
//! INSERT INTO name [USING supertable [(tags)] TAGS (…)] [(columns)] VALUES (…) (…)    TDengine, then the next name
//! INSERT INTO name [(columns)] SELECT …
//! … ON CONFLICT …
//! ```
//!
//! What the values become is decided in `insert_bind.rs` and `insert_rows.rs`, when the table is known.

use std::ops::Range;
use std::sync::Arc;

pub use super::insert_bind::PreparedInsert;
use super::insert_expressions::{now, parameters_in, type_name};
use super::lexer::{Cursor, Literal, Token, Value, position};
use super::target::{ColumnName, RelationName};
use crate::{ErrorKind, QueryError};

/// An INSERT, parsed but not yet looked up in the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InsertStatement {
    pub(super) inner: Arc<Insert>,
}

#[derive(Debug, Default)]
pub(super) struct Insert {
    /// The statement's own text, which the tokens point into.
    pub text: String,
    pub clauses: Vec<Clause>,
    /// All values of all clauses.
    pub tokens: Vec<Token>,
    /// Strings that had to be unescaped.
    pub texts: Vec<String>,
    pub expressions: Vec<Expression>,
    pub conflict: OnConflict,
    /// The list of RETURNING: bytes of the text.
    pub returning: Option<Range<usize>>,
    /// The highest `$n`.
    pub parameters: usize,
    /// The word DEFAULT is among the values.
    pub has_default: bool,
}

/// One table of the statement.
#[derive(Debug)]
pub(super) struct Clause {
    pub table: RelationName,
    /// AS, for RETURNING.
    pub alias: Option<String>,
    pub columns: Option<Vec<ColumnName>>,
    pub using: Option<Using>,
    pub source: Source,
}

#[derive(Debug)]
pub(super) struct Using {
    pub supertable: RelationName,
    pub tag_names: Option<Vec<ColumnName>>,
    pub tags: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Source {
    /// Rows of `width` tokens each.
    Values { tokens: Range<usize>, width: usize },
    /// A query: bytes of the text.
    Query(Range<usize>),
}

/// A value that is more than a literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression {
    /// Its bytes in the text.
    pub span: Range<usize>,
    pub form: Form,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// `now()`, with so many nanoseconds added.
    Now { offset_ns: i64 },
    /// A literal with a type: `'…'::type`, `timestamp '…'`.
    Typed { value: Token, type_oid: u32 },
    /// Anything else: the planner evaluates it.
    General,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum OnConflict {
    #[default]
    None,
    DoNothing,
    /// The columns set to their new values.
    Update(Vec<ColumnName>),
}

/// Parses an INSERT that begins at the start of `sql` (after comments). Answers with the statement and the bytes it takes, up to and without
/// its semicolon; `None` when `sql` begins with something else.
pub fn parse(sql: &str) -> Result<Option<(InsertStatement, usize)>, QueryError> {
    let mut cursor = Cursor::new(sql);
    if !cursor.take_keyword("insert") {
        return Ok(None);
    }
    let mut insert = Insert::default();
    cursor.expect_keyword("into")?;
    loop {
        let clause = insert.clause(&mut cursor)?;
        let is_query = matches!(clause.source, Source::Query(_));
        insert.clauses.push(clause);
        let at_name = !is_query && !is_end(&mut cursor);
        if !at_name {
            break;
        }
    }
    insert.tail(&mut cursor)?;
    cursor.skip_space();
    if !matches!(cursor.peek(), b';') && cursor.at < sql.len() {
        return Err(cursor.unexpected());
    }
    let consumed = cursor.at;
    insert.text = sql[..consumed].to_owned();
    let inner = Arc::new(insert);
    Ok(Some((InsertStatement { inner }, consumed)))
}

/// Whether no further table follows a list of rows.
fn is_end(cursor: &mut Cursor<'_>) -> bool {
    cursor.skip_space();
    matches!(cursor.peek(), 0 | b';') || cursor.sees_keyword("on") || cursor.sees_keyword("returning")
}

impl InsertStatement {
    /// The tables that it writes to.
    pub fn tables(&self) -> impl Iterator<Item = &RelationName> {
        self.inner.clauses.iter().map(|clause| &clause.table)
    }
}

impl Insert {
    fn clause(&mut self, cursor: &mut Cursor<'_>) -> Result<Clause, QueryError> {
        let table = relation_name(cursor)?;
        let mut columns = None;
        let mut using = None;
        let mut alias = None;
        if cursor.take_keyword("as") {
            alias = Some(cursor.identifier()?);
        }
        // TDengine takes the columns before and after USING.
        if at_columns(cursor) {
            columns = Some(names(cursor)?);
        }
        if cursor.take_keyword("using") {
            using = Some(self.using(cursor)?);
            if columns.is_none() && at_columns(cursor) {
                columns = Some(names(cursor)?);
            }
        }
        cursor.skip_space();
        let start = cursor.at;
        let source = if cursor.take_keyword("values") {
            self.values(cursor)?
        } else if using.is_none() && columns.is_none() && cursor.take_keyword("default") {
            cursor.expect_keyword("values")?;
            self.all_defaults()
        } else if using.is_none()
            && (cursor.peek() == b'('
                || ["select", "with", "table"]
                    .iter()
                    .any(|keyword| cursor.sees_keyword(keyword)))
        {
            query_end(cursor)?;
            Source::Query(start..cursor.at)
        } else {
            return Err(unsupported(cursor));
        };
        Ok(Clause {
            table,
            alias,
            columns,
            using,
            source,
        })
    }

    /// DEFAULT VALUES: the first column says DEFAULT, and the others are not listed.
    fn all_defaults(&mut self) -> Source {
        let start = self.tokens.len();
        self.has_default = true;
        self.tokens.extend(Token::new(Value::Default));
        Source::Values {
            tokens: start..self.tokens.len(),
            width: 1,
        }
    }

    fn using(&mut self, cursor: &mut Cursor<'_>) -> Result<Using, QueryError> {
        let supertable = relation_name(cursor)?;
        let tag_names = if at_columns(cursor) { Some(names(cursor)?) } else { None };
        cursor.expect_keyword("tags")?;
        cursor.expect(b'(')?;
        let start = self.tokens.len();
        self.row(cursor)?;
        Ok(Using {
            supertable,
            tag_names,
            tags: start..self.tokens.len(),
        })
    }

    /// Rows in brackets, with or without commas between them.
    fn values(&mut self, cursor: &mut Cursor<'_>) -> Result<Source, QueryError> {
        let start = self.tokens.len();
        cursor.expect(b'(')?;
        self.row(cursor)?;
        let width = self.tokens.len() - start;
        loop {
            cursor.skip_space();
            let row = cursor.at;
            match cursor.peek() {
                b',' => {
                    cursor.at += 1;
                    cursor.expect(b'(')?;
                }
                b'(' => cursor.at += 1,
                _ => break,
            }
            let before = self.tokens.len();
            self.row(cursor)?;
            if self.tokens.len() - before != width {
                cursor.at = row;
                return Err(cursor.error("VALUES lists must all be the same length"));
            }
        }
        Ok(Source::Values {
            tokens: start..self.tokens.len(),
            width,
        })
    }

    /// Values up to the closing bracket.
    #[inline]
    fn row(&mut self, cursor: &mut Cursor<'_>) -> Result<(), QueryError> {
        loop {
            let token = self.value(cursor)?;
            self.tokens.push(token);
            match cursor.peek() {
                b',' => cursor.at += 1,
                _ => {
                    cursor.at += 1; // value() ends before a comma or a closing bracket
                    return Ok(());
                }
            }
        }
    }

    /// One value; afterwards the cursor is at a comma or closing bracket.
    #[inline]
    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<Token, QueryError> {
        cursor.skip_space();
        let start = cursor.at;
        let token = match cursor.peek() {
            b'0'..=b'9' | b'-' | b'+' | b'.' => cursor.number(),
            b'\'' => self.string(cursor)?,
            b'$' if cursor.peek_after(1).is_ascii_digit() => self.parameter(cursor)?,
            b',' | b')' | b';' | 0 => return Err(cursor.unexpected()),
            _ => None,
        };
        if let Some(token) = token {
            if matches!(cursor.peek(), b',' | b')') {
                return Ok(token);
            }
            cursor.skip_space();
            if matches!(cursor.peek(), b',' | b')') {
                return Ok(token);
            }
        }
        cursor.at = start;
        self.long_value(cursor)
    }

    fn string(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Token>, QueryError> {
        Ok(match cursor.string()? {
            Some(Literal::Plain(start, length)) => match Token::new(Value::Text(start, length)) {
                Some(token) => Some(token),
                None => Some(self.unescaped(cursor.text[start..start + length].to_owned())),
            },
            Some(Literal::Unescaped(text)) => Some(self.unescaped(text)),
            None => None,
        })
    }

    fn unescaped(&mut self, text: String) -> Token {
        self.texts.push(text);
        Token::new(Value::Unescaped(self.texts.len() - 1)).expect("a count of strings fits a token")
    }

    fn parameter(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Token>, QueryError> {
        let digits = cursor.rest()[1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number: usize = cursor.text[cursor.at + 1..cursor.at + 1 + digits]
            .parse()
            .unwrap_or(usize::MAX);
        // The wire counts parameters in 16 bits.
        if number == 0 || number > usize::from(u16::MAX) {
            let message = format!("there is no parameter ${number}");
            return Err(
                QueryError::new(ErrorKind::UndefinedParameter, message).with_position(position(cursor.text, cursor.at))
            );
        }
        cursor.at += 1 + digits;
        self.parameters = self.parameters.max(number);
        Ok(Token::new(Value::Parameter(number)))
    }

    /// Words, casts, expressions.
    fn long_value(&mut self, cursor: &mut Cursor<'_>) -> Result<Token, QueryError> {
        let start = cursor.at;
        if let Some(token) = self.short_form(cursor)? {
            cursor.skip_space();
            if matches!(cursor.peek(), b',' | b')') {
                return Ok(token);
            }
        }
        cursor.at = start;
        if let Some(form) = now(cursor) {
            return Ok(self.expression(start..cursor.at, form));
        }
        cursor.at = start;
        cursor.skip_expression()?;
        let span = start..start + cursor.text[start..cursor.at].trim_end().len();
        if span.is_empty() {
            return Err(cursor.unexpected());
        }
        for parameter in parameters_in(&cursor.text[span.clone()]) {
            self.parameters = self.parameters.max(parameter.number);
        }
        Ok(self.expression(span, Form::General))
    }

    fn expression(&mut self, span: Range<usize>, form: Form) -> Token {
        self.expressions.push(Expression { span, form });
        Token::new(Value::Expression(self.expressions.len() - 1)).expect("a count of expressions fits a token")
    }

    /// Words that are values, literals of other forms, and literals with a type before or behind.
    fn short_form(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Token>, QueryError> {
        let start = cursor.at;
        let word = cursor.word();
        let simple = |value| Token::new(value);
        let token = if word.eq_ignore_ascii_case("null") {
            cursor.at += word.len();
            simple(Value::Null)
        } else if word.eq_ignore_ascii_case("default") {
            cursor.at += word.len();
            self.has_default = true;
            return Ok(simple(Value::Default));
        } else if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
            cursor.at += word.len();
            simple(Value::Boolean(word.eq_ignore_ascii_case("true")))
        } else if let Some(token) = match cursor.peek() {
            b'0'..=b'9' | b'-' | b'+' | b'.' => cursor.number(),
            b'$' if cursor.peek_after(1).is_ascii_digit() => self.parameter(cursor)?,
            _ => self.string(cursor)?,
        } {
            Some(token)
        } else if let Some(type_oid) = type_name(cursor) {
            // timestamp '2026-01-01'
            cursor.skip_space();
            let Some(value) = self.string(cursor)? else {
                return Ok(None);
            };
            return Ok(Some(self.expression(start..cursor.at, Form::Typed { value, type_oid })));
        } else {
            return Ok(None);
        };
        let Some(value) = token else {
            return Ok(None);
        };
        cursor.skip_space();
        if !cursor.rest().starts_with(b"::") {
            return Ok(Some(value));
        }
        cursor.at += 2;
        cursor.skip_space();
        let Some(type_oid) = type_name(cursor) else {
            return Ok(None);
        };
        Ok(Some(self.expression(start..cursor.at, Form::Typed { value, type_oid })))
    }

    /// ON CONFLICT and RETURNING.
    fn tail(&mut self, cursor: &mut Cursor<'_>) -> Result<(), QueryError> {
        if cursor.take_keyword("on") {
            cursor.expect_keyword("conflict")?;
            cursor.skip_space();
            if cursor.peek() == b'(' {
                names(cursor)?;
            } else if cursor.take_keyword("on") {
                cursor.expect_keyword("constraint")?;
                cursor.identifier()?;
            }
            cursor.expect_keyword("do")?;
            if cursor.take_keyword("nothing") {
                self.conflict = OnConflict::DoNothing;
            } else {
                cursor.expect_keyword("update")?;
                cursor.expect_keyword("set")?;
                self.conflict = OnConflict::Update(assignments(cursor)?);
            }
        }
        if cursor.sees_keyword("returning") {
            cursor.take_keyword("returning");
            let start = cursor.at;
            query_end(cursor)?;
            self.returning = Some(start..cursor.at);
        }
        Ok(())
    }
}

fn feature(cursor: &Cursor<'_>, message: &str) -> QueryError {
    QueryError::new(ErrorKind::FeatureNotSupported, message).with_position(position(cursor.text, cursor.at))
}

/// Neither VALUES nor a query follows the table.
fn unsupported(cursor: &mut Cursor<'_>) -> QueryError {
    if cursor.sees_keyword("file") {
        return feature(cursor, "INSERT … FILE is not supported")
            .with_hint("Use COPY … FROM STDIN, or \\copy of psql.");
    }
    if cursor.sees_keyword("overriding") {
        return feature(
            cursor,
            "INSERT … OVERRIDING is not supported: there are no identity columns",
        );
    }
    cursor.unexpected()
}

/// Up to three names with points between them.
fn relation_name(cursor: &mut Cursor<'_>) -> Result<RelationName, QueryError> {
    cursor.skip_space();
    let place = Some(cursor.at + 1);
    let mut parts = vec![cursor.identifier()?];
    while cursor.take(b'.') {
        parts.push(cursor.identifier()?);
    }
    Ok(RelationName { parts, place })
}

/// Whether a list of names in brackets follows, and not a query in brackets.
fn at_columns(cursor: &mut Cursor<'_>) -> bool {
    cursor.skip_space();
    if cursor.peek() != b'(' {
        return false;
    }
    let mut inside = cursor.clone();
    inside.at += 1;
    inside.skip_space();
    inside.peek() != b'('
        && !["select", "with", "values", "table"]
            .iter()
            .any(|keyword| inside.sees_keyword(keyword))
}

/// Names in brackets.
fn names(cursor: &mut Cursor<'_>) -> Result<Vec<ColumnName>, QueryError> {
    cursor.expect(b'(')?;
    let mut names = Vec::new();
    loop {
        cursor.skip_space();
        let place = Some(cursor.at + 1);
        names.push((cursor.identifier()?, place));
        if !cursor.take(b',') {
            cursor.expect(b')')?;
            return Ok(names);
        }
    }
}

/// `c = excluded.c, …`, where `coalesce(excluded.c, …c)` means the same: newer values win where there are any.
fn assignments(cursor: &mut Cursor<'_>) -> Result<Vec<ColumnName>, QueryError> {
    let mut columns = Vec::new();
    loop {
        cursor.skip_space();
        let start = cursor.at;
        let column = cursor.identifier()?;
        cursor.expect(b'=')?;
        if !assigns_excluded(cursor, &column) {
            cursor.at = start;
            return Err(feature(
                cursor,
                "ON CONFLICT DO UPDATE sets columns to their new values only: column = excluded.column",
            ));
        }
        columns.push((column, Some(start + 1)));
        if !cursor.take(b',') {
            break;
        }
    }
    if cursor.sees_keyword("where") {
        return Err(feature(cursor, "ON CONFLICT DO UPDATE … WHERE is not supported"));
    }
    Ok(columns)
}

fn assigns_excluded(cursor: &mut Cursor<'_>, column: &str) -> bool {
    let excluded = |cursor: &mut Cursor<'_>| {
        cursor.take_keyword("excluded") && cursor.take(b'.') && cursor.identifier().is_ok_and(|name| name == column)
    };
    if !cursor.take_keyword("coalesce") {
        return excluded(cursor);
    }
    cursor.take(b'(') && excluded(cursor) && cursor.take(b',') && {
        let old = relation_name(cursor);
        old.is_ok_and(|name| name.parts.last().is_some_and(|last| last == column)) && cursor.take(b')')
    }
}

/// Moves to the end of a query: the semicolon, ON CONFLICT, RETURNING or the end of the text.
fn query_end(cursor: &mut Cursor<'_>) -> Result<(), QueryError> {
    let mut depth = 0usize;
    loop {
        cursor.skip_space();
        if depth == 0 && cursor.sees_keyword("returning") {
            return Ok(());
        }
        if depth == 0 && cursor.sees_keyword("on") {
            let mut after = cursor.clone();
            if after.take_keyword("on") && after.sees_keyword("conflict") {
                return Ok(());
            }
        }
        match cursor.peek() {
            0 if cursor.at >= cursor.text.len() => return Ok(()),
            b';' if depth == 0 => return Ok(()),
            b'(' => (depth, cursor.at) = (depth + 1, cursor.at + 1),
            b')' => (depth, cursor.at) = (depth.saturating_sub(1), cursor.at + 1),
            _ => cursor.skip_token()?,
        }
    }
}
