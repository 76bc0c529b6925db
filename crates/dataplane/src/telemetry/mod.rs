//! What is told about exchanges: a log line, metrics, and the trace they belong to.

pub mod access_log;
pub mod hex;
pub mod metrics;
pub mod recording;
pub mod trace;

use std::time::Instant;

use crate::exchange::Exchange;
use crate::policy::Policies;
use crate::shared::Shared;
use metrics::Outcome;

/// Counts and logs an exchange that is over: its response has ended, or one side has broken off. `policies` are those
/// of its route, else of unrouted requests; `status` is what the client got, 499 when it did not wait.
pub fn finish(worker: usize, shared: &Shared, policies: &Policies, exchange: &Exchange, status: u16) {
    let outcome = Outcome {
        status,
        duration: Instant::now().saturating_duration_since(exchange.received),
        bytes_in: exchange.bytes_in,
        bytes_out: exchange.bytes_out,
        cache: exchange.cache,
        rate_limited: exchange.rate.as_ref().is_some_and(|report| report.refused),
    };
    match &exchange.route {
        Some(route) => route.metrics.record(worker, outcome),
        None => shared.metrics.unrouted().record(worker, outcome),
    }
    if let Some(kind) = exchange.error {
        shared.metrics.error(worker, kind);
    }
    if let Some(policy) = &policies.access_log {
        policy.log(worker, exchange, &outcome);
    }
}
