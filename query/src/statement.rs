//! A statement: PostgreSQL's SQL with TDengine's additions, parsed but not yet looked up in the catalog.

/// One parsed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    _private: (),
}
