//! pg_proc: the functions that are really here. PostgreSQL's signatures for those that it has too, ours for our own, and a row that takes
//! anything for what DataFusion brings along.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use datafusion::execution::session_state::SessionStateBuilder;

use super::cell::Cell;
use super::objects::INTERNAL_LANGUAGE_OID;
use super::postgresql::{FUNCTIONS, TYPES};
use super::snapshot::{OWNER_OID, PG_CATALOG_OID, PUBLIC_OID, Snapshot};
use super::types;
use crate::functions;

/// A function as pg_proc lists it.
#[derive(Clone)]
pub(super) struct Procedure {
    pub oid: u32,
    pub name: Cow<'static, str>,
    pub namespace: u32,
    /// f, a or w.
    pub kind: &'static str,
    pub volatility: &'static str,
    pub strict: bool,
    pub returns_set: bool,
    pub result: u32,
    pub arguments: Vec<u32>,
    /// The last argument may come any number of times.
    pub variadic: bool,
    pub description: Option<&'static str>,
}

/// OIDs of functions that PostgreSQL does not have: behind those of its own initdb, before the first of a user's objects.
const OWN_OID_FIRST: u32 = 14_000;

const TEXT: u32 = 25;
const INTERVAL: u32 = 1186;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const ANY: u32 = 2276;
const ANYELEMENT: u32 = 2283;

/// Result and arguments of the functions that a user knows us by.
const OWN_SIGNATURES: &[(&str, u32, &[u32])] = &[
    ("first", ANYELEMENT, &[ANYELEMENT]),
    ("first", ANYELEMENT, &[ANYELEMENT, TIMESTAMPTZ]),
    ("last", ANYELEMENT, &[ANYELEMENT]),
    ("last", ANYELEMENT, &[ANYELEMENT, TIMESTAMPTZ]),
    ("last_row", ANYELEMENT, &[ANYELEMENT]),
    ("spread", ANYELEMENT, &[ANYELEMENT]),
    ("time_bucket", TIMESTAMP, &[INTERVAL, TIMESTAMP]),
    ("time_bucket", TIMESTAMPTZ, &[INTERVAL, TIMESTAMPTZ]),
    ("time_bucket", TIMESTAMPTZ, &[INTERVAL, TIMESTAMPTZ, TEXT]),
];

/// Functions of ours that are operators or keywords in SQL and have no name there.
const NAMELESS: &[&str] = &[
    "any_equal",
    "array_element_at",
    "array_expanded",
    "array_numbers",
    "array_out",
    "array_subscripts",
    "checked_add",
    "checked_multiply",
    "checked_subtract",
    "current_date",
    "current_timestamp",
    "ilike_escape_match",
    "interval_div",
    "interval_trunc",
    "json_get",
    "json_get_path",
    "json_get_path_text",
    "json_get_text",
    "json_of_array",
    "json_of_pairs",
    "json_row",
    "jsonb_of_array",
    "jsonb_of_pairs",
    "like_escape_match",
    "localtimestamp",
    "first_known",
    "last_known",
    "no_texts",
    "quantified",
    "similar_match",
    "timestamp_diff",
];

/// Functions that are planned as others.
const REWRITTEN: &[(&str, &str)] = &[
    ("every", "a"),
    ("json_agg", "a"),
    ("json_object_agg", "a"),
    ("jsonb_agg", "a"),
    ("jsonb_object_agg", "a"),
    ("mode", "a"),
    ("percentile_disc", "a"),
    ("pg_sleep_for", "f"),
    ("variance", "a"),
];

/// Whether a function of ours stands behind an operator or behind other functions, and has no name in SQL.
fn is_nameless(name: &str) -> bool {
    NAMELESS.contains(&name) || name.ends_with("_list") || name.ends_with("_of")
}

/// Functions that are read in FROM, and by the parser itself.
const TABLE_FUNCTIONS: &[&str] = &[
    "generate_series",
    "generate_subscripts",
    "pg_get_keywords",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "unnest",
];

/// Every function there is, by name.
pub(super) fn all() -> &'static [Procedure] {
    static ALL: LazyLock<Vec<Procedure>> = LazyLock::new(list);
    &ALL
}

pub(super) fn by_oid(oid: u32) -> Option<&'static Procedure> {
    all().iter().find(|procedure| procedure.oid == oid)
}

/// By a name that may be qualified, with or without argument types: `now`, `pg_catalog.abs(integer)`.
pub(super) fn named(text: &str) -> Vec<&'static Procedure> {
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end().trim_end_matches(')'))),
        None => (text, None),
    };
    let name = name.trim().rsplit('.').next().unwrap_or_default();
    let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.to_owned(),
        None => name.to_lowercase(),
    };
    let wanted: Option<Vec<Option<u32>>> = arguments.map(|arguments| {
        let split = arguments.split(',').filter(|argument| !argument.trim().is_empty());
        split
            .map(|argument| types::by_name(argument).map(|row| row.oid))
            .collect()
    });
    let fits = |procedure: &&Procedure| {
        let own = || procedure.arguments.iter().map(|argument| Some(*argument));
        procedure.name == name && wanted.as_ref().is_none_or(|wanted| own().eq(wanted.iter().copied()))
    };
    all().iter().filter(fits).collect()
}

/// See [`super::argument_type`].
pub(super) fn argument_type(function: &str, known: &[Option<u32>], position: usize) -> Option<u32> {
    let named = all().iter().filter(|own| own.name == function && !own.variadic);
    let candidates: Vec<&[u32]> = named.map(|own| own.arguments.as_slice()).collect();
    // Those that take more have defaults for the rest.
    let as_many = |own: &&[u32]| own.len() == known.len();
    let takes = |own: &&[u32]| own.len() >= known.len();
    let candidates: Vec<&[u32]> = match candidates.iter().any(as_many) {
        true => candidates.into_iter().filter(as_many).collect(),
        false => candidates.into_iter().filter(takes).collect(),
    };
    let exact = candidates.iter().filter(|own| {
        let fits = |(own, known): (&u32, &Option<u32>)| known.is_none_or(|known| known == *own);
        own.iter().zip(known).all(fits)
    });
    let exact: Vec<&&[u32]> = exact.collect();
    let usable = match exact.is_empty() {
        true => candidates.iter().collect(),
        false => exact,
    };
    let mut types = usable.iter().filter_map(|own| own.get(position).copied());
    let first = types.next()?;
    types.all(|other| other == first).then_some(first)
}

fn list() -> Vec<Procedure> {
    let state = SessionStateBuilder::new().with_default_features().build();
    let described = functions::described();
    let own: HashMap<String, &'static str> = described
        .iter()
        .map(|(name, description, _)| (name.clone(), *description))
        .collect();
    let mut kinds: HashMap<String, &'static str> = HashMap::new();
    kinds.extend(state.scalar_functions().keys().map(|name| (name.clone(), "f")));
    kinds.extend(state.window_functions().keys().map(|name| (name.clone(), "w")));
    kinds.extend(state.aggregate_functions().keys().map(|name| (name.clone(), "a")));
    let named = described.iter().filter(|(name, ..)| !is_nameless(name));
    kinds.extend(named.map(|(name, _, kind)| (name.clone(), *kind)));
    kinds.extend(REWRITTEN.iter().map(|(name, kind)| (name.to_string(), *kind)));
    kinds.extend(functions::sets::SETS.iter().map(|set| (set.name.to_string(), "f")));
    kinds.extend(super::functions::names().into_iter().map(|name| (name, "f")));
    kinds.extend(TABLE_FUNCTIONS.iter().map(|name| (name.to_string(), "f")));
    // What types are read and written by is named in pg_type.
    let of_types: BTreeSet<u32> = TYPES
        .iter()
        .flat_map(|row| [row.input, row.output, row.receive, row.send])
        .collect();

    let mut procedures: Vec<Procedure> = FUNCTIONS
        .iter()
        .filter(|procedure| of_types.contains(&procedure.oid) || kinds.contains_key(&*procedure.name))
        .map(|procedure| Procedure {
            description: own.get(&*procedure.name).copied(),
            ..procedure.clone()
        })
        .collect();
    let known: BTreeSet<&str> = FUNCTIONS.iter().map(|procedure| &*procedure.name).collect();
    let mut rest: Vec<(&String, &&str)> = kinds
        .iter()
        .filter(|(name, _)| !known.contains(name.as_str()) && !is_nameless(name))
        .filter(|(name, _)| name.starts_with(|first: char| first.is_ascii_alphabetic()))
        .collect();
    rest.sort();
    let mut oid = OWN_OID_FIRST..;
    for (name, kind) in rest {
        let description = own.get(name).copied();
        let procedure = |result: u32, arguments: Vec<u32>, variadic: bool, oid: u32| Procedure {
            oid,
            name: Cow::Owned(name.clone()),
            namespace: if description.is_some() {
                PUBLIC_OID
            } else {
                PG_CATALOG_OID
            },
            kind,
            volatility: "s",
            strict: false,
            returns_set: false,
            result,
            arguments,
            variadic,
            description,
        };
        let signatures: Vec<_> = OWN_SIGNATURES.iter().filter(|(own, ..)| own == name).collect();
        for (_, result, arguments) in &signatures {
            procedures.extend(oid.next().map(|oid| procedure(*result, arguments.to_vec(), false, oid)));
        }
        if signatures.is_empty() {
            procedures.extend(oid.next().map(|oid| procedure(ANY, vec![ANY], true, oid)));
        }
    }
    procedures.sort_by(|a, b| (&a.name, a.oid).cmp(&(&b.name, b.oid)));
    procedures
}

impl Procedure {
    /// What `pg_get_function_arguments` prints.
    pub fn argument_list(&self) -> String {
        let mut names: Vec<String> = self.arguments.iter().map(|oid| types::display(*oid, -1)).collect();
        if let Some(last) = names.last_mut().filter(|_| self.variadic) {
            *last = format!("VARIADIC {last}");
        }
        names.join(", ")
    }

    /// What `pg_get_function_result` prints.
    pub fn result_type(&self) -> String {
        let set = if self.returns_set { "SETOF " } else { "" };
        format!("{set}{}", types::display(self.result, -1))
    }

    /// The name as regproc prints it: qualified when it is not the only one.
    pub fn shown_name(&self) -> String {
        super::functions::quote_identifier(&self.name)
    }

    /// What `pg_get_functiondef` prints: the head of the function, and as its body the name it has inside.
    pub fn definition(&self) -> String {
        let schema = if self.namespace == PUBLIC_OID {
            "public"
        } else {
            "pg_catalog"
        };
        let volatility = match self.volatility {
            "i" => " IMMUTABLE",
            "s" => " STABLE",
            _ => "",
        };
        let strict = if self.strict { " STRICT" } else { "" };
        format!(
            "CREATE OR REPLACE FUNCTION {schema}.{}({})\n RETURNS {}\n LANGUAGE internal\n{volatility} PARALLEL SAFE{strict}\nAS $function${}$function$\n",
            self.shown_name(),
            self.argument_list(),
            self.result_type(),
            self.name
        )
    }
}

pub(super) const PG_PROC: &[&str] = &[
    "oid",
    "proname",
    "pronamespace",
    "proowner",
    "prolang",
    "procost",
    "prorows",
    "provariadic",
    "prosupport",
    "prokind",
    "prosecdef",
    "proleakproof",
    "proisstrict",
    "proretset",
    "provolatile",
    "proparallel",
    "pronargs",
    "pronargdefaults",
    "prorettype",
    "proargtypes",
    "prosrc",
];

pub(super) fn procedures(_: &Snapshot) -> Vec<Vec<Cell>> {
    all()
        .iter()
        .map(|procedure| {
            vec![
                procedure.oid.into(),
                (*procedure.name).into(),
                procedure.namespace.into(),
                OWNER_OID.into(),
                INTERNAL_LANGUAGE_OID.into(),
                1_i64.into(),
                i64::from(procedure.returns_set).into(),
                if procedure.variadic { ANY } else { 0 }.into(),
                0_i64.into(),
                procedure.kind.into(),
                false.into(),
                false.into(),
                procedure.strict.into(),
                procedure.returns_set.into(),
                procedure.volatility.into(),
                "s".into(),
                (procedure.arguments.len() as i64).into(),
                0_i64.into(),
                procedure.result.into(),
                Cell::Numbers(
                    procedure
                        .arguments
                        .iter()
                        .map(|argument| i64::from(*argument))
                        .collect(),
                ),
                (*procedure.name).into(),
            ]
        })
        .collect()
}
