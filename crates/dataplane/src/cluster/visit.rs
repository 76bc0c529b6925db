//! One attempt at one endpoint, from the choice to the last byte of the answer, and what it says of the endpoint's
//! health. Dropped without a word (the client went away), it says nothing.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::time::Instant;

use super::balance::Pick;
use super::health::Verdict;
use super::Cluster;
use crate::snapshot::Balance;

pub(super) struct Visit {
    cluster: Arc<Cluster>,
    index: usize,
    worker: usize,
    probe: bool,
    counted: bool,
}

impl Visit {
    pub(super) fn begin(cluster: &Arc<Cluster>, pick: Pick, worker: usize) -> Self {
        let counted = cluster.settings.balance == Balance::LeastRequest;
        if counted {
            cluster.endpoints[pick.index].health.active.fetch_add(1, Relaxed);
        }
        Self { cluster: cluster.clone(), index: pick.index, worker, probe: pick.probe, counted }
    }

    /// The head of an answer has come. That is enough for a probe, whose answer may be a long stream.
    pub(super) fn answered(&mut self) {
        if self.probe {
            self.probe = false;
            self.cluster.endpoints[self.index].health.succeeded(true);
        }
    }

    pub(super) fn succeeded(mut self) {
        let probe = std::mem::take(&mut self.probe);
        self.cluster.endpoints[self.index].health.succeeded(probe);
    }

    pub(super) fn failed(mut self) {
        let probe = std::mem::take(&mut self.probe);
        let health = &self.cluster.endpoints[self.index].health;
        if health.failed(&self.cluster.settings.ejection, probe, Instant::now()) == Verdict::Ejected {
            self.cluster.metrics.ejected(self.worker);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let health = &self.cluster.endpoints[self.index].health;
        if self.counted {
            health.active.fetch_sub(1, Relaxed);
        }
        if self.probe {
            health.abandon_probe();
        }
    }
}
