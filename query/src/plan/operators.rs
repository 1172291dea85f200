//! Operators as PostgreSQL types them, where DataFusion decides otherwise.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, Operator, ScalarUDF, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{errors, numbers, numeric};
use crate::functions::numeric::NUMERIC;
use crate::functions::{self, Operation};
use crate::pg_type::{self, oid};
use crate::{ErrorKind, QueryError};

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

    /// An array of numbers that are not all integers is of numerics, however many digits each has.
    fn plan_array_literal(&self, exprs: Vec<Expr>, schema: &DFSchema) -> DfResult<PlannerResult<Vec<Expr>>> {
        let types: Vec<DataType> = exprs.iter().filter_map(|expr| expr.get_type(schema).ok()).collect();
        let is_decimal = |data_type: &DataType| data_type.is_decimal() || *data_type == NUMERIC;
        let fits = |data_type: &DataType| {
            is_decimal(data_type) || data_type.is_integer() || matches!(data_type, DataType::Null)
        };
        if types.len() != exprs.len() || !types.iter().any(is_decimal) || !types.iter().all(fits) {
            return Ok(PlannerResult::Original(exprs));
        }
        let numerics = exprs.into_iter().map(|expr| numeric::from_any(expr, schema));
        Ok(PlannerResult::Original(numerics.collect::<DfResult<_>>()?))
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let (left, right) = (narrow(left), narrow(right));
        // A quoted literal added to a time is an interval: nothing else can be added to it.
        if op == BinaryOperator::Plus {
            let time = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Timestamp(..) | DataType::Date32));
            if time(&left)
                && let Some(interval) = interval_literal(&right)?
            {
                return Ok(PlannerResult::Original(RawBinaryExpr {
                    op,
                    left,
                    right: interval,
                }));
            }
        }
        if op == BinaryOperator::PGStartsWith {
            let call = ScalarFunction::new_udf(starts_with(), vec![left, right]);
            return Ok(PlannerResult::Planned(Expr::ScalarFunction(call)));
        }
        let right = match expression(&op, &right)? {
            Some(translated) => translated,
            None => right,
        };
        let (left, right) = (
            like(left.clone(), &op, &right, schema)?,
            like(right, &op, &left, schema)?,
        );
        let (left, right) = dates(&op, left, right, schema);
        if op == BinaryOperator::Minus && is_date(&left, schema) && is_date(&right, schema) {
            let days = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::Minus, Box::new(right)));
            return Ok(PlannerResult::Planned(cast(days, DataType::Int32)));
        }
        if let Some(name) = function_of(&op, &left, &right, schema)? {
            let args = match name {
                Planned::Straight(name) => (name, vec![left, right], false),
                Planned::Swapped(name) => (name, vec![right, left], false),
                Planned::Negated(name) => (name, vec![left, right], true),
            };
            return planned(args.0, args.1, args.2);
        }
        use BinaryOperator::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus};
        let (left, right) = numeric::meeting_doubles(left, right, schema)?;
        let comparison = matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq);
        let (left, right) = match comparison || matches!(op, Plus | Minus | Multiply | Divide | Modulo) {
            true => numbers::operands(left, right, comparison, schema)?,
            false => (left, right),
        };
        if let Some(operator) = logical(&op)
            && let Some(planned) = numeric::binary(&left, operator, &right, schema)?
        {
            return Ok(PlannerResult::Planned(planned));
        }
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
            let checked = |expr: &Expr| {
                let data_type = expr.get_type(schema);
                data_type.is_ok_and(|data_type| data_type.is_integer() || data_type.is_floating())
            };
            if checked(&left) && checked(&right) {
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

fn starts_with() -> Arc<ScalarUDF> {
    datafusion::functions::string::starts_with()
}

fn is_date(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Date32))
}

fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

/// A date and an interval make a timestamp.
fn dates(op: &BinaryOperator, left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let midnight = |expr: Expr| cast(expr, DataType::Timestamp(TimeUnit::Microsecond, None));
    let (plus, minus) = (*op == BinaryOperator::Plus, *op == BinaryOperator::Minus);
    if (plus || minus) && is_date(&left, schema) && is_interval(&right, schema) {
        return (midnight(left), right);
    }
    if plus && is_interval(&left, schema) && is_date(&right, schema) {
        return (left, midnight(right));
    }
    (left, right)
}

/// A literal pattern of `~` and its like in the engine's spelling, refused where it is none.
fn expression(op: &BinaryOperator, right: &Expr) -> DfResult<Option<Expr>> {
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
    let (true, Expr::Literal(ScalarValue::Utf8(Some(pattern)) | ScalarValue::Utf8View(Some(pattern)), metadata)) = (
        matches!(op, PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch),
        right,
    ) else {
        return Ok(None);
    };
    let translated = functions::regular::expression(pattern).map_err(errors::wrap)?;
    Ok(Some(Expr::Literal(
        ScalarValue::Utf8(Some(translated)),
        metadata.clone(),
    )))
}

/// How an operator is a function.
enum Planned {
    Straight(&'static str),
    Swapped(&'static str),
    Negated(&'static str),
}

fn planned(name: &str, args: Vec<Expr>, negated: bool) -> DfResult<PlannerResult<RawBinaryExpr>> {
    let Some(function) = functions::named(name) else {
        let message = format!("function {name} does not exist");
        return Err(errors::wrap(QueryError::new(ErrorKind::UndefinedFunction, message)));
    };
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
    Ok(PlannerResult::Planned(if negated {
        Expr::Not(Box::new(call))
    } else {
        call
    }))
}

/// The function of ours behind an operator on these types.
fn function_of(op: &BinaryOperator, left: &Expr, right: &Expr, schema: &DFSchema) -> DfResult<Option<Planned>> {
    use BinaryOperator as Op;
    use Planned::{Negated, Straight, Swapped};
    let oid = |expr: &Expr| expr.to_field(schema).map_or(0, |(_, field)| pg_type::field_oid(&field));
    let literal = |expr: &Expr| matches!(expr, Expr::Literal(..));
    let is_json = |expr: &Expr| matches!(oid(expr), pg_type::oid::JSON | pg_type::oid::JSONB);
    let is_array = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::List(_)));
    let of_numerics =
        |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::List(item)) if *item.data_type() == NUMERIC);
    let is_number = |expr: &Expr| {
        let data_type = expr.get_type(schema);
        data_type.is_ok_and(|data_type| data_type.is_integer() || data_type.is_decimal() || data_type == NUMERIC)
    };
    let is_null = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Null));
    let is_time = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Timestamp(..)));
    let json = is_json(left) || is_json(right);
    let arrays = is_array(left) || is_array(right);
    Ok(Some(match op {
        Op::Arrow => Straight("json_get"),
        Op::LongArrow => Straight("json_get_text"),
        Op::HashArrow => Straight("json_get_path"),
        Op::HashLongArrow => Straight("json_get_path_text"),
        Op::HashMinus => Straight("jsonb_delete_path"),
        Op::Question => Straight("jsonb_exists"),
        Op::QuestionAnd => Straight("jsonb_exists_all"),
        Op::QuestionPipe => Straight("jsonb_exists_any"),
        Op::AtArrow if json => Straight("jsonb_contains"),
        Op::ArrowAt if json => Swapped("jsonb_contains"),
        Op::AtArrow if arrays => Straight("arraycontains"),
        Op::ArrowAt if arrays => Swapped("arraycontains"),
        Op::PGOverlap if arrays => Straight("arrayoverlap"),
        Op::StringConcat if is_json(left) && (is_json(right) || literal(right)) => Straight("jsonb_concat"),
        Op::StringConcat if is_json(right) && literal(left) => Straight("jsonb_concat"),
        Op::Minus if is_json(left) => Straight("jsonb_delete"),
        Op::Eq if json && oid(left) != pg_type::oid::JSON => Straight("jsonb_eq"),
        Op::NotEq if json && oid(left) != pg_type::oid::JSON => Negated("jsonb_eq"),
        Op::StringConcat if is_array(left) && is_array(right) && (of_numerics(left) || of_numerics(right)) => {
            Straight("array_cat")
        }
        Op::StringConcat if of_numerics(left) && is_number(right) => Straight("array_append"),
        Op::StringConcat if is_number(left) && of_numerics(right) => Straight("array_prepend"),
        Op::StringConcat if is_array(left) && (is_null(right) || literal(right)) && !is_array(right) => {
            let text = matches!(right.get_type(schema), Ok(other) if other.is_string());
            match is_null(right) || text && literal(right) && array_text(right) {
                true => Straight("array_cat"),
                false => return Ok(None),
            }
        }
        Op::Minus if is_time(left) && is_time(right) => Straight("timestamp_diff"),
        Op::PGExp => Straight("power"),
        Op::PGRegexMatch if !literal(right) => Straight("textregexeq"),
        Op::PGRegexIMatch if !literal(right) => Straight("texticregexeq"),
        Op::PGRegexNotMatch if !literal(right) => Negated("textregexeq"),
        Op::PGRegexNotIMatch if !literal(right) => Negated("texticregexeq"),
        _ => return Ok(None),
    }))
}

/// Whether a quoted literal is written as an array.
fn array_text(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            text.trim().starts_with('{')
        }
        _ => false,
    }
}

fn arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

/// A quoted literal beside a number is one of the same type; compared with a truth value or an interval it is one.
fn like(expr: Expr, op: &BinaryOperator, other: &Expr, schema: &DFSchema) -> DfResult<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) = &expr else {
        return Ok(expr);
    };
    let Ok(data_type) = other.get_type(schema) else {
        return Ok(expr);
    };
    let number = data_type.is_numeric() || data_type == NUMERIC;
    let comparable = matches!(data_type, DataType::Boolean | DataType::Interval(_));
    let compared = comparable && logical(op).is_some() && !arithmetic(op);
    let calculated = number && arithmetic(op);
    if !calculated && !compared {
        return Ok(expr);
    }
    let value = pg_type::parse_literal(pg_type::data_type_oid(&data_type), text, chrono_tz::Tz::UTC);
    Ok(Expr::Literal(value.map_err(errors::wrap)?, None))
}

/// The operators that numerics have.
fn logical(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
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
