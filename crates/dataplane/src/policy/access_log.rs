//! A line for every exchange: what a request shows of itself is kept here until the exchange is over.

use std::sync::Arc;

use http::{header, HeaderName, HeaderValue};

use super::{Context, RequestHead};
use crate::exchange::Exchange;
use crate::snapshot::{self, Snapshot};
use crate::telemetry::access_log::Sink;

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
}

/// Headers that carry credentials: those of the standards, and those that an authenticator of any route reads.
pub fn secret_headers(snapshot: &Snapshot) -> Vec<HeaderName> {
    let mut names = vec![header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];
    let routes = snapshot.routes.values().map(|route| &route.policies).chain([&snapshot.unrouted]);
    for policies in routes {
        for authenticator in policies.authenticate.iter().flat_map(|policy| &policy.any) {
            let snapshot::Authenticator::ApiKey { header, .. } = authenticator;
            let name = header.as_ref().and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
            names.extend(name.filter(|name| !names.contains(name)));
        }
    }
    names
}
