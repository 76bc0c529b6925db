//! Operations of GraphQL that are let through.

use super::cells::Counter;
use super::PerWorker;

/// The counter of one kind and name on one route.
pub struct OperationMetrics(PerWorker<OperationCells>);

#[derive(Debug, Default)]
#[repr(align(64))]
struct OperationCells(Counter);

impl OperationMetrics {
    pub(super) fn new(workers: usize) -> Self {
        Self(PerWorker::new(workers))
    }

    pub fn count(&self, worker: usize) {
        if let Some(cells) = self.0.of(worker) {
            cells.0.add(1);
        }
    }

    pub(super) fn count_all(&self) -> u64 {
        self.0.used().map(|cells| cells.0.get()).sum()
    }
}
