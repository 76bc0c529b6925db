//! The attempts of one request: choose, connect, send, and after a failure decide whether there is another one.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::header::EXPECT;
use http::{request, response, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::balance::{self, Pick};
use super::deadline::Deadline;
use super::interim::InterimSink;
use super::pool::Connection;
use super::pools::View;
use super::replay::Fields;
use super::reply::{self, Reply};
use super::retry::{self, Decision, Failure};
use super::upload::Upload;
use super::visit::Visit;
use super::{fault, framing, hop_by_hop, http2, SendReport};
use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// What must be known of an attempt that the deadline cuts short.
pub(super) struct Progress<'a> {
    pub(super) report: &'a mut SendReport,
    visit: Option<Visit>,
    /// The request was handed to a connection; with the state of its body.
    waiting: Option<Option<Rc<Cell<bool>>>>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(report: &'a mut SendReport) -> Self {
        Self { report, visit: None, waiting: None }
    }

    /// An endpoint is to blame if it had the whole request; else the queue or the client was slow.
    pub(super) fn timed_out(&mut self) {
        if let (Some(visit), Some(upload)) = (self.visit.take(), &self.waiting) {
            if upload.as_ref().is_none_or(|sent| sent.get()) {
                visit.failed();
            }
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
enum Content {
    Http1 { incoming: Incoming, connection: Connection, upload: Option<Rc<Cell<bool>>> },
    Http2(http2::Incoming),
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(super) fn into_response(self, deadline: Deadline) -> Response<Body> {
        let body = match self.content {
            Content::Http1 { incoming, connection, upload } if incoming.is_end_stream() => {
                reply::finish(connection, upload.as_ref());
                Body::empty()
            }
            Content::Http1 { incoming, connection, upload } => {
                let reply = Reply::new(incoming, connection, upload, deadline, self.visit);
                return Response::from_parts(self.head, Body::reply(reply));
            }
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

/// An attempt that did not lead to an answer, and what is left of the request for another one.
struct Failed {
    failure: Failure,
    error: Error,
    request: Option<(request::Parts, Body)>,
    /// An answer whose status may be tried again, if that is not possible.
    answer: Option<Answer>,
}

pub(super) struct Attempts {
    pub(super) view: Rc<View>,
    pub(super) idempotent: bool,
    pub(super) deadline: Instant,
    pub(super) sink: Option<InterimSink>,
}

impl Attempts {
    pub(super) async fn run(&self, request: Request<Body>, progress: &mut Progress<'_>) -> Result<Answer, Error> {
        let (mut head, mut body) = request.into_parts();
        framing::set(&mut head, &body);
        let known = retry::Request { idempotent: self.idempotent, replayable: body.is_at_hand() };
        let mut tried = Vec::new();
        let mut fresh = false;
        loop {
            let turn = |index: usize| &self.view.pools[index].turn;
            let pick = balance::pick(self.view.cluster.settings.balance, &self.view.cluster.endpoints, turn, &tried)
                .map_err(fault::unavailable)?;
            let failed = match self.attempt(pick, fresh, head, body, progress).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => *failed,
            };
            let decision = retry::decide(&self.view.cluster.settings.retry, failed.failure, known);
            let again = match decision {
                Decision::GiveUp => false,
                // Once is enough: a new connection that fails in the same way is not stale.
                Decision::Reconnect => !std::mem::replace(&mut fresh, true),
                Decision::Again => self.may_repeat(failed.failure, pick.index, &mut tried, progress).await,
            };
            match failed.request {
                Some(request) if again => (head, body) = request,
                _ => return failed.answer.ok_or(failed.error),
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

    async fn attempt(
        &self,
        pick: Pick,
        fresh: bool,
        head: request::Parts,
        body: Body,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Box<Failed>> {
        let endpoint = &self.view.cluster.endpoints[pick.index];
        progress.report.endpoint = Some(self.view.names[pick.index].clone());
        progress.waiting = None;
        progress.visit = Some(Visit::begin(&self.view, pick));
        if let Some(pool) = self.view.http2.get(pick.index) {
            let authority = &endpoint.name;
            return self.attempt_http2(pool, authority, head, body, progress).await;
        }
        let pool = &self.view.pools[pick.index];
        let mut connection = match pool.acquire(&endpoint.address, self.view.cluster.connect_timeout, fresh).await {
            Ok(connection) => connection,
            Err(error) => {
                blame(progress);
                let error = fault::unreachable(&error);
                return Err(Failed::boxed(Failure::Connect, error, Some((head, body))));
            }
        };
        // What hyper has written it does not give back, so what may be sent again is kept here.
        let kept = Kept::keep(self.idempotent, &head, &body, &mut connection.fields);
        connection.interim.begin();
        let expects = head.headers.contains_key(EXPECT).then(|| connection.interim.clone());
        let upload = Upload::new(body, expects);
        let sent = upload.progress();
        let request = Request::from_parts(head, upload);
        progress.waiting = Some(sent.clone());
        let sent_before = std::mem::replace(&mut progress.report.sent, true);
        let reused = connection.reused;
        match self.exchange(&mut connection, request).await {
            Ok(response) => self.judge(response, connection, sent, kept, progress),
            Err(mut error) => match error.take_message() {
                Some(request) => {
                    progress.report.sent = sent_before;
                    let (head, upload) = request.into_parts();
                    let back = Some((head, upload.into_body()));
                    if reused {
                        progress.visit = None;
                        let error = fault::unreachable(&"the connection was closed");
                        return Err(Failed::boxed(Failure::Stale, error, back));
                    }
                    blame(progress);
                    Err(Failed::boxed(Failure::Connect, fault::unreachable(&error.error()), back))
                }
                None => {
                    let error = error.into_error();
                    let (failure, error, theirs) = fault::classify(&error, reused);
                    // A kept connection that the endpoint closed meanwhile is nobody's fault.
                    if theirs && failure != (Failure::Reset { reused: true }) {
                        blame(progress);
                    }
                    progress.visit = None;
                    Err(Failed::boxed(failure, error, kept.and_then(|kept| kept.restore(&connection.fields))))
                }
            },
        }
    }

    async fn attempt_http2(
        &self,
        pool: &Rc<http2::Pool>,
        authority: &str,
        head: request::Parts,
        body: Body,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Box<Failed>> {
        let lease = match pool.acquire().await {
            Ok(lease) => lease,
            Err(error) => {
                blame(progress);
                let error = fault::unreachable(&error);
                return Err(Failed::boxed(Failure::Connect, error, Some((head, body))));
            }
        };
        let reused = lease.reused;
        // Whatever the method: the endpoint may say that it has not looked at the request.
        let kept = (head.clone(), body.copy());
        let sent_before = std::mem::replace(&mut progress.report.sent, true);
        let waiting = &mut progress.waiting;
        let note = |upload| *waiting = Some(Some(upload));
        let (error, unprocessed, body) = match lease.send(head, body, authority, self.sink.as_ref(), note).await {
            Ok((head, incoming)) => {
                let kept = kept.1.filter(|_| self.idempotent).map(|body| (kept.0, body));
                return self.pass(head, Content::Http2(incoming), progress, |_| kept);
            }
            Err(http2::Unanswered::Ours(error)) => {
                progress.visit = None;
                return Err(Failed::boxed(Failure::BadReply, error, None));
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
        let body = kept.1.or(body).filter(|_| unprocessed || self.idempotent);
        Err(Failed::boxed(failure, error, body.map(|body| (kept.0, body))))
    }

    /// Sends, and passes interim responses on while waiting for the final one.
    async fn exchange(
        &self,
        connection: &mut Connection,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Upload>>> {
        let answer = connection.sender.try_send_request(request);
        let Some(sink) = &self.sink else {
            return answer.await;
        };
        let interim = &connection.interim;
        let mut answer = std::pin::pin!(answer);
        std::future::poll_fn(|context| {
            let answer: Poll<_> = answer.as_mut().poll(context);
            interim.pass_on(sink, context);
            answer
        })
        .await
    }

    /// A head has come: is it one to pass on?
    fn judge(
        &self,
        response: Response<Incoming>,
        mut connection: Connection,
        upload: Option<Rc<Cell<bool>>>,
        kept: Option<Kept>,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Box<Failed>> {
        let (mut head, incoming) = response.into_parts();
        if head.status.is_informational() {
            blame(progress);
            let error = Error::new(Kind::BadReply, "the service switched protocols without being asked");
            return Err(Failed::boxed(Failure::BadReply, error, None));
        }
        if head.version < Version::HTTP_11 {
            // hyper would send the next request in HTTP/1.0, where a streamed body cannot be framed.
            connection.single = true;
        }
        head.version = Version::HTTP_11;
        if let Err(error) = framing::settle(&mut head, incoming.size_hint().exact()) {
            blame(progress);
            return Err(Failed::boxed(Failure::BadReply, error, None));
        }
        hop_by_hop::strip_response(&mut head.headers);
        let content = Content::Http1 { incoming, connection, upload };
        self.pass(head, content, progress, |content| match content {
            Content::Http1 { connection, .. } => kept.and_then(|kept| kept.restore(&connection.fields)),
            Content::Http2(_) => None,
        })
    }

    /// A good head; its status may still be one to try again. `restore` gives the request back for that.
    fn pass(
        &self,
        head: response::Parts,
        content: Content,
        progress: &mut Progress<'_>,
        restore: impl FnOnce(&Content) -> Option<(request::Parts, Body)>,
    ) -> Result<Answer, Box<Failed>> {
        let status = head.status;
        if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
            blame(progress);
        } else if let Some(visit) = &mut progress.visit {
            visit.answered();
        }
        let again = self.view.cluster.settings.retry.statuses.contains(&status.as_u16());
        let request = if again { restore(&content) } else { None };
        let answer = Answer { head, content, visit: progress.visit.take() };
        if request.is_some() {
            let error = Error::new(Kind::BadReply, "the service failed");
            let failure = Failure::Status(status);
            return Err(Box::new(Failed { failure, error, request, answer: Some(answer) }));
        }
        Ok(answer)
    }
}

/// A request that may be sent again, less its fields, which the connection keeps.
struct Kept {
    method: Method,
    target: Uri,
    body: Body,
}

impl Kept {
    fn keep(idempotent: bool, head: &request::Parts, body: &Body, fields: &mut Fields) -> Option<Self> {
        let body = body.copy().filter(|_| idempotent)?;
        fields.keep(&head.headers);
        Some(Self { method: head.method.clone(), target: head.uri.clone(), body })
    }

    fn restore(self, fields: &Fields) -> Option<(request::Parts, Body)> {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = self.method;
        head.uri = self.target;
        head.headers = fields.restore()?;
        Some((head, self.body))
    }
}

impl Failed {
    fn boxed(failure: Failure, error: Error, request: Option<(request::Parts, Body)>) -> Box<Self> {
        Box::new(Self { failure, error, request, answer: None })
    }
}

fn blame(progress: &mut Progress<'_>) {
    if let Some(visit) = progress.visit.take() {
        visit.failed();
    }
}
