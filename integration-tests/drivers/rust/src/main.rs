//! The scenario by Rust's drivers, both of which are binary throughout. usage: runner tokio-postgres|sqlx PORT SERVER JSON

mod sqlx_driver;
mod tokio_postgres_driver;
mod value;

use std::collections::HashMap;

use serde_json::Value as Json;
use value::comparable;

/// One step of the scenario; see ../../../scenario.yaml.
pub struct Step(Json);

impl Step {
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    pub fn list(&self, key: &str) -> &[Json] {
        self.0[key].as_array().map_or(&[], Vec::as_slice)
    }

    pub fn strings(&self, key: &str) -> Vec<&str> {
        self.list(key).iter().filter_map(Json::as_str).collect()
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.0[key].as_u64()
    }

    /// Type and value of each parameter.
    pub fn parameters(&self) -> Vec<(&str, &Json)> {
        self.list("params")
            .iter()
            .map(|pair| (pair[0].as_str().unwrap_or_default(), &pair[1]))
            .collect()
    }

    /// The same for each list of a batch.
    pub fn batch(&self) -> Vec<Vec<(&str, &Json)>> {
        let types = self.strings("types");
        self.list("batch")
            .iter()
            .map(|values| {
                types
                    .iter()
                    .copied()
                    .zip(values.as_array().into_iter().flatten())
                    .collect()
            })
            .collect()
    }

    pub fn kind(&self) -> &'static str {
        ["batch", "pipeline", "copy_in", "copy_out", "fetch", "cancel"]
            .into_iter()
            .find(|kind| self.has(kind))
            .unwrap_or("execute")
    }

    fn describe(&self) -> String {
        let name = if self.has("name") {
            self.text("name")
        } else {
            self.text("sql")
        };
        let value = if name.contains("CAST($1") {
            self.parameters()[0].1.to_string()
        } else {
            String::new()
        };
        let words: Vec<&str> = name.split_whitespace().collect();
        format!("{} {value}", words.join(" ")).chars().take(160).collect()
    }

    /// Why it comes out wrong at Taospg, with this driver too.
    fn mark(&self, key: &str) -> Option<&str> {
        self.0["wrong"]
            .as_str()
            .filter(|_| !self.strings("right_by").contains(&key))
    }
}

/// What came of a statement, values as the scenario writes them. `None` where the driver does not tell.
#[derive(Default)]
pub struct Outcome {
    pub rows: Vec<Vec<Json>>,
    pub names: Option<Vec<String>>,
    pub types: Option<Vec<String>>,
    pub count: Option<u64>,
    pub data: String,
}

/// SQLSTATE, where it is the server's error, and the message.
pub struct Failure {
    pub state: Option<String>,
    pub message: String,
}

pub fn fail(message: impl ToString) -> Failure {
    Failure {
        state: None,
        message: message.to_string(),
    }
}

trait Driver {
    const KEY: &str;
    /// Kind of step, type, value or name of a step, with the reason.
    fn can_not() -> HashMap<&'static str, &'static str>;
    async fn act(&mut self, step: &Step) -> Result<Outcome, Failure>;
    async fn own(&mut self) -> Result<(), Failure>;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, driver, port, server, path] = arguments.as_slice() else {
        panic!("usage: runner tokio-postgres|sqlx PORT SERVER JSON");
    };
    let port: u16 = port.parse().expect("a port");
    let steps = std::fs::read_to_string(path).expect("the steps are there");
    let steps: Vec<Json> = serde_json::from_str(&steps).expect("they are JSON");
    let steps: Vec<Step> = steps.into_iter().map(Step).collect();
    let sound = match driver.as_str() {
        "sqlx" => run(sqlx_driver::connect(port).await, &steps, server).await,
        _ => run(tokio_postgres_driver::connect(port).await, &steps, server).await,
    };
    if !sound {
        std::process::exit(1);
    }
}

async fn run<D: Driver>(mut driver: D, steps: &[Step], server: &str) -> bool {
    let name = D::KEY;
    let can_not = D::can_not();
    let (mut failed, mut left_out) = (0, 0);
    for step in steps {
        let what = step.describe();
        if let Some(reason) = lacking(&can_not, step) {
            left_out += 1;
            println!("{name}: left out: {what}: {reason}");
            continue;
        }
        let mark = if server == "taospg" { step.mark(name) } else { None };
        match (perform(&mut driver, step).await, mark) {
            (Err(failure), None) => {
                failed += 1;
                println!(
                    "{name}: {what}: {} {}",
                    failure.state.unwrap_or_default(),
                    failure.message
                );
            }
            (Ok(()), Some(mark)) => {
                failed += 1;
                println!("{name}: {what}: comes out right now: take away its mark ({mark})");
            }
            _ => {}
        }
    }
    println!(
        "{name}: {} steps as written, {left_out} left out, {failed} not",
        steps.len() - failed - left_out
    );
    if let Err(failure) = driver.own().await {
        println!(
            "{name}: its own: {} {}",
            failure.state.unwrap_or_default(),
            failure.message
        );
        failed += 1;
    }
    failed == 0
}

fn lacking<'a>(can_not: &HashMap<&'static str, &'a str>, step: &Step) -> Option<&'a str> {
    let mut asks = vec![
        step.kind().to_owned(),
        step.text("needs").to_owned(),
        step.text("name").to_owned(),
    ];
    asks.extend(
        step.strings("types")
            .into_iter()
            .chain(step.strings("columns"))
            .map(str::to_owned),
    );
    for (name, value) in step.parameters() {
        asks.push(name.to_owned());
        asks.extend(value.as_str().map(|value| format!("{name} {value}")));
    }
    asks.iter().find_map(|what| can_not.get(what.as_str()).copied())
}

async fn perform<D: Driver>(driver: &mut D, step: &Step) -> Result<(), Failure> {
    let mut failures = u64::from(step.has("may_fail_once"));
    for _ in 0..step.number("repeat").unwrap_or(1) + failures {
        match driver.act(step).await {
            Ok(_) if step.has("error") => {
                return Err(fail(format!("no error, but {} is expected", step.text("error"))));
            }
            Ok(outcome) => check(step, outcome)?,
            Err(failure) if failures > 0 && failure.state.as_deref() == Some(step.text("may_fail_once")) => {
                failures -= 1
            }
            Err(failure) if failure.state.is_some() && failure.state.as_deref() == Some(step.text("error")) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn check(step: &Step, outcome: Outcome) -> Result<(), Failure> {
    if step.has("copy_out") {
        same(&outcome.data.as_str(), &step.text("copy_out"))?;
    }
    if let (Some(wanted), Some(found)) = (step.number("count"), outcome.count) {
        same(&found, &wanted)?;
    }
    if step.has("rows") {
        let columns = step.strings("columns");
        let row = |values: &[Json]| -> Vec<Json> {
            columns
                .iter()
                .zip(values)
                .map(|(name, value)| comparable(name, value))
                .collect()
        };
        let wanted: Vec<_> = step
            .list("rows")
            .iter()
            .map(|values| row(values.as_array().expect("a row")))
            .collect();
        let found: Vec<_> = outcome.rows.iter().map(|values| row(values)).collect();
        same(&found, &wanted)?;
        if let Some(types) = &outcome.types {
            same(types, &columns.iter().map(|name| name.to_string()).collect())?;
        }
    }
    if let Some(names) = outcome.names.filter(|_| step.has("names")) {
        same(
            &names,
            &step.strings("names").iter().map(|name| name.to_string()).collect(),
        )?;
    }
    Ok(())
}

pub fn same<T: PartialEq + std::fmt::Debug>(found: &T, wanted: &T) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    Err(fail(format!("\n  wanted {wanted:?}\n  found  {found:?}")))
}
