//! The threads that everything asynchronous runs on, and what keeps them listening.
//!
//! One of the workers that have nothing to do waits for sockets and timers, for all of them. When something arrives it takes the task that
//! waited for it, and no other worker is woken to wait in its place: were that task to compute for a minute in one turn, nobody would accept a
//! connection, read a request to cancel, or see a timeout pass. Something from outside wakes a worker that is free, and that one waits from
//! then on. So a thread hands in an empty task now and then.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// Worker threads beyond one per core: a query that computes for long keeps one busy, and the others go on answering.
const SPARE_WORKERS: usize = 2;

/// How long nobody may wait for sockets and timers. A task without work costs some ten microseconds.
const UNATTENDED_MAX: Duration = Duration::from_millis(50);

/// The server's runtime. Its helper ends with the process.
pub fn start() -> io::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(cores + SPARE_WORKERS)
        .enable_all()
        .build()?;
    let workers = runtime.handle().clone();
    thread::Builder::new()
        .name("attendant".to_owned())
        .spawn(move || keep_attended(&workers))?;
    Ok(runtime)
}

/// Wakes a free worker again and again.
fn keep_attended(workers: &Handle) {
    loop {
        thread::sleep(UNATTENDED_MAX);
        workers.spawn(std::future::ready(()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A turn without end, taken by whichever worker saw the time pass, must not keep the others from seeing it pass.
    #[test]
    fn time_passes_while_a_worker_computes() {
        let runtime = start().expect("threads start");
        let (ended, end) = std::sync::mpsc::channel::<()>();
        runtime.spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            end.recv().ok();
        });
        let patience = Instant::now() + Duration::from_secs(60);
        let (seen, see) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            seen.send(()).ok();
        });
        let seen = see.recv_timeout(patience - Instant::now());
        drop(ended);
        assert_eq!(seen, Ok(()), "timers were not attended");
    }
}
