//! What becomes of the calls of an aggregate.

use super::cells::Counter;
use super::PerWorker;

/// The counters of one call of one route.
pub struct CallMetrics(PerWorker<CallCells>);

#[derive(Debug, Default)]
#[repr(align(64))]
struct CallCells {
    answered: Counter,
    failed: Counter,
    skipped: Counter,
}

impl CallMetrics {
    pub(super) fn new(workers: usize) -> Self {
        Self(PerWorker::new(workers))
    }

    pub fn answered(&self, worker: usize) {
        self.add(worker, |cells| &cells.answered);
    }

    pub fn failed(&self, worker: usize) {
        self.add(worker, |cells| &cells.failed);
    }

    /// Its condition did not hold.
    pub fn skipped(&self, worker: usize) {
        self.add(worker, |cells| &cells.skipped);
    }

    fn add(&self, worker: usize, cell: impl FnOnce(&CallCells) -> &Counter) {
        if let Some(cells) = self.0.of(worker) {
            cell(cells).add(1);
        }
    }

    pub(super) fn outcomes(&self) -> [(&'static str, u64); 3] {
        let sum = |cell: fn(&CallCells) -> &Counter| self.0.used().map(|cells| cell(cells).get()).sum();
        [
            ("answered", sum(|cells| &cells.answered)),
            ("failed", sum(|cells| &cells.failed)),
            ("skipped", sum(|cells| &cells.skipped)),
        ]
    }
}
