//! Numerics without a declared scale in plans: where they meet other types, and where they are asked for equality or order.
//!
//! DataFusion knows them as bytes (`pg_type/numeric/key.rs`): their order is right by itself, for equality 1.5 and 1.50 are brought to one form.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, BinaryExpr, InList, Placeholder, ScalarFunction, Sort as SortExpr, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDFImpl,
    WindowFunctionDefinition, when,
};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

use super::{averages, errors, intervals};
use crate::functions;
use crate::functions::numeric::{
    FromNumeric, NEGATIVE, NORMAL, NUMERIC, NormalNumeric, NumericOperation, NumericOperator, ToNumeric, cast_scalar,
};
use crate::functions::overloaded::{NumericUnary, Overload, Overloaded, OverloadedAggregate};
use crate::pg_type::numeric::{Numeric, decimal128, decode_key, normal_key};
use crate::pg_type::{self, oid, parse_literal};
use crate::{ErrorKind, QueryError};

/// Digits that Arrow's decimals have at most; what may need more is computed as numerics.
const DECIMAL_DIGITS_MAX: i16 = 38;

fn call(function: impl ScalarUDFImpl + 'static, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function.into()), args))
}

/// Whether an expression is a numeric without a declared scale.
pub fn is(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|data_type| data_type == NUMERIC)
}

/// Any number as a numeric; a literal at once.
pub fn from_any(expr: Expr, schema: &DFSchema) -> DfResult<Expr> {
    match expr {
        Expr::Literal(value, _) => Ok(Expr::Literal(cast_scalar(&value, &NUMERIC)?, None)),
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Some(Field::new("", NUMERIC, true).into());
            Ok(Expr::Placeholder(Placeholder { id, field }))
        }
        expr if is(&expr, schema) => Ok(expr),
        expr => Ok(call(ToNumeric::new(), vec![expr])),
    }
}

/// A numeric as another type of numbers; a literal at once.
pub fn to(expr: Expr, target: &DataType) -> DfResult<Expr> {
    match expr {
        Expr::Literal(value, _) => Ok(Expr::Literal(cast_scalar(&value, target)?, None)),
        expr => Ok(call(FromNumeric::new(target.clone()), vec![expr])),
    }
}

fn normal(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(ScalarValue::LargeBinary(Some(key)), metadata) => {
            Expr::Literal(ScalarValue::LargeBinary(Some(normal_key(&key))), metadata)
        }
        Expr::ScalarFunction(function) if function.func.name() == NORMAL => Expr::ScalarFunction(function),
        expr => call(NormalNumeric::new(), vec![expr]),
    }
}

/// The form in which numbers are compared.
fn comparable(expr: Expr, schema: &DFSchema) -> DfResult<Expr> {
    Ok(normal(from_any(expr, schema)?))
}

/// What a numeric can stand beside.
fn is_number(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Placeholder(Placeholder { field: None, .. }) => true,
        Expr::Literal(value, _) if value.is_null() => true,
        _ => match expr.get_type(schema) {
            Ok(DataType::Null) => true,
            Ok(data_type) => data_type == NUMERIC || data_type.is_integer() || data_type.is_decimal(),
            Err(_) => false,
        },
    }
}

/// A quoted literal as a numeric; anything else as it is.
fn read(expr: Expr) -> DfResult<Expr> {
    match &expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            let value = parse_literal(oid::NUMERIC, text, chrono_tz::Tz::UTC).map_err(errors::wrap)?;
            Ok(Expr::Literal(value, None))
        }
        _ => Ok(expr),
    }
}

/// Numerics beside doubles and intervals become doubles.
pub fn meeting_doubles(left: Expr, right: Expr, schema: &DFSchema) -> DfResult<(Expr, Expr)> {
    let inexact = |expr: &Expr| {
        let data_type = expr.get_type(schema);
        data_type.is_ok_and(|data_type| {
            data_type.is_floating() || matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
        })
    };
    match (is(&left, schema), is(&right, schema)) {
        (true, false) if inexact(&right) => Ok((to(left, &DataType::Float64)?, right)),
        (false, true) if inexact(&left) => Ok((left, to(right, &DataType::Float64)?)),
        _ => Ok((left, right)),
    }
}

/// An operator with a numeric among its operands, or one whose result a decimal may not hold; `None` for all others.
pub fn binary(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> DfResult<Option<Expr>> {
    let operator = match op {
        Operator::Plus => Some(NumericOperator::Plus),
        Operator::Minus => Some(NumericOperator::Minus),
        Operator::Multiply => Some(NumericOperator::Times),
        Operator::Divide => Some(NumericOperator::Over),
        Operator::Modulo => Some(NumericOperator::Modulo),
        _ => None,
    };
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    let compares = matches!(
        op,
        Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom
    );
    if operator.is_none() && !compares {
        return Ok(None);
    }
    let has_numeric = is(left, schema) || is(right, schema);
    if !has_numeric {
        let exceeds = operator.is_some_and(|operator| exceeds_decimals(left, operator, right, schema));
        return Ok(match operator {
            Some(operator) if exceeds => Some(call(NumericOperation::new(operator), vec![left.clone(), right.clone()])),
            _ => None,
        });
    }
    let (left, right) = (read(left.clone())?, read(right.clone())?);
    if !is_number(&left, schema) || !is_number(&right, schema) {
        return Ok(None);
    }
    if let Some(operator) = operator {
        let typed = |expr: Expr| match expr {
            expr @ (Expr::Placeholder(Placeholder { field: None, .. }) | Expr::Literal(..)) => from_any(expr, schema),
            expr => Ok(expr),
        };
        let operands = vec![typed(left)?, typed(right)?];
        return Ok(Some(call(NumericOperation::new(operator), operands)));
    }
    let (left, right) = (comparable(left, schema)?, comparable(right, schema)?);
    Ok(Some(Expr::BinaryExpr(BinaryExpr::new(
        Box::new(left),
        op,
        Box::new(right),
    ))))
}

/// Whether a result of two decimals may need more digits than they have; a quotient has as many as PostgreSQL chooses for each row.
fn exceeds_decimals(left: &Expr, operator: NumericOperator, right: &Expr, schema: &DFSchema) -> bool {
    let digits = |expr: &Expr| -> Option<(i16, i16, bool)> {
        Some(match expr.get_type(schema).ok()? {
            DataType::Decimal128(precision, scale) => (i16::from(precision), i16::from(scale), true),
            DataType::Int8 | DataType::Int16 => (5, 0, false),
            DataType::Int32 => (10, 0, false),
            data_type if data_type.is_integer() => (20, 0, false),
            _ => return None,
        })
    };
    let (Some(left), Some(right)) = (digits(left), digits(right)) else {
        return false;
    };
    if !left.2 && !right.2 {
        return false;
    }
    let needed = match operator {
        NumericOperator::Over => return true,
        NumericOperator::Times => left.0 + right.0 + 1,
        NumericOperator::Plus | NumericOperator::Minus => {
            (left.0 - left.1).max(right.0 - right.1) + left.1.max(right.1) + 1
        }
        NumericOperator::Modulo | NumericOperator::Negate => {
            (left.0 - left.1).max(right.0 - right.1) + left.1.max(right.1)
        }
    };
    needed > DECIMAL_DIGITS_MAX
}

/// `x BETWEEN a AND b` and `x IN (…)` with a numeric among them.
pub fn range(between: Between, schema: &DFSchema) -> DfResult<Between> {
    let parts = [&between.expr, &between.low, &between.high];
    let ours = parts.iter().any(|part| is(part, schema)) && parts.iter().all(|part| is_number(part, schema));
    if !ours {
        return Ok(between);
    }
    let side = |expr: Box<Expr>| comparable(*expr, schema).map(Box::new);
    Ok(Between::new(
        side(between.expr)?,
        between.negated,
        side(between.low)?,
        side(between.high)?,
    ))
}

pub fn list(list: InList, schema: &DFSchema) -> DfResult<InList> {
    let parts = || std::iter::once(list.expr.as_ref()).chain(&list.list);
    if !parts().any(|part| is(part, schema)) || !parts().all(|part| is_number(part, schema)) {
        return Ok(list);
    }
    let items = list.list.into_iter().map(|item| comparable(item, schema));
    Ok(InList {
        list: items.collect::<DfResult<_>>()?,
        expr: Box::new(comparable(*list.expr, schema)?),
        negated: list.negated,
    })
}

fn cannot_cast(from: &DataType, to: &DataType) -> QueryError {
    let name = |data_type: &DataType| pg_type::type_name(pg_type::data_type_oid(data_type));
    let message = format!("cannot cast type {} to {}", name(from), name(to));
    QueryError::new(ErrorKind::CannotCoerce, message)
}

/// A cast into or out of numerics; `None` for all others and for casts to text.
pub fn cast(expr: &Expr, target: &DataType, schema: &DFSchema) -> DfResult<Option<Expr>> {
    let Ok(source) = expr.get_type(schema) else {
        return Ok(None);
    };
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let number = |data_type: &DataType| {
        data_type.is_numeric() || text(data_type) || matches!(data_type, DataType::LargeBinary | DataType::Null)
    };
    let of_list = |data_type: &DataType| match data_type {
        DataType::List(field) => field.data_type().clone(),
        other => other.clone(),
    };
    let (from, into) = (of_list(&source), of_list(target));
    // A double has fifteen digits as a numeric, whatever scale comes then; a text is rounded once.
    if let (DataType::Float32 | DataType::Float64, DataType::Decimal128(..)) = (&source, target) {
        return to(from_any(expr.clone(), schema)?, target).map(Some);
    }
    if text(&source) && matches!(target, DataType::Decimal128(..)) {
        return to(from_any(expr.clone(), schema)?, target).map(Some);
    }
    if (from != NUMERIC && into != NUMERIC) || text(target) {
        return Ok(None);
    }
    if matches!(source, DataType::List(_)) != matches!(target, DataType::List(_)) && source != DataType::Null {
        return Err(errors::wrap(cannot_cast(&source, target)));
    }
    if !number(&from) || !number(&into) {
        return Err(errors::wrap(cannot_cast(&source, target)));
    }
    Ok(Some(match into == NUMERIC {
        true => match source {
            DataType::List(_) if from == NUMERIC => expr.clone(),
            DataType::List(_) => call(ToNumeric::new(), vec![expr.clone()]),
            _ => from_any(expr.clone(), schema)?,
        },
        false => to(expr.clone(), target)?,
    }))
}

/// One expression, its operands being settled: functions that are overloaded get what they mean here, and what is compared is comparable.
pub fn settle(expr: Expr, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (left, right) = meeting_doubles(*left, *right, schema)?;
            match binary(&left, op, &right, schema)? {
                Some(expr) => Transformed::yes(expr),
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))),
            }
        }
        Expr::Negative(inner) if is(&inner, schema) => Transformed::yes(negated(*inner)),
        Expr::ScalarFunction(mut function) if function.func.name() == NEGATIVE && function.args.len() == 1 => {
            let inner = function.args.remove(0);
            Transformed::yes(match is(&inner, schema) {
                true => negated(inner),
                false => Expr::Negative(Box::new(inner)),
            })
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == "array_to_string" => {
            for arg in &mut args {
                let of_numerics = |field: &Field| *field.data_type() == NUMERIC;
                if matches!(arg.get_type(schema), Ok(DataType::List(field)) if of_numerics(&field)) {
                    let texts = DataType::List(Field::new("item", DataType::Utf8View, true).into());
                    *arg = to(arg.clone(), &texts)?;
                }
            }
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        Expr::ScalarFunction(function) => settle_function(function, schema)?,
        // Taken apart with its node.
        Expr::AggregateFunction(function) if averages::is_of_integers(&function, schema) => {
            Transformed::no(Expr::AggregateFunction(function))
        }
        Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
            let func = settle_aggregate(&func, &mut params.args, schema)?;
            if params.distinct {
                let counts = func.name() == "count";
                let key = |arg: Expr| match counts {
                    true => keyed(arg, schema),
                    false => normalised(arg, schema),
                };
                params.args = params.args.into_iter().map(key).collect();
                for sort in &mut params.order_by {
                    sort.expr = normalised(sort.expr.clone(), schema);
                }
            } else {
                sort_keys(&mut params.order_by, schema);
            }
            Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params }))
        }
        Expr::WindowFunction(window) => Transformed::yes(settle_window(window, schema)?),
        other => Transformed::no(other),
    })
}

/// `nullif` of numbers, one of them a numeric: 1.5 is 1.50.
pub fn null_if(args: &[Expr], schema: &DFSchema) -> DfResult<Option<Expr>> {
    let [value, other] = args else {
        return Ok(None);
    };
    if !is(value, schema) && !is(other, schema) {
        return Ok(None);
    }
    let (value, other) = (read(value.clone())?, read(other.clone())?);
    if !is_number(&value, schema) || !is_number(&other, schema) {
        return Ok(None);
    }
    let equal = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(comparable(value.clone(), schema)?),
        Operator::Eq,
        Box::new(comparable(other, schema)?),
    ));
    let null = Expr::Literal(ScalarValue::LargeBinary(None), None);
    when(equal, null).otherwise(from_any(value, schema)?).map(Some)
}

/// What DataFusion's own coercion casts to text becomes the digits, not the bytes.
#[derive(Debug)]
pub struct NumericTexts;

impl AnalyzerRule for NumericTexts {
    fn name(&self) -> &str {
        "numeric_texts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> DfResult<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let preserver = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = preserver.save(&expr);
                let rewritten = expr.transform_up(|expr| match expr {
                    Expr::Cast(mut cast) if is(&cast.expr, &schema) && cast.field.data_type() != &NUMERIC => {
                        let args = vec![*cast.expr];
                        let text = ScalarFunction::new_udf(functions::to_text(), args);
                        cast.expr = Box::new(Expr::ScalarFunction(text));
                        Ok(Transformed::yes(Expr::Cast(cast)))
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(rewritten.data)
    }
}

fn negated(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(ScalarValue::LargeBinary(Some(key)), _) => {
            Expr::Literal(decode_key(&key).negated().scalar(), None)
        }
        expr => call(NumericOperation::new(NumericOperator::Negate), vec![expr]),
    }
}

fn normalised(expr: Expr, schema: &DFSchema) -> Expr {
    if is(&expr, schema) { normal(expr) } else { expr }
}

/// What rows are sorted and told apart by: of numerics and intervals a form of their own.
fn keyed(expr: Expr, schema: &DFSchema) -> Expr {
    intervals::keyed(normalised(expr, schema), schema)
}

fn sort_keys(sorts: &mut [SortExpr], schema: &DFSchema) {
    for sort in sorts {
        sort.expr = keyed(sort.expr.clone(), schema);
    }
}

fn settle_function(function: ScalarFunction, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
    let inner: &dyn Any = function.func.inner().as_ref();
    let Some(overloaded) = inner.downcast_ref::<Overloaded>() else {
        return Ok(Transformed::no(Expr::ScalarFunction(function)));
    };
    let (func, overload) = (overloaded.inner.clone(), overloaded.overload);
    let has_numeric = function.args.iter().any(|arg| is(arg, schema));
    let any = |wanted: fn(&DataType) -> bool| {
        let types = function.args.iter().map(|arg| arg.get_type(schema));
        types
            .into_iter()
            .any(|data_type| data_type.is_ok_and(|data_type| wanted(&data_type)))
    };
    let floating = any(DataType::is_floating);
    let mut args = function.args;
    match overload {
        Overload::Unary(unary) => {
            if let [arg] = args.as_slice()
                && let Some(ours) = NumericUnary::of(unary, &arg.get_type(schema)?)
            {
                return Ok(Transformed::yes(call(ours, args)));
            }
        }
        Overload::Alike if has_numeric && !floating => {
            args = args
                .into_iter()
                .map(|arg| from_any(read(arg)?, schema))
                .collect::<DfResult<_>>()?;
        }
        _ => {
            args = args
                .into_iter()
                .map(|arg| {
                    if is(&arg, schema) {
                        to(arg, &DataType::Float64)
                    } else {
                        Ok(arg)
                    }
                })
                .collect::<DfResult<_>>()?;
        }
    }
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
}

fn settle_aggregate(
    func: &Arc<datafusion::logical_expr::AggregateUDF>,
    args: &mut [Expr],
    schema: &DFSchema,
) -> DfResult<Arc<datafusion::logical_expr::AggregateUDF>> {
    if let Some(extreme) = intervals::aggregate(func.name(), args, schema) {
        return Ok(extreme);
    }
    let inner: &dyn Any = func.inner().as_ref();
    let Some(overloaded) = inner.downcast_ref::<OverloadedAggregate>() else {
        return Ok(func.clone());
    };
    let types: Vec<DataType> = args.iter().filter_map(|arg| arg.get_type(schema).ok()).collect();
    if let (true, Some(numeric)) = (overloaded.gives_numeric(&types), &overloaded.numeric) {
        return Ok(numeric.clone());
    }
    for arg in args {
        if is(arg, schema) {
            *arg = to(arg.clone(), &DataType::Float64)?;
        }
    }
    Ok(overloaded.inner.clone())
}

fn settle_window(mut window: Box<WindowFunction>, schema: &DFSchema) -> DfResult<Expr> {
    if let WindowFunctionDefinition::AggregateUDF(func) = &window.fun {
        let func = settle_aggregate(func, &mut window.params.args, schema)?;
        window.fun = WindowFunctionDefinition::AggregateUDF(func);
    }
    let partitions = std::mem::take(&mut window.params.partition_by);
    window.params.partition_by = partitions.into_iter().map(|expr| keyed(expr, schema)).collect();
    sort_keys(&mut window.params.order_by, schema);
    Ok(Expr::WindowFunction(window))
}

/// Numerics that rows are grouped by, in the form that tells them apart.
fn normalised_groups(aggregate: Aggregate) -> DfResult<Aggregate> {
    let schema = aggregate.input.schema().clone();
    if !aggregate.group_expr.iter().any(|expr| is(expr, &schema)) {
        return Ok(aggregate);
    }
    let named = |expr: Expr| {
        let (relation, name) = expr.qualified_name();
        match is(&expr, &schema) {
            true => normal(expr.unalias()).alias_qualified(relation, name),
            false => expr,
        }
    };
    let groups = aggregate.group_expr.into_iter().map(named).collect();
    Aggregate::try_new(aggregate.input, groups, aggregate.aggr_expr)
}

/// One node, its expressions being settled: rows are grouped, sorted, joined and told apart by the comparable form.
pub fn settle_node(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Sort(mut sort) => {
            let schema = sort.input.schema().clone();
            sort_keys(&mut sort.expr, &schema);
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let (aggregate, averages) = averages::split(aggregate)?;
            let plan = intervals::grouped(normalised_groups(aggregate)?)?;
            match averages {
                Some(list) => LogicalPlanBuilder::from(plan).project(list)?.build()?,
                None => plan,
            }
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let schema = input.schema().clone();
            let has = |wanted: fn(&DataType) -> bool| schema.fields().iter().any(|field| wanted(field.data_type()));
            let has_interval = has(|data_type| matches!(data_type, DataType::Interval(_)));
            if !has(|data_type| *data_type == NUMERIC) {
                return match has_interval {
                    true => intervals::distinct(input),
                    false => Ok(LogicalPlan::Distinct(Distinct::All(input))),
                };
            }
            let columns = schema.iter().map(|(relation, field)| {
                let column = Expr::from((relation, field));
                match *field.data_type() == NUMERIC {
                    true => normal(column).alias_qualified(relation.cloned(), field.name()),
                    false => column,
                }
            });
            let projected = LogicalPlanBuilder::from(input.as_ref().clone()).project(columns)?;
            match has_interval {
                true => intervals::distinct(Arc::new(projected.build()?))?,
                false => projected.distinct()?.build()?,
            }
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let schema = on.input.schema().clone();
            on.on_expr = on.on_expr.into_iter().map(|expr| keyed(expr, &schema)).collect();
            if let Some(sorts) = &mut on.sort_expr {
                sort_keys(sorts, &schema);
            }
            LogicalPlan::Distinct(Distinct::On(on))
        }
        LogicalPlan::Join(mut join) => {
            let (left, right) = (join.left.schema().clone(), join.right.schema().clone());
            for (one, other) in &mut join.on {
                if is(one, &left) || is(other, &right) {
                    *one = comparable(one.clone(), &left)?;
                    *other = comparable(other.clone(), &right)?;
                } else if intervals::is(one, &left) && intervals::is(other, &right) {
                    *one = keyed(one.clone(), &left);
                    *other = keyed(other.clone(), &right);
                }
            }
            LogicalPlan::Join(join)
        }
        other => other,
    })
}

/// Brings a comparison of a column with a numeric constant, such as a parameter, back to the column's own type: scans see only those.
#[derive(Debug)]
pub struct NarrowNumerics;

impl NarrowNumerics {
    /// The column under its way to the comparable form.
    fn column(expr: &Expr) -> Option<&Expr> {
        match expr {
            Expr::ScalarFunction(function) if function.func.name() == NORMAL => match function.args.first()? {
                Expr::ScalarFunction(inner) if inner.func.name() == "to_numeric" => inner.args.first(),
                _ => None,
            },
            _ => None,
        }
    }

    fn constant(expr: &Expr) -> Option<Numeric> {
        match expr {
            Expr::Literal(ScalarValue::LargeBinary(Some(key)), _) => Some(decode_key(key)),
            Expr::ScalarFunction(function) if function.func.name() == NORMAL => {
                NarrowNumerics::constant(function.args.first()?)
            }
            _ => None,
        }
    }

    fn narrowed(column: &Expr, constant: &Numeric, schema: &DFSchema) -> Option<ScalarValue> {
        let Numeric::Finite(decimal) = constant else {
            return None;
        };
        match column.get_type(schema).ok()? {
            DataType::Decimal128(precision, scale) => {
                let unscaled = i128::try_from(decimal.exactly(u32::try_from(scale).ok()?)?).ok()?;
                let fits = unscaled.unsigned_abs() < 10u128.pow(precision.into());
                fits.then_some(ScalarValue::Decimal128(Some(unscaled), precision, scale))
            }
            data_type if data_type.is_integer() => {
                decimal.exactly(0)?;
                cast_scalar(&ScalarValue::LargeBinary(Some(constant.key())), &data_type).ok()
            }
            _ => None,
        }
    }

    fn rewrite(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
            return Transformed::no(expr);
        };
        let sides = match (NarrowNumerics::column(left), NarrowNumerics::column(right)) {
            (Some(column), None) => Some((column, NarrowNumerics::constant(right), true)),
            (None, Some(column)) => Some((column, NarrowNumerics::constant(left), false)),
            _ => None,
        };
        let Some((column, Some(constant), column_first)) = sides else {
            return Transformed::no(expr);
        };
        let Some(value) = NarrowNumerics::narrowed(column, &constant, schema) else {
            return Transformed::no(expr);
        };
        let (column, value) = (Box::new(column.clone()), Box::new(Expr::Literal(value, None)));
        Transformed::yes(Expr::BinaryExpr(match column_first {
            true => BinaryExpr::new(column, *op, value),
            false => BinaryExpr::new(value, *op, column),
        }))
    }
}

impl OptimizerRule for NarrowNumerics {
    fn name(&self) -> &str {
        "narrow_numerics"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> DfResult<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(_) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let schema = merge_schema(&plan.inputs());
        plan.map_expressions(|expr| expr.transform_up(|expr| Ok(NarrowNumerics::rewrite(expr, &schema))))
    }
}

/// A literal beside a column that is a decimal: one too where it can be.
pub fn beside_decimal(value: ScalarValue) -> ScalarValue {
    match &value {
        ScalarValue::LargeBinary(Some(key)) => match decode_key(key) {
            Numeric::Finite(decimal) => decimal128(&decimal).unwrap_or(value),
            _ => value,
        },
        _ => value,
    }
}
