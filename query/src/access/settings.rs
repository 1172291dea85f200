//! Settings that sessions begin with: of a role, of a database, of a role in one database, of everybody.
//!
//! What is said of fewer sessions wins: everybody, then the database, then the role, then the role in the database.

use taospg_catalog::roles::{EVERYWHERE, SettingValues};

use super::Thing;
use super::roles::{access_of, find_role, must_manage};
use crate::ddl::database_named;
use crate::statement::SettingOf;
use crate::{QueryError, Session};

/// ALTER ROLE or DATABASE … SET and RESET. `setting`: `None` is all of them. `value`: `None` takes it away.
pub(super) fn set(
    session: &mut Session,
    of: &SettingOf,
    setting: Option<&str>,
    value: Option<&str>,
) -> Result<(), QueryError> {
    let identity = session.identity().clone();
    let database = match of {
        SettingOf::Database(name)
        | SettingOf::Role {
            database: Some(name), ..
        } => Some(database_named(session, Some(name))?),
        SettingOf::Role { database: None, .. } => None,
    };
    let role = match of {
        SettingOf::Role { name: Some(name), .. } => Some(find_role(&identity, &identity.roles, name)?),
        _ => None,
    };
    match (of, &role, &database) {
        (_, Some(role), _) if role.oid == identity.actor.current => {}
        (_, Some(role), _) => must_manage(session, role)?,
        (SettingOf::Database(_), None, Some(database)) => session.must_own(&Thing::Database(database))?,
        _ => session.must_be_superuser("must be superuser to alter settings globally")?,
    }
    if let Some(setting) = setting {
        // Tried on a copy: what a session could not SET, it could not begin with.
        let mut trial = session.settings().clone();
        match value {
            Some(value) => trial.set(setting, value)?,
            None => trial.reset(setting)?,
        }
    }
    let change = |settings: &mut SettingValues| match (setting.map(crate::settings::spelled), value) {
        (None, _) => settings.clear(),
        (Some(setting), Some(value)) => {
            settings.insert(setting, value.into());
        }
        (Some(setting), None) => {
            settings.remove(&setting);
        }
    };
    session.engine().catalog().change_roles(|draft| {
        if let (Some(role), None) = (&role, &database) {
            let now = draft
                .roles()
                .role(role.oid)
                .map_or_else(|| role.clone(), |now| (**now).clone());
            let mut now = now;
            change(&mut now.settings);
            return Ok(draft.put_role(now)?);
        }
        let place = database.as_ref().map_or(EVERYWHERE, |database| database.oid);
        let whose = role.as_ref().map_or(EVERYWHERE, |role| role.oid);
        let mut access = access_of(draft.roles(), place);
        change(access.settings.entry(whose).or_default());
        access.settings.retain(|_, settings| !settings.is_empty());
        draft.put_access(access);
        Ok(())
    })
}
