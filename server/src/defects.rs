//! Panics: defects of ours that ended one connection. They are logged and counted, and the server goes on.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub struct Defects {
    count: AtomicU64,
}

impl Defects {
    /// Logs what `catch_unwind` caught.
    pub fn note(&self, panic: &(dyn Any + Send)) {
        let reason = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        tracing::error!(reason, count, "a connection was ended by a defect in the server");
    }

    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}
