//! A server without a wire, for tests: one session on a fresh directory.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;
use taospg_catalog::DatabaseOptions;
use taospg_query::{
    ConnectRequest, Engine, EngineOptions, Format, Outcome, Parameter, QueryError, ResultField, Session,
};

pub struct Server {
    _directory: tempfile::TempDir,
    pub session: Session,
}

pub fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(EngineOptions {
        data_dir: directory.path().to_path_buf(),
        memtable_bytes: 64 << 20,
        memtables_bytes_max: 256 << 20,
        query_memory_bytes: 256 << 20,
        temporary_bytes: 64 << 20,
        database_defaults: DatabaseOptions::default(),
    })
    .unwrap();
    let session = connect(&engine);
    Server {
        _directory: directory,
        session,
    }
}

pub fn connect(engine: &Arc<Engine>) -> Session {
    engine
        .connect(ConnectRequest {
            user: "postgres".into(),
            database: "postgres".into(),
            settings: vec![("TimeZone".into(), "UTC".into())],
            client_address: "127.0.0.1".into(),
            server_address: None,
            process_id: 1,
            interruption: Default::default(),
        })
        .unwrap()
}

pub struct Rows {
    pub fields: Arc<[ResultField]>,
    pub rows: Vec<String>,
}

impl Server {
    pub async fn ask(&mut self, sql: &str, parameters: &[Option<&str>]) -> Result<Rows, QueryError> {
        let result = self.try_ask(sql, parameters).await;
        match &result {
            Ok(_) => self.session.finish_implicit().await?,
            Err(_) => self.session.fail(),
        }
        result
    }

    async fn try_ask(&mut self, sql: &str, parameters: &[Option<&str>]) -> Result<Rows, QueryError> {
        let parameters: Vec<Parameter> = parameters
            .iter()
            .map(|text| Parameter {
                format: Format::Text,
                value: text.map(|text| text.as_bytes().to_vec().into()),
            })
            .collect();
        let mut found = Rows {
            fields: Arc::new([]),
            rows: Vec::new(),
        };
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(&statement, &[]).await?;
            match self.session.execute(&prepared, &parameters).await? {
                Outcome::Rows(mut rows) => {
                    assert_eq!(prepared.fields.as_deref(), Some(&rows.fields[..]));
                    found.fields = rows.fields.clone();
                    found.rows.clear();
                    while let Some(batch) = rows.stream.next().await {
                        let batch = batch?;
                        for (field, column) in rows.fields.iter().zip(batch.columns()) {
                            let oid = taospg_query::pg_type::data_type_oid(column.data_type());
                            let text = [18, 19, 114, 1042, 1043, 2950, 3802, 2205, 2206, 24];
                            assert!(
                                oid == field.type_oid
                                    || oid == 25 && text.contains(&field.type_oid)
                                    || field.type_oid == 26,
                                "{field:?} as {:?}",
                                column.data_type()
                            );
                        }
                        shown(&batch, &mut found.rows);
                    }
                }
                Outcome::Complete(tag) => found.rows = vec![tag],
                _ => {}
            }
        }
        Ok(found)
    }

    /// Rows as text, columns separated by a bar.
    pub async fn rows(&mut self, sql: &str) -> Vec<String> {
        self.ask(sql, &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .rows
    }

    pub async fn check(&mut self, sql: &str, expected: &[&str]) {
        assert_eq!(self.rows(sql).await, expected, "{sql}");
    }

    pub async fn error(&mut self, sql: &str) -> QueryError {
        match self.ask(sql, &[]).await {
            Ok(rows) => panic!("{sql} gave {:?}", rows.rows),
            Err(error) => error,
        }
    }
}

/// Numerics without a declared scale as their digits.
fn printable(array: &ArrayRef) -> ArrayRef {
    let Some(keys) = array.as_binary_opt::<i64>() else {
        return array.clone();
    };
    let text = |key: &[u8]| {
        let mut out = Vec::new();
        taospg_query::pg_type::numeric::write_key(key, &mut out);
        String::from_utf8(out).unwrap()
    };
    Arc::new(keys.iter().map(|key| key.map(text)).collect::<StringArray>())
}

pub fn shown(batch: &RecordBatch, rows: &mut Vec<String>) {
    let options = FormatOptions::default().with_null("NULL");
    let arrays: Vec<ArrayRef> = batch.columns().iter().map(printable).collect();
    let columns: Vec<ArrayFormatter> = arrays
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    for row in 0..batch.num_rows() {
        let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
        rows.push(values.join("|"));
    }
}
