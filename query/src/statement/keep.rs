//! The value of a table's KEEP: `30d`, `30` (days) or `'6 months'`.

use taospg_catalog::Keep;

use super::cursor::Cursor;
use super::database::{bad_value, parse_value};
use crate::{QueryError, keep};

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Keep, QueryError> {
    let value = parse_value(cursor)?;
    let text = format!("{}{}", value.text, value.unit.as_deref().unwrap_or_default());
    keep::read(&text).ok_or_else(|| bad_value(cursor, "keep", &value, "an interval from 1 millisecond to 365000 days"))
}
