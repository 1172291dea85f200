//! A line on the terminal that says how far a phase is. Nothing where standard error is no terminal.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub struct Progress {
    done: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const BAR_WIDTH: usize = 30;
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);

impl Progress {
    /// `total` of `unit` are to be done; 0 where nobody knows.
    pub fn start(label: &str, total: u64, unit: &'static str) -> Progress {
        let done = Arc::new(AtomicU64::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        if !std::io::stderr().is_terminal() {
            eprintln!("{label}");
            return Progress {
                done,
                is_over,
                thread: None,
            };
        }
        let label = label.to_owned();
        let (counter, over) = (done.clone(), is_over.clone());
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            while !over.load(Ordering::Relaxed) {
                let line = line(&label, counter.load(Ordering::Relaxed), total, unit, start.elapsed());
                let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
                std::thread::park_timeout(REDRAW_INTERVAL);
            }
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        });
        Progress {
            done,
            is_over,
            thread: Some(thread),
        }
    }

    /// Where those who work count what they have done.
    pub fn counter(&self) -> Arc<AtomicU64> {
        self.done.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn line(label: &str, done: u64, total: u64, unit: &str, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let share = if total == 0 {
        0.0
    } else {
        (done as f64 / total as f64).min(1.0)
    };
    let filled = (share * BAR_WIDTH as f64) as usize;
    format!(
        "{label} [{}{}] {:3.0} % {:.0} {unit}/s",
        "#".repeat(filled),
        "-".repeat(BAR_WIDTH - filled),
        share * 100.0,
        rate
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_share_and_rate() {
        let text = line("COPY text", 500, 1_000, "rows", Duration::from_secs(2));
        assert_eq!(text, "COPY text [###############---------------]  50 % 250 rows/s");
    }
}
