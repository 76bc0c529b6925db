//! All connections of one worker, and its view of every cluster. Lives as long as the worker, across Programs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::deadline::{Deadline, Deadlines, Patience};
use super::endpoint::PoolKey;
use super::http2;
use super::pool::Pool;
use super::retry::Budget;
use super::Cluster;
use crate::snapshot::Protocol;

#[derive(Default)]
pub struct Pools {
    /// Index under which this worker counts.
    pub(super) worker: usize,
    /// By endpoint and TLS, so that a new Program finds the connections of endpoints that it keeps.
    pools: RefCell<FxHashMap<PoolKey, Rc<Pool>>>,
    http2: RefCell<FxHashMap<PoolKey, Rc<http2::Pool>>>,
    budgets: RefCell<FxHashMap<Arc<str>, Rc<Budget>>>,
    views: RefCell<FxHashMap<u64, Rc<View>>>,
    pub(super) deadlines: Rc<Deadlines>,
}

/// A compiled cluster as one worker sees it: the same order of endpoints.
pub(super) struct View {
    /// The reference that requests count on this worker, so that workers do not contend for the shared one.
    pub(super) cluster: Arc<Cluster>,
    /// For the same reason, copies of the endpoints' names.
    pub(super) names: Box<[Arc<str>]>,
    pub(super) worker: usize,
    pub(super) pools: Box<[Rc<Pool>]>,
    /// Empty where HTTP/1.1 is spoken.
    pub(super) http2: Box<[Rc<http2::Pool>]>,
    pub(super) budget: Rc<Budget>,
}

impl Pools {
    pub fn new(worker: usize) -> Rc<Self> {
        Rc::new(Self { worker, ..Self::default() })
    }

    /// Of a stream that is not an answer's content.
    pub(crate) fn deadline(&self, patience: Patience) -> Deadline {
        let mut deadline = self.deadlines.at(patience.until);
        deadline.follow(patience);
        deadline
    }

    /// One look-up by number on every request; built at the first one after a new Program.
    pub(super) fn view(&self, cluster: &Arc<Cluster>) -> Rc<View> {
        if let Some(view) = self.views.borrow().get(&cluster.version) {
            return view.clone();
        }
        let pool = |endpoint: &super::Endpoint| {
            let mut pools = self.pools.borrow_mut();
            let pool = pools
                .entry(endpoint.pool_key())
                .or_insert_with(|| Pool::new(&cluster.settings.pool, cluster.metrics.clone(), self.worker));
            pool.set_bounds(&cluster.settings.pool, cluster.version);
            pool.clone()
        };
        let percent = cluster.settings.retry.budget_percent;
        let mut budgets = self.budgets.borrow_mut();
        let budget =
            budgets.entry(cluster.name.clone()).or_insert_with(|| Rc::new(Budget::new(percent, Instant::now())));
        budget.set_percent(percent);
        let view = Rc::new(View {
            cluster: cluster.clone(),
            names: cluster.endpoints.iter().map(|endpoint| Arc::from(&*endpoint.name)).collect(),
            worker: self.worker,
            pools: cluster.endpoints.iter().map(pool).collect(),
            http2: self.http2(cluster),
            budget: budget.clone(),
        });
        self.views.borrow_mut().insert(cluster.version, view.clone());
        view
    }

    fn http2(&self, cluster: &Cluster) -> Box<[Rc<http2::Pool>]> {
        if cluster.settings.protocol == Protocol::Http1 {
            return Box::default();
        }
        let pool = |endpoint: &super::Endpoint| {
            let connector = || http2::Connector {
                address: endpoint.address.clone(),
                tls: endpoint.tls.clone(),
                optional: cluster.settings.protocol == Protocol::Auto,
                limit: cluster.connect_timeout,
            };
            let bounds = &cluster.settings.pool;
            let mut pools = self.http2.borrow_mut();
            let pool = pools
                .entry(endpoint.pool_key())
                .or_insert_with(|| http2::Pool::new(connector(), bounds, cluster.metrics.clone(), self.worker));
            pool.configure(connector(), bounds, cluster.version);
            pool.clone()
        };
        cluster.endpoints.iter().map(pool).collect()
    }

    /// To be called by the worker when it takes over a new Program: idle connections to endpoints that have left are
    /// closed; exchanges under way end as they would have.
    pub fn retain<'a>(&self, clusters: impl Iterator<Item = &'a Arc<Cluster>> + Clone) {
        let endpoints = || clusters.clone().flat_map(|cluster| cluster.endpoints.iter());
        self.views.borrow_mut().retain(|version, _| clusters.clone().any(|cluster| cluster.version == *version));
        self.budgets.borrow_mut().retain(|name, _| clusters.clone().any(|cluster| cluster.name == *name));
        let kept: rustc_hash::FxHashSet<PoolKey> = endpoints().map(super::Endpoint::pool_key).collect();
        let mut retired = Vec::new();
        self.pools.borrow_mut().retain(|id, pool| {
            let keep = kept.contains(id);
            if !keep {
                retired.push(pool.clone());
            }
            keep
        });
        for pool in retired {
            pool.retire();
        }
        let spoken = || clusters.clone().filter(|cluster| cluster.settings.protocol != Protocol::Http1);
        let kept: rustc_hash::FxHashSet<PoolKey> =
            spoken().flat_map(|cluster| cluster.endpoints.iter()).map(super::Endpoint::pool_key).collect();
        let mut retired = Vec::new();
        self.http2.borrow_mut().retain(|id, pool| {
            let keep = kept.contains(id);
            if !keep {
                retired.push(pool.clone());
            }
            keep
        });
        for pool in retired {
            pool.retire();
        }
    }

    /// Closes every idle connection and keeps none from now on: the worker is draining.
    pub fn close_idle(&self) {
        let pools: Vec<Rc<Pool>> = self.pools.borrow().values().cloned().collect();
        for pool in pools {
            pool.retire();
        }
        let pools: Vec<Rc<http2::Pool>> = self.http2.borrow().values().cloned().collect();
        for pool in pools {
            pool.retire();
        }
    }
}
