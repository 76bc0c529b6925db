//! One attempt at one endpoint, from the choice to the last byte of the answer, and what it says of the endpoint's
//! health. Dropped without a word (the client went away), it says nothing.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::balance::Pick;
use super::health::Verdict;
use super::pools::View;
use crate::snapshot::Balance;

pub(super) struct Visit {
    view: Rc<View>,
    index: usize,
    probe: bool,
    counted: bool,
}

impl Visit {
    pub(super) fn begin(view: &Rc<View>, pick: Pick) -> Self {
        let counted = view.cluster.settings.balance == Balance::LeastRequest;
        if counted {
            view.cluster.endpoints[pick.index].health.active.fetch_add(1, Relaxed);
        }
        Self { view: view.clone(), index: pick.index, probe: pick.probe, counted }
    }

    /// The head of an answer has come. That is enough for a probe, whose answer may be a long stream.
    pub(super) fn answered(&mut self) {
        if self.probe {
            self.probe = false;
            self.view.cluster.endpoints[self.index].health.succeeded(true);
        }
    }

    pub(super) fn succeeded(mut self) {
        self.succeed();
    }

    /// The same, and the visit goes on.
    pub(super) fn succeed(&mut self) {
        let probe = std::mem::take(&mut self.probe);
        self.view.cluster.endpoints[self.index].health.succeeded(probe);
    }

    pub(super) fn failed(mut self) {
        let probe = std::mem::take(&mut self.probe);
        let cluster = &self.view.cluster;
        let (health, policy) = (&cluster.endpoints[self.index].health, &cluster.settings.ejection);
        let spare = || {
            let open = cluster.endpoints.iter().filter(|endpoint| !endpoint.health.is_ejected());
            open.count() > policy.keep
        };
        if health.failed(policy, probe, Instant::now(), spare) == Verdict::Ejected {
            self.view.cluster.metrics.ejected(self.view.worker);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let health = &self.view.cluster.endpoints[self.index].health;
        if self.counted {
            health.active.fetch_sub(1, Relaxed);
        }
        if self.probe {
            health.abandon_probe();
        }
    }
}
