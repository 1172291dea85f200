//! The questions: which there are for a data set, their seeded parameters, and their text in a dialect.

use crate::Result;
use crate::data::{DataSet, FLEETS, START_MICROS};
use crate::dialect::{Dialect, fill};
use crate::random::Random;
use crate::time;

/// One question by its published name.
pub struct Query {
    pub name: &'static str,
    /// Its text in a dialect, which several may share.
    template: &'static str,
    /// Metrics it is about, from the first on; devices it names; hours it looks at.
    metrics: usize,
    devices: usize,
    hours: f64,
    /// Whether its answer is many rows of the table, so that one at a time is a lot.
    pub is_heavy: bool,
}

const fn query(name: &'static str, template: &'static str, metrics: usize, devices: usize, hours: f64) -> Query {
    Query {
        name,
        template,
        metrics,
        devices,
        hours,
        is_heavy: false,
    }
}

const fn heavy(name: &'static str, template: &'static str, metrics: usize, hours: f64) -> Query {
    Query {
        is_heavy: true,
        ..query(name, template, metrics, 0, hours)
    }
}

/// Questions that every data set answers, of its first table.
const EVERY: [Query; 3] = [
    query("count", "count", 0, 0, 0.0),
    query("point", "point", 0, 1, 0.0),
    query("newest-row", "newest-row", 0, 1, 0.0),
];

const CPU: [Query; 17] = [
    query("single-groupby-1-1-1", "single-groupby", 1, 1, 1.0),
    query("single-groupby-1-1-12", "single-groupby", 1, 1, 12.0),
    query("single-groupby-1-8-1", "single-groupby", 1, 8, 1.0),
    query("single-groupby-5-1-1", "single-groupby", 5, 1, 1.0),
    query("single-groupby-5-1-12", "single-groupby", 5, 1, 12.0),
    query("single-groupby-5-8-1", "single-groupby", 5, 8, 1.0),
    query("cpu-max-all-1", "cpu-max-all", 10, 1, 8.0),
    query("cpu-max-all-8", "cpu-max-all", 10, 8, 8.0),
    heavy("double-groupby-1", "double-groupby", 1, 12.0),
    heavy("double-groupby-5", "double-groupby", 5, 12.0),
    heavy("double-groupby-all", "double-groupby", 10, 12.0),
    query("high-cpu-1", "high-cpu", 10, 1, 12.0),
    heavy("high-cpu-all", "high-cpu-all", 10, 12.0),
    heavy("lastpoint", "lastpoint", 10, 0.0),
    heavy("groupby-orderby-limit", "groupby-orderby-limit", 1, 0.0),
    // Not of TSBS: what a fleet's operator asks by tags.
    query("tag-filter", "tag-filter", 1, 0, 1.0),
    heavy("tag-groups", "tag-groups", 1, 1.0),
];

const IOT: [Query; 13] = [
    query("last-loc", "last-loc", 0, 0, 0.0),
    query("single-last-loc", "single-last-loc", 0, 1, 0.0),
    query("low-fuel", "low-fuel", 0, 0, 0.0),
    query("high-load", "high-load", 0, 0, 0.0),
    query("stationary-trucks", "stationary-trucks", 0, 0, 1.0 / 6.0),
    heavy("long-driving-sessions", "long-driving-sessions", 0, 4.0),
    heavy("long-daily-sessions", "long-daily-sessions", 0, 24.0),
    heavy(
        "avg-vs-projected-fuel-consumption",
        "avg-vs-projected-fuel-consumption",
        0,
        0.0,
    ),
    heavy("avg-daily-driving-duration", "avg-daily-driving-duration", 0, 0.0),
    heavy("avg-daily-driving-session", "avg-daily-driving-session", 0, 0.0),
    heavy("avg-load", "avg-load", 0, 0.0),
    heavy("daily-activity", "daily-activity", 0, 0.0),
    heavy("breakdown-frequency", "breakdown-frequency", 0, 0.0),
];

const METERS: [Query; 2] = [
    query("meters-group", "meters-group", 0, 0, 1.0),
    heavy("meters-newest", "meters-newest", 0, 0.0),
];

const TSM: [Query; 6] = [
    query("tsm-q1-range", "tsm-q1-range", 0, 1, 24.0),
    query("tsm-q2-filter", "tsm-q2-filter", 0, 1, 24.0),
    heavy("tsm-q3-average", "tsm-q3-average", 0, 24.0),
    query("tsm-q4-downsample", "tsm-q4-downsample", 0, 1, 24.0),
    query("tsm-q6-cross-average", "tsm-q6-cross-average", 0, 1, 24.0),
    query("tsm-q7-correlation", "tsm-q7-correlation", 0, 1, 24.0),
];

/// All questions of a data set.
pub fn queries_of(set: &DataSet) -> Vec<&'static Query> {
    let own: &'static [Query] = match set.name {
        "cpu-only" | "devops" => &CPU,
        "iot" => &IOT,
        "meters" => &METERS,
        _ => &TSM,
    };
    EVERY.iter().chain(own).collect()
}

/// Those of these names; all of them where there are none.
pub fn chosen(set: &DataSet, names: &[String]) -> Result<Vec<&'static Query>> {
    let all = queries_of(set);
    if names.is_empty() {
        return Ok(all);
    }
    names
        .iter()
        .map(|name| {
            let found = all.iter().find(|query| query.name == name);
            Ok(*found.ok_or_else(|| {
                let known: Vec<&str> = all.iter().map(|query| query.name).collect();
                format!("data set {} has no question \"{name}\": {}", set.name, known.join(", "))
            })?)
        })
        .collect()
}

/// What is asked about: how much data there is.
#[derive(Clone, Copy)]
pub struct Extent {
    pub seed: u64,
    pub devices: u32,
    pub ticks: i64,
}

/// The parameters of one asking.
struct Parameters {
    devices: Vec<String>,
    start: i64,
    end: i64,
    instant: i64,
    fleet: &'static str,
    group: u64,
}

const MICROS_PER_HOUR: f64 = 3_600e6;

impl Parameters {
    /// As TSBS draws them: the window begins anywhere (never aligned to buckets or blocks), devices are drawn without replacement.
    fn draw(query: &Query, set: &DataSet, extent: Extent, random: &mut Random) -> Parameters {
        let span = extent.ticks * set.step_micros;
        let window = match query.hours {
            // A question without a lower bound ends anywhere in the second half.
            0.0 => span / 2 + random.below((span / 2).max(1) as u64) as i64,
            hours => ((hours * MICROS_PER_HOUR) as i64).min(span),
        };
        let start = match query.hours {
            0.0 => 0,
            _ => random.below((span - window).max(1) as u64) as i64,
        };
        let mut devices: Vec<u32> = Vec::new();
        while devices.len() < query.devices.min(extent.devices as usize) {
            let device = random.below(u64::from(extent.devices)) as u32;
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        Parameters {
            devices: devices.into_iter().map(|device| set.device_name(device)).collect(),
            start: START_MICROS + start,
            end: START_MICROS + start + window,
            instant: START_MICROS + random.below(extent.ticks.max(1) as u64) as i64 * set.step_micros,
            fleet: random.pick::<&str>(&FLEETS),
            group: 1 + random.below(10),
        }
    }
}

/// How parameters reach the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// As literals in the text of a simple query.
    Simple,
    /// As parameters of a statement prepared once.
    Prepared,
}

/// One asking, ready to send: equal texts are one prepared statement.
pub struct Asking {
    pub sql: String,
    pub parameters: Vec<String>,
}

impl Query {
    /// The asking that this seed draws.
    pub fn asking(
        &self,
        dialect: &Dialect,
        set: &DataSet,
        extent: Extent,
        protocol: Protocol,
        random: &mut Random,
    ) -> Result<Asking> {
        let parameters = Parameters::draw(self, set, extent, random);
        let mut writer = Writer {
            dialect,
            set,
            query: self,
            parameters,
            protocol,
            values: Vec::new(),
        };
        let sql = writer.render(dialect.query(self.template)?)?;
        Ok(Asking {
            sql,
            parameters: writer.values,
        })
    }

    /// Distinguishes the sequence of this question's parameters from others'.
    pub fn path(&self) -> u64 {
        self.name
            .bytes()
            .fold(17, |path, byte| path * 31 % 1_000_003 + u64::from(byte))
    }
}

/// Fills a template.
struct Writer<'a> {
    dialect: &'a Dialect,
    set: &'a DataSet,
    query: &'a Query,
    parameters: Parameters,
    protocol: Protocol,
    values: Vec<String>,
}

impl Writer<'_> {
    fn render(&mut self, template: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (word, after) = after
                .split_once('}')
                .ok_or_else(|| format!("a brace is not closed in {template}"))?;
            out.push_str(before);
            out.push_str(&self.word(word)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn word(&mut self, word: &str) -> Result<String> {
        let table = &self.set.tables[0];
        let fields = || table.fields.iter().map(|field| field.name.as_str());
        let list = |items: Vec<String>| items.join(", ");
        let metrics = self.query.metrics;
        let parts: Vec<&str> = word.split(' ').collect();
        Ok(match parts[..] {
            ["name"] => self.dialect.name_column(self.set).to_owned(),
            ["table"] => table.name.to_owned(),
            ["columns"] => list(fields().map(str::to_owned).collect()),
            ["maxima"] => list(fields().take(metrics).map(|field| format!("max({field})")).collect()),
            ["averages"] => list(fields().take(metrics).map(|field| format!("avg({field})")).collect()),
            ["newest"] => {
                let newest = self.dialect.word("newest")?;
                list(fields().map(|field| fill(newest, &[("field", field)])).collect())
            }
            ["bucket", count, unit, column] => {
                let step = format!("{count} {unit}");
                let values = [("step", self.dialect.step(&step)), ("column", column)];
                fill(self.dialect.word("bucket")?, &values)
            }
            ["seconds", start, stop] => fill(self.dialect.word("seconds")?, &[("start", start), ("stop", stop)]),
            ["start"] => self.time(self.parameters.start)?,
            ["end"] => self.time(self.parameters.end)?,
            ["instant"] => self.time(self.parameters.instant)?,
            ["fleet"] => self.text(self.parameters.fleet.to_owned()),
            ["group"] => match self.protocol {
                Protocol::Simple => self.parameters.group.to_string(),
                Protocol::Prepared => self.text(self.parameters.group.to_string()),
            },
            ["device"] | ["devices"] => {
                let names = self.parameters.devices.clone();
                list(names.into_iter().map(|name| self.text(name)).collect())
            }
            _ => return Err(format!("no word {{{word}}} for question {}", self.query.name).into()),
        })
    }

    fn time(&mut self, micros: i64) -> Result<String> {
        let text = time::to_text(micros);
        if self.protocol == Protocol::Prepared {
            return Ok(self.text(text));
        }
        let utc = text.trim_end_matches("+00");
        let iso = format!("{}Z", utc.replace(' ', "T"));
        let values = [("time", text.as_str()), ("utc", utc), ("iso", &iso)];
        Ok(fill(self.dialect.word("time")?, &values))
    }

    fn text(&mut self, value: String) -> String {
        match self.protocol {
            Protocol::Simple => format!("'{value}'"),
            Protocol::Prepared => {
                self.values.push(value);
                format!("${}", self.values.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DATA_SETS;
    use crate::dialect::DIALECTS;

    const EXTENT: Extent = Extent {
        seed: 123,
        devices: 100,
        ticks: 8_640,
    };

    #[test]
    fn every_question_can_be_said_in_every_dialect() {
        for (name, _) in DIALECTS {
            let dialect = Dialect::load(name).expect("a built-in dialect");
            for (_, make) in DATA_SETS {
                let set = make();
                for query in queries_of(&set) {
                    for protocol in [Protocol::Simple, Protocol::Prepared] {
                        let mut random = Random::new(1, &[query.path()]);
                        let asking = query
                            .asking(&dialect, &set, EXTENT, protocol, &mut random)
                            .expect("words are known");
                        assert!(!asking.sql.contains('{'), "{name}: {}", asking.sql);
                    }
                }
            }
        }
    }

    #[test]
    fn parameters_are_those_of_tsbs() {
        let set = DataSet::by_name("cpu-only").expect("cpu-only is in the list");
        let query = &CPU[2]; // single-groupby-1-8-1
        let mut starts = Vec::new();
        for client in 0..1_000 {
            let parameters = Parameters::draw(query, &set, EXTENT, &mut Random::new(1, &[client]));
            let mut devices = parameters.devices.clone();
            devices.sort();
            devices.dedup();
            assert_eq!(devices.len(), 8, "drawn without replacement");
            assert_eq!(parameters.end - parameters.start, 3_600_000_000);
            assert!(parameters.start >= START_MICROS && parameters.end <= START_MICROS + 86_400_000_000);
            starts.push(parameters.start);
        }
        let mean = starts.iter().map(|start| (start - START_MICROS) as f64).sum::<f64>() / 1_000.0;
        assert!((mean / 41_400e6 - 1.0).abs() < 0.06, "uniform over the data: {mean}");
        assert!(
            starts.iter().filter(|start| *start % 10_000_000 == 0).count() < 5,
            "not aligned"
        );
    }

    #[test]
    fn a_prepared_question_is_the_same_text_for_all_parameters() {
        let set = DataSet::by_name("cpu-only").expect("cpu-only is in the list");
        let dialect = Dialect::load("taospg").expect("it is built in");
        let ask = |seed| {
            let mut random = Random::new(seed, &[]);
            CPU[0]
                .asking(&dialect, &set, EXTENT, Protocol::Prepared, &mut random)
                .expect("words are known")
        };
        assert_eq!(ask(1).sql, ask(2).sql);
        assert_ne!(ask(1).parameters, ask(2).parameters);
        assert_eq!(ask(1).parameters.len(), 3);
    }
}
