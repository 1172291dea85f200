//! DECLARE, FETCH, MOVE and CLOSE: cursors of SQL.

use datafusion::sql::sqlparser::ast;

use super::Command;
use super::cursor::Cursor;
use super::lexer::TokenKind;
use super::parse_with_sqlparser;
use crate::{ErrorKind, QueryError};

/// A cursor to open.
#[derive(Debug)]
pub(crate) struct Declare {
    pub name: String,
    /// It can go back.
    pub scroll: bool,
    /// It outlives its transaction.
    pub hold: bool,
    pub query: Box<ast::Statement>,
}

/// Where a FETCH or MOVE goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Direction {
    /// So many rows onwards; negative is back, zero the current row.
    Rows(i64),
    AllForward,
    AllBackward,
    /// The row of this number; negative counts from the end.
    Absolute(i64),
    /// The row so far away.
    Relative(i64),
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    match &*cursor.next().value {
        "declare" => parse_declare(cursor),
        "close" => Ok(Command::CloseCursor(match cursor.take_word("all") {
            true => None,
            false => Some(cursor.name()?),
        })),
        word => {
            let moves = word == "move";
            let direction = parse_direction(cursor)?;
            cursor.take_any(&["from", "in"]);
            let name = cursor.name()?;
            Ok(Command::Fetch { name, direction, moves })
        }
    }
}

fn parse_declare(cursor: &mut Cursor<'_>) -> Result<Command, QueryError> {
    let name = cursor.name()?;
    let mut scroll = false;
    while !cursor.at_word("cursor") {
        if cursor.at_word("binary") {
            let hint = "ask for binary results with the extended protocol";
            return Err(cursor.unsupported("a binary cursor").with_hint(hint));
        }
        match cursor.take_any(&["insensitive", "asensitive", "scroll", "no"]) {
            Some("scroll") => scroll = true,
            Some("no") => cursor.expect(&["scroll"])?,
            Some(_) => {}
            None => return Err(cursor.error()),
        }
    }
    cursor.expect(&["cursor"])?;
    let hold = cursor.take(&["with", "hold"]);
    if !hold {
        cursor.take(&["without", "hold"]);
    }
    cursor.expect(&["for"])?;
    let (text, start) = (cursor.text(), cursor.byte());
    // Spaces in the place of what stands before keep the places in errors right.
    let blank = |char: char| if char == '\n' { '\n' } else { ' ' };
    let padded: String = text[..start].chars().map(blank).chain(text[start..].chars()).collect();
    let query = parse_with_sqlparser(&padded)?;
    if !matches!(query, ast::Statement::Query(_)) {
        return Err(cursor.error_at(start, ErrorKind::SyntaxError, "a cursor is made of a query"));
    }
    while !cursor.at_end() {
        cursor.next();
    }
    Ok(Command::Declare(Declare {
        name,
        scroll,
        hold,
        query: Box::new(query),
    }))
}

fn parse_direction(cursor: &mut Cursor<'_>) -> Result<Direction, QueryError> {
    // A cursor may be called like a direction: then nothing follows it.
    if matches!(cursor.peek().kind, TokenKind::Word) && cursor.peek_second().kind == TokenKind::End {
        return Ok(Direction::Rows(1));
    }
    let words = [
        "next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward",
    ];
    Ok(match cursor.take_any(&words) {
        Some("next") => Direction::Rows(1),
        Some("prior") => Direction::Rows(-1),
        Some("first") => Direction::Absolute(1),
        Some("last") => Direction::Absolute(-1),
        Some("absolute") => Direction::Absolute(required(cursor)?),
        Some("relative") => Direction::Relative(required(cursor)?),
        Some("all") => Direction::AllForward,
        Some("forward") => match cursor.take_word("all") {
            true => Direction::AllForward,
            false => Direction::Rows(number(cursor)?.unwrap_or(1)),
        },
        Some(_) => match cursor.take_word("all") {
            true => Direction::AllBackward,
            false => Direction::Rows(number(cursor)?.unwrap_or(1).saturating_neg()),
        },
        None => Direction::Rows(number(cursor)?.unwrap_or(1)),
    })
}

fn required(cursor: &mut Cursor<'_>) -> Result<i64, QueryError> {
    number(cursor)?.ok_or_else(|| cursor.error())
}

fn number(cursor: &mut Cursor<'_>) -> Result<Option<i64>, QueryError> {
    let mark = cursor.mark();
    let negative = cursor.take_symbol("-");
    if !negative {
        cursor.take_symbol("+");
    }
    if cursor.peek().kind != TokenKind::Number {
        return match cursor.mark() == mark {
            true => Ok(None),
            false => Err(cursor.error()),
        };
    }
    let parsed = cursor.peek().value.parse::<i64>();
    let value = parsed.map_err(|_| cursor.error())?;
    cursor.next();
    Ok(Some(if negative { -value } else { value }))
}
