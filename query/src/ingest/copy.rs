//! COPY … FROM STDIN: bytes in, rows for vnodes out.
//!
//! A COPY is all or nothing: its rows wait in memory, as columns, until the client ends it; then they join the session's transaction.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast;
use taospg_catalog::{Privileges, SqlType};
use taospg_storage::Conflict;

use super::copy_binary::BinaryReader;
use super::copy_rows::{CopyRows, Route};
use super::copy_text::{Dialect, LineReader};
use super::keyed;
use super::names::{CatalogNames, Names};
use super::target::{ColumnName, Field, Place, RelationName, Target, find_child};
use super::time::TimeReader;
use crate::{Engine, ErrorKind, QueryError, Session};

/// The format and its options.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyFormat {
    Text {
        delimiter: u8,
        null: String,
        header: bool,
    },
    Csv {
        delimiter: u8,
        quote: u8,
        escape: u8,
        null: String,
        header: bool,
    },
    Binary,
}

/// The options of a COPY as far as both directions share them, and those of one.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyOptions {
    pub format: CopyFormat,
    pub force_null: Vec<String>,
    pub force_not_null: Vec<String>,
    pub force_quote: Vec<String>,
}

/// A COPY under way.
pub struct CopyIn {
    engine: Arc<Engine>,
    format: CopyFormat,
    reader: Reader,
    rows: CopyRows,
}

enum Reader {
    Lines(LineReader),
    Binary(BinaryReader),
}

impl Reader {
    fn feed(&mut self, rows: &mut CopyRows, names: &mut dyn Names, bytes: &[u8]) -> Result<(), QueryError> {
        match self {
            Reader::Lines(lines) => lines.feed(rows, names, bytes),
            Reader::Binary(binary) => binary.feed(rows, names, bytes),
        }
    }

    fn finish(&mut self, rows: &mut CopyRows, names: &mut dyn Names) -> Result<(), QueryError> {
        match self {
            Reader::Lines(lines) => lines.finish(rows, names),
            Reader::Binary(binary) => binary.finish(rows),
        }
    }
}

impl CopyIn {
    /// Looks up the table and columns of a `COPY … FROM STDIN`.
    pub fn begin(session: &Session, statement: &ast::Statement) -> Result<CopyIn, QueryError> {
        let ast::Statement::Copy {
            source: ast::CopySource::Table { table_name, columns },
            to: false,
            target,
            options,
            legacy_options,
            ..
        } = statement
        else {
            return Err(QueryError::new(ErrorKind::SyntaxError, "not a COPY … FROM STDIN"));
        };
        if !matches!(target, ast::CopyTarget::Stdin) {
            return Err(QueryError::new(
                ErrorKind::FeatureNotSupported,
                "COPY reads from the client only, not from files of the server",
            )
            .with_hint("Use COPY FROM STDIN, or \\copy of psql."));
        }
        let options = CopyOptions::new(options, legacy_options)?;
        let target = relation_name(table_name).target(session)?;
        let columns: Vec<ColumnName> = columns.iter().map(|column| (folded(column), None)).collect();
        let fields = target.fields((!columns.is_empty()).then_some(columns.as_slice()))?;
        session.may_insert(&target, Privileges::INSERT, &fields)?;
        let (reader, rows) = open(session, &options, target, fields)?;
        Ok(CopyIn {
            engine: Arc::clone(session.engine()),
            format: options.format,
            reader,
            rows,
        })
    }

    pub fn format(&self) -> &CopyFormat {
        &self.format
    }

    /// Columns of the list.
    pub fn columns(&self) -> usize {
        self.rows.fields.len()
    }

    /// Takes the bytes of one CopyData; rows may begin and end anywhere in it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), QueryError> {
        let mut names = CatalogNames::new(self.engine.catalog(), self.rows.target.database.oid);
        self.reader.feed(&mut self.rows, &mut names, bytes)?;
        self.rows.check_memory()
    }

    /// All data has come: the rows join the session's transaction. Answers with their number.
    pub async fn finish(mut self, session: &mut Session) -> Result<u64, QueryError> {
        {
            // The names are read under a lock, which nothing may wait with.
            let mut names = CatalogNames::new(self.engine.catalog(), self.rows.target.database.oid);
            self.reader.finish(&mut self.rows, &mut names)?;
        }
        let changes = self.rows.accumulator.take(&self.engine)?;
        match self.rows.target.keyed {
            None if self.rows.target.temporary.is_some() => {
                crate::temporary::insert(session, &self.rows.target, changes, Conflict::ByVnode, &[])?;
            }
            Some(_) => {
                keyed::insert(session, &self.rows.target, changes, Conflict::ByVnode).await?;
            }
            None => session.hold(changes)?,
        }
        Ok(self.rows.count)
    }
}

/// What reads the data, and where its rows gather.
fn open(
    session: &Session,
    options: &CopyOptions,
    target: Target,
    fields: Vec<Field>,
) -> Result<(Reader, CopyRows), QueryError> {
    let now_ns = session.transaction_time_ns();
    let mut times = TimeReader::new(&target.database.options, session.settings().reading(), now_ns);
    times.keep_of(&target.database, &target.table);
    if let Some(missing) = target.missing(&fields) {
        return Err(super::datum::null_violation(missing, &target.table.name));
    }
    let route = match &target.place {
        Place::Plain(series) => Route::Fixed(*series),
        Place::Child => Route::Fixed(find_child(session.engine(), &target)?.series),
        Place::Supertable => match fields.iter().position(|field| *field == Field::TableName) {
            Some(field) => Route::Named(field),
            None => Route::Tagged,
        },
    };
    let defaults = target.defaults(&fields);
    let defaults = defaults
        .into_iter()
        .map(|(field, text)| Ok((field, default_value(&target, field, text, &times)?)))
        .collect::<Result<Vec<_>, QueryError>>()?;
    let reader = match Dialect::new(&options.format) {
        None => Reader::Binary(BinaryReader::new(fields.len())),
        Some(mut dialect) => {
            if let Some(csv) = &mut dialect.csv {
                csv.force_null = field_numbers(&target, &fields, &options.force_null)?;
                csv.force_not_null = field_numbers(&target, &fields, &options.force_not_null)?;
            }
            let header = match &options.format {
                CopyFormat::Text { header, .. } | CopyFormat::Csv { header, .. } => *header,
                CopyFormat::Binary => false,
            };
            Reader::Lines(LineReader::new(dialect, header, fields.len()))
        }
    };
    Ok((reader, CopyRows::new(target, fields, route, times, defaults)))
}

/// A default that is a literal or `now()`, which is what columns of devices have.
fn default_value(target: &Target, field: Field, text: &str, times: &TimeReader) -> Result<ScalarValue, QueryError> {
    let trimmed = text.trim();
    let lower = trimmed.to_ascii_lowercase();
    let sql_type = target.column(field).1;
    if matches!(lower.as_str(), "now()" | "current_timestamp")
        && matches!(sql_type, SqlType::Timestamptz | SqlType::Timestamp)
    {
        let array_type = sql_type.arrow_type(target.database.options.precision);
        return ScalarValue::Int64(Some(times.now()))
            .cast_to(&array_type)
            .map_err(|error| QueryError::new(ErrorKind::InternalError, error.to_string()));
    }
    let literal = match lower.as_str() {
        "null" => return Ok(ScalarValue::Null),
        "true" => return Ok(ScalarValue::Boolean(Some(true))),
        "false" => return Ok(ScalarValue::Boolean(Some(false))),
        _ => trimmed.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')),
    };
    match literal {
        Some(text) => Ok(ScalarValue::Utf8(Some(text.replace("''", "'")))),
        None if super::number::parse_decimal(trimmed.as_bytes()).is_ok() => {
            Ok(ScalarValue::Utf8(Some(trimmed.to_owned())))
        }
        None => Err(QueryError::new(
            ErrorKind::FeatureNotSupported,
            format!(
                "COPY cannot evaluate the default of column \"{}\": {trimmed}",
                target.column(field).0
            ),
        )
        .with_hint("List the column and give its values.")),
    }
}

fn field_numbers(target: &Target, fields: &[Field], names: &[String]) -> Result<Vec<usize>, QueryError> {
    let columns: Vec<ColumnName> = names.iter().map(|name| (name.clone(), None)).collect();
    target
        .fields(Some(&columns))?
        .iter()
        .zip(names)
        .map(|(field, name)| {
            fields.iter().position(|known| known == field).ok_or_else(|| {
                QueryError::new(
                    ErrorKind::InvalidColumnReference,
                    format!("FORCE_NULL column \"{name}\" not referenced by COPY"),
                )
            })
        })
        .collect()
}

/// An identifier as PostgreSQL reads it: folded unless quoted.
pub fn folded(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    }
}

/// A name of the parser's.
pub fn relation_name(name: &ast::ObjectName) -> RelationName {
    RelationName {
        parts: name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect(),
        place: None,
    }
}

impl CopyOptions {
    /// From both the parenthesised options and those of old.
    pub fn new(
        options: &[ast::CopyOption],
        legacy_options: &[ast::CopyLegacyOption],
    ) -> Result<CopyOptions, QueryError> {
        let mut given = Given::default();
        for option in options {
            given.add(option)?;
        }
        for option in legacy_options {
            given.add_legacy(option)?;
        }
        given.finish()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum FormatName {
    #[default]
    Text,
    Csv,
    Binary,
}

/// Options as written.
#[derive(Default)]
struct Given {
    format: FormatName,
    delimiter: Option<char>,
    null: Option<String>,
    header: bool,
    quote: Option<char>,
    escape: Option<char>,
    force_null: Vec<String>,
    force_not_null: Vec<String>,
    force_quote: Vec<String>,
}

impl Given {
    fn add(&mut self, option: &ast::CopyOption) -> Result<(), QueryError> {
        let names = |columns: &[ast::Ident]| columns.iter().map(folded).collect();
        match option {
            ast::CopyOption::Format(name) => {
                self.format = match name.value.to_ascii_lowercase().as_str() {
                    "text" => FormatName::Text,
                    "csv" => FormatName::Csv,
                    "binary" => FormatName::Binary,
                    other => {
                        return Err(QueryError::new(
                            ErrorKind::InvalidParameterValue,
                            format!("COPY format \"{other}\" not recognized"),
                        ));
                    }
                };
            }
            // Rows are never visible before the transaction is, so there is nothing to freeze.
            ast::CopyOption::Freeze(_) => {}
            ast::CopyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            ast::CopyOption::Null(null) => self.null = Some(null.clone()),
            ast::CopyOption::Header(header) => self.header = *header,
            ast::CopyOption::Quote(quote) => self.quote = Some(*quote),
            ast::CopyOption::Escape(escape) => self.escape = Some(*escape),
            ast::CopyOption::ForceQuote(columns) => self.force_quote = names(columns),
            ast::CopyOption::ForceNotNull(columns) => self.force_not_null = names(columns),
            ast::CopyOption::ForceNull(columns) => self.force_null = names(columns),
            ast::CopyOption::Encoding(name) => {
                let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                if !matches!(plain.to_ascii_lowercase().as_str(), "utf8" | "unicode" | "sqlascii") {
                    return Err(QueryError::new(
                        ErrorKind::FeatureNotSupported,
                        format!("COPY takes UTF8 only, not encoding \"{name}\""),
                    ));
                }
            }
        }
        Ok(())
    }

    fn add_legacy(&mut self, option: &ast::CopyLegacyOption) -> Result<(), QueryError> {
        let names = |columns: &[ast::Ident]| columns.iter().map(folded).collect();
        match option {
            ast::CopyLegacyOption::Binary => self.format = FormatName::Binary,
            ast::CopyLegacyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            ast::CopyLegacyOption::Null(null) => self.null = Some(null.clone()),
            ast::CopyLegacyOption::Header => self.header = true,
            ast::CopyLegacyOption::Csv(options) => {
                self.format = FormatName::Csv;
                for option in options {
                    match option {
                        ast::CopyLegacyCsvOption::Header => self.header = true,
                        ast::CopyLegacyCsvOption::Quote(quote) => self.quote = Some(*quote),
                        ast::CopyLegacyCsvOption::Escape(escape) => self.escape = Some(*escape),
                        ast::CopyLegacyCsvOption::ForceQuote(columns) => self.force_quote = names(columns),
                        ast::CopyLegacyCsvOption::ForceNotNull(columns) => self.force_not_null = names(columns),
                    }
                }
            }
            other => {
                return Err(QueryError::new(
                    ErrorKind::SyntaxError,
                    format!("option \"{other}\" not recognized"),
                ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<CopyOptions, QueryError> {
        let invalid = |message: String| Err(QueryError::new(ErrorKind::InvalidParameterValue, message));
        let csv_only = self.quote.is_some()
            || self.escape.is_some()
            || !self.force_null.is_empty()
            || !self.force_not_null.is_empty()
            || !self.force_quote.is_empty();
        if csv_only && self.format != FormatName::Csv {
            return Err(QueryError::new(
                ErrorKind::FeatureNotSupported,
                "COPY QUOTE, ESCAPE and FORCE options are available only in CSV mode",
            ));
        }
        if self.format == FormatName::Binary && (self.delimiter.is_some() || self.null.is_some() || self.header) {
            return Err(QueryError::new(
                ErrorKind::SyntaxError,
                "cannot specify DELIMITER, NULL or HEADER in BINARY mode",
            ));
        }
        let is_csv = self.format == FormatName::Csv;
        let delimiter = single_byte("delimiter", self.delimiter.unwrap_or(if is_csv { ',' } else { '\t' }))?;
        let quote = single_byte("quote", self.quote.unwrap_or('"'))?;
        let escape = match self.escape {
            Some(escape) => single_byte("escape", escape)?,
            None => quote,
        };
        let null = self
            .null
            .unwrap_or_else(|| if is_csv { String::new() } else { "\\N".to_owned() });
        if null.contains(['\n', '\r']) {
            return invalid("COPY null representation cannot use newline or carriage return".into());
        }
        if null.bytes().any(|byte| byte == delimiter) {
            return invalid("COPY delimiter character must not appear in the NULL specification".into());
        }
        if is_csv && quote == delimiter {
            return invalid("COPY delimiter and quote must be different".into());
        }
        if !is_csv
            && (delimiter == b'\\' || delimiter == b'.' || delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit())
        {
            return invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter)));
        }
        let header = self.header;
        Ok(CopyOptions {
            format: match self.format {
                FormatName::Text => CopyFormat::Text {
                    delimiter,
                    null,
                    header,
                },
                FormatName::Csv => CopyFormat::Csv {
                    delimiter,
                    quote,
                    escape,
                    null,
                    header,
                },
                FormatName::Binary => CopyFormat::Binary,
            },
            force_null: self.force_null,
            force_not_null: self.force_not_null,
            force_quote: self.force_quote,
        })
    }
}

fn single_byte(what: &str, character: char) -> Result<u8, QueryError> {
    let byte = u8::try_from(character).ok().filter(u8::is_ascii);
    match byte {
        Some(b'\n' | b'\r') => Err(QueryError::new(
            ErrorKind::InvalidParameterValue,
            format!("COPY {what} cannot be newline or carriage return"),
        )),
        Some(byte) => Ok(byte),
        None => Err(QueryError::new(
            ErrorKind::FeatureNotSupported,
            format!("COPY {what} must be a single one-byte character"),
        )),
    }
}
