//! What goes wrong with the directory: counted, told in the log now and then, and reason to leave it alone for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::callout::{CalloutPort, Notice};

/// So long nothing more is stored after a failure, and no directory that could not be opened is tried again.
const PAUSE: Duration = Duration::from_secs(10);

pub struct Trouble {
    callouts: Arc<CalloutPort>,
    pause: Mutex<Option<Instant>>,
    told: Mutex<Option<Instant>>,
    /// Reads and writes that failed.
    pub failures: AtomicU64,
    /// Entries that were not what had been written.
    pub damaged: AtomicU64,
    /// Responses that were not stored because too many were being written.
    pub refused: AtomicU64,
}

impl Trouble {
    pub fn new(callouts: Arc<CalloutPort>) -> Self {
        Self {
            callouts,
            pause: Mutex::default(),
            told: Mutex::default(),
            failures: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The directory cannot be used as it is meant to.
    pub fn failed(&self, what: &str, cause: &dyn std::fmt::Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.pause.lock() = Some(Instant::now() + PAUSE);
        self.tell(format!("the cache's disk tier: {what}: {cause}"));
    }

    pub fn damaged(&self, count: u64, what: &str, cause: &dyn std::fmt::Display) {
        self.damaged.fetch_add(count, Ordering::Relaxed);
        self.tell(format!("the cache's disk tier: {what}: {cause}; the response was dropped"));
    }

    pub fn pauses(&self) -> bool {
        self.pause.lock().is_some_and(|until| Instant::now() < until)
    }

    /// One line in that time; the metrics count them all.
    fn tell(&self, text: String) {
        let mut told = self.told.lock();
        if told.is_none_or(|at| at.elapsed() >= PAUSE) {
            *told = Some(Instant::now());
            self.callouts.push(Notice::Trouble { text });
        }
    }
}
