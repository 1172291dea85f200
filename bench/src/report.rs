//! What was measured, as JSON for machines and as tables for people; both say the machine, the versions and the durability.

use serde::{Deserialize, Serialize};

use crate::{ask, load, mixed};

#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    /// The command line that measured.
    pub command: String,
    pub repeats: usize,
    pub systems: Vec<SystemReport>,
    /// Systems that were left out, each with its reason.
    pub skipped: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SystemReport {
    pub name: String,
    pub version: String,
    pub durability: String,
    pub idle_memory_bytes: Option<u64>,
    pub loads: Vec<LoadReport>,
    pub queries: Vec<QueryReport>,
    pub mixed: Vec<mixed::Figures>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LoadReport {
    pub case: String,
    /// What prevented it; then there are no figures.
    pub problem: Option<String>,
    pub figures: Option<load::Figures>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct QueryReport {
    pub data: String,
    pub query: String,
    /// What was wrong with the answer or prevented it; then there are no figures.
    pub problem: Option<String>,
    pub figures: Option<ask::Figures>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    /// Runnable processes on average over the last minute, when the run began.
    pub load_average: f64,
}

impl Machine {
    pub fn here() -> Machine {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let after = |text: &str, key: &str| -> String {
            let line = text.lines().find(|line| line.starts_with(key));
            let value = line
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim());
            value.unwrap_or("unknown").to_owned()
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        let kilobytes: u64 = memory
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);
        Machine {
            processor: after(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kilobytes * 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0),
        }
    }

    /// Others at work make figures of wall time worthless.
    pub fn is_quiet(&self) -> bool {
        self.load_average < 0.5
    }
}

/// Three significant digits, with the unit that people read it in.
pub fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let digits = match scaled {
        scaled if scaled >= 100.0 => 0,
        scaled if scaled >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

fn optional(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".into(), show)
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// Any text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A Markdown table.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut out = line(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
    rows.iter().for_each(|row| out.push_str(&line(row)));
    out
}

/// Markdown for a terminal: its tables in columns of even width.
pub fn aligned(markdown: &str) -> String {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(inside.split(" | ").map(str::to_owned).collect())
    };
    let mut out = String::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(head) = cells(line) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let mut rows = vec![head];
        while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
            rows.extend(cells(line));
        }
        let columns = rows[0].len();
        // A problem stands in the last cell of a short row, and may be long.
        let full: Vec<&Vec<String>> = rows.iter().filter(|row| row.len() == columns).collect();
        let widths: Vec<usize> = (0..columns)
            .map(|column| full.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &rows {
            let padded: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            out.push_str(padded.join("  ").trim_end());
            out.push('\n');
        }
    }
    out
}

pub fn load_table(loads: &[(&str, &LoadReport)]) -> String {
    let rows: Vec<Vec<String>> = loads
        .iter()
        .map(|(system, report)| {
            let Some(figures) = &report.figures else {
                let problem = cell(report.problem.as_deref().unwrap_or_default());
                return vec![(*system).to_owned(), report.case.clone(), problem];
            };
            vec![
                (*system).to_owned(),
                report.case.clone(),
                figures.connections.to_string(),
                short(figures.rows as f64),
                short(figures.rows_per_second),
                format!(
                    "{:.2} / {:.2}",
                    figures.acknowledged.p50_ms, figures.acknowledged.p99_ms
                ),
                optional(figures.server_cpu_seconds, |seconds| {
                    format!("{:.2}", seconds * 1e6 / figures.rows as f64)
                }),
                format!("{:.2}", figures.client_cpu_seconds * 1e6 / figures.rows as f64),
                figures.peak_memory_bytes.map_or_else(|| "-".into(), megabytes),
                optional(figures.bytes_per_row(), |bytes| format!("{bytes:.2}")),
                optional(figures.write_amplification(), |ratio| format!("{ratio:.2}")),
            ]
        })
        .collect();
    table(
        &[
            "system",
            "load",
            "connections",
            "rows",
            "rows/s",
            "acknowledged p50 / p99 ms",
            "server CPU us/row",
            "client CPU us/row",
            "peak memory",
            "bytes/row on disk",
            "write amplification",
        ],
        &rows,
    )
}

pub fn query_table(queries: &[(&str, &QueryReport)]) -> String {
    let rows: Vec<Vec<String>> = queries
        .iter()
        .map(|(system, report)| match &report.figures {
            Some(figures) => vec![
                (*system).to_owned(),
                report.query.clone(),
                format!("{} {}", figures.clients, figures.protocol),
                short(figures.rows),
                format!("{:.2}", figures.first_ms),
                format!("{:.2}", figures.latency.p50_ms),
                format!("{:.2}", figures.latency.p99_ms),
                short(figures.per_second),
                optional(figures.server_cpu_ms, |ms| format!("{ms:.2}")),
            ],
            None => vec![
                (*system).to_owned(),
                report.query.clone(),
                report
                    .problem
                    .clone()
                    .unwrap_or_default()
                    .replace('|', "\\|")
                    .replace('\n', " "),
            ],
        })
        .collect();
    table(
        &[
            "system",
            "question",
            "clients",
            "rows",
            "first ms",
            "p50 ms",
            "p99 ms",
            "1/s",
            "server CPU ms",
        ],
        &rows,
    )
}

pub fn mixed_table(all: &[(&str, &mixed::Figures)]) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(system, figures)| {
            vec![
                (*system).to_owned(),
                format!(
                    "{} of {}",
                    short(figures.rows_per_second),
                    short(figures.rows_per_second_intended)
                ),
                format!(
                    "{:.2} / {:.2}",
                    figures.acknowledged.p50_ms, figures.acknowledged.p99_ms
                ),
                format!(
                    "{} of {}",
                    short(figures.queries_per_second),
                    short(figures.queries_per_second_intended)
                ),
                format!("{:.2} / {:.2}", figures.latency.p50_ms, figures.latency.p99_ms),
                optional(figures.server_cpu_seconds, |seconds| {
                    format!("{:.0} %", seconds * 100.0 / figures.seconds)
                }),
            ]
        })
        .collect();
    table(
        &[
            "system",
            "rows/s of intended",
            "acknowledged p50 / p99 ms",
            "questions/s of intended",
            "answered p50 / p99 ms",
            "server CPU",
        ],
        &rows,
    )
}

impl Report {
    /// The whole report as Markdown, systems side by side for each question.
    pub fn markdown(&self) -> String {
        let machine = &self.machine;
        let mut out = format!(
            "Machine: {}, {} cores, {} memory, Linux {}, load average {:.2} at the start. `{}`, medians of {}.\n\n",
            machine.processor,
            machine.cores,
            megabytes(machine.memory_bytes),
            machine.kernel,
            machine.load_average,
            self.command,
            self.repeats
        );
        let systems: Vec<Vec<String>> = self
            .systems
            .iter()
            .map(|system| {
                let idle = system.idle_memory_bytes.map_or_else(|| "-".into(), megabytes);
                vec![
                    system.name.clone(),
                    system.version.clone(),
                    system.durability.clone(),
                    idle,
                ]
            })
            .collect();
        out.push_str(&table(
            &["system", "version", "durability", "memory when just started"],
            &systems,
        ));
        for reason in &self.skipped {
            out.push_str(&format!("\nLeft out: {reason}.\n"));
        }
        let mut loads = self.each(|system| &system.loads);
        sort_by_first(&mut loads, |report| report.case.clone());
        if !loads.is_empty() {
            out.push_str(&format!("\n### Loading\n\n{}", load_table(&loads)));
        }
        let mut queries = self.each(|system| &system.queries);
        let key = |report: &QueryReport| {
            let clients = report
                .figures
                .as_ref()
                .map_or(String::new(), |figures| figures.clients.to_string());
            (report.data.clone(), report.query.clone(), clients == "16")
        };
        sort_by_first(&mut queries, key);
        let mut sets: Vec<&str> = queries.iter().map(|(_, report)| report.data.as_str()).collect();
        sets.dedup();
        for set in sets {
            let of_set: Vec<(&str, &QueryReport)> = queries
                .iter()
                .filter(|(_, report)| report.data == set)
                .copied()
                .collect();
            out.push_str(&format!("\n### Questions to {set}\n\n{}", query_table(&of_set)));
        }
        let all = self.each(|system| &system.mixed);
        if !all.is_empty() {
            out.push_str(&format!("\n### Loading and asking at once\n\n{}", mixed_table(&all)));
        }
        out
    }

    /// What was wrong or did not work, each in a line.
    pub fn problems(&self) -> Vec<String> {
        self.systems
            .iter()
            .flat_map(|system| {
                let loads = system.loads.iter().map(|load| (&load.case, &load.problem));
                let queries = system.queries.iter().map(|query| (&query.query, &query.problem));
                loads
                    .chain(queries)
                    .filter_map(|(what, problem)| Some(format!("{}: {what}: {}", system.name, problem.as_ref()?)))
            })
            .collect()
    }

    fn each<'a, T>(&'a self, list: impl Fn(&'a SystemReport) -> &'a Vec<T>) -> Vec<(&'a str, &'a T)> {
        self.systems
            .iter()
            .flat_map(|system| list(system).iter().map(|item| (system.name.as_str(), item)))
            .collect()
    }
}

/// Brings equal keys together, keys in the order in which they first come.
fn sort_by_first<T, K: PartialEq>(items: &mut [(&str, &T)], key: impl Fn(&T) -> K) {
    let mut keys: Vec<K> = Vec::new();
    for (_, item) in items.iter() {
        let key = key(item);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    items.sort_by_key(|(_, item)| keys.iter().position(|known| *known == key(item)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(short(2_154_321.0), "2.15 M");
        assert_eq!(short(52_000.0), "52.0 k");
        assert_eq!(short(4_000.0), "4000");
        assert_eq!(short(1.234), "1.23");
    }

    #[test]
    fn a_terminal_gets_even_columns() {
        let text = table(
            &["system", "rows"],
            &[vec!["Taospg".into(), "4000".into()], vec!["DuckDB".into()]],
        );
        assert_eq!(
            aligned(&format!("Head\n\n{text}")),
            "Head\n\nsystem  rows\nTaospg  4000\nDuckDB\n"
        );
    }

    #[test]
    fn equal_cases_stand_side_by_side() {
        let mut items = vec![("a", &1), ("a", &2), ("b", &1), ("b", &2)];
        sort_by_first(&mut items, |item: &i32| *item);
        assert_eq!(items, [("a", &1), ("b", &1), ("a", &2), ("b", &2)]);
    }
}
