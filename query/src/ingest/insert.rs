//! INSERT's text: every form of it into a list of tables, each with its rows of tokens.
//!
//! ```text
//! INSERT INTO name [(columns)] VALUES (…), (…)                                        PostgreSQL
//! INSERT INTO name [USING supertable [(tags)] TAGS (…)] [(columns)] VALUES (…) (…)    TDengine, then the next name
//! INSERT INTO name [(columns)] SELECT …
//! … ON CONFLICT …
//! ```
//!
//! What the values become is decided in `insert_rows.rs`, when the table is known.

use std::ops::Range;
use std::sync::Arc;

use super::datum::oid;
pub use super::insert_rows::PreparedInsert;
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
    /// The highest `$n`.
    pub parameters: usize,
    /// The word DEFAULT is among the values.
    pub has_default: bool,
}

/// One table of the statement.
#[derive(Debug)]
pub(super) struct Clause {
    pub table: RelationName,
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

impl Insert {
    fn clause(&mut self, cursor: &mut Cursor<'_>) -> Result<Clause, QueryError> {
        let table = relation_name(cursor)?;
        let mut columns = None;
        let mut using = None;
        if cursor.take_keyword("as") {
            cursor.identifier()?;
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
            columns,
            using,
            source,
        })
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
            return Err(feature(cursor, "INSERT … RETURNING is not supported"));
        }
        Ok(())
    }
}

fn feature(cursor: &Cursor<'_>, message: &str) -> QueryError {
    QueryError::new(ErrorKind::FeatureNotSupported, message).with_position(position(cursor.text, cursor.at))
}

/// Neither VALUES nor a query follows the table.
fn unsupported(cursor: &mut Cursor<'_>) -> QueryError {
    if cursor.sees_keyword("default") {
        return feature(cursor, "INSERT … DEFAULT VALUES is not supported: a row needs a time");
    }
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

/// `now()` and its like, with a span of fixed length added or taken off: `now() - interval '1 s'`, `NOW + 10a`. `None`: something else.
fn now(cursor: &mut Cursor<'_>) -> Option<Form> {
    const FUNCTIONS: &[&str] = &["now", "transaction_timestamp", "statement_timestamp"];
    let word = cursor.word().to_ascii_lowercase();
    cursor.at += word.len();
    if FUNCTIONS.contains(&word.as_str()) {
        let called = cursor.take(b'(') && cursor.take(b')');
        // TDengine's NOW needs no brackets.
        if !called && word != "now" {
            return None;
        }
    } else if word != "current_timestamp" {
        return None;
    }
    let mut offset_ns = 0i64;
    loop {
        cursor.skip_space();
        let negative = match cursor.peek() {
            b',' | b')' => return Some(Form::Now { offset_ns }),
            b'+' => false,
            b'-' => true,
            _ => return None,
        };
        cursor.at += 1;
        let span = fixed_span(cursor)?;
        offset_ns = offset_ns.checked_add(if negative { -span } else { span })?;
    }
}

/// `interval '…'` or TDengine's `10s`, in nanoseconds, if its length does not depend on the calendar.
fn fixed_span(cursor: &mut Cursor<'_>) -> Option<i64> {
    if cursor.take_keyword("interval") {
        cursor.skip_space();
        let Ok(Some(Literal::Plain(start, length))) = cursor.string() else {
            return None;
        };
        return interval(&cursor.text[start..start + length]);
    }
    let digits = cursor.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let count: i64 = cursor.text[cursor.at..cursor.at + digits].parse().ok()?;
    cursor.at += digits;
    let unit = match cursor.word() {
        "b" | "B" => 1,
        "u" | "U" => 1_000,
        "a" | "A" => 1_000_000,
        "s" | "S" => SECOND_NS,
        "m" | "M" => 60 * SECOND_NS,
        "h" | "H" => 3_600 * SECOND_NS,
        "d" | "D" => 86_400 * SECOND_NS,
        "w" | "W" => 7 * 86_400 * SECOND_NS,
        _ => return None,
    };
    cursor.at += 1;
    count.checked_mul(unit)
}

const SECOND_NS: i64 = 1_000_000_000;

/// `1 hour 30 minutes` in nanoseconds; days and longer depend on the calendar.
fn interval(text: &str) -> Option<i64> {
    let spaced: Vec<&str> = text.split_ascii_whitespace().collect();
    let (pairs, rest) = spaced.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs.iter().try_fold(0i64, |sum, [count, unit]| {
        let count: i64 = count.parse().ok()?;
        let unit = match unit.to_ascii_lowercase().trim_end_matches('s') {
            "microsecond" | "u" => 1_000,
            "millisecond" | "m" if *unit != "m" => 1_000_000,
            "" | "sec" | "second" => SECOND_NS, // "s" without its s
            "min" | "minute" | "m" => 60 * SECOND_NS,
            "h" | "hour" => 3_600 * SECOND_NS,
            _ => return None,
        };
        sum.checked_add(count.checked_mul(unit)?)
    })
}

/// The type at the cursor, if it is a plain one that values of columns have: its OID. `varchar(10)` and the like are left to the planner.
fn type_name(cursor: &mut Cursor<'_>) -> Option<u32> {
    let word = cursor.word().to_ascii_lowercase();
    let type_oid = match word.as_str() {
        "bool" | "boolean" => oid::BOOL,
        "int2" | "smallint" => oid::INT2,
        "int4" | "int" | "integer" => oid::INT4,
        "int8" | "bigint" => oid::INT8,
        "float4" | "real" => oid::FLOAT4,
        "float8" | "float" | "double" => oid::FLOAT8,
        "numeric" | "decimal" => oid::NUMERIC,
        "text" => oid::TEXT,
        "varchar" => oid::VARCHAR,
        "bytea" => oid::BYTEA,
        "date" => oid::DATE,
        "timestamptz" => oid::TIMESTAMPTZ,
        "timestamp" => oid::TIMESTAMP,
        "json" => oid::JSON,
        "jsonb" => oid::JSONB,
        _ => return None,
    };
    cursor.at += word.len();
    if word == "double" && !cursor.take_keyword("precision") {
        return None;
    }
    let mut type_oid = type_oid;
    if word == "timestamp" {
        let zoned = cursor.take_keyword("with");
        if zoned || cursor.take_keyword("without") {
            if !(cursor.take_keyword("time") && cursor.take_keyword("zone")) {
                return None;
            }
            type_oid = if zoned { oid::TIMESTAMPTZ } else { oid::TIMESTAMP };
        }
    }
    cursor.skip_space();
    (cursor.peek() != b'(' && cursor.peek() != b'[').then_some(type_oid)
}

/// A parameter inside an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InnerParameter {
    pub number: usize,
    /// `$n` in the expression's text.
    pub span: Range<usize>,
    /// The type of a cast that follows it; text if that is none that parameters have.
    pub cast_oid: Option<u32>,
}

/// The parameters in an expression.
pub(super) fn parameters_in(expression: &str) -> Vec<InnerParameter> {
    let mut cursor = Cursor::new(expression);
    let mut found = Vec::new();
    while cursor.at < expression.len() {
        cursor.skip_space();
        let start = cursor.at;
        if cursor.peek() == b'$' && cursor.peek_after(1).is_ascii_digit() {
            let digits = cursor.rest()[1..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            cursor.at += 1 + digits;
            let span = start..cursor.at;
            let number = expression[start + 1..cursor.at].parse().unwrap_or(0);
            cursor.skip_space();
            let mut cast = cursor.clone();
            let cast_oid = cast.rest().starts_with(b"::").then(|| {
                cast.at += 2;
                cast.skip_space();
                type_name(&mut cast).unwrap_or(oid::TEXT)
            });
            if (1..=usize::from(u16::MAX)).contains(&number) {
                found.push(InnerParameter { number, span, cast_oid });
            }
        } else if cursor.skip_token().is_err() || cursor.at <= start {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(sql: &str) -> Arc<Insert> {
        parse(sql).unwrap().unwrap().0.inner
    }

    fn refused(sql: &str) -> (ErrorKind, String) {
        let error = parse(sql).unwrap_err();
        (error.kind, error.message)
    }

    fn values(insert: &Insert) -> Vec<Value> {
        insert.tokens.iter().map(|token| token.value()).collect()
    }

    #[test]
    fn other_statements_are_left_alone() {
        assert!(parse("SELECT 1").unwrap().is_none());
        assert!(parse("").unwrap().is_none());
        assert!(parse("-- INSERT").unwrap().is_none());
    }

    #[test]
    fn rows_stand_with_and_without_commas() {
        let sql = "INSERT INTO d1 VALUES (1, 'a') (-2.5, 'b''c'), (NULL, TRUE) ; SELECT 1";
        let (statement, consumed) = parse(sql).unwrap().unwrap();
        assert_eq!(&sql[consumed..], "; SELECT 1");
        let insert = statement.inner;
        assert_eq!(insert.texts, ["b'c"]);
        assert!(matches!(insert.clauses[0].source, Source::Values { width: 2, .. }));
        assert_eq!(values(&insert)[0], Value::Integer(1));
        assert_eq!(values(&insert)[5], Value::Boolean(true));
    }

    #[test]
    fn several_tables_and_using() {
        let insert = parsed(
            "insert into power.d1 (ts, current) values (now, 1) \"D2\" using meters (location) tags ('x') (ts) values (now() - 1s)(now + 2a)",
        );
        assert_eq!(insert.clauses.len(), 2);
        assert_eq!(insert.clauses[0].table.parts, ["power", "d1"]);
        assert_eq!(insert.clauses[1].table.parts, ["D2"]);
        let using = insert.clauses[1].using.as_ref().unwrap();
        assert_eq!(using.supertable.parts, ["meters"]);
        assert_eq!(using.tag_names.as_ref().unwrap()[0].0, "location");
        assert_eq!(insert.clauses[1].columns.as_ref().unwrap().len(), 1);
        let forms: Vec<&Form> = insert.expressions.iter().map(|expression| &expression.form).collect();
        assert_eq!(
            forms,
            [
                &Form::Now { offset_ns: 0 },
                &Form::Now {
                    offset_ns: -1_000_000_000
                },
                &Form::Now { offset_ns: 2_000_000 },
            ]
        );
    }

    #[test]
    fn literals_of_types_need_no_planner() {
        let insert = parsed(
            "INSERT INTO t VALUES (timestamp '2026-01-01', '5'::int, $2::float8, now() - interval '1 hour 30 minutes', TIMESTAMP WITH TIME ZONE 'x')",
        );
        let oids: Vec<Option<u32>> = insert
            .expressions
            .iter()
            .map(|expression| match expression.form {
                Form::Typed { type_oid, .. } => Some(type_oid),
                _ => None,
            })
            .collect();
        assert_eq!(
            oids,
            [
                Some(oid::TIMESTAMP),
                Some(oid::INT4),
                Some(oid::FLOAT8),
                None,
                Some(oid::TIMESTAMPTZ)
            ]
        );
        assert_eq!(
            insert.expressions[3].form,
            Form::Now {
                offset_ns: -5_400 * SECOND_NS
            }
        );
        assert_eq!(insert.parameters, 2);
    }

    #[test]
    fn other_expressions_are_kept_as_text() {
        let sql =
            "INSERT INTO t VALUES (1 + 2, to_timestamp($1), upper('a,)b'), (3), now() - interval '1 day', 'a' || 'b')";
        let insert = parsed(sql);
        let texts: Vec<&str> = insert
            .expressions
            .iter()
            .map(|expression| &sql[expression.span.clone()])
            .collect();
        assert_eq!(
            texts,
            [
                "1 + 2",
                "to_timestamp($1)",
                "upper('a,)b')",
                "(3)",
                "now() - interval '1 day'",
                "'a' || 'b'"
            ]
        );
        assert!(
            insert
                .expressions
                .iter()
                .all(|expression| expression.form == Form::General)
        );
        assert_eq!(insert.parameters, 1);
        let found = parameters_in("coalesce($1::interval, '$2', $3)");
        assert_eq!(
            found
                .iter()
                .map(|found| (found.number, found.cast_oid))
                .collect::<Vec<_>>(),
            [(1, Some(oid::TEXT)), (3, None)]
        );
    }

    #[test]
    fn queries_end_where_the_statement_goes_on() {
        let sql = "INSERT INTO t (a, b) SELECT x, ';' FROM u JOIN v ON u.a = v.a ON CONFLICT (a) DO NOTHING; SELECT 1";
        let (statement, consumed) = parse(sql).unwrap().unwrap();
        let insert = statement.inner;
        let Source::Query(span) = &insert.clauses[0].source else {
            panic!("a query")
        };
        assert_eq!(sql[span.clone()].trim(), "SELECT x, ';' FROM u JOIN v ON u.a = v.a");
        assert_eq!(insert.conflict, OnConflict::DoNothing);
        assert_eq!(&sql[consumed..], "; SELECT 1");
        assert!(matches!(
            parsed("INSERT INTO t (SELECT 1)").clauses[0].source,
            Source::Query(_)
        ));
        assert!(matches!(
            parsed("INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x").clauses[0].source,
            Source::Query(_)
        ));
    }

    #[test]
    fn on_conflict_takes_new_values_only() {
        let set = |sql: &str| match &parsed(sql).conflict {
            OnConflict::Update(columns) => columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let head = "INSERT INTO t VALUES (1) ON CONFLICT (ts, \"T\") DO UPDATE SET ";
        assert_eq!(
            set(&format!("{head} a = excluded.a, \"B\" = EXCLUDED.\"B\"")),
            ["a", "B"]
        );
        assert_eq!(set(&format!("{head} a = coalesce(excluded.a, t.a)")), ["a"]);
        assert_eq!(
            refused(&format!("{head} a = t.a + 1")).0,
            ErrorKind::FeatureNotSupported
        );
        assert_eq!(
            refused(&format!("{head} a = excluded.b")).0,
            ErrorKind::FeatureNotSupported
        );
        assert_eq!(
            refused(&format!("{head} a = excluded.a WHERE true")).0,
            ErrorKind::FeatureNotSupported
        );
        let constraint = "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING";
        assert_eq!(parsed(constraint).conflict, OnConflict::DoNothing);
    }

    #[test]
    fn errors_are_worded_as_by_postgres() {
        use ErrorKind::*;
        for (sql, kind, message) in [
            ("INSERT INTO", SyntaxError, "syntax error at end of input"),
            ("INSERT t VALUES (1)", SyntaxError, "syntax error at or near \"t\""),
            ("INSERT INTO t VALUES (1", SyntaxError, "syntax error at end of input"),
            (
                "INSERT INTO t VALUES (1,)",
                SyntaxError,
                "syntax error at or near \")\"",
            ),
            ("INSERT INTO t VALUES ()", SyntaxError, "syntax error at or near \")\""),
            (
                "INSERT INTO t VALUES (1) garbage",
                SyntaxError,
                "syntax error at end of input",
            ),
            (
                "INSERT INTO t VALUES (1) +",
                SyntaxError,
                "syntax error at or near \"+\"",
            ),
            (
                "INSERT INTO t VALUES (1), (1, 2)",
                SyntaxError,
                "VALUES lists must all be the same length",
            ),
            ("INSERT INTO t VALUES ('a)", SyntaxError, "unterminated quoted string"),
            (
                "INSERT INTO t DEFAULT VALUES",
                FeatureNotSupported,
                "INSERT … DEFAULT VALUES is not supported: a row needs a time",
            ),
            (
                "INSERT INTO t VALUES (1) RETURNING *",
                FeatureNotSupported,
                "INSERT … RETURNING is not supported",
            ),
            (
                "INSERT INTO t VALUES ($0)",
                UndefinedParameter,
                "there is no parameter $0",
            ),
        ] {
            assert_eq!(refused(sql), (kind, message.to_owned()), "{sql}");
        }
        assert_eq!(parse("INSERT INTO ä VALUES (1,)").unwrap_err().position, Some(25));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(rest in "[ a-z0-9E'\"$.,;:()+*/=é-]{0,60}") {
            let _ = parse(&format!("INSERT INTO {rest}"));
            let _ = parse(&format!("INSERT INTO t VALUES ({rest}"));
            let _ = parse(&format!("INSERT INTO t VALUES (1) ON CONFLICT {rest}"));
        }
    }
}
