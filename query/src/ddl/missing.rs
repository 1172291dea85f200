//! DROP of kinds of objects that there are none of.

use crate::statement::{DropMissing, TableName};
use crate::{ErrorKind, QueryError, Session};

pub(super) fn drop(session: &mut Session, drop: &DropMissing) -> Result<String, QueryError> {
    for name in &drop.names {
        if let Some(what) = there(session, drop, name) {
            return Err(what);
        }
        let message = format!("{} \"{}\" does not exist", drop.kind, name.name);
        if !drop.if_exists {
            return Err(QueryError::new(drop.error, message).at_name(name));
        }
        session.tell("00000", format!("{message}, skipping"));
    }
    Ok(drop.tag.to_owned())
}

/// Why it cannot be dropped, when the name means something after all.
fn there(session: &Session, drop: &DropMissing, name: &TableName) -> Option<QueryError> {
    if drop.kind == "type" {
        let built_in = crate::system::is_type(&name.name);
        return built_in.then(|| {
            let message = format!(
                "cannot drop type {} because it is required by the database system",
                name.name
            );
            QueryError::new(ErrorKind::DependentObjects, message).at_name(name)
        });
    }
    super::try_find(session, name).ok().flatten()?;
    let message = format!("\"{}\" is not a {}", name.name, drop.kind);
    Some(QueryError::new(ErrorKind::WrongObjectType, message).at_name(name))
}
