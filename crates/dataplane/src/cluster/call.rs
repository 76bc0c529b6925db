//! A request that the engine sends through a cluster, with its whole answer or a clear word about what is known.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body::Body as _;

use super::credentials::{Caller, Message};
use super::{hop_by_hop, retry, Cluster, Pools, SendOptions, SendReport};
use crate::error::{Error, Kind};
use crate::protocol::body::Body;
use crate::worker::Worker;

/// More than this in an answer's body is `BadReply`.
pub const ANSWER_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub struct Call {
    pub id: u64,
    pub cluster: String,
    pub method: Method,
    /// Path and query, percent-encoded.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// A question: to ask it twice changes nothing, whatever its method.
    pub idempotent: bool,
    /// The cluster's own time for a request counts where it is shorter.
    pub timeout: Duration,
}

#[derive(Debug)]
pub enum Outcome {
    /// Whatever the status.
    Answered { status: StatusCode, headers: HeaderMap, body: Bytes, trailers: HeaderMap },
    /// `sent` is false only when it is certain that no byte of the request was written.
    Unanswered { sent: bool, error: Error },
}

/// `cluster` is the one of that name in the current Program, if there is one. For a cluster without tokens.
///
/// Idempotent by its own word, by its method (RFC 9110 §9.2.2) or because it carries an `Idempotency-Key`.
pub async fn run(call: Call, cluster: Option<Arc<Cluster>>, pools: &Rc<Pools>) -> Outcome {
    begin(call, cluster, Way::Plain(pools)).await
}

/// The same, with a token where the cluster's credentials are some.
pub async fn run_for(call: Call, cluster: Option<Arc<Cluster>>, worker: &Rc<Worker>, caller: Caller) -> Outcome {
    begin(call, cluster, Way::For(worker, caller)).await
}

enum Way<'a> {
    Plain(&'a Rc<Pools>),
    For(&'a Rc<Worker>, Caller),
}

async fn begin(call: Call, cluster: Option<Arc<Cluster>>, way: Way<'_>) -> Outcome {
    let Some(cluster) = cluster else {
        let error = Error::new(Kind::ClusterUnavailable, format!("there is no cluster '{}'", call.cluster));
        return Outcome::Unanswered { sent: false, error };
    };
    let deadline = Instant::now() + call.timeout.min(cluster.request_timeout());
    let mut report = SendReport::default();
    match answer(call, &cluster, way, deadline, &mut report).await {
        Ok((status, headers, body, trailers)) => Outcome::Answered { status, headers, body, trailers },
        Err(error) => Outcome::Unanswered { sent: report.sent, error },
    }
}

async fn answer(
    call: Call,
    cluster: &Arc<Cluster>,
    way: Way<'_>,
    deadline: Instant,
    report: &mut SendReport,
) -> Result<(StatusCode, HeaderMap, Bytes, HeaderMap), Error> {
    let idempotent =
        call.idempotent || retry::is_idempotent(&call.method) || call.headers.contains_key("idempotency-key");
    let request = request(call, cluster)?;
    let options = SendOptions {
        deadline,
        stream: None,
        is_call: false,
        idempotent,
        interim: None,
        grant: None,
        source: None,
        report,
    };
    let answer = match way {
        Way::Plain(pools) => cluster.send(pools, request, options).await,
        Way::For(worker, caller) => cluster.send_for(worker, request, options, caller).await,
    };
    let (head, body) = answer?.into_parts();
    let (body, trailers) = collect(body, ANSWER_BYTES).await?;
    Ok((head.status, head.headers, body, trailers))
}

fn request(call: Call, cluster: &Cluster) -> Result<Request<Body>, Error> {
    let invalid =
        |cause: &dyn std::fmt::Display| Error::new(Kind::BadRequest, "the call's path is not valid").cause(cause);
    let path = if call.path.starts_with('/') { call.path } else { format!("/{}", call.path) };
    let target = PathAndQuery::try_from(path).map_err(|error| invalid(&error))?;
    let mut request = Request::new(if call.body.is_empty() { Body::empty() } else { Body::full(call.body) });
    *request.method_mut() = call.method;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = call.headers;
    let headers = request.headers_mut();
    hop_by_hop::strip_request(headers);
    cluster.name_host(headers);
    if let Some(message) = cluster.credentials.as_ref().and_then(|_| Message::of(request.headers())) {
        request.extensions_mut().insert(message);
    }
    Ok(request)
}

/// The whole content of an answer, and its trailers; more than `most` bytes are `BadReply`.
pub(crate) async fn collect(mut body: Body, most: usize) -> Result<(Bytes, HeaderMap), Error> {
    let too_large = || Error::new(Kind::BadReply, format!("the service's response is larger than {most} bytes"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    if let Some(whole) = body.whole() {
        return Ok((whole, HeaderMap::new()));
    }
    let (mut whole, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame?.into_data() {
            Ok(data) if whole.len() + data.len() > most => return Err(too_large()),
            Ok(data) => whole.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok((whole.freeze(), trailers))
}
