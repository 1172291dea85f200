//! Functions of pg_catalog: those that depend on their arguments alone, and those that answer about the session or the catalog. Rows are few
//! where they are used, so each is a closure from values to a value.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::cell::{self, Cell, Kind};
use super::snapshot::Snapshot;
use super::{SessionInfo, relations, types};
use crate::engine::Engine;

/// The catalog as it is when the first function of a query asks for it.
pub(super) type Shared = Arc<LazyLock<Snapshot, Box<dyn FnOnce() -> Snapshot + Send + Sync>>>;

type Body = Arc<dyn Fn(&[ScalarValue]) -> Result<Cell> + Send + Sync>;

/// A function by name: two of one name are the same function to the planner.
pub(super) struct SystemFunction {
    name: &'static str,
    signature: Signature,
    returns: Kind,
    body: Body,
}

impl SystemFunction {
    pub(super) fn udf(
        name: &'static str,
        arities: &[usize],
        returns: Kind,
        body: impl Fn(&[ScalarValue]) -> Result<Cell> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let one_of = arities
            .iter()
            .map(|arity| match arity {
                0 => datafusion::logical_expr::TypeSignature::Nullary,
                arity => datafusion::logical_expr::TypeSignature::Any(*arity),
            })
            .collect();
        ScalarUDF::from(SystemFunction {
            name,
            signature: Signature::one_of(one_of, Volatility::Stable),
            returns,
            body: Arc::new(body),
        })
    }
}

impl fmt::Debug for SystemFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for SystemFunction {
    fn eq(&self, other: &SystemFunction) -> bool {
        self.name == other.name
    }
}

impl Eq for SystemFunction {}

impl Hash for SystemFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for SystemFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(cell::schema(&[("value", self.returns)]).field(0).data_type().clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = arguments
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { arguments.number_rows };
        let columns = arguments
            .args
            .iter()
            .map(|value| value.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let mut cells = Vec::with_capacity(rows);
        for row in 0..rows {
            let values = columns
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row))
                .collect::<Result<Vec<_>>>()?;
            cells.push(vec![(self.body)(&values)?]);
        }
        let array = cell::batch(&[("value", self.returns)], &cells)?.column(0).clone();
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

pub(super) fn text(values: &[ScalarValue], position: usize) -> Option<String> {
    let value = values.get(position).filter(|value| !value.is_null())?;
    match value.try_as_str() {
        Some(text) => text.map(str::to_owned),
        None => Some(value.to_string()),
    }
}

fn number(values: &[ScalarValue], position: usize) -> Option<i64> {
    let value = values.get(position).filter(|value| !value.is_null())?;
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

pub(super) fn oid(values: &[ScalarValue], position: usize) -> Option<u32> {
    number(values, position).and_then(|number| u32::try_from(number).ok())
}

pub(super) fn or_null<T: Into<Cell>>(value: Option<T>) -> Cell {
    value.map_or(Cell::Null, Into::into)
}

/// Functions that depend on nothing but their arguments.
pub(super) fn plain() -> Vec<ScalarUDF> {
    let mut functions = vec![
        SystemFunction::udf("format_type", &[2], Kind::Text, |values| {
            Ok(or_null(
                oid(values, 0).map(|oid| types::display(oid, number(values, 1).unwrap_or(-1))),
            ))
        }),
        SystemFunction::udf("pg_encoding_to_char", &[1], Kind::Name, |values| {
            Ok(if number(values, 0) == Some(6) { "UTF8" } else { "" }.into())
        }),
        // Default expressions are kept as text; there is nothing to decompile.
        SystemFunction::udf("pg_get_expr", &[2, 3], Kind::Text, |values| {
            Ok(or_null(text(values, 0)))
        }),
        SystemFunction::udf("regtype_in", &[1], Kind::Oid, |values| {
            let Some(name) = text(values, 0) else {
                return Ok(Cell::Null);
            };
            match types::by_name(&name) {
                Some(row) => Ok(row.oid.into()),
                None => exec_err!("type \"{name}\" does not exist"),
            }
        }),
        SystemFunction::udf("to_regtype", &[1], Kind::Oid, |values| {
            Ok(or_null(
                text(values, 0)
                    .and_then(|name| types::by_name(&name))
                    .map(|row| row.oid),
            ))
        }),
        SystemFunction::udf("regtype_out", &[1], Kind::Text, |values| {
            Ok(or_null(oid(values, 0).map(|oid| types::display(oid, -1))))
        }),
        SystemFunction::udf("regnamespace_out", &[1], Kind::Text, |values| {
            Ok(or_null(oid(values, 0).map(|oid| match oid {
                super::snapshot::PG_CATALOG_OID => "pg_catalog",
                super::snapshot::INFORMATION_SCHEMA_OID => "information_schema",
                _ => "public",
            })))
        }),
        SystemFunction::udf("array_out", &[1], Kind::Text, |values| {
            Ok(or_null(values.first().filter(|value| !value.is_null()).map(|value| {
                format!("{{{}}}", value.to_string().trim_matches(['[', ']']).replace(", ", ","))
            })))
        }),
        SystemFunction::udf("pg_size_pretty", &[1], Kind::Text, |values| {
            Ok(or_null(number(values, 0).map(size_pretty)))
        }),
        SystemFunction::udf("quote_ident", &[1], Kind::Text, |values| {
            Ok(or_null(text(values, 0).map(|name| quote_identifier(&name))))
        }),
        SystemFunction::udf("quote_literal", &[1], Kind::Text, |values| {
            Ok(or_null(
                text(values, 0).map(|text| format!("'{}'", text.replace('\'', "''"))),
            ))
        }),
        SystemFunction::udf("pg_is_in_recovery", &[0], Kind::Bool, |_| Ok(false.into())),
        SystemFunction::udf("pg_relation_is_publishable", &[1], Kind::Bool, |_| Ok(false.into())),
        SystemFunction::udf("pg_advisory_unlock_all", &[0], Kind::Text, |_| Ok("".into())),
        SystemFunction::udf("no_texts", &[0], Kind::TextArray, |_| Ok(Cell::Texts(Vec::new()))),
    ];
    // Everything there is can be seen from every search path, by the one superuser.
    for name in ["pg_table_is_visible", "pg_type_is_visible", "pg_function_is_visible"] {
        functions.push(SystemFunction::udf(name, &[1], Kind::Bool, |values| {
            Ok(or_null(oid(values, 0).map(|_| true)))
        }));
    }
    // Objects that carry no comments here, and definitions of what does not exist here.
    for (name, arities) in [
        ("shobj_description", &[2][..]),
        ("col_description", &[2]),
        ("pg_get_statisticsobjdef_columns", &[1]),
        ("pg_get_viewdef", &[1, 2]),
        ("pg_get_triggerdef", &[1, 2]),
        ("pg_get_ruledef", &[1, 2]),
    ] {
        functions.push(SystemFunction::udf(name, arities, Kind::Text, |_| Ok(Cell::Null)));
    }
    functions
}

/// `8192 bytes`, `24 kB`: PostgreSQL changes the unit at ten of the next one, rounding.
fn size_pretty(bytes: i64) -> String {
    let mut value = bytes;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value.abs() < 10 * 1024 {
            return format!("{value} {unit}");
        }
        value = (value + 512) / 1024;
    }
    format!("{value} TB")
}

fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Functions that answer about the session that asks and the catalog it sees.
pub(super) fn of_session(engine: &Arc<Engine>, session: &SessionInfo) -> Vec<ScalarUDF> {
    // Most statements call none of these: the catalog is read when the first is called.
    let (engine, of) = (engine.clone(), session.clone());
    let snapshot: Shared = Arc::new(LazyLock::new(
        Box::new(move || Snapshot::take(&engine, &of)) as Box<dyn FnOnce() -> Snapshot + Send + Sync>
    ));
    let database = session.database.name.clone();
    let settings = session.settings.clone();
    let with = |f: fn(&Snapshot, &[ScalarValue]) -> Result<Cell>| {
        let snapshot = snapshot.clone();
        move |values: &[ScalarValue]| f(&snapshot, values)
    };
    let mut functions = vec![
        SystemFunction::udf("version", &[0], Kind::Text, |_| {
            Ok(format!(
                "PostgreSQL 15.0 (Taospg {}) on {}-{}",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::ARCH,
                std::env::consts::OS
            )
            .into())
        }),
        SystemFunction::udf("current_database", &[0], Kind::Name, move |_| {
            Ok(database.as_str().into())
        }),
        SystemFunction::udf("current_schema", &[0], Kind::Name, |_| Ok("public".into())),
        SystemFunction::udf("current_schemas", &[1], Kind::TextArray, |values| {
            let implicit = matches!(values.first(), Some(ScalarValue::Boolean(Some(true))));
            let schemas: &[&str] = if implicit {
                &["pg_catalog", "public"]
            } else {
                &["public"]
            };
            Ok(Cell::Texts(schemas.iter().map(|name| name.to_string()).collect()))
        }),
        SystemFunction::udf("current_setting", &[1, 2], Kind::Text, move |values| {
            let Some(name) = text(values, 0) else {
                return Ok(Cell::Null);
            };
            let missing_ok = matches!(values.get(1), Some(ScalarValue::Boolean(Some(true))));
            match settings.find(&name) {
                Some(value) => Ok(value.into()),
                None if missing_ok => Ok(Cell::Null),
                None => exec_err!("unrecognized configuration parameter \"{name}\""),
            }
        }),
        SystemFunction::udf(
            "regclass_in",
            &[1],
            Kind::Oid,
            with(|snapshot, values| {
                let Some(name) = text(values, 0) else {
                    return Ok(Cell::Null);
                };
                match name.parse::<u32>().ok().or_else(|| snapshot.oid_of_name(&name)) {
                    Some(oid) => Ok(oid.into()),
                    None => exec_err!("relation \"{name}\" does not exist"),
                }
            }),
        ),
        SystemFunction::udf(
            "to_regclass",
            &[1],
            Kind::Oid,
            with(|snapshot, values| Ok(or_null(text(values, 0).and_then(|name| snapshot.oid_of_name(&name))))),
        ),
        SystemFunction::udf(
            "regclass_out",
            &[1],
            Kind::Text,
            with(|snapshot, values| {
                let oid = oid(values, 0);
                Ok(or_null(oid.map(|oid| {
                    snapshot
                        .name_of_oid(oid)
                        .map_or(oid.to_string(), |name| quote_identifier(&name))
                })))
            }),
        ),
        SystemFunction::udf(
            "obj_description",
            &[1, 2],
            Kind::Text,
            with(|snapshot, values| {
                let listed = oid(values, 0).and_then(|oid| snapshot.listed(oid));
                Ok(or_null(listed.and_then(|listed| listed.table.comment.clone())))
            }),
        ),
        SystemFunction::udf(
            "pg_get_indexdef",
            &[1, 3],
            Kind::Text,
            with(|snapshot, values| {
                let listed = oid(values, 0).and_then(|oid| snapshot.listed(oid & !super::snapshot::INDEX_BIT));
                Ok(or_null(listed.map(|listed| relations::index_definition(&listed))))
            }),
        ),
        SystemFunction::udf(
            "pg_get_constraintdef",
            &[1, 2],
            Kind::Text,
            with(|snapshot, values| {
                let listed = oid(values, 0).and_then(|oid| snapshot.listed(oid & !super::snapshot::INDEX_BIT));
                Ok(or_null(listed.map(|listed| relations::constraint_definition(&listed))))
            }),
        ),
        SystemFunction::udf(
            "pg_get_partkeydef",
            &[1],
            Kind::Text,
            with(|snapshot, values| {
                let listed = oid(values, 0).and_then(|oid| snapshot.listed(oid));
                Ok(or_null(
                    listed.filter(|listed| listed.is_partitioned()).map(|_| "LIST (tbname)"),
                ))
            }),
        ),
    ];
    functions.extend(super::roles::functions(&snapshot));
    functions
}
