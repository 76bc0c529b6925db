//! One request on its way: what is known of it so far, carried from phase to phase and into the log.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use stagedoor_expression::Value;

use crate::api::Chosen;
use crate::error::Kind;
use crate::policy::access_log::Captured;
use crate::policy::authenticate::Consumer;
use crate::policy::authorize::Verdict;
use crate::policy::cache;
use crate::policy::compress::Accepted;
use crate::policy::graphql;
use crate::policy::rate_limit::RateReport;
use crate::policy::request_id;
use crate::policy::translate::events::Opening;
use crate::policy::validate::Operation;
use crate::protocol::grpc::Call;
use crate::protocol::grpc_web::Translation;
use crate::protocol::tunnel;
use crate::protocol::upgrade::{Grant, Wish};
use crate::route::{Params, Route};
use crate::telemetry::trace::Trace;
use crate::transport::tls::ClientCertificate;
use crate::transport::unix::NOWHERE;

/// What a transformation has made of a request's target.
#[derive(Debug, Clone, Default)]
pub struct Rewritten {
    pub path: Option<String>,
    /// Empty: none.
    pub query: Option<String>,
}

/// The request as the version has it that the target is asked for, as far as that is another than the client's.
#[derive(Debug, Default)]
pub struct Raised {
    pub method: Option<Method>,
    /// Of a step, without its query.
    pub path: Option<String>,
    pub query: Option<String>,
    /// The path as it was routed, with the marker that the target is to see.
    pub marked_path: Option<String>,
    /// What each step was given, as expressions see it.
    pub seen: Vec<Value>,
}

impl Raised {
    /// What a step makes of path and query; the latter was `query` before.
    pub fn take(&mut self, rewritten: Rewritten, query: &str) {
        let changed = rewritten.query.is_some();
        let mut query = rewritten.query.unwrap_or_else(|| query.to_owned());
        match rewritten.path.as_deref().map(|path| path.split_once('?').unwrap_or((path, ""))) {
            None if !changed => return,
            None => {}
            // A whole path may bring parameters along.
            Some((path, more)) => {
                self.path = Some(path.to_owned());
                if !more.is_empty() && !query.is_empty() {
                    query.push('&');
                }
                query.push_str(more);
            }
        }
        self.query = Some(query);
    }
}

/// What became of one call of an aggregate, for the log.
#[derive(Debug, Clone)]
pub struct CallReport {
    pub name: Arc<str>,
    /// Of the service's answer, the last one where there were several.
    pub status: Option<u16>,
    pub error: Option<Kind>,
    pub endpoint: Option<Arc<str>>,
    /// Sent, without retries: more than one for the items of a list, none where its condition did not hold.
    pub sent: u32,
    pub retries: u32,
    pub duration: Duration,
    /// What became of it in its cache.
    pub cache: Option<cache::Use>,
}

impl CallReport {
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            status: None,
            error: None,
            endpoint: None,
            sent: 0,
            retries: 0,
            duration: Duration::ZERO,
            cache: None,
        }
    }

    /// One of several.
    pub fn add(&mut self, other: Self) {
        self.status = other.status.or(self.status);
        self.endpoint = other.endpoint.or_else(|| self.endpoint.take());
        self.sent += other.sent;
        self.retries += other.retries;
        self.cache = other.cache.or(self.cache);
    }
}

/// Where neither a policy nor a cluster says how long an exchange may take.
const DEADLINE: Duration = Duration::from_secs(3600);

/// How the target is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asked {
    #[default]
    Http,
    /// In gRPC, one message and one answer of one message, for a client that speaks otherwise.
    Unary,
    /// In gRPC, as its clients do.
    Call,
}

pub struct Exchange {
    pub received: Instant,
    /// When the whole exchange must be over; a policy or a cluster may bring it forward.
    pub deadline: Instant,
    pub peer: SocketAddr,
    /// The client's own address, by the word of trusted proxies only.
    pub client: IpAddr,
    pub scheme: &'static str,
    /// That the listener has verified.
    pub certificate: Option<Rc<ClientCertificate>>,
    pub method: Method,
    /// The authority asked for, as received.
    pub host: HeaderValue,
    /// The normalised path, which is routed and forwarded, and the query as received less a credential that it carried.
    /// Sharing the request's own bytes, so that a clean request costs no copy.
    pub target: PathAndQuery,
    pub params: Params,
    pub route: Option<Arc<Route>>,
    pub consumer: Option<Arc<Consumer>>,
    /// `Set-Cookie` of a session that is renewed or ends, also where a target answers.
    pub set_cookies: Vec<HeaderValue>,
    /// What an external authorizer adds to the response.
    pub granted: Option<Arc<Verdict>>,
    /// For the client's next proof.
    pub dpop_nonce: Option<HeaderValue>,
    /// Drawn when somebody asks for it.
    request_id: OnceCell<HeaderValue>,
    pub trace: Trace,
    /// `Origin` of a request that a CORS policy saw.
    pub origin: Option<HeaderValue>,
    pub rate: Option<RateReport>,
    /// What its API says of it, where the answer is to be validated too.
    pub operation: Option<Arc<Operation>>,
    /// Where it is GraphQL whose document is looked at.
    pub graphql: Option<Box<graphql::Seen>>,
    /// Where the request is a call of gRPC or gRPC-Web.
    pub call: Option<Rc<Call>>,
    pub asked: Asked,
    /// Where it is gRPC-Web and the target is to see gRPC.
    pub translation: Option<Translation>,
    /// Another protocol that the client wants to go over to.
    pub wish: Option<Box<Wish>>,
    /// The terms on which it may.
    pub grant: Option<Rc<Grant>>,
    /// A client of WebSocket whom the gateway itself is to answer.
    pub opening: Option<Opening>,
    /// How a tunnel ended.
    pub tunnel: Option<tunnel::End>,
    /// Path and query for the cluster in place of the client's, each where it is given.
    pub rewritten: Option<Box<Rewritten>>,
    /// The version of its API, where its route belongs to one.
    pub version: Option<Chosen>,
    /// The request after the steps from its version to the target's.
    pub raised: Option<Box<Raised>>,
    /// The request as expressions see it, where the answer's will.
    pub described: Option<Value>,
    /// Which codings the client takes, where its response may be compressed.
    pub accepted: Option<Accepted>,
    /// Kept of the request's head for its access-log line.
    pub captured: Captured,
    /// Of an aggregate, in the order in which they ended.
    pub calls: Vec<CallReport>,
    /// What became of it in the cache of its route.
    pub cache: Option<cache::Use>,
    /// The answer is for all consumers: the target is not told which one asks.
    pub withhold_identity: bool,
    /// `host:port` that answered, or was tried last.
    pub endpoint: Option<Arc<str>>,
    pub retries: u32,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// What went wrong, if anything did.
    pub error: Option<Kind>,
    /// What the log should say of it and the client should not know.
    pub cause: Option<String>,
}

impl Exchange {
    /// A request that has just been received, of which nothing more is known. `target` holds the normalised path.
    pub fn new(received: Instant, peer: SocketAddr, method: Method, host: HeaderValue, target: PathAndQuery) -> Self {
        Self {
            received,
            deadline: received + DEADLINE,
            peer,
            client: peer.ip().to_canonical(),
            scheme: "http",
            certificate: None,
            method,
            host,
            target,
            params: Params::default(),
            route: None,
            consumer: None,
            set_cookies: Vec::new(),
            granted: None,
            dpop_nonce: None,
            request_id: OnceCell::new(),
            trace: Trace::default(),
            origin: None,
            rate: None,
            operation: None,
            graphql: None,
            call: None,
            asked: Asked::default(),
            translation: None,
            wish: None,
            grant: None,
            opening: None,
            tunnel: None,
            rewritten: None,
            version: None,
            raised: None,
            described: None,
            accepted: None,
            captured: Captured::default(),
            calls: Vec::new(),
            cache: None,
            withhold_identity: false,
            endpoint: None,
            retries: 0,
            bytes_in: 0,
            bytes_out: 0,
            error: None,
            cause: None,
        }
    }

    /// The same request once more, for nobody who waits.
    pub fn again(&self) -> Self {
        let host = self.host.clone();
        let mut again = Self::new(Instant::now(), self.peer, Method::GET, host, self.target.clone());
        (again.client, again.scheme, again.params) = (self.client, self.scheme, self.params);
        (again.route, again.consumer) = (self.route.clone(), self.consumer.clone());
        again.version = self.version.clone();
        again.take_request_id(self.request_id().clone());
        again.trace = self.trace.clone();
        again
    }

    /// The client with its port; 0 where a proxy has not told it. None: a client on a Unix socket.
    pub fn source(&self) -> Option<SocketAddr> {
        let port = if self.client == self.peer.ip().to_canonical() { self.peer.port() } else { 0 };
        Some(SocketAddr::new(self.client, port)).filter(|source| *source != NOWHERE)
    }

    /// For its log line and its problem details, and wherever the policy shows it.
    pub fn request_id(&self) -> &HeaderValue {
        self.request_id.get_or_init(request_id::fresh)
    }

    /// The client's own, before anybody has asked.
    pub fn take_request_id(&mut self, id: HeaderValue) {
        self.request_id = OnceCell::from(id);
    }

    pub fn path(&self) -> &str {
        self.target.path()
    }

    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// The method as the target's version has it; likewise path and query.
    pub fn asked_method(&self) -> &Method {
        self.raised.as_ref().and_then(|raised| raised.method.as_ref()).unwrap_or(&self.method)
    }

    pub fn asked_path(&self) -> &str {
        let raised = self.raised.as_ref();
        let path = raised.and_then(|raised| raised.path.as_deref().or(raised.marked_path.as_deref()));
        path.unwrap_or(self.path())
    }

    pub fn asked_query(&self) -> Option<&str> {
        self.raised.as_ref().and_then(|raised| raised.query.as_deref()).or(self.query())
    }

    /// The name of its version.
    pub fn version_name(&self) -> Option<&Arc<str>> {
        self.version.as_ref().map(|chosen| &chosen.version().name)
    }

    /// How long its response may be silent where that is a stream; None is for ever.
    pub fn stream_idle(&self) -> Option<Duration> {
        self.route.as_ref()?.policies.limits.as_ref()?.stream_idle
    }

    /// The name of whoever has proved to be somebody.
    pub fn caller(&self) -> Option<&str> {
        self.consumer.as_ref().filter(|consumer| !consumer.is_anonymous()).map(|consumer| &*consumer.name)
    }

    /// Whom the target may know of: nobody where an answer is for all.
    pub fn told_consumer(&self) -> Option<&Arc<Consumer>> {
        self.consumer.as_ref().filter(|_| !self.withhold_identity)
    }

    pub fn told_caller(&self) -> Option<&str> {
        self.caller().filter(|_| !self.withhold_identity)
    }

    /// The value of a route's `{param}` as it stands in the path, still percent-encoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        let route = self.route.as_ref()?;
        self.params.get(route.path.names(), name, self.path())
    }
}
