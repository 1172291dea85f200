//! Parameters that are arrays of several dimensions.
//!
//! How many dimensions an array has, its type does not say, and a plan must know. A literal says it: so the value is written into the
//! statement in the parameter's place, and that is planned for the one execution.

use std::ops::ControlFlow;

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, Expr, Value, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::PreparedQuery;
use super::prepare::prepare_for_client;
use crate::pg_type::array::{is_nested, write_text};
use crate::pg_type::{decode_parameter, element_oid, type_name};
use crate::{ErrorKind, Format, Parameter, QueryError, Session};

/// The query planned for these parameters, and those that are left to it; `None`: no parameter has several dimensions.
pub async fn prepare(
    session: &Session,
    statement: &ast::Statement,
    query: &PreparedQuery,
    parameters: &[Parameter],
) -> Result<Option<(PreparedQuery, Vec<Parameter>)>, QueryError> {
    let types = &query.parameter_types;
    let mut statement = statement.clone();
    let mut left = parameters.to_vec();
    for (number, (oid, parameter)) in (1..).zip(types.iter().zip(&mut left)) {
        if let Some(literal) = literal(session, *oid, parameter)? {
            put(&mut statement, &format!("${number}"), &literal);
            parameter.value = None;
        }
    }
    if left
        .iter()
        .zip(parameters)
        .all(|(left, given)| left.value == given.value)
    {
        return Ok(None);
    }
    let prepared = prepare_for_client(session, &statement, types).await?;
    Ok(Some((prepared, left)))
}

/// `CAST('{{1,2},{3,4}}' AS integer[])`; `None` where the value is none of these.
fn literal(session: &Session, oid: u32, parameter: &Parameter) -> Result<Option<Expr>, QueryError> {
    let (Some(_), Some(bytes)) = (element_oid(oid), &parameter.value) else {
        return Ok(None);
    };
    let value = decode_parameter(oid, parameter, session.settings().reading())?;
    let ScalarValue::List(list) = &value else {
        return Ok(None);
    };
    if !is_nested(&value.data_type()) {
        return Ok(None);
    }
    let text = match parameter.format {
        Format::Text => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Format::Binary => write_text(&list.value(0)),
    };
    let unsupported = || {
        let message = format!(
            "a parameter of type {} with several dimensions is not supported in binary",
            type_name(oid)
        );
        QueryError::new(ErrorKind::FeatureNotSupported, message)
    };
    let text = text.ok_or_else(unsupported)?;
    let written = format!("CAST('{}' AS {})", text.replace('\'', "''"), type_name(oid));
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(&written)
        .and_then(|mut parser| parser.parse_expr());
    parsed.map(Some).map_err(|_| unsupported())
}

fn put(statement: &mut ast::Statement, placeholder: &str, literal: &Expr) {
    let _ = visit_expressions_mut(statement, |expr| {
        if matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Placeholder(name) if name == placeholder))
        {
            *expr = literal.clone();
        }
        ControlFlow::<()>::Continue(())
    });
}
