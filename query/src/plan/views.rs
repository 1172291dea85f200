//! Views in a query: each name of one gives way to its query, before anything else is looked up.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Ident, Query, Spanned, TableAlias, TableFactor, VisitMut, VisitorMut};
use taospg_catalog::View;

use super::names::folded;
use super::prepare::TableRead;
use crate::copy_out::{select_in, template};
use crate::statement::parse_with_sqlparser;
use crate::{ErrorKind, QueryError, Session};

/// Views that one statement may be made of. Each is used as often as it is named, so a few views of views can be a million.
const EXPANDED_MAX: usize = 1_000;

/// The views that a statement is made of.
#[derive(Default)]
pub struct Expanded {
    /// OIDs of those that it names itself.
    pub named: Vec<u32>,
    /// All of them, for the question whether they may be read.
    pub reads: Vec<TableRead>,
}

/// What the schema of a table's name inside of a view begins with; the OID of the role that reads it follows.
const READER: char = '\u{1}';

/// The role that a schema stands for.
pub fn reader(schema: &str) -> Option<u32> {
    schema.strip_prefix(READER)?.parse().ok()
}

/// Puts the queries of views in the places of their names.
pub fn expand(session: &Session, statement: &mut ast::Statement) -> Result<Expanded, QueryError> {
    let database = session.database()?;
    if session.engine().catalog().views(database.oid).is_empty() {
        return Ok(Expanded::default());
    }
    let mut expander = Expander {
        session,
        database_oid: database.oid,
        database_name: database.name.clone(),
        hidden: Vec::new(),
        expanded: 0,
        inside: Vec::new(),
        readers: Vec::new(),
        found: Expanded::default(),
    };
    match VisitMut::visit(statement, &mut expander) {
        ControlFlow::Continue(()) => Ok(expander.found),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Expander<'a> {
    session: &'a Session,
    database_oid: u32,
    database_name: String,
    /// Names of WITH, by the query that has them.
    hidden: Vec<HashSet<String>>,
    expanded: usize,
    /// Views around the current place, by the depth of queries at which they begin.
    inside: Vec<usize>,
    /// Whose rights count inside of each of them; `None` is who asks.
    readers: Vec<Option<u32>>,
    found: Expanded,
}

impl VisitorMut for Expander<'_> {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let names = query.with.iter().flat_map(|with| &with.cte_tables);
        self.hidden.push(names.map(|cte| folded(&cte.alias.name)).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        self.hidden.pop();
        if self.inside.last() == Some(&self.hidden.len()) {
            self.inside.pop();
            self.readers.pop();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        if self.inside.is_empty() && self.is_temporary(name) {
            return ControlFlow::Continue(());
        }
        let Some(own) = self.own_name(name) else {
            self.mark_other(name);
            return ControlFlow::Continue(());
        };
        let catalog = self.session.engine().catalog();
        let Some(view) = catalog.view(self.database_oid, &own) else {
            // Names of WITH outside of a view mean nothing inside of it, to the planner too.
            if !self.inside.is_empty() && catalog.relation(self.database_oid, &own).is_some() {
                let schema = match self.reader() {
                    Some(role) => format!("{READER}{role}"),
                    None => "public".into(),
                };
                let parts = [Ident::with_quote('"', schema), Ident::with_quote('"', own)];
                *name = ast::ObjectName::from(parts.to_vec());
            }
            return ControlFlow::Continue(());
        };
        self.expanded += 1;
        if self.expanded > EXPANDED_MAX {
            let message = format!("a statement is made of at most {EXPANDED_MAX} views");
            return ControlFlow::Break(Box::new(QueryError::new(ErrorKind::StatementTooComplex, message)));
        }
        if self.inside.is_empty() {
            self.found.named.push(view.oid);
        }
        let outer = self.reader();
        let read = TableRead::of_view(&view, outer);
        if !self.found.reads.contains(&read) {
            self.found.reads.push(read);
        }
        self.readers.push(match view.security_invoker {
            true => outer,
            false => Some(self.session.identity().roles.owner_of(view.oid)),
        });
        let subquery = match query(&view) {
            Ok(subquery) => subquery,
            Err(error) => return ControlFlow::Break(Box::new(error.with_location(name.span().start))),
        };
        let alias = alias.clone().unwrap_or_else(|| named(&view.name));
        self.inside.push(self.hidden.len());
        *factor = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(subquery),
            alias: Some(alias),
            sample: None,
        };
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    /// Whose rights count at the current place.
    fn reader(&self) -> Option<u32> {
        self.readers.last().copied().flatten()
    }

    /// Whether a temporary table hides a view of its name.
    fn is_temporary(&self, name: &ast::ObjectName) -> bool {
        match name.0.as_slice() {
            [part] => part
                .as_ident()
                .is_some_and(|own| self.session.temporaries().find(None, &folded(own)).is_some()),
            _ => false,
        }
    }

    /// A table of another database, inside of a view.
    fn mark_other(&self, name: &mut ast::ObjectName) {
        let Some(role) = self.reader() else { return };
        let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(folded)).collect();
        let (database, own) = match parts.as_deref() {
            Some([database, own]) => (database, own),
            Some([database, schema, own]) if schema == "public" => (database, own),
            _ => return,
        };
        let catalog = self.session.engine().catalog();
        let exists = catalog
            .database(database)
            .and_then(|database| catalog.relation(database.oid, own));
        if exists.is_some() {
            let parts = [database.clone(), format!("{READER}{role}"), own.clone()];
            *name = ast::ObjectName::from(parts.map(|part| Ident::with_quote('"', part)).to_vec());
        }
    }

    /// The name of a view or table of this database that is meant, and not one of WITH.
    fn own_name(&self, name: &ast::ObjectName) -> Option<String> {
        let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(folded)).collect();
        match parts?.as_slice() {
            [own] => {
                let from = self.inside.last().copied().unwrap_or(0).min(self.hidden.len());
                let hidden = self.hidden[from..].iter().any(|names| names.contains(own));
                (!hidden).then(|| own.clone())
            }
            [schema, own] if schema == "public" => Some(own.clone()),
            [database, schema, own] if *database == self.database_name && schema == "public" => Some(own.clone()),
            _ => None,
        }
    }
}

fn named(name: &str) -> TableAlias {
    TableAlias {
        explicit: true,
        name: Ident::with_quote('"', name),
        columns: Vec::new(),
        at: None,
    }
}

/// `SELECT columns FROM (definition) AS view`: columns that its tables got later are not among them.
fn query(view: &View) -> Result<Query, QueryError> {
    let broken = || {
        let message = format!("the definition of view \"{}\" cannot be read", view.name);
        QueryError::new(ErrorKind::InternalError, message)
    };
    let ast::Statement::Query(definition) = parse_with_sqlparser(&view.definition).map_err(|_| broken())? else {
        return Err(broken());
    };
    let mut outer = template()?;
    let select = select_in(&mut outer)?;
    let column = |name: &str| ast::SelectItem::UnnamedExpr(ast::Expr::Identifier(Ident::with_quote('"', name)));
    select.projection = view.columns.iter().map(|own| column(&own.name)).collect();
    if let Some(from) = select.from.first_mut() {
        from.relation = TableFactor::Derived {
            lateral: false,
            subquery: definition,
            alias: Some(named(&view.name)),
            sample: None,
        };
    }
    match outer {
        ast::Statement::Query(query) => Ok(*query),
        _ => Err(broken()),
    }
}
