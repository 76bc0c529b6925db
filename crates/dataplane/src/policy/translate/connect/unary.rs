//! One message each way: no envelopes, and a status of HTTP for the outcome.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::asked::{Asked, Place};
use super::codec::Messages;
use super::head;
use crate::cluster::call::collect;
use crate::error::{Error, Kind};
use crate::protocol::body::Body;
use crate::protocol::coding::Coding;
use crate::protocol::connect::{self, Codec, Failure, Form};
use crate::protocol::envelope::{self, Envelopes, COMPRESSED, HEAD};
use crate::protocol::grpc::{self, Call};

/// The request's content as gRPC has it.
pub(super) async fn ask(asked: &Asked, mut body: Body, coding: Coding, messages: &Messages) -> Result<Body, Error> {
    let message = match &asked.place {
        Place::Content => body.buffer(messages.rules.most).await?,
        Place::Query(message) => message.clone(),
        Place::NotBase64 => return Err(Error::new(Kind::BadRequest, "The query's 'message' is not base64")),
    };
    Ok(Body::full(envelope::write(0, &messages.sent(&message, coding)?)))
}

/// The service's answer as the client reads it, an error among them.
pub(super) async fn answer(
    call: &Rc<Call>,
    codec: Codec,
    answer: Response<Body>,
    messages: &Messages,
) -> Result<Response<Body>, Error> {
    let (mut head, body) = answer.into_parts();
    if !head.headers.get(CONTENT_TYPE).is_some_and(|kind| grpc::is_grpc(kind.as_bytes())) {
        let message = format!("the service answered with HTTP status {} and not in gRPC", head.status.as_u16());
        let failure = Failure { code: grpc::foreign(head.status), message, details: Vec::new() };
        return Ok(failed(call, &failure, HeaderMap::new()));
    }
    let (content, trailers) = collect(body, messages.rules.most + HEAD).await?;
    let outcome = if trailers.is_empty() { &head.headers } else { &trailers };
    let mut failure = Failure::told(outcome);
    call.note(outcome);
    let compressed = head::answer(&mut head.headers)?;
    head::put_trailers(&mut head.headers, &trailers);
    if let Some(failure) = &mut failure {
        messages.explain(failure);
        return Ok(failed(call, failure, head.headers));
    }
    let (compressed, message) = only(content, compressed, messages)?;
    let kind = match codec {
        Codec::Proto => "application/proto",
        Codec::Json => "application/json",
    };
    head.status = StatusCode::OK;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    if compressed {
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(Response::from_parts(head, Body::full(message)))
}

/// The one message that there must be.
fn only(content: Bytes, may_be_compressed: bool, messages: &Messages) -> Result<(bool, Bytes), Error> {
    let wrong = |detail: &str| Error::new(Kind::BadReply, detail);
    let mut envelopes = Envelopes::new(messages.rules.most);
    envelopes.push(&content);
    let message = envelopes.next().map_err(|_| messages.answer_too_large())?;
    let (flags, message) = message.ok_or_else(|| wrong("the service has succeeded without a message"))?;
    if !envelopes.is_empty() {
        return Err(wrong("the service has answered with several messages, and the call is unary"));
    }
    let compressed = flags & COMPRESSED != 0;
    if compressed && !may_be_compressed {
        return Err(wrong("a message of the service is compressed, and it does not say how"));
    }
    messages.answered(message, compressed)
}

fn failed(call: &Call, failure: &Failure, headers: HeaderMap) -> Response<Body> {
    call.ended(failure.code);
    let mut response = connect::respond(Form::Unary, failure, connect::http_status(failure.code));
    for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_TYPE) {
        response.headers_mut().append(name, value.clone());
    }
    response
}
