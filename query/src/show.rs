//! SHOW and DESCRIBE: what is answered straight from the catalog, the settings and the vnodes.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use taospg_catalog::{
    ChildRef, Children, Column, Database, Precision, Privileges, Relation, SqlType, Table, TableKind, UpdateMode,
};
use taospg_storage::VnodeId;

use crate::ddl::{Found, find};
use crate::functions;
use crate::ingest::keyed::is_serial_default;
use crate::statement::{Show, TableName, TablesKind, show_span};
use crate::{ErrorKind, QueryError, ResultField, RowSet, Session};

/// OID of text and of bigint.
const TEXT: u32 = 25;
const BIGINT: u32 = 20;

/// The columns that an answer has.
fn columns(show: &Show) -> &'static [(&'static str, u32)] {
    match show {
        Show::Databases => &[
            ("name", TEXT),
            ("oid", BIGINT),
            ("keep", TEXT),
            ("days", TEXT),
            ("vgroups", BIGINT),
            ("precision", TEXT),
            ("comp", BIGINT),
            ("update", BIGINT),
            ("wal_level", BIGINT),
            ("commit_time", TEXT),
            ("maxrows", BIGINT),
            ("stables", BIGINT),
        ],
        Show::Stables { .. } => &[
            ("name", TEXT),
            ("columns", BIGINT),
            ("tags", BIGINT),
            ("tables", BIGINT),
            ("comment", TEXT),
        ],
        Show::Tables { .. } => &[("name", TEXT), ("kind", TEXT), ("stable", TEXT), ("vnode", BIGINT)],
        Show::Tags(_) => &[("tag", TEXT), ("type", TEXT), ("value", TEXT)],
        Show::CreateTable(_) => &[("name", TEXT), ("statement", TEXT)],
        Show::CreateDatabase(_) => &[("name", TEXT), ("statement", TEXT)],
        Show::Describe(_) => &[
            ("name", TEXT),
            ("type", TEXT),
            ("nullable", TEXT),
            ("default", TEXT),
            ("note", TEXT),
        ],
        Show::Vgroups { .. } => &[("vnode", BIGINT), ("database", TEXT), ("tables", BIGINT)],
        Show::Vnodes => &[
            ("vnode", BIGINT),
            ("database", TEXT),
            ("memtable_rows", BIGINT),
            ("memtable_bytes", BIGINT),
            ("wal_bytes", BIGINT),
            ("file_groups", BIGINT),
            ("data_files", BIGINT),
            ("data_bytes", BIGINT),
            ("blocks", BIGINT),
            ("rows_in_files", BIGINT),
        ],
        Show::Functions { .. } => &[("name", TEXT), ("description", TEXT), ("example", TEXT)],
        Show::Setting(_) => &[("", TEXT)],
        Show::AllSettings => &[("name", TEXT), ("setting", TEXT), ("description", TEXT)],
    }
}

/// The result's columns.
pub(crate) fn fields(show: &Show) -> Arc<[ResultField]> {
    let field = |(name, type_oid): &(&'static str, u32)| ResultField {
        name: match show {
            // PostgreSQL calls the column as the setting, in its own spelling.
            Show::Setting(setting) => crate::settings::spelled(setting),
            _ => (*name).to_string(),
        },
        type_oid: *type_oid,
        type_modifier: -1,
        table_oid: 0,
        attnum: 0,
    };
    columns(show).iter().map(field).collect()
}

/// Rows under construction, as texts and numbers.
struct Rows {
    columns: Vec<Values>,
}

enum Values {
    Text(StringBuilder),
    Number(Int64Builder),
}

/// One value of a row.
enum Value<'a> {
    Text(&'a str),
    Owned(String),
    Number(u64),
    Null,
}

impl Rows {
    fn new(show: &Show) -> Rows {
        let values = |(_, type_oid): &(&'static str, u32)| match *type_oid {
            BIGINT => Values::Number(Int64Builder::new()),
            _ => Values::Text(StringBuilder::new()),
        };
        Rows {
            columns: columns(show).iter().map(values).collect(),
        }
    }

    fn push<'a>(&mut self, row: impl IntoIterator<Item = Value<'a>>) {
        for (column, value) in self.columns.iter_mut().zip(row) {
            match (column, value) {
                (Values::Text(texts), Value::Text(text)) => texts.append_value(text),
                (Values::Text(texts), Value::Owned(text)) => texts.append_value(text),
                (Values::Text(texts), Value::Number(number)) => texts.append_value(number.to_string()),
                (Values::Text(texts), Value::Null) => texts.append_null(),
                (Values::Number(numbers), Value::Number(number)) => {
                    numbers.append_value(i64::try_from(number).unwrap_or(i64::MAX))
                }
                (Values::Number(numbers), _) => numbers.append_null(),
            }
        }
    }

    fn finish(self) -> Vec<ArrayRef> {
        let finish = |values| -> ArrayRef {
            match values {
                Values::Text(mut texts) => Arc::new(texts.finish()),
                Values::Number(mut numbers) => Arc::new(numbers.finish()),
            }
        };
        self.columns.into_iter().map(finish).collect()
    }
}

fn schema_of(show: &Show) -> SchemaRef {
    let field = |field: &ResultField| {
        let data_type = if field.type_oid == BIGINT {
            DataType::Int64
        } else {
            DataType::Utf8
        };
        Field::new(&field.name, data_type, true)
    };
    Arc::new(Schema::new(fields(show).iter().map(field).collect::<Vec<_>>()))
}

/// Answers the statement.
pub(crate) fn rows(session: &Session, show: &Show) -> Result<RowSet, QueryError> {
    if let Show::Tables { database, like, kind } = show {
        return tables(session, show, database.as_deref(), like.as_deref(), *kind);
    }
    let mut rows = Rows::new(show);
    match show {
        Show::Databases => databases(session, &mut rows),
        Show::Stables { database, like } => stables(session, database.as_deref(), like.as_deref(), &mut rows)?,
        Show::Tables { .. } => {}
        Show::Tags(name) => tags(session, name, &mut rows)?,
        Show::CreateTable(name) => {
            let found = find(session, name)?;
            if found.child().is_some() {
                session.may_with(&found, &name.name, Privileges::SELECT)?;
            }
            rows.push([
                Value::Text(&name.name),
                Value::Owned(create_statement(session, &found, &name.name)),
            ]);
        }
        Show::CreateDatabase(name) => {
            let database = named_database(session, Some(name))?;
            rows.push([Value::Text(name), Value::Owned(create_database_statement(&database))]);
        }
        Show::Describe(name) => describe(session, name, &mut rows)?,
        Show::Vgroups { database } => vgroups(session, database.as_deref(), &mut rows)?,
        Show::Vnodes => vnodes(session, &mut rows)?,
        Show::Functions { like } => {
            let wanted = |name: &str| like.as_deref().is_none_or(|like| matches_like(name, like));
            for (name, description, example) in functions::listed() {
                if wanted(&name) && crate::system::is_function(&name) {
                    rows.push([Value::Owned(name), Value::Text(description), Value::Text(example)]);
                }
            }
        }
        Show::Setting(name) => rows.push([Value::Text(session.settings().get(name)?)]),
        Show::AllSettings => {
            for (name, value, description) in session.settings().all() {
                rows.push([Value::Text(name), Value::Text(value), Value::Text(description)]);
            }
        }
    }
    let batch = RecordBatch::try_new(schema_of(show), rows.finish());
    let batch = batch.map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
    Ok(row_set(show, futures::stream::iter([Ok(batch)])))
}

fn row_set(
    show: &Show,
    batches: impl futures::Stream<Item = Result<RecordBatch, datafusion::error::DataFusionError>> + Send + 'static,
) -> RowSet {
    let schema = schema_of(show);
    RowSet {
        fields: fields(show),
        schema: schema.clone(),
        stream: Box::pin(RecordBatchStreamAdapter::new(schema, batches)),
        tag: "SHOW",
    }
}

fn named_database(session: &Session, name: Option<&str>) -> Result<Arc<Database>, QueryError> {
    let Some(name) = name else { return session.database() };
    session.engine().catalog().database(name).ok_or_else(|| {
        QueryError::new(
            ErrorKind::InvalidCatalogName,
            format!("database \"{name}\" does not exist"),
        )
    })
}

fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Millisecond => "ms",
        Precision::Microsecond => "us",
        Precision::Nanosecond => "ns",
    }
}

fn update_number(update: UpdateMode) -> u64 {
    match update {
        UpdateMode::KeepFirst => 0,
        UpdateMode::ReplaceRow => 1,
        UpdateMode::MergeColumns => 2,
    }
}

fn interval_text(interval_ms: u64) -> String {
    show_span(i64::try_from(interval_ms).unwrap_or(i64::MAX))
}

fn databases(session: &Session, rows: &mut Rows) {
    let catalog = session.engine().catalog();
    for database in catalog.databases() {
        let options = &database.options;
        let stables = catalog
            .tables(database.oid)
            .iter()
            .filter(|table| table.kind == TableKind::Super)
            .count();
        rows.push([
            Value::Text(&database.name),
            Value::Number(database.oid.into()),
            Value::Owned(show_span(options.keep_ms)),
            Value::Owned(show_span(options.group_span_ms)),
            Value::Number(options.vgroups.into()),
            Value::Text(precision_name(options.precision)),
            Value::Number(options.compression.into()),
            Value::Number(update_number(options.update)),
            Value::Number(options.wal_level.into()),
            Value::Owned(interval_text(options.flush_interval_ms)),
            Value::Number(options.block_rows_max.into()),
            Value::Number(stables as u64),
        ]);
    }
}

fn create_database_statement(database: &Database) -> String {
    let options = &database.options;
    format!(
        "CREATE DATABASE {} WITH (keep = '{}', days = '{}', vgroups = {}, precision = '{}', comp = {}, update = {}, wal_level = {}, \
         commit_time = '{}', maxrows = {})",
        quoted_name(&database.name),
        show_span(options.keep_ms),
        show_span(options.group_span_ms),
        options.vgroups,
        precision_name(options.precision),
        options.compression,
        update_number(options.update),
        options.wal_level,
        interval_text(options.flush_interval_ms),
        options.block_rows_max,
    )
}

fn stables(session: &Session, database: Option<&str>, like: Option<&str>, rows: &mut Rows) -> Result<(), QueryError> {
    let database = named_database(session, database)?;
    let catalog = session.engine().catalog();
    for table in catalog.tables(database.oid) {
        if table.kind != TableKind::Super || !like.is_none_or(|pattern| matches_like(&table.name, pattern)) {
            continue;
        }
        rows.push([
            Value::Text(&table.name),
            Value::Number(table.columns.len() as u64),
            Value::Number(table.tags.len() as u64),
            Value::Number(catalog.children_count(table.oid)),
            table.comment.as_deref().map_or(Value::Null, Value::Text),
        ]);
    }
    Ok(())
}

/// Names chunk by chunk as the client reads them: there may be millions.
fn tables(
    session: &Session,
    show: &Show,
    database: Option<&str>,
    like: Option<&str>,
    kind: TablesKind,
) -> Result<RowSet, QueryError> {
    let database = named_database(session, database)?;
    let catalog = session.engine().catalog();
    let wanted = |name: &str| like.is_none_or(|pattern| matches_like(name, pattern));
    let mut rows = Rows::new(show);
    let mut supertables: VecDeque<Children> = VecDeque::new();
    for table in catalog.tables(database.oid) {
        match (table.kind, table.series) {
            (TableKind::Plain, series) if kind != TablesKind::Child && wanted(&table.name) => {
                let vnode = series.map_or(Value::Null, |series| Value::Number(series.vnode.into()));
                rows.push([Value::Text(&table.name), Value::Text("plain"), Value::Null, vnode]);
            }
            (TableKind::Super, _) if kind != TablesKind::Plain => supertables.extend(catalog.children(table.oid)),
            _ => {}
        }
    }
    let schema = schema_of(show);
    let first = RecordBatch::try_new(schema.clone(), rows.finish());
    let first = first.map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()))?;
    let (show_owned, like) = (show.clone(), like.map(str::to_string));
    let chunks = supertables.into_iter().flat_map(|children| {
        let table = children.table.clone();
        children.chunks.into_iter().map(move |chunk| (table.clone(), chunk))
    });
    let batches = chunks.map(move |(table, chunk)| {
        let mut rows = Rows::new(&show_owned);
        let names = arrow::array::AsArray::as_string_view(&chunk.names);
        for row in (0..names.len()).filter(|row| chunk.alive.value(*row)) {
            let name = names.value(row);
            if like.as_deref().is_none_or(|pattern| matches_like(name, pattern)) {
                let vnode = Value::Number(chunk.series[row].vnode.into());
                rows.push([Value::Text(name), Value::Text("child"), Value::Text(&table.name), vnode]);
            }
        }
        Ok(RecordBatch::try_new(schema.clone(), rows.finish())?)
    });
    let all = std::iter::once(Ok(first)).chain(batches);
    Ok(row_set(show, futures::stream::iter(all)))
}

fn tags(session: &Session, name: &TableName, rows: &mut Rows) -> Result<(), QueryError> {
    let found = find(session, name)?;
    let table = found.table();
    if found.child().is_some() {
        session.may_with(&found, &name.name, Privileges::SELECT)?;
    }
    let values = found.child().map(|child| tag_texts(session, table, child));
    for (index, tag) in table.tags.iter().enumerate() {
        let value = values.as_ref().and_then(|values| values.get(index)?.clone());
        rows.push([
            Value::Text(&tag.name),
            Value::Owned(tag.sql_type.display_name()),
            value.map_or(Value::Null, Value::Owned),
        ]);
    }
    Ok(())
}

/// A child's tags as text, null where they are null.
fn tag_texts(session: &Session, table: &Table, child: ChildRef) -> Vec<Option<String>> {
    let Some(children) = session.engine().catalog().children(table.oid) else {
        return Vec::new();
    };
    let mut before = 0;
    for chunk in &children.chunks {
        let slot = child.slot as usize;
        if slot < before + chunk.oids.len() {
            let row = slot - before;
            let text = |array: &ArrayRef| {
                if array.is_null(row) {
                    return None;
                }
                let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default()).ok()?;
                formatter.value(row).try_to_string().ok()
            };
            return chunk.tags.iter().map(text).collect();
        }
        before += chunk.oids.len();
    }
    Vec::new()
}

fn describe(session: &Session, name: &TableName, rows: &mut Rows) -> Result<(), QueryError> {
    let found = find(session, name)?;
    let table = found.table();
    for column in table.declared() {
        let is_tag = table.tags.iter().any(|tag| tag.id == column.id);
        let note = match is_tag {
            true => "tag",
            false if column.id == table.time_column().id => "time",
            false => "",
        };
        rows.push([
            Value::Text(&column.name),
            Value::Owned(column.sql_type.display_name()),
            Value::Text(if column.not_null { "no" } else { "yes" }),
            column.default.as_deref().map_or(Value::Null, Value::Text),
            Value::Text(note),
        ]);
    }
    Ok(())
}

fn vgroups(session: &Session, database: Option<&str>, rows: &mut Rows) -> Result<(), QueryError> {
    let database = named_database(session, database)?;
    let catalog = session.engine().catalog();
    let mut tables: std::collections::BTreeMap<u32, u64> = database.vnodes.iter().map(|vnode| (*vnode, 0)).collect();
    for table in catalog.tables(database.oid) {
        if let Some(series) = table.series {
            *tables.entry(series.vnode).or_default() += 1;
        }
        for chunk in catalog.children(table.oid).iter().flat_map(|children| &children.chunks) {
            for (series, _) in chunk.series.iter().zip(&chunk.alive).filter(|(_, alive)| *alive) {
                *tables.entry(series.vnode).or_default() += 1;
            }
        }
    }
    for (vnode, tables) in tables {
        rows.push([
            Value::Number(vnode.into()),
            Value::Text(&database.name),
            Value::Number(tables),
        ]);
    }
    Ok(())
}

fn vnodes(session: &Session, rows: &mut Rows) -> Result<(), QueryError> {
    for database in session.engine().catalog().databases() {
        for vnode in &database.vnodes {
            let statistics = session.engine().storage().statistics(VnodeId(*vnode))?;
            rows.push([
                Value::Number((*vnode).into()),
                Value::Text(&database.name),
                Value::Number(statistics.memtable_rows),
                Value::Number(statistics.memtable_bytes),
                Value::Number(statistics.wal_bytes),
                Value::Number(statistics.file_groups.len() as u64),
                Value::Number(statistics.data_files),
                Value::Number(statistics.data_bytes),
                Value::Number(statistics.blocks),
                Value::Number(statistics.rows_in_files),
            ]);
        }
    }
    Ok(())
}

/// The statement that makes a table again.
fn create_statement(session: &Session, found: &Found, name: &str) -> String {
    let table = found.table();
    if let Relation::Child { child, .. } = &found.relation {
        let values = tag_texts(session, table, *child);
        let values = values.iter().zip(&table.tags).map(|(value, tag)| match value {
            None => "NULL".to_string(),
            Some(value) if is_number(tag) => value.clone(),
            Some(value) => format!("'{}'", value.replace('\'', "''")),
        });
        let values: Vec<String> = values.collect();
        return format!(
            "CREATE TABLE {} USING {} TAGS ({})",
            quoted_name(name),
            quoted_name(&table.name),
            values.join(", ")
        );
    }
    let definition = |column: &Column, tag: bool| {
        let mut text = format!("{} {}", quoted_name(&column.name), written_type(column));
        if column.not_null && !tag && column.id != table.time_column().id {
            text.push_str(" NOT NULL");
        }
        if let Some(default) = &column.default {
            text.push_str(&format!(" DEFAULT {default}"));
        }
        text
    };
    if table.is_keyed() {
        return create_keyed_statement(table);
    }
    let columns: Vec<String> = table.columns.iter().map(|column| definition(column, false)).collect();
    let keep = table
        .keep
        .map(|keep| format!(" WITH (keep = '{}')", crate::keep::shown(keep)));
    let keep = keep.unwrap_or_default();
    if table.kind == TableKind::Plain {
        return format!(
            "CREATE TABLE {} ({}){keep}",
            quoted_name(&table.name),
            columns.join(", ")
        );
    }
    let tags: Vec<String> = table.tags.iter().map(|tag| definition(tag, true)).collect();
    format!(
        "CREATE STABLE {} ({}) TAGS ({}){keep}",
        quoted_name(&table.name),
        columns.join(", "),
        tags.join(", ")
    )
}

/// In PostgreSQL's words, which are the only ones for it.
fn create_keyed_statement(table: &Table) -> String {
    let quoted = |names: &mut dyn Iterator<Item = &str>| names.map(quoted_name).collect::<Vec<_>>().join(", ");
    let mut parts: Vec<String> = Vec::new();
    for column in table.declared() {
        let serial = column.default.as_deref().is_some_and(is_serial_default);
        let mut text = match (serial, column.sql_type) {
            (false, _) => format!("{} {}", quoted_name(&column.name), written_type(column)),
            (true, SqlType::SmallInt) => format!("{} smallserial", quoted_name(&column.name)),
            (true, SqlType::BigInt) => format!("{} bigserial", quoted_name(&column.name)),
            (true, _) => format!("{} serial", quoted_name(&column.name)),
        };
        if column.not_null && !table.tags.iter().any(|tag| tag.id == column.id) {
            text.push_str(" NOT NULL");
        }
        if let Some(default) = column.default.as_ref().filter(|_| !serial) {
            text.push_str(&format!(" DEFAULT {default}"));
        }
        parts.push(text);
    }
    let key = quoted(&mut table.tags.iter().map(|tag| tag.name.as_str()));
    parts.push(format!("PRIMARY KEY ({key})"));
    for index in table.indexes.iter().filter(|index| index.unique) {
        parts.push(format!(
            "UNIQUE ({})",
            quoted(&mut index.columns.iter().map(String::as_str))
        ));
    }
    format!("CREATE TABLE {} ({})", quoted_name(&table.name), parts.join(", "))
}

fn is_number(column: &Column) -> bool {
    use SqlType::*;
    matches!(
        column.sql_type,
        Boolean | SmallInt | Integer | BigInt | Real | Double | Numeric { .. }
    )
}

/// A type that means the same in CREATE TABLE and CREATE STABLE.
fn written_type(column: &Column) -> String {
    match column.sql_type {
        SqlType::Timestamptz => "timestamptz".into(),
        other => other.display_name(),
    }
}

/// A name in quotes where it needs them.
pub(crate) fn quoted_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
    let bare = name.bytes().all(plain) && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    match bare {
        true => name.to_string(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// LIKE: `%` is any text, `_` any character, `\` takes the next as it is.
fn matches_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    // Where to go back to: the last `%`, and the text it has eaten so far.
    let (mut at, mut of, mut retry) = (0, 0, None);
    loop {
        let escaped = pattern.get(of) == Some(&'\\') && of + 1 < pattern.len();
        let wanted = if escaped { pattern.get(of + 1) } else { pattern.get(of) };
        match (text.get(at), wanted) {
            (_, Some('%')) if !escaped => {
                retry = Some((at, of + 1));
                of += 1;
            }
            (Some(_), Some('_')) if !escaped => (at, of) = (at + 1, of + 1),
            (Some(have), Some(want)) if have == want => (at, of) = (at + 1, of + 1 + usize::from(escaped)),
            (None, None) => return true,
            (have, _) => match retry {
                Some((eaten, next)) if have.is_some() || eaten < text.len() => {
                    if eaten >= text.len() {
                        return false;
                    }
                    retry = Some((eaten + 1, next));
                    (at, of) = (eaten + 1, next);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns_match_as_in_postgresql() {
        for (text, pattern, expected) in [
            ("d1001", "d%", true),
            ("d1001", "%01", true),
            ("d1001", "d_001", true),
            ("d1001", "d__", false),
            ("d1001", "", false),
            ("", "%", true),
            ("a%b", "a\\%b", true),
            ("axb", "a\\%b", false),
            ("abcabd", "%ab_", true),
            ("abcabd", "%abc", false),
            ("größe", "gr__e", true),
        ] {
            assert_eq!(matches_like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn names_are_quoted_where_they_need_it() {
        for (name, quoted) in [
            ("meters", "meters"),
            ("Meters", "\"Meters\""),
            ("1a", "\"1a\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(quoted_name(name), quoted);
        }
    }
}
