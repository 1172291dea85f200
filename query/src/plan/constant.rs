//! Values of expressions without columns: tag values, defaults, values of an INSERT that are no literals.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem, SetExpr, UnaryOperator, Value};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::StreamExt;

use super::{errors, prepare};
use crate::functions::numeric::cast_scalar;
use crate::pg_type::time::Reading;
use crate::pg_type::{self, parse_literal};
use crate::{ErrorKind, QueryError, Session};

/// The value, cast as an assignment casts: what does not fit is an error.
pub async fn constant(session: &Session, expr: &Expr, data_type: &DataType) -> Result<ScalarValue, QueryError> {
    if let Some(text) = literal(expr) {
        return read(text.as_deref(), data_type, session.settings().reading());
    }
    let value = evaluate(session, expr).await?;
    assign(value, data_type, session.settings().reading())
}

/// The text of a literal; inside, `None` is NULL.
fn literal(expr: &Expr) -> Option<Option<String>> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Null => Some(None),
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(Some(text.clone())),
            Value::DollarQuotedString(text) => Some(Some(text.value.clone())),
            Value::Number(digits, false) => Some(Some(digits.clone())),
            Value::Boolean(value) => Some(Some(value.to_string())),
            _ => None,
        },
        Expr::Nested(inner) => literal(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, false) => Some(Some(format!("-{digits}"))),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn read(text: Option<&str>, data_type: &DataType, reading: Reading) -> Result<ScalarValue, QueryError> {
    let failed = |error| errors::translate(error);
    let Some(text) = text else {
        return ScalarValue::try_from(data_type).map_err(failed);
    };
    let oid = pg_type::data_type_oid(data_type);
    let whole = matches!(
        data_type,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64
    );
    let value = match parse_literal(oid, text, reading) {
        Ok(value) => value,
        // 1.5 for an integer is rounded, as PostgreSQL does on assignment.
        Err(_) if whole && text.parse::<f64>().is_ok_and(|value| value.abs() < 9e18) => {
            let rounded = text.parse::<f64>().unwrap_or_default().round_ties_even();
            parse_literal(oid, &format!("{rounded:.0}"), reading)?
        }
        Err(error) => return Err(error),
    };
    if value.data_type() == *data_type {
        return Ok(value);
    }
    cast_scalar(&value, data_type).map_err(failed)
}

/// A computed value as the column's type.
fn assign(value: ScalarValue, data_type: &DataType, reading: Reading) -> Result<ScalarValue, QueryError> {
    if value.data_type() == *data_type {
        return Ok(value);
    }
    match &value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => read(Some(text), data_type, reading),
        value if value.is_null() => read(None, data_type, reading),
        value => cast_scalar(value, data_type).map_err(errors::translate),
    }
}

async fn evaluate(session: &Session, expr: &Expr) -> Result<ScalarValue, QueryError> {
    let statement = select(expr)?;
    let prepared = prepare::prepare(session, &statement, &[]).await?;
    let mut rows = prepared.execute(session, &[]).await?;
    let mut value = None;
    while let Some(batch) = rows.stream.next().await {
        let batch = batch.map_err(errors::translate)?;
        for row in 0..batch.num_rows() {
            value = Some(ScalarValue::try_from_array(batch.column(0), row).map_err(errors::translate)?);
        }
    }
    value.ok_or_else(|| QueryError::new(ErrorKind::InvalidParameterValue, "the expression has no value"))
}

/// `SELECT expr`.
fn select(expr: &Expr) -> Result<ast::Statement, QueryError> {
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT NULL")
        .ok()
        .and_then(|mut statements| statements.pop());
    if let Some(ast::Statement::Query(mut query)) = parsed
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        select.projection = vec![SelectItem::UnnamedExpr(expr.clone())];
        return Ok(ast::Statement::Query(query));
    }
    Err(QueryError::new(
        ErrorKind::InternalError,
        "an expression could not be made into a query",
    ))
}
