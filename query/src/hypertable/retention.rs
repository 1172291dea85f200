//! Retention policies: the KEEP of a table.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Value as Literal};
use taospg_catalog::{Keep, TableChange};

use super::arguments::Arguments;
use super::{Found, Value, table_of};
use crate::ddl::tell_immediate;
use crate::{ErrorKind, QueryError, Session, keep, plan};

/// The job's number: the table's, or -1 where there was a policy before.
pub(super) async fn add(session: &mut Session, arguments: &Arguments<'_>) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    let table = found.table().clone();
    session.must_own(&found.thing(&table.name))?;
    let wanted = drop_after(session, arguments).await?;
    if let Some(before) = table.keep {
        if !arguments.flag("if_not_exists") {
            let message = format!("retention policy already exists for hypertable \"{}\"", table.name);
            return Err(QueryError::new(ErrorKind::DuplicateObject, message));
        }
        match before == wanted {
            true => session.tell(
                "00000",
                format!(
                    "retention policy already exists on hypertable \"{}\", skipping",
                    table.name
                ),
            ),
            false => session.warn(
                "01000",
                format!(
                    "retention policy already exists for hypertable \"{}\" with different arguments: drop_after is {}",
                    table.name,
                    keep::shown(before)
                ),
            ),
        }
        return Ok(vec![vec![Value::Number(-1)]]);
    }
    keep::check(&found.database, &table.name, wanted, session.transaction_time_ns())?;
    if let Some(parameter) = ["schedule_interval", "initial_start"]
        .into_iter()
        .find(|parameter| arguments.get(parameter).is_some())
    {
        session.tell(
            "00000",
            format!("rows past drop_after are hidden at once and removed within minutes, whatever {parameter} is"),
        );
    }
    set(session, &found, Some(wanted)).await?;
    tell_immediate(session, "add_retention_policy");
    Ok(vec![vec![Value::Number(i64::from(table.oid))]])
}

pub(super) async fn remove(session: &mut Session, arguments: &Arguments<'_>) -> Result<Vec<Vec<Value>>, QueryError> {
    let found = table_of(session, arguments)?;
    let name = found.table().name.clone();
    session.must_own(&found.thing(&name))?;
    if found.table().keep.is_some() {
        set(session, &found, None).await?;
        tell_immediate(session, "remove_retention_policy");
    } else if arguments.flag("if_exists") {
        session.tell(
            "00000",
            format!("retention policy does not exist on hypertable \"{name}\", skipping"),
        );
    } else {
        let message = format!("retention policy not found for hypertable \"{name}\"");
        return Err(QueryError::new(ErrorKind::UndefinedObject, message));
    }
    Ok(vec![vec![Value::Text(String::new())]])
}

async fn set(session: &Session, found: &Found, keep: Option<Keep>) -> Result<(), QueryError> {
    let engine = session.engine();
    engine
        .catalog()
        .alter_table(found.table().oid, &[TableChange::SetKeep(keep)])?;
    engine.expire(&found.database).await
}

async fn drop_after(session: &Session, arguments: &Arguments<'_>) -> Result<Keep, QueryError> {
    if arguments.get("drop_created_before").is_some() {
        let message = "drop_created_before is not supported: it is not kept when a file group was made";
        return Err(QueryError::new(ErrorKind::FeatureNotSupported, message));
    }
    let Some(value) = arguments.get("drop_after") else {
        let message = "need to specify drop_after";
        return Err(QueryError::new(ErrorKind::InvalidParameterValue, message));
    };
    let invalid = || {
        let error = QueryError::new(
            ErrorKind::InvalidParameterValue,
            "invalid value for parameter drop_after",
        );
        error.with_hint("an interval is needed, such as INTERVAL '30 days', of at most 365000 days")
    };
    // A whole number, cast or not, is no interval, although its text could be read as seconds.
    let mut inner = value;
    while let Expr::Cast { expr, .. } | Expr::Nested(expr) = inner {
        inner = expr;
    }
    if matches!(inner, Expr::Value(value) if matches!(value.value, Literal::Number(..))) {
        return Err(invalid());
    }
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    match plan::constant(session, value, &interval).await? {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => keep::of_interval(interval).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}
