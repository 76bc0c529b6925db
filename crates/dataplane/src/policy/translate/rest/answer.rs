//! What a service of HTTP answers, as messages and a status.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use serde_json::Value;

use super::super::grpc::status::{code_named, code_of, encode_details};
use super::super::grpc::{frame, metadata};
use super::super::http_rule::binding::{Answer, Binding};
use super::super::message::{MessageType, ReadRules};
use super::super::values::Values;
use super::events::Events;
use super::Rules;
use crate::cluster::call::collect;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::protocol::{grpc, media, protobuf};

/// Of an error's content that is looked into.
pub const ERROR_BYTES: usize = 64 * 1024;

const INTERNAL: u16 = 13;

/// What is known of a call when its answer comes.
pub struct Back {
    pub(super) binding: Arc<Binding>,
    pub(super) rules: Arc<Rules>,
}

/// Why there is no message: a code and words.
struct Failure(u16, String);

impl Back {
    pub async fn on_answer(self, _exchange: &mut Exchange, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let (mut head, mut body) = answer.into_parts();
        let kind = media::essence(&head.headers).unwrap_or_default().to_ascii_lowercase();
        let content_type = head.headers.get(CONTENT_TYPE).cloned();
        metadata::answer(&mut head.headers);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if !head.status.is_success() {
            let content = body.peek(ERROR_BYTES).await?.unwrap_or_default();
            let fields = self.refusal(head.status, &kind, &content);
            head.headers.extend(fields);
            return Ok(respond(head.headers, Body::empty()));
        }
        if self.binding.rpc.server_streaming && !matches!(self.binding.answer, Answer::Raw(_)) {
            let source = match kind.as_slice() {
                b"text/event-stream" => Source::Events(Events::default()),
                kind => Source::Values(Values::new(!is_lines(kind), self.rules.most)),
            };
            let stream = Messages { back: self, body, source, ended: false, over: false };
            return Ok(respond(head.headers, Body::stream(stream)));
        }
        let (content, _trailers) = collect(body, self.rules.most).await?;
        Ok(match self.message(&kind, content_type.as_ref(), &content) {
            Ok(message) => respond(head.headers, Body::with_trailers(message, end(0, ""))),
            Err(Failure(code, message)) => {
                head.headers.extend(end(code, &message));
                respond(head.headers, Body::empty())
            }
        })
    }

    fn message(&self, kind: &[u8], content_type: Option<&HeaderValue>, content: &[u8]) -> Result<Bytes, Failure> {
        let output = &self.binding.rpc.output;
        let mut out = frame::begin(content.len());
        match self.binding.answer {
            Answer::Raw(field) => {
                let kind = content_type.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                let body = protobuf::Message::default().text(1, kind).bytes(2, content);
                match field.and_then(|field| output.shape().fields.get(field)) {
                    Some(field) => {
                        out.extend(protobuf::Message::default().message(field.number, body).into_bytes());
                    }
                    None => out.extend(body.into_bytes()),
                }
            }
            // Success without content is a message without fields.
            _ if content.is_empty() => {}
            _ if kind != b"application/json" && !kind.ends_with(b"+json") => {
                return Err(Failure(INTERNAL, "the service's answer is not JSON".to_owned()));
            }
            _ => self.read(content, &mut out)?,
        }
        self.finish(out)
    }

    fn read(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let output = &self.binding.rpc.output;
        let read = match self.binding.answer {
            Answer::Field(field) => output.read_json_member(field, text, self.rules.read, out),
            Answer::Message | Answer::Raw(_) => output.read_json(text, self.rules.read, out),
        };
        read.map_err(|wrong| Failure(INTERNAL, format!("the service's answer cannot be read: {wrong}")))
    }

    fn finish(&self, out: Vec<u8>) -> Result<Bytes, Failure> {
        let too_large = || Failure(8, format!("the service's message is larger than {} bytes", self.rules.most));
        let fits = out.len() - frame::HEAD <= self.rules.most;
        Some(out).filter(|_| fits).and_then(frame::finish).ok_or_else(too_large)
    }

    /// The status of an answer that is an error. What problem details say goes along (RFC 9457).
    fn refusal(&self, status: StatusCode, kind: &[u8], content: &[u8]) -> HeaderMap {
        let is_json = kind == b"application/json" || kind.ends_with(b"+json");
        let problem = is_json.then(|| serde_json::from_slice::<Value>(content).ok()).flatten();
        self.refused(code_of(status), status.canonical_reason().unwrap_or("the service refused the call"), problem)
    }

    fn refused(&self, code: u16, words: &str, problem: Option<Value>) -> HeaderMap {
        let Some(problem) = problem else { return end(code, words) };
        let text = |name: &str| problem.get(name).and_then(Value::as_str);
        let code = text("code").and_then(code_named).filter(|code| *code != 0).unwrap_or(code);
        let words = ["detail", "message", "title"].into_iter().find_map(text).unwrap_or(words);
        let mut details = end(code, words);
        let mut status = protobuf::Message::default().number(1, u64::from(code)).text(2, words).into_bytes();
        put_details(&self.rules.status, &problem, &mut status);
        if let Ok(value) = HeaderValue::from_str(&encode_details(&status)) {
            details.insert(grpc::DETAILS, value);
        }
        details
    }
}

/// Details that have a type that is known here; otherwise all of the problem, as a `google.protobuf.Struct`.
fn put_details(status: &MessageType, problem: &Value, out: &mut Vec<u8>) {
    let Some(any) = MessageType::find(status.messages(), "google.protobuf.Any") else { return };
    let before = out.len();
    let listed = problem.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let whole = serde_json::json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": problem});
    for (detail, needed) in listed.iter().map(|detail| (detail, true)).chain([(&whole, problem.is_object())]) {
        if std::ptr::eq(detail, &whole) && (out.len() > before || !needed) {
            continue;
        }
        let mut message = Vec::new();
        if any.read_json(detail.to_string().as_bytes(), ReadRules { ignore_unknown: true }, &mut message).is_ok() {
            out.extend(protobuf::Message::default().bytes(3, &message).into_bytes());
        }
    }
}

fn end(code: u16, message: &str) -> HeaderMap {
    grpc::trailers(code, message)
}

fn respond(headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

fn is_lines(kind: &[u8]) -> bool {
    [&b"application/x-ndjson"[..], b"application/ndjson", b"application/jsonl"].contains(&kind)
}

enum Source {
    Values(Values),
    Events(Events),
}

/// The messages of a method that gives several.
struct Messages {
    back: Back,
    body: Body,
    source: Source,
    /// Nothing more comes of the body.
    ended: bool,
    /// The status has been told.
    over: bool,
}

impl Messages {
    fn finish(&mut self, trailers: HeaderMap) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.over = true;
        self.body = Body::empty();
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    /// The next message, or how the call ends.
    fn next(&mut self) -> Result<Option<Bytes>, HeaderMap> {
        let internal = |words: &str| end(INTERNAL, words);
        let most = self.back.rules.most;
        let value = match &mut self.source {
            Source::Values(values) => {
                values.value(self.ended).map_err(|_| internal("the service's stream is no sequence of JSON values"))?
            }
            Source::Events(events) => match events.event() {
                Some(event) if event.name == "error" => {
                    let problem = serde_json::from_slice(&event.data).ok();
                    return Err(self.back.refused(grpc::UNKNOWN, "the service's stream ended with an error", problem));
                }
                None if events.waiting() > most => return Err(internal("an event of the service is too large")),
                event => event.map(|event| event.data),
            },
        };
        let Some(value) = value else { return Ok(None) };
        let mut out = frame::begin(value.len());
        let message = self.back.read(&value, &mut out).and_then(|()| self.back.finish(out));
        message.map(Some).map_err(|Failure(code, words)| end(code, &words))
    }
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            if this.over {
                return Poll::Ready(None);
            }
            match this.next() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Ok(None) if !this.ended => {}
                Ok(None) => return this.finish(end(0, "")),
                Err(trailers) => return this.finish(trailers),
            }
            match ready!(http_body::Body::poll_frame(Pin::new(&mut this.body), context)) {
                Some(Ok(frame)) => match (frame.into_data(), &mut this.source) {
                    (Ok(data), Source::Values(values)) => values.push(&data),
                    (Ok(data), Source::Events(events)) => events.push(&data),
                    (Err(_), _) => this.ended = true,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.ended = true,
            }
        }
    }
}
