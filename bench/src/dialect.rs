//! How a system says what the benchmark asks of it: `dialects/*.toml`, each laid over `standard.toml` and, where it says so, over another.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::Result;
use crate::data::{DataSet, Kind, Table};
use crate::encode::Way;

const STANDARD: &str = include_str!("../dialects/standard.toml");

/// Every system by the name that the command line has for it.
pub const DIALECTS: [(&str, &str); 6] = [
    ("postgresql", include_str!("../dialects/postgresql.toml")),
    ("timescaledb", include_str!("../dialects/timescaledb.toml")),
    ("questdb", include_str!("../dialects/questdb.toml")),
    ("duckdb", include_str!("../dialects/duckdb.toml")),
    ("clickhouse", include_str!("../dialects/clickhouse.toml")),
    ("taospg", include_str!("../dialects/taospg.toml")),
];

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// A server with PostgreSQL's wire protocol.
    Postgres,
    /// A library in a Python process, driven by `peers/embedded.py`.
    Embedded,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    pub name: String,
    pub interface: Interface,
    /// The Python package of an embedded system.
    #[serde(default)]
    pub module: String,
    pub durability: String,
    pub version: String,
    #[serde(rename = "inherits", default)]
    _inherits: String,
    create_database: String,
    #[serde(default)]
    pub prepare_database: Vec<String>,
    create: Vec<String>,
    /// What removes the table of a measurement where there is only one database.
    #[serde(default)]
    drop: Vec<String>,
    devices: String,
    device: String,
    device_separator: String,
    device_column: String,
    #[serde(default)]
    names_are_unique: bool,
    pub keeps_twice: bool,
    #[serde(default)]
    pub shows_later: bool,
    #[serde(default)]
    ways: Vec<Way>,
    settle: Vec<String>,
    pub logs: Vec<String>,
    types: Types,
    words: BTreeMap<String, String>,
    #[serde(default)]
    steps: BTreeMap<String, String>,
    queries: BTreeMap<String, String>,
}

#[derive(Deserialize, Clone, Debug)]
struct Types {
    double: String,
    real: String,
    integer: String,
    text: String,
}

/// `template` with each `{key}` of `values` replaced.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (key, value)| {
        text.replace(&format!("{{{key}}}"), value)
    })
}

impl Dialect {
    /// One of the built-in dialects, or a file of the user's own.
    pub fn load(name: &str) -> Result<Dialect> {
        let own = match DIALECTS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => (*text).to_owned(),
            None if Path::new(name).exists() => std::fs::read_to_string(name)?,
            None => {
                let known: Vec<&str> = DIALECTS.iter().map(|(known, _)| *known).collect();
                return Err(format!("no dialect \"{name}\": one of {}, or a file", known.join(", ")).into());
            }
        };
        let parse = |text: &str| parse(text).map_err(|error| format!("dialect {name}: {error}"));
        let own = parse(&own)?;
        let mut whole = parse(STANDARD)?;
        if let Some(base) = own.get("inherits").and_then(Value::as_str) {
            let (_, base) = DIALECTS
                .iter()
                .find(|(known, _)| *known == base)
                .ok_or_else(|| format!("dialect {name} inherits \"{base}\", which is not there"))?;
            lay_over(&mut whole, parse(base)?);
        }
        lay_over(&mut whole, own);
        Ok(Dialect::deserialize(whole).map_err(|error| format!("dialect {name}: {error}"))?)
    }

    pub fn takes(&self, way: Way) -> bool {
        self.interface == Interface::Postgres && (self.ways.is_empty() || self.ways.contains(&way))
    }

    /// The statement that makes a database; `None` where there is only one.
    pub fn create_database(&self, database: &str) -> Option<String> {
        (!self.create_database.is_empty()).then(|| fill(&self.create_database, &[("database", database)]))
    }

    /// The statements that make the table of a measurement.
    pub fn create(&self, set: &DataSet, table: &Table) -> Vec<String> {
        let fields: Vec<String> = table
            .fields
            .iter()
            .map(|field| format!("{} {}", field.name, self.type_of(field.kind)))
            .collect();
        let mut tags: Vec<String> = table
            .tags
            .iter()
            .map(|tag| format!("{} {}", tag.name, self.type_of(tag.kind)))
            .collect();
        if self.has_name_tag(set) {
            tags.insert(0, format!("name {}", self.types.text));
        }
        let values = [
            ("table", table.name),
            ("fields", &fields.join(", ")),
            ("tags", &tags.join(", ")),
        ];
        self.create.iter().map(|template| fill(template, &values)).collect()
    }

    /// The statements that remove all tables of the data.
    pub fn drop_tables(&self, set: &DataSet) -> Vec<String> {
        let of_table = |table: &Table| {
            let values = [("table", table.name)];
            self.drop
                .iter()
                .map(|template| fill(template, &values))
                .collect::<Vec<_>>()
        };
        set.tables.iter().flat_map(of_table).collect()
    }

    fn type_of(&self, kind: Kind) -> &str {
        match kind {
            Kind::Double => &self.types.double,
            Kind::Real => &self.types.real,
            Kind::Integer => &self.types.integer,
            Kind::Text => &self.types.text,
        }
    }

    /// The statement that reads a table's rows from a file of COPY text.
    pub fn load_file(&self, table: &Table, file: &Path) -> Result<String> {
        let column = self.word("file_column")?;
        let columns: Vec<String> = table
            .fields
            .iter()
            .map(|field| {
                // A codec belongs to a table, not to a file.
                let kind = self.type_of(field.kind).split(" CODEC").next().unwrap_or_default();
                fill(column, &[("name", &field.name), ("type", kind)])
            })
            .collect();
        let file = file.to_string_lossy();
        let values = [
            ("table", table.name),
            ("file", &*file),
            ("columns", &columns.join(", ")),
        ];
        Ok(fill(self.word("load")?, &values))
    }

    /// The statement that makes these devices known, each with its tags.
    pub fn create_devices(&self, set: &DataSet, table: &Table, devices: &[(String, Vec<String>)]) -> String {
        let items: Vec<String> = devices
            .iter()
            .map(|(name, tags)| {
                let values = self.row_tags(set, name, tags);
                let kinds = self.tag_kinds(set, table);
                let literals: Vec<String> = values
                    .iter()
                    .zip(kinds)
                    .map(|(value, kind)| match kind {
                        Kind::Text => format!("'{value}'"),
                        _ => value.clone(),
                    })
                    .collect();
                let name = format!("{}{name}", self.name_prefix(set, table));
                let values = [
                    ("name", name.as_str()),
                    ("table", table.name),
                    ("tags", &literals.join(", ")),
                ];
                fill(&self.device, &values)
            })
            .collect();
        let values = [("table", table.name), ("devices", &items.join(&self.device_separator))];
        fill(&self.devices, &values)
    }

    /// What the tags of `row_tags` are.
    pub fn tag_kinds(&self, set: &DataSet, table: &Table) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = table.tags.iter().map(|tag| tag.kind).collect();
        if self.has_name_tag(set) {
            kinds.insert(0, Kind::Text);
        }
        kinds
    }

    /// A device's tags as rows bring them.
    pub fn row_tags(&self, set: &DataSet, name: &str, tags: &[String]) -> Vec<String> {
        let mut values = tags.to_vec();
        if self.has_name_tag(set) {
            values.insert(0, name.to_owned());
        }
        values
    }

    /// Whether a device's name is a tag, since its tables are named otherwise.
    fn has_name_tag(&self, set: &DataSet) -> bool {
        self.names_are_unique && set.tables.len() > 1
    }

    /// Before a device's name where it names a table.
    pub fn name_prefix(&self, set: &DataSet, table: &Table) -> String {
        match self.has_name_tag(set) {
            true => format!("{}_", table.name),
            false => String::new(),
        }
    }

    /// `cpu (tbname, ts, usage_user, …)`, with the tags where rows bring them.
    pub fn load_target(&self, set: &DataSet, table: &Table, with_tags: bool) -> String {
        let mut columns = vec![self.device_column.as_str(), "ts"];
        columns.extend(table.fields.iter().map(|field| field.name.as_str()));
        if with_tags {
            if self.has_name_tag(set) {
                columns.push("name");
            }
            columns.extend(table.tags.iter().map(|tag| tag.name));
        }
        format!("{} ({})", table.name, columns.join(", "))
    }

    /// Whether rows can bring the tags of devices that are not known yet.
    pub fn takes_tags_in_rows(&self) -> bool {
        self.names_are_unique
    }

    pub fn settle(&self, set: &DataSet, database: &str) -> Vec<String> {
        let mut statements = Vec::new();
        for template in &self.settle {
            match template.contains("{table}") {
                true => statements.extend(set.tables.iter().map(|table| fill(template, &[("table", table.name)]))),
                false => statements.push(fill(template, &[("database", database)])),
            }
        }
        statements
    }

    /// The column that questions know a device by.
    pub fn name_column(&self, set: &DataSet) -> &str {
        match self.has_name_tag(set) {
            true => "name",
            false => &self.device_column,
        }
    }

    pub fn word(&self, word: &str) -> Result<&str> {
        let found = self.words.get(word).map(String::as_str);
        Ok(found.ok_or_else(|| format!("the dialect of {} has no word \"{word}\"", self.name))?)
    }

    pub fn step<'a>(&'a self, step: &'a str) -> &'a str {
        self.steps.get(step).map_or(step, String::as_str)
    }

    pub fn query(&self, name: &str) -> Result<&str> {
        let found = self.queries.get(name).map(String::as_str);
        Ok(found.ok_or_else(|| format!("the dialect of {} has no query \"{name}\"", self.name))?)
    }
}

/// Tables are merged, everything else is replaced.
fn lay_over(base: &mut Value, own: Value) {
    match (base, own) {
        (Value::Object(base), Value::Object(own)) => {
            for (key, value) in own {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, own) => *base = own,
    }
}

/// TOML by way of JSON's values, which serde knows: toml's own bridge to serde would switch on a feature of serde that everything here would be
/// compiled again for.
fn parse(text: &str) -> std::result::Result<Value, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string())?;
    Ok(object(table.into_inner()))
}

fn object(table: DeTable<'_>) -> Value {
    let entries = table
        .into_iter()
        .map(|(key, value)| (key.into_inner().into_owned(), json(value.into_inner())));
    Value::Object(entries.collect())
}

fn json(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Boolean(is_true) => Value::Bool(is_true),
        DeValue::Array(items) => Value::Array(items.into_iter().map(|item| json(item.into_inner())).collect()),
        DeValue::Table(table) => object(table),
        // Dialects have no numbers and no dates.
        other => Value::String(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_can_be_read() {
        for (name, _) in DIALECTS {
            let dialect = Dialect::load(name).expect("a built-in dialect is whole");
            assert!(!dialect.query("lastpoint").expect("every dialect has it").is_empty());
        }
        assert!(Dialect::load("oracle").is_err());
    }

    #[test]
    fn a_dialect_may_inherit_another() {
        let timescale = Dialect::load("timescaledb").expect("it is built in");
        assert!(timescale.query("lastpoint").expect("inherited").contains("LATERAL"));
        assert!(timescale.word("bucket").expect("its own").starts_with("time_bucket"));
    }

    #[test]
    fn devices_have_tables_of_their_own_where_names_must_be_unique() {
        let dialect = Dialect::load("taospg").expect("it is built in");
        let iot = DataSet::by_name("iot").expect("iot is in the list");
        let tags = iot.tag_values(0, 123, 3);
        let statement = dialect.create_devices(&iot, &iot.tables[0], &[("truck_3".into(), tags)]);
        assert!(
            statement.starts_with("CREATE TABLE readings_truck_3 USING readings TAGS ('truck_3', '"),
            "{statement}"
        );
        assert_eq!(dialect.name_column(&iot), "name");
        let cpu = DataSet::by_name("cpu-only").expect("cpu-only is in the list");
        assert_eq!(dialect.name_column(&cpu), "tbname");
    }
}
