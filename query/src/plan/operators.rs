//! Operators as PostgreSQL types them, where DataFusion decides otherwise.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{errors, numbers};
use crate::functions::{self, Operation};
use crate::pg_type::{self, oid};

/// DataFusion's hook for operators.
#[derive(Debug)]
pub struct PgOperators;

impl ExprPlanner for PgOperators {
    /// `indkey[0]`: vectors are counted from 0, lists from 1.
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> DfResult<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = access;
        let is_vector = expr
            .to_field(schema)
            .is_ok_and(|(_, field)| matches!(pg_type::field_oid(&field), oid::INT2_VECTOR | oid::OID_VECTOR));
        let field_access = match field_access {
            GetFieldAccess::ListIndex { key } if is_vector => {
                let key = Box::new(cast(*key, DataType::Int64) + lit(1_i64));
                GetFieldAccess::ListIndex { key }
            }
            other => other,
        };
        Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }))
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let (left, right) = (narrow(left), narrow(right));
        // A quoted literal added to a time is an interval: nothing else can be added to it.
        if op == BinaryOperator::Plus {
            let time = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Timestamp(..) | DataType::Date32));
            if let (true, Some(interval)) = (time(&left), interval_literal(&right)?) {
                return Ok(PlannerResult::Original(RawBinaryExpr {
                    op,
                    left,
                    right: interval,
                }));
            }
        }
        use BinaryOperator::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus};
        let comparison = matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq);
        let (left, right) = match comparison || matches!(op, Plus | Minus | Multiply | Divide | Modulo) {
            true => numbers::operands(left, right, comparison, schema)?,
            false => (left, right),
        };
        let scaling = matches!(op, BinaryOperator::Multiply | BinaryOperator::Divide);
        if scaling {
            let interval =
                |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Interval(_) | DataType::Duration(_)));
            let scale = |interval: Expr, factor: Expr, divide: bool| {
                let function: Arc<ScalarUDF> = functions::interval_scale(divide);
                PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
                    function,
                    vec![interval, factor],
                )))
            };
            if interval(&left) {
                return Ok(scale(left, right, op == BinaryOperator::Divide));
            }
            if op == BinaryOperator::Multiply && interval(&right) {
                return Ok(scale(right, left, false));
            }
        }
        if op == BinaryOperator::Divide {
            let types = (left.get_type(schema), right.get_type(schema));
            if let (Ok(left_type), Ok(right_type)) = types
                && left_type.is_numeric()
                && right_type.is_numeric()
                && !(left_type.is_integer() && right_type.is_integer())
            {
                let call = ScalarFunction::new_udf(functions::divide(), vec![left, right]);
                return Ok(PlannerResult::Planned(Expr::ScalarFunction(call)));
            }
        }
        let operation = match op {
            BinaryOperator::Plus => Some(Operation::Add),
            BinaryOperator::Minus => Some(Operation::Subtract),
            BinaryOperator::Multiply => Some(Operation::Multiply),
            _ => None,
        };
        if let Some(operation) = operation {
            let integer = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type.is_integer());
            if integer(&left) && integer(&right) {
                let function = functions::checked(operation);
                let call = ScalarFunction::new_udf(function, vec![left, right]);
                return Ok(PlannerResult::Planned(Expr::ScalarFunction(call)));
            }
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    /// `extract(field from time)` and `date_part` are one function.
    fn plan_extract(&self, args: Vec<Expr>) -> DfResult<PlannerResult<Vec<Expr>>> {
        let function = functions::date_part();
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
            function, args,
        ))))
    }
}

/// A quoted literal as an interval; `None` for anything else.
fn interval_literal(expr: &Expr) -> DfResult<Option<Expr>> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) = expr else {
        return Ok(None);
    };
    let value = pg_type::parse_literal(pg_type::oid::INTERVAL, text, chrono_tz::Tz::UTC).map_err(errors::wrap)?;
    Ok(Some(Expr::Literal(value, None)))
}

/// An integer literal that fits is an `integer`, as PostgreSQL reads it; DataFusion makes all of them `bigint`.
fn narrow(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => match i32::try_from(value) {
            Ok(value) => Expr::Literal(ScalarValue::Int32(Some(value)), metadata),
            Err(_) => Expr::Literal(ScalarValue::Int64(Some(value)), metadata),
        },
        other => other,
    }
}
