//! INSERT's tables: what each value of a row is, and which types parameters have.
//!
//! Preparing looks the tables up; a kept statement looks again when the catalog's definitions have changed.

use std::cmp::Ordering;
use std::sync::Arc;

use parking_lot::Mutex;
use taospg_catalog::Privileges;
use taospg_storage::Conflict;

use super::datum::oid;
use super::insert::{Clause, Form, Insert, InsertStatement, OnConflict, Source};
use super::insert_expressions::parameters_in;
use super::insert_planned::{execute_query, prepare_query};
use super::insert_rows::Constants;
use super::lexer::{Token, Value, position};
use super::target::{ColumnName, Field, Place, Target, tag_place};
use crate::plan::{PreparedQuery, Returning};
use crate::{Engine, ErrorKind, Outcome, Parameter, QueryError, ResultField, Session};

/// Rows wait in the session's open columns up to this size; then they are held, where the transaction's cap is watched.
const ACCUMULATOR_BYTES_MAX: usize = 16 << 20;

/// An INSERT with its targets and parameters known. Cheap to clone.
#[derive(Clone)]
pub struct PreparedInsert {
    /// Type OID of each parameter.
    pub parameter_types: Arc<[u32]>,
    /// `None`: returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
    pub(super) returning: Option<Arc<Returning>>,
    pub(super) inner: Arc<Insert>,
    /// Tables as they were found last.
    bound: Arc<Mutex<Arc<Bound>>>,
}

/// A statement's tables as the catalog has them.
pub(crate) struct Bound {
    catalog_version: u64,
    pub clauses: Vec<BoundClause>,
    /// Of INSERT … SELECT.
    pub query: Option<PreparedQuery>,
}

pub(crate) struct BoundClause {
    pub target: Target,
    pub fields: Arc<[Field]>,
    /// Of USING: the place of each of its values among the tags.
    pub using: Option<Vec<usize>>,
    pub conflict: Conflict,
    /// Columns that rows leave to their defaults, with the SQL text.
    pub defaults: Vec<(Field, String)>,
    /// A column that every row leaves null and that may not be.
    pub missing: Option<String>,
    pub zoned_time: bool,
}

impl InsertStatement {
    /// Looks the target up; parameters have the types of their columns where the client leaves it to us.
    pub async fn prepare(&self, session: &Session, parameter_types: &[u32]) -> Result<PreparedInsert, QueryError> {
        let inner = &self.inner;
        let bound = inner.bind(session, parameter_types).await?;
        let parameter_types = match &bound.query {
            Some(query) => query.parameter_types.to_vec(),
            None => inner.parameter_types(&bound, parameter_types)?,
        };
        let returning = match &inner.returning {
            Some(span) => Some(Arc::new(
                Box::pin(inner.prepare_returning(session, &bound, span.clone())).await?,
            )),
            None => None,
        };
        Ok(PreparedInsert {
            parameter_types: parameter_types.into(),
            fields: returning.as_ref().map(|returning| Arc::clone(&returning.fields)),
            returning,
            inner: Arc::clone(inner),
            bound: Arc::new(Mutex::new(Arc::new(bound))),
        })
    }
}

impl Insert {
    /// Positions of errors about names are bytes until here.
    pub(super) fn placed(&self, error: QueryError) -> QueryError {
        match error.position {
            Some(place) => error.with_position(position(&self.text, place as usize - 1)),
            None => error,
        }
    }

    async fn bind(&self, session: &Session, parameter_types: &[u32]) -> Result<Bound, QueryError> {
        let mut bound = self.bind_clauses(session).map_err(|error| self.placed(error))?;
        if let Some(Clause {
            source: Source::Query(span),
            columns,
            ..
        }) = self.clauses.first()
            && let Some(clause) = bound.clauses.pop()
        {
            let text = &self.text[span.clone()];
            let query = Box::pin(prepare_query(session, text, parameter_types)).await?;
            bound
                .clauses
                .push(self.narrow(clause, query.fields.len(), columns.is_some())?);
            bound.query = Some(query);
        }
        Ok(bound)
    }

    fn bind_clauses(&self, session: &Session) -> Result<Bound, QueryError> {
        // Read before the tables: if one changes meanwhile, the next execution looks again.
        let catalog_version = session.engine().catalog().version();
        let mut clauses: Vec<BoundClause> = Vec::with_capacity(self.clauses.len());
        for clause in &self.clauses {
            let bound = self.bind_clause(session, clause, clauses.last())?;
            clauses.push(bound);
        }
        Ok(Bound {
            catalog_version,
            clauses,
            query: None,
        })
    }

    fn bind_clause(
        &self,
        session: &Session,
        clause: &Clause,
        before: Option<&BoundClause>,
    ) -> Result<BoundClause, QueryError> {
        let target = match &clause.using {
            None => clause.table.target(session)?,
            Some(using) => clause.table.target_using(session, &using.supertable)?,
        };
        let using = match &clause.using {
            None => None,
            Some(using) => Some(tag_places(&target, using.tag_names.as_deref(), using.tags.len())?),
        };
        // Many clauses of one statement are usually alike.
        let alike = before.filter(|before| {
            Arc::ptr_eq(&before.target.table, &target.table)
                && before.target.place == target.place
                && clause.columns.is_none()
                && before.is_whole()
        });
        let fields = match alike {
            Some(before) => Arc::clone(&before.fields),
            None => target.fields(clause.columns.as_deref())?.into(),
        };
        let bound = self.with_fields(target, fields, using)?;
        match &clause.source {
            Source::Values { width, .. } => self.narrow(bound, *width, clause.columns.is_some()),
            Source::Query(_) => Ok(bound),
        }
    }

    /// For rows of `width` values, which may be fewer than the columns unless those are listed.
    pub(super) fn narrow(
        &self,
        bound: BoundClause,
        width: usize,
        has_columns: bool,
    ) -> Result<BoundClause, QueryError> {
        let refuse = |message: &str| Err(QueryError::new(ErrorKind::SyntaxError, message));
        match width.cmp(&bound.fields.len()) {
            Ordering::Equal => Ok(bound),
            Ordering::Greater => refuse("INSERT has more expressions than target columns"),
            Ordering::Less if has_columns => refuse("INSERT has more target columns than expressions"),
            Ordering::Less => {
                let fields = bound.fields.iter().copied().take(width).collect();
                self.with_fields(bound.target, fields, bound.using)
            }
        }
    }

    pub(super) fn with_fields(
        &self,
        target: Target,
        fields: Arc<[Field]>,
        using: Option<Vec<usize>>,
    ) -> Result<BoundClause, QueryError> {
        let defaults = target.defaults(&fields);
        Ok(BoundClause {
            defaults: defaults
                .into_iter()
                .map(|(field, text)| (field, text.to_owned()))
                .collect(),
            missing: target.missing(&fields).map(str::to_owned),
            zoned_time: target.zoned_time(),
            conflict: self.conflict(&target, &fields)?,
            using,
            fields,
            target,
        })
    }

    /// What ON CONFLICT asks for.
    fn conflict(&self, target: &Target, fields: &[Field]) -> Result<Conflict, QueryError> {
        let columns = match &self.conflict {
            OnConflict::None => return Ok(Conflict::ByVnode),
            OnConflict::DoNothing => return Ok(Conflict::Keep),
            OnConflict::Update(columns) => columns,
        };
        if target
            .temporary
            .as_ref()
            .is_some_and(|table| table.constraints.is_empty())
        {
            let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
            return Err(QueryError::new(ErrorKind::InvalidColumnReference, message));
        }
        let set = target.fields(Some(columns))?;
        let named = fields.contains(&Field::TableName);
        let refuse = |column: &str, why: &str| {
            Err(QueryError::new(
                ErrorKind::FeatureNotSupported,
                format!("ON CONFLICT DO UPDATE cannot leave column \"{column}\" {why}"),
            )
            .with_hint("Set exactly the columns that are inserted, besides the key."))
        };
        let is_key = |field: &Field| {
            let name = target.column(*field).0;
            let keyed = target.keyed.iter().flat_map(|table| &table.tags);
            let rules = target.temporary.iter().filter_map(|table| table.constraints.first());
            let ruled = rules.flat_map(|rule| &rule.columns).map(String::as_str);
            keyed.map(|tag| tag.name.as_str()).chain(ruled).any(|own| own == name)
        };
        for field in fields.iter().filter(|field| matches!(field, Field::Metric(_))) {
            if !set.contains(field) && !is_key(field) {
                return refuse(
                    target.column(*field).0,
                    "as it is: newer values win in all inserted columns",
                );
            }
        }
        for field in &set {
            let column = target.column(*field).0;
            match field {
                Field::Metric(_) if !fields.contains(field) => {
                    return refuse(column, "to a value that is not inserted");
                }
                Field::Tag(_) if named => return refuse(column, "changed: tags of a named table change by SET TAG"),
                _ => {}
            }
        }
        Ok(Conflict::Merge)
    }

    /// Types of parameters: the client's where it gave them, else those of the columns they go to.
    fn parameter_types(&self, bound: &Bound, given: &[u32]) -> Result<Vec<u32>, QueryError> {
        let mut types = given.to_vec();
        types.resize(types.len().max(self.parameters), 0);
        if self.parameters == 0 {
            return Ok(types);
        }
        for (clause, bound) in self.clauses.iter().zip(&bound.clauses) {
            let tags = bound.using.iter().flatten().map(|tag| Field::Tag(*tag));
            if let Some(using) = &clause.using {
                self.infer(&self.tokens[using.tags.clone()], tags, bound, &mut types);
            }
            if let Source::Values { tokens, width } = &clause.source {
                for row in self.tokens[tokens.clone()].chunks(*width) {
                    self.infer(row, bound.fields.iter().copied(), bound, &mut types);
                }
            }
        }
        match types.iter().position(|type_oid| *type_oid == 0) {
            Some(index) => Err(QueryError::new(
                ErrorKind::IndeterminateDatatype,
                format!("could not determine data type of parameter ${}", index + 1),
            )),
            None => Ok(types),
        }
    }

    fn infer(&self, tokens: &[Token], fields: impl Iterator<Item = Field>, bound: &BoundClause, types: &mut [u32]) {
        let mut set = |number: usize, type_oid: u32| {
            if let Some(known) = types.get_mut(number - 1)
                && matches!(*known, 0 | oid::UNKNOWN)
            {
                *known = type_oid;
            }
        };
        for (token, field) in tokens.iter().zip(fields) {
            let column_oid = bound.target.column(field).1.oid();
            match token.value() {
                Value::Parameter(number) => set(number, column_oid),
                Value::Expression(index) => {
                    let Some(expression) = self.expressions.get(index) else {
                        continue;
                    };
                    match &expression.form {
                        Form::Typed { value, type_oid } => {
                            if let Value::Parameter(number) = value.value() {
                                set(number, *type_oid);
                            }
                        }
                        Form::General => {
                            for parameter in parameters_in(&self.text[expression.span.clone()]) {
                                set(parameter.number, parameter.cast_oid.unwrap_or(column_oid));
                            }
                        }
                        Form::Now { .. } => {}
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn needs_planner(&self, bound: &Bound) -> bool {
        self.has_default
            || self
                .expressions
                .iter()
                .any(|expression| expression.form == Form::General)
            || bound.clauses.iter().any(|clause| !clause.defaults.is_empty())
    }
}

/// Which tags the values of USING … TAGS are.
fn tag_places(target: &Target, names: Option<&[ColumnName]>, values: usize) -> Result<Vec<usize>, QueryError> {
    let places: Vec<usize> = match names {
        None => (0..target.table.tags.len()).collect(),
        Some(names) => {
            let mut places = Vec::with_capacity(names.len());
            for (name, character) in names {
                let place = tag_place(&target.table, name, |place| places.contains(&place));
                places.push(place.map_err(|error| match character {
                    Some(character) => error.with_position(*character),
                    None => error,
                })?);
            }
            places
        }
    };
    if places.len() != values {
        return Err(QueryError::new(
            ErrorKind::SyntaxError,
            format!(
                "TAGS has {values} values for {} tags of supertable \"{}\"",
                places.len(),
                target.table.name
            ),
        ));
    }
    Ok(places)
}

impl BoundClause {
    /// Whether its fields are all columns in declared order.
    fn is_whole(&self) -> bool {
        let tags = if self.target.place == Place::Supertable {
            self.target.table.tags.len()
        } else {
            0
        };
        self.fields.len() == self.target.table.columns.len() + tags && !self.fields.contains(&Field::TableName)
    }
}

impl PreparedInsert {
    /// Adds the rows to the session's accumulator.
    pub async fn execute(&self, session: &mut Session, parameters: &[Parameter]) -> Result<Outcome, QueryError> {
        if parameters.len() < self.parameter_types.len() {
            return Err(QueryError::new(
                ErrorKind::ProtocolViolation,
                format!(
                    "bind message supplies {} parameters, but the statement requires {}",
                    parameters.len(),
                    self.parameter_types.len()
                ),
            ));
        }
        let known = Arc::clone(&self.bound.lock());
        let bound = if known.catalog_version == session.engine().catalog().version() {
            known
        } else {
            Box::pin(self.bind_again(session)).await?
        };
        if !session.identity().superuser {
            self.check_rights(session, &bound)?;
        }
        if let Some(clause) = bound.clauses.iter().find(|clause| clause.target.temporary.is_some()) {
            return Box::pin(self.execute_temporary(session, &bound, clause, parameters)).await;
        }
        if let Some(clause) = bound.clauses.iter().find(|clause| clause.target.keyed.is_some()) {
            return Box::pin(self.execute_keyed(session, &bound, clause, parameters)).await;
        }
        if let (Some(returning), Some(clause)) = (&self.returning, bound.clauses.first()) {
            return Box::pin(self.execute_returning(session, &bound, clause, returning, parameters)).await;
        }
        if let (Some(query), Some(clause)) = (&bound.query, bound.clauses.first()) {
            return Box::pin(execute_query(session, query, clause, parameters)).await;
        }
        let constants = if self.inner.needs_planner(&bound) {
            Box::pin(self.inner.evaluate(session, &bound, &self.parameter_types, parameters)).await?
        } else {
            Constants::default()
        };
        let rows = self.insert_values(session, &bound, parameters, &constants)?;
        hold_if_large(session)?;
        Ok(Outcome::Complete(format!("INSERT 0 {rows}")))
    }

    /// The tables as they were found last, if they are still so and rows of values go to them without a look at anything else. What is wrong is
    /// left to `execute` to say.
    pub(crate) fn bound_at_once(&self, session: &Session, parameters: &[Parameter]) -> Option<Arc<Bound>> {
        let bound = Arc::clone(&self.bound.lock());
        let is_plain = parameters.len() >= self.parameter_types.len()
            && bound.catalog_version == session.engine().catalog().version()
            && self.returning.is_none()
            && bound.query.is_none()
            && bound.clauses.iter().all(|clause| clause.target.keyed.is_none())
            && !self.inner.needs_planner(&bound)
            && (session.identity().superuser || self.check_rights(session, &bound).is_ok());
        is_plain.then_some(bound)
    }

    /// Adds the rows: how many.
    pub(crate) fn insert_bound(
        &self,
        session: &mut Session,
        bound: &Bound,
        parameters: &[Parameter],
    ) -> Result<u64, QueryError> {
        let rows = self.insert_values(session, bound, parameters, &Constants::default())?;
        hold_if_large(session)?;
        Ok(rows)
    }

    /// ON CONFLICT DO UPDATE changes rows that are there.
    fn check_rights(&self, session: &Session, bound: &Bound) -> Result<(), QueryError> {
        for clause in &bound.clauses {
            let target = &clause.target;
            session.may_insert(target, Privileges::INSERT, &clause.fields)?;
            if let OnConflict::Update(columns) = &self.inner.conflict {
                session.may_insert(target, Privileges::UPDATE, &target.fields(Some(columns))?)?;
            }
        }
        self.returning
            .as_ref()
            .map_or(Ok(()), |returning| returning.check(session))
    }

    /// The definitions have changed since.
    async fn bind_again(&self, session: &Session) -> Result<Arc<Bound>, QueryError> {
        let bound = Arc::new(self.inner.bind(session, &self.parameter_types).await?);
        *self.bound.lock() = Arc::clone(&bound);
        Ok(bound)
    }
}

pub(super) fn hold_if_large(session: &mut Session) -> Result<(), QueryError> {
    if session.accumulator().memory_bytes() > ACCUMULATOR_BYTES_MAX {
        let engine: Arc<Engine> = Arc::clone(session.engine());
        let changes = session.accumulator().take(&engine)?;
        session.hold(changes)?;
    }
    Ok(())
}
