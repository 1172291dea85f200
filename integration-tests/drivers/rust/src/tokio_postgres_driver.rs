//! tokio-postgres: pipelines, portals, COPY.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use serde_json::Value as Json;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row};

use crate::value::{list, scalar, written, written_list};
use crate::{Driver, Failure, Outcome, Step, fail, same, with_native};

pub struct TokioPostgres {
    client: Client,
}

pub async fn connect(port: u16) -> TokioPostgres {
    let dsn = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await.expect("the server is there");
    tokio::spawn(connection);
    TokioPostgres { client }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            state: error.code().map(|code| code.code().to_owned()),
            message: error
                .as_db_error()
                .map_or(error.to_string(), |error| error.message().to_owned()),
        }
    }
}

type Parameters = Vec<Box<dyn ToSql + Sync + Send>>;

fn natively(pairs: &[(&str, &Json)]) -> Parameters {
    pairs.iter().map(|(name, value)| parameter(name, value)).collect()
}

fn parameter(name: &str, value: &Json) -> Box<dyn ToSql + Sync + Send> {
    macro_rules! one {
        ($type:ty) => {
            Box::new(scalar::<$type>(value))
        };
    }
    macro_rules! many {
        ($type:ty) => {
            Box::new(list::<$type>(value))
        };
    }
    with_native!(name, one, many)
}

fn borrowed(values: &Parameters) -> Vec<&(dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value.as_ref() as &(dyn ToSql + Sync))
        .collect()
}

fn read(rows: &[Row], columns: &[&str]) -> Result<Vec<Vec<Json>>, Failure> {
    let value = |row: &Row, column: usize, name: &str| -> Result<Json, Error> {
        macro_rules! one {
            ($type:ty) => {
                written(row.try_get::<_, Option<$type>>(column)?)
            };
        }
        macro_rules! many {
            ($type:ty) => {
                written_list(row.try_get::<_, Option<Vec<Option<$type>>>>(column)?)
            };
        }
        Ok(with_native!(name, one, many))
    };
    let read = |row: &Row| {
        columns
            .iter()
            .enumerate()
            .map(|(index, name)| value(row, index, name))
            .collect::<Result<_, _>>()
    };
    Ok(rows.iter().map(read).collect::<Result<_, Error>>()?)
}

/// Our spelling of a type's name: `_int4` is `int4[]`.
fn spelled(name: &str) -> String {
    name.strip_prefix('_')
        .map_or(name.to_owned(), |element| format!("{element}[]"))
}

impl TokioPostgres {
    async fn execute(&mut self, step: &Step) -> Result<Outcome, Failure> {
        if !step.has("columns") && !step.has("params") && !step.has("count") {
            self.client.batch_execute(step.text("sql")).await?;
            return Ok(Outcome::default());
        }
        let parameters = natively(&step.parameters());
        let statement = self.client.prepare(step.text("sql")).await?;
        if !step.has("columns") {
            let count = self.client.execute(&statement, &borrowed(&parameters)).await?;
            return Ok(Outcome {
                count: Some(count),
                ..Outcome::default()
            });
        }
        let rows = self.client.query(&statement, &borrowed(&parameters)).await?;
        Ok(Outcome {
            rows: read(&rows, &step.strings("columns"))?,
            names: Some(
                statement
                    .columns()
                    .iter()
                    .map(|column| column.name().to_owned())
                    .collect(),
            ),
            types: Some(
                statement
                    .columns()
                    .iter()
                    .map(|column| spelled(column.type_().name()))
                    .collect(),
            ),
            ..Outcome::default()
        })
    }

    /// All lists in flight together in one transaction.
    async fn batch(&mut self, step: &Step) -> Result<(), Failure> {
        let transaction = self.client.transaction().await?;
        let statement = transaction.prepare(step.text("sql")).await?;
        let lists: Vec<Parameters> = step.batch().iter().map(|pairs| natively(pairs)).collect();
        let borrowed: Vec<_> = lists.iter().map(borrowed).collect();
        futures::future::try_join_all(borrowed.iter().map(|values| transaction.execute(&statement, values))).await?;
        Ok(transaction.commit().await?)
    }

    async fn pipeline(&mut self, step: &Step) -> Result<(), Failure> {
        let transaction = self.client.transaction().await?;
        futures::future::try_join_all(
            step.strings("pipeline")
                .into_iter()
                .map(|sql| transaction.batch_execute(sql)),
        )
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn copy_in(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let sink = self.client.copy_in::<_, Bytes>(step.text("sql")).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from(step.text("copy_in").to_owned())).await?;
        Ok(Outcome {
            count: Some(sink.finish().await?),
            ..Outcome::default()
        })
    }

    async fn copy_out(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let parts: Vec<Bytes> = self.client.copy_out(step.text("sql")).await?.try_collect().await?;
        let data = String::from_utf8(parts.concat()).map_err(fail)?;
        Ok(Outcome {
            data,
            ..Outcome::default()
        })
    }

    /// A portal, asked for rows until it has no more.
    async fn fetch(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let most = step.number("fetch").unwrap_or(1) as i32;
        let parameters = natively(&step.parameters());
        let transaction = self.client.transaction().await?;
        let portal = transaction.bind(step.text("sql"), &borrowed(&parameters)).await?;
        let mut rows = Vec::new();
        loop {
            let part = transaction.query_portal(&portal, most).await?;
            if part.is_empty() {
                break;
            }
            same(&(part.len() <= most as usize), &true)?;
            rows.extend(read(&part, &step.strings("columns"))?);
        }
        transaction.commit().await?;
        Ok(Outcome {
            rows,
            ..Outcome::default()
        })
    }

    async fn cancel(&mut self, step: &Step) -> Result<(), Failure> {
        let token = self.client.cancel_token();
        let after = Duration::from_millis(step.number("cancel").unwrap_or(0));
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            token.cancel_query(NoTls).await
        });
        Ok(self.client.batch_execute(step.text("sql")).await?)
    }
}

impl Driver for TokioPostgres {
    const KEY: &str = "tokio-postgres";

    fn can_not() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            ("interval", "the driver has no type for intervals"),
            ("interval[]", "the driver has no type for intervals"),
            (
                "numeric 123456789012345678901234567890.123456789",
                "rust_decimal has 28 digits",
            ),
            ("numeric 12345678901234567890123456789", "rust_decimal has 28 digits"),
            ("numeric[]", "rust_decimal has 28 digits"),
            ("numeric NaN", "rust_decimal has no NaN"),
        ])
    }

    async fn act(&mut self, step: &Step) -> Result<Outcome, Failure> {
        match step.kind() {
            "batch" => self.batch(step).await.map(|()| Outcome::default()),
            "pipeline" => self.pipeline(step).await.map(|()| Outcome::default()),
            "copy_in" => self.copy_in(step).await,
            "copy_out" => self.copy_out(step).await,
            "fetch" => self.fetch(step).await,
            "cancel" => self.cancel(step).await.map(|()| Outcome::default()),
            _ => self.execute(step).await,
        }
    }

    /// A transaction that is dropped is rolled back; rows come while others are still computed.
    async fn own(&mut self) -> Result<(), Failure> {
        let create = "CREATE TABLE own (ts timestamptz NOT NULL, v integer, device text, PRIMARY KEY (device, ts))";
        self.client.batch_execute(create).await?;
        let transaction = self.client.transaction().await?;
        transaction
            .execute("INSERT INTO own (ts, v, device) VALUES (now(), $1, $2)", &[&1, &"d"])
            .await?;
        drop(transaction);
        let count: i64 = self.client.query_one("SELECT count(*) FROM own", &[]).await?.get(0);
        same(&count, &0)?;
        let parameters: [i32; 0] = [];
        let rows = self
            .client
            .query_raw("SELECT x FROM generate_series(1, 10000) AS g (x)", parameters)
            .await?;
        same(&std::pin::pin!(rows).count().await, &10_000)
    }
}
