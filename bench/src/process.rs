//! What a server's processes use, from /proc: CPU time, memory, bytes written. A server may be many processes, as PostgreSQL is.

use std::fs::read_to_string;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A tick of the times in /proc/<pid>/stat: USER_HZ, which is 100 on every Linux that Rust's tier 1 knows.
const TICKS_PER_SECOND: f64 = 100.0;

/// Used so far by a process, its descendants, and those of them that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    /// Caused to be written to disk; 0 on a file system in memory.
    pub written_bytes: u64,
}

impl Usage {
    pub fn of(root: u32) -> Usage {
        let mut usage = Usage::default();
        for pid in tree(root) {
            let Some(stat) = Stat::of(pid) else { continue };
            usage.cpu_seconds += stat.own_ticks as f64 / TICKS_PER_SECOND;
            if pid == root {
                usage.cpu_seconds += stat.ended_children_ticks as f64 / TICKS_PER_SECOND;
            }
            usage.written_bytes += number_after(&format!("/proc/{pid}/io"), "write_bytes:").unwrap_or(0);
        }
        usage
    }

    pub fn since(self, before: Usage) -> Usage {
        Usage {
            // Times are rounded for each process; a process that ended may take its rounding with it.
            cpu_seconds: (self.cpu_seconds - before.cpu_seconds).max(0.0),
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }

    /// This program's own.
    pub fn own() -> Usage {
        let stat = Stat::of(std::process::id());
        Usage {
            cpu_seconds: stat.map_or(0.0, |stat| stat.own_ticks as f64 / TICKS_PER_SECOND),
            written_bytes: 0,
        }
    }
}

/// CPU seconds of the calling thread so far, to the microsecond.
pub fn thread_cpu_seconds() -> f64 {
    // Linux adds up what a thread has used when it schedules; without this a few milliseconds may read as nothing.
    std::thread::yield_now();
    let text = read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos: f64 = text
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0);
    nanos / 1e9
}

struct Stat {
    parent: u32,
    own_ticks: u64,
    ended_children_ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        let text = read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may hold spaces; the fields are counted behind it.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Stat {
            parent: number(1)? as u32,
            own_ticks: number(11)? + number(12)?,
            ended_children_ticks: number(13)? + number(14)?,
        })
    }
}

/// A process and its descendants.
fn tree(root: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::of(pid)?.parent)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// The number after a key in a file of /proc.
fn number_after(file: &str, key: &str) -> Option<u64> {
    let text = read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Memory of a process and its descendants now, shared pages counted once.
pub fn memory_bytes(root: u32) -> u64 {
    let pids = tree(root);
    let kilobytes: u64 = match pids[..] {
        [pid] => number_after(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0),
        _ => pids
            .iter()
            .filter_map(|pid| number_after(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
            .sum(),
    };
    kilobytes * 1_024
}

/// Watches the memory of a process from its start to `peak_bytes`.
pub struct MemoryWatch {
    is_over: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// Often enough for phases of seconds, seldom enough to cost nothing that shows.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

impl MemoryWatch {
    pub fn start(root: u32) -> MemoryWatch {
        let is_over = Arc::new(AtomicBool::new(false));
        let peak = Arc::new(AtomicU64::new(memory_bytes(root)));
        let (over, seen) = (is_over.clone(), peak.clone());
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                std::thread::park_timeout(SAMPLE_INTERVAL);
                seen.fetch_max(memory_bytes(root), Ordering::Relaxed);
            }
        });
        MemoryWatch { is_over, peak, thread }
    }

    pub fn peak_bytes(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let _ = self.thread.join();
        self.peak.load(Ordering::Relaxed)
    }
}

/// Bytes of the files below a directory, and of those among them that are not below one of the directories named `logs`.
pub fn directory_bytes(directory: &Path, logs: &[String]) -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return (0, 0);
    };
    entries.flatten().fold((0, 0), |(all, data), entry| {
        let Ok(about) = entry.metadata() else {
            return (all, data);
        };
        if !about.is_dir() {
            return (all + about.len(), data + about.len());
        }
        let (below, below_data) = directory_bytes(&entry.path(), logs);
        let is_log = logs.iter().any(|log| entry.file_name() == log.as_str());
        (all + below, data + if is_log { 0 } else { below_data })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_children_are_counted() {
        let before = Usage::own();
        let mut x = 1_u64;
        while Usage::own().since(before).cpu_seconds < 0.05 {
            x = x.wrapping_mul(3).rotate_left(7);
        }
        assert_ne!(x, 0);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep runs");
        assert!(tree(std::process::id()).contains(&child.id()));
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        assert!(memory_bytes(std::process::id()) > 1_000_000);
    }
}
