//! What must survive a new Program, keyed by identity: health of endpoints, counters of limits, log sinks, metrics.

use crate::callout::CalloutPort;
use crate::cluster::health::Health;
use crate::policy::rate_limit::Limiter;
use crate::telemetry::access_log::Sinks;
use crate::telemetry::metrics::Metrics;

pub struct Shared {
    pub health: Health,
    pub limiter: Limiter,
    pub sinks: Sinks,
    pub metrics: Metrics,
    pub callouts: CalloutPort,
    /// Worker threads.
    pub workers: usize,
}

impl Shared {
    /// `workers` is the number of threads that will record metrics and log lines, each under its own index.
    pub fn new(workers: usize) -> Self {
        Self {
            health: Health::default(),
            limiter: Limiter::new(),
            sinks: Sinks::new(workers),
            metrics: Metrics::new(workers),
            callouts: CalloutPort::default(),
            workers,
        }
    }
}
