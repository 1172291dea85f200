//! Functions that answer about the session that asks and the catalog it sees: `current_setting`, `'meters'::regclass`, `pg_table_size`, …
//!
//! A statement gets those that it names; each sees the catalog as it was when the first of them was called.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;
use parking_lot::Mutex;
use taospg_storage::FamilySize;

use super::cell::{Cell, Kind};
use super::functions::{SystemFunction, number, oid, or_null, quote_identifier, text};
use super::interrupting::{self, Interrupting};
use super::server_wide::DEFAULT_TABLESPACE;
use super::snapshot::{INDEX_BIT, INFORMATION_SCHEMA_OID, Listed, PG_CATALOG_OID, PUBLIC_OID, Snapshot, TEMPORARY_OID};
use super::{SessionInfo, activity, procedures, relations, types};
use crate::engine::Engine;
use crate::pg_type::oid as type_oid;
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

type Body = fn(&Snapshot, &[ScalarValue]) -> Result<Cell>;

struct SessionFunction {
    name: &'static str,
    /// How many arguments it takes.
    arities: &'static [usize],
    returns: Kind,
    body: Body,
}

const fn function(name: &'static str, arities: &'static [usize], returns: Kind, body: Body) -> SessionFunction {
    SessionFunction {
        name,
        arities,
        returns,
        body,
    }
}

/// Every one, by name.
const FUNCTIONS: &[SessionFunction] = &[
    function("col_description", &[2], Kind::Text, |snapshot, values| {
        let column = number(values, 1);
        let described = listed(snapshot, values).and_then(|listed| {
            let mut columns = listed.columns().into_iter();
            columns
                .find(|own| Some(i64::from(own.attnum)) == column)?
                .comment
                .clone()
        });
        Ok(or_null(described))
    }),
    function("current_catalog", &[0], Kind::Name, |snapshot, _| {
        Ok(snapshot.session.database.name.as_str().into())
    }),
    function("current_database", &[0], Kind::Name, |snapshot, _| {
        Ok(snapshot.session.database.name.as_str().into())
    }),
    function("current_schema", &[0], Kind::Name, |_, _| Ok("public".into())),
    function("current_schemas", &[1], Kind::NameArray, |snapshot, values| {
        let implicit = matches!(values.first(), Some(ScalarValue::Boolean(Some(true))));
        let mut schemas = vec!["public".to_owned()];
        if implicit {
            schemas.insert(0, "pg_catalog".to_owned());
        }
        if implicit && snapshot.has_temporary() {
            schemas.insert(0, snapshot.session.temporaries.schema.clone());
        }
        Ok(Cell::Texts(schemas))
    }),
    function("current_setting", &[1, 2], Kind::Text, |snapshot, values| {
        let Some(name) = text(values, 0) else {
            return Ok(Cell::Null);
        };
        let missing_ok = matches!(values.get(1), Some(ScalarValue::Boolean(Some(true))));
        match snapshot.session.settings.current().get(&name) {
            Ok(value) => Ok(value.into()),
            Err(_) if missing_ok => Ok(Cell::Null),
            Err(error) => Err(errors::wrap(error)),
        }
    }),
    function("approximate_row_count", &[1], Kind::Int8, |snapshot, values| {
        Ok(or_null(family_size(snapshot, values).map(|size| bytes(size.rows))))
    }),
    function("hypertable_index_size", &[1], Kind::Int8, |snapshot, values| {
        Ok(or_null(listed(snapshot, values).map(|_| 0_i64)))
    }),
    function("hypertable_size", &[1], Kind::Int8, size),
    function("inet_client_addr", &[0], Kind::Text, |snapshot, _| {
        Ok(activity::address_and_port(&snapshot.session.entry.client_address).0)
    }),
    function("inet_client_port", &[0], Kind::Int4, |snapshot, _| {
        Ok(activity::address_and_port(&snapshot.session.entry.client_address).1)
    }),
    function("inet_server_addr", &[0], Kind::Text, |snapshot, _| {
        let address = snapshot.session.entry.server_address.as_deref();
        Ok(activity::address_and_port(address.unwrap_or_default()).0)
    }),
    function("inet_server_port", &[0], Kind::Int4, |snapshot, _| {
        let address = snapshot.session.entry.server_address.as_deref();
        Ok(activity::address_and_port(address.unwrap_or_default()).1)
    }),
    function("obj_description", &[1, 2], Kind::Text, |snapshot, values| {
        let class = text(values, 1).unwrap_or_else(|| "pg_class".to_owned());
        Ok(or_null(match class.trim_start_matches("pg_catalog.") {
            "pg_class" => listed(snapshot, values).and_then(|listed| listed.comment().map(str::to_owned)),
            "pg_proc" => oid(values, 0)
                .and_then(procedures::by_oid)
                .and_then(|procedure| procedure.description)
                .map(str::to_owned),
            "pg_namespace" => super::server_wide::NAMESPACE_COMMENTS
                .iter()
                .find(|(namespace, _)| Some(*namespace) == oid(values, 0))
                .map(|(_, comment)| comment.to_string()),
            _ => None,
        }))
    }),
    function("pg_backend_pid", &[0], Kind::Int4, |snapshot, _| {
        Ok(i64::from(snapshot.session.entry.process_id).into())
    }),
    function("pg_cancel_backend", &[1], Kind::Bool, |snapshot, values| {
        interrupting::interrupt(snapshot, values, Interrupting::Statement)
    }),
    function("pg_database_size", &[1], Kind::Int8, |snapshot, values| {
        let Some(asked) = values.first().filter(|value| !value.is_null()) else {
            return Ok(Cell::Null);
        };
        let database = match asked.try_as_str() {
            Some(name) => {
                let name = name.unwrap_or_default();
                let found = snapshot.databases.iter().find(|database| database.name == name);
                found.ok_or_else(|| undefined(ErrorKind::InvalidCatalogName, "database", name))?
            }
            None => {
                let wanted = oid(values, 0);
                match snapshot.databases.iter().find(|database| Some(database.oid) == wanted) {
                    Some(database) => database,
                    None => return Ok(Cell::Null),
                }
            }
        };
        Ok(bytes(snapshot.database_bytes(database)))
    }),
    function("pg_get_constraintdef", &[1, 2], Kind::Text, |snapshot, values| {
        Ok(or_null(
            of_index(snapshot, values).map(|listed| relations::constraint_definition(&listed)),
        ))
    }),
    function("pg_get_indexdef", &[1, 3], Kind::Text, |snapshot, values| {
        let listed = of_index(snapshot, values);
        Ok(or_null(listed.and_then(|listed| match number(values, 1) {
            None | Some(0) => Some(relations::index_definition(snapshot, &listed)),
            Some(column) => relations::index_column(&listed, column),
        })))
    }),
    function("pg_get_viewdef", &[1, 2], Kind::Text, |snapshot, values| {
        let oid = relation_oid(snapshot, values);
        let view = snapshot.views.iter().find(|view| Some(view.oid) == oid);
        Ok(or_null(view.map(|view| format!(" {};", view.definition))))
    }),
    function("pg_get_partkeydef", &[1], Kind::Text, |_, _| Ok(Cell::Null)),
    function("pg_indexes_size", &[1], Kind::Int8, |snapshot, values| {
        // Keys are found through the order of the rows themselves.
        Ok(or_null(listed(snapshot, values).map(|_| 0_i64)))
    }),
    function("pg_is_other_temp_schema", &[1], Kind::Bool, |_, _| Ok(false.into())),
    function("pg_my_temp_schema", &[0], Kind::Oid, |snapshot, _| {
        Ok(if snapshot.has_temporary() { TEMPORARY_OID } else { 0 }.into())
    }),
    function("pg_partition_root", &[1], Kind::Regclass, |snapshot, values| {
        let found = listed(snapshot, values);
        let root = found.filter(|listed| listed.is_child || listed.is_partitioned());
        Ok(or_null(root.map(|listed| listed.table.oid)))
    }),
    function("pg_postmaster_start_time", &[0], Kind::Timestamptz, |snapshot, _| {
        Ok(activity::instant(snapshot.engine().started()))
    }),
    function("pg_reload_conf", &[0], Kind::Bool, |snapshot, _| {
        if !snapshot.identity.superuser {
            return Err(errors::wrap(crate::access::refused(
                "permission denied for function pg_reload_conf",
            )));
        }
        snapshot.engine().request_reload();
        Ok(true.into())
    }),
    function("pg_conf_load_time", &[0], Kind::Timestamptz, |snapshot, _| {
        Ok(activity::instant(snapshot.engine().started()))
    }),
    function(
        "pg_relation_size",
        &[1, 2],
        Kind::Int8,
        |snapshot, values| match text(values, 1).as_deref() {
            None | Some("main") => size(snapshot, values),
            Some(_) => Ok(or_null(listed(snapshot, values).map(|_| 0_i64))),
        },
    ),
    function("pg_table_size", &[1], Kind::Int8, size),
    function("pg_tablespace_size", &[1], Kind::Int8, |snapshot, values| {
        let known = oid(values, 0) == Some(DEFAULT_TABLESPACE) || text(values, 0).as_deref() == Some("pg_default");
        let all = snapshot
            .databases
            .iter()
            .map(|database| snapshot.database_bytes(database));
        Ok(or_null(known.then(|| bytes(all.sum()))))
    }),
    function("pg_terminate_backend", &[1, 2], Kind::Bool, |snapshot, values| {
        interrupting::interrupt(snapshot, values, Interrupting::Session)
    }),
    function("pg_total_relation_size", &[1], Kind::Int8, size),
    function("regclass_in", &[1], Kind::Regclass, |snapshot, values| {
        reg_in(values, |name| match snapshot.oid_of_name(name) {
            Some(oid) => Ok(oid),
            None => Err(errors::wrap(QueryError::new(
                ErrorKind::UndefinedTable,
                format!("relation \"{name}\" does not exist"),
            ))),
        })
    }),
    function("regclass_out", &[1], Kind::Text, |snapshot, values| {
        reg_out(values, |oid| snapshot.shown_name_of_oid(oid))
    }),
    function("regnamespace_in", &[1], Kind::Regnamespace, |snapshot, values| {
        reg_in(values, |name| {
            namespace_oid(snapshot, name).ok_or_else(|| undefined(ErrorKind::InvalidSchemaName, "schema", name))
        })
    }),
    function("regnamespace_out", &[1], Kind::Text, |snapshot, values| {
        reg_out(values, |oid| {
            if oid == TEMPORARY_OID {
                return Some(snapshot.session.temporaries.schema.clone());
            }
            let found = NAMESPACES.iter().find(|(own, _)| *own == oid);
            found.map(|(_, name)| name.to_string())
        })
    }),
    function("regproc_in", &[1], Kind::Regproc, |_, values| {
        reg_in(values, |name| match procedures::named(name).as_slice() {
            [one] => Ok(one.oid),
            [] => Err(errors::wrap(QueryError::new(
                ErrorKind::UndefinedFunction,
                format!("function \"{name}\" does not exist"),
            ))),
            _ => Err(errors::wrap(QueryError::new(
                ErrorKind::AmbiguousFunction,
                format!("more than one function named \"{name}\""),
            ))),
        })
    }),
    function("regproc_out", &[1], Kind::Text, |_, values| {
        reg_out(values, |oid| {
            procedures::by_oid(oid).map(procedures::Procedure::shown_name)
        })
    }),
    function("regrole_in", &[1], Kind::Regrole, |snapshot, values| {
        reg_in(values, |name| {
            let role = snapshot.identity.roles.named(name.trim_matches('"'));
            role.map(|role| role.oid)
                .ok_or_else(|| undefined(ErrorKind::UndefinedObject, "role", name))
        })
    }),
    function("regrole_out", &[1], Kind::Text, |snapshot, values| {
        reg_out(values, |oid| {
            let role = snapshot.identity.roles.role(oid);
            role.map(|role| quote_identifier(&role.name))
        })
    }),
    function("regtype_in", &[1], Kind::Regtype, |_, values| {
        reg_in(values, |name| match types::by_name(name) {
            Some(row) => Ok(row.oid),
            None => Err(undefined(ErrorKind::UndefinedObject, "type", name)),
        })
    }),
    function("regtype_out", &[1], Kind::Text, |_, values| {
        reg_out(values, |oid| types::by_oid(oid).map(|row| row.display.clone()))
    }),
    function("set_config", &[3], Kind::Text, |snapshot, values| {
        let Some(name) = text(values, 0) else {
            return Err(errors::wrap(QueryError::new(
                ErrorKind::NullValueNotAllowed,
                "SET requires parameter name",
            )));
        };
        let value = text(values, 1).unwrap_or_default();
        let local = matches!(values.get(2), Some(ScalarValue::Boolean(Some(true))));
        let kept = snapshot
            .session
            .settings
            .set(&name, &value, local)
            .map_err(errors::wrap)?;
        Ok(kept.into())
    }),
    function("to_regclass", &[1], Kind::Regclass, |snapshot, values| {
        Ok(or_null(text(values, 0).and_then(|name| snapshot.oid_of_name(&name))))
    }),
    function("to_regnamespace", &[1], Kind::Regnamespace, |snapshot, values| {
        Ok(or_null(text(values, 0).and_then(|name| namespace_oid(snapshot, &name))))
    }),
    function("to_regproc", &[1], Kind::Regproc, |_, values| {
        let found = text(values, 0).map(|name| procedures::named(&name)).unwrap_or_default();
        Ok(match found.as_slice() {
            [one] => one.oid.into(),
            _ => Cell::Null,
        })
    }),
    function("to_regrole", &[1], Kind::Regrole, |snapshot, values| {
        let name = text(values, 0);
        Ok(or_null(name.and_then(|name| {
            snapshot.identity.roles.named(&name).map(|role| role.oid)
        })))
    }),
    function("to_regtype", &[1], Kind::Regtype, |_, values| {
        let found = text(values, 0).and_then(|name| types::by_name(&name));
        Ok(or_null(found.map(|row| row.oid)))
    }),
    function("txid_current", &[0], Kind::Int8, |snapshot, _| {
        // Transactions are told apart by when they began.
        Ok(snapshot.session.settings.transaction_us().into())
    }),
    function("version", &[0], Kind::Text, |_, _| {
        Ok(format!(
            "PostgreSQL 15.0 (Taospg {}) on {}-{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        )
        .into())
    }),
];

const NAMESPACES: &[(u32, &str)] = &[
    (PG_CATALOG_OID, "pg_catalog"),
    (PUBLIC_OID, "public"),
    (INFORMATION_SCHEMA_OID, "information_schema"),
];

fn namespace_oid(snapshot: &Snapshot, name: &str) -> Option<u32> {
    if snapshot.has_temporary() && snapshot.session.temporaries.is_schema(name.trim_matches('"')) {
        return Some(TEMPORARY_OID);
    }
    let found = NAMESPACES.iter().find(|(_, own)| *own == name.trim_matches('"'));
    found.map(|(oid, _)| *oid)
}

/// The table, child table or view that the first argument is the OID or the name of.
fn listed(snapshot: &Snapshot, values: &[ScalarValue]) -> Option<Listed> {
    snapshot.listed(relation_oid(snapshot, values)?)
}

/// Functions that take a regclass are called with names, too.
fn relation_oid(snapshot: &Snapshot, values: &[ScalarValue]) -> Option<u32> {
    oid(values, 0).or_else(|| snapshot.oid_of_name(&text(values, 0)?))
}

fn of_index(snapshot: &Snapshot, values: &[ScalarValue]) -> Option<Listed> {
    let oid = relation_oid(snapshot, values).filter(|oid| oid & INDEX_BIT != 0)?;
    snapshot.listed(oid & !INDEX_BIT).filter(Listed::has_key)
}

fn bytes(count: u64) -> Cell {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

/// Bytes of a table: its blocks in files and its rows in memory. An index and a system table take none.
fn size(snapshot: &Snapshot, values: &[ScalarValue]) -> Result<Cell> {
    let Some(oid) = relation_oid(snapshot, values) else {
        return Ok(Cell::Null);
    };
    if oid & INDEX_BIT != 0 || super::tables::by_oid(oid).is_some() {
        return Ok(0_i64.into());
    }
    let size = snapshot.listed(oid).and_then(|listed| snapshot.size_of(&listed));
    Ok(or_null(size.map(
        |FamilySize {
             file_bytes,
             memory_bytes,
             ..
         }| bytes(file_bytes + memory_bytes),
    )))
}

/// Rows and bytes of a table.
fn family_size(snapshot: &Snapshot, values: &[ScalarValue]) -> Option<FamilySize> {
    let oid = relation_oid(snapshot, values)?;
    snapshot.listed(oid).and_then(|listed| snapshot.size_of(&listed))
}

/// An object's OID, from its name or from its OID as a number or as digits.
fn reg_in(values: &[ScalarValue], find: impl Fn(&str) -> Result<u32>) -> Result<Cell> {
    if let Some(oid) = oid(values, 0) {
        return Ok(oid.into());
    }
    match text(values, 0) {
        None => Ok(Cell::Null),
        Some(name) if name == "-" => Ok(0_i64.into()),
        Some(name) => Ok(find(&name)?.into()),
    }
}

/// An object's name, or its OID in digits where it has none.
fn reg_out(values: &[ScalarValue], name: impl Fn(u32) -> Option<String>) -> Result<Cell> {
    Ok(or_null(oid(values, 0).map(|oid| match oid {
        0 => "-".to_owned(),
        oid => name(oid).unwrap_or_else(|| oid.to_string()),
    })))
}

fn undefined(kind: ErrorKind, what: &str, name: &str) -> datafusion::common::DataFusionError {
    errors::wrap(QueryError::new(kind, format!("{what} \"{name}\" does not exist")))
}

/// The function that turns a text or an OID into a value of this type, and the one that turns such a value into text.
pub(super) fn name_functions(type_oid: u32) -> Option<(&'static str, &'static str)> {
    Some(match type_oid {
        type_oid::REGCLASS => ("regclass_in", "regclass_out"),
        type_oid::REGTYPE => ("regtype_in", "regtype_out"),
        type_oid::REGPROC => ("regproc_in", "regproc_out"),
        type_oid::REGNAMESPACE => ("regnamespace_in", "regnamespace_out"),
        type_oid::REGROLE => ("regrole_in", "regrole_out"),
        _ => return None,
    })
}

pub(super) fn names() -> impl Iterator<Item = String> {
    let own = FUNCTIONS.iter().map(|function| function.name.to_owned());
    own.chain(super::roles::names())
}

/// The catalog as one statement sees it. A prepared statement keeps its functions, and each execution sees the catalog and the role of its own
/// time.
pub(super) struct Shared {
    engine: Arc<Engine>,
    session: SessionInfo,
    /// With the number of the statement that it was taken for.
    taken: Mutex<Option<(u64, Arc<Snapshot>)>>,
}

impl Shared {
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let statement = self.session.settings.statement_number();
        let mut taken = self.taken.lock();
        match taken.as_ref() {
            Some((number, snapshot)) if *number == statement => snapshot.clone(),
            _ => {
                let snapshot = Arc::new(Snapshot::take(&self.engine, &self.session));
                *taken = Some((statement, snapshot.clone()));
                snapshot
            }
        }
    }
}

/// What one statement can call.
pub struct SessionFunctions {
    shared: Arc<Shared>,
}

impl SessionFunctions {
    pub fn new(engine: &Arc<Engine>, session: &SessionInfo) -> SessionFunctions {
        SessionFunctions {
            shared: Arc::new(Shared {
                engine: engine.clone(),
                session: session.clone(),
                taken: Mutex::default(),
            }),
        }
    }

    pub fn get(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if let Some(function) = super::roles::function(name, &self.shared) {
            return Some(Arc::new(function));
        }
        let function = FUNCTIONS.iter().find(|function| function.name == name)?;
        let (shared, body) = (self.shared.clone(), function.body);
        Some(Arc::new(SystemFunction::udf(
            function.name,
            function.arities,
            function.returns,
            move |values| body(&shared.snapshot(), values),
        )))
    }
}

/// A name as PostgreSQL prints it: qualified only outside of the search path.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    match schema {
        "pg_catalog" | "public" => quote_identifier(name),
        _ => format!("{}.{}", quote_identifier(schema), quote_identifier(name)),
    }
}
