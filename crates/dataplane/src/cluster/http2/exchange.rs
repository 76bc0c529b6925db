//! A request on its stream, from its head to the head of the answer.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::client::ResponseFuture;
use h2::ext::Protocol;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::uri::Scheme;
use http::{request, response, Method, StatusCode, Version};
use http_body::Body as _;

use super::fault;
use super::head;
use super::pool::Lease;
use super::progress::Progress;
use super::reply::Incoming;
use super::rest::Rest;
use super::upload::Upload;
use crate::cluster::hop_by_hop;
use crate::cluster::http1::{ENDLESS, INTERIM};
use crate::cluster::InterimSink;
use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// Why there is no answer.
pub(in crate::cluster) enum Unanswered {
    /// By the endpoint or the connection. With the body, as far as it can be had again.
    Theirs { error: h2::Error, unprocessed: bool, body: Option<Box<Body>> },
    /// The request's own body failed, or the endpoint (`theirs`) keeps no rule that HTTP/2 itself knows of.
    Judged { error: Error, theirs: bool },
}

impl Lease {
    pub(in crate::cluster) async fn send(
        self,
        parts: request::Parts,
        body: Body,
        authority: &str,
        sink: Option<&InterimSink>,
        note: impl FnOnce(Rc<Progress>),
    ) -> Result<(response::Parts, Incoming), Unanswered> {
        // Streams of one client are read each for itself; over HTTP/1.1 one task reads and writes all.
        let apart = parts.version == Version::HTTP_2;
        let is_head = parts.method == Method::HEAD;
        let (parts, recv, upload) = self.ask(parts, body, None, authority, sink, note).await?;
        let (progress, length) = (upload.progress(), length(&parts, is_head));
        let rest = if apart { Rest::apart(upload) } else { Rest::here(upload) };
        Ok((parts, Incoming::new(recv, rest, progress, length, self)))
    }

    /// Sends, and passes interim answers on until the final one comes. `note` is called with the state of the upload as
    /// soon as the head has been handed over. With a `protocol` the stream stays open after the body.
    pub(super) async fn ask(
        &self,
        parts: request::Parts,
        body: Body,
        protocol: Option<Protocol>,
        authority: &str,
        sink: Option<&InterimSink>,
        note: impl FnOnce(Rc<Progress>),
    ) -> Result<(response::Parts, RecvStream, Upload), Unanswered> {
        let scheme = if self.connection.secure { Scheme::HTTPS } else { Scheme::HTTP };
        let expects_continue = parts.headers.contains_key(EXPECT);
        let mut request = head::request(parts, &body, scheme, authority);
        let ends = protocol.is_none() && body.is_end_stream();
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(protocol);
        }
        let mut sender = self.connection.sender.clone();
        let (answer, stream) = match sender.send_request(request, ends) {
            Ok(sent) => sent,
            Err(error) => return Err(Unanswered::Theirs { error, unprocessed: true, body: Some(Box::new(body)) }),
        };
        drop(sender);
        let upload = Upload::new(body, stream, expects_continue);
        note(upload.progress());
        let mut sent = Sent { answer, upload, sink, interim: 0 };
        match std::future::poll_fn(|context| sent.poll(context)).await {
            Ok(response) => {
                let (mut parts, recv) = response.into_parts();
                head::settle(&mut parts);
                Ok((parts, recv, sent.upload))
            }
            Err(Stopped::Judged { error, theirs }) => Err(Unanswered::Judged { error, theirs }),
            Err(Stopped::Theirs(error)) => {
                let unprocessed = fault::is_unprocessed(&error);
                Err(Unanswered::Theirs { error, unprocessed, body: sent.upload.into_body().map(Box::new) })
            }
        }
    }
}

enum Stopped {
    Theirs(h2::Error),
    Judged { error: Error, theirs: bool },
}

/// A request under way.
struct Sent<'a> {
    answer: ResponseFuture,
    upload: Upload,
    sink: Option<&'a InterimSink>,
    /// Interim responses so far.
    interim: usize,
}

impl Sent<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<http::Response<RecvStream>, Stopped>> {
        while let Poll::Ready(Some(Ok(interim))) = self.answer.poll_informational(context) {
            let (head, ()) = interim.into_parts();
            if head.status == StatusCode::CONTINUE {
                self.upload.open();
            }
            self.pass_on(head);
            if self.interim > ENDLESS {
                let error = Error::new(Kind::BadReply, "the service sends interim responses without end");
                return Poll::Ready(Err(Stopped::Judged { error, theirs: true }));
            }
        }
        if let Poll::Ready(Err(error)) = self.upload.poll(context) {
            return Poll::Ready(Err(Stopped::Judged { error, theirs: false }));
        }
        Pin::new(&mut self.answer).poll(context).map_err(Stopped::Theirs)
    }

    fn pass_on(&mut self, mut head: response::Parts) {
        self.interim += 1;
        if let Some(sink) = self.sink.filter(|_| self.interim <= INTERIM) {
            hop_by_hop::strip_response(&mut head.headers);
            sink(head.status, head.headers);
        }
    }
}

/// How many bytes of content are to come, if that is known.
pub(super) fn length(head: &response::Parts, is_head: bool) -> Option<u64> {
    if is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(0);
    }
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
