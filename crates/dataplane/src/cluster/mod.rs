//! A named group of endpoints: chooses one, lends a connection, sends, tries again where that is safe.
//!
//! A compiled `Cluster` is immutable. What must survive a new Program lives elsewhere, keyed by identity: health in
//! `Health` (shared, by cluster and authority), connections and turns in `Pools` (each worker's own, by endpoint).

mod attempt;
mod balance;
pub mod call;
mod connect;
pub mod credentials;
mod deadline;
mod endpoint;
mod fault;
mod framing;
pub mod health;
pub mod hop_by_hop;
mod http1;
mod http2;
mod pool;
mod pools;
mod reply;
pub mod retry;
mod tunnel;
mod visit;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use attempt::Answer;
use credentials::{Caller, Credentials};
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

pub(crate) use deadline::Deadline;
pub use deadline::Patience;
pub use endpoint::Endpoint;
pub use pools::Pools;
pub use reply::Reply;
pub use tunnel::Tunnel;

use crate::error::{Error, Kind};
use crate::program;
use crate::protocol::body::Body;
use crate::protocol::upgrade::Grant;
use crate::shared::Shared;
use crate::snapshot;
use crate::telemetry::metrics::ClusterMetrics;
use crate::transport::tls::{self, file::Loader};
use crate::worker::Worker;

/// Takes 1xx responses other than 100 and 101, hop-by-hop headers already removed. May drop them: they are optional.
pub type InterimSink = Rc<dyn Fn(StatusCode, HeaderMap)>;

pub struct Cluster {
    pub name: Arc<str>,
    pub endpoints: Box<[Endpoint]>,
    pub credentials: Option<Arc<Credentials>>,
    settings: snapshot::Cluster,
    metrics: Arc<ClusterMetrics>,
    /// Unique for each compilation: what a worker's view of this cluster is keyed by.
    version: u64,
    connect_timeout: Duration,
}

/// How one request is to be sent.
pub struct SendOptions<'a> {
    /// When the whole exchange must be over: waiting, connecting, retries, and the body of the answer.
    pub deadline: Instant,
    /// For an answer that is a stream, from its head on instead.
    pub stream: Option<Patience>,
    /// A call of gRPC, whose messages may go on both ways: its answer is a stream whatever its type, and the cluster's
    /// time for the head begins when the request is complete.
    pub is_call: bool,
    /// RFC 9110 §9.2.2, or the caller's own word (a call with an `Idempotency-Key`).
    pub idempotent: bool,
    pub interim: Option<InterimSink>,
    /// What the request asks the endpoint to go over to; its head says the same.
    pub grant: Option<Rc<Grant>>,
    /// The client, where the request is for one that has an address.
    pub source: Option<SocketAddr>,
    /// For the log and for callers that must know what may have happened.
    pub report: &'a mut SendReport,
}

/// What became of a request, also when there was no answer.
#[derive(Debug, Default)]
pub struct SendReport {
    /// `host:port` that answered, or was tried last.
    pub endpoint: Option<Arc<str>>,
    pub retries: u32,
    /// False only when it is certain that no byte of the request was written to any endpoint.
    pub sent: bool,
    /// The answer is a stream: from its head on its patience counts in place of the deadline.
    pub streams: bool,
}

static VERSION: AtomicU64 = AtomicU64::new(1);

impl Cluster {
    /// Every mistake goes to `report`; None then.
    pub fn compile(
        name: &str,
        settings: &snapshot::Cluster,
        shared: &Shared,
        loader: &mut Loader,
        report: &mut program::Report,
    ) -> Option<Arc<Self>> {
        let mut client = None;
        if settings.endpoints.iter().any(|endpoint| endpoint.tls) {
            // Without it the program is refused; what is wrong beside that is told too.
            client = tls::compile::cluster(name, &settings.tls, loader, report);
        }
        Self::assemble(name, settings, client, shared).map_err(|wrong| report.errors.extend(wrong)).ok()
    }

    /// Of a cluster alone. Every mistake, each as a sentence.
    pub fn build(name: &str, settings: &snapshot::Cluster, shared: &Shared) -> Result<Arc<Self>, Vec<String>> {
        let (mut loader, mut report) = (Loader::default(), program::Report::default());
        let cluster = Self::compile(name, settings, shared, &mut loader, &mut report);
        let wrong = [report.errors, report.faults, report.refusals].concat();
        cluster.filter(|_| wrong.is_empty()).ok_or(wrong)
    }

    fn assemble(
        name: &str,
        settings: &snapshot::Cluster,
        client: Option<Arc<tls::Client>>,
        shared: &Shared,
    ) -> Result<Arc<Self>, Vec<String>> {
        let mut wrong = Vec::new();
        let mut endpoints: Vec<Endpoint> = Vec::with_capacity(settings.endpoints.len());
        for endpoint in &settings.endpoints {
            if endpoints.iter().any(|other| *other.name == *endpoint.authority) {
                wrong.push(format!("endpoint `{}` is named twice", endpoint.authority));
            }
            if endpoint.weight == 0 {
                wrong.push(format!("endpoint `{}`: the weight must be at least 1", endpoint.authority));
            }
            let address = endpoint::Address::parse(&endpoint.authority);
            let secured = address.and_then(|address| {
                let client = client.clone().filter(|_| endpoint.tls);
                let name = settings.tls.server_name.as_deref();
                let tls = client.map(|client| endpoint::Secured::new(client, &address, name)).transpose()?;
                Ok((address, tls))
            });
            match secured {
                Ok((address, tls)) => endpoints.push(Endpoint {
                    name: endpoint.authority.as_str().into(),
                    address,
                    tls,
                    weight: endpoint.weight,
                    health: shared.health.endpoint(name, &endpoint.authority),
                }),
                Err(message) => wrong.push(message),
            }
        }
        let encrypted = settings.endpoints.iter().filter(|endpoint| endpoint.tls).count();
        match settings.protocol {
            snapshot::Protocol::H2c if encrypted > 0 => {
                wrong.push("protocol: h2c is not encrypted; over TLS it is h2".to_owned());
            }
            snapshot::Protocol::H2 | snapshot::Protocol::Auto if encrypted < settings.endpoints.len() => {
                wrong.push("protocol: h2 and auto are chosen over TLS; every endpoint must be https://".to_owned());
            }
            _ => {}
        }
        if settings.endpoints.is_empty() {
            wrong.push("it has no endpoint".to_owned());
        }
        if settings.proxy_protocol.is_some() && settings.protocol != snapshot::Protocol::Http1 {
            wrong.push("proxy_protocol: clients share a connection of HTTP/2, which can name only one".to_owned());
        }
        if settings.pool.connections == 0 {
            wrong.push("pool: at least one connection must be allowed".to_owned());
        }
        if settings.connect_ms == 0 || settings.request_ms == 0 {
            wrong.push("timeouts must be longer than 0 ms".to_owned());
        }
        if settings.retry.budget_percent > 100 {
            wrong.push("retry: the budget is a percentage from 0 to 100".to_owned());
        }
        if settings.ejection.failures > 0 && settings.ejection.base_ms == 0 {
            wrong.push("ejection: the time out must be longer than 0 ms".to_owned());
        }
        let credentials = settings.credentials.as_ref().map(|settings| Credentials::new(name, settings, shared));
        let credentials = credentials.transpose().unwrap_or_else(|errors| {
            wrong.extend(errors);
            None
        });
        let credentials = credentials.map(Arc::new);
        if !wrong.is_empty() {
            return Err(wrong.into_iter().map(|message| format!("cluster '{name}': {message}")).collect());
        }
        let name: Arc<str> = name.into();
        Ok(Arc::new(Self {
            metrics: shared.metrics.cluster(&name),
            name,
            endpoints: endpoints.into(),
            connect_timeout: Duration::from_millis(settings.connect_ms),
            credentials,
            settings: settings.clone(),
            version: VERSION.fetch_add(1, Relaxed),
        }))
    }

    /// The same with other rules for retries: the same endpoints, health, connections and budget.
    pub(crate) fn with_retry(&self, retry: &snapshot::Retry) -> Arc<Self> {
        let mut settings = self.settings.clone();
        settings.retry = snapshot::Retry { budget_percent: settings.retry.budget_percent, ..retry.clone() };
        Arc::new(Self {
            name: self.name.clone(),
            endpoints: self.endpoints.clone(),
            settings,
            metrics: self.metrics.clone(),
            version: VERSION.fetch_add(1, Relaxed),
            connect_timeout: self.connect_timeout,
            credentials: self.credentials.clone(),
        })
    }

    /// A call needs a `Host` (RFC 9112 §3.2); a client that speaks HTTP/1.0 may have sent none. The authority of the first
    /// endpoint: a cluster is one service, so its servers share a name.
    pub(crate) fn name_host(&self, headers: &mut HeaderMap) {
        if headers.contains_key(HOST) {
            return;
        }
        let host = self.endpoints.first().map(|endpoint| HeaderValue::from_str(endpoint.authority()));
        if let Some(Ok(host)) = host {
            headers.insert(HOST, host);
        }
    }

    pub fn may_speak_http1(&self) -> bool {
        matches!(self.settings.protocol, snapshot::Protocol::Http1 | snapshot::Protocol::Auto)
    }

    pub fn speaks_http2(&self) -> bool {
        self.settings.protocol != snapshot::Protocol::Http1
    }

    /// How long a whole exchange may take unless its route says less.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.request_ms)
    }

    /// Whether it is asked with tokens for those of callers.
    pub fn exchanges_tokens(&self) -> bool {
        let tokens = self.credentials.as_ref().and_then(|credentials| credentials.tokens());
        tokens.is_some_and(|tokens| tokens.are_for_callers())
    }

    /// As `send`, with the tokens of the cluster's credentials, where they are some; `caller` is whom the request is for.
    pub async fn send_for(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        request: Request<Body>,
        options: SendOptions<'_>,
        caller: Caller,
    ) -> Result<Response<Body>, Error> {
        match self.credentials.as_ref().and_then(|credentials| credentials.tokens()) {
            None => self.send(&worker.pools, request, options).await,
            Some(tokens) => Box::pin(tokens.send(self, worker, request, options, caller)).await,
        }
    }

    /// Sends a request whose head is ready for the endpoint (origin-form target, hop-by-hop fields removed); framing is
    /// set here from the body. The answer's body holds the connection and reports its own failures.
    ///
    /// Errors: `EndpointUnreachable` 502, `BadReply` 502, `ClusterUnavailable` 503 with `Retry-After`,
    /// `DeadlineExceeded` 504, and whatever the request's own body failed with.
    pub async fn send(
        self: &Arc<Self>,
        pools: &Rc<Pools>,
        request: Request<Body>,
        options: SendOptions<'_>,
    ) -> Result<Response<Body>, Error> {
        let started = Instant::now();
        let view = pools.view(self);
        view.budget.call(started);
        let mut deadline = pools.deadlines.at(options.deadline);
        let call = options.stream.filter(|_| options.is_call);
        let streamed = attempt::Streamed::default();
        let mut progress = attempt::Progress::new(options.report, &streamed);
        let attempts = attempt::Attempts {
            view,
            idempotent: options.idempotent,
            deadline: options.deadline,
            sink: options.interim,
            grant: options.grant,
            source: options.source,
        };
        let outcome = {
            let mut running = pin!(attempts.run(request, &mut progress));
            std::future::poll_fn(|context| match running.as_mut().poll(context) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => {
                    while deadline.poll(context).is_ready() {
                        let due = call.and_then(|patience| streamed.due(self.request_timeout(), patience));
                        if !due.is_some_and(|due| deadline.put_off(due)) {
                            return Poll::Ready(None);
                        }
                    }
                    Poll::Pending
                }
            })
            .await
        };
        let outcome = outcome.unwrap_or_else(|| {
            progress.timed_out();
            Err(Error::new(Kind::DeadlineExceeded, "the service did not answer in time"))
        });
        let status = outcome.as_ref().ok().map(Answer::status);
        self.metrics.record(pools.worker, status, started.elapsed());
        let answer = outcome?;
        if let Some(patience) = options.stream.filter(|_| options.is_call || answer.is_stream()) {
            deadline.follow(patience);
            progress.report.streams = true;
        }
        Ok(answer.into_response(deadline))
    }
}
