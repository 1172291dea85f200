//! COPY … TO STDOUT: a query whose rows leave as lines.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::ingest::copy::CopyOptions;
use crate::{CopyOut, ErrorKind, Outcome, QueryError, Session};

/// Starts the query of a COPY TO.
pub(crate) async fn begin(session: &Session, copy: &ast::Statement) -> Result<Outcome, QueryError> {
    let ast::Statement::Copy {
        source,
        options,
        legacy_options,
        ..
    } = copy
    else {
        return Err(QueryError::new(ErrorKind::InternalError, "not a COPY"));
    };
    let format = CopyOptions::new(options, legacy_options)?.format;
    let query = match source {
        ast::CopySource::Query(query) => ast::Statement::Query(query.clone()),
        ast::CopySource::Table { table_name, columns } => select_of(table_name, columns)?,
    };
    let prepared = crate::plan::prepare_for_client(session, &query, &[]).await?;
    let rows = prepared.execute(session, &[]).await?;
    Ok(Outcome::CopyOut(CopyOut { rows, format }))
}

/// `SELECT columns FROM table`, with the names where they stood.
fn select_of(table: &ast::ObjectName, columns: &[ast::Ident]) -> Result<ast::Statement, QueryError> {
    let mut statement = template()?;
    let select = select_in(&mut statement)?;
    if !columns.is_empty() {
        let item = |column: &ast::Ident| ast::SelectItem::UnnamedExpr(ast::Expr::Identifier(column.clone()));
        select.projection = columns.iter().map(item).collect();
    }
    if let Some(ast::TableWithJoins {
        relation: ast::TableFactor::Table { name, .. },
        ..
    }) = select.from.first_mut()
    {
        *name = table.clone();
    }
    Ok(statement)
}

/// A query to be filled in, so that what is put there keeps its places in the text.
pub(crate) fn template() -> Result<ast::Statement, QueryError> {
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT * FROM t");
    let parsed = parsed.ok().and_then(|mut statements| statements.pop());
    parsed.ok_or_else(|| QueryError::new(ErrorKind::InternalError, "a fixed query did not parse"))
}

pub(crate) fn select_in(statement: &mut ast::Statement) -> Result<&mut ast::Select, QueryError> {
    if let ast::Statement::Query(query) = statement
        && let ast::SetExpr::Select(select) = &mut *query.body
    {
        return Ok(select);
    }
    Err(QueryError::new(ErrorKind::InternalError, "a fixed query did not parse"))
}
