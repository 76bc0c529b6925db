//! A line for every exchange: what a request shows of itself is kept here until the exchange is over.

use std::sync::Arc;

use http::{header, HeaderName, HeaderValue};
use serde_json::{json, Value};

use super::{Context, RequestHead};
use crate::exchange::{CallReport, Exchange};
use crate::snapshot::{self, Snapshot};
use crate::target::Target;
use crate::telemetry::access_log::{Line, Sink};
use crate::telemetry::metrics::Outcome;

pub struct AccessLog {
    pub sink: Arc<Sink>,
    /// Request headers to record, and whether they are credentials, which are recorded as `[redacted]`.
    pub headers: Vec<(HeaderName, bool)>,
}

/// What a log line needs of a request's head, which is gone by the time it is written. Sharing the request's bytes.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    pub user_agent: Option<HeaderValue>,
    /// Of the headers of the policy, in its order; absent ones are None. Credentials are not kept at all.
    pub headers: Vec<Option<HeaderValue>>,
}

impl AccessLog {
    pub fn new(settings: &snapshot::AccessLog, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut headers = Vec::new();
        for name in &settings.headers {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => {
                    let secret = context.secret_headers.contains(&name);
                    headers.push((name, secret));
                }
                Err(_) => errors.push(format!("'{name}' is not a header name")),
            }
        }
        if settings.path.is_empty() {
            errors.push("the path is empty; it is 'stdout', 'stderr' or a file".to_owned());
        }
        match errors.is_empty() {
            true => Ok(Self { sink: context.shared.sinks.sink(&settings.path), headers }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        json!({"path": self.sink.path(), "headers": headers})
    }

    pub fn on_request(&self, exchange: &mut Exchange, head: &RequestHead) {
        exchange.captured.user_agent = head.headers.get(header::USER_AGENT).cloned();
        if !self.headers.is_empty() {
            let captured = self.headers.iter().map(|(name, secret)| match (head.headers.get(name), secret) {
                (Some(_), true) => Some(HeaderValue::from_static("[redacted]")),
                (value, _) => value.cloned(),
            });
            exchange.captured.headers = captured.collect();
        }
    }

    /// The line. The query is left out: it may carry secrets that nobody has named.
    pub fn log(&self, worker: usize, exchange: &Exchange, outcome: &Outcome) {
        let cluster = exchange.route.as_ref().and_then(|route| match &route.target {
            Target::Cluster(forward) => {
                let own = route.policies.version.as_ref().and_then(|policy| policy.cluster(exchange));
                Some(own.unwrap_or(&forward.cluster).name.as_bytes())
            }
            _ => None,
        });
        self.sink.push(worker, |line| {
            line.text("request_id", exchange.request_id().as_bytes());
            line.text("trace_id", exchange.trace.id().as_bytes());
            line.displayed("client", exchange.client);
            line.text("method", exchange.method.as_str().as_bytes());
            line.text("host", exchange.host.as_bytes());
            line.text("path", exchange.path().as_bytes());
            line.optional("route", exchange.route.as_ref().map(|route| route.id.as_bytes()));
            if let Some(chosen) = &exchange.version {
                line.text("api", chosen.api.name.as_bytes());
                line.text("version", chosen.version().name.as_bytes());
            }
            line.optional("consumer", exchange.consumer.as_ref().map(|consumer| consumer.name.as_bytes()));
            line.number("status", outcome.status.into());
            line.number("bytes_in", outcome.bytes_in);
            line.number("bytes_out", outcome.bytes_out);
            line.milliseconds("duration_ms", outcome.duration);
            line.optional("cluster", cluster);
            line.optional("endpoint", exchange.endpoint.as_ref().map(|name| name.as_bytes()));
            line.number("retries", exchange.retries.into());
            if let Some(cache) = exchange.cache {
                line.text("cache", cache.as_str().as_bytes());
            }
            line.optional("error", exchange.error.map(|kind| kind.code().as_bytes()));
            if !exchange.calls.is_empty() {
                line.nested("calls", |line| {
                    for call in &exchange.calls {
                        line.nested(&call.name, |line| tell(call, line));
                    }
                });
            }
            if let Some(status) = exchange.call.as_ref().and_then(|call| call.status()) {
                line.number("grpc_status", status.into());
            }
            if let Some(seen) = &exchange.graphql {
                line.nested("graphql", |line| {
                    line.optional("type", seen.kind.map(|kind| kind.as_str().as_bytes()));
                    line.optional("name", seen.name.as_ref().map(|name| name.as_bytes()));
                    line.number("operations", seen.operations);
                    if let Some(cost) = seen.cost {
                        line.number("cost", cost);
                    }
                });
            }
            if let Some(end) = exchange.tunnel {
                line.text("tunnel", end.as_str().as_bytes());
            }
            if let Some(cause) = &exchange.cause {
                line.text("cause", cause.as_bytes());
            }
            line.optional("user_agent", exchange.captured.user_agent.as_ref().map(HeaderValue::as_bytes));
            if !self.headers.is_empty() {
                let names = self.headers.iter().map(|(name, _)| name.as_str());
                let values = exchange.captured.headers.iter().map(|value| value.as_ref().map(HeaderValue::as_bytes));
                line.object("headers", names.zip(values));
            }
        });
    }
}

/// Of a call that was not made, nothing.
fn tell(call: &CallReport, line: &mut Line<'_>) {
    if let Some(status) = call.status {
        line.number("status", status.into());
    }
    if let Some(error) = call.error {
        line.text("error", error.code().as_bytes());
    }
    if let Some(endpoint) = &call.endpoint {
        line.text("endpoint", endpoint.as_bytes());
        line.milliseconds("duration_ms", call.duration);
    }
    if call.sent > 1 {
        line.number("sent", call.sent.into());
    }
    if call.retries > 0 {
        line.number("retries", call.retries.into());
    }
    if let Some(cache) = call.cache {
        line.text("cache", cache.as_str().as_bytes());
    }
}

/// Headers that carry credentials: those of the standards, and those that an authenticator of any route reads.
pub fn secret_headers(snapshot: &Snapshot) -> Vec<HeaderName> {
    let mut names = vec![header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];
    let routes = snapshot.routes.values().map(|route| &route.policies).chain([&snapshot.unrouted]);
    for policies in routes {
        for scheme in policies.authenticate.iter().flat_map(snapshot::Authenticate::schemes) {
            let name = scheme.header().and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
            names.extend(name.filter(|name| !names.contains(name)));
        }
    }
    names
}
