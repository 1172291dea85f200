//! sqlx: one connection, statements prepared by name and kept.

use std::collections::HashMap;

use serde_json::Value as Json;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPoolCopyExt as _, PgPoolOptions, PgRow};
use sqlx::{
    Arguments as _, Column as _, ConnectOptions as _, Connection as _, Executor as _, PgPool, Row as _, TypeInfo as _,
};

use crate::value::{list, scalar, written, written_list};
use crate::{Driver, Failure, Outcome, Step, fail, same, with_native};

pub struct Sqlx {
    connection: PgConnection,
    pool: PgPool,
}

pub async fn connect(port: u16) -> Sqlx {
    let options = PgConnectOptions::new()
        .host("127.0.0.1")
        .port(port)
        .username("postgres")
        .database("postgres");
    Sqlx {
        connection: options.connect().await.expect("the server is there"),
        pool: PgPoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await
            .expect("the server is there"),
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure {
            state: error
                .as_database_error()
                .and_then(|error| error.code())
                .map(|code| code.into_owned()),
            message: error.to_string(),
        }
    }
}

fn natively(pairs: &[(&str, &Json)]) -> Result<PgArguments, Failure> {
    let mut arguments = PgArguments::default();
    for (name, value) in pairs {
        macro_rules! one {
            ($type:ty) => {
                arguments.add(scalar::<$type>(value))
            };
        }
        macro_rules! many {
            ($type:ty) => {
                arguments.add(list::<$type>(value))
            };
        }
        with_native!(*name, one, many).map_err(fail)?;
    }
    Ok(arguments)
}

fn read(row: &PgRow, columns: &[&str]) -> Result<Vec<Json>, sqlx::Error> {
    let value = |column: usize, name: &str| -> Result<Json, sqlx::Error> {
        macro_rules! one {
            ($type:ty) => {
                written(row.try_get::<Option<$type>, _>(column)?)
            };
        }
        macro_rules! many {
            ($type:ty) => {
                written_list(row.try_get::<Option<Vec<Option<$type>>>, _>(column)?)
            };
        }
        Ok(with_native!(name, one, many))
    };
    columns
        .iter()
        .enumerate()
        .map(|(index, name)| value(index, name))
        .collect()
}

/// The scenario's names of the types that sqlx spells in SQL's way.
fn spelled(name: &str) -> String {
    let (element, list) = name.strip_suffix("[]").map_or((name, ""), |element| (element, "[]"));
    let element = match element {
        "\"CHAR\"" => "char".into(),
        "CHAR" => "bpchar".into(),
        other => other.to_lowercase(),
    };
    element + list
}

impl Sqlx {
    async fn execute(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let sql = step.text("sql");
        if !step.has("columns") && !step.has("params") {
            let done = self.connection.execute(sqlx::raw_sql(sql)).await?;
            return Ok(Outcome {
                count: Some(done.rows_affected()),
                ..Outcome::default()
            });
        }
        let query = sqlx::query_with(sql, natively(&step.parameters())?);
        if !step.has("columns") {
            let done = query.execute(&mut self.connection).await?;
            return Ok(Outcome {
                count: Some(done.rows_affected()),
                ..Outcome::default()
            });
        }
        let rows = query.fetch_all(&mut self.connection).await?;
        let columns = step.strings("columns");
        let about = rows.first().map(PgRow::columns);
        Ok(Outcome {
            names: about.map(|columns| columns.iter().map(|column| column.name().to_owned()).collect()),
            types: about.map(|columns| {
                columns
                    .iter()
                    .map(|column| spelled(column.type_info().name()))
                    .collect()
            }),
            rows: rows.iter().map(|row| read(row, &columns)).collect::<Result<_, _>>()?,
            ..Outcome::default()
        })
    }

    async fn batch(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let mut transaction = self.connection.begin().await?;
        for pairs in step.batch() {
            sqlx::query_with(step.text("sql"), natively(&pairs)?)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Outcome::default())
    }

    async fn copy_in(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let mut copy = self.connection.copy_in_raw(step.text("sql")).await?;
        copy.send(step.text("copy_in").as_bytes()).await?;
        Ok(Outcome {
            count: Some(copy.finish().await?),
            ..Outcome::default()
        })
    }

    async fn copy_out(&mut self, step: &Step) -> Result<Outcome, Failure> {
        use futures::TryStreamExt as _;
        let parts: Vec<bytes::Bytes> = self.pool.copy_out_raw(step.text("sql")).await?.try_collect().await?;
        let data = String::from_utf8(parts.concat()).map_err(fail)?;
        Ok(Outcome {
            data,
            ..Outcome::default()
        })
    }
}

impl Driver for Sqlx {
    const KEY: &str = "sqlx";

    fn can_not() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            ("pipeline", "the driver waits for each answer"),
            ("fetch", "the driver takes rows as they come"),
            ("cancel", "the driver has no cancel"),
            (
                "after ALTER the driver may prepare again by itself, or be told once that the result has changed",
                "the driver never prepares a statement again",
            ),
            ("interval", "sqlx reads intervals only into a type of its own"),
            ("interval[]", "sqlx reads intervals only into a type of its own"),
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
            "batch" => self.batch(step).await,
            "copy_in" => self.copy_in(step).await,
            "copy_out" => self.copy_out(step).await,
            _ => self.execute(step).await,
        }
    }

    /// Nested transactions, and a pool.
    async fn own(&mut self) -> Result<(), Failure> {
        let create = "CREATE TABLE own (ts timestamptz NOT NULL, v integer, device text, PRIMARY KEY (device, ts))";
        self.connection.execute(create).await?;
        let mut outer = self.connection.begin().await?;
        outer
            .execute("INSERT INTO own (ts, device) VALUES (now(), 'outer')")
            .await?;
        let mut inner = outer.begin().await?;
        inner
            .execute("INSERT INTO own (ts, device) VALUES (now(), 'inner')")
            .await?;
        inner.rollback().await?;
        outer.commit().await?;
        let devices: Vec<String> = sqlx::query_scalar("SELECT device FROM own")
            .fetch_all(&self.pool)
            .await?;
        same(&devices, &vec!["outer".to_owned()])?;
        let (one, two) = futures::future::join(
            sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(&self.pool),
            sqlx::query_scalar::<_, i32>("SELECT 2").fetch_one(&self.pool),
        )
        .await;
        same(&(one? + two?), &3)
    }
}
