//! What the log and the metrics learn of a request, and how its errors are answered.

use std::sync::Arc;

use http::{HeaderValue, Response};
use rustc_hash::FxHashMap;

use super::answer::{self, Format};
use crate::error::Error;
use crate::graphql::document::Kind;
use crate::protocol::body::Body;
use crate::telemetry::metrics::{Metrics, OperationMetrics};

/// Characters of an operation's name in the log.
const LONGEST: usize = 100;

pub struct Seen {
    format: Format,
    /// Operations that were looked at.
    pub operations: u64,
    /// Of the first of them.
    pub kind: Option<Kind>,
    /// Likewise: the client's own word, where the document is not a known one.
    pub name: Option<Box<str>>,
    /// Of all of them.
    pub cost: Option<u64>,
}

impl Seen {
    pub(super) fn new(format: Format) -> Self {
        Self { format, operations: 0, kind: None, name: None, cost: None }
    }

    pub(super) fn note(&mut self, kind: Kind, name: Option<&str>) {
        if self.operations == 0 {
            self.kind = Some(kind);
            // Names are ASCII.
            self.name = name.map(|name| name.get(..LONGEST).unwrap_or(name).into());
        }
        self.operations += 1;
    }

    pub fn respond(&self, error: &Error, request_id: Option<&HeaderValue>) -> Response<Body> {
        answer::respond(self.format, error, request_id)
    }
}

/// Operations that were let through, by kind, and by name where the configuration knows it.
#[derive(Default)]
pub struct Counters {
    kinds: Vec<Arc<OperationMetrics>>,
    named: FxHashMap<Box<str>, [Arc<OperationMetrics>; 3]>,
}

impl Counters {
    pub fn new<'a>(route: &Arc<str>, names: impl Iterator<Item = &'a str>, metrics: &Metrics) -> Self {
        let counter = |kind: Kind, name: &str| metrics.operation(route, kind.as_str(), name);
        let named = |name: &str| (Box::from(name), Kind::ALL.map(|kind| counter(kind, name)));
        Self { kinds: Kind::ALL.iter().map(|kind| counter(*kind, "")).collect(), named: names.map(named).collect() }
    }

    pub fn count(&self, worker: usize, kind: Kind, name: Option<&str>) {
        let named = name.and_then(|name| self.named.get(name)).and_then(|kinds| kinds.get(kind as usize));
        if let Some(counter) = named.or(self.kinds.get(kind as usize)) {
            counter.count(worker);
        }
    }
}
