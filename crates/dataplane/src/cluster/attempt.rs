//! The attempts of one request: choose, connect, send, and after a failure decide whether there is another one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::SEC_WEBSOCKET_ACCEPT;
use http::{response, Request, Response, StatusCode, Version};

use super::balance::{self, Pick};
use super::deadline::{Deadline, Patience};
use super::http1::{self, Received, Receiver, Upload};
use super::pool::{Connection, Wanted};
use super::pools::View;
use super::reply::{self, Reply};
use super::retry::{self, Decision, Failure};
use super::tunnel::{Tunnel, Way};
use super::visit::Visit;
use super::{fault, framing, hop_by_hop, http2, InterimSink, SendReport};
use crate::error::{Error, Kind};
use crate::protocol::body::Body;
use crate::protocol::media;
use crate::protocol::upgrade::Grant;
use crate::transport::proxy_protocol::Introduction;

/// What must be known of an attempt that the deadline cuts short.
pub(super) struct Progress<'a> {
    pub(super) report: &'a mut SendReport,
    visit: Option<Visit>,
    /// The endpoint has the whole request.
    complete: bool,
    streamed: &'a Streamed,
}

/// The same, of a request that is on a stream.
#[derive(Default)]
pub(super) struct Streamed(RefCell<Option<Rc<http2::Progress>>>);

impl Streamed {
    fn set(&self, progress: Option<Rc<http2::Progress>>) {
        self.0.replace(progress);
    }

    fn is_over(&self) -> bool {
        self.0.borrow().as_ref().is_some_and(|sent| sent.is_over())
    }

    /// When a call of gRPC has waited long enough for its head: `limit` after its request was complete, and until then
    /// as long as the client goes on.
    pub(super) fn due(&self, limit: Duration, patience: Patience) -> Option<Instant> {
        let sent = self.0.borrow();
        let sent = sent.as_ref()?;
        Some(if sent.is_over() { patience.until.min(sent.last() + limit) } else { patience.after(sent.last()) })
    }
}

impl<'a> Progress<'a> {
    pub(super) fn new(report: &'a mut SendReport, streamed: &'a Streamed) -> Self {
        Self { report, visit: None, complete: false, streamed }
    }

    /// An endpoint is to blame if it had the whole request; else the queue or the client was slow.
    pub(super) fn timed_out(&mut self) {
        let complete = self.complete || self.streamed.is_over();
        if let Some(visit) = self.visit.take().filter(|_| complete) {
            visit.failed();
        }
    }
}

/// A head that is good to pass on, and what its body needs.
pub(super) struct Answer {
    head: response::Parts,
    content: Content,
    /// None when the status itself counted as a failure.
    visit: Option<Visit>,
}

/// What comes after the head, by the protocol that brings it.
// The large one is the usual one.
#[allow(clippy::large_enum_variant)]
enum Content {
    Http1 {
        content: http1::Content,
        connection: Box<Connection>,
        /// What the endpoint has not taken before it answered.
        upload: Option<Box<Upload>>,
    },
    Http2(http2::Incoming),
    Tunnel(Tunnel),
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(super) fn is_stream(&self) -> bool {
        media::is_stream(&self.head.headers)
    }

    pub(super) fn into_response(self, deadline: Deadline) -> Response<Body> {
        let body = match self.content {
            Content::Http1 { content: http1::Content::Follows(decoder), connection, upload } => {
                let reply = Reply::new(decoder, connection, upload, deadline, self.visit);
                return Response::from_parts(self.head, Body::reply(reply));
            }
            Content::Http1 { content, connection, upload } => {
                reply::finish(connection, upload);
                match content {
                    http1::Content::Whole(content) => Body::full(content),
                    http1::Content::None | http1::Content::Follows(_) => Body::empty(),
                }
            }
            Content::Tunnel(tunnel) => Body::tunnel(tunnel),
            Content::Http2(incoming) if incoming.is_end_stream() => Body::empty(),
            Content::Http2(incoming) => {
                let reply = http2::Reply::new(incoming, deadline, self.visit);
                return Response::from_parts(self.head, Body::stream(reply));
            }
        };
        if let Some(visit) = self.visit {
            visit.succeeded();
        }
        Response::from_parts(self.head, body)
    }
}

/// An attempt that did not lead to an answer.
struct Failed {
    failure: Failure,
    error: Error,
    /// An answer whose status may be tried again, if that is not possible.
    answer: Option<Answer>,
}

pub(super) struct Attempts {
    pub(super) view: Rc<View>,
    pub(super) idempotent: bool,
    pub(super) deadline: Instant,
    pub(super) sink: Option<InterimSink>,
    pub(super) grant: Option<Rc<Grant>>,
    pub(super) source: Option<SocketAddr>,
}

impl Attempts {
    pub(super) async fn run(&self, request: Request<Body>, progress: &mut Progress<'_>) -> Result<Answer, Error> {
        let (mut head, mut body) = request.into_parts();
        let credentials = self.view.cluster.credentials.as_ref();
        let mut content = Bytes::new();
        if let Some(credentials) = credentials {
            content = Box::pin(credentials.prepare(&mut head, &mut body)).await?;
        }
        framing::set(&mut head, &body);
        let upload = Box::new(Upload::new(head, body));
        let known = retry::Request { idempotent: self.idempotent, replayable: upload.is_replayable() };
        let mut upload = Some(upload);
        let mut tried = Vec::new();
        let mut fresh = false;
        loop {
            let turn = |index: usize| &self.view.pools[index].turn;
            let settings = &self.view.cluster.settings;
            let rules = (settings.balance, settings.ejection.keep);
            let pick = balance::pick(rules, &self.view.cluster.endpoints, turn, &tried).map_err(fault::unavailable)?;
            if let (Some(credentials), Some(upload)) = (credentials, upload.as_mut()) {
                let scheme = self.view.cluster.endpoints[pick.index].scheme();
                credentials.sign(&mut upload.head, &content, scheme)?;
            }
            let failed = match self.attempt(pick, fresh, known, &mut upload, progress).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => *failed,
            };
            if upload.is_none() {
                return failed.answer.ok_or(failed.error);
            }
            let decision = retry::decide(&self.view.cluster.settings.retry, failed.failure, known);
            let again = match decision {
                Decision::GiveUp => false,
                // Once is enough: a new connection that fails in the same way is not stale.
                Decision::Reconnect => !std::mem::replace(&mut fresh, true),
                Decision::Again => Box::pin(self.may_repeat(failed.failure, pick.index, &mut tried, progress)).await,
            };
            if !again {
                return failed.answer.ok_or(failed.error);
            }
        }
    }

    /// Attempts, budget and time allow one more; waits the pause before it.
    async fn may_repeat(
        &self,
        failure: Failure,
        index: usize,
        tried: &mut Vec<usize>,
        progress: &mut Progress<'_>,
    ) -> bool {
        let now = Instant::now();
        let pause = retry::backoff(progress.report.retries);
        let allowed = progress.report.retries < self.view.cluster.settings.retry.attempts
            && now + pause < self.deadline
            && self.view.budget.take(now);
        if !allowed {
            return false;
        }
        progress.report.retries += 1;
        self.view.cluster.metrics.retried(self.view.worker);
        tried.push(index);
        // An endpoint that refuses connections says nothing about the next one.
        if failure != Failure::Connect || tried.len() >= self.view.cluster.endpoints.len() {
            tokio::time::sleep(pause).await;
        }
        true
    }

    /// On success `upload` is left behind only where nothing of it is to be sent any more.
    async fn attempt(
        &self,
        pick: Pick,
        fresh: bool,
        known: retry::Request,
        upload: &mut Option<Box<Upload>>,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Box<Failed>> {
        let endpoint = &self.view.cluster.endpoints[pick.index];
        progress.report.endpoint = Some(self.view.names[pick.index].clone());
        progress.complete = false;
        progress.streamed.set(None);
        progress.visit = Some(Visit::begin(&self.view, pick));
        if let Some(pool) = self.view.http2.get(pick.index).filter(|pool| !pool.is_declined()) {
            match pool.acquire().await {
                Ok(lease) => {
                    // In a box, as is every pause: an attempt that needs neither must not be as large.
                    let attempt = self.attempt_http2(lease, endpoint.authority(), known, upload, progress);
                    return Box::pin(attempt).await;
                }
                Err(error) if matches!(*error, http2::OpenError::Declined) => {}
                Err(error) => {
                    blame(progress);
                    return Err(Failed::boxed(Failure::Connect, fault::unreachable(&error)));
                }
            }
        }
        let pool = &self.view.pools[pick.index];
        let version = self.view.cluster.settings.proxy_protocol;
        let wanted = Wanted {
            endpoint,
            limit: self.view.cluster.connect_timeout,
            fresh,
            introduction: version.map(|version| Introduction { version, source: self.source }),
        };
        let mut connection = match pool.acquire(wanted).await {
            Ok(connection) => connection,
            Err(error) => {
                blame(progress);
                return Err(Failed::boxed(Failure::Connect, fault::unreachable(&error)));
            }
        };
        let Some(sending) = upload.as_mut() else { return Err(spent()) };
        let mut receiver = Receiver::begin(&mut connection.wire);
        let outcome = poll_fn(|context| {
            let outcome = receiver.poll(sending, &mut connection.wire, self.sink.as_ref(), context);
            progress.complete = sending.is_done();
            progress.report.sent |= connection.wire.has_written();
            outcome
        })
        .await;
        let received = match outcome {
            Ok(received) => received,
            Err(broken) => {
                let (failure, error, theirs) = fault::classify(broken, connection.reused);
                match failure {
                    Failure::Stale | Failure::Connect => sending.carry(&mut connection.wire),
                    _ => sending.restart(),
                }
                if theirs {
                    blame(progress);
                }
                progress.visit = None;
                return Err(Failed::boxed(failure, error));
            }
        };
        if received.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(received.head, connection, sending.is_done(), progress);
        }
        let (head, content, single) = self.judge(received, progress)?;
        connection.single |= single;
        if self.is_to_be_repeated(head.status, known) {
            // Whatever of the request it has not taken, it will never get.
            connection.single |= !sending.is_done();
            sending.restart();
            return Err(self.failed(head, Content::Http1 { content, connection, upload: None }, progress));
        }
        let upload = upload.take().filter(|upload| !upload.is_done());
        Ok(Answer { head, content: Content::Http1 { content, connection, upload }, visit: progress.visit.take() })
    }

    async fn attempt_http2(
        &self,
        lease: http2::Lease,
        authority: &str,
        known: retry::Request,
        upload: &mut Option<Box<Upload>>,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Box<Failed>> {
        let Some(request) = upload.take() else { return Err(spent()) };
        let reused = lease.reused;
        let (head, body) = request.into_parts();
        // Whatever the method: the endpoint may say that it has not looked at the request.
        let kept = (head.clone(), body.whole());
        let sent_before = std::mem::replace(&mut progress.report.sent, true);
        let note = |upload| progress.streamed.set(Some(upload));
        let sink = self.sink.as_ref();
        let sent = match self.grant.as_ref().filter(|grant| grant.is_websocket()) {
            None => lease.send(head, body, authority, sink, note).await,
            Some(grant) => {
                let accept = grant.accept(&head.headers).map_err(|error| Failed::boxed(Failure::BadReply, error))?;
                match lease.open(head, authority, sink, note).await {
                    Ok((mut head, http2::Outcome::Opened(opened))) => {
                        self.note(head.status, progress);
                        // What the client would see of an endpoint that speaks HTTP/1.1.
                        head.status = StatusCode::SWITCHING_PROTOCOLS;
                        head.headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
                        let tunnel = Tunnel::new(grant.clone(), Way::Stream(opened), progress.visit.take());
                        return Ok(Answer { head, content: Content::Tunnel(tunnel), visit: None });
                    }
                    Ok((head, http2::Outcome::Answered(incoming))) => Ok((head, incoming)),
                    Err(unanswered) => Err(unanswered),
                }
            }
        };
        let (error, unprocessed, body) = match sent {
            Ok((head, incoming)) => {
                self.note(head.status, progress);
                if self.is_to_be_repeated(head.status, known) {
                    *upload = kept.1.map(|whole| Box::new(Upload::new(kept.0, Body::full(whole))));
                    return Err(self.failed(head, Content::Http2(incoming), progress));
                }
                return Ok(Answer { head, content: Content::Http2(incoming), visit: progress.visit.take() });
            }
            Err(http2::Unanswered::Judged { error, theirs }) => {
                if theirs {
                    blame(progress);
                }
                progress.visit = None;
                return Err(Failed::boxed(Failure::BadReply, error));
            }
            Err(http2::Unanswered::Theirs { error, unprocessed, body }) => (error, unprocessed, body),
        };
        if unprocessed {
            progress.report.sent = sent_before;
        }
        let (failure, error, theirs) = http2::classify(&error, unprocessed, reused);
        if theirs && failure != (Failure::Reset { reused: true }) {
            blame(progress);
        }
        progress.visit = None;
        let body = kept.1.map(Body::full).or(body.map(|body| *body)).filter(|_| unprocessed || self.idempotent);
        *upload = body.map(|body| Box::new(Upload::new(kept.0, body)));
        Err(Failed::boxed(failure, error))
    }

    /// A head has come: is it one to pass on? And is its connection not to be used again?
    fn judge(
        &self,
        received: Received,
        progress: &mut Progress<'_>,
    ) -> Result<(response::Parts, http1::Content, bool), Box<Failed>> {
        let Received { mut head, persistent, plain, content } = received;
        head.version = Version::HTTP_11;
        if !plain {
            if let Err(error) = framing::settle(&mut head, content.length()) {
                blame(progress);
                return Err(Failed::boxed(Failure::BadReply, error));
            }
        }
        hop_by_hop::strip_response(&mut head.headers);
        self.note(head.status, progress);
        Ok((head, content, !persistent))
    }

    /// The connection goes over to another protocol, if that was asked for. `asked`: the endpoint has the whole request.
    fn switch(
        &self,
        mut head: response::Parts,
        connection: Box<Connection>,
        asked: bool,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Box<Failed>> {
        let granted = match self.grant.as_ref().filter(|_| asked) {
            Some(grant) => grant.check(&head).map(|()| grant.clone()),
            None => Err("the service switched protocols without being asked"),
        };
        let grant = granted.map_err(|wrong| {
            blame(progress);
            Failed::boxed(Failure::BadReply, Error::new(Kind::BadReply, wrong))
        })?;
        head.version = Version::HTTP_11;
        hop_by_hop::strip_response(&mut head.headers);
        let tunnel = Tunnel::new(grant, Way::Connection(connection), progress.visit.take());
        Ok(Answer { head, content: Content::Tunnel(tunnel), visit: None })
    }

    /// What a status says of the endpoint.
    fn note(&self, status: StatusCode, progress: &mut Progress<'_>) {
        if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
            blame(progress);
        } else if let Some(visit) = &mut progress.visit {
            visit.answered();
        }
    }

    fn is_to_be_repeated(&self, status: StatusCode, known: retry::Request) -> bool {
        retry::decide(&self.view.cluster.settings.retry, Failure::Status(status), known) == Decision::Again
    }

    /// An answer that is passed on only if there cannot be another one.
    fn failed(&self, head: response::Parts, content: Content, progress: &mut Progress<'_>) -> Box<Failed> {
        let failure = Failure::Status(head.status);
        let answer = Answer { head, content, visit: progress.visit.take() };
        Box::new(Failed { failure, error: Error::new(Kind::BadReply, "the service failed"), answer: Some(answer) })
    }
}

/// Never happens: an attempt follows another only where the request has been given back.
fn spent() -> Box<Failed> {
    Failed::boxed(Failure::BadReply, Error::new(Kind::Internal, "the request is gone"))
}

impl Failed {
    fn boxed(failure: Failure, error: Error) -> Box<Self> {
        Box::new(Self { failure, error, answer: None })
    }
}

fn blame(progress: &mut Progress<'_>) {
    if let Some(visit) = progress.visit.take() {
        visit.failed();
    }
}
