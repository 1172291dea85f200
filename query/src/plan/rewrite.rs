//! A statement's tree made ready for DataFusion's planner: names of results, `*`, and spellings that it does not know.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, DataType, DuplicateTreatment, ExcludeSelectItem, Expr, Fetch, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, JoinConstraint, JoinOperator, LimitClause,
    ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor,
    UnaryOperator, Value, VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions,
};

use super::names::{folded, name_items};
use super::resolve::{Named, Relations};
use super::table::{self, TBNAME};
use super::types::character_length;
use super::{collected, comparisons, lateral, numbers, rows, sets, temporary};
use crate::functions::numeric::{DISTINCT, NEGATIVE, NOT_DISTINCT};
use crate::system::{self, TABLE_OID};
use crate::temporary::TemporaryTable;
use crate::{ErrorKind, QueryError, functions};

/// Every identifier in the statement's expressions, folded: what decides which pseudo-columns its tables have.
pub fn mentioned(statement: &ast::Statement) -> HashSet<String> {
    let mut found = HashSet::new();
    let _: ControlFlow<()> = visit_expressions(statement, |expr| {
        match expr {
            Expr::Identifier(ident) => {
                found.insert(folded(ident));
            }
            Expr::CompoundIdentifier(idents) => found.extend(idents.last().map(folded)),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    // JOIN … USING (tbname) is no expression.
    if statement.to_string().contains("USING(") {
        found.insert(TBNAME.to_string());
    }
    found
}

/// Rewrites the statement in place.
pub fn rewrite(
    statement: &mut ast::Statement,
    relations: &Relations,
    mentioned: &HashSet<String>,
) -> Result<(), QueryError> {
    let mut rewriter = Rewriter {
        relations,
        mentioned,
        scopes: Vec::new(),
        depth: 0,
    };
    match VisitMut::visit(statement, &mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Rewriter<'a> {
    relations: &'a Relations,
    mentioned: &'a HashSet<String>,
    /// The time column of the innermost SELECT's table, qualified, for `first(x)` and `last(x)`.
    scopes: Vec<Option<Expr>>,
    /// Queries around the current one.
    depth: usize,
}

/// What a wildcard expands.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Table(&'a Named),
    Temporary(&'a TemporaryTable),
    System,
    /// A subquery that so many columns were added to.
    Lateral(usize),
    Other,
}

/// `VALUES (0::int, NULL::text), (1, 'x')`: what one row casts, and others leave open, has that type in all of them.
fn share_casts(rows: &mut [ast::Parens<Vec<Expr>>]) {
    let width = rows.iter().map(|row| row.content.len()).min().unwrap_or(0);
    for column in 0..width {
        share_cast(rows.iter_mut().map(|row| &mut row.content[column]).collect());
    }
}

/// What one of several values is cast to, those that are left open become as well.
fn share_cast(values: Vec<&mut Expr>) {
    let Some(data_type) = values.iter().find_map(|value| written_type(value)) else {
        return;
    };
    for value in values {
        let is_open = matches!(value, Expr::Value(value)
            if matches!(value.value, Value::SingleQuotedString(_) | Value::Null | Value::Placeholder(_)));
        if is_open {
            *value = cast_to(value.clone(), data_type.clone());
        }
    }
}

/// The type that a value is written with: `x::date`, `date '…'`, `interval '…'`.
fn written_type(value: &Expr) -> Option<DataType> {
    match value {
        Expr::Cast {
            data_type,
            array: false,
            ..
        } => Some(data_type.clone()),
        Expr::TypedString(typed) => Some(typed.data_type.clone()),
        Expr::Interval(ast::Interval {
            leading_field: None, ..
        }) => Some(DataType::Interval {
            fields: None,
            precision: None,
        }),
        _ => None,
    }
}

/// Whether values are times or intervals, of which a quoted literal beside them is one too.
fn are_times(values: &[&mut Expr]) -> bool {
    let types: Vec<DataType> = values.iter().filter_map(|value| written_type(value)).collect();
    let is_time = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Interval { .. } | DataType::Date | DataType::Time(..) | DataType::Timestamp(..)
        )
    };
    !types.is_empty() && types.iter().all(is_time)
}

impl<'a> Shown<'a> {
    fn table(self) -> Option<&'a Named> {
        match self {
            Shown::Table(named) => Some(named),
            _ => None,
        }
    }

    /// The names that `*` brings in from a temporary table.
    fn temporary_columns(self) -> Vec<String> {
        match self {
            Shown::Temporary(table) => table
                .definition
                .columns()
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        fetch_as_limit(query);
        self.scopes.push(match query.body.as_ref() {
            SetExpr::Select(select) => self.time_column(select),
            _ => None,
        });
        match query.body.as_mut() {
            SetExpr::Values(values) => {
                share_casts(&mut values.rows);
                numbers::values(&mut values.rows);
                for row in &mut values.rows {
                    row.content.iter_mut().for_each(narrow_literal);
                }
            }
            body => {
                let outermost = self.depth == 1;
                self.prepare_selects(body, outermost);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        for (place, from) in select.from.iter_mut().enumerate() {
            match (place, &mut from.relation) {
                // Nothing stands beside the first factor: what it names is of a query around this one.
                (0, TableFactor::Derived { lateral, .. }) => *lateral = false,
                (0, _) => {}
                (_, factor) => sets::unnest_of_columns(factor),
            }
            from.joins
                .iter_mut()
                .for_each(|join| sets::unnest_of_columns(&mut join.relation));
        }
        sets::name_values(select);
        self.scopes.push(self.time_column(select));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<Self::Break> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        // `public.meters` is `meters` in the rest of the statement.
        if let TableFactor::Table {
            name,
            alias: alias @ None,
            args: None,
            ..
        } = factor
            && name.0.len() > 1
            && let Some(last) = name.0.last().and_then(|part| part.as_ident())
        {
            *alias = Some(TableAlias {
                explicit: true,
                name: last.clone(),
                columns: Vec::new(),
                at: None,
            });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Value(value) => {
                if let Value::Number(digits, _) = &value.value
                    && let Some(written) = numbers::literal(digits)
                {
                    *expr = written;
                }
            }
            Expr::Cast {
                expr: inner,
                data_type,
                array: false,
                ..
            } => {
                if let Some(length) = text_length(data_type) {
                    let text = Expr::Cast {
                        kind: ast::CastKind::DoubleColon,
                        expr: inner.clone(),
                        data_type: DataType::Text,
                        array: false,
                        format: None,
                    };
                    **inner = call("left", [text, number(&length.to_string())]);
                    if matches!(data_type, DataType::Char(_) | DataType::Character(_)) {
                        let blank = Expr::Value(Value::SingleQuotedString(" ".into()).into());
                        **inner = call("rtrim", [(**inner).clone(), blank]);
                    }
                }
            }
            Expr::Function(function) => match self.function(function) {
                Ok(None) => {}
                Ok(Some(other)) => *expr = other,
                Err(error) => return ControlFlow::Break(Box::new(error)),
            },
            // Read as the type reads it, not as DataFusion's own intervals.
            Expr::Interval(ast::Interval {
                value,
                leading_field: None,
                leading_precision: None,
                ..
            }) if matches!(value.as_ref(), Expr::Value(_)) => {
                let interval = DataType::Interval {
                    fields: None,
                    precision: None,
                };
                *expr = cast_to(value.as_ref().clone(), interval);
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                let args = [time_zone.as_ref().clone(), timestamp.as_ref().clone()];
                *expr = call("timezone", args);
            }
            Expr::Collate { expr: inner, .. } => *expr = Expr::Nested(inner.clone()),
            Expr::Substring { .. } | Expr::Overlay { .. } | Expr::Position { .. } => comparisons::keyword_call(expr),
            Expr::UnaryOp { .. } => {
                comparisons::unary(expr);
                if let Expr::UnaryOp {
                    op: UnaryOperator::Minus,
                    expr: inner,
                } = expr
                    && !is_number(inner)
                {
                    *expr = call(NEGATIVE, [inner.as_ref().clone()]);
                }
            }
            Expr::InSubquery { .. } => rows::in_subquery(expr),
            Expr::CompoundFieldAccess { .. } => comparisons::subscript(expr),
            Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } => comparisons::pattern(expr),
            Expr::BinaryOp { left, op, right } => {
                if let Some(compared) = rows::compared(left, op, right) {
                    *expr = compared;
                }
            }
            Expr::IsNull(inner) | Expr::IsNotNull(inner) if rows::fields(inner).is_some() => rows::null_test(expr),
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => {
                rows::distinct(expr);
                let named = match expr {
                    Expr::IsDistinctFrom(left, right) => Some((DISTINCT, left, right)),
                    Expr::IsNotDistinctFrom(left, right) => Some((NOT_DISTINCT, left, right)),
                    _ => None,
                };
                // The operator is chosen when the types are known.
                if let Some((name, left, right)) = named {
                    *expr = call(name, [left.as_ref().clone(), right.as_ref().clone()]);
                }
            }
            Expr::AnyOp {
                left,
                compare_op: BinaryOperator::Eq,
                right,
                ..
            } if !matches!(right.as_ref(), Expr::Subquery(_)) => {
                *expr = call("any_equal", [left.as_ref().clone(), right.as_ref().clone()]);
            }
            Expr::AllOp {
                left,
                compare_op: BinaryOperator::NotEq,
                right,
            } if !matches!(right.as_ref(), Expr::Subquery(_)) => {
                let equal = call("any_equal", [left.as_ref().clone(), right.as_ref().clone()]);
                *expr = Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(equal),
                };
            }
            Expr::AnyOp { .. } | Expr::AllOp { .. } => comparisons::quantified(expr),
            // schema.table.column
            Expr::CompoundIdentifier(idents) if idents.len() == 3 => {
                idents.remove(0);
            }
            Expr::Case {
                conditions,
                else_result,
                ..
            } => {
                conditions.iter_mut().for_each(|when| narrow_literal(&mut when.result));
                else_result.iter_mut().for_each(|other| narrow_literal(other));
            }
            Expr::Array(array) => {
                let values: Vec<&mut Expr> = array.elem.iter_mut().collect();
                if are_times(&values) {
                    share_cast(values);
                }
                array.elem.iter_mut().for_each(narrow_literal);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    fn prepare_selects(&self, body: &mut SetExpr, outermost: bool) {
        match body {
            SetExpr::Select(select) => self.prepare_select(select, outermost),
            SetExpr::SetOperation { left, right, .. } => {
                self.prepare_selects(left, outermost);
                self.prepare_selects(right, outermost);
            }
            _ => {}
        }
    }

    fn prepare_select(&self, select: &mut Select, outermost: bool) {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                && is_integer(expr)
            {
                let name = match item {
                    SelectItem::ExprWithAlias { .. } => None,
                    _ => Some(()),
                };
                // The cast would name the column after its type.
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    narrow_literal(expr);
                    if name.is_some() {
                        *expr = Expr::UnaryOp {
                            op: UnaryOperator::Plus,
                            expr: Box::new(expr.clone()),
                        };
                    }
                }
            }
        }
        let starred = self.expand_stars(select);
        let counted = |item: &mut SelectItem| {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                exists_as_count(expr);
            }
        };
        name_items(&mut select.projection, &starred, outermost);
        select.projection.iter_mut().for_each(counted);
        self.whole_rows(select);
    }

    /// `t`, `row_to_json(t)` and its like, of a table or a subquery in FROM whose columns are known.
    fn whole_rows(&self, select: &mut Select) {
        let factors = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        // A function's alias is its column.
        let tables = factors.clone().filter(|factor| self.named(factor).is_some());
        let tables: HashSet<String> = tables.filter_map(alias_of).collect();
        let all = factors.clone().count();
        let rows: Vec<(String, Vec<String>)> = factors
            .filter_map(|factor| {
                let columns = match self.named(factor) {
                    Some(named) => named
                        .table
                        .declared()
                        .iter()
                        .map(|column| column.name.clone())
                        .collect(),
                    None => rows::columns(factor)?,
                };
                Some((alias_of(factor)?, columns))
            })
            .collect();
        if rows.is_empty() {
            return;
        }
        for item in &mut select.projection {
            // What is not known could have a column of the name.
            if rows.len() == all {
                rows::as_record(item, &rows, &tables);
            }
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                rows::as_json(expr, &rows);
            }
        }
    }

    /// Lets `*` leave out pseudo-columns; returns the names that it brings in, as far as they are known.
    fn expand_stars(&self, select: &mut Select) -> HashSet<String> {
        let mut starred = HashSet::new();
        let has_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        if !select.projection.iter().any(has_star) {
            return starred;
        }
        let factors: Vec<(Option<String>, Shown<'_>, Vec<&'static str>)> = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
            .map(|factor| (alias_of(factor), self.shown(factor), self.system_columns(factor)))
            .collect();
        let merged = select
            .from
            .iter()
            .flat_map(|from| &from.joins)
            .any(|join| merges_columns(&join.join_operator));
        let hidden = |shown: Shown<'_>| match shown {
            Shown::Table(named) => table::hidden(named, self.mentioned),
            Shown::Temporary(_) => temporary::hidden(self.mentioned),
            Shown::System if self.mentioned.contains(TABLE_OID) => [TABLE_OID.to_string()].into_iter().collect(),
            Shown::Lateral(added) => (0..added).map(lateral::name).collect(),
            Shown::System | Shown::Other => Default::default(),
        };
        let visible = |named: &Named| -> Vec<String> {
            let all = named.table.declared();
            let tags = named.child.is_some().then_some(&named.table.tags);
            let is_tag = |name: &str| tags.is_some_and(|tags| tags.iter().any(|tag| tag.name == name));
            all.iter()
                .filter(|column| !is_tag(&column.name))
                .map(|column| column.name.clone())
                .collect()
        };
        let mut items = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(options) => {
                    starred.extend(
                        factors
                            .iter()
                            .filter_map(|(_, shown, _)| shown.table())
                            .flat_map(visible),
                    );
                    starred.extend(factors.iter().flat_map(|(_, shown, _)| shown.temporary_columns()));
                    let of_system = factors.iter().flat_map(|(_, _, columns)| columns);
                    starred.extend(of_system.map(|name| name.to_string()));
                    let any_hidden = factors.iter().any(|(_, named, _)| !hidden(*named).is_empty());
                    let all_aliased = factors.iter().all(|(alias, ..)| alias.is_some());
                    if !any_hidden {
                        items.push(SelectItem::Wildcard(options));
                    } else if factors.len() == 1 || merged || !all_aliased {
                        let names = factors.iter().flat_map(|(_, named, _)| hidden(*named)).collect();
                        items.push(SelectItem::Wildcard(without(options, names)));
                    } else {
                        for (alias, named, _) in &factors {
                            let name =
                                ObjectName::from(vec![Ident::with_quote('"', alias.clone().unwrap_or_default())]);
                            let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                            let options = without(options.clone(), hidden(*named).into_iter().collect());
                            items.push(SelectItem::QualifiedWildcard(kind, options));
                        }
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let alias = name.0.last().and_then(|part| part.as_ident()).map(folded);
                    let found = factors.iter().find(|(other, ..)| *other == alias);
                    let shown = found.map_or(Shown::Other, |(_, shown, _)| *shown);
                    starred.extend(shown.table().into_iter().flat_map(visible));
                    starred.extend(shown.temporary_columns());
                    let of_system = found.into_iter().flat_map(|(_, _, columns)| columns);
                    starred.extend(of_system.map(|name| name.to_string()));
                    let options = without(options, hidden(shown).into_iter().collect());
                    items.push(SelectItem::QualifiedWildcard(
                        SelectItemQualifiedWildcardKind::ObjectName(name),
                        options,
                    ));
                }
                other => items.push(other),
            }
        }
        select.projection = items;
        starred
    }

    /// The names that `*` brings in from a system table.
    fn system_columns(&self, factor: &TableFactor) -> Vec<&'static str> {
        match (self.shown(factor), factor) {
            (Shown::System, TableFactor::Table { name, .. }) => system::columns_of(name),
            _ => Vec::new(),
        }
    }

    fn shown(&self, factor: &TableFactor) -> Shown<'_> {
        if let Some(named) = self.named(factor) {
            return Shown::Table(named);
        }
        if let TableFactor::Table { name, args: None, .. } = factor
            && let Ok(reference) = object_name_to_table_reference(name.clone(), true)
            && self.relations.is_system(&reference)
        {
            return Shown::System;
        }
        if let TableFactor::Table { name, args: None, .. } = factor
            && let Ok(reference) = object_name_to_table_reference(name.clone(), true)
            && let Some(table) = self.relations.temporary.get(&reference)
        {
            return Shown::Temporary(table);
        }
        let added = lateral::added(factor);
        if added > 0 {
            return Shown::Lateral(added);
        }
        Shown::Other
    }

    fn named(&self, factor: &TableFactor) -> Option<&Named> {
        match factor {
            TableFactor::Table { name, args: None, .. } => {
                let reference = object_name_to_table_reference(name.clone(), true).ok()?;
                self.relations.tables.get(&reference)
            }
            _ => None,
        }
    }

    /// The time column of the first time-series table in FROM.
    fn time_column(&self, select: &Select) -> Option<Expr> {
        let factors = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        for factor in factors {
            if let (Some(alias), Some(named)) = (alias_of(factor), self.named(factor))
                && !named.table.is_keyed()
            {
                let time = &named.table.time_column().name;
                let parts = vec![Ident::with_quote('"', alias), Ident::with_quote('"', time)];
                return Some(Expr::CompoundIdentifier(parts));
            }
        }
        None
    }

    /// `first(x)` and its like get the time column as second argument.
    fn function(&self, function: &mut Function) -> Result<Option<Expr>, QueryError> {
        let Some(ident) = function.name.0.last().and_then(|part| part.as_ident()) else {
            return Ok(None);
        };
        let name = folded(ident);
        let start = ident.span.start;
        if name == "localtime" && matches!(function.args, FunctionArguments::None) {
            let time = DataType::Time(None, ast::TimezoneInfo::None);
            return Ok(Some(cast_to(call("localtimestamp", []), time)));
        }
        // The refusal of a function that there is not names the types of what was written.
        let typed = functions::by_signature(&name).is_some() || !system::is_function(&name);
        if !typed {
            numbers::arguments(&name, function);
        }
        if let Some(rows) = sets::in_expression(&name, function).map_err(|error| error.with_location(start))? {
            return Ok(Some(rows));
        }
        if let Some(other) = collected::aggregate(&name, function) {
            return Ok(Some(other));
        }
        comparisons::named_arguments(&name, function);
        let FunctionArguments::List(list) = &mut function.args else {
            return Ok(None);
        };
        if typed || NARROWED.contains(&name.as_str()) {
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                    narrow_literal(expr);
                }
            }
        }
        match name.as_str() {
            "age" if list.args.len() == 1 => {
                let today = cast_to(
                    call("current_date", []),
                    DataType::Timestamp(None, ast::TimezoneInfo::None),
                );
                list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(today)));
            }
            "ceiling" => function.name = ObjectName::from(vec![Ident::new("ceil")]),
            "every" => function.name = ObjectName::from(vec![Ident::new("bool_and")]),
            "variance" => function.name = ObjectName::from(vec![Ident::new("var_samp")]),
            "pg_sleep_for" if list.args.len() == 1 => {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(wait)) = &list.args[0] {
                    let interval = DataType::Interval {
                        fields: None,
                        precision: None,
                    };
                    let epoch = Expr::Value(Value::SingleQuotedString("epoch".into()).into());
                    let seconds = call("date_part", [epoch, cast_to(wait.clone(), interval)]);
                    return Ok(Some(call("pg_sleep", [seconds])));
                }
            }
            "first" | "last" | "last_row" if list.args.len() == 1 && function.over.is_none() => {
                let Some(Some(time)) = self.scopes.last() else {
                    let message = format!("{name}(value) needs a table with a time column in FROM");
                    return Err(QueryError::new(ErrorKind::UndefinedFunction, message)
                        .with_hint(format!("name the time as second argument: {name}(value, time)"))
                        .with_location(start));
                };
                list.args
                    .push(FunctionArg::Unnamed(FunctionArgExpr::Expr(time.clone())));
                let known = match name.as_str() {
                    "first" => "first_known",
                    "last" => "last_known",
                    other => other,
                };
                function.name = ObjectName::from(vec![Ident::new(known)]);
            }
            "spread" if list.args.len() == 1 => {
                let named = |name: &str| {
                    let mut function = function.clone();
                    function.name = ObjectName::from(vec![Ident::new(name)]);
                    Box::new(Expr::Function(function))
                };
                return Ok(Some(Expr::Nested(Box::new(Expr::BinaryOp {
                    left: named("max"),
                    op: BinaryOperator::Minus,
                    right: named("min"),
                }))));
            }
            "coalesce" | "greatest" | "least" | "nullif" => {
                let values: Vec<&mut Expr> = list
                    .args
                    .iter_mut()
                    .filter_map(|arg| match arg {
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                        _ => None,
                    })
                    .collect();
                if are_times(&values) {
                    share_cast(values);
                }
                for arg in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                        narrow_literal(expr);
                    }
                }
            }
            // One row for each value: the same as without.
            "max" | "min" if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) => {
                list.duplicate_treatment = None;
            }
            _ => {}
        }
        Ok(None)
    }
}

fn alias_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(folded(&alias.name)),
            None => name.0.last().and_then(|part| part.as_ident()).map(folded),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| folded(&alias.name)),
        _ => None,
    }
}

fn merges_columns(operator: &JoinOperator) -> bool {
    let constraint = match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => constraint,
        _ => return false,
    };
    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
}

fn without(mut options: WildcardAdditionalOptions, names: HashSet<String>) -> WildcardAdditionalOptions {
    if !names.is_empty() && options.opt_exclude.is_none() && options.opt_except.is_none() {
        let names = names
            .into_iter()
            .map(|name| ObjectName::from(vec![Ident::with_quote('"', name)]));
        options.opt_exclude = Some(ExcludeSelectItem::Multiple(names.collect()));
    }
    options
}

/// FETCH FIRST n ROWS ONLY is LIMIT n.
fn fetch_as_limit(query: &mut Query) {
    if let Some(Fetch {
        with_ties: false,
        percent: false,
        quantity,
    }) = &query.fetch
    {
        let limit = quantity.clone().unwrap_or_else(|| number("1"));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit: slot @ None, .. }) => *slot = Some(limit),
            None => {
                query.limit_clause = Some(LimitClause::LimitOffset {
                    limit: Some(limit),
                    offset: None,
                    limit_by: Vec::new(),
                })
            }
            Some(_) => return,
        }
        query.fetch = None;
    }
}

/// Characters that a cast to this type leaves.
fn text_length(data_type: &DataType) -> Option<u64> {
    use ast::CharacterLength::IntegerLength;
    match data_type {
        DataType::Varchar(Some(IntegerLength { length, .. }))
        | DataType::CharacterVarying(Some(IntegerLength { length, .. }))
        | DataType::CharVarying(Some(IntegerLength { length, .. }))
        | DataType::Nvarchar(Some(IntegerLength { length, .. })) => Some(*length),
        DataType::Char(length) | DataType::Character(length) => Some(character_length(length).into()),
        _ => None,
    }
}

fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits.parse::<i32>().is_ok()),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => is_integer(expr),
        _ => false,
    }
}

fn cast_to(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: ast::CastKind::DoubleColon,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

/// An integer literal that fits becomes an `integer`, as PostgreSQL reads it.
pub fn narrow_literal(expr: &mut Expr) {
    if is_integer(expr) {
        *expr = Expr::Cast {
            kind: ast::CastKind::DoubleColon,
            expr: Box::new(expr.clone()),
            data_type: DataType::Int4(None),
            array: false,
            format: None,
        };
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::Nested(inner) => is_number(inner),
        _ => false,
    }
}

/// EXISTS as a value, which DataFusion knows only as a condition: whether the subquery counts any row.
fn exists_as_count(expr: &mut Expr) {
    match expr {
        Expr::Exists { subquery, negated } => {
            let plain = |select: &Select| {
                let grouped = !matches!(&select.group_by, ast::GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
                !grouped && select.having.is_none() && select.distinct.is_none()
            };
            let limited = subquery.limit_clause.is_some() || subquery.fetch.is_some();
            if let (false, SetExpr::Select(select)) = (limited, subquery.body.as_mut())
                && plain(select)
            {
                select.projection = vec![SelectItem::UnnamedExpr(call("count", [number("1")]))];
                subquery.order_by = None;
                let op = if *negated {
                    BinaryOperator::Eq
                } else {
                    BinaryOperator::Gt
                };
                *expr = Expr::Nested(Box::new(Expr::BinaryOp {
                    left: Box::new(Expr::Subquery(subquery.clone())),
                    op,
                    right: Box::new(number("0")),
                }));
            }
        }
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } | Expr::Cast { expr: inner, .. } => {
            exists_as_count(inner)
        }
        Expr::BinaryOp { left, right, .. } => {
            exists_as_count(left);
            exists_as_count(right);
        }
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            for when in conditions {
                exists_as_count(&mut when.condition);
                exists_as_count(&mut when.result);
            }
            else_result.iter_mut().for_each(|other| exists_as_count(other));
        }
        _ => {}
    }
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.into(), false).into())
}

/// Functions of DataFusion whose results have the type of an argument.
const NARROWED: &[&str] = &[
    "abs",
    "any_value",
    "array_agg",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "nth_value",
    "pg_typeof",
];

/// A call of one of our functions.
pub fn call<const N: usize>(name: &str, args: [Expr; N]) -> Expr {
    call_all(name, args.into())
}

/// A call of one of our functions with any number of arguments.
pub fn call_all(name: &str, args: Vec<Expr>) -> Expr {
    let arg = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(arg).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
