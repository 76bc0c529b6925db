//! What is counted, and its text form for Prometheus.
//!
//! Each worker counts in cells of its own, found through the route or cluster it already holds: no lock, no look-up and
//! no line of memory shared with another worker on a request's way. A scrape sums them up. Labels are only ever names
//! from the configuration and error codes, never anything that a client sent. What is removed from the configuration
//! is no longer told.

mod call;
mod cells;
mod operation;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::access_log::Sinks;
use crate::api::usage::ApiUse;
use crate::error::Kind;
use crate::policy::cache::{Level, Use};
pub use call::CallMetrics;
use cells::{ClusterCells, RouteCells, WorkerCells};
pub use operation::OperationMetrics;

/// As long as some program has them.
type Known<K, T> = BTreeMap<K, Weak<T>>;
type RouteAndCall = (Arc<str>, Arc<str>);
type RouteAndOperation = (Arc<str>, &'static str, Box<str>);

pub struct Metrics {
    workers: Box<[WorkerCells]>,
    routes: Mutex<Known<Arc<str>, RouteMetrics>>,
    clusters: Mutex<Known<Arc<str>, ClusterMetrics>>,
    /// Of aggregates, by route and call.
    calls: Mutex<Known<RouteAndCall, CallMetrics>>,
    apis: Mutex<Known<Arc<str>, ApiUse>>,
    /// Of GraphQL, by route, type and name.
    operations: Mutex<Known<RouteAndOperation, OperationMetrics>>,
    /// Of requests that matched no route, told with an empty route.
    unrouted: RouteMetrics,
}

/// The counters of a route; one for all programs that have a route of that id.
pub struct RouteMetrics {
    id: Arc<str>,
    /// Those that are open, from the first one on.
    tunnels: OnceLock<Arc<AtomicUsize>>,
    workers: PerWorker<RouteCells>,
}

/// The counters of a cluster; one for all programs that have a cluster of that name.
pub struct ClusterMetrics {
    name: Arc<str>,
    workers: PerWorker<ClusterCells>,
}

/// Cells by worker, made at their first use: most of many routes are seldom used. An index beyond the workers counts
/// nowhere.
struct PerWorker<T>(Box<[OnceLock<Box<T>>]>);

impl<T: Default> PerWorker<T> {
    fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| OnceLock::new()).collect())
    }

    fn of(&self, worker: usize) -> Option<&T> {
        self.0.get(worker).map(|cell| &**cell.get_or_init(Box::default))
    }

    fn used(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|cell| cell.get().map(|cells| &**cells))
    }
}

/// One exchange that is over.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// 499 when the client went away first.
    pub status: u16,
    pub duration: Duration,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub rate_limited: bool,
    /// Where the route has a cache.
    pub cache: Option<Use>,
}

impl RouteMetrics {
    pub fn record(&self, worker: usize, outcome: Outcome) {
        let Some(cells) = self.workers.of(worker) else { return };
        cells.statuses.add(outcome.status);
        cells.latency.add(outcome.duration);
        cells.bytes_in.add(outcome.bytes_in);
        cells.bytes_out.add(outcome.bytes_out);
        cells.rate_limited.add(outcome.rate_limited.into());
        if let Some(how) = outcome.cache {
            cells.cache[how as usize].add(1);
        }
    }

    /// None when `most` are open, under this program or one before.
    pub fn enter_tunnel(&self, most: usize) -> Option<TunnelPlace> {
        let open = self.tunnels.get_or_init(Arc::default);
        let place = TunnelPlace(open.clone());
        (open.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

/// One of the tunnels that a route has open.
#[derive(Debug)]
pub struct TunnelPlace(Arc<AtomicUsize>);

impl Drop for TunnelPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClusterMetrics {
    /// A call that is over, retries included; None is no answer at all.
    pub fn record(&self, worker: usize, status: Option<u16>, duration: Duration) {
        let Some(cells) = self.workers.of(worker) else { return };
        match status {
            Some(status) => cells.statuses.add(status),
            None => cells.unanswered.add(1),
        }
        cells.latency.add(duration);
    }

    pub fn retried(&self, worker: usize) {
        self.add(worker, |cells| &cells.retries);
    }

    /// An endpoint was left out because it kept failing.
    pub fn ejected(&self, worker: usize) {
        self.add(worker, |cells| &cells.ejections);
    }

    pub fn connected(&self, worker: usize) {
        self.add(worker, |cells| &cells.connected);
    }

    /// A connection that had been `connected` is no more.
    pub fn disconnected(&self, worker: usize) {
        self.add(worker, |cells| &cells.disconnected);
    }

    fn add(&self, worker: usize, cell: impl FnOnce(&ClusterCells) -> &cells::Counter) {
        if let Some(cells) = self.workers.of(worker) {
            cell(cells).add(1);
        }
    }
}

impl Metrics {
    /// Each worker has an index below `workers`, and only its own thread counts under it.
    pub fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| WorkerCells::default()).collect(),
            routes: Mutex::default(),
            clusters: Mutex::default(),
            calls: Mutex::default(),
            apis: Mutex::default(),
            operations: Mutex::default(),
            unrouted: RouteMetrics { id: "".into(), tunnels: OnceLock::new(), workers: PerWorker::new(workers) },
        }
    }

    pub fn route(&self, id: &Arc<str>) -> Arc<RouteMetrics> {
        let new =
            || RouteMetrics { id: id.clone(), tunnels: OnceLock::new(), workers: PerWorker::new(self.workers.len()) };
        known_or(&mut self.routes.lock(), id, new)
    }

    pub fn cluster(&self, name: &Arc<str>) -> Arc<ClusterMetrics> {
        let new = || ClusterMetrics { name: name.clone(), workers: PerWorker::new(self.workers.len()) };
        known_or(&mut self.clusters.lock(), name, new)
    }

    /// Of a call of an aggregate.
    pub fn call(&self, route: &Arc<str>, name: &Arc<str>) -> Arc<CallMetrics> {
        let key = (route.clone(), name.clone());
        known_or(&mut self.calls.lock(), &key, || CallMetrics::new(self.workers.len()))
    }

    pub fn api(&self, name: &Arc<str>) -> Arc<ApiUse> {
        known_or(&mut self.apis.lock(), name, ApiUse::default)
    }

    /// `name`: as the configuration knows it, empty for all others.
    pub fn operation(&self, route: &Arc<str>, kind: &'static str, name: &str) -> Arc<OperationMetrics> {
        let key = (route.clone(), kind, name.into());
        known_or(&mut self.operations.lock(), &key, || OperationMetrics::new(self.workers.len()))
    }

    pub fn unrouted(&self) -> &RouteMetrics {
        &self.unrouted
    }

    /// Forgets what no program has any more; after a program was dropped.
    pub fn prune(&self) {
        self.routes.lock().retain(|_, route| route.strong_count() > 0);
        self.clusters.lock().retain(|_, cluster| cluster.strong_count() > 0);
        self.calls.lock().retain(|_, call| call.strong_count() > 0);
        self.apis.lock().retain(|_, api| api.strong_count() > 0);
        self.operations.lock().retain(|_, operation| operation.strong_count() > 0);
    }

    pub fn error(&self, worker: usize, kind: Kind) {
        if let Some(counter) = self.workers.get(worker).and_then(|cells| cells.errors.get(kind as usize)) {
            counter.add(1);
        }
    }

    /// A client's connection was accepted.
    pub fn accepted(&self, worker: usize) {
        self.add(worker, |cells| &cells.accepted);
    }

    /// A client's connection that had been `accepted` is closed.
    pub fn closed(&self, worker: usize) {
        self.add(worker, |cells| &cells.closed);
    }

    /// A connection was closed before it could ask for anything: too many were open, or it lacks its PROXY header.
    pub fn refused(&self, worker: usize) {
        self.add(worker, |cells| &cells.refused);
    }

    /// TLS with a client stands, or did not come about.
    pub fn shook_hands(&self, worker: usize, stands: bool) {
        self.add(worker, |cells| if stands { &cells.handshakes } else { &cells.failed_handshakes });
    }

    fn add(&self, worker: usize, cell: impl FnOnce(&WorkerCells) -> &cells::Counter) {
        if let Some(cells) = self.workers.get(worker) {
            cell(cells).add(1);
        }
    }

    /// Prometheus text format 0.0.4.
    pub fn render(&self, sinks: &Sinks) -> String {
        self.prune();
        let mut text = text::Text::default();
        let total =
            |cell: fn(&WorkerCells) -> &cells::Counter| self.workers.iter().map(|cells| cell(cells).get()).sum();
        let (accepted, closed): (u64, u64) = (total(|cells| &cells.accepted), total(|cells| &cells.closed));
        text.family("stagedoor_connections", "gauge", "Open connections of clients.");
        text.line("stagedoor_connections", &[], accepted.saturating_sub(closed));
        text.family("stagedoor_connections_accepted_total", "counter", "Connections of clients that were accepted.");
        text.line("stagedoor_connections_accepted_total", &[], accepted);
        text.family(
            "stagedoor_connections_refused_total",
            "counter",
            "Connections closed before a request: too many were open, or a PROXY header was missing.",
        );
        text.line("stagedoor_connections_refused_total", &[], total(|cells| &cells.refused));
        let name = "stagedoor_tls_handshakes_total";
        text.family(name, "counter", "TLS handshakes with clients, by whether a connection came of them.");
        text.line(name, &[("result", "done")], total(|cells| &cells.handshakes));
        text.line(name, &[("result", "failed")], total(|cells| &cells.failed_handshakes));
        text.family("stagedoor_errors_total", "counter", "Errors by the code that docs/errors.md lists.");
        for (index, kind) in Kind::ALL.iter().enumerate() {
            let count = self.workers.iter().filter_map(|cells| cells.errors.get(index)).map(cells::Counter::get).sum();
            if count > 0 {
                text.line("stagedoor_errors_total", &[("code", kind.code())], count);
            }
        }
        let routes: Vec<_> = self.routes.lock().values().filter_map(Weak::upgrade).collect();
        let tunnels =
            routes.iter().filter_map(|route| Some((&*route.id, route.tunnels.get()?.load(Ordering::Relaxed))));
        text.tunnels(tunnels);
        let routes = routes.iter().map(|route| &**route).chain([&self.unrouted]);
        text.routes(
            &routes.filter_map(|route| Some((&*route.id, RouteCells::sum(route.workers.used())?))).collect::<Vec<_>>(),
        );
        let clusters: Vec<_> = self.clusters.lock().values().filter_map(Weak::upgrade).collect();
        let clusters =
            clusters.iter().filter_map(|cluster| Some((&*cluster.name, ClusterCells::sum(cluster.workers.used())?)));
        text.clusters(&clusters.collect::<Vec<_>>());
        let calls = self.calls.lock();
        let calls = calls.iter().filter_map(|((route, call), cells)| Some((&**route, &**call, cells.upgrade()?)));
        text.calls(calls.map(|(route, call, cells)| (route, call, cells.outcomes())));
        let apis: Vec<_> =
            self.apis.lock().iter().filter_map(|(name, api)| Some((name.clone(), api.upgrade()?))).collect();
        text.apis(&apis);
        let operations = self.operations.lock();
        let operations = operations
            .iter()
            .filter_map(|((route, kind, name), cells)| Some((&**route, *kind, &**name, cells.upgrade()?.count_all())));
        text.operations(operations);
        text.sinks(&sinks.levels());
        text.finish()
    }
}

/// What the cache holds, likewise.
pub fn cache(level: Level) -> String {
    let mut text = text::Text::default();
    text.cache(level);
    text.finish()
}

fn known_or<K: Ord + Clone, T>(known: &mut Known<K, T>, name: &K, new: impl FnOnce() -> T) -> Arc<T> {
    if let Some(known) = known.get(name).and_then(Weak::upgrade) {
        return known;
    }
    let new = Arc::new(new());
    known.insert(name.clone(), Arc::downgrade(&new));
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, micros: u64) -> Outcome {
        let duration = Duration::from_micros(micros);
        Outcome { status, duration, bytes_in: 10, bytes_out: 100, rate_limited: status == 429, cache: None }
    }

    #[test]
    fn a_scrape_sums_the_cells_of_all_workers() {
        let metrics = Metrics::new(2);
        let items = metrics.route(&"items".into());
        let unused = metrics.route(&"unused".into());
        items.record(0, outcome(200, 700));
        items.record(1, outcome(204, 20_000));
        items.record(1, outcome(429, 100));
        items.record(7, outcome(200, 1));
        metrics.unrouted().record(0, outcome(404, 60_000_000));
        metrics.error(1, Kind::RateLimited);
        metrics.accepted(0);
        metrics.accepted(1);
        metrics.closed(0);
        let inventory = metrics.cluster(&"inventory".into());
        inventory.record(0, Some(200), Duration::from_millis(1));
        inventory.record(0, None, Duration::from_secs(1));
        inventory.retried(1);
        inventory.connected(0);
        let text = metrics.render(&Sinks::new(2));
        for line in [
            "stagedoor_connections 1",
            "stagedoor_errors_total{code=\"rate-limited\"} 1",
            "stagedoor_requests_total{route=\"items\",status=\"2xx\"} 2",
            "stagedoor_requests_total{route=\"items\",status=\"4xx\"} 1",
            "stagedoor_requests_total{route=\"\",status=\"4xx\"} 1",
            "stagedoor_rate_limited_total{route=\"items\"} 1",
            "stagedoor_request_bytes_total{route=\"items\"} 30",
            "stagedoor_response_bytes_total{route=\"items\"} 300",
            "stagedoor_request_duration_seconds_bucket{route=\"items\",le=\"0.0005\"} 1",
            "stagedoor_request_duration_seconds_bucket{route=\"items\",le=\"0.001\"} 2",
            "stagedoor_request_duration_seconds_bucket{route=\"items\",le=\"0.025\"} 3",
            "stagedoor_request_duration_seconds_bucket{route=\"items\",le=\"+Inf\"} 3",
            "stagedoor_request_duration_seconds_sum{route=\"items\"} 0.0208",
            "stagedoor_request_duration_seconds_count{route=\"items\"} 3",
            "stagedoor_request_duration_seconds_bucket{route=\"\",le=\"30\"} 0",
            "stagedoor_request_duration_seconds_bucket{route=\"\",le=\"+Inf\"} 1",
            "stagedoor_cluster_requests_total{cluster=\"inventory\",status=\"2xx\"} 1",
            "stagedoor_cluster_requests_total{cluster=\"inventory\",status=\"none\"} 1",
            "stagedoor_cluster_retries_total{cluster=\"inventory\"} 1",
            "stagedoor_cluster_connections{cluster=\"inventory\"} 1",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("unused"));
        drop(unused);
    }

    #[test]
    fn counts_live_as_long_as_some_program_has_the_route() {
        let metrics = Metrics::new(1);
        let old = metrics.route(&"items".into());
        old.record(0, outcome(200, 1));
        let new = metrics.route(&"items".into());
        drop(old);
        assert!(metrics.render(&Sinks::new(1)).contains("route=\"items\",status=\"2xx\"} 1"));
        drop(new);
        assert!(!metrics.render(&Sinks::new(1)).contains("items"));
    }

    #[test]
    fn names_are_escaped_in_labels() {
        let metrics = Metrics::new(1);
        let odd = metrics.route(&"a\"b\\c\nd".into());
        odd.record(0, outcome(200, 1));
        assert!(metrics.render(&Sinks::new(1)).contains(r#"{route="a\"b\\c\nd",status="2xx"}"#));
    }
}
