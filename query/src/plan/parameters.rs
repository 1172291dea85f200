//! Types of `$n`: what the client declared, else what the statement says (`$1::int`, LIMIT $1), else what the context needs, else text.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ParamValues, ScalarValue};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{self, LimitClause, Value, Visit, Visitor};

use super::types;
use crate::functions::ANY_EQUAL;
use crate::functions::numeric::{DISTINCT, NOT_DISTINCT};
use crate::functions::sets::of_list;
use crate::pg_type::array::is_nested;
use crate::pg_type::time::Reading;
use crate::pg_type::{self, decode_parameter, oid};
use crate::system::{self, name_functions};
use crate::{ErrorKind, Parameter, QueryError};

/// Parameters of a statement at most: PostgreSQL's own limit, from the 16-bit count of Bind.
const PARAMETERS_MAX: usize = 65_535;

/// What the statement's tree alone tells: one entry for each parameter up to the highest number.
pub fn declared(statement: &ast::Statement, client: &[u32]) -> Result<Vec<u32>, QueryError> {
    let mut finder = Finder {
        types: client.to_vec(),
        problem: None,
    };
    let _ = Visit::visit(statement, &mut finder);
    match finder.problem {
        Some(error) => Err(error),
        None => Ok(finder.types),
    }
}

struct Finder {
    types: Vec<u32>,
    problem: Option<QueryError>,
}

impl Finder {
    fn found(&mut self, name: &str, oid: u32) {
        match name.trim_start_matches('$').parse::<usize>() {
            Ok(number @ 1..=PARAMETERS_MAX) => {
                if self.types.len() < number {
                    self.types.resize(number, 0);
                }
                if self.types[number - 1] == 0 {
                    self.types[number - 1] = oid;
                }
            }
            _ => {
                let message = format!("there is no parameter {name}");
                self.problem
                    .get_or_insert(QueryError::new(ErrorKind::UndefinedParameter, message));
            }
        }
    }

    fn expr(&mut self, expr: &ast::Expr, oid: u32) {
        if let ast::Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            self.found(name, oid);
        }
    }
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter().for_each(|limit| self.expr(limit, oid::INT8));
                offset.iter().for_each(|offset| self.expr(&offset.value, oid::INT8));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.expr(offset, oid::INT8);
                self.expr(limit, oid::INT8);
            }
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::Cast { expr, data_type, .. } => self.expr(expr, types::type_oid(data_type).unwrap_or(0)),
            _ => self.expr(expr, 0),
        }
        ControlFlow::Continue(())
    }
}

/// As DataFusion's planner takes them; 0 stays open.
pub fn fields(oids: &[u32]) -> Vec<Option<FieldRef>> {
    oids.iter().map(|oid| field(*oid)).collect()
}

fn field(oid: u32) -> Option<FieldRef> {
    if is_name(oid) {
        return Some(Arc::new(Field::new("", DataType::Utf8View, true)));
    }
    let data_type = pg_type::arrow_type(oid)?;
    let field = Field::new("", data_type, true);
    Some(Arc::new(match pg_type::data_type_oid(field.data_type()) == oid {
        true => field,
        false => field.with_metadata(pg_type::type_metadata(oid)),
    }))
}

/// The name of an object, of a cast `$1::regclass`: it travels as text to the function that looks it up.
fn is_name(oid: u32) -> bool {
    name_functions(oid).is_some()
}

/// Fills the open types from a plan that was made with them open; what nothing says is text.
pub fn infer(plan: &LogicalPlan, oids: &mut [u32]) -> Result<(), QueryError> {
    let mut found: HashMap<String, u32> = HashMap::new();
    let inferred = plan.get_parameter_fields().map_err(super::errors::translate)?;
    for (name, field) in inferred {
        if let Some(field) = field {
            found.insert(name, pg_type::field_oid(&field));
        }
    }
    from_functions(plan, &mut found);
    for (index, oid) in oids.iter_mut().enumerate().filter(|(_, oid)| **oid == 0) {
        *oid = match found.get(&format!("${}", index + 1)) {
            // Beside a value that is an OID there is nothing to look a name up.
            Some(inferred) if is_name(*inferred) => oid::OID,
            Some(inferred) if pg_type::arrow_type(*inferred).is_some() => *inferred,
            _ => oid::TEXT,
        };
    }
    Ok(())
}

/// Functions behind operators both sides of which have one type: `IS DISTINCT FROM`, `@>`, `&&`.
const ALIKE: &[&str] = &[DISTINCT, NOT_DISTINCT, "arraycontains", "arrayoverlap"];

/// `x = ANY($1)`: an array of x's type. `x IS DISTINCT FROM $1`: x's type. `f($1)`: what the functions of this name take there.
fn from_functions(plan: &LogicalPlan, found: &mut HashMap<String, u32>) {
    let _ = plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let visited = node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(ScalarFunction { func, args }) = expr
                    && func.name() == ANY_EQUAL
                    && let [value, Expr::Placeholder(Placeholder { id, field: None })] = args.as_slice()
                    && let Ok((_, field)) = value.to_field(&schema)
                    && let Some(array) = pg_type::array_oid(pg_type::field_oid(&field))
                {
                    found.insert(id.clone(), array);
                } else if let Expr::ScalarFunction(ScalarFunction { func, args }) = expr
                    && ALIKE.contains(&func.name())
                    && let [Expr::Placeholder(Placeholder { id, field: None }), other]
                    | [other, Expr::Placeholder(Placeholder { id, field: None })] = args.as_slice()
                    && let Ok((_, field)) = other.to_field(&schema)
                {
                    found.entry(id.clone()).or_insert(pg_type::field_oid(&field));
                } else if let Expr::ScalarFunction(ScalarFunction { func, args }) = expr {
                    arguments(func.name(), args, &schema, found);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        });
        visited.map(|_| TreeNodeRecursion::Continue)
    });
}

/// Whether each value has just the type that plans take its parameter for.
pub fn have_types(values: &ParamValues, oids: &[u32]) -> bool {
    let ParamValues::List(values) = values else {
        return false;
    };
    let mut pairs = values.iter().zip(oids);
    pairs.all(|(value, oid)| pg_type::arrow_type(*oid).is_some_and(|data_type| data_type == value.value.data_type()))
}

fn arguments(function: &str, args: &[Expr], schema: &DFSchema, found: &mut HashMap<String, u32>) {
    let open = |arg: &Expr| match arg {
        Expr::Placeholder(Placeholder { id, field: None }) => Some(id.clone()),
        _ => None,
    };
    if args.iter().all(|arg| open(arg).is_none()) {
        return;
    }
    let known: Vec<Option<u32>> = args
        .iter()
        .map(|arg| match open(arg) {
            Some(_) => None,
            None => arg.to_field(schema).ok().map(|(_, field)| pg_type::field_oid(&field)),
        })
        .collect();
    for (position, arg) in args.iter().enumerate() {
        if let Some(id) = open(arg)
            && let Some(oid) = system::argument_type(of_list(function), &known, position)
        {
            found.entry(id).or_insert(oid);
        }
    }
}

/// The values of one execution.
pub fn values(oids: &[u32], parameters: &[Parameter], reading: Reading) -> Result<ParamValues, QueryError> {
    if parameters.len() != oids.len() {
        let message = format!(
            "bind message supplies {} parameters, but the prepared statement requires {}",
            parameters.len(),
            oids.len()
        );
        return Err(QueryError::new(ErrorKind::ProtocolViolation, message));
    }
    let mut values = Vec::with_capacity(oids.len());
    for (oid, parameter) in oids.iter().zip(parameters) {
        let value = decode_parameter(*oid, parameter, reading)?;
        if is_nested(&value.data_type()) {
            let message = "parameters that are arrays of several dimensions are not supported";
            let error = QueryError::new(ErrorKind::FeatureNotSupported, message);
            return Err(error.with_hint("write the array into the statement, or pass it as text and cast it"));
        }
        // A value keeps what it has (nanoseconds) where its type leaves that open.
        let keeps = matches!(value.data_type(), DataType::Timestamp(..) | DataType::List(_));
        let value: ScalarValue = match pg_type::arrow_type(*oid) {
            Some(data_type) if !keeps && !is_name(*oid) && data_type != value.data_type() => {
                value.cast_to(&data_type).map_err(super::errors::translate)?
            }
            _ => value,
        };
        values.push(value);
    }
    Ok(ParamValues::from(values))
}
