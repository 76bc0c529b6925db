//! The phases of a request in order, each a call into the module that knows it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ALLOW, EXPECT, HOST, MAX_FORWARDS};
use http::uri::PathAndQuery;
use http::{request, HeaderValue, Method, Request, Response, StatusCode, Version};

use crate::cluster::InterimSink;
use crate::error::{self, Error, Kind};
use crate::exchange::{Asked, Exchange};
use crate::forwarded;
use crate::policy::translate::Step;
use crate::policy::{cache, Flow};
use crate::program::Program;
use crate::protocol::body::Body;
use crate::protocol::grpc::{self, Call};
use crate::protocol::grpc_web;
use crate::protocol::link::Link;
use crate::protocol::upgrade::Wish;
use crate::route::{path, Found, Route};
use crate::target::{events, forward, reflect, Target};
use crate::telemetry::recording::{Recorded, Recording};
use crate::telemetry::trace::Trace;
use crate::worker::Worker;

/// The bound of an exchange that neither a route nor a cluster bounds: workflow routes and fixed responses. No shorter
/// than the longest time that the configuration lets a user ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long a client of gRPC that is slow may take to be told that time has run out, before its exchange is cut off.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Answers one request, whatever happens to it. `refusal`: the head was not clean, and `request` only stands in for it.
pub async fn handle(
    worker: Rc<Worker>,
    link: Rc<Link>,
    request: Request<Body>,
    refusal: Option<Error>,
) -> Response<Recorded> {
    let program = worker.program();
    let (mut head, body) = request.into_parts();
    let wish = if refusal.is_none() { Wish::take(&mut head, &body) } else { None };
    let mut exchange = Box::new(open(&link, &mut head, refusal.is_some()));
    exchange.wish = wish;
    let mut recording = Recording::new(exchange, program.clone(), worker.clone(), link.clone());
    let exchange = &mut recording.exchange;
    let outcome = match refusal {
        // No policy sees such a head.
        Some(error) => Err(error),
        None => phases(&worker, &link, &program, exchange, &mut head, body).await,
    };
    let response = outcome.unwrap_or_else(|error| {
        exchange.error = Some(error.kind);
        exchange.cause = error.cause.clone();
        let id = Some(exchange.request_id());
        match (&exchange.call, &exchange.graphql) {
            (Some(call), _) => call.respond(&error),
            (None, Some(seen)) => seen.respond(&error, id),
            (None, None) => error::respond(&error, id),
        }
    });
    let (mut head, body) = response.into_parts();
    let policies = exchange.route.as_ref().map_or(&program.unrouted, |route| &route.policies);
    let body = policies.on_response(exchange, &mut head, body);
    recording.into_response(Response::from_parts(head, body))
}

/// The answer to a request whose handling panicked; its exchange has been recorded by then.
pub fn panicked(link: Rc<Link>) -> Response<Recorded> {
    link.end();
    let error = Error::new(Kind::Internal, "The request could not be handled");
    let mut response = error::respond(&error, None);
    response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    response.map(Recorded::unrecorded)
}

fn open(link: &Link, head: &mut request::Parts, refused: bool) -> Exchange {
    let received = Instant::now();
    let connection = &link.connection;
    let host = head.headers.get(HOST).filter(|_| !refused).cloned().unwrap_or_else(|| HeaderValue::from_static(""));
    let target = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut exchange = Exchange::new(received, connection.peer, head.method.clone(), host, target);
    exchange.deadline = received + LONGEST;
    exchange.scheme = connection.scheme;
    exchange.certificate = connection.tls().and_then(|tls| tls.client.clone());
    exchange.trace = Trace::take(head);
    exchange.call = Call::of(&head.headers);
    if exchange.call.is_some() {
        exchange.asked = Asked::Call;
    }
    exchange
}

async fn phases(
    worker: &Rc<Worker>,
    link: &Rc<Link>,
    program: &Arc<Program>,
    exchange: &mut Exchange,
    head: &mut request::Parts,
    mut body: Body,
) -> Result<Response<Body>, Error> {
    let route = match locate(link, program, exchange, head) {
        Ok(Located::Route(route)) => route,
        // The id and the log line are owed also where no route answers.
        Ok(Located::Answer(response)) => {
            program.unrouted.on_request(exchange, head, &mut body, worker).await?;
            return Ok(response);
        }
        Err(error) => {
            program.unrouted.on_request(exchange, head, &mut body, worker).await?;
            return Err(error);
        }
    };
    exchange.route = Some(route.clone());
    if let Some(policy) = &route.policies.translate {
        policy.recognise(exchange, head);
    }
    if let Some(limits) = &route.policies.limits {
        link.allowed.set(limits.body_bytes);
    }
    if let Flow::Respond(response) = route.policies.on_request(exchange, head, &mut body, worker).await? {
        return Ok(response);
    }
    if let Some(policy) = &route.policies.translate {
        policy.admit(exchange, head)?;
    }
    let opened = exchange.grant.is_some() || exchange.opening.is_some();
    if exchange.wish.take().is_some_and(|wish| wish.extended) && !opened {
        return Err(Error::new(Kind::MethodNotImplemented, "The gateway does not open WebSockets here"));
    }
    if head.method == Method::TRACE {
        return reflect::respond(head, &body);
    }
    if let Some(policy) = &route.policies.validate {
        policy.before_target(exchange, head);
    }
    let interim = (head.version >= Version::HTTP_11).then(|| link.interim_sink());
    let request = Request::from_parts(std::mem::replace(head, Request::new(()).into_parts().0), body);
    if let Some(call) = exchange.call.clone().filter(|call| !call.is_plain()) {
        return Box::pin(call_target(worker, link, exchange, &route, call, request, interim)).await;
    }
    if let Some(policy) = &route.policies.cache {
        let origin = cache::Origin { worker, link: Some(link), route: &route, interim, call: None };
        return Box::pin(policy.answer(&origin, exchange, request)).await;
    }
    ask(worker, Some(link), exchange, &route, request, interim).await
}

/// The target, and what stands directly around it. `link`: of the client, where one waits.
pub(crate) async fn ask(
    worker: &Rc<Worker>,
    link: Option<&Rc<Link>>,
    exchange: &mut Exchange,
    route: &Route,
    mut request: Request<Body>,
    interim: Option<InterimSink>,
) -> Result<Response<Body>, Error> {
    if let Some(policy) = &route.policies.version {
        request = policy.up(worker, exchange, request).await?;
    }
    if route.policies.transforms() {
        request = Box::pin(route.policies.transform(worker, exchange, request)).await?;
    }
    let rewritten = route.policies.translate.as_ref().and(exchange.rewritten.clone());
    let back = match &route.policies.translate {
        None => None,
        Some(policy) => match Box::pin(policy.on_request(worker, link, exchange, request)).await? {
            Step::Ask(translated, back) => {
                request = translated;
                Some(back)
            }
            Step::Pass(same) => {
                request = same;
                None
            }
            Step::Respond(response) => return Ok(response),
        },
    };
    let answer = match &route.target {
        // In a box: futures are moved while they are young, and this is the largest part of its caller's.
        Target::Cluster(target) => {
            let own = route.policies.version.as_ref().and_then(|policy| policy.cluster(exchange));
            let cluster = own.unwrap_or(&target.cluster);
            let answer = Box::pin(forward::forward(worker, exchange, target, cluster, request, interim)).await;
            if let Some(link) = link {
                link.deadline.set(Some(exchange.deadline));
            }
            if !matches!(&answer, Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS) {
                exchange.grant = None;
            }
            answer
        }
        Target::Aggregate(target) => Box::pin(target.run(worker, exchange, request)).await,
        Target::Workflow(target) => Box::pin(target.run(worker, exchange, request)).await,
        Target::Execution(target) => Box::pin(target.run(worker, exchange)).await,
        Target::Events => Box::pin(events::run(worker, exchange, request)).await,
        Target::Response(target) => Ok(target.respond()),
    };
    let answer = match back {
        Some(back) => {
            // A cache may ask more than once.
            exchange.rewritten = rewritten;
            Box::pin(back.on_answer(worker, exchange, answer?)).await
        }
        None => answer,
    };
    let answer = match &route.policies.transform_response {
        Some(policy) => Box::pin(policy.on_answer(worker, exchange, answer?)).await,
        None => answer,
    };
    let answer = match &route.policies.version {
        Some(policy) if policy.lowers(exchange) => Box::pin(policy.down(worker, exchange, answer?)).await,
        _ => answer,
    };
    match &route.policies.validate {
        Some(policy) if policy.looks_at_answers(exchange) => Box::pin(policy.on_answer(exchange, answer?)).await,
        _ => answer,
    }
}

/// What gRPC asks for besides: its deadline, and an answer of gRPC whatever the target says.
async fn call_target(
    worker: &Rc<Worker>,
    link: &Rc<Link>,
    exchange: &mut Exchange,
    route: &Route,
    call: Rc<Call>,
    request: Request<Body>,
    interim: Option<InterimSink>,
) -> Result<Response<Body>, Error> {
    let (mut head, mut body) = request.into_parts();
    if let Some(limit) = grpc::timeout(&head.headers)? {
        exchange.deadline = exchange.deadline.min(exchange.received + limit);
    }
    link.pauses.set(matches!(route.target, Target::Cluster(_)));
    grpc::welcome_trailers(&mut head.headers);
    if let Some(translation) = exchange.translation {
        body = translation.body(body);
    }
    let answer = ask(worker, Some(link), exchange, route, Request::from_parts(head, body), interim).await?;
    if let Some(deadline) = link.deadline.get() {
        link.deadline.set(Some(deadline + LAST_WORD));
    }
    // A service that speaks gRPC-Web itself answers in it.
    if call.web().is_some() && exchange.translation.is_none() {
        return Ok(answer);
    }
    let (answer, foreign) = call.settle(answer);
    if foreign && matches!(route.target, Target::Cluster(_)) {
        exchange.error = Some(Kind::BadReply);
    }
    match call.web().filter(|_| !foreign) {
        Some(encoding) => Ok(grpc_web::translate_answer(answer, call, encoding)),
        None => Ok(answer),
    }
}

// Looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
enum Located {
    Route(Arc<crate::route::Route>),
    Answer(Response<Body>),
}

/// Everything before the policies: what may be asked at all, from whom it comes, and which route answers.
fn locate(
    link: &Link,
    program: &Program,
    exchange: &mut Exchange,
    head: &mut request::Parts,
) -> Result<Located, Error> {
    let not_served = || Error::new(Kind::MethodNotImplemented, "The gateway does not serve this method");
    if head.method == Method::CONNECT {
        return Err(not_served());
    }
    if head.headers.get(EXPECT).is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Error::new(Kind::ExpectationFailed, "The only expectation that is supported is 100-continue"));
    }
    authority(exchange, head)?;
    let connection = &link.connection;
    let client = forwarded::receive(head, &connection.sender, connection.scheme, &connection.listener.trusted);
    (exchange.client, exchange.scheme) = (client.address, client.scheme);
    if head.method == Method::OPTIONS && (exchange.target.path() == "*" || !may_go_on(head)?) {
        return Ok(Located::Answer(empty(StatusCode::NO_CONTENT)));
    }
    if let std::borrow::Cow::Owned(normal) = path::normalise(exchange.target.path())? {
        let target = match exchange.target.query() {
            Some(query) => format!("{normal}?{query}"),
            None => normal,
        };
        exchange.target = PathAndQuery::try_from(target)
            .map_err(|error| Error::new(Kind::BadRequest, "The path is not valid").cause(error))?;
    }
    let host = exchange.host.to_str().unwrap_or_default();
    match program.routes.find(host, exchange.target.path(), head) {
        Found::Route { route, params } => {
            exchange.params = params;
            Ok(Located::Route(route.clone()))
        }
        // What no route names is refused as what nobody serves: it says nothing of what there is.
        Found::MethodNotAllowed { .. } | Found::NotFound if head.method == Method::TRACE => Err(not_served()),
        Found::MethodNotAllowed { allow } if head.method == Method::OPTIONS => {
            let mut response = empty(StatusCode::NO_CONTENT);
            response.headers_mut().insert(ALLOW, allow);
            Ok(Located::Answer(response))
        }
        Found::MethodNotAllowed { allow } => {
            let detail = format!("{} is not allowed here", head.method);
            Err(Error::new(Kind::MethodNotAllowed, detail).header(ALLOW, allow))
        }
        Found::NotFound => Err(Error::new(Kind::RouteNotFound, "No route matches the request")),
    }
}

/// Counts down `Max-Forwards`; false where nobody behind us is to see the request (RFC 9110 §7.6.2).
fn may_go_on(head: &mut request::Parts) -> Result<bool, Error> {
    let mut values = head.headers.get_all(MAX_FORWARDS).iter();
    let Some(value) = values.next() else { return Ok(true) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let left = digits.filter(|_| values.next().is_none()).and_then(|digits| digits.parse::<u64>().ok());
    let left = left.ok_or_else(|| Error::new(Kind::BadRequest, "Max-Forwards is not one number"))?;
    if left > 0 {
        head.headers.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
    }
    Ok(left > 0)
}

/// A target in absolute form names the host, whatever the Host header says (RFC 9112 §3.2.2).
fn authority(exchange: &mut Exchange, head: &mut request::Parts) -> Result<(), Error> {
    let wrong = || Error::new(Kind::BadRequest, "The target is not a path, nor an http URI with a host");
    let Some(authority) = head.uri.authority() else {
        return match exchange.target.path() {
            path if path.starts_with('/') || path == "*" => Ok(()),
            _ => Err(wrong()),
        };
    };
    let served = matches!(head.uri.scheme_str(), Some("http" | "https"));
    if !served || authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(wrong());
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
    head.headers.insert(HOST, host.clone());
    exchange.host = host;
    Ok(())
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
