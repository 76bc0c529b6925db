//! What the user asks for on a route, one file each, all of the same anatomy: a type built once from its snapshot
//! (`new`), and `on_request` or `on_response` that only looks things up. A closed set in a fixed order, no registry.

pub mod access_log;
pub mod authenticate;
pub mod cors;
pub mod headers;
pub mod limits;
pub mod rate_limit;
pub mod request_id;

use std::sync::Arc;

use http::{request, response, HeaderName, Response};

use crate::error::Error;
use crate::exchange::Exchange;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::shared::Shared;
use crate::snapshot::{self, Snapshot};

/// What happens to a request after a policy has seen it. A failure is an `Error`, not a `Flow`.
// Returned once for each policy and looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub enum Flow {
    Continue,
    /// The policy itself is the answer (a CORS preflight, later a cache hit).
    Respond(Response<Body>),
}

pub type RequestHead = request::Parts;
pub type ResponseHead = response::Parts;

/// The names of all policies in the order in which they see a request. They see the response in the reverse order.
pub const ORDER: [&str; 7] = ["request_id", "access_log", "limits", "cors", "authenticate", "rate_limit", "headers"];

/// The policies of a route. What is None is off.
#[derive(Default)]
pub struct Policies {
    pub request_id: Option<request_id::RequestId>,
    pub access_log: Option<access_log::AccessLog>,
    pub limits: Option<limits::Limits>,
    pub cors: Option<cors::Cors>,
    pub authenticate: Option<authenticate::Authenticate>,
    pub rate_limit: Option<rate_limit::RateLimit>,
    pub headers: Option<headers::Headers>,
}

/// What policies may refer to while they are compiled.
pub struct Context<'a> {
    pub shared: &'a Shared,
    /// All consumers by their credentials.
    pub credentials: Arc<authenticate::Credentials>,
    /// Every header that carries a credential on some route.
    pub secret_headers: Vec<HeaderName>,
}

impl<'a> Context<'a> {
    pub fn new(snapshot: &Snapshot, shared: &'a Shared, report: &mut Report) -> Self {
        Self {
            shared,
            credentials: Arc::new(authenticate::Credentials::new(&snapshot.consumers, report)),
            secret_headers: access_log::secret_headers(snapshot),
        }
    }
}

impl Policies {
    /// Every mistake goes to `report`, beginning with `place`; None then.
    pub fn compile(
        place: &str,
        settings: &snapshot::Policies,
        context: &Context<'_>,
        report: &mut Report,
    ) -> Option<Self> {
        let before = report.errors.len();
        let mut said = |policy: &str, errors: Vec<String>| {
            for error in errors {
                report.error(format!("{place}: {policy}: {error}"));
            }
        };
        /// A policy that is on and right; its errors are told otherwise.
        macro_rules! on {
            ($name:literal, $settings:expr, $new:expr) => {
                match $settings.map($new) {
                    None => None,
                    Some(Ok(policy)) => Some(policy),
                    Some(Err(errors)) => {
                        said($name, errors);
                        None
                    }
                }
            };
        }
        let policies = Self {
            request_id: on!("request_id", settings.request_id.as_ref(), request_id::RequestId::new),
            access_log: on!("access_log", settings.access_log.as_ref(), |settings| {
                access_log::AccessLog::new(settings, context)
            }),
            limits: on!("limits", settings.limits.as_ref(), limits::Limits::new),
            cors: on!("cors", settings.cors.as_ref(), cors::Cors::new),
            authenticate: on!("authenticate", settings.authenticate.as_ref(), |settings| {
                authenticate::Authenticate::new(settings, context)
            }),
            rate_limit: on!("rate_limit", Some(&settings.rate_limit).filter(|rules| !rules.is_empty()), |rules| {
                rate_limit::RateLimit::new(rules, settings.authenticate.is_some(), context)
            }),
            headers: on!("headers", settings.headers.as_ref(), headers::Headers::new),
        };
        (report.errors.len() == before).then_some(policies)
    }

    /// In the order of `ORDER`, until one answers or fails.
    pub fn on_request(&self, exchange: &mut Exchange, head: &mut RequestHead, shared: &Shared) -> Result<Flow, Error> {
        request_id::on_request(self.request_id.as_ref(), exchange, head);
        if let Some(policy) = &self.access_log {
            policy.on_request(exchange, head);
        }
        if let Some(policy) = &self.limits {
            policy.on_request(exchange, head)?;
        }
        if let Some(policy) = &self.cors {
            if let Flow::Respond(response) = policy.on_request(exchange, head) {
                return Ok(Flow::Respond(response));
            }
        }
        if let Some(policy) = &self.authenticate {
            policy.on_request(exchange, head)?;
        }
        if let Some(policy) = &self.rate_limit {
            policy.on_request(exchange, head, &shared.limiter)?;
        }
        if let Some(policy) = &self.headers {
            policy.on_request(head);
        }
        Ok(Flow::Continue)
    }

    /// In the reverse order; also on the responses to errors.
    pub fn on_response(&self, exchange: &mut Exchange, head: &mut ResponseHead) {
        if let Some(policy) = &self.headers {
            policy.on_response(head);
        }
        if let Some(policy) = &self.rate_limit {
            policy.on_response(exchange, head);
        }
        if let Some(policy) = &self.cors {
            policy.on_response(exchange, head);
        }
        if let Some(policy) = &self.request_id {
            policy.on_response(exchange, head);
        }
    }
}
