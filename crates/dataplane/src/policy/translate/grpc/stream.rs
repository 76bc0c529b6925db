//! The answers of a method that gives several: a list of JSON, lines of it, or events, each message on its way as soon as
//! it has come.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use serde_json::{json, Value};

use super::super::http_rule::binding::Answer;
use super::answer::Back;
use super::frame::Frames;
use super::metadata;
use super::status::Status;
use crate::error::{documentation, Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::protocol::{accept, grpc};
use crate::snapshot::StreamFormat;

/// The format that `Accept` names, of several the one that the client likes best; what it does not name is as configured.
pub(super) fn format(headers: &HeaderMap, usual: StreamFormat) -> StreamFormat {
    let ranges = accept::ranges(headers);
    let named = ranges.iter().filter(|range| range.quality > 0).filter_map(|range| {
        let kind = format!("{}/{}", range.kind, range.subtype);
        let format = match kind.as_str() {
            "text/event-stream" => StreamFormat::Sse,
            "application/json" => StreamFormat::Array,
            kind if super::request::is_lines(kind.as_bytes()) => StreamFormat::Ndjson,
            _ => return None,
        };
        Some((range.quality, format))
    });
    // The first of several that are as good.
    let best = named.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map_or(usual, |(_, format)| format)
}

/// The head waits for the first message or the status, so that a call that fails at once has the status of its failure.
/// Events do not wait: their clients want to know that the stream is open.
pub(super) async fn begin(
    back: Back,
    exchange: &mut Exchange,
    mut headers: HeaderMap,
    body: Body,
    frames: Frames,
    early: Option<Status>,
) -> Result<Response<Body>, Error> {
    let raw = matches!(back.binding.answer, Answer::Raw(_));
    let id = Some(exchange.request_id().clone());
    let mut stream =
        Messages { back, body, frames, early, id, begun: false, ended: false, pieces: VecDeque::new(), broken: None };
    let kind = match stream.back.format {
        StreamFormat::Sse if !raw => "text/event-stream",
        StreamFormat::Ndjson => "application/x-ndjson",
        StreamFormat::Array | StreamFormat::Sse => "application/json",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if raw || stream.back.format != StreamFormat::Sse {
        match poll_fn(|context| stream.poll_message(context)).await {
            Next::Message(message) if raw => {
                let (kind, content) = stream.back.write(&message)?;
                headers.insert(CONTENT_TYPE, kind);
                stream.pieces.extend(Some(content).filter(|content| !content.is_empty()).map(Frame::data));
                stream.begun = true;
            }
            Next::Message(message) => {
                let piece = stream.piece(&message)?;
                stream.pieces.push_back(piece);
            }
            Next::End(status, trailers) if status.is_ok() => stream.finish(&status, trailers),
            Next::End(status, trailers) => {
                headers.extend(trailers);
                return Ok(stream.back.failed(&status, headers, exchange));
            }
            Next::Failed(error) => return Err(error),
        }
    } else {
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    let mut response = Response::new(Body::stream(stream));
    *response.headers_mut() = headers;
    Ok(response)
}

enum Next {
    Message(Bytes),
    /// With the metadata that came behind the messages.
    End(Status, HeaderMap),
    Failed(Error),
}

struct Messages {
    back: Back,
    body: Body,
    frames: Frames,
    /// A status that came in the head: there are no messages.
    early: Option<Status>,
    /// Of the request.
    id: Option<HeaderValue>,
    /// Something has been written.
    begun: bool,
    ended: bool,
    /// Written and not yet sent.
    pieces: VecDeque<Frame<Bytes>>,
    /// Why the stream does not end as whole ones do.
    broken: Option<Error>,
}

impl Messages {
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        loop {
            match self.frames.message() {
                Ok(Some(message)) => return Poll::Ready(Next::Message(message)),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Next::Failed(self.back.broken(fault))),
            }
            let error = match ready!(http_body::Body::poll_frame(Pin::new(&mut self.body), context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.frames.push(data);
                        continue;
                    }
                    Err(frame) => {
                        let mut trailers = frame.into_trailers().unwrap_or_default();
                        match Status::of(&trailers) {
                            Some(status) if self.frames.is_between() || !status.is_ok() => {
                                metadata::trailers(&mut trailers);
                                return Poll::Ready(Next::End(status, trailers));
                            }
                            _ => Error::new(Kind::BadReply, "the service's answer ends within a message"),
                        }
                    }
                },
                Some(Err(error)) => error,
                None => match self.early.take() {
                    Some(status) => return Poll::Ready(Next::End(status, HeaderMap::new())),
                    None => Error::new(Kind::BadReply, "the service's answer ended without a status"),
                },
            };
            return Poll::Ready(Next::Failed(error));
        }
    }

    fn piece(&mut self, message: &Bytes) -> Result<Frame<Bytes>, Error> {
        if let Answer::Raw(field) = self.back.binding.answer {
            return self.back.raw(field, message).map(|(_, content)| Frame::data(content));
        }
        let mut out = Vec::with_capacity(message.len() * 2 + 64);
        out.extend_from_slice(self.before());
        self.back.write_json(message, &mut out)?;
        out.extend_from_slice(self.behind());
        self.begun = true;
        Ok(Frame::data(out.into()))
    }

    fn before(&self) -> &'static [u8] {
        match self.back.format {
            StreamFormat::Array if self.begun => b",\n",
            StreamFormat::Array => b"[",
            StreamFormat::Ndjson => b"",
            StreamFormat::Sse => b"data: ",
        }
    }

    fn behind(&self) -> &'static [u8] {
        match self.back.format {
            StreamFormat::Array => b"",
            StreamFormat::Ndjson => b"\n",
            StreamFormat::Sse => b"\n\n",
        }
    }

    /// The end of a stream whose call has ended; also one that failed after it had begun.
    fn finish(&mut self, status: &Status, mut trailers: HeaderMap) {
        self.ended = true;
        self.body = Body::empty();
        let raw = matches!(self.back.binding.answer, Answer::Raw(_));
        let mut out = Vec::new();
        if !status.is_ok() && !raw {
            let problem = status.problem(&self.back.api.status, self.id.as_ref());
            self.fault(problem, &mut out);
        }
        if self.back.format == StreamFormat::Array && !raw {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
        if !out.is_empty() {
            self.pieces.push_back(Frame::data(out.into()));
        }
        if !status.is_ok() {
            trailers.insert(grpc::STATUS, HeaderValue::from(status.code));
        }
        if !trailers.is_empty() {
            self.pieces.push_back(Frame::trailers(trailers));
        }
    }

    /// A failure as the last thing of a stream.
    fn fault(&mut self, problem: Value, out: &mut Vec<u8>) {
        match self.back.format {
            StreamFormat::Sse => out.extend_from_slice(format!("event: error\ndata: {problem}\n\n").as_bytes()),
            StreamFormat::Array | StreamFormat::Ndjson => {
                out.extend_from_slice(self.before());
                out.extend_from_slice(json!({"error": problem}).to_string().as_bytes());
                out.extend_from_slice(self.behind());
            }
        }
        self.begun = true;
    }

    /// The stream is broken: its reader is told, and it does not end as whole ones do.
    fn break_off(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.ended = true;
        self.body = Body::empty();
        self.pieces.clear();
        self.frames = Frames::new(0, false);
        if matches!(self.back.binding.answer, Answer::Raw(_)) {
            return Poll::Ready(Some(Err(error)));
        }
        let mut problem = json!({
            "type": documentation(error.kind), "title": error.kind.title(), "status": error.kind.status(),
            "detail": error.detail,
        });
        if let Some(id) = self.id.as_ref().and_then(|id| id.to_str().ok()) {
            problem["request_id"] = id.into();
        }
        let mut out = Vec::new();
        self.fault(problem, &mut out);
        self.broken = Some(error);
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            if let Some(piece) = this.pieces.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Some(error) = this.broken.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match ready!(this.poll_message(context)) {
                Next::Message(message) => match this.piece(&message) {
                    Ok(piece) => return Poll::Ready(Some(Ok(piece))),
                    Err(error) => return this.break_off(error),
                },
                Next::End(status, _) if !status.is_ok() && matches!(this.back.binding.answer, Answer::Raw(_)) => {
                    // Content of any kind has no place for a failure.
                    let detail = format!("the service ended the call with {}", status.name());
                    return this.break_off(Error::new(Kind::BadReply, detail));
                }
                Next::End(status, trailers) => this.finish(&status, trailers),
                Next::Failed(error) => return this.break_off(error),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.pieces.is_empty() && self.broken.is_none()
    }
}
