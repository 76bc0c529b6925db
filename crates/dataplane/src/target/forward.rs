//! A target that forwards the request to a cluster. The original `Host` is kept, as most gateways do: services build
//! links and choose tenants by it.

use std::rc::Rc;
use std::sync::Arc;

use http::header::VIA;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};

use super::Context;
use crate::cluster::credentials::Caller;
use crate::cluster::{retry, Cluster, InterimSink, Patience, SendOptions, SendReport};
use crate::error::{Error, Kind};
use crate::evaluation::leaves_its_place;
use crate::exchange::{Asked, Exchange};
use crate::program::Report;
use crate::protocol::body::Body;
use crate::protocol::grpc;
use crate::route::template::PathTemplate;
use crate::snapshot;
use crate::worker::Worker;

pub struct ForwardTarget {
    pub cluster: Arc<Cluster>,
    /// None: the path as it was routed.
    pub path: Option<PathTemplate>,
}

impl ForwardTarget {
    pub fn compile(settings: &snapshot::ForwardTarget, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        let path = match &settings.path {
            None => None,
            Some(text) => match PathTemplate::compile(text, context.path.names(), &[]) {
                Ok(template) => Some(template),
                Err(message) => {
                    context.error(report, format_args!("path: {message}"));
                    return None;
                }
            },
        };
        match context.clusters.get(settings.cluster.as_str()) {
            Some(cluster) => Some(Self { cluster: cluster.clone(), path }),
            None => {
                // A cluster that exists but does not compile has been reported already.
                if !context.snapshot.clusters.contains_key(&settings.cluster) {
                    context.error(report, format_args!("there is no cluster '{}'", settings.cluster));
                }
                None
            }
        }
    }

    /// What is asked of the endpoint: what was routed, or the template with the values of the routed path.
    fn target(&self, exchange: &Exchange) -> Result<PathAndQuery, Error> {
        let (rewritten, raised) = (exchange.rewritten.as_deref(), exchange.raised.as_deref());
        if self.path.is_none() && rewritten.is_none() && raised.is_none() {
            return Ok(exchange.target.clone());
        }
        let made = rewritten.and_then(|rewritten| rewritten.path.as_ref());
        let made = made.or(raised.and_then(|raised| raised.path.as_ref()));
        let mut target = match (made, &self.path) {
            (Some(path), _) => path.clone(),
            (None, Some(template)) => template.render(&exchange.params, exchange.path(), &[]),
            (None, None) => exchange.asked_path().to_owned(),
        };
        // Values are single segments of a normalised path, but two of them side by side may make a new one.
        if leaves_its_place(&target) {
            return Err(Error::new(Kind::BadRequest, "the path's values make a path that leaves its place"));
        }
        let query = rewritten.and_then(|rewritten| rewritten.query.as_deref()).or(exchange.asked_query());
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(query);
        }
        PathAndQuery::try_from(target)
            .map_err(|error| Error::new(Kind::BadRequest, "the path is not valid").cause(error))
    }
}

/// Sends the request to the target's cluster, or to that of a version, whose head `forwarded::receive` has cleaned, and notes in the exchange who answered.
pub async fn forward(
    worker: &Rc<Worker>,
    exchange: &mut Exchange,
    target: &ForwardTarget,
    cluster: &Arc<Cluster>,
    mut request: Request<Body>,
    interim: Option<InterimSink>,
) -> Result<Response<Body>, Error> {
    // A stream is bounded by the cluster until its head, and from there on by what its route says.
    let stream = Patience { until: exchange.deadline, idle: exchange.stream_idle() };
    exchange.deadline = exchange.deadline.min(exchange.received + cluster.request_timeout());
    *request.uri_mut() = Uri::from(target.target(exchange)?);
    // What a method of HTTP promises, a call that it became holds too.
    let method = if exchange.asked == Asked::Unary { &exchange.method } else { request.method() };
    let idempotent = retry::is_idempotent(method);
    // RFC 9110 §7.6.3: the protocol in which the message was received.
    let via = match request.version() {
        Version::HTTP_10 => "1.0 stagedoor",
        Version::HTTP_2 => "2.0 stagedoor",
        _ => "1.1 stagedoor",
    };
    let headers = request.headers_mut();
    cluster.name_host(headers);
    headers.append(VIA, HeaderValue::from_static(via));
    if let Some(consumer) = exchange.told_consumer() {
        consumer.identity.set(headers);
    }
    match exchange.asked {
        Asked::Http => {}
        Asked::Unary => grpc::pass_timeout(headers, exchange.deadline),
        Asked::Call => grpc::pass_timeout(headers, stream.until),
    }
    if let Some(grant) = &exchange.grant {
        grant.ask(headers);
    }
    // What all callers are to share is asked for in nobody's name.
    let caller = Caller::of(exchange.told_consumer().map(|consumer| &**consumer));
    let mut report = SendReport::default();
    let options = SendOptions {
        deadline: exchange.deadline,
        stream: Some(stream),
        is_call: exchange.asked == Asked::Call,
        idempotent,
        interim,
        grant: exchange.grant.clone(),
        source: exchange.source(),
        report: &mut report,
    };
    let outcome = cluster.send_for(worker, request, options, caller).await;
    exchange.endpoint = report.endpoint;
    exchange.retries = report.retries;
    if report.streams {
        exchange.deadline = stream.until;
    }
    outcome
}
